//! The front door: a story in, an [`Analysis`] out.

use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use crate::analysis::{Analysis, Interaction, Sentence, Warning};
use crate::batch::AnalyzeIter;
use crate::content::{self, Boilerplate};
use crate::document::Document;
use crate::encoder::Encoder;
use crate::engine::{Engine, Windows};
use crate::error::{AnalyzeError, LoadError};
use crate::events::{Extractor, MergeConfig, RuleSet};
use crate::interactions::{self, Draft, Story};
use crate::model::{Model, Precision};
use crate::score::{ScoreInput, Scorer, Weights};
use crate::segment::{self, Segment};
use crate::sentiment::Sentiment;
use crate::span::{InteractionId, SentenceId, Span};
use crate::tokenize::Tokenizer;

/// Limits on what one story may cost.
///
/// Time and memory are linear in both. A window costs its vector ([`Encoder::dim`] numbers of 4 bytes) and some
/// kilobytes for what the heads make of it, so that the windows, not the bytes, decide: with the embedded model about
/// 4 KB each, 490 MB for five megabytes of short sentences in one story (the example `analyze`, 2026-11-22).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The longest text in bytes that is analysed; a longer one is an error. At most `u32::MAX`.
    pub max_text_bytes: usize,
    /// The most windows of tokens that are analysed; a text with more is an error. A sentence has one, and one
    /// that is longer than the model takes has several. They are what costs memory.
    pub max_windows: usize,
}

impl Default for Limits {
    /// 64 MiB of text, 1,048,576 windows.
    fn default() -> Self {
        Limits { max_text_bytes: 64 << 20, max_windows: 1 << 20 }
    }
}

impl Limits {
    /// Sets the longest text in bytes; more than `u32::MAX` counts as that.
    pub fn with_max_text_bytes(mut self, bytes: usize) -> Self {
        self.max_text_bytes = bytes.min(u32::MAX as usize);
        self
    }

    /// Sets the most windows of tokens.
    pub fn with_max_windows(mut self, windows: usize) -> Self {
        self.max_windows = windows;
        self
    }
}

/// What may differ from call to call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AnalyzeOptions {
    /// Whether site furniture, bylines and repeats are told from the story. Default true.
    pub boilerplate: bool,
}

impl Default for AnalyzeOptions {
    fn default() -> Self {
        AnalyzeOptions { boilerplate: true }
    }
}

impl AnalyzeOptions {
    /// Whether to tell boilerplate from the story. Switch it off where the texts are known to be clean.
    pub fn with_boilerplate(mut self, look: bool) -> Self {
        self.boilerplate = look;
        self
    }
}

/// Builds an [`Analyzer`]. Made by [`Analyzer::builder`].
///
/// Of the models that are named ([`model_dir`](Self::model_dir), [`engine`](Self::engine), with the feature
/// `rust-bert` also `torch_dir`) the last one counts.
#[derive(Debug)]
pub struct AnalyzerBuilder {
    source: Source,
    precision: Precision,
    rules: Option<PathBuf>,
    weights: Option<Weights>,
    limits: Limits,
}

/// Where the engine comes from; the one named last counts.
#[derive(Debug)]
enum Source {
    Embedded,
    Dir(PathBuf),
    #[cfg(feature = "rust-bert")]
    Torch(PathBuf, Box<crate::torch::TorchOptions>),
    Engine(Box<Engine>),
}

