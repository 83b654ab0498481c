//! A sync's side of ingesting: objects in, table files out, a batch at a time.

use std::collections::BTreeMap;

use chrono::DateTime;
use kennel_cache::{
    Cache, DeliveryDay, EventCategory, NewTrailFile as NamedFile, SourceName, Stage, TrailFile,
    TrailFlags, TrailFolder, TrailKey, TrailTable,
};

use super::{
    NewTrailFile, TrailFileError, TrailTableFile, TrailWriteOptions, compact,
    compact::stays_alone,
    decode::{DecodeLimits, Decoder, ObjectOrigin},
    encode::SpareColumns,
    files::write_held,
    held::HeldRecords,
    plan_compaction, settle,
};

/// Rows that take less memory make a file too small to stay as it is.
const SMALL_RUN_BYTES: usize = 16 << 20;
/// The counting of [`NamedFile::level`]: as a batch wrote it.
const LEVEL_RUN: u32 = 0;
/// Merged, with duplicate flags.
const LEVEL_COMPACTED: u32 = 1;

/// What was read of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Its records.
    pub record_count: u64,
    /// Its events by category; see [`kennel_cache::NewTrailObject::categories`].
    pub categories: Vec<(EventCategory, u64)>,
    /// What is odd about it.
    pub flags: TrailFlags,
    /// What of it could not be read, one line; `None` when all could.
    pub problem: Option<String>,
}

/// Reads objects and collects their records until they are written.
#[derive(Debug)]
pub struct TrailIngester {
    decoder: Decoder,
    held: HeldBatch,
    columns: SpareColumns,
}

/// Records that were read and are not written yet, by table. Used again, it keeps its memory.
#[derive(Debug, Default)]
pub struct HeldBatch(BTreeMap<TrailTable, HeldRecords>);

impl HeldBatch {
    /// Bytes of memory that the records take.
    fn memory_bytes(&self) -> usize {
        self.0.values().map(HeldRecords::memory_bytes).sum()
    }

    /// Writes the records, sorted, to table files; none is held afterwards.
    ///
    /// # Errors
    /// [`TrailFileError`]; what was held is lost then, and no manifest names anything of it.
    pub fn write(
        &mut self,
        stage: &Stage,
        columns: &mut SpareColumns,
    ) -> Result<Vec<NamedFile>, TrailFileError> {
        let mut named = Vec::new();
        for (table, held) in &mut self.0 {
            let options = match held.memory_bytes() < SMALL_RUN_BYTES {
                true => TrailWriteOptions::run(),
                false => TrailWriteOptions::default(),
            };
            let files = write_held(held, stage, &options, columns);
            held.clear();
            let files = files?.into_iter();
            named.extend(files.map(|file| name(file, *table, LEVEL_RUN)));
        }
        Ok(named)
    }
}

impl TrailIngester {
    /// An ingester that holds nothing.
    pub fn new(limits: DecodeLimits) -> Self {
        Self {
            decoder: Decoder::new(limits),
            held: HeldBatch::default(),
            columns: SpareColumns::default(),
        }
    }

    /// Reads an object. What cannot be read of it is said in [`Ingested::problem`]; its other records count.
    /// A digest has no records.
    pub fn add(&mut self, key: &str, bytes: &[u8]) -> Ingested {
        let Some(place) = TrailKey::parse(key) else {
            return refused("its key is no CloudTrail file's".into());
        };
        let Some(table) = table_of(place.prefix.folder) else {
            return Ingested::default();
        };
        let origin = ObjectOrigin {
            key,
            account: Some(place.prefix.account_id.as_str()),
            region: Some(&place.prefix.region),
            day: Some(place.day.as_str()),
            kind: table,
        };
        let held = self.held.0.entry(table).or_default();
        let decoded = self.decoder.decode_object(bytes, &origin, held);
        let outcome = match decoded {
            Ok(outcome) => outcome,
            Err(error) => return refused(error.to_string()),
        };
        let mut categories = outcome.categories().collect::<Vec<_>>();
        if categories.is_empty() {
            categories.push((EventCategory::Unknown, 0));
        }
        Ingested {
            record_count: outcome.record_count,
            categories,
            flags: TrailFlags {
                several_members: outcome.members > 1,
                damaged: outcome.problem_count > 0,
                ..TrailFlags::default()
            },
            problem: outcome.problems.first().map(|first| {
                let more = match outcome.problem_count {
                    1 => String::new(),
                    count => format!(", and {} more records", count - 1),
                };
                format!("record {}: {}{more}", first.index, first.what)
            }),
        }
    }

