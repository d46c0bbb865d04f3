//! How wide the interval must be, from scores that the fit did not see.

use std::borrow::Borrow;

use amends::{Scorer, Weights};
use anyhow::Result;
use rayon::prelude::*;

use crate::data::Case;
use crate::figures::Figures;
use crate::params::Param;
use crate::solve::fit;

/// A score, the reader's, and the parts of its interval's width.
pub(crate) struct Residual {
    raw: f64,
    gold: f64,
    evidence: f64,
    variance: f64,
}

/// How far off the scores of `cases` are, and what their intervals are made of.
pub(crate) fn residuals<C: Borrow<Case> + Sync>(weights: &Weights, cases: &[C]) -> Result<Vec<Residual>> {
    // The parts are read off the widths that weights with one part alone give.
    let alone = |noise: f64, sparse: f64, events: f64| -> Result<Vec<(f64, f64)>> {
        let mut weights = weights.clone();
        weights.interval.level = 0.01;
        weights.interval.noise = noise;
        weights.interval.sparse = sparse;
        weights.interval.events = events;
        weights.interval.enough = 0.0;
        let scorer = Scorer::new(weights)?;
        Ok(cases
            .par_iter()
            .map(|case| {
                let score = scorer.score(case.borrow().input()).score;
                (logit(score.value()), (logit(score.high()) - logit(score.value())) / 0.01)
            })
            .collect())
    };
    let sparse = alone(0.0, 1.0, 0.0)?;
    let events = alone(0.0, 0.0, 1.0)?;
    Ok(cases
        .iter()
        .zip(sparse.iter().zip(&events))
        .map(|(case, ((raw, sparse), (_, events)))| Residual {
            raw: *raw,
            gold: case.borrow().gold,
            evidence: sparse * sparse,
            variance: events * events,
        })
        .collect())
}

/// The same, each fifth of the cases under weights that were fitted to the others.
pub(crate) fn held_out(prior: &Weights, ridge: f64, cases: &[Case]) -> Result<Vec<Residual>> {
    const FOLDS: usize = 5;
    let mut all = Vec::new();
    for fold in 0..FOLDS {
        let part = |held: bool| -> Vec<&Case> {
            cases
                .iter()
                .enumerate()
                .filter(|(at, _)| (at % FOLDS == fold) == held)
                .map(|(_, case)| case)
                .collect()
        };
        let weights = fit(prior, &Param::all(), ridge, &part(false))?;
        let figures = Figures::of(&weights, &part(true))?;
        println!("held-out fifth {}: {figures}", fold + 1);
        all.extend(residuals(&weights, &part(true))?);
    }
    Ok(all)
}

/// Takes the parts of the width that make the intervals narrowest where they hold this share of readers' scores.
pub(crate) fn set_interval(weights: &mut Weights, held: &[Residual], coverage: f64) {
    let mut best = f64::INFINITY;
    let steps = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0];
    for sparse in steps {
        for events in steps {
            let spread = |row: &Residual| {
                (0.25 + sparse * sparse * row.evidence + events * events * row.variance).sqrt()
            };
            let mut needed: Vec<f64> =
                held.iter().map(|row| (logit(row.gold) - row.raw).abs() / spread(row)).collect();
            needed.sort_by(f64::total_cmp);
            // The split-conformal rank.
            let rank = (((held.len() + 1) as f64) * coverage).ceil() as usize;
            let level = needed[rank.clamp(1, held.len()) - 1];
            let width = |row: &Residual| {
                let half = level * spread(row);
                logistic(row.raw + half) - logistic(row.raw - half)
            };
            let mean = held.iter().map(width).sum::<f64>() / held.len() as f64;
            if mean < best {
                best = mean;
                weights.interval.level = (level * 1000.0).ceil() / 1000.0;
                (weights.interval.noise, weights.interval.sparse, weights.interval.events) =
                    (0.5, sparse, events);
            }
        }
    }
    println!("interval: mean width {best:.1} at {coverage} of {} held-out interactions", held.len());
}

fn logistic(raw: f64) -> f64 {
    100.0 / (1.0 + (-raw).exp())
}

fn logit(value: f64) -> f64 {
    let share = (value / 100.0).clamp(0.001, 0.999);
    (share / (1.0 - share)).ln()
}
