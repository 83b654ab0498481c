//! What the text of a query says of the columns of its subqueries: how many digits of a second they have,
//! and how long their texts are. Arrow's types do not say it.
//!
//! Read from the tree as written, before anything in it is rewritten.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, TableAlias, TableFactor, TableWithJoins,
};

use super::{
    build::plain_args,
    lengths,
    precision::{self, Fact},
};
use crate::functions::text_to_time;

/// A column of a relation in `FROM`.
#[derive(Debug, Clone)]
pub(super) struct Column {
    relation: String,
    name: String,
    fact: Option<Fact>,
}

/// The columns of the queries of `WITH`, by their names.
pub(super) type Named = Vec<(String, Vec<Column>)>;

/// What is known of the column that a name means; nothing where several columns have the name.
pub(super) fn find<'a>(columns: &'a [Column], expr: &Expr) -> Option<&'a Fact> {
    let (relation, name) = match expr {
        Expr::Identifier(name) => (None, name),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [relation, name] => (Some(relation), name),
            _ => return None,
        },
        _ => return None,
    };
    let is_meant = |column: &&Column| {
        same(&column.name, name) && relation.is_none_or(|wanted| same(&column.relation, wanted))
    };
    let mut found = columns.iter().filter(is_meant);
    match (found.next(), found.next()) {
        (Some(column), None) => column.fact.as_ref(),
        _ => None,
    }
}

fn same(name: &str, ident: &Ident) -> bool {
    name.eq_ignore_ascii_case(&ident.value)
}

/// The queries of `WITH`, each after those that it may name.
pub(super) fn of_with(query: &Query, named: &Named) -> Named {
    let mut all = named.clone();
    for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
        let columns = of_query(&cte.query, &all);
        let name = cte.alias.name.value.to_lowercase();
        all.push((name, renamed(columns, &cte.alias)));
    }
    all
}

/// The columns of the relations in `FROM`.
pub(super) fn of_from(from: &[TableWithJoins], named: &Named) -> Vec<Column> {
    from.iter()
        .flat_map(|item| {
            let joined = item.joins.iter().map(|join| &join.relation);
            std::iter::once(&item.relation).chain(joined)
        })
        .flat_map(|factor| of_factor(factor, named))
        .collect()
}

fn of_factor(factor: &TableFactor, named: &Named) -> Vec<Column> {
    match factor {
        TableFactor::Derived {
            subquery,
            alias: Some(alias),
            ..
        } => renamed(of_query(subquery, named), alias),
        TableFactor::Derived { subquery, .. } => of_query(subquery, named),
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => of_from(std::slice::from_ref(table_with_joins.as_ref()), named),
        TableFactor::Table { name, alias, .. } => {
            let written = name.to_string();
            let mut latest = named.iter().rev();
            let Some((name, columns)) =
                latest.find(|(known, _)| known.eq_ignore_ascii_case(&written))
            else {
                return vec![];
            };
            match alias {
                Some(alias) => renamed(columns.clone(), alias),
                None => called(columns.clone(), name),
            }
        }
        _ => vec![],
    }
}

fn called(mut columns: Vec<Column>, relation: &str) -> Vec<Column> {
    for column in &mut columns {
        column.relation = relation.to_owned();
    }
    columns
}

fn renamed(columns: Vec<Column>, alias: &TableAlias) -> Vec<Column> {
    let mut columns = called(columns, &alias.name.value);
    for (column, written) in columns.iter_mut().zip(&alias.columns) {
        column.name.clone_from(&written.name.value);
    }
    columns
}

fn of_query(query: &Query, named: &Named) -> Vec<Column> {
    of_set(&query.body, &of_with(query, named))
}

fn of_set(body: &SetExpr, named: &Named) -> Vec<Column> {
    match body {
        SetExpr::Select(select) => of_select(select, named),
        SetExpr::Query(query) => of_query(query, named),
        SetExpr::SetOperation { left, right, .. } => {
            let right = of_set(right, named);
            let mut columns = of_set(left, named);
            for (place, column) in columns.iter_mut().enumerate() {
                let other = right.get(place).and_then(|other| other.fact.as_ref());
                column.fact = common(column.fact.take(), other);
            }
            columns
        }
        SetExpr::Values(values) => {
            let mut rows = values.rows.iter().map(|row| {
                let facts = row.content.iter().map(|value| of_expr(value, &[]));
                facts.collect::<Vec<_>>()
            });
            let first = rows.next().unwrap_or_default();
            let facts = rows.fold(first, |facts, row| {
                let each = facts.into_iter().enumerate();
                each.map(|(place, fact)| {
                    common(fact, row.get(place).and_then(|fact| fact.as_ref()))
                })
                .collect()
            });
            let columns = facts.into_iter().enumerate();
            columns
                .map(|(place, fact)| column(format!("column{}", place + 1), fact))
                .collect()
        }
        _ => vec![],
    }
}

