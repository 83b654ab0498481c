//! Statements that carry a query: `CREATE VIEW`, `CREATE TABLE … AS`, `INSERT INTO`, `UNLOAD`, and prepared ones.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::sqlparser::tokenizer::Token;

use super::{
    Statement, StatementError,
    cursor::Cursor,
    lexer::{Lexeme, lex},
    router::{begins_query, unsupported},
};

/// A query within a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// Its text.
    pub text: String,
    /// Where it begins in the statement, in bytes.
    pub offset: usize,
}

impl Embedded {
    /// The query with blanks for what stands before it in `statement`: its places are then the statement's.
    pub fn in_place(&self, statement: &str) -> String {
        let before = statement.get(..self.offset).unwrap_or_default();
        let blank = |ch: char| if ch == '\n' { ch } else { ' ' };
        before.chars().map(blank).collect::<String>() + &self.text
    }
}

/// A value of `WITH (name = value, …)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Property {
    /// Text, a number or a word as it was written.
    Text(String),
    /// `ARRAY['a', 'b']`.
    List(Vec<String>),
}

/// `WITH (…)`: names in lower case.
pub type Properties = BTreeMap<String, Property>;

const A_QUERY: &str = "a query";

pub(super) fn create_view(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    let or_replace = cursor.accept(&["OR", "REPLACE"]);
    cursor.expect(&["VIEW"])?;
    let name = cursor.table_name()?;
    if cursor.accept(&["COMMENT"]) {
        cursor.text("a comment in quotes")?;
    }
    if cursor.accept(&["SECURITY"]) && !cursor.accept_any(&["DEFINER", "INVOKER"]) {
        return Err(cursor.unexpected("DEFINER or INVOKER"));
    }
    cursor.expect(&["AS"])?;
    let query = query(cursor)?;
    Ok(Statement::CreateView {
        name,
        or_replace,
        query,
    })
}

/// Reads what follows `CREATE TABLE`.
pub(super) fn create_table_as(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    let if_not_exists = cursor.accept(&["IF", "NOT", "EXISTS"]);
    let name = cursor.table_name()?;
    if cursor.peek(0) == Some(&Token::LParen) || cursor.peek(0).is_none() {
        return Ok(unsupported(
            "CREATE TABLE with columns".into(),
            "CREATE EXTERNAL TABLE … LOCATION reads what is there, CREATE TABLE … AS SELECT keeps the rows of a query",
        ));
    }
    if cursor.accept(&["COMMENT"]) {
        cursor.text("a comment in quotes")?;
    }
    let properties = with_properties(cursor)?;
    cursor.expect(&["AS"])?;
    let mut query = query(cursor)?;
    let with_data = match data_clause(&query.text)? {
        Some((end, with_data)) => {
            query.text.truncate(end);
            with_data
        }
        None => true,
    };
    Ok(Statement::CreateTableAs {
        name,
        if_not_exists,
        properties,
        query,
        with_data,
    })
}

pub(super) fn insert(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    cursor.skip();
    cursor.expect(&["INTO"])?;
    let table = cursor.table_name()?;
    let mut columns = Vec::new();
    if cursor.peek(0) == Some(&Token::LParen) && !begins_query_in_brackets(cursor) {
        let mut seen = BTreeSet::new();
        columns = cursor.list(|cursor| {
            let place = cursor.place();
            let name = cursor.name("the name of a column")?;
            match seen.insert(name.clone()) {
                true => Ok(name),
                false => Err(Cursor::repeated("column", &name, place)),
            }
        })?;
    }
    Ok(Statement::InsertInto {
        table,
        columns,
        query: query(cursor)?,
    })
}

/// Whether the bracket that comes next is a query's.
fn begins_query_in_brackets(cursor: &Cursor<'_>) -> bool {
    (1..)
        .take_while(|ahead| cursor.peek(*ahead).is_some())
        .find(|ahead| cursor.peek(*ahead) != Some(&Token::LParen))
        .is_some_and(|ahead| begins_query(cursor, ahead))
}

pub(super) fn unload(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    cursor.skip();
    let query = cursor.in_brackets(A_QUERY)?;
    cursor.expect(&["TO"])?;
    let to = cursor.text("a location in quotes")?;
    let properties = with_properties(cursor)?;
    cursor.expect_end()?;
    Ok(Statement::Unload {
        query,
        to,
        properties,
    })
}

