//! How long a text is, and the texts in an array, map or row, where the query says it: as
//! [`types::written`](crate::types::written) names it.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, CharacterLength, DataType, Expr, FunctionArg,
    FunctionArgExpr, FunctionArguments, Subscript, Value,
};

use super::{
    bodies,
    build::{plain_args, rename, text},
    columns::{Column, find},
    precision::{self, Fact},
};
use crate::types::written::parts;

/// What is said of nothing.
pub(super) const UNKNOWN: &str = "?";

/// The length of a `char(n)`.
pub(super) fn of_char(expr: &Expr, columns: &[Column]) -> Option<u64> {
    let name = of_expr(expr, columns)?;
    name.starts_with("char").then(|| length(&name)).flatten()
}

fn length(name: &str) -> Option<u64> {
    let (_, length) = name.strip_suffix(')')?.split_once('(')?;
    length.parse().ok()
}

/// What is said of a value that is one of two: as long as the longer text, a `char` where one is.
pub(super) fn longer(one: &str, other: &str) -> Option<String> {
    if one == other {
        return Some(one.to_owned());
    }
    for kind in ["array", "map", "row"] {
        if let (Some(one), Some(other)) = (parts(one, kind), parts(other, kind)) {
            let pairs = one.iter().zip(&other);
            let all = pairs.map(|(one, other)| longer(one, other).unwrap_or(UNKNOWN.into()));
            let all: Vec<_> = all.collect();
            return (one.len() == other.len()).then(|| format!("{kind}({})", all.join(", ")));
        }
    }
    if let (Some(one), Some(other)) = (one.strip_prefix('#'), other.strip_prefix('#')) {
        let digits: (u64, u64) = (one.parse().ok()?, other.parse().ok()?);
        return Some(format!("#{}", digits.0.max(digits.1)));
    }
    let longest = length(one)?.max(length(other)?);
    let kind = match [one, other].iter().any(|name| name.starts_with("char")) {
        true => "char",
        false => "varchar",
    };
    Some(format!("{kind}({longest})"))
}

pub(super) fn array(element: String) -> String {
    format!("array({element})")
}

/// The type of the elements of an array.
pub(super) fn element(name: &str) -> Option<&str> {
    match parts(name, "array")?.as_slice() {
        [element] => Some(element),
        _ => None,
    }
}

/// The types of the keys and values of a map.
pub(super) fn entries(name: &str) -> Option<(&str, &str)> {
    match parts(name, "map")?.as_slice() {
        [key, value] => Some((key, value)),
        _ => None,
    }
}

/// The type of two texts, or an array and another or an element, behind one another.
fn joined(one: &str, other: &str) -> Option<String> {
    match (element(one), element(other)) {
        (Some(_), Some(_)) => longer(one, other),
        (Some(element), None) => longer(element, other).map(array),
        (None, Some(element)) => longer(one, element).map(array),
        // Two `char`; any other texts make one of any length.
        (None, None) if one.starts_with("char") && other.starts_with("char") => {
            let length = length(one)?.checked_add(length(other)?)?;
            Some(format!("char({length})"))
        }
        (None, None) => None,
    }
}

/// What is said of a type that a query names.
pub(super) fn of_type(data_type: &DataType) -> Option<String> {
    let (name, length) = match data_type {
        DataType::Varchar(Some(length)) | DataType::CharacterVarying(Some(length)) => {
            ("varchar", length)
        }
        DataType::Char(Some(length)) | DataType::Character(Some(length)) => ("char", length),
        DataType::Char(None) | DataType::Character(None) => return Some("char(1)".into()),
        DataType::Array(ArrayElemTypeDef::AngleBracket(element)) => {
            return of_type(element).map(array);
        }
        DataType::Map(key, value) => {
            let part = |part| of_type(part).unwrap_or(UNKNOWN.into());
            return Some(format!("map({}, {})", part(key), part(value)));
        }
        _ => return None,
    };
    match length {
        CharacterLength::IntegerLength { length, .. } => Some(format!("{name}({length})")),
        CharacterLength::Max => None,
    }
}

/// Functions whose result has the type of their first argument.
const KEEPING: [&str; 14] = [
    "__array_sort_by",
    "array_distinct",
    "array_except",
    "array_remove",
    "array_sort",
    "filter",
    "lower",
    "map_filter",
    "nullif",
    "reverse",
    "shuffle",
    "slice",
    "trim_array",
    "upper",
];

