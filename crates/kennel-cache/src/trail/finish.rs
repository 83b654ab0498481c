//! The end of a CloudTrail sync: one transaction that shows what its batches committed.

use std::{collections::BTreeSet, path::Path};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    TrailFinish, TrailFlags, TrailListed,
    batch::{ensure_prefix, failed, insert_files},
    held,
    range::Covered,
};
use crate::{
    CacheError, CacheWriter, CommitOutcome, FailureStage, SnapshotId, TrailKey, TrailPrefix,
    manifest::{instant, micros},
};

impl CacheWriter {
    /// Ends a sync of a CloudTrail source, in one transaction: pending table files and coverage become
    /// visible, compacted files take the place of theirs, checkpoints advance.
    ///
    /// Files that were replaced stay on disk for readers that have them open, until
    /// [`CacheWriter::remove_replaced_tables`] finds none, or the next writer.
    /// A snapshot is made when objects were added or changed since the last one.
    ///
    /// # Errors
    /// [`CacheError::UnknownTableFile`] when a replaced file is not this source's,
    /// [`CacheError::UnknownSource`], [`CacheError::Io`], [`CacheError::Manifest`]; nothing is visible then.
    pub fn finish_trail_sync(&mut self, finish: &TrailFinish) -> Result<CommitOutcome, CacheError> {
        let source_id = self.cache.source_id(&finish.source)?;
        self.stage().sync_names()?;
        let path = self.cache.home.manifest();
        let transaction = self.transaction()?;
        let outcome = write(&transaction, &path, source_id, finish)?;
        transaction.commit().map_err(failed(path))?;
        Ok(outcome)
    }
}

fn write(
    db: &Transaction<'_>,
    path: &Path,
    source_id: i64,
    finish: &TrailFinish,
) -> Result<CommitOutcome, CacheError> {
    let failed = || failed(path.to_owned());
    let at = snapshot_time(db, source_id, finish.taken_at).map_err(failed())?;
    for id in &finish.replaced_files {
        let count = db
            .execute(
                "DELETE FROM trail_file WHERE id = ?1 AND source_id = ?2",
                [*id, source_id],
            )
            .map_err(failed())?;
        if count == 0 {
            return Err(CacheError::UnknownTableFile { id: *id });
        }
    }
    write_rest(db, source_id, at, finish).map_err(failed())
}

/// Time never runs backwards: a snapshot is at least one microsecond later than the one before.
fn snapshot_time(
    db: &Transaction<'_>,
    source_id: i64,
    wished: DateTime<Utc>,
) -> rusqlite::Result<i64> {
    let last = db
        .query_row(
            "SELECT taken_at FROM snapshot WHERE source_id = ?1 ORDER BY taken_at DESC LIMIT 1",
            [source_id],
            |row| instant(row, 0),
        )
        .optional()?;
    Ok(micros(last.map_or(wished, |last| {
        wished.max(last + TimeDelta::microseconds(1))
    })))
}

fn write_rest(
    db: &Transaction<'_>,
    source_id: i64,
    at: i64,
    finish: &TrailFinish,
) -> rusqlite::Result<CommitOutcome> {
    insert_files(db, source_id, &finish.files, Some(at))?;
    db.execute(
        "UPDATE trail_file SET visible_from = ?2 WHERE source_id = ?1 AND visible_from IS NULL",
        [source_id, at],
    )?;
    show_coverage(db, source_id)?;
    for listed in &finish.listed {
        advance(db, source_id, micros(finish.taken_at), listed)?;
    }
    for (key, modified_at) in &finish.refreshed {
        if let Some(read) = TrailKey::parse(key) {
            let prefix = ensure_prefix(db, source_id, &read.prefix)?;
            let name = &key[read.prefix.prefix.len()..];
            db.prepare_cached(
                "UPDATE trail_object SET modified_at = ?3 WHERE prefix_id = ?1 AND name = ?2",
            )?
            .execute(params![prefix, name, micros(*modified_at)])?;
        }
    }
    write_failures(db, source_id, finish)?;
    let outcome = write_snapshot(db, source_id, at, finish)?;
    db.execute(
        "INSERT INTO sync_run (source_id, started_at, ended_at, fetched_count, fetched_bytes, unchanged_count, failed_count, error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            source_id,
            micros(finish.started_at),
            micros(finish.taken_at),
            finish.fetched_count,
            finish.fetched_bytes,
            finish.unchanged_count,
            finish.failures.len() as u64,
            finish.error
        ],
    )?;
    Ok(outcome)
}

/// Adds what the batches counted to what readers see.
fn show_coverage(db: &Transaction<'_>, source_id: i64) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO trail_day (prefix_id, day, category, is_pending, object_count, event_count)
         SELECT prefix_id, day, category, 0, object_count, event_count FROM trail_day
         WHERE is_pending = 1 AND prefix_id IN (SELECT id FROM trail_prefix WHERE source_id = ?1)
         ON CONFLICT DO UPDATE SET object_count = object_count + excluded.object_count, event_count = event_count + excluded.event_count",
        [source_id],
    )?;
    held::add_pending(db, source_id)?;
    db.execute(
        "DELETE FROM trail_day WHERE is_pending = 1 AND prefix_id IN (SELECT id FROM trail_prefix WHERE source_id = ?1)",
        [source_id],
    )?;
    Ok(())
}

