//! Retention: the only place that deletes what the manifest names, and only when asked.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use rusqlite::Transaction;

use crate::{
    CacheError, CacheWriter, SnapshotId,
    files::{io_error, remove_file},
    lock::wait_for_readers,
    manifest::instant,
    trail::kept_packs,
};

/// How long files stay for queries that are already running.
const WAIT_FOR_READERS: Duration = Duration::from_secs(30);

/// Which snapshots of each source stay. The newest always does; a snapshot stays when any rule keeps it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// The newest so many.
    pub keep_snapshots: Option<u64>,
    /// Those younger than so many days.
    pub keep_days: Option<u32>,
    /// The first of each calendar month (UTC), of so many months that have any.
    pub keep_months: Option<u32>,
}

/// What was, or would be, pruned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneOutcome {
    /// Snapshots forgotten, oldest first.
    pub snapshots: Vec<SnapshotId>,
    /// Object versions forgotten.
    pub version_count: u64,
    /// Files removed.
    pub file_count: u64,
    /// Their bytes.
    pub freed_bytes: u64,
    /// Bytes of the files that stay: objects, packs, tables.
    pub kept_bytes: u64,
}

impl CacheWriter {
    /// Forgets snapshots that `retention` does not keep, and the versions only they had.
    ///
    /// The manifest forgets first, then files that nothing names are removed, once no query is left
    /// that may open them; killed in between, the next prune removes them. With `dry_run` nothing is
    /// changed and the outcome says what would be.
    ///
    /// # Errors
    /// [`CacheError::Busy`] when queries go on for longer than half a minute: the snapshots are then
    /// forgotten, the files stay until the next prune.
    pub fn prune(
        &mut self,
        retention: Retention,
        now: DateTime<Utc>,
        dry_run: bool,
    ) -> Result<PruneOutcome, CacheError> {
        let failed = self.cache.failed("prune");
        let transaction = self.transaction()?;
        let mut outcome = forget(&transaction, retention, now).map_err(failed)?;
        let kept = kept_files(&transaction).map_err(|source| CacheError::Manifest {
            action: "read",
            path: std::path::PathBuf::new(),
            source,
        })?;
        if dry_run {
            drop(transaction); // rolls back
        } else {
            let path = transaction
                .path()
                .map(std::path::PathBuf::from)
                .unwrap_or_default();
            transaction
                .commit()
                .map_err(|source| CacheError::Manifest {
                    action: "prune",
                    path,
                    source,
                })?;
        }
        if !dry_run {
            // A link is a name of the same bytes: they would not be free.
            self.refresh_links()?;
        }
        let home = &self.cache.home;
        let _no_readers = if dry_run {
            None
        } else {
            Some(wait_for_readers(home, WAIT_FOR_READERS)?)
        };
        let mut kept = kept;
        // While readers were waited for, one of them may have finished a table of its own.
        let user_tables = user_tables(&self.cache.db).map_err(self.cache.failed("read"))?;
        kept.tables.extend(user_tables);
        for (root, kept) in [
            (home.objects(), &kept.objects),
            (home.packs(), &kept.packs),
            (home.tables(), &kept.tables),
        ] {
            sweep(&root, &root, kept, dry_run, &mut outcome)?;
        }
        Ok(outcome)
    }
}

struct KeptFiles {
    objects: BTreeSet<String>,
    packs: BTreeSet<String>,
    tables: BTreeSet<String>,
}

fn user_tables(db: &rusqlite::Connection) -> rusqlite::Result<BTreeSet<String>> {
    db.prepare("SELECT table_path FROM user_file")?
        .query_map([], |row| row.get(0))?
        .collect()
}

fn kept_files(db: &Transaction<'_>) -> rusqlite::Result<KeptFiles> {
    let texts = |sql: &str| -> rusqlite::Result<BTreeSet<String>> {
        db.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
    };
    let objects = texts("SELECT sha256 FROM object UNION SELECT sha256 FROM pending")?;
    Ok(KeptFiles {
        objects: objects
            .iter()
            .filter_map(|hash| Some(format!("{}/{}", hash.get(..2)?, hash.get(2..)?)))
            .collect(),
        packs: kept_packs(db)?,
        tables: texts("SELECT table_path FROM report UNION SELECT table_path FROM trail_file")?,
    })
}

