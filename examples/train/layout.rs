//! The sizes of a model and where its tensors lie.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::data::EVENTS;

/// Sizes of a BERT encoder, as `config.json` names them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) vocab_size: i64,
    pub(crate) hidden_size: i64,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: i64,
    pub(crate) intermediate_size: i64,
    pub(crate) max_position_embeddings: i64,
    pub(crate) type_vocab_size: i64,
    pub(crate) layer_norm_eps: f64,
}

impl Config {
    /// Reads the sizes from a `config.json`, which must be one of a BERT with absolute positions and gelu.
    pub(crate) fn from_json(json: &serde_json::Value) -> Result<Config> {
        for (key, want) in
            [("model_type", "bert"), ("hidden_act", "gelu"), ("position_embedding_type", "absolute")]
        {
            let found = json.get(key).and_then(|value| value.as_str()).unwrap_or(want);
            ensure!(
                found == want,
                "{key} is {found:?}; only {want:?} can be trained for the embedded format"
            );
        }
        let config: Config = serde_json::from_value(json.clone())?;
        for (key, size) in [
            ("hidden_size", config.hidden_size),
            ("num_attention_heads", config.num_attention_heads),
            ("intermediate_size", config.intermediate_size),
            ("max_position_embeddings", config.max_position_embeddings),
            ("type_vocab_size", config.type_vocab_size),
        ] {
            ensure!(size >= 1, "{key} must be 1 or more, found {size}");
        }
        ensure!(
            config.hidden_size % config.num_attention_heads == 0,
            "hidden_size {} is no multiple of num_attention_heads {}",
            config.hidden_size,
            config.num_attention_heads
        );
        Ok(config)
    }
}

/// How the optimizer treats a tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    pub(crate) head: bool,
    pub(crate) decay: bool,
}

/// One tensor among the weights.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) shape: Vec<i64>,
    pub(crate) group: Group,
    pub(crate) start: i64,
}

impl Slot {
    pub(crate) fn len(&self) -> i64 {
        self.shape.iter().product()
    }
}

/// All tensors of a model and where each lies in one flat vector.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) slots: Vec<Slot>,
}

/// The heads by name, with their outputs: sentiment, events, and whether an interaction is told of.
const HEADS: [(&str, i64); 3] = [("sentiment", 3), ("events", EVENTS as i64), ("told", 1)];

const LAYER: [(&str, [Dim; 2]); 12] = {
    use Dim::{Hidden as H, Inner as I, None as N};
    [
        ("attention.self.query", [H, H]),
        ("attention.self.query", [H, N]),
        ("attention.self.key", [H, H]),
        ("attention.self.key", [H, N]),
        ("attention.self.value", [H, H]),
        ("attention.self.value", [H, N]),
        ("attention.output.dense", [H, H]),
        ("attention.output.dense", [H, N]),
        ("intermediate.dense", [I, H]),
        ("intermediate.dense", [I, N]),
        ("output.dense", [H, I]),
        ("output.dense", [H, N]),
    ]
};

#[derive(Clone, Copy)]
enum Dim {
    Hidden,
    Inner,
    None,
}

impl Layout {
    /// The layout of an encoder with its heads, and with a context stage of `context` units each way unless
    /// that is 0; tensors of one group lie side by side.
    pub(crate) fn new(config: &Config, context: i64) -> Layout {
        let hidden = config.hidden_size;
        let mut slots = Vec::new();
        let mut slot = |name: String, shape: Vec<i64>| {
            let norm = name.contains("LayerNorm");
            let head = !name.starts_with("bert.");
            let group = Group { head, decay: shape.len() > 1 && !norm };
            slots.push(Slot { name, shape, group, start: 0 });
        };
        for (name, rows) in [
            ("word", config.vocab_size),
            ("position", config.max_position_embeddings),
            ("token_type", config.type_vocab_size),
        ] {
            slot(format!("bert.embeddings.{name}_embeddings.weight"), vec![rows, hidden]);
        }
        for end in ["weight", "bias"] {
            slot(format!("bert.embeddings.LayerNorm.{end}"), vec![hidden]);
        }
        for layer in 0..config.num_hidden_layers {
            let prefix = format!("bert.encoder.layer.{layer}");
            for (name, dims) in LAYER {
                let shape: Vec<i64> = (dims.iter())
                    .filter_map(|dim| match dim {
                        Dim::Hidden => Some(hidden),
                        Dim::Inner => Some(config.intermediate_size),
                        Dim::None => None,
                    })
                    .collect();
                let end = if shape.len() == 2 { "weight" } else { "bias" };
                slot(format!("{prefix}.{name}.{end}"), shape);
            }
            for norm in ["attention.output.LayerNorm", "output.LayerNorm"] {
                for end in ["weight", "bias"] {
                    slot(format!("{prefix}.{norm}.{end}"), vec![hidden]);
                }
            }
        }
        slot("bert.pooler.dense.weight".to_owned(), vec![hidden, hidden]);
        slot("bert.pooler.dense.bias".to_owned(), vec![hidden]);
        for (head, outputs) in HEADS {
            slot(format!("{head}.weight"), vec![outputs, hidden]);
            slot(format!("{head}.bias"), vec![outputs]);
        }
        if context > 0 {
            for way in ["", "_reverse"] {
                for (part, inputs) in [("ih", hidden), ("hh", context)] {
                    slot(format!("context.gru.weight_{part}_l0{way}"), vec![3 * context, inputs]);
                    slot(format!("context.gru.bias_{part}_l0{way}"), vec![3 * context]);
                }
            }
            for (head, outputs) in HEADS {
                slot(format!("context.{head}.weight"), vec![outputs, 2 * context]);
            }
        }
        slots.sort_by_key(|slot| (slot.group.head, !slot.group.decay));
        let mut start = 0;
        for slot in &mut slots {
            slot.start = start;
            start += slot.len();
        }
        Layout { slots }
    }

