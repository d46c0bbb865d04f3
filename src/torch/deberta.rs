//! DeBERTa for sentence classification: v1 (He and others, 2020), v2 and v3 (He and others, 2021).
//!
//! rust-bert 0.23 has these architectures too, but computes other numbers than the library that the checkpoints
//! are from: with the small checkpoints of `tests/fixtures/torch/` its logits are off by up to 1.1 (v1) and 0.5
//! (v2). Its v1 takes the number of heads for the number of tokens, so that all distances beyond 12 (in a model of
//! base size) fall together. Its v2 looks the distance from content to position up without moving it to the middle
//! of the table, so that all positions to one side fall together, and divides both position scores by the square
//! of what they should be divided by. No weights can make up for that, so these are written on tch alone, with the
//! same tensor names. One difference between the generations remains in [`Projections`]; the others are in the
//! configuration.

use serde::Deserialize;
use tch::nn::{self, Module};
use tch::{Kind, Tensor};

use rust_bert::Activation;

/// Which of the two ways to project queries, keys and values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Generation {
    /// Model type `deberta`.
    One,
    /// Model type `deberta-v2`.
    Two,
}

/// What `config.json` says, under its names there.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct DebertaConfig {
    vocab_size: i64,
    hidden_size: i64,
    embedding_size: Option<i64>,
    num_hidden_layers: i64,
    num_attention_heads: i64,
    intermediate_size: i64,
    hidden_act: Activation,
    max_position_embeddings: i64,
    #[serde(default)]
    type_vocab_size: i64,
    #[serde(default = "small")]
    layer_norm_eps: f64,
    #[serde(default)]
    relative_attention: bool,
    #[serde(default = "without")]
    max_relative_positions: i64,
    #[serde(default = "without")]
    position_buckets: i64,
    #[serde(default = "yes")]
    position_biased_input: bool,
    #[serde(default)]
    pos_att_type: Kinds,
    #[serde(default)]
    share_att_key: bool,
    #[serde(default)]
    norm_rel_ebd: Option<String>,
    #[serde(default)]
    conv_kernel_size: i64,
    #[serde(default = "one")]
    conv_groups: i64,
    #[serde(default)]
    conv_act: Option<Activation>,
    pooler_hidden_size: Option<i64>,
    #[serde(default)]
    pooler_hidden_act: Option<Activation>,
}

fn small() -> f64 {
    1e-7
}

fn without() -> i64 {
    -1
}

fn yes() -> bool {
    true
}

fn one() -> i64 {
    1
}

/// Kinds of position attention: a list, or one string with `|` between them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Kinds {
    Several(Vec<String>),
    Joined(String),
}

impl Default for Kinds {
    fn default() -> Self {
        Kinds::Several(Vec::new())
    }
}

impl DebertaConfig {
    fn attends(&self, kind: &str) -> bool {
        let found = match &self.pos_att_type {
            Kinds::Several(kinds) => kinds.iter().any(|known| known == kind),
            Kinds::Joined(kinds) => kinds.split('|').any(|known| known == kind),
        };
        self.relative_attention && found
    }

    fn furthest(&self) -> i64 {
        if self.max_relative_positions < 1 {
            self.max_position_embeddings
        } else {
            self.max_relative_positions
        }
    }

    /// How many relative positions there are to each side.
    fn span(&self) -> i64 {
        if self.position_buckets > 0 { self.position_buckets } else { self.furthest() }
    }

    fn norm(&self, path: nn::Path<'_>) -> nn::LayerNorm {
        let config = nn::LayerNormConfig { eps: self.layer_norm_eps, ..Default::default() };
        nn::layer_norm(path, vec![self.hidden_size], config)
    }
}

type Function = fn(&Tensor) -> Tensor;

/// The functions of transformers under rust-bert's names for them.
fn function(activation: Activation) -> Function {
    match activation {
        Activation::gelu => |x| x.gelu("none"),
        Activation::gelu_new => |x| x.gelu("tanh"),
        Activation::relu => Tensor::relu,
        Activation::swish => Tensor::silu,
        Activation::mish => Tensor::mish,
        Activation::tanh => Tensor::tanh,
        Activation::identity => Tensor::shallow_clone,
    }
}

/// Encoder, pooler and classifier.
pub(super) struct Deberta {
    words: nn::Embedding,
    positions: Option<nn::Embedding>,
    types: Option<nn::Embedding>,
    projection: Option<nn::Linear>,
    norm: nn::LayerNorm,
    distances: Option<Distances>,
    layers: Vec<Layer>,
    convolution: Option<Convolution>,
    pooler: nn::Linear,
    pooler_act: Function,
    classifier: nn::Linear,
}

