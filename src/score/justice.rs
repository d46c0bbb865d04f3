//! Five sides of the experience.

use serde::{Deserialize, Serialize};

use crate::events::{Event, EventType, Status};
use crate::score::ledger::confidence;
use crate::score::weights::polarity;

/// Five sides of an experience, each −1 (bad) ..= 1 (good), or `None` where the text says nothing of it.
///
/// The first three are the justices of Tax, Brown and Chandrashekaran (1998): what one gets, how it goes, and how one
/// is treated. Compensation is distributive, speed procedural and an apology interactional after Smith, Bolton and
/// Wagner (1999). Effort follows Dixon, Freeman and Toman (2010), who name repeated contacts, transfers and having to
/// explain again. Outcome, and the place of the other types, are this project's own: initiative, which Smith, Bolton
/// and Wagner call interactional, stands with keeping in touch. The customer's own error and users' types belong to
/// no side.
///
/// A side is `(good − bad) / (good + bad + ½)` over its events, each by its confidence; an event that did not happen
/// speaks the other way, a wish half as loud.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Dimensions {
    /// What the customer got: redress, repair, or their refusal. Events: fix, compensation, refusal.
    pub distributive: Option<f64>,
    /// How it went: speed, reliability, keeping in touch. Events: delay, broken promise, silence, kept promise,
    /// proactive contact, competence, runaround, prompt service.
    pub procedural: Option<f64>,
    /// How people treated the customer: courtesy, honesty, apology, explanation. Events: rudeness, dishonesty,
    /// mistake admitted, apology, explanation, courtesy, extra effort.
    pub interactional: Option<f64>,
    /// What the customer had to do: 1 is effortless. Events: customer effort, runaround, prompt service.
    pub effort: Option<f64>,
    /// How it ended: solved or not, the customer stays or leaves. Events: service failure, fix, unresolved, churn,
    /// loyalty.
    pub outcome: Option<f64>,
}

/// Where a type belongs: one side or two.
fn sides(event_type: &EventType) -> &'static [Side] {
    use EventType::*;
    use Side::*;
    match event_type {
        ServiceFailure | Unresolved | Churn | Loyalty => &[Outcome],
        Fix => &[Distributive, Outcome],
        Compensation | Refusal => &[Distributive],
        Delay | BrokenPromise | Silence | KeptPromise | ProactiveContact | Competence => &[Procedural],
        Runaround | PromptService => &[Procedural, Effort],
        Rudeness | Dishonesty | MistakeAdmitted | Apology | Explanation | Courtesy | ExtraEffort => {
            &[Interactional]
        }
        CustomerEffort => &[Effort],
        CustomerError | Custom(_) => &[],
    }
}

#[derive(Clone, Copy)]
enum Side {
    Distributive,
    Procedural,
    Interactional,
    Effort,
    Outcome,
}

pub(super) fn dimensions(events: &[Event], members: &[usize]) -> Dimensions {
    // Good and bad, by side.
    let mut tally = [[0.0f64; 2]; 5];
    for &at in members {
        let event = &events[at];
        let good = (polarity(event.event_type()) > 0) == (event.status() == Status::Occurred);
        let loud = if event.status() == Status::Unreal { 0.5 } else { 1.0 };
        for &side in sides(event.event_type()) {
            tally[side as usize][usize::from(!good)] += loud * confidence(event);
        }
    }
    let level = |side: Side| {
        let [good, bad] = tally[side as usize];
        (good + bad > 0.0).then(|| (good - bad) / (good + bad + 0.5))
    };
    Dimensions {
        distributive: level(Side::Distributive),
        procedural: level(Side::Procedural),
        interactional: level(Side::Interactional),
        effort: level(Side::Effort),
        outcome: level(Side::Outcome),
    }
}
