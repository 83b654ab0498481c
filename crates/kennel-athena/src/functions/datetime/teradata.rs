//! Dates and times by Teradata's patterns: `to_char`, `to_date`, `to_timestamp`.
//!
//! Source: Trino manual, "Teradata functions".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, StringBuilder},
        datatypes::{DataType, TimeUnit},
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    joda::{Piece, formatted, parsed},
    moment::Moments,
    patterns::read_by_pattern,
    text_to_time,
};
use crate::functions::{
    cast::convert,
    scalar::{Call, Kind, Spec, varchar},
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const TEXTS: &[Kind] = &[Kind::Text, Kind::Text];
    [
        Spec::new("to_char", &[Kind::Moment, Kind::Text], varchar, to_char),
        Spec::new(
            "to_date",
            TEXTS,
            |_| Ok(DataType::Date32),
            |call| convert(&to_timestamp(call)?, &DataType::Date32, false),
        ),
        Spec::new(
            "to_timestamp",
            TEXTS,
            |_| Ok(DataType::Timestamp(TimeUnit::Millisecond, None)),
            to_timestamp,
        ),
    ]
    .map(Spec::build)
    .into()
}

/// What Teradata calls a field, and Joda.
const FIELDS: [(&str, char, usize); 8] = [
    ("yyyy", 'y', 4),
    ("hh24", 'H', 2),
    ("yy", 'y', 2),
    ("mm", 'M', 2),
    ("dd", 'd', 2),
    ("hh", 'h', 2),
    ("mi", 'm', 2),
    ("ss", 's', 2),
];

fn pieces(pattern: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        let field = FIELDS.iter().find(|(name, ..)| rest.starts_with(name));
        if let Some((name, letter, width)) = field {
            pieces.push(Piece::Field(*letter, *width));
            rest = &rest[name.len()..];
        } else if "-/,.;: ".contains(next) {
            pieces.push(Piece::Literal(next.into()));
            rest = &rest[next.len_utf8()..];
        } else {
            return exec_err!("Failed to tokenize string [{pattern}] at {rest}");
        }
    }
    Ok(pieces)
}

fn to_char(call: &Call) -> Result<ArrayRef> {
    let moments = Moments::new(&call.args[0])?;
    let patterns = call.text(1);
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        let Some(utc) = moments.instant(row).filter(|_| patterns.is_valid(row)) else {
            result.append_null();
            continue;
        };
        let mut text = String::new();
        formatted(
            utc,
            moments.zone(),
            &pieces(patterns.value(row))?,
            &mut text,
        );
        result.append_value(text);
    }
    Ok(Arc::new(result.finish()))
}

fn to_timestamp(call: &Call) -> Result<ArrayRef> {
    let values = read_by_pattern(call, pieces, |text, pieces| parsed(text, pieces))?;
    Ok(text_to_time::array(values, TimeUnit::Millisecond, None))
}
