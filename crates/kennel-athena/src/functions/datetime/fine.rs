//! Values of [`types::fine`](crate::types::fine): in and out of their numbers, their text, and all casts
//! from and to them.

use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime};
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Date32Array, Decimal128Array, StringArray},
        datatypes::{DataType, Decimal128Type, TimeUnit},
    },
    common::{exec_datafusion_err, exec_err},
    error::Result,
};

use super::{
    convert::times,
    moment::Moments,
    text_to_time::{self, array, read, read_time},
    time_to_text::date,
    zone::Zone,
};
use crate::{
    functions::{cast::digits, opaque, type_name},
    types::{
        fine::{Fine, Kind},
        is_text,
    },
};

/// Picoseconds of a second.
const SECOND: i128 = 1_000_000_000_000;
const MINUTE: i128 = 60 * SECOND;
/// Picoseconds of a day.
pub(in crate::functions) const DAY: i128 = 86_400 * SECOND;

/// A column of such values.
pub(in crate::functions) struct Column {
    pub(super) fine: Fine,
    held: Decimal128Array,
}

impl Column {
    /// `None` for any other type.
    pub(in crate::functions) fn new(given: &ArrayRef) -> Option<Self> {
        let fine = Fine::of(given.data_type())?;
        let held = opaque::held(given);
        let held = held.as_primitive::<Decimal128Type>().clone();
        Some(Self { fine, held })
    }

    /// Picoseconds of the value in UTC, if it has a zone or an offset, and the minutes of the latter.
    pub(super) fn get(&self, row: usize) -> Option<(i128, i32)> {
        let held = self.held.is_valid(row).then(|| self.held.value(row))?;
        Some(match self.fine.kind {
            Kind::TimeWithZone => Fine::unpack(held),
            _ => (held, 0),
        })
    }

    /// Times of day without their offsets, so that equal ones are the same.
    pub(super) fn without_offsets(&self) -> Result<ArrayRef> {
        let rows = 0..self.held.len();
        let held = rows.map(|row| Some(Fine::pack(self.get(row)?.0, 0)));
        let held = held.collect::<Decimal128Array>();
        let held = held.with_data_type(self.held.data_type().clone());
        opaque::wrap(Arc::new(held), &self.fine.data_type())
    }

    /// As `to_iso8601` writes them.
    pub(super) fn iso8601(&self) -> Result<ArrayRef> {
        let zone = self.fine.zone().map(|zone| Zone::of_type(zone));
        let rows = 0..self.held.len();
        let texts = rows.map(|row| {
            let (utc, _) = self.get(row)?;
            let (local, offset) = match zone {
                Some(zone) => {
                    let instant = moment(utc)?;
                    let offset = zone.offset_at(instant);
                    (utc + i128::from(offset) * SECOND, zone.iso(instant))
                }
                None => (utc, String::new()),
            };
            let day = date(moment(local)?.date());
            let clock = clock(local.rem_euclid(DAY), self.fine.digits.into());
            Some(format!("{day}T{clock}{offset}"))
        });
        Ok(Arc::new(texts.collect::<StringArray>()))
    }

    /// What orders the values: without offsets, which make no difference.
    pub(in crate::functions) fn order(&self) -> Decimal128Array {
        let rows = 0..self.held.len();
        rows.map(|row| Some(self.get(row)?.0)).collect()
    }
}

/// Values from what [`Column::get`] gives.
pub(in crate::functions) fn column(
    values: Vec<Option<(i128, i32)>>,
    fine: &Fine,
) -> Result<ArrayRef> {
    let held = values.into_iter().map(|value| {
        let (utc, offset) = value?;
        Some(match fine.kind {
            Kind::TimeWithZone => Fine::pack(utc.rem_euclid(DAY), offset),
            Kind::Time => utc.rem_euclid(DAY),
            Kind::Timestamp(_) => utc,
        })
    });
    let held = held.collect::<Decimal128Array>();
    let held = held.with_precision_and_scale(38, 0)?;
    opaque::wrap(Arc::new(held), &fine.data_type())
}

/// Picoseconds since 1970.
pub(super) fn picos(time: NaiveDateTime) -> i128 {
    let time = time.and_utc();
    i128::from(time.timestamp()) * SECOND + i128::from(time.timestamp_subsec_nanos()) * 1000
}

