//! What is computed from the values of arrays: joined text, extremes, order, vectors.
//!
//! Source: Trino manual, "Array functions and operators", "Mathematical functions and operators".

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, Float64Array, StringBuilder, UInt64Array, make_comparator,
        },
        compute::{SortOptions, take},
        datatypes::{DataType, Float64Type},
    },
    common::{exec_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    array_sets::{array, is_array},
    cast::convert,
    compared::Pair,
    nested::{Lists, Nested, Typed, entries, holds_null, is_null, list_arg, places},
    scalar::Call,
    type_name,
    unify::{element_of, list_of},
};
use crate::types::{is_text, map_type, opaque_name};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "array_join",
            "array_join(array(E), varchar[, varchar])",
            join_types,
            join,
        ),
        Nested::new("array_max", "array_max(array(E))", element, |call| extreme(call, true)),
        Nested::new("array_min", "array_min(array(E))", element, |call| extreme(call, false)),
        Nested::new("array_sort", "array_sort(array(E)[, function(E, E, bigint)])", same, sort),
        Nested::new("dot_product", "dot_product(array(double), array(double))", vectors, |call| {
            of_vectors(call, dot)
        }),
        Nested::new("euclidean_distance", "euclidean_distance(array(double), array(double))", vectors, |call| {
            of_vectors(call, |a, b| {
                let squares = a.iter().zip(b).map(|(x, y)| (x - y) * (x - y));
                squares.sum::<f64>().sqrt()
            })
        }),
        Nested::new(
            "cosine_similarity",
            "cosine_similarity(array(double), array(double)), cosine_similarity(map(varchar, double), map(varchar, double))",
            similarity_types,
            |call| similarity(call, |similarity| similarity),
        ),
        Nested::new(
            "cosine_distance",
            "cosine_distance(array(double), array(double)), cosine_distance(map(varchar, double), map(varchar, double))",
            similarity_types,
            |call| similarity(call, |similarity| 1.0 - similarity),
        ),
    ]
    .map(Nested::build)
    .into()
}

fn join_types(given: &[DataType]) -> Result<Option<Typed>> {
    let is_word = |given: &DataType| is_text(given) || *given == DataType::Null;
    match given {
        [list, words @ ..] if is_array(list) && (1..=2).contains(&words.len()) => {
            if !words.iter().all(is_word) {
                return Ok(None);
            }
            let list = array(list);
            if element_of(&list).is_some_and(DataType::is_nested) {
                return plan_err!(
                    "array_join: input type {} is not supported",
                    type_name(&list)
                );
            }
            let mut args = vec![list];
            args.extend(words.iter().map(|_| DataType::Utf8));
            Typed::new(args, DataType::Utf8)
        }
        _ => Ok(None),
    }
}

fn join(call: &Call) -> Result<ArrayRef> {
    let list = list_arg(call, 0);
    let words = convert(list.values(), &DataType::Utf8, false)?;
    let words = words.as_string::<i32>();
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    for row in 0..call.rows {
        if (0..call.args.len()).any(|arg| !call.is_valid(arg, row)) {
            result.append_null();
            continue;
        }
        let delimiter = call.text(1).value(row);
        let replacement = (call.args.len() > 2).then(|| call.text(2).value(row));
        let shown: Vec<&str> = places(list, row)
            .filter_map(|at| match words.is_valid(at) {
                true => Some(words.value(at)),
                false => replacement,
            })
            .collect();
        result.append_value(shown.join(delimiter));
    }
    Ok(Arc::new(result.finish()))
}

fn element(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [list] if is_array(list) => {
            let list = array(list);
            let element = element_of(&list).cloned().unwrap_or(DataType::Null);
            orderable("array_max and array_min", &element)?;
            Typed::new([list], element)
        }
        _ => Ok(None),
    }
}

/// Maps, colors, shapes and sketches have no order.
pub(super) fn orderable(name: &str, data_type: &DataType) -> Result<()> {
    let is_ordered = match data_type {
        DataType::Map(..) => false,
        opaque if opaque_name(opaque).is_some() => false,
        DataType::Struct(fields) => fields
            .iter()
            .all(|field| orderable(name, field.data_type()).is_ok()),
        list => element_of(list).is_none_or(|element| orderable(name, element).is_ok()),
    };
    if is_ordered {
        return Ok(());
    }
    plan_err!("{name}: {} has no order", type_name(data_type))
}

/// Null as soon as one element is null; NaN only where there is nothing else.
fn extreme(call: &Call, greatest: bool) -> Result<ArrayRef> {
    let list = list_arg(call, 0);
    let values = list.values();
    let pair = Pair::new(values, values)?;
    let mut taken = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let mut here = places(list, row);
        if here.clone().any(|at| is_null(values, at)) {
            taken.push(None);
            continue;
        }
        let mut best = here.next();
        for at in here {
            let order = match best {
                Some(best) => pair.order(at, best, !greatest)?,
                None => break,
            };
            if (greatest && order.is_gt()) || (!greatest && order.is_lt()) {
                best = Some(at);
            }
        }
        taken.push(best.map(|best| best as u64));
    }
    Ok(take(values, &UInt64Array::from(taken), None)?)
}

