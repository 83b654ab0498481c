//! What stands in the requests: signatures, tokens, who pays, how many at a time.

use kennel_testkit::s3::{ErrorAnswer, Fault, FaultKind, Matcher, S3Options};

use crate::home::TestMirror;

#[tokio::test]
async fn a_session_token_is_signed_and_who_pays_is_said() {
    let mut mirror = TestMirror::with(S3Options {
        session_token: Some("TOKEN".into()),
        ..Default::default()
    });
    mirror.bucket.set_requester_pays(true);
    mirror.bucket.put("a b+c%/é", b"x".to_vec());
    let error = mirror.sync().await.err().unwrap();
    assert_eq!(error.code(), Some("AccessDenied"));
    mirror.source.request_payer = true;
    mirror.sync().await.unwrap();
    assert_eq!(mirror.mirrored("a b+c%/é").unwrap(), b"x");
}

#[tokio::test]
async fn a_bucket_in_another_region_is_found_by_itself() {
    let mut mirror = TestMirror::new();
    mirror.bucket.set_region("eu-central-1");
    mirror.bucket.put("k", b"x".to_vec());
    mirror.source.region = None;
    mirror.sync().await.unwrap();
    assert_eq!(mirror.mirrored("k").unwrap(), b"x");
}

#[tokio::test]
async fn throttling_lowers_what_runs_at_once() {
    let mirror = TestMirror::new();
    (0..50).for_each(|index| {
        mirror.bucket.put(&format!("k{index:02}"), vec![1; 100]);
    });
    mirror.server.fault(Fault {
        on: Matcher::get("*").times(8),
        kind: FaultKind::slow_down(),
    });
    let synced = mirror.sync().await.unwrap();
    assert_eq!(
        (synced.outcome.fetched, synced.outcome.failures.len()),
        (50, 0)
    );
}

#[tokio::test]
async fn expired_credentials_end_the_downloads_with_one_clear_error() {
    let mirror = TestMirror::new();
    (0..50).for_each(|index| {
        mirror.bucket.put(&format!("k{index:02}"), vec![1; 100]);
    });
    mirror.server.fault(Fault {
        on: Matcher::get("*").always(),
        kind: FaultKind::Status(ErrorAnswer::expired_token()),
    });
    let synced = mirror.sync().await.unwrap();
    let stopped = synced
        .outcome
        .stopped
        .expect("it goes on without credentials");
    assert_eq!(stopped.code(), Some("ExpiredToken"));
    assert!(
        mirror.server.counts().get < 100,
        "{} requests",
        mirror.server.counts().get
    );
    mirror.server.clear_faults();
    assert_eq!(mirror.sync().await.unwrap().outcome.fetched, 50);
}

#[tokio::test]
async fn concurrency_is_bounded() {
    let mut mirror = TestMirror::with(S3Options {
        latency: std::time::Duration::from_millis(5),
        ..Default::default()
    });
    mirror.settings.concurrency = 3;
    (0..40).for_each(|index| {
        mirror.bucket.put(&format!("k{index:02}"), vec![1; 100]);
    });
    mirror.sync().await.unwrap();
    assert!(
        mirror.server.counts().max_in_flight <= 3,
        "{}",
        mirror.server.counts().max_in_flight
    );
}

#[tokio::test]
async fn offline_opens_no_connection() {
    let mut mirror = TestMirror::new();
    mirror.settings.offline = true;
    let error = kennel_mirror::Remote::open(&mirror.source, &mirror.settings)
        .await
        .err()
        .unwrap();
    assert!(matches!(error, kennel_mirror::MirrorError::Offline { .. }));
    assert_eq!(mirror.server.counts().list, 0);
}
