//! `CAST` from JSON to any type, and from any type to JSON.
//!
//! A JSON array becomes an `ARRAY`, or a `ROW` by position; an object a `MAP`, or a `ROW` by name.
//! Source: Trino manual, "JSON functions and operators", sections "Cast to JSON" and "Cast from JSON".

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, ListArray, MapArray, StringArray, StructArray, new_null_array,
        },
        buffer::{NullBuffer, OffsetBuffer},
        compute::cast,
        datatypes::{DataType, Field, Fields},
    },
    common::{exec_datafusion_err, exec_err, not_impl_err},
    error::{DataFusionError, Result},
};

use super::{
    Json,
    scan::{Malformed, Reader, Start, compact, quote, unquote},
};
use crate::{
    functions::{
        cast::{convert, java_texts, standard_text},
        type_name,
    },
    types::{self, fine::Fine, is_text},
};

/// JSON values, as written, as values of `target`; null for JSON's null.
///
/// # Errors
/// An execution error for the first value that is no such value, unless `safe`: then it is null.
pub(in crate::functions) fn from_json(
    json: Json<'_>,
    rows: usize,
    target: &DataType,
    safe: bool,
) -> Result<ArrayRef> {
    let values: Vec<_> = (0..rows).map(|row| json.get(row)).collect();
    let found = read(&values, target, safe);
    if found.is_err() {
        // Only now is looked which value it was.
        for value in &values {
            if let Err(cause) = read(&[*value], target, safe) {
                return Err(failed(value.unwrap_or_default(), target, &cause));
            }
        }
    }
    found
}

/// About a value that cannot be cast.
fn failed(text: &str, target: &DataType, cause: &DataFusionError) -> DataFusionError {
    let (name, text) = (type_name(target), shown(text));
    match target {
        DataType::List(_) | DataType::Map(..) | DataType::Struct(_) => {
            let cause = cause.strip_backtrace();
            let cause = cause.trim_start_matches("Execution error: ");
            exec_datafusion_err!("Cannot cast to {name}. {cause}\n{text}")
        }
        _ => exec_datafusion_err!("Cannot cast '{text}' to {}", name.to_uppercase()),
    }
}

/// The beginning of a text.
fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

/// How a value begins, as messages show it.
fn token(text: &str) -> String {
    let mut reader = Reader::new(text);
    match reader.start() {
        Ok(Start::Array) => "[".into(),
        Ok(Start::Object) => "{".into(),
        Ok(Start::Text) => reader.skip().map(unquote).unwrap_or_default(),
        _ => shown(text),
    }
}

/// About a value of another kind.
fn unexpected(kind: &str, text: &str) -> DataFusionError {
    exec_datafusion_err!("Expected a json {kind}, but got {}", token(text))
}

/// `None` for what is JSON's null, or is absent.
fn present(text: Option<&str>) -> Option<&str> {
    text.filter(|text| Reader::new(text).start() != Ok(Start::Null))
}

fn read(values: &[Option<&str>], target: &DataType, safe: bool) -> Result<ArrayRef> {
    match target {
        target if *target == types::JSON => {
            let compacted = values.iter().map(|text| {
                text.map(|text| {
                    let mut out = String::new();
                    compact(&mut Reader::new(text), false, &mut out)
                        .map(|()| out)
                        .map_err(|Malformed| unexpected("value", text))
                })
                .transpose()
            });
            let array: datafusion::arrow::array::LargeStringArray =
                compacted.collect::<Result<_>>()?;
            Ok(Arc::new(array))
        }
        DataType::List(element) => read_list(values, element, safe),
        DataType::Map(entries, _) => read_map(values, entries, safe),
        DataType::Struct(fields) => read_row(values, fields, target, safe),
        _ => read_scalar(values, target, safe),
    }
}

