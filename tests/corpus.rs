//! The corpus command, run as a user runs it: every kind of input, and every way to stop it.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use amends::output::Record;
use amends::summary::Summary;
use serde_json::{Value, json};

/// The example that `cargo test` has built beside this test.
fn example() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.extend(["examples", "corpus"]);
    path.set_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.exists(), "{} is not built: run `cargo test` or `cargo build --examples`", path.display());
    path
}

fn corpus() -> Command {
    let mut command = Command::new(example());
    command.stdin(Stdio::null());
    command
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

#[test]
fn all_forms_of_a_table_have_the_same_results() {
    let folder = Folder::new("forms");
    let plain = folder.write("rows.jsonl", as_jsonl());
    let wanted = corpus().args(COLUMNS).arg(plain).output().unwrap();
    status(&wanted, 0);
    let wanted: Vec<Value> = parsed(&wanted.stdout).into_iter().map(told).collect();
    assert_eq!(wanted.len(), 4);
    for (at, (line, (id, who, ..))) in wanted.iter().zip(STORIES).enumerate() {
        assert_eq!((&line["row"], &line["id"], &line["provider"]), (&json!(at + 1), &json!(id), &json!(who)));
        assert_eq!(line["carried"], json!({"n": "7"}));
        serde_json::from_value::<Record>(line.clone()).unwrap();
    }
    let months: Vec<_> = wanted.iter().map(|line| line["month"].as_str().unwrap()).collect();
    assert_eq!(months, ["2026-01", "2026-02", "2026-02", "2026-03"]);

    let (jsonl, csv) = (as_jsonl(), as_csv(','));
    let mut frames = zstd(&csv.as_bytes()[..60]);
    frames.extend(zstd(&csv.as_bytes()[60..]));
    let mut members = gzip(&jsonl.as_bytes()[..50]);
    members.extend(gzip(&jsonl.as_bytes()[50..]));
    let forms: [(&str, Vec<u8>); 9] = [
        ("rows.csv", csv.clone().into_bytes()),
        ("bom.csv", format!("\u{feff}{csv}").into_bytes()),
        ("semicolon.csv", as_csv(';').into_bytes()),
        ("tabs.tsv", as_csv('\t').into_bytes()),
        // By content alone.
        ("unnamed", csv.clone().into_bytes()),
        ("unnamed-packed", gzip(jsonl.as_bytes())),
        ("rows.jsonl.gz", members),
        ("rows.csv.zst", frames),
        ("lines.zst", zstd(jsonl.as_bytes())),
    ];
    for (name, bytes) in forms {
        let path = folder.write(name, &bytes);
        let output = corpus().args(COLUMNS).arg(&path).output().unwrap();
        status(&output, 0);
        let found: Vec<Value> = parsed(&output.stdout).into_iter().map(told).collect();
        assert_eq!(found, wanted, "{name}");

        let mut child =
            corpus().args(COLUMNS).arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        if name == "tabs.tsv" || name == "rows.csv.zst" {
            child.stdin.take().unwrap().write_all(&bytes).unwrap();
            let found = child.wait_with_output().unwrap();
            assert_eq!(
                parsed(&found.stdout).into_iter().map(told).collect::<Vec<_>>(),
                wanted,
                "{name} piped"
            );
        } else {
            drop(child.stdin.take());
            child.wait_with_output().unwrap();
        }
    }
}

#[test]
fn dates_are_read_as_they_are_written() {
    let folder = Folder::new("dates");
    let dates = ["5/3/2019", "31/12/2020", "2020-02-01", ""];
    let rows: String = dates.map(|date| json!({"text": "Rude.", "d": date}).to_string() + "\n").concat();
    let input = folder.write("in.jsonl", rows);
    let months = |args: &[&str], odd: usize| {
        let output = corpus().args(["--date", "d"]).args(args).arg(&input).output().unwrap();
        status(&output, 0);
        assert!(stderr(&output).contains(&format!("{odd} dates could not be read")), "{}", stderr(&output));
        parsed(&output.stdout)
            .iter()
            .map(|line| line["month"].as_str().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(months(&[], 2), ["", "", "2020-02", ""], "5/3 may be in March or May");
    assert_eq!(months(&["--date-format", "%d/%m/%Y"], 1), ["2019-03", "2020-12", "", ""]);
}

#[test]
fn a_bad_row_loses_no_other() {
    let folder = Folder::new("bad");
    let table = b"id,text,n\n\
        1,They lost my bag.,5\n\
        2,\"never closed, here\n\
        3,Quick and kind.,4\n\
        4,a,b,c\n\
        5,\"two\nlines\",3\n\
        \n\
        6,A fine 5\" screen.,2\n\
        7,caf\xe9,1\n\
        8,\"open until the end,1\n\
        9,Last.,0\n";
    let path = folder.write("bad.csv", table);
    let out = folder.path("out.jsonl");
    let output = corpus().arg(&path).arg("--output").arg(&out).output().unwrap();
    status(&output, 1);
    let found = parsed(&std::fs::read(&out).unwrap());
    let of = |at: usize| {
        let line = found[at]["source"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        (line, found[at]["error"]["kind"].as_str().unwrap_or("").to_owned())
    };
    let rows: Vec<_> = (0..found.len()).map(of).collect();
    let wanted = [
        ("2", ""),
        ("3", "csv"),
        ("4", ""),
        ("5", "csv"),
        ("6", ""),
        ("9", ""),
        ("10", "encoding"),
        ("11", "csv"),
        ("12", ""),
    ];
    assert_eq!(rows, wanted.map(|(line, kind)| (line.to_owned(), kind.to_owned())));
    let side = parsed(&std::fs::read(folder.path("out.jsonl.errors.jsonl")).unwrap());
    let rows: Vec<_> = side.iter().map(|line| line["row"].as_u64().unwrap()).collect();
    assert_eq!(rows, [2, 4, 7, 8]);
    assert!(side.iter().all(|line| !line["message"].as_str().unwrap().is_empty()));

    let long = format!("{{\"text\": \"{}\"}}", "x".repeat(3000));
    let lines = format!(
        "not json\n[1]\n{{\"id\": 5, \"text\": null}}\n{long}\n\n{{\"text\": \"\\ud800\"}}\n{{\"text\": \"Rude.\"}}"
    );
    let mut lines = lines.into_bytes();
    lines.extend(b"\n{\"text\": \"caf\xe9\"}\n{\"id\": \"z\", \"text\": \"\"}\n");
    let path = folder.write("bad.jsonl", lines);
    let output = corpus().args(["--max-row-bytes", "2000"]).arg(&path).output().unwrap();
    status(&output, 1);
    let found = parsed(&output.stdout);
    let kinds: Vec<_> = found.iter().map(|line| line["error"]["kind"].as_str().unwrap_or("")).collect();
    assert_eq!(kinds, ["json", "json", "no_text", "too_long", "json", "", "encoding", ""]);
    assert_eq!(found[2]["id"], "5");
    assert_eq!(found[3]["error"]["message"], format!("{} bytes, the limit is 2000", long.len() + 1));
    assert!(stderr(&output).contains("6 of 8 rows failed"), "{}", stderr(&output));

    // Half a packed file: what could be unpacked is there, and the next file, too.
    let rows: String = (0..2000).fold(String::new(), |mut rows, at| {
        writeln!(rows, "{{\"id\": {at}, \"text\": \"\"}}").unwrap();
        rows
    });
    let packed = gzip(rows.as_bytes());
    let half = folder.write("half.jsonl.gz", &packed[..packed.len() / 2]);
    let whole = folder.write("next.jsonl", "{\"text\": \"Rude.\"}\n");
    let output = corpus().args([half, whole]).output().unwrap();
    status(&output, 1);
    let found = parsed(&output.stdout);
    assert!(found.len() > 100);
    assert_eq!(found[found.len() - 2]["error"]["kind"], "io");
    assert!(found[found.len() - 1]["error"].is_null());
}

#[test]
fn what_cannot_start_says_why() {
    let folder = Folder::new("start");
    let path = folder.write("rows.csv", as_csv(','));
    let fails = |args: &[&str], wanted: &str| {
        let output = corpus().args(args).output().unwrap();
        status(&output, 2);
        assert!(stderr(&output).contains(wanted), "{}", stderr(&output));
    };
    let path = path.to_str().unwrap();
    fails(&[path], "no column \"text\"; there are: key, who, when, story, n");
    fails(&["/no/such/rows.csv"], "/no/such/rows.csv");
    fails(&[path, "--text", "story", "--carry", "stars"], "no column \"stars\"");
    let array = folder.write("array.json", "[{\"text\": \"a\"}]");
    fails(&[array.to_str().unwrap()], "one JSON array");
    let utf16 = folder.write("utf16.csv", b"\xff\xfet\0e\0x\0t\0");
    fails(&[utf16.to_str().unwrap()], "UTF-16");
    let out = folder.write("there.jsonl", "something\n");
    let out = out.to_str().unwrap();
    fails(&[path, "--text", "story", "--output", out], "there already");
    fails(&[path, "--text", "story", "--output", out, "--resume"], "not of an earlier run");
    assert_eq!(std::fs::read(out).unwrap(), b"something\n", "nothing is lost by a mistake");
}

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

/// A corpus with an undisturbed run over it.
struct Undisturbed {
    folder: Folder,
    input: PathBuf,
    output: Vec<u8>,
    errors: Vec<u8>,
    summary: Summary,
}

/// One thread takes 64 rows at a time, so some hundred rows have some places to stop at.
fn command(folder: &Folder, input: &Path, name: &str) -> Command {
    let mut command = corpus();
    command
        .args([
            "--threads",
            "1",
            "--provider",
            "who",
            "--date",
            "when",
            "--resamples",
            "50",
            "--summary-json",
        ])
        .arg(folder.path(&format!("{name}.json")))
        .arg("--output")
        .arg(folder.path(name))
        .arg(input)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

impl Undisturbed {
    fn new(name: &str, count: usize) -> Self {
        let folder = Folder::new(name);
        let input = folder.write("in.jsonl", rows(count));
        assert_eq!(command(&folder, &input, "wanted").status().unwrap().code(), Some(1));
        let read = |name: &str| std::fs::read(folder.path(name)).unwrap();
        let (output, errors) = (read("wanted"), read("wanted.errors.jsonl"));
        assert_eq!(output.lines().count(), count);
        let summary = serde_json::from_slice(&read("wanted.json")).unwrap();
        Undisturbed { folder, input, output, errors, summary }
    }

    /// Compares a run that has come to its end.
    #[track_caller]
    fn same(&self, name: &str) {
        let read = |name: &str| std::fs::read(self.folder.path(name)).unwrap();
        assert!(read(name) == self.output, "{name} differs");
        assert!(read(&format!("{name}.errors.jsonl")) == self.errors, "the errors of {name} differ");
        let summary: Summary = serde_json::from_slice(&read(&format!("{name}.json"))).unwrap();
        assert_eq!(summary, self.summary);
    }

    fn resumed(&self, name: &str) -> Command {
        let mut command = command(&self.folder, &self.input, name);
        command.arg("--resume");
        command
    }
}

/// Numbers in 0..bound, always the same.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

/// Kills runs at random moments until so many have died, and compares each that comes to its end.
fn kill(name: &str, kills: usize) {
    let wanted = Undisturbed::new(name, 640);
    let mut draws = Draws(kills as u64);
    // From before the first row to behind the last: where that is depends on the machine.
    let started = std::time::Instant::now();
    wanted.resumed("timed").status().unwrap();
    let whole = started.elapsed().as_micros() as usize;
    let (mut killed, mut finished, mut between, mut torn, mut runs) = (0, 0, 0, 0, 0);
    while killed < kills || runs == 0 {
        let out = format!("run{runs}");
        loop {
            let mut child = wanted.resumed(&out).spawn().unwrap();
            let until = std::time::Instant::now() + Duration::from_micros(draws.below(whole * 5 / 4) as u64);
            let status = loop {
                match child.try_wait().unwrap() {
                    Some(status) => break Some(status),
                    None if std::time::Instant::now() < until || killed >= kills => {
                        std::thread::sleep(Duration::from_micros(500));
                    }
                    None => {
                        child.kill().unwrap();
                        let status = child.wait().unwrap();
                        // It may have come to its end in the meantime.
                        break status.code().map(|_| status);
                    }
                }
            };
            if let Some(status) = status {
                assert_eq!(status.code(), Some(1));
                break;
            }
            killed += 1;
            let left = std::fs::read(wanted.folder.path(&out)).unwrap_or_default();
            assert!(wanted.output.starts_with(&left), "what a kill leaves is the beginning of the whole");
            between += usize::from(!left.is_empty() && left.len() < wanted.output.len());
            torn += usize::from(!left.is_empty() && !left.ends_with(b"\n"));
        }
        wanted.same(&out);
        finished += 1;
        runs += 1;
    }
    println!(
        "{killed} kills, {between} of them between the first row and the last, {torn} in a line; {finished} corpora whole"
    );
    assert!(between * 10 >= kills, "too few of {kills} kills hit the work: {between}");
}

#[test]
fn a_killed_run_goes_on() {
    kill("kill", 20);
}

/// `cargo test --release --test corpus -- --ignored --nocapture` takes a minute or two.
#[test]
#[ignore = "takes minutes; the short form runs always"]
fn a_run_killed_200_times_goes_on() {
    kill("kill200", 200);
}

#[test]
fn a_torn_line_is_cut_and_nothing_else() {
    let wanted = Undisturbed::new("torn", 40);
    let mut draws = Draws(3);
    let line = wanted.output.iter().position(|&byte| byte == b'\n').unwrap();
    let mut cuts = vec![0, 1, line, line + 1, line + 2, wanted.output.len() - 1, wanted.output.len()];
    cuts.extend((0..8).map(|_| draws.below(wanted.output.len())));
    for cut in cuts {
        let name = format!("cut{cut}");
        wanted.folder.write(&name, &wanted.output[..cut]);
        assert_eq!(wanted.resumed(&name).status().unwrap().code(), Some(1), "cut at {cut}");
        wanted.same(&name);
    }
    // Another input, another order, a line that is missing: no.
    let half = &wanted.output[..line + 1];
    for (name, bytes) in [("twice", [half, half].concat()), ("second", wanted.output[line + 1..].to_vec())] {
        wanted.folder.write(name, bytes);
        assert_eq!(wanted.resumed(name).status().unwrap().code(), Some(2), "{name}");
    }
    wanted.folder.write("foreign.errors.jsonl", "kept");
    let other = wanted.folder.write("other.jsonl", rows(40).replace("r0", "x0"));
    wanted.folder.write("foreign", half);
    let output = corpus()
        .arg(other)
        .arg("--output")
        .arg(wanted.folder.path("foreign"))
        .arg("--resume")
        .output()
        .unwrap();
    status(&output, 2);
    assert!(stderr(&output).contains("its row 1 is of"), "{}", stderr(&output));
    let kept = std::fs::read(wanted.folder.path("foreign.errors.jsonl")).unwrap();
    assert_eq!(kept, b"kept", "a run that cannot start changes nothing");
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_whole_lines() {
    let wanted = Undisturbed::new("interrupt", 640);
    let mut child = wanted.resumed("out").spawn().unwrap();
    while std::fs::metadata(wanted.folder.path("out")).map_or(0, |meta| meta.len()) == 0 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let left = std::fs::read(wanted.folder.path("out")).unwrap();
    assert!(left.ends_with(b"\n") && wanted.output.starts_with(&left) && left.len() < wanted.output.len());
    assert!(!wanted.folder.path("out.json").exists(), "no summary of half a corpus");
    assert_eq!(wanted.resumed("out").status().unwrap().code(), Some(1));
    wanted.same("out");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_can_be_resumed() {
    let wanted = Undisturbed::new("full", 200);
    // A limit on the size of files that writes fail at, as they do on a full disk.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
    let limited = wanted.resumed("out");
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).arg(limited.get_program()).args(limited.get_args());
    let output = command.stdin(Stdio::null()).output().unwrap();
    status(&output, 3);
    assert!(
        stderr(&output).contains("cannot write") && stderr(&output).contains("stopped behind row"),
        "{}",
        stderr(&output)
    );
    let left = std::fs::read(wanted.folder.path("out")).unwrap();
    assert!(!left.is_empty() && left.ends_with(b"\n") && wanted.output.starts_with(&left));
    assert_eq!(wanted.resumed("out").status().unwrap().code(), Some(1));
    wanted.same("out");

    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = corpus().arg(&wanted.input).stdout(full).output().unwrap();
    status(&output, 3);
    assert!(stderr(&output).contains("standard output"), "{}", stderr(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn closed_standard_output_is_said() {
    let folder = Folder::new("closed");
    let input = folder.write("in.jsonl", rows(3));
    let output = Command::new("bash")
        .args(["-c", "exec \"$@\" >&-", "bash"])
        .arg(example())
        .arg(input)
        .output()
        .unwrap();
    status(&output, 2);
    assert!(stderr(&output).contains("standard output is closed"), "{}", stderr(&output));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let folder = Folder::new("pipe");
    let input = folder.write("in.jsonl", rows(2_000));
    let mut child = corpus().arg(input).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("{\"row\":1,"));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn two_runs_do_not_write_one_output() {
    let wanted = Undisturbed::new("lock", 200);
    let file = std::fs::File::create(wanted.folder.path("out")).unwrap();
    file.lock().unwrap();
    let output = wanted.resumed("out").stderr(Stdio::piped()).output().unwrap();
    status(&output, 2);
    assert!(stderr(&output).contains("another run"), "{}", stderr(&output));
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

#[test]
fn one_column_may_stand_for_two_things() {
    let folder = Folder::new("twice");
    let input = folder.write("in.csv", "id,who\nThey never called.,Kite Air\n");
    let output =
        corpus().args(["--text", "id", "--provider", "who", "--carry", "who"]).arg(input).output().unwrap();
    status(&output, 0);
    let row = &parsed(&output.stdout)[0];
    assert_eq!(row["id"], "They never called.");
    assert_eq!(row["text_bytes"], "They never called.".len());
    assert_eq!(row["provider"], "Kite Air");
    assert_eq!(row["carried"]["who"], "Kite Air");
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_rows() {
    let folder = Folder::new("memory");
    let (few, many) = (peak(&folder, 400), peak(&folder, 4_000));
    println!("peak memory: 400 rows {few} kB, 4000 rows {many} kB");
    assert!(few > 10_000 && many < few + few / 5 && many < 300_000, "{few} kB, then {many} kB");
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

#[cfg(not(feature = "parquet"))]
#[test]
fn without_the_feature_parquet_is_refused() {
    let folder = Folder::new("no-parquet");
    let input = folder.write("in.jsonl", rows(3));
    for args in [
        [input.clone(), "--output".into(), folder.path("o.parquet")],
        ["-o".into(), folder.path("o"), folder.write("a.parquet", "PAR1")],
    ] {
        let output = corpus().args(args).output().unwrap();
        status(&output, 2);
        assert!(stderr(&output).contains("--features parquet"), "{}", stderr(&output));
    }
}

/// Lines become Parquet, and Parquet is read: the texts make the way there and back.
#[cfg(feature = "parquet")]
#[test]
fn parquet_out_and_in() {
    let folder = Folder::new("parquet");
    let input = folder.write("in.jsonl", rows(300));
    let run = |args: &[&dyn AsRef<std::ffi::OsStr>], code: i32| {
        let output = corpus().args(args.iter().map(AsRef::as_ref)).output().unwrap();
        status(&output, code);
        output
    };
    let (lines, table) = (folder.path("out.jsonl"), folder.path("out.parquet"));
    run(&[&"--provider", &"who", &"--date", &"when", &"--carry", &"text", &"-o", &lines, &input], 1);
    run(&[&"--provider", &"who", &"--date", &"when", &"--carry", &"text", &"-o", &table, &input], 1);
    assert!(!folder.path("out.parquet.rows.jsonl").exists());
    // Every column that holds text can be carried; the failed rows have no text and fail again.
    let again = run(
        &[
            &table,
            &"--text",
            &"id",
            &"--provider",
            &"provider",
            &"--date",
            &"month",
            &"--carry",
            &"source",
            &"--carry",
            &"interactions",
            &"--carry",
            &"row",
        ],
        1,
    );
    let wanted = parsed(&std::fs::read(&lines).unwrap());
    let found = parsed(&again.stdout);
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(&wanted) {
        if !wanted["error"].is_null() {
            assert_eq!(found["error"]["kind"], "no_text");
            continue;
        }
        assert_eq!(found["text_bytes"], wanted["id"].as_str().unwrap().len());
        assert_eq!(found["carried"]["row"], wanted["row"]);
        assert_eq!(found["carried"]["source"], wanted["source"]);
        for name in ["provider", "month", "row"] {
            assert_eq!(found[name], wanted[name]);
        }
        let (a, b) = (&found["carried"]["interactions"], &wanted["interactions"]);
        assert_eq!(a.as_array().map_or(0, Vec::len), b.as_array().unwrap().len());
        if !b[0].is_null() {
            assert_eq!(a[0]["score"], b[0]["score"]);
            assert_eq!(a[0]["contributions"][0]["reason"], b[0]["contributions"][0]["reason"]);
        }
    }
    run(&[&"--resume", &"-o", &table, &input], 2);
    // A stop before the Parquet was made.
    std::fs::rename(&lines, folder.path("late.parquet.rows.jsonl")).unwrap();
    run(
        &[
            &"--resume",
            &"--provider",
            &"who",
            &"--date",
            &"when",
            &"--carry",
            &"text",
            &"-o",
            &folder.path("late.parquet"),
            &input,
        ],
        1,
    );
    assert_eq!(std::fs::read(folder.path("late.parquet")).unwrap(), std::fs::read(&table).unwrap());
}
