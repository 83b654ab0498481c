//! Look-ups.

use std::{collections::VecDeque, path::PathBuf};

use chrono::{DateTime, Utc};
use rusqlite::{Params, Row, params};

use super::{
    Cache, Failure, KnownObject, ObjectVersion, Report, SnapshotInfo, SourceInfo, UserTable, View,
    micros, rows,
};
use crate::{
    AccountId, CacheError, CsvReportKey, CustomerId, ReportKey, ReportType, Sha256, SnapshotId,
    SourceKind, SourceName,
};

/// Rows read at once by [`KnownObjects`]: bounds its memory and the time a transaction is open.
const PAGE: usize = 10_000;

impl Cache {
    pub(crate) fn failed(
        &self,
        action: &'static str,
    ) -> impl FnOnce(rusqlite::Error) -> CacheError + use<> {
        let path = self.home.manifest();
        move |source| CacheError::Manifest {
            action,
            path,
            source,
        }
    }

    pub(crate) fn select<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, CacheError> {
        let select = || -> rusqlite::Result<Vec<T>> {
            self.db
                .prepare_cached(sql)?
                .query_map(params, map)?
                .collect()
        };
        select().map_err(self.failed("read"))
    }

    pub(crate) fn source_id(&self, name: &SourceName) -> Result<i64, CacheError> {
        self.select(
            "SELECT id FROM source WHERE name = ?1",
            [name.as_str()],
            |row| row.get(0),
        )?
        .pop()
        .ok_or_else(|| CacheError::UnknownSource {
            name: name.to_string(),
        })
    }

