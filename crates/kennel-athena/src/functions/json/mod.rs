//! Trino's JSON functions.
//!
//! JSON values are `LargeUtf8`: compact text. The functions take them and plain text that holds JSON;
//! text that is no JSON gives null, but for `json_parse`, where it is an error.
//!
//! Source: Trino manual, "JSON functions and operators", sections on the functions before `JSON_VALUE`.

mod castable;
mod convert;
mod path;
mod scan;
mod standard;
mod tree;

use std::sync::Arc;

pub(super) use castable::{is_read, is_written};
pub(super) use convert::{from_json, to_json};
use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BooleanBuilder, Int64Array, Int64Builder, LargeStringBuilder,
            StringBuilder,
        },
        datatypes::{DataType, Float64Type, Int64Type},
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};
use path::Path;
use scan::{Malformed, Reader, Start, compact, unquote};
pub(crate) use standard::path_variables;
pub(super) use tree::Tree;

use super::{
    nested::unexpected,
    scalar::{Call, Json, Kind, Spec, bigint, boolean, json, varchar},
};
use crate::types::is_text;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const JSON_PATH: &[Kind] = &[Kind::Json, Kind::Text];
    const JSON: &[Kind] = &[Kind::Json];
    [
        Spec::new("json_extract", JSON_PATH, json, extract),
        Spec::new("json_extract_scalar", JSON_PATH, varchar, extract_scalar),
        Spec::new("json_size", JSON_PATH, bigint, size),
        Spec::new("json_parse", &[Kind::Text], json, parse),
        Spec::new("json_format", &[Kind::OnlyJson], varchar, format),
        Spec::new("json_array_length", JSON, bigint, array_length),
        Spec::new(
            "json_array_get",
            &[Kind::Json, Kind::Integer],
            json,
            array_get,
        ),
        Spec::new(
            "json_array_contains",
            &[Kind::Json, Kind::Any],
            array_contains_type,
            array_contains,
        ),
        Spec::new("is_json_scalar", JSON, boolean, is_scalar),
    ]
    .map(Spec::build)
    .into_iter()
    .chain(standard::functions())
    .collect()
}

/// Calls `each` with the reader at the value that the path of a row leads to; null is a null.
fn along_path(call: &Call, mut each: impl FnMut(Option<Reader<'_>>) -> Result<()>) -> Result<()> {
    let json = call.json(0);
    let constant = match call.constant_text(1) {
        Some(Some(path)) => Some(Path::parse(path)?),
        _ => None,
    };
    for row in 0..call.rows {
        let (Some(text), true) = (json.get(row), call.is_valid(1, row)) else {
            each(None)?;
            continue;
        };
        let found = match &constant {
            Some(path) => path.follow(text),
            None => Path::parse(call.text(1).value(row))?.follow(text),
        };
        each(found.unwrap_or(None))?;
    }
    Ok(())
}

fn extract(call: &Call) -> Result<ArrayRef> {
    let mut result = LargeStringBuilder::with_capacity(call.rows, 0);
    let mut value = String::new();
    along_path(call, |found| {
        value.clear();
        let is_found =
            found.is_some_and(|mut reader| compact(&mut reader, false, &mut value).is_ok());
        result.append_option(is_found.then_some(&value));
        Ok(())
    })?;
    Ok(Arc::new(result.finish()))
}

/// The text of a scalar: a text without quotes, a number as written. Null for `null` and the rest.
fn scalar_text(reader: &mut Reader<'_>) -> Result<Option<String>, Malformed> {
    Ok(match reader.start()? {
        Start::Object | Start::Array | Start::Null => None,
        Start::Text => Some(unquote(reader.skip()?)),
        Start::Number | Start::True | Start::False => Some(reader.skip()?.to_owned()),
    })
}

fn extract_scalar(call: &Call) -> Result<ArrayRef> {
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    along_path(call, |found| {
        let text = found.and_then(|mut reader| scalar_text(&mut reader).ok().flatten());
        result.append_option(text);
        Ok(())
    })?;
    Ok(Arc::new(result.finish()))
}

/// Number of members or elements; 0 for a scalar.
fn count(reader: &mut Reader<'_>) -> Result<i64, Malformed> {
    let start = reader.start()?;
    if start.is_scalar() {
        reader.skip()?;
        return Ok(0);
    }
    let mut number = 0;
    let mut more = reader.enter(start)?;
    while more {
        if start == Start::Object {
            reader.key()?;
        }
        reader.skip()?;
        number += 1;
        more = reader.more(start)?;
    }
    Ok(number)
}

fn size(call: &Call) -> Result<ArrayRef> {
    let mut result = Int64Builder::with_capacity(call.rows);
    along_path(call, |found| {
        result.append_option(found.and_then(|mut reader| count(&mut reader).ok()));
        Ok(())
    })?;
    Ok(Arc::new(result.finish()))
}

/// A whole text as a JSON value: keys sorted, as Trino keeps them.
fn parsed(text: &str) -> Result<String> {
    let mut reader = Reader::new(text);
    let mut value = String::with_capacity(text.len());
    if compact(&mut reader, true, &mut value).is_err() || !reader.at_end() {
        let shown: String = text.chars().take(80).collect();
        return exec_err!("Cannot convert value to JSON: '{shown}'");
    }
    Ok(value)
}

fn parse(call: &Call) -> Result<ArrayRef> {
    let json = call.json(0);
    let mut result = LargeStringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        result.append_option(json.get(row).map(parsed).transpose()?);
    }
    Ok(Arc::new(result.finish()))
}

