//! The options of model, rules and threads that commands have in common, and the analyzer made of them.

use std::io;
use std::path::PathBuf;

use amends::{AnalyzeOptions, Analyzer, Precision};
use anyhow::{Context, Result};
use clap::ValueEnum;

/// How stories are analysed.
#[derive(clap::Args, Debug)]
pub(crate) struct EngineArgs {
    /// Folder of a model to use instead of the embedded one.
    #[arg(long, value_name = "DIR")]
    model_dir: Option<PathBuf>,
    /// Folder of a BERT-family checkpoint to run on libtorch, on a GPU where there is one.
    #[cfg(feature = "rust-bert")]
    #[arg(long, value_name = "DIR", conflicts_with = "model_dir")]
    torch_dir: Option<PathBuf>,
    /// What the classes of that checkpoint mean, in the order of its logits, where it does not say: for example
    /// negative,neutral,positive.
    #[cfg(feature = "rust-bert")]
    #[arg(long, value_name = "LABELS", value_delimiter = ',', requires = "torch_dir")]
    torch_labels: Option<Vec<String>>,
    /// How far from one half P(positive) of a checkpoint without a neutral class still counts as neutral, 0 to 0.5.
    #[cfg(feature = "rust-bert")]
    #[arg(long, value_name = "WIDTH", requires = "torch_dir")]
    neutral_band: Option<f32>,
    /// Precision to compute at, for --model-dir.
    #[arg(long, value_enum, default_value = "int8")]
    precision: PrecisionArg,
    /// Folder of further rules (TOML).
    #[arg(long, value_name = "DIR")]
    rules_dir: Option<PathBuf>,
    /// Weights of the score (TOML) to use instead of the built-in ones.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Take the whole text for the story: do not look for site furniture and repeats.
    #[arg(long)]
    no_boilerplate: bool,
    /// Threads to work on. Default: one a core.
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PrecisionArg {
    F32,
    Int8,
}

impl EngineArgs {
    /// Sets the number of threads and loads model and rules.
    pub(crate) fn analyzer(&self) -> Result<Analyzer> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
        }
        let mut builder = Analyzer::builder();
        if let Some(dir) = &self.model_dir {
            builder = builder.model_dir(dir).precision(match self.precision {
                PrecisionArg::F32 => Precision::F32,
                PrecisionArg::Int8 => Precision::Int8,
            });
        }
        #[cfg(feature = "rust-bert")]
        if let Some(dir) = &self.torch_dir {
            builder = builder.torch_dir(dir, self.torch_options());
        }
        if let Some(dir) = &self.rules_dir {
            builder = builder.rules_dir(dir);
        }
        if let Some(file) = &self.weights {
            builder = builder.weights(amends::Weights::from_file(file).context("cannot load the weights")?);
        }
        builder.build().context("cannot load the analyzer")
    }

    #[cfg(feature = "rust-bert")]
    fn torch_options(&self) -> amends::TorchOptions {
        let device = amends::TorchDevice::cuda_if_available();
        let mut options = amends::TorchOptions::new().with_device(device);
        if device != amends::TorchDevice::Cpu {
            // A GPU is idle most of the time with one sentence in a pass.
            let max_tokens = const { std::num::NonZeroUsize::new(512).unwrap() };
            options = options.with_batching(amends::TorchBatching::Padded { max_tokens });
        }
        if let Some(labels) = &self.torch_labels {
            options = options.with_labels(labels.iter().map(|label| label.trim()));
        }
        if let Some(band) = self.neutral_band {
            options = options.with_neutral_band(band);
        }
        options
    }

    pub(crate) fn options(&self) -> AnalyzeOptions {
        AnalyzeOptions::default().with_boilerplate(!self.no_boilerplate)
    }
}

/// Whether whoever reads our output has seen enough, which is no error of ours.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
