//! `file://` sources: a folder that is laid out like a bucket takes the same way through plan and fetch.

use std::{
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
    vec,
};

use chrono::DateTime;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::debug;

use crate::{MirrorError, RemoteObject, ahead::pieces};

/// Objects handed over at once.
const BATCH: usize = 256;

/// All files below `root` whose keys begin with `prefix`, ascending by the bytes of their keys.
///
/// A key is the path below the root with `/` between its parts. Links are not followed; names that are
/// not UTF-8 cannot be keys and are errors, so that they are not missed in silence. Memory grows with the
/// largest folder, not with all of them.
pub(crate) fn list(
    root: &Path,
    prefix: &str,
    start_after: Option<&str>,
) -> impl Stream<Item = Result<RemoteObject, MirrorError>> + Send + use<> {
    let mut walk = Walk::new(root, prefix, start_after);
    let run_ahead = move || {
        let (sender, receiver) = mpsc::channel(2);
        let mut task = JoinSet::new();
        task.spawn_blocking(move || {
            loop {
                let batch: Result<Vec<_>, _> = walk.by_ref().take(BATCH).collect();
                let said = batch.map(|batch| (!batch.is_empty()).then_some(batch));
                let is_last = !matches!(said, Ok(Some(_)));
                if sender.blocking_send(said).is_err() || is_last {
                    return;
                }
            }
        });
        pieces(task, receiver)
    };
    stream::once(async move { run_ahead() })
        .flatten()
        .map_ok(|batch| stream::iter(batch.into_iter().map(Ok)))
        .try_flatten()
}

/// The folders directly below `prefix`, each with its slash.
pub(crate) fn list_folders(root: &Path, prefix: &str) -> Result<Vec<String>, MirrorError> {
    let (above, _) = split(prefix);
    let Some(path) = path_of(root, above) else {
        return Ok(Vec::new());
    };
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let entries = entries(&path, above, |_| false)?;
    let is_wanted = |key: &String| key.ends_with('/') && key.starts_with(prefix);
    Ok(entries.map(|entry| entry.key).filter(is_wanted).collect())
}

/// What a prefix says about folders, with its slash, and about names in the last of them.
fn split(prefix: &str) -> (&str, &str) {
    prefix.split_at(prefix.rfind('/').map_or(0, |slash| slash + 1))
}

/// A file or folder, whose key then ends with a slash.
struct Entry {
    key: String,
    path: PathBuf,
    /// Of a file of interest: how it looked when its folder was read.
    look: Option<Look>,
}

/// What is remembered of a file: it tells whether it changed, as far as the file system does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    inode: u64,
    modified: Duration,
    size_bytes: u64,
}

impl Look {
    /// How an open file looks now.
    pub(crate) fn at(file: &File) -> io::Result<Self> {
        Ok(Self::of(&file.metadata()?))
    }

    fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let modified = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self {
            inode: inode(metadata),
            modified: modified.unwrap_or_default(),
            size_bytes: metadata.len(),
        }
    }
}

/// Walks a folder so that keys ascend.
struct Walk {
    root: PathBuf,
    prefix: String,
    start_after: Option<String>,
    /// What is left of each open folder, the innermost last; `None` before the first step.
    open: Option<Vec<vec::IntoIter<Entry>>>,
}

impl Walk {
    fn new(root: &Path, prefix: &str, start_after: Option<&str>) -> Self {
        Self {
            root: root.to_owned(),
            prefix: prefix.to_owned(),
            start_after: start_after.map(str::to_owned),
            open: None,
        }
    }

    /// Whether keys of interest may lie in this folder.
    fn leads_on(&self, folder: &str) -> bool {
        let fits = folder.starts_with(&self.prefix) || self.prefix.starts_with(folder);
        let is_passed = |after: &String| !after.starts_with(folder) && folder < after.as_str();
        fits && !self.start_after.as_ref().is_some_and(is_passed)
    }

    fn is_wanted(&self, key: &str) -> bool {
        key.starts_with(&self.prefix)
            && self
                .start_after
                .as_ref()
                .is_none_or(|after| key > after.as_str())
    }

