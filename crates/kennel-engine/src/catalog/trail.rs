//! CloudTrail's tables: `cloudtrail_logs` as Athena has it, `events` typed and without duplicates, and the
//! other kinds of records. All are projections of the table files that the manifest names, so that filters reach
//! the files' own statistics: delivery day and event time are columns with bounds, and no row is lost to pruning.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::{DataType, Field, Schema, SchemaRef},
    catalog::{Session, TableProvider, view::ViewTable},
    common::{Column, JoinType, stats::Precision},
    datasource::{TableType, provider_as_source, table_schema::TableSchema},
    error::Result as DataFusionResult,
    logical_expr::{
        Expr, LogicalPlanBuilder, TableProviderFilterPushDown, col, expr_fn::try_cast, ident,
        in_list, lit,
    },
    physical_plan::ExecutionPlan,
    scalar::ScalarValue,
};
use kennel_cache::{SourceName, TrailFile, TrailTable as TrailKind, View};

use super::{
    Hidden, Shared, encoded, external,
    file_table::{ParquetScan, table_statistics},
    objects, places,
};
use crate::trail::schema::{EXTRA_COLUMN, PARTITION_COLUMNS, RECORD, event_schema};

/// The schema of CloudTrail's tables.
pub(super) const SCHEMA: &str = "cloudtrail";

/// The tables, and the records that each shows.
const TABLES: [(&str, TrailKind); 5] = [
    ("aggregated", TrailKind::Aggregated),
    (LOGS, TrailKind::Events),
    ("events", TrailKind::Events),
    ("insights", TrailKind::Insights),
    ("network_activity", TrailKind::NetworkActivity),
];

/// The column of a record's id.
const EVENT_ID: &str = "eventid";

/// AWS's own table, duplicates included.
pub(super) const LOGS: &str = "cloudtrail_logs";

/// Columns of `events`, in order, and what each is made from; [`crate::trail::schema`] says how.
const EVENT_COLUMNS: [(&str, &str); 36] = [
    ("event_time", "event_time"),
    ("event_id", "eventid"),
    ("event_source", "eventsource"),
    ("service", "service"),
    ("event_name", "eventname"),
    ("event_type", "eventtype"),
    ("event_category", "event_category"),
    ("account_id", "account_id"),
    ("region", "awsregion"),
    ("read_only", "readonly"),
    ("is_error", "is_error"),
    ("is_denied", "is_denied"),
    ("error_code", "errorcode"),
    ("error_message", "errormessage"),
    ("principal_type", "principal_type"),
    ("principal_arn", "principal_arn"),
    ("principal_name", "principal_name"),
    ("principal_account_id", "principal_account_id"),
    ("session_name", "session_name"),
    ("access_key_id", "access_key_id"),
    ("identity_center_user_id", "identity_center_user_id"),
    ("source_identity", "source_identity"),
    ("invoked_by", "invoked_by"),
    ("mfa_authenticated", "mfa_authenticated"),
    ("source_ip_address", "sourceipaddress"),
    ("user_agent", "useragent"),
    ("request_parameters", "requestparameters"),
    ("response_elements", "responseelements"),
    ("additional_event_data", "additionaleventdata"),
    ("resources", "resources"),
    ("request_id", "requestid"),
    ("shared_event_id", "sharedeventid"),
    ("vpc_endpoint_id", "vpcendpointid"),
    ("tls_version", "tls_version"),
    ("object_key", "object_key"),
    ("record_index", "record_index"),
];

/// What the other kinds of records have beside them, before where a record lies.
const OTHER_COLUMNS: [(&str, &str); 3] = [
    ("insight_details", "insightdetails"),
    ("service_event_details", "serviceeventdetails"),
    ("extra", "extra"),
];

/// The names of the tables.
pub(super) fn names() -> impl Iterator<Item = String> {
    TABLES.iter().map(|(name, _)| (*name).to_owned())
}

/// The source of a file's records, and the URL of what their keys are relative to: only beside hidden columns.
const ORIGIN_COLUMNS: [&str; 2] = ["$source", "$root"];