fn advance(
    db: &Transaction<'_>,
    source_id: i64,
    at: i64,
    listed: &TrailListed,
) -> rusqlite::Result<()> {
    let id = ensure_prefix(db, source_id, &listed.prefix)?;
    let before = db
        .prepare_cached("SELECT covered_from, checkpoint_day FROM trail_prefix WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(Covered {
                from: super::read::optional_day(row, 0)?,
                checkpoint: super::read::optional_day(row, 1)?,
            })
        })?;
    let after = before.after(listed);
    db.prepare_cached(
        "UPDATE trail_prefix SET covered_from = ?2, checkpoint_day = ?3, full_listed_at = coalesce(?4, full_listed_at) WHERE id = ?1",
    )?
    .execute(params![
        id,
        after.from.as_ref().map(|day| day.as_str()),
        after.checkpoint.as_ref().map(|day| day.as_str()),
        listed.is_full.then_some(at)
    ])
    .map(drop)
}

/// Keeps failures until a sync that looked at the same thing did not meet them again.
///
/// Most syncs look at few days: unlike a k9 sync, one that says nothing of an old failure proves nothing.
fn write_failures(
    db: &Transaction<'_>,
    source_id: i64,
    finish: &TrailFinish,
) -> rusqlite::Result<()> {
    let at = micros(finish.taken_at);
    for (key, stage, message) in &finish.failures {
        db.prepare_cached(
            "INSERT INTO failure (source_id, key, stage, message, failed_at, first_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
             ON CONFLICT (source_id, key, stage) DO UPDATE SET message = excluded.message, failed_at = excluded.failed_at",
        )?
        .execute(params![source_id, key, stage.as_str(), message, at])?;
    }
    let met = finish.failures.iter();
    let met = met.map(|(key, stage, _)| (key.as_str(), stage.as_str()));
    let met = met.collect::<BTreeSet<_>>();
    let mut known: Vec<(String, String)> = db
        .prepare_cached("SELECT key, stage FROM failure WHERE source_id = ?1")?
        .query_map([source_id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    known.retain(|(key, stage)| !met.contains(&(key.as_str(), stage.as_str())));
    for (key, stage) in known {
        let is_over = if stage == FailureStage::List.as_str() {
            let is_listed = |listed: &TrailListed| listed.prefix.prefix == key;
            finish.covers_all || finish.listed.iter().any(is_listed)
        } else {
            finish.listed.iter().any(|listed| looked_at(listed, &key))
                && !is_damaged(db, source_id, &key)?
        };
        if is_over {
            db.prepare_cached(
                "DELETE FROM failure WHERE source_id = ?1 AND key = ?2 AND stage = ?3",
            )?
            .execute(params![source_id, key, stage])?;
        }
    }
    Ok(())
}

fn looked_at(listed: &TrailListed, key: &str) -> bool {
    let name = key.strip_prefix(&listed.prefix.prefix);
    let day = name.and_then(TrailPrefix::split_name).map(|(day, _)| day);
    day.is_some_and(|day| {
        listed.from.is_none_or(|from| from <= day) && listed.until.is_none_or(|until| day <= until)
    })
}

/// Whether the object is committed though not all of it could be read: no sync looks at it again.
fn is_damaged(db: &Transaction<'_>, source_id: i64, key: &str) -> rusqlite::Result<bool> {
    let Some(read) = TrailKey::parse(key) else {
        return Ok(false);
    };
    let flags: Option<i64> = db
        .prepare_cached(
            "SELECT o.flags FROM trail_object o JOIN trail_prefix p ON p.id = o.prefix_id WHERE p.source_id = ?1 AND p.prefix = ?2 AND o.name = ?3",
        )?
        .query_row(
            params![source_id, read.prefix.prefix, &key[read.prefix.prefix.len()..]],
            |row| row.get(0),
        )
        .optional()?;
    Ok(flags.is_some_and(|flags| TrailFlags::from_bits(flags).damaged))
}

/// The snapshot, when there is something new; added objects are also those of syncs that were killed.
fn write_snapshot(
    db: &Transaction<'_>,
    source_id: i64,
    at: i64,
    finish: &TrailFinish,
) -> rusqlite::Result<CommitOutcome> {
    let (object_count, size_bytes): (u64, u64) = db.query_row(
        "SELECT coalesce(sum(object_count), 0), coalesce(sum(size_bytes), 0) FROM trail_prefix WHERE source_id = ?1",
        [source_id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let before: Option<u64> = db
        .query_row(
            "SELECT object_count FROM snapshot WHERE source_id = ?1 ORDER BY taken_at DESC LIMIT 1",
            [source_id],
            |row| row.get(0),
        )
        .optional()?;
    let mut outcome = CommitOutcome {
        snapshot: None,
        added_count: object_count.saturating_sub(before.unwrap_or(0)),
        changed_count: finish.changed_count,
        missing_count: 0,
    };
    if outcome.added_count + outcome.changed_count > 0 {
        db.execute(
            "INSERT INTO snapshot (source_id, taken_at, added_count, changed_count, missing_count, object_count, size_bytes, complete)
             VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7)",
            params![
                source_id,
                at,
                outcome.added_count,
                outcome.changed_count,
                object_count,
                size_bytes,
                finish.failures.is_empty() && finish.error.is_none()
            ],
        )?;
        outcome.snapshot = Some(SnapshotId(db.last_insert_rowid()));
    }
    Ok(outcome)
}
