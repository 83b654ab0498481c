//! `filter`, `transform`, `any_match`, `all_match`, `none_match`, `zip_with`.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, UInt64Array},
        buffer::BooleanBuffer,
        compute::take,
        datatypes::DataType,
    },
    common::plan_err,
    error::Result,
};

use super::{Lambdas, Parameters, Run, elements, unchanged};
use crate::functions::{
    array_sets::{array, is_array},
    nested::{Lists, coerced, list, places},
    type_name,
    unify::{element_of, list_of, normal},
};

pub(super) fn functions() -> Vec<Lambdas> {
    let matching = |name, usage, run| Lambdas {
        name,
        usage,
        lambdas: 1,
        values: one_array,
        parameters: element,
        adapt: unchanged,
        returns: |_, lambdas| {
            predicate(lambdas)?;
            Ok(DataType::Boolean)
        },
        run,
    };
    vec![
        Lambdas {
            name: "filter",
            usage: "filter(array(T), function(T, boolean))",
            lambdas: 1,
            values: one_array,
            parameters: element,
            adapt: unchanged,
            returns: |values, lambdas| {
                predicate(lambdas)?;
                Ok(values[0].clone())
            },
            run: filter,
        },
        Lambdas {
            name: "transform",
            usage: "transform(array(T), function(T, U))",
            lambdas: 1,
            values: one_array,
            parameters: element,
            adapt: unchanged,
            returns: |_, lambdas| Ok(list_of(normal(&lambdas[0]))),
            run: transform,
        },
        matching(
            "any_match",
            "any_match(array(T), function(T, boolean))",
            |run| matches(run, true, true),
        ),
        matching(
            "all_match",
            "all_match(array(T), function(T, boolean))",
            |run| matches(run, false, false),
        ),
        matching(
            "none_match",
            "none_match(array(T), function(T, boolean))",
            |run| matches(run, true, false),
        ),
        Lambdas {
            name: "zip_with",
            usage: "zip_with(array(T), array(U), function(T, U, R))",
            lambdas: 1,
            values: |given| match given {
                [a, b] if is_array(a) && is_array(b) => Some(vec![array(a), array(b)]),
                _ => None,
            },
            parameters: |values, _| {
                let elements = values.iter().map(|list| element_of(list).cloned());
                Ok(vec![elements.collect()])
            },
            adapt: unchanged,
            returns: |_, lambdas| Ok(list_of(normal(&lambdas[0]))),
            run: zip_with,
        },
    ]
}

pub(super) fn one_array(given: &[DataType]) -> Option<Vec<DataType>> {
    match given {
        [list] if is_array(list) => Some(vec![array(list)]),
        _ => None,
    }
}

fn element(values: &[DataType], _: &[Option<DataType>]) -> Result<Parameters> {
    let element = values.first().and_then(element_of).cloned();
    Ok(vec![element.map(|element| vec![element])])
}

/// A lambda that decides must return a boolean.
pub(super) fn predicate(lambdas: &[DataType]) -> Result<()> {
    match lambdas {
        [DataType::Boolean | DataType::Null] => Ok(()),
        [other] => plan_err!("the lambda must return a boolean, not {}", type_name(other)),
        _ => plan_err!("one lambda was expected"),
    }
}

/// The lambda's result for each element of the first list.
fn evaluated(run: &Run) -> Result<ArrayRef> {
    let list = run.list(0);
    let (values, rows) = elements(list)?;
    run.evaluate(0, &[values], &rows)
}

fn filter(run: &Run) -> Result<ArrayRef> {
    let list = run.list(0);
    let decided = coerced(&evaluated(run)?, &DataType::Boolean)?;
    let decided = decided.as_boolean();
    let mut result = Lists::default();
    let mut next = 0;
    for row in 0..run.rows {
        if list.is_null(row) {
            result.null();
            continue;
        }
        let here = places(list, row);
        let first = next;
        next += here.len();
        result.of(here.enumerate().filter_map(|(n, place)| {
            let at = first + n;
            (decided.is_valid(at) && decided.value(at)).then_some(place)
        }));
    }
    result.finish(list.values())
}

