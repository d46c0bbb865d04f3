//! The finished model: weights in f16, configuration, tokenizer, model card and checksums.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use crate::calibrate::Calibration;
use crate::data::event_labels;
use crate::layout::Layout;
use crate::measure::Marks;
use crate::vocabulary::Vocabulary;

/// What is known of a finished run.
pub(crate) struct Finished<'r> {
    /// `config.json` of the base, whose unknown fields are kept.
    pub(crate) base: &'r Value,
    pub(crate) context: i64,
    pub(crate) layers: usize,
    pub(crate) layout: &'r Layout,
    /// With the shifts of the calibration in their biases.
    pub(crate) weights: &'r Tensor,
    pub(crate) vocabulary: &'r Vocabulary,
    pub(crate) calibration: Calibration,
    pub(crate) max_tokens: usize,
    /// Marks by how the weights are stored. The second are those of the written ones.
    pub(crate) marks: Vec<(String, Marks)>,
    /// Files, rows and passes.
    pub(crate) sources: Vec<(String, usize, f64)>,
    pub(crate) steps: i64,
    pub(crate) tokens: f64,
    pub(crate) minutes: f64,
    pub(crate) recipe: String,
    /// Text to end the model card with.
    pub(crate) notes: String,
}

impl Finished<'_> {
    /// Writes the model into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let tensors: Vec<(String, Tensor)> = (self.layout.views(self.weights).into_iter())
            .map(|(name, view)| (name, view.to_kind(Kind::Half).contiguous()))
            .collect();
        let path = folder.join("model.safetensors");
        Tensor::write_safetensors(&tensors, &path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let config = serde_json::to_string_pretty(&self.config()?)?;
        for (name, bytes) in [
            ("config.json", config.into_bytes()),
            ("tokenizer.json", self.vocabulary.to_json()?),
            ("README.md", self.card()?.into_bytes()),
        ] {
            let path = folder.join(name);
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let mut sums = String::new();
        for name in ["README.md", "config.json", "model.safetensors", "tokenizer.json"] {
            let digest = Sha256::digest(fs::read(folder.join(name))?);
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(sums, "{hex}  {name}")?;
        }
        fs::write(folder.join("SHA256SUMS"), sums)?;
        Ok(())
    }

    fn config(&self) -> Result<Value> {
        let mut config = self.base.clone();
        let object = config.as_object_mut().ok_or_else(|| anyhow!("config.json is not a JSON object"))?;
        object.remove("_name_or_path");
        object.insert("vocab_size".to_owned(), json!(self.vocabulary.rows().len()));
        object.insert("num_hidden_layers".to_owned(), json!(self.layers));
        object.insert("max_tokens".to_owned(), json!(self.max_tokens));
        let calibration = &self.calibration;
        object.insert(
            "heads".to_owned(),
            json!({
                "input": "pooler_output (tanh of the pooler dense layer on the first token)",
                "sentiment": {
                    "activation": "softmax",
                    "labels": ["negative", "neutral", "positive"],
                    "temperature": calibration.sentiment_temperature,
                },
                "events": {
                    "activation": "sigmoid",
                    "labels": event_labels(),
                    "temperature": calibration.event_temperature,
                    "threshold": self.threshold(),
                },
                "told": {"activation": "sigmoid", "labels": ["told"], "temperature": 1.0},
            }),
        );
        object.remove("context");
        if self.context > 0 {
            object.insert(
                "context".to_owned(),
                json!({"kind": "gru", "hidden_size": self.context, "bidirectional": true,
                    "input": "pooler_output of the sentences of a story, in order", "gates": "reset, update, new"}),
            );
        }
        Ok(config)
    }

    /// The best single threshold as a calibrated probability.
    fn threshold(&self) -> f64 {
        let raw = self.marks[1].1.events.threshold;
        let logit = (raw / (1.0 - raw)).ln();
        crate::metrics::sigmoid(logit / self.calibration.event_temperature)
    }

    fn card(&self) -> Result<String> {
        let mut card = String::new();
        let count = self.layout.len() as f64 / 1e6;
        let context = match self.context {
            0 => String::new(),
            units => {
                format!(", and a bidirectional GRU of {units} units each way over the sentences of a story")
            }
        };
        writeln!(card, "# Model card\n")?;
        writeln!(
            card,
            "A BERT encoder with a sentiment head (3 classes), an event head (24 types × 3 statuses) and a head that says whether a sentence tells of an interaction{context}: \
             {count:.1} M weights, {} layers, {} word pieces.\n",
            self.layers,
            self.vocabulary.rows().len()
        )?;
        writeln!(card, "## Figures\n")?;
        writeln!(
            card,
            "On the dev sets that the recipe names; the best weights of the run were chosen on them.\n"
        )?;
        let columns: Vec<&str> = self.marks.iter().map(|(name, _)| name.as_str()).collect();
        writeln!(card, "| measure | {} |\n|---|{}", columns.join(" | "), "---|".repeat(columns.len()))?;
        type Mark = fn(&Marks) -> Option<f64>;
        let lines: [(&str, Mark); 9] = [
            ("sentiment macro-F1, dev stories", |marks| Some(marks.sentiment)),
            ("F1 of negative", |marks| Some(marks.classes[0])),
            ("F1 of neutral", |marks| Some(marks.classes[1])),
            ("F1 of positive", |marks| Some(marks.classes[2])),
            ("events, strict micro-F1 at the best single threshold", |marks| Some(marks.events.f1)),
            ("precision there", |marks| Some(marks.events.precision)),
            ("recall there", |marks| Some(marks.events.recall)),
            ("whether a sentence tells of an interaction, area under the ROC curve", |marks| marks.told),
            ("accuracy of P(positive) against P(negative)", |marks| marks.polar),
        ];
        for (name, mark) in lines {
            let cells: Vec<String> = self
                .marks
                .iter()
                .filter_map(|(_, marks)| mark(marks))
                .map(|mark| format!("{mark:.4}"))
                .collect();
            if !cells.is_empty() {
                writeln!(card, "| {name} | {} |", cells.join(" | "))?;
            }
        }
        let calibration = &self.calibration;
        writeln!(card, "\n## Calibration\n")?;
        writeln!(
            card,
            "Fitted on the dev stories. Expected calibration error, 15 bins; \"after\" is measured on the stories \
             that a fit on the other half did not see. For events it covers decisions of probability 0.05 or more.\n"
        )?;
        writeln!(card, "| head | parameters | before | after |\n|---|---|---|---|")?;
        let (before, after) = calibration.sentiment_error;
        writeln!(
            card,
            "| sentiment | temperature {:.3}, neutral shift {:.3} | {before:.4} | {after:.4} |",
            calibration.sentiment_temperature, calibration.neutral_shift
        )?;
        let (before, after) = calibration.event_error;
        writeln!(
            card,
            "| events | temperature {:.3}, shift {:.3} | {before:.4} | {after:.4} |",
            calibration.event_temperature, calibration.event_shift
        )?;
        let (before, after) = calibration.sentiment_f1;
        writeln!(card, "\nSentiment macro-F1 by the same halves: {before:.4} before, {after:.4} after.")?;
        writeln!(
            card,
            "The shifts are in the biases of the exported weights; the temperatures are to be applied."
        )?;
        writeln!(card, "\n## Training\n")?;
        writeln!(
            card,
            "{} steps, {:.2} M tokens, {:.0} minutes.\n",
            self.steps,
            self.tokens / 1e6,
            self.minutes
        )?;
        writeln!(card, "| source | sentences or stories | passes |\n|---|---|---|")?;
        for (name, rows, passes) in &self.sources {
            writeln!(card, "| {name} | {rows} | {passes:.2} |")?;
        }
        writeln!(card, "\n```toml\n{}\n```", self.recipe.trim())?;
        if !self.notes.is_empty() {
            writeln!(card, "\n{}", self.notes.trim())?;
        }
        Ok(card)
    }
}
