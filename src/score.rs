//! The experience score of an interaction: 0 as bad as it gets, 50 indifferent, 100 as good as it gets.
//!
//! Why this way: a number that somebody is judged by has to be taken apart. So the score is a sum on a raw scale (a
//! base, sentence sentiment, events, recoveries, one penalty), mapped to 0..100 by the logistic function alone.
//! Every term keeps its place in the text; its points are its share of the way from the base value to the value. A
//! failure weighs by its type, its confidence and its severity. What the sum may not do is fixed by the form and
//! the signs of the weights, not by the fit: an event that tells of a failure never raises a score, a recovery
//! never lowers one, nor does moving it to the end. It holds for all weights that [`Weights::check`] admits;
//! `tests/score.rs` tries it on ours and on others drawn from that whole range.

mod flags;
mod justice;
mod ledger;
mod tone;
mod weights;

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::LoadError;
use crate::events::{Event, EventType, Status, UnknownName};
use crate::links::{Link, LinkKind, links};
use crate::math;
use crate::sentiment::Sentiment;
use crate::span::{SentenceId, Span};

pub use flags::Flag;
pub use justice::Dimensions;
pub use weights::{
    EventWeights, IntervalWeights, LinkWeights, RecoveryWeights, SentimentWeights, SeverityWeights, Weights,
};

/// How good the experience was for the customer, with the interval that it is uncertain by.
///
/// All three are in 0..=100, and `low <= value <= high`, which is checked where one is read. 0 is as bad as it
/// gets, 50 indifferent.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Score {
    value: f64,
    low: f64,
    high: f64,
}

/// A score as it is read.
#[derive(Deserialize)]
struct Unchecked {
    value: f64,
    low: f64,
    high: f64,
}

impl TryFrom<Unchecked> for Score {
    type Error = String;

    fn try_from(Unchecked { value, low, high }: Unchecked) -> Result<Self, String> {
        if 0.0 <= low && low <= value && value <= high && high <= 100.0 {
            return Ok(Score { value, low, high });
        }
        Err(format!("a score of {value} within {low}..={high} is none: 0 <= low <= value <= high <= 100"))
    }
}

impl Score {
    /// The score itself, 0..=100.
    pub fn value(self) -> f64 {
        self.value
    }

    /// Lower end of the interval in which nine of ten readers' scores of reviews are expected. Told stories are harder:
    /// `data/score/README.md` says how many it holds there.
    pub fn low(self) -> f64 {
        self.low
    }

    /// Upper end of that interval.
    pub fn high(self) -> f64 {
        self.high
    }
}

/// What of the sentiment of its sentences a contribution comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Tone {
    /// The mean over the sentences that are not neutral.
    Mean,
    /// The worst sentence.
    PeakNegative,
    /// The best sentence.
    PeakPositive,
    /// The last sentences that are not neutral.
    End,
}

impl Tone {
    const ALL: [Tone; 4] = [Tone::Mean, Tone::PeakNegative, Tone::PeakPositive, Tone::End];

    fn as_str(self) -> &'static str {
        match self {
            Tone::Mean => "mean",
            Tone::PeakNegative => "peak_negative",
            Tone::PeakPositive => "peak_positive",
            Tone::End => "end",
        }
    }
}

/// Why a score is higher or lower than the base value. Written `apology:absent`, `sentiment:end`,
/// `link:double_deviation`.
///
/// ```
/// use amends::Reason;
///
/// let reason: Reason = "proactive_contact:absent".parse()?;
/// assert_eq!(reason.to_string(), "proactive_contact:absent");
/// # Ok::<(), amends::UnknownName>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// An event with this type and status.
    Event(EventType, Status),
    /// How the sentences sound.
    Sentiment(Tone),
    /// How events hang together.
    Link(LinkKind),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Event(event_type, status) => write!(f, "{event_type}:{status}"),
            Reason::Sentiment(tone) => write!(f, "sentiment:{}", tone.as_str()),
            Reason::Link(kind) => write!(f, "link:{kind}"),
        }
    }
}

