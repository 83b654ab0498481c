//! The merge of sorted table files into sorted table files, in which each event is original once.
//!
//! Memory is bounded by the number of files that overlap in time, which is kept below [`FAN_IN`] by
//! merging in several passes: of each open file one small batch is held, and files are opened when the
//! merge reaches their first instant. A file with rows by caller is put in order before, a row group at a time; of one
//! whose identities alone are asked for, those of a row group that may be in other files are held. Whether rows are duplicates is decided in the last pass.

use std::{
    collections::{BTreeSet, BinaryHeap, binary_heap::PeekMut},
    sync::Arc,
};

use datafusion::arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch},
    compute::interleave_record_batch,
    datatypes::SchemaRef,
};
use kennel_cache::Stage;

use super::{
    NewTrailFile, TrailFileError, TrailWriteOptions,
    cursor::{Cursor, Input, Place, Step, TimeRange},
    files::{CHUNK_ROWS, OpenFile, TrailWriter},
    key::{IS_DUPLICATE, KeyEncoder},
};

/// Files read at once; more are merged in several passes. Each costs some 7 MiB, most of it for the state
/// of its hundred column decoders, whatever its size.
pub(super) const FAN_IN: usize = 48;
/// Bytes of decoded batches held at once, roughly.
const HELD_BYTES: u64 = 32 << 20;
/// Rows of a batch of identities.
const IDENTITY_ROWS: usize = 4 * 1024;

/// What a merge made.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) files: Vec<NewTrailFile>,
    pub(super) duplicate_count: u64,
}

/// Merges `inputs`; of `references` only identities are read, to know which events have their original
/// there already.
pub(super) fn merge(
    mut inputs: Vec<Input>,
    references: Vec<Input>,
    stage: &Stage,
    options: &TrailWriteOptions,
    fan_in: usize,
) -> Result<Merged, TrailFileError> {
    let fan_in = fan_in.max(2);
    inputs.retain(|input| input.range().is_some());
    // The file with the most columns is the newest form; the others get nulls.
    let Some(widest) = inputs.iter().max_by_key(|i| i.schema.fields().len()) else {
        return Ok(Merged {
            files: vec![],
            duplicate_count: 0,
        });
    };
    let schema = Arc::clone(&widest.schema);
    let encoder = Arc::new(KeyEncoder::try_new()?);
    let sorted = inputs.into_iter().map(|input| match input.is_by_caller() {
        true => input.sorted(&schema, &encoder, stage),
        false => Ok(input),
    });
    let mut inputs = sorted.collect::<Result<Vec<_>, _>>()?;
    while let Some(crowd) = crowd(&inputs, fan_in) {
        let (some, rest): (Vec<_>, Vec<_>) = inputs
            .into_iter()
            .enumerate()
            .partition(|(index, _)| crowd.contains(index));
        let some = some.into_iter().map(|(_, input)| input).collect();
        inputs = rest.into_iter().map(|(_, input)| input).collect();
        inputs.push(pass(some, &schema, &encoder, stage)?);
    }
    let ranges = coalesced(inputs.iter().flat_map(|i| i.row_groups().iter().copied()));
    let mut originals = Originals::new(references, ranges, &encoder);
    let row_count = inputs.iter().map(|input| input.row_count).sum();
    let mut writer = TrailWriter::new(stage, Arc::clone(&schema), options, row_count);
    let mut duplicate_count = 0;
    let flag_column = schema
        .index_of(IS_DUPLICATE)
        .map_err(TrailFileError::Sort)?;
    let mut judge = Judge::default();
    merge_rows(
        inputs,
        &schema,
        &encoder,
        |cursor| judge.is_duplicate(cursor, &mut originals),
        |rows, flags| {
            duplicate_count += flags.iter().filter(|flag| **flag).count() as u64;
            let mut columns = rows.columns().to_vec();
            columns[flag_column] = Arc::new(BooleanArray::from(flags)) as ArrayRef;
            let rows =
                RecordBatch::try_new(rows.schema(), columns).map_err(TrailFileError::Sort)?;
            writer.write(&rows)
        },
    )?;
    Ok(Merged {
        files: writer.finish()?,
        duplicate_count,
    })
}

