//! Window functions that DataFusion evaluates otherwise than Trino, or not at all: frames whose bounds are not counts
//! of rows written as numbers, and offsets, buckets and defaults that are no constants.
//!
//! Source: Trino manual, "Window functions"; the grammar of window frames in "SELECT".

mod bounds;
mod framed;
mod shifted;

pub(crate) use bounds::{Bound, Frame, Units};

use std::sync::Arc;

use datafusion::{
    arrow::{array::ArrayRef, datatypes::DataType},
    common::{ScalarValue, plan_err},
    error::Result,
    logical_expr::{
        Expr, ScalarUDF, WindowFunctionDefinition, expr::ScalarFunction, planner::RawWindowExpr,
    },
};

use super::{
    nested::{Nested, Typed},
    scalar::Call,
};

/// The function that carries a frame, as the last argument of the one whose frame it is.
pub(crate) const FRAME: &str = "__frame";

/// Aggregates that DataFusion can take rows out of, as frames want it that leave rows behind them.
const SLIDING: [&str; 6] = ["array_agg", "avg", "count", "max", "min", "sum"];

/// For the parser alone: takes a frame's text and its offsets.
pub(super) fn marker() -> Arc<ScalarUDF> {
    Nested::new(FRAME, "frame, offsets", marker_types, refused).build()
}

fn marker_types(given: &[DataType]) -> Result<Option<Typed>> {
    Typed::new(given.to_vec(), DataType::Null)
}

fn refused(_: &Call) -> Result<ArrayRef> {
    plan_err!("a frame is for window functions")
}

/// Puts functions of this module in the place of those that cannot do what is asked; says whether it did.
pub(crate) fn replace(window: &mut RawWindowExpr) -> Result<bool> {
    if let Some(frame) = take_frame(&mut window.args) {
        let (frame, offsets) = frame?;
        framed::replace(window, frame, offsets);
        return Ok(true);
    }
    let name = window.func_def.name();
    let is_plain = |arg: &Expr| literal(arg).is_some_and(|value| !value.is_null());
    let is_place = |arg: &Expr| match literal(arg) {
        Some(ScalarValue::Int64(Some(place))) => *place > 0,
        _ => false,
    };
    let replacement = match (name, window.args.as_slice()) {
        ("ntile", [buckets]) if !is_plain(buckets) => shifted::tiles(),
        ("lag" | "lead", [_, offset]) if !is_plain(offset) => shifted::shift(name == "lag"),
        ("lag" | "lead", [_, _, _]) => shifted::shift(name == "lag"),
        ("nth_value", [_, place]) if !is_place(place) => {
            let (frame, offsets) = Frame::of(&window.window_frame);
            framed::replace(window, frame, offsets);
            return Ok(true);
        }
        (name, _)
            if matches!(window.func_def, WindowFunctionDefinition::AggregateUDF(_))
                && !window.window_frame.start_bound.is_unbounded()
                && !SLIDING.contains(&name) =>
        {
            let (frame, offsets) = Frame::of(&window.window_frame);
            framed::replace(window, frame, offsets);
            return Ok(true);
        }
        _ => return Ok(false),
    };
    window.func_def = WindowFunctionDefinition::WindowUDF(replacement);
    Ok(true)
}

/// The value of a constant, whose type may be written around it.
fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Cast(cast) => literal(&cast.expr),
        _ => None,
    }
}

/// The frame that the last argument carries, and its offsets.
fn take_frame(args: &mut Vec<Expr>) -> Option<Result<(Frame, Vec<Expr>)>> {
    let carries = matches!(args.last(), Some(Expr::ScalarFunction(call)) if call.name() == FRAME);
    if !carries {
        return None;
    }
    let Some(Expr::ScalarFunction(ScalarFunction { mut args, .. })) = args.pop() else {
        return None;
    };
    let offsets = args.split_off(1);
    Some(match args.pop() {
        Some(Expr::Literal(ScalarValue::Utf8(Some(text)), _)) => {
            Frame::parse(&text).map(|frame| (frame, offsets))
        }
        _ => plan_err!("a frame has no text"),
    })
}
