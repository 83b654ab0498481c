//! All table files of a CloudTrail source at once, made anew from its objects: one transaction, so that readers see the
//! old ones or the new ones.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rusqlite::{Transaction, params};

use super::{
    EventCategory, NewTrailFile, TrailFlags,
    batch::{ensure_prefix, failed, insert_files},
    held::Held,
};
use crate::{
    Cache, CacheError, CacheWriter, DeliveryDay, FailureStage, SourceName, TrailKey, TrailObjects,
    TrailPrefix, manifest::micros,
};

/// An object of which something else was read than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RereadObject {
    /// Its key.
    pub key: String,
    /// Records in the new files.
    pub record_count: u64,
    /// What is odd about it. It is no longer [`TrailFlags::replaced`]: only its newest bytes are in the new files.
    pub flags: TrailFlags,
}

/// What a source's objects hold of one day and category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedDay {
    /// Account, folder and region.
    pub prefix: TrailPrefix,
    /// The day of delivery.
    pub day: DeliveryDay,
    /// The category.
    pub category: EventCategory,
    /// Objects that hold such events.
    pub object_count: u64,
    /// Events.
    pub event_count: u64,
}

/// A source's tables, made anew; see [`CacheWriter::replace_trail_tables`].
#[derive(Debug, Clone)]
pub struct TrailRebuild {
    /// The source.
    pub source: SourceName,
    /// Now: since when readers see the files.
    pub at: DateTime<Utc>,
    /// Files with the records of all its objects but the forgotten ones, no more and no less.
    pub files: Vec<NewTrailFile>,
    /// Objects of which something else was read than before.
    pub reread: Vec<RereadObject>,
    /// The coverage of all its objects.
    pub days: Vec<CountedDay>,
    /// Objects whose bytes are lost, and with the old files their records, too: the next sync fetches them again.
    pub forgotten: Vec<String>,
    /// Objects of which not all could be read, and why.
    pub failures: Vec<(String, String)>,
}

impl Cache {
    /// The objects of one CloudTrail source, by key, read page by page. Also those that no snapshot shows yet.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn trail_objects_of(&self, source: &SourceName) -> Result<TrailObjects<'_>, CacheError> {
        let id = self.source_id(source)?;
        let prefixes = self.select(
            "SELECT id FROM trail_prefix WHERE source_id = ?1 ORDER BY prefix",
            [id],
            |row| row.get(0),
        )?;
        Ok(TrailObjects::of(self, prefixes))
    }

    /// Whether all table files of a CloudTrail source are there with the bytes that were written. Reads them.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn trail_tables_are_intact(&self, source: &SourceName) -> Result<bool, CacheError> {
        let id = self.source_id(source)?;
        let paths = self.select(
            "SELECT table_path FROM trail_file WHERE source_id = ?1",
            [id],
            |row| row.get::<_, String>(0),
        )?;
        Ok(paths.iter().all(|path| self.is_table_intact(path)))
    }
}

impl CacheWriter {
    /// Puts new table files in the place of all that a source has, with what was counted while they were made.
    ///
    /// The old files stay on disk for readers that have them open; a later writer removes them. What a killed
    /// sync had left pending is visible afterwards.
    ///
    /// # Errors
    /// [`CacheError::NoTrailKey`] for an object that no trail delivers, [`CacheError::UnknownSource`],
    /// [`CacheError::Io`], [`CacheError::Manifest`]; nothing is changed then.
    pub fn replace_trail_tables(&mut self, rebuild: &TrailRebuild) -> Result<(), CacheError> {
        let source_id = self.cache.source_id(&rebuild.source)?;
        let mut reread = Vec::with_capacity(rebuild.reread.len());
        for object in &rebuild.reread {
            reread.push((trail_key(&object.key)?, object));
        }
        let forgotten = rebuild.forgotten.iter().map(|key| trail_key(key));
        let forgotten = forgotten.collect::<Result<Vec<_>, _>>()?;
        self.stage().sync_names()?;
        let path = self.cache.home.manifest();
        let transaction = self.transaction()?;
        write(&transaction, source_id, rebuild, &reread, &forgotten)
            .and_then(|()| transaction.commit())
            .map_err(failed(path))
    }
}

fn trail_key(key: &str) -> Result<(TrailPrefix, String), CacheError> {
    let read = TrailKey::parse(key).ok_or_else(|| CacheError::NoTrailKey { key: key.into() })?;
    let name = key[read.prefix.prefix.len()..].to_owned();
    Ok((read.prefix, name))
}

