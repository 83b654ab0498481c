//! sqllogictest over a session of ours: the adapter, and one test per file.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, RecordBatch},
        datatypes::{DataType, Schema},
        util::display::{ArrayFormatter, FormatOptions},
    },
    error::DataFusionError,
    execution::{SessionStateBuilder, context::SessionContext},
    physical_plan::{common::collect, execute_stream},
    prelude::SessionConfig,
};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::events;

/// A session with the table `events`, a Parquet file.
pub(crate) struct Session {
    context: SessionContext,
    _folder: tempfile::TempDir,
}

impl Session {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builder = SessionStateBuilder::new()
            .with_config(SessionConfig::new().with_target_partitions(2))
            .with_default_features();
        let state = kennel_athena::session(builder).build();
        let context = SessionContext::new_with_state(state);
        let path = events::write(folder.path());
        context
            .register_parquet("events", path.to_str().unwrap(), Default::default())
            .await
            .unwrap();
        Self {
            context,
            _folder: folder,
        }
    }

    /// The columns as Athena shows them, and the rows.
    pub(crate) async fn query(
        &self,
        sql: &str,
    ) -> Result<(Arc<Schema>, Vec<RecordBatch>), Failure> {
        let statement = kennel_athena::parse(sql).map_err(|error| Failure(error.to_string()))?;
        let state = self.context.state();
        let plan = kennel_athena::plan(&state, &statement).await?;
        let physical = state.create_physical_plan(&plan).await?;
        let stream = execute_stream(physical, self.context.task_ctx())?;
        let stream = kennel_athena::output::rename(stream);
        let schema = stream.schema();
        Ok((schema, collect(stream).await?))
    }
}

#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        Self(error.strip_backtrace())
    }
}

/// One letter per type: text and booleans, integers, other numbers, or anything else.
fn letter(data_type: &DataType) -> DefaultColumnType {
    match data_type {
        data_type if data_type.is_integer() => DefaultColumnType::Integer,
        data_type if data_type.is_numeric() => DefaultColumnType::FloatingPoint,
        DataType::Boolean | DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
            DefaultColumnType::Text
        }
        _ => DefaultColumnType::Any,
    }
}

fn cell(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "NULL".into();
    }
    let options = FormatOptions::new().with_null("NULL");
    let text = ArrayFormatter::try_new(array.as_ref(), &options)
        .unwrap()
        .value(row)
        .to_string();
    match text.as_str() {
        "" => "(empty)".into(),
        _ => text.replace('\n', "⏎"),
    }
}

#[async_trait::async_trait]
impl AsyncDB for Session {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let (schema, batches) = self.query(sql).await?;
        let types = schema
            .fields()
            .iter()
            .map(|field| letter(field.data_type()))
            .collect();
        let rows = batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)))
            .map(|(batch, row)| {
                batch
                    .columns()
                    .iter()
                    .map(|column| cell(column, row))
                    .collect()
            })
            .collect();
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}
}

async fn run(file: &str) {
    let path = format!("{}/tests/slt/{file}.slt", env!("CARGO_MANIFEST_DIR"));
    let mut runner = Runner::new(|| async { Ok(Session::new().await) });
    runner.with_column_validator(sqllogictest::strict_column_validator);
    runner
        .run_file_async(path)
        .await
        .unwrap_or_else(|error| panic!("{}", error.display(false)));
}

macro_rules! files {
    ($($name:ident)*) => {
        $(#[tokio::test] async fn $name() { run(stringify!($name)).await; })*

        #[test]
        fn every_file_is_a_test() {
            let mut known = vec![$(stringify!($name).to_owned()),*];
            let folder = format!("{}/tests/slt", env!("CARGO_MANIFEST_DIR"));
            let mut found: Vec<_> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            known.sort();
            found.sort();
            assert_eq!(known, found);
        }
    };
}

files! { aggregate_functions aggregate_types aggregates array_functions arrays binary casts colors datetime decimals format geojson geospatial ip json json_clauses json_standard keys lambda_functions lambdas map_functions names numbers overlay paths queries recursion refusals regexp select_forms sketches statements subqueries text times types unnest url windows wrong_arguments zones }
