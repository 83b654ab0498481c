//! Trino's functions of numbers.
//!
//! DataFusion's own are behind a feature that this build does without; these few are what queries over
//! reports and logs use. Integers stay integers, rounding is half away from zero.
//!
//! Source: Trino manual, "Mathematical functions and operators".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Float64Array, Int64Array},
        compute::cast,
        datatypes::{DataType, Float64Type, Int64Type},
    },
    common::{exec_datafusion_err, exec_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use super::scalar::{Call, Kind, Spec, double, same};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const NUMBER: &[Kind] = &[Kind::Number];
    const DOUBLE: &[Kind] = &[Kind::Double];
    const DOUBLES: &[Kind] = &[Kind::Double, Kind::Double];
    [
        Spec::new("abs", NUMBER, same, |call| {
            by_type(call, |n| n.checked_abs(), |x| Some(x.abs()))
        }),
        Spec::new("sign", NUMBER, same, |call| {
            by_type(
                call,
                |n| Some(n.signum()),
                |x| Some(if x == 0.0 { x } else { x.signum() }),
            )
        }),
        Spec::new("ceil", NUMBER, same, |call| {
            by_type(call, Some, |x| Some(x.ceil()))
        })
        .also(&["ceiling"]),
        Spec::new("floor", NUMBER, same, |call| {
            by_type(call, Some, |x| Some(x.floor()))
        }),
        Spec::new("truncate", NUMBER, same, |call| {
            by_type(call, Some, |x| Some(x.trunc()))
        }),
        Spec::new("round", &[Kind::Number, Kind::Integer], same, round).at_least(1),
        Spec::new("mod", &[Kind::Number, Kind::Number], modulo_type, modulo),
        Spec::new("sqrt", DOUBLE, double, |call| of_double(call, f64::sqrt)),
        Spec::new("cbrt", DOUBLE, double, |call| of_double(call, f64::cbrt)),
        Spec::new("exp", DOUBLE, double, |call| of_double(call, f64::exp)),
        Spec::new("ln", DOUBLE, double, |call| of_double(call, f64::ln)),
        Spec::new("log2", DOUBLE, double, |call| of_double(call, f64::log2)),
        Spec::new("log10", DOUBLE, double, |call| of_double(call, f64::log10)),
        Spec::new("power", DOUBLES, double, |call| of_doubles(call, f64::powf)).also(&["pow"]),
        // The base comes first.
        Spec::new("log", DOUBLES, double, |call| {
            of_doubles(call, |base, x| x.ln() / base.ln())
        }),
    ]
    .map(Spec::build)
    .into()
}

fn of_double(call: &Call, each: fn(f64) -> f64) -> Result<ArrayRef> {
    let values = call.args[0].as_primitive::<Float64Type>();
    Ok(Arc::new(values.unary::<_, Float64Type>(each)))
}

fn of_doubles(call: &Call, each: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let values = call.args[0].as_primitive::<Float64Type>().iter();
    let others = call.args[1].as_primitive::<Float64Type>();
    let result: Float64Array = values
        .zip(others)
        .map(|(a, b)| Some(each(a?, b?)))
        .collect();
    Ok(Arc::new(result))
}

/// Works on integers as integers, on anything else as doubles, and returns the type of the argument.
fn by_type(
    call: &Call,
    integer: fn(i64) -> Option<i64>,
    fraction: fn(f64) -> Option<f64>,
) -> Result<ArrayRef> {
    let array = &call.args[0];
    if array.data_type().is_integer() {
        let values = cast(array, &DataType::Int64)?;
        let mut result = Vec::with_capacity(call.rows);
        for value in values.as_primitive::<Int64Type>() {
            let of = |n| integer(n).ok_or_else(|| exec_datafusion_err!("Value out of range: {n}"));
            result.push(value.map(of).transpose()?);
        }
        return Ok(cast(&Int64Array::from(result), array.data_type())?);
    }
    let values = cast(array, &DataType::Float64)?;
    let values = values.as_primitive::<Float64Type>();
    let result: Float64Array = values.iter().map(|x| x.and_then(fraction)).collect();
    Ok(cast(&result, array.data_type())?)
}

