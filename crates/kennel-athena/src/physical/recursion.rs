//! The depth of `WITH RECURSIVE … UNION ALL`: Athena ends with an error where ten steps are not enough, DataFusion
//! goes on for ever.
//!
//! A recursion by `UNION` ends when nothing new is found, which Athena does not do: it is no deeper than its rows are many.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use datafusion::{
    common::{
        config::ConfigOptions,
        exec_err,
        tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion},
    },
    error::Result,
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::PhysicalExpr,
    physical_optimizer::PhysicalOptimizerRule,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
        ReplaceChildrenOptions, recursive_query::RecursiveQueryExec,
        stream::RecordBatchStreamAdapter,
    },
};
use futures::StreamExt;

/// Steps that may have rows; Athena's `max_recursion_depth`, which cannot be set there.
const DEEPEST: usize = 10;

/// Counts the steps of recursions, and ends those that go deeper.
#[derive(Debug)]
pub(crate) struct RecursionDepth;

impl PhysicalOptimizerRule for RecursionDepth {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let Some(recursion) = plan.downcast_ref::<RecursiveQueryExec>() else {
                return Ok(Transformed::no(plan));
            };
            if recursion.is_distinct() {
                return Ok(Transformed::no(plan));
            }
            let steps = Arc::new(AtomicUsize::new(0));
            let counted = |input: &Arc<dyn ExecutionPlan>, is_step| {
                Arc::new(Counted {
                    input: Arc::clone(input),
                    name: recursion.name().to_owned(),
                    is_step,
                    steps: Arc::clone(&steps),
                }) as Arc<dyn ExecutionPlan>
            };
            let terms = vec![
                counted(recursion.static_term(), false),
                counted(recursion.recursive_term(), true),
            ];
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Ok(Transformed::yes(plan.replace_children(terms, options)?))
        })
        .data()
    }

    fn name(&self) -> &str {
        "recursion_depth"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A term of a recursion. The first one is carried out when a recursion begins, the other one for each step.
#[derive(Debug)]
struct Counted {
    input: Arc<dyn ExecutionPlan>,
    /// What the recursion is called.
    name: String,
    is_step: bool,
    /// The number of the step, shared by both terms.
    steps: Arc<AtomicUsize>,
}

impl DisplayAs for Counted {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let term = if self.is_step { "step" } else { "start" };
        write!(f, "RecursionTermExec: {term} of {}", self.name)
    }
}

impl ExecutionPlan for Counted {
    fn name(&self) -> &'static str {
        "RecursionTermExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Self {
            input,
            name: self.name.clone(),
            is_step: self.is_step,
            steps: Arc::clone(&self.steps),
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        if !self.is_step {
            self.steps.store(0, Ordering::Relaxed);
            return Ok(rows);
        }
        if self.steps.fetch_add(1, Ordering::Relaxed) < DEEPEST {
            return Ok(rows);
        }
        let name = self.name.clone();
        let schema = rows.schema();
        let refused = rows.map(move |batch| match batch? {
            batch if batch.num_rows() > 0 => exec_err!(
                "Recursion depth limit exceeded: `{name}` still finds rows after {DEEPEST} steps"
            ),
            batch => Ok(batch),
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, refused)))
    }
}
