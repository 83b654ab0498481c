//! Past states: imported csv reports, `FOR … AS OF` in SQL, and what changed between two of them.

use chrono::{DateTime, TimeDelta, Utc};
use kennel_cache::Cache;
use kennel_engine::{
    Change, Diff, DiffOptions, Engine, EngineError, EngineSettings, ParamValues, Question,
};
use kennel_testkit::fixtures::{
    BucketOptions, CsvVariant, EXPECTED_NEW_IAM_ADMIN, EXPECTED_REMOVED_PRINCIPAL, Layout, PARTNER,
    SANDBOX, World, analysis_time, bucket_objects, guide, guide_next_day, next_analysis_time,
};

use crate::home::{Result, TestCache, collect, query};

/// After both nights, and after whoever imported them.
fn later() -> DateTime<Utc> {
    next_analysis_time() + TimeDelta::hours(9)
}

fn csv(world: &World, layout: Layout, csv: CsvVariant) -> Vec<(String, Vec<u8>)> {
    let options = BucketOptions {
        layouts: vec![layout],
        csv,
        ..BucketOptions::default()
    };
    bucket_objects(world, &options)
}

fn dated(world: &World) -> Vec<(String, Vec<u8>)> {
    csv(world, Layout::DatedCsv, CsvVariant::default())
}

/// Both nights, each synced an hour after its analysis.
fn two_nights() -> TestCache {
    let hour = TimeDelta::hours(1);
    let cache = TestCache::of(&guide(), analysis_time() + hour);
    let objects = bucket_objects(&guide_next_day(), &BucketOptions::default());
    assert_eq!(cache.sync(objects, next_analysis_time() + hour), []);
    cache
}

fn as_of(at: &str) -> EngineSettings {
    EngineSettings {
        as_of: Some(at.parse().unwrap()),
        now: later(),
        ..TestCache::settings()
    }
}

async fn sorted(engine: &Engine, sql: &str) -> Vec<Vec<String>> {
    let mut rows = query(engine, sql).await.unwrap().rows;
    rows.sort();
    rows
}

#[tokio::test]
async fn csv_reports_of_every_form_hold_what_the_parquet_reports_hold() {
    let parquet = TestCache::of(&guide(), later());
    for layout in [Layout::DatedCsv, Layout::HiveCsv] {
        for variant in [CsvVariant::default(), CsvVariant::of_2022()] {
            let cache = TestCache::new();
            assert_eq!(cache.import(csv(&guide(), layout, variant), later()), []);
            for (table, columns) in [
                ("principals_latest", "*"),
                ("resources_latest", "*"),
                ("resource_access_summaries_latest", "*"),
                // In 2022 this report had no column for the tag.
                (
                    "principal_access_summaries_latest",
                    "analysis_time, principal_name, principal_arn, principal_type, principal_tags, service_name, access_capability, resource_arn, customer_id, csp, account_id",
                ),
            ] {
                let sql = format!("SELECT {columns} FROM k9.{table}");
                let expected = sorted(&parquet.engine(), &sql).await;
                let found = sorted(&cache.engine(), &sql).await;
                assert!(!expected.is_empty());
                assert_eq!(found, expected, "{layout:?} {variant:?} {table}");
            }
        }
    }
}

#[tokio::test]
async fn imported_nights_are_states_with_their_own_time() {
    let cache = TestCache::new();
    let mut objects = dated(&guide_next_day());
    objects.extend(dated(&guide()));
    assert_eq!(cache.import(objects, later()), []);
    let snapshots = "SELECT snapshot_id, taken_at, added_count, object_count FROM kennel.snapshots ORDER BY taken_at";
    assert_eq!(
        query(&cache.engine(), snapshots).await.unwrap().rows,
        [
            ["s1", "2026-03-02T07:50:08.015300Z", "15", "15"],
            ["s2", "2026-03-03T07:55:31.740060Z", "15", "15"],
        ]
    );
    let admins = format!(
        "SELECT count(*) FROM k9.principals_latest WHERE principal_arn = '{EXPECTED_NEW_IAM_ADMIN}'"
    );
    for (at, expected) in [
        ("latest", "1"),
        ("s2", "1"),
        ("s1", "0"),
        ("previous", "0"),
        ("yesterday", "0"),
        ("2026-03-02", "0"),
        ("2026-03-03", "1"),
        ("-24h", "0"),
        ("2026-03-02T12:00Z", "0"),
    ] {
        let engine = cache.engine_with(as_of(at));
        let rows = query(&engine, &admins).await.unwrap().rows;
        assert_eq!(rows, [[expected]], "{at}");
    }
    let history = "SELECT count(DISTINCT snapshot_at), count(DISTINCT superseded_at) FROM k9.principals WHERE account_id = '123456789012'";
    assert_eq!(
        query(&cache.engine(), history).await.unwrap().rows,
        [["2", "1"]]
    );
    let own = "SELECT DISTINCT snapshot_at = analysis_time FROM k9.principals";
    assert_eq!(query(&cache.engine(), own).await.unwrap().rows, [["true"]]);
}

