//! The architectures: from a configuration to a module, and from token ids to vectors.

use rust_bert::RustBertError;
use rust_bert::albert::{AlbertConfig, AlbertForSequenceClassification};
use rust_bert::bert::{BertConfig, BertEmbeddings, BertForSequenceClassification, BertModel};
use rust_bert::distilbert::{DistilBertConfig, DistilBertModelClassifier};
use rust_bert::electra::{ElectraConfig, ElectraModel};
use rust_bert::mobilebert::{MobileBertConfig, MobileBertForSequenceClassification};
use rust_bert::roberta::RobertaForSequenceClassification;
use serde_json::Value;
use tch::nn::{self, Module, VarStore};
use tch::{Device, Tensor};

use super::checkpoint::{self, Checkpoint, Tensors};
use super::deberta::{Deberta, DebertaConfig, Generation};
use crate::error::{LoadError, LoadErrorKind};
use crate::model::DEFAULT_MAX_TOKENS;

/// `model_type` in `config.json`, of what can be run.
const MODEL_TYPES: [&str; 9] = [
    "bert",
    "distilbert",
    "roberta",
    "xlm-roberta",
    "albert",
    "electra",
    "mobilebert",
    "deberta",
    "deberta-v2",
];

/// What it takes to build a module: worked out once, built by every worker.
#[derive(Debug)]
pub(super) struct Blueprint {
    architecture: Architecture,
    dim: usize,
    max_tokens: usize,
    vocabulary: usize,
    padding: i64,
}

#[derive(Debug)]
enum Architecture {
    Pooled(BertConfig),
    Bert(BertConfig),
    Roberta(BertConfig),
    DistilBert(DistilBertConfig),
    Albert(AlbertConfig),
    Electra(ElectraConfig, i64),
    MobileBert(MobileBertConfig),
    Deberta(DebertaConfig, Generation, i64),
}

impl Blueprint {
    /// For a checkpoint with that many classes, or for the pooled first token where there are none.
    pub(super) fn new(checkpoint: &Checkpoint, classes: Option<usize>) -> Result<Self, LoadError> {
        let unsupported = |message: &str| checkpoint.wrong(LoadErrorKind::Unsupported, message);
        if !MODEL_TYPES.contains(&checkpoint.model_type()) {
            let (found, known) = (checkpoint.model_type(), MODEL_TYPES.join(", "));
            return Err(unsupported(&format!("model type {found:?} is none of {known}")));
        }
        if checkpoint.entry("position_embedding_type").is_some_and(|kind| kind != "absolute") {
            return Err(unsupported(
                "`position_embedding_type` is not absolute, which rust-bert does not compute",
            ));
        }
        if checkpoint.entry("is_decoder").is_some_and(|decoder| decoder != false) {
            return Err(unsupported("`is_decoder` is set: this is no encoder"));
        }
        let number = |name: &str| -> Result<i64, LoadError> {
            let found = checkpoint.entry(name).and_then(Value::as_i64).filter(|&found| found > 0);
            found.ok_or_else(|| {
                checkpoint.wrong(LoadErrorKind::Format, &format!("no positive number `{name}`"))
            })
        };
        // rust-bert panics where these do not fit.
        let (width, heads) = match checkpoint.model_type() {
            "distilbert" => (number("dim")?, number("n_heads")?),
            _ => (number("hidden_size")?, number("num_attention_heads")?),
        };
        if width % heads != 0 {
            let message = format!("a width of {width} does not divide into {heads} attention heads");
            return Err(checkpoint.wrong(LoadErrorKind::Format, &message));
        }
        let count = i64::try_from(classes.unwrap_or(0)).unwrap_or(0);
        let mut positions = number("max_position_embeddings")?;
        let mut padding = checkpoint.entry("pad_token_id").and_then(Value::as_i64).unwrap_or(0);
        let architecture = match (checkpoint.model_type(), classes) {
            ("bert", None) => Architecture::Pooled(checkpoint.config(None)?),
            (other, None) => {
                return Err(unsupported(&format!("heads on a model of type {other:?}, not bert")));
            }
            ("bert", _) => Architecture::Bert(checkpoint.config(classes)?),
            ("roberta" | "xlm-roberta", _) => {
                if checkpoint.entry("pad_token_id").is_some_and(|id| *id != 1) {
                    return Err(unsupported("`pad_token_id` is not 1, which rust-bert takes for granted"));
                }
                // Positions are counted from behind the padding id.
                padding = 1;
                positions -= 2;
                Architecture::Roberta(checkpoint.config(classes)?)
            }
            ("distilbert", _) => Architecture::DistilBert(checkpoint.config(classes)?),
            ("albert", _) => Architecture::Albert(checkpoint.config(classes)?),
            ("electra", _) => Architecture::Electra(checkpoint.config(classes)?, count),
            ("mobilebert", _) => Architecture::MobileBert(checkpoint.config(classes)?),
            ("deberta", _) => {
                check_deberta(checkpoint)?;
                Architecture::Deberta(checkpoint.config(classes)?, Generation::One, count)
            }
            ("deberta-v2", _) => {
                check_deberta(checkpoint)?;
                Architecture::Deberta(checkpoint.config(classes)?, Generation::Two, count)
            }
            (other, _) => return Err(unsupported(&format!("model type {other:?}"))),
        };
        if classes.is_none() {
            // Our own checkpoints say how long the sentences were that they learnt from.
            let longest = checkpoint.entry("max_tokens").and_then(Value::as_i64);
            let longest = longest.unwrap_or(DEFAULT_MAX_TOKENS as i64);
            positions = positions.min(longest.max(1));
        }
        let dim = if classes.is_some() { count } else { width };
        let size = |number: i64| usize::try_from(number).unwrap_or(0);
        Ok(Blueprint {
            architecture,
            dim: size(dim),
            max_tokens: size(positions),
            vocabulary: size(number("vocab_size")?),
            padding,
        })
    }

    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    pub(super) fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    pub(super) fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The token id that fills up a batch.
    pub(super) fn padding(&self) -> i64 {
        self.padding
    }

