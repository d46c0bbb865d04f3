//! Fine-tunes a BERT encoder with two heads, sentiment and events, and exports it for amends.
//!
//! ```text
//! cargo run --release --features rust-bert --example train -- \
//!     --recipe examples/train/recipe.toml --data DATA --base BASE --out RUN
//! ```
//!
//! `BASE` is a folder with `config.json`, `tokenizer.json` and `model.safetensors` of a BERT encoder (with
//! or without heads of an earlier run); `RUN` receives checkpoints, a log and, in `RUN/model`, the finished
//! model.

mod checkpoint;
mod data;
mod metrics;
mod model;
mod optim;
mod recipe;
mod run;
mod stream;
mod vocabulary;
mod workers;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// Fine-tunes a BERT encoder with two heads and exports it for amends.
#[derive(Parser, Debug)]
pub(crate) struct Options {
    /// What to train on and how (TOML).
    #[arg(long)]
    recipe: PathBuf,
    /// Folder that the paths of the recipe start from.
    #[arg(long)]
    data: PathBuf,
    /// Folder with config.json, tokenizer.json and model.safetensors to start from.
    #[arg(long)]
    base: PathBuf,
    /// Folder of the run: checkpoints, log, and the finished model.
    #[arg(long)]
    out: PathBuf,
    /// End after this time at the latest; the learning rate falls to 0 by then.
    #[arg(long)]
    minutes: Option<f64>,
    /// Go on from the last checkpoint in the folder of the run.
    #[arg(long)]
    resume: bool,
    /// Threads, each with its own batch.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Compute in f32 instead of bfloat16.
    #[arg(long)]
    f32: bool,
    /// Seed of the order of rows and of new weights (instead of the recipe's).
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    run::run(&options)
}
