//! `CAST` and `TRY_CAST` as Trino means them.
//!
//! The rewrite turns `CAST(x AS t)` into `__cast(x, CAST(NULL AS t))`; the second argument carries the
//! type, a third one the length of `varchar(n)` (negative for `char(n)`) or the digits of a timestamp or
//! time, a fourth one how many digits the value was written with, where it becomes text. Where DataFusion's own cast
//! means the same, planning turns the call back into one, so that predicates still reach the scan.
//!
//! Source: Trino manual, "Conversion functions" and "Data types"; rows are cast by position.

mod precision;

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, ListArray, MapArray, StringArray, StringBuilder, StructArray,
        },
        compute::{CastOptions, cast_with_options},
        datatypes::{DataType, Field, Float64Type, Int64Type, IntervalUnit, TimeUnit},
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
    datetime::{self, text_to_time, time_to_text},
    ip, json, opaque,
    scalar::{Call, Json, Kind, Spec, varchar},
    type_name, uuid,
};
use crate::types::{self, ADDRESS, PREFIX, UUID, is_binary, is_text};

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
        Spec::new("typeof", &[Kind::Any, Kind::Integer], varchar, |call| {
            let name = type_name(call.args[0].data_type());
            let name = match (integer(call, 1), name.split_once('(')) {
                (Some(digits), Some((kind, rest))) => {
                    let rest = rest.split_once(')').map_or("", |(_, rest)| rest);
                    format!("{kind}({digits}){rest}")
                }
                _ => name,
            };
            Ok(Arc::new(StringArray::from(vec![name; call.rows])))
        })
        .at_least(1)
        .build(),
    ]
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
        // A timestamp that has a zone keeps it.
        [
            DataType::Timestamp(_, Some(zone)),
            DataType::Timestamp(unit, Some(_)),
            ..,
        ] => Ok(DataType::Timestamp(*unit, Some(Arc::clone(zone)))),
        [_, target, ..] => Ok(target.clone()),
        _ => internal_err!("a cast without a type"),
    }
}

fn has_parts(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_) | DataType::Map(..) | DataType::Struct(_)
    )
}

