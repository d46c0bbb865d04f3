//! What the classes of a checkpoint mean.

use crate::error::{LoadError, LoadErrorKind};
use crate::math;
use crate::sentiment::Sentiment;

/// Turns the logits of a classification checkpoint into sentiment.
///
/// Two, three and five classes are known, by name and in any order. Five classes become three: the two worst are
/// negative, the two best positive.
///
/// # Two classes
///
/// A checkpoint with two classes has never seen a neutral sentence, but most sentences of a story are neutral:
/// facts, background, questions. On them its probabilities lie anywhere, often far from one half. A band around
/// one half catches at least those where it hesitates: P(neutral) is 1 where both classes are equally likely,
/// falls evenly to both sides, and reaches 0 at the edges of the band; the rest of the probability keeps its
/// proportions. With a band of 0.25 a sentence with P(positive) = 0.6 becomes 0.16 negative, 0.60 neutral, 0.24
/// positive, and one with 0.9 stays as it is.
///
/// ```
/// use amends::LabelMap;
///
/// let map = LabelMap::new(&["NEGATIVE", "POSITIVE"])?;
/// let sentiment = map.sentiment(&[0.4f32.ln(), 0.6f32.ln()]);
/// assert!((sentiment.neutral() - 0.6).abs() < 1e-5);
/// assert!((sentiment.positive() - 0.24).abs() < 1e-5);
/// # Ok::<(), amends::LoadError>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct LabelMap {
    classes: Vec<Class>,
    neutral_band: f32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    Negative,
    Neutral,
    Positive,
}

impl LabelMap {
    /// The neutral band of two-class checkpoints unless the caller sets one.
    pub const DEFAULT_NEUTRAL_BAND: f32 = 0.25;

    /// From the names of the classes, in the order of the logits.
    ///
    /// Letter case, and whether words are parted by spaces, hyphens or underscores, does not matter. Known:
    /// `negative` or `neg`, `neutral` or `neu`, `positive` or `pos`; `very negative`, `very positive`; `1 star` ..
    /// `5 stars`.
    ///
    /// # Errors
    ///
    /// [`Labels`](LoadErrorKind::Labels) if these are not the two, three or five classes described above.
    pub fn new<S: AsRef<str>>(labels: &[S]) -> Result<Self, LoadError> {
        let names: Vec<String> = labels.iter().map(|label| plain(label.as_ref())).collect();
        for set in [TWO, THREE, FIVE, STARS] {
            let find = |name: &String| set.iter().find(|(known, _)| known == name).map(|&(_, class)| class);
            let classes: Option<Vec<Class>> = names.iter().map(find).collect();
            let all = set.iter().all(|(known, _)| names.iter().any(|name| name == known));
            if let (Some(classes), true) = (classes, names.len() == set.len() && all) {
                return Ok(LabelMap { classes, neutral_band: LabelMap::DEFAULT_NEUTRAL_BAND });
            }
        }
        let found: Vec<&str> = labels.iter().map(AsRef::as_ref).collect();
        let message = format!(
            "labels {found:?} are not negative and positive, with or without neutral, nor five grades or stars; \
             if they mean one of these, say so with `TorchOptions::with_labels`"
        );
        Err(LoadError::new(LoadErrorKind::Labels, message))
    }

    /// Sets how far the neutral band of a two-class checkpoint reaches to either side of one half; 0.0 is none,
    /// 0.5 is all. Numbers outside are brought to the nearer end, NaN to 0.0. Without effect on three and five
    /// classes.
    pub fn with_neutral_band(mut self, band: f32) -> Self {
        self.neutral_band = if band.is_nan() { 0.0 } else { band.clamp(0.0, 0.5) };
        self
    }

    /// The neutral band, 0.0..=0.5, or `None` if the checkpoint has a neutral class.
    pub fn neutral_band(&self) -> Option<f32> {
        (!self.classes.contains(&Class::Neutral)).then_some(self.neutral_band)
    }

    /// How many classes there are: 2, 3 or 5.
    #[expect(clippy::len_without_is_empty, reason = "there are always classes")]
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// The sentiment that `logits` (natural log odds, one a class) stand for.
    ///
    /// Logits that are not finite give [`Sentiment::NEUTRAL`].
    ///
    /// # Panics
    ///
    /// If there are not [`LabelMap::len`] logits.
    pub fn sentiment(&self, logits: &[f32]) -> Sentiment {
        assert_eq!(logits.len(), self.classes.len(), "one logit a class");
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (mut negative, mut neutral, mut positive) = (0.0, 0.0, 0.0);
        for (class, logit) in self.classes.iter().zip(logits) {
            *match class {
                Class::Negative => &mut negative,
                Class::Neutral => &mut neutral,
                Class::Positive => &mut positive,
            } += math::exp(f64::from(logit - max)) as f32;
        }
        if let Some(band) = self.neutral_band() {
            let hesitation = (positive / (negative + positive) - 0.5f32).abs();
            let share = if band > 0.0 { (1.0 - hesitation / band).max(0.0) } else { 0.0 };
            neutral = share * (negative + positive);
            negative *= 1.0 - share;
            positive *= 1.0 - share;
        }
        Sentiment::from_weights(negative, neutral, positive)
    }
}

