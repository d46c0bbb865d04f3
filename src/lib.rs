//! Reads what customers write about how they were served, and tells whether the company made amends.

mod analysis;
mod analyzer;
mod batch;
mod bert;
mod content;
mod context;
mod document;
mod encoder;
mod engine;
mod error;
mod events;
mod heads;
mod interactions;
mod labels;
mod links;
mod math;
mod model;
pub mod output;
mod score;
mod segment;
mod sentiment;
mod span;
mod tokenize;
#[cfg(feature = "rust-bert")]
mod torch;

pub use analysis::{Analysis, Interaction, Sentence, Warning};
pub use analyzer::{AnalyzeOptions, Analyzer, AnalyzerBuilder, AsStory, Limits};
pub use batch::AnalyzeIter;
pub use content::Boilerplate;
pub use document::Document;
pub use encoder::{Encoder, TokenBatch};
pub use engine::Engine;
pub use error::{AnalyzeError, AnalyzeErrorKind, LoadError, LoadErrorKind};
pub use events::{
    Actor, EVENT_TYPES, Event, EventGroup, EventType, Evidence, Extractor, MergeConfig, MergeNumbers,
    RuleCode, RuleFailure, RuleHit, RuleSet, Status, UnknownName,
};
pub use heads::{EventProbs, Heads};
pub use interactions::Provider;
pub use labels::LabelMap;
pub use links::{Link, LinkKind};
pub use model::{Head, Model, Precision, QuantizeReport, QuantizedTensor, Tensor, quantize};
pub use score::{
    Contribution, Dimensions, EventWeights, Flag, IntervalWeights, LinkWeights, Reason, RecoveryWeights,
    Score, ScoreInput, Scored, Scorer, SentimentWeights, Tone, Weights,
};
pub use segment::{BlockKind, Segment, segment};
pub use sentiment::{Sentiment, SentimentLabel};
pub use span::{InteractionId, SentenceId, Span};
pub use tokenize::{Token, Tokenizer};
#[cfg(feature = "rust-bert")]
pub use torch::{TorchBatching, TorchDevice, TorchEncoder, TorchOptions, TorchOutput, TorchPrecision};
