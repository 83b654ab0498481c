//! Views: the text of a query, planned each time the view is asked.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use datafusion::{
    catalog::{TableProvider, view::ViewTable},
    error::{DataFusionError, Result as DataFusionResult},
    execution::{SessionState, context::SessionContext},
};

use crate::{EngineError, catalog::Shared, session};

/// Views over views over views: deeper than this, they go round in circles.
const DEEPEST: usize = 32;

/// What plans views: the session that the catalog belongs to.
#[derive(Default)]
pub(crate) struct Planner {
    state: OnceLock<Box<dyn Fn() -> Option<SessionState> + Send + Sync>>,
    depth: AtomicUsize,
}

impl fmt::Debug for Planner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planner").finish_non_exhaustive()
    }
}

impl Planner {
    /// Lets this session plan; it is not kept alive.
    pub(crate) fn belongs_to(&self, context: &SessionContext) {
        let state = context.state_weak_ref();
        let state = move || state.upgrade().map(|state| state.read().clone());
        // A catalog has one session.
        let _first = self.state.set(Box::new(state));
    }
}

/// Counts a view that is being planned.
struct Nested<'a>(&'a AtomicUsize);

impl<'a> Nested<'a> {
    fn begin(depth: &'a AtomicUsize, name: &str) -> DataFusionResult<Self> {
        let before = depth.fetch_add(1, Ordering::SeqCst);
        let this = Self(depth);
        match before < DEEPEST {
            true => Ok(this),
            false => Err(DataFusionError::Plan(format!(
                "view `{name}` reads itself, or more than {DEEPEST} views below it"
            ))),
        }
    }
}

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Plans a view.
pub(crate) async fn open(
    shared: &Arc<Shared>,
    name: &str,
    query: &str,
) -> DataFusionResult<Arc<dyn TableProvider>> {
    let _nested = Nested::begin(&shared.planner.depth, name)?;
    let state = shared.planner.state.get().and_then(|state| state());
    let Some(state) = state else {
        return Err(DataFusionError::Internal(
            "the session of a view is gone".into(),
        ));
    };
    let context = SessionContext::new_with_state(state);
    let planned = Box::pin(session::plan(
        &context,
        shared,
        query,
        &Default::default(),
        None,
    ))
    .await;
    let plan = planned.map_err(|error| match error {
        EngineError::Cache(error) => crate::catalog::external(error),
        // The place is one in the view's text, which nobody sees here.
        error => DataFusionError::Plan(format!("view `{name}`: {error}")),
    })?;
    Ok(Arc::new(ViewTable::new(plan, Some(query.to_owned()))))
}
