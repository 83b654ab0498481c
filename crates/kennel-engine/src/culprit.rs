//! Where an error of planning lies that does not say so itself. DataFusion's expressions know no places, but those of the
//! statement do: the smallest of them that is refused in the same words is the culprit.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use datafusion::{
    error::DataFusionError,
    execution::SessionState,
    logical_expr::LogicalPlan,
    sql::sqlparser::{
        ast::{Expr, Query, Spanned, Statement, Value, VisitMut, VisitorMut},
        tokenizer::Span,
    },
};

use crate::{EngineError, SqlPlace};

/// A statement is planned anew for each expression that is looked at: bounds for long ones. What was found by then
/// is an expression around the culprit.
const MOST_PLANS: usize = 200;
const LONGEST_SEARCH: Duration = Duration::from_millis(300);

/// The plan of a statement, of which is known that types go together: who is told of it here can be told the place, too.
pub(crate) async fn analysable(
    state: &SessionState,
    statement: &Statement,
) -> datafusion::error::Result<LogicalPlan> {
    let plan = kennel_athena::plan(state, statement).await?;
    // An explanation shows what is wrong with what it explains as if it were a plan.
    let analysed = match &plan {
        LogicalPlan::Explain(explain) => explain.plan.as_ref(),
        LogicalPlan::Analyze(analyze) => analyze.input.as_ref(),
        plan => plan,
    };
    let options = state.config_options();
    state
        .analyzer()
        .execute_and_check(analysed.clone(), options, |_, _| {})?;
    Ok(plan)
}

/// The error of a statement that cannot be planned, with its place. `names` are those a suggestion may come from.
pub(crate) async fn told(
    error: DataFusionError,
    state: &SessionState,
    statement: &Statement,
    sql: &str,
    names: &[String],
) -> EngineError {
    let message = error.find_root().to_string();
    let mut told = EngineError::from_datafusion(error, sql, names);
    if let EngineError::Sql {
        place: place @ None,
        ..
    } = &mut told
    {
        let span = find(state, statement, &message).await;
        *place = span.map(|span| {
            let (start, end) = (span.start, span.end);
            SqlPlace::of((start.line, start.column), (end.line, end.column))
        });
    }
    told
}

/// The place of the expression that makes planning end with `message`; `None` where there is not one alone.
async fn find(state: &SessionState, statement: &Statement, message: &str) -> Option<Span> {
    let mut outline = Trial::new(None);
    outline.visit(&mut statement.clone());
    let mut found: Option<(usize, usize)> = None;
    let began = Instant::now();
    for (index, node) in outline.nodes.iter().take(MOST_PLANS).enumerate() {
        // Of two that are refused alike, one in the other, the inner one; never one beside the other.
        if found.is_some_and(|(_, depth)| node.depth <= depth) || began.elapsed() > LONGEST_SEARCH {
            break;
        }
        let change = match node.is_outermost {
            true => Change::Omit,
            false if node.is_leaf || found.is_none() => continue,
            false => Change::Alone,
        };
        let mut changed = statement.clone();
        Trial::new(Some((index, change))).visit(&mut changed);
        let planned = analysable(state, &changed);
        let is_culprit = match (planned.await, change) {
            (Ok(_), Change::Omit) => true,
            (Err(error), Change::Alone) => error.find_root().to_string() == message,
            _ => false,
        };
        if is_culprit {
            found = Some((index, node.depth));
        }
    }
    let (index, _) = found?;
    let mut trial = Trial::new(Some((index, Change::Omit)));
    trial.visit(&mut statement.clone());
    trial.span.filter(|span| span.start.line > 0)
}

/// What is done to an expression to see what planning says then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Null stands in its place.
    Omit,
    /// It stands in the place of the outermost expression of its query that it is a part of.
    Alone,
}

/// An expression of a statement, in the order in which they begin.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// The number of expressions that it is a part of.
    depth: usize,
    /// Whether it is no part of another one in its query.
    is_outermost: bool,
    is_leaf: bool,
}

/// Walks over a statement's expressions, and changes one.
struct Trial {
    wanted: Option<(usize, Change)>,
    nodes: Vec<Node>,
    /// For each query that is open, the number of its expressions that are.
    open: Vec<usize>,
    /// The expression that is to stand alone, and the number of queries around it.
    taken: Option<(Expr, usize)>,
    /// The place of the expression that is wanted.
    span: Option<Span>,
}

impl Trial {
    fn new(wanted: Option<(usize, Change)>) -> Self {
        Self {
            wanted,
            nodes: vec![],
            open: vec![0],
            taken: None,
            span: None,
        }
    }

    fn visit(&mut self, statement: &mut Statement) {
        let _ = VisitMut::visit(statement, self);
    }
}

impl VisitorMut for Trial {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.open.push(0);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.open.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let index = self.nodes.len();
        let here = self.open.last().copied().unwrap_or_default();
        self.nodes.push(Node {
            depth: self.open.iter().sum(),
            is_outermost: here == 0,
            is_leaf: matches!(
                expr,
                Expr::Identifier(_)
                    | Expr::CompoundIdentifier(_)
                    | Expr::Value(_)
                    | Expr::TypedString(_)
            ),
        });
        if let Some((wanted, change)) = self.wanted
            && wanted == index
        {
            self.span = Some(expr.span());
            match change {
                Change::Omit => *expr = Expr::value(Value::Null),
                Change::Alone => self.taken = Some((expr.clone(), self.open.len())),
            }
        }
        if let Some(open) = self.open.last_mut() {
            *open += 1;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(open) = self.open.last_mut() {
            *open = open.saturating_sub(1);
            if *open == 0
                && let Some((taken, _)) = self
                    .taken
                    .take_if(|(_, queries)| *queries == self.open.len())
            {
                *expr = taken;
            }
        }
        ControlFlow::Continue(())
    }
}
