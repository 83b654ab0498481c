//! What a shell asks of the engine beside answers.

use futures::TryStreamExt;
use kennel_engine::{Answer, Engine, EngineSettings, KeptResult, Outcome, ParamValues};
use kennel_testkit::fixtures::{BucketOptions, analysis_time, bucket_objects, guide};

use crate::home::{TestCache, query};

async fn answer(engine: &Engine, sql: &str) -> Answer {
    let statements = Engine::statements(sql).unwrap();
    let outcome = engine
        .execute(&statements[0], &ParamValues::default(), analysis_time())
        .await
        .unwrap();
    match outcome {
        Outcome::Answer(answer) => answer,
        Outcome::Unload(unload) => unload.answer,
        Outcome::Done { message, .. } => panic!("no rows: {message}"),
    }
}

/// Keeps an answer as a shell does, at most so many batches of it.
async fn keep(engine: &Engine, sql: &str, most_batches: usize) {
    let answer = answer(engine, sql).await;
    let schema = std::sync::Arc::clone(&answer.schema);
    let mut batches = answer.stream.try_collect::<Vec<_>>().await.unwrap();
    let row_count = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    batches.truncate(most_batches);
    let kept = KeptResult {
        schema,
        batches,
        row_count,
        caveats: answer.caveats,
    };
    engine.keep(Some(kept)).unwrap();
}

#[test]
fn parameters_are_named_once_in_their_order() {
    let names = |sql: &str| Engine::parameters(&Engine::statements(sql).unwrap()[0]);
    assert_eq!(
        names("SELECT $b, :A, '$no' FROM x WHERE y = $b AND t < $as_of -- $no"),
        ["b", "a"]
    );
    assert_eq!(names("SELECT $b FROM"), [""; 0], "what cannot be read");
    assert_eq!(names("SHOW TABLES"), [""; 0]);
}

#[tokio::test]
async fn the_last_result_can_be_asked_as_a_table() {
    let cache = TestCache::of(&guide(), analysis_time());
    let engine = cache.engine();
    assert!(query(&engine, "SELECT * FROM _").await.is_err());
    keep(&engine, "SELECT 1 AS a, 2 AS a, 'x' AS \"B\"", 9).await;
    let result = query(&engine, "SELECT a, a_2, b FROM _").await.unwrap();
    assert_eq!(result.rows, [["1", "2", "x"]]);
    let tables = query(&engine, "SHOW TABLES IN default").await.unwrap();
    assert_eq!(tables.rows, [["_"]]);
    engine.keep(None).unwrap();
    assert!(query(&engine, "SELECT * FROM _").await.is_err());
}

#[tokio::test]
async fn what_the_last_result_lacked_is_told_with_every_answer_over_it() {
    // Only one account of those that other reports name.
    let objects = bucket_objects(&guide(), &BucketOptions::default());
    let cache = TestCache::new();
    cache.sync(objects, analysis_time());
    let engine = cache.engine();
    let sql = "SELECT * FROM k9.resource_access_summaries_latest";
    let lacked = query(&engine, sql).await.unwrap().caveats;
    assert!(!lacked.is_empty(), "the fixture lacks nothing");
    keep(&engine, sql, usize::MAX).await;
    let again = query(&engine, "SELECT count(*) FROM _").await.unwrap();
    for caveat in &lacked {
        assert!(again.caveats.contains(caveat), "{:?}", again.caveats);
    }
    keep(&engine, "SELECT 1 AS n", 0).await;
    let cut = query(&engine, "SELECT count(*) FROM _").await.unwrap();
    assert_eq!(cut.rows, [["0"]]);
    assert!(
        cut.caveats[0].contains("holds the first 0 of the 1 rows"),
        "{:?}",
        cut.caveats
    );
}

