//! All rows of all inputs, in order and numbered.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use amends::{AsStory, Document};
use anyhow::{Context, Result, bail};

use super::columns::{Columns, Row, RowError};
use super::csv::Table;
use super::jsonl::JsonLines;
use super::parquet_in;
use super::source::{self, Format};

/// How inputs are read.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) columns: Columns,
    pub(crate) format: Option<Format>,
    pub(crate) delimiter: Option<u8>,
    pub(crate) lossy: bool,
    pub(crate) max_row_bytes: usize,
}

impl Options {
    pub(crate) fn too_long(&self, length: u64) -> RowError {
        RowError::new("too_long", format!("{length} bytes, the limit is {}", self.max_row_bytes))
    }
}

/// A row, or why it is none, and its place in the file: a line or a row number, from 1.
pub(crate) struct Found {
    pub(crate) place: u64,
    pub(crate) row: Result<Row, RowError>,
}

/// The rows of one file. An error ends them.
pub(crate) trait Rows {
    fn next(&mut self) -> io::Result<Option<Found>>;
}

/// A row with its number over all inputs, from 1.
pub(crate) struct Item {
    pub(crate) number: u64,
    pub(crate) source: String,
    pub(crate) row: Result<Row, RowError>,
}

impl Item {
    pub(crate) fn id(&self) -> Option<&str> {
        match &self.row {
            Ok(row) => row.id.as_deref(),
            Err(error) => error.id.as_deref(),
        }
    }
}

impl AsStory for Item {
    fn as_story(&self) -> Document<'_> {
        let text = self.row.as_ref().map_or("", |row| &row.text);
        let document = Document::new(text).with_source(self.source.as_str());
        match self.id() {
            Some(id) => document.with_id(id),
            None => document,
        }
    }
}

pub(crate) struct Input {
    files: VecDeque<PathBuf>,
    options: Options,
    /// The file at hand, by name.
    open: Option<(String, Box<dyn Rows>)>,
    number: u64,
    limit: u64,
    stop: Arc<AtomicBool>,
    read: Arc<AtomicU64>,
    bytes: Option<u64>,
    /// What ended the rows before their end.
    broken: Option<anyhow::Error>,
}

impl Input {
    /// Lists the inputs and looks into each, so that a wrong column is found before hours of work. A folder stands
    /// for the inputs in it, sorted by name.
    pub(crate) fn new(
        paths: &[PathBuf],
        options: Options,
        limit: Option<u64>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        let mut files = VecDeque::new();
        for path in paths {
            let name = || path.display().to_string();
            if !source::is_stdin(path) && fs::metadata(path).with_context(name)?.is_dir() {
                let entries = fs::read_dir(path).with_context(name)?;
                let mut found = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
                found.retain(|path| path.is_file() && source::is_input(path));
                found.sort();
                if found.is_empty() {
                    bail!("{}: no CSV, JSONL or Parquet in this folder", path.display());
                }
                files.extend(found);
            } else {
                files.push_back(path.clone());
            }
        }
        for path in files.iter().filter(|path| !source::is_stdin(path)) {
            rows(path, &options, &Arc::default()).with_context(|| path.display().to_string())?;
        }
        let bytes = files.iter().map(|path| Some(fs::metadata(path).ok()?.len())).sum();
        Ok(Input {
            files,
            options,
            open: None,
            number: 0,
            limit: limit.unwrap_or(u64::MAX),
            stop,
            read: Arc::default(),
            bytes,
            broken: None,
        })
    }

    /// Bytes of all inputs together, where that is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// A count of the bytes that were read.
    pub(crate) fn read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }

    /// Why the rows ended, if not because there were no more.
    pub(crate) fn take_error(&mut self) -> Option<anyhow::Error> {
        self.broken.take()
    }

    /// Whether the user wants it to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Leaves out this many rows and returns the last of them.
    pub(crate) fn skip_rows(&mut self, count: u64) -> Option<Item> {
        (0..count).map_while(|_| self.next()).last()
    }

    fn item(&mut self, source: String, row: Result<Row, RowError>) -> Option<Item> {
        self.number += 1;
        Some(Item { number: self.number, source, row })
    }
}

/// Opens one input.
fn rows(path: &Path, options: &Options, read: &Arc<AtomicU64>) -> Result<Box<dyn Rows>> {
    let source = source::open(path, options.format, read)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    Ok(match source.format {
        Format::Jsonl => Box::new(JsonLines::new(source.reader, options.clone())),
        Format::Csv => Box::new(Table::new(source.reader, options.clone(), name.contains(".tsv"))?),
        Format::Parquet => {
            drop(source);
            parquet_in::open(path, options, read)?
        }
    })
}

impl Iterator for Input {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if self.number >= self.limit || self.is_stopped() {
                return None;
            }
            let Some((name, rows)) = &mut self.open else {
                let path = self.files.pop_front()?;
                match rows(&path, &self.options, &self.read) {
                    Ok(rows) => self.open = Some((path.display().to_string(), rows)),
                    Err(error) => {
                        self.broken = Some(error.context(path.display().to_string()));
                        self.files.clear();
                    }
                }
                continue;
            };
            match rows.next() {
                Ok(Some(Found { place, row })) => {
                    let source = format!("{name}:{place}");
                    return self.item(source, row);
                }
                Ok(None) => self.open = None,
                // The rest of this file is lost, the other files are not.
                Err(error) => {
                    let name = name.clone();
                    self.open = None;
                    let message = format!("cannot be read on after row {}: {error}", self.number);
                    return self.item(name, Err(RowError::new("io", message)));
                }
            }
        }
    }
}
