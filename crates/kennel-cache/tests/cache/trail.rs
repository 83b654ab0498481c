//! CloudTrail in the cache: batches, the end of a sync, kills in between, packs.

mod damage;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::Path,
};

use kennel_cache::{
    Cache, CacheError, CacheWriter, CoveragePlace, Days, DeliveryDay, EventCategory, FailureStage,
    FetchedObject, NewTrailFile, NewTrailObject, Sha256, SourceKind, SourceName, TrailBatch,
    TrailFinish, TrailFlags, TrailListed, TrailPrefix, TrailTable,
};

use crate::at;

const PREFIX: &str = "AWSLogs/012345678901/CloudTrail/eu-west-1/";

fn trail() -> SourceName {
    SourceName::try_new("trail").unwrap()
}

fn day(number: u32) -> DeliveryDay {
    DeliveryDay::parse(&format!("2026/03/{number:02}")).unwrap()
}

fn key(number: u32, name: &str) -> String {
    format!("{PREFIX}{}/{name}.json.gz", day(number))
}

fn writer(home: &Path, now: i64) -> CacheWriter {
    let mut writer = CacheWriter::open(home, at(now)).unwrap();
    writer
        .register_source(&trail(), SourceKind::CloudTrail, "s3://safeco-trail")
        .unwrap();
    writer
}

fn object(key: &str, body: &[u8]) -> FetchedObject {
    FetchedObject {
        key: key.into(),
        etag: "0123456789abcdef0123456789abcdef".into(),
        size_bytes: body.len() as u64,
        modified_at: at(0),
        version_id: None,
        storage_class: Some("STANDARD".into()),
        sha256: Sha256::of(body),
        verified_by: "md5".into(),
        metadata: Default::default(),
        fetched_at: at(0),
    }
}

fn table(writer: &CacheWriter, content: &[u8]) -> NewTrailFile {
    let mut file = writer.stage().create().unwrap();
    file.write_all(content).unwrap();
    NewTrailFile {
        table: TrailTable::Events,
        table_path: file.publish_table("cloudtrail", "parquet").unwrap(),
        size_bytes: content.len() as u64,
        row_count: 2,
        event_time: Some((at(0), at(1))),
        delivery_day: Some((day(1), day(2))),
        columns: "[]".into(),
        statistics: "{}".into(),
        level: 0,
    }
}

/// A batch of objects, their bytes in one pack, their "records" in one table file.
fn batch(writer: &CacheWriter, objects: &[(&str, &[u8])]) -> TrailBatch {
    let mut pack = writer.stage().pack_writer().unwrap();
    let ranges = objects
        .iter()
        .map(|(_, body)| pack.append(body, Sha256::of(body)).unwrap())
        .collect::<Vec<_>>();
    let pack = pack.finish().unwrap();
    let content = objects.iter().flat_map(|(_, body)| body.to_vec());
    TrailBatch {
        source: trail(),
        objects: objects
            .iter()
            .zip(ranges)
            .map(|((key, body), range)| NewTrailObject {
                object: object(key, body),
                pack: Some((pack.sha256, range)),
                record_count: 2,
                flags: TrailFlags::default(),
                categories: vec![(EventCategory::Management, 1), (EventCategory::Data, 1)],
            })
            .collect(),
        refreshed: vec![],
        files: vec![table(writer, &content.collect::<Vec<_>>())],
        packs: vec![pack],
    }
}

fn finish(now: i64) -> TrailFinish {
    TrailFinish {
        source: trail(),
        started_at: at(now),
        taken_at: at(now),
        listed: vec![],
        replaced_files: vec![],
        files: vec![],
        refreshed: vec![],
        failures: vec![],
        covers_all: true,
        fetched_count: 0,
        fetched_bytes: 0,
        unchanged_count: 0,
        changed_count: 0,
        error: None,
    }
}

fn listed(newest: u32) -> TrailListed {
    TrailListed {
        prefix: TrailPrefix::parse(PREFIX).unwrap(),
        from: None,
        until: None,
        newest: Some(day(newest)),
        first_open: None,
        is_full: true,
    }
}

