//! The sentences, what they are labelled with, and how well a peer agrees.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use amends::{AnalyzeError, Encoder, Engine, Heads, Model, Precision, Sentiment, TokenBatch, Tokenizer};
use anyhow::{Context, Result};
use serde::Deserialize;

/// Labelled sentences: of stories, and alone.
pub(crate) struct Data {
    pub(crate) name: String,
    pub(crate) model: Model,
    /// The stories as they were written.
    pub(crate) documents: Vec<String>,
    /// Their sentences with their labels.
    stories: Vec<Vec<(String, String)>>,
    /// SST-2's development sentences; empty where they are not there.
    phrases: Vec<(String, String)>,
    /// Token ids of the sentences of the stories, as the engine makes them: what encoders are timed on.
    pub(crate) sequences: Vec<Vec<u32>>,
    /// Those of the phrases.
    pub(crate) phrase_sequences: Vec<Vec<u32>>,
}

#[derive(Deserialize)]
struct Story {
    text: String,
    sentences: Vec<Labelled>,
}

#[derive(Deserialize)]
struct Labelled {
    start: usize,
    end: usize,
    sentiment: String,
    #[serde(default)]
    boilerplate: bool,
}

#[derive(Deserialize)]
struct Phrase {
    text: String,
    label: String,
}

impl Data {
    /// Loads what is there, of it the first `stories`.
    pub(crate) fn load(stories: Option<usize>) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shared = std::env::var_os("AMENDS_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
        let reviews = shared.join("data/events/dev.jsonl");
        let (name, path) = match reviews.is_file() {
            true => ("labelled development reviews", reviews),
            false => (
                "our own labelled stories (the model was trained on them)",
                root.join("data/labelled/stories.jsonl"),
            ),
        };
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut found: Vec<Vec<(String, String)>> = Vec::new();
        let mut documents = Vec::new();
        for line in text.lines() {
            let Story { text, sentences } = serde_json::from_str(line)?;
            let labelled = sentences.into_iter().filter(|sentence| !sentence.boilerplate);
            found.push(labelled.map(|at| (text[at.start..at.end].to_owned(), at.sentiment)).collect());
            documents.push(text);
        }
        found.truncate(stories.unwrap_or(usize::MAX));
        documents.truncate(found.len());

        let mut phrases = Vec::new();
        let path = shared.join("data/sentiment/sst2-dev.jsonl.gz");
        if let Ok(file) = std::fs::File::open(path) {
            let mut text = String::new();
            flate2::read::GzDecoder::new(file).read_to_string(&mut text)?;
            for line in text.lines() {
                let Phrase { text, label } = serde_json::from_str(line)?;
                phrases.push((text, label));
            }
            phrases.truncate(stories.map_or(usize::MAX, |stories| stories * 10));
        }

        let model = Model::from_dir(root.join("data/model"), Precision::Int8)?;
        let mut data = Data {
            name: name.to_owned(),
            model,
            documents,
            stories: found,
            phrases,
            sequences: vec![],
            phrase_sequences: vec![],
        };
        let sequences = |texts: Vec<&str>| -> Result<Vec<Vec<u32>>> {
            data.recorded(|engine| Ok(engine.sentiments(&texts).map(|_| ())?))
        };
        let (stories, phrases) = (sequences(data.texts())?, sequences(data.phrases())?);
        (data.sequences, data.phrase_sequences) = (stories, phrases);
        Ok(data)
    }

