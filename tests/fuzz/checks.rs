//! What must hold of any bytes: the bodies of the fuzz targets, and the seeds that they start from.
//!
//! `tests/seeds.rs` runs every target over all of its seeds, on any toolchain. Files in `seeds/<target>/` are seeds
//! of our own and inputs that once broke something.
#![allow(dead_code)] // each target uses a part of it

use std::path::PathBuf;
use std::sync::LazyLock;

use amends::output::Record;
use amends::{
    Analyzer, Document, Engine, Extractor, Format, LoadError, Malformed, MergeConfig, Model, Precision,
    ReadOptions, RuleSet, Segment, read_bytes,
};

#[path = "tables.rs"]
mod corpus_tables;
#[path = "../support/counting.rs"]
mod counting;
#[path = "../support/promises.rs"]
mod promises;
#[path = "../support/small_model.rs"]
mod small_model;

use small_model::{Files, Folder};

/// A target: any bytes are to be survived.
pub(crate) type Target = fn(&[u8]);

/// All targets by name.
pub(crate) const TARGETS: [(&str, Target); 8] = [
    ("segment", segment),
    ("front_door", front_door),
    ("embedded", embedded),
    ("rules", rules),
    ("model", model),
    ("jsonl", jsonl),
    ("readers", readers),
    ("tables", tables),
];

/// Sentences are sorted, whole, and lose nothing.
pub(crate) fn segment(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut end = 0;
    let segments: Vec<Segment> = amends::segment(&text);
    for found in &segments {
        let span = found.span();
        assert!(span.start() >= end && !span.is_empty());
        assert!(text[end..span.start()].chars().all(char::is_whitespace));
        assert!(!text[span].starts_with(char::is_whitespace) && !text[span].ends_with(char::is_whitespace));
        end = span.end();
    }
    assert!(text[end..].chars().all(char::is_whitespace));
}

/// The whole pipeline, with rules and without a model.
pub(crate) fn front_door(data: &[u8]) {
    static ANALYZER: LazyLock<Analyzer> = LazyLock::new(|| counting::analyzer().0.build().unwrap());
    promised(&ANALYZER, data);
}

/// The whole pipeline with the embedded model.
pub(crate) fn embedded(data: &[u8]) {
    static ANALYZER: LazyLock<Analyzer> = LazyLock::new(|| Analyzer::embedded().unwrap());
    promised(&ANALYZER, data);
}

/// An analysis keeps its promises, and its JSON says the same.
pub(crate) fn promised(analyzer: &Analyzer, data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let document = Document::new(&text);
    let analysis = analyzer.analyze(document.clone()).unwrap();
    promises::check(&text, &analysis);
    let record = Record::Story(analysis.to_record(&document));
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
}

/// Parts the lists from the rules in a seed of [`rules`].
const PART: &str = "\n%%\n";

/// A folder of rules: loaded and run, or refused with a message.
pub(crate) fn rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let folder = folder("rules");
    let rules = match text.split_once(PART) {
        Some((lists, rules)) => {
            std::fs::write(folder.0.join("lists.toml"), lists).unwrap();
            rules
        }
        None => {
            let _ = std::fs::remove_file(folder.0.join("lists.toml"));
            &*text
        }
    };
    std::fs::write(folder.0.join("rules.toml"), rules).unwrap();
    let loaded = RuleSet::from_dir(&folder.0);
    match loaded {
        Ok(rules) => {
            rules.failures();
            let extractor = Extractor::new(rules, MergeConfig::built_in().unwrap());
            let text =
                "They never apologised, and I had to call them three times: \"not us\", she said. £40 gone!";
            let segments = amends::segment(text);
            for event in extractor.extract(text, &segments, &vec![true; segments.len()], |_| None) {
                assert!(segments[event.sentence().index()].span().contains(event.span()));
            }
        }
        Err(error) => told(&error),
    }
}

