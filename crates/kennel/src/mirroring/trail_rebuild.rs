//! `kennel sync --rebuild-tables` of a CloudTrail source: its tables made anew from its packs.
//!
//! Records that only the tables hold (`keep_raw = false`) cannot be made again: as long as the tables are whole they
//! stay as they are, else such objects are forgotten, so that the sync that follows fetches them again.

use std::collections::BTreeMap;

use kennel_cache::{
    CacheError, CacheWriter, CountedDay, DeliveryDay, EventCategory, NewTrailFile, RereadObject,
    SourceName, Stage, TrailKey, TrailObject, TrailPrefix, TrailRebuild,
};
use kennel_engine::trail::{Ingested, TrailIngester, compact_rebuilt, decode::DecodeLimits};

use super::trail_ingest::BATCH_BYTES;
use crate::{clock, error::CliError, settings::Source, text::counted};

/// What is said of objects that could not be read; `kennel status` has all.
const NAMED_PROBLEMS: usize = 10;

/// Makes all tables of a source anew; says how many files, and what failed.
///
/// Nothing is changed before the last step, which is one transaction.
pub(super) fn rebuild(
    source: &Source,
    writer: &mut CacheWriter,
) -> Result<(u64, Vec<String>), CliError> {
    let name = &source.name;
    let reading = match writer.cache().trail_objects_of(name) {
        Err(CacheError::UnknownSource { .. }) => return Ok((0, Vec::new())),
        reading => reading?,
    };
    let mut packs = writer.cache().pack_reader();
    let mut making = Making {
        stage: writer.stage(),
        ingester: TrailIngester::new(DecodeLimits::default()),
        written: Vec::new(),
        days: BTreeMap::new(),
        rebuild: TrailRebuild {
            source: name.clone(),
            at: clock::now(),
            files: Vec::new(),
            reread: Vec::new(),
            days: Vec::new(),
            forgotten: Vec::new(),
            failures: Vec::new(),
        },
        replaced_count: 0,
    };
    for object in reading {
        let object = object?;
        let key = &object.object.key;
        let (bytes, lost) = match object.bytes(&mut packs) {
            Ok(Some(bytes)) => (bytes, None),
            Ok(None) if object.object.size_bytes == 0 => (Vec::new(), None),
            Ok(None) => (Vec::new(), Some("its bytes were not kept".to_owned())),
            Err(error @ CacheError::DamagedPack { .. }) => (Vec::new(), Some(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let Some(what) = lost else {
            making.read(&object, &bytes)?;
            continue;
        };
        if making.rebuild.forgotten.is_empty() && writer.cache().trail_tables_are_intact(name)? {
            let stays = format!(
                "{name}: the tables stay as they are, for they hold what could not be made again: {key}: {what}"
            );
            return Ok((0, vec![stays]));
        }
        making.rebuild.forgotten.push(key.clone());
    }
    making.finish(name, writer)
}

/// What was made so far.
struct Making {
    stage: Stage,
    ingester: TrailIngester,
    written: Vec<NewTrailFile>,
    days: BTreeMap<(TrailPrefix, DeliveryDay, EventCategory), (u64, u64)>,
    rebuild: TrailRebuild,
    replaced_count: u64,
}

impl Making {
    fn read(&mut self, known: &TrailObject, bytes: &[u8]) -> Result<(), CliError> {
        let key = &known.object.key;
        let Ingested {
            record_count,
            categories,
            flags,
            problem,
        } = self.ingester.add(key, bytes);
        if let Some(place) = TrailKey::parse(key) {
            for (category, event_count) in categories {
                let day = (place.prefix.clone(), place.day, category);
                let sums = self.days.entry(day).or_default();
                *sums = (sums.0 + 1, sums.1 + event_count);
            }
        }
        if (record_count, flags) != (known.record_count, known.flags) {
            self.replaced_count += u64::from(known.flags.replaced);
            self.rebuild.reread.push(RereadObject {
                key: key.clone(),
                record_count,
                flags,
            });
        }
        if let Some(problem) = problem {
            self.rebuild.failures.push((key.clone(), problem));
        }
        if self.ingester.held_bytes() >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), CliError> {
        let files = self.ingester.flush(&self.stage);
        self.written
            .extend(files.map_err(|error| CliError::from_error(&error))?);
        Ok(())
    }

    fn finish(
        mut self,
        name: &SourceName,
        writer: &mut CacheWriter,
    ) -> Result<(u64, Vec<String>), CliError> {
        self.flush()?;
        let compacted = compact_rebuilt(writer.cache(), name, &self.stage, &self.written)
            .map_err(|error| CliError::from_error(&error))?;
        let days = self.days.into_iter();
        let days = days.map(
            |((prefix, day, category), (object_count, event_count))| CountedDay {
                prefix,
                day,
                category,
                object_count,
                event_count,
            },
        );
        let rebuild = TrailRebuild {
            files: compacted.files,
            days: days.collect(),
            at: clock::now(),
            ..self.rebuild
        };
        writer.replace_trail_tables(&rebuild)?;
        writer.remove_replaced_tables();
        let problems = rebuild.failures.iter().take(NAMED_PROBLEMS);
        let mut told = problems
            .map(|(key, problem)| format!("{name}: cannot ingest {key}: {problem}"))
            .collect::<Vec<_>>();
        let unnamed = rebuild.failures.len().saturating_sub(NAMED_PROBLEMS);
        if unnamed > 0 {
            told.push(format!(
                "{name}: and {unnamed} more; `kennel status -f json` has all"
            ));
        }
        if !rebuild.forgotten.is_empty() {
            told.push(format!(
                "{name}: {} whose bytes are not in the cache could not be read again; the sync fetches what the source still has",
                counted(rebuild.forgotten.len() as u64, "object")
            ));
        }
        if self.replaced_count > 0 {
            told.push(format!(
                "{name}: {} came with other bytes before; the records of those are no longer in the tables",
                counted(self.replaced_count, "object")
            ));
        }
        Ok((rebuild.files.len() as u64, told))
    }
}
