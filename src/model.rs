//! A model: encoder, heads, tokenizer and what it says of itself.
//!
//! A model is a folder of `model.safetensors`, `tokenizer.json`, a description (`model.toml`, or a `config.json`
//! of transformers with a `heads` table) and `SHA256SUMS`, which is verified where it is there. Weights are f32,
//! f16 or bf16, or i8 with a scale for each row under the same name and `.scale`.

mod config;
pub(crate) mod folder;
mod quantize;
mod tensors;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::bert::{
    BertEncoder, BertWeights, Dense, FloatDense, LINEAR_LIMIT, LayerWeights, Matrix, Norm, TABLE_LIMIT,
};
use crate::encoder::Encoder;
use crate::error::{LoadError, LoadErrorKind};
use crate::events::{EventType, Status};
use crate::model::config::{Config, HeadConfig, TOLD, event_labels, label, order, sentiment_labels};
pub use crate::model::quantize::{QuantizeReport, QuantizedTensor, quantize};
pub use crate::model::tensors::Tensor;
use crate::model::tensors::{SCALE, Tensors};

#[cfg(feature = "rust-bert")]
pub(crate) use crate::model::config::{DEFAULT_MAX_TOKENS, transformers_config};
#[cfg(feature = "rust-bert")]
pub(crate) use crate::model::folder::DESCRIPTION;

/// SHA-256 of a file, in hex.
#[cfg(feature = "rust-bert")]
pub(crate) fn sha256_of_file(path: &Path) -> Result<String, LoadError> {
    std::fs::read(path).map(|bytes| folder::sha256(&bytes)).map_err(|error| LoadError::io(path, error))
}

/// In what numbers an encoder computes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Precision {
    /// 8-bit integers in all matrix products: three times as fast, and the same results on every CPU.
    #[default]
    Int8,
    /// 32-bit floating point. Results may differ in their last bits from one kind of CPU to another.
    F32,
}

/// A loaded model. It is immutable and can be shared between threads.
#[derive(Debug)]
pub struct Model {
    name: String,
    max_tokens: usize,
    weights_sha256: String,
    precision: Precision,
    encoder: Arc<BertEncoder>,
    tokenizer: std::borrow::Cow<'static, [u8]>,
    readout: Readout,
}

/// All of a model that comes behind the encoder.
#[derive(Debug)]
pub(crate) struct Readout {
    sentiment: Head,
    events: Option<Head>,
    told: Option<Head>,
    event_thresholds: HashMap<String, f32>,
    context: Option<toml::Table>,
    extra: HashMap<String, Tensor>,
}

impl Readout {
    /// Three logits: negative, neutral, positive.
    pub(crate) fn sentiment(&self) -> &Head {
        &self.sentiment
    }

    /// A logit for each type and status.
    pub(crate) fn events(&self) -> Option<&Head> {
        self.events.as_ref()
    }

    /// As [`Model::told_head`].
    pub(crate) fn told(&self) -> Option<&Head> {
        self.told.as_ref()
    }

    /// The `context` table of the description.
    pub(crate) fn context(&self) -> Option<&toml::Table> {
        self.context.as_ref()
    }

    /// A tensor that is of neither encoder nor heads.
    pub(crate) fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.extra.get(name)
    }
}

/// Name and readout of a model folder whose encoder somebody else runs, with all that [`Model::from_dir`] checks.
#[cfg(feature = "rust-bert")]
pub(crate) fn readout_of_dir(dir: &Path) -> Result<(String, Readout), LoadError> {
    let files = Files::from_dir(dir)?;
    let readout = files.readout().map_err(|error| error.with_path(dir.join(folder::WEIGHTS)))?;
    Ok((id(&files.config.name, &files.weights_sha256), readout))
}

/// Name and the start of the weights' checksum.
fn id(name: &str, weights_sha256: &str) -> String {
    format!("{name}@sha256:{}", weights_sha256.get(..8).unwrap_or_default())
}

