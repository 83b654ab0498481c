//! From rows that one side has more often to rows that were added, changed or removed.
//!
//! The rows come sorted by key. Of one key, what only the earlier side has is paired with what only the later side
//! has, in their order: pairs are changes, what is left over was removed or added. Memory is bounded by the rows of one
//! key and one batch.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringBuilder, UInt32Array},
        compute::{concat_batches, kernels::cmp::distinct, partition, take},
        datatypes::{DataType, Field, Int64Type, Schema, SchemaRef},
        error::ArrowError,
    },
    error::{DataFusionError, Result as DataFusionResult},
    execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::{StreamExt, stream};

use super::{Change, Columns, canonical};

/// Rows of an output batch, about.
const BATCH_ROWS: usize = 8 * 1024;

/// How changes are shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    /// These alone; all when empty.
    pub(super) only: Vec<Change>,
    /// Without the columns of both sides; what was added or removed is told in words.
    pub(super) compact: bool,
}

/// Turns the stream of differences into one of changes.
///
/// # Errors
/// When the stream does not have the columns that it should have.
pub(super) fn pair(
    stream: SendableRecordBatchStream,
    columns: &Columns,
    shape: Shape,
) -> DataFusionResult<SendableRecordBatchStream> {
    let input = stream.schema();
    let key_count = columns.key.len();
    let compared_count = columns.compared.len();
    if input.fields().len() != key_count + compared_count + 1 {
        return Err(DataFusionError::Internal(format!(
            "a difference of {} columns has {}",
            key_count + compared_count + 1,
            input.fields().len()
        )));
    }
    let schema = output_schema(&input, columns, shape.compact);
    let pairing = Pairing {
        input,
        schema: Arc::clone(&schema),
        key_count,
        names: columns.compared.clone(),
        nested: columns.nested.clone(),
        shape,
        carried: None,
    };
    // The last key is complete when nothing follows.
    let batches = stream
        .map(|batch| batch.map(Some))
        .chain(stream::iter([Ok(None)]));
    let changes = batches
        .scan(pairing, |pairing, batch| {
            let made = batch.and_then(|batch| Ok(pairing.take(batch)?));
            std::future::ready(Some(match made {
                Ok(batches) => batches.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            }))
        })
        .flat_map(stream::iter);
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, changes)))
}

fn output_schema(input: &SchemaRef, columns: &Columns, compact: bool) -> SchemaRef {
    let key_count = columns.key.len();
    let mut fields = vec![Field::new("change", DataType::Utf8, false)];
    for (index, name) in columns.key.iter().enumerate() {
        let data_type = input.field(index).data_type().clone();
        fields.push(Field::new(name, data_type, true));
    }
    fields.push(Field::new("changes", DataType::Utf8, true));
    let both_sides = columns.compared.iter().enumerate().filter(|_| !compact);
    for (index, name) in both_sides {
        let data_type = input.field(key_count + index).data_type();
        for side in ["before", "after"] {
            fields.push(Field::new(
                format!("{side}_{name}"),
                data_type.clone(),
                true,
            ));
        }
    }
    Arc::new(Schema::new(fields))
}

struct Pairing {
    input: SchemaRef,
    schema: SchemaRef,
    key_count: usize,
    /// Names of the compared columns.
    names: Vec<String>,
    /// Which of them hold JSON.
    nested: Vec<bool>,
    shape: Shape,
    /// Rows of the last key seen, which may go on.
    carried: Option<RecordBatch>,
}

/// Rows to write: what became of each, and where it was and is.
#[derive(Default)]
struct Rows {
    changes: Vec<Change>,
    before: Vec<Option<u32>>,
    after: Vec<Option<u32>>,
}

impl Rows {
    fn push(&mut self, change: Change, before: Option<u32>, after: Option<u32>) {
        self.changes.push(change);
        self.before.push(before);
        self.after.push(after);
    }
}

impl Pairing {
    /// Takes further rows, or their end, and gives the changes of all keys that are complete.
    fn take(&mut self, batch: Option<RecordBatch>) -> Result<Vec<RecordBatch>, ArrowError> {
        let is_end = batch.is_none();
        let pieces = self.carried.take().into_iter().chain(batch);
        let pieces = pieces.collect::<Vec<_>>();
        let rows = concat_batches(&self.input, &pieces)?;
        if rows.num_rows() == 0 {
            return Ok(vec![]);
        }
        let keys = partition(&rows.columns()[..self.key_count])?.ranges();
        let (complete, open) = match keys.split_last() {
            Some((last, complete)) if !is_end => (complete, Some(last)),
            _ => (keys.as_slice(), None),
        };
        self.carried = open.map(|open| rows.slice(open.start, open.len()));
        let weights = rows
            .column(rows.num_columns() - 1)
            .as_primitive::<Int64Type>();
        let mut made = Vec::new();
        let mut waiting = Rows::default();
        for key in complete {
            self.pair_key(key.clone(), weights.values(), &mut waiting)?;
            if waiting.changes.len() >= BATCH_ROWS {
                made.push(self.write(&rows, std::mem::take(&mut waiting))?);
            }
        }
        if !waiting.changes.is_empty() {
            made.push(self.write(&rows, waiting)?);
        }
        Ok(made)
    }

