//! Sentences: where each begins and ends, and which block of the text it stands in.

use crate::content::furniture::{self, Reading};
use crate::span::Span;

mod boundary;
mod lines;
mod words;

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
///
/// The Unicode sentence boundaries (UAX #29) are the base; rules add what customers write and the base does not know:
/// missing spaces ("it stops.Some"), sentences in lower case, abbreviations, prices, addresses, ellipses, emoji,
/// quotations with their speaker, asides in brackets, list markers (they belong to their sentence), paragraphs broken at
/// a column, headings, and page furniture in running text ("Posted by", menus, heads of comments), which comes out as a
/// sentence of its own.
///
/// The work is linear in the text. Bytes above `u32::MAX`, which no [`Span`] can name, are left out.
///
/// ```
/// let text = "Dr. Osei came at 9 a.m. and fixed it.Nobody else did!\n\n1. Never again";
/// let sentences: Vec<&str> = amends::segment(text).iter().map(|s| &text[s.span()]).collect();
/// assert_eq!(sentences, ["Dr. Osei came at 9 a.m. and fixed it.", "Nobody else did!", "1. Never again"]);
/// ```
pub fn segment(text: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut reading = Reading::default();
    for (number, block) in lines::blocks(text).into_iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let first = segments.len();
        let mut start = block.start;
        let mut push = |end: usize| {
            let piece = &text[start..end];
            let trimmed = piece.trim();
            if !trimmed.is_empty() {
                let from = start + (piece.len() - piece.trim_start().len());
                if let Some(span) = Span::try_new(from, from + trimmed.len()) {
                    segments.push(Segment { span, block: number, kind: block.kind });
                }
            }
            start = end;
        };
        // Furniture is one piece each; what stands between is cut into sentences.
        let mut from = block.start;
        for piece in furniture::find(&text[block.start..block.end], &mut reading) {
            let to = block.start + piece.start;
            boundary::heading_cuts(text, from, to, &mut push);
            boundary::cuts(text, from, to, &mut push);
            push(to);
            from = block.start + piece.end;
            push(from);
        }
        if from > block.start {
            boundary::heading_cuts(text, from, block.end, &mut push);
        }
        boundary::cuts(text, from, block.end, &mut push);
        push(block.end);
        // A line of several sentences is no heading.
        let sentences = &mut segments[first..];
        if block.kind == BlockKind::Heading && from == block.start && sentences.len() > 1 {
            for segment in sentences {
                segment.kind = BlockKind::Paragraph;
            }
        }
    }
    segments
}
