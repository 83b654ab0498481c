//! CloudTrail: found by itself, listed from the checkpoint on, fetched into packs.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::collections::HashSet;

use futures::TryStreamExt;
use kennel_cache::{
    AccountId, Cache, CacheWriter, DeliveryDay, EventCategory, FailureStage, NewTrailObject,
    Sha256, SourceKind, SourceName, TrailBatch, TrailFinish, TrailFlags, TrailFolder,
};
use kennel_mirror::{
    CancelFlag, Content, Discovery, FetchOutcome, FetchedBytes, MirrorError, Remote, SourceUrl,
    TrailFilter, TrailOptions, TrailPlans, plan_trail,
};
use kennel_testkit::s3::{ErrorAnswer, Fault, FaultKind, Matcher, ObjectOptions};
use tokio::sync::mpsc;

use crate::home::{TestMirror, now};

const PREFIX: &str = "AWSLogs/012345678901/CloudTrail/eu-west-1/";

fn day(text: &str) -> DeliveryDay {
    DeliveryDay::parse(text).unwrap()
}

fn trail() -> SourceName {
    SourceName::try_new("trail").unwrap()
}

fn key(day: &str, name: &str) -> String {
    format!("{PREFIX}{day}/{name}.json.gz")
}

fn prefixes(discovery: &Discovery) -> Vec<&str> {
    discovery
        .prefixes
        .iter()
        .map(|p| p.prefix.as_str())
        .collect()
}

/// What one sync came to.
struct Synced {
    plans: TrailPlans,
    outcome: FetchOutcome,
    lists: u64,
    gets: u64,
}

impl Synced {
    fn fetched(&self) -> u64 {
        self.outcome.fetched
    }
}

fn open(mirror: &TestMirror) -> CacheWriter {
    let mut writer = CacheWriter::open(mirror.path(), now()).unwrap();
    writer
        .register_source(&trail(), SourceKind::CloudTrail, "s3://inbox")
        .unwrap();
    writer
}

/// Discovers, plans, fetches into one pack and commits, as the front door does; without tables.
async fn sync(mirror: &TestMirror, options: TrailOptions) -> Synced {
    let mut writer = open(mirror);
    let remote = mirror.remote();
    let before = mirror.server.counts();
    let found = remote
        .discover_trail("", &TrailFilter::default())
        .await
        .unwrap();
    let discovered = mirror.server.counts();
    let mut plans = plan_trail(
        &remote,
        writer.cache(),
        &trail(),
        &found.prefixes,
        &options,
        &|_| true,
        &mirror.recorder,
    )
    .await
    .unwrap();
    let lists = mirror.server.counts().list - discovered.list;
    let objects = plans
        .plans
        .iter_mut()
        .flat_map(|plan| plan.fetch.clone())
        .collect::<Vec<_>>();
    let stage = writer.stage();
    let (sender, mut receiver) = mpsc::channel::<Vec<FetchedBytes>>(4);
    let mut pack = stage.pack_writer().unwrap();
    let cancel = CancelFlag::default();
    let take = async {
        let mut taken = vec![];
        while let Some(group) = receiver.recv().await {
            for fetched in group {
                let sha256 = fetched.object.sha256;
                let range = fetched.content.append_to(&mut pack, sha256).unwrap();
                taken.push((fetched.object, range));
            }
        }
        taken
    };
    let fetch = remote.fetch_bytes(objects, &stage, &mirror.recorder, &cancel, sender);
    let (outcome, taken) = tokio::join!(fetch, take);
    let pack = pack.finish().unwrap();
    writer
        .commit_trail_batch(&TrailBatch {
            source: trail(),
            objects: taken
                .into_iter()
                .map(|(object, range)| NewTrailObject {
                    object,
                    pack: Some((pack.sha256, range)),
                    record_count: 1,
                    flags: TrailFlags::default(),
                    categories: vec![(EventCategory::Management, 1)],
                })
                .collect(),
            packs: vec![pack],
            refreshed: vec![],
            files: vec![],
        })
        .unwrap();
    finish(&mut writer, &plans, &outcome);
    Synced {
        plans,
        outcome,
        lists,
        gets: mirror.server.counts().get - before.get,
    }
}

