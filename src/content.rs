//! What of a text is the story, and what stands around it.

use crate::segment::Segment;

mod biography;
pub(crate) mod furniture;
mod menu;
mod place;
mod repeat;

/// Why a sentence is no part of the story.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Boilerplate {
    /// Menus, breadcrumbs, links, share buttons, labels of the page.
    Navigation,
    /// Who wrote it and when: a post header, the head of a comment.
    Byline,
    /// Words about the author.
    AuthorBio,
    /// Newsletters, downloads, "follow me", advertisement.
    Promotion,
    /// Parts of a form: "Reply", "Submit a comment", "Your email address will not be published".
    Form,
    /// Program text or markup left over from the page.
    Code,
    /// Head of a mail: From, To, Subject.
    EmailHeader,
    /// Foot of a mail or a post: address, telephone, a notice of confidence.
    Signature,
    /// The same words stood in the text before.
    Repeat,
}

impl Boilerplate {
    /// Every reason with its name.
    const NAMES: [(Boilerplate, &'static str); 9] = [
        (Boilerplate::Navigation, "navigation"),
        (Boilerplate::Byline, "byline"),
        (Boilerplate::AuthorBio, "author_bio"),
        (Boilerplate::Promotion, "promotion"),
        (Boilerplate::Form, "form"),
        (Boilerplate::Code, "code"),
        (Boilerplate::EmailHeader, "email_header"),
        (Boilerplate::Signature, "signature"),
        (Boilerplate::Repeat, "repeat"),
    ];

    /// The name as results print it, `navigation` for [`Boilerplate::Navigation`].
    ///
    /// ```
    /// assert_eq!(amends::Boilerplate::AuthorBio.as_str(), "author_bio");
    /// ```
    pub fn as_str(self) -> &'static str {
        Self::NAMES[self as usize].1
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(reason, _)| *reason)
    }
}

/// For each sentence why it is no part of the story, or `None` where it is.
///
/// # How it decides
///
/// Three questions, in this order, each by its own part:
///
/// 1. Is it a known piece of furniture (`furniture`, rules in `data/segment/furniture.toml`)?
/// 2. Did the same words stand before (`repeat`)?
/// 3. Does its place speak against it (`place`, `biography`): a line between menus, the words about the author at the
///    end, what follows the comment form?
pub(crate) fn boilerplate(text: &str, segments: &[Segment]) -> Vec<Option<Boilerplate>> {
    let mut reasons = furniture_reasons(text, segments);
    repeat::mark(text, segments, &mut reasons);
    place::mark(text, segments, &mut reasons);
    reasons
}

fn furniture_reasons(text: &str, segments: &[Segment]) -> Vec<Option<Boilerplate>> {
    let mut reasons = vec![None; segments.len()];
    let mut reading = furniture::Reading::default();
    let mut first = 0;
    for block in segments.chunk_by(|a, b| a.block == b.block) {
        let start = block.first().map_or(0, |s| s.span.start());
        let end = block.last().map_or(start, |s| s.span.end());
        let mut at = first;
        for piece in furniture::find(&text[start..end], &mut reading) {
            while at < first + block.len() && segments[at].span.end() <= start + piece.end {
                if segments[at].span.start() >= start + piece.start {
                    reasons[at] = Some(piece.reason);
                }
                at += 1;
            }
        }
        first += block.len();
    }
    reasons
}

#[cfg(test)]
mod tests;
