//! Functions that are another form of syntax, another name, or not to be had.

use datafusion::sql::sqlparser::{
    ast::{
        BinaryOperator, DataType, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
        FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident, ListAggOnOverflow,
        ObjectName, OneOrManyWithParens, Spanned, TimezoneInfo, Value,
    },
    tokenizer::Span,
};

use super::{
    build::{call, case, ident_at, lambda, null, plain_args, plain_cast, rename, text},
    expressions::cast_call,
    literals,
    scalars::REWRITTEN,
};
use crate::{ParseError, functions::list::foreign, types::fine::MOST_DIGITS};

/// Trino's names for functions that are registered under another one, with the same meaning.
const RENAMED: [(&str, &str); 6] = [
    ("arbitrary", "any_value"),
    ("every", "bool_and"),
    ("map", "__map"),
    ("row", "struct"),
    ("stddev_samp", "stddev"),
    ("variance", "var_samp"),
];

/// Functions over types that do not exist here, and what to use instead.
const MISSING: [(&str, &str); 7] = [
    ("classify", MODELS),
    ("features", MODELS),
    ("learn_classifier", MODELS),
    ("learn_libsvm_classifier", MODELS),
    ("learn_libsvm_regressor", MODELS),
    ("learn_regressor", MODELS),
    ("regress", MODELS),
];

const MODELS: &str = "another tool for models";

/// Standard errors that `approx_distinct` takes, as in Trino.
const ERRORS: std::ops::RangeInclusive<f64> = 0.004_062_5..=0.26;

pub(super) fn rewrite(expr: &mut Expr) -> Result<(), ParseError> {
    let span = expr.span();
    let Expr::Function(function) = expr else {
        return Ok(());
    };
    let [part] = function.name.0.as_slice() else {
        return Ok(());
    };
    let Some(ident) = part.as_ident() else {
        return Ok(());
    };
    let name = ident.value.to_lowercase();
    // What the rewrite puts in stands nowhere in the text.
    let is_written = ident.span != Span::empty();
    if is_written && let Some(message) = foreign(&name) {
        return Err(ParseError::at(span, message));
    }
    let is_syntax = REWRITTEN.contains(&name.as_str()) || name == "coalesce";
    if is_written && !is_syntax && argument_count(function) > MOST_ARGUMENTS {
        let message = format!("Too many arguments for function call {name}()");
        return Err(ParseError::at(span, message));
    }
    check_lambdas(function, &name, span)?;
    check_count(function, &name, span)?;
    if let Some((_, ours)) = RENAMED.iter().find(|(trino, _)| *trino == name) {
        rename(function, ours);
        return Ok(());
    }
    if let Some((_, instead)) = MISSING.iter().find(|(trino, _)| *trino == name) {
        let message = format!("`{name}` is not available here; use {instead}");
        return Err(ParseError::at(span, message));
    }
    match name.as_str() {
        "current_time" | "current_timestamp" | "localtime" | "localtimestamp" | "now" => {
            *expr = clock(&name, function, span)?;
        }
        "count" if counts_rows(function) => all_rows(function),
        "count_if" => count_if(function, span)?,
        "array_sort" => {
            if let Some([_, Expr::Lambda(_)]) = plain_args(function).as_deref() {
                rename(function, "__array_sort_by");
            }
        }
        "max" | "min" if plain_args(function).is_some_and(|args| args.len() == 2) => {
            rename(function, if name == "max" { "__max_n" } else { "__min_n" });
        }
        "approx_distinct" => approx_distinct(expr, span)?,
        "grouping" => {
            let grouping = std::mem::replace(expr, null());
            *expr = plain_cast(grouping, DataType::BigInt(None));
        }
        "listagg" => *expr = listagg(function, span)?,
        "reduce_agg" => *expr = reduce_agg(function, span)?,
        "if" => *expr = conditional(function, span)?,
        "try" => {
            let args = plain_args(function).unwrap_or_default();
            let [tried] = args.as_slice() else {
                return Err(ParseError::at(span, "`try` takes one expression"));
            };
            *expr = call("__try", vec![lambda(Ident::new("__row"), (*tried).clone())]);
        }
        _ => {}
    }
    Ok(())
}

/// How many parameters the lambdas of a function have, in their order.
const PARAMETERS: [(&str, &[usize]); 15] = [
    ("all_match", &[1]),
    ("any_match", &[1]),
    ("array_sort", &[2]),
    ("filter", &[1]),
    ("map_filter", &[2]),
    ("map_zip_with", &[3]),
    ("none_match", &[1]),
    ("reduce", &[2, 1]),
    ("reduce_agg", &[2, 2]),
    ("regexp_replace", &[1]),
    ("__regexp_replace", &[1]),
    ("transform", &[1]),
    ("transform_keys", &[2]),
    ("transform_values", &[2]),
    ("zip_with", &[2]),
];