    /// The sequences that an engine asks its encoder for, sorted by length as it sorts them.
    pub(crate) fn recorded(&self, work: impl FnOnce(Engine) -> Result<()>) -> Result<Vec<Vec<u32>>> {
        let recorder = Arc::new(Recorder::new(&self.model));
        work(self.engine(Arc::clone(&recorder) as Arc<dyn Encoder>)?)?;
        Ok(std::mem::take(&mut *recorder.sequences.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The shipped tokenizer and heads around another encoder.
    pub(crate) fn engine(&self, encoder: Arc<dyn Encoder>) -> Result<Engine> {
        let tokenizer = Tokenizer::from_bytes(self.model.tokenizer_json())?;
        Ok(Engine::new("peer", tokenizer, encoder, Heads::from_model(&self.model)?)?)
    }

    /// Sentences and tokens of every `every`-th sequence.
    pub(crate) fn tokens(&self, every: usize) -> (usize, usize) {
        let some = self.sequences.iter().step_by(every);
        (some.len(), some.map(Vec::len).sum())
    }

    /// The texts of the sentences of the stories.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.stories.iter().flatten().map(|(text, _)| text.as_str()).collect()
    }

    /// The texts of the phrases.
    pub(crate) fn phrases(&self) -> Vec<&str> {
        self.phrases.iter().map(|(text, _)| text.as_str()).collect()
    }

    /// Marks of an encoder that is read with the shipped heads: stories as stories, phrases alone.
    pub(crate) fn marks_of_engine(&self, engine: &Engine) -> Result<Marks> {
        let mut found = Vec::new();
        for story in &self.stories {
            let texts: Vec<&str> = story.iter().map(|(text, _)| text.as_str()).collect();
            found.extend(engine.sentiments(&texts)?.iter().map(probabilities));
        }
        let mut phrases = Vec::new();
        for (text, _) in &self.phrases {
            phrases.extend(engine.sentiments(&[text])?.iter().map(probabilities));
        }
        Ok(self.marks(&found, &phrases))
    }

    /// Marks of what a lexicon says: from a score in -1..=1, neutral within 0.05 of 0 as VADER's authors have it.
    pub(crate) fn marks_of_scores(&self, stories: &[f64], phrases: &[f64]) -> Marks {
        let read = |score: &f64| match *score {
            score if score >= 0.05 => [0.0, 0.0, 1.0],
            score if score <= -0.05 => [1.0, 0.0, 0.0],
            score => [0.25 - score / 4.0, 0.5, 0.25 + score / 4.0],
        };
        self.marks(
            &stories.iter().map(read).collect::<Vec<_>>(),
            &phrases.iter().map(read).collect::<Vec<_>>(),
        )
    }

    /// From the probabilities of negative, neutral and positive.
    fn marks(&self, stories: &[[f64; 3]], phrases: &[[f64; 3]]) -> Marks {
        let labels: Vec<&str> = self.stories.iter().flatten().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels.len(), stories.len());
        let mut confusion = [[0usize; 3]; 3];
        for (label, found) in labels.iter().zip(stories) {
            if let Some(gold) = CLASSES.iter().position(|class| class == label) {
                confusion[gold][largest(found)] += 1;
            }
        }
        let f1 = |class: usize| {
            let hits = confusion[class][class] as f64;
            let gold: usize = confusion[class].iter().sum();
            let found: usize = confusion.iter().map(|row| row[class]).sum();
            2.0 * hits / ((gold + found) as f64).max(1.0)
        };
        let phrase_labels: Vec<&str> = self.phrases.iter().map(|(_, label)| label.as_str()).collect();
        Marks {
            macro_f1: (0..3).map(f1).sum::<f64>() / 3.0,
            polar: polar(&labels, stories).unwrap_or(f64::NAN),
            sst2: polar(&phrase_labels, phrases),
        }
    }
}

const CLASSES: [&str; 3] = ["negative", "neutral", "positive"];

fn probabilities(sentiment: &Sentiment) -> [f64; 3] {
    [sentiment.negative(), sentiment.neutral(), sentiment.positive()].map(f64::from)
}

fn largest(found: &[f64; 3]) -> usize {
    (0..3).max_by(|&a, &b| found[a].total_cmp(&found[b])).unwrap_or(1)
}

/// How often the more likely of negative and positive is right, where the label is one of them. A tie is half right.
fn polar(labels: &[&str], found: &[[f64; 3]]) -> Option<f64> {
    let (mut right, mut all) = (0.0, 0.0);
    for (label, [negative, _, positive]) in labels.iter().zip(found) {
        let (good, bad) = match *label {
            "negative" => (negative, positive),
            "positive" => (positive, negative),
            _ => continue,
        };
        all += 1.0;
        right += if good > bad {
            1.0
        } else if good == bad {
            0.5
        } else {
            0.0
        };
    }
    (all > 0.0).then(|| right / all)
}

/// How well a peer agrees with the labels.
pub(crate) struct Marks {
    macro_f1: f64,
    polar: f64,
    sst2: Option<f64>,
}

impl Marks {
    pub(crate) const HEAD: &str =
        "macro-F1 of three classes | right of negative and positive | the same on SST-2";
    pub(crate) const RULE: &str = "---|---|---|";

    pub(crate) fn row(&self) -> String {
        let sst2 = self.sst2.map_or_else(|| "not there".to_owned(), |sst2| format!("{sst2:.3}"));
        format!("{:.3} | {:.3} | {sst2}", self.macro_f1, self.polar)
    }

    pub(crate) fn unknown(remark: &str) -> String {
        format!("not measured | not measured | {remark}")
    }
}

/// An encoder that remembers what it was asked for.
struct Recorder {
    dim: usize,
    max_tokens: usize,
    sequences: Mutex<Vec<Vec<u32>>>,
}

impl Recorder {
    fn new(model: &Model) -> Self {
        let encoder = model.encoder();
        Recorder { dim: encoder.dim(), max_tokens: encoder.max_tokens(), sequences: Mutex::default() }
    }
}

impl Encoder for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    fn encode(&self, batch: &TokenBatch, out: &mut [f32]) -> Result<(), AnalyzeError> {
        let mut sequences = self.sequences.lock().unwrap_or_else(PoisonError::into_inner);
        sequences.extend(batch.iter().map(<[u32]>::to_vec));
        out.fill(0.0);
        Ok(())
    }
}

/// An encoder that somebody else has run: vectors by token ids.
pub(crate) struct Table {
    dim: usize,
    max_tokens: usize,
    vectors: HashMap<Vec<u32>, Vec<f32>>,
}

impl Table {
    /// Of these sequences; `vectors` is `[sequences, dim]`.
    pub(crate) fn new<'s>(
        data: &Data,
        sequences: impl Iterator<Item = &'s Vec<u32>>,
        vectors: &[f32],
    ) -> Self {
        let encoder = data.model.encoder();
        let vectors = sequences.cloned().zip(vectors.chunks_exact(encoder.dim()).map(<[f32]>::to_vec));
        Table { dim: encoder.dim(), max_tokens: encoder.max_tokens(), vectors: vectors.collect() }
    }
}

impl Encoder for Table {
    fn name(&self) -> &str {
        "table"
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    fn encode(&self, batch: &TokenBatch, out: &mut [f32]) -> Result<(), AnalyzeError> {
        for (ids, out) in batch.iter().zip(out.chunks_exact_mut(self.dim)) {
            let vector = self.vectors.get(ids).expect("a sequence that was recorded");
            out.copy_from_slice(vector);
        }
        Ok(())
    }
}
