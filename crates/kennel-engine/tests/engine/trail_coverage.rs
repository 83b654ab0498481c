//! An answer over CloudTrail says what it rests on, and what of it the cache does not have.

use kennel_cache::{AccountId, CustomerId};
use kennel_engine::{AsOf, EngineSettings};
use kennel_testkit::fixtures::{
    PARTNER, PRODUCTION, SANDBOX, SECURITY,
    trail::{TrailEvent, deliver, guide_trail},
    utc,
};

use crate::{
    home::{TestCache, query, run},
    trail_home::after_the_trail,
};

const SUMMARY: &str = "Note: rests on CloudTrail of 4 accounts in 2 regions, delivered 2026/02/02 to 2026/03/03; management and data events";
const GAP: &str = "Note: trails have 1 day without any object between days that have some: the first is 2026/02/21 in eu-west-1 of account 123456789012";

/// What is said of a filter on `cloudtrail.events`, but for what is always said.
async fn said(cache: &TestCache, condition: &str) -> Vec<String> {
    let sql = format!("SELECT count(*) FROM cloudtrail.events WHERE {condition}");
    let mut caveats = query(&cache.engine(), &sql).await.unwrap().caveats;
    caveats.retain(|caveat| !caveat.starts_with("Note: rests on") && caveat != GAP);
    caveats
}

fn cache_of(admits: impl Fn(&TrailEvent) -> bool) -> TestCache {
    let cache = TestCache::new();
    let events = guide_trail()
        .into_iter()
        .filter(|event| admits(event))
        .collect::<Vec<_>>();
    assert_eq!(cache.sync_trail(&deliver(&events), after_the_trail()), []);
    cache
}

#[tokio::test]
async fn a_table_over_a_place_that_is_not_mirrored_says_so() {
    let cache = TestCache::of_the_trail();
    let engine = cache.engine_with(crate::slt::both_sources());
    let create = "CREATE EXTERNAL TABLE nobodys (eventname string) PARTITIONED BY (`timestamp` string) LOCATION 's3://safeco-cloudtrail-archive/AWSLogs/999999999999/CloudTrail/'";
    query(&engine, create).await.unwrap();
    let result = query(&engine, "SELECT count(*) FROM nobodys")
        .await
        .unwrap();
    assert_eq!(
        result.caveats,
        ["Absent: the cache holds no records for `default.nobodys`"]
    );
}

#[tokio::test]
async fn every_answer_says_what_there_was_to_be_found() {
    let cache = TestCache::of_the_trail();
    let all = query(&cache.engine(), "SELECT count(*) FROM cloudtrail.events")
        .await
        .unwrap();
    assert_eq!(all.caveats, [SUMMARY, GAP]);
    let logs = query(
        &cache.engine(),
        "SELECT count(*) FROM cloudtrail.cloudtrail_logs",
    )
    .await
    .unwrap();
    assert_eq!(logs.caveats, all.caveats);
    let one = run(
        &cache.engine(),
        "cloudtrail/first-seen-actions",
        &[("account_id", PRODUCTION)],
    )
    .await;
    assert_eq!(
        one.caveats,
        [
            "Note: rests on CloudTrail of account 111122223333 in 1 region, delivered 2026/02/02 to 2026/03/03; management and data events"
        ]
    );
}

#[tokio::test]
async fn before_any_sync_of_a_trail_its_tables_are_absent_not_empty() {
    let cache = TestCache::new();
    cache.sync_trail(&[], after_the_trail());
    for table in ["events", "cloudtrail_logs", "insights"] {
        let result = query(
            &cache.engine(),
            &format!("SELECT * FROM cloudtrail.{table}"),
        )
        .await
        .unwrap();
        assert_eq!(
            result.caveats,
            [format!(
                "Absent: the cache holds no records for `cloudtrail.{table}`"
            )]
        );
    }
}

