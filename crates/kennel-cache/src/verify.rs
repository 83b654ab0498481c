//! The cache against its manifest: are the bytes still those that were fetched?

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use sha2::Digest;

use crate::{Cache, CacheError, ObjectVersion, Sha256};

/// An object whose bytes are not what the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedObject {
    /// The version.
    pub object: ObjectVersion,
    /// What is wrong: "missing", "unreadable: …", "SHA-256 is …".
    pub what: String,
}

/// What a check of all objects found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyOutcome {
    /// Object versions checked.
    pub checked_count: u64,
    /// Their bytes, each content counted once.
    pub checked_bytes: u64,
    /// Those that are damaged, by source, key and time.
    pub damaged: Vec<DamagedObject>,
}

impl Cache {
    /// Hashes every object kept and compares it with the manifest. Reads all bytes of the cache.
    ///
    /// # Errors
    /// [`CacheError::Manifest`]; damaged or missing files are findings, not errors.
    pub fn verify(&self) -> Result<VerifyOutcome, CacheError> {
        let mut outcome = VerifyOutcome::default();
        let mut seen = std::collections::BTreeMap::<Sha256, Option<String>>::new();
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
        Ok(outcome)
    }
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
