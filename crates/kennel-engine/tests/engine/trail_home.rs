//! A cache filled with CloudTrail objects without a mirror: batches, compaction and the end of a sync as `kennel sync`
//! does them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use kennel_cache::{
    CacheWriter, DeliveryDay, FailureStage, FetchedObject, NewTrailFile, NewTrailObject, PackRange,
    Sha256, SourceKind, SourceName, TrailBatch, TrailFile, TrailFinish, TrailKey, TrailListed,
    TrailTable,
};
use kennel_engine::trail::{
    Compacted, CompactionPlan, TrailIngester, TrailTableFile, TrailWriteOptions, compact,
    compact_trail, decode::DecodeLimits,
};
use kennel_testkit::fixtures::{
    BucketOptions, analysis_time, bucket_objects, guide, guide_next_day, next_analysis_time,
    trail::{covered_until, deliver, guide_trail},
    utc,
};

use crate::home::TestCache;

pub(crate) const TRAIL: &str = "trail";
pub(crate) const TRAIL_URL: &str = "s3://safeco-cloudtrail-archive";

impl TestCache {
    /// Two nights of k9 reports and one sync of the CloudTrail that goes with them.
    pub(crate) fn of_the_guide_with_its_trail() -> Self {
        let cache = Self::of(&guide(), analysis_time());
        cache.sync(
            bucket_objects(&guide_next_day(), &BucketOptions::default()),
            next_analysis_time(),
        );
        assert_eq!(
            cache.sync_trail(&deliver(&guide_trail()), after_the_trail()),
            []
        );
        cache
    }

    /// The CloudTrail alone.
    pub(crate) fn of_the_trail() -> Self {
        let cache = Self::new();
        assert_eq!(
            cache.sync_trail(&deliver(&guide_trail()), after_the_trail()),
            []
        );
        cache
    }

    /// One sync of all these objects in two batches; returns what could not be read.
    pub(crate) fn sync_trail(
        &self,
        objects: &[(String, Vec<u8>)],
        at: DateTime<Utc>,
    ) -> Vec<(String, String)> {
        self.sync_trail_with(objects, at, None, |writer, source| {
            compact_trail(writer.cache(), source, &writer.stage()).unwrap()
        })
    }

    /// The same, but the source was listed from this day on only, as with `since`.
    pub(crate) fn sync_trail_since(&self, objects: &[(String, Vec<u8>)], day: &str) {
        let day = DeliveryDay::parse(day);
        let failed = self.sync_trail_with(objects, after_the_trail(), day, |writer, source| {
            compact_trail(writer.cache(), source, &writer.stage()).unwrap()
        });
        assert_eq!(failed, []);
    }

    /// The same, but what it writes stays a file of its own, of small row groups: as in a cache of
    /// millions of events.
    pub(crate) fn sync_trail_apart(&self, objects: &[(String, Vec<u8>)], at: DateTime<Utc>) {
        assert_eq!(self.sync_trail_with(objects, at, None, compact_apart), []);
    }

    fn sync_trail_with(
        &self,
        objects: &[(String, Vec<u8>)],
        at: DateTime<Utc>,
        since: Option<DeliveryDay>,
        compact: impl FnOnce(&CacheWriter, &SourceName) -> Compacted,
    ) -> Vec<(String, String)> {
        let source = SourceName::try_new(TRAIL).unwrap();
        let mut writer = CacheWriter::open(self.path(), at).unwrap();
        writer
            .register_source(&source, SourceKind::CloudTrail, TRAIL_URL)
            .unwrap();
        let mut ingester = TrailIngester::new(DecodeLimits::default());
        let mut failures = Vec::new();
        let (first, second) = objects.split_at(objects.len() / 2);
        for batch in [first, second] {
            commit_batch(
                &mut writer,
                &mut ingester,
                &source,
                batch,
                at,
                &mut failures,
            );
        }
        let compacted = compact(&writer, &source);
        let named = failures.iter().cloned();
        writer
            .finish_trail_sync(&TrailFinish {
                source,
                started_at: at,
                taken_at: at,
                listed: listed(objects, since),
                replaced_files: compacted.replaced_ids,
                files: compacted.files,
                refreshed: vec![],
                failures: named
                    .map(|(key, message)| (key, FailureStage::Ingest, message))
                    .collect(),
                covers_all: true,
                fetched_count: objects.len() as u64,
                fetched_bytes: objects.iter().map(|(_, body)| body.len() as u64).sum(),
                unchanged_count: 0,
                changed_count: 0,
                error: None,
            })
            .unwrap();
        failures
    }
}