fn with_properties(cursor: &mut Cursor<'_>) -> Result<Properties, StatementError> {
    if !cursor.accept(&["WITH"]) {
        return Ok(Properties::new());
    }
    let pairs = cursor.list(|cursor| {
        let name = cursor.name("the name of a property")?;
        cursor.expect_sign(&Token::Eq)?;
        Ok((name, property(cursor)?))
    })?;
    Ok(pairs.into_iter().collect())
}

fn property(cursor: &mut Cursor<'_>) -> Result<Property, StatementError> {
    if cursor.accept(&["ARRAY"]) {
        cursor.expect_sign(&Token::LBracket)?;
        let mut items = Vec::new();
        while !cursor.accept_sign(&Token::RBracket) {
            if !items.is_empty() {
                cursor.expect_sign(&Token::Comma)?;
            }
            items.push(cursor.text("text in quotes")?);
        }
        return Ok(Property::List(items));
    }
    let value = match cursor.peek(0) {
        Some(Token::Number(digits, _)) => digits.clone(),
        Some(Token::Word(word)) if word.quote_style.is_none() => word.value.clone(),
        _ => return cursor.text("a property's value").map(Property::Text),
    };
    cursor.skip();
    Ok(Property::Text(value))
}

/// `PREPARE name FROM statement`.
pub(super) fn prepare(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    cursor.skip();
    let name = cursor.name("the name of a prepared statement")?;
    cursor.expect(&["FROM"])?;
    let statement = cursor.rest_embedded();
    if statement.text.is_empty() {
        return Err(cursor.unexpected("a statement"));
    }
    Ok(Statement::Prepare { name, statement })
}

/// `EXECUTE name [USING …]`, `EXECUTE IMMEDIATE 'statement' [USING …]`.
pub(super) fn execute(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    cursor.skip();
    let immediate = match cursor.at(&["IMMEDIATE"]) && cursor.peek(1).is_some() {
        true => {
            cursor.skip();
            Some(cursor.text("a statement in quotes")?)
        }
        false => None,
    };
    let name = match immediate {
        Some(_) => None,
        None => Some(cursor.name("the name of a prepared statement")?),
    };
    let arguments = match cursor.accept(&["USING"]) {
        true => cursor.rest_in_parts("a value")?,
        false => vec![],
    };
    cursor.expect_end()?;
    Ok(match (immediate, name) {
        (Some(statement), _) => Statement::ExecuteImmediate {
            statement,
            arguments,
        },
        (None, name) => Statement::Execute {
            name: name.unwrap_or_default(),
            arguments,
        },
    })
}

/// `DEALLOCATE PREPARE name`.
pub(super) fn deallocate(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    cursor.skip();
    cursor.accept(&["PREPARE"]);
    let name = cursor.name("the name of a prepared statement")?;
    Ok(Statement::Deallocate { name })
}

fn query(cursor: &mut Cursor<'_>) -> Result<Embedded, StatementError> {
    if !begins_query(cursor, 0) {
        return Err(cursor.unexpected(A_QUERY));
    }
    Ok(cursor.rest_embedded())
}

/// Where `WITH [NO] DATA` begins at the end of a query, and what it says.
fn data_clause(query: &str) -> Result<Option<(usize, bool)>, StatementError> {
    let lexemes = lex(query)?;
    let mut last = lexemes
        .iter()
        .rev()
        .filter(|lexeme| lexeme.is_significant());
    let word = |lexeme: Option<&Lexeme>, expected: &str| matches!(lexeme.map(|l| &l.token), Some(Token::Word(word)) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected));
    if !word(last.next(), "DATA") {
        return Ok(None);
    }
    let before = last.next();
    let (with, with_data) = match word(before, "NO") {
        true => (last.next(), false),
        false => (before, true),
    };
    Ok(with
        .filter(|with| word(Some(with), "WITH"))
        .map(|with| (query[..with.start].trim_end().len(), with_data)))
}

