//! Table files of a trail: rows sorted in memory and written, and the writer that ends a file when it is
//! large enough. Which files exist is the manifest's to know.

use std::{collections::BTreeMap, io::Write, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, AsArray, RecordBatch},
        compute::interleave_record_batch,
        datatypes::{DataType, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType},
    },
    parquet::{
        arrow::{ArrowSchemaConverter, ArrowWriter, add_encoded_arrow_schema_to_metadata},
        errors::ParquetError,
        file::{metadata::RowGroupMetaData, statistics::Statistics, writer::SerializedFileWriter},
        schema::types::SchemaDescriptor,
    },
};
use kennel_cache::{Stage, StageFile};

use super::{
    TrailFileError, TrailTableFile, TrailWriteOptions,
    encode::{EventColumns, SpareColumns},
    held::{HeldRecords, Scratch},
    key::{self, EVENT_TIME},
    schema::event_schema,
};
use crate::ingest::{Bounds, ColumnStatistics};

/// Folder of the table files, below the cache's folder of tables.
const FOLDER: &str = "cloudtrail";
/// Rows handed to the writer at once. Fixed, so that equal rows make equal bytes.
pub(super) const CHUNK_ROWS: usize = 4 * 1024;
/// Bytes of records after which a page ends, whatever its rows: its size is counted in 31 bits.
const PAGE_TEXT_BYTES: usize = 64 << 20;
/// Rows of a page are counted in 16 bits.
const MOST_PAGE_ROWS: usize = 32 * 1024;

/// A published table file that no manifest names yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTrailFile {
    /// Where it lies, below the cache's folder of tables.
    pub table_path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Number of rows, at least one.
    pub row_count: u64,
    /// Smallest and largest `event_time`, µs since 1970; `None` when all are null.
    pub event_time_micros: Option<(i64, i64)>,
    /// First and last day of delivery (`yyyy/MM/dd`), from the column `timestamp` if there is one.
    pub delivery_day: Option<(String, String)>,
    /// Its columns, in the form of the reports' table files.
    pub columns: String,
    /// Nulls and bounds of its columns that are not nested, in the form of the reports' table files.
    pub statistics: String,
}

impl NewTrailFile {
    /// The file as a manifest names it.
    pub fn named(&self, id: i64) -> TrailTableFile {
        TrailTableFile {
            id,
            table_path: self.table_path.clone(),
            size_bytes: self.size_bytes,
            row_count: self.row_count,
            event_time_micros: self.event_time_micros,
            may_lack_times: TrailTableFile::may_lack_times(&self.statistics),
        }
    }
}

/// Sorts records and writes them to table files of about [`TrailWriteOptions::max_file_bytes`] each.
///
/// Row groups are in the order of `event_time`, `record_id`, `account_id`, `object_key` and `record_index`, nulls first,
/// and so are the rows of each, unless [`TrailWriteOptions::is_by_caller`] brings those of a caller together. Of rows
/// that are the same event all but the first in that order are flagged. What is a duplicate of a row in another file is
/// for [`compact`](super::compact) to find. Beside the records themselves, memory holds one row group as encoded. The
/// same records make the same bytes, in whatever order they came.
///
/// # Errors
/// [`TrailFileError`]; nothing is named by a manifest then.
pub(super) fn write_held(
    held: &HeldRecords,
    stage: &Stage,
    options: &TrailWriteOptions,
    columns: &mut SpareColumns,
) -> Result<Vec<NewTrailFile>, TrailFileError> {
    let mut order = held.in_order();
    let ranks = match options.is_by_caller {
        true => held.caller_ranks(),
        false => Vec::new(),
    };
    let mut files = Vec::new();
    let mut rest = order.as_mut_slice();
    while !rest.is_empty() {
        let (file, written) = write_file(held, rest, &ranks, stage, options, columns)?;
        files.push(file);
        rest = &mut rest[written..];
    }
    Ok(files)
}

