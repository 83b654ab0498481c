//! `LATERAL (SELECT …)` without a table of its own, as `UNNEST`.
//!
//! DataFusion plans such a subquery and cannot execute it. `LATERAL (SELECT a + 1 AS x, b AS y) l`
//! becomes `UNNEST(ARRAY[ROW(a + 1, b)]) AS l(x, y)`; over one `UNNEST`, the array is that of the rows.

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, Query, SelectItem, SetExpr, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins, Value, Values,
};

use super::{
    build::{call, case},
    unnested::{self, Unnested},
};

pub(super) fn rewrite(from: &mut [TableWithJoins]) {
    for item in from {
        if let Some(unnest) = as_unnest(&item.relation) {
            item.relation = unnest;
        }
        for join in &mut item.joins {
            match side(&join.join_operator) {
                Side::Any => {
                    if let Some(unnest) = as_unnest(&join.relation) {
                        join.relation = unnest;
                    }
                }
                Side::Conditional => {}
                Side::Alone => {
                    if let TableFactor::Derived { lateral, .. } = &mut join.relation {
                        *lateral = false;
                    }
                }
            }
        }
    }
}

/// What a join wants of its right side.
enum Side {
    /// All of its rows.
    Any,
    /// Those that fit, which `UNNEST` does not ask.
    Conditional,
    /// It can ask for no values of the left one.
    Alone,
}

fn side(operator: &JoinOperator) -> Side {
    let is_true = |constraint: &JoinConstraint| match constraint {
        JoinConstraint::None => true,
        JoinConstraint::On(Expr::Value(value)) => value.value == Value::Boolean(true),
        _ => false,
    };
    match operator {
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_) => {
            Side::Alone
        }
        JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)
            if !is_true(on) =>
        {
            Side::Conditional
        }
        _ => Side::Any,
    }
}

fn as_unnest(factor: &TableFactor) -> Option<TableFactor> {
    let TableFactor::Derived {
        lateral: true,
        subquery,
        alias,
        sample: None,
    } = factor
    else {
        return None;
    };
    if let SetExpr::Values(values) = subquery.body.as_ref() {
        return of_values(values, alias.as_ref());
    }
    let select = unnested::plain(subquery)?;
    let (items, names) = items(subquery, alias.as_ref())?;
    let row = |mut items: Vec<Expr>| match items.len() {
        1 => items.remove(0),
        _ => call("struct", items),
    };
    let array = if select.from.is_empty() {
        let array = call("__array", vec![row(items)]);
        match &select.selection {
            None => array,
            Some(condition) => {
                let none = call("__array", vec![]);
                case(condition.clone(), array, Some(none))
            }
        }
    } else if let Some(aggregate) = unnested::scalar_aggregate(subquery) {
        call("__array", vec![aggregate])
    } else {
        let over = Unnested::of(select).filter(Unnested::is_correlated)?;
        let kept = over.kept(select.selection.as_ref());
        call("transform", vec![kept, over.lambda(row(items))])
    };
    Some(unnest(array, alias.as_ref(), names))
}

/// `LATERAL (VALUES (a, b), …)`.
fn of_values(values: &Values, alias: Option<&TableAlias>) -> Option<TableFactor> {
    let width = values.rows.first()?.len();
    let rows = values.rows.iter().map(|row| match row.content.as_slice() {
        [only] => only.clone(),
        items => call("struct", items.to_vec()),
    });
    let array = call("__array", rows.collect());
    let given: Vec<_> = alias.iter().flat_map(|alias| &alias.columns).collect();
    let names = (0..width).map(|place| match given.get(place) {
        Some(name) => name.name.value.to_lowercase(),
        None => format!("_col{place}"),
    });
    Some(unnest(array, alias, names.collect()))
}

/// `UNNEST(array) AS alias(names)`.
fn unnest(array: Expr, alias: Option<&TableAlias>, names: Vec<String>) -> TableFactor {
    let alias = alias.map_or_else(|| Ident::new("__lateral"), |alias| alias.name.clone());
    let columns = names.into_iter().map(|name| TableAliasColumnDef {
        name: Ident::with_quote('"', name),
        data_type: None,
    });
    TableFactor::UNNEST {
        alias: Some(TableAlias {
            explicit: true,
            name: alias,
            columns: columns.collect(),
            at: None,
        }),
        array_exprs: vec![array],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    }
}

/// The items of a select list, and their names.
fn items(query: &Query, alias: Option<&TableAlias>) -> Option<(Vec<Expr>, Vec<String>)> {
    let select = unnested::plain(query)?;
    let given: Vec<_> = alias.iter().flat_map(|alias| &alias.columns).collect();
    let mut names = Vec::new();
    let mut items = Vec::new();
    for (place, item) in select.projection.iter().enumerate() {
        let (expr, own) = match item {
            SelectItem::ExprWithAlias { expr, alias } => (expr, alias.value.to_lowercase()),
            SelectItem::UnnamedExpr(expr) => {
                let own = match expr {
                    Expr::Identifier(name) => name.value.to_lowercase(),
                    Expr::CompoundIdentifier(parts) => parts.last()?.value.to_lowercase(),
                    _ => format!("_col{place}"),
                };
                (expr, own)
            }
            _ => return None,
        };
        items.push(expr.clone());
        names.push(
            given
                .get(place)
                .map_or(own, |name| name.name.value.to_lowercase()),
        );
    }
    (!items.is_empty()).then_some((items, names))
}