impl Deberta {
    pub(super) fn new(
        root: &nn::Path<'_>,
        config: &DebertaConfig,
        generation: Generation,
        classes: i64,
    ) -> Self {
        let width = config.hidden_size;
        let narrow = config.embedding_size.unwrap_or(width);
        let embeddings = root / "deberta" / "embeddings";
        let embed = |name, count| nn::embedding(&embeddings / name, count, narrow, Default::default());
        let encoder = root / "deberta" / "encoder";
        let pooled = config.pooler_hidden_size.unwrap_or(width);
        let no_bias = nn::LinearConfig { bias: false, ..Default::default() };
        Deberta {
            words: embed("word_embeddings", config.vocab_size),
            positions: config
                .position_biased_input
                .then(|| embed("position_embeddings", config.max_position_embeddings)),
            types: (config.type_vocab_size > 0)
                .then(|| embed("token_type_embeddings", config.type_vocab_size)),
            projection: (narrow != width)
                .then(|| nn::linear(&embeddings / "embed_proj", narrow, width, no_bias)),
            norm: config.norm(&embeddings / "LayerNorm"),
            distances: config.relative_attention.then(|| Distances::new(&encoder, config)),
            layers: (0..config.num_hidden_layers)
                .map(|number| Layer::new(&(&encoder / "layer" / number), config, generation))
                .collect(),
            convolution: (config.conv_kernel_size > 0)
                .then(|| Convolution::new(&(&encoder / "conv"), config)),
            pooler: nn::linear(root / "pooler" / "dense", pooled, pooled, Default::default()),
            pooler_act: function(config.pooler_hidden_act.unwrap_or(Activation::gelu)),
            classifier: nn::linear(root / "classifier", pooled, classes, Default::default()),
        }
    }

    /// Logits `[batch, classes]` of token ids and mask, both `[batch, tokens]`.
    pub(super) fn forward(&self, ids: &Tensor, mask: &Tensor) -> Tensor {
        let tokens = ids.size()[1];
        let mut hidden = self.words.forward(ids);
        if let Some(positions) = &self.positions {
            let order = Tensor::arange(tokens, (Kind::Int64, ids.device())).unsqueeze(0);
            hidden += positions.forward(&order);
        }
        if let Some(types) = &self.types {
            hidden += types.forward(&ids.zeros_like());
        }
        if let Some(projection) = &self.projection {
            hidden = projection.forward(&hidden);
        }
        let kept = mask.unsqueeze(-1).to_kind(hidden.kind());
        let embedded = self.norm.forward(&hidden) * &kept;

        let distances = self.distances.as_ref().map(|distances| distances.look_up(tokens));
        // [batch, 1, tokens, tokens]: where one of the two is padding.
        let pairs = mask.unsqueeze(1).unsqueeze(-1) * mask.unsqueeze(1).unsqueeze(2);
        let hidden_pairs = pairs.eq(0);
        let mut hidden = embedded.shallow_clone();
        for (number, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(&hidden, &hidden_pairs, distances.as_ref());
            if let (0, Some(convolution)) = (number, &self.convolution) {
                hidden = convolution.forward(&embedded, &hidden, &kept);
            }
        }
        let first = self.pooler.forward(&hidden.select(1, 0));
        self.classifier.forward(&(self.pooler_act)(&first))
    }
}

/// The embeddings of relative positions.
struct Distances {
    table: nn::Embedding,
    norm: Option<nn::LayerNorm>,
    span: i64,
    buckets: i64,
    furthest: i64,
}

/// The relative positions of one length.
struct Located {
    /// `[2 * span, width]`
    embeddings: Tensor,
    /// `[tokens, tokens]`: the row for query and key.
    content_to_position: Tensor,
    /// `[tokens, tokens]`: the row for key and query.
    position_to_content: Tensor,
}

impl Distances {
    fn new(encoder: &nn::Path<'_>, config: &DebertaConfig) -> Self {
        let span = config.span();
        let rows = 2 * span;
        let normed = config.norm_rel_ebd.as_ref().is_some_and(|kind| kind.contains("layer_norm"));
        Distances {
            table: nn::embedding(encoder / "rel_embeddings", rows, config.hidden_size, Default::default()),
            norm: normed.then(|| config.norm(encoder / "LayerNorm")),
            span,
            buckets: config.position_buckets,
            furthest: config.furthest(),
        }
    }

