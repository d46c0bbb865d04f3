//! What a model is measured by. Pure arithmetic on probabilities and labels.

use amends::SentimentLabel;

use crate::data::{EVENTS, Example, STATUSES};

/// What the model says of one sentence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Prediction {
    /// Logits of negative, neutral, positive.
    pub(crate) sentiment: [f32; 3],
    /// Logits of the event labels.
    pub(crate) events: Vec<f32>,
    /// Logit of telling of an interaction.
    pub(crate) told: f32,
}

/// Logits to probabilities.
pub(crate) fn softmax(logits: [f32; 3], temperature: f64) -> [f64; 3] {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights = logits.map(|logit| (f64::from(logit - max) / temperature).exp());
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

/// A logit to a probability.
pub(crate) fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// The class of a hard label; none for mixed, which the three-class measures leave out.
pub(crate) fn class(label: SentimentLabel) -> Option<usize> {
    match label {
        SentimentLabel::Negative => Some(0),
        SentimentLabel::Neutral => Some(1),
        SentimentLabel::Positive => Some(2),
        SentimentLabel::Mixed => None,
    }
}

fn largest(logits: &[f32; 3]) -> usize {
    (1..3).fold(0, |best, class| if logits[class] > logits[best] { class } else { best })
}

/// F1 of the three classes and their mean, over sentences with one of the three as hard label.
pub(crate) fn sentiment_f1(examples: &[Example], predictions: &[Prediction]) -> ([f64; 3], f64) {
    let mut counts = [[0usize; 3]; 3];
    for (example, prediction) in examples.iter().zip(predictions) {
        if let Some(gold) = example.label.and_then(class) {
            counts[gold][largest(&prediction.sentiment)] += 1;
        }
    }
    let f1 = [0, 1, 2].map(|class| {
        let found: usize = counts.iter().map(|row| row[class]).sum();
        let there: usize = counts[class].iter().sum();
        if found + there == 0 { 0.0 } else { 2.0 * counts[class][class] as f64 / (found + there) as f64 }
    });
    (f1, f1.iter().sum::<f64>() / 3.0)
}

/// Area under the ROC curve of the logit of telling of an interaction (the Mann-Whitney statistic; ties count half),
/// or `None` without sentences of both kinds.
pub(crate) fn told_auc(examples: &[Example], predictions: &[Prediction]) -> Option<f64> {
    let mut ranked: Vec<(f32, bool)> = (examples.iter().zip(predictions))
        .filter_map(|(example, prediction)| Some((prediction.told, example.told?)))
        .collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut won, mut positive) = (0.0, 0.0, 0.0);
    for ties in ranked.chunk_by(|a, b| a.0 == b.0) {
        let yes = ties.iter().filter(|(_, told)| *told).count() as f64;
        let no = ties.len() as f64 - yes;
        won += yes * (below + no / 2.0);
        below += no;
        positive += yes;
    }
    (positive > 0.0 && below > 0.0).then(|| won / (positive * below))
}

/// Share of positive and negative sentences whose right class is the likelier of those two.
pub(crate) fn polar_accuracy(examples: &[Example], predictions: &[Prediction]) -> f64 {
    let mut right = 0usize;
    let mut all = 0usize;
    for (example, prediction) in examples.iter().zip(predictions) {
        let [negative, _, positive] = prediction.sentiment;
        match example.label {
            Some(SentimentLabel::Negative) => right += usize::from(negative > positive),
            Some(SentimentLabel::Positive) => right += usize::from(positive > negative),
            _ => continue,
        }
        all += 1;
    }
    right as f64 / all.max(1) as f64
}

/// Micro-averaged scores of the event head at one threshold for all labels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct EventScore {
    pub(crate) threshold: f64,
    pub(crate) precision: f64,
    pub(crate) recall: f64,
    pub(crate) f1: f64,
}

/// Whether a label counts in the strict measure: events that occurred or were said to be absent.
fn strict(label: usize) -> bool {
    label % STATUSES < 2
}

/// The threshold (a probability) with the best strict micro-F1 over (sentence, type, status), where the
/// status is occurred or absent.
pub(crate) fn event_f1(examples: &[Example], predictions: &[Prediction]) -> EventScore {
    let mut decisions: Vec<(f32, bool)> = Vec::new();
    let mut gold = 0usize;
    for (example, prediction) in examples.iter().zip(predictions) {
        let Some(events) = &example.events else { continue };
        for label in (0..EVENTS).filter(|&label| strict(label)) {
            let there = events.iter().any(|&(event, p)| event == label && p >= 0.5);
            gold += usize::from(there);
            decisions.push((prediction.events[label], there));
        }
    }
    decisions.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut best = EventScore { threshold: 1.0, ..EventScore::default() };
    let mut right = 0usize;
    for (index, &(logit, there)) in decisions.iter().enumerate() {
        right += usize::from(there);
        let found = index + 1;
        let f1 = 2.0 * right as f64 / (found + gold) as f64;
        // A threshold takes all decisions of one logit or none.
        if f1 > best.f1 && decisions.get(found).is_none_or(|next| next.0 < logit) {
            let lower = decisions.get(found).map_or(logit, |next| next.0);
            best = EventScore {
                threshold: sigmoid(f64::from(logit + lower) / 2.0),
                precision: right as f64 / found as f64,
                recall: right as f64 / gold.max(1) as f64,
                f1,
            };
        }
    }
    best
}

