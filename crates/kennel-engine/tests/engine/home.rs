//! A cache filled without a mirror: each night of a world is one sync.

use std::io::Write;

use chrono::{DateTime, Utc};
use datafusion::arrow::{
    array::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use futures::TryStreamExt;
use kennel_cache::{
    Cache, CacheWriter, CsvReportKey, FailureStage, FetchedObject, ImportCommit, ReportKey,
    SourceKind, SourceName, SyncCommit,
};
use kennel_engine::{
    Answer, ConfiguredSource, Engine, EngineError, EngineSettings, Outcome, ParamValues,
    ingest_csv_report, ingest_report,
};
use kennel_testkit::fixtures::{BucketOptions, World, bucket_objects};

pub(crate) const URL: &str = "s3://safeco-k9-reports";

pub(crate) struct TestCache {
    folder: tempfile::TempDir,
}

impl TestCache {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A cache after one sync of a world in k9's own form.
    pub(crate) fn of(world: &World, at: DateTime<Utc>) -> Self {
        let cache = Self::new();
        assert_eq!(
            cache.sync(bucket_objects(world, &BucketOptions::default()), at),
            []
        );
        cache
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Fetches and ingests these objects as one sync; returns what could not be ingested.
    pub(crate) fn sync(
        &self,
        objects: Vec<(String, Vec<u8>)>,
        at: DateTime<Utc>,
    ) -> Vec<(String, String)> {
        let source = SourceName::try_new("k9").unwrap();
        let mut writer = CacheWriter::open(self.path(), at).unwrap();
        writer
            .register_source(&source, SourceKind::K9, URL)
            .unwrap();
        let mut commit = SyncCommit {
            source,
            started_at: at,
            taken_at: at,
            objects: vec![],
            refreshed: vec![],
            missing: vec![],
            reappeared: vec![],
            failures: vec![],
            covers_all: true,
            unchanged_count: 0,
            fetched_bytes: 0,
            error: None,
        };
        let mut failed = vec![];
        for (key, body) in objects {
            let Some(report_key) = ReportKey::parse(&key) else {
                continue;
            };
            let mut file = writer.stage().create().unwrap();
            file.write_all(&body).unwrap();
            let object = FetchedObject {
                etag: format!("{}-{}", at.timestamp(), body.len()),
                size_bytes: body.len() as u64,
                modified_at: at,
                version_id: None,
                storage_class: None,
                sha256: file.publish().unwrap(),
                verified_by: "length".into(),
                metadata: Default::default(),
                fetched_at: at,
                key: key.clone(),
            };
            let path = writer.cache().object_path(&object.sha256);
            match ingest_report(&path, &report_key, &writer.stage()) {
                Ok(report) => commit.objects.push((object, Some(report))),
                Err(error) => {
                    let message = chain(&error);
                    commit
                        .failures
                        .push((key.clone(), FailureStage::Ingest, message.clone()));
                    failed.push((key, message));
                }
            }
        }
        writer.commit(&commit).unwrap();
        failed
    }

    /// Fetches and imports csv reports; returns what could not be ingested.
    pub(crate) fn import(
        &self,
        objects: Vec<(String, Vec<u8>)>,
        at: DateTime<Utc>,
    ) -> Vec<(String, String)> {
        let source = SourceName::try_new("k9").unwrap();
        let mut writer = CacheWriter::open(self.path(), at).unwrap();
        writer
            .register_source(&source, SourceKind::K9, URL)
            .unwrap();
        let mut commit = ImportCommit {
            source,
            imported_at: at,
            objects: vec![],
            refreshed: vec![],
            failures: vec![],
            unchanged_count: 0,
            fetched_bytes: 0,
        };
        for (key, body) in objects {
            let csv = CsvReportKey::parse(&key).unwrap();
            let mut file = writer.stage().create().unwrap();
            file.write_all(&body).unwrap();
            let object = FetchedObject {
                etag: format!("{}", body.len()),
                size_bytes: body.len() as u64,
                modified_at: at,
                version_id: None,
                storage_class: None,
                sha256: file.publish().unwrap(),
                verified_by: "length".into(),
                metadata: Default::default(),
                fetched_at: at,
                key: key.clone(),
            };
            let path = writer.cache().object_path(&object.sha256);
            match ingest_csv_report(&path, &csv.report, &writer.stage()) {
                Ok(report) => commit.objects.push((object, Some(report))),
                Err(error) => {
                    commit.objects.push((object, None));
                    let failure = (key, FailureStage::Ingest, chain(&error));
                    commit.failures.push(failure);
                }
            }
        }
        writer.import(&commit).unwrap();
        let failures = commit.failures.into_iter();
        failures.map(|(key, _, message)| (key, message)).collect()
    }

    pub(crate) fn settings() -> EngineSettings {
        EngineSettings {
            sources: vec![ConfiguredSource {
                name: SourceName::try_new("k9").unwrap(),
                kind: SourceKind::K9,
                url: URL.into(),
            }],
            threads: 2,
            ..EngineSettings::default()
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine_with(Self::settings())
    }

    pub(crate) fn engine_with(&self, settings: EngineSettings) -> Engine {
        Engine::open(Some(Cache::open(self.path()).unwrap()), settings).unwrap()
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// What a question came to: its rows as text, its caveats.
pub(crate) struct Result {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) caveats: Vec<String>,
}

impl Result {
    pub(crate) fn column(&self, name: &str) -> Vec<&str> {
        let index = self
            .columns
            .iter()
            .position(|column| column == name)
            .unwrap();
        self.rows.iter().map(|row| row[index].as_str()).collect()
    }
}

pub(crate) async fn collect(answer: Answer) -> Result {
    let columns = answer
        .schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let caveats = answer
        .caveats
        .iter()
        .map(|caveat| format!("{:?}: {}", caveat.kind, caveat.message))
        .collect();
    let batches = answer.stream.try_collect::<Vec<_>>().await.unwrap();
    Result {
        columns,
        rows: batches.iter().flat_map(rows_of).collect(),
        caveats,
    }
}

fn rows_of(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("∅");
    let formatters = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect::<Vec<_>>();
    (0..batch.num_rows())
        .map(|row| {
            formatters
                .iter()
                .map(|f| f.value(row).to_string())
                .collect()
        })
        .collect()
}

pub(crate) async fn query(engine: &Engine, sql: &str) -> std::result::Result<Result, EngineError> {
    let statement = Engine::statements(sql)?.pop().expect("one statement");
    match engine
        .execute(&statement, &ParamValues::default(), DateTime::UNIX_EPOCH)
        .await?
    {
        Outcome::Answer(answer) => Ok(collect(answer).await),
        Outcome::Unload(unload) => Ok(collect(unload.answer).await),
        Outcome::Done { message, notes, .. } => Ok(Result {
            columns: vec![message],
            rows: vec![],
            caveats: notes,
        }),
    }
}

pub(crate) async fn run(engine: &Engine, id: &str, params: &[(&str, &str)]) -> Result {
    let query = engine.library().find(id).unwrap();
    let params = ParamValues(
        params
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
    );
    collect(engine.run(query, &params).await.unwrap()).await
}
