//! Comparisons that no planner hook meets: `BETWEEN`, `IN` and `CASE x WHEN y`.
//!
//! Where Athena refuses to compare the types, DataFusion would cast text to the other type, or the other
//! way round, and compare what people did not mean.

use datafusion::{
    arrow::datatypes::DataType,
    common::{
        DFSchema, ScalarValue,
        config::ConfigOptions,
        plan_err,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    error::Result,
    logical_expr::{Case, Expr, ExprSchemable, LogicalPlan},
    optimizer::AnalyzerRule,
};

use super::operators::{check, comparable};
use crate::{
    functions::{common_type, type_name},
    types::is_text,
};

/// Refuses what Athena refuses; changes nothing. To be asked before types are coerced.
#[derive(Debug)]
pub(crate) struct Comparisons;

impl AnalyzerRule for Comparisons {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            if matches!(node, LogicalPlan::TableScan(_)) {
                return Ok(TreeNodeRecursion::Continue);
            }
            examine_node(node)?;
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

/// Columns of a union need a type in common; columns that are joined, as those of `USING`, `INTERSECT` and `EXCEPT`
/// are, must be comparable.
fn examine_node(node: &LogicalPlan) -> Result<()> {
    match node {
        LogicalPlan::Union(union) => {
            let Some((first, others)) = union.inputs.split_first() else {
                return Ok(());
            };
            let types = |input: &LogicalPlan| -> Vec<DataType> {
                let fields = input.schema().fields().iter();
                fields.map(|field| field.data_type().clone()).collect()
            };
            let mut common = types(first);
            for other in others {
                let other = types(other);
                for (place, (a, b)) in common.iter_mut().zip(&other).enumerate() {
                    match common_type(&[a.clone(), b.clone()]) {
                        Some(both) => *a = both,
                        None => {
                            return plan_err!(
                                "column {} in UNION query has incompatible types: {}, {}",
                                place + 1,
                                type_name(a),
                                type_name(b)
                            );
                        }
                    }
                }
            }
            Ok(())
        }
        LogicalPlan::Values(values) => values.values.iter().flatten().try_for_each(examine_value),
        LogicalPlan::Join(join) => join.on.iter().try_for_each(|(left, right)| {
            match (
                left.get_type(join.left.schema()),
                right.get_type(join.right.schema()),
            ) {
                (Ok(left), Ok(right)) => comparable(&left, "=", &right),
                _ => Ok(()),
            }
        }),
        _ => Ok(()),
    }
}

/// DataFusion would read a text as the number that is above it in its column.
fn examine_value(value: &Expr) -> Result<()> {
    let Expr::Cast(cast) = value else {
        return Ok(());
    };
    let to = cast.field.data_type();
    let is_no_number = |value: &ScalarValue| match value.try_as_str() {
        Some(Some(text)) => text.trim().parse::<i128>().is_err(),
        _ => false,
    };
    match cast.expr.as_ref() {
        Expr::Literal(text, _) if is_no_number(text) && to.is_integer() => plan_err!(
            "the rows of VALUES have incompatible types: {}, {}",
            type_name(to),
            type_name(&text.data_type())
        ),
        _ => Ok(()),
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
        Expr::Case(case) => examine_case(case, schema),
        Expr::AggregateFunction(aggregate) => examine_filter(&aggregate.params.filter, schema),
        Expr::WindowFunction(window) => examine_filter(&window.params.filter, schema),
        _ => Ok(()),
    }
}

/// DataFusion would take a number for a condition.
fn examine_filter(filter: &Option<Box<Expr>>, schema: &DFSchema) -> Result<()> {
    match filter.as_ref().map(|condition| condition.get_type(schema)) {
        None | Some(Ok(DataType::Boolean | DataType::Null) | Err(_)) => Ok(()),
        Some(Ok(other)) => plan_err!("a condition must be a boolean, not {}", type_name(&other)),
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
