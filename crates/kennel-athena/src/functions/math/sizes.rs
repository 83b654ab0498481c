//! Numbers with units: `format_number` and `parse_data_size`.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, Decimal128Array},
        datatypes::DataType,
    },
    common::{exec_datafusion_err, exec_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use crate::functions::scalar::{Call, Kind, Spec, varchar};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        Spec::new("format_number", &[Kind::Double], varchar, |call| {
            let values = call.doubles(0);
            call.to_texts(|row| Ok(Some(with_unit(values.value(row)))))
        }),
        Spec::new(
            "parse_data_size",
            &[Kind::Text],
            |_| Ok(DataType::Decimal128(38, 0)),
            parse_data_size,
        ),
    ]
    .map(Spec::build)
    .into()
}

/// Three digits and a unit: `1.23K`.
fn with_unit(value: f64) -> String {
    const UNITS: [&str; 6] = ["", "K", "M", "B", "T", "Q"];
    let (mut value, mut unit) = (value, 0);
    while value.abs() >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = match value.abs() {
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{}", UNITS[unit])
}

/// `2.5MB` as bytes, in powers of 1024.
fn parse_data_size(call: &Call) -> Result<ArrayRef> {
    const UNITS: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
    let texts = call.text(0);
    let read = |text: &str| {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let power = UNITS.iter().position(|known| *known == unit)?;
        let factor = 1024_i128.checked_pow(u32::try_from(power).ok()?)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if number.is_empty() || number == "." || fraction.len() > 12 {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        Some(digits.checked_mul(factor)? / scale)
    };
    let mut result = Vec::with_capacity(call.rows);
    for text in texts {
        let size = text.map(|text| {
            read(text).ok_or_else(|| exec_datafusion_err!("Invalid data size: '{text}'"))
        });
        result.push(size.transpose()?);
    }
    let sizes = Decimal128Array::from(result).with_precision_and_scale(38, 0)?;
    if sizes.validate_decimal_precision(38).is_err() {
        return exec_err!("Value out of range for decimal(38,0)");
    }
    Ok(Arc::new(sizes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shortened_to_three_digits() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (12.5, "12.5"),
            (999.0, "999"),
            (1234.0, "1.23K"),
            (123_456.0, "123K"),
            (-1_000_000.0, "-1M"),
            (1.5e12, "1.5T"),
        ];
        for (value, expected) in cases {
            assert_eq!(with_unit(value), expected);
        }
    }
}
