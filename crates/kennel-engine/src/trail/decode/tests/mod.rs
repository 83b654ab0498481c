//! Objects as text in, rows out. Records are written here by hand after the field reference.

mod identities;
mod objects;
mod properties;
mod samples;
mod values;

use std::{io::Write, sync::Arc};

use bytes::Bytes;
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch, cast::as_string_array},
        compute::concat_batches,
        datatypes::{DataType, Int64Type, TimestampMicrosecondType},
    },
    parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
};
use flate2::{Compression, write::GzEncoder};

use super::{DecodeError, DecodeLimits, DecodeOutcome, Decoder, ObjectOrigin, TrailTable};
use crate::trail::{
    SpareColumns, TrailWriteOptions,
    files::EventFile,
    held::{HeldRecords, Scratch},
    schema::event_schema,
};

const KEY: &str = "AWSLogs/012345678901/CloudTrail/us-east-1/2023/07/10/012345678901_CloudTrail_us-east-1_20230710T1145Z_7xgocspSowgK0Gto.json.gz";

fn origin(kind: TrailTable) -> ObjectOrigin<'static> {
    ObjectOrigin {
        key: KEY,
        account: Some("012345678901"),
        region: Some("us-east-1"),
        day: Some("2023/07/10"),
        kind,
    }
}

/// The rows as they came, written and read back.
fn rows_of(held: &HeldRecords) -> RecordBatch {
    let options = TrailWriteOptions::default();
    let mut columns = SpareColumns::default();
    let row_count = held.len() as u64;
    let mut file = EventFile::create(Vec::new(), &options, row_count, &mut columns).unwrap();
    let mut scratch = Scratch::new();
    let rows = (0..held.len() as u32).map(|at| (at, false));
    let rows = rows.collect::<Vec<_>>();
    file.write(held, &rows, &mut scratch).unwrap();
    let (bytes, _) = file.finish().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
    let batches = reader.build().unwrap().map(|batch| {
        let batch = batch.unwrap();
        batch.with_schema(event_schema()).unwrap()
    });
    concat_batches(&event_schema(), &batches.collect::<Vec<_>>()).unwrap()
}

/// Decodes one object with given limits.
fn decode_within(
    object: &[u8],
    kind: TrailTable,
    limits: DecodeLimits,
) -> Result<(RecordBatch, DecodeOutcome), DecodeError> {
    let mut sink = HeldRecords::default();
    let outcome = Decoder::new(limits).decode_object(object, &origin(kind), &mut sink);
    if outcome.is_err() {
        assert!(sink.is_empty(), "an error left rows");
    }
    Ok((rows_of(&sink), outcome?))
}

fn try_decode(object: impl AsRef<[u8]>) -> Result<(Rows, DecodeOutcome), DecodeError> {
    let (rows, outcome) =
        decode_within(object.as_ref(), TrailTable::Events, DecodeLimits::default())?;
    Ok((Rows(rows), outcome))
}

/// Decodes an object without problems.
fn decode(object: impl AsRef<[u8]>) -> Rows {
    let (rows, outcome) = try_decode(object).unwrap();
    assert_eq!(outcome.problems, []);
    assert_eq!(outcome.record_count as usize, rows.0.num_rows());
    rows
}

/// Decodes one record with these fields beside those that make it one.
fn decode_record(fields: &str) -> Rows {
    let rows = decode(format!(r#"{{"Records":[{}]}}"#, record(fields)));
    assert_eq!(rows.0.num_rows(), 1);
    rows
}

/// A record with these fields.
fn record(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    format!(r#"{{"eventVersion":"1.08"{comma}{fields}}}"#)
}

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// A batch that is asked by path.
struct Rows(RecordBatch);

impl Rows {
    /// The column, or the field inside structs: `useridentity.arn`. A null struct makes its fields null.
    fn column(&self, path: &str) -> ArrayRef {
        let mut names = path.split('.');
        let top = names.next().unwrap();
        let mut column = Arc::clone(self.0.column_by_name(top).unwrap());
        for name in names {
            let parent = column.as_struct().clone();
            column = Arc::clone(parent.column_by_name(name).unwrap());
            for row in 0..parent.len() {
                assert!(parent.is_valid(row) || column.is_null(row), "{path}");
            }
        }
        column
    }

    fn is_null(&self, path: &str) -> bool {
        self.column(path).is_null(0)
    }

    fn text_at(&self, path: &str, row: usize) -> Option<String> {
        let column = self.column(path);
        assert_eq!(column.data_type(), &DataType::Utf8, "{path}");
        let texts = as_string_array(&column);
        texts.is_valid(row).then(|| texts.value(row).to_owned())
    }

    /// The text in the first row, `<null>` where there is none.
    fn text(&self, path: &str) -> String {
        self.text_at(path, 0).unwrap_or_else(|| "<null>".into())
    }

    fn texts(&self, path: &str) -> Vec<String> {
        (0..self.0.num_rows())
            .map(|row| self.text_at(path, row).unwrap_or_else(|| "<null>".into()))
            .collect()
    }

    fn flag(&self, path: &str) -> Option<bool> {
        let column = self.column(path);
        let flags = column.as_boolean();
        flags.is_valid(0).then(|| flags.value(0))
    }

    fn time(&self) -> Option<i64> {
        let column = self.column("event_time");
        let times = column.as_primitive::<TimestampMicrosecondType>();
        times.is_valid(0).then(|| times.value(0))
    }

    fn indexes(&self) -> Vec<i64> {
        let column = self.column("record_index");
        column.as_primitive::<Int64Type>().values().to_vec()
    }
}
