//! `array_sort(array, (a, b) -> …)`.

use std::{cmp::Ordering, collections::HashMap};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, UInt64Array},
        compute::take,
        datatypes::{DataType, Int64Type},
    },
    common::{exec_err, plan_err},
    error::Result,
};

use super::{Lambdas, Run, arrays::one_array, unchanged};
use crate::functions::{
    nested::{Lists, coerced, places},
    type_name,
    unify::element_of,
};

/// The comparator of `array_sort`, which the rewrite calls by this name.
pub(super) fn function() -> Lambdas {
    Lambdas {
        name: "__array_sort_by",
        usage: "array_sort(array(T), function(T, T, bigint))",
        lambdas: 1,
        values: one_array,
        parameters: |values, _| {
            let element = values.first().and_then(element_of).cloned();
            Ok(vec![element.map(|element| vec![element.clone(), element])])
        },
        adapt: unchanged,
        returns: |values, lambdas| match lambdas {
            [result] if result.is_integer() || *result == DataType::Null => Ok(values[0].clone()),
            [other] => plan_err!(
                "the comparator of array_sort must return -1, 0 or 1, not {}",
                type_name(other)
            ),
            _ => plan_err!("array_sort takes one comparator"),
        },
        run,
    }
}

/// Up to this length all pairs of an array are compared at once.
const SHORT: usize = 32;

fn run(run: &Run) -> Result<ArrayRef> {
    let list = run.list(0);
    let known = compare_short(run)?;
    let mut result = Lists::default();
    for row in 0..run.rows {
        if list.is_null(row) {
            result.null();
            continue;
        }
        let here = places(list, row);
        let sorted = if here.len() <= SHORT {
            sort(here.collect(), &mut |a, b| Ok(known[&(a, b)]))?
        } else {
            sort(here.collect(), &mut |a, b| {
                Ok(compare(run, &[a], &[b], &[row as u64])?[0])
            })?
        };
        result.of(sorted);
    }
    result.finish(list.values())
}

/// The order of each pair of elements of each short array.
///
/// The comparator gets the later one first, as a sort that begins with a run of ordered elements asks:
/// a comparator that answers wrongly for one of both orders fails here where it fails in Trino.
fn compare_short(run: &Run) -> Result<HashMap<(usize, usize), Ordering>> {
    let list = run.list(0);
    let (mut left, mut right, mut rows) = (vec![], vec![], vec![]);
    for row in 0..run.rows {
        let here = places(list, row);
        if here.len() > SHORT {
            continue;
        }
        for a in here.clone() {
            for b in a + 1..here.end {
                left.push(b);
                right.push(a);
                rows.push(row as u64);
            }
        }
    }
    let orders = compare(run, &left, &right, &rows)?;
    let pairs = left.into_iter().zip(right);
    Ok(pairs
        .zip(orders)
        .flat_map(|((a, b), order)| [((a, b), order), ((b, a), order.reverse())])
        .collect())
}

fn compare(run: &Run, left: &[usize], right: &[usize], rows: &[u64]) -> Result<Vec<Ordering>> {
    let values = run.list(0).values();
    let side = |places: &[usize]| -> Result<ArrayRef> {
        let places: UInt64Array = places.iter().map(|&place| place as u64).collect();
        Ok(take(values, &places, None)?)
    };
    let result = run.evaluate(0, &[side(left)?, side(right)?], rows)?;
    let result = coerced(&result, &DataType::Int64)?;
    let result = result.as_primitive::<Int64Type>();
    (0..result.len())
        .map(|at| match (result.is_valid(at), result.value(at)) {
            (true, -1) => Ok(Ordering::Less),
            (true, 0) => Ok(Ordering::Equal),
            (true, 1) => Ok(Ordering::Greater),
            _ => exec_err!("Lambda comparator must return either -1, 0, or 1"),
        })
        .collect()
}

/// A stable merge sort that bears a comparator without any order (the standard library's may panic).
fn sort(
    items: Vec<usize>,
    compare: &mut impl FnMut(usize, usize) -> Result<Ordering>,
) -> Result<Vec<usize>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let mut left = items;
    let right = left.split_off(left.len() / 2);
    let (left, right) = (sort(left, compare)?, sort(right, compare)?);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut a, mut b) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(&x), Some(&y)) = (a.peek(), b.peek()) {
        if compare(x, y)?.is_gt() {
            merged.extend(b.next());
        } else {
            merged.extend(a.next());
        }
    }
    merged.extend(a);
    merged.extend(b);
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorting_is_stable_and_complete(keys in prop::collection::vec(0_u8..5, 0..40)) {
            let places: Vec<usize> = (0..keys.len()).collect();
            let mut expected = places.clone();
            expected.sort_by_key(|&place| keys[place]);
            let sorted = sort(places, &mut |a, b| Ok(keys[a].cmp(&keys[b]))).unwrap();
            prop_assert_eq!(sorted, expected);
        }

        #[test]
        fn a_comparator_without_order_does_no_harm(answers in prop::collection::vec(-1_i8..2, 1..50)) {
            let mut next = answers.iter().cycle();
            let places: Vec<usize> = (0..30).collect();
            let mut sorted = sort(places.clone(), &mut |_, _| {
                Ok(next.next().map_or(Ordering::Equal, |answer| answer.cmp(&0)))
            }).unwrap();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, places);
        }
    }
}
