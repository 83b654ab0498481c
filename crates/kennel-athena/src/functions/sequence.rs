//! `sequence(start, stop[, step])` of integers, dates and timestamps.
//!
//! Source: Trino manual, "Array functions and operators".

use std::sync::Arc;

use chrono::{DateTime, Months, NaiveDate, NaiveDateTime, TimeDelta};
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Int64Array},
        compute::cast,
        datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit},
    },
    common::{exec_datafusion_err, exec_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    nested::{Nested, Typed, list},
    scalar::Call,
    unify::{list_of, unify},
};

pub(super) fn function() -> Arc<ScalarUDF> {
    Nested::new(
        "sequence",
        "sequence(bigint, bigint[, bigint]), sequence(date, date[, interval]), sequence(timestamp, timestamp, interval)",
        types,
        run,
    )
    .build()
}

/// The type in which steps of time are met.
const STEP: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

fn types(given: &[DataType]) -> Result<Option<Typed>> {
    let [start, stop, step @ ..] = given else {
        return Ok(None);
    };
    let is_whole = |given: &DataType| given.is_integer() || *given == DataType::Null;
    let is_interval =
        |given: &DataType| matches!(given, DataType::Interval(_) | DataType::Duration(_));
    if is_whole(start) && is_whole(stop) && step.iter().all(is_whole) && step.len() < 2 {
        return Typed::new(vec![DataType::Int64; given.len()], list_of(DataType::Int64));
    }
    let Some(both @ (DataType::Date32 | DataType::Timestamp(..))) = unify(start, stop) else {
        return Ok(None);
    };
    match step {
        [] if both == DataType::Date32 => Typed::new([both.clone(), both.clone()], list_of(both)),
        [step] if is_interval(step) => {
            Typed::new([both.clone(), both.clone(), STEP], list_of(both))
        }
        _ => Ok(None),
    }
}

/// Longest sequence, as in Trino.
const LONGEST: i128 = 10_000;

fn too_long<T>() -> Result<T> {
    exec_err!("result of sequence function must not have more than {LONGEST} entries")
}

fn run(call: &Call) -> Result<ArrayRef> {
    let element = call.args[0].data_type().clone();
    let column = |index: usize| -> Result<Int64Array> {
        let array = &call.args[index];
        let array = match array.data_type() {
            // Arrow casts dates to numbers of their own width only.
            DataType::Date32 => cast(array, &DataType::Int32)?,
            _ => Arc::clone(array),
        };
        Ok(cast(&array, &DataType::Int64)?
            .as_primitive::<Int64Type>()
            .clone())
    };
    let (starts, stops) = (column(0)?, column(1)?);
    let steps = match call.args.get(2) {
        Some(steps) if element == DataType::Int64 => {
            Some(steps.as_primitive::<Int64Type>().clone())
        }
        _ => None,
    };
    let mut values = Vec::new();
    let (mut sizes, mut valid) = (Vec::with_capacity(call.rows), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let is_there = (0..call.args.len()).all(|index| call.is_valid(index, row));
        valid.push(is_there);
        let before = values.len();
        if is_there {
            let (start, stop) = (starts.value(row), stops.value(row));
            match call.args.get(2) {
                Some(intervals) if steps.is_none() => {
                    let step = intervals
                        .as_primitive::<IntervalMonthDayNanoType>()
                        .value(row);
                    let step = (step.months, step.days, step.nanoseconds);
                    by_interval(&element, start, stop, step, &mut values)?;
                }
                _ => {
                    let step = steps.as_ref().map(|steps| steps.value(row));
                    let step = step.unwrap_or(if stop >= start { 1 } else { -1 });
                    by_number(start, stop, step, &mut values)?;
                }
            }
        }
        sizes.push(values.len() - before);
    }
    let values: ArrayRef = Arc::new(Int64Array::from(values));
    let values = match element {
        DataType::Date32 => cast(&cast(&values, &DataType::Int32)?, &element)?,
        element => cast(&values, &element)?,
    };
    list(values, sizes, Some(valid))
}

