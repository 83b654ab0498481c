//! What came of a CloudTrail source, made tables: one thread packs and reads objects, another writes and commits them
//! batch by batch. So both of the halves that cost most run side by side, and what is committed when does not change.

use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread::{Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use kennel_cache::{
    CacheWriter, FailureStage, FetchedObject, NewTrailObject, PackRange, PackWriter, Sha256, Stage,
    TrailBatch,
};
use kennel_engine::trail::{HeldBatch, SpareColumns, TrailIngester};
use kennel_mirror::{Content, FetchedBytes};
use tokio::sync::mpsc;

use super::trail::Course;
use crate::{error::CliError, settings::Source};

/// Bytes of records in memory at which a batch is written. While one is, the next is read.
pub(super) const BATCH_BYTES: usize = 96 << 20;
/// Bytes of a pack at which a batch is written.
const PACK_BYTES: u64 = 128 << 20;
/// Objects of a batch: what a kill may lose, and as many of the one being written.
const BATCH_OBJECTS: usize = 20_000;
/// How long a batch waits to be written, for the same reason.
const BATCH_TIME: Duration = Duration::from_secs(60);

/// Objects, and what was made of them, until the next commit.
#[derive(Default)]
struct Batch {
    pack: Option<PackWriter>,
    objects: Vec<(NewTrailObject, Option<PackRange>)>,
    refreshed: Vec<FetchedObject>,
    /// Known objects whose bytes had been damaged, and where they lie in the pack now.
    repaired: Vec<(String, PackRange)>,
    /// Their records, once the batch is complete.
    held: HeldBatch,
}

impl Batch {
    fn pack_bytes(&self) -> u64 {
        self.pack.as_ref().map_or(0, PackWriter::size_bytes)
    }

    fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.refreshed.is_empty() && self.repaired.is_empty()
    }
}

/// Reads objects as they come, and hands them over batch by batch.
pub(super) struct Ingest<'i> {
    source: &'i Source,
    stage: &'i Stage,
    ingester: &'i mut TrailIngester,
    course: &'i mut Course,
    /// Objects that the cache knows, with other bytes or with an ETag that says so.
    known: BTreeMap<String, (Sha256, u64)>,
    batch: Batch,
}

impl<'i> Ingest<'i> {
    pub(super) fn new(
        source: &'i Source,
        stage: &'i Stage,
        ingester: &'i mut TrailIngester,
        course: &'i mut Course,
        known: BTreeMap<String, (Sha256, u64)>,
    ) -> Self {
        Self {
            source,
            stage,
            ingester,
            course,
            known,
            batch: Batch::default(),
        }
    }

    /// Ends early when nobody takes batches any more: why, the other side says.
    fn run(
        mut self,
        mut objects: mpsc::Receiver<Vec<FetchedBytes>>,
        batches: &SyncSender<Batch>,
        spare: &Receiver<HeldBatch>,
    ) -> Result<(), CliError> {
        let mut begun = Instant::now();
        while let Some(group) = objects.blocking_recv() {
            for fetched in group {
                self.take(fetched)?;
                let is_full = self.ingester.held_bytes() >= BATCH_BYTES
                    || self.batch.pack_bytes() >= PACK_BYTES
                    || self.batch.objects.len() >= BATCH_OBJECTS
                    || begun.elapsed() >= BATCH_TIME;
                if is_full {
                    if !self.hand_over(batches, spare) {
                        return Ok(());
                    }
                    begun = Instant::now();
                }
            }
        }
        self.hand_over(batches, spare);
        Ok(())
    }

