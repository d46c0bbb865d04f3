//! Many analyses in one picture: how customers were served, what moved the scores, and whether failures were answered.
//!
//! ```
//! # #[cfg(feature = "embedded")] {
//! use amends::Analyzer;
//! use amends::summary::{SummaryBuilder, SummaryKey, SummaryOptions};
//!
//! let analyzer = Analyzer::embedded()?;
//! let stories = [
//!     ("Kite Air", "They lost my bag. They apologised the same day and refunded the fare. I will fly with them again."),
//!     ("Kite Air", "Three hours late, and the crew was rude. Nobody apologised. Never again."),
//!     ("Corvin", "Quick, friendly, and just as promised."),
//! ];
//! let mut builder = SummaryBuilder::new(SummaryOptions::default());
//! for (number, (provider, text)) in stories.into_iter().enumerate() {
//!     builder.add(&analyzer.analyze(text)?, SummaryKey::new(number as u64).with_provider(provider));
//! }
//! let summary = builder.finish();
//! assert_eq!(summary.stories, 3);
//! assert_eq!(summary.failures.answered.map(|share| share.value), Some(0.5));
//! assert_eq!(summary.providers[0].name, "Kite Air");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is counted
//!
//! - The unit of scores, failures, flags and movers is the **interaction**; that of sentiment is the sentence of a
//!   story (no boilerplate).
//! - An interaction whose text says too little ([`Flag::InsufficientEvidence`]) has no score worth counting: it is
//!   counted, and left out of everything that is made of scores. Movers, flags and failures count all interactions,
//!   these too.
//! - A **failure** is an event of the group [`EventGroup::Failure`](crate::EventGroup) that occurred. It is
//!   **answered** where a [`LinkKind::Answers`](crate::LinkKind) leads to it. An interaction counts as answered when
//!   at least one of its failures is.
//! - A **mover** is a reason of the ledger (`apology:absent`, `sentiment:end`): how many interactions have it, what
//!   it adds there, and what that makes over all interactions.
//!
//! # Intervals
//!
//! Every [`Estimate`] has a bootstrap interval by the percentile method; level, number of resamples and seed stand
//! in [`Summary::bootstrap`]. What is resampled are **stories**: the interactions and sentences of one story depend
//! on each other, and taken one by one they would make the interval too narrow. In each resample a story counts
//! Poisson(1) times, which for many stories is the ordinary bootstrap (Hanley and MacGibbon 2006; Chamandy,
//! Muralidharan, Najmi and Naidu 2012) and needs no story to be kept. An interval says how far another sample of
//! such stories might differ, not how far the scores are wrong; from a few dozen stories it is somewhat too narrow.
//!
//! # Promises
//!
//! - The same stories with the same numbers give the same summary, bit for bit, in whatever order they are added
//!   and however builders are merged: sums are kept in whole units of 2⁻¹⁶ points.
//! - Memory: about `8 · resamples` bytes for each of some 200 sums and 4 kB for each tenth of a point that a score
//!   falls on, 2 to 6 MB at 1000 resamples whatever the number of stories; where stories have a provider or a
//!   month, 20 bytes more for each interaction.

mod bootstrap;
mod builder;
mod facts;
mod groups;
mod key;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::events::EventType;
use crate::score::Flag;
use crate::sentiment::SentimentLabel;

pub use builder::SummaryBuilder;
pub use key::{MAX_RESAMPLES, Month, ParseMonthError, SummaryKey, SummaryOptions};

/// Version of the shape of [`Summary`] as JSON. Fields may be added without a new one.
pub const SCHEMA: u32 = 1;

/// What many analyses say together. Made by [`SummaryBuilder::finish`]; its JSON has the names of its fields.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Stories that were analysed.
    pub stories: u64,
    /// Stories that could not be read or analysed; they count nowhere else.
    pub failed: u64,
    /// Sentences that are part of a story (no boilerplate).
    pub sentences: u64,
    /// Interactions of all stories.
    pub interactions: u64,
    /// How the intervals were made.
    pub bootstrap: Bootstrap,
    /// The scores, or `null` where no interaction says enough for one.
    pub score: Option<ScoreSummary>,
    /// Failures, and how they were answered.
    pub failures: FailureSummary,
    /// What moves the scores, those first that move all interactions together most. Interactions that say too little
    /// for a score are counted here as well.
    pub movers: Vec<Mover>,
    /// Shares of the sentences by sentiment, in the order negative, neutral, positive, mixed.
    pub sentiment: Vec<SentimentShare>,
    /// Shares of all interactions by flag.
    pub flags: Vec<FlagShare>,
    /// By provider, most interactions first, then by name. Empty where the stories came without one.
    pub providers: Vec<GroupSummary>,
    /// By month, in order of time. Empty where the stories came without one.
    pub months: Vec<GroupSummary>,
}

