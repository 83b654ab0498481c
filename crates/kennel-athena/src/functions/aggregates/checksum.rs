//! `checksum`: a sum of hashes, so that the order of rows does not matter.
//!
//! Equal columns have equal checksums. The hashes are of the values' sort keys, so the bytes are not
//! those of Trino.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, new_null_array},
        datatypes::{DataType, Int64Type},
    },
    error::Result,
};

use super::gathered::{Gathered, Types, heavy};
use crate::functions::{
    nested::{Keys, is_null},
    unify::normal,
};

pub(super) const CHECKSUM: Gathered = Gathered {
    name: "checksum",
    usage: "checksum(x)",
    types: |given| match given {
        [given] => Types::new([normal(given)], [DataType::Int64], DataType::Binary),
        _ => Ok(None),
    },
    take_in,
    compact: sum,
    finish: |columns, returns| {
        if columns[0].is_empty() {
            return Ok(new_null_array(returns, 1));
        }
        let sum = sum(columns)?;
        let bytes = sum[0].as_primitive::<Int64Type>().value(0).to_le_bytes();
        Ok(Arc::new(BinaryArray::from_vec(vec![&bytes])))
    },
    limit: 1,
    light: heavy,
};

/// A null counts as one value of its own.
const NULL: i64 = -7_046_029_288_634_856_825;

fn take_in(args: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let keys = Keys::new(args[0].data_type())?.of(&args[0])?;
    let hashes = (0..keys.num_rows()).map(|row| match is_null(&args[0], row) {
        true => NULL,
        false => hash(keys.row(row).as_ref()),
    });
    Ok(vec![Arc::new(Int64Array::from_iter_values(hashes))])
}

fn sum(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let hashes = columns[0].as_primitive::<Int64Type>();
    let sum = hashes
        .values()
        .iter()
        .fold(0, |sum: i64, hash| sum.wrapping_add(*hash));
    Ok(vec![Arc::new(Int64Array::from(vec![sum]))])
}

/// FNV-1a, finished so that all bits depend on all bytes.
fn hash(bytes: &[u8]) -> i64 {
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^= hash >> 29;
    hash.cast_signed()
}