#[tokio::test]
async fn accounts_and_regions_that_are_not_there_are_said() {
    let cache = TestCache::of_the_trail();
    let absent = "Absent: no CloudTrail object of account 999999999999 is in the cache";
    assert_eq!(said(&cache, "account_id = '999999999999'").await, [absent]);
    let one_of_two = format!("account_id IN ('999999999999', '{SANDBOX}')");
    let partial = absent.replace("Absent", "Partial");
    assert_eq!(said(&cache, &one_of_two).await, [partial]);
    assert_eq!(
        said(&cache, &format!("account_id <> '{SANDBOX}'")).await,
        [""; 0]
    );
    assert_eq!(
        said(&cache, "region = 'mars-north-1'").await,
        ["Absent: no CloudTrail object of region mars-north-1 is in the cache"]
    );
    let logs = "SELECT count(*) FROM cloudtrail.cloudtrail_logs WHERE account = '999999999999' AND year = '2026'";
    assert_eq!(
        query(&cache.engine(), logs).await.unwrap().caveats,
        [absent]
    );
    let flags = EngineSettings {
        accounts: vec![AccountId::new("999999999999"), AccountId::new(PARTNER)],
        ..TestCache::settings()
    };
    let result = run(&cache.engine_with(flags), "cloudtrail/denied", &[]).await;
    assert_eq!(result.caveats[0], absent);
    assert_eq!(
        result.caveats[1],
        "Note: rests on CloudTrail of account 444455556666 in 1 region, delivered 2026/02/02 to 2026/03/03; management and data events"
    );
    assert_eq!(result.caveats.len(), 2);
}

#[tokio::test]
async fn customers_are_said_not_to_limit_events() {
    let cache = TestCache::of_the_guide_with_its_trail();
    for id in ["cloudtrail/root-use", "cloudtrail/role-assumptions"] {
        let settings = EngineSettings {
            customers: vec![CustomerId::new("P123456-444455556666")],
            ..TestCache::settings()
        };
        let result = run(&cache.engine_with(settings), id, &[]).await;
        assert!(
            result.caveats.contains(&"Note: customers limit k9's reports only: events of all accounts are in the answer".to_owned()),
            "{id}: {:?}",
            result.caveats
        );
        assert!(!result.rows.is_empty(), "{id}");
    }
}

#[tokio::test]
async fn an_account_whose_trail_alone_is_mirrored_is_known() {
    let cache = TestCache::of_the_trail();
    let of = async |id: &str| {
        let settings = EngineSettings {
            accounts: vec![AccountId::new(id)],
            ..TestCache::settings()
        };
        run(
            &cache.engine_with(settings),
            "cloudtrail/role-assumptions",
            &[],
        )
        .await
    };
    let result = of(SANDBOX).await;
    assert!(
        result
            .column("account_id")
            .into_iter()
            .all(|id| id == SANDBOX)
            && !result.rows.is_empty()
    );
    assert_eq!(result.caveats, [SUMMARY, GAP]);
    let result = of("999999999999").await;
    assert_eq!(
        result.caveats[0],
        "Absent: no CloudTrail object of account 999999999999 is in the cache"
    );
}

#[tokio::test]
async fn days_that_the_cache_does_not_cover_are_said() {
    let cache = TestCache::of_the_trail();
    let nothing = |days: &str| {
        format!(
            "Absent: the cache holds no CloudTrail of {days}: what it has was delivered 2026/02/02 to 2026/03/03"
        )
    };
    assert_eq!(
        said(&cache, "event_time >= TIMESTAMP '2026-04-01 00:00:00'").await,
        [nothing("2026/04/01 and later")]
    );
    assert_eq!(
        said(
            &cache,
            "event_time BETWEEN TIMESTAMP '2025-12-01 00:00:00' AND TIMESTAMP '2025-12-31 23:59:59'"
        )
        .await,
        [nothing("2025/12/01 to 2025/12/31")]
    );
    for condition in [
        "year = '2025' AND month = '12' AND day = '24'",
        "timestamp = '2025/12/24'",
        "eventtime BETWEEN '2025-12-24' AND '2025-12-24T23:59:59Z'",
    ] {
        let sql = format!("SELECT count(*) FROM cloudtrail.cloudtrail_logs WHERE {condition}");
        let caveats = query(&cache.engine(), &sql).await.unwrap().caveats;
        assert_eq!(caveats[0], nothing("2025/12/24"), "{condition}");
    }
    // Days that are there, and questions that name none, say nothing.
    assert_eq!(
        said(&cache, "event_time < TIMESTAMP '2026-02-20 00:00:00'").await,
        [""; 0]
    );
    assert_eq!(said(&cache, "event_name = 'GetObject'").await, [""; 0]);
    let newer = said(
        &cache,
        "event_time BETWEEN TIMESTAMP '2026-03-01 00:00:00' AND TIMESTAMP '2026-03-09 00:00:00'",
    )
    .await;
    assert_eq!(
        newer,
        ["Note: asked for days to 2026/03/09, but the newest CloudTrail is of 2026/03/03"]
    );
}

