//! Look-ups of CloudTrail objects, table files and coverage.

use std::{
    cmp::Ordering,
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use rusqlite::{OptionalExtension, Row, params, types::Type, types::ValueRef};

use super::{
    CoveragePlace, EventCategory, KnownTrailPrefix, NewTrailFile, TrailCoverage, TrailFile,
    TrailFlags, TrailObject, TrailPlace, TrailTable,
};
use crate::{
    AccountId, Cache, CacheError, DeliveryDay, FetchedObject, KnownObject, PackRange, PackReader,
    Sha256, SourceName, TrailFolder, TrailKey, TrailPrefix,
    manifest::{instant, optional_instant, parsed},
};

/// Rows read at once: bounds memory, also when many prefixes are read side by side.
const PAGE: usize = 2_000;

impl Cache {
    /// The table files that readers see, oldest first.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn trail_files(&self, table: TrailTable) -> Result<Vec<TrailFile>, CacheError> {
        let sql = format!("{FILES} WHERE f.kind = ?1 AND f.visible_from IS NOT NULL ORDER BY f.id");
        self.select(&sql, [table.as_str()], trail_file)
    }

    /// The table files that batches committed since the last sync of this source ended, oldest first.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn pending_trail_files(&self, source: &SourceName) -> Result<Vec<TrailFile>, CacheError> {
        let id = self.source_id(source)?;
        let sql =
            format!("{FILES} WHERE f.source_id = ?1 AND f.visible_from IS NULL ORDER BY f.id");
        self.select(&sql, [id], trail_file)
    }

    /// The folders of a source that hold objects, by prefix and day.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn trail_places(&self, source: &SourceName) -> Result<Vec<TrailPlace>, CacheError> {
        let id = self.source_id(source)?;
        let prefixes = self.select(
            "SELECT id, prefix FROM trail_prefix WHERE source_id = ?1",
            [id],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)),
        )?;
        let prefixes = prefixes
            .into_iter()
            .filter_map(|(id, prefix)| Some((id, Arc::new(TrailPrefix::parse(&prefix)?))))
            .collect::<HashMap<_, _>>();
        let mut places = self
            .select(
                "SELECT prefix_id, day FROM trail_day WHERE is_pending = 0",
                [],
                |row| {
                    let Some(prefix) = prefixes.get(&row.get(0)?) else {
                        return Ok(None);
                    };
                    Ok(Some(TrailPlace {
                        prefix: Arc::clone(prefix),
                        day: day(row, 1)?,
                    }))
                },
            )?
            .into_iter()
            .flatten()
            .collect::<Vec<_>>();
        places.sort_by(|a, b| {
            let by_prefix = match Arc::ptr_eq(&a.prefix, &b.prefix) {
                true => Ordering::Equal,
                false => a.prefix.cmp(&b.prefix),
            };
            by_prefix.then_with(|| a.day.cmp(&b.day))
        });
        // A day has a row for each category.
        places.dedup();
        Ok(places)
    }

    /// The prefixes of a source, ascending.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn trail_prefixes(&self, source: &SourceName) -> Result<Vec<KnownTrailPrefix>, CacheError> {
        let id = self.source_id(source)?;
        self.select(
            "SELECT prefix, account_id, folder, region, covered_from, checkpoint_day, full_listed_at, object_count, size_bytes, record_count
             FROM trail_prefix WHERE source_id = ?1 ORDER BY prefix",
            [id],
            known_prefix,
        )
    }

    /// The objects of a prefix whose names come after `after_name`, ascending by the bytes of their keys,
    /// read page by page. A name is what follows the prefix in a key. Of an unknown prefix there are none.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn known_trail_objects(
        &self,
        source: &SourceName,
        prefix: &str,
        after_name: Option<&str>,
    ) -> Result<KnownTrailObjects<'_>, CacheError> {
        let id = self.source_id(source)?;
        let prefix_id = self
            .db
            .query_row(
                "SELECT id FROM trail_prefix WHERE source_id = ?1 AND prefix = ?2",
                params![id, prefix],
                |row| row.get(0),
            )
            .optional()
            .map_err(self.failed("read"))?;
        Ok(KnownTrailObjects {
            cache: self,
            prefix: prefix.to_owned(),
            prefix_id,
            page: VecDeque::new(),
            after: after_name.unwrap_or_default().to_owned(),
        })
    }

    /// What readers of the CloudTrail tables can find: by source, account, region, day and category.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn trail_coverage(&self) -> Result<Vec<TrailCoverage>, CacheError> {
        self.trail_coverage_of(|_| true)
    }

    /// [`Cache::trail_coverage`] of the places that are admitted: no others are read.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn trail_coverage_of(
        &self,
        admits: impl Fn(&CoveragePlace) -> bool,
    ) -> Result<Vec<TrailCoverage>, CacheError> {
        let places = self.select(
            "SELECT p.id, s.name, p.account_id, p.region FROM trail_prefix p JOIN source s ON s.id = p.source_id",
            [],
            |row| {
                let place = CoveragePlace {
                    source: parsed(row, 1)?,
                    account_id: AccountId::new(row.get::<_, String>(2)?),
                    region: row.get(3)?,
                };
                Ok((row.get::<_, i64>(0)?, place))
            },
        )?;
        let mut coverage = Vec::new();
        for (prefix_id, place) in places {
            if !admits(&place) {
                continue;
            }
            let place = Arc::new(place);
            coverage.extend(self.select(
                "SELECT day, category, object_count, event_count FROM trail_day WHERE prefix_id = ?1 AND is_pending = 0",
                [prefix_id],
                |row| {
                    Ok(TrailCoverage {
                        place: Arc::clone(&place),
                        day: day(row, 0)?,
                        category: EventCategory::from_name(text(row, 1)?),
                        object_count: row.get(2)?,
                        event_count: row.get(3)?,
                    })
                },
            )?);
        }
        // Rows of one prefix are in order already.
        coverage.sort_by(|a, b| {
            let place = match Arc::ptr_eq(&a.place, &b.place) {
                true => Ordering::Equal,
                false => a.place.cmp(&b.place),
            };
            let category = || a.category.as_str().cmp(b.category.as_str());
            place.then_with(|| a.day.cmp(&b.day)).then_with(category)
        });
        // A place may have several prefixes: folders, or trails.
        coverage.dedup_by(|next, row| {
            let is_same =
                (&next.place, next.day, next.category) == (&row.place, row.day, row.category);
            if is_same {
                row.object_count += next.object_count;
                row.event_count += next.event_count;
            }
            is_same
        });
        Ok(coverage)
    }

    /// All CloudTrail objects, by source and key, read page by page.
    pub fn trail_objects(&self) -> TrailObjects<'_> {
        TrailObjects {
            cache: self,
            prefixes: None,
            page: VecDeque::new(),
            after: String::new(),
        }
    }

    /// The CloudTrail object with this key.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn trail_object(
        &self,
        source: &SourceName,
        key: &str,
    ) -> Result<Option<TrailObject>, CacheError> {
        let id = self.source_id(source)?;
        let Some(read) = TrailKey::parse(key) else {
            return Ok(None);
        };
        let prefix = &read.prefix.prefix;
        let sql = format!("{OBJECTS} WHERE p.source_id = ?1 AND p.prefix = ?2 AND o.name = ?3");
        let name = &key[prefix.len()..];
        Ok(self
            .select(&sql, params![id, prefix, name], trail_object)?
            .pop())
    }

    /// The bytes of a CloudTrail object; `None` when there is no such object, or its bytes were not kept.
    ///
    /// # Errors
    /// [`CacheError::DamagedPack`] when they are not those that were fetched,
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn trail_object_bytes(
        &self,
        source: &SourceName,
        key: &str,
    ) -> Result<Option<Vec<u8>>, CacheError> {
        match self.trail_object(source, key)? {
            Some(object) => object.bytes(&mut self.pack_reader()),
            None => Ok(None),
        }
    }

    /// Reads the bytes of many CloudTrail objects; see [`TrailObject::bytes`].
    pub fn pack_reader(&self) -> PackReader {
        PackReader::new(self.home.clone())
    }
}

