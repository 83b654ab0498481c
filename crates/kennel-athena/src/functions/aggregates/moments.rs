//! `kurtosis`, `skewness`, `geometric_mean`, `entropy`, and `avg` of decimals: sums that are kept.
//!
//! Source: Trino manual, "Statistical aggregate functions".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, new_null_array,
        },
        datatypes::{DataType, Decimal128Type, Float64Type, Int64Type},
    },
    common::{exec_datafusion_err, exec_err, plan_err},
    error::Result,
};

use super::gathered::{Gathered, Types, heavy, where_valid};

const fn of_doubles(
    name: &'static str,
    usage: &'static str,
    types: fn(&[DataType]) -> Result<Option<Types>>,
    take_in: fn(&[ArrayRef]) -> Result<Vec<ArrayRef>>,
    compact: fn(&[ArrayRef]) -> Result<Vec<ArrayRef>>,
    finish: fn(&[ArrayRef], &DataType) -> Result<ArrayRef>,
) -> Gathered {
    Gathered {
        name,
        usage,
        types,
        take_in,
        compact,
        finish,
        limit: 1,
        light: heavy,
    }
}

pub(super) const ALL: [Gathered; 4] = [
    of_doubles(
        "kurtosis",
        "kurtosis(double)",
        |given| types(given, 5),
        moments,
        merged_moments,
        |columns, _| number(columns, kurtosis),
    ),
    of_doubles(
        "skewness",
        "skewness(double)",
        |given| types(given, 5),
        moments,
        merged_moments,
        |columns, _| number(columns, skewness),
    ),
    of_doubles(
        "geometric_mean",
        "geometric_mean(double)",
        |given| types(given, 2),
        |args| sums(args, |x| Ok([1.0, x.ln()])),
        added,
        |columns, _| {
            number(columns, |sums| {
                (sums[0] > 0.0).then(|| (sums[1] / sums[0]).exp())
            })
        },
    ),
    of_doubles(
        "entropy",
        "entropy(double)",
        |given| types(given, 2),
        |args| {
            sums(args, |count| match count {
                count if count < 0.0 => exec_err!("Entropy count argument must be non-negative"),
                0.0 => Ok([0.0, 0.0]),
                count => Ok([count, count * count.ln()]),
            })
        },
        added,
        |columns, _| {
            number(columns, |sums| {
                let entropy = (sums[0].ln() - sums[1] / sums[0]) / std::f64::consts::LN_2;
                Some(if sums[0] > 0.0 { entropy.max(0.0) } else { 0.0 })
            })
        },
    ),
];

/// `sum` and `avg` of single-precision numbers, which are such numbers again.
pub(super) const REAL_SUM: Gathered = of_doubles(
    "__sum_real",
    "sum(real)",
    real_types,
    |args| sums(args, |x| Ok([1.0, x])),
    added,
    |columns, _| number(columns, |sums| (sums[0] > 0.0).then_some(sums[1])),
);

/// See [`REAL_SUM`].
pub(super) const REAL_AVERAGE: Gathered = of_doubles(
    "__avg_real",
    "avg(real)",
    real_types,
    |args| sums(args, |x| Ok([1.0, x])),
    added,
    |columns, _| number(columns, |sums| (sums[0] > 0.0).then(|| sums[1] / sums[0])),
);

fn real_types(given: &[DataType]) -> Result<Option<Types>> {
    match given {
        [DataType::Float32] => Types::new(
            [DataType::Float64],
            vec![DataType::Float64; 2],
            DataType::Float32,
        ),
        _ => plan_err!("sum and avg take a number"),
    }
}

/// `avg` of decimals: its scale is that of the values.
pub(super) const DECIMAL_AVERAGE: Gathered = of_doubles(
    "__avg_decimal",
    "avg(decimal)",
    |given| match given {
        [DataType::Decimal128(precision, scale)] => {
            let sum = DataType::Decimal128(38, *scale);
            let returns = DataType::Decimal128(*precision, *scale);
            Types::new([sum.clone()], [sum, DataType::Int64], returns)
        }
        _ => plan_err!("avg takes a number"),
    },
    decimal_sum,
    decimal_sum,
    decimal_average,
);

fn types(given: &[DataType], kept: usize) -> Result<Option<Types>> {
    match given {
        [given] if given.is_numeric() || *given == DataType::Null => Types::new(
            [DataType::Float64],
            vec![DataType::Float64; kept],
            DataType::Float64,
        ),
        _ => Ok(None),
    }
}

/// One row of numbers.
fn row(numbers: &[f64]) -> Vec<ArrayRef> {
    let column = |number: &f64| Arc::new(Float64Array::from(vec![*number])) as ArrayRef;
    numbers.iter().map(column).collect()
}

/// No row of so many numbers.
fn nothing(width: usize) -> Vec<ArrayRef> {
    let none: ArrayRef = Arc::new(Float64Array::from(Vec::<f64>::new()));
    std::iter::repeat_n(none, width).collect()
}

/// The sums of what `each` makes of the values.
fn sums(args: &[ArrayRef], each: fn(f64) -> Result<[f64; 2]>) -> Result<Vec<ArrayRef>> {
    let mut sums = [0.0; 2];
    let values = args[0].as_primitive::<Float64Type>();
    if values.null_count() == values.len() {
        return Ok(nothing(2));
    }
    for value in values.iter().flatten() {
        let [a, b] = each(value)?;
        sums = [sums[0] + a, sums[1] + b];
    }
    Ok(row(&sums))
}

/// Each column added up.
fn added(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let sum = |column: &ArrayRef| column.as_primitive::<Float64Type>().iter().flatten().sum();
    Ok(row(&columns.iter().map(sum).collect::<Vec<f64>>()))
}

