//! Which types JSON can be cast to, and which can be cast to JSON.
//!
//! Source: Trino manual, "JSON functions and operators", sections "Cast to JSON" and "Cast from JSON".

use datafusion::arrow::datatypes::DataType;

use crate::types::{self, fine::Fine, is_text};

/// Can JSON be cast to this type?
pub(in crate::functions) fn is_read(to: &DataType) -> bool {
    is_known(to, &|_| false)
}

/// Can this type be cast to JSON? Of times, dates and timestamps can; those with a zone, which Trino
/// refuses, are what tables here have where Athena's have none.
pub(in crate::functions) fn is_written(from: &DataType) -> bool {
    is_known(from, &|other| match Fine::of(other) {
        Some(fine) => !fine.is_time(),
        None => matches!(other, DataType::Date32 | DataType::Timestamp(..)),
    })
}

fn is_known(data_type: &DataType, is_other: &dyn Fn(&DataType) -> bool) -> bool {
    match data_type {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _) => is_known(element.data_type(), is_other),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) => {
                is_key(entry[0].data_type()) && is_known(entry[1].data_type(), is_other)
            }
            _ => false,
        },
        DataType::Struct(_) if types::opaque_name(data_type).is_some() => false,
        DataType::Struct(fields) if Fine::of(data_type).is_none() => fields
            .iter()
            .all(|field| is_known(field.data_type(), is_other)),
        other => is_key(other) || *other == types::JSON || is_other(other),
    }
}

/// Scalars, which alone are names of members.
fn is_key(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Null | DataType::Boolean)
        || data_type.is_numeric()
        || is_text(data_type)
}
