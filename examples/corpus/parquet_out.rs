//! Parquet made of the finished journal (feature `parquet`).
//!
//! Why this way: a Parquet file ends with its table of contents, so one that is cut short cannot be read, let alone
//! be continued. So a run writes lines, and makes them into Parquet when all are there, under another name until
//! the last byte is on the disk.

use std::path::Path;

use anyhow::Result;

/// Makes `output` of the lines of `journal`.
#[cfg(not(feature = "parquet"))]
pub(crate) fn write(_journal: &Path, _output: &Path) -> Result<()> {
    check()
}

#[cfg(feature = "parquet")]
pub(crate) fn write(journal: &Path, output: &Path) -> Result<()> {
    columnar::write(journal, output)
}

/// Whether this build can.
pub(crate) fn check() -> Result<()> {
    if cfg!(feature = "parquet") {
        return Ok(());
    }
    anyhow::bail!("Parquet is not part of this build: add `--features parquet`")
}

#[cfg(feature = "parquet")]
mod columnar {
    use std::fs::File;
    use std::io::{BufRead, BufReader};
    use std::path::Path;
    use std::sync::Arc;

    use anyhow::{Context, Result};
    use arrow_json::ReaderBuilder;
    use arrow_json::reader::Decoder;
    use arrow_schema::{DataType, Field, Fields, Schema};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;
    use serde_json::Value;

    /// Rows that are packed at a time, and rows of a group, which is kept in memory packed.
    const BATCH: usize = 256;
    const GROUP: usize = 8192;

    fn group(fields: &[(&str, DataType)]) -> Fields {
        fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect()
    }

    fn many(kind: DataType) -> DataType {
        DataType::List(Arc::new(Field::new("item", kind, true)))
    }

    /// The columns: names and nesting of the JSON, with `carried` as JSON text.
    fn schema() -> Schema {
        use DataType::{Boolean, Float32, Float64, Int64, Struct, Utf8};
        let sentiment = group(&[
            ("label", Utf8),
            ("negative", Float32),
            ("neutral", Float32),
            ("positive", Float32),
            ("score", Float32),
        ]);
        let sentence = group(&[
            ("start", Int64),
            ("end", Int64),
            ("content", Boolean),
            ("boilerplate", Utf8),
            ("interaction", Int64),
            ("sentiment", Struct(sentiment)),
        ]);
        let event = group(&[
            ("type", Utf8),
            ("status", Utf8),
            ("actor", Utf8),
            ("start", Int64),
            ("end", Int64),
            ("sentence", Int64),
            ("interaction", Int64),
            ("confidence", Float32),
            ("evidence", Utf8),
            ("severity", Utf8),
        ]);
        let score = group(&[("value", Float64), ("low", Float64), ("high", Float64), ("base", Float64)]);
        let sides = ["distributive", "procedural", "interactional", "effort", "outcome"];
        let dimensions = group(&sides.map(|side| (side, Float64)));
        let contribution = group(&[
            ("points", Float64),
            ("reason", Utf8),
            ("sentence", Int64),
            ("start", Int64),
            ("end", Int64),
        ]);
        let link = group(&[("kind", Utf8), ("from", Int64), ("to", Int64)]);
        let interaction = group(&[
            ("id", Int64),
            ("provider", Utf8),
            ("sentences", many(Int64)),
            ("score", Struct(score)),
            ("dimensions", Struct(dimensions)),
            ("flags", many(Utf8)),
            ("contributions", many(Struct(contribution))),
            ("links", many(Struct(link))),
        ]);
        Schema::new(group(&[
            ("row", Int64),
            ("schema", Int64),
            ("id", Utf8),
            ("source", Utf8),
            ("provider", Utf8),
            ("month", Utf8),
            ("model", Utf8),
            ("weights", Utf8),
            ("text_bytes", Int64),
            ("sentences", many(Struct(sentence))),
            ("events", many(Struct(event))),
            ("interactions", many(Struct(interaction))),
            ("warnings", many(Utf8)),
            ("error", Struct(group(&[("kind", Utf8), ("message", Utf8)]))),
            ("carried", Utf8),
        ]))
    }

    fn flush(decoder: &mut Decoder, writer: &mut ArrowWriter<File>) -> Result<()> {
        if let Some(batch) = decoder.flush()? {
            writer.write(&batch)?;
        }
        Ok(())
    }

    pub(super) fn write(journal: &Path, output: &Path) -> Result<()> {
        let mut unfinished = output.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let schema = Arc::new(schema());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP))
            .build();
        let file = File::create(&unfinished).context("cannot write Parquet")?;
        let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?;
        let mut decoder = ReaderBuilder::new(schema).with_batch_size(BATCH).build_decoder()?;
        for line in BufReader::new(File::open(journal)?).lines() {
            let mut line: Value = serde_json::from_str(&line?)?;
            if let Some(carried) = line.get_mut("carried") {
                *carried = Value::String(carried.to_string());
            }
            decoder.serialize(&[line])?;
            if decoder.len() >= BATCH {
                flush(&mut decoder, &mut writer)?;
            }
        }
        flush(&mut decoder, &mut writer)?;
        let file = writer.into_inner().context("cannot write Parquet")?;
        file.sync_all()?;
        std::fs::rename(&unfinished, output)?;
        Ok(())
    }
}
