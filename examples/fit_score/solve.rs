//! The fit: damped Gauss-Newton steps within bounds, with a robust loss and a ridge.
#![allow(clippy::needless_range_loop)] // rows and columns by number, as the method is written

use std::borrow::Borrow;

use amends::{Scorer, Weights};
use anyhow::Result;
use rayon::prelude::*;

use crate::data::Case;
use crate::params::Param;

/// Residuals below this many points count squared, larger ones as they are.
const HUBER: f64 = 6.0;

/// Weights that fit the readers' scores of `cases`: `params` fitted, all others as in `prior`.
pub(crate) fn fit<C: Borrow<Case> + Sync>(
    prior: &Weights,
    params: &[Param],
    ridge: f64,
    cases: &[C],
) -> Result<Weights> {
    let mut weights = prior.clone();
    let target: Vec<f64> = params.iter().map(|param| param.get(prior)).collect();
    let stiff: Vec<f64> = params.iter().map(|param| ridge * param.stiffness()).collect();
    let objective = |weights: &Weights, values: &[f64]| -> f64 {
        let loss: f64 = cases
            .iter()
            .zip(values)
            .map(|(case, value)| {
                let off = (value - case.borrow().gold).abs();
                if off < HUBER { off * off / 2.0 } else { HUBER * (off - HUBER / 2.0) }
            })
            .sum();
        let pull: f64 = params
            .iter()
            .zip(&target)
            .zip(&stiff)
            .map(|((param, target), stiff)| stiff * (param.get(weights) - target).powi(2) / 2.0)
            .sum();
        loss + pull
    };
    let mut values = score_all(&weights, cases)?;
    let mut best = objective(&weights, &values);
    let mut damping = 1.0;
    for _ in 0..30 {
        const STEP: f64 = 1e-4;
        let columns: Vec<Vec<f64>> = params
            .iter()
            .map(|param| {
                let mut moved = weights.clone();
                let at = param.get(&weights);
                let (_, most) = param.range(prior);
                let step = if at + STEP <= most { STEP } else { -STEP };
                param.set(&mut moved, at + step);
                let values_moved = score_all(&moved, cases)?;
                Ok(values_moved.iter().zip(&values).map(|(b, a)| (b - a) / step).collect())
            })
            .collect::<Result<_>>()?;
        let off: Vec<f64> =
            values.iter().zip(cases).map(|(value, case)| value - case.borrow().gold).collect();
        let robust: Vec<f64> =
            off.iter().map(|off| if off.abs() < HUBER { 1.0 } else { HUBER / off.abs() }).collect();
        let dot =
            |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).zip(&robust).map(|((a, b), w)| a * b * w).sum() };
        let slope: Vec<f64> = (0..params.len())
            .map(|k| dot(&columns[k], &off) + stiff[k] * (params[k].get(&weights) - target[k]))
            .collect();
        // Those that stand at a bound and want across it stay there.
        let free: Vec<usize> = (0..params.len())
            .filter(|&k| {
                let (least, most) = params[k].range(prior);
                let at = params[k].get(&weights);
                !(at <= least && slope[k] > 0.0 || at >= most && slope[k] < 0.0)
            })
            .collect();
        let mut better = false;
        let curvature: Vec<Vec<f64>> =
            free.iter().map(|&a| free.iter().map(|&b| dot(&columns[a], &columns[b])).collect()).collect();
        for _ in 0..8 {
            let mut system = curvature.clone();
            for (row, &k) in free.iter().enumerate() {
                system[row][row] += stiff[k] + damping * (1.0 + 0.01 * curvature[row][row]);
            }
            let step = solve(system, free.iter().map(|&k| -slope[k]).collect());
            let mut moved = weights.clone();
            for (&k, step) in free.iter().zip(&step) {
                let (least, most) = params[k].range(prior);
                params[k].set(&mut moved, (params[k].get(&weights) + step).clamp(least, most));
            }
            let values_moved = score_all(&moved, cases)?;
            let loss = objective(&moved, &values_moved);
            if loss < best {
                better = best - loss > 1e-6 * best;
                (weights, values, best) = (moved, values_moved, loss);
                damping = (damping / 5.0).max(1e-3);
                break;
            }
            damping *= 5.0;
        }
        if !better {
            break;
        }
    }
    for param in params {
        let rounded = (param.get(&weights) * 1000.0).round() / 1000.0;
        param.set(&mut weights, rounded + 0.0);
    }
    Ok(weights)
}

/// Solves a symmetric positive definite system by Cholesky's method.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for k in 0..n {
        for j in 0..k {
            let factor = matrix[k][j];
            for i in k..n {
                matrix[i][k] -= matrix[i][j] * factor;
            }
        }
        let root = matrix[k][k].max(1e-12).sqrt();
        matrix[k..].iter_mut().for_each(|row| row[k] /= root);
    }
    for k in 0..n {
        let sum: f64 = (0..k).map(|j| matrix[k][j] * right[j]).sum();
        right[k] = (right[k] - sum) / matrix[k][k];
    }
    for k in (0..n).rev() {
        let sum: f64 = (k + 1..n).map(|j| matrix[j][k] * right[j]).sum();
        right[k] = (right[k] - sum) / matrix[k][k];
    }
    right
}

/// The scores of `cases` under these weights.
pub(crate) fn score_all<C: Borrow<Case> + Sync>(weights: &Weights, cases: &[C]) -> Result<Vec<f64>> {
    let scorer = Scorer::new(weights.clone())?;
    Ok(cases.par_iter().map(|case| scorer.score(case.borrow().input()).score.value()).collect())
}