    /// All current objects of a source, ascending by the bytes of their keys, read page by page.
    pub fn known_objects(&self, source: &SourceName) -> Result<KnownObjects<'_>, CacheError> {
        let sql = if self.has_csv()? {
            KNOWN_BESIDE_CSV
        } else {
            KNOWN
        };
        self.known(source, sql)
    }

    /// The csv reports of a source that were looked at before, as [`Cache::known_objects`]: what retention has
    /// forgotten is among them.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn known_csv(&self, source: &SourceName) -> Result<KnownObjects<'_>, CacheError> {
        if self.has_csv()? {
            return self.known(source, KNOWN_CSV);
        }
        let mut none = self.known(source, KNOWN)?;
        none.done = true;
        Ok(none)
    }

    fn known(
        &self,
        source: &SourceName,
        sql: &'static str,
    ) -> Result<KnownObjects<'_>, CacheError> {
        let source_id = self.source_id(source)?;
        Ok(KnownObjects {
            cache: self,
            source_id,
            sql,
            page: VecDeque::new(),
            after: String::new(),
            done: false,
        })
    }

    fn has_csv(&self) -> Result<bool, CacheError> {
        super::has_table(&self.db, "seen_csv").map_err(self.failed("read"))
    }

    /// Number of current objects of a source.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn known_count(&self, source: &SourceName) -> Result<u64, CacheError> {
        let id = self.source_id(source)?;
        self.sizes(CURRENT_SIZE, id).map(|(count, _)| count)
    }

    /// The newest version of the object with this key.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn object(
        &self,
        source: &SourceName,
        key: &str,
    ) -> Result<Option<ObjectVersion>, CacheError> {
        let id = self.source_id(source)?;
        let sql = format!(
            "{OBJECTS} WHERE o.source_id = ?1 AND o.key = ?2 ORDER BY o.valid_to IS NULL DESC, o.valid_from DESC LIMIT 1"
        );
        Ok(self
            .select(&sql, params![id, key], rows::object_version)?
            .pop())
    }

    /// All object versions, by source, key and time.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn object_versions(&self) -> Result<Vec<ObjectVersion>, CacheError> {
        self.select(
            &format!("{OBJECTS} ORDER BY s.name, o.key, o.valid_from"),
            [],
            rows::object_version,
        )
    }

    /// All object versions of a source with their row ids, for making their tables anew.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn versions_to_ingest(
        &self,
        source: &SourceName,
    ) -> Result<Vec<(i64, String, Sha256)>, CacheError> {
        let id = self.source_id(source)?;
        self.select(
            "SELECT id, key, sha256 FROM object WHERE source_id = ?1 ORDER BY id",
            [id],
            |row| Ok((row.get(0)?, row.get(1)?, rows::parsed(row, 2)?)),
        )
    }

    /// Where the bytes of an object lie.
    pub fn object_path(&self, hash: &Sha256) -> PathBuf {
        self.home.object(hash)
    }

    /// The reports of one type, by customer, cloud, account, source, key and time.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn reports(&self, report_type: ReportType, view: View) -> Result<Vec<Report>, CacheError> {
        let (condition, at) = match view {
            View::Latest => ("r.valid_to IS NULL", None),
            View::At(at) => (AT, Some(micros(at))),
            View::All => ("TRUE", None),
        };
        let sql = format!(
            "SELECT {} FROM report r JOIN object o ON o.id = r.object_id JOIN source s ON s.id = o.source_id
             WHERE r.report_type = ?1 AND {condition}
             ORDER BY r.customer_id, r.csp, r.account_id, s.name, o.key, r.valid_from",
            rows::REPORT_COLUMNS
        );
        match at {
            Some(at) => self.select(&sql, params![report_type.folder(), at], rows::report),
            None => self.select(&sql, params![report_type.folder()], rows::report),
        }
    }

    /// The accounts that have any report of a kind that every account has, by customer, cloud and account.
    ///
    /// The newest view also has the accounts of which every report failed: the source lists them.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn accounts(&self, view: View) -> Result<Vec<(CustomerId, String, AccountId)>, CacheError> {
        let mut accounts = std::collections::BTreeSet::new();
        for report_type in ReportType::ALL
            .into_iter()
            .filter(|report| report.is_per_account())
        {
            let reports = self.reports(report_type, view)?;
            accounts.extend(
                reports
                    .into_iter()
                    .map(|r| (r.customer_id, r.csp, r.account_id)),
            );
        }
        if view == View::Latest {
            let failed = self.failures()?.into_iter();
            let failed = failed
                .filter_map(|failure| {
                    ReportKey::parse(&failure.key)
                        .or_else(|| CsvReportKey::parse(&failure.key).map(|csv| csv.report))
                })
                .filter(|key| key.report_type.is_per_account());
            accounts.extend(failed.map(|key| (key.customer_id, key.csp, key.account_id)));
        }
        Ok(accounts.into_iter().collect())
    }

    /// The sources that were ever synced, by name.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn sources(&self) -> Result<Vec<SourceInfo>, CacheError> {
        let sources = self.select(
            "SELECT id, name, kind, url FROM source ORDER BY name",
            [],
            |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    rows::parsed::<SourceName>(row, 1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, String>(3)?,
                ))
            },
        )?;
        sources
            .into_iter()
            .map(|(id, name, kind, url)| {
                let kind = SourceKind::parse(&kind).ok_or_else(|| CacheError::Damaged {
                    path: self.home.manifest(),
                    what: format!("source `{name}` has the unknown kind `{kind}`"),
                })?;
                let (object_count, current_bytes) = self.sizes(CURRENT_SIZE, id)?;
                let (_, kept_bytes) = self.sizes(KEPT_SIZE, id)?;
                let last_sync = self
                    .select(&format!("{SYNC_RUNS} WHERE source_id = ?1 ORDER BY ended_at DESC, id DESC LIMIT 1"), [id], rows::sync_run)?
                    .pop();
                let last_success = self
                    .select(&format!("{SYNC_RUNS} WHERE source_id = ?1 AND error IS NULL AND failed_count = 0 ORDER BY ended_at DESC LIMIT 1"), [id], rows::sync_run)?
                    .pop();
                Ok(SourceInfo {
                    name,
                    kind,
                    url,
                    object_count,
                    current_bytes,
                    kept_bytes,
                    last_sync,
                    last_success_at: last_success.map(|run| run.ended_at),
                })
            })
            .collect()
    }

    fn sizes(&self, sql: &str, source_id: i64) -> Result<(u64, u64), CacheError> {
        self.db
            .query_row(sql, [source_id], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(self.failed("read"))
    }

    /// All snapshots, by their times. Ids are in the order in which kennel took them: an imported report's is
    /// higher than its age.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn snapshots(&self) -> Result<Vec<SnapshotInfo>, CacheError> {
        self.select(
            &format!("{SNAPSHOTS} ORDER BY p.taken_at, p.id"),
            [],
            rows::snapshot,
        )
    }

    /// The snapshots of k9 sources, by their times: those that have past states.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn report_snapshots(&self) -> Result<Vec<SnapshotInfo>, CacheError> {
        self.select(
            &format!("{SNAPSHOTS} WHERE s.kind = 'k9' ORDER BY p.taken_at, p.id"),
            [],
            rows::snapshot,
        )
    }

    /// Whether reports can be asked for as of this time: some snapshot is not later, or there is none at all.
    ///
    /// # Errors
    /// [`CacheError::BeforeHistory`] names the oldest snapshots; [`CacheError::Manifest`].
    pub fn check_history(&self, at: DateTime<Utc>) -> Result<(), CacheError> {
        const NAMED: usize = 3;
        let snapshots = self.report_snapshots()?;
        match snapshots.first() {
            Some(first) if first.taken_at > at => Err(CacheError::BeforeHistory {
                at,
                nearest: snapshots
                    .into_iter()
                    .take(NAMED)
                    .map(|snapshot| (snapshot.id, snapshot.source, snapshot.taken_at))
                    .collect(),
            }),
            _ => Ok(()),
        }
    }

    /// The minutes in which the reports that are kept were analysed, with what they are of. A report without rows was
    /// analysed with those that came with it.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn analysed_minutes(
        &self,
        source: &SourceName,
    ) -> Result<std::collections::HashSet<(ReportKey, i64)>, CacheError> {
        let id = self.source_id(source)?;
        let found = self.select(
            "SELECT r.report_type, r.customer_id, r.csp, r.account_id, r.analysis_time_max / 60000000
             FROM report r JOIN object o ON o.id = r.object_id
             WHERE o.source_id = ?1 AND r.analysis_time_max IS NOT NULL
             UNION SELECT e.report_type, e.customer_id, e.csp, e.account_id, r.analysis_time_max / 60000000
             FROM report e JOIN object eo ON eo.id = e.object_id
             JOIN report r ON r.valid_from = e.valid_from AND r.account_id = e.account_id AND r.customer_id = e.customer_id AND r.csp = e.csp
             JOIN object o ON o.id = r.object_id AND o.source_id = eo.source_id
             WHERE eo.source_id = ?1 AND e.analysis_time_max IS NULL AND r.analysis_time_max IS NOT NULL",
            [id],
            |row| {
                let folder: String = row.get(0)?;
                let Ok(report_type) = folder.parse::<ReportType>() else {
                    return Ok(None);
                };
                let key = ReportKey {
                    report_type,
                    customer_id: CustomerId::new(row.get::<_, String>(1)?),
                    csp: row.get(2)?,
                    account_id: AccountId::new(row.get::<_, String>(3)?),
                };
                Ok(Some((key, row.get::<_, i64>(4)?)))
            },
        )?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The instant of a snapshot.
    ///
    /// # Errors
    /// [`CacheError::UnknownSnapshot`], [`CacheError::Manifest`].
    pub fn snapshot(&self, id: SnapshotId) -> Result<SnapshotInfo, CacheError> {
        self.select(
            &format!("{SNAPSHOTS} WHERE p.id = ?1"),
            [id.0],
            rows::snapshot,
        )?
        .pop()
        .ok_or_else(|| CacheError::UnknownSnapshot { id: id.to_string() })
    }

    /// What the last sync of each source could not do.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn failures(&self) -> Result<Vec<Failure>, CacheError> {
        self.select(
            "SELECT s.name, f.key, f.stage, f.message, f.failed_at, f.first_at
             FROM failure f JOIN source s ON s.id = f.source_id ORDER BY s.name, f.key, f.stage",
            [],
            rows::failure,
        )
    }

    /// Tables that users declared, by schema and name.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn user_tables(&self) -> Result<Vec<UserTable>, CacheError> {
        self.select(
            "SELECT schema, name, definition, created_at FROM user_table ORDER BY schema, name",
            [],
            rows::user_table,
        )
    }

    /// The instant of the oldest snapshot kept, over all sources.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn oldest_snapshot_at(&self) -> Result<Option<DateTime<Utc>>, CacheError> {
        Ok(self
            .select(
                &format!("{SNAPSHOTS} ORDER BY p.taken_at LIMIT 1"),
                [],
                rows::snapshot,
            )?
            .pop()
            .map(|s| s.taken_at))
    }
}

