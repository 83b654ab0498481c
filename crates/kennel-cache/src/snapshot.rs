//! The writer: what was fetched is remembered at once, and becomes visible by one transaction.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use crate::{
    Cache, CacheError, FailureStage, Home, ReportKey, Sha256, SnapshotId, SourceKind, SourceName,
    Stage,
    answering::{end_report, has_report, insert_report},
    import::{has_csv, settle},
    links,
    lock::WriterLock,
    manifest::{FETCHED_COLUMNS, instant, micros, select_fetched},
};

/// A verified object whose bytes are already published, as the source described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedObject {
    /// The key.
    pub key: String,
    /// ETag as listed, without quotes.
    pub etag: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// `LastModified` as listed.
    pub modified_at: DateTime<Utc>,
    /// Version id, if known.
    pub version_id: Option<String>,
    /// Storage class, if listed.
    pub storage_class: Option<String>,
    /// Hash of the bytes.
    pub sha256: Sha256,
    /// Which checks they passed, for example `crc64nvme+parquet`.
    pub verified_by: String,
    /// User metadata of the object.
    pub metadata: BTreeMap<String, String>,
    /// When it was fetched.
    pub fetched_at: DateTime<Utc>,
}

/// The table file made from an object.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReport {
    /// Type and partition.
    pub key: ReportKey,
    /// Oldest and newest analysis time; `None` without rows.
    pub analysis_time: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Number of rows.
    pub row_count: u64,
    /// The table file, below [`Home::tables`].
    pub table_path: String,
    /// Its size.
    pub table_size_bytes: u64,
    /// Its columns, in the ingester's form.
    pub columns: String,
    /// Statistics of its columns, in the ingester's form.
    pub statistics: String,
    /// What of the object could not be read; the rest is in the table.
    pub problem: Option<String>,
}

/// What one sync of one source found and did; see [`CacheWriter::commit`].
#[derive(Debug, Clone)]
pub struct SyncCommit {
    /// The source.
    pub source: SourceName,
    /// When the sync began.
    pub started_at: DateTime<Utc>,
    /// Now: the snapshot's time.
    pub taken_at: DateTime<Utc>,
    /// New and changed objects, with their tables.
    pub objects: Vec<(FetchedObject, Option<NewReport>)>,
    /// Unchanged objects whose `LastModified` moved.
    pub refreshed: Vec<(String, DateTime<Utc>)>,
    /// Known keys that the source no longer lists.
    pub missing: Vec<String>,
    /// Keys marked missing that are listed again, unchanged.
    pub reappeared: Vec<String>,
    /// What could not be done: key, step, message.
    pub failures: Vec<(String, FailureStage, String)>,
    /// Whether all keys of the source were looked at; else older failures of others stay.
    pub covers_all: bool,
    /// Objects found unchanged.
    pub unchanged_count: u64,
    /// Bytes that came over the wire or from disk.
    pub fetched_bytes: u64,
    /// Why the sync as a whole did not succeed.
    pub error: Option<String>,
}

/// What a commit made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOutcome {
    /// The new snapshot; `None` when nothing changed.
    pub snapshot: Option<SnapshotId>,
    /// Objects that were new.
    pub added_count: u64,
    /// Objects that replaced an older version.
    pub changed_count: u64,
    /// Objects newly marked missing.
    pub missing_count: u64,
}

/// The one writer of a cache; gives the lock back on drop.
#[derive(Debug)]
pub struct CacheWriter {
    pub(crate) cache: Cache,
    pub(crate) stage: Stage,
    _lock: WriterLock,
}

