use std::collections::BTreeMap;

use datafusion::{arrow::array::Array, parquet::arrow::ArrowWriter};
use proptest::prelude::*;

use super::*;
use crate::trail::{
    CompactionOutcome, CompactionPlan, TrailFileError, TrailWriteOptions, compact,
    compact::{compact_with_fan_in, stays_alone},
    plan_compaction, settle,
};

impl TestTables {
    fn run(&self, id: i64, rows: &[Row]) -> TrailTableFile {
        self.run_with(id, rows, &TrailWriteOptions::run())
    }

    fn run_with(&self, id: i64, rows: &[Row], options: &TrailWriteOptions) -> TrailTableFile {
        let files = write_sorted(&batch(rows), &self.stage, options);
        assert_eq!(files.len(), 1);
        files[0].named(id)
    }

    fn compact(&self, rewrite: Vec<TrailTableFile>) -> CompactionOutcome {
        let reference = vec![];
        let plan = CompactionPlan { rewrite, reference };
        compact(
            &plan,
            &self.root,
            &self.stage,
            &TrailWriteOptions::default(),
        )
        .unwrap()
    }

    fn rows_of(&self, outcome: &CompactionOutcome) -> Vec<Row> {
        let files = outcome.new_files.iter();
        files.flat_map(|file| self.rows(&file.table_path)).collect()
    }
}

#[test]
fn nothing_compacts_to_nothing_and_one_row_to_one_file() {
    let tables = TestTables::new();
    let outcome = tables.compact(vec![]);
    assert_eq!((outcome.new_files.len(), outcome.duplicate_count), (0, 0));

    let only = row(Some(1), "a", "111122223333", "k", 0);
    let outcome = tables.compact(vec![tables.run(5, std::slice::from_ref(&only))]);
    assert_eq!(outcome.replaced_ids, [5]);
    assert_eq!(tables.rows_of(&outcome), [only]);
}

#[test]
fn the_copy_that_is_first_in_order_is_the_original_wherever_it_came_from() {
    let tables = TestTables::new();
    let same_event = |key, index| row(Some(1), "a", "111122223333", key, index);
    let runs = vec![
        tables.run(1, &[same_event("trail-b/x", 4), same_event("trail-c/y", 0)]),
        tables.run(
            2,
            &[
                same_event("trail-a/z", 7),
                row(Some(1), "a", "444455556666", "trail-a/z", 8),
                row(Some(2), "a", "111122223333", "trail-a/z", 9),
            ],
        ),
    ];
    let outcome = tables.compact(runs);
    assert_eq!(outcome.duplicate_count, 2);
    let rows = tables.rows_of(&outcome);
    let flags = rows
        .iter()
        .map(|row| (row.key.as_str(), row.index, row.is_duplicate));
    // Another account's copy of an event, and the same id at another time, are events of their own.
    assert_eq!(
        flags.collect::<Vec<_>>(),
        [
            ("trail-a/z", 7, false),
            ("trail-b/x", 4, true),
            ("trail-c/y", 0, true),
            ("trail-a/z", 8, false),
            ("trail-a/z", 9, false),
        ]
    );
}

#[test]
fn an_event_whose_original_stays_in_a_reference_file_has_no_second_one() {
    let tables = TestTables::new();
    let event = |id: &str, key, is_duplicate| Row {
        is_duplicate,
        ..row(Some(1), id, "111122223333", key, 0)
    };
    let reference = vec![
        tables.run(1, &[event("a", "z", false), event("b", "z", true)]),
        tables.run(2, &[event("b", "y", true), event("d", "y", false)]),
    ];
    let new = ["a", "b", "c", "d"].map(|id| event(id, "k", false));
    let rewrite = vec![tables.run(3, &new)];
    let plan = CompactionPlan { rewrite, reference };
    let options = TrailWriteOptions::default();
    let outcome = compact(&plan, &tables.root, &tables.stage, &options).unwrap();
    let flags = tables.rows_of(&outcome);
    let flags = flags.iter().map(|row| row.is_duplicate).collect::<Vec<_>>();
    // Of `b` the references hold duplicates alone: its original is among the rewritten.
    assert_eq!(flags, [true, false, false, true]);
}

