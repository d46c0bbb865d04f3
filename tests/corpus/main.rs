//! The corpus command, run as a user runs it: every kind of input, and every way to stop it.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests

#[path = "../support/examples.rs"]
mod examples;
mod stops;
mod tables;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use amends::output::Record;
use amends::summary::Summary;
use serde_json::{Value, json};

fn corpus() -> Command {
    examples::command("corpus")
}

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("amends-corpus-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn parsed(lines: &[u8]) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn status(output: &Output, wanted: i32) {
    assert_eq!(output.status.code(), Some(wanted), "{}", stderr(output));
}

/// A line without what it says of its place.
fn told(mut line: Value) -> Value {
    line.as_object_mut().unwrap().remove("source");
    line
}

const STORIES: [(&str, &str, &str, &str); 4] = [
    (
        "a1",
        "Kite Air",
        "2026-01-31",
        "They lost my bag. They apologised, and refunded the fare the same day.",
    ),
    ("a2", "Corvin", "3 February 2026", "Quick, \"friendly\",\nand just as promised."),
    ("a3", "Kite Air", "2026-02-11T08:00:00Z", "Three hours late; nobody apologised. Never again."),
    ("a4", "Corvin", "1772323200", "I bought it in March."),
];

fn as_jsonl() -> String {
    let rows = STORIES.iter().map(|(id, who, when, text)| {
        json!({"key": id, "who": who, "when": when, "story": text, "n": "7"}).to_string() + "\n"
    });
    rows.collect()
}

fn as_csv(delimiter: char) -> String {
    let mut table = ["key", "who", "when", "story", "n"].join(&delimiter.to_string()) + "\r\n";
    for (id, who, when, text) in STORIES {
        let text = format!("\"{}\"", text.replace('"', "\"\""));
        table += &([id, who, when, &text, "7"].join(&delimiter.to_string()) + "\r\n");
    }
    table
}

const COLUMNS: [&str; 10] =
    ["--text", "story", "--id", "key", "--provider", "who", "--date", "when", "--carry", "n"];

/// Rows with stories, empty ones, and rows that fail.
fn rows(count: usize) -> String {
    let texts = [
        "They lost my bag.",
        "Rude.",
        "Nobody apologised.",
        "Quick and kind.",
        "They refunded the fare.",
        "",
    ];
    let row = |at: usize| match at % 11 {
        7 => "{\"id\": broken\n".to_owned(),
        _ => {
            let month = format!("2026-{:02}", 1 + at % 3);
            let (text, who) = (texts[at % texts.len()], ["Kite Air", "Corvin"][at % 2]);
            format!("{}\n", json!({"id": format!("r{at}"), "text": text, "who": who, "when": month}))
        }
    };
    (0..count).map(row).collect()
}

#[test]
fn the_summary_is_printed_and_written() {
    let folder = Folder::new("summary");
    let input = folder.write("rows.jsonl", as_jsonl());
    let (json, out) = (folder.path("summary.json"), folder.path("out.jsonl"));
    let output = corpus()
        .args(COLUMNS)
        .arg("--summary")
        .args(["--summary-json".into(), json.clone(), "--output".into(), out, input])
        .output()
        .unwrap();
    status(&output, 0);
    let summary: Summary = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!((summary.stories, summary.failed), (4, 0));
    let names: Vec<_> = summary.providers.iter().map(|group| (group.name.as_str(), group.stories)).collect();
    assert_eq!(names, [("Corvin", 2), ("Kite Air", 2)]);
    let months: Vec<_> = summary.months.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(months, ["2026-01", "2026-02", "2026-03"]);
    assert_eq!(summary.failures.answered.map(|share| share.value), Some(0.5));
    let table = String::from_utf8(output.stdout).unwrap();
    for wanted in [
        "4 stories, 4 interactions",
        "score, 0 to 100",
        "failures answered by",
        "sentiment:",
        "Kite Air",
        "2026-02",
    ] {
        assert!(table.contains(wanted), "{wanted} is not in\n{table}");
    }
}

#[test]
fn a_summary_that_cannot_be_written_is_said_and_made_later() {
    let folder = Folder::new("no-summary");
    let input = folder.write("rows.jsonl", as_jsonl());
    let (lost, json, out) =
        (folder.path("no/such/summary.json"), folder.path("summary.json"), folder.path("out.jsonl"));
    let run = |more: &[&Path]| {
        corpus().args(COLUMNS).arg("--output").args([&out, &input]).args(more).output().unwrap()
    };
    let output = run(&["--summary-json".as_ref(), &lost]);
    status(&output, 3);
    assert!(stderr(&output).contains("cannot write") && stderr(&output).contains("summary.json"));
    assert_eq!(parsed(&std::fs::read(&out).unwrap()).len(), 4, "the results are there");
    status(&run(&["--resume".as_ref(), "--summary-json".as_ref(), &json]), 0);
    let summary: Summary = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(summary.stories, 4);
}

/// The most memory that a run over `count` short rows took, in kB.
#[cfg(target_os = "linux")]
fn peak(folder: &Folder, count: usize) -> u64 {
    let input = folder.write("in.csv", "text,who\n".to_owned() + &"Bad.,Kite Air\n".repeat(count));
    let output = folder.path(&format!("out{count}"));
    let mut child = corpus()
        .args(["--threads", "1", "--resamples", "200", "--provider", "who", "--summary-json"])
        .args([folder.path("summary.json"), "--output".into(), output, input])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let read = std::fs::read_to_string(&status).unwrap_or_default();
        let line = read.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        most = most.max(now.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
    most
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_rows() {
    let folder = Folder::new("memory");
    let (few, many) = (peak(&folder, 400), peak(&folder, 4_000));
    println!("peak memory: 400 rows {few} kB, 4000 rows {many} kB");
    // libtorch takes 300 MB before the first row.
    let most = if examples::on_libtorch() { 600_000 } else { 300_000 };
    assert!(few > 10_000 && many < few + few / 5 && many < most, "{few} kB, then {many} kB");
}
