//! Trino's functions of arrays, where DataFusion has none or another meaning.
//!
//! Source: Trino manual, "Array functions and operators".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BooleanBuilder, Int64Array, Int64Builder, ListArray,
            UInt64Array,
        },
        buffer::OffsetBuffer,
        compute::{cast, take},
        datatypes::{DataType, Field, Int64Type},
    },
    common::{exec_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    compared::Pair,
    maps, nested,
    scalar::{Call, Kind, Spec, bigint, boolean, element, same},
    type_name, unify,
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const ARRAY_AND_ANY: &[Kind] = &[Kind::Array, Kind::Any];
    [
        Spec::new(
            "element_at",
            &[Kind::Any, Kind::Any],
            element_at_type,
            element_at,
        ),
        Spec::new("contains", ARRAY_AND_ANY, contains_type, contains),
        Spec::new("array_position", ARRAY_AND_ANY, position_type, position),
        Spec::new(
            "slice",
            &[Kind::Array, Kind::Integer, Kind::Integer],
            same,
            slice,
        ),
    ]
    .map(Spec::build)
    .into()
}

/// `a[n]`.
pub(super) fn subscript() -> Arc<ScalarUDF> {
    Spec::new(
        "__subscript",
        &[Kind::Array, Kind::Integer],
        element,
        |call| nth(call, |length, index| subscript_place(length, index, true)),
    )
    .build()
}

/// `a[n]` and `m[k]` where a predicate may be evaluated before its guard: null where there is no such element.
///
/// DataFusion evaluates the parts of a conjunction in any order and over all rows, so that
/// `cardinality(a) > 0 AND a[1] = 'x'` would fail for the very rows that it excludes.
pub(super) fn subscript_or_null() -> Arc<ScalarUDF> {
    Spec::new(
        "__subscript_or_null",
        &[Kind::Any, Kind::Any],
        element_at_type,
        |call| match call.args[0].data_type() {
            DataType::List(_) => nth(call, |length, index| subscript_place(length, index, false)),
            _ => element_at(call),
        },
    )
    .build()
}

fn subscript_place(length: i64, index: i64, strict: bool) -> Result<Option<i64>> {
    match index {
        0 => exec_err!("SQL array indices start at 1"),
        index if index < 0 => exec_err!("Array subscript is negative: {index}"),
        index if index > length && strict => exec_err!(
            "Array subscript must be less than or equal to array length: {index} > {length}"
        ),
        index => Ok(Some(index - 1).filter(|place| *place < length)),
    }
}

/// The lists 1, 2, … as long as the longest of the arguments in each row.
pub(super) fn ordinals() -> Arc<ScalarUDF> {
    Spec::new("__ordinals", &[Kind::Array], sequence_type, |call| {
        let lists: Vec<_> = call
            .args
            .iter()
            .map(|array| array.as_list::<i32>())
            .collect();
        let lengths: Vec<usize> = (0..call.rows)
            .map(|row| {
                lists
                    .iter()
                    .map(|list| length(list, row))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let numbers: Int64Array = lengths
            .iter()
            .flat_map(|&length| 1..=length as i64)
            .map(Some)
            .collect();
        Ok(Arc::new(ListArray::try_new(
            Arc::new(Field::new_list_field(DataType::Int64, true)),
            OffsetBuffer::from_lengths(lengths),
            Arc::new(numbers),
            None,
        )?))
    })
    .variadic()
    .build()
}

/// Number of elements; a null array has none.
fn length(list: &ListArray, row: usize) -> usize {
    if list.is_null(row) {
        0
    } else {
        list.value_length(row) as usize
    }
}

/// Takes one element per row: `place` says which, from the length and the index asked for.
fn nth(call: &Call, place: impl Fn(i64, i64) -> Result<Option<i64>>) -> Result<ArrayRef> {
    let list = call.args[0].as_list::<i32>();
    let indices = cast(&call.args[1], &DataType::Int64)?;
    let indices = indices.as_primitive::<Int64Type>();
    let mut taken = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if list.is_null(row) || indices.is_null(row) {
            taken.push(None);
            continue;
        }
        let begin = i64::from(list.value_offsets()[row]);
        let place = place(length(list, row) as i64, indices.value(row))?;
        taken.push(place.and_then(|place| u64::try_from(begin + place).ok()));
    }
    Ok(take(list.values(), &UInt64Array::from(taken), None)?)
}

fn element_at_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [DataType::Map(..), _] => maps::value_type(given),
        [DataType::List(field), index] if index.is_integer() || *index == DataType::Null => {
            Ok(field.data_type().clone())
        }
        [DataType::Null, _] => Ok(DataType::Null),
        _ => {
            let given: Vec<_> = given.iter().map(type_name).collect();
            plan_err!(
                "Unexpected parameters ({}) for function element_at. Expected: element_at(array(E), bigint), element_at(map(K, V), K)",
                given.join(", ")
            )
        }
    }
}

