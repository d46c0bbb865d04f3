//! What the place of a sentence says: lines between menus, heads of comments, what follows the comment form.
//!
//! The limits below were set by hand on the development stories and on pages of our own.

use super::{Boilerplate, biography};
use crate::segment::{BlockKind, Segment};

/// A line of at most so many words may be a title or a link.
const LINE_WORDS: usize = 12;
/// Marks sentences by their place, given what is known to be furniture.
pub(super) fn mark(text: &str, segments: &[Segment], reasons: &mut [Option<Boilerplate>]) {
    let lines: Vec<bool> = segments.iter().map(|s| is_line(&text[s.span.range()])).collect();
    head(segments, &lines, reasons);
    code(text, segments, reasons);
    recent(text, segments, &lines, reasons);
    comment_heads(text, segments, reasons);
    profiles(text, segments, reasons);
    signatures(text, segments, reasons);
    biography::mark(text, segments, reasons);
    footer(text, segments, reasons);
    tail(segments, &lines, reasons);
    scraps(text, segments, reasons);
}

/// Whether the text could be a title, a name or a link: few words, no full stop.
fn is_line(text: &str) -> bool {
    text.len() <= 120
        && !text.ends_with(['.', '…', ',', ';', '"', '”'])
        && text.split_whitespace().count() <= LINE_WORDS
}

fn is_page(reason: Option<Boilerplate>) -> bool {
    matches!(reason, Some(Boilerplate::Navigation | Boilerplate::Form | Boilerplate::Promotion))
}

/// The name of the site stands before its menu; of two titles after a "skip to content" the first is the site's.
fn head(segments: &[Segment], lines: &[bool], reasons: &mut [Option<Boilerplate>]) {
    let same_block = |a: usize, b: usize| segments.get(b).is_some_and(|s| s.block == segments[a].block);
    for at in 0..segments.len().min(6) {
        if reasons[at].is_some() {
            continue;
        }
        if !lines[at] {
            break;
        }
        let next = reasons.get(at + 1).copied().flatten();
        let before = at.checked_sub(1).and_then(|b| reasons[b]);
        // Behind the menu stands the title of the story.
        let title_behind = (at + 2..segments.len().min(at + 5))
            .find(|&i| reasons[i].is_none())
            .is_some_and(|i| lines[i] && (same_block(at, i) || segments[i].kind == BlockKind::Heading));
        let title_follows = next.is_none() && same_block(at, at + 1) && lines[at + 1];
        if is_page(next) && title_behind || is_page(before) && title_follows {
            reasons[at] = Some(Boilerplate::Navigation);
        } else {
            break;
        }
    }
}

/// After "Recent comments" and the like stands a link.
fn recent(text: &str, segments: &[Segment], lines: &[bool], reasons: &mut [Option<Boilerplate>]) {
    for at in 1..segments.len() {
        let label = &text[segments[at - 1].span.range()];
        let label = label.split_whitespace().count() == 2
            && ["recent", "latest", "top"]
                .iter()
                .any(|w| label.get(..w.len()).is_some_and(|h| h.eq_ignore_ascii_case(w)));
        let link = lines[at] || text[segments[at].span.range()].split_whitespace().count() <= 10;
        if label && reasons[at - 1] == Some(Boilerplate::Navigation) && reasons[at].is_none() && link {
            reasons[at] = Some(Boilerplate::Navigation);
        }
    }
}

/// Separators that stand alone beside furniture.
fn scraps(text: &str, segments: &[Segment], reasons: &mut [Option<Boilerplate>]) {
    for at in 0..segments.len() {
        let body = &text[segments[at].span.range()];
        let beside = at > 0 && reasons[at - 1].is_some() || reasons.get(at + 1).is_some_and(Option::is_some);
        if reasons[at].is_none()
            && beside
            && body.chars().all(|c| {
                matches!(
                    c,
                    '|' | '·'
                        | '•'
                        | '/'
                        | '»'
                        | '«'
                        | '›'
                        | '‹'
                        | '-'
                        | '–'
                        | '—'
                        | '↓'
                        | '→'
                        | '*'
                        | '☰'
                )
            })
        {
            reasons[at] = Some(Boilerplate::Navigation);
        }
    }
}

/// Program text that no rule knows: far more signs of code than prose has.
fn code(text: &str, segments: &[Segment], reasons: &mut [Option<Boilerplate>]) {
    for (segment, reason) in segments.iter().zip(reasons) {
        let bytes = text[segment.span.range()].as_bytes();
        let signs = bytes
            .iter()
            .filter(|b| {
                matches!(b, b'{' | b'}' | b';' | b'<' | b'>' | b'=' | b'$' | b'_' | b'[' | b']' | b'\\')
            })
            .count();
        let brackets = bytes.iter().any(|b| matches!(b, b'{' | b'}' | b'<' | b';'));
        if reason.is_none()
            && signs >= 5
            && brackets
            && signs * 8 >= bytes.len()
            && bytes.iter().any(u8::is_ascii_alphabetic)
        {
            *reason = Some(Boilerplate::Code);
        }
    }
}

