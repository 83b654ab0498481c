//! One value of a record batch as text: the only place that knows Arrow's types.
//!
//! Rules, for every format alike (design: "UTC ISO-8601, no rounding, 64-bit integers exact"):
//! - instants are `2026-03-02T04:10:00Z`, also those without a zone, which mean UTC; the fraction has
//!   no digits when it is zero, else the fewest of 3, 6 or 9 that lose nothing; years beyond 9999 have
//!   a sign and six digits;
//! - dates `2026-03-02`, times `04:10:00[.fff]`, durations and intervals ISO-8601 (`P1M2DT3S`);
//! - decimals with all their digits, floats with the fewest that read back to the same value;
//! - lists, structs and maps are JSON (maps as objects), binary is base64.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, StructArray, types::*},
    datatypes::{DataType, IntervalUnit, TimeUnit},
};

const NANOS_PER_DAY: i128 = 86_400 * NANOS;
const NANOS: i128 = 1_000_000_000;

/// A value, not yet written.
enum Value<'a> {
    Null,
    Bool(bool),
    /// Digits that are a number in every format.
    Number(String),
    Float(f64),
    Float32(f32),
    Text(&'a str),
    /// Text made here, free of characters that need escaping.
    Plain(String),
    Binary(&'a [u8]),
    List(ArrayRef),
    Struct(&'a StructArray, usize),
    Map(StructArray),
    /// The value is another array's: of a dictionary, a run, a union.
    Other(&'a dyn Array, usize),
    /// The same, where the other array had to be made.
    Owned(ArrayRef, usize),
}

/// Appends the text of a value as it stands in a cell; returns `false` for null, appending nothing.
pub(crate) fn write_text(array: &dyn Array, row: usize, out: &mut String) -> bool {
    match value(array, row) {
        Value::Null => return false,
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(text) | Value::Plain(text) => out.push_str(&text),
        Value::Float(number) => push_float(number, out),
        Value::Float32(number) => push_float32(number, out),
        Value::Text(text) => out.push_str(text),
        Value::Binary(bytes) => BASE64.encode_string(bytes, out),
        Value::Other(array, row) => return write_text(array, row, out),
        Value::Owned(array, row) => return write_text(&array, row, out),
        Value::List(_) | Value::Struct(..) | Value::Map(_) => write_json(array, row, out),
    }
    true
}

/// Appends a value as JSON. What JSON has no number for (NaN, infinities) is null.
pub(crate) fn write_json(array: &dyn Array, row: usize, out: &mut String) {
    match value(array, row) {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(text) => out.push_str(&text),
        Value::Float(number) if number.is_finite() => push_float(number, out),
        Value::Float32(number) if number.is_finite() => push_float32(number, out),
        Value::Float(_) | Value::Float32(_) => out.push_str("null"),
        Value::Text(text) => push_json_string(text, out),
        Value::Plain(text) => {
            out.push('"');
            out.push_str(&text);
            out.push('"');
        }
        Value::Binary(bytes) => {
            out.push('"');
            BASE64.encode_string(bytes, out);
            out.push('"');
        }
        Value::List(items) => {
            out.push('[');
            for item in 0..items.len() {
                if item > 0 {
                    out.push(',');
                }
                write_json(&items, item, out);
            }
            out.push(']');
        }
        Value::Struct(structs, row) => {
            out.push('{');
            for (i, (field, column)) in structs.fields().iter().zip(structs.columns()).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                push_json_string(field.name(), out);
                out.push(':');
                write_json(column, row, out);
            }
            out.push('}');
        }
        Value::Map(entries) => {
            out.push('{');
            let (keys, values) = (entries.column(0), entries.column(1));
            let mut key = String::new();
            for entry in 0..entries.len() {
                if entry > 0 {
                    out.push(',');
                }
                key.clear();
                write_text(keys, entry, &mut key);
                push_json_string(&key, out);
                out.push(':');
                write_json(values, entry, out);
            }
            out.push('}');
        }
        Value::Other(array, row) => write_json(array, row, out),
        Value::Owned(array, row) => write_json(&array, row, out),
    }
}

/// Appends a JSON string, quotes included.
pub(crate) fn push_json_string(text: &str, out: &mut String) {
    out.push('"');
    // Of all bytes at once: most texts have nothing to escape, and this loop has no branch.
    let is_plain = !text
        .bytes()
        .fold(false, |any, byte| any | needs_escape(byte));
    match is_plain {
        true => out.push_str(text),
        false => push_json_escaped(text, out),
    }
    out.push('"');
}

fn needs_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn push_json_escaped(text: &str, out: &mut String) {
    let mut start = 0;
    for (index, byte) in text.bytes().enumerate() {
        if !needs_escape(byte) {
            continue;
        }
        out.push_str(&text[start..index]);
        start = index + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            control => {
                let _infallible = write!(out, "\\u{control:04x}");
            }
        }
    }
    out.push_str(&text[start..]);
}

/// Whether a column's values are set right in tables: numbers, also behind a dictionary or runs.
pub(crate) fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        DataType::RunEndEncoded(_, values) => is_number(values.data_type()),
        other => other.is_numeric(),
    }
}

