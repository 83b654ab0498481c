//! `FOR TIMESTAMP AS OF` and `FOR VERSION AS OF`: what a time or a version is, and how a table's name says it.
//!
//! The name of a table as of a time is its own, `@`, and the time in microseconds: so it passes through the planner like any
//! other, may stand beside the same table of another time, and is found by the catalog.

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    common::{ScalarValue, tree_node::TreeNodeRecursion},
    error::{DataFusionError, Result as DataFusionResult},
    execution::context::SessionContext,
    logical_expr::LogicalPlan,
    sql::{
        parser::Statement as ParsedStatement,
        sqlparser::ast::{Expr, Ident, SelectItem, SetExpr, Statement},
    },
};
use kennel_athena::time_travel::{self, TimeTravel, TimeTravelKind};
use kennel_cache::View;

use crate::{AsOf, EngineError, SqlPlace, catalog::Shared, params};

/// Stands between a table's name and the state that is meant.
const MARK: char = '@';
/// The newest state, whatever the session's is.
const LATEST: &str = "latest";

/// Name and state of a table whose name says one.
pub(crate) fn split(name: &str) -> Option<(&str, View)> {
    let (base, state) = name.rsplit_once(MARK)?;
    if state == LATEST {
        return Some((base, View::Latest));
    }
    let at = DateTime::from_timestamp_micros(state.parse().ok()?)?;
    Some((base, View::At(at)))
}

/// A message without the states in names of tables, which nobody wrote.
pub(crate) fn without_marks(message: &str) -> String {
    let message = crate::catalog::without_marks(message);
    let mut plain = String::with_capacity(message.len());
    let mut pieces = message.split(MARK);
    plain.extend(pieces.next());
    for piece in pieces {
        let digits = piece.len() - piece.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        match (piece.strip_prefix(LATEST), digits) {
            (Some(rest), _) => plain.push_str(rest),
            // Microseconds of any time since 1973.
            (None, 14..) => plain.push_str(&piece[digits..]),
            (None, _) => {
                plain.push(MARK);
                plain.push_str(piece);
            }
        }
    }
    plain
}

/// Puts the names of states in the place of all clauses of a statement.
///
/// # Errors
/// [`EngineError::Sql`] at the table for what is no constant, no time, or no version; [`EngineError::Cache`] for an unknown
/// snapshot.
pub(crate) async fn resolve(
    statement: &mut Statement,
    context: &SessionContext,
    shared: &Shared,
    sql: &str,
) -> Result<(), EngineError> {
    let clauses =
        time_travel::clauses(statement).map_err(|error| EngineError::from((error, sql)))?;
    if clauses.is_empty() {
        return Ok(());
    }
    let mut suffixes = Vec::with_capacity(clauses.len());
    for clause in &clauses {
        let wrong = |message: String| EngineError::Sql {
            message,
            sql: sql.into(),
            place: (clause.line > 0).then_some(SqlPlace {
                line: clause.line,
                column: clause.column,
                length: clause.length,
            }),
            suggestion: None,
            expected: Vec::new().into(),
        };
        let value = constant(context, &clause.expr).await.map_err(|error| {
            let why = without_marks(&error.find_root().strip_backtrace());
            wrong(format!(
                "`{}` is asked for as of `{}`, which is no constant: {why}",
                clause.table, clause.expr
            ))
        })?;
        let at = state_of(clause, &value, shared)?.map_err(wrong)?;
        suffixes.push(match at {
            Some(at) => format!("{MARK}{}", at.timestamp_micros()),
            None => format!("{MARK}{LATEST}"),
        });
    }
    time_travel::resolve(statement, &suffixes);
    Ok(())
}

/// The instant that a clause means, `None` for the newest state; or what is wrong with its value.
fn state_of(
    clause: &TimeTravel,
    value: &ScalarValue,
    shared: &Shared,
) -> Result<Result<Option<DateTime<Utc>>, String>, EngineError> {
    let text = match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            text.clone()
        }
        value if value.data_type().is_integer() && !value.is_null() => Some(value.to_string()),
        _ => None,
    };
    let table = &clause.table;
    match clause.kind {
        TimeTravelKind::Timestamp => Ok(instant(value)
            .or_else(|| params::parse_instant(text.as_deref()?))
            .map(Some)
            .ok_or_else(|| {
                format!("`{table}` is asked for as of {value}, which is no time such as TIMESTAMP '2026-03-01 04:10:00 UTC'")
            })),
        TimeTravelKind::Version => {
            let id = match text {
                // Iceberg's versions are numbers, as the ids of snapshots are behind their `s`.
                Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                    format!("s{number}").parse::<AsOf>()
                }
                Some(text) => text.parse::<AsOf>(),
                None => {
                    return Ok(Err(format!(
                        "`{table}` is asked for as of version {value}, which is no snapshot such as 12 or 's12'"
                    )));
                }
            };
            // Times that count from now belong into FOR TIMESTAMP AS OF.
            let Ok(id @ (AsOf::Snapshot(_) | AsOf::Latest | AsOf::Previous)) = id else {
                return Ok(Err(format!(
                    "`{table}` is asked for as of version {value}, which is no snapshot such as 12 or 's12'"
                )));
            };
            let cache = shared.cache();
            id.resolve(cache.as_deref(), DateTime::UNIX_EPOCH, None)
                .map(Ok)
        }
    }
}

fn instant(value: &ScalarValue) -> Option<DateTime<Utc>> {
    let value = match value.data_type() {
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => value
            .cast_to(&DataType::Timestamp(TimeUnit::Microsecond, None))
            .ok()?,
        _ => return None,
    };
    match value {
        ScalarValue::TimestampMicrosecond(Some(at), _) => DateTime::from_timestamp_micros(at),
        _ => None,
    }
}

/// The value of an expression that reads no table.
async fn constant(context: &SessionContext, expr: &Expr) -> DataFusionResult<ScalarValue> {
    let mut statement = kennel_athena::parse("SELECT 1 AS value")
        .map_err(|error| DataFusionError::Plan(error.to_string()))?;
    if let Statement::Query(query) = &mut statement
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        select.projection = vec![SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::new("value"),
        }];
    }
    let parsed = ParsedStatement::Statement(Box::new(statement));
    let plan = context.state().statement_to_plan(parsed).await?;
    let mut reads = false;
    plan.apply_with_subqueries(|node| {
        reads |= matches!(node, LogicalPlan::TableScan(_));
        Ok(TreeNodeRecursion::Continue)
    })?;
    if reads {
        return Err(DataFusionError::Plan("it reads a table".into()));
    }
    let batches = context.execute_logical_plan(plan).await?.collect().await?;
    match batches.first().filter(|batch| batch.num_rows() > 0) {
        Some(batch) => ScalarValue::try_from_array(batch.column(0), 0),
        None => Ok(ScalarValue::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_its_state_and_messages_do_not() {
        let at = DateTime::from_timestamp_micros(1_772_435_659_000_001).unwrap();
        assert_eq!(
            split("principals_latest@1772435659000001"),
            Some(("principals_latest", View::At(at)))
        );
        assert_eq!(split("x@latest"), Some(("x", View::Latest)));
        assert_eq!(split("x"), None);
        assert_eq!(split("x@y"), None);
        assert_eq!(
            without_marks("table 'k9.x@1772435659000001' and a@latest, me@example.org"),
            "table 'k9.x' and a, me@example.org"
        );
    }
}
