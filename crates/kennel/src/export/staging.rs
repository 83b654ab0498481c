//! A bundle that is being made: its files are hashed while they are written, and brought to disk beside the work.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use sha2::{Digest, Sha256};

use super::{
    folder::{hex, private_folder},
    manifest,
};
use crate::error::CliError;

/// Bytes that are hashed and written at once.
const WRITTEN_AT_ONCE: usize = 256 << 10;
/// After so many bytes more of a file, those that are written are brought to disk.
const SYNCED_AT_ONCE: u64 = 32 << 20;
/// Files that wait to be brought to disk; each is open.
const MOST_WAITING: usize = 64;

/// A bundle that is being made; removed when it is dropped.
pub(crate) struct Staging {
    folder: tempfile::TempDir,
    files: Vec<manifest::File>,
    syncer: Syncer,
}

impl Staging {
    /// Begins a bundle in a folder, under a name that begins so.
    pub(super) fn begin(path: &Path, prefix: &str) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(prefix);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        Ok(Self {
            folder: builder.tempdir_in(path)?,
            files: Vec::new(),
            syncer: Syncer::begin(),
        })
    }

    /// Begins a file; `path` has `/`.
    pub(crate) fn create(&self, path: &str) -> Result<BundleFile, CliError> {
        let place = path
            .split('/')
            .fold(self.folder.path().to_owned(), |place, part| {
                place.join(part)
            });
        let failed =
            |e: io::Error| CliError::new(format!("cannot write `{}`", place.display())).cause(&e);
        if let Some(parent) = place.parent() {
            private_folder(parent).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&place).map_err(failed)?;
        Ok(BundleFile {
            path: path.to_owned(),
            file: Arc::new(file),
            buffer: Vec::new(),
            hasher: Sha256::new(),
            size_bytes: 0,
            synced_bytes: 0,
            syncer: self.syncer.sender.clone(),
        })
    }

    /// Ends a file: its hash is kept, and it is on disk when the bundle is. Returns the hash.
    pub(crate) fn finish(&mut self, file: BundleFile) -> Result<String, CliError> {
        let done = file.finish()?;
        let sha256 = done.sha256.clone();
        self.files.push(done);
        Ok(sha256)
    }

    /// Writes a file whose bytes are at hand.
    pub(crate) fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), CliError> {
        let mut file = self.create(path)?;
        file.write_all(bytes)?;
        self.finish(file)?;
        Ok(())
    }

    /// Gives a finished file a second name; where the file system has no links, its bytes are there twice.
    pub(crate) fn link(&mut self, from: &str, to: &str) -> Result<(), CliError> {
        let Some(known) = self.files.iter().find(|file| file.path == from).cloned() else {
            return Ok(());
        };
        let [from, place] = [from, to].map(|path| {
            let parts = path.split('/');
            parts.fold(self.folder.path().to_owned(), |place, part| {
                place.join(part)
            })
        });
        let failed =
            |e: io::Error| CliError::new(format!("cannot write `{}`", place.display())).cause(&e);
        if fs::hard_link(&from, &place).is_err() {
            fs::copy(&from, &place).map_err(failed)?;
            let copy = OpenOptions::new().write(true).open(&place);
            let copy = Arc::new(copy.map_err(failed)?);
            let handed_over = self.syncer.sender.send(copy);
            handed_over.map_err(|_| CliError::new("files cannot be brought to disk"))?;
        }
        self.files.push(manifest::File {
            path: to.to_owned(),
            ..known
        });
        Ok(())
    }

    /// The finished files, by path.
    pub(crate) fn files(&self) -> Vec<manifest::File> {
        let mut files = self.files.clone();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// Waits until all of it is on disk; the folder is the caller's, then.
    pub(super) fn settle(self) -> io::Result<tempfile::TempDir> {
        self.syncer.end()?;
        sync_folders(self.folder.path())?;
        Ok(self.folder)
    }
}

/// A file of a bundle, hashed while it is written.
pub(crate) struct BundleFile {
    path: String,
    file: Arc<File>,
    buffer: Vec<u8>,
    hasher: Sha256,
    size_bytes: u64,
    /// What the disk was told to keep.
    synced_bytes: u64,
    syncer: SyncSender<Arc<File>>,
}