impl TrailObject {
    /// The object's bytes; `None` when they were not kept.
    ///
    /// # Errors
    /// [`CacheError::DamagedPack`] when they are not those that were fetched.
    pub fn bytes(&self, reader: &mut PackReader) -> Result<Option<Vec<u8>>, CacheError> {
        let Some((pack, range)) = self.pack else {
            return Ok(None);
        };
        match self.read(reader, pack, range) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(what) => Err(CacheError::DamagedPack {
                key: self.object.key.clone(),
                path: reader.path(&pack),
                what,
            }),
        }
    }

    /// The bytes, or what is wrong with them.
    pub(crate) fn read(
        &self,
        reader: &mut PackReader,
        pack: Sha256,
        range: PackRange,
    ) -> Result<Vec<u8>, String> {
        let bytes = reader
            .read(pack, range)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => "missing".to_owned(),
                std::io::ErrorKind::UnexpectedEof => "cut off".to_owned(),
                _ => format!("unreadable: {error}"),
            })?;
        match Sha256::of(&bytes) {
            found if found == self.object.sha256 => Ok(bytes),
            found => Err(format!("SHA-256 is {found}")),
        }
    }
}

/// Iterator over the known objects of a prefix; see [`Cache::known_trail_objects`].
#[derive(Debug)]
pub struct KnownTrailObjects<'a> {
    cache: &'a Cache,
    prefix: String,
    /// `None`: there is nothing more.
    prefix_id: Option<i64>,
    page: VecDeque<KnownObject>,
    /// The last name read; names are never empty.
    after: String,
}

