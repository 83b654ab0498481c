//! `kennel.*`: kennel about itself, read from the manifest when scanned.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::{
        array::{
            ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
        },
        datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    },
    catalog::TableProvider,
    datasource::MemTable,
    error::Result as DataFusionResult,
};
use kennel_cache::{CoveragePlace, ReportType, View};

use super::{Shared, external, objects};

/// The tables of this schema.
pub(super) const NAMES: [&str; 7] = [
    "capabilities",
    "coverage",
    "failures",
    "functions",
    "objects",
    "queries",
    "snapshots",
];

/// k9's published map, from its capabilities to the calls that CloudTrail records.
static CAPABILITY_CALLS: &str = include_str!("../../data/capability-calls.tsv");

/// The table of this name.
pub(super) fn open(
    shared: &Arc<Shared>,
    name: &str,
) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
    let batch = match name {
        "capabilities" => capabilities()?,
        "coverage" => coverage(shared)?,
        "failures" => failures(shared)?,
        "functions" => functions()?,
        "objects" => return objects::open(shared).map(Some),
        "queries" => queries(shared)?,
        "snapshots" => snapshots(shared)?,
        _ => return Ok(None),
    };
    Ok(Some(Arc::new(MemTable::try_new(
        batch.schema(),
        vec![vec![batch]],
    )?)))
}

/// Columns gathered one by one into a batch.
#[derive(Default)]
struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    fn add(&mut self, name: &str, data_type: DataType, array: ArrayRef) {
        self.fields.push(Field::new(name, data_type, true));
        self.arrays.push(array);
    }

    fn text<T: Into<String>>(&mut self, name: &str, values: impl Iterator<Item = Option<T>>) {
        let array = values
            .map(|value| value.map(Into::into))
            .collect::<StringArray>();
        self.add(name, DataType::Utf8, Arc::new(array));
    }

    fn count(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        let array = values
            .map(|value| i64::try_from(value).ok())
            .collect::<Int64Array>();
        self.add(name, DataType::Int64, Arc::new(array));
    }

    fn flag(&mut self, name: &str, values: impl Iterator<Item = bool>) {
        let array = values.map(Some).collect::<BooleanArray>();
        self.add(name, DataType::Boolean, Arc::new(array));
    }

    fn instant(&mut self, name: &str, values: impl Iterator<Item = Option<DateTime<Utc>>>) {
        let array = values
            .map(|at| at.map(|at| at.timestamp_micros()))
            .collect::<TimestampMicrosecondArray>();
        let data_type = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        self.add(name, data_type, Arc::new(array.with_timezone("UTC")));
    }

    fn finish(self) -> DataFusionResult<RecordBatch> {
        let schema: SchemaRef = Arc::new(Schema::new(self.fields));
        Ok(RecordBatch::try_new(schema, self.arrays)?)
    }
}

/// One row per k9 service, access capability, IAM action and call that needs the action.
fn capabilities() -> DataFusionResult<RecordBatch> {
    let names = [
        "service_name",
        "access_capability",
        "action",
        "service",
        "event_name",
    ];
    let lines = || {
        CAPABILITY_CALLS
            .lines()
            .filter(|line| !line.starts_with('#'))
    };
    let mut columns = Columns::default();
    for (nth, name) in names.into_iter().enumerate() {
        columns.text(name, lines().map(|line| line.split('\t').nth(nth)));
    }
    columns.finish()
}

/// Trino's functions and what became of each: `name`, `family`, `state`, `note` (text, never null).
fn functions() -> DataFusionResult<RecordBatch> {
    let rows = kennel_athena::functions();
    let mut columns = Columns::default();
    columns.text("name", rows.iter().map(|row| Some(row.name)));
    columns.text("family", rows.iter().map(|row| Some(row.family)));
    columns.text("state", rows.iter().map(|row| Some(row.state.as_str())));
    columns.text("note", rows.iter().map(|row| Some(row.note)));
    columns.finish()
}

fn snapshots(shared: &Shared) -> DataFusionResult<RecordBatch> {
    let rows = shared
        .cache()
        .map(|cache| cache.snapshots())
        .transpose()
        .map_err(external)?
        .unwrap_or_default();
    let mut columns = Columns::default();
    columns.text(
        "snapshot_id",
        rows.iter().map(|row| Some(row.id.to_string())),
    );
    columns.text("source", rows.iter().map(|row| Some(row.source.as_str())));
    columns.instant("taken_at", rows.iter().map(|row| Some(row.taken_at)));
    columns.count("added_count", rows.iter().map(|row| row.added_count));
    columns.count("changed_count", rows.iter().map(|row| row.changed_count));
    columns.count("missing_count", rows.iter().map(|row| row.missing_count));
    columns.count("object_count", rows.iter().map(|row| row.object_count));
    columns.count("size_bytes", rows.iter().map(|row| row.size_bytes));
    columns.flag("complete", rows.iter().map(|row| row.complete));
    columns.finish()
}

