//! Every form in which k9's reports may come gives the same rows.

use kennel_testkit::fixtures::{
    Broken, BucketOptions, CUSTOMER, ParquetVariant, ReportType, SANDBOX, analysis_time,
    bucket_objects, guide, hive_key,
};

use crate::home::{TestCache, query};

/// Rows of every table, without columns that only some forms have.
async fn fingerprint(cache: &TestCache) -> Vec<Vec<String>> {
    let engine = cache.engine();
    let mut rows = Vec::new();
    for sql in [
        "SELECT * FROM k9.principals_latest ORDER BY account_id, principal_arn",
        "SELECT analysis_time, principal_name, principal_arn, principal_type, principal_tags, service_name, access_capability, resource_arn, customer_id, csp, account_id
         FROM k9.principal_access_summaries_latest ORDER BY account_id, principal_arn, service_name, access_capability, resource_arn",
        "SELECT * FROM k9.resources_latest ORDER BY account_id, resource_arn",
        "SELECT * FROM k9.resource_access_summaries_latest ORDER BY account_id, resource_arn, access_capability, principal_arn",
    ] {
        rows.extend(query(&engine, sql).await.unwrap().rows);
    }
    rows
}

#[tokio::test]
async fn every_form_of_a_report_gives_the_same_rows() {
    let world = guide();
    let expected = to_seconds(fingerprint(&TestCache::of(&world, analysis_time())).await);
    assert!(expected.len() > 100);
    for (name, variant) in ParquetVariant::all() {
        let is_wrong = name.contains("wrong");
        let options = BucketOptions {
            parquet: variant,
            ..BucketOptions::default()
        };
        let cache = TestCache::new();
        let failed = cache.sync(bucket_objects(&world, &options), analysis_time());
        if is_wrong {
            assert!(!failed.is_empty(), "{name} was read");
            continue;
        }
        assert_eq!(failed, [], "{name}");
        let engine = cache.engine();
        let sql = "SELECT count(*) AS n FROM kennel.coverage WHERE problem IS NOT NULL";
        assert_eq!(query(&engine, sql).await.unwrap().rows, [["0"]], "{name}");
        let found = to_seconds(fingerprint_without_extras(&cache, name).await);
        assert!(
            found == expected,
            "{name} differs: {:?}",
            found.iter().zip(&expected).find(|(a, b)| a != b)
        );
    }
}

/// Some forms are no finer than milliseconds or seconds.
fn to_seconds(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    for cell in rows
        .iter_mut()
        .flatten()
        .filter(|cell| cell.len() > 19 && cell.as_bytes()[10] == b'T')
    {
        cell.truncate(19);
    }
    rows
}

/// Forms with columns of their own are compared without them.
async fn fingerprint_without_extras(cache: &TestCache, name: &str) -> Vec<Vec<String>> {
    let plain = TestCache::of(&guide(), analysis_time());
    let mut rows = Vec::new();
    for table in [
        "principals_latest",
        "principal_access_summaries_latest",
        "resources_latest",
        "resource_access_summaries_latest",
    ] {
        let columns = query(
            &plain.engine(),
            &format!("SELECT * FROM k9.{table} LIMIT 0"),
        )
        .await
        .unwrap()
        .columns;
        let (skipped, order) = match table {
            "principals_latest" => ("", "account_id, principal_arn"),
            "principal_access_summaries_latest" => (
                "resource_tag_confidentiality",
                "account_id, principal_arn, service_name, access_capability, resource_arn",
            ),
            "resources_latest" => ("", "account_id, resource_arn"),
            _ => (
                "",
                "account_id, resource_arn, access_capability, principal_arn",
            ),
        };
        let columns = columns
            .into_iter()
            .filter(|column| column != skipped)
            .collect::<Vec<_>>()
            .join(", ");
        let sql = format!("SELECT {columns} FROM k9.{table} ORDER BY {order}");
        rows.extend(
            query(&cache.engine(), &sql)
                .await
                .unwrap_or_else(|e| panic!("{name}: {e}"))
                .rows,
        );
    }
    rows
}