/// DataFusion takes lambdas with fewer parameters than there are.
fn check_lambdas(function: &Function, name: &str, span: Span) -> Result<(), ParseError> {
    let Some((_, expected)) = PARAMETERS.iter().find(|(known, _)| *known == name) else {
        return Ok(());
    };
    let args = plain_args(function).unwrap_or_default();
    let lambdas = args.iter().filter_map(|arg| match arg {
        Expr::Lambda(lambda) => Some(match &lambda.params {
            OneOrManyWithParens::One(_) => 1,
            OneOrManyWithParens::Many(parameters) => parameters.len(),
        }),
        _ => None,
    });
    match lambdas
        .zip(*expected)
        .find(|(given, expected)| given != *expected)
    {
        Some((given, expected)) => {
            let message =
                format!("`{name}` takes a lambda of {expected} parameters here, not of {given}");
            Err(ParseError::at(span, message))
        }
        None => Ok(()),
    }
}

/// How many arguments a call may have in Trino.
const MOST_ARGUMENTS: usize = 127;

/// Aggregates whose arguments are not counted where they are planned.
fn check_count(function: &Function, name: &str, span: Span) -> Result<(), ParseError> {
    let message = match (name, argument_count(function)) {
        ("count", 2..) => "`count` takes one value, or `*`",
        ("array_agg", 0 | 2..) => "`array_agg` takes one value",
        ("approx_distinct", 0 | 3..) => "`approx_distinct` takes a value, and the standard error",
        _ => return Ok(()),
    };
    Err(ParseError::at(span, message))
}

fn argument_count(function: &Function) -> usize {
    match &function.args {
        FunctionArguments::List(list) => list.args.len(),
        _ => 0,
    }
}

/// What the clock shows, with the digits that `current_timestamp(6)` asks for; three where it does not.
fn clock(name: &str, function: &Function, span: Span) -> Result<Expr, ParseError> {
    let digits = match plain_args(function).unwrap_or_default().as_slice() {
        [] => Some(3),
        [digits] if name != "now" => literals::written(digits)
            .and_then(|digits| digits.parse().ok())
            .filter(|digits| *digits <= u64::from(MOST_DIGITS)),
        _ => None,
    };
    let Some(digits) = digits else {
        let message = match name {
            "now" => "`now` takes no arguments; current_timestamp(6) has so many digits".into(),
            _ => format!("`{name}` takes a number of digits from 0 to {MOST_DIGITS}"),
        };
        return Err(ParseError::at(span, message));
    };
    let zone = match name {
        "localtime" | "localtimestamp" => TimezoneInfo::None,
        _ => TimezoneInfo::WithTimeZone,
    };
    let (source, data_type) = match name {
        "current_time" | "localtime" => ("current_time", DataType::Time(Some(digits), zone)),
        _ => ("now", DataType::Timestamp(Some(digits), zone)),
    };
    Ok(cast_call("__cast", call(source, vec![]), &data_type))
}

fn conditional(function: &Function, span: Span) -> Result<Expr, ParseError> {
    match plain_args(function).unwrap_or_default().as_slice() {
        [condition, result] => Ok(case((*condition).clone(), (*result).clone(), None)),
        [condition, result, otherwise] => Ok(case(
            (*condition).clone(),
            (*result).clone(),
            Some((*otherwise).clone()),
        )),
        _ => {
            let message = "`if` takes a condition and one or two values";
            Err(ParseError::at(span, message))
        }
    }
}

fn and(filter: Option<Box<Expr>>, condition: Expr) -> Expr {
    let condition = Expr::Nested(Box::new(condition));
    match filter {
        None => condition,
        Some(filter) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(filter)),
            op: BinaryOperator::And,
            right: Box::new(condition),
        },
    }
}

/// `count_if(x)` as `count(*) FILTER (WHERE x)`.
fn count_if(function: &mut Function, span: Span) -> Result<(), ParseError> {
    let condition = match plain_args(function).as_deref() {
        Some([condition]) => (*condition).clone(),
        _ => return Err(ParseError::at(span, "`count_if` takes one condition")),
    };
    function.filter = Some(Box::new(and(function.filter.take(), condition)));
    function.name = ObjectName::from(vec![ident_at("count", span)]);
    all_rows(function);
    Ok(())
}

/// `count()`, and `count(1)`: DataFusion calls the latter as it calls `count(*)`, and cannot have both.
fn counts_rows(function: &Function) -> bool {
    match plain_args(function).as_deref() {
        Some([]) => true,
        Some([Expr::Cast { expr, .. }]) => is_number(expr),
        Some([arg]) => is_number(arg) || is_text(arg),
        _ => false,
    }
}

/// `count(*)` instead of its arguments.
fn all_rows(function: &mut Function) {
    function.args = FunctionArguments::List(FunctionArgumentList {
        duplicate_treatment: None,
        args: vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)],
        clauses: vec![],
    });
}

