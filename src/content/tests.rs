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
}

#[derive(serde::Deserialize)]
struct Pages {
    page: Vec<Page>,
}

#[derive(serde::Deserialize)]
struct Page {
    name: String,
    text: String,
    /// Reason (empty for the story) and text of each sentence.
    sentences: Vec<(String, String)>,
}

#[test]
fn pages_of_many_kinds_are_read_as_a_reader_reads_them() {
    let pages: Pages = toml::from_str(include_str!("../../tests/cases/boilerplate.toml")).unwrap();
    let mut failures = Vec::new();
    for page in &pages.page {
        let segments = segment(&page.text);
        let reasons = boilerplate(&page.text, &segments);
        let found: Vec<(String, String)> = segments
            .iter()
            .zip(reasons)
            .map(|(s, r)| {
                (r.map_or("", Boilerplate::as_str).to_owned(), page.text[s.span().range()].to_owned())
            })
            .collect();
        // A sentence may stand twice; the lists are compared as sets, and where they differ line by line.
        for line in &found {
            if !page.sentences.contains(line) {
                failures.push(format!("{}: found {line:?}", page.name));
            }
        }
        for line in &page.sentences {
            if !found.contains(line) {
                failures.push(format!("{}: missing {line:?}", page.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(pages.page.len() >= 15);
}

/// Sentences of a seed post with their reasons.
fn seed(name: &str) -> Option<Vec<(String, Option<Boilerplate>)>> {
    let text = shared(&format!("data/seeds/{name}.txt"))?;
    let segments = segment(&text);
    let reasons = boilerplate(&text, &segments);
    Some(segments.iter().map(|s| text[s.span().range()].to_owned()).zip(reasons).collect())
}

fn kept(post: &[(String, Option<Boilerplate>)]) -> usize {
    post.iter().filter(|(_, reason)| reason.is_none()).count()
}

#[test]
fn the_links_behind_the_repair_post_are_no_story() {
    let Some(post) = seed("000_0c255ae1908d8be9") else { return };
    assert_eq!(kept(&post), post.len() - 6);
    assert!(post[post.len() - 6..].iter().all(|(_, reason)| reason.is_some()));
    assert!(post.iter().any(|(text, _)| text.starts_with("1. ")), "list markers belong to their sentences");
}

#[test]
fn the_post_that_stands_twice_is_told_once() {
    let Some(post) = seed("001_f8240fc6bd2cc344") else { return };
    assert_eq!(post[0].1, Some(Boilerplate::Byline));
    let second = post.iter().position(|(text, _)| text == "Comments").unwrap();
    assert!(post[1..second].iter().all(|(_, reason)| reason.is_none()));
    assert!(post[second + 1..].iter().all(|(_, reason)| *reason == Some(Boilerplate::Repeat)));
    assert!(post.len() - second > 25);
}

#[test]
fn the_wrapped_post_is_read_in_whole_sentences() {
    let Some(post) = seed("002_3ab4b30d322201d2") else { return };
    assert_eq!(kept(&post), post.len() - 2, "only the comment form is no story");
    let numbered = post.iter().filter(|(text, _)| text.starts_with(|c: char| c.is_ascii_digit())).count();
    assert_eq!(numbered, 16, "each number stands before its sentence");
    for (text, _) in &post[..post.len() - 2] {
        let whole = text.ends_with(['.', '?', ':', '…']) || text.ends_with("delivered");
        assert!(whole && text.split_whitespace().count() > 2, "{text:?}");
    }
}

#[test]
fn biography_and_book_list_are_no_story() {
    let Some(post) = seed("003_6d110729c42cf00f") else { return };
    let first = post.iter().position(|(_, reason)| reason.is_some()).unwrap();
    assert!(post[first..].iter().all(|(_, reason)| reason.is_some()), "all from the caption on");
    assert_eq!(post[first + 1].1, Some(Boilerplate::AuthorBio));
    assert_eq!(first, 15);
}

#[test]
fn comments_of_the_superbowl_post_are_kept_and_their_heads_are_not() {
    let Some(post) = seed("004_c6ba7b603673c805") else { return };
    assert_eq!(post[0].1, Some(Boilerplate::Code));
    let heads = post.iter().filter(|(_, reason)| *reason == Some(Boilerplate::Byline)).count();
    assert_eq!(heads, 11, "eleven comments");
    let form = post.iter().position(|(text, _)| text == "Submit a Comment").unwrap();
    assert!(post[form..].iter().all(|(_, reason)| reason.is_some()));
    let comments = post.iter().position(|(text, _)| text == "11 Comments").unwrap();
    let replies = post[comments..form].iter().filter(|(_, reason)| reason.is_some()).count();
    assert_eq!(replies, 1 + 11 + 11, "the label, eleven heads, eleven buttons");
}

#[test]
fn reviews_are_story_through_and_through() {
    use std::io::Read;
    let root = std::env::var("AMENDS_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    let Ok(file) = std::fs::File::open(format!("{root}/data/reviews.jsonl.gz")) else {
        println!("skipped: no reviews beside the project");
        return;
    };
    let mut data = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut data).unwrap();
    let (mut all, mut flagged) = (0, 0);
    // Every thirteenth review: 1,991 of 25,880.
    for line in data.lines().step_by(13) {
        let review: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = review["text"].as_str().unwrap();
        let segments = segment(text);
        all += segments.len();
        for (s, reason) in segments.iter().zip(boilerplate(text, &segments)) {
            if let Some(reason) = reason {
                flagged += 1;
                println!("{} {} {:?}", review["id"], reason.as_str(), &text[s.span().range()]);
            }
        }
    }
    println!("reviews: {flagged} of {all} sentences are called no story");
    assert!(flagged * 200 <= all);
}

proptest::proptest! {
    #[test]
    fn any_text_has_one_answer_a_sentence(text in "([A-Z]{0,3}[a-z_]{0,6}[ .!?:|»\n\"-]{0,3}(Reply|Posted by|says:|Comments|Tags:|Home|2 May 2014|#1|\\PC)?){0,40}") {
        let segments = segment(&text);
        let reasons = boilerplate(&text, &segments);
        proptest::prop_assert_eq!(reasons.len(), segments.len());
        proptest::prop_assert_eq!(reasons, boilerplate(&text, &segments));
    }
}

#[test]
fn names_of_reasons_go_both_ways() {
    for (reason, name) in Boilerplate::NAMES {
        assert_eq!(reason.as_str(), name);
        assert_eq!(Boilerplate::from_name(name), Some(reason));
    }
}
