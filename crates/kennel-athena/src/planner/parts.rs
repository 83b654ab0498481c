//! `BETWEEN`, `IN` and `IS DISTINCT FROM` of values with parts, which DataFusion compares otherwise, and
//! of doubles, which it puts below NaN.

use datafusion::{
    arrow::datatypes::DataType,
    common::{
        DFSchema,
        config::ConfigOptions,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    error::Result,
    logical_expr::{
        Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator,
        expr::{InList, ScalarFunction},
        expr_rewriter::NamePreserver,
        not,
    },
    optimizer::AnalyzerRule,
};

use super::floats::is_number;
use crate::functions;

/// Writes such comparisons with this crate's functions. To be asked before types are coerced.
#[derive(Debug)]
pub(crate) struct PartwiseComparisons;

impl AnalyzerRule for PartwiseComparisons {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            if matches!(node, LogicalPlan::TableScan(_)) {
                return Ok(Transformed::no(node));
            }
            let mut schema = DFSchema::empty();
            for input in node.inputs() {
                schema.merge(input.schema());
            }
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let changed = expr.transform_up(|expr| rewritten(expr, &schema))?;
                Ok(changed.update_data(|expr| name.restore(expr)))
            })?
            .map_data(LogicalPlan::recompute_schema)
        })
        .data()
    }

    fn name(&self) -> &str {
        "partwise_comparisons"
    }
}

fn has_parts(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(
        expr.get_type(schema),
        Ok(DataType::Struct(_) | DataType::List(_) | DataType::Map(..))
    )
}

fn compared(sign: &str, left: &Expr, right: &Expr) -> Option<Expr> {
    let function = functions::nested_comparison(sign)?;
    let call = ScalarFunction::new_udf(function, vec![left.clone(), right.clone()]);
    Some(Expr::ScalarFunction(call))
}

fn negated_if(negated: bool, expr: Expr) -> Expr {
    if negated { not(expr) } else { expr }
}

fn rewritten(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let changed = match &expr {
        Expr::Between(between) => self::between(between, schema),
        Expr::InList(list) => in_list(list, schema),
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
                && (has_parts(left, schema) || has_parts(right, schema)) =>
        {
            let sides = vec![left.as_ref().clone(), right.as_ref().clone()];
            let call = ScalarFunction::new_udf(functions::distinct(), sides);
            let is_negated = *op == Operator::IsNotDistinctFrom;
            Some(negated_if(is_negated, Expr::ScalarFunction(call)))
        }
        _ => None,
    };
    Ok(match changed {
        Some(changed) => Transformed::yes(changed),
        None => Transformed::no(expr),
    })
}

fn between(between: &Between, schema: &DFSchema) -> Option<Expr> {
    let Between {
        expr,
        negated,
        low,
        high,
    } = between;
    if [expr, low, high].iter().any(|side| has_parts(side, schema)) {
        let within = compared(">=", expr, low)?.and(compared("<=", expr, high)?);
        return Some(negated_if(*negated, within));
    }
    let may_be_nan = high.get_type(schema).is_ok_and(|given| given.is_floating());
    if !may_be_nan || is_number(high) {
        return None;
    }
    let is_nan = ScalarFunction::new_udf(functions::is_nan(), vec![high.as_ref().clone()]);
    let plain = Between {
        negated: false,
        ..between.clone()
    };
    let within = Expr::Between(plain).and(not(Expr::ScalarFunction(is_nan)));
    Some(negated_if(*negated, within))
}

fn in_list(list: &InList, schema: &DFSchema) -> Option<Expr> {
    let InList {
        expr,
        list,
        negated,
    } = list;
    if !(has_parts(expr, schema) || list.iter().any(|item| has_parts(item, schema))) {
        return None;
    }
    let equal = list.iter().map(|item| compared("=", expr, item));
    let any = equal
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .reduce(Expr::or)?;
    Some(negated_if(*negated, any))
}
