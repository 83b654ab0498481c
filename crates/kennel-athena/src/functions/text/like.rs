//! Patterns of `LIKE`.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, new_null_array},
        compute::cast,
        datatypes::DataType,
    },
    common::{exec_datafusion_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use crate::{
    functions::{
        scalar::{Call, Kind, Spec, varchar},
        type_name,
    },
    types::is_text,
};

pub(super) fn function() -> Arc<ScalarUDF> {
    Spec::new(
        "__like_pattern",
        &[Kind::Any, Kind::Text],
        pattern_type,
        pattern,
    )
    .at_least(1)
    .build()
}

/// A pattern of Trino's in DataFusion's words, where the backslash escapes.
///
/// # Errors
/// A message about an escape that is no single character, or that stands before another one.
pub(crate) fn plain_pattern(
    pattern: &str,
    escape: Option<&str>,
) -> std::result::Result<String, &'static str> {
    let mut characters = escape.unwrap_or("").chars();
    let escape = match (escape, characters.next(), characters.next()) {
        // An empty one escapes nothing.
        (None, ..) | (_, None, _) => None,
        (_, Some(only), None) => Some(only),
        _ => return Err("Escape string must be a single character"),
    };
    let mut plain = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        if Some(character) != escape {
            if character == '\\' {
                plain.push('\\');
            }
            plain.push(character);
            continue;
        }
        match rest.next() {
            Some(next) if next == '%' || next == '_' || Some(next) == escape => {
                if matches!(next, '%' | '_' | '\\') {
                    plain.push('\\');
                }
                plain.push(next);
            }
            _ => {
                return Err(
                    "Escape character must be followed by '%', '_' or the escape character itself",
                );
            }
        }
    }
    Ok(plain)
}

fn pattern_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [pattern, ..] if !is_text(pattern) && *pattern != DataType::Null => {
            plan_err!(
                "LIKE takes a varchar as its pattern, not {}",
                type_name(pattern)
            )
        }
        _ => varchar(given),
    }
}

fn pattern(call: &Call) -> Result<ArrayRef> {
    if *call.args[0].data_type() == DataType::Null {
        return Ok(new_null_array(&DataType::Utf8, call.rows));
    }
    let patterns = cast(&call.args[0], &DataType::Utf8)?;
    let patterns = patterns.as_string::<i32>();
    call.to_texts(|row| {
        let escape = call.args.get(1).map(|_| call.text(1).value(row));
        plain_pattern(patterns.value(row), escape)
            .map(Some)
            .map_err(|message| exec_datafusion_err!("{message}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_is_a_character_and_the_escape_escapes() {
        for (pattern, escape, plain) in [
            ("a%b_c", None, "a%b_c"),
            (r"a\_c", None, r"a\\_c"),
            (r"a\_c", Some(""), r"a\\_c"),
            ("100#%", Some("#"), r"100\%"),
            ("a##b", Some("#"), "a#b"),
            (r"a\\b\%", Some(r"\"), r"a\\b\%"),
        ] {
            assert_eq!(
                plain_pattern(pattern, escape).as_deref(),
                Ok(plain),
                "{pattern}"
            );
        }
        assert!(plain_pattern("a#b", Some("#")).is_err());
        assert!(plain_pattern("a#", Some("#")).is_err());
        assert!(plain_pattern("a", Some("##")).is_err());
    }
}
