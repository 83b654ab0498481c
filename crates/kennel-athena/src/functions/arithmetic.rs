//! `+ - * / %` on integers and decimals: checked, with Trino's types.
//!
//! The planner puts these calls in the place of DataFusion's operators, which wrap around on overflow
//! and add digits to quotients of decimals. Doubles are left to DataFusion.
//!
//! Source: Trino manual, "Mathematical functions and operators" and "Decimal functions and operators".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Decimal128Array},
        compute::{cast, kernels::numeric},
        datatypes::{DataType, Decimal128Type, i256},
        error::ArrowError,
    },
    common::{exec_datafusion_err, exec_err, plan_datafusion_err, plan_err},
    error::{DataFusionError, Result},
    logical_expr::ScalarUDF,
};

use super::{
    scalar::{Call, Kind, Spec},
    type_name,
};

/// The function for an operator.
pub(super) fn function(operator: &str) -> Option<Arc<ScalarUDF>> {
    specs()
        .into_iter()
        .find(|(known, _)| *known == operator)
        .map(|(_, spec)| spec.build())
}

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    specs().map(|(_, spec)| spec.build()).into()
}

fn specs() -> [(&'static str, Spec); 5] {
    const NUMBERS: &[Kind] = &[Kind::Number, Kind::Number];
    /// An operator, its function's name.
    macro_rules! operator {
        ($operator:literal, $name:literal) => {
            (
                $operator,
                Spec::new(
                    $name,
                    NUMBERS,
                    |given| match given {
                        [left, right] => result_type($operator, left, right),
                        _ => plan_err!("an operator has two sides"),
                    },
                    |call: &Call| {
                        calculate($operator, &call.args[0], &call.args[1], &call.return_type)
                    },
                ),
            )
        };
    }
    [
        operator!("+", "__add"),
        operator!("-", "__subtract"),
        operator!("*", "__multiply"),
        operator!("/", "__divide"),
        operator!("%", "__modulus"),
    ]
}

/// Precision and scale of a decimal, or of an integer that stands beside one.
fn digits(data_type: &DataType) -> Option<(u8, i8)> {
    Some(match data_type {
        DataType::Decimal128(precision, scale)
        | DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal256(precision, scale) => (*precision, *scale),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 => (10, 0),
        DataType::Int64 | DataType::UInt32 => (19, 0),
        DataType::UInt64 => (20, 0),
        DataType::Null => (1, 0),
        _ => return None,
    })
}

/// The signed type of an integer; what has no sign counts as `bigint`.
fn signed(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 => data_type.clone(),
        _ => DataType::Int64,
    }
}

/// The type of `left operator right`.
///
/// # Errors
/// A planning error where no such decimal exists.
pub(super) fn result_type(operator: &str, left: &DataType, right: &DataType) -> Result<DataType> {
    let (left, right) = match (left, right) {
        (DataType::Null, other) => (other, other),
        (other, DataType::Null) => (other, other),
        both => both,
    };
    if left.is_integer() && right.is_integer() {
        let (left, right) = (signed(left), signed(right));
        let is_wider = left.primitive_width() >= right.primitive_width();
        return Ok(if is_wider { left } else { right });
    }
    if left.is_floating() || right.is_floating() {
        let is_single = |data_type: &DataType| {
            !matches!(data_type, DataType::Float64) && data_type.is_numeric()
        };
        return Ok(if is_single(left) && is_single(right) {
            DataType::Float32
        } else {
            DataType::Float64
        });
    }
    let (Some((p1, s1)), Some((p2, s2))) = (digits(left), digits(right)) else {
        return plan_err!(
            "Cannot apply operator: {} {operator} {}",
            type_name(left),
            type_name(right)
        );
    };
    let [p1, s1, p2, s2] = [i16::from(p1), i16::from(s1), i16::from(p2), i16::from(s2)];
    let (precision, scale) = match operator {
        "+" | "-" => ((p1 - s1).max(p2 - s2) + s1.max(s2) + 1, s1.max(s2)),
        "*" => (p1 + p2, s1 + s2),
        "/" => (p1 + s2 + (s2 - s1).max(0), s1.max(s2)),
        _ => ((p1 - s1).min(p2 - s2) + s1.max(s2), s1.max(s2)),
    };
    if scale > 38 {
        return plan_err!("DECIMAL scale must be in range [0, precision (38)]: {scale}");
    }
    let precision = precision.clamp(scale.max(1), 38);
    Ok(DataType::Decimal128(precision as u8, scale as i8))
}

fn word(operator: &str) -> &'static str {
    match operator {
        "+" => "addition",
        "-" => "subtraction",
        "*" => "multiplication",
        _ => "division",
    }
}

/// Calculates; both sides have the same length, and `to` is their [`result_type`].
///
/// # Errors
/// An execution error for what does not fit and for a division by zero.
pub(super) fn calculate(
    operator: &str,
    left: &ArrayRef,
    right: &ArrayRef,
    to: &DataType,
) -> Result<ArrayRef> {
    if let DataType::Decimal128(..) = to {
        return decimal(operator, left, right, to);
    }
    let (left, right) = (cast(left, to)?, cast(right, to)?);
    let result = match operator {
        "+" => numeric::add(&left, &right),
        "-" => numeric::sub(&left, &right),
        "*" => numeric::mul(&left, &right),
        "/" => numeric::div(&left, &right),
        _ => return remainder(&left, &right),
    };
    result.map_err(|error| failed(operator, to, error))
}