    fn look_up(&self, tokens: i64) -> Located {
        let embeddings = match &self.norm {
            Some(norm) => norm.forward(&self.table.ws),
            None => self.table.ws.shallow_clone(),
        };
        let rows = |sign: i64| {
            let of = |pair: i64| {
                let distance = bucket(pair / tokens - pair % tokens, self.buckets, self.furthest);
                (sign * distance + self.span).clamp(0, 2 * self.span - 1)
            };
            let rows: Vec<i64> = (0..tokens * tokens).map(of).collect();
            Tensor::from_slice(&rows).view([tokens, tokens]).to(embeddings.device())
        };
        Located { content_to_position: rows(1), position_to_content: rows(-1), embeddings }
    }
}

/// The bucket of a relative position: near ones have their own, further ones share ever wider ones.
fn bucket(distance: i64, buckets: i64, furthest: i64) -> i64 {
    let middle = buckets / 2;
    if buckets <= 0 || furthest <= 0 || distance.abs() <= middle {
        return distance;
    }
    let ratio = |far: f32| (far / middle as f32).ln();
    let share = ratio(distance.abs() as f32) / ratio((furthest - 1) as f32);
    let steps = (share * (middle - 1) as f32).ceil() as i64;
    (middle + steps) * distance.signum()
}

/// From hidden states, and from the embeddings of distances, to queries, keys and values.
struct Projections {
    content: Content,
    /// Of distances; `None` where there is no such term, or where those of the content serve for both.
    position_key: Option<nn::Linear>,
    position_query: Option<nn::Linear>,
    heads: i64,
}

enum Content {
    /// One matrix for all three, head by head, and biases of their own for queries and values.
    Joined {
        all: nn::Linear,
        query_bias: Tensor,
        value_bias: Tensor,
    },
    Apart {
        query: nn::Linear,
        key: nn::Linear,
        value: nn::Linear,
    },
}

impl Projections {
    fn new(path: &nn::Path<'_>, config: &DebertaConfig, generation: Generation) -> Self {
        let width = config.hidden_size;
        let linear = |name, size, bias| {
            let config = nn::LinearConfig { bias, ..Default::default() };
            nn::linear(path / name, width, size, config)
        };
        let (key, query) = (config.attends("c2p"), config.attends("p2c"));
        let heads = config.num_attention_heads;
        match generation {
            Generation::One => Projections {
                content: Content::Joined {
                    all: linear("in_proj", 3 * width, false),
                    query_bias: path.var("q_bias", &[width], nn::Init::Const(0.0)),
                    value_bias: path.var("v_bias", &[width], nn::Init::Const(0.0)),
                },
                position_key: key.then(|| linear("pos_proj", width, false)),
                position_query: query.then(|| linear("pos_q_proj", width, true)),
                heads,
            },
            Generation::Two => Projections {
                content: Content::Apart {
                    query: linear("query_proj", width, true),
                    key: linear("key_proj", width, true),
                    value: linear("value_proj", width, true),
                },
                position_key: (key && !config.share_att_key).then(|| linear("pos_key_proj", width, true)),
                position_query: (query && !config.share_att_key)
                    .then(|| linear("pos_query_proj", width, true)),
                heads,
            },
        }
    }

    /// `[batch, tokens, width]` to `[batch, heads, tokens, width / heads]`.
    fn split(&self, x: &Tensor) -> Tensor {
        let size = x.size();
        x.view([size[0], size[1], self.heads, size[2] / self.heads]).transpose(1, 2)
    }

    /// Queries, keys and values of hidden states.
    fn content(&self, hidden: &Tensor) -> [Tensor; 3] {
        match &self.content {
            Content::Joined { all, query_bias, value_bias } => {
                let all = self.split(&all.forward(hidden));
                let size = all.size()[3] / 3;
                let part = |number: i64| all.narrow(3, number * size, size);
                let bias = |bias: &Tensor| self.split(&bias.view([1, 1, -1]));
                [part(0) + bias(query_bias), part(1), part(2) + bias(value_bias)]
            }
            Content::Apart { query, key, value } => {
                [query, key, value].map(|linear| self.split(&linear.forward(hidden)))
            }
        }
    }

    /// Keys of distances, `[1, heads, 2 * span, width / heads]`.
    fn position_keys(&self, distances: &Tensor) -> Option<Tensor> {
        let shared = match &self.content {
            Content::Apart { key, .. } => Some(key),
            Content::Joined { .. } => None,
        };
        self.position_key.as_ref().or(shared).map(|linear| self.split(&linear.forward(distances)))
    }

