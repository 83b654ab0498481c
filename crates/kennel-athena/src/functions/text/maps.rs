//! `split_to_map` and `split_to_multimap`: texts such as `a=1,b=2` as maps.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, ListBuilder, MapArray, MapBuilder, StringBuilder},
        datatypes::DataType,
    },
    common::{exec_err, internal_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use crate::{
    functions::scalar::{Call, Kind, Spec, varchar_array},
    types::map_type,
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const TEXTS: &[Kind] = &[Kind::Text, Kind::Text, Kind::Text];
    [
        Spec::new(
            "split_to_map",
            TEXTS,
            |_| Ok(map_type(DataType::Utf8, DataType::Utf8)),
            split_to_map,
        ),
        Spec::new(
            "split_to_multimap",
            TEXTS,
            |given| Ok(map_type(DataType::Utf8, varchar_array(given)?)),
            split_to_multimap,
        ),
    ]
    .map(Spec::build)
    .into()
}

/// Keys and values of a text, in its order.
fn entries<'a>(text: &'a str, entry: &str, pair: &str) -> Result<Vec<(&'a str, &'a str)>> {
    if entry.is_empty() {
        return exec_err!("entryDelimiter is empty");
    }
    if pair.is_empty() {
        return exec_err!("keyValueDelimiter is empty");
    }
    if entry == pair {
        return exec_err!("entryDelimiter and keyValueDelimiter must not be the same");
    }
    if text.is_empty() {
        return Ok(vec![]);
    }
    // A delimiter at the end opens no further entry.
    text.strip_suffix(entry)
        .unwrap_or(text)
        .split(entry)
        .map(|written| match written.split_once(pair) {
            Some((key, value)) if !value.contains(pair) => Ok((key, value)),
            _ => exec_err!(
                "Key-value delimiter must appear exactly once in each entry. Bad input: '{written}'"
            ),
        })
        .collect()
}

fn split_to_map(call: &Call) -> Result<ArrayRef> {
    let (texts, entry, pair) = (call.text(0), call.text(1), call.text(2));
    let mut result = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in 0..call.rows {
        if !call.all_valid(row) {
            result.append(false)?;
            continue;
        }
        let mut seen = std::collections::HashSet::new();
        for (key, value) in entries(texts.value(row), entry.value(row), pair.value(row))? {
            if !seen.insert(key) {
                return exec_err!("Duplicate keys ({key}) are not allowed");
            }
            result.keys().append_value(key);
            result.values().append_value(value);
        }
        result.append(true)?;
    }
    named(&result.finish(), &call.return_type)
}

fn split_to_multimap(call: &Call) -> Result<ArrayRef> {
    let (texts, entry, pair) = (call.text(0), call.text(1), call.text(2));
    let values = ListBuilder::new(StringBuilder::new());
    let mut result = MapBuilder::new(None, StringBuilder::new(), values);
    for row in 0..call.rows {
        if !call.all_valid(row) {
            result.append(false)?;
            continue;
        }
        let mut grouped: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for (key, value) in entries(texts.value(row), entry.value(row), pair.value(row))? {
            let place = *places.entry(key).or_insert(grouped.len());
            match grouped.get_mut(place) {
                Some((_, values)) => values.push(value),
                None => grouped.push((key, vec![value])),
            }
        }
        for (key, values) in grouped {
            result.keys().append_value(key);
            values
                .into_iter()
                .for_each(|value| result.values().values().append_value(value));
            result.values().append(true);
        }
        result.append(true)?;
    }
    named(&result.finish(), &call.return_type)
}

/// The same map with the names that the type has.
fn named(map: &MapArray, data_type: &DataType) -> Result<ArrayRef> {
    let DataType::Map(entries, _) = data_type else {
        return internal_err!("a map without entries");
    };
    let DataType::Struct(fields) = entries.data_type() else {
        return internal_err!("a map without entries");
    };
    let columns = vec![Arc::clone(map.keys()), Arc::clone(map.values())];
    Ok(Arc::new(MapArray::try_new(
        Arc::clone(entries),
        map.offsets().clone(),
        datafusion::arrow::array::StructArray::try_new(fields.clone(), columns, None)?,
        datafusion::arrow::array::Array::nulls(map).cloned(),
        false,
    )?))
}