/// Is there a cast between these types in Trino? What is not listed is left to the cast itself.
fn is_castable(from: &DataType, to: &DataType) -> bool {
    if from == to || *from == DataType::Null {
        return true;
    }
    let is_number = |given: &DataType| given.is_numeric() || *given == DataType::Boolean;
    match (from, to) {
        (from, to) if *from == types::JSON => !is_moment(to) && !is_internet(to) && !is_binary(to),
        (from, to) if *to == types::JSON => {
            !matches!(from, DataType::Interval(_) | DataType::Duration(_))
        }
        (DataType::List(a), DataType::List(b)) => is_castable(a.data_type(), b.data_type()),
        // The bytes of a sketch; it is held in a row, but is none.
        (from, to) if opaque::is_sketch(from) || opaque::is_sketch(to) => {
            is_binary(from) || is_binary(to)
        }
        (from, to) if has_parts(from) != has_parts(to) => false,
        (from, to) if is_number(from) => !is_moment(to) && !is_internet(to) && !is_binary(to),
        (DataType::Timestamp(..), DataType::Int64) => true,
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
    let mut array = convert(given, &call.return_type, safe)?;
    if let Some(digits) = integer(call, 3)
        && is_text(&call.return_type)
    {
        array = precision::shown(&array, digits);
    }
    let Some(length) = integer(call, 2) else {
        return Ok(array);
    };
    if is_moment(&call.return_type) {
        return precision::rounded(&array, length);
    }
    let wanted = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    // Only text is cut; another value that does not fit cannot be cast.
    let cuts = length < 0 || is_text(given.data_type()) || *given.data_type() == types::JSON;
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
        (from, to) if is_text(to) => {
            from.is_integer() || *from == DataType::Boolean || *from == DataType::Date32
        }
        (from, to) if from.is_integer() => to.is_numeric() || *to == DataType::Boolean,
        (DataType::Float32, DataType::Float64) => true,
        (DataType::Boolean, to) => to.is_integer(),
        (from, DataType::Date32) => is_time(from),
        (DataType::Date32, to) => is_time(to),
        // Instants as microseconds are no Trino; the questions of kennel's own count with them.
        (from, to) if is_time(from) => is_time(to) || *to == DataType::Int64,
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
        (from, to) if opaque::is_sketch(from) && is_binary(to) => {
            arrow_cast(&opaque::held(array), to, safe)
        }
        (from, to) if is_binary(from) && opaque::is_sketch(to) => {
            opaque::wrap(arrow_cast(array, &DataType::Binary, safe)?, to)
        }
        (from, to) if is_text(from) => from_text(array, to, safe),
        (from, to) if is_text(to) => to_text(array, from),
        (from, to) if is_internet(from) || is_internet(to) => internet(array, to, safe),
        // The type that holds both kinds of intervals.
        (DataType::Interval(_) | DataType::Duration(_), to) if *to == MONTHS_AND_TIME => {
            arrow_cast(array, to, safe)
        }
        (DataType::Interval(_) | DataType::Duration(_), _) => refused(from, to),
        (from, to) if is_moment(from) && is_moment(to) => datetime::convert(array, to),
        (DataType::List(_), DataType::List(element)) => list(array, element, safe),
        (DataType::Map(..), DataType::Map(entries, _)) => map(array, entries, safe),
        (DataType::Struct(fields), DataType::Struct(_)) => row(array, fields.len(), to, safe),
        (from, to) if is_fractional(from) && to.is_integer() => rounded(array, to, safe),
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
    )
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

fn from_text(array: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef> {
    let texts = arrow_cast(array, &DataType::Utf8, false)?;
    let unreadable = |text: &str| -> Result<()> {
        exec_err!("Value cannot be cast to {}: {text}", type_name(to))
    };
    match to {
        to if is_text(to) => arrow_cast(&texts, to, safe),
        DataType::Timestamp(unit, zone) => {
            text_to_time::timestamps(texts.as_string::<i32>(), *unit, zone.as_ref(), safe)
        }
        DataType::Date32 => {
            let mut days = Vec::with_capacity(texts.len());
            for text in texts.as_string::<i32>() {
                let day = text.map(|text| (text, text_to_time::read_date(text)));
                match day {
                    Some((text, None)) if !safe => unreadable(text)?,
                    _ => {}
                }
                days.push(day.and_then(|(_, day)| day));
            }
            Ok(Arc::new(datafusion::arrow::array::Date32Array::from(days)))
        }
        to if *to == UUID => uuid::from_text(&texts, safe),
        to if is_internet(to) => ip::from_text(&texts, to, safe),
        DataType::Time32(unit) | DataType::Time64(unit) => {
            let per_day = 86_400 * 10_i64.pow(digits(*unit));
            let day = chrono::DateTime::UNIX_EPOCH.date_naive();
            let mut times = Vec::with_capacity(texts.len());
            for text in texts.as_string::<i32>() {
                let time = text.map(|text| (text, text_to_time::read_time(text)));
                match time {
                    Some((text, None)) if !safe => unreadable(text)?,
                    _ => {}
                }
                let time = time.and_then(|(_, time)| time);
                times.push(time.and_then(|(time, _)| {
                    let value = text_to_time::units(day.and_time(time), *unit)?;
                    Some(value % per_day)
                }));
            }
            datetime::times(times, *unit)
        }
        DataType::Boolean => {
            let mut values = Vec::with_capacity(texts.len());
            for text in texts.as_string::<i32>() {
                values.push(match text.map(str::to_ascii_lowercase).as_deref() {
                    None => None,
                    Some("t" | "true" | "1") => Some(true),
                    Some("f" | "false" | "0") => Some(false),
                    Some(_) if safe => None,
                    Some(text) => {
                        unreadable(text)?;
                        None
                    }
                });
            }
            Ok(Arc::new(datafusion::arrow::array::BooleanArray::from(
                values,
            )))
        }
        DataType::Float32 | DataType::Float64 => {
            let mut read = StringBuilder::with_capacity(texts.len(), 0);
            for text in texts.as_string::<i32>() {
                match text.map(|text| (text, java_double(text))) {
                    Some((text, None)) if !safe => unreadable(text)?,
                    read_text => read.append_option(read_text.and_then(|(_, number)| number)),
                }
            }
            arrow_cast(&(Arc::new(read.finish()) as ArrayRef), to, safe)
        }
        to if to.is_integer() => {
            let has_blanks = |text: &str| {
                text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace)
            };
            let texts_given = texts.as_string::<i32>();
            // Arrow would take blanks off.
            match texts_given.iter().flatten().find(|text| has_blanks(text)) {
                Some(text) if !safe => {
                    unreadable(text)?;
                    arrow_cast(&texts, to, safe)
                }
                Some(_) => {
                    let kept = texts_given
                        .iter()
                        .map(|text| text.filter(|text| !has_blanks(text)));
                    let kept: ArrayRef = Arc::new(kept.collect::<StringArray>());
                    arrow_cast(&kept, to, safe)
                }
                None => arrow_cast(&texts, to, safe),
            }
        }
        DataType::Binary => arrow_cast(&texts, to, safe),
        DataType::List(_) | DataType::Map(..) | DataType::Struct(_) => {
            exec_err!(
                "Cannot cast varchar to {}; `json_parse` reads JSON text",
                type_name(to)
            )
        }
        _ => arrow_cast(&texts, to, safe),
    }
}

/// The digits of a double as Java reads it; Rust reads more names of infinity, and no letter at the end.
fn java_double(text: &str) -> Option<&str> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if ["NaN", "Infinity"].contains(&unsigned) {
        return Some(text);
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let is_digit = |sign: char| sign.is_ascii_digit() || "+-.eE".contains(sign);
    number.chars().all(is_digit).then_some(number)
}

fn to_text(array: &ArrayRef, from: &DataType) -> Result<ArrayRef> {
    match from {
        DataType::Timestamp(unit, zone) => {
            let values = arrow_cast(array, &DataType::Int64, false)?;
            let values = values.as_primitive::<Int64Type>();
            let zone = zone
                .as_ref()
                .map(|name| datetime::zone::Zone::of_type(name));
            let mut result = StringBuilder::with_capacity(array.len(), 0);
            for value in values {
                result
                    .append_option(value.map(|value| time_to_text::timestamp(value, *unit, zone)));
            }
            Ok(Arc::new(result.finish()))
        }
        DataType::Time32(unit) | DataType::Time64(unit) => {
            let times = datetime::Times::new(array)?;
            let shown = |row| Some(time_to_text::time(times.get(row)?.time(), *unit));
            let shown = (0..array.len()).map(shown).collect::<StringArray>();
            Ok(Arc::new(shown))
        }
        DataType::Interval(_) | DataType::Duration(_) => {
            let spans = datetime::interval::Spans::new(array)?;
            let shown = (0..array.len()).map(|row| Some(spans.get(row)?.to_string()));
            Ok(Arc::new(shown.collect::<StringArray>()))
        }
        from if is_internet(from) => {
            let shown = (0..array.len()).map(|row| {
                array.is_valid(row).then(|| match from {
                    from if *from == UUID => uuid::to_text(array, row),
                    _ => ip::to_text(array, row),
                })
            });
            Ok(Arc::new(shown.collect::<StringArray>()))
        }
        DataType::List(_) | DataType::Map(..) | DataType::Struct(_) => {
            refused(from, &DataType::Utf8)
        }
        from if from.is_floating() => {
            let is_single = !matches!(from, DataType::Float64);
            let values = arrow_cast(array, &DataType::Float64, false)?;
            let singles = arrow_cast(array, &DataType::Float32, true)?;
            let singles = singles.as_primitive::<datafusion::arrow::datatypes::Float32Type>();
            let values = values.as_primitive::<Float64Type>();
            let mut result = StringBuilder::with_capacity(array.len(), 0);
            for row in 0..array.len() {
                result.append_option(array.is_valid(row).then(|| {
                    if is_single {
                        let value = singles.value(row);
                        java_number(f64::from(value), format!("{value:e}"))
                    } else {
                        let value = values.value(row);
                        java_number(value, format!("{value:e}"))
                    }
                }));
            }
            Ok(Arc::new(result.finish()))
        }
        _ => arrow_cast(array, &DataType::Utf8, false),
    }
}

/// A double as `CAST(x AS varchar)` writes it.
pub(super) fn double_text(value: f64) -> String {
    java_number(value, format!("{value:e}"))
}

/// A double as Java writes it: `1.0`, `1.0E10`, `1.0E-5`. `shortest` is Rust's `{:e}`.
fn java_number(value: f64, shortest: String) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-3..7).contains(&exponent) {
        let point = if mantissa.contains('.') { "" } else { ".0" };
        return format!("{mantissa}{point}E{exponent}");
    }
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    let digits: String = digits.chars().filter(|c| *c != '.').collect();
    let text = if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        format!("0.{zeros}{digits}")
    } else {
        let whole = exponent as usize + 1;
        let padded = format!("{digits:0<whole$}");
        let (integer, fraction) = padded.split_at(whole);
        format!(
            "{integer}.{}",
            if fraction.is_empty() { "0" } else { fraction }
        )
    };
    format!("{sign}{text}")
}

