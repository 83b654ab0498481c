//! What holds on every honest S3 server: the same bodies run against the test kit's server and, where
//! `KENNEL_CONTRACT_S3_ENDPOINT` names one, against another.
//!
//! That one is `http://host:port`, its keys stand in `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, its region in
//! `AWS_REGION` (else us-east-1). Buckets named `kennel-contract-…` are made there, and stay.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{
    io::Write,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use futures::TryStreamExt;
use kennel_mirror::Keys;
use kennel_testkit::s3::S3Client;

use crate::home::{TestMirror, now};

/// What a server that has just started gets before it must store.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mirror of an empty bucket, and how to fill that.
struct Contract {
    mirror: TestMirror,
    /// Of a server outside this process.
    outside: Option<(S3Client, String)>,
}

impl Contract {
    fn ours() -> Self {
        Self {
            mirror: TestMirror::new(),
            outside: None,
        }
    }

    /// `None` where no server is named, which is said.
    fn theirs() -> Option<Self> {
        let Some(endpoint) = variable("KENNEL_CONTRACT_S3_ENDPOINT") else {
            // Past the test harness, which swallows what passing tests print.
            let _unseen = writeln!(
                std::io::stderr(),
                "SKIPPED: KENNEL_CONTRACT_S3_ENDPOINT names no S3 server to hold the contract against"
            );
            return None;
        };
        let must = |name: &str| variable(name).unwrap_or_else(|| panic!("{name} is not set"));
        let (id, secret) = (must("AWS_ACCESS_KEY_ID"), must("AWS_SECRET_ACCESS_KEY"));
        let region = variable("AWS_REGION").unwrap_or_else(|| "us-east-1".into());
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let bucket = format!("kennel-contract-{}-{count}", now().timestamp_micros());
        let client = S3Client::new(&endpoint, &id, &secret, &region);
        assert_eq!(client.create_bucket(&bucket).unwrap(), 200, "no bucket");
        wait_until_it_stores(&client, &bucket);
        let mut mirror = TestMirror::new();
        mirror.source.url = format!("s3://{bucket}").parse().unwrap();
        mirror.source.endpoint_url = Some(endpoint);
        mirror.source.region = Some(region);
        mirror.keys = Keys {
            access_key_id: id,
            secret_access_key: secret,
            session_token: None,
        };
        // Another server may be slow at first.
        mirror.settings.retry.read_timeout = Duration::from_secs(30);
        mirror.settings.retry.connect_timeout = Duration::from_secs(10);
        Some(Self {
            mirror,
            outside: Some((client, bucket)),
        })
    }

    /// Whether the server takes it.
    fn try_put(&self, key: &str, body: &[u8]) -> bool {
        match &self.outside {
            Some((client, bucket)) => client.put(bucket, key, body).unwrap() == 200,
            None => {
                self.mirror.bucket.put(key, body.to_vec());
                true
            }
        }
    }

    fn put(&self, key: &str, body: &[u8]) {
        assert!(self.try_put(key, body), "the server refuses `{key}`");
    }

    fn delete(&self, key: &str) {
        match &self.outside {
            Some((client, bucket)) => {
                let status = client.delete(bucket, key).unwrap();
                assert!((200..300).contains(&status), "{status}");
            }
            None => self.mirror.bucket.delete(key),
        }
    }

    async fn listed(&self, prefix: &str, start_after: Option<&str>) -> Vec<String> {
        let remote = self.mirror.remote();
        let objects = remote.list(prefix, start_after).map_ok(|object| object.key);
        objects.try_collect().await.unwrap()
    }
}

/// A server that has just started may answer before it can store.
fn wait_until_it_stores(client: &S3Client, bucket: &str) {
    let began = Instant::now();
    while client.put(bucket, "ready", b"?").unwrap() != 200 {
        assert!(began.elapsed() < PATIENCE, "it stores nothing");
        std::thread::sleep(Duration::from_millis(250));
    }
    client.delete(bucket, "ready").unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "a contract run is asked for by the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Each body twice.
macro_rules! contract {
    ($($name:ident)*) => {
        mod ours {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Contract::ours()).await;
            })*
        }
        mod theirs {
            $(#[tokio::test]
            async fn $name() {
                if let Some(contract) = super::Contract::theirs() {
                    super::$name(contract).await;
                }
            })*
        }
    };
}

contract! {
    more_keys_than_a_page_are_all_mirrored_and_the_next_sync_fetches_nothing
    an_overwrite_of_the_same_size_is_fetched_and_the_old_version_kept
    a_listing_begins_where_it_is_told_and_folders_are_named_once
    a_deleted_key_is_marked_and_its_bytes_stay
    objects_of_all_sizes_are_the_same_bytes
    hostile_keys_are_mirrored_or_named_and_never_leave_the_cache
    a_missing_bucket_and_a_wrong_secret_are_named
}

async fn more_keys_than_a_page_are_all_mirrored_and_the_next_sync_fetches_nothing(at: Contract) {
    for index in 0..1_203 {
        at.put(&format!("k/{index:05}"), format!("body {index}").as_bytes());
    }
    let first = at.mirror.sync().await.unwrap();
    assert_eq!(first.outcome.failures, []);
    assert_eq!(
        (first.outcome.fetched, first.plan.listed_count),
        (1_203, 1_203)
    );
    assert_eq!(at.mirror.mirrored("k/01202").unwrap(), b"body 1202");
    let before = at.mirror.server.counts();
    let second = at.mirror.sync().await.unwrap();
    assert_eq!(
        (second.plan.fetch.len(), second.plan.keep_count),
        (0, 1_203)
    );
    if at.outside.is_none() {
        let after = at.mirror.server.counts();
        assert_eq!(
            (after.get - before.get, after.head - before.head),
            (0, 0),
            "nothing changed: no GET, no HEAD"
        );
        assert_eq!(after.list - before.list, 2);
    }
}

