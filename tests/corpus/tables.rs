//! Every kind of input, and what is wrong with a table.

use super::*;

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
            &"events",
            &"--carry",
            &"sentences",
            &"--carry",
            &"model",
            &"--carry",
            &"weights",
            &"--carry",
            &"row",
        ],
        1,
    );
    let wanted = parsed(&std::fs::read(&lines).unwrap());
    let found = parsed(&again.stdout);
    assert_eq!(found.len(), wanted.len());
    let mut keys = std::collections::BTreeSet::new();
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
        for name in ["model", "weights"] {
            assert_eq!(found["carried"][name], wanted[name]);
        }
        // No key of an event or a sentence is lost; null stands for what a line leaves out.
        for name in ["events", "sentences"] {
            let (a, b) = (&found["carried"][name], &wanted[name]);
            assert_eq!(a.as_array().map_or(0, Vec::len), b.as_array().unwrap().len());
            for (a, b) in a.as_array().into_iter().flatten().zip(b.as_array().unwrap()) {
                keys.extend(b.as_object().unwrap().keys().map(|key| format!("{name}.{key}")));
                for (key, value) in b.as_object().unwrap().iter().filter(|(_, value)| !value.is_object()) {
                    assert_eq!(a[key], *value, "{name}.{key}");
                }
            }
        }
        let (a, b) = (&found["carried"]["interactions"], &wanted["interactions"]);
        assert_eq!(a.as_array().map_or(0, Vec::len), b.as_array().unwrap().len());
        if !b[0].is_null() {
            assert_eq!(a[0]["score"], b[0]["score"]);
            assert_eq!(a[0]["contributions"][0], b[0]["contributions"][0]);
        }
    }
    assert!(keys.contains("events.severity") && keys.contains("events.type"), "{keys:?}");
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

/// Checkpoints on libtorch, with their options.
#[cfg(feature = "rust-bert")]
#[test]
fn a_checkpoint_on_libtorch_reads_a_table() {
    let folder = Folder::new("torch");
    let input = folder.write("rows.jsonl", as_jsonl());
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/torch/distilbert");
    let run = |options: &[&str]| {
        let mut command = examples::embedded("corpus");
        command.args(COLUMNS).args(["--torch-dir", fixture]).args(options).arg(&input).output().unwrap()
    };
    let output = run(&["--torch-labels", "negative,positive", "--neutral-band", "0"]);
    status(&output, 0);
    let found = parsed(&output.stdout);
    assert_eq!(found.len(), STORIES.len());
    for line in &found {
        assert!(line["model"].as_str().unwrap().starts_with("distilbert@sha256:"), "{line}");
        for sentence in line["sentences"].as_array().unwrap() {
            assert_eq!(sentence["sentiment"]["neutral"].as_f64(), Some(0.0), "{sentence}");
        }
    }
    let output = run(&["--neutral-band=0.6"]);
    assert_ne!(output.status.code(), Some(0));
}