fn failed(operator: &str, to: &DataType, error: ArrowError) -> DataFusionError {
    match error {
        ArrowError::DivideByZero => exec_datafusion_err!("Division by zero"),
        ArrowError::ArithmeticOverflow(what) => {
            let what = what.trim_start_matches("Overflow happened on: ");
            exec_datafusion_err!("{} {} overflow: {what}", type_name(to), word(operator))
        }
        other => other.into(),
    }
}

/// The smallest integer has the remainder 0 by -1, which Arrow takes for an overflow.
fn remainder(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    use datafusion::arrow::{array::Int64Array, datatypes::Int64Type};
    let to = left.data_type();
    if !to.is_integer() {
        return numeric::rem(left, right).map_err(|error| failed("%", to, error));
    }
    let (left, right) = (
        cast(left, &DataType::Int64)?,
        cast(right, &DataType::Int64)?,
    );
    let pairs = left
        .as_primitive::<Int64Type>()
        .iter()
        .zip(right.as_primitive::<Int64Type>());
    let values = pairs.map(|pair| match pair {
        (Some(_), Some(0)) => exec_err!("Division by zero"),
        (Some(left), Some(right)) => Ok(Some(left.wrapping_rem(right))),
        _ => Ok(None),
    });
    let values: ArrayRef = Arc::new(values.collect::<Result<Int64Array>>()?);
    Ok(cast(&values, to)?)
}

fn decimal(operator: &str, left: &ArrayRef, right: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let side = |array: &ArrayRef| -> Result<(ArrayRef, u32)> {
        let (precision, scale) = digits(array.data_type()).ok_or_else(|| {
            plan_datafusion_err!("{} is no decimal", type_name(array.data_type()))
        })?;
        let array = cast(array, &DataType::Decimal128(precision, scale))?;
        Ok((array, u32::try_from(scale).unwrap_or(0)))
    };
    let DataType::Decimal128(precision, scale) = to else {
        return plan_err!("{} is no decimal", type_name(to));
    };
    let wanted = u32::try_from(*scale).unwrap_or(0);
    let ((left, s1), (right, s2)) = (side(left)?, side(right)?);
    let pairs = left
        .as_primitive::<Decimal128Type>()
        .iter()
        .zip(right.as_primitive::<Decimal128Type>());
    let largest = i256::from_i128(10).wrapping_pow(u32::from(*precision));
    let mut result = Vec::with_capacity(left.len());
    for pair in pairs {
        let (Some(a), Some(b)) = pair else {
            result.push(None);
            continue;
        };
        let scaled = |value: i128, by: u32| {
            i256::from_i128(value).checked_mul(i256::from_i128(10).wrapping_pow(by))
        };
        if b == 0 && matches!(operator, "/" | "%") {
            return exec_err!("Division by zero");
        }
        // Sums and remainders have the larger scale of both, products the sum of both.
        let both = || Some((scaled(a, wanted - s1)?, scaled(b, wanted - s2)?));
        let value = match operator {
            "+" => both().and_then(|(a, b)| a.checked_add(b)),
            "-" => both().and_then(|(a, b)| a.checked_sub(b)),
            "*" => i256::from_i128(a).checked_mul(i256::from_i128(b)),
            "/" => scaled(a, wanted + s2 - s1).map(|a| quotient(a, i256::from_i128(b))),
            _ => both().and_then(|(a, b)| a.checked_rem(b)),
        };
        let value = value
            .filter(|value| *value < largest && *value > largest.wrapping_neg())
            .and_then(i256::to_i128);
        if value.is_none() {
            return exec_err!("Decimal overflow");
        }
        result.push(value);
    }
    let result = Decimal128Array::from(result).with_precision_and_scale(*precision, *scale)?;
    Ok(Arc::new(result))
}

/// Rounded, half away from zero.
fn quotient(dividend: i256, divisor: i256) -> i256 {
    let quotient = dividend.wrapping_div(divisor);
    let rest = dividend.wrapping_rem(divisor).wrapping_abs();
    if rest >= divisor.wrapping_abs().wrapping_sub(rest) {
        let is_negative = dividend.is_negative() != divisor.is_negative();
        quotient.wrapping_add(if is_negative {
            i256::MINUS_ONE
        } else {
            i256::ONE
        })
    } else {
        quotient
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn types_of_results_are_trinos() {
        let decimal = DataType::Decimal128;
        let cases = [
            ("+", decimal(3, 1), decimal(5, 2), decimal(6, 2)),
            ("*", decimal(3, 1), decimal(5, 2), decimal(8, 3)),
            ("/", decimal(2, 1), decimal(1, 0), decimal(2, 1)),
            ("/", decimal(2, 1), decimal(4, 3), decimal(7, 3)),
            ("%", decimal(3, 1), decimal(5, 2), decimal(4, 2)),
            ("+", decimal(38, 0), decimal(38, 0), decimal(38, 0)),
            ("+", DataType::Int64, decimal(2, 1), decimal(21, 1)),
            ("*", DataType::Int32, decimal(2, 1), decimal(12, 1)),
            ("+", DataType::Int8, DataType::Int32, DataType::Int32),
            ("+", DataType::UInt64, DataType::Int32, DataType::Int64),
            ("%", DataType::Float32, DataType::Int64, DataType::Float32),
            ("%", DataType::Float32, DataType::Float64, DataType::Float64),
        ];
        for (operator, left, right, expected) in cases {
            assert_eq!(result_type(operator, &left, &right).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn quotients_are_the_nearest(a in -1_000_000_i128..1_000_000, b in 1_i128..1000) {
            let found = quotient(i256::from_i128(a), i256::from_i128(b)).to_i128().unwrap();
            prop_assert!(2 * (found * b - a).abs() <= b);
        }
    }
}