impl BundleFile {
    /// Where it will lie in the bundle.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    fn hand_on(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&*self.file).write_all(bytes)?;
        self.hasher.update(bytes);
        self.size_bytes += bytes.len() as u64;
        if self.size_bytes - self.synced_bytes >= SYNCED_AT_ONCE {
            self.synced_bytes = self.size_bytes;
            // When many files wait, this one is brought to disk at its end.
            let _later = self.syncer.try_send(Arc::clone(&self.file));
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<manifest::File> {
        self.flush()?;
        self.syncer
            .send(self.file)
            .map_err(|_| io::Error::other("files cannot be brought to disk"))?;
        Ok(manifest::File {
            sha256: hex(&self.hasher.finalize()),
            path: self.path,
            size_bytes: self.size_bytes,
        })
    }
}

impl Write for BundleFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > WRITTEN_AT_ONCE {
            self.flush()?;
        }
        match bytes.len() >= WRITTEN_AT_ONCE {
            true => self.hand_on(bytes)?,
            false => self.buffer.extend_from_slice(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        self.hand_on(&buffer)?;
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }
}

/// Brings files to disk on a thread of its own: the work goes on meanwhile.
struct Syncer {
    sender: SyncSender<Arc<File>>,
    thread: JoinHandle<io::Result<()>>,
}

impl Syncer {
    fn begin() -> Self {
        let (sender, receiver) = sync_channel::<Arc<File>>(MOST_WAITING);
        let thread = thread::spawn(move || {
            // After a failure the others are still taken, or whoever hands them over would wait.
            let mut first_failure = Ok(());
            for file in receiver {
                let synced = file.sync_all();
                first_failure = first_failure.and(synced);
            }
            first_failure
        });
        Self { sender, thread }
    }

    fn end(self) -> io::Result<()> {
        drop(self.sender);
        let failed = |_| io::Error::other("files cannot be brought to disk");
        self.thread.join().map_err(failed)?
    }
}

#[cfg(unix)]
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
pub(super) fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Syncs a folder and those in it; the files are synced already.
fn sync_folders(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::folder::sha256;

    #[test]
    fn a_file_is_hashed_as_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut staging = Staging::begin(folder.path(), "x").unwrap();
        staging.write("b/x", b"abc").unwrap();
        staging.write("a", b"").unwrap();
        let files = staging.files();
        assert_eq!(files[0].path, "a");
        assert_eq!(files[1].size_bytes, 3);
        assert_eq!(files[1].sha256, sha256("abc"));
        assert_eq!(
            files[1].sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_file_with_two_names_is_listed_with_both() {
        let folder = tempfile::tempdir().unwrap();
        let mut staging = Staging::begin(folder.path(), "x").unwrap();
        staging.write("csv/a", b"abc").unwrap();
        staging.link("csv/a", "csv/b").unwrap();
        let files = staging.files();
        let paths = files.iter().map(|file| file.path.as_str());
        assert_eq!(paths.collect::<Vec<_>>(), ["csv/a", "csv/b"]);
        assert_eq!(files[0].sha256, files[1].sha256);
        let folder = staging.settle().unwrap();
        assert_eq!(fs::read(folder.path().join("csv/b")).unwrap(), b"abc");
    }

    #[test]
    fn pieces_of_every_size_are_written_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut staging = Staging::begin(folder.path(), "x").unwrap();
        let mut file = staging.create("x").unwrap();
        let mut expected = Vec::new();
        let sizes = [
            1,
            WRITTEN_AT_ONCE - 1,
            1,
            7,
            WRITTEN_AT_ONCE,
            0,
            2 * WRITTEN_AT_ONCE,
            3,
        ];
        for (byte, size) in (b'a'..).zip(sizes) {
            file.write_all(&vec![byte; size]).unwrap();
            expected.resize(expected.len() + size, byte);
        }
        let told = staging.finish(file).unwrap();
        assert_eq!(told, sha256(&expected));
        assert_eq!(staging.files()[0].size_bytes, expected.len() as u64);
        let folder = staging.settle().unwrap();
        assert!(fs::read(folder.path().join("x")).unwrap() == expected);
    }
}
