//! k9's guide, pasted: its DDL, its repair, its two queries, and the rows it prints.

use kennel_testkit::fixtures::{
    CUSTOMER, EXPECTED_IAM_ADMINS, EXPECTED_RDS_DELETERS, PRODUCTION, RDS_CLUSTER, SANDBOX,
    analysis_time, guide,
};

use crate::home::{TestCache, query, run};

// The guide's statements, as it prints them.
const CREATE: &str = "-- NOTE: set your own <SECURE_INBOX_BUCKET_NAME> in LOCATION  
CREATE EXTERNAL TABLE `principal_access_summaries_latest`(
  `analysis_time` timestamp,
  `principal_name` string,
  `principal_arn` string,
  `principal_type` string,
  `principal_tags` map<string,string>,
  `service_name` string,
  `access_capability` string,
  `resource_arn` string,
  `resource_tag_confidentiality` string)
PARTITIONED BY (
  `customer_id` string,
  `csp` string,
  `account_id` string)
ROW FORMAT SERDE
  'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe'
STORED AS INPUTFORMAT
  'org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat'
OUTPUTFORMAT
  'org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat'
LOCATION
  's3://<SECURE_INBOX_BUCKET_NAME>/hive/parquet/pas'
TBLPROPERTIES (
  'parquet.compression'='SNAPPY');";
const REPAIR: &str = "MSCK REPAIR TABLE k9.principal_access_summaries_latest;";
const ADMINS: &str = "-- query for IAM admins in account 
SELECT pas.principal_name, pas.principal_arn, pas.service_name, pas.access_capability
FROM k9.principal_access_summaries_latest as pas
WHERE 1=1
  AND service_name='IAM' 
  AND access_capability='administer-resource'
  -- AND customer_id='C123456' AND account_id='123456789012'
ORDER BY pas.principal_name ASC
;";
const DELETERS: &str = "-- who can delete RDS DB clusters
SELECT ras.service_name, ras.resource_name, ras.principal_name, ras.access_capability
FROM k9.resource_access_summaries_latest as ras
WHERE 1=1
  AND service_name='RDS'
  AND access_capability='delete-data'
  AND customer_id='C123456' AND account_id='123456789012'
;";

fn names(expected: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    expected.iter().map(|(name, _)| *name).collect()
}

#[tokio::test]
async fn the_guides_statements_run_as_printed_and_give_its_rows() {
    let cache = TestCache::of(&guide(), analysis_time());
    let engine = cache.engine();
    for statement in ["CREATE DATABASE k9", CREATE, REPAIR] {
        query(&engine, statement).await.unwrap();
    }
    let admins = query(
        &engine,
        &ADMINS.replace("-- AND customer_id", "AND customer_id"),
    )
    .await
    .unwrap();
    assert_eq!(admins.column("principal_name"), names(&EXPECTED_IAM_ADMINS));
    assert_eq!(
        admins.columns,
        [
            "principal_name",
            "principal_arn",
            "service_name",
            "access_capability"
        ]
    );

    let deleters = query(&engine, DELETERS).await.unwrap();
    let mut found = deleters.column("principal_name");
    let mut expected = EXPECTED_RDS_DELETERS.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert!(deleters.rows.iter().all(|row| row[1] == RDS_CLUSTER));
    assert!(deleters.caveats.is_empty(), "{:?}", deleters.caveats);
}

#[tokio::test]
async fn the_guides_own_table_is_the_mirror_of_its_location() {
    let cache = TestCache::of(&guide(), analysis_time());
    query(&cache.engine(), CREATE).await.unwrap();
    // Another session still has it.
    let sql = "SELECT DISTINCT principal_name FROM default.principal_access_summaries_latest
               WHERE service_name = 'IAM' AND access_capability = 'administer-resource' AND account_id = '123456789012'
                 AND resource_arn IS NULL ORDER BY 1";
    let own = query(&cache.engine(), sql).await.unwrap();
    assert_eq!(own.column("principal_name"), names(&EXPECTED_IAM_ADMINS));
    let tags = query(&cache.engine(), "SELECT count(*) AS n FROM principal_access_summaries_latest WHERE cardinality(principal_tags) > 0").await.unwrap();
    assert_ne!(tags.rows, [["0"]]);
}

#[tokio::test]
async fn the_canned_questions_give_the_guides_rows() {
    let cache = TestCache::of(&guide(), analysis_time());
    let engine = cache.engine();
    let params = [("account_id", SANDBOX), ("customer_id", CUSTOMER)];
    let admins = run(&engine, "iam-admins", &params).await;
    assert_eq!(
        admins.column("principal_arn"),
        EXPECTED_IAM_ADMINS.map(|(_, arn)| arn)
    );
    let deleters = run(&engine, "k9/rds-delete", &params).await;
    let mut expected = EXPECTED_RDS_DELETERS.to_vec();
    let mut found = deleters.column("principal_name");
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn over_all_accounts_the_missing_report_is_said() {
    let cache = TestCache::of(&guide(), analysis_time());
    let result = run(&cache.engine(), "k9/rds-delete", &[]).await;
    let expected = format!(
        "Partial: account {PRODUCTION} (customer {CUSTOMER}) has no `resource_access_summaries` report in the cache"
    );
    assert_eq!(result.caveats, [expected]);
}
