//! The SQL standard's JSON functions: `JSON_EXISTS`, `JSON_VALUE`, `JSON_QUERY`, `JSON_OBJECT`, `JSON_ARRAY`.
//!
//! Their clauses are read by [`json_syntax`](crate::json_syntax), which writes them as arguments.
//!
//! Source: Trino manual, "JSON functions and operators".

mod encoding;
mod evaluate;
mod path;

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanBuilder, StringArray, StringBuilder, make_array},
        compute::{cast, interleave},
        datatypes::DataType,
    },
    common::{exec_datafusion_err, exec_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};
use evaluate::{Context, follow};
use path::Path;

use super::{convert::from_json, scan::quote, to_json, tree::Tree};
use crate::{
    functions::{
        cast::convert,
        scalar::{Call, Json, Kind, Spec, boolean, varchar},
        type_name,
    },
    types::{JSON, is_binary, is_text},
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const ANY: &[Kind] = &[Kind::Any];
    const READ: &[Kind] = &[Kind::Read, Kind::Any];
    let [decoded, encoded] = encoding::functions();
    [
        decoded,
        encoded,
        Spec::new("__json_exists", READ, boolean, exists).variadic(),
        Spec::new("__json_value", READ, value_type, value).variadic(),
        Spec::new("__json_query", READ, varchar, query).variadic(),
        Spec::new("__json_object", ANY, object_type, object)
            .variadic()
            .at_least(0),
        Spec::new("__json_array", ANY, varchar, array)
            .variadic()
            .at_least(0),
    ]
    .map(Spec::build)
    .into()
}

/// The type asked for; defaults must be of its kind.
fn value_type(given: &[DataType]) -> Result<DataType> {
    let [_, _, returned, _, on_empty, _, on_error, ..] = given else {
        return plan_err!("JSON_VALUE takes an input and a path");
    };
    let fits = |default: &DataType| {
        *default == DataType::Null
            || default == returned
            || default.is_numeric() && returned.is_numeric()
            || is_text(default) && is_text(returned)
    };
    match [on_empty, on_error]
        .into_iter()
        .find(|default| !fits(default))
    {
        None => Ok(returned.clone()),
        Some(default) => plan_err!(
            "The default of JSON_VALUE is of type {}, its result of type {}",
            type_name(default),
            type_name(returned)
        ),
    }
}

/// Keys are texts; they stand in every third place behind the two options.
fn object_type(given: &[DataType]) -> Result<DataType> {
    let mut keys = given.iter().skip(2).step_by(3);
    match keys.find(|key| !is_text(key) && **key != DataType::Null) {
        None => Ok(DataType::Utf8),
        Some(other) => plan_err!(
            "Cannot use a key of type {} in JSON_OBJECT; keys are varchar",
            type_name(other)
        ),
    }
}

/// The names of the values that a path wants to be passed.
///
/// # Errors
/// What is wrong with the path.
pub(crate) fn path_variables(path: &str) -> Result<Vec<String>, String> {
    Path::read(path).map(|path| path.variables)
}

/// A constant argument that the syntax wrote.
fn word(call: &Call, index: usize) -> String {
    let text = call.constant_text(index).flatten();
    text.unwrap_or_default().to_owned()
}

/// One value a row: absent, read, or what is wrong with its text.
type Trees = Vec<Option<Result<Tree, String>>>;

/// Input, path and passed values of a call.
struct Input {
    path: Path,
    input: Trees,
    passed: Vec<(String, Trees)>,
}

const BROKEN: &str = "conversion to JSON failed";

/// Values as JSON: texts and bytes are read where `formatted`, else they are texts.
fn trees(array: &ArrayRef, formatted: bool) -> Result<Trees> {
    let is_json = *array.data_type() == JSON;
    let texts = if is_json || formatted {
        let array = match array.data_type() {
            bytes if is_binary(bytes) => cast(array, &DataType::Binary)?,
            _ => cast(array, &DataType::LargeBinary)?,
        };
        let array = cast(&array, &DataType::LargeBinary)?;
        let bytes = array.as_binary::<i64>();
        return Ok(bytes
            .iter()
            .map(|bytes| {
                bytes.map(|bytes| {
                    let text = std::str::from_utf8(bytes).map_err(|_| BROKEN.to_owned())?;
                    Tree::read(text).map_err(|_| BROKEN.to_owned())
                })
            })
            .collect());
    } else {
        to_json(array)?
    };
    let read = |text: Option<String>| {
        Some(match text {
            Some(text) => Tree::read(&text).map_err(|_| BROKEN.to_owned()),
            None => Ok(Tree::Null),
        })
    };
    Ok(texts.into_iter().map(read).collect())
}

