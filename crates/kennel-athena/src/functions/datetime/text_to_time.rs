//! Text as dates and instants: by the rules of `CAST`, and by ISO 8601.
//!
//! Source: Trino manual, "Date and time functions"; ISO forms as Joda's `dateTimeParser` reads them.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
            TimestampNanosecondArray, TimestampSecondArray,
        },
        datatypes::TimeUnit,
    },
    common::exec_err,
    error::Result,
};

use super::zone::Zone;

/// A point in time as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// Date and time of day, in the zone that is written beside them.
    pub(crate) local: NaiveDateTime,
    /// That zone.
    pub(crate) zone: Option<Zone>,
    /// Picoseconds beyond the nanoseconds of `local`.
    pub(crate) picos: u16,
    /// Digits written after the seconds' point.
    pub(crate) digits: u8,
}

/// A time of day as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) time: NaiveTime,
    /// Picoseconds beyond its nanoseconds.
    pub(crate) picos: u16,
    /// Digits written after the seconds' point.
    pub(crate) digits: u8,
    /// Minutes of the offset that is written beside it.
    pub(crate) offset: Option<i32>,
}

/// What is written after the seconds' point.
#[derive(Debug, Clone, Copy, Default)]
struct Fraction {
    nanos: u32,
    picos: u16,
    digits: u8,
}

impl Written {
    /// The same in UTC; a time without zone is in UTC already.
    pub(crate) fn utc(&self) -> Option<NaiveDateTime> {
        Some(
            self.zone
                .map_or(self.local, |zone| zone.instant(self.local)),
        )
    }
}

/// Walks over text that consists of numbers and signs.
struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn sign(&mut self, sign: char) -> bool {
        match self.0.strip_prefix(sign) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// Digits, `least` to `most` of them.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let length = self.digit_count().min(most);
        if length < least {
            return None;
        }
        let number = self.0[..length].parse().ok()?;
        self.0 = &self.0[length..];
        Some(number)
    }

    fn digit_count(&self) -> usize {
        self.0.bytes().take_while(u8::is_ascii_digit).count()
    }

    /// Digits after a point, of which twelve count.
    fn fraction(&mut self) -> Option<Fraction> {
        let length = self.digit_count();
        if length == 0 {
            return None;
        }
        let counted = length.min(12);
        let value: u64 = self.0[..counted].parse().ok()?;
        self.0 = &self.0[length..];
        let picos = value * 10_u64.pow(u32::try_from(12 - counted).ok()?);
        Some(Fraction {
            nanos: u32::try_from(picos / 1000).ok()?,
            picos: u16::try_from(picos % 1000).ok()?,
            digits: u8::try_from(length).unwrap_or(u8::MAX),
        })
    }
}

/// Without the blanks around, among which Java has four more.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|sign: char| sign.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&sign))
}

/// Reads a timestamp as `CAST` does: `2026-3-1 4:05:06.789 UTC`.
pub(crate) fn read(text: &str) -> Option<Written> {
    let mut cursor = Cursor(trimmed(text));
    let date = read_ymd(&mut cursor, 4)?;
    let mut clock = Clock {
        time: NaiveTime::MIN,
        picos: 0,
        digits: 0,
        offset: None,
    };
    if !cursor.0.is_empty() && !cursor.sign(' ') {
        return None;
    }
    if cursor.digit_count() > 0 {
        clock = read_clock(&mut cursor)?;
    }
    let zone = match trimmed(cursor.0) {
        "" => None,
        zone => Some(Zone::read(zone)?),
    };
    Some(Written {
        local: date.and_time(clock.time),
        zone,
        picos: clock.picos,
        digits: clock.digits,
    })
}

