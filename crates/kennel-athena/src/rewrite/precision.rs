//! How many digits of a second a timestamp or time has, where the query says it.
//!
//! A value lies in a unit of 0, 3, 6 or 9 digits; what was written decides how it is shown.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, DateTimeField, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
    Interval,
};

use super::{
    build::{number, plain_args, rename},
    columns::{Column, find},
    intervals::MONTHS,
};

/// What a query says of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    /// Digits of a second.
    Digits(u64),
    /// What [`lengths`](super::lengths) says of a text or what holds such.
    Text(String),
}

/// The digits of a type; three where it names none.
pub(super) fn of_type(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::Timestamp(digits, _) | DataType::Time(digits, _) => Some(digits.unwrap_or(3)),
        _ => None,
    }
}

/// The digits of a type to which a value must be rounded, since no unit has as many.
pub(super) fn between_units(data_type: &DataType) -> Option<u64> {
    of_type(data_type).filter(|digits| !digits.is_multiple_of(3) && *digits < 9)
}

/// Is this an interval of years and months?
pub(super) fn is_of_months(interval: &Interval) -> bool {
    matches!(
        interval.leading_field,
        Some(
            DateTimeField::Year
                | DateTimeField::Years
                | DateTimeField::Month
                | DateTimeField::Months
                | DateTimeField::Quarter
        )
    )
}

/// The digits of a value: that of the cast or literal from which it comes.
pub(super) fn written(expr: &Expr, columns: &[Column]) -> Option<u64> {
    let inside = |expr: &Expr| written(expr, columns);
    match expr {
        Expr::Nested(inner) => inside(inner),
        Expr::Cast { data_type, .. } => of_type(data_type),
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => match find(columns, expr)? {
            Fact::Digits(digits) => Some(*digits),
            Fact::Text(_) => None,
        },
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Plus | BinaryOperator::Minus,
            right,
        } => {
            let (digits, span) = match (inside(left), inside(right)) {
                // The difference of two is a span of time.
                (Some(_), Some(_)) | (None, None) => return None,
                (Some(digits), None) => (digits, right),
                (None, Some(digits)) => (digits, left),
            };
            // Milliseconds are added, or months.
            Some(match is_call(span, &[MONTHS]) {
                true => digits,
                false => digits.max(3),
            })
        }
        Expr::Function(function) => {
            let [part] = function.name.0.as_slice() else {
                return None;
            };
            let args = plain_args(function)?;
            match (part.as_ident()?.value.as_str(), args.as_slice()) {
                ("__cast" | "__try_cast", [_, Expr::Cast { data_type, .. }, ..]) => {
                    of_type(data_type)
                }
                ("__at_timezone" | "__with_timezone" | "__local_time", [moment, _]) => {
                    inside(moment)
                }
                ("date_add", [_, _, moment]) | ("date_trunc", [_, moment]) => inside(moment),
                ("from_iso8601_timestamp_nanos" | "from_unixtime_nanos", [_]) => Some(9),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Is this a call of one of these functions?
fn is_call(expr: &Expr, names: &[&str]) -> bool {
    match expr {
        Expr::Nested(inner) => is_call(inner, names),
        Expr::Function(function) => match function.name.0.as_slice() {
            [part] => part.as_ident().is_some_and(|name| {
                names
                    .iter()
                    .any(|known| name.value.eq_ignore_ascii_case(known))
            }),
            _ => false,
        },
        _ => false,
    }
}

/// Adds the digits of its only argument to a call.
pub(super) fn with_digits(expr: &mut Expr, columns: &[Column]) {
    let Expr::Function(function) = expr else {
        return;
    };
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_slice() else {
        return;
    };
    if let Some(digits) = written(value, columns) {
        let digits = FunctionArgExpr::Expr(number(&digits.to_string()));
        list.args.push(FunctionArg::Unnamed(digits));
        rename(function, "__to_iso8601");
    }
}
