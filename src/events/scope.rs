//! Who acts, and whether it happened: negation, wishes, advice and third parties around a match.
//!
//! Marks come from the patterns of `data/rules/scope.toml`. A negation or a wish reaches a match when it stands
//! in the same clause and before the end of the match (or, for a rule with `reach = "clause"`, anywhere in the
//! clause). A shield ("no problem", "couldn't have been nicer") cancels what lies inside it.

use serde::Deserialize;

use crate::events::rules::{Hit, Reach, RuleSet, Under};
use crate::events::words::{BREAK, COMMA, QUOTED, Words};
use crate::events::{Actor, Status};

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
}

/// What was found in one sentence.
#[derive(Debug, Default)]
pub(crate) struct Sentence {
    number: usize,
    /// Rule, first word, one past the last.
    pub(crate) found: Vec<(u32, u32, u32)>,
    pub(crate) marks: Vec<(MarkKind, u32, u32)>,
}

impl Sentence {
    pub(crate) fn begin(&mut self, number: usize) {
        self.number = number;
        self.found.clear();
        self.marks.clear();
    }

    /// Turns the matches of the sentence into hits.
    pub(crate) fn finish(&mut self, set: &RuleSet, words: &Words, hits: &mut Vec<Hit>) {
        let bounds = (words.bounds[self.number] as usize, words.bounds[self.number + 1] as usize);
        for &(number, from, to) in &self.found {
            let rule = &set.rules[number as usize];
            let (from, to) = (from as usize, to as usize);
            if (!rule.question && words.questions[self.number])
                || (!rule.in_quotes && words.words[from].has(QUOTED))
                || (!rule.advice && self.marks.iter().any(|mark| mark.0 == MarkKind::Advice))
            {
                continue;
            }
            let start = scope_start(words, from, bounds.0);
            let end = match rule.reach {
                Reach::Before => to,
                Reach::Clause => clause_end(words, to, bounds.1),
            };
            let reached = |kind: MarkKind, end: usize, own: bool| {
                self.marks.iter().any(|&(found, a, b)| {
                    let at = a as usize;
                    let inside = own && at >= from && at < to;
                    found == kind && at >= start && at < end && !inside && !self.shielded(a, b)
                })
            };
            if reached(MarkKind::ThirdParty, to, false) {
                continue;
            }
            let negated = reached(MarkKind::Negation, end, rule.own_negation);
            let wished = reached(MarkKind::Wish, to, rule.own_negation)
                || (!negated && reached(MarkKind::Modal, to, rule.own_negation));
            let status = match (wished, negated) {
                (true, _) if rule.wished == Under::Drop => continue,
                (true, _) if rule.wished == Under::Turn => Status::Unreal,
                (_, true) if rule.negated == Under::Drop => continue,
                (_, true) if rule.negated == Under::Turn => Status::Absent,
                (false, false) if rule.plain == Under::Drop => continue,
                _ => rule.status.unwrap_or(Status::Occurred),
            };
            let actor = if rule.actor == Actor::ThirdParty { continue } else { rule.actor };
            hits.push(Hit {
                sentence: self.number,
                rule: number as usize,
                status,
                actor,
                span: words.span(from, to),
            });
        }
    }

    fn shielded(&self, from: u32, to: u32) -> bool {
        self.marks.iter().any(|&(kind, a, b)| kind == MarkKind::Shield && a <= from && to <= b)
    }
}

/// The first word that a negation can stand on and still reach word `from`.
fn scope_start(words: &Words, from: usize, first: usize) -> usize {
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
    (to..last).find(|&at| words.words[at].has(BREAK)).unwrap_or(last)
}
