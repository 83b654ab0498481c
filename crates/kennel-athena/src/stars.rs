//! `SELECT *, *` and `SELECT t.*, t.*`: the columns of a star written out where it shows them twice, or where it shows
//! columns of several relations in a query whose columns others ask for.
//!
//! Trino gives columns as many equal names as one likes, and refuses to be asked for them by such a name. DataFusion
//! refuses the names, and which columns a star shows is known when its relations are planned.

use std::{collections::BTreeMap, ops::ControlFlow};

use datafusion::{
    common::TableReference,
    error::Result,
    execution::SessionState,
    sql::{
        parser::Statement as ParsedStatement,
        sqlparser::ast::{
            Cte, Expr, GroupByExpr, Ident, Query, Select, SelectItem,
            SelectItemQualifiedWildcardKind, SetExpr, Statement, Visit, VisitMut, Visitor,
            VisitorMut, With,
        },
    },
};

use crate::rewrite::{DUPLICATE_MARK, mark_alias, plain_query};

/// Which selects are to be written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those in which a star repeats another one.
    Repeating,
    /// Those with a star and more than one relation, inside of other queries.
    Inner,
}

/// Writes out the stars of these selects; says whether there was one.
pub(crate) async fn write_out(
    state: &SessionState,
    statement: &mut Statement,
    which: Which,
) -> Result<bool> {
    let mut changed = false;
    while let Some(found) = Search::first(statement, which) {
        let mut items = BTreeMap::new();
        for (place, item) in found.select.projection.iter().enumerate() {
            if is_star(item) {
                let columns = Box::pin(columns(state, &found, item.clone())).await?;
                items.insert(place, columns);
            }
        }
        Search::put(statement, which, items);
        changed = true;
    }
    Ok(changed)
}

/// The columns that a star shows, by the names under which they can be asked for.
async fn columns(state: &SessionState, found: &Found, star: SelectItem) -> Result<Vec<Expr>> {
    let select = Select {
        projection: vec![star],
        distinct: None,
        selection: None,
        having: None,
        group_by: GroupByExpr::Expressions(vec![], vec![]),
        ..found.select.clone()
    };
    let mut query = plain_query(SetExpr::Select(Box::new(select)));
    query.with = found.with.clone();
    let probe = Statement::Query(Box::new(query));
    let parsed = ParsedStatement::Statement(Box::new(probe));
    let plan = state.statement_to_plan(parsed).await?;
    let named = plan.schema().iter().map(|(relation, field)| {
        let name = Ident::with_quote('"', field.name());
        let mut parts = relation.map(qualifier).unwrap_or_default();
        parts.push(name);
        match parts.len() {
            1 => Expr::Identifier(parts.remove(0)),
            _ => Expr::CompoundIdentifier(parts),
        }
    });
    Ok(named.collect())
}

fn qualifier(relation: &TableReference) -> Vec<Ident> {
    let quoted = |part: &str| Ident::with_quote('"', part);
    let parts = [
        relation.catalog(),
        relation.schema(),
        Some(relation.table()),
    ];
    parts.into_iter().flatten().map(quoted).collect()
}

fn is_star(item: &SelectItem) -> bool {
    matches!(
        item,
        SelectItem::Wildcard(_)
            | SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), _)
    )
}

/// Does one of the stars show what another one does?
fn repeats(select: &Select) -> bool {
    let stars: Vec<_> = select
        .projection
        .iter()
        .filter(|item| is_star(item))
        .collect();
    let has_all = stars
        .iter()
        .any(|star| matches!(star, SelectItem::Wildcard(_)));
    let name = |star: &SelectItem| match star {
        SelectItem::QualifiedWildcard(kind, _) => Some(kind.to_string().to_lowercase()),
        _ => None,
    };
    let names: Vec<_> = stars.iter().filter_map(|star| name(star)).collect();
    let is_twice = |name: &String| names.iter().filter(|other| *other == name).count() > 1;
    stars.len() > 1 && (has_all || names.iter().any(is_twice))
}

fn shows_several(select: &Select) -> bool {
    let relations: usize = select.from.iter().map(|item| 1 + item.joins.len()).sum();
    select.projection.iter().any(is_star) && (relations > 1 || select.projection.len() > 1)
}

/// A select to be written out, and the queries of `WITH` that it may name.
struct Found {
    select: Select,
    with: Option<With>,
}

struct Search {
    which: Which,
    /// The queries around what is visited.
    queries: Vec<Query>,
    /// What stands for the stars, by their places: to be put into the select that is found.
    written: Option<BTreeMap<usize, Vec<Expr>>>,
    found: Option<Box<Found>>,
}

