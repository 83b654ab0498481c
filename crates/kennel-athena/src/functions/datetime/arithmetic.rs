//! `date_add`, `date_diff` and `date_trunc`, by units that are named.

use std::sync::Arc;

use chrono::{Datelike, Months, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Int64Builder},
        datatypes::{DataType, Int64Type},
    },
    common::{ScalarValue, exec_datafusion_err, exec_err, plan_err},
    error::Result,
    logical_expr::{
        ScalarUDF,
        expr::ScalarFunction,
        lit,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
    prelude::Expr,
};

use super::moment::Moments;
use crate::{
    functions::{
        nested::unexpected,
        scalar::{Call, Kind, Spec, bigint},
    },
    types::{fine::Fine, is_utc},
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let third = |given: &[DataType]| match given {
        [_, _, moment] => Ok(moment.clone()),
        _ => plan_err!("date_add takes a unit, a number and a date or timestamp"),
    };
    let second = |given: &[DataType]| match given {
        [_, moment] => Ok(moment.clone()),
        _ => plan_err!("date_trunc takes a unit and a date or timestamp"),
    };
    [
        Spec::new(
            "date_add",
            &[Kind::Text, Kind::Integer, Kind::MomentOrTime],
            third,
            add,
        ),
        Spec::new(
            "date_diff",
            &[Kind::Text, Kind::MomentOrTime, Kind::MomentOrTime],
            diff_type,
            diff,
        ),
        Spec {
            simplify: Some(faster),
            ..Spec::new(
                "date_trunc",
                &[Kind::Text, Kind::MomentOrTime],
                second,
                trunc,
            )
        },
    ]
    .map(Spec::build)
    .into()
}

/// Two times of day have a difference, and two other ones.
fn diff_type(given: &[DataType]) -> Result<DataType> {
    let is_time = |given: &DataType| match given {
        DataType::Time32(_) | DataType::Time64(_) => true,
        given => Fine::of(given).is_some_and(|fine| fine.is_time()),
    };
    match given {
        [_, from, to] if is_time(from) == is_time(to) => bigint(given),
        _ => unexpected(
            "date_diff",
            given,
            "date_diff(varchar, timestamp, timestamp) or date_diff(varchar, time, time)",
        ),
    }
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Millis(i64),
    Months(i64),
}

const DAY: i64 = 86_400_000;

fn unit(name: &str, moments: &Moments) -> Result<Unit> {
    let unit = match name.to_ascii_lowercase().as_str() {
        "millisecond" => Unit::Millis(1),
        "second" => Unit::Millis(1000),
        "minute" => Unit::Millis(60_000),
        "hour" => Unit::Millis(3_600_000),
        "day" => Unit::Millis(DAY),
        "week" => Unit::Millis(7 * DAY),
        "month" => Unit::Months(1),
        "quarter" => Unit::Months(3),
        "year" => Unit::Months(12),
        _ => return exec_err!("'{name}' is not a valid TIMESTAMP field"),
    };
    let is_of_clock = matches!(unit, Unit::Millis(millis) if millis < DAY);
    if moments.is_date() && is_of_clock {
        return exec_err!("'{name}' is not a valid DATE field");
    }
    if moments.is_time() && !is_of_clock {
        return exec_err!("'{name}' is not a valid TIME field");
    }
    Ok(unit)
}

/// A month later is the same day, or the last one of a month that is too short.
pub(super) fn shifted(time: NaiveDateTime, unit: Unit, count: i64) -> Option<NaiveDateTime> {
    match unit {
        Unit::Millis(millis) => {
            time.checked_add_signed(TimeDelta::try_milliseconds(count.checked_mul(millis)?)?)
        }
        Unit::Months(months) => {
            let months = count.checked_mul(months)?;
            let size = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
            if months < 0 {
                time.checked_sub_months(size)
            } else {
                time.checked_add_months(size)
            }
        }
    }
}

fn add(call: &Call) -> Result<ArrayRef> {
    let names = call.text(0);
    let counts = call.args[1].as_primitive::<Int64Type>();
    let moments = Moments::new(&call.args[2])?;
    let mut result = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let (true, true, Some(utc)) = (
            names.is_valid(row),
            counts.is_valid(row),
            moments.instant(row),
        ) else {
            result.push(None);
            continue;
        };
        let unit = unit(names.value(row), &moments)?;
        let count = counts.value(row);
        let zone = moments.zone();
        // Days are those of the clock, hours are hours.
        let shifted = match unit {
            Unit::Millis(millis) if millis < DAY => shifted(utc, unit, count),
            _ => shifted(zone.local(utc), unit, count).map(|local| zone.instant(local)),
        };
        let shifted = shifted.ok_or_else(|| {
            exec_datafusion_err!("{utc} and {count} {}s is out of range", names.value(row))
        })?;
        result.push(Some(shifted));
    }
    moments.moved(result)
}

