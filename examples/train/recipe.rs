//! What to train on and how: the TOML file that a run is started with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

/// A whole run. Every path is relative to the directory given with `--data`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    #[serde(default)]
    pub(crate) model: ModelOptions,
    #[serde(default)]
    pub(crate) train: TrainOptions,
    #[serde(rename = "source")]
    pub(crate) sources: Vec<Source>,
    pub(crate) dev: Dev,
    #[serde(default)]
    pub(crate) context: Option<ContextOptions>,
}

/// The shape of the model that leaves the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ModelOptions {
    /// Word pieces to keep, beside all single characters; 0 keeps all.
    pub(crate) vocabulary: usize,
    /// Files whose texts are counted, beside the sources, to choose those word pieces.
    pub(crate) count: Vec<PathBuf>,
    /// Longer sentences are cut to this many tokens, `[CLS]` and `[SEP]` included.
    pub(crate) max_tokens: usize,
    /// Transformer layers to keep, from the bottom; 0 keeps all.
    pub(crate) layers: usize,
}

impl Default for ModelOptions {
    fn default() -> Self {
        ModelOptions { vocabulary: 0, count: Vec::new(), max_tokens: 96, layers: 0 }
    }
}

/// Optimizer and loss.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TrainOptions {
    pub(crate) seed: u64,
    /// Peak learning rate of the encoder.
    pub(crate) learning_rate: f64,
    /// Peak learning rate of the three heads and of the context stage.
    pub(crate) head_learning_rate: f64,
    /// Share of the run in which the rates climb to their peak; they then fall to 0 in a line.
    pub(crate) warmup: f64,
    pub(crate) weight_decay: f64,
    pub(crate) dropout: f64,
    /// Share of the words whose embedding is left out, so that no sentence is known by a word or by heart.
    pub(crate) word_dropout: f64,
    /// Compute with the matrices of dense layers rounded as for the int8 engine (quantization-aware training). That
    /// engine rounds what goes into the layers, too, which training does not. What is exported stays unrounded.
    pub(crate) int8: bool,
    /// Gradients longer than this (Euclidean norm of all of them) are scaled down to it.
    pub(crate) clip: f64,
    /// Tokens (padding counted) that one worker handles in one step.
    pub(crate) batch_tokens: usize,
    /// Weight of the event loss (binary cross-entropy, summed over the labels) against the sentiment loss.
    pub(crate) event_loss: f64,
    /// Weight of the loss of the head that says whether a sentence tells of an interaction.
    pub(crate) told_loss: f64,
    /// Passes over the sources are multiplied by this.
    pub(crate) passes: f64,
    /// Stop when this many measurements in a row brought nothing better; 0 never stops early.
    pub(crate) patience: usize,
    /// How many times to measure on the dev sets during the run, the end included.
    pub(crate) measurements: usize,
    /// Share of the stories in which known companies are given other names.
    pub(crate) other_names: f64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        TrainOptions {
            seed: 1,
            learning_rate: 1e-4,
            head_learning_rate: 3e-4,
            warmup: 0.05,
            weight_decay: 0.01,
            dropout: 0.1,
            word_dropout: 0.0,
            int8: false,
            clip: 1.0,
            batch_tokens: 1536,
            event_loss: 1.0,
            told_loss: 0.5,
            passes: 1.0,
            patience: 0,
            measurements: 8,
            other_names: 0.0,
        }
    }
}

/// How the rows of a source are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// One sentence a line.
    Sentences,
    /// One story a line, with the spans of its sentences.
    Stories,
}