fn push_float(number: f64, out: &mut String) {
    let _infallible = if number.is_nan() {
        out.write_str("NaN")
    } else if number.is_infinite() {
        out.write_str(if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        })
    } else {
        write!(out, "{number:?}")
    };
}

fn push_float32(number: f32, out: &mut String) {
    if number.is_finite() {
        let _infallible = write!(out, "{number:?}");
    } else {
        push_float(f64::from(number), out);
    }
}

macro_rules! number {
    ($array:ident, $row:ident, $type:ty) => {
        Value::Number($array.as_primitive::<$type>().value($row).to_string())
    };
}

macro_rules! decimal {
    ($array:ident, $row:ident, $type:ty, $precision:expr, $scale:expr) => {
        Value::Number(<$type>::format_decimal(
            $array.as_primitive::<$type>().value($row),
            *$precision,
            *$scale,
        ))
    };
}

fn value(array: &dyn Array, row: usize) -> Value<'_> {
    if array.is_null(row) {
        return Value::Null;
    }
    if let Some(nanos) = nanos_since_1970(array, row) {
        return Value::Plain(date_or_instant(nanos, array.data_type()));
    }
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => number!(array, row, Int8Type),
        DataType::Int16 => number!(array, row, Int16Type),
        DataType::Int32 => number!(array, row, Int32Type),
        DataType::Int64 => number!(array, row, Int64Type),
        DataType::UInt8 => number!(array, row, UInt8Type),
        DataType::UInt16 => number!(array, row, UInt16Type),
        DataType::UInt32 => number!(array, row, UInt32Type),
        DataType::UInt64 => number!(array, row, UInt64Type),
        DataType::Float16 => {
            Value::Float32(array.as_primitive::<Float16Type>().value(row).to_f32())
        }
        DataType::Float32 => Value::Float32(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal32(p, s) => decimal!(array, row, Decimal32Type, p, s),
        DataType::Decimal64(p, s) => decimal!(array, row, Decimal64Type, p, s),
        DataType::Decimal128(p, s) => decimal!(array, row, Decimal128Type, p, s),
        DataType::Decimal256(p, s) => decimal!(array, row, Decimal256Type, p, s),
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Value::Text(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Value::Text(array.as_string_view().value(row)),
        DataType::Binary => Value::Binary(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Value::Binary(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => Value::Binary(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => Value::Binary(array.as_fixed_size_binary().value(row)),
        DataType::Time32(_) | DataType::Time64(_) => Value::Plain(time(array, row)),
        DataType::Duration(unit) => Value::Plain(duration(array, row, *unit)),
        DataType::Interval(unit) => Value::Plain(interval(array, row, *unit)),
        _ => nested(array, row),
    }
}

fn nested(array: &dyn Array, row: usize) -> Value<'_> {
    match array.data_type() {
        DataType::List(_) => Value::List(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Value::List(array.as_list::<i64>().value(row)),
        DataType::ListView(_) => Value::List(array.as_list_view::<i32>().value(row)),
        DataType::LargeListView(_) => Value::List(array.as_list_view::<i64>().value(row)),
        DataType::FixedSizeList(..) => Value::List(array.as_fixed_size_list().value(row)),
        DataType::Struct(_) => Value::Struct(array.as_struct(), row),
        DataType::Map(..) => Value::Map(array.as_map().value(row)),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            match integer(dictionary.keys(), row) {
                Some(key) => Value::Other(dictionary.values().as_ref(), key),
                None => Value::Null,
            }
        }
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => run::<Int16Type>(array, row),
            DataType::Int32 => run::<Int32Type>(array, row),
            _ => run::<Int64Type>(array, row),
        },
        DataType::Union(..) => {
            let union = array.as_union();
            Value::Owned(union.value(row), 0)
        }
        // Arrow's types are all named in `value` and here.
        other => Value::Plain(other.to_string().replace(['"', '\\'], "'")),
    }
}

fn run<T: RunEndIndexType>(array: &dyn Array, row: usize) -> Value<'_> {
    let runs = array.as_run::<T>();
    Value::Other(runs.values().as_ref(), runs.get_physical_index(row))
}

