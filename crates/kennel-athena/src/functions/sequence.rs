//! `sequence(start, stop[, step])` of integers, dates and timestamps.
//!
//! Source: Trino manual, "Array functions and operators".

use std::sync::Arc;

use chrono::{Months, NaiveDate, TimeDelta};
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
    datetime::fine,
    nested::{Nested, Typed, list},
    scalar::Call,
    unify::{list_of, unify},
};
use crate::types::fine::{Fine, Kind};

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
    let Some(both) = unify(start, stop).filter(is_date_or_timestamp) else {
        return Ok(None);
    };
    match step {
        [] if both == DataType::Date32 => Typed::new([both.clone(), both.clone()], list_of(both)),
        [step] if is_interval(step) && !matches!(both, DataType::Timestamp(_, Some(_))) => {
            Typed::new([both.clone(), both.clone(), STEP], list_of(both))
        }
        _ => Ok(None),
    }
}

fn is_date_or_timestamp(data_type: &DataType) -> bool {
    match Fine::of(data_type) {
        Some(fine) => matches!(fine.kind, Kind::Timestamp(_)),
        None => matches!(data_type, DataType::Date32 | DataType::Timestamp(..)),
    }
}

/// Longest sequence, as in Trino.
const LONGEST: i128 = 10_000;

fn too_long<T>() -> Result<T> {
    exec_err!("result of sequence function must not have more than {LONGEST} entries")
}

fn run(call: &Call) -> Result<ArrayRef> {
    let element = call.args[0].data_type().clone();
    let (starts, stops) = (numbers(&call.args[0])?, numbers(&call.args[1])?);
    let steps = match call.args.get(2) {
        Some(steps) if element == DataType::Int64 => Some(numbers(steps)?),
        _ => None,
    };
    let mut values = Vec::new();
    let (mut sizes, mut valid) = (Vec::with_capacity(call.rows), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let is_there = (0..call.args.len()).all(|index| call.is_valid(index, row));
        valid.push(is_there);
        let before = values.len();
        if is_there {
            let (start, stop) = (starts[row], stops[row]);
            match call.args.get(2) {
                Some(intervals) if steps.is_none() => {
                    let step = intervals
                        .as_primitive::<IntervalMonthDayNanoType>()
                        .value(row);
                    let step = (step.months, step.days, step.nanoseconds);
                    by_interval(&element, start, stop, step, &mut values)?;
                }
                _ => {
                    let step = steps.as_ref().map(|steps| steps[row]);
                    let step = step.unwrap_or(if stop >= start { 1 } else { -1 });
                    by_number(start, stop, step, &mut values)?;
                }
            }
        }
        sizes.push(values.len() - before);
    }
    list(array(values, &element)?, sizes, Some(valid))
}

/// The values as numbers: days, or as many of their units as they lie after the epoch.
fn numbers(array: &ArrayRef) -> Result<Vec<i128>> {
    if let Some(fine) = fine::Column::new(array) {
        return Ok(fine.order().values().to_vec());
    }
    let array = match array.data_type() {
        // Arrow casts dates to numbers of their own width only.
        DataType::Date32 => cast(array, &DataType::Int32)?,
        _ => Arc::clone(array),
    };
    let array = cast(&array, &DataType::Int64)?;
    let numbers = array.as_primitive::<Int64Type>().values();
    Ok(numbers.iter().map(|number| i128::from(*number)).collect())
}

/// [`numbers`] as values again.
fn array(numbers: Vec<i128>, element: &DataType) -> Result<ArrayRef> {
    if let Some(fine) = Fine::of(element) {
        let values = numbers.into_iter().map(|picos| Some((picos, 0)));
        return fine::column(values.collect(), &fine);
    }
    let number = |number| {
        i64::try_from(number).map_err(|_| exec_datafusion_err!("sequence step is out of range"))
    };
    let numbers: Vec<i64> = numbers.into_iter().map(number).collect::<Result<_>>()?;
    let values: ArrayRef = Arc::new(Int64Array::from(numbers));
    match element {
        DataType::Date32 => Ok(cast(&cast(&values, &DataType::Int32)?, element)?),
        element => Ok(cast(&values, element)?),
    }
}

/// Does a step of this sign lead from start to stop?
fn check(start: i128, stop: i128, is_up: bool) -> Result<()> {
    if start != stop && is_up != (stop > start) {
        return exec_err!(
            "sequence stop value should be greater than or equal to start value if step is greater than zero otherwise stop should be less than or equal to start"
        );
    }
    Ok(())
}

fn by_number(start: i128, stop: i128, step: i128, values: &mut Vec<i128>) -> Result<()> {
    if step == 0 {
        return exec_err!("step must not be zero");
    }
    check(start, stop, step > 0)?;
    let count = (stop - start) / step + 1;
    if count > LONGEST {
        return too_long();
    }
    values.extend((0..count).map(|n| start + n * step));
    Ok(())
}

fn by_interval(
    element: &DataType,
    start: i128,
    stop: i128,
    (months, days, nanos): (i32, i32, i64),
    values: &mut Vec<i128>,
) -> Result<()> {
    if months == 0 {
        let nanos = i128::from(days) * 86_400_000_000_000 + i128::from(nanos);
        let picos = nanos * 1_000;
        let unit = fine::DAY / per_day(element);
        if picos % unit != 0 {
            return match element {
                DataType::Date32 => exec_err!(
                    "sequence step must be a day interval if start and end values are dates"
                ),
                _ => exec_err!("sequence step is finer than the timestamps"),
            };
        }
        return by_number(start, stop, picos / unit, values);
    }
    check(start, stop, months > 0)?;
    for n in 0_i64.. {
        let moved = i64::from(months)
            .checked_mul(n)
            .and_then(|months| add_months(start, per_day(element), months))
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

/// The units of a type in a day.
fn per_day(element: &DataType) -> i128 {
    let per_second = match element {
        DataType::Date32 => return 1,
        DataType::Timestamp(TimeUnit::Second, _) => 1,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1_000_000_000,
        _ => return fine::DAY,
    };
    86_400 * per_second
}

/// A date or timestamp in units of which a day has so many, some months later; a day that the month lacks
/// becomes its last one.
fn add_months(value: i128, per_day: i128, months: i64) -> Option<i128> {
    let day = TimeDelta::try_days(value.div_euclid(per_day).try_into().ok()?)?;
    let date = NaiveDate::default().checked_add_signed(day)?;
    let by = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    let moved = match months < 0 {
        true => date.checked_sub_months(by)?,
        false => date.checked_add_months(by)?,
    };
    let days = i128::from((moved - NaiveDate::default()).num_days());
    Some(days * per_day + value.rem_euclid(per_day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_keep_the_day_where_the_month_has_it() {
        // 2026-01-31 is day 20484.
        assert_eq!(add_months(20_484, 1, 1), Some(20_512));
        assert_eq!(add_months(20_484, 1, 2), Some(20_543));
        assert_eq!(add_months(-1, 86_400_000, -1), Some(-2_678_400_001));
    }

    #[test]
    fn the_ends_of_the_numbers_are_no_danger() {
        let mut values = Vec::new();
        let (least, greatest) = (i128::from(i64::MIN), i128::from(i64::MAX));
        by_number(greatest - 1, greatest, 1, &mut values).unwrap();
        assert_eq!(values, [greatest - 1, greatest]);
        assert!(by_number(least, greatest, 1, &mut values).is_err());
        assert!(by_number(1, 5, 0, &mut values).is_err());
        assert!(by_number(1, 5, -1, &mut values).is_err());
    }
}