impl AnalyzerBuilder {
    /// Takes the model of a folder instead of the embedded one, on the built-in engine.
    pub fn model_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.source = Source::Dir(path.into());
        self
    }

    /// Takes the checkpoint or model of a folder, on libtorch: see [`Engine::from_torch`].
    ///
    /// ```
    /// use amends::{Analyzer, TorchOptions};
    ///
    /// let folder = "tests/fixtures/torch/distilbert";
    /// let analyzer = Analyzer::builder().torch_dir(folder, TorchOptions::new()).build()?;
    /// assert!(analyzer.model().starts_with("distilbert@sha256:"));
    /// assert_eq!(analyzer.analyze("They called. Nobody apologised.")?.sentences().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "rust-bert")]
    pub fn torch_dir(mut self, path: impl Into<PathBuf>, options: crate::torch::TorchOptions) -> Self {
        self.source = Source::Torch(path.into(), Box::new(options));
        self
    }

    /// Computes the model of [`AnalyzerBuilder::model_dir`] at this precision. Default: int8.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Takes an engine that the caller has put together: another encoder, tokenizer or heads.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.source = Source::Engine(Box::new(engine));
        self
    }

    /// Adds the rules of a folder of TOML files to the built-in ones.
    pub fn rules_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.rules = Some(path.into());
        self
    }

    /// Scores with these weights instead of the built-in ones.
    pub fn weights(mut self, weights: Weights) -> Self {
        self.weights = Some(weights);
        self
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Loads what was asked for.
    ///
    /// # Errors
    ///
    /// A [`LoadError`] with its kind and place: model files that are missing, damaged or do not fit together,
    /// rules that are wrong or fail their own test lines, or no model at all (feature `embedded` switched off
    /// and no other named).
    pub fn build(self) -> Result<Analyzer, LoadError> {
        let AnalyzerBuilder { source, precision, rules, weights, limits } = self;
        let engine = || match source {
            Source::Embedded => embedded(),
            Source::Dir(path) => Engine::from_model(&Model::from_dir(path, precision)?),
            #[cfg(feature = "rust-bert")]
            Source::Torch(path, options) => Engine::from_torch(path, &options),
            Source::Engine(engine) => Ok(*engine),
        };
        let extractor = || -> Result<Extractor, LoadError> {
            let rules = match &rules {
                Some(path) => RuleSet::with_dir(path)?,
                None => RuleSet::built_in()?,
            };
            Ok(Extractor::new(rules, MergeConfig::built_in()?))
        };
        // The two take about as long as each other.
        let (engine, extractor) = rayon::join(engine, extractor);
        let scorer = Scorer::new(weights.map_or_else(Weights::built_in, Ok)?)?;
        let weights = scorer.weights().version.as_str().into();
        let inner = Inner { engine: engine?, extractor: extractor?, scorer, weights, limits };
        Ok(Analyzer { inner: Arc::new(inner) })
    }
}

#[cfg(feature = "embedded")]
fn embedded() -> Result<Engine, LoadError> {
    Engine::from_model(&Model::embedded()?)
}

#[cfg(not(feature = "embedded"))]
fn embedded() -> Result<Engine, LoadError> {
    let message = "no model: this build has none embedded (feature `embedded`), and none was named";
    Err(LoadError::new(crate::error::LoadErrorKind::Unsupported, message))
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    extractor: Extractor,
    scorer: Scorer,
    /// The version of the scorer's weights.
    weights: Arc<str>,
    limits: Limits,
}

/// Reads stories. Built once, shared by reference or by cheap clone, used from any thread.
///
/// ```
/// # #[cfg(feature = "embedded")] {
/// use amends::{Analyzer, EventType};
///
/// let analyzer = Analyzer::embedded()?;
/// let story = "My router died after a week. They called me before I had even noticed, \
///              apologised and sent a new one the same day.";
/// let analysis = analyzer.analyze(story)?;
///
/// assert_eq!(analysis.sentences().len(), 2);
/// assert!(analysis.events().iter().any(|event| *event.event_type() == EventType::Apology));
/// assert_eq!(analysis.interactions().len(), 1);
/// assert!(analysis.interactions()[0].score().value() > 50.0);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Analyzer {
    inner: Arc<Inner>,
}

/// A story on its way: what is known before the encoder has run.
#[derive(Debug)]
struct Prepared<'t> {
    text: &'t str,
    segments: Vec<Segment>,
    boilerplate: Vec<Option<Boilerplate>>,
    windows: Vec<Windows>,
}

impl Analyzer {
    /// A builder that takes the embedded model, the built-in rules and weights, and [`Limits::default`].
    pub fn builder() -> AnalyzerBuilder {
        AnalyzerBuilder {
            source: Source::Embedded,
            precision: Precision::default(),
            rules: None,
            weights: None,
            limits: Limits::default(),
        }
    }

    /// The analyzer with the embedded model.
    ///
    /// # Errors
    ///
    /// [`LoadErrorKind::Unsupported`](crate::LoadErrorKind::Unsupported) in a build without the feature
    /// `embedded`.
    pub fn embedded() -> Result<Analyzer, LoadError> {
        Analyzer::builder().build()
    }

    /// The model's name as results carry it, like `amends-mini-1@sha256:ab12…`.
    pub fn model(&self) -> &str {
        self.inner.engine.name()
    }

    /// The weights of the score. Results carry their [version](Weights::version).
    pub fn weights(&self) -> &Weights {
        self.inner.scorer.weights()
    }

    /// The tokenizer of the model.
    pub fn tokenizer(&self) -> &Tokenizer {
        self.inner.engine.tokenizer()
    }

