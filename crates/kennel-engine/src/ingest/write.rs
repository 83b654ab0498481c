//! Table files: sorted rows in Parquet, small pages with statistics, and the minimum and maximum of
//! each column for the manifest.

use std::{collections::BTreeMap, io::Write, sync::Arc};

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch},
        compute::{
            SortColumn, SortOptions, lexsort_to_indices, max, max_boolean, max_string, min,
            min_boolean, min_string, take_record_batch,
        },
        datatypes::{DataType, SchemaRef, TimeUnit, TimestampMicrosecondType},
        error::ArrowError,
    },
    parquet::{
        arrow::ArrowWriter,
        basic::Compression,
        errors::ParquetError,
        file::properties::{EnabledStatistics, WriterProperties, WriterVersion},
    },
};
use kennel_cache::{NewReport, ReportKey, ReportType, Stage, StageFile};

use super::IngestError;
use crate::k9::sort_columns;

/// Rows of a page: the unit that a filter on the sort columns skips.
const ROWS_PER_PAGE: usize = 4 * 1024;
/// Longer texts are no use as a minimum or maximum.
const LONGEST_BOUND: usize = 256;

/// Minimum, maximum and nulls of one column of a table file, over all its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ColumnStatistics {
    /// Number of nulls.
    #[serde(rename = "n")]
    pub(crate) null_count: u64,
    /// Smallest and largest value; `None` without values or for types that have no order here.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub(crate) bounds: Option<Bounds>,
}

/// The smallest and largest value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum Bounds {
    /// Of text.
    Text(String, String),
    /// Of instants, in microseconds.
    Micros(i64, i64),
    /// Of flags: with equal ones, nobody needs to read the column.
    Flags(bool, bool),
}

impl ColumnStatistics {
    /// Takes in an array's values.
    pub(crate) fn add(&mut self, array: &ArrayRef) {
        self.null_count += array.null_count() as u64;
        let found = match array.data_type() {
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                min_string(texts)
                    .zip(max_string(texts))
                    .map(|(a, b)| Bounds::Text(a.into(), b.into()))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let instants = array.as_primitive::<TimestampMicrosecondType>();
                min(instants)
                    .zip(max(instants))
                    .map(|(a, b)| Bounds::Micros(a, b))
            }
            DataType::Boolean => {
                let flags = array.as_boolean();
                min_boolean(flags)
                    .zip(max_boolean(flags))
                    .map(|(a, b)| Bounds::Flags(a, b))
            }
            _ => None,
        };
        if let Some(found) = found {
            self.widen(found);
        }
    }

    /// Takes in the bounds of further values of the same type.
    pub(crate) fn widen(&mut self, found: Bounds) {
        self.bounds = match (self.bounds.take(), found) {
            (Some(Bounds::Text(a, b)), Bounds::Text(c, d)) => {
                Some(Bounds::Text(a.min(c), b.max(d)))
            }
            (Some(Bounds::Micros(a, b)), Bounds::Micros(c, d)) => {
                Some(Bounds::Micros(a.min(c), b.max(d)))
            }
            (Some(Bounds::Flags(a, b)), Bounds::Flags(c, d)) => Some(Bounds::Flags(a & c, b | d)),
            (_, found) => Some(found),
        };
    }

    /// Without bounds that are too long to help.
    pub(crate) fn without_long_bounds(mut self) -> Self {
        if matches!(&self.bounds, Some(Bounds::Text(a, b)) if a.len().max(b.len()) > LONGEST_BOUND)
        {
            self.bounds = None;
        }
        self
    }
}

/// Writes one table file.
pub(super) struct TableWriter {
    writer: ArrowWriter<StageFile>,
    schema: SchemaRef,
    sort_columns: Vec<usize>,
    row_count: u64,
    statistics: Vec<ColumnStatistics>,
}

impl TableWriter {
    pub(super) fn try_new(
        schema: SchemaRef,
        report_type: ReportType,
        stage: &Stage,
    ) -> Result<Self, IngestError> {
        let properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            // Dictionaries have done most of the work, and a reader makes no zstd context for each column.
            .set_compression(Compression::SNAPPY)
            .set_data_page_row_count_limit(ROWS_PER_PAGE)
            .set_write_batch_size(ROWS_PER_PAGE / 4)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_created_by("kennel".into())
            .build();
        let writer = ArrowWriter::try_new(stage.create()?, Arc::clone(&schema), Some(properties))
            .map_err(refused)?;
        let sort_columns = sort_columns(report_type)
            .iter()
            .filter_map(|name| schema.index_of(name).ok())
            .collect();
        let statistics = vec![ColumnStatistics::default(); schema.fields().len()];
        Ok(Self {
            writer,
            schema,
            sort_columns,
            row_count: 0,
            statistics,
        })
    }

    /// Writes these rows as one row group, in the report's order.
    pub(super) fn write_sorted(&mut self, rows: &RecordBatch) -> Result<(), IngestError> {
        for (statistics, column) in self.statistics.iter_mut().zip(rows.columns()) {
            statistics.add(column);
        }
        self.row_count += rows.num_rows() as u64;
        let sorted = if self.sort_columns.is_empty() {
            rows.clone()
        } else {
            self.sort(rows).map_err(IngestError::Convert)?
        };
        self.writer
            .write(&sorted)
            .and_then(|()| self.writer.flush())
            .map_err(refused)
    }

    fn sort(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = self
            .sort_columns
            .iter()
            .map(|index| SortColumn {
                values: Arc::clone(rows.column(*index)),
                options: Some(SortOptions {
                    descending: false,
                    nulls_first: true,
                }),
            })
            .collect::<Vec<_>>();
        take_record_batch(rows, &lexsort_to_indices(&columns, None)?)
    }

    /// Closes the file and publishes it.
    pub(super) fn finish(
        self,
        key: &ReportKey,
        problem: Option<String>,
    ) -> Result<NewReport, IngestError> {
        let Self {
            writer,
            schema,
            row_count,
            statistics,
            ..
        } = self;
        let mut file = writer.into_inner().map_err(refused)?;
        file.flush()
            .map_err(|e| refused(ParquetError::External(Box::new(e))))?;
        let statistics = schema
            .fields()
            .iter()
            .zip(statistics)
            .map(|(field, statistics)| (field.name().clone(), statistics.without_long_bounds()))
            .collect::<BTreeMap<_, _>>();
        let analysis_time = match statistics
            .get("analysis_time")
            .and_then(|s| s.bounds.as_ref())
        {
            Some(Bounds::Micros(oldest, newest)) => instant(*oldest).zip(instant(*newest)),
            _ => None,
        };
        let table_size_bytes = file.size_bytes();
        Ok(NewReport {
            key: key.clone(),
            analysis_time,
            row_count,
            table_path: file.publish_table("k9", "parquet")?,
            table_size_bytes,
            columns: crate::catalog::columns_text(&schema),
            statistics: serde_json::to_string(&statistics)
                .expect("texts and numbers always serialise"),
            problem,
        })
    }
}

fn instant(micros: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
}

/// What the Parquet writer refuses: a full disk comes through it as an I/O error.
fn refused(error: ParquetError) -> IngestError {
    IngestError::Convert(error.into())
}
