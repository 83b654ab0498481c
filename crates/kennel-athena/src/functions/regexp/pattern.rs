//! A pattern, compiled: by the `regex` crate, and by `fancy-regex` where that refuses it.
//!
//! `regex` runs in linear time and has most of Java's syntax; look-around, back references, atomic
//! groups and possessive repetition are left to `fancy-regex`, which goes back and forth within bounds.

use std::ops::Range;

use datafusion::{
    common::{exec_datafusion_err, exec_err},
    error::{DataFusionError, Result},
};

/// What one match covers: the whole of it first, then its groups.
pub(super) type Groups = Vec<Option<Range<usize>>>;

/// A compiled pattern.
#[derive(Debug)]
pub(super) enum Pattern {
    Plain(regex::Regex),
    Fancy(Box<fancy_regex::Regex>),
}

fn failed(error: fancy_regex::Error) -> DataFusionError {
    exec_datafusion_err!("the regular expression could not be matched: {error}")
}

impl Pattern {
    pub(super) fn compile(pattern: &str) -> Result<Self> {
        let error = match regex::Regex::new(pattern) {
            Ok(regex) => return Ok(Self::Plain(regex)),
            Err(error) => error.to_string(),
        };
        if let Ok(regex) = fancy_regex::Regex::new(pattern) {
            return Ok(Self::Fancy(Box::new(regex)));
        }
        let reason = error.lines().last().unwrap_or_default();
        let reason = reason.trim_start_matches("error: ");
        exec_err!("the regular expression '{pattern}' cannot be used: {reason}")
    }

    /// Number of groups.
    pub(super) fn groups(&self) -> usize {
        match self {
            Self::Plain(regex) => regex.captures_len() - 1,
            Self::Fancy(regex) => regex.captures_len() - 1,
        }
    }

    /// The number of a named group.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        match self {
            Self::Plain(regex) => regex.capture_names().position(|known| known == Some(name)),
            Self::Fancy(regex) => regex.capture_names().position(|known| known == Some(name)),
        }
    }

    pub(super) fn is_match(&self, text: &str) -> Result<bool> {
        match self {
            Self::Plain(regex) => Ok(regex.is_match(text)),
            Self::Fancy(regex) => regex.is_match(text).map_err(failed),
        }
    }

    /// The first match at or behind a place.
    pub(super) fn find_at(&self, text: &str, at: usize) -> Result<Option<Range<usize>>> {
        Ok(match self {
            Self::Plain(regex) => regex.find_at(text, at).map(|found| found.range()),
            Self::Fancy(regex) => regex
                .find_from_pos(text, at)
                .map_err(failed)?
                .map(|found| found.start()..found.end()),
        })
    }

    /// The first match at or behind a place, with its groups.
    pub(super) fn groups_at(&self, text: &str, at: usize) -> Result<Option<Groups>> {
        Ok(match self {
            Self::Plain(regex) => regex
                .captures_at(text, at)
                .map(|found| found.iter().map(|group| group.map(|m| m.range())).collect()),
            Self::Fancy(regex) => regex
                .captures_from_pos(text, at)
                .map_err(failed)?
                .map(|found| {
                    found
                        .iter()
                        .map(|group| group.map(|m| m.start()..m.end()))
                        .collect()
                }),
        })
    }

    /// Calls `each` with every match from a place on, until it returns `false`.
    ///
    /// As in Java, an empty match may follow another match at once, but for an empty one.
    pub(super) fn for_each(
        &self,
        text: &str,
        with_groups: bool,
        from: usize,
        mut each: impl FnMut(Groups) -> Result<bool>,
    ) -> Result<()> {
        let mut at = from;
        while at <= text.len() {
            let found = if with_groups {
                self.groups_at(text, at)?
            } else {
                self.find_at(text, at)?.map(|range| vec![Some(range)])
            };
            let Some(found) = found else { break };
            let Some(whole) = found.first().cloned().flatten() else {
                break;
            };
            if !each(found)? {
                break;
            }
            at = if whole.is_empty() {
                let next = text[whole.end..].chars().next();
                whole.end + next.map_or(1, char::len_utf8)
            } else {
                whole.end
            };
        }
        Ok(())
    }
}
