//! No row is lost to pruning: whatever a filter says of place and time, the answer is that of a scan of all rows.

use std::sync::OnceLock;

use chrono::{DateTime, TimeDelta, Utc};
use kennel_engine::Engine;
use kennel_testkit::fixtures::{
    PARTNER, PRODUCTION, SANDBOX, SECURITY,
    trail::{TrailEvent, TrailScale, covered_until, deliver, guide_trail},
    utc,
};
use proptest::prelude::*;

use crate::{
    home::{TestCache, query},
    trail_home::after_the_trail,
};

/// The days on which syncs ran: what was delivered between two of them is a table file.
const SYNCS: [&str; 7] = [
    "2026-02-05 00:00:00",
    "2026-02-10 12:00:00",
    "2026-02-18 00:00:00",
    "2026-02-27 00:00:00",
    "2026-03-01 00:00:00",
    "2026-03-02 12:00:00",
    "2026-03-04 00:00:00",
];

/// Many table files of many small row groups; the late event and those of midnight lie where they were delivered.
fn cache() -> &'static TestCache {
    static CACHE: OnceLock<TestCache> = OnceLock::new();
    CACHE.get_or_init(|| {
        let cache = TestCache::new();
        let mut at = after_the_trail();
        let mut from = utc("2026-01-01 00:00:00");
        for until in SYNCS.map(utc) {
            let is_in =
                |event: &TrailEvent| event.delivered_at >= from && event.delivered_at < until;
            let events = guide_trail().into_iter().filter(is_in).collect::<Vec<_>>();
            assert!(!events.is_empty());
            cache.sync_trail_apart(&deliver(&events), at);
            at += TimeDelta::hours(1);
            from = until;
        }
        let scale = TrailScale {
            events: 4_000,
            accounts: 3,
            regions: 3,
            days: 40,
            events_a_file: 40,
            seed: 7,
        };
        cache.sync_trail_apart(&scale.objects().collect::<Vec<_>>(), at);
        cache
    })
}

/// Everything that filters look at, once, without a filter.
struct Row {
    columns: Vec<(&'static str, Option<String>)>,
    id: String,
}

const COLUMNS: [&str; 11] = [
    "account",
    "region",
    "year",
    "month",
    "day",
    "timestamp",
    "eventtime",
    "awsregion",
    "recipientaccountid",
    "eventname",
    "errorcode",
];

async fn all_rows(engine: &Engine) -> Vec<Row> {
    let sql = format!(
        "SELECT {}, concat(recipientaccountid, eventid, timestamp) AS id FROM cloudtrail.cloudtrail_logs",
        COLUMNS.join(", ")
    );
    let rows = query(engine, &sql).await.unwrap().rows;
    rows.into_iter()
        .map(|mut row| Row {
            id: row.pop().unwrap(),
            columns: COLUMNS
                .into_iter()
                .zip(row.into_iter().map(|text| (text != "∅").then_some(text)))
                .collect(),
        })
        .collect()
}

/// One comparison of a column with a text; times are compared as text, as Athena's users do.
#[derive(Clone, Debug)]
struct Filter {
    column: &'static str,
    operator: &'static str,
    value: String,
}

impl Filter {
    fn sql(&self) -> String {
        format!("{} {} '{}'", self.column, self.operator, self.value)
    }

    fn admits(&self, row: &Row) -> bool {
        let found = row.columns.iter().find(|(name, _)| *name == self.column);
        // What is null is not admitted, whatever the operator.
        let Some(value) = found.and_then(|(_, value)| value.as_ref()) else {
            return false;
        };
        match self.operator {
            "=" => *value == self.value,
            "<>" => *value != self.value,
            "<" => *value < self.value,
            "<=" => *value <= self.value,
            ">" => *value > self.value,
            _ => *value >= self.value,
        }
    }
}

fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    let first = utc("2025-12-30 00:00:00");
    let seconds = (covered_until() + TimeDelta::days(3) - first).num_seconds();
    let edges = prop::sample::select(vec![
        utc("2026-02-15 12:00:00"),
        utc("2026-02-18 00:00:00"),
        utc("2026-02-26 23:58:40"),
        utc("2026-02-27 00:00:00"),
        utc("2026-03-03 00:00:00"),
        covered_until(),
    ]);
    prop_oneof![
        edges,
        (0..seconds).prop_map(move |after| first + TimeDelta::seconds(after)),
    ]
}