/// Does a step of this sign lead from start to stop?
fn check(start: i64, stop: i64, is_up: bool) -> Result<()> {
    if start != stop && is_up != (stop > start) {
        return exec_err!(
            "sequence stop value should be greater than or equal to start value if step is greater than zero otherwise stop should be less than or equal to start"
        );
    }
    Ok(())
}

fn by_number(start: i64, stop: i64, step: i64, values: &mut Vec<i64>) -> Result<()> {
    if step == 0 {
        return exec_err!("step must not be zero");
    }
    check(start, stop, step > 0)?;
    let count = (i128::from(stop) - i128::from(start)) / i128::from(step) + 1;
    if count > LONGEST {
        return too_long();
    }
    values.extend(
        (0..count).filter_map(|n| i64::try_from(i128::from(start) + n * i128::from(step)).ok()),
    );
    Ok(())
}

fn by_interval(
    element: &DataType,
    start: i64,
    stop: i64,
    (months, days, nanos): (i32, i32, i64),
    values: &mut Vec<i64>,
) -> Result<()> {
    const DAY: i128 = 86_400_000_000_000;
    let nanos = i128::from(days) * DAY + i128::from(nanos);
    if months == 0 {
        let unit = match element {
            DataType::Timestamp(unit, _) => 1_000_000_000 / i128::from(per_second(*unit)),
            _ => DAY,
        };
        if nanos % unit != 0 {
            return match element {
                DataType::Date32 => exec_err!(
                    "sequence step must be a day interval if start and end values are dates"
                ),
                _ => exec_err!("sequence step is finer than the timestamps"),
            };
        }
        let Ok(step) = i64::try_from(nanos / unit) else {
            return exec_err!("sequence step is out of range");
        };
        return by_number(start, stop, step, values);
    }
    check(start, stop, months > 0)?;
    for n in 0_i64.. {
        let moved = i64::from(months)
            .checked_mul(n)
            .and_then(|months| add_months(element, start, months))
            .ok_or_else(|| exec_datafusion_err!("sequence step is out of range"))?;
        if (months > 0 && moved > stop) || (months < 0 && moved < stop) {
            return Ok(());
        }
        if i128::from(n) >= LONGEST {
            return too_long();
        }
        values.push(moved);
    }
    Ok(())
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// A date in days or a timestamp in its unit, some months later; a day that the month lacks becomes
/// its last one.
fn add_months(element: &DataType, value: i64, months: i64) -> Option<i64> {
    let shift = |moment: NaiveDateTime| {
        let by = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
        if months < 0 {
            moment.checked_sub_months(by)
        } else {
            moment.checked_add_months(by)
        }
    };
    let epoch = NaiveDate::default().and_time(chrono::NaiveTime::MIN);
    match element {
        DataType::Timestamp(unit, _) => {
            let per_second = per_second(*unit);
            let fraction = value.rem_euclid(per_second);
            let moment = DateTime::from_timestamp(value.div_euclid(per_second), 0)?.naive_utc();
            let seconds = shift(moment)?.and_utc().timestamp();
            seconds.checked_mul(per_second)?.checked_add(fraction)
        }
        _ => {
            let moment = epoch.checked_add_signed(TimeDelta::try_days(value)?)?;
            Some((shift(moment)? - epoch).num_days())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_keep_the_day_where_the_month_has_it() {
        // 2026-01-31 is day 20484.
        assert_eq!(add_months(&DataType::Date32, 20_484, 1), Some(20_512));
        assert_eq!(add_months(&DataType::Date32, 20_484, 2), Some(20_543));
        let timestamp = DataType::Timestamp(TimeUnit::Millisecond, None);
        assert_eq!(add_months(&timestamp, -1, -1), Some(-2_678_400_001));
    }

    #[test]
    fn the_ends_of_the_numbers_are_no_danger() {
        let mut values = Vec::new();
        by_number(i64::MAX - 1, i64::MAX, 1, &mut values).unwrap();
        assert_eq!(values, [i64::MAX - 1, i64::MAX]);
        assert!(by_number(i64::MIN, i64::MAX, 1, &mut values).is_err());
        assert!(by_number(1, 5, 0, &mut values).is_err());
        assert!(by_number(1, 5, -1, &mut values).is_err());
    }
}
