//! The state of the cache that an export is of: the snapshots that answer. Its time is the newest one's; the bundle's
//! date, the workbook's and every other date of it are taken from there, never from the clock.

use chrono::{DateTime, Utc};
use kennel_cache::SourceKind;
use kennel_engine::{CannedQuery, Engine, Standing};

use super::manifest;
use crate::{error::CliError, text::instant};

/// A state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) at: DateTime<Utc>,
    pub(crate) snapshots: Vec<Standing>,
    kinds: Vec<SourceKind>,
}

/// The kinds of sources that a query reads; both where it does not say.
pub(crate) fn kinds_of(query: &CannedQuery) -> Vec<SourceKind> {
    let reads = |schemas: &[&str]| {
        query.reads.iter().any(|table| {
            schemas
                .iter()
                .any(|schema| table.starts_with(schema) && table[schema.len()..].starts_with('.'))
        })
    };
    let mut kinds = Vec::new();
    if reads(&["k9", "iam"]) {
        kinds.push(SourceKind::K9);
    }
    if reads(&["cloudtrail"]) {
        kinds.push(SourceKind::CloudTrail);
    }
    if kinds.is_empty() {
        kinds.extend([SourceKind::K9, SourceKind::CloudTrail]);
    }
    kinds
}

impl State {
    /// The state that these questions are asked of.
    ///
    /// # Errors
    /// A cache without any snapshot of what they read: there is nothing to export, and no date for it.
    pub(crate) fn of(engine: &Engine, queries: &[&CannedQuery]) -> Result<Self, CliError> {
        let mut kinds = queries
            .iter()
            .flat_map(|query| kinds_of(query))
            .collect::<Vec<_>>();
        kinds.dedup();
        let standing = engine.standing(engine.as_of())?;
        let state = Self {
            at: DateTime::default(),
            snapshots: Vec::new(),
            kinds,
        };
        let snapshots = state.of_kinds(standing);
        match newest(&snapshots) {
            Some(at) => Ok(Self {
                at,
                snapshots,
                ..state
            }),
            None => Err(CliError::absent(
                "nothing to export: the cache holds no snapshot of what the questions read",
            )
            .hint("`kennel sync` mirrors the sources; `kennel status` shows what the cache holds")),
        }
    }

    /// Those of the kinds that the questions read.
    pub(crate) fn of_kinds(&self, snapshots: Vec<Standing>) -> Vec<Standing> {
        let mut snapshots = snapshots;
        snapshots.retain(|standing| self.kinds.contains(&standing.kind));
        snapshots
    }

    /// For the manifest.
    pub(crate) fn described(&self, as_of: Option<DateTime<Utc>>) -> manifest::State {
        manifest::State {
            at: instant(self.at),
            as_of: as_of.map(instant),
            snapshots: described(&self.snapshots),
        }
    }
}

/// The time of the newest of these.
pub(crate) fn newest(snapshots: &[Standing]) -> Option<DateTime<Utc>> {
    let times = snapshots.iter().map(|standing| standing.snapshot.taken_at);
    times.max()
}

/// For the manifest.
pub(crate) fn described(snapshots: &[Standing]) -> Vec<manifest::Snapshot> {
    let described = snapshots.iter().map(|standing| manifest::Snapshot {
        id: standing.snapshot.id.to_string(),
        source: standing.snapshot.source.to_string(),
        kind: standing.kind.as_str().to_owned(),
        taken_at: instant(standing.snapshot.taken_at),
        is_complete: standing.snapshot.complete,
    });
    described.collect()
}