/// Fractions become integers by rounding, half away from zero.
fn rounded(array: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef> {
    if array.data_type().is_decimal() {
        // Arrow rounds decimals of another scale so.
        let whole = arrow_cast(array, &DataType::Decimal128(38, 0), safe)?;
        return arrow_cast(&whole, to, safe);
    }
    let values = arrow_cast(array, &DataType::Float64, false)?;
    let values = values.as_primitive::<Float64Type>();
    let mut result = Vec::with_capacity(array.len());
    for value in values {
        let Some(value) = value else {
            result.push(None);
            continue;
        };
        let whole = value.round();
        // 2^63 is a double, the largest bigint is not.
        let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&whole);
        // To smaller types, infinity and NaN included: Trino's error is the same.
        if !fits && !safe {
            return exec_err!("Cannot cast {value} to {}", type_name(to));
        }
        result.push(fits.then_some(whole as i64));
    }
    let integers: ArrayRef = Arc::new(datafusion::arrow::array::Int64Array::from(result));
    arrow_cast(&integers, to, safe)
}

fn list(array: &ArrayRef, element: &Arc<Field>, safe: bool) -> Result<ArrayRef> {
    let list = array.as_list::<i32>();
    let values = convert(list.values(), element.data_type(), safe)?;
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(element),
        list.offsets().clone(),
        values,
        list.nulls().cloned(),
    )?))
}

