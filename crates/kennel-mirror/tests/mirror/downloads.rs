//! Downloads: whole and verified, or not at all.

use kennel_testkit::s3::{ErrorAnswer, Fault, FaultKind, Matcher, ObjectOptions};

use crate::home::{TestMirror, parquet};

const KEY: &str = "hive/x.latest.parquet";

fn with_object(body: &[u8]) -> TestMirror {
    let mirror = TestMirror::new();
    mirror.bucket.put(KEY, body.to_vec());
    mirror
}

#[tokio::test]
async fn passing_faults_are_tried_again_and_the_bytes_are_right() {
    let body = parquet(7, 200_000);
    for (name, kind) in [
        ("503", FaultKind::slow_down()),
        ("500", FaultKind::Status(ErrorAnswer::internal_error())),
        (
            "400 RequestTimeout",
            FaultKind::Status(ErrorAnswer::request_timeout()),
        ),
        ("closed before headers", FaultKind::CloseBeforeHeaders),
        ("reset before headers", FaultKind::ResetBeforeHeaders),
        ("closed in the body", FaultKind::CloseAfter(50_000)),
        ("reset in the body", FaultKind::ResetAfter(50_000)),
        ("a flipped byte", FaultKind::FlipByte(100_000)),
        (
            "an error document with 200",
            FaultKind::ErrorWithStatus200(ErrorAnswer::internal_error()),
        ),
        ("an HTML page", FaultKind::Html),
        ("an empty body", FaultKind::Empty),
        ("shorter than listed", FaultKind::Shorten(10)),
    ] {
        let mirror = with_object(&body);
        mirror.server.fault(Fault {
            on: Matcher::get("*").times(1),
            kind,
        });
        let synced = mirror.sync().await.unwrap();
        assert_eq!(synced.outcome.failures, [], "{name}");
        assert!(mirror.mirrored(KEY).as_deref() == Some(&body), "{name}");
        assert!(
            mirror.recorder.retries() > 0,
            "{name}: nothing was tried again"
        );
    }
}

