//! The libtorch back end against the transformers library, and what it promises.
//!
//! `tests/fixtures/torch/` holds one small checkpoint of each architecture with random weights, and the logits
//! that transformers computes; `make.py` there made them.
#![cfg(feature = "rust-bert")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "the helpers are part of the tests")]

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use amends::{
    Analyzer, Encoder, Engine, LabelMap, LoadErrorKind, Model, Precision, TokenBatch, TorchBatching,
    TorchDevice, TorchEncoder, TorchOptions, TorchOutput, TorchPrecision,
};
use rust_bert::pipelines::common::{ModelResource, ModelType, TokenizerOption};
use rust_bert::pipelines::sequence_classification::{
    SequenceClassificationConfig, SequenceClassificationModel,
};
use rust_bert::resources::LocalResource;
use serde_json::{Value, json};
use tch::{Kind, Tensor};

const ARCHITECTURES: [&str; 10] = [
    "bert",
    "distilbert",
    "roberta",
    "xlm-roberta",
    "albert",
    "electra",
    "mobilebert",
    "deberta",
    "deberta-v2",
    "deberta-v2-conv",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch").join(name)
}

struct Golden {
    ids: Vec<Vec<u32>>,
    /// Logits, or pooled vectors.
    vectors: Vec<Vec<f32>>,
}

fn golden(name: &str) -> Golden {
    golden_at(&fixture(name).join("golden.json"))
}

fn golden_at(path: &Path) -> Golden {
    let golden: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let vectors = golden.get("logits").unwrap_or(&golden["pooled"]);
    Golden {
        ids: serde_json::from_value(golden["ids"].clone()).unwrap(),
        vectors: serde_json::from_value(vectors.clone()).unwrap(),
    }
}

/// A copy of a checkpoint that a test may spoil.
fn copy(name: &str, test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("torch-{name}-{test}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(fixture(name).join(file), folder.join(file)).unwrap();
    }
    folder
}

fn edit_config(folder: &Path, edit: impl FnOnce(&mut serde_json::Map<String, Value>)) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    edit(config.as_object_mut().unwrap());
    fs::write(path, config.to_string()).unwrap();
}

fn edit_tensors(folder: &Path, edit: impl FnOnce(&mut Vec<(String, Tensor)>)) {
    let path = folder.join("model.safetensors");
    let mut tensors = Tensor::read_safetensors(&path).unwrap();
    edit(&mut tensors);
    Tensor::write_safetensors(&tensors, path).unwrap();
}

fn padded(max_tokens: usize) -> TorchOptions {
    let max_tokens = NonZeroUsize::new(max_tokens).unwrap();
    TorchOptions::new().with_batching(TorchBatching::Padded { max_tokens })
}

fn encode(encoder: &TorchEncoder, sequences: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let mut batch = TokenBatch::new();
    sequences.iter().for_each(|ids| batch.push(ids));
    let mut out = vec![f32::NAN; batch.len() * encoder.dim()];
    encoder.encode(&batch, &mut out).unwrap();
    out.chunks_exact(encoder.dim()).map(<[f32]>::to_vec).collect()
}

fn bits(vectors: &[Vec<f32>]) -> Vec<Vec<u32>> {
    vectors.iter().map(|vector| vector.iter().map(|number| number.to_bits()).collect()).collect()
}

/// The largest difference of two sets of vectors.
fn distance(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |worst, next| if next > worst || next.is_nan() { next } else { worst })
}

