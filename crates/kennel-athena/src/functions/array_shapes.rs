//! Arrays built from arrays and values: literals, concatenation, reversal, parts, pairs, groups.
//!
//! Source: Trino manual, "Array functions and operators".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StringArray, UInt64Array},
        compute::{concat as concat_arrays, take},
        datatypes::{DataType, Field, Fields, Int64Type},
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    array_sets::{array, is_array},
    nested::{Lists, Nested, Typed, list, list_arg, places, rows},
    random,
    scalar::{Call, Kind, Spec, varchar},
    unify::{element_of, list_of, normal, unify, unify_all},
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new("__array", "ARRAY[…]", literal_types, literal),
        CONCATENATION,
        Nested::new(
            "flatten",
            "flatten(array(array(E)))",
            flatten_types,
            flatten,
        ),
        Nested::new("repeat", "repeat(E, bigint)", repeat_types, repeat),
        Nested::new("shuffle", "shuffle(array(E))", same, shuffle).volatile(),
        Nested::new(
            "trim_array",
            "trim_array(array(E), bigint)",
            same_and_number,
            trim,
        ),
        Nested::new("ngrams", "ngrams(array(E), bigint)", groups, ngrams),
        Nested::new(
            "combinations",
            "combinations(array(E), bigint)",
            groups,
            combinations,
        ),
        Nested::new("zip", "zip(array(E1), array(E2), …)", zip_types, zip),
        Nested::new("array_first", "array_first(array(E))", element, |call| {
            one_of(call, |places| places.start)
        }),
        Nested::new("array_last", "array_last(array(E))", element, |call| {
            one_of(call, |places| places.end - 1)
        }),
    ]
    .map(Nested::build)
    .into()
}

const CONCATENATION: Nested = Nested::new(
    "__concat",
    "array(E) || array(E), array(E) || E, E || array(E)",
    concat_types,
    concat,
);

/// `||` of arrays and their elements.
pub(super) fn concatenation() -> Arc<ScalarUDF> {
    CONCATENATION.build()
}

fn literal_types(given: &[DataType]) -> Result<Option<Typed>> {
    let element = unify_all("ARRAY", given)?;
    Typed::new(vec![element.clone(); given.len()], list_of(element))
}

fn literal(call: &Call) -> Result<ArrayRef> {
    let element = element_of(&call.return_type)
        .cloned()
        .unwrap_or(DataType::Null);
    let width = call.args.len();
    if width == 0 {
        let none = datafusion::arrow::array::new_empty_array(&element);
        return list(none, vec![0; call.rows], None);
    }
    let columns: Vec<&dyn Array> = call.args.iter().map(AsRef::as_ref).collect();
    let all = concat_arrays(&columns)?;
    let mut result = Lists::default();
    for row in 0..call.rows {
        result.of((0..width).map(|column| column * call.rows + row));
    }
    result.finish(&all)
}

/// Arrays, and values that are elements of them: `None` where they do not fit.
fn concat_types(given: &[DataType]) -> Result<Option<Typed>> {
    if given.len() < 2 {
        return Ok(None);
    }
    let arrays = given.iter().filter(|given| element_of(given).is_some());
    let Some(whole) = arrays
        .map(normal)
        .try_fold(DataType::Null, |a, b| unify(&a, &b))
    else {
        return mixed(given);
    };
    let mut both = array(&whole);
    let mut args = Vec::with_capacity(given.len());
    // A bare null stands for an array.
    let is_whole = |given: &DataType| *given == DataType::Null || element_of(given).is_some();
    for given in given {
        if is_whole(given) {
            continue;
        }
        match unify(&both, &list_of(normal(given))) {
            Some(common) => both = common,
            None => return Ok(None),
        }
    }
    let element = element_of(&both).cloned().unwrap_or(DataType::Null);
    for given in given {
        let is_whole = is_whole(given) && unify(given, &both).is_some();
        args.push(if is_whole {
            both.clone()
        } else {
            element.clone()
        });
    }
    Typed::new(args, both)
}

