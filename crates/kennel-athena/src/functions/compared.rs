//! Comparison of arrays, maps and rows.
//!
//! A null inside makes equality undecided, unless other parts differ; order of values with a null
//! inside is an error. Maps are equal whatever the order of their entries, and have no order.
//!
//! Source: Trino documentation, "Comparison functions and operators" and the types' sections.

use std::{cmp::Ordering, sync::Arc};

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, DynComparator, Float64Array,
            make_comparator,
        },
        compute::{SortOptions, cast},
        datatypes::{DataType, Float64Type},
    },
    common::{exec_err, internal_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    array_values::orderable,
    datetime::fine::Column,
    nested::{Nested, Typed, entries, is_null, places},
    opaque,
    scalar::Call,
    unify::{element_of, unify},
};
use crate::types::fine::Fine;

/// The function for `=`, `<>`, `<`, `<=`, `>` or `>=` by this sign.
pub(super) fn operator(sign: &str) -> Option<Arc<ScalarUDF>> {
    ALL.iter()
        .find(|(known, _)| *known == sign)
        .map(|(_, nested)| nested.build())
}

/// The function for `IS DISTINCT FROM`.
pub(super) fn distinct() -> Arc<ScalarUDF> {
    DISTINCT.build()
}

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let all = ALL.iter().map(|(_, nested)| nested);
    all.chain([&DISTINCT])
        .map(|nested| nested.build())
        .collect()
}

/// `a IS DISTINCT FROM b`, which the rewrite calls so where it sees values with parts.
const DISTINCT: Nested = Nested::new("__distinct", "a IS DISTINCT FROM b", equal_types, |call| {
    let pair = Pair::new(&call.args[0], &call.args[1])?;
    let distinct = (0..call.rows).map(|row| Some(!pair.identical(row, row)));
    Ok(Arc::new(distinct.collect::<BooleanArray>()))
});

const ALL: [(&str, Nested); 6] = [
    (
        "=",
        Nested::new("__equal", "a = b", equal_types, |call| equal(call, true)),
    ),
    (
        "<>",
        Nested::new("__unequal", "a <> b", equal_types, |call| {
            equal(call, false)
        }),
    ),
    (
        "<",
        Nested::new("__less", "a < b", order_types, |call| {
            order(call, Ordering::is_lt)
        }),
    ),
    (
        "<=",
        Nested::new("__less_equal", "a <= b", order_types, |call| {
            order(call, Ordering::is_le)
        }),
    ),
    (
        ">",
        Nested::new("__greater", "a > b", order_types, |call| {
            order(call, Ordering::is_gt)
        }),
    ),
    (
        ">=",
        Nested::new("__greater_equal", "a >= b", order_types, |call| {
            order(call, Ordering::is_ge)
        }),
    ),
];

fn equal_types(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [a, b] => match unify(a, b).filter(is_comparable) {
            Some(both) => Typed::new([both.clone(), both], DataType::Boolean),
            None => plan_err!(
                "Cannot compare {} with {}",
                super::type_name(a),
                super::type_name(b)
            ),
        },
        _ => Ok(None),
    }
}

/// Sketches have no equality.
fn is_comparable(data_type: &DataType) -> bool {
    match data_type {
        sketch if opaque::is_sketch(sketch) => false,
        DataType::Struct(fields) => fields.iter().all(|field| is_comparable(field.data_type())),
        DataType::Map(entries, _) => is_comparable(entries.data_type()),
        other => element_of(other).is_none_or(is_comparable),
    }
}

fn order_types(given: &[DataType]) -> Result<Option<Typed>> {
    let typed = equal_types(given)?;
    if let Some(typed) = &typed {
        orderable("comparison", &typed.args[0])?;
    }
    Ok(typed)
}

fn equal(call: &Call, wanted: bool) -> Result<ArrayRef> {
    let pair = Pair::new(&call.args[0], &call.args[1])?;
    let mut result = BooleanBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        result.append_option(pair.equal(row, row).map(|is_equal| is_equal == wanted));
    }
    Ok(Arc::new(result.finish()))
}

