//! An answer over missing data says so.

use chrono::TimeDelta;
use kennel_cache::{AccountId, CustomerId};
use kennel_engine::{AsOf, Engine, EngineSettings};
use kennel_testkit::fixtures::{
    Broken, BucketOptions, CUSTOMER, PARTNER, PRODUCTION, ReportType, SANDBOX, SECURITY,
    analysis_time, bucket_objects, guide, guide_next_day, hive_key, next_analysis_time,
};

use crate::home::{TestCache, query, run};

fn accounts(ids: &[&str]) -> EngineSettings {
    EngineSettings {
        accounts: ids.iter().map(|id| AccountId::new(*id)).collect(),
        ..TestCache::settings()
    }
}

#[tokio::test]
async fn before_the_first_sync_every_answer_is_absent() {
    let engine = Engine::open(None, EngineSettings::default()).unwrap();
    let result = run(&engine, "k9/iam-admins", &[]).await;
    assert!(result.rows.is_empty());
    assert!(
        result.caveats[0].starts_with("Absent: the cache holds no report"),
        "{:?}",
        result.caveats
    );
}

#[tokio::test]
async fn an_account_that_is_not_there_is_absent_however_it_is_asked_for() {
    let cache = TestCache::of(&guide(), analysis_time());
    let absent = |caveats: &[String]| caveats.iter().any(|caveat| caveat.starts_with("Absent"));
    let by_flag = run(
        &cache.engine_with(accounts(&["999999999999"])),
        "k9/iam-admins",
        &[],
    )
    .await;
    assert!(
        by_flag.rows.is_empty() && absent(&by_flag.caveats),
        "{:?}",
        by_flag.caveats
    );
    let by_param = run(
        &cache.engine(),
        "k9/iam-admins",
        &[("account_id", "999999999999")],
    )
    .await;
    assert!(
        by_param.rows.is_empty() && absent(&by_param.caveats),
        "{:?}",
        by_param.caveats
    );
    let sql =
        "SELECT * FROM k9.resource_access_summaries_latest WHERE account_id IN ('999999999999')";
    assert!(absent(&query(&cache.engine(), sql).await.unwrap().caveats));
    let sql = format!(
        "SELECT * FROM k9.resource_access_summaries_latest WHERE account_id = '{PRODUCTION}'"
    );
    assert!(
        absent(&query(&cache.engine(), &sql).await.unwrap().caveats),
        "the account is there, its report is not"
    );
    let one_of_two = run(
        &cache.engine_with(accounts(&["999999999999", SANDBOX])),
        "k9/iam-admins",
        &[],
    )
    .await;
    assert_eq!(one_of_two.rows.len(), 10);
    assert!(absent(&one_of_two.caveats));
}

#[tokio::test]
async fn flags_restrict_what_is_read_and_what_is_missed() {
    let cache = TestCache::of(&guide(), analysis_time());
    let result = query(
        &cache.engine_with(accounts(&[SECURITY])),
        "SELECT DISTINCT account_id FROM k9.resource_access_summaries_latest",
    )
    .await
    .unwrap();
    assert_eq!(result.rows, [[SECURITY]]);
    assert_eq!(
        result.caveats, [""; 0],
        "the account without that report was not asked for"
    );
    let settings = EngineSettings {
        customers: vec![CustomerId::new("P123456-444455556666")],
        ..TestCache::settings()
    };
    let result = query(
        &cache.engine_with(settings),
        "SELECT DISTINCT account_id FROM k9.principals_latest",
    )
    .await
    .unwrap();
    assert_eq!(result.rows, [[PARTNER]]);
}

#[tokio::test]
async fn a_question_that_reads_no_report_has_no_caveats() {
    let cache = TestCache::of(&guide(), analysis_time());
    let result = query(&cache.engine(), "SELECT count(*) FROM kennel.snapshots")
        .await
        .unwrap();
    assert_eq!(
        (result.rows, result.caveats),
        (vec![vec!["1".to_owned()]], vec![])
    );
}