    fn entries(&self, folder: &Path, above: &str) -> Result<vec::IntoIter<Entry>, MirrorError> {
        entries(folder, above, |key| self.is_wanted(key))
    }

    /// The next file of interest; `Ok(None)` at the end.
    fn step(&mut self) -> Result<Option<RemoteObject>, MirrorError> {
        // An error on the way is the end.
        let mut open = match self.open.replace(Vec::new()) {
            Some(open) => open,
            None => vec![self.entries(&self.root, "")?],
        };
        while let Some(folder) = open.last_mut() {
            let Some(entry) = folder.next() else {
                open.pop();
                continue;
            };
            if entry.key.ends_with('/') {
                if self.leads_on(&entry.key) {
                    open.push(self.entries(&entry.path, &entry.key)?);
                }
            } else if let Some(look) = entry.look {
                self.open = Some(open);
                return Ok(Some(object(entry.key, look)));
            }
        }
        self.open = Some(open);
        Ok(None)
    }
}

impl Iterator for Walk {
    type Item = Result<RemoteObject, MirrorError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> MirrorError + use<'_> {
    |source| MirrorError::Folder {
        path: path.to_owned(),
        source,
    }
}

/// What lies in a folder, ascending by key: a folder stands where its keys stand. Files that are wanted are looked at
/// while the folder is open, which saves the way to each of them.
fn entries(
    folder: &Path,
    above: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<vec::IntoIter<Entry>, MirrorError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let entry = entry.map_err(unreadable(folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(unreadable(&path))?;
        let name = entry.file_name().into_string().map_err(|_| {
            let error = io::Error::new(io::ErrorKind::InvalidData, "the name is not UTF-8");
            unreadable(&path)(error)
        })?;
        if kind.is_dir() {
            let key = format!("{above}{name}/");
            let look = None;
            entries.push(Entry { key, path, look });
        } else if kind.is_file() {
            let key = format!("{above}{name}");
            let look = match is_wanted(&key).then(|| entry.metadata()).transpose() {
                // It was there a moment ago: as if it had been deleted before.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                look => look.map_err(unreadable(&path))?,
            };
            let look = look.as_ref().map(Look::of);
            entries.push(Entry { key, path, look });
        } else {
            debug!(path = %path.display(), "left alone: neither file nor folder");
        }
    }
    entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(entries.into_iter())
}

/// A file as an object. Its ETag changes with content, as far as the file system tells.
pub(crate) fn object(key: String, look: Look) -> RemoteObject {
    let Look {
        inode,
        modified,
        size_bytes,
    } = look;
    let micros = i64::try_from(modified.as_micros()).ok();
    RemoteObject {
        key,
        size_bytes,
        etag: format!("{inode:x}-{:x}-{size_bytes:x}", modified.as_nanos()),
        // The manifest keeps microseconds.
        modified_at: micros
            .and_then(DateTime::from_timestamp_micros)
            .unwrap_or_default(),
        storage_class: None,
        is_restored: false,
        version_id: None,
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_metadata: &Metadata) -> u64 {
    0
}

/// Where the file or folder of a key lies; `None` for a key that names nothing below the root.
fn path_of(root: &Path, key: &str) -> Option<PathBuf> {
    let mut path = PathBuf::from(root);
    for part in key.strip_suffix('/').unwrap_or(key).split('/') {
        if key.is_empty() {
            break;
        }
        let is_plain = !matches!(part, "" | "." | "..") && !part.contains('\0');
        let is_one_name = !cfg!(windows) || !part.contains(['\\', ':']);
        if !is_plain || !is_one_name {
            return None;
        }
        path.push(part);
    }
    Some(path)
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn file_path(root: &Path, key: &str) -> io::Result<PathBuf> {
    path_of(root, key)
        .filter(|_| !key.is_empty() && !key.ends_with('/'))
        .ok_or_else(|| refused("the key names no file below the folder"))
}

/// Opens the file of a key, and says how it looks now. `root` has no links in it.
pub(crate) fn open(root: &Path, key: &str) -> io::Result<(File, Look)> {
    let path = file_path(root, key)?;
    let file = match open_without_links(&path) {
        Some(file) => file,
        None => {
            let file = File::open(&path)?;
            // A link may have been put there since the listing.
            if !real_path(&file, &path)?.starts_with(root) {
                return Err(refused("the file lies outside the folder"));
            }
            file
        }
    };
    let look = Look::at(&file)?;
    Ok((file, look))
}

/// Opens a file if no link leads to it, in one step. `None` when there is one, or when it cannot be told like this: then
/// [`real_path`] tells, which takes as long as the opening.
#[cfg(target_os = "linux")]
fn open_without_links(path: &Path) -> Option<File> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
    opened.ok().map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn open_without_links(_path: &Path) -> Option<File> {
    None
}

/// Where an open file really lies. Linux knows; elsewhere each part of the path is looked at.
fn real_path(file: &File, path: &Path) -> io::Result<PathBuf> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        if let Ok(found) = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
            return Ok(found);
        }
    }
    let _unused_on_linux = file;
    path.canonicalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(keys: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for key in keys {
            let path = folder.path().join(key);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, key).unwrap();
        }
        folder
    }

    fn keys(root: &Path, prefix: &str, start_after: Option<&str>) -> Vec<String> {
        Walk::new(root, prefix, start_after)
            .map(|object| object.unwrap().key)
            .collect()
    }

    #[test]
    fn keys_ascend_within_the_prefix_and_after_the_start() {
        let all = ["a-b", "a.b", "a/a", "a/b/x", "a/b.x", "a0", "c/d", "\u{e9}"];
        let folder = folder(&all);
        let mut sorted = all.map(str::to_owned);
        sorted.sort();
        assert_eq!(keys(folder.path(), "", None), sorted);
        assert_eq!(keys(folder.path(), "a/b", None), ["a/b.x", "a/b/x"]);
        assert_eq!(keys(folder.path(), "a/b/", None), ["a/b/x"]);
        assert_eq!(keys(folder.path(), "", Some("a/b.x")), sorted[4..]);
        assert_eq!(keys(folder.path(), "", Some("a/b/")), sorted[4..]);
        assert_eq!(keys(folder.path(), "zz", None), [""; 0]);
        assert_eq!(list_folders(folder.path(), "").unwrap(), ["a/", "c/"]);
        assert_eq!(list_folders(folder.path(), "a/").unwrap(), ["a/b/"]);
        assert_eq!(list_folders(folder.path(), "b/").unwrap(), [""; 0]);
    }

    #[test]
    fn a_file_is_described_alike_when_listed_and_when_opened() {
        let folder = folder(&["a/a"]);
        let listed = Walk::new(folder.path(), "", None).next().unwrap().unwrap();
        let now = || object("a/a".into(), open(folder.path(), "a/a").unwrap().1);
        assert_eq!(now(), listed);
        fs::write(folder.path().join("a/a"), "aa").unwrap();
        assert_ne!(now().etag, listed.etag);
    }

    #[cfg(unix)]
    #[test]
    fn nothing_outside_the_folder_is_read() {
        let (outside, inside) = (folder(&["secret"]), folder(&["a/a"]));
        let link = |name: &str, to: &Path| {
            std::os::unix::fs::symlink(to, inside.path().join(name)).unwrap();
        };
        link("a/file", &outside.path().join("secret"));
        link("folder", outside.path());
        link("round", inside.path());
        assert_eq!(keys(inside.path(), "", None), ["a/a"]);
        for key in [
            "a/file",
            "folder/secret",
            "../x",
            "a/../a/a",
            "/etc/passwd",
            "",
            "a//a",
            "a/a/",
        ] {
            assert!(open(inside.path(), key).is_err(), "{key}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_an_error() {
        let folder = folder(&["a"]);
        let missing = folder.path().join("missing");
        let error = Walk::new(&missing, "", None).next().unwrap().unwrap_err();
        assert!(matches!(error, MirrorError::Folder { path, .. } if path == missing));
    }
}
