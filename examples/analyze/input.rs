//! Reading stories: files, folders and standard input, one story at a time.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use amends::output::ErrorRecord;
use amends::{AsStory, Document, Format, Limits, Malformed, ReadErrorKind, ReadOptions, read_bytes};
use anyhow::{Context, Result};
use clap::ValueEnum;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::lines::{self, Line};

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// One story.
    Txt,
    /// One story in Markdown (feature markdown).
    Md,
    /// One story as a web page (feature html).
    Html,
    /// One story as a mail (feature email).
    Eml,
    /// One JSON object a line, with `text` and `id`.
    Jsonl,
}

impl Kind {
    fn format(self) -> Format {
        match self {
            Kind::Txt | Kind::Jsonl => Format::Plain,
            Kind::Md => Format::Markdown,
            Kind::Html => Format::Html,
            Kind::Eml => Format::Email,
        }
    }
}

/// A story with what came with it.
#[derive(Debug)]
pub(crate) struct Story {
    text: String,
    id: Option<String>,
    source: String,
    carried: Map<String, Value>,
    bytes: u64,
}

/// A story, or the place of one that could not be read.
#[derive(Debug)]
pub(crate) enum Item {
    Story(Story),
    Failed { record: ErrorRecord, bytes: u64 },
}

impl Item {
    pub(crate) fn document(&self) -> Document<'_> {
        match self {
            Item::Story(story) => {
                let document = Document::new(&story.text).with_source(story.source.as_str());
                match &story.id {
                    Some(id) => document.with_id(id.as_str()),
                    None => document,
                }
            }
            Item::Failed { .. } => Document::new(""),
        }
    }

    /// Fields of the input that were asked for, where it has any of them.
    pub(crate) fn carried(&self) -> Option<&Map<String, Value>> {
        match self {
            Item::Story(story) => Some(&story.carried).filter(|carried| !carried.is_empty()),
            Item::Failed { .. } => None,
        }
    }

    /// Bytes of input that it took.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Item::Story(story) => story.bytes,
            Item::Failed { bytes, .. } => *bytes,
        }
    }
}

impl AsStory for Item {
    fn as_story(&self) -> Document<'_> {
        self.document()
    }
}

#[derive(Deserialize)]
struct Row {
    text: String,
    #[serde(default)]
    id: Value,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

struct Lines {
    name: String,
    reader: Box<dyn BufRead>,
    line: usize,
    compressed: bool,
}

/// All stories of all inputs, in order.
pub(crate) struct Input {
    files: VecDeque<PathBuf>,
    lines: Option<Lines>,
    stdin: Kind,
    carry: Vec<String>,
    malformed: Malformed,
    bytes: Option<u64>,
    buffer: Vec<u8>,
    /// The longest file or line that is kept: what is longer than a text may be is not read to its end.
    limit: usize,
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What a file of this name holds, or `None` for a name that says nothing.
fn kind_of(path: &Path) -> Option<(Kind, bool)> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let (name, compressed) = match name.strip_suffix(".gz") {
        Some(name) => (name.to_owned(), true),
        None => (name, false),
    };
    let kind = match Path::new(&name).extension()?.to_str()? {
        "jsonl" | "ndjson" => Kind::Jsonl,
        "txt" | "text" => Kind::Txt,
        "md" | "markdown" => Kind::Md,
        "html" | "htm" | "xhtml" => Kind::Html,
        "eml" => Kind::Eml,
        _ => return None,
    };
    Some((kind, compressed))
}

impl Input {
    /// Lists the inputs. A folder stands for the stories in it and below, sorted by name.
    pub(crate) fn new(
        paths: &[PathBuf],
        stdin: Kind,
        carry: Vec<String>,
        malformed: Malformed,
    ) -> Result<Self> {
        let mut files = VecDeque::new();
        for path in paths {
            if is_stdin(path) {
                files.push_back(path.clone());
            } else {
                let meta = fs::metadata(path).with_context(|| format!("{}", path.display()))?;
                if meta.is_dir() {
                    let before = files.len();
                    list(path, &mut files).with_context(|| format!("{}", path.display()))?;
                    if files.len() == before {
                        eprintln!(
                            "{}: no .txt, .md, .html, .eml, .jsonl or .jsonl.gz in this folder",
                            path.display()
                        );
                    }
                } else {
                    files.push_back(path.clone());
                }
            }
        }
        let limit = Limits::default().max_text_bytes;
        let bytes = files.iter().map(|path| Some(fs::metadata(path).ok()?.len())).sum();
        Ok(Input { files, lines: None, stdin, carry, malformed, bytes, buffer: Vec::new(), limit })
    }