#[test]
fn a_new_file_stays_unless_another_file_holds_an_event_of_it() {
    let tables = TestTables::new();
    let event = |time, id: &str, key| row(Some(time), id, "111122223333", key, 0);
    let visible = vec![tables.run(1, &[event(1, "a", "z"), event(5, "e", "z")])];
    let new = vec![
        tables.run(2, &[event(1, "b", "k"), event(3, "c", "k")]),
        // Twice in itself: flagged when it was written.
        tables.run(
            3,
            &[event(4, "d", "k"), event(4, "d", "l"), event(6, "f", "k")],
        ),
        tables.run(4, &[event(3, "c", "m"), event(9, "g", "m")]),
        tables.run(5, &[event(5, "e", "n")]),
    ];
    let options = TrailWriteOptions {
        min_settled_bytes: 0,
        ..TrailWriteOptions::default()
    };
    let ids = |files: &[TrailTableFile]| files.iter().map(|file| file.id).collect::<Vec<_>>();
    let settled = settle(new.clone(), &visible, &tables.root, &options).unwrap();
    assert_eq!(ids(&settled.stay), [2, 3]);
    assert_eq!(ids(&settled.rewrite), [4, 5]);
    assert_eq!(settled.duplicate_count, 1);

    let none = settle(new, &visible, &tables.root, &TrailWriteOptions::default()).unwrap();
    assert_eq!(ids(&none.rewrite), [2, 3, 4, 5]);
}

#[test]
fn a_file_that_nothing_is_merged_with_stays_unless_a_reference_holds_an_event_of_it() {
    let tables = TestTables::new();
    let event = |time, id: &str, key| row(Some(time), id, "111122223333", key, 0);
    let own = [event(1, "a", "k"), event(1, "a", "l"), event(3, "c", "k")];
    let new = tables.run(1, &own);
    let near = tables.run(2, &[event(2, "b", "m"), event(3, "d", "m")]);
    let twin = tables.run(3, &[event(3, "c", "n")]);
    let stays = |rewrite: &[&TrailTableFile], reference: &[&TrailTableFile]| {
        let files = |files: &[&TrailTableFile]| files.iter().copied().cloned().collect();
        let plan = CompactionPlan {
            rewrite: files(rewrite),
            reference: files(reference),
        };
        stays_alone(&plan, &tables.root).unwrap()
    };
    assert_eq!(stays(&[&new], &[]), Some(1));
    assert_eq!(stays(&[&new], &[&near]), Some(1));
    assert_eq!(stays(&[&new], &[&near, &twin]), None);
    assert_eq!(stays(&[&new, &near], &[]), None);
    assert_eq!(stays(&[], &[&near]), None);
}

#[test]
fn rows_without_an_id_are_nobodys_duplicates() {
    let tables = TestTables::new();
    let runs = [0, 1].map(|n| tables.run(n, &[row(None, "", "111122223333", "k", n)]));
    assert_eq!(tables.compact(runs.to_vec()).duplicate_count, 0);
}

#[test]
fn of_ten_thousand_copies_one_is_original() {
    let tables = TestTables::new();
    let copies = (0..5_000).map(|n| row(None, "a", "111122223333", "k", n));
    let copies = copies.collect::<Vec<_>>();
    let outcome = tables.compact(vec![tables.run(1, &copies), tables.run(2, &copies)]);
    assert_eq!(outcome.duplicate_count, 9_999);
    let rows = tables.rows_of(&outcome);
    assert_eq!(rows.len(), 10_000);
    assert!(!rows[0].is_duplicate && rows[1..].iter().all(|row| row.is_duplicate));
    assert_eq!(outcome.new_files[0].event_time_micros, None);
}

#[test]
fn a_hundred_files_merge_in_several_passes_to_the_same_bytes_as_in_one() {
    let tables = TestTables::new();
    let mut all = vec![];
    let mut runs = vec![];
    for run in 0..100_i64 {
        let rows = (0..60_i64).map(|n| {
            let time = (n * 37 + run * 11) % 500;
            let id = format!("{:04}", (n * run) % 97);
            row(Some(time), &id, "111122223333", &format!("k{run:03}"), n)
        });
        let rows = rows.collect::<Vec<_>>();
        runs.push(tables.run(run, &rows));
        all.extend(rows);
    }
    let reference = vec![];
    let plan = CompactionPlan {
        rewrite: runs,
        reference,
    };
    let merge = |fan_in| {
        let options = TrailWriteOptions::default();
        compact_with_fan_in(&plan, &tables.root, &tables.stage, &options, fan_in).unwrap()
    };
    let at_once = merge(1_000);
    assert_eq!(merge(7), at_once);
    assert_eq!(merge(1), at_once);
    assert_eq!(tables.staged_count(), 0);
    all.sort();
    let mut found = tables.rows_of(&at_once);
    let is_sorted = found.windows(2).all(|pair| {
        let key = |row: &Row| (row.time, row.id.clone(), row.key.clone(), row.index);
        key(&pair[0]) < key(&pair[1])
    });
    assert!(is_sorted);
    found.iter_mut().for_each(|row| row.is_duplicate = false);
    assert_eq!(found, all);
}

