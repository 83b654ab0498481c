//! The folder of exports: one bundle for each date, whole or not there. A bundle is made in a folder beside its place,
//! synced, and renamed; `latest` names the newest. One export at a time: a lock that dies with its process.
//!
//! All of it is private: folders 0700, files 0600.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use chrono::NaiveDate;
use sha2::{Digest, Sha256};

use super::{
    manifest::{self, Manifest},
    staging::{Staging, sync_folder},
};
use crate::error::CliError;

/// Names of folders in which an unfinished or a replaced bundle lies begin so.
const STAGING: &str = ".kennel-export-";
const LOCK: &str = ".kennel-export.lock";
const LATEST: &str = "latest";

/// The folder that `--out` names, held by this export.
pub(crate) struct OutFolder {
    path: PathBuf,
    _lock: File,
}

/// A finished bundle in it.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    pub(crate) path: PathBuf,
    pub(crate) manifest: Manifest,
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> CliError {
    CliError::new(format!("cannot {what} `{}`", path.display())).cause(error)
}

impl OutFolder {
    /// Makes the folder if need be, takes its lock, and removes what a killed export left.
    ///
    /// # Errors
    /// Another export that is running there; a folder that cannot be written to; a `latest` that is no link.
    pub(crate) fn open(path: &Path) -> Result<Self, CliError> {
        if path.exists() && !path.is_dir() {
            return Err(CliError::new(format!(
                "`{}` is a file: an export needs a folder",
                path.display()
            )));
        }
        private_folder(path).map_err(|e| cannot("create the folder", path, &e))?;
        let lock = lock(path)?;
        let latest = path.join(LATEST);
        if fs::symlink_metadata(&latest).is_ok_and(|found| !found.is_symlink()) {
            return Err(CliError::new(format!(
                "`{}` is no link: kennel will not replace it",
                latest.display()
            ))
            .hint("move it away, or export to another folder with `--out`"));
        }
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        folder.sweep()?;
        Ok(folder)
    }

    /// Removes what killed exports left: the lock says that none of them is running.
    fn sweep(&self) -> Result<(), CliError> {
        let reading = |e: io::Error| cannot("read the folder", &self.path, &e);
        for entry in fs::read_dir(&self.path).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !name.starts_with(STAGING) {
                continue;
            }
            let path = entry.path();
            let is_folder = entry.file_type().map_err(reading)?.is_dir();
            let removed = match is_folder {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            };
            removed.map_err(|e| cannot("remove the unfinished export", &path, &e))?;
        }
        Ok(())
    }

    /// The finished bundles, oldest state first. What is none is left alone; what cannot be read is told.
    pub(crate) fn bundles(&self) -> Result<(Vec<Bundle>, Vec<String>), CliError> {
        let reading = |e: io::Error| cannot("read the folder", &self.path, &e);
        let mut bundles = Vec::new();
        let mut unreadable = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let is_date = entry
                .file_name()
                .to_str()
                .is_some_and(|name| NaiveDate::parse_from_str(name, "%Y-%m-%d").is_ok());
            if !is_date || !entry.file_type().map_err(reading)?.is_dir() {
                continue;
            }
            let path = entry.path();
            match read_manifest(&path) {
                Ok(Some(manifest)) => bundles.push(Bundle { path, manifest }),
                Ok(None) => {}
                Err(why) => unreadable.push(format!("`{}`: {why}", path.display())),
            }
        }
        bundles.sort_by(|a, b| {
            let key = |bundle: &Bundle| (instant(&bundle.manifest.state.at), bundle.path.clone());
            key(a).cmp(&key(b))
        });
        unreadable.sort_unstable();
        Ok((bundles, unreadable))
    }

    /// The place of a date. A folder of somebody else's is not replaced.
    pub(crate) fn place(&self, date: NaiveDate) -> Result<PathBuf, CliError> {
        let place = self.path.join(date.to_string());
        match fs::symlink_metadata(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(place),
            Err(error) => Err(cannot("look for", &place, &error)),
            Ok(found) if found.is_dir() && place.join(manifest::NAME).is_file() => Ok(place),
            Ok(_) => Err(CliError::new(format!(
                "`{}` is not an export of kennel's: it will not be replaced",
                place.display()
            ))
            .hint("move it away, or export to another folder with `--out`")),
        }
    }

    /// Begins a bundle.
    pub(crate) fn stage(&self) -> Result<Staging, CliError> {
        Staging::begin(&self.path, STAGING)
            .map_err(|e| cannot("write to the folder", &self.path, &e))
    }

    /// Gives a bundle its name; what had it before is gone at the same moment. `latest` then names the newest state.
    ///
    /// Returns what could not be done after that: the bundle is there all the same.
    pub(crate) fn publish(
        &self,
        staging: Staging,
        place: &Path,
    ) -> Result<Vec<CliError>, CliError> {
        let failed = |e: io::Error| cannot("publish", place, &e);
        // From here on a failure leaves nothing that needs removing by name: the sweep knows the prefix.
        let staged = staging.settle().map_err(failed)?.keep();
        let published = match place.exists() {
            true => replace(&staged, place),
            false => fs::rename(&staged, place),
        };
        if let Err(error) = published {
            let _swept_later = fs::remove_dir_all(&staged);
            return Err(failed(error));
        }
        sync_folder(&self.path).map_err(failed)?;
        // What was replaced lies under the staging name now.
        let removed = match staged.exists() {
            true => fs::remove_dir_all(&staged)
                .map_err(|e| cannot("remove the replaced export", &staged, &e)),
            false => Ok(()),
        };
        let undone = [removed, self.point_latest(place)].into_iter();
        Ok(undone.filter_map(Result::err).collect())
    }

    #[cfg(unix)]
    fn point_latest(&self, place: &Path) -> Result<(), CliError> {
        let latest = self.path.join(LATEST);
        let Some(name) = place.file_name() else {
            return Ok(());
        };
        // An older state that is exported later is not the newest. Names are dates: they sort as they follow each other.
        let points_further = fs::read_link(&latest).is_ok_and(|target| {
            let is_ours = self.path.join(&target).join(manifest::NAME).is_file();
            is_ours && target.as_os_str() > name
        });
        if points_further {
            return Ok(());
        }
        let failed = |e: io::Error| cannot("point the link", &latest, &e);
        let beside = self.path.join(format!("{STAGING}latest"));
        std::os::unix::fs::symlink(name, &beside).map_err(failed)?;
        fs::rename(&beside, &latest).map_err(failed)?;
        sync_folder(&self.path).map_err(failed)
    }

    /// Links need rights that Windows rarely gives: there is none.
    #[cfg(not(unix))]
    fn point_latest(&self, _place: &Path) -> Result<(), CliError> {
        Ok(())
    }
}

