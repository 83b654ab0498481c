//! Dates and times by patterns: MySQL's in `date_format` and `date_parse`.
//!
//! Source: Trino manual, "Date and time functions", section "MySQL date functions".

use std::sync::Arc;

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, StringBuilder},
        datatypes::{DataType, TimeUnit},
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{moment::Moments, text_to_time};
use crate::functions::scalar::{Call, Kind, Spec, varchar};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let timestamp = |_: &[DataType]| Ok(DataType::Timestamp(TimeUnit::Millisecond, None));
    [
        Spec::new(
            "date_format",
            &[Kind::Moment, Kind::Text],
            varchar,
            date_format,
        ),
        Spec::new(
            "date_parse",
            &[Kind::Text, Kind::Text],
            timestamp,
            date_parse,
        ),
    ]
    .map(Spec::build)
    .into()
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// A piece of a pattern: a character as it is, or a specifier.
enum Piece {
    Literal(char),
    Field(char),
}

/// Takes a pattern apart.
///
/// # Errors
/// An execution error for the specifiers that Trino does not have (`%D %U %u %V %w %X`).
fn pieces(pattern: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            pieces.push(Piece::Literal(character));
            continue;
        }
        match characters.next() {
            Some(c) if "DUuVwX".contains(c) => {
                return exec_err!("%{c} not supported in date format string");
            }
            Some('T') => pieces.extend("H:i:s".chars().map(field_or_sign)),
            Some('r') => pieces.extend("h:i:s p".chars().map(field_or_sign)),
            Some(c) if "aBbcdefHhIijklMmpSsvWYxy".contains(c) => pieces.push(Piece::Field(c)),
            Some(c) => pieces.push(Piece::Literal(c)),
            None => return exec_err!("Invalid date format: {pattern}"),
        }
    }
    Ok(pieces)
}

fn field_or_sign(character: char) -> Piece {
    if character.is_alphabetic() {
        Piece::Field(character)
    } else {
        Piece::Literal(character)
    }
}

fn formatted(time: NaiveDateTime, pieces: &[Piece], out: &mut String) {
    use std::fmt::Write;
    let weekday = WEEKDAYS[time.weekday().num_days_from_monday() as usize];
    let month = MONTHS[time.month0() as usize];
    let (is_pm, hour12) = time.hour12();
    for piece in pieces {
        let field = match piece {
            Piece::Literal(character) => {
                out.push(*character);
                continue;
            }
            Piece::Field(field) => field,
        };
        // Writing to a String does not fail.
        let _ = match field {
            'a' => write!(out, "{}", &weekday[..3]),
            'W' => write!(out, "{weekday}"),
            'b' => write!(out, "{}", &month[..3]),
            'M' => write!(out, "{month}"),
            'c' => write!(out, "{}", time.month()),
            'm' => write!(out, "{:02}", time.month()),
            'd' => write!(out, "{:02}", time.day()),
            'e' => write!(out, "{}", time.day()),
            // Trino cuts the time to milliseconds first.
            'f' => write!(
                out,
                "{:03}000",
                time.nanosecond() % 1_000_000_000 / 1_000_000
            ),
            'H' => write!(out, "{:02}", time.hour()),
            'k' => write!(out, "{}", time.hour()),
            'h' | 'I' => write!(out, "{hour12:02}"),
            'l' => write!(out, "{hour12}"),
            'i' => write!(out, "{:02}", time.minute()),
            'j' => write!(out, "{:03}", time.ordinal()),
            'p' => write!(out, "{}", if is_pm { "PM" } else { "AM" }),
            'S' | 's' => write!(out, "{:02}", time.second()),
            'v' => write!(out, "{:02}", time.iso_week().week()),
            'x' => write!(out, "{:04}", time.iso_week().year()),
            'Y' => write!(out, "{:04}", time.year()),
            'y' => write!(out, "{:02}", time.year().rem_euclid(100)),
            other => write!(out, "{other}"),
        };
    }
}

