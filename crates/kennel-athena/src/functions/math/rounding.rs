//! `abs`, `sign`, `ceil`, `floor`, `truncate`, `round` and `mod`: of integers, decimals and doubles.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array},
        compute::{CastOptions, cast, cast_with_options},
        datatypes::{DataType, Decimal128Type, Float32Type, Float64Type, Int64Type},
        util::display::FormatOptions,
    },
    common::{exec_datafusion_err, exec_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use crate::functions::{
    arithmetic,
    scalar::{Call, Kind, Spec, same},
    type_name,
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const NUMBER: &[Kind] = &[Kind::Number];
    [
        Spec::new("abs", NUMBER, same, |call| {
            let whole = |n: i128| n.checked_abs();
            by_type(call, whole, f64::abs)
        }),
        Spec::new("sign", NUMBER, sign_type, sign),
        Spec::new("ceil", NUMBER, whole_type, |call| {
            to_whole(
                call,
                |n, unit| n.div_euclid(unit) + i128::from(n.rem_euclid(unit) > 0),
                f64::ceil,
            )
        })
        .also(&["ceiling"]),
        Spec::new("floor", NUMBER, whole_type, |call| {
            to_whole(call, |n, unit| n.div_euclid(unit), f64::floor)
        }),
        Spec::new(
            "truncate",
            &[Kind::Number, Kind::Integer],
            truncate_type,
            truncate,
        )
        .at_least(1),
        Spec::new("round", &[Kind::Number, Kind::Integer], round_type, round).at_least(1),
        Spec::new(
            "mod",
            &[Kind::Number, Kind::Number],
            |given| match given {
                [left, right] => arithmetic::result_type("%", left, right),
                _ => plan_err!("mod takes two numbers"),
            },
            |call| arithmetic::calculate("%", &call.args[0], &call.args[1], &call.return_type),
        ),
    ]
    .map(Spec::build)
    .into()
}

/// Integers as an array of another integer type; one that does not fit is an error.
fn narrow(values: Vec<Option<i64>>, to: &DataType) -> Result<ArrayRef> {
    let options = CastOptions {
        safe: false,
        format_options: FormatOptions::default(),
    };
    let values: ArrayRef = Arc::new(Int64Array::from(values));
    cast_with_options(&values, to, &options)
        .map_err(|_| exec_datafusion_err!("Value out of range for {}", type_name(to)))
}

fn decimals(values: Vec<Option<i128>>, to: &DataType) -> Result<ArrayRef> {
    let DataType::Decimal128(precision, scale) = to else {
        return exec_err!("{} is no decimal", type_name(to));
    };
    let array = Decimal128Array::from(values).with_precision_and_scale(*precision, *scale)?;
    array.validate_decimal_precision(*precision)?;
    Ok(Arc::new(array))
}

/// The same type; integers and decimals by their digits, the rest as doubles.
fn by_type(
    call: &Call,
    whole: fn(i128) -> Option<i128>,
    fraction: fn(f64) -> f64,
) -> Result<ArrayRef> {
    let array = &call.args[0];
    let out_of_range = |n: i128| exec_datafusion_err!("Value {n} is out of range");
    match array.data_type() {
        given if given.is_integer() => {
            let values = cast(array, &DataType::Int64)?;
            let mut result = Vec::with_capacity(call.rows);
            for value in values.as_primitive::<Int64Type>() {
                let changed = value.map(|value| {
                    whole(i128::from(value))
                        .and_then(|n| i64::try_from(n).ok())
                        .ok_or_else(|| out_of_range(i128::from(value)))
                });
                result.push(changed.transpose()?);
            }
            narrow(result, given)
        }
        given @ DataType::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>().iter();
            let changed = values.map(|value| {
                value
                    .map(|value| whole(value).ok_or_else(|| out_of_range(value)))
                    .transpose()
            });
            decimals(changed.collect::<Result<_>>()?, given)
        }
        given => {
            let values = cast(array, &DataType::Float64)?;
            let values = values.as_primitive::<Float64Type>();
            let result: ArrayRef = Arc::new(values.unary::<_, Float64Type>(fraction));
            Ok(cast(&result, given)?)
        }
    }
}

fn sign_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [DataType::Decimal128(..)] => Ok(DataType::Decimal128(1, 0)),
        _ => same(given),
    }
}

fn sign(call: &Call) -> Result<ArrayRef> {
    if let DataType::Decimal128(..) = call.args[0].data_type() {
        let values = call.args[0].as_primitive::<Decimal128Type>().iter();
        let signs = values.map(|value| value.map(i128::signum)).collect();
        return decimals(signs, &call.return_type);
    }
    by_type(
        call,
        |n| Some(n.signum()),
        |x| {
            if x == 0.0 || x.is_nan() {
                x
            } else {
                x.signum()
            }
        },
    )
}

/// A decimal without fraction has one digit more where it may be carried.
fn whole_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [DataType::Decimal128(precision, scale), ..] => {
            let digits = i16::from(*precision) - i16::from(*scale) + i16::from((*scale).min(1));
            Ok(DataType::Decimal128(digits.clamp(1, 38) as u8, 0))
        }
        _ => same(given),
    }
}

fn power_of_ten(exponent: i64) -> Option<i128> {
    u32::try_from(exponent)
        .ok()
        .and_then(|exponent| 10_i128.checked_pow(exponent))
}

