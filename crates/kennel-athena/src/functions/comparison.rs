//! `greatest` and `least`: null as soon as one argument is null, where DataFusion ignores nulls.
//!
//! Source: Trino manual, "Comparison functions and operators".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, make_comparator},
        compute::{SortOptions, interleave},
        datatypes::{DataType, Float32Type, Float64Type},
    },
    common::plan_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    array_values::orderable,
    cast::convert,
    datetime::fine::Column,
    scalar::{Call, Kind, Spec},
    unify::unify,
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        Spec::new("greatest", &[Kind::Any], common, |call| extreme(call, true)).variadic(),
        Spec::new("least", &[Kind::Any], common, |call| extreme(call, false)).variadic(),
    ]
    .map(Spec::build)
    .into()
}

fn common(given: &[DataType]) -> Result<DataType> {
    let mut types = given.iter();
    let Some(first) = types.next() else {
        return plan_err!("greatest and least take at least one argument");
    };
    orderable("greatest and least", first)?;
    types.try_fold(first.clone(), |common, given| {
        unify(&common, given).map_or_else(
            || {
                let (a, b) = (super::type_name(&common), super::type_name(given));
                plan_err!("{a} and {b} cannot be compared")
            },
            Ok,
        )
    })
}

fn is_nan(array: &ArrayRef, row: usize) -> bool {
    match array.data_type() {
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).is_nan(),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).is_nan(),
        _ => false,
    }
}

/// What orders the values: times are ordered without their offsets.
fn ordered(array: &ArrayRef) -> ArrayRef {
    match Column::new(array) {
        Some(column) => Arc::new(column.order()),
        None => Arc::clone(array),
    }
}

fn extreme(call: &Call, greatest: bool) -> Result<ArrayRef> {
    let columns = call
        .args
        .iter()
        .map(|array| convert(array, &call.return_type, false))
        .collect::<Result<Vec<_>>>()?;
    let mut best: Vec<(usize, usize)> = (0..call.rows).map(|row| (0, row)).collect();
    for index in 1..columns.len() {
        for earlier in 0..index {
            let (a, b) = (ordered(&columns[index]), ordered(&columns[earlier]));
            let compare = make_comparator(a.as_ref(), b.as_ref(), SortOptions::default())?;
            for (row, best) in best
                .iter_mut()
                .enumerate()
                .filter(|(_, best)| best.0 == earlier)
            {
                let is_null = columns[index].is_null(row);
                let order = compare(row, row);
                // What is no number loses against any number.
                let wins = match (is_nan(&columns[index], row), is_nan(&columns[earlier], row)) {
                    (true, _) => false,
                    (false, true) => true,
                    _ if greatest => order.is_gt(),
                    _ => order.is_lt(),
                };
                if columns[earlier].is_valid(row) && (is_null || wins) {
                    best.0 = index;
                }
            }
        }
    }
    let arrays: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&arrays, &best)?)
}
