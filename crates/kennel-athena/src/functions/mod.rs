//! Trino's functions for DataFusion: the registry. One family per file.
//!
//! A name that DataFusion has too is registered only where the meaning differs.

mod aggregates;
mod array_sets;
mod array_shapes;
mod array_values;
mod arrays;
mod cast;
mod compared;
mod comparison;
mod datetime;
mod json;
mod lambdas;
mod listagg;
mod map_building;
mod maps;
mod math;
mod nested;
mod random;
mod regexp;
mod scalar;
mod sequence;
mod subqueries;
mod text;
mod tried;
mod unify;

pub(crate) use datetime::text_to_time;

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF},
};

use crate::types;

/// All scalar functions.
pub(crate) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let mut all: Vec<_> = [
        array_sets::functions(),
        array_shapes::functions(),
        array_values::functions(),
        arrays::functions(),
        map_building::functions(),
        cast::functions(),
        comparison::functions(),
        datetime::functions(),
        json::functions(),
        math::functions(),
        regexp::functions(),
        text::functions(),
        vec![sequence::function(), listagg::function()],
        // Never written by a user; registered so that a plan can be decoded by their names.
        compared::functions(),
        subqueries::functions(),
        vec![
            array_subscript(),
            map_subscript(),
            ordinals(),
            arrays::subscript_or_null(),
        ],
    ]
    .into_iter()
    .flatten()
    .collect();
    array_shapes::overload(&mut all);
    all
}

/// All aggregate functions.
pub(crate) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    aggregates::functions()
}

/// All functions of lambdas.
pub(crate) fn higher_order() -> Vec<Arc<HigherOrderUDF>> {
    let mut all = lambdas::functions();
    all.extend(tried::functions());
    all
}

/// The function for a comparison of arrays, maps or rows, by its sign.
pub(crate) fn nested_comparison(sign: &str) -> Option<Arc<ScalarUDF>> {
    compared::operator(sign)
}

/// `||` of arrays and their elements.
pub(crate) fn array_concatenation() -> Arc<ScalarUDF> {
    array_shapes::concatenation()
}

/// `a[n]`: an error where DataFusion gives null.
pub(crate) fn array_subscript() -> Arc<ScalarUDF> {
    arrays::subscript()
}

/// `m[k]`: an error where DataFusion gives null.
pub(crate) fn map_subscript() -> Arc<ScalarUDF> {
    maps::subscript()
}

/// The positions of the longest of several arrays.
pub(crate) fn ordinals() -> Arc<ScalarUDF> {
    arrays::ordinals()
}

/// `substr` and `substring` in every spelling.
pub(crate) fn substr() -> Arc<ScalarUDF> {
    text::substr()
}

/// The function for a field of `EXTRACT`.
pub(crate) fn date_part(unit: &str) -> Option<Arc<ScalarUDF>> {
    datetime::part(unit)
}

/// A function that cannot be typed: planning ends with `message`.
pub(crate) fn refused(message: &str) -> Arc<ScalarUDF> {
    scalar::refused(message)
}

/// Trino's name of a type.
pub(crate) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "unknown".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 | DataType::UInt8 => "smallint".into(),
        DataType::Int32 | DataType::UInt16 => "integer".into(),
        DataType::Int64 | DataType::UInt32 => "bigint".into(),
        DataType::UInt64 => "decimal(20,0)".into(),
        DataType::Float16 | DataType::Float32 => "real".into(),
        DataType::Float64 => "double".into(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time".into(),
        DataType::Timestamp(unit, zone) => {
            let digits = match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 3,
                TimeUnit::Microsecond => 6,
                TimeUnit::Nanosecond => 9,
            };
            let zone = if zone.is_some() {
                " with time zone"
            } else {
                ""
            };
            format!("timestamp({digits}){zone}")
        }
        DataType::Interval(_) | DataType::Duration(_) => "interval".into(),
        data_type if *data_type == types::JSON => "json".into(),
        data_type if types::is_text(data_type) => "varchar".into(),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "varbinary".into(),
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => {
            format!("array({})", type_name(element.data_type()))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) => {
                let types: Vec<_> = entry
                    .iter()
                    .map(|field| type_name(field.data_type()))
                    .collect();
                format!("map({})", types.join(", "))
            }
            _ => "map".into(),
        },
        DataType::Struct(fields) => {
            // `ROW(…)` gives its fields no names; they are called by their place here.
            let fields = fields.iter().enumerate().map(|(place, field)| {
                let data_type = type_name(field.data_type());
                match *field.name() == format!("c{place}") {
                    true => data_type,
                    false => format!("{} {data_type}", field.name()),
                }
            });
            format!("row({})", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string().to_lowercase(),
    }
}
