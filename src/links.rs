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

/// How many sentences a recovery may stand after the failure that it answers without another kind of failure
/// between them being taken instead. Stories return to their main failure, so this is generous.
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
                    last_answer = Some((from, sentence));
                    deviated = false;
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