#[tokio::test]
async fn a_report_that_a_sync_saw_takes_over_from_the_imported_one() {
    let cache = TestCache::of(
        &guide_next_day(),
        next_analysis_time() + TimeDelta::hours(1),
    );
    cache.import(dated(&guide()), later());
    let engine = cache.engine_with(as_of("2026-03-02"));
    let count = "SELECT count(*), max(analysis_time) FROM k9.principals_latest WHERE account_id = '123456789012'";
    let then = query(&engine, count).await.unwrap().rows;
    assert_eq!(then[0][1], "2026-03-02T07:14:19.753800");
    let now = query(&cache.engine(), count).await.unwrap().rows;
    assert_eq!(now[0][1], "2026-03-03T07:12:44.120417");
    // An older file under the key that is overwritten does not hide newer imported reports.
    let stale = TestCache::of(&guide(), later());
    stale.import(dated(&guide_next_day()), later());
    let now = query(&stale.engine(), count).await.unwrap().rows;
    assert_eq!(now[0][1], "2026-03-03T07:12:44.120417");
}

#[tokio::test]
async fn odd_csv_is_read_or_refused_with_its_place() {
    let cache = TestCache::new();
    let good = dated(&guide())
        .into_iter()
        .find(|(key, _)| key.contains(SANDBOX) && key.contains("principal-access-summaries"));
    let (key, body) = good.unwrap();
    let text = String::from_utf8(body).unwrap();
    let rows = text.lines().count() - 1;
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n")).into_bytes();
    assert_eq!(cache.import(vec![(key.clone(), windows)], later()), []);
    let count = "SELECT count(*), count(resource_arn) FROM k9.principal_access_summaries_latest";
    let found = query(&cache.engine(), count).await.unwrap();
    assert_eq!(found.rows[0][0], rows.to_string());
    assert_ne!(found.rows[0][1], rows.to_string(), "blank is null");

    let mut latin = text.clone().into_bytes();
    latin.extend(
        text.lines()
            .nth(1)
            .unwrap()
            .replacen("arn:aws", "arn:aws\u{1}", 1)
            .into_bytes(),
    );
    let place = latin.iter().position(|byte| *byte == 1).unwrap();
    latin[place] = 0xe9;
    let cut = text[..text.len() - 40].to_owned().into_bytes();
    let header = b"analysis_time,principal_arn\n2026-03-02,x\n".to_vec();
    for (body, expected) in [
        (Vec::new(), "it looks like an empty file"),
        (
            b"<html>sign in</html>".to_vec(),
            "it looks like an HTML page",
        ),
        (
            header,
            "no column `service_name`, `access_capability`, `resource_arn`",
        ),
        (cut, "record"),
    ] {
        let failed = TestCache::new().import(vec![(key.clone(), body)], later());
        assert!(failed[0].1.contains(expected), "{failed:?}");
    }
    let cache = TestCache::new();
    cache.import(vec![(key, latin)], later());
    let told = query(&cache.engine(), count).await.unwrap().caveats;
    assert!(
        told.iter().any(|told| told.contains("is not UTF-8 text")),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_table_of_an_earlier_time_stands_beside_the_newest() {
    let cache = two_nights();
    let engine = cache.engine();
    let both = "SELECT n.principal_arn
        FROM k9.principals_latest n
        LEFT JOIN k9.principals_latest FOR TIMESTAMP AS OF TIMESTAMP '2026-03-02 12:00:00' AS o
          ON o.principal_arn = n.principal_arn
        WHERE o.principal_arn IS NULL";
    let new = query(&engine, both).await.unwrap();
    assert_eq!(new.rows, [[EXPECTED_NEW_IAM_ADMIN]]);
    let gone = format!(
        "SELECT count(*) FROM principals_latest FOR {{}} WHERE principals_latest.principal_arn = '{EXPECTED_REMOVED_PRINCIPAL}'"
    );
    for (clause, expected) in [
        ("VERSION AS OF 1", "1"),
        ("VERSION AS OF 2", "0"),
        ("SYSTEM_VERSION AS OF 's1'", "1"),
        ("VERSION AS OF 'previous'", "1"),
        ("VERSION AS OF 'latest'", "0"),
        ("TIMESTAMP AS OF DATE '2026-03-03'", "1"),
        ("TIMESTAMP AS OF TIMESTAMP '2026-03-03 07:14:19 UTC'", "1"),
        (
            "TIMESTAMP AS OF from_iso8601_timestamp('2026-03-03T12:00:00Z')",
            "0",
        ),
        (
            "SYSTEM_TIME AS OF TIMESTAMP '2026-03-04 00:00:00' - INTERVAL '1' DAY",
            "1",
        ),
        ("TIMESTAMP AS OF '2026-03-02 12:00'", "1"),
        ("TIMESTAMP AS OF current_timestamp", "0"),
    ] {
        let rows = query(&engine, &gone.replace("{}", clause))
            .await
            .unwrap()
            .rows;
        assert_eq!(rows, [[expected]], "{clause}");
    }
    // Another state than the one that the whole session is asked for.
    let engine = cache.engine_with(as_of("s1"));
    let sql = gone.replace("{}", "VERSION AS OF 'latest'");
    assert_eq!(query(&engine, &sql).await.unwrap().rows, [["0"]]);
}

#[tokio::test]
async fn a_time_that_cannot_be_answered_is_an_error_never_the_newest_state() {
    let cache = two_nights();
    let engine = cache.engine();
    for (sql, expected) in [
        (
            "SELECT 1 FROM k9.principals_latest FOR TIMESTAMP AS OF TIMESTAMP '2026-03-01 00:00:00'",
            "nothing is kept of 2026-03-01T00:00:00Z or before",
        ),
        (
            "SELECT 1 FROM k9.principals_latest FOR VERSION AS OF 9",
            "no snapshot `s9`",
        ),
        (
            "SELECT 1 FROM k9.principals_latest FOR VERSION AS OF 'yesterday'",
            "no snapshot such as 12",
        ),
        (
            "SELECT 1 FROM k9.principals_latest FOR TIMESTAMP AS OF 12",
            "no time such as",
        ),
        (
            "SELECT 1 FROM k9.principals_latest FOR TIMESTAMP AS OF NULL",
            "no time such as",
        ),
        (
            "SELECT 1 FROM k9.principals_latest FOR TIMESTAMP AS OF analysis_time",
            "no constant",
        ),
        (
            "SELECT 1 FROM k9.principals_latest FOR TIMESTAMP AS OF (SELECT max(analysis_time) FROM k9.principals)",
            "no constant",
        ),
        (
            "SELECT 1 FROM kennel.snapshots FOR VERSION AS OF 1",
            "has no earlier states",
        ),
        (
            "WITH x AS (SELECT 1) SELECT 1 FROM x FOR VERSION AS OF 1",
            "only tables have earlier states",
        ),
        (
            "SELECT 1 FROM k9.principals_lates FOR VERSION AS OF 1",
            "principals_lates' not found",
        ),
    ] {
        let error = query(&engine, sql)
            .await
            .err()
            .unwrap_or_else(|| panic!("{sql}"));
        let told = error.to_string();
        assert!(told.contains(expected), "{sql}: {told}");
        assert!(!told.contains('@'), "{sql}: {told}");
    }
}

fn options(from: &str, to: &str) -> DiffOptions {
    DiffOptions {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        key: vec![],
        noise: vec![],
        include_noise: false,
        only: vec![],
        compact: false,
        mapped: None,
    }
}

async fn diff_of(engine: &Engine, id: &str, options: &DiffOptions) -> Diff {
    let query = engine.library().find(id).unwrap();
    engine
        .diff(Question::Canned(query), &ParamValues::default(), options)
        .await
        .unwrap()
}

async fn rows_of(engine: &Engine, id: &str, options: &DiffOptions) -> Result {
    collect(diff_of(engine, id, options).await.answer).await
}

#[tokio::test]
async fn the_inventories_say_who_came_who_went_and_what_changed() {
    let cache = two_nights();
    let engine = cache.engine();
    let previous = options("previous", "latest");
    let result = rows_of(&engine, "principals", &previous).await;
    let found = result
        .column("change")
        .into_iter()
        .zip(result.column("principal_arn"));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            ("added", EXPECTED_NEW_IAM_ADMIN),
            ("removed", EXPECTED_REMOVED_PRINCIPAL)
        ],
        "last uses are noise"
    );
    assert_eq!(result.caveats, [""; 0]);
    assert_eq!(
        result.column("after_principal_tags")[0],
        r#"{"UsedBy":"data-migration"}"#
    );
    let noisy = DiffOptions {
        include_noise: true,
        only: vec![Change::Changed],
        ..previous
    };
    let result = rows_of(&engine, "principals", &noisy).await;
    let ci = result
        .column("principal_arn")
        .iter()
        .position(|arn| arn.ends_with(":user/ci"));
    let told = result.column("changes")[ci.unwrap()];
    assert!(
        told.contains("access_key_1_last_used: \"2026-03-02T")
            && told.contains(" → \"2026-03-03T05:03:00Z\""),
        "{told}"
    );
    let compact = DiffOptions {
        compact: true,
        ..options("s1", "s2")
    };
    let result = rows_of(&engine, "iam-admins", &compact).await;
    assert_eq!(result.columns.last().unwrap(), "changes");
    assert_eq!(
        result.column("changes"),
        [
            r#"principal_name: "migration-temp"; principal_type: "IAMUser"; service_name: "IAM"; access_capability: "administer-resource"; resource_count: 0; is_service_level: true"#
        ]
    );
    let back = rows_of(&engine, "principals", &options("s2", "s1")).await;
    assert_eq!(back.column("change"), ["removed", "added"]);
    let same = rows_of(&engine, "resources", &options("s2", "latest")).await;
    assert!(same.rows.is_empty());
    assert!(
        same.caveats[0].contains("the same state"),
        "{:?}",
        same.caveats
    );
}