/// `ARRAY[ARRAY[1]] || ARRAY[2]`: the second is an element of the first, or the other way round.
fn mixed(given: &[DataType]) -> Result<Option<Typed>> {
    let [a, b] = given else {
        return Ok(None);
    };
    let (a, b) = (normal(a), normal(b));
    if let Some(both) = unify(&a, &list_of(b.clone())) {
        let element = element_of(&both).cloned().unwrap_or(DataType::Null);
        return Typed::new([both.clone(), element], both);
    }
    match unify(&list_of(a), &b) {
        Some(both) => {
            let element = element_of(&both).cloned().unwrap_or(DataType::Null);
            Typed::new([element, both.clone()], both)
        }
        None => Ok(None),
    }
}

/// Null as soon as an array is null; a value that is null is an element like any other.
fn concat(call: &Call) -> Result<ArrayRef> {
    let whole: Vec<_> = call
        .args
        .iter()
        .map(|arg| (arg.data_type() == &call.return_type).then(|| arg.as_list::<i32>()))
        .collect();
    let values: Vec<&dyn Array> = call
        .args
        .iter()
        .zip(&whole)
        .map(|(arg, list)| list.map_or(arg.as_ref(), |list| list.values().as_ref()))
        .collect();
    let all = concat_arrays(&values)?;
    let mut result = Lists::default();
    for row in 0..call.rows {
        if whole.iter().flatten().any(|list| list.is_null(row)) {
            result.null();
            continue;
        }
        let mut taken = Vec::new();
        let mut first = 0;
        for (list, values) in whole.iter().zip(&values) {
            match list {
                Some(list) => taken.extend(places(list, row).map(|place| first + place)),
                None => taken.push(first + row),
            }
            first += values.len();
        }
        result.of(taken);
    }
    result.finish(&all)
}

fn flatten_types(given: &[DataType]) -> Result<Option<Typed>> {
    let [list] = given else { return Ok(None) };
    match array(list) {
        DataType::List(inner) => match inner.data_type() {
            DataType::List(_) => Typed::new([array(list)], inner.data_type().clone()),
            DataType::Null => {
                let inner = list_of(DataType::Null);
                Typed::new([list_of(inner.clone())], inner)
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

fn flatten(call: &Call) -> Result<ArrayRef> {
    let outer = list_arg(call, 0);
    let inner = outer.values().as_list::<i32>();
    let mut result = Lists::default();
    for row in 0..call.rows {
        if outer.is_null(row) {
            result.null();
        } else {
            result.of(places(outer, row).flat_map(|place| places(inner, place)));
        }
    }
    result.finish(inner.values())
}

/// `concat` and `reverse` of arrays, and what the functions of these names do with text.
pub(super) fn overload(functions: &mut Vec<Arc<ScalarUDF>>) {
    const OF_ARRAYS: [Nested; 2] = [
        Nested::new(
            "concat",
            "concat(array(E), array(E), …)",
            concat_types,
            concat,
        ),
        Nested::new("reverse", "reverse(array(E))", same, reverse),
    ];
    for nested in OF_ARRAYS {
        let known = functions
            .iter_mut()
            .find(|function| function.name() == nested.name);
        match known {
            Some(function) => *function = nested.or(Arc::clone(function)),
            None => functions.push(nested.or(text_reverse())),
        }
    }
}

/// `reverse` of text.
fn text_reverse() -> Arc<ScalarUDF> {
    Spec::new("reverse", &[Kind::Text], varchar, |call| {
        let texts = call.text(0).iter();
        let reversed = texts.map(|text| text.map(|text| text.chars().rev().collect::<String>()));
        Ok(Arc::new(reversed.collect::<StringArray>()))
    })
    .build()
}

fn reverse(call: &Call) -> Result<ArrayRef> {
    each(call, |places| places.rev().collect())
}

/// Chooses and orders the elements of each array.
fn each(call: &Call, choose: impl Fn(std::ops::Range<usize>) -> Vec<usize>) -> Result<ArrayRef> {
    let list = list_arg(call, 0);
    let mut result = Lists::default();
    for row in 0..call.rows {
        if list.is_null(row) {
            result.null();
        } else {
            result.of(choose(places(list, row)));
        }
    }
    result.finish(list.values())
}

fn repeat_types(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [element, count] if count.is_integer() || *count == DataType::Null => {
            let element = normal(element);
            Typed::new([element.clone(), DataType::Int64], list_of(element))
        }
        _ => Ok(None),
    }
}

/// Longest array that `repeat` makes, as in Trino.
const LONGEST_REPEAT: i64 = 10_000;

fn repeat(call: &Call) -> Result<ArrayRef> {
    let counts = call.args[1].as_primitive::<Int64Type>();
    let mut result = Lists::default();
    for row in 0..call.rows {
        if counts.is_null(row) {
            result.null();
            continue;
        }
        let count = counts.value(row);
        if count > LONGEST_REPEAT {
            return exec_err!(
                "count argument of repeat function must be less than or equal to {LONGEST_REPEAT}"
            );
        }
        let Ok(count) = usize::try_from(count) else {
            return exec_err!(
                "count argument of repeat function must be greater than or equal to 0"
            );
        };
        result.of(std::iter::repeat_n(row, count));
    }
    result.finish(&call.args[0])
}

fn same(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [list] if is_array(list) => Typed::new([array(list)], array(list)),
        _ => Ok(None),
    }
}

fn shuffle(call: &Call) -> Result<ArrayRef> {
    let mut random = random::Random::new();
    let list = list_arg(call, 0);
    let mut result = Lists::default();
    for row in 0..call.rows {
        if list.is_null(row) {
            result.null();
            continue;
        }
        let mut order: Vec<_> = places(list, row).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last + 1));
        }
        result.of(order);
    }
    result.finish(list.values())
}

