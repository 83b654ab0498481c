//! `CAST` and `TRY_CAST` as Trino means them.
//!
//! The rewrite turns `CAST(x AS t)` into `__cast(x, CAST(NULL AS t))`; the second argument carries the
//! type, a third one the length of `varchar(n)` (negative for `char(n)`) or the digits of a timestamp or
//! time, a fourth one how many digits the value was written with, where it becomes text. Where DataFusion's own cast
//! means the same, planning turns the call back into one, so that predicates still reach the scan.
//!
//! Source: Trino manual, "Conversion functions" and "Data types"; rows are cast by position.

mod filled;
mod nested;
mod numbers;
mod precision;
mod text;

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StringArray, StringBuilder},
        compute::{CastOptions, cast_with_options},
        datatypes::{DataType, IntervalUnit, TimeUnit},
        util::display::FormatOptions,
    },
    common::{ScalarValue, exec_err, internal_err, plan_err},
    error::Result,
    logical_expr::{
        Cast, ScalarUDF, TryCast,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
    prelude::Expr,
};

use super::{
    datetime, ip, json, opaque,
    scalar::{Call, Json, Kind, Spec, varchar},
    type_name, uuid,
};
use crate::types::{
    self, ADDRESS, PREFIX, UUID,
    fine::{self, Fine},
    is_binary, is_text,
};

pub(super) use numbers::{double_text, java_number, java_texts, standard_text};
pub(super) use precision::shown as with_digits;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const PARAMS: &[Kind] = &[Kind::Any, Kind::Any, Kind::Integer, Kind::Integer];
    let strict = Spec::new("__cast", PARAMS, target, |call| run(call, false)).at_least(2);
    let safe = Spec::new("__try_cast", PARAMS, target, |call| run(call, true)).at_least(2);
    vec![
        Spec {
            simplify: Some(|args, context| plain(args, context, false)),
            ..strict
        }
        .build(),
        Spec {
            simplify: Some(|args, context| plain(args, context, true)),
            ..safe
        }
        .build(),
        Spec::new("typeof", &[Kind::Any], varchar, type_of).build(),
        // With what the query says of the value.
        Spec::new("__typeof", &[Kind::Any, Kind::Text], varchar, type_of).build(),
        filled::function(),
    ]
}

fn type_of(call: &Call) -> Result<ArrayRef> {
    let name = type_name(call.args[0].data_type());
    let name = match call.args.get(1) {
        Some(said) if !said.is_empty() => {
            types::written::merged(&name, said.as_string::<i32>().value(0))
        }
        _ => name,
    };
    Ok(Arc::new(StringArray::from(vec![name; call.rows])))
}

/// The call that casts `expr`.
pub(super) fn call(expr: Expr, data_type: &DataType) -> Expr {
    let typed = Expr::Literal(ScalarValue::Null, None);
    let typed = Expr::Cast(Cast::new(Box::new(typed), data_type.clone()));
    let function = functions()
        .into_iter()
        .find(|function| function.name() == "__cast");
    match function {
        Some(function) => function.call(vec![expr, typed]),
        None => expr,
    }
}

fn target(given: &[DataType]) -> Result<DataType> {
    match given {
        [from, to, ..] if !is_castable(from, to) => {
            let advice = match (from, to) {
                (from, to) if *from == types::JSON && is_moment(to) => {
                    "; json_extract_scalar(…), or CAST(… AS varchar), makes text of it first"
                }
                (from, to) if is_binary(from) && is_text(to) => {
                    "; from_utf8(…) reads bytes as text"
                }
                (DataType::Timestamp(..) | DataType::Date32, to) if to.is_numeric() => {
                    "; to_unixtime(…) counts its seconds"
                }
                (from, DataType::Timestamp(..)) if from.is_numeric() => {
                    "; from_unixtime(…) takes seconds"
                }
                (from, to) if is_text(from) && has_parts(to) => "; json_parse(…) reads JSON text",
                (from, to) if has_parts(from) && is_text(to) => {
                    "; json_format(CAST(… AS json)) writes it as text"
                }
                _ => "",
            };
            plan_err!(
                "Cannot cast {} to {}{advice}",
                type_name(from),
                type_name(to)
            )
        }
        [from, target, ..] => Ok(kept_zone(from, target)),
        _ => internal_err!("a cast without a type"),
    }
}

