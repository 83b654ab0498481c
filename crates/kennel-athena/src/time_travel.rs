//! Tables of an earlier time: `t FOR TIMESTAMP AS OF …`, `FOR SYSTEM_TIME AS OF …`, `FOR VERSION AS OF …`.
//!
//! Athena reads them for Iceberg tables. sqlparser knows other spellings, and DataFusion drops a table's version without
//! a word; so the clause is found on the tokens and carried through the parser in spellings that it knows. What a time or a version
//! means is the caller's to say: [`clauses`] lists them, [`resolve`] puts names that say it in the place of the
//! tables'. A clause that nobody resolved is an error of the session, never the newest state.

use std::{collections::BTreeSet, ops::ControlFlow};

use datafusion::sql::sqlparser::{
    ast::{
        Expr, Ident, ObjectName, Query, Spanned, Statement, TableAlias, TableFactor, TableVersion,
        Visit, VisitMut, Visitor, VisitorMut,
    },
    keywords::Keyword,
    tokenizer::{Span, Token, TokenWithSpan},
};

use crate::ParseError;

/// What a table is asked for as of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeTravelKind {
    /// A time: `FOR TIMESTAMP AS OF`, `FOR SYSTEM_TIME AS OF`.
    Timestamp,
    /// A version: `FOR VERSION AS OF`, `FOR SYSTEM_VERSION AS OF`.
    Version,
}

/// A table that a statement reads as of an earlier time.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeTravel {
    /// The table as written.
    pub table: String,
    /// Whether a time or a version is meant.
    pub kind: TimeTravelKind,
    /// The time or version.
    pub expr: Expr,
    /// Line of the table's name; 0 when it is not known.
    pub line: u64,
    /// Column of its first character.
    pub column: u64,
    /// Its number of characters, at least one.
    pub length: u64,
}

/// Writes the clauses on tokens (without blanks) in the spellings that sqlparser reads; says whether there were any.
///
/// `FOR TIMESTAMP AS OF` becomes Databricks' `TIMESTAMP AS OF`. That dialect's version can only be a number, so `FOR VERSION AS OF`
/// travels as `FOR SYSTEM_TIME AS OF`. Quotes and comments are single tokens or none: what stands in them is never touched.
pub(crate) fn carry(tokens: Vec<TokenWithSpan>) -> (Vec<TokenWithSpan>, bool) {
    let mut carried = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    let mut found = false;
    let mut ahead: Vec<TokenWithSpan> = Vec::new();
    loop {
        while ahead.len() < 4
            && let Some(token) = tokens.next()
        {
            ahead.push(token);
        }
        if ahead.is_empty() {
            return (carried, found);
        }
        match kind_of(&ahead) {
            Some(kind) => {
                found = true;
                let (first, second) = match kind {
                    TimeTravelKind::Timestamp => (None, "TIMESTAMP"),
                    TimeTravelKind::Version => (Some("FOR"), "SYSTEM_TIME"),
                };
                let spans = [ahead[0].span, ahead[1].span];
                carried.extend(first.map(|word| keyword(word, spans[0])));
                carried.push(keyword(second, spans[1]));
                carried.extend(ahead.drain(..).skip(2));
            }
            None => carried.push(ahead.remove(0)),
        }
    }
}

fn keyword(word: &str, span: Span) -> TokenWithSpan {
    TokenWithSpan {
        token: Token::make_keyword(word),
        span,
    }
}

/// Whether these four tokens begin a clause.
fn kind_of(tokens: &[TokenWithSpan]) -> Option<TimeTravelKind> {
    let [first, kind, r#as, of] = tokens else {
        return None;
    };
    let is = |token: &TokenWithSpan, keyword: Keyword| match &token.token {
        Token::Word(word) => word.quote_style.is_none() && word.keyword == keyword,
        _ => false,
    };
    if !is(first, Keyword::FOR) || !is(r#as, Keyword::AS) || !is(of, Keyword::OF) {
        return None;
    }
    let Token::Word(word) = &kind.token else {
        return None;
    };
    match word.value.to_ascii_uppercase().as_str() {
        _ if word.quote_style.is_some() => None,
        "TIMESTAMP" | "SYSTEM_TIME" => Some(TimeTravelKind::Timestamp),
        "VERSION" | "SYSTEM_VERSION" => Some(TimeTravelKind::Version),
        _ => None,
    }
}

/// The tables that a statement reads as of an earlier time, in the order of [`resolve`].
///
/// # Errors
/// [`ParseError`] for a name that a `WITH` of the statement defines: a query has no earlier state.
pub fn clauses(statement: &Statement) -> Result<Vec<TimeTravel>, ParseError> {
    let mut finder = Finder::default();
    let _ = Visit::visit(statement, &mut finder);
    for (found, name) in finder.found.iter().zip(&finder.names) {
        if let [only] = name.0.as_slice()
            && let Some(ident) = only.as_ident()
            && finder.queries.contains(&ident.value.to_lowercase())
        {
            let message = format!(
                "`{}` is a query of this statement: only tables have earlier states",
                found.table
            );
            return Err(ParseError::at(name.span(), message));
        }
    }
    Ok(finder.found)
}

