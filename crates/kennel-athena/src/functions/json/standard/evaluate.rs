//! Paths of the SQL standard, followed.
//!
//! Source: Trino manual, "JSON functions and operators", section "JSON path language".

use std::{cmp::Ordering, collections::HashMap};

use super::{
    Tree,
    path::{Node, Path, Predicate},
};

/// What a path meets: its input, and the values that were passed to it.
pub(super) struct Context<'a> {
    pub(super) input: &'a Tree,
    /// `None` for a value that is no item at all.
    pub(super) variables: &'a HashMap<String, Option<Tree>>,
}

/// Why a path has no result.
type Failed = String;

/// The items that a path leads to.
///
/// # Errors
/// What the structure of the input lacks (in strict mode), or what cannot be calculated.
pub(super) fn follow(path: &Path, context: &Context<'_>) -> Result<Vec<Tree>, Failed> {
    let evaluation = Evaluation {
        strict: path.strict,
        context,
    };
    evaluation.items(&path.root, &Scope::default())
}

/// What `@` and `last` stand for.
#[derive(Default, Clone, Copy)]
struct Scope<'a> {
    current: Option<&'a Tree>,
    last: Option<usize>,
}

struct Evaluation<'a> {
    strict: bool,
    context: &'a Context<'a>,
}

/// The elements of arrays, and what is no array.
fn unwrapped(items: Vec<Tree>) -> Vec<Tree> {
    let unwrap = |item| match item {
        Tree::Array(items) => items,
        other => vec![other],
    };
    items.into_iter().flat_map(unwrap).collect()
}

