//! `manifest.json` of a bundle: what was asked, of which state, what it rests on, and the hash of each file. Format 1:
//! fields are added, never changed. It is read back as the baseline of the next export, and by `kennel verify bundle`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Its name in a bundle.
pub(crate) const NAME: &str = "manifest.json";
/// The format that this kennel writes.
pub(crate) const FORMAT: u32 = 1;
/// What a bundle's manifest calls itself.
pub(crate) const KIND: &str = "kennel-export";
/// Longer manifests are not read: no bundle has one, and a hostile one must not fill the memory.
pub(crate) const MOST_BYTES: u64 = 256 << 20;

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) kind: String,
    pub(crate) tool: Tool,
    pub(crate) state: State,
    pub(crate) scope: Scope,
    /// What the page compares with.
    pub(crate) baseline: Option<Baseline>,
    /// `whole`, `incomplete` or `no data`: the worst of the questions.
    pub(crate) answers: String,
    /// The key under which names were replaced; absent where none were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redaction: Option<String>,
    pub(crate) questions: Vec<Question>,
    /// Questions that the selection has, and that were not asked.
    pub(crate) left_out: Vec<LeftOut>,
    /// The hash of the suppressions file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) suppressions_sha256: Option<String>,
    /// Accepted findings: what was listed apart, by which entry.
    #[serde(default)]
    pub(crate) suppressions: Vec<Suppression>,
    /// The k9 reports of this state that the questions read.
    pub(crate) objects: Vec<Object>,
    /// CloudTrail: counted by place, its objects are too many to be named.
    pub(crate) coverage: Vec<Coverage>,
    pub(crate) files: Vec<File>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// The state of the cache that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The time of its newest snapshot: the bundle's date.
    pub(crate) at: String,
    /// The time asked for with `--as-of`; "now" in the questions.
    pub(crate) as_of: Option<String>,
    pub(crate) snapshots: Vec<Snapshot>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) kind: String,
    pub(crate) taken_at: String,
    /// Whether all that the source listed is in it.
    pub(crate) is_complete: bool,
}

/// Customers and accounts that the questions were narrowed to; empty: all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scope {
    pub(crate) customers: Vec<String>,
    pub(crate) accounts: Vec<String>,
}

/// An earlier state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    pub(crate) at: String,
    pub(crate) snapshots: Vec<Snapshot>,
    /// Whether `--baseline` named it.
    pub(crate) is_named: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) severity: Option<String>,
    pub(crate) reads: Vec<String>,
    pub(crate) key: Vec<String>,
    /// The whole query file, and its hash.
    pub(crate) query: String,
    pub(crate) query_sha256: String,
    /// Parameters that were given; the others have the defaults of the query file.
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) row_count: u64,
    pub(crate) suppressed_count: u64,
    /// The hash of the rows as JSON lines, whichever formats were written.
    pub(crate) rows_sha256: String,
    /// What changed since the baseline; absent where it could not be compared.
    pub(crate) changes: Option<Changes>,
    /// Why it could not be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_compared: Option<String>,
    pub(crate) caveats: Vec<Caveat>,
    pub(crate) reports: Vec<Report>,
    /// Rows of this question by snapshot, oldest first; of this state last.
    #[serde(default)]
    pub(crate) trend: Vec<Point>,
    /// Its files.
    pub(crate) files: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changes {
    pub(crate) new_count: u64,
    pub(crate) gone_count: u64,
    pub(crate) changed_count: u64,
    /// Rows of the baseline in accounts that this state has no report of: nobody knows whether they are gone.
    pub(crate) unknown_count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) snapshot: String,
    pub(crate) at: String,
    pub(crate) row_count: u64,
    /// The reports of that snapshot: a count is taken over only where they are the same.
    pub(crate) reports_sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Caveat {
    /// `note`, `partial` or `absent`.
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// A report that an answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) table: String,
    pub(crate) customer_id: String,
    pub(crate) account_id: String,
    pub(crate) analysis_time: Option<String>,
    pub(crate) snapshot_at: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftOut {
    pub(crate) id: String,
    pub(crate) reason: String,
}

/// What an entry of the suppressions file did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Suppression {
    pub(crate) name: String,
    /// The question, or the pattern of questions.
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) reason: String,
    pub(crate) expires: Option<String>,
    /// `used`, `expired`, `unused`, or `unknown` when not all of its questions were asked or answered whole.
    pub(crate) standing: String,
    pub(crate) row_count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) source: String,
    pub(crate) key: String,
    pub(crate) etag: String,
    pub(crate) sha256: String,
    pub(crate) size_bytes: u64,
    pub(crate) modified_at: String,
    /// Which checks its bytes passed when they were fetched.
    pub(crate) verified_by: String,
    /// The snapshot time that brought it.
    pub(crate) snapshot_at: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Coverage {
    pub(crate) source: String,
    pub(crate) account_id: String,
    pub(crate) region: String,
    pub(crate) event_category: String,
    pub(crate) first_day: String,
    pub(crate) last_day: String,
    pub(crate) day_count: u64,
    pub(crate) object_count: u64,
    pub(crate) event_count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    /// Below the bundle, with `/`.
    pub(crate) path: String,
    pub(crate) sha256: String,
    pub(crate) size_bytes: u64,
}

impl Manifest {
    /// Its bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("texts and numbers serialise");
        bytes.push(b'\n');
        bytes
    }
}

impl State {
    /// `s5 of 2026-03-02 04:10 UTC`.
    pub(crate) fn label(&self) -> String {
        label(&self.snapshots, &self.at)
    }
}

/// A state as people read it: `s5 of 2026-03-02 04:10 UTC`, several sources after each other.
pub(crate) fn label(snapshots: &[Snapshot], at: &str) -> String {
    let minute = |text: &str| {
        let at = chrono::DateTime::parse_from_rfc3339(text);
        at.map_or_else(|_| text.to_owned(), |at| crate::text::minute(at.to_utc()))
    };
    match snapshots {
        [] => minute(at),
        several => {
            let names = several
                .iter()
                .map(|snapshot| format!("{} of {}", snapshot.id, minute(&snapshot.taken_at)));
            names.collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_named_by_its_snapshots() {
        let snapshot = |id: &str, at: &str| Snapshot {
            id: id.into(),
            source: "k9".into(),
            kind: "k9".into(),
            taken_at: at.into(),
            is_complete: true,
        };
        let two = [
            snapshot("s5", "2026-03-02T04:10:00Z"),
            snapshot("s6", "2026-03-02T05:00:01.5Z"),
        ];
        assert_eq!(
            label(&two, "2026-03-02T05:00:01.5Z"),
            "s5 of 2026-03-02 04:10 UTC, s6 of 2026-03-02 05:00 UTC"
        );
        assert_eq!(label(&[], "broken"), "broken");
    }
}