fn known(cache: &Cache, after: Option<&str>) -> Vec<String> {
    cache
        .known_trail_objects(&trail(), PREFIX, after)
        .unwrap()
        .map(|object| object.unwrap().key)
        .collect()
}

fn events(cache: &Cache) -> Vec<String> {
    let files = cache.trail_files(TrailTable::Events).unwrap();
    files.into_iter().map(|f| f.file.table_path).collect()
}

/// What is said of places as a whole is what is said of them day by day.
fn held_agrees_with_coverage(cache: &Cache) -> usize {
    let mut expected = BTreeMap::<CoveragePlace, (Days, BTreeSet<EventCategory>)>::new();
    for row in cache.trail_coverage().unwrap() {
        let (days, categories) = expected.entry((*row.place).clone()).or_default();
        days.insert(row.day.date().unwrap());
        if row.event_count > 0 {
            categories.insert(row.category);
        }
    }
    let held = cache.trail_held().unwrap();
    let held = held
        .into_iter()
        .map(|held| (held.place, (held.days, held.categories)));
    let held = held.collect::<BTreeMap<_, _>>();
    assert_eq!(held, expected);
    held.len()
}

/// Files below a folder of the cache.
fn count_files(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |entries| {
        entries
            .map(|entry| match entry.unwrap().path() {
                path if path.is_dir() => count_files(&path),
                _ => 1,
            })
            .sum()
    })
}

#[test]
fn what_a_sync_commits_is_seen_at_its_end_and_all_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let (a, b) = (key(1, "a"), key(2, "b"));
    let first = batch(&writer, &[(&a, b"one")]);
    assert_eq!(writer.commit_trail_batch(&first).unwrap().added_count, 1);
    let second = batch(&writer, &[(&b, b"two")]);
    writer.commit_trail_batch(&second).unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    assert!(events(&cache).is_empty());
    assert!(cache.trail_coverage().unwrap().is_empty());
    assert_eq!(held_agrees_with_coverage(&cache), 0);
    assert_eq!(cache.pending_trail_files(&trail()).unwrap().len(), 2);
    assert_eq!(known(&cache, None), [a.clone(), b.clone()]);

    let mut end = finish(1);
    end.listed = vec![listed(2)];
    let outcome = writer.finish_trail_sync(&end).unwrap();
    assert_eq!(outcome.added_count, 2);
    assert!(outcome.snapshot.is_some());
    assert_eq!(events(&cache).len(), 2);
    assert!(cache.pending_trail_files(&trail()).unwrap().is_empty());
    let coverage = cache.trail_coverage().unwrap();
    let rows = coverage
        .iter()
        .map(|c| (c.day, c.category, c.object_count, c.event_count))
        .collect::<Vec<_>>();
    assert_eq!(
        rows,
        [
            (day(1), EventCategory::Data, 1, 1),
            (day(1), EventCategory::Management, 1, 1),
            (day(2), EventCategory::Data, 1, 1),
            (day(2), EventCategory::Management, 1, 1),
        ]
    );
    assert_eq!(coverage[0].place.account_id.as_str(), "012345678901");
    assert_eq!(held_agrees_with_coverage(&cache), 1);
    let prefixes = cache.trail_prefixes(&trail()).unwrap();
    assert_eq!(prefixes.len(), 1);
    assert_eq!(prefixes[0].checkpoint_day, Some(day(2)));
    assert_eq!(prefixes[0].full_listed_at, Some(at(1)));
    assert_eq!(
        (
            prefixes[0].object_count,
            prefixes[0].size_bytes,
            prefixes[0].record_count
        ),
        (2, 6, 4)
    );
    let source = &cache.sources().unwrap()[0];
    assert_eq!(
        (source.object_count, source.current_bytes, source.kept_bytes),
        (2, 6, 6)
    );
    assert_eq!(cache.known_count(&trail()).unwrap(), 2);
    let quiet = writer.finish_trail_sync(&finish(2)).unwrap();
    assert_eq!(quiet.snapshot, None, "nothing changed");
}