fn map(array: &ArrayRef, entries: &Arc<Field>, safe: bool) -> Result<ArrayRef> {
    let map = array.as_map();
    let DataType::Struct(entry) = entries.data_type() else {
        return internal_err!("a map without entries");
    };
    let keys = convert(map.keys(), entry[0].data_type(), false)?;
    let values = convert(map.values(), entry[1].data_type(), safe)?;
    let columns = StructArray::try_new(entry.clone(), vec![keys, values], None)?;
    Ok(Arc::new(MapArray::try_new(
        Arc::clone(entries),
        map.offsets().clone(),
        columns,
        map.nulls().cloned(),
        false,
    )?))
}

fn row(array: &ArrayRef, given: usize, to: &DataType, safe: bool) -> Result<ArrayRef> {
    let DataType::Struct(fields) = to else {
        return internal_err!("a row without fields");
    };
    if given != fields.len() {
        return exec_err!(
            "Cannot cast {} to {}",
            type_name(array.data_type()),
            type_name(to)
        );
    }
    let row = array.as_struct();
    let columns = row
        .columns()
        .iter()
        .zip(fields)
        .map(|(column, field)| convert(column, field.data_type(), safe))
        .collect::<Result<Vec<_>>>()?;
    let nulls = row.nulls().cloned();
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        columns,
        nulls,
    )?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1e10, "1.0E10"),
            (1e7, "1.0E7"),
            (9_999_999.5, "9999999.5"),
            (0.001, "0.001"),
            (0.000_123, "1.23E-4"),
            (-123.456, "-123.456"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (100.0, "100.0"),
            (1.5e-300, "1.5E-300"),
        ];
        for (value, expected) in cases {
            assert_eq!(java_number(value, format!("{value:e}")), expected);
        }
    }
}