    /// Numbers in all tensors together.
    pub(crate) fn len(&self) -> i64 {
        self.slots.iter().map(Slot::len).sum()
    }

    /// The tensors as views of a flat vector, with their names.
    pub(crate) fn views(&self, flat: &Tensor) -> Vec<(String, Tensor)> {
        let view = |slot: &Slot| flat.narrow(0, slot.start, slot.len()).view(slot.shape.as_slice());
        self.slots.iter().map(|slot| (slot.name.clone(), view(slot))).collect()
    }

    /// The same tensors as leaves of a gradient computation; they share memory with `flat`.
    pub(crate) fn leaves(&self, flat: &Tensor) -> Vec<Tensor> {
        self.views(flat).into_iter().map(|(_, view)| view.detach().set_requires_grad(true)).collect()
    }
}

/// The weights that a run begins with.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) weights: Tensor,
    /// Whether the file had all heads, so that none was drawn.
    pub(crate) has_heads: bool,
    /// Recurrent units each way of the context stage in the file, 0 if it has none.
    pub(crate) context: i64,
}

/// Reads the weights for `layout` from a safetensors file into one flat f32 vector. Names may lack the
/// prefix `bert.`. Rows of the word embeddings are taken as `rows` says; those of the file `wider`, if there is one,
/// follow on those of the first. Heads that are not in the file
/// are drawn from a normal distribution of deviation 0.02, as BERT's own weights were; a new context stage
/// has a recurrent layer drawn within ±1/√units, and adds nothing to the heads yet. An int8 matrix is multiplied by
/// the scales of its rows, which lie beside it under its name and `.scale`.
pub(crate) fn load(path: &Path, wider: Option<&Path>, layout: &Layout, rows: &[i64]) -> Result<Start> {
    let read = |path: &Path| -> Result<HashMap<String, Tensor>> {
        let tensors =
            Tensor::read_safetensors(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(tensors.into_iter().collect())
    };
    let tensors = read(path)?;
    let mut parts = Vec::with_capacity(layout.slots.len());
    let mut has_heads = true;
    for slot in &layout.slots {
        let bare = slot.name.strip_prefix("bert.").unwrap_or(&slot.name);
        let find = |tensors: &HashMap<String, Tensor>| {
            let name = [slot.name.as_str(), bare].into_iter().find(|name| tensors.contains_key(*name));
            name.map(|name| numbers(tensors, name)).transpose()
        };
        let part = match find(&tensors)? {
            Some(mut found) if slot.name.ends_with("word_embeddings.weight") => {
                if let Some(wider) = wider {
                    let more = find(&read(wider)?)?;
                    let more = more.with_context(|| format!("{} has no word embeddings", wider.display()))?;
                    ensure!(
                        more.size()[1..] == found.size()[1..],
                        "{}: its word embeddings have another width",
                        wider.display()
                    );
                    found = Tensor::cat(&[found, more], 0);
                }
                let size = found.size();
                let last = rows.iter().copied().max().unwrap_or(0);
                ensure!(last < size[0], "the tokenizer has id {last}, the word embeddings {} rows", size[0]);
                found.index_select(0, &Tensor::from_slice(rows))
            }
            Some(found) => found,
            None if bare.starts_with("context.gru.") => {
                let bound = (3.0 / slot.shape[0] as f64).sqrt();
                (Tensor::rand(slot.shape.as_slice(), (Kind::Float, Device::Cpu)) * 2.0 - 1.0) * bound
            }
            None if bare.starts_with("context.") => {
                Tensor::zeros(slot.shape.as_slice(), (Kind::Float, Device::Cpu))
            }
            None if slot.group.head || bare.starts_with("pooler.") => {
                has_heads = false;
                let scale = if slot.group.decay { 0.02 } else { 0.0 };
                Tensor::randn(slot.shape.as_slice(), (Kind::Float, Device::Cpu)) * scale
            }
            None => bail!("{} has no tensor {:?}", path.display(), slot.name),
        };
        ensure!(
            part.size() == slot.shape,
            "tensor {:?}: expected shape {:?}, found {:?}",
            slot.name,
            slot.shape,
            part.size()
        );
        parts.push(part.to_kind(Kind::Float).reshape([-1]));
    }
    let context = tensors.get("context.gru.weight_hh_l0").map_or(0, |matrix| matrix.size()[1]);
    Ok(Start { weights: Tensor::cat(&parts, 0), has_heads, context })
}

/// The numbers that the tensor `name` stands for, in f32.
fn numbers(tensors: &HashMap<String, Tensor>, name: &str) -> Result<Tensor> {
    let tensor = &tensors[name];
    let whole = tensor.to_kind(Kind::Float);
    if tensor.is_floating_point() {
        return Ok(whole);
    }
    let scale = tensors.get(&format!("{name}.scale")).filter(|_| tensor.kind() == Kind::Int8);
    let scale = scale.with_context(|| {
        format!(
            "tensor {name:?} holds {:?} and has no {name}.scale: take the unquantized weights",
            tensor.kind()
        )
    })?;
    ensure!(
        tensor.dim() == 2 && scale.size() == tensor.size()[..1],
        "tensor {name:?}: its scales have shape {:?}, it {:?}",
        scale.size(),
        tensor.size()
    );
    Ok(whole * scale.to_kind(Kind::Float).unsqueeze(1))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A model that computes in no time.
    pub(crate) fn small() -> Config {
        Config {
            vocab_size: 20,
            hidden_size: 8,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 16,
            max_position_embeddings: 12,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
        }
    }

    #[test]
    fn groups_lie_side_by_side_and_cover_everything() {
        let layout = Layout::new(&small(), 3);
        let mut end = 0;
        let mut groups: Vec<Group> = Vec::new();
        for slot in &layout.slots {
            assert_eq!(slot.start, end);
            end += slot.len();
            if groups.last() != Some(&slot.group) {
                assert!(!groups.contains(&slot.group));
                groups.push(slot.group);
            }
        }
        assert_eq!(groups.len(), 4);
        assert_eq!(end, layout.len());
    }

    #[test]
    fn whole_numbers_without_their_scales_are_refused() {
        let matrix = Tensor::from_slice(&[1i8, -2, 3, 64]).view([2, 2]);
        let scale = |scales: &[f32]| ("a.scale".to_owned(), Tensor::from_slice(scales));
        let mut tensors = HashMap::from([("a".to_owned(), matrix), scale(&[0.5, 0.25])]);
        let found = numbers(&tensors, "a").unwrap();
        assert_eq!(found, Tensor::from_slice(&[0.5f32, -1.0, 0.75, 16.0]).view([2, 2]));
        tensors.extend([scale(&[0.5])]);
        assert!(numbers(&tensors, "a").unwrap_err().to_string().contains("shape [1]"));
        tensors.remove("a.scale");
        let error = numbers(&tensors, "a").unwrap_err().to_string();
        assert!(error.contains("Int8") && error.contains("a.scale"), "{error}");
    }

    #[test]
    fn other_architectures_are_refused() {
        let json = serde_json::json!({"model_type": "roberta"});
        let error = Config::from_json(&json).unwrap_err().to_string();
        assert!(error.contains("roberta"), "{error}");
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let error = |key: &str, size: i64| {
            let mut json = serde_json::to_value(small()).unwrap();
            json[key] = size.into();
            Config::from_json(&json).unwrap_err().to_string()
        };
        assert!(error("num_attention_heads", 0).contains("num_attention_heads must be 1 or more"));
        assert!(error("hidden_size", -8).contains("hidden_size must be 1 or more"));
        assert!(error("num_attention_heads", 3).contains("no multiple of num_attention_heads 3"));
    }
}
