//! `reduce(array, initial, (state, element) -> state, state -> result)`.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, UInt64Array, new_empty_array},
        compute::{concat, take},
        datatypes::DataType,
    },
    common::{plan_datafusion_err, plan_err},
    error::Result,
};

use super::{Lambdas, Parameters, Run};
use crate::functions::{
    array_sets::{array, is_array},
    nested::{coerced, places},
    type_name,
    unify::{element_of, normal, unify},
};

pub(super) fn function() -> Lambdas {
    Lambdas {
        name: "reduce",
        usage: "reduce(array(T), S, function(S, T, S), function(S, R))",
        lambdas: 2,
        values: |given| match given {
            [list, initial] if is_array(list) => Some(vec![array(list), normal(initial)]),
            _ => None,
        },
        parameters,
        adapt: |values, lambdas| match (values, lambdas) {
            ([list, initial], [merged, _]) => {
                Ok(vec![list.clone(), state_type(initial, Some(merged))?])
            }
            _ => plan_err!("reduce takes two values and two lambdas"),
        },
        returns: |_, lambdas| match lambdas {
            [_, result] => Ok(normal(result)),
            _ => plan_err!("reduce takes two lambdas"),
        },
        run,
    }
}

/// The type of the state: that of the initial value, widened to what the first lambda returns.
fn state_type(initial: &DataType, merged: Option<&DataType>) -> Result<DataType> {
    let Some(merged) = merged else {
        return Ok(initial.clone());
    };
    let both = unify(initial, merged).ok_or_else(|| {
        plan_datafusion_err!(
            "reduce: the state is {} and its lambda returns {}",
            type_name(initial),
            type_name(merged)
        )
    })?;
    // Each addition would want one digit more.
    Ok(match both {
        DataType::Decimal128(_, scale) if both != *initial => DataType::Decimal128(38, scale),
        both => both,
    })
}

fn parameters(values: &[DataType], lambdas: &[Option<DataType>]) -> Result<Parameters> {
    let [list, initial] = values else {
        return Ok(vec![None, None]);
    };
    let merged = lambdas.first().and_then(Option::as_ref);
    let state = state_type(initial, merged)?;
    let element = element_of(list).cloned().unwrap_or(DataType::Null);
    Ok(vec![
        Some(vec![state.clone(), element]),
        merged.is_some().then(|| vec![state]),
    ])
}

/// Goes by position: the states of all rows whose array is long enough take one step together.
fn run(run: &Run) -> Result<ArrayRef> {
    let list = run.list(0);
    let mut order: Vec<usize> = (0..run.rows).filter(|&row| list.is_valid(row)).collect();
    let length = |row: usize| places(list, row).len();
    order.sort_by_key(|&row| std::cmp::Reverse(length(row)));
    let rows: Vec<u64> = order.iter().map(|&row| row as u64).collect();
    let mut state = take(&run.values[1], &UInt64Array::from(rows.clone()), None)?;
    let mut finished: Vec<ArrayRef> = Vec::new();
    let longest = order.first().map_or(0, |&row| length(row));
    for position in 0..longest {
        let active = order.partition_point(|&row| length(row) > position);
        finished.push(state.slice(active, state.len() - active));
        state = state.slice(0, active);
        let elements: UInt64Array = order[..active]
            .iter()
            .map(|&row| (places(list, row).start + position) as u64)
            .collect();
        let elements = take(list.values(), &elements, None)?;
        let next = run.evaluate(0, &[Arc::clone(&state), elements], &rows[..active])?;
        state = coerced(&next, state.data_type())?;
    }
    finished.push(state);
    let finished: Vec<&dyn Array> = finished.iter().rev().map(AsRef::as_ref).collect();
    let results = run.evaluate(1, &[concat(&finished)?], &rows)?;
    if results.is_empty() && run.rows == 0 {
        return Ok(new_empty_array(&run.returns));
    }
    let mut places: Vec<Option<u64>> = vec![None; run.rows];
    for (place, row) in order.into_iter().enumerate() {
        places[row] = Some(place as u64);
    }
    Ok(take(&results, &UInt64Array::from(places), None)?)
}