fn filters() -> impl Strategy<Value = Filter> {
    let accounts = [
        SANDBOX,
        PRODUCTION,
        SECURITY,
        PARTNER,
        "100000000000",
        "999999999999",
    ]
    .map(str::to_owned);
    let regions = ["us-east-1", "eu-west-1", "us-west-2", "mars-north-1"].map(str::to_owned);
    let equal = || prop::sample::select(vec!["=", "<>"]);
    let ordered = || prop::sample::select(vec!["=", "<", "<=", ">", ">=", "<>"]);
    let filter = |column, (operator, value): (&'static str, String)| Filter {
        column,
        operator,
        value,
    };
    let part = |format: &'static str| instants().prop_map(move |at| at.format(format).to_string());
    prop_oneof![
        (equal(), prop::sample::select(accounts.to_vec())).prop_map(move |v| filter("account", v)),
        (equal(), prop::sample::select(accounts.to_vec()))
            .prop_map(move |v| filter("recipientaccountid", v)),
        (equal(), prop::sample::select(regions.to_vec())).prop_map(move |v| filter("region", v)),
        (ordered(), part("%Y")).prop_map(move |v| filter("year", v)),
        (ordered(), part("%m")).prop_map(move |v| filter("month", v)),
        (ordered(), part("%d")).prop_map(move |v| filter("day", v)),
        (ordered(), part("%Y/%m/%d")).prop_map(move |v| filter("timestamp", v)),
        (ordered(), part("%Y-%m-%dT%H:%M:%SZ")).prop_map(move |v| filter("eventtime", v)),
        (ordered(), part("%Y-%m-%d")).prop_map(move |v| filter("eventtime", v)),
    ]
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn whatever_is_filtered_in_the_logs_the_rows_are_those_of_a_whole_scan() {
    let runtime = runtime();
    let engine = cache().engine();
    let all = runtime.block_on(all_rows(&engine));
    assert!(all.len() > 4_000);
    proptest!(ProptestConfig::with_cases(96), |(chosen in prop::collection::vec(filters(), 1..4), either in any::<bool>())| {
        let joined = if either { " OR " } else { " AND " };
        let condition = chosen.iter().map(Filter::sql).collect::<Vec<_>>().join(joined);
        let sql = format!("SELECT concat(recipientaccountid, eventid, timestamp) AS id FROM cloudtrail.cloudtrail_logs WHERE {condition}");
        let mut found = runtime.block_on(query(&engine, &sql)).unwrap().rows.concat();
        let mut expected = all
            .iter()
            .filter(|row| if either { chosen.iter().any(|f| f.admits(row)) } else { chosen.iter().all(|f| f.admits(row)) })
            .map(|row| row.id.clone())
            .collect::<Vec<_>>();
        found.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(found, expected, "{}", condition);
    });
}

#[test]
fn whatever_time_is_asked_of_events_the_rows_are_those_of_a_whole_scan() {
    let runtime = runtime();
    let engine = cache().engine();
    let all = "SELECT concat(account_id, event_id), event_time, account_id, region FROM cloudtrail.events";
    let all = runtime.block_on(query(&engine, all)).unwrap().rows;
    let accounts = prop::option::of(prop::sample::select(vec![
        SANDBOX,
        PRODUCTION,
        "100000000000",
    ]));
    let regions = prop::option::of(prop::sample::select(vec!["us-east-1", "eu-west-1"]));
    proptest!(ProptestConfig::with_cases(64), |(from in instants(), hours in 0..500_i64, account in accounts, region in regions)| {
        let until = from + TimeDelta::hours(hours);
        let mut sql = format!(
            "SELECT concat(account_id, event_id) FROM cloudtrail.events \
             WHERE event_time >= TIMESTAMP '{}' AND event_time < TIMESTAMP '{}'",
            from.format("%Y-%m-%d %H:%M:%S"), until.format("%Y-%m-%d %H:%M:%S")
        );
        sql.extend(account.map(|id| format!(" AND account_id = '{id}'")));
        sql.extend(region.map(|name| format!(" AND region = '{name}'")));
        let mut found = runtime.block_on(query(&engine, &sql)).unwrap().rows.concat();
        let text = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mut expected = all
            .iter()
            .filter(|row| row[1] >= text(from) && row[1] < text(until))
            .filter(|row| account.is_none_or(|id| row[2] == id) && region.is_none_or(|name| row[3] == name))
            .map(|row| row[0].clone())
            .collect::<Vec<_>>();
        found.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(found, expected, "{}", sql);
    });
}

/// What a scan says of itself after it ran: the lines of `EXPLAIN ANALYZE` about reading files.
async fn scans(engine: &Engine, sql: &str) -> String {
    let rows = query(engine, &format!("EXPLAIN ANALYZE {sql}"))
        .await
        .unwrap()
        .rows;
    let plan = rows.concat().join("\n");
    let scans = plan.lines().filter(|line| line.contains("DataSourceExec"));
    scans.collect::<Vec<_>>().join("\n")
}

/// Of a metric such as `files_ranges_pruned_statistics=8 total → 2 matched`: 8 and 2.
fn pruned(scans: &str, name: &str) -> (usize, usize) {
    let text = scans
        .split_once(&format!("{name}="))
        .unwrap_or_else(|| panic!("no `{name}` in\n{scans}"))
        .1;
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[tokio::test]
async fn a_day_reads_only_the_files_and_row_groups_that_can_hold_it() {
    let engine = cache().engine();
    let cache = kennel_cache::Cache::open(cache().path()).unwrap();
    let files = cache.trail_files(kennel_cache::TrailTable::Events).unwrap();
    assert_eq!(files.len(), SYNCS.len() + 1);
    for (table, condition, most) in [
        (
            "events",
            "event_time >= TIMESTAMP '2026-02-20 00:00:00' AND event_time < TIMESTAMP '2026-02-21 00:00:00'",
            2,
        ),
        ("events", "event_time > TIMESTAMP '2026-03-03 00:00:00'", 2),
        ("cloudtrail_logs", "timestamp = '2026/03/01'", 2),
        (
            "cloudtrail_logs",
            "eventtime BETWEEN '2026-02-23T00:00:00Z' AND '2026-02-24T00:00:00Z'",
            2,
        ),
    ] {
        let sql = format!("SELECT eventid FROM cloudtrail.cloudtrail_logs WHERE {condition}");
        let sql = match table {
            "events" => sql
                .replace("eventid", "event_id")
                .replace("cloudtrail_logs", "events"),
            _ => sql,
        };
        let scans = scans(&engine, &sql).await;
        let (all, read) = pruned(&scans, "files_ranges_pruned_statistics");
        assert!(
            read <= most && read > 0,
            "{condition}: {read} of {all} files\n{scans}"
        );
        assert!(read < all, "{condition}\n{scans}");
    }
    let few = "SELECT event_id FROM cloudtrail.events \
               WHERE event_time >= TIMESTAMP '2026-02-20 00:00:00' AND event_time < TIMESTAMP '2026-02-21 00:00:00'";
    let scans = scans(&engine, few).await;
    let (groups, kept) = pruned(&scans, "row_groups_pruned_statistics");
    assert!(
        groups > 1 && kept < groups,
        "{kept} of {groups} row groups\n{scans}"
    );
}

/// Files and rows that a query is to read, beside all that there are.
async fn read_of(engine: &Engine, sql: &str) -> (String, kennel_engine::ReadSoFar) {
    let statement = Engine::statements(sql).unwrap().pop().unwrap();
    let outcome = engine
        .execute(&statement, &Default::default(), DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    let kennel_engine::Outcome::Answer(answer) = outcome else {
        panic!("no rows");
    };
    let reading = answer.reading.clone();
    let rows = crate::home::collect(answer).await.rows;
    (format!("{rows:?}"), reading.so_far())
}

#[tokio::test]
async fn filters_of_any_form_on_the_day_of_delivery_leave_files_closed() {
    let engine = cache().engine();
    let all = read_of(&engine, "SELECT count(eventname) FROM cloudtrail_logs")
        .await
        .1;
    let plain = "SELECT count(eventname) FROM cloudtrail_logs WHERE \"timestamp\" >= '2026/03/01'";
    let (expected, wanted) = read_of(&engine, plain).await;
    assert!(wanted.rows * 4 < all.rows, "{wanted:?} of {all:?}");
    for filter in [
        "concat(year, month, day) >= '20260301'",
        "year || '-' || month || '-' || day >= '2026-03-01'",
        "date_parse(\"timestamp\", '%Y/%m/%d') >= timestamp '2026-03-01'",
        "CAST(concat(year, month, day) AS integer) >= 20260301",
        "date(concat(year, '-', month, '-', day)) >= date '2026-03-01'",
    ] {
        let sql = format!("SELECT count(eventname) FROM cloudtrail_logs WHERE {filter}");
        let (rows, read) = read_of(&engine, &sql).await;
        assert_eq!(rows, expected, "{filter}");
        assert!(
            read.rows * 4 < all.rows && read.files_at_most < all.files_at_most,
            "{filter}: {read:?} of {all:?}"
        );
    }
}

#[tokio::test]
async fn a_table_of_ones_own_reads_only_the_files_of_its_partitions() {
    let engine = cache().engine_with(crate::slt::both_sources());
    let all = read_of(&engine, "SELECT count(eventname) FROM cloudtrail_logs")
        .await
        .1;
    let partitions = "PARTITIONED BY (acct bigint, d date)";
    let create = format!(
        "CREATE EXTERNAL TABLE pruned_own (eventname string) {partitions} LOCATION 's3://safeco-cloudtrail-archive/AWSLogs/'"
    );
    query(&engine, &create).await.unwrap();
    let place = format!(
        "s3://safeco-cloudtrail-archive/AWSLogs/{PRODUCTION}/CloudTrail/us-east-1/2026/02/10/"
    );
    query(
        &engine,
        &format!(
            "ALTER TABLE pruned_own ADD PARTITION (acct='7', d='2026-02-10') LOCATION '{place}'"
        ),
    )
    .await
    .unwrap();
    let (rows, read) = read_of(&engine, "SELECT count(*) > 0, count(eventname) > 0 FROM pruned_own WHERE d = date '2026-02-10' AND acct = 7").await;
    assert_eq!(rows, "[[\"true\", \"true\"]]");
    assert!(
        read.files_at_most * 2 < all.files_at_most,
        "{read:?} of {all:?}"
    );
    let (rows, read) = read_of(&engine, "SELECT count(*) FROM pruned_own WHERE acct = 999").await;
    assert_eq!((rows.as_str(), read.files_at_most), ("[[\"0\"]]", 0));
}