/// Which inputs (by their position) hold an event that one before them holds.
pub(super) fn repeated(inputs: Vec<Input>) -> Result<BTreeSet<usize>, TrailFileError> {
    let encoder = Arc::new(KeyEncoder::try_new()?);
    let ranges = shared(&inputs);
    let mut waiting = waiting(inputs);
    let mut heap = BinaryHeap::<Cursor>::new();
    let mut found = BTreeSet::new();
    let mut event = Vec::new();
    let mut first = None;
    loop {
        while let Some((range, ..)) = waiting.last()
            && heap.peek().is_none_or(|next| range.0 <= next.time())
            && let Some((_, rank, input)) = waiting.pop()
        {
            if let Some(mut cursor) = input.identities(&ranges, &encoder, IDENTITY_ROWS)? {
                cursor.rank = rank;
                heap.push(cursor);
            }
        }
        let Some(mut cursor) = heap.peek_mut() else {
            return Ok(found);
        };
        if cursor.has_id() {
            // Equal ones come in the order of the inputs.
            let identity = cursor.identity();
            match first {
                Some(first) if event == identity.data() => {
                    if first != cursor.rank {
                        found.insert(cursor.rank);
                    }
                }
                _ => {
                    event.clear();
                    event.extend_from_slice(identity.data());
                    first = Some(cursor.rank);
                }
            }
        }
        if cursor.advance()? == Step::End {
            PeekMut::pop(cursor);
        }
    }
}

/// Merges a few files into one that is not published; flags stay as they are.
fn pass(
    inputs: Vec<Input>,
    schema: &SchemaRef,
    encoder: &Arc<KeyEncoder>,
    stage: &Stage,
) -> Result<Input, TrailFileError> {
    let options = TrailWriteOptions::run();
    let mut file = OpenFile::create(stage, schema, &options, 0)?;
    merge_rows(
        inputs,
        schema,
        encoder,
        |_| Ok(false),
        |rows, _| file.write(&rows),
    )?;
    Input::inspect(Place::Staged(file.close()?))
}

/// If more than `fan_in` files overlap at some instant: the smallest of those, to be merged first.
fn crowd(inputs: &[Input], fan_in: usize) -> Option<Vec<usize>> {
    let ranges = inputs.iter().map(|input| input.range());
    let ranges = ranges.map(|range| range.unwrap_or((None, None)));
    let ranges = ranges.collect::<Vec<_>>();
    let mut starts = ranges.iter().map(|range| range.0).collect::<Vec<_>>();
    let mut ends = ranges.iter().map(|range| range.1).collect::<Vec<_>>();
    starts.sort_unstable();
    ends.sort_unstable();
    // The crowd is largest at the beginning of one of its files.
    let count_at = |at: &Option<i64>| {
        starts.partition_point(|start| start <= at) - ends.partition_point(|end| end < at)
    };
    let at = *starts.iter().max_by_key(|at| count_at(at))?;
    let mut crowd = (0..ranges.len())
        .filter(|index| ranges[*index].0 <= at && at <= ranges[*index].1)
        .collect::<Vec<_>>();
    if crowd.len() <= fan_in {
        return None;
    }
    crowd.sort_by_key(|index| inputs[*index].row_count);
    crowd.truncate(fan_in);
    Some(crowd)
}

/// The times at which row groups of more than one input may have rows: no event is in two inputs elsewhere.
fn shared(inputs: &[Input]) -> Vec<TimeRange> {
    let of_input = |(rank, input): (usize, &Input)| {
        let ranges = input.row_groups().to_vec();
        ranges.into_iter().map(move |range| (range, rank))
    };
    let mut ranges = inputs
        .iter()
        .enumerate()
        .flat_map(of_input)
        .collect::<Vec<_>>();
    ranges.sort_unstable();
    // The latest end so far, and the latest of the other inputs.
    let mut latest: [Option<(Option<i64>, usize)>; 2] = [None, None];
    let mut shared = Vec::new();
    for (range, rank) in ranges {
        let others = latest.iter().flatten().find(|(_, other)| *other != rank);
        if let Some((end, _)) = others
            && range.0 <= *end
        {
            shared.push((range.0, range.1.min(*end)));
        }
        match &mut latest {
            [Some((end, first)), _] if *first == rank => *end = (*end).max(range.1),
            [Some(first), second] if range.1 > first.0 => {
                *second = Some(std::mem::replace(first, (range.1, rank)));
            }
            [Some(_), second] => {
                if second.is_none_or(|(end, other)| other == rank || range.1 > end) {
                    let end = second
                        .filter(|(_, other)| *other == rank)
                        .map(|(end, _)| end);
                    *second = Some((end.map_or(range.1, |end| end.max(range.1)), rank));
                }
            }
            [first, _] => *first = Some((range.1, rank)),
        }
    }
    coalesced(shared.into_iter())
}