/// Expected calibration error (Guo and others 2017): the mean distance between how sure the model is and
/// how often it is right, over 15 equally wide bins of the first, weighted by how many fall into each.
pub(crate) fn calibration_error(sure: &[(f64, bool)]) -> f64 {
    const BINS: usize = 15;
    let mut bins = [(0.0, 0.0); BINS];
    for &(p, right) in sure {
        let bin = ((p * BINS as f64) as usize).min(BINS - 1);
        bins[bin].0 += p;
        bins[bin].1 += f64::from(u8::from(right));
    }
    bins.iter().map(|(p, right)| (p - right).abs()).sum::<f64>() / sure.len().max(1) as f64
}

/// For each sentence with one of three classes as label: probability of the likeliest class, and whether
/// it is the right one.
pub(crate) fn sentiment_sureness(
    examples: &[Example],
    predictions: &[Prediction],
    temperature: f64,
) -> Vec<(f64, bool)> {
    let mut sure = Vec::new();
    for (example, prediction) in examples.iter().zip(predictions) {
        if let Some(gold) = example.label.and_then(class) {
            let found = largest(&prediction.sentiment);
            sure.push((softmax(prediction.sentiment, temperature)[found], found == gold));
        }
    }
    sure
}

/// For each event decision whose uncalibrated probability is 0.05 or more (the many hopeless ones would
/// hide the rest): the probability after `logit · scale + shift`, and whether the event is there.
pub(crate) fn event_sureness(
    examples: &[Example],
    predictions: &[Prediction],
    (scale, shift): (f64, f64),
) -> Vec<(f64, bool)> {
    let mut sure = Vec::new();
    for (example, prediction) in examples.iter().zip(predictions) {
        let Some(events) = &example.events else { continue };
        for (label, &logit) in prediction.events.iter().enumerate() {
            if sigmoid(f64::from(logit)) >= 0.05 {
                let there = events.iter().any(|&(event, p)| event == label && p >= 0.5);
                sure.push((sigmoid(f64::from(logit) * scale + shift), there));
            }
        }
    }
    sure
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(label: SentimentLabel, events: &[usize]) -> Example {
        Example {
            text: String::new(),
            sentiment: None,
            told: None,
            events: Some(events.iter().map(|&event| (event, 1.0)).collect()),
            label: Some(label),
            weight: 1.0,
            line: 1,
        }
    }

    fn prediction(sentiment: [f32; 3], events: &[(usize, f32)]) -> Prediction {
        let mut logits = vec![-9.0; EVENTS];
        events.iter().for_each(|&(label, logit)| logits[label] = logit);
        Prediction { sentiment, events: logits, told: 0.0 }
    }

    #[test]
    fn sentiment_is_the_mean_over_classes_and_mixed_is_left_out() {
        use SentimentLabel::{Mixed, Negative, Neutral, Positive};
        let examples = [Negative, Negative, Neutral, Positive, Mixed].map(|label| example(label, &[]));
        let predictions = [[3., 0., 0.], [0., 3., 0.], [0., 3., 0.], [0., 0., 3.], [0., 3., 0.]]
            .map(|logits| prediction(logits, &[]));
        let (f1, macro_f1) = sentiment_f1(&examples, &predictions);
        assert_eq!(f1, [2.0 / 3.0, 2.0 / 3.0, 1.0]);
        assert!((macro_f1 - 7.0 / 9.0).abs() < 1e-12);
        assert_eq!(polar_accuracy(&examples, &predictions), 2.0 / 3.0);
    }

    #[test]
    fn the_best_threshold_is_found_and_unreal_events_do_not_count() {
        let label = SentimentLabel::Neutral;
        let examples = [example(label, &[0]), example(label, &[4, 5]), example(label, &[])];
        // 5 is a label of status unreal: neither its gold nor its high score counts.
        let predictions = [
            prediction([0.; 3], &[(0, 2.0)]),
            prediction([0.; 3], &[(4, 0.0), (5, 4.0)]),
            prediction([0.; 3], &[(7, 1.0), (3, -2.0)]),
        ];
        let best = event_f1(&examples, &predictions);
        assert_eq!((best.precision, best.recall, best.f1), (2.0 / 3.0, 1.0, 0.8));
        assert!((best.threshold - sigmoid(-1.0)).abs() < 1e-9);
    }

    #[test]
    fn the_area_under_the_curve_counts_pairs_and_halves_ties() {
        let examples = [Some(true), Some(false), Some(true), Some(false), None]
            .map(|told| Example { told, ..example(SentimentLabel::Neutral, &[]) });
        let predictions =
            [2.0, 1.0, 1.0, 0.0, 9.0].map(|told| Prediction { told, ..prediction([0.; 3], &[]) });
        assert_eq!(told_auc(&examples, &predictions), Some(3.5 / 4.0));
        assert_eq!(told_auc(&examples[4..], &predictions[4..]), None);
    }

    #[test]
    fn equal_logits_are_taken_together() {
        let label = SentimentLabel::Neutral;
        let examples = [example(label, &[0]), example(label, &[])];
        let predictions = [prediction([0.; 3], &[(0, 1.0)]), prediction([0.; 3], &[(0, 1.0)])];
        assert_eq!(event_f1(&examples, &predictions).f1, 2.0 / 3.0);
    }

    #[test]
    fn calibration_error_is_the_gap_in_each_bin() {
        let even: Vec<(f64, bool)> = (0..10).map(|n| (0.7, n < 7)).collect();
        assert!(calibration_error(&even) < 1e-12);
        assert!((calibration_error(&[(0.9, false), (0.1, false)]) - 0.5).abs() < 1e-12);
    }
}
