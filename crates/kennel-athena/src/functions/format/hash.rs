//! What `%h` shows: the hash code that Java gives a value.
//!
//! Source: Java's documentation of `hashCode` of the classes that [`Value::class`] names.

use chrono::{Datelike, NaiveDate, NaiveTime, Timelike};

use super::{Moment, Value};
use crate::functions::datetime::zone::Zone;

/// The hash code of a value that is shown as `text`.
pub(super) fn code(value: &Value, text: &str) -> i32 {
    match value {
        Value::Null => 0,
        Value::Boolean(true) => 1231,
        Value::Boolean(false) => 1237,
        Value::Integer(number) => long(*number),
        Value::Real(number) if number.is_nan() => 0x7fc0_0000,
        Value::Real(number) => number.to_bits().cast_signed(),
        Value::Double(number) if number.is_nan() => 0x7ff8_0000,
        Value::Double(number) => long(number.to_bits().cast_signed()),
        Value::Decimal(digits) => decimal(digits),
        Value::Text => of_text(text),
        Value::Moment(moment) => of_moment(moment),
    }
}

/// Both halves of a number on one another.
fn long(number: i64) -> i32 {
    (number ^ (number.cast_unsigned() >> 32).cast_signed()) as i32
}

fn of_text(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// Digits without their point, in words of 32 bits, and the number of places behind it.
fn decimal(digits: &str) -> i32 {
    let scale = digits.split_once('.').map_or(0, |(_, rest)| rest.len());
    let is_digit = |c: &char| c.is_ascii_digit();
    let magnitude: String = digits.chars().filter(is_digit).collect();
    let magnitude: u128 = magnitude.parse().unwrap_or(0);
    let words = (0..4).rev().map(|word| (magnitude >> (32 * word)) as u32);
    let hash = words.fold(0_i32, |hash, word| {
        hash.wrapping_mul(31).wrapping_add(word.cast_signed())
    });
    let hash = if digits.starts_with('-') {
        hash.wrapping_neg()
    } else {
        hash
    };
    let scale = i32::try_from(scale).unwrap_or(0);
    hash.wrapping_mul(31).wrapping_add(scale)
}

fn of_date(date: NaiveDate) -> i32 {
    let fields = (date.year() << 11) + ((date.month() << 6) + date.day()).cast_signed();
    (date.year() & !0x7ff) ^ fields
}

fn of_time(time: NaiveTime) -> i32 {
    let seconds = i64::from(time.num_seconds_from_midnight());
    long(seconds * 1_000_000_000 + i64::from(time.nanosecond()))
}

fn of_moment(moment: &Moment) -> i32 {
    let (date, time) = (moment.local.date(), moment.local.time());
    let plain = match (moment.has_date, moment.has_time) {
        (true, false) => return of_date(date),
        (false, _) => return of_time(time),
        (true, true) => of_date(date) ^ of_time(time),
    };
    let Some(zone) = moment.zone else {
        return plain;
    };
    let offset = zone.offset_at(moment.utc);
    let of_zone = match zone {
        Zone::Named(_) => of_text(&zone.shown()),
        Zone::Fixed(_) if offset == 0 => of_text("UTC"),
        Zone::Fixed(_) => offset,
    };
    plain ^ offset ^ of_zone.rotate_left(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_javas() {
        // "hello".hashCode(), 42L, -1L, 1.0d, 1.0f, new BigDecimal("1.50"), new BigDecimal("-8").
        assert_eq!(of_text("hello"), 99_162_322);
        assert_eq!(of_text(""), 0);
        assert_eq!(long(42), 42);
        assert_eq!(long(-1), 0);
        assert_eq!(code(&Value::Double(1.0), ""), 0x3ff0_0000);
        assert_eq!(code(&Value::Real(1.0), ""), 0x3f80_0000);
        assert_eq!(decimal("1.50"), 150 * 31 + 2);
        assert_eq!(decimal("-8"), -8 * 31);
        let date = NaiveDate::from_ymd_opt(2001, 8, 22).unwrap();
        assert_eq!(
            of_date(date),
            // The bits of the year above the eleventh are none.
            (2001 << 11) + (8 << 6) + 22
        );
    }
}