fn same(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [list] if is_array(list) => {
            let list = array(list);
            orderable("array_sort", element_of(&list).unwrap_or(&DataType::Null))?;
            Typed::new([list.clone()], list)
        }
        _ => Ok(None),
    }
}

fn sort(call: &Call) -> Result<ArrayRef> {
    let list = list_arg(call, 0);
    let values = list.values();
    let options = SortOptions {
        descending: false,
        nulls_first: false,
    };
    let compare = make_comparator(values.as_ref(), values.as_ref(), options)?;
    let is_nested = values.data_type().is_nested();
    let mut result = Lists::default();
    for row in 0..call.rows {
        if list.is_null(row) {
            result.null();
            continue;
        }
        let mut order: Vec<usize> = places(list, row).collect();
        if is_nested
            && order
                .iter()
                .any(|&at| !is_null(values, at) && holds_null(values, at))
        {
            return exec_err!("comparison not supported for values with null elements");
        }
        order.sort_by(|&a, &b| compare(a, b));
        result.of(order);
    }
    result.finish(values)
}

fn is_vector(given: &DataType) -> bool {
    is_array(given)
        && element_of(given)
            .is_none_or(|element| element.is_numeric() || *element == DataType::Null)
}

fn vectors(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [a, b] if is_vector(a) && is_vector(b) => {
            let vector = list_of(DataType::Float64);
            Typed::new([vector.clone(), vector], DataType::Float64)
        }
        _ => Ok(None),
    }
}

/// The numbers of a row's array; `None` for a null array, or one that holds a null.
fn numbers(call: &Call, arg: usize, row: usize) -> Option<Vec<f64>> {
    let list = list_arg(call, arg);
    let values = list.values().as_primitive::<Float64Type>();
    if list.is_null(row) {
        return None;
    }
    places(list, row)
        .map(|at| values.is_valid(at).then(|| values.value(at)))
        .collect()
}

fn of_vectors(call: &Call, each: fn(&[f64], &[f64]) -> f64) -> Result<ArrayRef> {
    let mut result = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        result.push(match (numbers(call, 0, row), numbers(call, 1, row)) {
            (Some(a), Some(b)) if a.len() == b.len() => Some(each(&a, &b)),
            (Some(_), Some(_)) => return exec_err!("The arguments must have the same length"),
            _ => None,
        });
    }
    Ok(Arc::new(Float64Array::from(result)))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn similarity_types(given: &[DataType]) -> Result<Option<Typed>> {
    let is_map = |given: &DataType| matches!(given, DataType::Map(..) | DataType::Null);
    match given {
        [DataType::Null, DataType::Null] => vectors(given),
        [a, b] if is_map(a) && is_map(b) => {
            let map = map_type(DataType::Utf8, DataType::Float64);
            Typed::new([map.clone(), map], DataType::Float64)
        }
        given => vectors(given),
    }
}

/// Null where a vector is zero; arrays must be of the same length.
fn similarity(call: &Call, of: fn(f64) -> f64) -> Result<ArrayRef> {
    let mut result = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let pair = if matches!(call.args[0].data_type(), DataType::Map(..)) {
            weights(call, 0, row)
                .zip(weights(call, 1, row))
                .map(|(a, b)| {
                    let product = a
                        .iter()
                        .map(|(key, x)| x * b.get(key).copied().unwrap_or(0.0));
                    let norm = |map: &HashMap<String, f64>| {
                        map.values().map(|x| x * x).sum::<f64>().sqrt()
                    };
                    (product.sum::<f64>(), norm(&a) * norm(&b))
                })
        } else {
            match (numbers(call, 0, row), numbers(call, 1, row)) {
                (Some(a), Some(b)) if a.len() == b.len() => {
                    let norm = dot(&a, &a).sqrt() * dot(&b, &b).sqrt();
                    if norm == 0.0 {
                        return exec_err!("Vector magnitude cannot be zero");
                    }
                    Some((dot(&a, &b), norm))
                }
                (Some(_), Some(_)) => return exec_err!("The arguments must have the same length"),
                _ => None,
            }
        };
        result.push(
            pair.filter(|(_, norm)| *norm != 0.0)
                .map(|(dot, norm)| of(dot / norm)),
        );
    }
    Ok(Arc::new(Float64Array::from(result)))
}

/// The entries of a row's map; `None` for a null map, or one that holds a null.
fn weights(call: &Call, arg: usize, row: usize) -> Option<HashMap<String, f64>> {
    let map = call.args[arg].as_map();
    if map.is_null(row) {
        return None;
    }
    let (keys, values) = (map.keys().as_string::<i32>(), map.values());
    let values = values.as_primitive::<Float64Type>();
    entries(map, row)
        .map(|at| {
            values
                .is_valid(at)
                .then(|| (keys.value(at).to_owned(), values.value(at)))
        })
        .collect()
}
