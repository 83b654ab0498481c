//! Dates in partition values: Java's patterns (`yyyy/MM/dd`), and the ranges of partition projection.
//!
//! Source: Athena user guide, "Supported types for partition projection", "Date type".

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, TimeDelta, Timelike, Utc};

/// A pattern, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DateFormat {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// A letter of the pattern and how often it stands there.
    Field(char, usize),
    Literal(String),
}

/// How far apart projected partitions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    Seconds,
    Minutes,
    Hours,
    Days,
    Weeks,
    Months,
    Years,
}

impl Unit {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        Some(match text.trim_end_matches('S') {
            "SECOND" => Self::Seconds,
            "MINUTE" => Self::Minutes,
            "HOUR" => Self::Hours,
            "DAY" => Self::Days,
            "WEEK" => Self::Weeks,
            "MONTH" => Self::Months,
            "YEAR" => Self::Years,
            _ => return None,
        })
    }

    /// Its length, if it always has the same.
    fn seconds(self) -> Option<i64> {
        Some(match self {
            Self::Seconds => 1,
            Self::Minutes => 60,
            Self::Hours => 3_600,
            Self::Days => 86_400,
            Self::Weeks => 604_800,
            Self::Months | Self::Years => return None,
        })
    }

    /// This many later, or earlier; `None` beyond the calendar.
    fn later(self, at: NaiveDateTime, count: i64) -> Option<NaiveDateTime> {
        if let Some(seconds) = self.seconds() {
            return at.checked_add_signed(TimeDelta::try_seconds(count.checked_mul(seconds)?)?);
        }
        let months = match self {
            Self::Years => count.checked_mul(12)?,
            _ => count,
        };
        let size = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
        match months < 0 {
            true => at.checked_sub_months(size),
            false => at.checked_add_months(size),
        }
    }
}

const MONTHS: [&str; 12] = [
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

impl DateFormat {
    /// Reads a pattern.
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut chars = pattern.chars().peekable();
        let push_literal = |parts: &mut Vec<Part>, text: &str| match parts.last_mut() {
            Some(Part::Literal(before)) => before.push_str(text),
            _ => parts.push(Part::Literal(text.into())),
        };
        while let Some(ch) = chars.next() {
            match ch {
                '\'' => {
                    let mut text = String::new();
                    loop {
                        match chars.next() {
                            Some('\'') if chars.next_if_eq(&'\'').is_some() => text.push('\''),
                            Some('\'') | None => break,
                            Some(ch) => text.push(ch),
                        }
                    }
                    let text = if text.is_empty() { "'" } else { &text };
                    push_literal(&mut parts, text);
                }
                'y' | 'u' | 'M' | 'd' | 'H' | 'm' | 's' => {
                    let mut count = 1;
                    while chars.next_if_eq(&ch).is_some() {
                        count += 1;
                    }
                    parts.push(Part::Field(ch, count));
                }
                ch if ch.is_ascii_alphabetic() => {
                    return Err(format!(
                        "`{ch}` of the date format `{pattern}` is not known"
                    ));
                }
                ch => push_literal(&mut parts, ch.encode_utf8(&mut [0; 4])),
            }
        }
        match parts.iter().any(|part| matches!(part, Part::Field(..))) {
            true => Ok(Self { parts }),
            false => Err(format!("`{pattern}` is no date format")),
        }
    }

    /// A regular expression for its values, without groups.
    pub(super) fn regex(&self) -> String {
        let part = |part: &Part| match part {
            Part::Literal(text) => regex::escape(text),
            Part::Field('y' | 'u', 2) => r"\d{2}".into(),
            Part::Field('y' | 'u', _) => r"\d{4}".into(),
            Part::Field('M', 3..) => "[A-Za-z]+".into(),
            Part::Field(_, 1) => r"\d{1,2}".into(),
            Part::Field(_, width) => format!(r"\d{{{width}}}"),
        };
        self.parts.iter().map(part).collect()
    }

    /// Reads a value; what the pattern leaves out begins.
    pub(super) fn read(&self, text: &str) -> Option<NaiveDateTime> {
        let mut rest = text;
        let (mut year, mut month, mut day) = (1970, 1, 1);
        let (mut hour, mut minute, mut second) = (0, 0, 0);
        for part in &self.parts {
            let (letter, width) = match part {
                Part::Literal(text) => {
                    rest = rest.strip_prefix(text.as_str())?;
                    continue;
                }
                Part::Field(letter, width) => (*letter, *width),
            };
            if letter == 'M' && width >= 3 {
                let length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
                let name = rest[..length].to_ascii_lowercase();
                let is_it = |known: &&str| match width {
                    3 => known[..3].eq_ignore_ascii_case(&name),
                    _ => known.eq_ignore_ascii_case(&name),
                };
                month = u32::try_from(MONTHS.iter().position(is_it)?).ok()? + 1;
                rest = &rest[length..];
                continue;
            }
            let most = match (letter, width) {
                ('y' | 'u', 2) => 2,
                ('y' | 'u', _) => 4,
                (_, 1) => 2,
                (_, width) => width,
            };
            let length = rest
                .bytes()
                .take(most)
                .take_while(u8::is_ascii_digit)
                .count();
            let number: u32 = rest[..length].parse().ok()?;
            rest = &rest[length..];
            match letter {
                'y' | 'u' if width == 2 => year = 2000 + number,
                'y' | 'u' => year = number,
                'M' => month = number,
                'd' => day = number,
                'H' => hour = number,
                'm' => minute = number,
                _ => second = number,
            }
        }
        let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        rest.is_empty()
            .then(|| date.and_hms_opt(hour, minute, second))?
    }

    /// The smallest unit that it tells apart.
    pub(super) fn finest(&self) -> Unit {
        let unit = |part: &Part| match part {
            Part::Field('y' | 'u', _) => Some(Unit::Years),
            Part::Field('M', _) => Some(Unit::Months),
            Part::Field('d', _) => Some(Unit::Days),
            Part::Field('H', _) => Some(Unit::Hours),
            Part::Field('m', _) => Some(Unit::Minutes),
            Part::Field(..) => Some(Unit::Seconds),
            Part::Literal(_) => None,
        };
        self.parts
            .iter()
            .filter_map(unit)
            .min()
            .unwrap_or(Unit::Days)
    }
}