fn finish(writer: &mut CacheWriter, plans: &TrailPlans, outcome: &FetchOutcome) {
    let open = || {
        let failures = outcome.failures.iter();
        failures.filter(|f| !f.vanished).map(|f| f.key.as_str())
    };
    writer
        .finish_trail_sync(&TrailFinish {
            source: trail(),
            started_at: now(),
            taken_at: now(),
            listed: plans
                .plans
                .iter()
                .filter_map(|plan| plan.listed(open()))
                .collect(),
            replaced_files: vec![],
            files: vec![],
            refreshed: vec![],
            failures: outcome
                .failures
                .iter()
                .map(|f| (f.key.clone(), FailureStage::Fetch, f.message.clone()))
                .collect(),
            covers_all: true,
            fetched_count: outcome.fetched,
            fetched_bytes: outcome.bytes,
            unchanged_count: 0,
            changed_count: 0,
            error: None,
        })
        .unwrap();
}

fn bytes(mirror: &TestMirror, key: &str) -> Option<Vec<u8>> {
    let cache = Cache::open(mirror.path()).unwrap();
    cache.trail_object_bytes(&trail(), key).unwrap()
}

fn checkpoint(mirror: &TestMirror) -> Option<DeliveryDay> {
    let cache = Cache::open(mirror.path()).unwrap();
    cache.trail_prefixes(&trail()).unwrap()[0].checkpoint_day
}

#[tokio::test]
async fn every_layout_is_found_and_other_services_are_left_alone() {
    let mirror = TestMirror::new();
    let file = "2026/03/02/x.json.gz";
    let trails = [
        "a/b/AWSLogs/012345678901/CloudTrail/eu-west-1/",
        "o-abc1234567/AWSLogs/o-abc1234567/111122223333/CloudTrail-Digest/us-east-1/",
        "o-abc1234567/AWSLogs/o-abc1234567/111122223333/CloudTrail/us-east-1/",
        "z/AWSLogs/444455556666/CloudTrail-Insight/us-east-1/",
    ];
    for prefix in trails {
        mirror.bucket.put(&format!("{prefix}{file}"), b"x".to_vec());
    }
    for stranger in [
        "z/AWSLogs/444455556666/Config/us-east-1/2026/3/2/x.json.gz",
        "z/AWSLogs/444455556666/vpcflowlogs/us-east-1/2026/03/02/x.log.gz",
        "z/AWSLogs/CloudTrail/us-east-1/2026/03/02/x.json.gz",
        "hive/parquet/pas/customer_id=C/csp=aws/account_id=1/x.parquet",
        "z/AWSLogs/",
    ] {
        mirror.bucket.put(stranger, b"x".to_vec());
    }
    let remote = mirror.remote();
    let all = remote
        .discover_trail("", &TrailFilter::default())
        .await
        .unwrap();
    assert_eq!(prefixes(&all), trails);
    assert!(all.failures.is_empty());
    let some = TrailFilter {
        accounts: vec![
            AccountId::new("111122223333"),
            AccountId::new("012345678901"),
        ],
        folders: vec![TrailFolder::CloudTrail],
        regions: vec!["us-east-1".into()],
    };
    let found = remote.discover_trail("", &some).await.unwrap();
    assert_eq!(prefixes(&found), [trails[2]]);
    // A source may begin at any of the levels.
    for place in [
        "o-abc1234567",
        "o-abc1234567/AWSLogs",
        "o-abc1234567/AWSLogs/o-abc1234567",
        "o-abc1234567/AWSLogs/o-abc1234567/111122223333",
    ] {
        let found = remote
            .discover_trail(place, &TrailFilter::default())
            .await
            .unwrap();
        assert_eq!(prefixes(&found), trails[1..3], "{place}");
    }
    let region = trails[2].trim_end_matches('/');
    for place in [region.rsplit_once('/').unwrap().0, region] {
        let found = remote
            .discover_trail(place, &TrailFilter::default())
            .await
            .unwrap();
        assert_eq!(prefixes(&found), [trails[2]], "{place}");
    }
    let below = remote
        .discover_trail(&format!("{region}/2026"), &TrailFilter::default())
        .await;
    assert!(matches!(below, Err(MirrorError::Url { .. })));
}

#[tokio::test]
async fn neighbours_of_awslogs_are_not_searched() {
    let mirror = TestMirror::new();
    mirror.bucket.put(&key("2026/03/02", "a"), b"x".to_vec());
    for n in 0..50 {
        mirror.bucket.put(&format!("other/{n:02}/x"), b"x".to_vec());
    }
    let remote = mirror.remote();
    let found = remote
        .discover_trail("", &TrailFilter::default())
        .await
        .unwrap();
    assert_eq!(prefixes(&found), [PREFIX]);
    assert!(!found.is_cut);
    assert_eq!(
        mirror.server.counts().list,
        4,
        "bucket, AWSLogs, account, folder"
    );
}

