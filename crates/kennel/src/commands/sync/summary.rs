//! The last line of `--json` for each source, format 1: fields are added, never changed.

use serde::Serialize;

use super::{Context, Source, cost_usd};
use crate::mirroring;

#[derive(Serialize)]
pub(super) struct Synced {
    event: &'static str,
    format: u32,
    source: String,
    fetched_count: u64,
    fetched_bytes: u64,
    adopted_count: u64,
    unchanged_count: u64,
    failed_count: u64,
    missing_count: u64,
    filtered_count: u64,
    left_alone_count: u64,
    archived_count: u64,
    snapshot: Option<String>,
    failures: Vec<Failure>,
    problems: Vec<Problem>,
    vanished: Vec<String>,
    requests: Requests,
    /// Csv reports that became history, and their snapshots.
    #[serde(skip_serializing_if = "Option::is_none")]
    imported_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    imported_snapshot_count: Option<u64>,
    /// Records of a CloudTrail source.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_count: Option<u64>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Failure {
    key: String,
    stage: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Problem {
    key: String,
    message: String,
}

#[derive(Serialize)]
struct Requests {
    list: u64,
    get: u64,
    head: u64,
    retries: u64,
    bytes_in: u64,
}

impl From<&kennel_mirror::RequestCounts> for Requests {
    fn from(counts: &kennel_mirror::RequestCounts) -> Self {
        Self {
            list: counts.list,
            get: counts.get,
            head: counts.head,
            retries: counts.retries,
            bytes_in: counts.bytes_in,
        }
    }
}

impl Synced {
    pub(super) fn new(source: &Source, synced: &mirroring::Synced) -> Self {
        Self {
            event: "summary",
            format: 1,
            source: source.name.to_string(),
            fetched_count: synced.fetched_count,
            fetched_bytes: synced.fetched_bytes,
            adopted_count: synced.adopted_count,
            unchanged_count: synced.unchanged_count,
            failed_count: synced.failures.len() as u64,
            missing_count: synced.commit.missing_count,
            filtered_count: synced.looked.filtered_count,
            left_alone_count: synced.looked.left_alone_count,
            archived_count: synced.looked.archived_count,
            snapshot: synced.commit.snapshot.map(|id| id.to_string()),
            failures: synced
                .failures
                .iter()
                .map(|(key, stage, message)| Failure {
                    key: key.clone(),
                    stage: stage.as_str(),
                    message: message.clone(),
                })
                .collect(),
            problems: synced
                .problems
                .iter()
                .map(|(key, message)| Problem {
                    key: key.clone(),
                    message: message.clone(),
                })
                .collect(),
            vanished: synced.vanished.clone(),
            requests: (&synced.requests).into(),
            imported_count: synced.imported.map(|imported| imported.report_count),
            imported_snapshot_count: synced.imported.map(|imported| imported.snapshot_count),
            event_count: synced.trail.map(|trail| trail.record_count),
            duplicate_count: synced.trail.map(|trail| trail.duplicate_count),
            error: synced
                .stopped
                .as_ref()
                .map(crate::error::CliError::one_line),
        }
    }

    pub(super) fn line(&self) -> String {
        line(self)
    }
}

#[derive(Serialize)]
pub(super) struct Planned {
    event: &'static str,
    format: u32,
    source: String,
    fetch_count: u64,
    fetch_bytes: u64,
    adopt_count: u64,
    unchanged_count: u64,
    missing_count: u64,
    filtered_count: u64,
    left_alone_count: u64,
    archived_count: u64,
    shrink_refused: Option<String>,
    objects: Vec<Object>,
    requests: Requests,
    estimated_usd: f64,
}

#[derive(Serialize)]
struct Object {
    key: String,
    size_bytes: u64,
    etag: String,
}

impl Planned {
    pub(super) fn new(source: &Source, planned: &mirroring::Planned, cx: &Context) -> Self {
        let looked = &planned.looked;
        let object = |object: &kennel_mirror::RemoteObject| Object {
            key: object.key.clone(),
            size_bytes: object.size_bytes,
            etag: object.etag.clone(),
        };
        Self {
            event: "plan",
            format: 1,
            source: source.name.to_string(),
            fetch_count: planned.fetch.len() as u64,
            fetch_bytes: planned.fetch_bytes,
            adopt_count: planned.adopt_count,
            unchanged_count: looked.keep_count,
            missing_count: planned.missing_count,
            filtered_count: looked.filtered_count,
            left_alone_count: looked.left_alone_count,
            archived_count: looked.archived_count,
            shrink_refused: looked.shrink_refused.as_ref().map(ToString::to_string),
            objects: planned.fetch.iter().map(object).collect(),
            requests: (&planned.requests).into(),
            estimated_usd: cost_usd(planned, cx),
        }
    }

    pub(super) fn line(&self) -> String {
        line(self)
    }
}

/// The summary of a source that failed as a whole.
pub(super) fn failed(source: &Source, error: &str) -> String {
    #[derive(Serialize)]
    struct Failed<'a> {
        event: &'static str,
        format: u32,
        source: &'a str,
        error: &'a str,
    }
    line(&Failed {
        event: "summary",
        format: 1,
        source: source.name.as_str(),
        error,
    })
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain fields always serialise")
}
