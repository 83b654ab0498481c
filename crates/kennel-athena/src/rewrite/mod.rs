//! Trino's meanings written in DataFusion's words, on the syntax tree.
//!
//! What needs types is left to the planner's hooks and to the functions; what can be decided from
//! the words alone is decided here: names of result columns, `UNNEST` in `FROM`, casts, lambdas.

mod bodies;
mod build;
mod chars;
mod clauses;
mod columns;
mod dialects;
mod expressions;
mod forms;
mod frames;
mod from;
mod functions;
mod groups;
mod intervals;
mod lateral;
mod lengths;
mod like;
mod literals;
mod names;
mod order;
mod precision;
mod predicates;
mod projected;
mod rows;
mod scalars;
mod selects;
mod sets;
mod shadows;
mod spread;
mod tables;
mod unnested;
mod using;
mod windows;
mod zones;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, LambdaFunction, OneOrManyWithParens, Query, Select, SetExpr, Spanned, Statement,
    TableAlias, TableFactor, TableWithJoins, VisitMut, VisitorMut,
};

use crate::ParseError;

pub use build::{call, plain_cast};
pub(crate) use names::{DUPLICATE_MARK, mark_alias};
pub(crate) use scalars::REWRITTEN;
pub(crate) use selects::{NO_PATTERNS, plain_query};
pub(crate) use sets::{NUMBER, is_numbered};

/// Rewrites a statement in place.
///
/// # Errors
/// [`ParseError`] for what would silently give another answer, and for what is not to be had.
pub(crate) fn rewrite(statement: &mut Statement) -> Result<(), ParseError> {
    shadows::rename(statement);
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
    /// Number of derived tables that got a name here.
    derived: usize,
    /// Names of the relations in `FROM`, of the outermost select first.
    scopes: Vec<Vec<Vec<String>>>,
    /// What is known of the columns of these relations.
    columns: Vec<Vec<columns::Column>>,
    /// The queries of `WITH` around what is visited, those of the outermost query first.
    named: Vec<columns::Named>,
    /// Parameters of the lambdas around an expression: as written, and as they are called now.
    lambdas: Vec<Vec<(String, String)>>,
}

impl Rewriter {
    /// What is known of the columns of the relations in `FROM`.
    fn columns(&self) -> &[columns::Column] {
        self.columns.last().map_or(&[], Vec::as_slice)
    }

    fn named(&self) -> columns::Named {
        self.named.last().cloned().unwrap_or_default()
    }

    /// What the parameter of that name of a lambda around is called now.
    fn parameter(&self, name: &str) -> Option<&str> {
        let parameters = self.lambdas.iter().rev().flatten();
        let mut named = parameters.filter(|(written, _)| written == name);
        named.next().map(|(_, unique)| unique.as_str())
    }

    /// Gives the parameters of a lambda names that no column and no other parameter around has:
    /// DataFusion takes one for the other.
    fn enter_lambda(&mut self, lambda: &mut LambdaFunction) {
        let depth = self.lambdas.len();
        let parameters = match &mut lambda.params {
            OneOrManyWithParens::One(parameter) => std::slice::from_mut(parameter),
            OneOrManyWithParens::Many(parameters) => parameters.as_mut_slice(),
        };
        let names = parameters.iter_mut().map(|parameter| {
            let written = parameter.name.value.to_lowercase();
            let unique = format!("{written}{DUPLICATE_MARK}{depth}");
            let span = parameter.name.span;
            parameter.name = Ident::with_quote_and_span('"', span, unique.clone());
            (written, unique)
        });
        self.lambdas.push(names.collect());
    }

