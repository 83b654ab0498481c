//! What can go wrong with the cache. Facts only; hints are the front door's.

use std::{io, path::PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::{SnapshotId, SourceName, lock::LockHolder};

/// An error of the cache: names the file or row, keeps the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// There is no cache at this place (no manifest): nothing was synced yet.
    #[error("no cache in `{}`", home.display())]
    NotFound {
        /// The home that was looked at.
        home: PathBuf,
    },
    /// A file or folder of the cache could not be used.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried: a verb ("create", "read", "rename").
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The manifest answered with an error.
    #[error("cannot {action} the manifest `{}`", path.display())]
    Manifest {
        /// What was tried.
        action: &'static str,
        /// The manifest's file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
    /// The manifest was written by another version of kennel.
    #[error("manifest `{}` has format {found}, this kennel reads format {known}", path.display())]
    Format {
        /// The manifest's file.
        path: PathBuf,
        /// Format in the file.
        found: i64,
        /// Format of this program.
        known: i64,
    },
    /// Something in the manifest does not fit what it must hold.
    #[error("manifest `{}` is damaged: {what}", path.display())]
    Damaged {
        /// The manifest's file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Another process holds the writer lock.
    #[error("another kennel is writing to this cache: {holder}")]
    Locked {
        /// Who holds it, as far as it could be read.
        holder: LockHolder,
    },
    /// No source of that name is in the manifest.
    #[error("no source `{name}` in the cache")]
    UnknownSource {
        /// The name asked for.
        name: String,
    },
    /// No snapshot of that id is in the manifest.
    #[error("no snapshot `{id}` in the cache")]
    UnknownSnapshot {
        /// The id asked for.
        id: String,
    },
    /// Nothing is kept of a time.
    #[error("nothing is kept of {} or before; the oldest snapshots are {}", shown(*at), listed(nearest))]
    BeforeHistory {
        /// The time asked for.
        at: DateTime<Utc>,
        /// The oldest snapshots, oldest first: id, source, time.
        nearest: Vec<(SnapshotId, SourceName, DateTime<Utc>)>,
    },
    /// An object's bytes in a pack are not those that were fetched.
    #[error("object `{key}` in `{}` is damaged: {what}", path.display())]
    DamagedPack {
        /// The object.
        key: String,
        /// The pack.
        path: PathBuf,
        /// What is wrong: "missing", "cut off", "SHA-256 is …".
        what: String,
    },
    /// A batch holds an object whose records are in the tables already.
    #[error("object `{key}` was ingested before")]
    AlreadyIngested {
        /// Its key.
        key: String,
    },
    /// A batch holds an object that is none of a trail's.
    #[error("key `{key}` is not that of a CloudTrail file")]
    NoTrailKey {
        /// Its key.
        key: String,
    },
    /// A batch names a pack that is not among its own, or a range of another length than the object.
    #[error("object `{key}` does not lie in a pack of its batch")]
    UnknownPack {
        /// Its key.
        key: String,
    },
    /// A table file that was to be replaced is not in the manifest.
    #[error("no table file {id} of this source in the cache")]
    UnknownTableFile {
        /// Its id.
        id: i64,
    },
    /// The file of the key for redaction holds something else.
    #[error("`{}` is no redaction key", path.display())]
    DamagedKey {
        /// The file.
        path: PathBuf,
    },
    /// Queries kept their files open for longer than `prune` waits.
    #[error("queries are still reading this cache")]
    Busy,
}

fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn listed(snapshots: &[(SnapshotId, SourceName, DateTime<Utc>)]) -> String {
    let texts = snapshots
        .iter()
        .map(|(id, source, at)| format!("{id} of {} (`{source}`)", shown(*at)));
    texts.collect::<Vec<_>>().join(", ")
}

impl CacheError {
    /// Whether the disk is full: stop, rather than fail object by object.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
            || matches!(self, Self::Manifest { source: rusqlite::Error::SqliteFailure(e, _), .. } if e.code == rusqlite::ErrorCode::DiskFull)
    }

    /// Whether the manifest's file is no database, or a broken one.
    pub fn is_no_manifest(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        matches!(self, Self::Manifest { source: rusqlite::Error::SqliteFailure(e, _), .. } if matches!(e.code, NotADatabase | DatabaseCorrupt))
    }

    /// Whether the cache may only be read: wrong owner, read-only media.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied))
            || matches!(self, Self::Manifest { source: rusqlite::Error::SqliteFailure(e, _), .. } if e.code == rusqlite::ErrorCode::ReadOnly)
    }
}
