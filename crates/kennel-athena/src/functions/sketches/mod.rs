//! Sketches: what is kept of many values to answer questions about them later.
//!
//! Here are the functions of sketches; the aggregates that make and merge them are in `aggregates/sketches`.
//!
//! Source: Trino manual, "HyperLogLog functions", "Quantile digest functions", "Set Digest functions",
//! "T-Digest functions".

mod bytes;
pub(super) mod hll;
pub(super) mod qdigest;
pub(super) mod setdigest;
pub(super) mod tdigest;

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BinaryArray, Float32Array, Float64Array, Int16Array,
            Int64Array,
        },
        compute::cast,
        datatypes::{DataType, Float64Type, Int64Type, TimeUnit},
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use self::{
    hll::Hll,
    qdigest::{QDigest, from_sortable, sortable},
    setdigest::SetDigest,
    tdigest::TDigest,
};
use super::{
    binary::hash64,
    nested::{Nested, Typed, list_arg, map, places},
    opaque,
    scalar::Call,
    unify::{element_of, list_of},
};
use crate::types::{self, map_type};

/// The type of a sketch by its name.
pub(super) fn sketch(name: &str) -> DataType {
    types::opaque(name, DataType::Binary)
}

/// The type of the values in a quantile digest.
pub(super) fn of_qdigest(given: &DataType) -> Option<DataType> {
    Some(match types::opaque_name(given)? {
        "qdigest(bigint)" => DataType::Int64,
        "qdigest(double)" => DataType::Float64,
        "qdigest(real)" => DataType::Float32,
        _ => return None,
    })
}

/// The type of the values in a digest of quantiles.
fn of_digest(given: &DataType) -> Option<DataType> {
    match types::opaque_name(given) {
        Some("tdigest") => Some(DataType::Float64),
        _ => of_qdigest(given),
    }
}

fn is(given: &DataType, name: &str) -> bool {
    *given == DataType::Null || types::opaque_name(given) == Some(name)
}

fn is_number(given: &DataType) -> bool {
    given.is_numeric() || *given == DataType::Null
}

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [of_quantiles(), of_sets()].concat()
}

/// Of digests of quantiles, and the empty HyperLogLog.
fn of_quantiles() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "empty_approx_set",
            "empty_approx_set()",
            |given| match given {
                [] => Typed::new([], sketch("hyperloglog")),
                _ => Ok(None),
            },
            |call| {
                let empty = Hll::with_error(DEFAULT_ERROR)?.write();
                let all = BinaryArray::from_iter_values(std::iter::repeat_n(empty, call.rows));
                opaque::wrap(Arc::new(all), &call.return_type)
            },
        ),
        Nested::new(
            "value_at_quantile",
            "value_at_quantile(qdigest(T), double), value_at_quantile(tdigest, double)",
            |given| match given {
                [digest, quantile] if is_number(quantile) => match of_digest(digest) {
                    Some(value) => Typed::new([digest.clone(), DataType::Float64], value),
                    None => Ok(None),
                },
                _ => Ok(None),
            },
            value_at_quantile,
        ),
        Nested::new(
            "values_at_quantiles",
            "values_at_quantiles(qdigest(T), array(double)), values_at_quantiles(tdigest, array(double))",
            |given| match given {
                [digest, quantiles] if element_of(quantiles).is_some_and(is_number) => {
                    match of_digest(digest) {
                        Some(value) => {
                            let args = [digest.clone(), list_of(DataType::Float64)];
                            Typed::new(args, list_of(value))
                        }
                        None => Ok(None),
                    }
                }
                _ => Ok(None),
            },
            values_at_quantiles,
        ),
        Nested::new(
            "quantile_at_value",
            "quantile_at_value(qdigest(T), T)",
            |given| match given {
                [digest, value] if is_number(value) => match of_qdigest(digest) {
                    Some(value) => Typed::new([digest.clone(), value], DataType::Float64),
                    None => Ok(None),
                },
                _ => Ok(None),
            },
            quantile_at_value,
        ),
    ]
    .map(Nested::build)
    .into()
}

