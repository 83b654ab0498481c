//! Records on their way from objects to table files.

use super::*;
use crate::trail::{
    HeldRecords, SpareColumns, TrailWriteOptions,
    decode::{DecodeLimits, Decoder, ObjectOrigin},
    files::{EventFile, write_held},
    held::Scratch,
};
use kennel_cache::TrailTable;

/// A record: second of the event or no time, id or none, recipient account or that of the key.
#[derive(Debug, Clone, Copy)]
struct Sent<'s>(Option<u32>, Option<&'s str>, Option<&'s str>);

impl Sent<'_> {
    fn json(&self) -> String {
        let Self(second, id, account) = self;
        let time = second.map(|s| format!(r#","eventTime":"1970-01-01T00:00:{s:02}Z""#));
        let id = id.map(|id| format!(r#","eventID":"{id}""#));
        let account = account.map(|account| format!(r#","recipientAccountId":"{account}""#));
        let parts = [time, id, account].map(Option::unwrap_or_default).concat();
        format!(
            r#"{{"eventVersion":"1.08","eventName":"a","requestParameters":{{"x":[1,2]}}{parts}}}"#
        )
    }
}

/// Decodes an object under a key; its folder's account is `012345678901`.
fn hold(held: &mut HeldRecords, key: &str, records: &[Sent<'_>]) {
    let origin = ObjectOrigin {
        key,
        account: Some("012345678901"),
        region: Some("us-east-1"),
        day: Some("2026/03/02"),
        kind: TrailTable::Events,
    };
    let records = records.iter().map(Sent::json).collect::<Vec<_>>();
    let text = format!(r#"{{"Records":[{}]}}"#, records.join(","));
    let outcome = Decoder::new(DecodeLimits::default())
        .decode_object(text.as_bytes(), &origin, held)
        .unwrap();
    assert_eq!(outcome.record_count as usize, records.len());
}

fn write(held: &HeldRecords, tables: &TestTables) -> Vec<NewTrailFile> {
    write_with(held, tables, &mut SpareColumns::default())
}

fn write_with(
    held: &HeldRecords,
    tables: &TestTables,
    columns: &mut SpareColumns,
) -> Vec<NewTrailFile> {
    let options = TrailWriteOptions::default();
    write_held(held, &tables.stage, &options, columns).unwrap()
}

/// Second, id, account, key, index and flag of all rows.
fn found(tables: &TestTables, file: &NewTrailFile) -> Vec<String> {
    let batch = tables.read(&file.table_path);
    let column = |name: &str| Arc::clone(batch.column_by_name(name).unwrap());
    let (times, indices) = (column("event_time"), column("record_index"));
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let indices = indices.as_primitive::<Int64Type>();
    let text = |name: &str, row: usize| column(name).as_string::<i32>().value(row).to_owned();
    (0..batch.num_rows())
        .map(|row| {
            let time = times.is_valid(row).then(|| times.value(row) / 1_000_000);
            let time = time.map_or("-".into(), |time| time.to_string());
            assert_eq!(text("requestparameters", row), r#"{"x":[1,2]}"#);
            format!(
                "{time} {} {} {} {}{}",
                text("record_id", row),
                text("account_id", row),
                text("object_key", row),
                indices.value(row),
                if column("is_duplicate").as_boolean().value(row) {
                    " duplicate"
                } else {
                    ""
                }
            )
        })
        .collect()
}

#[test]
fn rows_are_written_by_time_then_id_account_and_place_with_unknown_times_first() {
    let tables = TestTables::new();
    let mut held = HeldRecords::default();
    let (own, other) = (None, Some("111122223333"));
    hold(
        &mut held,
        "l",
        &[
            Sent(Some(7), Some("aaaaaaaa-b"), other),
            Sent(Some(7), Some("aaaaaaaa-a"), other),
            Sent(None, Some("z"), other),
        ],
    );
    hold(
        &mut held,
        "k",
        &[
            Sent(Some(7), Some("aaaaaaaa-a"), other),
            // The same id, written with an escape; of the folder's account.
            Sent(Some(7), Some(r"\u0061aaaaaaa-a"), own),
            Sent(Some(7), Some("aaaaaaaa-a"), other),
            Sent(Some(5), Some("b"), own),
        ],
    );
    let files = write(&held, &tables);
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    assert_eq!(
        found(&tables, file),
        [
            "- z 111122223333 l 2",
            "5 b 012345678901 k 3",
            "7 aaaaaaaa-a 012345678901 k 1",
            "7 aaaaaaaa-a 111122223333 k 0",
            "7 aaaaaaaa-a 111122223333 k 2 duplicate",
            "7 aaaaaaaa-a 111122223333 l 1 duplicate",
            "7 aaaaaaaa-b 111122223333 l 0",
        ]
    );
    assert_eq!(file.row_count, 7);
    assert_eq!(file.event_time_micros, Some((5_000_000, 7_000_000)));
    let day = "2026/03/02".to_owned();
    assert_eq!(file.delivery_day, Some((day.clone(), day)));
    let on_disk = std::fs::metadata(tables.root.join(&file.table_path)).unwrap();
    assert_eq!(file.size_bytes, on_disk.len());
    assert_eq!(tables.staged_count(), 0);
}

#[test]
fn records_without_an_id_are_known_by_their_bytes() {
    let tables = TestTables::new();
    let mut held = HeldRecords::default();
    let nameless = Sent(Some(1), None, None);
    hold(
        &mut held,
        "k",
        &[
            nameless,
            Sent(Some(1), None, Some("111122223333")),
            nameless,
        ],
    );
    let files = write(&held, &tables);
    let mut rows = found(&tables, &files[0]);
    assert_eq!(
        rows.iter()
            .filter(|row| row.ends_with(" duplicate"))
            .count(),
        1
    );
    rows.retain(|row| !row.ends_with(" duplicate"));
    assert_eq!(rows.len(), 2);
}

#[test]
fn the_same_records_make_the_same_file_in_whatever_order_objects_came() {
    let tables = TestTables::new();
    let ids = (0..9_000)
        .map(|n| format!("id{:04}", n * 7_919 % 5_000))
        .collect::<Vec<_>>();
    let records = (0..)
        .zip(&ids)
        .map(|(n, id)| Sent(Some(n / 7 % 60), Some(id), None));
    let records = records.collect::<Vec<_>>();
    let mut objects = records.chunks(700).enumerate().collect::<Vec<_>>();
    let mut held = HeldRecords::default();
    let mut columns = SpareColumns::default();
    let mut written = |columns: &mut SpareColumns| {
        // Used again: nothing of the rows before is left.
        held.clear();
        for (number, records) in &objects {
            hold(&mut held, &format!("key{number:02}"), records);
        }
        objects.reverse();
        write_with(&held, &tables, columns)
    };
    let first = written(&mut columns);
    assert_eq!(written(&mut columns), first);
    // Not by the columns of files that were written otherwise, or given up, in between.
    let run = TrailWriteOptions {
        row_group_rows: 500,
        ..TrailWriteOptions::run()
    };
    let run = write_held(&held, &tables.stage, &run, &mut columns).unwrap();
    assert_ne!(run, first);
    let options = TrailWriteOptions::default();
    let mut given_up = EventFile::create(Vec::new(), &options, 9_000, &mut columns).unwrap();
    let mut scratch = Scratch::new();
    let rows = (0..6_000).map(|row| (row, false)).collect::<Vec<_>>();
    given_up.write(&held, &rows, &mut scratch).unwrap();
    drop(given_up);
    assert_eq!(write_with(&held, &tables, &mut columns), first);
    assert_eq!(first.iter().map(|file| file.row_count).sum::<u64>(), 9_000);
}

#[test]
fn the_same_records_make_the_same_file_after_one_with_the_same_pages_in_another_compression() {
    let tables = TestTables::new();
    let ids = (0..500).map(|n| format!("id{n}")).collect::<Vec<_>>();
    let records = (0..)
        .zip(&ids)
        .map(|(n, id)| Sent(Some(n), Some(id), None))
        .collect::<Vec<_>>();
    let mut held = HeldRecords::default();
    hold(&mut held, "key", &records);
    let by_snappy = TrailWriteOptions {
        zstd_level: None,
        ..TrailWriteOptions::default()
    };
    let mut columns = SpareColumns::default();
    let small = write_held(&held, &tables.stage, &by_snappy, &mut columns).unwrap();
    let after = write_with(&held, &tables, &mut columns);
    let alone = write_with(&held, &tables, &mut SpareColumns::default());
    // A path says what lies there.
    assert_ne!(after[0].table_path, small[0].table_path);
    assert_eq!(after[0].table_path, alone[0].table_path);
    assert_eq!(found(&tables, &after[0]).len(), 500);
}

#[test]
fn row_groups_are_in_the_order_of_time_and_bring_the_records_of_a_caller_together() {
    let tables = TestTables::new();
    let mut held = HeldRecords::default();
    let record = |n: usize| {
        let identity = match n % 3 {
            0 => r#"{"type":"AWSService","invokedBy":"b"}"#,
            1 => r#"{"arn":"c","sessionContext":{"sessionIssuer":{"arn":"a"}}}"#,
            _ => r#"{"arn":"a"}"#,
        };
        let (time, account) = (n / 2 % 60, 1 + n % 2);
        format!(
            r#"{{"eventVersion":"1.08","eventName":"a","eventTime":"1970-01-01T00:00:{time:02}Z","eventID":"{n:03}","recipientAccountId":"{account}","userIdentity":{identity}}}"#
        )
    };
    let origin = ObjectOrigin {
        key: "k",
        account: None,
        region: None,
        day: None,
        kind: TrailTable::Events,
    };
    let records = (0..120).rev().map(record).collect::<Vec<_>>().join("\n");
    Decoder::new(DecodeLimits::default())
        .decode_object(records.as_bytes(), &origin, &mut held)
        .unwrap();
    let options = TrailWriteOptions {
        page_rows: 10,
        row_group_rows: 51,
        ..TrailWriteOptions::default()
    };
    let files = write_held(&held, &tables.stage, &options, &mut SpareColumns::default()).unwrap();
    let numbers = tables.parquet(&files[0].table_path).build().unwrap();
    let numbers = numbers.flat_map(|batch| {
        let batch = batch.unwrap();
        let ids = batch.column_by_name("eventid").unwrap().as_string::<i32>();
        let ids = ids.iter().map(|id| id.unwrap().parse::<usize>().unwrap());
        ids.collect::<Vec<_>>()
    });
    let numbers = numbers.collect::<Vec<_>>();
    // 51 rows would part the two of an instant; 50 do not.
    let caller = |n: &usize| (n % 2, u8::from(n.is_multiple_of(3)), *n);
    let mut expected = (0..120).collect::<Vec<_>>();
    expected[..50].sort_by_key(caller);
    expected[50..100].sort_by_key(caller);
    expected[100..].sort_by_key(caller);
    assert_eq!(numbers, expected);
    let groups = tables
        .parquet(&files[0].table_path)
        .metadata()
        .num_row_groups();
    assert_eq!(groups, 3);
}

#[test]
fn no_records_make_no_file() {
    let tables = TestTables::new();
    let mut held = HeldRecords::default();
    assert_eq!(write(&held, &tables), []);
    hold(&mut held, "k", &[]);
    assert_eq!(write(&held, &tables), []);
}

#[test]
fn a_record_larger_than_a_piece_of_text_is_held_like_any_other() {
    let tables = TestTables::new();
    let mut held = HeldRecords::default();
    let large = "x".repeat(3 << 20);
    for round in 0..2 {
        hold(&mut held, "k", &[Sent(Some(2), Some("a"), None)]);
        hold(&mut held, "l", &[Sent(Some(1), Some(&large), None)]);
        hold(&mut held, "m", &[Sent(Some(0), Some("b"), None)]);
        assert!(held.memory_bytes() > large.len());
        let files = write(&held, &tables);
        let rows = found(&tables, &files[0]);
        assert_eq!(rows.len(), 3, "{round}");
        assert_eq!(rows[0], "0 b 012345678901 m 0");
        assert_eq!(rows[1], format!("1 {large} 012345678901 l 0"));
        assert_eq!(rows[2], "2 a 012345678901 k 0");
        held.clear();
        assert_eq!(held.memory_bytes(), 0);
    }
}
