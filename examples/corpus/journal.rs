//! The output, which is also the record of what is done.
//!
//! Why this way: a second file that says how far the run has come can disagree with the output after a crash. So
//! the output alone says it. Every row of the input has exactly one line in it, a failed one too, in the order of
//! the input and with its number. Lines are written in whole, many at a time; what a kill or a full disk tears is
//! the last line at most, and it is cut off before the run goes on. The file of errors and the summary are made
//! again from the lines that are there, so they agree with the output, too.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use amends::output::{ErrorBody, Record, StoryRecord};
use amends::summary::Month;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::stdout::check_stdout;

/// One line of the output: the record of the row with what the input says of it.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    pub(crate) row: u64,
    #[serde(flatten)]
    pub(crate) record: &'a Record,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) month: Option<Month>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) carried: &'a Map<String, Value>,
}

/// What is read of a line that an earlier run wrote.
#[derive(Deserialize)]
pub(crate) struct Head {
    row: u64,
    pub(crate) id: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) weights: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) month: Option<Month>,
    pub(crate) error: Option<ErrorBody>,
}

/// One line of the file of errors.
#[derive(Serialize)]
pub(crate) struct ErrorLine<'a> {
    pub(crate) row: u64,
    pub(crate) source: Option<&'a str>,
    pub(crate) id: Option<&'a str>,
    pub(crate) kind: &'a str,
    pub(crate) message: &'a str,
}

/// The output cannot be written.
#[derive(Debug, Error)]
#[error("cannot write {place}")]
pub(crate) struct CannotWrite {
    place: String,
    source: io::Error,
}

impl CannotWrite {
    pub(crate) fn new(place: impl std::fmt::Display, source: io::Error) -> Self {
        CannotWrite { place: place.to_string(), source }
    }
}

/// What an earlier run has left.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) rows: u64,
    pub(crate) last: Option<Head>,
    bytes: u64,
}

/// Reads the whole lines of an earlier run, each with its number and, if `stories`, its analysis.
pub(crate) fn read(
    path: &Path,
    stories: bool,
    mut each: impl FnMut(u64, &Head, Option<StoryRecord>) -> Result<()>,
) -> Result<Done> {
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path)?);
    let mut done = Done { rows: 0, last: None, bytes: 0 };
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(done);
        }
        let number = done.rows + 1;
        let foreign = || format!("line {number} is not of an earlier run over this input");
        let head: Head = serde_json::from_slice(&line).with_context(foreign)?;
        if head.row != number {
            bail!("{}: it has row {}", foreign(), head.row);
        }
        let story = match stories && head.error.is_none() {
            true => Some(serde_json::from_slice(&line).with_context(foreign)?),
            false => None,
        };
        each(number, &head, story)?;
        done = Done { rows: number, last: Some(head), bytes: done.bytes + length as u64 };
    }
}

/// Writes whole lines, some at a time.
pub(crate) struct Journal {
    place: String,
    out: Box<dyn Write>,
    /// The same, where it is a file that can be cut.
    file: Option<File>,
    /// Bytes of the file that are whole lines.
    whole: u64,
    lines: Vec<u8>,
    errors: Option<Errors>,
    flushed: Instant,
}

/// The file of errors, which is made with the first of them.
pub(crate) struct Errors {
    path: PathBuf,
    file: Option<File>,
    lines: Vec<u8>,
    /// Whether it is to take the place of an older one, and has not yet.
    is_new: bool,
}

impl Errors {
    /// An empty file of errors. An older one stays until this is [settled](Errors::settle).
    pub(crate) fn new(path: PathBuf) -> Self {
        Errors { path, file: None, lines: Vec::new(), is_new: true }
    }

    fn place(&self) -> PathBuf {
        let mut place = self.path.as_os_str().to_owned();
        if self.is_new {
            place.push(".unfinished");
        }
        place.into()
    }

