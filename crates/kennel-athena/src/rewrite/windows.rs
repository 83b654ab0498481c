//! The `WINDOW` clause, written out where its names stand.
//!
//! DataFusion puts a named window in the place of `OVER w`, but of `OVER (w ORDER BY x)` it keeps the order
//! alone: rows of all partitions would fall together.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, OrderBy, Query, Select, VisitMut,
    VisitorMut, WindowSpec, WindowType,
};

use crate::ParseError;

/// Puts the windows of a select into its items, and into the keys that its rows are ordered by.
pub(super) fn resolve(
    select: &mut Select,
    order_by: Option<&mut OrderBy>,
) -> Result<(), ParseError> {
    if select.named_window.is_empty() {
        return Ok(());
    }
    let mut named = Named {
        windows: Vec::new(),
        depth: 0,
    };
    for NamedWindowDefinition(name, definition) in std::mem::take(&mut select.named_window) {
        let window = match definition {
            NamedWindowExpr::NamedWindow(other) => named.find(&other)?.clone(),
            NamedWindowExpr::WindowSpec(window) => named.merged(window)?,
        };
        let lower = name.value.to_lowercase();
        if named.windows.iter().any(|(known, _)| *known == lower) {
            let message = format!("window `{}` is defined twice", name.value);
            return Err(ParseError::at(name.span, message));
        }
        named.windows.push((lower, window));
    }
    let mut visited = select.projection.visit(&mut named);
    if let (ControlFlow::Continue(()), Some(order_by)) = (&visited, order_by) {
        visited = order_by.visit(&mut named);
    }
    match visited {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Named {
    /// By name; each is complete.
    windows: Vec<(String, WindowSpec)>,
    /// Number of subqueries around what is visited: those have windows of their own.
    depth: usize,
}

impl Named {
    fn find(&self, name: &Ident) -> Result<&WindowSpec, ParseError> {
        let wanted = name.value.to_lowercase();
        let mut windows = self.windows.iter();
        match windows.find(|(known, _)| *known == wanted) {
            Some((_, window)) => Ok(window),
            None => {
                let message = format!("window `{}` is not defined", name.value);
                Err(ParseError::at(name.span, message))
            }
        }
    }

    /// A window with what it takes from the one that it names.
    fn merged(&self, window: WindowSpec) -> Result<WindowSpec, ParseError> {
        let Some(name) = &window.window_name else {
            return Ok(window);
        };
        let base = self.find(name)?;
        let wrong = |what: &str| {
            let message = format!("a window that names `{}` {what}", name.value);
            Err(ParseError::at(name.span, message))
        };
        if !window.partition_by.is_empty() {
            return wrong("takes its PARTITION BY from there");
        }
        if !(base.order_by.is_empty() || window.order_by.is_empty()) {
            return wrong("has a second ORDER BY");
        }
        if base.window_frame.is_some() {
            return wrong("cannot be made of one with a frame");
        }
        let order_by = match base.order_by.is_empty() {
            true => window.order_by,
            false => base.order_by.clone(),
        };
        Ok(WindowSpec {
            window_name: None,
            partition_by: base.partition_by.clone(),
            order_by,
            window_frame: window.window_frame,
        })
    }

    fn replace(&self, over: &mut WindowType) -> Result<(), ParseError> {
        *over = WindowType::WindowSpec(match over {
            WindowType::NamedWindow(name) => self.find(name)?.clone(),
            WindowType::WindowSpec(window) if window.window_name.is_some() => {
                self.merged(window.clone())?
            }
            WindowType::WindowSpec(_) => return Ok(()),
        });
        Ok(())
    }
}

impl VisitorMut for Named {
    type Break = ParseError;

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<ParseError> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<ParseError> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ParseError> {
        if self.depth == 0
            && let Expr::Function(function) = expr
            && let Some(over) = &mut function.over
            && let Err(error) = self.replace(over)
        {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }
}
