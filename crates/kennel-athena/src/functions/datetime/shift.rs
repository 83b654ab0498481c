//! Times plus and minus intervals where DataFusion knows no such operator, or would lose digits.
//!
//! Source: Trino manual, "Date and time functions and operators"; times of day go round the clock.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::ArrayRef,
        datatypes::{DataType, IntervalUnit, TimeUnit},
    },
    common::{exec_datafusion_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    arithmetic::{Unit, shifted},
    interval::Spans,
    moment::Moments,
};
use crate::{
    functions::{
        cast::convert,
        scalar::{Call, Kind, Spec},
    },
    types::fine::Fine,
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    operators().map(|(_, spec)| spec.build()).into()
}

/// The function for `+` or `-`, the time on the left side of the sign.
pub(in crate::functions) fn operator(sign: &str) -> Option<Arc<ScalarUDF>> {
    operators()
        .into_iter()
        .find(|(known, _)| *known == sign)
        .map(|(_, spec)| spec.build())
}

fn operators() -> [(&'static str, Spec); 2] {
    const BOTH: &[Kind] = &[Kind::MomentOrTime, Kind::Any];
    [
        (
            "+",
            Spec::new("__plus_interval", BOTH, typed, |call| shift(call, 1)),
        ),
        (
            "-",
            Spec::new("__minus_interval", BOTH, typed, |call| shift(call, -1)),
        ),
    ]
}

/// Intervals of days and seconds have three digits; the time has at least as many then.
fn typed(given: &[DataType]) -> Result<DataType> {
    let [time, span] = given else {
        return plan_err!("a time and an interval are needed");
    };
    if *span == DataType::Interval(IntervalUnit::YearMonth) {
        return Ok(time.clone());
    }
    Ok(match time {
        DataType::Time32(TimeUnit::Second) => DataType::Time32(TimeUnit::Millisecond),
        DataType::Timestamp(TimeUnit::Second, zone) => {
            DataType::Timestamp(TimeUnit::Millisecond, zone.clone())
        }
        other => match Fine::of(other) {
            Some(fine) if fine.digits < 3 => Fine { digits: 3, ..fine }.data_type(),
            _ => other.clone(),
        },
    })
}

fn shift(call: &Call, sign: i64) -> Result<ArrayRef> {
    let moments = Moments::new(&convert(&call.args[0], &call.return_type, false)?)?;
    let spans = Spans::new(&call.args[1])?;
    let zone = moments.zone();
    let mut result = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let (Some(utc), Some(span)) = (moments.instant(row), spans.get(row)) else {
            result.push(None);
            continue;
        };
        // Months are those of the clock, hours are hours.
        let by_months = match span.months {
            0 => Some(utc),
            months => shifted(zone.local(utc), Unit::Months(1), sign * months)
                .map(|local| zone.instant(local)),
        };
        let moved = by_months.and_then(|utc| shifted(utc, Unit::Millis(1), sign * span.millis));
        let moved =
            moved.ok_or_else(|| exec_datafusion_err!("{utc} and an interval are out of range"));
        result.push(Some(moved?));
    }
    moments.moved(result)
}
