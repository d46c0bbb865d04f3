//! What of a text is the story, and what stands around it.

use crate::segment::Segment;

/// Why a sentence is no part of the story.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Boilerplate {
    /// Menus, links, buttons, site furniture.
    Navigation,
    /// The same words stood in the text before.
    Repeat,
}

/// For each sentence why it is no part of the story, or `None` where it is.
pub(crate) fn boilerplate(_text: &str, segments: &[Segment]) -> Vec<Option<Boilerplate>> {
    vec![None; segments.len()]
}
