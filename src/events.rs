//! Service events: what happened between customer and provider, in 24 types and three statuses.

mod extract;
mod merge;
mod pattern;
mod program;
mod rules;
mod scope;
mod severity;
mod shown;
mod who;
mod words;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::span::{InteractionId, SentenceId, Span};

pub use extract::{Extractor, RuleHit};
pub use merge::{MergeConfig, MergeNumbers};
pub use rules::{RuleFailure, RuleSet};

/// What kind of service event it is.
///
/// The 24 built-in types follow the critical-incident and service-recovery literature (Bitner, Booms and
/// Tetreault 1990; Smith, Bolton and Wagner 1999; Davidow 2003); users' rules may add their own.
///
/// ```
/// use amends::{EventGroup, EventType};
///
/// let event: EventType = "proactive_contact".parse()?;
/// assert_eq!(event, EventType::ProactiveContact);
/// assert_eq!(event.group(), EventGroup::Recovery);
/// assert_eq!(event.to_string(), "proactive_contact");
/// # Ok::<(), amends::UnknownName>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum EventType {
    /// The core thing went wrong by the provider: defective, broken, lost, wrong item, cancelled, billed wrongly, dirty, damaged by staff.
    ServiceFailure,
    /// Waiting or lateness beyond what is reasonable or was promised.
    Delay,
    /// A commitment of the provider (date, call, refund, price) was not kept.
    BrokenPromise,
    /// No reply, no update, a no-show, ignored, nobody to be reached.
    Silence,
    /// Passed around, contradictory answers, bureaucracy, disconnected.
    Runaround,
    /// Staff rude, dismissive, careless or condescending.
    Rudeness,
    /// Lied, misled, hid a fee, covered up, made a fake excuse, baited.
    Dishonesty,
    /// The provider denies help, refund, remedy or responsibility, or blames the customer.
    Refusal,
    /// The provider owns its error or tells honestly what it did wrong.
    MistakeAdmitted,
    /// The provider says sorry.
    Apology,
    /// The provider gives a reason, or clear honest information about what happened or comes next.
    Explanation,
    /// The provider takes the initiative: calls, writes, updates or offers before being asked, checks back.
    ProactiveContact,
    /// The provider solves it: repaired, replaced, rebooked, corrected.
    Fix,
    /// Refund, credit, voucher, discount, waived fee, free item or upgrade, as redress or goodwill.
    Compensation,
    /// Fast or effortless handling, short wait, early, quick reply.
    PromptService,
    /// Staff friendly, kind, respectful; listens, reassures, cares, remembers the customer.
    Courtesy,
    /// Staff or process knowledgeable, skilled, efficient, helpful, thorough.
    Competence,
    /// Beyond duty: stayed late, bent rules in the customer's favour, did more than the job.
    ExtraEffort,
    /// Done as promised, or better than promised.
    KeptPromise,
    /// The customer must chase, repeat, call again, travel, do the provider's work.
    CustomerEffort,
    /// The customer's own mistake or accident, told by the customer, caused or added to the problem.
    CustomerError,
    /// The problem is still open at the end, or the customer gives up.
    Unresolved,
    /// The customer leaves, cancels, will not come back, warns others.
    Churn,
    /// The customer will return, recommends, praises to others, stays.
    Loyalty,
    /// A type that a user's rules brought in, by its name.
    Custom(Arc<str>),
}

/// The four groups of event types.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventGroup {
    /// Something went wrong between provider and customer.
    Failure,
    /// The provider answered a failure, or prevented one.
    Recovery,
    /// How well the service was done.
    Quality,
    /// What the customer did or decided.
    Customer,
    /// A type of the user's own.
    Custom,
}

/// How many event types are built in.
pub const EVENT_TYPES: usize = 24;

impl EventType {
    /// The built-in types, in the order of the model's event head.
    pub const ALL: [EventType; EVENT_TYPES] = [
        EventType::ServiceFailure,
        EventType::Delay,
        EventType::BrokenPromise,
        EventType::Silence,
        EventType::Runaround,
        EventType::Rudeness,
        EventType::Dishonesty,
        EventType::Refusal,
        EventType::MistakeAdmitted,
        EventType::Apology,
        EventType::Explanation,
        EventType::ProactiveContact,
        EventType::Fix,
        EventType::Compensation,
        EventType::PromptService,
        EventType::Courtesy,
        EventType::Competence,
        EventType::ExtraEffort,
        EventType::KeptPromise,
        EventType::CustomerEffort,
        EventType::CustomerError,
        EventType::Unresolved,
        EventType::Churn,
        EventType::Loyalty,
    ];

