//! Maps built from arrays, entries and maps; their keys, values and entries.
//!
//! A key is never null and never there twice: Trino refuses such maps, and so it is done here.
//!
//! Source: Trino manual, "Map functions and operators".

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Int64Array, UInt64Array},
        compute::{concat as concat_arrays, take},
        datatypes::{DataType, Field, Fields},
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    array_sets::{array, is_array},
    cast::convert,
    nested::{
        Keys, Lists, Nested, Typed, entries, holds_null, is_null, list_arg, map, places, rows,
    },
    scalar::Call,
    unify::{element_of, entry_of, list_of, normal, unify},
};
use crate::types::map_type;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        // The rewrite calls it so: DataFusion plans the name `map` itself.
        Nested::new("__map", "map(array(K), array(V)), map()", map_types, build),
        Nested::new(
            "map_from_entries",
            "map_from_entries(array(row(K, V)))",
            |given| from_entries_types(given, |value| value),
            from_entries,
        ),
        Nested::new(
            "multimap_from_entries",
            "multimap_from_entries(array(row(K, V)))",
            |given| from_entries_types(given, list_of),
            multimap_from_entries,
        ),
        Nested::new(
            "map_entries",
            "map_entries(map(K, V))",
            |given| of_map(given, |key, value| list_of(entry_type(key, value))),
            to_entries,
        ),
        Nested::new(
            "map_keys",
            "map_keys(map(K, V))",
            |given| of_map(given, |key, _| list_of(key)),
            |call| part(call, |map| map.keys()),
        ),
        Nested::new(
            "map_values",
            "map_values(map(K, V))",
            |given| of_map(given, |_, value| list_of(value)),
            |call| part(call, |map| map.values()),
        ),
        Nested::new(
            "map_concat",
            "map_concat(map(K, V), map(K, V), …)",
            concat_types,
            concat,
        ),
        Nested::new(
            "cardinality",
            "cardinality(array(E)), cardinality(map(K, V))",
            |given| match given {
                [map @ DataType::Map(..)] => Typed::new([normal(map)], DataType::Int64),
                [list] if is_array(list) => Typed::new([array(list)], DataType::Int64),
                _ => Ok(None),
            },
            cardinality,
        ),
    ]
    .map(Nested::build)
    .into()
}

/// A map as functions meet it.
pub(super) fn as_map(given: &DataType) -> Option<DataType> {
    match given {
        DataType::Map(..) => Some(normal(given)),
        DataType::Null => Some(map_type(DataType::Null, DataType::Null)),
        _ => None,
    }
}

/// A row of a key and a value.
pub(super) fn entry_type(key: DataType, value: DataType) -> DataType {
    DataType::Struct(entry_fields(&key, &value))
}

fn entry_fields(key: &DataType, value: &DataType) -> Fields {
    Fields::from(vec![
        Field::new("c0", key.clone(), true),
        Field::new("c1", value.clone(), true),
    ])
}

fn of_map(
    given: &[DataType],
    returns: fn(DataType, DataType) -> DataType,
) -> Result<Option<Typed>> {
    let [given] = given else { return Ok(None) };
    let Some(map) = as_map(given) else {
        return Ok(None);
    };
    match entry_of(&map) {
        Some((key, value)) => Typed::new([map.clone()], returns(key.clone(), value.clone())),
        None => Ok(None),
    }
}

fn map_types(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [] => Typed::new([], map_type(DataType::Null, DataType::Null)),
        [keys, values] if is_array(keys) && is_array(values) => {
            let (keys, values) = (array(keys), array(values));
            let element = |list| element_of(list).cloned().unwrap_or(DataType::Null);
            let returns = map_type(element(&keys), element(&values));
            Typed::new([keys, values], returns)
        }
        _ => Ok(None),
    }
}