/// A model folder with one of its files replaced: run, or refused with a message.
pub(crate) fn model(data: &[u8]) {
    static SOUND: LazyLock<(Vec<u8>, usize)> = LazyLock::new(|| {
        let weights = Files::sound().with_tokenizer().weights();
        let header = 8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
        (weights, header)
    });
    let Some((&which, rest)) = data.split_first() else { return };
    let mut files = Files::sound().with_tokenizer();
    let (mut weights, header) = (SOUND.0.clone(), SOUND.1);
    let mut config = None;
    match which {
        b'd' => files.description = String::from_utf8_lossy(rest).into_owned(),
        b'c' => config = Some(rest),
        b't' => files.tokenizer = String::from_utf8_lossy(rest).into_owned(),
        // A header of its own over the sound numbers.
        b'h' => weights = [&(rest.len() as u64).to_le_bytes()[..], rest, &weights[header..]].concat(),
        // A few bytes anywhere.
        b'w' => {
            for change in rest.chunks_exact(4) {
                let at = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize % weights.len();
                weights[at] = change[3];
            }
        }
        _ => weights = rest.to_vec(),
    }
    let folder = folder("model");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.0.join(name), bytes).unwrap();
    write("tokenizer.json", files.tokenizer.as_bytes());
    write("model.safetensors", &weights);
    match config {
        Some(config) => {
            let _ = std::fs::remove_file(folder.0.join("model.toml"));
            write("config.json", config);
        }
        None => write("model.toml", files.description.as_bytes()),
    }
    let loaded = Model::from_dir(&folder.0, Precision::Int8).and_then(|model| Engine::from_model(&model));
    match loaded {
        // Weights may be finite and still overflow: then the forward says so.
        Ok(engine) => drop(engine.event_probs(&["They never called.", "\u{10ffff}rude", ""])),
        Err(error) => told(&error),
    }
}

fn told(error: &LoadError) {
    let message = error.to_string();
    assert!(!message.is_empty() && message.len() < 100_000);
}

/// Lines as the analyze program writes and reads them.
pub(crate) fn jsonl(data: &[u8]) {
    for line in data.split(|&byte| byte == b'\n') {
        if let Ok(record) = serde_json::from_slice::<Record>(line) {
            let json = serde_json::to_string(&record).unwrap();
            // A number above f32's range comes back as infinity, which JSON cannot say.
            if let Ok(back) = serde_json::from_str::<Record>(&json) {
                assert_eq!(back, record);
            }
        }
        if let Ok(value) = serde_json::from_slice::<serde_json::Value>(line)
            && let Some(text) = value["text"].as_str()
        {
            front_door(text.as_bytes());
        }
    }
}

/// Files of any format: the first byte says which, the second what becomes of malformed bytes.
pub(crate) fn readers(data: &[u8]) {
    let [format, malformed, bytes @ ..] = data else { return };
    let format = [Format::Plain, Format::Markdown, Format::Html, Format::Email][usize::from(format & 3)];
    let malformed =
        [Malformed::Error, Malformed::Windows1252, Malformed::Replace][usize::from(malformed % 3)];
    let options = ReadOptions::default().with_format(format).with_malformed(malformed);
    match read_bytes(bytes, &options) {
        Ok(read) => {
            assert!(!read.text().contains('\0'));
            let mut end = 0;
            for turn in read.turns() {
                assert!(turn.span().start() >= end && turn.span().get(read.text()).is_some());
                end = turn.span().end();
            }
            segment(read.text().as_bytes());
        }
        Err(error) => {
            assert!(error.offset().is_none_or(|at| at <= bytes.len()));
            assert!(!error.to_string().is_empty());
        }
    }
}

/// Tables and lines as the example `corpus` reads them.
pub(crate) fn tables(data: &[u8]) {
    thread_local! {
        static FOLDER: Folder = folder("tables");
    }
    corpus_tables::check(data, &|| FOLDER.with(|folder| folder.0.clone()));
}

