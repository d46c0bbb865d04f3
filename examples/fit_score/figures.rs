//! How good weights are: agreement with readers and stars, and the interval.

use std::borrow::Borrow;
use std::fmt;

use amends::{Flag, Scorer, Weights};
use anyhow::Result;
use rayon::prelude::*;

use crate::data::Case;

/// What is reported of weights on cases.
pub(crate) struct Figures {
    spearman: f64,
    error: f64,
    stars: f64,
    auc: f64,
    coverage: f64,
    width: f64,
    flagged: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { spearman, error, stars, auc, coverage, width, flagged } = self;
        write!(
            f,
            "Spearman {spearman:.3}, error {error:.2}, stars {stars:.3} (AUC {auc:.3}), interval holds {:.1} % at width {width:.1}, insufficient {flagged}",
            100.0 * coverage
        )
    }
}

impl Figures {
    pub(crate) fn of<C: Borrow<Case> + Sync>(weights: &Weights, cases: &[C]) -> Result<Self> {
        let scorer = Scorer::new(weights.clone())?;
        let scored: Vec<_> = cases.par_iter().map(|case| scorer.score(case.borrow().input())).collect();
        let values: Vec<f64> = scored.iter().map(|scored| scored.score.value()).collect();
        let gold: Vec<f64> = cases.iter().map(|case| case.borrow().gold).collect();
        let n = cases.len().max(1) as f64;
        let (stars, rated): (Vec<f64>, Vec<f64>) = cases
            .iter()
            .zip(&values)
            .filter_map(|(case, value)| Some((case.borrow().stars?, *value)))
            .unzip();
        let held = scored
            .iter()
            .zip(&gold)
            .filter(|(scored, gold)| (scored.score.low()..=scored.score.high()).contains(gold));
        let (mut pairs, mut right) = (0.0, 0.0);
        for (high, a) in stars.iter().zip(&rated).filter(|(stars, _)| **stars >= 4.0) {
            for (_, b) in stars.iter().zip(&rated).filter(|(stars, _)| **stars <= 2.0 && *stars < high) {
                pairs += 1.0;
                right += if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                };
            }
        }
        Ok(Figures {
            spearman: spearman(&values, &gold),
            error: mean_error(&values, &gold),
            stars: spearman(&stars, &rated),
            auc: right / pairs,
            coverage: held.count() as f64 / n,
            width: scored.iter().map(|scored| scored.score.high() - scored.score.low()).sum::<f64>() / n,
            flagged: scored
                .iter()
                .filter(|scored| scored.flags.contains(&Flag::InsufficientEvidence))
                .count(),
        })
    }
}

/// Prints the figures, if there are cases.
pub(crate) fn report(name: &str, weights: &Weights, cases: &[Case]) -> Result<()> {
    if !cases.is_empty() {
        println!("{name}: {}", Figures::of(weights, cases)?);
    }
    Ok(())
}

/// Mean absolute difference.
pub(crate) fn mean_error(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| (a - b).abs()).sum::<f64>() / x.len().max(1) as f64
}

/// Spearman's rank correlation; NaN where one side does not vary.
pub(crate) fn spearman(x: &[f64], y: &[f64]) -> f64 {
    pearson(&ranks(x), &ranks(y))
}

/// Ranks from 0; values that are equal share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let mut to = from;
        while to + 1 < order.len() && values[order[to + 1]] == values[order[from]] {
            to += 1;
        }
        order[from..=to].iter().for_each(|&at| ranks[at] = (from + to) as f64 / 2.0);
        from = to + 1;
    }
    ranks
}

fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 { x.iter().zip(y).map(|(a, b)| f(a - mx, b - my)).sum() };
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
        // By hand: 1 - 6 * (0 + 0.25 + 0.25 + 0) / (4 * 15), less what the tie takes away.
        let value = spearman(&[1.0, 2.0, 2.0, 4.0], &[1.0, 2.0, 3.0, 4.0]);
        assert!((value - 4.5 / (4.5f64 * 5.0).sqrt()).abs() < 1e-12, "{value}");
    }
}
