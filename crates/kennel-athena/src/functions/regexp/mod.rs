//! Trino's regular expressions.
//!
//! Source: Trino manual, "Regular expression functions".

mod lambda;
mod pattern;

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, ListBuilder, StringBuilder},
        datatypes::Int64Type,
    },
    common::{exec_datafusion_err, exec_err},
    error::Result,
    logical_expr::{HigherOrderUDF, ScalarUDF},
};
use pattern::{Groups, Pattern};

use super::scalar::{Call, Kind, Spec, bigint, boolean, integer, varchar, varchar_array};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const TEXT_TEXT: &[Kind] = &[Kind::Text, Kind::Text];
    const TEXT_TEXT_INTEGER: &[Kind] = &[Kind::Text, Kind::Text, Kind::Integer];
    [
        Spec::new("regexp_like", TEXT_TEXT, boolean, like),
        Spec::new("regexp_extract", TEXT_TEXT_INTEGER, varchar, extract).at_least(2),
        Spec::new(
            "regexp_extract_all",
            TEXT_TEXT_INTEGER,
            varchar_array,
            extract_all,
        )
        .at_least(2),
        Spec::new(
            "regexp_replace",
            &[Kind::Text, Kind::Text, Kind::Text],
            varchar,
            replace,
        )
        .at_least(2),
        Spec::new("regexp_split", TEXT_TEXT, varchar_array, split),
        Spec::new("regexp_count", TEXT_TEXT, bigint, count),
        Spec::new(
            "regexp_position",
            &[Kind::Text, Kind::Text, Kind::Integer, Kind::Integer],
            integer,
            position,
        )
        .at_least(2),
    ]
    .map(Spec::build)
    .into()
}

/// Functions that take a lambda.
pub(super) fn higher_order() -> Vec<Arc<HigherOrderUDF>> {
    vec![lambda::regexp_replace()]
}

/// The pattern of the row before, compiled.
#[derive(Default)]
struct Compiled {
    known: Option<(String, Pattern)>,
}

impl Compiled {
    fn get(&mut self, pattern: &str) -> Result<&Pattern> {
        let known = match self.known.take() {
            Some(known) if known.0 == pattern => known,
            _ => (pattern.to_owned(), Pattern::compile(pattern)?),
        };
        Ok(&self.known.insert(known).1)
    }
}

fn like(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    let mut compiled = Compiled::default();
    call.to_booleans(|row| {
        let pattern = compiled.get(patterns.value(row))?;
        pattern.is_match(texts.value(row)).map(Some)
    })
}

/// The group asked for in a row; the whole match without one.
fn group(call: &Call, row: usize, pattern: &Pattern) -> Result<usize> {
    let Some(groups) = call.args.get(2) else {
        return Ok(0);
    };
    let wanted = groups.as_primitive::<Int64Type>().value(row);
    match usize::try_from(wanted) {
        Ok(group) if group <= pattern.groups() => Ok(group),
        Ok(group) => exec_err!(
            "Pattern has {} groups. Cannot access group {group}",
            pattern.groups()
        ),
        Err(_) => exec_err!("Group cannot be negative"),
    }
}

fn extract(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    let mut compiled = Compiled::default();
    call.to_texts(|row| {
        let pattern = compiled.get(patterns.value(row))?;
        let text = texts.value(row);
        let found = match group(call, row, pattern)? {
            0 => pattern.find_at(text, 0)?,
            group => pattern
                .groups_at(text, 0)?
                .and_then(|groups| groups.get(group).cloned().flatten()),
        };
        Ok(found.map(|range| &text[range]))
    })
}

fn extract_all(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    let mut compiled = Compiled::default();
    let mut result = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        if !call.all_valid(row) {
            result.append_null();
            continue;
        }
        let pattern = compiled.get(patterns.value(row))?;
        let text = texts.value(row);
        let group = group(call, row, pattern)?;
        pattern.for_each(text, group > 0, 0, |groups| {
            let range = groups.get(group).cloned().flatten();
            result
                .values()
                .append_option(range.map(|range| &text[range]));
            Ok(true)
        })?;
        result.append(true);
    }
    Ok(Arc::new(result.finish()))
}

fn replace(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    let mut compiled = Compiled::default();
    call.to_texts(|row| {
        let template = if call.args.len() > 2 {
            call.text(2).value(row)
        } else {
            ""
        };
        let pattern = compiled.get(patterns.value(row))?;
        let text = texts.value(row);
        let mut result = String::with_capacity(text.len());
        let mut last = 0;
        let with_groups = template.contains('$');
        pattern.for_each(text, with_groups, 0, |groups| {
            if let Some(whole) = groups.first().cloned().flatten() {
                result.push_str(&text[last..whole.start]);
                expand(template, text, &groups, pattern, &mut result)?;
                last = whole.end;
            }
            Ok(true)
        })?;
        result.push_str(&text[last..]);
        Ok(Some(result))
    })
}

