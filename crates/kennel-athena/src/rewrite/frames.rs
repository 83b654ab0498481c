//! Frames of windows: those that DataFusion does not take, or takes otherwise, are carried by a last argument of their
//! function ([`FRAME`]), which the planner's hook knows.
//!
//! Source: Trino's grammar, and its rules for window frames.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{
        DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
        Spanned, UnaryOperator, Value, VisitMut, VisitorMut, WindowFrame, WindowFrameBound,
        WindowFrameUnits, WindowSpec, WindowType,
    },
    tokenizer::Span,
};

use super::{
    build::{call, text},
    literals,
};
use crate::{
    ParseError,
    functions::windows::{Bound, FRAME, Frame, Units},
};

/// Functions of one value of the frame or partition: nulls may be passed over.
const VALUES: [&str; 5] = ["first_value", "last_value", "nth_value", "lag", "lead"];

/// Refuses what is no window of Trino's. To be asked before anything in it is rewritten.
pub(super) fn check(expr: &Expr) -> Result<(), ParseError> {
    let Expr::Function(function) = expr else {
        return Ok(());
    };
    let name = function.name.to_string().to_lowercase();
    let span = function.name.span();
    let refused = |message: String| Err(ParseError::at(span, message));
    let Some(over) = &function.over else {
        return Ok(());
    };
    if function.null_treatment.is_some() && !VALUES.contains(&name.as_str()) {
        return refused(format!(
            "{name} takes neither IGNORE NULLS nor RESPECT NULLS"
        ));
    }
    if let FunctionArguments::List(list) = &function.args
        && list.duplicate_treatment == Some(DuplicateTreatment::Distinct)
    {
        return refused("a window function takes no DISTINCT".to_owned());
    }
    let WindowType::WindowSpec(window) = over else {
        return Ok(());
    };
    if ["lag", "lead"].contains(&name.as_str()) {
        if window.order_by.is_empty() {
            return refused(format!("{name} needs an ORDER BY in its window"));
        }
        if window.window_frame.is_some() {
            return refused(format!("{name} takes no frame"));
        }
    }
    match &window.window_frame {
        Some(frame) => check_frame(frame, window, span),
        None => Ok(()),
    }
}

fn check_frame(frame: &WindowFrame, window: &WindowSpec, span: Span) -> Result<(), ParseError> {
    let refused = |message: &str| Err(ParseError::at(span, message));
    let (start, end) = bounds(frame);
    if start == Bound::Last {
        return refused("a frame cannot start at UNBOUNDED FOLLOWING");
    }
    if end == Bound::First {
        return refused("a frame cannot end at UNBOUNDED PRECEDING");
    }
    match (start, end) {
        (Bound::Current, Bound::Before) => {
            return refused("a frame that starts at CURRENT ROW cannot end before it");
        }
        (Bound::After, Bound::Before | Bound::Current) => {
            return refused("a frame that starts at FOLLOWING cannot end before that");
        }
        _ => {}
    }
    let offsets = offsets(frame);
    if offsets.is_empty() {
        return Ok(());
    }
    match (frame.units, window.order_by.len()) {
        (WindowFrameUnits::Rows, _) => {}
        (units, 0) => {
            let message =
                format!("a frame of {units} with PRECEDING or FOLLOWING needs an ORDER BY");
            return refused(&message);
        }
        (WindowFrameUnits::Range, 2..) => {
            return refused(
                "a frame of RANGE with PRECEDING or FOLLOWING needs an ORDER BY of one key",
            );
        }
        _ => {}
    }
    for offset in offsets {
        check_offset(offset, frame.units)?;
    }
    Ok(())
}

/// Of literals it is known at once.
fn check_offset(offset: &Expr, units: WindowFrameUnits) -> Result<(), ParseError> {
    let refused = |message: &str| Err(ParseError::at(offset.span(), message));
    match offset {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } if matches!(expr.as_ref(), Expr::Value(_)) => {
            refused("the offset of a frame must not be negative")
        }
        Expr::Value(value) => match &value.value {
            Value::Number(written, _) => {
                let is_whole = written
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'_');
                match is_whole || units == WindowFrameUnits::Range {
                    true => Ok(()),
                    false => refused("the offset of a frame of rows or groups is a whole number"),
                }
            }
            Value::Placeholder(_) => Ok(()),
            _ => refused("the offset of a frame is a number, or an interval"),
        },
        _ => Ok(()),
    }
}

fn bound(written: &WindowFrameBound) -> Bound {
    match written {
        WindowFrameBound::Preceding(None) => Bound::First,
        WindowFrameBound::Preceding(Some(_)) => Bound::Before,
        WindowFrameBound::CurrentRow => Bound::Current,
        WindowFrameBound::Following(Some(_)) => Bound::After,
        WindowFrameBound::Following(None) => Bound::Last,
    }
}

fn bounds(frame: &WindowFrame) -> (Bound, Bound) {
    let end = frame.end_bound.as_ref().map_or(Bound::Current, bound);
    (bound(&frame.start_bound), end)
}

fn offsets(frame: &WindowFrame) -> Vec<&Expr> {
    let bounds = std::iter::once(&frame.start_bound).chain(&frame.end_bound);
    let offsets = bounds.filter_map(|bound| match bound {
        WindowFrameBound::Preceding(offset) | WindowFrameBound::Following(offset) => {
            offset.as_deref()
        }
        WindowFrameBound::CurrentRow => None,
    });
    offsets.collect()
}

/// Is this a frame that DataFusion evaluates as Trino does? Numbers of rows that are written, and no offsets at all.
fn is_plain(frame: &WindowFrame) -> bool {
    let offsets = offsets(frame);
    if offsets.is_empty() {
        return true;
    }
    let counts = offsets
        .iter()
        .map(|offset| literals::written(offset)?.parse::<u32>().ok());
    let Some(counts) = counts.collect::<Option<Vec<_>>>() else {
        return false;
    };
    let is_empty = match (bounds(frame), counts.as_slice()) {
        ((Bound::Before, Bound::Before), [start, end]) => start < end,
        ((Bound::After, Bound::After), [start, end]) => start > end,
        _ => false,
    };
    frame.units == WindowFrameUnits::Rows && !is_empty
}

/// Puts frames of calls into arguments, or makes their offsets plain numbers.
pub(super) fn rewrite(expr: &mut Expr) {
    let _ = VisitMut::visit(expr, &mut Carrier);
}

struct Carrier;

impl VisitorMut for Carrier {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            carry(function);
        }
        ControlFlow::Continue(())
    }
}

fn carry(function: &mut Function) {
    let Function { args, over, .. } = function;
    let (FunctionArguments::List(list), Some(WindowType::WindowSpec(window))) = (args, over) else {
        return;
    };
    let Some(frame) = window.window_frame.take_if(|frame| !is_plain(frame)) else {
        literals::plain_in_window(window);
        return;
    };
    let (start, end) = bounds(&frame);
    let units = match frame.units {
        WindowFrameUnits::Rows => Units::Rows,
        WindowFrameUnits::Range => Units::Range,
        WindowFrameUnits::Groups => Units::Groups,
    };
    let mut carried = vec![text(&Frame { units, start, end }.to_string())];
    carried.extend(offsets(&frame).into_iter().cloned());
    let carried = call(FRAME, carried);
    list.args
        .push(FunctionArg::Unnamed(FunctionArgExpr::Expr(carried)));
}
