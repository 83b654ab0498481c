//! A pattern, compiled: by the `regex` crate, and by `fancy-regex` where that refuses it.
//!
//! `regex` runs in linear time and has most of Java's syntax; look-around, back references, atomic
//! groups and possessive repetition are left to `fancy-regex`, which goes back and forth within bounds.

use std::{borrow::Cow, ops::Range};

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

/// The pattern without Java's `\Q…\E`, between which every sign stands for itself.
fn unquoted(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains(r"\Q") {
        return Cow::Borrowed(pattern);
    }
    let mut result = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        result.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(quoted) = rest.strip_prefix(r"\Q") {
            let (plain, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            result.push_str(&regex::escape(plain));
            rest = after;
            continue;
        }
        // An escaped sign, which may be a backslash before a `Q`.
        let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
        result.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    result.push_str(rest);
    Cow::Owned(result)
}

impl Pattern {
    pub(super) fn compile(pattern: &str) -> Result<Self> {
        let written = unquoted(pattern);
        let error = match regex::Regex::new(&written) {
            Ok(regex) => return Ok(Self::Plain(regex)),
            Err(error) => error.to_string(),
        };
        if let Ok(regex) = fancy_regex::Regex::new(&written) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_signs_stand_for_themselves() {
        let cases = [
            (r"a+", r"a+"),
            (r"\Qa+b\E+", r"a\+b+"),
            (r"\\Qa+", r"\\Qa+"),
            (r"\Qa.", r"a\."),
            (r"\d\Q.\E\w", r"\d\.\w"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(unquoted(pattern), expected);
        }
    }
}
