//! Rows that both sides have as often cancel each other out, while both are read.
//!
//! Each row is looked up by a hash and compared with the rows that are left so far, column by column: equal hashes alone
//! cancel nothing. The sides are read at the same pace, so that rows that both have in about the same order meet soon and
//! are not kept: memory follows what differs, and how far the orders are apart.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{DynComparator, Int64Array, RecordBatch, UInt32Array, make_comparator},
        compute::{SortOptions, take_record_batch},
        datatypes::SchemaRef,
        error::ArrowError,
    },
    common::{
        hash_utils::{RandomState, create_hashes},
        runtime::SpawnedTask,
    },
    error::{DataFusionError, Result as DataFusionResult},
    execution::TaskContext,
    physical_plan::{ExecutionPlan, ExecutionPlanProperties},
};
use futures::StreamExt;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Batches that wait for each side.
const WAITING_BATCHES: usize = 4;

/// No row.
const NONE: u32 = u32::MAX;

/// A batch of which fewer than one in so many rows is left gives up the others.
const SPARSE: usize = 8;

/// A question over one state, ready to run.
pub(super) struct Source {
    pub(super) plan: Arc<dyn ExecutionPlan>,
    pub(super) context: Arc<TaskContext>,
}

/// The rows that one side has more often than the other, each once: the columns of both sides and `weight: Int64`, how many more
/// the later one has. In no order.
///
/// # Errors
/// What the plans of the sides fail with.
pub(super) async fn difference(
    from: Source,
    to: Source,
    schema: &SchemaRef,
) -> DataFusionResult<Vec<RecordBatch>> {
    let (mut feeds, mut tasks) = (Vec::new(), Vec::new());
    for source in [from, to] {
        let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
        for partition in 0..source.plan.output_partitioning().partition_count() {
            let plan = Arc::clone(&source.plan);
            let context = Arc::clone(&source.context);
            let sender = sender.clone();
            tasks.push(SpawnedTask::spawn(async move {
                read(plan, partition, context, sender).await;
            }));
        }
        feeds.push(Feed {
            receiver,
            row_count: 0,
            is_over: false,
        });
    }
    let mut left = Left::default();
    while let Some(side) = behind(&feeds) {
        let feed = &mut feeds[side];
        match feed.receiver.recv().await {
            Some(hashed) => {
                let (batch, hashes) = hashed?;
                feed.row_count += batch.num_rows();
                left.add(if side == 0 { -1 } else { 1 }, batch, &hashes)?;
            }
            None => feed.is_over = true,
        }
    }
    for task in tasks {
        let ended = task.join_unwind().await;
        ended.map_err(|e| DataFusionError::External(Box::new(e)))?;
    }
    Ok(left.rows(schema)?)
}

/// The batches of one side, and how much of it was read.
struct Feed {
    receiver: Receiver<DataFusionResult<(RecordBatch, Vec<u64>)>>,
    row_count: usize,
    is_over: bool,
}

/// The side that is to be read next.
fn behind(feeds: &[Feed]) -> Option<usize> {
    let open = feeds.iter().enumerate().filter(|(_, feed)| !feed.is_over);
    open.min_by_key(|(_, feed)| feed.row_count)
        .map(|(side, _)| side)
}

/// Reads a partition and hashes its rows.
async fn read(
    plan: Arc<dyn ExecutionPlan>,
    partition: usize,
    context: Arc<TaskContext>,
    sender: Sender<DataFusionResult<(RecordBatch, Vec<u64>)>>,
) {
    let mut stream = match plan.execute(partition, context) {
        Ok(stream) => stream,
        Err(error) => return drop(sender.send(Err(error)).await),
    };
    while let Some(batch) = stream.next().await {
        let hashed = batch.and_then(|batch| {
            let hashes = hashes(&batch)?;
            Ok((batch, hashes))
        });
        let is_failure = hashed.is_err();
        if sender.send(hashed).await.is_err() || is_failure {
            return;
        }
    }
}

