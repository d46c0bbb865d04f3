//! From sentence vectors to sentiment and event probabilities.

use crate::events::EVENT_TYPES;
use crate::sentiment::Sentiment;

/// P(type, status) of a sentence: rows as [`EventType::ALL`](crate::EventType::ALL), columns occurred, absent, unreal.
pub type EventProbs = [[f32; 3]; EVENT_TYPES];

/// What the model says of one sentence.
#[derive(Clone, Debug)]
pub(crate) struct SentenceScores {
    pub(crate) sentiment: Sentiment,
    /// `None` where the model has no event head.
    pub(crate) events: Option<Box<EventProbs>>,
}