fn write(
    db: &Transaction<'_>,
    source_id: i64,
    rebuild: &TrailRebuild,
    reread: &[((TrailPrefix, String), &RereadObject)],
    forgotten: &[(TrailPrefix, String)],
) -> rusqlite::Result<()> {
    db.execute("DELETE FROM trail_file WHERE source_id = ?1", [source_id])?;
    insert_files(db, source_id, &rebuild.files, Some(micros(rebuild.at)))?;
    for ((prefix, name), object) in reread {
        let flags = TrailFlags {
            replaced: false,
            ..object.flags
        };
        db.prepare_cached(
            "UPDATE trail_object SET record_count = ?3, flags = ?4 WHERE prefix_id = ?1 AND name = ?2",
        )?
        .execute(params![
            ensure_prefix(db, source_id, prefix)?,
            name,
            object.record_count,
            flags.bits()
        ])?;
    }
    for (prefix, name) in forgotten {
        let prefix_id = ensure_prefix(db, source_id, prefix)?;
        db.prepare_cached("DELETE FROM trail_object WHERE prefix_id = ?1 AND name = ?2")?
            .execute(params![prefix_id, name])?;
        // Its day may be long past: everything of the prefix is listed again.
        db.prepare_cached(
            "UPDATE trail_prefix SET covered_from = NULL, checkpoint_day = NULL, full_listed_at = NULL WHERE id = ?1",
        )?
        .execute([prefix_id])?;
    }
    write_days(db, source_id, &rebuild.days)?;
    db.execute(
        "UPDATE trail_prefix SET (object_count, size_bytes, record_count) =
             (SELECT count(*), coalesce(sum(o.size_bytes), 0), coalesce(sum(o.record_count), 0) FROM trail_object o WHERE o.prefix_id = trail_prefix.id)
         WHERE source_id = ?1",
        [source_id],
    )?;
    write_failures(db, source_id, rebuild)
}

fn write_days(db: &Transaction<'_>, source_id: i64, days: &[CountedDay]) -> rusqlite::Result<()> {
    for table in ["trail_day", "trail_held"] {
        db.execute(
            &format!("DELETE FROM {table} WHERE prefix_id IN (SELECT id FROM trail_prefix WHERE source_id = ?1)"),
            [source_id],
        )?;
    }
    let mut held = HashMap::<i64, Held>::new();
    for counted in days {
        let prefix_id = ensure_prefix(db, source_id, &counted.prefix)?;
        db.prepare_cached(
            "INSERT INTO trail_day (prefix_id, day, category, is_pending, object_count, event_count) VALUES (?1, ?2, ?3, 0, ?4, ?5)
             ON CONFLICT DO UPDATE SET object_count = object_count + excluded.object_count, event_count = event_count + excluded.event_count",
        )?
        .execute(params![
            prefix_id,
            counted.day.as_str(),
            counted.category.as_str(),
            counted.object_count,
            counted.event_count
        ])?;
        held.entry(prefix_id)
            .or_default()
            .add(counted.day, counted.category, counted.event_count);
    }
    held.iter()
        .try_for_each(|(prefix_id, held)| held.write(db, *prefix_id))
}

/// What could not be read is known anew; what could not be listed or fetched is as before.
fn write_failures(
    db: &Transaction<'_>,
    source_id: i64,
    rebuild: &TrailRebuild,
) -> rusqlite::Result<()> {
    let at = micros(rebuild.at);
    let stage = FailureStage::Ingest.as_str();
    let first_at: HashMap<String, i64> = db
        .prepare_cached("SELECT key, first_at FROM failure WHERE source_id = ?1 AND stage = ?2")?
        .query_map(params![source_id, stage], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    db.execute(
        "DELETE FROM failure WHERE source_id = ?1 AND stage = ?2",
        params![source_id, stage],
    )?;
    for (key, message) in &rebuild.failures {
        db.prepare_cached(
            "INSERT INTO failure (source_id, key, stage, message, failed_at, first_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (source_id, key, stage) DO UPDATE SET message = excluded.message",
        )?
        .execute(params![
            source_id,
            key,
            stage,
            message,
            at,
            first_at.get(key).copied().unwrap_or(at)
        ])?;
    }
    Ok(())
}