/// A hash of each row, in which the place of a value counts: null and `a` is another row than `a` and null.
fn hashes(batch: &RecordBatch) -> DataFusionResult<Vec<u64>> {
    let state = RandomState::with_seed(0);
    let mut hashes = vec![0_u64; batch.num_rows()];
    let mut of_column = vec![0_u64; batch.num_rows()];
    for column in batch.columns() {
        of_column.fill(0);
        create_hashes([column], &state, &mut of_column)?;
        for (hash, value) in hashes.iter_mut().zip(&of_column) {
            *hash = (hash.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    Ok(hashes)
}

/// The hashes are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// A row that is left.
struct Row {
    batch: u32,
    row: u32,
    /// The next row of the same hash.
    next: u32,
    /// How often the later side had it more than the earlier one.
    weight: i64,
}

/// A batch of which rows are left.
struct Stored {
    batch: RecordBatch,
    /// The number of each row among [`Left::rows`]; `NONE` where it is gone.
    numbers: Vec<u32>,
    left_count: usize,
}

/// What is left of both sides.
#[derive(Default)]
struct Left {
    /// The first row of each hash.
    heads: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    rows: Vec<Row>,
    /// Numbers that can be given again.
    free: Vec<u32>,
    stored: Vec<Option<Stored>>,
}

impl Left {
    /// Adds rows of one side, whose sign it is.
    fn add(&mut self, sign: i64, batch: RecordBatch, hashes: &[u64]) -> Result<(), ArrowError> {
        let too_many = |_| ArrowError::ComputeError("too many rows".into());
        let own = u32::try_from(self.stored.len()).map_err(too_many)?;
        let row_count = u32::try_from(batch.num_rows()).map_err(too_many)?;
        self.stored.push(Some(Stored {
            numbers: vec![NONE; batch.num_rows()],
            left_count: 0,
            batch: batch.clone(),
        }));
        // With each stored batch, when a row of it is met.
        let mut comparators = Vec::<Option<Vec<DynComparator>>>::new();
        comparators.resize_with(self.stored.len(), || None);
        let mut sparse = Vec::new();
        for (row, hash) in (0..row_count).zip(hashes) {
            let head = self.heads.get(hash).copied().unwrap_or(NONE);
            let (mut before, mut number) = (NONE, head);
            while number != NONE {
                let Row {
                    batch: other,
                    row: place,
                    ..
                } = self.rows[number as usize];
                let made = &mut comparators[other as usize];
                let compare = match made {
                    Some(compare) => compare,
                    None => made.insert(self.comparators(&batch, other)?),
                };
                let (row, place) = (row as usize, place as usize);
                if compare.iter().all(|compare| compare(row, place).is_eq()) {
                    break;
                }
                before = number;
                number = self.rows[number as usize].next;
            }
            if number == NONE {
                self.keep(own, row, *hash, head, sign).map_err(too_many)?;
                continue;
            }
            let found = &mut self.rows[number as usize];
            found.weight += sign;
            if found.weight == 0 {
                sparse.extend(self.forget(number, before, *hash));
            }
        }
        if self.stored[own as usize]
            .as_ref()
            .is_some_and(|stored| stored.left_count == 0)
        {
            self.stored[own as usize] = None;
        }
        sparse
            .into_iter()
            .try_for_each(|number| self.shrink(number))
    }

    /// Compares rows of a batch with those of a stored one.
    fn comparators(
        &self,
        batch: &RecordBatch,
        other: u32,
    ) -> Result<Vec<DynComparator>, ArrowError> {
        let stored = self.stored[other as usize].as_ref();
        let other = stored.map_or(batch, |stored| &stored.batch);
        let columns = batch.columns().iter().zip(other.columns());
        columns
            .map(|(one, other)| make_comparator(one, other, SortOptions::default()))
            .collect()
    }

    fn keep(
        &mut self,
        batch: u32,
        row: u32,
        hash: u64,
        next: u32,
        weight: i64,
    ) -> Result<(), std::num::TryFromIntError> {
        let kept = Row {
            batch,
            row,
            next,
            weight,
        };
        let number = match self.free.pop() {
            Some(number) => {
                self.rows[number as usize] = kept;
                number
            }
            None => {
                self.rows.push(kept);
                u32::try_from(self.rows.len() - 1)?
            }
        };
        self.heads.insert(hash, number);
        if let Some(stored) = &mut self.stored[batch as usize] {
            stored.numbers[row as usize] = number;
            stored.left_count += 1;
        }
        Ok(())
    }

    /// Takes a row away; says which batch has become sparse by it.
    fn forget(&mut self, number: u32, before: u32, hash: u64) -> Option<u32> {
        let Row {
            batch, row, next, ..
        } = self.rows[number as usize];
        match (before, next) {
            (NONE, NONE) => {
                self.heads.remove(&hash);
            }
            (NONE, next) => {
                self.heads.insert(hash, next);
            }
            (before, next) => self.rows[before as usize].next = next,
        }
        self.free.push(number);
        let stored = self.stored[batch as usize].as_mut()?;
        stored.numbers[row as usize] = NONE;
        stored.left_count -= 1;
        let is_sparse = stored.left_count == stored.numbers.len() / SPARSE;
        (stored.left_count == 0 || is_sparse).then_some(batch)
    }

    /// Keeps of a batch only the rows that are left.
    fn shrink(&mut self, batch: u32) -> Result<(), ArrowError> {
        let Some(stored) = &mut self.stored[batch as usize] else {
            return Ok(());
        };
        if stored.left_count == 0 {
            self.stored[batch as usize] = None;
            return Ok(());
        }
        let places = stored.places();
        stored.batch = take_record_batch(&stored.batch, &places)?;
        stored.numbers.retain(|number| *number != NONE);
        for (place, number) in (0_u32..).zip(&stored.numbers) {
            self.rows[*number as usize].row = place;
        }
        Ok(())
    }

    /// All that is left.
    fn rows(self, schema: &SchemaRef) -> Result<Vec<RecordBatch>, ArrowError> {
        let batches = self.stored.into_iter().flatten().map(|stored| {
            let numbers = stored.numbers.iter().filter(|number| **number != NONE);
            let weights = numbers.map(|number| self.rows[*number as usize].weight);
            let weights = Int64Array::from_iter_values(weights);
            let batch = take_record_batch(&stored.batch, &stored.places())?;
            let mut columns = batch.columns().to_vec();
            columns.push(Arc::new(weights));
            RecordBatch::try_new(Arc::clone(schema), columns)
        });
        batches.collect()
    }
}

impl Stored {
    /// The rows that are left.
    fn places(&self) -> UInt32Array {
        let rows = (0_u32..).zip(&self.numbers);
        let left = rows.filter(|(_, number)| **number != NONE);
        left.map(|(row, _)| Some(row)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use datafusion::arrow::{
        array::{ArrayRef, AsArray, StringArray},
        datatypes::{DataType, Field, Int64Type, Schema},
    };
    use proptest::prelude::*;

    use super::*;

    type Pair = (Option<&'static str>, Option<i64>);

    fn batch(rows: &[Pair]) -> RecordBatch {
        let text: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<StringArray>());
        let number: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>());
        RecordBatch::try_from_iter_with_nullable([("c0", text, true), ("c1", number, true)])
            .unwrap()
    }

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("c0", DataType::Utf8, true),
            Field::new("c1", DataType::Int64, true),
            Field::new("weight", DataType::Int64, false),
        ]))
    }

    type Weighted = ((Option<String>, Option<i64>), i64);

    fn weights(batches: &[RecordBatch]) -> Vec<Weighted> {
        let mut found = Vec::new();
        for batch in batches {
            let texts = batch.column(0).as_string::<i32>().iter();
            let numbers = batch.column(1).as_primitive::<Int64Type>().iter();
            let weights = batch.column(2).as_primitive::<Int64Type>().values();
            for ((text, number), weight) in texts.zip(numbers).zip(weights) {
                found.push(((text.map(str::to_owned), number), *weight));
            }
        }
        found.sort();
        found
    }

    fn any_pair() -> impl Strategy<Value = Pair> {
        let text = prop::option::of(prop::sample::select(vec!["", "a", "b"]));
        (text, prop::option::of(0..3_i64))
    }

    proptest! {
        #[test]
        fn what_is_left_is_what_counting_by_hand_leaves(
            batches in prop::collection::vec(
                (any::<bool>(), prop::collection::vec(any_pair(), 0..40)),
                0..12,
            ),
            // Few hashes: most rows of one hash are not equal.
            hash_count in 1..5_u64,
        ) {
            let mut left = Left::default();
            let mut by_hand = BTreeMap::<(Option<String>, Option<i64>), i64>::new();
            for (is_later, rows) in &batches {
                let sign = if *is_later { 1 } else { -1 };
                let batch = batch(rows);
                let hashes = hashes(&batch).unwrap();
                let hashes = hashes.iter().map(|hash| hash % hash_count).collect::<Vec<_>>();
                left.add(sign, batch, &hashes).unwrap();
                for (text, number) in rows {
                    *by_hand.entry((text.map(str::to_owned), *number)).or_default() += sign;
                }
                let row_count = left.rows.len() - left.free.len();
                let stored = left.stored.iter().flatten();
                prop_assert_eq!(stored.map(|stored| stored.left_count).sum::<usize>(), row_count);
            }
            let expected = by_hand.into_iter().filter(|(_, weight)| *weight != 0);
            let found = left.rows(&schema()).unwrap();
            prop_assert_eq!(weights(&found), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_that_met_are_not_kept() {
        let names = (0..8192)
            .map(|number| (None, Some(number)))
            .collect::<Vec<_>>();
        let rows = batch(&names);
        let mut left = Left::default();
        left.add(-1, rows.clone(), &hashes(&rows).unwrap()).unwrap();
        let most = rows.slice(0, 8000);
        left.add(1, most.clone(), &hashes(&most).unwrap()).unwrap();
        let kept = left
            .stored
            .iter()
            .flatten()
            .map(|stored| stored.batch.num_rows());
        assert!(kept.sum::<usize>() <= 8192 / SPARSE);
        let rest = rows.slice(8000, 192);
        left.add(1, rest.clone(), &hashes(&rest).unwrap()).unwrap();
        assert!(left.stored.iter().all(Option::is_none));
        assert!(left.heads.is_empty());
    }
}
