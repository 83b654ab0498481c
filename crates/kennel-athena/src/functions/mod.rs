//! Trino's functions for DataFusion: the registry. One family per file.
//!
//! A name that DataFusion has too is registered only where the meaning differs.

mod aggregates;
mod arithmetic;
mod array_sets;
mod array_shapes;
mod array_values;
mod arrays;
mod binary;
mod bitwise;
mod cast;
mod coalesce;
mod colors;
mod compared;
mod comparison;
mod datetime;
mod format;
mod geo;
mod ip;
mod json;
mod lambdas;
pub(crate) mod list;
mod listagg;
mod map_building;
mod maps;
mod math;
mod nested;
mod opaque;
mod overload;
mod random;
mod regexp;
mod rows;
mod scalar;
mod sequence;
mod sketches;
pub(crate) mod spoken;
mod subqueries;
mod text;
mod tried;
mod unify;
mod url;
mod uuid;
pub(crate) mod windows;

pub(crate) use datetime::{joda::zone_in as joda_zone, text_to_time, zone};
pub(crate) use json::path_variables;
pub(crate) use text::plain_pattern;
pub(crate) use tried::TRY;

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::ArrayRef,
        datatypes::{DataType, IntervalUnit},
    },
    error::Result,
    logical_expr::{AggregateUDF, Expr, HigherOrderUDF, ScalarUDF},
};

use crate::types::{self, fine::Fine};

/// All scalar functions.
pub(crate) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let mut all: Vec<_> = [
        arithmetic::functions(),
        array_sets::functions(),
        array_shapes::functions(),
        array_values::functions(),
        arrays::functions(),
        binary::functions(),
        bitwise::functions(),
        cast::functions(),
        colors::functions(),
        comparison::functions(),
        datetime::functions(),
        format::functions(),
        geo::functions(),
        ip::functions(),
        json::functions(),
        math::functions(),
        regexp::functions(),
        sketches::functions(),
        text::functions(),
        url::functions(),
        uuid::functions(),
        map_building::functions(),
        vec![
            coalesce::function(),
            sequence::function(),
            listagg::function(),
        ],
        // Never written by a user; registered so that a plan can be decoded by their names.
        compared::functions(),
        subqueries::functions(),
        vec![
            array_subscript(),
            map_subscript(),
            ordinals(),
            arrays::subscript_or_null(),
            windows::marker(),
        ],
    ]
    .into_iter()
    .flatten()
    .collect();
    // `contains` is a function of arrays, and another one of networks.
    for function in &mut all {
        if function.name() == "contains" {
            *function = overload::overload(Arc::clone(function), ip::contains());
        }
        if function.name() == "cardinality" {
            *function = overload::overload(Arc::clone(function), sketches::cardinality());
        }
    }
    array_shapes::overload(&mut all);
    all
}

/// All aggregate functions.
pub(crate) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    aggregates::functions()
}

/// All functions of lambdas.
pub(crate) fn higher_order() -> Vec<Arc<HigherOrderUDF>> {
    [
        lambdas::functions(),
        tried::functions(),
        regexp::higher_order(),
    ]
    .concat()
}

/// The function for a comparison of arrays, maps or rows, by its sign.
pub(crate) fn nested_comparison(sign: &str) -> Option<Arc<ScalarUDF>> {
    compared::operator(sign)
}

/// `IS DISTINCT FROM` of arrays, maps or rows.
pub(crate) fn distinct() -> Arc<ScalarUDF> {
    compared::distinct()
}

/// `coalesce`, by Trino's rules for common types.
pub(crate) fn coalesce() -> Arc<ScalarUDF> {
    coalesce::function()
}

/// The only element of an array: null for none, an error for several.
pub(crate) fn single() -> Arc<ScalarUDF> {
    subqueries::single_function()
}

/// `x IN (…)` over an array of a subquery's values.
pub(crate) fn within() -> Arc<ScalarUDF> {
    subqueries::within_function()
}

/// `||` of arrays and their elements.
pub(crate) fn array_concatenation() -> Arc<ScalarUDF> {
    array_shapes::concatenation()
}

/// The function for `+ - * / %` on integers and decimals.
pub(crate) fn operator(sign: &str) -> Option<Arc<ScalarUDF>> {
    arithmetic::function(sign)
}

/// The function for a time of day, or a timestamp that Arrow has no type for, plus or minus an interval.
pub(crate) fn shift(sign: &str) -> Option<Arc<ScalarUDF>> {
    datetime::shift::operator(sign)
}

/// A value that may be null though its column never is.
pub(crate) fn or_null() -> Arc<ScalarUDF> {
    subqueries::or_null()
}

/// The key by which equal times of day are the same.
pub(crate) fn same_time() -> Arc<ScalarUDF> {
    datetime::same_time()
}

/// The function for an interval times a number, or divided by one.
pub(crate) fn interval_operator(sign: &str) -> Option<Arc<ScalarUDF>> {
    datetime::interval::operator(sign)
}

/// The type to which all coerce.
pub(crate) fn common_type(given: &[DataType]) -> Option<DataType> {
    unify::unify_all("CASE", given).ok()
}

/// `CAST(expr AS data_type)`.
pub(crate) fn cast_expr(expr: Expr, data_type: &DataType) -> Expr {
    cast::call(expr, data_type)
}

/// Casts an array as `CAST` does.
pub(crate) fn cast_array(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    cast::convert(array, to, false)
}

/// `concat`, for the operator `||`.
pub(crate) fn concat() -> Arc<ScalarUDF> {
    text::concat()
}

/// `strpos` and `position`.
pub(crate) fn strpos() -> Arc<ScalarUDF> {
    text::strpos()
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

/// `is_nan`.
pub(crate) fn is_nan() -> Arc<ScalarUDF> {
    math::is_nan()
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

fn opaque_type_name(name: &str) -> &str {
    match name {
        "bingtile" => "BingTile",
        "geometry" => "Geometry",
        "hyperloglog" => "HyperLogLog",
        "setdigest" => "SetDigest",
        "sphericalgeography" => "SphericalGeography",
        name => name,
    }
}

/// Trino's name of a type.
pub fn type_name(data_type: &DataType) -> String {
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
        DataType::Time32(unit) | DataType::Time64(unit) => format!("time({})", cast::digits(*unit)),
        DataType::Timestamp(unit, zone) => {
            let digits = cast::digits(*unit);
            let zone = if zone.is_some() {
                " with time zone"
            } else {
                ""
            };
            format!("timestamp({digits}){zone}")
        }
        DataType::Interval(IntervalUnit::YearMonth) => "interval year to month".into(),
        DataType::Interval(_) | DataType::Duration(_) => "interval day to second".into(),
        data_type if *data_type == types::ADDRESS => "ipaddress".into(),
        data_type if *data_type == types::PREFIX => "ipprefix".into(),
        data_type if *data_type == types::UUID => "uuid".into(),
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
        data_type if Fine::of(data_type).is_some() => {
            Fine::of(data_type).map_or_else(String::new, |fine| fine.name())
        }
        data_type if types::opaque_name(data_type).is_some() => {
            opaque_type_name(types::opaque_name(data_type).unwrap_or_default()).into()
        }
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
