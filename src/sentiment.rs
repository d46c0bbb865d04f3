//! How a sentence reflects on the provider.

use serde::{Deserialize, Serialize};

use crate::math;

/// What a sentence says of the experience, in one word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SentimentLabel {
    /// It speaks against the provider.
    Negative,
    /// Facts, background, questions: it speaks neither way.
    Neutral,
    /// It speaks for the provider.
    Positive,
    /// Clearly both.
    Mixed,
}

impl SentimentLabel {
    /// The label as it is written in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            SentimentLabel::Negative => "negative",
            SentimentLabel::Neutral => "neutral",
            SentimentLabel::Positive => "positive",
            SentimentLabel::Mixed => "mixed",
        }
    }
}

/// The three probabilities of a sentence. They sum to 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sentiment {
    negative: f32,
    neutral: f32,
    positive: f32,
}

/// A sentence is mixed where neutral is the least likely class and the other two are this close.
const MIXED_MARGIN: f32 = 0.06;

impl Sentiment {
    /// A sentence that says nothing: neutral with probability 1.
    pub const NEUTRAL: Sentiment = Sentiment { negative: 0.0, neutral: 1.0, positive: 0.0 };

    /// From three weights of any scale, which are divided by their sum.
    ///
    /// Weights that are not finite, negative, or all zero give [`Sentiment::NEUTRAL`].
    pub fn from_weights(negative: f32, neutral: f32, positive: f32) -> Self {
        let sum = negative + neutral + positive;
        let sane = negative >= 0.0 && neutral >= 0.0 && positive >= 0.0;
        if !(sum.is_finite() && sum > 0.0 && sane) {
            return Sentiment::NEUTRAL;
        }
        Sentiment { negative: negative / sum, neutral: neutral / sum, positive: positive / sum }
    }

    /// From three logits (natural log odds), by softmax.
    pub fn from_logits(logits: [f32; 3]) -> Self {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let [negative, neutral, positive] = logits.map(|logit| math::exp(f64::from(logit - max)) as f32);
        Sentiment::from_weights(negative, neutral, positive)
    }

    /// P(negative), 0..=1.
    pub fn negative(self) -> f32 {
        self.negative
    }

    /// P(neutral), 0..=1.
    pub fn neutral(self) -> f32 {
        self.neutral
    }

    /// P(positive), 0..=1.
    pub fn positive(self) -> f32 {
        self.positive
    }

    /// P(positive) − P(negative): −1 (as bad as it gets) ..= 1 (as good as it gets).
    pub fn score(self) -> f32 {
        self.positive - self.negative
    }

    /// The most likely class; mixed where positive and negative are about as likely and both above neutral.
    pub fn label(self) -> SentimentLabel {
        let (low, high) = if self.negative < self.positive {
            (self.negative, self.positive)
        } else {
            (self.positive, self.negative)
        };
        if self.neutral < low && high - low < MIXED_MARGIN {
            SentimentLabel::Mixed
        } else if self.neutral >= high {
            SentimentLabel::Neutral
        } else if self.positive > self.negative {
            SentimentLabel::Positive
        } else {
            SentimentLabel::Negative
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_probabilities() {
        let cases = [
            ([3.0, 0.0, 0.0], SentimentLabel::Negative),
            ([0.0, 3.0, 0.0], SentimentLabel::Neutral),
            ([0.0, 0.0, 3.0], SentimentLabel::Positive),
            ([3.0, 0.0, 3.0], SentimentLabel::Mixed),
            ([1.0, 1.0, 1.0], SentimentLabel::Neutral),
        ];
        for (logits, label) in cases {
            assert_eq!(Sentiment::from_logits(logits).label(), label, "{logits:?}");
        }
    }

    #[test]
    fn odd_weights_are_neutral() {
        for weights in [[f32::NAN, 0.0, 1.0], [0.0; 3], [-1.0, 3.0, 0.0], [f32::INFINITY, 1.0, 1.0]] {
            assert_eq!(Sentiment::from_weights(weights[0], weights[1], weights[2]), Sentiment::NEUTRAL);
        }
        assert_eq!(Sentiment::from_logits([f32::NAN; 3]), Sentiment::NEUTRAL);
    }
}
