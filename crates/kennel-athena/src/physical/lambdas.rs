//! Where the parameters of lambdas stand in a physical plan.
//!
//! A lambda's parameters are numbered after the columns of its input. When DataFusion merges two
//! projections, the upper one meets an input with more columns; columns are numbered anew and
//! parameters are not, so that one is taken for a column.

use std::sync::Arc;

use datafusion::{
    common::{
        config::ConfigOptions,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    error::Result,
    physical_expr::{
        HigherOrderFunctionExpr, PhysicalExpr,
        expressions::{LambdaExpr, LambdaVariable},
    },
    physical_optimizer::PhysicalOptimizerRule,
    physical_plan::{ExecutionPlan, projection::ProjectionExec},
};

/// Numbers the parameters of lambdas in projections anew.
#[derive(Debug)]
pub(crate) struct LambdaParameters;

impl PhysicalOptimizerRule for LambdaParameters {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let Some(projection) = plan.downcast_ref::<ProjectionExec>() else {
                return Ok(Transformed::no(plan));
            };
            let has_lambda = projection
                .expr()
                .iter()
                .any(|item| item.expr.exists(is_lambda).unwrap_or(false));
            if !has_lambda {
                return Ok(Transformed::no(plan));
            }
            let width = projection.input().schema().fields().len();
            let items = projection.expr().iter().map(|item| {
                let expr = renumbered(&item.expr, width, &mut vec![])?;
                Ok((expr, item.alias.clone()))
            });
            let items = items.collect::<Result<Vec<_>>>()?;
            let input = Arc::clone(projection.input());
            Ok(Transformed::yes(
                Arc::new(ProjectionExec::try_new(items, input)?) as _,
            ))
        })
        .data()
    }

    fn name(&self) -> &str {
        "lambda_parameters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is_lambda(expr: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    Ok(expr.downcast_ref::<LambdaExpr>().is_some())
}

/// The expression for an input of so many columns; `scope` holds the parameters around it and their
/// places, the innermost last.
fn renumbered(
    expr: &Arc<dyn PhysicalExpr>,
    width: usize,
    scope: &mut Vec<(String, usize)>,
) -> Result<Arc<dyn PhysicalExpr>> {
    if let Some(variable) = expr.downcast_ref::<LambdaVariable>() {
        let place = scope.iter().rev().find(|(name, _)| name == variable.name());
        return Ok(match place {
            Some((_, place)) => Arc::new(LambdaVariable::new(*place, Arc::clone(variable.field()))),
            None => Arc::clone(expr),
        });
    }
    let children = expr.children();
    if children.is_empty() {
        return Ok(Arc::clone(expr));
    }
    let is_call = expr.downcast_ref::<HigherOrderFunctionExpr>().is_some();
    let mut changed = Vec::with_capacity(children.len());
    for child in children {
        changed.push(match child.downcast_ref::<LambdaExpr>() {
            Some(lambda) if is_call => {
                let before = scope.len();
                let parameters = lambda.params().iter().cloned();
                scope.extend(parameters.zip(width..));
                let inner = width + lambda.params().len();
                let body = renumbered(lambda.body(), inner, scope)?;
                scope.truncate(before);
                Arc::new(LambdaExpr::try_new(lambda.params().to_vec(), body)?)
            }
            _ => renumbered(child, width, scope)?,
        });
    }
    Arc::clone(expr).with_new_children(changed)
}