fn date_format(call: &Call) -> Result<ArrayRef> {
    let moments = Moments::new(&call.args[0])?;
    let patterns = call.text(1);
    let constant = constant_pieces(call, 1)?;
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    let mut text = String::new();
    for row in 0..call.rows {
        let Some(time) = moments.get(row).filter(|_| patterns.is_valid(row)) else {
            result.append_null();
            continue;
        };
        text.clear();
        match &constant {
            Some(pieces) => formatted(time, pieces, &mut text),
            None => formatted(time, &pieces(patterns.value(row))?, &mut text),
        }
        result.append_value(&text);
    }
    Ok(Arc::new(result.finish()))
}

fn constant_pieces(call: &Call, index: usize) -> Result<Option<Vec<Piece>>> {
    call.constant_text(index).flatten().map(pieces).transpose()
}

/// What was read so far.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) year: Option<i32>,
    pub(super) month: Option<u32>,
    pub(super) day: Option<u32>,
    pub(super) ordinal: Option<u32>,
    /// The year of the week, and the week in it.
    pub(super) week_year: Option<i32>,
    pub(super) week: Option<u32>,
    /// Monday is 1.
    pub(super) weekday: Option<u32>,
    pub(super) hour: Option<u32>,
    pub(super) hour12: Option<u32>,
    pub(super) is_pm: bool,
    pub(super) minute: u32,
    pub(super) second: u32,
    pub(super) nanos: u32,
}

