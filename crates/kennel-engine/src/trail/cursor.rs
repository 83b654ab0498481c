//! Table files as inputs of a merge: what their footers tell, and cursors over their rows.

use std::{cmp::Ordering, fs::File, ops::Range, path::PathBuf, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array},
        compute::interleave_record_batch,
        datatypes::{Schema, SchemaRef},
        row::Row,
    },
    parquet::{
        arrow::{
            ProjectionMask,
            arrow_reader::{
                ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
                ParquetRecordBatchReaderBuilder, RowSelection,
            },
        },
        errors::ParquetError,
        file::{
            metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData},
            page_index::column_index::ColumnIndexMetaData,
            statistics::Statistics,
        },
        schema::types::SchemaDescriptor,
    },
};
use kennel_cache::{Stage, StageFile};

use super::{
    TrailFileError, TrailWriteOptions,
    by_caller::OutOfOrder,
    files::{CHUNK_ROWS, OpenFile, leaf_of},
    key::{self, EVENT_TIME, IDENTITY, IS_DUPLICATE, KeyEncoder, Keys},
    options::{BY_CALLER, ROW_ORDER},
};

/// A closed range of `event_time`; `None` stands for null, which is less than any instant.
pub(super) type TimeRange = (Option<i64>, Option<i64>);

/// Whether two ranges have an instant (or null) in common.
pub(super) fn overlap(a: &TimeRange, b: &TimeRange) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

/// Where the bytes of an input are.
#[derive(Debug)]
pub(super) enum Place {
    /// A table file.
    Published(PathBuf),
    /// The result of an earlier pass, gone with this value.
    Staged(StageFile),
}

impl Place {
    fn path(&self) -> PathBuf {
        match self {
            Self::Published(path) => path.clone(),
            Self::Staged(file) => file.path().to_owned(),
        }
    }

    fn open(&self) -> Result<File, TrailFileError> {
        match self {
            Self::Published(path) => File::open(path).map_err(|source| TrailFileError::Open {
                path: path.clone(),
                source,
            }),
            Self::Staged(file) => Ok(file.reopen()?),
        }
    }

    fn refused(&self, source: ParquetError) -> TrailFileError {
        TrailFileError::Read {
            path: self.path(),
            source,
        }
    }
}

/// A file that takes part in a merge, and what its footer tells.
#[derive(Debug)]
pub(super) struct Input {
    place: Place,
    pub(super) schema: SchemaRef,
    pub(super) row_count: u64,
    /// Bytes of all rows once decoded, roughly.
    pub(super) decoded_bytes: u64,
    /// Of each row group, in order.
    row_groups: Vec<TimeRange>,
    /// Whether the rows of a row group are in another order than row groups are.
    is_by_caller: bool,
}

impl Input {
    /// Reads the footer.
    pub(super) fn inspect(place: Place) -> Result<Self, TrailFileError> {
        let file = place.open()?;
        let footer = ArrowReaderMetadata::load(&file, Default::default())
            .map_err(|source| place.refused(source))?;
        key::check(footer.schema())?;
        let time_leaf = leaf_of(footer.parquet_schema(), EVENT_TIME);
        let row_groups = footer.metadata().row_groups();
        Ok(Self {
            schema: Arc::new(Schema::new(footer.schema().fields().clone())),
            row_count: row_groups.iter().map(|g| g.num_rows().max(0) as u64).sum(),
            decoded_bytes: row_groups.iter().map(decoded_bytes).sum(),
            row_groups: row_groups
                .iter()
                .map(|row_group| time_range(row_group, time_leaf))
                .collect(),
            is_by_caller: is_by_caller(footer.metadata()),
            place,
        })
    }

    /// From the smallest to the largest `event_time`; `None` without rows.
    pub(super) fn range(&self) -> Option<TimeRange> {
        let first = self.row_groups.iter().map(|range| range.0).min()?;
        let last = self.row_groups.iter().map(|range| range.1).max()?;
        Some((first, last))
    }

    pub(super) fn row_groups(&self) -> &[TimeRange] {
        &self.row_groups
    }

    /// Whether [`Self::rows`] needs [`Self::sorted`] first.
    pub(super) fn is_by_caller(&self) -> bool {
        self.is_by_caller
    }

