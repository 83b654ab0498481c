//! `UNNEST` in `FROM`, arranged so that the relation planner meets it with its left side.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, Query, Select,
    SelectItem, SetExpr, TableFactor, TableWithJoins, UnaryOperator, Value, visit_expressions_mut,
};

use super::build;

fn is_unnest(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::UNNEST { .. })
}

/// Turns each `UNNEST` and what stands before it into a join of its own, in brackets.
pub(super) fn fold_unnest(from: &mut Vec<TableWithJoins>) {
    let mut items: Vec<TableWithJoins> = Vec::with_capacity(from.len());
    for item in std::mem::take(from) {
        if !is_unnest(&item.relation) || items.is_empty() {
            items.push(item);
            continue;
        }
        // `FROM a, b, UNNEST(a.x)`: the array may come from any of them.
        let mut before = items.drain(..);
        let Some(mut left) = before.next() else {
            continue;
        };
        left.joins.extend(before.flat_map(crossed));
        left.joins.extend(crossed(item));
        items = vec![left];
    }
    for item in &mut items {
        fold_joins(item);
    }
    *from = items;
}

fn crossed(item: TableWithJoins) -> impl Iterator<Item = Join> {
    std::iter::once(Join {
        relation: item.relation,
        global: false,
        join_operator: JoinOperator::CrossJoin(JoinConstraint::None),
    })
    .chain(item.joins)
}

fn fold_joins(item: &mut TableWithJoins) {
    fold_nested(&mut item.relation);
    let mut pending = Vec::with_capacity(item.joins.len());
    for mut join in std::mem::take(&mut item.joins) {
        fold_nested(&mut join.relation);
        if !is_unnest(&join.relation) {
            pending.push(join);
            continue;
        }
        let first = std::mem::replace(&mut item.relation, empty());
        let joins = std::mem::take(&mut pending);
        let left = if joins.is_empty() {
            first
        } else {
            nested(first, joins)
        };
        item.relation = nested(left, vec![join]);
    }
    item.joins = pending;
}

fn fold_nested(factor: &mut TableFactor) {
    if let TableFactor::NestedJoin {
        table_with_joins, ..
    } = factor
    {
        fold_joins(table_with_joins);
    }
}

fn nested(relation: TableFactor, joins: Vec<Join>) -> TableFactor {
    TableFactor::NestedJoin {
        table_with_joins: Box::new(TableWithJoins { relation, joins }),
        alias: None,
    }
}

/// Stands in a place whose relation was taken out, until another one is put there.
fn empty() -> TableFactor {
    TableFactor::TableFunction {
        expr: build::null(),
        alias: None,
    }
}

/// The names by which the relations of a `FROM` are known, as paths in lower case.
pub(super) fn names(from: &[TableWithJoins]) -> Vec<Vec<String>> {
    let mut names = Vec::new();
    for item in from {
        collect_names(item, &mut names);
    }
    names
}

fn collect_names(item: &TableWithJoins, names: &mut Vec<Vec<String>>) {
    let factors =
        std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation));
    for factor in factors {
        let alias = match factor {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => {
                collect_names(table_with_joins, names);
                continue;
            }
            TableFactor::Table {
                name, alias: None, ..
            } => {
                let parts = name.0.iter().filter_map(|part| part.as_ident());
                names.push(parts.map(|part| part.value.to_lowercase()).collect());
                continue;
            }
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => alias,
            _ => continue,
        };
        if let Some(alias) = alias {
            names.push(vec![alias.name.value.to_lowercase()]);
        }
    }
}

/// `EXISTS (SELECT … FROM UNNEST(array) AS t(x) WHERE p)` as `any_match(array, x -> p)`.
///
/// DataFusion plans such a subquery and cannot execute it when the array is of the outer select.
pub(super) fn exists_over_unnest(expr: &mut Expr) {
    let Expr::Exists { subquery, negated } = expr else {
        return;
    };
    let negated = *negated;
    let Some((array, relation, element, condition)) = single_unnest(subquery) else {
        return;
    };
    let mut test = match condition {
        None => Expr::BinaryOp {
            left: Box::new(build::call("cardinality", vec![array])),
            op: BinaryOperator::Gt,
            right: Box::new(build::number("0")),
        },
        Some(mut condition) => {
            let _ = visit_expressions_mut(&mut condition, |expr| {
                unqualify(expr, &relation, &element);
                std::ops::ControlFlow::<()>::Continue(())
            });
            build::call("any_match", vec![array, build::lambda(element, condition)])
        }
    };
    test = build::call("coalesce", vec![test, Expr::value(Value::Boolean(false))]);
    *expr = if negated {
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(test),
        }
    } else {
        test
    };
}

/// `t.x.field` as `x.field`: a lambda's parameter has no qualifier.
fn unqualify(expr: &mut Expr, relation: &Ident, element: &Ident) {
    let same = |a: &Ident, b: &Ident| a.value.eq_ignore_ascii_case(&b.value);
    let Expr::CompoundIdentifier(parts) = expr else {
        return;
    };
    match parts.as_slice() {
        [first, second] if same(first, relation) && same(second, element) => {
            *expr = Expr::Identifier(second.clone());
        }
        [first, second, _, ..] if same(first, relation) && same(second, element) => {
            parts.remove(0);
        }
        _ => {}
    }
}

/// The array, the alias of the relation and of its only column, and the condition of a subquery that
/// reads one `UNNEST` and nothing else.
fn single_unnest(query: &Query) -> Option<(Expr, Ident, Ident, Option<Expr>)> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let is_plain = query.with.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && select.having.is_none()
        && select.distinct.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty())
        && !has_aggregate_star(select);
    let [TableWithJoins { relation, joins }] = select.from.as_slice() else {
        return None;
    };
    let TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs,
        with_ordinality: false,
        ..
    } = relation
    else {
        return None;
    };
    let ([array], [column]) = (array_exprs.as_slice(), alias.columns.as_slice()) else {
        return None;
    };
    (is_plain && joins.is_empty()).then(|| {
        (
            array.clone(),
            alias.name.clone(),
            column.name.clone(),
            select.selection.clone(),
        )
    })
}

/// A select of aggregates has a row even where its source has none.
fn has_aggregate_star(select: &Select) -> bool {
    select.projection.iter().any(|item| {
        matches!(
            item,
            SelectItem::UnnamedExpr(Expr::Function(_))
                | SelectItem::ExprWithAlias {
                    expr: Expr::Function(_),
                    ..
                }
        )
    })
}
