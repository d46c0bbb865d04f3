//! Fits the weights of the experience score to readers' judgements, and says how good they are.
//!
//! ```text
//! cargo run --release --example fit_score -- --train TRAIN.jsonl --dev DEV.jsonl --labels gold --out weights.toml
//! cargo run --release --example fit_score -- --train TRAIN.jsonl --train-predictions TRAIN.out.jsonl \
//!     --dev DEV.jsonl --dev-predictions DEV.out.jsonl --labels predicted --out weights.toml
//! ```
//!
//! TRAIN and DEV hold labelled stories in the form that `examples/shared/labelled.rs` describes.
//! The predictions are what `analyze --format jsonl` prints for the same stories. With `--labels predicted` the
//! weights are fitted to what the analyzer makes of a story, errors and all, since that is what they will meet.
//!
//! The loss is Huber's on the 0..100 scale, with a ridge towards the weights of the literature
//! (`data/score/literature.toml`); every weight keeps the sign that makes the score monotone, and what occurred at
//! least a third of its weight there. Nothing holds the order of the sizes but the ridge. The interval is set on
//! held-out fifths of TRAIN, or with `--calibrate-on-dev` on DEV.
//!
//! `--ablation` prints what sentiment and events are worth apart, as a table in Markdown.
#![allow(clippy::print_stdout)] // a program that reports

mod ablation;
mod data;
mod figures;
mod interval;
#[path = "../shared/labelled.rs"]
mod labelled;
mod params;
mod solve;

use std::fs;
use std::path::{Path, PathBuf};

use amends::Weights;
use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};

use data::{Case, gold_cases, predicted_cases};
use figures::report;
use interval::{held_out, residuals, set_interval};
use params::Param;
use solve::fit;

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Labels {
    Gold,
    Predicted,
    /// Each interaction twice, once with the readers' labels and once with the analyzer's.
    Both,
}

/// Fits the weights of the experience score.
#[derive(Parser)]
struct Options {
    /// Stories to fit on.
    #[arg(long)]
    train: PathBuf,
    /// What the analyzer prints for them.
    #[arg(long)]
    train_predictions: Option<PathBuf>,
    /// Stories to report on.
    #[arg(long)]
    dev: Option<PathBuf>,
    /// What the analyzer prints for them.
    #[arg(long)]
    dev_predictions: Option<PathBuf>,
    /// Whether sentiment and events are the readers' or the analyzer's.
    #[arg(long, value_enum, default_value = "gold")]
    labels: Labels,
    /// Where the ridge pulls to, and where the numbers that are not fitted come from.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data/score/literature.toml"))]
    prior: PathBuf,
    /// Strength of that pull.
    #[arg(long, default_value_t = 60.0)]
    ridge: f64,
    /// Sets the interval on DEV instead of on held-out parts of TRAIN.
    #[arg(long)]
    calibrate_on_dev: bool,
    /// Share of the readers' scores that the interval is to hold. The model has seen TRAIN, so a little more than is
    /// meant to hold elsewhere.
    #[arg(long, default_value_t = 0.9, value_parser = share)]
    coverage: f64,
    /// Fits nothing and reports on these weights.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// Name of the fitted weights.
    #[arg(long, default_value = "fitted")]
    version: String,
    /// Where to write them; standard output if not given.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Writes no weights; prints what sentiment alone, events alone and both reach on DEV, by domain, and with
    /// each domain left out of the fit.
    #[arg(long)]
    ablation: bool,
}

/// A number between 0 and 1, without either.
fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number")?;
    if share > 0.0 && share < 1.0 { Ok(share) } else { Err("not between 0 and 1".to_owned()) }
}

fn main() -> Result<()> {
    let options = Options::parse();
    let read = |gold: &Path, predictions: Option<&PathBuf>, labels: Labels| -> Result<Vec<Case>> {
        let mut cases = if labels == Labels::Predicted { Vec::new() } else { gold_cases(gold)? };
        if labels != Labels::Gold {
            let Some(path) = predictions else { bail!("there are no predictions for {}", gold.display()) };
            cases.extend(predicted_cases(gold, path)?);
        }
        Ok(cases)
    };
    let train = read(&options.train, options.train_predictions.as_ref(), options.labels)?;
    let dev = match &options.dev {
        Some(path) => {
            // What a user meets are predictions, so these are reported on where there are any.
            let labels = if options.dev_predictions.is_some() { Labels::Predicted } else { Labels::Gold };
            read(path, options.dev_predictions.as_ref(), labels)?
        }
        None => Vec::new(),
    };
    let prior = Weights::from_file(&options.prior)?;
    println!("train {} interactions, dev {}", train.len(), dev.len());
    if let Some(path) = &options.weights {
        let weights = Weights::from_file(path)?;
        report("train", &weights, &train)?;
        return report("dev", &weights, &dev);
    }

    if options.ablation {
        return ablation::ablation(&prior, options.ridge, &train, &dev);
    }

    let mut weights = fit(&prior, &Param::all(), options.ridge, &train)?;
    weights.version = options.version.clone();
    let held = if options.calibrate_on_dev {
        residuals(&weights, &dev)?
    } else {
        held_out(&prior, options.ridge, &train)?
    };
    set_interval(&mut weights, &held, options.coverage);
    report("train", &weights, &train)?;
    report("dev", &weights, &dev)?;
    let text = format!("{HEADER}\n{}", weights.to_toml());
    match &options.out {
        Some(path) => {
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
            println!("wrote {}", path.display());
        }
        None => println!("{text}"),
    }
    Ok(())
}

/// What stands above the weights that are written.
const HEADER: &str = concat!(
    "# The weights of the experience score. Written by examples/fit_score, which says in its first lines how.\n",
    "#\n",
    "# Everything is on a raw log-odds scale: 0 is a score of 50, 1 of 73, 3 of 95; terms are added and the sum is\n",
    "# mapped by the logistic function. `amends::Weights` describes each number, its range and its sign. To use your\n",
    "# own, copy this file, change numbers and `version`, and hand it to the analyzer: a sign that would let a\n",
    "# failure raise or a recovery lower a score is refused.\n",
    "#\n",
    "# The signs and the numbers that are not fitted come from literature.toml beside this file. The fit keeps the\n",
    "# signs, and of each event that occurred at least a third of its weight there; the order of the sizes is what\n",
    "# the readers' scores made of it, and need not be that of the literature.\n",
);