/// Of set digests.
fn of_sets() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "intersection_cardinality",
            "intersection_cardinality(setdigest, setdigest)",
            |given| sets(given, DataType::Int64),
            |call| {
                let [a, b] = [bytes_of(call, 0), bytes_of(call, 1)];
                call.to_integers(|row| {
                    let (a, b) = (
                        SetDigest::read(a.value(row))?,
                        SetDigest::read(b.value(row))?,
                    );
                    a.intersection_cardinality(&b).map(Some)
                })
            },
        ),
        Nested::new(
            "jaccard_index",
            "jaccard_index(setdigest, setdigest)",
            |given| sets(given, DataType::Float64),
            |call| {
                let [a, b] = [bytes_of(call, 0), bytes_of(call, 1)];
                call.to_doubles(|row| {
                    let (a, b) = (
                        SetDigest::read(a.value(row))?,
                        SetDigest::read(b.value(row))?,
                    );
                    Ok(Some(a.jaccard_index(&b)))
                })
            },
        ),
        Nested::new(
            "hash_counts",
            "hash_counts(setdigest)",
            |given| match given {
                [digest] if is(digest, "setdigest") => {
                    let counts = map_type(DataType::Int64, DataType::Int16);
                    Typed::new([sketch("setdigest")], counts)
                }
                _ => Ok(None),
            },
            hash_counts,
        ),
    ]
    .map(Nested::build)
    .into()
}

/// `cardinality` of sketches.
pub(super) fn cardinality() -> Arc<ScalarUDF> {
    Nested::new(
        "cardinality",
        "cardinality(hyperloglog), cardinality(setdigest)",
        |given| match given {
            [given] if matches!(types::opaque_name(given), Some("hyperloglog" | "setdigest")) => {
                Typed::new([given.clone()], DataType::Int64)
            }
            _ => Ok(None),
        },
        |call| {
            let is_set = types::opaque_name(call.args[0].data_type()) == Some("setdigest");
            let bytes = bytes_of(call, 0);
            call.to_integers(|row| {
                Ok(Some(match is_set {
                    true => SetDigest::read(bytes.value(row))?.cardinality(),
                    false => Hll::read(bytes.value(row))?.cardinality(),
                }))
            })
        },
    )
    .build()
}

/// The error of a HyperLogLog unless one is asked for.
pub(super) const DEFAULT_ERROR: f64 = 0.016_25;

fn bytes_of(call: &Call, index: usize) -> BinaryArray {
    opaque::held(&call.args[index]).as_binary::<i32>().clone()
}

fn sets(given: &[DataType], returns: DataType) -> Result<Option<Typed>> {
    match given {
        [a, b] if is(a, "setdigest") && is(b, "setdigest") => {
            Typed::new([sketch("setdigest"), sketch("setdigest")], returns)
        }
        _ => Ok(None),
    }
}

/// A digest of quantiles, whichever kind it is.
enum Digest {
    T(TDigest),
    Q(QDigest),
}

impl Digest {
    fn read(data_type: &DataType, bytes: &[u8]) -> Result<Self> {
        match types::opaque_name(data_type) {
            Some("tdigest") => TDigest::read(bytes).map(Self::T),
            _ => QDigest::read(bytes).map(Self::Q),
        }
    }

    /// The values at quantiles, as numbers that [`typed`] turns into the digest's.
    fn values_at(&self, quantiles: &[f64]) -> Result<Vec<Option<i64>>> {
        if !quantiles.is_sorted() {
            return exec_err!("percentiles must be sorted in increasing order");
        }
        if quantiles
            .iter()
            .any(|quantile| !(0.0..=1.0).contains(quantile))
        {
            return exec_err!("percentile must be between 0 and 1");
        }
        Ok(match self {
            Self::T(digest) => match digest.values_at(quantiles) {
                Some(values) => values
                    .into_iter()
                    .map(|value| Some(sortable(value)))
                    .collect(),
                None => vec![None; quantiles.len()],
            },
            Self::Q(digest) => quantiles
                .iter()
                .map(|quantile| digest.value_at(*quantile))
                .collect(),
        })
    }
}

/// Values of a digest in their own type.
fn typed(values: Vec<Option<i64>>, data_type: &DataType) -> ArrayRef {
    let doubles = |values: Vec<Option<i64>>| {
        let doubles = values.into_iter().map(|value| value.map(from_sortable));
        Float64Array::from_iter(doubles)
    };
    match data_type {
        DataType::Float64 => Arc::new(doubles(values)),
        DataType::Float32 => {
            let singles = doubles(values);
            let singles = singles.iter().map(|value| value.map(|value| value as f32));
            Arc::new(Float32Array::from_iter(singles))
        }
        _ => Arc::new(Int64Array::from(values)),
    }
}

