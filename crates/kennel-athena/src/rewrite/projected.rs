//! `IN`, `EXISTS` and quantified comparisons with subqueries in a select list, in `ORDER BY`, and in `ON` of
//! outer joins.
//!
//! DataFusion makes joins of such predicates where they filter, and cannot execute them elsewhere. Here
//! the subquery's values are gathered into an array, which the predicate then asks: `x IN (SELECT y …)`
//! becomes `__within((SELECT array_agg(y) …), x)`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, OrderBy, OrderByKind,
    Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins, UnaryOperator, VisitMut,
    VisitorMut,
};

use super::{
    build::{call, lambda, number},
    selects::template,
    unnested::{self, has_aggregate},
};

/// Rewrites the select list, but not what stands inside subqueries.
pub(super) fn rewrite(select: &mut Select) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let _ = VisitMut::visit(expr, &mut Predicates { depth: 0 });
        }
    }
}

/// Rewrites the keys of `GROUP BY`, so that they stay the same as the items.
pub(super) fn rewrite_groups(select: &mut Select) {
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        let _ = VisitMut::visit(keys, &mut Predicates { depth: 0 });
    }
}

/// Rewrites the keys of `ORDER BY`.
pub(super) fn rewrite_keys(order_by: Option<&mut OrderBy>) {
    if let Some(OrderBy {
        kind: OrderByKind::Expressions(keys),
        ..
    }) = order_by
    {
        for key in keys {
            let _ = VisitMut::visit(&mut key.expr, &mut Predicates { depth: 0 });
        }
    }
}

/// Rewrites the conditions of outer joins.
pub(super) fn rewrite_outer_joins(from: &mut [TableWithJoins]) {
    for join in from.iter_mut().flat_map(|item| &mut item.joins) {
        if let JoinOperator::Left(JoinConstraint::On(condition))
        | JoinOperator::LeftOuter(JoinConstraint::On(condition))
        | JoinOperator::Right(JoinConstraint::On(condition))
        | JoinOperator::RightOuter(JoinConstraint::On(condition))
        | JoinOperator::FullOuter(JoinConstraint::On(condition)) = &mut join.join_operator
        {
            let _ = VisitMut::visit(condition, &mut Predicates { depth: 0 });
        }
    }
}

struct Predicates {
    /// Number of subqueries around what is visited.
    depth: usize,
}

impl VisitorMut for Predicates {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Some(asked) = ask(expr)
        {
            *expr = asked;
        }
        ControlFlow::Continue(())
    }
}

/// `x = ANY (q)` as `x IN (q)`, `x <> ALL (q)` as `x NOT IN (q)`; other comparisons are asked as in a select list, since
/// DataFusion compares with some subqueries only.
pub(super) fn quantified(expr: &mut Expr) {
    let (left, op, right, negated) = match &*expr {
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => (left, compare_op, right, false),
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => (left, compare_op, right, true),
        _ => return,
    };
    let Expr::Subquery(query) = right.as_ref() else {
        return;
    };
    let is_in = match negated {
        false => *op == BinaryOperator::Eq,
        true => *op == BinaryOperator::NotEq,
    };
    if is_in {
        *expr = Expr::InSubquery {
            expr: left.clone(),
            subquery: query.clone(),
            negated,
        };
        return;
    }
    if let Some(asked) = ask(expr) {
        *expr = asked;
    }
}

/// The query's rows in one: `(SELECT function(items) …)`. Where the query is more than items, a source
/// and a condition, it is `(SELECT function(c) FROM (query) AS s(c))`, which an outer column cannot reach.
fn gathered(query: &Query, width: usize, function: impl Fn(Vec<Expr>) -> Expr) -> Option<Expr> {
    if let Some(select) = unnested::plain(query) {
        let items = select.projection.iter().map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        let items: Option<Vec<_>> = items.collect();
        let items = items.or_else(|| (width == 0).then(Vec::new));
        if let Some(items) = items.filter(|items| !items.iter().any(|item| has_aggregate(item))) {
            let mut query = query.clone();
            if let SetExpr::Select(select) = query.body.as_mut() {
                let items = items.into_iter().cloned().collect();
                select.projection = vec![SelectItem::UnnamedExpr(function(items))];
            }
            return Some(Expr::Subquery(Box::new(query)));
        }
    }
    let names: Vec<_> = (0..width).map(|place| format!("__value{place}")).collect();
    let columns = match names.len() {
        0 => String::new(),
        _ => format!("({})", names.join(", ")),
    };
    let mut outer = template(&format!("SELECT 1 FROM (SELECT 1) AS __asked{columns}")).ok()?;
    if let SetExpr::Select(select) = outer.body.as_mut() {
        let items = names
            .iter()
            .map(|name| Expr::Identifier(Ident::new(name.as_str())));
        select.projection = vec![SelectItem::UnnamedExpr(function(items.collect()))];
        if let Some(first) = select.from.first_mut()
            && let TableFactor::Derived { subquery, .. } = &mut first.relation
        {
            **subquery = query.clone();
        }
    }
    Some(Expr::Subquery(Box::new(outer)))
}

/// The values of a subquery as an array; of several columns, as an array of rows.
fn values(query: &Query, width: usize) -> Option<Expr> {
    let gathered = gathered(query, width, |mut items| {
        let value = match items.len() {
            1 => items.remove(0),
            _ => call("struct", items),
        };
        call("array_agg", vec![value])
    })?;
    // No rows are no values.
    Some(call("coalesce", vec![gathered, call("__array", vec![])]))
}

fn ask(expr: &Expr) -> Option<Expr> {
    let not = |expr: Expr| Expr::UnaryOp {
        op: UnaryOperator::Not,
        expr: Box::new(expr),
    };
    let test = |name: &str, left: &Expr, op: &BinaryOperator, right: &Expr| {
        let Expr::Subquery(query) = right else {
            return None;
        };
        let value = Ident::new("__value");
        let compared = Expr::BinaryOp {
            left: Box::new(left.clone()),
            op: op.clone(),
            right: Box::new(Expr::Identifier(value.clone())),
        };
        Some(call(name, vec![values(query, 1)?, lambda(value, compared)]))
    };
    match expr {
        Expr::InSubquery {
            expr: wanted,
            subquery,
            negated,
        } => {
            let width = match wanted.as_ref() {
                Expr::Tuple(items) => items.len(),
                _ => 1,
            };
            let values = values(subquery, width)?;
            let found = call("__within", vec![values, wanted.as_ref().clone()]);
            Some(if *negated { not(found) } else { found })
        }
        Expr::Exists { subquery, negated } if unnested::exists(subquery, false).is_none() => {
            let count = gathered(subquery, 0, |_| super::build::count_all())?;
            let found = Expr::BinaryOp {
                left: Box::new(count),
                op: BinaryOperator::Gt,
                right: Box::new(number("0")),
            };
            Some(if *negated {
                not(Expr::Nested(Box::new(found)))
            } else {
                found
            })
        }
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => test("any_match", left, compare_op, right),
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => test("all_match", left, compare_op, right),
        _ => None,
    }
}
