//! Digits of a second: 0 to 12 in Trino, while a value here lies in one of four units.
//!
//! A cast to `timestamp(4)` rounds to four digits; how many a value was written with is known where the
//! query says so, and decides how it is shown.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, PrimitiveArray, StringArray},
        compute::cast,
        datatypes::{DataType, Int64Type, TimeUnit},
    },
    error::Result,
};

use super::{convert, digits};
use crate::{
    functions::datetime::fine as fine_column,
    types::{
        fine::{self, Fine, Kind},
        is_text,
    },
};

/// Casts to a time or timestamp of so many digits: rounded once, whatever the units are.
pub(super) fn convert_rounded(
    given: &ArrayRef,
    to: &DataType,
    wanted: i64,
    safe: bool,
) -> Result<ArrayRef> {
    let digits = u8::try_from(wanted).unwrap_or(fine::MOST_DIGITS);
    let kind = match to {
        DataType::Timestamp(_, zone) => Kind::Timestamp(zone.clone()),
        DataType::Time32(_) | DataType::Time64(_) => Kind::Time,
        _ => return fine_column::rounded_to(&convert(given, to, safe)?, digits),
    };
    if is_text(given.data_type()) {
        let read = convert(given, &Fine { kind, digits }.data_type(), safe)?;
        return convert(&read, to, safe);
    }
    convert(&rounded(given, wanted)?, to, safe)
}

/// Rounds to so many digits, half up.
fn rounded(array: &ArrayRef, wanted: i64) -> Result<ArrayRef> {
    let (unit, is_time) = match array.data_type() {
        DataType::Timestamp(unit, _) => (*unit, false),
        DataType::Time32(unit) | DataType::Time64(unit) => (*unit, true),
        _ => {
            let digits = u8::try_from(wanted).unwrap_or(fine::MOST_DIGITS);
            return fine_column::rounded_to(array, digits);
        }
    };
    let surplus = i64::from(digits(unit)) - wanted;
    let Some(step) = u32::try_from(surplus).ok().filter(|surplus| *surplus > 0) else {
        return Ok(Arc::clone(array));
    };
    let step = 10_i64.pow(step);
    let per_day = 86_400 * 10_i64.pow(digits(unit));
    let rounded = |value: i64| {
        let (down, rest) = (value.div_euclid(step), value.rem_euclid(step));
        let up = i64::from(rest * 2 >= step);
        let value = (down + up).saturating_mul(step);
        // Rounding up at the end of the day leads to its beginning.
        if is_time { value % per_day } else { value }
    };
    let numbers = whole(array, unit, is_time)?;
    let numbers: PrimitiveArray<Int64Type> = numbers.as_primitive::<Int64Type>().unary(rounded);
    let numbers: ArrayRef = Arc::new(numbers);
    Ok(match array.data_type() {
        DataType::Time32(_) => cast(&cast(&numbers, &DataType::Int32)?, array.data_type())?,
        data_type => cast(&numbers, data_type)?,
    })
}

fn whole(array: &ArrayRef, unit: TimeUnit, is_time: bool) -> Result<ArrayRef> {
    let small = matches!(unit, TimeUnit::Second | TimeUnit::Millisecond);
    if is_time && small {
        return Ok(cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?);
    }
    Ok(cast(array, &DataType::Int64)?)
}

/// Texts of timestamps or times with so many digits.
pub(in crate::functions) fn shown(array: &ArrayRef, wanted: i64) -> ArrayRef {
    let wanted = usize::try_from(wanted.clamp(0, 12)).unwrap_or(0);
    let texts = array.as_string::<i32>().iter();
    Arc::new(
        texts
            .map(|text| text.map(|text| with_digits(text, wanted)))
            .collect::<StringArray>(),
    )
}

fn with_digits(text: &str, wanted: usize) -> String {
    // The clock ends where the zone begins: after its second blank, or after the first of a time.
    let clock = text.find(':').unwrap_or(text.len());
    let end = text[clock..]
        .find([' ', '+', '-'])
        .map_or(text.len(), |blank| clock + blank);
    let (time, zone) = text.split_at(end);
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    if wanted == 0 {
        return format!("{whole}{zone}");
    }
    let fraction = &fraction[..fraction.len().min(wanted)];
    format!("{whole}.{fraction:0<wanted$}{zone}")
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        Time32MillisecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    };

    use super::*;

    #[test]
    fn digits_beyond_the_precision_round_half_up() {
        let given: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![
            Some(1_049),
            Some(1_050),
            Some(-1_050),
            None,
        ]));
        let expected: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![
            Some(1_000),
            Some(1_100),
            Some(-1_000),
            None,
        ]));
        assert_eq!(&rounded(&given, 1).unwrap(), &expected);
        assert_eq!(&rounded(&given, 3).unwrap(), &given);
        let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![123_456]));
        let expected: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![123_500]));
        assert_eq!(&rounded(&micros, 4).unwrap(), &expected);
    }

    #[test]
    fn a_time_rounds_over_midnight() {
        let given: ArrayRef = Arc::new(Time32MillisecondArray::from(vec![86_399_960, 12]));
        let expected: ArrayRef = Arc::new(Time32MillisecondArray::from(vec![0, 0]));
        assert_eq!(&rounded(&given, 1).unwrap(), &expected);
    }

    #[test]
    fn as_many_digits_are_shown_as_were_written() {
        let cases = [
            ("2020-01-02 03:04:05.600", 1, "2020-01-02 03:04:05.6"),
            ("2020-01-02 03:04:05", 2, "2020-01-02 03:04:05.00"),
            (
                "2020-01-02 03:04:05.600 UTC",
                4,
                "2020-01-02 03:04:05.6000 UTC",
            ),
            (
                "2020-01-02 03:04:05.123 +02:00",
                0,
                "2020-01-02 03:04:05 +02:00",
            ),
            ("03:04:05.123", 2, "03:04:05.12"),
            ("03:04:05.120-05:30", 2, "03:04:05.12-05:30"),
            ("2020-01-02", 0, "2020-01-02"),
        ];
        for (text, wanted, expected) in cases {
            assert_eq!(with_digits(text, wanted), expected);
        }
    }
}
