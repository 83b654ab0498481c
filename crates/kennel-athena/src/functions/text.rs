//! Trino's functions of text, where DataFusion has none or another meaning. Positions count
//! characters from 1.
//!
//! Source: Trino manual, "String functions and operators" and "URL functions".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, ListArray, ListBuilder, StringBuilder, UInt64Array},
        buffer::OffsetBuffer,
        compute::{cast, concat as concat_arrays, take},
        datatypes::{DataType, Int64Type},
    },
    common::{exec_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    scalar::{Call, Kind, Spec, varchar, varchar_array},
    type_name,
};
use crate::types::is_text;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const TEXT_TEXT: &[Kind] = &[Kind::Text, Kind::Text];
    const TEXT_TEXT_INTEGER: &[Kind] = &[Kind::Text, Kind::Text, Kind::Integer];
    let mut all: Vec<_> = [
        Spec::new("split", TEXT_TEXT_INTEGER, varchar_array, split).at_least(2),
        Spec::new("split_part", TEXT_TEXT_INTEGER, varchar, split_part),
        Spec::new(
            "replace",
            &[Kind::Text, Kind::Text, Kind::Text],
            varchar,
            replace,
        )
        .at_least(2),
        Spec::new("concat", &[Kind::Any], concat_type, concat).variadic(),
        Spec::new("url_decode", &[Kind::Text], varchar, |call| {
            each(call, |text| Some(url_decoded(text)))
        }),
        Spec::new("url_extract_host", &[Kind::Text], varchar, |call| {
            each(call, |text| Some(host(text)?.to_owned()))
        }),
        Spec::new("url_extract_parameter", TEXT_TEXT, varchar, url_parameter),
    ]
    .map(Spec::build)
    .into();
    all.push(substr());
    all
}

fn each(call: &Call, each: impl Fn(&str) -> Option<String>) -> Result<ArrayRef> {
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for text in call.text(0) {
        result.append_option(text.and_then(&each));
    }
    Ok(Arc::new(result.finish()))
}

/// `substr(text, start[, length])`; a negative start counts from the end.
pub(super) fn substr() -> Arc<ScalarUDF> {
    Spec::new(
        "substr",
        &[Kind::Text, Kind::Integer, Kind::Integer],
        varchar,
        |call| {
            let texts = call.text(0);
            let starts = call.args[1].as_primitive::<Int64Type>();
            let mut result = StringBuilder::with_capacity(call.rows, 0);
            for row in 0..call.rows {
                if !(0..call.args.len()).all(|index| call.is_valid(index, row)) {
                    result.append_null();
                    continue;
                }
                let length = call
                    .args
                    .get(2)
                    .map(|array| array.as_primitive::<Int64Type>().value(row));
                result.append_value(piece(texts.value(row), starts.value(row), length));
            }
            Ok(Arc::new(result.finish()))
        },
    )
    .at_least(2)
    .also(&["substring"])
    .build()
}

fn piece(text: &str, start: i64, length: Option<i64>) -> &str {
    let count = || i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let skipped = match start {
        0 => return "",
        start if start > 0 => start - 1,
        start => match count().checked_add(start).filter(|from| *from >= 0) {
            Some(from) => from,
            None => return "",
        },
    };
    let at = |n: i64| {
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        text.char_indices().nth(n).map_or(text.len(), |(at, _)| at)
    };
    let begin = at(skipped);
    let end = match length {
        None => text.len(),
        Some(length) if length <= 0 => begin,
        Some(length) => at(skipped.saturating_add(length)),
    };
    &text[begin..end]
}

fn split(call: &Call) -> Result<ArrayRef> {
    let (texts, delimiters) = (call.text(0), call.text(1));
    let mut result = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        if !(0..call.args.len()).all(|index| call.is_valid(index, row)) {
            result.append_null();
            continue;
        }
        let (text, delimiter) = (texts.value(row), delimiters.value(row));
        if delimiter.is_empty() {
            return exec_err!("The delimiter may not be the empty string");
        }
        let limit = call
            .args
            .get(2)
            .map(|array| array.as_primitive::<Int64Type>().value(row));
        match limit {
            Some(limit) if limit <= 0 => return exec_err!("Limit must be positive"),
            Some(limit) => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                text.splitn(limit, delimiter)
                    .for_each(|part| result.values().append_value(part));
            }
            None => text
                .split(delimiter)
                .for_each(|part| result.values().append_value(part)),
        }
        result.append(true);
    }
    Ok(Arc::new(result.finish()))
}

