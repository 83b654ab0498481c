//! How long a text may be, where the query says it: the `n` of `varchar(n)` in what `typeof` answers.
//!
//! Types of values carry no lengths here. What literals and casts say is followed through the functions
//! that keep a length or make another one of it, and through arrays, maps and rows; where nothing is
//! said, or it is said in another place of the query, a text is plain `varchar`.
//!
//! Source: the types of results in Trino's manual of functions and in `SHOW FUNCTIONS`.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, CharacterLength, DataType, Expr, Function,
    Subscript, Value,
};

use super::{
    build::{null, plain_args},
    expressions::cast_call,
};

/// What is known of a type's texts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// Nothing, or there is no text in it.
    Unknown,
    /// `NULL`, which takes any shape.
    Null,
    /// `varchar(n)`.
    Varchar(u64),
    /// `char(n)`.
    Char(u64),
    Array(Box<Self>),
    Map(Box<Self>, Box<Self>),
    Row(Vec<Self>),
}

/// The longest text with a length of its own.
const LONGEST: u64 = 2_147_483_646;

impl Shape {
    fn varchar(length: u64) -> Self {
        match length {
            0..=LONGEST => Self::Varchar(length),
            _ => Self::Unknown,
        }
    }

    fn array(element: Self) -> Self {
        Self::Array(Box::new(element))
    }

    /// The shape that both take.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, shape) | (shape, Self::Null) => shape,
            (Self::Varchar(a), Self::Varchar(b)) => Self::Varchar(a.max(b)),
            (Self::Char(a), Self::Char(b)) => Self::Char(a.max(b)),
            (Self::Array(a), Self::Array(b)) => Self::array(a.with(*b)),
            (Self::Map(k, v), Self::Map(l, w)) => {
                Self::Map(Box::new(k.with(*l)), Box::new(v.with(*w)))
            }
            (Self::Row(a), Self::Row(b)) if a.len() == b.len() => {
                Self::Row(a.into_iter().zip(b).map(|(a, b)| a.with(b)).collect())
            }
            _ => Self::Unknown,
        }
    }

    fn of_all<'a>(exprs: impl IntoIterator<Item = &'a Expr>) -> Self {
        exprs.into_iter().map(shape).fold(Self::Null, Self::with)
    }

    fn element(self) -> Self {
        match self {
            Self::Array(element) => *element,
            _ => Self::Unknown,
        }
    }

    /// Does it say of any text how long it may be?
    fn says_anything(&self) -> bool {
        match self {
            Self::Unknown | Self::Null => false,
            Self::Varchar(_) | Self::Char(_) => true,
            Self::Array(element) => element.says_anything(),
            Self::Map(key, value) => key.says_anything() || value.says_anything(),
            Self::Row(fields) => fields.iter().any(Self::says_anything),
        }
    }
}

/// Written as `typeof` reads it: `array(varchar(3))`, `map(_,char(1))`.
impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown | Self::Null => f.write_str("_"),
            Self::Varchar(length) => write!(f, "varchar({length})"),
            Self::Char(length) => write!(f, "char({length})"),
            Self::Array(element) => write!(f, "array({element})"),
            Self::Map(key, value) => write!(f, "map({key},{value})"),
            Self::Row(fields) => {
                let fields: Vec<_> = fields.iter().map(ToString::to_string).collect();
                write!(f, "row({})", fields.join(","))
            }
        }
    }
}

/// What the query says of the texts in the type of an expression, if anything.
pub(super) fn said(expr: &Expr) -> Option<String> {
    let shape = shape(expr);
    shape.says_anything().then(|| shape.to_string())
}

fn shape(expr: &Expr) -> Shape {
    match expr {
        Expr::Nested(inner) => shape(inner),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Shape::varchar(text.chars().count() as u64),
            Value::Null => Shape::Null,
            _ => Shape::Unknown,
        },
        Expr::Cast { data_type, .. } => of_type(data_type),
        Expr::Case {
            conditions,
            else_result,
            ..
        } => {
            let results = conditions.iter().map(|when| &when.result);
            Shape::of_all(results.chain(else_result.as_deref()))
        }
        Expr::Substring { expr, .. } | Expr::Trim { expr, .. } => piece(shape(expr)),
        // Of a parameter nothing is known; the body may still say something.
        Expr::Lambda(lambda) => shape(&lambda.body),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::StringConcat,
            right,
        } => joined(vec![shape(left), shape(right)]),
        Expr::CompoundFieldAccess { root, access_chain } => {
            access_chain
                .iter()
                .fold(shape(root), |shape, access| match (shape, access) {
                    (Shape::Array(element), AccessExpr::Subscript(_)) => *element,
                    (Shape::Map(_, value), AccessExpr::Subscript(_)) => *value,
                    (Shape::Row(fields), AccessExpr::Subscript(Subscript::Index { index })) => {
                        field(fields, index)
                    }
                    _ => Shape::Unknown,
                })
        }
        Expr::Function(function) => of_call(function),
        _ => Shape::Unknown,
    }
}