/// A dense layer on the encoder's vectors.
#[derive(Clone, Debug)]
pub struct Head {
    dense: FloatDense,
    temperature: f32,
}

impl Head {
    /// A layer with `weight` `[outputs, inputs]`, row-major, and `bias` `[outputs]`.
    pub(crate) fn new(weight: &[f32], bias: Vec<f32>, temperature: f32) -> Self {
        Head { dense: FloatDense::new(weight, bias), temperature }
    }

    /// How many numbers a vector has.
    pub fn inputs(&self) -> usize {
        self.dense.inputs()
    }

    /// How many logits it gives for a vector.
    pub fn outputs(&self) -> usize {
        self.dense.outputs()
    }

    /// What logits are divided by before they become probabilities; above 0.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// Writes the logits (natural log odds, before temperature) of `vectors` `[n, dim]` to `out` `[n, outputs]`.
    ///
    /// The same bits on every CPU and in every batch.
    ///
    /// # Panics
    ///
    /// If the lengths do not fit.
    #[track_caller]
    pub fn logits(&self, vectors: &[f32], out: &mut [f32]) {
        assert!(vectors.len().is_multiple_of(self.dense.inputs()), "vectors of another size");
        assert_eq!(
            out.len(),
            vectors.len() / self.dense.inputs() * self.dense.outputs(),
            "room for the logits"
        );
        self.dense.apply(vectors, out, |logit| logit);
    }
}

/// The content of a model's files.
struct Files {
    weights: std::borrow::Cow<'static, [u8]>,
    weights_sha256: String,
    tokenizer: std::borrow::Cow<'static, [u8]>,
    config: Config,
}

impl Files {
    /// Reads a folder; looks at checksums and at the size of the vocabulary.
    fn from_dir(dir: &Path) -> Result<Self, LoadError> {
        let sums_text = folder::read_checksums(dir)?;
        let sums = match &sums_text {
            Some(text) => Some(
                folder::parse_checksums(text)
                    .map_err(|error| error.with_path(dir.join(folder::CHECKSUMS)))?,
            ),
            None => None,
        };
        let check = |name: &str, bytes: &[u8]| match &sums {
            Some(sums) => folder::verify(dir, sums, name, bytes),
            None => Ok(()),
        };
        let (config_name, config) = read_config(dir)?;
        check(config_name, config.text.as_bytes())?;
        let tokenizer = folder::read(&dir.join(folder::TOKENIZER))?;
        check(folder::TOKENIZER, &tokenizer)?;
        let weights = folder::read(&dir.join(folder::WEIGHTS))?;
        check(folder::WEIGHTS, &weights)?;

        let config = config.parsed?;
        let vocabulary = folder::vocabulary_size(&tokenizer)
            .map_err(|error| error.with_path(dir.join(folder::TOKENIZER)))?;
        if vocabulary != config.dims().vocabulary {
            let message = format!(
                "the vocabulary has {vocabulary} tokens, the model's word embeddings have {} rows",
                config.dims().vocabulary
            );
            return Err(
                LoadError::new(LoadErrorKind::Tokenizer, message).with_path(dir.join(folder::TOKENIZER))
            );
        }
        Ok(Files {
            weights_sha256: folder::sha256(&weights),
            weights: weights.into(),
            tokenizer: tokenizer.into(),
            config,
        })
    }

    /// The readout alone.
    #[cfg(feature = "rust-bert")]
    fn readout(&self) -> Result<Readout, LoadError> {
        let tensors = Tensors::parse(&self.weights)?;
        let keep = Matrix::into_owned;
        let mut loader =
            Loader { tensors: &tensors, precision: Precision::F32, keep, used: Vec::new(), reordered: false };
        loader.readout(&self.config)
    }
}

