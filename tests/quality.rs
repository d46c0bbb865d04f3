//! Quality floors: the whole pipeline over labelled stories, measured by the official script.
//!
//! Prints every figure; fails below the floors of `tests/floors.toml` (above, where it is an error), on every back end.
//! Skips where the labelled data or python3 is not there. `cargo test --test quality -- --nocapture` shows the figures.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use amends::{Analyzer, Document};
use serde::Deserialize;
use serde_json::Value;

#[path = "support/back_ends.rs"]
mod back_ends;
use back_ends::BackEnd;

fn shared() -> PathBuf {
    std::env::var_os("AMENDS_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from)
}

/// Analyses a part of the labelled stories and returns what the script prints, or `None` where something it needs is
/// missing.
fn measure(part: &str, analyzer: &Analyzer) -> Option<Value> {
    let (gold, script) =
        (shared().join(format!("data/events/{part}.jsonl")), shared().join("eval/evaluate.py"));
    let Ok(labelled) = std::fs::read_to_string(&gold) else {
        println!("skipped: {} is not there", gold.display());
        return None;
    };
    let rows: Vec<Value> = labelled.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let documents: Vec<Document<'_>> = rows
        .iter()
        .map(|row| Document::new(row["text"].as_str().unwrap()).with_id(row["id"].as_str().unwrap()))
        .collect();
    let analyses = analyzer.analyze_batch(&documents);

    let predicted = std::env::temp_dir().join(format!("amends-{part}-{}.jsonl", std::process::id()));
    let mut file = std::io::BufWriter::new(std::fs::File::create(&predicted).unwrap());
    for (document, analysis) in documents.iter().zip(analyses) {
        serde_json::to_writer(&mut file, &analysis.unwrap().to_record(document)).unwrap();
        writeln!(file).unwrap();
    }
    file.flush().unwrap();
    let evaluate =
        |form: &[&str]| Command::new("python3").arg(&script).arg(&gold).arg(&predicted).args(form).output();
    let (table, json) = (evaluate(&[]), evaluate(&["--json"]));
    std::fs::remove_file(&predicted).unwrap();
    let (Ok(table), Ok(json)) = (table, json) else {
        println!("skipped: no python3");
        return None;
    };
    assert!(json.status.success(), "{}", String::from_utf8_lossy(&json.stderr));
    println!("{}", String::from_utf8_lossy(&table.stdout));
    Some(serde_json::from_slice(&json.stdout).unwrap())
}

/// How low a figure may be, or how high.
#[derive(Deserialize)]
#[serde(untagged)]
enum Bound {
    Least(f64),
    Most { most: f64 },
}

fn holds(part: &str) {
    let bounds: BTreeMap<String, BTreeMap<String, Bound>> =
        toml::from_str(include_str!("floors.toml")).unwrap();
    let mut broken = Vec::new();
    for BackEnd { name: engine, analyzer } in &*back_ends::ALL {
        println!("{part}, {engine}");
        let Some(figures) = measure(part, analyzer) else { return };
        for (name, bound) in &bounds[part] {
            let figure = name.split('.').fold(&figures, |at, key| &at[key]);
            let figure = figure.as_f64().unwrap_or_else(|| panic!("{name} is not among the figures"));
            let (least, most) = match *bound {
                Bound::Least(least) => (least, f64::INFINITY),
                Bound::Most { most } => (f64::NEG_INFINITY, most),
            };
            println!("{part}, {engine}: {name} {figure:.3} (within {least:.3}..={most:.3})");
            if !(least..=most).contains(&figure) {
                broken.push(format!("{engine}: {name} {figure:.4} is not within {least:.4}..={most:.4}"));
            }
        }
    }
    assert!(broken.is_empty(), "{part}: {}", broken.join(", "));
}

#[test]
fn labelled_reviews_stay_above_the_floors() {
    holds("dev");
}

#[test]
fn labelled_stories_stay_above_the_floors() {
    holds("stories-dev");
}
