//! The key of a home with which redaction makes its tokens: two exports of one home have the same tokens, those of
//! another home tell nothing about them.

use std::{
    fs, io,
    io::{Read, Write},
    path::Path,
};

use crate::{
    CacheError, Home,
    files::{create_private_dir, io_error, sync_dir},
};

/// Bytes of a key.
const KEY_BYTES: usize = 32;

impl Home {
    /// The key of this home; made when it is asked for first.
    ///
    /// Who has it can try out names until a token fits: it is private (0600) and stands in no export.
    ///
    /// # Errors
    /// [`CacheError::Io`] when it cannot be read or made, [`CacheError::DamagedKey`] when the file holds something else.
    pub fn redaction_key(&self) -> Result<[u8; KEY_BYTES], CacheError> {
        let path = self.root().join("redaction.key");
        if let Some(key) = read(&path)? {
            return Ok(key);
        }
        create_private_dir(self.root())?;
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key)
            .map_err(|e| io_error("make a key for", &path)(io::Error::other(e.to_string())))?;
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(self.root())
            .map_err(io_error("create a file in", self.root()))?;
        file.write_all(format!("{}\n", hex::encode(key)).as_bytes())
            .map_err(io_error("write", &path))?;
        file.as_file().sync_all().map_err(io_error("sync", &path))?;
        match file.persist_noclobber(&path) {
            Ok(_) => sync_dir(self.root()).map(|()| key),
            // Another process was faster: its key it is.
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => {
                read(&path)?.ok_or_else(|| damaged(&path))
            }
            Err(e) => Err(io_error("create", &path)(e.error)),
        }
    }
}

/// The key in a file; `None` when there is no file.
fn read(path: &Path) -> Result<Option<[u8; KEY_BYTES]>, CacheError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_error("read", path)(e)),
    };
    let mut text = Vec::new();
    file.take(1024)
        .read_to_end(&mut text)
        .map_err(io_error("read", path))?;
    let mut key = [0; KEY_BYTES];
    hex::decode_to_slice(text.trim_ascii(), &mut key).map_err(|_| damaged(path))?;
    Ok(Some(key))
}

fn damaged(path: &Path) -> CacheError {
    CacheError::DamagedKey {
        path: path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_one_key_and_another_home_another() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("a"));
        // All at once, as parallel exports of a new home.
        let keys = std::thread::scope(|scope| {
            let threads = (0..8).map(|_| scope.spawn(|| home.redaction_key().unwrap()));
            let threads = threads.collect::<Vec<_>>();
            let keys = threads.into_iter().map(|thread| thread.join().unwrap());
            keys.collect::<std::collections::BTreeSet<_>>()
        });
        assert_eq!(keys.len(), 1);
        assert!(keys.contains(&home.redaction_key().unwrap()));
        let other = Home::new(folder.path().join("b"));
        assert!(!keys.contains(&other.redaction_key().unwrap()));
        // Nothing else is left behind.
        assert_eq!(fs::read_dir(home.root()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("home"));
        home.redaction_key().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(home.root()), 0o700);
        assert_eq!(mode(&home.root().join("redaction.key")), 0o600);
    }

    #[test]
    fn a_file_that_is_no_key_is_not_used_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        for content in ["", "abc", &"0".repeat(66), &"x".repeat(64)] {
            fs::write(home.root().join("redaction.key"), content).unwrap();
            let error = home.redaction_key().unwrap_err();
            assert!(matches!(error, CacheError::DamagedKey { .. }), "{content}");
        }
    }
}