/// How the intervals of a summary were made.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Bootstrap {
    /// What share of intervals is meant to hold the true value, 0..1.
    pub level: f64,
    /// How many resamples of the stories were drawn.
    pub resamples: usize,
    /// What the drawing started from.
    pub seed: u64,
}

/// A value with its bootstrap interval.
///
/// There is no interval where fewer than ten stories bear on the value, or where all resamples agree, as they do on
/// a share of 0: the bootstrap has nothing to say there.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Estimate {
    /// The value in the stories at hand.
    pub value: f64,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
}

/// The distribution of experience scores, 0..=100, over the interactions that say enough for one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ScoreSummary {
    /// How many interactions say enough for a score.
    pub scored: u64,
    /// How many say too little and are left out.
    pub insufficient: u64,
    /// Mean score.
    pub mean: Estimate,
    /// Median score, to within 0.05 points.
    pub median: Estimate,
    /// Standard deviation of the scores (of this population: divided by their number).
    pub deviation: f64,
    /// Quantiles, each to within 0.05 points.
    pub quantiles: Vec<Quantile>,
    /// How many scores lie in 0..10, 10..20, … 90..=100 points.
    pub histogram: [u64; 10],
}

/// The score that a share of the interactions does not exceed.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Quantile {
    /// Which share, 0..1.
    pub share: f64,
    /// The least score, in steps of 0.1, that at least this share of the interactions has or is below.
    pub score: f64,
}

/// Failures, and how they were answered.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FailureSummary {
    /// Share of all interactions that tell of a failure.
    pub failed: Option<Estimate>,
    /// Of these, the share in which at least one failure was answered by a recovery.
    pub answered: Option<Estimate>,
    /// Mean score of interactions without a failure.
    pub score_without: Option<Estimate>,
    /// Mean score of interactions whose failures were answered.
    pub score_answered: Option<Estimate>,
    /// Mean score of interactions whose failures nobody answered.
    pub score_unanswered: Option<Estimate>,
    /// By type of failure, most frequent first.
    pub by_failure: Vec<FailureType>,
    /// By type of recovery, most frequent first: how failures were answered.
    pub by_recovery: Vec<RecoveryType>,
}

/// One type of failure.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FailureType {
    /// The type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Failures of this type. One that is told of in two sentences counts twice.
    pub failures: u64,
    /// Share of them that a recovery answers.
    pub answered: Estimate,
}

/// One way of answering failures.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RecoveryType {
    /// The type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Interactions in which such a recovery answers a failure.
    pub interactions: u64,
    /// Their share of the interactions with a failure. One failure may be answered in several ways.
    pub share: Estimate,
    /// Their mean score.
    pub score: Option<Estimate>,
}

/// One reason for higher or lower scores.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Mover {
    /// The reason as the ledger writes it, like `apology:absent` or `sentiment:end`.
    pub reason: String,
    /// Interactions that have it.
    pub interactions: u64,
    /// Their share of all interactions.
    pub share: Estimate,
    /// Points that it moves the score by where it is, on average.
    pub points: Estimate,
    /// Points that it moves the score by over all interactions, on average: share times points.
    pub effect: Estimate,
}

/// How many sentences have a sentiment.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct SentimentShare {
    /// Which one.
    pub label: SentimentLabel,
    /// How many sentences.
    pub sentences: u64,
    /// Their share of all sentences of stories.
    pub share: Estimate,
}

/// How many interactions have a flag.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct FlagShare {
    /// Which one.
    pub flag: Flag,
    /// How many interactions.
    pub interactions: u64,
    /// Their share of all interactions.
    pub share: Estimate,
}

/// The stories of one provider or one month.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupSummary {
    /// The provider, or the month as `2026-11`.
    pub name: String,
    /// Stories.
    pub stories: u64,
    /// Interactions of these.
    pub interactions: u64,
    /// Mean score of those that say enough for one.
    pub mean: Option<Estimate>,
    /// Median score of these, to within 0.05 points.
    pub median: Option<Estimate>,
    /// Share of the interactions that tell of a failure.
    pub failed: Option<Estimate>,
    /// Of these, the share in which at least one failure was answered.
    pub answered: Option<Estimate>,
}