#[tokio::test]
async fn an_unknown_column_is_shown_and_null_where_it_is_missing() {
    let world = guide();
    let extra = ParquetVariant::all()
        .into_iter()
        .find(|(name, _)| name.contains("unknown") || name.contains("extra"))
        .unwrap()
        .1;
    let key = hive_key(CUSTOMER, SANDBOX, ReportType::Pas);
    let options = BucketOptions {
        parquet_for: [(key, extra)].into(),
        ..BucketOptions::default()
    };
    let cache = TestCache::new();
    assert_eq!(
        cache.sync(bucket_objects(&world, &options), analysis_time()),
        []
    );
    let plain = TestCache::of(&world, analysis_time());
    let columns = query(
        &cache.engine(),
        "SELECT * FROM k9.principal_access_summaries_latest LIMIT 0",
    )
    .await
    .unwrap()
    .columns;
    let known = query(
        &plain.engine(),
        "SELECT * FROM k9.principal_access_summaries_latest LIMIT 0",
    )
    .await
    .unwrap()
    .columns;
    let new = columns
        .iter()
        .filter(|column| !known.contains(column))
        .collect::<Vec<_>>();
    assert_eq!(new.len(), 1);
    assert_eq!(
        columns[columns.len() - 3..],
        ["customer_id", "csp", "account_id"]
    );
    let sql = format!(
        "SELECT account_id, count({}) > 0 AS has_it FROM k9.principal_access_summaries_latest GROUP BY 1 ORDER BY 1",
        new[0]
    );
    for row in query(&cache.engine(), &sql).await.unwrap().rows {
        assert_eq!(row[1], (row[0] == SANDBOX).to_string(), "{row:?}");
    }
}

#[tokio::test]
async fn a_broken_object_names_what_it_looks_like_and_the_rest_is_loaded() {
    let world = guide();
    let key = hive_key(CUSTOMER, SANDBOX, ReportType::Ras);
    for (broken, expected) in [
        (Broken::Truncated, "a cut-off Parquet file"),
        (Broken::HtmlErrorPage, "an HTML page"),
        (Broken::Empty, "an empty file"),
        (Broken::OtherColumns, "not a `ras` report: no column"),
        (Broken::Junk, "not a readable Parquet file"),
        (Broken::ZeroedTail, "not a readable Parquet file"),
    ] {
        let options = BucketOptions {
            broken: [(key.clone(), broken)].into(),
            ..BucketOptions::default()
        };
        let cache = TestCache::new();
        let failed = cache.sync(bucket_objects(&world, &options), analysis_time());
        assert_eq!(failed.len(), 1, "{broken:?}");
        assert_eq!(failed[0].0, key);
        assert!(
            failed[0].1.contains(expected),
            "{broken:?}: {}",
            failed[0].1
        );
        let sql = "SELECT count(*) > 0 FROM k9.resource_access_summaries_latest";
        let rest = query(&cache.engine(), sql).await.unwrap();
        assert_eq!(rest.rows, [["true"]], "{broken:?}");
        assert!(
            rest.caveats
                .iter()
                .any(|caveat| caveat.contains("failed: ") && caveat.contains(SANDBOX)),
            "{:?}",
            rest.caveats
        );
    }
}

#[tokio::test]
async fn leading_zeros_and_two_customers_stay_apart() {
    let cache = TestCache::of(&guide(), analysis_time());
    let sql =
        "SELECT DISTINCT customer_id, csp, account_id FROM k9.principals_latest ORDER BY 1, 3";
    let rows = query(&cache.engine(), sql).await.unwrap().rows;
    assert!(rows.iter().any(|row| row[2] == "012345678901"));
    assert_eq!(
        rows.last().unwrap(),
        &["P123456-444455556666", "aws", "444455556666"]
    );
    let sql = "SELECT count(*) FROM k9.principals_latest WHERE account_id = '12345678901'";
    assert_eq!(
        query(&cache.engine(), sql).await.unwrap().rows,
        [["0"]],
        "an account is text"
    );
}