fn order(call: &Call, wanted: fn(Ordering) -> bool) -> Result<ArrayRef> {
    let pair = Pair::new(&call.args[0], &call.args[1])?;
    let mut result = BooleanBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let is_there = call.args.iter().all(|arg| !is_null(arg, row));
        result.append_option(match is_there {
            // What is no number is neither less nor greater.
            true if pair.has_nan(row) => Some(false),
            true => Some(wanted(pair.order(row, row, true)?)),
            false => None,
        });
    }
    Ok(Arc::new(result.finish()))
}

/// Two arrays of one type whose values are compared.
pub(super) struct Pair<'a> {
    left: &'a ArrayRef,
    right: &'a ArrayRef,
    parts: Parts<'a>,
}

/// How the values of a pair are compared.
enum Parts<'a> {
    /// Values without parts.
    None(DynComparator),
    /// Numbers that may be NaN: which of them are, on the left and on the right.
    Floats(DynComparator, [Vec<bool>; 2]),
    /// The elements of lists.
    Elements(Box<Pair<'a>>),
    /// The fields of rows.
    Fields(Vec<Pair<'a>>),
    /// Keys and values of maps.
    Entries(Box<(Pair<'a>, Pair<'a>)>),
}

/// The numbers as doubles, with one zero instead of two.
fn one_zero(array: &ArrayRef) -> Result<ArrayRef> {
    let numbers = cast(array, &DataType::Float64)?;
    let numbers = numbers.as_primitive::<Float64Type>();
    let numbers: Float64Array = numbers.unary(|number| number + 0.0);
    Ok(Arc::new(numbers))
}

fn nans(array: &ArrayRef) -> Result<Vec<bool>> {
    let numbers = cast(array, &DataType::Float64)?;
    let numbers = numbers.as_primitive::<Float64Type>();
    Ok(numbers
        .values()
        .iter()
        .map(|number| number.is_nan())
        .collect())
}

impl<'a> Pair<'a> {
    pub(super) fn new(left: &'a ArrayRef, right: &'a ArrayRef) -> Result<Self> {
        let parts = match left.data_type() {
            DataType::List(_) => Parts::Elements(Box::new(Self::new(
                left.as_list::<i32>().values(),
                right.as_list::<i32>().values(),
            )?)),
            fine if Fine::of(fine).is_some() => {
                let order = |side| Column::new(side).map(|column| column.order());
                let (Some(a), Some(b)) = (order(left), order(right)) else {
                    return internal_err!("times of two types");
                };
                Parts::None(make_comparator(&a, &b, SortOptions::default())?)
            }
            DataType::Struct(_) => {
                let columns = left.as_struct().columns().iter();
                let pairs = columns.zip(right.as_struct().columns());
                Parts::Fields(pairs.map(|(a, b)| Self::new(a, b)).collect::<Result<_>>()?)
            }
            DataType::Map(..) => {
                let (a, b) = (left.as_map(), right.as_map());
                Parts::Entries(Box::new((
                    Self::new(a.keys(), b.keys())?,
                    Self::new(a.values(), b.values())?,
                )))
            }
            data_type => {
                let options = SortOptions::default();
                match data_type.is_floating() {
                    true => {
                        let (a, b) = (one_zero(left)?, one_zero(right)?);
                        let compare = make_comparator(a.as_ref(), b.as_ref(), options)?;
                        Parts::Floats(compare, [nans(left)?, nans(right)?])
                    }
                    false => {
                        let compare = make_comparator(left.as_ref(), right.as_ref(), options)?;
                        Parts::None(compare)
                    }
                }
            }
        };
        Ok(Self { left, right, parts })
    }

    /// Is one of the two no number?
    fn has_nan(&self, row: usize) -> bool {
        matches!(&self.parts, Parts::Floats(_, [left, right]) if left[row] || right[row])
    }

    /// Are these equal? `None` where a null leaves it open.
    pub(super) fn equal(&self, a: usize, b: usize) -> Option<bool> {
        if is_null(self.left, a) || is_null(self.right, b) {
            return None;
        }
        match &self.parts {
            Parts::None(compare) => Some(compare(a, b).is_eq()),
            Parts::Floats(compare, [left, _]) => Some(!left[a] && compare(a, b).is_eq()),
            Parts::Fields(pairs) => all(pairs.iter().map(|pair| pair.equal(a, b))),
            Parts::Elements(pair) => {
                let a = places(self.left.as_list::<i32>(), a);
                let b = places(self.right.as_list::<i32>(), b);
                if a.len() != b.len() {
                    return Some(false);
                }
                all(a.zip(b).map(|(a, b)| pair.equal(a, b)))
            }
            Parts::Entries(pairs) => {
                let (keys, values) = pairs.as_ref();
                let a = entries(self.left.as_map(), a);
                let b = entries(self.right.as_map(), b);
                if a.len() != b.len() {
                    return Some(false);
                }
                all(a.map(|a| {
                    let same = b.clone().find(|&b| keys.equal(a, b) == Some(true));
                    same.map_or(Some(false), |b| values.equal(a, b))
                }))
            }
        }
    }

    /// Are these not distinct? Null is not distinct from null, NaN not from NaN.
    fn identical(&self, a: usize, b: usize) -> bool {
        let (a_is_null, b_is_null) = (is_null(self.left, a), is_null(self.right, b));
        if a_is_null || b_is_null {
            return a_is_null && b_is_null;
        }
        match &self.parts {
            Parts::None(compare) => compare(a, b).is_eq(),
            Parts::Floats(compare, [left, right]) => left[a] && right[b] || compare(a, b).is_eq(),
            Parts::Fields(pairs) => pairs.iter().all(|pair| pair.identical(a, b)),
            Parts::Elements(pair) => {
                let a = places(self.left.as_list::<i32>(), a);
                let b = places(self.right.as_list::<i32>(), b);
                a.len() == b.len() && a.zip(b).all(|(a, b)| pair.identical(a, b))
            }
            Parts::Entries(pairs) => {
                let (keys, values) = pairs.as_ref();
                let mut a = entries(self.left.as_map(), a);
                let b = entries(self.right.as_map(), b);
                a.len() == b.len()
                    && a.all(|a| {
                        let same = b.clone().find(|&b| keys.identical(a, b));
                        same.is_some_and(|b| values.identical(a, b))
                    })
            }
        }
    }

    /// The order of two values that are not null; NaN is the greatest number, or the least one.
    pub(super) fn order(&self, a: usize, b: usize, nan_is_greatest: bool) -> Result<Ordering> {
        if is_null(self.left, a) || is_null(self.right, b) {
            return exec_err!("comparison not supported for values with null elements");
        }
        match &self.parts {
            Parts::None(compare) => Ok(compare(a, b)),
            Parts::Floats(compare, [left, right]) => Ok(match (left[a], right[b]) {
                (true, false) if !nan_is_greatest => Ordering::Less,
                (false, true) if !nan_is_greatest => Ordering::Greater,
                _ => compare(a, b),
            }),
            Parts::Fields(pairs) => {
                for pair in pairs {
                    match pair.order(a, b, nan_is_greatest)? {
                        Ordering::Equal => {}
                        decided => return Ok(decided),
                    }
                }
                Ok(Ordering::Equal)
            }
            Parts::Elements(pair) => {
                let a = places(self.left.as_list::<i32>(), a);
                let b = places(self.right.as_list::<i32>(), b);
                let lengths = a.len().cmp(&b.len());
                for (a, b) in a.zip(b) {
                    match pair.order(a, b, nan_is_greatest)? {
                        Ordering::Equal => {}
                        decided => return Ok(decided),
                    }
                }
                Ok(lengths)
            }
            Parts::Entries(_) => exec_err!("maps have no order"),
        }
    }
}

/// False as soon as one is, else undecided as soon as one is.
fn all(mut parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut is_open = false;
    if parts.any(|part| {
        is_open |= part.is_none();
        part == Some(false)
    }) {
        return Some(false);
    }
    (!is_open).then_some(true)
}