/// Puts arguments in the place of `?`, in their order.
///
/// # Errors
/// [`StatementError::Arguments`] when there are more or fewer of them than places.
pub fn with_arguments(statement: &str, arguments: &[String]) -> Result<String, StatementError> {
    let lexemes = lex(statement)?;
    let places = lexemes
        .iter()
        .filter(|lexeme| is_place(&lexeme.token))
        .collect::<Vec<_>>();
    if places.len() != arguments.len() {
        let last = places
            .last()
            .map_or((1, 1), |place| (place.line, place.column));
        return Err(StatementError::Arguments {
            expected: places.len(),
            found: arguments.len(),
            line: last.0,
            column: last.1,
        });
    }
    let mut text = String::with_capacity(statement.len());
    let mut end = 0;
    for (place, argument) in places.into_iter().zip(arguments) {
        text.push_str(&statement[end..place.start]);
        match is_literal(argument) {
            true => text.push_str(argument),
            // Whatever stands around it, it stays one value.
            false => text.extend(["(", argument, ")"]),
        }
        end = place.end;
    }
    text.push_str(&statement[end..]);
    Ok(text)
}

fn is_place(token: &Token) -> bool {
    matches!(token, Token::Question) || matches!(token, Token::Placeholder(text) if text == "?")
}

fn is_literal(argument: &str) -> bool {
    let Ok(lexemes) = lex(argument) else {
        return false;
    };
    let mut significant = lexemes.iter().filter(|lexeme| lexeme.is_significant());
    let is_one = matches!(
        significant.next().map(|lexeme| &lexeme.token),
        Some(Token::SingleQuotedString(_) | Token::Number(..))
    );
    is_one && lexemes.len() == 1
}

