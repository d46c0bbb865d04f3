//! What a model's `model.toml` or `config.json` says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bert::BertDims;
use crate::error::{LoadError, LoadErrorKind};
use crate::events::{EVENT_TYPES, EventType, Status};
use crate::sentiment::SentimentLabel;

/// The version of `model.toml` that this crate writes and reads.
const FORMAT: u32 = 1;

/// Sequences longer than this are cut into windows unless the model says otherwise.
pub(crate) const DEFAULT_MAX_TOKENS: usize = 128;

/// `model.toml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    format: u32,
    pub(super) name: String,
    /// The longest sequence, special tokens included.
    pub(super) max_tokens: usize,
    pub(super) encoder: EncoderConfig,
    pub(super) sentiment: HeadConfig,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) events: Option<HeadConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) told: Option<HeadConfig>,
    /// Settings of stages beyond the encoder, which this module passes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<toml::Table>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EncoderConfig {
    kind: String,
    vocabulary: usize,
    positions: usize,
    token_types: usize,
    hidden: usize,
    layers: usize,
    heads: usize,
    intermediate: usize,
    norm_epsilon: f64,
}

/// A head: its labels in the order of its outputs, and how its logits become probabilities.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct HeadConfig {
    pub(super) labels: Vec<String>,
    /// Logits are divided by it.
    #[serde(default = "one")]
    pub(super) temperature: f32,
    /// By label, the least probability that counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) thresholds: BTreeMap<String, f32>,
}

fn one() -> f32 {
    1.0
}

/// The parts of a `config.json` of transformers that matter, with the heads and settings that training adds.
#[derive(Deserialize)]
struct TransformersConfig {
    model_type: String,
    hidden_act: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
    vocab_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    layer_norm_eps: f64,
    heads: Heads,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    max_tokens: Option<usize>,
    #[serde(default)]
    context: Option<toml::Table>,
}

#[derive(Deserialize)]
struct Heads {
    sentiment: HeadConfig,
    #[serde(default)]
    events: Option<HeadConfig>,
    #[serde(default)]
    told: Option<HeadConfig>,
}

/// What a `config.json` of transformers would say of the model that a `model.toml` describes.
#[cfg(feature = "rust-bert")]
pub(crate) fn transformers_config(text: &str) -> Result<serde_json::Value, LoadError> {
    let config = Config::from_toml(text)?;
    let encoder = &config.encoder;
    Ok(serde_json::json!({
        "model_type": encoder.kind,
        "hidden_act": "gelu",
        "vocab_size": encoder.vocabulary,
        "max_position_embeddings": encoder.positions,
        "type_vocab_size": encoder.token_types,
        "hidden_size": encoder.hidden,
        "num_hidden_layers": encoder.layers,
        "num_attention_heads": encoder.heads,
        "intermediate_size": encoder.intermediate,
        "layer_norm_eps": encoder.norm_epsilon,
        "max_tokens": config.max_tokens,
        "heads": {"sentiment": config.sentiment, "events": config.events},
    }))
}

