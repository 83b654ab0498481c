//! Columns of a batch, opened once for all of their rows: what a value is follows from its column, and need not be
//! found out again for each of them. [`value`] has the rules; this is its short way for the types that results mostly have.

use std::fmt::Write as _;

use datafusion::arrow::{
    array::{
        Array, AsArray, BooleanArray, Int64Array, LargeStringArray, StringArray, StringViewArray,
    },
    datatypes::{DataType, Int64Type},
    record_batch::RecordBatch,
};

use super::value;

/// A column.
pub(crate) enum Cells<'a> {
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
    Boolean(&'a BooleanArray),
    Int64(&'a Int64Array),
    /// Keys, the place of each in the values, and these.
    Dictionary(&'a dyn Array, Vec<usize>, Box<Self>),
    /// What [`value`] looks at value by value.
    Other(&'a dyn Array),
}

/// A value of it.
pub(crate) enum Cell<'a> {
    Null,
    Text(&'a str),
    Boolean(bool),
    Integer(i64),
    Other(&'a dyn Array, usize),
}

impl<'a> Cells<'a> {
    /// The columns of a batch.
    pub(crate) fn all(batch: &'a RecordBatch) -> Vec<Self> {
        let columns = batch.columns().iter();
        columns.map(|column| Self::of(column.as_ref())).collect()
    }

    /// A column.
    pub(crate) fn of(array: &'a dyn Array) -> Self {
        match array.data_type() {
            DataType::Utf8 => Self::Utf8(array.as_string()),
            DataType::LargeUtf8 => Self::LargeUtf8(array.as_string()),
            DataType::Utf8View => Self::Utf8View(array.as_string_view()),
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Int64 => Self::Int64(array.as_primitive::<Int64Type>()),
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                // Without values there is no place for a key to name.
                if dictionary.values().is_empty() {
                    return Self::Other(array);
                }
                Self::Dictionary(
                    dictionary.keys(),
                    dictionary.normalized_keys(),
                    Box::new(Self::of(dictionary.values().as_ref())),
                )
            }
            _ => Self::Other(array),
        }
    }

    /// The value of a row.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Cell<'a> {
        match self {
            Self::Utf8(array) if array.is_valid(row) => Cell::Text(array.value(row)),
            Self::LargeUtf8(array) if array.is_valid(row) => Cell::Text(array.value(row)),
            Self::Utf8View(array) if array.is_valid(row) => Cell::Text(array.value(row)),
            Self::Boolean(array) if array.is_valid(row) => Cell::Boolean(array.value(row)),
            Self::Int64(array) if array.is_valid(row) => Cell::Integer(array.value(row)),
            Self::Dictionary(keys, places, values) if keys.is_valid(row) => values.get(places[row]),
            Self::Other(array) => Cell::Other(*array, row),
            _ => Cell::Null,
        }
    }
}

impl Cell<'_> {
    /// Appends its text as it stands in a cell; returns `false` for null, appending nothing.
    pub(crate) fn write_text(&self, out: &mut String) -> bool {
        match self {
            Self::Null => return false,
            Self::Text(text) => out.push_str(text),
            Self::Boolean(truth) => out.push_str(word(*truth)),
            Self::Integer(number) => push_integer(*number, out),
            Self::Other(array, row) => return value::write_text(*array, *row, out),
        }
        true
    }

    /// Appends it as JSON.
    #[inline]
    pub(crate) fn write_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Text(text) => value::push_json_string(text, out),
            Self::Boolean(truth) => out.push_str(word(*truth)),
            Self::Integer(number) => push_integer(*number, out),
            Self::Other(array, row) => value::write_json(*array, *row, out),
        }
    }
}

fn word(truth: bool) -> &'static str {
    match truth {
        true => "true",
        false => "false",
    }
}

fn push_integer(number: i64, out: &mut String) {
    let _infallible = write!(out, "{number}");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::{
        array::{
            ArrayRef, DictionaryArray, Float64Array, Int8Array, NullArray,
            TimestampMicrosecondArray,
        },
        datatypes::Int8Type,
    };

    use super::*;

    #[test]
    fn the_short_way_shows_what_the_long_one_does() {
        let texts = vec![Some("plain"), None, Some("\"\\\n\u{1}\u{7f}é"), Some("")];
        let dictionary = DictionaryArray::<Int8Type>::try_new(
            Int8Array::from(vec![Some(1), None, Some(0), Some(2)]),
            Arc::new(StringArray::from(vec![Some("a\tb"), Some("c"), None])),
        );
        let nothing = DictionaryArray::<Int8Type>::try_new(
            Int8Array::from(vec![None, None, None, None]),
            Arc::new(StringArray::from(Vec::<&str>::new())),
        );
        let columns: [ArrayRef; 9] = [
            Arc::new(StringArray::from(texts.clone())),
            Arc::new(LargeStringArray::from(texts.clone())),
            Arc::new(StringViewArray::from(texts)),
            Arc::new(BooleanArray::from(vec![
                Some(true),
                None,
                Some(false),
                None,
            ])),
            Arc::new(Int64Array::from(vec![
                Some(i64::MIN),
                None,
                Some(0),
                Some(7),
            ])),
            Arc::new(dictionary.unwrap()),
            Arc::new(nothing.unwrap()),
            Arc::new(NullArray::new(4)),
            Arc::new(Float64Array::from(vec![f64::NAN, 0.1, -0.0, 1e300])),
        ];
        let times = TimestampMicrosecondArray::from(vec![Some(0), None, Some(1), Some(-1)]);
        let columns = columns.into_iter().chain([Arc::new(times) as ArrayRef]);
        for column in columns {
            let cells = Cells::of(column.as_ref());
            for row in 0..column.len() {
                let (mut short, mut long) = (String::new(), String::new());
                let is_there = cells.get(row).write_text(&mut short);
                assert_eq!(is_there, value::write_text(&column, row, &mut long));
                cells.get(row).write_json(&mut short);
                value::write_json(&column, row, &mut long);
                assert_eq!(short, long, "{} {row}", column.data_type());
            }
        }
    }
}
