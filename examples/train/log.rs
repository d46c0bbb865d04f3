//! What a run says while it goes on.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::Value;

/// Lines for people on the standard error stream, and for programs in `log.jsonl`.
pub(crate) struct Log {
    file: fs::File,
    start: Instant,
}

impl Log {
    pub(crate) fn open(folder: &Path) -> Result<Log> {
        let path = folder.join("log.jsonl");
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Log { file, start: Instant::now() })
    }

    pub(crate) fn say(&self, line: &str) {
        eprintln!("{:6.1} min  {line}", self.start.elapsed().as_secs_f64() / 60.0);
    }

    pub(crate) fn write(&mut self, record: &Value) -> Result<()> {
        writeln!(self.file, "{record}").context("cannot write log.jsonl")
    }
}
