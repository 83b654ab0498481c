//! The manifest: one SQLite file with all that kennel knows of its objects, and the reader over it.
//!
//! Rollback-journal mode, not WAL: the file then opens on read-only media as it is, a reader holds
//! its lock for the milliseconds of a look-up, and the writer's transactions are as short. Each
//! look-up that must be consistent reads within one transaction; what it returned stays true for
//! that snapshot, since object versions and table files are never rewritten.

mod open;
mod read;
mod rows;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use crate::{
    AccountId, CustomerId, Home, ReportType, Sha256, SnapshotId, SourceKind, SourceName,
    lock::ReaderLock,
};

pub use read::KnownObjects;

pub(crate) use open::{has_table, open_for_writing};
pub(crate) use rows::{FETCHED_COLUMNS, instant, micros, optional_instant, parsed, select_fetched};

/// A reader of the cache, on the state of the moment it asks.
#[derive(Debug)]
pub struct Cache {
    pub(crate) home: Home,
    pub(crate) db: Connection,
    /// Keeps `prune` from taking files away that this reader may still open.
    _reading: ReaderLock,
    /// Where the manifest was copied to, when it could not be read in place.
    _copy: Option<tempfile::TempDir>,
}

/// What the manifest knows of one current key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownObject {
    /// The key.
    pub key: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// ETag as listed, without quotes.
    pub etag: String,
    /// `LastModified` as listed.
    pub modified_at: DateTime<Utc>,
    /// Version id, where the bucket has versions and the listing told them.
    pub version_id: Option<String>,
    /// Since when the source no longer lists it.
    pub missing_since: Option<DateTime<Utc>>,
}

/// One version of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion {
    /// The source it came from.
    pub source: SourceName,
    /// The key.
    pub key: String,
    /// ETag as listed.
    pub etag: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// `LastModified` as listed.
    pub modified_at: DateTime<Utc>,
    /// Hash of the bytes in the cache.
    pub sha256: Sha256,
    /// Which checks the bytes passed when fetched.
    pub verified_by: String,
    /// When it was fetched.
    pub fetched_at: DateTime<Utc>,
    /// First snapshot time that has it.
    pub valid_from: DateTime<Utc>,
    /// Snapshot time that replaced it.
    pub valid_to: Option<DateTime<Utc>>,
    /// Since when the source no longer lists it.
    pub missing_since: Option<DateTime<Utc>>,
}

/// Which versions of the reports to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The newest version of each.
    Latest,
    /// What was newest at this instant.
    At(DateTime<Utc>),
    /// All versions kept.
    All,
}

/// A k9 report: one object version as a table file.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The source it came from.
    pub source: SourceName,
    /// The object's key.
    pub key: String,
    /// Which report.
    pub report_type: ReportType,
    /// Partition `customer_id`.
    pub customer_id: CustomerId,
    /// Partition `csp`.
    pub csp: String,
    /// Partition `account_id`.
    pub account_id: AccountId,
    /// Oldest and newest analysis time of its rows; `None` for an empty report.
    pub analysis_time: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Number of rows.
    pub row_count: u64,
    /// The table file, below [`Home::tables`].
    pub table_path: String,
    /// Size of the table file.
    pub table_size_bytes: u64,
    /// The table file's columns, in the form of whoever ingested it.
    pub columns: String,
    /// Minimum, maximum and null count of its columns, in the same hand.
    pub statistics: String,
    /// What of the object could not be read; the rest is in the table.
    pub problem: Option<String>,
    /// First snapshot time that has it.
    pub valid_from: DateTime<Utc>,
    /// Snapshot time that replaced it.
    pub valid_to: Option<DateTime<Utc>>,
    /// Since when the source no longer lists its object.
    pub missing_since: Option<DateTime<Utc>>,
}

/// A source as the manifest knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceInfo {
    /// Its name.
    pub name: SourceName,
    /// What it delivers.
    pub kind: SourceKind,
    /// Where it lies.
    pub url: String,
    /// Number of current objects.
    pub object_count: u64,
    /// Bytes of the current objects.
    pub current_bytes: u64,
    /// Bytes of all versions kept, each content counted once; packs whole.
    pub kept_bytes: u64,
    /// The last sync that ended, however.
    pub last_sync: Option<SyncRun>,
    /// When a sync last ended without an error.
    pub last_success_at: Option<DateTime<Utc>>,
}

/// One run of sync over one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRun {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// Objects fetched.
    pub fetched_count: u64,
    /// Bytes fetched.
    pub fetched_bytes: u64,
    /// Objects found unchanged.
    pub unchanged_count: u64,
    /// Objects that failed.
    pub failed_count: u64,
    /// Why it as a whole did not succeed.
    pub error: Option<String>,
}

/// The state of one source after a sync that changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its id.
    pub id: SnapshotId,
    /// The source.
    pub source: SourceName,
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
    /// Objects that were new.
    pub added_count: u64,
    /// Objects that had changed.
    pub changed_count: u64,
    /// Objects that the source no longer lists.
    pub missing_count: u64,
    /// Objects in it.
    pub object_count: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// Whether all that the source listed is in it.
    pub complete: bool,
}

/// In which step an object failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureStage {
    /// The listing of a prefix (the key is the prefix).
    List,
    /// The download.
    Fetch,
    /// The check of the bytes.
    Verify,
    /// The reading of the content.
    Ingest,
}

impl FailureStage {
    /// `list`, `fetch`, `verify` or `ingest`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Fetch => "fetch",
            Self::Verify => "verify",
            Self::Ingest => "ingest",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::List, Self::Fetch, Self::Verify, Self::Ingest]
            .into_iter()
            .find(|s| s.as_str() == text)
    }
}

/// Something that the last sync of a source could not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The source.
    pub source: SourceName,
    /// The object's key, or the prefix of a listing.
    pub key: String,
    /// In which step.
    pub stage: FailureStage,
    /// What happened.
    pub message: String,
    /// When it last failed.
    pub failed_at: DateTime<Utc>,
    /// Since when it has been failing.
    pub first_at: DateTime<Utc>,
}

/// A table that a user declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserTable {
    /// Schema, lower case.
    pub schema: String,
    /// Name, lower case.
    pub name: String,
    /// Its DDL.
    pub definition: String,
    /// When it was declared.
    pub created_at: DateTime<Utc>,
}