/// Hours, minutes, perhaps seconds and digits behind their point.
fn read_clock(cursor: &mut Cursor<'_>) -> Option<Clock> {
    let hour = cursor.number(1, 2)?;
    if !cursor.sign(':') {
        return None;
    }
    let minute = cursor.number(1, 2)?;
    let (mut second, mut fraction) = (0, Fraction::default());
    if cursor.sign(':') {
        second = cursor.number(1, 2)?;
        if cursor.sign('.') {
            fraction = cursor.fraction()?;
        }
    }
    Some(Clock {
        time: NaiveTime::from_hms_nano_opt(hour, minute, second, fraction.nanos)?,
        picos: fraction.picos,
        digits: fraction.digits,
        offset: None,
    })
}

/// Reads a time of day as `CAST` does, perhaps with an offset: `4:05:06.789`, `04:05:06 +01:00`.
pub(crate) fn read_time(text: &str) -> Option<Clock> {
    let mut cursor = Cursor(trimmed(text));
    let mut clock = read_clock(&mut cursor)?;
    cursor.0 = cursor.0.trim_start();
    let negative = cursor.sign('-');
    if negative || cursor.sign('+') {
        let hours = i32::try_from(cursor.number(2, 2)?).ok()?;
        if !cursor.sign(':') {
            return None;
        }
        let minutes = i32::try_from(cursor.number(2, 2)?)
            .ok()
            .filter(|m| *m < 60)?;
        let offset = hours * 60 + minutes;
        if offset > MOST_OFFSET {
            return None;
        }
        clock.offset = Some(if negative { -offset } else { offset });
    }
    cursor.0.is_empty().then_some(clock)
}

/// Trino's offsets are at most 14 hours, here in minutes.
pub(crate) const MOST_OFFSET: i32 = 14 * 60;

fn read_ymd(cursor: &mut Cursor<'_>, year_digits: usize) -> Option<NaiveDate> {
    let negative = cursor.sign('-');
    if !negative {
        cursor.sign('+');
    }
    let year = i32::try_from(cursor.number(year_digits, 6)?).ok()?;
    if !cursor.sign('-') {
        return None;
    }
    let month = cursor.number(1, 2)?;
    if !cursor.sign('-') {
        return None;
    }
    let day = cursor.number(1, 2)?;
    NaiveDate::from_ymd_opt(if negative { -year } else { year }, month, day)
}

/// Reads a date as `CAST` does; days since 1970-01-01.
pub(crate) fn read_date(text: &str) -> Option<i32> {
    let mut cursor = Cursor(trimmed(text));
    let date = read_ymd(&mut cursor, 1)?;
    cursor.0.is_empty().then(|| days(date))
}

/// Days since 1970-01-01.
pub(crate) fn days(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - 719_163
}

/// Reads ISO 8601: dates by month, by week or by day of the year, times down to any part.
pub(crate) fn read_iso(text: &str) -> Option<Written> {
    let mut cursor = Cursor(text);
    let date = iso_date(&mut cursor)?;
    let (mut nanos, mut digits) = (0, 0);
    if cursor.sign('T') && !cursor.0.is_empty() {
        (nanos, digits) = iso_time(&mut cursor)?;
    }
    let local = date
        .and_time(NaiveTime::MIN)
        .checked_add_signed(TimeDelta::nanoseconds(i64::try_from(nanos).ok()?))?;
    let zone = iso_offset(&mut cursor)?;
    cursor.0.is_empty().then_some(Written {
        local,
        zone,
        picos: 0,
        digits,
    })
}

fn iso_date(cursor: &mut Cursor<'_>) -> Option<NaiveDate> {
    let negative = cursor.sign('-');
    if !negative {
        cursor.sign('+');
    }
    let year = i32::try_from(cursor.number(1, 6)?).ok()?;
    let year = if negative { -year } else { year };
    if !cursor.sign('-') {
        return NaiveDate::from_ymd_opt(year, 1, 1);
    }
    if cursor.sign('W') {
        let week = cursor.number(1, 2)?;
        let day = if cursor.sign('-') {
            cursor.number(1, 1)?
        } else {
            1
        };
        let day = day.checked_sub(1).filter(|day| *day < 7)?;
        let weekday = chrono::Weekday::try_from(u8::try_from(day).ok()?).ok()?;
        return NaiveDate::from_isoywd_opt(year, week, weekday);
    }
    if cursor.digit_count() == 3 {
        return NaiveDate::from_yo_opt(year, cursor.number(3, 3)?);
    }
    let month = cursor.number(1, 2)?;
    let day = if cursor.sign('-') {
        cursor.number(1, 2)?
    } else {
        1
    };
    NaiveDate::from_ymd_opt(year, month, day)
}

