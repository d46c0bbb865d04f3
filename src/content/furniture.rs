//! Page furniture inside a block: menus, bylines, buttons, left-over code, found by rules that are data.
//!
//! # Why this way
//!
//! A page copied from a browser keeps its lines; a page run through a text extractor often loses them, and the menu, the
//! title, the byline and the first sentence come as one line. So furniture must be known before sentences are cut. Each
//! rule is a regular expression tried only around its anchor words, on a window of bounded length: the work is
//! linear in the text whatever it holds.

use std::sync::{LazyLock, OnceLock};

use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;
use serde::Deserialize;

use super::{Boilerplate, menu};
use crate::fixed;

/// The rules, as text.
const RULES: &str = include_str!("../../data/segment/furniture.toml");
/// Bytes that a rule may look at before its anchor, and after it.
const BEFORE: usize = 96;
const AFTER: usize = 480;
/// Furniture that goes on "to the end" goes on for at most so many bytes.
const TO_END: usize = 240;

/// A piece of furniture: bytes of the block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) reason: Boilerplate,
}

/// What is known of the text so far, carried from block to block.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Reading {
    /// Turns of several writers (a comment section, a thread) have begun.
    turns: bool,
}

#[derive(Deserialize)]
struct File {
    shapes: toml::Table,
    rule: Vec<Raw>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    code: String,
    reason: String,
    anchors: Vec<String>,
    regex: String,
    #[serde(default)]
    alone: bool,
    #[serde(default)]
    after: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    to_end: bool,
    #[serde(default)]
    opens: bool,
    #[serde(default)]
    section: String,
    #[serde(default)]
    label: bool,
    #[serde(default)]
    named: bool,
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test of the rules"))]
    matches: Vec<String>,
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test of the rules"))]
    not: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Any,
    Start,
    End,
}

struct Rule {
    code: String,
    reason: Boilerplate,
    /// With the names of shapes in it.
    pattern: String,
    /// Made when an anchor of the rule is first met: all of them would take most of the time of a first short story.
    regex: OnceLock<Regex>,
    alone: bool,
    after_sentence: bool,
    next: Next,
    to_end: bool,
    opens: bool,
    in_turns: bool,
    label: bool,
    named: bool,
}

struct Rules {
    anchors: AhoCorasick,
    /// For each anchor the rule that it belongs to.
    owner: Vec<usize>,
    rules: Vec<Rule>,
    shapes: Vec<(String, String)>,
}

static FURNITURE: LazyLock<Rules> = LazyLock::new(|| match load(RULES) {
    Ok(rules) => rules,
    // The file is compiled in and every rule of it is run by a test.
    Err(message) => panic!("data/segment/furniture.toml: {message}"),
});

fn load(text: &str) -> Result<Rules, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
    let mut words = Vec::new();
    let mut owner = Vec::new();
    let mut rules = Vec::new();
    for raw in file.rule {
        for anchor in raw.anchors {
            words.push(anchor);
            owner.push(rules.len());
        }
        rules.push(Rule {
            reason: Boilerplate::from_name(&raw.reason)
                .ok_or_else(|| format!("{}: unknown reason {}", raw.code, raw.reason))?,
            code: raw.code,
            pattern: raw.regex,
            regex: OnceLock::new(),
            alone: raw.alone,
            after_sentence: raw.after == "sentence",
            next: match raw.next.as_str() {
                "start" => Next::Start,
                "end" => Next::End,
                _ => Next::Any,
            },
            to_end: raw.to_end,
            opens: raw.opens,
            in_turns: raw.section == "turns",
            label: raw.label,
            named: raw.named,
        });
    }
    let anchors = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .build(&words)
        .map_err(|e| e.to_string())?;
    let shapes = file.shapes.into_iter();
    let shapes = shapes.filter_map(|(name, shape)| Some((format!("{{{name}}}"), shape.as_str()?.to_owned())));
    Ok(Rules { anchors, owner, rules, shapes: shapes.collect() })
}

/// Puts the shapes into a regular expression; shapes hold shapes, three deep.
fn expand(regex: &str, shapes: &[(String, String)]) -> String {
    // Full Unicode classes under repetition make programs of megabytes; the names of Latin scripts are enough here.
    const LATIN: [(&str, &str); 5] = [
        (r"\w", "[0-9A-Za-z_À-ɏ]"),
        (r"\d", "[0-9]"),
        (r"\p{Lu}", "[A-ZÀ-ÖØ-Þ]"),
        (r"\p{Ll}", "[a-zß-öø-ÿ]"),
        (r"\p{L}", "[A-Za-zÀ-ɏ]"),
    ];
    let mut text = regex.to_owned();
    for _ in 0..4 {
        for (name, shape) in shapes {
            text = text.replace(name.as_str(), shape);
        }
    }
    for (class, latin) in LATIN {
        text = text.replace(class, latin);
    }
    text
}