    /// Whether padding changes the result in spite of a mask.
    pub(super) fn feels_padding(&self) -> bool {
        matches!(self.architecture, Architecture::MobileBert(_))
    }

    /// Builds the module over `tensors`, which it shares.
    ///
    /// May panic, as rust-bert and tch do, where the configuration contradicts itself.
    pub(super) fn build(&self, tensors: &Tensors, device: Device) -> Result<Model, LoadError> {
        let store = VarStore::new(device);
        let root = store.root();
        let refused = |error: RustBertError| {
            LoadError::new(LoadErrorKind::Format, "rust-bert refuses the configuration").with_source(error)
        };
        let model = match &self.architecture {
            Architecture::Pooled(config) => Model::Pooled(BertModel::new(&root / "bert", config)),
            Architecture::Bert(config) => {
                Model::Bert(BertForSequenceClassification::new(&root, config).map_err(refused)?)
            }
            Architecture::Roberta(config) => {
                Model::Roberta(RobertaForSequenceClassification::new(&root, config).map_err(refused)?)
            }
            Architecture::DistilBert(config) => {
                Model::DistilBert(DistilBertModelClassifier::new(&root, config).map_err(refused)?)
            }
            Architecture::Albert(config) => {
                Model::Albert(AlbertForSequenceClassification::new(&root, config).map_err(refused)?)
            }
            Architecture::Electra(config, classes) => Model::Electra(Electra::new(&root, config, *classes)),
            Architecture::MobileBert(config) => {
                Model::MobileBert(MobileBertForSequenceClassification::new(&root, config).map_err(refused)?)
            }
            Architecture::Deberta(config, generation, classes) => {
                Model::Deberta(Box::new(Deberta::new(&root, config, *generation, *classes)))
            }
        };
        checkpoint::fill(&store, tensors)?;
        Ok(model)
    }
}

