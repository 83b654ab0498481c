//! sqllogictest over an engine with the guide's reports and trail: one file is one test, with a cache of its own.
//!
//! `KENNEL_WRITE_SLT=1` writes what the engine answers into the files, to be read before it is committed.

use async_trait::async_trait;
use chrono::DateTime;
use datafusion::arrow::{
    array::{Array, ArrayRef},
    datatypes::DataType,
    util::display::{ArrayFormatter, FormatOptions},
};
use futures::TryStreamExt;
use kennel_cache::{SourceKind, SourceName};
use kennel_engine::{ConfiguredSource, Engine, EngineError, EngineSettings, Outcome, ParamValues};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::{
    home::TestCache,
    trail_home::{TRAIL, TRAIL_URL},
};

/// The settings of both sources.
pub(crate) fn both_sources() -> EngineSettings {
    let mut settings = TestCache::settings();
    settings.sources.push(ConfiguredSource {
        name: SourceName::try_new(TRAIL).unwrap(),
        kind: SourceKind::CloudTrail,
        url: TRAIL_URL.into(),
    });
    settings.now = kennel_testkit::fixtures::utc("2026-03-03 12:00:00");
    settings
}

struct Session {
    cache: TestCache,
    engine: Engine,
}

impl Session {
    fn new() -> Self {
        let cache = TestCache::of_the_guide_with_its_trail();
        let engine = cache.engine_with(both_sources());
        Self { cache, engine }
    }
}

fn letter(data_type: &DataType) -> DefaultColumnType {
    match data_type {
        data_type if data_type.is_integer() => DefaultColumnType::Integer,
        data_type if data_type.is_numeric() => DefaultColumnType::FloatingPoint,
        DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 => DefaultColumnType::Text,
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

#[async_trait]
impl AsyncDB for Session {
    type Error = EngineError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, EngineError> {
        // Each statement in a session of its own would lose what is prepared; what is kept must outlive a session.
        let sql = match sql.trim().strip_prefix("-- reopen") {
            Some(rest) => {
                self.engine = self.cache.engine_with(both_sources());
                rest
            }
            None => sql,
        };
        let statement = Engine::statements(sql)?.pop().expect("one statement");
        let outcome = self
            .engine
            .execute(&statement, &ParamValues::default(), DateTime::UNIX_EPOCH)
            .await?;
        let answer = match outcome {
            Outcome::Answer(answer) => answer,
            Outcome::Unload(_) | Outcome::Done { .. } => return Ok(DBOutput::StatementComplete(0)),
        };
        let types = answer
            .schema
            .fields()
            .iter()
            .map(|field| letter(field.data_type()))
            .collect();
        let failed = |error: datafusion::error::DataFusionError| EngineError::Execution {
            message: error.strip_backtrace(),
        };
        let batches = answer
            .stream
            .try_collect::<Vec<_>>()
            .await
            .map_err(failed)?;
        let rows = batches.iter().flat_map(|batch| {
            (0..batch.num_rows()).map(|row| {
                batch
                    .columns()
                    .iter()
                    .map(|column| cell(column, row))
                    .collect()
            })
        });
        Ok(DBOutput::Rows {
            types,
            rows: rows.collect(),
        })
    }

    async fn shutdown(&mut self) {}
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests asks for new answers"
)]
async fn run(file: &str) {
    let path = format!("{}/tests/slt/{file}.slt", env!("CARGO_MANIFEST_DIR"));
    let mut runner = Runner::new(|| async { Ok(Session::new()) });
    runner.with_column_validator(sqllogictest::strict_column_validator);
    if std::env::var_os("KENNEL_WRITE_SLT").is_some() {
        runner
            .update_test_file(
                &path,
                " ",
                sqllogictest::default_validator,
                sqllogictest::default_normalizer,
                sqllogictest::strict_column_validator,
            )
            .await
            .unwrap();
        return;
    }
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

files! { catalog corpus_investigations corpus_trail corpus_reports hidden own_tables written }
