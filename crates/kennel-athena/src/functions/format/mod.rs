//! `format(pattern, …)`: values by Java's patterns, such as `%,.2f` and `%tF`.
//!
//! Source: Trino manual, "Conversion functions"; Java's documentation of `Formatter`.

mod hash;
mod numbers;
mod spec;
mod times;

use std::sync::Arc;

use chrono::NaiveDateTime;
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StringArray},
        compute::cast,
        datatypes::{DataType, Float32Type, Float64Type, Int64Type},
    },
    common::{exec_datafusion_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};
use spec::{Piece, Spec as Specifier};

use super::{
    cast::{convert, double_text, java_number},
    datetime::{Times, zone::Zone},
    scalar::{Call, Kind, Spec, varchar},
    type_name,
};
use crate::types::{JSON, fine::Fine, is_binary};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let format = Spec::new("format", &[Kind::Text, Kind::Any], format_type, format);
    vec![format.variadic().build()]
}

fn format_type(given: &[DataType]) -> Result<DataType> {
    if given.len() < 2 {
        return plan_err!("There must be two or more arguments to format");
    }
    let is_unknown =
        |given: &&DataType| (given.is_nested() && Fine::of(given).is_none()) || is_binary(given);
    match given.iter().find(is_unknown) {
        Some(other) => plan_err!("Type not supported for formatting: {}", type_name(other)),
        None => varchar(given),
    }
}

/// An argument, as Java's formatter meets it.
#[derive(Debug, Clone)]
enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f32),
    Double(f64),
    /// Digits, a point perhaps, a sign perhaps.
    Decimal(String),
    Text,
    Moment(Moment),
}

/// A date or time, and which of both it has.
#[derive(Debug, Clone, Copy)]
struct Moment {
    local: NaiveDateTime,
    utc: NaiveDateTime,
    zone: Option<Zone>,
    has_date: bool,
    has_time: bool,
}

impl Value {
    /// The class that Java's errors name.
    fn class(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "java.lang.Boolean",
            Self::Integer(_) => "java.lang.Long",
            Self::Real(_) => "java.lang.Float",
            Self::Double(_) => "java.lang.Double",
            Self::Decimal(_) => "java.math.BigDecimal",
            Self::Text => "java.lang.String",
            Self::Moment(moment) => match (moment.has_date, moment.has_time, moment.zone) {
                (true, true, Some(_)) => "java.time.ZonedDateTime",
                (true, true, None) => "java.time.LocalDateTime",
                (true, false, _) => "java.time.LocalDate",
                _ => "java.time.LocalTime",
            },
        }
    }
}

/// A column of arguments: their values, and their texts for `%s`.
struct Column {
    array: ArrayRef,
    texts: StringArray,
    moments: Option<Times>,
}

impl Column {
    fn new(array: &ArrayRef) -> Result<Self> {
        let texts = if *array.data_type() == JSON {
            cast(array, &DataType::Utf8)?
        } else {
            convert(array, &DataType::Utf8, false)?
        };
        let has_own_offset =
            |fine: &Fine| matches!(fine.kind, crate::types::fine::Kind::TimeWithZone);
        let (array, moments) = match array.data_type() {
            fine if Fine::of(fine).is_some_and(|fine| !has_own_offset(&fine)) => {
                (Arc::clone(array), Some(Times::new(array)?))
            }
            DataType::Date32
            | DataType::Timestamp(..)
            | DataType::Time32(_)
            | DataType::Time64(_) => (Arc::clone(array), Some(Times::new(array)?)),
            given if given.is_integer() => (cast(array, &DataType::Int64)?, None),
            _ => (Arc::clone(array), None),
        };
        Ok(Self {
            array,
            texts: texts.as_string::<i32>().clone(),
            moments,
        })
    }

    fn value(&self, row: usize) -> Value {
        if self.array.is_null(row) || self.texts.is_null(row) {
            return Value::Null;
        }
        if let Some(moments) = &self.moments {
            let (Some(local), Some(utc)) = (moments.get(row), moments.instant(row)) else {
                return Value::Null;
            };
            return Value::Moment(Moment {
                local,
                utc,
                zone: moments.is_zoned().then(|| moments.zone()),
                has_date: !moments.is_time(),
                has_time: !moments.is_date(),
            });
        }
        match self.array.data_type() {
            DataType::Boolean => Value::Boolean(self.array.as_boolean().value(row)),
            DataType::Int64 => Value::Integer(self.array.as_primitive::<Int64Type>().value(row)),
            DataType::Float32 => Value::Real(self.array.as_primitive::<Float32Type>().value(row)),
            DataType::Float64 => Value::Double(self.array.as_primitive::<Float64Type>().value(row)),
            given if given.is_decimal() => Value::Decimal(self.texts.value(row).to_owned()),
            _ => Value::Text,
        }
    }