impl Config {
    pub(super) fn from_toml(text: &str) -> Result<Self, LoadError> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let wrong = LoadError::new(
                LoadErrorKind::Format,
                format!("not a model description: {}", error.message()),
            );
            match line {
                Some(line) => wrong.with_line(line).with_source(error),
                None => wrong.with_source(error),
            }
        })?;
        if config.format != FORMAT {
            let message = format!("model format {}, this version reads {FORMAT}", config.format);
            return Err(LoadError::new(LoadErrorKind::Unsupported, message));
        }
        if config.encoder.kind != "bert" {
            let message = format!("encoder kind {:?}, \"bert\" is supported", config.encoder.kind);
            return Err(LoadError::new(LoadErrorKind::Unsupported, message));
        }
        config.checked()
    }

    /// From a `config.json`; `name` is used where it has none.
    pub(super) fn from_json(text: &str, name: &str) -> Result<Self, LoadError> {
        let config: TransformersConfig = serde_json::from_str(text).map_err(|error| {
            LoadError::new(LoadErrorKind::Format, format!("not a model description: {error}"))
                .with_line(error.line())
                .with_source(error)
        })?;
        for (what, found, known) in [
            ("model_type", config.model_type.as_str(), "bert"),
            ("hidden_act", config.hidden_act.as_str(), "gelu"),
            (
                "position_embedding_type",
                config.position_embedding_type.as_deref().unwrap_or("absolute"),
                "absolute",
            ),
        ] {
            if found != known {
                let message = format!("{what} is {found:?}, {known:?} is supported");
                return Err(LoadError::new(LoadErrorKind::Unsupported, message));
            }
        }
        Config {
            format: FORMAT,
            name: config.name.unwrap_or_else(|| name.to_owned()),
            max_tokens: config.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS.min(config.max_position_embeddings)),
            encoder: EncoderConfig {
                kind: "bert".into(),
                vocabulary: config.vocab_size,
                positions: config.max_position_embeddings,
                token_types: config.type_vocab_size,
                hidden: config.hidden_size,
                layers: config.num_hidden_layers,
                heads: config.num_attention_heads,
                intermediate: config.intermediate_size,
                norm_epsilon: config.layer_norm_eps,
            },
            sentiment: config.heads.sentiment,
            events: config.heads.events,
            told: config.heads.told,
            context: config.context,
        }
        .checked()
    }

    fn checked(self) -> Result<Self, LoadError> {
        let format = |message: String| Err(LoadError::new(LoadErrorKind::Format, message));
        let encoder = &self.encoder;
        for (what, size, most) in [
            ("vocabulary", encoder.vocabulary, 1 << 22),
            ("positions", encoder.positions, 1 << 16),
            ("token_types", encoder.token_types, 1 << 8),
            ("hidden", encoder.hidden, 1 << 14),
            ("layers", encoder.layers, 1 << 8),
            ("heads", encoder.heads, 1 << 10),
            ("intermediate", encoder.intermediate, 1 << 16),
        ] {
            if !(1..=most).contains(&size) {
                return format(format!("{what} is {size}, expected 1 to {most}"));
            }
        }
        if !(3..=encoder.positions).contains(&self.max_tokens) {
            return format(format!("max_tokens is {}, expected 3 to {}", self.max_tokens, encoder.positions));
        }
        if !(encoder.norm_epsilon >= 0.0 && encoder.norm_epsilon < 1.0) {
            return format(format!("norm_epsilon is {}, expected 0 to 1", encoder.norm_epsilon));
        }
        for head in [Some(&self.sentiment), self.events.as_ref(), self.told.as_ref()].into_iter().flatten() {
            if !(head.temperature.is_finite() && head.temperature > 0.0) {
                return format(format!("temperature is {}, expected a number above 0", head.temperature));
            }
            if let Some((label, value)) =
                head.thresholds.iter().find(|(_, value)| !(0.0..=1.0).contains(*value))
            {
                return format(format!("threshold of {label:?} is {value}, expected 0 to 1"));
            }
        }
        Ok(self)
    }

    /// The same with another longest sequence, special tokens included.
    pub(super) fn with_max_tokens(mut self, max_tokens: usize) -> Result<Self, LoadError> {
        self.max_tokens = max_tokens;
        self.checked()
    }

    /// Leaves no places beyond the longest sequence.
    pub(super) fn forget_positions(&mut self) {
        self.encoder.positions = self.max_tokens;
    }

    pub(super) fn dims(&self) -> BertDims {
        let encoder = &self.encoder;
        BertDims {
            vocabulary: encoder.vocabulary,
            positions: encoder.positions,
            token_types: encoder.token_types,
            hidden: encoder.hidden,
            layers: encoder.layers,
            heads: encoder.heads,
            intermediate: encoder.intermediate,
            norm_epsilon: encoder.norm_epsilon as f32,
        }
    }
}

/// The label of the head that says whether a sentence tells of an interaction.
pub(super) const TOLD: &str = "told";

/// The labels of the sentiment head, in the order that [`Sentiment`](crate::Sentiment) wants its logits.
pub(super) fn sentiment_labels() -> Vec<String> {
    [SentimentLabel::Negative, SentimentLabel::Neutral, SentimentLabel::Positive]
        .map(|label| label.as_str().to_owned())
        .into()
}

/// The labels of the event head: by type as [`EventType::ALL`], then by status as [`Status::ALL`].
pub(super) fn event_labels() -> Vec<String> {
    let mut labels = Vec::with_capacity(EVENT_TYPES * Status::ALL.len());
    for event in &EventType::ALL {
        labels.extend(Status::ALL.iter().map(|&status| label(event, status)));
    }
    labels
}

/// The label of a type and status, like `delay:absent`.
pub(super) fn label(event: &EventType, status: Status) -> String {
    format!("{}:{}", event.as_str(), status.as_str())
}

/// For each label of `wanted`, its position in `found`.
pub(super) fn order(head: &str, wanted: &[String], found: &[String]) -> Result<Vec<usize>, LoadError> {
    let labels = |message: String| LoadError::new(LoadErrorKind::Labels, message);
    if found.len() != wanted.len() {
        return Err(labels(format!("{head} head: expected {} labels, found {}", wanted.len(), found.len())));
    }
    wanted
        .iter()
        .map(|label| {
            found
                .iter()
                .position(|other| other == label)
                .ok_or_else(|| labels(format!("{head} head: no label {label:?}")))
        })
        .collect()
}
