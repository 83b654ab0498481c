//! A table over table files that the manifest names: no folder is listed, and a file that a filter
//! excludes, by its partition or by its column bounds, is not opened.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch},
        datatypes::{DataType, FieldRef, Schema, SchemaRef},
    },
    catalog::{Session, TableProvider},
    common::{
        ColumnStatistics, DFSchema, ScalarValue, Statistics, project_schema, stats::Precision,
    },
    datasource::{
        TableType,
        listing::PartitionedFile,
        object_store::ObjectStoreUrl,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource},
        source::DataSourceExec,
        table_schema::TableSchema,
    },
    error::Result as DataFusionResult,
    logical_expr::{Expr, TableProviderFilterPushDown, expr_rewriter::unnormalize_col},
    physical_expr::{PhysicalExpr, create_physical_expr},
    physical_plan::{ExecutionPlan, empty::EmptyExec},
};
use kennel_cache::{AccountId, CustomerId, Report, ReportType, View};

use crate::{ingest, numbers::EncodedTexts};

/// A row group's worth of rows is small: one read of this size holds the footer of most table files.
const FOOTER_HINT_BYTES: usize = 64 * 1024;

/// Customer, cloud and account: what a report is of.
pub(crate) type Partition = (CustomerId, String, AccountId);

/// The object store under which the engine reaches `tables/`.
pub(crate) fn tables_url() -> ObjectStoreUrl {
    ObjectStoreUrl::parse("kennel://tables").expect("a constant URL parses")
}

/// A table over reports.
#[derive(Debug)]
pub(crate) struct FileTable {
    /// Its name, for messages: `k9.principals_latest`.
    pub(crate) name: String,
    /// Which report it shows; `None` for a user's table over several.
    pub(crate) report_type: Option<ReportType>,
    /// Whether it shows all versions rather than one of each.
    pub(crate) is_history: bool,
    /// The state that it shows.
    pub(crate) view: View,
    /// Every account that the cache knows, whether or not it has this report.
    pub(crate) known: Vec<Partition>,
    table_schema: TableSchema,
    files: Vec<TableFile>,
}

/// One table file: the report and the values of the table's partition columns.
#[derive(Debug)]
pub(crate) struct TableFile {
    pub(crate) report: Report,
    pub(crate) partition_values: Vec<ScalarValue>,
}

/// What a scan with some filters reads, and which of the known accounts its filters let through.
pub(crate) struct Selection<'a> {
    pub(crate) files: Vec<&'a TableFile>,
    pub(crate) known: Vec<&'a Partition>,
}

/// A table's name for messages: with the time where it is another than the session's.
pub(super) fn named(name: String, view: View, of_session: View) -> String {
    match view {
        View::At(at) if view != of_session => {
            format!("{name} as of {}", crate::params::shown(at))
        }
        _ => name,
    }
}

