//! Rows of JSON lines.

use std::io::{self, BufRead};

use serde_json::{Map, Value};

use super::columns::{Columns, Row, RowError};
use super::input::{Found, Options, Rows};
use super::lines::{self, Line};

/// One object a line; lines of white space are no rows.
pub(crate) struct JsonLines {
    reader: Box<dyn BufRead>,
    options: Options,
    line: u64,
    buffer: Vec<u8>,
}

impl JsonLines {
    pub(crate) fn new(reader: Box<dyn BufRead>, options: Options) -> Self {
        JsonLines { reader, options, line: 0, buffer: Vec::new() }
    }
}

/// The row of one line.
fn row(line: &[u8], columns: &Columns, lossy: bool) -> Result<Row, RowError> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let text = match std::str::from_utf8(line) {
        Ok(text) => text.into(),
        Err(_) if lossy => String::from_utf8_lossy(line),
        Err(error) => {
            return Err(RowError::new("encoding", format!("not UTF-8 at byte {}", error.valid_up_to())));
        }
    };
    let values: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| RowError::new("json", error.to_string()))?;
    columns.row(values)
}

impl Rows for JsonLines {
    fn next(&mut self) -> io::Result<Option<Found>> {
        loop {
            let read = lines::read(&mut *self.reader, &mut self.buffer, self.options.max_row_bytes)?;
            self.line += 1;
            let row = match read {
                Line::End => return Ok(None),
                Line::Whole if self.buffer.trim_ascii().is_empty() => continue,
                Line::Whole => row(self.buffer.trim_ascii(), &self.options.columns, self.options.lossy),
                Line::TooLong(length) => Err(self.options.too_long(length)),
            };
            return Ok(Some(Found { place: self.line, row }));
        }
    }
}
