//! Statements that are not questions, and errors that point at their place.

use kennel_engine::{EngineError, STACK_BYTES};
use kennel_testkit::fixtures::{analysis_time, guide};

use crate::home::{TestCache, query};

#[tokio::test]
async fn the_catalog_can_be_looked_at_as_in_athena() {
    let cache = TestCache::of(&guide(), analysis_time());
    let engine = cache.engine();
    let databases = query(&engine, "SHOW DATABASES").await.unwrap();
    assert_eq!(
        databases.column("database_name"),
        ["cloudtrail", "default", "iam", "k9", "kennel"]
    );
    let tables = query(&engine, "SHOW TABLES IN k9 '*_latest'")
        .await
        .unwrap();
    assert_eq!(tables.rows.len(), 5);
    let columns = query(&engine, "DESCRIBE principals_latest").await.unwrap();
    assert_eq!(columns.column("col_name")[0], "analysis_time");
    // Three of them are partition columns, which stand below a heading of three lines once more.
    assert_eq!(columns.rows.len(), 28);
    let functions = query(&engine, "SHOW FUNCTIONS LIKE 'URL_EXTRACT_P%'")
        .await
        .unwrap();
    assert_eq!(
        functions.column("function"),
        [
            "url_extract_parameter",
            "url_extract_path",
            "url_extract_port",
            "url_extract_protocol"
        ]
    );
    assert_eq!(functions.column("state"), ["own"; 4]);
    let partitions = query(&engine, "SHOW PARTITIONS k9.principals_latest")
        .await
        .unwrap();
    assert!(partitions.rows.contains(&vec![
        "customer_id=C123456/csp=aws/account_id=012345678901".into()
    ]));
}

#[tokio::test]
async fn names_resolve_qualified_unqualified_and_in_any_case() {
    let cache = TestCache::of(&guide(), analysis_time());
    let engine = cache.engine();
    for table in [
        "principals_latest",
        "k9.principals_latest",
        "iam.principals_latest",
        "awsdatacatalog.k9.principals_latest",
        "K9.Principals_Latest",
        "AwsDataCatalog.k9.principals_latest",
    ] {
        query(&engine, &format!("SELECT count(*) FROM {table}"))
            .await
            .unwrap_or_else(|e| panic!("{table}: {e}"));
    }
}

#[tokio::test]
async fn a_wrong_name_points_at_its_place_and_suggests_the_nearest() {
    let cache = TestCache::of(&guide(), analysis_time());
    let engine = cache.engine();
    let sql = "SELECT principal_arn,\n       principal_nam\nFROM k9.principals_latest";
    let Err(EngineError::Sql {
        place: Some(place),
        suggestion,
        ..
    }) = query(&engine, sql).await
    else {
        panic!("no SQL error with a place");
    };
    assert_eq!((place.line, place.column, place.length), (2, 8, 13));
    assert_eq!(suggestion.as_deref(), Some("principal_name"));
    let Err(EngineError::Sql { suggestion, .. }) =
        query(&engine, "SELECT 1 FROM k9.principal_latest").await
    else {
        panic!("no SQL error");
    };
    assert_eq!(suggestion.as_deref(), Some("k9.principals_latest"));
    let Err(EngineError::Sql {
        place: Some(place), ..
    }) = query(&engine, "SELECT 1\nFROM FROM x").await
    else {
        panic!("no syntax error with a place");
    };
    assert_eq!(place.line, 2);
}

/// Of what is wrong with the types of an expression, DataFusion does not know the place.
#[tokio::test]
async fn types_that_do_not_fit_are_pointed_at() {
    let cache = TestCache::of(&guide(), analysis_time());
    let engine = cache.engine();
    for (sql, wrong) in [
        (
            "SELECT 1 AS one, principal_arn FROM k9.principals_latest WHERE principal_arn <> '' AND principal_name = 1",
            "principal_name = 1",
        ),
        (
            "SELECT upper(principal_name), lower('a' || 1) FROM k9.principals_latest",
            "'a' || 1",
        ),
        (
            "SELECT (SELECT count(*) FROM k9.principals_latest WHERE principal_name = 1) + 1",
            "principal_name = 1",
        ),
        (
            "SELECT * FROM (SELECT coalesce(1, 'a') AS x, 2 AS y) WHERE y > 1",
            "coalesce(1, 'a')",
        ),
    ] {
        let Err(EngineError::Sql { place, message, .. }) = query(&engine, sql).await else {
            panic!("no SQL error: {sql}");
        };
        let place = place.unwrap_or_else(|| panic!("no place: {message}"));
        let start = usize::try_from(place.column).unwrap() - 1;
        assert_eq!(Some(start), sql.find(wrong), "{message}");
    }
}

#[tokio::test]
async fn nothing_changes_the_mirror() {
    let cache = TestCache::of(&guide(), analysis_time());
    let engine = cache.engine();
    for sql in [
        "INSERT INTO k9.principals_latest VALUES (1)",
        "DELETE FROM k9.principals_latest",
        "COPY (SELECT 1) TO '/tmp/kennel-must-not-write.csv'",
        "CREATE TABLE k9.principals_latest AS SELECT 1 AS a",
        "UNLOAD (SELECT 1 AS a) TO 's3://safeco-k9-reports/x/' WITH (format = 'PARQUET')",
        "DROP TABLE k9.principals_latest",
        "SET datafusion.execution.batch_size = 1",
        "CREATE EXTERNAL TABLE t (a string) LOCATION 's3://not-mirrored/x'",
    ] {
        assert!(query(&engine, sql).await.is_err(), "{sql}");
    }
    assert!(!std::path::Path::new("/tmp/kennel-must-not-write.csv").exists());
}

#[test]
fn hostile_nesting_is_an_error_not_a_crash() {
    // DataFusion recurses over expressions: the front door runs it on such a stack, too.
    let run = || {
        let cache = TestCache::of(&guide(), analysis_time());
        let engine = cache.engine();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let ask = |sql: String| {
            runtime
                .block_on(query(&engine, &sql))
                .map(|result| result.rows)
        };
        assert!(
            ask(format!(
                "SELECT {}1{}",
                "(".repeat(5_000),
                ")".repeat(5_000)
            ))
            .is_err()
        );
        assert_eq!(
            ask(format!(
                "SELECT 1 WHERE {}",
                vec!["1 = 1"; 2_000].join(" AND ")
            ))
            .unwrap()
            .len(),
            1
        );
        assert!(
            ask(format!(
                "SELECT 1 WHERE {}",
                vec!["1 = 1"; 40_000].join(" AND ")
            ))
            .is_err(),
            "too long"
        );
    };
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}
