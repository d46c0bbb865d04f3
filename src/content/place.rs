//! What the place of a sentence says: lines between menus, words about the author, what follows the comment form.
//!
//! The weights below were set by hand on the development stories and on pages of our own.

use std::collections::HashSet;

use super::Boilerplate;
use crate::segment::{BlockKind, Segment};

/// Words that say what an author is or does, in a sentence like "Ann Poe is a baker and writer".
const TRADES: &[&str] = &[
    "accountant",
    "activist",
    "artist",
    "attorney",
    "author",
    "baker",
    "blogger",
    "ceo",
    "chef",
    "coach",
    "columnist",
    "consultant",
    "contributor",
    "cook",
    "correspondent",
    "designer",
    "developer",
    "director",
    "editor",
    "educator",
    "engineer",
    "entrepreneur",
    "expert",
    "farmer",
    "father",
    "founder",
    "freelance",
    "gardener",
    "host",
    "journalist",
    "lawyer",
    "lecturer",
    "librarian",
    "mom",
    "mother",
    "mum",
    "nurse",
    "officer",
    "photographer",
    "poet",
    "president",
    "producer",
    "professor",
    "reporter",
    "researcher",
    "speaker",
    "storyteller",
    "strategist",
    "student",
    "teacher",
    "trainer",
    "traveler",
    "traveller",
    "vlogger",
    "writer",
];

/// Words of a life in brief: where the author lives and what came of it.
const LIFE: &[&str] = &[
    "award-winning",
    "bestselling",
    "book",
    "books",
    "helped",
    "helps",
    "husband",
    "keynote",
    "lives",
    "living",
    "organizations",
    "retired",
    "speaks",
    "wife",
    "writes",
];

/// A line of at most so many words may be a title or a link.
const LINE_WORDS: usize = 12;
/// A sentence is taken for one about the author from this many points on.
const BIO_POINTS: i32 = 4;

/// Marks sentences by their place, given what is known to be furniture.
pub(super) fn mark(text: &str, segments: &[Segment], reasons: &mut [Option<Boilerplate>]) {
    let lines: Vec<bool> = segments.iter().map(|s| is_line(&text[s.span.range()])).collect();
    head(segments, &lines, reasons);
    code(text, segments, reasons);
    recent(text, segments, &lines, reasons);
    comment_heads(text, segments, reasons);
    profiles(text, segments, reasons);
    signatures(text, segments, reasons);
    biographies(text, segments, reasons);
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
                matches!(c, '|' | '·' | '•' | '/' | '»' | '«' | '›' | '‹' | '-' | '–' | '—' | '↓' | '→' | '*')
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

/// Sentences about the author: at the end, or beside other furniture, and worded as such sentences are.
fn biographies(text: &str, segments: &[Segment], reasons: &mut [Option<Boilerplate>]) {
    let mut known: HashSet<&str> = HashSet::new();
    let mut told: HashSet<&str> = HashSet::new();
    let mut about = false;
    let content = reasons.iter().filter(|r| r.is_none()).count();
    let mut passed = 0;
    for at in 0..segments.len() {
        let body = &text[segments[at].span.range()];
        passed += usize::from(reasons[at].is_none());
        match reasons[at] {
            Some(Boilerplate::Byline) => {
                known.extend(names(body));
                about = false;
                continue;
            }
            Some(reason) => {
                about = reason == Boilerplate::AuthorBio;
                continue;
            }
            None => {}
        }
        let late = passed * 2 > content;
        let beside = at + 2 >= segments.len()
            || reasons[at + 1].is_some()
            || reasons[at + 2].is_some()
            || at > 0 && reasons[at - 1].is_some();
        let same_block = at > 0 && segments[at].block.abs_diff(segments[at - 1].block) <= 1;
        if about && same_block && goes_on_about(body) {
            reasons[at] = Some(Boilerplate::AuthorBio);
            continue;
        }
        about = false;
        if late {
            let points = bio_points(body, &known, &told) + 2 * i32::from(beside);
            let greeting = beside && introduces(body);
            if points >= BIO_POINTS || greeting {
                reasons[at] = Some(Boilerplate::AuthorBio);
                about = true;
                continue;
            }
        }
        told.extend(names(body));
    }
}

/// Capitalised words.
fn names(body: &str) -> impl Iterator<Item = &str> {
    body.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 2 && w.starts_with(char::is_uppercase))
}

fn bio_points(body: &str, known: &HashSet<&str>, told: &HashSet<&str>) -> i32 {
    let words: Vec<&str> = body.split_whitespace().take(40).collect();
    // "Ann Poe, M.Ed., is a", "Dr. Ann Poe has", "Ann lives": a name, and then its verb.
    let Some(verb) = words
        .iter()
        .take(8)
        .position(|w| matches!(*w, "is" | "has" | "lives" | "writes" | "helps" | "works" | "teaches"))
    else {
        return 0;
    };
    let subject = &words[..verb];
    if subject.is_empty() || !subject.iter().all(|w| w.starts_with(char::is_uppercase)) {
        return 0;
    }
    let first = subject.iter().map(|w| w.trim_matches(|c: char| !c.is_alphanumeric())).find(|w| {
        w.len() > 2
            && !matches!(
                *w,
                "Mrs"
                    | "Prof"
                    | "The"
                    | "This"
                    | "That"
                    | "She"
                    | "Who"
                    | "What"
                    | "There"
                    | "Here"
                    | "Customer"
                    | "Service"
            )
    });
    let Some(first) = first else {
        return 0;
    };
    let has = |list: &[&str]| {
        words[verb..]
            .iter()
            .filter(|w| {
                list.binary_search(&w.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().as_str())
                    .is_ok()
            })
            .count()
    };
    let trades = has(TRADES);
    let life = has(LIFE) + usize::from(matches!(words[verb], "lives" | "writes" | "helps" | "teaches"));
    if subject.len() < 2 && !known.contains(first) {
        return 0;
    }
    let mut points =
        2 * i32::from(trades > 0) + i32::from(trades > 1) + i32::from(life > 0) + i32::from(life > 1);
    points += 2 * i32::from(known.contains(first));
    // Somebody whom the story tells of is hardly its author, unless the sentence lists several trades.
    points -= if trades > 1 { 1 } else { 3 } * i32::from(!known.contains(first) && told.contains(first));
    points
}

/// "Hi, I'm Ann!"
fn introduces(body: &str) -> bool {
    let mut words = body.split_whitespace();
    let hello = words.next().is_some_and(|w| matches!(w.trim_end_matches(','), "Hi" | "Hello" | "Hey"));
    hello && words.next().is_some_and(|w| matches!(w, "I'm" | "I’m"))
}

fn goes_on_about(body: &str) -> bool {
    let first = body.split_whitespace().next().unwrap_or_default();
    let first = first.trim_end_matches(|c: char| !c.is_alphanumeric());
    matches!(
        first,
        "He" | "She"
            | "His"
            | "Her"
            | "They"
            | "Their"
            | "Follow"
            | "He’s"
            | "She’s"
            | "He's"
            | "She's"
            | "Find"
            | "Contact"
            | "Connect"
            | "Visit"
    ) || body.contains(" and his ") && body.contains("author")
        || body.starts_with("A ") && body.contains("author")
        || body.starts_with("A former ")
        || body.contains(" is committed to")
        || body.contains(" are committed to")
}

/// After the comment form, late in the text, only the foot of the page follows, up to another byline.
fn footer(text: &str, segments: &[Segment], reasons: &mut [Option<Boilerplate>]) {
    let nobody = HashSet::new();
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
                about = sentence && (about || bio_points(body, &nobody, &nobody) > 0);
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