/// Writes rows to a file until it is large enough; how many.
fn write_file(
    held: &HeldRecords,
    rows: &mut [(u32, bool)],
    ranks: &[u32],
    stage: &Stage,
    options: &TrailWriteOptions,
    columns: &mut SpareColumns,
) -> Result<(NewTrailFile, usize), TrailFileError> {
    let mut file = EventFile::create(stage.create()?, options, rows.len() as u64, columns)
        .map_err(TrailFileError::Write)?;
    let mut scratch = Scratch::new();
    let most_bytes = options.max_file_bytes.max(1);
    let (mut written, mut last) = (0, None);
    while let Some((next, _)) = rows.get(written) {
        // Files that share no instant can be skipped one by one; but if all rows are of one instant, the size decides.
        let is_large = file.size_bytes >= most_bytes;
        let is_huge = file.size_bytes >= most_bytes.saturating_mul(2);
        if is_huge || is_large && last != Some(held.time(*next)) {
            break;
        }
        let count = row_group(held, &rows[written..], options);
        let group = &mut rows[written..written + count];
        last = group.last().map(|(row, _)| held.time(*row));
        // Within a page, nobody gains by it.
        if options.is_by_caller && count > options.page_rows {
            held.by_caller(group, ranks);
        }
        file.write(held, group, &mut scratch)
            .map_err(TrailFileError::Write)?;
        written += count;
    }
    let row_count = file.row_count;
    let (file, statistics) = file.finish().map_err(TrailFileError::Write)?;
    Ok((
        publish(file, row_count, &event_schema(), &statistics)?,
        written,
    ))
}

/// How many of the rows to come make the next row group: it ends between two instants, if it has two.
fn row_group(held: &HeldRecords, rows: &[(u32, bool)], options: &TrailWriteOptions) -> usize {
    // As JSON, they are larger than as columns.
    let most_bytes = options.max_file_bytes.min(options.row_group_bytes as u64);
    let most_bytes = most_bytes.max(1);
    let mut bytes = 0;
    let is_within = |(row, _): &&(u32, bool)| {
        let is_within = bytes < most_bytes;
        bytes += held.record_bytes(*row) as u64;
        is_within
    };
    let most_rows = options.row_group_rows.clamp(1, rows.len());
    let count = rows[..most_rows].iter().take_while(is_within).count();
    let Some((next, _)) = rows.get(count) else {
        return count;
    };
    let next = held.time(*next);
    let same = rows[..count].iter().rev();
    let same = same.take_while(|(row, _)| held.time(*row) == next).count();
    match count - same {
        0 => count,
        rest => rest,
    }
}

/// One file of records being written.
pub(super) struct EventFile<'c, W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: &'c mut EventColumns,
    page_rows: usize,
    row_count: u64,
    /// As of the last row group.
    size_bytes: u64,
}

impl<'c, W: Write + Send> EventFile<'c, W> {
    /// Begins a file of about so many rows.
    pub(super) fn create(
        sink: W,
        options: &TrailWriteOptions,
        row_count: u64,
        columns: &'c mut SpareColumns,
    ) -> Result<Self, ParquetError> {
        let schema = event_schema();
        let mut properties = options.properties(&schema, row_count)?;
        add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
        let leaves = ArrowSchemaConverter::new().convert(&schema)?;
        let root = leaves.root_schema_ptr();
        Ok(Self {
            columns: columns.begin(&leaves, options, row_count)?,
            writer: SerializedFileWriter::new(sink, root, Arc::new(properties))?,
            page_rows: options.page_rows.clamp(1, MOST_PAGE_ROWS),
            row_count: 0,
            size_bytes: 0,
        })
    }