/// Nanoseconds since midnight, and the digits after the seconds' point.
fn iso_time(cursor: &mut Cursor<'_>) -> Option<(u64, u8)> {
    const LIMITS: [(u32, u64); 3] = [(24, 3600), (60, 60), (60, 1)];
    let mut nanos = 0_u64;
    for (index, (limit, seconds)) in LIMITS.into_iter().enumerate() {
        if index > 0 && !cursor.sign(':') {
            break;
        }
        let number = cursor.number(1, 2).filter(|number| *number < limit)?;
        nanos += u64::from(number) * seconds * 1_000_000_000;
        if cursor.sign('.') || cursor.sign(',') {
            let fraction = cursor.fraction()?;
            let digits = if seconds == 1 { fraction.digits } else { 0 };
            return Some((nanos + u64::from(fraction.nanos) * seconds, digits));
        }
    }
    Some((nanos, 0))
}

/// `Z`, `+01:00`, `+0100`, `+01`, or nothing. The outer `None` is for anything else.
fn iso_offset(cursor: &mut Cursor<'_>) -> Option<Option<Zone>> {
    if cursor.0.is_empty() {
        return Some(None);
    }
    if cursor.sign('Z') || cursor.sign('z') {
        return Some(Some(Zone::utc()));
    }
    let sign = if cursor.sign('-') {
        -1
    } else if cursor.sign('+') {
        1
    } else {
        return None;
    };
    let hours = cursor.number(2, 2).filter(|hours| *hours < 24)?;
    let minutes = if cursor.sign(':') || cursor.digit_count() > 0 {
        cursor.number(2, 2).filter(|minutes| *minutes < 60)?
    } else {
        0
    };
    let seconds = sign * i32::try_from(hours * 3600 + minutes * 60).ok()?;
    Some(Some(Zone::of_seconds(seconds)?))
}

/// The number of `unit`s since 1970; finer parts are rounded, half up, as `CAST` does.
pub(crate) fn units(time: NaiveDateTime, unit: TimeUnit) -> Option<i64> {
    let nanos = i128::from(time.and_utc().timestamp()) * 1_000_000_000
        + i128::from(time.and_utc().timestamp_subsec_nanos());
    let per_unit = i128::from(10_u64.pow(9 - super::super::cast::digits(unit)));
    i64::try_from((nanos + per_unit / 2).div_euclid(per_unit)).ok()
}

/// Texts as timestamps; one that is none is an error, or null where `safe`.
pub(crate) fn timestamps(
    texts: &StringArray,
    unit: TimeUnit,
    zone: Option<&Arc<str>>,
    safe: bool,
) -> Result<ArrayRef> {
    let mut values = Vec::with_capacity(texts.len());
    for text in texts {
        let Some(text) = text else {
            values.push(None);
            continue;
        };
        let value = read(text)
            .filter(|written| zone.is_some() || written.zone.is_none())
            .and_then(|written| units(written.utc()?, unit));
        if value.is_none() && !safe {
            let kind = if zone.is_some() {
                "timestamp with time zone"
            } else {
                "timestamp"
            };
            let advice = match read_iso(text) {
                Some(_) if text.contains('T') => "; from_iso8601_timestamp(…) reads ISO 8601 text",
                _ => "",
            };
            return exec_err!("Value cannot be cast to {kind}: {text}{advice}");
        }
        values.push(value);
    }
    Ok(array(values, unit, zone))
}