/// A lambda's parameter, of which this is said.
pub(super) fn parameter(name: &str, said: &str) -> Column {
    let fact = match said.strip_prefix('#') {
        Some(digits) => digits.parse().ok().map(Fact::Digits),
        None if said == lengths::UNKNOWN => None,
        None => Some(Fact::Text(said.to_owned())),
    };
    column(name.to_owned(), fact)
}

fn column(name: String, fact: Option<Fact>) -> Column {
    Column {
        relation: String::new(),
        name,
        fact,
    }
}

fn of_select(select: &Select, named: &Named) -> Vec<Column> {
    let from = of_from(&select.from, named);
    let mut columns = Vec::with_capacity(select.projection.len());
    for item in &select.projection {
        match item {
            SelectItem::ExprWithAlias { expr, alias } => {
                columns.push(column(alias.value.clone(), of_expr(expr, &from)));
            }
            SelectItem::UnnamedExpr(expr) => {
                let name = match expr {
                    Expr::Identifier(name) => name.value.clone(),
                    Expr::CompoundIdentifier(parts) => parts
                        .last()
                        .map_or_else(String::new, |name| name.value.clone()),
                    _ => String::new(),
                };
                columns.push(column(name, of_expr(expr, &from)));
            }
            SelectItem::Wildcard(_) => columns.extend(from.iter().cloned()),
            SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(relation),
                _,
            ) => {
                let relation = relation.to_string();
                let all = from.iter().cloned();
                columns
                    .extend(all.filter(|column| column.relation.eq_ignore_ascii_case(&relation)));
            }
            _ => return vec![],
        }
    }
    columns
}

/// What both have: the most digits, the longest text.
fn common(one: Option<Fact>, other: Option<&Fact>) -> Option<Fact> {
    match (one?, other?) {
        (Fact::Digits(a), Fact::Digits(b)) => Some(Fact::Digits(a.max(*b))),
        (Fact::Text(a), Fact::Text(b)) => lengths::longer(&a, b).map(Fact::Text),
        _ => None,
    }
}

/// What is known of a value, as written.
fn of_expr(expr: &Expr, columns: &[Column]) -> Option<Fact> {
    match expr {
        Expr::Nested(inner) => of_expr(inner, columns),
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => find(columns, expr).cloned(),
        Expr::Cast { data_type, .. } => precision::of_type(data_type)
            .map(Fact::Digits)
            .or_else(|| lengths::of_type(data_type).map(Fact::Text)),
        Expr::TypedString(literal) => {
            let written = literal.value.clone().into_string()?;
            if let Some("char(1)") = lengths::of_type(&literal.data_type).as_deref() {
                return Some(Fact::Text(format!("char({})", written.chars().count())));
            }
            let digits = match precision::of_type(&literal.data_type) {
                Some(_) => text_to_time::read(&written)
                    .map(|read| read.digits)
                    .or_else(|| text_to_time::read_time(&written).map(|read| read.digits))?,
                None => return None,
            };
            Some(Fact::Digits(digits.into()))
        }
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Plus | BinaryOperator::Minus,
            right,
        } => match (of_expr(left, columns), right.as_ref()) {
            (Some(Fact::Digits(digits)), Expr::Interval(interval)) => {
                Some(Fact::Digits(match precision::is_of_months(interval) {
                    true => digits,
                    false => digits.max(3),
                }))
            }
            _ => None,
        },
        Expr::Function(function) => {
            let args = plain_args(function)?;
            match (
                function.name.to_string().to_lowercase().as_str(),
                args.as_slice(),
            ) {
                ("date_add", [_, _, moment]) | ("date_trunc", [_, moment]) => {
                    of_expr(moment, columns)
                }
                _ => lengths::of_expr(expr, columns).map(Fact::Text),
            }
        }
        _ => lengths::of_expr(expr, columns).map(Fact::Text),
    }
}
