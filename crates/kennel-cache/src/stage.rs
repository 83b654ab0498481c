//! Unfinished files: written privately beside their target, hashed on the way, renamed in when whole.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::Digest;

use crate::{
    CacheError, Home, PackWriter, Sha256,
    files::{create_private_dir, io_error, new_private_file, sync_dir},
    user::USER_TABLES,
};

/// Hands out staged files; cheap to clone into download tasks.
#[derive(Debug, Clone)]
pub struct Stage {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    home: Home,
    /// Where unfinished files lie, in the file system of their targets.
    folder: PathBuf,
    /// Folders that got a new name since the last [`Stage::sync_names`].
    dirty: Mutex<BTreeSet<PathBuf>>,
}

impl Stage {
    pub(crate) fn new(home: Home) -> Self {
        let folder = home.staging();
        Self::in_folder(home, folder)
    }

    /// For whoever writes users' tables beside the one writer, which empties its own folder.
    pub(crate) fn of_user(home: Home) -> Result<Self, CacheError> {
        let folder = home.tables().join(USER_TABLES);
        if !folder.is_dir() {
            create_private_dir(&folder)?;
            sync_dir(&home.tables())?;
        }
        Ok(Self::in_folder(home, folder))
    }

    fn in_folder(home: Home, folder: PathBuf) -> Self {
        Self {
            shared: Arc::new(Shared {
                home,
                folder,
                dirty: Mutex::default(),
            }),
        }
    }

    /// Opens a new, empty staged file (mode 0600).
    ///
    /// # Errors
    /// [`CacheError::Io`] when the file cannot be created.
    pub fn create(&self) -> Result<StageFile, CacheError> {
        let PlainStageFile { file, path, stage } = self.create_plain()?;
        Ok(StageFile {
            file,
            path,
            hasher: sha2::Sha256::new(),
            size_bytes: 0,
            stage,
        })
    }

    /// The same for bytes that nobody needs a hash of.
    pub(crate) fn create_plain(&self) -> Result<PlainStageFile, CacheError> {
        let folder = &self.shared.folder;
        let temporary = tempfile::Builder::new()
            .make_in(folder, |path| new_private_file().open(path))
            .map_err(io_error("create a file in", folder))?;
        let (file, path) = temporary.into_parts();
        Ok(PlainStageFile {
            file,
            path,
            stage: self.clone(),
        })
    }

    /// Begins a new, empty pack.
    ///
    /// # Errors
    /// [`CacheError::Io`] when the staged file cannot be created.
    pub fn pack_writer(&self) -> Result<PackWriter, CacheError> {
        PackWriter::new(self)
    }

    /// Removes what a killed writer left behind. Only for the holder of the writer lock.
    pub(crate) fn clear(&self) -> Result<(), CacheError> {
        let folder = self.shared.home.staging();
        for entry in fs::read_dir(&folder).map_err(io_error("list", &folder))? {
            let path = entry.map_err(io_error("list", &folder))?.path();
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
        }
        Ok(())
    }

    /// Makes all names published so far durable: once a batch, before the manifest's transaction.
    pub(crate) fn sync_names(&self) -> Result<(), CacheError> {
        let dirty = std::mem::take(
            &mut *self
                .shared
                .dirty
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        dirty.iter().try_for_each(|folder| sync_dir(folder))
    }

    fn rename_in(&self, from: tempfile::TempPath, to: &Path) -> Result<(), CacheError> {
        let folder = to.parent().unwrap_or(self.shared.home.root());
        create_private_dir(folder)?;
        from.persist(to)
            .map_err(|e| io_error("rename to", to)(e.error))?;
        let mut dirty = self
            .shared
            .dirty
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        dirty.insert(folder.to_owned());
        // The folder itself may be new.
        dirty.extend(folder.parent().map(Path::to_owned));
        Ok(())
    }
}

/// A file being written; gone on drop unless published.
#[derive(Debug)]
pub struct StageFile {
    file: File,
    path: tempfile::TempPath,
    hasher: sha2::Sha256,
    size_bytes: u64,
    stage: Stage,
}

impl StageFile {
    /// Bytes written so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The SHA-256 of the bytes written so far.
    pub fn sha256(&self) -> Sha256 {
        Sha256(self.hasher.clone().finalize().into())
    }