    /// Queries of distances, `[1, heads, 2 * span, width / heads]`.
    fn position_queries(&self, distances: &Tensor) -> Option<Tensor> {
        let shared = match &self.content {
            Content::Apart { query, .. } => Some(query),
            Content::Joined { .. } => None,
        };
        self.position_query.as_ref().or(shared).map(|linear| self.split(&linear.forward(distances)))
    }
}

struct Layer {
    projections: Projections,
    content_to_position: bool,
    position_to_content: bool,
    attention_output: nn::Linear,
    attention_norm: nn::LayerNorm,
    intermediate: nn::Linear,
    act: Function,
    output: nn::Linear,
    norm: nn::LayerNorm,
}

impl Layer {
    fn new(path: &nn::Path<'_>, config: &DebertaConfig, generation: Generation) -> Self {
        let (width, wide) = (config.hidden_size, config.intermediate_size);
        let attention = path / "attention";
        Layer {
            projections: Projections::new(&(&attention / "self"), config, generation),
            content_to_position: config.attends("c2p"),
            position_to_content: config.attends("p2c"),
            attention_output: nn::linear(&attention / "output" / "dense", width, width, Default::default()),
            attention_norm: config.norm(&attention / "output" / "LayerNorm"),
            intermediate: nn::linear(path / "intermediate" / "dense", width, wide, Default::default()),
            act: function(config.hidden_act),
            output: nn::linear(path / "output" / "dense", wide, width, Default::default()),
            norm: config.norm(path / "output" / "LayerNorm"),
        }
    }

    /// `masked` is true for the pairs of query and key to leave out, `[batch, 1, tokens, tokens]`.
    fn forward(&self, hidden: &Tensor, masked: &Tensor, distances: Option<&Located>) -> Tensor {
        let [query, key, value] = self.projections.content(hidden);
        let size = query.size();
        let terms = 1 + i64::from(self.content_to_position) + i64::from(self.position_to_content);
        let scale = ((size[3] * terms) as f64).sqrt();
        let mut scores = query.matmul(&(key.transpose(-1, -2) / scale));
        if let Some(located) = distances {
            let rows = |index: &Tensor| index.expand([size[0], size[1], size[2], size[2]], false);
            let embeddings = located.embeddings.unsqueeze(0);
            let keys =
                if self.content_to_position { self.projections.position_keys(&embeddings) } else { None };
            if let Some(keys) = keys {
                let all = query.matmul(&keys.transpose(-1, -2));
                scores += all.gather(-1, &rows(&located.content_to_position), false) / scale;
            }
            let queries =
                if self.position_to_content { self.projections.position_queries(&embeddings) } else { None };
            if let Some(queries) = queries {
                let all = key.matmul(&queries.transpose(-1, -2));
                scores +=
                    all.gather(-1, &rows(&located.position_to_content), false).transpose(-1, -2) / scale;
            }
        }
        // Rows of padding are masked whole: a large number instead of infinity keeps them finite.
        let lowest = if scores.kind() == Kind::Half { -6e4 } else { -1e30 };
        let shares = scores.masked_fill(masked, lowest).softmax(-1, scores.kind()).masked_fill(masked, 0.0);
        let context = shares.matmul(&value).transpose(1, 2).contiguous().view_as(hidden);
        let attended = self.attention_norm.forward(&(self.attention_output.forward(&context) + hidden));
        let wide = (self.act)(&self.intermediate.forward(&attended));
        self.norm.forward(&(self.output.forward(&wide) + attended))
    }
}

/// A convolution over the embeddings, added to what the first layer gives.
struct Convolution {
    conv: nn::Conv1D,
    norm: nn::LayerNorm,
    act: Function,
}

impl Convolution {
    fn new(path: &nn::Path<'_>, config: &DebertaConfig) -> Self {
        let (width, kernel) = (config.hidden_size, config.conv_kernel_size);
        let shape =
            nn::ConvConfig { padding: (kernel - 1) / 2, groups: config.conv_groups, ..Default::default() };
        Convolution {
            conv: nn::conv1d(path / "conv", width, width, kernel, shape),
            norm: config.norm(path / "LayerNorm"),
            act: function(config.conv_act.unwrap_or(Activation::tanh)),
        }
    }

    /// `kept` is 1 for tokens and 0 for padding, `[batch, tokens, 1]`.
    fn forward(&self, embedded: &Tensor, hidden: &Tensor, kept: &Tensor) -> Tensor {
        let found = self.conv.forward(&embedded.transpose(1, 2)).transpose(1, 2) * kept;
        self.norm.forward(&(hidden + (self.act)(&found))) * kept
    }
}