/// Merges overlapping ranges.
fn coalesced(ranges: impl Iterator<Item = TimeRange>) -> Vec<TimeRange> {
    let mut sorted = ranges.collect::<Vec<_>>();
    sorted.sort_unstable();
    let mut merged: Vec<TimeRange> = vec![];
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.0 <= last.1 => last.1 = last.1.max(range.1),
            _ => merged.push(range),
        }
    }
    merged
}

/// Hands all rows on in their order, [`CHUNK_ROWS`] at a time, each with the flag that `judge` gives it.
fn merge_rows(
    inputs: Vec<Input>,
    schema: &SchemaRef,
    encoder: &Arc<KeyEncoder>,
    mut judge: impl FnMut(&Cursor) -> Result<bool, TrailFileError>,
    mut write: impl FnMut(RecordBatch, Vec<bool>) -> Result<(), TrailFileError>,
) -> Result<(), TrailFileError> {
    let mut cursors = Cursors::new(inputs, schema, encoder);
    let mut chosen = Vec::with_capacity(CHUNK_ROWS);
    let mut flags = Vec::with_capacity(CHUNK_ROWS);
    loop {
        cursors.open_due()?;
        let Some(cursor) = cursors.heap.peek() else {
            break;
        };
        flags.push(judge(cursor)?);
        chosen.push((cursor.slot, cursor.row));
        cursors.advance()?;
        if chosen.len() == CHUNK_ROWS {
            write(cursors.gather(&chosen)?, std::mem::take(&mut flags))?;
            chosen.clear();
            cursors.forget_read_batches();
        }
    }
    if !chosen.is_empty() {
        write(cursors.gather(&chosen)?, flags)?;
    }
    Ok(())
}

/// The open files of a merge, and those that are not reached yet.
struct Cursors<'a> {
    schema: &'a SchemaRef,
    encoder: &'a Arc<KeyEncoder>,
    /// Last the one that begins first.
    waiting: Vec<(TimeRange, usize, Input)>,
    /// Inputs that are open: a staged one lives as long as its cursor.
    opened: Vec<Input>,
    heap: BinaryHeap<Cursor>,
    /// Batches with rows that are chosen and not yet written, or not yet chosen.
    held: Vec<RecordBatch>,
    bytes_per_file: u64,
}

impl<'a> Cursors<'a> {
    fn new(inputs: Vec<Input>, schema: &'a SchemaRef, encoder: &'a Arc<KeyEncoder>) -> Self {
        let bytes_per_file = HELD_BYTES / inputs.len().clamp(1, FAN_IN) as u64;
        Self {
            schema,
            encoder,
            waiting: waiting(inputs),
            opened: vec![],
            heap: BinaryHeap::new(),
            held: vec![],
            bytes_per_file,
        }
    }

    /// Opens the files whose first instant is reached.
    fn open_due(&mut self) -> Result<(), TrailFileError> {
        while let Some((range, ..)) = self.waiting.last()
            && self.heap.peek().is_none_or(|next| range.0 <= next.time())
            && let Some((_, rank, input)) = self.waiting.pop()
        {
            let row_bytes = input.decoded_bytes / input.row_count.max(1);
            let batch_rows = self.bytes_per_file / row_bytes.max(1);
            let batch_rows = batch_rows.clamp(16, CHUNK_ROWS as u64) as usize;
            if let Some(mut cursor) = input.rows(self.schema, self.encoder, batch_rows)? {
                cursor.rank = rank;
                cursor.slot = self.held.len();
                self.held.push(cursor.batch.clone());
                self.heap.push(cursor);
            }
            self.opened.push(input);
        }
        Ok(())
    }

