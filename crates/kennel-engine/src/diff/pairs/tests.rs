//! The difference of two tables against one that is counted by hand, under duplicate and null keys.

use std::collections::BTreeMap;

use datafusion::{
    arrow::{
        array::{Int64Array, StringArray},
        util::display::ArrayFormatter,
    },
    logical_expr::LogicalPlan,
    prelude::SessionContext,
};
use futures::TryStreamExt;
use proptest::prelude::*;

use super::*;
use crate::diff::both::difference_of;

/// Two columns of key, two of values.
type Row = (
    Option<i64>,
    Option<&'static str>,
    Option<i64>,
    Option<&'static str>,
);

const NAMES: [&str; 4] = ["k", "name", "n", "text"];

fn table(context: &SessionContext, rows: &[Row]) -> LogicalPlan {
    let fields = [
        DataType::Int64,
        DataType::Utf8,
        DataType::Int64,
        DataType::Utf8,
    ];
    let fields = NAMES.into_iter().zip(fields);
    let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.3).collect::<StringArray>()),
    ];
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(schema, columns).unwrap();
    context.read_batch(batch).unwrap().into_unoptimized_plan()
}

async fn changes_of(from: &[Row], to: &[Row], only: &[Change]) -> Vec<Vec<String>> {
    let context = SessionContext::new();
    let columns = Columns {
        key: vec!["k".into(), "name".into()],
        compared: vec!["n".into(), "text".into()],
        nested: vec![false, false],
    };
    let (from, to) = (table(&context, from), table(&context, to));
    let stream = difference_of(&context, &from, &to, &columns).await.unwrap();
    let shape = Shape {
        only: only.to_vec(),
        compact: false,
    };
    let stream = pair(stream, &columns, shape).unwrap();
    let batches = stream.try_collect::<Vec<_>>().await.unwrap();
    let options = canonical::options().with_null("∅");
    let mut rows = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| {
                let formatter = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
                formatter.value(row).to_string()
            });
            rows.push(cells.collect());
        }
    }
    rows
}

/// Counted by hand: of each key what both sides have is crossed out one by one, the rest is paired in order.
fn by_hand(from: &[Row], to: &[Row]) -> Vec<Vec<String>> {
    type Values = (Option<i64>, Option<&'static str>);
    let mut keys = BTreeMap::<(Option<i64>, Option<&str>), (Vec<Values>, Vec<Values>)>::new();
    for (k, name, n, text) in from {
        keys.entry((*k, *name)).or_default().0.push((*n, *text));
    }
    for (k, name, n, text) in to {
        keys.entry((*k, *name)).or_default().1.push((*n, *text));
    }
    let shown = |n: Option<i64>| n.map_or_else(|| "∅".to_owned(), |n| n.to_string());
    let said = |text: Option<&str>| text.map_or_else(|| "∅".to_owned(), str::to_owned);
    let mut rows = Vec::new();
    for ((k, name), (mut gone, new)) in keys {
        let mut left = Vec::new();
        for value in new {
            match gone.iter().position(|old| *old == value) {
                Some(same) => drop(gone.remove(same)),
                None => left.push(value),
            }
        }
        gone.sort();
        left.sort();
        let (mut changed, mut removed, mut added) = (vec![], vec![], vec![]);
        for index in 0..gone.len().max(left.len()) {
            let (old, new) = (gone.get(index), left.get(index));
            let change = match (old, new) {
                (Some(_), Some(_)) => "changed",
                (Some(_), None) => "removed",
                _ => "added",
            };
            let mut told = Vec::new();
            if let (Some(old), Some(new)) = (old, new) {
                let number =
                    |n: Option<i64>| n.map_or_else(|| "null".to_owned(), |n| n.to_string());
                let quoted =
                    |t: Option<&str>| t.map_or_else(|| "null".to_owned(), |t| format!("\"{t}\""));
                if old.0 != new.0 {
                    told.push(format!("n: {} → {}", number(old.0), number(new.0)));
                }
                if old.1 != new.1 {
                    told.push(format!("text: {} → {}", quoted(old.1), quoted(new.1)));
                }
            }
            let told = if change == "changed" {
                told.join("; ")
            } else {
                "∅".into()
            };
            let row = vec![
                change.to_owned(),
                shown(k),
                said(name),
                told,
                shown(old.and_then(|old| old.0)),
                shown(new.and_then(|new| new.0)),
                said(old.and_then(|old| old.1)),
                said(new.and_then(|new| new.1)),
            ];
            match change {
                "changed" => changed.push(row),
                "removed" => removed.push(row),
                _ => added.push(row),
            }
        }
        rows.extend(changed.into_iter().chain(removed).chain(added));
    }
    rows
}

fn text() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![
        Just(None),
        Just(Some("")),
        Just(Some("a")),
        Just(Some("b\u{301}"))
    ]
}

fn number() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![Just(None), (0_i64..3).prop_map(Some)]
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec((number(), text(), number(), text()), 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_difference_is_that_counted_by_hand(from in rows(), to in rows()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(changes_of(&from, &to, &[]));
        prop_assert_eq!(found, by_hand(&from, &to));
    }
}

#[tokio::test]
async fn null_and_empty_text_differ_in_keys_and_values() {
    let from = [
        (Some(1), None, Some(1), Some("")),
        (Some(2), Some(""), None, None),
    ];
    let to = [
        (Some(1), Some(""), Some(1), Some("")),
        (Some(2), Some(""), None, Some("")),
    ];
    let rows = changes_of(&from, &to, &[]).await;
    let told = rows.iter().map(|row| (row[0].as_str(), row[3].as_str()));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("removed", "∅"),
            ("added", "∅"),
            ("changed", "text: null → \"\"")
        ]
    );
    let only = changes_of(&from, &to, &[Change::Changed]).await;
    assert_eq!(only.len(), 1);
}

#[tokio::test]
async fn a_key_that_spans_batches_is_one_key() {
    let row = |n| (None, None, Some(n), None);
    let from = (0..20_000).map(row).collect::<Vec<_>>();
    let to = (10_000..40_000).map(row).collect::<Vec<_>>();
    let rows = changes_of(&from, &to, &[]).await;
    let count = |change| rows.iter().filter(|row| row[0] == change).count();
    assert_eq!(
        (count("changed"), count("added"), count("removed")),
        (10_000, 10_000, 0)
    );
}
