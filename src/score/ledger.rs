//! What the events add.
//!
//! Why this way: three findings pull against each other. Recoveries make good at most what went wrong (Smith,
//! Bolton and Wagner 1999) and less with each further one (Albrecht et al. 2018); a second failure after a
//! recovery is worse than the first (Maxham and Netemeyer 2002); and yet an apology told may never lower a
//! score. A penalty for the second failure cannot keep the last promise, because telling of the apology would
//! create the penalty. Here the second failure instead takes back part of what the recovery had gained. With
//! `H` the weight that the failures up to a sentence bring to the whole, `M` that of the recoveries after it,
//! and `kept` the share that the failures after it leave, recoveries gain
//!
//! ```text
//! K = min(M(all), min over sentences of kept · (allowance + cap · H(up to it)) + M(after it)),   cap <= 1
//! gain = saturation · (1 − e^(−K / saturation))
//! ```
//!
//! which never falls when a recovery is added or moved to the end, and never rises by more than a failure
//! costs when a failure is added.

use std::collections::BTreeMap;

use crate::events::{Actor, Event, EventGroup, EventType, Status};
use crate::links::LinkKind;
use crate::math;
use crate::score::{Reason, Term, Weights};
use crate::span::SentenceId;

/// What the events of an interaction add.
pub(super) struct Ledger {
    pub(super) terms: Vec<Term>,
    /// Raw variance that comes from events whose confidence is below 1.
    pub(super) variance: f64,
    /// How many events there are, each by its confidence.
    pub(super) evidence: f64,
}

/// How many sentences a customer's own mistake may be from a failure that it explains.
const NEAR: usize = 2;

/// How many tellings of one event are looked at; the weight of further ones is too small to matter.
const TELLINGS: usize = 12;

/// Confidence as a number in 0..=1, whatever the event holds.
pub(super) fn confidence(event: &Event) -> f64 {
    let confidence = f64::from(event.confidence());
    if confidence.is_nan() { 0.0 } else { confidence.clamp(0.0, 1.0) }
}

/// The weight of one kind of event told several times: the strongest telling counts full, the next `repeat` as
/// much, and so on. Adding one never lowers it, in whatever order they come.
#[derive(Default)]
struct Told {
    /// Descending.
    tellings: Vec<f64>,
    value: f64,
}

impl Told {
    /// Adds a telling and returns by how much the value grew.
    fn tell(&mut self, telling: f64, repeat: f64) -> f64 {
        let at = self.tellings.partition_point(|&other| other >= telling);
        self.tellings.insert(at, telling);
        self.tellings.truncate(TELLINGS);
        let before = self.value;
        self.value = self.tellings.iter().rev().fold(0.0, |rest, telling| telling + repeat * rest);
        self.value - before
    }
}

/// All kinds of events told so far.
#[derive(Default)]
struct Book<'e> {
    told: BTreeMap<(&'e EventType, Status), Told>,
}

impl<'e> Book<'e> {
    fn tell(&mut self, event: &'e Event, telling: f64, repeat: f64) -> f64 {
        self.told.entry((event.event_type(), event.status())).or_default().tell(telling, repeat)
    }
}

/// An event with what the passes over the interaction find out about it.
struct Entry<'e> {
    event: &'e Event,
    /// Confidence times the factor of its severity, less what somebody else's part in it takes away.
    telling: f64,
    /// Weight of type and status.
    weight: f64,
    /// What it adds when the text is read forwards and nothing limits it.
    nominal: f64,
    /// Weight of the failures up to the end of its sentence, and after that.
    harm_before: f64,
    harm_after: f64,
    /// What all failures weigh more than those after its sentence do alone: `H` in the module's text. Less
    /// than `harm_before` where the same kind of failure is told again later.
    answerable: f64,
    /// Share of its worth that later failures take back.
    taken: f64,
}

impl Entry<'_> {
    fn is_failure(&self) -> bool {
        self.event.event_type().group() == EventGroup::Failure && self.event.status() == Status::Occurred
    }

    fn is_recovery(&self) -> bool {
        self.event.event_type().group() == EventGroup::Recovery && self.event.status() == Status::Occurred
    }

    fn sentence(&self) -> SentenceId {
        self.event.sentence()
    }
}

