//! `sum` and `avg` of intervals, which are such intervals again.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, Int64Array, IntervalMonthDayNanoArray,
            IntervalYearMonthArray, new_null_array,
        },
        datatypes::{DataType, Int64Type, IntervalUnit},
    },
    common::exec_datafusion_err,
    error::Result,
};

use super::gathered::{Gathered, Types, heavy};
use crate::functions::datetime::interval::{Spans, of_millis};

pub(super) const SUM: Gathered = of("__sum_interval", "sum(interval)", |columns, returns| {
    finish(columns, returns, |sum, _| sum)
});

pub(super) const AVERAGE: Gathered = of("__avg_interval", "avg(interval)", |columns, returns| {
    // The double is that of Trino, which rounds.
    finish(columns, returns, |sum, count| {
        (sum as f64 / count as f64).round() as i64
    })
});

const fn of(
    name: &'static str,
    usage: &'static str,
    finish: fn(&[ArrayRef], &DataType) -> Result<ArrayRef>,
) -> Gathered {
    Gathered {
        name,
        usage,
        types,
        take_in,
        compact: added,
        finish,
        limit: 1,
        light: heavy,
    }
}

/// Months stay months; anything else is days to seconds.
fn types(given: &[DataType]) -> Result<Option<Types>> {
    let returns = match given {
        [months @ DataType::Interval(IntervalUnit::YearMonth)] => months.clone(),
        [DataType::Interval(_) | DataType::Duration(_)] => {
            DataType::Interval(IntervalUnit::MonthDayNano)
        }
        _ => return Ok(None),
    };
    Types::new(given, [DataType::Int64, DataType::Int64], returns)
}

/// A sum of months or milliseconds, and a count.
fn take_in(args: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let spans = Spans::new(&args[0])?;
    let has_months = matches!(
        args[0].data_type(),
        DataType::Interval(IntervalUnit::YearMonth)
    );
    let spans = (0..args[0].len()).filter_map(|row| spans.get(row));
    let spans = spans.map(|span| if has_months { span.months } else { span.millis });
    let (sums, counts): (Vec<_>, Vec<_>) = spans.map(|span| (span, 1_i64)).unzip();
    if sums.is_empty() {
        return Ok(pair(vec![], vec![]));
    }
    added(&pair(sums, counts))
}

fn pair(sums: Vec<i64>, counts: Vec<i64>) -> Vec<ArrayRef> {
    [sums, counts]
        .map(|column| Arc::new(Int64Array::from(column)) as ArrayRef)
        .into()
}

fn added(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let sum = |column: &ArrayRef| {
        let mut values = column.as_primitive::<Int64Type>().iter().flatten();
        values
            .try_fold(0_i64, i64::checked_add)
            .ok_or_else(|| exec_datafusion_err!("interval addition overflow"))
    };
    Ok(pair(vec![sum(&columns[0])?], vec![sum(&columns[1])?]))
}

fn finish(columns: &[ArrayRef], returns: &DataType, of: fn(i64, i64) -> i64) -> Result<ArrayRef> {
    if columns[0].is_empty() {
        return Ok(new_null_array(returns, 1));
    }
    let [sum, count] = [0, 1].map(|index| columns[index].as_primitive::<Int64Type>().value(0));
    let value = of(sum, count);
    let overflow = || exec_datafusion_err!("interval addition overflow");
    Ok(match returns {
        DataType::Interval(IntervalUnit::YearMonth) => {
            let months = i32::try_from(value).map_err(|_| overflow())?;
            Arc::new(IntervalYearMonthArray::from(vec![months]))
        }
        _ => {
            let span = of_millis(value).ok_or_else(overflow)?;
            Arc::new(IntervalMonthDayNanoArray::from(vec![span]))
        }
    })
}