#[tokio::test]
async fn a_trail_that_began_later_is_told_from_one_that_was_mirrored_in_part() {
    let asked = "event_time >= TIMESTAMP '2026-01-01 00:00:00'";
    let text = "asked for 2026/01/01 and later, but the CloudTrail of 4 accounts begins later: that of account 012345678901 on 2026/02/02";
    let whole = TestCache::of_the_trail();
    assert_eq!(said(&whole, asked).await, [format!("Note: {text}")]);
    let part = TestCache::new();
    part.sync_trail_since(&deliver(&guide_trail()), "2026/02/02");
    assert_eq!(said(&part, asked).await, [format!("Partial: {text}")]);
    let params = [("since", "2026-01-01"), ("principal", "ci")];
    let result = run(&part.engine(), "cloudtrail/activity", &params).await;
    assert_eq!(result.caveats[0], format!("Partial: {text}"));
}

#[tokio::test]
async fn an_account_whose_days_lie_elsewhere_is_named() {
    let is_of_security = |event: &TrailEvent| {
        event.account_id == SECURITY || event.other_account.as_deref() == Some(SECURITY)
    };
    let cache = cache_of(|event| !is_of_security(event) || event.at < utc("2026-02-10 00:00:00"));
    let asked = "event_time >= TIMESTAMP '2026-02-20 00:00:00'";
    assert_eq!(
        said(&cache, asked).await[0],
        "Partial: the cache holds no CloudTrail of 2026/02/20 and later of 1 account: that of account 012345678901 was delivered 2026/02/02 to 2026/02/09"
    );
}

#[tokio::test]
async fn what_a_trail_was_not_told_to_log_is_said() {
    let is_data = |event: &TrailEvent| event.record["eventCategory"] == "Data";
    let cache = cache_of(|event| !is_data(event));
    let result = run(&cache.engine(), "cloudtrail/s3-object-access", &[]).await;
    assert!(result.rows.is_empty());
    assert_eq!(result.caveats[0], "Absent: no data events are in the cache");
    let summary = "management events only: a trail logs data events where it is told to";
    assert!(
        result
            .caveats
            .iter()
            .any(|caveat| caveat.ends_with(summary))
    );
}

#[tokio::test]
async fn gaps_are_told_of_the_days_and_places_asked_for_and_not_of_idle_regions() {
    let cache = TestCache::of_the_trail();
    let gaps = async |cache: &TestCache, condition: &str| {
        let sql = format!("SELECT count(*) FROM cloudtrail.events WHERE {condition}");
        let caveats = query(&cache.engine(), &sql).await.unwrap().caveats;
        caveats
            .into_iter()
            .filter(|caveat| caveat.contains("without any"))
            .collect::<Vec<_>>()
    };
    assert_eq!(gaps(&cache, "true").await, [GAP]);
    assert_eq!(gaps(&cache, "region = 'us-east-1'").await, [""; 0]);
    assert_eq!(
        gaps(&cache, "event_time > TIMESTAMP '2026-02-22 00:00:00'").await,
        [""; 0]
    );
    assert_eq!(
        gaps(&cache, &format!("account_id = '{PRODUCTION}'")).await,
        [""; 0]
    );
    let idle = cache_of(|event| {
        event.region != "eu-west-1" || event.record["eventName"] != "GetBucketAcl"
    });
    assert_eq!(gaps(&idle, "region = 'eu-west-1'").await, [""; 0]);
}

#[tokio::test]
async fn as_of_a_time_before_the_trail_nothing_is_known() {
    let cache = TestCache::of_the_trail();
    let settings = EngineSettings {
        as_of: Some(AsOf::At(utc("2026-01-15 00:00:00"))),
        ..TestCache::settings()
    };
    let result = run(&cache.engine_with(settings), "cloudtrail/root-use", &[]).await;
    assert!(result.rows.is_empty());
    assert_eq!(
        result.caveats[0],
        "Absent: the cache holds no CloudTrail of 2026/01/15 and earlier: what it has was delivered 2026/02/02 to 2026/03/03"
    );
}

#[tokio::test]
async fn an_object_that_could_not_be_read_makes_answers_partial() {
    let cache = TestCache::new();
    let mut objects = deliver(&guide_trail());
    let body = &mut objects[3].1;
    body.truncate(body.len() / 2);
    let failed = cache.sync_trail(&objects, after_the_trail());
    assert_eq!(failed.len(), 1);
    let result = run(&cache.engine(), "cloudtrail/daily-volume", &[]).await;
    assert!(
        result.caveats[0].starts_with("Partial: events are missing: cannot "),
        "{:?}",
        result.caveats
    );
    assert!(result.caveats[0].contains(&failed[0].0));
    let result = run(
        &cache.engine(),
        "cloudtrail/daily-volume",
        &[("account_id", PARTNER)],
    )
    .await;
    assert!(result.caveats[0].starts_with("Partial"));
}
