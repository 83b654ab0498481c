//! `width_bucket`: in which of several ranges a number lies.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray},
        compute::cast,
        datatypes::{DataType, Float64Type},
    },
    common::{exec_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use crate::functions::{
    cast::double_text,
    scalar::{Call, Kind, Spec, bigint},
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const PARAMS: &[Kind] = &[Kind::Double, Kind::Any, Kind::Double, Kind::Integer];
    let buckets = Spec::new("width_bucket", PARAMS, buckets_type, width_bucket);
    vec![buckets.at_least(2).build()]
}

fn buckets_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [_, DataType::List(bin)]
            if bin.data_type().is_numeric() || *bin.data_type() == DataType::Null =>
        {
            bigint(given)
        }
        [_, bound, _, _] if bound.is_numeric() || *bound == DataType::Null => bigint(given),
        _ => plan_err!(
            "width_bucket takes a number and an array of bounds, or a number, two bounds and a count"
        ),
    }
}

fn width_bucket(call: &Call) -> Result<ArrayRef> {
    if call.args.len() == 2 {
        return by_bins(call);
    }
    let (values, counts) = (call.doubles(0), call.integers(3));
    let first = cast(&call.args[1], &DataType::Float64)?;
    let (first, second) = (first.as_primitive::<Float64Type>(), call.doubles(2));
    call.to_integers(|row| {
        let (value, first, second) = (values.value(row), first.value(row), second.value(row));
        let count = counts.value(row);
        if count <= 0 {
            return exec_err!("bucketCount must be greater than 0");
        }
        if value.is_nan() {
            return exec_err!("operand must not be NaN");
        }
        if !first.is_finite() {
            return exec_err!("first bound must be finite");
        }
        if !second.is_finite() {
            return exec_err!("second bound must be finite");
        }
        if first == second {
            return exec_err!("bounds cannot equal each other");
        }
        let (lower, upper) = (first.min(second), first.max(second));
        let bucket = if value < lower {
            Some(0)
        } else if value >= upper {
            count.checked_add(1)
        } else {
            Some((count as f64 * (value - lower) / (upper - lower)) as i64 + 1)
        };
        let Some(bucket) = bucket else {
            return exec_err!("Bucket for value {} is out of range", double_text(value));
        };
        Ok(Some(if first > second {
            count - bucket + 1
        } else {
            bucket
        }))
    })
}

fn by_bins(call: &Call) -> Result<ArrayRef> {
    let values = call.doubles(0);
    let lists = call.args[1].as_list::<i32>();
    let bins = cast(lists.values(), &DataType::Float64)?;
    let bins = bins.as_primitive::<Float64Type>();
    let offsets = lists.value_offsets();
    call.to_integers(|row| {
        let value = values.value(row);
        let (mut low, mut high) = (offsets[row] as usize, offsets[row + 1] as usize);
        let first = low;
        if low == high {
            return exec_err!("Bins cannot be an empty array");
        }
        if value.is_nan() {
            return exec_err!("Operand cannot be NaN");
        }
        // Bisection, which sees only some of the bins, as in Trino.
        while low < high {
            if bins.is_null(low) || bins.is_null(high - 1) {
                return exec_err!("Bin values cannot be NULL");
            }
            if bins.value(low) > bins.value(high - 1) {
                return exec_err!("Bin values are not sorted in ascending order");
            }
            let middle = usize::midpoint(low, high);
            let bin = bins.value(middle);
            if !bin.is_finite() {
                return exec_err!(
                    "Bin value must be finite, got {}",
                    if bin.is_nan() {
                        "NaN"
                    } else if bin > 0.0 {
                        "Infinity"
                    } else {
                        "-Infinity"
                    }
                );
            }
            if value < bin {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(i64::try_from(low - first).ok())
    })
}
