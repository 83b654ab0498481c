//! Fields of dates and timestamps: functions by their names, and `EXTRACT`.

use std::sync::Arc;

use chrono::{Datelike, NaiveDateTime, Timelike};
use datafusion::{
    arrow::array::{ArrayRef, Int64Array},
    error::Result,
    logical_expr::ScalarUDF,
};

use super::moment::Moments;
use crate::functions::scalar::{Call, Kind, Spec, bigint};

const MOMENT: &[Kind] = &[Kind::Moment];

fn specs() -> [Spec; 13] {
    [
        Spec::new("year", MOMENT, bigint, |c| each(c, |t| i64::from(t.year()))),
        Spec::new("quarter", MOMENT, bigint, |c| {
            each(c, |t| i64::from(t.month0() / 3 + 1))
        }),
        Spec::new("month", MOMENT, bigint, |c| {
            each(c, |t| i64::from(t.month()))
        }),
        Spec::new("week", MOMENT, bigint, |c| {
            each(c, |t| i64::from(t.iso_week().week()))
        })
        .also(&["week_of_year"]),
        Spec::new("day", MOMENT, bigint, |c| each(c, |t| i64::from(t.day())))
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
        Spec::new("hour", MOMENT, bigint, |c| each(c, |t| i64::from(t.hour()))),
        Spec::new("minute", MOMENT, bigint, |c| {
            each(c, |t| i64::from(t.minute()))
        }),
        Spec::new("second", MOMENT, bigint, |c| {
            each(c, |t| i64::from(t.second()))
        }),
        Spec::new("millisecond", MOMENT, bigint, |c| {
            each(c, |t| i64::from(t.nanosecond() / 1_000_000))
        }),
        // Timestamps with time zone are in UTC.
        Spec::new("timezone_hour", MOMENT, bigint, |c| each(c, |_| 0)).also(&["timezone_minute"]),
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
