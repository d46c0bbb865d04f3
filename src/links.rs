//! How the events of an interaction hang together: what answers what, and what was promised.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::events::{Event, EventGroup, EventType, Status};

/// How one event of an interaction refers to an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LinkKind {
    /// A recovery answers a failure.
    Answers,
    /// What had been offered or promised was done.
    Keeps,
    /// What had been offered or promised was not done.
    Breaks,
    /// A failure comes after a recovery that had answered an earlier failure (Maxham and Netemeyer 2002).
    DoubleDeviation,
}

impl LinkKind {
    /// The kind as it is written in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            LinkKind::Answers => "answers",
            LinkKind::Keeps => "keeps",
            LinkKind::Breaks => "breaks",
            LinkKind::DoubleDeviation => "double_deviation",
        }
    }
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A relation between two events, given as positions in the slice of events that was scored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Link {
    kind: LinkKind,
    from: usize,
    to: usize,
}

impl Link {
    /// How they are related.
    pub fn kind(self) -> LinkKind {
        self.kind
    }

    /// Position of the event that refers: the recovery, the keeping or breaking, the second failure.
    pub fn from(self) -> usize {
        self.from
    }

    /// Position of the event that is referred to: the failure, the promise, the recovery that did not last.
    pub fn to(self) -> usize {
        self.to
    }
}

/// How many events of the interaction are looked back over for the failure that a recovery answers, or the offer that
/// is kept or broken. Stories return to their main failure, so this is generous.
const REACH: usize = 40;

/// Finds the links among the events at `members` (positions in `events`, in the order of the text).
///
/// A recovery answers the last failure before it (or in its own sentence) that it can make good, and if there
/// is none the last failure of any kind: money is matched with money, a repair with a defect, an explanation
/// with silence or delay (Smith, Bolton and Wagner 1999; Roschk and Gelbrich 2014). Looking back ends after a
/// fixed number of events, so the work is linear in their number.
pub(crate) fn links(events: &[Event], members: &[usize]) -> Vec<Link> {
    let mut found = Vec::new();
    // Recoveries that answered something: (position, sentence).
    let mut last_answer: Option<(usize, usize)> = None;
    let mut deviated = false;
    for (at, &from) in members.iter().enumerate() {
        let event = &events[from];
        let sentence = event.sentence.index();
        let back = &members[at.saturating_sub(REACH)..at];
        match (event.event_type.group(), event.status) {
            (EventGroup::Recovery, Status::Occurred) => {
                // "They apologised for the delay": the failure may stand behind its answer in one sentence.
                let ahead = members[at + 1..].iter().take(8);
                let near = ahead.take_while(|&&to| events[to].sentence.index() == sentence);
                let failures =
                    || near.clone().chain(back.iter().rev()).filter(|&&to| is_failure(&events[to]));
                let matched = failures().find(|&&to| suits(&event.event_type, &events[to].event_type));
                if let Some(&to) = matched.or_else(|| failures().next()) {
                    found.push(Link { kind: LinkKind::Answers, from, to });
                    // "It was fixed, but now the fans are loud": what is told first may not be the answer, so no
                    // double deviation is built on it.
                    let first = &events[to];
                    if (first.sentence, first.span.start()) < (event.sentence, event.span.start()) {
                        last_answer = Some((from, sentence));
                        deviated = false;
                    }
                }
            }
            (EventGroup::Failure, Status::Occurred) => {
                if let Some((to, answered)) = last_answer
                    && sentence > answered
                    && !deviated
                {
                    found.push(Link { kind: LinkKind::DoubleDeviation, from, to });
                    // One link a recovery: the failures that follow are the same story going on.
                    deviated = true;
                }
            }
            _ => {}
        }
        if let Some((kind, to)) = promise(events, event, back) {
            found.push(Link { kind, from, to });
        }
    }
    found
}

fn is_failure(event: &Event) -> bool {
    event.event_type.group() == EventGroup::Failure && event.status == Status::Occurred
}

/// The offer that `event` keeps or breaks, among the events before it.
fn promise(events: &[Event], event: &Event, back: &[usize]) -> Option<(LinkKind, usize)> {
    let offers = || back.iter().rev().copied().filter(|&to| is_offer(&events[to]));
    let same = || offers().find(|&to| events[to].event_type == event.event_type);
    match (&event.event_type, event.status) {
        (EventType::KeptPromise, Status::Occurred) => Some((LinkKind::Keeps, offers().next()?)),
        (EventType::BrokenPromise, Status::Occurred) => Some((LinkKind::Breaks, offers().next()?)),
        (_, Status::Occurred) if is_offerable(&event.event_type) => Some((LinkKind::Keeps, same()?)),
        (_, Status::Absent) if is_offerable(&event.event_type) => Some((LinkKind::Breaks, same()?)),
        _ => None,
    }
}

fn is_offer(event: &Event) -> bool {
    event.status == Status::Unreal && is_offerable(&event.event_type)
}

/// What a provider can promise now and do later.
fn is_offerable(event_type: &EventType) -> bool {
    matches!(
        event_type,
        EventType::Fix | EventType::Compensation | EventType::ProactiveContact | EventType::Apology
    )
}

