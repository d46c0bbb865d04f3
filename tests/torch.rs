//! The libtorch back end against the transformers library, and what it promises.
//!
//! `tests/fixtures/torch/` holds one small checkpoint of each architecture with random weights, and the logits
//! that transformers computes; `make.py` there made them.
#![cfg(feature = "rust-bert")]

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use amends::{
    Encoder, LabelMap, LoadErrorKind, TokenBatch, TorchBatching, TorchEncoder, TorchOptions, TorchOutput,
    TorchPrecision,
};
use serde_json::Value;

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
    logits: Vec<Vec<f32>>,
}

fn golden(name: &str) -> Golden {
    let text = fs::read_to_string(fixture(name).join("golden.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    Golden {
        ids: serde_json::from_value(golden["ids"].clone()).unwrap(),
        logits: serde_json::from_value(golden["logits"].clone()).unwrap(),
    }
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
            let worst = distance(&encode(&encoder, &golden.ids), &golden.logits);
            println!("{name}, {options:?}: {worst:e}");
            if worst.is_nan() || worst > 1e-4 {
                failed.push(format!("{name}: {worst:e}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
