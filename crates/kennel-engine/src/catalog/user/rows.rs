//! Tables that users made from queries: their rows lie in table files of the cache.

use std::{collections::BTreeMap, io::Write, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::{Schema, SchemaRef},
    catalog::{Session, TableProvider},
    datasource::{TableType, listing::PartitionedFile, table_schema::TableSchema},
    error::{DataFusionError, Result as DataFusionResult},
    execution::SendableRecordBatchStream,
    logical_expr::{Expr, TableProviderFilterPushDown},
    parquet::{
        arrow::ArrowWriter,
        basic::Compression,
        errors::ParquetError,
        file::properties::{EnabledStatistics, WriterProperties},
    },
    physical_plan::ExecutionPlan,
};
use futures::StreamExt;
use kennel_cache::{Stage, StageFile, UserFile};

use crate::{
    catalog::{
        columns_from_text, external,
        file_table::{ParquetScan, table_statistics},
    },
    ingest::ColumnStatistics,
};

/// The table property that keeps the exact types of the columns: Hive has fewer.
pub(crate) const COLUMNS_PROPERTY: &str = "kennel.columns";
/// Rows of a file, about.
const ROWS_PER_FILE: u64 = 4_000_000;

/// The columns of a table of rows, from its definition.
pub(super) fn schema_of(properties: &BTreeMap<String, String>) -> DataFusionResult<SchemaRef> {
    let text = properties.get(COLUMNS_PROPERTY).map(String::as_str);
    let schema = text.and_then(columns_from_text).ok_or_else(|| {
        DataFusionError::Plan("a kept table definition has no columns that can be read".into())
    })?;
    Ok(Arc::new(schema))
}

/// The table.
#[derive(Debug)]
pub(super) struct RowsTable {
    table_schema: TableSchema,
    files: Vec<UserFile>,
}

impl RowsTable {
    pub(super) fn new(schema: SchemaRef, files: Vec<UserFile>) -> Self {
        Self {
            table_schema: TableSchema::builder(schema).build(),
            files,
        }
    }
}

#[async_trait]
impl TableProvider for RowsTable {
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
            let statistics = table_statistics(schema, file.row_count, &file.statistics);
            PartitionedFile::new(file.table_path.clone(), file.table_size_bytes)
                .with_statistics(Arc::new(statistics))
        });
        ParquetScan {
            table_schema: &self.table_schema,
            files: files.collect(),
            row_count: self.files.iter().map(|file| file.row_count).sum(),
            predicate: None,
        }
        .plan(state, projection, limit)
    }
}

/// Writes rows into table files; none of them is named by the manifest yet.
pub(crate) async fn write(
    mut rows: SendableRecordBatchStream,
    schema: &SchemaRef,
    stage: &Stage,
) -> DataFusionResult<Vec<UserFile>> {
    let mut files = Vec::new();
    let mut open: Option<RowsWriter> = None;
    while let Some(batch) = rows.next().await {
        let batch = batch?.with_schema(Arc::clone(schema))?;
        if batch.num_rows() == 0 {
            continue;
        }
        let mut writer = match open.take() {
            Some(writer) => writer,
            None => RowsWriter::try_new(schema, stage)?,
        };
        writer.write(&batch)?;
        match writer.row_count >= ROWS_PER_FILE {
            true => files.push(writer.finish()?),
            false => open = Some(writer),
        }
    }
    if let Some(writer) = open {
        files.push(writer.finish()?);
    }
    Ok(files)
}

struct RowsWriter {
    writer: ArrowWriter<StageFile>,
    schema: SchemaRef,
    statistics: Vec<ColumnStatistics>,
    row_count: u64,
}

impl RowsWriter {
    fn try_new(schema: &SchemaRef, stage: &Stage) -> DataFusionResult<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_created_by("kennel".into())
            .build();
        let file = stage.create().map_err(external)?;
        Ok(Self {
            writer: ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))?,
            schema: Arc::clone(schema),
            statistics: vec![ColumnStatistics::default(); schema.fields().len()],
            row_count: 0,
        })
    }

    fn write(&mut self, batch: &datafusion::arrow::array::RecordBatch) -> DataFusionResult<()> {
        for (statistics, column) in self.statistics.iter_mut().zip(batch.columns()) {
            statistics.add(column);
        }
        self.row_count += batch.num_rows() as u64;
        Ok(self.writer.write(batch)?)
    }

    fn finish(self) -> DataFusionResult<UserFile> {
        let mut file = self.writer.into_inner()?;
        file.flush()
            .map_err(|e| ParquetError::External(Box::new(e)))?;
        let statistics = self
            .schema
            .fields()
            .iter()
            .zip(self.statistics)
            .map(|(field, found)| (field.name().clone(), found.without_long_bounds()))
            .collect::<BTreeMap<_, _>>();
        let table_size_bytes = file.size_bytes();
        Ok(UserFile {
            table_path: file.publish_table("user", "parquet").map_err(external)?,
            table_size_bytes,
            row_count: self.row_count,
            statistics: serde_json::to_string(&statistics)
                .map_err(|e| DataFusionError::External(Box::new(e)))?,
        })
    }
}

/// The columns that a table of this query's rows has: each can be null.
pub(crate) fn stored_schema(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        datafusion::arrow::datatypes::Field::new(field.name(), field.data_type().clone(), true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
