//! The encoder, its heads, and the recurrent stage between them.
//!
//! Written out on tensors instead of taken from rust-bert, because a run on a CPU needs what a module with
//! its own f32 variables does not give: products in bfloat16 from f32 weights, and several workers that
//! compute gradients on the same weights. The exported files load into rust-bert's `BertModel` unchanged.

use std::collections::HashMap;

use tch::{Device, Kind, Tensor};

use crate::input::{Chunk, Input, Packing};
use crate::layout::{Config, Layout, Slot};
use crate::precision::{is_dense, straight_through};

/// What the model says of a batch, in f32.
#[derive(Debug)]
pub(crate) struct Output {
    /// Logits of negative, neutral, positive, `[rows, 3]`.
    pub(crate) sentiment: Tensor,
    /// Logits of the event labels, `[rows, 72]`.
    pub(crate) events: Tensor,
    /// Logits of telling of an interaction, `[rows]`.
    pub(crate) told: Tensor,
}

/// Names of the tensors of a model, resolved to places among its leaves.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    config: Config,
    context: i64,
    places: HashMap<String, usize>,
    /// Tensors that are looked up or used in f32, so that no copy in `kind` is needed.
    lookup: Vec<bool>,
    /// Matrices that the int8 engine rounds.
    dense: Vec<bool>,
    /// Whether to compute with those matrices rounded.
    int8: bool,
    dropout: f64,
    /// Share of the words that are left out in training: of them only the place is seen.
    word_dropout: f64,
    /// What the encoder computes in; sums of products are f32 in either.
    kind: Kind,
}

impl Network {
    /// A network whose tensors lie as `layout` says, with `context` recurrent units each way.
    pub(crate) fn new(config: &Config, context: i64, layout: &Layout, dropout: f64, kind: Kind) -> Network {
        let places =
            layout.slots.iter().enumerate().map(|(place, slot)| (slot.name.clone(), place)).collect();
        let lookup = |slot: &Slot| slot.group.head || slot.name.ends_with("_embeddings.weight");
        let lookup: Vec<bool> = layout.slots.iter().map(lookup).collect();
        let dense = layout.slots.iter().map(is_dense).collect();
        Network {
            config: config.clone(),
            context,
            places,
            lookup,
            dense,
            int8: false,
            dropout,
            word_dropout: 0.0,
            kind,
        }
    }

    /// The network with the matrices of its dense layers rounded as for the int8 engine.
    pub(crate) fn with_int8(mut self, int8: bool) -> Network {
        self.int8 = int8;
        self
    }

    /// The network with this share of the words left out in training.
    pub(crate) fn with_word_dropout(mut self, share: f64) -> Network {
        self.word_dropout = share;
        self
    }

    /// Runs a batch. `tensors` are in the order of the layout. Rows of the output are in the order of the
    /// sentences of the input.
    pub(crate) fn forward(&self, tensors: &[Tensor], input: &Input, train: bool) -> Output {
        let of = |name: &str| tensors[self.places[name]].shallow_clone();
        let drop = |x: Tensor| if train && self.dropout > 0.0 { x.dropout(self.dropout, true) } else { x };
        let cast: Vec<Tensor> = (tensors.iter().zip(self.lookup.iter().zip(&self.dense)))
            .map(|(tensor, (&lookup, &dense))| match (lookup, self.int8 && dense) {
                (true, _) => tensor.shallow_clone(),
                (false, true) => straight_through(tensor).to_kind(self.kind),
                (false, false) => tensor.to_kind(self.kind),
            })
            .collect();
        let pooled: Vec<Tensor> =
            input.chunks.iter().map(|chunk| self.encode(tensors, &cast, chunk, train)).collect();
        let mut pooled = Tensor::cat(&pooled, 0);
        if let Some(gather) = &input.gather {
            pooled = pooled.index_select(0, gather);
        }
        let seen = drop(pooled);
        let head =
            |name: &str| seen.linear(&of(&format!("{name}.weight")), Some(&of(&format!("{name}.bias"))));
        let (mut sentiment, mut events, mut told) = (head("sentiment"), head("events"), head("told"));
        if self.context > 0 {
            let around = drop(self.around(&of, &seen, &input.packing, train));
            sentiment += around.linear::<&Tensor>(&of("context.sentiment.weight"), None);
            events += around.linear::<&Tensor>(&of("context.events.weight"), None);
            told += around.linear::<&Tensor>(&of("context.told.weight"), None);
        }
        Output { sentiment, events, told: told.squeeze_dim(-1) }
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
        let (states, _) =
            Tensor::gru_data(&packed, &packing.sizes, &start, &weights, true, 1, 0.0, train, true);
        states.index_select(0, &packing.unpack)
    }

    /// The pooled first tokens of a chunk, `[rows, hidden]`, in f32.
    fn encode(&self, tensors: &[Tensor], cast: &[Tensor], chunk: &Chunk, train: bool) -> Tensor {
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

        let size = chunk.ids.size();
        let (rows, tokens) = (size[0], size[1]);
        let mut word =
            Tensor::embedding(&of("bert.embeddings.word_embeddings.weight"), &chunk.ids, -1, false, false);
        if train && self.word_dropout > 0.0 {
            let stays = Tensor::rand([rows, tokens, 1], (Kind::Float, Device::Cpu)).ge(self.word_dropout);
            word *= stays.to_kind(Kind::Float);
        }
        let position = of("bert.embeddings.position_embeddings.weight").narrow(0, 0, tokens);
        let token_type = of("bert.embeddings.token_type_embeddings.weight").narrow(0, 0, 1);
        let sum = (word + (position + token_type)).to_kind(self.kind);
        let mut x = drop(norm(&sum, "bert.embeddings.LayerNorm"));

        let heads = self.config.num_attention_heads;
        let width = hidden / heads;
        let scale = 1.0 / (width as f64).sqrt();
        let mask = chunk.mask.as_ref().map(|mask| mask.to_kind(self.kind));
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
    use crate::layout::tests::small;

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.reshape([-1])).unwrap()
    }

    fn network(context: i64) -> (Network, Vec<Tensor>) {
        tch::manual_seed(4);
        let layout = Layout::new(&small(), context);
        let flat = Tensor::randn([layout.len()], (Kind::Float, Device::Cpu)) * 0.3;
        (Network::new(&small(), context, &layout, 0.1, Kind::Float), layout.leaves(&flat))
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
    fn words_are_left_out_in_training_only() {
        let (network, leaves) = network(0);
        let ids: Vec<u32> = (0..12).collect();
        let input = Input::new(&[vec![&ids[..]]]);
        let run = |share: f64, train: bool| {
            let mut network = network.clone().with_word_dropout(share);
            network.dropout = 0.0;
            tch::manual_seed(9);
            numbers(&network.forward(&leaves, &input, train).events)
        };
        let whole = run(0.0, true);
        assert_eq!(run(0.5, false), whole);
        assert_ne!(run(0.5, true), whole);
        assert_eq!(run(0.5, true), run(0.5, true));
        // Without any word all sentences of one length are the same.
        let none = run(1.0, true);
        let other: Vec<u32> = ids.iter().rev().copied().collect();
        let mut network = network.clone().with_word_dropout(1.0);
        network.dropout = 0.0;
        assert_eq!(numbers(&network.forward(&leaves, &Input::new(&[vec![&other[..]]]), true).events), none);
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
}
