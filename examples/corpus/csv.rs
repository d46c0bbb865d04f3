//! Rows of CSV tables, one bad row at a time.
//!
//! Why this way: a quote that is opened and never closed makes the rest of a file one field, and a usual reader
//! takes it all into memory and loses it. So records are found first, by the same rules that `csv-core` reads them
//! by, and within the limit on a row's bytes. Where a quote stays open until there or until the end, its first line
//! alone is the bad row, and reading goes on with the next line; likewise where a row of several lines has not the
//! header's number of fields. That costs linear time: the lines in between hold no quote, or it would have been
//! closed.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use anyhow::{Context, Result, bail};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};
use serde_json::{Map, Value};

use super::columns::{Row, RowError};
use super::input::{Found, Options, Rows};
use super::lines::{self, Line};

pub(crate) struct Table {
    reader: Box<dyn BufRead>,
    options: Options,
    parser: Reader,
    delimiter: u8,
    header: Vec<String>,
    /// Lines that were read and given back.
    pending: VecDeque<(Line, Vec<u8>)>,
    line: u64,
    /// The record at hand, whole lines, and where those but the first begin.
    record: Vec<u8>,
    starts: Vec<usize>,
    output: Vec<u8>,
    ends: Vec<usize>,
}

/// Where in a field the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Plain,
    Quoted,
    /// Behind a quote that ends the field, or is the first of two.
    Closing,
}

/// Where in a field the reader is after these bytes.
fn walk(mut place: Place, bytes: &[u8], delimiter: u8) -> Place {
    for &byte in bytes {
        place = match (place, byte) {
            (Place::Quoted, b'"') => Place::Closing,
            (Place::Quoted, _) => Place::Quoted,
            (Place::Start | Place::Closing, b'"') => Place::Quoted,
            (_, b'\n') => Place::Start,
            (_, byte) if byte == delimiter => Place::Start,
            _ => Place::Plain,
        };
    }
    place
}

enum Record {
    Whole,
    TooLong(u64),
    OpenQuote,
    End,
}

impl Table {
    pub(crate) fn new(reader: Box<dyn BufRead>, options: Options, is_tsv: bool) -> Result<Self> {
        let mut table = Table {
            reader,
            options,
            parser: Reader::new(),
            delimiter: b',',
            header: Vec::new(),
            pending: VecDeque::new(),
            line: 0,
            record: Vec::new(),
            starts: Vec::new(),
            output: Vec::new(),
            ends: vec![0; 64],
        };
        let mut first = Vec::new();
        while first.trim_ascii().is_empty() {
            match table.next_line(&mut first)? {
                Line::Whole => {}
                Line::TooLong(_) => bail!("the header is longer than --max-row-bytes"),
                Line::End => bail!("empty, where a header is needed"),
            }
        }
        if first.starts_with(b"\xef\xbb\xbf") {
            first.drain(..3);
        }
        table.delimiter = match (table.options.delimiter, is_tsv) {
            (Some(delimiter), _) => delimiter,
            (None, true) => b'\t',
            // The sign that stands most often in the header; a comma where none does.
            (None, false) => *b",;\t|"
                .iter()
                .rev()
                .max_by_key(|&&sign| first.iter().filter(|&&byte| byte == sign).count())
                .unwrap_or(&b','),
        };
        table.parser =
            ReaderBuilder::new().delimiter(table.delimiter).terminator(Terminator::Any(b'\n')).build();
        table.pending.push_front((Line::Whole, first));
        table.line = 0;
        match table.next_record()? {
            Record::Whole => {}
            _ => bail!("the header cannot be read: a quote stays open"),
        }
        let header =
            table.fields().into_iter().map(|field| Ok(std::str::from_utf8(field)?.trim().to_owned()));
        table.header = header.collect::<Result<_>>().context("the header is not UTF-8")?;
        table.options.columns.check(&table.header)?;
        Ok(table)
    }

    fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<Line> {
        let read = match self.pending.pop_front() {
            Some((read, pending)) => {
                *line = pending;
                read
            }
            None => lines::read(&mut *self.reader, line, self.options.max_row_bytes)?,
        };
        self.line += u64::from(read != Line::End);
        Ok(read)
    }