/// The type that a value gets: a timestamp that has a zone keeps it, and one beyond Arrow's calendar
/// stays outside of it.
fn kept_zone(from: &DataType, target: &DataType) -> DataType {
    let fine = Fine::of(from);
    let zone = match (from, &fine) {
        (DataType::Timestamp(_, zone), _) => zone.as_ref(),
        (_, Some(fine)) => fine.zone(),
        _ => None,
    };
    let is_beyond = fine.as_ref().is_some_and(|fine| !fine.is_time());
    let kind = |written: &Option<Arc<str>>| {
        let kept = written.as_ref().map(|written| zone.unwrap_or(written));
        fine::Kind::Timestamp(kept.cloned())
    };
    match (target, Fine::of(target)) {
        (DataType::Timestamp(TimeUnit::Nanosecond, zone), _) if is_beyond => Fine {
            kind: kind(zone),
            digits: 9,
        }
        .data_type(),
        (DataType::Timestamp(unit, Some(written)), _) => {
            DataType::Timestamp(*unit, Some(Arc::clone(zone.unwrap_or(written))))
        }
        (
            _,
            Some(Fine {
                kind: fine::Kind::Timestamp(zone),
                digits,
            }),
        ) => Fine {
            kind: kind(&zone),
            digits,
        }
        .data_type(),
        _ => target.clone(),
    }
}

fn has_parts(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_) | DataType::Map(..) | DataType::Struct(_)
    ) && Fine::of(data_type).is_none()
}

/// Is there a cast between these types in Trino? What is not listed is left to the cast itself.
fn is_castable(from: &DataType, to: &DataType) -> bool {
    if from == to || *from == DataType::Null {
        return true;
    }
    let is_number = |given: &DataType| given.is_numeric() || *given == DataType::Boolean;
    match (from, to) {
        (from, to) if *from == types::JSON => json::is_read(to),
        (from, to) if *to == types::JSON => json::is_written(from),
        (from, DataType::Interval(_)) => matches!(from, DataType::Interval(_)),
        (DataType::List(a), DataType::List(b)) => is_castable(a.data_type(), b.data_type()),
        // The bytes of a sketch; it is held in a row, but is none.
        (from, to) if opaque::is_sketch(from) || opaque::is_sketch(to) => {
            is_binary(from) || is_binary(to)
        }
        (from, to) if has_parts(from) != has_parts(to) => false,
        (from, to) if is_number(from) => !is_moment(to) && !is_internet(to) && !is_binary(to),
        (from, to) if is_moment(from) => !is_number(to) && !is_internet(to) && !is_binary(to),
        (from, to) if is_binary(from) => !is_text(to) && !is_number(to) && !is_moment(to),
        _ => true,
    }
}

/// The constant of an argument.
fn integer(call: &Call, index: usize) -> Option<i64> {
    match call.constants.get(index) {
        Some(Some(ScalarValue::Int64(value))) => *value,
        _ => None,
    }
}

fn run(call: &Call, safe: bool) -> Result<ArrayRef> {
    let given = &call.args[0];
    if let (Some(length), true) = (integer(call, 2), is_moment(&call.return_type)) {
        return precision::convert_rounded(given, &call.return_type, length, safe);
    }
    let array = match integer(call, 3) {
        Some(digits) if is_moment(given.data_type()) => {
            let shown = convert(given, &DataType::Utf8, safe)?;
            convert(&precision::shown(&shown, digits), &call.return_type, safe)?
        }
        _ => convert(given, &call.return_type, safe)?,
    };
    let Some(length) = integer(call, 2) else {
        return Ok(array);
    };
    let wanted = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    // Only text is cut; another value that does not fit cannot be cast.
    let cuts = length < 0 || is_text(given.data_type());
    let texts = array.as_string::<i32>();
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for text in texts {
        let Some(text) = text else {
            result.append_null();
            continue;
        };
        let mut cut: String = text.chars().take(wanted).collect();
        if !cuts && cut.len() < text.len() {
            if !safe {
                return exec_err!("Value {text} cannot be represented as varchar({wanted})");
            }
            result.append_null();
            continue;
        }
        if length < 0 {
            let blanks = wanted.saturating_sub(cut.chars().count()).min(65_536);
            cut.extend(std::iter::repeat_n(' ', blanks));
        }
        result.append_value(cut);
    }
    Ok(Arc::new(result.finish()))
}