#[test]
fn rows_of_an_account_are_brought_together_and_merged_in_the_order_of_time_again() {
    let tables = TestTables::new();
    let event = |time: i64, of: i64| {
        let account = ["444455556666", "111122223333"][(time % 2) as usize];
        row(Some(time), &format!("{of}-{time}"), account, "k", time)
    };
    let options = TrailWriteOptions {
        page_rows: 4,
        row_group_rows: 16,
        ..TrailWriteOptions::default()
    };
    let rows = [1, 2].map(|of| (0..50).map(|time| event(time, of)).collect::<Vec<_>>());
    let files = [1, 2].map(|of| tables.run_with(of, &rows[of as usize - 1], &options));
    let groups = tables.row_groups(&files[0].table_path);
    let times = |rows: &Vec<Row>| rows.iter().map(|row| row.time.unwrap()).collect::<Vec<_>>();
    let odd_and_even = |from: i64, until: i64| {
        let odd = (from..until).filter(|time| time % 2 == 1);
        odd.chain((from..until).filter(|time| time % 2 == 0))
            .collect::<Vec<_>>()
    };
    assert_eq!(times(&groups[0]), odd_and_even(0, 16));
    assert_eq!(times(&groups[2]), odd_and_even(32, 48));
    // No more than a page: nothing to be gained.
    assert_eq!(times(&groups[3]), [48, 49]);

    let plan = CompactionPlan {
        rewrite: files.to_vec(),
        reference: vec![],
    };
    let merged = compact(&plan, &tables.root, &tables.stage, &options).unwrap();
    let mut groups = tables.row_groups(&merged.new_files[0].table_path);
    assert_eq!(times(&groups[1])[..4], [9, 9, 11, 11]);
    groups.iter_mut().for_each(|rows| rows.sort());
    let mut all = rows.concat();
    all.sort();
    assert_eq!(groups.concat(), all);
    assert_eq!(tables.staged_count(), 0);
}

#[test]
fn a_column_that_older_files_lack_is_null_and_one_that_disagrees_is_refused() {
    let tables = TestTables::new();
    let old = batch(&[row(Some(1), "a", "111122223333", "k", 0)]);
    let with_column = |name: &str, column: ArrayRef| {
        let rows = batch(&[row(Some(2), "b", "111122223333", "k", 1)]);
        let schema = rows.schema();
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let columns = names.zip(rows.columns().iter().cloned());
        let columns = columns.filter(|(own, _)| *own != name);
        let columns = columns.chain([(name, column)]);
        RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap()
    };
    let write = |rows: RecordBatch| {
        let options = TrailWriteOptions::run();
        write_sorted(&rows, &tables.stage, &options).remove(0)
    };
    let old = write(old).named(1);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["new"]));
    let wider = write(with_column("tlsversion", text)).named(2);
    let outcome = tables.compact(vec![old.clone(), wider]);
    let merged = tables.read(&outcome.new_files[0].table_path);
    let column = merged.column_by_name("tlsversion").unwrap();
    assert!(column.is_null(0) && column.as_string::<i32>().value(1) == "new");

    let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let other = write(with_column("eventid", number)).named(3);
    let reference = vec![];
    let rewrite = vec![old, other];
    let plan = CompactionPlan { rewrite, reference };
    let options = TrailWriteOptions::default();
    let error = compact(&plan, &tables.root, &tables.stage, &options).unwrap_err();
    assert!(matches!(error, TrailFileError::OtherColumn { column, .. } if column == "eventid"));
}