/// Whole units from `from` to `to`; negative when `to` is earlier.
fn between(from: NaiveDateTime, to: NaiveDateTime, unit: Unit) -> Option<i64> {
    match unit {
        Unit::Millis(millis) => Some((to - from).num_milliseconds() / millis),
        Unit::Months(months) => {
            if to < from {
                return between(to, from, unit).map(|count| -count);
            }
            let month =
                |time: NaiveDateTime| i64::from(time.year()) * 12 + i64::from(time.month0());
            let mut whole = month(to) - month(from);
            if shifted(from, Unit::Months(1), whole)? > to {
                whole -= 1;
            }
            Some(whole / months)
        }
    }
}

fn diff(call: &Call) -> Result<ArrayRef> {
    let names = call.text(0);
    let (from, to) = (Moments::new(&call.args[1])?, Moments::new(&call.args[2])?);
    // One date beside a timestamp is the midnight at its beginning.
    let kind = if from.is_date() { &to } else { &from };
    let zone = from.zone();
    let mut result = Int64Builder::with_capacity(call.rows);
    for row in 0..call.rows {
        let (true, Some(from), Some(to)) =
            (names.is_valid(row), from.instant(row), to.instant(row))
        else {
            result.append_null();
            continue;
        };
        let unit = unit(names.value(row), kind)?;
        result.append_option(match unit {
            Unit::Millis(millis) if millis < DAY => between(from, to, unit),
            _ => between(zone.local(from), zone.local(to), unit),
        });
    }
    Ok(Arc::new(result.finish()))
}

fn truncated(time: NaiveDateTime, name: &str, moments: &Moments) -> Result<Option<NaiveDateTime>> {
    unit(name, moments)?;
    let date = time.date();
    let midnight = date.and_time(NaiveTime::MIN);
    let at = |month: u32| date.with_day(1).and_then(|day| day.with_month(month));
    Ok(match name.to_ascii_lowercase().as_str() {
        "millisecond" => time.with_nanosecond(time.nanosecond() / 1_000_000 * 1_000_000),
        "second" => time.with_nanosecond(0),
        "minute" => date.and_hms_opt(time.hour(), time.minute(), 0),
        "hour" => date.and_hms_opt(time.hour(), 0, 0),
        "day" => Some(midnight),
        "week" => midnight.checked_sub_signed(TimeDelta::days(i64::from(
            date.weekday().num_days_from_monday(),
        ))),
        "month" => at(date.month()).map(|day| day.and_time(NaiveTime::MIN)),
        "quarter" => at(date.month0() / 3 * 3 + 1).map(|day| day.and_time(NaiveTime::MIN)),
        _ => at(1).map(|day| day.and_time(NaiveTime::MIN)),
    })
}

/// Timestamps go to DataFusion's own `date_trunc`: it means the same, and keeps orderings.
fn faster(args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
    let [Expr::Literal(ScalarValue::Utf8(Some(name)), _), moment] = args.as_slice() else {
        return Ok(ExprSimplifyResult::Original(args));
    };
    const UNITS: [&str; 9] = [
        "millisecond",
        "second",
        "minute",
        "hour",
        "day",
        "week",
        "month",
        "quarter",
        "year",
    ];
    let is_plain = match context.get_data_type(moment)? {
        DataType::Timestamp(_, None) => true,
        DataType::Timestamp(_, Some(zone)) => is_utc(&zone),
        _ => false,
    };
    if !is_plain || !UNITS.contains(&name.to_ascii_lowercase().as_str()) {
        return Ok(ExprSimplifyResult::Original(args));
    }
    let args = vec![lit(name.to_ascii_lowercase()), moment.clone()];
    let call = ScalarFunction::new_udf(datafusion::functions::datetime::date_trunc(), args);
    Ok(ExprSimplifyResult::Simplified(Expr::ScalarFunction(call)))
}

fn trunc(call: &Call) -> Result<ArrayRef> {
    let names = call.text(0);
    let moments = Moments::new(&call.args[1])?;
    let mut result = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        result.push(match moments.get(row).filter(|_| names.is_valid(row)) {
            Some(time) => truncated(time, names.value(row), &moments)?,
            None => None,
        });
    }
    moments.of_same_type(result)
}
