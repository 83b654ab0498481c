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
            may_expire: false,
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
