//! Which sentences speak in general, to readers or of the world, and tell of no interaction.
//!
//! # Why this way
//!
//! A sentence alone does not show it: "Happy customers come back" is praise in a review of a barber and a maxim in
//! a column on management, and the model's head for it (`told`), which saw mostly reviews, takes warm words for praise
//! wherever they stand. What readers go by is the build of the text: paragraphs in which nothing happens to anybody,
//! before the tale begins, after it has ended, or under a line that announces lessons. So paragraphs are judged, by how
//! many of their sentences tell something (`cues`) and how much in them speaks of customers, companies and "you". A
//! review of one or two paragraphs is left to the model alone.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::events::{Event, EventType, Status};
use crate::fixed;
use crate::heads::SentenceScores;
use crate::interactions::cues::{self, Cues};
use crate::interactions::turns;
use crate::segment::{BlockKind, Segment};

/// P(told) below which the model alone decides. A sentence that is taken out of its interaction costs more than one
/// that is left in: chosen on the dev reviews and stories.
const TOLD: f32 = 0.05;

/// Paragraphs and sentences that a text must have before its build says anything.
const PARAGRAPHS: usize = 3;
const SENTENCES: usize = 8;

/// Of a paragraph that speaks in general at most this share tells what happened, ...
const CONCRETE: f64 = 0.25;
/// ... of one under a heading that announces lessons this share, ...
const CONCRETE_LESSONS: f64 = 0.34;
/// ... and there are so many signs a sentence: before the tale and after it, and in its midst.
const SIGNS: f64 = 0.7;
const SIGNS_WITHIN: f64 = 1.25;
/// Mean P(told) above which the model overrules the signs.
const SURELY_TOLD: f64 = 0.95;
/// With so many signs a sentence the model overrules nothing.
const SIGNS_SURE: f64 = 3.25;
/// Signs of a single sentence at the edge of a paragraph that tells, and P(told) above which it stays.
const SIGNS_EDGE: f64 = 2.0;
const TOLD_EDGE: f64 = 0.97;

/// Least confidence of "avoid them" and "I shall be back", which make a sentence part of the tale.
const SURE: f32 = 0.5;

/// Words of a line that announces lessons and is neither a question nor a heading.
const SHORT: usize = 7;

/// "~ Ida Krohn" below a saying.
static ATTRIBUTION: LazyLock<Regex> =
    LazyLock::new(|| fixed::regex(r"^[~—–-]+ ?\p{Lu}[\w.'’-]*(?: \p{Lu}[\w.'’-]*){0,3}$"));

/// A sentence of the main story.
struct Line<'t> {
    at: usize,
    block: u32,
    heading: bool,
    words: &'t str,
    told: f64,
    /// Somebody's words, or some of them.
    quoted: bool,
    cues: Cues,
}

/// For each sentence whether it speaks in general. None do where nothing else would be left.
pub(crate) fn find(
    text: &str,
    segments: &[Segment],
    content: &[bool],
    scores: &[SentenceScores],
    events: &[Event],
) -> Vec<bool> {
    let untold = |at: usize| {
        scores[at].told.is_some_and(|told| told < TOLD) || wordless(segments[at].span.get(text).unwrap_or(""))
    };
    let mut general: Vec<bool> =
        content.iter().enumerate().map(|(at, &content)| content && untold(at)).collect();
    let mut lines = lines(text, segments, content, scores);
    stays(&mut lines, events);
    quotations(&mut lines);
    by_build(&lines, &mut general);
    let left = general.iter().zip(content).any(|(&general, &content)| content && !general);
    if left { general } else { vec![false; content.len()] }
}

/// Whether a line is only punctuation, like dots that part paragraphs. A smiley says something.
fn wordless(line: &str) -> bool {
    line.chars().all(|c| c.is_whitespace() || ".,;:!?…'\"’”-–—*_".contains(c))
}

/// The sentences of the main story: those who answer below it are judged by whether they tell a tale.
fn lines<'t>(
    text: &'t str,
    segments: &[Segment],
    content: &[bool],
    scores: &[SentenceScores],
) -> Vec<Line<'t>> {
    let turns = turns::read(text, segments, content);
    let main = |at: &usize| content[*at] && turns.author[*at] == Some(0);
    (0..segments.len())
        .filter(main)
        .map(|at| Line {
            at,
            block: segments[at].block,
            heading: segments[at].kind == BlockKind::Heading,
            words: segments[at].span.get(text).unwrap_or("").trim(),
            told: f64::from(scores[at].told.unwrap_or(0.5)),
            quoted: false,
            cues: cues::read(text, segments[at].span),
        })
        .collect()
}