#[derive(Default)]
struct Finder {
    found: Vec<TimeTravel>,
    names: Vec<ObjectName>,
    /// Names that `WITH` defines, anywhere.
    queries: BTreeSet<String>,
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let defined = query.with.iter().flat_map(|with| &with.cte_tables);
        self.queries
            .extend(defined.map(|cte| cte.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name,
            version: Some(version),
            ..
        } = factor
            && let Some((kind, expr)) = asked(version)
        {
            let span = name.span();
            let length = if span.start.line == span.end.line {
                span.end.column.saturating_sub(span.start.column).max(1)
            } else {
                1
            };
            self.found.push(TimeTravel {
                table: name.to_string(),
                kind,
                expr: expr.clone(),
                line: span.start.line,
                column: span.start.column,
                length,
            });
            self.names.push(name.clone());
        }
        ControlFlow::Continue(())
    }
}

/// What [`carry`] wrote, read back.
fn asked(version: &TableVersion) -> Option<(TimeTravelKind, &Expr)> {
    match version {
        TableVersion::TimestampAsOf(expr) => Some((TimeTravelKind::Timestamp, expr)),
        TableVersion::ForSystemTimeAsOf(expr) => Some((TimeTravelKind::Version, expr)),
        _ => None,
    }
}

/// Puts `<table><suffix>` in the place of each table with a clause, under the alias that it had or the table's own name.
///
/// `suffixes` are those of [`clauses`], in their order; a clause without one stays, and the session refuses it.
pub fn resolve(statement: &mut Statement, suffixes: &[String]) {
    let mut resolver = Resolver {
        suffixes: suffixes.iter(),
    };
    let _ = VisitMut::visit(statement, &mut resolver);
}

struct Resolver<'a> {
    suffixes: std::slice::Iter<'a, String>,
}

impl VisitorMut for Resolver<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table {
            name,
            alias,
            version,
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        if version
            .as_ref()
            .is_none_or(|version| asked(version).is_none())
        {
            return ControlFlow::Continue(());
        }
        let Some(datafusion::sql::sqlparser::ast::ObjectNamePart::Identifier(ident)) =
            name.0.last_mut()
        else {
            return ControlFlow::Continue(());
        };
        let Some(suffix) = self.suffixes.next() else {
            return ControlFlow::Break(());
        };
        *version = None;
        let plain = Ident {
            value: ident.value.to_lowercase(),
            quote_style: Some('"'),
            span: ident.span,
        };
        ident.value = format!("{}{suffix}", plain.value);
        ident.quote_style = plain.quote_style;
        alias.get_or_insert_with(|| TableAlias {
            explicit: true,
            name: plain,
            columns: vec![],
            at: None,
        });
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sql: &str) -> Vec<(String, TimeTravelKind, String)> {
        let statement = crate::parse(sql).unwrap();
        clauses(&statement)
            .unwrap()
            .into_iter()
            .map(|clause| (clause.table, clause.kind, clause.expr.to_string()))
            .collect()
    }

    #[test]
    fn each_spelling_is_found_at_its_table() {
        use TimeTravelKind::{Timestamp, Version};
        let sql = "SELECT * FROM a FOR TIMESTAMP AS OF TIMESTAMP '2026-03-01 00:00:00 UTC' AS x
            JOIN k9.b for system_time as of (current_timestamp - interval '1' day) y ON x.i = y.i
            LEFT JOIN c FOR VERSION AS OF 12 ON true, d FOR /* one */ SYSTEM_VERSION AS OF 's12', e
            WHERE EXISTS (SELECT 1 FROM f FOR TIMESTAMP AS OF $at)";
        let found = found(sql);
        let kinds = found
            .iter()
            .map(|(table, kind, _)| (table.as_str(), *kind))
            .collect::<Vec<_>>();
        assert_eq!(
            kinds,
            [
                ("a", Timestamp),
                ("k9.b", Timestamp),
                ("c", Version),
                ("d", Version),
                ("f", Timestamp)
            ]
        );
        // Integers are given their type where they are parsed.
        assert_eq!(found[2].2, "CAST(12 AS INT)");
        assert_eq!(found[3].2, "'s12'");
    }

    #[test]
    fn quotes_and_comments_are_left_alone() {
        for sql in [
            "SELECT 'a FOR TIMESTAMP AS OF 1' FROM a",
            "SELECT 1 AS \"for timestamp as of\" FROM a -- FOR VERSION AS OF 1",
            "SELECT 1 FROM a /* FOR TIMESTAMP AS OF */ at",
        ] {
            assert_eq!(found(sql), [], "{sql}");
        }
    }

    #[test]
    fn a_clause_elsewhere_is_an_error() {
        for sql in [
            "SELECT * FROM (SELECT 1) FOR TIMESTAMP AS OF now()",
            "SELECT 1 FOR TIMESTAMP AS OF now()",
            "SELECT * FROM a FOR TIMESTAMP AS OF",
            "SELECT * FROM a AS x FOR TIMESTAMP AS OF now()",
            "SELECT * FROM a FOR BRANCH AS OF 1",
        ] {
            assert!(crate::parse(sql).is_err(), "{sql}");
        }
        let statement =
            crate::parse("WITH q AS (SELECT 1) SELECT * FROM q FOR VERSION AS OF 1").unwrap();
        assert!(clauses(&statement).is_err());
    }

    #[test]
    fn a_resolved_table_keeps_its_name_for_columns() {
        let mut statement = crate::parse(
            "SELECT A.x, o.x FROM k9.A FOR VERSION AS OF 1 JOIN k9.\"A\" FOR VERSION AS OF 2 AS o ON true",
        )
        .unwrap();
        resolve(&mut statement, &["@1".into(), "@2".into()]);
        let text = statement.to_string();
        assert!(text.contains("k9.\"a@1\" AS \"a\""), "{text}");
        assert!(text.contains("k9.\"a@2\" AS o"), "{text}");
        assert_eq!(clauses(&statement).unwrap(), []);
    }
}
