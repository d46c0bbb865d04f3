//! From sentence vectors to sentiment and event probabilities.

use crate::error::{LoadError, LoadErrorKind};
use crate::events::EVENT_TYPES;
use crate::math;
use crate::model::Head;
use crate::sentiment::Sentiment;

/// P(type, status) of a sentence: rows as [`EventType::ALL`](crate::EventType::ALL), columns occurred, absent, unreal.
pub type EventProbs = [[f32; 3]; EVENT_TYPES];

/// Outputs of the event head: types × statuses.
pub(crate) const EVENT_OUTPUTS: usize = EVENT_TYPES * 3;

/// What the model says of one sentence.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct SentenceScores {
    pub(crate) sentiment: Sentiment,
    /// `None` where the model has no event head.
    pub(crate) events: Option<EventProbs>,
}

/// How the vectors of an encoder are read: sentiment, and events where the model knows of them.
#[derive(Clone, Debug)]
pub struct Heads {
    sentiment: Head,
    events: Option<Head>,
}

impl Heads {
    /// Two linear heads: sentiment with rows negative, neutral, positive; events with a row for each type and
    /// status in the order of [`EventType::ALL`](crate::EventType::ALL) × occurred, absent, unreal.
    ///
    /// # Errors
    ///
    /// [`LoadErrorKind::Tensor`] where a head has another number of outputs, or the two take different vectors.
    pub fn new(sentiment: Head, events: Option<Head>) -> Result<Self, LoadError> {
        let wrong = |name: &str, what: &str, expected: usize, found: usize| {
            let message = format!("head {name:?}: expected {expected} {what}, found {found}");
            Err(LoadError::new(LoadErrorKind::Tensor, message))
        };
        if sentiment.outputs() != 3 {
            return wrong("sentiment", "outputs", 3, sentiment.outputs());
        }
        if let Some(events) = &events {
            if events.outputs() != EVENT_OUTPUTS {
                return wrong("events", "outputs", EVENT_OUTPUTS, events.outputs());
            }
            if events.inputs() != sentiment.inputs() {
                return wrong("events", "inputs", sentiment.inputs(), events.inputs());
            }
        }
        Ok(Heads { sentiment, events })
    }

    /// How many numbers a vector has.
    pub fn dim(&self) -> usize {
        self.sentiment.inputs()
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
        let mut weights = [0.0f64; 3];
        let mut events = self.events.as_ref().map(|_| [[0.0f32; 3]; EVENT_TYPES]);
        for (vector, tokens) in vectors.chunks_exact(self.dim()).zip(tokens) {
            let mut logits = [0.0f32; 3];
            self.sentiment.logits(vector, &mut logits);
            let max = logits.into_iter().fold(f32::NEG_INFINITY, f32::max);
            let scale = f64::from(self.sentiment.temperature());
            let odds = logits.map(|logit| math::exp(f64::from(logit - max) / scale));
            let sum: f64 = odds.iter().sum();
            for (weight, odds) in weights.iter_mut().zip(odds) {
                *weight += odds / sum * *tokens as f64;
            }
            if let (Some(head), Some(probs)) = (&self.events, &mut events) {
                let mut logits = [0.0f32; EVENT_OUTPUTS];
                head.logits(vector, &mut logits);
                let scale = f64::from(head.temperature());
                for (prob, logit) in probs.iter_mut().flatten().zip(logits) {
                    *prob = prob.max(math::sigmoid(f64::from(logit) / scale) as f32);
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

    fn heads(temperature: f32) -> Heads {
        let sentiment = Head::new(&[1.0, 0.0, 0.0, 0.0, 0.0, 1.0], vec![0.0; 3], temperature);
        let events = Head::new(&[0.0; 2 * EVENT_OUTPUTS], vec![-2.0; EVENT_OUTPUTS], 1.0);
        Heads::new(sentiment, Some(events)).unwrap()
    }

    #[test]
    fn probabilities_are_softmax_and_sigmoid() {
        let scores = heads(1.0).read(&[2.0, 0.0], &[5]);
        let sum = 2f64.exp() + 2.0;
        assert!((f64::from(scores.sentiment.negative()) - 2f64.exp() / sum).abs() < 1e-6);
        assert!((f64::from(scores.sentiment.positive()) - 1.0 / sum).abs() < 1e-6);
        let events = scores.events.unwrap();
        assert!((f64::from(events[23][2]) - 1.0 / (1.0 + 2f64.exp())).abs() < 1e-6);
    }

    #[test]
    fn windows_count_by_their_tokens() {
        let one = heads(1.0).read(&[4.0, 0.0], &[10]).sentiment;
        let two = heads(1.0).read(&[4.0, 0.0, 0.0, 4.0], &[30, 10]).sentiment;
        let expected = 0.75 * one.negative() + 0.25 * one.positive();
        assert!((two.negative() - expected).abs() < 1e-6, "{two:?} {expected}");
    }

    #[test]
    fn a_temperature_flattens() {
        let warm = heads(2.0).read(&[4.0, 0.0], &[1]);
        assert_eq!(warm.sentiment, heads(1.0).read(&[2.0, 0.0], &[1]).sentiment);
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let error = Heads::new(Head::new(&[0.0; 8], vec![0.0; 4], 1.0), None).unwrap_err();
        assert_eq!(error.to_string(), "head \"sentiment\": expected 3 outputs, found 4");
        let three = || Head::new(&[0.0; 6], vec![0.0; 3], 1.0);
        let error = Heads::new(three(), Some(three())).unwrap_err();
        assert_eq!(error.to_string(), "head \"events\": expected 72 outputs, found 3");
    }
}
