//! How much of what is no story is found, and how much of stories is lost.

use super::{Boilerplate, boilerplate};
use crate::segment::segment;

fn shared(name: &str) -> Option<String> {
    let root = std::env::var("AMENDS_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    let path = format!("{root}/{name}");
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(_) => {
            println!("skipped: no {name} beside the project");
            None
        }
    }
}

/// (true positives, false positives, false negatives) over gold sentences, as evaluate.py counts.
fn count(name: &str, all: bool, show: bool) -> Option<[usize; 3]> {
    let mut counts = [0; 3];
    for line in shared(name)?.lines() {
        let story: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = story["text"].as_str().unwrap();
        let gold = story["sentences"].as_array().unwrap();
        if !all && !gold.iter().any(|s| s["boilerplate"] == true) {
            continue;
        }
        let segments = segment(text);
        let reasons = boilerplate(text, &segments);
        for sentence in gold {
            let (start, end) =
                (sentence["start"].as_u64().unwrap() as usize, sentence["end"].as_u64().unwrap() as usize);
            let mut best = (0, None);
            for (segment, reason) in segments.iter().zip(&reasons) {
                let shared = segment.span().end().min(end).saturating_sub(segment.span().start().max(start));
                if shared > best.0 {
                    best = (shared, *reason);
                }
            }
            let wanted = sentence["boilerplate"] == true;
            match (wanted, best.1.is_some() || best.0 == 0) {
                (true, true) => counts[0] += 1,
                (false, true) => counts[1] += 1,
                (true, false) => counts[2] += 1,
                (false, false) => {}
            }
            if show && wanted != best.1.is_some() {
                println!(
                    "{} {} {:?} {:?}",
                    story["id"].as_str().unwrap(),
                    if wanted { "missed" } else { "LOST" },
                    best.1,
                    &text[start..end]
                );
            }
        }
    }
    Some(counts)
}

#[test]
fn boilerplate_is_found_and_stories_are_kept() {
    if let Some([tp, fp, missed]) = count("data/events/stories-dev.jsonl", false, true) {
        let f1 = 2.0 * tp as f64 / (2 * tp + fp + missed) as f64;
        println!("stories-dev: boilerplate f1 {f1:.4}, found {tp}, wrong {fp}, missed {missed}");
        assert!(f1 >= 0.90);
    }
    for name in ["data/events/dev.jsonl", "data/events/train.jsonl"] {
        if let Some([_, lost, _]) = count(name, true, true) {
            let all: usize =
                shared(name).unwrap().lines().map(|l| l.matches("\"boilerplate\"").count()).sum();
            println!("{name}: lost {lost} of {all}");
            assert!(lost * 100 <= all);
        }
    }
    let _ = Boilerplate::Repeat;
}

#[test]
fn print_seeds() {
    for name in [
        "000_0c255ae1908d8be9",
        "001_f8240fc6bd2cc344",
        "002_3ab4b30d322201d2",
        "003_6d110729c42cf00f",
        "004_c6ba7b603673c805",
    ] {
        let Some(text) = shared(&format!("data/seeds/{name}.txt")) else { return };
        let segments = segment(&text);
        println!("##### {name}");
        for (s, r) in segments.iter().zip(boilerplate(&text, &segments)) {
            println!(
                "{:3} {:?} {:10} {:?}",
                s.block(),
                s.kind(),
                r.map_or("", |r| r.as_str()),
                &text[s.span().range()]
            );
        }
    }
}

#[test]
fn print_reviews() {
    let Ok(data) = std::fs::read_to_string("/tmp/reviews2000.jsonl") else { return };
    let (mut all, mut flagged) = (0, 0);
    for line in data.lines() {
        let story: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = story["text"].as_str().unwrap();
        let segments = segment(text);
        all += segments.len();
        for (s, r) in segments.iter().zip(boilerplate(text, &segments)) {
            if let Some(r) = r {
                flagged += 1;
                println!("REV {} {} {:?}", story["source"], r.as_str(), &text[s.span().range()]);
            }
        }
    }
    println!("REVIEWS flagged {flagged} of {all}");
}

#[test]
fn print_file() {
    for path in std::env::var("SHOW").unwrap_or_default().split_whitespace() {
        let text = std::fs::read_to_string(path).unwrap();
        let segments = segment(&text);
        println!("##### {path}");
        for (s, r) in segments.iter().zip(boilerplate(&text, &segments)) {
            println!(
                "{:3} {:?} {:10} {:?}",
                s.block(),
                s.kind(),
                r.map_or("", |r| r.as_str()),
                &text[s.span().range()]
            );
        }
    }
}