/// Turns the call into DataFusion's own cast where that means the same.
fn plain(args: Vec<Expr>, context: &SimplifyContext, safe: bool) -> Result<ExprSimplifyResult> {
    let [value, typed] = args.as_slice() else {
        return Ok(ExprSimplifyResult::Original(args));
    };
    let from = context.get_data_type(value)?;
    let to = target(&[from.clone(), context.get_data_type(typed)?])?;
    if from == to {
        return Ok(ExprSimplifyResult::Simplified(value.clone()));
    }
    // Constants are cast here: DataFusion cuts digits that Trino rounds, which over columns is
    // accepted, since predicates then reach the scan.
    if !agrees(&from, &to) || matches!(value, Expr::Literal(..)) && from != DataType::Null {
        return Ok(ExprSimplifyResult::Original(args));
    }
    let value = Box::new(value.clone());
    Ok(ExprSimplifyResult::Simplified(if safe {
        Expr::TryCast(TryCast::new(value, to))
    } else {
        Expr::Cast(Cast::new(value, to))
    }))
}

/// Does Arrow's cast between these types mean what Trino's does?
fn agrees(from: &DataType, to: &DataType) -> bool {
    // DataFusion would read and show other zones in its own way.
    let is_time = |data_type: &DataType| match data_type {
        DataType::Timestamp(_, Some(zone)) => types::is_utc(zone),
        DataType::Timestamp(_, None) => true,
        _ => false,
    };
    match (from, to) {
        (DataType::Null, _) => true,
        (from, to) if is_text(from) => is_text(to),
        (from, to) if is_text(to) => from.is_integer() || *from == DataType::Boolean,
        (from, to) if from.is_integer() => to.is_numeric() || *to == DataType::Boolean,
        (DataType::Float32, DataType::Float64) => true,
        (DataType::Boolean, to) => to.is_integer(),
        (from, DataType::Date32) => is_time(from),
        (DataType::Date32, to) => is_time(to),
        // Instants as microseconds are no Trino; the questions of kennel's own count with them.
        (from, DataType::Int64) => is_time(from),
        // Arrow cuts digits that Trino rounds. Of microseconds that is accepted, which tables have where
        // Athena's have milliseconds: so predicates reach the scan.
        (DataType::Timestamp(unit, _), DataType::Timestamp(to_unit, _)) => {
            let is_cut = digits(*unit) > digits(*to_unit);
            let is_accepted = *unit == TimeUnit::Microsecond && *to_unit == TimeUnit::Millisecond;
            is_time(from) && is_time(to) && (!is_cut || is_accepted)
        }
        _ => false,
    }
}

