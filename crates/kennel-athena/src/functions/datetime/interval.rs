//! Intervals: months, or milliseconds. Their text, and Trino's functions of durations.
//!
//! DataFusion makes one kind of interval of all literals; here those with years and months are Arrow's
//! intervals of months, and the days of all others are 24 hours.
//!
//! Source: Trino manual, "Date and time functions and operators".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray, IntervalYearMonthArray},
        compute::cast,
        datatypes::{
            DataType, DurationMillisecondType, Float64Type, IntervalDayTimeType,
            IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType,
            TimeUnit,
        },
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use super::moment::Moments;
use crate::functions::{
    nested::unexpected,
    scalar::{Call, Kind, Spec, bigint, varchar},
    type_name,
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        // Literals with years and months.
        Spec::new(
            "__months",
            &[Kind::Integer],
            |_| Ok(DataType::Interval(IntervalUnit::YearMonth)),
            |call| {
                let months = call.integers(0).iter();
                let months = months.map(|months| months.and_then(|n| i32::try_from(n).ok()));
                Ok(Arc::new(months.collect::<IntervalYearMonthArray>()))
            },
        ),
        Spec::new(
            "to_milliseconds",
            &[Kind::Any],
            to_milliseconds_type,
            |call| {
                let spans = Spans::new(&call.args[0])?;
                call.to_integers(|row| Ok(spans.get(row).map(|span| span.millis)))
            },
        ),
        Spec::new(
            "parse_duration",
            &[Kind::Text],
            |_| Ok(DataType::Interval(IntervalUnit::MonthDayNano)),
            parse_duration,
        ),
        Spec::new("human_readable_seconds", &[Kind::Double], varchar, |call| {
            let seconds = call.doubles(0);
            call.to_texts(|row| {
                let seconds = seconds.value(row);
                if !seconds.is_finite() {
                    return exec_err!("Invalid argument found: {seconds}");
                }
                Ok(Some(in_words((seconds + 0.5).floor().abs() as u64)))
            })
        }),
    ]
    .map(Spec::build)
    .into_iter()
    .chain(operators().map(|(_, spec)| spec.build()))
    .collect()
}

/// The function for an interval times a number, or divided by one, and for the time between two moments.
pub(in crate::functions) fn operator(sign: &str) -> Option<Arc<ScalarUDF>> {
    operators()
        .into_iter()
        .find(|(known, _)| *known == sign)
        .map(|(_, spec)| spec.build())
}

fn operators() -> [(&'static str, Spec); 3] {
    const BOTH: &[Kind] = &[Kind::Any, Kind::Any];
    [
        (
            "*",
            Spec::new("__multiply_interval", BOTH, scaled_type, |call| {
                scaled(call, |value, factor| value * factor)
            }),
        ),
        (
            "/",
            Spec::new("__divide_interval", BOTH, scaled_type, |call| {
                scaled(call, |value, divisor| value / divisor)
            }),
        ),
        (
            "-",
            Spec::new("__difference", BOTH, day_to_second, difference),
        ),
    ]
}

fn day_to_second(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::Interval(IntervalUnit::MonthDayNano))
}

/// An interval of the kind of the one that is scaled.
fn scaled_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [DataType::Interval(IntervalUnit::YearMonth), _]
        | [_, DataType::Interval(IntervalUnit::YearMonth)] => {
            Ok(DataType::Interval(IntervalUnit::YearMonth))
        }
        _ => day_to_second(given),
    }
}

/// Milliseconds as whole days and the rest, so that equal intervals are equal.
pub(in crate::functions) fn of_millis(millis: i64) -> Option<IntervalMonthDayNano> {
    let days = i32::try_from(millis / DAY).ok()?;
    Some(IntervalMonthDayNano::new(0, days, millis % DAY * 1_000_000))
}

/// Picoseconds of a millisecond.
const MILLI: i128 = 1_000_000_000;

