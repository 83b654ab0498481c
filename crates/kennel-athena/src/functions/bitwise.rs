//! Trino's functions of bits.
//!
//! Source: Trino manual, "Bitwise functions".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Int64Array},
        compute::cast,
        datatypes::{DataType, Int64Type},
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use super::scalar::{Call, Kind, Spec, bigint, same};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const ONE: &[Kind] = &[Kind::Integer];
    const TWO: &[Kind] = &[Kind::Integer, Kind::Integer];
    const SHIFT: &[Kind] = &[Kind::WholeNumber, Kind::Integer];
    [
        Spec::new("bit_count", TWO, bigint, bit_count),
        Spec::new("bitwise_not", ONE, bigint, |call| {
            let values = call.integers(0);
            call.to_integers(|row| Ok(Some(!values.value(row))))
        }),
        Spec::new("bitwise_and", TWO, bigint, |call| pairs(call, |a, b| a & b)),
        Spec::new("bitwise_or", TWO, bigint, |call| pairs(call, |a, b| a | b)),
        Spec::new("bitwise_xor", TWO, bigint, |call| pairs(call, |a, b| a ^ b)),
        Spec::new("bitwise_left_shift", SHIFT, same, |call| {
            shifted(call, |value, shift, _| {
                value.checked_shl(shift).unwrap_or(0)
            })
        }),
        Spec::new("bitwise_right_shift", SHIFT, same, |call| {
            shifted(call, |value, shift, width| {
                let bits = (value as u64) & (u64::MAX >> (64 - width));
                bits.checked_shr(shift).unwrap_or(0) as i64
            })
        }),
        Spec::new("bitwise_right_shift_arithmetic", SHIFT, same, |call| {
            shifted(call, |value, shift, _| value >> shift.min(63))
        }),
    ]
    .map(Spec::build)
    .into()
}

fn pairs(call: &Call, each: fn(i64, i64) -> i64) -> Result<ArrayRef> {
    let (left, right) = (call.integers(0), call.integers(1));
    call.to_integers(|row| Ok(Some(each(left.value(row), right.value(row)))))
}

fn bit_count(call: &Call) -> Result<ArrayRef> {
    let (values, widths) = (call.integers(0), call.integers(1));
    call.to_integers(|row| {
        let (value, width) = (values.value(row), widths.value(row));
        if !(2..=64).contains(&width) {
            return exec_err!("Bits specified in bit_count must be between 2 and 64, got {width}");
        }
        let unused = 64 - width;
        if value << unused >> unused != value {
            return exec_err!(
                "Number must be representable with the bits specified. {value} cannot be represented with {width} bits"
            );
        }
        Ok(Some(i64::from((value << unused).count_ones())))
    })
}

/// Shifts by type: what leaves its bits is lost.
fn shifted(call: &Call, each: fn(i64, u32, u32) -> i64) -> Result<ArrayRef> {
    let data_type = call.args[0].data_type();
    let width = match data_type {
        DataType::Int8 => 8,
        DataType::Int16 => 16,
        DataType::Int32 => 32,
        DataType::Int64 => 64,
        other => {
            return exec_err!("bits of {} cannot be shifted", super::type_name(other));
        }
    };
    let values = cast(&call.args[0], &DataType::Int64)?;
    let values = values.as_primitive::<Int64Type>();
    let shifts = call.integers(1);
    let result: Int64Array = (0..call.rows)
        .map(|row| {
            if !call.all_valid(row) {
                return None;
            }
            let shift = u32::try_from(shifts.value(row)).unwrap_or(u32::MAX);
            let shifted = each(values.value(row), shift, width);
            let unused = 64 - width;
            Some(shifted << unused >> unused)
        })
        .collect();
    Ok(cast(&(Arc::new(result) as ArrayRef), data_type)?)
}
