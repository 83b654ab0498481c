//! What a sync plans, finds and does, for whoever tells people.

use chrono::{DateTime, Utc};
use kennel_cache::{CommitOutcome, FailureStage, SnapshotId};
use kennel_mirror::{RemoteObject, RequestCounts, Shrink, SyncPlan, TrailPlan};

use super::csv_reports;
use crate::error::CliError;

/// What listing showed, beside what is to be fetched.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Looked {
    /// Objects listed.
    pub(crate) listed_count: u64,
    /// Objects that are unchanged.
    pub(crate) keep_count: u64,
    /// Objects that are not kennel's.
    pub(crate) left_alone_count: u64,
    /// Objects that flags left out.
    pub(crate) filtered_count: u64,
    /// Objects in an archive class that must be restored before they can be read.
    pub(crate) archived_count: u64,
    /// Set when the listing lacks too much to be believed.
    pub(crate) shrink_refused: Option<Shrink>,
}

impl From<&SyncPlan> for Looked {
    fn from(plan: &SyncPlan) -> Self {
        Self {
            listed_count: plan.listed_count,
            keep_count: plan.keep_count,
            left_alone_count: plan.left_alone_count,
            filtered_count: plan.filtered_count,
            archived_count: plan.archived.len() as u64,
            shrink_refused: plan.shrink_refused,
        }
    }
}

impl Looked {
    pub(super) fn add_looked(&mut self, other: &Self) {
        self.listed_count += other.listed_count;
        self.keep_count += other.keep_count;
        self.left_alone_count += other.left_alone_count;
        self.filtered_count += other.filtered_count;
        self.archived_count += other.archived_count;
    }

    pub(super) fn add(&mut self, plan: &TrailPlan) {
        self.listed_count += plan.listed_count;
        self.keep_count += plan.keep_count;
        self.left_alone_count += plan.left_alone_count;
        self.filtered_count += plan.filtered_count;
        self.archived_count += plan.archived_count;
    }
}

/// What is to be done, and what finding out took.
pub(crate) struct Planned {
    /// Objects to fetch, by key.
    pub(crate) fetch: Vec<RemoteObject>,
    /// Their bytes.
    pub(crate) fetch_bytes: u64,
    /// Objects that an interrupted sync has fetched already.
    pub(crate) adopt_count: u64,
    /// Known objects that are no longer listed.
    pub(crate) missing_count: u64,
    /// Missing ones that are listed again.
    pub(crate) reappeared_count: u64,
    /// What else listing showed.
    pub(crate) looked: Looked,
    /// What could not be listed.
    pub(crate) failures: Vec<(String, FailureStage, String)>,
    /// Requests made so far.
    pub(crate) requests: RequestCounts,
}

/// Records of a CloudTrail sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrailCounts {
    /// Records read.
    pub(crate) record_count: u64,
    /// Those of the files written now that another file has, too.
    pub(crate) duplicate_count: u64,
    /// Accounts, folders and regions that were found.
    pub(crate) prefix_count: u64,
    /// Whether flags left something out.
    pub(crate) is_narrowed: bool,
}

/// Csv reports that became history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ImportCounts {
    /// Reports.
    pub(crate) report_count: u64,
    /// Their snapshots.
    pub(crate) snapshot_count: u64,
    /// The oldest and the newest of these: id and time.
    pub(crate) ends: Option<[(SnapshotId, DateTime<Utc>); 2]>,
}

/// What was done.
pub(crate) struct Synced {
    /// Objects fetched.
    pub(crate) fetched_count: u64,
    /// Their bytes.
    pub(crate) fetched_bytes: u64,
    /// Objects that an interrupted sync had fetched already.
    pub(crate) adopted_count: u64,
    /// Objects found unchanged.
    pub(crate) unchanged_count: u64,
    /// Keys, steps and messages.
    pub(crate) failures: Vec<(String, FailureStage, String)>,
    /// Objects of which some values could not be read.
    pub(crate) problems: Vec<(String, String)>,
    /// Keys that were deleted between listing and download.
    pub(crate) vanished: Vec<String>,
    /// What listing showed.
    pub(crate) looked: Looked,
    /// What the commit made.
    pub(crate) commit: CommitOutcome,
    /// Requests made.
    pub(crate) requests: RequestCounts,
    /// What ended the downloads early.
    pub(crate) stopped: Option<CliError>,
    /// Of a CloudTrail source.
    pub(crate) trail: Option<TrailCounts>,
    /// Csv reports of a k9 source.
    pub(crate) imported: Option<ImportCounts>,
}

impl Synced {
    pub(super) fn add_import(&mut self, imported: csv_reports::Imported) {
        self.fetched_count += imported.fetched_count;
        self.fetched_bytes += imported.fetched_bytes;
        self.adopted_count += imported.adopted_count;
        self.unchanged_count += imported.unchanged_count;
        self.failures.extend(imported.failures);
        self.problems.extend(imported.problems);
        self.vanished.extend(imported.vanished);
        self.looked.add_looked(&imported.looked);
        self.stopped = self.stopped.take().or(imported.stopped);
        let first = imported.snapshots.iter().min_by_key(|(_, at)| *at);
        let last = imported.snapshots.iter().max_by_key(|(_, at)| *at);
        self.imported = (imported.report_count > 0).then(|| ImportCounts {
            report_count: imported.report_count,
            snapshot_count: imported.snapshots.len() as u64,
            ends: first.zip(last).map(|(first, last)| [*first, *last]),
        });
    }
}

/// How a source's sync ended.
pub(crate) enum Outcome {
    /// It was committed.
    Synced(Box<Synced>),
    /// Ctrl-C: what was fetched is kept for the next sync.
    Interrupted {
        /// Objects fetched.
        fetched_count: u64,
    },
}