fn instant(text: &str) -> Option<chrono::DateTime<chrono::FixedOffset>> {
    chrono::DateTime::parse_from_rfc3339(text).ok()
}

/// The manifest of a bundle; `None` where there is none.
pub(crate) fn read_manifest(bundle: &Path) -> Result<Option<Manifest>, String> {
    let path = bundle.join(manifest::NAME);
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
        Ok(found) if !found.is_file() => return Err(format!("its {} is no file", manifest::NAME)),
        Ok(found) if found.len() > manifest::MOST_BYTES => {
            return Err(format!("its {} is too large", manifest::NAME));
        }
        Ok(_) => {}
    }
    let bytes = fs::read(&path).map_err(|e| e.to_string())?;
    let manifest = serde_json::from_slice::<Manifest>(&bytes)
        .map_err(|e| format!("its {} cannot be understood: {e}", manifest::NAME))?;
    if manifest.kind != manifest::KIND {
        return Err(format!("its {} is of another kind", manifest::NAME));
    }
    if manifest.format > manifest::FORMAT {
        return Err(format!(
            "it was written by a newer kennel (format {})",
            manifest.format
        ));
    }
    Ok(Some(manifest))
}

fn lock(path: &Path) -> Result<File, CliError> {
    let place = path.join(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options
        .open(&place)
        .map_err(|e| cannot("write to the folder", path, &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Who holds it may be writing it at this moment.
            let _unknown = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => String::new(),
                id => format!(" (process {id})"),
            };
            return Err(CliError::new(format!(
                "another export is writing to `{}`{holder}",
                path.display()
            ))
            .hint("run this again when it is done, or export to another folder with `--out`"));
        }
        Err(TryLockError::Error(error)) => return Err(cannot("lock the folder", path, &error)),
    }
    file.set_len(0)
        .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()))
        .map_err(|e| cannot("write to the folder", path, &e))?;
    Ok(file)
}

/// A folder for its owner alone.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Swaps two folders in one step where the system can; otherwise there is a moment without either.
fn replace(staged: &Path, place: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        if renameat_with(CWD, staged, CWD, place, RenameFlags::EXCHANGE).is_ok() {
            return Ok(());
        }
    }
    let mut aside = staged.as_os_str().to_owned();
    aside.push("-replaced");
    fs::rename(place, &aside)?;
    if let Err(error) = fs::rename(staged, place) {
        // Back to what was there.
        let _told_anyway = fs::rename(&aside, place);
        return Err(error);
    }
    fs::rename(&aside, staged)
}

