//! Sentences: cases in plain words, promises on any text, quality floors on labelled stories.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests

use std::collections::BTreeSet;
use std::time::Instant;

use amends::{Segment, segment};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    text: String,
    sentences: Vec<String>,
    /// Number of the block of each sentence, where the case is about blocks.
    blocks: Option<Vec<usize>>,
}

/// What must hold before anything else: sorted, not overlapping, on char boundaries, only white space between.
#[track_caller]
fn assert_lossless(text: &str, segments: &[Segment]) {
    let mut end = 0;
    let mut block = 0;
    for segment in segments {
        let span = segment.span();
        assert!(span.start() >= end, "{span:?} begins before {end}");
        assert!(!span.is_empty());
        let gap = text.get(end..span.start()).expect("a char boundary");
        assert!(gap.chars().all(char::is_whitespace), "lost {gap:?}");
        let sentence = text.get(span.range()).expect("a char boundary");
        assert_eq!(sentence, sentence.trim());
        assert!(segment.block() >= block, "block {} after {block}", segment.block());
        block = segment.block();
        end = span.end();
    }
    let rest = text.get(end..).expect("a char boundary");
    assert!(rest.chars().all(char::is_whitespace), "lost {rest:?}");
}

#[test]
fn cases() {
    let files = [
        include_str!("cases/segment.toml"),
        include_str!("cases/segment_blocks.toml"),
        include_str!("cases/segment_pages.toml"),
    ];
    let mut failures = Vec::new();
    let mut count = 0;
    for file in files {
        let cases: Cases = toml::from_str(file).unwrap();
        for case in cases.case {
            count += 1;
            let segments = segment(&case.text);
            assert_lossless(&case.text, &segments);
            let found: Vec<&str> = segments.iter().map(|s| &case.text[s.span().range()]).collect();
            if found != case.sentences {
                failures
                    .push(format!("{}:\n  found    {found:?}\n  expected {:?}", case.name, case.sentences));
            }
            let blocks: Vec<usize> = segments.iter().map(Segment::block).collect();
            if let Some(expected) = case.blocks
                && blocks != expected
            {
                failures
                    .push(format!("{}:\n  found    blocks {blocks:?}\n  expected {expected:?}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count}\n{}", failures.len(), failures.join("\n"));
    assert!(count >= 80, "{count}");
}

#[test]
fn hostile_texts_lose_nothing() {
    for unit in HOSTILE {
        let text = unit.repeat(2_000);
        assert_lossless(&text, &segment(&text));
    }
    // Found by the property test: a token that begins behind a white space of two bytes.
    for text in ["!\u{a0})!A", "x.\u{2003}y!Z", "¡\u{a0}¹?𝐀"] {
        assert_lossless(text, &segment(text));
    }
    assert!(segment("").is_empty());
    assert!(segment(" \n\t\r\n \u{2028} ").is_empty());
}

/// Texts that make careless searches quadratic.
const HOSTILE: &[&str] = &[
    "!",
    "?!",
    ".",
    ". ",
    ".)",
    ". )",
    "…",
    "\u{301}",
    "a\u{301}.",
    ".\u{301}",
    "。",
    ".\u{2019}",
    ".é) ",
    "1.",
    "1. ",
    "- ",
    "-\n",
    "1.\n",
    "a\nb",
    "A\n",
    "a",
    "A. ",
    "Dr. ",
    "(",
    ")",
    "\"",
    "\" said",
    "🙂",
    "🙂 A",
    "👩\u{200d}👩\u{200d}👧 ",
    " ",
    "\u{a0}",
    "\n",
    "\r\n",
    "\0",
    "\u{feff}",
    "\u{202e}abc",
    "|",
    " | ",
    "Home | ",
    "Home ",
    "Reply ",
    "Reply\n",
    "1 Comments ",
    "Posted by ",
    "a_b ",
    "By A | ",
    "X says: ",
    "{;}",
    "<?php ",
    "<div>",
    "www.a.b.C",
    "x://y.Z",
    "Tags: ",
    "Previous: ",
    "ago ",
    "May 1 ",
    "* * ",
];

/// Time per byte must not grow with the text: measured as a ratio, best of several, with room for a busy machine.
#[test]
#[ignore = "minutes; run with --release --ignored"]
fn a_hundred_megabytes_take_a_hundred_times_one() {
    let time = |text: &str| {
        (0..2)
            .map(|_| {
                let start = Instant::now();
                assert!(segment(text).len() < usize::MAX);
                start.elapsed().as_secs_f64()
            })
            .fold(f64::INFINITY, f64::min)
    };
    for unit in HOSTILE {
        let small = unit.repeat(400_000 / unit.len());
        let large = small.repeat(8);
        let (a, b) = (time(&small), time(&large));
        println!(
            "{unit:?}: {:.1} MB/s, 8 times the text takes {:.1} times the time",
            large.len() as f64 / b / 1e6,
            b / a
        );
        // Quadratic work would take 64 times; caches and other work on the machine cost up to 24 here.
        assert!(b < 40.0 * a.max(1e-3), "{unit:?}");
    }
    let line = "it went on and on and nobody came to help us at all ".repeat(2_000_000);
    let start = Instant::now();
    assert_lossless(&line, &segment(&line));
    println!("100 MB in one line: {:.1} s", start.elapsed().as_secs_f64());
}

fn pieces() -> impl Strategy<Value = String> {
    let unit = prop_oneof![
        4 => proptest::sample::select(HOSTILE).prop_map(str::to_owned),
        4 => "[a-zA-Z]{1,8}",
        2 => "[ .!?\n\"'()-]{1,4}",
        1 => any::<char>().prop_map(String::from),
        1 => "\\PC{0,6}",
    ];
    proptest::collection::vec(unit, 0..60).prop_map(|v| v.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_segmented_without_loss(text in any::<String>()) {
        assert_lossless(&text, &segment(&text));
    }

    #[test]
    fn any_text_of_hostile_pieces_is_segmented_without_loss(text in pieces()) {
        let segments = segment(&text);
        assert_lossless(&text, &segments);
        prop_assert_eq!(segments, segment(&text));
    }
}

/// The labelled stories, or `None` (with a printed line) where they are not beside the project.
fn labelled(name: &str) -> Option<String> {
    let root = std::env::var("AMENDS_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    let text = std::fs::read_to_string(format!("{root}/data/events/{name}")).ok();
    if text.is_none() {
        println!("skipped: {name} is not beside the project");
    }
    text
}

/// F1 of the sentence ends (the offset where each sentence ends) and of whole spans.
fn f1(data: &str) -> (f64, f64, usize) {
    let mut ends = [0usize; 3];
    let mut spans = [0usize; 3];
    for line in data.lines() {
        let story: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = story["text"].as_str().unwrap();
        let offset = |s: &serde_json::Value, key: &str| s[key].as_u64().unwrap() as usize;
        let gold: BTreeSet<(usize, usize)> = story["sentences"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| (offset(s, "start"), offset(s, "end")))
            .collect();
        let segments = segment(text);
        assert_lossless(text, &segments);
        let found: BTreeSet<(usize, usize)> =
            segments.iter().map(|s| (s.span().start(), s.span().end())).collect();
        let end = |set: &BTreeSet<(usize, usize)>| set.iter().map(|s| s.1).collect::<BTreeSet<_>>();
        let (gold_ends, found_ends) = (end(&gold), end(&found));
        for (sum, add) in ends.iter_mut().zip([
            gold_ends.len(),
            found_ends.len(),
            gold_ends.intersection(&found_ends).count(),
        ]) {
            *sum += add;
        }
        for (sum, add) in spans.iter_mut().zip([gold.len(), found.len(), gold.intersection(&found).count()]) {
            *sum += add;
        }
    }
    let f = |[gold, found, both]: [usize; 3]| 2.0 * both as f64 / (gold + found) as f64;
    (f(ends), f(spans), ends[0])
}

#[test]
fn sentences_end_where_readers_end_them() {
    for (name, floor, span_floor) in [("stories-dev.jsonl", 0.97, 0.95), ("dev.jsonl", 0.98, 0.95)] {
        if let Some(data) = labelled(name) {
            let (ends, spans, count) = f1(&data);
            println!(
                "{name}: F1 of sentence ends {ends:.4}, of whole spans {spans:.4}, over {count} sentences"
            );
            assert!(ends >= floor && spans >= span_floor, "{name}: {ends:.4} {spans:.4}");
        }
    }
}
