//! DeBERTa v2 and v3 for sentence classification (He and others, 2021; He and others, 2023).
//!
//! rust-bert 0.23 has this architecture too, but its content-to-position scores look the relative distance up
//! without moving it to the middle of the table (all positions to the right fall together), and it divides both
//! position scores by the square of what they should be divided by. The logits are then those of another model.
//! So this one is written on tch alone, with the same tensor names.

use serde::Deserialize;
use tch::nn::{self, Module};
use tch::{Kind, Tensor};

use rust_bert::Activation;

/// What `config.json` says, under its names there.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct DebertaV2Config {
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

impl DebertaV2Config {
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
pub(super) struct DebertaV2 {
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

impl DebertaV2 {
    pub(super) fn new(root: &nn::Path<'_>, config: &DebertaV2Config, classes: i64) -> Self {
        let width = config.hidden_size;
        let narrow = config.embedding_size.unwrap_or(width);
        let embeddings = root / "deberta" / "embeddings";
        let embed = |name, count| nn::embedding(&embeddings / name, count, narrow, Default::default());
        let encoder = root / "deberta" / "encoder";
        let pooled = config.pooler_hidden_size.unwrap_or(width);
        let no_bias = nn::LinearConfig { bias: false, ..Default::default() };
        DebertaV2 {
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
                .map(|number| Layer::new(&(&encoder / "layer" / number), config))
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
    fn new(encoder: &nn::Path<'_>, config: &DebertaV2Config) -> Self {
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

struct Layer {
    query: nn::Linear,
    key: nn::Linear,
    value: nn::Linear,
    /// Projections of the relative positions; `None` where those of the content serve for both.
    position_key: Option<nn::Linear>,
    position_query: Option<nn::Linear>,
    content_to_position: bool,
    position_to_content: bool,
    heads: i64,
    attention_output: nn::Linear,
    attention_norm: nn::LayerNorm,
    intermediate: nn::Linear,
    act: Function,
    output: nn::Linear,
    norm: nn::LayerNorm,
}

impl Layer {
    fn new(path: &nn::Path<'_>, config: &DebertaV2Config) -> Self {
        let (width, wide) = (config.hidden_size, config.intermediate_size);
        let attention = path / "attention";
        let own = attention.clone() / "self";
        let square = |name| nn::linear(&own / name, width, width, Default::default());
        let content_to_position = config.attends("c2p");
        let position_to_content = config.attends("p2c");
        Layer {
            query: square("query_proj"),
            key: square("key_proj"),
            value: square("value_proj"),
            position_key: (content_to_position && !config.share_att_key).then(|| square("pos_key_proj")),
            position_query: (position_to_content && !config.share_att_key).then(|| square("pos_query_proj")),
            content_to_position,
            position_to_content,
            heads: config.num_attention_heads,
            attention_output: nn::linear(&attention / "output" / "dense", width, width, Default::default()),
            attention_norm: config.norm(&attention / "output" / "LayerNorm"),
            intermediate: nn::linear(path / "intermediate" / "dense", width, wide, Default::default()),
            act: function(config.hidden_act),
            output: nn::linear(path / "output" / "dense", wide, width, Default::default()),
            norm: config.norm(path / "output" / "LayerNorm"),
        }
    }

    /// `[batch, tokens, width]` to `[batch, heads, tokens, width / heads]`.
    fn split(&self, x: &Tensor) -> Tensor {
        let size = x.size();
        x.view([size[0], size[1], self.heads, size[2] / self.heads]).transpose(1, 2)
    }

    fn forward(&self, hidden: &Tensor, masked: &Tensor, distances: Option<&Located>) -> Tensor {
        let query = self.split(&self.query.forward(hidden));
        let key = self.split(&self.key.forward(hidden));
        let value = self.split(&self.value.forward(hidden));
        let size = query.size();
        let terms = 1 + i64::from(self.content_to_position) + i64::from(self.position_to_content);
        let scale = ((size[3] * terms) as f64).sqrt();
        let mut scores = query.matmul(&(key.transpose(-1, -2) / scale));
        if let Some(located) = distances {
            let rows = |index: &Tensor| index.expand([size[0], self.heads, size[2], size[2]], false);
            let embeddings = located.embeddings.unsqueeze(0);
            if self.content_to_position {
                let projection = self.position_key.as_ref().unwrap_or(&self.key);
                let positions = self.split(&projection.forward(&embeddings));
                let all = query.matmul(&positions.transpose(-1, -2));
                scores += all.gather(-1, &rows(&located.content_to_position), false) / scale;
            }
            if self.position_to_content {
                let projection = self.position_query.as_ref().unwrap_or(&self.query);
                let positions = self.split(&projection.forward(&embeddings));
                let all = key.matmul(&positions.transpose(-1, -2));
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
    fn new(path: &nn::Path<'_>, config: &DebertaV2Config) -> Self {
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