/// A folder in memory, where there is such a place.
fn folder(name: &str) -> Folder {
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let thread = std::thread::current().id();
    let path = base.join(format!("amends-fuzz-{name}-{}-{thread:?}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    Folder(path)
}

fn root() -> PathBuf {
    let here = env!("CARGO_MANIFEST_DIR");
    here.strip_suffix("/tests/fuzz").unwrap_or(here).into()
}

fn files_of(folder: PathBuf) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Posts and labelled stories that are not ours to pass on, where they lie beside the project.
fn shared() -> PathBuf {
    let shared = std::env::var_os("AMENDS_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    shared.join("data")
}

fn posts() -> Vec<(String, Vec<u8>)> {
    files_of(shared().join("seeds"))
}

/// Some lines of JSON.
fn labelled() -> impl Iterator<Item = (String, Vec<u8>)> {
    let file = std::fs::read(shared().join("events/dev.jsonl")).unwrap_or_default();
    let lines: Vec<Vec<u8>> = file.split(|&byte| byte == b'\n').take(5).map(<[u8]>::to_vec).collect();
    (0..).zip(lines).map(|(at, line)| (format!("labelled-{at}"), line))
}

/// What a target starts from: name and bytes.
pub(crate) fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut seeds = files_of(root().join("tests/fuzz/seeds").join(target));
    match target {
        "segment" | "front_door" | "embedded" => {
            seeds.extend(files_of(root().join("tests/fuzz/seeds/text")));
            seeds.extend(files_of(root().join("data/stories")));
            seeds.extend(posts());
        }
        "readers" => {
            seeds.extend(posts().into_iter().map(|(name, post)| (name, [&[0, 0], &post[..]].concat())))
        }
        "rules" => seeds.extend(rule_seeds()),
        "model" => {
            let files = Files::sound().with_tokenizer();
            let weights = files.weights();
            let header = 8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
            for (name, which, bytes) in [
                ("description", b'd', files.description.as_bytes()),
                ("config", b'c', files.config_json().as_bytes()),
                ("tokenizer", b't', files.tokenizer.as_bytes()),
                ("header", b'h', &weights[8..header]),
                ("weights", b'w', &[0, 2, 0, 7][..]),
                ("all", b'*', &weights[..]),
            ] {
                seeds.push((name.into(), [&[which][..], bytes].concat()));
            }
        }
        "tables" => {
            seeds.extend(corpus_tables::seeds());
            // As lines of JSON, with rows as long as they may be.
            seeds.extend(labelled().map(|(name, line)| (name, [&[8, 255], &line[..]].concat())));
        }
        "jsonl" => {
            seeds.extend(labelled());
            let (builder, _) = counting::analyzer();
            let analyzer = builder.build().unwrap();
            for (name, story) in files_of(root().join("data/stories")).into_iter().take(3) {
                let text = String::from_utf8(story).unwrap();
                let document = Document::new(&text).with_id(name.clone());
                let record = analyzer.analyze(document.clone()).unwrap().to_record(&document);
                seeds.push((name, serde_json::to_vec(&record).unwrap()));
            }
        }
        _ => {}
    }
    seeds
}

/// Writes the seeds of a target to the folder that `AMENDS_SEEDS` names.
pub(crate) fn write_seeds(target: &str) {
    if let Some(folder) = std::env::var_os("AMENDS_SEEDS").map(PathBuf::from) {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, seed) in seeds(target) {
            std::fs::write(folder.join(name), seed).unwrap();
        }
    }
}

/// Each built-in rule that needs no list, alone with its test lines.
fn rule_seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (name, bytes) in files_of(root().join("data/rules")) {
        let file: toml::Table = toml::from_str(std::str::from_utf8(&bytes).unwrap()).unwrap();
        let Some(toml::Value::Array(rules)) = file.get("rule") else { continue };
        for (at, rule) in rules.iter().enumerate() {
            let mut alone = file.clone();
            alone.remove("cues");
            alone.insert("rule".into(), toml::Value::Array(vec![rule.clone()]));
            let text = toml::to_string(&alone).unwrap();
            if !text.contains('<') {
                seeds.push((format!("{name}-{at}"), text.into_bytes()));
            }
        }
    }
    seeds.truncate(60);
    seeds
}