/// One file of labelled text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    #[serde(default = "sentences")]
    pub(crate) format: Format,
    /// File with the texts of stories that have none in `path`, by their `id`.
    #[serde(default)]
    pub(crate) texts: Option<PathBuf>,
    /// How often each row is seen in the run; may be a fraction.
    #[serde(default = "one")]
    pub(crate) passes: f64,
    /// Weight of each row in the loss.
    #[serde(default = "one")]
    pub(crate) weight: f64,
    /// How much each word counts when the pieces of the vocabulary are chosen: less than 1 for a large source of another
    /// kind of text, or for one that says things many times.
    #[serde(default = "one")]
    pub(crate) words: f64,
    /// Extra factor on the weight of rows whose sentiment is neutral.
    #[serde(default = "one")]
    pub(crate) neutral_weight: f64,
    /// Extra factor on the passes of rows with an event of probability 0.1 or more.
    #[serde(default = "one")]
    pub(crate) event_passes: f64,
    /// The source is used from this share of the run on ...
    #[serde(default)]
    pub(crate) from: f64,
    /// ... and until this share.
    #[serde(default = "one")]
    pub(crate) until: f64,
}

fn sentences() -> Format {
    Format::Sentences
}

fn one() -> f64 {
    1.0
}

/// What is measured on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dev {
    /// Labelled stories: sentiment macro-F1 and strict event F1; also what the heads are calibrated on.
    pub(crate) stories: PathBuf,
    /// Positive and negative sentences: accuracy of P(positive) against P(negative).
    #[serde(default)]
    pub(crate) polar: Option<PathBuf>,
}

/// The second stage, a recurrent layer over the sentence vectors of a story.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContextOptions {
    /// Hidden units each way; 0 leaves the stage out.
    hidden: u16,
}

impl Recipe {
    /// Reads a recipe.
    pub(crate) fn read(path: &Path) -> Result<Recipe> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let recipe: Recipe = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        recipe.check().with_context(|| format!("in {}", path.display()))?;
        Ok(recipe)
    }

    /// Units each way of the context stage, 0 without one.
    pub(crate) fn context_units(&self) -> i64 {
        self.context.map_or(0, |context| i64::from(context.hidden))
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.sources.is_empty(), "a recipe needs at least one [[source]]");
        for source in &self.sources {
            let name = source.path.display();
            for (key, value) in
                [("passes", source.passes), ("weight", source.weight), ("event_passes", source.event_passes)]
            {
                ensure!(value.is_finite() && value > 0.0, "{name}: {key} must be above 0, found {value}");
            }
            check_least(0.0, "neutral_weight", source.neutral_weight).with_context(|| name.to_string())?;
            check_least(0.0, "words", source.words).with_context(|| name.to_string())?;
            if !(0.0 <= source.from && source.from < source.until && source.until <= 1.0) {
                bail!("{name}: from {} and until {} must rise within 0..1", source.from, source.until);
            }
        }
        self.check_cover()?;
        ensure!(self.model.max_tokens >= 8, "max_tokens must be 8 or more");
        let train = &self.train;
        ensure!((0.0..1.0).contains(&train.warmup), "warmup must be in 0..1");
        ensure!((0.0..1.0).contains(&train.dropout), "dropout must be in 0..1");
        ensure!((0.0..1.0).contains(&train.word_dropout), "word_dropout must be in 0..1");
        ensure!(train.batch_tokens >= self.model.max_tokens, "batch_tokens must not be below max_tokens");
        ensure!(train.measurements >= 1, "measurements must be 1 or more");
        ensure!(train.passes.is_finite() && train.passes > 0.0, "passes must be above 0");
        ensure!((0.0..=1.0).contains(&train.other_names), "other_names must be in 0..1");
        ensure!(train.clip > 0.0, "clip must be above 0, found {}", train.clip);
        for (key, value) in [
            ("learning_rate", train.learning_rate),
            ("head_learning_rate", train.head_learning_rate),
            ("weight_decay", train.weight_decay),
            ("event_loss", train.event_loss),
            ("told_loss", train.told_loss),
        ] {
            check_least(0.0, key, value)?;
        }
        Ok(())
    }

    /// At each moment of the run at least one source must be in use: where none is, there is nothing to draw.
    fn check_cover(&self) -> Result<()> {
        let mut shares: Vec<(f64, f64)> = self.sources.iter().map(|s| (s.from, s.until)).collect();
        shares.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut covered = 0.0;
        for (from, until) in shares {
            ensure!(from <= covered, "no source is used from {covered} until {from} of the run");
            covered = until.max(covered);
        }
        ensure!(covered == 1.0, "no source is used from {covered} until 1 of the run");
        Ok(())
    }
}

