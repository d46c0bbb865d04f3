//! From sentence vectors to sentiment and event probabilities.

use crate::error::{LoadError, LoadErrorKind};
use crate::events::EVENT_TYPES;
use crate::math;
use crate::sentiment::Sentiment;

/// P(type, status) of a sentence: rows as [`EventType::ALL`](crate::EventType::ALL), columns occurred, absent,
/// unreal.
pub(crate) type EventProbs = [[f32; 3]; EVENT_TYPES];

/// Outputs of the event head: types × statuses.
pub(crate) const EVENT_OUTPUTS: usize = EVENT_TYPES * 3;

/// What the model says of one sentence.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct SentenceScores {
    pub(crate) sentiment: Sentiment,
    /// `None` where the model has no event head.
    pub(crate) events: Option<EventProbs>,
}

/// A linear layer over sentence vectors.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Linear {
    /// `[outputs, dim]`, row-major.
    weight: Vec<f32>,
    bias: Vec<f32>,
    dim: usize,
}

impl Linear {
    /// From `weight` `[outputs, dim]` and `bias` `[outputs]`; `name` is for the error.
    pub(crate) fn new(name: &str, weight: Vec<f32>, bias: Vec<f32>, dim: usize) -> Result<Self, LoadError> {
        if dim == 0 || weight.len() != bias.len() * dim {
            return Err(LoadError::new(
                LoadErrorKind::Tensor,
                format!("head {name:?}: {} weights do not make {} rows of {dim}", weight.len(), bias.len()),
            ));
        }
        if weight.iter().chain(&bias).any(|value| !value.is_finite()) {
            return Err(LoadError::new(
                LoadErrorKind::Tensor,
                format!("head {name:?} holds a value that is not finite"),
            ));
        }
        Ok(Linear { weight, bias, dim })
    }

    pub(crate) fn outputs(&self) -> usize {
        self.bias.len()
    }

    fn apply(&self, vector: &[f32], out: &mut [f64]) {
        for ((row, bias), out) in self.weight.chunks_exact(self.dim).zip(&self.bias).zip(out) {
            *out = f64::from(dot(row, vector)) + f64::from(*bias);
        }
    }
}

/// Sum of products in eight lanes, in an order that does not depend on the machine.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (b + f)) + ((c + g) + (d + h)) + tail
}

/// How the vectors of an encoder are read.
#[derive(Clone, Debug)]
pub struct Heads {
    sentiment: Linear,
    events: Option<Linear>,
    sentiment_temperature: f64,
    event_temperature: f64,
}

impl Heads {
    /// Two linear heads: sentiment with rows negative, neutral, positive; events with a row for each type and
    /// status in the order of [`EventType::ALL`](crate::EventType::ALL) × occurred, absent, unreal.
    pub(crate) fn new(sentiment: Linear, events: Option<Linear>) -> Result<Self, LoadError> {
        let wrong = |name: &str, expected: usize, found: usize| {
            LoadError::new(
                LoadErrorKind::Tensor,
                format!("head {name:?}: expected {expected} outputs, found {found}"),
            )
        };
        if sentiment.outputs() != 3 {
            return Err(wrong("sentiment", 3, sentiment.outputs()));
        }
        if let Some(events) = events.as_ref().filter(|events| events.outputs() != EVENT_OUTPUTS) {
            return Err(wrong("events", EVENT_OUTPUTS, events.outputs()));
        }
        Ok(Heads { sentiment, events, sentiment_temperature: 1.0, event_temperature: 1.0 })
    }

    /// Divides the logits of both heads by these before they become probabilities (both above 0).
    pub(crate) fn with_temperatures(mut self, sentiment: f64, events: f64) -> Self {
        self.sentiment_temperature = sentiment;
        self.event_temperature = events;
        self
    }

    /// Whether the model says anything of events.
    pub fn has_events(&self) -> bool {
        self.events.is_some()
    }

