//! Aggregates and window functions where they may not stand: DataFusion says so of some places, in words of its
//! plans, and plans others with another meaning.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{
        Expr, Function, FunctionArgumentClause, FunctionArguments, GroupByExpr, JoinConstraint,
        JoinOperator, Query, Select, SelectItem, Spanned, Value, Visit, Visitor, WindowType,
    },
    tokenizer::Span,
};

use crate::{
    ParseError,
    functions::list::{family_of, is_aggregate},
};

/// Refuses them in the clauses of a select.
pub(super) fn check(select: &Select) -> Result<(), ParseError> {
    nowhere(&select.selection, "WHERE")?;
    for join in select.from.iter().flat_map(|item| &item.joins) {
        if let Some(condition) = condition(&join.join_operator) {
            nowhere(condition, "a join's condition")?;
        }
    }
    if let GroupByExpr::Expressions(keys, _) = &select.group_by {
        nowhere(keys, "GROUP BY")?;
        for key in keys {
            if let Some(item) = numbered(key, &select.projection) {
                nowhere(item, "GROUP BY")?;
            }
        }
    }
    match find(&select.having, Kind::Window) {
        Some((name, span)) => refuse(
            span,
            &format!("HAVING cannot contain the window function {name}"),
        ),
        None => Ok(()),
    }
}

/// Refuses them inside each other.
pub(super) fn check_nested(expr: &Expr) -> Result<(), ParseError> {
    match expr {
        Expr::Function(function) => match kind(function) {
            Some((name, Kind::Aggregate)) => {
                let found = find(&function.args, Kind::Aggregate)
                    .or_else(|| find(&function.args, Kind::Window));
                match found {
                    Some((inner, span)) => refuse(
                        span,
                        &format!("{inner} cannot stand inside the aggregate {name}"),
                    ),
                    None => Ok(()),
                }
            }
            Some((name, Kind::Window)) => {
                let found = find(&function.args, Kind::Window).or_else(|| match &function.over {
                    Some(WindowType::WindowSpec(window)) => find(window, Kind::Window),
                    _ => None,
                });
                match found {
                    Some((inner, span)) => refuse(
                        span,
                        &format!("{inner} cannot stand inside the window function {name}"),
                    ),
                    None => needs_window(function, &name),
                }
            }
            None => no_aggregate(function),
        },
        _ => Ok(()),
    }
}

fn refuse(span: Span, message: &str) -> Result<(), ParseError> {
    Err(ParseError::at(span, message))
}

fn needs_window(function: &Function, name: &str) -> Result<(), ParseError> {
    match function.over {
        Some(_) => Ok(()),
        None => refuse(
            function.name.span(),
            &format!("the window function {name} needs an OVER clause"),
        ),
    }
}

/// `lower(DISTINCT x)`, `abs(x) FILTER (…)`, `abs(x ORDER BY y)`, `lower(x) OVER ()`.
fn no_aggregate(function: &Function) -> Result<(), ParseError> {
    let name = function.name.to_string().to_lowercase();
    let has_clauses = match &function.args {
        FunctionArguments::List(list) => {
            list.duplicate_treatment.is_some() || list.clauses.iter().any(is_order)
        }
        _ => false,
    };
    let is_marked = has_clauses || function.filter.is_some() || function.over.is_some();
    match is_marked && family_of(&name).is_some() {
        true => refuse(
            function.name.span(),
            &format!("DISTINCT, ORDER BY, FILTER and OVER are for aggregates, and {name} is none"),
        ),
        false => Ok(()),
    }
}

fn is_order(clause: &FunctionArgumentClause) -> bool {
    matches!(clause, FunctionArgumentClause::OrderBy(_))
}

fn nowhere(part: &impl Visit, clause: &str) -> Result<(), ParseError> {
    for kind in [Kind::Aggregate, Kind::Window] {
        if let Some((name, span)) = find(part, kind) {
            let what = match kind {
                Kind::Aggregate => "aggregate",
                Kind::Window => "window function",
            };
            return refuse(span, &format!("{clause} cannot contain the {what} {name}"));
        }
    }
    Ok(())
}

fn condition(operator: &JoinOperator) -> Option<&Expr> {
    match operator {
        JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)
        | JoinOperator::Right(on)
        | JoinOperator::RightOuter(on)
        | JoinOperator::FullOuter(on) => match on {
            JoinConstraint::On(condition) => Some(condition),
            _ => None,
        },
        _ => None,
    }
}

/// The item that a number in `GROUP BY` stands for.
fn numbered<'a>(key: &Expr, items: &'a [SelectItem]) -> Option<&'a Expr> {
    let Expr::Value(value) = key else { return None };
    let Value::Number(number, _) = &value.value else {
        return None;
    };
    match items.get(number.parse::<usize>().ok()?.checked_sub(1)?)? {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Aggregate,
    Window,
}

/// What a function is, where it is one of many rows.
fn kind(function: &Function) -> Option<(String, Kind)> {
    let [part] = function.name.0.as_slice() else {
        return None;
    };
    let name = part.as_ident()?.value.to_lowercase();
    if family_of(&name) == Some("Window") {
        return Some((name, Kind::Window));
    }
    let kind = match (is_aggregate(&name), &function.over) {
        (false, _) => return None,
        (true, Some(_)) => Kind::Window,
        (true, None) => Kind::Aggregate,
    };
    Some((name, kind))
}

/// The first one in a part of the tree, but not in its subqueries, and its place.
fn find(part: &impl Visit, wanted: Kind) -> Option<(String, Span)> {
    let mut finder = Finder { wanted, depth: 0 };
    match part.visit(&mut finder) {
        ControlFlow::Break(found) => Some(found),
        ControlFlow::Continue(()) => None,
    }
}

struct Finder {
    wanted: Kind,
    /// Number of subqueries around what is visited.
    depth: usize,
}

impl Visitor for Finder {
    type Break = (String, Span);

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<Self::Break> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<Self::Break> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        if self.depth == 0
            && let Expr::Function(function) = expr
            && let Some((name, kind)) = kind(function)
            && kind == self.wanted
        {
            return ControlFlow::Break((name, function.name.span()));
        }
        ControlFlow::Continue(())
    }
}