/// The dates that a column is projected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DateRange {
    format: DateFormat,
    from: NaiveDateTime,
    until: NaiveDateTime,
    interval: i64,
    unit: Unit,
}

impl DateRange {
    /// Reads `projection.*.format`, `range`, `interval` and `interval.unit`.
    pub(super) fn parse(
        format: &str,
        range: &str,
        interval: Option<&str>,
        unit: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Self, String> {
        let format = DateFormat::parse(format)?;
        let ends = range.split(',').map(str::trim).collect::<Vec<_>>();
        let [from, until] = ends.as_slice() else {
            return Err(format!("the range `{range}` has not two ends"));
        };
        let end = |text: &str| {
            relative(text, now)
                .or_else(|| format.read(text))
                .ok_or_else(|| format!("`{text}` is no end of a range of dates"))
        };
        let unit = match unit {
            Some(text) => {
                Unit::parse(text).ok_or_else(|| format!("`{text}` is no unit of time"))?
            }
            None => format.finest(),
        };
        let interval = match interval.map(|text| text.trim().parse::<i64>()) {
            None => 1,
            Some(Ok(interval)) if interval > 0 => interval,
            Some(_) => return Err("an interval is a number above 0".into()),
        };
        let (from, until) = (floor(end(from)?, unit), end(until)?);
        Ok(Self {
            format,
            from,
            until,
            interval,
            unit,
        })
    }

    pub(super) fn regex(&self) -> String {
        self.format.regex()
    }

    /// Whether a value is one of those projected.
    pub(super) fn admits(&self, value: &str) -> bool {
        let Some(at) = self.format.read(value) else {
            return false;
        };
        if at < self.from || at > self.until {
            return false;
        }
        if self.interval == 1 && self.unit <= self.format.finest() {
            return true;
        }
        let steps = match self.unit.seconds() {
            Some(seconds) => (at - self.from).num_seconds() / seconds / self.interval,
            None => {
                let months = |at: NaiveDateTime| i64::from(at.year()) * 12 + i64::from(at.month0());
                let length = if self.unit == Unit::Years { 12 } else { 1 };
                (months(at) - months(self.from)) / length / self.interval
            }
        };
        let projected = self.unit.later(self.from, steps * self.interval);
        // What the format cannot tell apart is the same partition.
        projected.is_some_and(|projected| floor(projected, self.format.finest()) == at)
    }
}

/// `NOW`, `NOW-3YEARS`, `NOW+2DAYS`.
fn relative(text: &str, now: DateTime<Utc>) -> Option<NaiveDateTime> {
    let text = text.to_ascii_uppercase();
    let rest = text.strip_prefix("NOW")?.trim();
    if rest.is_empty() {
        return Some(now.naive_utc());
    }
    let sign = match rest.chars().next()? {
        '-' => -1,
        '+' => 1,
        _ => return None,
    };
    let rest = rest[1..].trim();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let count: i64 = rest[..digits].parse().ok()?;
    Unit::parse(&rest[digits..])?.later(now.naive_utc(), sign * count)
}

/// The beginning of the unit that an instant lies in; weeks are counted in days.
fn floor(at: NaiveDateTime, unit: Unit) -> NaiveDateTime {
    let whole = match unit {
        Unit::Seconds => at.with_nanosecond(0),
        Unit::Minutes => at.with_nanosecond(0).and_then(|at| at.with_second(0)),
        Unit::Hours => at.date().and_hms_opt(at.hour(), 0, 0),
        Unit::Days | Unit::Weeks => at.date().and_hms_opt(0, 0, 0),
        Unit::Months => at
            .date()
            .with_day(1)
            .and_then(|day| day.and_hms_opt(0, 0, 0)),
        Unit::Years => {
            NaiveDate::from_ymd_opt(at.year(), 1, 1).and_then(|day| day.and_hms_opt(0, 0, 0))
        }
    };
    whole.unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str, text: &str) -> Option<String> {
        let at = DateFormat::parse(pattern).unwrap().read(text)?;
        Some(at.format("%Y-%m-%d %H:%M:%S").to_string())
    }

