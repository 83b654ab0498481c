//! Trino's functions of maps, where DataFusion has none or another meaning.
//!
//! DataFusion's own `m['k']` fails for a map inside a struct that is read from Parquet; this one works.
//!
//! Source: Trino manual, "Map functions and operators".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, UInt64Array, make_comparator},
        compute::{SortOptions, cast, take},
        datatypes::DataType,
    },
    common::{exec_err, internal_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    scalar::{Call, Kind, Spec},
    type_name,
};

/// `m[k]`.
pub(super) fn subscript() -> Arc<ScalarUDF> {
    Spec::new(
        "__map_subscript",
        &[Kind::Map, Kind::Any],
        value_type,
        |call| get(call, true),
    )
    .build()
}

/// The type of a map's values, the key's type checked.
pub(super) fn value_type(given: &[DataType]) -> Result<DataType> {
    let [DataType::Map(entries, _), wanted] = given else {
        return internal_err!("a map and a key were expected");
    };
    let DataType::Struct(entry) = entries.data_type() else {
        return internal_err!("a map without entries");
    };
    let key = entry[0].data_type();
    let is_text = crate::types::is_text;
    let fits = key == wanted
        || *wanted == DataType::Null
        || is_text(key) && is_text(wanted)
        || key.is_numeric() && wanted.is_numeric();
    if !fits {
        return plan_err!(
            "the keys of {} are no {}",
            type_name(&given[0]),
            type_name(wanted)
        );
    }
    Ok(entry[1].data_type().clone())
}

/// The value under a key; without one, null, or an error where `strict`.
pub(super) fn get(call: &Call, strict: bool) -> Result<ArrayRef> {
    let map = call.args[0].as_map();
    let wanted = cast(&call.args[1], map.keys().data_type())?;
    let compare = make_comparator(map.keys().as_ref(), wanted.as_ref(), SortOptions::default())?;
    let mut taken = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if map.is_null(row) || super::nested::is_null(&wanted, row) {
            taken.push(None);
            continue;
        }
        let (begin, end) = (
            map.value_offsets()[row] as usize,
            map.value_offsets()[row + 1] as usize,
        );
        let place = (begin..end).find(|&at| compare(at, row).is_eq());
        if strict && place.is_none() {
            let key = wanted.slice(row, 1);
            let key = super::cast::convert(&key, &DataType::Utf8, true)
                .map(|text| text.as_string::<i32>().value(0).to_owned());
            let key = match key {
                Ok(text) => text,
                // What has parts is shown as JSON.
                Err(_) => {
                    let shown = super::json::to_json(&wanted.slice(row, 1))?;
                    shown.into_iter().flatten().collect()
                }
            };
            return exec_err!("Key not present in map: {key}");
        }
        taken.push(place.map(|place| place as u64));
    }
    Ok(take(map.values(), &UInt64Array::from(taken), None)?)
}
