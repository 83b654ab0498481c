//! From a k9 report as delivered to a table file: typed, sorted, with statistics.
//!
//! Whatever form a report has (Parquet or csv, text or INT96 timestamps, tags as map, JSON or Python, eight columns
//! or nine), its table file has the types of [`crate::k9`], so that no query ever meets the forms.
//! The object itself stays as it was delivered; table files can be made from it again.

mod convert;
mod csv;
mod tags;
mod timestamp;
mod write;

use std::{cell::RefCell, collections::BTreeMap, fs::File, path::Path, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch},
        compute::concat_batches,
        datatypes::{DataType, Field, Schema, SchemaRef},
        error::ArrowError,
    },
    parquet::{arrow::arrow_reader::ParquetRecordBatchReaderBuilder, errors::ParquetError},
};
use kennel_cache::{CacheError, NewReport, ReportKey, ReportType, Stage};

use crate::k9::{ColumnKind, PARTITION_COLUMNS, known_columns, required_columns, tags_type};

pub(crate) use timestamp::parse as parse_instant;
pub(crate) use write::{Bounds, ColumnStatistics};

/// Rows sorted and written as one row group: bounds the memory of an ingest.
const ROWS_PER_GROUP: usize = 256 * 1024;

/// Why a report could not be made a table. The object stays; the version before goes on answering.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The object is not readable Parquet.
    #[error("not a readable Parquet file{}", looks_like.map(|what| format!(": it looks like {what}")).unwrap_or_default())]
    Unreadable {
        /// What its first bytes look like, if that is known.
        looks_like: Option<&'static str>,
        /// The cause.
        #[source]
        source: ParquetError,
    },
    /// The object is something else than csv.
    #[error("not a csv file: it looks like {looks_like}")]
    NotCsv {
        /// What its first bytes look like.
        looks_like: &'static str,
    },
    /// The object is csv that cannot be read.
    #[error("not a readable csv file")]
    Csv(#[source] ::csv::Error),
    /// The object has other columns than its report must have.
    #[error(
        "not a `{report_type}` report: no column {}; it has {}",
        quoted(missing),
        quoted(found)
    )]
    WrongColumns {
        /// The report it should be.
        report_type: ReportType,
        /// What is missing.
        missing: Vec<String>,
        /// What is there.
        found: Vec<String>,
    },
    /// A known column has a type that cannot be taken for its own.
    #[error("column `{column}` has type {found}, expected {expected}")]
    WrongType {
        /// The column.
        column: String,
        /// Its type in the file.
        found: DataType,
        /// What it should hold.
        expected: &'static str,
    },
    /// Two columns have the same name but for letter case.
    #[error("two columns are named `{column}`")]
    Ambiguous {
        /// The name, lower case.
        column: String,
    },
    /// Arrow or Parquet refused the rows on the way.
    #[error("cannot convert the rows")]
    Convert(#[source] ArrowError),
    /// The object or its table file could not be read or written.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The object could not be opened.
    #[error("cannot open `{}`", path.display())]
    Open {
        /// The object's file.
        path: std::path::PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    if text.is_empty() { "none".into() } else { text }
}

/// Makes the table file of a report and publishes it.
///
/// The file's columns: the known ones that the report has, in k9's order and types, then unknown ones
/// in the report's order (names in lower case; numbers, text and nested values as they are). Blank
/// text is null. Columns named like a partition are left out: the key's value stands.
/// Memory is bounded by 256 Ki rows.
///
/// A value that cannot be read is null in the table, and counted in [`NewReport::problem`], which names
/// the first: answers over such a report say so.
///
/// # Errors
/// [`IngestError`] names what is wrong with the object as a whole. Nothing is published then.
pub fn ingest_report(
    object: &Path,
    key: &ReportKey,
    stage: &Stage,
) -> Result<NewReport, IngestError> {
    let file = open(object)?;
    let unreadable = |source| IngestError::Unreadable {
        looks_like: sniff(object),
        source,
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable)?;
    let mut table = Table::try_new(reader.schema(), key, stage)?;
    let reader = reader
        .with_batch_size(8 * 1024)
        .build()
        .map_err(unreadable)?;
    for batch in reader {
        let batch = batch.map_err(|e| match e {
            ArrowError::ParquetError(text) => unreadable(ParquetError::General(text)),
            other => IngestError::Convert(other),
        })?;
        table.add(&batch)?;
    }
    table.finish()
}

/// Makes the table file of a report in csv and publishes it; else as [`ingest_report`].
///
/// # Errors
/// As [`ingest_report`]; a row with more or fewer cells than the header makes the whole file unreadable.
pub fn ingest_csv_report(
    object: &Path,
    key: &ReportKey,
    stage: &Stage,
) -> Result<NewReport, IngestError> {
    let file = open(object)?;
    if let Some(looks_like) = sniff(object) {
        return Err(IngestError::NotCsv { looks_like });
    }
    let mut rows = csv::CsvBatches::open(file)?;
    let mut table = Table::try_new(rows.schema(), key, stage)?;
    while let Some(batch) = rows.next(&table.problems)? {
        table.add(&batch)?;
    }
    table.finish()
}

fn open(object: &Path) -> Result<File, IngestError> {
    File::open(object).map_err(|source| IngestError::Open {
        path: object.to_owned(),
        source,
    })
}

/// A table file in the making.
struct Table {
    key: ReportKey,
    plan: Plan,
    writer: write::TableWriter,
    problems: RefCell<convert::Problems>,
    /// Converted rows that do not yet fill a row group.
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    row_count: usize,
}

impl Table {
    fn try_new(file: &Schema, key: &ReportKey, stage: &Stage) -> Result<Self, IngestError> {
        let plan = Plan::new(file, key.report_type)?;
        Ok(Self {
            key: key.clone(),
            writer: write::TableWriter::try_new(plan.schema(), key.report_type, stage)?,
            plan,
            problems: RefCell::default(),
            waiting: Vec::new(),
            waiting_rows: 0,
            row_count: 0,
        })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), IngestError> {
        let converted = self.plan.convert(batch, self.row_count, &self.problems)?;
        self.waiting.push(converted);
        self.row_count += batch.num_rows();
        self.waiting_rows += batch.num_rows();
        if self.waiting_rows >= ROWS_PER_GROUP {
            self.write_waiting()?;
        }
        Ok(())
    }

    fn write_waiting(&mut self) -> Result<(), IngestError> {
        let rows =
            concat_batches(&self.plan.schema(), &self.waiting).map_err(IngestError::Convert)?;
        self.waiting.clear();
        self.waiting_rows = 0;
        self.writer.write_sorted(&rows)
    }

    fn finish(mut self) -> Result<NewReport, IngestError> {
        if self.waiting_rows > 0 {
            self.write_waiting()?;
        }
        let problem = self.problems.into_inner().into_text();
        self.writer.finish(&self.key, problem)
    }
}

/// What a file that is neither Parquet nor csv most likely is.
fn sniff(path: &Path) -> Option<&'static str> {
    use std::io::Read;
    let mut head = [0; 512];
    let mut file = File::open(path).ok()?;
    let mut count = 0;
    while let Ok(read @ 1..) = file.read(&mut head[count..]) {
        count += read;
    }
    let head = &head[..count];
    let text = String::from_utf8_lossy(head)
        .trim_start()
        .to_ascii_lowercase();
    match () {
        () if head.is_empty() => Some("an empty file"),
        () if text.starts_with("<!doctype html") || text.starts_with("<html") => {
            Some("an HTML page")
        }
        () if text.starts_with("<?xml") || text.starts_with("<error>") => {
            Some("an XML error document")
        }
        () if head.starts_with(&[0x1f, 0x8b]) => Some("gzip"),
        () if head.starts_with(b"PAR1") => Some("a cut-off Parquet file"),
        () if head.starts_with(b"PARE") => Some("encrypted Parquet"),
        () if text.starts_with('{') || text.starts_with('[') => Some("JSON"),
        () => None,
    }
}