/// The result from the only row.
fn number(columns: &[ArrayRef], of: fn(&[f64]) -> Option<f64>) -> Result<ArrayRef> {
    let numbers: Option<Vec<f64>> = columns
        .iter()
        .map(|column| (!column.is_empty()).then(|| column.as_primitive::<Float64Type>().value(0)))
        .collect();
    // Where there was no value, `of` decides by a count of 0.
    let numbers = numbers.unwrap_or_else(|| vec![0.0; columns.len()]);
    Ok(Arc::new(Float64Array::from(vec![of(&numbers)])))
}

/// Count, mean, and the sums of the second to fourth powers of the distance from the mean.
type Moments = [f64; 5];

fn moments(args: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let values = args[0].as_primitive::<Float64Type>();
    let mut all = [0.0; 5];
    for value in values.iter().flatten() {
        all = merge(all, [1.0, value, 0.0, 0.0, 0.0]);
    }
    if all[0] == 0.0 {
        return Ok(nothing(5));
    }
    Ok(row(&all))
}

fn merged_moments(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let columns: Vec<_> = columns
        .iter()
        .map(|column| column.as_primitive::<Float64Type>())
        .collect();
    let mut all = [0.0; 5];
    for row in 0..columns[0].len() {
        all = merge(all, std::array::from_fn(|index| columns[index].value(row)));
    }
    Ok(row(&all))
}

/// The moments of two sets together.
///
/// Source: Pébay, "Formulas for Robust, One-Pass Parallel Computation of Covariances and
/// Arbitrary-Order Statistical Moments".
fn merge([n, mean, m2, m3, m4]: Moments, [k, other, o2, o3, o4]: Moments) -> Moments {
    if n == 0.0 {
        return [k, other, o2, o3, o4];
    }
    if k == 0.0 {
        return [n, mean, m2, m3, m4];
    }
    let count = n + k;
    let delta = other - mean;
    let (d2, d3) = (delta * delta, delta * delta * delta);
    let second = m2 + o2 + d2 * n * k / count;
    let third =
        m3 + o3 + d3 * n * k * (n - k) / (count * count) + 3.0 * delta * (n * o2 - k * m2) / count;
    let fourth = m4
        + o4
        + d2 * d2 * n * k * (n * n - n * k + k * k) / (count * count * count)
        + 6.0 * d2 * (n * n * o2 + k * k * m2) / (count * count)
        + 4.0 * delta * (n * o3 - k * m3) / count;
    [count, mean + delta * k / count, second, third, fourth]
}

fn kurtosis(moments: &[f64]) -> Option<f64> {
    let (n, m2, m4) = (moments[0], moments[2], moments[4]);
    (n >= 4.0).then(|| {
        let variance = m2 / (n - 1.0);
        n * (n + 1.0) / ((n - 1.0) * (n - 2.0) * (n - 3.0)) * m4 / (variance * variance)
            - 3.0 * (n - 1.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0))
    })
}

fn skewness(moments: &[f64]) -> Option<f64> {
    let (n, m2, m3) = (moments[0], moments[2], moments[3]);
    (n >= 3.0).then(|| n.sqrt() * m3 / m2.powf(1.5))
}

/// Sum and count: of arguments (one column), or of such rows (two).
fn decimal_sum(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let valid = where_valid(columns, 0)?;
    let values = valid[0].as_primitive::<Decimal128Type>();
    let mut sum = 0_i128;
    for value in values.values() {
        sum = sum
            .checked_add(*value)
            .ok_or_else(|| exec_datafusion_err!("Decimal overflow"))?;
    }
    let count = match valid.get(1) {
        Some(counts) => counts.as_primitive::<Int64Type>().iter().flatten().sum(),
        None => values.len() as i64,
    };
    let sums = if count == 0 { vec![] } else { vec![sum] };
    let counts = if count == 0 { vec![] } else { vec![count] };
    let sums = Decimal128Array::from(sums).with_data_type(columns[0].data_type().clone());
    Ok(vec![Arc::new(sums), Arc::new(Int64Array::from(counts))])
}

/// Rounded half away from zero, in the scale of the values.
fn decimal_average(columns: &[ArrayRef], returns: &DataType) -> Result<ArrayRef> {
    if columns[0].is_empty() {
        return Ok(new_null_array(returns, 1));
    }
    let merged = decimal_sum(columns)?;
    let sum = merged[0].as_primitive::<Decimal128Type>().value(0);
    let count = i128::from(merged[1].as_primitive::<Int64Type>().value(0));
    let half = if sum < 0 { -(count / 2) } else { count / 2 };
    let average = sum.saturating_add(half) / count;
    let average = Decimal128Array::from(vec![average]).with_data_type(returns.clone());
    Ok(Arc::new(average))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Moments {
        values.iter().fold([0.0; 5], |all, &value| {
            merge(all, [1.0, value, 0.0, 0.0, 0.0])
        })
    }

    proptest! {
        #[test]
        fn moments_of_parts_are_those_of_the_whole(
            values in prop::collection::vec(-100.0..100.0_f64, 1..40), cut in 0_usize..40,
        ) {
            let cut = cut.min(values.len());
            let merged = merge(of(&values[..cut]), of(&values[cut..]));
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            for (power, found) in [(2, merged[2]), (3, merged[3]), (4, merged[4])] {
                let expected: f64 = values.iter().map(|x| (x - mean).powi(power)).sum();
                prop_assert!((found - expected).abs() <= 1e-6 * (1.0 + 100_f64.powi(power)));
            }
        }
    }
}