    /// Bytes of memory that records take which are not written yet.
    pub fn held_bytes(&self) -> usize {
        self.held.memory_bytes()
    }

    /// Hands over what was collected, for another thread to write while this one reads on into `spare`, which holds
    /// nothing.
    pub fn take_held(&mut self, spare: HeldBatch) -> HeldBatch {
        std::mem::replace(&mut self.held, spare)
    }

    /// Writes what was collected: see [`HeldBatch::write`].
    ///
    /// # Errors
    /// [`TrailFileError`].
    pub fn flush(&mut self, stage: &Stage) -> Result<Vec<NamedFile>, TrailFileError> {
        self.held.write(stage, &mut self.columns)
    }
}

fn refused(what: String) -> Ingested {
    Ingested {
        categories: vec![(EventCategory::Unknown, 0)],
        flags: TrailFlags {
            damaged: true,
            ..TrailFlags::default()
        },
        problem: Some(what),
        ..Ingested::default()
    }
}

fn table_of(folder: TrailFolder) -> Option<TrailTable> {
    match folder {
        TrailFolder::CloudTrail => Some(TrailTable::Events),
        TrailFolder::Insight => Some(TrailTable::Insights),
        TrailFolder::NetworkActivity => Some(TrailTable::NetworkActivity),
        TrailFolder::Aggregated => Some(TrailTable::Aggregated),
        TrailFolder::Digest => None,
    }
}

fn name(file: NewTrailFile, table: TrailTable, level: u32) -> NamedFile {
    let instant = |(first, last)| {
        DateTime::from_timestamp_micros(first).zip(DateTime::from_timestamp_micros(last))
    };
    let day =
        |(first, last): (String, String)| DeliveryDay::parse(&first).zip(DeliveryDay::parse(&last));
    NamedFile {
        table,
        table_path: file.table_path,
        size_bytes: file.size_bytes,
        row_count: file.row_count,
        event_time: file.event_time_micros.and_then(instant),
        delivery_day: file.delivery_day.and_then(day),
        columns: file.columns,
        statistics: file.statistics,
        level,
    }
}

/// What a compaction made, for [`kennel_cache::TrailFinish`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compacted {
    /// The compacted files.
    pub files: Vec<NamedFile>,
    /// Ids of the files whose rows are in them.
    pub replaced_ids: Vec<i64>,
    /// Rows flagged as duplicates, of these and of what a sync wrote and was left as it is.
    pub duplicate_count: u64,
}

/// Merges what is small of what a sync wrote with what lies near it, and flags duplicates. Large files without an
/// event that another file has stay as they are, and so does a small one that there is nothing to merge with.
///
/// Files of other sources are looked at and left as they are: an organisation's trail and an account's own
/// deliver the same events to two buckets.
///
/// # Errors
/// [`TrailFileError`]; nothing is replaced then.
pub fn compact_trail(
    cache: &Cache,
    source: &SourceName,
    stage: &Stage,
) -> Result<Compacted, TrailFileError> {
    let pending = cache.pending_trail_files(source)?;
    let mut compacted = Compacted::default();
    for table in TrailTable::ALL {
        let new = pending.iter().filter(|file| file.file.table == table);
        let new = new.map(table_file).collect::<Vec<_>>();
        if new.is_empty() {
            continue;
        }
        let (own, others): (Vec<_>, Vec<_>) = cache
            .trail_files(table)?
            .into_iter()
            .partition(|file| file.source == *source);
        let own = own.iter().map(table_file).collect::<Vec<_>>();
        let others = others.iter().map(table_file).collect::<Vec<_>>();
        compacted.add(new, own, others, table, cache, stage)?;
    }
    Ok(compacted)
}

