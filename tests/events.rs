//! Events from rules through the public interface: places, actors, scope, users' own rules, any text.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::fs;
use std::path::PathBuf;

use amends::{
    Actor, BlockKind, Event, EventProbs, EventType, Evidence, Extractor, LoadErrorKind, MergeConfig, RuleSet,
    Segment, Span, Status, segment,
};
use proptest::prelude::*;

fn events_of(extractor: &Extractor, text: &str) -> Vec<Event> {
    let segments = segment(text);
    extractor.extract(text, &segments, &vec![true; segments.len()], |_| None)
}

fn found(text: &str) -> Vec<String> {
    let extractor = Extractor::built_in().unwrap();
    events_of(&extractor, text)
        .iter()
        .map(|event| format!("{}:{}", event.event_type(), event.status()))
        .collect()
}

#[test]
fn who_acts_decides_the_type() {
    assert_eq!(found("I had to call them three times."), ["customer_effort:occurred"]);
    assert!(found("They kept us informed throughout.").contains(&"proactive_contact:occurred".to_owned()));
    assert_eq!(found("My sister's bank refunded her."), Vec::<String>::new());
    assert_eq!(found("I apologise for the length of this."), Vec::<String>::new());
}

#[test]
fn scope_decides_the_status() {
    assert!(found("Not once did anyone apologise.").contains(&"apology:absent".to_owned()));
    assert!(found("She left without so much as an apology.").contains(&"apology:absent".to_owned()));
    assert!(found("They should have apologised.").contains(&"apology:unreal".to_owned()));
    assert!(found("The staff couldn't have been more polite.").contains(&"courtesy:occurred".to_owned()));
    assert_eq!(found("Companies should apologise when they are wrong."), Vec::<String>::new());
    assert_eq!(found("What a sorry excuse for a garage."), Vec::<String>::new());
}

#[test]
fn an_event_shows_its_words_and_its_rule() {
    let extractor = Extractor::built_in().unwrap();
    let text = "We waited. The clerk apologised twice.";
    let events = events_of(&extractor, text);
    let apology = events.iter().find(|event| *event.event_type() == EventType::Apology).unwrap();
    assert_eq!(&text[apology.span()], "apologised");
    assert_eq!(apology.sentence().number(), 1);
    assert_eq!(apology.actor(), Actor::Provider);
    assert!(matches!(apology.evidence(), Evidence::Rule(code) if code.as_str().starts_with("APOLOGY-")));
}

#[test]
fn the_model_finds_events_that_no_rule_knows_and_confirms_those_of_rules() {
    let extractor = Extractor::built_in().unwrap();
    let text = "Flibber flobber. The clerk apologised.";
    let segments = segment(text);
    let mut sure: EventProbs = [[0.001; 3]; 24];
    sure[EventType::Apology.index().unwrap()] = [0.99, 0.004, 0.004];
    let events = extractor.extract(text, &segments, &[true, true], |_| Some(&sure));
    let evidence: Vec<&Evidence> = events.iter().map(Event::evidence).collect();
    assert!(matches!(evidence[..], [Evidence::Model, Evidence::Both(_)]), "{evidence:?}");
    assert_eq!(&text[events[0].span()], "Flibber flobber.");
    assert!(events[1].confidence() > events[0].confidence());
    let never: EventProbs = [[1e-5; 3]; 24];
    let doubted = extractor.extract(text, &segments, &[true, true], |_| Some(&never));
    assert!(doubted.iter().all(|event| event.confidence() < events[1].confidence()));
}

#[test]
fn what_is_no_content_gives_no_events() {
    let extractor = Extractor::built_in().unwrap();
    let text = "They apologised. They apologised.";
    let segments = segment(text);
    let events = extractor.extract(text, &segments, &[false, true], |_| None);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].sentence().number(), 1);
}

/// A folder of its own for one test, with these files.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    for (file, text) in files {
        fs::write(dir.join(file), text).unwrap();
    }
    dir
}

const QUEUE: &str = r#"
type = "queue_jumped"
actor = "provider"
negated = "drop"
wished = "turn"

[[rule]]
code = "QUEUE-001"
message = "somebody was served out of turn"
pattern = "(served | took) <latecomer> .. (first | before (me | us))"
match = [
  { text = "They served a man in a suit before us.", status = "occurred" },
  { text = "She took latecomers first.", status = "occurred" },
]
no_match = ["They served us first.", "They never served latecomers first."]
"#;

const LISTS: &str = r#"
[[list]]
name = "latecomer"
words = ["a man", "latecomers"]
"#;

/// What the README shows is a file that loads and does what it says.
#[test]
fn the_example_of_the_readme_is_a_file_of_rules() {
    let readme = include_str!("../README.md");
    let start = readme.find("```toml\n").unwrap() + "```toml\n".len();
    let end = start + readme[start..].find("```").unwrap();
    let dir = folder("readme-rules", &[("queue_jumped.toml", &readme[start..end])]);
    let extractor = Extractor::new(RuleSet::with_dir(&dir).unwrap(), MergeConfig::built_in().unwrap());
    let events = events_of(&extractor, "We waited, and a man in a suit jumped the queue.");
    assert!(events.iter().any(|event| event.event_type().as_str() == "queue_jumped"), "{events:?}");
}

