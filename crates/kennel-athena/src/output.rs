//! The result as Athena shows it: column names without the marks that made them unique.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::RecordBatch,
        datatypes::{Field, Schema, SchemaRef},
    },
    execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::StreamExt;

use crate::rewrite::DUPLICATE_MARK;

/// The schema of a result with the names that Athena gives; two columns may have the same.
///
/// The very same schema when no name changes.
pub fn schema(schema: &SchemaRef) -> SchemaRef {
    if !schema
        .fields()
        .iter()
        .any(|field| field.name().contains(DUPLICATE_MARK))
    {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().map(|field| {
        let name = field
            .name()
            .split(DUPLICATE_MARK)
            .next()
            .unwrap_or_default();
        Arc::new(Field::clone(field).with_name(name))
    });
    Arc::new(Schema::new_with_metadata(
        fields.collect::<Vec<_>>(),
        schema.metadata().clone(),
    ))
}

/// Renames the columns of a stream as [`schema`] does.
pub fn rename(stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let renamed = schema(&stream.schema());
    if Arc::ptr_eq(&renamed, &stream.schema()) {
        return stream;
    }
    let batches_schema = Arc::clone(&renamed);
    let batches = stream.map(move |batch| {
        let batch = batch?;
        let options = datafusion::arrow::array::RecordBatchOptions::new()
            .with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&batches_schema),
            batch.columns().to_vec(),
            &options,
        )?)
    });
    Box::pin(RecordBatchStreamAdapter::new(renamed, batches))
}
