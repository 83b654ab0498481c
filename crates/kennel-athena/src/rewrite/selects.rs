//! Forms of `SELECT` that DataFusion does not plan, or plans with another meaning.

use datafusion::sql::sqlparser::{
    ast::{
        Expr, Fetch, Ident, LimitClause, ObjectName, OrderBy, OrderByExpr, OrderByKind, Query,
        Select, SelectItem, SetExpr, Spanned, TableAlias, TableFactor, TableSampleKind, Value,
        WindowType,
    },
    parser::Parser,
};

use super::build;
use crate::{AthenaDialect, ParseError};

/// Names that the rewrite gives to columns of its own.
const RANK: &str = "__rank";
const PLACE: &str = "__place";
const CHOSEN: &str = "__chosen";

/// A query from its text, to be completed.
pub(super) fn template(sql: &str) -> Result<Query, ParseError> {
    let dialect = AthenaDialect::default();
    let query = Parser::new(&dialect).try_with_sql(sql)?.parse_query()?;
    Ok(*query)
}

/// Puts `inner` into the place of the first derived table of `outer`.
pub(super) fn fill(outer: &mut Query, inner: Query) {
    if let SetExpr::Select(select) = outer.body.as_mut()
        && let Some(first) = select.from.first_mut()
        && let TableFactor::Derived { subquery, .. } = &mut first.relation
    {
        **subquery = inner;
    }
}

pub(crate) fn plain_query(body: SetExpr) -> Query {
    Query {
        with: None,
        body: Box::new(body),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: vec![],
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: vec![],
    }
}

/// `TABLE t` as `SELECT * FROM t`; gives the columns of `VALUES` the names that Trino gives them.
pub(super) fn table(body: &mut SetExpr) -> Result<(), ParseError> {
    match body {
        // What is wrapped already is marked.
        SetExpr::Values(values) if !values.explicit_row => {
            let width = values.rows.first().map_or(0, |row| row.len());
            let names: Vec<_> = (0..width).map(|place| format!("_col{place}")).collect();
            let mut query = template(&format!(
                "SELECT * FROM (SELECT 1) AS __values({})",
                names.join(", ")
            ))?;
            values.explicit_row = true;
            let values = std::mem::replace(body, SetExpr::Values(empty_values()));
            fill(&mut query, plain_query(values));
            *body = *query.body;
            Ok(())
        }
        SetExpr::Table(table) => {
            let mut query = template("SELECT * FROM t")?;
            let parts = table.schema_name.iter().chain(&table.table_name);
            let idents: Vec<_> = parts.map(|part| Ident::new(part.to_lowercase())).collect();
            if let SetExpr::Select(select) = query.body.as_mut()
                && let Some(first) = select.from.first_mut()
                && let TableFactor::Table { name, .. } = &mut first.relation
            {
                *name = ObjectName::from(idents);
            }
            *body = *query.body;
            Ok(())
        }
        SetExpr::SetOperation { left, right, .. } => {
            table(left)?;
            table(right)
        }
        _ => Ok(()),
    }
}

/// `FETCH FIRST n ROWS ONLY` as `LIMIT n`, and with ties as a condition on the rank.
pub(super) fn fetch(query: &mut Query) -> Result<(), ParseError> {
    let Some(Fetch {
        with_ties,
        percent,
        quantity,
    }) = query.fetch.clone()
    else {
        return Ok(());
    };
    if percent {
        let message = "FETCH FIRST … PERCENT is no Athena SQL";
        return Err(ParseError::at(query.span(), message));
    }
    let first = quantity.unwrap_or_else(|| build::number("1"));
    if matches!(&first, Expr::Value(value) if matches!(&value.value, Value::Number(n, _) if n == "0"))
    {
        let message = "FETCH FIRST takes a positive number of rows";
        return Err(ParseError::at(first.span(), message));
    }
    if with_ties {
        query.fetch = None;
        return fetch_with_ties(query, first);
    }
    match &mut query.limit_clause {
        None => {
            query.limit_clause = Some(LimitClause::LimitOffset {
                limit: Some(first),
                offset: None,
                limit_by: vec![],
            });
            query.fetch = None;
        }
        Some(LimitClause::LimitOffset {
            limit: limit @ None,
            ..
        }) => {
            *limit = Some(first);
            query.fetch = None;
        }
        Some(_) => {}
    }
    Ok(())
}

/// Ranks the rows in their order; those up to rank n are the first n with all that tie with the last.
fn fetch_with_ties(query: &mut Query, first: Expr) -> Result<(), ParseError> {
    let span = query.span();
    let Some(OrderBy {
        kind: OrderByKind::Expressions(keys),
        ..
    }) = query.order_by.take()
    else {
        return Err(ParseError::at(
            span,
            "FETCH FIRST … WITH TIES needs ORDER BY",
        ));
    };
    let offset = match query.limit_clause.take() {
        Some(LimitClause::LimitOffset { offset, .. }) => offset.map(|offset| offset.value),
        _ => None,
    };
    let offset = offset.unwrap_or_else(|| build::number("0"));
    let ranked = match query.body.as_mut() {
        SetExpr::Select(select) if select.distinct.is_none() => {
            let keys = resolved(&keys, select)?;
            rank_into(select, &keys)?;
            query.body.as_ref().clone()
        }
        body => {
            let mut outer = template("SELECT * FROM (SELECT 1) AS __all")?;
            fill(&mut outer, plain_query(body.clone()));
            if let SetExpr::Select(select) = outer.body.as_mut() {
                rank_into(select, &keys)?;
            }
            *outer.body
        }
    };
    let mut outer = template(&format!(
        "SELECT * EXCEPT ({RANK}, {PLACE}) FROM (SELECT 1) AS __ranked \
         WHERE {PLACE} > 0 AND {RANK} <= 0 + 0 ORDER BY {PLACE}"
    ))?;
    fill(&mut outer, plain_query(ranked));
    if let SetExpr::Select(select) = outer.body.as_mut()
        && let Some(Expr::BinaryOp { left, right, .. }) = &mut select.selection
        && let (Expr::BinaryOp { right: place, .. }, Expr::BinaryOp { right: rank, .. }) =
            (left.as_mut(), right.as_mut())
        && let Expr::BinaryOp {
            left: skipped,
            right: wanted,
            ..
        } = rank.as_mut()
    {
        **place = offset.clone();
        **skipped = offset;
        **wanted = first;
    }
    query.body = outer.body;
    query.order_by = outer.order_by;
    Ok(())
}

