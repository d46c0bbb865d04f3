//! What goes in: one story with its name.

use std::borrow::Cow;

/// One story: its text, and what the caller knows about it.
///
/// The text is borrowed and never copied.
///
/// ```
/// use amends::Document;
///
/// let plain = Document::from("They never called back.");
/// assert_eq!(plain.id(), None);
/// let named = Document::new("They never called back.").with_id("r1").with_source("reviews.jsonl:1");
/// assert_eq!(named.id(), Some("r1"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document<'t> {
    text: &'t str,
    id: Option<Cow<'t, str>>,
    source: Option<Cow<'t, str>>,
}

impl<'t> Document<'t> {
    /// A story without a name.
    pub fn new(text: &'t str) -> Self {
        Document { text, id: None, source: None }
    }

    /// Names the story; the name comes back in the results.
    pub fn with_id(mut self, id: impl Into<Cow<'t, str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Says where the story was found, as `file:line` or a path.
    pub fn with_source(mut self, source: impl Into<Cow<'t, str>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The text, as it was given.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// The name, if one was given.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Where the story was found, if that was given.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }
}

impl<'t> From<&'t str> for Document<'t> {
    fn from(text: &'t str) -> Self {
        Document::new(text)
    }
}

impl<'t> From<&'t String> for Document<'t> {
    fn from(text: &'t String) -> Self {
        Document::new(text)
    }
}
