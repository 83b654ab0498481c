//! Arrays as sets: distinct, union, intersect, except, overlap, removal, counts, subsequences.
//!
//! Two values are the same here when they are not distinct: null equals null, NaN equals NaN.
//!
//! Source: Trino manual, "Array functions and operators".

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, BooleanBuilder, Int64Array},
        compute::concat,
        datatypes::DataType,
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    nested::{Keys, Lists, Nested, Typed, holds_null, is_null, list_arg, map, places},
    scalar::Call,
    unify::{element_of, list_of, normal, unify},
};
use crate::types::map_type;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new("array_distinct", "array_distinct(array(E))", one, distinct),
        Nested::new("array_union", "array_union(array(E), array(E))", two, union),
        Nested::new(
            "array_intersect",
            "array_intersect(array(E), array(E))",
            two,
            intersect,
        ),
        Nested::new(
            "array_except",
            "array_except(array(E), array(E))",
            two,
            except,
        ),
        Nested::new(
            "arrays_overlap",
            "arrays_overlap(array(E), array(E))",
            |given| two_to(given, DataType::Boolean),
            overlap,
        ),
        Nested::new(
            "contains_sequence",
            "contains_sequence(array(E), array(E))",
            |given| two_to(given, DataType::Boolean),
            contains_sequence,
        ),
        Nested::new(
            "array_remove",
            "array_remove(array(E), E)",
            |given| {
                Ok(array_and_element(given).map(|args| Typed {
                    returns: args[0].clone(),
                    args,
                }))
            },
            remove,
        ),
        Nested::new(
            "array_histogram",
            "array_histogram(array(E))",
            |given| match given {
                [list] if is_array(list) => {
                    let list = array(list);
                    let element = element_of(&list).cloned().unwrap_or(DataType::Null);
                    Typed::new([list], map_type(element, DataType::Int64))
                }
                _ => Ok(None),
            },
            histogram,
        ),
    ]
    .map(Nested::build)
    .into()
}

/// Is this an array, or a null that stands for one?
pub(super) fn is_array(given: &DataType) -> bool {
    *given == DataType::Null || element_of(given).is_some()
}

/// The type of an array as functions meet it.
pub(super) fn array(given: &DataType) -> DataType {
    match given {
        DataType::Null => list_of(DataType::Null),
        given => normal(given),
    }
}

fn one(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [list] if is_array(list) => Typed::new([array(list)], array(list)),
        _ => Ok(None),
    }
}

/// Two arrays, in their common type.
fn common(given: &[DataType]) -> Option<DataType> {
    match given {
        [a, b] if is_array(a) && is_array(b) => unify(&array(a), &array(b)),
        _ => None,
    }
}

fn two(given: &[DataType]) -> Result<Option<Typed>> {
    match common(given) {
        Some(both) => Typed::new([both.clone(), both.clone()], both),
        None => Ok(None),
    }
}

fn two_to(given: &[DataType], returns: DataType) -> Result<Option<Typed>> {
    match common(given) {
        Some(both) => Typed::new([both.clone(), both], returns),
        None => Ok(None),
    }
}

/// An array, and a value of the type of its elements.
pub(super) fn array_and_element(given: &[DataType]) -> Option<Vec<DataType>> {
    match given {
        [list, wanted] if is_array(list) => {
            let both = unify(&array(list), &list_of(normal(wanted)))?;
            let element = element_of(&both)?.clone();
            Some(vec![both, element])
        }
        _ => None,
    }
}

fn distinct(call: &Call) -> Result<ArrayRef> {
    let list = list_arg(call, 0);
    let keys = Keys::new(&list.value_type())?.of(list.values())?;
    let mut result = Lists::default();
    for row in 0..call.rows {
        if list.is_null(row) {
            result.null();
            continue;
        }
        let mut seen = HashSet::new();
        result.of(places(list, row).filter(|&place| seen.insert(keys.row(place))));
    }
    result.finish(list.values())
}

/// Both arrays' values in one array, and where the second ones begin.
fn joined(call: &Call) -> Result<(ArrayRef, usize)> {
    let (a, b) = (list_arg(call, 0), list_arg(call, 1));
    let values = concat(&[a.values().as_ref(), b.values().as_ref()])?;
    Ok((values, a.values().len()))
}

fn union(call: &Call) -> Result<ArrayRef> {
    let (a, b) = (list_arg(call, 0), list_arg(call, 1));
    let (values, second) = joined(call)?;
    let keys = Keys::new(values.data_type())?.of(&values)?;
    let mut result = Lists::default();
    for row in 0..call.rows {
        if a.is_null(row) || b.is_null(row) {
            result.null();
            continue;
        }
        let all = places(a, row).chain(places(b, row).map(|place| second + place));
        let mut seen = HashSet::new();
        result.of(all.filter(|&place| seen.insert(keys.row(place))));
    }
    result.finish(&values)
}

