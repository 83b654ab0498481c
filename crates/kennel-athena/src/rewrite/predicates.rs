//! Subscripts that a predicate guards: null instead of an error where there is no such element.
//!
//! Trino evaluates `a AND b` from left to right and stops; DataFusion does not promise that, and moves
//! predicates into subqueries: a guard such as `cardinality(a) > 0` would not protect `a[1]`. Only what
//! no predicate follows is strict: all but `WHERE` and `ON` of the outermost query.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, JoinConstraint, JoinOperator, Query, Select, Subscript, TableFactor,
    TableWithJoins, VisitMut, visit_expressions_mut,
};

use super::build;

/// Rewrites all subscripts of a query inside another one.
pub(super) fn soften(query: &mut Query) {
    soften_all(query);
}

/// Rewrites the subscripts in `WHERE` and `ON`.
pub(super) fn soften_predicates(select: &mut Select) {
    select.selection.iter_mut().for_each(soften_all);
    select.from.iter_mut().for_each(soften_joins);
}

fn soften_joins(item: &mut TableWithJoins) {
    for join in &mut item.joins {
        if let JoinOperator::Join(JoinConstraint::On(predicate))
        | JoinOperator::Inner(JoinConstraint::On(predicate))
        | JoinOperator::Left(JoinConstraint::On(predicate))
        | JoinOperator::LeftOuter(JoinConstraint::On(predicate))
        | JoinOperator::Right(JoinConstraint::On(predicate))
        | JoinOperator::RightOuter(JoinConstraint::On(predicate))
        | JoinOperator::FullOuter(JoinConstraint::On(predicate)) = &mut join.join_operator
        {
            soften_all(predicate);
        }
    }
    let relations = std::iter::once(&mut item.relation);
    let relations = relations.chain(item.joins.iter_mut().map(|join| &mut join.relation));
    for relation in relations {
        if let TableFactor::NestedJoin {
            table_with_joins, ..
        } = relation
        {
            soften_joins(table_with_joins);
        }
    }
}

fn soften_all(tree: &mut impl VisitMut) {
    let _ = visit_expressions_mut(tree, |expr| {
        soften_access(expr);
        ControlFlow::<()>::Continue(())
    });
}

/// `a.b[1].c` as `__subscript_or_null(a.b, 1).c`.
fn soften_access(expr: &mut Expr) {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else {
        return;
    };
    let is_subscript =
        |access: &AccessExpr| matches!(access, AccessExpr::Subscript(Subscript::Index { .. }));
    if !access_chain.iter().any(is_subscript) {
        return;
    }
    let mut base = std::mem::replace(root.as_mut(), build::null());
    let mut points = Vec::new();
    for access in std::mem::take(access_chain) {
        match access {
            AccessExpr::Subscript(Subscript::Index { index }) => {
                let array = path(base, std::mem::take(&mut points));
                base = build::call("__subscript_or_null", vec![array, index]);
            }
            other => points.push(other),
        }
    }
    *expr = path(base, points);
}

fn path(root: Expr, chain: Vec<AccessExpr>) -> Expr {
    if chain.is_empty() {
        return root;
    }
    let idents: Option<Vec<_>> = std::iter::once(&root)
        .chain(chain.iter().filter_map(|access| match access {
            AccessExpr::Dot(ident) => Some(ident),
            AccessExpr::Subscript(_) => None,
        }))
        .map(|part| match part {
            Expr::Identifier(ident) => Some(ident.clone()),
            _ => None,
        })
        .collect();
    match idents {
        Some(idents) if idents.len() == chain.len() + 1 => Expr::CompoundIdentifier(idents),
        _ => Expr::CompoundFieldAccess {
            root: Box::new(root),
            access_chain: chain,
        },
    }
}