#[test]
fn an_object_comes_back_as_it_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let (a, b) = (key(1, "a"), key(1, "b"));
    let mut batch = batch(&writer, &[(&a, b"one"), (&b, b"second")]);
    batch.objects[1].object.etag = "an etag-2".into();
    batch.objects[1].object.metadata = [("signature".to_owned(), "ab".to_owned())].into();
    batch.objects[1].object.storage_class = None;
    batch.objects[1].object.version_id = Some("v1".into());
    batch.objects[1].flags.several_members = true;
    batch.objects[0].pack = None;
    writer.commit_trail_batch(&batch).unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let all = cache
        .trail_objects()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    for (found, new) in all.iter().zip(&batch.objects) {
        assert_eq!(found.object, new.object);
        assert_eq!(found.pack, new.pack);
        assert_eq!(found.flags, new.flags);
        assert_eq!(
            cache.trail_object(&trail(), &new.object.key).unwrap(),
            Some(found.clone())
        );
    }
    assert_eq!(all.len(), 2);
    let bytes = |key: &str| cache.trail_object_bytes(&trail(), key).unwrap();
    assert_eq!(bytes(&b).as_deref(), Some(b"second".as_slice()));
    assert_eq!(bytes(&a), None, "its bytes were not kept");
    assert_eq!(bytes(&key(1, "c")), None);
    assert_eq!(cache.trail_object(&trail(), "x").unwrap(), None);
}

#[test]
fn an_object_is_ingested_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let (a, b) = (key(1, "a"), key(1, "b"));
    let first = batch(&writer, &[(&a, b"one")]);
    writer.commit_trail_batch(&first).unwrap();
    let again = batch(&writer, &[(&b, b"two"), (&a, b"one")]);
    let error = writer.commit_trail_batch(&again).unwrap_err();
    assert!(matches!(error, CacheError::AlreadyIngested { key } if key == a));
    assert_eq!(
        known(writer.cache(), None),
        std::slice::from_ref(&a),
        "all or nothing"
    );
    assert_eq!(
        writer.cache().pending_trail_files(&trail()).unwrap().len(),
        1
    );
    // Other bytes under the same key are new records.
    let changed = batch(&writer, &[(&a, b"other")]);
    let outcome = writer.commit_trail_batch(&changed).unwrap();
    assert_eq!((outcome.added_count, outcome.changed_count), (0, 1));
    let found = writer.cache().trail_object(&trail(), &a).unwrap().unwrap();
    assert!(found.flags.replaced);
    let prefix = &writer.cache().trail_prefixes(&trail()).unwrap()[0];
    assert_eq!(
        (prefix.object_count, prefix.size_bytes, prefix.record_count),
        (1, 5, 4)
    );
}

#[test]
fn a_new_etag_of_the_same_bytes_is_no_new_object() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let a = key(1, "a");
    let first = batch(&writer, &[(&a, b"one")]);
    writer.commit_trail_batch(&first).unwrap();
    let mut moved = object(&a, b"one");
    moved.etag = "copied-2".into();
    moved.storage_class = Some("STANDARD_IA".into());
    let refresh = TrailBatch {
        source: trail(),
        packs: vec![],
        objects: vec![],
        refreshed: vec![moved.clone()],
        files: vec![],
    };
    writer.commit_trail_batch(&refresh).unwrap();
    let found = writer.cache().trail_object(&trail(), &a).unwrap().unwrap();
    assert_eq!(found.object, moved);
    assert_eq!(found.record_count, 2);
    let mut end = finish(1);
    end.refreshed = vec![(a.clone(), at(7))];
    writer.finish_trail_sync(&end).unwrap();
    let found = writer.cache().trail_object(&trail(), &a).unwrap().unwrap();
    assert_eq!(found.object.modified_at, at(7));
}

