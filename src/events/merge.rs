//! The decision rule that merges rules and model.
//!
//! For every sentence and type one number is made: the log-odds that the event is there. The model gives
//! `slope * logit(p)` with p the larger of P(occurred) and P(absent), and every rule that fires gives its weight
//! of evidence; of several rules of one type the strongest counts in full and the others by a fifth, since they
//! look at the same words. The sum is calibrated, so one threshold serves all types: for a micro-averaged F1 the
//! best threshold is the same for every type, half of the F1 that is reached.
//!
//! The numbers are in `data/events/merge.toml`; `examples/fit_events.rs` makes that file and says how.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::error::{LoadError, LoadErrorKind};
use crate::events::rules::{Hit, Rule};
use crate::events::{EVENT_TYPES, EventType, Status};

const BUILT_IN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/events/merge.toml"));

/// How the model's probabilities and the rules' hits become events.
#[derive(Clone, Debug)]
pub struct MergeConfig {
    file: File,
    bias: [f32; EVENT_TYPES],
    alone: [f32; EVENT_TYPES],
}

/// The file, as it is written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// With a model: weight of its log-odds.
    model_slope: f32,
    /// With a model: weight of the rules' evidence.
    rule_slope: f32,
    /// Least confidence of an event, with a model.
    threshold: f32,
    /// Least confidence of an event, without a model.
    threshold_alone: f32,
    /// Log-odds that are added for each type, with a model.
    bias: HashMap<String, f32>,
    /// Log-odds of each type before anything is known, without a model.
    prior: HashMap<String, f32>,
    /// Weight of evidence of each rule: log-odds given the rule, less those of its type.
    rules: HashMap<String, f32>,
}

/// A rule that fired.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vote<'a> {
    pub(crate) hit: &'a Hit,
    pub(crate) rule: &'a Rule,
}

/// An event that is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision<'a> {
    pub(crate) status: Status,
    pub(crate) confidence: f32,
    /// The rule that shows it best, if any fired with this status.
    pub(crate) hit: Option<&'a Hit>,
    /// Whether the model points to it, too.
    pub(crate) model: bool,
}

/// Of several rules of a type, all but the strongest count by this.
const REPEAT: f32 = 0.2;
/// From here on the model is named as evidence beside a rule.
const MODEL_SAYS: f32 = 0.2;

impl MergeConfig {
    /// The decision rule that was fitted for the embedded model.
    ///
    /// # Errors
    ///
    /// [`LoadErrorKind::Format`]; a test makes sure that there is none.
    pub fn built_in() -> Result<Self, LoadError> {
        MergeConfig::from_toml(BUILT_IN)
    }

    /// A decision rule as `examples/fit_events.rs` writes it.
    ///
    /// # Errors
    ///
    /// [`LoadErrorKind::Format`] where `text` is not one.
    pub fn from_toml(text: &str) -> Result<Self, LoadError> {
        let file: File = toml::from_str(text).map_err(|error| {
            LoadError::new(LoadErrorKind::Format, error.message().to_owned()).with_source(error)
        })?;
        let of = |map: &HashMap<String, f32>, default: f32| {
            std::array::from_fn(|at| map.get(EventType::ALL[at].as_str()).copied().unwrap_or(default))
        };
        Ok(MergeConfig { bias: of(&file.bias, 0.0), alone: of(&file.prior, -4.0), file })
    }

    fn weight(&self, rule: &Rule) -> f32 {
        match self.file.rules.get(rule.code.as_str()) {
            Some(weight) => *weight,
            // A rule of a user's: its confidence stands for log-odds, less those of a type in general.
            None => logit(rule.confidence) + 4.0,
        }
    }

    /// The evidence of the rules that fired: the strongest in full, the others in part.
    fn evidence(&self, votes: &[Vote<'_>]) -> f32 {
        let mut weights: Vec<(usize, f32)> = Vec::new();
        for vote in votes {
            if !weights.iter().any(|known| known.0 == vote.hit.rule) {
                weights.push((vote.hit.rule, self.weight(vote.rule)));
            }
        }
        let strongest = weights.iter().map(|known| known.1).fold(f32::NEG_INFINITY, f32::max);
        if weights.is_empty() {
            return 0.0;
        }
        strongest + REPEAT * (weights.iter().map(|known| known.1).sum::<f32>() - strongest)
    }

    /// Whether the event of type `number` is in the sentence, and how.
    pub(crate) fn decide<'a>(
        &self,
        number: usize,
        model: Option<&[f32; 3]>,
        votes: impl Iterator<Item = Vote<'a>>,
    ) -> Option<Decision<'a>> {
        let votes: Vec<Vote<'a>> = votes.collect();
        let real: Vec<Vote<'a>> =
            votes.iter().copied().filter(|vote| vote.hit.status != Status::Unreal).collect();
        let strongest = |votes: &[Vote<'a>]| -> Option<Vote<'a>> {
            votes.iter().copied().reduce(|a, b| if self.weight(b.rule) > self.weight(a.rule) { b } else { a })
        };
        let evidence = self.evidence(&real);
        let (odds, threshold) = match model {
            Some(p) => (
                self.bias[number]
                    + self.file.model_slope * logit(p[0].max(p[1]))
                    + self.file.rule_slope * evidence,
                self.file.threshold,
            ),
            None => (self.alone[number] + evidence, self.file.threshold_alone),
        };
        let confidence = 1.0 / (1.0 + (-odds).exp());
        let unreal = model.is_some_and(|p| p[2] > p[0].max(p[1]));
        if confidence >= threshold && !(real.is_empty() && unreal) {
            let (status, vote) = match (strongest(&real), model) {
                (Some(vote), _) => (vote.hit.status, Some(vote)),
                (None, Some(p)) if p[1] > p[0] => (Status::Absent, None),
                (None, _) => (Status::Occurred, None),
            };
            let says = model.is_some_and(|p| p[0].max(p[1]) >= MODEL_SAYS);
            return Some(Decision { status, confidence, hit: vote.map(|vote| vote.hit), model: says });
        }
        let wished = strongest(&votes).filter(|vote| vote.hit.status == Status::Unreal && real.is_empty());
        let p = model.map_or(0.0, |p| p[2]);
        match wished {
            Some(vote) => Some(Decision {
                status: Status::Unreal,
                confidence: vote.rule.confidence.max(p),
                hit: Some(vote.hit),
                model: p >= MODEL_SAYS,
            }),
            None if unreal && p >= 0.5 => {
                Some(Decision { status: Status::Unreal, confidence: p, hit: None, model: true })
            }
            None => None,
        }
    }
}

fn logit(p: f32) -> f32 {
    let p = p.clamp(1e-5, 1.0 - 1e-5);
    (p / (1.0 - p)).ln()
}
