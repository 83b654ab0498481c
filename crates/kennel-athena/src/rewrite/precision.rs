//! How many digits of a second a timestamp or time has, where the query says it.
//!
//! A value lies in a unit of 0, 3, 6 or 9 digits; what was written decides how it is shown.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, ObjectName,
};

use super::{
    build::{number, plain_args, text},
    lengths,
};

/// The digits of a type; three where it names none.
fn of_type(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::Timestamp(digits, _) | DataType::Time(digits, _) => Some(digits.unwrap_or(3)),
        _ => None,
    }
}

/// The digits of a type to which a value must be rounded, since no unit has as many.
pub(super) fn between_units(data_type: &DataType) -> Option<u64> {
    of_type(data_type).filter(|digits| !digits.is_multiple_of(3) && *digits < 9)
}

/// The digits of a value: that of the cast or literal from which it comes.
pub(super) fn written(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Nested(inner) => written(inner),
        Expr::Cast { data_type, .. } => of_type(data_type),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Plus | BinaryOperator::Minus,
            right,
        } => match (written(left), written(right)) {
            // The difference of two is a span of time.
            (Some(_), Some(_)) => None,
            (left, right) => left.or(right),
        },
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
                    written(moment)
                }
                ("date_add", [_, _, moment]) | ("date_trunc", [_, moment]) => written(moment),
                ("from_iso8601_timestamp_nanos" | "from_unixtime_nanos", [_]) => Some(9),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `to_iso8601(x)` with the digits of `x`, where its unit has more.
pub(super) fn iso(function: &mut Function) {
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_slice() else {
        return;
    };
    if let Some(digits) = written(value).filter(|digits| *digits <= 9) {
        let digits = FunctionArgExpr::Expr(number(&digits.to_string()));
        list.args.push(FunctionArg::Unnamed(digits));
        function.name = ObjectName::from(vec![Ident::new("__to_iso8601")]);
    }
}

/// `typeof(x)` with the digits of `x`, or the lengths of its texts.
pub(super) fn type_of(expr: &mut Expr) {
    let Expr::Function(function) = expr else {
        return;
    };
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_slice() else {
        return;
    };
    if let Some(said) = lengths::said(value) {
        let said = FunctionArgExpr::Expr(text(&said));
        list.args.push(FunctionArg::Unnamed(said));
        function.name = ObjectName::from(vec![Ident::new("__typeof")]);
        return;
    }
    let digits = written(value);
    if let Some(digits) = digits {
        let digits = FunctionArgExpr::Expr(number(&digits.to_string()));
        list.args.push(FunctionArg::Unnamed(digits));
    }
}