impl FileTable {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a property of the table, and only two callers make one"
    )]
    pub(crate) fn new(
        name: String,
        report_type: Option<ReportType>,
        is_history: bool,
        view: View,
        known: Vec<Partition>,
        file_schema: SchemaRef,
        partition_fields: Vec<FieldRef>,
        files: Vec<TableFile>,
    ) -> Self {
        let table_schema = TableSchema::builder(file_schema)
            .with_table_partition_cols(partition_fields)
            .build();
        Self {
            name,
            report_type,
            is_history,
            view,
            known,
            table_schema,
            files,
        }
    }

    /// Rows of all its files.
    pub(crate) fn row_count(&self) -> u64 {
        self.files.iter().map(|file| file.report.row_count).sum()
    }

    fn is_partition_filter(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        !columns.is_empty()
            && !filter.is_volatile()
            && columns.iter().all(|column| {
                self.table_schema
                    .table_partition_cols()
                    .iter()
                    .any(|field| field.name() == column.name())
            })
            && !contains_subquery(filter)
    }

    /// Applies the filters that partition columns alone decide.
    pub(crate) fn select(&self, filters: &[Expr]) -> DataFusionResult<Selection<'_>> {
        let filters = filters
            .iter()
            .filter(|filter| self.is_partition_filter(filter))
            .map(|filter| unnormalize_col(filter.clone()))
            .collect::<Vec<_>>();
        let rows = self
            .files
            .iter()
            .map(|file| file.partition_values.clone())
            .collect::<Vec<_>>();
        let passing = self.passing(&filters, &rows)?;
        let files = self
            .files
            .iter()
            .zip(passing)
            .filter_map(|(file, passes)| passes.then_some(file))
            .collect();
        // A known account has no history of this report: filters on its columns let it through.
        let known_rows = self
            .known
            .iter()
            .map(|partition| self.partition_row(partition))
            .collect::<Vec<_>>();
        let account_filters = filters
            .into_iter()
            .filter(|filter| {
                filter
                    .column_refs()
                    .iter()
                    .all(|c| crate::k9::PARTITION_COLUMNS.contains(&c.name()))
            })
            .collect::<Vec<_>>();
        let passing = self.passing(&account_filters, &known_rows)?;
        let known = self
            .known
            .iter()
            .zip(passing)
            .filter_map(|(p, passes)| passes.then_some(p))
            .collect();
        Ok(Selection { files, known })
    }

    fn partition_row(&self, (customer_id, csp, account_id): &Partition) -> Vec<ScalarValue> {
        self.table_schema
            .table_partition_cols()
            .iter()
            .map(|field| {
                let known = match field.name().as_str() {
                    "customer_id" => customer_id.as_str(),
                    "csp" => csp.as_str(),
                    "account_id" => account_id.as_str(),
                    _ => return null_of(field.data_type()),
                };
                // A user's table may have it as a number.
                ScalarValue::try_from_string(known.to_owned(), field.data_type())
                    .unwrap_or_else(|_| null_of(field.data_type()))
            })
            .collect()
    }

    /// Which rows of partition values all filters let through.
    fn passing(&self, filters: &[Expr], rows: &[Vec<ScalarValue>]) -> DataFusionResult<Vec<bool>> {
        let mut passing = vec![true; rows.len()];
        if filters.is_empty() || rows.is_empty() {
            return Ok(passing);
        }
        let fields = self.table_schema.table_partition_cols();
        // Of a known account without history it is not known when it was seen.
        let nullable = fields
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
        let columns = (0..fields.len())
            .map(|index| ScalarValue::iter_to_array(rows.iter().map(|row| row[index].clone())))
            .collect::<DataFusionResult<Vec<ArrayRef>>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        let df_schema = DFSchema::try_from(schema)?;
        for filter in filters {
            let filter =
                create_physical_expr(filter, &df_schema, &Default::default(), &Default::default())?;
            let verdicts = filter.evaluate(&batch)?.into_array(rows.len())?;
            let verdicts = verdicts.as_boolean();
            for (row, passes) in passing.iter_mut().enumerate() {
                *passes &= verdicts.is_valid(row) && verdicts.value(row);
            }
        }
        Ok(passing)
    }

    fn partitioned_file(&self, file: &TableFile) -> PartitionedFile {
        PartitionedFile::new(file.report.table_path.clone(), file.report.table_size_bytes)
            .with_partition_values(file.partition_values.clone())
            .with_statistics(Arc::new(table_statistics(
                self.table_schema.file_schema(),
                file.report.row_count,
                &file.report.statistics,
            )))
    }
}

fn null_of(data_type: &DataType) -> ScalarValue {
    ScalarValue::try_from(data_type).unwrap_or(ScalarValue::Null)
}

pub(super) fn contains_subquery(expr: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode;
    expr.exists(|e| {
        Ok(matches!(
            e,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::OuterReferenceColumn(..)
        ))
    })
    .unwrap_or(true)
}

