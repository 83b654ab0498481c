//! CloudTrail's tables: `cloudtrail_logs` as Athena has it, `events` typed and without duplicates, and the
//! other kinds of records. All are projections of the table files that the manifest names, so that filters reach
//! the files' own statistics: delivery day and event time are columns with bounds, and no row is lost to pruning.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::{DataType, SchemaRef},
    catalog::{Session, TableProvider, view::ViewTable},
    datasource::{TableType, provider_as_source, table_schema::TableSchema},
    error::Result as DataFusionResult,
    logical_expr::{
        Expr, LogicalPlanBuilder, TableProviderFilterPushDown, col, expr_fn::try_cast, in_list, lit,
    },
    physical_plan::ExecutionPlan,
    scalar::ScalarValue,
};
use kennel_cache::{TrailFile, TrailTable as TrailKind, View};

use super::{
    Shared, external,
    file_table::{ParquetScan, table_statistics},
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

/// AWS's own table, duplicates included.
const LOGS: &str = "cloudtrail_logs";

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

/// The table of this name, if it is one of CloudTrail's.
pub(super) fn open(
    shared: &Arc<Shared>,
    name: &str,
    view: View,
) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
    let Some((name, kind)) = TABLES.into_iter().find(|(known, _)| *known == name) else {
        return Ok(None);
    };
    let files = match shared.cache() {
        Some(cache) => cache.trail_files(kind).map_err(external)?,
        None => vec![],
    };
    let table = TrailTable {
        name: format!("{SCHEMA}.{name}"),
        kind,
        view,
        table_schema: TableSchema::builder(event_schema()).build(),
        files,
    };
    let source = provider_as_source(Arc::new(table));
    let mut plan = LogicalPlanBuilder::scan(name, source, None)?;
    if !shared.accounts.is_empty() {
        let wanted = shared.accounts.iter().map(|id| lit(id.as_str())).collect();
        plan = plan.filter(in_list(col("account_id"), wanted, false))?;
    }
    if let View::At(at) = view {
        let at = ScalarValue::TimestampMicrosecond(Some(at.timestamp_micros()), Some("UTC".into()));
        let known_by_then = col("event_time").lt_eq(lit(at));
        plan = plan.filter(col("event_time").is_null().or(known_by_then))?;
    }
    let plan = match name {
        LOGS => plan.project(log_columns())?,
        _ => plan
            .filter(col("is_duplicate").eq(lit(false)))?
            .project(event_columns(kind))?,
    };
    Ok(Some(Arc::new(ViewTable::new(plan.build()?, None))))
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
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = self.table_schema.file_schema();
        let files = self.files.iter().map(|file| {
            let file = &file.file;
            datafusion::datasource::listing::PartitionedFile::new(
                file.table_path.clone(),
                file.size_bytes,
            )
            .with_statistics(Arc::new(table_statistics(
                schema,
                file.row_count,
                &file.statistics,
            )))
        });
        ParquetScan {
            table_schema: &self.table_schema,
            files: files.collect(),
            row_count: self.files.iter().map(|file| file.file.row_count).sum(),
        }
        .plan(state, projection, limit)
    }
}
