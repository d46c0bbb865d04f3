//! What sentiment and events are worth apart, and how the score does in a domain that the fit has not seen.

use amends::Weights;
use anyhow::Result;

use crate::data::Case;
use crate::figures::{mean_error, spearman};
use crate::params::Param;
use crate::solve::{fit, score_all};

/// Fits sentiment alone, events alone and both, and both with each domain left out of the fit; prints a table
/// of what they reach on `dev`, by domain.
///
/// The last column takes the cases of a domain from `train`, too: with the domain left out of the fit, these
/// are unseen as well.
pub(crate) fn ablation(prior: &Weights, ridge: f64, train: &[Case], dev: &[Case]) -> Result<()> {
    let alone = |keep: fn(&Param) -> bool| -> Result<Vec<f64>> {
        let all = Param::all();
        let params: Vec<Param> =
            all.iter().filter(|param| keep(param) || **param == Param::Base).cloned().collect();
        let mut start = prior.clone();
        for param in all.iter().filter(|param| !params.contains(param) && param.is_weight()) {
            param.set(&mut start, 0.0);
        }
        score_all(&fit(&start, &params, ridge, train)?, dev)
    };
    let tone = alone(Param::is_tone)?;
    let events = alone(|param| !param.is_tone())?;
    let both = alone(|_| true)?;

    let mut domains: Vec<&str> = train.iter().chain(dev).map(|case| case.domain.as_str()).collect();
    domains.sort_unstable();
    domains.dedup();
    // Each case scored by weights that have not seen its domain.
    let mut unseen = vec![0.0; dev.len()];
    let mut unseen_train = vec![0.0; train.len()];
    for domain in &domains {
        let rest: Vec<&Case> = train.iter().filter(|case| case.domain != *domain).collect();
        let weights = fit(prior, &Param::all(), ridge, &rest)?;
        for (cases, values) in [(dev, &mut unseen), (train, &mut unseen_train)] {
            let held: Vec<usize> = (0..cases.len()).filter(|&at| cases[at].domain == *domain).collect();
            let parts: Vec<&Case> = held.iter().map(|&at| &cases[at]).collect();
            for (at, value) in held.iter().zip(score_all(&weights, &parts)?) {
                values[*at] = value;
            }
        }
    }

    println!(
        "| domain | dev | sentiment | events | both | domain not in the fit | the same, train and dev |"
    );
    println!("|---|---|---|---|---|---|---|");
    for name in std::iter::once(None).chain(domains.into_iter().map(Some)) {
        let of = |cases: &[Case]| -> Vec<usize> {
            (0..cases.len()).filter(|&at| name.is_none_or(|name| cases[at].domain == name)).collect()
        };
        let (here, there) = (of(dev), of(train));
        let gold: Vec<f64> = here.iter().map(|&at| dev[at].gold).collect();
        let pick = |values: &[f64]| -> Vec<f64> { here.iter().map(|&at| values[at]).collect() };
        let cell = |values: &[f64]| agreement(&pick(values), &gold);
        let more_values: Vec<f64> =
            pick(&unseen).into_iter().chain(there.iter().map(|&at| unseen_train[at])).collect();
        let more_gold: Vec<f64> =
            gold.iter().copied().chain(there.iter().map(|&at| train[at].gold)).collect();
        println!(
            "| {} | {} | {} | {} | {} | {} | {} ({}) |",
            name.unwrap_or("all"),
            here.len(),
            cell(&tone),
            cell(&events),
            cell(&both),
            cell(&unseen),
            agreement(&more_values, &more_gold),
            more_gold.len(),
        );
    }
    println!("\nSpearman with the readers' scores, then mean absolute error in points; (n) interactions.");
    Ok(())
}

fn agreement(values: &[f64], gold: &[f64]) -> String {
    if values.len() < 3 {
        return "-".to_owned();
    }
    format!("{:.3} / {:.1}", spearman(values, gold), mean_error(values, gold))
}