/// Casts an array; what cannot be cast is an error, or null where `safe`.
pub(super) fn convert(array: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef> {
    let from = array.data_type();
    if from == to {
        return Ok(Arc::clone(array));
    }
    match (from, to) {
        (DataType::Null, _) => arrow_cast(array, to, safe),
        (_, to) if *to == types::JSON => {
            let texts = json::to_json(array)?;
            Ok(Arc::new(datafusion::arrow::array::LargeStringArray::from(
                texts,
            )))
        }
        (from, to) if *from == types::JSON => {
            json::from_json(Json::Large(array.as_string::<i64>()), array.len(), to, safe)
        }
        (from, to) if Fine::of(from).or(Fine::of(to)).is_some() => {
            datetime::fine::cast(array, to, safe)
        }
        (from, to) if opaque::is_sketch(from) && is_binary(to) => {
            arrow_cast(&opaque::held(array), to, safe)
        }
        (from, to) if is_binary(from) && opaque::is_sketch(to) => {
            opaque::wrap(arrow_cast(array, &DataType::Binary, safe)?, to)
        }
        (from, to) if is_text(from) => text::from_text(array, to, safe),
        (from, to) if is_text(to) => text::to_text(array, from),
        (from, to) if is_internet(from) || is_internet(to) => internet(array, to, safe),
        // The type that holds both kinds of intervals.
        (DataType::Interval(_) | DataType::Duration(_), to) if *to == MONTHS_AND_TIME => {
            arrow_cast(array, to, safe)
        }
        (DataType::Interval(_) | DataType::Duration(_), _) => refused(from, to),
        (from, to) if is_moment(from) && is_moment(to) => datetime::convert(array, to),
        (DataType::List(_), DataType::List(element)) => nested::list(array, element, safe),
        (DataType::Map(..), DataType::Map(entries, _)) => nested::map(array, entries, safe),
        (DataType::Struct(fields), DataType::Struct(_)) => {
            nested::row(array, fields.len(), to, safe)
        }
        (DataType::Float32, to) if to.is_decimal() => numbers::single_as_decimal(array, to, safe),
        (from, to) if is_fractional(from) && to.is_integer() => numbers::rounded(array, to, safe),
        // Arrow has no casts between these two.
        (DataType::Boolean, to) if to.is_decimal() => {
            arrow_cast(&arrow_cast(array, &DataType::Int8, safe)?, to, safe)
        }
        (from, DataType::Boolean) if from.is_decimal() => {
            let doubles = arrow_cast(array, &DataType::Float64, safe)?;
            arrow_cast(&doubles, to, safe)
        }
        _ => arrow_cast(array, to, safe),
    }
}

const MONTHS_AND_TIME: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// Addresses, prefixes, UUIDs.
fn is_internet(data_type: &DataType) -> bool {
    [ADDRESS, PREFIX, UUID].contains(data_type)
}

fn is_moment(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Date32 | DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_)
    ) || Fine::of(data_type).is_some()
}

fn refused(from: &DataType, to: &DataType) -> Result<ArrayRef> {
    exec_err!("Cannot cast {} to {}", type_name(from), type_name(to))
}

fn internet(array: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef> {
    let from = array.data_type();
    match (from, to) {
        (from, to) if *from == ADDRESS && *to == PREFIX || *from == PREFIX && *to == ADDRESS => {
            ip::between(array, to)
        }
        (from, to) if is_internet(from) && is_binary(to) => {
            let given = array.as_fixed_size_binary();
            let bytes = given.iter().map(|bytes| bytes.map(|bytes| &bytes[..16]));
            let bytes = bytes.collect::<datafusion::arrow::array::BinaryArray>();
            Ok(Arc::new(bytes))
        }
        (from, to) if is_binary(from) && (*to == ADDRESS || *to == UUID) => {
            let bytes = arrow_cast(array, &DataType::Binary, false)?;
            if *to == UUID {
                uuid::from_bytes(&bytes, safe)
            } else {
                ip::from_bytes(&bytes, safe)
            }
        }
        _ => refused(from, to),
    }
}

fn is_fractional(data_type: &DataType) -> bool {
    data_type.is_floating() || data_type.is_decimal()
}

fn arrow_cast(array: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef> {
    let options = CastOptions {
        safe,
        format_options: FormatOptions::default(),
    };
    match cast_with_options(array, to, &options) {
        Ok(array) => Ok(array),
        Err(error) => exec_err!(
            "Cannot cast {} to {}: {error}",
            type_name(array.data_type()),
            type_name(to)
        ),
    }
}

/// Number of digits that a unit has after the point.
pub(super) fn digits(unit: TimeUnit) -> u32 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}
