//! What comes out: sentences, events and interactions of one story.

use std::fmt;
use std::sync::Arc;

use crate::content::Boilerplate;
use crate::events::Event;
use crate::interactions::Provider;
use crate::links::Link;
use crate::score::{Contribution, Dimensions, Flag, Score, Scored};
use crate::segment::{BlockKind, Segment};
use crate::sentiment::Sentiment;
use crate::span::{InteractionId, SentenceId, Span};

/// Everything that was found in one story.
///
/// It owns no text: all places are [`Span`]s of the text that was analysed.
#[derive(Clone, PartialEq, Debug)]
pub struct Analysis {
    pub(crate) model: Arc<str>,
    pub(crate) weights: Arc<str>,
    pub(crate) text_bytes: usize,
    pub(crate) windows: usize,
    pub(crate) sentences: Vec<Sentence>,
    pub(crate) events: Vec<Event>,
    pub(crate) interactions: Vec<Interaction>,
    pub(crate) warnings: Vec<Warning>,
}

impl Analysis {
    /// The model that scored it, like `amends-mini-1@sha256:ab12…`.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The version of the weights that the scores were made with ([`Weights::version`](crate::Weights::version)).
    pub fn weights(&self) -> &str {
        &self.weights
    }

    /// Length of the story in bytes.
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// The most windows that a sentence needed: 1 where every sentence fitted the model, 0 without sentences.
    pub fn windows(&self) -> usize {
        self.windows
    }

    /// All sentences, in the order of the text.
    pub fn sentences(&self) -> &[Sentence] {
        &self.sentences
    }

    /// The sentence with this number.
    pub fn sentence(&self, id: SentenceId) -> Option<&Sentence> {
        self.sentences.get(id.index())
    }

    /// All events, in the order of the text.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// All interactions, in the order of their first sentence; the number of the first is 1.
    pub fn interactions(&self) -> &[Interaction] {
        &self.interactions
    }

    /// The interaction with this number.
    pub fn interaction(&self, id: InteractionId) -> Option<&Interaction> {
        self.interactions.get((id.index()).checked_sub(1)?)
    }

    /// What a reader of the results should know, in no fixed order.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// One sentence and what it says.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sentence {
    pub(crate) segment: Segment,
    pub(crate) boilerplate: Option<Boilerplate>,
    pub(crate) interaction: Option<InteractionId>,
    pub(crate) sentiment: Sentiment,
}

impl Sentence {
    /// Its bytes in the story's text.
    pub fn span(&self) -> Span {
        self.segment.span()
    }

    /// The block of text (paragraph, heading, list item) that it stands in, from 0.
    pub fn block(&self) -> usize {
        self.segment.block()
    }

    /// What kind of block that is.
    pub fn kind(&self) -> BlockKind {
        self.segment.kind()
    }

    /// Whether it is part of the story.
    pub fn is_content(&self) -> bool {
        self.boilerplate.is_none()
    }

    /// Why it is no part of the story, or `None` where it is.
    pub fn boilerplate(&self) -> Option<Boilerplate> {
        self.boilerplate
    }

    /// The interaction that it tells of.
    pub fn interaction(&self) -> Option<InteractionId> {
        self.interaction
    }

    /// How it reflects on the provider.
    pub fn sentiment(&self) -> Sentiment {
        self.sentiment
    }
}

/// One episode with one provider.
#[derive(Clone, PartialEq, Debug)]
pub struct Interaction {
    pub(crate) id: InteractionId,
    pub(crate) provider: Option<Provider>,
    pub(crate) sentences: Vec<SentenceId>,
    pub(crate) scored: Scored,
}

impl Interaction {
    /// Its number, from 1.
    pub fn id(&self) -> InteractionId {
        self.id
    }

    /// Who served the customer, where the text tells.
    pub fn provider(&self) -> Option<Provider> {
        self.provider
    }

    /// The sentences that tell of it, in the order of the text; at least one.
    pub fn sentences(&self) -> &[SentenceId] {
        &self.sentences
    }

    /// How good the experience was, 0..=100.
    pub fn score(&self) -> Score {
        self.scored.score
    }

    /// The score of an interaction that says nothing, which the contributions start from.
    pub fn base(&self) -> f64 {
        self.scored.base
    }

    /// Justice, effort and outcome, apart.
    pub fn dimensions(&self) -> Dimensions {
        self.scored.dimensions
    }

    /// What stands out.
    pub fn flags(&self) -> &[Flag] {
        &self.scored.flags
    }

    /// What the score is made of: base plus these points is its value. Those that move it most stand first.
    pub fn contributions(&self) -> &[Contribution] {
        &self.scored.contributions
    }

    /// Which event answers which; the numbers are positions in [`Analysis::events`].
    pub fn links(&self) -> &[Link] {
        &self.scored.links
    }
}

/// Something that a reader of the results should know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Warning {
    /// The sentence is longer than the model takes and was read in this many windows.
    Windowed {
        /// The sentence.
        sentence: SentenceId,
        /// How many windows it took.
        windows: usize,
    },
    /// The text has no sentence at all.
    Empty,
    /// No sentence of the text is part of a story.
    NoContent,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Windowed { sentence, windows } => {
                write!(f, "sentence {sentence} was read in {windows} windows")
            }
            Warning::Empty => f.write_str("the text has no sentence"),
            Warning::NoContent => f.write_str("no sentence of the text tells a story"),
        }
    }
}
