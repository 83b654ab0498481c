//! Comparisons with `char(n)`, whose values are filled up with blanks: the blanks at the end of either
//! side make no difference.
//!
//! Source: Trino documentation, "Data types", section "CHAR"; texts beside a `char` become one.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value};

use super::{
    build::{call, null, number},
    columns::Column,
    lengths,
};

/// Fills up the sides of a comparison to one length, where one of them is a `char(n)`.
pub(super) fn rewrite(expr: &mut Expr, columns: &[Column]) {
    let mut sides: Vec<&mut Expr> = match expr {
        Expr::BinaryOp { left, op, right } if is_comparison(op) => vec![left, right],
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            vec![left, right]
        }
        Expr::Between {
            expr, low, high, ..
        } => vec![expr, low, high],
        Expr::InList { expr, list, .. } => {
            let mut sides = vec![expr.as_mut()];
            sides.extend(list);
            sides
        }
        Expr::Case {
            operand: Some(operand),
            conditions,
            ..
        } => {
            let mut sides = vec![operand.as_mut()];
            sides.extend(conditions.iter_mut().map(|case| &mut case.condition));
            sides
        }
        _ => return,
    };
    let longest = sides
        .iter()
        .filter_map(|side| lengths::of_char(side, columns));
    let Some(longest) = longest.max() else {
        return;
    };
    for side in &mut sides {
        let is_null = matches!(side, Expr::Value(value) if value.value == Value::Null);
        if !is_null {
            let text = std::mem::replace(*side, null());
            **side = call("__filled", vec![text, number(&longest.to_string())]);
        }
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}
