//! The fuzz targets over all of their seeds, on any toolchain. `.ci/fuzz` goes on from the same seeds with libFuzzer.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used)] // helpers of tests

use proptest::prelude::*;

#[path = "fuzz/checks.rs"]
mod checks;

fn run(target: &str) {
    let (_, check) = checks::TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    run_with(target, check);
}

fn run_with(target: &str, check: impl Fn(&[u8])) {
    let seeds = checks::seeds(target);
    assert!(seeds.len() >= 3, "{} seeds for {target}", seeds.len());
    for (name, seed) in seeds {
        eprintln!("{target}/{name}");
        check(&seed);
        // Cut anywhere, and with one byte turned.
        for part in 1..4 {
            check(&seed[..seed.len() * part / 4]);
        }
        let mut turned = seed.clone();
        if let Some(byte) = turned.get_mut(seed.len() / 3) {
            *byte ^= 0x15;
            check(&turned);
        }
    }
}

#[test]
fn segment() {
    run("segment");
}

#[test]
fn front_door() {
    run("front_door");
}

#[test]
fn embedded() {
    run("embedded");
}

/// The seeds of the embedded model.
#[cfg(feature = "rust-bert")]
#[test]
fn libtorch() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/model");
    let analyzer =
        amends::Analyzer::builder().torch_dir(folder, amends::TorchOptions::new()).build().unwrap();
    run_with("embedded", |data| checks::promised(&analyzer, data));
}

#[test]
fn rules() {
    run("rules");
}

#[test]
fn model() {
    run("model");
}

#[test]
fn jsonl() {
    run("jsonl");
}

#[test]
fn readers() {
    run("readers");
}

#[test]
fn tables() {
    run("tables");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// What looks like lines of JSON, tables or pages, and is none: made of the marks that mean something there.
    #[test]
    fn what_looks_like_a_file(
        kind in any::<[u8; 2]>(),
        words in prop::collection::vec(
            "[{}\\[\\]\":,;\\\\\\r\\n]{0,6}|text|id|\\\\u[0-9a-fD]{4}|\"text\":\"|<[/!]?[a-z]{1,4}>?|> |[*_#`|]{1,3}|From: |--a|\\PC{0,3}",
            0..60,
        ),
    ) {
        let bytes = words.concat().into_bytes();
        checks::jsonl(&bytes);
        checks::readers(&[&kind[..], &bytes].concat());
        checks::tables(&[&kind[..], &bytes].concat());
    }
}
