//! Operators whose meaning depends on types: arithmetic on integers and decimals, intervals times
//! numbers, and comparisons that Athena refuses.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, IntervalUnit, TimeUnit},
    common::{DFSchema, ScalarValue, plan_err},
    error::Result,
    logical_expr::{
        Cast, Expr, ExprSchemable, ScalarUDF,
        expr::ScalarFunction,
        planner::{PlannerResult, RawBinaryExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};

use crate::{
    functions::{self, type_name},
    types::{JSON, fine::Fine, is_binary, is_text},
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
            return Ok(constant_doubles(of_one_unit(raw, schema), schema));
        }
        BinaryOperator::StringConcat => return concat(raw, schema),
        BinaryOperator::And | BinaryOperator::Or => {
            refuse_no_booleans(&raw, schema)?;
            return Ok(PlannerResult::Original(raw));
        }
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
    refuse_hours_of_a_date(&raw, &left, &right, sign)?;
    refuse_numbers_of_days(sign, &left, &right)?;
    refuse_two_kinds_of_intervals(sign, &left, &right)?;
    refuse_what_has_no_operator(sign, &left, &right)?;
    match (sign, &left, &right) {
        ("+" | "-", left, right) if is_shifted(left, right) => {
            return Ok(planned(functions::shift(sign), [raw.left, raw.right]));
        }
        ("+", left, right) if is_shifted(right, left) => {
            return Ok(planned(functions::shift(sign), [raw.right, raw.left]));
        }
        _ => {}
    }
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

fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Timestamp(..))
        || Fine::of(data_type).is_some_and(|fine| !fine.is_time())
}

fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Time32(_) | DataType::Time64(_))
        || Fine::of(data_type).is_some_and(|fine| fine.is_time())
}

/// Two times of day with other digits are compared with the most that Arrow has.
fn of_one_unit(mut raw: RawBinaryExpr, schema: &DFSchema) -> RawBinaryExpr {
    let unit = |expr: &Expr| match expr.get_type(schema) {
        Ok(DataType::Time32(unit) | DataType::Time64(unit)) => Some(unit),
        _ => None,
    };
    if let (Some(left), Some(right)) = (unit(&raw.left), unit(&raw.right))
        && left != right
    {
        let finest = DataType::Time64(TimeUnit::Nanosecond);
        raw.left = Expr::Cast(Cast::new(Box::new(raw.left), finest.clone()));
        raw.right = Expr::Cast(Cast::new(Box::new(raw.right), finest));
    }
    raw
}

/// A call of one of this crate's operators.
fn planned(function: Option<Arc<ScalarUDF>>, args: [Expr; 2]) -> PlannerResult<RawBinaryExpr> {
    let function = function.unwrap_or_else(|| functions::refused("there is no such operator"));
    let call = ScalarFunction::new_udf(function, args.into());
    PlannerResult::Planned(Expr::ScalarFunction(call))
}

/// Is this a time that DataFusion does not move by such an interval, or would move by whole seconds only?
fn is_shifted(time: &DataType, span: &DataType) -> bool {
    match (time, span) {
        (_, DataType::Interval(IntervalUnit::YearMonth)) => Fine::of(time).is_some(),
        (DataType::Timestamp(TimeUnit::Second, _), DataType::Interval(_)) => true,
        (_, DataType::Interval(_)) => is_time(time) || Fine::of(time).is_some(),
        _ => false,
    }
}

/// Is this a boolean by its form? The type of a long chain of conditions is not asked for at each of them.
fn is_condition(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(binary) => {
            binary.op.supports_propagation() || binary.op.is_logic_operator()
        }
        _ => false,
    }
}

/// `AND` and `OR` are of booleans.
fn refuse_no_booleans(raw: &RawBinaryExpr, schema: &DFSchema) -> Result<()> {
    for operand in [&raw.left, &raw.right] {
        if is_condition(operand) {
            continue;
        }
        match operand.get_type(schema) {
            Ok(DataType::Boolean | DataType::Null) | Err(_) => {}
            Ok(other) => return plan_err!("{} takes booleans, not {}", raw.op, type_name(&other)),
        }
    }
    Ok(())
}