    /// The encoder of the model.
    pub fn encoder(&self) -> &dyn Encoder {
        self.inner.engine.encoder()
    }

    /// Analyses one story with the default options.
    ///
    /// # Errors
    ///
    /// [`AnalyzeErrorKind::TooLong`](crate::AnalyzeErrorKind::TooLong) for a text above one of the [`Limits`], and
    /// [`AnalyzeErrorKind::BackEnd`](crate::AnalyzeErrorKind::BackEnd) where a back end of the caller's own
    /// choice fails; the embedded one does not.
    pub fn analyze<'t>(&self, document: impl Into<Document<'t>>) -> Result<Analysis, AnalyzeError> {
        self.analyze_with(document, &AnalyzeOptions::default())
    }

    /// Analyses one story.
    ///
    /// # Errors
    ///
    /// As [`Analyzer::analyze`].
    pub fn analyze_with<'t>(
        &self,
        document: impl Into<Document<'t>>,
        options: &AnalyzeOptions,
    ) -> Result<Analysis, AnalyzeError> {
        let document = document.into();
        let prepared = self.prepare(&document, options)?;
        let vectors = self.inner.engine.vectors(&prepared.windows.iter().collect::<Vec<_>>())?;
        Ok(self.finish(prepared, &vectors))
    }

    /// Analyses many stories on rayon's threads: one result each, in order.
    ///
    /// Sentences of different stories share forwards; the results have the same bits as one by one. A story
    /// that fails does not disturb the others.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")] {
    /// use amends::{Analyzer, Document};
    ///
    /// let analyzer = Analyzer::embedded()?;
    /// let stories = ["They never called back.", "", "Friendly and quick!"].map(Document::new);
    /// let analyses = analyzer.analyze_batch(&stories);
    /// assert_eq!(analyses.len(), 3);
    /// assert_eq!(analyses[1].as_ref().unwrap().sentences().len(), 0);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn analyze_batch(&self, documents: &[Document<'_>]) -> Vec<Result<Analysis, AnalyzeError>> {
        self.analyze_batch_with(documents, &AnalyzeOptions::default())
    }

    /// Analyses many stories with the given options.
    pub fn analyze_batch_with(
        &self,
        documents: &[Document<'_>],
        options: &AnalyzeOptions,
    ) -> Vec<Result<Analysis, AnalyzeError>> {
        let prepared: Vec<_> = documents.par_iter().map(|document| self.prepare(document, options)).collect();
        let windows: Vec<&Windows> =
            prepared.iter().flatten().flat_map(|prepared| &prepared.windows).collect();
        let vectors = match self.inner.engine.vectors(&windows) {
            Ok(vectors) => vectors,
            // Somebody's sentence broke the forward that it shared: find out whose, one by one.
            Err(_) => {
                return documents
                    .par_iter()
                    .map(|document| self.analyze_with(document.clone(), options))
                    .collect();
            }
        };
        let dim = self.inner.engine.encoder().dim();
        let mut rest = vectors.as_slice();
        let stories: Vec<_> = prepared
            .into_iter()
            .map(|prepared| {
                prepared.map(|prepared| {
                    let windows: usize = prepared.windows.iter().map(Windows::len).sum();
                    let (own, others) = rest.split_at(windows * dim);
                    rest = others;
                    (prepared, own)
                })
            })
            .collect();
        stories.into_par_iter().map(|story| story.map(|(story, own)| self.finish(story, own))).collect()
    }

    /// Analyses a stream of stories: results in order, with a bounded number of stories in memory.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")] {
    /// let analyzer = amends::Analyzer::embedded()?;
    /// let stories = (0..100).map(|n| format!("Call number {n} was answered at once."));
    /// for (story, analysis) in analyzer.analyze_iter(stories) {
    ///     assert_eq!(analysis?.text_bytes(), story.len());
    /// }
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn analyze_iter<I>(&self, stories: I) -> AnalyzeIter<'_, I::IntoIter>
    where
        I: IntoIterator,
        I::Item: AsStory + Sync,
    {
        self.analyze_iter_with(stories, AnalyzeOptions::default())
    }

    /// Analyses a stream of stories with the given options.
    pub fn analyze_iter_with<I>(&self, stories: I, options: AnalyzeOptions) -> AnalyzeIter<'_, I::IntoIter>
    where
        I: IntoIterator,
        I::Item: AsStory + Sync,
    {
        AnalyzeIter::new(self, stories.into_iter(), options)
    }

    fn prepare<'t>(
        &self,
        document: &Document<'t>,
        options: &AnalyzeOptions,
    ) -> Result<Prepared<'t>, AnalyzeError> {
        let text = document.text();
        let Limits { max_text_bytes, max_windows } = self.inner.limits;
        if text.len() > max_text_bytes {
            return Err(AnalyzeError::too_long(text.len(), max_text_bytes));
        }
        let segments = segment::segment(text);
        if segments.len() > max_windows {
            return Err(AnalyzeError::too_many_windows(segments.len(), max_windows));
        }
        let boilerplate = match options.boilerplate {
            true => content::boilerplate(text, &segments),
            false => vec![None; segments.len()],
        };
        let mut windows = Vec::with_capacity(segments.len());
        let mut count = 0;
        for segment in &segments {
            let of_sentence = self.inner.engine.windows(&text[segment.span])?;
            count += of_sentence.len();
            if count > max_windows {
                return Err(AnalyzeError::too_many_windows(count, max_windows));
            }
            windows.push(of_sentence);
        }
        Ok(Prepared { text, segments, boilerplate, windows })
    }

    fn finish(&self, prepared: Prepared<'_>, vectors: &[f32]) -> Analysis {
        let Prepared { text, segments, boilerplate, windows } = prepared;
        let content: Vec<bool> = boilerplate.iter().map(Option::is_none).collect();
        let scores = self.inner.engine.read(vectors, &windows, &content);
        let sentiments: Vec<Sentiment> = scores.iter().map(|scores| scores.sentiment).collect();
        let probs = |sentence: SentenceId| scores[sentence.index()].events.as_ref();
        let mut events = self.inner.extractor.extract(text, &segments, &content, probs);
        let general = interactions::general::find(text, &segments, &content, &scores, &events);
        // Advice and maxims tell of no event, however much they speak of apologies.
        events.retain(|event| !general[event.sentence.index()]);

        let story = Story {
            text,
            segments: &segments,
            content: &content,
            sentiments: &sentiments,
            events: &events,
            general: &general,
        };
        let drafts = interactions::split(story);
        let mut home: Vec<Option<InteractionId>> = vec![None; segments.len()];
        for (number, draft) in (1..).zip(&drafts) {
            for sentence in &draft.sentences {
                home[sentence.index()] = Some(InteractionId::new(number));
            }
        }
        for event in &mut events {
            event.interaction = home[event.sentence.index()];
        }

        let spans: Vec<Span> = segments.iter().map(Segment::span).collect();
        let interactions = (1..)
            .map(InteractionId::new)
            .zip(drafts)
            .map(|(id, Draft { provider, sentences })| {
                let scored = self.inner.scorer.score(ScoreInput {
                    text,
                    spans: &spans,
                    sentiments: &sentiments,
                    sentences: &sentences,
                    events: &events,
                });
                Interaction { id, provider, sentences, scored }
            })
            .collect();

        let mut warnings: Vec<Warning> = (0..)
            .map(SentenceId::new)
            .zip(&windows)
            .filter(|(_, windows)| windows.len() > 1)
            .map(|(sentence, windows)| Warning::Windowed { sentence, windows: windows.len() })
            .collect();
        if segments.is_empty() {
            warnings.push(Warning::Empty);
        } else if !content.contains(&true) {
            warnings.push(Warning::NoContent);
        }

        let sentences = segments
            .iter()
            .zip(boilerplate)
            .zip(home)
            .zip(sentiments)
            .map(|(((&segment, boilerplate), interaction), sentiment)| Sentence {
                segment,
                boilerplate,
                interaction,
                sentiment,
            })
            .collect();
        Analysis {
            model: self.inner.engine.shared_name(),
            weights: Arc::clone(&self.inner.weights),
            text_bytes: text.len(),
            windows: windows.iter().map(Windows::len).max().unwrap_or(0),
            sentences,
            events,
            interactions,
            warnings,
        }
    }
}

/// What [`Analyzer::analyze_iter`] takes: anything that has a story's text.
pub trait AsStory: Send {
    /// The story, borrowed.
    fn as_story(&self) -> Document<'_>;
}

impl AsStory for String {
    fn as_story(&self) -> Document<'_> {
        Document::new(self)
    }
}

impl AsStory for &str {
    fn as_story(&self) -> Document<'_> {
        Document::new(self)
    }
}

impl AsStory for Document<'_> {
    fn as_story(&self) -> Document<'_> {
        self.clone()
    }
}
