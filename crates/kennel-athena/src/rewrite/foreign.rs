//! Forms of other dialects that sqlparser reads and Athena has not: refused, with what does it there.

use datafusion::sql::sqlparser::ast::{BinaryOperator, CastKind, Expr, Spanned, TableFactor};

use crate::ParseError;

/// Refuses an expression that is another dialect's.
pub(super) fn expression(expr: &Expr) -> Result<(), ParseError> {
    let (span, message) = match expr {
        // sqlparser has no place for the whole.
        Expr::RLike { pattern, .. } => (
            pattern.span(),
            "RLIKE and REGEXP are no Athena SQL; regexp_like(text, pattern) does that",
        ),
        Expr::Convert { .. } => (
            expr.span(),
            "CONVERT is no Athena SQL; CAST(x AS type) does that",
        ),
        Expr::Cast {
            kind: CastKind::SafeCast,
            ..
        } => (
            expr.span(),
            "SAFE_CAST is no Athena SQL; TRY_CAST(x AS type) does that",
        ),
        Expr::BinaryOp {
            op: BinaryOperator::Arrow | BinaryOperator::HashArrow,
            ..
        } => (
            expr.span(),
            "arrows into JSON are no Athena SQL; json_extract(x, '$.key') does that",
        ),
        Expr::BinaryOp {
            op: BinaryOperator::LongArrow | BinaryOperator::HashLongArrow,
            ..
        } => (
            expr.span(),
            "arrows into JSON are no Athena SQL; json_extract_scalar(x, '$.key') does that",
        ),
        _ => return Ok(()),
    };
    Err(ParseError::at(span, message))
}

/// Refuses a table that is another dialect's.
pub(super) fn factor(factor: &TableFactor) -> Result<(), ParseError> {
    let message = match factor {
        TableFactor::Pivot { .. } => {
            "PIVOT is no Athena SQL; count(*) FILTER (WHERE x = 'a') does that for each column"
        }
        TableFactor::Unpivot { .. } => {
            "UNPIVOT is no Athena SQL; CROSS JOIN UNNEST(ARRAY['a', 'b'], ARRAY[a, b]) AS t (name, value) does that"
        }
        _ => return Ok(()),
    };
    Err(ParseError::at(factor.span(), message))
}

#[cfg(test)]
mod tests {
    use crate::parse;

    #[test]
    fn forms_of_other_dialects_are_refused_with_athenas_own() {
        let refused = [
            ("SELECT a RLIKE 'x' FROM t", "regexp_like"),
            ("SELECT a REGEXP 'x' FROM t", "regexp_like"),
            ("SELECT a->>'b' FROM t", "json_extract_scalar"),
            ("SELECT CONVERT(a, varchar) FROM t", "CAST("),
            ("SELECT SAFE_CAST(a AS integer) FROM t", "TRY_CAST"),
            ("SELECT a INTO b FROM t", "CREATE TABLE"),
            ("SELECT GETDATE()", "now()"),
            (
                "SELECT * FROM (SELECT 1 a) MATCH_RECOGNIZE (PATTERN (x) DEFINE x AS true)",
                "lag and lead",
            ),
            ("SELECT * FROM t PIVOT (count(*) FOR a IN ('x'))", "FILTER"),
        ];
        for (sql, instead) in refused {
            let error = parse(sql).unwrap_err();
            assert!(error.message.contains(instead), "{sql}: {error}");
            assert!(error.place().is_some(), "{sql}");
        }
        parse("SELECT filter(a, x -> x > 1) FROM t").unwrap();
    }
}