fn to_whole(
    call: &Call,
    decimal: fn(i128, i128) -> i128,
    fraction: fn(f64) -> f64,
) -> Result<ArrayRef> {
    if let DataType::Decimal128(_, scale) = call.args[0].data_type() {
        let unit = power_of_ten(i64::from(*scale)).unwrap_or(1);
        let values = call.args[0].as_primitive::<Decimal128Type>().iter();
        let whole = values.map(|value| value.map(|value| decimal(value, unit)));
        return decimals(whole.collect(), &call.return_type);
    }
    by_type(call, Some, fraction)
}

fn truncate_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [DataType::Decimal128(precision, scale)] => {
            let digits = i16::from(*precision) - i16::from(*scale);
            Ok(DataType::Decimal128(digits.clamp(1, 38) as u8, 0))
        }
        _ => same(given),
    }
}

fn truncate(call: &Call) -> Result<ArrayRef> {
    if call.args.len() == 1 {
        return to_whole(call, |n, unit| n / unit, f64::trunc);
    }
    scaled(
        call,
        |n, unit| n / unit * unit,
        |x, factor, up| {
            if up {
                (x * factor).trunc() / factor
            } else {
                (x / factor).trunc() * factor
            }
        },
    )
}

fn round_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [DataType::Decimal128(..)] => whole_type(given),
        [DataType::Decimal128(precision, scale), _] => {
            Ok(DataType::Decimal128((*precision + 1).min(38), *scale))
        }
        _ => same(given),
    }
}

/// Half away from zero.
fn half_up(value: i128, unit: i128) -> i128 {
    let half = unit / 2;
    let value = if value < 0 {
        value.saturating_sub(half)
    } else {
        value.saturating_add(half)
    };
    value / unit
}

/// `round(x[, digits])`; digits may be negative.
fn round(call: &Call) -> Result<ArrayRef> {
    if call.args.len() == 1 {
        return to_whole(call, half_up, f64::round);
    }
    scaled(
        call,
        |n, unit| half_up(n, unit).saturating_mul(unit),
        |x, factor, up| {
            if up {
                (x * factor).round() / factor
            } else {
                (x / factor).round() * factor
            }
        },
    )
}

/// Changes numbers at the digit that argument 1 names.
fn scaled(
    call: &Call,
    whole: fn(i128, i128) -> i128,
    fraction: fn(f64, f64, bool) -> f64,
) -> Result<ArrayRef> {
    let array = &call.args[0];
    let digits = call.integers(1);
    // The unit of the last digit that stays; beyond 38 digits nothing stays.
    let at = |value: i128, scale: i64, row: usize| {
        let dropped = scale.saturating_sub(digits.value(row));
        match dropped {
            ..=0 => value,
            dropped => power_of_ten(dropped).map_or(0, |unit| whole(value, unit)),
        }
    };
    let given = array.data_type();
    if given.is_integer() {
        let values = cast(array, &DataType::Int64)?;
        let values = values.as_primitive::<Int64Type>();
        let changed = (0..call.rows).map(|row| {
            if !call.all_valid(row) {
                return Ok(None);
            }
            let value = values.value(row);
            // Trino computes the unit as a bigint, whatever the type is.
            if digits.value(row) < -18 {
                return exec_err!("numerical overflow: {value}");
            }
            match i64::try_from(at(i128::from(value), 0, row)) {
                Ok(changed) => Ok(Some(changed)),
                Err(_) => exec_err!("Value {value} is out of range"),
            }
        });
        return narrow(changed.collect::<Result<_>>()?, given);
    }
    if let DataType::Decimal128(_, scale) = given {
        let values = array.as_primitive::<Decimal128Type>();
        let changed = (0..call.rows).map(|row| {
            call.all_valid(row)
                .then(|| at(values.value(row), i64::from(*scale), row))
        });
        return decimals(changed.collect(), &call.return_type);
    }
    let exact = |value: f64, row: usize| {
        let digits = i32::try_from(digits.value(row).clamp(-400, 400)).unwrap_or(0);
        let factor = 10_f64.powi(digits.abs());
        let changed = fraction(value, factor, digits >= 0);
        // Beyond what a double can scale there is nothing to change.
        if changed.is_finite() { changed } else { value }
    };
    if *given == DataType::Float32 {
        // By its shortest digits: 5.35 as a double would be 5.349999904632568.
        let values = array.as_primitive::<Float32Type>();
        let changed = (0..call.rows).map(|row| {
            call.all_valid(row).then(|| {
                let value = values.value(row);
                let shortest: f64 = value.to_string().parse().unwrap_or(f64::from(value));
                exact(shortest, row)
            })
        });
        let changed: ArrayRef = Arc::new(changed.collect::<Float64Array>());
        return Ok(cast(&changed, given)?);
    }
    let values = cast(array, &DataType::Float64)?;
    let values = values.as_primitive::<Float64Type>();
    call.to_doubles(|row| Ok(Some(exact(values.value(row), row))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_away_from_zero() {
        let cases = [
            (15, 10, 2),
            (14, 10, 1),
            (-15, 10, -2),
            (-14, 10, -1),
            (0, 10, 0),
        ];
        for (value, unit, expected) in cases {
            assert_eq!(half_up(value, unit), expected);
        }
    }
}