/// What DeBERTa can have that is not computed here (nor in transformers).
fn check_deberta(checkpoint: &Checkpoint) -> Result<(), LoadError> {
    let known = |kind: &str| ["c2p", "p2c"].contains(&kind);
    let fits = match checkpoint.entry("pos_att_type") {
        None => true,
        Some(Value::String(kinds)) => kinds.split('|').all(known),
        Some(Value::Array(kinds)) => kinds.iter().all(|kind| kind.as_str().is_some_and(known)),
        Some(_) => false,
    };
    if !fits {
        let message = "`pos_att_type` holds other kinds than c2p and p2c";
        return Err(checkpoint.wrong(LoadErrorKind::Unsupported, message));
    }
    if checkpoint.entry("talking_head").is_some_and(|talking| talking != false) {
        return Err(checkpoint.wrong(LoadErrorKind::Unsupported, "`talking_head` is set"));
    }
    Ok(())
}

/// A module on its worker's thread.
pub(super) enum Model {
    Pooled(BertModel<BertEmbeddings>),
    Bert(BertForSequenceClassification),
    Roberta(RobertaForSequenceClassification),
    DistilBert(DistilBertModelClassifier),
    Albert(AlbertForSequenceClassification),
    Electra(Electra),
    MobileBert(MobileBertForSequenceClassification),
    Deberta(Box<Deberta>),
}

impl Model {
    /// The vectors `[batch, dim]` of token ids `[batch, tokens]`, with a mask of the same shape: 1 for a token, 0
    /// for padding. Both of whole numbers.
    ///
    /// May panic, as rust-bert and tch do.
    pub(super) fn forward(&self, ids: &Tensor, mask: &Tensor) -> Result<Tensor, RustBertError> {
        let (tokens, kept) = (ids, mask);
        let (ids, mask) = (Some(ids), Some(mask));
        Ok(match self {
            Model::Pooled(model) => {
                let output = model.forward_t(ids, mask, None, None, None, None, None, false)?;
                let missing = || RustBertError::ValueError("no pooled output".to_owned());
                output.pooled_output.ok_or_else(missing)?
            }
            Model::Bert(model) => model.forward_t(ids, mask, None, None, None, false).logits,
            Model::Roberta(model) => model.forward_t(ids, mask, None, None, None, false).logits,
            Model::DistilBert(model) => model.forward_t(ids, mask, None, false)?.logits,
            Model::Albert(model) => model.forward_t(ids, mask, None, None, None, false).logits,
            Model::Electra(model) => model.forward(tokens, kept)?,
            // Its parameters are in another order: ids, types, positions, embeddings, mask.
            Model::MobileBert(model) => model.forward_t(ids, None, None, None, mask, false)?.logits,
            Model::Deberta(model) => model.forward(tokens, kept),
        })
    }
}

/// ELECTRA with the classification head that rust-bert lacks: dense, gelu, projection, on the first token.
pub(super) struct Electra {
    electra: ElectraModel,
    dense: nn::Linear,
    projection: nn::Linear,
}

impl Electra {
    fn new(root: &nn::Path<'_>, config: &ElectraConfig, classes: i64) -> Self {
        let head = root / "classifier";
        let width = config.hidden_size;
        Electra {
            electra: ElectraModel::new(root / "electra", config),
            dense: nn::linear(&head / "dense", width, width, Default::default()),
            projection: nn::linear(&head / "out_proj", width, classes, Default::default()),
        }
    }

    fn forward(&self, ids: &Tensor, mask: &Tensor) -> Result<Tensor, RustBertError> {
        // rust-bert's ELECTRA adds the mask to the attention scores as it comes: 1 for tokens, 0 for padding,
        // which hides nothing. So it gets what the other models make of theirs.
        let scores = mask.eq(0).to_kind(self.dense.ws.kind()) * -10_000.0;
        let output = self.electra.forward_t(Some(ids), Some(&scores), None, None, None, false)?;
        let first = output.hidden_state.select(1, 0);
        Ok(self.projection.forward(&self.dense.forward(&first).gelu("none")))
    }
}