    /// What `%s` shows.
    fn text(&self, row: usize) -> String {
        match self.value(row) {
            Value::Null => "null".into(),
            Value::Moment(moment) => times::iso(&moment),
            Value::Real(number) => java_number(f64::from(number), format!("{number:e}")),
            Value::Double(number) => double_text(number),
            Value::Decimal(digits) => numbers::plain_or_scientific(digits),
            _ => self.texts.value(row).to_owned(),
        }
    }
}

fn format(call: &Call) -> Result<ArrayRef> {
    let patterns = call.text(0);
    let columns = call.args[1..]
        .iter()
        .map(Column::new)
        .collect::<Result<Vec<_>>>()?;
    let constant = call
        .constant_text(0)
        .flatten()
        .map(spec::pieces)
        .transpose()?;
    let rows = (0..call.rows).map(|row| {
        if patterns.is_null(row) {
            return Ok(None);
        }
        let pattern = patterns.value(row);
        match &constant {
            Some(pieces) => formatted(pieces, &columns, row, pattern).map(Some),
            None => formatted(&spec::pieces(pattern)?, &columns, row, pattern).map(Some),
        }
    });
    Ok(Arc::new(rows.collect::<Result<StringArray>>()?))
}

fn formatted(pieces: &[Piece], columns: &[Column], row: usize, pattern: &str) -> Result<String> {
    let wrong = |what: String| exec_datafusion_err!("Invalid format string: {pattern} ({what})");
    let mut result = String::new();
    let (mut next, mut last) = (0, None);
    for piece in pieces {
        let specifier = match piece {
            Piece::Literal(text) => {
                result.push_str(text);
                continue;
            }
            Piece::Specifier(specifier) => specifier,
        };
        let index = match specifier.argument {
            spec::Argument::Next => {
                next += 1;
                Some(next - 1)
            }
            spec::Argument::Last => last,
            spec::Argument::Number(number) => number.checked_sub(1),
        };
        let Some(column) = index.and_then(|index| columns.get(index)) else {
            return Err(wrong(format!(
                "MissingFormatArgument: Format specifier '{}'",
                specifier.written
            )));
        };
        last = index;
        result.push_str(&one(specifier, column, row).map_err(wrong)?);
    }
    Ok(result)
}

/// One argument; the error is Java's.
fn one(specifier: &Specifier, column: &Column, row: usize) -> std::result::Result<String, String> {
    let value = column.value(row);
    let mismatch = |conversion: char| {
        let class = value.class();
        Err(format!("IllegalFormatConversion: {conversion} != {class}"))
    };
    let cut = |text: String| match specifier.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text,
    };
    let plain = match (specifier.conversion.to_ascii_lowercase(), &value) {
        ('s', _) => cut(column.text(row)),
        ('b', Value::Null) => cut("false".into()),
        ('b', Value::Boolean(value)) => cut(value.to_string()),
        ('b', _) => cut("true".into()),
        (_, Value::Null) => cut("null".into()),
        ('h', value) => {
            let code = hash::code(value, column.texts.value(row));
            cut(format!("{code:x}"))
        }
        ('d' | 'o' | 'x', Value::Integer(number)) => numbers::integer(specifier, *number),
        ('f' | 'e' | 'g' | 'a', Value::Real(number)) => {
            numbers::double(specifier, f64::from(*number))
        }
        ('f' | 'e' | 'g' | 'a', Value::Double(number)) => numbers::double(specifier, *number),
        ('f' | 'e' | 'g', Value::Decimal(digits)) => numbers::decimal(specifier, digits),
        ('t', value) => {
            match times::moment(value).and_then(|moment| times::field(specifier.field, &moment)) {
                Some(text) => text,
                None => return mismatch(specifier.field),
            }
        }
        _ => return mismatch(specifier.conversion.to_ascii_lowercase()),
    };
    let text = if specifier.conversion.is_ascii_uppercase() {
        plain.to_uppercase()
    } else {
        plain
    };
    Ok(specifier.padded(text))
}