/// The time between two dates, timestamps or times of day.
fn difference(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (Moments::new(&call.args[0])?, Moments::new(&call.args[1])?);
    let mut result = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let (Some(left), Some(right)) = (left.picos(row), right.picos(row)) else {
            result.push(None);
            continue;
        };
        // Milliseconds, rounded half up.
        let millis = (left - right + MILLI / 2).div_euclid(MILLI);
        let Some(span) = i64::try_from(millis).ok().and_then(of_millis) else {
            return exec_err!("interval is out of range");
        };
        result.push(Some(span));
    }
    Ok(Arc::new(IntervalMonthDayNanoArray::from(result)))
}

/// An interval changed by a number, on whichever side that stands.
fn scaled(call: &Call, each: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let is_number = |array: &ArrayRef| array.data_type().is_numeric();
    let (spans, numbers) = if is_number(&call.args[0]) {
        (&call.args[1], &call.args[0])
    } else {
        (&call.args[0], &call.args[1])
    };
    let spans = Spans::new(spans)?;
    let numbers = cast(numbers, &DataType::Float64)?;
    let numbers = numbers.as_primitive::<Float64Type>();
    let (mut months, mut others) = (vec![], vec![]);
    for row in 0..call.rows {
        let Some(span) = spans.get(row).filter(|_| numbers.is_valid(row)) else {
            months.push(None);
            others.push(None);
            continue;
        };
        let scale = |value: i64| each(value as f64, numbers.value(row));
        let scaled = (scale(span.months), scale(span.millis));
        if !scaled.0.is_finite() || !scaled.1.is_finite() {
            return exec_err!("Division by zero");
        }
        let (month, other) = (
            i32::try_from(scaled.0 as i64).ok(),
            of_millis(scaled.1 as i64),
        );
        if month.is_none() || other.is_none() {
            return exec_err!("interval is out of range");
        }
        months.push(month);
        others.push(other);
    }
    if call.return_type == DataType::Interval(IntervalUnit::YearMonth) {
        return Ok(Arc::new(IntervalYearMonthArray::from(months)));
    }
    // An interval that DataFusion made may have months beside days.
    let both = months.into_iter().zip(others);
    let both = both.map(|(months, other)| {
        let other = other?;
        Some(IntervalMonthDayNano::new(
            months?,
            other.days,
            other.nanoseconds,
        ))
    });
    Ok(Arc::new(both.collect::<IntervalMonthDayNanoArray>()))
}

const DAY: i64 = 86_400_000;

/// An interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::functions) struct Span {
    /// Months, 12 of them a year.
    pub(in crate::functions) months: i64,
    /// Milliseconds, 24 hours of them a day.
    pub(in crate::functions) millis: i64,
}

impl Span {
    /// As `CAST(… AS varchar)` writes an interval of years and months: `1-2`.
    pub(in crate::functions) fn years_and_months(self) -> String {
        let sign = if self.months < 0 { "-" } else { "" };
        let months = self.months.unsigned_abs();
        format!("{sign}{}-{}", months / 12, months % 12)
    }
}

impl std::fmt::Display for Span {
    /// As `CAST(… AS varchar)` writes it: `2 00:00:00.000`, `1-2`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.months != 0 && self.millis == 0 {
            return f.write_str(&self.years_and_months());
        }
        let sign = if self.millis < 0 { "-" } else { "" };
        let millis = self.millis.unsigned_abs();
        write!(
            f,
            "{sign}{} {:02}:{:02}:{:02}.{:03}",
            millis / 86_400_000,
            millis / 3_600_000 % 24,
            millis / 60_000 % 60,
            millis / 1000 % 60,
            millis % 1000
        )
    }
}

/// A column of intervals.
pub(in crate::functions) struct Spans {
    array: ArrayRef,
}

impl Spans {
    pub(in crate::functions) fn new(array: &ArrayRef) -> Result<Self> {
        let array = match array.data_type() {
            DataType::Interval(_) => Arc::clone(array),
            DataType::Duration(_) => cast(array, &DataType::Duration(TimeUnit::Millisecond))?,
            other => return exec_err!("{} is no interval", type_name(other)),
        };
        Ok(Self { array })
    }

