//! Reads what customers write about how they were served, and tells whether the company made amends.

mod content;
mod document;
mod encoder;
mod error;
mod events;
mod heads;
mod interactions;
mod score;
mod segment;
mod sentiment;
mod span;
#[cfg(feature = "rust-bert")]
mod torch;

pub use content::Boilerplate;
pub use document::Document;
pub use encoder::{Encoder, TokenBatch};
pub use error::{AnalyzeError, AnalyzeErrorKind, LoadError, LoadErrorKind};
pub use events::{Actor, EVENT_TYPES, Event, EventGroup, EventType, Evidence, RuleCode, Status, UnknownName};
pub use interactions::Provider;
pub use segment::{BlockKind, Segment, segment};
pub use sentiment::{Sentiment, SentimentLabel};
pub use span::{InteractionId, SentenceId, Span};
#[cfg(feature = "rust-bert")]
pub use torch::{
    LabelMap, TorchBatching, TorchDevice, TorchEncoder, TorchOptions, TorchOutput, TorchPrecision,
};