/// Functions whose text is a `varchar` never longer than their first argument.
const SHORTENING: [&str; 17] = [
    "btrim",
    "ltrim",
    "regexp_extract",
    "rtrim",
    "split_part",
    "substr",
    "substring",
    "title_case",
    "trim",
    "url_decode",
    "url_extract_fragment",
    "url_extract_host",
    "url_extract_parameter",
    "url_extract_path",
    "url_extract_protocol",
    "url_extract_query",
    "word_stem",
];

/// The longest text with a length of its own.
const LONGEST: u64 = 2_147_483_646;

fn varchar(length: u64) -> Option<String> {
    (length <= LONGEST).then(|| format!("varchar({length})"))
}

/// A piece of a `char(n)` is a `varchar(n)`.
fn varying(name: &str) -> Option<String> {
    match name.starts_with("char") || name.starts_with("varchar") {
        true => varchar(length(name)?),
        false => None,
    }
}

fn row(fields: &[String]) -> String {
    format!("row({})", fields.join(", "))
}

/// What is said of a value that is one of several, `NULL` among them or not.
fn longest<'a>(values: impl IntoIterator<Item = &'a Expr>, columns: &[Column]) -> Option<String> {
    let mut said = values
        .into_iter()
        .filter(|value| !is_null(value))
        .map(|value| part(value, columns));
    let first = said.next()?;
    said.try_fold(first, |longest, next| longer(&longest, &next))
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value == Value::Null)
}

/// What is said of a value that is a part of another one.
pub(super) fn part(expr: &Expr, columns: &[Column]) -> String {
    let digits = || Some(format!("#{}", precision::written(expr, columns)?));
    let said = of_expr(expr, columns).or_else(digits);
    said.unwrap_or(UNKNOWN.into())
}

/// What is said of a value.
pub(super) fn of_expr(expr: &Expr, columns: &[Column]) -> Option<String> {
    let inside = |expr: &Expr| of_expr(expr, columns);
    match expr {
        Expr::Nested(inner) => inside(inner),
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => match find(columns, expr)? {
            Fact::Text(name) => Some(name.clone()),
            Fact::Digits(_) => None,
        },
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(format!("varchar({})", text.chars().count())),
            _ => None,
        },
        Expr::Cast { data_type, .. } => of_type(data_type),
        Expr::Case {
            conditions,
            else_result,
            ..
        } => {
            let results = conditions.iter().map(|when| &when.result);
            longest(results.chain(else_result.as_deref()), columns)
        }
        Expr::Substring { expr, .. } | Expr::Trim { expr, .. } => varying(&inside(expr)?),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::StringConcat,
            right,
        } => joined(&inside(left)?, &inside(right)?),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let mut name = inside(root)?;
            for access in access_chain {
                let AccessExpr::Subscript(Subscript::Index { index }) = access else {
                    return None;
                };
                name = of_part(&name, index)?;
            }
            Some(name)
        }
        Expr::Array(array) => of_call("array", &array.elem.iter().collect::<Vec<_>>(), columns),
        Expr::Function(function) => {
            let [part] = function.name.0.as_slice() else {
                return None;
            };
            let name = part.as_ident()?.value.to_lowercase();
            of_call(&name, &plain_args(function)?, columns)
        }
        _ => None,
    }
}

/// What is said of the part of an array, map or row under a subscript.
fn of_part(name: &str, index: &Expr) -> Option<String> {
    if let Some(element) = element(name) {
        return Some(element.to_owned());
    }
    if let Some((_, value)) = entries(name) {
        return Some(value.to_owned());
    }
    let fields = parts(name, "row")?;
    let place: usize = match index {
        Expr::Value(value) => value.value.to_string().parse().ok()?,
        _ => return None,
    };
    fields.get(place.checked_sub(1)?).map(|&name| name.into())
}