    /// Gives derived tables without a name one where there is more than one relation: else DataFusion takes their
    /// columns for those of the relations inside them.
    fn name_derived(&mut self, from: &mut [TableWithJoins]) {
        let count: usize = from.iter().map(|item| 1 + item.joins.len()).sum();
        if count < 2 {
            return;
        }
        for item in from {
            let joins = item.joins.iter_mut().map(|join| &mut join.relation);
            for factor in std::iter::once(&mut item.relation).chain(joins) {
                if let TableFactor::Derived {
                    alias: alias @ None,
                    ..
                } = factor
                {
                    self.derived += 1;
                    *alias = Some(TableAlias {
                        explicit: true,
                        name: Ident::new(format!("__derived{}", self.derived)),
                        columns: vec![],
                        at: None,
                    });
                }
            }
        }
    }

    /// In a subquery: is this no relation, so that what follows it are fields of a column? DataFusion
    /// finds a column of the outer select by a plain name only.
    fn is_column(&self, name: &str) -> bool {
        let relations = || self.scopes.iter().flatten();
        self.scopes.len() > 1
            && relations().next().is_some()
            && !relations().any(|relation| relation.iter().any(|part| part == name))
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
        self.named.push(columns::of_with(query, &self.named()));
        using::unqualify(query);
        if self.depth == 2 {
            predicates::soften(query);
        }
        let checked = dialects::check_query(query);
        let plain = checked.and_then(|()| selects::table(&mut query.body));
        if let Err(error) = plain.and_then(|()| selects::fetch(query)) {
            return ControlFlow::Break(error);
        }
        if let SetExpr::Select(select) = query.body.as_mut() {
            if let Err(error) = windows::resolve(select, query.order_by.as_mut()) {
                return ControlFlow::Break(error);
            }
            names::order_by_aliases(select, query.order_by.as_mut());
        }
        if let Err(error) = order::rewrite(query) {
            return ControlFlow::Break(error);
        }
        projected::rewrite_keys(query.order_by.as_mut());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<ParseError> {
        self.depth = self.depth.saturating_sub(1);
        self.named.pop();
        literals::plain_in_query(query);
        match sets::rewrite(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<ParseError> {
        let windows = windows::resolve(select, None);
        let known = columns::of_from(&select.from, &self.named());
        self.columns.push(known);
        let checked = windows
            .and_then(|()| clauses::check(select))
            .and_then(|()| dialects::check_select(select));
        if let Err(error) = checked.and_then(|()| spread::rewrite(select)) {
            return ControlFlow::Break(error);
        }
        lateral::rewrite(&mut select.from);
        self.name_derived(&mut select.from);
        from::fold_unnest(&mut select.from);
        projected::rewrite(select);
        projected::rewrite_groups(select);
        projected::rewrite_outer_joins(&mut select.from);
        let relations = from::names(&select.from);
        names::name_items(select, &relations, self.depth > 1);
        if self.depth == 1 {
            predicates::soften_predicates(select);
        }
        self.scopes.push(relations);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<ParseError> {
        self.scopes.pop();
        self.columns.pop();
        literals::plain_in_select(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<ParseError> {
        let checked = dialects::check_factor(factor).and_then(|()| tables::function(factor));
        match checked.and_then(|()| selects::sample(factor)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<ParseError> {
        literals::plain_in_factor(factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ParseError> {
        let checked = frames::check(expr).and_then(|()| clauses::check_nested(expr));
        if let Err(error) = checked.and_then(|()| dialects::check_expr(expr)) {
            return ControlFlow::Break(error);
        }
        projected::quantified(expr);
        unnested::rewrite(expr);
        literals::least(expr);
        if let Expr::Lambda(lambda) = expr {
            self.enter_lambda(lambda);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ParseError> {
        if matches!(expr, Expr::Lambda(_)) {
            self.lambdas.pop();
            return ControlFlow::Continue(());
        }
        let written = build::is_written_otherwise(expr).then(|| expr.span());
        if let Err(error) = self.rewrite_expr(expr) {
            return ControlFlow::Break(error);
        }
        if let Some(span) = written {
            build::place(expr, span);
        }
        ControlFlow::Continue(())
    }
}