/// In the order of the longer array, as in Trino.
fn intersect(call: &Call) -> Result<ArrayRef> {
    let (a, b) = (list_arg(call, 0), list_arg(call, 1));
    let (values, second) = joined(call)?;
    let keys = Keys::new(values.data_type())?.of(&values)?;
    let mut result = Lists::default();
    for row in 0..call.rows {
        if a.is_null(row) || b.is_null(row) {
            result.null();
            continue;
        }
        let right = places(b, row);
        let mut longer = places(a, row);
        let mut shorter = second + right.start..second + right.end;
        if longer.len() < shorter.len() {
            std::mem::swap(&mut longer, &mut shorter);
        }
        let mut wanted: HashSet<_> = shorter.map(|place| keys.row(place)).collect();
        result.of(longer.filter(|&place| wanted.remove(&keys.row(place))));
    }
    result.finish(&values)
}

fn except(call: &Call) -> Result<ArrayRef> {
    let (a, b) = (list_arg(call, 0), list_arg(call, 1));
    let (values, second) = joined(call)?;
    let keys = Keys::new(values.data_type())?.of(&values)?;
    let mut result = Lists::default();
    for row in 0..call.rows {
        if a.is_null(row) || b.is_null(row) {
            result.null();
            continue;
        }
        let mut seen: HashSet<_> = places(b, row)
            .map(|place| keys.row(second + place))
            .collect();
        result.of(places(a, row).filter(|&place| seen.insert(keys.row(place))));
    }
    result.finish(&values)
}

/// Undecided where no value is in both and either holds a null.
fn overlap(call: &Call) -> Result<ArrayRef> {
    let (a, b) = (list_arg(call, 0), list_arg(call, 1));
    let converter = Keys::new(&a.value_type())?;
    let (left, right) = (converter.of(a.values())?, converter.of(b.values())?);
    let mut result = BooleanBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        if a.is_null(row) || b.is_null(row) {
            result.append_null();
            continue;
        }
        let known: HashSet<_> = places(a, row)
            .filter(|&place| !is_null(a.values(), place))
            .map(|place| left.row(place))
            .collect();
        let meets = places(b, row)
            .filter(|&place| !is_null(b.values(), place))
            .any(|place| known.contains(&right.row(place)));
        let has_null = |list: &datafusion::arrow::array::ListArray| {
            places(list, row).any(|place| is_null(list.values(), place))
        };
        let is_empty = places(a, row).is_empty() || places(b, row).is_empty();
        let undecided = !meets && !is_empty && (has_null(a) || has_null(b));
        result.append_option((!undecided).then_some(meets));
    }
    Ok(Arc::new(result.finish()))
}

fn contains_sequence(call: &Call) -> Result<ArrayRef> {
    let (a, b) = (list_arg(call, 0), list_arg(call, 1));
    let converter = Keys::new(&a.value_type())?;
    let (left, right) = (converter.of(a.values())?, converter.of(b.values())?);
    let mut result = BooleanBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        if a.is_null(row) || b.is_null(row) {
            result.append_null();
            continue;
        }
        let (all, wanted) = (places(a, row), places(b, row));
        let found = (0..=all.len().saturating_sub(wanted.len())).any(|from| {
            wanted.len() <= all.len()
                && wanted
                    .clone()
                    .enumerate()
                    .all(|(n, place)| left.row(all.start + from + n) == right.row(place))
        });
        result.append_value(found);
    }
    Ok(Arc::new(result.finish()))
}

fn remove(call: &Call) -> Result<ArrayRef> {
    let list = list_arg(call, 0);
    let wanted = &call.args[1];
    let converter = Keys::new(wanted.data_type())?;
    let (values, wanted_keys) = (converter.of(list.values())?, converter.of(wanted)?);
    let mut result = Lists::default();
    for row in 0..call.rows {
        if list.is_null(row) || is_null(wanted, row) {
            result.null();
            continue;
        }
        let is_nested = wanted.data_type().is_nested();
        for place in places(list, row) {
            if is_nested && !is_null(list.values(), place) && holds_null(list.values(), place) {
                return exec_err!(
                    "array_remove does not support arrays with elements that are null or contain null"
                );
            }
        }
        result.of(places(list, row).filter(|&place| values.row(place) != wanted_keys.row(row)));
    }
    result.finish(list.values())
}

fn histogram(call: &Call) -> Result<ArrayRef> {
    let list = list_arg(call, 0);
    let keys = Keys::new(&list.value_type())?.of(list.values())?;
    let (mut taken, mut counts): (Vec<u64>, Vec<i64>) = (Vec::new(), Vec::new());
    let (mut sizes, mut valid) = (Vec::with_capacity(call.rows), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let first = taken.len();
        let mut found = HashMap::new();
        for place in places(list, row).filter(|&place| !is_null(list.values(), place)) {
            let at = *found.entry(keys.row(place)).or_insert_with(|| {
                taken.push(place as u64);
                counts.push(0);
                counts.len() - 1
            });
            counts[at] += 1;
        }
        sizes.push(taken.len() - first);
        valid.push(list.is_valid(row));
    }
    let taken = datafusion::arrow::array::UInt64Array::from(taken);
    let taken = datafusion::arrow::compute::take(list.values(), &taken, None)?;
    map(
        taken,
        Arc::new(Int64Array::from(counts)),
        sizes,
        Some(valid),
    )
}
