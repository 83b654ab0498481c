//! Patterns of `LIKE` as DataFusion reads them, with the backslash as escape.

use std::sync::Arc;

use datafusion::{
    arrow::array::{ArrayRef, StringBuilder},
    common::exec_datafusion_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use crate::functions::scalar::{Call, Kind, Spec, varchar};

pub(in crate::functions) fn function() -> Arc<ScalarUDF> {
    Spec::new(
        "__like_pattern",
        &[Kind::Text, Kind::Text],
        varchar,
        patterns,
    )
    .at_least(1)
    .build()
}

fn patterns(call: &Call) -> Result<ArrayRef> {
    let given = call.text(0);
    let escape = (call.args.len() > 1).then(|| call.text(1));
    let mut patterns = StringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        if !call.is_valid(0, row) || escape.is_some() && !call.is_valid(1, row) {
            patterns.append_null();
            continue;
        }
        let escape = escape.map(|escape| escape.value(row));
        let pattern = like_pattern(given.value(row), escape);
        patterns.append_value(pattern.map_err(|message| exec_datafusion_err!("{message}"))?);
    }
    Ok(Arc::new(patterns.finish()))
}

/// The same pattern with the backslash as its escape.
///
/// # Errors
/// Trino's message for an escape that is not one sign, or that escapes another one than `%`, `_` and itself.
pub(crate) fn like_pattern(pattern: &str, escape: Option<&str>) -> Result<String, String> {
    let escape = match escape.map(|escape| (escape.chars().next(), escape.chars().nth(1))) {
        None => None,
        Some((Some(escape), None)) => Some(escape),
        Some(_) => return Err("Escape string must be a single character".into()),
    };
    let mut written = String::with_capacity(pattern.len());
    let mut signs = pattern.chars();
    while let Some(sign) = signs.next() {
        let (sign, is_escaped) = match Some(sign) == escape {
            false => (sign, false),
            true => match signs.next() {
                Some(next) if next == '%' || next == '_' || Some(next) == escape => (next, true),
                _ => {
                    return Err("Escape character must be followed by '%', '_' or the escape character itself".into());
                }
            },
        };
        if sign == '\\' || is_escaped && matches!(sign, '%' | '_') {
            written.push('\\');
        }
        written.push(sign);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backslash_is_the_only_escape_that_is_left() {
        let cases = [
            ("a%b_", None, Ok("a%b_")),
            (r"a\b\%", None, Ok(r"a\\b\\%")),
            ("a!_b!!%", Some("!"), Ok(r"a\_b!%")),
            (r"a\_b\\", Some(r"\"), Ok(r"a\_b\\")),
            ("a!b", Some("!"), Err(())),
            ("a!", Some("!"), Err(())),
            ("a", Some("!!"), Err(())),
            ("a", Some(""), Err(())),
        ];
        for (pattern, escape, expected) in cases {
            let written = like_pattern(pattern, escape).map_err(|_| ());
            assert_eq!(written, expected.map(str::to_owned), "{pattern}");
        }
    }
}
