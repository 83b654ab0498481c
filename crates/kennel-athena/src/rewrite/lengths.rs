//! How long a text is, and the texts in an array, map or row, where the query says it: as
//! [`types::written`](crate::types::written) names it.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, CharacterLength, DataType, Expr, FunctionArg,
    FunctionArgExpr, FunctionArguments, Subscript, Value,
};

use super::{
    build::{plain_args, text},
    columns::{Column, find},
    precision::{self, Fact},
};
use crate::types::written::parts;

/// What is said of nothing.
const UNKNOWN: &str = "?";

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

fn array(element: String) -> String {
    format!("array({element})")
}

/// The type of the elements of an array.
fn element(name: &str) -> Option<&str> {
    match parts(name, "array")?.as_slice() {
        [element] => Some(element),
        _ => None,
    }
}

/// The types of the keys and values of a map.
fn entries(name: &str) -> Option<(&str, &str)> {
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
        (None, None) => {
            let kind = match [one, other].iter().all(|name| name.starts_with("char")) {
                true => "char",
                false => "varchar",
            };
            let length = length(one)?.checked_add(length(other)?)?;
            Some(format!("{kind}({length})"))
        }
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
const KEEPING: [&str; 16] = [
    "array_distinct",
    "array_except",
    "array_remove",
    "array_sort",
    "filter",
    "lower",
    "ltrim",
    "map_filter",
    "reverse",
    "rtrim",
    "shuffle",
    "slice",
    "substr",
    "trim",
    "trim_array",
    "upper",
];

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
    let part = |expr: &Expr| {
        let digits = || Some(format!("#{}", precision::written(expr, columns)?));
        let said = of_expr(expr, columns).or_else(digits);
        said.unwrap_or(UNKNOWN.into())
    };
    if matches!(name, "struct" | "row") {
        let fields: Vec<_> = args.iter().map(|arg| part(arg)).collect();
        return Some(format!("row({})", fields.join(", ")));
    }
    let is_null = |expr: &&Expr| matches!(expr, Expr::Value(value) if value.value == Value::Null);
    let is_kept = KEEPING.contains(&name) || (name == "replace" && args.len() == 2);
    if is_kept && args.first().is_some_and(is_null) {
        return None;
    }
    let given = args.iter().copied().filter(|arg| !is_null(arg));
    let mut said = given.map(part);
    let first = said.next()?;
    match name {
        // With something else in the place of a part, a text may grow.
        _ if is_kept => Some(first),
        "array_max" | "array_min" | "flatten" => element(&first).map(str::to_owned),
        "element_at" => of_part(&first, args.get(1)?),
        "map_keys" => Some(array(entries(&first)?.0.to_owned())),
        "map_values" => Some(array(entries(&first)?.1.to_owned())),
        "map" | "__map" => {
            let values = said.next()?;
            Some(format!("map({}, {})", element(&first)?, element(&values)?))
        }
        "array_intersect" | "array_union" | "coalesce" | "map_concat" => {
            said.try_fold(first, |longest, next| longer(&longest, &next))
        }
        "array" | "__array" => said
            .try_fold(first, |longest, next| longer(&longest, &next))
            .map(array),
        "repeat" if args.len() == 2 => Some(array(first)),
        // Of texts that are no `char`, it makes one of any length.
        "concat" if !first.starts_with("varchar") => {
            said.try_fold(first, |all, next| joined(&all, &next))
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
    }
}