/// Scalars go through their text, by the rules of a cast from varchar.
fn read_scalar(values: &[Option<&str>], target: &DataType, safe: bool) -> Result<ArrayRef> {
    let mut texts = Vec::with_capacity(values.len());
    for &value in values {
        let Some(text) = present(value) else {
            texts.push(None);
            continue;
        };
        let mut reader = Reader::new(text);
        let scalar = match reader.start() {
            Ok(Start::Text) => reader.skip().map(unquote).ok(),
            Ok(start) if start.is_scalar() => {
                reader.skip().ok().map(|text| number(text, start, target))
            }
            _ => None,
        };
        if scalar.is_none() && !safe {
            let (name, token) = (type_name(target), token(text));
            return exec_err!("Unexpected token when cast to {name}: {token}");
        }
        texts.push(scalar);
    }
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    convert(&texts, target, safe)
}

/// `1.0` and `true` as integers, `1` as a boolean: Trino casts between them.
fn number(text: &str, start: Start, target: &DataType) -> String {
    let is_boolean = matches!(start, Start::True | Start::False);
    match target {
        target if target.is_numeric() && is_boolean => u8::from(start == Start::True).to_string(),
        target if target.is_integer() && text.contains(['.', 'e', 'E']) => {
            text.parse::<f64>().map_or_else(
                |_| text.to_owned(),
                |number| (number.round() as i128).to_string(),
            )
        }
        // An integer beyond 64 bits is none.
        DataType::Boolean if start == Start::Number && !text.contains(['.', 'e', 'E']) => text
            .parse::<i64>()
            .map_or_else(|_| text.to_owned(), |number| (number != 0).to_string()),
        DataType::Boolean if start == Start::Number => text
            .parse::<f64>()
            .map_or_else(|_| text.to_owned(), |number| (number != 0.0).to_string()),
        target if is_text(target) && start == Start::Number && text.contains(['.', 'e', 'E']) => {
            text.parse().map_or_else(|_| text.to_owned(), standard_text)
        }
        _ => text.to_owned(),
    }
}

type Items<'a> = (Vec<Option<&'a str>>, Vec<usize>, Vec<bool>);

fn read_list(values: &[Option<&str>], element: &Arc<Field>, safe: bool) -> Result<ArrayRef> {
    let (mut items, mut lengths, mut valid): Items<'_> = (vec![], vec![], vec![]);
    for &value in values {
        let before = items.len();
        let is_list = match present(value).map(|text| elements(text, &mut items)) {
            None => false,
            Some(Ok(())) => true,
            Some(Err(Malformed)) if safe => false,
            Some(Err(Malformed)) => return Err(unexpected("array", value.unwrap_or(""))),
        };
        if !is_list {
            items.truncate(before);
        }
        lengths.push(items.len() - before);
        valid.push(is_list);
    }
    let items = read(&items, element.data_type(), safe)?;
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(element),
        OffsetBuffer::from_lengths(lengths),
        items,
        Some(NullBuffer::from(valid)),
    )?))
}

fn elements<'a>(text: &'a str, items: &mut Vec<Option<&'a str>>) -> Result<(), Malformed> {
    let mut reader = Reader::new(text);
    let mut more = reader.start().and_then(|_| reader.enter(Start::Array))?;
    while more {
        items.push(Some(reader.skip()?));
        more = reader.more(Start::Array)?;
    }
    Ok(())
}

/// Keys (quoted) and values of an object.
fn members(text: &str) -> Result<Vec<(&str, &str)>, Malformed> {
    let mut reader = Reader::new(text);
    let mut members = Vec::new();
    let mut more = reader.start().and_then(|_| reader.enter(Start::Object))?;
    while more {
        members.push((reader.key()?, reader.skip()?));
        more = reader.more(Start::Object)?;
    }
    Ok(members)
}