    /// The same rows in a file in which they are in order. Holds a row group of them.
    pub(super) fn sorted(
        self,
        schema: &SchemaRef,
        encoder: &KeyEncoder,
        stage: &Stage,
    ) -> Result<Self, TrailFileError> {
        let mut file = OpenFile::create(stage, schema, &TrailWriteOptions::run(), 0)?;
        for index in 0..self.row_groups.len() {
            let reader = self
                .reader()?
                .with_row_groups(vec![index])
                .with_batch_size(CHUNK_ROWS)
                .build()
                .map_err(|source| self.place.refused(source))?;
            let (mut rows, mut keys, mut order) = (vec![], vec![], vec![]);
            for batch in reader {
                let batch = batch.map_err(|error| self.place.refused(error.into()))?;
                let batch = adapt(&batch, schema, &self.place.path())?;
                order.extend((0..batch.num_rows()).map(|row| (rows.len(), row)));
                keys.push(encoder.encode(&batch)?);
                rows.push(batch);
            }
            order.sort_by(|a, b| keys[a.0].compare(a.1, &keys[b.0], b.1));
            let rows = rows.iter().collect::<Vec<_>>();
            for chunk in order.chunks(CHUNK_ROWS) {
                let chunk = interleave_record_batch(&rows, chunk).map_err(TrailFileError::Sort)?;
                file.write(&chunk)?;
            }
        }
        Self::inspect(Place::Staged(file.close()?))
    }

    fn reader(&self) -> Result<ParquetRecordBatchReaderBuilder<File>, TrailFileError> {
        ParquetRecordBatchReaderBuilder::try_new(self.place.open()?)
            .map_err(|source| self.place.refused(source))
    }

    /// Opens a cursor over all columns, brought into the form of `schema`.
    pub(super) fn rows(
        &self,
        schema: &SchemaRef,
        encoder: &Arc<KeyEncoder>,
        batch_rows: usize,
    ) -> Result<Option<Cursor>, TrailFileError> {
        let reader = self
            .reader()?
            .with_batch_size(batch_rows)
            .build()
            .map_err(|source| self.place.refused(source))?;
        let path = self.place.path();
        Cursor::start(
            path.clone(),
            batches(reader, path),
            encoder,
            Some(Arc::clone(schema)),
        )
    }

    /// How many rows are flagged as duplicates.
    pub(super) fn duplicate_count(&self) -> Result<u64, TrailFileError> {
        let reader = self.reader()?;
        let leaf = leaf_of(reader.parquet_schema(), IS_DUPLICATE);
        let mask = ProjectionMask::leaves(reader.parquet_schema(), leaf);
        let reader = reader
            .with_projection(mask)
            .build()
            .map_err(|source| self.place.refused(source))?;
        let mut count = 0;
        for batch in reader {
            let batch = batch.map_err(|error| self.place.refused(error.into()))?;
            let flags = batch.column(0).as_boolean_opt();
            count += flags.map_or(0, |flags| flags.true_count() as u64);
        }
        Ok(count)
    }

    /// Opens a cursor over identities and flags alone, of the pages that overlap one of `ranges`.
    pub(super) fn identities(
        &self,
        ranges: &[TimeRange],
        encoder: &Arc<KeyEncoder>,
        batch_rows: usize,
    ) -> Result<Option<Cursor>, TrailFileError> {
        let row_groups = self
            .row_groups
            .iter()
            .enumerate()
            .filter(|(_, own)| ranges.iter().any(|range| overlap(own, range)))
            .map(|(index, _)| index)
            .collect::<Vec<_>>();
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let file = self.place.open()?;
        let metadata = ArrowReaderMetadata::load(&file, options)
            .map_err(|source| self.place.refused(source))?;
        if self.is_by_caller {
            let identities = OutOfOrder {
                path: self.place.path(),
                file,
                metadata,
                row_groups: row_groups.into_iter(),
                ranges: ranges.to_vec(),
                encoder: Arc::clone(encoder),
            };
            return Cursor::start(self.place.path(), Box::new(identities), encoder, None);
        }
        let (mut rows, mut row_count) = (Vec::new(), 0);
        for index in &row_groups {
            let pages = pages(metadata.metadata(), *index);
            let pages = pages
                .into_iter()
                .filter(|(own, _)| ranges.iter().any(|r| overlap(own, r)));
            rows.extend(pages.map(|(_, rows)| row_count + rows.start..row_count + rows.end));
            row_count += metadata.metadata().row_group(*index).num_rows().max(0) as usize;
        }
        let mask = identity_mask(metadata.parquet_schema());
        let rows = RowSelection::from_consecutive_ranges(rows.into_iter(), row_count);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_row_groups(row_groups)
            .with_row_selection(rows)
            .with_projection(mask)
            .with_batch_size(batch_rows)
            .build()
            .map_err(|source| self.place.refused(source))?;
        Cursor::start(
            self.place.path(),
            batches(reader, self.place.path()),
            encoder,
            None,
        )
    }
}