#[tokio::test]
async fn a_failed_newer_version_is_said_and_the_older_answers() {
    let cache = TestCache::of(&guide(), analysis_time());
    let key = hive_key(CUSTOMER, SANDBOX, ReportType::Pas);
    let options = BucketOptions {
        broken: [(key, Broken::HtmlErrorPage)].into(),
        ..BucketOptions::default()
    };
    cache.sync(
        bucket_objects(&guide_next_day(), &options),
        next_analysis_time(),
    );
    let result = run(&cache.engine(), "k9/iam-admins", &[("account_id", SANDBOX)]).await;
    assert_eq!(result.rows.len(), 10);
    assert_eq!(result.caveats.len(), 1);
    let caveat = &result.caveats[0];
    assert!(
        caveat.contains("the newest version failed")
            && caveat.contains("the version of 2026-03-02"),
        "{caveat}"
    );
}

#[tokio::test]
async fn history_answers_as_of_then_and_keeps_all_versions() {
    let cache = TestCache::of(&guide(), analysis_time());
    cache.sync(
        bucket_objects(&guide_next_day(), &BucketOptions::default()),
        next_analysis_time(),
    );
    let count = "SELECT count(*) FROM k9.principals_latest WHERE principal_is_iam_admin";
    let now = query(&cache.engine(), count).await.unwrap().rows;
    let as_of = |as_of| EngineSettings {
        as_of: Some(as_of),
        ..TestCache::settings()
    };
    let then = query(
        &cache.engine_with(as_of(AsOf::At(analysis_time() + TimeDelta::hours(1)))),
        count,
    )
    .await
    .unwrap()
    .rows;
    assert_ne!(now, then);
    let by_snapshot = query(&cache.engine_with(as_of("s1".parse().unwrap())), count)
        .await
        .unwrap()
        .rows;
    assert_eq!(by_snapshot, then);
    let before = query(
        &cache.engine_with(as_of(AsOf::At(analysis_time() - TimeDelta::days(1)))),
        count,
    )
    .await;
    let told = before.err().unwrap().to_string();
    assert!(
        told.ends_with("the oldest snapshots are s1 of 2026-03-02T07:14:19Z (`k9`), s2 of 2026-03-03T07:12:44Z (`k9`)"),
        "{told}"
    );
    let versions =
        "SELECT count(DISTINCT snapshot_at), count(DISTINCT superseded_at) FROM k9.principals";
    assert_eq!(
        query(&cache.engine(), versions).await.unwrap().rows,
        [["2", "1"]]
    );
    assert!("s9".parse::<AsOf>().is_ok());
    let unknown = Engine::open(
        Some(kennel_cache::Cache::open(cache.path()).unwrap()),
        as_of("s9".parse().unwrap()),
    );
    assert!(unknown.is_err());
}

#[tokio::test]
async fn files_that_a_filter_excludes_are_not_opened() {
    let cache = TestCache::of(&guide(), analysis_time());
    // Without its table files an account can no longer be read; other accounts' answers must not notice.
    let kept = kennel_cache::Cache::open(cache.path()).unwrap();
    for report in kept
        .reports(
            kennel_cache::ReportType::PrincipalAccessSummaries,
            kennel_cache::View::Latest,
        )
        .unwrap()
    {
        if report.account_id.as_str() != SANDBOX {
            std::fs::remove_file(cache.path().join("tables").join(&report.table_path)).unwrap();
        }
    }
    let admins = run(&cache.engine(), "k9/iam-admins", &[("account_id", SANDBOX)]).await;
    assert_eq!(admins.rows.len(), 10);
    let sql = "SELECT count(*) FROM k9.principal_access_summaries_latest WHERE principal_arn = 'arn:aws:iam::123456789012:user/ci' AND service_name = 'IAM'";
    let by_bounds = query(&cache.engine(), sql).await.unwrap();
    assert_ne!(
        by_bounds.rows,
        [["0"]],
        "bounds of principal_arn exclude the other accounts' files"
    );
}
