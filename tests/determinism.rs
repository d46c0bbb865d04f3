//! The same bytes give the same scores, bit for bit: as the golden file says, and on any number of threads, in any
//! batch, order and chunk, whatever runs the model. The golden file is the embedded engine's.
//!
//! `AMENDS_BLESS=1 cargo test --test determinism` writes the golden file anew, after a change that is meant to change
//! scores: a new model, rules, weights. Read what changed before it is committed.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used)] // helpers of tests

use std::fmt::Write as _;
use std::path::Path;

use amends::{Analysis, Analyzer, Document};

#[path = "support/back_ends.rs"]
mod back_ends;
use back_ends::BackEnd;

fn stories() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/stories");
    let mut stories: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())
        })
        .collect();
    stories.sort();
    stories
}

/// One line of JSON a story, with every number in full: Rust writes the shortest digits that read back as the same
/// bits.
fn golden(id: &str, analysis: &Analysis) -> String {
    let mut line = format!("{{\"id\":\"{id}\",\"model\":\"{}\",\"sentences\":[", analysis.model());
    for (at, sentence) in analysis.sentences().iter().enumerate() {
        let (span, s) = (sentence.span(), sentence.sentiment());
        let numbers = [s.negative(), s.neutral(), s.positive()];
        let comma = if at == 0 { "" } else { "," };
        write!(line, "{comma}[{},{},{:?}]", span.start(), span.end(), numbers).unwrap();
    }
    line.push_str("],\"events\":[");
    for (at, event) in analysis.events().iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let (span, evidence) = (event.span(), event.evidence());
        write!(
            line,
            "{comma}[{},{},\"{}:{}\",\"{}\",{:?},\"{evidence}\"]",
            span.start(),
            span.end(),
            event.event_type(),
            event.status(),
            event.actor(),
            event.confidence()
        )
        .unwrap();
    }
    line.push_str("],\"interactions\":[");
    for (at, interaction) in analysis.interactions().iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let score = interaction.score();
        write!(line, "{comma}[{:?},{:?},{:?}]", score.value(), score.low(), score.high()).unwrap();
    }
    line.push_str("]}");
    line
}

#[test]
fn our_stories_have_the_scores_of_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/scores.jsonl");
    let analyzer = Analyzer::embedded().unwrap();
    let found: Vec<String> =
        stories().iter().map(|(id, text)| golden(id, &analyzer.analyze(text).unwrap())).collect();
    if std::env::var_os("AMENDS_BLESS").is_some() {
        std::fs::write(&path, found.join("\n") + "\n").unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    let how = "a change of scores that is meant is blessed by `AMENDS_BLESS=1 cargo test --test determinism`";
    for (found, expected) in found.iter().zip(expected.lines()) {
        let at = found.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count();
        let part = |line: &str| line[at.saturating_sub(60)..(at + 60).min(line.len())].to_owned();
        assert!(found == expected, "found    …{}…\nexpected …{}…\n{how}", part(found), part(expected));
        serde_json::from_str::<serde_json::Value>(found).unwrap();
    }
    assert_eq!(found.len(), expected.lines().count(), "{how}");
}

#[test]
fn another_load_of_the_model_gives_the_same_bits() {
    for (one, other) in back_ends::ALL.iter().zip(back_ends::load()) {
        for (id, text) in stories() {
            let (one_says, other_says) =
                (one.analyzer.analyze(&text).unwrap(), other.analyzer.analyze(&text).unwrap());
            assert!(golden(&id, &one_says) == golden(&id, &other_says), "{}: {id}", one.name);
            assert_eq!(one_says, other_says, "{}: {id}", one.name);
        }
    }
}

#[test]
fn threads_batches_orders_and_chunks_change_no_bit() {
    let stories = stories();
    for BackEnd { name, analyzer } in &*back_ends::ALL {
        let singles: Vec<Analysis> =
            stories.iter().map(|(_, text)| analyzer.analyze(text).unwrap()).collect();
        for threads in [1, 2, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for size in [1, 3, stories.len()] {
                // Another order for each size: steps that share no factor with the number of stories.
                let order: Vec<usize> =
                    (0..stories.len()).map(|at| (at * (2 * size + 1) + threads) % stories.len()).collect();
                for chunk in order.chunks(size) {
                    let documents: Vec<Document<'_>> =
                        chunk.iter().map(|&at| Document::new(&stories[at].1)).collect();
                    let analyses = pool.install(|| analyzer.analyze_batch(&documents));
                    assert_eq!(analyses.len(), chunk.len());
                    for (&at, analysis) in chunk.iter().zip(analyses) {
                        let same = analysis.unwrap() == singles[at];
                        assert!(same, "{name}: {}: {threads} threads, batches of {size}", stories[at].0);
                    }
                }
            }
            pool.install(|| {
                let texts = stories.iter().rev().map(|(_, text)| text.as_str());
                let found: Vec<Analysis> =
                    analyzer.analyze_iter(texts).map(|(_, analysis)| analysis.unwrap()).collect();
                assert!(found.iter().eq(singles.iter().rev()), "{name}: a stream on {threads} threads");
            });
        }
    }
}
