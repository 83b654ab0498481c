//! Functions that the parser reads by forms of their own: with other arguments than those they have there, they are
//! no calls that planning could say something of.

use datafusion::sql::sqlparser::ast::{CeilFloorKind, Expr, Spanned};

use crate::ParseError;

/// Refuses what has arguments that the function does not take.
pub(super) fn check(expr: &Expr) -> Result<(), ParseError> {
    let message = match expr {
        Expr::Substring {
            substring_from: None,
            substring_for: None,
            ..
        } => "`substr` takes a varchar or varbinary, a start, and perhaps a length",
        Expr::Trim {
            trim_characters: Some(characters),
            ..
        } if characters.len() > 1 => {
            "`trim` takes a varchar, and perhaps the characters to take away"
        }
        Expr::Ceil {
            field: CeilFloorKind::Scale(_),
            ..
        } => "`ceil` takes a number alone; round(x, n) has digits",
        Expr::Floor {
            field: CeilFloorKind::Scale(_),
            ..
        } => "`floor` takes a number alone; round(x, n) has digits",
        _ => return Ok(()),
    };
    Err(ParseError::at(expr.span(), message))
}
