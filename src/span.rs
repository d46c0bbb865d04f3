//! Places in a text: byte spans and the numbers of sentences and interactions.

use std::fmt;
use std::ops::{Index, Range};

use serde::{Deserialize, Serialize};

/// A half-open range of UTF-8 bytes of the original text, `start..end`.
///
/// ```
/// use amends::Span;
///
/// let text = "They called.";
/// let span = Span::new(5, 11);
/// assert_eq!(&text[span.range()], "called");
/// assert_eq!(span.len(), 6);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "RawSpan")]
pub struct Span {
    start: u32,
    end: u32,
}

#[derive(Deserialize)]
struct RawSpan {
    start: u32,
    end: u32,
}

impl TryFrom<RawSpan> for Span {
    type Error = String;

    fn try_from(raw: RawSpan) -> Result<Self, String> {
        Span::try_new(raw.start as usize, raw.end as usize)
            .ok_or_else(|| format!("span {}..{} is reversed", raw.start, raw.end))
    }
}

impl Span {
    /// The span `start..end`.
    ///
    /// # Panics
    ///
    /// If `start > end`, or `end` is above `u32::MAX`. Use [`Span::try_new`] for numbers from outside.
    #[track_caller]
    pub fn new(start: usize, end: usize) -> Self {
        match Self::try_new(start, end) {
            Some(span) => span,
            None => panic!("span {start}..{end} is reversed or too large"),
        }
    }

    /// The span `start..end`, or `None` if it is reversed or ends above `u32::MAX`.
    pub fn try_new(start: usize, end: usize) -> Option<Self> {
        if start > end {
            return None;
        }
        Some(Span { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? })
    }

    /// First byte.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// One past the last byte.
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the span holds no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// As a range, to slice a text with.
    pub fn range(self) -> Range<usize> {
        self.start()..self.end()
    }

    /// Whether `other` lies inside.
    pub fn contains(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// How many bytes both spans share.
    pub fn overlap(self, other: Span) -> usize {
        self.end.min(other.end).saturating_sub(self.start.max(other.start)) as usize
    }

    /// The smallest span that holds both.
    pub fn cover(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The text that the span marks, or `None` where it does not fit `text`.
    pub fn get(self, text: &str) -> Option<&str> {
        text.get(self.range())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

impl Index<Span> for str {
    type Output = str;

    fn index(&self, span: Span) -> &str {
        &self[span.range()]
    }
}

impl Index<Span> for String {
    type Output = str;

    fn index(&self, span: Span) -> &str {
        &self.as_str()[span]
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u32);

        impl $name {
            /// The id with this number.
            pub fn new(number: u32) -> Self {
                $name(number)
            }

            /// The plain number.
            pub fn number(self) -> u32 {
                self.0
            }

            /// The number as an index.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// Number of a sentence in its story, from 0, in the order of the text.
    SentenceId
}
id! {
    /// Number of an interaction in its story, from 1, in the order of first appearance.
    InteractionId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reversed_span_from_outside_is_refused() {
        assert_eq!(Span::try_new(3, 2), None);
        assert!(serde_json::from_str::<Span>(r#"{"start":3,"end":2}"#).is_err());
        let span: Span = serde_json::from_str(r#"{"start":2,"end":3}"#).unwrap();
        assert_eq!(span, Span::new(2, 3));
    }

    #[test]
    #[should_panic(expected = "span 3..2 is reversed")]
    fn a_reversed_span_from_inside_panics() {
        Span::new(3, 2);
    }

    #[test]
    fn overlap_counts_shared_bytes_only() {
        assert_eq!(Span::new(0, 5).overlap(Span::new(3, 9)), 2);
        assert_eq!(Span::new(0, 3).overlap(Span::new(3, 9)), 0);
        assert_eq!(Span::new(4, 9).overlap(Span::new(0, 2)), 0);
        assert_eq!(Span::new(0, 3).cover(Span::new(5, 9)), Span::new(0, 9));
    }
}
