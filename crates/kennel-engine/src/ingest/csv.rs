//! Reports in csv, as k9 has delivered them since 2021: a header row, `"` for quotes, blank for "no value",
//! `True` and `False`, tags as an object in one cell. All cells are read as text; what they mean is decided
//! where the other forms are converted, too.

use std::{cell::RefCell, fs::File, io::BufReader, sync::Arc};

use csv::{ByteRecord, Reader, ReaderBuilder};
use datafusion::arrow::{
    array::{ArrayRef, RecordBatch, StringBuilder},
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use super::{
    IngestError,
    convert::{Cells, Problems},
};

/// Rows of a batch.
const BATCH_ROWS: usize = 8 * 1024;

/// Reads a csv file in batches of text columns.
pub(super) struct CsvBatches {
    reader: Reader<BufReader<File>>,
    schema: SchemaRef,
    record: ByteRecord,
    row_count: usize,
}

impl CsvBatches {
    /// Reads the header.
    pub(super) fn open(file: File) -> Result<Self, IngestError> {
        let mut reader = ReaderBuilder::new().from_reader(BufReader::new(file));
        let header = reader.byte_headers().map_err(IngestError::Csv)?;
        let fields = header
            .iter()
            .map(|name| {
                let name = String::from_utf8_lossy(name);
                Field::new(name.trim(), DataType::Utf8, true)
            })
            .collect::<Vec<_>>();
        Ok(Self {
            reader,
            schema: Arc::new(Schema::new(fields)),
            record: ByteRecord::new(),
            row_count: 0,
        })
    }

    /// The columns, all of them text.
    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The next rows; `None` after the last. A cell that is no UTF-8 is null, and a problem.
    ///
    /// # Errors
    /// [`IngestError::Csv`] for a row with more or fewer cells than the header: the file is cut off or not what it should be.
    pub(super) fn next(
        &mut self,
        problems: &RefCell<Problems>,
    ) -> Result<Option<RecordBatch>, IngestError> {
        let mut columns = self
            .schema
            .fields()
            .iter()
            .map(|_| StringBuilder::new())
            .collect::<Vec<_>>();
        let first_row = self.row_count;
        while self.row_count - first_row < BATCH_ROWS
            && self
                .reader
                .read_byte_record(&mut self.record)
                .map_err(IngestError::Csv)?
        {
            for (index, (builder, cell)) in columns.iter_mut().zip(&self.record).enumerate() {
                if let Ok(text) = str::from_utf8(cell) {
                    builder.append_value(text);
                    continue;
                }
                builder.append_null();
                let cells = Cells {
                    column: self.schema.field(index).name(),
                    first_row: self.row_count,
                    problems,
                };
                cells.unreadable(0, &String::from_utf8_lossy(cell), "UTF-8 text");
            }
            self.row_count += 1;
        }
        if self.row_count == first_row {
            return Ok(None);
        }
        let columns = columns
            .into_iter()
            .map(|mut builder| Arc::new(builder.finish()) as ArrayRef)
            .collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map(Some)
            .map_err(IngestError::Convert)
    }
}
