//! `approx_percentile`: exact up to some thousands of values, an estimate beyond.
//!
//! Between values, it is interpolated as Trino's T-digests do. The values are kept with weights. When there are too many, neighbours in sorted order are merged in
//! pairs: one of the two stays, with the weight of both. So the rank of a value is off by no more than
//! the weight of one pair per merge.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, Float64Array, UInt64Array, make_comparator, new_null_array,
        },
        compute::{SortOptions, cast, take},
        datatypes::{DataType, Float64Type},
    },
    common::exec_err,
    error::Result,
};

use super::gathered::{Gathered, Types, heavy, rows, where_valid};
use crate::functions::{
    nested::{list, places},
    sketches::tdigest::interpolated,
    unify::{element_of, list_of, normal},
};

pub(super) const PERCENTILE: Gathered = Gathered {
    name: "approx_percentile",
    usage: "approx_percentile(x, double), approx_percentile(x, array(double)), approx_percentile(x, w, double), approx_percentile(x, w, array(double))",
    types,
    take_in,
    compact: |columns| thin_out(columns, MOST_KEPT),
    finish,
    limit: 4_096,
    light: heavy,
};

/// Number of values from which neighbours are merged.
const MOST_KEPT: usize = 65_536;

fn is_number(given: &DataType) -> bool {
    given.is_numeric() || *given == DataType::Null
}

fn types(given: &[DataType]) -> Result<Option<Types>> {
    let (value, percentage) = match given {
        [value, percentage] => (value, percentage),
        [value, weight, percentage] if is_number(weight) => (value, percentage),
        // An accuracy, which older queries give, is met anyway.
        [value, weight, percentage, accuracy] if is_number(weight) && is_number(accuracy) => {
            (value, percentage)
        }
        _ => return Ok(None),
    };
    if !is_number(value) {
        return Ok(None);
    }
    let value = match normal(value) {
        decimal if decimal.is_decimal() => DataType::Float64,
        value => value,
    };
    let many = element_of(percentage).is_some();
    if !many && !is_number(percentage) {
        return Ok(None);
    }
    let percentages = if many {
        list_of(DataType::Float64)
    } else {
        DataType::Float64
    };
    let mut args = vec![value.clone()];
    args.resize(given.len().min(3) - 1, DataType::Float64);
    args.push(percentages.clone());
    args.resize(given.len(), DataType::Float64);
    let returns = if many {
        list_of(value.clone())
    } else {
        value.clone()
    };
    Types::new(args, [value, DataType::Float64, percentages], returns)
}

/// Values, weights, and the percentages in the first row only.
fn take_in(args: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let mut kept = where_valid(&args[..args.len().min(3)], 0)?;
    if kept.len() > 2 {
        kept = where_valid(&kept, 1)?;
    }
    let count = kept[0].len();
    let weights: ArrayRef = if kept.len() > 2 {
        let weights = kept[1].as_primitive::<Float64Type>();
        if weights
            .iter()
            .flatten()
            .any(|weight| weight.is_nan() || weight <= 0.0)
        {
            return exec_err!("percentile weight must be > 0");
        }
        Arc::clone(&kept[1])
    } else {
        Arc::new(Float64Array::from(vec![1.0; count]))
    };
    let first = (0..count).map(|row| (row == 0).then_some(0));
    let percentages = take(&kept[kept.len() - 1], &UInt64Array::from_iter(first), None)?;
    Ok(vec![Arc::clone(&kept[0]), weights, percentages])
}

/// The rows in the order of their values.
fn sorted(values: &ArrayRef) -> Result<Vec<usize>> {
    let compare = make_comparator(values.as_ref(), values.as_ref(), SortOptions::default())?;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| compare(a, b));
    Ok(order)
}

/// The percentages that were asked for, in a row of the kept column.
fn asked(percentages: &ArrayRef) -> Option<usize> {
    (0..percentages.len()).find(|&row| percentages.is_valid(row))
}

fn thin_out(columns: &[ArrayRef], most: usize) -> Result<Vec<ArrayRef>> {
    if columns[0].len() <= most {
        return Ok(columns.to_vec());
    }
    let order = sorted(&columns[0])?;
    let weights = columns[1].as_primitive::<Float64Type>();
    // The extremes stay what they are.
    let last = order.len() - 1;
    let (mut kept, mut sums) = (vec![order[0]], vec![weights.value(order[0])]);
    for (index, pair) in order[1..last].chunks(2).enumerate() {
        kept.push(pair[(index % 2).min(pair.len() - 1)]);
        sums.push(pair.iter().map(|&row| weights.value(row)).sum());
    }
    kept.push(order[last]);
    sums.push(weights.value(order[last]));
    let values = rows(&columns[..1], kept)?;
    let place = asked(&columns[2]);
    let asked = (0..sums.len()).map(|row| place.filter(|_| row == 0).map(|place| place as u64));
    let percentages = take(&columns[2], &UInt64Array::from_iter(asked), None)?;
    Ok(vec![
        Arc::clone(&values[0]),
        Arc::new(Float64Array::from(sums)),
        percentages,
    ])
}

