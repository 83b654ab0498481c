//! What a query would compute several times, computed once.
//!
//! DataFusion puts the plan of a `WITH` table wherever its name stands, and runs the recursive term anew for each step: a
//! table that is grouped from all events would be grouped again and again. Grouped tables that a query reads more than once,
//! or that a recursive term reads, become tables in memory before the query begins; not those that depend on the step, and not
//! those of which places that read them want a part: a filter makes reading that part cheaper than all of it. One that
//! turns out to be large is given up, and is grouped where it is read.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, RecordBatch},
        datatypes::Schema,
    },
    common::{
        TableReference,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    datasource::{MemTable, provider_as_source},
    error::Result as DataFusionResult,
    execution::context::SessionContext,
    logical_expr::{
        BinaryExpr, Expr, LogicalPlan, LogicalPlanBuilder, SubqueryAlias, utils::split_conjunction,
    },
    physical_plan::{ExecutionPlan, execute_stream},
};
use futures::TryStreamExt;

use crate::session;

/// Bytes of tables in memory, in all, beyond which one is given up.
const MOST_BYTES: usize = 512 << 20;

/// A plan with tables in memory, and how these were computed.
pub(crate) struct Shortened {
    pub(crate) plan: LogicalPlan,
    /// Carried out already: what they read, the query read.
    pub(crate) computed: Vec<Arc<dyn ExecutionPlan>>,
}

/// The plan with tables in memory where that saves work; the same rows come of it. `None` where it would not.
/// `optimized` is the same plan, optimised.
pub(crate) async fn compute_once(
    context: &SessionContext,
    plan: &LogicalPlan,
    optimized: &LogicalPlan,
) -> DataFusionResult<Option<Shortened>> {
    compute_within(context, plan, optimized, MOST_BYTES).await
}

async fn compute_within(
    context: &SessionContext,
    plan: &LogicalPlan,
    optimized: &LogicalPlan,
    most_bytes: usize,
) -> DataFusionResult<Option<Shortened>> {
    // Who asks for the plan does not want it carried out.
    if matches!(plan, LogicalPlan::Explain(_)) {
        return Ok(None);
    }
    let tables = repeated(context, plan, optimized)?;
    if tables.is_empty() {
        return Ok(None);
    }
    let mut in_place = Vec::with_capacity(tables.len());
    let mut computed = Vec::with_capacity(tables.len());
    let mut room_bytes = most_bytes;
    for alias in tables {
        let input = with_tables(alias.input.as_ref().clone(), &in_place)?;
        let (table, physical) = in_memory(context, &alias, &input, &mut room_bytes).await?;
        in_place.extend(table.map(|table| (alias, table)));
        computed.push(physical);
    }
    let plan = with_tables(plan.clone(), &in_place)?;
    Ok(Some(Shortened { plan, computed }))
}

/// The plan with tables in memory where these tables stand.
fn with_tables(
    plan: LogicalPlan,
    computed: &[(SubqueryAlias, LogicalPlan)],
) -> DataFusionResult<LogicalPlan> {
    let replaced = plan.transform_down_with_subqueries(|node| {
        let LogicalPlan::SubqueryAlias(found) = &node else {
            return Ok(Transformed::no(node));
        };
        let table = computed.iter().find(|(alias, _)| alias == found);
        Ok(match table {
            Some((_, table)) => Transformed::new(table.clone(), true, TreeNodeRecursion::Jump),
            None => Transformed::no(node),
        })
    })?;
    Ok(replaced.data)
}

