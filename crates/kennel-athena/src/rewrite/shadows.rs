//! Queries in `WITH` that hide one of the same name further out, under names of their own.
//!
//! DataFusion knows all names of a statement at once and refuses to learn one twice.

use std::{collections::BTreeSet, ops::ControlFlow};

use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, Statement, TableAlias, TableFactor, Visit, VisitMut, Visitor,
    VisitorMut,
};

use super::names::DUPLICATE_MARK;

/// Renames what is hidden, and where it is read.
pub(super) fn rename(statement: &mut Statement) {
    let mut written = Written::default();
    let _ = Visit::visit(statement, &mut written);
    if !written.repeats {
        return;
    }
    let mut scope = Scope::default();
    let _ = VisitMut::visit(statement, &mut scope);
}

/// Is a name written twice at all?
#[derive(Default)]
struct Written {
    names: BTreeSet<String>,
    repeats: bool,
}

impl Visitor for Written {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = cte.alias.name.value.to_lowercase();
            self.repeats |= !self.names.insert(name);
        }
        ControlFlow::Continue(())
    }
}

/// The names that can be read at a place.
#[derive(Default)]
struct Scope {
    /// As written and as they are called now, the innermost last.
    visible: Vec<(String, String)>,
    given: usize,
    /// Number of queries around what is visited that are done already.
    done: usize,
}

impl Scope {
    /// A query with its own names, which end with it.
    fn enter(&mut self, query: &mut Query) {
        let outside = self.visible.len();
        if let Some(with) = &mut query.with {
            let is_recursive = with.recursive;
            let own = self.visible.len();
            for cte in &mut with.cte_tables {
                let written = cte.alias.name.value.to_lowercase();
                // Twice in one list is an error, which stays one.
                let hides = self.visible[..own].iter().any(|(name, _)| *name == written);
                let mut called = written.clone();
                if hides {
                    self.given += 1;
                    called = format!("{written}{DUPLICATE_MARK}{}", self.given);
                    cte.alias.name.value.clone_from(&called);
                    cte.alias.name.quote_style = Some('"');
                }
                if is_recursive {
                    self.visible.push((written, called));
                    self.inside(&mut cte.query);
                } else {
                    self.inside(&mut cte.query);
                    self.visible.push((written, called));
                }
            }
        }
        let with = query.with.take();
        let done = std::mem::replace(&mut self.done, 0);
        let _ = VisitMut::visit(query.body.as_mut(), self);
        let _ = VisitMut::visit(&mut query.order_by, self);
        self.done = done;
        query.with = with;
        self.visible.truncate(outside);
    }

    fn inside(&mut self, query: &mut Query) {
        let done = std::mem::replace(&mut self.done, 0);
        self.enter(query);
        self.done = done;
    }
}

impl VisitorMut for Scope {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if self.done == 0 {
            self.enter(query);
        }
        self.done += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.done = self.done.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, .. } = factor else {
            return ControlFlow::Continue(());
        };
        if self.done > 0 {
            return ControlFlow::Continue(());
        }
        let [part] = name.0.as_slice() else {
            return ControlFlow::Continue(());
        };
        let Some(ident) = part.as_ident() else {
            return ControlFlow::Continue(());
        };
        let written = ident.value.to_lowercase();
        let mut visible = self.visible.iter().rev();
        let Some((_, called)) = visible.find(|(known, _)| *known == written) else {
            return ControlFlow::Continue(());
        };
        if *called != written {
            let renamed = Ident::with_quote_and_span('"', ident.span, called.clone());
            if alias.is_none() {
                *alias = Some(TableAlias {
                    explicit: true,
                    name: ident.clone(),
                    columns: vec![],
                    at: None,
                });
            }
            *name = ObjectName::from(vec![renamed]);
        }
        ControlFlow::Continue(())
    }
}
