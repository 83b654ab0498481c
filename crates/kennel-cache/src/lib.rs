//! The cellar: everything kennel keeps on disk, and the contract between who fills it and who reads it.
//!
//! [`CacheWriter`] is the one writer (it holds the lock); [`Cache`] is one of any number of readers.
//! Objects are byte-for-byte copies under their own SHA-256 (CloudTrail's many in packs), the manifest is one
//! SQLite file, and a snapshot becomes visible by one transaction. No other crate creates, renames or deletes below the
//! cache root. This crate knows nothing of S3, Parquet or SQL engines.

mod answering;
mod csv_key;
mod error;
mod files;
mod ids;
mod import;
mod layout;
mod links;
mod lock;
mod manifest;
mod pack;
mod prune;
mod redaction;
mod report_key;
mod snapshot;
mod stage;
mod trail;
mod trail_key;
mod user;
mod verify;

pub use csv_key::CsvReportKey;
pub use error::CacheError;
pub use ids::{AccountId, CustomerId, IdError, Sha256, SnapshotId, SourceKind, SourceName};
pub use import::{ImportCommit, ImportOutcome};
pub use layout::Home;
pub use lock::LockHolder;
pub use manifest::{
    Cache, Failure, FailureStage, KnownObject, KnownObjects, ObjectVersion, Report, SnapshotInfo,
    SourceInfo, SyncRun, UserTable, View,
};
pub use pack::{Pack, PackRange, PackReader, PackWriter};
pub use prune::{PruneOutcome, Retention};
pub use report_key::{ReportKey, ReportType};
pub use snapshot::{CacheWriter, CommitOutcome, FetchedObject, NewReport, SyncCommit};
pub use stage::{Stage, StageFile};
pub use trail::{
    CountedDay, CoveragePlace, Days, EventCategory, KnownTrailObjects, KnownTrailPrefix,
    NewTrailFile, NewTrailObject, RereadObject, TrailBatch, TrailBatchOutcome, TrailCoverage,
    TrailFile, TrailFinish, TrailFlags, TrailHeld, TrailListed, TrailObject, TrailObjects,
    TrailPlace, TrailRebuild, TrailTable,
};
pub use trail_key::{DeliveryDay, TrailFolder, TrailKey, TrailPrefix, is_account, is_organisation};
pub use user::{Put, UserCatalog, UserFile, UserPartition};
pub use verify::{DamagedObject, DamagedTable, VerifyOutcome};