#[tokio::test]
async fn lasting_faults_fail_that_object_alone_and_publish_nothing() {
    let body = parquet(7, 200_000);
    for (name, kind) in [
        ("503", FaultKind::slow_down()),
        ("reset in the body", FaultKind::ResetAfter(0)),
        ("a flipped byte", FaultKind::FlipByte(100_000)),
        (
            "an error document with 200",
            FaultKind::ErrorWithStatus200(ErrorAnswer::internal_error()),
        ),
        ("an HTML page", FaultKind::Html),
        ("shorter than listed", FaultKind::Shorten(10)),
        (
            "access denied",
            FaultKind::Status(ErrorAnswer::access_denied()),
        ),
    ] {
        let mirror = with_object(&body);
        mirror.bucket.put("other", b"fine".to_vec());
        mirror.server.fault(Fault {
            on: Matcher::get("hive/*").always(),
            kind,
        });
        let synced = mirror.sync().await.unwrap();
        assert_eq!(synced.outcome.failures.len(), 1, "{name}");
        assert_eq!(mirror.mirrored(KEY), None, "{name}");
        assert_eq!(mirror.mirrored("other").unwrap(), b"fine", "{name}");
        let objects = mirror
            .files()
            .into_iter()
            .filter(|file| file.starts_with("objects/"))
            .count();
        assert_eq!(objects, 1, "{name}: {:?}", mirror.files());
        assert!(
            !mirror
                .files()
                .iter()
                .any(|file| file.starts_with("staging/")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_cut_body_is_resumed_where_it_broke() {
    let body = parquet(7, 400_000);
    let mirror = with_object(&body);
    mirror.server.fault(Fault {
        on: Matcher::get("*").times(1),
        kind: FaultKind::ResetAfter(150_000),
    });
    mirror.sync().await.unwrap();
    assert!(mirror.mirrored(KEY).unwrap() == body);
    let ranges = mirror
        .server
        .requests()
        .iter()
        .filter_map(|request| request.header("range").map(str::to_owned))
        .collect::<Vec<_>>();
    assert!(!ranges.is_empty(), "started again from nothing");
}

#[tokio::test]
async fn a_resume_that_the_server_does_not_honour_is_never_a_mixture() {
    let body = (0..400_000_u32)
        .map(|n| (n % 251) as u8)
        .collect::<Vec<_>>();
    for kind in [FaultKind::IgnoreRange, FaultKind::ShiftRange(10)] {
        let mirror = TestMirror::new();
        mirror.bucket.put_with(
            "k",
            body.clone(),
            ObjectOptions {
                etag: Some("not-an-md5".into()),
                ..Default::default()
            },
        );
        mirror.server.fault(Fault {
            on: Matcher::get("*").times(1),
            kind: FaultKind::ResetAfter(150_000),
        });
        mirror.server.fault(Fault {
            on: Matcher::get("*").resumed().times(1),
            kind,
        });
        mirror.sync().await.unwrap();
        assert!(mirror.mirrored("k").as_deref() == Some(&body));
    }
}

#[tokio::test]
async fn an_object_replaced_under_our_hands_is_taken_wholly_in_its_new_version() {
    let (old, new) = (parquet(1, 300_000), parquet(2, 250_000));
    for on in [
        Matcher::get("*").times(1),
        Matcher::get("*").resumed().times(1),
    ] {
        let mirror = with_object(&old);
        let resumed = on.clone();
        mirror.server.fault(Fault {
            on,
            kind: FaultKind::Replace(new.clone().into()),
        });
        // Without a broken first body there is no resume; with it, the first case still replaces at once.
        let _ = resumed;
        mirror.server.fault(Fault {
            on: Matcher::get("*").fresh().times(1),
            kind: FaultKind::ResetAfter(100_000),
        });
        let synced = mirror.sync().await.unwrap();
        assert_eq!(synced.outcome.failures, []);
        let mirrored = mirror.mirrored(KEY).unwrap();
        assert!(mirrored == new || mirrored == old, "a mixture");
        mirror.sync().await.unwrap();
        assert!(mirror.mirrored(KEY).unwrap() == new);
    }
}

#[tokio::test]
async fn an_object_deleted_between_list_and_get_is_reported_and_no_failure_of_the_rest() {
    let mirror = with_object(&parquet(1, 1_000));
    mirror.bucket.put("other", b"fine".to_vec());
    mirror.server.fault(Fault {
        on: Matcher::get("hive/*").times(1),
        kind: FaultKind::Delete,
    });
    let synced = mirror.sync().await.unwrap();
    assert!(
        synced
            .outcome
            .failures
            .iter()
            .all(|failure| failure.vanished)
    );
    assert_eq!(
        (synced.outcome.failures.len(), synced.outcome.fetched),
        (1, 1)
    );
}

#[tokio::test]
async fn a_stalled_body_is_given_up_and_resumed() {
    let body = parquet(3, 200_000);
    let mirror = with_object(&body);
    let bound = std::time::Duration::from_secs(3);
    mirror.server.fault(Fault {
        on: Matcher::get("*").times(1),
        kind: FaultKind::Stall {
            after: 60_000,
            bound,
        },
    });
    mirror.sync().await.unwrap();
    assert!(mirror.mirrored(KEY).unwrap() == body);
}

#[tokio::test]
async fn what_is_no_parquet_is_named_and_not_published() {
    let mirror = with_object(b"<html><head><title>Sign in</title></head></html>");
    let synced = mirror.sync().await.unwrap();
    let failure = &synced.outcome.failures[0];
    assert_eq!(failure.stage, "verify");
    assert!(failure.message.contains("HTML page"), "{}", failure.message);
    assert_eq!(mirror.mirrored(KEY), None);
}

#[tokio::test]
async fn archived_objects_are_named_and_not_tried_for_ever() {
    let mirror = TestMirror::new();
    mirror.bucket.put_with(
        "cold",
        b"x".to_vec(),
        ObjectOptions {
            storage_class: Some("GLACIER".into()),
            ..Default::default()
        },
    );
    mirror.bucket.put("warm", b"y".to_vec());
    let synced = mirror.sync().await.unwrap();
    assert_eq!(
        (synced.plan.archived.as_slice(), synced.outcome.fetched),
        (["cold".to_owned()].as_slice(), 1)
    );
}

#[tokio::test]
async fn an_etag_that_is_no_md5_proves_nothing_and_fails_nothing() {
    let mirror = TestMirror::new();
    let options = ObjectOptions {
        etag: Some("0123456789abcdef0123456789abcdef".into()),
        encryption: kennel_testkit::s3::Encryption::Kms(
            "arn:aws:kms:us-east-1:111122223333:key/k".into(),
        ),
        checksum: kennel_testkit::s3::Checksum::None,
        ..Default::default()
    };
    mirror.bucket.put_with("kms", b"secret".to_vec(), options);
    let synced = mirror.sync().await.unwrap();
    assert_eq!(synced.outcome.failures, []);
    assert_eq!(mirror.object("kms").verified_by, "length");
}

#[tokio::test]
async fn user_metadata_is_kept() {
    let mirror = TestMirror::new();
    let metadata = [("signature".to_owned(), "abcd".to_owned())].into();
    mirror.bucket.put_with(
        "digest",
        b"x".to_vec(),
        ObjectOptions {
            metadata,
            ..Default::default()
        },
    );
    mirror.sync().await.unwrap();
    let db = mirror.path().join("manifest.sqlite");
    let bytes = std::fs::read(db).unwrap();
    assert!(
        bytes
            .windows(20)
            .any(|window| window == b"{\"signature\":\"abcd\"}")
    );
}

#[tokio::test]
async fn many_random_faults_never_publish_wrong_bytes() {
    let mirror = TestMirror::new();
    let body = |index: usize| parquet(index as u8, 5_000 + index * 97);
    (0..60).for_each(|index| {
        mirror
            .bucket
            .put(&format!("k/{index:03}.parquet"), body(index));
    });
    mirror
        .server
        .fault_plan(kennel_testkit::s3::FaultPlan::random(42, 0.3));
    for _ in 0..12 {
        let _ = mirror.sync().await;
    }
    mirror.server.clear_faults();
    mirror.sync().await.unwrap();
    for index in 0..60 {
        assert!(
            mirror.mirrored(&format!("k/{index:03}.parquet")).unwrap() == body(index),
            "{index}"
        );
    }
}