impl Fields {
    /// The moment; what was not given is that of 1970-01-01 00:00.
    pub(super) fn moment(&self) -> Option<NaiveDateTime> {
        let year = self.year.unwrap_or(1970);
        let date = match (self.ordinal, self.week) {
            (Some(ordinal), _) => NaiveDate::from_yo_opt(year, ordinal)?,
            (None, Some(week)) if self.day.is_none() => {
                let weekday = u8::try_from(self.weekday.unwrap_or(1).checked_sub(1)?).ok()?;
                let weekday = chrono::Weekday::try_from(weekday).ok()?;
                NaiveDate::from_isoywd_opt(self.week_year.unwrap_or(year), week, weekday)?
            }
            _ => NaiveDate::from_ymd_opt(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?,
        };
        let hour = match (self.hour, self.hour12) {
            (Some(hour), _) => hour,
            (None, Some(hour)) if (1..=12).contains(&hour) => {
                hour % 12 + if self.is_pm { 12 } else { 0 }
            }
            (None, Some(_)) => return None,
            (None, None) => 0,
        };
        date.and_hms_nano_opt(hour, self.minute, self.second, self.nanos)
    }
}

/// Digits at the beginning: at least one, at most `most`.
pub(super) fn number(text: &mut &str, most: usize) -> Option<u32> {
    let length = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    let number = text.get(..length)?.parse().ok()?;
    *text = &text[length..];
    Some(number)
}

/// One of `names` at the beginning, whole or its first three letters, in any letter case.
pub(super) fn name(text: &mut &str, names: &[&str], short: bool) -> Option<u32> {
    let position = names.iter().position(|name| {
        let name = if short { &name[..3] } else { name };
        text.get(..name.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(name))
    })?;
    let length = if short { 3 } else { names[position].len() };
    *text = &text[length..];
    u32::try_from(position).ok()
}

fn read_field(field: char, text: &mut &str, fields: &mut Fields) -> Option<()> {
    match field {
        'Y' => {
            let negative = text.starts_with('-');
            if negative {
                *text = &text[1..];
            }
            let year = i32::try_from(number(text, 4)?).ok()?;
            fields.year = Some(if negative { -year } else { year });
        }
        'y' => {
            // MySQL's pivot: 70 and later are of the last century.
            let year = i32::try_from(number(text, 2)?).ok()?;
            fields.year = Some(if year < 70 { 2000 + year } else { 1900 + year });
        }
        'm' | 'c' => fields.month = Some(number(text, 2)?),
        'b' => fields.month = Some(name(text, &MONTHS, true)? + 1),
        'M' => fields.month = Some(name(text, &MONTHS, false)? + 1),
        'd' | 'e' => fields.day = Some(number(text, 2)?),
        'j' => fields.ordinal = Some(number(text, 3)?),
        'H' | 'k' => fields.hour = Some(number(text, 2)?),
        'h' | 'I' | 'l' => fields.hour12 = Some(number(text, 2)?),
        'i' => fields.minute = number(text, 2)?,
        's' | 'S' => fields.second = number(text, 2)?,
        'f' => {
            let digits = text.bytes().take_while(u8::is_ascii_digit);
            let length = digits.take(9).count();
            let value: u32 = text.get(..length)?.parse().ok()?;
            fields.nanos = value * 10_u32.pow(u32::try_from(9 - length).ok()?);
            *text = &text[length..];
        }
        'p' => fields.is_pm = name(text, &["AM ", "PM "].map(|n| &n[..2]), false)? == 1,
        'a' => fields.weekday = Some(name(text, &WEEKDAYS, true)? + 1),
        'W' => fields.weekday = Some(name(text, &WEEKDAYS, false)? + 1),
        'x' => fields.week_year = i32::try_from(number(text, 4)?).ok(),
        'v' => fields.week = Some(number(text, 2)?),
        _ => return None,
    }
    Some(())
}

fn parsed(text: &str, pieces: &[Piece]) -> Option<NaiveDateTime> {
    let mut rest = text;
    let mut fields = Fields::default();
    for piece in pieces {
        match piece {
            Piece::Literal(character) => rest = rest.strip_prefix(*character)?,
            Piece::Field(field) => read_field(*field, &mut rest, &mut fields)?,
        }
    }
    if !rest.is_empty() {
        return None;
    }
    fields.moment()
}

fn date_parse(call: &Call) -> Result<ArrayRef> {
    let values = read_by_pattern(call, pieces, |text, pieces| parsed(text, pieces))?;
    Ok(text_to_time::array(values, TimeUnit::Millisecond, None))
}

/// Milliseconds since 1970 of the texts in argument 0 by the patterns in argument 1.
///
/// A constant pattern is read once. A text that does not match is an error, as in Athena.
pub(super) fn read_by_pattern<P>(
    call: &Call,
    pieces: impl Fn(&str) -> Result<P>,
    parsed: impl Fn(&str, &P) -> Option<NaiveDateTime>,
) -> Result<Vec<Option<i64>>> {
    let (texts, patterns) = (call.text(0), call.text(1));
    let constant = call.constant_text(1).flatten().map(&pieces).transpose()?;
    let mut values = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if texts.is_null(row) || patterns.is_null(row) {
            values.push(None);
            continue;
        }
        let text = texts.value(row);
        let time = match &constant {
            Some(pieces) => parsed(text, pieces),
            None => parsed(text, &pieces(patterns.value(row))?),
        };
        let Some(time) = time else {
            return exec_err!(
                "Invalid format: \"{text}\" does not match '{}'",
                patterns.value(row)
            );
        };
        values.push(Some(time.and_utc().timestamp_millis()));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_they_are_written() {
        let time = NaiveDate::from_ymd_opt(2026, 3, 1)
            .unwrap()
            .and_hms_micro_opt(16, 5, 9, 120_000)
            .unwrap();
        for pattern in [
            "%Y-%m-%d %H:%i:%s.%f",
            "%e %M %Y, %l:%i:%S.%f %p",
            "%y%j %T.%f",
            "%a %b %d %r.%f %Y",
        ] {
            let pieces = pieces(pattern).unwrap();
            let mut text = String::new();
            formatted(time, &pieces, &mut text);
            assert_eq!(parsed(&text, &pieces), Some(time), "{pattern}: {text}");
        }
        assert!(pieces("%D").is_err());
        assert!(parsed("2026-02-30", &pieces("%Y-%m-%d").unwrap()).is_none());
        assert!(parsed("2026-02-20x", &pieces("%Y-%m-%d").unwrap()).is_none());
        let week = parsed("1998 53", &pieces("%x %v").unwrap());
        assert_eq!(week.unwrap().to_string(), "1998-12-28 00:00:00");
        assert!(parsed("3.0123456789", &pieces("%s.%f").unwrap()).is_none());
    }
}