/// Refuses numbers below `least`, infinite ones, and what is not a number.
fn check_least(least: f64, key: &str, value: f64) -> Result<()> {
    ensure!(value.is_finite() && value >= least, "{key} must be a number from {least} up, found {value}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Recipe> {
        let recipe: Recipe = toml::from_str(text)?;
        recipe.check()?;
        Ok(recipe)
    }

    #[test]
    fn a_short_recipe_gets_the_defaults() {
        let recipe = parse("[dev]\nstories='dev.jsonl'\n[[source]]\npath='a.jsonl'\n").unwrap();
        assert_eq!(recipe.sources[0].format, Format::Sentences);
        assert_eq!(recipe.sources[0].passes, 1.0);
        assert_eq!(recipe.model.max_tokens, 96);
        assert_eq!(recipe.context_units(), 0);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, want) in [
            ("[dev]\nstories='d'\n[[source]]\npath='a'\npasses=0\n", "passes must be above 0"),
            ("[dev]\nstories='d'\n[[source]]\npath='a'\nfrom=0.5\nuntil=0.5\n", "must rise"),
            ("[dev]\nstories='d'\n[[source]]\npath='a'\npases=2\n", "pases"),
            ("[dev]\nstories='d'\n[[source]]\npath='a'\nneutral_weight=inf\n", "a: neutral_weight"),
            ("[dev]\nstories='d'\n[[source]]\npath='a'\nneutral_weight=-1\n", "found -1"),
            ("[dev]\nstories='d'\n[[source]]\npath='a'\nwords=-1\n", "a: words"),
            ("[dev]\nstories='d'\n[[source]]\npath='a'\n[train]\nclip=0\n", "clip must be above 0"),
            ("[dev]\nstories='d'\n[[source]]\npath='a'\n[train]\nclip=nan\n", "clip must be above 0"),
            ("[dev]\nstories='d'\n[[source]]\npath='a'\n[train]\nlearning_rate=nan\n", "learning_rate must"),
            (
                "[dev]\nstories='d'\n[[source]]\npath='a'\n[train]\nhead_learning_rate=-1e-4\n",
                "head_learning_rate",
            ),
            ("[dev]\nstories='d'\n[[source]]\npath='a'\n[train]\nweight_decay=inf\n", "weight_decay must"),
            ("[dev]\nstories='d'\n[[source]]\npath='a'\n[train]\npasses=inf\n", "passes must be above 0"),
            ("[dev]\nstories='d'\n[[source]]\npath='a'\n[train]\nother_names=1.5\n", "other_names must be"),
            ("[dev]\nstories='d'\n[[source]]\npath='a'\n[train]\nword_dropout=1\n", "word_dropout must be"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn sources_must_cover_the_whole_run() {
        let recipe = |shares: &[(f64, f64)]| {
            let source = |(from, until)| format!("[[source]]\npath='a'\nfrom={from:?}\nuntil={until:?}\n");
            parse(&format!("[dev]\nstories='d'\n{}", shares.iter().copied().map(source).collect::<String>()))
        };
        for whole in [&[(0.0, 1.0)][..], &[(0.6, 1.0), (0.0, 0.6)], &[(0.0, 0.8), (0.1, 0.2), (0.5, 1.0)]] {
            recipe(whole).unwrap();
        }
        for (gap, want) in [
            (&[(0.5, 1.0)][..], "from 0 until 0.5"),
            (&[(0.0, 0.9)], "from 0.9 until 1"),
            (&[(0.7, 1.0), (0.0, 0.6), (0.1, 0.2)], "from 0.6 until 0.7"),
        ] {
            let error = format!("{:#}", recipe(gap).unwrap_err());
            assert!(error.contains(want), "{error}");
        }
    }
}
