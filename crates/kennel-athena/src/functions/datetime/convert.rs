//! Casts between dates, timestamps with and without zone, and times of day.

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, Time32MillisecondArray, Time32SecondArray, Time64MicrosecondArray,
            Time64NanosecondArray,
        },
        datatypes::{DataType, TimeUnit},
    },
    common::exec_datafusion_err,
    error::Result,
};
use std::sync::Arc;

use super::{
    fine,
    moment::Moments,
    text_to_time::{array, days, units},
    zone::Zone,
};
use crate::{functions::type_name, types::fine::Fine};

/// Casts; finer digits are rounded. A timestamp without zone is one in UTC, the session's zone.
///
/// # Errors
/// An execution error where there is no such cast.
pub(in crate::functions) fn convert(given: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if Fine::of(given.data_type()).or(Fine::of(to)).is_some() {
        return fine::cast(given, to, false);
    }
    let moments = Moments::new(given)?;
    let rows = 0..given.len();
    let wrong = || {
        let from = type_name(given.data_type());
        exec_datafusion_err!("Cannot cast {from} to {}", type_name(to))
    };
    match to {
        DataType::Date32 if !moments.is_time() => {
            let days = rows.map(|row| moments.get(row).map(|time| days(time.date())));
            Ok(Arc::new(
                days.collect::<datafusion::arrow::array::Date32Array>(),
            ))
        }
        DataType::Timestamp(unit, zone) => {
            let values = rows.map(|row| {
                let time = match zone {
                    Some(name) if !moments.is_zoned() => {
                        // A date or a clock without zone: that of the zone asked for.
                        Zone::of_type(name).instant(moments.get(row)?)
                    }
                    Some(_) => moments.instant(row)?,
                    None => moments.get(row)?,
                };
                units(time, *unit)
            });
            Ok(array(values.collect(), *unit, zone.as_ref()))
        }
        DataType::Time32(unit) | DataType::Time64(unit) if !moments.is_date() => {
            let per_day = 86_400 * 10_i64.pow(crate::functions::cast::digits(*unit));
            let values = rows.map(|row| {
                let time = moments.get(row)?.time();
                let day = chrono::DateTime::UNIX_EPOCH.date_naive();
                // Rounding up at the end of the day leads to its beginning.
                units(day.and_time(time), *unit).map(|value| value % per_day)
            });
            times(values.collect(), *unit)
        }
        _ => Err(wrong()),
    }
}

/// Times of day from numbers of `unit`s since midnight.
pub(in crate::functions) fn times(values: Vec<Option<i64>>, unit: TimeUnit) -> Result<ArrayRef> {
    let small = |values: &[Option<i64>]| -> Vec<Option<i32>> {
        let values = values.iter();
        values
            .map(|value| value.and_then(|value| i32::try_from(value).ok()))
            .collect()
    };
    Ok(match unit {
        TimeUnit::Second => Arc::new(Time32SecondArray::from(small(&values))),
        TimeUnit::Millisecond => Arc::new(Time32MillisecondArray::from(small(&values))),
        TimeUnit::Microsecond => Arc::new(Time64MicrosecondArray::from(values)),
        TimeUnit::Nanosecond => Arc::new(Time64NanosecondArray::from(values)),
    })
}
