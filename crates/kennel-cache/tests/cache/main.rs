//! The cache as its users see it: writer and readers, snapshots, pruning, kills.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

mod trail;

use std::{fs, io::Write, path::Path};

use chrono::{DateTime, TimeDelta, Utc};
use kennel_cache::{
    Cache, CacheError, CacheWriter, FailureStage, FetchedObject, NewReport, Put, ReportKey,
    ReportType, Retention, Sha256, SourceKind, SourceName, SyncCommit, UserCatalog, UserTable,
    View,
};

const KEY: &str =
    "hive/parquet/pas/customer_id=C123456/csp=aws/account_id=012345678901/x.latest.parquet";

fn at(day: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_435_659, 0).unwrap() + TimeDelta::days(day)
}

fn k9() -> SourceName {
    SourceName::try_new("k9").unwrap()
}

fn writer(home: &Path, day: i64) -> CacheWriter {
    let mut writer = CacheWriter::open(home, at(day)).unwrap();
    writer
        .register_source(&k9(), SourceKind::K9, "s3://safeco-k9-reports")
        .unwrap();
    writer
}

fn fetch(writer: &CacheWriter, key: &str, etag: &str, body: &[u8], day: i64) -> FetchedObject {
    let mut file = writer.stage().create().unwrap();
    file.write_all(body).unwrap();
    FetchedObject {
        key: key.into(),
        etag: etag.into(),
        size_bytes: body.len() as u64,
        modified_at: at(day),
        version_id: None,
        storage_class: None,
        sha256: file.publish().unwrap(),
        verified_by: "md5".into(),
        metadata: [("signature".to_owned(), "ab".to_owned())].into(),
        fetched_at: at(day),
    }
}

fn commit(day: i64, objects: Vec<FetchedObject>) -> SyncCommit {
    SyncCommit {
        source: k9(),
        started_at: at(day),
        taken_at: at(day),
        objects: objects.into_iter().map(|o| (o, None)).collect(),
        refreshed: vec![],
        missing: vec![],
        reappeared: vec![],
        failures: vec![],
        covers_all: true,
        unchanged_count: 0,
        fetched_bytes: 0,
        error: None,
    }
}

fn report(writer: &CacheWriter, body: &[u8], rows: u64) -> NewReport {
    let mut file = writer.stage().create().unwrap();
    file.write_all(body).unwrap();
    NewReport {
        key: ReportKey::parse(KEY).unwrap(),
        analysis_time: Some((at(0), at(0))),
        row_count: rows,
        table_path: file.publish_table("k9", "parquet").unwrap(),
        table_size_bytes: body.len() as u64,
        columns: "[]".into(),
        statistics: "{}".into(),
        problem: None,
    }
}

#[test]
fn an_overwritten_object_keeps_its_versions_and_each_time_sees_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    for (day, body) in [(0, b"one"), (1, b"two")] {
        let object = fetch(&writer, KEY, &format!("e{day}"), body, day);
        let mut commit = commit(day, vec![object]);
        commit.objects[0].1 = Some(report(&writer, body, 7));
        let outcome = writer.commit(&commit).unwrap();
        assert_eq!(
            (outcome.added_count, outcome.changed_count),
            (u64::from(day == 0), u64::from(day == 1))
        );
    }
    let cache = Cache::open(dir.path()).unwrap();
    assert_eq!(cache.snapshots().unwrap().len(), 2);
    let hashes = cache
        .object_versions()
        .unwrap()
        .into_iter()
        .map(|v| v.sha256)
        .collect::<Vec<_>>();
    assert_eq!(hashes, [Sha256::of(b"one"), Sha256::of(b"two")]);
    let reports = |view| {
        cache
            .reports(ReportType::PrincipalAccessSummaries, view)
            .unwrap()
    };
    assert_eq!(reports(View::Latest)[0].valid_from, at(1));
    assert_eq!(reports(View::At(at(0)))[0].valid_to, Some(at(1)));
    assert_eq!(
        reports(View::At(at(1) - TimeDelta::microseconds(1)))[0].valid_from,
        at(0)
    );
    assert!(reports(View::At(at(0) - TimeDelta::seconds(1))).is_empty());
    assert_eq!(reports(View::All).len(), 2);
    assert_eq!(reports(View::Latest)[0].account_id.as_str(), "012345678901");
    let link = dir.path().join("mirror/k9").join(KEY);
    assert_eq!(fs::read(link).unwrap(), b"two");
}