fn read_map(values: &[Option<&str>], entries: &Arc<Field>, safe: bool) -> Result<ArrayRef> {
    let DataType::Struct(entry) = entries.data_type() else {
        return not_impl_err!("a map without entries");
    };
    let (mut keys, mut items, mut lengths, mut valid) = (vec![], vec![], vec![], vec![]);
    for &value in values {
        let read = match present(value).map(members) {
            None => None,
            Some(Ok(members)) => Some(members),
            Some(Err(Malformed)) if safe => None,
            Some(Err(Malformed)) => return Err(unexpected("object", value.unwrap_or(""))),
        };
        valid.push(read.is_some());
        let members = read.unwrap_or_default();
        lengths.push(members.len());
        for (key, item) in members {
            keys.push(Some(key));
            items.push(Some(item));
        }
    }
    let keys = read(&keys, entry[0].data_type(), false)?;
    // Two names may be one number.
    if !is_text(keys.data_type()) {
        let texts = convert(&keys, &DataType::Utf8, false)?;
        let mut texts = texts.as_string::<i32>().iter();
        for length in &lengths {
            let mut known = HashSet::new();
            if !texts.by_ref().take(*length).all(|key| known.insert(key)) {
                return exec_err!("Duplicate keys are not allowed");
            }
        }
    }
    let items = read(&items, entry[1].data_type(), safe)?;
    let columns = StructArray::try_new(entry.clone(), vec![keys, items], None)?;
    Ok(Arc::new(MapArray::try_new(
        Arc::clone(entries),
        OffsetBuffer::from_lengths(lengths),
        columns,
        Some(NullBuffer::from(valid)),
        false,
    )?))
}

/// The values of an object's members by the names of the fields; `None` where a field is there twice, or
/// the fields have no names.
fn named<'a>(text: &'a str, fields: &Fields) -> Option<Vec<Option<&'a str>>> {
    let mut by_name: HashMap<String, &str> = HashMap::new();
    let is_field = |name: &str| {
        fields
            .iter()
            .any(|field| field.name().eq_ignore_ascii_case(name))
    };
    for (key, value) in members(text).ok()? {
        let name = unquote(key).to_lowercase();
        if by_name.insert(name.clone(), value).is_some() && is_field(&name) {
            return None;
        }
    }
    // `ROW(bigint)` gives its fields no names; they are called by their place here.
    let is_unnamed = fields.first().is_some_and(|field| field.name() == "c0");
    let value = |field: &Arc<Field>| by_name.get(&field.name().to_lowercase()).copied();
    (!is_unnamed).then(|| fields.iter().map(value).collect())
}

fn read_row(
    values: &[Option<&str>],
    fields: &Fields,
    target: &DataType,
    safe: bool,
) -> Result<ArrayRef> {
    let mut columns: Vec<Vec<Option<&str>>> = vec![Vec::with_capacity(values.len()); fields.len()];
    let mut valid = Vec::with_capacity(values.len());
    for &value in values {
        let mut by_position = Vec::new();
        let row = match present(value) {
            None => None,
            Some(text) => {
                let row = match elements(text, &mut by_position) {
                    Ok(()) => (by_position.len() == fields.len()).then_some(by_position),
                    Err(Malformed) => named(text, fields),
                };
                if row.is_none() && !safe {
                    let count = fields.len();
                    return match Reader::new(text).start() {
                        Ok(Start::Array) => exec_err!("Expected a json array of {count} elements"),
                        Ok(Start::Object) => {
                            exec_err!("The names of members are not those of the fields")
                        }
                        _ => Err(unexpected("array or object", text)),
                    };
                }
                row
            }
        };
        valid.push(row.is_some());
        let row = row.unwrap_or_default();
        for (index, column) in columns.iter_mut().enumerate() {
            column.push(row.get(index).copied().flatten());
        }
    }
    if fields.is_empty() {
        return Ok(new_null_array(target, values.len()));
    }
    let columns = columns
        .iter()
        .zip(fields)
        .map(|(column, field)| read(column, field.data_type(), safe))
        .collect::<Result<Vec<_>>>()?;
    let nulls = Some(NullBuffer::from(valid));
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        columns,
        nulls,
    )?))
}

