//! The columns of what `try` evaluates, beside it.
//!
//! Trino evaluates the columns of a subquery before `try` does, so that their errors stay errors. DataFusion puts
//! the expression of such a column into the lambda; as an argument of its own it is evaluated outside of it, too.

use datafusion::{
    common::{
        config::ConfigOptions,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    error::Result,
    logical_expr::{Expr, LogicalPlan, expr::HigherOrderFunction, expr_rewriter::NamePreserver},
    optimizer::AnalyzerRule,
};

use crate::functions::TRY;

/// Makes the columns of what is tried arguments of `try`.
#[derive(Debug)]
pub(crate) struct TriedColumns;

impl AnalyzerRule for TriedColumns {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let changed = plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let changed = expr.transform_up(with_columns)?;
                Ok(changed.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "tried_columns"
    }
}

fn with_columns(mut expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::HigherOrderFunction(HigherOrderFunction { func, args }) = &mut expr else {
        return Ok(Transformed::no(expr));
    };
    let [Expr::Lambda(tried)] = args.as_slice() else {
        return Ok(Transformed::no(expr));
    };
    if func.name() != TRY {
        return Ok(Transformed::no(expr));
    }
    let mut columns = vec![];
    tried.body.apply(|part| {
        if matches!(part, Expr::Column(_)) && !columns.contains(part) {
            columns.push(part.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if columns.is_empty() {
        return Ok(Transformed::no(expr));
    }
    args.extend(columns);
    Ok(Transformed::yes(expr))
}
