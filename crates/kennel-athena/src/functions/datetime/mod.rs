//! Trino's functions of dates and times.
//!
//! A timestamp with time zone keeps its zone where that is written in the query: the type of a column
//! holds one zone for all its values. Values whose zones come from data are in UTC.
//!
//! Source: Trino manual, "Date and time functions and operators".

mod arithmetic;
mod convert;
pub(in crate::functions) mod fine;
pub(crate) mod interval;
pub(crate) mod joda;
mod moment;
mod parts;
mod patterns;
pub(super) mod shift;
mod teradata;
pub(crate) mod text_to_time;
pub(crate) mod time_to_text;
pub(crate) mod zone;
mod zones;

use std::sync::Arc;

use chrono::{NaiveDate, NaiveTime};
pub(super) use convert::{convert, times};
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Date32Array, Float64Array, StringBuilder},
        compute::cast,
        datatypes::{DataType, Int64Type, TimeUnit},
    },
    common::{exec_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};
use moment::Moments;
pub(super) use moment::Moments as Times;
pub(super) use parts::part;
use zone::Zone;

use super::scalar::{Call, Kind, Spec, double, varchar};
use crate::types::{UTC, fine::Fine, is_text, zoned};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const TEXT: &[Kind] = &[Kind::Text];
    const MOMENT: &[Kind] = &[Kind::Moment];
    let mut all: Vec<_> = [
        Spec::new(
            "from_iso8601_timestamp",
            TEXT,
            |_| Ok(zoned()),
            |call| from_iso8601(call, TimeUnit::Millisecond),
        ),
        Spec::new("from_iso8601_timestamp_nanos", TEXT, zoned_nanos, |call| {
            from_iso8601(call, TimeUnit::Nanosecond)
        }),
        Spec::new("from_iso8601_date", TEXT, date_type, from_iso8601_date),
        Spec::new("to_iso8601", MOMENT, varchar, to_iso8601),
        // With the digits that the query says.
        Spec::new(
            "__to_iso8601",
            &[Kind::Moment, Kind::Integer],
            varchar,
            to_iso8601,
        ),
        Spec::new("date", &[Kind::Any], date_of, date),
        Spec::new("to_unixtime", MOMENT, double, to_unixtime),
        Spec::new("last_day_of_month", MOMENT, date_type, last_day_of_month),
    ]
    .map(Spec::build)
    .into();
    all.extend(arithmetic::functions());
    all.extend(interval::functions());
    all.extend(joda::functions());
    all.extend(parts::functions());
    all.extend(shift::functions());
    all.extend(patterns::functions());
    all.extend(teradata::functions());
    all.extend(zones::functions());
    all.push(same_time());
    all
}

/// A time of day without its offset: the key by which equal ones are the same. Never written by a user.
pub(super) fn same_time() -> Arc<ScalarUDF> {
    Spec::new(
        "__same_time",
        &[Kind::Any],
        |given| Ok(given.first().cloned().unwrap_or(DataType::Null)),
        |call| match fine::Column::new(&call.args[0]) {
            Some(times) => times.without_offsets(),
            None => Ok(Arc::clone(&call.args[0])),
        },
    )
    .build()
}

fn date_type(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::Date32)
}

fn zoned_nanos(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())))
}

/// Where the instants end that Trino packs into 52 bits.
const MOST_MILLIS: u64 = 1 << 51;

fn from_iso8601(call: &Call, unit: TimeUnit) -> Result<ArrayRef> {
    let mut values = Vec::with_capacity(call.rows);
    for text in call.text(0) {
        let Some(text) = text else {
            values.push(None);
            continue;
        };
        // Finer digits are cut, not rounded, as Joda cuts them.
        let value = text_to_time::read_iso(text)
            .and_then(|written| written.utc())
            .and_then(|time| {
                let nanos = time.and_utc().timestamp_nanos_opt();
                match unit {
                    TimeUnit::Millisecond => Some(time.and_utc().timestamp_millis()),
                    _ => nanos,
                }
            });
        let Some(value) = value else {
            return exec_err!("Invalid format: \"{text}\" is no ISO 8601 timestamp");
        };
        if unit == TimeUnit::Millisecond && value.unsigned_abs() >= MOST_MILLIS {
            return exec_err!("Millis overflow: {value}");
        }
        values.push(Some(value));
    }
    Ok(text_to_time::array(values, unit, Some(&UTC.into())))
}

