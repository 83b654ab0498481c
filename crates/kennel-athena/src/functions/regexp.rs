//! Trino's regular expressions, by the `regex` crate.
//!
//! Its syntax is Java's but for look-around and back references, which it refuses: such a pattern is
//! an error here, never a wrong answer. It runs in linear time.
//!
//! Source: Trino manual, "Regular expression functions".

use std::{borrow::Cow, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, BooleanBuilder, Int64Builder, ListBuilder, StringBuilder},
        datatypes::Int64Type,
    },
    common::{exec_datafusion_err, exec_err},
    error::Result,
    logical_expr::ScalarUDF,
};
use regex::{Captures, Regex};

use super::scalar::{Call, Kind, Spec, bigint, boolean, varchar, varchar_array};

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
    ]
    .map(Spec::build)
    .into()
}

fn compile(pattern: &str) -> Result<Regex> {
    // Java names groups `(?<name>…)`, which the crate reads too.
    Regex::new(pattern).map_err(|error| {
        let text = error.to_string();
        let reason = text
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned();
        exec_datafusion_err!("the regular expression '{pattern}' cannot be used: {reason}")
    })
}

/// Calls `each` with text and pattern of each row, or `None` when one argument is null.
fn rows<'a>(
    call: &'a Call,
    mut each: impl FnMut(usize, Option<(&'a str, &Regex)>) -> Result<()>,
) -> Result<()> {
    let (texts, patterns) = (call.text(0), call.text(1));
    let mut compiled: Option<(&str, Regex)> = None;
    for row in 0..call.rows {
        if !(0..call.args.len()).all(|index| call.is_valid(index, row)) {
            each(row, None)?;
            continue;
        }
        let pattern = patterns.value(row);
        if compiled.as_ref().is_none_or(|(known, _)| *known != pattern) {
            compiled = Some((pattern, compile(pattern)?));
        }
        if let Some((_, regex)) = &compiled {
            each(row, Some((texts.value(row), regex)))?;
        }
    }
    Ok(())
}

fn like(call: &Call) -> Result<ArrayRef> {
    let mut result = BooleanBuilder::with_capacity(call.rows);
    rows(call, |_, row| {
        result.append_option(row.map(|(text, regex)| regex.is_match(text)));
        Ok(())
    })?;
    Ok(Arc::new(result.finish()))
}

/// The group asked for in a row; the whole match without one.
fn group(call: &Call, row: usize, regex: &Regex) -> Result<usize> {
    let Some(groups) = call.args.get(2) else {
        return Ok(0);
    };
    let wanted = groups.as_primitive::<Int64Type>().value(row);
    match usize::try_from(wanted) {
        Ok(group) if group < regex.captures_len() => Ok(group),
        Ok(group) => exec_err!(
            "Pattern has {} groups. Cannot access group {group}",
            regex.captures_len() - 1
        ),
        Err(_) => exec_err!("Group cannot be negative"),
    }
}

fn extract(call: &Call) -> Result<ArrayRef> {
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    rows(call, |index, row| {
        let Some((text, regex)) = row else {
            result.append_null();
            return Ok(());
        };
        let found = match group(call, index, regex)? {
            0 => regex.find(text),
            group => regex
                .captures(text)
                .and_then(|captures| captures.get(group)),
        };
        result.append_option(found.map(|found| found.as_str()));
        Ok(())
    })?;
    Ok(Arc::new(result.finish()))
}

fn extract_all(call: &Call) -> Result<ArrayRef> {
    let mut result = ListBuilder::new(StringBuilder::new());
    rows(call, |index, row| {
        let Some((text, regex)) = row else {
            result.append_null();
            return Ok(());
        };
        let group = group(call, index, regex)?;
        for captures in regex.captures_iter(text) {
            result
                .values()
                .append_option(captures.get(group).map(|found| found.as_str()));
        }
        result.append(true);
        Ok(())
    })?;
    Ok(Arc::new(result.finish()))
}

fn replace(call: &Call) -> Result<ArrayRef> {
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    rows(call, |index, row| {
        let Some((text, regex)) = row else {
            result.append_null();
            return Ok(());
        };
        let template = if call.args.len() > 2 {
            call.text(2).value(index)
        } else {
            ""
        };
        let mut wrong = None;
        let replaced = regex.replace_all(text, |captures: &Captures<'_>| {
            expanded(template, captures).unwrap_or_else(|error| {
                wrong = Some(error);
                String::new()
            })
        });
        if let Some(error) = wrong {
            return Err(error);
        }
        match replaced {
            Cow::Borrowed(text) => result.append_value(text),
            Cow::Owned(text) => result.append_value(text),
        }
        Ok(())
    })?;
    Ok(Arc::new(result.finish()))
}

/// Java's templates: `$1`, `${name}`, and `\` before a character that stands for itself.
fn expanded(template: &str, captures: &Captures<'_>) -> Result<String> {
    let mut result = String::new();
    let mut rest = template;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\\' => {
                let Some(escaped) = rest.chars().next() else {
                    return exec_err!("Illegal replacement sequence: {template}");
                };
                result.push(escaped);
                rest = &rest[escaped.len_utf8()..];
            }
            '$' => {
                let value = if let Some((name, after)) =
                    rest.strip_prefix('{').and_then(|r| r.split_once('}'))
                {
                    rest = after;
                    captures.name(name)
                } else {
                    // As many digits as still name a group.
                    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                    let number = (1..=digits).rev().find_map(|n| {
                        rest[..n]
                            .parse::<usize>()
                            .ok()
                            .filter(|g| *g < captures.len())
                            .map(|g| (n, g))
                    });
                    let Some((length, group)) = number else {
                        return exec_err!("Illegal replacement sequence: {template}");
                    };
                    rest = &rest[length..];
                    captures.get(group)
                };
                result.push_str(value.map_or("", |value| value.as_str()));
            }
            other => result.push(other),
        }
    }
    Ok(result)
}

fn split(call: &Call) -> Result<ArrayRef> {
    let mut result = ListBuilder::new(StringBuilder::new());
    rows(call, |_, row| {
        let Some((text, regex)) = row else {
            result.append_null();
            return Ok(());
        };
        regex
            .split(text)
            .for_each(|part| result.values().append_value(part));
        result.append(true);
        Ok(())
    })?;
    Ok(Arc::new(result.finish()))
}

fn count(call: &Call) -> Result<ArrayRef> {
    let mut result = Int64Builder::with_capacity(call.rows);
    rows(call, |_, row| {
        let count = row.map(|(text, regex)| regex.find_iter(text).count());
        result.append_option(count.map(|count| count as i64));
        Ok(())
    })?;
    Ok(Arc::new(result.finish()))
}
