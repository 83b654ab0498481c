//! A column of dates, timestamps or times of day, of whatever unit, as points in the calendar.

use chrono::{DateTime, NaiveDateTime};
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
    text_to_time::{array, units},
    time_to_text::instant,
    zone::Zone,
};

/// Dates, timestamps or times of day.
pub(in crate::functions) struct Moments {
    data_type: DataType,
    unit: TimeUnit,
    values: Int64Array,
    zone: Zone,
}

impl Moments {
    pub(in crate::functions) fn new(given: &ArrayRef) -> Result<Self> {
        let data_type = given.data_type().clone();
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
            unit,
            values,
            zone,
        })
    }

    pub(in crate::functions) fn is_date(&self) -> bool {
        self.data_type == DataType::Date32
    }

    pub(in crate::functions) fn is_time(&self) -> bool {
        matches!(self.data_type, DataType::Time32(_) | DataType::Time64(_))
    }

    pub(in crate::functions) fn is_zoned(&self) -> bool {
        matches!(self.data_type, DataType::Timestamp(_, Some(_)))
    }

    pub(in crate::functions) fn zone(&self) -> Zone {
        self.zone
    }

    /// What the clock of the column's zone shows; `None` for null. Times of day are those of 1970-01-01.
    pub(in crate::functions) fn get(&self, row: usize) -> Option<NaiveDateTime> {
        self.instant(row).map(|utc| self.zone.local(utc))
    }

    /// The moment in UTC; `None` for null.
    pub(in crate::functions) fn instant(&self, row: usize) -> Option<NaiveDateTime> {
        self.values
            .is_valid(row)
            .then(|| instant(self.values.value(row), self.unit))
            .flatten()
    }

    /// An array of the same type, from what the clock of its zone shows.
    pub(super) fn of_same_type(&self, locals: Vec<Option<NaiveDateTime>>) -> Result<ArrayRef> {
        let zone = self.zone;
        let instants = locals
            .into_iter()
            .map(|local| local.map(|local| zone.instant(local)));
        self.of_instants(instants.collect())
    }

    /// An array of the same type, from moments in UTC.
    pub(super) fn of_instants(&self, instants: Vec<Option<NaiveDateTime>>) -> Result<ArrayRef> {
        let values = instants
            .into_iter()
            .map(|instant| instant.and_then(|instant| units(self.of_day(instant), self.unit)))
            .collect();
        let zone = match &self.data_type {
            DataType::Timestamp(_, zone) => zone.as_ref(),
            _ => None,
        };
        let result = array(values, self.unit, zone);
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