impl FromStr for Reason {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let unknown = || UnknownName::new(text);
        let (name, detail) = text.split_once(':').ok_or_else(unknown)?;
        Ok(match name {
            "sentiment" => Reason::Sentiment(
                Tone::ALL.into_iter().find(|tone| tone.as_str() == detail).ok_or_else(unknown)?,
            ),
            "link" if detail == LinkKind::DoubleDeviation.as_str() => Reason::Link(LinkKind::DoubleDeviation),
            _ => Reason::Event(EventType::custom(name)?, detail.parse()?),
        })
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One term of a score, in points, with the words that it comes from.
#[derive(Clone, PartialEq, Debug)]
pub struct Contribution {
    points: f64,
    reason: Reason,
    span: Span,
    sentence: SentenceId,
}

impl Contribution {
    /// How far it moves the value from the base value, in points of 0..100.
    pub fn points(&self) -> f64 {
        self.points
    }

    /// Why.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The words, in bytes of the story's text. For the mean sentiment these are all sentences of the
    /// interaction, from the first to the last.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The sentence that these words stand in; for the mean sentiment the one that moves it most.
    pub fn sentence(&self) -> SentenceId {
        self.sentence
    }
}

/// One interaction, as the score sees it. All slices but `sentences` and `events` run over the whole story.
#[derive(Clone, Copy, Debug)]
pub struct ScoreInput<'a> {
    /// The story.
    pub text: &'a str,
    /// Where its sentences are.
    pub spans: &'a [Span],
    /// Sentiment of its sentences.
    pub sentiments: &'a [Sentiment],
    /// The sentences of this interaction, ascending.
    pub sentences: &'a [SentenceId],
    /// Events in the order of the text; those of other sentences are left out.
    pub events: &'a [Event],
}

/// A score with all that explains it.
#[derive(Clone, PartialEq, Debug)]
pub struct Scored {
    /// The score and its interval.
    pub score: Score,
    /// The value of an interaction that says nothing. It and the points of all contributions add up to
    /// `score.value()`, to within 1e-9 (1e-6 is what the JSON promises).
    pub base: f64,
    /// Five sides of the experience.
    pub dimensions: Dimensions,
    /// What stands out, sorted.
    pub flags: Vec<Flag>,
    /// All terms, those that move the score most first.
    pub contributions: Vec<Contribution>,
    /// How the events hang together; positions are those in [`ScoreInput::events`].
    pub links: Vec<Link>,
}

/// Scores interactions. A pure function of its input and its weights.
///
/// ```
/// use amends::{ScoreInput, Scorer, Sentiment, SentenceId, Span};
///
/// let text = "The call never came. Nobody said sorry.";
/// let scorer = Scorer::built_in()?;
/// let scored = scorer.score(ScoreInput {
///     text,
///     spans: &[Span::new(0, 20), Span::new(21, 39)],
///     sentiments: &[Sentiment::from_weights(0.9, 0.1, 0.0), Sentiment::from_weights(0.8, 0.1, 0.1)],
///     sentences: &[SentenceId::new(0), SentenceId::new(1)],
///     events: &[],
/// });
/// assert!(scored.score.value() < 30.0);
/// let sum: f64 = scored.contributions.iter().map(|term| term.points()).sum();
/// assert!((scored.base + sum - scored.score.value()).abs() < 1e-9);
/// # Ok::<(), amends::LoadError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scorer {
    weights: Weights,
}

/// Raw half width of the interval where the text says too little: from a base of 50 it reaches from 5 to 95.
const UNINFORMED: f64 = 3.0;

impl Scorer {
    /// A scorer with the weights that ship with the library.
    ///
    /// # Errors
    ///
    /// As [`Weights::built_in`].
    pub fn built_in() -> Result<Self, LoadError> {
        Scorer::new(Weights::built_in()?)
    }

    /// A scorer with these weights.
    ///
    /// # Errors
    ///
    /// [`LoadErrorKind::Weights`](crate::LoadErrorKind::Weights) where [`Weights::check`] finds one that is
    /// wrong.
    pub fn new(weights: Weights) -> Result<Self, LoadError> {
        weights.check()?;
        Ok(Scorer { weights })
    }