    /// Writes rows, each with whether it is a duplicate, as one row group.
    pub(super) fn write(
        &mut self,
        held: &HeldRecords,
        rows: &[(u32, bool)],
        scratch: &mut Scratch,
    ) -> Result<(), ParquetError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut rest = rows;
        while !rest.is_empty() {
            let room = self.page_rows - self.columns.page_rows();
            let some = &rest[..rest.len().min(room)];
            let count = held.append_to(self.columns, some, PAGE_TEXT_BYTES, scratch);
            rest = &rest[count..];
            let is_page = self.columns.page_rows() >= self.page_rows
                || self.columns.page_text_bytes() >= PAGE_TEXT_BYTES;
            if is_page || rest.is_empty() {
                self.columns.end_page()?;
            }
        }
        let mut row_group = self.writer.next_row_group()?;
        self.columns
            .end_row_group(|bytes, close| row_group.append_column(bytes, close))?;
        row_group.close()?;
        self.row_count += rows.len() as u64;
        self.size_bytes = self.writer.bytes_written() as u64;
        Ok(())
    }

    /// Ends the file; says what its footer tells of its columns.
    pub(super) fn finish(self) -> Result<(W, BTreeMap<String, ColumnStatistics>), ParquetError> {
        let statistics = statistics(&event_schema(), self.writer.flushed_row_groups());
        Ok((self.writer.into_inner()?, statistics))
    }
}

/// Writes rows that come in order, and begins another file when one is large enough.
pub(super) struct TrailWriter<'a> {
    stage: &'a Stage,
    schema: SchemaRef,
    options: &'a TrailWriteOptions,
    /// Rows still to come, those of the current file included.
    rows_left: u64,
    current: Option<OpenFile>,
    files: Vec<NewTrailFile>,
}

impl<'a> TrailWriter<'a> {
    /// `row_count` is that of all rows to come, so that files become even.
    pub(super) fn new(
        stage: &'a Stage,
        schema: SchemaRef,
        options: &'a TrailWriteOptions,
        row_count: u64,
    ) -> Self {
        Self {
            stage,
            schema,
            options,
            rows_left: row_count,
            current: None,
            files: vec![],
        }
    }

    /// Writes the next rows, at most [`CHUNK_ROWS`].
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), TrailFileError> {
        let mut rest = rows.clone();
        let max_file_bytes = self.options.max_file_bytes.max(1);
        if let Some(current) = &mut self.current
            && current.size_bytes() >= current.even_share(self.rows_left, max_file_bytes)
        {
            // Files that share no instant can be skipped one by one; but if all rows are of one
            // instant, the size decides.
            let cut = if current.size_bytes() >= max_file_bytes.saturating_mul(2) {
                0
            } else {
                current.rows_of_the_same_time(&rest)
            };
            current.write(&rest.slice(0, cut))?;
            rest = rest.slice(cut, rest.num_rows() - cut);
            if rest.num_rows() > 0 {
                self.end_file()?;
            }
        }
        if rest.num_rows() == 0 {
            return Ok(());
        }
        if self.current.is_none() {
            self.current = Some(OpenFile::create(
                self.stage,
                &self.schema,
                self.options,
                self.rows_left,
            )?);
        }
        match &mut self.current {
            Some(current) => current.write(&rest),
            None => Ok(()),
        }
    }

    fn end_file(&mut self) -> Result<(), TrailFileError> {
        if let Some(current) = self.current.take() {
            self.rows_left = self.rows_left.saturating_sub(current.row_count);
            self.files.push(current.publish(&self.schema)?);
        }
        Ok(())
    }

    /// Publishes the last file; the files are in the order of their rows.
    pub(super) fn finish(mut self) -> Result<Vec<NewTrailFile>, TrailFileError> {
        self.end_file()?;
        Ok(self.files)
    }
}

/// One file being written.
pub(super) struct OpenFile {
    writer: ArrowWriter<StageFile>,
    group: Group,
    row_count: u64,
    last_time: Option<i64>,
}

/// Rows of a row group to come, held until all are there and those of a caller can be brought together.
struct Group {
    rows: Vec<RecordBatch>,
    row_count: usize,
    bytes: usize,
    /// `None`: rows are not held but written as they come.
    limits: Option<GroupLimits>,
}

#[derive(Clone, Copy)]
struct GroupLimits {
    page_rows: usize,
    rows: usize,
    bytes: u64,
}