/// An array of timestamps from numbers of `unit`s.
pub(crate) fn array(values: Vec<Option<i64>>, unit: TimeUnit, zone: Option<&Arc<str>>) -> ArrayRef {
    let zone = zone.cloned();
    match unit {
        TimeUnit::Second => Arc::new(TimestampSecondArray::from(values).with_timezone_opt(zone)),
        TimeUnit::Millisecond => {
            Arc::new(TimestampMillisecondArray::from(values).with_timezone_opt(zone))
        }
        TimeUnit::Microsecond => {
            Arc::new(TimestampMicrosecondArray::from(values).with_timezone_opt(zone))
        }
        TimeUnit::Nanosecond => {
            Arc::new(TimestampNanosecondArray::from(values).with_timezone_opt(zone))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(written: Option<Written>) -> String {
        written.map_or_else(
            || "none".into(),
            |w| {
                let offset = w.zone.map(|zone| zone.offset_of_local(w.local));
                format!("{} {offset:?} {}", w.local, w.digits)
            },
        )
    }

    #[test]
    fn cast_reads_what_trino_reads() {
        let cases = [
            ("2026-03-01", "2026-03-01 00:00:00 None 0"),
            (" 2026-3-1 4:05 ", "2026-03-01 04:05:00 None 0"),
            ("+2026-3-1", "2026-03-01 00:00:00 None 0"),
            ("2026-03-01 Z", "2026-03-01 00:00:00 Some(0) 0"),
            ("2026-03-01 04:05:06.78", "2026-03-01 04:05:06.780 None 2"),
            ("2026-03-01T04:05:06Z", "none"),
            ("2026-03-01  04:05:06", "none"),
            ("226-03-01", "none"),
            (
                "2026-03-01 04:05:06 +01:00",
                "2026-03-01 04:05:06 Some(3600) 0",
            ),
            (
                "2026-07-01 04:05:06 Europe/Berlin",
                "2026-07-01 04:05:06 Some(7200) 0",
            ),
            ("2026-03-01 04:05:06 Nowhere/City", "none"),
            ("2026-02-30", "none"),
            ("2026-03-01 25:00", "none"),
            ("20260301", "none"),
            ("", "none"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(read(text)), expected, "{text}");
        }
        assert_eq!(read_date("1970-01-02"), Some(1));
        assert_eq!(read_date("1970-01-02 00:00"), None);
        assert_eq!(read_date("+13-1-2 \u{1f}"), read_date("0013-01-02"));
        let shown = |text| {
            let clock = read_time(text)?;
            Some(format!(
                "{} {} {} {:?}",
                clock.time, clock.picos, clock.digits, clock.offset
            ))
        };
        let cases = [
            ("1:2:3.4", Some("01:02:03.400 0 1 None")),
            (
                "01:02:03.123456789012",
                Some("01:02:03.123456789 12 12 None"),
            ),
            ("01:02 -00:30", Some("01:02:00 0 0 Some(-30)")),
            ("01:02:03+14:00", Some("01:02:03 0 0 Some(840)")),
            ("01:02:03+14:01", None),
            ("01:02:03+1:00", None),
            ("01:02:03+01:60", None),
            ("25:00", None),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn iso_dates_are_read_in_all_their_forms() {
        let cases = [
            ("2026", "2026-01-01 00:00:00 None 0"),
            ("2026-03", "2026-03-01 00:00:00 None 0"),
            ("2026-W02-3", "2026-01-07 00:00:00 None 0"),
            ("2026-060", "2026-03-01 00:00:00 None 0"),
            ("2026-03-01T04", "2026-03-01 04:00:00 None 0"),
            ("2026-03-01T04:30.5Z", "2026-03-01 04:30:30 Some(0) 0"),
            (
                "2026-03-01T04:05:06.123456789+0530",
                "2026-03-01 04:05:06.123456789 Some(19800) 9",
            ),
            (
                "2026-03-01T04:05:06-08",
                "2026-03-01 04:05:06 Some(-28800) 0",
            ),
            ("2026-03-01 04:05:06", "none"),
            ("2026-03-01T24:00:00", "none"),
            ("2026-03-01T04:05:06 UTC", "none"),
            ("2026-13-01", "none"),
            ("now", "none"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(read_iso(text)), expected, "{text}");
        }
    }
}