#[tokio::test]
async fn the_daily_review_finds_the_new_administrator() {
    let cache = two_nights();
    let engine = cache.engine();
    let daily = engine
        .library()
        .iter()
        .filter(|query| query.tags.iter().any(|tag| tag == "daily"))
        .map(|query| query.id.clone())
        .collect::<Vec<_>>();
    assert_eq!(
        daily,
        [
            "k9/iam-admins",
            "k9/sensitive-data-access",
            "k9/stale-credentials",
            "k9/unused-principals"
        ]
    );
    let added = DiffOptions {
        only: vec![Change::Added],
        ..options("previous", "latest")
    };
    let admins = rows_of(&engine, "iam-admins", &added).await;
    assert_eq!(admins.column("principal_arn"), [EXPECTED_NEW_IAM_ADMIN]);
}

#[tokio::test]
async fn an_account_that_one_side_lacks_is_not_compared_and_said() {
    let first = bucket_objects(&guide(), &BucketOptions::default());
    let lacks = |key: &str| key.contains("/principals/") && key.contains(PARTNER);
    let cache = TestCache::new();
    let some = first.iter().filter(|(key, _)| !lacks(key)).cloned();
    cache.sync(some.collect(), analysis_time());
    let objects = bucket_objects(&guide_next_day(), &BucketOptions::default());
    cache.sync(objects, next_analysis_time());
    let engine = cache.engine();
    for (from, to, side) in [("s1", "s2", "earlier"), ("s2", "s1", "later")] {
        let result = rows_of(&engine, "principals", &options(from, to)).await;
        assert_eq!(result.rows.len(), 2, "{from} {to}");
        assert!(!result.column("account_id").contains(&PARTNER));
        let told = &result.caveats[0];
        assert!(
            told.starts_with(
                "Partial: account 444455556666 (customer P123456-444455556666) cannot be compared"
            ) && told.contains(side),
            "{told}"
        );
    }
    // A question that does not read the missing report compares the account.
    let result = rows_of(&engine, "principal-access", &options("s1", "s2")).await;
    assert_eq!(result.caveats, [""; 0]);
    // Where it is the only account that is asked for, nothing is left.
    let only = EngineSettings {
        accounts: vec![kennel_cache::AccountId::new(PARTNER)],
        ..TestCache::settings()
    };
    let result = rows_of(&cache.engine_with(only), "principals", &options("s1", "s2")).await;
    assert!(result.rows.is_empty());
    assert!(
        result.caveats[0].starts_with("Absent"),
        "{:?}",
        result.caveats
    );
}