#[tokio::test]
async fn an_account_that_cannot_be_listed_fails_alone() {
    let mirror = TestMirror::new();
    mirror.bucket.put(&key("2026/03/02", "a"), b"x".to_vec());
    let denied = "AWSLogs/111122223333/";
    mirror.bucket.put(
        &format!("{denied}CloudTrail/us-east-1/2026/03/02/x.json.gz"),
        b"x".to_vec(),
    );
    mirror.server.fault(Fault {
        on: Matcher::list().prefix(&format!("{denied}*")).always(),
        kind: FaultKind::Status(ErrorAnswer::access_denied()),
    });
    let remote = mirror.remote();
    let found = remote
        .discover_trail("", &TrailFilter::default())
        .await
        .unwrap();
    assert_eq!(prefixes(&found), [PREFIX]);
    assert_eq!(found.failures.len(), 1);
    assert_eq!(found.failures[0].0, denied);
    let error = remote
        .discover_trail("AWSLogs/111122223333", &TrailFilter::default())
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("AccessDenied"));
}

#[tokio::test]
async fn nothing_new_is_one_list_per_prefix_and_no_get() {
    let mirror = TestMirror::new();
    for region in ["eu-west-1", "us-east-1"] {
        for day in 1..=28 {
            for n in 0..60 {
                let key = format!(
                    "AWSLogs/012345678901/CloudTrail/{region}/2026/02/{day:02}/{n:04}.json.gz"
                );
                mirror.bucket.put(&key, key.clone().into_bytes());
            }
        }
    }
    let first = sync(&mirror, TrailOptions::default()).await;
    assert_eq!((first.fetched(), first.lists), (3_360, 4), "two pages each");
    let some = "AWSLogs/012345678901/CloudTrail/us-east-1/2026/02/13/0059.json.gz";
    assert_eq!(bytes(&mirror, some).unwrap(), some.as_bytes());
    let second = sync(&mirror, TrailOptions::default()).await;
    assert_eq!((second.fetched(), second.lists, second.gets), (0, 2, 0));
    assert_eq!(
        second.plans.plans[0].keep_count, 180,
        "the last three days were looked at"
    );
    let full = TrailOptions {
        full: true,
        ..TrailOptions::default()
    };
    let third = sync(&mirror, full).await;
    assert_eq!((third.fetched(), third.lists, third.gets), (0, 4, 0));
    let packs = mirror.files();
    assert_eq!(packs.iter().filter(|f| f.ends_with(".pack")).count(), 2);
    assert_eq!(
        packs.iter().filter(|f| f.starts_with("objects/")).count(),
        0
    );
}

#[tokio::test]
async fn a_late_delivery_is_found_within_the_look_back_and_an_older_one_in_full() {
    let mirror = TestMirror::new();
    mirror.bucket.put(&key("2026/03/10", "m"), b"m".to_vec());
    sync(&mirror, TrailOptions::default()).await;
    assert_eq!(checkpoint(&mirror), Some(day("2026/03/10")));
    // Sorts before what is known, in the same day and two days before.
    mirror.bucket.put(&key("2026/03/10", "a"), b"a".to_vec());
    mirror.bucket.put(&key("2026/03/08", "z"), b"z".to_vec());
    mirror
        .bucket
        .put(&key("2026/03/07", "old"), b"old".to_vec());
    assert_eq!(sync(&mirror, TrailOptions::default()).await.fetched(), 2);
    assert_eq!(bytes(&mirror, &key("2026/03/08", "z")).unwrap(), b"z");
    assert_eq!(bytes(&mirror, &key("2026/03/07", "old")), None);
    let full = TrailOptions {
        full: true,
        ..TrailOptions::default()
    };
    assert_eq!(sync(&mirror, full).await.fetched(), 1);
    assert_eq!(bytes(&mirror, &key("2026/03/07", "old")).unwrap(), b"old");
}

