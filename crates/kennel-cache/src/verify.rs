//! The cache against its manifest: are the bytes still those that were fetched, and the tables those that were made?

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    path::Path,
};

use sha2::Digest;

use crate::{Cache, CacheError, ObjectVersion, ReportType, Sha256, TrailObject, View};

/// An object whose bytes are not what the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedObject {
    /// The version.
    pub object: ObjectVersion,
    /// What is wrong: "missing", "unreadable: …", "SHA-256 is …".
    pub what: String,
}

/// A table file whose bytes are not those that were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedTable {
    /// The file, below [`Home::tables`](crate::Home::tables).
    pub table_path: String,
    /// The object that it was made from; of CloudTrail, whose files hold many, the source's URL.
    pub key: String,
    /// What is wrong, as in [`DamagedObject::what`].
    pub what: String,
}

/// What a check of all objects and tables found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyOutcome {
    /// Object versions checked.
    pub checked_count: u64,
    /// Their bytes, each content counted once.
    pub checked_bytes: u64,
    /// Those that are damaged, by source, key and time.
    pub damaged: Vec<DamagedObject>,
    /// Table files checked.
    pub table_count: u64,
    /// Those that are damaged; they can be made again from the objects.
    pub damaged_tables: Vec<DamagedTable>,
}

impl Cache {
    /// Hashes every object and table file kept and compares it with the manifest. Reads all bytes of the cache.
    ///
    /// # Errors
    /// [`CacheError::Manifest`]; damaged or missing files are findings, not errors.
    pub fn verify(&self) -> Result<VerifyOutcome, CacheError> {
        let mut outcome = VerifyOutcome::default();
        let mut seen = BTreeMap::<Sha256, Option<String>>::new();
        for object in self.object_versions()? {
            outcome.checked_count += 1;
            let hash = object.sha256;
            let what = seen.entry(hash).or_insert_with(|| {
                outcome.checked_bytes += object.size_bytes;
                damage(&self.object_path(&hash), hash)
            });
            if let Some(what) = what.clone() {
                outcome.damaged.push(DamagedObject { object, what });
            }
        }
        self.verify_packs(&mut outcome)?;
        self.verify_tables(&mut outcome)?;
        Ok(outcome)
    }

    /// Whether the bytes of an object are there and have this hash. Reads all of them.
    pub fn is_intact(&self, hash: &Sha256) -> bool {
        damage(&self.object_path(hash), *hash).is_none()
    }

    /// Whether a table file, below [`Home::tables`](crate::Home::tables), has the bytes that its name says. Reads all
    /// of them.
    pub fn is_table_intact(&self, table_path: &str) -> bool {
        let path = self.home().tables().join(table_path);
        hash_in_name(table_path).is_some_and(|hash| damage(&path, hash).is_none())
    }

    fn verify_tables(&self, outcome: &mut VerifyOutcome) -> Result<(), CacheError> {
        let mut seen = BTreeSet::new();
        for report_type in ReportType::ALL {
            for report in self.reports(report_type, View::All)? {
                // Two versions with the same rows share their table.
                if seen.insert(report.table_path.clone()) {
                    self.verify_table(report.table_path, report.key, outcome);
                }
            }
        }
        let trail_files = self.select(
            "SELECT f.table_path, s.url FROM trail_file f JOIN source s ON s.id = f.source_id ORDER BY f.id",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        for (table_path, url) in trail_files {
            self.verify_table(table_path, url, outcome);
        }
        for table in self.user_tables()? {
            let name = format!("{}.{}", table.schema, table.name);
            for file in self.user_files(&table.schema, &table.name)? {
                self.verify_table(file.table_path, name.clone(), outcome);
            }
        }
        Ok(())
    }

    fn verify_table(&self, table_path: String, key: String, outcome: &mut VerifyOutcome) {
        outcome.table_count += 1;
        let path = self.home().tables().join(&table_path);
        let damage = match hash_in_name(&table_path) {
            Some(hash) => damage(&path, hash),
            None => Some("its name is no hash".into()),
        };
        if let Some(what) = damage {
            outcome.damaged_tables.push(DamagedTable {
                table_path,
                key,
                what,
            });
        }
    }

    /// Each object that lies in a pack has a hash of its own. Bytes that no object has any more are nobody's.
    fn verify_packs(&self, outcome: &mut VerifyOutcome) -> Result<(), CacheError> {
        let mut reader = self.pack_reader();
        for object in self.trail_objects() {
            let object = object?;
            let Some((pack, range)) = object.pack else {
                continue;
            };
            outcome.checked_count += 1;
            outcome.checked_bytes += range.length;
            if let Err(what) = object.read(&mut reader, pack, range) {
                outcome.damaged.push(DamagedObject {
                    object: version(object),
                    what,
                });
            }
        }
        Ok(())
    }
}

/// A CloudTrail object has one version, from its fetching on.
fn version(object: TrailObject) -> ObjectVersion {
    let TrailObject { source, object, .. } = object;
    ObjectVersion {
        source,
        key: object.key,
        etag: object.etag,
        size_bytes: object.size_bytes,
        modified_at: object.modified_at,
        sha256: object.sha256,
        verified_by: object.verified_by,
        fetched_at: object.fetched_at,
        valid_from: object.fetched_at,
        valid_to: None,
        missing_since: None,
    }
}

/// The hash that names a table file: `k9/ab/cdef….parquet`.
fn hash_in_name(table_path: &str) -> Option<Sha256> {
    let (folder, name) = table_path.rsplit_once('/')?;
    let first = folder.rsplit('/').next()?;
    let (rest, _) = name.split_once('.')?;
    format!("{first}{rest}").parse().ok()
}

fn damage(path: &Path, expected: Sha256) -> Option<String> {
    match hash_of_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Some("missing".into()),
        Err(e) => Some(format!("unreadable: {e}")),
        Ok(found) => (found != expected).then(|| format!("SHA-256 is {found}")),
    }
}

fn hash_of_file(path: &Path) -> io::Result<Sha256> {
    let mut file = File::open(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Sha256(hasher.finalize().into())),
            count => hasher.update(&buffer[..count]),
        }
    }
}