impl KnownTrailObjects<'_> {
    fn next_page(&mut self, prefix_id: i64) -> Result<(), CacheError> {
        let prefix = &self.prefix;
        let page = self.cache.select(
            "SELECT name, size_bytes, etag, modified_at, version_id FROM trail_object WHERE prefix_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
            params![prefix_id, self.after, PAGE as u64],
            |row| {
                Ok(KnownObject {
                    key: format!("{prefix}{}", text(row, 0)?),
                    size_bytes: row.get(1)?,
                    etag: etag(row, 2)?,
                    modified_at: instant(row, 3)?,
                    version_id: row.get(4)?,
                    missing_since: None,
                })
            },
        )?;
        if page.len() < PAGE {
            self.prefix_id = None;
        }
        if let Some(last) = page.last() {
            last.key[prefix.len()..].clone_into(&mut self.after);
        }
        self.page = page.into();
        Ok(())
    }
}

impl Iterator for KnownTrailObjects<'_> {
    type Item = Result<KnownObject, CacheError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty()
            && let Some(prefix_id) = self.prefix_id
            && let Err(error) = self.next_page(prefix_id)
        {
            self.prefix_id = None;
            return Some(Err(error));
        }
        self.page.pop_front().map(Ok)
    }
}

/// Iterator over all CloudTrail objects; see [`Cache::trail_objects`].
#[derive(Debug)]
pub struct TrailObjects<'a> {
    cache: &'a Cache,
    /// Ids of the prefixes that are not read to their end, the first of them under way; `None` before the first
    /// step.
    prefixes: Option<VecDeque<i64>>,
    page: VecDeque<TrailObject>,
    /// The last name read of the first prefix.
    after: String,
}

impl<'a> TrailObjects<'a> {
    /// The objects of these prefixes.
    pub(super) fn of(cache: &'a Cache, prefixes: Vec<i64>) -> Self {
        Self {
            cache,
            prefixes: Some(prefixes.into()),
            page: VecDeque::new(),
            after: String::new(),
        }
    }

    /// Reads on until there is a page or nothing is left.
    fn next_page(&mut self) -> Result<(), CacheError> {
        if self.prefixes.is_none() {
            let ids = self.cache.select(
                "SELECT p.id FROM trail_prefix p JOIN source s ON s.id = p.source_id ORDER BY s.name, p.prefix",
                [],
                |row| row.get(0),
            )?;
            self.prefixes = Some(ids.into());
        }
        let sql =
            format!("{OBJECTS} WHERE o.prefix_id = ?1 AND o.name > ?2 ORDER BY o.name LIMIT ?3");
        while self.page.is_empty()
            && let Some(prefixes) = &mut self.prefixes
            && let Some(id) = prefixes.front().copied()
        {
            let mut last = String::new();
            let page = self
                .cache
                .select(&sql, params![id, self.after, PAGE as u64], |row| {
                    last = row.get(1)?;
                    trail_object(row)
                })?;
            if page.len() < PAGE {
                prefixes.pop_front();
                last.clear();
            }
            self.after = last;
            self.page = page.into();
        }
        Ok(())
    }
}

impl Iterator for TrailObjects<'_> {
    type Item = Result<TrailObject, CacheError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty()
            && let Err(error) = self.next_page()
        {
            self.prefixes = Some(VecDeque::new());
            return Some(Err(error));
        }
        self.page.pop_front().map(Ok)
    }
}

const FILES: &str = "SELECT f.id, s.name, f.kind, f.table_path, f.size_bytes, f.row_count, f.event_time_min, f.event_time_max, f.delivery_day_min, f.delivery_day_max,
    f.columns, f.statistics, f.level, f.visible_from FROM trail_file f JOIN source s ON s.id = f.source_id";