#[tokio::test]
async fn since_and_until_bound_what_is_listed_and_leave_no_gap_behind() {
    let mirror = TestMirror::new();
    for number in 1..=9 {
        mirror
            .bucket
            .put(&key(&format!("2026/03/{number:02}"), "x"), vec![number]);
    }
    mirror
        .bucket
        .put(&format!("{PREFIX}readme.txt"), b"x".to_vec());
    let within = |since: &str, until: &str| TrailOptions {
        since: Some(day(since)),
        until: Some(day(until)),
        ..TrailOptions::default()
    };
    let middle = sync(&mirror, within("2026/03/04", "2026/03/05")).await;
    assert_eq!(middle.fetched(), 2);
    assert_eq!(checkpoint(&mirror), Some(day("2026/03/05")));
    let late = sync(&mirror, within("2026/03/09", "2026/03/09")).await;
    assert_eq!(late.fetched(), 1);
    assert_eq!(
        checkpoint(&mirror),
        Some(day("2026/03/05")),
        "6 to 8 are lacking"
    );
    let rest = sync(&mirror, TrailOptions::default()).await;
    assert_eq!(rest.fetched(), 6);
    assert_eq!(rest.plans.plans[0].left_alone_count, 1);
    assert_eq!(checkpoint(&mirror), Some(day("2026/03/09")));
    assert_eq!(sync(&mirror, TrailOptions::default()).await.fetched(), 0);
}

#[tokio::test]
async fn an_object_that_fails_is_tried_again_until_it_comes() {
    let mirror = TestMirror::new();
    let bad = key("2026/03/02", "bad");
    mirror.bucket.put(&bad, b"bad".to_vec());
    for number in 1..=9 {
        let key = key(&format!("2026/03/{number:02}"), "x");
        mirror.bucket.put(&key, vec![number]);
    }
    mirror.server.fault(Fault {
        on: Matcher::get(&bad).always(),
        kind: FaultKind::Status(ErrorAnswer::access_denied()),
    });
    for fetched in [9, 0, 0] {
        let synced = sync(&mirror, TrailOptions::default()).await;
        assert_eq!(
            (synced.fetched(), synced.outcome.failures.len()),
            (fetched, 1)
        );
        assert_eq!(checkpoint(&mirror), Some(day("2026/03/02")));
    }
    mirror.server.clear_faults();
    assert_eq!(sync(&mirror, TrailOptions::default()).await.fetched(), 1);
    assert_eq!(checkpoint(&mirror), Some(day("2026/03/09")));
    let cache = Cache::open(mirror.path()).unwrap();
    assert!(cache.failures().unwrap().is_empty());
}

#[tokio::test]
async fn a_prefix_that_cannot_be_listed_fails_alone_and_keeps_its_checkpoint() {
    let mirror = TestMirror::new();
    let other = "AWSLogs/012345678901/CloudTrail/us-east-1/";
    mirror.bucket.put(&key("2026/03/02", "a"), b"a".to_vec());
    mirror
        .bucket
        .put(&format!("{other}2026/03/02/a.json.gz"), b"a".to_vec());
    sync(&mirror, TrailOptions::default()).await;
    mirror.bucket.put(&key("2026/03/05", "b"), b"b".to_vec());
    mirror
        .bucket
        .put(&format!("{other}2026/03/05/b.json.gz"), b"b".to_vec());
    mirror.server.fault(Fault {
        on: Matcher::list().prefix(PREFIX).always(),
        kind: FaultKind::ErrorWithStatus200(ErrorAnswer::access_denied()),
    });
    let second = sync(&mirror, TrailOptions::default()).await;
    assert_eq!(second.fetched(), 1);
    assert_eq!(second.plans.failures.len(), 1);
    assert_eq!(second.plans.failures[0].0.prefix, PREFIX);
    assert_eq!(checkpoint(&mirror), Some(day("2026/03/02")));
    mirror.server.clear_faults();
    assert_eq!(sync(&mirror, TrailOptions::default()).await.fetched(), 1);
    assert_eq!(checkpoint(&mirror), Some(day("2026/03/05")));
}

#[tokio::test]
async fn archived_objects_are_counted_and_not_asked_for() {
    let mirror = TestMirror::new();
    mirror.bucket.put(&key("2026/03/01", "a"), b"a".to_vec());
    mirror.bucket.put_with(
        &key("2026/03/01", "b"),
        b"b".to_vec(),
        ObjectOptions {
            storage_class: Some("GLACIER".into()),
            ..ObjectOptions::default()
        },
    );
    let synced = sync(&mirror, TrailOptions::default()).await;
    assert_eq!((synced.fetched(), synced.gets), (1, 1));
    assert_eq!(synced.plans.plans[0].archived_count, 1);
    assert!(synced.outcome.failures.is_empty());
}

