//! Groups by numbers instead of texts have the rows that groups by texts have.

use std::sync::OnceLock;

use kennel_testkit::fixtures::trail::{TrailScale, deliver, guide_trail};
use proptest::prelude::*;

use crate::{
    home::{TestCache, query},
    trail_home::after_the_trail,
};

/// Callers of all kinds, and many.
fn cache() -> &'static TestCache {
    static CACHE: OnceLock<TestCache> = OnceLock::new();
    CACHE.get_or_init(|| {
        let cache = TestCache::new();
        cache.sync_trail_apart(&deliver(&guide_trail()), after_the_trail());
        let scale = TrailScale {
            events: 3_000,
            accounts: 3,
            regions: 2,
            days: 20,
            events_a_file: 40,
            seed: 11,
        };
        let objects = scale.objects().collect::<Vec<_>>();
        cache.sync_trail_apart(&objects, after_the_trail() + chrono::TimeDelta::hours(1));
        cache
    })
}

/// What rows are grouped by: columns, and what is made of them.
const GROUPS: [&str; 15] = [
    "service",
    "event_name",
    "account_id",
    "principal_arn",
    "principal_type",
    "session_name",
    "source_ip_address",
    "error_code",
    "identity_center_user_id",
    "coalesce(principal_arn, identity_center_user_id, principal_name, principal_account_id)",
    "coalesce(invoked_by, 'nobody')",
    "CASE WHEN principal_type = 'AWSService' THEN invoked_by WHEN error_code IS NULL THEN principal_name END",
    "principal_type IS NOT DISTINCT FROM 'AWSService'",
    "upper(service)",
    "CAST(event_time AS DATE)",
];

const MEASURES: [&str; 7] = [
    "count(*)",
    "count(DISTINCT event_name)",
    "count(DISTINCT principal_arn)",
    "count(error_code)",
    "min(service)",
    "max(event_time)",
    "sum(CASE WHEN error_code IS NULL OR invoked_by = region THEN 1 ELSE 0 END)",
];

const FILTERS: [&str; 9] = [
    "true",
    "NOT coalesce(read_only, event_name LIKE 'Get%')",
    "principal_type = 'AssumedRole'",
    "principal_arn LIKE 'arn:aws:iam::%:role/%'",
    "service NOT IN ('s3', 'iam', 'ec2', 'kms', 'lambda')",
    "service IN ('s3', 'iam', 'sts', 'kms', NULL)",
    "error_code IS NOT NULL",
    "event_name >= 'L' AND region <> 'us-east-1'",
    "principal_arn = 'arn:aws:iam::000000000000:role/nobody'",
];

/// The rows as they are grouped, and as they are grouped where a limit stands between the groups and the table.
fn both(select: &str) -> [String; 2] {
    let table = [
        "cloudtrail.events",
        "(SELECT * FROM cloudtrail.events LIMIT 1000000000)",
    ];
    table.map(|table| select.replace("EVENTS", table))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn whatever_is_grouped_and_counted_the_rows_are_those_of_texts() {
    let runtime = runtime();
    let engine = cache().engine();
    let some = |from: &[&'static str], most| prop::sample::subsequence(from.to_vec(), 1..=most);
    proptest!(ProptestConfig::with_cases(64), |(
        groups in some(&GROUPS, 4),
        measures in some(&MEASURES, 3),
        filter in prop::sample::select(FILTERS.to_vec()),
        again in any::<bool>(),
    )| {
        let columns = [groups.clone(), measures].concat().join(", ");
        let places = |count: usize| (1..=count).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let names = (0..groups.len()).map(|n| format!("{} AS g{n}", groups[n])).collect::<Vec<_>>();
        let select = match again {
            false => format!(
                "SELECT {columns} FROM EVENTS WHERE {filter} GROUP BY {} ORDER BY {}",
                groups.join(", "),
                places(groups.len()),
            ),
            true => format!(
                "SELECT g0, count(*), count(DISTINCT g0), sum(n) FROM (SELECT {}, count(*) AS n FROM EVENTS WHERE {filter} GROUP BY {}) GROUP BY 1 ORDER BY 1",
                names.join(", "),
                groups.join(", "),
            ),
        };
        let [numbers, texts] = both(&select);
        let expected = runtime.block_on(query(&engine, &texts)).unwrap().rows;
        let found = runtime.block_on(query(&engine, &numbers)).unwrap().rows;
        prop_assert_eq!(found, expected, "{}", numbers);
    });
}

#[tokio::test]
async fn texts_are_numbers_where_rows_are_grouped_and_nowhere_else() {
    let engine = cache().engine();
    let plan = async |sql: &str| {
        let rows = query(&engine, &format!("EXPLAIN {sql}")).await.unwrap();
        rows.rows.concat().concat()
    };
    let grouped = "SELECT principal_arn, count(DISTINCT event_name) FROM EVENTS GROUP BY 1";
    let [numbers, texts] = both(grouped);
    assert!(plan(&numbers).await.contains("kennel_number_of"));
    assert!(!plan(&texts).await.contains("kennel_number_of"));
    for sql in [
        "SELECT event_time, count(*) FROM cloudtrail.events GROUP BY 1",
        "SELECT min(service) FROM cloudtrail.events",
        "SELECT user_agent, count(*) FROM cloudtrail.events GROUP BY 1",
        "SELECT service FROM cloudtrail.events ORDER BY 1",
        "SELECT service, event_name, count(*) FROM cloudtrail.events GROUP BY ROLLUP (service, event_name)",
    ] {
        assert!(!plan(sql).await.contains("kennel_number_of"), "{sql}");
    }
}

#[tokio::test]
async fn a_name_of_two_tables_is_not_mixed_up() {
    let engine = cache().engine();
    let sql = "SELECT a.service, count(*) AS n, max(b.n) FROM EVENTS a JOIN (SELECT service, count(*) AS n FROM EVENTS GROUP BY 1) b ON a.service = b.service GROUP BY a.service UNION ALL SELECT account_id, count(*), count(DISTINCT service) FROM EVENTS GROUP BY account_id ORDER BY 1";
    let [numbers, texts] = both(sql);
    let expected = query(&engine, &texts).await.unwrap().rows;
    assert!(expected.len() > 5);
    assert_eq!(query(&engine, &numbers).await.unwrap().rows, expected);
}
