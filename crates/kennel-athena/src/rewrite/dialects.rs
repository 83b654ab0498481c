//! What sqlparser reads for other dialects, and Athena refuses: DataFusion would answer some of it, and pass over
//! the rest.

use std::{collections::BTreeSet, ops::ControlFlow};

use datafusion::sql::sqlparser::{
    ast::{
        BinaryOperator, CastKind, Cte, Distinct, Expr, GroupByExpr, Ident, Join, JoinConstraint,
        JoinOperator, LimitClause, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr,
        Spanned, TableFactor, Value, visit_relations,
    },
    tokenizer::Span,
};

use super::{
    groups,
    selects::{fill, template},
};
use crate::ParseError;

fn refused<T>(span: Span, message: &str) -> Result<T, ParseError> {
    Err(ParseError::at(span, message))
}

/// Refuses clauses of a query. To be asked before anything in it is rewritten.
pub(super) fn check_query(query: &mut Query) -> Result<(), ParseError> {
    let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
    let mut seen = BTreeSet::new();
    for alias in ctes.map(|cte| &cte.alias) {
        if !seen.insert(alias.name.value.to_lowercase()) {
            let message = format!("`{}` is defined twice in WITH", alias.name.value);
            return refused(alias.name.span, &message);
        }
        let columns = alias.columns.iter().map(|column| &column.name);
        once(columns, "the columns of a WITH query")?;
    }
    for with in query.with.iter_mut().filter(|with| with.recursive) {
        with.cte_tables.iter_mut().try_for_each(check_recursion)?;
    }
    check_order(query)?;
    if let Some(order_by) = &query.order_by
        && let OrderByKind::All(_) = order_by.kind
    {
        return refused(
            order_by.span(),
            "ORDER BY ALL is no Athena SQL; name the columns",
        );
    }
    if !query.locks.is_empty() {
        return refused(query.span(), "FOR UPDATE and FOR SHARE are no Athena SQL");
    }
    match &query.limit_clause {
        Some(limit) => check_limit(limit),
        None => Ok(()),
    }
}

/// DataFusion passes over what stands after a `UNION` that might be a recursion: where it is none, it is put into
/// brackets.
fn check_recursion(cte: &mut Cte) -> Result<(), ParseError> {
    let query = &cte.query;
    let has_clauses =
        query.order_by.is_some() || query.limit_clause.is_some() || query.fetch.is_some();
    if !has_clauses || !matches!(query.body.as_ref(), SetExpr::SetOperation { .. }) {
        return Ok(());
    }
    let name = &cte.alias.name;
    let names_itself = visit_relations(&query.body, |relation| {
        match relation.to_string().eq_ignore_ascii_case(&name.value) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    if names_itself.is_break() {
        return refused(
            name.span,
            "a recursion takes no ORDER BY, OFFSET or LIMIT; the query that asks for it does",
        );
    }
    let mut outer = template("SELECT * FROM (SELECT 1) AS __all")?;
    fill(&mut outer, cte.query.as_ref().clone());
    *cte.query = outer;
    Ok(())
}

/// Refuses to sort by a name that several items have, unless they are the same.
fn check_order(query: &Query) -> Result<(), ParseError> {
    let (
        SetExpr::Select(select),
        Some(OrderBy {
            kind: OrderByKind::Expressions(keys),
            ..
        }),
    ) = (query.body.as_ref(), &query.order_by)
    else {
        return Ok(());
    };
    for key in keys {
        check_ordinal(&key.expr, &select.projection, "ORDER BY")?;
        let Expr::Identifier(name) = &key.expr else {
            continue;
        };
        let named = select.projection.iter().filter_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } => Some((expr, alias)),
            SelectItem::UnnamedExpr(expr @ Expr::Identifier(name)) => Some((expr, name)),
            SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(parts)) => {
                Some((expr, parts.last()?))
            }
            _ => None,
        });
        let mut named = named.filter(|(_, of)| of.value.eq_ignore_ascii_case(&name.value));
        let first = named.next();
        if named.any(|(expr, _)| first.is_some_and(|(first, _)| first != expr)) {
            return refused(name.span, &format!("Column '{}' is ambiguous", name.value));
        }
    }
    Ok(())
}

/// A number of a key stands for an item; how many a star shows is not known here.
fn check_ordinal(key: &Expr, items: &[SelectItem], clause: &str) -> Result<(), ParseError> {
    let Expr::Value(value) = key else {
        return Ok(());
    };
    let Value::Number(number, _) = &value.value else {
        return Ok(());
    };
    let is_item = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
        )
    };
    let has_star = !items.iter().all(is_item);
    let is_there = match number.parse::<usize>() {
        Ok(place) => place > 0 && (has_star || place <= items.len()),
        Err(_) => false,
    };
    match is_there {
        true => Ok(()),
        false => refused(
            key.span(),
            &format!("{clause} position {number} is not in the select list"),
        ),
    }
}

