//! The last result, kept as the table `_` while it streams by.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::{
    arrow::{datatypes::SchemaRef, record_batch::RecordBatch},
    execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::StreamExt;
use kennel_engine::{Caveat, KeptResult};

use crate::text::{bytes, grouped};

/// Rows that are kept.
const MOST_ROWS: u64 = 100_000;
/// Bytes of them; a result that is larger is not kept.
const MOST_BYTES: usize = 256 << 20;

/// What has been kept so far.
#[derive(Debug, Default)]
struct Kept {
    batches: Vec<RecordBatch>,
    size_bytes: usize,
    row_count: u64,
    is_too_large: bool,
}

/// Watches a stream and keeps what fits.
pub(super) struct Keeper {
    kept: Arc<Mutex<Kept>>,
    schema: SchemaRef,
    caveats: Vec<Caveat>,
}

/// What became of a result.
#[derive(Debug)]
pub(super) struct Outcome {
    /// To be kept, unless it is too large.
    pub(super) result: Option<KeptResult>,
    /// What to say of that.
    pub(super) note: Option<String>,
}

impl Keeper {
    /// The same stream, watched.
    pub(super) fn watch(
        stream: SendableRecordBatchStream,
        caveats: &[Caveat],
    ) -> (SendableRecordBatchStream, Self) {
        let schema = stream.schema();
        let kept = Arc::new(Mutex::new(Kept::default()));
        let keeper = Self {
            kept: Arc::clone(&kept),
            schema: Arc::clone(&schema),
            caveats: caveats.to_vec(),
        };
        let watched = stream.inspect(move |batch| {
            if let Ok(batch) = batch {
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .add(batch);
            }
        });
        (
            Box::pin(RecordBatchStreamAdapter::new(schema, watched)),
            keeper,
        )
    }

    /// After the last row.
    pub(super) fn finish(self) -> Outcome {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        if kept.is_too_large {
            let note = format!(
                "`_` is empty: the result takes more than {}",
                bytes(MOST_BYTES as u64)
            );
            return Outcome {
                result: None,
                note: Some(note),
            };
        }
        let note = (kept.row_count > MOST_ROWS)
            .then(|| format!("`_` holds the first {} rows", grouped(MOST_ROWS)));
        let result = KeptResult {
            schema: self.schema,
            batches: kept.batches,
            row_count: kept.row_count,
            caveats: self.caveats,
        };
        Outcome {
            result: Some(result),
            note,
        }
    }
}

impl Kept {
    fn add(&mut self, batch: &RecordBatch) {
        let room = MOST_ROWS.saturating_sub(self.row_count);
        self.row_count += batch.num_rows() as u64;
        if self.is_too_large || room == 0 {
            return;
        }
        let length = usize::try_from(room)
            .unwrap_or(usize::MAX)
            .min(batch.num_rows());
        let part = batch.slice(0, length);
        self.size_bytes += part.get_array_memory_size();
        if self.size_bytes > MOST_BYTES {
            self.is_too_large = true;
            self.batches = Vec::new();
            return;
        }
        self.batches.push(part);
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::{Int64Array, RecordBatchOptions},
        datatypes::{DataType, Field, Schema},
    };

    use super::*;

    fn batch(row_count: usize) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let column = Arc::new(Int64Array::from(vec![7; row_count]));
        let options = RecordBatchOptions::new().with_row_count(Some(row_count));
        RecordBatch::try_new_with_options(schema, vec![column], &options).unwrap()
    }

    #[test]
    fn the_first_rows_are_kept_and_all_are_counted() {
        let mut kept = Kept::default();
        for _ in 0..3 {
            kept.add(&batch(40_000));
        }
        let rows = kept
            .batches
            .iter()
            .map(RecordBatch::num_rows)
            .sum::<usize>();
        assert_eq!((rows, kept.row_count), (100_000, 120_000));
    }

    #[test]
    fn what_is_too_large_is_let_go() {
        let mut kept = Kept {
            size_bytes: MOST_BYTES,
            ..Kept::default()
        };
        kept.add(&batch(1));
        assert!(kept.is_too_large && kept.batches.is_empty());
    }
}