    /// The weights in use.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Scores one interaction.
    ///
    /// Sentences that repeat an earlier one of the interaction word for word count for nothing, nor do their
    /// events. Confidences that are no number count as 0; ids and spans that do not fit are left out.
    pub fn score(&self, input: ScoreInput<'_>) -> Scored {
        let sentences = distinct(&input);
        // Events are in the order of the text: those of other parts of a long one need not be looked at.
        let place = |events: &dyn Fn(SentenceId) -> bool| {
            input.events.partition_point(|event| events(event.sentence()))
        };
        let from = sentences.first().map_or(0, |first| place(&|sentence| sentence < *first));
        let to = sentences.last().map_or(0, |last| place(&|sentence| sentence <= *last));
        let members: Vec<usize> =
            (from..to).filter(|&at| sentences.binary_search(&input.events[at].sentence()).is_ok()).collect();
        let tone = tone::read(&self.weights.sentiment, &input, &sentences);
        let ledger = ledger::book(&self.weights, input.events, &members);
        let links = links(input.events, &members);

        let base = self.weights.base;
        let terms: Vec<Term> = tone.terms.iter().cloned().chain(ledger.terms).collect();
        let raw = terms.iter().fold(base, |sum, term| sum + term.raw);
        let (from, to) = (value(base), value(raw));
        // A term's points are its share of the way from the base value to the value; the slope of that way is
        // the map's own slope where the way is too short to divide by.
        let slope = if (raw - base).abs() > 1e-6 {
            (to - from) / (raw - base)
        } else {
            from * (100.0 - from) / 100.0
        };
        let mut contributions: Vec<Contribution> = terms
            .into_iter()
            .filter(|term| term.raw != 0.0)
            .map(|term| Contribution {
                points: term.raw * slope,
                reason: term.reason,
                span: term.span,
                sentence: term.sentence,
            })
            .collect();
        contributions.sort_by(|a, b| b.points.abs().total_cmp(&a.points.abs()).then(a.span.cmp(&b.span)));

        let evidence = tone.evidence + ledger.evidence;
        let insufficient = evidence < self.weights.interval.enough;
        let half = self.half_width(evidence, ledger.variance, insufficient);
        let score = Score { value: to, low: value(raw - half).min(to), high: value(raw + half).max(to) };
        let flags = flags::flags(input.events, &members, &links, &tone, insufficient);
        let dimensions = justice::dimensions(input.events, &members);
        Scored { score, base: from, dimensions, flags, contributions, links }
    }

    fn half_width(&self, evidence: f64, variance: f64, insufficient: bool) -> f64 {
        let interval = &self.weights.interval;
        let sparse = interval.sparse * interval.sparse / (1.0 + evidence);
        let events = interval.events * interval.events * variance;
        let half = interval.level * (interval.noise * interval.noise + sparse + events).sqrt();
        if insufficient { half.max(UNINFORMED) } else { half }
    }
}

/// A term on the raw scale.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Term {
    raw: f64,
    reason: Reason,
    span: Span,
    sentence: SentenceId,
}

/// From the raw scale to 0..100.
fn value(raw: f64) -> f64 {
    100.0 * math::sigmoid(raw)
}

/// The sentences of the interaction that can be read, ascending, without those that repeat an earlier one.
fn distinct(input: &ScoreInput<'_>) -> Vec<SentenceId> {
    let known = input.spans.len().min(input.sentiments.len());
    let mut sentences: Vec<SentenceId> =
        input.sentences.iter().copied().filter(|sentence| sentence.index() < known).collect();
    sentences.sort_unstable();
    sentences.dedup();
    let mut seen = HashSet::new();
    sentences.retain(|sentence| {
        let Some(text) = input.spans[sentence.index()].get(input.text) else { return true };
        let words: String =
            text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        words.is_empty() || seen.insert(words)
    });
    sentences
}