    pub(in crate::functions) fn get(&self, row: usize) -> Option<Span> {
        if self.array.is_null(row) {
            return None;
        }
        let (months, millis) = match self.array.data_type() {
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let span = self
                    .array
                    .as_primitive::<IntervalMonthDayNanoType>()
                    .value(row);
                let days = i64::from(span.days) * 86_400_000;
                (i64::from(span.months), days + span.nanoseconds / 1_000_000)
            }
            DataType::Interval(IntervalUnit::DayTime) => {
                let span = self.array.as_primitive::<IntervalDayTimeType>().value(row);
                (
                    0,
                    i64::from(span.days) * 86_400_000 + i64::from(span.milliseconds),
                )
            }
            DataType::Interval(IntervalUnit::YearMonth) => {
                let months = self
                    .array
                    .as_primitive::<IntervalYearMonthType>()
                    .value(row);
                (i64::from(months), 0)
            }
            _ => (
                0,
                self.array
                    .as_primitive::<DurationMillisecondType>()
                    .value(row),
            ),
        };
        Some(Span { months, millis })
    }
}

fn to_milliseconds_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [DataType::Interval(unit)] if *unit != IntervalUnit::YearMonth => bigint(given),
        [DataType::Duration(_)] => bigint(given),
        _ => unexpected(
            "to_milliseconds",
            given,
            "to_milliseconds(interval day to second)",
        ),
    }
}

/// Units of durations, and their milliseconds.
const DURATIONS: [(&str, f64); 7] = [
    ("ns", 1e-6),
    ("us", 1e-3),
    ("ms", 1.0),
    ("s", 1000.0),
    ("m", 60_000.0),
    ("h", 3_600_000.0),
    ("d", 86_400_000.0),
];

/// Milliseconds of a duration such as `42.8ms` or `3 d`.
fn read_duration(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    let (_, millis) = DURATIONS.iter().find(|(name, _)| *name == unit.trim())?;
    let total = (number.parse::<f64>().ok()? * millis).round();
    (total < 9e18).then_some(total as i64)
}

fn parse_duration(call: &Call) -> Result<ArrayRef> {
    let mut result = Vec::with_capacity(call.rows);
    for text in call.text(0) {
        let Some(text) = text else {
            result.push(None);
            continue;
        };
        let span = read_duration(text).and_then(of_millis);
        if text.is_empty() {
            return exec_err!("duration is empty");
        }
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ' ');
        let has_unit = unit.len() < text.len() && unit.chars().all(|c| c.is_ascii_alphabetic());
        if span.is_none() && has_unit && !DURATIONS.iter().any(|(name, _)| *name == unit) {
            return exec_err!("Unknown time unit: {unit}");
        }
        if span.is_none() {
            return exec_err!("duration is not a valid data duration string: {text}");
        }
        result.push(span);
    }
    Ok(Arc::new(IntervalMonthDayNanoArray::from(result)))
}

/// `1 day, 2 hours, 1 second`.
fn in_words(seconds: u64) -> String {
    const UNITS: [(u64, &str); 5] = [
        (604_800, "week"),
        (86_400, "day"),
        (3600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let mut rest = seconds;
    let mut words = Vec::new();
    for (size, unit) in UNITS {
        let count = rest / size;
        rest %= size;
        match count {
            0 => {}
            1 => words.push(format!("1 {unit}")),
            _ => words.push(format!("{count} {unit}s")),
        }
    }
    if words.is_empty() {
        "0 seconds".into()
    } else {
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        let cases = [
            ("42.8ms", Some("0 00:00:00.043")),
            ("3.81 d", Some("3 19:26:24.000")),
            ("5m", Some("0 00:05:00.000")),
            ("1ns", Some("0 00:00:00.000")),
            ("abc", None),
            ("5", None),
            ("", None),
            ("5x", None),
            ("..s", None),
        ];
        for (text, shown) in cases {
            let span = read_duration(text).map(|millis| Span { months: 0, millis }.to_string());
            assert_eq!(span.as_deref(), shown, "{text}");
        }
        assert_eq!(
            Span {
                months: -14,
                millis: 0
            }
            .to_string(),
            "-1-2"
        );
        assert_eq!(
            in_words(56_363_463),
            "93 weeks, 1 day, 8 hours, 31 minutes, 3 seconds"
        );
        assert_eq!(in_words(0), "0 seconds");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in ".{0,12}") {
            let _ = read_duration(&text);
        }
    }
}
