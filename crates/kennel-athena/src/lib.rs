//! The interpreter's desk: Athena's SQL for DataFusion sessions.
//!
//! [`statement`] takes a script apart into statements, tells questions from DDL, and reads Athena's
//! DDL, which is Hive's and which DataFusion does not know. A question then passes five layers, each
//! usable alone: [`parse`] reads it ([`AthenaDialect`], a pass over the tokens, a rewrite of the syntax
//! tree), [`session`] teaches a DataFusion session the rest (planner hooks, types, functions), and
//! [`output`] gives the result the column names that Athena would give.
//!
//! The crate knows nothing of files, of networks or of what a table holds: what becomes of a
//! statement is the caller's decision.

mod clashes;
mod dialect;
mod error;
mod functions;
mod json_syntax;
pub mod output;
mod physical;
mod planner;
mod rewrite;
mod stars;
pub mod statement;
pub mod time_travel;
mod tokens;
mod types;

pub use clashes::plan;
pub use dialect::AthenaDialect;
pub use error::ParseError;
pub use functions::{
    list::{FunctionInfo, FunctionState, functions},
    spoken::in_users_words,
    type_name,
};
pub use rewrite::{call, plain_cast};

use std::sync::Arc;

use datafusion::{
    execution::SessionStateBuilder,
    optimizer::Analyzer,
    prelude::SessionConfig,
    sql::sqlparser::{
        ast::Statement,
        parser::Parser,
        tokenizer::{Token, Tokenizer},
    },
};

/// Reads one query and writes it in words that a session made by [`session`] plans.
///
/// Places in the syntax tree are those of `sql`. A trailing `;` is allowed. Parameters (`$name`, `?`
/// as `$1`, `$2` …) stay in the tree, and so do tables of an earlier time: see [`time_travel`].
///
/// # Errors
/// [`ParseError`] for text that is no query, and for what Athena knows and is not done here where
/// ignoring it would give a wrong answer.
pub fn parse(sql: &str) -> Result<Statement, ParseError> {
    let dialect = AthenaDialect::default();
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location()?;
    json_syntax::refuse_tables(&tokens)?;
    let (tokens, travels) = tokens::prepare(tokens);
    let dialect = dialect.with_time_travel(travels);
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let mut statement = parser.parse_statement()?;
    while parser.consume_token(&Token::SemiColon) {}
    if parser.peek_token_ref().token != Token::EOF {
        let found = parser.peek_token();
        let message = match found.token.to_string().to_uppercase().as_str() {
            // sqlparser reads it after the name of a table only.
            "MATCH_RECOGNIZE" => rewrite::NO_PATTERNS.to_owned(),
            _ => format!("expected the end of the query, found `{}`", found.token),
        };
        return Err(ParseError::at(found.span, message));
    }
    rewrite::rewrite(&mut statement)?;
    Ok(statement)
}

/// Installs the planner hooks, types, functions and settings into a session that already has
/// DataFusion's default features.
///
/// Settings changed: NULL sorts last, sessions are in UTC, spans are collected, text is `Utf8`.
pub fn session(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    let config = builder.config().get_or_insert_with(SessionConfig::new);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    options.sql_parser.default_null_ordering = "nulls_last".into();
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.time_zone = Some(types::UTC.into());
    builder
        .expr_planners()
        .get_or_insert_default()
        .insert(0, Arc::new(planner::AthenaExpressions));
    builder
        .relation_planners()
        .get_or_insert_default()
        .insert(0, Arc::new(planner::AthenaRelations::default()));
    builder
        .scalar_functions()
        .get_or_insert_default()
        .extend(functions::scalar());
    builder
        .aggregate_functions()
        .get_or_insert_default()
        .extend(functions::aggregate());
    builder
        .higher_order_functions()
        .get_or_insert_default()
        .extend(functions::higher_order());
    let mut analysis = Analyzer::new().rules;
    analysis.insert(0, Arc::new(planner::Comparisons));
    analysis.insert(1, Arc::new(planner::PartwiseComparisons));
    analysis.insert(2, Arc::new(planner::Keys));
    analysis.insert(3, Arc::new(planner::TriedColumns));
    analysis.push(Arc::new(planner::Decorrelate));
    analysis.push(Arc::new(planner::AbsentRows));
    builder
        .with_analyzer_rules(analysis)
        .with_type_planner(Arc::new(types::AthenaTypes))
        .with_physical_optimizer_rule(Arc::new(physical::LambdaParameters))
        .with_physical_optimizer_rule(Arc::new(physical::RecursionDepth))
}
