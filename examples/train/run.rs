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
    ensure!(options.workers >= 1, "--workers must be 1 or more");
    fs::create_dir_all(&options.out).with_context(|| format!("cannot make {}", options.out.display()))?;
    let state = State::read(&options.out)?;
    if state.is_some() && !options.resume {
        bail!("{} holds a run already: go on with --resume or choose another folder", options.out.display());
    }
    recipe.train.seed = seed(options.seed, recipe.train.seed, state.as_ref())?;
    let mut log = Log::open(&options.out)?;
    tch::manual_seed(recipe.train.seed as i64);
    tch::set_num_threads(1);
    let mut setup = set_up(options, &recipe, state.as_ref(), &log)?;
    let kind = if options.f32 { Kind::Float } else { Kind::BFloat16 };
    let network =
        Network::new(&setup.config, recipe.context_units(), &setup.layout, recipe.train.dropout, kind)
            .with_int8(recipe.train.int8)
            .with_word_dropout(recipe.train.word_dropout);
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
                start_counts: setup.has_heads,
                stop_after: options.stop_after,
            };
            let stream = &mut setup.stream;
            with_workers(options, &setup.layout, &setup.weights, &network, |workers| {
                learning.run(workers, stream, state, &mut log)
            })?
        }
    };
    if !state.done {
        return Ok(());
    }
    finish(options, &recipe, &setup, &state, &mut log)
}