#[tokio::test]
async fn a_query_of_ones_own_is_compared_by_the_columns_that_are_named() {
    let cache = two_nights();
    let engine = cache.engine();
    let sql = "SELECT account_id, principal_type, count(*) AS principals, max(analysis_time) AS analysis_time
        FROM k9.principals_latest GROUP BY account_id, principal_type ORDER BY account_id";
    let statement = Engine::statements(sql).unwrap().pop().unwrap();
    let by = |key: &[&str]| DiffOptions {
        key: key.iter().map(|name| (*name).to_owned()).collect(),
        ..options("s1", "s2")
    };
    let ask = async |options: DiffOptions| {
        engine
            .diff(Question::Sql(&statement), &ParamValues::default(), &options)
            .await
    };
    let found = ask(by(&["account_id", "Principal_Type"])).await.unwrap();
    let result = collect(found.answer).await;
    assert_eq!(
        result.columns,
        [
            "change",
            "account_id",
            "principal_type",
            "changes",
            "before_principals",
            "after_principals"
        ]
    );
    assert_eq!(result.column("change"), ["changed", "changed"]);
    assert!(matches!(ask(by(&[])).await, Err(EngineError::NoKey)));
    let wrong = ask(by(&["account"])).await.err().unwrap().to_string();
    assert!(
        wrong.starts_with("the result has no column `account`"),
        "{wrong}"
    );
}