    /// The position in [`EventType::ALL`], or `None` for a custom type.
    pub fn index(&self) -> Option<usize> {
        EventType::ALL.iter().position(|other| other == self)
    }

    /// The name as it is written in rules and output, like `broken_promise`.
    pub fn as_str(&self) -> &str {
        match self {
            EventType::ServiceFailure => "service_failure",
            EventType::Delay => "delay",
            EventType::BrokenPromise => "broken_promise",
            EventType::Silence => "silence",
            EventType::Runaround => "runaround",
            EventType::Rudeness => "rudeness",
            EventType::Dishonesty => "dishonesty",
            EventType::Refusal => "refusal",
            EventType::MistakeAdmitted => "mistake_admitted",
            EventType::Apology => "apology",
            EventType::Explanation => "explanation",
            EventType::ProactiveContact => "proactive_contact",
            EventType::Fix => "fix",
            EventType::Compensation => "compensation",
            EventType::PromptService => "prompt_service",
            EventType::Courtesy => "courtesy",
            EventType::Competence => "competence",
            EventType::ExtraEffort => "extra_effort",
            EventType::KeptPromise => "kept_promise",
            EventType::CustomerEffort => "customer_effort",
            EventType::CustomerError => "customer_error",
            EventType::Unresolved => "unresolved",
            EventType::Churn => "churn",
            EventType::Loyalty => "loyalty",
            EventType::Custom(name) => name,
        }
    }

    /// The group that the type belongs to.
    pub fn group(&self) -> EventGroup {
        use EventType::*;
        match self {
            ServiceFailure | Delay | BrokenPromise | Silence | Runaround | Rudeness | Dishonesty
            | Refusal => EventGroup::Failure,
            MistakeAdmitted | Apology | Explanation | ProactiveContact | Fix | Compensation => {
                EventGroup::Recovery
            }
            PromptService | Courtesy | Competence | ExtraEffort | KeptPromise => EventGroup::Quality,
            CustomerEffort | CustomerError | Unresolved | Churn | Loyalty => EventGroup::Customer,
            Custom(_) => EventGroup::Custom,
        }
    }

    /// A type of the user's own: lower-case letters, digits and `_`, at most 64 of them, a letter first.
    ///
    /// # Errors
    ///
    /// [`UnknownName`] where the name has another form. The name of a built-in type gives that type.
    pub fn custom(name: &str) -> Result<EventType, UnknownName> {
        if let Some(found) = EventType::ALL.iter().find(|event| event.as_str() == name) {
            return Ok(found.clone());
        }
        let form = name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if form { Ok(EventType::Custom(name.into())) } else { Err(UnknownName(name.into())) }
    }
}

/// A name that is none of an event type, a status or the like.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown name {0:?}")]
pub struct UnknownName(String);

impl UnknownName {
    pub(crate) fn new(name: &str) -> Self {
        UnknownName(name.into())
    }

    /// The name that was not known.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for EventType {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        EventType::ALL
            .iter()
            .find(|event| event.as_str() == name)
            .cloned()
            .ok_or_else(|| UnknownName(name.into()))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        EventType::custom(&name).map_err(serde::de::Error::custom)
    }
}

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            /// The value as it is written in rules and output.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                match name {
                    $($text => Ok($name::$variant),)*
                    _ => Err(UnknownName(name.into())),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

names! {
    /// Whether the event took place.
    Status {
        /// It happened.
        Occurred = "occurred",
        /// The text says that it did not happen ("nobody apologised").
        Absent = "absent",
        /// Wished, should have been, hypothetical, or offered and not (yet) done.
        Unreal = "unreal",
    }
}

names! {
    /// Who acts in an event.
    Actor {
        /// The company or one of its people.
        Provider = "provider",
        /// The one who tells the story, or those whom they speak for.
        Customer = "customer",
        /// Somebody else.
        ThirdParty = "third_party",
    }
}

names! {
    /// How bad a failure was for the customer, from the least to the worst.
    ///
    /// The worse the failure, the less a recovery wins back (Smith, Bolton and Wagner 1999; Soares and Proença
    /// 2015). The level is read off the words of the sentence by the rules of `data/rules/severity.toml`.
    #[derive(Default)]
    Severity {
        /// Annoying, and no more is said.
        #[default]
        Inconvenience = "inconvenience",
        /// It cost money, belongings, or much time.
        Loss = "loss",
        /// It touched safety, health, privacy or dignity (discrimination).
        Harm = "harm",
    }
}

/// The code of a rule, like `APOLOGY-003`: cheap to clone, compared by its text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RuleCode(Arc<str>);