impl CacheWriter {
    /// Takes the writer lock, creates the cache if there is none, and clears what a killed writer left.
    ///
    /// # Errors
    /// [`CacheError::Locked`] names the process that holds the lock.
    pub fn open(home: &Path, now: DateTime<Utc>) -> Result<Self, CacheError> {
        let home = Home::new(home);
        home.create()?;
        let lock = WriterLock::acquire(&home, now)?;
        let stage = Stage::new(home.clone());
        stage.clear()?;
        let mut writer = Self {
            cache: Cache::for_writer(home)?,
            stage,
            _lock: lock,
        };
        writer.refresh_links()?;
        writer.sweep_orphans()?;
        Ok(writer)
    }

    /// The reader's view of the same cache.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Where downloads and tables are written until they are whole.
    pub fn stage(&self) -> Stage {
        self.stage.clone()
    }

    pub(crate) fn transaction(&mut self) -> Result<Transaction<'_>, CacheError> {
        let path = self.cache.home.manifest();
        self.cache
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|source| CacheError::Manifest {
                action: "begin a transaction in",
                path,
                source,
            })
    }

    /// Makes a configured source known; a changed URL is taken over.
    ///
    /// # Errors
    /// [`CacheError::Damaged`] when the name already stands for a source of the other kind.
    pub fn register_source(
        &mut self,
        name: &SourceName,
        kind: SourceKind,
        url: &str,
    ) -> Result<(), CacheError> {
        let known: Option<String> = self
            .cache
            .db
            .query_row(
                "SELECT kind FROM source WHERE name = ?1",
                [name.as_str()],
                |row| row.get(0),
            )
            .optional()
            .map_err(self.cache.failed("read"))?;
        if let Some(known) = known.filter(|known| known != kind.as_str()) {
            return Err(CacheError::Damaged {
                path: self.cache.home.manifest(),
                what: format!("source `{name}` was synced as kind `{known}`, not `{kind}`"),
            });
        }
        self.cache
            .db
            .execute(
                "INSERT INTO source (name, kind, url) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET url = excluded.url WHERE url <> excluded.url",
                params![name.as_str(), kind.as_str(), url],
            )
            .map(drop)
            .map_err(self.cache.failed("write"))
    }

    /// Remembers published objects before they are in a snapshot: the next sync adopts them.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Io`], [`CacheError::Manifest`].
    pub fn record_pending(
        &mut self,
        source: &SourceName,
        objects: &[FetchedObject],
    ) -> Result<(), CacheError> {
        let id = self.cache.source_id(source)?;
        self.stage.sync_names()?;
        let failed = self.cache.failed("write");
        let transaction = self.transaction()?;
        let write = || {
            {
                let mut insert = transaction.prepare_cached(&format!(
                    "INSERT OR REPLACE INTO pending (source_id, {FETCHED_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
                ))?;
                for object in objects {
                    insert.execute(params![
                        id,
                        object.key,
                        object.etag,
                        object.version_id,
                        object.size_bytes,
                        micros(object.modified_at),
                        object.storage_class,
                        object.sha256.to_string(),
                        object.verified_by,
                        metadata_text(object),
                        micros(object.fetched_at),
                    ])?;
                }
            }
            transaction.commit()
        };
        write().map_err(failed)
    }

    /// What was fetched but is in no snapshot yet and still lies there, by key.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn pending(&self, source: &SourceName) -> Result<Vec<FetchedObject>, CacheError> {
        let id = self.cache.source_id(source)?;
        let select = || -> rusqlite::Result<Vec<FetchedObject>> {
            self.cache
                .db
                .prepare_cached(&format!(
                    "SELECT {FETCHED_COLUMNS} FROM pending WHERE source_id = ?1 ORDER BY key"
                ))?
                .query_map([id], select_fetched)?
                .collect()
        };
        let mut objects = select().map_err(self.cache.failed("read"))?;
        objects.retain(|object| self.cache.home.object(&object.sha256).is_file());
        Ok(objects)
    }

    /// Makes what a sync did visible, in one transaction; then renews the links under `mirror/`.
    ///
    /// A snapshot is made when content was added or changed, or keys went missing or came back. An
    /// object whose bytes are those of the version before is no change. Time never runs backwards: a
    /// snapshot is at least one microsecond later than the one before.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Io`], [`CacheError::Manifest`]; nothing is
    /// visible then.
    pub fn commit(&mut self, commit: &SyncCommit) -> Result<CommitOutcome, CacheError> {
        let source_id = self.cache.source_id(&commit.source)?;
        self.stage.sync_names()?;
        let failed = self.cache.failed("commit to");
        let transaction = self.transaction()?;
        let outcome = write_commit(&transaction, source_id, commit)
            .and_then(|outcome| transaction.commit().map(|()| outcome))
            .map_err(failed)?;
        self.refresh_links()?;
        Ok(outcome)
    }

    /// Remembers a sync that failed as a whole and changed nothing, so that people and answers hear of it.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn record_failed_sync(
        &mut self,
        source: &SourceName,
        started_at: DateTime<Utc>,
        ended_at: DateTime<Utc>,
        error: &str,
    ) -> Result<(), CacheError> {
        let source_id = self.cache.source_id(source)?;
        self.cache
            .db
            .execute(
                "INSERT INTO sync_run (source_id, started_at, ended_at, fetched_count, fetched_bytes, unchanged_count, failed_count, error)
                 VALUES (?1, ?2, ?3, 0, 0, 0, 0, ?4)",
                params![source_id, micros(started_at), micros(ended_at), error],
            )
            .map(drop)
            .map_err(self.cache.failed("write"))
    }

    /// Brings the links under `mirror/` to what the manifest says. A kill in between is made up here.
    pub(crate) fn refresh_links(&mut self) -> Result<(), CacheError> {
        let stale: Vec<(i64, String, SourceName, Option<String>)> = {
            let select = || {
                self.cache
                    .db
                    .prepare(
                        "SELECT l.source_id, l.key, s.name, o.sha256 FROM stale_link l JOIN source s ON s.id = l.source_id
                         LEFT JOIN object o ON o.id = (SELECT n.id FROM object n WHERE n.source_id = l.source_id AND n.key = l.key
                             ORDER BY n.valid_to IS NULL DESC, n.valid_from DESC LIMIT 1)",
                    )?
                    .query_map([], |row| {
                        let name: String = row.get(2)?;
                        let name = SourceName::try_new(name).map_err(|e| {
                            rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, e.into())
                        })?;
                        Ok((row.get(0)?, row.get(1)?, name, row.get(3)?))
                    })?
                    .collect::<rusqlite::Result<_>>()
            };
            select().map_err(self.cache.failed("read"))?
        };
        if stale.is_empty() {
            return Ok(());
        }
        for (_, key, source, hash) in &stale {
            match hash.as_deref().map(str::parse::<Sha256>) {
                Some(Ok(hash)) => links::link(&self.cache.home, source, key, &hash)?,
                _ => links::unlink(&self.cache.home, source, key)?,
            }
        }
        self.cache
            .db
            .execute("DELETE FROM stale_link", [])
            .map(drop)
            .map_err(self.cache.failed("write"))
    }
}