fn format(call: &Call) -> Result<ArrayRef> {
    let json = call.json(0);
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        result.append_option(json.get(row));
    }
    Ok(Arc::new(result.finish()))
}

fn array_length(call: &Call) -> Result<ArrayRef> {
    let json = call.json(0);
    let length = |text: &str| {
        let mut reader = Reader::new(text);
        match reader.start() {
            Ok(Start::Array) => count(&mut reader).ok(),
            _ => None,
        }
    };
    let lengths: Int64Array = (0..call.rows)
        .map(|row| json.get(row).and_then(length))
        .collect();
    Ok(Arc::new(lengths))
}

fn array_get(call: &Call) -> Result<ArrayRef> {
    let json = call.json(0);
    let indices = call.args[1].as_primitive::<Int64Type>();
    let mut result = LargeStringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        let text = json.get(row).filter(|_| indices.is_valid(row));
        result.append_option(text.and_then(|text| nth(text, indices.value(row))));
    }
    Ok(Arc::new(result.finish()))
}

/// Element `index` from 0, from the end when negative.
///
/// A text comes without its quotes, and is then no JSON: so does Trino, whose manual calls it broken.
fn nth(text: &str, index: i64) -> Option<String> {
    let mut reader = Reader::new(text);
    if reader.start() != Ok(Start::Array) {
        return None;
    }
    let wanted = if index < 0 {
        count(&mut reader.clone()).ok()?.checked_add(index)?
    } else {
        index
    };
    let mut more = reader.enter(Start::Array).ok()?;
    let mut at = 0;
    while more {
        if at == wanted {
            return match reader.start().ok()? {
                Start::Object | Start::Array => {
                    let mut value = String::new();
                    compact(&mut reader, false, &mut value).ok()?;
                    Some(value)
                }
                _ => scalar_text(&mut reader).ok()?,
            };
        }
        reader.skip().ok()?;
        more = reader.more(Start::Array).ok()?;
        at += 1;
    }
    None
}

/// A value to look for among the elements of an array.
enum Wanted<'a> {
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(&'a str),
}

impl Wanted<'_> {
    fn is(&self, start: Start, written: &str) -> bool {
        match self {
            Self::Boolean(wanted) => start == if *wanted { Start::True } else { Start::False },
            Self::Integer(wanted) => {
                start == Start::Number && written.parse::<i64>() == Ok(*wanted)
            }
            // Only numbers with a point or an exponent are doubles.
            Self::Double(wanted) => {
                start == Start::Number
                    && written.contains(['.', 'e', 'E'])
                    && written.parse::<f64>().is_ok_and(|number| number == *wanted)
            }
            Self::Text(wanted) => start == Start::Text && unquote(written) == *wanted,
        }
    }
}

fn holds(text: &str, wanted: &Wanted<'_>) -> Result<Option<bool>, Malformed> {
    let mut reader = Reader::new(text);
    if reader.start()? != Start::Array {
        return Ok(None);
    }
    let mut more = reader.enter(Start::Array)?;
    while more {
        let start = reader.start()?;
        if wanted.is(start, reader.skip()?) {
            return Ok(Some(true));
        }
        more = reader.more(Start::Array)?;
    }
    Ok(Some(false))
}

fn array_contains_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [_, wanted]
            if is_text(wanted)
                || wanted.is_numeric()
                || matches!(wanted, DataType::Boolean | DataType::Null) =>
        {
            boolean(given)
        }
        _ => unexpected(
            "json_array_contains",
            given,
            "json_array_contains(json or varchar, boolean, number or varchar)",
        ),
    }
}

fn array_contains(call: &Call) -> Result<ArrayRef> {
    let json = call.json(0);
    let values = &call.args[1];
    let common = match values.data_type() {
        DataType::Boolean => DataType::Boolean,
        given if given.is_integer() => DataType::Int64,
        given if given.is_numeric() => DataType::Float64,
        _ => DataType::Utf8,
    };
    let values = datafusion::arrow::compute::cast(values, &common)?;
    let wanted = |row: usize| match common {
        DataType::Boolean => Wanted::Boolean(values.as_boolean().value(row)),
        DataType::Int64 => Wanted::Integer(values.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Wanted::Double(values.as_primitive::<Float64Type>().value(row)),
        _ => Wanted::Text(values.as_string::<i32>().value(row)),
    };
    let mut result = BooleanBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let text = json.get(row).filter(|_| values.is_valid(row));
        result.append_option(text.and_then(|text| holds(text, &wanted(row)).ok().flatten()));
    }
    Ok(Arc::new(result.finish()))
}

fn is_scalar(call: &Call) -> Result<ArrayRef> {
    let json = call.json(0);
    let mut result = BooleanBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let is_scalar = |text| {
            let mut reader = Reader::new(text);
            let start = reader
                .start()
                .and_then(|start| reader.skip().map(|_| start));
            match start {
                Ok(start) if reader.at_end() => Ok(start.is_scalar()),
                _ => exec_err!("Invalid JSON value: {text}"),
            }
        };
        result.append_option(json.get(row).map(is_scalar).transpose()?);
    }
    Ok(Arc::new(result.finish()))
}
