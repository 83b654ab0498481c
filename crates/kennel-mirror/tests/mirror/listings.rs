//! Listings: whole and in order, or not believed.

use kennel_mirror::{MirrorError, PlanOptions};
use kennel_testkit::s3::{ErrorAnswer, Fault, FaultKind, Matcher};

use crate::home::TestMirror;

fn fill(mirror: &TestMirror, count: usize) {
    for index in 0..count {
        mirror.bucket.put(
            &format!("k/{index:05}"),
            format!("body {index}").into_bytes(),
        );
    }
}

#[tokio::test]
async fn more_keys_than_a_page_are_all_mirrored_and_the_next_sync_fetches_nothing() {
    let mirror = TestMirror::new();
    fill(&mirror, 1_203);
    let first = mirror.sync().await.unwrap();
    assert_eq!(
        (first.outcome.fetched, first.plan.listed_count),
        (1_203, 1_203)
    );
    assert_eq!(mirror.mirrored("k/01202").unwrap(), b"body 1202");
    let before = mirror.server.counts();
    let second = mirror.sync().await.unwrap();
    assert_eq!(
        (second.plan.fetch.len(), second.plan.keep_count),
        (0, 1_203)
    );
    let after = mirror.server.counts();
    assert_eq!(
        (after.get - before.get, after.head - before.head),
        (0, 0),
        "nothing changed: no GET, no HEAD"
    );
    assert_eq!(after.list - before.list, 2);
}

#[tokio::test]
async fn an_overwrite_of_the_same_size_is_fetched_and_the_old_version_kept() {
    let mirror = TestMirror::new();
    mirror.bucket.put("k", b"old".to_vec());
    mirror.sync().await.unwrap();
    let old = mirror.object("k");
    mirror.bucket.overwrite_same_size("k", b"new".to_vec());
    mirror.sync().await.unwrap();
    assert_eq!(mirror.mirrored("k").unwrap(), b"new");
    let cache = kennel_cache::Cache::open(mirror.path()).unwrap();
    assert_eq!(
        std::fs::read(cache.object_path(&old.sha256)).unwrap(),
        b"old"
    );
    assert_eq!(cache.object_versions().unwrap().len(), 2);
}

/// Every way in which a listing can be wrong: nothing is lost, nothing is marked, the sync says so.
#[tokio::test]
async fn a_listing_that_is_none_never_empties_the_cache() {
    for (name, on, kind) in [
        (
            "503 for ever",
            Matcher::list().always(),
            FaultKind::slow_down(),
        ),
        (
            "403",
            Matcher::list().always(),
            FaultKind::Status(ErrorAnswer::access_denied()),
        ),
        (
            "connection closed",
            Matcher::list().always(),
            FaultKind::CloseBeforeHeaders,
        ),
        (
            "connection reset",
            Matcher::list().always(),
            FaultKind::ResetBeforeHeaders,
        ),
        (
            "an error document with 200",
            Matcher::list().always(),
            FaultKind::ErrorWithStatus200(ErrorAnswer::internal_error()),
        ),
        ("an HTML page", Matcher::list().always(), FaultKind::Html),
        ("an empty body", Matcher::list().always(), FaultKind::Empty),
        (
            "page 2 is 403",
            Matcher::list_page(2).always(),
            FaultKind::Status(ErrorAnswer::access_denied()),
        ),
        (
            "truncated without token",
            Matcher::list_page(1).always(),
            FaultKind::TruncatedWithoutToken,
        ),
        (
            "the same token for ever",
            Matcher::list().always(),
            FaultKind::SameToken,
        ),
        (
            "keys out of order",
            Matcher::list_page(1).always(),
            FaultKind::ReversedKeys,
        ),
        (
            "a key twice",
            Matcher::list_page(1).always(),
            FaultKind::DuplicateKey,
        ),
        (
            "a page twice",
            Matcher::list_page(2).always(),
            FaultKind::PageAgain,
        ),
        (
            "a wrong count",
            Matcher::list_page(1).always(),
            FaultKind::KeyCount(1),
        ),
    ] {
        let mirror = TestMirror::new();
        fill(&mirror, 1_100);
        mirror.sync().await.unwrap();
        mirror.server.fault(Fault { on, kind });
        let error = mirror.sync().await.err();
        assert!(error.is_some(), "{name}: was believed");
        assert_eq!(mirror.keys_kept().len(), 1_100, "{name}");
        mirror.server.clear_faults();
        let healed = mirror.sync().await.unwrap();
        assert_eq!(
            (healed.plan.keep_count, healed.plan.reappeared.len()),
            (1_100, 0),
            "{name}: something was marked"
        );
    }
}

