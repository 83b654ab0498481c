//! Columns of any delivered type into the type that table files keep.

use std::{cell::RefCell, sync::Arc};

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, TimestampMicrosecondArray},
    compute::cast,
    datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
};

use super::{
    IngestError, is_text, is_text_map,
    timestamp::{self, is_blank},
};
use crate::k9::tags_type;

/// Where the cells of a batch stand, and where those are counted that cannot be read.
pub(super) struct Cells<'a> {
    pub(super) column: &'a str,
    pub(super) first_row: usize,
    pub(super) problems: &'a RefCell<Problems>,
}

/// Values that could not be read: how many, and the first.
#[derive(Debug, Default)]
pub(super) struct Problems {
    count: u64,
    first: String,
}

impl Problems {
    pub(super) fn into_text(self) -> Option<String> {
        match self.count {
            0 => None,
            1 => Some(format!("1 value could not be read: {}", self.first)),
            count => Some(format!(
                "{count} values could not be read; the first: {}",
                self.first
            )),
        }
    }
}

impl Cells<'_> {
    pub(super) fn wrong_type(&self, array: &ArrayRef, expected: &'static str) -> IngestError {
        IngestError::WrongType {
            column: self.column.into(),
            found: array.data_type().clone(),
            expected,
        }
    }

    /// Counts a value that cannot be read.
    pub(super) fn unreadable(&self, row: usize, value: &str, expected: &'static str) {
        let mut problems = self.problems.borrow_mut();
        if problems.count == 0 {
            let value = value.chars().take(80).collect::<String>();
            let row = self.first_row + row + 1;
            problems.first = format!(
                "column `{}`, row {row}: `{value}` is not {expected}",
                self.column
            );
        }
        problems.count += 1;
    }

    /// Counts the values that a cast made null.
    fn lost(&self, before: &ArrayRef, after: &ArrayRef, value: &str, expected: &'static str) {
        if after.null_count() > before.null_count() {
            let lost = (0..before.len()).filter(|row| after.is_null(*row) && before.is_valid(*row));
            lost.for_each(|row| self.unreadable(row, value, expected));
        }
    }
}

/// Any text as `Utf8`, nothing else changed.
pub(super) fn as_text(array: &ArrayRef, cells: &Cells<'_>) -> Result<ArrayRef, IngestError> {
    cast(array, &DataType::Utf8).map_err(|_| cells.wrong_type(array, "text"))
}

/// Text; blank is null. Bytes become text, and the numbers that some tags hold.
pub(super) fn text(array: &ArrayRef, cells: &Cells<'_>) -> Result<ArrayRef, IngestError> {
    use DataType::{Binary, BinaryView, Boolean, LargeBinary, Null};
    let data_type = array.data_type();
    let is_plain = is_text(data_type)
        || matches!(data_type, Null | Binary | LargeBinary | BinaryView)
        || (cells.column.contains("_tag_") && (data_type.is_primitive() || *data_type == Boolean));
    if !is_plain {
        return Err(cells.wrong_type(array, "text"));
    }
    let texts = as_text(array, cells)?;
    cells.lost(array, &texts, "(bytes)", "UTF-8 text");
    Ok(blank_to_null(&texts))
}

fn blank_to_null(texts: &ArrayRef) -> ArrayRef {
    let strings = texts.as_string::<i32>();
    if strings.iter().flatten().all(|text| !text.trim().is_empty()) {
        return Arc::clone(texts);
    }
    Arc::new(
        strings
            .iter()
            .map(|text| text.filter(|text| !text.trim().is_empty()))
            .collect::<StringArray>(),
    )
}

/// An instant as `Timestamp(µs)` without zone, in UTC.
pub(super) fn timestamp(array: &ArrayRef, cells: &Cells<'_>) -> Result<ArrayRef, IngestError> {
    let micros = match array.data_type() {
        data_type if is_text(data_type) => return timestamp_from_text(array, cells),
        // The number is UTC whatever the zone says: the unit is converted, the zone dropped.
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Date32 | DataType::Date64 | DataType::Null => {
            DataType::Timestamp(TimeUnit::Microsecond, None)
        }
        _ => return Err(cells.wrong_type(array, "a timestamp")),
    };
    let converted = cast(array, &micros).map_err(IngestError::Convert)?;
    cells.lost(array, &converted, "(out of range)", "a timestamp");
    let converted = converted.as_primitive::<TimestampMicrosecondType>().clone();
    Ok(Arc::new(converted.with_timezone_opt(None::<Arc<str>>)))
}

fn timestamp_from_text(array: &ArrayRef, cells: &Cells<'_>) -> Result<ArrayRef, IngestError> {
    let texts = as_text(array, cells)?;
    let instants = texts
        .as_string::<i32>()
        .iter()
        .enumerate()
        .map(|(row, text)| {
            let text = text.filter(|text| !is_blank(text))?;
            let instant = timestamp::parse(text);
            if instant.is_none() {
                cells.unreadable(row, text, "a timestamp");
            }
            instant
        })
        .collect::<TimestampMicrosecondArray>();
    Ok(Arc::new(instants))
}

/// A boolean: itself, `True`/`False` in any case, or 0/1.
pub(super) fn boolean(array: &ArrayRef, cells: &Cells<'_>) -> Result<ArrayRef, IngestError> {
    let data_type = array.data_type();
    if matches!(data_type, DataType::Boolean | DataType::Null) {
        return cast(array, &DataType::Boolean).map_err(IngestError::Convert);
    }
    if !is_text(data_type) && !data_type.is_integer() {
        return Err(cells.wrong_type(array, "a boolean"));
    }
    let texts = as_text(array, cells)?;
    let values = texts
        .as_string::<i32>()
        .iter()
        .enumerate()
        .map(|(row, text)| match text.filter(|text| !is_blank(text))? {
            text if text.eq_ignore_ascii_case("true") || text == "1" => Some(true),
            text if text.eq_ignore_ascii_case("false") || text == "0" => Some(false),
            text => {
                cells.unreadable(row, text, "True or False");
                None
            }
        })
        .collect::<BooleanArray>();
    Ok(Arc::new(values))
}

/// The type in which an unknown column is kept: the plain one of its family.
pub(super) fn kept_type(found: &DataType) -> DataType {
    match found {
        data_type if is_text(data_type) => DataType::Utf8,
        data_type if is_text_map(data_type) => tags_type(),
        DataType::Timestamp(..) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Dictionary(_, values) => kept_type(values),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => DataType::Int64,
        DataType::Float16 | DataType::Float32 => DataType::Float64,
        DataType::Null => DataType::Utf8,
        other => other.clone(),
    }
}

/// A column that is not known: kept, in the plain type of its family; blank text is null.
pub(super) fn unknown(array: &ArrayRef, cells: &Cells<'_>) -> Result<ArrayRef, IngestError> {
    match kept_type(array.data_type()) {
        DataType::Utf8 => text(array, cells),
        DataType::Timestamp(..) => timestamp(array, cells),
        kept if is_text_map(&kept) => super::tags::tags(array, cells),
        kept => cast(array, &kept).map_err(IngestError::Convert),
    }
}