/// Which column of the file becomes which of the table.
struct Plan {
    columns: Vec<PlannedColumn>,
    schema: SchemaRef,
}

struct PlannedColumn {
    index: usize,
    name: String,
    kind: Option<ColumnKind>,
}

impl Plan {
    fn new(file: &Schema, report_type: ReportType) -> Result<Self, IngestError> {
        let mut by_name = BTreeMap::new();
        for (index, field) in file.fields().iter().enumerate() {
            let name = field.name().to_lowercase();
            if by_name.insert(name.clone(), index).is_some() {
                return Err(IngestError::Ambiguous { column: name });
            }
        }
        let missing = required_columns(report_type)
            .iter()
            .filter(|name| !by_name.contains_key(**name))
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>();
        if !missing.is_empty() {
            let found = file
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect();
            return Err(IngestError::WrongColumns {
                report_type,
                missing,
                found,
            });
        }
        let mut columns = known_columns(report_type)
            .iter()
            .filter_map(|(name, kind)| {
                let index = by_name.remove(*name)?;
                Some(PlannedColumn {
                    index,
                    name: (*name).into(),
                    kind: Some(*kind),
                })
            })
            .collect::<Vec<_>>();
        for partition in PARTITION_COLUMNS {
            by_name.remove(partition);
        }
        let mut unknown = by_name.into_iter().collect::<Vec<_>>();
        unknown.sort_by_key(|(_, index)| *index);
        columns.extend(unknown.into_iter().map(|(name, index)| PlannedColumn {
            index,
            name,
            kind: None,
        }));
        let fields = columns
            .iter()
            .map(|column| {
                let found = file.field(column.index).data_type();
                let data_type = column
                    .kind
                    .map_or_else(|| convert::kept_type(found), ColumnKind::data_type);
                Field::new(&column.name, data_type, true)
            })
            .collect::<Vec<_>>();
        Ok(Self {
            columns,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn convert(
        &self,
        batch: &RecordBatch,
        first_row: usize,
        problems: &RefCell<convert::Problems>,
    ) -> Result<RecordBatch, IngestError> {
        let columns = self
            .columns
            .iter()
            .map(|column| {
                let array = batch.column(column.index);
                let cells = convert::Cells {
                    column: &column.name,
                    first_row,
                    problems,
                };
                match column.kind {
                    Some(ColumnKind::Text) => convert::text(array, &cells),
                    Some(ColumnKind::Timestamp) => convert::timestamp(array, &cells),
                    Some(ColumnKind::Boolean) => convert::boolean(array, &cells),
                    Some(ColumnKind::Tags) => tags::tags(array, &cells),
                    None => convert::unknown(array, &cells),
                }
            })
            .collect::<Result<Vec<ArrayRef>, _>>()?;
        RecordBatch::try_new(self.schema(), columns).map_err(IngestError::Convert)
    }
}

/// Whether two map types differ in names only: writers call the parts of a map differently.
pub(crate) fn is_text_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                fields.len() == 2 && fields.iter().all(|f| is_text(f.data_type()))
            }
            _ => false,
        },
        _ => *data_type == tags_type(),
    }
}

/// Whether a type holds text, in any of Arrow's ways.
pub(crate) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}