const TWO: &[(&str, Class)] = &[("negative", Class::Negative), ("positive", Class::Positive)];
const THREE: &[(&str, Class)] =
    &[("negative", Class::Negative), ("neutral", Class::Neutral), ("positive", Class::Positive)];
const FIVE: &[(&str, Class)] = &[
    ("very negative", Class::Negative),
    ("negative", Class::Negative),
    ("neutral", Class::Neutral),
    ("positive", Class::Positive),
    ("very positive", Class::Positive),
];
const STARS: &[(&str, Class)] = &[
    ("1 star", Class::Negative),
    ("2 star", Class::Negative),
    ("3 star", Class::Neutral),
    ("4 star", Class::Positive),
    ("5 star", Class::Positive),
];

/// A label without what does not matter: `Very_NEG` is `very negative`, `2 stars` is `2 star`.
fn plain(label: &str) -> String {
    let words = label.split([' ', '_', '-']).filter(|word| !word.is_empty()).map(|word| {
        let word = word.to_lowercase();
        match word.as_str() {
            "neg" => "negative".to_owned(),
            "neu" => "neutral".to_owned(),
            "pos" => "positive".to_owned(),
            "stars" => "star".to_owned(),
            _ => word,
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentiment::SentimentLabel;

    #[track_caller]
    fn near(found: Sentiment, wanted: [f32; 3]) {
        let found = [found.negative(), found.neutral(), found.positive()];
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?}, not {wanted:?}");
    }

    #[test]
    fn three_classes_map_directly_in_any_order() {
        let logits = [0.2f32.ln(), 0.7f32.ln(), 0.1f32.ln()];
        near(LabelMap::new(&["NEG", "neu", "Pos"]).unwrap().sentiment(&logits), [0.2, 0.7, 0.1]);
        near(
            LabelMap::new(&["positive", "negative", "neutral"]).unwrap().sentiment(&logits),
            [0.7, 0.1, 0.2],
        );
    }

    #[test]
    fn five_classes_become_three() {
        let logits = [0.1f32.ln(), 0.2f32.ln(), 0.3f32.ln(), 0.25f32.ln(), 0.15f32.ln()];
        for labels in [
            ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"],
            ["Very Negative", "negative", "neutral", "positive", "very-positive"],
        ] {
            near(LabelMap::new(&labels).unwrap().sentiment(&logits), [0.3, 0.3, 0.4]);
        }
    }

    #[test]
    fn two_classes_get_a_neutral_band() {
        let map = LabelMap::new(&["NEGATIVE", "POSITIVE"]).unwrap();
        let of = |map: &LabelMap, positive: f32| map.sentiment(&[(1.0 - positive).ln(), positive.ln()]);
        assert_eq!(map.neutral_band(), Some(0.25));
        near(of(&map, 0.5), [0.0, 1.0, 0.0]);
        near(of(&map, 0.6), [0.16, 0.6, 0.24]);
        near(of(&map, 0.9), [0.1, 0.0, 0.9]);
        assert_eq!(of(&map, 0.6).label(), SentimentLabel::Neutral);
        let none = map.clone().with_neutral_band(0.0);
        near(of(&none, 0.6), [0.4, 0.0, 0.6]);
        near(of(&none, 0.5), [0.5, 0.0, 0.5]);
        let wide = map.with_neutral_band(9.0);
        assert_eq!(wide.neutral_band(), Some(0.5));
        near(of(&wide, 0.75), [0.125, 0.5, 0.375]);
    }

    #[test]
    fn the_score_rises_with_the_logit_whatever_the_band() {
        for band in [0.0, 0.1, 0.25, 0.5] {
            let map = LabelMap::new(&["neg", "pos"]).unwrap().with_neutral_band(band);
            let scores: Vec<f32> =
                (-80..=80).map(|x| map.sentiment(&[0.0, x as f32 / 10.0]).score()).collect();
            assert!(scores.windows(2).all(|pair| pair[0] <= pair[1]), "band {band}");
            assert!(scores[0] < -0.99 && scores[160] > 0.99);
        }
    }

    #[test]
    fn other_labels_are_refused() {
        for labels in [
            &["LABEL_0", "LABEL_1"][..],
            &["positive"],
            &["negative", "negative"],
            &["negative", "neutral"],
            &["negative", "positive", "mixed"],
            &["anger", "joy", "fear", "love"],
            &["1 star", "2 stars", "3 stars", "4 stars", "4 stars"],
            &[],
        ] {
            let error = LabelMap::new(labels).unwrap_err();
            assert_eq!(error.kind(), LoadErrorKind::Labels, "{labels:?}");
        }
    }

    #[test]
    fn odd_logits_are_neutral() {
        let map = LabelMap::new(&["neg", "pos"]).unwrap();
        for logits in [[f32::NAN, 0.0], [f32::INFINITY, f32::INFINITY], [f32::NEG_INFINITY; 2]] {
            assert_eq!(map.sentiment(&logits), Sentiment::NEUTRAL, "{logits:?}");
        }
    }
}
