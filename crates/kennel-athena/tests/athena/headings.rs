//! Headings of results, and parameters: what the caller sees of a parsed query.

use datafusion::sql::sqlparser::ast::{Expr, Value, visit_expressions};

use crate::harness::Session;

async fn headings(sql: &str) -> Vec<String> {
    let session = Session::new().await;
    let (schema, batches) = session.query(sql).await.unwrap();
    for batch in &batches {
        assert_eq!(batch.schema(), schema);
    }
    let fields = schema.fields();
    fields.iter().map(|field| field.name().clone()).collect()
}

#[tokio::test]
async fn columns_are_called_as_athena_calls_them() {
    let sql = "SELECT id, id + 1, useridentity.arn, resources[1].ARN, tags[1], (id), upper(eventname) AS \"Big\"
               FROM events WHERE id = 1";
    assert_eq!(
        headings(sql).await,
        ["id", "_col1", "arn", "arn", "_col4", "id", "big"]
    );
}

#[tokio::test]
async fn repeated_names_come_back_after_planning() {
    let sql = "SELECT a.id, b.id, a.id, a.* FROM (SELECT id FROM events) a JOIN events b ON a.id = b.id LIMIT 1";
    assert_eq!(headings(sql).await, ["id", "id", "id", "id"]);
    assert_eq!(
        headings("SELECT id AS x, id AS x FROM events").await,
        ["x", "x"]
    );
}

#[tokio::test]
async fn an_explained_query_is_rewritten_too() {
    let columns = headings("EXPLAIN SELECT json_extract_scalar('{}', '$.a'), if(true, 1)").await;
    assert_eq!(columns, ["plan_type", "plan"]);
}

#[test]
fn parameters_stay_in_the_tree() {
    let sql = "SELECT json_extract_scalar(x, $path) FROM t WHERE a = ? AND b = ? AND c > CAST($c AS date)";
    let statement = kennel_athena::parse(sql).unwrap();
    let mut found = Vec::new();
    let _ = visit_expressions(&statement, |expr| {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
        {
            found.push(name.clone());
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
    assert_eq!(found, ["$path", "$1", "$2", "$c"]);
}
