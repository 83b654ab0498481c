//! Packs and tables that are damaged, pruned or made anew.

use std::fs;

use kennel_cache::{
    Cache, CacheError, CountedDay, EventCategory, FailureStage, RereadObject, Retention, Sha256,
    TrailBatch, TrailFlags, TrailPrefix, TrailRebuild,
};

use super::{
    PREFIX, batch, count_files, day, events, finish, held_agrees_with_coverage, key, known, listed,
    table, trail, writer,
};
use crate::at;

#[test]
fn damage_in_a_pack_is_named_and_never_given_out() {
    damage_is_named(|_, pack| pack);
}

#[test]
fn a_pack_that_an_earlier_build_named_by_its_bytes_is_read_alike() {
    damage_is_named(|cache, pack| {
        let path = cache.home().pack(&pack);
        let by_bytes = Sha256::of(&fs::read(&path).unwrap());
        assert_ne!(by_bytes, pack);
        let target = cache.home().pack(&by_bytes);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::rename(path, target).unwrap();
        let db = rusqlite::Connection::open(cache.home().manifest()).unwrap();
        db.execute("UPDATE pack SET sha256 = ?1", [by_bytes.0])
            .unwrap();
        by_bytes
    });
}

/// `named` may give the pack another name.
fn damage_is_named(named: impl FnOnce(&Cache, Sha256) -> Sha256) {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let (a, b) = (key(1, "a"), key(1, "b"));
    let batch = batch(&writer, &[(&a, b"one"), (&b, b"two")]);
    writer.commit_trail_batch(&batch).unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let pack = named(&cache, batch.packs[0].sha256);
    assert!(
        cache.damaged_trail_objects(&trail()).unwrap().is_empty(),
        "none is fetched again"
    );
    let sound = cache.verify().unwrap();
    assert_eq!((sound.checked_count, sound.checked_bytes), (2, 6));
    assert!(sound.damaged.is_empty());
    let path = cache.home().pack(&pack);
    fs::write(&path, b"onetwX").unwrap();
    let damaged = cache.verify().unwrap().damaged;
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].object.key, b);
    assert!(damaged[0].what.starts_with("SHA-256 is "));
    let bytes = |key: &str| cache.trail_object_bytes(&trail(), key);
    assert_eq!(bytes(&a).unwrap().unwrap(), b"one");
    assert!(matches!(bytes(&b), Err(CacheError::DamagedPack { .. })));
    fs::write(&path, b"one").unwrap();
    assert_eq!(cache.verify().unwrap().damaged[0].what, "cut off");
    fs::remove_file(&path).unwrap();
    assert_eq!(cache.verify().unwrap().damaged.len(), 2);
    assert!(bytes(&a).unwrap_err().to_string().ends_with("missing"));
}

#[test]
fn prune_leaves_packs_and_tables_that_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    for (now, name) in [(1, "a"), (2, "b")] {
        let batch = batch(&writer, &[(&key(1, name), name.as_bytes())]);
        writer.commit_trail_batch(&batch).unwrap();
        writer.finish_trail_sync(&finish(now)).unwrap();
    }
    let orphan = batch(&writer, &[(&key(1, "c"), b"c")]);
    let newest = Retention {
        keep_snapshots: Some(1),
        keep_days: None,
        keep_months: None,
    };
    let outcome = writer.prune(newest, at(9), false).unwrap();
    assert_eq!((outcome.snapshots.len(), outcome.file_count), (1, 2));
    assert!(!writer.cache().home().pack(&orphan.packs[0].sha256).exists());
    assert!(writer.cache().verify().unwrap().damaged.is_empty());
    assert_eq!(writer.cache().verify().unwrap().checked_count, 2);
}