const OBJECTS: &str = "SELECT p.prefix, o.name, o.etag, o.size_bytes, o.modified_at, o.version_id, c.text, o.sha256, v.text, o.metadata, o.fetched_at,
    k.sha256, o.pack_offset, o.record_count, o.flags, s.name
    FROM trail_object o JOIN trail_prefix p ON p.id = o.prefix_id JOIN source s ON s.id = p.source_id JOIN word v ON v.id = o.verified_by
    LEFT JOIN word c ON c.id = o.storage_class LEFT JOIN pack k ON k.id = o.pack_id";

pub(super) fn wrong(index: usize, what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, what.into())
}

pub(super) fn text<'r>(row: &'r Row<'_>, index: usize) -> rusqlite::Result<&'r str> {
    Ok(row.get_ref(index)?.as_str()?)
}

fn etag(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    match row.get_ref(index)? {
        ValueRef::Blob(digits) => Ok(hex::encode(digits)),
        other => Ok(other.as_str()?.to_owned()),
    }
}

pub(super) fn day(row: &Row<'_>, index: usize) -> rusqlite::Result<DeliveryDay> {
    let text = text(row, index)?;
    DeliveryDay::parse(text).ok_or_else(|| wrong(index, format!("`{text}` is no day")))
}

pub(super) fn optional_day(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<DeliveryDay>> {
    match row.get_ref(index)? {
        ValueRef::Null => Ok(None),
        _ => day(row, index).map(Some),
    }
}

fn trail_file(row: &Row<'_>) -> rusqlite::Result<TrailFile> {
    let table = text(row, 2)?;
    Ok(TrailFile {
        id: row.get(0)?,
        source: parsed(row, 1)?,
        file: NewTrailFile {
            table: table
                .parse()
                .map_err(|()| wrong(2, format!("unknown table `{table}`")))?,
            table_path: row.get(3)?,
            size_bytes: row.get(4)?,
            row_count: row.get(5)?,
            event_time: optional_instant(row, 6)?.zip(optional_instant(row, 7)?),
            delivery_day: optional_day(row, 8)?.zip(optional_day(row, 9)?),
            columns: row.get(10)?,
            statistics: row.get(11)?,
            level: row.get(12)?,
        },
        visible_from: optional_instant(row, 13)?,
    })
}

fn known_prefix(row: &Row<'_>) -> rusqlite::Result<KnownTrailPrefix> {
    let folder = text(row, 2)?;
    let folder: TrailFolder = folder
        .parse()
        .map_err(|()| wrong(2, format!("unknown folder `{folder}`")))?;
    Ok(KnownTrailPrefix {
        prefix: TrailPrefix {
            prefix: row.get(0)?,
            account_id: AccountId::new(row.get::<_, String>(1)?),
            folder,
            region: row.get(3)?,
        },
        covered_from: optional_day(row, 4)?,
        checkpoint_day: optional_day(row, 5)?,
        full_listed_at: optional_instant(row, 6)?,
        object_count: row.get(7)?,
        size_bytes: row.get(8)?,
        record_count: row.get(9)?,
    })
}

fn trail_object(row: &Row<'_>) -> rusqlite::Result<TrailObject> {
    let metadata = row.get::<_, Option<String>>(9)?;
    let size_bytes = row.get(3)?;
    let pack = row.get::<_, Option<[u8; 32]>>(11)?.map(Sha256);
    let offset = row.get::<_, Option<u64>>(12)?;
    Ok(TrailObject {
        source: parsed(row, 15)?,
        object: FetchedObject {
            key: format!("{}{}", text(row, 0)?, text(row, 1)?),
            etag: etag(row, 2)?,
            size_bytes,
            modified_at: instant(row, 4)?,
            version_id: row.get(5)?,
            storage_class: row.get(6)?,
            sha256: Sha256(row.get(7)?),
            verified_by: row.get(8)?,
            metadata: match metadata {
                Some(json) => {
                    serde_json::from_str(&json).map_err(|error| wrong(9, error.to_string()))?
                }
                None => Default::default(),
            },
            fetched_at: instant(row, 10)?,
        },
        pack: pack.zip(offset).map(|(pack, offset)| {
            let length = size_bytes;
            (pack, PackRange { offset, length })
        }),
        record_count: row.get(13)?,
        flags: TrailFlags::from_bits(row.get(14)?),
    })
}
