//! `SELECT *, upper(x) AS x`: an alias beside a star that shows a column of its name.
//!
//! Trino gives both. DataFusion refuses it, and only with the relations' columns at hand can one know of it:
//! the alias is marked where planning met the clash. In a query inside another one the star is written out
//! ([`stars`]), and both are marked: who asks for that name is told that it is ambiguous.

use std::ops::ControlFlow;

use datafusion::{
    common::{SchemaError, plan_datafusion_err, plan_err, tree_node::TreeNode},
    error::{DataFusionError, Result},
    execution::SessionState,
    logical_expr::{Expr, LogicalPlan},
    sql::{
        parser::Statement as ParsedStatement,
        sqlparser::ast::{
            Expr as SqlExpr, Query, SelectItem, SetExpr, Statement, visit_expressions,
        },
    },
};

use crate::{
    rewrite::{DUPLICATE_MARK, mark_alias},
    stars::{self, Which},
};

/// Plans what [`parse`](crate::parse) gave.
///
/// # Errors
/// DataFusion's, and one for a name that may be of two columns.
pub async fn plan(state: &SessionState, statement: &Statement) -> Result<LogicalPlan> {
    let mut statement = statement.clone();
    Box::pin(stars::write_out(state, &mut statement, Which::Repeating)).await?;
    let mut is_written_out = false;
    loop {
        let parsed = ParsedStatement::Statement(Box::new(statement.clone()));
        let error = match state.statement_to_plan(parsed).await {
            Ok(plan) => {
                let is_plain = is_written_out || !has_numbered_names(&plan)?;
                is_written_out = true;
                if is_plain || !write_out(state, &mut statement).await {
                    return Ok(plan);
                }
                continue;
            }
            Err(error) => error,
        };
        let name = clash(&error);
        if name.is_none() && !has_equal_names(&error) {
            return Err(ambiguous(error));
        }
        if name.as_ref().is_some_and(|name| mark(&mut statement, name)) {
            continue;
        }
        if !std::mem::replace(&mut is_written_out, true) && write_out(state, &mut statement).await {
            continue;
        }
        return match name {
            Some(name) => plan_err!("Column '{name}' is ambiguous"),
            None => Err(error),
        };
    }
}

/// Writes out stars inside of queries. Where that cannot be, what is wrong with the statement says it better.
async fn write_out(state: &SessionState, statement: &mut Statement) -> bool {
    let written = Box::pin(stars::write_out(state, statement, Which::Inner)).await;
    written.unwrap_or(false)
}

/// Did DataFusion number columns of a subquery that have one name, `x` and `x:1`?
fn has_numbered_names(plan: &LogicalPlan) -> Result<bool> {
    let is_numbered = |expr: &Expr| match expr {
        Expr::Alias(alias) => match (alias.name.rsplit_once(':'), alias.expr.as_ref()) {
            (Some((name, number)), Expr::Column(column)) => {
                column.name == name && number.parse::<usize>().is_ok()
            }
            _ => false,
        },
        _ => false,
    };
    plan.exists(|node| {
        Ok(match node {
            LogicalPlan::SubqueryAlias(alias) => match alias.input.as_ref() {
                LogicalPlan::Projection(items) => items.expr.iter().any(is_numbered),
                _ => false,
            },
            _ => false,
        })
    })
}

/// Are there two columns of one name, which Trino minds only where somebody asks for it?
fn has_equal_names(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => matches!(
            schema.as_ref(),
            SchemaError::DuplicateQualifiedField { .. }
                | SchemaError::DuplicateUnqualifiedField { .. }
        ),
        DataFusionError::Plan(message) => message.contains("require unique expression names"),
        _ => false,
    }
}

/// A name that is not found, because all columns of that name are marked, in Trino's words.
fn ambiguous(error: DataFusionError) -> DataFusionError {
    if let DataFusionError::SchemaError(schema, _) = error.find_root()
        && let SchemaError::FieldNotFound {
            field,
            valid_fields,
        } = schema.as_ref()
        && valid_fields.iter().any(|known| {
            let base = known.name.split_once(DUPLICATE_MARK);
            base.is_some_and(|(base, _)| base == field.name)
        })
    {
        return plan_datafusion_err!("Column '{}' is ambiguous", field.name);
    }
    error
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
        SqlExpr::Identifier(ident) if ident.value.eq_ignore_ascii_case(name) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}