/// The seed of a run. One that goes on keeps its own, because another would change the order of rows midway.
fn seed(asked: Option<u64>, of_recipe: u64, resumed: Option<&State>) -> Result<u64> {
    let Some(state) = resumed else { return Ok(asked.unwrap_or(of_recipe)) };
    let begun = state.stream.seed;
    ensure!(
        asked.is_none_or(|asked| asked == begun),
        "the run began with seed {begun}: go on without --seed, or start a new run"
    );
    Ok(begun)
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
    let context = recipe.context_units();
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
    use std::io::Write;
    use std::num::NonZeroUsize;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use amends::{Engine, Model, Precision};
    use serde_json::Value;
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
        let special: Vec<Value> = (0..4)
            .map(|id| {
                json!({"id": id, "content": WORDS[id], "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true})
            })
            .collect();
        let tokenizer = json!({
            "version": "1.0", "added_tokens": special,
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

    /// A base, rows to train on and stories to measure on, in a new folder.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("amends-train-{name}-{}", std::process::id()));
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
        folder
    }

    const CONTEXT: &str = "[context]\nhidden = 4\n";

    /// A run with a recipe of these `[train]` settings, which are followed by further tables.
    fn options(folder: &Path, out: &str, train: &str) -> Options {
        let recipe = folder.join(format!("{out}.toml"));
        let text = format!(
            "[model]\nmax_tokens = 12\n[dev]\nstories = 'dev.jsonl'\n\
             [[source]]\npath = 'rows.jsonl'\npasses = 100\n\
             [train]\nmeasurements = 4\nbatch_tokens = 96\n{train}"
        );
        fs::write(&recipe, text).unwrap();
        Options {
            recipe,
            data: folder.to_owned(),
            base: folder.join("base"),
            words_from: None,
            out: folder.join(out),
            minutes: None,
            resume: false,
            stop_after: None,
            workers: 1,
            f32: true,
            bits: Vec::new(),
            notes: None,
            seed: None,
        }
    }

    fn state(options: &Options) -> State {
        State::read(&options.out).unwrap().unwrap()
    }

    /// How far the run was at each measurement, from its log.
    fn measured_at(options: &Options) -> Vec<f64> {
        let log = fs::read_to_string(options.out.join("log.jsonl")).unwrap();
        let records = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter(|record| !record["dev"].is_null()).filter_map(|r| r["progress"].as_f64()).collect()
    }

    fn engine(folder: impl AsRef<Path>, precision: Precision) -> Engine {
        Engine::from_model(&Model::from_dir(folder, precision).unwrap()).unwrap()
    }

    /// That a model has learned which word is good and which is bad. Returns P(negative) and P(positive) of both.
    fn learned(engine: &Engine) -> [f32; 4] {
        let found = engine.sentiments(&["They were late.", "They were kind."]).unwrap();
        let [late, kind] = [found[0], found[1]];
        assert!(late.negative() > late.positive() && kind.positive() > kind.negative(), "{found:?}");
        [late.negative(), late.positive(), kind.negative(), kind.positive()]
    }

    #[test]
    fn a_run_is_stopped_and_resumed_and_its_model_read() {
        let folder = folder("run");
        let rates = "learning_rate = 1e-3\nhead_learning_rate = 1e-2\ndropout = 0\n";
        let mut run_options = options(&folder, "run", &format!("passes = 8\nseed = 5\n{rates}{CONTEXT}"));
        run_options.stop_after = NonZeroUsize::new(1);
        run(&run_options).unwrap();
        let first = state(&run_options);
        assert!(!first.done && first.steps >= 2, "{first:?}");
        assert!(!run_options.out.join("model").exists());
        assert!(run(&run_options).unwrap_err().to_string().contains("--resume"));

        run_options.resume = true;
        run_options.stop_after = None;
        run_options.seed = Some(6);
        assert!(run(&run_options).unwrap_err().to_string().contains("began with seed 5"));
        run_options.seed = None;
        let rows = folder.join("rows.jsonl");
        let before = fs::read(&rows).unwrap();
        let mut more = fs::OpenOptions::new().append(true).open(&rows).unwrap();
        more.write_all(b"{\"text\": \"they were here.\", \"label\": \"neutral\"}\n").unwrap();
        let error = run(&run_options).unwrap_err().to_string();
        assert!(error.contains("rows.jsonl has 6") && error.contains("had 5"), "{error}");
        fs::write(&rows, before).unwrap();
        run(&run_options).unwrap();
        let second = state(&run_options);
        assert!(second.done && second.steps > 3 * first.steps, "{} and {}", first.steps, second.steps);
        let at = measured_at(&run_options);
        assert_eq!(at.len(), 4, "{at:?}");
        for (at, want) in at.iter().zip([0.25, 0.5, 0.75, 1.0]) {
            assert!((want..want + 0.1).contains(at), "{at} for {want}");
        }

        let model = run_options.out.join("model");
        let whole = engine(&model, Precision::F32);
        assert!(whole.heads().has_events());
        let int8 = folder.join("int8");
        amends::quantize(&model, &int8, Some("small"), None).unwrap();
        for (a, b) in learned(&whole).into_iter().zip(learned(&engine(&int8, Precision::Int8))) {
            assert!((a - b).abs() < 0.1, "{a} and {b} at int8");
        }

        // On from the finished model, with rates that do nothing but harm.
        let harm = "passes = 2\nlearning_rate = 0.1\nhead_learning_rate = 1\n";
        let mut worse = options(&folder, "worse", harm);
        worse.base = model;
        assert!(run(&worse).unwrap_err().to_string().contains("`hidden = 4`"));
        worse = Options { base: worse.base, ..options(&folder, "worse", &format!("{harm}{CONTEXT}")) };
        run(&worse).unwrap();
        let best = state(&worse).best.unwrap();
        assert_eq!(best.step, 0, "{best:?}");
        learned(&engine(worse.out.join("model"), Precision::F32));
        let mut alone = options(&folder, "alone", &format!("{harm}[context]\nhidden = 0\n"));
        alone.base = worse.base;
        alone.stop_after = NonZeroUsize::new(1);
        run(&alone).unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn words_that_were_cut_come_back_with_their_embeddings() {
        let folder = folder("words");
        let with_words = |out: &str, words: usize| {
            let options = options(&folder, out, "learning_rate = 0.1\n");
            let text = fs::read_to_string(&options.recipe).unwrap();
            let text = text.replace("[model]\n", &format!("[model]\nvocabulary = {words}\n"));
            fs::write(&options.recipe, text).unwrap();
            options
        };
        let narrow = with_words("narrow", 8);
        run(&narrow).unwrap();
        let mut wide = with_words("wide", WORDS.len());
        wide.base = narrow.out.join("model");
        wide.words_from = Some(narrow.base.clone());
        fs::create_dir_all(&wide.out).unwrap();
        let setup = set_up(&wide, &Recipe::read(&wide.recipe).unwrap(), None, &Log::open(&wide.out).unwrap())
            .unwrap();
        let table = |folder: &Path| {
            let tensors = Tensor::read_safetensors(folder.join("model.safetensors")).unwrap();
            let found = tensors.into_iter().find(|(name, _)| name.ends_with("word_embeddings.weight"));
            found.unwrap().1.to_kind(Kind::Float)
        };
        let views = setup.layout.views(&setup.weights);
        let (_, words) = views.iter().find(|(name, _)| name.ends_with("word_embeddings.weight")).unwrap();
        let (kept, cut) = (table(&wide.base), table(&narrow.base));
        assert_eq!((kept.size()[0], words.size()[0]), (8, WORDS.len() as i64));
        // "they" is the most frequent word and was kept; "and" was cut.
        let row = |table: &Tensor, at: i64| Vec::<f32>::try_from(table.get(at)).unwrap();
        assert_eq!(row(words, 4), row(&kept, 4));
        assert_ne!(row(words, 4), row(&cut, 4));
        assert_eq!(row(words, 15), row(&cut, 15));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_base_that_cannot_be_used_is_named_by_its_file() {
        let folder = folder("unusable");
        let options = options(&folder, "run", "");
        let error = |name: &str, text: &str| {
            fs::write(options.base.join(name), text).unwrap();
            format!("{:#}", run(&options).unwrap_err())
        };
        let tokenizer = error("tokenizer.json", "{\"model\": {\"type\": \"WordPiece\"}}");
        assert!(tokenizer.contains("base/tokenizer.json"), "{tokenizer}");
        let config = fs::read_to_string(options.base.join("config.json")).unwrap();
        let config = config.replace("\"num_attention_heads\":2", "\"num_attention_heads\":0");
        let config = error("config.json", &config);
        assert!(config.contains("base/config.json") && config.contains("found 0"), "{config}");
        fs::remove_dir_all(&folder).unwrap();
    }

    const FOLDER: &str = "AMENDS_TEST_FOLDER";

    const SAME: &str = "passes = 2\nlearning_rate = 1e-3\nhead_learning_rate = 1e-2\ndropout = 0.2\n\
                        [context]\nhidden = 4\n";

    /// libtorch has one generator of random numbers for the whole process, and other tests draw from it meanwhile.
    #[test]
    #[ignore = "what the test below runs, in a process of its own"]
    fn runs_with_and_without_a_stop() {
        let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
        run(&options(&folder, "whole", SAME)).unwrap();
        let mut stopped = options(&folder, "stopped", SAME);
        stopped.stop_after = NonZeroUsize::new(1);
        run(&stopped).unwrap();
        assert!(!state(&stopped).done);
        tch::manual_seed(99);
        stopped.stop_after = None;
        stopped.resume = true;
        run(&stopped).unwrap();
    }

    #[test]
    fn a_run_that_was_stopped_ends_with_the_same_bits() {
        let folder = folder("same");
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "run::tests::runs_with_and_without_a_stop", "--ignored"])
            .env(FOLDER, &folder)
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        let [whole, stopped] = ["whole", "stopped"].map(|out| options(&folder, out, SAME));
        let ends = [&whole, &stopped].map(|options| {
            let state = state(options);
            assert!(state.done);
            assert_eq!(measured_at(options).len(), 4);
            let tensors = state.read_tensors(&options.out, ["weights", "first", "second"]).unwrap();
            let best = read_tensor(&options.out.join("best.safetensors"), "weights").unwrap();
            (state.steps, state.tokens, tensors, best)
        });
        assert!(ends[0] == ends[1], "{} and {} steps", ends[0].0, ends[1].0);
        fs::remove_dir_all(&folder).unwrap();
    }
}