#[test]
fn a_file_without_a_key_column_is_refused_by_its_name() {
    let tables = TestTables::new();
    let mut rows = batch(&[row(None, "a", "111122223333", "k", 0)]);
    rows.remove_column(rows.schema().index_of("account_id").unwrap());
    let path = tables.root.join("narrow.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let mut file = tables.run(1, &[row(None, "a", "111122223333", "k", 0)]);
    file.table_path = "narrow.parquet".into();
    let plan = CompactionPlan {
        rewrite: vec![file],
        reference: vec![],
    };
    let options = TrailWriteOptions::default();
    let error = compact(&plan, &tables.root, &tables.stage, &options).unwrap_err();
    assert!(matches!(
        error,
        TrailFileError::MissingColumn {
            column: "account_id",
            ..
        }
    ));
    assert_eq!(tables.staged_count(), 0);
}

#[test]
fn a_file_that_is_not_sorted_or_not_there_is_refused_by_name() {
    let tables = TestTables::new();
    let unsorted = [2, 1].map(|time| row(Some(time), "a", "111122223333", "k", 0));
    let rows = batch(&unsorted);
    let path = tables.root.join("unsorted.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let mut file = tables.run(1, &unsorted);
    let mut refused = |name: &str| {
        file.table_path = name.into();
        let plan = CompactionPlan {
            rewrite: vec![file.clone()],
            reference: vec![],
        };
        let options = TrailWriteOptions::default();
        compact(&plan, &tables.root, &tables.stage, &options).unwrap_err()
    };
    let error = refused("unsorted.parquet");
    assert!(matches!(error, TrailFileError::Unsorted { path: found } if found == path));
    assert!(matches!(refused("absent"), TrailFileError::Open { .. }));
    assert_eq!(tables.staged_count(), 0);
}

/// Rows of one sync, by run: time, id, account; few of each, so that events meet again.
type Runs = Vec<Vec<(Option<i64>, u8, bool)>>;

/// Each sync with bits that may choose which visible files it rewrites.
fn syncs() -> impl Strategy<Value = Vec<(Runs, Option<u32>)>> {
    let row = (
        proptest::option::weighted(0.9, 0_i64..6),
        0_u8..4,
        any::<bool>(),
    );
    let run = proptest::collection::vec(row, 1..12);
    let runs = proptest::collection::vec(run, 1..4);
    proptest::collection::vec((runs, proptest::option::of(any::<u32>())), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_event_has_one_original_over_all_files_after_every_sync(
        syncs in syncs(),
        // Files that are never rewritten, that sometimes are, and that always are.
        max_file_bytes in proptest::sample::select(vec![1_u64, 8_600, 9_200, 1 << 20]),
        fan_in in 2_usize..5,
        // All new files may stay, some, none.
        min_settled_bytes in proptest::sample::select(vec![0_u64, 8_600, 1 << 20]),
        // Rows of an account are brought together in every row group, in some, in none.
        page_rows in proptest::sample::select(vec![1_usize, 3, 4_096]),
        row_group_rows in proptest::sample::select(vec![2_usize, 5, 4_096]),
    ) {
        let tables = TestTables::new();
        let options = TrailWriteOptions {
            max_file_bytes,
            min_settled_bytes,
            page_rows,
            row_group_rows,
            ..TrailWriteOptions::default()
        };
        let large = TrailWriteOptions { max_file_bytes: 1 << 20, ..options.clone() };
        let mut visible: Vec<TrailTableFile> = vec![];
        let mut expected = vec![];
        let mut next_id = 0;
        for (runs, bits) in syncs {
            let mut new = vec![];
            for run in runs {
                next_id += 1;
                // Later files sort before earlier ones as often as after.
                let key = format!("k{:03}", next_id * 37 % 101);
                let rows = run.iter().enumerate().map(|(index, (time, id, is_other))| {
                    let account = if *is_other { "444455556666" } else { "111122223333" };
                    row(*time, &id.to_string(), account, &key, index as i64)
                });
                let rows = rows.collect::<Vec<_>>();
                new.push(match next_id % 2 {
                    0 => tables.run(next_id, &rows),
                    _ => tables.run_with(next_id, &rows, &large),
                });
                expected.extend(rows);
            }
            let settled = settle(new, &visible, &tables.root, &options).unwrap();
            let new = settled.rewrite;
            let mut plan = plan_compaction(&visible, &new, max_file_bytes);
            if let Some(bits) = bits {
                // Whatever is rewritten, the result is right if all the rest is reference.
                let (chosen, rest): (Vec<_>, Vec<_>) = (0_u32..)
                    .zip(&visible)
                    .partition(|(at, _)| bits.rotate_right(*at) & 1 == 1);
                plan.rewrite = new.clone();
                plan.rewrite.extend(chosen.into_iter().map(|(_, file)| file.clone()));
                plan.reference = rest.into_iter().map(|(_, file)| file.clone()).collect();
            }
            plan.reference.extend(settled.stay.iter().cloned());
            visible.extend(settled.stay);
            if stays_alone(&plan, &tables.root).unwrap().is_some() {
                visible.extend(new);
            } else {
                let outcome =
                    compact_with_fan_in(&plan, &tables.root, &tables.stage, &options, fan_in)
                        .unwrap();
                visible.retain(|file| !outcome.replaced_ids.contains(&file.id));
                for file in &outcome.new_files {
                    next_id += 1;
                    visible.push(file.named(next_id));
                }
            }
            let mut found = vec![];
            for file in &visible {
                let mut groups = tables.row_groups(&file.table_path);
                groups.iter_mut().for_each(|rows| rows.sort());
                let rows = groups.concat();
                prop_assert_eq!(rows.len() as u64, file.row_count);
                prop_assert!(rows.iter().is_sorted());
                found.extend(rows);
            }
            let mut originals = BTreeMap::new();
            for row in &found {
                let event = (row.time, row.id.clone(), row.account.clone());
                *originals.entry(event).or_insert(0) += u32::from(!row.is_duplicate);
            }
            prop_assert!(originals.values().all(|count| *count == 1), "{:?}", originals);
            found.iter_mut().for_each(|row| row.is_duplicate = false);
            found.sort();
            expected.sort();
            prop_assert_eq!(&found, &expected);
        }
    }
}
