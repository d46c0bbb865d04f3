//! Sums that know how they would have come out with other stories.

use crate::summary::{Estimate, SummaryOptions};

/// Points and scores are kept in whole units of this part of a point, so that sums have the same bits in any order.
pub(super) const UNIT: f64 = 65536.0;

/// Points as whole units; what is no number counts as 0, and nothing moves a score by more than 100 points.
pub(super) fn units(points: f64) -> i64 {
    // `as` makes 0 of NaN.
    (points.clamp(-100.0, 100.0) * UNIT).round() as i64
}

/// How often a story counts in each resample.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    seed: u64,
    /// Where a draw of 32 bits begins to mean one more; the Poisson distribution with mean 1.
    steps: [u32; STEPS],
    /// One number a resample, of the story that was drawn last.
    pub(super) drawn: Vec<u8>,
}

/// 12 times and more has a probability below one in 2³².
const STEPS: usize = 12;

impl Weights {
    pub(super) fn new(options: &SummaryOptions) -> Self {
        let mut steps = [0; STEPS];
        let (mut probability, mut sum) = (1.0 / std::f64::consts::E, 0.0);
        for (k, step) in (1u8..).zip(&mut steps) {
            sum += probability;
            probability /= f64::from(k);
            // `as` keeps to the largest u32.
            *step = (sum * 4_294_967_296.0) as u32;
        }
        Weights { seed: options.seed, steps, drawn: vec![0; options.resamples] }
    }

    /// Draws for the story with this number: always the same.
    pub(super) fn draw(&mut self, number: u32) {
        let mut state = mix(self.seed ^ mix(u64::from(number) + 1));
        let weigh = |bits: u32| self.steps.iter().map(|&step| u8::from(bits >= step)).sum();
        for pair in self.drawn.chunks_mut(2) {
            // SplitMix64 (Steele, Lea and Flood 2014).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let bits = mix(state);
            pair[0] = weigh(bits as u32);
            if let Some(second) = pair.get_mut(1) {
                *second = weigh((bits >> 32) as u32);
            }
        }
    }
}

/// The finalizer of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A sum over stories, in the stories at hand and in each resample.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sum {
    pub(super) total: i64,
    /// Stories that add to it.
    stories: u64,
    resampled: Vec<i64>,
}

/// Fewest stories that an interval is made from.
const FEWEST: u64 = 10;

impl Sum {
    pub(super) fn new(resamples: usize) -> Self {
        Sum { total: 0, stories: 0, resampled: vec![0; resamples] }
    }

    /// Adds what one story adds.
    pub(super) fn add(&mut self, value: i64, weights: &Weights) {
        self.total += value;
        self.stories += 1;
        for (sum, &weight) in self.resampled.iter_mut().zip(&weights.drawn) {
            *sum += i64::from(weight) * value;
        }
    }

    pub(super) fn merge(&mut self, other: &Sum) {
        self.total += other.total;
        self.stories += other.stories;
        for (sum, other) in self.resampled.iter_mut().zip(&other.resampled) {
            *sum += other;
        }
    }

    /// Stories that add to it.
    pub(super) fn stories(&self) -> u64 {
        self.stories
    }

    /// The sum of a count.
    pub(super) fn count(&self) -> u64 {
        self.total.max(0) as u64
    }

    /// This sum over another, with its interval; `None` where there is nothing to divide by.
    pub(super) fn over(&self, other: &Sum, scale: f64, level: f64) -> Option<Estimate> {
        let ratio = |(above, below): (i64, i64)| (below != 0).then(|| above as f64 / below as f64 / scale);
        let value = ratio((self.total, other.total))?;
        let pairs = self.resampled.iter().copied().zip(other.resampled.iter().copied());
        Some(interval(value, pairs.filter_map(ratio).collect(), other.stories, level))
    }
}

/// The percentile interval of a `value` that so many stories bear on.
fn interval(value: f64, mut resampled: Vec<f64>, stories: u64, level: f64) -> Estimate {
    resampled.sort_unstable_by(f64::total_cmp);
    let last = resampled.len().saturating_sub(1);
    if stories < FEWEST || resampled.first() == resampled.last() {
        return Estimate { value, low: None, high: None };
    }
    // Between the two nearest, as R's type 7 and NumPy do by default.
    let at = |share: f64| {
        let place = share * last as f64;
        let (below, part) = (place.floor() as usize, place.fract());
        let (from, to) = (resampled[below], resampled[(below + 1).min(last)]);
        from + part * (to - from)
    };
    let tail = (1.0 - level) / 2.0;
    Estimate { value, low: Some(at(tail)), high: Some(at(1.0 - tail)) }
}

/// How many scores fall on each tenth of a point, in the stories at hand and in each resample.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Histogram {
    resamples: usize,
    counts: Vec<u64>,
    /// By tenth of a point; empty where no score is.
    resampled: Vec<Vec<u32>>,
}

const TENTHS: usize = 1001;

impl Histogram {
    pub(super) fn new(resamples: usize) -> Self {
        Histogram { resamples, counts: vec![0; TENTHS], resampled: vec![Vec::new(); TENTHS] }
    }

    /// Adds a score in [`UNIT`]s.
    pub(super) fn add(&mut self, score: i64, weights: &Weights) {
        let tenth = ((score as f64 * 10.0 / UNIT).round().max(0.0) as usize).min(TENTHS - 1);
        self.counts[tenth] += 1;
        let counts = &mut self.resampled[tenth];
        counts.resize(self.resamples, 0);
        for (count, &weight) in counts.iter_mut().zip(&weights.drawn) {
            *count = count.saturating_add(u32::from(weight));
        }
    }

    pub(super) fn merge(&mut self, other: &Histogram) {
        for (count, other) in self.counts.iter_mut().zip(&other.counts) {
            *count += other;
        }
        for (counts, other) in self.resampled.iter_mut().zip(&other.resampled).filter(|(_, o)| !o.is_empty())
        {
            counts.resize(self.resamples, 0);
            for (count, other) in counts.iter_mut().zip(other) {
                *count = count.saturating_add(*other);
            }
        }
    }

    /// The least tenth of a point that at least `per_mille` of the scores reach from below.
    pub(super) fn quantile(&self, per_mille: u64) -> Option<f64> {
        let all: u64 = self.counts.iter().sum();
        let mut below = 0;
        let tenth = self.counts.iter().position(|count| {
            below += count;
            below > 0 && below * 1000 >= all * per_mille
        })?;
        Some(tenth as f64 / 10.0)
    }

    /// The median with its interval; the scores are of so many stories.
    pub(super) fn median(&self, stories: u64, level: f64) -> Option<Estimate> {
        let value = self.quantile(500)?;
        let mut all = vec![0u64; self.resamples];
        for counts in &self.resampled {
            for (sum, &count) in all.iter_mut().zip(counts) {
                *sum += u64::from(count);
            }
        }
        let mut below = vec![0u64; self.resamples];
        let mut medians = vec![f64::NAN; self.resamples];
        for (tenth, counts) in self.resampled.iter().enumerate() {
            for (at, &count) in counts.iter().enumerate() {
                below[at] += u64::from(count);
                if medians[at].is_nan() && below[at] > 0 && 2 * below[at] >= all[at] {
                    medians[at] = tenth as f64 / 10.0;
                }
            }
        }
        medians.retain(|median| !median.is_nan());
        Some(interval(value, medians, stories, level))
    }
}