    /// Bytes of all inputs together, where that is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    fn failed(source: &str, kind: &str, message: impl Into<String>, bytes: usize) -> Item {
        Item::Failed { record: ErrorRecord::new(None, Some(source), kind, message), bytes: bytes as u64 }
    }

    fn too_long(&self, source: &str, bytes: String, read: usize) -> Item {
        let message = format!("{bytes} bytes, the limit is {}", self.limit);
        Self::failed(source, "too_long", message, read)
    }

    fn text(&self, bytes: &[u8], format: Format, source: &str) -> Result<String, Item> {
        let options = ReadOptions::default().with_format(format).with_malformed(self.malformed);
        read_bytes(bytes, &options.with_max_bytes(self.limit)).map(|read| read.into_text()).map_err(|error| {
            let kind = match error.kind() {
                ReadErrorKind::NotUtf8 | ReadErrorKind::Malformed => "encoding",
                kind => kind.as_str(),
            };
            Self::failed(source, kind, error.to_string(), bytes.len())
        })
    }

    fn open(&mut self, path: &Path) -> io::Result<Option<Item>> {
        let (name, kind, compressed) = match is_stdin(path) {
            true => ("-".to_owned(), self.stdin, false),
            false => {
                let (kind, compressed) = kind_of(path).unwrap_or((Kind::Txt, false));
                (path.display().to_string(), kind, compressed)
            }
        };
        let reader: Box<dyn Read> = match (is_stdin(path), compressed) {
            (true, _) => Box::new(io::stdin()),
            (false, false) => Box::new(File::open(path)?),
            (false, true) => Box::new(MultiGzDecoder::new(BufReader::new(File::open(path)?))),
        };
        let reader = BufReader::with_capacity(1 << 16, reader);
        if kind == Kind::Jsonl {
            self.lines = Some(Lines { name, reader: Box::new(reader), line: 0, compressed });
            return Ok(None);
        }
        let mut bytes = Vec::new();
        reader.take(self.limit as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > self.limit {
            return Ok(Some(self.too_long(&name, format!("more than {}", self.limit), bytes.len())));
        }
        let len = bytes.len() as u64;
        Ok(Some(match self.text(&bytes, kind.format(), &name) {
            Ok(text) => {
                let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                let id = stem.filter(|_| !is_stdin(path));
                Item::Story(Story { text, id, source: name, carried: Map::new(), bytes: len })
            }
            Err(failed) => failed,
        }))
    }

    fn next_line(&mut self) -> Option<Item> {
        let lines = self.lines.as_mut()?;
        let source = loop {
            match lines::read(&mut *lines.reader, &mut self.buffer, self.limit) {
                Ok(Line::End) => {
                    self.lines = None;
                    return None;
                }
                Ok(read) => {
                    lines.line += 1;
                    let source = format!("{}:{}", lines.name, lines.line);
                    if let Line::TooLong(length) = read {
                        return Some(self.too_long(&source, length.to_string(), self.buffer.len()));
                    }
                    if !self.buffer.trim_ascii().is_empty() {
                        break source;
                    }
                }
                Err(error) => {
                    let failed = Self::failed(&lines.name, "io", error.to_string(), 0);
                    self.lines = None;
                    return Some(failed);
                }
            }
        };
        // The bar runs over the bytes of the file, and those of a compressed one are not known by the line.
        let len = if lines.compressed { self.buffer.len() / 3 } else { self.buffer.len() };
        let text = match self.text(self.buffer.trim_ascii(), Format::Plain, &source) {
            Ok(text) => text,
            Err(failed) => return Some(failed),
        };
        Some(match serde_json::from_str::<Row>(&text) {
            Ok(row) => {
                let id = match row.id {
                    Value::Null => None,
                    Value::String(id) => Some(id),
                    other => Some(other.to_string()),
                };
                let mut rest = row.rest;
                let carried = self.carry.iter().filter_map(|name| rest.remove_entry(name)).collect();
                Item::Story(Story { text: row.text, id, source, carried, bytes: len as u64 })
            }
            Err(error) => Self::failed(&source, "json", error.to_string(), len),
        })
    }
}

impl Iterator for Input {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.next_line() {
                return Some(item);
            }
            let path = self.files.pop_front()?;
            match self.open(&path) {
                Ok(Some(item)) => return Some(item),
                Ok(None) => {}
                Err(error) => {
                    return Some(Self::failed(&path.display().to_string(), "io", error.to_string(), 0));
                }
            }
        }
    }
}

fn list(folder: &Path, files: &mut VecDeque<PathBuf>) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        // A link to a folder is not followed: it may lead in circles.
        if entry.file_type()?.is_dir() {
            list(&path, files)?;
        } else if kind_of(&path).is_some() {
            files.push_back(path);
        }
    }
    Ok(())
}
