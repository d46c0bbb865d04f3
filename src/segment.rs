//! Sentences: where each begins and ends, and which block of the text it stands in.

use crate::span::Span;

/// What kind of block a sentence stands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BlockKind {
    /// A paragraph of running text.
    Paragraph,
    /// A title or a line that stands for itself.
    Heading,
    /// An item of a list.
    ListItem,
}

/// One sentence of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    pub(crate) span: Span,
    pub(crate) block: u32,
    pub(crate) kind: BlockKind,
}

impl Segment {
    /// A sentence at `span`, in block number `block` of this kind.
    pub fn new(span: Span, block: u32, kind: BlockKind) -> Self {
        Segment { span, block, kind }
    }

    /// Its bytes in the text, without the white space around it.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Number of the block (paragraph, heading, list item) that it stands in, from 0.
    pub fn block(&self) -> usize {
        self.block as usize
    }

    /// What kind of block that is.
    pub fn kind(&self) -> BlockKind {
        self.kind
    }
}

/// Finds the sentences of `text`: sorted, not overlapping, and what lies between them is white space.
pub fn segment(text: &str) -> Vec<Segment> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Vec::new();
    }
    let start = text.len() - text.trim_start().len();
    vec![Segment { span: Span::new(start, start + trimmed.len()), block: 0, kind: BlockKind::Paragraph }]
}