#[test]
fn every_architecture_gives_the_logits_of_transformers() {
    let mut failed = Vec::new();
    for name in ARCHITECTURES {
        let golden = golden(name);
        for options in [TorchOptions::new(), padded(64), padded(10_000)] {
            let encoder = match TorchEncoder::load(fixture(name), &options) {
                Ok(encoder) => encoder,
                Err(error) => {
                    failed.push(format!("{name}: {error}"));
                    continue;
                }
            };
            let worst = distance(&encode(&encoder, &golden.ids), &golden.vectors);
            println!("{name}, {options:?}: {worst:e}");
            if worst.is_nan() || worst > 1e-4 {
                failed.push(format!("{name}: {worst:e}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn own_checkpoints_give_the_pooled_vector() {
    let encoder = TorchEncoder::load(fixture("amends"), &TorchOptions::new()).unwrap();
    let golden = golden("amends");
    assert_eq!(encoder.output(), &TorchOutput::Pooled);
    assert_eq!((encoder.dim(), encoder.max_tokens(), encoder.vocabulary()), (16, 48, 96));
    let worst = distance(&encode(&encoder, &golden.ids), &golden.vectors);
    assert!(worst < 1e-5, "{worst:e}");
}

#[test]
fn the_first_model_gives_the_pooled_vectors_of_transformers() {
    let Some(folder) = shared_model() else { return };
    let mut golden = golden_at(&fixture("v0.json"));
    for options in [TorchOptions::new(), padded(512)] {
        let encoder = TorchEncoder::load(&folder, &options).unwrap();
        // Longer ones are cut into windows before they come here, as on the built-in engine.
        assert_eq!(encoder.max_tokens(), 128);
        let pairs = golden.ids.into_iter().zip(golden.vectors).filter(|(ids, _)| ids.len() <= 128);
        (golden.ids, golden.vectors) = pairs.unzip();
        let mut vectors = encode(&encoder, &golden.ids);
        vectors.iter_mut().for_each(|vector| vector.truncate(16));
        let worst = distance(&vectors, &golden.vectors);
        println!("{worst:e}");
        assert!(worst < 1e-5, "{worst:e}");
    }
}

#[test]
fn a_sequence_alone_gives_the_same_bits_whatever_is_around_it() {
    for name in ARCHITECTURES {
        let ids = golden(name).ids;
        let encoder = TorchEncoder::load(fixture(name), &TorchOptions::new()).unwrap();
        let all = bits(&encode(&encoder, &ids));
        for (one, expected) in ids.iter().zip(&all) {
            assert_eq!(&bits(&encode(&encoder, std::slice::from_ref(one)))[0], expected, "{name}, {one:?}");
        }
        let turned: Vec<Vec<u32>> = ids.iter().rev().cloned().collect();
        let mut turned = bits(&encode(&encoder, &turned));
        turned.reverse();
        assert_eq!(turned, all, "{name}");
        let options = TorchOptions::new().with_workers(NonZeroUsize::new(3).unwrap());
        assert_eq!(bits(&encode(&TorchEncoder::load(fixture(name), &options).unwrap(), &ids)), all, "{name}");
    }
}

#[test]
fn padding_moves_no_result_by_more_than_rounding() {
    for name in ARCHITECTURES {
        let ids = golden(name).ids;
        let alone = encode(&TorchEncoder::load(fixture(name), &TorchOptions::new()).unwrap(), &ids);
        for bound in [1, 40, 100, 100_000] {
            let encoder = TorchEncoder::load(fixture(name), &padded(bound)).unwrap();
            let worst = distance(&encode(&encoder, &ids), &alone);
            assert!(worst < 1e-5, "{name}, {bound} tokens: {worst:e}");
        }
    }
}

/// The comparison that the documentation cites: rust-bert's `predict` pads without a mask.
#[test]
fn a_long_neighbour_moves_rust_berts_predict_and_not_this() {
    let folder = copy("bert", "predict");
    let tokenizer: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("tokenizer.json")).unwrap()).unwrap();
    let vocabulary = tokenizer["model"]["vocab"].as_object().unwrap();
    let mut words: Vec<(&str, u64)> =
        vocabulary.iter().map(|(word, id)| (&**word, id.as_u64().unwrap())).collect();
    words.sort_by_key(|&(_, id)| id);
    // rust-bert's tokenizer insists on a token for masked words.
    let lines: Vec<&str> = words.iter().map(|&(word, _)| word).chain(["[MASK]"]).collect();
    let vocab = folder.join("vocab.txt");
    fs::write(&vocab, lines.join("\n")).unwrap();

    let file = |name: &str| LocalResource::from(folder.join(name));
    let mut config = SequenceClassificationConfig::new(
        ModelType::Bert,
        ModelResource::Torch(Box::new(file("model.safetensors"))),
        file("config.json"),
        file("vocab.txt"),
        None,
        true,
        None,
        None,
    );
    config.device = tch::Device::Cpu;
    let vocab = vocab.to_str().unwrap();
    let tokenizer = TokenizerOption::from_file(ModelType::Bert, vocab, None, true, None, None).unwrap();
    let theirs = SequenceClassificationModel::new_with_tokenizer(config, tokenizer).unwrap();

    let short = "the refund was late";
    let long = "i waited two weeks and called the store again and again but they never answered, no apology, nothing";
    let alone = &theirs.predict([short])[0];
    let beside = &theirs.predict([short, long])[0];

    let ids = |text: &str| -> Vec<u32> {
        let word =
            |word: &str| vocabulary.get(word).or(vocabulary.get("[UNK]")).unwrap().as_u64().unwrap() as u32;
        let text = text.replace(',', " ,");
        let words: Vec<u32> = text.split_whitespace().map(word).collect();
        [vec![word("[CLS]")], words, vec![word("[SEP]")]].concat()
    };
    let ours = TorchEncoder::load(&folder, &padded(10_000)).unwrap();
    let ours_alone = encode(&ours, &[ids(short)]);
    let ours_beside = encode(&ours, &[ids(short), ids(long)]);

    // With one sentence there is no padding, and both agree.
    let TorchOutput::Logits(map) = ours.output() else { panic!("logits") };
    let sentiment = map.sentiment(&ours_alone[0]);
    let ours_score = [sentiment.negative(), sentiment.neutral(), sentiment.positive()][alone.id as usize];
    assert!((f64::from(ours_score) - alone.score).abs() < 1e-5, "{ours_score}, {alone:?}");

    println!("rust-bert: {alone:?} alone, {beside:?} beside a long one; {ours_score} here");
    assert!(beside.id != alone.id || (beside.score - alone.score).abs() > 0.02, "{alone:?}, {beside:?}");
    assert!(distance(&ours_alone, &ours_beside[..1]) < 1e-5);
}

/// Why DeBERTa is not run on rust-bert's types. If this fails after an update of rust-bert, it may be.
#[test]
fn rust_berts_deberta_is_another_model() {
    let run = |name: &str, model_type| {
        let file = |file: &str| LocalResource::from(fixture(name).join(file));
        let mut config = SequenceClassificationConfig::new(
            model_type,
            ModelResource::Torch(Box::new(file("model.safetensors"))),
            file("config.json"),
            file("tokenizer.json"),
            None,
            true,
            None,
            None,
        );
        config.device = tch::Device::Cpu;
        let model = rust_bert::pipelines::sequence_classification::SequenceClassificationOption::new(&config)
            .unwrap();
        let golden = golden(name);
        let logits = golden.ids.iter().map(|ids| {
            let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
            let ids = Tensor::from_slice(&ids).unsqueeze(0);
            let mask = ids.ones_like();
            let logits = tch::no_grad(|| model.forward_t(Some(&ids), Some(&mask), None, None, None, false));
            Vec::<f32>::try_from(logits.flatten(0, -1)).unwrap()
        });
        distance(&logits.collect::<Vec<_>>(), &golden.vectors)
    };
    let (one, two) = (run("deberta", ModelType::Deberta), run("deberta-v2", ModelType::DebertaV2));
    println!("rust-bert's DeBERTa: v1 {one}, v2 {two} off");
    assert!(one > 0.1 && two > 0.1);
    // The same way of asking, where rust-bert is right.
    assert!(run("bert", ModelType::Bert) < 1e-4);
}

#[test]
fn the_encoder_can_be_shared_and_survives_panics_elsewhere() {
    fn holds<T: Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    holds::<TorchEncoder>();
    holds::<TorchOptions>();
    holds::<TorchOutput>();
    holds::<LabelMap>();
}

#[test]
fn many_threads_share_one_encoder() {
    let golden = golden("bert");
    for options in [TorchOptions::new(), padded(100)] {
        let encoder = TorchEncoder::load(fixture("bert"), &options).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (encoder, golden) = (&encoder, &golden);
                scope.spawn(move || {
                    for round in 0..10 {
                        let one = (thread + round) % golden.ids.len();
                        let vectors = encode(encoder, &golden.ids[one..]);
                        assert!(distance(&vectors, &golden.vectors[one..]) < 1e-4);
                    }
                });
            }
        });
    }
}

