//! Rows and arrays as operands of `IN`.
//!
//! Values with parts are compared by Trino's rules, which `=` follows ([`planner`](crate::planner)) and
//! DataFusion's `IN` does not.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Query, Select, SelectItem, SetExpr, UnaryOperator,
};

use super::{
    build::{call, null, plain_args},
    selects::{fill, template},
};
use crate::ParseError;

/// The values of a row that is written as one.
fn row(expr: &Expr) -> Option<Vec<&Expr>> {
    match expr {
        Expr::Nested(inner) => row(inner),
        Expr::Function(function) if is_call(expr, "struct") => plain_args(function),
        _ => None,
    }
}

fn is_call(expr: &Expr, name: &str) -> bool {
    let Expr::Function(function) = expr else {
        return false;
    };
    let [part] = function.name.0.as_slice() else {
        return false;
    };
    part.as_ident().is_some_and(|ident| ident.value == name)
}

fn has_parts(expr: &Expr) -> bool {
    row(expr).is_some() || is_call(expr, "__array") || is_call(expr, "__map")
}

/// `(a, b) IN ((1, 2), (3, 4))` as `(a, b) = (1, 2) OR (a, b) = (3, 4)`.
pub(super) fn in_list(expr: &mut Expr) {
    let Expr::InList {
        expr: wanted,
        list,
        negated,
    } = expr
    else {
        return;
    };
    if !(has_parts(wanted) || list.iter().any(has_parts)) {
        return;
    }
    let binary = |left: Expr, op: BinaryOperator, right: Expr| Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    };
    let equal = std::mem::take(list)
        .into_iter()
        .map(|item| binary(wanted.as_ref().clone(), BinaryOperator::Eq, item))
        .reduce(|any, next| binary(any, BinaryOperator::Or, next));
    let Some(equal) = equal else { return };
    let equal = Expr::Nested(Box::new(equal));
    *expr = if *negated {
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(equal),
        }
    } else {
        equal
    };
}

/// `a IS DISTINCT FROM b` as a function, where it can be seen that the values have parts.
pub(super) fn distinct(expr: &mut Expr) {
    let (left, right, negated) = match expr {
        Expr::IsDistinctFrom(left, right) => (left, right, false),
        Expr::IsNotDistinctFrom(left, right) => (left, right, true),
        _ => return,
    };
    if !(has_parts(left) || has_parts(right)) {
        return;
    }
    let sides = [left, right].map(|side| std::mem::replace(side.as_mut(), null()));
    let distinct = call("__distinct", sides.into());
    *expr = if negated {
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(distinct),
        }
    } else {
        distinct
    };
}

/// `(a, b) IN (SELECT x, y …)`: the subquery must return one column, a row of both.
pub(super) fn in_subquery(wanted: &Expr, query: &mut Query) -> Result<(), ParseError> {
    match row(wanted).map(|row| row.len()) {
        Some(width) if width > 1 => one_column(query, width),
        _ => Ok(()),
    }
}

/// `(SELECT a, b …)` as a value is a row of both.
pub(super) fn scalar(query: &mut Query) -> Result<(), ParseError> {
    match query.body.as_ref() {
        SetExpr::Select(select) if select.projection.len() > 1 && is_listed(select) => {
            let width = select.projection.len();
            one_column(query, width)
        }
        _ => Ok(()),
    }
}

/// Are all columns written one by one?
fn is_listed(select: &Select) -> bool {
    select.projection.iter().all(|item| {
        matches!(
            item,
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
        )
    })
}

/// A query of several columns as one of rows.
fn one_column(query: &mut Query, width: usize) -> Result<(), ParseError> {
    let item = |items: Vec<Expr>| SelectItem::ExprWithAlias {
        expr: call("struct", items),
        alias: Ident::with_quote('"', "_col0"),
    };
    if let SetExpr::Select(select) = query.body.as_mut()
        && is_listed(select)
        && select.projection.len() == width
        && query.order_by.is_none()
    {
        let items = std::mem::take(&mut select.projection);
        let items = items.into_iter().map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr,
            _ => null(),
        });
        select.projection.push(item(items.collect()));
        return Ok(());
    }
    let names: Vec<_> = (0..width).map(|place| format!("__part{place}")).collect();
    let mut outer = template(&format!(
        "SELECT 1 FROM (SELECT 1) AS __parts({})",
        names.join(", ")
    ))?;
    if let SetExpr::Select(select) = outer.body.as_mut() {
        let items = names.iter().map(|name| Expr::Identifier(Ident::new(name)));
        select.projection = vec![item(items.collect())];
    }
    fill(&mut outer, query.clone());
    *query = outer;
    Ok(())
}
