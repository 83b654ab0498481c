//! `SELECT *, upper(x) AS x`: an alias beside a star that shows a column of its name.
//!
//! Trino gives both. DataFusion refuses it, and only with the relations' columns at hand can one know of it:
//! the alias is marked where planning met the clash. A query inside another one may not do so here: its
//! columns could be asked for by that name.

use std::ops::ControlFlow;

use datafusion::{
    common::{SchemaError, plan_err},
    error::{DataFusionError, Result},
    execution::SessionState,
    logical_expr::LogicalPlan,
    sql::{
        parser::Statement as ParsedStatement,
        sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Statement, visit_expressions},
    },
};

use crate::rewrite::mark_alias;

/// Plans what [`parse`](crate::parse) gave.
///
/// # Errors
/// DataFusion's, and one for a name that may be of two columns.
pub async fn plan(state: &SessionState, statement: &Statement) -> Result<LogicalPlan> {
    let mut statement = statement.clone();
    loop {
        let parsed = ParsedStatement::Statement(Box::new(statement.clone()));
        let error = match state.statement_to_plan(parsed).await {
            Ok(plan) => return Ok(plan),
            Err(error) => error,
        };
        let Some(name) = clash(&error) else {
            return Err(error);
        };
        if !mark(&mut statement, &name) {
            return plan_err!("Column '{name}' is ambiguous: `*` shows one of that name, too");
        }
    }
}

/// The name that a star and an alias beside it have.
fn clash(error: &DataFusionError) -> Option<String> {
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::AmbiguousReference { field } if field.relation.is_some() => {
                Some(field.name.clone())
            }
            _ => None,
        },
        _ => None,
    }
}

/// Marks an alias of the outermost select list; false where there is none, or where it is to sort by.
fn mark(statement: &mut Statement, name: &str) -> bool {
    let Statement::Query(query) = statement else {
        return false;
    };
    if sorts_by(query, name) {
        return false;
    }
    let SetExpr::Select(select) = query.body.as_mut() else {
        return false;
    };
    for (index, item) in select.projection.iter_mut().enumerate() {
        if let SelectItem::ExprWithAlias { alias, .. } = item
            && alias.value.eq_ignore_ascii_case(name)
        {
            mark_alias(alias, index);
            return true;
        }
    }
    false
}

fn sorts_by(query: &Query, name: &str) -> bool {
    let found = visit_expressions(&query.order_by, |expr| match expr {
        Expr::Identifier(ident) if ident.value.eq_ignore_ascii_case(name) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}
