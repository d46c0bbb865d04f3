//! From tokens to one vector a sentence: the seam between the pipeline and the engines.

use crate::error::AnalyzeError;

/// Sequences of token ids, one after another and without padding.
///
/// Sequence `i` is `ids[bounds[i]..bounds[i + 1]]`, special tokens included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenBatch {
    ids: Vec<u32>,
    bounds: Vec<usize>,
}

impl TokenBatch {
    /// A batch without sequences.
    pub fn new() -> Self {
        TokenBatch { ids: Vec::new(), bounds: vec![0] }
    }

    /// Appends a sequence, special tokens included.
    pub fn push(&mut self, ids: &[u32]) {
        if self.bounds.is_empty() {
            self.bounds.push(0);
        }
        self.ids.extend_from_slice(ids);
        self.bounds.push(self.ids.len());
    }

    /// Removes all sequences and keeps the memory.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.bounds.clear();
        self.bounds.push(0);
    }

    /// How many sequences it holds.
    pub fn len(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many tokens all sequences have together.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// The ids of all sequences, one after another.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Where each sequence starts in [`TokenBatch::ids`], and last where the last one ends.
    pub fn bounds(&self) -> &[usize] {
        &self.bounds
    }

    /// The sequences in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.bounds.windows(2).map(|pair| &self.ids[pair[0]..pair[1]])
    }
}

/// Turns sequences of tokens into one vector each.
///
/// The contract that results rest on: the vector of a sequence depends on that sequence alone, bit for bit,
/// whatever else is in the batch and whichever thread calls.
pub trait Encoder: Send + Sync {
    /// A short name of engine and precision, like `bert int8`.
    fn name(&self) -> &str;

    /// How many numbers a vector has.
    fn dim(&self) -> usize;

    /// The longest sequence that it takes, special tokens included.
    fn max_tokens(&self) -> usize;

    /// How many tokens one call of [`Encoder::encode`] should have, about.
    ///
    /// An [`Engine`](crate::Engine) sorts sequences by length and packs them into batches that have at most so many
    /// tokens together; a longer sequence is a batch of its own. Batches are encoded on several threads at once.
    /// The default, 256, suits an engine on the processor: enough rows for its matrix products, few enough for
    /// their results to stay in a core's cache. A back end that gains from more, like a GPU, asks for more. Results
    /// do not depend on it: that is the contract above.
    fn batch_tokens(&self) -> usize {
        256
    }

    /// Writes the vector of each sequence to `out`: `[batch.len(), dim()]`, row-major.
    ///
    /// # Errors
    ///
    /// If the back end fails, a sequence is empty or longer than [`Encoder::max_tokens`], a token is not in
    /// the vocabulary, or `out` has another length than `batch.len() * dim()`.
    fn encode(&self, batch: &TokenBatch, out: &mut [f32]) -> Result<(), AnalyzeError>;
}

macro_rules! forward {
    ($($target:ty),*) => {$(
        impl<E: Encoder + ?Sized> Encoder for $target {
            fn name(&self) -> &str {
                (**self).name()
            }

            fn dim(&self) -> usize {
                (**self).dim()
            }

            fn max_tokens(&self) -> usize {
                (**self).max_tokens()
            }

            fn batch_tokens(&self) -> usize {
                (**self).batch_tokens()
            }

            fn encode(&self, batch: &TokenBatch, out: &mut [f32]) -> Result<(), AnalyzeError> {
                (**self).encode(batch, out)
            }
        }
    )*};
}

forward!(&E, Box<E>, std::sync::Arc<E>);