/// Who warns or recommends is speaking of the provider, in whatever tense. A title may only seem to.
fn stays(lines: &mut [Line<'_>], events: &[Event]) {
    for event in events {
        let verdict = matches!(event.event_type(), EventType::Churn | EventType::Loyalty)
            && event.status() == Status::Occurred;
        if verdict
            && event.confidence() >= SURE
            && let Ok(at) = lines.binary_search_by_key(&event.sentence().index(), |line| line.at)
        {
            let alone = lines.get(at + 1).is_some_and(|next| next.block != lines[at].block);
            let title = at == 0 && alone && lines[at].cues.words < SHORT;
            lines[at].cues.concrete |= !title;
        }
    }
}

/// Marks what stands between quotation marks. Those that are not closed reach to the end of their paragraph.
fn quotations(lines: &mut [Line<'_>]) {
    let mut open = false;
    let mut block = None;
    for line in lines {
        open &= block == Some(line.block);
        block = Some(line.block);
        line.quoted = open;
        for c in line.words.chars() {
            open = match c {
                '“' => true,
                '”' => false,
                '"' => !open,
                _ => continue,
            };
            line.quoted = true;
        }
    }
}

/// Judges paragraphs.
fn by_build(lines: &[Line<'_>], general: &mut [bool]) {
    let parts = paragraphs(lines);
    let built = parts.len() >= PARAGRAPHS && lines.len() >= SENTENCES;
    let mut mark = |part: &[Line<'_>]| part.iter().for_each(|line| general[line.at] = true);
    let tells = |part: &&Range<usize>| concrete(&lines[(*part).clone()]) > CONCRETE;
    if built
        && let Some(first) = parts.iter().find(tells)
        && let Some(last) = parts.iter().rfind(tells)
    {
        for part in [&lines[..first.start], &lines[last.end..]] {
            if speaks_in_general(part, SIGNS) {
                mark(part);
            }
        }
    }
    let mut lessons = false;
    for (nth, range) in parts.iter().enumerate() {
        let part = &lines[range.clone()];
        let own = share(part, |line| line.cues.own);
        let line = part.iter().rev().find(|line| line.cues.lessons && !line.cues.own);
        let last = &part[part.len() - 1];
        let announced = line.filter(|line| {
            own <= CONCRETE_LESSONS
                && (line.cues.question
                    || line.heading
                    || line.cues.words < SHORT
                    || last.words.ends_with(':'))
        });
        // "Great service feels like" over a list.
        let titled = part[0].heading && part[0].cues.topic && !part[0].cues.concrete;
        let list = part.len() > 1 && part[1..].iter().all(|line| line.cues.item);
        let under = lessons && own <= CONCRETE_LESSONS;
        if built {
            if announced.is_some()
                || under
                || speaks_in_general(part, SIGNS_WITHIN)
                || titled && list && concrete(part) <= CONCRETE
            {
                mark(part);
            } else {
                edges(part).for_each(|line| mark(std::slice::from_ref(line)));
            }
        } else if under {
            part.iter().filter(|line| line.cues.item).for_each(|line| mark(std::slice::from_ref(line)));
        }
        let at_end = line.filter(|line| line.at == last.at);
        if let Some(line) = at_end
            && (built || announced.is_some())
        {
            mark(std::slice::from_ref(line));
        }
        lessons = announced.is_some()
            || at_end.is_some()
            || under
            || built && last.heading && last.cues.topic && !last.cues.concrete;
        if let [line] = part
            && ATTRIBUTION.is_match(line.words)
            && let Some(saying) = nth.checked_sub(1).map(|before| &lines[parts[before].clone()])
            && saying[0].words.starts_with(['“', '"'])
        {
            mark(saying);
            mark(part);
        }
    }
}

/// Parts the story into paragraphs. A heading goes with what stands below it, and so do the items of a list.
fn paragraphs(lines: &[Line<'_>]) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let joins = at > 0 && {
            let before = &lines[at - 1];
            let titled = before.heading && !line.heading && !ATTRIBUTION.is_match(before.words);
            before.block == line.block || before.cues.item && line.cues.item || titled
        };
        match parts.last_mut() {
            Some(part) if joins => part.end = at + 1,
            _ => parts.push(at..at + 1),
        }
    }
    parts
}

fn share(part: &[Line<'_>], holds: impl Fn(&Line<'_>) -> bool) -> f64 {
    part.iter().filter(|line| holds(line)).count() as f64 / part.len().max(1) as f64
}

fn concrete(part: &[Line<'_>]) -> f64 {
    share(part, |line| line.cues.concrete)
}

fn speaks_in_general(part: &[Line<'_>], signs: f64) -> bool {
    let mean = |number: fn(&Line<'_>) -> f64| part.iter().map(number).sum::<f64>() / part.len().max(1) as f64;
    let general = mean(|line| line.cues.general);
    part.iter().any(|line| line.cues.topic)
        && concrete(part) <= CONCRETE
        && general >= signs
        && (general >= SIGNS_SURE || mean(|line| line.told) <= SURELY_TOLD)
}

/// The sentences at the beginning and end of a paragraph that lead to what it tells, or away from it.
fn edges<'a, 't>(part: &'a [Line<'t>]) -> impl Iterator<Item = &'a Line<'t>> {
    fn leads(line: &&Line<'_>) -> bool {
        let Cues { concrete, topic, general, .. } = line.cues;
        !concrete && topic && general >= SIGNS_EDGE && line.told < TOLD_EDGE && !line.quoted
    }
    // "Have you ever been let down by a shop? How about a bank?"
    let mut asked = false;
    let opens = move |line: &&Line<'_>| {
        let Cues { concrete, own, question, .. } = line.cues;
        let opens = leads(line) || asked && question && !concrete && !own && !line.quoted;
        asked = opens && question;
        opens
    };
    part.iter().take_while(opens).chain(part.iter().rev().take_while(leads))
}

#[cfg(test)]
mod tests;
