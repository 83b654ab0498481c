//! Aggregates of geometries: `geometry_union_agg`, `convex_hull_agg`.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, new_null_array},
        datatypes::DataType,
    },
    error::Result,
};

use super::gathered::{Gathered, Types, heavy, where_valid};
use crate::functions::geo::{geometry_type, hull_of, union_of};

const fn of_shapes(
    name: &'static str,
    usage: &'static str,
    compact: fn(&[ArrayRef]) -> Result<Vec<ArrayRef>>,
    finish: fn(&[ArrayRef], &DataType) -> Result<ArrayRef>,
) -> Gathered {
    Gathered {
        name,
        usage,
        types,
        take_in: |args| where_valid(args, 0),
        compact,
        finish,
        limit: 64,
        light: heavy,
    }
}

pub(super) const ALL: [Gathered; 2] = [
    of_shapes(
        "geometry_union_agg",
        "geometry_union_agg(geometry)",
        |columns| Ok(vec![union_of(&columns[0])?]),
        |columns, returns| finish(columns, returns, union_of),
    ),
    of_shapes(
        "convex_hull_agg",
        "convex_hull_agg(geometry)",
        |columns| Ok(vec![hull_of(&columns[0])?]),
        |columns, returns| finish(columns, returns, hull_of),
    ),
];

fn types(given: &[DataType]) -> Result<Option<Types>> {
    match given {
        [given] if *given == geometry_type() || *given == DataType::Null => {
            let shape = geometry_type();
            Types::new([shape.clone()], [shape.clone()], shape)
        }
        _ => Ok(None),
    }
}

fn finish(
    columns: &[ArrayRef],
    returns: &DataType,
    whole: fn(&ArrayRef) -> Result<ArrayRef>,
) -> Result<ArrayRef> {
    let result = whole(&columns[0])?;
    match result.is_empty() {
        true => Ok(new_null_array(returns, 1)),
        false => Ok(Arc::clone(&result)),
    }
}
