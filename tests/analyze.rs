//! The main command, run as a user runs it.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used)] // helpers of tests

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use amends::output::Record;
use serde_json::Value;

#[path = "support/examples.rs"]
mod examples;

fn analyze() -> Command {
    examples::command("analyze")
}

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("amends-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn lines(output: &Output) -> Vec<Value> {
    output.stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

#[test]
fn bad_input_is_reported_in_its_place_and_the_run_goes_on() {
    let folder = Folder::new("bad-input");
    folder.write("a.txt", b"They lost my bag and nobody apologised.");
    folder.write("b.txt", b"caf\xe9");
    folder.write(
        "c.jsonl",
        b"{\"id\": 7, \"text\": \"Quick and friendly.\", \"stars\": 5}\n\nnot json\n{\"text\": \"Rude.\"}\n",
    );
    folder.write("ignored.csv", b"a,b");
    let output = analyze().args(["--carry", "stars"]).arg(&folder.0).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let found = lines(&output);
    let source = |at: usize| found[at]["source"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!(
        (0..found.len()).map(source).collect::<Vec<_>>(),
        ["a.txt", "b.txt", "c.jsonl:1", "c.jsonl:3", "c.jsonl:4"]
    );
    assert_eq!(found[0]["id"], "a");
    assert_eq!(found[1]["error"]["kind"], "encoding");
    assert_eq!(found[1]["error"]["message"], "byte 3: not UTF-8");
    assert_eq!(found[2]["id"], "7");
    assert_eq!(found[2]["carried"]["stars"], 5);
    assert_eq!(found[3]["error"]["kind"], "json");
    assert_eq!(found[4]["schema"], 1);
    assert!(found[4].get("carried").is_none());
    for line in &found {
        serde_json::from_value::<Record>(line.clone()).unwrap();
    }
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.contains("b.txt: byte 3: not UTF-8"), "{messages}");
    assert!(messages.contains("c.jsonl:3: "), "{messages}");

    let output = analyze().arg("--lossy").arg(folder.0.join("b.txt")).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(lines(&output)[0]["text_bytes"], 6);
}

#[test]
fn what_cannot_start_says_why() {
    let output = analyze().arg("/no/such/story.txt").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/story.txt"));
    let output = analyze().args(["--model-dir", "/no/such/model"]).arg("-").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn standard_input_and_packed_lines() {
    let mut child = analyze()
        .args(["--format", "jsonl", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"They called me back within the hour.").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(lines(&output)[0]["text_bytes"], 36);

    let folder = Folder::new("packed");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(b"{\"id\":\"x\",\"text\":\"Fine.\"}\n{\"id\":\"y\",\"text\":\"Bad.\"}\n").unwrap();
    let path = folder.write("two.jsonl.gz", &packed.finish().unwrap());
    let output = analyze().arg(path).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        lines(&output).iter().map(|line| line["id"].as_str().unwrap()).collect::<Vec<_>>(),
        ["x", "y"]
    );
}

/// Little on the disk, and more than any text may have: it is not kept, and what stands behind it is read.
#[test]
fn what_is_longer_than_a_text_may_be_is_no_story() {
    let limit = amends::Limits::default().max_text_bytes;
    let folder = Folder::new("longer");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"{\"text\": \"").unwrap();
    for _ in 0..limit / (1 << 20) {
        packed.write_all(&[b'a'; 1 << 20]).unwrap();
    }
    packed.write_all(b"\"}\n{\"text\": \"Fine.\"}\n").unwrap();
    let lines_of = |path: PathBuf| lines(&analyze().arg(path).output().unwrap());
    let found = lines_of(folder.write("long.jsonl.gz", &packed.finish().unwrap()));
    assert_eq!(found[0]["error"]["kind"], "too_long");
    let message = format!("{} bytes, the limit is {limit}", limit + 13);
    assert_eq!(found[0]["error"]["message"], message.as_str());
    assert_eq!(found[1]["text_bytes"], 5);
    assert_eq!(found.len(), 2);

    // A file with a hole in it.
    let hole = folder.write("long.txt", b"");
    std::fs::OpenOptions::new().write(true).open(&hole).unwrap().set_len(1 << 36).unwrap();
    let found = lines_of(hole);
    assert_eq!((found.len(), &found[0]["error"]["kind"]), (1, &Value::from("too_long")));
}

#[test]
fn an_empty_file_is_an_empty_story_or_none() {
    let folder = Folder::new("empty");
    folder.write("a.txt", b"");
    folder.write("b.jsonl", b"");
    folder.write("c.txt", b"\xef\xbb\xbf");
    let output = analyze().arg(&folder.0).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let found = lines(&output);
    assert_eq!(found.iter().map(|line| line["id"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "c"]);
    assert!(found.iter().all(|line| line["sentences"].as_array().unwrap().is_empty()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported() {
    let folder = Folder::new("full");
    let story = folder.write("a.txt", b"They lost my bag.");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = analyze().arg(&story).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("No space left on device"), "{message}");
}

#[cfg(target_os = "linux")]
#[test]
fn closed_standard_output_is_said() {
    let folder = Folder::new("closed");
    let story = folder.write("a.txt", b"They lost my bag.");
    let closed = Command::new("bash")
        .args(["-c", "exec \"$@\" >&-", "bash"])
        .arg(analyze().get_program())
        .arg(&story)
        .output()
        .unwrap();
    assert_eq!(closed.status.code(), Some(2));
    let message = String::from_utf8_lossy(&closed.stderr);
    assert!(message.contains("standard output is closed"), "{message}");
    // Thrown away on purpose.
    let null = analyze().arg(&story).stdout(Stdio::null()).status().unwrap();
    assert_eq!(null.code(), Some(0));
}

#[test]
fn weights_of_a_file_are_used_and_named() {
    let folder = Folder::new("weights");
    let story = folder.write("a.txt", b"They lost my bag and nobody apologised.");
    let mut weights = amends::Weights::built_in().unwrap();
    weights.version = "mine-1".to_owned();
    weights.base += 1.0;
    let file = folder.write("weights.toml", weights.to_toml().as_bytes());
    let run = |args: &[&Path]| analyze().args(["--format", "jsonl"]).args(args).output().unwrap();
    let ours = lines(&run(&[&story])).remove(0);
    let other = lines(&run(&["--weights".as_ref(), &file, &story])).remove(0);
    assert_eq!(other["weights"], "mine-1");
    assert_eq!(ours["weights"], amends::Weights::built_in().unwrap().version);
    let value = |line: &Value| line["interactions"][0]["score"]["value"].as_f64().unwrap();
    assert!(value(&other) > value(&ours));

    let bad = folder.write("bad.toml", b"version = 1");
    let output = run(&["--weights".as_ref(), &bad, &story]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("cannot load the weights") && message.contains("bad.toml"), "{message}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let folder = Folder::new("pipe");
    let row = b"{\"text\": \"They were kind, and it was quick.\"}\n";
    let path = folder.write("many.jsonl", &row.repeat(3_000));
    let mut child = analyze().arg(path).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with('{'));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn pretty_output_shows_every_sentence_and_score() {
    let stories = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/stories");
    let output = analyze().args(["--format", "pretty"]).arg(&stories).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\u{1b}'), "NO_COLOR is respected");
    assert_eq!(text.matches("── ").count(), std::fs::read_dir(stories).unwrap().count());
    assert!(text.contains("of 100 (90 % within "));
    assert!(text.contains("no apology"));
}

/// Checkpoints on libtorch, with their options.
#[cfg(feature = "rust-bert")]
#[test]
fn checkpoints_run_on_libtorch() {
    let folder = Folder::new("torch");
    let story = folder.write("a.txt", b"They lost my bag and nobody apologised. A week later it came.");
    let fixture = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch").join(name);
    let run = |name: &str, options: &[&str]| {
        let mut command = examples::embedded("analyze");
        command.arg("--torch-dir").arg(fixture(name)).args(options).arg(&story).output().unwrap()
    };
    let sentiments = |name: &str, options: &[&str]| -> Vec<[f64; 3]> {
        let output = run(name, options);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let line = lines(&output).remove(0);
        assert!(line["model"].as_str().unwrap().starts_with(&format!("{name}@sha256:")), "{line}");
        serde_json::from_value::<Record>(line.clone()).unwrap();
        let sentences = line["sentences"].as_array().unwrap().iter();
        sentences
            .map(|sentence| {
                ["negative", "neutral", "positive"]
                    .map(|class| sentence["sentiment"][class].as_f64().unwrap())
            })
            .collect()
    };
    let said = sentiments("bert", &[]);
    assert_eq!(said.len(), 2);
    let turned = sentiments("bert", &["--torch-labels", "positive, neutral, negative"]);
    for ([negative, neutral, positive], turned) in said.into_iter().zip(turned) {
        assert!((negative - positive).abs() > 1e-3, "nothing to turn");
        let pairs = [positive, neutral, negative].into_iter().zip(turned);
        // Another order of adding up rounds otherwise.
        assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", pairs.collect::<Vec<_>>());
    }
    assert!(sentiments("distilbert", &["--neutral-band", "0"]).iter().all(|[_, neutral, _]| *neutral == 0.0));
    assert!(
        sentiments("distilbert", &["--neutral-band", "0.5"]).iter().all(|[_, neutral, _]| *neutral > 0.0)
    );

    for (name, options, wanted) in [
        ("distilbert", ["--neutral-band", "0.7"], "0.7"),
        ("bert", ["--torch-labels", "negative,positive"], "2 labels were given, the checkpoint has 3"),
    ] {
        let output = run(name, &options);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(wanted), "{message}");
    }
    let output = examples::embedded("analyze").args(["--neutral-band", "0.2"]).arg(&story).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--torch-dir"));
}

#[cfg(all(feature = "markdown", feature = "email"))]
#[test]
fn pages_markdown_and_mails_are_read_by_their_extension() {
    let folder = Folder::new("formats");
    let words = "They lost my bag, and nobody apologised.";
    folder.write("a.md", b"They lost **my** [bag](https://bag.example), and nobody apologised.\n");
    folder.write(
        "b.html",
        b"<html><head><script>var a = 1;</script></head><body><p>They lost my bag,\n and nobody apologised.</p></body></html>",
    );
    folder.write(
        "c.eml",
        b"From: Ida <ida@krohn.example>\nContent-Type: text/plain\n\nThey lost my bag, and nobody apologised.\n\n> It is here.\n",
    );
    folder.write("d.txt", words.as_bytes());
    let output = analyze().arg(&folder.0).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let found = lines(&output);
    assert_eq!(
        found.iter().map(|line| line["id"].as_str().unwrap()).collect::<Vec<_>>(),
        ["a", "b", "c", "d"]
    );
    for line in &found {
        assert_eq!(line["text_bytes"], words.len(), "{line}");
        for part in ["sentences", "events", "interactions"] {
            assert_eq!(line[part], found[3][part], "{line}");
        }
    }
}

#[test]
fn what_is_not_utf8_is_read_as_windows_1252_where_that_is_said() {
    let folder = Folder::new("windows-1252");
    let story = folder.write("a.txt", b"\x93No refund\x94, said the caf\xe9.");
    let output = analyze().arg("--windows-1252").arg(&story).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(lines(&output)[0]["text_bytes"], "“No refund”, said the café.".len());
    assert_eq!(analyze().arg(&story).output().unwrap().status.code(), Some(1));
    assert_eq!(
        analyze().args(["--windows-1252", "--lossy"]).arg(&story).output().unwrap().status.code(),
        Some(2)
    );
}