/// `round(x[, digits])`; digits may be negative.
fn round(call: &Call) -> Result<ArrayRef> {
    let array = &call.args[0];
    let digits = |row: usize| match call.args.get(1) {
        None => Some(0),
        Some(digits) => digits
            .is_valid(row)
            .then(|| digits.as_primitive::<Int64Type>().value(row)),
    };
    if array.data_type().is_integer() {
        let values = cast(array, &DataType::Int64)?;
        let values = values.as_primitive::<Int64Type>();
        let rounded: Int64Array = (0..call.rows)
            .map(|row| {
                Some((
                    values.is_valid(row).then(|| values.value(row))?,
                    digits(row)?,
                ))
            })
            .map(|given| given.map(|(value, digits)| rounded_integer(value, digits)))
            .collect();
        return Ok(cast(&rounded, array.data_type())?);
    }
    let values = cast(array, &DataType::Float64)?;
    let values = values.as_primitive::<Float64Type>();
    let rounded: Float64Array = (0..call.rows)
        .map(|row| {
            Some((
                values.is_valid(row).then(|| values.value(row))?,
                digits(row)?,
            ))
        })
        .map(|given| given.map(|(value, digits)| rounded_double(value, digits)))
        .collect();
    Ok(cast(&rounded, array.data_type())?)
}

fn rounded_integer(value: i64, digits: i64) -> i64 {
    if digits >= 0 {
        return value;
    }
    let Some(unit) = u32::try_from(-digits)
        .ok()
        .and_then(|n| 10_i128.checked_pow(n))
    else {
        return 0;
    };
    let value = i128::from(value);
    let half = if value < 0 { -unit / 2 } else { unit / 2 };
    i64::try_from((value + half) / unit * unit).unwrap_or(if value < 0 {
        i64::MIN
    } else {
        i64::MAX
    })
}

fn rounded_double(value: f64, digits: i64) -> f64 {
    let digits = i32::try_from(digits.clamp(-400, 400)).unwrap_or(0);
    let factor = 10_f64.powi(digits.abs());
    let rounded = if digits < 0 {
        (value / factor).round() * factor
    } else {
        (value * factor).round() / factor
    };
    // Beyond what a double can scale there is nothing to round.
    if rounded.is_finite() { rounded } else { value }
}

fn modulo_type(given: &[DataType]) -> Result<DataType> {
    Ok(if given.iter().all(DataType::is_integer) {
        DataType::Int64
    } else {
        DataType::Float64
    })
}

fn modulo(call: &Call) -> Result<ArrayRef> {
    if call.return_type == DataType::Int64 {
        let columns = [
            cast(&call.args[0], &DataType::Int64)?,
            cast(&call.args[1], &DataType::Int64)?,
        ];
        let [values, divisors] = columns
            .each_ref()
            .map(|column| column.as_primitive::<Int64Type>());
        let mut result = Vec::with_capacity(call.rows);
        for pair in values.iter().zip(divisors) {
            result.push(match pair {
                (Some(_), Some(0)) => return exec_err!("Division by zero"),
                (Some(value), Some(divisor)) => Some(value.wrapping_rem(divisor)),
                _ => None,
            });
        }
        return Ok(Arc::new(Int64Array::from(result)));
    }
    let columns = [
        cast(&call.args[0], &DataType::Float64)?,
        cast(&call.args[1], &DataType::Float64)?,
    ];
    let [values, divisors] = columns
        .each_ref()
        .map(|column| column.as_primitive::<Float64Type>());
    let result: Float64Array = values
        .iter()
        .zip(divisors)
        .map(|(a, b)| Some(a? % b?))
        .collect();
    Ok(Arc::new(result))
}
