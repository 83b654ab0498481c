//! What the rewrite needs where it makes functions of subqueries and samples. Never written by a user.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, UInt64Array},
        compute::take,
        datatypes::{DataType, Float64Type},
    },
    common::{exec_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    array_sets::{array, is_array},
    compared::Pair,
    map_building::{entry_type, to_entries},
    nested::{Nested, Typed, list_arg, places},
    random::Random,
    scalar::{Call, Kind, Spec},
    type_name,
    unify::{element_of, entry_of, list_of, normal, unify},
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new("__entries", "array(E) or map(K, V)", entries_types, entries),
        single_value(),
        within_values(),
        Nested::new("__sample", "double", sample_types, sample).volatile(),
    ]
    .map(Nested::build)
    .into_iter()
    .chain([or_null()])
    .collect()
}

/// The value as it is; that it is a function's lets it be null.
pub(super) fn or_null() -> Arc<ScalarUDF> {
    Spec::new(
        "__or_null",
        &[Kind::Any],
        |given| Ok(given.first().cloned().unwrap_or(DataType::Null)),
        |call| Ok(Arc::clone(&call.args[0])),
    )
    .build()
}

fn single_value() -> Nested {
    Nested::new("__single", "array(E)", single_types, single)
}

/// The only element of an array.
pub(super) fn single_function() -> Arc<ScalarUDF> {
    single_value().build()
}

fn within_values() -> Nested {
    Nested::new("__within", "x IN (SELECT …)", within_types, within)
}

/// `x IN (SELECT …)` over the values of the subquery: `__within(values, x)`.
pub(super) fn within_function() -> Arc<ScalarUDF> {
    within_values().build()
}

fn entries_types(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [map @ DataType::Map(..)] => {
            let map = normal(map);
            let entry = entry_of(&map).map(|(key, value)| entry_type(key.clone(), value.clone()));
            let returns = list_of(entry.unwrap_or(DataType::Null));
            Typed::new([map], returns)
        }
        [list] if is_array(list) => Typed::new([array(list)], array(list)),
        _ => Ok(None),
    }
}

/// A map's entries; an array as it is.
fn entries(call: &Call) -> Result<ArrayRef> {
    match call.args[0].data_type() {
        DataType::Map(..) => to_entries(call),
        _ => Ok(Arc::clone(&call.args[0])),
    }
}

fn single_types(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [list] if is_array(list) => {
            let list = array(list);
            let element = element_of(&list).cloned().unwrap_or(DataType::Null);
            Typed::new([list], element)
        }
        _ => Ok(None),
    }
}

/// The only element; null for none, an error for several.
fn single(call: &Call) -> Result<ArrayRef> {
    let list = list_arg(call, 0);
    let mut taken = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let here = places(list, row);
        if here.len() > 1 {
            return exec_err!("Scalar sub-query has returned multiple rows");
        }
        taken.push((!here.is_empty()).then_some(here.start as u64));
    }
    Ok(take(list.values(), &UInt64Array::from(taken), None)?)
}

fn within_types(given: &[DataType]) -> Result<Option<Typed>> {
    let [list, wanted] = given else {
        return Ok(None);
    };
    let Some(element) = element_of(list) else {
        return Ok(None);
    };
    match unify(element, wanted) {
        Some(both) => Typed::new([list_of(both.clone()), both], DataType::Boolean),
        None => plan_err!(
            "Cannot compare {} with {}",
            type_name(wanted),
            type_name(element)
        ),
    }
}

/// Of no values nothing is one, null included.
fn within(call: &Call) -> Result<ArrayRef> {
    let list = list_arg(call, 0);
    let pair = Pair::new(list.values(), &call.args[1])?;
    let mut result = BooleanBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let mut found = Some(false);
        for place in places(list, row) {
            match pair.equal(place, row) {
                Some(true) => {
                    found = Some(true);
                    break;
                }
                Some(false) => {}
                None => found = None,
            }
        }
        result.append_option(found);
    }
    Ok(Arc::new(result.finish()))
}

fn sample_types(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [percentage] if percentage.is_numeric() => {
            Typed::new([DataType::Float64], DataType::Boolean)
        }
        _ => Ok(None),
    }
}

/// True for so many of a hundred rows.
fn sample(call: &Call) -> Result<ArrayRef> {
    let percentages = call.args[0].as_primitive::<Float64Type>();
    let mut random = Random::new();
    let mut chosen = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let percentage = percentages.value(row);
        if percentages.is_null(row) || !(0.0..=100.0).contains(&percentage) {
            return exec_err!("Sample percentage must be between 0 and 100, inclusive");
        }
        chosen.push(random.fraction() * 100.0 < percentage);
    }
    Ok(Arc::new(BooleanArray::from(chosen)))
}
