//! One transaction of a running sync: objects, their packs, and the table files with their records.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use rusqlite::{OptionalExtension, Transaction, params};

use super::{NewTrailFile, NewTrailObject, TrailBatch, TrailBatchOutcome, TrailFlags};
use crate::{
    CacheError, CacheWriter, DeliveryDay, EventCategory, FetchedObject, PackRange, Sha256,
    TrailKey, TrailPrefix, manifest::micros,
};

/// The row of an object that is not known; changes nothing when it is.
const PUT_NEW: &str = "INSERT INTO trail_object (prefix_id, name, etag, size_bytes, modified_at, version_id, storage_class, sha256,
     verified_by, metadata, fetched_at, pack_id, pack_offset, record_count, flags)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT DO NOTHING";
/// The row of an object in place of that of the version before.
const PUT_CHANGED: &str = "INSERT OR REPLACE INTO trail_object (prefix_id, name, etag, size_bytes, modified_at, version_id, storage_class, sha256,
     verified_by, metadata, fetched_at, pack_id, pack_offset, record_count, flags)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

impl CacheWriter {
    /// Commits objects together with the table files that hold their records: both or neither.
    ///
    /// The files, and what is added to the coverage, stay pending until
    /// [`CacheWriter::finish_trail_sync`]; the objects are known at once, so that a sync that goes on after
    /// a kill does not fetch them again.
    ///
    /// # Errors
    /// [`CacheError::AlreadyIngested`] for an object that is known with the same bytes,
    /// [`CacheError::NoTrailKey`] for one that no trail delivers, [`CacheError::UnknownPack`],
    /// [`CacheError::UnknownSource`], [`CacheError::Io`], [`CacheError::Manifest`]. Nothing is committed then.
    pub fn commit_trail_batch(
        &mut self,
        batch: &TrailBatch,
    ) -> Result<TrailBatchOutcome, CacheError> {
        let source_id = self.cache.source_id(&batch.source)?;
        self.stage().sync_names()?;
        let path = self.cache.home.manifest();
        let transaction = self.transaction()?;
        let mut writing = Writing {
            db: &transaction,
            path: path.clone(),
            source_id,
            prefixes: HashMap::new(),
            packs: HashMap::new(),
            words: RefCell::default(),
            sums: BTreeMap::new(),
            days: BTreeMap::new(),
            outcome: TrailBatchOutcome::default(),
        };
        writing.write(batch)?;
        let outcome = writing.outcome;
        transaction.commit().map_err(failed(path))?;
        Ok(outcome)
    }
}

pub(super) fn failed(path: PathBuf) -> impl FnOnce(rusqlite::Error) -> CacheError {
    move |source| CacheError::Manifest {
        action: "commit to",
        path,
        source,
    }
}

struct Writing<'t> {
    db: &'t Transaction<'t>,
    path: PathBuf,
    source_id: i64,
    /// Ids of prefixes met so far.
    prefixes: HashMap<String, i64>,
    packs: HashMap<Sha256, i64>,
    /// Ids of words met so far.
    words: RefCell<HashMap<String, i64>>,
    /// What the objects add to the sums of their prefixes: a batch has thousands of the one and dozens of the other.
    sums: BTreeMap<i64, Sums>,
    /// Objects and events that they add, by prefix, day and category.
    days: BTreeMap<(i64, DeliveryDay, EventCategory), (u64, u64)>,
    outcome: TrailBatchOutcome,
}

/// What a batch adds to the sums of a prefix.
#[derive(Default)]
struct Sums {
    object_count: u64,
    size_bytes: i64,
    record_count: u64,
}

/// What a row says of the version before.
struct Before {
    sha256: [u8; 32],
    size_bytes: i64,
}