    /// Finds the lines of the next record.
    fn next_record(&mut self) -> io::Result<Record> {
        let mut line = Vec::new();
        self.record.clear();
        self.starts.clear();
        while self.record.is_empty() {
            match self.next_line(&mut line)? {
                Line::End => return Ok(Record::End),
                Line::TooLong(length) => return Ok(Record::TooLong(length)),
                Line::Whole if line.trim_ascii().is_empty() => {}
                Line::Whole => self.record.append(&mut line),
            }
        }
        let mut place = walk(Place::Start, &self.record, self.delimiter);
        while place == Place::Quoted {
            let read = self.next_line(&mut line)?;
            if read == Line::Whole && self.record.len() + line.len() <= self.options.max_row_bytes {
                place = walk(place, &line, self.delimiter);
                self.starts.push(self.record.len());
                self.record.append(&mut line);
                continue;
            }
            if read != Line::End {
                self.line -= 1;
                self.pending.push_front((read, line));
            }
            self.keep_first_line();
            return Ok(Record::OpenQuote);
        }
        Ok(Record::Whole)
    }

    /// Gives back all lines of the record but the first.
    fn keep_first_line(&mut self) {
        self.line -= self.starts.len() as u64;
        for start in self.starts.drain(..).rev() {
            let line = self.record.split_off(start);
            self.pending.push_front((Line::Whole, line));
        }
    }

    /// The fields of the record at hand, unquoted.
    fn fields(&mut self) -> Vec<&[u8]> {
        let mut record = self.record.as_slice();
        record = record.strip_suffix(b"\n").unwrap_or(record);
        record = record.strip_suffix(b"\r").unwrap_or(record);
        self.output.resize(record.len() + 1, 0);
        let (mut read, mut written, mut count) = (0, 0, 0);
        self.parser.reset();
        loop {
            let (result, used, wrote, ended) = self.parser.read_record(
                &record[read..],
                &mut self.output[written..],
                &mut self.ends[count..],
            );
            (read, written, count) = (read + used, written + wrote, count + ended);
            match result {
                // Called once more with nothing left, the parser ends the record.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.output.resize(2 * self.output.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        let mut start = 0;
        self.ends[..count].iter().map(|&end| &self.output[std::mem::replace(&mut start, end)..end]).collect()
    }

    fn row(&mut self) -> Result<Row, RowError> {
        let (header, lossy) = (std::mem::take(&mut self.header), self.options.lossy);
        let fields = self.fields();
        let count = fields.len();
        let values = values(&header, &fields, lossy);
        let wanted = header.len();
        self.header = header;
        if count != wanted {
            let lines = self.starts.len() + 1;
            self.keep_first_line();
            let mut message = format!("{count} fields, where the header has {wanted}");
            if lines > 1 {
                message += &format!("; its quote would close {} lines below", lines - 1);
            }
            return Err(RowError::new("csv", message));
        }
        self.options.columns.row(values?)
    }
}

fn values(header: &[String], fields: &[&[u8]], lossy: bool) -> Result<Map<String, Value>, RowError> {
    let mut values = Map::new();
    for (name, field) in header.iter().zip(fields) {
        let text = match std::str::from_utf8(field) {
            Ok(text) => text.to_owned(),
            Err(_) if lossy => String::from_utf8_lossy(field).into_owned(),
            Err(error) => {
                let message = format!("column {name:?} is not UTF-8 at byte {}", error.valid_up_to());
                return Err(RowError::new("encoding", message));
            }
        };
        values.insert(name.clone(), Value::String(text));
    }
    Ok(values)
}

impl Rows for Table {
    fn next(&mut self) -> io::Result<Option<Found>> {
        let row = match self.next_record()? {
            Record::End => return Ok(None),
            Record::Whole => self.row(),
            Record::TooLong(length) => Err(self.options.too_long(length)),
            Record::OpenQuote => {
                Err(RowError::new("csv", "a quote is opened and not closed; the row ends with its line"))
            }
        };
        // The line that the row begins with.
        Ok(Some(Found { place: self.line - self.starts.len() as u64, row }))
    }
}