#[tokio::test]
async fn a_key_that_one_listing_lacks_is_marked_and_comes_back_with_its_bytes() {
    let mirror = TestMirror::new();
    fill(&mirror, 30);
    mirror.sync().await.unwrap();
    mirror.server.fault(Fault {
        on: Matcher::list().times(1),
        kind: FaultKind::MissingKey,
    });
    let lacking = mirror.sync().await.unwrap();
    assert_eq!(lacking.plan.missing, ["k/00000"]);
    assert_eq!(mirror.mirrored("k/00000").unwrap(), b"body 0");
    let healed = mirror.sync().await.unwrap();
    assert_eq!(healed.plan.reappeared, ["k/00000"]);
    assert_eq!(healed.outcome.fetched, 0, "the bytes were kept");
    assert_eq!(mirror.object("k/00000").missing_since, None);
}

#[tokio::test]
async fn a_truly_empty_listing_deletes_nothing_and_is_not_believed() {
    let mirror = TestMirror::new();
    fill(&mirror, 3);
    mirror.sync().await.unwrap();
    (0..3).for_each(|index| mirror.bucket.delete(&format!("k/{index:05}")));
    let synced = mirror.sync().await.unwrap();
    assert_eq!(
        synced.plan.shrink_refused.map(|shrink| shrink.vanished),
        Some(3)
    );
    assert_eq!(mirror.object("k/00000").missing_since, None);
    mirror
        .sync_with(PlanOptions {
            allow_shrink: true,
            full: false,
        })
        .await
        .unwrap();
    assert!(mirror.object("k/00000").missing_since.is_some());
    assert_eq!(
        mirror.mirrored("k/00000").unwrap(),
        b"body 0",
        "its bytes stay"
    );
}

#[tokio::test]
async fn passing_faults_of_a_listing_are_tried_again() {
    let mirror = TestMirror::new();
    fill(&mirror, 1_100);
    mirror.server.fault(Fault {
        on: Matcher::list().times(2),
        kind: FaultKind::slow_down(),
    });
    mirror.server.fault(Fault {
        on: Matcher::list_page(2).times(1),
        kind: FaultKind::CloseAfter(700),
    });
    let synced = mirror.sync().await.unwrap();
    assert_eq!(synced.plan.listed_count, 1_100);
}

#[tokio::test]
async fn hostile_keys_are_mirrored_or_named_and_never_leave_the_cache() {
    let mirror = TestMirror::new();
    let long = "l".repeat(1_000);
    let hostile = [
        "p/../../escape.txt",
        "p/../inside.txt",
        "p//double",
        "/leading",
        "trailing/",
        "ctl/\u{1}\n\u{1b}[2J",
        "Case",
        "case",
        "f",
        "f/g",
        "a\\b",
        "c:\\x",
        "con",
        "nul.txt",
        "x.",
        "caf\u{e9}",
        "cafe\u{301}",
        "100%25+ &<>\"'",
        &long,
    ];
    for key in hostile {
        mirror.bucket.put(key, key.as_bytes().to_vec());
    }
    let synced = mirror.sync().await.unwrap();
    let failed = synced
        .outcome
        .failures
        .iter()
        .map(|failure| failure.key.as_str())
        .collect::<Vec<_>>();
    assert_eq!(
        failed,
        ["p/../../escape.txt", "p/../inside.txt"],
        "{:?}",
        synced.outcome.failures
    );
    for key in hostile.iter().filter(|key| !key.contains("..")) {
        assert_eq!(mirror.mirrored(key).unwrap(), key.as_bytes(), "{key:?}");
    }
    let parent = mirror.path().parent().unwrap();
    assert!(!parent.join("escape.txt").exists() && !mirror.path().join("escape.txt").exists());
    for file in mirror.files() {
        let first = file.split('/').next().unwrap();
        assert!(
            [
                "objects",
                "mirror",
                "manifest.sqlite",
                "writer.lock",
                "readers.lock",
                "CACHEDIR.TAG",
                ".gitignore"
            ]
            .contains(&first),
            "{file}"
        );
    }
}

#[tokio::test]
async fn a_missing_bucket_and_a_wrong_secret_are_named() {
    let mut mirror = TestMirror::new();
    mirror.keys.secret_access_key = "WRONGSECRET".into();
    let error = mirror.sync().await.err().unwrap();
    assert_eq!(error.code(), Some("SignatureDoesNotMatch"), "{error}");
    assert!(!error.to_string().contains("WRONGSECRET"));
    let mut mirror = TestMirror::new();
    mirror.source.url = "s3://no-such-bucket".parse().unwrap();
    let error = mirror.sync().await.err().unwrap();
    assert_eq!(error.code(), Some("NoSuchBucket"), "{error}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_said_in_seconds() {
    fn later() -> chrono::DateTime<chrono::Utc> {
        crate::home::now() + chrono::TimeDelta::minutes(20)
    }
    let mirror = TestMirror::with(kennel_testkit::s3::S3Options {
        now: later,
        ..Default::default()
    });
    let error = mirror.sync().await.err().unwrap();
    let MirrorError::Clock { seconds } = error else {
        panic!("{error}")
    };
    assert!((-1_210..=-1_190).contains(&seconds), "{seconds}");
}