impl Writing<'_> {
    fn write(&mut self, batch: &TrailBatch) -> Result<(), CacheError> {
        for pack in &batch.packs {
            let id = self
                .pack_id(pack.sha256, pack.size_bytes)
                .map_err(self.failed())?;
            self.packs.insert(pack.sha256, id);
        }
        // In the order of the rows: those of a folder are neighbours then, and lie on few pages.
        let mut objects = batch.objects.iter().collect::<Vec<_>>();
        objects.sort_by(|a, b| a.object.key.cmp(&b.object.key));
        for new in objects {
            self.object(new)?;
        }
        for object in &batch.refreshed {
            let key = trail_key(&object.key)?;
            self.refresh(&key, object).map_err(self.failed())?;
        }
        self.write_sums().map_err(self.failed())?;
        insert_files(self.db, self.source_id, &batch.files, None).map_err(self.failed())
    }

    fn failed(&self) -> impl FnOnce(rusqlite::Error) -> CacheError + use<> {
        failed(self.path.clone())
    }

    /// The row of a pack. One with the same bytes may be there: a batch that was repeated after a kill.
    fn pack_id(&self, sha256: Sha256, size_bytes: u64) -> rusqlite::Result<i64> {
        self.db
            .prepare_cached(
                "INSERT INTO pack (source_id, sha256, size_bytes) VALUES (?1, ?2, ?3)
                 ON CONFLICT (source_id, sha256) DO UPDATE SET size_bytes = excluded.size_bytes RETURNING id",
            )?
            .query_row(params![self.source_id, sha256.0, size_bytes], |row| row.get(0))
    }

    fn prefix_id(&mut self, prefix: &TrailPrefix) -> rusqlite::Result<i64> {
        if let Some(id) = self.prefixes.get(&prefix.prefix) {
            return Ok(*id);
        }
        let id = ensure_prefix(self.db, self.source_id, prefix)?;
        self.prefixes.insert(prefix.prefix.clone(), id);
        Ok(id)
    }

    fn object(&mut self, new: &NewTrailObject) -> Result<(), CacheError> {
        let key = trail_key(&new.object.key)?;
        let pack = match new.pack {
            None => None,
            Some((sha256, range)) => {
                let id = self.packs.get(&sha256).copied();
                let fits = range.length == new.object.size_bytes;
                Some((
                    id.filter(|_| fits).ok_or_else(|| CacheError::UnknownPack {
                        key: new.object.key.clone(),
                    })?,
                    range,
                ))
            }
        };
        let is_known = self.insert(&key, new, pack).map_err(self.failed())?;
        if is_known {
            return Err(CacheError::AlreadyIngested {
                key: new.object.key.clone(),
            });
        }
        Ok(())
    }

    /// Writes the row of an object; true, and nothing written, when the same bytes are known.
    fn insert(
        &mut self,
        key: &TrailKey,
        new: &NewTrailObject,
        pack: Option<(i64, PackRange)>,
    ) -> rusqlite::Result<bool> {
        let prefix_id = self.prefix_id(&key.prefix)?;
        let object = &new.object;
        let name = name_of(key, object);
        // Nearly all objects are new: what is known of the others is asked when that proves wrong.
        if self.put(PUT_NEW, prefix_id, name, new, pack, new.flags)? == 1 {
            self.add_up(prefix_id, key, new, None);
            self.outcome.added_count += 1;
            return Ok(false);
        }
        let before = self
            .db
            .prepare_cached(
                "SELECT sha256, size_bytes FROM trail_object WHERE prefix_id = ?1 AND name = ?2",
            )?
            .query_row(params![prefix_id, name], |row| {
                Ok(Before {
                    sha256: row.get(0)?,
                    size_bytes: row.get(1)?,
                })
            })?;
        if before.sha256 == object.sha256.0 {
            return Ok(true);
        }
        let flags = TrailFlags {
            replaced: true,
            ..new.flags
        };
        self.put(PUT_CHANGED, prefix_id, name, new, pack, flags)?;
        self.add_up(prefix_id, key, new, Some(&before));
        self.outcome.changed_count += 1;
        Ok(false)
    }

    /// Writes a row; how many rows that changed.
    fn put(
        &self,
        sql: &str,
        prefix_id: i64,
        name: &str,
        new: &NewTrailObject,
        pack: Option<(i64, PackRange)>,
        flags: TrailFlags,
    ) -> rusqlite::Result<usize> {
        let object = &new.object;
        self.db.prepare_cached(sql)?.execute(params![
            prefix_id,
            name,
            Etag::of(&object.etag),
            object.size_bytes,
            micros(object.modified_at),
            object.version_id,
            self.optional_word(object.storage_class.as_deref())?,
            object.sha256.0,
            self.word(&object.verified_by)?,
            metadata_text(object),
            micros(object.fetched_at),
            pack.map(|(id, _)| id),
            pack.map(|(_, range)| range.offset),
            new.record_count,
            flags.bits(),
        ])
    }

    /// Adds an object to the sums of its prefix and of its day.
    fn add_up(
        &mut self,
        prefix_id: i64,
        key: &TrailKey,
        new: &NewTrailObject,
        before: Option<&Before>,
    ) {
        let object_count = u64::from(before.is_none());
        let sums = self.sums.entry(prefix_id).or_default();
        sums.object_count += object_count;
        sums.size_bytes = sums
            .size_bytes
            .saturating_add_unsigned(new.object.size_bytes)
            .saturating_sub(before.map_or(0, |before| before.size_bytes));
        sums.record_count += new.record_count;
        for (category, event_count) in &new.categories {
            let day = self.days.entry((prefix_id, key.day, *category));
            let (objects, events) = day.or_default();
            *objects += object_count;
            *events += event_count;
        }
    }

    fn write_sums(&self) -> rusqlite::Result<()> {
        for (prefix_id, sums) in &self.sums {
            self.db
                .prepare_cached(
                    "UPDATE trail_prefix SET object_count = object_count + ?2, size_bytes = size_bytes + ?3, record_count = record_count + ?4 WHERE id = ?1",
                )?
                .execute(params![
                    prefix_id,
                    sums.object_count,
                    sums.size_bytes,
                    sums.record_count
                ])?;
        }
        for ((prefix_id, day, category), (object_count, event_count)) in &self.days {
            self.db
                .prepare_cached(
                    "INSERT INTO trail_day (prefix_id, day, category, is_pending, object_count, event_count) VALUES (?1, ?2, ?3, 1, ?4, ?5)
                     ON CONFLICT DO UPDATE SET object_count = object_count + excluded.object_count, event_count = event_count + excluded.event_count",
                )?
                .execute(params![
                    prefix_id,
                    day.as_str(),
                    category.as_str(),
                    object_count,
                    event_count
                ])?;
        }
        Ok(())
    }

    fn refresh(&mut self, key: &TrailKey, object: &FetchedObject) -> rusqlite::Result<()> {
        let prefix_id = self.prefix_id(&key.prefix)?;
        self.db
            .prepare_cached(
                "UPDATE trail_object SET etag = ?3, modified_at = ?4, version_id = ?5, storage_class = ?6, verified_by = ?7, metadata = ?8, fetched_at = ?9
                 WHERE prefix_id = ?1 AND name = ?2 AND sha256 = ?10",
            )?
            .execute(params![
                prefix_id,
                name_of(key, object),
                Etag::of(&object.etag),
                micros(object.modified_at),
                object.version_id,
                self.optional_word(object.storage_class.as_deref())?,
                self.word(&object.verified_by)?,
                metadata_text(object),
                micros(object.fetched_at),
                object.sha256.0
            ])
            .map(drop)
    }

    fn optional_word(&self, text: Option<&str>) -> rusqlite::Result<Option<i64>> {
        text.map(|text| self.word(text)).transpose()
    }

    fn word(&self, text: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.words.borrow().get(text) {
            return Ok(*id);
        }
        let known = self
            .db
            .prepare_cached("SELECT id FROM word WHERE text = ?1")?
            .query_row([text], |row| row.get(0))
            .optional()?;
        let id = match known {
            Some(id) => id,
            None => {
                self.db
                    .prepare_cached("INSERT INTO word (text) VALUES (?1)")?
                    .execute([text])?;
                self.db.last_insert_rowid()
            }
        };
        self.words.borrow_mut().insert(text.to_owned(), id);
        Ok(id)
    }
}

