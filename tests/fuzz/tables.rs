//! The readers of the example `corpus`: CSV and JSON lines, plain and packed.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;

#[path = "../../examples/corpus/columns.rs"]
mod columns;
#[path = "../../examples/corpus/csv.rs"]
mod csv;
#[path = "../../examples/corpus/dates.rs"]
mod dates;
#[path = "../../examples/corpus/input.rs"]
mod input;
#[path = "../../examples/corpus/jsonl.rs"]
mod jsonl;
#[path = "../../examples/shared/lines.rs"]
mod lines;
#[path = "../../examples/corpus/parquet_in.rs"]
mod parquet_in;
#[path = "../../examples/corpus/source.rs"]
mod source;
#[path = "../../examples/corpus/zst.rs"]
mod zst;

use columns::{Columns, Row, RowError};
use input::{Input, Options, Rows};

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    columns: Columns,
}

fn options(flags: u8, limit: u8) -> Options {
    let args: &[&str] = match flags & 1 {
        0 => &["corpus"],
        _ => &["corpus", "--provider", "who", "--date", "when", "--carry", "stars"],
    };
    Options {
        columns: Args::parse_from(args).columns,
        format: None,
        delimiter: (flags & 2 != 0).then_some(b';'),
        lossy: flags & 4 != 0,
        max_row_bytes: 16 + 16 * usize::from(limit),
    }
}

type Found = Vec<(u64, Result<Row, RowError>)>;

/// All rows, or `None` where a table has no header that fits.
fn read(bytes: &[u8], flags: u8, limit: u8, buffer: usize) -> Option<Found> {
    let reader: Box<dyn BufRead> =
        Box::new(BufReader::with_capacity(buffer, std::io::Cursor::new(bytes.to_vec())));
    let options = options(flags, limit);
    let mut rows: Box<dyn Rows> = match flags & 8 {
        0 => Box::new(csv::Table::new(reader, options, flags & 16 != 0).ok()?),
        _ => Box::new(jsonl::JsonLines::new(reader, options)),
    };
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        found.push((row.place, row.row));
    }
    Some(found)
}

/// The first byte says what is read and how, the second how long a row may be. From 32 on the bytes are a file.
pub(crate) fn check(data: &[u8], folder: &dyn Fn() -> PathBuf) {
    let [flags, limit, bytes @ ..] = data else { return };
    if flags & 32 != 0 {
        return check_file(bytes, *flags, *limit, folder);
    }
    let Some(rows) = read(bytes, *flags, *limit, 8192) else { return };
    // However the bytes come in, the rows are the same.
    assert_eq!(read(bytes, *flags, *limit, 3).as_ref(), Some(&rows));
    let lines = bytes.split(|&byte| byte == b'\n').count();
    // Every line is in one row at most.
    assert!(rows.len() <= lines);
    assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0));
    for (place, row) in rows {
        assert!((1..=lines as u64).contains(&place));
        if let Err(error) = row {
            assert!(!error.message.is_empty());
        }
    }
}

/// A file as the command opens it: unpacked, its format found out.
fn check_file(bytes: &[u8], flags: u8, limit: u8, folder: &dyn Fn() -> PathBuf) {
    let path = folder().join("rows");
    std::fs::write(&path, bytes).unwrap();
    match Input::new(&[path], options(flags, limit), Some(1000), Arc::default()) {
        Ok(mut input) => {
            let numbers: Vec<u64> = input.by_ref().map(|item| item.number).collect();
            assert!(numbers.iter().copied().eq(1..=numbers.len() as u64));
            assert!(input.take_error().is_none());
        }
        Err(error) => assert!(!format!("{error:#}").is_empty()),
    }
}

/// Rows of our own that break in all ways.
pub(crate) fn seeds() -> Vec<(String, Vec<u8>)> {
    let table = "id,text,who,when,stars\n1,\"They called, twice.\",Corvin,2024-05-03,5\n\
                 2,\"two\nlines and \"\"quotes\"\"\",Corvin,3 May 2024,\n3,\"open,Corvin,,1\n4,few\n\n5,last,,,2\n";
    let lines = "{\"id\":1,\"text\":\"They called.\",\"who\":\"Corvin\",\"when\":\"2024-05\",\"stars\":5}\n\
                 \n{\"text\":7}\n{\"id\":\"x\"}\nno json\n{\"text\":\"\\ud800\"}\n";
    let gzip = |text: &str| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let seed = |name: &str, flags: u8, limit: u8, bytes: &[u8]| {
        (name.to_owned(), [&[flags, limit][..], bytes].concat())
    };
    vec![
        seed("table", 1, 9, table.as_bytes()),
        seed("table-of-semicolons", 2, 9, table.replace(',', ";").as_bytes()),
        seed("table-short-rows", 4, 1, table.as_bytes()),
        seed("lines", 9, 9, lines.as_bytes()),
        seed("lines-short", 12, 1, lines.as_bytes()),
        seed("file-packed-table", 33, 9, &gzip(table)),
        seed("file-packed-lines", 33, 9, &gzip(lines)),
        seed("file-lines", 32, 9, lines.as_bytes()),
    ]
}
