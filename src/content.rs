//! What of a text is the story, and what stands around it.

use crate::segment::Segment;

pub(crate) mod furniture;
mod menu;

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
    /// The same words stood in the text before.
    Repeat,
}

impl Boilerplate {
    /// Every reason with its name.
    const NAMES: [(Boilerplate, &'static str); 8] = [
        (Boilerplate::Navigation, "navigation"),
        (Boilerplate::Byline, "byline"),
        (Boilerplate::AuthorBio, "author_bio"),
        (Boilerplate::Promotion, "promotion"),
        (Boilerplate::Form, "form"),
        (Boilerplate::Code, "code"),
        (Boilerplate::EmailHeader, "email_header"),
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
pub(crate) fn boilerplate(_text: &str, segments: &[Segment]) -> Vec<Option<Boilerplate>> {
    vec![None; segments.len()]
}
