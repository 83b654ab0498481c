//! Objects whose bytes in a pack are damaged: which, and where they lie after they were fetched again.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::{TrailObject, batch::failed};
use crate::{Cache, CacheError, CacheWriter, PackRange, Sha256, SourceName, TrailKey};

impl Cache {
    /// The objects of a CloudTrail source whose bytes are kept and are not those that were fetched, by key. Reads
    /// all packs of the source.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`].
    pub fn damaged_trail_objects(
        &self,
        source: &SourceName,
    ) -> Result<BTreeMap<String, TrailObject>, CacheError> {
        let mut damaged = BTreeMap::new();
        let mut reader = self.pack_reader();
        for object in self.trail_objects_of(source)? {
            let object = object?;
            if let Some((pack, range)) = object.pack
                && object.read(&mut reader, pack, range).is_err()
            {
                damaged.insert(object.object.key.clone(), object);
            }
        }
        Ok(damaged)
    }
}

impl CacheWriter {
    /// Says that known objects lie in this pack from now on, which a batch has named. Their records stay as they are.
    ///
    /// # Errors
    /// [`CacheError::UnknownPack`] when no batch of this source has named the pack, [`CacheError::NoTrailKey`],
    /// [`CacheError::UnknownSource`], [`CacheError::Manifest`]; nothing is changed then.
    pub fn move_trail_objects(
        &mut self,
        source: &SourceName,
        pack: Sha256,
        objects: &[(String, PackRange)],
    ) -> Result<(), CacheError> {
        let source_id = self.cache.source_id(source)?;
        let path = self.cache.home.manifest();
        let transaction = self.transaction()?;
        let pack_id: Option<i64> = transaction
            .query_row(
                "SELECT id FROM pack WHERE source_id = ?1 AND sha256 = ?2",
                params![source_id, pack.0],
                |row| row.get(0),
            )
            .optional()
            .map_err(failed(path.clone()))?;
        for (key, range) in objects {
            let pack_id = pack_id.ok_or_else(|| CacheError::UnknownPack { key: key.clone() })?;
            let read =
                TrailKey::parse(key).ok_or_else(|| CacheError::NoTrailKey { key: key.clone() })?;
            let prefix = &read.prefix.prefix;
            transaction
                .prepare_cached(
                    "UPDATE trail_object SET pack_id = ?4, pack_offset = ?5 WHERE name = ?3 AND size_bytes = ?6
                         AND prefix_id = (SELECT id FROM trail_prefix WHERE source_id = ?1 AND prefix = ?2)",
                )
                .and_then(|mut update| {
                    update.execute(params![
                        source_id,
                        prefix,
                        &key[prefix.len()..],
                        pack_id,
                        range.offset,
                        range.length
                    ])
                })
                .map_err(failed(path.clone()))?;
        }
        transaction.commit().map_err(failed(path))
    }
}