/// One JSON text per value; null for null.
pub(in crate::functions) fn to_json(array: &ArrayRef) -> Result<Vec<Option<String>>> {
    let written = write(array)?;
    Ok(written
        .into_iter()
        .enumerate()
        .map(|(row, text)| array.is_valid(row).then_some(text))
        .collect())
}

/// One JSON text per value; `null` for null.
fn write(array: &ArrayRef) -> Result<Vec<String>> {
    let null = || "null".to_owned();
    let rows = 0..array.len();
    let each = |write: &dyn Fn(usize) -> String| {
        let texts = rows.clone().map(|row| {
            if array.is_valid(row) {
                write(row)
            } else {
                null()
            }
        });
        Ok(texts.collect())
    };
    match array.data_type() {
        data_type if *data_type == types::JSON => {
            let texts = array.as_string::<i64>();
            each(&|row| texts.value(row).to_owned())
        }
        DataType::Boolean => each(&|row| array.as_boolean().value(row).to_string()),
        DataType::Null => Ok(vec![null(); array.len()]),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let items = write(list.values())?;
            let offsets = list.value_offsets();
            each(&|row| {
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                format!("[{}]", items[range].join(","))
            })
        }
        DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            let element = match array.data_type() {
                DataType::LargeList(field) | DataType::FixedSizeList(field, _) => Arc::clone(field),
                other => return exec_err!("{other} is no array"),
            };
            write(&cast(array, &DataType::List(element))?)
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let keys = key_texts(map.keys())?;
            let values = write(map.values())?;
            let offsets = map.value_offsets();
            each(&|row| {
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                object(range.map(|at| (keys.value(at), values[at].as_str())), true)
            })
        }
        DataType::Struct(fields) if Fine::of(array.data_type()).is_none() => {
            let row_array = array.as_struct();
            let columns = row_array
                .columns()
                .iter()
                .map(write)
                .collect::<Result<Vec<_>>>()?;
            each(&|row| row_object(fields, &columns, row))
        }
        data_type if data_type.is_floating() => {
            let texts = java_texts(array)?;
            each(&|row| match texts.value(row) {
                // JSON has no such numbers.
                text @ ("NaN" | "Infinity" | "-Infinity") => format!("\"{text}\""),
                text => text.to_owned(),
            })
        }
        data_type if data_type.is_numeric() => {
            let texts = convert(array, &DataType::Utf8, false)?;
            let texts = texts.as_string::<i32>();
            each(&|row| texts.value(row).to_owned())
        }
        _ => {
            let texts = convert(array, &DataType::Utf8, false)?;
            let texts = texts.as_string::<i32>();
            each(&|row| {
                let mut out = String::new();
                quote(texts.value(row), &mut out);
                out
            })
        }
    }
}

/// The keys of a map as names of members.
fn key_texts(keys: &ArrayRef) -> Result<StringArray> {
    match keys.data_type().is_floating() {
        true => java_texts(keys),
        false => Ok(convert(keys, &DataType::Utf8, false)?
            .as_string::<i32>()
            .clone()),
    }
}

/// A row as an object.
fn row_object(fields: &Fields, columns: &[Vec<String>], row: usize) -> String {
    let named = fields.iter().zip(columns).enumerate();
    let members = named.map(|(place, (field, column))| {
        // `ROW(…)` gives its fields no names; they are called by their place here.
        let is_unnamed = *field.name() == format!("c{place}");
        let name = if is_unnamed { "" } else { field.name() };
        (name, column[row].as_str())
    });
    object(members, false)
}

fn object<'a>(members: impl Iterator<Item = (&'a str, &'a str)>, sorted: bool) -> String {
    let mut members: Vec<_> = members.collect();
    if sorted {
        members.sort_by_key(|(key, _)| *key);
    }
    let mut out = String::from("{");
    for (index, (key, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        quote(key, &mut out);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
    out
}
