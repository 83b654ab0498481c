//! CloudTrail in the cache: what a sync commits batch by batch, and what readers find.
//!
//! An object's row exists exactly when its records are in a table file that the same transaction named, so
//! that each object is ingested once whatever is killed when. Table files and coverage of a running sync are
//! pending; its last transaction shows them all at once.

mod batch;
mod finish;
mod held;
mod range;
mod read;
mod rebuild;
mod repair;
mod sweep;

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    AccountId, DeliveryDay, FailureStage, FetchedObject, Pack, PackRange, Sha256, SourceName,
    TrailPrefix,
};

pub use held::{Days, TrailHeld};
pub use read::{KnownTrailObjects, TrailObjects};
pub use rebuild::{CountedDay, RereadObject, TrailRebuild};

pub(crate) use sweep::kept_packs;

/// A table of CloudTrail records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrailTable {
    /// Management, data and all other events of the folder `CloudTrail`.
    Events,
    /// Insights events.
    Insights,
    /// Network activity events.
    NetworkActivity,
    /// Aggregated data events.
    Aggregated,
}

impl TrailTable {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Events,
        Self::Insights,
        Self::NetworkActivity,
        Self::Aggregated,
    ];

    /// `events`, `insights`, `network_activity` or `aggregated`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Insights => "insights",
            Self::NetworkActivity => "network_activity",
            Self::Aggregated => "aggregated",
        }
    }
}

impl fmt::Display for TrailTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for TrailTable {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|table| table.as_str() == text)
            .ok_or(())
    }
}

/// The class of an event, as CloudTrail's `eventCategory` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventCategory {
    /// Control plane.
    Management,
    /// Data plane.
    Data,
    /// Insights.
    Insight,
    /// Calls through VPC endpoints.
    NetworkActivity,
    /// Aggregated data events.
    Aggregated,
    /// Records that do not say, and objects without records.
    Unknown,
}

impl EventCategory {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Management,
        Self::Data,
        Self::Insight,
        Self::NetworkActivity,
        Self::Aggregated,
        Self::Unknown,
    ];

    /// As in records: `NetworkActivity`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Management => "Management",
            Self::Data => "Data",
            Self::Insight => "Insight",
            Self::NetworkActivity => "NetworkActivity",
            Self::Aggregated => "Aggregated",
            Self::Unknown => "Unknown",
        }
    }

    /// The category of this name; [`EventCategory::Unknown`] for any other text.
    pub fn from_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|category| category.as_str() == name)
            .unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for EventCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is odd about an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrailFlags {
    /// It consists of several gzip members: a digest would call it invalid.
    pub several_members: bool,
    /// Not all of it could be read as records.
    pub damaged: bool,
    /// It came with other bytes before, whose records are in the tables, too. Set by the cache.
    pub replaced: bool,
}

impl TrailFlags {
    const DAMAGED: i64 = 2;

    fn bits(self) -> i64 {
        i64::from(self.several_members)
            | (i64::from(self.damaged) * Self::DAMAGED)
            | (i64::from(self.replaced) << 2)
    }

    fn from_bits(bits: i64) -> Self {
        Self {
            several_members: bits & 1 != 0,
            damaged: bits & Self::DAMAGED != 0,
            replaced: bits & 4 != 0,
        }
    }
}

/// An object of a batch, with what the ingester made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTrailObject {
    /// The object, as fetched and verified.
    pub object: FetchedObject,
    /// Where its bytes lie: one of the batch's packs. `None` when they are not kept.
    pub pack: Option<(Sha256, PackRange)>,
    /// Records that are in the batch's table files.
    pub record_count: u64,
    /// What is odd about it.
    pub flags: TrailFlags,
    /// Events by category, for the coverage. An object without records counts as `(Unknown, 0)`; one of a
    /// digest has none.
    pub categories: Vec<(EventCategory, u64)>,
}

/// A table file to be named by the manifest; see [`TrailFile`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTrailFile {
    /// Which table.
    pub table: TrailTable,
    /// The file, below [`crate::Home::tables`]; in its folder `cloudtrail`.
    pub table_path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Number of rows.
    pub row_count: u64,
    /// Oldest and newest event time; `None` when no row has one.
    pub event_time: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// First and last delivery day; `None` without rows.
    pub delivery_day: Option<(DeliveryDay, DeliveryDay)>,
    /// Its columns, in the ingester's form.
    pub columns: String,
    /// Statistics of its columns, in the ingester's form.
    pub statistics: String,
    /// How often its rows were compacted, in the ingester's counting.
    pub level: u32,
}