/// Does for all that was written of a source's objects anew what [`compact_trail`] does, as if the source had
/// nothing yet. [`Compacted::files`] are all files that take the place of what it has, those among them that
/// stay as they were written; [`Compacted::replaced_ids`] are positions in `written`.
///
/// # Errors
/// [`TrailFileError`]; nothing is replaced then.
pub fn compact_rebuilt(
    cache: &Cache,
    source: &SourceName,
    stage: &Stage,
    written: &[NamedFile],
) -> Result<Compacted, TrailFileError> {
    let mut compacted = Compacted::default();
    for table in TrailTable::ALL {
        let new = (0..)
            .zip(written)
            .filter(|(_, file)| file.table == table)
            .map(|(id, file)| named_file(id, file))
            .collect::<Vec<_>>();
        if new.is_empty() {
            continue;
        }
        let known = cache.trail_files(table)?;
        // What is damaged or gone cannot be looked at: its own source, made anew, looks at these files then.
        let others = known
            .iter()
            .filter(|file| file.source != *source && cache.is_table_intact(&file.file.table_path))
            .map(table_file)
            .collect();
        compacted.add(new, Vec::new(), others, table, cache, stage)?;
    }
    let is_replaced = |id| compacted.replaced_ids.contains(&id);
    let stay = (0..).zip(written).filter(|(id, _)| !is_replaced(*id));
    let stay = stay.map(|(_, file)| file.clone()).collect::<Vec<_>>();
    compacted.files.extend(stay);
    Ok(compacted)
}

impl Compacted {
    fn add(
        &mut self,
        new: Vec<TrailTableFile>,
        own: Vec<TrailTableFile>,
        others: Vec<TrailTableFile>,
        table: TrailTable,
        cache: &Cache,
        stage: &Stage,
    ) -> Result<(), TrailFileError> {
        let options = TrailWriteOptions::default();
        let tables = cache.home().tables();
        let visible = own.iter().chain(&others).cloned().collect::<Vec<_>>();
        let settled = settle(new, &visible, &tables, &options)?;
        self.duplicate_count += settled.duplicate_count;
        if settled.rewrite.is_empty() {
            // Not even the footers of the files beside it need to be read.
            return Ok(());
        }
        let mut plan = plan_compaction(&own, &settled.rewrite, options.max_file_bytes);
        plan.reference.extend(others);
        plan.reference.extend(settled.stay);
        if let Some(duplicate_count) = stays_alone(&plan, &tables)? {
            self.duplicate_count += duplicate_count;
            return Ok(());
        }
        let outcome = compact(&plan, &tables, stage, &options)?;
        let files = outcome.new_files.into_iter();
        self.files
            .extend(files.map(|file| name(file, table, LEVEL_COMPACTED)));
        self.replaced_ids.extend(outcome.replaced_ids);
        self.duplicate_count += outcome.duplicate_count;
        Ok(())
    }
}

fn table_file(file: &TrailFile) -> TrailTableFile {
    named_file(file.id, &file.file)
}

fn named_file(id: i64, file: &NamedFile) -> TrailTableFile {
    let times = file.event_time;
    TrailTableFile {
        id,
        table_path: file.table_path.clone(),
        size_bytes: file.size_bytes,
        row_count: file.row_count,
        event_time_micros: times
            .map(|(first, last)| (first.timestamp_micros(), last.timestamp_micros())),
        may_lack_times: TrailTableFile::may_lack_times(&file.statistics),
    }
}