fn value_at_quantile(call: &Call) -> Result<ArrayRef> {
    let (bytes, quantiles) = (bytes_of(call, 0), call.doubles(1));
    let mut values = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if !call.all_valid(row) {
            values.push(None);
            continue;
        }
        let digest = Digest::read(call.args[0].data_type(), bytes.value(row))?;
        values.extend(digest.values_at(&[quantiles.value(row)])?);
    }
    Ok(typed(values, &call.return_type))
}

fn values_at_quantiles(call: &Call) -> Result<ArrayRef> {
    let (bytes, lists) = (bytes_of(call, 0), list_arg(call, 1));
    let quantiles = lists.values().as_primitive::<Float64Type>();
    let (mut values, mut sizes, mut valid) = (vec![], vec![], vec![]);
    for row in 0..call.rows {
        let before = values.len();
        valid.push(call.all_valid(row));
        if call.all_valid(row) {
            let wanted: Vec<_> = places(lists, row).map(|at| quantiles.value(at)).collect();
            let digest = Digest::read(call.args[0].data_type(), bytes.value(row))?;
            values.extend(digest.values_at(&wanted)?);
        }
        sizes.push(values.len() - before);
    }
    let element = element_of(&call.return_type)
        .cloned()
        .unwrap_or(DataType::Float64);
    super::nested::list(typed(values, &element), sizes, Some(valid))
}

fn quantile_at_value(call: &Call) -> Result<ArrayRef> {
    let bytes = bytes_of(call, 0);
    let values = qdigest_values(&call.args[1])?;
    call.to_doubles(|row| {
        let digest = QDigest::read(bytes.value(row))?;
        Ok(values[row].and_then(|value| digest.quantile_at(value)))
    })
}

/// Numbers as the integers that a quantile digest keeps.
pub(super) fn qdigest_values(array: &ArrayRef) -> Result<Vec<Option<i64>>> {
    if array.data_type().is_floating() {
        let doubles = cast(array, &DataType::Float64)?;
        let doubles = doubles.as_primitive::<Float64Type>();
        return Ok(doubles.iter().map(|value| value.map(sortable)).collect());
    }
    let integers = cast(array, &DataType::Int64)?;
    Ok(integers.as_primitive::<Int64Type>().iter().collect())
}

fn hash_counts(call: &Call) -> Result<ArrayRef> {
    let bytes = bytes_of(call, 0);
    let (mut hashes, mut counts, mut sizes, mut valid) = (vec![], vec![], vec![], vec![]);
    for row in 0..call.rows {
        let before = hashes.len();
        valid.push(call.all_valid(row));
        if call.all_valid(row) {
            for (hash, count) in SetDigest::read(bytes.value(row))?.hashes() {
                hashes.push(hash);
                counts.push(count);
            }
        }
        sizes.push(hashes.len() - before);
    }
    let (hashes, counts) = (Int64Array::from(hashes), Int16Array::from(counts));
    map(Arc::new(hashes), Arc::new(counts), sizes, Some(valid))
}

/// The hashes of values, as Trino's sketches take them; `None` for null.
pub(super) fn hashes(array: &ArrayRef) -> Result<Vec<Option<u64>>> {
    let of_longs = |longs: &ArrayRef| -> Result<Vec<Option<u64>>> {
        let longs = cast(longs, &DataType::Int64)?;
        let longs = longs.as_primitive::<Int64Type>();
        let hashed = longs
            .iter()
            .map(|value| Some(hash64(&value?.to_le_bytes())));
        Ok(hashed.collect())
    };
    match array.data_type() {
        given if given.is_integer() => of_longs(array),
        DataType::Boolean | DataType::Timestamp(..) | DataType::Time64(_) => of_longs(array),
        DataType::Date32 | DataType::Time32(TimeUnit::Second | TimeUnit::Millisecond) => {
            of_longs(&cast(array, &DataType::Int32)?)
        }
        DataType::Float32 | DataType::Float64 => {
            let doubles = cast(array, &DataType::Float64)?;
            let doubles = doubles.as_primitive::<Float64Type>();
            let bits = |value: f64| hash64(&value.to_bits().to_le_bytes());
            Ok(doubles.iter().map(|value| value.map(bits)).collect())
        }
        DataType::Binary => {
            let bytes = array.as_binary::<i32>();
            Ok(bytes.iter().map(|bytes| bytes.map(hash64)).collect())
        }
        _ => {
            let texts = super::cast::convert(array, &DataType::Utf8, false)?;
            let texts = texts.as_string::<i32>();
            let hashed = texts
                .iter()
                .map(|text| text.map(|text| hash64(text.as_bytes())));
            Ok(hashed.collect())
        }
    }
}
