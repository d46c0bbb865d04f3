//! A small, sound model folder for tests to damage.
#![allow(dead_code)] // not every test uses all of it

use std::collections::BTreeMap;
use std::path::PathBuf;

use amends::{EventType, Status};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};

pub(crate) const HIDDEN: usize = 64;
const WIDE: usize = 96;
pub(crate) const WORDS: usize = 20;

/// A folder that is removed in the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Type, shape and bytes of each tensor.
pub(crate) type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// The files of a small, sound model of one layer.
pub(crate) struct Files {
    pub(crate) description: String,
    pub(crate) tokenizer: String,
    pub(crate) tensors: Tensors,
}

impl Files {
    pub(crate) fn sound() -> Self {
        let mut tensors = Tensors::new();
        let mut add = |name: &str, shape: &[usize]| {
            let count: usize = shape.iter().product();
            let values = (0..count).map(|i| ((i * 7 + name.len()) % 17) as f32 * 0.02 - 0.16);
            tensors.insert(name.into(), floats(shape, &values.collect::<Vec<f32>>()));
        };
        add("bert.embeddings.word_embeddings.weight", &[WORDS, HIDDEN]);
        add("bert.embeddings.position_embeddings.weight", &[16, HIDDEN]);
        add("bert.embeddings.token_type_embeddings.weight", &[2, HIDDEN]);
        for (name, outputs, inputs) in [
            ("bert.encoder.layer.0.attention.self.query", HIDDEN, HIDDEN),
            ("bert.encoder.layer.0.attention.self.key", HIDDEN, HIDDEN),
            ("bert.encoder.layer.0.attention.self.value", HIDDEN, HIDDEN),
            ("bert.encoder.layer.0.attention.output.dense", HIDDEN, HIDDEN),
            ("bert.encoder.layer.0.intermediate.dense", WIDE, HIDDEN),
            ("bert.encoder.layer.0.output.dense", HIDDEN, WIDE),
            ("bert.pooler.dense", HIDDEN, HIDDEN),
            ("sentiment", 3, HIDDEN),
            ("events", 72, HIDDEN),
            ("context.gate", 2, HIDDEN),
        ] {
            add(&format!("{name}.weight"), &[outputs, inputs]);
            add(&format!("{name}.bias"), &[outputs]);
        }
        for name in
            ["bert.embeddings", "bert.encoder.layer.0.attention.output", "bert.encoder.layer.0.output"]
        {
            add(&format!("{name}.LayerNorm.weight"), &[HIDDEN]);
            add(&format!("{name}.LayerNorm.bias"), &[HIDDEN]);
        }
        let events: Vec<String> = EventType::ALL
            .iter()
            .flat_map(|event| {
                Status::ALL.iter().map(move |status| format!("\"{event}:{}\"", status.as_str()))
            })
            .collect();
        let description = format!(
            "format = 1\nname = \"small\"\nmax_tokens = 16\n\
             [encoder]\nkind = \"bert\"\nvocabulary = {WORDS}\npositions = 16\ntoken_types = 2\nhidden = {HIDDEN}\n\
             layers = 1\nheads = 2\nintermediate = {WIDE}\nnorm_epsilon = 1e-12\n\
             [sentiment]\nlabels = [\"negative\", \"neutral\", \"positive\"]\n\
             [events]\nlabels = [{}]\n[events.thresholds]\n\"delay:absent\" = 0.25\n\
             [context]\nkind = \"gate\"\n",
            events.join(", ")
        );
        let words: Vec<String> = (0..WORDS).map(|id| format!("\"w{id}\": {id}")).collect();
        let tokenizer = format!("{{\"model\": {{\"vocab\": {{{}}}}}}}", words.join(", "));
        Files { description, tokenizer, tensors }
    }

    pub(crate) fn weights(&self) -> Vec<u8> {
        let views: Vec<(&String, TensorView<'_>)> = self
            .tensors
            .iter()
            .map(|(name, (dtype, shape, bytes))| {
                (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
            })
            .collect();
        serialize(views, None).unwrap()
    }

    pub(crate) fn write(&self, name: &str) -> Folder {
        self.write_with(name, &self.weights())
    }

    pub(crate) fn write_with(&self, name: &str, weights: &[u8]) -> Folder {
        let folder = Folder(std::env::temp_dir().join(format!("amends-model-{}-{name}", std::process::id())));
        std::fs::create_dir_all(&folder.0).unwrap();
        std::fs::write(folder.0.join("model.toml"), &self.description).unwrap();
        std::fs::write(folder.0.join("tokenizer.json"), &self.tokenizer).unwrap();
        std::fs::write(folder.0.join("model.safetensors"), weights).unwrap();
        folder
    }

    /// Gives the model a tokenizer that cuts text, with words that stories have, and takes the context stage away,
    /// which is there by name only: an engine can run it.
    pub(crate) fn with_tokenizer(mut self) -> Self {
        self.description.truncate(self.description.find("[context]").unwrap());
        let words =
            ["they", "never", "apologised", "the", "call", "##ed", "a", "##s", ".", "i", "was", "rude"];
        let mut words: Vec<String> =
            ["[UNK]", "[CLS]", "[SEP]"].iter().chain(&words).map(ToString::to_string).collect();
        words.extend((words.len()..WORDS).map(|id| format!("w{id}")));
        let vocab: Vec<String> =
            words.iter().enumerate().map(|(id, word)| format!("\"{word}\": {id}")).collect();
        self.tokenizer = format!(
            r###"{{"version": "1.0", "added_tokens": [],
            "normalizer": {{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": true}},
            "pre_tokenizer": {{"type": "BertPreTokenizer"}},
            "post_processor": {{"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}},
            "model": {{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": {{{}}}}}}}"###,
            vocab.join(", ")
        );
        self
    }

    /// The same model described as transformers does it, as the text of its `config.json`.
    pub(crate) fn config_json(&self) -> String {
        let events: Vec<String> = EventType::ALL
            .iter()
            .flat_map(|event| {
                Status::ALL.iter().map(move |status| format!("\"{event}:{}\"", status.as_str()))
            })
            .collect();
        format!(
            r#"{{"model_type": "bert", "hidden_act": "gelu", "vocab_size": {WORDS},
            "max_position_embeddings": 16, "type_vocab_size": 2, "hidden_size": {HIDDEN}, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": {WIDE}, "layer_norm_eps": 1e-12, "max_tokens": 16,
            "heads": {{"sentiment": {{"labels": ["negative", "neutral", "positive"]}},
                "events": {{"labels": [{}], "temperature": 1.5}}}}}}"#,
            events.join(", ")
        )
    }
}

/// A tensor of these numbers.
pub(crate) fn floats(shape: &[usize], values: &[f32]) -> (Dtype, Vec<usize>, Vec<u8>) {
    (Dtype::F32, shape.to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
}
