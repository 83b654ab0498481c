//! The workbook as its parts: what other programs read is tried in `.ci/run`.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn saved(results: &[(&About, &RecordBatch)]) -> (Vec<u8>, Workbook) {
    let mut workbook = Workbook::new();
    for (about, batch) in results {
        workbook.begin(about, &batch.schema()).unwrap();
        workbook.batch(batch).unwrap();
        workbook.end().unwrap();
    }
    let mut out = Vec::new();
    workbook.close(&mut out).unwrap();
    (out, workbook)
}

#[test]
fn the_same_results_are_the_same_bytes() {
    let rows = batch(vec![(
        "n",
        Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef,
    )]);
    let about = About::named("k9/iam-admins");
    let (first, _) = saved(&[(&about, &rows), (&about, &rows)]);
    let (second, _) = saved(&[(&about, &rows), (&about, &rows)]);
    assert!(first.starts_with(b"PK"));
    assert_eq!(first, second);
}

#[test]
fn sheets_have_names_that_excel_takes_and_that_differ() {
    let mut workbook = Workbook::new();
    let long = "k9/".to_owned() + &"x".repeat(40);
    let names = ["k9/a", "K9/A", "History", "", "'quoted'", &long, &long]
        .map(|name| workbook.sheet_name(name));
    assert_eq!(
        names[..5],
        ["k9-a", "K9-A-2", "history-", "result", "-quoted-"]
    );
    assert!(names.iter().all(|name| name.len() <= LONGEST_NAME));
    assert_ne!(names[5], names[6]);
    for name in &names {
        rust_xlsxwriter::utility::check_sheet_name(name).unwrap();
    }
}

#[test]
fn a_number_that_excel_would_round_stays_text() {
    assert_eq!(
        exact_number(&DataType::Int64, "-123456789012345"),
        Some(-123_456_789_012_345.0)
    );
    assert_eq!(exact_number(&DataType::Int64, "9223372036854775807"), None);
    assert_eq!(
        exact_number(&DataType::Decimal128(20, 2), "12.50"),
        Some(12.5)
    );
    assert_eq!(
        exact_number(&DataType::Decimal128(20, 2), "123456789012345678.50"),
        None
    );
    assert_eq!(
        exact_number(&DataType::Float64, "0.30000000000000004"),
        Some(0.300_000_000_000_000_04)
    );
    assert_eq!(exact_number(&DataType::Float64, "NaN"), None);
    assert_eq!(exact_number(&DataType::Utf8, "7"), None);
}

#[test]
fn instants_are_excels_where_excel_can_count_them() {
    let workbook = Workbook::new();
    let micros =
        |micros: i64| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![micros])) };
    let of = |array: ArrayRef| serial(&array, 0, &workbook.styles).map(|(serial, _)| serial);
    assert_eq!(of(micros(0)), Some(25_569.0));
    // 1900-03-01 and the microsecond before.
    assert_eq!(of(micros(-2_203_891_200_000_000)), Some(61.0));
    assert_eq!(of(micros(-2_203_891_200_000_001)), None);
    assert_eq!(of(micros(i64::MAX)), None);
    assert_eq!(of(Arc::new(Int64Array::from(vec![1]))), None);
}

#[test]
fn a_text_too_long_for_a_cell_is_cut_and_says_so() {
    assert_eq!(cut(&"x".repeat(LONGEST_TEXT)), None);
    assert_eq!(cut(&"é".repeat(LONGEST_TEXT)), None);
    let long = cut(&"𝒳".repeat(20_000)).unwrap();
    assert!(long.encode_utf16().count() <= LONGEST_TEXT);
    assert!(
        long.ends_with(" … [cut by kennel; whole length: 20,000 characters]"),
        "{}",
        &long[long.len() - 80..]
    );
    let rows = batch(vec![(
        "t",
        Arc::new(StringArray::from(vec!["x".repeat(40_000)])) as ArrayRef,
    )]);
    let (_, workbook) = saved(&[(&About::named("a"), &rows)]);
    assert_eq!(workbook.notes().len(), 1);
}

#[test]
fn more_rows_than_a_sheet_holds_are_refused_with_what_to_do() {
    let rows = batch(vec![(
        "n",
        Arc::new(Int64Array::from_iter_values(0..600_000)) as ArrayRef,
    )]);
    let mut workbook = Workbook::new();
    workbook.begin(&About::named("a"), &rows.schema()).unwrap();
    workbook.sheets[0].row = 600_000;
    let error = workbook.batch(&rows).unwrap_err();
    let limit = error
        .get_ref()
        .and_then(|e| e.downcast_ref::<FormatLimit>())
        .unwrap();
    assert_eq!(
        limit.message,
        "an Excel sheet holds 1,048,575 rows below its header, the result has more"
    );
}

#[test]
fn cells_of_every_kind_are_written() {
    let rows = batch(vec![
        (
            "yes",
            Arc::new(BooleanArray::from(vec![Some(true), None])) as ArrayRef,
        ),
        (
            "n",
            Arc::new(Float64Array::from(vec![f64::NAN, 0.5])) as ArrayRef,
        ),
        (
            "d",
            Arc::new(
                Decimal128Array::from(vec![1, 2])
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ) as ArrayRef,
        ),
        (
            "text",
            Arc::new(StringArray::from(vec![
                "=cmd|' /C calc'!A0",
                "\u{1}\u{fffe}_x000D_",
            ])) as ArrayRef,
        ),
    ]);
    let (bytes, workbook) = saved(&[(&About::named("a"), &rows)]);
    assert!(bytes.len() > 1000);
    assert!(workbook.notes().is_empty());
}

#[test]
fn a_reports_workbook_has_a_summary_first_and_the_same_bytes_again() {
    use crate::output::report::{Changed, Entry, Sample};
    let rows = batch(vec![(
        "n",
        Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef,
    )]);
    let saved = || {
        let mut workbook = Workbook::for_report(Some(1)).unwrap();
        let about = About::named("summary");
        workbook
            .begin_in_report(&about, &rows.schema(), true)
            .unwrap();
        workbook.marked(&rows, &["new", ""]).unwrap();
        workbook.end().unwrap();
        let report = Report {
            at: "2026-03-02T04:10:00Z".parse().unwrap(),
            since: Some("s1".into()),
            entries: vec![Entry {
                about,
                row_count: 2,
                changes: Some(Changed {
                    new_count: 1,
                    key: vec!["n".into()],
                    samples: vec![Sample {
                        change: "new",
                        key: vec!["=1+1".into()],
                    }],
                    ..Changed::default()
                }),
                ..Entry::default()
            }],
            ..Report::default()
        };
        let mut out = Vec::new();
        workbook.close_report(&report, &mut out).unwrap();
        assert_eq!(workbook.sheets[0].left_out, 1);
        let names = workbook.book.worksheets().iter();
        let names = names.map(|sheet| sheet.name()).collect::<Vec<_>>();
        (out, names)
    };
    let (first, names) = saved();
    // A question of the same name does not take the summary's.
    assert_eq!(names, ["summary", "summary-2", "changes"]);
    assert!(first == saved().0);
}