/// Java's templates: `$1`, `${name}`, and `\` before a character that stands for itself.
fn expand(
    template: &str,
    text: &str,
    groups: &Groups,
    pattern: &Pattern,
    result: &mut String,
) -> Result<()> {
    let wrong = || exec_datafusion_err!("Illegal replacement sequence: {template}");
    let mut rest = template;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\\' => {
                let escaped = rest.chars().next().ok_or_else(wrong)?;
                result.push(escaped);
                rest = &rest[escaped.len_utf8()..];
            }
            '$' => {
                let group = if let Some(named) = rest.strip_prefix('{') {
                    let (name, after) = named.split_once('}').ok_or_else(wrong)?;
                    rest = after;
                    pattern.named(name).ok_or_else(wrong)?
                } else {
                    // As many digits as still name a group.
                    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                    let number = (1..=digits).rev().find_map(|length| {
                        let group = rest[..length].parse::<usize>().ok()?;
                        (group <= pattern.groups()).then_some((length, group))
                    });
                    let (length, group) = number.ok_or_else(wrong)?;
                    rest = &rest[length..];
                    group
                };
                if let Some(range) = groups.get(group).cloned().flatten() {
                    result.push_str(&text[range]);
                }
            }
            other => result.push(other),
        }
    }
    Ok(())
}

fn split(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    let mut compiled = Compiled::default();
    let mut result = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        if !call.all_valid(row) {
            result.append_null();
            continue;
        }
        let pattern = compiled.get(patterns.value(row))?;
        let text = texts.value(row);
        let mut last = 0;
        pattern.for_each(text, false, 0, |groups| {
            if let Some(whole) = groups.first().cloned().flatten() {
                result.values().append_value(&text[last..whole.start]);
                last = whole.end;
            }
            Ok(true)
        })?;
        result.values().append_value(&text[last..]);
        result.append(true);
    }
    Ok(Arc::new(result.finish()))
}

fn count(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    let mut compiled = Compiled::default();
    call.to_integers(|row| {
        let pattern = compiled.get(patterns.value(row))?;
        let mut number = 0;
        pattern.for_each(texts.value(row), false, 0, |_| {
            number += 1;
            Ok(true)
        })?;
        Ok(Some(number))
    })
}

/// `regexp_position(text, pattern[, start[, occurrence]])`; -1 where there is none.
fn position(call: &Call) -> Result<ArrayRef> {
    let (texts, patterns) = (call.text(0), call.text(1));
    let mut compiled = Compiled::default();
    call.to_small_integers(|row| {
        let start = call.integer_at(2, row).unwrap_or(1);
        let mut occurrence = call.integer_at(3, row).unwrap_or(1);
        if start < 1 {
            return exec_err!("start position cannot be smaller than 1");
        }
        if occurrence < 1 {
            return exec_err!("occurrence cannot be smaller than 1");
        }
        let pattern = compiled.get(patterns.value(row))?;
        let text = texts.value(row);
        let skipped = usize::try_from(start - 1).unwrap_or(usize::MAX);
        let from = match text.char_indices().nth(skipped) {
            Some((at, _)) => at,
            None if skipped == text.chars().count() && !text.is_empty() => text.len(),
            None if skipped == 0 => 0,
            None => return Ok(Some(-1)),
        };
        let mut found = None;
        pattern.for_each(text, false, from, |groups| {
            occurrence -= 1;
            if occurrence == 0 {
                found = groups.first().cloned().flatten();
            }
            Ok(occurrence > 0)
        })?;
        Ok(Some(found.map_or(-1, |range| {
            let before = text[..range.start].chars().count();
            i32::try_from(before + 1).unwrap_or(i32::MAX)
        })))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pattern: &str, text: &str) -> Vec<String> {
        let pattern = Pattern::compile(pattern).unwrap();
        let mut found = Vec::new();
        pattern
            .for_each(text, false, 0, |groups| {
                found.push(text[groups[0].clone().unwrap()].to_owned());
                Ok(true)
            })
            .unwrap();
        found
    }

    #[test]
    fn matches_are_those_of_java() {
        assert_eq!(all(".*", "x"), ["x", ""]);
        assert_eq!(all("", "aé"), ["", "", ""]);
        assert_eq!(all("a(?=b)", "ab ac ab"), ["a", "a"]);
        assert_eq!(all(r"(a)\1", "aa a aa"), ["aa", "aa"]);
        assert_eq!(all("x*+", "axx"), ["", "xx", ""]);
        assert!(Pattern::compile("(").is_err());
    }

    proptest! {
        #[test]
        fn templates_never_break(template in "[$\\\\{}a0-2]{0,8}", text in "[ab]{0,4}") {
            let pattern = Pattern::compile("(?<a>a)").unwrap();
            let groups = pattern.groups_at(&text, 0).unwrap();
            if let Some(groups) = groups {
                let _ = expand(&template, &text, &groups, &pattern, &mut String::new());
            }
        }
    }
}
