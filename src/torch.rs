//! The libtorch back end: any BERT-family checkpoint from a local folder, run by rust-bert.
//!
//! libtorch's modules cannot be shared between threads. Each worker thread builds its own module over the same
//! weights in memory; callers hand their sequences over and wait. Workers end when the encoder is dropped.

mod checkpoint;
mod deberta;
#[cfg(feature = "remote")]
mod fetch;
mod model;
mod worker;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tch::{Cuda, Device, Kind};

use crate::encoder::{Encoder, TokenBatch};
use crate::error::{AnalyzeError, LoadError, LoadErrorKind};
use crate::labels::LabelMap;
use checkpoint::{Checkpoint, Purpose};
use model::Blueprint;
use worker::Workers;

/// Where a model runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum TorchDevice {
    /// The processor.
    #[default]
    Cpu,
    /// The CUDA device of this number, from 0. Needs a libtorch that was built with CUDA.
    Cuda(usize),
}

impl TorchDevice {
    /// The first CUDA device, or the processor if there is none or this libtorch was built without CUDA.
    pub fn cuda_if_available() -> Self {
        if Cuda::is_available() { TorchDevice::Cuda(0) } else { TorchDevice::Cpu }
    }

    fn device(self) -> Result<Device, LoadError> {
        let TorchDevice::Cuda(number) = self else { return Ok(Device::Cpu) };
        if !Cuda::is_available() {
            let message = format!("CUDA device {number} was asked for, but this libtorch finds no CUDA");
            return Err(LoadError::new(LoadErrorKind::Unsupported, message));
        }
        let devices = usize::try_from(Cuda::device_count()).unwrap_or(0);
        if number >= devices {
            let message = format!("CUDA device {number} was asked for, but this machine has {devices}");
            return Err(LoadError::new(LoadErrorKind::Unsupported, message));
        }
        Ok(Device::Cuda(number))
    }
}

/// The numbers that a model computes with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum TorchPrecision {
    /// 32 bits, on every device.
    #[default]
    F32,
    /// 16 bits (IEEE half): half the memory, and faster on GPUs. Logits of the test checkpoints move by less than
    /// 0.02 (`tests/torch` holds them to it).
    ///
    /// On a processor libtorch 2.4 computes it as well: the memory is halved, but so is the speed of `F32` (a Xeon
    /// with AVX-512 FP16, sentences of 24 tokens, 20 together).
    F16,
    /// 16 bits (bfloat16): the range of `F32` with 8 significant bits. Logits of the test checkpoints move by less than
    /// 0.06, those of MobileBERT by less than 0.3.
    ///
    /// On a processor that has AVX-512 BF16 or AMX it is the fast one: 2.7 times the speed of `F32` in the same
    /// measurement.
    Bf16,
}

impl TorchPrecision {
    fn kind(self) -> Kind {
        match self {
            TorchPrecision::F32 => Kind::Float,
            TorchPrecision::F16 => Kind::Half,
            TorchPrecision::Bf16 => Kind::BFloat16,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            TorchPrecision::F32 => "f32",
            TorchPrecision::F16 => "f16",
            TorchPrecision::Bf16 => "bf16",
        }
    }
}

/// How sequences share a pass through the model.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum TorchBatching {
    /// Each sequence by itself, so that its vector cannot depend on its neighbours.
    ///
    /// libtorch picks its kernels by the shape of a batch, and another kernel adds in another order: of 400
    /// sentences not one had the same bits in a batch as alone, and their vectors were up to 2e-6 off. So this is
    /// the only way to the same bits. It takes two to three times the time of passes of 512 tokens (6 layers of
    /// 384, on a processor).
    #[default]
    Alone,
    /// Sequences of about the same length together, padded to the longest of them and masked.
    ///
    /// For a GPU, or for throughput where the last bits do not matter. This gives up the promise of
    /// [`Encoder`] for the last bits: a vector depends on its neighbours by rounding. MobileBERT looks at the
    /// embeddings of neighbouring tokens before any mask, so its sequences are only put together when they are
    /// equally long.
    Padded {
        /// The most tokens of one pass, padding included; a longer sequence goes alone. It bounds the memory: a
        /// pass takes about 40 kB a token with a width of 384, and twice that with 768, on top of the weights. On
        /// a processor 512 is a good number, and more is no faster.
        max_tokens: NonZeroUsize,
    },
}

