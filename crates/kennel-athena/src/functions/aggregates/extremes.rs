//! `max(x, n)`, `min(x, n)`, `max_by` and `min_by`.
//!
//! Rows whose key is null do not count; a value may be null. Among equal keys the first one met stays.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, make_comparator, new_null_array},
        compute::SortOptions,
        datatypes::{DataType, Int64Type},
    },
    common::{ScalarValue, exec_err, internal_err},
    error::Result,
    logical_expr::Accumulator,
};

use super::gathered::{Gathered, Types, heavy, rows, where_valid};
use crate::functions::{
    array_values::orderable,
    nested::{coerced, list},
    unify::{list_of, normal},
};

pub(super) const ALL: [Gathered; 4] = [
    // The rewrite calls `max` and `min` of two arguments so.
    Gathered {
        name: "__max_n",
        usage: "max(E), max(E, bigint)",
        types: greatest_types,
        take_in: |args| where_valid(args, 0),
        compact: |columns| extreme_rows(columns, 0, Some(1), true, "max"),
        finish: |columns, returns| finish(columns, returns, 0, Some(1), true, "max"),
        limit: 256,
        light: heavy,
    },
    Gathered {
        name: "__min_n",
        usage: "min(E), min(E, bigint)",
        types: greatest_types,
        take_in: |args| where_valid(args, 0),
        compact: |columns| extreme_rows(columns, 0, Some(1), false, "min"),
        finish: |columns, returns| finish(columns, returns, 0, Some(1), false, "min"),
        limit: 256,
        light: heavy,
    },
    Gathered {
        name: "max_by",
        usage: "max_by(V, K), max_by(V, K, bigint)",
        types: by_types,
        take_in: |args| where_valid(args, 1),
        compact: |columns| extreme_rows(columns, 1, count_column(columns), true, "max_by"),
        finish: |columns, returns| {
            finish(columns, returns, 1, count_column(columns), true, "max_by")
        },
        limit: 256,
        light: |types| light(types, true),
    },
    Gathered {
        name: "min_by",
        usage: "min_by(V, K), min_by(V, K, bigint)",
        types: by_types,
        take_in: |args| where_valid(args, 1),
        compact: |columns| extreme_rows(columns, 1, count_column(columns), false, "min_by"),
        finish: |columns, returns| {
            finish(columns, returns, 1, count_column(columns), false, "min_by")
        },
        limit: 256,
        light: |types| light(types, false),
    },
];

fn is_count(given: &DataType) -> bool {
    given.is_integer() || *given == DataType::Null
}

fn greatest_types(given: &[DataType]) -> Result<Option<Types>> {
    match given {
        [value, count] if is_count(count) => {
            orderable("max and min", value)?;
            let kept = [normal(value), DataType::Int64];
            Types::new(kept.clone(), kept.clone(), list_of(kept[0].clone()))
        }
        _ => Ok(None),
    }
}

/// Keys that are all null need a type that knows nulls.
fn key_type(key: &DataType) -> DataType {
    match key {
        DataType::Null => DataType::Boolean,
        key => normal(key),
    }
}

fn by_types(given: &[DataType]) -> Result<Option<Types>> {
    match given {
        [value, key] => {
            orderable("max_by and min_by", key)?;
            let kept = [normal(value), key_type(key)];
            Types::new(kept.clone(), kept.clone(), kept[0].clone())
        }
        [value, key, count] if is_count(count) => {
            orderable("max_by and min_by", key)?;
            let kept = [normal(value), key_type(key), DataType::Int64];
            Types::new(kept.clone(), kept.clone(), list_of(kept[0].clone()))
        }
        _ => Ok(None),
    }
}

/// The column that says how many rows are wanted, where there is one.
fn count_column(columns: &[ArrayRef]) -> Option<usize> {
    (columns.len() > 2).then_some(2)
}

/// Most rows that may be asked for, as in Trino.
const MOST: usize = 10_000;