pub(super) fn book(weights: &Weights, events: &[Event], members: &[usize]) -> Ledger {
    let mut entries: Vec<Entry<'_>> = members
        .iter()
        .map(|&at| {
            let event = &events[at];
            let weight = weights.event(event.event_type()).of(event.status());
            let (nominal, harm_before, harm_after, answerable, taken) = (0.0, 0.0, 0.0, 0.0, 0.0);
            let telling =
                confidence(event) * event.severity().map_or(1.0, |level| weights.severity.of(level));
            Entry { event, telling, weight, nominal, harm_before, harm_after, answerable, taken }
        })
        .collect();
    entries.sort_by_key(|entry| (entry.sentence(), entry.event.span()));
    share_blame(weights, &mut entries);
    let evidence = entries.iter().map(|entry| confidence(entry.event)).sum();
    walk(weights, &mut entries);

    let mut terms = Vec::new();
    let mut variance = 0.0;
    let mut credit = 0.0;
    let mut lost = 0.0;
    for entry in &entries {
        let p = confidence(entry.event).max(0.05);
        variance += entry.nominal * entry.nominal * (1.0 - p) / p;
        if entry.is_recovery() {
            credit += entry.nominal;
            lost += entry.nominal * entry.taken;
        } else {
            terms.push(term(entry, entry.nominal));
        }
    }
    let full = gain(weights, &entries, |_| 1.0);
    let kept = gain(weights, &entries, |entry| 1.0 - entry.taken);
    if credit > 0.0 {
        let share = if lost > 0.0 { full } else { kept } / credit;
        terms.extend(
            entries
                .iter()
                .filter(|entry| entry.is_recovery())
                .map(|entry| term(entry, entry.nominal * share)),
        );
    }
    if lost > 0.0 {
        let share = (kept - full) / lost;
        let failures: Vec<&Entry<'_>> = entries.iter().filter(|entry| entry.is_failure()).collect();
        for recovery in entries.iter().filter(|entry| entry.is_recovery() && entry.taken > 0.0) {
            let at = failures.partition_point(|failure| failure.sentence() <= recovery.sentence());
            if let Some(failure) = failures.get(at) {
                terms.push(Term {
                    raw: recovery.nominal * recovery.taken * share,
                    reason: Reason::Link(LinkKind::DoubleDeviation),
                    span: failure.event.span(),
                    sentence: failure.sentence(),
                });
            }
        }
    }
    Ledger { terms, variance, evidence }
}

fn term(entry: &Entry<'_>, raw: f64) -> Term {
    let reason = Reason::Event(entry.event.event_type().clone(), entry.event.status());
    Term { raw, reason, span: entry.event.span(), sentence: entry.sentence() }
}

/// Failures count less where the customer caused them or somebody else did (Bitner, Booms and Mohr 1994).
fn share_blame(weights: &Weights, entries: &mut [Entry<'_>]) {
    let own: Vec<(usize, f64)> = entries
        .iter()
        .filter(|entry| {
            *entry.event.event_type() == EventType::CustomerError && entry.event.status() == Status::Occurred
        })
        .map(|entry| (entry.sentence().index(), entry.telling))
        .collect();
    for entry in entries.iter_mut().filter(|entry| entry.is_failure()) {
        let at = entry.sentence().index();
        let from = own.partition_point(|&(sentence, _)| sentence + NEAR < at);
        let near = own[from..].iter().take_while(|&&(sentence, _)| sentence <= at + NEAR).take(TELLINGS);
        let sure = near.fold(0.0, |most: f64, &(_, telling)| most.max(telling));
        entry.telling *= 1.0 - weights.links.customer_error * sure;
        if entry.event.actor() == Actor::ThirdParty {
            entry.telling *= 1.0 - weights.links.third_party;
        }
    }
}

/// Reads forwards and backwards what each event adds and which failures stand before and after it.
fn walk(weights: &Weights, entries: &mut [Entry<'_>]) {
    let repeat = weights.links.repeat;
    let mut book = Book::default();
    let mut harm = 0.0;
    for_sentences(entries, false, |sentence| {
        for entry in sentence.iter_mut() {
            entry.nominal = entry.weight * book.tell(entry.event, entry.telling, repeat);
            if entry.is_failure() {
                harm -= entry.nominal;
            }
        }
        sentence.iter_mut().for_each(|entry| entry.harm_before = harm);
    });
    let all = harm;
    let mut book = Book::default();
    let mut harm = 0.0;
    for_sentences(entries, true, |sentence| {
        for entry in sentence.iter_mut() {
            entry.harm_after = harm;
            entry.answerable = (all - harm).max(0.0);
        }
        for entry in sentence.iter().filter(|entry| entry.is_failure()) {
            harm -= entry.weight * book.tell(entry.event, entry.telling, repeat);
        }
    });
    let half = weights.links.double_deviation_half;
    for entry in entries.iter_mut() {
        let part = |harm: f64| harm / (harm + half);
        entry.taken = weights.links.double_deviation * part(entry.harm_before) * part(entry.harm_after);
    }
}

/// Calls `visit` with the entries of each sentence, in the order of the text or from its end.
fn for_sentences<'e>(entries: &mut [Entry<'e>], backwards: bool, mut visit: impl FnMut(&mut [Entry<'e>])) {
    let chunks = entries.chunk_by_mut(|a, b| a.sentence() == b.sentence());
    if backwards { chunks.rev().for_each(&mut visit) } else { chunks.for_each(&mut visit) }
}

/// What the recoveries gain together, where `kept` is the share that later failures leave of what was gained
/// up to an entry. See the module's text.
fn gain(weights: &Weights, entries: &[Entry<'_>], kept: impl Fn(&Entry<'_>) -> f64) -> f64 {
    let recovery = &weights.recovery;
    let mut book = Book::default();
    let mut mass = 0.0;
    let mut least = f64::INFINITY;
    for sentence in entries.chunk_by(|a, b| a.sentence() == b.sentence()).rev() {
        let limit = recovery.allowance + recovery.cap * sentence[0].answerable;
        least = least.min(kept(&sentence[0]) * limit + mass);
        for entry in sentence.iter().filter(|entry| entry.is_recovery()) {
            mass += entry.weight * book.tell(entry.event, entry.telling * kept(entry), weights.links.repeat);
        }
    }
    let credit = least.min(mass);
    recovery.saturation * (1.0 - math::exp(-credit / recovery.saturation))
}