/// The columns of identities and flags.
pub(super) fn identity_mask(leaves: &SchemaDescriptor) -> ProjectionMask {
    let names = IDENTITY.iter().chain(&[IS_DUPLICATE]);
    ProjectionMask::leaves(leaves, names.filter_map(|name| leaf_of(leaves, name)))
}

/// Rows in order, batch by batch.
type Batches = Box<dyn Iterator<Item = Result<RecordBatch, TrailFileError>>>;

fn batches(reader: ParquetRecordBatchReader, path: PathBuf) -> Batches {
    Box::new(reader.map(move |batch| {
        batch.map_err(|error| TrailFileError::Read {
            path: path.clone(),
            source: error.into(),
        })
    }))
}

fn is_by_caller(footer: &ParquetMetaData) -> bool {
    let entries = footer.file_metadata().key_value_metadata();
    entries
        .into_iter()
        .flatten()
        .any(|entry| entry.key == ROW_ORDER && entry.value.as_deref() == Some(BY_CALLER))
}

/// The pages of a row group: their times, and their rows. One of all rows where no index tells.
fn pages(footer: &ParquetMetaData, row_group: usize) -> Vec<(TimeRange, Range<usize>)> {
    let row_count = footer.row_group(row_group).num_rows().max(0) as usize;
    let leaf = leaf_of(footer.file_metadata().schema_descr(), EVENT_TIME);
    let indexed = leaf.and_then(|leaf| {
        let times = footer.column_index()?.get(row_group)?.get(leaf)?;
        let places = footer
            .offset_index()?
            .get(row_group)?
            .get(leaf)?
            .page_locations();
        let ColumnIndexMetaData::INT64(times) = times else {
            return None;
        };
        let starts = places.iter().map(|page| page.first_row_index as usize);
        let ends = starts.clone().skip(1).chain([row_count]);
        let times = (0..places.len()).map(|page| {
            let has_nulls = times.null_count(page) != Some(0);
            match (times.min_value(page), times.max_value(page)) {
                (Some(_), Some(last)) if has_nulls => (None, Some(*last)),
                (Some(first), Some(last)) => (Some(*first), Some(*last)),
                _ if times.is_null_page(page) => (None, None),
                _ => ANY_TIME,
            }
        });
        let rows = starts.zip(ends).map(|(start, end)| start..end.max(start));
        Some(times.zip(rows).collect())
    });
    indexed.unwrap_or_else(|| vec![(ANY_TIME, 0..row_count)])
}

/// Any instant, or none.
const ANY_TIME: TimeRange = (None, Some(i64::MAX));

/// Without statistics a row group may hold any instant, and nulls.
fn time_range(row_group: &RowGroupMetaData, time_leaf: Option<usize>) -> TimeRange {
    let statistics = time_leaf.and_then(|leaf| row_group.column(leaf).statistics());
    let Some(Statistics::Int64(times)) = statistics else {
        return ANY_TIME;
    };
    match (times.null_count_opt(), times.min_opt(), times.max_opt()) {
        (Some(0), Some(first), Some(last)) => (Some(*first), Some(*last)),
        (_, Some(_), Some(last)) => (None, Some(*last)),
        (Some(nulls), None, None) if nulls == row_group.num_rows() as u64 => (None, None),
        _ => ANY_TIME,
    }
}

fn decoded_bytes(row_group: &RowGroupMetaData) -> u64 {
    row_group
        .columns()
        .iter()
        .map(|column| {
            let values = column
                .unencoded_byte_array_data_bytes()
                .unwrap_or_else(|| column.uncompressed_size());
            // Offsets and validity come on top.
            (values.max(0) + 5 * column.num_values().max(0)) as u64
        })
        .sum()
}

/// Whether a cursor still stands on a row, and whether that row is of another batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    SameBatch,
    NextBatch,
    End,
}

/// Stands on one row of a file. Cursors compare by the key of that row, then by the order in which
/// their files were given; the least is the greatest, as a binary heap wants it.
pub(super) struct Cursor {
    path: PathBuf,
    batches: Batches,
    encoder: Arc<KeyEncoder>,
    /// The form of the rows; `None` when only identities are read.
    schema: Option<SchemaRef>,
    pub(super) batch: RecordBatch,
    keys: Keys,
    pub(super) row: usize,
    /// Position among the inputs.
    pub(super) rank: usize,
    /// Position of the batch among those that a merge holds.
    pub(super) slot: usize,
}

