//! Instants as text: by the rules of `CAST`, and as ISO 8601.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use datafusion::arrow::datatypes::TimeUnit;

use super::zone::Zone;

/// The instant that is `value` units after 1970; `None` beyond the calendar.
pub(crate) fn instant(value: i64, unit: TimeUnit) -> Option<NaiveDateTime> {
    Some(
        match unit {
            TimeUnit::Second => DateTime::from_timestamp(value, 0)?,
            TimeUnit::Millisecond => DateTime::from_timestamp_millis(value)?,
            TimeUnit::Microsecond => DateTime::from_timestamp_micros(value)?,
            TimeUnit::Nanosecond => DateTime::from_timestamp_nanos(value),
        }
        .naive_utc(),
    )
}

/// A date as `CAST(x AS varchar)` writes it: late years have no sign.
pub(crate) fn date(date: NaiveDate) -> String {
    let shown = date.format("%Y-%m-%d").to_string();
    shown.strip_prefix('+').map_or(shown.clone(), str::to_owned)
}

/// A timestamp as `CAST(x AS varchar)` writes it.
///
/// The columns of an Athena table have three digits, and here they may be kept in a finer unit: what
/// is finer than three digits is written only where it is not zero.
pub(crate) fn timestamp(value: i64, unit: TimeUnit, zone: Option<Zone>) -> String {
    let Some(utc) = instant(value, unit) else {
        return value.to_string();
    };
    let time = zone.map_or(utc, |zone| zone.local(utc));
    let nanos = time.and_utc().timestamp_subsec_nanos();
    let form = match unit {
        TimeUnit::Second => "%H:%M:%S",
        _ if nanos.is_multiple_of(1_000_000) => "%H:%M:%S%.3f",
        _ if nanos.is_multiple_of(1000) => "%H:%M:%S%.6f",
        _ => "%H:%M:%S%.9f",
    };
    let (date, clock) = (date(time.date()), time.format(form));
    match zone {
        Some(zone) => format!("{date} {clock} {}", zone.shown()),
        None => format!("{date} {clock}"),
    }
}

/// A time of day as `CAST(x AS varchar)` writes it.
pub(crate) fn time(time: NaiveTime, unit: TimeUnit) -> String {
    let form = match unit {
        TimeUnit::Second => "%H:%M:%S",
        _ if time.nanosecond().is_multiple_of(1_000_000) => "%H:%M:%S%.3f",
        _ if time.nanosecond().is_multiple_of(1000) => "%H:%M:%S%.6f",
        _ => "%H:%M:%S%.9f",
    };
    time.format(form).to_string()
}

/// A timestamp as `to_iso8601` writes it.
pub(super) fn iso(value: i64, unit: TimeUnit, zone: Option<Zone>) -> String {
    let Some((utc, zone)) = instant(value, unit).zip(zone) else {
        return timestamp(value, unit, None).replacen(' ', "T", 1);
    };
    let shown = timestamp(value, unit, Some(zone));
    // The zone's name gives way to its offset.
    let local = shown.split(' ').take(2).collect::<Vec<_>>().join("T");
    local + &zone.iso(utc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_the_unit_and_the_value() {
        let second = 1_772_338_506;
        let cases = [
            (second, TimeUnit::Second, "2026-03-01 04:15:06 UTC"),
            (
                second * 1000,
                TimeUnit::Millisecond,
                "2026-03-01 04:15:06.000 UTC",
            ),
            (
                second * 1_000_000 + 120_000,
                TimeUnit::Microsecond,
                "2026-03-01 04:15:06.120 UTC",
            ),
            (
                second * 1_000_000 + 1,
                TimeUnit::Microsecond,
                "2026-03-01 04:15:06.000001 UTC",
            ),
            (-1, TimeUnit::Millisecond, "1969-12-31 23:59:59.999 UTC"),
            (
                400_000_000_000,
                TimeUnit::Second,
                "14645-06-30 15:06:40 UTC",
            ),
        ];
        for (value, unit, expected) in cases {
            assert_eq!(timestamp(value, unit, Some(Zone::utc())), expected);
        }
        assert_eq!(
            iso(0, TimeUnit::Millisecond, Some(Zone::utc())),
            "1970-01-01T00:00:00.000Z"
        );
        let berlin = Zone::read("Europe/Berlin");
        assert_eq!(
            iso(0, TimeUnit::Second, berlin),
            "1970-01-01T01:00:00+01:00"
        );
        assert_eq!(
            timestamp(0, TimeUnit::Second, berlin),
            "1970-01-01 01:00:00 Europe/Berlin"
        );
    }
}
