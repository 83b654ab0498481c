//! `row.*` and `(expression).* AS (a, b)`: the fields of a row as columns.
//!
//! What fields there are is known to the planner alone, and `UNNEST` of an array of rows makes columns of
//! them: `SELECT r.* FROM t` becomes `SELECT __row0.* FROM t, UNNEST(ARRAY[r]) AS __row0`.

use datafusion::sql::sqlparser::{
    ast::{
        Expr, Ident, ObjectName, Select, SelectItem, SelectItemQualifiedWildcardKind, Spanned,
        TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, WildcardAdditionalOptions,
    },
    tokenizer::Span,
};

use super::{build::call, from};
use crate::{ParseError, tokens::COLUMN_NAMES};

pub(super) fn rewrite(select: &mut Select) -> Result<(), ParseError> {
    let relations = from::names(&select.from);
    let has_source = !select.from.is_empty();
    let mut rows = Vec::new();
    for item in &mut select.projection {
        let (kind, options) = match item {
            SelectItem::Wildcard(options) => {
                no_names(options, options.wildcard_token.0.span)?;
                continue;
            }
            SelectItem::QualifiedWildcard(kind, options) => (kind, options),
            _ => continue,
        };
        let span = options.wildcard_token.0.span;
        let row = match kind {
            SelectItemQualifiedWildcardKind::Expr(expr) => expr.clone(),
            SelectItemQualifiedWildcardKind::ObjectName(name) => match column(name, &relations) {
                Some(column) if has_source => column,
                _ => {
                    no_names(options, span)?;
                    continue;
                }
            },
        };
        let names = options.opt_alias.take().map(|alias| names(&alias, span));
        let alias = Ident::with_span(row.span(), format!("__row{}", rows.len()));
        *kind = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![alias.clone()]));
        rows.push(unnested(row, alias, names.transpose()?.unwrap_or_default()));
    }
    select.from.extend(rows);
    Ok(())
}

/// The name before the point as a column, unless it is a relation.
fn column(name: &ObjectName, relations: &[Vec<String>]) -> Option<Expr> {
    let parts: Option<Vec<Ident>> = name.0.iter().map(|part| part.as_ident().cloned()).collect();
    let mut parts = parts?;
    let path: Vec<_> = parts.iter().map(|part| part.value.to_lowercase()).collect();
    let is_relation = |known: &Vec<String>| known.ends_with(&path) || path.ends_with(known);
    if relations.iter().any(is_relation) {
        return None;
    }
    match parts.len() {
        1 => parts.pop().map(Expr::Identifier),
        _ => Some(Expr::CompoundIdentifier(parts)),
    }
}

fn no_names(options: &WildcardAdditionalOptions, span: Span) -> Result<(), ParseError> {
    match options.opt_alias {
        None => Ok(()),
        Some(_) => {
            let message =
                "only the columns of a row get names after `*`; write those of a table one by one";
            Err(ParseError::at(span, message))
        }
    }
}

/// The names in `AS (a, b)`.
fn names(alias: &Ident, span: Span) -> Result<Vec<String>, ParseError> {
    match alias.value.strip_prefix(COLUMN_NAMES) {
        Some(names) => Ok(names.split(COLUMN_NAMES).map(str::to_owned).collect()),
        None => {
            let message = "after `*`, AS takes the names of the columns in brackets";
            Err(ParseError::at(span, message))
        }
    }
}

fn unnested(row: Expr, name: Ident, names: Vec<String>) -> TableWithJoins {
    let columns = names.into_iter().map(|name| TableAliasColumnDef {
        name: Ident::with_quote('"', name),
        data_type: None,
    });
    let relation = TableFactor::UNNEST {
        alias: Some(TableAlias {
            explicit: true,
            name,
            columns: columns.collect(),
            at: None,
        }),
        array_exprs: vec![call("__array", vec![row])],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
    TableWithJoins {
        relation,
        joins: vec![],
    }
}
