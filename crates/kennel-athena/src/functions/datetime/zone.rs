//! Time zones: by name or by offset, and the two ways between a zone's clock and UTC.

use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::{OffsetName, Tz};

/// A zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Minutes and seconds from UTC, always the same.
    Fixed(FixedOffset),
    /// A place, by its IANA name.
    Named(Tz),
}

/// UTC by other names.
const UTC_NAMES: [&str; 9] = [
    "utc",
    "z",
    "ut",
    "uct",
    "zulu",
    "gmt",
    "gmt0",
    "greenwich",
    "universal",
];

impl Zone {
    /// UTC.
    pub(crate) fn utc() -> Self {
        Self::Fixed(chrono::Utc.fix())
    }

    /// Reads `UTC`, `Z`, `+01:00`, `-0730`, `+1`, `Europe/Berlin`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_prefix("etc/").unwrap_or(&lower);
        if UTC_NAMES.contains(&name) {
            return Some(Self::utc());
        }
        // `UTC+01:00`; the IANA names of the form `Etc/GMT+1` count in the other direction.
        let named = ["utc", "gmt", "ut"].iter();
        let offset = named
            .filter(|_| !lower.starts_with("etc/"))
            .find_map(|name| {
                let offset = lower.strip_prefix(name)?;
                offset.starts_with(['+', '-']).then_some(offset)
            });
        let text = offset.unwrap_or(text);
        match text.strip_prefix(['+', '-']) {
            Some(offset) => Self::read_offset(offset, text.starts_with('-')),
            None => text.parse().ok().map(Self::Named),
        }
    }

    fn read_offset(text: &str, negative: bool) -> Option<Self> {
        let (hours, rest) = match text.find(':') {
            Some(colon) => (&text[..colon], &text[colon + 1..]),
            None => text.split_at_checked(2).unwrap_or((text, "")),
        };
        let (minutes, seconds) = rest.split_once(':').unwrap_or((rest, ""));
        let number = |digits: &str, limit: i32| match digits {
            "" => Some(0),
            digits if digits.len() > 2 || !digits.bytes().all(|d| d.is_ascii_digit()) => None,
            digits => digits.parse().ok().filter(|number| *number <= limit),
        };
        if hours.is_empty() {
            return None;
        }
        let seconds = number(hours, 23)? * 3600 + number(minutes, 59)? * 60 + number(seconds, 59)?;
        Self::of_seconds(if negative { -seconds } else { seconds })
    }

    /// A fixed offset east of UTC.
    pub(crate) fn of_seconds(seconds: i32) -> Option<Self> {
        FixedOffset::east_opt(seconds).map(Self::Fixed)
    }

    /// The zone of an Arrow type; what Arrow takes and we do not know counts as UTC.
    pub(crate) fn of_type(name: &str) -> Self {
        Self::read(name).unwrap_or_else(Self::utc)
    }

    /// Seconds east of UTC, at an instant.
    pub(crate) fn offset_at(self, utc: NaiveDateTime) -> i32 {
        match self {
            Self::Fixed(offset) => offset.local_minus_utc(),
            Self::Named(zone) => zone.offset_from_utc_datetime(&utc).fix().local_minus_utc(),
        }
    }

    /// What the clock of the zone shows at an instant.
    pub(crate) fn local(self, utc: NaiveDateTime) -> NaiveDateTime {
        let offset = TimeDelta::seconds(i64::from(self.offset_at(utc)));
        utc.checked_add_signed(offset).unwrap_or(utc)
    }

    /// Seconds east of UTC when the clock shows `local`: of two such times the earlier counts; one that
    /// the clock skips is read by the offset before.
    pub(crate) fn offset_of_local(self, local: NaiveDateTime) -> i32 {
        match self {
            Self::Fixed(offset) => offset.local_minus_utc(),
            Self::Named(zone) => {
                let earliest = zone.offset_from_local_datetime(&local).earliest();
                let before = || {
                    let earlier = local.checked_sub_signed(TimeDelta::hours(3))?;
                    zone.offset_from_local_datetime(&earlier).earliest()
                };
                earliest
                    .or_else(before)
                    .map_or(0, |offset| offset.fix().local_minus_utc())
            }
        }
    }

    /// The instant at which the clock shows `local`.
    pub(crate) fn instant(self, local: NaiveDateTime) -> NaiveDateTime {
        let offset = TimeDelta::seconds(i64::from(self.offset_of_local(local)));
        local.checked_sub_signed(offset).unwrap_or(local)
    }

    /// The name as Trino shows it: `UTC`, `+01:00`, `Europe/Berlin`.
    pub(crate) fn shown(self) -> String {
        match self {
            Self::Fixed(offset) if offset.local_minus_utc() == 0 => "UTC".into(),
            Self::Fixed(offset) => offset.to_string(),
            Self::Named(zone) => zone.name().into(),
        }
    }

    /// The name for an Arrow type.
    pub(crate) fn arrow(self) -> String {
        match self {
            Self::Fixed(offset) => offset.to_string(),
            Self::Named(zone) => zone.name().into(),
        }
    }

    /// The short name at an instant: `UTC`, `CEST`, `+01:00`.
    pub(crate) fn abbreviation(self, utc: NaiveDateTime) -> String {
        match self {
            Self::Fixed(_) => self.shown(),
            Self::Named(zone) => {
                let time = DateTime::<chrono::Utc>::from_naive_utc_and_offset(utc, chrono::Utc);
                let offset = *time.with_timezone(&zone).offset();
                offset.abbreviation().unwrap_or(zone.name()).to_owned()
            }
        }
    }

    /// The offset at an instant, as `+01:00`; `Z` for UTC.
    pub(crate) fn iso(self, utc: NaiveDateTime) -> String {
        match FixedOffset::east_opt(self.offset_at(utc)) {
            Some(offset) if offset.local_minus_utc() != 0 => offset.to_string(),
            _ => "Z".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap()
    }

    #[test]
    fn zones_are_read_in_all_their_forms() {
        let cases = [
            ("UTC", "UTC"),
            ("z", "UTC"),
            ("+00:00", "UTC"),
            ("-0000", "UTC"),
            ("+01:30", "+01:30"),
            ("-7", "-07:00"),
            ("+0545", "+05:45"),
            ("GMT", "UTC"),
            ("Etc/Universal", "UTC"),
            ("UTC+01:30", "+01:30"),
            ("gmt-08:00", "-08:00"),
            ("Etc/GMT+5", "Etc/GMT+5"),
            ("America/New_York", "America/New_York"),
        ];
        for (text, shown) in cases {
            assert_eq!(Zone::read(text).unwrap().shown(), shown);
        }
        for text in ["", "+", "+25:00", "+1:60", "Mars/Base", "+01:00x", "+é"] {
            assert_eq!(Zone::read(text), None, "{text}");
        }
    }

    #[test]
    fn clocks_skip_and_repeat_hours() {
        let zone = Zone::read("Europe/Berlin").unwrap();
        // Skipped: 02:30 stands for 03:30.
        assert_eq!(
            zone.instant(time("2026-03-29 02:30")),
            time("2026-03-29 01:30")
        );
        // Twice: the first one.
        assert_eq!(
            zone.instant(time("2026-10-25 02:30")),
            time("2026-10-25 00:30")
        );
        assert_eq!(zone.abbreviation(time("2026-07-01 00:00")), "CEST");
        assert_eq!(zone.iso(time("2026-01-01 00:00")), "+01:00");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "[-+zZ0-9:é/A-C]{0,8}") {
            if let Some(zone) = Zone::read(&text) {
                prop_assert_eq!(Zone::read(&zone.arrow()), Some(zone));
            }
        }
    }
}