const KNOWN: &str =
    "SELECT key, size_bytes, etag, modified_at, version_id, missing_since FROM object
    WHERE source_id = ?1 AND valid_to IS NULL AND key > ?2 ORDER BY key LIMIT ?3";
/// Csv reports are listed apart: their absence means nothing.
const KNOWN_BESIDE_CSV: &str =
    "SELECT key, size_bytes, etag, modified_at, version_id, missing_since FROM object o
    WHERE source_id = ?1 AND valid_to IS NULL AND key > ?2
      AND NOT EXISTS (SELECT 1 FROM seen_csv c WHERE c.source_id = o.source_id AND c.key = o.key)
    ORDER BY key LIMIT ?3";
const KNOWN_CSV: &str = "SELECT key, size_bytes, etag, modified_at, version_id, NULL FROM seen_csv
    WHERE source_id = ?1 AND key > ?2 ORDER BY key LIMIT ?3";
const OBJECTS: &str = "SELECT s.name, o.key, o.etag, o.size_bytes, o.modified_at, o.sha256, o.verified_by, o.fetched_at, o.valid_from, o.valid_to, o.missing_since FROM object o JOIN source s ON s.id = o.source_id";
const SNAPSHOTS: &str = "SELECT p.id, s.name, p.taken_at, p.added_count, p.changed_count, p.missing_count, p.object_count, p.size_bytes, p.complete FROM snapshot p JOIN source s ON s.id = p.source_id";
/// A version is read as of the newest snapshot *kept* that is not later: between two kept ones, pruned
/// snapshots would leave holes.
const AT: &str = "r.valid_from <= (SELECT max(p.taken_at) FROM snapshot p WHERE p.source_id = o.source_id AND p.taken_at <= ?2)
    AND (r.valid_to IS NULL OR r.valid_to > (SELECT max(p.taken_at) FROM snapshot p WHERE p.source_id = o.source_id AND p.taken_at <= ?2))";
