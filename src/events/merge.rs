//! The decision rule that merges rules and model.
//!
//! For every sentence and type one number is made: the log-odds that the event is there,
//!
//! ```text
//! odds = offset + offset of the type + model_slope * logit(max(P(occurred), P(absent))) + rule_slope * evidence
//! ```
//!
//! where the evidence of a rule is how much its firing raised the log-odds of its type on the labelled reviews;
//! of several rules of one type the strongest counts in full and the others by a fifth, since they look at the
//! same words. Offset and slopes make the odds calibrated, so one threshold serves all types: for a
//! micro-averaged F1 the best threshold on a calibrated probability is the same for every type.
//!
//! # Why this way
//!
//! A logistic regression per type on the model's log-odds and all its rules did worse on dev, with noise put on
//! the model's log-odds as well as without: the model has seen the reviews that the regression would be fitted
//! on and looks better there than it is. So what is counted on train (rules) does not look at the model, and
//! what weighs model against rules are three numbers and an offset a type with a pull to 0, fitted on stories that
//! neither has seen.
//!
//! The numbers are in `data/events/merge.toml`; `examples/fit_events.rs` makes that file and says how.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::error::{LoadError, LoadErrorKind};
use crate::events::rules::{Hit, Rule};
use crate::events::{EVENT_TYPES, EventType, Status};
use crate::math;

const BUILT_IN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/events/merge.toml"));

/// How the model's probabilities and the rules' hits become events.
#[derive(Clone, Debug)]
pub struct MergeConfig {
    file: MergeNumbers,
    prior: [f64; EVENT_TYPES],
    offsets: [f64; EVENT_TYPES],
}

/// The numbers of a [`MergeConfig`], as its file holds them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MergeNumbers {
    /// With a model: log-odds where model and rules say nothing.
    pub offset: f64,
    /// With a model: weight of its log-odds.
    pub model_slope: f64,
    /// With a model: weight of the rules' evidence.
    pub rule_slope: f64,
    /// With a model: least confidence of an event.
    pub threshold: f64,
    /// Without a model: least confidence of an event.
    pub threshold_alone: f64,
    /// Least confidence of an unreal event.
    pub threshold_unreal: f64,
    /// Without a model: log-odds of each type before anything is known.
    pub prior: HashMap<String, f64>,
    /// With a model: log-odds of each type beside the common offset.
    #[serde(default)]
    pub offsets: HashMap<String, f64>,
    /// For each rule its evidence (in log-odds) that the event occurred and that it is absent, and the share of
    /// its unreal hits that are right.
    pub rules: HashMap<String, [f64; 3]>,
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
const REPEAT: f64 = 0.2;
/// From here on the model is named as evidence beside a rule.
const MODEL_SAYS: f32 = 0.2;
/// Log-odds of a type before anything is known, where the file says nothing of it.
const PRIOR: f64 = -4.0;

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
        let numbers = toml::from_str(text).map_err(|error| {
            LoadError::new(LoadErrorKind::Format, error.message().to_owned()).with_source(error)
        })?;
        Ok(MergeConfig::new(numbers))
    }

    /// The decision rule with these numbers.
    pub fn new(numbers: MergeNumbers) -> Self {
        let of = |numbers: &HashMap<String, f64>, none: f64| {
            std::array::from_fn(|at| numbers.get(EventType::ALL[at].as_str()).copied().unwrap_or(none))
        };
        MergeConfig { prior: of(&numbers.prior, PRIOR), offsets: of(&numbers.offsets, 0.0), file: numbers }
    }

    /// Its numbers.
    pub fn numbers(&self) -> &MergeNumbers {
        &self.file
    }

    fn weights(&self, rule: &Rule) -> [f64; 3] {
        self.file.rules.get(rule.code.as_str()).copied().unwrap_or_else(|| {
            // A rule of a user's: its own confidence stands for what would be counted.
            let confidence = f64::from(rule.confidence);
            let evidence = logit(confidence) - PRIOR;
            [evidence, evidence, confidence]
        })
    }

    /// The evidence of the rules that fired with a status other than unreal, and the strongest of them.
    fn evidence<'a>(&self, votes: &[Vote<'a>]) -> (f64, Option<Vote<'a>>) {
        let mut best: Option<(f64, Vote<'a>)> = None;
        let mut sum = 0.0;
        let mut seen: Vec<(usize, Status)> = Vec::new();
        for vote in votes.iter().filter(|vote| vote.hit.status != Status::Unreal) {
            let key = (vote.hit.rule, vote.hit.status);
            if seen.contains(&key) {
                continue;
            }
            seen.push(key);
            let weight = self.weights(vote.rule)[vote.hit.status as usize];
            sum += weight;
            if best.is_none_or(|(known, _)| weight > known) {
                best = Some((weight, *vote));
            }
        }
        match best {
            Some((strongest, vote)) => (strongest + REPEAT * (sum - strongest), Some(vote)),
            None => (0.0, None),
        }
    }

    /// Whether the event of type `number` is in the sentence, and how.
    pub(crate) fn decide<'a>(
        &self,
        number: usize,
        model: Option<&[f32; 3]>,
        votes: impl Iterator<Item = Vote<'a>>,
    ) -> Option<Decision<'a>> {
        let votes: Vec<Vote<'a>> = votes.collect();
        let (evidence, vote) = self.evidence(&votes);
        let (odds, threshold) = match model {
            Some(p) => {
                let model = logit(f64::from(p[0].max(p[1])));
                let offset = self.file.offset + self.offsets[number];
                let odds = offset + self.file.model_slope * model + self.file.rule_slope * evidence;
                (odds, self.file.threshold)
            }
            None => (self.prior[number] + evidence, self.file.threshold_alone),
        };
        let confidence = math::sigmoid(odds);
        let unreal = model.is_some_and(|p| p[2] > p[0].max(p[1]));
        if confidence >= threshold && (vote.is_some() || (model.is_some() && !unreal)) {
            let status = match (vote, model) {
                (Some(vote), _) => vote.hit.status,
                (None, Some(p)) if p[1] > p[0] => Status::Absent,
                (None, _) => Status::Occurred,
            };
            let says = model.is_some_and(|p| p[0].max(p[1]) >= MODEL_SAYS);
            let hit = vote.map(|vote| vote.hit);
            return Some(Decision { status, confidence: confidence as f32, hit, model: says });
        }
        // A wish: rules and model each by their own measure.
        let p = model.map_or(0.0, |p| p[2]);
        let wished = votes
            .iter()
            .filter(|vote| vote.hit.status == Status::Unreal)
            .map(|vote| (self.weights(vote.rule)[2], vote))
            .reduce(|a, b| if b.0 > a.0 { b } else { a })
            .filter(|_| vote.is_none());
        let share = wished.map_or(0.0, |(share, _)| share).max(f64::from(p));
        (share >= self.file.threshold_unreal && (wished.is_some() || unreal)).then(|| Decision {
            status: Status::Unreal,
            confidence: share as f32,
            hit: wished.map(|(_, vote)| vote.hit),
            model: p >= MODEL_SAYS,
        })
    }
}

/// Log-odds of a probability, kept away from 0 and 1.
fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-5, 1.0 - 1e-5);
    math::ln(p / (1.0 - p))
}