#[test]
fn half_precision_is_close_or_refused() {
    for name in ARCHITECTURES {
        let golden = golden(name);
        // The bounds that the documentation of `TorchPrecision` names.
        let coarse = if name == "mobilebert" { 0.3 } else { 0.06 };
        for (precision, near) in [(TorchPrecision::F16, 0.02), (TorchPrecision::Bf16, coarse)] {
            let options = TorchOptions::new().with_precision(precision);
            match TorchEncoder::load(fixture(name), &options) {
                Ok(encoder) => {
                    let worst = distance(&encode(&encoder, &golden.ids), &golden.vectors);
                    println!("{name} {precision:?}: {worst}");
                    assert!(worst < near, "{name} {precision:?}: {worst}");
                }
                Err(error) => {
                    println!("{name} {precision:?}: {error}");
                    assert_eq!(error.kind(), LoadErrorKind::Unsupported, "{name} {precision:?}");
                }
            }
        }
    }
}

#[test]
fn cuda_is_refused_where_there_is_none() {
    if tch::Cuda::is_available() {
        return println!("skipped: there is CUDA here");
    }
    assert_eq!(TorchDevice::cuda_if_available(), TorchDevice::Cpu);
    let options = TorchOptions::new().with_device(TorchDevice::Cuda(0));
    let error = TorchEncoder::load(fixture("bert"), &options).unwrap_err();
    assert_eq!(error.kind(), LoadErrorKind::Unsupported);
    let options = TorchOptions::new().with_device(TorchDevice::Cuda(3));
    let error = Analyzer::builder().torch_dir(fixture("bert"), options).build().unwrap_err();
    assert_eq!(error.kind(), LoadErrorKind::Unsupported);
    assert!(error.to_string().contains("CUDA device 3"), "{error}");
}