fn metadata_text(object: &FetchedObject) -> String {
    serde_json::to_string(&object.metadata).expect("a map of texts always serialises")
}

fn write_commit(
    db: &Transaction<'_>,
    source_id: i64,
    commit: &SyncCommit,
) -> rusqlite::Result<CommitOutcome> {
    let last: Option<DateTime<Utc>> = db
        .query_row(
            "SELECT taken_at FROM snapshot WHERE source_id = ?1 ORDER BY taken_at DESC LIMIT 1",
            [source_id],
            |row| instant(row, 0),
        )
        .optional()?;
    let taken_at = last.map_or(commit.taken_at, |last| {
        commit.taken_at.max(last + TimeDelta::microseconds(1))
    });
    let at = micros(taken_at);
    let mut outcome = CommitOutcome {
        snapshot: None,
        added_count: 0,
        changed_count: 0,
        missing_count: 0,
    };
    let mut came_back = 0;
    for (object, report) in &commit.objects {
        match write_object(db, source_id, at, object, report.as_ref())? {
            Written::Added => outcome.added_count += 1,
            Written::Changed => outcome.changed_count += 1,
            Written::Reappeared => came_back += 1,
            Written::Same => {}
        }
    }
    for (key, modified_at) in &commit.refreshed {
        db.prepare_cached("UPDATE object SET modified_at = ?3 WHERE source_id = ?1 AND key = ?2 AND valid_to IS NULL")?
            .execute(params![source_id, key, micros(*modified_at)])?;
    }
    for key in &commit.reappeared {
        came_back += db
            .prepare_cached("UPDATE object SET missing_since = NULL WHERE source_id = ?1 AND key = ?2 AND valid_to IS NULL AND missing_since IS NOT NULL")?
            .execute(params![source_id, key])?;
    }
    for key in &commit.missing {
        outcome.missing_count += db
            .prepare_cached("UPDATE object SET missing_since = ?3 WHERE source_id = ?1 AND key = ?2 AND valid_to IS NULL AND missing_since IS NULL")?
            .execute(params![source_id, key, at])? as u64;
    }
    if has_csv(db, source_id)? {
        let reports = commit
            .objects
            .iter()
            .filter_map(|(_, report)| report.as_ref());
        for key in reports.map(|report| &report.key).collect::<BTreeSet<_>>() {
            settle(db, source_id, key)?;
        }
    }
    write_failures(db, source_id, commit)?;
    if outcome.added_count + outcome.changed_count + outcome.missing_count > 0 || came_back > 0 {
        outcome.snapshot = Some(write_snapshot(db, source_id, at, commit, &outcome)?);
    }
    db.execute(
        "INSERT INTO sync_run (source_id, started_at, ended_at, fetched_count, fetched_bytes, unchanged_count, failed_count, error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            source_id,
            micros(commit.started_at),
            micros(commit.taken_at),
            commit.objects.len() as u64,
            commit.fetched_bytes,
            commit.unchanged_count,
            commit.failures.len() as u64,
            commit.error
        ],
    )?;
    Ok(outcome)
}

