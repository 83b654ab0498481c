//! Operators whose meaning depends on types: arithmetic on integers and decimals, intervals times
//! numbers, and comparisons that Athena refuses.

use datafusion::{
    arrow::datatypes::DataType,
    common::{DFSchema, ScalarValue, plan_err},
    error::Result,
    logical_expr::{
        Expr, ExprSchemable,
        expr::ScalarFunction,
        planner::{PlannerResult, RawBinaryExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};

use crate::{
    functions::{self, type_name},
    types::{is_binary, is_text},
};

/// Plans an operator, or leaves it to DataFusion.
pub(super) fn plan(raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
    let sign = match raw.op {
        BinaryOperator::Plus => "+",
        BinaryOperator::Minus => "-",
        BinaryOperator::Multiply => "*",
        BinaryOperator::Divide => "/",
        BinaryOperator::Modulo => "%",
        BinaryOperator::Eq
        | BinaryOperator::NotEq
        | BinaryOperator::Lt
        | BinaryOperator::LtEq
        | BinaryOperator::Gt
        | BinaryOperator::GtEq => {
            compare(&raw, schema)?;
            return Ok(PlannerResult::Original(raw));
        }
        BinaryOperator::StringConcat => return concat(raw, schema),
        _ => return Ok(PlannerResult::Original(raw)),
    };
    // What has no type yet (a parameter) or none at all is for DataFusion to say.
    let (Ok(left), Ok(right)) = (raw.left.get_type(schema), raw.right.get_type(schema)) else {
        return Ok(PlannerResult::Original(raw));
    };
    let is_exact = |data_type: &DataType| data_type.is_integer() || data_type.is_decimal();
    let is_span =
        |data_type: &DataType| matches!(data_type, DataType::Interval(_) | DataType::Duration(_));
    let null = DataType::Null;
    let is_ours = match (&left, &right) {
        (left, right) if is_exact(left) => is_exact(right) || *right == null,
        (left, right) if is_exact(right) => *left == null,
        _ => false,
    };
    refuse_hours_of_a_date(&raw, &left, &right)?;
    let is_moment =
        |data_type: &DataType| matches!(data_type, DataType::Date32 | DataType::Timestamp(..));
    let is_time =
        |data_type: &DataType| matches!(data_type, DataType::Time32(_) | DataType::Time64(_));
    let is_ours_too = match (sign, &left, &right) {
        ("-", left, right) => {
            is_moment(left) && is_moment(right) || is_time(left) && is_time(right)
        }
        ("*", left, right) => {
            is_span(left) && right.is_numeric() || left.is_numeric() && is_span(right)
        }
        ("/", left, right) => is_span(left) && right.is_numeric(),
        _ => false,
    };
    let function = if is_ours {
        functions::operator(sign)
    } else if is_ours_too {
        functions::interval_operator(sign)
    } else {
        None
    };
    Ok(match function {
        Some(function) => {
            let call = ScalarFunction::new_udf(function, vec![raw.left, raw.right]);
            PlannerResult::Planned(Expr::ScalarFunction(call))
        }
        None => PlannerResult::Original(raw),
    })
}

/// A date has no hours that could be added to.
fn refuse_hours_of_a_date(raw: &RawBinaryExpr, left: &DataType, right: &DataType) -> Result<()> {
    let has_hours = |expr: &Expr| {
        matches!(expr, Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(span)), _)
            if span.nanoseconds != 0)
    };
    if *left == DataType::Date32 && has_hours(&raw.right)
        || *right == DataType::Date32 && has_hours(&raw.left)
    {
        return plan_err!(
            "Cannot add hour, minutes or seconds to a date; CAST(… AS timestamp) makes it a timestamp"
        );
    }
    Ok(())
}

/// Bytes in a row.
fn concat(raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
    let is_bytes = |expr: &Expr| expr.get_type(schema).is_ok_and(|given| is_binary(&given));
    if !is_bytes(&raw.left) || !is_bytes(&raw.right) {
        return Ok(PlannerResult::Original(raw));
    }
    let call = ScalarFunction::new_udf(functions::concat(), vec![raw.left, raw.right]);
    Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
}

/// Text beside a timestamp or a number is an error in Athena, and a wrong answer where text is compared.
fn compare(raw: &RawBinaryExpr, schema: &DFSchema) -> Result<()> {
    let (Ok(left), Ok(right)) = (raw.left.get_type(schema), raw.right.get_type(schema)) else {
        return Ok(());
    };
    let is_parameter = |expr: &Expr| matches!(expr, Expr::Placeholder(_));
    if is_parameter(&raw.left) || is_parameter(&raw.right) {
        return Ok(());
    }
    let other = match (is_text(&left), is_text(&right)) {
        (true, false) => &right,
        (false, true) => &left,
        _ => return Ok(()),
    };
    let advice = match other {
        DataType::Timestamp(..) => {
            "from_iso8601_timestamp(…) reads ISO 8601 text, CAST(… AS timestamp) and TIMESTAMP '…' the form 2026-01-31 12:00:00"
        }
        number if number.is_numeric() => {
            "CAST(… AS varchar) makes text of a number, and quotes of a literal"
        }
        DataType::Date32 => {
            "CAST(… AS date), or DATE '2026-01-31' for a literal, makes a date of text"
        }
        _ => return Ok(()),
    };
    plan_err!(
        "Cannot apply operator: {} {} {}; {advice}",
        type_name(&left),
        raw.op,
        type_name(&right)
    )
}