/// Refuses an expression that is another dialect's, or means one thing in one dialect and another one in another.
pub(super) fn check_expr(expr: &Expr) -> Result<(), ParseError> {
    let (span, message) = match expr {
        // sqlparser has no place for the whole.
        Expr::RLike { pattern, .. } => (
            pattern.span(),
            "RLIKE and REGEXP are no Athena SQL; regexp_like(text, pattern) does that",
        ),
        Expr::Convert { .. } => (
            expr.span(),
            "CONVERT is no Athena SQL; CAST(x AS type) does that",
        ),
        Expr::Cast {
            kind: CastKind::SafeCast,
            ..
        } => (
            expr.span(),
            "SAFE_CAST is no Athena SQL; TRY_CAST(x AS type) does that",
        ),
        Expr::BinaryOp {
            op: BinaryOperator::Arrow | BinaryOperator::HashArrow,
            ..
        } => (
            expr.span(),
            "arrows into JSON are no Athena SQL; json_extract(x, '$.key') does that",
        ),
        Expr::BinaryOp {
            op: BinaryOperator::LongArrow | BinaryOperator::HashLongArrow,
            ..
        } => (
            expr.span(),
            "arrows into JSON are no Athena SQL; json_extract_scalar(x, '$.key') does that",
        ),
        Expr::BinaryOp {
            op: BinaryOperator::BitwiseXor | BinaryOperator::PGExp,
            ..
        } => (
            expr.span(),
            "`^` is no operator of Athena; power(x, y) and bitwise_xor(x, y) are functions",
        ),
        _ => return Ok(()),
    };
    refused(span, message)
}

/// Refuses a table that is another dialect's.
pub(super) fn check_factor(factor: &TableFactor) -> Result<(), ParseError> {
    let message = match factor {
        TableFactor::Pivot { .. } => {
            "PIVOT is no Athena SQL; count(*) FILTER (WHERE x = 'a') does that for each column"
        }
        TableFactor::Unpivot { .. } => {
            "UNPIVOT is no Athena SQL; CROSS JOIN UNNEST(ARRAY['a', 'b'], ARRAY[a, b]) AS t (name, value) does that"
        }
        _ => return Ok(()),
    };
    refused(factor.span(), message)
}

/// Refuses a name that is there twice.
fn once<'a>(names: impl Iterator<Item = &'a Ident>, of_what: &str) -> Result<(), ParseError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.value.to_lowercase()) {
            let message = format!("`{}` is twice in {of_what}", name.value);
            return refused(name.span, &message);
        }
    }
    Ok(())
}

fn check_limit(clause: &LimitClause) -> Result<(), ParseError> {
    match clause {
        LimitClause::OffsetCommaLimit { offset, .. } => refused(
            offset.span(),
            "LIMIT with a comma is no Athena SQL; OFFSET … LIMIT … does that",
        ),
        LimitClause::LimitOffset {
            limit,
            offset,
            limit_by,
        } => {
            if let Some(by) = limit_by.first() {
                return refused(
                    by.span(),
                    "LIMIT … BY is no Athena SQL; a condition on row_number() OVER (PARTITION BY …) does that",
                );
            }
            for count in limit
                .iter()
                .chain(offset.iter().map(|offset| &offset.value))
            {
                check_count(count)?;
            }
            match (limit, offset) {
                (Some(limit), Some(offset)) if limit.span().start < offset.value.span().start => {
                    refused(offset.value.span(), "OFFSET stands before LIMIT in Athena")
                }
                _ => Ok(()),
            }
        }
    }
}

/// `LIMIT` and `OFFSET` take a number or a parameter.
fn check_count(count: &Expr) -> Result<(), ParseError> {
    let is_count = match count {
        Expr::Value(value) => match &value.value {
            Value::Number(written, _) => written.bytes().all(|byte| byte.is_ascii_digit()),
            Value::Placeholder(_) => true,
            _ => false,
        },
        _ => false,
    };
    match is_count {
        true => Ok(()),
        false => refused(
            count.span(),
            "LIMIT and OFFSET take a number that is not negative",
        ),
    }
}

/// Refuses clauses of a select; writes group keys as DataFusion takes them.
pub(super) fn check_select(select: &mut Select) -> Result<(), ParseError> {
    if let Some(Distinct::On(keys)) = &select.distinct {
        let span = keys
            .first()
            .map_or_else(|| select.select_token.0.span, Spanned::span);
        return refused(
            span,
            "DISTINCT ON is no Athena SQL; row_number() OVER (PARTITION BY …) = 1 does that",
        );
    }
    select
        .from
        .iter()
        .flat_map(|item| &item.joins)
        .try_for_each(check_join)?;
    other_clauses(select)?;
    if let GroupByExpr::Expressions(keys, _) = &select.group_by {
        for key in keys {
            check_ordinal(key, &select.projection, "GROUP BY")?;
        }
    }
    groups::rewrite(select)
}