#[test]
fn the_same_bytes_under_a_new_etag_are_no_new_version_and_no_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let first = fetch(&writer, KEY, "e0", b"one", 0);
    assert!(
        writer
            .commit(&commit(0, vec![first]))
            .unwrap()
            .snapshot
            .is_some()
    );
    let second = fetch(&writer, KEY, "e1", b"one", 1);
    assert_eq!(
        writer.commit(&commit(1, vec![second])).unwrap().snapshot,
        None
    );
    let known = writer
        .cache()
        .known_objects(&k9())
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(
        (known[0].etag.as_str(), known[0].modified_at),
        ("e1", at(1))
    );
}

#[test]
fn a_vanished_object_stays_and_says_since_when() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let object = fetch(&writer, KEY, "e0", b"one", 0);
    let mut first = commit(0, vec![object]);
    first.objects[0].1 = Some(report(&writer, b"one", 7));
    writer.commit(&first).unwrap();
    for day in [1, 2] {
        let mut gone = commit(day, vec![]);
        gone.missing = vec![KEY.into()];
        let outcome = writer.commit(&gone).unwrap();
        assert_eq!(
            outcome.snapshot.is_some(),
            day == 1,
            "missing twice is one change"
        );
    }
    let reports = writer
        .cache()
        .reports(ReportType::PrincipalAccessSummaries, View::Latest)
        .unwrap();
    assert_eq!(reports[0].missing_since, Some(at(1)));
    let mut back = commit(3, vec![]);
    back.reappeared = vec![KEY.into()];
    assert!(writer.commit(&back).unwrap().snapshot.is_some());
    let reports = writer
        .cache()
        .reports(ReportType::PrincipalAccessSummaries, View::Latest)
        .unwrap();
    assert_eq!(reports[0].missing_since, None);
}

#[test]
fn what_was_fetched_before_a_kill_is_adopted_and_not_visible() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = writer(dir.path(), 0);
    let object = fetch(&first, KEY, "e0", b"one", 0);
    first
        .record_pending(&k9(), std::slice::from_ref(&object))
        .unwrap();
    fs::write(dir.path().join("staging/leftover"), b"half").unwrap();
    drop(first);
    assert!(
        Cache::open(dir.path())
            .unwrap()
            .object_versions()
            .unwrap()
            .is_empty()
    );
    let mut second = writer(dir.path(), 1);
    assert_eq!(fs::read_dir(dir.path().join("staging")).unwrap().count(), 0);
    let pending = second.pending(&k9()).unwrap();
    assert_eq!(pending, [object]);
    second.commit(&commit(1, pending)).unwrap();
    assert!(second.pending(&k9()).unwrap().is_empty());
    assert_eq!(second.cache().known_count(&k9()).unwrap(), 1);
}

#[test]
fn pending_bytes_that_are_gone_are_not_adopted() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let object = fetch(&writer, KEY, "e0", b"one", 0);
    writer
        .record_pending(&k9(), std::slice::from_ref(&object))
        .unwrap();
    fs::remove_file(writer.cache().object_path(&object.sha256)).unwrap();
    assert!(writer.pending(&k9()).unwrap().is_empty());
}

#[test]
fn failures_are_those_of_the_last_sync_and_remember_their_first_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    for day in [0, 1] {
        let mut failing = commit(day, vec![]);
        failing.failures = vec![(KEY.into(), FailureStage::Verify, "not Parquet".into())];
        assert_eq!(writer.commit(&failing).unwrap().snapshot, None);
    }
    let failures = writer.cache().failures().unwrap();
    assert_eq!(failures.len(), 1);
    assert_eq!(
        (failures[0].first_at, failures[0].failed_at),
        (at(0), at(1))
    );
    let mut partial = commit(2, vec![]);
    partial.covers_all = false;
    writer.commit(&partial).unwrap();
    assert_eq!(
        writer.cache().failures().unwrap().len(),
        1,
        "a sync of other accounts proves nothing"
    );
    writer.commit(&commit(3, vec![])).unwrap();
    assert!(writer.cache().failures().unwrap().is_empty());
}

