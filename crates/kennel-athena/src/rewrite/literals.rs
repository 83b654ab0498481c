//! Numbers as Trino types them: `5` is an `integer`, `12.50` a `decimal(4,2)`, `1e3` a double.
//!
//! Source: Trino documentation, "Decimal functions and operators", section "Decimal literals", and
//! "Data types".

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Distinct, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, GroupByExpr, LimitClause, OrderByKind, Query, Select, Spanned, TableFactor,
    UnaryOperator, Value, WindowFrameBound, WindowSpec,
};

use super::{
    build::{number as plain_number, plain_cast, text, value_at},
    expressions::cast_call,
};
use crate::ParseError;

/// The least bigint: its digits without the minus before them are no bigint.
pub(super) fn least(expr: &mut Expr) {
    if let Expr::UnaryOp {
        op: UnaryOperator::Minus,
        expr: inner,
    } = expr
        && let Expr::Value(value) = inner.as_ref()
        && value.value == Value::Number("9223372036854775808".into(), false)
    {
        *expr = plain_number("-9223372036854775808");
    }
}

/// Gives a number its type.
///
/// # Errors
/// [`ParseError`] for a decimal of more than 38 digits.
pub(super) fn number(expr: &mut Expr) -> Result<(), ParseError> {
    let span = expr.span();
    let written = match expr {
        Expr::Value(value) => match &mut value.value {
            Value::Number(written, _) => written.replace('_', ""),
            Value::HexStringLiteral(digits) => {
                digits.retain(|digit| !digit.is_ascii_whitespace());
                let is_whole = digits.len().is_multiple_of(2)
                    && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                return match is_whole {
                    true => Ok(()),
                    false => Err(ParseError::at(
                        span,
                        "a binary literal has an even number of hexadecimal digits",
                    )),
                };
            }
            _ => return Ok(()),
        },
        // The smallest integer, whose digits alone are a bigint.
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: inner,
        } => {
            let is_smallest = matches!(inner.as_ref(), Expr::Value(value)
                if value.value == Value::Number("2147483648".into(), false));
            if is_smallest {
                *expr = plain_cast(plain_number("-2147483648"), DataType::Int(None));
            }
            return Ok(());
        }
        _ => return Ok(()),
    };
    let digits = |written: &str| value_at(Value::SingleQuotedString(written.into()), span);
    if written.contains(['e', 'E']) {
        *expr = plain_cast(digits(&written), DataType::DoublePrecision);
    } else if written.contains('.') {
        let Some(precision) = precision(&written) else {
            let message = format!("`{written}` is not a decimal of 1 to 38 digits");
            return Err(ParseError::at(span, message));
        };
        *expr = cast_call("__cast", digits(&written), &DataType::Decimal(precision));
    } else if written.parse::<i32>().is_ok() {
        let number = value_at(Value::Number(written, false), span);
        *expr = plain_cast(number, DataType::Int(None));
    } else if written.parse::<i64>().is_err() {
        // DataFusion would make a double of it.
        let message = format!("Invalid numeric literal: {written}");
        return Err(ParseError::at(span, message));
    }
    Ok(())
}

/// Precision and scale of a `DECIMAL '…'`: all its digits, but for a lone zero before the point.
pub(super) fn precision_of_all(written: &str) -> Option<ExactNumberInfo> {
    let ExactNumberInfo::PrecisionAndScale(precision, scale) = precision(written)? else {
        return None;
    };
    let digits = written.strip_prefix(['+', '-']).unwrap_or(written);
    let whole = digits.split('.').next().unwrap_or(digits);
    let zeros = whole.len() - whole.trim_start_matches('0').len();
    let precision = match u64::try_from(zeros).ok()? {
        zeros if zeros < u64::try_from(whole.len()).ok()? => precision + zeros,
        _ => precision,
    };
    (precision <= 38).then_some(ExactNumberInfo::PrecisionAndScale(precision, scale))
}

/// Precision and scale of a number: its digits but for leading zeros, and those after the point.
pub(super) fn precision(written: &str) -> Option<ExactNumberInfo> {
    let digits = written.strip_prefix(['+', '-']).unwrap_or(written);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let significant = whole.trim_start_matches('0').len() + fraction.len();
    let precision = significant.max(1);
    let scale = i64::try_from(fraction.len()).ok()?;
    let precision = u64::try_from(precision)
        .ok()
        .filter(|precision| *precision <= 38)?;
    Some(ExactNumberInfo::PrecisionAndScale(precision, scale))
}