/// What to load, where to, and how to run it.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct TorchOptions {
    device: TorchDevice,
    precision: TorchPrecision,
    batching: TorchBatching,
    workers: Option<NonZeroUsize>,
    neutral_band: Option<f32>,
    labels: Option<Vec<String>>,
}

impl Default for TorchOptions {
    fn default() -> Self {
        TorchOptions::new()
    }
}

impl TorchOptions {
    /// On the processor, in f32, each sequence by itself, one worker a core, labels as the checkpoint names them.
    pub fn new() -> Self {
        TorchOptions {
            device: TorchDevice::Cpu,
            precision: TorchPrecision::F32,
            batching: TorchBatching::Alone,
            workers: None,
            neutral_band: None,
            labels: None,
        }
    }

    /// Where the model runs.
    pub fn with_device(mut self, device: TorchDevice) -> Self {
        self.device = device;
        self
    }

    /// The numbers it computes with. A precision that the device lacks is an error when the model is loaded.
    pub fn with_precision(mut self, precision: TorchPrecision) -> Self {
        self.precision = precision;
        self
    }

    /// How sequences share a pass through the model.
    pub fn with_batching(mut self, batching: TorchBatching) -> Self {
        self.batching = batching;
        self
    }

    /// How many threads run the model at once; without it one a core, or one in all on a GPU.
    ///
    /// They share the weights. Inside an operation they use no further threads, whose number might change the
    /// last bits; other users of libtorch in the process keep theirs.
    pub fn with_workers(mut self, workers: NonZeroUsize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How wide the neutral band of a checkpoint without a neutral class is, 0.0..=0.5; see
    /// [`LabelMap::with_neutral_band`]. Without effect on checkpoints that have a neutral class. A number outside, or
    /// none at all (NaN), is a [`Labels`](LoadErrorKind::Labels) error when a classification checkpoint is loaded.
    pub fn with_neutral_band(mut self, band: f32) -> Self {
        self.neutral_band = Some(band);
        self
    }

    /// What the classes mean, in the order of the logits, for checkpoints that call them `LABEL_0`, `LABEL_1`, …
    /// or do not say. Names as in [`LabelMap::new`].
    pub fn with_labels<S: Into<String>>(mut self, labels: impl IntoIterator<Item = S>) -> Self {
        self.labels = Some(labels.into_iter().map(Into::into).collect());
        self
    }
}

/// What the vectors of a [`TorchEncoder`] are.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum TorchOutput {
    /// The logits of a classification checkpoint, and what its classes mean.
    Logits(LabelMap),
    /// The pooled first token (`tanh` of the pooler's dense layer) of a checkpoint of amends' own, which has its
    /// heads beside the encoder, in the same file.
    Pooled,
}