/// Three nights of one report, of which the second cannot be read.
fn with_an_unreadable_night(dir: &Path) -> CacheWriter {
    let mut writer = writer(dir, 0);
    for (day, body) in [(0, &b"one"[..]), (1, b"<html>"), (2, b"three")] {
        let object = fetch(&writer, KEY, &format!("e{day}"), body, day);
        let mut commit = commit(day, vec![object]);
        if day == 1 {
            commit.failures = vec![(KEY.into(), FailureStage::Ingest, "not Parquet".into())];
        } else {
            commit.objects[0].1 = Some(report(&writer, body, 7));
        }
        writer.commit(&commit).unwrap();
        // A sync that finds nothing new does not make it readable.
        let again = self::commit(day, vec![]);
        let again = SyncCommit {
            taken_at: at(day) + TimeDelta::hours(1),
            ..again
        };
        writer.commit(&again).unwrap();
        let failed = usize::from(day == 1);
        assert_eq!(writer.cache().failures().unwrap().len(), failed);
    }
    writer
}

fn answering(writer: &CacheWriter, view: View) -> Vec<(DateTime<Utc>, Option<DateTime<Utc>>)> {
    let reports = writer
        .cache()
        .reports(ReportType::PrincipalAccessSummaries, view)
        .unwrap();
    reports
        .into_iter()
        .map(|report| (report.valid_from, report.valid_to))
        .collect()
}

#[test]
fn the_last_report_that_could_be_read_answers_until_the_next_that_can() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = with_an_unreadable_night(dir.path());
    let first = (at(0), Some(at(2)));
    assert_eq!(answering(&writer, View::Latest), [(at(2), None)]);
    assert_eq!(answering(&writer, View::At(at(1))), [first]);
    let retention = Retention {
        keep_snapshots: Some(2),
        ..Retention::default()
    };
    writer.prune(retention, at(9), false).unwrap();
    assert_eq!(answering(&writer, View::At(at(1))), [first]);
    let retention = Retention {
        keep_snapshots: Some(1),
        ..Retention::default()
    };
    writer.prune(retention, at(9), false).unwrap();
    assert_eq!(answering(&writer, View::All), [(at(2), None)]);
}

#[test]
fn a_version_that_becomes_readable_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = with_an_unreadable_night(dir.path());
    let versions = writer.cache().versions_to_ingest(&k9()).unwrap();
    let made = report(&writer, b"two", 7);
    writer.replace_report(versions[1].0, &made).unwrap();
    assert_eq!(
        answering(&writer, View::All),
        [(at(0), Some(at(1))), (at(1), Some(at(2))), (at(2), None)]
    );

    let dir = tempfile::tempdir().unwrap();
    let mut writer = self::writer(dir.path(), 0);
    let object = fetch(&writer, KEY, "e0", b"one", 0);
    let mut unread = commit(0, vec![object.clone()]);
    unread.failures = vec![(KEY.into(), FailureStage::Ingest, "not Parquet".into())];
    writer.commit(&unread).unwrap();
    let mut read = commit(1, vec![object]);
    read.objects[0].1 = Some(report(&writer, b"one", 7));
    assert!(writer.commit(&read).unwrap().snapshot.is_some());
    assert_eq!(answering(&writer, View::Latest), [(at(1), None)]);
    assert!(writer.cache().failures().unwrap().is_empty());
}

