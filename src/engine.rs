//! An encoder with what belongs to it: tokenizer, heads and name.

use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;

use crate::encoder::{Encoder, TokenBatch};
use crate::error::{AnalyzeError, LoadError, LoadErrorKind};
use crate::heads::{EventProbs, Heads, SentenceScores};
use crate::model::Model;
use crate::sentiment::Sentiment;
use crate::tokenize::Tokenizer;

/// A model that is ready to run: from sentences to sentiment and event probabilities.
#[derive(Clone)]
pub struct Engine {
    name: Arc<str>,
    tokenizer: Tokenizer,
    encoder: Arc<dyn Encoder>,
    heads: Heads,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("name", &self.name)
            .field("encoder", &self.encoder.name())
            .field("heads", &self.heads)
            .finish_non_exhaustive()
    }
}

/// The windows of one sentence: their sequences in the engine's order of work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Windows {
    sequences: Vec<Vec<u32>>,
}

impl Windows {
    pub(crate) fn len(&self) -> usize {
        self.sequences.len()
    }

    fn tokens(&self) -> Vec<usize> {
        self.sequences.iter().map(Vec::len).collect()
    }
}

impl Engine {
    /// Joins the parts of a model.
    ///
    /// # Errors
    ///
    /// [`LoadErrorKind::Tensor`] where the heads take vectors of another size than the encoder makes;
    /// [`LoadErrorKind::Tokenizer`] where the encoder's longest sequence has no room for a word.
    pub fn new(
        name: &str,
        tokenizer: Tokenizer,
        encoder: Arc<dyn Encoder>,
        heads: Heads,
    ) -> Result<Self, LoadError> {
        if heads.dim() != encoder.dim() {
            return Err(LoadError::new(
                LoadErrorKind::Tensor,
                format!("heads take vectors of {}, the encoder makes {}", heads.dim(), encoder.dim()),
            ));
        }
        if encoder.max_tokens() <= tokenizer.frame() {
            return Err(LoadError::new(
                LoadErrorKind::Tokenizer,
                format!(
                    "sequences of at most {} tokens leave no room beside {} special ones",
                    encoder.max_tokens(),
                    tokenizer.frame()
                ),
            ));
        }
        Ok(Engine { name: name.into(), tokenizer, encoder, heads })
    }

    /// The engine that runs a loaded model.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`], and where the model's tokenizer is none, or frames
    /// sentences with tokens that the encoder does not know.
    pub fn from_model(model: &Model) -> Result<Self, LoadError> {
        let heads = Heads::from_model(model)?;
        let tokenizer = Tokenizer::from_bytes(model.tokenizer_json())?;
        let encoder = model.encoder();
        let mut frame = TokenBatch::new();
        frame.push(&tokenizer.empty_sequence());
        if frame.tokens() > 0 && frame.tokens() <= encoder.max_tokens() {
            encoder.encode(&frame, &mut vec![0.0; encoder.dim()]).map_err(|error| {
                LoadError::new(LoadErrorKind::Tokenizer, format!("an empty sentence fails: {error}"))
                    .with_source(error)
            })?;
        }
        Engine::new(&model.id(), tokenizer, encoder, heads)
    }

