//! What stands out about an interaction.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::events::{Event, EventGroup, EventType, Status};
use crate::links::{Link, LinkKind};
use crate::score::ledger::confidence;
use crate::score::tone::Reading;
use crate::score::weights::polarity;
use crate::span::SentenceId;

/// What stands out about an interaction.
///
/// The events that a flag rests on have a confidence of at least one half.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Flag {
    /// A failure came after a recovery that had answered an earlier failure, and was told after it (Bitner, Booms
    /// and Tetreault 1990; Maxham and Netemeyer 2002).
    DoubleDeviation,
    /// A failure was answered, no further one came, and the story ends well (de Matos, Henrique and Rossi 2007).
    ServiceRecovery,
    /// A good start, and from some failure on nothing that made it good: a decline during the encounter, which
    /// costs more than the same performance in another order (Hansen and Danaher 1999). To be told what went wrong
    /// is good, but makes nothing good alone.
    ///
    /// The story is parted before a failure that no recovery answers, in its own sentence or later. The part
    /// before it tells of something done well and speaks for the provider; the part from there on speaks
    /// against it. How a part speaks is the mean of its sentences' sentiment and its events' signs, each by
    /// its weight (none for a failure that was answered; half of it before the first praise, where a story may say ahead
    /// of time how it ended), so praise that is said again later ("until then they
    /// had been wonderful") softens the second part and does not hide it. Not where the customer says from
    /// there on that they stay or recommend, and never together with [`Flag::ServiceRecovery`].
    DroppedBall,
    /// The text says too little for a score: take the interval, not the value.
    InsufficientEvidence,
}

impl Flag {
    /// The flag as it is written in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Flag::DoubleDeviation => "double_deviation",
            Flag::ServiceRecovery => "service_recovery",
            Flag::DroppedBall => "dropped_ball",
            Flag::InsufficientEvidence => "insufficient_evidence",
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Least confidence of an event that a flag rests on.
const SURE: f64 = 0.5;

/// Least tone (−1..=1) of a start or end that is called good.
const GOOD: f64 = 0.1;

/// Pulls the level of a part towards 0 as this much neutral evidence would.
const PRIOR: f64 = 0.5;

/// What is told before the first praise counts so much in the part before a turn.
const AHEAD: f64 = 0.5;

/// Flags of the interaction that holds the events at `members`, sorted.
pub(super) fn flags(
    events: &[Event],
    members: &[usize],
    links: &[Link],
    tone: &Reading,
    insufficient: bool,
) -> Vec<Flag> {
    let sure = |at: usize| confidence(&events[at]) >= SURE;
    let linked = |kind: LinkKind| {
        links.iter().filter(move |link| link.kind() == kind && sure(link.from()) && sure(link.to()))
    };
    // It rests on the first failure, too.
    let deviated = linked(LinkKind::DoubleDeviation)
        .any(|again| linked(LinkKind::Answers).any(|answer| answer.from() == again.to()));
    let answered = linked(LinkKind::Answers).map(|link| events[link.from()].sentence()).min();
    let further = |answered: SentenceId| {
        members.iter().any(|&at| {
            let event = &events[at];
            let failed =
                event.event_type().group() == EventGroup::Failure && event.status() == Status::Occurred;
            failed && sure(at) && event.sentence() > answered
        })
    };
    let recovered = answered.is_some_and(|answered| !further(answered)) && tone.end > GOOD;
    let mended: Vec<&Link> = linked(LinkKind::Answers)
        .filter(|link| *events[link.from()].event_type() != EventType::Explanation)
        .collect();
    let dropped = !recovered && dropped(events, members, &mended, tone);
    [
        (deviated, Flag::DoubleDeviation),
        (recovered, Flag::ServiceRecovery),
        (dropped, Flag::DroppedBall),
        (insufficient, Flag::InsufficientEvidence),
    ]
    .into_iter()
    .filter_map(|(holds, flag)| holds.then_some(flag))
    .collect()
}

/// How much a part of a story speaks for the provider or against it.
#[derive(Clone, Copy, Default)]
struct Standing {
    signed: f64,
    mass: f64,
}

impl Standing {
    fn add(self, other: Standing) -> Standing {
        Standing { signed: self.signed + other.signed, mass: self.mass + other.mass }
    }

    fn times(self, share: f64) -> Standing {
        Standing { signed: self.signed * share, mass: self.mass * share }
    }

    /// −1..=1.
    fn level(self) -> f64 {
        self.signed / (self.mass + PRIOR)
    }
}

/// What one sentence or event has to say.
struct Voice {
    sentence: SentenceId,
    standing: Standing,
    /// An unanswered failure that the story may be parted before.
    turn: bool,
    /// Something done well.
    praise: bool,
}

/// See [`Flag::DroppedBall`]. `mended` are the answers to failures that are more than an explanation.
fn dropped(events: &[Event], members: &[usize], mended: &[&Link], tone: &Reading) -> bool {
    let answered = mended.iter().map(|link| events[link.from()].sentence()).max();
    let made_good: HashSet<usize> = mended.iter().map(|link| link.to()).collect();
    let sentences = tone.polar.iter().map(|polar| Voice {
        sentence: polar.sentence,
        standing: Standing { signed: polar.weight * polar.score, mass: polar.weight },
        turn: false,
        praise: false,
    });
    let told = members.iter().map(|&at| {
        let event = &events[at];
        let occurred = event.status() == Status::Occurred;
        let sign = f64::from(polarity(event.event_type())) * if occurred { 1.0 } else { -1.0 };
        let loud = if event.status() == Status::Unreal { 0.5 } else { 1.0 };
        // What was made good no longer speaks against the provider.
        let mass = if made_good.contains(&at) { 0.0 } else { loud * confidence(event) * sign.abs() };
        let sure = occurred && confidence(event) >= SURE;
        let group = event.event_type().group();
        Voice {
            sentence: event.sentence(),
            standing: Standing { signed: sign * mass, mass },
            turn: sure && group == EventGroup::Failure && answered.is_none_or(|last| event.sentence() > last),
            praise: sure && matches!(group, EventGroup::Recovery | EventGroup::Quality),
        }
    });
    let stays = members
        .iter()
        .map(|&at| &events[at])
        .filter(|event| *event.event_type() == EventType::Loyalty && event.status() == Status::Occurred)
        .filter(|event| confidence(event) >= SURE)
        .map(Event::sentence)
        .max();
    let mut voices: Vec<Voice> = sentences.chain(told).collect();
    voices.sort_by_key(|voice| voice.sentence);
    let opening = voices.iter().find(|voice| voice.praise).map(|voice| voice.sentence);

    // What is told from each sentence on, added up from the end.
    let mut rest = Standing::default();
    let mut after = vec![rest; voices.len()];
    for (at, voice) in voices.iter().enumerate().rev() {
        rest = rest.add(voice.standing);
        after[at] = rest;
    }
    let mut before = Standing::default();
    let mut praised = false;
    let mut from = 0;
    for part in voices.chunk_by(|a, b| a.sentence == b.sentence) {
        let turn = part.iter().any(|voice| voice.turn) && stays.is_none_or(|last| last < part[0].sentence);
        if turn && praised && before.level() > GOOD && after[from].level() < 0.0 {
            return true;
        }
        // What stands before the first praise says ahead of time how it ended ("then they dropped the ball").
        let share = if opening.is_some_and(|opening| part[0].sentence < opening) { AHEAD } else { 1.0 };
        before = part.iter().fold(before, |sum, voice| sum.add(voice.standing.times(share)));
        praised |= part.iter().any(|voice| voice.praise);
        from += part.len();
    }
    false
}
