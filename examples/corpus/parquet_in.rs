//! Rows of Parquet files (feature `parquet`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Result;

use super::input::{Options, Rows};

#[cfg(not(feature = "parquet"))]
pub(crate) fn open(_: &Path, _: &Options, _: &Arc<AtomicU64>) -> Result<Box<dyn Rows>> {
    anyhow::bail!("Parquet is not part of this build: add `--features parquet`")
}

#[cfg(feature = "parquet")]
pub(crate) fn open(path: &Path, options: &Options, read: &Arc<AtomicU64>) -> Result<Box<dyn Rows>> {
    if super::source::is_stdin(path) {
        anyhow::bail!("Parquet cannot be read from standard input: name the file");
    }
    Ok(Box::new(columnar::Batches::open(path, options, Arc::clone(read))?))
}

#[cfg(feature = "parquet")]
mod columnar {
    use std::collections::VecDeque;
    use std::fs::File;
    use std::io;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use anyhow::{Context, Result, bail};
    use arrow_array::RecordBatch;
    use arrow_json::LineDelimitedWriter;
    use arrow_schema::DataType;
    use parquet::arrow::ProjectionMask;
    use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
    use serde_json::{Map, Value};

    use super::super::columns::{Columns, RowError};
    use super::super::input::{Found, Options, Rows};

    /// Rows that are unpacked at a time.
    const BATCH: usize = 64;

    pub(super) struct Batches {
        batches: ParquetRecordBatchReader,
        columns: Columns,
        ready: VecDeque<Map<String, Value>>,
        place: u64,
        /// Bytes of the file, its rows, and where the bytes are counted.
        bytes: u64,
        rows: u64,
        read: Arc<AtomicU64>,
    }

    impl Batches {
        pub(super) fn open(path: &Path, options: &Options, read: Arc<AtomicU64>) -> Result<Self> {
            let file = File::open(path)?;
            let bytes = file.metadata()?.len();
            let builder =
                ParquetRecordBatchReaderBuilder::try_new(file).context("cannot be read as Parquet")?;
            let header: Vec<&str> =
                builder.schema().fields().iter().map(|field| field.name().as_str()).collect();
            options.columns.check(&header)?;
            for field in builder.schema().fields() {
                let binary = matches!(field.data_type(), DataType::Binary | DataType::LargeBinary);
                if binary && options.columns.names().any(|name| name == field.name()) {
                    bail!("column {:?} holds bytes that are not marked as text", field.name());
                }
            }
            let wanted =
                options.columns.names().filter_map(|name| header.iter().position(|column| *column == name));
            let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
            let rows = builder.metadata().file_metadata().num_rows().max(0) as u64;
            let batches = builder.with_projection(mask).with_batch_size(BATCH).build()?;
            let columns = options.columns.clone();
            Ok(Batches { batches, columns, ready: VecDeque::new(), place: 0, bytes, rows, read })
        }
    }

    /// A batch as JSON, one object a row.
    fn objects(batch: &RecordBatch) -> Result<VecDeque<Map<String, Value>>> {
        let mut writer = LineDelimitedWriter::new(Vec::new());
        writer.write(batch)?;
        writer.finish()?;
        let lines = writer.into_inner();
        Ok(serde_json::Deserializer::from_slice(&lines).into_iter().collect::<Result<_, _>>()?)
    }

    impl Rows for Batches {
        fn next(&mut self) -> io::Result<Option<Found>> {
            while self.ready.is_empty() {
                let Some(batch) = self.batches.next() else { return Ok(None) };
                let batch = batch.map_err(io::Error::other)?;
                self.ready = objects(&batch).map_err(io::Error::other)?;
            }
            let Some(values) = self.ready.pop_front() else { return Ok(None) };
            let at = |place: u64| {
                (u128::from(self.bytes) * u128::from(place) / u128::from(self.rows.max(1))) as u64
            };
            self.read.fetch_add(at(self.place + 1) - at(self.place), Ordering::Relaxed);
            self.place += 1;
            let row: Result<_, RowError> = self.columns.row(values);
            Ok(Some(Found { place: self.place, row }))
        }
    }
}
