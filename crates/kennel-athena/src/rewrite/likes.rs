//! `LIKE`, where a backslash is a sign like any other, and any sign can be made the escape.
//!
//! DataFusion takes the backslash for an escape always, and no other sign. Patterns are written so:
//! constants here, others by a function.

use datafusion::sql::sqlparser::ast::{Expr, Spanned, Value};

use super::build::{call, text};
use crate::{ParseError, functions::like_pattern};

pub(super) fn rewrite(expr: &mut Expr) -> Result<(), ParseError> {
    let span = expr.span();
    let Expr::Like {
        any: false,
        pattern,
        escape_char,
        ..
    } = expr
    else {
        return Ok(());
    };
    let escape = match escape_char.take() {
        None => None,
        Some(escape) => match escape.clone().into_string() {
            Some(escape) => Some(escape),
            None => {
                *escape_char = Some(escape);
                return Ok(());
            }
        },
    };
    if let Expr::Value(value) = pattern.as_ref()
        && let Value::SingleQuotedString(written) = &value.value
    {
        match like_pattern(written, escape.as_deref()) {
            Ok(pattern_text) => **pattern = text(&pattern_text),
            Err(message) => return Err(ParseError::at(span, message)),
        }
        return Ok(());
    }
    let written = std::mem::replace(pattern.as_mut(), super::build::null());
    let mut args = vec![written];
    args.extend(escape.as_deref().map(text));
    **pattern = call("__like_pattern", args);
    Ok(())
}
