//! `BETWEEN`, `IN` and `IS DISTINCT FROM` of values with parts, which DataFusion compares otherwise, and
//! of doubles, which it puts below NaN; `CASE` whose results have no common type in DataFusion.

use datafusion::{
    arrow::datatypes::DataType,
    common::{
        DFSchema, ScalarValue,
        config::ConfigOptions,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    error::Result,
    logical_expr::{
        Between, BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, WindowFrame,
        WindowFrameUnits,
        expr::{InList, ScalarFunction, WindowFunction},
        expr_rewriter::NamePreserver,
        not,
    },
    optimizer::AnalyzerRule,
};

use super::{floats::is_number, keys};
use crate::{functions, types::fine::Fine};

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

/// Casts the results of `CASE` where DataFusion would find another type for them, or none.
fn of_one_type(case: &Case, schema: &DFSchema) -> Option<Expr> {
    let results = case.when_then_expr.iter().map(|(_, result)| result);
    let results = results.chain(&case.else_expr);
    let types = results.map(|result| result.get_type(schema).ok());
    let types = types.collect::<Option<Vec<_>>>()?;
    let is_mixed =
        types.iter().any(DataType::is_floating) && types.iter().any(DataType::is_decimal);
    let is_fine = types.iter().any(|given| Fine::of(given).is_some());
    let common = functions::common_type(&types)
        .filter(|common| (is_mixed || is_fine) && types.iter().any(|given| given != common))?;
    let cast = |result: &Expr| Box::new(functions::cast_expr(result.clone(), &common));
    let when_then = case.when_then_expr.iter();
    let when_then = when_then.map(|(when, result)| (when.clone(), cast(result)));
    Some(Expr::Case(Case::new(
        case.expr.clone(),
        when_then.collect(),
        case.else_expr.as_ref().map(|result| cast(result)),
    )))
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
        Expr::Case(case) => of_one_type(case, schema),
        Expr::WindowFunction(window) => windowed(window, schema),
        Expr::AggregateFunction(aggregate) if aggregate.params.distinct => {
            let mut same = aggregate.clone();
            for arg in &mut same.params.args {
                *arg = keys::same(arg.clone(), schema);
            }
            (same != *aggregate).then_some(Expr::AggregateFunction(same))
        }
        // The least integer has no opposite; DataFusion's minus gives it back.
        Expr::Negative(inner) if !matches!(inner.as_ref(), Expr::Literal(..)) => {
            match inner.get_type(schema) {
                Ok(given) if given.is_signed_integer() => {
                    let zero = Expr::Literal(ScalarValue::new_zero(&given)?, None);
                    functions::operator("-").map(|minus| {
                        let sides = vec![zero, inner.as_ref().clone()];
                        Expr::ScalarFunction(ScalarFunction::new_udf(minus, sides))
                    })
                }
                _ => None,
            }
        }
        _ => None,
    };
    Ok(match changed {
        Some(changed) => Transformed::yes(changed),
        None => Transformed::no(expr),
    })
}

/// Partitions by what is equal. DataFusion has no ranges of rows and of bytes, but groups of them, which are the same where
/// nothing is added to a key.
fn windowed(window: &WindowFunction, schema: &DFSchema) -> Option<Expr> {
    let mut changed = window.clone();
    for key in &mut changed.params.partition_by {
        *key = keys::same(key.clone(), schema);
    }
    for key in &mut changed.params.order_by {
        key.expr = keys::same(key.expr.clone(), schema);
    }
    let keys = window.params.order_by.iter();
    let mut types = keys.filter_map(|key| key.expr.get_type(schema).ok());
    let has_no_range = types.any(|given| {
        matches!(
            given,
            DataType::Struct(_)
                | DataType::Map(..)
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::FixedSizeBinary(_)
                | DataType::Interval(_)
        )
    });
    let frame = &mut changed.params.window_frame;
    if has_no_range && frame.units == WindowFrameUnits::Range {
        *frame = WindowFrame::new_bounds(
            WindowFrameUnits::Groups,
            frame.start_bound.clone(),
            frame.end_bound.clone(),
        );
    }
    (changed != *window).then(|| Expr::WindowFunction(Box::new(changed)))
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
