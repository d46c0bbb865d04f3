//! Making the probabilities of sentiment and events mean what they say. The third head, `told`, stays as it is.
//!
//! Logits get a shift and are divided by a temperature (Platt 1999; Guo and others 2017): those of the
//! neutral class, because the sources disagree about what is neutral, and those of all events, because
//! most are rare. Both are fitted on the dev stories by maximum likelihood. Positive and negative move
//! together, so which of the two is the likelier stays as it was.

use std::fmt;

use tch::Tensor;

use crate::data::Example;
use crate::layout::Layout;
use crate::metrics::{
    Prediction, calibration_error, class, event_sureness, sentiment_f1, sentiment_sureness, sigmoid, softmax,
};

/// Parameters of the calibrated heads, and the calibration errors before and after.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Calibration {
    /// Sentiment probabilities are the softmax of logits / temperature, plus the shift for neutral.
    pub(crate) sentiment_temperature: f64,
    pub(crate) neutral_shift: f64,
    /// Event probabilities are the sigmoid of logit / temperature + shift.
    pub(crate) event_temperature: f64,
    pub(crate) event_shift: f64,
    /// Expected calibration error before, and after as measured on sentences that the fit did not see.
    pub(crate) sentiment_error: (f64, f64),
    pub(crate) event_error: (f64, f64),
    /// Sentiment macro-F1 before, and after as measured on sentences that the fit did not see.
    pub(crate) sentiment_f1: (f64, f64),
}

impl Calibration {
    /// The weights with both shifts in the biases of the heads, so that only the temperatures are left to
    /// apply.
    pub(crate) fn shifted(&self, weights: &Tensor, layout: &Layout) -> Tensor {
        let shifted = weights.copy();
        for (name, view) in layout.views(&shifted) {
            match name.as_str() {
                "sentiment.bias" => {
                    let _ =
                        view.narrow(0, 1, 1).g_add_scalar_(self.neutral_shift * self.sentiment_temperature);
                }
                "events.bias" => {
                    let _ = view.shallow_clone().g_add_scalar_(self.event_shift * self.event_temperature);
                }
                _ => (),
            }
        }
        shifted
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sentiment: temperature {:.3}, neutral shift {:.3}, calibration error {:.4} before, {:.4} after, macro-F1 \
             {:.4} before, {:.4} after; events: temperature {:.3}, shift {:.3}, calibration error {:.4} before, {:.4} after",
            self.sentiment_temperature,
            self.neutral_shift,
            self.sentiment_error.0,
            self.sentiment_error.1,
            self.sentiment_f1.0,
            self.sentiment_f1.1,
            self.event_temperature,
            self.event_shift,
            self.event_error.0,
            self.event_error.1
        )
    }
}

/// Fits on all examples; what is measured "after" is of two fits, each on every other story, on the rest.
pub(crate) fn calibrate(examples: &[Example], predictions: &[Prediction]) -> Calibration {
    let (temperature, neutral_shift) = sentiment_line(examples, predictions);
    let (scale, shift) = event_line(examples, predictions);
    let mut unseen = (Vec::new(), Vec::new());
    let (mut sentiment, mut events) = (Vec::new(), Vec::new());
    for fold in [0, 1] {
        let part = |keep: bool| {
            let pairs = examples.iter().zip(predictions).filter(|(e, _)| (e.line % 2 == fold) == keep);
            pairs.map(|(e, p)| (e.clone(), p.clone())).unzip::<_, _, Vec<_>, Vec<_>>()
        };
        let ((fit, fit_predictions), (rest, rest_predictions)) = (part(true), part(false));
        let line = event_line(&fit, &fit_predictions);
        events.extend(event_sureness(&rest, &rest_predictions, line));
        let (temperature, shift) = sentiment_line(&fit, &fit_predictions);
        let shifted: Vec<Prediction> =
            rest_predictions.iter().map(|p| shift_neutral(p, temperature * shift)).collect();
        sentiment.extend(sentiment_sureness(&rest, &shifted, temperature));
        unseen.0.extend(rest);
        unseen.1.extend(shifted);
    }
    Calibration {
        sentiment_temperature: temperature,
        neutral_shift,
        event_temperature: 1.0 / scale,
        event_shift: shift,
        sentiment_error: (
            calibration_error(&sentiment_sureness(examples, predictions, 1.0)),
            calibration_error(&sentiment),
        ),
        event_error: (
            calibration_error(&event_sureness(examples, predictions, (1.0, 0.0))),
            calibration_error(&events),
        ),
        sentiment_f1: (sentiment_f1(examples, predictions).1, sentiment_f1(&unseen.0, &unseen.1).1),
    }
}

fn shift_neutral(prediction: &Prediction, by: f64) -> Prediction {
    let [negative, neutral, positive] = prediction.sentiment;
    Prediction { sentiment: [negative, neutral + by as f32, positive], ..prediction.clone() }
}

/// Temperature and neutral shift with the largest likelihood: golden-section searches, one within the
/// other (the loss is convex in the inverse temperature and the shift).
fn sentiment_line(examples: &[Example], predictions: &[Prediction]) -> (f64, f64) {
    let labelled: Vec<(usize, [f32; 3])> = (examples.iter().zip(predictions))
        .filter_map(|(example, prediction)| Some((example.label.and_then(class)?, prediction.sentiment)))
        .collect();
    if labelled.is_empty() {
        return (1.0, 0.0);
    }
    let loss = |log_temperature: f64, shift: f64| -> f64 {
        let temperature = log_temperature.exp();
        let one = |&(gold, [negative, neutral, positive]): &(usize, [f32; 3])| {
            let logits = [negative, neutral + (shift * temperature) as f32, positive];
            -softmax(logits, temperature)[gold].max(1e-12).ln()
        };
        labelled.iter().map(one).sum()
    };
    let range = (0.2f64.ln(), 5f64.ln());
    let temperature_at = |shift: f64| least(range, |log| loss(log, shift));
    let shift = least((-2.0, 2.0), |shift| loss(temperature_at(shift), shift));
    (temperature_at(shift).exp(), shift)
}