/// A folder as `examples/train` writes it, with heads, context stage and weights in f16, out of the shipped model.
fn trainers_export(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("torch-export-{test}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/model");
    fs::copy(shipped.join("tokenizer.json"), folder.join("tokenizer.json")).unwrap();
    let stored = Tensor::read_safetensors(shipped.join("model.safetensors")).unwrap();
    let scale = |name: &str| stored.iter().find(|(other, _)| *other == format!("{name}.scale"));
    let tensors: Vec<(String, Tensor)> = stored
        .iter()
        .filter(|(name, _)| !name.ends_with(".scale"))
        .map(|(name, tensor)| {
            let tensor = tensor.to_kind(Kind::Float);
            let whole = scale(name).map(|(_, scale)| &tensor * scale.unsqueeze(1)).unwrap_or(tensor);
            (name.clone(), whole.to_kind(Kind::Half))
        })
        .collect();
    Tensor::write_safetensors(&tensors, folder.join("model.safetensors")).unwrap();
    let said: toml::Table = toml::from_str(&fs::read_to_string(shipped.join("model.toml")).unwrap()).unwrap();
    let (encoder, events) = (&said["encoder"], &said["events"]);
    let config = json!({
        "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu",
        "attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0.1, "initializer_range": 0.02,
        "vocab_size": encoder["vocabulary"], "max_position_embeddings": encoder["positions"],
        "type_vocab_size": encoder["token_types"], "hidden_size": encoder["hidden"],
        "num_hidden_layers": encoder["layers"], "num_attention_heads": encoder["heads"],
        "intermediate_size": encoder["intermediate"], "layer_norm_eps": encoder["norm_epsilon"],
        "pad_token_id": 0, "max_tokens": 64,
        "heads": {
            "input": "pooler_output (tanh of the pooler dense layer on the first token)",
            "sentiment": {"activation": "softmax", "labels": ["negative", "neutral", "positive"], "temperature": 1.6},
            "events": {
                "activation": "sigmoid", "labels": events["labels"], "temperature": events["temperature"], "threshold": 0.3,
            },
        },
        "context": said["context"],
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    folder
}

#[test]
fn the_trainers_export_runs_with_its_heads_and_context() {
    let folder = trainers_export("runs");
    let torch = Engine::from_torch(&folder, &TorchOptions::new()).unwrap();
    let own = Engine::from_model(&Model::from_dir(&folder, Precision::F32).unwrap()).unwrap();
    assert_eq!(torch.name(), own.name());
    assert_eq!((torch.encoder().max_tokens(), own.encoder().max_tokens()), (64, 64));
    assert!(torch.heads().has_events());
    let story = [
        "They promised to call me back the same day.",
        "They never did.",
        "On the third day a woman rang, apologised and sent a new one, which arrived within the hour.",
    ];
    let polarity = |engine: &Engine, story: &[&str]| -> Vec<f32> {
        engine.sentiments(story).unwrap().iter().map(|found| found.positive() - found.negative()).collect()
    };
    let (a, b) = (polarity(&torch, &story), polarity(&own, &story));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4), "{a:?} {b:?}");
    let probs = |engine: &Engine| -> Vec<f32> {
        let found = engine.event_probs(&story).unwrap();
        found.iter().flat_map(|found| found.as_ref().unwrap().as_flattened().to_vec()).collect()
    };
    let (probs_a, probs_b) = (probs(&torch), probs(&own));
    assert!(probs_a.iter().zip(&probs_b).all(|(a, b)| (a - b).abs() < 1e-4));
    // The context stage is at work: the same sentence means something else by itself.
    assert!((polarity(&torch, &story[1..2])[0] - a[1]).abs() > 1e-3);
    assert!(Analyzer::builder().torch_dir(&folder, TorchOptions::new()).build().is_ok());
}

