//! Trino's functions of numbers.
//!
//! Integers stay integers, decimals decimals; rounding is half away from zero; what leaves the range
//! of its type is an error.
//!
//! Source: Trino manual, "Mathematical functions and operators".

mod buckets;
mod probability;
mod random;
mod rounding;
mod sizes;

use std::sync::Arc;

use datafusion::{
    arrow::{array::ArrayRef, datatypes::Float64Type},
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use super::scalar::{Call, Kind, Spec, bigint, boolean, double, varchar};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const DOUBLE: &[Kind] = &[Kind::Double];
    const DOUBLES: &[Kind] = &[Kind::Double, Kind::Double];
    /// A function of one double.
    macro_rules! of_double {
        ($name:literal, $each:expr) => {
            Spec::new($name, DOUBLE, double, |call| of_double(call, $each))
        };
    }
    /// A constant.
    macro_rules! constant {
        ($name:literal, $value:expr) => {
            Spec::new($name, &[], double, |call| {
                call.to_doubles(|_| Ok(Some($value)))
            })
        };
    }
    let mut all: Vec<_> = [
        of_double!("acos", f64::acos),
        of_double!("asin", f64::asin),
        of_double!("atan", f64::atan),
        of_double!("cbrt", f64::cbrt),
        of_double!("cos", f64::cos),
        of_double!("cosh", f64::cosh),
        of_double!("degrees", f64::to_degrees),
        of_double!("exp", f64::exp),
        of_double!("ln", f64::ln),
        of_double!("log2", |x| x.ln() / 2_f64.ln()),
        of_double!("log10", f64::log10),
        of_double!("radians", f64::to_radians),
        of_double!("sin", f64::sin),
        of_double!("sinh", f64::sinh),
        of_double!("sqrt", f64::sqrt),
        of_double!("tan", f64::tan),
        of_double!("tanh", f64::tanh),
        constant!("e", std::f64::consts::E),
        constant!("infinity", f64::INFINITY),
        constant!("nan", f64::NAN),
        constant!("pi", std::f64::consts::PI),
        Spec::new("atan2", DOUBLES, double, |call| {
            of_doubles(call, f64::atan2)
        }),
        Spec::new("power", DOUBLES, double, |call| of_doubles(call, f64::powf)).also(&["pow"]),
        // The base comes first.
        Spec::new("log", DOUBLES, double, |call| {
            of_doubles(call, |base, x| x.ln() / base.ln())
        }),
        Spec::new("is_finite", DOUBLE, boolean, |call| {
            is(call, f64::is_finite)
        }),
        Spec::new("is_infinite", DOUBLE, boolean, |call| {
            is(call, f64::is_infinite)
        }),
        Spec::new("to_base", &[Kind::Integer, Kind::Integer], varchar, to_base),
        Spec::new("from_base", &[Kind::Text, Kind::Integer], bigint, from_base),
    ]
    .map(Spec::build)
    .into();
    all.push(is_nan());
    all.extend(buckets::functions());
    all.extend(probability::functions());
    all.extend(random::functions());
    all.extend(rounding::functions());
    all.extend(sizes::functions());
    all
}

/// `is_nan`.
pub(super) fn is_nan() -> Arc<ScalarUDF> {
    Spec::new("is_nan", &[Kind::Double], boolean, |call| {
        is(call, f64::is_nan)
    })
    .build()
}

fn of_double(call: &Call, each: fn(f64) -> f64) -> Result<ArrayRef> {
    Ok(Arc::new(call.doubles(0).unary::<_, Float64Type>(each)))
}

fn of_doubles(call: &Call, each: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let (left, right) = (call.doubles(0), call.doubles(1));
    call.to_doubles(|row| Ok(Some(each(left.value(row), right.value(row)))))
}

fn is(call: &Call, each: fn(f64) -> bool) -> Result<ArrayRef> {
    let values = call.doubles(0);
    call.to_booleans(|row| Ok(Some(each(values.value(row)))))
}

fn radix(value: i64) -> Result<u32> {
    match u32::try_from(value) {
        Ok(radix) if (2..=36).contains(&radix) => Ok(radix),
        _ => exec_err!("Radix must be between 2 and 36"),
    }
}

fn to_base(call: &Call) -> Result<ArrayRef> {
    let (values, bases) = (call.integers(0), call.integers(1));
    call.to_texts(|row| {
        let base = u64::from(radix(bases.value(row))?);
        let mut left = values.value(row).unsigned_abs();
        let mut digits = Vec::new();
        loop {
            let digit = u32::try_from(left % base).unwrap_or(0);
            digits.extend(char::from_digit(digit, 36));
            left /= base;
            if left == 0 {
                break;
            }
        }
        if values.value(row) < 0 {
            digits.push('-');
        }
        Ok(Some(digits.into_iter().rev().collect::<String>()))
    })
}

fn from_base(call: &Call) -> Result<ArrayRef> {
    let (texts, bases) = (call.text(0), call.integers(1));
    call.to_integers(|row| {
        let base = radix(bases.value(row))?;
        match i64::from_str_radix(texts.value(row), base) {
            Ok(number) => Ok(Some(number)),
            Err(_) => exec_err!("Not a valid base-{base} number: {}", texts.value(row)),
        }
    })
}
