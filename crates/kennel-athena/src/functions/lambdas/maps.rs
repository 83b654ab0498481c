//! `map_filter`, `transform_keys`, `transform_values`, `map_zip_with`.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, MapArray, UInt64Array},
        compute::{concat, take},
        datatypes::DataType,
    },
    error::Result,
};

use super::{Lambdas, Parameters, Run, arrays::predicate, unchanged};
use crate::{
    functions::{
        map_building::unique,
        nested::{Keys, Lists, coerced, entries, map},
        unify::{entry_of, normal, unify},
    },
    types::map_type,
};

pub(super) fn functions() -> Vec<Lambdas> {
    let of_one = |name, usage, returns, run| Lambdas {
        name,
        usage,
        lambdas: 1,
        values: one_map,
        parameters: entry,
        adapt: unchanged,
        returns,
        run,
    };
    vec![
        of_one(
            "map_filter",
            "map_filter(map(K, V), function(K, V, boolean))",
            |values, lambdas| {
                predicate(lambdas)?;
                Ok(values[0].clone())
            },
            filter,
        ),
        of_one(
            "transform_values",
            "transform_values(map(K, V1), function(K, V1, V2))",
            |values, lambdas| {
                let key = entry_of(&values[0]).map_or(DataType::Null, |(key, _)| key.clone());
                Ok(map_type(key, normal(&lambdas[0])))
            },
            transform_values,
        ),
        of_one(
            "transform_keys",
            "transform_keys(map(K1, V), function(K1, V, K2))",
            |values, lambdas| {
                let value = entry_of(&values[0]).map_or(DataType::Null, |(_, value)| value.clone());
                Ok(map_type(normal(&lambdas[0]), value))
            },
            transform_keys,
        ),
        Lambdas {
            name: "map_zip_with",
            usage: "map_zip_with(map(K, V1), map(K, V2), function(K, V1, V2, V3))",
            lambdas: 1,
            values: two_maps,
            parameters: |values, _| {
                let [a, b] = values else {
                    return Ok(vec![None]);
                };
                let parameters = entry_of(a)
                    .zip(entry_of(b))
                    .map(|((key, v), (_, w))| vec![key.clone(), v.clone(), w.clone()]);
                Ok(vec![parameters])
            },
            adapt: unchanged,
            returns: |values, lambdas| {
                let key = entry_of(&values[0]).map_or(DataType::Null, |(key, _)| key.clone());
                Ok(map_type(key, normal(&lambdas[0])))
            },
            run: zip_with,
        },
    ]
}

fn as_map(given: &DataType) -> Option<DataType> {
    match given {
        DataType::Map(..) => Some(normal(given)),
        DataType::Null => Some(map_type(DataType::Null, DataType::Null)),
        _ => None,
    }
}

fn one_map(given: &[DataType]) -> Option<Vec<DataType>> {
    match given {
        [map] => Some(vec![as_map(map)?]),
        _ => None,
    }
}

/// Two maps with the same type of keys.
fn two_maps(given: &[DataType]) -> Option<Vec<DataType>> {
    let [a, b] = given else { return None };
    let (a, b) = (as_map(a)?, as_map(b)?);
    let ((k, v), (l, w)) = (entry_of(&a)?, entry_of(&b)?);
    let key = unify(k, l)?;
    Some(vec![
        map_type(key.clone(), v.clone()),
        map_type(key, w.clone()),
    ])
}

fn entry(values: &[DataType], _: &[Option<DataType>]) -> Result<Parameters> {
    let entry = values.first().and_then(entry_of);
    Ok(vec![
        entry.map(|(key, value)| vec![key.clone(), value.clone()]),
    ])
}

/// The entries of all rows: keys, values, the lambda's results.
struct Evaluated {
    keys: ArrayRef,
    values: ArrayRef,
    result: ArrayRef,
    sizes: Vec<usize>,
    valid: Vec<bool>,
}

fn evaluated(run: &Run) -> Result<Evaluated> {
    let map = run.map(0);
    let (mut places, mut rows) = (Vec::new(), Vec::new());
    let (mut sizes, mut valid) = (Vec::with_capacity(run.rows), Vec::with_capacity(run.rows));
    for row in 0..run.rows {
        let here = entries(map, row);
        sizes.push(here.len());
        valid.push(map.is_valid(row));
        rows.extend(std::iter::repeat_n(row as u64, here.len()));
        places.extend(here.map(|place| place as u64));
    }
    let places = UInt64Array::from(places);
    let keys = take(map.keys(), &places, None)?;
    let values = take(map.values(), &places, None)?;
    let result = run.evaluate(0, &[Arc::clone(&keys), Arc::clone(&values)], &rows)?;
    Ok(Evaluated {
        keys,
        values,
        result,
        sizes,
        valid,
    })
}

fn filter(run: &Run) -> Result<ArrayRef> {
    let all = evaluated(run)?;
    let decided = coerced(&all.result, &DataType::Boolean)?;
    let decided = decided.as_boolean();
    let mut result = Lists::default();
    let mut next = 0;
    for (size, valid) in all.sizes.iter().zip(&all.valid) {
        let here = next..next + size;
        next = here.end;
        if *valid {
            result.of(here.filter(|&at| decided.is_valid(at) && decided.value(at)));
        } else {
            result.null();
        }
    }
    result.finish_maps(&all.keys, &all.values)
}

fn transform_values(run: &Run) -> Result<ArrayRef> {
    let all = evaluated(run)?;
    map(all.keys, all.result, all.sizes, Some(all.valid))
}

fn transform_keys(run: &Run) -> Result<ArrayRef> {
    let all = evaluated(run)?;
    unique(&all.result, &all.sizes)?;
    map(all.result, all.values, all.sizes, Some(all.valid))
}

/// The keys of the first map, then those that only the second one has.
fn zip_with(run: &Run) -> Result<ArrayRef> {
    let (a, b) = (run.map(0), run.map(1));
    let converter = Keys::new(a.keys().data_type())?;
    let (left, right) = (converter.of(a.keys())?, converter.of(b.keys())?);
    let all_keys = concat(&[a.keys().as_ref(), b.keys().as_ref()])?;
    let second = a.keys().len();
    let (mut keys, mut x, mut y, mut rows) = (vec![], vec![], vec![], vec![]);
    let (mut sizes, mut valid) = (Vec::with_capacity(run.rows), Vec::with_capacity(run.rows));
    for row in 0..run.rows {
        let is_valid = a.is_valid(row) && b.is_valid(row);
        valid.push(is_valid);
        let before = keys.len();
        let here = |map: &MapArray| if is_valid { entries(map, row) } else { 0..0 };
        let mut others: HashMap<_, _> = here(b).map(|at| (right.row(at), at)).collect();
        for at in here(a) {
            keys.push(at as u64);
            x.push(Some(at as u64));
            y.push(others.remove(&left.row(at)).map(|at| at as u64));
        }
        for at in here(b).filter(|at| others.contains_key(&right.row(*at))) {
            keys.push((second + at) as u64);
            x.push(None);
            y.push(Some(at as u64));
        }
        sizes.push(keys.len() - before);
        rows.extend(std::iter::repeat_n(row as u64, keys.len() - before));
    }
    let keys = take(&all_keys, &UInt64Array::from(keys), None)?;
    let x = take(a.values(), &UInt64Array::from(x), None)?;
    let y = take(b.values(), &UInt64Array::from(y), None)?;
    let result = run.evaluate(0, &[Arc::clone(&keys), x, y], &rows)?;
    map(keys, result, sizes, Some(valid))
}