/// One row per account and report type of the session's view, and one per account, region, day and event
/// category of CloudTrail.
fn coverage(shared: &Shared) -> DataFusionResult<RecordBatch> {
    let mut reports = Vec::new();
    let mut trail = Vec::new();
    if let Some(cache) = shared.cache() {
        for report_type in ReportType::ALL {
            reports.extend(cache.reports(report_type, shared.view).map_err(external)?);
        }
        let admits = |place: &CoveragePlace| {
            shared.accounts.is_empty() || shared.accounts.contains(&place.account_id)
        };
        trail = cache.trail_coverage_of(admits).map_err(external)?;
    }
    reports.retain(|row| shared.admits(&row.customer_id, &row.account_id));
    let (reports, trail) = (&reports, &trail);
    let no_text = || trail.iter().map(|_| None::<&str>);
    let no_instant = || trail.iter().map(|_| None);
    let no_report_text = || reports.iter().map(|_| None::<&str>);
    let mut columns = Columns::default();
    let sources = reports.iter().map(|row| Some(row.source.as_str()));
    let trails = trail.iter().map(|row| Some(row.place.source.as_str()));
    columns.text("source", sources.chain(trails));
    let types = reports.iter().map(|row| Some(row.report_type.table()));
    columns.text("report_type", types.chain(no_text()));
    let customers = reports.iter().map(|row| Some(row.customer_id.as_str()));
    columns.text("customer_id", customers.chain(no_text()));
    let clouds = reports.iter().map(|row| Some(row.csp.as_str()));
    columns.text("csp", clouds.chain(trail.iter().map(|_| Some("aws"))));
    let accounts = reports.iter().map(|row| Some(row.account_id.as_str()));
    let places = trail.iter().map(|row| Some(row.place.account_id.as_str()));
    columns.text("account_id", accounts.chain(places));
    let analysed = reports
        .iter()
        .map(|row| row.analysis_time.map(|(_, newest)| newest));
    columns.instant("analysis_time", analysed.chain(no_instant()));
    let rows = reports.iter().map(|row| row.row_count);
    columns.count(
        "row_count",
        rows.chain(trail.iter().map(|row| row.event_count)),
    );
    let since = reports.iter().map(|row| Some(row.valid_from));
    columns.instant("snapshot_at", since.chain(no_instant()));
    let missing = reports.iter().map(|row| row.missing_since);
    columns.instant("missing_since", missing.chain(no_instant()));
    let problems = reports.iter().map(|row| row.problem.as_deref());
    columns.text("problem", problems.chain(no_text()));
    let regions = trail.iter().map(|row| Some(row.place.region.as_str()));
    columns.text("region", no_report_text().chain(regions));
    let days = trail.iter().map(|row| Some(row.day.as_str()));
    columns.text("day", no_report_text().chain(days));
    let categories = trail.iter().map(|row| Some(row.category.as_str()));
    columns.text("event_category", no_report_text().chain(categories));
    let one_each = reports.iter().map(|_| 1);
    let objects = trail.iter().map(|row| row.object_count);
    columns.count("object_count", one_each.chain(objects));
    columns.finish()
}

/// What the last sync could not do, and what reports hold that could not be read.
fn failures(shared: &Shared) -> DataFusionResult<RecordBatch> {
    struct Row(
        String,
        String,
        &'static str,
        String,
        Option<DateTime<Utc>>,
        Option<DateTime<Utc>>,
    );
    let mut rows = Vec::new();
    if let Some(cache) = shared.cache() {
        rows.extend(cache.failures().map_err(external)?.into_iter().map(|f| {
            Row(
                f.source.to_string(),
                f.key,
                f.stage.as_str(),
                f.message,
                Some(f.first_at),
                Some(f.failed_at),
            )
        }));
        for report_type in ReportType::ALL {
            let reports = cache.reports(report_type, View::Latest).map_err(external)?;
            rows.extend(reports.into_iter().filter_map(|r| {
                Some(Row(
                    r.source.to_string(),
                    r.key,
                    "read",
                    r.problem?,
                    Some(r.valid_from),
                    Some(r.valid_from),
                ))
            }));
        }
    }
    let mut columns = Columns::default();
    columns.text("source", rows.iter().map(|row| Some(row.0.as_str())));
    columns.text("key", rows.iter().map(|row| Some(row.1.as_str())));
    columns.text("stage", rows.iter().map(|row| Some(row.2)));
    columns.text("message", rows.iter().map(|row| Some(row.3.as_str())));
    columns.instant("first_at", rows.iter().map(|row| row.4));
    columns.instant("failed_at", rows.iter().map(|row| row.5));
    columns.finish()
}

fn queries(shared: &Shared) -> DataFusionResult<RecordBatch> {
    let rows = shared.library.iter().collect::<Vec<_>>();
    let mut columns = Columns::default();
    columns.text("id", rows.iter().map(|row| Some(row.id.as_str())));
    columns.text("title", rows.iter().map(|row| Some(row.title.as_str())));
    columns.text(
        "severity",
        rows.iter().map(|row| row.severity.map(|s| s.as_str())),
    );
    columns.text("tags", rows.iter().map(|row| Some(row.tags.join(","))));
    columns.text("sql", rows.iter().map(|row| Some(row.sql.as_str())));
    columns.finish()
}
