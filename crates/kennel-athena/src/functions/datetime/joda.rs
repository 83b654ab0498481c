//! Dates and times by Joda's patterns: `format_datetime` and `parse_datetime`.
//!
//! A quote that opens at the end of a pattern and never closes is accepted, as in Athena: AWS's own
//! examples write `'yyyy-MM-dd''T''HH:mm:ss''Z'`.
//!
//! Source: Trino manual, "Date and time functions", section "Java date functions"; Joda's DateTimeFormat.

use std::sync::Arc;

use chrono::{Datelike, NaiveDateTime, Timelike};
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, StringBuilder},
        datatypes::TimeUnit,
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    moment::Moments,
    patterns::{Fields, MONTHS, WEEKDAYS, name, number, read_by_pattern},
    text_to_time,
    zone::Zone,
};
use crate::{
    functions::scalar::{Call, Kind, Spec, varchar},
    types::{UTC, zoned},
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        Spec::new(
            "format_datetime",
            &[Kind::Moment, Kind::Text],
            varchar,
            format_datetime,
        ),
        Spec::new(
            "parse_datetime",
            &[Kind::Text, Kind::Text],
            |_| Ok(zoned()),
            parse_datetime,
        ),
    ]
    .map(Spec::build)
    .into()
}

/// A piece of a pattern: text as it is, or a letter and how often it is repeated.
pub(super) enum Piece {
    Literal(String),
    Field(char, usize),
}

impl Piece {
    /// Is this field written in digits?
    fn is_number(&self) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Field('M', count) => *count < 3,
            Self::Field(letter, _) => !"EaGzZ".contains(*letter),
        }
    }
}