/// The table of this name, if it is one of CloudTrail's.
pub(super) fn open(
    shared: &Arc<Shared>,
    name: &str,
    view: View,
    hidden: Hidden,
) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
    let Some((name, kind)) = TABLES.into_iter().find(|(known, _)| *known == name) else {
        return Ok(None);
    };
    let plan = scan(
        shared,
        &format!("{SCHEMA}.{name}"),
        kind,
        Whose::All,
        view,
        hidden,
    )?;
    let (plan, mut columns) = match name {
        LOGS => (plan, log_columns()),
        _ => (
            plan.filter(col("is_duplicate").eq(lit(false)))?,
            event_columns(kind),
        ),
    };
    columns.extend(hidden_columns(hidden));
    Ok(Some(Arc::new(ViewTable::new(
        plan.project(columns)?.build()?,
        None,
    ))))
}

/// Whose records a scan reads.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose<'a> {
    /// Those of every source.
    All,
    /// Those of one.
    Of(&'a SourceName),
    /// None: the answer says so.
    Nobodys,
}

/// All columns of the records of one kind, as far as flags and time let them through.
pub(super) fn scan(
    shared: &Arc<Shared>,
    name: &str,
    kind: TrailKind,
    whose: Whose<'_>,
    view: View,
    hidden: Hidden,
) -> DataFusionResult<LogicalPlanBuilder> {
    let mut files = match shared.cache() {
        Some(cache) => cache.trail_files(kind).map_err(external)?,
        None => vec![],
    };
    files.retain(|file| match whose {
        Whose::All => true,
        Whose::Of(source) => file.source == *source,
        Whose::Nobodys => false,
    });
    let mut table_schema = TableSchema::builder(schema_of(&files));
    if hidden != Hidden::No {
        let origin = ORIGIN_COLUMNS.map(|name| Arc::new(Field::new(name, DataType::Utf8, false)));
        table_schema = table_schema.with_table_partition_cols(origin.to_vec());
    }
    let table = TrailTable {
        name: name.to_owned(),
        kind,
        view,
        table_schema: table_schema.build(),
        files,
        shared: Arc::clone(shared),
    };
    let table_source = provider_as_source(Arc::new(table));
    let mut plan = LogicalPlanBuilder::scan(kind.as_str(), table_source, None)?;
    if !shared.accounts.is_empty() {
        let wanted = shared.accounts.iter().map(|id| lit(id.as_str())).collect();
        plan = plan.filter(in_list(col("account_id"), wanted, false))?;
    }
    if let View::At(at) = view {
        let at = ScalarValue::TimestampMicrosecond(Some(at.timestamp_micros()), Some("UTC".into()));
        let known_by_then = col("event_time").lt_eq(lit(at));
        plan = plan.filter(col("event_time").is_null().or(known_by_then))?;
    }
    if hidden == Hidden::All {
        let objects = provider_as_source(objects::open(shared)?);
        let objects = LogicalPlanBuilder::scan("objects", objects, None)?.project([
            ident("source").alias("$object_source"),
            ident("key").alias("$object_key"),
            ident("size_bytes").alias(Hidden::SIZE),
            ident("modified_at").alias(Hidden::MODIFIED),
        ])?;
        plan = plan.join(
            objects.build()?,
            JoinType::Left,
            (
                ["$source", "object_key"].map(Column::from_name).to_vec(),
                ["$object_source", "$object_key"]
                    .map(Column::from_name)
                    .to_vec(),
            ),
            None,
        )?;
    }
    Ok(plan)
}

