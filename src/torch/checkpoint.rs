//! The files of a checkpoint folder: configuration and tensors.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use crate::error::{LoadError, LoadErrorKind};
use crate::model::{DESCRIPTION, transformers_config};

/// The tensors of a checkpoint by name, on the device that runs them. Clones share their numbers.
pub(super) type Tensors = HashMap<String, Tensor>;

/// Behind the name of an int8 matrix, the name of its scales, one for each row.
const SCALE: &str = ".scale";

/// How many names of tensors an error lists before it counts the rest.
const LISTED: usize = 8;

/// Entries that rust-bert wants to see, that not every configuration has, and that no result depends on.
const FOR_TRAINING: &[(&str, f64)] = &[
    ("attention_dropout", 0.0),
    ("attention_probs_dropout_prob", 0.0),
    ("dropout", 0.0),
    ("hidden_dropout_prob", 0.0),
    ("initializer_range", 0.02),
    ("qa_dropout", 0.0),
    ("seq_classif_dropout", 0.0),
];

/// What a checkpoint was made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Sentence classification.
    Classes,
    /// amends' own: an encoder with heads that amends computes itself.
    Pooled,
}

/// A checkpoint folder with its configuration read and its tensors not yet.
#[derive(Debug)]
pub(super) struct Checkpoint {
    config: Value,
    model_type: String,
    config_path: PathBuf,
    tokenizer_path: PathBuf,
    weights_path: PathBuf,
}

impl Checkpoint {
    pub(super) fn open(folder: &Path) -> Result<Self, LoadError> {
        let (config_path, config) = read_config(folder)?;
        let Some(model_type) = config.get("model_type").and_then(Value::as_str) else {
            return Err(LoadError::new(LoadErrorKind::Format, "no `model_type`").with_path(config_path));
        };
        let model_type = model_type.to_owned();
        let tokenizer_path = folder.join("tokenizer.json");
        if let Err(error) = fs::metadata(&tokenizer_path) {
            return Err(LoadError::io(tokenizer_path, error));
        }
        let names = ["model.safetensors", "rust_model.ot"];
        let Some(weights_path) = names.iter().map(|name| folder.join(name)).find(|path| path.is_file())
        else {
            let message = if folder.join("model.safetensors.index.json").is_file() {
                "the weights are split into several files; save them as one model.safetensors"
            } else if folder.join("pytorch_model.bin").is_file() {
                "pytorch_model.bin is a pickle and is not read; save the weights as model.safetensors"
            } else {
                "neither model.safetensors nor rust_model.ot is there"
            };
            return Err(LoadError::new(LoadErrorKind::Io, message).with_path(folder));
        };
        Ok(Checkpoint { config, model_type, config_path, tokenizer_path, weights_path })
    }

    pub(super) fn model_type(&self) -> &str {
        &self.model_type
    }

    pub(super) fn config_path(&self) -> &Path {
        &self.config_path
    }

    pub(super) fn tokenizer_path(&self) -> &Path {
        &self.tokenizer_path
    }

    pub(super) fn weights_path(&self) -> &Path {
        &self.weights_path
    }

    pub(super) fn purpose(&self) -> Purpose {
        if self.config.get("heads").is_some_and(Value::is_object) {
            Purpose::Pooled
        } else {
            Purpose::Classes
        }
    }

    /// An entry of the configuration; `None` if it is missing or null.
    pub(super) fn entry(&self, name: &str) -> Option<&Value> {
        self.config.get(name).filter(|value| !value.is_null())
    }

    /// The labels in the order of the logits, if the configuration names them.
    pub(super) fn labels(&self) -> Result<Option<Vec<String>>, LoadError> {
        if self.entry("problem_type").is_some_and(|kind| kind != "single_label_classification") {
            return Err(
                self.wrong(LoadErrorKind::Labels, "`problem_type` is not single_label_classification")
            );
        }
        let Some(names) = self.entry("id2label") else { return Ok(None) };
        let broken = || self.wrong(LoadErrorKind::Labels, "`id2label` does not name the classes from 0 on");
        let names = names.as_object().ok_or_else(broken)?;
        let of = |id: usize| Some(names.get(&id.to_string())?.as_str()?.to_owned());
        let labels: Option<Vec<String>> = (0..names.len()).map(of).collect();
        labels.map(Some).ok_or_else(broken)
    }

    /// The configuration as rust-bert reads it, for a checkpoint with that many classes (or without a head).
    pub(super) fn config<T: DeserializeOwned>(&self, classes: Option<usize>) -> Result<T, LoadError> {
        let mut config = self.config.clone();
        if let (Some(entries), Some(classes)) = (config.as_object_mut(), classes) {
            let labels = (0..classes).map(|id| (id.to_string(), Value::from(id.to_string())));
            entries.insert("id2label".to_owned(), Value::Object(labels.collect()));
            entries.remove("label2id");
            // Would only be collected and thrown away.
            entries.remove("output_attentions");
            entries.remove("output_hidden_states");
        }
        if let Some(entries) = config.as_object_mut() {
            for (name, value) in FOR_TRAINING {
                entries.entry(*name).or_insert_with(|| Value::from(*value));
            }
            entries.entry("tie_weights_").or_insert(Value::Bool(true));
            entries.entry("sinusoidal_pos_embds").or_insert(Value::Bool(false));
            for name in ["bos_token_id", "eos_token_id", "pad_token_id"] {
                entries.entry(name).or_insert(Value::from(0));
            }
        }
        serde_json::from_value(config).map_err(|error| {
            let message = format!("not a configuration of model type {}: {error}", self.model_type);
            self.wrong(LoadErrorKind::Format, &message).with_source(error)
        })
    }

