//! Columns between two files: their buffers are as large as a row group needs, so the next file takes them over.

use datafusion::parquet::{errors::ParquetError, schema::types::SchemaDescriptor};

use super::EventColumns;
use crate::trail::TrailWriteOptions;

/// The columns of the last file, if there was one. One for each thread that writes files.
#[derive(Default)]
pub struct SpareColumns(Option<EventColumns>);

impl std::fmt::Debug for SpareColumns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpareColumns")
            .field("is_some", &self.0.is_some())
            .finish()
    }
}

impl SpareColumns {
    /// Columns without rows, for a file of about so many.
    pub(crate) fn begin(
        &mut self,
        schema: &SchemaDescriptor,
        options: &TrailWriteOptions,
        row_count: u64,
    ) -> Result<&mut EventColumns, ParquetError> {
        let mut columns = match self.0.take() {
            Some(columns) => columns,
            None => EventColumns::new(schema),
        };
        columns.begin(schema, options, row_count)?;
        Ok(self.0.insert(columns))
    }
}