fn check_join(join: &Join) -> Result<(), ParseError> {
    let span = join.relation.span();
    let constraint = match &join.join_operator {
        JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)
        | JoinOperator::Right(on)
        | JoinOperator::RightOuter(on)
        | JoinOperator::FullOuter(on) => on,
        JoinOperator::CrossJoin(_) => return Ok(()),
        JoinOperator::Semi(_) | JoinOperator::LeftSemi(_) | JoinOperator::RightSemi(_) => {
            return refused(
                span,
                "SEMI JOIN is no Athena SQL; WHERE … IN (SELECT …) does that",
            );
        }
        JoinOperator::Anti(_) | JoinOperator::LeftAnti(_) | JoinOperator::RightAnti(_) => {
            return refused(
                span,
                "ANTI JOIN is no Athena SQL; WHERE NOT EXISTS (…) does that",
            );
        }
        _ => return refused(span, "this kind of join is no Athena SQL"),
    };
    // An array of each row needs no condition, though Athena wants one.
    let is_of_row = matches!(
        join.relation,
        TableFactor::UNNEST { .. } | TableFactor::Derived { lateral: true, .. }
    );
    match constraint {
        JoinConstraint::Natural => refused(
            span,
            "NATURAL JOIN is no Athena SQL; USING (…) names the columns",
        ),
        JoinConstraint::None if !is_of_row => {
            refused(span, "a join needs ON or USING; CROSS JOIN has neither")
        }
        JoinConstraint::Using(names) => {
            let names = names.iter().filter_map(|name| name.0.last()?.as_ident());
            once(names, "USING")
        }
        _ => Ok(()),
    }
}

fn other_clauses(select: &Select) -> Result<(), ParseError> {
    let at = |expr: Option<&Expr>| expr.map_or_else(|| select.select_token.0.span, Spanned::span);
    let refused = |expr: Option<&Expr>, message: &str| refused(at(expr), message);
    match &select.group_by {
        GroupByExpr::All(_) => {
            return refused(None, "GROUP BY ALL is no Athena SQL; name the columns");
        }
        GroupByExpr::Expressions(keys, modifiers) if !modifiers.is_empty() => {
            return refused(
                keys.first(),
                "GROUP BY … WITH is no Athena SQL; GROUP BY ROLLUP (…) does that",
            );
        }
        GroupByExpr::Expressions(..) => {}
    }
    if let Some(condition) = &select.qualify {
        let message =
            "QUALIFY is no Athena SQL; a condition on the rank, around a subquery, does that";
        return refused(Some(condition), message);
    }
    if let Some(view) = select.lateral_views.first() {
        let message = "LATERAL VIEW is Hive's; CROSS JOIN UNNEST(…) AS t (x) does that";
        return refused(Some(&view.lateral_view), message);
    }
    if select.into.is_some() {
        let message = "SELECT … INTO is no Athena SQL; CREATE TABLE x AS SELECT does that";
        return refused(None, message);
    }
    if select.top.is_some() {
        return refused(None, "TOP is no Athena SQL; LIMIT does that");
    }
    let hive = [&select.cluster_by, &select.distribute_by];
    if let Some(key) = hive.into_iter().flatten().next() {
        return refused(
            Some(key),
            "CLUSTER BY and DISTRIBUTE BY are Hive's; leave them out",
        );
    }
    if let Some(key) = select.sort_by.first() {
        return refused(Some(&key.expr), "SORT BY is Hive's; ORDER BY does that");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::parse;

    #[test]
    fn forms_of_other_dialects_are_refused_with_athenas_own() {
        let refused = [
            ("SELECT a RLIKE 'x' FROM t", "regexp_like"),
            ("SELECT a REGEXP 'x' FROM t", "regexp_like"),
            ("SELECT a->>'b' FROM t", "json_extract_scalar"),
            ("SELECT CONVERT(a, varchar) FROM t", "CAST("),
            ("SELECT SAFE_CAST(a AS integer) FROM t", "TRY_CAST"),
            ("SELECT a INTO b FROM t", "CREATE TABLE"),
            ("SELECT GETDATE()", "now()"),
            (
                "SELECT * FROM (SELECT 1 a) MATCH_RECOGNIZE (PATTERN (x) DEFINE x AS true)",
                "lag and lead",
            ),
            ("SELECT * FROM t PIVOT (count(*) FOR a IN ('x'))", "FILTER"),
        ];
        for (sql, instead) in refused {
            let error = parse(sql).unwrap_err();
            assert!(error.message.contains(instead), "{sql}: {error}");
            assert!(error.place().is_some(), "{sql}");
        }
        parse("SELECT filter(a, x -> x > 1) FROM t").unwrap();
    }
}