const SYNC_RUNS: &str = "SELECT started_at, ended_at, fetched_count, fetched_bytes, unchanged_count, failed_count, error FROM sync_run";
/// CloudTrail objects are added up by prefix when they are committed: nobody counts a million rows here.
const CURRENT_SIZE: &str = "SELECT sum(n), sum(bytes) FROM (
    SELECT count(*) AS n, coalesce(sum(size_bytes), 0) AS bytes FROM object WHERE source_id = ?1 AND valid_to IS NULL
    UNION ALL SELECT coalesce(sum(object_count), 0), coalesce(sum(size_bytes), 0) FROM trail_prefix WHERE source_id = ?1)";
const KEPT_SIZE: &str = "SELECT sum(n), sum(bytes) FROM (
    SELECT count(*) AS n, coalesce(sum(size_bytes), 0) AS bytes FROM (SELECT DISTINCT sha256, size_bytes FROM object WHERE source_id = ?1)
    UNION ALL SELECT count(*), coalesce(sum(size_bytes), 0) FROM pack WHERE source_id = ?1)";

/// Iterator over the current objects of a source; see [`Cache::known_objects`].
#[derive(Debug)]
pub struct KnownObjects<'a> {
    cache: &'a Cache,
    source_id: i64,
    sql: &'static str,
    page: VecDeque<KnownObject>,
    /// The last key read; keys are never empty.
    after: String,
    done: bool,
}

impl Iterator for KnownObjects<'_> {
    type Item = Result<KnownObject, CacheError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.done {
            let page = self.cache.select(
                self.sql,
                params![self.source_id, self.after, PAGE as u64],
                rows::known_object,
            );
            match page {
                Ok(page) => {
                    self.done = page.len() < PAGE;
                    if let Some(last) = page.last() {
                        self.after.clone_from(&last.key);
                    }
                    self.page = page.into();
                }
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        self.page.pop_front().map(Ok)
    }
}
