//! Scalar functions that are another form of syntax, or whose arguments are.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Ident, ObjectName, TimezoneInfo, WindowType,
};

use super::{
    build::{call, plain_cast},
    literals, precision, zones,
};

/// Trino's functions that are written in other words here, or are syntax of their own.
pub(crate) const REWRITTEN: [&str; 33] = [
    "approx_distinct",
    "arbitrary",
    "array_sort",
    "at_timezone",
    "bitwise_and_agg",
    "bitwise_or_agg",
    "bitwise_xor_agg",
    "count_if",
    "current_time",
    "current_timestamp",
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

/// Rewrites a call of one of them; others stay.
pub(super) fn rewrite(expr: &mut Expr) {
    let Expr::Function(function) = expr else {
        return;
    };
    if let Some(WindowType::WindowSpec(window)) = &mut function.over {
        literals::plain_in_window(window);
    }
    let [part] = function.name.0.as_slice() else {
        return;
    };
    let Some(ident) = part.as_ident() else {
        return;
    };
    let (name, span) = (ident.value.to_lowercase(), ident.span);
    zones::reader(function, &name);
    match name.as_str() {
        "localtime" | "current_time" => {
            let time = DataType::Time(Some(3), TimezoneInfo::None);
            *expr = plain_cast(call("current_time", vec![]), time);
        }
        "to_iso8601" => precision::iso(function),
        "typeof" => precision::type_of(expr),
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
