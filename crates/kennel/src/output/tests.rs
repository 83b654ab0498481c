//! The formats over one small result that has everything that bites.

use std::sync::Arc;

use datafusion::arrow::{
    array::{ArrayRef, Int64Array, StringArray},
    datatypes::{DataType, Field, Schema},
};

use super::*;

fn sample() -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        (
            "name",
            Arc::new(StringArray::from(vec![Some("ci, \"x\""), Some(""), None])),
        ),
        (
            "count",
            Arc::new(Int64Array::from(vec![Some(7), None, Some(i64::MAX)])),
        ),
        (
            "note",
            Arc::new(StringArray::from(vec![
                Some("a\nb|c"),
                Some("\u{1b}[31m"),
                Some("é"),
            ])),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn written(format: Format, look: Look, batches: &[RecordBatch]) -> String {
    let mut out = Vec::new();
    let mut writer = writer(format, &batches[0].schema(), look);
    writer.begin(None, &mut out).unwrap();
    for batch in batches {
        writer.batch(batch, &mut out).unwrap();
    }
    writer.finish(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn numbers(count: i64) -> RecordBatch {
    let array: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
    RecordBatch::try_from_iter([("n", array)]).unwrap()
}

#[test]
fn csv_follows_rfc_4180_and_tells_null_from_empty() {
    assert_eq!(
        written(Format::Csv, Look::default(), &[sample()]),
        "name,count,note\r\n\"ci, \"\"x\"\"\",7,\"a\nb|c\"\r\n\"\",,\u{1b}[31m\r\n,9223372036854775807,é\r\n"
    );
}

#[test]
fn json_is_an_array_of_objects_also_without_rows() {
    let text = written(Format::Json, Look::default(), &[sample(), sample()]);
    let rows = serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap();
    assert_eq!(rows.len(), 6);
    assert_eq!(rows[2]["count"], i64::MAX);
    assert!(rows[2]["name"].is_null());
    assert_eq!(
        written(Format::Json, Look::default(), &[sample().slice(0, 0)]),
        "[]\n"
    );
}

#[test]
fn json_lines_are_one_object_each() {
    let text = written(Format::Jsonl, Look::default(), &[sample()]);
    assert_eq!(text.lines().count(), 3);
    assert_eq!(
        text.lines().next(),
        Some(r#"{"name":"ci, \"x\"","count":7,"note":"a\nb|c"}"#)
    );
}

#[test]
fn columns_of_equal_names_are_all_kept_in_objects() {
    let field = |name: &str| Field::new(name, DataType::Int64, true);
    let schema = Arc::new(Schema::new(vec![
        field("a"),
        field("a"),
        field("a_2"),
        field("a"),
    ]));
    assert_eq!(distinct_names(&schema), ["a", "a_3", "a_2", "a_4"]);
}

#[test]
fn markdown_escapes_what_would_be_markup() {
    assert_eq!(
        written(Format::Markdown, Look::default(), &[sample()]),
        "| name | count | note |\n| --- | ---: | --- |\n| ci, \"x\" | 7 | a\\\\nb\\|c |\n|  |  | \\\\u{1b}\\[31m |\n|  | 9223372036854775807 | é |\n\n3 rows\n"
    );
}

#[test]
fn a_piped_table_is_whole_and_safe() {
    assert_eq!(
        written(Format::Table, Look::default(), &[sample()]),
        " name    │               count │ note
─────────┼─────────────────────┼────────────
 ci, \"x\" │                   7 │ a\\nb|c
         │                     │ \\u{1b}[31m
         │ 9223372036854775807 │ é
(3 rows)
"
    );
}

#[test]
fn a_long_piped_table_streams_and_keeps_every_row() {
    let text = written(
        Format::Table,
        Look::default(),
        &[numbers(30_000), numbers(5)],
    );
    assert_eq!(text.lines().count(), 2 + 30_005 + 1);
    assert!(text.ends_with("(30,005 rows)\n"));
}

#[test]
fn on_a_terminal_a_table_fits_and_says_what_was_cut() {
    let look = Look {
        terminal_width: Some(20),
        max_rows: 2,
        advice: true,
        styled: false,
    };
    let text = written(Format::Table, look, &[sample()]);
    assert_eq!(
        text,
        " name    │ count
─────────┼───────
 ci, \"x\" │     7
         │
(3 rows; 2 shown; 1 of 3 columns not shown: note)
pipe it, or use -o FILE or -f json, to see all
"
    );
    let look = Look {
        terminal_width: Some(43),
        max_rows: 3,
        advice: true,
        styled: false,
    };
    let text = written(Format::Table, look, &[sample()]);
    assert!(
        text.lines()
            .take(5)
            .all(|line| crate::text::width(line) <= 43),
        "{text}"
    );
    assert!(text.contains("…") && text.contains("note"), "{text}");
}

#[test]
fn on_a_terminal_what_tells_least_is_left_out_first() {
    let texts = |values: [&str; 2]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let batch = RecordBatch::try_from_iter([
        ("customer_id", texts(["C123456", "C123456"])),
        ("principal_name", texts(["ci", "training"])),
        (
            "principal_arn",
            texts([
                "arn:aws:iam::111122223333:user/ci",
                "arn:aws:iam::111122223333:user/training",
            ]),
        ),
        ("days", texts(["91", "400"])),
    ]);
    let look = Look {
        terminal_width: Some(30),
        max_rows: 40,
        advice: false,
        styled: false,
    };
    assert_eq!(
        written(Format::Table, look, &[batch.unwrap()]),
        " principal_name │ days
────────────────┼──────
 ci             │ 91
 training       │ 400
(2 rows; 2 of 4 columns not shown: customer_id (C123456 throughout), principal_arn)
"
    );
}

#[test]
fn a_result_without_rows_still_has_its_header() {
    assert_eq!(
        written(Format::Table, Look::default(), &[numbers(0)]),
        " n\n───\n(0 rows)\n"
    );
    assert_eq!(
        written(Format::Csv, Look::default(), &[numbers(0)]),
        "n\r\n"
    );
}