impl ingest::ColumnStatistics {
    /// The bounds as scalars of a column's type; `None` where the types do not agree.
    fn scalars(&self, data_type: &DataType) -> Option<(ScalarValue, ScalarValue)> {
        match (self.bounds.as_ref()?, data_type) {
            (ingest::Bounds::Text(a, b), DataType::Utf8) => {
                Some((ScalarValue::from(a.as_str()), ScalarValue::from(b.as_str())))
            }
            (
                ingest::Bounds::Micros(a, b),
                DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, zone),
            ) => Some((
                ScalarValue::TimestampMicrosecond(Some(*a), zone.clone()),
                ScalarValue::TimestampMicrosecond(Some(*b), zone.clone()),
            )),
            (ingest::Bounds::Flags(a, b), DataType::Boolean) => {
                Some((ScalarValue::from(*a), ScalarValue::from(*b)))
            }
            _ => None,
        }
    }
}

#[async_trait]
impl TableProvider for FileTable {
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
        Ok(filters
            .iter()
            .map(|filter| match self.is_partition_filter(filter) {
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Inexact,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let files = self.select(filters)?.files;
        ParquetScan {
            table_schema: &self.table_schema,
            row_count: files.iter().map(|file| file.report.row_count).sum(),
            files: files
                .into_iter()
                .map(|file| self.partitioned_file(file))
                .collect(),
            predicate: None,
        }
        .plan(state, projection, limit)
    }
}

/// A scan of table files.
pub(super) struct ParquetScan<'a> {
    pub(super) table_schema: &'a TableSchema,
    pub(super) files: Vec<PartitionedFile>,
    pub(super) row_count: u64,
    /// What all rows that are wanted fulfil, beside the filters.
    pub(super) predicate: Option<Arc<dyn PhysicalExpr>>,
}

impl ParquetScan<'_> {
    /// Reads the files in as many groups as the session has threads for.
    pub(super) fn plan(
        self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = self.table_schema.table_schema();
        if self.files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(
                schema, projection,
            )?)));
        }
        let mut statistics = Statistics::new_unknown(schema);
        statistics.num_rows = Precision::Exact(self.row_count as usize);
        let group_count = state
            .config()
            .target_partitions()
            .clamp(1, self.files.len());
        let mut groups = vec![Vec::new(); group_count];
        for (index, file) in self.files.into_iter().enumerate() {
            groups[index % group_count].push(file);
        }
        let mut source = ParquetSource::new(self.table_schema.clone())
            .with_table_parquet_options(state.default_table_options().parquet)
            .with_metadata_size_hint(FOOTER_HINT_BYTES);
        if let Some(predicate) = self.predicate {
            source = source.with_predicate(predicate);
        }
        let config = FileScanConfigBuilder::new(tables_url(), Arc::new(source))
            .with_file_groups(groups.into_iter().map(FileGroup::new).collect())
            .with_statistics(statistics)
            .with_expr_adapter(Some(Arc::new(EncodedTexts)))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Row count and column bounds of a table file, as the manifest has them.
pub(super) fn table_statistics(schema: &SchemaRef, row_count: u64, known: &str) -> Statistics {
    let known: BTreeMap<String, ingest::ColumnStatistics> =
        serde_json::from_str(known).unwrap_or_default();
    let column_statistics = schema
        .fields()
        .iter()
        .map(|field| {
            let Some(found) = known.get(field.name()) else {
                return ColumnStatistics::new_unknown();
            };
            let mut statistics = ColumnStatistics::new_unknown();
            statistics.null_count = Precision::Exact(found.null_count as usize);
            if let Some((min, max)) = found.scalars(field.data_type()) {
                statistics.min_value = Precision::Exact(min);
                statistics.max_value = Precision::Exact(max);
            }
            statistics
        })
        .collect();
    Statistics {
        num_rows: Precision::Exact(row_count as usize),
        total_byte_size: Precision::Absent,
        column_statistics,
    }
}

/// An instant as a partition value: `Timestamp(µs)`, UTC.
pub(crate) fn instant_value(at: Option<DateTime<Utc>>) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(at.map(|at| at.timestamp_micros()), None)
}