    /// The engine that runs a checkpoint of the BERT family on libtorch, from a local folder.
    ///
    /// A classification checkpoint gives sentiment, and the rules alone find events. A model of amends' own (as
    /// `examples/train` or `examples/quantize` writes it) gives both, reads stories with its context stage, and
    /// keeps its name; int8 weights are computed with as the f32 numbers that they stand for.
    ///
    /// # Errors
    ///
    /// As [`TorchEncoder::load`](crate::TorchEncoder::load), and where the folder's tokenizer is none or knows
    /// ids that the checkpoint does not; for a model of amends' own as [`Model::from_dir`].
    #[cfg(feature = "rust-bert")]
    pub fn from_torch(
        folder: impl AsRef<std::path::Path>,
        options: &crate::torch::TorchOptions,
    ) -> Result<Self, LoadError> {
        use crate::model::{readout_of_dir, sha256_of_file};
        use crate::torch::{TorchEncoder, TorchOutput};

        let folder = folder.as_ref();
        let encoder = TorchEncoder::load(folder, options)?;
        let path = encoder.tokenizer_path();
        let bytes = std::fs::read(path).map_err(|error| LoadError::io(path, error))?;
        let tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| error.with_path(path))?;
        if tokenizer.vocabulary() > encoder.vocabulary() {
            let (ids, rows) = (tokenizer.vocabulary(), encoder.vocabulary());
            let message = format!("the tokenizer has {ids} ids, the checkpoint {rows} embeddings");
            return Err(LoadError::new(LoadErrorKind::Tokenizer, message).with_path(path));
        }
        let (name, heads) = match encoder.output() {
            TorchOutput::Logits(map) => {
                let sum = sha256_of_file(encoder.weights_path())?;
                let name = folder.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy());
                (format!("{name}@sha256:{}", &sum[..8]), Heads::labels(map.clone()))
            }
            TorchOutput::Pooled => {
                let (name, readout) = readout_of_dir(folder)?;
                let heads = Heads::from_readout(&readout);
                (name, heads.map_err(|error| error.with_path(encoder.weights_path()))?)
            }
        };
        Engine::new(&name, tokenizer, Arc::new(encoder), heads)
    }

    /// The model's name as results carry it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The encoder.
    pub fn encoder(&self) -> &dyn Encoder {
        &self.encoder
    }

    /// The heads.
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// P(type, status) of the sentences of one story; `None` where the model has no event head. For fitting
    /// what stands on the model; stories are analysed by an [`Analyzer`](crate::Analyzer).
    ///
    /// # Errors
    ///
    /// Where a back end of the caller's own choice fails.
    pub fn event_probs(&self, sentences: &[&str]) -> Result<Vec<Option<EventProbs>>, AnalyzeError> {
        Ok(self.scores(sentences)?.into_iter().map(|scores| scores.events).collect())
    }

    /// Sentiment of the sentences of one story. For measuring a model by itself; stories are analysed by an
    /// [`Analyzer`](crate::Analyzer).
    ///
    /// # Errors
    ///
    /// As [`Engine::event_probs`].
    pub fn sentiments(&self, sentences: &[&str]) -> Result<Vec<Sentiment>, AnalyzeError> {
        Ok(self.scores(sentences)?.into_iter().map(|scores| scores.sentiment).collect())
    }

    fn scores(&self, sentences: &[&str]) -> Result<Vec<SentenceScores>, AnalyzeError> {
        let windows: Vec<Windows> =
            sentences.iter().map(|sentence| self.windows(sentence)).collect::<Result<_, _>>()?;
        let vectors = self.vectors(&windows.iter().collect::<Vec<_>>())?;
        Ok(self.read(&vectors, &windows, &vec![true; windows.len()]))
    }

    /// Cuts a sentence into the windows that the encoder takes.
    pub(crate) fn windows(&self, sentence: &str) -> Result<Windows, AnalyzeError> {
        let mut sequences = Vec::new();
        self.tokenizer.sequences(sentence, self.encoder.max_tokens(), &mut sequences)?;
        Ok(Windows { sequences })
    }

    /// The vectors of the windows of any number of stories, one after another: `[windows, dim]`.
    ///
    /// Windows are sorted by length and packed into forwards of about [`Encoder::batch_tokens`]; each forward is one
    /// task. A window's vector does not depend on the packing: that is the encoder's contract.
    pub(crate) fn vectors(&self, sentences: &[&Windows]) -> Result<Vec<f32>, AnalyzeError> {
        let sequences: Vec<&[u32]> =
            sentences.iter().flat_map(|windows| &windows.sequences).map(Vec::as_slice).collect();
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        order.sort_by_key(|&at| sequences[at].len());

        let dim = self.encoder.dim();
        let forwards: Vec<Vec<f32>> = pack(&order, &sequences, self.encoder.batch_tokens())
            .into_par_iter()
            .map(|members| {
                let mut batch = TokenBatch::new();
                members.iter().for_each(|&at| batch.push(sequences[at]));
                let mut vectors = vec![0.0; members.len() * dim];
                self.encoder.encode(&batch, &mut vectors).map(|()| vectors)
            })
            .collect::<Result<_, _>>()?;

        let mut vectors = vec![0.0f32; sequences.len() * dim];
        let mut order = order.into_iter();
        // Each forward is given back once it is copied: of a long text the vectors are most of the memory.
        for forward in forwards {
            for (vector, at) in forward.chunks_exact(dim).zip(&mut order) {
                vectors[at * dim..(at + 1) * dim].copy_from_slice(vector);
            }
        }
        Ok(vectors)
    }

    /// Reads the vectors of one story. `content` says which sentences are part of it: those see each other, and
    /// each of the others is read alone.
    pub(crate) fn read(
        &self,
        vectors: &[f32],
        sentences: &[Windows],
        content: &[bool],
    ) -> Vec<SentenceScores> {
        if content.iter().all(|&content| content) {
            let tokens: Vec<Vec<usize>> = sentences.iter().map(Windows::tokens).collect();
            return self.heads.read(vectors, &tokens);
        }
        let dim = self.encoder.dim();
        let mut story = (Vec::new(), Vec::new());
        let mut scores: Vec<Option<SentenceScores>> = vec![None; sentences.len()];
        let mut at = 0;
        for (number, windows) in sentences.iter().enumerate() {
            let own = &vectors[at * dim..(at + windows.len()) * dim];
            at += windows.len();
            if content[number] {
                story.0.extend_from_slice(own);
                story.1.push(windows.tokens());
            } else {
                scores[number] = self.heads.read(own, &[windows.tokens()]).pop();
            }
        }
        let mut told = self.heads.read(&story.0, &story.1).into_iter();
        scores.into_iter().filter_map(|alone| alone.or_else(|| told.next())).collect()
    }
}

/// Cuts `order` into runs of at most `most` tokens, each of at least one sequence.
fn pack<'o>(order: &'o [usize], sequences: &[&[u32]], most: usize) -> Vec<&'o [usize]> {
    let mut runs = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (at, &sequence) in order.iter().enumerate() {
        let len = sequences[sequence].len();
        if at > start && tokens + len > most {
            runs.push(&order[start..at]);
            (start, tokens) = (at, 0);
        }
        tokens += len;
    }
    if start < order.len() {
        runs.push(&order[start..]);
    }
    runs
}