/// The digits of a number that was given its type.
pub(super) fn written(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(written, _) | Value::SingleQuotedString(written) => Some(written),
            _ => None,
        },
        Expr::Cast { expr, .. } => written(expr),
        Expr::Function(function) => match (&function.args, function.name.to_string().as_str()) {
            (FunctionArguments::List(list), "__cast") => match list.args.first() {
                Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) => written(expr),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// Takes the type off a number again, where an ordinal or a count stands.
pub(super) fn plain(expr: &mut Expr) {
    if let Expr::Cast {
        kind: CastKind::Cast,
        expr: inner,
        data_type: DataType::Int(None),
        ..
    } = expr
        && let Expr::Value(value) = inner.as_ref()
        && let Value::Number(written, _) = &value.value
    {
        *expr = plain_number(&written.clone());
    }
}

/// Ordinals of `ORDER BY`, and the counts of `LIMIT`, `OFFSET` and `FETCH`.
pub(super) fn plain_in_query(query: &mut Query) {
    if let Some(order_by) = &mut query.order_by
        && let OrderByKind::Expressions(keys) = &mut order_by.kind
    {
        keys.iter_mut().for_each(|key| plain(&mut key.expr));
    }
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => {
            limit.iter_mut().for_each(plain);
            offset
                .iter_mut()
                .for_each(|offset| plain(&mut offset.value));
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
            plain(offset);
            plain(limit);
        }
        None => {}
    }
    if let Some(fetch) = &mut query.fetch {
        fetch.quantity.iter_mut().for_each(plain);
    }
}

/// Ordinals of `GROUP BY`.
pub(super) fn plain_in_select(select: &mut Select) {
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        for key in keys {
            match key {
                Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                    sets.iter_mut().flatten().for_each(plain);
                }
                key => plain(key),
            }
        }
    }
    if let Some(Distinct::On(keys)) = &mut select.distinct {
        keys.iter_mut().for_each(plain);
    }
}

/// The arguments of a table function, which DataFusion takes as 64 bits only.
pub(super) fn plain_in_factor(factor: &mut TableFactor) {
    let args = match factor {
        TableFactor::Table {
            args: Some(table), ..
        } => &mut table.args,
        TableFactor::Function { args, .. } => args,
        _ => return,
    };
    for arg in args {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::UnaryOp { expr, .. })) => plain(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => plain(expr),
            _ => {}
        }
    }
}

/// The bounds of a window's frame.
pub(super) fn plain_in_window(window: &mut WindowSpec) {
    let Some(frame) = &mut window.window_frame else {
        return;
    };
    let bounds = std::iter::once(&mut frame.start_bound).chain(&mut frame.end_bound);
    for bound in bounds {
        if let WindowFrameBound::Preceding(Some(count)) | WindowFrameBound::Following(Some(count)) =
            bound
        {
            plain(count);
        }
    }
}

/// An argument that is a bare name, such as `NFC`, as text.
pub(super) fn name_as_text(function: &mut Function, index: usize) {
    if let FunctionArguments::List(list) = &mut function.args
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))) = list.args.get_mut(index)
        && let Expr::Identifier(name) = arg
    {
        *arg = text(&name.value);
    }
}

/// Is one of the arguments a lambda?
pub(super) fn has_lambda(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else {
        return false;
    };
    list.args.iter().any(|arg| {
        matches!(
            arg,
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Lambda(_)))
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_count_their_digits() {
        let cases = [
            ("12.50", Some((4, 2))),
            ("0.5", Some((1, 1))),
            ("00.50", Some((2, 2))),
            (".5", Some((1, 1))),
            ("5.", Some((1, 0))),
            ("0.", Some((1, 0))),
            ("-000123.0", Some((4, 1))),
            ("1.00000000000000000000000000000000000000", None),
            (".", None),
            ("1.x", None),
        ];
        for (written, expected) in cases {
            let expected = expected.map(|(p, s)| ExactNumberInfo::PrecisionAndScale(p, s));
            assert_eq!(precision(written), expected, "{written}");
        }
        let all = |written| match precision_of_all(written) {
            Some(ExactNumberInfo::PrecisionAndScale(precision, scale)) => (precision, scale),
            _ => (0, 0),
        };
        assert_eq!(all("0000012345.1234500000"), (20, 10));
        assert_eq!(all("0.0"), (1, 1));
        assert_eq!(all("7"), (1, 0));
    }
}
