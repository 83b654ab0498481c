//! Numbers: their texts, and casts between fractions and others.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Int64Array, StringArray},
        datatypes::{DataType, Float32Type, Float64Type},
    },
    common::exec_err,
    error::Result,
};

use super::{arrow_cast, type_name};

/// Doubles and reals as `CAST(x AS varchar)` writes them: as approximate literals of SQL.
pub(super) fn standard_texts(array: &ArrayRef) -> Result<ArrayRef> {
    let texts: StringArray = match array.data_type() {
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().iter();
            values.map(|value| value.map(standard_text)).collect()
        }
        _ => {
            let values = arrow_cast(array, &DataType::Float32, false)?;
            let values = values.as_primitive::<Float32Type>().iter();
            values
                .map(|value| value.map(standard_text_of_single))
                .collect()
        }
    };
    Ok(Arc::new(texts))
}

/// `1.5E0`, `1.0E-5`, `0E0`, with the fewest digits that read back to the same value.
pub(in crate::functions) fn standard_text(value: f64) -> String {
    approximate(value, &format!("{value:e}"))
}

/// The same with at most seven digits.
fn standard_text_of_single(value: f32) -> String {
    let value = f64::from(value);
    approximate(value, &format!("{value:.6e}"))
}

/// `written` is Rust's `{:e}`.
fn approximate(value: f64, written: &str) -> String {
    if !value.is_finite() {
        return java_number(value, String::new());
    }
    if value == 0.0 {
        return if value.is_sign_negative() {
            "-0E0"
        } else {
            "0E0"
        }
        .into();
    }
    let (mantissa, exponent) = written.split_once('e').unwrap_or((written, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = match fraction.trim_end_matches('0') {
        "" => "0",
        fraction => fraction,
    };
    format!("{whole}.{fraction}E{exponent}")
}

/// Doubles and reals as Java writes them, which JSON has.
pub(in crate::functions) fn java_texts(array: &ArrayRef) -> Result<StringArray> {
    Ok(match array.data_type() {
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().iter();
            values.map(|value| value.map(double_text)).collect()
        }
        _ => {
            let values = arrow_cast(array, &DataType::Float32, false)?;
            let values = values.as_primitive::<Float32Type>().iter();
            let text = |value: f32| java_number(f64::from(value), format!("{value:e}"));
            values.map(|value| value.map(text)).collect()
        }
    })
}

/// A number with an exponent without it: `12.5E-1` as `1.25`. `None` for what is no number.
pub(in crate::functions) fn without_exponent(text: &str) -> Option<String> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    if exponent == 0 {
        return Some(format!("{sign}{number}"));
    }
    let digits = digits.trim_start_matches('0');
    let point = i32::try_from(digits.len()).ok()? - i32::try_from(fraction.len()).ok()?;
    let point = point.checked_add(exponent)?;
    if digits.is_empty() || point < -MOST_ZEROS {
        return Some("0".into());
    }
    Some(match usize::try_from(point) {
        Err(_) | Ok(0) => {
            let zeros = "0".repeat(usize::try_from(-point).unwrap_or(0));
            format!("{sign}0.{zeros}{digits}")
        }
        // More than any decimal has, so that the cast refuses it.
        Ok(point) if point > 100 => format!("{sign}{digits:0<100}"),
        Ok(point) => {
            let padded = format!("{digits:0<point$}");
            let (whole, fraction) = padded.split_at(point);
            format!("{sign}{whole}.{fraction}0")
        }
    })
}

/// Zeros after the point beyond which no decimal has a digit.
const MOST_ZEROS: i32 = 60;

/// Reals as decimals: by the fewest digits that read back to the same value.
pub(super) fn single_as_decimal(array: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef> {
    let values = array.as_primitive::<Float32Type>().iter();
    let texts = values.map(|value| value.map(|value| value.to_string()));
    let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
    arrow_cast(&texts, to, safe)
}

/// A double as JSON and Java write it.
pub(in crate::functions) fn double_text(value: f64) -> String {
    java_number(value, format!("{value:e}"))
}

/// A double as Java writes it: `1.0`, `1.0E10`, `1.0E-5`. `shortest` is Rust's `{:e}`.
pub(in crate::functions) fn java_number(value: f64, shortest: String) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-3..7).contains(&exponent) {
        let point = if mantissa.contains('.') { "" } else { ".0" };
        return format!("{mantissa}{point}E{exponent}");
    }
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    let digits: String = digits.chars().filter(|c| *c != '.').collect();
    let text = if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        format!("0.{zeros}{digits}")
    } else {
        let whole = exponent as usize + 1;
        let padded = format!("{digits:0<whole$}");
        let (integer, fraction) = padded.split_at(whole);
        format!(
            "{integer}.{}",
            if fraction.is_empty() { "0" } else { fraction }
        )
    };
    format!("{sign}{text}")
}

/// Fractions become integers by rounding, half away from zero.
pub(super) fn rounded(array: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef> {
    if array.data_type().is_decimal() {
        // Arrow rounds decimals of another scale so.
        let whole = arrow_cast(array, &DataType::Decimal128(38, 0), safe)?;
        return arrow_cast(&whole, to, safe);
    }
    let values = arrow_cast(array, &DataType::Float64, false)?;
    let values = values.as_primitive::<Float64Type>();
    let mut result = Vec::with_capacity(array.len());
    for value in values {
        let Some(value) = value else {
            result.push(None);
            continue;
        };
        let whole = value.round();
        // 2^63 is a double, the largest bigint is not.
        let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&whole);
        // To smaller types, infinity and NaN included: Trino's error is the same.
        if !fits && !safe {
            return exec_err!("Cannot cast {value} to {}", type_name(to));
        }
        result.push(fits.then_some(whole as i64));
    }
    let integers: ArrayRef = Arc::new(Int64Array::from(result));
    arrow_cast(&integers, to, safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1e10, "1.0E10"),
            (1e7, "1.0E7"),
            (9_999_999.5, "9999999.5"),
            (0.001, "0.001"),
            (0.000_123, "1.23E-4"),
            (-123.456, "-123.456"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (100.0, "100.0"),
            (1.5e-300, "1.5E-300"),
        ];
        for (value, expected) in cases {
            assert_eq!(java_number(value, format!("{value:e}")), expected);
        }
    }

    #[test]
    fn texts_of_doubles_are_literals_of_sql() {
        let cases = [
            (37.7, "3.77E1"),
            (0.0, "0E0"),
            (-0.0, "-0E0"),
            (1e10, "1.0E10"),
            (-1.25e-7, "-1.25E-7"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
        ];
        for (value, expected) in cases {
            assert_eq!(standard_text(value), expected);
        }
        assert_eq!(standard_text_of_single(12_345_678.9), "1.234568E7");
        assert_eq!(standard_text_of_single(0.1), "1.0E-1");
    }

    #[test]
    fn exponents_are_written_out() {
        let cases = [
            ("12.5", Some("12.5")),
            ("12.5E-1", Some("1.250")),
            ("-1.5e3", Some("-1500.0")),
            ("1e-3", Some("0.001")),
            ("0e1000", Some("0")),
            ("1e-1000", Some("0")),
            ("+.5", Some(".5")),
            ("1e", None),
            ("e1", None),
            (".", None),
            ("1x", None),
            ("1e99999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(without_exponent(text).as_deref(), expected, "{text}");
        }
    }
}