impl RuleCode {
    /// The code with this text.
    pub fn new(code: &str) -> Self {
        RuleCode(code.into())
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an event rests on. Written `model`, `rule:APOLOGY-003` or `rule:APOLOGY-003+model`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Evidence {
    /// The words matched this rule.
    Rule(RuleCode),
    /// The model's event head found it.
    Model,
    /// Both did.
    Both(RuleCode),
}

impl Evidence {
    /// The rule, where one matched.
    pub fn rule(&self) -> Option<&RuleCode> {
        match self {
            Evidence::Rule(code) | Evidence::Both(code) => Some(code),
            Evidence::Model => None,
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evidence::Rule(code) => write!(f, "rule:{}", code.as_str()),
            Evidence::Model => f.write_str("model"),
            Evidence::Both(code) => write!(f, "rule:{}+model", code.as_str()),
        }
    }
}

impl std::str::FromStr for Evidence {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        if text == "model" {
            return Ok(Evidence::Model);
        }
        let code = text.strip_prefix("rule:").ok_or_else(|| UnknownName(text.into()))?;
        Ok(match code.strip_suffix("+model") {
            Some(code) => Evidence::Both(RuleCode::new(code)),
            None => Evidence::Rule(RuleCode::new(code)),
        })
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Evidence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One event of a story.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    pub(crate) event_type: EventType,
    pub(crate) status: Status,
    pub(crate) actor: Actor,
    pub(crate) span: Span,
    pub(crate) sentence: SentenceId,
    pub(crate) interaction: Option<InteractionId>,
    pub(crate) confidence: f32,
    pub(crate) evidence: Evidence,
    /// What a failure told of in its sentence weighs; of other events it says nothing.
    pub(crate) level: Severity,
}

impl Event {
    /// An event from outside the pipeline, like a label that a reader made. It belongs to no interaction yet,
    /// and a failure is of the first level of [`Severity`].
    pub fn new(
        event_type: EventType,
        status: Status,
        actor: Actor,
        span: Span,
        sentence: SentenceId,
        confidence: f32,
    ) -> Self {
        let (interaction, evidence, level) = (None, Evidence::Model, Severity::default());
        Event { event_type, status, actor, span, sentence, interaction, confidence, evidence, level }
    }

    /// The same event with this severity. It shows only where [`Event::severity`] says that an event has one.
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.level = severity;
        self
    }

    /// What happened.
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// Whether it happened.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Who acted, or should have acted.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// The words that show it, in bytes of the story's text.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The sentence that tells of it.
    pub fn sentence(&self) -> SentenceId {
        self.sentence
    }

    /// The interaction that it belongs to, or `None` where it counts for none.
    pub fn interaction(&self) -> Option<InteractionId> {
        self.interaction
    }

    /// How sure it is that type and status are right, 0..=1.
    pub fn confidence(&self) -> f32 {
        self.confidence
    }

    /// Rule, model or both.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// How bad it was, for a failure that occurred; `None` for all other events.
    pub fn severity(&self) -> Option<Severity> {
        let failed = self.event_type.group() == EventGroup::Failure && self.status == Status::Occurred;
        failed.then_some(self.level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (at, event) in EventType::ALL.iter().enumerate() {
            assert_eq!(event.as_str().parse::<EventType>().as_ref(), Ok(event));
            assert_eq!(event.index(), Some(at));
        }
        for status in Status::ALL {
            assert_eq!(status.as_str().parse::<Status>(), Ok(*status));
        }
        assert!("Apology".parse::<EventType>().is_err());
        for text in ["model", "rule:APOLOGY-003", "rule:APOLOGY-003+model"] {
            assert_eq!(text.parse::<Evidence>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn only_failures_that_occurred_have_a_severity() {
        let event = |event_type, status| {
            let span = Span::new(0, 1);
            Event::new(event_type, status, Actor::Provider, span, SentenceId::new(0), 1.0)
                .with_severity(Severity::Harm)
                .severity()
        };
        assert_eq!(event(EventType::Delay, Status::Occurred), Some(Severity::Harm));
        assert_eq!(event(EventType::Delay, Status::Absent), None);
        assert_eq!(event(EventType::Fix, Status::Occurred), None);
        assert!(Severity::Inconvenience < Severity::Loss && Severity::Loss < Severity::Harm);
    }

    #[test]
    fn custom_names_have_one_form() {
        assert_eq!(EventType::custom("apology"), Ok(EventType::Apology));
        assert_eq!(EventType::custom("queue_jumped").unwrap().to_string(), "queue_jumped");
        for name in ["", "Queue", "1st", "a b", "é"] {
            assert!(EventType::custom(name).is_err(), "{name:?}");
        }
    }
}
