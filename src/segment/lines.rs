//! Lines and blocks: which lines of a text belong together.
//!
//! # Why this way
//!
//! Text copied from pages and mails comes in two shapes. Either a line is a paragraph, a heading or a list item
//! (forums, exports), or paragraphs are broken at a column (old blog editors, mails). Joining the lines of the first kind
//! glues headings to sentences; not joining those of the second kind cuts sentences in two. One look at the whole
//! text tells which shape it has (`wraps`), and each pair of lines is then judged by its own ends.

use super::BlockKind;
use super::words;

/// A block: bytes of the text, and what kind of block it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Block {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: BlockKind,
}

/// One line without the white space around it, and whether a blank line stands before it.
#[derive(Clone, Copy, Debug)]
struct Line<'t> {
    start: usize,
    text: &'t str,
    after_blank: bool,
}

/// A line shorter than this (bytes) that does not end in a terminator and begins another line is no broken paragraph.
const SHORT_LINE: usize = 36;
/// A heading has at most so many bytes.
const LONG_HEADING: usize = 120;
/// How many pairs of lines that look broken make a text a wrapped one.
const WRAP_EVIDENCE: usize = 2;

/// The blocks of `text`, in order; what lies between them is white space.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let lines = lines(text);
    let wrapped = wraps(&lines);
    let mut blocks: Vec<Block> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let first = lines[at];
        let mut last = at;
        while let Some(next) = lines.get(last + 1) {
            if next.after_blank || !continues(lines[last], *next, wrapped) {
                break;
            }
            last += 1;
        }
        let end = lines[last].start + lines[last].text.len();
        let kind = if marker(first.text).is_some() {
            BlockKind::ListItem
        } else if last == at && is_heading(first, lines.get(at + 1)) {
            BlockKind::Heading
        } else {
            BlockKind::Paragraph
        };
        blocks.push(Block { start: first.start, end, kind });
        at = last + 1;
    }
    blocks
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut blank = 0usize;
    for piece in text.split_inclusive(is_line_end) {
        let trimmed = piece.trim_start();
        let line = trimmed.trim_end();
        if line.is_empty() {
            // The two bytes of "\r\n" are one end of a line.
            if piece != "\n" || !text[..start].ends_with('\r') {
                blank += 1;
            }
        } else {
            lines.push(Line {
                start: start + (piece.len() - trimmed.len()),
                text: line,
                after_blank: blank > 0,
            });
            blank = 0;
        }
        start += piece.len();
    }
    lines
}

