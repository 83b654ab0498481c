//! Scalar functions that are another form of syntax, or whose arguments are.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident, ObjectName};

use super::{
    build::{case, null, plain_args},
    chars,
    columns::Column,
    lengths, literals, precision, zones,
};

/// Trino's functions that are written in other words here, or are syntax of their own.
pub(crate) const REWRITTEN: [&str; 36] = [
    "approx_distinct",
    "arbitrary",
    "array_sort",
    "at_timezone",
    "bitwise_and_agg",
    "bitwise_or_agg",
    "bitwise_xor_agg",
    "count_if",
    "current_catalog",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "every",
    "extract",
    "from_unixtime",
    "grouping",
    "if",
    "json_array",
    "json_exists",
    "json_object",
    "json_query",
    "json_value",
    "listagg",
    "localtime",
    "localtimestamp",
    "map",
    "now",
    "nullif",
    "position",
    "reduce_agg",
    "row",
    "stddev_samp",
    "try",
    "variance",
    "with_timezone",
];

/// `nullif(a, b)`, whose type is that of `a`, whatever both are compared as.
fn null_if(value: Expr, other: Expr, columns: &[Column]) -> Expr {
    let mut equal = Expr::BinaryOp {
        left: Box::new(value.clone()),
        op: BinaryOperator::Eq,
        right: Box::new(other),
    };
    chars::rewrite(&mut equal, columns);
    case(equal, null(), Some(value))
}

/// Rewrites a call of one of them; others stay.
pub(super) fn rewrite(expr: &mut Expr, columns: &[Column]) {
    let Expr::Function(function) = expr else {
        return;
    };
    let [part] = function.name.0.as_slice() else {
        return;
    };
    let Some(ident) = part.as_ident() else {
        return;
    };
    let (name, span) = (ident.value.to_lowercase(), ident.span);
    zones::reader(function, &name);
    match name.as_str() {
        "nullif" => {
            if let Some([value, other]) = plain_args(function).as_deref() {
                *expr = null_if((*value).clone(), (*other).clone(), columns);
            }
        }
        "to_iso8601" => precision::with_digits(expr, columns),
        "typeof" => lengths::type_of(expr, columns),
        "normalize" => literals::name_as_text(function, 1),
        "regexp_replace" if literals::has_lambda(function) => {
            let renamed = Ident::with_span(span, "__regexp_replace");
            function.name = ObjectName::from(vec![renamed]);
        }
        "at_timezone"
        | "with_timezone"
        | "from_unixtime"
        | "from_iso8601_timestamp"
        | "from_iso8601_timestamp_nanos"
        | "parse_datetime" => zones::function(expr, &name),
        _ => {}
    }
}