fn with_number(given: &[DataType]) -> Option<DataType> {
    match given {
        [list, number] if is_array(list) => {
            (number.is_integer() || *number == DataType::Null).then(|| array(list))
        }
        _ => None,
    }
}

fn same_and_number(given: &[DataType]) -> Result<Option<Typed>> {
    match with_number(given) {
        Some(list) => Typed::new([list.clone(), DataType::Int64], list),
        None => Ok(None),
    }
}

fn groups(given: &[DataType]) -> Result<Option<Typed>> {
    match with_number(given) {
        Some(list) => Typed::new([list.clone(), DataType::Int64], list_of(list)),
        None => Ok(None),
    }
}

fn trim(call: &Call) -> Result<ArrayRef> {
    let (list, numbers) = (list_arg(call, 0), call.args[1].as_primitive::<Int64Type>());
    let mut result = Lists::default();
    for row in 0..call.rows {
        if list.is_null(row) || numbers.is_null(row) {
            result.null();
            continue;
        }
        let (all, cut) = (places(list, row), numbers.value(row));
        let Ok(cut) = usize::try_from(cut) else {
            return exec_err!("size must not be negative: {cut}");
        };
        if cut > all.len() {
            return exec_err!(
                "size must not exceed array cardinality {}: {cut}",
                all.len()
            );
        }
        result.of(all.start..all.end - cut);
    }
    result.finish(list.values())
}

/// Arrays of arrays: `of` gives the groups of one array's elements for a number.
fn grouped(
    call: &Call,
    of: impl Fn(std::ops::Range<usize>, i64) -> Result<Vec<Vec<usize>>>,
) -> Result<ArrayRef> {
    let (source, numbers) = (list_arg(call, 0), call.args[1].as_primitive::<Int64Type>());
    let mut inner = Lists::default();
    let (mut sizes, mut valid) = (Vec::with_capacity(call.rows), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let is_there = source.is_valid(row) && numbers.is_valid(row);
        let groups = if is_there {
            of(places(source, row), numbers.value(row))?
        } else {
            vec![]
        };
        sizes.push(groups.len());
        valid.push(is_there);
        groups.into_iter().for_each(|group| inner.of(group));
    }
    list(inner.finish(source.values())?, sizes, Some(valid))
}

fn ngrams(call: &Call) -> Result<ArrayRef> {
    grouped(call, |all, n| {
        let Some(n) = usize::try_from(n).ok().filter(|n| *n > 0) else {
            return exec_err!("N must be positive");
        };
        if n >= all.len() {
            return Ok(vec![all.collect()]);
        }
        let starts = all.start..=all.end - n;
        Ok(starts.map(|start| (start..start + n).collect()).collect())
    })
}

