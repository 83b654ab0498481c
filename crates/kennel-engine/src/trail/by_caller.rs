//! Reading a file whose row groups have the rows of a caller together, in the order of time again.

use std::{fs::File, path::PathBuf, sync::Arc};

use datafusion::{
    arrow::{
        array::{AsArray, BooleanArray, RecordBatch, UInt64Array},
        compute::take_record_batch,
        datatypes::TimestampMicrosecondType,
    },
    parquet::arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
        },
    },
};

use super::{
    TrailFileError,
    cursor::{TimeRange, identity_mask},
    files::leaf_of,
    key::{self, EVENT_TIME, KeyEncoder},
};

/// Identities and flags of a file whose row groups have their rows by caller: of one row group after another those rows
/// that lie in one of the ranges, in order.
pub(super) struct OutOfOrder {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) metadata: ArrowReaderMetadata,
    /// Those to come.
    pub(super) row_groups: std::vec::IntoIter<usize>,
    /// In order; none overlaps another.
    pub(super) ranges: Vec<TimeRange>,
    pub(super) encoder: Arc<KeyEncoder>,
}

impl Iterator for OutOfOrder {
    type Item = Result<RecordBatch, TrailFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let index = self.row_groups.next()?;
            match self.read(index) {
                Ok(None) => {}
                Ok(Some(rows)) => return Some(Ok(rows)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl OutOfOrder {
    /// The rows of a row group; `None` when none lies in a range.
    fn read(&self, index: usize) -> Result<Option<RecordBatch>, TrailFileError> {
        let leaves = self.metadata.parquet_schema();
        let row_count = self.metadata.metadata().row_group(index).num_rows().max(0) as usize;
        let time = ProjectionMask::leaves(leaves, leaf_of(leaves, EVENT_TIME));
        let all = RowSelection::from(vec![RowSelector::select(row_count)]);
        let Some(times) = self.rows(index, time, all)? else {
            return Ok(None);
        };
        let times = times
            .column(0)
            .as_primitive_opt::<TimestampMicrosecondType>();
        let Some(times) = times else {
            return Err(key::missing(EVENT_TIME));
        };
        let is_wanted = |time: Option<i64>| {
            let after = self.ranges.partition_point(|range| range.1 < time);
            self.ranges.get(after).is_some_and(|range| range.0 <= time)
        };
        let wanted = times.iter().map(is_wanted).collect::<BooleanArray>();
        let rows = RowSelection::from_filters(&[wanted]);
        let Some(rows) = self.rows(index, identity_mask(leaves), rows)? else {
            return Ok(None);
        };
        let keys = self.encoder.encode_identity(&rows)?;
        let mut order = (0..rows.num_rows() as u64).collect::<Vec<_>>();
        order.sort_by_key(|row| keys.identity(*row as usize));
        let sorted = take_record_batch(&rows, &UInt64Array::from(order));
        sorted.map(Some).map_err(TrailFileError::Sort)
    }

    /// Some columns and rows of a row group; `None` without any.
    fn rows(
        &self,
        index: usize,
        mask: ProjectionMask,
        rows: RowSelection,
    ) -> Result<Option<RecordBatch>, TrailFileError> {
        let refused = |source| TrailFileError::Read {
            path: self.path.clone(),
            source,
        };
        let count = rows.row_count();
        if count == 0 {
            return Ok(None);
        }
        let file = self
            .file
            .try_clone()
            .map_err(|error| refused(error.into()))?;
        let metadata = self.metadata.clone();
        let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_row_groups(vec![index])
            .with_row_selection(rows)
            .with_projection(mask)
            .with_batch_size(count)
            .build()
            .map_err(refused)?;
        let batch = reader.next().transpose();
        batch.map_err(|error| refused(error.into()))
    }
}
