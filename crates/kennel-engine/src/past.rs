//! Earlier states beside the one that an engine answers for: the same question over a past night, its rows or only
//! how many they are. "Now" is each report's own analysis time there, as in a diff.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::{array::AsArray, datatypes::Int64Type},
    execution::context::SessionContext,
    functions_aggregate::count::count_all,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder},
    physical_plan::collect,
};
use kennel_cache::{SnapshotInfo, SourceKind, View};

use crate::{
    AccountFilter, Answer, AsOf, CannedQuery, Engine, EngineError, ParamValues, catalog::Shared,
    once, params, session,
};

/// The snapshot of a source that a state consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What the source delivers.
    pub kind: SourceKind,
    /// Its newest snapshot that is not later than the state.
    pub snapshot: SnapshotInfo,
}

impl Engine {
    /// The instant that is meant; `None` is the newest state. [`AsOf::Previous`] is before what this engine answers for.
    ///
    /// # Errors
    /// [`EngineError::Cache`] for an unknown snapshot, [`EngineError::NoEarlierSnapshot`], [`EngineError::AsOf`].
    pub fn instant_of(&self, as_of: AsOf) -> Result<Option<DateTime<Utc>>, EngineError> {
        let cache = self.shared.cache();
        as_of.resolve(cache.as_deref(), self.now(), self.as_of())
    }

    /// The snapshots that a state consists of (`None`: the newest), of sources of both kinds, by the names of the sources.
    ///
    /// # Errors
    /// [`EngineError::Cache`].
    pub fn standing(&self, at: Option<DateTime<Utc>>) -> Result<Vec<Standing>, EngineError> {
        let Some(cache) = self.shared.cache() else {
            return Ok(vec![]);
        };
        let kinds = cache.sources()?;
        let mut newest = std::collections::BTreeMap::new();
        for snapshot in cache.snapshots()? {
            if at.is_none_or(|at| snapshot.taken_at <= at) {
                newest.insert(snapshot.source.clone(), snapshot);
            }
        }
        let standing = newest.into_values().filter_map(|snapshot| {
            let source = kinds.iter().find(|known| known.name == snapshot.source)?;
            Some(Standing {
                kind: source.kind,
                snapshot,
            })
        });
        Ok(standing.collect())
    }

    /// The same questions over an earlier state, narrowed as this engine is.
    ///
    /// # Errors
    /// [`EngineError::Cache`].
    pub fn past(&self, at: DateTime<Utc>) -> Result<Past<'_>, EngineError> {
        let view = View::At(at);
        Ok(Past {
            engine: self,
            view,
            narrowed: self.beside(view, BTreeSet::new(), true)?,
        })
    }
}

/// An earlier state.
pub struct Past<'e> {
    engine: &'e Engine,
    view: View,
    narrowed: (Arc<Shared>, SessionContext),
}

impl Past<'_> {
    /// The answer to a question.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub async fn run(
        &self,
        query: &CannedQuery,
        values: &ParamValues,
    ) -> Result<Answer, EngineError> {
        self.answer(query, values, |plan| plan).await
    }

    /// The answer to a question, its rows in whatever order they come: sorting them costs time and memory.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub async fn run_unordered(
        &self,
        query: &CannedQuery,
        values: &ParamValues,
    ) -> Result<Answer, EngineError> {
        self.answer(query, values, unordered).await
    }

    async fn answer(
        &self,
        query: &CannedQuery,
        values: &ParamValues,
        planned: fn(LogicalPlan) -> LogicalPlan,
    ) -> Result<Answer, EngineError> {
        let (session, kept) = self.session_for(query)?;
        let (shared, context) = session.as_ref().unwrap_or(&self.narrowed);
        let bound = params::bind(query, values, None)?;
        let answer = async {
            let plan = session::plan(context, shared, &query.sql, &bound, kept).await?;
            session::start(context, shared, &query.sql, planned(plan)).await
        };
        let answer = answer.await;
        answer.map_err(|error| error.within(&query.sql, &query.text, query.sql_start))
    }

    /// How many rows the answer to a question has.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub async fn count(
        &self,
        query: &CannedQuery,
        values: &ParamValues,
    ) -> Result<u64, EngineError> {
        let (session, kept) = self.session_for(query)?;
        let (shared, context) = session.as_ref().unwrap_or(&self.narrowed);
        let bound = params::bind(query, values, None)?;
        let plan = session::plan(context, shared, &query.sql, &bound, kept).await?;
        let counted = async {
            let plan = LogicalPlanBuilder::from(plan)
                .aggregate(Vec::<Expr>::new(), vec![count_all()])?
                .build()?;
            let optimized = context.state().optimize(&plan)?;
            let plan = match once::compute_once(context, &plan, &optimized).await? {
                Some(shortened) => context.state().optimize(&shortened.plan)?,
                None => optimized,
            };
            let physical = session::physical(context, &plan).await?;
            collect(physical, context.task_ctx()).await
        };
        let batches = counted
            .await
            .map_err(|error| EngineError::from_datafusion(error, &query.sql, &[]))?;
        let first = batches.iter().find(|batch| batch.num_rows() > 0);
        let count = first.map(|batch| batch.column(0).as_primitive::<Int64Type>().value(0));
        Ok(count
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or_default())
    }

    /// A question that follows access across accounts reads all of them, and keeps the rows asked for.
    #[expect(
        clippy::type_complexity,
        reason = "a session as `Engine::beside` makes it, and whose rows are kept"
    )]
    fn session_for(
        &self,
        query: &CannedQuery,
    ) -> Result<(Option<(Arc<Shared>, SessionContext)>, Option<&Shared>), EngineError> {
        let keeps_rows =
            query.account_filter == AccountFilter::Result && self.engine.is_restricted();
        if !keeps_rows {
            return Ok((None, None));
        }
        let whole = self.engine.beside(self.view, BTreeSet::new(), false)?;
        Ok((Some(whole), Some(self.engine.shared.as_ref())))
    }
}

/// A plan without the order that nobody will see. A sort that also chooses rows (`LIMIT`) stays.
pub(crate) fn unordered(plan: LogicalPlan) -> LogicalPlan {
    match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => Arc::unwrap_or_clone(sort.input),
        // Columns that only the sort knew are taken away above it.
        LogicalPlan::Projection(mut projection) => {
            if let LogicalPlan::Sort(sort) = projection.input.as_ref()
                && sort.fetch.is_none()
            {
                projection.input = Arc::clone(&sort.input);
            }
            LogicalPlan::Projection(projection)
        }
        other => other,
    }
}