    pub(crate) fn push(&mut self, line: &ErrorLine<'_>) -> Result<()> {
        serde_json::to_writer(&mut self.lines, line)?;
        self.lines.push(b'\n');
        if self.lines.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let place = self.place();
        let mut write = || -> io::Result<File> {
            let mut file = match self.file.take() {
                Some(file) => file,
                None => File::create(&place)?,
            };
            file.write_all(&self.lines)?;
            Ok(file)
        };
        let written = write();
        self.file =
            Some(written.map_err(|source| CannotWrite { place: place.display().to_string(), source })?);
        self.lines.clear();
        Ok(())
    }

    /// Takes the place of an older file.
    pub(crate) fn settle(mut self) -> Result<Self> {
        self.flush()?;
        let settled = match self.file {
            Some(_) => fs::rename(self.place(), &self.path),
            None => match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        settled.map_err(|source| CannotWrite { place: self.path.display().to_string(), source })?;
        self.is_new = false;
        Ok(self)
    }

    /// Leaves the older file where it is.
    pub(crate) fn give_up(self) {
        let _ = fs::remove_file(self.place());
    }
}

/// Bytes of lines that are kept back at most, and for how long.
const BUFFER: usize = 1 << 16;
const DELAY: Duration = Duration::from_millis(100);

impl Journal {
    /// Writes to standard output.
    pub(crate) fn stdout(errors: Option<Errors>) -> Result<Self> {
        check_stdout("name a file with --output")?;
        Ok(Journal::with("standard output".into(), Box::new(io::stdout()), None, 0, errors))
    }

    /// Goes on behind what is done, and cuts off what is not.
    pub(crate) fn file(path: &Path, file: File, done: &Done, errors: Option<Errors>) -> Result<Self> {
        let place = path.display().to_string();
        let cannot = |source| CannotWrite { place: place.clone(), source };
        let mut out = file.try_clone().map_err(cannot)?;
        let is_file = file.metadata().map_err(cannot)?.is_file();
        if is_file {
            file.set_len(done.bytes).map_err(cannot)?;
            out.seek(SeekFrom::Start(done.bytes)).map_err(cannot)?;
        }
        Ok(Journal::with(place, Box::new(out), is_file.then_some(file), done.bytes, errors))
    }

    fn with(
        place: String,
        out: Box<dyn Write>,
        file: Option<File>,
        whole: u64,
        errors: Option<Errors>,
    ) -> Self {
        Journal { place, out, file, whole, lines: Vec::new(), errors, flushed: Instant::now() }
    }

    pub(crate) fn push(&mut self, line: &Line<'_>) -> Result<()> {
        serde_json::to_writer(&mut self.lines, line)?;
        self.lines.push(b'\n');
        if let (Record::Failed(record), Some(errors)) = (line.record, &mut self.errors) {
            errors.push(&ErrorLine {
                row: line.row,
                source: record.source.as_deref(),
                id: record.id.as_deref(),
                kind: &record.error.kind,
                message: &record.error.message,
            })?;
        }
        if self.lines.len() >= BUFFER || self.flushed.elapsed() >= DELAY {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if let Err(source) = self.out.write_all(&self.lines).and_then(|()| self.out.flush()) {
            // The part of a line that fitted is taken back; where even that fails, resuming cuts it off.
            if let Some(file) = &self.file {
                let fitted = file.metadata().map_or(0, |now| now.len().saturating_sub(self.whole));
                let fitted = &self.lines[..self.lines.len().min(fitted as usize)];
                let lines = fitted.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
                let _ = file.set_len(self.whole + lines as u64);
            }
            self.lines.clear();
            return Err(CannotWrite { place: self.place.clone(), source }.into());
        }
        self.whole += self.lines.len() as u64;
        self.lines.clear();
        self.flushed = Instant::now();
        self.errors.as_mut().map_or(Ok(()), Errors::flush)
    }

    /// Writes all that was kept back, to the disk itself.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.flush()?;
        if let Some(file) = &self.file {
            let place = self.place.clone();
            file.sync_data().map_err(|source| CannotWrite { place, source })?;
        }
        Ok(())
    }
}

/// Opens an output for this run alone.
pub(crate) fn open(path: &Path) -> Result<File> {
    let place = || path.display().to_string();
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|source| CannotWrite { place: place(), source })?;
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => bail!("{}: another run is writing to it", place()),
        // A file system without locks is no reason not to write.
        _ => Ok(file),
    }
}
