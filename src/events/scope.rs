//! Who acts, and whether it happened: negation, wishes, advice and third parties around a match.
//!
//! Marks come from the patterns of `data/rules/scope.toml`. A negation or a wish reaches a match when it stands
//! in the same clause and before the end of the match (or, for a rule with `reach = "clause"`, anywhere in the
//! clause). A shield ("no problem", "couldn't have been nicer") cancels what lies inside it.

use std::ops::Range;

use serde::Deserialize;

use crate::events::Status;
use crate::events::rules::{Findings, Hit, Reach, RuleSet, Under};
use crate::events::words::{BREAK, COMMA, QUOTED, Words};

/// What a pattern of `scope.toml` says about the words around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MarkKind {
    /// What follows did not happen.
    Negation,
    /// What follows is wished, expected, supposed, offered or to come.
    Wish,
    /// A wish, where no negation reaches the match, too ("would" against "not one of them would").
    Modal,
    /// An idiom: the negations and wishes inside it are none.
    Shield,
    /// The sentence speaks to readers or of the world in general.
    Advice,
    /// Somebody else's provider, or somebody else's affair.
    ThirdParty,
    /// The company or its people.
    Staff,
    /// Those whom the customer speaks for.
    Family,
    /// People who are neither.
    Outsider,
    /// Somebody speaks.
    Speech,
}

impl MarkKind {
    /// Whether it tells who is meant, and nothing of what happened.
    pub(crate) fn is_person(self) -> bool {
        matches!(self, MarkKind::Staff | MarkKind::Family | MarkKind::Outsider | MarkKind::Speech)
    }
}

/// What was found in one sentence.
#[derive(Debug, Default)]
pub(crate) struct Sentence {
    number: usize,
    /// Rule, first word, one past the last.
    pub(crate) found: Vec<(u32, u32, u32)>,
    /// Rule of severity, first word, one past the last.
    pub(crate) graded: Vec<(u32, u32, u32)>,
    pub(crate) marks: Vec<Mark>,
}

/// A match of a pattern of `scope.toml`: first word, one past the last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) kind: MarkKind,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// No scope reaches further than this many words: people do not read so far back, and it keeps time linear.
const REACH: usize = 40;

/// A negation cancels a sign of severity from this many words before it: "they would not refund what they had
/// charged twice" negates the refund only.
const NEAR: usize = 3;

impl Sentence {
    pub(crate) fn begin(&mut self, number: usize) {
        self.number = number;
        self.found.clear();
        self.graded.clear();
        self.marks.clear();
    }

    /// Turns the matches of the sentence into hits and levels of severity.
    pub(crate) fn finish(&mut self, set: &RuleSet, words: &Words, findings: &mut Findings) {
        let bounds = (words.bounds[self.number] as usize, words.bounds[self.number + 1] as usize);
        let advice = self.marks.iter().any(|mark| mark.kind == MarkKind::Advice);
        self.apply_shields();
        for &(number, from, to) in &self.graded {
            let rule = &set.severities[number as usize];
            let (from, to) = (from as usize, to as usize);
            let start = scope_start(words, from, bounds.0);
            let near = start.max(from.saturating_sub(NEAR));
            let own = rule.own_negation.then_some(from..to);
            // What was feared or came close counts in full: it is the failure that must have happened.
            if !self.reached(MarkKind::Negation, near, to, own)
                && !self.reached(MarkKind::ThirdParty, start, to, None)
            {
                findings.severities.push((self.number, number));
            }
        }
        for &(number, from, to) in &self.found {
            let rule = &set.rules[number as usize];
            let (from, to) = (from as usize, to as usize);
            if (!rule.question && words.questions[self.number])
                || (!rule.in_quotes && words.words[from].has(QUOTED))
                || (!rule.advice && advice)
            {
                continue;
            }
            let start = scope_start(words, from, bounds.0);
            let end = match rule.reach {
                Reach::Before => to,
                Reach::Clause => clause_end(words, to, bounds.1),
            };
            let own = rule.own_negation.then_some(from..to);
            let reached = |kind: MarkKind, end: usize| self.reached(kind, start, end, own.clone());
            if reached(MarkKind::ThirdParty, to) {
                continue;
            }
            let negated = reached(MarkKind::Negation, end);
            let wished = reached(MarkKind::Wish, to) || (!negated && reached(MarkKind::Modal, to));
            let status = match (wished, negated) {
                (true, _) if rule.wished == Under::Drop => continue,
                (true, _) if rule.wished == Under::Turn => Status::Unreal,
                (_, true) if rule.negated == Under::Drop => continue,
                (_, true) if rule.negated == Under::Turn => Status::Absent,
                (false, false) if rule.plain == Under::Drop => continue,
                _ => rule.status.unwrap_or(Status::Occurred),
            };
            findings.hits.push(Hit {
                sentence: self.number,
                rule: number as usize,
                status,
                actor: rule.actor,
                span: words.span(from, to),
            });
        }
    }

    /// Whether a mark of this kind stands between the words `start` and `end`, and not in `own`.
    fn reached(&self, kind: MarkKind, start: usize, end: usize, own: Option<Range<usize>>) -> bool {
        let first = self.marks.partition_point(|mark| (mark.from as usize) < start);
        self.marks[first..].iter().take_while(|mark| (mark.from as usize) < end).any(|mark| {
            let inside = own.as_ref().is_some_and(|own| own.contains(&(mark.from as usize)));
            mark.kind == kind && !inside
        })
    }

    /// Sorts the marks by place and takes out those that lie in a shield.
    fn apply_shields(&mut self) {
        self.marks.sort_by_key(|mark| mark.from);
        let shields: Vec<Mark> =
            self.marks.iter().copied().filter(|mark| mark.kind == MarkKind::Shield).collect();
        if shields.is_empty() {
            return;
        }
        let longest = shields.iter().map(|shield| shield.to - shield.from).max().unwrap_or(0);
        self.marks.retain(|mark| {
            let near = shields.partition_point(|shield| shield.from + longest < mark.from);
            !shields[near..]
                .iter()
                .take_while(|shield| shield.from <= mark.from)
                .any(|shield| shield.from <= mark.from && mark.to <= shield.to)
        });
    }
}

/// The first word that a negation can stand on and still reach word `from`.
fn scope_start(words: &Words, from: usize, first: usize) -> usize {
    let first = first.max(from.saturating_sub(REACH));
    let mut at = from;
    loop {
        while at > first && !words.words[at].has(BREAK) {
            at -= 1;
        }
        // "nobody called, apologised or even wrote": an "or" carries the negation over the comma.
        let carries = at > first && words.words[at].has(COMMA) && {
            let clause = at..(from + 4).min(words.words.len());
            clause.clone().any(|word| matches!(words.normal_of(word), "or" | "nor"))
        };
        if !carries {
            return at;
        }
        at -= 1;
    }
}

fn clause_end(words: &Words, to: usize, last: usize) -> usize {
    let last = last.min(to + REACH);
    (to..last).find(|&at| words.words[at].has(BREAK)).unwrap_or(last)
}