#[tokio::test]
async fn names_and_values_are_there_to_be_completed() {
    let cache = TestCache::of(&guide(), analysis_time());
    let engine = cache.engine();
    let tables = engine.tables().await;
    let table = |schema: &str, name: &str| {
        let found = tables
            .iter()
            .find(|table| table.schema == schema && table.name == name);
        found.unwrap_or_else(|| panic!("{schema}.{name}"))
    };
    assert!(tables.iter().all(|table| table.schema != "iam"));
    assert!(table("k9", "principals_latest").row_count.unwrap() > 0);
    assert!(
        table("cloudtrail", "cloudtrail_logs")
            .columns
            .field_with_name("useridentity")
            .is_ok()
    );
    assert!(
        engine
            .functions()
            .contains(&"json_extract_scalar".to_owned())
    );
    let summaries = table("k9", "principal_access_summaries_latest");
    let values = engine
        .distinct_texts(summaries, "service_name", 100)
        .await
        .unwrap();
    assert!(
        values.is_sorted() && values.contains(&"IAM".to_owned()),
        "{values:?}"
    );
    assert_eq!(
        engine
            .distinct_texts(summaries, "service_name", 1)
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(
        engine
            .known_values()
            .unwrap()
            .accounts
            .contains(&"012345678901".to_owned())
    );
    assert_eq!(engine.snapshot_names().unwrap().len(), 1);
    let empty = Engine::open(None, EngineSettings::default()).unwrap();
    assert_eq!(empty.known_values().unwrap(), Default::default());
    assert!(!empty.tables().await.is_empty());
}

#[tokio::test]
async fn what_a_table_that_is_computed_first_reads_the_query_has_read() {
    let cache = TestCache::of(&guide(), analysis_time());
    let engine = cache.engine();
    let grouped = "SELECT service_name, count(*) AS n FROM k9.principal_access_summaries_latest GROUP BY service_name";
    let once = answer(&engine, grouped).await;
    let reading = once.reading.clone();
    once.stream.try_collect::<Vec<_>>().await.unwrap();
    let expected = reading.so_far();
    let sql = format!(
        "WITH services AS ({grouped}) SELECT a.n FROM services AS a JOIN services AS b ON a.n = b.n"
    );
    let twice = answer(&engine, &sql).await;
    let reading = twice.reading.clone();
    twice.stream.try_collect::<Vec<_>>().await.unwrap();
    let read = reading.so_far();
    assert!(expected.bytes > 0, "{expected:?}");
    assert_eq!((read.bytes, read.rows), (expected.bytes, expected.rows));
}

#[tokio::test]
async fn a_query_says_what_it_reads_and_what_lies_behind_it() {
    let cache = TestCache::of(&guide(), analysis_time());
    let engine = cache.engine();
    let sql =
        "SELECT count(*) FROM k9.principal_access_summaries_latest WHERE service_name = 'IAM'";
    let answer = answer(&engine, sql).await;
    let reading = answer.reading.clone();
    let before = reading.so_far();
    assert_eq!((before.bytes, before.rows, before.files), (0, 0, 0));
    assert!(before.rows_at_most > 0 && before.files_at_most > 0);
    answer.stream.try_collect::<Vec<_>>().await.unwrap();
    let after = reading.so_far();
    assert!(after.bytes > 0 && after.files > 0, "{after:?}");
    assert!(after.fraction() > 0.99, "{after:?}");

    let all = engine.source_bytes(&reading).unwrap();
    let objects = bucket_objects(&guide(), &BucketOptions::default());
    let is_summary = |key: &str| key.contains("principal-access-summaries");
    let expected = objects
        .iter()
        .filter(|(key, _)| is_summary(key))
        .map(|(_, body)| body.len() as u64)
        .sum::<u64>();
    assert_eq!((all.bytes, all.is_estimate), (expected, false));
    let one = "SELECT count(*) FROM k9.principal_access_summaries_latest WHERE account_id = '012345678901' AND service_name = 'IAM'";
    let one = self::answer(&engine, one).await;
    let part = engine.source_bytes(&one.reading).unwrap().bytes;
    assert!(part > 0 && part < all.bytes, "{part} of {}", all.bytes);
    let nothing = self::answer(&engine, "SELECT 1").await;
    assert_eq!(engine.source_bytes(&nothing.reading).unwrap().bytes, 0);
}
