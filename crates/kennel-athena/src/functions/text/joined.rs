//! `concat`, `concat_ws` and `reverse`: of texts, bytes and arrays.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BinaryBuilder, ListArray, StringArray, StringBuilder,
            UInt64Array,
        },
        buffer::OffsetBuffer,
        compute::{cast, concat as concat_arrays, take},
        datatypes::DataType,
    },
    common::{exec_err, plan_err},
    error::Result,
    logical_expr::{ScalarUDF, type_coercion::binary::type_union_coercion},
};

use crate::{
    functions::{
        cast::convert,
        scalar::{Call, Kind, Spec, same, varchar},
        type_name,
    },
    types::{is_binary, is_text},
};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let mut all: Vec<_> = [
        Spec::new(
            "concat_ws",
            &[Kind::Text, Kind::Any],
            concat_ws_type,
            concat_ws,
        )
        .variadic(),
        Spec::new("reverse", &[Kind::Any], reverse_type, reverse),
    ]
    .map(Spec::build)
    .into();
    all.push(concat_function());
    all
}

pub(super) fn concat_function() -> Arc<ScalarUDF> {
    Spec::new("concat", &[Kind::Any], concat_type, concat)
        .variadic()
        .build()
}

fn concat_type(given: &[DataType]) -> Result<DataType> {
    if given.len() < 2 {
        return plan_err!("There must be two or more concatenation arguments");
    }
    let lists = given
        .iter()
        .filter(|given| matches!(given, DataType::List(_)));
    if let Some(list) = lists.clone().next() {
        let mut common = list.clone();
        for given in given.iter().filter(|given| **given != DataType::Null) {
            let joined = match given {
                DataType::List(_) => type_union_coercion(&common, given),
                _ => None,
            };
            let Some(joined) = joined else {
                return plan_err!(
                    "concat: {} and {} cannot be joined",
                    type_name(&common),
                    type_name(given)
                );
            };
            common = joined;
        }
        return Ok(common);
    }
    let present = || given.iter().filter(|given| **given != DataType::Null);
    if present().count() > 0 && present().all(is_binary) {
        return Ok(DataType::Binary);
    }
    match present().find(|given| !is_text(given)) {
        None => Ok(DataType::Utf8),
        Some(other) => plan_err!(
            "Unexpected parameters for function concat: {} is no varchar; CAST(… AS varchar) makes it one",
            type_name(other)
        ),
    }
}

/// Texts, bytes or arrays in a row; null as soon as one is null.
fn concat(call: &Call) -> Result<ArrayRef> {
    match &call.return_type {
        DataType::List(_) => concat_lists(call),
        DataType::Binary => {
            let columns = columns(call, &DataType::Binary)?;
            let bytes: Vec<_> = columns
                .iter()
                .map(|array| array.as_binary::<i32>())
                .collect();
            let mut result = BinaryBuilder::with_capacity(call.rows, 0);
            for row in 0..call.rows {
                if bytes.iter().any(|bytes| bytes.is_null(row)) {
                    result.append_null();
                    continue;
                }
                let parts: Vec<&[u8]> = bytes.iter().map(|bytes| bytes.value(row)).collect();
                result.append_value(parts.concat());
            }
            Ok(Arc::new(result.finish()))
        }
        _ => {
            let columns = columns(call, &DataType::Utf8)?;
            let texts: Vec<_> = columns
                .iter()
                .map(|array| array.as_string::<i32>())
                .collect();
            let mut result = StringBuilder::with_capacity(call.rows, 0);
            for row in 0..call.rows {
                if texts.iter().any(|text| text.is_null(row)) {
                    result.append_null();
                    continue;
                }
                let joined: String = texts.iter().map(|text| text.value(row)).collect();
                result.append_value(joined);
            }
            Ok(Arc::new(result.finish()))
        }
    }
}

fn columns(call: &Call, data_type: &DataType) -> Result<Vec<ArrayRef>> {
    let columns = call.args.iter().map(|array| Ok(cast(array, data_type)?));
    columns.collect()
}

fn concat_lists(call: &Call) -> Result<ArrayRef> {
    let columns = call
        .args
        .iter()
        .map(|array| convert(array, &call.return_type, false))
        .collect::<Result<Vec<_>>>()?;
    let lists: Vec<&ListArray> = columns.iter().map(|array| array.as_list::<i32>()).collect();
    let values: Vec<&dyn Array> = lists.iter().map(|list| list.values().as_ref()).collect();
    let all = concat_arrays(&values)?;
    let mut taken: Vec<u64> = Vec::with_capacity(all.len());
    let (mut sizes, mut valid) = (Vec::with_capacity(call.rows), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let before = taken.len();
        let is_valid = lists.iter().all(|list| list.is_valid(row));
        let mut first = 0_u64;
        for list in &lists {
            if is_valid {
                let offsets = list.value_offsets();
                taken.extend((offsets[row]..offsets[row + 1]).map(|at| first + at as u64));
            }
            first += list.values().len() as u64;
        }
        sizes.push(taken.len() - before);
        valid.push(is_valid);
    }
    let DataType::List(field) = &call.return_type else {
        return exec_err!("concat of arrays must return an array");
    };
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(field),
        OffsetBuffer::from_lengths(sizes),
        take(&all, &UInt64Array::from(taken), None)?,
        Some(valid.into()),
    )?))
}