fn field(mut fields: Vec<Shape>, index: &Expr) -> Shape {
    let place = literal(index).and_then(|place| usize::try_from(place).ok()?.checked_sub(1));
    match place {
        Some(place) if place < fields.len() => fields.swap_remove(place),
        _ => Shape::Unknown,
    }
}

fn literal(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.parse().ok(),
            _ => None,
        },
        Expr::Cast { expr, .. } | Expr::Nested(expr) => literal(expr),
        _ => None,
    }
}

fn of_type(data_type: &DataType) -> Shape {
    let length = |length: &CharacterLength| match length {
        CharacterLength::IntegerLength { length, .. } => Some(*length),
        CharacterLength::Max => None,
    };
    match data_type {
        DataType::Varchar(Some(given)) | DataType::CharacterVarying(Some(given)) => {
            length(given).map_or(Shape::Unknown, Shape::varchar)
        }
        DataType::Char(given) | DataType::Character(given) => match given {
            Some(given) => length(given).map_or(Shape::Unknown, Shape::Char),
            None => Shape::Char(1),
        },
        DataType::Array(ArrayElemTypeDef::AngleBracket(element)) => Shape::array(of_type(element)),
        DataType::Map(key, value) => Shape::Map(Box::new(of_type(key)), Box::new(of_type(value))),
        DataType::Struct(fields, _) => {
            Shape::Row(fields.iter().map(|f| of_type(&f.field_type)).collect())
        }
        _ => Shape::Unknown,
    }
}

/// Functions that make a shorter text, which stays a `char(n)` where it is one.
const CUTTING: [&str; 6] = ["btrim", "ltrim", "rtrim", "substr", "substring", "trim"];

/// Functions whose text is a `varchar` never longer than their first argument.
const SHORTENING: [&str; 11] = [
    "regexp_extract",
    "split_part",
    "title_case",
    "url_decode",
    "url_extract_fragment",
    "url_extract_host",
    "url_extract_parameter",
    "url_extract_path",
    "url_extract_protocol",
    "url_extract_query",
    "word_stem",
];

/// Functions whose type is that of their first argument.
const KEEPING: [&str; 13] = [
    "__array_sort_by",
    "array_distinct",
    "array_except",
    "array_remove",
    "array_sort",
    "filter",
    "lower",
    "map_filter",
    "reverse",
    "shuffle",
    "slice",
    "trim_array",
    "upper",
];

fn of_call(function: &Function) -> Shape {
    let (Some(name), Some(args)) = (
        function.name.0.last().and_then(|part| part.as_ident()),
        plain_args(function),
    ) else {
        return Shape::Unknown;
    };
    let name = name.value.to_lowercase();
    if let [first, ..] = args.as_slice() {
        if SHORTENING.contains(&name.as_str()) {
            return varying(shape(first));
        }
        if CUTTING.contains(&name.as_str()) {
            return piece(shape(first));
        }
        if KEEPING.contains(&name.as_str()) {
            return shape(first);
        }
    }
    of_text(&name, &args).unwrap_or_else(|| of_parts(&name, &args))
}

/// Texts with a length of their own, and pieces of texts.
fn of_text(name: &str, args: &[&Expr]) -> Option<Shape> {
    let length = |at: usize| match shape(args.get(at)?) {
        Shape::Varchar(length) | Shape::Char(length) => Some(length),
        _ => None,
    };
    Some(match (name, args.len()) {
        ("chr", 1) => Shape::Varchar(1),
        ("soundex", 1) => Shape::Varchar(4),
        ("to_base", 2) => Shape::Varchar(64),
        ("url_encode", 1) => length(0).map_or(Shape::Unknown, |x| Shape::varchar(12 * x)),
        ("replace" | "regexp_replace", 2) => varying(shape(args[0])),
        ("replace", 3) => match (length(0), length(2)) {
            (Some(x), Some(z)) => Shape::varchar(x + z.saturating_mul(x + 1)),
            _ => Shape::Unknown,
        },
        ("regexp_replace", 3) => match (length(0), length(2)) {
            (Some(x), Some(y)) => {
                let longest = (x.saturating_mul(y) / 2).max(y);
                Shape::varchar(longest.saturating_mul(x + 1).saturating_add(x))
            }
            _ => Shape::Unknown,
        },
        ("split", 2 | 3) | ("regexp_split", 2) | ("regexp_extract_all", 2 | 3) => {
            Shape::array(varying(shape(args[0])))
        }
        _ => return None,
    })
}