    /// An error about the configuration.
    pub(super) fn wrong(&self, kind: LoadErrorKind, message: &str) -> LoadError {
        LoadError::new(kind, message).with_path(&self.config_path)
    }

    /// Reads all tensors of floating point numbers, as `kind` and to `device`. An int8 matrix of amends' own
    /// becomes what it stands for.
    pub(super) fn read_tensors(&self, device: Device, kind: Kind) -> Result<Tensors, LoadError> {
        let path = &self.weights_path;
        let safe = path.extension().is_some_and(|extension| extension == "safetensors");
        let read = if safe { Tensor::read_safetensors(path) } else { Tensor::load_multi(path) };
        let broken = |error| {
            LoadError::new(LoadErrorKind::Format, "cannot read the tensors")
                .with_path(path)
                .with_source(error)
        };
        let read: Tensors = read.map_err(broken)?.into_iter().collect();
        let mut tensors = Tensors::new();
        for (name, tensor) in &read {
            if name.strip_suffix(SCALE).is_some_and(|matrix| read.contains_key(matrix)) {
                continue;
            }
            let scale = read.get(&format!("{name}{SCALE}")).filter(|_| tensor.kind() == Kind::Int8);
            let tensor = match scale {
                Some(scale) => {
                    let rows = scale.f_unsqueeze(1).map_err(broken)?;
                    tensor.f_to_kind(Kind::Float).and_then(|tensor| tensor.f_mul(&rows)).map_err(broken)?
                }
                None => tensor.shallow_clone(),
            };
            if !tensor.is_floating_point() {
                continue;
            }
            let tensor = tensor.f_to_device_(device, kind, false, false).map_err(broken)?;
            if !tensor.isfinite().all().int64_value(&[]).eq(&1) {
                let message = format!("tensor {name:?} holds numbers that are not finite");
                return Err(LoadError::new(LoadErrorKind::Tensor, message).with_path(path));
            }
            tensors.insert(name.clone(), tensor);
        }
        Ok(tensors)
    }
}

/// The configuration: amends' own description where there is one, else that of transformers.
fn read_config(folder: &Path) -> Result<(PathBuf, Value), LoadError> {
    let own = folder.join(DESCRIPTION);
    if own.is_file() {
        let text = fs::read_to_string(&own).map_err(|error| LoadError::io(&own, error))?;
        let config = transformers_config(&text).map_err(|error| error.with_path(&own))?;
        return Ok((own, config));
    }
    let path = folder.join("config.json");
    let text = fs::read_to_string(&path).map_err(|error| LoadError::io(&path, error))?;
    match serde_json::from_str(&text) {
        Ok(config) => Ok((path, config)),
        Err(error) => Err(LoadError::new(LoadErrorKind::Format, "no valid JSON")
            .with_path(path)
            .with_line(error.line())
            .with_source(error)),
    }
}

/// Gives each variable of `store` the tensor of its name, without copying its numbers.
///
/// Older checkpoints call the weight and bias of a layer norm `gamma` and `beta`. tch's own ways to load do not
/// know this, or (`load_partial`) leave variables that are missing at their random start without a word.
pub(super) fn fill(store: &VarStore, tensors: &Tensors) -> Result<(), LoadError> {
    let mut missing = BTreeSet::new();
    let mut used = BTreeSet::new();
    let mut layers = BTreeSet::new();
    for (name, mut variable) in store.variables() {
        let old =
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let Some((key, tensor)) = tensors.get_key_value(&name).or_else(|| tensors.get_key_value(&old)) else {
            missing.insert(name);
            continue;
        };
        let (expected, found) = (variable.size(), tensor.size());
        if expected != found {
            let message = format!("tensor {key:?}: expected shape {expected:?}, found {found:?}");
            return Err(LoadError::new(LoadErrorKind::Tensor, message));
        }
        variable.f_set_data(tensor).map_err(|error| {
            LoadError::new(LoadErrorKind::Tensor, format!("tensor {key:?} cannot be used")).with_source(error)
        })?;
        if let Some(prefix) = layer_prefix(key) {
            layers.insert(prefix.to_owned());
        }
        used.insert(key.as_str());
    }
    if !missing.is_empty() {
        return Err(LoadError::new(LoadErrorKind::Tensor, format!("missing tensors: {}", list(&missing))));
    }
    // What other heads left behind is no harm, but more layers than the configuration has are another model.
    let left = |name: &&String| {
        let prefix = layer_prefix(name).is_some_and(|prefix| layers.contains(prefix));
        prefix && !used.contains(name.as_str())
    };
    let left: BTreeSet<String> = tensors.keys().filter(left).cloned().collect();
    if !left.is_empty() {
        let message = format!("tensors that this configuration has no use for: {}", list(&left));
        return Err(LoadError::new(LoadErrorKind::Tensor, message));
    }
    Ok(())
}

/// `bert.encoder.` of `bert.encoder.layer.3.output.dense.weight`; `None` of tensors outside the encoder.
fn layer_prefix(name: &str) -> Option<&str> {
    ["encoder.", "transformer."].iter().find_map(|part| Some(&name[..name.find(part)? + part.len()]))
}

fn list(names: &BTreeSet<String>) -> String {
    let first: Vec<&str> = names.iter().take(LISTED).map(String::as_str).collect();
    match names.len().saturating_sub(LISTED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
