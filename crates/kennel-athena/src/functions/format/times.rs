//! Dates and times by Java's specifiers: `%tF` and its kin.

use chrono::{DateTime, Datelike, Timelike};

use super::{Moment, Value};
use crate::functions::datetime::zone::Zone;

/// What `%s` shows: ISO 8601, seconds only where they are not zero.
pub(super) fn iso(moment: &Moment) -> String {
    let time = moment.local.time();
    let clock = match (time.second(), time.nanosecond()) {
        (0, 0) => time.format("%H:%M").to_string(),
        (_, 0) => time.format("%H:%M:%S").to_string(),
        (_, nanos) if nanos.is_multiple_of(1_000_000) => time.format("%H:%M:%S%.3f").to_string(),
        (_, nanos) if nanos.is_multiple_of(1000) => time.format("%H:%M:%S%.6f").to_string(),
        _ => time.format("%H:%M:%S%.9f").to_string(),
    };
    match (moment.has_date, moment.has_time) {
        (true, false) => moment.local.format("%Y-%m-%d").to_string(),
        (false, _) => clock,
        (true, true) => {
            let date = moment.local.format("%Y-%m-%d");
            let zone = moment.zone.map(|zone| {
                let offset = zone.iso(moment.utc);
                match zone {
                    Zone::Named(_) => format!("{offset}[{}]", zone.shown()),
                    Zone::Fixed(_) if offset == "Z" => "Z[UTC]".into(),
                    Zone::Fixed(_) => offset,
                }
            });
            format!("{date}T{clock}{}", zone.unwrap_or_default())
        }
    }
}

/// What `%t` takes: a date or time, or milliseconds since 1970.
pub(super) fn moment(value: &Value) -> Option<Moment> {
    match value {
        Value::Moment(moment) => Some(*moment),
        Value::Integer(millis) => {
            let utc = DateTime::from_timestamp_millis(*millis)?.naive_utc();
            Some(Moment {
                local: utc,
                utc,
                zone: Some(Zone::utc()),
                has_date: true,
                has_time: true,
            })
        }
        _ => None,
    }
}

/// A field; `None` where there is none of that letter, or the value does not have it.
pub(super) fn field(letter: char, moment: &Moment) -> Option<String> {
    let time = moment.local;
    let of_clock = "HIklMSLNpRTrzZsQc".contains(letter);
    if of_clock && !moment.has_time || !"HIklMSLNpRTr".contains(letter) && !moment.has_date {
        return None;
    }
    // Of its era.
    let year = time.year_ce().1;
    let hour12 = time.hour12().1;
    let half = if time.hour12().0 { "pm" } else { "am" };
    Some(match letter {
        'Y' => format!("{year:04}"),
        'y' => format!("{:02}", year % 100),
        'C' => format!("{:02}", year / 100),
        'm' => format!("{:02}", time.month()),
        'd' => format!("{:02}", time.day()),
        'e' => time.day().to_string(),
        'j' => format!("{:03}", time.ordinal()),
        'A' => time.format("%A").to_string(),
        'a' => time.format("%a").to_string(),
        'B' => time.format("%B").to_string(),
        'b' | 'h' => time.format("%b").to_string(),
        'F' => time.format("%Y-%m-%d").to_string(),
        'D' => time.format("%m/%d/%y").to_string(),
        'H' => format!("{:02}", time.hour()),
        'I' => format!("{hour12:02}"),
        'k' => time.hour().to_string(),
        'l' => hour12.to_string(),
        'M' => format!("{:02}", time.minute()),
        'S' => format!("{:02}", time.second()),
        'L' => format!("{:03}", time.nanosecond() / 1_000_000),
        'N' => format!("{:09}", time.nanosecond()),
        'p' => half.into(),
        'R' => time.format("%H:%M").to_string(),
        'T' => time.format("%H:%M:%S").to_string(),
        'r' => format!(
            "{hour12:02}:{:02}:{:02} {}",
            time.minute(),
            time.second(),
            half.to_uppercase()
        ),
        'z' => {
            let offset = moment.zone?.offset_at(moment.utc);
            let sign = if offset < 0 { '-' } else { '+' };
            let minutes = offset.abs() / 60;
            format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
        }
        'Z' => moment.zone?.abbreviation(moment.utc),
        's' => moment
            .zone
            .map(|_| moment.utc.and_utc().timestamp())?
            .to_string(),
        'Q' => moment
            .zone
            .map(|_| moment.utc.and_utc().timestamp_millis())?
            .to_string(),
        'c' => {
            let zone = moment.zone?.abbreviation(moment.utc);
            format!(
                "{} {zone} {}",
                time.format("%a %b %d %H:%M:%S"),
                time.year()
            )
        }
        _ => return None,
    })
}