/// The grouped `WITH` tables that are read more than once, each once, those inside others first.
fn repeated(
    context: &SessionContext,
    plan: &LogicalPlan,
    optimized: &LogicalPlan,
) -> DataFusionResult<Vec<SubqueryAlias>> {
    let mut steps = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::RecursiveQuery(query) = node {
            steps.push(query.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let is_step = |name: &str| steps.iter().any(|query| query.name == name);
    let mut found = Vec::new();
    for query in &steps {
        query.recursive_term.apply(|node| match node {
            LogicalPlan::SubqueryAlias(alias) if is_grouped(&alias.input, &is_step)? => {
                if !found.contains(alias) {
                    found.push(alias.clone());
                }
                Ok(TreeNodeRecursion::Jump)
            }
            _ => Ok(TreeNodeRecursion::Continue),
        })?;
    }
    let mut seen = Vec::new();
    plan.apply_with_subqueries(|node| {
        let LogicalPlan::SubqueryAlias(alias) = node else {
            return Ok(TreeNodeRecursion::Continue);
        };
        if !seen.contains(alias) {
            seen.push(alias.clone());
            return Ok(TreeNodeRecursion::Continue);
        }
        if !found.contains(alias)
            && is_grouped(&alias.input, &is_step)?
            && is_read_whole(context, alias, optimized)?
        {
            found.push(alias.clone());
        }
        Ok(TreeNodeRecursion::Jump)
    })?;
    found.sort_by_cached_key(|alias| node_count(&alias.input));
    Ok(found)
}

fn node_count(plan: &LogicalPlan) -> usize {
    let mut count = 0;
    let counted = plan.apply_with_subqueries(|_| {
        count += 1;
        Ok(TreeNodeRecursion::Continue)
    });
    counted.map_or(usize::MAX, |_| count)
}

/// Whether rows are grouped here, alike each time, and neither a step nor a row outside is asked for.
fn is_grouped(plan: &LogicalPlan, is_step: &dyn Fn(&str) -> bool) -> DataFusionResult<bool> {
    let (mut is_grouped, mut stands_alone) = (false, true);
    plan.apply_with_subqueries(|node| {
        is_grouped |= matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_));
        stands_alone &= match node {
            LogicalPlan::TableScan(scan) => !is_step(scan.table_name.table()),
            LogicalPlan::RecursiveQuery(_) => false,
            other => {
                !other.contains_outer_reference()
                    && !other.expressions().iter().any(Expr::is_volatile)
            }
        };
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(is_grouped && stands_alone)
}

/// Whether two places at least read as much as there is: everything that the table reads is read twice in the optimised
/// plan, where no filter on values has moved down to it.
fn is_read_whole(
    context: &SessionContext,
    alias: &SubqueryAlias,
    optimized: &LogicalPlan,
) -> DataFusionResult<bool> {
    let alone = session::optimized(context, &alias.input)?;
    let everything = reads(optimized)?;
    let is_twice = |own: &Read| {
        let whole = everything.iter().filter(|read| {
            let is_added = |filter: &&Expr| !own.filters.contains(filter);
            read.table == own.table
                && own
                    .filters
                    .iter()
                    .all(|filter| read.filters.contains(filter))
                && !read.filters.iter().filter(is_added).any(compares)
        });
        whole.count() > 1
    };
    let own = reads(&alone)?;
    Ok(!own.is_empty() && own.iter().all(is_twice))
}

/// A table that a plan reads, and what it wants of it.
struct Read {
    table: TableReference,
    filters: Vec<Expr>,
}

fn reads(plan: &LogicalPlan) -> DataFusionResult<Vec<Read>> {
    let mut reads = Vec::new();
    // What stands directly above a scan, until the scan itself comes.
    let mut above = Vec::new();
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Filter(filter) => {
                if let LogicalPlan::TableScan(scan) = filter.input.as_ref() {
                    let parts = split_conjunction(&filter.predicate).into_iter().cloned();
                    above.push((std::ptr::from_ref(scan), parts.collect::<Vec<_>>()));
                }
            }
            LogicalPlan::TableScan(scan) => {
                let mut filters = scan.filters.clone();
                let place = above.iter().position(|(of, _)| std::ptr::eq(*of, scan));
                if let Some(place) = place {
                    filters.extend(above.swap_remove(place).1);
                }
                reads.push(Read {
                    table: scan.table_name.clone(),
                    filters,
                });
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(reads)
}

/// Whether a filter compares with values, and so may let few rows through.
fn compares(filter: &Expr) -> bool {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.is_logic_operator() => {
            compares(left) || compares(right)
        }
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => [left, right]
            .iter()
            .any(|side| matches!(side.as_ref(), Expr::Literal(..))),
        Expr::Not(filter) => compares(filter),
        Expr::InList(_) | Expr::Like(_) | Expr::Between(_) => true,
        _ => false,
    }
}

/// The table as it lies in memory, which is not more than there is room; the plan that makes it was carried out.
async fn in_memory(
    context: &SessionContext,
    alias: &SubqueryAlias,
    input: &LogicalPlan,
    room_bytes: &mut usize,
) -> DataFusionResult<(Option<LogicalPlan>, Arc<dyn ExecutionPlan>)> {
    let schema = Arc::new(Schema::new(alias.input.schema().fields().clone()));
    let optimized = session::optimized(context, input)?;
    let physical = session::physical(context, &optimized).await?;
    let mut stream = execute_stream(Arc::clone(&physical), context.task_ctx())?;
    let (mut batches, mut left_bytes) = (Vec::new(), *room_bytes);
    while let Some(batch) = stream.try_next().await? {
        let Some(left) = left_bytes.checked_sub(own_bytes(&batch)) else {
            return Ok((None, physical));
        };
        left_bytes = left;
        let columns = batch.columns().to_vec();
        batches.push(RecordBatch::try_new(Arc::clone(&schema), columns)?);
    }
    *room_bytes = left_bytes;
    let table = MemTable::try_new(schema, vec![batches])?;
    let table = provider_as_source(Arc::new(table));
    let scan = LogicalPlanBuilder::scan(alias.alias.clone(), table, None)?;
    Ok((Some(scan.build()?), physical))
}

/// Bytes of a batch's rows: batches that are parts of one share its buffers.
fn own_bytes(batch: &RecordBatch) -> usize {
    let of_column = |column: &ArrayRef| {
        let own = column.to_data().get_slice_memory_size();
        own.unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(of_column).sum()
}

#[cfg(test)]
mod tests {
    use datafusion::{arrow::util::pretty::pretty_format_batches, physical_plan::collect};

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
        let optimized = context.state().optimize(&written).unwrap();
        let shortened = compute_once(&context, &written, &optimized)
            .await
            .unwrap()
            .unwrap()
            .plan;
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
            let optimized = context.state().optimize(&written).unwrap();
            assert!(
                compute_once(&context, &written, &optimized)
                    .await
                    .unwrap()
                    .is_none(),
                "{sql}"
            );
        }
    }

    /// The tables in memory that a plan reads.
    fn tables(plan: &LogicalPlan) -> Vec<String> {
        let reads = reads(plan).unwrap();
        let names = reads.iter().map(|read| read.table.table().to_owned());
        names.filter(|name| name != "calls").collect()
    }

    #[tokio::test]
    async fn grouped_tables_that_are_read_more_than_once_are_grouped_once() {
        let context = context().await;
        for (sql, expected) in [
            (
                "WITH hops AS (SELECT caller, role, count(*) AS n FROM calls GROUP BY caller, role)
                 SELECT a.caller, b.role, b.n FROM hops AS a JOIN hops AS b ON b.caller = a.role ORDER BY 1, 2",
                vec!["hops", "hops"],
            ),
            (
                "WITH hops AS (SELECT caller, role FROM calls GROUP BY caller, role),
                 ends AS (SELECT role, count(*) AS n FROM hops WHERE role NOT IN (SELECT caller FROM hops) GROUP BY role)
                 SELECT role, n FROM ends WHERE n IN (SELECT max(n) FROM ends) ORDER BY role",
                vec!["ends", "ends"],
            ),
            // What is asked of one place is less than the whole, but no value of it.
            (
                "WITH hops AS (SELECT caller, role, count(*) AS n FROM calls GROUP BY caller, role)
                 SELECT caller FROM hops WHERE role IS NOT NULL UNION ALL SELECT role FROM hops ORDER BY 1",
                vec!["hops", "hops"],
            ),
        ] {
            let written = plan(&context, sql).await;
            let optimized = context.state().optimize(&written).unwrap();
            let shortened = compute_once(&context, &written, &optimized).await.unwrap();
            let shortened = shortened.unwrap().plan;
            assert_eq!(tables(&shortened), expected, "{sql}");
            let expected = rows(&context, written).await;
            assert_eq!(rows(&context, shortened).await, expected, "{sql}");
        }
    }

    #[tokio::test]
    async fn a_part_of_a_grouped_table_is_not_computed_with_all_of_it() {
        let context = context().await;
        for sql in [
            "WITH hops AS (SELECT caller, role FROM calls GROUP BY caller, role)
             SELECT a.caller FROM hops AS a JOIN hops AS b ON b.caller = a.role WHERE a.caller = 'a'",
            "WITH hops AS (SELECT caller, role, random() AS r FROM calls GROUP BY caller, role)
             SELECT a.caller FROM hops AS a JOIN hops AS b ON b.caller = a.role",
            "WITH hops AS (SELECT caller, role FROM calls GROUP BY caller, role) SELECT caller FROM hops",
        ] {
            let written = plan(&context, sql).await;
            let optimized = context.state().optimize(&written).unwrap();
            let shortened = compute_once(&context, &written, &optimized).await.unwrap();
            assert!(shortened.is_none(), "{sql}");
        }
    }

    #[tokio::test]
    async fn a_table_that_is_too_large_stays_where_it_is_read() {
        let context = context().await;
        let sql = "WITH hops AS (SELECT caller, role, count(*) AS n FROM calls GROUP BY caller, role),
             ends AS (SELECT count(*) AS n FROM calls GROUP BY role HAVING count(*) > 1)
             SELECT a.caller, b.role FROM hops AS a JOIN hops AS b ON b.caller = a.role
             WHERE a.n <= (SELECT max(n) FROM ends) AND b.n <= (SELECT min(n) FROM ends) ORDER BY 1, 2";
        let written = plan(&context, sql).await;
        let optimized = context.state().optimize(&written).unwrap();
        let expected = rows(&context, written.clone()).await;
        for (most_bytes, in_memory) in [
            (MOST_BYTES, vec!["ends", "ends", "hops", "hops"]),
            // One row of eight bytes is all that there is room for.
            (8, vec!["ends", "ends"]),
            (0, vec![]),
        ] {
            let shortened = compute_within(&context, &written, &optimized, most_bytes).await;
            let Shortened { plan, computed } = shortened.unwrap().unwrap();
            let mut found = tables(&plan);
            found.sort();
            assert_eq!(found, in_memory, "{most_bytes}");
            assert_eq!(computed.len(), 2, "both were carried out");
            assert_eq!(rows(&context, plan).await, expected, "{most_bytes}");
        }
    }
}
