//! One provider, one episode each: which sentences tell of which interaction.

use crate::events::Event;
use crate::segment::Segment;
use crate::sentiment::Sentiment;
use crate::span::{SentenceId, Span};

/// Who served the customer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Provider {
    /// Named in the text, here.
    Named(Span),
    /// Never named; the kind of company that the text speaks of, like `hotel`.
    Kind(&'static str),
}

impl Provider {
    /// The name as it is written in `text`, or the kind of company.
    pub fn name<'t>(self, text: &'t str) -> std::borrow::Cow<'t, str> {
        match self {
            Provider::Named(span) => span.get(text).unwrap_or_default().into(),
            Provider::Kind(kind) => kind.into(),
        }
    }
}

/// An interaction before it is scored.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) provider: Option<Provider>,
    /// In the order of the text; never empty.
    pub(crate) sentences: Vec<SentenceId>,
}

/// What is known of a story when its interactions are looked for. Slices run over its sentences.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story<'a> {
    pub(crate) text: &'a str,
    pub(crate) segments: &'a [Segment],
    /// Whether the sentence is part of the story (and no boilerplate).
    pub(crate) content: &'a [bool],
    pub(crate) sentiments: &'a [Sentiment],
    /// Events in the order of the text.
    pub(crate) events: &'a [Event],
}

/// Splits a story into interactions, in order of first appearance. A sentence is in one of them or in none.
pub(crate) fn split(story: Story<'_>) -> Vec<Draft> {
    let sentences: Vec<SentenceId> = (0..story.segments.len() as u32)
        .map(SentenceId::new)
        .filter(|sentence| story.content[sentence.index()])
        .collect();
    if sentences.is_empty() { Vec::new() } else { vec![Draft { provider: None, sentences }] }
}
