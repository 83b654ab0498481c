//! The result as Athena shows it: column names without the marks that made them unique, and addresses and
//! UUIDs as text.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::RecordBatch,
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
    execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::StreamExt;

use crate::{functions, rewrite::DUPLICATE_MARK, types};

/// The schema of a result with the names that Athena gives; two columns may have the same.
///
/// The very same schema when no name and no type changes.
pub fn schema(schema: &SchemaRef) -> SchemaRef {
    let changes = |field: &Field| {
        field.name().contains(DUPLICATE_MARK) || shown(field.data_type()) != *field.data_type()
    };
    if !schema.fields().iter().any(|field| changes(field)) {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().map(|field| {
        let name = field
            .name()
            .split(DUPLICATE_MARK)
            .next()
            .unwrap_or_default();
        let field_type = shown(field.data_type());
        Arc::new(
            Field::clone(field)
                .with_name(name)
                .with_data_type(field_type),
        )
    });
    Arc::new(Schema::new_with_metadata(
        fields.collect::<Vec<_>>(),
        schema.metadata().clone(),
    ))
}

/// The type with which values leave: text for those that only the dialect knows.
fn shown(data_type: &DataType) -> DataType {
    let inner = |field: &Field| Arc::new(field.clone().with_data_type(shown(field.data_type())));
    match data_type {
        known if [types::ADDRESS, types::PREFIX, types::UUID].contains(known) => DataType::Utf8,
        fine if types::fine::Fine::of(fine).is_some() => DataType::Utf8,
        DataType::List(element) => DataType::List(inner(element)),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| inner(field)).collect())
        }
        other => other.clone(),
    }
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
        let columns = batch.columns().iter().zip(batches_schema.fields());
        let columns = columns
            .map(|(column, field)| functions::cast_array(column, field.data_type()))
            .collect::<datafusion::error::Result<Vec<_>>>()?;
        let options = datafusion::arrow::array::RecordBatchOptions::new()
            .with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&batches_schema),
            columns,
            &options,
        )?)
    });
    Box::pin(RecordBatchStreamAdapter::new(renamed, batches))
}