/// What an operand of `+ - * / %` is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    Number,
    Moment,
    Time,
    Span,
    Unknown,
}

impl Operand {
    fn of(given: &DataType) -> Option<Self> {
        match given {
            number if number.is_numeric() => Some(Self::Number),
            DataType::Interval(_) | DataType::Duration(_) => Some(Self::Span),
            DataType::Null => Some(Self::Unknown),
            moment if is_moment(moment) => Some(Self::Moment),
            time if is_time(time) => Some(Self::Time),
            _ => None,
        }
    }
}

/// DataFusion would make numbers of texts, or speak of types in words of its own.
fn refuse_what_has_no_operator(sign: &str, left: &DataType, right: &DataType) -> Result<()> {
    use Operand::{Moment, Number, Span, Time, Unknown};
    let operands = Operand::of(left).zip(Operand::of(right));
    let is_there = operands.is_some_and(|operands| {
        matches!(
            (sign, operands),
            (_, (Unknown, _) | (_, Unknown) | (Number, Number))
                | ("+" | "-", (Span | Moment | Time, Span))
                | ("+", (Span, Moment | Time))
                | ("-", (Moment, Moment) | (Time, Time))
                | ("*", (Number, Span) | (Span, Number))
                | ("/", (Span, Number))
        )
    });
    if is_there {
        return Ok(());
    }
    plan_err!(
        "Cannot apply operator: {} {sign} {}",
        type_name(left),
        type_name(right)
    )
}

/// JSON has no order, and is equal to JSON alone.
fn refuse_json(op: &str, left: &DataType, right: &DataType) -> Result<()> {
    let (a, b) = (*left == JSON, *right == JSON);
    let is_order = ["<", "<=", ">", ">="].contains(&op);
    if a && b && is_order || a != b && (is_text(left) || is_text(right)) {
        return plan_err!(
            "Cannot apply operator: {} {op} {}; json_extract_scalar(…), or CAST(… AS varchar), makes text of JSON",
            type_name(left),
            type_name(right)
        );
    }
    Ok(())
}

/// Months have no number of days.
fn refuse_two_kinds_of_intervals(sign: &str, left: &DataType, right: &DataType) -> Result<()> {
    let months = DataType::Interval(IntervalUnit::YearMonth);
    let is_other = |given: &DataType| matches!(given, DataType::Interval(_)) && *given != months;
    if *left == months && is_other(right) || is_other(left) && *right == months {
        return plan_err!(
            "Cannot apply operator: {} {sign} {}",
            type_name(left),
            type_name(right)
        );
    }
    Ok(())
}

/// Comparisons of constants that may be NaN, which DataFusion takes for equal to itself and for the greatest
/// number. Those of columns stay what they are, beside a guard: files are pruned and joins are made by them.
fn constant_doubles(raw: RawBinaryExpr, schema: &DFSchema) -> PlannerResult<RawBinaryExpr> {
    let is_constant = !raw.left.any_column_refs() && !raw.right.any_column_refs();
    let has_doubles = match (raw.left.get_type(schema), raw.right.get_type(schema)) {
        (Ok(left), Ok(right)) => {
            (left.is_floating() || right.is_floating()) && left.is_numeric() && right.is_numeric()
        }
        _ => false,
    };
    match functions::nested_comparison(&raw.op.to_string()) {
        Some(function) if is_constant && has_doubles => {
            let call = ScalarFunction::new_udf(function, vec![raw.left, raw.right]);
            PlannerResult::Planned(Expr::ScalarFunction(call))
        }
        _ => super::floats::plan(raw, schema),
    }
}

/// Days, or seconds, are added as intervals.
fn refuse_numbers_of_days(sign: &str, left: &DataType, right: &DataType) -> Result<()> {
    let is_moment =
        |data_type: &DataType| matches!(data_type, DataType::Date32 | DataType::Timestamp(..));
    if is_moment(left) && right.is_numeric() || left.is_numeric() && is_moment(right) {
        return plan_err!(
            "Cannot apply operator: {} {sign} {}; INTERVAL '1' DAY, or date_add('day', 1, …), counts days",
            type_name(left),
            type_name(right)
        );
    }
    Ok(())
}