#[tokio::test]
async fn objects_that_expired_stay_and_are_no_alarm() {
    let mirror = TestMirror::new();
    for number in 1..=28 {
        let key = key(&format!("2026/02/{number:02}"), "x");
        mirror.bucket.put(&key, vec![number]);
    }
    sync(&mirror, TrailOptions::default()).await;
    for number in 1..=27 {
        mirror
            .bucket
            .delete(&key(&format!("2026/02/{number:02}"), "x"));
    }
    let full = TrailOptions {
        full: true,
        ..TrailOptions::default()
    };
    let synced = sync(&mirror, full).await;
    assert_eq!((synced.fetched(), synced.plans.plans[0].keep_count), (0, 1));
    assert_eq!(bytes(&mirror, &key("2026/02/01", "x")).unwrap(), [1]);
}

#[tokio::test]
async fn flags_that_leave_objects_out_prove_nothing() {
    let mirror = TestMirror::new();
    mirror.bucket.put(&key("2026/03/01", "a"), b"a".to_vec());
    mirror.bucket.put(&key("2026/03/01", "b"), b"b".to_vec());
    let writer = open(&mirror);
    let remote = mirror.remote();
    let found = remote
        .discover_trail("", &TrailFilter::default())
        .await
        .unwrap();
    let plans = plan_trail(
        &remote,
        writer.cache(),
        &trail(),
        &found.prefixes,
        &TrailOptions::default(),
        &|key| key.ends_with("a.json.gz"),
        &mirror.recorder,
    )
    .await
    .unwrap();
    let plan = &plans.plans[0];
    assert_eq!((plan.fetch.len(), plan.filtered_count), (1, 1));
    assert_eq!(plan.listed([]), None);
}

async fn fetch_all(mirror: &TestMirror, remote: &Remote) -> (Vec<(String, Vec<u8>)>, FetchOutcome) {
    let objects: Vec<_> = remote.list("", None).try_collect().await.unwrap();
    let writer = open(mirror);
    let stage = writer.stage();
    let (sender, mut receiver) = mpsc::channel::<Vec<FetchedBytes>>(1);
    let cancel = CancelFlag::default();
    let take = async {
        let mut taken = vec![];
        let mut groups = vec![];
        while let Some(group) = receiver.recv().await {
            groups.push(group);
        }
        for fetched in groups.into_iter().flatten() {
            let mut bytes = vec![];
            std::io::Read::read_to_end(&mut fetched.content.reader().unwrap(), &mut bytes).unwrap();
            let is_in_memory = matches!(fetched.content, Content::Memory(_));
            assert_eq!(is_in_memory, bytes.len() <= 1024 * 1024);
            assert_eq!(Sha256::of(&bytes), fetched.object.sha256);
            taken.push((fetched.object.key, bytes));
        }
        taken.sort();
        taken
    };
    let fetch = remote.fetch_bytes(objects, &stage, &mirror.recorder, &cancel, sender);
    let (outcome, taken) = tokio::join!(fetch, take);
    (taken, outcome)
}

#[tokio::test]
async fn bytes_are_handed_over_whole_whatever_breaks_on_the_way() {
    let mirror = TestMirror::new();
    let bodies = [("a", 0), ("b", 1_500), ("c", 90_000), ("d", 3_000_000)];
    for (key, size) in bodies {
        mirror.bucket.put(key, vec![7; size]);
    }
    for (key, nth, kind) in [
        ("b", 1, FaultKind::CloseAfter(700)),
        ("b", 2, FaultKind::slow_down()),
        ("c", 1, FaultKind::FlipByte(40_000)),
        ("c", 2, FaultKind::Html),
        ("d", 1, FaultKind::ResetAfter(1_234_567)),
    ] {
        mirror.server.fault(Fault {
            on: Matcher::get(key).nth(nth),
            kind,
        });
    }
    let remote = mirror.remote();
    let (taken, outcome) = fetch_all(&mirror, &remote).await;
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    let sizes = taken
        .iter()
        .map(|(key, bytes)| (key.as_str(), bytes.len()))
        .collect::<Vec<_>>();
    assert_eq!(sizes, bodies);
    assert!(taken.iter().all(|(_, bytes)| bytes.iter().all(|b| *b == 7)));
    assert_eq!(mirror.recorder.retries(), 5, "each fault was met");
    assert_eq!(
        mirror
            .files()
            .iter()
            .filter(|f| f.starts_with("staging/") || f.starts_with("objects/"))
            .count(),
        0,
        "nothing is published, nothing left"
    );
}

