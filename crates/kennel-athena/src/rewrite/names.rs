//! The names of result columns, as Trino gives them.
//!
//! A column keeps its name, a field of a row gives its own (`useridentity.arn` is `arn`), any other
//! expression without alias is `_colN`, counted from 0. Trino allows two columns of one name, which
//! DataFusion refuses: the later one is marked here, and [`output`](crate::output) takes the mark off.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::{
    ast::{
        AccessExpr, Expr, Ident, OrderBy, OrderByKind, Select, SelectItem,
        SelectItemQualifiedWildcardKind, Spanned,
    },
    tokenizer::Span,
};

/// Stands between a repeated name and the number that makes it unique.
pub(crate) const DUPLICATE_MARK: char = '\u{1}';

/// What an item without alias is called.
enum Name {
    /// A plain column: DataFusion calls it the same.
    Column(String),
    /// The last part of a path.
    Field(String),
    /// No name of its own.
    None,
}

fn name_of(expr: &Expr, relations: &[Vec<String>]) -> Name {
    match expr {
        Expr::Identifier(ident) => Name::Column(ident.value.to_lowercase()),
        Expr::Nested(inner) => match name_of(inner, relations) {
            Name::None => Name::None,
            Name::Column(name) | Name::Field(name) => Name::Field(name),
        },
        Expr::CompoundIdentifier(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| part.value.to_lowercase()).collect();
            let Some((last, qualifier)) = parts.split_last() else {
                return Name::None;
            };
            let is_column = relations
                .iter()
                .any(|relation| relation.ends_with(qualifier));
            if is_column {
                Name::Column(last.clone())
            } else {
                Name::Field(last.clone())
            }
        }
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(ident))) => {
                Name::Field(ident.value.to_lowercase())
            }
            _ => Name::None,
        },
        _ => Name::None,
    }
}

/// Gives each item of the select list the name that Trino gives it. Where others can ask for the columns, names that
/// are there twice are marked in all places, so that nobody gets one of them by such a name.
pub(super) fn name_items(select: &mut Select, relations: &[Vec<String>], is_inner: bool) {
    let has_star = select
        .projection
        .iter()
        .any(|item| matches!(item, SelectItem::Wildcard(_)));
    let starred: Vec<_> = select.projection.iter().filter_map(starred).collect();
    let mut seen = match is_inner {
        true => repeated(&select.projection, relations),
        false => BTreeSet::new(),
    };
    for (index, item) in select.projection.iter_mut().enumerate() {
        let mut in_star = has_star;
        let (name, is_plain) = match item {
            SelectItem::UnnamedExpr(expr) => match name_of(expr, relations) {
                Name::Column(name) => {
                    in_star |= is_starred(expr, &starred, relations);
                    (name, true)
                }
                Name::Field(name) => (name, false),
                Name::None => {
                    // A row that is spread has such names, too.
                    in_star |= starred.iter().any(|star| star.starts_with("__row"));
                    (format!("_col{index}"), false)
                }
            },
            SelectItem::ExprWithAlias { alias, .. } => {
                let name = alias.value.to_lowercase();
                if !seen.insert(name) {
                    mark_alias(alias, index);
                }
                continue;
            }
            _ => continue,
        };
        // A plain column beside the star of its relation is in the result twice.
        let repeats =
            !seen.insert(name.clone()) || in_star && (is_plain || name.starts_with("_col"));
        if is_plain && !repeats {
            continue;
        }
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        let span = expr.span();
        let expr = std::mem::replace(expr, super::build::null());
        let name = if repeats { marked(&name, index) } else { name };
        let alias = quoted(&name, span);
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
}

/// The names that several items have.
fn repeated(items: &[SelectItem], relations: &[Vec<String>]) -> BTreeSet<String> {
    let mut once = BTreeSet::new();
    let names = items.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) => match name_of(expr, relations) {
            Name::Column(name) | Name::Field(name) => Some(name),
            Name::None => None,
        },
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.to_lowercase()),
        _ => None,
    });
    names.filter(|name| !once.insert(name.clone())).collect()
}

/// The relation of `t.*`.
fn starred(item: &SelectItem) -> Option<String> {
    let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
    else {
        return None;
    };
    let last = name.0.last().and_then(|part| part.as_ident())?;
    Some(last.value.to_lowercase())
}

/// Does a star beside this column show it, too? Without qualifier that is only sure where there is
/// one relation.
fn is_starred(expr: &Expr, starred: &[String], relations: &[Vec<String>]) -> bool {
    match expr {
        Expr::CompoundIdentifier(parts) => parts.iter().rev().nth(1).is_some_and(|relation| {
            starred
                .iter()
                .any(|star| star.eq_ignore_ascii_case(&relation.value))
        }),
        _ => !starred.is_empty() && relations.len() == 1,
    }
}

/// Makes an alias unique.
pub(crate) fn mark_alias(alias: &mut Ident, index: usize) {
    alias.value = marked(&alias.value.to_lowercase(), index);
    alias.quote_style = Some('"');
}

fn marked(name: &str, index: usize) -> String {
    format!("{name}{DUPLICATE_MARK}{index}")
}

/// DataFusion folds names without quotes, and splits some at points.
fn quoted(name: &str, span: Span) -> Ident {
    Ident::with_quote_and_span('"', span, name)
}

/// Lets `ORDER BY` of a `SELECT DISTINCT` name the column where it repeats its expression.
pub(super) fn order_by_aliases(select: &Select, order_by: Option<&mut OrderBy>) {
    let Some(OrderBy {
        kind: OrderByKind::Expressions(keys),
        ..
    }) = order_by
    else {
        return;
    };
    if select.distinct.is_none() {
        return;
    }
    let relations = super::from::names(&select.from);
    for key in keys {
        for (index, item) in select.projection.iter().enumerate() {
            let name = match item {
                SelectItem::ExprWithAlias { expr, alias } if *expr == key.expr => {
                    alias.value.to_lowercase()
                }
                SelectItem::UnnamedExpr(expr) if *expr == key.expr => {
                    match name_of(expr, &relations) {
                        Name::Column(_) => continue,
                        Name::Field(name) => name,
                        Name::None => format!("_col{index}"),
                    }
                }
                _ => continue,
            };
            key.expr = Expr::Identifier(quoted(&name, key.expr.span()));
            break;
        }
    }
}
