//! Functions that give timestamps a zone, and those that make timestamps of numbers.
//!
//! Where a zone is written in the query, the rewrite carries it in a type: `__at_timezone(x, CAST(NULL
//! AS …))` with a timestamp type of that zone. So a plan that folds constants keeps its types.

use std::sync::Arc;

use chrono::NaiveDateTime;
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StringArray},
        compute::cast,
        datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit},
    },
    common::{exec_datafusion_err, exec_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    fine::in_zone,
    moment::Moments,
    text_to_time::{array, units},
    time_to_text::timestamp,
    zone::Zone,
};
use crate::{
    functions::{
        cast::digits,
        nested::unexpected,
        scalar::{Call, Kind, Spec, varchar},
        type_name,
    },
    types::{
        UTC,
        fine::{self, Fine, time_type},
        is_text, zoned,
    },
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const MOMENT_TEXT: &[Kind] = &[Kind::Moment, Kind::Any];
    const TYPED: &[Kind] = &[Kind::MomentOrTime, Kind::Any];
    [
        Spec::new("__at_timezone", TYPED, typed_zone, at_timezone),
        Spec::new("__with_timezone", TYPED, typed_zone, with_timezone),
        Spec::new("at_timezone", MOMENT_TEXT, in_utc, at_timezone),
        Spec::new("with_timezone", MOMENT_TEXT, in_utc, with_timezone),
        Spec::new("__local_time", MOMENT_TEXT, without_zone, local_time),
        Spec::new("__shown_at", MOMENT_TEXT, varchar, shown_at),
        Spec::new("timezone", &[Kind::Moment], timezone_type, |call| {
            let moments = Moments::new(&call.args[0])?;
            call.to_texts(|_| Ok(Some(moments.zone().shown())))
        }),
        Spec::new("current_timezone", &[], varchar, |call| {
            call.to_texts(|_| Ok(Some("UTC")))
        }),
        Spec::new(
            "from_unixtime",
            &[Kind::Double, Kind::Any, Kind::Integer],
            from_unixtime_type,
            from_unixtime,
        )
        .at_least(1),
        Spec::new(
            "from_unixtime_nanos",
            &[Kind::Number],
            |given| match given {
                [given] if given.is_integer() || given.is_decimal() => {
                    Ok(DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())))
                }
                given => unexpected(
                    "from_unixtime_nanos",
                    given,
                    "from_unixtime_nanos(bigint or decimal)",
                ),
            },
            from_unixtime_nanos,
        ),
    ]
    .map(Spec::build)
    .into()
}

fn unit_of(data_type: &DataType) -> TimeUnit {
    match data_type {
        DataType::Timestamp(unit, _) => *unit,
        _ => TimeUnit::Millisecond,
    }
}

fn typed_zone(given: &[DataType]) -> Result<DataType> {
    match given {
        [moment, DataType::Timestamp(_, zone @ Some(_))] => {
            let digits = |unit| u8::try_from(digits(unit)).unwrap_or_default();
            Ok(match (moment, Fine::of(moment)) {
                (DataType::Time32(unit) | DataType::Time64(unit), _) => {
                    time_type(fine::Kind::TimeWithZone, digits(*unit))
                }
                (_, Some(fine)) if fine.is_time() => {
                    time_type(fine::Kind::TimeWithZone, fine.digits)
                }
                (_, Some(fine)) => Fine {
                    kind: fine::Kind::Timestamp(zone.clone()),
                    digits: fine.digits,
                }
                .data_type(),
                _ => DataType::Timestamp(unit_of(moment), zone.clone()),
            })
        }
        _ => plan_err!("a timestamp and a zone are needed"),
    }
}

fn in_utc(given: &[DataType]) -> Result<DataType> {
    match given {
        [moment, zone] if is_text(zone) || *zone == DataType::Null => {
            Ok(DataType::Timestamp(unit_of(moment), Some(UTC.into())))
        }
        [_, zone] => plan_err!("a time zone is text, not {}", type_name(zone)),
        _ => plan_err!("a timestamp and a zone are needed"),
    }
}

