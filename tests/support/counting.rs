//! An engine without a model, which counts what it is asked to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use amends::{
    AnalyzeError, Analyzer, AnalyzerBuilder, Encoder, Engine, Heads, LabelMap, TokenBatch, Tokenizer,
};

/// What an engine has done so far.
#[derive(Debug, Default)]
pub(crate) struct Work {
    forwards: AtomicUsize,
    windows: AtomicUsize,
    tokens: AtomicUsize,
    largest: AtomicUsize,
}

#[allow(dead_code)] // not every test looks at it
impl Work {
    /// Forwards, windows and tokens since the last call.
    pub(crate) fn take(&self) -> [usize; 3] {
        [&self.forwards, &self.windows, &self.tokens].map(|count| count.swap(0, Ordering::Relaxed))
    }

    /// The most tokens of one forward since the last call.
    pub(crate) fn largest(&self) -> usize {
        self.largest.swap(0, Ordering::Relaxed)
    }
}

/// Logits that depend on the tokens of a sequence and on nothing else.
struct Counting(Arc<Work>);

/// The same, with batches of as many tokens as it says.
struct Asking(Counting, usize);

impl Encoder for Asking {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn max_tokens(&self) -> usize {
        self.0.max_tokens()
    }

    fn batch_tokens(&self) -> usize {
        self.1
    }

    fn encode(&self, batch: &TokenBatch, out: &mut [f32]) -> Result<(), AnalyzeError> {
        self.0.encode(batch, out)
    }
}

/// The same, but it cannot do sequences above so many tokens, as an engine of somebody's own might not.
struct Refusing(Counting, usize);

impl Encoder for Refusing {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn max_tokens(&self) -> usize {
        self.0.max_tokens()
    }

    fn encode(&self, batch: &TokenBatch, out: &mut [f32]) -> Result<(), AnalyzeError> {
        match batch.iter().map(<[u32]>::len).max() {
            Some(most) if most > self.1 => {
                Err(AnalyzeError::back_end(format!("{most} tokens are too many"), None))
            }
            _ => self.0.encode(batch, out),
        }
    }
}

impl Encoder for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn dim(&self) -> usize {
        3
    }

    fn max_tokens(&self) -> usize {
        128
    }

    fn encode(&self, batch: &TokenBatch, out: &mut [f32]) -> Result<(), AnalyzeError> {
        assert!(batch.iter().all(|ids| !ids.is_empty() && ids.len() <= self.max_tokens()));
        self.0.forwards.fetch_add(1, Ordering::Relaxed);
        self.0.windows.fetch_add(batch.len(), Ordering::Relaxed);
        self.0.tokens.fetch_add(batch.tokens(), Ordering::Relaxed);
        self.0.largest.fetch_max(batch.tokens(), Ordering::Relaxed);
        for (ids, logits) in batch.iter().zip(out.chunks_exact_mut(3)) {
            let mut hash = 0xcbf2_9ce4_8422_2325u64;
            for &id in ids {
                hash = (hash ^ u64::from(id)).wrapping_mul(0x100_0000_01b3);
            }
            for (logit, shift) in logits.iter_mut().zip([12, 28, 44]) {
                *logit = ((hash >> shift) & 0xff) as f32 / 64.0 - 2.0;
            }
        }
        Ok(())
    }
}

/// An analyzer with the built-in rules, the shipped model's tokenizer, and no model.
#[allow(dead_code)] // not every test takes it
pub(crate) fn analyzer() -> (AnalyzerBuilder, Arc<Work>) {
    let work = Arc::new(Work::default());
    (builder(Arc::new(Counting(Arc::clone(&work)))), work)
}

/// The same with an engine that asks for batches of `tokens` tokens.
#[allow(dead_code)] // not every test takes it
pub(crate) fn analyzer_in_batches(tokens: usize) -> (AnalyzerBuilder, Arc<Work>) {
    let work = Arc::new(Work::default());
    (builder(Arc::new(Asking(Counting(Arc::clone(&work)), tokens))), work)
}

/// The same with an engine that fails at sequences above `tokens` tokens.
#[allow(dead_code)] // not every test takes it
pub(crate) fn analyzer_that_refuses(tokens: usize) -> AnalyzerBuilder {
    builder(Arc::new(Refusing(Counting(Arc::default()), tokens)))
}

fn builder(encoder: Arc<dyn Encoder>) -> AnalyzerBuilder {
    let here = env!("CARGO_MANIFEST_DIR");
    let root = here.strip_suffix("/tests/fuzz").unwrap_or(here);
    let file = std::fs::read(format!("{root}/data/model/tokenizer.json")).unwrap();
    let tokenizer = Tokenizer::from_bytes(&file).unwrap();
    let heads = Heads::labels(LabelMap::new(&["negative", "neutral", "positive"]).unwrap());
    Analyzer::builder().engine(Engine::new("counting", tokenizer, encoder, heads).unwrap())
}
