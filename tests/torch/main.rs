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

mod checkpoints;
#[cfg(feature = "remote")]
mod fetch;
mod own;

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
                    // On a CPU libtorch 2.4 computes all that BERT needs in f16.
                    assert!(name != "bert" || precision != TorchPrecision::F16, "{error}");
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