fn named(name: &str) -> Result<Zone> {
    Zone::read(name).ok_or_else(|| exec_datafusion_err!("'{name}' is not a valid time zone"))
}

/// The zone in a row, where it is text.
fn zones(call: &Call) -> Result<Option<ArrayRef>> {
    let zones = &call.args[1];
    Ok(match zones.data_type() {
        DataType::Timestamp(..) => None,
        _ => Some(cast(zones, &DataType::Utf8)?),
    })
}

fn target(call: &Call) -> (TimeUnit, Option<&Arc<str>>) {
    match &call.return_type {
        DataType::Timestamp(unit, zone) => (*unit, zone.as_ref()),
        _ => (TimeUnit::Millisecond, None),
    }
}

/// What Arrow has no type for, in the zone that the type of the second argument names.
fn fine_in_zone(call: &Call, keeps_clock: bool) -> Option<Result<ArrayRef>> {
    let to = Fine::of(&call.return_type)?;
    match call.args[1].data_type() {
        DataType::Timestamp(_, Some(zone)) => {
            let zone = Zone::of_type(zone);
            Some(in_zone(&call.args[0], &to, zone, keeps_clock))
        }
        _ => None,
    }
}

/// The same instant on another clock.
fn at_timezone(call: &Call) -> Result<ArrayRef> {
    if let Some(result) = fine_in_zone(call, false) {
        return result;
    }
    let moments = Moments::new(&call.args[0])?;
    let zones = zones(call)?;
    let (unit, zone) = target(call);
    let mut values = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if let Some(zones) = &zones {
            let zones = zones.as_string::<i32>();
            if zones.is_null(row) {
                values.push(None);
                continue;
            }
            named(zones.value(row))?;
        }
        values.push(moments.instant(row).and_then(|time| units(time, unit)));
    }
    Ok(array(values, unit, zone))
}

fn without_zone(given: &[DataType]) -> Result<DataType> {
    let zoned = in_utc(given)?;
    Ok(DataType::Timestamp(unit_of(&zoned), None))
}

/// The zones of the rows, and what their clocks show.
fn clocks(call: &Call) -> Result<Vec<Option<(NaiveDateTime, Zone)>>> {
    let moments = Moments::new(&call.args[0])?;
    let zones = cast(&call.args[1], &DataType::Utf8)?;
    let zones = zones.as_string::<i32>();
    (0..call.rows)
        .map(|row| match (moments.instant(row), zones.is_valid(row)) {
            (Some(instant), true) => {
                let zone = named(zones.value(row))?;
                Ok(Some((zone.local(instant), zone)))
            }
            _ => Ok(None),
        })
        .collect()
}

/// What the clock of each row's zone shows.
fn local_time(call: &Call) -> Result<ArrayRef> {
    let (unit, _) = target(call);
    let clocks = clocks(call)?.into_iter();
    let values = clocks.map(|clock| clock.and_then(|(local, _)| units(local, unit)));
    Ok(array(values.collect(), unit, None))
}

/// The same as text, with the zone.
fn shown_at(call: &Call) -> Result<ArrayRef> {
    let unit = unit_of(call.args[0].data_type());
    let clocks = clocks(call)?.into_iter();
    let texts = clocks.map(|clock| {
        let (local, zone) = clock?;
        let shown = timestamp(units(local, unit)?, unit, None);
        Some(format!("{shown} {}", zone.shown()))
    });
    Ok(Arc::new(texts.collect::<StringArray>()))
}

