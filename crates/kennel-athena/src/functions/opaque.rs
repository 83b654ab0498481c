//! Values of types that Arrow does not have, see [`types::opaque`]: in and out of the row around them.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StructArray},
        buffer::NullBuffer,
        datatypes::DataType,
    },
    common::internal_err,
    error::Result,
};

use crate::types;

/// Are these sketches, whose bytes may be stored and read again?
pub(super) fn is_sketch(data_type: &DataType) -> bool {
    matches!(
        types::opaque_name(data_type),
        Some(name) if !["bingtile", "color", "geometry", "sphericalgeography"].contains(&name)
    )
}

/// What is held: null where the value is null.
pub(super) fn held(array: &ArrayRef) -> ArrayRef {
    let row = array.as_struct();
    let held = row.column(0);
    let Some(nulls) = row.nulls() else {
        return Arc::clone(held);
    };
    let both = NullBuffer::union(Some(nulls), held.nulls());
    let data = held.to_data().into_builder().nulls(both);
    // The same buffers under other nulls are as valid as they were.
    match data.build() {
        Ok(data) => datafusion::arrow::array::make_array(data),
        Err(_) => Arc::clone(held),
    }
}

/// Values of an opaque type from what they hold.
pub(super) fn wrap(held: ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let DataType::Struct(fields) = to else {
        return internal_err!("{to} is no opaque type");
    };
    let nulls = held.nulls().cloned();
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        vec![held],
        nulls,
    )?))
}