/// Refuses a key that is there twice in one map; `sizes` says how many keys each map has.
pub(super) fn unique(keys: &ArrayRef, sizes: &[usize]) -> Result<()> {
    let compared = Keys::new(keys.data_type())?.of(keys)?;
    let mut seen = HashSet::new();
    let mut next = 0;
    for size in sizes {
        seen.clear();
        for at in next..next + size {
            if is_null(keys, at) {
                return exec_err!("map key cannot be null");
            }
            if keys.data_type().is_nested() && holds_null(keys, at) {
                return exec_err!("map key cannot be indeterminate: it holds a null");
            }
            if !seen.insert(compared.row(at)) {
                return exec_err!("Duplicate map keys ({}) are not allowed", shown(keys, at));
            }
        }
        next += size;
    }
    Ok(())
}

/// A key for a message.
fn shown(keys: &ArrayRef, at: usize) -> String {
    let text = convert(&keys.slice(at, 1), &DataType::Utf8, true);
    text.ok()
        .and_then(|text| Some(text.as_string_opt::<i32>()?.value(0).to_owned()))
        .unwrap_or_else(|| "…".into())
}

fn build(call: &Call) -> Result<ArrayRef> {
    if call.args.is_empty() {
        let none = datafusion::arrow::array::new_empty_array(&DataType::Null);
        return map(Arc::clone(&none), none, vec![0; call.rows], None);
    }
    let (keys, values) = (list_arg(call, 0), list_arg(call, 1));
    let (mut k, mut v): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
    let (mut sizes, mut valid) = (Vec::with_capacity(call.rows), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let is_valid = keys.is_valid(row) && values.is_valid(row);
        valid.push(is_valid);
        if !is_valid {
            sizes.push(0);
            continue;
        }
        let (a, b) = (places(keys, row), places(values, row));
        if a.len() != b.len() {
            return exec_err!("Key and value arrays must be the same length");
        }
        sizes.push(a.len());
        k.extend(a.map(|at| at as u64));
        v.extend(b.map(|at| at as u64));
    }
    let keys = take(keys.values(), &UInt64Array::from(k), None)?;
    let values = take(values.values(), &UInt64Array::from(v), None)?;
    unique(&keys, &sizes)?;
    map(keys, values, sizes, Some(valid))
}

fn from_entries_types(
    given: &[DataType],
    value_type: fn(DataType) -> DataType,
) -> Result<Option<Typed>> {
    let [given] = given else { return Ok(None) };
    let list = array(given);
    match element_of(&list) {
        Some(DataType::Struct(fields)) => match fields.as_ref() {
            [key, value] => {
                let returns = map_type(
                    key.data_type().clone(),
                    value_type(value.data_type().clone()),
                );
                Typed::new([list.clone()], returns)
            }
            _ => Ok(None),
        },
        Some(DataType::Null) => {
            let entry = list_of(entry_type(DataType::Null, DataType::Null));
            Typed::new(
                [entry],
                map_type(DataType::Null, value_type(DataType::Null)),
            )
        }
        _ => Ok(None),
    }
}

/// Keys and values of all entries, how many each row has, and which rows are there.
struct Entries {
    keys: ArrayRef,
    values: ArrayRef,
    sizes: Vec<usize>,
    valid: Vec<bool>,
}

fn read_entries(call: &Call) -> Result<Entries> {
    let list = list_arg(call, 0);
    let mut taken: Vec<u64> = Vec::new();
    let (mut sizes, mut valid) = (Vec::with_capacity(call.rows), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let here = places(list, row);
        if here.clone().any(|at| is_null(list.values(), at)) {
            return exec_err!("map entry cannot be null");
        }
        sizes.push(here.len());
        valid.push(list.is_valid(row));
        taken.extend(here.map(|at| at as u64));
    }
    let taken = take(list.values(), &UInt64Array::from(taken), None)?;
    let taken = taken.as_struct();
    Ok(Entries {
        keys: Arc::clone(taken.column(0)),
        values: Arc::clone(taken.column(1)),
        sizes,
        valid,
    })
}

fn from_entries(call: &Call) -> Result<ArrayRef> {
    let all = read_entries(call)?;
    unique(&all.keys, &all.sizes)?;
    map(all.keys, all.values, all.sizes, Some(all.valid))
}

