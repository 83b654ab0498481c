use super::*;
use crate::{
    ingest::{Bounds, ColumnStatistics},
    trail::TrailWriteOptions,
};

fn statistics(file: &NewTrailFile) -> std::collections::BTreeMap<String, ColumnStatistics> {
    serde_json::from_str(&file.statistics).unwrap()
}

#[test]
fn statistics_are_exact_bounds_of_columns_that_are_not_nested() {
    let tables = TestTables::new();
    let long = "x".repeat(300);
    let rows = [
        row(None, "b", "111122223333", &long, 0),
        row(Some(3), "a", "444455556666", "k", 1),
    ];
    let options = TrailWriteOptions {
        row_group_rows: 1, // bounds are put together from row groups
        ..TrailWriteOptions::default()
    };
    let files = write_sorted(&batch(&rows), &tables.stage, &options);
    let found = statistics(&files[0]);
    let expected = |null_count, bounds| ColumnStatistics { null_count, bounds };
    let text = |a: &str, b: &str| Some(Bounds::Text(a.into(), b.into()));
    assert_eq!(found["event_time"], expected(1, Some(Bounds::Micros(3, 3))));
    let accounts = text("111122223333", "444455556666");
    assert_eq!(found["account_id"], expected(0, accounts));
    let flags = Some(Bounds::Flags(false, false));
    assert_eq!(found["is_duplicate"], expected(0, flags));
    // A cut-off bound is no answer to `max(object_key)`.
    assert_eq!(found["object_key"], expected(0, None));
    assert!(!found.contains_key("useridentity"));
    assert!(!found.contains_key("requestparameters"));
    // Of ids, each page reaches from the least to the greatest.
    assert!(!found.contains_key("record_id"));
}

#[test]
fn a_file_ends_between_two_instants_once_it_is_large_enough() {
    let tables = TestTables::new();
    // Five rows of each instant; a chunk of the writer ends within one.
    let all = (0..40_000)
        .map(|n| row(Some(n / 5), &format!("{n:08}"), "111122223333", "k", n))
        .collect::<Vec<_>>();
    let options = TrailWriteOptions {
        max_file_bytes: 400_000,
        ..TrailWriteOptions::default()
    };
    let files = write_sorted(&batch(&all), &tables.stage, &options);
    assert!(files.len() > 2, "{}", files.len());
    for pair in files.windows(2) {
        let [before, after] = [&pair[0], &pair[1]].map(|file| file.event_time_micros.unwrap());
        assert!(before.1 < after.0, "{before:?} {after:?}");
        assert!(before.1 - before.0 > 100);
    }
    let read = files.iter().flat_map(|file| tables.rows(&file.table_path));
    assert_eq!(read.collect::<Vec<_>>(), all);
}

#[test]
fn a_file_of_one_instant_ends_by_size_alone() {
    let tables = TestTables::new();
    let all = (0..30_000)
        .map(|n| row(Some(1), &format!("{n:08}"), "111122223333", "k", n))
        .collect::<Vec<_>>();
    let options = TrailWriteOptions {
        max_file_bytes: 10_000,
        ..TrailWriteOptions::default()
    };
    let files = write_sorted(&batch(&all), &tables.stage, &options);
    assert!(files.len() > 1);
    let read = files.iter().flat_map(|file| tables.rows(&file.table_path));
    assert_eq!(read.collect::<Vec<_>>(), all);
}

#[test]
fn pages_have_statistics_ids_have_no_dictionary_and_bloom_filters_are_for_large_files() {
    let tables = TestTables::new();
    let all = (0..10_000)
        .map(|n| row(Some(n), &format!("{n:08}"), "111122223333", "k", n))
        .collect::<Vec<_>>();
    let options = TrailWriteOptions {
        bloom_min_rows: 10_000,
        row_group_rows: 6_000,
        page_rows: 1_000,
        ..TrailWriteOptions::default()
    };
    let column = |file: &NewTrailFile, name: &str| {
        let reader = tables.parquet(&file.table_path);
        assert_eq!(reader.metadata().num_row_groups(), 2);
        let row_group = reader.metadata().row_group(0);
        let mut columns = row_group.columns().iter();
        let column = columns.find(|c| c.column_path().string().starts_with(name));
        column.unwrap().clone()
    };
    let files = write_sorted(&batch(&all), &tables.stage, &options);
    let is_bounded = |name| column(&files[0], name).column_index_offset().is_some();
    assert!(is_bounded("event_time") && is_bounded("timestamp"));
    assert!(!is_bounded("requestparameters") && !is_bounded("useridentity"));
    assert!(
        column(&files[0], "requestparameters")
            .offset_index_offset()
            .is_some()
    );
    let has_dictionary = |name| column(&files[0], name).dictionary_page_offset().is_some();
    assert!(has_dictionary("account_id"));
    assert!(!has_dictionary("record_id") && !has_dictionary("event_time"));
    assert!(column(&files[0], "eventid").bloom_filter_offset().is_some());
    assert!(
        column(&files[0], "account_id")
            .bloom_filter_offset()
            .is_none()
    );

    let options = TrailWriteOptions {
        bloom_min_rows: 10_001,
        ..options
    };
    let files = write_sorted(&batch(&all), &tables.stage, &options);
    assert!(column(&files[0], "eventid").bloom_filter_offset().is_none());
}
