//! `ORDER BY` of a column that an item of the select list hides: `SELECT f(t.x) AS x … ORDER BY t.x`.
//!
//! DataFusion sorts by a column that is no item after adding it to them, where it cannot be told from the item of
//! that name. Here it is added under another name, and left out again.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderBy, OrderByKind, Query, SelectItem, SetExpr, visit_expressions,
};

use super::{
    from,
    selects::{empty_values, fill, plain_query, template},
};
use crate::ParseError;

/// Sorts by columns of their own where keys name hidden ones.
pub(super) fn rewrite(query: &mut Query) -> Result<(), ParseError> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Ok(());
    };
    let Some(OrderBy {
        kind: OrderByKind::Expressions(keys),
        ..
    }) = &mut query.order_by
    else {
        return Ok(());
    };
    if select.distinct.is_some() {
        return Ok(());
    }
    let relations = from::names(&select.from);
    let is_hidden = |key: &Expr| names_hidden(key, &select.projection, &relations);
    if !keys.iter().any(|key| is_hidden(&key.expr)) {
        return Ok(());
    }
    let mut added = Vec::new();
    for key in keys.iter_mut() {
        if stands_for_item(&key.expr, &select.projection) {
            continue;
        }
        let alias = Ident::new(format!("__order{}", added.len()));
        let name = Expr::Identifier(alias.clone());
        let expr = std::mem::replace(&mut key.expr, name);
        added.push(SelectItem::ExprWithAlias { expr, alias });
    }
    let names: Vec<_> = (0..added.len())
        .map(|place| format!("__order{place}"))
        .collect();
    select.projection.append(&mut added);
    let mut outer = template(&format!(
        "SELECT * EXCEPT ({}) FROM (SELECT 1) AS __ordered",
        names.join(", ")
    ))?;
    let inner = std::mem::replace(query.body.as_mut(), SetExpr::Values(empty_values()));
    fill(&mut outer, plain_query(inner));
    query.body = outer.body;
    Ok(())
}

/// Does a key name a column of a relation whose name is that of another item?
fn names_hidden(key: &Expr, items: &[SelectItem], relations: &[Vec<String>]) -> bool {
    let found = visit_expressions(key, |expr| {
        let Expr::CompoundIdentifier(parts) = expr else {
            return ControlFlow::Continue(());
        };
        let [.., relation, column] = parts.as_slice() else {
            return ControlFlow::Continue(());
        };
        let is_column = relations.iter().any(|known| {
            known
                .last()
                .is_some_and(|last| last.eq_ignore_ascii_case(&relation.value))
        });
        let hides = |item: &SelectItem| match item {
            SelectItem::ExprWithAlias { expr: item, alias } => {
                alias.value.eq_ignore_ascii_case(&column.value)
                    && !same_column(item, relation, column)
            }
            _ => false,
        };
        match is_column && items.iter().any(hides) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    found.is_break()
}

/// Is an item this very column, under its own name? Then both are the same to DataFusion.
fn same_column(item: &Expr, relation: &Ident, column: &Ident) -> bool {
    let same = |a: &Ident, b: &Ident| a.value.eq_ignore_ascii_case(&b.value);
    match item {
        Expr::Identifier(name) => same(name, column),
        Expr::CompoundIdentifier(parts) => matches!(parts.as_slice(),
            [.., of, name] if same(of, relation) && same(name, column)),
        _ => false,
    }
}

/// A number, or the name of an item.
fn stands_for_item(key: &Expr, items: &[SelectItem]) -> bool {
    match key {
        Expr::Value(_) => true,
        Expr::Identifier(name) => items.iter().any(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => {
                alias.value.eq_ignore_ascii_case(&name.value)
            }
            _ => false,
        }),
        _ => false,
    }
}