    /// Reads one sentence: the vectors of its windows, one after another, and how many tokens each has.
    ///
    /// Sentiment is the mean of the windows, weighted by their tokens; an event is as likely as in the window
    /// that shows it best.
    pub(crate) fn read(&self, vectors: &[f32], tokens: &[usize]) -> SentenceScores {
        let dim = self.sentiment.dim;
        let mut weights = [0.0f64; 3];
        let mut events = self.events.as_ref().map(|_| [[0.0f32; 3]; EVENT_TYPES]);
        for (vector, tokens) in vectors.chunks_exact(dim).zip(tokens) {
            let mut logits = [0.0f64; 3];
            self.sentiment.apply(vector, &mut logits);
            let max = logits.into_iter().fold(f64::NEG_INFINITY, f64::max);
            let odds = logits.map(|logit| math::exp((logit - max) / self.sentiment_temperature));
            let sum: f64 = odds.iter().sum();
            for (weight, odds) in weights.iter_mut().zip(odds) {
                *weight += odds / sum * *tokens as f64;
            }
            if let (Some(head), Some(probs)) = (&self.events, &mut events) {
                let mut logits = [0.0f64; EVENT_OUTPUTS];
                head.apply(vector, &mut logits);
                for (prob, logit) in probs.iter_mut().flatten().zip(logits) {
                    *prob = prob.max(math::sigmoid(logit / self.event_temperature) as f32);
                }
            }
        }
        let [negative, neutral, positive] = weights.map(|weight| weight as f32);
        SentenceScores { sentiment: Sentiment::from_weights(negative, neutral, positive), events }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads() -> Heads {
        let sentiment =
            Linear::new("sentiment", vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0], vec![0.0; 3], 2).unwrap();
        let events = Linear::new("events", vec![0.0; 2 * EVENT_OUTPUTS], vec![-2.0; EVENT_OUTPUTS], 2);
        Heads::new(sentiment, Some(events.unwrap())).unwrap()
    }

    #[test]
    fn probabilities_are_softmax_and_sigmoid() {
        let scores = heads().read(&[2.0, 0.0], &[5]);
        let sum = 2f64.exp() + 2.0;
        assert!((f64::from(scores.sentiment.negative()) - 2f64.exp() / sum).abs() < 1e-6);
        assert!((f64::from(scores.sentiment.positive()) - 1.0 / sum).abs() < 1e-6);
        let events = scores.events.unwrap();
        assert!((f64::from(events[23][2]) - 1.0 / (1.0 + 2f64.exp())).abs() < 1e-6);
    }

    #[test]
    fn windows_count_by_their_tokens() {
        let one = heads().read(&[4.0, 0.0], &[10]).sentiment;
        let two = heads().read(&[4.0, 0.0, 0.0, 4.0], &[30, 10]).sentiment;
        let expected = 0.75 * one.negative() + 0.25 * one.positive();
        assert!((two.negative() - expected).abs() < 1e-6, "{two:?} {expected}");
    }

    #[test]
    fn a_temperature_flattens() {
        let warm = heads().with_temperatures(2.0, 2.0).read(&[4.0, 0.0], &[1]);
        assert_eq!(warm.sentiment, heads().read(&[2.0, 0.0], &[1]).sentiment);
    }

    #[test]
    fn wrong_shapes_are_refused() {
        assert!(Linear::new("x", vec![0.0; 5], vec![0.0; 3], 2).is_err());
        assert!(Linear::new("x", vec![f32::NAN; 6], vec![0.0; 3], 2).is_err());
        let four = Linear::new("x", vec![0.0; 8], vec![0.0; 4], 2).unwrap();
        let error = Heads::new(four, None).unwrap_err();
        assert_eq!(error.to_string(), "head \"sentiment\": expected 3 outputs, found 4");
    }

    #[test]
    fn dot_sums_every_element() {
        for len in 0..40usize {
            let a: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let expected: f32 = a.iter().map(|x| x * x).sum();
            assert_eq!(dot(&a, &a), expected);
        }
    }
}