fn number(item: &Tree) -> Option<f64> {
    match item {
        Tree::Number(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn whole(item: &Tree) -> Option<i64> {
    match item {
        Tree::Number(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn of_double(value: f64) -> Result<Tree, Failed> {
    if !value.is_finite() {
        return Err("a number is out of range".into());
    }
    Ok(Tree::Number(crate::functions::cast::double_text(value)))
}

fn calculated(sign: char, left: &Tree, right: &Tree) -> Result<Tree, Failed> {
    if let (Some(a), Some(b)) = (whole(left), whole(right)) {
        let result = match sign {
            '+' => a.checked_add(b),
            '-' => a.checked_sub(b),
            '*' => a.checked_mul(b),
            _ if b == 0 => return Err("Division by zero".into()),
            '/' => a.checked_div(b),
            _ => a.checked_rem(b),
        };
        return match result {
            Some(result) => Ok(Tree::Number(result.to_string())),
            None => Err("bigint overflow".into()),
        };
    }
    let (Some(a), Some(b)) = (number(left), number(right)) else {
        let operator = match sign {
            '+' => "ADD",
            '-' => "SUBTRACT",
            '*' => "MULTIPLY",
            '/' => "DIVIDE",
            _ => "MODULUS",
        };
        return Err(format!(
            "invalid operand types to {operator} operator ({}, {})",
            left.type_name(),
            right.type_name()
        ));
    };
    of_double(match sign {
        '+' => a + b,
        '-' => a - b,
        '*' => a * b,
        _ if b == 0.0 => return Err("Division by zero".into()),
        '/' => a / b,
        _ => a % b,
    })
}

fn expected(what: &str, item: &Tree) -> Failed {
    let actual = match item {
        Tree::Text(_) => "TEXT".into(),
        other => other.type_name().to_uppercase(),
    };
    format!("invalid item type. Expected: {what}, actual: {actual}")
}

/// A number changed, an integer as an integer.
fn of_number(
    item: &Tree,
    of_whole: fn(i64) -> Option<i64>,
    each: fn(f64) -> f64,
) -> Result<Tree, Failed> {
    match (whole(item), number(item)) {
        (Some(value), _) => match of_whole(value) {
            Some(value) => Ok(Tree::Number(value.to_string())),
            None => Err("bigint overflow".into()),
        },
        (None, Some(value)) => of_double(each(value)),
        _ => Err(expected("NUMBER", item)),
    }
}

/// `None` for what cannot be compared.
fn compared(left: &Tree, right: &Tree) -> Option<Ordering> {
    match (left, right) {
        (Tree::Number(_), Tree::Number(_)) => match (whole(left), whole(right)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => number(left)?.partial_cmp(&number(right)?),
        },
        (Tree::Text(a), Tree::Text(b)) => Some(a.cmp(b)),
        (Tree::Boolean(a), Tree::Boolean(b)) => Some(a.cmp(b)),
        (Tree::Null, Tree::Null) => Some(Ordering::Equal),
        _ => None,
    }
}

impl Evaluation<'_> {
    fn structural(&self, message: impl FnOnce() -> String) -> Result<(), Failed> {
        match self.strict {
            true => Err(format!("structural error: {}", message())),
            false => Ok(()),
        }
    }

    /// The item again, which in strict mode is of the wrong type.
    fn strictly(&self, wanted: &str, item: Tree) -> Result<Tree, Failed> {
        if self.strict {
            Err(expected(wanted, &item))
        } else {
            Ok(item)
        }
    }

    fn items(&self, node: &Node, scope: &Scope<'_>) -> Result<Vec<Tree>, Failed> {
        Ok(match node {
            Node::Literal(tree) => vec![tree.clone()],
            Node::Context => vec![self.context.input.clone()],
            Node::Variable(name) => match self.context.variables.get(name) {
                Some(value) => value.iter().cloned().collect(),
                None => return Err(format!("no value passed for parameter {name}")),
            },
            Node::Current => match scope.current {
                Some(item) => vec![item.clone()],
                None => return Err("@ stands outside of a filter".into()),
            },
            Node::Last => match scope.last {
                Some(last) => vec![Tree::Number(last.to_string())],
                None => {
                    return Err("accessing the last array index with no enclosing array".into());
                }
            },
            Node::Negative(inner) => {
                let items = self.lax_unwrapped(inner, scope)?;
                let negative = items
                    .iter()
                    .map(|item| of_number(item, i64::checked_neg, |value| -value));
                negative.collect::<Result<_, _>>()?
            }
            Node::Binary(sign, left, right) => {
                let left = self.lax_unwrapped(left, scope)?;
                let right = self.lax_unwrapped(right, scope)?;
                match (left.as_slice(), right.as_slice()) {
                    ([left], [right]) => vec![calculated(*sign, left, right)?],
                    _ => {
                        return Err(
                            "arithmetic binary expression requires singleton operands".into()
                        );
                    }
                }
            }
            Node::Member(inner, key) => self.members(inner, scope, Some(key))?,
            Node::Members(inner) => self.members(inner, scope, None)?,
            Node::Descendants(inner, key) => {
                let mut found = Vec::new();
                for item in self.items(inner, scope)? {
                    descendants(&item, key, &mut found);
                }
                found
            }
            Node::Elements(inner) => {
                let mut found = Vec::new();
                for item in self.items(inner, scope)? {
                    match item {
                        Tree::Array(items) => found.extend(items),
                        other => found.push(self.strictly("ARRAY", other)?),
                    }
                }
                found
            }
            Node::Subscripts(inner, subscripts) => self.subscripts(inner, subscripts, scope)?,
            Node::Filter(inner, predicate) => {
                let mut kept = Vec::new();
                for item in self.lax_unwrapped(inner, scope)? {
                    let scope = Scope {
                        current: Some(&item),
                        ..*scope
                    };
                    if self.holds(predicate, &scope) == Some(true) {
                        kept.push(item);
                    }
                }
                kept
            }
            Node::Method(inner, name) => self.method(inner, name, scope)?,
            Node::Truth(predicate) => vec![match self.holds(predicate, scope) {
                Some(value) => Tree::Boolean(value),
                None => Tree::Null,
            }],
        })
    }

    /// In lax mode, arrays stand for their elements.
    fn lax_unwrapped(&self, node: &Node, scope: &Scope<'_>) -> Result<Vec<Tree>, Failed> {
        let items = self.items(node, scope)?;
        Ok(if self.strict { items } else { unwrapped(items) })
    }

    fn members(
        &self,
        inner: &Node,
        scope: &Scope<'_>,
        key: Option<&String>,
    ) -> Result<Vec<Tree>, Failed> {
        let mut found = Vec::new();
        for item in self.lax_unwrapped(inner, scope)? {
            let Tree::Object(members) = item else {
                self.strictly("OBJECT", item)?;
                continue;
            };
            match key {
                None => found.extend(members.into_iter().map(|(_, value)| value)),
                Some(key) => match members.into_iter().find(|(known, _)| known == key) {
                    Some((_, value)) => found.push(value),
                    None => {
                        self.structural(|| format!("missing member '{key}' in JSON object"))?;
                    }
                },
            }
        }
        Ok(found)
    }

    fn index(&self, node: &Node, scope: &Scope<'_>) -> Result<i64, Failed> {
        match self.items(node, scope)?.as_slice() {
            [item] => match number(item) {
                Some(index) => Ok(index.trunc() as i64),
                None => Err("array subscript must be a number".into()),
            },
            _ => Err("array subscript must be a singleton".into()),
        }
    }

    fn subscripts(
        &self,
        inner: &Node,
        subscripts: &[(Node, Option<Node>)],
        scope: &Scope<'_>,
    ) -> Result<Vec<Tree>, Failed> {
        let mut found = Vec::new();
        for item in self.items(inner, scope)? {
            let items = match item {
                Tree::Array(items) => items,
                other => vec![self.strictly("ARRAY", other)?],
            };
            let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let scope = Scope {
                last: Some(items.len().saturating_sub(1)),
                ..*scope
            };
            for (from, to) in subscripts {
                let from = self.index(from, &scope)?;
                let to = match to {
                    Some(to) => self.index(to, &scope)?,
                    None => from,
                };
                if from < 0 || from > to || to >= size {
                    self.structural(|| {
                        format!("invalid array subscript: [{from}, {to}] for array of size {size}")
                    })?;
                }
                for index in from.max(0)..=to.min(size - 1) {
                    let item = usize::try_from(index)
                        .ok()
                        .and_then(|index| items.get(index));
                    found.extend(item.cloned());
                }
            }
        }
        Ok(found)
    }

    fn method(&self, inner: &Node, name: &str, scope: &Scope<'_>) -> Result<Vec<Tree>, Failed> {
        let items = match name {
            "type" | "size" => self.items(inner, scope)?,
            _ => self.lax_unwrapped(inner, scope)?,
        };
        let mut results = Vec::new();
        for (place, item) in items.into_iter().enumerate() {
            results.push(match name {
                "type" => Tree::Text(item.type_name().into()),
                "size" => match &item {
                    Tree::Array(items) => Tree::Number(items.len().to_string()),
                    _ => {
                        self.strictly("ARRAY", item)?;
                        Tree::Number("1".into())
                    }
                },
                "double" => match &item {
                    Tree::Number(digits) | Tree::Text(digits) => match digits.trim().parse() {
                        Ok(value) => of_double(value)?,
                        Err(_) => return Err(expected("NUMBER or TEXT", &item)),
                    },
                    _ => return Err(expected("NUMBER or TEXT", &item)),
                },
                "ceiling" => of_number(&item, Some, f64::ceil)?,
                "floor" => of_number(&item, Some, f64::floor)?,
                "abs" => of_number(&item, i64::checked_abs, f64::abs)?,
                "keyvalue" => {
                    let Tree::Object(members) = &item else {
                        return Err(expected("OBJECT", &item));
                    };
                    results.extend(members.iter().map(|(key, value)| {
                        Tree::Object(vec![
                            ("name".into(), Tree::Text(key.clone())),
                            ("value".into(), value.clone()),
                            ("id".into(), Tree::Number(place.to_string())),
                        ])
                    }));
                    continue;
                }
                other => return Err(format!("the method {other}() is not supported")),
            });
        }
        Ok(results)
    }

    /// `None` is unknown.
    fn holds(&self, predicate: &Predicate, scope: &Scope<'_>) -> Option<bool> {
        match predicate {
            Predicate::And(left, right) => match self.holds(left, scope) {
                Some(false) => Some(false),
                left => match (left, self.holds(right, scope)) {
                    (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                },
            },
            Predicate::Or(left, right) => match self.holds(left, scope) {
                Some(true) => Some(true),
                left => match (left, self.holds(right, scope)) {
                    (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
            },
            Predicate::Not(inner) => self.holds(inner, scope).map(|value| !value),
            Predicate::IsUnknown(inner) => Some(self.holds(inner, scope).is_none()),
            Predicate::Exists(node) => Some(!self.items(node, scope).ok()?.is_empty()),
            Predicate::Compare(sign, left, right) => {
                let left = self.lax_unwrapped(left, scope).ok()?;
                let right = self.lax_unwrapped(right, scope).ok()?;
                let pairs = left.iter().flat_map(|a| right.iter().map(move |b| (a, b)));
                self.any(pairs.map(|(a, b)| satisfies(sign, a, b)))
            }
            Predicate::StartsWith(whole, start) => {
                let whole = self.lax_unwrapped(whole, scope).ok()?;
                let start = self.items(start, scope).ok()?;
                let [Tree::Text(start)] = start.as_slice() else {
                    return None;
                };
                self.any(whole.iter().map(|item| match item {
                    Tree::Text(text) => Some(text.starts_with(start)),
                    _ => None,
                }))
            }
            Predicate::LikeRegex(node, pattern, flags) => {
                let items = self.lax_unwrapped(node, scope).ok()?;
                let pattern = if flags.contains('q') {
                    regex::escape(pattern)
                } else {
                    pattern.clone()
                };
                let regex = regex::RegexBuilder::new(&pattern)
                    .case_insensitive(flags.contains('i'))
                    .multi_line(flags.contains('m'))
                    .dot_matches_new_line(flags.contains('s'))
                    .ignore_whitespace(flags.contains('x'))
                    .build()
                    .ok()?;
                self.any(items.iter().map(|item| match item {
                    Tree::Text(text) => Some(regex.is_match(text)),
                    _ => None,
                }))
            }
        }
    }

    /// True as soon as one is; unknown where one is unknown, which in lax mode only counts before.
    fn any(&self, results: impl Iterator<Item = Option<bool>>) -> Option<bool> {
        let (mut found, mut unknown) = (false, false);
        for result in results {
            match result {
                Some(true) => found = true,
                Some(false) => {}
                None => unknown = true,
            }
            if !self.strict && (found || unknown) {
                break;
            }
        }
        if unknown { None } else { Some(found) }
    }
}

fn satisfies(sign: &str, left: &Tree, right: &Tree) -> Option<bool> {
    // A null equals a null alone, and is in no order.
    if let (Tree::Null, other) | (other, Tree::Null) = (left, right)
        && *other != Tree::Null
    {
        return match sign {
            "=" => Some(false),
            "!" => Some(true),
            _ => Some(false),
        };
    }
    let order = compared(left, right)?;
    Some(match sign {
        "=" => order.is_eq(),
        "!" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    })
}

fn descendants(item: &Tree, key: &str, found: &mut Vec<Tree>) {
    match item {
        Tree::Object(members) => {
            if let Some((_, value)) = members.iter().find(|(known, _)| known == key) {
                found.push(value.clone());
            }
            members
                .iter()
                .for_each(|(_, value)| descendants(value, key, found));
        }
        Tree::Array(items) => items.iter().for_each(|item| descendants(item, key, found)),
        _ => {}
    }
}