/// The columns of these files. Where every record has an id, as all but the oldest do, questions that name a record
/// without one by its place need not read the place.
fn schema_of(files: &[TrailFile]) -> SchemaRef {
    let schema = event_schema();
    let has_id = |file: &TrailFile| {
        let known = table_statistics(&schema, file.file.row_count, &file.file.statistics);
        let place = schema.index_of(EVENT_ID);
        place.is_ok_and(|place| known.column_statistics[place].null_count == Precision::Exact(0))
    };
    if !files.iter().all(has_id) {
        return schema;
    }
    let fields = schema
        .fields()
        .iter()
        .map(|field| match field.name() == EVENT_ID {
            true => Arc::new(field.as_ref().clone().with_nullable(false)),
            false => Arc::clone(field),
        });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// What hidden columns are made from.
pub(super) fn hidden_columns(hidden: Hidden) -> Vec<Expr> {
    let path = || {
        let parts = vec![ident("$root"), ident("object_key")];
        datafusion::functions::string::expr_fn::concat(parts).alias(Hidden::PATH)
    };
    match hidden {
        Hidden::No => vec![],
        Hidden::Path => vec![path()],
        Hidden::All => vec![path(), ident(Hidden::SIZE), ident(Hidden::MODIFIED)],
    }
}

/// AWS's columns, the superset, what is not known, then the partition columns.
fn log_columns() -> Vec<Expr> {
    let known = RECORD.iter().map(|field| field.name.to_ascii_lowercase());
    known
        .chain([EXTRA_COLUMN.to_owned()])
        .chain(PARTITION_COLUMNS.map(str::to_owned))
        .map(col)
        .collect()
}

fn event_columns(kind: TrailKind) -> Vec<Expr> {
    let (record, place) = EVENT_COLUMNS.split_at(EVENT_COLUMNS.len() - 2);
    let others = match kind {
        TrailKind::Events => &[],
        _ => OTHER_COLUMNS.as_slice(),
    };
    let column = |(name, from): &(&str, &str)| {
        let column = match *name {
            // Whatever a record says there, a query must not fail of it.
            "read_only" => try_cast(col(*from), DataType::Boolean),
            _ => col(*from),
        };
        column.alias(*name)
    };
    record
        .iter()
        .chain(others)
        .chain(place)
        .map(column)
        .collect()
}

/// The table files of one kind of records.
#[derive(Debug)]
pub(crate) struct TrailTable {
    /// Its name, for messages: `cloudtrail.events`.
    pub(crate) name: String,
    /// Which records it shows.
    pub(crate) kind: TrailKind,
    /// The time up to which it shows them.
    pub(crate) view: View,
    table_schema: TableSchema,
    /// What it is read from.
    pub(crate) files: Vec<TrailFile>,
    shared: Arc<Shared>,
}

impl TrailTable {
    /// What filters on folders leave; `None` for those that prune by themselves.
    fn bounds(&self, filters: &[Expr]) -> DataFusionResult<Option<places::Bounds>> {
        let Some(cache) = self.shared.cache() else {
            return Ok(None);
        };
        let sources = self.files.iter().map(|file| file.source.clone());
        places::bounds(&cache, &sources.collect::<BTreeSet<_>>(), filters)
    }
}

#[async_trait]
impl TableProvider for TrailTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.table_schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = self.table_schema.file_schema();
        let bounds = self.bounds(filters)?;
        let has_origin = !self.table_schema.table_partition_cols().is_empty();
        let wanted = self
            .files
            .iter()
            .filter(|file| {
                bounds
                    .as_ref()
                    .is_none_or(|bounds| bounds.let_through(file))
            })
            .collect::<Vec<_>>();
        let files = wanted.iter().map(|known| {
            let file = &known.file;
            let mut found = datafusion::datasource::listing::PartitionedFile::new(
                file.table_path.clone(),
                file.size_bytes,
            );
            if let Some(schema) = encoded::read_as(&file.columns) {
                found = found.with_arrow_schema(schema);
            }
            if has_origin {
                let root = self.shared.root_of(&known.source);
                found = found.with_partition_values(vec![
                    ScalarValue::from(known.source.as_str()),
                    ScalarValue::from(root),
                ]);
            }
            found.with_statistics(Arc::new(table_statistics(
                schema,
                file.row_count,
                &file.statistics,
            )))
        });
        let predicate = match &bounds {
            Some(bounds) => bounds.predicate(self.table_schema.table_schema())?,
            None => None,
        };
        ParquetScan {
            table_schema: &self.table_schema,
            files: files.collect(),
            row_count: wanted.iter().map(|known| known.file.row_count).sum(),
            predicate,
        }
        .plan(state, projection, limit)
    }
}