/// Bytes in lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// The SHA-256 of a text or of bytes, in hexadecimal digits.
pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(out: &OutFolder, date: &str, text: &str) -> PathBuf {
        let place = out.place(date.parse().unwrap()).unwrap();
        let mut staging = out.stage().unwrap();
        staging.write(manifest::NAME, text.as_bytes()).unwrap();
        staging.write("csv/a.csv", b"a\r\n").unwrap();
        assert!(out.publish(staging, &place).unwrap().is_empty());
        place
    }

    fn names(path: &Path) -> Vec<String> {
        let names = fs::read_dir(path).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names = names.collect::<Vec<_>>();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_bundle_appears_whole_is_replaced_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let out = OutFolder::open(&path).unwrap();
        let place = published(&out, "2026-03-02", "one");
        assert_eq!(
            fs::read_to_string(place.join(manifest::NAME)).unwrap(),
            "one"
        );
        fs::write(place.join("stale"), "of the old one").unwrap();
        published(&out, "2026-03-02", "two");
        assert_eq!(
            fs::read_to_string(place.join(manifest::NAME)).unwrap(),
            "two"
        );
        assert!(!place.join("stale").exists());
        drop(out.stage().unwrap());
        #[cfg(unix)]
        assert_eq!(names(&path), [LOCK, "2026-03-02", "latest"]);
    }

    #[cfg(unix)]
    #[test]
    fn latest_is_a_relative_link_to_the_newest_state() {
        let folder = tempfile::tempdir().unwrap();
        let out = OutFolder::open(folder.path()).unwrap();
        let latest = || fs::read_link(folder.path().join(LATEST)).unwrap();
        published(&out, "2026-03-02", "");
        assert_eq!(latest(), Path::new("2026-03-02"));
        published(&out, "2026-03-03", "");
        published(&out, "2026-02-01", "");
        assert_eq!(latest(), Path::new("2026-03-03"));
        fs::remove_dir_all(folder.path().join("2026-03-03")).unwrap();
        published(&out, "2026-03-01", "");
        assert_eq!(
            latest(),
            Path::new("2026-03-01"),
            "a link to nothing is not kept"
        );
    }

    #[cfg(unix)]
    #[test]
    fn without_a_link_the_bundle_is_there_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let out = OutFolder::open(folder.path()).unwrap();
        let place = out.place("2026-03-02".parse().unwrap()).unwrap();
        let mut staging = out.stage().unwrap();
        staging.write(manifest::NAME, b"one").unwrap();
        // What a file system without links refuses, this one refuses where something has the name.
        fs::create_dir(folder.path().join(format!("{STAGING}latest"))).unwrap();
        let undone = out.publish(staging, &place).unwrap();
        let told = undone.iter().map(CliError::one_line).collect::<String>();
        assert!(told.contains("cannot point the link"), "{told}");
        assert!(place.join(manifest::NAME).is_file());
    }

    #[cfg(unix)]
    #[test]
    fn all_of_it_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/out");
        let out = OutFolder::open(&path).unwrap();
        let place = published(&out, "2026-03-02", "");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for private in [&path, &place, &place.join("csv")] {
            assert_eq!(mode(private), 0o700, "{}", private.display());
        }
        assert_eq!(mode(&place.join("csv/a.csv")), 0o600);
    }

    #[test]
    fn what_is_not_kennels_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let out = OutFolder::open(folder.path()).unwrap();
        fs::create_dir(folder.path().join("2026-03-02")).unwrap();
        assert!(out.place("2026-03-02".parse().unwrap()).is_err());
        drop(out);
        fs::create_dir(folder.path().join(LATEST)).unwrap();
        assert!(OutFolder::open(folder.path()).is_err());
    }

    #[test]
    fn a_second_export_is_told_and_what_a_killed_one_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(format!("{STAGING}dead"));
        fs::create_dir(&left).unwrap();
        fs::write(left.join("half"), "").unwrap();
        let out = OutFolder::open(folder.path()).unwrap();
        assert!(!left.exists());
        let Err(error) = OutFolder::open(folder.path()) else {
            panic!("two at a time")
        };
        let id = std::process::id();
        assert!(error.one_line().contains(&format!("(process {id})")));
        drop(out);
        assert!(OutFolder::open(folder.path()).is_ok());
    }
}
