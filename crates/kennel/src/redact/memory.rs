//! What the tokens of some columns stand for, while a call lasts: suppressions are for names, and a diff has tokens already.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use datafusion::arrow::array::Array;

use super::Redactor;
use crate::output::cells::Cells;

/// Values by their tokens.
pub(crate) struct Memory {
    redactor: Arc<Redactor>,
    /// In lower case.
    columns: BTreeSet<String>,
    /// `None` where several values have become one text.
    values: Mutex<HashMap<String, Option<String>>>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It holds what redaction hides.
        formatter.write_str("Memory [redacted]")
    }
}

impl Memory {
    /// Of these columns, whatever the letter case.
    pub(crate) fn of(redactor: &Arc<Redactor>, columns: &BTreeSet<String>) -> Self {
        Self {
            redactor: Arc::clone(redactor),
            columns: columns.iter().map(|name| name.to_lowercase()).collect(),
            values: Mutex::default(),
        }
    }

    /// Keeps what became of a column.
    pub(super) fn keep(&self, column: &str, before: &dyn Array, after: &dyn Array) {
        if !self.columns.contains(&column.to_lowercase()) {
            return;
        }
        let (before, tokens) = (Cells::of(before), Cells::of(after));
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        for row in 0..after.len() {
            let (mut value, mut token) = (String::new(), String::new());
            let is_there = before.get(row).write_text(&mut value);
            if !is_there || !tokens.get(row).write_text(&mut token) {
                continue;
            }
            match values.entry(token) {
                Entry::Vacant(place) => {
                    place.insert(Some(value));
                }
                Entry::Occupied(mut known) => {
                    if known.get().as_ref() != Some(&value) {
                        known.insert(None);
                    }
                }
            }
        }
    }

    /// What a text stands for; `None` where that is not certain.
    pub(crate) fn value(&self, shown: &str) -> Option<String> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.get(shown).cloned().flatten()
    }

    /// A text that somebody wrote, as it is shown.
    pub(crate) fn shown(&self, text: &str) -> String {
        self.redactor.name(text)
    }
}