/// What one transaction of a running sync commits; see [`crate::CacheWriter::commit_trail_batch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailBatch {
    /// The source.
    pub source: SourceName,
    /// Packs that hold the objects' bytes.
    pub packs: Vec<Pack>,
    /// Objects whose records are all in `files`.
    pub objects: Vec<NewTrailObject>,
    /// Known objects whose bytes are those known, under another ETag: nothing is ingested.
    pub refreshed: Vec<FetchedObject>,
    /// Table files with the records of `objects`, no more and no less.
    pub files: Vec<NewTrailFile>,
}

/// What a batch came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrailBatchOutcome {
    /// Objects that were new.
    pub added_count: u64,
    /// Objects that came with other bytes than before.
    pub changed_count: u64,
}

/// What a complete listing of a prefix saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailListed {
    /// Which prefix.
    pub prefix: TrailPrefix,
    /// First day that was listed; `None`: from the first key.
    pub from: Option<DeliveryDay>,
    /// Last day that was listed; `None`: to the last key.
    pub until: Option<DeliveryDay>,
    /// Newest day that a listed object has; `None` when none was listed.
    pub newest: Option<DeliveryDay>,
    /// First day with an object that is not committed, since it failed or was not tried: later syncs
    /// must list it again.
    pub first_open: Option<DeliveryDay>,
    /// Whether everything was listed that the source is to give, however old.
    pub is_full: bool,
}

/// The end of a sync; see [`crate::CacheWriter::finish_trail_sync`].
#[derive(Debug, Clone)]
pub struct TrailFinish {
    /// The source.
    pub source: SourceName,
    /// When the sync began.
    pub started_at: DateTime<Utc>,
    /// Now: when its table files become visible.
    pub taken_at: DateTime<Utc>,
    /// Prefixes that were listed completely, and planned.
    pub listed: Vec<TrailListed>,
    /// Ids of table files whose rows are in `files`.
    pub replaced_files: Vec<i64>,
    /// Compacted table files.
    pub files: Vec<NewTrailFile>,
    /// Unchanged objects whose `LastModified` moved.
    pub refreshed: Vec<(String, DateTime<Utc>)>,
    /// What could not be done: key or prefix, step, message.
    pub failures: Vec<(String, FailureStage, String)>,
    /// Whether nothing was left out by flags, so that older failures to list are over.
    pub covers_all: bool,
    /// Objects fetched.
    pub fetched_count: u64,
    /// Their bytes.
    pub fetched_bytes: u64,
    /// Objects found unchanged.
    pub unchanged_count: u64,
    /// Objects that came with other bytes than before.
    pub changed_count: u64,
    /// Why the sync as a whole did not succeed.
    pub error: Option<String>,
}

/// A table file of CloudTrail records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailFile {
    /// Its id, for [`TrailFinish::replaced_files`].
    pub id: i64,
    /// The source of its records.
    pub source: SourceName,
    /// What it holds.
    pub file: NewTrailFile,
    /// From when on readers see it; `None` before the end of the sync that wrote it.
    pub visible_from: Option<DateTime<Utc>>,
}

/// A prefix as the manifest knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTrailPrefix {
    /// Which.
    pub prefix: TrailPrefix,
    /// First day of what was listed completely; `None`: from the first key.
    pub covered_from: Option<DeliveryDay>,
    /// Last day of that; `None`: nothing yet.
    pub checkpoint_day: Option<DeliveryDay>,
    /// When everything was last listed.
    pub full_listed_at: Option<DateTime<Utc>>,
    /// Objects committed.
    pub object_count: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// Their records.
    pub record_count: u64,
}

/// A CloudTrail object in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailObject {
    /// The source it came from.
    pub source: SourceName,
    /// The object, as fetched and verified.
    pub object: FetchedObject,
    /// The pack that holds its bytes, and where; `None` when they were not kept.
    pub pack: Option<(Sha256, PackRange)>,
    /// Records in the tables.
    pub record_count: u64,
    /// What is odd about it.
    pub flags: TrailFlags,
}

/// Account and region of a coverage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoveragePlace {
    /// The source.
    pub source: SourceName,
    /// The account that the keys name.
    pub account_id: AccountId,
    /// The region that the keys name.
    pub region: String,
}

/// A folder of a trail of which the cache holds objects: one account, region and day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailPlace {
    /// Account, folder and region; shared by its days.
    pub prefix: Arc<TrailPrefix>,
    /// The day of delivery.
    pub day: DeliveryDay,
}

/// What the cache holds of one day, account, region and event category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailCoverage {
    /// Account and region; shared by its rows.
    pub place: Arc<CoveragePlace>,
    /// The day of delivery.
    pub day: DeliveryDay,
    /// The category.
    pub category: EventCategory,
    /// Objects that hold such events.
    pub object_count: u64,
    /// Events.
    pub event_count: u64,
}
