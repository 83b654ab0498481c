//! Aggregates that make sketches, and merge them.
//!
//! A sketch is kept as its bytes, a row of them for each batch, and merged with the others of its group.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BinaryArray, new_null_array},
        datatypes::{DataType, Float64Type},
    },
    common::internal_err,
    error::Result,
};

use super::gathered::{Gathered, Types, heavy, where_valid};
use crate::{
    functions::{
        opaque,
        sketches::{
            DEFAULT_ERROR, hashes, hll::Hll, qdigest::QDigest, qdigest_values,
            setdigest::SetDigest, sketch, tdigest::TDigest,
        },
        unify::normal,
    },
    types::{self, fine::Fine},
};

const fn sketching(
    name: &'static str,
    usage: &'static str,
    types: fn(&[DataType]) -> Result<Option<Types>>,
    take_in: fn(&[ArrayRef]) -> Result<Vec<ArrayRef>>,
) -> Gathered {
    Gathered {
        name,
        usage,
        types,
        take_in,
        compact: merged,
        finish: |columns, returns| match columns[0].is_empty() {
            true => Ok(new_null_array(returns, 1)),
            false => Ok(Arc::clone(&merged(columns)?[0])),
        },
        limit: 8,
        light: heavy,
    }
}

pub(super) const ALL: [Gathered; 6] = [
    sketching(
        "approx_set",
        "approx_set(x[, double])",
        |given| match given {
            [value, ..] if !is_hashed(value) => Ok(None),
            [value] => of(vec![hashable(value)], "hyperloglog"),
            [value, error] if is_number(error) => {
                of(vec![hashable(value), DataType::Float64], "hyperloglog")
            }
            _ => Ok(None),
        },
        approx_set,
    ),
    sketching(
        "merge",
        "merge(hyperloglog), merge(qdigest(T)), merge(tdigest)",
        |given| match given {
            [given] if types::opaque_name(given).is_some_and(|name| name != "setdigest") => {
                match opaque::is_sketch(given) {
                    true => Types::new([given.clone()], [given.clone()], given.clone()),
                    false => Ok(None),
                }
            }
            _ => Ok(None),
        },
        |args| where_valid(args, 0),
    ),
    sketching(
        "merge_set_digest",
        "merge_set_digest(setdigest)",
        |given| match given {
            [given] if types::opaque_name(given) == Some("setdigest") => {
                Types::new([given.clone()], [given.clone()], given.clone())
            }
            _ => Ok(None),
        },
        |args| where_valid(args, 0),
    ),
    sketching(
        "make_set_digest",
        "make_set_digest(x)",
        |given| match given {
            [value] if is_hashed(value) => of(vec![hashable(value)], "setdigest"),
            _ => Ok(None),
        },
        |args| {
            let mut digest = SetDigest::default();
            let hashes = hashes(&args[0])?;
            hashes.iter().flatten().for_each(|hash| digest.add(*hash));
            kept(
                "setdigest",
                hashes.iter().any(Option::is_some).then(|| digest.write()),
            )
        },
    ),
    sketching(
        "qdigest_agg",
        "qdigest_agg(x[, w[, accuracy]])",
        |given| {
            let (Some(value), true) = (given.first(), given.len() <= 3) else {
                return Ok(None);
            };
            if !given.iter().all(is_number) {
                return Ok(None);
            }
            let value = match value {
                DataType::Float32 => DataType::Float32,
                value if value.is_floating() || value.is_decimal() => DataType::Float64,
                _ => DataType::Int64,
            };
            let name = qdigest_name(&value);
            let mut args = vec![value];
            args.resize(given.len(), DataType::Float64);
            of(args, name)
        },
        qdigest,
    ),
    sketching(
        "tdigest_agg",
        "tdigest_agg(double[, double])",
        |given| match given {
            [_] | [_, _] if given.iter().all(is_number) => {
                of(vec![DataType::Float64; given.len()], "tdigest")
            }
            _ => Ok(None),
        },
        tdigest,
    ),
];

fn is_number(given: &DataType) -> bool {
    given.is_numeric() || *given == DataType::Null
}

