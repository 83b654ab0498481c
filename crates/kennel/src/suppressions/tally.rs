//! What became of each suppression over all questions of a call.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use kennel_engine::Library;

use super::{Sieve, Suppression, Suppressions};
use crate::{
    printer::Printer,
    text::{counted, minute},
};

impl Suppressions {
    /// Begins to count.
    pub(crate) fn tally(&self, at: DateTime<Utc>) -> Tally {
        Tally {
            file: self.name().to_owned(),
            at,
            entries: self.entries.clone(),
            questions: BTreeMap::new(),
        }
    }
}

/// What became of one suppression.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Use {
    /// Its name.
    pub(crate) name: String,
    /// The question, or the pattern of questions.
    pub(crate) id: String,
    /// Who answers for it.
    pub(crate) owner: String,
    /// Why.
    pub(crate) reason: String,
    /// Until when; `None` is forever.
    pub(crate) expires: Option<String>,
    /// What it was good for.
    pub(crate) status: UseStatus,
    /// Rows that it matches.
    pub(crate) row_count: u64,
}

/// What a suppression was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UseStatus {
    /// It takes rows away.
    Used,
    /// It is over; its rows are back.
    Expired,
    /// It matches nothing in any question that it is for.
    Unused,
    /// Not all of its questions were asked, or their answers were not whole.
    Unknown,
}

/// What a question's sieve did.
#[derive(Debug, Clone, Default)]
struct Counts {
    /// Rows by suppression.
    by_name: BTreeMap<String, u64>,
    suppressed_count: u64,
    is_whole: bool,
}

/// Counts over all questions of a call.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    file: String,
    at: DateTime<Utc>,
    entries: Vec<Suppression>,
    questions: BTreeMap<String, Counts>,
}

impl Tally {
    /// Adds what a sieve did, when its stream is at the end. `is_whole`: whether the answer lacked nothing and was to
    /// the whole question, so that what did not match matches nothing.
    pub(crate) fn add(&mut self, sieve: &Sieve, is_whole: bool) {
        let counts = Counts {
            by_name: sieve
                .rules
                .iter()
                .map(|rule| (rule.suppression.name.clone(), rule.row_count))
                .collect(),
            suppressed_count: sieve.suppressed_count(),
            is_whole,
        };
        self.questions.insert(sieve.question.clone(), counts);
    }

    /// What became of each suppression, in the order of the file; `library` has all questions.
    pub(crate) fn uses(&self, library: &Library) -> Vec<Use> {
        let ids = library.iter().map(|query| query.id.as_str());
        let ids = ids.collect::<BTreeSet<_>>();
        let used = self.entries.iter().map(|entry| {
            let row_count = self.questions.values();
            let row_count = row_count
                .filter_map(|counts| counts.by_name.get(&entry.name))
                .sum();
            let mut concerned = ids.iter().filter(|id| entry.concerns(id));
            let is_known = concerned.all(|id| {
                let counts = self.questions.get(*id);
                counts.is_some_and(|counts| counts.is_whole)
            });
            let status = match entry.expires {
                Some(expires) if expires.is_past(self.at) => UseStatus::Expired,
                _ if row_count > 0 => UseStatus::Used,
                _ if is_known => UseStatus::Unused,
                _ => UseStatus::Unknown,
            };
            Use {
                name: entry.name.clone(),
                id: entry.id.clone(),
                owner: entry.owner.clone(),
                reason: entry.reason.clone(),
                expires: entry.expires.map(|expires| expires.to_string()),
                status,
                row_count,
            }
        });
        used.collect()
    }

    /// Says on standard error what was suppressed, what is back, and what is for nothing.
    pub(crate) fn tell(&self, library: &Library, printer: &Printer) {
        for (question, counts) in &self.questions {
            if counts.suppressed_count > 0 {
                let rows = counted(counts.suppressed_count, "row");
                let verb = if counts.suppressed_count == 1 {
                    "is"
                } else {
                    "are"
                };
                printer.info(&format!(
                    "{question}: {rows} {verb} suppressed by `{}` (`kennel run {question} --suppressed` shows them)",
                    self.file
                ));
            }
        }
        let uses = self.uses(library);
        for used in &uses {
            match used.status {
                UseStatus::Expired if used.row_count > 0 => printer.warn(&format!(
                    "suppression `{}` of {} expired ({}; this state is of {}): {} back",
                    printer.named(&used.name),
                    printer.named(&used.owner),
                    used.expires.as_deref().unwrap_or_default(),
                    minute(self.at),
                    match used.row_count {
                        1 => "1 row is".into(),
                        count => format!("{} are", counted(count, "row")),
                    },
                )),
                UseStatus::Unused => printer.info(&format!(
                    "note: suppression `{}` of {} matches no row of `{}`",
                    printer.named(&used.name),
                    printer.named(&used.owner),
                    used.id
                )),
                _ => {}
            }
        }
        let forever = uses
            .iter()
            .filter(|used| used.expires.is_none() && used.status == UseStatus::Used)
            .map(|used| format!("`{}`", printer.named(&used.name)))
            .collect::<Vec<_>>();
        if !forever.is_empty() {
            printer.detail(&format!(
                "note: no end is set for the suppressions {}",
                forever.join(", ")
            ));
        }
    }
}
