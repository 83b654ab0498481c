//! Comparisons of floating-point numbers. Arrow puts NaN above all numbers and equal to itself; in
//! Trino, as in IEEE 754, a comparison with NaN is false, and `<>` true.

use datafusion::{
    common::{DFSchema, ScalarValue},
    logical_expr::{
        Expr, ExprSchemable, Operator, binary_expr,
        expr::ScalarFunction,
        not, or,
        planner::{PlannerResult, RawBinaryExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};

use crate::functions;

/// Plans a comparison so that NaN passes none; leaves to DataFusion what NaN cannot get wrong.
///
/// Only one side needs a guard: where the other one is NaN, Arrow's order gives Trino's answer. So a
/// constant on the right side of the sign costs nothing, and bounds of a column still prune.
pub(super) fn plan(raw: RawBinaryExpr, schema: &DFSchema) -> PlannerResult<RawBinaryExpr> {
    let (operator, guarded) = match raw.op {
        BinaryOperator::Eq => (Operator::Eq, &raw.left),
        BinaryOperator::NotEq => (Operator::NotEq, &raw.left),
        BinaryOperator::Gt => (Operator::Gt, &raw.left),
        BinaryOperator::GtEq => (Operator::GtEq, &raw.left),
        BinaryOperator::Lt => (Operator::Lt, &raw.right),
        BinaryOperator::LtEq => (Operator::LtEq, &raw.right),
        _ => return PlannerResult::Original(raw),
    };
    let is_equality = matches!(operator, Operator::Eq | Operator::NotEq);
    let other = if matches!(operator, Operator::Lt | Operator::LtEq) {
        &raw.left
    } else {
        &raw.right
    };
    let is_numeric = |expr: &Expr| expr.get_type(schema).is_ok_and(|given| given.is_numeric());
    let is_floating = |expr: &Expr| expr.get_type(schema).is_ok_and(|given| given.is_floating());
    // Of two equal numbers, neither is NaN if one is not.
    let is_safe = is_number(guarded) || is_equality && is_number(other);
    if !is_floating(guarded) || !is_numeric(other) || is_safe {
        return PlannerResult::Original(raw);
    }
    let is_nan = ScalarFunction::new_udf(functions::is_nan(), vec![guarded.clone()]);
    let is_nan = Expr::ScalarFunction(is_nan);
    let compared = binary_expr(raw.left.clone(), operator, raw.right.clone());
    PlannerResult::Planned(match operator {
        Operator::NotEq => or(compared, is_nan),
        _ => compared.and(not(is_nan)),
    })
}

/// Is this a constant, and not NaN?
pub(super) fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::Float64(Some(number)), _) => !number.is_nan(),
        Expr::Literal(ScalarValue::Float32(Some(number)), _) => !number.is_nan(),
        Expr::Literal(value, _) => value.data_type().is_integer() || value.data_type().is_decimal(),
        Expr::Cast(cast) => is_number(&cast.expr),
        _ => false,
    }
}
