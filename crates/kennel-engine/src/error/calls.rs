//! Calls with arguments that a function does not take: the dialect's functions say what they expect, DataFusion's
//! own say it in types of Arrow's.

use super::told::{sql_type, stands_in, uncapitalised};

/// DataFusion's functions that users call, by its names: their own names there, and what they take.
const TAKEN: &[(&str, &[&str], &str)] = &[
    ("any_value", &["any_value", "arbitrary"], "x"),
    ("approx_distinct", &["approx_distinct"], "x[, double]"),
    ("array_agg", &["array_agg"], "x"),
    ("bit_and", &["bitwise_and_agg"], "bigint"),
    ("bit_or", &["bitwise_or_agg"], "bigint"),
    ("bit_xor", &["bitwise_xor_agg"], "bigint"),
    ("bool_and", &["bool_and", "every"], "boolean"),
    ("bool_or", &["bool_or"], "boolean"),
    ("corr", &["corr"], "double, double"),
    ("count", &["count"], "x"),
    ("covar_pop", &["covar_pop"], "double, double"),
    ("covar_samp", &["covar_samp"], "double, double"),
    ("lag", &["lag"], "x[, offset[, default]]"),
    ("lead", &["lead"], "x[, offset[, default]]"),
    ("max", &["max"], "x[, n]"),
    ("min", &["min"], "x[, n]"),
    ("nth_value", &["nth_value"], "x, offset"),
    ("ntile", &["ntile"], "bigint"),
    ("regr_intercept", &["regr_intercept"], "double, double"),
    ("regr_slope", &["regr_slope"], "double, double"),
    ("stddev", &["stddev", "stddev_samp"], "double"),
    ("stddev_pop", &["stddev_pop"], "double"),
    ("sum", &["sum"], "a number or interval"),
    ("avg", &["avg"], "a number or interval"),
    ("var", &["variance", "var_samp"], "double"),
    ("var_pop", &["var_pop"], "double"),
];

/// What is wrong with a call, and the forms that would have been right; `None` for other messages.
pub(super) fn unexpected(message: &str, sql: &str) -> Option<(String, Vec<String>)> {
    const WORDS: &str = "Unexpected parameters (";
    // DataFusion wraps what the dialect's functions say into more words.
    let wrapped = message
        .split_once(" failed with: Error during planning: ")
        .map(|(_, inner)| inner.split(". No function matches").next().unwrap_or(inner))
        .filter(|_| !message.contains("failed with: Internal error"));
    let said = match wrapped {
        Some(inner) if !inner.contains("does not support zero arguments") => Some(inner),
        _ => message.starts_with(WORDS).then_some(message),
    };
    if let Some(said) = said {
        let (first, form) = said.split_once(". Expected: ").unwrap_or((said, ""));
        let form = form.trim().trim_end_matches('.');
        let first = uncapitalised(first.trim().trim_end_matches('.'));
        let forms = (!form.is_empty()).then(|| form.to_owned());
        return Some((first, forms.into_iter().collect()));
    }
    let (_, call) = message.split_once("argument types '")?;
    let (name, given) = call.split_once('\'')?.0.split_once('(')?;
    let given = types(given.strip_suffix(')').unwrap_or(given)).join(", ");
    let known = TAKEN.iter().find(|(own, ..)| *own == name);
    let (name, forms) = match known {
        Some((own, names, taken)) => {
            let written = names.iter().find(|name| stands_in(name, sql));
            let name = written.or(names.first()).unwrap_or(own);
            (*name, vec![format!("{name}({taken})")])
        }
        None => (name, vec![]),
    };
    let message = format!("unexpected parameters ({given}) for function {name}");
    Some((message, forms))
}

/// Types of Arrow's, in SQL's words: those that stand behind one another, not those in brackets.
fn types(list: &str) -> Vec<&str> {
    let (mut depth, mut start) = (0_usize, 0);
    let mut types = vec![];
    for (at, sign) in list.char_indices() {
        match sign {
            '(' | '<' | '{' => depth += 1,
            ')' | '>' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                types.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    types.push(&list[start..]);
    types
        .into_iter()
        .map(|name| sql_type(name.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_function_takes_is_said_in_sqls_words() {
        let said = |message, sql| unexpected(message, sql).unwrap();
        let (message, forms) = said(
            "Function 'substr' user-defined coercion failed with: Error during planning: Unexpected parameters () for function substr. Expected: substr(varchar, bigint, bigint). No function matches the given name and argument types 'substr()'. You might need to add explicit type casts.\n\tCandidate functions:\n\tsubstr(UserDefined)",
            "",
        );
        assert_eq!(message, "unexpected parameters () for function substr");
        assert_eq!(forms, ["substr(varchar, bigint, bigint)"]);
        let (message, forms) = said(
            "Unexpected parameters (date) for function hour. Expected: hour(timestamp)",
            "",
        );
        assert_eq!(message, "unexpected parameters (date) for function hour");
        assert_eq!(forms, ["hour(timestamp)"]);
        let (message, forms) = said(
            "Function 'sum' user-defined coercion failed with: Internal error: Function 'sum' failed to match any signature, errors: Error during planning: Function 'sum' requires Decimal, but received String (DataType: Utf8).. No function matches the given name and argument types 'sum(Utf8, Int64)'",
            "",
        );
        assert_eq!(
            message,
            "unexpected parameters (varchar, bigint) for function sum"
        );
        assert_eq!(forms, ["sum(a number or interval)"]);
        let (message, forms) = said(
            "'bool_and' does not support zero arguments. No function matches the given name and argument types 'bool_and()'. You might need to add explicit type casts.\n\tCandidate functions:\n\tbool_and(Boolean)",
            "SELECT every()",
        );
        assert_eq!(message, "unexpected parameters () for function every");
        assert_eq!(forms, ["every(boolean)"]);
        assert_eq!(unexpected("column 'x' not found", ""), None);
        assert_eq!(
            types("Decimal128(3, 1), List(Utf8), Int32"),
            ["decimal", "array", "integer"]
        );
    }
}
