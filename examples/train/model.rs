//! The encoder and its two heads, and the weights that they share.
//!
//! Written out on tensors instead of taken from rust-bert, because a run on a CPU needs what a module with
//! its own f32 variables does not give: products in bfloat16 from f32 weights, and several workers that
//! compute gradients on the same weights. The exported files load into rust-bert's `BertModel` unchanged.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::data::EVENTS;
use crate::stream::buckets;

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
        for (key, want) in [("model_type", "bert"), ("hidden_act", "gelu"), ("position_embedding_type", "absolute")] {
            let found = json.get(key).and_then(|value| value.as_str()).unwrap_or(want);
            ensure!(found == want, "{key} is {found:?}; only {want:?} can be trained for the embedded format");
        }
        let config: Config = serde_json::from_value(json.clone())?;
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
    /// The layout of an encoder with both heads, and with a context stage of `context` units each way unless
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
        for (head, outputs) in [("sentiment", 3), ("events", EVENTS as i64)] {
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
            for (head, outputs) in [("sentiment", 3), ("events", EVENTS as i64)] {
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

    /// Where a tensor is among the slots.
    fn position(&self, name: &str) -> Result<usize> {
        self.slots.iter().position(|slot| slot.name == name).ok_or_else(|| anyhow!("no tensor {name:?}"))
    }
}

/// Reads the weights for `layout` from a safetensors file into one flat f32 vector. Names may lack the
/// prefix `bert.`. Rows of the word embeddings are taken as `rows` says. Heads that are not in the file
/// are drawn from a normal distribution of deviation 0.02, as BERT's own weights were; a new context stage
/// has a recurrent layer drawn within ±1/√units, and adds nothing to the heads yet.
pub(crate) fn load(path: &Path, layout: &Layout, rows: &[i64]) -> Result<Tensor> {
    let tensors = Tensor::read_safetensors(path).with_context(|| format!("cannot read {}", path.display()))?;
    let tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
    let mut parts = Vec::with_capacity(layout.slots.len());
    for slot in &layout.slots {
        let bare = slot.name.strip_prefix("bert.").unwrap_or(&slot.name);
        let part = match tensors.get(&slot.name).or_else(|| tensors.get(bare)) {
            Some(found) if slot.name.ends_with("word_embeddings.weight") => {
                let size = found.size();
                let last = rows.iter().copied().max().unwrap_or(0);
                ensure!(last < size[0], "the tokenizer has id {last}, the word embeddings {} rows", size[0]);
                found.index_select(0, &Tensor::from_slice(rows))
            }
            Some(found) => found.shallow_clone(),
            None if bare.starts_with("context.gru.") => {
                let bound = (3.0 / slot.shape[0] as f64).sqrt();
                (Tensor::rand(slot.shape.as_slice(), (Kind::Float, Device::Cpu)) * 2.0 - 1.0) * bound
            }
            None if bare.starts_with("context.") => Tensor::zeros(slot.shape.as_slice(), (Kind::Float, Device::Cpu)),
            None if slot.group.head || bare.starts_with("pooler.") => {
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
    Ok(Tensor::cat(&parts, 0))
}

/// Sentences of about one length. Ids are `[rows, tokens]`; where rows are padded, the mask is what to add
/// to the attention scores, `[rows, 1, 1, tokens]`: 0, or a large negative number at padding.
#[derive(Debug)]
struct Chunk {
    ids: Tensor,
    mask: Option<Tensor>,
}

impl Chunk {
    /// Rows of ids, padded with 0 at their ends to the longest.
    fn new(rows: &[&[u32]]) -> Chunk {
        let longest = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let padded = rows.iter().any(|row| row.len() != longest);
        let mut ids = Vec::with_capacity(rows.len() * longest);
        let mut mask = Vec::with_capacity(if padded { ids.capacity() } else { 0 });
        for row in rows {
            let fill = longest - row.len();
            ids.extend(row.iter().map(|&id| i64::from(id)).chain(std::iter::repeat_n(0, fill)));
            if padded {
                mask.extend(std::iter::repeat_n(0f32, row.len()).chain(std::iter::repeat_n(-1e4, fill)));
            }
        }
        let (count, longest) = (rows.len() as i64, longest as i64);
        let mask = padded.then(|| Tensor::from_slice(&mask).view([count, 1, 1, longest]));
        Chunk { ids: Tensor::from_slice(&ids).view([count, longest]), mask }
    }
}

/// Sentences of a batch, story by story; a sentence that stands alone is a story of one.
#[derive(Debug)]
pub(crate) struct Input {
    chunks: Vec<Chunk>,
    /// For each sentence its row among those of all chunks; none if that is its own number.
    gather: Option<Tensor>,
    packing: Packing,
}

/// Stories side by side, as libtorch's recurrent layers want them: the first sentences of all stories,
/// longest story first, then the second ones, and so on.
#[derive(Debug)]
struct Packing {
    pack: Tensor,
    unpack: Tensor,
    sizes: Tensor,
}

/// Tokens of a chunk, padding counted: less makes less padding but smaller matrix products.
const CHUNK_TOKENS: usize = 640;

impl Input {
    pub(crate) fn new(stories: &[Vec<&[u32]>]) -> Input {
        let sentences: Vec<&[u32]> = stories.iter().flatten().copied().collect();
        let lengths: Vec<usize> = sentences.iter().map(|ids| ids.len()).collect();
        let alone = stories.iter().all(|story| story.len() == 1);
        let (chunks, gather) = if alone {
            (vec![Chunk::new(&sentences)], None)
        } else {
            let parts = buckets(&lengths, CHUNK_TOKENS);
            let mut rows = vec![0i64; sentences.len()];
            parts.iter().flatten().enumerate().for_each(|(row, &sentence)| rows[sentence] = row as i64);
            let chunk = |part: &Vec<usize>| Chunk::new(&part.iter().map(|&at| sentences[at]).collect::<Vec<_>>());
            (parts.iter().map(chunk).collect(), Some(Tensor::from_slice(&rows)))
        };
        let counts: Vec<usize> = stories.iter().map(Vec::len).collect();
        Input { chunks, gather, packing: Packing::new(&counts) }
    }
}

impl Packing {
    fn new(counts: &[usize]) -> Packing {
        let (pack, sizes) = packed_order(counts);
        let mut unpack = vec![0i64; pack.len()];
        pack.iter().enumerate().for_each(|(row, &sentence)| unpack[sentence as usize] = row as i64);
        Packing {
            pack: Tensor::from_slice(&pack),
            unpack: Tensor::from_slice(&unpack),
            sizes: Tensor::from_slice(&sizes),
        }
    }
}

/// Numbers of the sentences in packed order, and how many stories have a first, a second ... sentence.
fn packed_order(counts: &[usize]) -> (Vec<i64>, Vec<i64>) {
    let mut stories: Vec<(usize, usize)> = Vec::with_capacity(counts.len());
    let mut start = 0;
    for &count in counts {
        stories.push((start, count));
        start += count;
    }
    stories.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let (mut order, mut sizes) = (Vec::with_capacity(start), Vec::new());
    for step in 0..stories.first().map_or(0, |&(_, count)| count) {
        let there = stories.iter().take_while(|&&(_, count)| count > step);
        let before = order.len();
        order.extend(there.map(|&(start, _)| (start + step) as i64));
        sizes.push((order.len() - before) as i64);
    }
    (order, sizes)
}

/// What the model says of a batch, in f32.
#[derive(Debug)]
pub(crate) struct Output {
    /// The pooled first token, `[rows, hidden]`.
    pub(crate) pooled: Tensor,
    /// Logits of negative, neutral, positive, `[rows, 3]`.
    pub(crate) sentiment: Tensor,
    /// Logits of the event labels, `[rows, 72]`.
    pub(crate) events: Tensor,
}

/// Names of the tensors of a model, resolved to places among its leaves.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    config: Config,
    context: i64,
    places: HashMap<String, usize>,
    dropout: f64,
    /// What the encoder computes in; sums of products are f32 in either.
    kind: Kind,
}

impl Network {
    pub(crate) fn new(config: &Config, context: i64, layout: &Layout, dropout: f64, kind: Kind) -> Result<Network> {
        let mut places = HashMap::new();
        for slot in &layout.slots {
            places.insert(slot.name.clone(), layout.position(&slot.name)?);
        }
        Ok(Network { config: config.clone(), context, places, dropout, kind })
    }

    /// Runs a batch. `tensors` are in the order of the layout. Rows of the output are in the order of the
    /// sentences of the input.
    pub(crate) fn forward(&self, tensors: &[Tensor], input: &Input, train: bool) -> Output {
        let of = |name: &str| tensors[self.places[name]].shallow_clone();
        let drop = |x: Tensor| if train && self.dropout > 0.0 { x.dropout(self.dropout, true) } else { x };
        let cast: Vec<Tensor> = tensors.iter().map(|tensor| tensor.to_kind(self.kind)).collect();
        let pooled: Vec<Tensor> = input.chunks.iter().map(|chunk| self.encode(tensors, &cast, chunk, train)).collect();
        let mut pooled = Tensor::cat(&pooled, 0);
        if let Some(gather) = &input.gather {
            pooled = pooled.index_select(0, gather);
        }
        let seen = drop(pooled.shallow_clone());
        let head = |name: &str| seen.linear(&of(&format!("{name}.weight")), Some(&of(&format!("{name}.bias"))));
        let (mut sentiment, mut events) = (head("sentiment"), head("events"));
        if self.context > 0 {
            let around = drop(self.around(&of, &seen, &input.packing, train));
            sentiment += around.linear::<&Tensor>(&of("context.sentiment.weight"), None);
            events += around.linear::<&Tensor>(&of("context.events.weight"), None);
        }
        Output { sentiment, events, pooled }
    }

    /// The recurrent layer over the sentence vectors of each story, both ways: `[sentences, 2 * context]`.
    fn around(&self, of: &dyn Fn(&str) -> Tensor, seen: &Tensor, packing: &Packing, train: bool) -> Tensor {
        let mut weights = Vec::with_capacity(8);
        for way in ["", "_reverse"] {
            for part in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] {
                weights.push(of(&format!("context.gru.{part}_l0{way}")));
            }
        }
        let stories = i64::try_from(&packing.sizes.get(0)).unwrap_or(0);
        let start = Tensor::zeros([2, stories, self.context], (Kind::Float, Device::Cpu));
        let packed = seen.index_select(0, &packing.pack);
        let (states, _) = Tensor::gru_data(&packed, &packing.sizes, &start, &weights, true, 1, 0.0, train, true);
        states.index_select(0, &packing.unpack)
    }

    /// The pooled first tokens of a chunk, `[rows, hidden]`, in f32.
    fn encode(&self, tensors: &[Tensor], cast: &[Tensor], input: &Chunk, train: bool) -> Tensor {
        let of = |name: &str| tensors[self.places[name]].shallow_clone();
        let cast = |name: &str| &cast[self.places[name]];
        let linear = |x: &Tensor, name: &str| {
            x.linear(cast(&format!("{name}.weight")), Some(cast(&format!("{name}.bias"))))
        };
        let hidden = self.config.hidden_size;
        let norm = |x: &Tensor, name: &str| {
            let (weight, bias) = (cast(&format!("{name}.weight")), cast(&format!("{name}.bias")));
            x.layer_norm([hidden], Some(weight), Some(bias), self.config.layer_norm_eps, false)
        };
        let drop = |x: Tensor| if train && self.dropout > 0.0 { x.dropout(self.dropout, true) } else { x };

        let size = input.ids.size();
        let (rows, tokens) = (size[0], size[1]);
        let word = Tensor::embedding(&of("bert.embeddings.word_embeddings.weight"), &input.ids, -1, false, false);
        let position = of("bert.embeddings.position_embeddings.weight").narrow(0, 0, tokens);
        let token_type = of("bert.embeddings.token_type_embeddings.weight").narrow(0, 0, 1);
        let sum = (word + (position + token_type)).to_kind(self.kind);
        let mut x = drop(norm(&sum, "bert.embeddings.LayerNorm"));

        let heads = self.config.num_attention_heads;
        let width = hidden / heads;
        let scale = 1.0 / (width as f64).sqrt();
        let mask = input.mask.as_ref().map(|mask| mask.to_kind(self.kind));
        let split = |x: Tensor| x.view([rows, tokens, heads, width]).transpose(1, 2);
        for layer in 0..self.config.num_hidden_layers {
            let name = |part: &str| format!("bert.encoder.layer.{layer}.{part}");
            let query = split(linear(&x, &name("attention.self.query")) * scale);
            let key = split(linear(&x, &name("attention.self.key")));
            let value = split(linear(&x, &name("attention.self.value")));
            let mut scores = query.matmul(&key.transpose(-1, -2));
            if let Some(mask) = &mask {
                scores += mask;
            }
            let mixed = scores.softmax(-1, None::<Kind>).matmul(&value);
            let mixed = mixed.transpose(1, 2).reshape([rows, tokens, hidden]);
            let attended = drop(linear(&mixed, &name("attention.output.dense")));
            x = norm(&(x + attended), &name("attention.output.LayerNorm"));
            let inner = linear(&x, &name("intermediate.dense")).gelu("none");
            let outer = drop(linear(&inner, &name("output.dense")));
            x = norm(&(x + outer), &name("output.LayerNorm"));
        }
        linear(&x.select(1, 0), "bert.pooler.dense").tanh().to_kind(Kind::Float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.reshape([-1])).unwrap()
    }

    fn network(context: i64) -> (Network, Vec<Tensor>) {
        tch::manual_seed(4);
        let layout = Layout::new(&small(), context);
        let flat = Tensor::randn([layout.len()], (Kind::Float, Device::Cpu)) * 0.3;
        (Network::new(&small(), context, &layout, 0.1, Kind::Float).unwrap(), layout.leaves(&flat))
    }

    #[test]
    fn padding_does_not_move_a_sentence() {
        let (network, leaves) = network(0);
        let (short, long): (&[u32], &[u32]) = (&[2, 5, 3], &[2, 7, 8, 9, 10, 11, 3]);
        let alone = network.forward(&leaves, &Input::new(&[vec![short]]), false);
        let beside = network.forward(&leaves, &Input::new(&[vec![short], vec![long]]), false);
        for (a, b) in numbers(&alone.events).iter().zip(numbers(&beside.events.select(0, 0))) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn stories_do_not_see_one_another_and_sentences_see_their_neighbours() {
        let (network, leaves) = network(3);
        let (a, b, c): (&[u32], &[u32], &[u32]) = (&[2, 5, 3], &[2, 7, 8, 9, 3], &[2, 11, 3]);
        let alone = network.forward(&leaves, &Input::new(&[vec![a, b, c]]), false);
        let beside = network.forward(&leaves, &Input::new(&[vec![c, b], vec![a, b, c], vec![b]]), false);
        for (x, y) in numbers(&alone.sentiment).iter().zip(numbers(&beside.sentiment.narrow(0, 2, 3))) {
            assert!((x - y).abs() < 1e-4, "{x} {y}");
        }
        let other = network.forward(&leaves, &Input::new(&[vec![a, b, b]]), false);
        let moved = (alone.sentiment - other.sentiment).select(0, 0).abs().max().double_value(&[]);
        assert!(moved > 1e-4, "the first sentence does not see the last");
    }

    #[test]
    fn packing_takes_longest_stories_first() {
        assert_eq!(packed_order(&[1, 3, 2]), (vec![1, 4, 0, 2, 5, 3], vec![3, 2, 1]));
        assert_eq!(packed_order(&[]), (vec![], vec![]));
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
    fn other_architectures_are_refused() {
        let json = serde_json::json!({"model_type": "roberta"});
        let error = Config::from_json(&json).unwrap_err().to_string();
        assert!(error.contains("roberta"), "{error}");
    }
}