impl Search {
    /// The first of these selects; inner ones come first, since outer stars show their columns.
    fn first(statement: &mut Statement, which: Which) -> Option<Box<Found>> {
        let mut is_there = false;
        let _ = visit_selects(statement, &mut |select, depth| {
            is_there |= is_wanted(select, depth, which);
        });
        let mut search = Self::new(which, None);
        if is_there {
            let _ = VisitMut::visit(statement, &mut search);
        }
        search.found
    }

    /// Writes the columns into that select.
    fn put(statement: &mut Statement, which: Which, written: BTreeMap<usize, Vec<Expr>>) {
        let _ = VisitMut::visit(statement, &mut Self::new(which, Some(written)));
    }

    fn new(which: Which, written: Option<BTreeMap<usize, Vec<Expr>>>) -> Self {
        Self {
            which,
            queries: vec![],
            written,
            found: None,
        }
    }
}

fn is_wanted(select: &Select, depth: usize, which: Which) -> bool {
    match which {
        Which::Repeating => repeats(select),
        Which::Inner => depth > 1 && shows_several(select),
    }
}

impl VisitorMut for Search {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.queries.push(query.clone());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.queries.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let depth = self.queries.len();
        if !is_wanted(select, depth, self.which) {
            return ControlFlow::Continue(());
        }
        match self.written.take() {
            Some(written) => put(select, written, depth > 1),
            None => {
                self.found = Some(Box::new(Found {
                    select: select.clone(),
                    with: in_scope(&self.queries),
                }));
            }
        }
        ControlFlow::Break(())
    }
}

/// Calls `look` with each select and the number of queries around it.
fn visit_selects(statement: &Statement, look: &mut impl FnMut(&Select, usize)) -> ControlFlow<()> {
    struct Selects<'a, F>(&'a mut F, usize);
    impl<F: FnMut(&Select, usize)> Visitor for Selects<'_, F> {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.1 += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.1 = self.1.saturating_sub(1);
            ControlFlow::Continue(())
        }

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            (self.0)(select, self.1);
            ControlFlow::Continue(())
        }
    }
    Visit::visit(statement, &mut Selects(look, 0))
}

/// The queries of `WITH` that the innermost one of these queries may name, in one list; inner ones hide outer ones.
fn in_scope(queries: &[Query]) -> Option<With> {
    let mut all: Option<With> = None;
    for (place, query) in queries.iter().enumerate() {
        let Some(with) = &query.with else { continue };
        // Inside one of them, those before it.
        let within = |cte: &&Cte| Some(cte.query.as_ref()) != queries.get(place + 1);
        let ctes: Vec<Cte> = with.cte_tables.iter().take_while(within).cloned().collect();
        let all = all.get_or_insert_with(|| With {
            cte_tables: vec![],
            ..with.clone()
        });
        all.recursive |= with.recursive;
        let is_hidden = |known: &Cte| ctes.iter().any(|cte| cte.alias.name == known.alias.name);
        all.cte_tables.retain(|known| !is_hidden(known));
        all.cte_tables.extend(ctes);
    }
    all.filter(|with| !with.cte_tables.is_empty())
}

/// Puts columns in the place of stars, and marks names that are there more than once: all of them where somebody
/// could ask for one, and all but the first in the result.
fn put(select: &mut Select, mut written: BTreeMap<usize, Vec<Expr>>, is_inner: bool) {
    let mut items = Vec::new();
    for (place, item) in std::mem::take(&mut select.projection)
        .into_iter()
        .enumerate()
    {
        match written.remove(&place) {
            None => items.push(item),
            Some(columns) => items.extend(columns.into_iter().map(SelectItem::UnnamedExpr)),
        }
    }
    let names: Vec<_> = items.iter().map(name_of).collect();
    for (place, item) in items.iter_mut().enumerate() {
        let Some(name) = &names[place] else { continue };
        let count = |names: &[Option<String>]| {
            names
                .iter()
                .filter(|other| other.as_ref() == Some(name))
                .count()
        };
        let is_repeated = match is_inner {
            true => count(&names) > 1,
            false => count(&names[..place]) > 0,
        };
        let mut alias = Ident::with_quote('"', name);
        if is_repeated {
            mark_alias(&mut alias, place);
        }
        *item = match std::mem::replace(item, SelectItem::Wildcard(Default::default())) {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                SelectItem::ExprWithAlias { expr, alias }
            }
            other => other,
        };
    }
    select.projection = items;
}

/// The name of an item, without a mark.
fn name_of(item: &SelectItem) -> Option<String> {
    let name = match item {
        SelectItem::ExprWithAlias { alias, .. } => &alias.value,
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => &name.value,
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => &parts.last()?.value,
        _ => return None,
    };
    name.split(DUPLICATE_MARK).next().map(str::to_owned)
}
