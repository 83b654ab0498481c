//! The order of a trail's rows, and what makes two rows the same event.
//!
//! Row groups, and rows unless those of a caller are brought together, are ordered by (`event_time`, `record_id`, `account_id`, `object_key`, `record_index`), nulls
//! first. The first three are the event's identity: CloudTrail delivers the same event to several
//! trails bit by bit, and to several accounts under the same shared id with ids of their own
//! (reference: AWS CloudTrail user guide, "CloudTrail record contents", `eventID`, `sharedEventID`).
//! The last two name the place where the row was delivered, which makes the order total.

use std::{cmp::Ordering, sync::Arc};

use datafusion::arrow::{
    array::{
        Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray,
        new_null_array,
    },
    datatypes::{DataType, Schema, TimeUnit, TimestampMicrosecondType},
    row::{Row, RowConverter, Rows, SortField},
};

use super::TrailFileError;

pub(super) const EVENT_TIME: &str = "event_time";
pub(super) const IS_DUPLICATE: &str = "is_duplicate";
/// The event's identity, in the order of the table files.
pub(super) const IDENTITY: [&str; 3] = [EVENT_TIME, "record_id", "account_id"];
/// Where it was delivered: the rest of the order.
pub(super) const PLACE: [&str; 2] = ["object_key", "record_index"];

/// Whose rows a row group may bring together.
const CALLER: [&str; 3] = ["account_id", "principal_arn", "principal_name"];

/// Turns the key columns of batches into rows of bytes that compare as the key does.
#[derive(Debug)]
pub(super) struct KeyEncoder {
    identity: RowConverter,
    place: RowConverter,
}

/// The keys of one batch.
#[derive(Debug)]
pub(super) struct Keys {
    identity: Rows,
    /// `None` for reference files, of which only the identity is read.
    place: Option<Rows>,
    times: TimestampMicrosecondArray,
    record_ids: StringArray,
}

impl KeyEncoder {
    pub(super) fn try_new() -> Result<Self, TrailFileError> {
        let converter = |names: &[&str]| {
            let fields = names.iter().map(|name| SortField::new(key_type(name)));
            RowConverter::new(fields.collect()).map_err(TrailFileError::Sort)
        };
        Ok(Self {
            identity: converter(&IDENTITY)?,
            place: converter(&PLACE)?,
        })
    }

    /// Encodes the whole key.
    pub(super) fn encode(&self, batch: &RecordBatch) -> Result<Keys, TrailFileError> {
        let mut keys = self.encode_identity(batch)?;
        let place = columns(batch, &PLACE)?;
        keys.place = Some(
            self.place
                .convert_columns(&place)
                .map_err(TrailFileError::Sort)?,
        );
        Ok(keys)
    }

    /// Encodes the identity alone.
    pub(super) fn encode_identity(&self, batch: &RecordBatch) -> Result<Keys, TrailFileError> {
        let identity = columns(batch, &IDENTITY)?;
        Ok(Keys {
            times: identity[0]
                .as_primitive::<TimestampMicrosecondType>()
                .clone(),
            record_ids: identity[1].as_string::<i32>().clone(),
            identity: self
                .identity
                .convert_columns(&identity)
                .map_err(TrailFileError::Sort)?,
            place: None,
        })
    }
}

impl Keys {
    pub(super) fn identity(&self, row: usize) -> Row<'_> {
        self.identity.row(row)
    }

    /// Compares two rows by the whole key.
    pub(super) fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        self.identity(row)
            .cmp(&other.identity(other_row))
            .then_with(|| match (&self.place, &other.place) {
                (Some(place), Some(other)) => place.row(row).cmp(&other.row(other_row)),
                _ => Ordering::Equal,
            })
    }

    /// `event_time` in µs; `None` (which is less) when it is null.
    pub(super) fn time(&self, row: usize) -> Option<i64> {
        self.times.is_valid(row).then(|| self.times.value(row))
    }

    /// Whether the row can be told from others at all: without an id no row is another's duplicate.
    pub(super) fn has_id(&self, row: usize) -> bool {
        self.record_ids.is_valid(row) && !self.record_ids.value(row).is_empty()
    }
}

/// The rows of some batches (as batch and row) with those of an account's caller together, each caller's as they were.
pub(super) fn by_caller(batches: &[RecordBatch]) -> Result<Vec<(usize, usize)>, TrailFileError> {
    let fields = CALLER.map(|_| SortField::new(DataType::Utf8));
    let converter = RowConverter::new(fields.to_vec()).map_err(TrailFileError::Sort)?;
    let keys = batches.iter().map(|batch| {
        let null = || new_null_array(&DataType::Utf8, batch.num_rows());
        let texts = CALLER.map(|name| {
            let column = batch.column_by_name(name);
            let column = column.filter(|column| *column.data_type() == DataType::Utf8);
            column.map_or_else(null, Arc::clone)
        });
        converter.convert_columns(&texts)
    });
    let keys = keys
        .collect::<Result<Vec<_>, _>>()
        .map_err(TrailFileError::Sort)?;
    let rows = |(batch, keys): (usize, &Rows)| (0..keys.num_rows()).map(move |row| (batch, row));
    let mut order = keys.iter().enumerate().flat_map(rows).collect::<Vec<_>>();
    order.sort_by(|a, b| keys[a.0].row(a.1).cmp(&keys[b.0].row(b.1)));
    Ok(order)
}

/// Checks that the schema has the key's columns and the flag, with their types.
pub(super) fn check(schema: &Schema) -> Result<(), TrailFileError> {
    IDENTITY
        .iter()
        .chain(&PLACE)
        .chain(&[IS_DUPLICATE])
        .try_for_each(|name| {
            let found = schema.field_with_name(name).map(|field| field.data_type());
            match found {
                Ok(found) if has_key_type(name, found) => Ok(()),
                _ => Err(missing(name)),
            }
        })
}

fn columns(batch: &RecordBatch, names: &[&'static str]) -> Result<Vec<ArrayRef>, TrailFileError> {
    names
        .iter()
        .map(|name| {
            batch
                .column_by_name(name)
                .filter(|column| has_key_type(name, column.data_type()))
                .cloned()
                .ok_or_else(|| missing(name))
        })
        .collect()
}

pub(super) fn missing(name: &'static str) -> TrailFileError {
    TrailFileError::MissingColumn {
        column: name,
        expected: match name {
            EVENT_TIME => "timestamp (µs, UTC)",
            "record_index" => "Int64",
            IS_DUPLICATE => "Boolean",
            _ => "Utf8",
        },
    }
}

fn key_type(name: &str) -> DataType {
    match name {
        EVENT_TIME => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "record_index" => DataType::Int64,
        IS_DUPLICATE => DataType::Boolean,
        _ => DataType::Utf8,
    }
}

fn has_key_type(name: &str, found: &DataType) -> bool {
    *found == key_type(name)
}
