//! Functions of lambdas against the same computed here.

use datafusion::arrow::array::{Array, AsArray};
use proptest::prelude::*;

use crate::harness::Session;

type Numbers = Vec<Option<i64>>;

fn literal(numbers: &Numbers) -> String {
    let shown = numbers.iter().map(|number| match number {
        Some(number) => format!("BIGINT '{number}'"),
        None => "NULL".to_owned(),
    });
    let shown: Vec<_> = shown.collect();
    format!("CAST(ARRAY[{}] AS array(bigint))", shown.join(", "))
}

fn numbers(array: &dyn Array, row: usize) -> Numbers {
    let list = array.as_list::<i32>().value(row);
    let list = list.as_primitive::<datafusion::arrow::datatypes::Int64Type>();
    list.iter().collect()
}

/// Several arrays, one row each, with a number beside that lambdas capture.
fn rows() -> impl Strategy<Value = Vec<(Numbers, i64)>> {
    let number = prop::option::weighted(0.8, -9_i64..10);
    prop::collection::vec((prop::collection::vec(number, 0..40), -9_i64..10), 1..5)
}

async fn run(rows: &[(Numbers, i64)], expression: &str) -> Vec<Numbers> {
    let shown = rows
        .iter()
        .enumerate()
        .map(|(row, (numbers, k))| format!("({row}, {}, BIGINT '{k}')", literal(numbers)));
    let shown: Vec<_> = shown.collect();
    let sql = format!(
        "SELECT {expression} FROM (VALUES {}) t(row, a, k) ORDER BY row",
        shown.join(", ")
    );
    let (_, batches) = Session::new().await.query(&sql).await.unwrap();
    batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(|row| numbers(batch.column(0), row)))
        .collect()
}

fn check(rows: &[(Numbers, i64)], expression: &str, expected: impl Fn(&Numbers, i64) -> Numbers) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let found = runtime.block_on(run(rows, expression));
    let expected: Vec<_> = rows.iter().map(|(a, k)| expected(a, *k)).collect();
    assert_eq!(found, expected, "{expression}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn filter_and_transform_go_element_by_element(rows in rows()) {
        check(&rows, "transform(filter(a, x -> x > k), x -> x * 2 + k)", |a, k| {
            a.iter().flatten().filter(|x| **x > k).map(|x| Some(x * 2 + k)).collect()
        });
    }

    #[test]
    fn reduce_goes_in_order(rows in rows()) {
        let expression = "ARRAY[reduce(a, k, (s, x) -> s * 2 % 1000 + coalesce(x, 1), s -> s + k)]";
        check(&rows, expression, |a, k| {
            let state = a.iter().fold(k, |s, x| s * 2 % 1000 + x.unwrap_or(1));
            vec![Some(state + k)]
        });
    }

    #[test]
    fn a_comparator_sorts_as_the_order_that_it_gives(rows in rows()) {
        let expression = "array_sort(a, (x, y) -> CASE WHEN x IS NULL AND y IS NULL THEN 0 \
            WHEN x IS NULL THEN -1 WHEN y IS NULL THEN 1 \
            WHEN abs(x - k) < abs(y - k) THEN -1 WHEN abs(x - k) > abs(y - k) THEN 1 ELSE 0 END)";
        check(&rows, expression, |a, k| {
            let mut sorted = a.clone();
            sorted.sort_by_key(|x| x.map(|x| (x - k).abs()));
            sorted
        });
    }

    #[test]
    fn matching_is_what_counting_says(rows in rows()) {
        let expression = "ARRAY[if(any_match(a, x -> x > k), 1, 0), if(all_match(a, x -> x > k), 1, 0), \
            if(none_match(a, x -> x > k), 1, 0)]";
        let expression = format!("CAST({expression} AS array(bigint))");
        check(&rows, &expression, |a, k| {
            let some = a.iter().flatten().any(|x| *x > k);
            let all = a.iter().all(|x| x.is_some_and(|x| x > k));
            let none = a.iter().all(|x| x.is_some_and(|x| x <= k));
            [some, all, none].map(|is| Some(i64::from(is))).to_vec()
        });
    }

    #[test]
    fn sets_of_arrays_are_those_of_their_values(rows in rows()) {
        let expression = "array_sort(array_except(array_union(a, ARRAY[k]), array_intersect(a, ARRAY[k, NULL])))";
        check(&rows, expression, |a, k| {
            let mut all: Vec<_> = a.iter().copied().chain([Some(k)]).collect();
            all.retain(|x| !(a.contains(x) && [Some(k), None].contains(x)));
            all.sort_by_key(|x| (x.is_none(), *x));
            all.dedup();
            all
        });
    }
}