fn element_at(call: &Call) -> Result<ArrayRef> {
    match call.args[0].data_type() {
        DataType::Map(..) => maps::get(call, false),
        DataType::List(_) => nth(call, |length, index| match index {
            0 => exec_err!("SQL array indices start at 1"),
            index if index < 0 => Ok(length.checked_add(index).filter(|place| *place >= 0)),
            index => Ok(Some(index - 1).filter(|place| *place < length)),
        }),
        _ => Ok(datafusion::arrow::array::new_null_array(
            &call.return_type,
            call.rows,
        )),
    }
}

fn comparable(name: &str, given: &[DataType]) -> Result<()> {
    let [list, wanted] = given else {
        return Ok(());
    };
    match unify::element_of(list) {
        Some(element) if unify::unify(element, wanted).is_none() => plan_err!(
            "{name}: an array of {} cannot hold {}",
            type_name(element),
            type_name(wanted)
        ),
        _ => Ok(()),
    }
}

fn contains_type(given: &[DataType]) -> Result<DataType> {
    comparable("contains", given)?;
    boolean(given)
}

fn position_type(given: &[DataType]) -> Result<DataType> {
    comparable("array_position", given)?;
    bigint(given)
}

/// Where in each row's array the wanted value stands, from 0; and whether a null was met before.
fn search(call: &Call, mut found: impl FnMut(Option<(Option<usize>, bool)>)) -> Result<()> {
    let list = call.args[0].as_list::<i32>();
    let both = unify::unify(&list.value_type(), call.args[1].data_type());
    let both = both.unwrap_or_else(|| list.value_type());
    let values = nested::coerced(list.values(), &both)?;
    let wanted = nested::coerced(&call.args[1], &both)?;
    let pair = Pair::new(&values, &wanted)?;
    for row in 0..call.rows {
        if list.is_null(row) || nested::is_null(&wanted, row) {
            found(None);
            continue;
        }
        let mut has_null = false;
        let mut place = None;
        for (index, at) in nested::places(list, row).enumerate() {
            match pair.equal(at, row) {
                Some(true) => {
                    place = Some(index);
                    break;
                }
                Some(false) => {}
                None if nested::is_null(&values, at) => has_null = true,
                None => return exec_err!("values that contain null cannot be searched for"),
            }
        }
        found(Some((place, has_null)));
    }
    Ok(())
}

fn contains(call: &Call) -> Result<ArrayRef> {
    let mut result = BooleanBuilder::with_capacity(call.rows);
    search(call, |found| {
        result.append_option(match found {
            None | Some((None, true)) => None,
            Some((place, _)) => Some(place.is_some()),
        });
    })?;
    Ok(Arc::new(result.finish()))
}

fn position(call: &Call) -> Result<ArrayRef> {
    let mut result = Int64Builder::with_capacity(call.rows);
    search(call, |found| {
        result.append_option(found.map(|(place, _)| place.map_or(0, |place| place as i64 + 1)));
    })?;
    Ok(Arc::new(result.finish()))
}

fn slice(call: &Call) -> Result<ArrayRef> {
    let list = call.args[0].as_list::<i32>();
    let starts = call.args[1].as_primitive::<Int64Type>();
    let lengths = call.args[2].as_primitive::<Int64Type>();
    let mut taken: Vec<Option<u64>> = Vec::new();
    let (mut sizes, mut valid) = (Vec::with_capacity(call.rows), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let is_there = list.is_valid(row) && starts.is_valid(row) && lengths.is_valid(row);
        valid.push(is_there);
        if !is_there {
            sizes.push(0);
            continue;
        }
        let (start, wanted) = (starts.value(row), lengths.value(row));
        let all = length(list, row) as i64;
        if start == 0 {
            return exec_err!("SQL array indices start at 1");
        }
        if wanted < 0 {
            return exec_err!("length must be greater than or equal to 0");
        }
        let from = if start > 0 {
            start - 1
        } else {
            all.saturating_add(start)
        };
        let to = if from < 0 {
            0
        } else {
            from.saturating_add(wanted).min(all)
        };
        let begin = i64::from(list.value_offsets()[row]);
        let before = taken.len();
        taken.extend((from.max(0)..to.max(0)).map(|place| u64::try_from(begin + place).ok()));
        sizes.push(taken.len() - before);
    }
    let DataType::List(field) = list.data_type() else {
        return exec_err!("slice takes an array");
    };
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(field),
        OffsetBuffer::from_lengths(sizes),
        take(list.values(), &UInt64Array::from(taken), None)?,
        Some(valid.into()),
    )?))
}

fn sequence_type(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::new_list(DataType::Int64, true))
}