/// A regular expression of our own with the shapes of the rules in it, `{date}` or `{user}`.
///
/// # Panics
///
/// If it is none.
pub(crate) fn regex(pattern: &str) -> Regex {
    fixed::regex(&expand(pattern, &FURNITURE.shapes))
}

/// The furniture of one block, in order, not overlapping.
pub(crate) fn find(block: &str, reading: &mut Reading) -> Vec<Found> {
    FURNITURE.find(block, reading)
}

/// Where a rule may apply.
struct Hit {
    rule: usize,
    anchor: (usize, usize),
    start: usize,
    end: usize,
}

impl Rules {
    fn find(&self, block: &str, reading: &mut Reading) -> Vec<Found> {
        let mut hits = Vec::new();
        // A rule that has been tried on a window need not be tried again on an anchor inside what it found.
        let mut done = vec![0usize; self.rules.len()];
        let mut opened = reading.turns;
        for anchor in self.anchors.find_overlapping_iter(block) {
            let rule = self.owner[anchor.pattern().as_usize()];
            let late = self.rules[rule].in_turns && !opened;
            if late || anchor.end() <= done[rule] || !on_word(block, anchor.start(), anchor.end()) {
                continue;
            }
            if let Some((start, end)) = self.try_rule(rule, block, done[rule], (anchor.start(), anchor.end()))
            {
                done[rule] = end;
                opened |= self.rules[rule].opens;
                hits.push(Hit { rule, anchor: (anchor.start(), anchor.end()), start, end });
            }
        }
        let mut menus = menu::find(block).into_iter().peekable();
        hits.sort_by_key(|hit| (hit.start, !self.rules[hit.rule].label, std::cmp::Reverse(hit.end)));
        let mut found: Vec<(Found, bool)> = Vec::new();
        let mut last = 0;
        let accept = |found: &mut Vec<(Found, bool)>, last: &mut usize, piece: Found, open: bool| {
            if piece.start >= *last && piece.end > piece.start {
                *last = piece.end;
                found.push((piece, open));
            }
        };
        for hit in hits {
            let rule = &self.rules[hit.rule];
            let (mut start, mut end) = (hit.start, hit.end);
            while let Some(menu) =
                menus.next_if(|menu| menu.start < start || menu.start == start && menu.end >= end)
            {
                accept(&mut found, &mut last, menu, false);
            }
            if start < last {
                // The front belongs to other furniture ("Comments Ann says:"): try the rest.
                match self.try_rule(hit.rule, block, last, hit.anchor) {
                    Some(rest) if rest.0 >= last => (start, end) = rest,
                    _ => continue,
                }
            }
            if rule.in_turns && !reading.turns || !self.fits(rule, block, last, start, end, &found) {
                continue;
            }
            reading.turns |= rule.opens;
            accept(&mut found, &mut last, Found { start, end, reason: rule.reason }, rule.to_end);
        }
        for menu in menus {
            accept(&mut found, &mut last, menu, false);
        }
        extend(block, found)
    }

    fn regex<'r>(&self, rule: &'r Rule) -> &'r Regex {
        rule.regex.get_or_init(|| match Regex::new(&expand(&rule.pattern, &self.shapes)) {
            Ok(regex) => regex,
            // As above: every rule is run by a test.
            Err(error) => panic!("data/segment/furniture.toml: {}: {error}", rule.code),
        })
    }

    /// The match of `rule` that holds the anchor and begins at `from` or later.
    fn try_rule(
        &self,
        rule: usize,
        block: &str,
        from: usize,
        anchor: (usize, usize),
    ) -> Option<(usize, usize)> {
        let rule = &self.rules[rule];
        let regex = self.regex(rule);
        let low = block.floor_char_boundary(anchor.0.saturating_sub(BEFORE)).max(from);
        let high = block.ceil_char_boundary((anchor.1 + AFTER).min(block.len()));
        let window = block.get(low..high)?;
        for found in regex.find_iter(window) {
            let (start, end) = (low + found.start(), low + found.end());
            if start > anchor.0 {
                return None;
            }
            if end >= anchor.1 {
                let text = block[start..end].trim_end();
                let whole = on_word(block, start, start + text.len());
                return (whole && !(rule.named && begins_with_pronoun(text)))
                    .then_some((start, start + text.len()));
            }
        }
        None
    }

    fn fits(
        &self,
        rule: &Rule,
        block: &str,
        last: usize,
        start: usize,
        end: usize,
        found: &[(Found, bool)],
    ) -> bool {
        let before = block[last..start].trim_end();
        let rest = block[end..].trim_start();
        if rule.alone {
            return (before.is_empty() || before.ends_with('\n'))
                && (rest.is_empty() || block[end..].starts_with('\n'));
        }
        let open = found.last().is_some_and(|(_, to_end)| *to_end);
        let begins = before.is_empty() || open || block[last..start].ends_with('\n') || ends_sentence(before);
        let goes_on = match rule.next {
            Next::Any => true,
            Next::End => rest.is_empty(),
            Next::Start => {
                rest.chars()
                    .next()
                    .is_none_or(|c| !c.is_lowercase() && !matches!(c, ',' | ';' | '.' | '!' | '?'))
                    || is_handle(rest)
            }
        };
        (begins || !rule.after_sentence) && goes_on
    }
}

