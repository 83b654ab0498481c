//! What a recursive query would compute for each of its steps, computed once.
//!
//! DataFusion puts the plan of a `WITH` table wherever its name stands, and runs the recursive term anew for each step: a
//! table that is grouped from all events would be grouped again and again. Grouped tables that the recursive term
//! reads, and that do not depend on the step, become tables in memory before the query begins.

use std::sync::Arc;

use datafusion::{
    arrow::{array::RecordBatch, datatypes::Schema},
    common::tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    datasource::{MemTable, provider_as_source},
    error::Result as DataFusionResult,
    execution::context::SessionContext,
    logical_expr::{LogicalPlan, LogicalPlanBuilder, RecursiveQuery, SubqueryAlias},
    physical_plan::collect,
};

use crate::session;

/// The plan with tables in memory where that saves work; the same rows come of it. `None` where it would not.
pub(crate) async fn compute_once(
    context: &SessionContext,
    plan: &LogicalPlan,
) -> DataFusionResult<Option<LogicalPlan>> {
    // Who asks for the plan does not want it carried out.
    if matches!(plan, LogicalPlan::Explain(_)) {
        return Ok(None);
    }
    let repeated = repeated(plan)?;
    if repeated.is_empty() {
        return Ok(None);
    }
    let mut plan = plan.clone();
    for alias in repeated {
        let table = in_memory(context, &alias).await?;
        let replaced = plan.transform_down(|node| match &node {
            LogicalPlan::SubqueryAlias(found) if *found == alias => {
                Ok(Transformed::yes(table.clone()))
            }
            _ => Ok(Transformed::no(node)),
        })?;
        plan = replaced.data;
    }
    Ok(Some(plan))
}

/// The grouped `WITH` tables of recursive terms, each once, outer ones before those inside them.
fn repeated(plan: &LogicalPlan) -> DataFusionResult<Vec<SubqueryAlias>> {
    let mut found = Vec::new();
    plan.apply(|node| {
        if let LogicalPlan::RecursiveQuery(query) = node {
            query.recursive_term.apply(|node| match node {
                LogicalPlan::SubqueryAlias(alias) if is_worth_it(&alias.input, query)? => {
                    if !found.contains(alias) {
                        found.push(alias.clone());
                    }
                    Ok(TreeNodeRecursion::Jump)
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Whether rows are grouped here, and neither the step nor a row outside is asked for.
fn is_worth_it(plan: &LogicalPlan, query: &RecursiveQuery) -> DataFusionResult<bool> {
    let (mut is_grouped, mut stands_alone) = (false, true);
    plan.apply_with_subqueries(|node| {
        is_grouped |= matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_));
        stands_alone &= match node {
            LogicalPlan::TableScan(scan) => scan.table_name.table() != query.name,
            LogicalPlan::RecursiveQuery(_) => false,
            other => !other.contains_outer_reference(),
        };
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(is_grouped && stands_alone)
}

async fn in_memory(
    context: &SessionContext,
    alias: &SubqueryAlias,
) -> DataFusionResult<LogicalPlan> {
    let schema = Arc::new(Schema::new(alias.input.schema().fields().clone()));
    let optimized = session::optimized(context, &alias.input)?;
    let physical = session::physical(context, &optimized).await?;
    let batches = collect(physical, context.task_ctx()).await?;
    let batches = batches
        .into_iter()
        .map(|batch| RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec()))
        .collect::<Result<Vec<_>, _>>()?;
    let table = MemTable::try_new(schema, vec![batches])?;
    LogicalPlanBuilder::scan(
        alias.alias.clone(),
        provider_as_source(Arc::new(table)),
        None,
    )?
    .build()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::util::pretty::pretty_format_batches;

    use super::*;

    const CHAINS: &str = "WITH RECURSIVE hops AS (
          SELECT caller, role, count(*) AS calls FROM calls GROUP BY caller, role
        ),
        chains AS (
          SELECT caller AS origin, role, calls, 1 AS steps FROM hops WHERE caller = 'a'
          UNION ALL
          SELECT chains.origin, hops.role, hops.calls, chains.steps + 1
          FROM chains JOIN hops ON hops.caller = chains.role WHERE chains.steps < 5
        )
        SELECT * FROM chains ORDER BY steps, role";

    async fn context() -> SessionContext {
        let context = SessionContext::new();
        let calls = "CREATE TABLE calls AS VALUES ('a', 'b'), ('a', 'b'), ('b', 'c'), ('c', 'd'), ('x', 'y')";
        context.sql(calls).await.unwrap().collect().await.unwrap();
        let named = "CREATE VIEW named AS SELECT column1 AS caller, column2 AS role FROM calls";
        context.sql(named).await.unwrap();
        context
    }

    async fn plan(context: &SessionContext, sql: &str) -> LogicalPlan {
        let sql = sql.replace("FROM calls", "FROM named");
        context.state().create_logical_plan(&sql).await.unwrap()
    }

    async fn rows(context: &SessionContext, plan: LogicalPlan) -> String {
        let plan = context.state().optimize(&plan).unwrap();
        let physical = session::physical(context, &plan).await.unwrap();
        let batches = collect(physical, context.task_ctx()).await.unwrap();
        pretty_format_batches(&batches).unwrap().to_string()
    }

    #[tokio::test]
    async fn what_each_step_reads_is_grouped_once_and_the_rows_are_the_same() {
        let context = context().await;
        let written = plan(&context, CHAINS).await;
        let shortened = compute_once(&context, &written).await.unwrap().unwrap();
        let groups = |plan: &LogicalPlan| {
            plan.display_indent()
                .to_string()
                .matches("Aggregate:")
                .count()
        };
        assert_eq!((groups(&written), groups(&shortened)), (2, 0));
        let expected = rows(&context, written).await;
        assert!(
            expected.contains("| a      | d    | 1     | 3     |"),
            "{expected}"
        );
        assert_eq!(rows(&context, shortened).await, expected);
    }

    #[tokio::test]
    async fn what_depends_on_the_step_or_is_not_grouped_stays() {
        let context = context().await;
        for sql in [
            "SELECT caller, count(*) FROM calls GROUP BY caller",
            &format!("EXPLAIN {CHAINS}"),
            &CHAINS
                .replace(" GROUP BY caller, role", "")
                .replace("count(*)", "1"),
            "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT m.i + 1 FROM (SELECT max(i) AS i FROM n) AS m WHERE m.i < 3) SELECT * FROM n",
        ] {
            let written = plan(&context, sql).await;
            assert!(
                compute_once(&context, &written).await.unwrap().is_none(),
                "{sql}"
            );
        }
    }
}
