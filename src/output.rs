//! The JSON promise: one object a story, owned, to be written and read back.
//!
//! The shape is public. Fields may be added, never renamed; [`SCHEMA`] counts what breaks. All offsets are
//! UTF-8 bytes of the story's original text, half open.

use serde::{Deserialize, Serialize};

use crate::analysis::Analysis;
use crate::document::Document;
use crate::error::{AnalyzeError, AnalyzeErrorKind};
use crate::events::{Actor, Event, EventType, Evidence, Severity, Status};
use crate::score::{Dimensions, Flag};
use crate::sentiment::{Sentiment, SentimentLabel};
use crate::span::{InteractionId, SentenceId};

/// Version of the shape of [`StoryRecord`].
pub const SCHEMA: u32 = 1;

/// What is written for one story: its analysis, or why there is none.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Record {
    /// The story could not be read or analysed.
    Failed(ErrorRecord),
    /// The analysis.
    Story(StoryRecord),
}

/// An analysis with the words that belong to it, as it is written to JSON.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StoryRecord {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The story's name, or `null`.
    pub id: Option<String>,
    /// Where it was found, or `null`.
    pub source: Option<String>,
    /// Model name and checksum.
    pub model: String,
    /// Version of the weights of the score; empty in what was written before there was this field.
    #[serde(default)]
    pub weights: String,
    /// Length of the text in bytes.
    pub text_bytes: usize,
    /// All sentences, in the order of the text.
    pub sentences: Vec<SentenceRecord>,
    /// All events, in the order of the text.
    pub events: Vec<EventRecord>,
    /// All interactions, by number.
    pub interactions: Vec<InteractionRecord>,
    /// What a reader should know, in words.
    pub warnings: Vec<String>,
}

/// A story that could not be read or analysed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErrorRecord {
    /// The story's name, or `null`.
    pub id: Option<String>,
    /// Where it was found, or `null`.
    pub source: Option<String>,
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong with a story.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// `too_long`, `back_end`, `io`, `encoding`, `json` or the like.
    pub kind: String,
    /// In words.
    pub message: String,
}

/// One sentence.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SentenceRecord {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Whether it is part of the story.
    pub content: bool,
    /// Why not, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boilerplate: Option<String>,
    /// The interaction that it tells of, or `null`.
    pub interaction: Option<InteractionId>,
    /// How it reflects on the provider.
    pub sentiment: SentimentRecord,
}

/// Sentiment of a sentence.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct SentimentRecord {
    /// `negative`, `neutral`, `positive` or `mixed`.
    pub label: SentimentLabel,
    /// P(negative).
    pub negative: f32,
    /// P(neutral).
    pub neutral: f32,
    /// P(positive).
    pub positive: f32,
    /// P(positive) − P(negative), −1..=1.
    pub score: f32,
}

impl From<Sentiment> for SentimentRecord {
    fn from(sentiment: Sentiment) -> Self {
        SentimentRecord {
            label: sentiment.label(),
            negative: sentiment.negative(),
            neutral: sentiment.neutral(),
            positive: sentiment.positive(),
            score: sentiment.score(),
        }
    }
}

/// One event.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EventRecord {
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Whether it happened.
    pub status: Status,
    /// Who acted, or should have.
    pub actor: Actor,
    /// First byte of the words that show it.
    pub start: usize,
    /// One past their last byte.
    pub end: usize,
    /// Position in `sentences`.
    pub sentence: SentenceId,
    /// The interaction, or `null`.
    pub interaction: Option<InteractionId>,
    /// 0..=1.
    pub confidence: f32,
    /// `model`, `rule:CODE` or `rule:CODE+model`.
    pub evidence: Evidence,
    /// How bad it was: `inconvenience`, `loss` or `harm`. Written for failures that occurred, and for no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

impl From<&Event> for EventRecord {
    fn from(event: &Event) -> Self {
        EventRecord {
            event_type: event.event_type().clone(),
            status: event.status(),
            actor: event.actor(),
            start: event.span().start(),
            end: event.span().end(),
            sentence: event.sentence(),
            interaction: event.interaction(),
            confidence: event.confidence(),
            evidence: event.evidence().clone(),
            severity: event.severity(),
        }
    }
}

/// One interaction.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct InteractionRecord {
    /// Its number, from 1.
    pub id: InteractionId,
    /// Who served the customer, or `null`.
    pub provider: Option<String>,
    /// Positions in `sentences`.
    pub sentences: Vec<SentenceId>,
    /// The experience score.
    pub score: ScoreRecord,
    /// Justice, effort and outcome, apart.
    pub dimensions: Dimensions,
    /// What stands out.
    pub flags: Vec<Flag>,
    /// What the score is made of.
    pub contributions: Vec<ContributionRecord>,
    /// How its events hang together: which recovery answers which failure (`answers`), what keeps or breaks an
    /// offer or promise told before (`keeps`, `breaks`), and which failure came after a recovery had answered an
    /// earlier one (`double_deviation`). In the order of the event that refers (`from`). They explain flags and
    /// the corpus summary; the points stand in `contributions` alone.
    #[serde(default)]
    pub links: Vec<LinkRecord>,
}