#[test]
fn a_kill_before_the_commit_leaves_nothing_to_see_and_the_next_writer_sweeps() {
    let dir = tempfile::tempdir().unwrap();
    let (packs, tables) = (dir.path().join("packs"), dir.path().join("tables"));
    let mut first = writer(dir.path(), 0);
    let committed = batch(&first, &[(&key(1, "a"), b"one")]);
    first.commit_trail_batch(&committed).unwrap();
    let never_committed = batch(&first, &[(&key(1, "b"), b"two")]);
    drop(first);
    assert_eq!((count_files(&packs), count_files(&tables)), (2, 2));

    let reader = Cache::open(dir.path()).unwrap();
    assert_eq!(known(&reader, None), [key(1, "a")]);
    drop(writer(dir.path(), 1));
    assert_eq!(
        (count_files(&packs), count_files(&tables)),
        (2, 2),
        "a reader may have files open"
    );
    drop(reader);
    let mut second = writer(dir.path(), 1);
    assert_eq!((count_files(&packs), count_files(&tables)), (1, 1));
    // What was committed before the kill goes on: its files are still pending.
    let again = batch(&second, &[(&key(1, "b"), b"two")]);
    assert_eq!(again, never_committed);
    second.commit_trail_batch(&again).unwrap();
    assert_eq!(second.finish_trail_sync(&finish(2)).unwrap().added_count, 2);
    assert_eq!(events(second.cache()).len(), 2);
    assert_eq!(
        second
            .cache()
            .trail_object_bytes(&trail(), &key(1, "b"))
            .unwrap()
            .unwrap(),
        b"two"
    );
}

#[test]
fn a_compacted_file_takes_the_place_of_others_and_theirs_go_with_the_next_writer() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = writer(dir.path(), 0);
    for (name, body) in [("a", b"one"), ("b", b"two")] {
        let batch = batch(&first, &[(&key(1, name), body)]);
        first.commit_trail_batch(&batch).unwrap();
    }
    let mut end = finish(1);
    end.replaced_files = first
        .cache()
        .pending_trail_files(&trail())
        .unwrap()
        .iter()
        .map(|file| file.id)
        .collect();
    end.files = vec![table(&first, b"both")];
    first.finish_trail_sync(&end).unwrap();
    let kept = end.files[0].table_path.clone();
    assert_eq!(events(first.cache()), std::slice::from_ref(&kept));
    let tables = dir.path().join("tables");
    assert_eq!(count_files(&tables), 3);
    drop(first);
    let mut second = writer(dir.path(), 2);
    assert_eq!(count_files(&tables), 1);
    assert!(tables.join(&kept).is_file());
    let error = second.finish_trail_sync(&end).unwrap_err();
    assert!(matches!(error, CacheError::UnknownTableFile { .. }));
    assert_eq!(events(second.cache()).len(), 1, "nothing of it is done");
}

#[test]
fn a_batch_that_contradicts_itself_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let a = key(1, "a");
    let mut stranger = batch(&writer, &[(&a, b"one")]);
    stranger.objects[0].object.key = "AWSLogs/012345678901/Config/x.json.gz".into();
    assert!(matches!(
        writer.commit_trail_batch(&stranger),
        Err(CacheError::NoTrailKey { .. })
    ));
    let mut nowhere = batch(&writer, &[(&a, b"one")]);
    nowhere.packs.clear();
    assert!(matches!(
        writer.commit_trail_batch(&nowhere),
        Err(CacheError::UnknownPack { .. })
    ));
    let mut short = batch(&writer, &[(&a, b"one")]);
    short.objects[0].object.size_bytes = 2;
    assert!(matches!(
        writer.commit_trail_batch(&short),
        Err(CacheError::UnknownPack { .. })
    ));
    assert!(known(writer.cache(), None).is_empty());
}

