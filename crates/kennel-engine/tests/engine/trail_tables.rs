//! CloudTrail's tables: which rows and columns they have, of which types.

use std::{collections::BTreeSet, io::Read};

use flate2::read::GzDecoder;
use kennel_testkit::fixtures::{
    PRODUCTION, SANDBOX,
    trail::{GAP_DAY, LATE_DAY, TrailEvent, deliver, guide_trail},
};
use serde_json::Value;

use crate::home::{Result, TestCache, query};

async fn ask(cache: &TestCache, sql: &str) -> Result {
    query(&cache.engine(), sql).await.unwrap()
}

/// The delivered records of the folder `CloudTrail`, read by another parser.
fn delivered() -> Vec<Value> {
    let mut records = Vec::new();
    for (key, body) in deliver(&guide_trail()) {
        if key.contains("/CloudTrail/") {
            let mut text = String::new();
            GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
            let mut file: Value = serde_json::from_str(&text).unwrap();
            let Value::Array(mut list) = file["Records"].take() else {
                panic!("{key}: no list of records");
            };
            records.append(&mut list);
        }
    }
    records
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "∅".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn the_logs_hold_every_delivered_record_and_events_each_event_once() {
    let cache = TestCache::of_the_trail();
    let records = delivered();
    let mut expected = records
        .iter()
        .map(|record| {
            [
                "eventID",
                "eventTime",
                "eventSource",
                "eventName",
                "errorCode",
                "recipientAccountId",
                "sharedEventID",
            ]
            .map(|field| text(&record[field]))
            .to_vec()
        })
        .collect::<Vec<_>>();
    expected.sort_unstable();
    let sql = "SELECT eventid, eventtime, eventsource, eventname, errorcode, recipientaccountid, sharedeventid \
               FROM cloudtrail.cloudtrail_logs";
    let mut logs = ask(&cache, sql).await.rows;
    logs.sort_unstable();
    assert_eq!(logs, expected);

    expected.dedup();
    assert_eq!(
        records.len() - expected.len(),
        guide_trail().iter().filter(|event| event.is_twice).count()
    );
    let sql = "SELECT event_id, event_time, event_source, event_name, error_code, account_id, shared_event_id \
               FROM cloudtrail.events";
    let mut events = ask(&cache, sql).await.rows;
    events.sort_unstable();
    assert_eq!(events, expected);
}

#[tokio::test]
async fn a_second_sync_of_a_trail_that_sees_the_same_events_adds_none() {
    let objects = deliver(&guide_trail());
    let (organization, own): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .partition(|(key, _)| key.contains("/o-"));
    let cache = TestCache::new();
    cache.sync_trail(&own, super::trail_home::after_the_trail());
    let count = "SELECT count(*) FROM cloudtrail.events";
    let before = ask(&cache, count).await.rows;
    let later = super::trail_home::after_the_trail() + chrono::TimeDelta::hours(1);
    cache.sync_trail(&organization, later);
    assert_eq!(ask(&cache, count).await.rows, before);
    let logs = ask(&cache, "SELECT count(*) FROM cloudtrail.cloudtrail_logs")
        .await
        .rows;
    assert_ne!(logs, before);
    assert_eq!(
        logs,
        ask(
            &TestCache::of_the_trail(),
            "SELECT count(*) FROM cloudtrail.cloudtrail_logs"
        )
        .await
        .rows
    );
}

#[tokio::test]
async fn other_kinds_of_records_have_tables_of_their_own() {
    let cache = TestCache::of_the_trail();
    let of = |folder: &str| {
        let is_it = |event: &&TrailEvent| event.folder.as_str() == folder;
        guide_trail().iter().filter(is_it).count().to_string()
    };
    for (table, folder) in [
        ("insights", "CloudTrail-Insight"),
        ("network_activity", "CloudTrail-NetworkActivity"),
        ("aggregated", "CloudTrail-Aggregated"),
    ] {
        let result = ask(&cache, &format!("SELECT count(*) FROM cloudtrail.{table}")).await;
        assert_eq!(result.rows, [[of(folder)]], "{table}");
    }
    let insight = "SELECT event_category, shared_event_id, insight_details FROM cloudtrail.insights ORDER BY event_time LIMIT 1";
    let rows = ask(&cache, insight).await.rows;
    assert_eq!(rows[0][0], "Insight");
    assert!(
        rows[0][2].contains("\"insightType\":\"ApiCallRateInsight\""),
        "{rows:?}"
    );
    let refused = "SELECT is_denied, vpc_endpoint_id, principal_account_id, session_name FROM cloudtrail.network_activity";
    assert_eq!(
        ask(&cache, refused).await.rows,
        [["true", "vpce-0123456789abcdef0", PRODUCTION, "orders-1"]]
    );
}

#[tokio::test]
async fn events_have_exactly_the_columns_of_the_contract() {
    let cache = TestCache::of_the_trail();
    let columns = ask(&cache, "SELECT * FROM cloudtrail.events LIMIT 1")
        .await
        .columns;
    assert_eq!(
        columns.join(" "),
        "event_time event_id event_source service event_name event_type event_category account_id region read_only \
         is_error is_denied error_code error_message principal_type principal_arn principal_name principal_account_id \
         session_name access_key_id identity_center_user_id source_identity invoked_by mfa_authenticated \
         source_ip_address user_agent request_parameters response_elements additional_event_data resources request_id \
         shared_event_id vpc_endpoint_id tls_version object_key record_index"
    );
}

#[tokio::test]
async fn the_logs_have_athenas_columns_then_the_superset_then_the_partitions() {
    let cache = TestCache::of_the_trail();
    let columns = ask(&cache, "SELECT * FROM cloudtrail.cloudtrail_logs LIMIT 1")
        .await
        .columns;
    assert_eq!(
        columns.join(" "),
        "eventversion useridentity eventtime eventsource eventname awsregion sourceipaddress useragent errorcode \
         errormessage requestparameters responseelements additionaleventdata requestid eventid readonly resources \
         eventtype apiversion recipientaccountid serviceeventdetails sharedeventid vpcendpointid vpcendpointaccountid \
         eventcategory addendum sessioncredentialfromconsole edgedevicedetails tlsdetails managementevent \
         insightdetails eventcontext extra account region year month day timestamp"
    );
}

#[tokio::test]
async fn types_are_athenas_in_the_logs_and_typed_in_the_events() {
    let cache = TestCache::of_the_trail();
    let types = |table: &str, columns: &str| {
        let columns = columns
            .split(' ')
            .map(|name| format!("'{name}'"))
            .collect::<Vec<_>>()
            .join(", ");
        format!(
            "SELECT column_name, data_type FROM information_schema.columns \
             WHERE table_schema = 'cloudtrail' AND table_name = '{table}' AND column_name IN ({columns}) ORDER BY column_name"
        )
    };
    let logs = ask(
        &cache,
        &types(
            "cloudtrail_logs",
            "eventtime readonly requestparameters managementevent year timestamp account",
        ),
    )
    .await;
    assert_eq!(logs.column("data_type"), ["varchar"; 7]);
    let events = ask(
        &cache,
        &types(
            "events",
            "event_time read_only is_error is_denied mfa_authenticated record_index account_id",
        ),
    )
    .await;
    assert_eq!(
        events
            .rows
            .iter()
            .map(|row| row.join(" "))
            .collect::<Vec<_>>(),
        [
            "account_id varchar",
            "event_time timestamp(6) with time zone",
            "is_denied boolean",
            "is_error boolean",
            "mfa_authenticated boolean",
            "read_only boolean",
            "record_index bigint",
        ]
    );
    // As in Athena: text, struct fields in any letter case, a struct of a struct that is absent is null.
    let sql = "SELECT count(*) FROM cloudtrail.cloudtrail_logs WHERE readonly = 'true' \
               AND useridentity.sessioncontext.sessionissuer.arn IS NULL AND useridentity.type = 'AWSService'";
    let services = ask(&cache, sql).await.rows;
    assert!(services[0][0].parse::<u64>().unwrap() > 100, "{services:?}");
    let sql = "SELECT useridentity.sessioncontext.sessionissuer.username, resources[1]['arn'] FROM cloudtrail.cloudtrail_logs \
               WHERE eventname = 'GetObject' AND eventtime = '2026-03-02T06:00:01Z'";
    assert_eq!(
        ask(&cache, sql).await.rows,
        [[
            "reporting-lambda",
            "arn:aws:s3:::safeco-sandbox-reports/daily/2026-03-01.csv"
        ]]
    );
}

#[tokio::test]
async fn partitions_name_the_day_of_delivery_and_event_time_the_day_of_the_event() {
    let cache = TestCache::of_the_trail();
    let late = "SELECT eventname, timestamp, year, month, day FROM cloudtrail.cloudtrail_logs \
                WHERE eventtime LIKE '2026-02-15T12%'";
    assert_eq!(
        ask(&cache, late).await.rows,
        [["CreateGrant", LATE_DAY, "2026", "02", "18"]]
    );
    let midnight = format!(
        "SELECT eventtime, timestamp FROM cloudtrail.cloudtrail_logs \
         WHERE substr(eventtime, 1, 10) <> concat(year, '-', month, '-', day) AND account = '{SANDBOX}' ORDER BY eventtime"
    );
    assert_eq!(
        ask(&cache, &midnight).await.rows,
        [
            ["2026-02-15T12:00:00Z", "2026/02/18"],
            ["2026-02-26T23:58:40Z", "2026/02/27"]
        ]
    );
}

#[tokio::test]
async fn a_region_of_accounts_and_days_is_what_coverage_says_of_them() {
    let cache = TestCache::of_the_trail();
    let covered = "SELECT account_id, region, event_category, sum(row_count), min(day), max(day) FROM kennel.coverage \
                   WHERE source = 'trail' AND event_category IN ('Management', 'Data') \
                   GROUP BY account_id, region, event_category ORDER BY account_id, region, event_category";
    let counted = "SELECT account, region, eventcategory, count(*), min(timestamp), max(timestamp) \
                   FROM (SELECT account, region, CASE WHEN eventcategory IS NULL THEN 'Management' ELSE eventcategory END AS eventcategory, timestamp \
                         FROM cloudtrail.cloudtrail_logs) AS logs \
                   GROUP BY account, region, eventcategory ORDER BY account, region, eventcategory";
    let covered = ask(&cache, covered).await.rows;
    assert_eq!(covered, ask(&cache, counted).await.rows);
    assert!(covered.len() >= 8, "{covered:?}");
    let days = format!(
        "SELECT DISTINCT day FROM kennel.coverage WHERE account_id = '{SANDBOX}' AND region = 'eu-west-1' ORDER BY day"
    );
    let days = ask(&cache, &days).await;
    let days = days.column("day").into_iter().collect::<BTreeSet<_>>();
    assert!(days.contains("2026/02/20") && days.contains("2026/02/22") && !days.contains(GAP_DAY));
}