/// How many rows are wanted.
fn wanted(columns: &[ArrayRef], count: Option<usize>, name: &str) -> Result<usize> {
    let Some(count) = count else { return Ok(1) };
    let counts = columns[count].as_primitive::<Int64Type>();
    let given = (!counts.is_empty() && counts.is_valid(0)).then(|| counts.value(0));
    match given.and_then(|given| usize::try_from(given).ok()) {
        Some(wanted) if wanted > MOST => exec_err!(
            "the last argument of {name} must be less than or equal to {MOST}; found {wanted}"
        ),
        Some(wanted) if wanted > 0 => Ok(wanted),
        _ => exec_err!("the last argument of {name} must be a positive integer"),
    }
}

/// The best rows, the best first.
fn extreme_rows(
    columns: &[ArrayRef],
    key: usize,
    count: Option<usize>,
    greatest: bool,
    name: &str,
) -> Result<Vec<ArrayRef>> {
    let wanted = wanted(columns, count, name)?;
    let options = SortOptions {
        descending: greatest,
        nulls_first: false,
    };
    let compare = make_comparator(columns[key].as_ref(), columns[key].as_ref(), options)?;
    let all = 0..columns[key].len();
    if wanted == 1 {
        let best = all.reduce(|best, row| {
            if compare(row, best).is_lt() {
                row
            } else {
                best
            }
        });
        return rows(columns, best);
    }
    let mut order: Vec<usize> = all.collect();
    order.sort_by(|&a, &b| compare(a, b));
    order.truncate(wanted);
    rows(columns, order)
}

fn finish(
    columns: &[ArrayRef],
    returns: &DataType,
    key: usize,
    count: Option<usize>,
    greatest: bool,
    name: &str,
) -> Result<ArrayRef> {
    if columns[key].is_empty() {
        return Ok(new_null_array(returns, 1));
    }
    let best = extreme_rows(columns, key, count, greatest, name)?;
    let Some(values) = best.first() else {
        return internal_err!("an extreme has no values");
    };
    if count.is_none() {
        // Not a slice of all that was read.
        return ScalarValue::try_from_array(values, 0)?
            .compacted()
            .to_array();
    }
    list(Arc::clone(values), vec![values.len()], None)
}

/// One value and its key suffice where one is wanted and keys are plain.
fn light(types: &Types, greatest: bool) -> Option<Box<dyn Accumulator>> {
    match types.kept.as_slice() {
        [value, key] if !key.is_nested() => Some(Box::new(Extreme {
            greatest,
            types: [value.clone(), key.clone()],
            value: ScalarValue::try_new_null(value).ok()?,
            key: ScalarValue::try_new_null(key).ok()?,
        })),
        _ => None,
    }
}

#[derive(Debug)]
struct Extreme {
    greatest: bool,
    /// Types of the value and of the key.
    types: [DataType; 2],
    value: ScalarValue,
    key: ScalarValue,
}

impl Extreme {
    fn update(&mut self, values: &ArrayRef, keys: &ArrayRef) -> Result<()> {
        // Arrow counts no value of the type of null as null.
        if *keys.data_type() == DataType::Null {
            return Ok(());
        }
        let compare = make_comparator(keys.as_ref(), keys.as_ref(), SortOptions::default())?;
        let better = |a: usize, b: usize| {
            if self.greatest {
                compare(a, b).is_gt()
            } else {
                compare(a, b).is_lt()
            }
        };
        let mut best: Option<usize> = None;
        for row in (0..keys.len()).filter(|&row| keys.is_valid(row)) {
            if best.is_none_or(|best| better(row, best)) {
                best = Some(row);
            }
        }
        let Some(best) = best else { return Ok(()) };
        let key = ScalarValue::try_from_array(keys, best)?;
        let ordering = key.partial_cmp(&self.key);
        let wins = self.key.is_null()
            || ordering.is_some_and(|o| if self.greatest { o.is_gt() } else { o.is_lt() });
        if wins {
            self.key = key;
            self.value = ScalarValue::try_from_array(values, best)?.compacted();
        }
        Ok(())
    }
}

impl Accumulator for Extreme {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        match columns {
            [values, keys] => {
                let values = coerced(values, &self.types[0])?;
                let keys = coerced(keys, &self.types[1])?;
                self.update(&values, &keys)
            }
            _ => internal_err!("max_by and min_by take two columns"),
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), self.key.clone()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size() + self.key.size()
    }
}
