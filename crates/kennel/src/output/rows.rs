//! Rows that the program itself has (`kennel list`, `kennel status`) as a record batch, for the formats that take one.

use std::sync::Arc;

use datafusion::arrow::{
    array::{
        ArrayRef, Int64Array, ListBuilder, StringArray, StringBuilder, TimestampMicrosecondArray,
    },
    record_batch::RecordBatch,
};

use chrono::{DateTime, Utc};

/// Columns of equal length, by name.
#[derive(Default)]
pub(crate) struct Rows {
    columns: Vec<(&'static str, ArrayRef)>,
}

impl Rows {
    /// Adds a column of text.
    pub(crate) fn text<'a>(
        mut self,
        name: &'static str,
        values: impl Iterator<Item = Option<&'a str>>,
    ) -> Self {
        let array = values.collect::<StringArray>();
        self.columns.push((name, Arc::new(array)));
        self
    }

    /// Adds a column of lists of texts.
    pub(crate) fn texts(
        mut self,
        name: &'static str,
        values: impl Iterator<Item = Vec<String>>,
    ) -> Self {
        let mut builder = ListBuilder::new(StringBuilder::new());
        for items in values {
            items
                .iter()
                .for_each(|item| builder.values().append_value(item));
            builder.append(true);
        }
        self.columns.push((name, Arc::new(builder.finish())));
        self
    }

    /// Adds a column of counts.
    pub(crate) fn count(
        mut self,
        name: &'static str,
        values: impl Iterator<Item = Option<u64>>,
    ) -> Self {
        let values =
            values.map(|value| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX)));
        self.columns
            .push((name, Arc::new(values.collect::<Int64Array>())));
        self
    }

    /// Adds a column of instants.
    pub(crate) fn instant(
        mut self,
        name: &'static str,
        values: impl Iterator<Item = Option<DateTime<Utc>>>,
    ) -> Self {
        let micros = values.map(|at| at.map(|at| at.timestamp_micros()));
        let array = micros.collect::<TimestampMicrosecondArray>();
        self.columns
            .push((name, Arc::new(array.with_timezone("UTC"))));
        self
    }

    /// All of them.
    pub(crate) fn batch(self) -> RecordBatch {
        RecordBatch::try_from_iter(self.columns).expect("each column is made from the same rows")
    }
}
