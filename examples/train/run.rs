//! A run from recipe to exported model.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tch::{Kind, Tensor};

use crate::Options;
use crate::calibrate::calibrate;
use crate::checkpoint::{State, read_tensor};
use crate::export::Finished;
use crate::layout::Layout;
use crate::learn::Learning;
use crate::log::Log;
use crate::measure::{marks, predict};
use crate::model::Network;
use crate::precision::{in_bits, in_f16};
use crate::recipe::Recipe;
use crate::setup::{Setup, set_up};
use crate::workers::Workers;

/// Trains as the options and the recipe say, and leaves the best weights in `best.safetensors`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut recipe = Recipe::read(&options.recipe)?;
    if let Some(seed) = options.seed {
        recipe.train.seed = seed;
    }
    ensure!(options.workers >= 1, "--workers must be 1 or more");
    fs::create_dir_all(&options.out).with_context(|| format!("cannot make {}", options.out.display()))?;
    let state = State::read(&options.out)?;
    if state.is_some() && !options.resume {
        bail!("{} holds a run already: go on with --resume or choose another folder", options.out.display());
    }
    let mut log = Log::open(&options.out)?;
    tch::manual_seed(recipe.train.seed as i64);
    tch::set_num_threads(1);
    let mut setup = set_up(options, &recipe, recipe.train.seed, state.as_ref(), &log)?;
    let kind = if options.f32 { Kind::Float } else { Kind::BFloat16 };
    let network =
        Network::new(&setup.config, recipe.context.units(), &setup.layout, recipe.train.dropout, kind)
            .with_int8(recipe.train.int8);
    let planned = setup.stream.tokens() * recipe.train.passes / 1e6;
    log.say(&format!("{} weights, {planned:.2} M tokens planned", setup.layout.len()));
    let state = match state {
        Some(state) if state.done => {
            setup.stream.restore(state.stream.clone())?;
            state
        }
        state => {
            let learning = Learning {
                plan: &recipe.train,
                folder: &options.out,
                layout: &setup.layout,
                weights: &setup.weights,
                dev: &setup.dev,
                minutes: options.minutes.unwrap_or(f64::INFINITY),
            };
            let stream = &mut setup.stream;
            with_workers(options, &setup.layout, &setup.weights, &network, |workers| {
                learning.run(workers, stream, state, &mut log)
            })?
        }
    };
    finish(options, &recipe, &setup, &state, &mut log)
}

/// Calls `work` with threads that run `network` on `weights`.
fn with_workers<R>(
    options: &Options,
    layout: &Layout,
    weights: &Tensor,
    network: &Network,
    work: impl FnOnce(&Workers) -> R,
) -> R {
    let leaves = (0..options.workers).map(|_| layout.leaves(weights)).collect();
    std::thread::scope(|scope| work(&Workers::start(scope, network, leaves)))
}

