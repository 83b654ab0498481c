//! A column of dates, timestamps or times of day, of whatever unit, as points in the calendar.

use chrono::{DateTime, NaiveDateTime, TimeDelta};
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Int64Array},
        compute::cast,
        datatypes::{DataType, Int64Type, TimeUnit},
    },
    common::exec_err,
    error::Result,
};

use super::{
    fine::{self, Column},
    text_to_time::{array, units},
    time_to_text::instant,
    zone::Zone,
};
use crate::types::fine::Kind;

/// Dates, timestamps or times of day.
pub(in crate::functions) struct Moments {
    data_type: DataType,
    zone: Zone,
    values: Values,
}

enum Values {
    /// Numbers of a unit, as Arrow has them.
    Units(TimeUnit, Int64Array),
    /// What Arrow has no type for.
    Fine(Column),
}

impl Moments {
    pub(in crate::functions) fn new(given: &ArrayRef) -> Result<Self> {
        let data_type = given.data_type().clone();
        if let Some(column) = Column::new(given) {
            let zone = column.fine.zone().map(|zone| Zone::of_type(zone));
            return Ok(Self {
                data_type,
                zone: zone.unwrap_or_else(Zone::utc),
                values: Values::Fine(column),
            });
        }
        let mut zone = Zone::utc();
        let (unit, values) = match &data_type {
            DataType::Date32 => {
                let seconds = cast(given, &DataType::Timestamp(TimeUnit::Second, None))?;
                (TimeUnit::Second, cast(&seconds, &DataType::Int64)?)
            }
            DataType::Timestamp(unit, name) => {
                if let Some(name) = name {
                    zone = Zone::of_type(name);
                }
                (*unit, cast(given, &DataType::Int64)?)
            }
            // Arrow has 32-bit numbers below times of day that count seconds or milliseconds.
            DataType::Time32(unit) => {
                let small = cast(given, &DataType::Int32)?;
                (*unit, cast(&small, &DataType::Int64)?)
            }
            DataType::Time64(unit) => (*unit, cast(given, &DataType::Int64)?),
            other => return exec_err!("{other} is neither date nor timestamp"),
        };
        let values = values.as_primitive::<Int64Type>().clone();
        Ok(Self {
            data_type,
            zone,
            values: Values::Units(unit, values),
        })
    }

    pub(in crate::functions) fn is_date(&self) -> bool {
        self.data_type == DataType::Date32
    }

    pub(in crate::functions) fn is_time(&self) -> bool {
        match &self.values {
            Values::Fine(column) => column.fine.is_time(),
            Values::Units(..) => {
                matches!(self.data_type, DataType::Time32(_) | DataType::Time64(_))
            }
        }
    }

    /// Is this a timestamp with time zone?
    pub(in crate::functions) fn is_zoned(&self) -> bool {
        match &self.values {
            Values::Fine(column) => column.fine.zone().is_some(),
            Values::Units(..) => matches!(self.data_type, DataType::Timestamp(_, Some(_))),
        }
    }

    /// Has each value a distance to UTC, be it a zone's or its own?
    pub(super) fn has_offset(&self) -> bool {
        let has_own = matches!(&self.values,
            Values::Fine(column) if column.fine.kind == Kind::TimeWithZone);
        has_own || self.is_zoned()
    }

    /// The zone of all values.
    pub(in crate::functions) fn zone(&self) -> Zone {
        self.zone
    }

    /// Seconds by which the clock that shows a value is ahead of UTC; `None` for null.
    pub(super) fn offset(&self, row: usize) -> Option<i32> {
        match &self.values {
            Values::Fine(column) if column.fine.kind == Kind::TimeWithZone => {
                column.get(row).map(|(_, minutes)| minutes * 60)
            }
            _ => self.instant(row).map(|utc| self.zone.offset_at(utc)),
        }
    }

    /// What the clock of the value's zone shows; `None` for null. Times of day are those of 1970-01-01.
    pub(in crate::functions) fn get(&self, row: usize) -> Option<NaiveDateTime> {
        let utc = self.instant(row)?;
        let offset = TimeDelta::seconds(i64::from(self.offset(row)?));
        let local = utc.checked_add_signed(offset).unwrap_or(utc);
        Some(self.of_day(local))
    }

    /// The moment in UTC; `None` for null.
    pub(in crate::functions) fn instant(&self, row: usize) -> Option<NaiveDateTime> {
        match &self.values {
            Values::Units(unit, values) => values
                .is_valid(row)
                .then(|| instant(values.value(row), *unit))
                .flatten(),
            Values::Fine(column) => fine::moment(column.get(row)?.0),
        }
    }

    /// The same in picoseconds since 1970, or since midnight.
    pub(super) fn picos(&self, row: usize) -> Option<i128> {
        match &self.values {
            Values::Units(..) => self.instant(row).map(fine::picos),
            Values::Fine(column) => column.get(row).map(|(utc, _)| utc),
        }
    }

    /// An array of the same type, from what the clock of its zone shows.
    pub(super) fn of_same_type(&self, locals: Vec<Option<NaiveDateTime>>) -> Result<ArrayRef> {
        let instants = locals.into_iter().enumerate().map(|(row, local)| {
            let local = local?;
            Some(match &self.values {
                Values::Fine(column) if column.fine.is_time() => {
                    let offset = TimeDelta::seconds(i64::from(self.offset(row)?));
                    local.checked_sub_signed(offset)?
                }
                _ => self.zone.instant(local),
            })
        });
        self.array(instants.collect(), false)
    }

    /// An array of the same type, from moments in UTC that are whole milliseconds away from the old ones.
    pub(super) fn moved(&self, instants: Vec<Option<NaiveDateTime>>) -> Result<ArrayRef> {
        self.array(instants, true)
    }

    /// From moments in UTC; `keeps` what of a value is finer than nanoseconds.
    fn array(&self, instants: Vec<Option<NaiveDateTime>>, keeps: bool) -> Result<ArrayRef> {
        let (unit, zone) = match &self.values {
            Values::Fine(column) => {
                let values = instants.into_iter().enumerate().map(|(row, instant)| {
                    let (old, offset) = column.get(row)?;
                    let finer = if keeps { old.rem_euclid(1000) } else { 0 };
                    Some((fine::picos(instant?) + finer, offset))
                });
                return fine::column(values.collect(), &column.fine);
            }
            Values::Units(unit, _) => match &self.data_type {
                DataType::Timestamp(_, zone) => (*unit, zone.as_ref()),
                _ => (*unit, None),
            },
        };
        let values = instants
            .into_iter()
            .map(|instant| instant.and_then(|instant| units(self.of_day(instant), unit)))
            .collect();
        let result = array(values, unit, zone);
        Ok(match &self.data_type {
            DataType::Timestamp(..) => result,
            DataType::Time32(_) => {
                let numbers = cast(&result, &DataType::Int64)?;
                cast(&cast(&numbers, &DataType::Int32)?, &self.data_type)?
            }
            DataType::Time64(_) => cast(&cast(&result, &DataType::Int64)?, &self.data_type)?,
            other => cast(&result, other)?,
        })
    }

    /// Times of day go round the clock.
    fn of_day(&self, time: NaiveDateTime) -> NaiveDateTime {
        if self.is_time() {
            DateTime::UNIX_EPOCH.date_naive().and_time(time.time())
        } else {
            time
        }
    }
}
