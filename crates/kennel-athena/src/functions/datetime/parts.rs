//! Fields of dates, timestamps, times of day and intervals: functions by their names, and `EXTRACT`.

use std::sync::Arc;

use chrono::{Datelike, NaiveDateTime, Timelike};
use datafusion::{
    arrow::{
        array::{ArrayRef, Int64Array},
        datatypes::{DataType, IntervalUnit},
    },
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    interval::{Span, Spans},
    moment::Moments,
};
use crate::{
    functions::{
        nested::unexpected,
        scalar::{Call, Kind, Spec, bigint},
    },
    types::fine::Fine,
};

const MOMENT: &[Kind] = &[Kind::Moment];
const MOMENT_OR_TIME: &[Kind] = &[Kind::MomentOrTime];
const ANY: &[Kind] = &[Kind::Any];

const DAYS: &str = "date, timestamp or interval day to second";
const MONTHS: &str = "date, timestamp or interval year to month";
const CLOCK: &str = "timestamp, time or interval day to second";

/// Is this a span of time that has a field in which months count, or one in which they do not?
fn is_span(given: &DataType, of_months: bool) -> bool {
    match given {
        DataType::Interval(unit) => (*unit == IntervalUnit::YearMonth) == of_months,
        DataType::Duration(_) => !of_months,
        _ => false,
    }
}

/// The type of a field of the calendar, which intervals have, too, and times of day have not.
fn of_calendar(name: &str, given: &[DataType], spans: &str) -> Result<DataType> {
    let is_taken = |given: &DataType| match given {
        DataType::Date32 | DataType::Timestamp(..) | DataType::Null => true,
        fine if Fine::of(fine).is_some_and(|fine| !fine.is_time()) => true,
        span => is_span(span, spans == MONTHS),
    };
    match given {
        [one] if is_taken(one) => bigint(given),
        _ => unexpected(name, given, &format!("{name}({spans})")),
    }
}

/// The type of a field of the clock, which intervals have, too, and dates have not.
fn of_clock(name: &str, given: &[DataType]) -> Result<DataType> {
    let is_taken = |given: &DataType| match given {
        DataType::Time32(_) | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Null => {
            true
        }
        fine if Fine::of(fine).is_some() => true,
        span => is_span(span, false),
    };
    match given {
        [one] if is_taken(one) => bigint(given),
        _ => unexpected(name, given, &format!("{name}({CLOCK})")),
    }
}

fn specs() -> [Spec; 14] {
    [
        Spec::new(
            "year",
            ANY,
            |given| of_calendar("year", given, MONTHS),
            |c| any(c, |t| i64::from(t.year()), |s| s.months / 12),
        ),
        Spec::new("quarter", MOMENT, bigint, |c| {
            each(c, |t| i64::from(t.month0() / 3 + 1))
        }),
        Spec::new(
            "month",
            ANY,
            |given| of_calendar("month", given, MONTHS),
            |c| any(c, |t| i64::from(t.month()), |s| s.months % 12),
        ),
        Spec::new("week", MOMENT, bigint, |c| {
            each(c, |t| i64::from(t.iso_week().week()))
        })
        .also(&["week_of_year"]),
        Spec::new(
            "day",
            ANY,
            |given| of_calendar("day", given, DAYS),
            |c| any(c, |t| i64::from(t.day()), |s| s.millis / 86_400_000),
        )
        .also(&["day_of_month"]),
        // Monday is 1.
        Spec::new("day_of_week", MOMENT, bigint, |c| {
            each(c, |t| i64::from(t.weekday().number_from_monday()))
        })
        .also(&["dow"]),
        Spec::new("day_of_year", MOMENT, bigint, |c| {
            each(c, |t| i64::from(t.ordinal()))
        })
        .also(&["doy"]),
        Spec::new("year_of_week", MOMENT, bigint, |c| {
            each(c, |t| i64::from(t.iso_week().year()))
        })
        .also(&["yow"]),
        Spec::new(
            "hour",
            ANY,
            |given| of_clock("hour", given),
            |c| any(c, |t| i64::from(t.hour()), |s| s.millis / 3_600_000 % 24),
        ),
        Spec::new(
            "minute",
            ANY,
            |given| of_clock("minute", given),
            |c| any(c, |t| i64::from(t.minute()), |s| s.millis / 60_000 % 60),
        ),
        Spec::new(
            "second",
            ANY,
            |given| of_clock("second", given),
            |c| any(c, |t| i64::from(t.second()), |s| s.millis / 1000 % 60),
        ),
        Spec::new(
            "millisecond",
            ANY,
            |given| of_clock("millisecond", given),
            |c| {
                let millis = |t: NaiveDateTime| i64::from(t.nanosecond() / 1_000_000);
                any(c, millis, |s| s.millis % 1000)
            },
        ),
        Spec::new("timezone_hour", MOMENT_OR_TIME, bigint, |c| {
            offset(c, |s| s / 3600)
        }),
        Spec::new("timezone_minute", MOMENT_OR_TIME, bigint, |c| {
            offset(c, |s| s / 60 % 60)
        }),
    ]
}

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    specs().map(Spec::build).into()
}

/// The function for a field of `EXTRACT`.
pub(in crate::functions) fn part(name: &str) -> Option<Arc<ScalarUDF>> {
    specs()
        .into_iter()
        .find(|spec| spec.name == name || spec.aliases.contains(&name))
        .map(Spec::build)
}

fn each(call: &Call, field: fn(NaiveDateTime) -> i64) -> Result<ArrayRef> {
    let moments = Moments::new(&call.args[0])?;
    let fields: Int64Array = (0..call.rows)
        .map(|row| moments.get(row).map(field))
        .collect();
    Ok(Arc::new(fields))
}

fn any(call: &Call, field: fn(NaiveDateTime) -> i64, of_span: fn(Span) -> i64) -> Result<ArrayRef> {
    match call.args[0].data_type() {
        DataType::Interval(_) | DataType::Duration(_) => {
            let spans = Spans::new(&call.args[0])?;
            let fields: Int64Array = (0..call.rows)
                .map(|row| spans.get(row).map(of_span))
                .collect();
            Ok(Arc::new(fields))
        }
        DataType::Null => Ok(Arc::new(Int64Array::new_null(call.rows))),
        _ => each(call, field),
    }
}

fn offset(call: &Call, part: fn(i32) -> i32) -> Result<ArrayRef> {
    let moments = Moments::new(&call.args[0])?;
    let fields: Int64Array = (0..call.rows)
        .map(|row| Some(i64::from(part(moments.offset(row)?))))
        .collect();
    Ok(Arc::new(fields))
}