#[test]
fn prune_keeps_what_kept_snapshots_need_and_never_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    for day in 0..4 {
        let changed = fetch(
            &writer,
            KEY,
            &format!("e{day}"),
            format!("body {day}").as_bytes(),
            day,
        );
        let constant = fetch(&writer, "b", "e", b"constant", day);
        writer
            .commit(&commit(day, vec![changed, constant]))
            .unwrap();
    }
    let nothing = writer.prune(Retention::default(), at(9), false).unwrap();
    assert_eq!((nothing.snapshots.len(), nothing.file_count), (0, 0));
    let retention = Retention {
        keep_snapshots: Some(2),
        keep_days: None,
        keep_months: None,
    };
    let planned = writer.prune(retention, at(9), true).unwrap();
    assert_eq!(
        (
            planned.snapshots.len(),
            planned.version_count,
            planned.file_count
        ),
        (2, 2, 2)
    );
    assert_eq!(planned.freed_bytes, 12);
    assert_eq!(
        writer.cache().snapshots().unwrap().len(),
        4,
        "a dry run changes nothing"
    );
    assert_eq!(writer.prune(retention, at(9), false).unwrap(), planned);
    assert_eq!(writer.cache().snapshots().unwrap().len(), 2);
    assert!(writer.cache().verify().unwrap().damaged.is_empty());
    assert_eq!(writer.cache().verify().unwrap().checked_count, 3);
    let all = Retention {
        keep_snapshots: Some(0),
        keep_days: None,
        keep_months: None,
    };
    writer.prune(all, at(9), false).unwrap();
    assert_eq!(writer.cache().snapshots().unwrap().len(), 1);
    let young = Retention {
        keep_snapshots: None,
        keep_days: Some(30),
        keep_months: None,
    };
    assert!(
        writer
            .prune(young, at(9), false)
            .unwrap()
            .snapshots
            .is_empty()
    );
}

#[test]
fn prune_waits_for_readers_before_it_takes_a_file_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let mut paths = vec![];
    for day in 0..2 {
        let object = fetch(&writer, KEY, &format!("e{day}"), &[day as u8], day);
        paths.push(writer.cache().object_path(&object.sha256));
        writer.commit(&commit(day, vec![object])).unwrap();
    }
    let reader = Cache::open(dir.path()).unwrap();
    let retention = Retention {
        keep_snapshots: Some(1),
        ..Retention::default()
    };
    let pruning = std::thread::spawn(move || writer.prune(retention, at(9), false).unwrap());
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert!(paths[0].is_file(), "the reader may still open it");
    drop(reader);
    let outcome = pruning.join().unwrap();
    assert_eq!(
        (outcome.file_count, outcome.freed_bytes, outcome.kept_bytes),
        (1, 1, 1)
    );
    assert!(!paths[0].exists() && paths[1].is_file());
}

#[test]
fn a_time_between_snapshots_reads_the_kept_one_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    for day in 0..3 {
        let object = fetch(&writer, KEY, &format!("e{day}"), &[day as u8], day);
        let mut commit = commit(day, vec![object]);
        commit.objects[0].1 = Some(report(&writer, &[day as u8], 1));
        writer.commit(&commit).unwrap();
    }
    // Forget the middle one only, as a retention that keeps the first of a month would.
    let db = rusqlite::Connection::open(dir.path().join("manifest.sqlite")).unwrap();
    db.execute_batch("DELETE FROM snapshot WHERE id = 2; DELETE FROM report WHERE id = 2; DELETE FROM object WHERE id = 2").unwrap();
    let reports = writer
        .cache()
        .reports(
            ReportType::PrincipalAccessSummaries,
            View::At(at(1) + TimeDelta::hours(1)),
        )
        .unwrap();
    assert_eq!(reports.len(), 1, "the state of s1, not a hole");
    assert_eq!(reports[0].valid_from, at(0));
}

#[test]
fn verify_names_damaged_and_missing_objects() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let a = fetch(&writer, "a", "e", b"aaaa", 0);
    let b = fetch(&writer, "b", "e", b"bbbb", 0);
    writer
        .commit(&commit(0, vec![a.clone(), b.clone()]))
        .unwrap();
    fs::write(writer.cache().object_path(&a.sha256), b"aaab").unwrap();
    fs::remove_file(writer.cache().object_path(&b.sha256)).unwrap();
    let damaged = writer.cache().verify().unwrap().damaged;
    let found = damaged
        .iter()
        .map(|d| (d.object.key.as_str(), d.what.as_str()))
        .collect::<Vec<_>>();
    assert_eq!(found[0].0, "a");
    assert!(found[0].1.starts_with("SHA-256 is "), "{found:?}");
    assert_eq!(found[1], ("b", "missing"));
}