impl OpenFile {
    pub(super) fn create(
        stage: &Stage,
        schema: &SchemaRef,
        options: &TrailWriteOptions,
        expected_row_count: u64,
    ) -> Result<Self, TrailFileError> {
        let properties = options
            .properties(schema, expected_row_count)
            .map_err(TrailFileError::Write)?;
        let writer = ArrowWriter::try_new(stage.create()?, Arc::clone(schema), Some(properties))
            .map_err(TrailFileError::Write)?;
        let limits = GroupLimits {
            page_rows: options.page_rows,
            rows: options.row_group_rows,
            bytes: options.max_file_bytes.min(options.row_group_bytes as u64),
        };
        Ok(Self {
            writer,
            group: Group {
                rows: vec![],
                row_count: 0,
                bytes: 0,
                limits: options.is_by_caller.then_some(limits),
            },
            row_count: 0,
            last_time: None,
        })
    }

    /// Without the rows that are held.
    fn size_bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), TrailFileError> {
        let Some(last) = rows.num_rows().checked_sub(1) else {
            return Ok(());
        };
        self.last_time = time_of(rows, last);
        self.row_count += rows.num_rows() as u64;
        let Some(limits) = self.group.limits else {
            return self.writer.write(rows).map_err(TrailFileError::Write);
        };
        let mut rest = rows.clone();
        while rest.num_rows() > 0 {
            let room = limits.rows.saturating_sub(self.group.row_count).max(1);
            let count = room.min(rest.num_rows());
            self.group.add(rest.slice(0, count))?;
            rest = rest.slice(count, rest.num_rows() - count);
            if self.group.row_count >= limits.rows || self.group.bytes as u64 >= limits.bytes {
                self.end_row_group()?;
            }
        }
        Ok(())
    }

    fn end_row_group(&mut self) -> Result<(), TrailFileError> {
        let page_rows = self.group.limits.map_or(0, |limits| limits.page_rows);
        let rows = std::mem::take(&mut self.group.rows);
        // Within a page, nobody gains by it.
        if std::mem::take(&mut self.group.row_count) > page_rows {
            let order = key::by_caller(&rows)?;
            let rows = rows.iter().collect::<Vec<_>>();
            for chunk in order.chunks(CHUNK_ROWS) {
                let chunk = interleave_record_batch(&rows, chunk).map_err(TrailFileError::Sort)?;
                self.writer.write(&chunk).map_err(TrailFileError::Write)?;
            }
        } else {
            for rows in rows {
                self.writer.write(&rows).map_err(TrailFileError::Write)?;
            }
        }
        self.group.bytes = 0;
        self.writer.flush().map_err(TrailFileError::Write)
    }

    /// The size at which this file ends so that no small one is left over after `rows_left` rows (its own
    /// included), if those to come are like those written.
    fn even_share(&self, rows_left: u64, max_file_bytes: u64) -> u64 {
        let written = self.row_count - self.group.row_count as u64;
        let row_bytes = self.size_bytes() as f64 / written.max(1) as f64;
        let bytes_left = row_bytes * rows_left.max(self.row_count) as f64;
        let file_count = (bytes_left / max_file_bytes as f64).ceil().max(1.0);
        (bytes_left / file_count) as u64
    }

    /// How many of these rows go on at the instant of the last row written.
    fn rows_of_the_same_time(&self, rows: &RecordBatch) -> usize {
        (0..rows.num_rows())
            .position(|row| time_of(rows, row) != self.last_time)
            .unwrap_or(rows.num_rows())
    }

    /// Ends the file without publishing it.
    pub(super) fn close(mut self) -> Result<StageFile, TrailFileError> {
        self.end_row_group()?;
        let mut file = self.writer.into_inner().map_err(TrailFileError::Write)?;
        file.flush()
            .map_err(|error| TrailFileError::Write(ParquetError::External(Box::new(error))))?;
        Ok(file)
    }

    fn publish(mut self, schema: &Schema) -> Result<NewTrailFile, TrailFileError> {
        self.end_row_group()?;
        let statistics = statistics(schema, self.writer.flushed_row_groups());
        let row_count = self.row_count;
        publish(self.close()?, row_count, schema, &statistics)
    }
}

