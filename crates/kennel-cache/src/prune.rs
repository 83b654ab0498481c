//! Retention: the only place that deletes what the manifest names, and only when asked.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Transaction;

use crate::{
    CacheError, CacheWriter, SnapshotId,
    files::{io_error, remove_file},
    lock::wait_for_readers,
    manifest::micros,
    trail::kept_packs,
};

/// How long files stay for queries that are already running.
const WAIT_FOR_READERS: Duration = Duration::from_secs(30);

/// Which snapshots of each source stay. The newest always does; a snapshot stays when either rule keeps it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// The newest so many.
    pub keep_snapshots: Option<u64>,
    /// Those younger than so many days.
    pub keep_days: Option<u32>,
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
        let home = &self.cache.home;
        let _no_readers = if dry_run {
            None
        } else {
            Some(wait_for_readers(home, WAIT_FOR_READERS)?)
        };
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
    let since = retention.keep_days.map_or(i64::MAX, |days| {
        micros(
            now.checked_sub_signed(TimeDelta::days(days.into()))
                .unwrap_or(DateTime::UNIX_EPOCH),
        )
    });
    let newest = retention
        .keep_snapshots
        .unwrap_or(0)
        .clamp(1, i64::MAX as u64);
    outcome.snapshots = db
        .prepare(
            "SELECT id FROM (SELECT id, taken_at, row_number() OVER (PARTITION BY source_id ORDER BY taken_at DESC) AS age FROM snapshot)
             WHERE age > ?1 AND taken_at < ?2 ORDER BY id",
        )?
        .query_map([newest as i64, since], |row| row.get(0).map(SnapshotId))?
        .collect::<rusqlite::Result<_>>()?;
    for id in &outcome.snapshots {
        db.prepare_cached("DELETE FROM snapshot WHERE id = ?1")?
            .execute([id.0])?;
    }
    outcome.version_count = db.execute(
        "DELETE FROM object WHERE valid_to IS NOT NULL AND NOT EXISTS (
             SELECT 1 FROM snapshot p WHERE p.source_id = object.source_id AND p.taken_at >= object.valid_from AND p.taken_at < object.valid_to)",
        [],
    )? as u64;
    Ok(outcome)
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
        if !kept.contains(&name) {
            outcome.file_count += 1;
            outcome.freed_bytes += entry.metadata().map_err(io_error("read", &path))?.len();
            if !dry_run {
                remove_file(&path)?;
            }
        }
    }
    Ok(())
}
