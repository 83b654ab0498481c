//! Trino's meanings written in DataFusion's words, on the syntax tree.
//!
//! What needs types is left to the planner's hooks and to the functions; what can be decided from
//! the words alone is decided here: names of result columns, `UNNEST` in `FROM`, casts, lambdas.

mod build;
mod expressions;
mod from;
mod intervals;
mod literals;
mod names;
mod predicates;
mod scalars;
mod zones;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, LimitClause, OneOrManyWithParens, Query, Select, SetExpr, Spanned, Statement,
    TableFactor, VisitMut, VisitorMut,
};

use crate::ParseError;

pub use build::{call, plain_cast};
pub(crate) use names::DUPLICATE_MARK;
pub(crate) use scalars::REWRITTEN;

/// Rewrites a statement in place.
///
/// # Errors
/// [`ParseError`] for what would silently give another answer: `TABLESAMPLE`, `WITH TIES`.
pub(crate) fn rewrite(statement: &mut Statement) -> Result<(), ParseError> {
    let mut rewriter = Rewriter::default();
    match VisitMut::visit(statement, &mut rewriter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

#[derive(Default)]
struct Rewriter {
    /// Number of queries around what is visited: 1 in the outermost.
    depth: usize,
    /// Names of the relations in `FROM`, of the outermost select first.
    scopes: Vec<Vec<Vec<String>>>,
    /// Parameters of the lambdas around an expression.
    lambdas: Vec<Vec<String>>,
}

impl Rewriter {
    fn is_parameter(&self, name: &str) -> bool {
        self.lambdas
            .iter()
            .any(|parameters| parameters.iter().any(|parameter| parameter == name))
    }

    /// Is this the name of a relation of an outer select, hidden by none of the inner one?
    fn is_outer(&self, name: &str) -> bool {
        let Some((inner, outer)) = self.scopes.split_last() else {
            return false;
        };
        let knows = |scope: &Vec<Vec<String>>| {
            scope
                .iter()
                .any(|relation| relation.last().is_some_and(|last| last == name))
        };
        !knows(inner) && outer.iter().any(knows)
    }
}

impl VisitorMut for Rewriter {
    type Break = ParseError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<ParseError> {
        self.depth += 1;
        if self.depth == 2 {
            predicates::soften(query);
        }
        if let Some(fetch) = &query.fetch {
            if fetch.with_ties || fetch.percent {
                return ControlFlow::Break(ParseError::at(
                    query.span(),
                    "FETCH FIRST with ties or percent is not supported",
                ));
            }
            let first = fetch.quantity.clone().unwrap_or_else(|| build::number("1"));
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
        }
        if let SetExpr::Select(select) = query.body.as_mut() {
            names::order_by_aliases(select, query.order_by.as_mut());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<ParseError> {
        self.depth = self.depth.saturating_sub(1);
        literals::plain_in_query(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<ParseError> {
        from::fold_unnest(&mut select.from);
        let relations = from::names(&select.from);
        names::name_items(select, &relations);
        if self.depth == 1 {
            predicates::soften_predicates(select);
        }
        self.scopes.push(relations);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<ParseError> {
        self.scopes.pop();
        literals::plain_in_select(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<ParseError> {
        let sampled = match factor {
            TableFactor::Table { sample, .. } | TableFactor::Derived { sample, .. } => {
                sample.is_some()
            }
            _ => false,
        };
        if sampled {
            let message = "TABLESAMPLE is not supported";
            return ControlFlow::Break(ParseError::at(factor.span(), message));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<ParseError> {
        literals::plain_in_factor(factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ParseError> {
        from::exists_over_unnest(expr);
        if let Expr::Lambda(lambda) = expr {
            let parameters = match &mut lambda.params {
                OneOrManyWithParens::One(parameter) => std::slice::from_mut(parameter),
                OneOrManyWithParens::Many(parameters) => parameters.as_mut_slice(),
            };
            let names = parameters
                .iter()
                .map(|parameter| parameter.name.value.to_lowercase());
            self.lambdas.push(names.collect());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ParseError> {
        if matches!(expr, Expr::Lambda(_)) {
            self.lambdas.pop();
        } else if let Err(error) = self.rewrite_expr(expr) {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }
}