impl Group {
    fn add(&mut self, rows: RecordBatch) -> Result<(), TrailFileError> {
        for column in rows.columns() {
            let bytes = column.to_data().get_slice_memory_size();
            self.bytes += bytes.map_err(TrailFileError::Sort)?;
        }
        self.row_count += rows.num_rows();
        self.rows.push(rows);
        Ok(())
    }
}

fn publish(
    file: StageFile,
    row_count: u64,
    schema: &Schema,
    statistics: &BTreeMap<String, ColumnStatistics>,
) -> Result<NewTrailFile, TrailFileError> {
    let bounds = |name: &str| statistics.get(name).and_then(|s| s.bounds.as_ref());
    Ok(NewTrailFile {
        event_time_micros: match bounds(EVENT_TIME) {
            Some(Bounds::Micros(first, last)) => Some((*first, *last)),
            _ => None,
        },
        delivery_day: match bounds("timestamp") {
            Some(Bounds::Text(first, last)) => Some((first.clone(), last.clone())),
            _ => None,
        },
        size_bytes: file.size_bytes(),
        row_count,
        table_path: file.publish_table(FOLDER, "parquet")?,
        columns: crate::catalog::columns_text(schema),
        statistics: serde_json::to_string(statistics).expect("texts and numbers always serialise"),
    })
}

fn time_of(rows: &RecordBatch, row: usize) -> Option<i64> {
    let times = rows
        .column_by_name(EVENT_TIME)?
        .as_primitive_opt::<TimestampMicrosecondType>()?;
    times.is_valid(row).then(|| times.value(row))
}

/// Nulls and bounds of the columns that are not nested, from what the writer counted anyway.
///
/// Bounds are exact or absent: they answer `min` and `max` without opening the file.
fn statistics(
    schema: &Schema,
    row_groups: &[RowGroupMetaData],
) -> BTreeMap<String, ColumnStatistics> {
    let Some(leaves) = row_groups.first().map(RowGroupMetaData::schema_descr) else {
        return BTreeMap::new();
    };
    schema
        .fields()
        .iter()
        .filter_map(|field| {
            let leaf = leaf_of(leaves, field.name())?;
            let mut found = ColumnStatistics::default();
            let mut is_bounded = true;
            for row_group in row_groups {
                let statistics = row_group.column(leaf).statistics()?;
                let null_count = statistics.null_count_opt()?;
                found.null_count += null_count;
                if null_count < row_group.num_rows() as u64 {
                    match exact_bounds(field.data_type(), statistics) {
                        Some(bounds) => found.widen(bounds),
                        None => is_bounded = false,
                    }
                }
            }
            if !is_bounded {
                found.bounds = None;
            }
            Some((field.name().clone(), found))
        })
        .collect()
}

pub(super) fn leaf_of(leaves: &SchemaDescriptor, column: &str) -> Option<usize> {
    leaves
        .columns()
        .iter()
        .position(|leaf| matches!(leaf.path().parts(), [only] if only == column))
}

fn exact_bounds(data_type: &DataType, statistics: &Statistics) -> Option<Bounds> {
    match (data_type, statistics) {
        (DataType::Timestamp(TimeUnit::Microsecond, _), Statistics::Int64(values)) => {
            Some(Bounds::Micros(*values.min_opt()?, *values.max_opt()?))
        }
        (DataType::Boolean, Statistics::Boolean(values)) => {
            Some(Bounds::Flags(*values.min_opt()?, *values.max_opt()?))
        }
        (DataType::Utf8, Statistics::ByteArray(values))
            if values.min_is_exact() && values.max_is_exact() =>
        {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
            Some(Bounds::Text(
                text(values.min_bytes_opt()?)?,
                text(values.max_bytes_opt()?)?,
            ))
        }
        _ => None,
    }
}
