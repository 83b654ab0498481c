//! What a user calls the functions that the rewrite puts into a statement: messages say their names.

use std::{collections::BTreeSet, sync::LazyLock};

use super::list;

/// Where the name is not the rewrite's without its two strokes.
const SPOKEN: &[(&str, &str)] = &[
    ("__add", "+"),
    ("__array", "ARRAY"),
    ("__array_sort_by", "array_sort"),
    ("__avg_decimal", "avg"),
    ("__avg_real", "avg"),
    ("__cast", "CAST"),
    ("__concat", "||"),
    ("__difference", "-"),
    ("__distinct", "IS DISTINCT FROM"),
    ("__divide", "/"),
    ("__divide_interval", "/"),
    ("__entries", "UNNEST"),
    ("__equal", "="),
    ("__filled", "CAST"),
    ("__greater", ">"),
    ("__greater_equal", ">="),
    ("__less", "<"),
    ("__less_equal", "<="),
    ("__like_pattern", "LIKE"),
    ("__map_subscript", "[]"),
    ("__max_n", "max"),
    ("__min_n", "min"),
    ("__minus_interval", "-"),
    ("__modulus", "%"),
    ("__months", "INTERVAL"),
    ("__multiply", "*"),
    ("__multiply_interval", "*"),
    ("__ordinals", "UNNEST"),
    ("__plus_interval", "+"),
    ("__sample", "TABLESAMPLE"),
    ("__single", "a subquery"),
    ("__subscript", "[]"),
    ("__subscript_or_null", "[]"),
    ("__subtract", "-"),
    ("__sum_real", "sum"),
    ("__try_cast", "TRY_CAST"),
    ("__unequal", "<>"),
    ("__within", "IN"),
];

/// The names that the rewrite gives.
static OWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let registered = list::registered().into_iter();
    let registered = registered.filter(|name| name.starts_with("__"));
    let spoken = SPOKEN.iter().map(|(own, _)| (*own).to_owned());
    registered.chain(spoken).collect()
});

/// What a user calls a function.
pub(super) fn name(name: &str) -> &str {
    match SPOKEN.iter().find(|(own, _)| *own == name) {
        Some((_, spoken)) => spoken,
        None => name.strip_prefix("__").unwrap_or(name),
    }
}

/// A message with users' names of functions instead of the rewrite's own.
pub fn in_users_words(message: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut worded = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find("__") {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c| !is_word(c)).unwrap_or(from.len());
        let (written, after) = from.split_at(end);
        worded.push_str(before);
        worded.push_str(match OWN.contains(written) && !before.ends_with(is_word) {
            true => name(written),
            false => written,
        });
        rest = after;
    }
    worded + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_rewrite_are_said_otherwise() {
        for (message, worded) in [
            ("'__like_pattern(Int64)'", "'LIKE(Int64)'"),
            ("__json_value: __cast(x)", "json_value: CAST(x)"),
            (
                "column '__mine' and my__cast",
                "column '__mine' and my__cast",
            ),
            ("nothing", "nothing"),
        ] {
            assert_eq!(in_users_words(message), worded);
        }
    }
}