/// `approx_distinct(x, e)` as a bigint; DataFusion's error is smaller than any `e` that is allowed.
fn approx_distinct(expr: &mut Expr, span: Span) -> Result<(), ParseError> {
    let Expr::Function(function) = expr else {
        return Ok(());
    };
    if let FunctionArguments::List(list) = &mut function.args
        && list.args.len() == 2
    {
        if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(error))) = list.args.last()
            && let Some(error) = literals::written(error)
            && !error
                .parse()
                .is_ok_and(|error: f64| ERRORS.contains(&error))
        {
            let message = format!(
                "the error must be from {} to {}",
                ERRORS.start(),
                ERRORS.end()
            );
            return Err(ParseError::at(span, message));
        }
        list.args.truncate(1);
    }
    let function = std::mem::replace(expr, null());
    *expr = plain_cast(function, DataType::BigInt(None));
    Ok(())
}

/// `array_agg(x …) FILTER (WHERE x IS NOT NULL …)` with the order, filter and window of a function.
fn gathered(
    function: &Function,
    value: &Expr,
    duplicates: Option<DuplicateTreatment>,
    order: FunctionArgumentClause,
) -> Expr {
    let is_there = Expr::IsNotNull(Box::new(value.clone()));
    let has_order = !matches!(&order, FunctionArgumentClause::OrderBy(keys) if keys.is_empty());
    let mut gathering = function.clone();
    gathering.name = ObjectName::from(vec![Ident::new("array_agg")]);
    gathering.within_group = vec![];
    gathering.filter = Some(Box::new(and(gathering.filter.take(), is_there)));
    gathering.args = FunctionArguments::List(FunctionArgumentList {
        duplicate_treatment: duplicates,
        args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value.clone()))],
        clauses: if has_order { vec![order] } else { vec![] },
    });
    Expr::Function(gathering)
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Number(..)))
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value)
        if matches!(value.value, Value::SingleQuotedString(_) | Value::UnicodeStringLiteral(_)))
}

/// `listagg(x, s ON OVERFLOW …) WITHIN GROUP (ORDER BY y)` as
/// `__listagg(array_agg(x ORDER BY y) FILTER (WHERE x IS NOT NULL), s, …)`.
fn listagg(function: &Function, span: Span) -> Result<Expr, ParseError> {
    let wrong = || ParseError::at(span, "`listagg` takes a text, and a separator in quotes");
    let FunctionArguments::List(list) = &function.args else {
        return Err(wrong());
    };
    if function.over.is_some() {
        let message =
            "`listagg` has no window frames; array_join(array_agg(…) OVER (…), …) does that";
        return Err(ParseError::at(span, message));
    }
    if function.within_group.is_empty() {
        let message = "`listagg` needs WITHIN GROUP (ORDER BY …)";
        return Err(ParseError::at(span, message));
    }
    let args = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    let args: Vec<&Expr> = args.collect::<Option<_>>().ok_or_else(wrong)?;
    let (value, separator) = match args.as_slice() {
        [value] => (*value, text("")),
        [value, separator] if is_text(separator) => (*value, (*separator).clone()),
        _ => return Err(wrong()),
    };
    let (mut filler, mut on_overflow) = (text("..."), "error");
    for clause in &list.clauses {
        if let FunctionArgumentClause::OnOverflow(ListAggOnOverflow::Truncate {
            filler: given,
            with_count,
        }) = clause
        {
            on_overflow = if *with_count {
                "with count"
            } else {
                "without count"
            };
            if let Some(given) = given {
                filler = given.as_ref().clone();
            }
        }
    }
    let order = FunctionArgumentClause::OrderBy(function.within_group.clone());
    let gathered = gathered(function, value, list.duplicate_treatment, order);
    Ok(call(
        "__listagg",
        vec![gathered, separator, text(on_overflow), filler],
    ))
}

/// `reduce_agg(x, s, f, g)` as `reduce(array_agg(x) FILTER (WHERE x IS NOT NULL), s, f, s -> s)`:
/// states are never combined, as all values of a group are in one place.
fn reduce_agg(function: &Function, span: Span) -> Result<Expr, ParseError> {
    let args = plain_args(function).unwrap_or_default();
    let [value, initial, step, Expr::Lambda(_)] = args.as_slice() else {
        let message = "`reduce_agg` takes a value, an initial state and two lambdas";
        return Err(ParseError::at(span, message));
    };
    let order = FunctionArgumentClause::OrderBy(vec![]);
    let gathered = gathered(function, value, None, order);
    let state = Ident::new("__state");
    let same = lambda(state.clone(), Expr::Identifier(state));
    Ok(call(
        "reduce",
        vec![gathered, (*initial).clone(), (*step).clone(), same],
    ))
}