fn from_iso8601_date(call: &Call) -> Result<ArrayRef> {
    let mut values = Vec::with_capacity(call.rows);
    for text in call.text(0) {
        let read = text.map(|text| (text, text_to_time::read_iso(text)));
        match read {
            Some((text, None)) => {
                return exec_err!("Invalid format: \"{text}\" is no ISO 8601 date");
            }
            Some((_, Some(written))) => values.push(Some(text_to_time::days(written.local.date()))),
            None => values.push(None),
        }
    }
    Ok(Arc::new(Date32Array::from(values)))
}

fn to_iso8601(call: &Call) -> Result<ArrayRef> {
    let shown = iso8601(call)?;
    // The second argument says how many digits the value was written with.
    Ok(match call.args.get(1) {
        Some(digits) if !digits.is_empty() && digits.is_valid(0) => {
            super::cast::with_digits(&shown, call.integers(1).value(0))
        }
        _ => shown,
    })
}

fn iso8601(call: &Call) -> Result<ArrayRef> {
    let array = &call.args[0];
    if let Some(fine) = fine::Column::new(array) {
        return fine.iso8601();
    }
    let DataType::Timestamp(unit, zone) = array.data_type() else {
        return super::cast::convert(array, &DataType::Utf8, false);
    };
    let values = cast(array, &DataType::Int64)?;
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for value in values.as_primitive::<Int64Type>() {
        let zone = zone.as_ref().map(|name| Zone::of_type(name));
        result.append_option(value.map(|value| time_to_text::iso(value, *unit, zone)));
    }
    Ok(Arc::new(result.finish()))
}

fn date_of(given: &[DataType]) -> Result<DataType> {
    match given {
        [DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) | DataType::Null] => {
            Ok(DataType::Date32)
        }
        [given] if is_text(given) => Ok(DataType::Date32),
        [given] if Fine::of(given).is_some_and(|fine| !fine.is_time()) => Ok(DataType::Date32),
        [given] => plan_err!(
            "Unexpected parameters ({}) for function date",
            super::type_name(given)
        ),
        _ => plan_err!("function date takes one argument"),
    }
}

fn date(call: &Call) -> Result<ArrayRef> {
    super::cast::convert(&call.args[0], &DataType::Date32, false)
}

fn to_unixtime(call: &Call) -> Result<ArrayRef> {
    let moments = Moments::new(&call.args[0])?;
    let seconds: Float64Array = (0..call.rows)
        .map(|row| {
            moments.instant(row).map(|time| time.and_utc()).map(|time| {
                time.timestamp() as f64 + f64::from(time.timestamp_subsec_nanos()) / 1e9
            })
        })
        .collect();
    Ok(Arc::new(seconds))
}

fn last_day_of_month(call: &Call) -> Result<ArrayRef> {
    use chrono::Datelike;
    let moments = Moments::new(&call.args[0])?;
    let last = |time: chrono::NaiveDateTime| {
        let (year, month) = match time.month() {
            12 => (time.year() + 1, 1),
            month => (time.year(), month + 1),
        };
        NaiveDate::from_ymd_opt(year, month, 1)?
            .and_time(NaiveTime::MIN)
            .date()
            .pred_opt()
    };
    let days: Date32Array = (0..call.rows)
        .map(|row| moments.get(row).and_then(last).map(text_to_time::days))
        .collect();
    Ok(Arc::new(days))
}
