//! `lag(x, n, y)` and `lead(x, n, y)` whose default is no constant, which DataFusion does not take.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArguments, NullTreatment, WindowFrame,
    WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType, visit_expressions,
};

use super::{
    build::{case, count_all, number, plain_args},
    literals,
};

/// The default where there is no such row, else the value of that row.
pub(super) fn with_default(function: &Function, is_before: bool) -> Option<Expr> {
    let args = plain_args(function)?;
    let [_, offset, default] = args.as_slice() else {
        return None;
    };
    let offset = literals::written(offset)?;
    let ignores_nulls = function.null_treatment == Some(NullTreatment::IgnoreNulls);
    let Some(WindowType::WindowSpec(window)) = &function.over else {
        return None;
    };
    if is_constant(default) || ignores_nulls {
        return None;
    }
    let bound = || {
        let offset = Some(Box::new(number(offset)));
        match is_before {
            true => WindowFrameBound::Preceding(offset),
            false => WindowFrameBound::Following(offset),
        }
    };
    let there = WindowSpec {
        window_frame: Some(WindowFrame {
            units: WindowFrameUnits::Rows,
            start_bound: bound(),
            end_bound: Some(bound()),
        }),
        ..window.clone()
    };
    let mut count = count_all();
    if let Expr::Function(count) = &mut count {
        count.over = Some(WindowType::WindowSpec(there));
    }
    let is_missing = Expr::BinaryOp {
        left: Box::new(count),
        op: BinaryOperator::Eq,
        right: Box::new(number("0")),
    };
    let mut value = function.clone();
    if let FunctionArguments::List(list) = &mut value.args {
        list.args.truncate(2);
    }
    let value = Expr::Function(value);
    Some(case(is_missing, (*default).clone(), Some(value)))
}

fn is_constant(expr: &Expr) -> bool {
    let found = visit_expressions(expr, |expr| match expr {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::CompoundFieldAccess { .. }
        | Expr::Function(_)
        | Expr::Subquery(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_continue()
}
