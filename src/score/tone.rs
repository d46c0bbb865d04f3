//! What the sentiment of the sentences adds: mean, peaks and end, never their number.
//!
//! Remembered experience follows its peak, its end and its mean, and hardly its length (Alaybek et al. 2022).
//! Sentences count by how far they are from neutral, so neutral padding changes nothing, and a short and a
//! long complaint of the same tone weigh the same.

use crate::score::{Reason, ScoreInput, SentimentWeights, Term, Tone};
use crate::span::{SentenceId, Span};

/// The tone of an interaction.
pub(super) struct Reading {
    pub(super) terms: Vec<Term>,
    /// The polar sentences, in the order of the text.
    pub(super) polar: Vec<Polar>,
    /// Tone of the last polar sentences, −1..=1.
    pub(super) end: f64,
    /// How many polar sentences there are, each by its weight.
    pub(super) evidence: f64,
}

/// A sentence that is not neutral.
pub(super) struct Polar {
    pub(super) sentence: SentenceId,
    /// 0..=1, 0 for a neutral sentence.
    pub(super) weight: f64,
    /// −1..=1.
    pub(super) score: f64,
}

pub(super) fn read(weights: &SentimentWeights, input: &ScoreInput<'_>, sentences: &[SentenceId]) -> Reading {
    let polar: Vec<Polar> = sentences
        .iter()
        .map(|&sentence| {
            let sentiment = input.sentiments[sentence.index()];
            let weight = (1.0 - f64::from(sentiment.neutral()) - weights.margin) / (1.0 - weights.margin);
            Polar { sentence, weight: weight.clamp(0.0, 1.0), score: f64::from(sentiment.score()) }
        })
        .filter(|polar| polar.weight > 0.0)
        .collect();
    let evidence = polar.iter().map(|polar| polar.weight).sum();
    let end = decayed(weights, polar.iter().rev());
    let mean = average(weights, polar.iter().map(|polar| (polar.weight, polar.score)));
    let mut terms = Vec::new();
    if let (Some(first), Some(last)) = (polar.first(), polar.last()) {
        let spans = input.spans;
        let all = spans[first.sentence.index()].cover(spans[last.sentence.index()]);
        let signed = |polar: &Polar| polar.weight * polar.score;
        let pulls = |sign: f64| {
            polar.iter().max_by(|a, b| (sign * signed(a)).total_cmp(&(sign * signed(b)))).unwrap_or(first)
        };
        let (worst, best) = (pulls(-1.0), pulls(1.0));
        let strongest = |tone: f64| if tone < 0.0 { worst } else { best };
        let mut term = |tone: Tone, raw: f64, span: Span, sentence: SentenceId| {
            terms.push(Term { raw, reason: Reason::Sentiment(tone), span, sentence });
        };
        term(Tone::Mean, weights.mean * mean, all, strongest(mean).sentence);
        for (tone, weight, polar, pull) in [
            (Tone::PeakNegative, weights.peak_negative, worst, signed(worst).min(0.0)),
            (Tone::PeakPositive, weights.peak_positive, best, signed(best).max(0.0)),
            (Tone::End, weights.end, last, end),
        ] {
            term(tone, weight * pull, spans[polar.sentence.index()], polar.sentence);
        }
    }
    Reading { terms, polar, end, evidence }
}

/// Mean of the scores by weight, pulled towards 0 by the prior.
fn average(weights: &SentimentWeights, polar: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (sum, mass) =
        polar.fold((0.0, 0.0), |(sum, mass), (weight, score)| (sum + weight * score, mass + weight));
    sum / (mass + weights.prior)
}

/// The same, where each sentence counts less the more polar sentences went before it.
fn decayed<'p>(weights: &SentimentWeights, polar: impl Iterator<Item = &'p Polar>) -> f64 {
    // A sentence of weight w lets the rest fade by 1 - w (1 - decay): linear in w, so that half a polar
    // sentence hides half as much.
    let mut left = 1.0;
    average(
        weights,
        polar.map(|polar| {
            let weight = left * polar.weight;
            left *= 1.0 - polar.weight * (1.0 - weights.end_decay);
            (weight, polar.score)
        }),
    )
}