#[test]
fn tables_made_anew_take_the_place_of_all_others_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let (a, b, c) = (key(1, "a"), key(2, "b"), key(3, "c"));
    let first = batch(&writer, &[(&a, b"one"), (&b, b"two")]);
    writer.commit_trail_batch(&first).unwrap();
    let mut end = finish(1);
    end.listed = vec![listed(2)];
    end.failures = vec![(a.clone(), FailureStage::Ingest, "odd".into())];
    writer.finish_trail_sync(&end).unwrap();
    // A sync that was killed left this one pending.
    let second = batch(&writer, &[(&c, b"three")]);
    writer.commit_trail_batch(&second).unwrap();
    assert!(writer.cache().trail_tables_are_intact(&trail()).unwrap());
    let of_source = writer.cache().trail_objects_of(&trail()).unwrap();
    assert_eq!(of_source.count(), 3);

    let new = table(&writer, b"anew");
    let path = new.table_path.clone();
    let counted = |number: u32, event_count| CountedDay {
        prefix: TrailPrefix::parse(PREFIX).unwrap(),
        day: day(number),
        category: EventCategory::Management,
        object_count: 1,
        event_count,
    };
    let rebuild = TrailRebuild {
        source: trail(),
        at: at(5),
        files: vec![new],
        reread: vec![RereadObject {
            key: a.clone(),
            record_count: 7,
            flags: TrailFlags {
                replaced: true,
                damaged: true,
                ..TrailFlags::default()
            },
        }],
        days: vec![counted(1, 7), counted(3, 2)],
        forgotten: vec![b.clone()],
        failures: vec![(a.clone(), "odder".into()), (c.clone(), "odd".into())],
    };
    writer.replace_trail_tables(&rebuild).unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    assert_eq!(events(&cache), [path]);
    assert!(cache.pending_trail_files(&trail()).unwrap().is_empty());
    assert_eq!(known(&cache, None), [a.clone(), c.clone()]);
    let object = cache.trail_object(&trail(), &a).unwrap().unwrap();
    assert_eq!(object.record_count, 7);
    assert!(object.flags.damaged && !object.flags.replaced);
    let coverage = cache.trail_coverage().unwrap();
    let days = coverage.iter().map(|c| (c.day, c.event_count));
    assert_eq!(days.collect::<Vec<_>>(), [(day(1), 7), (day(3), 2)]);
    assert_eq!(held_agrees_with_coverage(&cache), 1);
    let prefix = &cache.trail_prefixes(&trail()).unwrap()[0];
    assert_eq!(
        (prefix.object_count, prefix.size_bytes, prefix.record_count),
        (2, 8, 9)
    );
    // The forgotten object is to be found by the next listing, however old it is.
    assert_eq!((prefix.checkpoint_day, prefix.full_listed_at), (None, None));
    let failures = cache.failures().unwrap();
    let told = failures
        .iter()
        .map(|f| (f.key.as_str(), f.message.as_str(), f.first_at));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(a.as_str(), "odder", at(1)), (c.as_str(), "odd", at(5))]
    );
    // The old files stay as long as a reader may have them open, and go with the next writer or when they are removed.
    let tables = cache.home().tables();
    writer.remove_replaced_tables();
    let with_a_reader = count_files(&tables);
    assert!(with_a_reader > 1);
    drop(writer);
    let again = self::writer(dir.path(), 6);
    assert_eq!(count_files(&tables), with_a_reader);
    drop(cache);
    again.remove_replaced_tables();
    assert_eq!(count_files(&tables), 1);
    drop(again);
    fs::write(tables.join("cloudtrail/left.parquet"), "over").unwrap();
    let again = self::writer(dir.path(), 7);
    assert_eq!(count_files(&tables), 1);
    fs::remove_dir_all(again.cache().home().tables()).unwrap();
    assert!(!again.cache().trail_tables_are_intact(&trail()).unwrap());
}

#[test]
fn a_damaged_object_lies_in_another_pack_after_it_was_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let (a, b) = (key(1, "a"), key(2, "b"));
    let first = batch(&writer, &[(&a, b"one"), (&b, b"two")]);
    let pack = first.packs[0].sha256;
    writer.commit_trail_batch(&first).unwrap();
    writer.finish_trail_sync(&finish(1)).unwrap();
    assert!(
        writer
            .cache()
            .damaged_trail_objects(&trail())
            .unwrap()
            .is_empty()
    );
    fs::write(writer.cache().home().pack(&pack), b"onetwX").unwrap();
    let damaged = writer.cache().damaged_trail_objects(&trail()).unwrap();
    assert_eq!(damaged.keys().collect::<Vec<_>>(), [&b]);

    let mut pack = writer.stage().pack_writer().unwrap();
    let mut append = |body: &[u8]| pack.append(body, Sha256::of(body)).unwrap();
    append(b"something else");
    let range = append(b"two");
    let pack = pack.finish().unwrap();
    let moved = [(b.clone(), range)];
    let unknown = writer.move_trail_objects(&trail(), pack.sha256, &moved);
    assert!(matches!(unknown, Err(CacheError::UnknownPack { key }) if key == b));
    writer
        .commit_trail_batch(&TrailBatch {
            source: trail(),
            packs: vec![pack.clone()],
            objects: vec![],
            refreshed: vec![],
            files: vec![],
        })
        .unwrap();
    writer
        .move_trail_objects(&trail(), pack.sha256, &moved)
        .unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    assert!(cache.damaged_trail_objects(&trail()).unwrap().is_empty());
    for (key, body) in [(&a, b"one"), (&b, b"two")] {
        let bytes = cache.trail_object_bytes(&trail(), key).unwrap();
        assert_eq!(bytes.unwrap(), body);
    }
    assert_eq!(cache.verify().unwrap().damaged, []);
    assert_eq!(known(&cache, None).len(), 2);
}