    /// Takes the least cursor to its next row.
    fn advance(&mut self) -> Result<(), TrailFileError> {
        let Some(mut cursor) = self.heap.peek_mut() else {
            return Ok(());
        };
        match cursor.advance()? {
            Step::SameBatch => {}
            Step::NextBatch => {
                cursor.slot = self.held.len();
                self.held.push(cursor.batch.clone());
            }
            Step::End => drop(PeekMut::pop(cursor)),
        }
        Ok(())
    }

    fn gather(&self, chosen: &[(usize, usize)]) -> Result<RecordBatch, TrailFileError> {
        // Files that do not overlap give whole stretches: those need no copy.
        if let (Some(first), Some(last)) = (chosen.first(), chosen.last())
            && chosen.iter().all(|(slot, _)| *slot == first.0)
        {
            return Ok(self.held[first.0].slice(first.1, last.1 - first.1 + 1));
        }
        let held = self.held.iter().collect::<Vec<_>>();
        interleave_record_batch(&held, chosen).map_err(TrailFileError::Sort)
    }

    /// Keeps the batches that cursors stand on.
    fn forget_read_batches(&mut self) {
        self.held.clear();
        let mut cursors = std::mem::take(&mut self.heap).into_vec();
        for cursor in &mut cursors {
            cursor.slot = self.held.len();
            self.held.push(cursor.batch.clone());
        }
        self.heap = cursors.into();
    }
}

/// In the order in which files are reached, last the first; with their position among the inputs.
fn waiting(inputs: Vec<Input>) -> Vec<(TimeRange, usize, Input)> {
    let mut waiting = inputs
        .into_iter()
        .enumerate()
        .filter_map(|(rank, input)| Some((input.range()?, rank, input)))
        .collect::<Vec<_>>();
    waiting.sort_by_key(|(range, rank, _)| std::cmp::Reverse((*range, *rank)));
    waiting
}

/// Decides which row of an event is the original: none if a reference file has it, else the first.
///
/// Over all visible files, each event so has one original: a file that may hold a row of an event that
/// is being written either is among the inputs, whose flags are decided anew, or among the references.
#[derive(Debug, Default)]
struct Judge {
    identity: Vec<u8>,
    is_begun: bool,
}

impl Judge {
    fn is_duplicate(
        &mut self,
        cursor: &Cursor,
        originals: &mut Originals<'_>,
    ) -> Result<bool, TrailFileError> {
        if !cursor.has_id() {
            return Ok(false);
        }
        let identity = cursor.identity();
        if self.is_begun && self.identity == identity.data() {
            return Ok(true);
        }
        self.is_begun = true;
        self.identity.clear();
        self.identity.extend_from_slice(identity.data());
        originals.contain(cursor)
    }
}

/// The events that have their original in a reference file, asked for in their order.
struct Originals<'a> {
    encoder: &'a Arc<KeyEncoder>,
    ranges: Vec<TimeRange>,
    waiting: Vec<(TimeRange, usize, Input)>,
    heap: BinaryHeap<Cursor>,
}

impl<'a> Originals<'a> {
    fn new(references: Vec<Input>, ranges: Vec<TimeRange>, encoder: &'a Arc<KeyEncoder>) -> Self {
        Self {
            encoder,
            ranges,
            waiting: waiting(references),
            heap: BinaryHeap::new(),
        }
    }

    fn contain(&mut self, asked: &Cursor) -> Result<bool, TrailFileError> {
        while let Some((range, ..)) = self.waiting.last()
            && range.0 <= asked.time()
            && let Some((_, rank, input)) = self.waiting.pop()
        {
            let cursor = input.identities(&self.ranges, self.encoder, IDENTITY_ROWS)?;
            if let Some(mut cursor) = cursor {
                cursor.rank = rank;
                self.heap.push(cursor);
            }
        }
        let mut is_found = false;
        while let Some(mut reference) = self.heap.peek_mut() {
            if reference.identity() > asked.identity() {
                break;
            }
            if reference.identity() == asked.identity() {
                is_found |= !reference.is_duplicate();
            }
            if reference.advance()? == Step::End {
                PeekMut::pop(reference);
            }
        }
        Ok(is_found)
    }
}