fn trail_key(key: &str) -> Result<TrailKey, CacheError> {
    TrailKey::parse(key).ok_or_else(|| CacheError::NoTrailKey { key: key.into() })
}

fn name_of<'k>(key: &TrailKey, object: &'k FetchedObject) -> &'k str {
    &object.key[key.prefix.prefix.len()..]
}

fn metadata_text(object: &FetchedObject) -> Option<String> {
    (!object.metadata.is_empty())
        .then(|| serde_json::to_string(&object.metadata).expect("a map of texts always serialises"))
}

/// The row of a prefix, which is made when there is none.
pub(super) fn ensure_prefix(
    db: &Transaction<'_>,
    source_id: i64,
    prefix: &TrailPrefix,
) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "INSERT INTO trail_prefix (source_id, prefix, account_id, folder, region) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        source_id,
        prefix.prefix,
        prefix.account_id.as_str(),
        prefix.folder.as_str(),
        prefix.region
    ])?;
    db.prepare_cached("SELECT id FROM trail_prefix WHERE source_id = ?1 AND prefix = ?2")?
        .query_row(params![source_id, prefix.prefix], |row| row.get(0))
}

pub(super) fn insert_files(
    db: &Transaction<'_>,
    source_id: i64,
    files: &[NewTrailFile],
    visible_from: Option<i64>,
) -> rusqlite::Result<()> {
    for file in files {
        db.prepare_cached(
            "INSERT INTO trail_file (source_id, kind, table_path, size_bytes, row_count, event_time_min, event_time_max,
                 delivery_day_min, delivery_day_max, columns, statistics, level, visible_from)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            source_id,
            file.table.as_str(),
            file.table_path,
            file.size_bytes,
            file.row_count,
            file.event_time.map(|(oldest, _)| micros(oldest)),
            file.event_time.map(|(_, newest)| micros(newest)),
            file.delivery_day.as_ref().map(|(first, _)| first.as_str()),
            file.delivery_day.as_ref().map(|(_, last)| last.as_str()),
            file.columns,
            file.statistics,
            file.level,
            visible_from
        ])?;
    }
    Ok(())
}

/// An ETag as the manifest keeps it: 32 lower-case hex digits are 16 bytes.
pub(super) enum Etag<'e> {
    Digits([u8; 16]),
    Text(&'e str),
}

impl<'e> Etag<'e> {
    pub(super) fn of(etag: &'e str) -> Self {
        let mut digits = [0; 16];
        // Upper-case digits would not come back as they were.
        let is_lower = !etag.bytes().any(|byte| byte.is_ascii_uppercase());
        match hex::decode_to_slice(etag, &mut digits) {
            Ok(()) if is_lower => Self::Digits(digits),
            _ => Self::Text(etag),
        }
    }
}

impl rusqlite::ToSql for Etag<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Digits(digits) => digits.to_sql(),
            Self::Text(text) => text.to_sql(),
        }
    }
}