/// A date has no hours that could be added to.
fn refuse_hours_of_a_date(
    raw: &RawBinaryExpr,
    left: &DataType,
    right: &DataType,
    sign: &str,
) -> Result<()> {
    let has_hours = |expr: &Expr| {
        matches!(expr, Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(span)), _)
            if span.nanoseconds != 0)
    };
    if *left == DataType::Date32 && has_hours(&raw.right)
        || *right == DataType::Date32 && has_hours(&raw.left)
    {
        let what = match sign {
            "-" => "subtract hour, minutes or seconds from a date",
            _ => "add hour, minutes or seconds to a date",
        };
        return plan_err!("Cannot {what}; CAST(… AS timestamp) makes it a timestamp");
    }
    Ok(())
}

/// Bytes in a row; text beside what is no text is an error in Athena.
fn concat(raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
    let (Ok(left), Ok(right)) = (raw.left.get_type(schema), raw.right.get_type(schema)) else {
        return Ok(PlannerResult::Original(raw));
    };
    if is_binary(&left) && is_binary(&right) {
        let call = ScalarFunction::new_udf(functions::concat(), vec![raw.left, raw.right]);
        return Ok(PlannerResult::Planned(Expr::ScalarFunction(call)));
    }
    let is_no_text = |given: &DataType| !is_text(given) && *given != DataType::Null;
    if is_no_text(&left) || is_no_text(&right) {
        return plan_err!(
            "Cannot apply operator: {} || {}; CAST(… AS varchar) makes text of a value",
            type_name(&left),
            type_name(&right)
        );
    }
    Ok(PlannerResult::Original(raw))
}

/// Text beside a timestamp or a number is an error in Athena, and a wrong answer where text is compared.
fn compare(raw: &RawBinaryExpr, schema: &DFSchema) -> Result<()> {
    check(&raw.left, &raw.op.to_string(), &raw.right, schema)
}

/// As [`compare`], for any operator.
pub(super) fn check(left: &Expr, op: &str, right: &Expr, schema: &DFSchema) -> Result<()> {
    let is_parameter = |expr: &Expr| matches!(expr, Expr::Placeholder(_));
    if is_parameter(left) || is_parameter(right) {
        return Ok(());
    }
    // What has no type is for DataFusion to say.
    match (left.get_type(schema), right.get_type(schema)) {
        (Ok(left), Ok(right)) => comparable(&left, op, &right),
        _ => Ok(()),
    }
}

/// DataFusion would take a date for the number of its day, and a boolean for 0 or 1.
fn refuse_two_kinds(op: &str, left: &DataType, right: &DataType) -> Result<()> {
    let kind = |given: &DataType| match given {
        number if number.is_numeric() => Some(0),
        DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_) => Some(1),
        fine if Fine::of(fine).is_some() => Some(1),
        DataType::Boolean => Some(2),
        _ => None,
    };
    let advice = match (kind(left), kind(right)) {
        (Some(a), Some(b)) if a != b => match a + b {
            1 => {
                "; from_unixtime(…) makes a timestamp of seconds, to_unixtime(…) seconds of a timestamp"
            }
            _ => "",
        },
        _ => return Ok(()),
    };
    plan_err!(
        "Cannot apply operator: {} {op} {}{advice}",
        type_name(left),
        type_name(right)
    )
}

/// Refuses text beside what is no text.
pub(super) fn comparable(left: &DataType, op: &str, right: &DataType) -> Result<()> {
    refuse_two_kinds_of_intervals(op, left, right)?;
    refuse_json(op, left, right)?;
    refuse_two_kinds(op, left, right)?;
    let other = match (is_text(left), is_text(right)) {
        (true, false) => right,
        (false, true) => left,
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
        DataType::Boolean => "the text is compared with 'true' or 'false'",
        fine if Fine::of(fine).is_some() => "CAST(… AS varchar) makes text of a time",
        _ => return Ok(()),
    };
    plan_err!(
        "Cannot apply operator: {} {op} {}; {advice}",
        type_name(left),
        type_name(right)
    )
}