fn forget(
    db: &Transaction<'_>,
    retention: Retention,
    now: DateTime<Utc>,
) -> rusqlite::Result<PruneOutcome> {
    let mut outcome = PruneOutcome::default();
    if retention == Retention::default() {
        return Ok(outcome);
    }
    let kept = db
        .prepare("SELECT source_id, id, taken_at FROM snapshot ORDER BY source_id, taken_at DESC")?
        .query_map([], |row| {
            Ok((row.get(0)?, (SnapshotId(row.get(1)?), instant(row, 2)?)))
        })?
        .collect::<rusqlite::Result<Vec<(i64, _)>>>()?;
    for of_one_source in kept.chunk_by(|a, b| a.0 == b.0) {
        let newest_first = of_one_source.iter().map(|(_, snapshot)| *snapshot);
        outcome
            .snapshots
            .extend(forgotten(&newest_first.collect::<Vec<_>>(), retention, now));
    }
    for id in &outcome.snapshots {
        db.prepare_cached("DELETE FROM snapshot WHERE id = ?1")?
            .execute([id.0])?;
    }
    // An imported report's key may have no version left; its link would keep the bytes.
    db.execute(
        "INSERT OR IGNORE INTO stale_link (source_id, key) SELECT source_id, key FROM object WHERE valid_to IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM object n WHERE n.source_id = object.source_id AND n.key = object.key AND n.valid_to IS NULL)
           AND NOT EXISTS (
             SELECT 1 FROM snapshot p WHERE p.source_id = object.source_id AND p.taken_at >= object.valid_from AND p.taken_at < object.valid_to)",
        [],
    )?;
    // A report outlives its version when the next one could not be read.
    outcome.version_count = db.execute(
        "DELETE FROM object WHERE valid_to IS NOT NULL AND NOT EXISTS (
             SELECT 1 FROM snapshot p WHERE p.source_id = object.source_id AND p.taken_at >= object.valid_from AND p.taken_at < object.valid_to)
           AND NOT EXISTS (
             SELECT 1 FROM report r WHERE r.object_id = object.id AND (r.valid_to IS NULL OR EXISTS (
               SELECT 1 FROM snapshot p WHERE p.source_id = object.source_id AND p.taken_at >= r.valid_from AND p.taken_at < r.valid_to)))",
        [],
    )? as u64;
    Ok(outcome)
}

/// Which snapshots of a source, newest first, no rule keeps: oldest first.
fn forgotten(
    newest_first: &[(SnapshotId, DateTime<Utc>)],
    retention: Retention,
    now: DateTime<Utc>,
) -> Vec<SnapshotId> {
    let newest = retention.keep_snapshots.unwrap_or(0).max(1);
    let since = retention.keep_days.map(|days| {
        now.checked_sub_signed(TimeDelta::days(days.into()))
            .unwrap_or(DateTime::UNIX_EPOCH)
    });
    let month = |at: DateTime<Utc>| (at.year(), at.month());
    let mut months = BTreeSet::new();
    let mut gone = Vec::new();
    for (index, (id, at)) in newest_first.iter().enumerate() {
        let is_first_of_month = newest_first
            .get(index + 1)
            .is_none_or(|(_, before)| month(*before) != month(*at));
        let keeps_month = retention.keep_months.is_some_and(|limit| {
            months.insert(month(*at));
            is_first_of_month && months.len() as u64 <= u64::from(limit)
        });
        let is_new = (index as u64) < newest;
        let is_young = since.is_some_and(|since| *at >= since);
        if !is_new && !is_young && !keeps_month {
            gone.push(*id);
        }
    }
    gone.reverse();
    gone
}

/// Removes every file below `folder` whose path relative to `root` is not kept.
pub(crate) fn sweep(
    root: &Path,
    folder: &Path,
    kept: &BTreeSet<String>,
    dry_run: bool,
    outcome: &mut PruneOutcome,
) -> Result<(), CacheError> {
    for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
        let entry = entry.map_err(io_error("list", folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(io_error("read", &path))?;
        if kind.is_dir() {
            sweep(root, &path, kept, dry_run, outcome)?;
            continue;
        }
        let relative = path.strip_prefix(root).unwrap_or(&path);
        let name = relative
            .iter()
            .map(|part| part.to_string_lossy())
            .collect::<Vec<_>>()
            .join("/");
        let size_bytes = entry.metadata().map_err(io_error("read", &path))?.len();
        if kept.contains(&name) {
            outcome.kept_bytes += size_bytes;
        } else {
            outcome.file_count += 1;
            outcome.freed_bytes += size_bytes;
            if !dry_run {
                remove_file(&path)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("{text}T08:00:00Z").parse().unwrap()
    }

    /// Ids of what is forgotten; the days descend, their ids begin with 0.
    fn gone(days: &[&str], retention: Retention) -> Vec<i64> {
        let snapshots = days
            .iter()
            .enumerate()
            .map(|(id, day)| (SnapshotId(id as i64), at(day)))
            .collect::<Vec<_>>();
        forgotten(&snapshots, retention, at("2026-03-10"))
            .into_iter()
            .map(|id| id.0)
            .collect()
    }

    const DAYS: [&str; 7] = [
        "2026-03-09",
        "2026-03-08",
        "2026-03-01",
        "2026-02-20",
        "2026-02-02",
        "2025-12-31",
        "2025-12-30",
    ];

    #[test]
    fn a_snapshot_stays_when_any_rule_keeps_it() {
        let rule = Retention::default();
        let count = |n| Retention {
            keep_snapshots: Some(n),
            ..rule
        };
        let days = |n| Retention {
            keep_days: Some(n),
            ..rule
        };
        let months = |n| Retention {
            keep_months: Some(n),
            ..rule
        };
        assert_eq!(gone(&DAYS, count(3)), [6, 5, 4, 3]);
        assert_eq!(gone(&DAYS, count(0)), [6, 5, 4, 3, 2, 1]);
        assert_eq!(gone(&DAYS, days(9)), [6, 5, 4, 3]);
        assert_eq!(gone(&DAYS, months(u32::MAX)), [5, 3, 1]);
        assert_eq!(gone(&DAYS, months(2)), [6, 5, 3, 1]);
        let all = Retention {
            keep_snapshots: Some(2),
            keep_days: Some(9),
            keep_months: Some(1),
        };
        assert_eq!(gone(&DAYS, all), [6, 5, 4, 3]);
        assert_eq!(gone(&[], count(1)), [0; 0]);
    }
}
