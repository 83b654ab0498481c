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

pub(super) fn from_text(array: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef> {
    let texts = arrow_cast(array, &DataType::Utf8, false)?;
    let unreadable = |text: &str| -> Result<()> {
        exec_err!("Value cannot be cast to {}: {text}", type_name(to))
    };
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
            text_to_time::timestamps(texts.as_string::<i32>(), *unit, zone.as_ref(), safe)
        }
        DataType::Date32 => {
            let mut days = Vec::with_capacity(texts.len());
            for text in texts.as_string::<i32>() {
                let day = text.map(|text| (text, text_to_time::read_date(text)));
                match day {
                    Some((text, None)) if !safe => unreadable(text)?,
                    _ => {}
                }
                days.push(day.and_then(|(_, day)| day));
            }
            Ok(Arc::new(Date32Array::from(days)))
        }
        to if *to == UUID => uuid::from_text(&texts, safe),
        to if is_internet(to) => ip::from_text(&texts, to, safe),
        DataType::Time32(unit) | DataType::Time64(unit) => {
            let per_day = 86_400 * 10_i64.pow(digits(*unit));
            let day = chrono::DateTime::UNIX_EPOCH.date_naive();
            let mut times = Vec::with_capacity(texts.len());
            for text in texts.as_string::<i32>() {
                let time = text.map(|text| {
                    let clock = text_to_time::read_time(text);
                    (text, clock.filter(|clock| clock.offset.is_none()))
                });
                match time {
                    Some((text, None)) if !safe => unreadable(text)?,
                    _ => {}
                }
                let clock = time.and_then(|(_, clock)| clock);
                times.push(clock.and_then(|clock| {
                    let value = text_to_time::units(day.and_time(clock.time), *unit)?;
                    Some(value % per_day)
                }));
            }
            datetime::times(times, *unit)
        }
        DataType::Boolean => {
            let mut values = Vec::with_capacity(texts.len());
            for text in texts.as_string::<i32>() {
                values.push(match text.map(str::to_ascii_lowercase).as_deref() {
                    None => None,
                    Some("t" | "true" | "1") => Some(true),
                    Some("f" | "false" | "0") => Some(false),
                    Some(_) if safe => None,
                    Some(text) => {
                        unreadable(text)?;
                        None
                    }
                });
            }
            Ok(Arc::new(BooleanArray::from(values)))
        }
        DataType::Float32 | DataType::Float64 => {
            let mut read = StringBuilder::with_capacity(texts.len(), 0);
            for text in texts.as_string::<i32>() {
                match text.map(|text| (text, java_double(text))) {
                    Some((text, None)) if !safe => unreadable(text)?,
                    read_text => read.append_option(read_text.and_then(|(_, number)| number)),
                }
            }
            arrow_cast(&(Arc::new(read.finish()) as ArrayRef), to, safe)
        }
        to if to.is_integer() => {
            let has_blanks = |text: &str| {
                text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace)
            };
            let texts_given = texts.as_string::<i32>();
            // Arrow would take blanks off.
            match texts_given.iter().flatten().find(|text| has_blanks(text)) {
                Some(text) if !safe => {
                    unreadable(text)?;
                    arrow_cast(&texts, to, safe)
                }
                Some(_) => {
                    let kept = texts_given
                        .iter()
                        .map(|text| text.filter(|text| !has_blanks(text)));
                    let kept: ArrayRef = Arc::new(kept.collect::<StringArray>());
                    arrow_cast(&kept, to, safe)
                }
                None => arrow_cast(&texts, to, safe),
            }
        }
        DataType::Binary => arrow_cast(&texts, to, safe),
        to if to.is_decimal() => {
            let mut written = StringBuilder::with_capacity(texts.len(), 0);
            for text in texts.as_string::<i32>() {
                match text.map(|text| (text, numbers::without_exponent(text))) {
                    Some((text, None)) if !safe => unreadable(text)?,
                    number => written.append_option(number.and_then(|(_, number)| number)),
                }
            }
            arrow_cast(&(Arc::new(written.finish()) as ArrayRef), to, safe)
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