#[test]
fn own_models_that_are_broken_are_refused_by_name() {
    let refused = |folder: &Path, kind: LoadErrorKind, file: &str, words: &str| {
        let error = Engine::from_torch(folder, &TorchOptions::new()).unwrap_err();
        assert_eq!((error.kind(), error.path()), (kind, Some(&*folder.join(file))), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let folder = trainers_export("broken");
    edit_tensors(&folder, |tensors| tensors.retain(|(name, _)| name != "context.gru.weight_hh_l0_reverse"));
    refused(&folder, LoadErrorKind::Tensor, "model.safetensors", "context.gru.weight_hh_l0_reverse");

    let folder = trainers_export("broken");
    edit_config(&folder, |config| config["context"]["hidden_size"] = json!(32));
    refused(
        &folder,
        LoadErrorKind::Tensor,
        "model.safetensors",
        "expected shape [96, 384], found [192, 384]",
    );

    let folder = trainers_export("broken");
    edit_config(&folder, |config| config["heads"]["events"]["labels"][4] = json!("delay:perhaps"));
    refused(&folder, LoadErrorKind::Labels, "model.safetensors", "delay:absent");

    let folder = trainers_export("broken");
    edit_tensors(&folder, |tensors| tensors.retain(|(name, _)| name != "sentiment.bias"));
    refused(&folder, LoadErrorKind::Tensor, "model.safetensors", "sentiment.bias");

    let folder = trainers_export("broken");
    let digest = "0".repeat(64);
    let sums = ["config.json", "model.safetensors", "tokenizer.json"].map(|name| format!("{digest}  {name}"));
    fs::write(folder.join("SHA256SUMS"), sums.join("\n")).unwrap();
    refused(&folder, LoadErrorKind::Checksum, "config.json", "checksum mismatch");
}

#[test]
fn the_shipped_model_runs_from_its_int8_folder() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/model");
    let encoder = TorchEncoder::load(&shipped, &TorchOptions::new()).unwrap();
    assert_eq!((encoder.dim(), encoder.max_tokens(), encoder.vocabulary()), (384, 96, 11_150));
    let own = Model::from_dir(&shipped, Precision::F32).unwrap().encoder();
    let sentences: Vec<Vec<u32>> =
        sentences(20).into_iter().map(|ids| ids.into_iter().map(|id| id % 11_150).collect()).collect();
    let mut batch = TokenBatch::new();
    sentences.iter().for_each(|ids| batch.push(ids));
    let mut expected = vec![0.0; batch.len() * 384];
    own.encode(&batch, &mut expected).unwrap();
    let expected: Vec<Vec<f32>> = expected.chunks_exact(384).map(<[f32]>::to_vec).collect();
    let worst = distance(&encode(&encoder, &sentences), &expected);
    println!("{worst:e}");
    assert!(worst < 1e-4, "{worst:e}");
}

#[test]
fn classes_become_sentiment() {
    for (name, classes, band) in
        [("bert", 3, None), ("xlm-roberta", 5, None), ("distilbert", 2, Some(LabelMap::DEFAULT_NEUTRAL_BAND))]
    {
        let encoder = TorchEncoder::load(fixture(name), &TorchOptions::new()).unwrap();
        let TorchOutput::Logits(map) = encoder.output() else { panic!("logits") };
        assert_eq!((map.len(), map.neutral_band(), encoder.dim()), (classes, band, classes), "{name}");
        assert_eq!(encoder.max_tokens(), 48);
        assert!(encoder.tokenizer_path().is_file());
    }
    let options = TorchOptions::new().with_neutral_band(0.4);
    let encoder = TorchEncoder::load(fixture("albert"), &options).unwrap();
    let TorchOutput::Logits(map) = encoder.output() else { panic!("logits") };
    assert_eq!(map.neutral_band(), Some(0.4));
}

#[test]
fn labels_that_say_nothing_must_be_given() {
    let folder = copy("roberta", "labels");
    let load = |options: &TorchOptions| TorchEncoder::load(&folder, options);
    let numbered = json!({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"});
    edit_config(&folder, |config| {
        config.insert("id2label".to_owned(), numbered);
    });
    let error = load(&TorchOptions::new()).unwrap_err();
    assert_eq!(error.kind(), LoadErrorKind::Labels);
    assert!(error.to_string().contains("LABEL_1") && error.to_string().contains("with_labels"), "{error}");
    let given = TorchOptions::new().with_labels(["negative", "neutral", "positive"]);
    assert!(
        distance(&encode(&load(&given).unwrap(), &golden("roberta").ids), &golden("roberta").vectors) < 1e-4
    );

    edit_config(&folder, |config| {
        config.remove("id2label");
    });
    assert_eq!(load(&TorchOptions::new()).unwrap_err().kind(), LoadErrorKind::Labels);
    assert!(load(&given).is_ok());
    let two = TorchOptions::new().with_labels(["negative", "positive"]);
    assert_eq!(load(&two).unwrap_err().kind(), LoadErrorKind::Tensor);
    let band = given.clone().with_neutral_band(0.7);
    assert_eq!(load(&band).unwrap_err().kind(), LoadErrorKind::Labels);

    edit_config(&folder, |config| {
        config.insert("id2label".to_owned(), json!({"0": "negative", "2": "positive"}));
    });
    assert_eq!(load(&TorchOptions::new()).unwrap_err().kind(), LoadErrorKind::Labels);
    edit_config(&folder, |config| {
        config.insert("problem_type".to_owned(), json!("multi_label_classification"));
    });
    assert_eq!(load(&given).unwrap_err().kind(), LoadErrorKind::Labels);
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let load = |folder: &Path| TorchEncoder::load(folder, &TorchOptions::new());
    let refused = |folder: &Path, words: &[&str]| {
        let error = load(folder).unwrap_err();
        assert_eq!(error.kind(), LoadErrorKind::Tensor, "{error}");
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
        assert_eq!(error.path(), Some(&*folder.join("model.safetensors")));
    };

    let folder = copy("bert", "missing");
    edit_tensors(&folder, |tensors| {
        tensors.retain(|(name, _)| name != "classifier.bias" && !name.contains("layer.1.output.dense"));
    });
    refused(&folder, &["missing", "classifier.bias", "layer.1.output.dense.weight"]);

    let folder = copy("bert", "shape");
    edit_config(&folder, |config| {
        config.insert("intermediate_size".to_owned(), json!(24));
    });
    refused(&folder, &["expected shape", "24", "found", "32"]);

    let folder = copy("bert", "layers");
    edit_config(&folder, |config| {
        config.insert("num_hidden_layers".to_owned(), json!(1));
    });
    refused(&folder, &["no use", "bert.encoder.layer.1.", "8 more"]);

    let folder = copy("bert", "infinite");
    edit_tensors(&folder, |tensors| {
        let found = tensors.iter_mut().find(|(name, _)| name == "bert.pooler.dense.weight").unwrap();
        found.1 = found.1.shallow_clone() / 0.0;
    });
    refused(&folder, &["bert.pooler.dense.weight", "not finite"]);
}

#[test]
fn old_names_and_old_files_are_read() {
    let golden = golden("bert");
    let folder = copy("bert", "old");
    edit_tensors(&folder, |tensors| {
        for (name, _) in tensors.iter_mut() {
            *name = name
                .replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta");
        }
        // Left behind by pretraining, and of no harm.
        tensors.push(("cls.seq_relationship.bias".to_owned(), Tensor::zeros([2], tch::kind::FLOAT_CPU)));
        tensors.push(("bert.embeddings.position_ids".to_owned(), Tensor::arange(48, tch::kind::INT64_CPU)));
    });
    let encoder = TorchEncoder::load(&folder, &TorchOptions::new()).unwrap();
    assert!(distance(&encode(&encoder, &golden.ids), &golden.vectors) < 1e-4);

    let safe = folder.join("model.safetensors");
    Tensor::save_multi(&Tensor::read_safetensors(&safe).unwrap(), folder.join("rust_model.ot")).unwrap();
    fs::remove_file(safe).unwrap();
    let encoder = TorchEncoder::load(&folder, &TorchOptions::new()).unwrap();
    assert_eq!(encoder.weights_path(), folder.join("rust_model.ot"));
    assert!(distance(&encode(&encoder, &golden.ids), &golden.vectors) < 1e-4);
}

#[test]
fn files_that_are_missing_or_broken_are_named() {
    let kind = |folder: &Path, file: &str| {
        let error = TorchEncoder::load(folder, &TorchOptions::new()).unwrap_err();
        assert_eq!(error.path(), Some(&*folder.join(file)), "{error}");
        error.kind()
    };
    for file in ["config.json", "tokenizer.json"] {
        let folder = copy("bert", file);
        fs::remove_file(folder.join(file)).unwrap();
        assert_eq!(kind(&folder, file), LoadErrorKind::Io);
    }
    let folder = copy("bert", "broken");
    fs::write(folder.join("model.safetensors"), b"\x08\0\0\0\0\0\0\0no json!").unwrap();
    assert_eq!(kind(&folder, "model.safetensors"), LoadErrorKind::Format);
    fs::rename(folder.join("model.safetensors"), folder.join("rust_model.ot")).unwrap();
    assert_eq!(kind(&folder, "rust_model.ot"), LoadErrorKind::Format);
    fs::rename(folder.join("rust_model.ot"), folder.join("pytorch_model.bin")).unwrap();
    let error = TorchEncoder::load(&folder, &TorchOptions::new()).unwrap_err();
    assert_eq!(error.kind(), LoadErrorKind::Io);
    assert!(error.to_string().contains("pickle"), "{error}");
    fs::write(folder.join("config.json"), "{").unwrap();
    assert_eq!(kind(&folder, "config.json"), LoadErrorKind::Format);
}

#[test]
fn configurations_that_cannot_be_computed_are_refused() {
    for (name, entry, value, kind) in [
        ("bert", "model_type", json!("gpt2"), LoadErrorKind::Unsupported),
        ("distilbert", "model_type", json!("gpt2"), LoadErrorKind::Unsupported),
        ("bert", "model_type", json!(null), LoadErrorKind::Format),
        ("bert", "position_embedding_type", json!("relative_key"), LoadErrorKind::Unsupported),
        ("bert", "is_decoder", json!(true), LoadErrorKind::Unsupported),
        ("bert", "hidden_act", json!("laplace"), LoadErrorKind::Format),
        ("bert", "vocab_size", json!(null), LoadErrorKind::Format),
        ("bert", "max_position_embeddings", json!(-4), LoadErrorKind::Format),
        ("bert", "num_attention_heads", json!(3), LoadErrorKind::Format),
        ("bert", "num_attention_heads", json!(0), LoadErrorKind::Format),
        ("roberta", "pad_token_id", json!(0), LoadErrorKind::Unsupported),
        ("deberta", "pos_att_type", json!("c2p|p2p"), LoadErrorKind::Unsupported),
        ("deberta-v2", "pos_att_type", json!(["c2c"]), LoadErrorKind::Unsupported),
        ("distilbert", "heads", json!({}), LoadErrorKind::Unsupported),
    ] {
        let folder = copy(name, "config");
        edit_config(&folder, |config| {
            config.insert(entry.to_owned(), value.clone());
        });
        let error = TorchEncoder::load(&folder, &TorchOptions::new()).unwrap_err();
        assert_eq!(error.kind(), kind, "{name} {entry} {value}: {error}");
    }
}

#[test]
fn sequences_that_do_not_fit_are_refused_and_the_encoder_goes_on() {
    let golden = golden("bert");
    let encoder = TorchEncoder::load(fixture("bert"), &TorchOptions::new()).unwrap();
    let attempt = |ids: &[u32], size: usize| {
        let mut batch = TokenBatch::new();
        batch.push(&golden.ids[0]);
        batch.push(ids);
        encoder.encode(&batch, &mut vec![0.0; size]).map_err(|error| error.to_string())
    };
    assert!(attempt(&[2, 3], 6).is_ok());
    assert!(attempt(&[2; 48], 6).is_ok());
    assert!(attempt(&[2; 49], 6).unwrap_err().contains("sequence 1 has 49 tokens"));
    assert!(attempt(&[], 6).unwrap_err().contains("sequence 1 has 0 tokens"));
    assert!(attempt(&[2, 96, 3], 6).unwrap_err().contains("token id 96"));
    assert!(attempt(&[2, 3], 5).unwrap_err().contains("5 numbers"));
    assert!(encoder.encode(&TokenBatch::new(), &mut []).is_ok());
    assert!(distance(&encode(&encoder, &golden.ids), &golden.vectors) < 1e-4);
}

/// amends' own models are beside the checkout, or where `AMENDS_SHARED` says.
fn shared_model() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("AMENDS_SHARED").map_or(beside, PathBuf::from).join("models/v0");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is not there", folder.display());
    None
}

/// Sequences of a model with BERT's vocabulary, as long as sentences of stories are.
fn sentences(count: usize) -> Vec<Vec<u32>> {
    let mut state = 12345u32;
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut one = || {
        let words = 3 + next(12) + next(12) + next(12);
        let words = (0..words).map(|_| 1000 + next(28_000));
        std::iter::once(101).chain(words).chain([102]).collect()
    };
    (0..count).map(|_| one()).collect()
}

#[test]
#[ignore = "measures, and needs a release build"]
fn what_sharing_a_pass_costs_and_gives() {
    let Some(folder) = shared_model() else { return };
    let sentences = sentences(400);
    let alone = encode(&TorchEncoder::load(&folder, &TorchOptions::new()).unwrap(), &sentences);
    for round in 0..2 {
        for options in [TorchOptions::new(), padded(512), padded(8192)] {
            for workers in [1, 2] {
                let options = options.clone().with_workers(NonZeroUsize::new(workers).unwrap());
                let encoder = TorchEncoder::load(&folder, &options).unwrap();
                let start = std::time::Instant::now();
                let vectors = encode(&encoder, &sentences);
                let rate = sentences.len() as f64 / start.elapsed().as_secs_f64();
                let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
                let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("");
                let pairs = bits(&vectors).into_iter().zip(bits(&alone));
                let same = pairs.filter(|(a, b)| a == b).count();
                let worst = distance(&vectors, &alone);
                println!(
                    "{round} {options:?}: {rate:.0}/s, {same} of 400 the same bits, at most {worst:e} off, {peak}"
                );
            }
        }
    }
}