/// The moment to the nanosecond; `None` beyond the calendar.
pub(super) fn moment(picos: i128) -> Option<NaiveDateTime> {
    let seconds = i64::try_from(picos.div_euclid(SECOND)).ok()?;
    let nanos = u32::try_from(picos.rem_euclid(SECOND) / 1000).ok()?;
    DateTime::from_timestamp(seconds, nanos).map(|time| time.naive_utc())
}

/// Values rounded to so many digits, of the type that they had.
pub(in crate::functions) fn rounded_to(given: &ArrayRef, digits: u8) -> Result<ArrayRef> {
    let Some(column) = Column::new(given) else {
        return Ok(Arc::clone(given));
    };
    let rows = 0..given.len();
    let values = rows.map(|row| {
        let (utc, offset) = column.get(row)?;
        Some((rounded(utc, digits.into()), offset))
    });
    self::column(values.collect(), &column.fine)
}

/// Rounds to so many digits of a second, half up.
fn rounded(picos: i128, digits: u32) -> i128 {
    let step = 10_i128.pow(12 - digits.min(12));
    (picos + step / 2).div_euclid(step) * step
}

/// A point in time, or a time of day, of whatever type.
#[derive(Clone, Copy)]
struct Point {
    /// Picoseconds, in UTC where there is a zone.
    utc: i128,
    /// Seconds by which the clock that shows it is ahead of UTC; `None` without zone.
    offset: Option<i32>,
}

impl Point {
    fn local(self) -> i128 {
        self.utc + i128::from(self.offset.unwrap_or(0)) * SECOND
    }

    /// The instant at which a clock of the zone shows it, unless its own zone says which instant it is.
    fn instant(self, zone: Zone) -> Option<i128> {
        match self.offset {
            Some(_) => Some(self.utc),
            None => {
                let offset = zone.offset_of_local(moment(self.utc)?);
                Some(self.utc - i128::from(offset) * SECOND)
            }
        }
    }
}