/// Measures and calibrates the best weights of the run in f32, and exports them.
fn finish(options: &Options, recipe: &Recipe, setup: &Setup, state: &State, log: &mut Log) -> Result<()> {
    let best = read_tensor(&options.out.join("best.safetensors"), "weights")?;
    let context = recipe.context.units();
    let network = Network::new(&setup.config, context, &setup.layout, 0.0, Kind::Float);
    let run = |weights: &Tensor| {
        with_workers(options, &setup.layout, weights, &network, |workers| {
            let stories = predict(workers, &setup.dev.stories)?;
            let polar = setup.dev.polar.as_ref().map(|set| predict(workers, set)).transpose()?;
            anyhow::Ok((marks(&setup.dev, &stories, polar.as_deref()), stories))
        })
    };
    let (trained, stories) = run(&best)?;
    let calibration = calibrate(&setup.dev.stories.examples, &stories);
    log.say(&calibration.to_string());
    let shifted = calibration.shifted(&best, &setup.layout);
    let mut all = vec![("f32, before calibration".to_owned(), trained)];
    all.push(("f16 as exported".to_owned(), run(&in_f16(&shifted))?.0));
    for &bits in &options.bits {
        all.push((format!("{bits}-bit matrices"), run(&in_bits(&shifted, &setup.layout, bits))?.0));
    }
    for (name, marks) in &all {
        log.say(&format!("{name}: {marks}"));
        log.write(&json!({"finished": name, "dev": marks.to_json()}))?;
    }
    let notes = match &options.notes {
        Some(path) => fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => String::new(),
    };
    let finished = Finished {
        base: &setup.base,
        context,
        layers: setup.config.num_hidden_layers,
        layout: &setup.layout,
        weights: &shifted,
        vocabulary: &setup.vocabulary,
        calibration,
        max_tokens: recipe.model.max_tokens,
        marks: all,
        sources: setup.stream.report(),
        steps: state.steps,
        tokens: state.tokens,
        minutes: state.seconds / 60.0,
        recipe: fs::read_to_string(&options.recipe)?,
        notes,
    };
    let folder = options.out.join("model");
    finished.write(&folder)?;
    log.say(&format!("exported to {}", folder.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use amends::{Engine, Model, Precision};
    use tch::Device;

    use super::*;
    use crate::layout::Config;

    const WORDS: [&str; 16] = [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "they", "were", "late", "rude", "kind", "quick", "the", "shop",
        "is", "here", ".", "and",
    ];

    /// A small BERT with weights that know nothing.
    fn base(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let config = json!({
            "model_type": "bert", "hidden_act": "gelu", "vocab_size": WORDS.len(), "hidden_size": 64,
            "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 96,
            "max_position_embeddings": 16, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
        });
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
        let vocab: serde_json::Map<String, serde_json::Value> =
            WORDS.iter().enumerate().map(|(id, word)| ((*word).to_owned(), json!(id))).collect();
        let tokenizer = json!({
            "version": "1.0", "added_tokens": [],
            "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": vocab},
        });
        fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
        let layout = Layout::new(&Config::from_json(&config).unwrap(), 0);
        tch::manual_seed(3);
        let flat = Tensor::randn([layout.len()], (Kind::Float, Device::Cpu)) * 0.2;
        let tensors: Vec<(String, Tensor)> = (layout.views(&flat).into_iter())
            .filter(|(name, _)| name.starts_with("bert."))
            .map(|(name, view)| {
                let norm = name.ends_with("LayerNorm.weight");
                (name, if norm { view.ones_like() } else { view.contiguous() })
            })
            .collect();
        Tensor::write_safetensors(&tensors, folder.join("model.safetensors")).unwrap();
    }

    fn recipe(folder: &Path, passes: usize) -> PathBuf {
        let path = folder.join(format!("recipe-{passes}.toml"));
        let text = format!(
            "[model]\nmax_tokens = 12\n[train]\npasses = {passes}\nmeasurements = 1\nbatch_tokens = 96\nlearning_rate = 1e-3\ndropout = 0\n\
             head_learning_rate = 1e-2\n[context]\nhidden = 4\n[dev]\nstories = 'dev.jsonl'\n\
             [[source]]\npath = 'rows.jsonl'\npasses = 100\n"
        );
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_run_is_stopped_and_resumed_and_its_model_read() {
        let folder = std::env::temp_dir().join(format!("amends-train-run-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        base(&folder.join("base"));
        let labelled = [
            ("they were late.", "negative", json!([["delay", "occurred"]])),
            (
                "they were rude and late.",
                "negative",
                json!([["delay", "occurred"], ["rudeness", "occurred"]]),
            ),
            ("they were kind.", "positive", json!([])),
            ("they were quick and kind.", "positive", json!([])),
            ("the shop is here.", "neutral", json!([])),
        ];
        let rows = labelled.iter().map(|(text, label, events)| {
            format!("{}\n", json!({"text": text, "label": label, "events": events}))
        });
        fs::write(folder.join("rows.jsonl"), rows.collect::<String>()).unwrap();
        let stories = labelled.iter().map(|(text, label, events)| {
            let sentence = json!({"start": 0, "end": text.len(), "sentiment": label, "events": events});
            format!("{}\n", json!({"id": text, "text": text, "sentences": [sentence]}))
        });
        fs::write(folder.join("dev.jsonl"), stories.collect::<String>()).unwrap();

        let mut options = Options {
            recipe: recipe(&folder, 1),
            data: folder.clone(),
            base: folder.join("base"),
            out: folder.join("run"),
            minutes: None,
            resume: false,
            workers: 1,
            f32: true,
            bits: Vec::new(),
            notes: None,
            seed: None,
        };
        run(&options).unwrap();
        let first = State::read(&options.out).unwrap().unwrap();
        assert!(first.done && first.steps >= 2, "{first:?}");
        assert!(run(&options).unwrap_err().to_string().contains("--resume"));

        // As if the run had been meant to be longer and was stopped here.
        let stopped = State { done: false, best: None, ..first.clone() };
        fs::write(options.out.join("checkpoint.json"), serde_json::to_vec(&stopped).unwrap()).unwrap();
        options.recipe = recipe(&folder, 8);
        options.resume = true;
        run(&options).unwrap();
        let second = State::read(&options.out).unwrap().unwrap();
        assert!(second.done && second.steps > 4 * first.steps, "{} and {}", first.steps, second.steps);
        assert!(second.tokens > first.tokens);

        let model = Model::from_dir(options.out.join("model"), Precision::F32).unwrap();
        let engine = Engine::from_model(&model).unwrap();
        let found = engine.sentiments(&["They were late.", "They were kind."]).unwrap();
        assert!(
            found[0].negative() > found[0].positive() && found[1].positive() > found[1].negative(),
            "{found:?}"
        );
        assert!(engine.heads().has_events());
        fs::remove_dir_all(&folder).unwrap();
    }
}