/// A dictionary key as an index.
fn integer(keys: &dyn Array, row: usize) -> Option<usize> {
    if keys.is_null(row) {
        return None;
    }
    macro_rules! key {
        ($type:ty) => {
            usize::try_from(keys.as_primitive::<$type>().value(row)).ok()
        };
    }
    match keys.data_type() {
        DataType::Int8 => key!(Int8Type),
        DataType::Int16 => key!(Int16Type),
        DataType::Int32 => key!(Int32Type),
        DataType::Int64 => key!(Int64Type),
        DataType::UInt8 => key!(UInt8Type),
        DataType::UInt16 => key!(UInt16Type),
        DataType::UInt32 => key!(UInt32Type),
        DataType::UInt64 => key!(UInt64Type),
        _ => None,
    }
}

/// Nanoseconds since 1970 of a timestamp or a date that is not null; `None` for other types.
pub(crate) fn nanos_since_1970(array: &dyn Array, row: usize) -> Option<i128> {
    macro_rules! units {
        ($type:ty, $nanos:expr) => {
            i128::from(array.as_primitive::<$type>().value(row)) * $nanos
        };
    }
    Some(match array.data_type() {
        DataType::Date32 => units!(Date32Type, NANOS_PER_DAY),
        DataType::Date64 => units!(Date64Type, 1_000_000),
        DataType::Timestamp(TimeUnit::Second, _) => units!(TimestampSecondType, NANOS),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            units!(TimestampMillisecondType, 1_000_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => units!(TimestampMicrosecondType, 1000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => units!(TimestampNanosecondType, 1),
        _ => return None,
    })
}

/// A date where the type is one and the time is midnight, else an instant.
fn date_or_instant(nanos: i128, data_type: &DataType) -> String {
    let is_date = matches!(data_type, DataType::Date32 | DataType::Date64);
    if is_date && nanos.rem_euclid(NANOS_PER_DAY) == 0 {
        date(days_since_1970(nanos))
    } else {
        instant(nanos)
    }
}

/// The day of an instant. 2^63 seconds are less than 2^47 days.
fn days_since_1970(nanos: i128) -> i64 {
    i64::try_from(nanos.div_euclid(NANOS_PER_DAY)).expect("an i64 of seconds has fewer days")
}

/// Nanoseconds since 1970 as `2026-03-02T04:10:00Z`, of any year.
fn instant(nanos: i128) -> String {
    let mut text = date(days_since_1970(nanos));
    text.push('T');
    push_clock(nanos.rem_euclid(NANOS_PER_DAY), &mut text);
    text.push('Z');
    text
}

/// Days since 1970 in the proleptic Gregorian calendar.
/// Source: the days-to-civil algorithm as published by Howard Hinnant ("chrono-Compatible Low-Level Date Algorithms").
fn date(days: i64) -> String {
    let shifted = i128::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    if (0..=9999).contains(&year) {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:+07}-{month:02}-{day:02}")
    }
}

fn time(array: &dyn Array, row: usize) -> String {
    let nanos = match array.data_type() {
        DataType::Time32(TimeUnit::Second) => {
            i128::from(array.as_primitive::<Time32SecondType>().value(row)) * NANOS
        }
        DataType::Time32(_) => {
            i128::from(array.as_primitive::<Time32MillisecondType>().value(row)) * 1_000_000
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            i128::from(array.as_primitive::<Time64MicrosecondType>().value(row)) * 1000
        }
        _ => i128::from(array.as_primitive::<Time64NanosecondType>().value(row)),
    };
    let mut text = String::new();
    push_clock(nanos, &mut text);
    text
}

fn push_clock(nanos: i128, out: &mut String) {
    let seconds = nanos.div_euclid(NANOS);
    let _infallible = write!(
        out,
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    push_fraction(nanos.rem_euclid(NANOS), out);
}

/// The fewest of 0, 3, 6 and 9 digits that lose nothing.
fn push_fraction(nanos: i128, out: &mut String) {
    let _infallible = if nanos == 0 {
        Ok(())
    } else if nanos % 1_000_000 == 0 {
        write!(out, ".{:03}", nanos / 1_000_000)
    } else if nanos % 1000 == 0 {
        write!(out, ".{:06}", nanos / 1000)
    } else {
        write!(out, ".{nanos:09}")
    };
}

fn duration(array: &dyn Array, row: usize, unit: TimeUnit) -> String {
    let nanos = match unit {
        TimeUnit::Second => {
            i128::from(array.as_primitive::<DurationSecondType>().value(row)) * NANOS
        }
        TimeUnit::Millisecond => {
            i128::from(array.as_primitive::<DurationMillisecondType>().value(row)) * 1_000_000
        }
        TimeUnit::Microsecond => {
            i128::from(array.as_primitive::<DurationMicrosecondType>().value(row)) * 1000
        }
        TimeUnit::Nanosecond => {
            i128::from(array.as_primitive::<DurationNanosecondType>().value(row))
        }
    };
    span(0, 0, nanos)
}

fn interval(array: &dyn Array, row: usize, unit: IntervalUnit) -> String {
    match unit {
        IntervalUnit::YearMonth => span(
            array.as_primitive::<IntervalYearMonthType>().value(row),
            0,
            0,
        ),
        IntervalUnit::DayTime => {
            let value = array.as_primitive::<IntervalDayTimeType>().value(row);
            span(0, value.days, i128::from(value.milliseconds) * 1_000_000)
        }
        IntervalUnit::MonthDayNano => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            span(value.months, value.days, i128::from(value.nanoseconds))
        }
    }
}

/// ISO-8601: `P14M3DT1.500S`, a sign with each part; months are not turned into years.
fn span(months: i32, days: i32, nanos: i128) -> String {
    let mut text = String::from("P");
    if months != 0 {
        let _infallible = write!(text, "{months}M");
    }
    if days != 0 {
        let _infallible = write!(text, "{days}D");
    }
    if nanos != 0 || text.len() == 1 {
        let sign = if nanos < 0 { "-" } else { "" };
        let _infallible = write!(text, "T{sign}{}", nanos.abs() / NANOS);
        push_fraction(nanos.abs() % NANOS, &mut text);
        text.push('S');
    }
    text
}

#[cfg(test)]
mod tests;