/// Draws furniture that is open at its end on to the next furniture or to the end of the line, and joins what a separator
/// joins ("Newer: Paint | Older: Tiles").
fn extend(block: &str, found: Vec<(Found, bool)>) -> Vec<Found> {
    let mut pieces: Vec<Found> = Vec::with_capacity(found.len());
    let mut starts = found.iter().map(|(piece, _)| piece.start).skip(1).collect::<Vec<_>>();
    starts.push(block.len());
    let mut open_before = false;
    for ((mut piece, open), next) in found.into_iter().zip(starts) {
        if open {
            let line_end = block[piece.end..next].find('\n').map_or(next, |at| piece.end + at);
            if line_end - piece.end <= TO_END {
                piece.end += block[piece.end..line_end].trim_end().len();
            }
        }
        match pieces.last_mut() {
            Some(last)
                if open_before
                    && last.reason == piece.reason
                    && block[last.end..piece.start].chars().all(char::is_whitespace)
                    && block[..last.end].ends_with(['|', '/', '·', '•', ':']) =>
            {
                last.end = piece.end;
            }
            _ => pieces.push(piece),
        }
        open_before = open;
    }
    pieces
}

/// Whether `start..end` does not cut a word in two.
fn on_word(block: &str, start: usize, end: usize) -> bool {
    let joined = |left: Option<char>, right: Option<char>| {
        left.is_some_and(|c| c.is_alphanumeric() || c == '_')
            && right.is_some_and(|c| c.is_alphanumeric() || c == '_')
    };
    // A number may be the end of a longer one.
    let first = block[start..].chars().next().filter(|c| !c.is_ascii_digit());
    let last = block[..end].chars().next_back();
    !(joined(block[..start].chars().next_back(), first) && first != Some('_')
        || joined(last, block[end..].chars().next()) && last != Some('_'))
}

fn ends_sentence(text: &str) -> bool {
    let text = text.trim_end_matches(['"', '\'', '”', '’', ')', ']', '*']);
    text.ends_with(|c: char| matches!(c, '.' | '!' | '?' | '…' | ':' | '|') || c as u32 >= 0x1f300)
}

fn begins_with_pronoun(text: &str) -> bool {
    const PRONOUNS: &[&str] = &[
        "he", "she", "they", "i", "we", "it", "and", "who", "you", "then", "which", "that", "so", "but",
        "one",
    ];
    let word = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    PRONOUNS.iter().any(|p| word.eq_ignore_ascii_case(p))
}

/// Whether `text` begins with a name of an account: `lazy_anna`, `otto77 said...`.
fn is_handle(text: &str) -> bool {
    let word = text.split(char::is_whitespace).next().unwrap_or_default();
    let head = &text[..text.floor_char_boundary(60)];
    word.len() <= 40
        && (word.contains('_')
            || head.contains(" said...")
            || head.contains(" says:")
            || head.contains(" said:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_finds_its_lines_and_leaves_the_near_misses() {
        let file: File = toml::from_str(RULES).unwrap();
        let mut failures = Vec::new();
        for (i, raw) in file.rule.iter().enumerate() {
            assert!(!raw.matches.is_empty() && !raw.not.is_empty(), "{}: lines missing", raw.code);
            let rule = &FURNITURE.rules[i];
            FURNITURE.regex(rule);
            let lines = raw.matches.iter().map(|l| (l, true)).chain(raw.not.iter().map(|l| (l, false)));
            for (line, wanted) in lines {
                let mut reading = Reading { turns: true };
                let hit = FURNITURE
                    .anchors
                    .find_overlapping_iter(line.as_str())
                    .filter(|a| {
                        FURNITURE.owner[a.pattern().as_usize()] == i && on_word(line, a.start(), a.end())
                    })
                    .filter_map(|a| FURNITURE.try_rule(i, line, 0, (a.start(), a.end())))
                    .find(|&(s, e)| FURNITURE.fits(rule, line, 0, s, e, &[]));
                let whole = FURNITURE.find(line, &mut reading);
                let good = if wanted {
                    hit.is_some_and(|(s, e)| s == 0 && (e == line.len() || rule.to_end))
                } else {
                    hit.is_none() && whole.is_empty()
                };
                if !good {
                    failures
                        .push(format!("{}: {line:?} wanted {wanted}, rule {hit:?}, all {whole:?}", raw.code));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}