/// Casts; one of the two types is fine. What text cannot be read is an error, or null where `safe`.
///
/// # Errors
/// An execution error where there is no such cast.
pub(in crate::functions) fn cast(given: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef> {
    if is_text(to) {
        return Ok(Arc::new(shown(given)));
    }
    let points = match is_text(given.data_type()) {
        true => from_text(given, to, safe)?,
        false => points(given)?,
    };
    let points = points.into_iter();
    let local =
        |point: Option<Point>, digits: u32| point.map(|point| rounded(point.local(), digits));
    Ok(match (Fine::of(to), to) {
        (Some(fine), _) => {
            let values = points.map(|point| fitted(point?, &fine));
            column(values.collect(), &fine)?
        }
        (None, DataType::Timestamp(unit, zone)) => {
            let zone_of_type = zone.as_ref().map(|zone| Zone::of_type(zone));
            let values = points.map(|point| {
                let Some(point) = point else { return Ok(None) };
                let picos = match zone_of_type {
                    Some(zone) => point.instant(zone),
                    None => Some(point.local()),
                };
                let value = picos.and_then(|picos| units(picos, *unit));
                value.map(Some).ok_or_else(|| out_of_range(to))
            });
            array(values.collect::<Result<_>>()?, *unit, zone.as_ref())
        }
        (None, DataType::Time32(unit) | DataType::Time64(unit)) => {
            let values =
                points.map(|point| units(local(point, digits(*unit))?.rem_euclid(DAY), *unit));
            times(values.collect(), *unit)?
        }
        (None, DataType::Date32) => {
            let days = points.map(|point| i32::try_from(local(point, 12)?.div_euclid(DAY)).ok());
            Arc::new(days.collect::<Date32Array>())
        }
        _ => {
            let from = type_name(given.data_type());
            return exec_err!("Cannot cast {from} to {}", type_name(to));
        }
    })
}

fn out_of_range(to: &DataType) -> datafusion::error::DataFusionError {
    exec_datafusion_err!("a value is out of range for {}", type_name(to))
}

/// A point as a value of a fine type, rounded to its digits.
fn fitted(point: Point, fine: &Fine) -> Option<(i128, i32)> {
    let digits = fine.digits.into();
    Some(match &fine.kind {
        Kind::Time => (rounded(point.local(), digits), 0),
        Kind::TimeWithZone => {
            let minutes = point.offset.unwrap_or(0) / 60;
            let local = rounded(point.local(), digits);
            (local - i128::from(minutes) * MINUTE, minutes)
        }
        Kind::Timestamp(None) => (rounded(point.local(), digits), 0),
        Kind::Timestamp(Some(zone)) => {
            let instant = point.instant(Zone::of_type(zone))?;
            (rounded(instant, digits), 0)
        }
    })
}

/// The number of `unit`s; finer parts are rounded, half up.
fn units(picos: i128, unit: TimeUnit) -> Option<i64> {
    let digits = digits(unit);
    let step = 10_i128.pow(12 - digits);
    i64::try_from(rounded(picos, digits).div_euclid(step)).ok()
}

/// Dates, timestamps and times of day of any type.
fn points(given: &ArrayRef) -> Result<Vec<Option<Point>>> {
    let moments = Moments::new(given)?;
    Ok((0..given.len())
        .map(|row| {
            let utc = moments.picos(row)?;
            let offset = match moments.has_offset() {
                true => Some(moments.offset(row)?),
                false => None,
            };
            Some(Point { utc, offset })
        })
        .collect())
}

/// Texts, by what the type to cast to may be written as.
fn from_text(given: &ArrayRef, to: &DataType, safe: bool) -> Result<Vec<Option<Point>>> {
    let texts = datafusion::arrow::compute::cast(given, &DataType::Utf8)?;
    let fine = Fine::of(to);
    let kind = fine.map(|fine| fine.kind);
    let mut points = Vec::with_capacity(texts.len());
    for text in texts.as_string::<i32>() {
        let point = text.map(|text| point_of_text(text, kind.as_ref()));
        if let (Some(text), Some(None), false) = (text, point, safe) {
            return exec_err!("Value cannot be cast to {}: {text}", type_name(to));
        }
        points.push(point.flatten());
    }
    Ok(points)
}

fn point_of_text(text: &str, kind: Option<&Kind>) -> Option<Point> {
    let point = |time: NaiveDateTime, finer: u16, offset: Option<i32>| Point {
        utc: picos(time) + i128::from(finer) - i128::from(offset.unwrap_or(0)) * SECOND,
        offset,
    };
    match kind? {
        Kind::Timestamp(zone) => {
            let written = read(text)?;
            if zone.is_none() && written.zone.is_some() {
                return None;
            }
            let offset = written.zone.map(|zone| zone.offset_of_local(written.local));
            Some(point(written.local, written.picos, offset))
        }
        kind => {
            let clock = read_time(text)?;
            if clock.offset.is_some() != (*kind == Kind::TimeWithZone) {
                return None;
            }
            let time = DateTime::UNIX_EPOCH.date_naive().and_time(clock.time);
            Some(point(
                time,
                clock.picos,
                clock.offset.map(|minutes| minutes * 60),
            ))
        }
    }
}

/// As `CAST(x AS varchar)` writes them.
fn shown(given: &ArrayRef) -> StringArray {
    let Some(column) = Column::new(given) else {
        return StringArray::new_null(given.len());
    };
    let zone = column.fine.zone().map(|zone| Zone::of_type(zone));
    let rows = 0..given.len();
    rows.map(|row| {
        let (utc, minutes) = column.get(row)?;
        let digits = column.fine.digits.into();
        if column.fine.is_time() {
            let local = (utc + i128::from(minutes) * MINUTE).rem_euclid(DAY);
            let clock = clock(local, digits);
            return Some(match column.fine.kind {
                Kind::TimeWithZone => clock + &offset_shown(minutes),
                _ => clock,
            });
        }
        let offset = zone.map_or(Some(0), |zone| Some(zone.offset_at(moment(utc)?)))?;
        let local = utc + i128::from(offset) * SECOND;
        let day = date(moment(local)?.date());
        let clock = clock(local.rem_euclid(DAY), digits);
        Some(match zone {
            Some(zone) => format!("{day} {clock} {}", zone.shown()),
            None => format!("{day} {clock}"),
        })
    })
    .collect()
}

fn clock(picos: i128, digits: usize) -> String {
    let (seconds, fraction) = (picos / SECOND, picos % SECOND);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let clock = format!("{hours:02}:{minutes:02}:{seconds:02}");
    match digits {
        0 => clock,
        digits => format!("{clock}.{}", &format!("{fraction:012}")[..digits.min(12)]),
    }
}

fn offset_shown(minutes: i32) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.abs();
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Times on the clock of another zone; `keeps` is for those whose clock does not change.
pub(super) fn in_zone(given: &ArrayRef, to: &Fine, zone: Zone, keeps: bool) -> Result<ArrayRef> {
    let minutes = |utc: i128| Some(zone.offset_at(moment(utc)?) / 60);
    let points = points(given)?.into_iter();
    let values = points.map(|point| {
        let point = point?;
        match (&to.kind, keeps) {
            (Kind::Timestamp(_), true) => Some((point.instant(zone)?, 0)),
            (Kind::Timestamp(_), false) => Some((point.utc, 0)),
            _ => Some((point.utc, minutes(point.utc)?)),
        }
    });
    let is_allowed = |offset: i32| offset.abs() <= text_to_time::MOST_OFFSET;
    let values: Vec<_> = values.collect();
    match values
        .iter()
        .flatten()
        .find(|(_, offset)| !is_allowed(*offset))
    {
        Some((_, offset)) => exec_err!("Invalid offset minutes {offset}"),
        None => column(values, to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::fine::time_type;

    fn texts(written: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(written.to_vec()))
    }

    fn again(written: &str, kind: Kind, digits: u8) -> String {
        let fine = time_type(kind, digits);
        let values = cast(&texts(&[written]), &fine, false).unwrap();
        shown(&values).value(0).to_owned()
    }

    #[test]
    fn what_is_written_is_shown_again_rounded_to_its_digits() {
        let berlin: Option<Arc<str>> = Some("Europe/Berlin".into());
        let cases = [
            (
                "01:02:03.123456789012",
                Kind::Time,
                12,
                "01:02:03.123456789012",
            ),
            (
                "01:02:03.123456789055",
                Kind::Time,
                11,
                "01:02:03.12345678906",
            ),
            (
                "23:59:59.999999999999",
                Kind::Time,
                10,
                "00:00:00.0000000000",
            ),
            ("1:2:3 -05:30", Kind::TimeWithZone, 0, "01:02:03-05:30"),
            (
                "23:59:59.96+01:00",
                Kind::TimeWithZone,
                1,
                "00:00:00.0+01:00",
            ),
            (
                "1500-01-02 3:04:05.1",
                Kind::Timestamp(None),
                10,
                "1500-01-02 03:04:05.1000000000",
            ),
            (
                "2026-07-01 12:00:00.000000000001 +00:00",
                Kind::Timestamp(berlin),
                12,
                "2026-07-01 14:00:00.000000000001 Europe/Berlin",
            ),
        ];
        for (written, kind, digits, expected) in cases {
            assert_eq!(again(written, kind, digits), expected);
        }
    }

    #[test]
    fn equal_times_have_the_same_place_in_the_order_whatever_their_offset() {
        let fine = time_type(Kind::TimeWithZone, 3);
        let values = cast(&texts(&["00:00:00+14:00", "00:00:00-10:00"]), &fine, false).unwrap();
        let order = Column::new(&values).unwrap().order();
        assert_eq!(order.value(0), order.value(1));
    }

    #[test]
    fn text_that_is_no_such_time_is_refused() {
        for (text, kind) in [
            ("01:02:03", Kind::TimeWithZone),
            ("01:02:03+01:00", Kind::Time),
            ("2026-01-01 00:00:00 UTC", Kind::Timestamp(None)),
            ("x", Kind::Time),
        ] {
            let fine = Fine { kind, digits: 12 }.data_type();
            assert!(cast(&texts(&[text]), &fine, false).is_err(), "{text}");
            assert!(
                cast(&texts(&[text]), &fine, true).unwrap().is_null(0),
                "{text}"
            );
        }
    }
}
