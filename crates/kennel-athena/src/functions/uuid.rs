//! UUIDs: their text, and Trino's function that makes one.
//!
//! Source: Trino manual, "UUID functions" and "Data types".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray},
        datatypes::DataType,
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};
use uuid::Uuid;

use super::{
    ip::fixed,
    scalar::{Call, Spec},
};
use crate::types::UUID;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let uuid = Spec::new(
        "uuid",
        &[],
        |_: &[DataType]| Ok(UUID),
        |call: &Call| fixed(call.rows, &UUID, |_| Ok(Some(stored(Uuid::new_v4())))),
    );
    vec![uuid.volatile().build()]
}

/// The bytes of the column: see [`UUID`].
fn stored(uuid: Uuid) -> Vec<u8> {
    let mut bytes = uuid.into_bytes().to_vec();
    bytes.extend([0, 0]);
    bytes
}

/// Texts as UUIDs; one that is none is an error, or null where `safe`.
pub(super) fn from_text(texts: &ArrayRef, safe: bool) -> Result<ArrayRef> {
    let given = texts.as_string::<i32>();
    fixed(texts.len(), &UUID, |row| {
        if given.is_null(row) {
            return Ok(None);
        }
        let text = given.value(row);
        // Only the form with four hyphens.
        match Uuid::try_parse(text) {
            Ok(uuid) if text.len() == 36 => Ok(Some(stored(uuid))),
            _ if safe => Ok(None),
            _ => exec_err!("Cannot cast value to UUID: {text}"),
        }
    })
}

/// The text of a UUID.
pub(super) fn to_text(array: &ArrayRef, row: usize) -> String {
    let bytes = array.as_fixed_size_binary().value(row);
    Uuid::from_slice(bytes.get(..16).unwrap_or_default())
        .unwrap_or_default()
        .to_string()
}

/// Sixteen bytes as UUIDs.
pub(super) fn from_bytes(array: &ArrayRef, safe: bool) -> Result<ArrayRef> {
    let given = array.as_binary::<i32>();
    fixed(array.len(), &UUID, |row| {
        if given.is_null(row) {
            return Ok(None);
        }
        match Uuid::from_slice(given.value(row)) {
            Ok(uuid) => Ok(Some(stored(uuid))),
            Err(_) if safe => Ok(None),
            Err(_) => exec_err!("Invalid UUID binary length: {}", given.value(row).len()),
        }
    })
}