/// In a comment section an item of one to three words is the name of the writer.
fn comment_heads(text: &str, segments: &[Segment], reasons: &mut [Option<Boilerplate>]) {
    let Some(opened) = reasons.iter().zip(segments).position(|(reason, segment)| {
        *reason == Some(Boilerplate::Navigation)
            && text[segment.span.range()].to_ascii_lowercase().contains("comment")
    }) else {
        return;
    };
    for at in opened + 1..segments.len() {
        let body = &text[segments[at].span.range()];
        let alone = segments.get(at + 1).is_none_or(|next| next.block != segments[at].block)
            && segments[at - 1].block != segments[at].block;
        if reasons[at].is_none()
            && alone
            && segments[at].kind == BlockKind::ListItem
            && body.len() <= 48
            && body.split_whitespace().count() <= 4
            && !body.ends_with(['.', '!', '?', ':'])
            && segments.get(at + 1).is_some_and(|next| next.kind != BlockKind::ListItem)
        {
            reasons[at] = Some(Boilerplate::Byline);
        }
    }
}

/// A line of one word beside a line of a profile ("Posts: 12") is the name of an account.
fn profiles(text: &str, segments: &[Segment], reasons: &mut [Option<Boilerplate>]) {
    let alone = |at: usize| {
        (at == 0 || segments[at - 1].block != segments[at].block)
            && segments.get(at + 1).is_none_or(|next| next.block != segments[at].block)
    };
    for at in 0..segments.len() {
        let body = &text[segments[at].span.range()];
        let word = body.len() <= 30
            && !body.contains(char::is_whitespace)
            && body.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let beside = |i: usize| reasons.get(i).copied().flatten() == Some(Boilerplate::Byline) && alone(i);
        if reasons[at].is_none()
            && word
            && alone(at)
            && !body.ends_with('.')
            && (beside(at + 1) || at > 0 && beside(at - 1))
        {
            reasons[at] = Some(Boilerplate::Byline);
        }
    }
}

/// After a line of two dashes stand the lines of a signature.
fn signatures(text: &str, segments: &[Segment], reasons: &mut [Option<Boilerplate>]) {
    let mut inside = false;
    for at in 0..segments.len() {
        let body = &text[segments[at].span.range()];
        if matches!(body, "--" | "__" | "—") {
            inside = true;
        } else if body.ends_with(['.', '!', '?'])
            || body.split_whitespace().count() > LINE_WORDS
            || reasons[at].is_some_and(|r| r != Boilerplate::Signature)
        {
            inside = false;
        }
        if inside && reasons[at].is_none() {
            reasons[at] = Some(Boilerplate::Signature);
        }
    }
}

/// After the comment form, late in the text, only the foot of the page follows, up to another byline.
fn footer(text: &str, segments: &[Segment], reasons: &mut [Option<Boilerplate>]) {
    let mut foot = false;
    let mut about = false;
    for at in 0..segments.len() {
        let body = &text[segments[at].span.range()];
        match reasons[at] {
            Some(Boilerplate::Form) if segments[at].span.start() * 2 >= text.len() && opens_form(body) => {
                foot = true
            }
            Some(Boilerplate::Byline) => foot = false,
            Some(_) => {}
            None if foot => {
                let sentence = body.ends_with('.');
                about = sentence && (about || biography::speaks_of_author(body));
                reasons[at] = Some(if about { Boilerplate::AuthorBio } else { Boilerplate::Promotion });
            }
            None => {}
        }
    }
}

fn opens_form(body: &str) -> bool {
    ["leave a", "submit a", "post a", "add a", "write a", "your email", "your e-mail"]
        .iter()
        .any(|s| body.get(..s.len()).is_some_and(|h| h.eq_ignore_ascii_case(s)))
}

/// At the end of a text, lines between furniture are links and captions.
fn tail(segments: &[Segment], lines: &[bool], reasons: &mut [Option<Boilerplate>]) {
    let Some(last) = (0..lines.len()).rev().find(|&at| reasons[at].is_none() && !lines[at]) else {
        return;
    };
    let mut furniture = false;
    for at in last + 1..lines.len() {
        let near = |reason: Option<Boilerplate>| is_page(reason) || reason == Some(Boilerplate::AuthorBio);
        let next = reasons.get(at + 1).copied().flatten();
        let before = reasons[at - 1];
        furniture |= near(reasons[at]);
        if reasons[at].is_none() && before != Some(Boilerplate::Byline) {
            let between = near(before) && (near(next) || at + 1 == lines.len());
            let caption = next == Some(Boilerplate::AuthorBio) && segments[at].kind == BlockKind::Heading;
            if between && furniture || caption {
                reasons[at] = Some(Boilerplate::Navigation);
            }
        }
    }
}