impl Model {
    /// Loads a model folder.
    ///
    /// # Errors
    ///
    /// If a file is missing, damaged or not as its checksum says, a tensor has the wrong shape, type or a number
    /// that is not finite, labels are unknown, or vocabulary and embeddings differ in size. The message names the
    /// file, the tensor and the two numbers that disagree.
    pub fn from_dir(dir: impl AsRef<Path>, precision: Precision) -> Result<Self, LoadError> {
        let dir = dir.as_ref();
        let Files { weights, weights_sha256, tokenizer, config } = Files::from_dir(dir)?;
        Model::build(&weights, weights_sha256, tokenizer, config, precision, Matrix::into_owned).map_err(
            |error| match error.path() {
                Some(_) => error,
                None => error.with_path(dir.join(folder::WEIGHTS)),
            },
        )
    }

    /// The model that is compiled into the crate.
    ///
    /// # Errors
    ///
    /// If the crate was compiled with a broken model; its tests rule that out.
    #[cfg(feature = "embedded")]
    pub fn embedded() -> Result<Self, LoadError> {
        const WEIGHTS: &[u8] = include_bytes!("../data/model/model.safetensors");
        const TOKENIZER: &[u8] = include_bytes!("../data/model/tokenizer.json");
        const DESCRIPTION: &str = include_str!("../data/model/model.toml");
        const CHECKSUMS: &str = include_str!("../data/model/SHA256SUMS");
        let sums = folder::parse_checksums(CHECKSUMS)?;
        let weights_sha256 =
            sums.iter().find(|(name, _)| *name == folder::WEIGHTS).map_or("", |(_, digest)| digest);
        let config = Config::from_toml(DESCRIPTION)?;
        let sha256 = weights_sha256.to_owned();
        Model::build(WEIGHTS, sha256, TOKENIZER.into(), config, Precision::Int8, |matrix| matrix)
    }

    fn build<'a>(
        weights: &'a [u8],
        weights_sha256: String,
        tokenizer: std::borrow::Cow<'static, [u8]>,
        config: Config,
        precision: Precision,
        keep: impl Fn(Matrix<'a>) -> Matrix<'static>,
    ) -> Result<Self, LoadError> {
        let tensors = Tensors::parse(weights)?;
        let mut loader = Loader { tensors: &tensors, precision, keep, used: Vec::new(), reordered: false };
        let weights = loader.bert(&config)?;
        let readout = loader.readout(&config)?;
        Ok(Model {
            max_tokens: config.max_tokens,
            encoder: Arc::new(BertEncoder::new(config.dims(), config.max_tokens, weights)?),
            name: config.name,
            weights_sha256,
            precision,
            tokenizer,
            readout,
        })
    }

    /// The model's name, like `amends-mini-0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the weights file, in hex.
    pub fn weights_sha256(&self) -> &str {
        &self.weights_sha256
    }

    /// Name and the start of the weights' checksum, like `amends-mini-0@sha256:ab12cd34`: what results say of it.
    pub fn id(&self) -> String {
        id(&self.name, &self.weights_sha256)
    }

    /// In what numbers the encoder computes.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The longest sequence that the encoder takes, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// The content of `tokenizer.json`.
    pub fn tokenizer_json(&self) -> &[u8] {
        &self.tokenizer
    }

    /// From tokens to vectors.
    pub fn encoder(&self) -> Arc<dyn Encoder> {
        self.encoder.clone()
    }

    /// Three logits: negative, neutral, positive.
    pub fn sentiment_head(&self) -> &Head {
        &self.readout.sentiment
    }

    /// A logit for each type, in the order of [`EventType::ALL`], and in it for each status, in the order of
    /// [`Status::ALL`]; `None` where the model has no such head.
    pub fn event_head(&self) -> Option<&Head> {
        self.readout.events.as_ref()
    }

    /// The logit of telling of an interaction with a provider, against talk in general; `None` where the model has no
    /// such head.
    pub fn told_head(&self) -> Option<&Head> {
        self.readout.told()
    }

    /// The least probability at which an event counts, where the model's description gives one. 0..=1.
    pub fn event_threshold(&self, event: &EventType, status: Status) -> Option<f32> {
        self.readout.event_thresholds.get(&label(event, status)).copied()
    }