/// Puts literals in the place of `$name`: what a query with parameters is without them.
///
/// # Errors
/// [`StatementError::NoValue`] names a parameter without a literal.
pub fn with_literals(
    query: &str,
    literals: &BTreeMap<String, String>,
) -> Result<String, StatementError> {
    let mut text = String::with_capacity(query.len());
    let mut end = 0;
    for lexeme in lex(query)? {
        let Token::Placeholder(name) = &lexeme.token else {
            continue;
        };
        let name = name.trim_start_matches(['$', ':']).to_lowercase();
        let Some(literal) = literals.get(&name) else {
            return Err(StatementError::NoValue {
                name,
                line: lexeme.line,
                column: lexeme.column,
            });
        };
        text.push_str(&query[end..lexeme.start]);
        text.push_str(literal);
        end = lexeme.end;
    }
    text.push_str(&query[end..]);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::{TableName, split};

    fn parse(sql: &str) -> Result<Statement, StatementError> {
        Statement::parse(&split(sql)?[0])
    }

    fn embedded(text: &str, offset: usize) -> Embedded {
        Embedded {
            text: text.into(),
            offset,
        }
    }

    #[test]
    fn tables_are_made_from_queries() {
        let sql = "CREATE TABLE IF NOT EXISTS K9.\"T\" WITH (format='PARQUET', partitioned_by=ARRAY['a','b'], \
                   bucket_count = 5, is_external = false) AS SELECT 'with no data' -- x\n FROM t WITH NO DATA";
        let Ok(Statement::CreateTableAs {
            name,
            if_not_exists,
            properties,
            query,
            with_data,
        }) = parse(sql)
        else {
            panic!("no table");
        };
        assert_eq!(name, TableName::new(Some("k9"), "t"));
        assert!(if_not_exists && !with_data);
        assert_eq!(properties["format"], Property::Text("PARQUET".into()));
        assert_eq!(
            properties["partitioned_by"],
            Property::List(vec!["a".into(), "b".into()])
        );
        assert_eq!(properties["bucket_count"], Property::Text("5".into()));
        assert_eq!(query.text, "SELECT 'with no data' -- x\n FROM t");
        assert_eq!(&sql[query.offset..query.offset + 6], "SELECT");
        assert!(query.in_place(sql).ends_with(&query.text));
        let plain = parse("create table t as (select data from with_data)").unwrap();
        assert!(matches!(
            plain,
            Statement::CreateTableAs {
                with_data: true,
                ..
            }
        ));
        assert!(matches!(
            parse("CREATE TABLE t (a int) LOCATION 's3://b/'"),
            Ok(Statement::Unsupported { .. })
        ));
    }

    #[test]
    fn rows_are_inserted_and_unloaded() {
        assert_eq!(
            parse("INSERT INTO a.t (x, \"Y\") VALUES (1, 2)"),
            Ok(Statement::InsertInto {
                table: TableName::new(Some("a"), "t"),
                columns: vec!["x".into(), "y".into()],
                query: embedded("VALUES (1, 2)", 25),
            })
        );
        for (sql, offset) in [
            ("INSERT INTO t (SELECT 1)", 14),
            ("INSERT INTO t ((SELECT 1) UNION SELECT 2)", 14),
        ] {
            let parsed = parse(sql).unwrap();
            let query = embedded(&sql[offset..], offset);
            assert_eq!(
                parsed,
                Statement::InsertInto {
                    table: TableName::new(None, "t"),
                    columns: vec![],
                    query
                }
            );
        }
        let sql = "UNLOAD (SELECT ')' AS a FROM (VALUES 1) t(x)) TO 's3://b/x/' WITH (format = 'JSON', compression = 'gzip')";
        let Ok(Statement::Unload {
            query,
            to,
            properties,
        }) = parse(sql)
        else {
            panic!("no unload");
        };
        assert_eq!(query, embedded("SELECT ')' AS a FROM (VALUES 1) t(x)", 8));
        assert_eq!((to.as_str(), properties.len()), ("s3://b/x/", 2));
    }

    #[test]
    fn statements_are_prepared_and_executed_with_values() {
        assert_eq!(
            parse("PREPARE P1 FROM SELECT ? FROM t WHERE a = ?"),
            Ok(Statement::Prepare {
                name: "p1".into(),
                statement: embedded("SELECT ? FROM t WHERE a = ?", 16)
            })
        );
        assert_eq!(
            parse("EXECUTE p1 USING 'a,b', concat('x', 'y') , -1"),
            Ok(Statement::Execute {
                name: "p1".into(),
                arguments: vec!["'a,b'".into(), "concat('x', 'y')".into(), "-1".into()]
            })
        );
        assert_eq!(
            parse("EXECUTE IMMEDIATE 'SELECT ''?'', ?' USING 5"),
            Ok(Statement::ExecuteImmediate {
                statement: "SELECT '?', ?".into(),
                arguments: vec!["5".into()]
            })
        );
        for sql in ["DEALLOCATE PREPARE p", "deallocate P"] {
            assert_eq!(parse(sql), Ok(Statement::Deallocate { name: "p".into() }));
        }
        for (sql, message) in [
            (
                "EXECUTE p USING",
                "expected a value, found the end of the statement",
            ),
            (
                "EXECUTE p USING 1,",
                "expected a value, found the end of the statement",
            ),
            (
                "EXECUTE p USING 1 2)",
                "expected `,` or the end of the statement, found `)`",
            ),
            (
                "PREPARE p FROM",
                "expected a statement, found the end of the statement",
            ),
            ("PREPARE p AS SELECT 1", "expected FROM, found `AS`"),
            (
                "EXECUTE IMMEDIATE x",
                "expected a statement in quotes, found `x`",
            ),
        ] {
            assert_eq!(parse(sql).unwrap_err().to_string(), message, "{sql}");
        }
    }

    #[test]
    fn arguments_stand_where_the_question_marks_stood() {
        let arguments = ["'it''s ?'".to_owned(), "1 + 2".to_owned()];
        let sql = "SELECT '?', ? -- ?\n FROM t WHERE a * ? > 1";
        assert_eq!(
            with_arguments(sql, &arguments).unwrap(),
            "SELECT '?', 'it''s ?' -- ?\n FROM t WHERE a * (1 + 2) > 1"
        );
        let error = with_arguments(sql, &arguments[..1]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this statement has 2 parameters, 1 given"
        );
    }

    #[test]
    fn literals_stand_where_the_parameters_stood() {
        let literals = BTreeMap::from([("a".to_owned(), "'x$a'".to_owned())]);
        assert_eq!(
            with_literals("SELECT $a, '$a' /* $a */ WHERE $A IS NULL", &literals).unwrap(),
            "SELECT 'x$a', '$a' /* $a */ WHERE 'x$a' IS NULL"
        );
        let error = with_literals("SELECT\n $b", &literals).unwrap_err();
        assert_eq!(error.to_string(), "parameter `b` has no value");
        assert_eq!(error.place(), Some((2, 2)));
    }
}