#[test]
fn verify_names_damaged_tables() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let object = fetch(&writer, KEY, "e", b"bytes", 0);
    let mut commit = commit(0, vec![object]);
    let made = report(&writer, b"rows", 1);
    let path = writer.cache().home().tables().join(&made.table_path);
    commit.objects[0].1 = Some(made.clone());
    writer.commit(&commit).unwrap();
    let whole = writer.cache().verify().unwrap();
    assert_eq!((whole.table_count, whole.damaged_tables.len()), (1, 0));
    fs::write(&path, b"r0ws").unwrap();
    let damaged = writer.cache().verify().unwrap().damaged_tables;
    assert_eq!(damaged[0].table_path, made.table_path);
    assert_eq!(damaged[0].key, KEY);
    assert!(damaged[0].what.starts_with("SHA-256 is "), "{damaged:?}");
}

#[test]
fn a_second_writer_is_refused_while_readers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let held = writer(dir.path(), 0);
    assert!(matches!(
        CacheWriter::open(dir.path(), at(0)),
        Err(CacheError::Locked { .. })
    ));
    assert!(
        Cache::open(dir.path())
            .unwrap()
            .snapshots()
            .unwrap()
            .is_empty()
    );
    drop(held);
    CacheWriter::open(dir.path(), at(0)).unwrap();
}

#[test]
fn user_tables_are_written_beside_a_running_sync() {
    let dir = tempfile::tempdir().unwrap();
    let _sync = writer(dir.path(), 0);
    let table = UserTable {
        schema: "default".into(),
        name: "t".into(),
        definition: "CREATE …".into(),
        created_at: at(0),
    };
    let mut catalog = UserCatalog::open(dir.path()).unwrap();
    assert!(catalog.put_table(&table, &[], Put::New, None).unwrap());
    assert_eq!(
        Cache::open(dir.path()).unwrap().user_tables().unwrap(),
        [table]
    );
    assert!(catalog.drop_table("default", "t").unwrap());
    assert!(!catalog.drop_table("default", "t").unwrap());
}

#[test]
fn another_programs_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(dir.path().join("manifest.sqlite")).unwrap();
    db.execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(
        Cache::open(dir.path()),
        Err(CacheError::Damaged { .. })
    ));
    fs::write(
        dir.path().join("manifest.sqlite"),
        b"<html>not a database</html> and some more",
    )
    .unwrap();
    assert!(matches!(
        Cache::open(dir.path()),
        Err(CacheError::Manifest { .. })
    ));
    assert!(matches!(
        Cache::open(&dir.path().join("nowhere")),
        Err(CacheError::NotFound { .. })
    ));
}

#[test]
fn more_known_objects_than_a_page_come_once_each_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path(), 0);
    let object = fetch(&writer, "k", "e", b"x", 0);
    let mut keys = (0..20_001).map(|n| format!("k/{n}")).collect::<Vec<_>>();
    let objects = keys
        .iter()
        .map(|key| FetchedObject {
            key: key.clone(),
            ..object.clone()
        })
        .collect();
    writer.commit(&commit(0, objects)).unwrap();
    keys.sort_unstable();
    let known = writer
        .cache()
        .known_objects(&k9())
        .unwrap()
        .map(|o| o.unwrap().key)
        .collect::<Vec<_>>();
    assert_eq!(known, keys);
}

/// A manifest on media that cannot be written, also with the journal of a killed writer beside it.
#[cfg(unix)]
#[test]
fn a_read_only_copy_with_a_hot_journal_is_read_as_before_the_kill() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let mut first = writer(&home, 0);
    let object = fetch(&first, KEY, "e0", b"one", 0);
    first.commit(&commit(0, vec![object])).unwrap();
    // A transaction that has begun to change the file: copied in this state, it is what a kill leaves.
    let db = rusqlite::Connection::open(home.join("manifest.sqlite")).unwrap();
    db.execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE")
        .unwrap();
    for n in 0..2_000 {
        db.execute(
            "INSERT INTO user_table VALUES ('s', ?1, ?2, 0)",
            (n.to_string(), "x".repeat(1000)),
        )
        .unwrap();
    }
    let copy = dir.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for name in ["manifest.sqlite", "manifest.sqlite-journal"] {
        fs::copy(home.join(name), copy.join(name)).unwrap();
    }
    let cache = Cache::open(&copy).unwrap();
    assert_eq!(cache.known_count(&k9()).unwrap(), 1);
    assert!(cache.user_tables().unwrap().is_empty());
}
