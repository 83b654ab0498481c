//! Time zones that are written in a query: carried as types, so that timestamps keep them.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    TimezoneInfo, UnaryOperator, Value,
};

use super::build::{call, null, plain_args, plain_cast};
use crate::{
    functions::{joda_zone, text_to_time, zone::Zone},
    types::ZONE_TYPE,
};

/// `expr` on the clock of a zone, if there is one.
pub(super) fn at(expr: Expr, zone: Option<Zone>) -> Expr {
    match zone {
        Some(zone) if zone != Zone::utc() => call("__at_timezone", vec![expr, typed(zone)]),
        _ => expr,
    }
}

/// A null of the type that carries the zone.
fn typed(zone: Zone) -> Expr {
    let name = ObjectName::from(vec![Ident::new(ZONE_TYPE)]);
    plain_cast(null(), DataType::Custom(name, vec![zone.arrow()]))
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        Expr::Nested(inner) => text(inner),
        _ => None,
    }
}

/// An integer, its type and its sign around it.
fn integer(expr: &Expr) -> Option<i32> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.parse().ok(),
            _ => None,
        },
        Expr::Cast { expr, .. } => integer(expr),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => integer(expr).map(|number| -number),
        _ => None,
    }
}

/// The zone that a constant names: by text, or by an interval, which the rewrite has made
/// `'0 days 7200000 milliseconds'`.
fn constant(expr: &Expr) -> Option<Zone> {
    let Expr::Interval(interval) = expr else {
        return Zone::read(text(expr)?);
    };
    let (days, rest) = text(&interval.value)?.split_once(" days ")?;
    let millis: i32 = rest.strip_suffix(" milliseconds")?.parse().ok()?;
    match days {
        "0" => Zone::of_seconds(millis / 1000),
        _ => None,
    }
}

/// The zone in the text of a cast to a timestamp with time zone.
pub(super) fn of_cast(inner: &Expr, data_type: &DataType) -> Option<Zone> {
    match data_type {
        DataType::Timestamp(_, TimezoneInfo::WithTimeZone) => {
            text_to_time::read(text(inner)?)?.zone
        }
        _ => None,
    }
}

/// `x AT TIME ZONE z`.
pub(super) fn at_time_zone(expr: &mut Expr) {
    let Expr::AtTimeZone {
        timestamp,
        time_zone,
    } = expr
    else {
        return;
    };
    let timestamp = std::mem::replace(timestamp.as_mut(), null());
    let zone = std::mem::replace(time_zone.as_mut(), null());
    *expr = match constant(&zone) {
        Some(zone) => call("__at_timezone", vec![timestamp, typed(zone)]),
        None => call("at_timezone", vec![timestamp, zone]),
    };
}

/// A timestamp on the clock of a zone that no constant names: the arguments of `at_timezone`.
fn at_unknown(expr: &Expr) -> Option<[&Expr; 2]> {
    match expr {
        Expr::Nested(inner) => at_unknown(inner),
        Expr::Function(function) => {
            let [part] = function.name.0.as_slice() else {
                return None;
            };
            let is_call = part.as_ident()?.value.eq_ignore_ascii_case("at_timezone");
            match plain_args(function)?.as_slice() {
                [moment, zone] if is_call => Some([moment, zone]),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What the clock of a zone from a column shows, without the zone: timestamps keep one zone for all rows.
pub(super) fn local(expr: Expr) -> Expr {
    match at_unknown(&expr) {
        Some([moment, zone]) => call("__local_time", vec![moment.clone(), zone.clone()]),
        None => expr,
    }
}

/// As [`local`], as text with the zone.
pub(super) fn shown(expr: Expr) -> Expr {
    match at_unknown(&expr) {
        Some([moment, zone]) => call("__shown_at", vec![moment.clone(), zone.clone()]),
        None => expr,
    }
}

/// Functions that read the clock of their first argument.
const READERS: [&str; 22] = [
    "date",
    "date_format",
    "day",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "dow",
    "doy",
    "extract",
    "format_datetime",
    "hour",
    "last_day_of_month",
    "millisecond",
    "minute",
    "month",
    "quarter",
    "second",
    "week",
    "week_of_year",
    "year",
    "year_of_week",
    "yow",
];

/// Lets functions that read a clock read that of a zone from a column.
pub(super) fn reader(function: &mut Function, name: &str) {
    if !READERS.contains(&name) {
        return;
    }
    if let FunctionArguments::List(list) = &mut function.args
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(moment))) = list.args.first_mut()
    {
        *moment = local(std::mem::replace(moment, null()));
    }
}

/// Functions whose result has the zone that a constant names.
pub(super) fn function(expr: &mut Expr, name: &str) {
    let Expr::Function(function) = &*expr else {
        return;
    };
    let Some(args) = plain_args(function) else {
        return;
    };
    let zone = match (name, args.as_slice()) {
        ("at_timezone" | "with_timezone", [moment, zone]) => {
            if let Some(zone) = constant(zone) {
                let moment = (*moment).clone();
                *expr = call(&format!("__{name}"), vec![moment, typed(zone)]);
            }
            return;
        }
        ("from_unixtime", [_, zone]) => constant(zone),
        ("from_unixtime", [_, hours, minutes]) => offset(hours, minutes),
        ("from_iso8601_timestamp" | "from_iso8601_timestamp_nanos", [written]) => {
            text(written).and_then(|text| text_to_time::read_iso(text)?.zone)
        }
        ("parse_datetime", [written, pattern]) => text(written)
            .zip(text(pattern))
            .and_then(|(text, pattern)| joda_zone(text, pattern)),
        _ => None,
    };
    let called = std::mem::replace(expr, null());
    *expr = at(called, zone);
}

fn offset(hours: &Expr, minutes: &Expr) -> Option<Zone> {
    let minutes = integer(hours)?
        .checked_mul(60)?
        .checked_add(integer(minutes)?)?;
    Zone::of_seconds(minutes.checked_mul(60)?)
}