/// Where a function of one minimum is least within a range, by golden-section search.
fn least((mut low, mut high): (f64, f64), loss: impl Fn(f64) -> f64) -> f64 {
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (high - golden * (high - low), low + golden * (high - low));
    let (mut at_a, mut at_b) = (loss(a), loss(b));
    for _ in 0..22 {
        if at_a < at_b {
            (high, b, at_b) = (b, a, at_a);
            a = high - golden * (high - low);
            at_a = loss(a);
        } else {
            (low, a, at_a) = (a, b, at_b);
            b = low + golden * (high - low);
            at_b = loss(b);
        }
    }
    (low + high) / 2.0
}

/// Scale and shift of the event logits with the largest likelihood, by Newton's method (the loss is convex).
fn event_line(examples: &[Example], predictions: &[Prediction]) -> (f64, f64) {
    let mut decisions: Vec<(f64, f64)> = Vec::new();
    for (example, prediction) in examples.iter().zip(predictions) {
        let Some(events) = &example.events else { continue };
        for (label, &logit) in prediction.events.iter().enumerate() {
            let there = events.iter().any(|&(event, p)| event == label && p >= 0.5);
            decisions.push((f64::from(logit), f64::from(u8::from(there))));
        }
    }
    let (mut scale, mut shift) = (1.0, 0.0);
    for _ in 0..30 {
        // A little ridge towards no change keeps both defined where there is next to nothing to fit.
        let ridge = 1e-3;
        let (mut slope, mut hessian) = ([ridge * (scale - 1.0), ridge * shift], [ridge, 0.0, ridge]);
        for &(logit, there) in &decisions {
            let p = sigmoid(logit * scale + shift);
            let (gap, weight) = (p - there, p * (1.0 - p));
            slope[0] += gap * logit;
            slope[1] += gap;
            hessian[0] += weight * logit * logit;
            hessian[1] += weight * logit;
            hessian[2] += weight;
        }
        let determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];
        let by_scale = (hessian[2] * slope[0] - hessian[1] * slope[1]) / determinant;
        let by_shift = (hessian[0] * slope[1] - hessian[1] * slope[0]) / determinant;
        if !(by_scale.is_finite() && by_shift.is_finite()) {
            break;
        }
        let scale_step = by_scale.clamp(-0.5, 0.5);
        scale = f64::max(scale - scale_step, 0.05);
        shift -= by_shift.clamp(-1.0, 1.0);
        if by_scale.abs() + by_shift.abs() < 1e-9 {
            break;
        }
    }
    (scale, shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::EVENTS;
    use crate::stream::Rng;
    use amends::SentimentLabel;

    /// Sentences whose true probabilities are those of the logits divided by 2, and moved by 0.5 for events
    /// and by 0.8 for neutral.
    fn sample(count: usize) -> (Vec<Example>, Vec<Prediction>) {
        let mut rng = Rng::new(11);
        let mut examples = Vec::new();
        let mut predictions = Vec::new();
        for line in 0..count {
            let sentiment = [0; 3].map(|_| (rng.uniform() * 8.0 - 4.0) as f32);
            let [negative, neutral, positive] = sentiment;
            let p = softmax([negative, neutral + 1.6, positive], 2.0);
            let draw = rng.uniform();
            let label = match draw {
                _ if draw < p[0] => SentimentLabel::Negative,
                _ if draw < p[0] + p[1] => SentimentLabel::Neutral,
                _ => SentimentLabel::Positive,
            };
            let events: Vec<f32> = (0..EVENTS).map(|_| (rng.uniform() * 12.0 - 8.0) as f32).collect();
            let there = |&(_, &logit): &(usize, &f32)| rng.uniform() < sigmoid(f64::from(logit) / 2.0 + 0.5);
            let found = events.iter().enumerate().filter(there).map(|(label, _)| (label, 1.0)).collect();
            let text = String::new();
            examples.push(Example {
                text,
                sentiment: None,
                events: Some(found),
                told: None,
                label: Some(label),
                weight: 1.0,
                line,
            });
            predictions.push(Prediction { sentiment, events, told: 0.0 });
        }
        (examples, predictions)
    }

    #[test]
    fn known_parameters_are_found_again_and_the_error_falls() {
        let (examples, predictions) = sample(3000);
        let found = calibrate(&examples, &predictions);
        assert!((found.sentiment_temperature - 2.0).abs() < 0.2, "{found:?}");
        assert!((found.neutral_shift - 0.8).abs() < 0.15, "{found:?}");
        assert!(found.sentiment_f1.1 > found.sentiment_f1.0, "{found:?}");
        assert!((found.event_temperature - 2.0).abs() < 0.1, "{found:?}");
        assert!((found.event_shift - 0.5).abs() < 0.05, "{found:?}");
        assert!(found.sentiment_error.0 > 0.1 && found.sentiment_error.1 < 0.04, "{found:?}");
        assert!(found.event_error.0 > 0.1 && found.event_error.1 < 0.02, "{found:?}");
    }

    #[test]
    fn nothing_to_fit_changes_nothing() {
        let found = calibrate(&[], &[]);
        assert_eq!(
            (found.sentiment_temperature, found.event_temperature, found.event_shift),
            (1.0, 1.0, 0.0)
        );
    }
}