fn transform(run: &Run) -> Result<ArrayRef> {
    let source = run.list(0);
    let sizes = (0..run.rows).map(|row| places(source, row).len()).collect();
    let valid = (0..run.rows).map(|row| source.is_valid(row)).collect();
    list(evaluated(run)?, sizes, Some(valid))
}

/// Looks for an element for which the lambda returns `wanted`; `found` is the answer if there is one.
/// Undecided where there is none and the lambda returned null.
fn matches(run: &Run, wanted: bool, found: bool) -> Result<ArrayRef> {
    let list = run.list(0);
    let decided = match evaluated(run) {
        Ok(decided) => coerced(&decided, &DataType::Boolean)?,
        Err(_) => decided_in_order(run, wanted)?,
    };
    let decided = decided.as_boolean();
    let others = match wanted {
        true => decided.false_count(),
        false => decided.true_count(),
    };
    if others == decided.len() {
        let all = match found {
            true => BooleanBuffer::new_unset(run.rows),
            false => BooleanBuffer::new_set(run.rows),
        };
        return Ok(Arc::new(BooleanArray::new(all, list.nulls().cloned())));
    }
    let mut result = BooleanBuilder::with_capacity(run.rows);
    let mut next = 0;
    for row in 0..run.rows {
        if list.is_null(row) {
            result.append_null();
            continue;
        }
        let here = next..next + places(list, row).len();
        next = here.end;
        let is_found = here
            .clone()
            .any(|at| decided.is_valid(at) && decided.value(at) == wanted);
        let is_undecided = !is_found && here.clone().any(|at| decided.is_null(at));
        result.append_option((!is_undecided).then_some(is_found == found));
    }
    Ok(Arc::new(result.finish()))
}

/// The lambda's results one by one, up to the first that decides: what follows it may be an error.
fn decided_in_order(run: &Run, wanted: bool) -> Result<ArrayRef> {
    let list = run.list(0);
    let mut result = BooleanBuilder::new();
    for row in 0..run.rows {
        let mut is_found = false;
        for place in places(list, row) {
            let one = || run.evaluate(0, &[list.values().slice(place, 1)], &[row as u64]);
            let decided = match is_found {
                true => None,
                false => {
                    let decided = coerced(&one()?, &DataType::Boolean)?;
                    let decided = decided.as_boolean();
                    decided.is_valid(0).then(|| decided.value(0))
                }
            };
            is_found |= decided == Some(wanted);
            result.append_option(decided);
        }
    }
    Ok(Arc::new(result.finish()))
}

fn zip_with(run: &Run) -> Result<ArrayRef> {
    let (a, b) = (run.list(0), run.list(1));
    let (mut left, mut right, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let (mut sizes, mut valid) = (Vec::with_capacity(run.rows), Vec::with_capacity(run.rows));
    for row in 0..run.rows {
        let is_valid = a.is_valid(row) && b.is_valid(row);
        valid.push(is_valid);
        if !is_valid {
            sizes.push(0);
            continue;
        }
        let (x, y) = (places(a, row), places(b, row));
        let longest = x.len().max(y.len());
        sizes.push(longest);
        let place = |range: &std::ops::Range<usize>, n: usize| {
            (n < range.len()).then_some((range.start + n) as u64)
        };
        for n in 0..longest {
            left.push(place(&x, n));
            right.push(place(&y, n));
            rows.push(row as u64);
        }
    }
    let left = take(a.values(), &UInt64Array::from(left), None)?;
    let right = take(b.values(), &UInt64Array::from(right), None)?;
    list(run.evaluate(0, &[left, right], &rows)?, sizes, Some(valid))
}