/// Whether paragraphs of this text are broken at a column: several long lines stop without a terminator and the next goes
/// on in lower case, and such lines are about equally long.
fn wraps(lines: &[Line<'_>]) -> bool {
    let mut longest = 0;
    let mut broken = 0;
    let mut whole = 0;
    for pair in lines.windows(2) {
        if pair[1].after_blank
            || marker(pair[1].text).is_some()
            || marker(pair[0].text) == Some(pair[0].text.len())
        {
            continue;
        }
        longest = longest.max(pair[0].text.len());
        if !ends_sentence(pair[0].text) && begins_lower(pair[1].text) {
            broken += 1;
        } else {
            whole += 1;
        }
    }
    if broken < WRAP_EVIDENCE || !(SHORT_LINE..=160).contains(&longest) {
        return false;
    }
    let full = lines
        .windows(2)
        .filter(|pair| {
            !pair[1].after_blank
                && !ends_sentence(pair[0].text)
                && begins_lower(pair[1].text)
                && (pair[0].text.len() * 10 >= longest * 6 || words::is_open_ended(last_word(pair[0].text)))
        })
        .count();
    full * 2 >= broken && broken * 3 >= whole
}

/// Whether `next` goes on with the paragraph of `line`.
fn continues(line: Line<'_>, next: Line<'_>, wrapped: bool) -> bool {
    if marker(line.text) == Some(line.text.len()) {
        return true;
    }
    if marker(next.text).is_some() {
        return false;
    }
    if ends_sentence(line.text) {
        // Some editors break a paragraph after its first word ("The\npositive experience").
        let first_word_alone = words::is_open_ended(next.text) && next.text.starts_with(char::is_uppercase);
        return wrapped && line.text.len() >= SHORT_LINE && !first_word_alone;
    }
    if words::is_open_ended(last_word(line.text)) && !line.text.ends_with(['.', ':'])
        || line.text.ends_with(',')
    {
        return wrapped || begins_lower(next.text) || line.text.len() >= SHORT_LINE;
    }
    if line.text.ends_with(':') {
        return wrapped && begins_lower(next.text);
    }
    if begins_lower(next.text) {
        return wrapped || line.text.len() >= SHORT_LINE && !begins_lower(line.text);
    }
    wrapped && line.text.len() >= SHORT_LINE && !is_title_case(line.text)
}

fn is_heading(line: Line<'_>, next: Option<&Line<'_>>) -> bool {
    let text = line.text;
    if text.len() > LONG_HEADING || text.ends_with(['.', ',', ';', '…']) {
        return false;
    }
    let words = text.split_whitespace().count();
    words <= 14
        && (is_title_case(text)
            || !ends_sentence(text) && next.is_none_or(|n| n.after_blank || n.text.len() > text.len()))
}

/// Whether most longer words of a line begin with a capital.
fn is_title_case(text: &str) -> bool {
    let (mut upper, mut all) = (0, 0);
    for word in text.split_whitespace().take(24) {
        let mut letters = word.chars().filter(|c| c.is_alphabetic());
        if let Some(first) = letters.next()
            && letters.count() >= 3
        {
            all += 1;
            upper += usize::from(first.is_uppercase());
        }
    }
    all >= 2 && upper * 4 >= all * 3
}

fn begins_lower(text: &str) -> bool {
    text.chars().find(|c| !matches!(c, '"' | '\'' | '“' | '‘' | '(')).is_some_and(char::is_lowercase)
}

fn ends_sentence(text: &str) -> bool {
    text.trim_end_matches(super::boundary::is_closer).ends_with(super::boundary::is_terminator)
}

fn last_word(text: &str) -> &str {
    // A word that matters is short; a line without white space must not be searched to its start.
    let from = text.floor_char_boundary(text.len().saturating_sub(32));
    text[from..].rsplit(char::is_whitespace).next().unwrap_or_default()
}

/// Length of the list marker that `text` begins with, white space not counted: `•`, `-`, `1.`, `2)`, `(a)`.
pub(super) fn marker(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    if matches!(
        first,
        '•' | '●' | '▪' | '◦' | '‣' | '·' | '-' | '–' | '—' | '*' | '+' | '»' | '→' | '✓' | '✔'
    ) {
        let rest = &text[first.len_utf8()..];
        let spaced = rest.is_empty() || rest.starts_with(char::is_whitespace);
        return spaced.then_some(first.len_utf8());
    }
    let open = usize::from(first == '(');
    let body = &text.as_bytes()[open..];
    let digits = body.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
    let length = match digits {
        1..=3 => digits,
        0 if body.first().is_some_and(u8::is_ascii_alphabetic) => 1,
        _ => return None,
    };
    let close = *body.get(length)?;
    let letter = digits == 0;
    let fits = match close {
        b')' => true,
        b'.' => open == 0 && !letter,
        _ => false,
    };
    if !fits {
        return None;
    }
    let mut end = open + length + 1;
    if close == b'.' && body.get(length + 1) == Some(&b')') {
        end += 1;
    }
    let rest = &text[end..];
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(&str, BlockKind)> {
        blocks(text).iter().map(|b| (&text[b.start..b.end], b.kind)).collect()
    }

    #[test]
    fn a_list_marker_is_a_sign_or_a_short_number() {
        assert_eq!(marker("• tea"), Some("•".len()));
        assert_eq!(marker("1. tea"), Some(2));
        assert_eq!(marker("12)"), Some(3));
        assert_eq!(marker("(a) tea"), Some(3));
        assert_eq!(marker("2.) tea"), Some(3));
        assert_eq!(marker("-5 degrees"), None);
        assert_eq!(marker("3.5 stars"), None);
        assert_eq!(marker("2019. That was it"), None);
        assert_eq!(marker("I. "), None);
    }

    #[test]
    fn a_marker_alone_on_its_line_belongs_to_the_next() {
        let text = "1.\nThey rang.\n2.\nThey came.";
        assert_eq!(
            texts(text),
            [("1.\nThey rang.", BlockKind::ListItem), ("2.\nThey came.", BlockKind::ListItem)]
        );
    }

    #[test]
    fn windows_line_ends_are_no_blank_lines() {
        assert_eq!(
            lines("a\r\nb\r\n\r\nc").iter().map(|l| l.after_blank).collect::<Vec<_>>(),
            [false, false, true]
        );
    }
}
