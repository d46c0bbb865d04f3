//! Opening an input: what it is packed with and what it holds, by its name or else by its first bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use flate2::bufread::MultiGzDecoder;

use super::zst::ZstReader;

/// What an input holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line.
    Jsonl,
    /// A table with a header; fields may be quoted and hold line ends.
    Csv,
    /// Columns, packed.
    Parquet,
}

/// An input that is open.
pub(crate) struct Source {
    pub(crate) format: Format,
    /// Unpacked bytes. Nothing of a Parquet file has been read.
    pub(crate) reader: Box<dyn BufRead>,
}

/// Counts the bytes that are read of a file, as they lie on the disk.
struct Counted {
    inner: Box<dyn Read>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What a file of this name holds.
fn by_name(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let packed = [".gz", ".zst", ".zstd"].iter().find_map(|ending| name.strip_suffix(ending));
    let name = packed.unwrap_or(&name);
    match Path::new(name).extension()?.to_str()? {
        "jsonl" | "ndjson" | "json" => Some(Format::Jsonl),
        "csv" | "tsv" => Some(Format::Csv),
        "parquet" | "pq" => Some(Format::Parquet),
        _ => None,
    }
}

/// Whether a folder's file of this name is an input.
pub(crate) fn is_input(path: &Path) -> bool {
    by_name(path).is_some()
}

/// Opens an input; `-` is standard input. `count` runs over its bytes on the disk.
pub(crate) fn open(path: &Path, format: Option<Format>, count: &Arc<AtomicU64>) -> Result<Source> {
    let inner: Box<dyn Read> = match is_stdin(path) {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path)?),
    };
    let mut reader = BufReader::with_capacity(1 << 16, Counted { inner, count: Arc::clone(count) });
    let start = reader.fill_buf()?;
    let mut reader: Box<dyn BufRead> = match start {
        [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(BufReader::with_capacity(1 << 16, ZstReader::new(reader))),
        _ => Box::new(reader),
    };
    let start = reader.fill_buf().context("cannot be unpacked")?;
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let format = format.or_else(|| by_name(path)).unwrap_or(match start.trim_ascii_start() {
        [b'{', ..] => Format::Jsonl,
        [b'P', b'A', b'R', b'1', ..] => Format::Parquet,
        _ => Format::Csv,
    });
    if format == Format::Jsonl && start.trim_ascii_start().starts_with(b"[") {
        bail!("one JSON array, where one object a line is needed: `jq -c '.[]'` makes lines of it");
    }
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        bail!("UTF-16, where UTF-8 is needed: `iconv -f UTF-16 -t UTF-8` makes it that");
    }
    Ok(Source { format, reader })
}