/// A checkpoint of the BERT family on libtorch.
///
/// Takes checkpoints of these model types, as the transformers library saves them: `bert`, `distilbert`,
/// `roberta`, `xlm-roberta`, `albert`, `electra`, `mobilebert`, `deberta`, `deberta-v2` (which is also DeBERTa
/// v3). All but DeBERTa run on rust-bert's model types, which compute something else there (`src/torch/deberta.rs`
/// says what).
/// rust-bert's layer norms of RoBERTa and XLM-RoBERTa add 1e-12 to the variance where their configuration says
/// 1e-5, which moves logits of real checkpoints by less than 1e-3.
///
/// It can be shared between threads and used from all of them at once.
///
/// # Why not rust-bert's own pipelines
///
/// They tokenize for themselves, count offsets in characters and pass no attention mask: rust-bert's
/// `SequenceClassificationModel::predict` pads a batch to its longest text and lets every text attend to its padding.
/// The probability of one short sentence fell from 0.80 to 0.53 when a long one shared its batch (a test in
/// `tests/torch` shows the same with a small checkpoint, and that nothing moves here). So only rust-bert's model
/// types are used, with amends' token ids, and either without padding or with a mask.
///
/// # Where a checkpoint comes from
///
/// Any downloader will do that puts these three files into a folder, like that of the Python package
/// huggingface_hub:
///
/// ```console
/// $ hf download OWNER/NAME --revision COMMIT config.json tokenizer.json model.safetensors --local-dir my-model
/// ```
///
/// With feature `remote` `TorchEncoder::fetch` does the same from Rust, through rust-bert's own downloader, and only
/// where it is called. That brings 66 crates, among them an HTTP and TLS stack whose line is no longer developed
/// (reqwest 0.11, hyper 0.14, rustls 0.21), so the feature is off unless you ask for it.
///
/// # Example
///
/// ```
/// use amends::{Encoder, TokenBatch, TorchEncoder, TorchOptions, TorchOutput};
///
/// let encoder = TorchEncoder::load("tests/fixtures/torch/bert", &TorchOptions::new())?;
/// let mut batch = TokenBatch::new();
/// batch.push(&[2, 17, 23, 3]);
/// batch.push(&[2, 41, 3]);
/// let mut logits = vec![0.0; batch.len() * encoder.dim()];
/// encoder.encode(&batch, &mut logits)?;
/// if let TorchOutput::Logits(labels) = encoder.output() {
///     let second = labels.sentiment(&logits[encoder.dim()..]);
///     assert!((second.negative() + second.neutral() + second.positive() - 1.0).abs() < 1e-6);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Results are reproducible on their own terms: with [`TorchBatching::Alone`] the same sequence gives the same
/// bits on the same machine and the same libtorch, whatever is around it. Another processor, a GPU or another
/// version of libtorch may differ in the last bits, unlike amends' own engine.
#[derive(Debug)]
pub struct TorchEncoder {
    name: String,
    dim: usize,
    max_tokens: usize,
    vocabulary: usize,
    batching: TorchBatching,
    equal_lengths: bool,
    output: TorchOutput,
    tokenizer: PathBuf,
    weights: PathBuf,
    workers: Workers,
}

impl TorchEncoder {
    /// Loads the checkpoint in `folder`: `config.json`, `tokenizer.json`, and `model.safetensors` or
    /// `rust_model.ot`. Nothing is downloaded.
    ///
    /// A model of amends' own may have its `model.toml` in place of `config.json`. Its int8 weights become the f32
    /// (or 16-bit) numbers that they stand for, and its longest sequence is the one that it says.
    ///
    /// # Errors
    ///
    /// - [`Io`](LoadErrorKind::Io) if a file is missing or cannot be read, [`Format`](LoadErrorKind::Format) if
    ///   it is not what its name says;
    /// - [`Tensor`](LoadErrorKind::Tensor) if a tensor is missing, has the wrong shape, or is of no use to a
    ///   model of this configuration although it belongs to its layers; the message names them;
    /// - [`Labels`](LoadErrorKind::Labels) if the classes are not two (negative, positive), three or five, or do
    ///   not say what they mean;
    /// - [`Unsupported`](LoadErrorKind::Unsupported) for another architecture, and for a device or precision
    ///   that this machine or libtorch does not have.
    pub fn load(folder: impl AsRef<Path>, options: &TorchOptions) -> Result<Self, LoadError> {
        let device = options.device.device()?;
        let checkpoint = Checkpoint::open(folder.as_ref())?;
        let (output, classes) = match checkpoint.purpose() {
            Purpose::Pooled => (TorchOutput::Pooled, None),
            Purpose::Classes => {
                let map = label_map(&checkpoint, options)?;
                let classes = map.len();
                (TorchOutput::Logits(map), Some(classes))
            }
        };
        let blueprint = Blueprint::new(&checkpoint, classes)?;
        let weights = checkpoint.read_tensors(device, options.precision.kind())?;
        let blueprint = Arc::new(blueprint);
        let count = options.workers.unwrap_or_else(|| match options.device {
            TorchDevice::Cpu => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            TorchDevice::Cuda(_) => NonZeroUsize::MIN,
        });
        let workers = Workers::start(count, &blueprint, weights, device)
            .map_err(|error| error.with_path(checkpoint.weights_path()))?;
        let device = match options.device {
            TorchDevice::Cpu => "cpu".to_owned(),
            TorchDevice::Cuda(number) => format!("cuda:{number}"),
        };
        Ok(TorchEncoder {
            name: format!("{} {} {device}", checkpoint.model_type(), options.precision.as_str()),
            dim: blueprint.dim(),
            max_tokens: blueprint.max_tokens(),
            vocabulary: blueprint.vocabulary(),
            batching: options.batching,
            equal_lengths: blueprint.feels_padding(),
            output,
            tokenizer: checkpoint.tokenizer_path().to_owned(),
            weights: checkpoint.weights_path().to_owned(),
            workers,
        })
    }

