//! Random numbers, another one for each row.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, Int64Array},
        compute::cast,
        datatypes::{DataType, Int64Type},
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use crate::functions::scalar::{Call, Kind, Spec};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let random = Spec::new(
        "random",
        &[Kind::WholeNumber, Kind::WholeNumber],
        random_type,
        random,
    );
    vec![random.at_least(0).also(&["rand"]).volatile().build()]
}

fn random_type(given: &[DataType]) -> Result<DataType> {
    let widest = given.iter().max_by_key(|given| given.primitive_width());
    Ok(widest.cloned().unwrap_or(DataType::Float64))
}

/// 64 random bits, from the system's source.
fn bits() -> u64 {
    let bytes = uuid::Uuid::new_v4().into_bytes();
    // The last eight of a UUID's bytes hold two fixed bits, which the first eight hide.
    let half = |range: std::ops::Range<usize>| {
        bytes[range]
            .iter()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    half(0..8).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ half(8..16).rotate_left(17)
}

fn random(call: &Call) -> Result<ArrayRef> {
    if call.args.is_empty() {
        // 53 bits are what a double holds.
        return call.to_doubles(|_| Ok(Some((bits() >> 11) as f64 / (1_u64 << 53) as f64)));
    }
    let bounds = call
        .args
        .iter()
        .map(|array| Ok(cast(array, &DataType::Int64)?))
        .collect::<Result<Vec<_>>>()?;
    let bound = |index: usize, row: usize| bounds[index].as_primitive::<Int64Type>().value(row);
    let mut result = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if !call.all_valid(row) {
            result.push(None);
            continue;
        }
        let (from, to) = match bounds.len() {
            1 if bound(0, row) <= 0 => return exec_err!("bound must be positive"),
            1 => (0, bound(0, row)),
            _ => (bound(0, row), bound(1, row)),
        };
        if from >= to {
            return exec_err!("start value must be less than stop value");
        }
        let width = i128::from(to) - i128::from(from);
        let number = i128::from(from) + i128::from(bits()) % width;
        result.push(i64::try_from(number).ok());
    }
    let result: ArrayRef = Arc::new(Int64Array::from(result));
    Ok(cast(&result, &call.return_type)?)
}
