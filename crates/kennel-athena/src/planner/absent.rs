//! Scalar subqueries without rows: null, though their column never is.
//!
//! DataFusion takes such a subquery to be as little null as its column, and fails where the null comes.

use datafusion::{
    common::{
        config::ConfigOptions,
        tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion},
    },
    error::Result,
    logical_expr::{Expr, LogicalPlan, expr::ScalarFunction, expr_rewriter::NamePreserver},
    optimizer::AnalyzerRule,
};

use crate::functions;

/// Lets scalar subqueries be null. To be asked after those that ask for outer values became joins.
#[derive(Debug)]
pub(crate) struct AbsentRows;

impl AnalyzerRule for AbsentRows {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mut is_there = false;
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                is_there |= expr.exists(|part| Ok(is_never_null(part)))?;
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        if !is_there {
            return Ok(plan);
        }
        plan.transform_up_with_subqueries(|node| {
            if matches!(node, LogicalPlan::TableScan(_)) {
                return Ok(Transformed::no(node));
            }
            let names = NamePreserver::new(&node);
            let changed = node.map_expressions(|expr| {
                let name = names.save(&expr);
                let changed = expr.transform_up(|part| Ok(or_null(part)))?;
                Ok(changed.update_data(|expr| name.restore(expr)))
            })?;
            changed.map_data(LogicalPlan::recompute_schema)
        })
        .data()
    }

    fn name(&self) -> &str {
        "absent_rows"
    }
}

fn is_never_null(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarSubquery(query) => {
            let fields = query.subquery.schema().fields();
            query.outer_ref_columns.is_empty() && fields.iter().all(|field| !field.is_nullable())
        }
        _ => false,
    }
}

fn or_null(expr: Expr) -> Transformed<Expr> {
    if !is_never_null(&expr) {
        return Transformed::no(expr);
    }
    let call = ScalarFunction::new_udf(functions::or_null(), vec![expr]);
    Transformed::yes(Expr::ScalarFunction(call))
}