#[test]
fn users_bring_types_and_rules_of_their_own() {
    let dir = folder("own-rules", &[("queue.toml", QUEUE), ("lists.toml", LISTS)]);
    let rules = RuleSet::with_dir(&dir).unwrap();
    assert_eq!(rules.len(), RuleSet::built_in().unwrap().len() + 1);
    let extractor = Extractor::new(rules, MergeConfig::built_in().unwrap());
    let text = "They served a man with a dog before us.";
    let events = events_of(&extractor, text);
    let own = events.iter().find(|event| event.event_type().as_str() == "queue_jumped").unwrap();
    assert_eq!(own.status(), Status::Occurred);
    assert_eq!(own.evidence().to_string(), "rule:QUEUE-001");
    assert_eq!(&text[own.span()], "served a man with a dog before us");
}

#[test]
fn a_bad_rule_is_named_with_file_code_and_line() {
    let cases = [
        ("a pattern", QUEUE.replace("(served", "((served"), "a bracket is not closed", 7),
        ("a list", QUEUE.replace("<latecomer>", "<stranger>"), "there is no list <stranger>", 7),
        (
            "a test line",
            QUEUE.replace("They served us first.", "They served a man first."),
            "must not match",
            15,
        ),
        (
            "a status",
            QUEUE.replace("first.\", status = \"occurred\"", "first.\", status = \"absent\""),
            "must match as absent",
            13,
        ),
        ("a code", QUEUE.replace("QUEUE-001", "APOLOGY-001"), "another rule", 7),
    ];
    for (at, (name, text, message, line)) in cases.iter().enumerate() {
        let dir = folder(&format!("bad-rules-{at}"), &[("queue.toml", text), ("lists.toml", LISTS)]);
        let error = RuleSet::with_dir(&dir).expect_err(name);
        assert_eq!(error.kind(), LoadErrorKind::Rule, "{name}");
        assert_eq!(error.path(), Some(dir.join("queue.toml").as_path()), "{name}");
        assert!(error.to_string().contains(message), "{name}: {error}");
        assert_eq!(error.line(), Some(*line), "{name}: {error}");
        assert!(error.rule().is_some_and(|code| code.ends_with("-001")), "{name}");
    }
    let error = RuleSet::with_dir(folder("no-rules", &[])).unwrap_err();
    assert!(error.to_string().contains("no .toml file"));
    let error = RuleSet::with_dir(folder("bad-toml", &[("x.toml", "type = \"x\"\nactor = ")])).unwrap_err();
    assert_eq!(error.line(), Some(2), "{error}");
}

proptest! {
    #[test]
    fn any_text_gives_ordered_events_inside_their_sentences(text in "(?s).{0,400}") {
        check(&text);
    }

    #[test]
    fn any_words_of_rules_give_ordered_events(words in prop::collection::vec(prop::sample::select(WORDS), 0..60)) {
        check(&words.join(" "));
    }
}

const WORDS: &[&str] = &[
    "they",
    "never",
    "apologised",
    ",",
    "not",
    "refund",
    "no",
    "I",
    "had to",
    "call",
    "again",
    "would",
    "have",
    "because",
    "\"",
    ".",
    "rude",
    "was",
    "the",
    "staff",
    "or",
    "if",
    "couldn't",
    "wait",
    "3",
    "hours",
    "“",
    "’",
];

fn check(text: &str) {
    thread_local!(static EXTRACTOR: Extractor = Extractor::built_in().unwrap());
    EXTRACTOR.with(|extractor| {
        // Two halves as sentences, wherever they are cut.
        let cut = text.floor_char_boundary(text.len() / 2);
        let halves = [Span::new(0, cut), Span::new(cut, text.len())];
        let segments = halves.map(|span| Segment::new(span, 0, BlockKind::Paragraph));
        let content = [true, true];
        let events = extractor.extract(text, &segments, &content, |_| None);
        for event in &events {
            assert!(event.span().get(text).is_some_and(|words| !words.is_empty()));
            assert!(segments[event.sentence().index()].span().contains(event.span()));
            assert!(event.confidence() > 0.0 && event.confidence() <= 1.0);
        }
        assert!(events.is_sorted_by_key(|event| event.sentence()));
        assert_eq!(events, extractor.extract(text, &segments, &content, |_| None));
    });
}

#[test]
fn one_endless_sentence_is_read_in_linear_time() {
    let extractor = Extractor::built_in().unwrap();
    let time = |times: usize| {
        let text = "they were not rude or late and never called us back no refund ".repeat(times);
        let segments = [Segment::new(Span::new(0, text.len()), 0, BlockKind::Paragraph)];
        let start = std::time::Instant::now();
        let events = extractor.extract(&text, &segments, &[true], |_| None);
        assert!(!events.is_empty());
        start.elapsed().as_secs_f64()
    };
    time(100);
    let (short, long) = (time(500), time(8000));
    assert!(long < short * 16.0 * 6.0, "16 times the text took {:.0} times as long", long / short);
}