/// Arrays, maps and rows have no hash here.
fn is_hashed(given: &DataType) -> bool {
    match given {
        DataType::List(_) | DataType::Map(..) => false,
        DataType::Struct(_) => Fine::of(given).is_some(),
        _ => true,
    }
}

fn hashable(given: &DataType) -> DataType {
    match normal(given) {
        DataType::Null => DataType::Int64,
        given => given,
    }
}

fn qdigest_name(value: &DataType) -> &'static str {
    match value {
        DataType::Float32 => "qdigest(real)",
        DataType::Float64 => "qdigest(double)",
        _ => "qdigest(bigint)",
    }
}

fn of(args: Vec<DataType>, name: &str) -> Result<Option<Types>> {
    Types::new(args, [sketch(name)], sketch(name))
}

/// The column of one sketch, or of none.
fn kept(name: &str, bytes: Option<Vec<u8>>) -> Result<Vec<ArrayRef>> {
    let bytes = BinaryArray::from_iter_values(bytes);
    Ok(vec![opaque::wrap(Arc::new(bytes), &sketch(name))?])
}

fn approx_set(args: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let given = where_valid(args, 0)?;
    if given[0].is_empty() {
        return kept("hyperloglog", None);
    }
    let error = match given.get(1) {
        Some(errors) if errors.is_valid(0) => errors.as_primitive::<Float64Type>().value(0),
        _ => DEFAULT_ERROR,
    };
    let mut sketch = Hll::with_error(error)?;
    for hash in hashes(&given[0])?.into_iter().flatten() {
        sketch.insert(hash);
    }
    kept("hyperloglog", Some(sketch.write()))
}

/// The weight of a row; 1 where none is given, `None` where it is null.
fn weight(args: &[ArrayRef], row: usize) -> Option<f64> {
    let Some(weights) = args.get(1) else {
        return Some(1.0);
    };
    weights
        .is_valid(row)
        .then(|| weights.as_primitive::<Float64Type>().value(row))
}

fn qdigest(args: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let mut digest = QDigest::default();
    let mut is_empty = true;
    for (row, value) in qdigest_values(&args[0])?.into_iter().enumerate() {
        if let Some((value, weight)) = value.zip(weight(args, row)) {
            digest.add(value, weight)?;
            is_empty = false;
        }
    }
    kept(
        qdigest_name(args[0].data_type()),
        (!is_empty).then(|| digest.write()),
    )
}

fn tdigest(args: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let mut digest = TDigest::default();
    let mut is_empty = true;
    let values = args[0].as_primitive::<Float64Type>();
    for (row, value) in values.iter().enumerate() {
        if let Some((value, weight)) = value.zip(weight(args, row)) {
            digest.add(value, weight)?;
            is_empty = false;
        }
    }
    kept("tdigest", (!is_empty).then(|| digest.write()))
}

/// All sketches of a column as one.
fn merged(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    if columns[0].len() == 1 {
        return Ok(columns.to_vec());
    }
    let Some(name) = types::opaque_name(columns[0].data_type()) else {
        return internal_err!("a column that holds no sketches");
    };
    let held = opaque::held(&columns[0]);
    let mut all = held.as_binary::<i32>().iter().flatten();
    let Some(first) = all.next() else {
        return kept(name, None);
    };
    let bytes = match name {
        "hyperloglog" => {
            let mut whole = Hll::read(first)?;
            all.try_for_each(|bytes| whole.merge(&Hll::read(bytes)?))?;
            whole.write()
        }
        "setdigest" => {
            let mut whole = SetDigest::read(first)?;
            all.try_for_each(|bytes| whole.merge(&SetDigest::read(bytes)?))?;
            whole.write()
        }
        "tdigest" => {
            let mut whole = TDigest::read(first)?;
            for bytes in all {
                whole.merge(&TDigest::read(bytes)?);
            }
            whole.write()
        }
        _ => {
            let mut whole = QDigest::read(first)?;
            for bytes in all {
                whole.merge(&QDigest::read(bytes)?);
            }
            whole.write()
        }
    };
    kept(name, Some(bytes))
}
