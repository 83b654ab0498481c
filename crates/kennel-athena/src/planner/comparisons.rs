//! Comparisons that no planner hook meets: `BETWEEN`, `IN` and `CASE x WHEN y`.
//!
//! Where Athena refuses to compare the types, DataFusion would cast text to the other type, or the other
//! way round, and compare what people did not mean.

use datafusion::{
    arrow::datatypes::DataType,
    common::{
        DFSchema,
        config::ConfigOptions,
        plan_err,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    error::Result,
    logical_expr::{Case, Expr, ExprSchemable, LogicalPlan},
    optimizer::AnalyzerRule,
};

use super::operators::{check, comparable};
use crate::{functions::type_name, types::is_text};

/// Refuses what Athena refuses; changes nothing. To be asked before types are coerced.
#[derive(Debug)]
pub(crate) struct Comparisons;

impl AnalyzerRule for Comparisons {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            if matches!(node, LogicalPlan::TableScan(_)) {
                return Ok(TreeNodeRecursion::Continue);
            }
            let mut schema = DFSchema::empty();
            for input in node.inputs() {
                schema.merge(input.schema());
            }
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    examine(expr, &schema)?;
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(plan)
    }

    fn name(&self) -> &str {
        "comparisons"
    }
}

fn examine(expr: &Expr, schema: &DFSchema) -> Result<()> {
    match expr {
        Expr::Between(between) => {
            check(&between.expr, ">=", &between.low, schema)?;
            check(&between.expr, "<=", &between.high, schema)
        }
        Expr::InList(list) => list
            .list
            .iter()
            .try_for_each(|item| check(&list.expr, "IN", item, schema)),
        Expr::InSubquery(within) => {
            let values = within.subquery.subquery.schema();
            match (within.expr.get_type(schema), values.fields().first()) {
                (Ok(wanted), Some(value)) => comparable(&wanted, "IN", value.data_type()),
                _ => Ok(()),
            }
        }
        Expr::Like(like) => match like.expr.get_type(schema) {
            Ok(given) if !is_text(&given) && given != DataType::Null => {
                plan_err!(
                    "LIKE takes a varchar on its left, not {}",
                    type_name(&given)
                )
            }
            _ => Ok(()),
        },
        Expr::AggregateFunction(aggregate) => match &aggregate.params.filter {
            Some(filter) => match filter.get_type(schema) {
                Ok(DataType::Boolean | DataType::Null) | Err(_) => Ok(()),
                Ok(other) => {
                    plan_err!("a condition must be a boolean, not {}", type_name(&other))
                }
            },
            None => Ok(()),
        },
        Expr::Case(case) => examine_case(case, schema),
        _ => Ok(()),
    }
}

/// Values must be comparable with the operand, conditions booleans, and results of one type.
fn examine_case(case: &Case, schema: &DFSchema) -> Result<()> {
    for (when, _) in &case.when_then_expr {
        match (&case.expr, when.get_type(schema)) {
            (Some(operand), _) => check(operand, "=", when, schema)?,
            (None, Ok(DataType::Boolean | DataType::Null) | Err(_)) => {}
            (None, Ok(other)) => {
                return plan_err!(
                    "the condition of CASE or if must be a boolean, not {}",
                    type_name(&other)
                );
            }
        }
    }
    let results = case.when_then_expr.iter().map(|(_, result)| result);
    let mut results = results.chain(&case.else_expr).filter(|result| {
        !matches!(result.as_ref(), Expr::Placeholder(_))
            && result
                .get_type(schema)
                .is_ok_and(|given| given != DataType::Null)
    });
    let Some(first) = results.next() else {
        return Ok(());
    };
    results.try_for_each(
        |result| match (first.get_type(schema), result.get_type(schema)) {
            (Ok(a), Ok(b)) if comparable(&a, "=", &b).is_err() => plan_err!(
                "All results of CASE or if must be of one type: {} and {} have none in common",
                type_name(&a),
                type_name(&b)
            ),
            _ => Ok(()),
        },
    )
}