/// What is said of the result of a call.
fn of_call(name: &str, args: &[&Expr], columns: &[Column]) -> Option<String> {
    if name.ends_with("_cast") {
        let Expr::Cast { data_type, .. } = args.get(1)? else {
            return None;
        };
        return of_type(data_type);
    }
    let all = || args.iter().copied();
    match (name, args) {
        ("struct" | "row", fields) => {
            let fields: Vec<_> = fields.iter().map(|field| part(field, columns)).collect();
            Some(row(&fields))
        }
        ("array" | "__array", elements) => longest(elements.iter().copied(), columns).map(array),
        ("if", [_, values @ ..]) => longest(values.iter().copied(), columns),
        (
            "array_intersect" | "array_union" | "coalesce" | "greatest" | "least" | "map_concat",
            _,
        ) => longest(all(), columns),
        ("concat", _) => {
            let mut said = all()
                .filter(|arg| !is_null(arg))
                .map(|arg| part(arg, columns));
            let first = said.next()?;
            said.try_fold(first, |all, next| joined(&all, &next))
        }
        ("zip", arrays) => {
            let fields: Vec<_> = arrays
                .iter()
                .map(|array| element(&part(array, columns)).map_or(UNKNOWN.into(), str::to_owned))
                .collect();
            Some(array(row(&fields)))
        }
        (_, [first, ..]) if is_null(first) => None,
        (_, [first, ..]) if KEEPING.contains(&name) => Some(part(first, columns)),
        (_, [first, ..]) if SHORTENING.contains(&name) => varying(&part(first, columns)),
        _ => of_text(name, args, columns)
            .or_else(|| bodies::of_call(name, args, columns))
            .or_else(|| of_parts(name, args, columns)),
    }
}

/// Texts with a length of their own, and pieces of texts.
///
/// Source: the types of results in Trino's manual of functions and in `SHOW FUNCTIONS`.
fn of_text(name: &str, args: &[&Expr], columns: &[Column]) -> Option<String> {
    let text = |at: usize| varying(&of_expr(args.get(at)?, columns)?);
    let length = |at: usize| length(&text(at)?);
    match (name, args.len()) {
        ("chr", 1) => varchar(1),
        ("soundex", 1) => varchar(4),
        ("to_base", 2) => varchar(64),
        ("url_encode", 1) => varchar(length(0)?.saturating_mul(12)),
        ("replace" | "regexp_replace", 2) => text(0),
        // With something else in the place of a part, a text may grow.
        ("replace", 3) => {
            let (text, new) = (length(0)?, length(2)?);
            varchar(text.saturating_add(new.saturating_mul(text.saturating_add(1))))
        }
        ("regexp_replace", 3) => {
            let (text, new) = (length(0)?, length(2)?);
            let longest = (text.saturating_mul(new) / 2).max(new);
            let pieces = longest.saturating_mul(text.saturating_add(1));
            varchar(pieces.saturating_add(text))
        }
        ("split", 2 | 3) | ("regexp_split", 2) | ("regexp_extract_all", 2 | 3) => {
            text(0).map(array)
        }
        _ => None,
    }
}

/// Arrays and maps made of others, and their parts.
fn of_parts(name: &str, args: &[&Expr], columns: &[Column]) -> Option<String> {
    let first = part(args.first()?, columns);
    match (name, args) {
        ("array_first" | "array_last" | "array_max" | "array_min" | "flatten", _) => {
            element(&first).map(str::to_owned)
        }
        ("element_at", [_, index]) => of_part(&first, index),
        ("combinations" | "ngrams" | "repeat", [_, _]) => Some(array(first)),
        ("map" | "__map", [_, values]) => {
            let values = part(values, columns);
            Some(format!("map({}, {})", element(&first)?, element(&values)?))
        }
        ("map_keys", _) => Some(array(entries(&first)?.0.to_owned())),
        ("map_values", _) => Some(array(entries(&first)?.1.to_owned())),
        ("map_entries", _) => {
            let (key, value) = entries(&first)?;
            Some(array(row(&[key.to_owned(), value.to_owned()])))
        }
        ("map_from_entries" | "multimap_from_entries", _) => {
            let fields = parts(element(&first)?, "row")?;
            let [key, value] = fields.as_slice() else {
                return None;
            };
            Some(match name {
                "map_from_entries" => format!("map({key}, {value})"),
                _ => format!("map({key}, array({value}))"),
            })
        }
        _ => None,
    }
}

/// `typeof(x)` with what is said of `x`.
pub(super) fn type_of(expr: &mut Expr, columns: &[Column]) {
    let Expr::Function(function) = expr else {
        return;
    };
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_slice() else {
        return;
    };
    let digits = || Some(format!("#{}", precision::written(value, columns)?));
    if let Some(said) = of_expr(value, columns).or_else(digits)
        && said != UNKNOWN
    {
        let said = FunctionArgExpr::Expr(text(&said));
        list.args.push(FunctionArg::Unnamed(said));
        rename(function, "__typeof");
    }
}
