//! Apache Parquet with the types of the result: what DataFusion answers is what a reader gets. Row groups are closed
//! by size, so memory does not grow with rows. Types that Parquet has no form for (intervals, unions) become the
//! text that every other format shows.

use std::{io, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, StringBuilder},
        datatypes::{DataType, Field, Schema, SchemaRef},
        record_batch::RecordBatch,
    },
    parquet::{
        arrow::ArrowWriter,
        basic::{Compression, ZstdLevel},
        errors::ParquetError,
        file::{metadata::KeyValue, properties::WriterProperties},
    },
};

use super::{ResultWriter, distinct_names, value};

/// A row group is closed when its encoded pages reach this size.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// Who wrote the file.
const CREATED_BY: &str = concat!("kennel ", env!("CARGO_PKG_VERSION"));

/// Writes one Parquet file.
pub(super) struct ParquetWriter {
    schema: SchemaRef,
    /// Which columns become text.
    as_text: Vec<bool>,
    writer: Option<ArrowWriter<Vec<u8>>>,
}

impl ParquetWriter {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let as_text = schema
            .fields()
            .iter()
            .map(|field| !is_known(field.data_type()))
            .collect::<Vec<_>>();
        let names = distinct_names(schema);
        let fields = schema.fields().iter().zip(names).zip(&as_text);
        let fields = fields.map(|((field, name), as_text)| {
            let data_type = match as_text {
                true => DataType::Utf8,
                false => field.data_type().clone(),
            };
            Field::new(name, data_type, true)
        });
        Self {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            as_text,
            writer: None,
        }
    }

    /// What the columns are in the file.
    fn columns(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        let columns = batch.columns().iter().zip(&self.as_text);
        let columns = columns.map(|(column, as_text)| match as_text {
            true => text_of(column),
            false => Arc::clone(column),
        });
        columns.collect()
    }
}

impl ResultWriter for ParquetWriter {
    fn begin(&mut self, title: Option<&str>, out: &mut dyn io::Write) -> io::Result<()> {
        let title = title.map(|title| {
            vec![KeyValue::new(
                "kennel.title".to_owned(),
                Some(title.to_owned()),
            )]
        });
        let properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.into())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(title)
            .build();
        // A result without columns (`DESCRIBE` of nothing) is no Parquet file; everything else is.
        let mut writer =
            ArrowWriter::try_new(Vec::new(), Arc::clone(&self.schema), Some(properties))
                .map_err(wrong)?;
        drain(&mut writer, out)?;
        self.writer = Some(writer);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn io::Write) -> io::Result<()> {
        let columns = self.columns(batch);
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(io::Error::other)?;
        writer.write(&batch).map_err(wrong)?;
        if writer.in_progress_size() >= ROW_GROUP_BYTES {
            writer.flush().map_err(wrong)?;
        }
        drain(writer, out)
    }

    fn finish(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        match self.writer.take() {
            Some(writer) => out.write_all(&writer.into_inner().map_err(wrong)?),
            None => Ok(()),
        }
    }
}

/// Hands on what has been encoded.
fn drain(writer: &mut ArrowWriter<Vec<u8>>, out: &mut dyn io::Write) -> io::Result<()> {
    let ready = writer.inner_mut();
    if !ready.is_empty() {
        out.write_all(ready)?;
        ready.clear();
    }
    Ok(())
}

fn wrong(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

/// A column as the text of its values.
fn text_of(column: &ArrayRef) -> ArrayRef {
    let mut builder = StringBuilder::new();
    let mut cell = String::new();
    for row in 0..column.len() {
        cell.clear();
        match value::write_text(column, row, &mut cell) {
            true => builder.append_value(&cell),
            false => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

/// Whether Parquet, as the parquet crate writes it, has a form for a type.
fn is_known(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(_)
        | DataType::Union(..)
        | DataType::RunEndEncoded(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => false,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => is_known(item.data_type()),
        DataType::Struct(fields) => {
            !fields.is_empty() && fields.iter().all(|field| is_known(field.data_type()))
        }
        DataType::Dictionary(_, values) => is_known(values),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::array::{
            Array, AsArray, Int64Array, IntervalMonthDayNanoArray, StringViewArray,
            TimestampMicrosecondArray,
        },
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
    };

    use super::*;

    fn written(batches: &[RecordBatch]) -> bytes::Bytes {
        let mut out = Vec::new();
        let mut writer = ParquetWriter::new(&batches[0].schema());
        writer.begin(Some("a title"), &mut out).unwrap();
        for batch in batches {
            writer.batch(batch, &mut out).unwrap();
        }
        writer.finish(&mut out).unwrap();
        out.into()
    }

    #[test]
    fn types_and_values_are_read_back_as_they_were() {
        let interval = datafusion::arrow::datatypes::IntervalMonthDayNanoType::make_value(
            14,
            3,
            1_500_000_000,
        );
        let columns: [(&str, ArrayRef); 5] = [
            ("n", Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))),
            ("n", Arc::new(Int64Array::from(vec![1, 2]))),
            (
                "text",
                Arc::new(StringViewArray::from(vec![Some("=1+1"), None])),
            ),
            (
                "at",
                Arc::new(
                    TimestampMicrosecondArray::from(vec![1_700_000_000_123_456, 0])
                        .with_timezone("UTC"),
                ),
            ),
            (
                "span",
                Arc::new(IntervalMonthDayNanoArray::from(vec![Some(interval), None])),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let bytes = written(&[batch.clone(), batch.slice(0, 0), batch.clone()]);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let schema = Arc::clone(reader.schema());
        let names = schema.fields().iter().map(|field| field.name().as_str());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["n", "n_2", "text", "at", "span"]
        );
        assert_eq!(
            schema.field(3).data_type(),
            batch.schema().field(3).data_type()
        );
        let read = reader.build().unwrap().map(Result::unwrap);
        let read = read.collect::<Vec<_>>();
        assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
        let first = read[0].slice(0, 2);
        assert_eq!(first.column(0), batch.column(0));
        assert_eq!(first.column(2), batch.column(2));
        assert_eq!(first.column(3), batch.column(3));
        let spans = read[0].column(4).as_string::<i32>();
        assert_eq!(spans.value(0), "P14M3DT1.500S");
        assert!(spans.is_null(1));
    }

    #[test]
    fn a_result_without_rows_is_a_file_with_its_schema() {
        let columns: [(&str, ArrayRef); 1] = [("n", Arc::new(Int64Array::from(vec![1])))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(written(&[batch.slice(0, 0)])).unwrap();
        assert_eq!(reader.schema().field(0).data_type(), &DataType::Int64);
        assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
    }
}