    #[test]
    fn values_are_read_by_javas_patterns() {
        for (pattern, text, expected) in [
            ("yyyy/MM/dd", "2024/01/31", "2024-01-31 00:00:00"),
            ("yyyyMMdd", "20240131", "2024-01-31 00:00:00"),
            ("yyyy-MM-dd-HH", "2024-01-31-07", "2024-01-31 07:00:00"),
            (
                "yyyy-MM-dd'T'HH:mm:ss",
                "2024-01-31T07:08:09",
                "2024-01-31 07:08:09",
            ),
            ("d-MMM-yy", "3-jan-24", "2024-01-03 00:00:00"),
            ("MMMM yyyy", "March 2024", "2024-03-01 00:00:00"),
            ("yyyy/M/d", "2024/1/31", "2024-01-31 00:00:00"),
            ("yyyy", "2024", "2024-01-01 00:00:00"),
        ] {
            assert_eq!(read(pattern, text).as_deref(), Some(expected), "{pattern}");
            let regex = format!("^{}$", DateFormat::parse(pattern).unwrap().regex());
            assert!(regex::Regex::new(&regex).unwrap().is_match(text), "{regex}");
        }
        for (pattern, text) in [
            ("yyyy/MM/dd", "2024/02/30"),
            ("yyyy/MM/dd", "2024/01/31x"),
            ("yyyy/MM/dd", "2024-01-31"),
            ("MMM", "foo"),
        ] {
            assert_eq!(read(pattern, text), None, "{pattern} {text}");
        }
        for pattern in ["", "-", "yyyy-QQ"] {
            assert!(DateFormat::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_range_admits_what_it_projects() {
        let now = "2024-03-10T12:30:00Z".parse().unwrap();
        let range = |format: &str, range: &str, interval, unit| {
            DateRange::parse(format, range, interval, unit, now)
        };
        for (format, ends, interval, unit, yes, no) in [
            (
                "yyyy/MM/dd",
                "2024/01/01,NOW",
                None,
                None,
                &["2024/01/01", "2024/03/10"][..],
                &["2023/12/31", "2024/03/11", "x"][..],
            ),
            (
                "yyyy/MM/dd",
                "2024/01/01,NOW",
                Some("7"),
                Some("DAYS"),
                &["2024/01/08"],
                &["2024/01/07"],
            ),
            (
                "yyyy/MM/dd",
                "2024/01/01,NOW",
                Some("1"),
                Some("WEEKS"),
                &["2024/01/15"],
                &["2024/01/14"],
            ),
            (
                "yyyy-MM",
                "2024-01,2024-12",
                Some("2"),
                Some("MONTHS"),
                &["2024-03"],
                &["2024-02"],
            ),
            (
                "yyyy-MM-dd",
                "NOW-2MONTHS,NOW+1DAY",
                Some("1"),
                Some("DAYS"),
                &["2024-01-10", "2024-03-11"],
                &["2024-01-09"],
            ),
            (
                "yyyy",
                "2020,NOW",
                Some("1"),
                Some("YEARS"),
                &["2024"],
                &["2019"],
            ),
            (
                "yyyy/MM/dd/HH",
                "2024/01/01/00,NOW",
                Some("6"),
                Some("HOURS"),
                &["2024/01/01/06"],
                &["2024/01/01/07"],
            ),
        ] {
            let range = range(format, ends, interval, unit).unwrap();
            for value in yes {
                assert!(range.admits(value), "{ends} {value}");
            }
            for value in no {
                assert!(!range.admits(value), "{ends} {value}");
            }
        }
        for (format, ends, interval, unit) in [
            ("yyyy", "2020", None, None),
            ("yyyy", "2020,x", None, None),
            ("yyyy", "2020,NOW-1FORTNIGHT", None, None),
            ("yyyy", "2020,NOW", Some("0"), None),
            ("yyyy", "2020,NOW", None, Some("FORTNIGHTS")),
        ] {
            assert!(range(format, ends, interval, unit).is_err(), "{ends}");
        }
    }
}