    /// What the vectors are.
    pub fn output(&self) -> &TorchOutput {
        &self.output
    }

    /// The `tokenizer.json` that belongs to the checkpoint.
    pub fn tokenizer_path(&self) -> &Path {
        &self.tokenizer
    }

    /// The file that the weights came from.
    pub fn weights_path(&self) -> &Path {
        &self.weights
    }

    /// How many token ids the checkpoint knows; ids are below this.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn check(&self, batch: &TokenBatch, out: &[f32]) -> Result<(), AnalyzeError> {
        let wanted = batch.len() * self.dim;
        if out.len() != wanted {
            let found = out.len();
            return Err(refuse(format!("the place for the vectors has {found} numbers, they have {wanted}")));
        }
        for (index, ids) in batch.iter().enumerate() {
            if ids.is_empty() || ids.len() > self.max_tokens {
                let (found, most) = (ids.len(), self.max_tokens);
                return Err(refuse(format!(
                    "sequence {index} has {found} tokens, this model takes 1 to {most}"
                )));
            }
            if let Some(id) = ids.iter().find(|&&id| id as usize >= self.vocabulary) {
                let known = self.vocabulary;
                return Err(refuse(format!(
                    "sequence {index} has token id {id}, this model knows {known} ids"
                )));
            }
        }
        Ok(())
    }
}

impl Encoder for TorchEncoder {
    fn name(&self) -> &str {
        &self.name
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// With [`TorchBatching::Padded`] four passes, so that little is lost to a last pass that is not full.
    fn batch_tokens(&self) -> usize {
        match self.batching {
            TorchBatching::Alone => 256,
            TorchBatching::Padded { max_tokens } => max_tokens.get().saturating_mul(4),
        }
    }

    fn encode(&self, batch: &TokenBatch, out: &mut [f32]) -> Result<(), AnalyzeError> {
        self.check(batch, out)?;
        let sequences: Vec<&[u32]> = batch.iter().collect();
        let lengths: Vec<usize> = sequences.iter().map(|ids| ids.len()).collect();
        let passes = worker::passes(&lengths, self.batching, self.equal_lengths);
        self.workers.run(&sequences, passes, |sequence, vector| {
            out[sequence * self.dim..][..self.dim].copy_from_slice(vector);
        })
    }
}

fn refuse(message: String) -> AnalyzeError {
    AnalyzeError::back_end(message, None)
}

fn label_map(checkpoint: &Checkpoint, options: &TorchOptions) -> Result<LabelMap, LoadError> {
    let map = match (&options.labels, checkpoint.labels()?) {
        (Some(given), Some(found)) if given.len() != found.len() => {
            let message = format!("{} labels were given, the checkpoint has {}", given.len(), found.len());
            Err(LoadError::new(LoadErrorKind::Labels, message))
        }
        (Some(given), _) => LabelMap::new(given),
        (None, Some(found)) => LabelMap::new(&found),
        (None, None) => {
            let message = "no `id2label`: say what the classes mean with `TorchOptions::with_labels`";
            Err(LoadError::new(LoadErrorKind::Labels, message))
        }
    };
    let map = map.map_err(|error| error.with_path(checkpoint.config_path()))?;
    match options.neutral_band {
        None => Ok(map),
        Some(band) if (0.0..=0.5).contains(&band) => Ok(map.with_neutral_band(band)),
        Some(band) => {
            let message = format!("a neutral band of {band}; it lies between 0 and 0.5");
            Err(LoadError::new(LoadErrorKind::Labels, message))
        }
    }
}
