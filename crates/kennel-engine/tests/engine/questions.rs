//! Every canned query over the guide's world and its trail: its rows are a snapshot; a new query without one fails.

use kennel_engine::Library;
use kennel_testkit::fixtures::{analysis_time, guide};

use crate::home::{TestCache, run};

/// Values for parameters that must be given.
const REQUIRED: &[(&str, &str)] = &[
    ("principal", "arn:aws:iam::123456789012:user/skuenzli"),
    ("resource", "arn:aws:s3:::safeco-sandbox-claims-archive"),
];

#[tokio::test]
async fn every_query_gives_its_rows() {
    let cache = TestCache::of_the_guide_with_its_trail();
    let engine = cache.engine();
    for query in Library::embedded().unwrap().iter() {
        let params = query
            .params
            .iter()
            .filter(|param| param.required)
            .map(|param| {
                let value = REQUIRED.iter().find(|(name, _)| *name == param.name);
                *value.unwrap_or_else(|| panic!("{}: a value for `{}`", query.id, param.name))
            })
            .collect::<Vec<_>>();
        let result = run(&engine, &query.id, &params).await;
        for key in &query.key {
            assert!(
                result.columns.contains(key),
                "{}: no key column `{key}`",
                query.id
            );
        }
        for noise in &query.noise {
            assert!(
                result.columns.contains(noise),
                "{}: no noise column `{noise}`",
                query.id
            );
        }
        let keys = result
            .rows
            .iter()
            .map(|row| {
                query
                    .key
                    .iter()
                    .map(|key| &row[result.columns.iter().position(|c| c == key).unwrap()])
                    .collect::<Vec<_>>()
            })
            .collect::<std::collections::BTreeSet<_>>();
        assert!(
            query.key.is_empty() || keys.len() == result.rows.len(),
            "{}: its key does not identify its rows",
            query.id
        );
        assert!(
            !result.rows.is_empty(),
            "{}: no rows over the guide's world test nothing",
            query.id
        );
        let text = std::iter::once(result.columns.join(" | "))
            .chain(result.rows.iter().map(|row| row.join(" | ")))
            .chain(result.caveats.iter().map(|caveat| format!("! {caveat}")))
            .collect::<Vec<_>>()
            .join("\n");
        insta::assert_snapshot!(query.id.replace('/', "__"), text);
    }
}

#[tokio::test]
async fn what_a_query_says_it_reads_is_what_it_reads() {
    let cache = TestCache::of(&guide(), analysis_time());
    let engine = cache.engine();
    for query in engine
        .library()
        .iter()
        .filter(|query| query.params.iter().all(|param| !param.required))
    {
        let answer = engine.run(query, &Default::default()).await.unwrap();
        let mut read = answer
            .reports
            .iter()
            .map(|report| report.table.clone())
            .collect::<Vec<_>>();
        read.sort_unstable();
        read.dedup();
        let of_k9 = |table: &&String| table.starts_with("k9.");
        let mut said = query
            .reads
            .iter()
            .filter(of_k9)
            .cloned()
            .collect::<Vec<_>>();
        said.sort_unstable();
        assert_eq!(read, said, "{}", query.id);
    }
}

#[test]
fn a_query_names_every_table_of_cloudtrail_that_it_reads() {
    for query in Library::embedded().unwrap().iter() {
        let words = query.sql.split_whitespace().collect::<Vec<_>>();
        let mut read = words
            .windows(2)
            .filter(|pair| matches!(pair[0], "FROM" | "JOIN"))
            .map(|pair| pair[1].trim_end_matches([')', ',']).to_owned())
            .filter(|table| table.starts_with("cloudtrail."))
            .collect::<Vec<_>>();
        read.sort_unstable();
        read.dedup();
        let of_trails = |table: &&String| table.starts_with("cloudtrail.");
        let said = query
            .reads
            .iter()
            .filter(of_trails)
            .cloned()
            .collect::<Vec<_>>();
        assert_eq!(read, said, "{}", query.id);
        assert_eq!(
            !said.is_empty(),
            query.id.starts_with("cloudtrail/"),
            "{}",
            query.id
        );
    }
}

#[test]
fn no_query_over_cloudtrail_prints_what_a_call_answered() {
    for query in Library::embedded().unwrap().iter() {
        let sql = query.sql.to_lowercase();
        for column in [
            "response_elements",
            "responseelements",
            "*\nfrom",
            "select *",
        ] {
            assert!(!sql.contains(column), "{}: {column}", query.id);
        }
    }
}