fn concat_ws_type(given: &[DataType]) -> Result<DataType> {
    let is_array = |given: &DataType| match given {
        DataType::List(element) => {
            is_text(element.data_type()) || *element.data_type() == DataType::Null
        }
        _ => false,
    };
    match &given[1.min(given.len())..] {
        [] => plan_err!("There must be two or more arguments to concat_ws"),
        [only] if is_array(only) => varchar(given),
        parts => match parts
            .iter()
            .find(|part| !is_text(part) && **part != DataType::Null)
        {
            None => varchar(given),
            Some(other) => plan_err!(
                "Unexpected parameters for function concat_ws: {} is no varchar",
                type_name(other)
            ),
        },
    }
}

/// Texts with a separator between them; nulls are left out, a null separator gives null.
fn concat_ws(call: &Call) -> Result<ArrayRef> {
    let separators = call.text(0);
    let mut result = StringBuilder::with_capacity(call.rows, 0);
    let mut append = |row: usize, parts: Option<Vec<&str>>| {
        let joined = parts.filter(|_| separators.is_valid(row));
        result.append_option(joined.map(|parts| parts.join(separators.value(row))));
    };
    if let DataType::List(_) = call.args[1].data_type() {
        let lists = call.args[1].as_list::<i32>();
        let values = cast(lists.values(), &DataType::Utf8)?;
        let values: &StringArray = values.as_string::<i32>();
        let offsets = lists.value_offsets();
        for row in 0..call.rows {
            let range = offsets[row] as usize..offsets[row + 1] as usize;
            let parts = range.filter(|at| values.is_valid(*at));
            let parts = parts.map(|at| values.value(at)).collect();
            append(row, lists.is_valid(row).then_some(parts));
        }
    } else {
        let columns = columns(call, &DataType::Utf8)?;
        let texts: Vec<_> = columns[1..]
            .iter()
            .map(|array| array.as_string::<i32>())
            .collect();
        for row in 0..call.rows {
            let parts = texts.iter().filter(|texts| texts.is_valid(row));
            append(row, Some(parts.map(|texts| texts.value(row)).collect()));
        }
    }
    Ok(Arc::new(result.finish()))
}

fn reverse_type(given: &[DataType]) -> Result<DataType> {
    match given {
        [DataType::List(_)] => same(given),
        [given] if is_binary(given) => Ok(DataType::Binary),
        [given] if is_text(given) || *given == DataType::Null => Ok(DataType::Utf8),
        [given] => plan_err!(
            "Unexpected parameters ({}) for function reverse",
            type_name(given)
        ),
        _ => plan_err!("reverse takes one argument"),
    }
}

fn reverse(call: &Call) -> Result<ArrayRef> {
    let array = &call.args[0];
    match &call.return_type {
        DataType::List(field) => {
            let lists = array.as_list::<i32>();
            let offsets = lists.value_offsets();
            let mut taken = Vec::with_capacity(lists.values().len());
            let mut sizes = Vec::with_capacity(call.rows);
            for row in 0..call.rows {
                let range = offsets[row] as u64..offsets[row + 1] as u64;
                sizes.push((range.end - range.start) as usize);
                taken.extend(range.rev());
            }
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(field),
                OffsetBuffer::from_lengths(sizes),
                take(lists.values(), &UInt64Array::from(taken), None)?,
                lists.nulls().cloned(),
            )?))
        }
        DataType::Binary => {
            let array = cast(array, &DataType::Binary)?;
            let mut result = BinaryBuilder::with_capacity(call.rows, 0);
            for bytes in array.as_binary::<i32>() {
                result.append_option(
                    bytes.map(|bytes| bytes.iter().rev().copied().collect::<Vec<u8>>()),
                );
            }
            Ok(Arc::new(result.finish()))
        }
        _ => {
            let array = cast(array, &DataType::Utf8)?;
            let mut result = StringBuilder::with_capacity(call.rows, 0);
            for text in array.as_string::<i32>() {
                result.append_option(text.map(|text| text.chars().rev().collect::<String>()));
            }
            Ok(Arc::new(result.finish()))
        }
    }
}
