//! Every way to stop a run, and going on after it.

use super::*;

/// A corpus with an undisturbed run over it.
struct Undisturbed {
    folder: Folder,
    input: PathBuf,
    output: Vec<u8>,
    errors: Vec<u8>,
    summary: Summary,
}

/// One thread takes 64 rows at a time, so some hundred rows have some places to stop at; four take more at once.
fn command(folder: &Folder, input: &Path, name: &str, threads: &str) -> Command {
    let mut command = corpus();
    command
        .args([
            "--threads",
            threads,
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
        assert_eq!(command(&folder, &input, "wanted", "1").status().unwrap().code(), Some(1));
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
        self.resumed_on(name, "1")
    }

    fn resumed_on(&self, name: &str, threads: &str) -> Command {
        let mut command = command(&self.folder, &self.input, name, threads);
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
            let len = || std::fs::metadata(wanted.folder.path(&out)).map_or(0, |file| file.len());
            let before = len();
            let mut child = wanted.resumed_on(&out, ["1", "4"][runs % 2]).spawn().unwrap();
            // Every other kill waits for a first row, so that many hit the work however long the start takes.
            let wait = Duration::from_micros(draws.below(whole * 5 / 4) as u64);
            let mut until = (killed % 2 == 0).then(|| std::time::Instant::now() + wait);
            let status = loop {
                match child.try_wait().unwrap() {
                    Some(status) => break Some(status),
                    None if until.is_none_or(|until| std::time::Instant::now() < until)
                        || killed >= kills =>
                    {
                        std::thread::sleep(Duration::from_micros(500));
                        if until.is_none() && len() > before {
                            until = Some(std::time::Instant::now() + wait / 50);
                        }
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

#[test]
fn what_other_weights_scored_is_not_gone_on_with() {
    let wanted = Undisturbed::new("weights", 40);
    let mut weights = amends::Weights::built_in().unwrap();
    weights.version = "mine-1".to_owned();
    let file = wanted.folder.write("weights.toml", weights.to_toml());
    let output =
        wanted.resumed("wanted").arg("--weights").arg(&file).stderr(Stdio::piped()).output().unwrap();
    status(&output, 2);
    assert!(stderr(&output).contains("mine-1"), "{}", stderr(&output));
    assert_eq!(std::fs::read(wanted.folder.path("wanted")).unwrap(), wanted.output, "nothing is lost by it");
    // With the same weights it goes on, and the lines name them.
    let run = || wanted.resumed("mine").arg("--weights").arg(&file).status().unwrap().code();
    assert_eq!((run(), run()), (Some(1), Some(1)));
    let lines = parsed(&std::fs::read(wanted.folder.path("mine")).unwrap());
    let stories: Vec<_> = lines.iter().filter(|line| line["error"].is_null()).collect();
    assert!(!stories.is_empty() && stories.iter().all(|line| line["weights"] == "mine-1"));
}

#[cfg(target_os = "linux")]
#[test]
fn closed_standard_output_is_said() {
    let folder = Folder::new("closed");
    let input = folder.write("in.jsonl", rows(3));
    let output = Command::new("bash")
        .args(["-c", "exec \"$@\" >&-", "bash"])
        .arg(examples::path("corpus"))
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
