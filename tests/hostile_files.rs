//! Rules and tokenizers that are wrong on purpose: a typed error that says what and where, never a panic, a hang or
//! all of the memory. Damaged weights and descriptions are in `tests/model.rs`.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::path::Path;

use amends::BlockKind::Paragraph;
use amends::{
    Engine, Extractor, LoadError, LoadErrorKind, MergeConfig, Model, Precision, RuleSet, Segment, Span,
};
use proptest::prelude::*;

#[path = "support/small_model.rs"]
mod small_model;
use small_model::{Files, Folder};

/// A folder with these rule files.
fn folder(name: &str, files: &[(&str, &[u8])]) -> Folder {
    let folder = Folder(std::env::temp_dir().join(format!("amends-rules-{}-{name}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    for (file, bytes) in files {
        std::fs::write(folder.0.join(file), bytes).unwrap();
    }
    folder
}

const HEAD: &str = "type = \"queue_jumped\"\nactor = \"provider\"\nnegated = \"drop\"\nwished = \"turn\"\n";

fn rule(code: &str, pattern: &str) -> String {
    format!("[[rule]]\ncode = \"{code}\"\nmessage = \"m\"\npattern = '{pattern}'\n")
}

fn with(name: &str, pattern: &str) -> Result<RuleSet, LoadError> {
    let text = format!("{HEAD}{}", rule("Q-1", pattern));
    RuleSet::from_dir(&folder(name, &[("q.toml", text.as_bytes())]).0)
}

#[test]
fn patterns_without_end_are_refused() {
    for (name, pattern, message) in [
        (
            "brackets",
            format!("a {}b{}", "(".repeat(100_000), ")".repeat(100_000)),
            "65 deep, the limit is 64",
        ),
        ("open", "(".repeat(1_000_000), "65 deep, the limit is 64"),
        ("not", "!".repeat(1_000_000), "65 deep, the limit is 64"),
        ("long", "a ".repeat(30_000), "written out, the limit is 20000"),
        ("gaps", "a ..15 ".repeat(200) + "a", "more than 4000 steps"),
        ("options", "a b? ".repeat(2_000), "more than 4000 steps"),
        ("alternatives", format!("a ({})", "b c | ".repeat(3_000) + "d"), "more than 4000 steps"),
        ("gap", "a ..99999999999999999999 b".into(), "the limits are 1 and 15"),
        ("anything", "_ .. _".into(), "no word must be present"),
    ] {
        let error = with(name, &pattern).expect_err(name);
        assert_eq!(error.kind(), LoadErrorKind::Rule, "{name}");
        assert_eq!(error.rule(), Some("Q-1"), "{name}");
        assert!(error.to_string().contains(message), "{name}: {error:.300}");
    }
}

#[test]
fn lists_of_lists_may_not_explode() {
    let mut lists = String::from("[[list]]\nname = \"l0\"\nwords = [\"a b\"]\n");
    for at in 1..60 {
        let ten = format!("<l{}> ", at - 1).repeat(10);
        lists += &format!("[[list]]\nname = \"l{at}\"\nwords = [\"{}\"]\n", ten.trim_end());
    }
    let text = format!("{HEAD}{}", rule("Q-1", "a <l59>"));
    let folder = folder("lists", &[("lists.toml", lists.as_bytes()), ("q.toml", text.as_bytes())]);
    let error = RuleSet::from_dir(&folder.0).unwrap_err();
    assert_eq!((error.kind(), error.path()), (LoadErrorKind::Rule, Some(&*folder.0.join("lists.toml"))));
    assert!(error.to_string().ends_with("the limit is 20000"), "{error}");
    assert!(error.line().is_some());
}

#[test]
fn folders_of_rules_have_a_size() {
    let many: String = (0..20_001).map(|at| rule(&format!("Q-{at}"), "a")).collect();
    let many = format!("{HEAD}{many}");
    let huge = vec![b'#'; (4 << 20) + 1];
    for (name, bytes, message) in [
        ("many", many.as_bytes(), "20001 patterns, the limit is 20000"),
        ("huge", &huge[..], "4194305 bytes or more of rules with this file, the limit is 4194304"),
        ("latin", &b"type = \"caf\xe9\""[..], "not UTF-8 from byte 11 on"),
        ("nested", &*b"x = ".iter().chain(&[b'['; 100_000]).copied().collect::<Vec<u8>>(), "q.toml:1: "),
        ("nul", &b"\0\0\0"[..], "q.toml:1: "),
    ] {
        let folder = folder(name, &[("q.toml", bytes)]);
        let error = RuleSet::from_dir(&folder.0).expect_err(name);
        assert_eq!(error.kind(), LoadErrorKind::Rule, "{name}");
        assert_eq!(error.path(), Some(&*folder.0.join("q.toml")), "{name}");
        assert!(error.to_string().contains(message), "{name}: {error:.300}");
    }
}

/// The rule that costs most a word: every gap keeps all of its states alive.
#[test]
fn the_worst_rule_is_linear_in_the_text() {
    // The word that wakes it stands first, where nothing can match.
    let rules = with("worst", &format!("{}z", "(a | a a)? ...15 a ".repeat(30))).unwrap();
    let extractor = Extractor::new(rules, MergeConfig::built_in().unwrap());
    let time = |words: usize| {
        let text = format!("z {}", "a ".repeat(words));
        let segments = [Segment::new(Span::new(0, text.len()), 0, Paragraph)];
        let start = std::time::Instant::now();
        assert!(extractor.extract(&text, &segments, &[true], |_| None).is_empty());
        start.elapsed().as_secs_f64()
    };
    time(500);
    let (short, long) = (time(1_000), time(8_000));
    assert!(long < short * 8.0 * 4.0 + 0.1, "8 times the words took {:.0} times as long", long / short);
}

#[track_caller]
fn refused(folder: &Folder, name: &str) -> LoadError {
    // Not `expect_err`, which would print all of its weights.
    engine(&folder.0).err().unwrap_or_else(|| panic!("{name} is taken for an engine"))
}

fn engine(folder: &Path) -> Result<Engine, LoadError> {
    Engine::from_model(&Model::from_dir(folder, Precision::Int8)?)
}

#[test]
fn a_small_model_with_a_tokenizer_runs() {
    let folder = Files::sound().with_tokenizer().write("runs");
    let engine = engine(&folder.0).unwrap();
    let probs = engine.event_probs(&["They never called.", "", "☃"]).unwrap();
    assert!(probs.iter().flatten().flatten().flatten().all(|p| (0.0..=1.0).contains(p)));
    assert_eq!(probs.len(), 3);
}

#[test]
fn tokenizers_that_do_not_fit_their_model() {
    for (name, from, to, message) in [
        ("frame", "[\"[SEP]\", 2]", "[\"[SEP]\", 4000000]", "an empty sentence fails"),
        ("unknown", "\"unk_token\": \"[UNK]\"", "\"unk_token\": \"[NONE]\"", "the tokenizer fails on"),
        ("kind", "\"WordPiece\"", "\"Abacus\"", "not a tokenizer.json"),
        (
            "expression",
            "{\"type\": \"BertPreTokenizer\"}",
            "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"(\"}, \"behavior\": \"Isolated\", \"invert\": false}",
            "not a tokenizer.json",
        ),
    ] {
        let mut files = Files::sound().with_tokenizer();
        assert!(files.tokenizer.contains(from), "{name}");
        files.tokenizer = files.tokenizer.replacen(from, to, 1);
        let error = refused(&files.write(&format!("tokenizer-{name}")), name);
        assert_eq!(error.kind(), LoadErrorKind::Tokenizer, "{name}: {error}");
        assert!(error.to_string().contains(message), "{name}: {error}");
    }
}

#[test]
fn a_temperature_of_nothing_is_refused_in_every_head() {
    for head in ["sentiment", "events"] {
        for temperature in ["0", "-1", "nan", "inf"] {
            let mut files = Files::sound();
            let section = format!("[{head}]\n");
            files.description =
                files.description.replacen(&section, &format!("{section}temperature = {temperature}.0\n"), 1);
            files.description = files.description.replace("nan.0", "nan").replace("inf.0", "inf");
            let error = refused(&files.write("temperature"), temperature);
            assert_eq!(error.kind(), LoadErrorKind::Format, "{error}");
        }
    }
}

/// Bytes turned in a text file of a model.
fn turned(text: &str, flips: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, byte) in flips {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is turned in description, config or tokenizer, there is an engine that runs or an error.
    #[test]
    fn damaged_texts_of_a_model_never_panic(
        which in 0..3usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let files = Files::sound().with_tokenizer();
        let folder = files.write("turned");
        let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.0.join(name), bytes).unwrap();
        match which {
            0 => write("model.toml", turned(&files.description, &flips)),
            1 => {
                std::fs::remove_file(folder.0.join("model.toml")).unwrap();
                write("config.json", turned(&files.config_json(), &flips));
            }
            _ => write("tokenizer.json", turned(&files.tokenizer, &flips)),
        }
        match engine(&folder.0) {
            Ok(engine) => drop(engine.event_probs(&["They never called.", "\u{10ffff}", ""])),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    /// Rules of any characters are rules, or wrong in a line.
    #[test]
    fn any_pattern_loads_or_is_refused(pattern in r"[a-c<>()|?!.*_^$ 0-9'’]{0,60}") {
        let text = format!("{HEAD}[[rule]]\ncode = \"Q\"\nmessage = \"m\"\npattern = {}\n",
            toml::Value::String(pattern.clone()));
        let folder = folder("any", &[("q.toml", text.as_bytes())]);
        match RuleSet::from_dir(&folder.0) {
            Ok(rules) => {
                let extractor = Extractor::new(rules, MergeConfig::built_in().unwrap());
                let text = "a b c a, b c 3 a";
                let segments = [Segment::new(Span::new(0, text.len()), 0, Paragraph)];
                extractor.extract(text, &segments, &[true], |_| None);
            }
            Err(error) => prop_assert!(error.kind() == LoadErrorKind::Rule && error.line().is_some(), "{error}"),
        }
    }
}