    /// A tensor that is of neither encoder nor heads, by its name in the weights file.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.readout.tensor(name)
    }

    /// The `context` table of the model's description: settings of stages beyond the encoder.
    pub fn context(&self) -> Option<&toml::Table> {
        self.readout.context()
    }

    pub(crate) fn readout(&self) -> &Readout {
        &self.readout
    }
}

/// A description's text and what it says, so that its checksum is looked at first.
struct ConfigFile {
    text: String,
    parsed: Result<Config, LoadError>,
}

fn read_config(dir: &Path) -> Result<(&'static str, ConfigFile), LoadError> {
    let toml = dir.join(folder::DESCRIPTION);
    if toml.exists() {
        let text = folder::read_text(&toml)?;
        let parsed = Config::from_toml(&text).map_err(|error| error.with_path(toml));
        return Ok((folder::DESCRIPTION, ConfigFile { text, parsed }));
    }
    let json = dir.join(folder::TRANSFORMERS);
    let text = folder::read_text(&json)?;
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or("model");
    let parsed = Config::from_json(&text, name).map_err(|error| error.with_path(json));
    Ok((folder::TRANSFORMERS, ConfigFile { text, parsed }))
}

/// Takes the encoder's and heads' tensors out of a file.
struct Loader<'t, 'a, K> {
    tensors: &'t Tensors<'a>,
    precision: Precision,
    keep: K,
    used: Vec<String>,
    /// Whether a head's outputs stand in another order in the file.
    reordered: bool,
}