fn finish(columns: &[ArrayRef], returns: &DataType) -> Result<ArrayRef> {
    if columns[0].is_empty() {
        return Ok(new_null_array(returns, 1));
    }
    let many = matches!(columns[2].data_type(), DataType::List(_));
    let Some(place) = asked(&columns[2]) else {
        return exec_err!("Percentile cannot be null");
    };
    let wanted: Vec<Option<f64>> = if many {
        let lists = columns[2].as_list::<i32>();
        let all = lists.values().as_primitive::<Float64Type>();
        places(lists, place)
            .map(|at| all.is_valid(at).then(|| all.value(at)))
            .collect()
    } else {
        vec![Some(columns[2].as_primitive::<Float64Type>().value(place))]
    };
    let mut quantiles = Vec::with_capacity(wanted.len());
    for quantile in wanted {
        match quantile {
            Some(quantile) if (0.0..=1.0).contains(&quantile) => quantiles.push(quantile),
            _ => return exec_err!("Percentile must be between 0 and 1"),
        }
    }
    let values = at_quantiles(columns, &quantiles)?;
    if many {
        let count = values.len();
        return list(values, vec![count], None);
    }
    Ok(values)
}

/// The values at quantiles in any order, interpolated where a T-digest does.
fn at_quantiles(columns: &[ArrayRef], quantiles: &[f64]) -> Result<ArrayRef> {
    let values = rows(&columns[..2], sorted(&columns[0])?)?;
    let doubles = cast(&values[0], &DataType::Float64)?;
    let means = doubles.as_primitive::<Float64Type>().values();
    let weights = values[1].as_primitive::<Float64Type>().values();
    let ends = [means[0], means[means.len() - 1]];
    let mut order: Vec<usize> = (0..quantiles.len()).collect();
    order.sort_by(|&a, &b| quantiles[a].total_cmp(&quantiles[b]));
    let ascending: Vec<f64> = order.iter().map(|&index| quantiles[index]).collect();
    let found = interpolated(means, weights, ends, &ascending);
    let mut numbers = vec![0.0; quantiles.len()];
    for (index, number) in order.into_iter().zip(found) {
        numbers[index] = number;
    }
    // A number that is one of the values is that value, whatever digits a double loses of it.
    let place = |number: f64| means.binary_search_by(|mean| mean.total_cmp(&number)).ok();
    let exact: Option<Vec<usize>> = numbers.iter().map(|number| place(*number)).collect();
    if let Some(places) = exact {
        return Ok(Arc::clone(&rows(&values[..1], places)?[0]));
    }
    if values[0].data_type().is_integer() {
        // Halves go up, as Java rounds them.
        numbers
            .iter_mut()
            .for_each(|number| *number = (*number + 0.5).floor());
    }
    let numbers: ArrayRef = Arc::new(Float64Array::from(numbers));
    Ok(cast(&numbers, values[0].data_type())?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{array::Int64Array, datatypes::Int64Type};

    use super::*;

    fn columns(count: i64, percentage: f64) -> Vec<ArrayRef> {
        let args: [ArrayRef; 2] = [
            Arc::new(Int64Array::from_iter_values(
                (0..count).map(|n| n * 7_919 % count),
            )),
            Arc::new(Float64Array::from(vec![percentage; count as usize])),
        ];
        take_in(&args).unwrap()
    }

    fn percentile(columns: &[ArrayRef]) -> i64 {
        let result = finish(columns, &DataType::Int64).unwrap();
        result.as_primitive::<Int64Type>().value(0)
    }

    #[test]
    fn few_values_are_ranked_exactly() {
        for (percentage, expected) in [(0.0, 0), (0.5, 50), (0.99, 99), (1.0, 99)] {
            assert_eq!(percentile(&columns(100, percentage)), expected);
        }
    }

    #[test]
    fn thinned_values_keep_their_ranks_nearly() {
        for percentage in [0.0, 0.01, 0.5, 0.9, 1.0] {
            let mut kept = columns(10_007, percentage);
            for _ in 0..4 {
                kept = thin_out(&kept, 10).unwrap();
            }
            assert!(kept[0].len() < 700);
            let found = percentile(&kept) as f64 / 10_007.0;
            assert!((found - percentage).abs() < 0.005, "{percentage}: {found}");
        }
    }
}
