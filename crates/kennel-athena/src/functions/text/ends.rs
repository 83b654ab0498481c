//! How texts begin and end. DataFusion's own functions make texts of other arguments.

use std::sync::Arc;

use datafusion::{
    arrow::array::ArrayRef,
    error::Result,
    functions::string,
    logical_expr::{ScalarUDF, expr::ScalarFunction, simplify::ExprSimplifyResult},
    prelude::Expr,
};

use crate::functions::scalar::{Call, Kind, Spec, boolean};

const TEXT_TEXT: &[Kind] = &[Kind::Text, Kind::Text];

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let starts = Spec::new("starts_with", TEXT_TEXT, boolean, |call| {
        compared(call, |text, part| text.starts_with(part))
    });
    let ends = Spec::new("ends_with", TEXT_TEXT, boolean, |call| {
        compared(call, |text, part| text.ends_with(part))
    });
    vec![
        Spec {
            simplify: Some(|args, _| plain(string::starts_with(), args)),
            ..starts
        }
        .build(),
        Spec {
            simplify: Some(|args, _| plain(string::ends_with(), args)),
            ..ends
        }
        .build(),
    ]
}

fn compared(call: &Call, compare: fn(&str, &str) -> bool) -> Result<ArrayRef> {
    let (texts, parts) = (call.text(0), call.text(1));
    call.to_booleans(|row| Ok(Some(compare(texts.value(row), parts.value(row)))))
}

/// DataFusion's own, by which files are left out.
fn plain(function: Arc<ScalarUDF>, args: Vec<Expr>) -> Result<ExprSimplifyResult> {
    let call = ScalarFunction::new_udf(function, args);
    Ok(ExprSimplifyResult::Simplified(Expr::ScalarFunction(call)))
}