impl Cursor {
    /// Stands on the first row; `None` if there is none.
    fn start(
        path: PathBuf,
        mut batches: Batches,
        encoder: &Arc<KeyEncoder>,
        schema: Option<SchemaRef>,
    ) -> Result<Option<Self>, TrailFileError> {
        let next = next_batch(&path, &mut batches, encoder, schema.as_ref())?;
        let Some((batch, keys)) = next else {
            return Ok(None);
        };
        Ok(Some(Self {
            path,
            batches,
            encoder: Arc::clone(encoder),
            schema,
            batch,
            keys,
            row: 0,
            rank: 0,
            slot: 0,
        }))
    }

    /// Goes to the next row.
    ///
    /// # Errors
    /// [`TrailFileError::Unsorted`] when it does not follow the last one.
    pub(super) fn advance(&mut self) -> Result<Step, TrailFileError> {
        if self.row + 1 < self.batch.num_rows() {
            let order = self.keys.compare(self.row, &self.keys, self.row + 1);
            self.row += 1;
            return self.in_order(order, Step::SameBatch);
        }
        let next = next_batch(
            &self.path,
            &mut self.batches,
            &self.encoder,
            self.schema.as_ref(),
        )?;
        let Some((batch, keys)) = next else {
            return Ok(Step::End);
        };
        let order = self.keys.compare(self.row, &keys, 0);
        self.batch = batch;
        self.keys = keys;
        self.row = 0;
        self.in_order(order, Step::NextBatch)
    }

    fn in_order(&self, order: Ordering, step: Step) -> Result<Step, TrailFileError> {
        match order {
            Ordering::Greater => Err(TrailFileError::Unsorted {
                path: self.path.clone(),
            }),
            _ => Ok(step),
        }
    }

    pub(super) fn identity(&self) -> Row<'_> {
        self.keys.identity(self.row)
    }

    pub(super) fn time(&self) -> Option<i64> {
        self.keys.time(self.row)
    }

    pub(super) fn has_id(&self) -> bool {
        self.keys.has_id(self.row)
    }

    /// The row's flag; a null one counts as not set.
    pub(super) fn is_duplicate(&self) -> bool {
        self.batch
            .column_by_name(IS_DUPLICATE)
            .and_then(|flags| flags.as_boolean_opt())
            .is_some_and(|flags| flags.is_valid(self.row) && flags.value(self.row))
    }
}

impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .keys
            .compare(other.row, &self.keys, self.row)
            .then_with(|| other.rank.cmp(&self.rank))
    }
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cursor {}

fn next_batch(
    path: &std::path::Path,
    batches: &mut Batches,
    encoder: &KeyEncoder,
    schema: Option<&SchemaRef>,
) -> Result<Option<(RecordBatch, Keys)>, TrailFileError> {
    for batch in batches {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        return match schema {
            Some(schema) => {
                let batch = adapt(&batch, schema, path)?;
                let keys = encoder.encode(&batch)?;
                Ok(Some((batch, keys)))
            }
            None => {
                let keys = encoder.encode_identity(&batch)?;
                Ok(Some((batch, keys)))
            }
        };
    }
    Ok(None)
}

/// Brings rows into the form of `schema`: a column that the file does not have is null.
fn adapt(
    batch: &RecordBatch,
    schema: &SchemaRef,
    path: &std::path::Path,
) -> Result<RecordBatch, TrailFileError> {
    if batch.schema_ref().fields() == schema.fields() {
        return batch
            .clone()
            .with_schema(Arc::clone(schema))
            .map_err(TrailFileError::Sort);
    }
    let other_column = |column: &str| TrailFileError::OtherColumn {
        path: path.to_owned(),
        column: column.into(),
    };
    // A column left behind would be lost for good.
    let unknown = |name: &&String| schema.column_with_name(name).is_none();
    let own_schema = batch.schema();
    let mut own_names = own_schema.fields().iter().map(|field| field.name());
    if let Some(name) = own_names.find(unknown) {
        return Err(other_column(name));
    }
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            None if field.is_nullable() => Ok(new_null_array(field.data_type(), batch.num_rows())),
            _ => Err(other_column(field.name())),
        })
        .collect::<Result<Vec<ArrayRef>, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(TrailFileError::Sort)
}
