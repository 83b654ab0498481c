//! Joins that the relation planner plans itself, arranged so that it meets each with its left side.

use datafusion::sql::sqlparser::ast::{
    Join, JoinConstraint, JoinOperator, TableFactor, TableWithJoins,
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
        if !is_unnest(&join.relation) && !has_using(&join.join_operator) {
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

/// `JOIN … USING (x)`: what `x` is, and where it stands.
fn has_using(operator: &JoinOperator) -> bool {
    matches!(
        operator,
        JoinOperator::Join(JoinConstraint::Using(_))
            | JoinOperator::Inner(JoinConstraint::Using(_))
            | JoinOperator::Left(JoinConstraint::Using(_))
            | JoinOperator::LeftOuter(JoinConstraint::Using(_))
            | JoinOperator::Right(JoinConstraint::Using(_))
            | JoinOperator::RightOuter(JoinConstraint::Using(_))
            | JoinOperator::FullOuter(JoinConstraint::Using(_))
    )
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