impl Input {
    /// `first` is the place of the first passed name.
    fn new(call: &Call, first: usize) -> Result<Self> {
        let Some(Some(written)) = call.constant_text(1) else {
            return exec_err!("a JSON path must be a constant text");
        };
        // The syntax has read it once, and knows that its variables are passed.
        let path = Path::read(written)
            .map_err(|error| exec_datafusion_err!("invalid JSON path '{written}': {error}"))?;
        let mut passed = Vec::new();
        for index in (first..call.args.len()).step_by(2) {
            let name = word(call, index);
            let Some(value) = call.args.get(index + 1) else {
                break;
            };
            passed.push(match name.strip_prefix("json:") {
                Some(name) => (name.to_owned(), trees(value, true)?),
                None => (name, trees(value, false)?),
            });
        }
        Ok(Self {
            path,
            input: trees(&call.args[0], true)?,
            passed,
        })
    }

    /// The items of a row. A null input has none.
    fn items(&self, row: usize) -> Result<Vec<Tree>, String> {
        let Some(input) = &self.input[row] else {
            return Ok(vec![]);
        };
        let input = input.as_ref().map_err(Clone::clone)?;
        let mut variables = HashMap::new();
        for (name, values) in &self.passed {
            let value = match &values[row] {
                Some(value) => Some(value.as_ref().map_err(Clone::clone)?.clone()),
                None => None,
            };
            variables.insert(name.clone(), value);
        }
        let context = Context {
            input,
            variables: &variables,
        };
        follow(&self.path, &context).map_err(|error| format!("path evaluation failed: {error}"))
    }
}

/// `__json_exists(input, path, on error, …)`
fn exists(call: &Call) -> Result<ArrayRef> {
    let input = Input::new(call, 3)?;
    let on_error = word(call, 2);
    let mut result = BooleanBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        if input.input[row].is_none() {
            result.append_null();
            continue;
        }
        result.append_option(match input.items(row) {
            Ok(items) => Some(!items.is_empty()),
            Err(error) => match on_error.as_str() {
                "error" => return exec_err!("{error}"),
                "true" => Some(true),
                "unknown" => None,
                _ => Some(false),
            },
        });
    }
    Ok(Arc::new(result.finish()))
}

/// What becomes of a row of `JSON_VALUE`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Value,
    Empty,
    Error,
}

/// `__json_value(input, path, type, on empty, default, on error, default, …)`
fn value(call: &Call) -> Result<ArrayRef> {
    let input = Input::new(call, 7)?;
    let (on_empty, on_error) = (word(call, 3), word(call, 5));
    let mut outcomes = Vec::with_capacity(call.rows);
    let mut texts = Vec::with_capacity(call.rows);
    let mut message = String::new();
    for row in 0..call.rows {
        let found = input.items(row).and_then(|items| match items.as_slice() {
            [] => Ok(None),
            [Tree::Array(_) | Tree::Object(_)] => Err(
                "cannot extract SQL scalar from JSON: JSON path found an item that cannot be converted to an SQL value".into(),
            ),
            [item] => Ok(Some(item.text())),
            _ => Err("cannot extract SQL scalar from JSON: JSON path found multiple items".into()),
        });
        let (outcome, text) = match found {
            Ok(Some(text)) => (Outcome::Value, Some(text)),
            Ok(None) => (Outcome::Empty, None),
            Err(error) => {
                message = error;
                if on_error == "error" {
                    return exec_err!("{message}");
                }
                (Outcome::Error, None)
            }
        };
        if outcome == Outcome::Empty && on_empty == "error" {
            return exec_err!("cannot extract SQL scalar from JSON: JSON path found no items");
        }
        outcomes.push(outcome);
        texts.push(text);
    }
    let texts = StringArray::from(texts);
    let values = from_json(Json::Small(&texts), call.rows, &call.return_type, true)?;
    for (row, outcome) in outcomes.iter_mut().enumerate() {
        let is_null = texts.is_null(row) || texts.value(row) == "null";
        if *outcome == Outcome::Value && values.is_null(row) && !is_null {
            if on_error == "error" {
                return exec_err!(
                    "cannot extract SQL scalar from JSON: {} cannot be converted{message}",
                    texts.value(row)
                );
            }
            *outcome = Outcome::Error;
        }
    }
    let default = |index: usize| convert(&call.args[index], &call.return_type, false);
    let (empty, error) = (default(4)?, default(6)?);
    let arrays: [&dyn Array; 3] = [values.as_ref(), empty.as_ref(), error.as_ref()];
    let choices: Vec<_> = outcomes
        .iter()
        .enumerate()
        .map(|(row, outcome)| match outcome {
            Outcome::Value => (0, row),
            Outcome::Empty => (1, row),
            Outcome::Error => (2, row),
        })
        .collect();
    Ok(make_array(interleave(&arrays, &choices)?.to_data()))
}

