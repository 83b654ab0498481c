//! Texts as values of other types, and values as texts.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, StringArray, StringBuilder},
        datatypes::{DataType, Date32Type, Int64Type, IntervalUnit, TimeUnit},
    },
    common::exec_err,
    error::Result,
};

use super::{arrow_cast, digits, is_internet, numbers, refused};
use crate::{
    functions::{
        datetime::{self, text_to_time, time_to_text},
        ip, type_name, uuid,
    },
    types::{
        UUID,
        fine::{Fine, Kind},
        is_text,
    },
};

/// Texts as values of another type, as Trino reads them.
pub(super) fn from_text(array: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef> {
    let texts = arrow_cast(array, &DataType::Utf8, false)?;
    let given = texts.as_string::<i32>();
    match to {
        to if is_text(to) => arrow_cast(&texts, to, safe),
        // Digits beyond those of the type round it.
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            let kind = Kind::Timestamp(zone.clone());
            let read = Fine { kind, digits: 9 }.data_type();
            let read = datetime::fine::cast(&texts, &read, safe)?;
            datetime::fine::cast(&read, to, safe)
        }
        DataType::Timestamp(unit, zone) => {
            text_to_time::timestamps(given, *unit, zone.as_ref(), safe)
        }
        DataType::Date32 => {
            let days = each(given, to, safe, text_to_time::read_date)?;
            Ok(Arc::new(Date32Array::from(days)))
        }
        to if *to == UUID => uuid::from_text(&texts, safe),
        to if is_internet(to) => ip::from_text(&texts, to, safe),
        DataType::Time32(unit) | DataType::Time64(unit) => {
            datetime::times(each(given, to, safe, |text| time(text, *unit))?, *unit)
        }
        DataType::Boolean => Ok(Arc::new(BooleanArray::from(each(
            given, to, safe, boolean,
        )?))),
        DataType::Float32 | DataType::Float64 => {
            let read: StringArray = each(given, to, safe, java_double)?.into_iter().collect();
            arrow_cast(&(Arc::new(read) as ArrayRef), to, safe)
        }
        to if to.is_integer() => integers(given, &texts, to, safe),
        to if to.is_decimal() => {
            let written = each(given, to, safe, numbers::without_exponent)?;
            let written: StringArray = written.into_iter().collect();
            arrow_cast(&(Arc::new(written) as ArrayRef), to, safe)
        }
        DataType::List(_) | DataType::Map(..) | DataType::Struct(_) => {
            exec_err!(
                "Cannot cast varchar to {}; `json_parse` reads JSON text",
                type_name(to)
            )
        }
        _ => arrow_cast(&texts, to, safe),
    }
}

/// Integers; a text that is none is named.
fn integers(given: &StringArray, texts: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef> {
    // Arrow would take blanks off.
    let kept: ArrayRef = match given.iter().flatten().any(has_blanks) {
        false => Arc::clone(texts),
        true => {
            let kept = given
                .iter()
                .map(|text| text.filter(|text| !has_blanks(text)));
            Arc::new(kept.collect::<StringArray>())
        }
    };
    let read = arrow_cast(&kept, to, true)?;
    let is_wrong = |row: &usize| !safe && read.is_null(*row) && given.is_valid(*row);
    match (0..given.len()).find(is_wrong) {
        None => Ok(read),
        Some(row) => {
            let name = match to {
                DataType::Int32 => "INT".into(),
                to => type_name(to).to_uppercase(),
            };
            exec_err!("Cannot cast '{}' to {name}", given.value(row))
        }
    }
}

/// What each text says; one that says nothing is an error, or null where that is `safe`.
fn each<'a, T>(
    texts: &'a StringArray,
    to: &DataType,
    safe: bool,
    read: impl Fn(&'a str) -> Option<T>,
) -> Result<Vec<Option<T>>> {
    let values = texts.iter().map(|text| match (text, text.and_then(&read)) {
        (Some(text), None) if !safe => {
            exec_err!("Value cannot be cast to {}: {text}", type_name(to))
        }
        (_, value) => Ok(value),
    });
    values.collect()
}

/// A time of day in a unit; rounded up to midnight, it is the first of the day.
fn time(text: &str, unit: TimeUnit) -> Option<i64> {
    let clock = text_to_time::read_time(text).filter(|clock| clock.offset.is_none())?;
    let day = chrono::DateTime::UNIX_EPOCH.date_naive();
    let value = text_to_time::units(day.and_time(clock.time), unit)?;
    Some(value % (86_400 * 10_i64.pow(digits(unit))))
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "t" | "true" | "1" => Some(true),
        "f" | "false" | "0" => Some(false),
        _ => None,
    }
}

fn has_blanks(text: &str) -> bool {
    text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace)
}

/// The digits of a double as Java reads it; Rust reads more names of infinity, and no letter at the end.
fn java_double(text: &str) -> Option<&str> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if ["NaN", "Infinity"].contains(&unsigned) {
        return Some(text);
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let is_digit = |sign: char| sign.is_ascii_digit() || "+-.eE".contains(sign);
    number.chars().all(is_digit).then_some(number)
}

pub(super) fn to_text(array: &ArrayRef, from: &DataType) -> Result<ArrayRef> {
    match from {
        DataType::Timestamp(unit, zone) => {
            let values = arrow_cast(array, &DataType::Int64, false)?;
            let values = values.as_primitive::<Int64Type>();
            let zone = zone
                .as_ref()
                .map(|name| datetime::zone::Zone::of_type(name));
            let mut result = StringBuilder::with_capacity(array.len(), 0);
            for value in values {
                result
                    .append_option(value.map(|value| time_to_text::timestamp(value, *unit, zone)));
            }
            Ok(Arc::new(result.finish()))
        }
        DataType::Time32(unit) | DataType::Time64(unit) => {
            let times = datetime::Times::new(array)?;
            let shown = |row| Some(time_to_text::time(times.get(row)?.time(), *unit));
            let shown = (0..array.len()).map(shown).collect::<StringArray>();
            Ok(Arc::new(shown))
        }
        DataType::Interval(_) | DataType::Duration(_) => {
            let spans = datetime::interval::Spans::new(array)?;
            let shown = (0..array.len()).map(|row| {
                let span = spans.get(row)?;
                Some(match from {
                    DataType::Interval(IntervalUnit::YearMonth) => span.years_and_months(),
                    _ => span.to_string(),
                })
            });
            Ok(Arc::new(shown.collect::<StringArray>()))
        }
        from if is_internet(from) => {
            let shown = (0..array.len()).map(|row| {
                array.is_valid(row).then(|| match from {
                    from if *from == UUID => uuid::to_text(array, row),
                    _ => ip::to_text(array, row),
                })
            });
            Ok(Arc::new(shown.collect::<StringArray>()))
        }
        DataType::List(_) | DataType::Map(..) | DataType::Struct(_) => {
            refused(from, &DataType::Utf8)
        }
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().iter();
            let shown = days.map(|days| {
                let day = time_to_text::instant(i64::from(days?) * 86_400, TimeUnit::Second)?;
                Some(time_to_text::date(day.date()))
            });
            Ok(Arc::new(shown.collect::<StringArray>()))
        }
        from if from.is_floating() => numbers::standard_texts(array),
        _ => arrow_cast(array, &DataType::Utf8, false),
    }
}