fn multimap_from_entries(call: &Call) -> Result<ArrayRef> {
    let all = read_entries(call)?;
    if all.keys.logical_null_count() > 0 {
        return exec_err!("map key cannot be null");
    }
    let keys = Keys::new(all.keys.data_type())?.of(&all.keys)?;
    let mut lists = Lists::default();
    let (mut firsts, mut sizes): (Vec<u64>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut next = 0;
    for size in &all.sizes {
        let mut order = Vec::new();
        let mut groups: HashMap<_, Vec<usize>> = HashMap::new();
        for at in next..next + size {
            let group = groups.entry(keys.row(at)).or_default();
            if group.is_empty() {
                order.push(at);
            }
            group.push(at);
        }
        next += size;
        sizes.push(order.len());
        for first in order {
            firsts.push(first as u64);
            lists.of(groups.remove(&keys.row(first)).unwrap_or_default());
        }
    }
    let values = lists.finish(&all.values)?;
    let keys = take(&all.keys, &UInt64Array::from(firsts), None)?;
    map(keys, values, sizes, Some(all.valid))
}

/// The entries of maps as rows.
pub(super) fn to_entries(call: &Call) -> Result<ArrayRef> {
    let source = call.args[0].as_map();
    let columns = vec![Arc::clone(source.keys()), Arc::clone(source.values())];
    let fields = entry_fields(source.keys().data_type(), source.values().data_type());
    let all = rows(&fields, columns)?;
    lists_of(call, &all)
}

fn part(call: &Call, of: fn(&datafusion::arrow::array::MapArray) -> &ArrayRef) -> Result<ArrayRef> {
    lists_of(call, of(call.args[0].as_map()))
}

/// A list per map, with what `all` has in the places of its entries.
fn lists_of(call: &Call, all: &ArrayRef) -> Result<ArrayRef> {
    let source = call.args[0].as_map();
    let mut result = Lists::default();
    for row in 0..call.rows {
        if source.is_null(row) {
            result.null();
        } else {
            result.of(entries(source, row));
        }
    }
    result.finish(all)
}

fn concat_types(given: &[DataType]) -> Result<Option<Typed>> {
    if given.len() < 2 {
        return Ok(None);
    }
    let common = given.iter().try_fold(DataType::Null, |common, given| {
        unify(&common, &as_map(given)?)
    });
    match common {
        Some(common) => Typed::new(vec![common.clone(); given.len()], common),
        None => Ok(None),
    }
}

/// The value of the last map that has a key; keys in the order in which they are first met.
fn concat(call: &Call) -> Result<ArrayRef> {
    let maps: Vec<_> = call.args.iter().map(|arg| arg.as_map()).collect();
    let of = |part: fn(&datafusion::arrow::array::MapArray) -> &ArrayRef| -> Result<ArrayRef> {
        let parts: Vec<&dyn Array> = maps.iter().map(|map| part(map).as_ref()).collect();
        Ok(concat_arrays(&parts)?)
    };
    let (all_keys, all_values) = (of(|map| map.keys())?, of(|map| map.values())?);
    let compared = Keys::new(all_keys.data_type())?.of(&all_keys)?;
    let mut result = Lists::default();
    for row in 0..call.rows {
        if maps.iter().any(|map| map.is_null(row)) {
            result.null();
            continue;
        }
        let mut chosen: Vec<usize> = Vec::new();
        let mut seen = HashMap::new();
        let mut first = 0;
        for map in &maps {
            for at in entries(map, row).map(|at| first + at) {
                let place = *seen.entry(compared.row(at)).or_insert_with(|| {
                    chosen.push(at);
                    chosen.len() - 1
                });
                chosen[place] = at;
            }
            first += map.keys().len();
        }
        result.of(chosen);
    }
    result.finish_maps(&all_keys, &all_values)
}

fn cardinality(call: &Call) -> Result<ArrayRef> {
    let array = &call.args[0];
    let count = |row: usize| match array.data_type() {
        DataType::Map(..) => entries(array.as_map(), row).len(),
        _ => places(array.as_list::<i32>(), row).len(),
    };
    let counts: Int64Array = (0..call.rows)
        .map(|row| array.is_valid(row).then(|| count(row) as i64))
        .collect();
    Ok(Arc::new(counts))
}