/// Whether the recovery is of the kind that makes this failure good.
fn suits(recovery: &EventType, failure: &EventType) -> bool {
    use EventType::*;
    match recovery {
        Fix => matches!(failure, ServiceFailure),
        Compensation => matches!(failure, ServiceFailure | BrokenPromise | Delay | Refusal),
        Apology => true,
        MistakeAdmitted => matches!(failure, ServiceFailure | BrokenPromise | Dishonesty),
        Explanation => matches!(failure, Delay | Silence | ServiceFailure | Runaround),
        ProactiveContact => matches!(failure, Silence | Delay | ServiceFailure),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::EventType::*;
    use super::LinkKind::*;
    use super::Status::*;
    use super::*;
    use crate::events::Actor;
    use crate::span::{SentenceId, Span};

    /// What the events say of each other, as (kind, from, to); each is told in the sentence with its number.
    fn found(told: &[(usize, EventType, Status)]) -> Vec<(LinkKind, usize, usize)> {
        let events: Vec<Event> = told
            .iter()
            .enumerate()
            .map(|(at, (sentence, event_type, status))| {
                let start = 100 * sentence + at;
                let (span, id) = (Span::new(start, start + 1), SentenceId::new(*sentence as u32));
                Event::new(event_type.clone(), *status, Actor::Provider, span, id, 0.9)
            })
            .collect();
        let members: Vec<usize> = (0..events.len()).collect();
        links(&events, &members).into_iter().map(|link| (link.kind(), link.from(), link.to())).collect()
    }

    #[test]
    fn an_offer_is_kept_or_broken() {
        // "We can repair it." "And so they did."
        assert_eq!(found(&[(0, Fix, Unreal), (1, Fix, Occurred)]), [(Keeps, 1, 0)]);
        // "They would call me." "They never called."
        let call = [(0, ProactiveContact, Unreal), (1, ProactiveContact, Absent)];
        assert_eq!(found(&call), [(Breaks, 1, 0)]);
        assert_eq!(found(&[(0, Compensation, Unreal), (2, BrokenPromise, Occurred)]), [(Breaks, 1, 0)]);
        assert_eq!(found(&[(0, Compensation, Unreal), (2, KeptPromise, Occurred)]), [(Keeps, 1, 0)]);
        // An offer of something else, one told later, and what cannot be offered.
        assert_eq!(found(&[(0, Compensation, Unreal), (1, Fix, Occurred)]), []);
        assert_eq!(found(&[(0, Fix, Occurred), (1, Fix, Unreal)]), []);
        assert_eq!(found(&[(0, Courtesy, Unreal), (1, KeptPromise, Occurred)]), []);
    }

    #[test]
    fn a_recovery_answers_the_failure_that_it_suits() {
        let wronged = [(0, ServiceFailure, Occurred), (1, Rudeness, Occurred)];
        let then = |event_type| {
            let mut told = wronged.to_vec();
            told.push((2, event_type, Occurred));
            found(&told)
        };
        // Money goes to the wrong bill, though the rudeness is nearer; an apology to the rudeness.
        assert_eq!(then(Compensation), [(Answers, 2, 0)]);
        assert_eq!(then(Apology), [(Answers, 2, 1)]);
        // Where none suits, the last failure is taken.
        assert_eq!(found(&[(0, Rudeness, Occurred), (1, Fix, Occurred)]), [(Answers, 1, 0)]);
        // "They apologised for the delay": the failure stands behind its answer, in the same sentence only.
        assert_eq!(found(&[(0, Apology, Occurred), (0, Delay, Occurred)]), [(Answers, 0, 1)]);
        assert_eq!(found(&[(0, Apology, Occurred), (1, Delay, Occurred)]), []);
        // What did not happen answers nothing, and is not answered.
        assert_eq!(found(&[(0, Delay, Occurred), (1, Apology, Absent)]), []);
        assert_eq!(found(&[(0, Delay, Absent), (1, Apology, Occurred)]), []);
    }

    #[test]
    fn the_first_failure_after_an_answer_is_a_double_deviation() {
        let told = [
            (0, ServiceFailure, Occurred),
            (1, Fix, Occurred),
            (1, Rudeness, Occurred),
            (2, ServiceFailure, Occurred),
            (3, Delay, Occurred),
        ];
        assert_eq!(found(&told), [(Answers, 1, 0), (DoubleDeviation, 3, 1)]);
        // In one sentence the order of telling decides.
        let told =
            |first, second| found(&[(0, first, Occurred), (0, second, Occurred), (1, Delay, Occurred)]);
        assert_eq!(told(ServiceFailure, Fix), [(Answers, 1, 0), (DoubleDeviation, 2, 1)]);
        assert_eq!(told(Fix, ServiceFailure), [(Answers, 0, 1)]);
    }

    #[test]
    fn looking_back_ends_after_so_many_events() {
        let told = |between: usize| {
            let mut told = vec![(0, Delay, Occurred)];
            told.extend((0..between).map(|at| (1 + at, Courtesy, Occurred)));
            told.push((1 + between, Apology, Occurred));
            found(&told)
        };
        assert_eq!(told(REACH - 1), [(Answers, REACH, 0)]);
        assert_eq!(told(REACH), []);
    }
}