#[tokio::test]
async fn wrong_bytes_are_not_handed_over() {
    let mirror = TestMirror::new();
    mirror.bucket.put("a", vec![7; 2_000]);
    mirror.bucket.put("b", vec![7; 2_000]);
    mirror.server.fault(Fault {
        on: Matcher::get("a").always(),
        kind: FaultKind::FlipByte(9),
    });
    let remote = mirror.remote();
    let (taken, outcome) = fetch_all(&mirror, &remote).await;
    assert_eq!(
        taken
            .iter()
            .map(|(key, _)| key.as_str())
            .collect::<Vec<_>>(),
        ["b"]
    );
    assert_eq!(outcome.failures[0].stage, "verify");
}

#[tokio::test]
async fn a_folder_hands_over_its_files_too() {
    let mut mirror = TestMirror::new();
    let folder = tempfile::tempdir().unwrap();
    for (name, size) in [("a", 10), ("big", 2_000_000)] {
        let path = folder.path().join(key("2026/03/01", name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![7; size]).unwrap();
    }
    mirror.source.url = SourceUrl::File {
        root: folder.path().to_owned(),
    };
    let remote = mirror.remote();
    let found = remote
        .discover_trail("", &TrailFilter::default())
        .await
        .unwrap();
    assert_eq!(prefixes(&found), [PREFIX]);
    let (taken, outcome) = fetch_all(&mirror, &remote).await;
    assert_eq!((taken.len(), outcome.fetched), (2, 2));
    // From below `AWSLogs`, the account comes first.
    mirror.source.url = SourceUrl::File {
        root: folder.path().join("AWSLogs"),
    };
    let remote = mirror.remote();
    let found = remote
        .discover_trail("", &TrailFilter::default())
        .await
        .unwrap();
    assert_eq!(prefixes(&found), [&PREFIX["AWSLogs/".len()..]]);
}

#[tokio::test]
async fn when_nobody_takes_the_bytes_the_fetching_ends() {
    let mirror = TestMirror::new();
    (0..200).for_each(|n| {
        mirror.bucket.put(&format!("k{n:03}"), vec![1; 100]);
    });
    let remote = mirror.remote();
    let objects: Vec<_> = remote.list("", None).try_collect().await.unwrap();
    let writer = open(&mirror);
    let (sender, mut receiver) = mpsc::channel::<Vec<FetchedBytes>>(1);
    let (stage, cancel) = (writer.stage(), CancelFlag::default());
    let fetch = remote.fetch_bytes(objects, &stage, &mirror.recorder, &cancel, sender);
    let take = async move {
        receiver.recv().await.unwrap();
        drop(receiver);
    };
    let (outcome, ()) = tokio::join!(fetch, take);
    assert!(outcome.interrupted);
    assert!(
        mirror.server.counts().get < 200,
        "{}",
        mirror.server.counts().get
    );
}

#[tokio::test]
async fn a_kill_between_pack_and_commit_leaves_nothing_and_the_next_sync_fetches_again() {
    let mirror = TestMirror::new();
    mirror.bucket.put(&key("2026/03/01", "a"), b"a".to_vec());
    sync(&mirror, TrailOptions::default()).await;
    mirror.bucket.put(&key("2026/03/02", "b"), b"b".to_vec());
    {
        let writer = open(&mirror);
        let mut pack = writer.stage().pack_writer().unwrap();
        pack.append(b"bbb", Sha256::of(b"bbb")).unwrap();
        pack.finish().unwrap();
    }
    let packs = || {
        let files = mirror.files().into_iter();
        files
            .filter(|f| f.ends_with(".pack"))
            .collect::<HashSet<_>>()
    };
    assert_eq!(packs().len(), 2);
    assert_eq!(bytes(&mirror, &key("2026/03/02", "b")), None);
    assert_eq!(sync(&mirror, TrailOptions::default()).await.fetched(), 1);
    assert_eq!(
        packs().len(),
        2,
        "the orphan is gone, the new pack is there"
    );
    assert_eq!(bytes(&mirror, &key("2026/03/02", "b")).unwrap(), b"b");
}
