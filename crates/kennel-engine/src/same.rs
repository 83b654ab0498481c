//! Whether two questions come to the same, so that one answer is enough for both.

use datafusion::logical_expr::LogicalPlan;

use crate::{CannedQuery, Engine, EngineError, ParamValues, params, session};

impl Engine {
    /// Whether two questions have the same plan over the state that this engine answers for, when what their parameters
    /// decide is decided: then they have the same rows, columns and gaps, and so have they over every other state.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub async fn come_to_the_same(
        &self,
        one: (&CannedQuery, &ParamValues),
        other: (&CannedQuery, &ParamValues),
    ) -> Result<bool, EngineError> {
        // "Now" may stand in one of them as a value, and differ at another time.
        let is_of_now = self.as_of().is_none();
        if !is_of_now || one.0.account_filter != other.0.account_filter {
            return Ok(false);
        }
        Ok(self.decided(one).await? == self.decided(other).await?)
    }

    async fn decided(
        &self,
        (query, values): (&CannedQuery, &ParamValues),
    ) -> Result<LogicalPlan, EngineError> {
        let bound = params::bind(query, values, None)?;
        let plan = session::plan(&self.context, &self.shared, &query.sql, &bound, None).await?;
        session::optimized(&self.context, &plan)
            .map_err(|error| EngineError::from_datafusion(error, &query.sql, &[]))
    }
}
