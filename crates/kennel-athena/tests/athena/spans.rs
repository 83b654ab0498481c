//! Places of errors: they point into the text that was given, not into what it was rewritten to.

use datafusion::{
    error::DataFusionError, execution::SessionStateBuilder, execution::context::SessionContext,
    sql::parser::Statement,
};

fn place(sql: &str) -> Option<(u64, u64)> {
    kennel_athena::parse(sql).unwrap_err().place()
}

#[test]
fn syntax_errors_point_at_the_token() {
    assert_eq!(place("SELECT 1\nFROM events WHERE )"), Some((2, 19)));
    assert_eq!(
        place("SELECT\n  DISTINCT ON (id) id FROM events"),
        Some((2, 16))
    );
    assert_eq!(place("SELECT 1; SELECT 2"), Some((1, 11)));
    assert_eq!(place("SELECT 'abc"), Some((1, 8)));
}

async fn planning_error(sql: &str) -> DataFusionError {
    let builder = SessionStateBuilder::new().with_default_features();
    let context = SessionContext::new_with_state(kennel_athena::session(builder).build());
    let statement = kennel_athena::parse(sql).unwrap();
    let statement = Statement::Statement(Box::new(statement));
    context
        .state()
        .statement_to_plan(statement)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn unknown_columns_point_at_the_name_as_written() {
    let sql = "SELECT\n  CAST(/* why */ t.\"NAM\" AS varchar)\nFROM (VALUES 'a') AS t(name)";
    let error = planning_error(sql).await;
    let span = error.diagnostic().and_then(|found| found.span).unwrap();
    assert_eq!((span.start.line, span.start.column), (2, 18));
    assert_eq!((span.end.line, span.end.column), (2, 25));
}
