//! A model on the dev sets.

use anyhow::Result;
use serde_json::{Value, json};
use tch::Tensor;

use crate::data::{EVENTS, Example};
use crate::input::Input;
use crate::metrics::{EventScore, Prediction, event_f1, polar_accuracy, sentiment_f1, told_auc};
use crate::stream::buckets;
use crate::workers::Workers;

/// A dev set as tokens.
pub(crate) struct Measured {
    pub(crate) examples: Vec<Example>,
    pub(crate) ids: Vec<Vec<u32>>,
}

/// The dev sets.
pub(crate) struct Dev {
    pub(crate) stories: Measured,
    pub(crate) polar: Option<Measured>,
}

/// What a model reaches on the dev sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    pub(crate) sentiment: f64,
    pub(crate) classes: [f64; 3],
    pub(crate) events: EventScore,
    /// How often a sentence that tells of an interaction has a higher logit of it than one that does not.
    pub(crate) told: Option<f64>,
    pub(crate) polar: Option<f64>,
}

impl Marks {
    /// What the best checkpoint is chosen by: the mean of the measures.
    pub(crate) fn mean(&self) -> f64 {
        let all = [Some(self.sentiment), Some(self.events.f1), self.polar];
        let known: Vec<f64> = all.into_iter().flatten().collect();
        known.iter().sum::<f64>() / known.len() as f64
    }

    pub(crate) fn to_json(self) -> Value {
        json!({
            "sentiment_macro_f1": self.sentiment, "sentiment_f1": self.classes, "events_strict_f1": self.events.f1,
            "events_precision": self.events.precision, "events_recall": self.events.recall,
            "events_threshold": self.events.threshold, "told_auc": self.told, "polar_accuracy": self.polar,
        })
    }
}

impl std::fmt::Display for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let events = &self.events;
        write!(f, "sentiment macro-F1 {:.4}, events strict F1 {:.4}", self.sentiment, events.f1)?;
        write!(f, " (p {:.3} r {:.3} at {:.3})", events.precision, events.recall, events.threshold)?;
        if let Some(told) = self.told {
            write!(f, ", told AUC {told:.4}")?;
        }
        match self.polar {
            Some(polar) => write!(f, ", polar accuracy {polar:.4}"),
            None => Ok(()),
        }
    }
}

/// Runs the model over a set, story by story.
pub(crate) fn predict(workers: &Workers, set: &Measured) -> Result<Vec<Prediction>> {
    let (examples, ids) = (&set.examples, &set.ids);
    let mut stories: Vec<std::ops::Range<usize>> = Vec::new();
    for sentence in 0..ids.len() {
        match stories.last_mut() {
            Some(story) if examples[story.start].line == examples[sentence].line => story.end += 1,
            _ => stories.push(sentence..sentence + 1),
        }
    }
    let lengths: Vec<usize> =
        stories.iter().map(|story| ids[story.clone()].iter().map(Vec::len).sum()).collect();
    let batches = buckets(&lengths, 2048);
    let input = |batch: &Vec<usize>| {
        let of = |&story: &usize| ids[stories[story].clone()].iter().map(Vec::as_slice).collect();
        Input::new(&batch.iter().map(of).collect::<Vec<Vec<&[u32]>>>())
    };
    let mut predictions = vec![Prediction { sentiment: [0.0; 3], events: Vec::new(), told: 0.0 }; ids.len()];
    for (batch, output) in batches.iter().zip(workers.read(batches.iter().map(input).collect())?) {
        let numbers = |tensor: &Tensor| Vec::<f32>::try_from(tensor.reshape([-1]));
        let (sentiment, events) = (numbers(&output.sentiment)?, numbers(&output.events)?);
        let told = numbers(&output.told)?;
        for (place, row) in batch.iter().flat_map(|&story| stories[story].clone()).enumerate() {
            predictions[row] = Prediction {
                sentiment: [0, 1, 2].map(|class| sentiment[place * 3 + class]),
                events: events[place * EVENTS..(place + 1) * EVENTS].to_vec(),
                told: told[place],
            };
        }
    }
    Ok(predictions)
}

/// The marks of predictions for both dev sets.
pub(crate) fn marks(dev: &Dev, stories: &[Prediction], polar: Option<&[Prediction]>) -> Marks {
    let (classes, sentiment) = sentiment_f1(&dev.stories.examples, stories);
    let events = event_f1(&dev.stories.examples, stories);
    let polar =
        dev.polar.as_ref().zip(polar).map(|(set, predictions)| polar_accuracy(&set.examples, predictions));
    let told = told_auc(&dev.stories.examples, stories);
    Marks { sentiment, classes, events, told, polar }
}

/// Runs the model over both dev sets and marks it.
pub(crate) fn measure(workers: &Workers, dev: &Dev) -> Result<Marks> {
    let stories = predict(workers, &dev.stories)?;
    let polar = dev.polar.as_ref().map(|set| predict(workers, set)).transpose()?;
    Ok(marks(dev, &stories, polar.as_deref()))
}