    fn take(&mut self, fetched: FetchedBytes) -> Result<(), CliError> {
        let FetchedBytes { object, content } = fetched;
        let key = object.key.clone();
        if self.known.remove(&key) == Some((object.sha256, object.size_bytes)) {
            if self.course.damaged.remove(&key).is_some() {
                let range = content.append_to(self.pack()?, object.sha256)?;
                self.batch.repaired.push((key, range));
            } else {
                self.batch.refreshed.push(object);
            }
            return Ok(());
        }
        let range = match self.source.keep_raw {
            true => Some(content.append_to(self.pack()?, object.sha256)?),
            false => None,
        };
        let ingested = match &content {
            Content::Memory(bytes) => self.ingester.add(&key, bytes),
            Content::File(_) => {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut content.reader()?, &mut bytes)
                    .map_err(|e| CliError::new(format!("cannot read back `{key}`")).cause(&e))?;
                self.ingester.add(&key, &bytes)
            }
        };
        if let Some(problem) = ingested.problem {
            self.course
                .failures
                .push((key, FailureStage::Ingest, problem));
        }
        self.course.record_count += ingested.record_count;
        let new = NewTrailObject {
            object,
            pack: None,
            record_count: ingested.record_count,
            flags: ingested.flags,
            categories: ingested.categories,
        };
        self.batch.objects.push((new, range));
        Ok(())
    }

    fn pack(&mut self) -> Result<&mut PackWriter, CliError> {
        if self.batch.pack.is_none() {
            self.batch.pack = Some(self.stage.pack_writer()?);
        }
        Ok(self
            .batch
            .pack
            .as_mut()
            .expect("it was made the line before"))
    }

    /// Hands the batch over, and waits until the one before is committed; false when nobody takes it.
    fn hand_over(&mut self, batches: &SyncSender<Batch>, spare: &Receiver<HeldBatch>) -> bool {
        if self.batch.is_empty() {
            return true;
        }
        let mut batch = std::mem::take(&mut self.batch);
        batch.held = self.ingester.take_held(HeldBatch::default());
        if batches.send(batch).is_err() {
            return false;
        }
        // What held the batch before is there when this one was taken: two of them are enough.
        if let Ok(spare) = spare.try_recv() {
            self.ingester.take_held(spare);
        }
        true
    }
}

/// Writes and commits batches, one after another.
pub(super) struct Writing<'w> {
    source: &'w Source,
    writer: &'w mut CacheWriter,
    columns: SpareColumns,
    changed_count: u64,
}

impl<'w> Writing<'w> {
    pub(super) fn new(source: &'w Source, writer: &'w mut CacheWriter) -> Self {
        Self {
            source,
            writer,
            columns: SpareColumns::default(),
            changed_count: 0,
        }
    }

    /// How many objects were known with other bytes.
    fn run(
        mut self,
        batches: &Receiver<Batch>,
        spare: &Sender<HeldBatch>,
    ) -> Result<u64, CliError> {
        for batch in batches {
            let held = self.commit(batch)?;
            // Whoever reads may have come to its end.
            let _unwanted = spare.send(held);
        }
        Ok(self.changed_count)
    }

    /// One transaction of a batch's objects, pack and table files. Gives back what held its records.
    fn commit(&mut self, batch: Batch) -> Result<HeldBatch, CliError> {
        let mut held = batch.held;
        let files = held
            .write(&self.writer.stage(), &mut self.columns)
            .map_err(|error| CliError::from_error(&error))?;
        let pack = batch.pack.map(PackWriter::finish).transpose()?;
        let hash = pack.as_ref().map(|pack| pack.sha256);
        let placed = |(mut new, range): (NewTrailObject, Option<PackRange>)| {
            new.pack = hash.zip(range);
            new
        };
        let outcome = self.writer.commit_trail_batch(&TrailBatch {
            source: self.source.name.clone(),
            packs: pack.into_iter().collect(),
            objects: batch.objects.into_iter().map(placed).collect(),
            refreshed: batch.refreshed,
            files,
        })?;
        self.changed_count += outcome.changed_count;
        if let Some(pack) = hash {
            let source = &self.source.name;
            self.writer
                .move_trail_objects(source, pack, &batch.repaired)?;
        }
        Ok(held)
    }
}

/// Both threads of an ingest.
pub(super) struct SideBySide<'s> {
    reading: ScopedJoinHandle<'s, Result<(), CliError>>,
    writing: ScopedJoinHandle<'s, Result<u64, CliError>>,
}

/// Begins both: they end when the channel of objects does.
pub(super) fn run_side_by_side<'s>(
    scope: &'s Scope<'s, '_>,
    ingest: Ingest<'s>,
    writing: Writing<'s>,
    objects: mpsc::Receiver<Vec<FetchedBytes>>,
) -> SideBySide<'s> {
    // No batch waits between them: one is read, one is written.
    let (sender, receiver) = sync_channel(0);
    let (spare_sender, spare) = channel();
    SideBySide {
        reading: scope.spawn(move || ingest.run(objects, &sender, &spare)),
        writing: scope.spawn(move || writing.run(&receiver, &spare_sender)),
    }
}

impl SideBySide<'_> {
    /// Waits for both; what [`Writing::run`] says.
    pub(super) fn join(self) -> Result<u64, CliError> {
        let (read, written) = (self.reading.join(), self.writing.join());
        // What ends the writing ends the reading, too, and says why.
        let changed_count = resumed(written)?;
        resumed(read)?;
        Ok(changed_count)
    }
}

fn resumed<T>(joined: std::thread::Result<T>) -> T {
    joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
