//! The numbers that are fitted, and how far each may go.

use amends::{EventType, Status, Weights};

/// The largest factor of a severity.
const MOST_SEVERE: f64 = 2.0;

/// A number that is fitted.
#[derive(Clone, PartialEq)]
pub(crate) enum Param {
    Base,
    Mean,
    PeakNegative,
    PeakPositive,
    End,
    Allowance,
    Saturation,
    DoubleDeviation,
    /// The factor of a loss.
    Loss,
    /// How far the factor of a harm stands above that of a loss.
    Harm,
    Event(EventType, Status),
}

impl Param {
    pub(crate) fn all() -> Vec<Param> {
        let mut all = vec![
            Param::Base,
            Param::Mean,
            Param::PeakNegative,
            Param::PeakPositive,
            Param::End,
            Param::Allowance,
            Param::Saturation,
            Param::DoubleDeviation,
            Param::Loss,
            Param::Harm,
        ];
        for event_type in EventType::ALL.iter().filter(|event_type| **event_type != EventType::CustomerError)
        {
            all.extend(Status::ALL.iter().map(|&status| Param::Event(event_type.clone(), status)));
        }
        all
    }

    pub(crate) fn is_tone(&self) -> bool {
        matches!(self, Param::Mean | Param::PeakNegative | Param::PeakPositive | Param::End)
    }

    /// Whether 0 means that it has no part in the score.
    pub(crate) fn is_weight(&self) -> bool {
        self.is_tone() || matches!(self, Param::Event(..))
    }

    pub(crate) fn get(&self, weights: &Weights) -> f64 {
        match self {
            Param::Base => weights.base,
            Param::Mean => weights.sentiment.mean,
            Param::PeakNegative => weights.sentiment.peak_negative,
            Param::PeakPositive => weights.sentiment.peak_positive,
            Param::End => weights.sentiment.end,
            Param::Allowance => weights.recovery.allowance,
            Param::Saturation => weights.recovery.saturation,
            Param::DoubleDeviation => weights.links.double_deviation,
            Param::Loss => weights.severity.loss,
            Param::Harm => weights.severity.harm - weights.severity.loss,
            Param::Event(event_type, status) => weights.event(event_type).of(*status),
        }
    }

    pub(crate) fn set(&self, weights: &mut Weights, value: f64) {
        match self {
            Param::Base => weights.base = value,
            Param::Mean => weights.sentiment.mean = value,
            Param::PeakNegative => weights.sentiment.peak_negative = value,
            Param::PeakPositive => weights.sentiment.peak_positive = value,
            Param::End => weights.sentiment.end = value,
            Param::Allowance => weights.recovery.allowance = value,
            Param::Saturation => weights.recovery.saturation = value,
            Param::DoubleDeviation => weights.links.double_deviation = value,
            Param::Loss => {
                let above = weights.severity.harm - weights.severity.loss;
                weights.severity.loss = value;
                weights.severity.harm = harm(value, above);
            }
            Param::Harm => weights.severity.harm = harm(weights.severity.loss, value),
            Param::Event(event_type, status) => {
                *weights.events.entry(event_type.as_str().to_owned()).or_default().of_mut(*status) = value;
            }
        }
    }

    /// Least and most, so that the score stays monotone, and no event that the literature counts counts nothing:
    /// what occurred keeps at least a third of its weight in `prior`.
    pub(crate) fn range(&self, prior: &Weights) -> (f64, f64) {
        match self {
            Param::Base => (-2.0, 2.0),
            Param::Mean | Param::PeakNegative | Param::PeakPositive | Param::End => (0.0, 5.0),
            Param::Allowance => (0.05, 3.0),
            Param::Saturation => (0.3, 5.0),
            Param::DoubleDeviation => (0.3, 0.8),
            Param::Loss => (1.0, MOST_SEVERE),
            Param::Harm => (0.0, MOST_SEVERE - 1.0),
            Param::Event(event_type, status) => {
                let good = Weights::sign(event_type) > 0;
                let least = if *status == Status::Occurred { self.get(prior).abs() / 3.0 } else { 0.0 };
                if good == (*status == Status::Occurred) { (least, 3.0) } else { (-3.0, -least) }
            }
        }
    }

    /// How strongly the ridge holds it, as a multiple.
    pub(crate) fn stiffness(&self) -> f64 {
        match self {
            Param::Base | Param::Mean => 0.01,
            Param::PeakNegative | Param::PeakPositive | Param::End => 0.1,
            Param::Allowance | Param::Saturation => 0.3,
            _ => 1.0,
        }
    }
}

/// The factor of a harm, `above` that of a loss; without the last digits that adding leaves.
fn harm(loss: f64, above: f64) -> f64 {
    (((loss + above) * 1e9).round() / 1e9).clamp(loss, MOST_SEVERE)
}