/// The instant at which the zone's clock shows the timestamp.
fn with_timezone(call: &Call) -> Result<ArrayRef> {
    let moments = Moments::new(&call.args[0])?;
    if moments.is_zoned() || moments.is_time() {
        return exec_err!(
            "with_timezone takes a timestamp without time zone; `at_timezone` moves one with"
        );
    }
    if let Some(result) = fine_in_zone(call, true) {
        return result;
    }
    let zones = zones(call)?;
    let (unit, zone) = target(call);
    let fixed = zone.map(|zone| Zone::of_type(zone));
    let mut values = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let zone = match &zones {
            None => fixed,
            Some(zones) => {
                let zones = zones.as_string::<i32>();
                let name = zones.is_valid(row).then(|| zones.value(row));
                name.map(named).transpose()?
            }
        };
        let local = moments.get(row).zip(zone);
        values.push(local.and_then(|(local, zone)| units(zone.instant(local), unit)));
    }
    Ok(array(values, unit, zone))
}

fn timezone_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [DataType::Timestamp(_, Some(_))] => varchar(given),
        [fine] if Fine::of(fine).is_some_and(|fine| fine.zone().is_some()) => varchar(given),
        [other] => plan_err!(
            "timezone takes a timestamp with time zone, not {}",
            type_name(other)
        ),
        _ => plan_err!("timezone takes one argument"),
    }
}

fn from_unixtime_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [_] => Ok(zoned()),
        [_, zone] if is_text(zone) || *zone == DataType::Null => Ok(zoned()),
        [_, hours, _] if hours.is_integer() || *hours == DataType::Null => Ok(zoned()),
        _ => plan_err!(
            "from_unixtime takes seconds, then a time zone, or hours and minutes of an offset"
        ),
    }
}

fn from_unixtime(call: &Call) -> Result<ArrayRef> {
    let seconds = call.args[0].as_primitive::<Float64Type>();
    let offsets = match call.args.len() {
        3 => Some(cast(&call.args[1], &DataType::Int64)?),
        _ => None,
    };
    let zones = if call.args.len() == 2 {
        zones(call)?
    } else {
        None
    };
    let mut values = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if !call.all_valid(row) {
            values.push(None);
            continue;
        }
        if let Some(zones) = &zones {
            named(zones.as_string::<i32>().value(row))?;
        }
        if let Some(hours) = &offsets {
            let hours = hours.as_primitive::<Int64Type>().value(row);
            check_offset(hours, call.integers(2).value(row))?;
        }
        let millis = (seconds.value(row) * 1000.0).round();
        // Beyond what the calendar can show.
        if !(-8.0e15..8.0e15).contains(&millis) {
            return exec_err!("Timestamp is out of range: {}", seconds.value(row));
        }
        values.push(Some(millis as i64));
    }
    Ok(array(values, TimeUnit::Millisecond, Some(&UTC.into())))
}

/// Trino's bounds of offsets: 14 hours in both directions.
fn check_offset(hours: i64, minutes: i64) -> Result<()> {
    let total = hours.saturating_mul(60).saturating_add(minutes);
    if total.abs() > 14 * 60 || minutes.abs() > 59 || hours < 0 && minutes > 0 {
        return exec_err!("Invalid offset minutes {total}");
    }
    Ok(())
}

fn from_unixtime_nanos(call: &Call) -> Result<ArrayRef> {
    let given = &call.args[0];
    let values: Vec<Option<i64>> = if given.data_type().is_integer() {
        let values = cast(given, &DataType::Int64)?;
        values.as_primitive::<Int64Type>().iter().collect()
    } else {
        // Arrow rounds decimals of a smaller scale half away from zero, as Trino does.
        let whole = cast(given, &DataType::Decimal128(38, 0))?;
        let values = whole.as_primitive::<Decimal128Type>().iter();
        let values = values.map(|value| match value.map(i64::try_from) {
            Some(Err(_)) => exec_err!("long overflow"),
            Some(Ok(nanos)) => Ok(Some(nanos)),
            None => Ok(None),
        });
        values.collect::<Result<_>>()?
    };
    Ok(array(values, TimeUnit::Nanosecond, Some(&UTC.into())))
}