    /// Pairs the rows of one key.
    fn pair_key(
        &self,
        key: std::ops::Range<usize>,
        weights: &[i64],
        waiting: &mut Rows,
    ) -> Result<(), ArrowError> {
        let too_many = |_| ArrowError::ComputeError("too many rows of one key".into());
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        for row in key {
            let index = u32::try_from(row).map_err(too_many)?;
            let times = usize::try_from(weights[row].unsigned_abs()).map_err(too_many)?;
            let side = if weights[row] < 0 {
                &mut gone
            } else {
                &mut new
            };
            side.extend(std::iter::repeat_n(index, times));
        }
        let pair_count = gone.len().min(new.len());
        let only = &self.shape.only;
        let wanted = |change| only.is_empty() || only.contains(&change);
        if wanted(Change::Changed) {
            for (before, after) in gone.iter().zip(&new) {
                waiting.push(Change::Changed, Some(*before), Some(*after));
            }
        }
        if wanted(Change::Removed) {
            for before in &gone[pair_count..] {
                waiting.push(Change::Removed, Some(*before), None);
            }
        }
        if wanted(Change::Added) {
            for after in &new[pair_count..] {
                waiting.push(Change::Added, None, Some(*after));
            }
        }
        Ok(())
    }

    fn write(&self, rows: &RecordBatch, made: Rows) -> Result<RecordBatch, ArrowError> {
        let either = made
            .after
            .iter()
            .zip(&made.before)
            .map(|(after, before)| after.or(*before))
            .collect::<UInt32Array>();
        let before = UInt32Array::from(made.before);
        let after = UInt32Array::from(made.after);
        let names = made.changes.iter().map(|change| change.as_str());
        let mut columns: Vec<ArrayRef> = vec![Arc::new(
            names
                .map(Some)
                .collect::<datafusion::arrow::array::StringArray>(),
        )];
        for index in 0..self.key_count {
            columns.push(take(rows.column(index), &either, None)?);
        }
        let mut pairs = Vec::with_capacity(self.names.len());
        for index in 0..self.names.len() {
            let column = rows.column(self.key_count + index);
            pairs.push((take(column, &before, None)?, take(column, &after, None)?));
        }
        columns.push(self.told(&made.changes, &pairs)?);
        if !self.shape.compact {
            columns.extend(pairs.into_iter().flat_map(|(old, new)| [old, new]));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }

    /// Which columns of a changed row are others: `name: before → after`, texts in quotes. In words also what an added or
    /// removed row holds, but for nulls: `name: value`.
    fn told(
        &self,
        changes: &[Change],
        pairs: &[(ArrayRef, ArrayRef)],
    ) -> Result<ArrayRef, ArrowError> {
        let differ = pairs
            .iter()
            .map(|(old, new)| match old.data_type() {
                // A column without a type has no values that could differ.
                DataType::Null => Ok(BooleanArray::from(vec![false; old.len()])),
                _ => distinct(old, new),
            })
            .collect::<Result<Vec<BooleanArray>, _>>()?;
        let mut texts = StringBuilder::new();
        for (row, change) in changes.iter().enumerate() {
            if *change != Change::Changed && !self.shape.compact {
                texts.append_null();
                continue;
            }
            let mut text = String::new();
            let columns = self.names.iter().zip(&self.nested).zip(pairs).zip(&differ);
            for (((name, nested), (old, new)), differ) in columns {
                // Of a row that one side does not have, what differs from null is what it holds.
                if !differ.value(row) {
                    continue;
                }
                if !text.is_empty() {
                    text.push_str("; ");
                }
                text.push_str(name);
                text.push_str(": ");
                let value = |array: &ArrayRef, text: &mut String| match *nested {
                    true if array.is_valid(row) => {
                        text.push_str(array.as_string::<i32>().value(row));
                        Ok(())
                    }
                    _ => canonical::write_json(array, row, text),
                };
                match change {
                    Change::Added => value(new, &mut text)?,
                    Change::Removed => value(old, &mut text)?,
                    Change::Changed => {
                        value(old, &mut text)?;
                        text.push_str(" → ");
                        value(new, &mut text)?;
                    }
                }
            }
            texts.append_value(text);
        }
        Ok(Arc::new(texts.finish()))
    }
}

#[cfg(test)]
mod tests;
