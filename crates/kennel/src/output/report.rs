//! What a report says besides its rows: of which state it is, what changed since an earlier one, what it rests on and
//! lacks. The page, the workbook and the summary each tell it in their own form.

use chrono::{DateTime, NaiveDate, Utc};
use kennel_engine::CaveatKind;

use super::About;
use crate::text::{counted, grouped};

/// New, changed or gone rows that a page names for each question.
pub(crate) const NAMED_CHANGES: usize = 25;

/// All of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// Of the state.
    pub(crate) date: NaiveDate,
    /// Of the state.
    pub(crate) at: DateTime<Utc>,
    /// `s5 of 2026-03-02 04:10 UTC`.
    pub(crate) state: String,
    /// The state that it is compared with.
    pub(crate) since: Option<String>,
    /// The questions, in the order of their sections.
    pub(crate) entries: Vec<Entry>,
    /// Questions that were not asked: id and reason.
    pub(crate) left_out: Vec<(String, String)>,
    /// What answers lack, each thing once, worst first.
    pub(crate) lacks: Vec<Lack>,
    /// The oldest and the newest analysis of the reports that were read.
    pub(crate) analysed: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The newest report of each kind and account: customer, account, table, analysis time (none without rows).
    pub(crate) reports: Vec<(String, String, String, Option<DateTime<Utc>>)>,
    /// Reports that are older than `--max-age` at the time of the state.
    pub(crate) stale: Vec<String>,
    /// Snapshots: id, source, time, whether they are complete.
    pub(crate) snapshots: Vec<(String, String, DateTime<Utc>, bool)>,
    /// CloudTrail, by place.
    pub(crate) coverage: Vec<CoverageLine>,
    /// What entries of the suppressions file did: name, owner, reason, expiry, standing, rows.
    pub(crate) suppressions: Vec<SuppressionLine>,
    /// Whether names are replaced.
    pub(crate) is_redacted: bool,
}

/// One question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) about: About,
    pub(crate) row_count: u64,
    /// Accepted findings, which are listed apart.
    pub(crate) suppressed_count: u64,
    /// What changed; `None` where it was not compared.
    pub(crate) changes: Option<Changed>,
    /// Why it was not compared, where it should have been.
    pub(crate) not_compared: Option<String>,
    /// Rows by snapshot, oldest first, accepted ones included; the last is this state.
    pub(crate) trend: Vec<(String, u64)>,
    /// Where all rows are, when the page does not have them.
    pub(crate) rows_file: Option<String>,
}

/// What changed in the answer to a question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changed {
    pub(crate) new_count: u64,
    pub(crate) changed_count: u64,
    pub(crate) gone_count: u64,
    /// Rows of accounts that this state has no report of: nobody knows whether they are gone.
    pub(crate) unknown_count: u64,
    /// Names of the columns that identify a row.
    pub(crate) key: Vec<String>,
    /// The first rows of each kind.
    pub(crate) samples: Vec<Sample>,
}

/// A row that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    /// `new`, `changed` or `gone`.
    pub(crate) change: &'static str,
    /// The values of its key.
    pub(crate) key: Vec<String>,
}

/// Something that answers lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lack {
    pub(crate) kind: CaveatKind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// How many answers lack it.
    pub(crate) answer_count: u64,
}

/// What the cache holds of an account, region and category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CoverageLine {
    pub(crate) account_id: String,
    pub(crate) region: String,
    pub(crate) category: String,
    pub(crate) first_day: String,
    pub(crate) last_day: String,
    pub(crate) day_count: u64,
    pub(crate) event_count: u64,
}

/// An entry of the suppressions file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SuppressionLine {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) reason: String,
    pub(crate) expires: Option<String>,
    /// `used`, `expired`, `unused`, or `unknown` when not all of its questions were asked or answered whole.
    pub(crate) standing: String,
    pub(crate) row_count: u64,
}

impl Changed {
    /// Whether there is anything to tell.
    pub(crate) fn is_none(&self) -> bool {
        self.new_count + self.changed_count + self.gone_count + self.unknown_count == 0
    }
}

impl Report {
    /// `Access report of 2026-03-02`.
    pub(crate) fn title(&self) -> String {
        format!("Access report of {}", self.date)
    }

    /// The sum of something over all questions that were compared.
    pub(crate) fn sum(&self, of: impl Fn(&Changed) -> u64) -> u64 {
        let changes = self
            .entries
            .iter()
            .filter_map(|entry| entry.changes.as_ref());
        changes.map(of).sum()
    }

    /// Rows of all questions.
    pub(crate) fn row_count(&self) -> u64 {
        self.entries.iter().map(|entry| entry.row_count).sum()
    }

    /// Accepted rows of all questions.
    pub(crate) fn suppressed_count(&self) -> u64 {
        self.entries
            .iter()
            .map(|entry| entry.suppressed_count)
            .sum()
    }

    /// `3 new, 1 changed, 2 gone`; `None` where nothing was compared.
    pub(crate) fn changes(&self) -> Option<String> {
        self.since.as_ref()?;
        let [new, changed, gone] = [
            self.sum(|changes| changes.new_count),
            self.sum(|changes| changes.changed_count),
            self.sum(|changes| changes.gone_count),
        ];
        Some(match (new, changed, gone) {
            (0, 0, 0) => "nothing changed".to_owned(),
            _ => format!(
                "{} new, {} changed, {} gone",
                grouped(new),
                grouped(changed),
                grouped(gone)
            ),
        })
    }

    /// How many answers are incomplete or without data.
    pub(crate) fn lacking_count(&self) -> u64 {
        let lacking = self
            .entries
            .iter()
            .filter(|entry| entry.about.lack().is_some());
        lacking.count() as u64
    }

    /// `27 questions, 113 rows`.
    pub(crate) fn size(&self) -> String {
        format!(
            "{}, {}",
            counted(self.entries.len() as u64, "question"),
            counted(self.row_count(), "row")
        )
    }
}
