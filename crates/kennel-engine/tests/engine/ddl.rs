//! The way back to Athena: what `kennel ddl` and `kennel list --sql athena` print is taken by kennel itself, and the
//! questions over those tables have the rows that they have here.

use kennel_engine::{
    ConfiguredSource, DdlOptions, Engine, EngineError, EngineSettings, ParamValues,
};
use kennel_testkit::fixtures::{SANDBOX, trail::MACHINE_ROLE};

use crate::{
    home::{Result, TestCache, query, run},
    slt::both_sources,
};

fn in_database(name: &str) -> DdlOptions {
    DdlOptions {
        database: Some(name.into()),
    }
}

fn sorted(result: &Result) -> Vec<&Vec<String>> {
    let mut rows = result.rows.iter().collect::<Vec<_>>();
    rows.sort();
    rows
}

/// A value for each parameter that must be given.
fn values(names: &[String]) -> Vec<(&str, &str)> {
    let value = |name: &str| match name {
        "principal" | "name_or_arn" | "principal_arn" => MACHINE_ROLE,
        "resource" => "arn:aws:s3:::safeco-cloudtrail-archive",
        _ => SANDBOX,
    };
    names
        .iter()
        .map(|name| (name.as_str(), value(name)))
        .collect()
}

#[tokio::test]
async fn questions_have_the_same_rows_over_the_printed_tables() {
    let cache = TestCache::of_the_guide_with_its_trail();
    let engine = cache.engine_with(both_sources());
    let options = in_database("athena");
    for statement in engine.athena_ddl(&options).unwrap() {
        query(&engine, &statement.sql)
            .await
            .unwrap_or_else(|error| panic!("{error:?}\n{}", statement.sql));
    }
    let mut compared = 0;
    let mut local = Vec::new();
    for canned in engine.library().iter() {
        if canned.local_reason().is_some() {
            local.push(canned.id.as_str());
            continue;
        }
        let required = canned
            .params
            .iter()
            .filter(|param| param.required)
            .map(|param| param.name.clone());
        let required = required.collect::<Vec<_>>();
        let given = values(&required);
        let params = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let sql = canned
            .to_athena(&ParamValues(params.collect()), None, &options)
            .unwrap();
        assert!(!sql.contains('$') || sql.contains("'$"), "{sql}");
        let there = query(&engine, &sql)
            .await
            .unwrap_or_else(|error| panic!("{}: {error:?}\n{sql}", canned.id));
        let here = run(&engine, &canned.id, &given).await;
        assert_eq!(there.columns, here.columns, "{}", canned.id);
        assert_eq!(sorted(&there), sorted(&here), "{}", canned.id);
        compared += usize::from(!here.rows.is_empty());
    }
    assert!(compared >= 35, "{compared}");
    assert_eq!(local, ["k9/indirect-iam-admins", "k9/new-iam-admins"]);
}

#[tokio::test]
async fn under_their_own_names_the_statements_find_what_is_built_in() {
    let cache = TestCache::of_the_guide_with_its_trail();
    let engine = cache.engine_with(both_sources());
    let statements = engine.athena_ddl(&DdlOptions::default()).unwrap();
    let texts = statements
        .iter()
        .map(|statement| statement.sql.as_str())
        .collect::<Vec<_>>();
    assert_eq!(
        texts[..2],
        [
            "CREATE DATABASE IF NOT EXISTS `cloudtrail`",
            "CREATE DATABASE IF NOT EXISTS `k9`"
        ]
    );
    assert!(
        texts.iter().all(|text| !text.starts_with("MSCK")),
        "accounts are known"
    );
    for text in texts {
        query(&engine, text)
            .await
            .unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    }
    let shown = query(&engine, "SHOW CREATE TABLE k9.principals_latest")
        .await
        .unwrap();
    assert!(shown.rows[0][0].contains("'projection.account_id.type'='enum'"));
}

#[tokio::test]
async fn before_the_first_sync_reports_are_found_by_repair_and_accounts_are_injected() {
    let settings = EngineSettings {
        sources: both_sources()
            .sources
            .into_iter()
            .map(|source| ConfiguredSource {
                url: format!("{}/some/prefix/", source.url),
                ..source
            })
            .collect(),
        ..EngineSettings::default()
    };
    let engine = Engine::open(None, settings).unwrap();
    let statements = engine.athena_ddl(&in_database("d")).unwrap();
    let text = statements
        .iter()
        .map(|statement| statement.sql.as_str())
        .collect::<Vec<_>>()
        .join("\n;\n");
    assert_eq!(text.matches("MSCK REPAIR TABLE `d`.").count(), 5);
    for expected in [
        "'s3://safeco-k9-reports/some/prefix/hive/parquet/pas'",
        "'projection.account.type'='injected'",
        "'storage.location.template'='s3://safeco-cloudtrail-archive/some/prefix/AWSLogs/${account}/CloudTrail/${region}/${timestamp}'",
        "CREATE OR REPLACE VIEW d.events AS",
        "FROM d.cloudtrail_logs",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_in_athena_says_so() {
    let cache = TestCache::new();
    drop(kennel_cache::CacheWriter::open(cache.path(), chrono::DateTime::UNIX_EPOCH).unwrap());
    let engine = cache.engine();
    let library = engine.library();
    let none = ParamValues::default();
    let error =
        library
            .find("new-iam-admins")
            .unwrap()
            .to_athena(&none, None, &DdlOptions::default());
    assert!(
        matches!(error, Err(EngineError::Unsupported { hint, .. }) if hint.contains("k9.principal_access_summaries"))
    );
    let error =
        library
            .find("cloudtrail/activity")
            .unwrap()
            .to_athena(&none, None, &DdlOptions::default());
    assert!(matches!(error, Err(EngineError::Param { .. })));
    let hostile = ParamValues([("customer_id".to_owned(), "x' OR '1'='1".to_owned())].into());
    let sql = library
        .find("iam-admins")
        .unwrap()
        .to_athena(&hostile, None, &DdlOptions::default())
        .unwrap();
    assert!(sql.contains("'x'' OR ''1''=''1'"), "{sql}");
}
