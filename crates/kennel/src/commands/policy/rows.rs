//! Rows of our own making through the writers of [`crate::output`].

use std::{path::Path, sync::Arc};

use chrono::{DateTime, Utc};
use datafusion::arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, TimeUnit},
};

use crate::{
    context::Context,
    error::CliError,
    output::{About, Format, results::Results},
};

/// One column: its name and its values.
pub(super) enum Column {
    /// Text, or nothing.
    Text(&'static str, Vec<Option<String>>),
    /// Counts.
    Count(&'static str, Vec<u64>),
    /// UTC instants.
    Time(&'static str, Vec<Option<DateTime<Utc>>>),
}

impl Column {
    fn arrow(self) -> (Field, ArrayRef) {
        match self {
            Self::Text(name, values) => (
                Field::new(name, DataType::Utf8, true),
                Arc::new(StringArray::from(values)),
            ),
            Self::Count(name, values) => {
                let values = values
                    .into_iter()
                    .map(|value| i64::try_from(value).unwrap_or(i64::MAX));
                (
                    Field::new(name, DataType::Int64, false),
                    Arc::new(Int64Array::from_iter_values(values)),
                )
            }
            Self::Time(name, values) => {
                let zone: Arc<str> = "UTC".into();
                let kind = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(&zone)));
                let values = values
                    .into_iter()
                    .map(|at| at.map(|at| at.timestamp_micros()));
                let array = TimestampMicrosecondArray::from_iter(values).with_timezone(zone);
                (Field::new(name, kind, true), Arc::new(array))
            }
        }
    }
}

/// Writes columns of equal length as one result.
pub(super) fn write(
    columns: Vec<Column>,
    format: Format,
    path: Option<&Path>,
    name: &str,
    cx: &Context,
) -> Result<(), CliError> {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().map(Column::arrow).unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| CliError::new("the rows cannot be put together").cause(&error))?;
    let mut results = Results::open(path, format, &[name.to_owned()], &cx.printer)?;
    let about = About {
        name: name.to_owned(),
        ..About::default()
    };
    results.write_batch(&about, &batch)?;
    results.finish()
}