/// The experience score of an interaction.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct ScoreRecord {
    /// 0 as bad as it gets, 50 indifferent, 100 as good as it gets.
    pub value: f64,
    /// Lower end of the 90 % interval.
    pub low: f64,
    /// Upper end of the 90 % interval.
    pub high: f64,
    /// What an interaction that says nothing starts from: base plus all `points` is `value`.
    pub base: f64,
}

/// One part of a score.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ContributionRecord {
    /// Points of the 0..=100 scale that it moves the score by.
    pub points: f64,
    /// Why, like `proactive_contact:absent` or `sentiment:end`.
    pub reason: String,
    /// The sentence that these words stand in, as a position in the `sentences` of the story; for the mean
    /// sentiment the one that moves it most. Missing in what was written before there was this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<SentenceId>,
    /// First byte of the words that show it.
    pub start: usize,
    /// One past their last byte.
    pub end: usize,
}

/// How one event refers to another: see [`Link`](crate::Link).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkRecord {
    /// `answers`, `keeps`, `breaks` or `double_deviation`.
    pub kind: String,
    /// Position in the `events` of the story: the recovery, the keeping or breaking, the second failure.
    pub from: usize,
    /// Position in the `events` of the story: the failure, the promise, the recovery that did not last.
    pub to: usize,
}

impl Analysis {
    /// The analysis with the words of its story, owned, in the shape that is written to JSON.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")] {
    /// use amends::{Analyzer, Document};
    ///
    /// let document = Document::new("They lost my bag.").with_id("r1");
    /// let analysis = Analyzer::embedded()?.analyze(document.clone())?;
    /// let json = serde_json::to_value(analysis.to_record(&document))?;
    /// assert_eq!(json["id"], "r1");
    /// assert_eq!(json["sentences"][0]["end"], 17);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If `document` is not the story that was analysed and its text is shorter or cut elsewhere.
    pub fn to_record(&self, document: &Document<'_>) -> StoryRecord {
        let text = document.text();
        StoryRecord {
            schema: SCHEMA,
            id: document.id().map(str::to_owned),
            source: document.source().map(str::to_owned),
            model: self.model().to_owned(),
            weights: self.weights().to_owned(),
            text_bytes: self.text_bytes(),
            sentences: self
                .sentences()
                .iter()
                .map(|sentence| SentenceRecord {
                    start: sentence.span().start(),
                    end: sentence.span().end(),
                    content: sentence.is_content(),
                    boilerplate: sentence.boilerplate().map(|reason| reason.as_str().to_owned()),
                    interaction: sentence.interaction(),
                    sentiment: sentence.sentiment().into(),
                })
                .collect(),
            events: self.events().iter().map(EventRecord::from).collect(),
            interactions: self
                .interactions()
                .iter()
                .map(|interaction| InteractionRecord {
                    id: interaction.id(),
                    provider: interaction.provider().map(|provider| provider.name(text).to_owned()),
                    sentences: interaction.sentences().to_vec(),
                    score: ScoreRecord {
                        value: interaction.score().value(),
                        low: interaction.score().low(),
                        high: interaction.score().high(),
                        base: interaction.base(),
                    },
                    dimensions: interaction.dimensions(),
                    flags: interaction.flags().to_vec(),
                    contributions: interaction
                        .contributions()
                        .iter()
                        .map(|contribution| ContributionRecord {
                            points: contribution.points(),
                            reason: contribution.reason().to_string(),
                            sentence: Some(contribution.sentence()),
                            start: contribution.span().start(),
                            end: contribution.span().end(),
                        })
                        .collect(),
                    links: interaction
                        .links()
                        .iter()
                        .map(|link| LinkRecord {
                            kind: link.kind().as_str().to_owned(),
                            from: link.from(),
                            to: link.to(),
                        })
                        .collect(),
                })
                .collect(),
            warnings: self.warnings().iter().map(ToString::to_string).collect(),
        }
    }
}

impl ErrorRecord {
    /// The record of a story that has no analysis.
    pub fn new(id: Option<&str>, source: Option<&str>, kind: &str, message: impl Into<String>) -> Self {
        ErrorRecord {
            id: id.map(str::to_owned),
            source: source.map(str::to_owned),
            error: ErrorBody { kind: kind.to_owned(), message: message.into() },
        }
    }

    /// The record of a story whose analysis failed.
    pub fn from_error(document: &Document<'_>, error: &AnalyzeError) -> Self {
        let kind = match error.kind() {
            AnalyzeErrorKind::TooLong => "too_long",
            AnalyzeErrorKind::BackEnd => "back_end",
        };
        ErrorRecord::new(document.id(), document.source(), kind, error.to_string())
    }
}
