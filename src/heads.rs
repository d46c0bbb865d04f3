//! From sentence vectors to sentiment and event probabilities.

use crate::context::Context;
use crate::error::{LoadError, LoadErrorKind};
use crate::events::EVENT_TYPES;
use crate::labels::LabelMap;
use crate::math;
use crate::model::{Head, Model, Readout};
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
    /// P(the sentence tells of an interaction with a provider), or `None` where the model has no such head.
    pub(crate) told: Option<f32>,
}

/// How the vectors of an encoder are read: sentiment, and events where the model knows of them.
#[derive(Clone, Debug)]
pub struct Heads {
    sentiment: Reader,
    events: Option<Head>,
    told: Option<Head>,
    context: Option<Context>,
}

/// How sentiment is read.
#[derive(Clone, Debug)]
enum Reader {
    /// By a layer over the vectors.
    Head(Head),
    /// The vectors are logits already, of these classes.
    Labels(LabelMap),
}

impl Reader {
    /// How many logits a window has.
    fn outputs(&self) -> usize {
        match self {
            Reader::Head(head) => head.outputs(),
            Reader::Labels(map) => map.len(),
        }
    }

    fn read(&self, logits: &[f32]) -> Sentiment {
        match self {
            Reader::Head(head) => {
                Sentiment::from_logits([0, 1, 2].map(|class| logits[class] / head.temperature()))
            }
            Reader::Labels(map) => map.sentiment(logits),
        }
    }
}

impl Heads {
    /// The heads of a loaded model, with its context stage where it has one.
    ///
    /// # Errors
    ///
    /// As [`Heads::new`], and where a tensor of the context stage is missing or has another shape.
    pub fn from_model(model: &Model) -> Result<Self, LoadError> {
        Heads::from_readout(model.readout())
    }

    pub(crate) fn from_readout(readout: &Readout) -> Result<Self, LoadError> {
        let mut heads = Heads::new(readout.sentiment().clone(), readout.events().cloned())?;
        heads.told = readout.told().cloned();
        heads.context = Context::from_readout(readout)?;
        Ok(heads)
    }

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
        Ok(Heads { sentiment: Reader::Head(sentiment), events, told: None, context: None })
    }

    /// For an encoder whose vectors are the logits of a classification checkpoint. Says nothing of events.
    pub fn labels(map: LabelMap) -> Self {
        Heads { sentiment: Reader::Labels(map), events: None, told: None, context: None }
    }

    /// How many numbers a vector has.
    pub fn dim(&self) -> usize {
        match &self.sentiment {
            Reader::Head(head) => head.inputs(),
            Reader::Labels(map) => map.len(),
        }
    }

    /// Whether the model says anything of events.
    pub fn has_events(&self) -> bool {
        self.events.is_some()
    }

    /// Reads a story: the vectors of all windows of all its sentences, in the order of the text, and the tokens of
    /// each window, sentence by sentence.
    ///
    /// Sentiment is the mean of a sentence's windows, weighted by their tokens; an event is as likely as in the
    /// window that shows it best, and so is that an interaction is told of.
    pub(crate) fn read(&self, vectors: &[f32], tokens: &[Vec<usize>]) -> Vec<SentenceScores> {
        let n = vectors.len() / self.dim();
        let logits = |head: &Head| {
            let mut logits = vec![0.0; n * head.outputs()];
            head.logits(vectors, &mut logits);
            logits
        };
        let mut sentiment = match &self.sentiment {
            Reader::Head(head) => logits(head),
            Reader::Labels(_) => vectors.to_vec(),
        };
        let mut events = self.events.as_ref().map(logits);
        let mut told = self.told.as_ref().map(logits);
        if let Some(context) = &self.context {
            let added = context.logits(vectors);
            add(&mut sentiment, &added.sentiment);
            if let Some(events) = &mut events {
                add(events, &added.events);
            }
            if let Some(told) = &mut told {
                add(told, &added.told);
            }
        }
        let classes = self.sentiment.outputs();
        let mut at = 0;
        tokens
            .iter()
            .map(|windows| {
                let own = at..at + windows.len();
                at = own.end;
                SentenceScores {
                    sentiment: self
                        .read_sentiment(&sentiment[own.start * classes..own.end * classes], windows),
                    events: events.as_ref().map(|events| {
                        self.read_events(&events[own.start * EVENT_OUTPUTS..own.end * EVENT_OUTPUTS])
                    }),
                    told: told.as_ref().map(|told| {
                        let logit = told[own].iter().copied().fold(f32::NEG_INFINITY, f32::max);
                        math::sigmoid(f64::from(logit)) as f32
                    }),
                }
            })
            .collect()
    }

    fn read_sentiment(&self, logits: &[f32], tokens: &[usize]) -> Sentiment {
        let mut weights = [0.0f32; 3];
        for (logits, tokens) in logits.chunks_exact(self.sentiment.outputs()).zip(tokens) {
            let sentiment = self.sentiment.read(logits);
            let probs = [sentiment.negative(), sentiment.neutral(), sentiment.positive()];
            for (weight, prob) in weights.iter_mut().zip(probs) {
                *weight += prob * *tokens as f32;
            }
        }
        let [negative, neutral, positive] = weights;
        Sentiment::from_weights(negative, neutral, positive)
    }

    fn read_events(&self, logits: &[f32]) -> EventProbs {
        let scale = self.events.as_ref().map_or(1.0, |head| f64::from(head.temperature()));
        let mut probs = [[0.0f32; 3]; EVENT_TYPES];
        for logits in logits.chunks_exact(EVENT_OUTPUTS) {
            for (prob, logit) in probs.iter_mut().flatten().zip(logits) {
                *prob = prob.max(math::sigmoid(f64::from(*logit) / scale) as f32);
            }
        }
        probs
    }
}

fn add(to: &mut [f32], what: &[f32]) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += what;
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
        let scores = heads(1.0).read(&[2.0, 0.0], &[vec![5]])[0];
        let sum = 2f64.exp() + 2.0;
        assert!((f64::from(scores.sentiment.negative()) - 2f64.exp() / sum).abs() < 1e-6);
        assert!((f64::from(scores.sentiment.positive()) - 1.0 / sum).abs() < 1e-6);
        let events = scores.events.unwrap();
        assert!((f64::from(events[23][2]) - 1.0 / (1.0 + 2f64.exp())).abs() < 1e-6);
    }

    #[test]
    fn windows_count_by_their_tokens() {
        let one = heads(1.0).read(&[4.0, 0.0], &[vec![10]])[0].sentiment;
        let two = heads(1.0).read(&[4.0, 0.0, 0.0, 4.0], &[vec![30, 10]])[0].sentiment;
        let expected = 0.75 * one.negative() + 0.25 * one.positive();
        assert!((two.negative() - expected).abs() < 1e-6, "{two:?} {expected}");
    }

    #[test]
    fn a_temperature_flattens() {
        let warm = heads(2.0).read(&[4.0, 0.0], &[vec![1]])[0];
        assert_eq!(warm.sentiment, heads(1.0).read(&[2.0, 0.0], &[vec![1]])[0].sentiment);
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