fn split_part(call: &Call) -> Result<ArrayRef> {
    let (texts, delimiters) = (call.text(0), call.text(1));
    let indices = call.args[2].as_primitive::<Int64Type>();
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        if texts.is_null(row) || delimiters.is_null(row) || indices.is_null(row) {
            result.append_null();
            continue;
        }
        let index = match usize::try_from(indices.value(row)) {
            Ok(index) if index > 0 => index - 1,
            _ => return exec_err!("Index must be greater than zero"),
        };
        let (text, delimiter) = (texts.value(row), delimiters.value(row));
        // An empty delimiter cuts at each character.
        if delimiter.is_empty() {
            result.append_option(text.chars().nth(index).map(String::from));
        } else {
            result.append_option(text.split(delimiter).nth(index));
        }
    }
    Ok(Arc::new(result.finish()))
}

fn replace(call: &Call) -> Result<ArrayRef> {
    let (texts, searched) = (call.text(0), call.text(1));
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        if !(0..call.args.len()).all(|index| call.is_valid(index, row)) {
            result.append_null();
            continue;
        }
        let new = if call.args.len() > 2 {
            call.text(2).value(row)
        } else {
            ""
        };
        result.append_value(texts.value(row).replace(searched.value(row), new));
    }
    Ok(Arc::new(result.finish()))
}

fn concat_type(given: &[DataType]) -> Result<DataType> {
    let is_list = |data_type: &DataType| matches!(data_type, DataType::List(_));
    if let Some(list) = given.iter().find(|given| is_list(given)) {
        let other = given
            .iter()
            .find(|given| !is_list(given) && **given != DataType::Null);
        return match other {
            None => Ok(list.clone()),
            Some(other) => plan_err!(
                "concat: {} and {} cannot be joined",
                type_name(list),
                type_name(other)
            ),
        };
    }
    match given
        .iter()
        .find(|given| !is_text(given) && **given != DataType::Null)
    {
        None => Ok(DataType::Utf8),
        Some(DataType::Binary) => plan_err!("concat of varbinary is not supported"),
        Some(other) => plan_err!(
            "Unexpected parameters for function concat: {} is no varchar; CAST(… AS varchar) makes it one",
            type_name(other)
        ),
    }
}

/// Texts or arrays in a row; null as soon as one is null.
fn concat(call: &Call) -> Result<ArrayRef> {
    if let DataType::List(_) = &call.return_type {
        return concat_lists(call);
    }
    let columns = call
        .args
        .iter()
        .map(|array| Ok(cast(array, &DataType::Utf8)?))
        .collect::<Result<Vec<_>>>()?;
    let texts: Vec<_> = columns
        .iter()
        .map(|array| array.as_string::<i32>())
        .collect();
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        if texts.iter().any(|text| text.is_null(row)) {
            result.append_null();
            continue;
        }
        let joined: String = texts.iter().map(|text| text.value(row)).collect();
        result.append_value(joined);
    }
    Ok(Arc::new(result.finish()))
}

fn concat_lists(call: &Call) -> Result<ArrayRef> {
    let columns = call
        .args
        .iter()
        .map(|array| super::cast::convert(array, &call.return_type, false))
        .collect::<Result<Vec<_>>>()?;
    let lists: Vec<&ListArray> = columns.iter().map(|array| array.as_list::<i32>()).collect();
    let values: Vec<&dyn Array> = lists.iter().map(|list| list.values().as_ref()).collect();
    let all = concat_arrays(&values)?;
    let mut taken: Vec<u64> = Vec::with_capacity(all.len());
    let (mut sizes, mut valid) = (Vec::with_capacity(call.rows), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let before = taken.len();
        let is_valid = lists.iter().all(|list| list.is_valid(row));
        let mut first = 0_u64;
        for list in &lists {
            if is_valid {
                let offsets = list.value_offsets();
                taken.extend((offsets[row]..offsets[row + 1]).map(|at| first + at as u64));
            }
            first += list.values().len() as u64;
        }
        sizes.push(taken.len() - before);
        valid.push(is_valid);
    }
    let DataType::List(field) = &call.return_type else {
        return exec_err!("concat of arrays must return an array");
    };
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(field),
        OffsetBuffer::from_lengths(sizes),
        take(&all, &UInt64Array::from(taken), None)?,
        Some(valid.into()),
    )?))
}

/// `%41` and `+` undone; what is no UTF-8 then becomes U+FFFD.
fn url_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut result = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = text
            .get(at + 1..at + 3)
            .filter(|digits| byte == b'%' && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(decoded) => {
                result.push(decoded);
                at += 3;
            }
            None => {
                result.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&result).into_owned()
}

fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

fn url_parameter(call: &Call) -> Result<ArrayRef> {
    let (urls, names) = (call.text(0), call.text(1));
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        if urls.is_null(row) || names.is_null(row) {
            result.append_null();
            continue;
        }
        let query = urls
            .value(row)
            .split('#')
            .next()
            .and_then(|url| url.split_once('?'));
        let found = query.and_then(|(_, query)| {
            query.split('&').find_map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (url_decoded(name) == names.value(row)).then(|| url_decoded(value))
            })
        });
        result.append_option(found);
    }
    Ok(Arc::new(result.finish()))
}