#[tokio::test]
async fn without_an_earlier_state_there_is_nothing_to_compare_with() {
    let cache = TestCache::of(&guide(), analysis_time());
    let engine = cache.engine();
    let query = engine.library().find("principals").unwrap();
    let question = Question::Canned(query);
    let previous = options("previous", "latest");
    let found = engine
        .diff(question, &ParamValues::default(), &previous)
        .await;
    assert!(matches!(found, Err(EngineError::NoEarlierSnapshot)));
    let empty = Engine::open(None, EngineSettings::default()).unwrap();
    let found = empty
        .diff(question, &ParamValues::default(), &previous)
        .await;
    assert!(matches!(found, Err(EngineError::NoEarlierSnapshot)));
}

#[tokio::test]
async fn every_canned_query_can_be_compared() {
    let cache = TestCache::of_the_guide_with_its_trail();
    let objects = bucket_objects(&guide_next_day(), &BucketOptions::default());
    cache.sync(objects, next_analysis_time() + TimeDelta::days(1));
    assert!(
        Cache::open(cache.path())
            .unwrap()
            .report_snapshots()
            .unwrap()
            .len()
            > 1
    );
    let engine = cache.engine();
    for query in engine
        .library()
        .iter()
        .filter(|query| !query.key.is_empty())
    {
        let values = query
            .params
            .iter()
            .filter(|param| param.required)
            .map(|param| {
                let value = match param.name.as_str() {
                    "principal" => "arn:aws:iam::123456789012:user/skuenzli",
                    _ => "arn:aws:s3:::safeco-sandbox-claims-archive",
                };
                (param.name.clone(), value.to_owned())
            });
        let values = ParamValues(values.collect());
        let diff = engine
            .diff(
                Question::Canned(query),
                &values,
                &options("previous", "latest"),
            )
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", query.id));
        collect(diff.answer).await;
    }
}

#[tokio::test]
async fn without_its_order_an_earlier_answer_has_the_same_rows() {
    let cache = two_nights();
    let engine = cache.engine();
    let past = engine.past(analysis_time() + TimeDelta::hours(1)).unwrap();
    let values = ParamValues::default();
    let mut row_count = 0;
    let queries = engine.library().iter();
    // Those that choose rows by their order are among them.
    for query in queries.filter(|query| query.reads.iter().all(|table| table.starts_with("k9."))) {
        if query.params.iter().any(|param| param.required) {
            continue;
        }
        let mut ordered = collect(past.run(query, &values).await.unwrap()).await.rows;
        let any = past.run_unordered(query, &values).await.unwrap();
        let mut any = collect(any).await.rows;
        row_count += any.len();
        ordered.sort();
        any.sort();
        assert_eq!(any, ordered, "{}", query.id);
        let counted = past.count(query, &values).await.unwrap();
        assert_eq!(counted, any.len() as u64, "{}", query.id);
    }
    assert!(row_count > 100);
}
