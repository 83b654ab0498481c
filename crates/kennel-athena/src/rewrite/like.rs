//! `LIKE`, whose patterns have no escape character in Trino unless `ESCAPE` names one; in DataFusion's
//! the backslash is one, and no other can be.

use datafusion::sql::sqlparser::ast::{DataType, Expr, Spanned, Value, ValueWithSpan};

use super::build::{call, null, plain_cast, text};
use crate::{ParseError, functions::plain_pattern};

/// Writes a pattern as DataFusion reads it: constants here, others by a function.
pub(super) fn rewrite(expr: &mut Expr) -> Result<(), ParseError> {
    let span = expr.span();
    let Expr::Like {
        pattern,
        escape_char,
        ..
    } = expr
    else {
        return Ok(());
    };
    let escape = match escape_char.take().map(|escape| escape.value) {
        None => None,
        Some(Value::SingleQuotedString(escape)) => Some(escape),
        Some(Value::Null) => {
            *expr = plain_cast(null(), DataType::Boolean);
            return Ok(());
        }
        Some(_) => return Err(ParseError::at(span, "the escape must be a text")),
    };
    if let Expr::Value(ValueWithSpan {
        value: Value::SingleQuotedString(written),
        ..
    }) = pattern.as_ref()
    {
        let plain = plain_pattern(written, escape.as_deref());
        let plain = plain.map_err(|message| ParseError::at(span, message))?;
        if plain != *written {
            **pattern = text(&plain);
        }
        return Ok(());
    }
    let written = std::mem::replace(pattern.as_mut(), null());
    let mut args = vec![written];
    args.extend(escape.as_deref().map(text));
    **pattern = call("__like_pattern", args);
    Ok(())
}
