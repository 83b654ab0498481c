//! Times that Arrow has no type for: times of day with an offset, and what is finer than nanoseconds or
//! lies beyond their calendar.
//!
//! Each is an opaque type over a number of picoseconds. The name says digits and zone, so that they stay
//! with a column as Arrow's own types do.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};

use super::opaque;

/// The most digits that a second has.
pub(crate) const MOST_DIGITS: u8 = 12;

/// What is held: picoseconds since midnight or since 1970, in UTC where there is a zone. A time of day
/// with an offset is packed, see [`Fine::pack`].
const HELD: DataType = DataType::Decimal128(38, 0);

/// What kind of time it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Time,
    TimeWithZone,
    /// With the name of the zone, as Arrow's types have it.
    Timestamp(Option<Arc<str>>),
}

/// One of these types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fine {
    pub(crate) kind: Kind,
    /// Digits of a second, at most [`MOST_DIGITS`].
    pub(crate) digits: u8,
}

impl Fine {
    /// Reads a type; `None` for every other one.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        let DataType::Struct(fields) = data_type else {
            return None;
        };
        match fields.as_ref() {
            [field] if *field.data_type() == HELD => Self::read(field.name()),
            _ => None,
        }
    }

    fn read(name: &str) -> Option<Self> {
        let (word, rest) = name.split_once('(')?;
        let (digits, zone) = rest.split_once(')')?;
        let digits = digits.parse().ok().filter(|n| *n <= MOST_DIGITS)?;
        let kind = match (word, zone) {
            ("time", "") => Kind::Time,
            ("time", " with time zone") => Kind::TimeWithZone,
            ("timestamp", "") => Kind::Timestamp(None),
            ("timestamp", zone) => {
                Kind::Timestamp(Some(zone.strip_prefix(" with time zone ")?.into()))
            }
            _ => return None,
        };
        Some(Self { kind, digits })
    }

    /// The Arrow type.
    pub(crate) fn data_type(&self) -> DataType {
        let zone = match &self.kind {
            Kind::Timestamp(Some(zone)) => format!(" {zone}"),
            _ => String::new(),
        };
        opaque(&format!("{}{zone}", self.name()), HELD)
    }

    /// Trino's name.
    pub(crate) fn name(&self) -> String {
        let (word, zone) = match self.kind {
            Kind::Time => ("time", ""),
            Kind::TimeWithZone => ("time", " with time zone"),
            Kind::Timestamp(None) => ("timestamp", ""),
            Kind::Timestamp(Some(_)) => ("timestamp", " with time zone"),
        };
        format!("{word}({}){zone}", self.digits)
    }

    /// Is this a time of day?
    pub(crate) fn is_time(&self) -> bool {
        !matches!(self.kind, Kind::Timestamp(_))
    }

    /// The zone that all values of the type have.
    pub(crate) fn zone(&self) -> Option<&Arc<str>> {
        match &self.kind {
            Kind::Timestamp(zone) => zone.as_ref(),
            _ => None,
        }
    }

    /// A time of day in UTC and the minutes of its offset as one number, which orders by that time first.
    pub(crate) fn pack(utc: i128, offset: i32) -> i128 {
        utc * OFFSETS + i128::from(offset) + OFFSETS / 2
    }

    /// The two again.
    pub(crate) fn unpack(held: i128) -> (i128, i32) {
        let offset = held.rem_euclid(OFFSETS) - OFFSETS / 2;
        (
            held.div_euclid(OFFSETS),
            i32::try_from(offset).unwrap_or_default(),
        )
    }
}

/// More than there are offsets: 14 hours in both directions.
const OFFSETS: i128 = 4096;

/// The type of a time with so many digits: Arrow's where it has one.
pub(crate) fn time_type(kind: Kind, digits: u8) -> DataType {
    match kind {
        Kind::Time if digits <= 9 => match unit(digits) {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
            unit => DataType::Time64(unit),
        },
        Kind::Timestamp(zone) if digits <= 9 => DataType::Timestamp(unit(digits), zone),
        kind => Fine { kind, digits }.data_type(),
    }
}

/// The coarsest unit that has so many digits.
fn unit(digits: u8) -> TimeUnit {
    match digits {
        0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_read_from_its_name() {
        let zone: Option<Arc<str>> = Some("Europe/Berlin".into());
        for (kind, name) in [
            (Kind::Time, "time(11)"),
            (Kind::TimeWithZone, "time(11) with time zone"),
            (Kind::Timestamp(None), "timestamp(11)"),
            (Kind::Timestamp(zone), "timestamp(11) with time zone"),
        ] {
            let fine = Fine { kind, digits: 11 };
            assert_eq!(fine.name(), name);
            assert_eq!(Fine::of(&fine.data_type()), Some(fine));
        }
        for name in [
            "time(13)",
            "time",
            "date(3)",
            "time(x)",
            "timestamp(3) local",
        ] {
            assert_eq!(Fine::of(&opaque(name, HELD)), None, "{name}");
        }
    }

    #[test]
    fn an_offset_is_packed_and_found_again() {
        for (utc, offset) in [(0, 0), (86_399_999_999_999_999, 840), (1, -840)] {
            assert_eq!(Fine::unpack(Fine::pack(utc, offset)), (utc, offset));
        }
    }
}