/// The keys of `ORDER BY` as expressions over the source: numbers and aliases stand for select items.
fn resolved(keys: &[OrderByExpr], select: &Select) -> Result<Vec<OrderByExpr>, ParseError> {
    let item = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            Some(expr.clone())
        }
        _ => None,
    };
    let mut resolved = keys.to_vec();
    for key in &mut resolved {
        let found = match &key.expr {
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => {
                    let place = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
                    match place
                        .and_then(|place| select.projection.get(place))
                        .and_then(item)
                    {
                        Some(expr) => Some(expr),
                        None => {
                            let message =
                                format!("ORDER BY {number} is no column of the select list");
                            return Err(ParseError::at(key.expr.span(), message));
                        }
                    }
                }
                _ => None,
            },
            Expr::Identifier(name) => select.projection.iter().find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias }
                    if alias.value.eq_ignore_ascii_case(&name.value) =>
                {
                    Some(expr.clone())
                }
                _ => None,
            }),
            _ => None,
        };
        if let Some(expr) = found {
            key.expr = expr;
        }
    }
    Ok(resolved)
}

/// Adds the rank and the place of each row to a select list.
fn rank_into(select: &mut Select, keys: &[OrderByExpr]) -> Result<(), ParseError> {
    let ranks = template(&format!(
        "SELECT rank() OVER (ORDER BY 1) AS {RANK}, row_number() OVER (ORDER BY 1) AS {PLACE}"
    ))?;
    let SetExpr::Select(mut ranks) = *ranks.body else {
        return Ok(());
    };
    for item in &mut ranks.projection {
        if let SelectItem::ExprWithAlias { expr, .. } = item {
            order_window(expr, keys);
        }
    }
    select.projection.append(&mut ranks.projection);
    Ok(())
}

fn order_window(expr: &mut Expr, keys: &[OrderByExpr]) {
    if let Expr::Function(function) = expr
        && let Some(WindowType::WindowSpec(window)) = &mut function.over
    {
        window.order_by = keys.to_vec();
    }
}

pub(super) fn empty_values() -> datafusion::sql::sqlparser::ast::Values {
    datafusion::sql::sqlparser::ast::Values {
        explicit_row: false,
        value_keyword: false,
        rows: vec![],
    }
}

/// What to say of patterns over rows.
pub(crate) const NO_PATTERNS: &str =
    "MATCH_RECOGNIZE is not supported; lag and lead over the same order find most patterns";

/// `t TABLESAMPLE BERNOULLI (p)` as the rows of `t` that a random choice keeps.
pub(super) fn sample(factor: &mut TableFactor) -> Result<(), ParseError> {
    if let TableFactor::MatchRecognize { .. } = factor {
        return Err(ParseError::at(factor.span(), NO_PATTERNS));
    }
    let span = factor.span();
    let (sample, alias, own) = match factor {
        TableFactor::Table {
            sample,
            alias,
            name,
            ..
        } => {
            let own = name.0.last().and_then(|part| part.as_ident()).cloned();
            (sample.take(), alias, own)
        }
        TableFactor::Derived { sample, alias, .. } => (sample.take(), alias, None),
        _ => return Ok(()),
    };
    let Some(sample) = sample else { return Ok(()) };
    let (TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) =
        sample;
    let percentage = match sample.quantity {
        Some(quantity) if quantity.unit.is_none() && sample.bucket.is_none() => quantity.value,
        _ => {
            let message = "TABLESAMPLE takes BERNOULLI or SYSTEM and a percentage";
            return Err(ParseError::at(span, message));
        }
    };
    let alias = alias.clone().or_else(|| {
        own.map(|name| TableAlias {
            explicit: true,
            name,
            columns: vec![],
            at: None,
        })
    });
    // Chosen in a select list and not in the condition, which DataFusion might ask before the source
    // has made its rows.
    let mut rows = template(&format!("SELECT *, __sample(1) AS {CHOSEN} FROM t"))?;
    if let SetExpr::Select(select) = rows.body.as_mut() {
        if let Some(SelectItem::ExprWithAlias { expr, .. }) = select.projection.last_mut() {
            *expr = build::call("__sample", vec![percentage]);
        }
        if let Some(first) = select.from.first_mut() {
            let nothing = TableFactor::TableFunction {
                expr: build::null(),
                alias: None,
            };
            first.relation = std::mem::replace(factor, nothing);
        }
    }
    let mut query = template(&format!(
        "SELECT * EXCEPT ({CHOSEN}) FROM (SELECT 1) AS __rows WHERE {CHOSEN}"
    ))?;
    fill(&mut query, rows);
    *factor = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias,
        sample: None,
    };
    Ok(())
}