impl<'a, K: Fn(Matrix<'a>) -> Matrix<'static>> Loader<'_, 'a, K> {
    fn bert(&mut self, config: &Config) -> Result<BertWeights<'static>, LoadError> {
        let dims = config.dims();
        let (hidden, intermediate) = (dims.hidden, dims.intermediate);
        let words = self.table("bert.embeddings.word_embeddings.weight", dims.vocabulary, hidden)?;
        let positions = self.table("bert.embeddings.position_embeddings.weight", dims.positions, hidden)?;
        let token_types =
            self.table("bert.embeddings.token_type_embeddings.weight", dims.token_types, hidden)?;
        let embedding_norm = self.norm("bert.embeddings.LayerNorm", hidden)?;
        let mut layers = Vec::new();
        for index in 0..dims.layers {
            let at = |part: &str| format!("bert.encoder.layer.{index}.{part}");
            layers.push(LayerWeights {
                query: self.dense(&at("attention.self.query"), hidden, hidden)?,
                key: self.dense(&at("attention.self.key"), hidden, hidden)?,
                value: self.dense(&at("attention.self.value"), hidden, hidden)?,
                attention_output: self.dense(&at("attention.output.dense"), hidden, hidden)?,
                attention_norm: self.norm(&at("attention.output.LayerNorm"), hidden)?,
                intermediate: self.dense(&at("intermediate.dense"), intermediate, hidden)?,
                output: self.dense(&at("output.dense"), hidden, intermediate)?,
                output_norm: self.norm(&at("output.LayerNorm"), hidden)?,
            });
        }
        let pooler = Dense {
            weight: (self.keep)(self.tensors.matrix("bert.pooler.dense.weight", hidden, hidden)?),
            bias: self.tensors.vector("bert.pooler.dense.bias", hidden)?,
        };
        Ok(BertWeights { words, positions, token_types, embedding_norm, layers, pooler })
    }

    /// Heads, context stage, and whatever else the file holds.
    fn readout(&mut self, config: &Config) -> Result<Readout, LoadError> {
        let hidden = config.dims().hidden;
        let sentiment = self.head("sentiment", &config.sentiment, &sentiment_labels(), hidden)?;
        let events = match &config.events {
            Some(head) => Some(self.head("events", head, &event_labels(), hidden)?),
            None => None,
        };
        let told = match &config.told {
            Some(head) => Some(self.head("told", head, &[TOLD.to_owned()], hidden)?),
            None => None,
        };
        if self.reordered && config.context.is_some() {
            let message = "a model with a context stage must list its labels in amends' own order";
            return Err(LoadError::new(LoadErrorKind::Labels, message));
        }
        let mut extra = HashMap::new();
        for name in self.tensors.names() {
            let is_scale = name.strip_suffix(SCALE).is_some_and(|matrix| self.tensors.contains(matrix));
            if !is_scale && !name.starts_with("bert.") && !self.used.iter().any(|other| other == name) {
                extra.insert(name.to_owned(), self.tensors.any(name)?);
            }
        }
        let thresholds = config.events.iter().flat_map(|head| head.thresholds.clone());
        Ok(Readout {
            sentiment,
            events,
            told,
            event_thresholds: thresholds.collect(),
            context: config.context.clone(),
            extra,
        })
    }

    /// An embedding table. One that is int8 stays so: it is added up row by row in f32 in either precision.
    fn table(&self, name: &str, rows: usize, columns: usize) -> Result<Matrix<'static>, LoadError> {
        let matrix = self.tensors.matrix(name, rows, columns)?;
        let matrix = if self.precision == Precision::Int8 { matrix.quantized(TABLE_LIMIT) } else { matrix };
        Ok((self.keep)(matrix))
    }

    fn dense(&self, name: &str, outputs: usize, inputs: usize) -> Result<Dense<'static>, LoadError> {
        let weight = self.tensors.matrix(&format!("{name}.weight"), outputs, inputs)?;
        // The greatest first, which takes a tenth of the time of looking for a place.
        let greatest =
            |bytes: &[u8]| bytes.iter().fold(0, |most, &byte| (byte as i8).unsigned_abs().max(most));
        if let Some((bytes, _)) = weight.int8()
            && greatest(bytes) > LINEAR_LIMIT as u8
            && let Some(at) = bytes.iter().position(|&byte| (byte as i8).unsigned_abs() > LINEAR_LIMIT as u8)
        {
            let message = format!(
                "tensor \"{name}.weight\": number {at} is {}, the limit is {LINEAR_LIMIT}",
                bytes[at] as i8
            );
            return Err(LoadError::new(LoadErrorKind::Tensor, message));
        }
        let weight = if self.precision == Precision::Int8 { weight.quantized(LINEAR_LIMIT) } else { weight };
        let bias = self.tensors.vector(&format!("{name}.bias"), outputs)?;
        let weight = match self.precision {
            Precision::Int8 => weight,
            Precision::F32 => Matrix::from_f32(outputs, inputs, weight.to_f32().into_owned()),
        };
        Ok(Dense { weight: (self.keep)(weight), bias })
    }

    fn norm(&self, name: &str, len: usize) -> Result<Norm, LoadError> {
        Ok(Norm {
            gamma: self.tensors.vector(&format!("{name}.weight"), len)?,
            beta: self.tensors.vector(&format!("{name}.bias"), len)?,
        })
    }

    /// A head with its outputs brought into the order of `wanted`.
    fn head(
        &mut self,
        name: &str,
        config: &HeadConfig,
        wanted: &[String],
        inputs: usize,
    ) -> Result<Head, LoadError> {
        let order = order(name, wanted, &config.labels)?;
        let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
        let weight = self.tensors.matrix(&weight_name, wanted.len(), inputs)?;
        let bias = self.tensors.vector(&bias_name, wanted.len())?;
        let rows = weight.to_f32();
        let sorted: Vec<f32> =
            order.iter().flat_map(|&row| rows[row * inputs..][..inputs].iter().copied()).collect();
        let bias = order.iter().map(|&row| bias[row]).collect();
        self.reordered |= order.iter().enumerate().any(|(at, &row)| at != row);
        self.used.extend([weight_name, bias_name]);
        Ok(Head { dense: FloatDense::new(&sorted, bias), temperature: config.temperature })
    }
}