enum Written {
    Added,
    Changed,
    Reappeared,
    Same,
}

fn write_object(
    db: &Transaction<'_>,
    source_id: i64,
    at: i64,
    object: &FetchedObject,
    report: Option<&NewReport>,
) -> rusqlite::Result<Written> {
    db.prepare_cached("DELETE FROM pending WHERE source_id = ?1 AND key = ?2")?
        .execute(params![source_id, object.key])?;
    let current: Option<(i64, String, bool)> = db
        .prepare_cached("SELECT id, sha256, missing_since IS NOT NULL FROM object WHERE source_id = ?1 AND key = ?2 AND valid_to IS NULL")?
        .query_row(params![source_id, object.key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let hash = object.sha256.to_string();
    if let Some((id, _, was_missing)) = current.as_ref().filter(|(_, known, _)| *known == hash) {
        db.prepare_cached(
            "UPDATE object SET etag = ?2, version_id = ?3, modified_at = ?4, storage_class = ?5, verified_by = ?6, metadata = ?7, fetched_at = ?8, missing_since = NULL WHERE id = ?1",
        )?
        .execute(params![
            id,
            object.etag,
            object.version_id,
            micros(object.modified_at),
            object.storage_class,
            object.verified_by,
            metadata_text(object),
            micros(object.fetched_at)
        ])?;
        if let Some(report) = report
            && !has_report(db, *id)?
        {
            end_report(db, source_id, *id, at, report)?;
            insert_report(db, *id, at, None, report)?;
            return Ok(Written::Changed);
        }
        return Ok(if *was_missing {
            Written::Reappeared
        } else {
            Written::Same
        });
    }
    if let Some((id, ..)) = current {
        db.prepare_cached("UPDATE object SET valid_to = ?2 WHERE id = ?1")?
            .execute([id, at])?;
        // A version that cannot be read ends no report: the last one that could goes on answering.
        if let Some(report) = report {
            end_report(db, source_id, id, at, report)?;
        }
    }
    let id = insert_object(db, source_id, at, object)?;
    if let Some(report) = report {
        insert_report(db, id, at, None, report)?;
    }
    db.prepare_cached("INSERT OR IGNORE INTO stale_link (source_id, key) VALUES (?1, ?2)")?
        .execute(params![source_id, object.key])?;
    Ok(if current.is_some() {
        Written::Changed
    } else {
        Written::Added
    })
}

/// A version of a key, valid from a time on; its row id.
pub(crate) fn insert_object(
    db: &Transaction<'_>,
    source_id: i64,
    at: i64,
    object: &FetchedObject,
) -> rusqlite::Result<i64> {
    db.prepare_cached(&format!(
        "INSERT INTO object (source_id, {FETCHED_COLUMNS}, valid_from) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
    ))?
    .execute(params![
        source_id,
        object.key,
        object.etag,
        object.version_id,
        object.size_bytes,
        micros(object.modified_at),
        object.storage_class,
        object.sha256.to_string(),
        object.verified_by,
        metadata_text(object),
        micros(object.fetched_at),
        at
    ])?;
    Ok(db.last_insert_rowid())
}

/// Failures are those of the last sync; what goes on failing keeps the time of its first. A report that could not be
/// read is not looked at again until it changes: its failure stays.
fn write_failures(
    db: &Transaction<'_>,
    source_id: i64,
    commit: &SyncCommit,
) -> rusqlite::Result<()> {
    let at = micros(commit.taken_at);
    for (key, stage, message) in &commit.failures {
        db.prepare_cached(
            "INSERT INTO failure (source_id, key, stage, message, failed_at, first_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
             ON CONFLICT (source_id, key, stage) DO UPDATE SET message = excluded.message, failed_at = excluded.failed_at",
        )?
        .execute(params![source_id, key, stage.as_str(), message, at])?;
    }
    if commit.covers_all {
        db.execute(
            "DELETE FROM failure WHERE source_id = ?1 AND failed_at <> ?2
               AND NOT EXISTS (SELECT 1 FROM seen_csv c WHERE c.source_id = failure.source_id AND c.key = failure.key)
               AND NOT (stage = ?3 AND EXISTS (
                 SELECT 1 FROM object o WHERE o.source_id = failure.source_id AND o.key = failure.key AND o.valid_to IS NULL
                   AND o.missing_since IS NULL AND NOT EXISTS (SELECT 1 FROM report r WHERE r.object_id = o.id)))",
            params![source_id, at, FailureStage::Ingest.as_str()],
        )?;
    } else {
        for (object, _) in &commit.objects {
            db.prepare_cached(
                "DELETE FROM failure WHERE source_id = ?1 AND key = ?2 AND failed_at <> ?3",
            )?
            .execute(params![source_id, object.key, at])?;
        }
    }
    Ok(())
}

fn write_snapshot(
    db: &Transaction<'_>,
    source_id: i64,
    at: i64,
    commit: &SyncCommit,
    outcome: &CommitOutcome,
) -> rusqlite::Result<SnapshotId> {
    db.execute(
        "INSERT INTO snapshot (source_id, taken_at, added_count, changed_count, missing_count, object_count, size_bytes, complete)
         SELECT ?1, ?2, ?3, ?4, ?5, count(*), coalesce(sum(size_bytes), 0), ?6 FROM object WHERE source_id = ?1 AND valid_to IS NULL",
        params![
            source_id,
            at,
            outcome.added_count,
            outcome.changed_count,
            outcome.missing_count,
            commit.failures.is_empty() && commit.error.is_none()
        ],
    )?;
    Ok(SnapshotId(db.last_insert_rowid()))
}