/// When the story's trail was mirrored.
pub(crate) fn after_the_trail() -> DateTime<Utc> {
    assert!(covered_until() < utc("2026-03-03 10:00:00"));
    utc("2026-03-03 10:00:00")
}

/// Every prefix, listed to its end.
fn listed(objects: &[(String, Vec<u8>)], since: Option<DeliveryDay>) -> Vec<TrailListed> {
    let mut newest = BTreeMap::new();
    for (key, _) in objects {
        let place = TrailKey::parse(key).unwrap();
        let day = newest.entry(place.prefix).or_insert(place.day);
        *day = place.day.max(*day);
    }
    newest
        .into_iter()
        .map(|(prefix, newest)| TrailListed {
            prefix,
            from: since,
            until: None,
            newest: Some(newest),
            first_open: None,
            is_full: since.is_none(),
        })
        .collect()
}

fn compact_apart(writer: &CacheWriter, source: &SourceName) -> Compacted {
    let options = TrailWriteOptions {
        row_group_rows: 40,
        page_rows: 10,
        ..TrailWriteOptions::default()
    };
    let mut compacted = Compacted::default();
    for table in TrailTable::ALL {
        let file_of = |file: &TrailFile| TrailTableFile {
            id: file.id,
            table_path: file.file.table_path.clone(),
            size_bytes: file.file.size_bytes,
            row_count: file.file.row_count,
            event_time_micros: None,
            may_lack_times: true,
        };
        let pending = writer.cache().pending_trail_files(source).unwrap();
        let pending = pending.iter().filter(|file| file.file.table == table);
        let plan = CompactionPlan {
            rewrite: pending.map(file_of).collect(),
            reference: writer
                .cache()
                .trail_files(table)
                .unwrap()
                .iter()
                .map(file_of)
                .collect(),
        };
        if plan.rewrite.is_empty() {
            continue;
        }
        let tables = writer.cache().home().tables();
        let outcome = compact(&plan, &tables, &writer.stage(), &options).unwrap();
        compacted.replaced_ids.extend(outcome.replaced_ids);
        compacted.duplicate_count += outcome.duplicate_count;
        compacted
            .files
            .extend(outcome.new_files.into_iter().map(|file| {
                let instant = |micros| DateTime::from_timestamp_micros(micros).unwrap();
                let day = |text: String| DeliveryDay::parse(&text).unwrap();
                NewTrailFile {
                    table,
                    table_path: file.table_path,
                    size_bytes: file.size_bytes,
                    row_count: file.row_count,
                    event_time: file
                        .event_time_micros
                        .map(|(a, b)| (instant(a), instant(b))),
                    delivery_day: file.delivery_day.map(|(a, b)| (day(a), day(b))),
                    columns: file.columns,
                    statistics: file.statistics,
                    level: 1,
                }
            }));
    }
    compacted
}

fn commit_batch(
    writer: &mut CacheWriter,
    ingester: &mut TrailIngester,
    source: &SourceName,
    objects: &[(String, Vec<u8>)],
    at: DateTime<Utc>,
    failures: &mut Vec<(String, String)>,
) {
    let mut pack = writer.stage().pack_writer().unwrap();
    let mut read: Vec<(NewTrailObject, PackRange)> = Vec::new();
    for (key, body) in objects {
        let range = pack.append(body, Sha256::of(body)).unwrap();
        let ingested = ingester.add(key, body);
        failures.extend(ingested.problem.map(|problem| (key.clone(), problem)));
        let object = NewTrailObject {
            object: fetched(key, body, at),
            pack: None,
            record_count: ingested.record_count,
            flags: ingested.flags,
            categories: ingested.categories,
        };
        read.push((object, range));
    }
    if read.is_empty() {
        return;
    }
    let files = ingester.flush(&writer.stage()).unwrap();
    let pack = pack.finish().unwrap();
    let objects = read.into_iter().map(|(mut object, range)| {
        object.pack = Some((pack.sha256, range));
        object
    });
    writer
        .commit_trail_batch(&TrailBatch {
            source: source.clone(),
            objects: objects.collect(),
            packs: vec![pack],
            refreshed: vec![],
            files,
        })
        .unwrap();
}

fn fetched(key: &str, body: &[u8], at: DateTime<Utc>) -> FetchedObject {
    FetchedObject {
        key: key.into(),
        etag: Sha256::of(body).to_string(),
        size_bytes: body.len() as u64,
        modified_at: at,
        version_id: None,
        storage_class: None,
        sha256: Sha256::of(body),
        verified_by: "length".into(),
        metadata: Default::default(),
        fetched_at: at,
    }
}
