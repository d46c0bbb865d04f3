//! Python's peers, in a child process that is asked in turn: `peers.py` beside this file.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::Peer;
use crate::data::{Data, Marks, Table};

struct Python {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    work: Rc<Work>,
}

/// A folder that goes when nobody needs it any more.
struct Work(PathBuf);

impl Drop for Work {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Python {
    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            bail!("it ended, see above");
        }
        Ok(serde_json::from_str(&line)?)
    }

    fn ask(&mut self, question: &Value) -> Result<Value> {
        writeln!(self.stdin, "{question}")?;
        self.stdin.flush()?;
        self.answer()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct PythonPeer {
    key: String,
    note: String,
    python: Rc<RefCell<Python>>,
}

/// Starts Python and returns its version and what it can run. Says what it cannot.
pub(crate) fn peers(program: &Path, data: &Data) -> Result<(String, Vec<Box<dyn Peer>>)> {
    let work = std::env::temp_dir().join(format!("amends-peers-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    let work = Rc::new(Work(work));
    let ids: Vec<&Vec<u32>> = data.sequences.iter().chain(&data.phrase_sequences).collect();
    let texts: Vec<&str> = data.texts().into_iter().chain(data.phrases()).collect();
    let sentences = json!({
        "ids": ids, "timed_ids": data.sequences.len(),
        "texts": texts, "timed_texts": data.texts().len(),
    });
    std::fs::write(work.0.join("sentences.json"), sentences.to_string())?;
    let (version, mut peers) = start(program, &work, &[])?;
    // ONNX Runtime's products run on AMX tiles where there are any; amends' do not.
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if info.contains("amx_int8") && work.0.join("plain-int8.onnx").is_file() {
        peers.extend(start(program, &work, &["without-amx"])?.1);
    }
    Ok((version, peers))
}

fn start(program: &Path, work: &Rc<Work>, how: &[&str]) -> Result<(String, Vec<Box<dyn Peer>>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let started = Command::new(program)
        .args([&root.join("benches/peers/peers.py"), &root.join("data/model"), &work.0])
        .args(how)
        // libtorch of the feature rust-bert is not the one of Python's torch.
        .env_remove("LD_LIBRARY_PATH")
        .env("OMP_NUM_THREADS", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            println!("left out: Python's peers ({}: {error})", program.display());
            return Ok((String::new(), vec![]));
        }
    };
    let (stdin, stdout) = (child.stdin.take().context("stdin")?, child.stdout.take().context("stdout")?);
    let work = Rc::clone(work);
    let mut python = Python { child, stdin, stdout: BufReader::new(stdout), work };
    let found = python.answer().context("peers.py")?;
    for (name, why) in found["missing"].as_object().into_iter().flatten() {
        println!("left out: {name} in Python ({})", why.as_str().unwrap_or_default());
    }
    let python = Rc::new(RefCell::new(python));
    let mut peers: Vec<Box<dyn Peer>> = Vec::new();
    for (key, about) in found["peers"].as_object().into_iter().flatten() {
        let words = ["version", "note"].map(|word| about[word].as_str().unwrap_or_default());
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        peers.push(Box::new(PythonPeer {
            key: key.clone(),
            note: words.join(", "),
            python: Rc::clone(&python),
        }));
    }
    Ok((format!("Python {}", found["python"].as_str().unwrap_or_default()), peers))
}

impl Peer for PythonPeer {
    fn name(&self) -> String {
        match self.key.as_str() {
            "vader" => "VADER, Python",
            "onnx int8" => "ONNX Runtime int8, same weights",
            "onnx int8 without amx" => "ONNX Runtime int8 without AMX, same weights",
            "onnx f32" => "ONNX Runtime f32, same weights",
            "transformers" => "transformers f32, same weights",
            other => other,
        }
        .to_owned()
    }

    fn note(&self) -> String {
        self.note.clone()
    }

    fn run(&mut self, every: usize) -> Result<f64> {
        let answer = self.python.borrow_mut().ask(&json!({"run": self.key, "every": every}))?;
        answer["seconds"].as_f64().context("seconds")
    }

    fn marks(&mut self, data: &Data) -> Result<Option<Marks>> {
        let path = self.python.borrow().work.0.join("found.f32");
        self.python.borrow_mut().ask(&json!({"read": self.key, "out": path}))?;
        let bytes = std::fs::read(&path)?;
        let numbers: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
        if self.reads_text() {
            let scores: Vec<f64> = numbers.into_iter().map(f64::from).collect();
            let (stories, phrases) = scores.split_at(data.texts().len());
            return Ok(Some(data.marks_of_scores(stories, phrases)));
        }
        let sequences = data.sequences.iter().chain(&data.phrase_sequences);
        let engine = data.engine(Arc::new(Table::new(data, sequences, &numbers)))?;
        data.marks_of_engine(&engine).map(Some)
    }

    fn reads_text(&self) -> bool {
        self.key == "vader"
    }
}