/// Arrays, maps, rows, and their parts.
fn of_parts(name: &str, args: &[&Expr]) -> Shape {
    match (name, args) {
        ("__cast" | "__try_cast", [_, target, ..]) => shape(target),
        ("__array", elements) => Shape::array(Shape::of_all(elements.iter().copied())),
        ("struct", fields) => Shape::Row(fields.iter().map(|field| shape(field)).collect()),
        (
            "coalesce" | "greatest" | "least" | "array_union" | "array_intersect" | "map_concat",
            all,
        ) => Shape::of_all(all.iter().copied()),
        ("concat", all) => joined(all.iter().map(|arg| shape(arg)).collect()),
        ("__map", [keys, values]) => {
            let (keys, values) = (shape(keys).element(), shape(values).element());
            Shape::Map(Box::new(keys), Box::new(values))
        }
        ("array_max" | "array_min" | "array_first" | "array_last" | "flatten", [array]) => {
            shape(array).element()
        }
        ("combinations" | "ngrams", [array, _]) => Shape::array(shape(array)),
        ("repeat", [element, _]) => Shape::array(shape(element)),
        ("transform", [_, body]) | ("zip_with", [_, _, body]) => Shape::array(shape(body)),
        ("transform_keys", [map, body]) => match shape(map) {
            Shape::Map(_, value) => Shape::Map(Box::new(shape(body)), value),
            _ => Shape::Unknown,
        },
        ("transform_values", [map, body]) | ("map_zip_with", [map, _, body]) => match shape(map) {
            Shape::Map(key, _) => Shape::Map(key, Box::new(shape(body))),
            _ => Shape::Unknown,
        },
        ("zip", arrays) => {
            let fields = arrays.iter().map(|array| shape(array).element());
            Shape::array(Shape::Row(fields.collect()))
        }
        ("element_at", [whole, _]) => match shape(whole) {
            Shape::Array(part) | Shape::Map(_, part) => *part,
            _ => Shape::Unknown,
        },
        ("map_keys", [map]) => match shape(map) {
            Shape::Map(key, _) => Shape::Array(key),
            _ => Shape::Unknown,
        },
        ("map_values", [map]) => match shape(map) {
            Shape::Map(_, value) => Shape::Array(value),
            _ => Shape::Unknown,
        },
        ("map_entries", [map]) => match shape(map) {
            Shape::Map(key, value) => Shape::array(Shape::Row(vec![*key, *value])),
            _ => Shape::Unknown,
        },
        ("map_from_entries" | "multimap_from_entries", [entries]) => {
            match shape(entries).element() {
                Shape::Row(mut fields) if fields.len() == 2 => {
                    let value = fields.pop().unwrap_or(Shape::Unknown);
                    let key = fields.pop().unwrap_or(Shape::Unknown);
                    let value = match name {
                        "map_from_entries" => value,
                        _ => Shape::array(value),
                    };
                    Shape::Map(Box::new(key), Box::new(value))
                }
                _ => Shape::Unknown,
            }
        }
        _ => Shape::Unknown,
    }
}

/// A piece of a text is a text as long as that at most, and a piece of a `char(n)` one with blanks again.
fn piece(shape: Shape) -> Shape {
    match shape {
        Shape::Char(_) | Shape::Varchar(_) => shape,
        _ => Shape::Unknown,
    }
}

/// Pieces of a `char(n)` fill up with blanks, as they are `char(n)` themselves.
pub(super) fn fill(expr: &mut Expr) {
    let cut = match &*expr {
        Expr::Substring { expr, .. } | Expr::Trim { expr, .. } => expr.as_ref(),
        Expr::Function(function) => match plain_args(function).as_deref() {
            Some([first, ..]) if is_cutting(function) => first,
            _ => return,
        },
        _ => return,
    };
    if let Shape::Char(length) = shape(cut) {
        let length = CharacterLength::IntegerLength { length, unit: None };
        let piece = std::mem::replace(expr, null());
        *expr = cast_call("__cast", piece, &DataType::Char(Some(length)));
    }
}

fn is_cutting(function: &Function) -> bool {
    let name = function.name.0.last().and_then(|part| part.as_ident());
    name.is_some_and(|name| CUTTING.contains(&name.value.to_lowercase().as_str()))
}

/// What is made of a `char(n)` as of a text is a `varchar(n)`.
fn varying(shape: Shape) -> Shape {
    match shape {
        Shape::Char(length) => Shape::Varchar(length),
        Shape::Varchar(_) => shape,
        _ => Shape::Unknown,
    }
}

/// `a || b …`: `char(n)` adds up, `varchar` has no length any more, arrays take elements.
fn joined(parts: Vec<Shape>) -> Shape {
    let sum = parts.iter().try_fold(0_u64, |sum, part| match part {
        Shape::Char(length) => sum.checked_add(*length),
        _ => None,
    });
    if let Some(sum) = sum {
        return Shape::Char(sum);
    }
    let whole = |part: &Shape| matches!(part, Shape::Array(_));
    let Some(first) = parts.iter().find(|part| whole(part)).cloned() else {
        return Shape::Unknown;
    };
    parts.into_iter().fold(first, |array, part| match part {
        Shape::Array(_) | Shape::Null => array.with(part),
        // An array of arrays takes an array as an element; that is no array beside it.
        element => array.with(Shape::array(element)),
    })
}