    /// Where it lies while it is staged: for whoever checks the content before it is published.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A second handle on the same bytes, at position 0, for reading back.
    ///
    /// # Errors
    /// [`CacheError::Io`] when the staged file cannot be opened again.
    pub fn reopen(&self) -> Result<File, CacheError> {
        File::open(&self.path).map_err(io_error("open", &self.path))
    }

    /// Forgets all bytes: a download starts again from nothing.
    ///
    /// # Errors
    /// [`CacheError::Io`] when the staged file cannot be emptied.
    pub fn truncate(&mut self) -> Result<(), CacheError> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(io_error("empty", &self.path))?;
        self.hasher = sha2::Sha256::new();
        self.size_bytes = 0;
        Ok(())
    }

    /// Publishes the bytes as an object under their own hash; content already there is kept.
    ///
    /// # Errors
    /// [`CacheError::Io`] when syncing or renaming fails; nothing is visible then.
    pub fn publish(self) -> Result<Sha256, CacheError> {
        let hash = self.sha256();
        let target = self.stage.shared.home.object(&hash);
        self.publish_to(&target)?;
        Ok(hash)
    }

    /// Publishes the bytes as a table file named by their hash in `tables/<folder>/`.
    ///
    /// Returns the path relative to the tables folder, with `/` between its parts.
    ///
    /// # Errors
    /// [`CacheError::Io`] when syncing or renaming fails; nothing is visible then.
    pub fn publish_table(self, folder: &str, extension: &str) -> Result<String, CacheError> {
        let hex = self.sha256().to_string();
        let relative = format!("{folder}/{}/{}.{extension}", &hex[..2], &hex[2..]);
        let target = self.stage.shared.home.tables().join(&relative);
        self.publish_to(&target)?;
        Ok(relative)
    }

    fn publish_to(self, target: &Path) -> Result<(), CacheError> {
        let Self {
            file, path, stage, ..
        } = self;
        PlainStageFile { file, path, stage }.publish_to(target)
    }
}

/// The same without a hash of its own.
#[derive(Debug)]
pub(crate) struct PlainStageFile {
    file: File,
    path: tempfile::TempPath,
    stage: Stage,
}

impl PlainStageFile {
    /// See [`StageFile::path`].
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Publishes the bytes as the pack of this name.
    pub(crate) fn publish_pack(self, name: &Sha256) -> Result<(), CacheError> {
        let target = self.stage.shared.home.pack(name);
        self.publish_to(&target)
    }

    fn publish_to(self, target: &Path) -> Result<(), CacheError> {
        // Equal size and name prove nothing about bytes that a failing disk may have changed, so
        // an existing file is replaced by the verified one: same content, same name.
        self.file.sync_all().map_err(io_error("sync", &self.path))?;
        self.stage.rename_in(self.path, target)
    }
}

impl Write for PlainStageFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Write for StageFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage() -> (tempfile::TempDir, Stage, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("home"));
        home.create().unwrap();
        (dir, Stage::new(home.clone()), home)
    }

    #[test]
    fn a_published_object_lies_under_its_own_hash_and_is_private() {
        let (_dir, stage, home) = stage();
        let mut file = stage.create().unwrap();
        file.write_all(b"old").unwrap();
        file.truncate().unwrap();
        file.write_all(b"abc").unwrap();
        let hash = file.publish().unwrap();
        assert_eq!(hash, Sha256::of(b"abc"));
        assert_eq!(fs::read(home.object(&hash)).unwrap(), b"abc");
        assert_eq!(fs::read_dir(home.staging()).unwrap().count(), 0);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&home.object(&hash)), 0o600);
            assert_eq!(mode(home.object(&hash).parent().unwrap()), 0o700);
            assert_eq!(mode(home.root()), 0o700);
        }
        stage.sync_names().unwrap();
    }

    #[test]
    fn a_dropped_file_leaves_nothing() {
        let (_dir, stage, home) = stage();
        let mut file = stage.create().unwrap();
        file.write_all(b"abc").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(home.staging()).unwrap().count(), 0);
        assert_eq!(fs::read_dir(home.objects()).unwrap().count(), 0);
    }
}