/// Most elements of all the groups of one array, and of one group, as in Trino.
const MOST_COMBINED: usize = 100_000;
const LARGEST_COMBINATION: i64 = 5;

fn combinations(call: &Call) -> Result<ArrayRef> {
    grouped(call, |all, n| {
        if n > LARGEST_COMBINATION {
            return exec_err!("combination size must not exceed {LARGEST_COMBINATION}: {n}");
        }
        let Ok(n) = usize::try_from(n) else {
            return exec_err!("combination size must not be negative: {n}");
        };
        if n > all.len() {
            return Ok(vec![]);
        }
        let mut count: u128 = 1;
        for k in 0..n {
            count = count * (all.len() - k) as u128 / (k as u128 + 1);
        }
        if count * n as u128 > MOST_COMBINED as u128 {
            return exec_err!("combinations exceed max size");
        }
        // Trino's order: the earliest positions move first.
        let mut places: Vec<usize> = (0..n).collect();
        let mut result = Vec::new();
        loop {
            result.push(places.iter().map(|place| all.start + place).collect());
            let movable = (0..n).find(|&at| {
                let limit = places.get(at + 1).copied().unwrap_or(all.len());
                places[at] + 1 < limit
            });
            let Some(at) = movable else { break };
            places[at] += 1;
            for (index, place) in places.iter_mut().enumerate().take(at) {
                *place = index;
            }
        }
        Ok(result)
    })
}

fn zip_types(given: &[DataType]) -> Result<Option<Typed>> {
    if given.len() < 2 || !given.iter().all(is_array) {
        return Ok(None);
    }
    let args: Vec<_> = given.iter().map(array).collect();
    let fields: Fields = args
        .iter()
        .enumerate()
        .map(|(index, list)| {
            let element = element_of(list).cloned().unwrap_or(DataType::Null);
            Field::new(format!("c{index}"), element, true)
        })
        .collect();
    Typed::new(args, list_of(DataType::Struct(fields)))
}

fn zip(call: &Call) -> Result<ArrayRef> {
    let lists: Vec<_> = (0..call.args.len())
        .map(|index| list_arg(call, index))
        .collect();
    let mut taken: Vec<Vec<Option<u64>>> = vec![Vec::new(); lists.len()];
    let (mut sizes, mut valid) = (Vec::with_capacity(call.rows), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let is_valid = lists.iter().all(|list| list.is_valid(row));
        valid.push(is_valid);
        let longest = lists
            .iter()
            .map(|list| places(list, row).len())
            .max()
            .unwrap_or(0);
        let longest = if is_valid { longest } else { 0 };
        sizes.push(longest);
        for (list, taken) in lists.iter().zip(&mut taken) {
            let here = places(list, row);
            taken.extend((0..longest).map(|n| (n < here.len()).then(|| (here.start + n) as u64)));
        }
    }
    let columns = lists
        .iter()
        .zip(taken)
        .map(|(list, taken)| Ok(take(list.values(), &UInt64Array::from(taken), None)?))
        .collect::<Result<Vec<_>>>()?;
    let fields: Fields = columns
        .iter()
        .enumerate()
        .map(|(index, column)| Field::new(format!("c{index}"), column.data_type().clone(), true))
        .collect();
    list(rows(&fields, columns)?, sizes, Some(valid))
}

fn element(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [list] if is_array(list) => {
            let element = element_of(&array(list)).cloned().unwrap_or(DataType::Null);
            Typed::new([array(list)], element)
        }
        _ => Ok(None),
    }
}

fn one_of(call: &Call, choose: impl Fn(std::ops::Range<usize>) -> usize) -> Result<ArrayRef> {
    let list = list_arg(call, 0);
    let taken: UInt64Array = (0..call.rows)
        .map(|row| {
            let all = places(list, row);
            (!all.is_empty()).then(|| choose(all) as u64)
        })
        .collect();
    Ok(take(list.values(), &taken, None)?)
}