async fn an_overwrite_of_the_same_size_is_fetched_and_the_old_version_kept(at: Contract) {
    at.put("k", b"old");
    at.mirror.sync().await.unwrap();
    let old = at.mirror.object("k");
    at.put("k", b"new");
    at.mirror.sync().await.unwrap();
    assert_eq!(at.mirror.mirrored("k").unwrap(), b"new");
    let cache = kennel_cache::Cache::open(at.mirror.path()).unwrap();
    assert_eq!(
        std::fs::read(cache.object_path(&old.sha256)).unwrap(),
        b"old"
    );
    assert_eq!(cache.object_versions().unwrap().len(), 2);
}

async fn a_listing_begins_where_it_is_told_and_folders_are_named_once(at: Contract) {
    for key in ["a/1", "b/1", "b/2/x", "b/3", "b/3/y", "c/1"] {
        at.put(key, key.as_bytes());
    }
    assert_eq!(
        at.listed("b/", None).await,
        ["b/1", "b/2/x", "b/3", "b/3/y"]
    );
    assert_eq!(at.listed("b/", Some("b/2/x")).await, ["b/3", "b/3/y"]);
    // One that is not there, and one before the prefix.
    assert_eq!(at.listed("b/", Some("b/2/z")).await, ["b/3", "b/3/y"]);
    assert_eq!(at.listed("c/", Some("a")).await, ["c/1"]);
    assert_eq!(at.listed("d/", None).await, Vec::<String>::new());
    let remote = at.mirror.remote();
    assert_eq!(remote.list_folders("").await.unwrap(), ["a/", "b/", "c/"]);
    assert_eq!(remote.list_folders("b/").await.unwrap(), ["b/2/", "b/3/"]);
}

async fn a_deleted_key_is_marked_and_its_bytes_stay(at: Contract) {
    (0..8).for_each(|n| at.put(&format!("k{n}"), b"here"));
    at.mirror.sync().await.unwrap();
    at.delete("k3");
    let synced = at.mirror.sync().await.unwrap();
    assert_eq!(synced.plan.missing, ["k3"]);
    assert!(at.mirror.object("k3").missing_since.is_some());
    assert_eq!(at.mirror.mirrored("k3").unwrap(), b"here");
}

async fn objects_of_all_sizes_are_the_same_bytes(at: Contract) {
    let body = |size: usize| (0..size).map(|n| (n % 251) as u8).collect::<Vec<_>>();
    let sizes = [0, 1, 4_095, 4_096, 65_537, 3_000_000];
    for size in sizes {
        at.put(&format!("size-{size}"), &body(size));
    }
    let synced = at.mirror.sync().await.unwrap();
    assert_eq!(synced.outcome.failures, []);
    for size in sizes {
        let key = format!("size-{size}");
        assert!(at.mirror.mirrored(&key).unwrap() == body(size), "{key}");
        // More than the length is proved, on every server that says more.
        let by = at.mirror.object(&key).verified_by;
        assert_ne!(by, "length", "{key}");
    }
}

async fn hostile_keys_are_mirrored_or_named_and_never_leave_the_cache(at: Contract) {
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
    let taken = hostile.iter().filter(|key| at.try_put(key, key.as_bytes()));
    let taken = taken.copied().collect::<Vec<_>>();
    // Other servers refuse some of them, or take and do not list them.
    let listed = at.listed("", None).await;
    assert!(listed.len() >= 10, "{listed:?}");
    if at.outside.is_none() {
        assert_eq!(listed.len(), hostile.len());
    }
    let climbing = |key: &&str| key.contains("..");
    let synced = at.mirror.sync().await.unwrap();
    let failures = synced.outcome.failures;
    let failed = failures
        .iter()
        .map(|failure| failure.key.as_str())
        .collect::<Vec<_>>();
    // SeaweedFS keeps the ETag of a folder's marker and loses its bytes: those are refused.
    let may_fail = |key: &&str| climbing(key) || (at.outside.is_some() && key.ends_with('/'));
    assert!(failed.iter().all(may_fail), "{failures:?}");
    for key in listed.iter().map(String::as_str) {
        let is_mirrored = !failed.contains(&key);
        assert!(!(is_mirrored && climbing(&key)), "{key:?} was requested");
        if is_mirrored && taken.contains(&key) {
            assert_eq!(at.mirror.mirrored(key).unwrap(), key.as_bytes(), "{key:?}");
        }
    }
    let path = at.mirror.path();
    let parent = path.parent().unwrap();
    assert!(!parent.join("escape.txt").exists() && !path.join("escape.txt").exists());
    for file in at.mirror.files() {
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

async fn a_missing_bucket_and_a_wrong_secret_are_named(mut at: Contract) {
    let url = std::mem::replace(
        &mut at.mirror.source.url,
        "s3://no-such-bucket".parse().unwrap(),
    );
    let error = at.mirror.sync().await.err().unwrap();
    assert_eq!(error.code(), Some("NoSuchBucket"), "{error}");
    at.mirror.source.url = url;
    at.mirror.keys.secret_access_key = "WRONGSECRET".into();
    let error = at.mirror.sync().await.err().unwrap();
    assert_eq!(error.code(), Some("SignatureDoesNotMatch"), "{error}");
    assert!(!error.to_string().contains("WRONGSECRET"));
}