fn pieces(pattern: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\'' {
            if characters.next_if_eq(&'\'').is_some() {
                literal.push('\'');
                continue;
            }
            while let Some(quoted) = characters.next() {
                if quoted != '\'' {
                    literal.push(quoted);
                } else if characters.next_if_eq(&'\'').is_some() {
                    literal.push('\'');
                } else {
                    break;
                }
            }
        } else if character.is_ascii_alphabetic() {
            if !"GCyYxwMdDEeaHhKkmsSzZ".contains(character) {
                return exec_err!("Illegal pattern component: {character}");
            }
            let mut count = 1;
            while characters.next_if_eq(&character).is_some() {
                count += 1;
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Field(character, count));
        } else {
            literal.push(character);
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

pub(super) fn formatted(utc: NaiveDateTime, zone: Zone, pieces: &[Piece], out: &mut String) {
    use std::fmt::Write;
    let time = zone.local(utc);
    let (is_pm, hour12) = time.hour12();
    for piece in pieces {
        let (letter, width) = match piece {
            Piece::Literal(text) => {
                out.push_str(text);
                continue;
            }
            Piece::Field(letter, width) => (*letter, *width),
        };
        // Writing to a String does not fail.
        let _ = match letter {
            'y' | 'Y' | 'x' => {
                let year = if letter == 'x' {
                    time.iso_week().year()
                } else {
                    time.year()
                };
                if width == 2 {
                    write!(out, "{:02}", year.rem_euclid(100))
                } else {
                    write!(out, "{year:0width$}")
                }
            }
            'M' => {
                let month = MONTHS[time.month0() as usize];
                match width {
                    1 | 2 => write!(out, "{:0width$}", time.month()),
                    3 => write!(out, "{}", &month[..3]),
                    _ => write!(out, "{month}"),
                }
            }
            'E' => {
                let day = WEEKDAYS[time.weekday().num_days_from_monday() as usize];
                write!(out, "{}", if width > 3 { day } else { &day[..3] })
            }
            'G' => write!(out, "{}", if time.year() > 0 { "AD" } else { "BC" }),
            'C' => write!(out, "{:0width$}", time.year().abs() / 100),
            'a' => write!(out, "{}", if is_pm { "PM" } else { "AM" }),
            'S' => {
                let nanos = format!("{:09}", time.nanosecond() % 1_000_000_000);
                let shown = &nanos[..width.min(9)];
                write!(out, "{shown:0<width$}")
            }
            'z' => write!(out, "{}", zone.abbreviation(utc)),
            'Z' if width > 2 => write!(out, "{}", zone.shown()),
            'Z' => {
                let offset = zone.offset_at(utc);
                let sign = if offset < 0 { '-' } else { '+' };
                let minutes = offset.abs() / 60;
                let colon = if width == 2 { ":" } else { "" };
                write!(out, "{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
            }
            other => {
                let number = match other {
                    'w' => time.iso_week().week(),
                    'd' => time.day(),
                    'D' => time.ordinal(),
                    'e' => time.weekday().number_from_monday(),
                    'H' => time.hour(),
                    'k' if time.hour() == 0 => 24,
                    'k' => time.hour(),
                    'h' => hour12,
                    'K' => hour12 % 12,
                    'm' => time.minute(),
                    _ => time.second(),
                };
                write!(out, "{number:0width$}")
            }
        };
    }
}

fn format_datetime(call: &Call) -> Result<ArrayRef> {
    let moments = Moments::new(&call.args[0])?;
    let patterns = call.text(1);
    let constant = call.constant_text(1).flatten().map(pieces).transpose()?;
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    let mut text = String::new();
    for row in 0..call.rows {
        let Some(utc) = moments.instant(row).filter(|_| patterns.is_valid(row)) else {
            result.append_null();
            continue;
        };
        text.clear();
        match &constant {
            Some(pieces) => formatted(utc, moments.zone(), pieces, &mut text),
            None => formatted(
                utc,
                moments.zone(),
                &pieces(patterns.value(row))?,
                &mut text,
            ),
        }
        result.append_value(&text);
    }
    Ok(Arc::new(result.finish()))
}

/// Reads one field; `most` digits at most.
fn read_field(
    (letter, width): (char, usize),
    most: usize,
    text: &mut &str,
    fields: &mut Fields,
    offset: &mut Option<String>,
) -> Option<()> {
    match letter {
        'y' | 'Y' => {
            let before = text.len();
            let negative = text.starts_with('-');
            if negative {
                *text = &text[1..];
            }
            let year = i32::try_from(number(text, most)?).ok()?;
            // Two digits are a year within fifty of now; the pivot stands still here.
            let two_digits = width == 2 && before - text.len() == 2;
            fields.year = Some(match year {
                year if negative => -year,
                year if two_digits && year < 70 => 2000 + year,
                year if two_digits => 1900 + year,
                year => year,
            });
        }
        'M' if width > 3 => fields.month = Some(name(text, &MONTHS, false)? + 1),
        'M' if width == 3 => fields.month = Some(name(text, &MONTHS, true)? + 1),
        'M' => fields.month = Some(number(text, most)?),
        'd' => fields.day = Some(number(text, most)?),
        'D' => fields.ordinal = Some(number(text, most)?),
        'H' | 'k' => {
            let hour = number(text, most)?;
            fields.hour = Some(if letter == 'k' && hour == 24 { 0 } else { hour });
        }
        'h' | 'K' => {
            let hour = number(text, most)?;
            fields.hour12 = Some(if hour == 0 { 12 } else { hour });
        }
        'm' => fields.minute = number(text, most)?,
        's' => fields.second = number(text, most)?,
        'S' => {
            let digits = text
                .bytes()
                .take(most.min(9))
                .take_while(u8::is_ascii_digit)
                .count();
            let value: u32 = text.get(..digits)?.parse().ok()?;
            fields.nanos = value * 10_u32.pow(u32::try_from(9 - digits).ok()?);
            let all = text
                .bytes()
                .take(most)
                .take_while(u8::is_ascii_digit)
                .count();
            *text = &text[all..];
        }
        'G' => _ = name(text, &["BC ", "AD "].map(|n| &n[..2]), false)?,
        'a' => fields.is_pm = name(text, &["AM", "PM"], false)? == 1,
        'E' if width > 3 => fields.weekday = Some(name(text, &WEEKDAYS, false)? + 1),
        'E' => fields.weekday = Some(name(text, &WEEKDAYS, true)? + 1),
        'x' => fields.week_year = i32::try_from(number(text, most)?).ok(),
        'w' => fields.week = Some(number(text, most)?),
        'e' => fields.weekday = Some(number(text, most)?),
        'z' | 'Z' => {
            let is_zone = |c: char| c.is_ascii_alphanumeric() || "+-:/_".contains(c);
            let length = text.find(|c| !is_zone(c)).unwrap_or(text.len());
            *offset = Some(
                text.get(..length)
                    .filter(|zone| !zone.is_empty())?
                    .to_owned(),
            );
            *text = &text[length..];
        }
        _ => _ = number(text, most)?,
    }
    Some(())
}

/// The zone that a text names where its pattern has one.
pub(crate) fn zone_in(text: &str, pattern: &str) -> Option<Zone> {
    read(text, &pieces(pattern).ok()?)?.1
}

/// The moment in UTC.
pub(super) fn parsed(text: &str, pieces: &[Piece]) -> Option<NaiveDateTime> {
    let (local, zone) = read(text, pieces)?;
    Some(zone.map_or(local, |zone| zone.instant(local)))
}

fn read(text: &str, pieces: &[Piece]) -> Option<(NaiveDateTime, Option<Zone>)> {
    let mut rest = text;
    let mut fields = Fields::default();
    let mut zone = None;
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
            Piece::Field(letter, width) => {
                // Digits that follow at once belong to the next field.
                let most = match letter {
                    'S' => *width,
                    _ if pieces.get(index + 1).is_some_and(Piece::is_number) => *width,
                    'y' | 'Y' | 'x' => 9,
                    'D' => 3,
                    _ => 2.max(*width),
                };
                read_field((*letter, *width), most, &mut rest, &mut fields, &mut zone)?;
            }
        }
    }
    if !rest.is_empty() {
        return None;
    }
    let zone = match zone {
        Some(zone) => Some(Zone::read(&zone)?),
        None => None,
    };
    Some((fields.moment()?, zone))
}

fn parse_datetime(call: &Call) -> Result<ArrayRef> {
    let values = read_by_pattern(call, pieces, |text, pieces| parsed(text, pieces))?;
    let zone = UTC.into();
    Ok(text_to_time::array(
        values,
        TimeUnit::Millisecond,
        Some(&zone),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_may_stay_open_at_the_end() {
        let time = parsed(
            "2026-03-01T04:05:06Z",
            &pieces("yyyy-MM-dd'T'HH:mm:ss'Z").unwrap(),
        );
        assert_eq!(time.unwrap().to_string(), "2026-03-01 04:05:06");
        let doubled = pieces("yyyy''MM").unwrap();
        assert_eq!(
            parsed("2026'03", &doubled).unwrap().to_string(),
            "2026-03-01 00:00:00"
        );
    }

    #[test]
    fn fields_without_sign_between_keep_to_their_widths() {
        let pieces = pieces("yyyyMMddHHmmssSSS Z").unwrap();
        let time = parsed("20260301040506789 +0130", &pieces).unwrap();
        assert_eq!(time.to_string(), "2026-03-01 02:35:06.789");
        let mut text = String::new();
        formatted(time, Zone::utc(), &pieces, &mut text);
        assert_eq!(text, "20260301023506789 +0000");
        assert!(
            parsed("2026030104050678 +0130", &pieces).is_some(),
            "two digits of a second"
        );
        assert!(parsed("20260301040506789", &pieces).is_none());
    }

    #[test]
    fn unknown_letters_are_errors() {
        assert!(pieces("yyyy-bb").is_err());
        assert!(parsed("2026-13", &pieces("yyyy-MM").unwrap()).is_none());
    }
}
