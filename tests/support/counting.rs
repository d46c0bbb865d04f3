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
}

#[allow(dead_code)] // not every test looks at it
impl Work {
    /// Forwards, windows and tokens since the last call.
    pub(crate) fn take(&self) -> [usize; 3] {
        [&self.forwards, &self.windows, &self.tokens].map(|count| count.swap(0, Ordering::Relaxed))
    }
}

/// Logits that depend on the tokens of a sequence and on nothing else.
struct Counting(Arc<Work>);

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
pub(crate) fn analyzer() -> (AnalyzerBuilder, Arc<Work>) {
    let here = env!("CARGO_MANIFEST_DIR");
    let root = here.strip_suffix("/tests/fuzz").unwrap_or(here);
    let file = std::fs::read(format!("{root}/data/model/tokenizer.json")).unwrap();
    let tokenizer = Tokenizer::from_bytes(&file).unwrap();
    let work = Arc::new(Work::default());
    let heads = Heads::labels(LabelMap::new(&["negative", "neutral", "positive"]).unwrap());
    let engine = Engine::new("counting", tokenizer, Arc::new(Counting(Arc::clone(&work))), heads).unwrap();
    (Analyzer::builder().engine(engine), work)
}
