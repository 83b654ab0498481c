//! What is left of `listagg` when its values are gathered and in order: joining, and the limit.
//!
//! Source: Trino manual, "Aggregate functions", `listagg`.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, StringBuilder},
        datatypes::DataType,
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    nested::{Nested, Typed, list_arg, places},
    scalar::Call,
    unify::{element_of, list_of, normal},
};

/// `__listagg(array, separator, 'error' | 'with count' | 'without count', filler)`.
pub(super) fn function() -> Arc<ScalarUDF> {
    Nested::new("__listagg", "listagg(varchar, varchar)", types, run).build()
}

fn types(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [list, _, _, _] => match element_of(&normal(list)) {
            Some(DataType::Utf8 | DataType::Null) => Typed::new(
                [
                    list_of(DataType::Utf8),
                    DataType::Utf8,
                    DataType::Utf8,
                    DataType::Utf8,
                ],
                DataType::Utf8,
            ),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Longest text in bytes, as in Trino.
const LONGEST: usize = 1_048_576;

fn run(call: &Call) -> Result<ArrayRef> {
    let list = list_arg(call, 0);
    let values = list.values().as_string::<i32>();
    let (separators, modes, fillers) = (call.text(1), call.text(2), call.text(3));
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        if (0..4).any(|arg| !call.is_valid(arg, row)) {
            result.append_null();
            continue;
        }
        let (separator, filler) = (separators.value(row), fillers.value(row));
        let mut text = String::new();
        let mut left = places(list, row);
        let mut is_cut = false;
        while let Some(at) = left.next() {
            let before = text.len();
            if at > places(list, row).start {
                text.push_str(separator);
            }
            text.push_str(values.value(at));
            if text.len() > LONGEST {
                text.truncate(before);
                is_cut = true;
                left.start = at;
                break;
            }
        }
        if is_cut {
            match modes.value(row) {
                "error" => {
                    return exec_err!(
                        "Concatenated string has the length in bytes larger than the maximum output length {LONGEST}"
                    );
                }
                mode => {
                    text.push_str(separator);
                    text.push_str(filler);
                    if mode == "with count" {
                        text.push_str(&format!("({})", left.len()));
                    }
                }
            }
        }
        result.append_value(text);
    }
    Ok(Arc::new(result.finish()))
}
