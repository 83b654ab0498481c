//! Casts of arrays, maps and rows: part by part, rows by position.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray},
        datatypes::{DataType, Field},
    },
    common::{exec_err, internal_err},
    error::Result,
};

use super::{convert, type_name};
use crate::functions::nested::Keys;

pub(super) fn list(array: &ArrayRef, element: &Arc<Field>, safe: bool) -> Result<ArrayRef> {
    let list = array.as_list::<i32>();
    let values = convert(list.values(), element.data_type(), safe)?;
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(element),
        list.offsets().clone(),
        values,
        list.nulls().cloned(),
    )?))
}

pub(super) fn map(array: &ArrayRef, entries: &Arc<Field>, safe: bool) -> Result<ArrayRef> {
    let map = array.as_map();
    let DataType::Struct(entry) = entries.data_type() else {
        return internal_err!("a map without entries");
    };
    let keys = convert(map.keys(), entry[0].data_type(), false)?;
    if keys.data_type() != map.keys().data_type() {
        check_keys(map, &keys)?;
    }
    let values = convert(map.values(), entry[1].data_type(), safe)?;
    let columns = StructArray::try_new(entry.clone(), vec![keys, values], None)?;
    Ok(Arc::new(MapArray::try_new(
        Arc::clone(entries),
        map.offsets().clone(),
        columns,
        map.nulls().cloned(),
        false,
    )?))
}

/// Two keys of a map may be one of another type.
fn check_keys(map: &MapArray, keys: &ArrayRef) -> Result<()> {
    let found = Keys::new(keys.data_type())?;
    let rows = found.of(keys)?;
    for ends in map.value_offsets().windows(2) {
        let mut seen = std::collections::HashSet::new();
        if !(ends[0] as usize..ends[1] as usize).all(|at| seen.insert(rows.row(at))) {
            return exec_err!("duplicate keys");
        }
    }
    Ok(())
}

pub(super) fn row(array: &ArrayRef, given: usize, to: &DataType, safe: bool) -> Result<ArrayRef> {
    let DataType::Struct(fields) = to else {
        return internal_err!("a row without fields");
    };
    if given != fields.len() {
        return exec_err!(
            "Cannot cast {} to {}",
            type_name(array.data_type()),
            type_name(to)
        );
    }
    let row = array.as_struct();
    let columns = row
        .columns()
        .iter()
        .zip(fields)
        .map(|(column, field)| convert(column, field.data_type(), safe))
        .collect::<Result<Vec<_>>>()?;
    let nulls = row.nulls().cloned();
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        columns,
        nulls,
    )?))
}
