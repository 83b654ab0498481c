//! Where things lie below the cache root. No name is ever made from an object's key, but for the
//! convenience tree under `mirror/` (see `links`).

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    CacheError, Sha256,
    files::{create_private_dir, io_error, write_private},
};

/// Marks a folder whose content can be made again, for backup programs.
/// Source: bford.info/cachedir, the signature is fixed.
const CACHEDIR_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n# Made by kennel.\n";

/// The cache root, and the paths below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Names a home without looking at the disk.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The cache root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The manifest.
    pub fn manifest(&self) -> PathBuf {
        self.root.join("manifest.sqlite")
    }

    /// The file whose lock makes the one writer.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("writer.lock")
    }

    /// The file on which readers hold a shared lock while they may open files.
    pub(crate) fn readers_lock(&self) -> PathBuf {
        self.root.join("readers.lock")
    }

    /// Folder of the objects.
    pub fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// Folder of unfinished files, in the same file system as their targets.
    pub(crate) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// Where the object with this content lies.
    pub fn object(&self, hash: &Sha256) -> PathBuf {
        let hex = hash.to_string();
        self.objects().join(&hex[..2]).join(&hex[2..])
    }

    /// Folder of the packs, which hold CloudTrail's tiny objects.
    pub fn packs(&self) -> PathBuf {
        self.root.join("packs")
    }

    /// Where the pack with this content lies.
    pub fn pack(&self, hash: &Sha256) -> PathBuf {
        self.packs().join(pack_name(hash))
    }

    /// Folder of tables derived from objects.
    pub fn tables(&self) -> PathBuf {
        self.root.join("tables")
    }

    /// The browsable tree of hard links, for other programs.
    pub fn mirror(&self) -> PathBuf {
        self.root.join("mirror")
    }

    /// Creates what is missing: private folders, the lock files, the markers.
    pub(crate) fn create(&self) -> Result<(), CacheError> {
        create_private_dir(&self.root)?;
        self.close_to_others()?;
        let folders = [
            self.objects(),
            self.packs(),
            self.staging(),
            self.tables(),
            self.mirror(),
        ];
        folders
            .iter()
            .try_for_each(|folder| create_private_dir(folder))?;
        for (name, bytes) in [
            ("CACHEDIR.TAG", CACHEDIR_TAG),
            (".gitignore", b"*\n".as_slice()),
        ] {
            let path = self.root.join(name);
            if !path.exists() {
                write_private(&path, bytes)?;
            }
        }
        let readers = self.readers_lock();
        if !readers.exists() {
            write_private(&readers, b"")?;
        }
        Ok(())
    }

    /// Takes away what group and others may do with an existing root: reports name who can do what.
    #[cfg(unix)]
    fn close_to_others(&self) -> Result<(), CacheError> {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&self.root)
            .map_err(io_error("read", &self.root))?
            .permissions();
        if mode.mode() & 0o077 != 0 {
            fs::set_permissions(&self.root, fs::Permissions::from_mode(0o700))
                .map_err(io_error("make private", &self.root))?;
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn close_to_others(&self) -> Result<(), CacheError> {
        fs::metadata(&self.root)
            .map(drop)
            .map_err(io_error("read", &self.root))
    }
}

/// The path of a pack below [`Home::packs`].
pub(crate) fn pack_name(hash: &Sha256) -> String {
    let hex = hash.to_string();
    format!("{}/{}.pack", &hex[..2], &hex[2..])
}