/// `__json_query(input, path, wrapper, quotes, on empty, on error, …)`
fn query(call: &Call) -> Result<ArrayRef> {
    let input = Input::new(call, 6)?;
    let [wrapper, quotes, on_empty, on_error] = [2, 3, 4, 5].map(|index| word(call, index));
    let otherwise = |behavior: &str, message: &str| match behavior {
        "error" => exec_err!("{message}"),
        "empty array" => Ok(Some("[]".to_owned())),
        "empty object" => Ok(Some("{}".to_owned())),
        _ => Ok(None),
    };
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        let items = match input.items(row) {
            Ok(items) => items,
            Err(error) => {
                result.append_option(otherwise(&on_error, &error)?);
                continue;
            }
        };
        if items.is_empty() {
            let message = "conversion from JSON failed: JSON path found no items";
            result.append_option(otherwise(&on_empty, message)?);
            continue;
        }
        let wraps = match (wrapper.as_str(), items.as_slice()) {
            ("conditional", [Tree::Array(_) | Tree::Object(_)]) => false,
            ("conditional" | "unconditional", _) => true,
            _ => false,
        };
        let text = match items.as_slice() {
            _ if wraps => Tree::Array(items).text(),
            [Tree::Text(text)] if quotes == "omit" => text.clone(),
            [item] => item.text(),
            _ => {
                let message = "conversion from JSON failed: JSON path found multiple items";
                result.append_option(otherwise(&on_error, message)?);
                continue;
            }
        };
        result.append_value(text);
    }
    Ok(Arc::new(result.finish()))
}

/// The JSON text of a value that becomes part of another one; `None` for null.
fn parts(array: &ArrayRef, formatted: bool) -> Result<Vec<Option<String>>> {
    if *array.data_type() == DataType::Null {
        return Ok(vec![None; array.len()]);
    }
    if !formatted {
        return to_json(array);
    }
    let trees = trees(array, true)?.into_iter();
    trees
        .map(|tree| match tree {
            None => Ok(None),
            Some(Ok(tree)) => Ok(Some(tree.text())),
            Some(Err(error)) => exec_err!("{error}"),
        })
        .collect()
}

/// `__json_object(null or absent, unique, key, value, format, …)`
fn object(call: &Call) -> Result<ArrayRef> {
    let (on_null, unique) = (word(call, 0), word(call, 1));
    let mut members = Vec::new();
    for index in (2..call.args.len()).step_by(3) {
        let keys = convert(&call.args[index], &DataType::Utf8, false)?;
        let formatted = word(call, index + 2) == "json";
        members.push((keys, parts(&call.args[index + 1], formatted)?));
    }
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        let mut seen = std::collections::HashSet::new();
        let mut text = String::from("{");
        for (keys, values) in &members {
            let keys = keys.as_string::<i32>();
            if keys.is_null(row) {
                return exec_err!("null value passed for JSON object key to JSON_OBJECT function");
            }
            if !seen.insert(keys.value(row)) {
                return match unique.as_str() {
                    "unique" => exec_err!("duplicate key passed to JSON_OBJECT function"),
                    _ => exec_err!("cannot construct a JSON object with duplicate key"),
                };
            }
            let value = match &values[row] {
                None if on_null == "absent" => continue,
                None => "null",
                Some(value) => value,
            };
            if text.len() > 1 {
                text.push(',');
            }
            quote(keys.value(row), &mut text);
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        result.append_value(text);
    }
    Ok(Arc::new(result.finish()))
}

/// `__json_array(null or absent, value, format, …)`
fn array(call: &Call) -> Result<ArrayRef> {
    let on_null = word(call, 0);
    let mut columns = Vec::new();
    for index in (1..call.args.len()).step_by(2) {
        let formatted = word(call, index + 1) == "json";
        columns.push(parts(&call.args[index], formatted)?);
    }
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        let items: Vec<&str> = columns
            .iter()
            .filter_map(|column| match &column[row] {
                Some(item) => Some(item.as_str()),
                None if on_null == "null" => Some("null"),
                None => None,
            })
            .collect();
        result.append_value(format!("[{}]", items.join(",")));
    }
    Ok(Arc::new(result.finish()))
}