#[test]
fn a_failure_stays_until_a_sync_looked_at_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let (bad, damaged) = (key(3, "bad"), key(1, "damaged"));
    let mut half = batch(&writer, &[(&damaged, b"one")]);
    half.objects[0].flags.damaged = true;
    writer.commit_trail_batch(&half).unwrap();
    let mut first = finish(1);
    first.covers_all = false;
    first.listed = vec![TrailListed {
        first_open: Some(day(3)),
        ..listed(5)
    }];
    first.failures = vec![
        (bad.clone(), FailureStage::Fetch, "403".into()),
        (damaged.clone(), FailureStage::Ingest, "cut off".into()),
        (
            "AWSLogs/1/CloudTrail/x/".into(),
            FailureStage::List,
            "403".into(),
        ),
    ];
    writer.finish_trail_sync(&first).unwrap();
    let checkpoint =
        |writer: &CacheWriter| writer.cache().trail_prefixes(&trail()).unwrap()[0].checkpoint_day;
    assert_eq!(checkpoint(&writer), Some(day(3)));
    let keys = |writer: &CacheWriter| {
        let failures = writer.cache().failures().unwrap();
        failures.into_iter().map(|f| f.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(&writer).len(), 3);
    // A sync of later days proves nothing of the object that failed.
    let mut later = finish(2);
    later.listed = vec![TrailListed {
        from: Some(day(4)),
        is_full: false,
        ..listed(6)
    }];
    later.covers_all = false;
    writer.finish_trail_sync(&later).unwrap();
    assert_eq!(keys(&writer).len(), 3);
    assert_eq!(
        checkpoint(&writer),
        Some(day(3)),
        "day 3 would be forgotten"
    );
    let mut all = finish(3);
    all.listed = vec![listed(6)];
    writer.finish_trail_sync(&all).unwrap();
    assert_eq!(keys(&writer), [damaged], "its records are still lacking");
    assert_eq!(checkpoint(&writer), Some(day(6)));
}

#[test]
fn known_objects_begin_after_a_name_and_span_pages() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let mut keys = (0..4_100)
        .map(|n| key(1 + n / 300, &format!("f{n}")))
        .collect::<Vec<_>>();
    let objects = keys
        .iter()
        .map(|key| (key.as_str(), key.as_bytes()))
        .collect::<Vec<_>>();
    let all = batch(&writer, &objects);
    writer.commit_trail_batch(&all).unwrap();
    keys.sort_unstable();
    let cache = Cache::open(dir.path()).unwrap();
    assert_eq!(known(&cache, None), keys);
    let from = keys.partition_point(|key| *key <= format!("{PREFIX}2026/03/12/"));
    assert_eq!(known(&cache, Some("2026/03/12/")), keys[from..]);
    let objects = cache.trail_objects().map(|o| o.unwrap().object.key);
    assert_eq!(objects.collect::<Vec<_>>(), keys);
    let unknown = cache.known_trail_objects(&trail(), "AWSLogs/2/", None);
    assert_eq!(unknown.unwrap().count(), 0);
}

#[test]
fn a_manifest_of_before_there_were_sums_of_days_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let sync = |writer: &mut CacheWriter, number: u32| {
        let key = key(number, "a");
        let objects = batch(writer, &[(&key, b"one")]);
        writer.commit_trail_batch(&objects).unwrap();
        writer.finish_trail_sync(&finish(number.into())).unwrap();
    };
    sync(&mut writer, 1);
    sync(&mut writer, 2);
    let manifest = writer.cache().home().manifest();
    drop(writer);
    let db = rusqlite::Connection::open(manifest).unwrap();
    db.execute_batch("DROP TABLE trail_held").unwrap();
    drop(db);
    assert_eq!(
        held_agrees_with_coverage(&Cache::open(dir.path()).unwrap()),
        1
    );
    let mut writer = self::writer(dir.path(), 5);
    assert_eq!(held_agrees_with_coverage(writer.cache()), 1);
    sync(&mut writer, 9);
    assert_eq!(held_agrees_with_coverage(writer.cache()), 1);
    let held = writer.cache().trail_held().unwrap();
    assert_eq!(held[0].days.count(), 3);
    let gap = (day(3).date().unwrap(), day(8).date().unwrap());
    assert_eq!(held[0].days.gaps().collect::<Vec<_>>(), [gap]);
}
