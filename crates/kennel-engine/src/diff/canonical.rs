//! Nested values as JSON text with sorted names, so that equal values are equal texts: a map's order means nothing,
//! and it may be another every night.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StringBuilder},
        datatypes::DataType,
        error::ArrowError,
        util::display::{ArrayFormatter, FormatOptions},
    },
    error::Result as DataFusionResult,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

/// How instants are written: as in all output, ISO-8601 in UTC.
const INSTANT: &str = "%Y-%m-%dT%H:%M:%S%.fZ";

/// The function, of one argument of any type; null stays null.
pub(super) fn udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(Canonical {
        signature: Signature::any(1, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Canonical {
    signature: Signature,
}

impl ScalarUDFImpl for Canonical {
    fn name(&self) -> &'static str {
        "canonical_json"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let mut texts = StringBuilder::new();
        for array in arrays.iter().take(1) {
            for row in 0..array.len() {
                if array.is_null(row) {
                    texts.append_null();
                    continue;
                }
                let mut text = String::new();
                write_json(array, row, &mut text)?;
                texts.append_value(text);
            }
        }
        Ok(ColumnarValue::Array(Arc::new(texts.finish())))
    }
}

/// Formats values of simple types.
pub(super) fn options() -> FormatOptions<'static> {
    FormatOptions::default()
        .with_timestamp_format(Some(INSTANT))
        .with_timestamp_tz_format(Some(INSTANT))
}

/// Appends a text in JSON's quotes.
pub(super) fn push_quoted(text: &str, out: &mut String) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
        return;
    }
    out.push_str(&serde_json::to_string(text).expect("a text always serialises"));
}

/// Appends a value as JSON.
pub(super) fn write_json(array: &ArrayRef, row: usize, out: &mut String) -> Result<(), ArrowError> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::List(_) => write_list(&array.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => write_list(&array.as_list::<i64>().value(row), out),
        DataType::FixedSizeList(..) => write_list(&array.as_fixed_size_list().value(row), out),
        DataType::Struct(_) => {
            let structs = array.as_struct();
            let mut parts = Vec::with_capacity(structs.num_columns());
            for (name, column) in structs.column_names().into_iter().zip(structs.columns()) {
                let mut value = String::new();
                write_json(column, row, &mut value)?;
                parts.push((name.to_owned(), value));
            }
            write_object(parts, out);
            Ok(())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let mut sorted = BTreeMap::new();
            for entry in 0..entries.len() {
                let (mut name, mut value) = (String::new(), String::new());
                write_plain(entries.column(0), entry, &mut name)?;
                write_json(entries.column(1), entry, &mut value)?;
                sorted.insert(name, value);
            }
            write_object(sorted, out);
            Ok(())
        }
        DataType::Boolean => write_plain(array, row, out),
        data_type if data_type.is_numeric() => write_plain(array, row, out),
        _ => {
            let mut text = String::new();
            write_plain(array, row, &mut text)?;
            push_quoted(&text, out);
            Ok(())
        }
    }
}

fn write_plain(array: &ArrayRef, row: usize, out: &mut String) -> Result<(), ArrowError> {
    // Most values are texts; a formatter for each of them costs more than all else.
    if let Some(texts) = array.as_string_opt::<i32>().filter(|_| array.is_valid(row)) {
        out.push_str(texts.value(row));
        return Ok(());
    }
    let options = options();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options)?;
    write!(out, "{}", formatter.value(row).try_to_string()?)
        .expect("writing into a text cannot fail");
    Ok(())
}

fn write_list(items: &ArrayRef, out: &mut String) -> Result<(), ArrowError> {
    out.push('[');
    for item in 0..items.len() {
        if item > 0 {
            out.push(',');
        }
        write_json(items, item, out)?;
    }
    out.push(']');
    Ok(())
}

fn write_object(parts: impl IntoIterator<Item = (String, String)>, out: &mut String) {
    out.push('{');
    for (index, (name, value)) in parts.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_quoted(&name, out);
        out.push(':');
        out.push_str(&value);
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{MapBuilder, StringBuilder};

    use super::*;

    #[test]
    fn the_order_of_a_map_means_nothing_and_null_is_not_empty() {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for entries in [
            [("b", Some("1\"")), ("a", Some(""))],
            [("a", None), ("b", Some("1\""))],
        ] {
            for (name, value) in entries {
                maps.keys().append_value(name);
                maps.values().append_option(value);
            }
            maps.append(true).unwrap();
        }
        let array: ArrayRef = Arc::new(maps.finish());
        let text = |row| {
            let mut text = String::new();
            write_json(&array, row, &mut text).unwrap();
            text
        };
        assert_eq!(text(0), r#"{"a":"","b":"1\""}"#);
        assert_eq!(text(1), r#"{"a":null,"b":"1\""}"#);
    }
}
