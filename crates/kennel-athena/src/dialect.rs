//! Athena's grammar for sqlparser: what differs from its generic dialect.
//!
//! Types are read here ([`types`](crate::types)), since sqlparser has no hook for them: `CAST` and
//! `TRY_CAST` are taken whole. What has no hook at all is done on the tokens or on the syntax tree.

use std::any::TypeId;

use datafusion::sql::sqlparser::{
    ast::{CastKind, DataType, Expr, Ident, ObjectName, TrimWhereField, TypedString, Value},
    dialect::{Dialect, GenericDialect},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::Token,
};

use crate::{json_syntax, statement, types};

/// The dialect of Athena's engine 3 queries (Trino's).
#[derive(Debug, Default, Clone, Copy)]
pub struct AthenaDialect {
    /// Only where a statement has a clause of [`time_travel`](crate::time_travel): else sqlparser would take a table's alias `at` for one.
    time_travel: bool,
}

impl AthenaDialect {
    pub(crate) fn with_time_travel(self, time_travel: bool) -> Self {
        Self { time_travel }
    }
}

impl Dialect for AthenaDialect {
    /// Generic's: sqlparser reads `UNNEST` in `FROM` only for dialects that it knows by their type.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, character: char) -> bool {
        character == '"' || character == '`'
    }

    fn is_identifier_start(&self, character: char) -> bool {
        character.is_alphabetic() || character == '_'
    }

    fn is_identifier_part(&self, character: char) -> bool {
        character.is_alphanumeric() || character == '_' || character == '@' || character == '$'
    }

    fn supports_table_versioning(&self) -> bool {
        self.time_travel
    }

    fn supports_lambda_functions(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_within_after_array_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    fn supports_match_recognize(&self) -> bool {
        true
    }

    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }

    fn supports_values_as_table_factor(&self) -> bool {
        true
    }

    fn supports_left_associative_joins_without_parens(&self) -> bool {
        true
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn supports_select_wildcard_except(&self) -> bool {
        true
    }

    /// `row.* AS (a, b)`, whose names the reading of tokens has made one.
    fn supports_select_wildcard_with_alias(&self) -> bool {
        true
    }

    fn supports_select_expr_star(&self) -> bool {
        true
    }

    fn supports_explain_with_utility_options(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        false
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    /// `user` is the name of a field in many security tables.
    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        keyword != Keyword::USER
            && datafusion::sql::sqlparser::keywords::RESERVED_FOR_IDENTIFIER.contains(&keyword)
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let Token::Word(word) = &parser.peek_token_ref().token else {
            return None;
        };
        if word.quote_style.is_some() {
            return None;
        }
        let next = &parser.peek_nth_token_ref(1).token;
        match (word.keyword, next) {
            (Keyword::CAST, Token::LParen) => Some(cast(parser, CastKind::Cast)),
            (Keyword::TRY_CAST, Token::LParen) => Some(cast(parser, CastKind::TryCast)),
            (Keyword::JSON, Token::SingleQuotedString(_)) => Some(json_literal(parser)),
            (_, next) if *next != Token::LParen && session_value(&word.value).is_some() => {
                let value = session_value(&word.value).unwrap_or_default();
                parser.next_token();
                Some(Ok(Expr::value(Value::SingleQuotedString(value.into()))))
            }
            (_, Token::LParen) if json_syntax::is_known(&word.value) => {
                Some(json_syntax::parse(parser))
            }
            (Keyword::NoKeyword, Token::SingleQuotedString(_)) => internet_literal(parser),
            (Keyword::TRIM, Token::LParen) => trim(parser),
            (Keyword::USER, next) if *next != Token::LParen => {
                Some(parser.parse_identifier().map(Expr::Identifier))
            }
            _ => None,
        }
    }

    /// A colon parts key and value of `JSON_OBJECT`; as an operator, no query of Athena has it.
    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        (parser.peek_token_ref().token == Token::Colon).then_some(Ok(0))
    }

    /// sqlparser takes all that follows `IS DISTINCT FROM` for its right side, `AND` and `OR` included.
    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        const IS: [Keyword; 3] = [Keyword::IS, Keyword::DISTINCT, Keyword::FROM];
        const IS_NOT: [Keyword; 4] = [Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM];
        let comparison = if parser.parse_keywords(&IS) {
            Expr::IsDistinctFrom
        } else if parser.parse_keywords(&IS_NOT) {
            Expr::IsNotDistinctFrom
        } else {
            return None;
        };
        let right = parser.parse_subexpr(precedence);
        Some(right.map(|right| comparison(Box::new(expr.clone()), Box::new(right))))
    }
}

/// What is known of a session without asking it.
fn session_value(word: &str) -> Option<&'static str> {
    let known = [
        ("current_user", "kennel"),
        ("current_schema", "default"),
        ("current_catalog", statement::CATALOG),
    ];
    let mut known = known.into_iter();
    known.find_map(|(name, value)| word.eq_ignore_ascii_case(name).then_some(value))
}

fn cast(parser: &mut Parser<'_>, kind: CastKind) -> Result<Expr, ParserError> {
    parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let expr = parser.parse_expr()?;
    parser.expect_keyword_is(Keyword::AS)?;
    let data_type = types::parse(parser)?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Cast {
        kind,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    })
}

/// `TRIM(LEADING FROM x)`: sqlparser wants to be told what is trimmed.
fn trim(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let keyword = |n: usize| match &parser.peek_nth_token_ref(n).token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    };
    let trim_where = match (keyword(2), keyword(3)) {
        (Keyword::LEADING, Keyword::FROM) => TrimWhereField::Leading,
        (Keyword::TRAILING, Keyword::FROM) => TrimWhereField::Trailing,
        (Keyword::BOTH, Keyword::FROM) => TrimWhereField::Both,
        _ => return None,
    };
    for _ in 0..4 {
        parser.next_token();
    }
    let expr = parser.parse_expr();
    Some(expr.and_then(|expr| {
        parser.expect_token(&Token::RParen)?;
        Ok(Expr::Trim {
            expr: Box::new(expr),
            trim_where: Some(trim_where),
            trim_what: None,
            trim_characters: None,
        })
    }))
}

/// `IPADDRESS '10.0.0.1'` and `IPPREFIX '10.0.0.0/8'`.
fn internet_literal(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let Token::Word(word) = &parser.peek_token_ref().token else {
        return None;
    };
    let name = word.value.to_ascii_lowercase();
    if !["ipaddress", "ipprefix"].contains(&name.as_str()) {
        return None;
    }
    parser.next_token();
    Some(parser.parse_value().map(|value| {
        Expr::TypedString(TypedString {
            data_type: DataType::Custom(ObjectName::from(vec![Ident::new(name)]), vec![]),
            value,
            uses_odbc_syntax: false,
        })
    }))
}

fn json_literal(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    parser.next_token();
    Ok(Expr::TypedString(TypedString {
        data_type: DataType::JSON,
        value: parser.parse_value()?,
        uses_odbc_syntax: false,
    }))
}
