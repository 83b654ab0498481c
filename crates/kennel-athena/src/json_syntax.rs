//! The clauses of the SQL standard's JSON functions, which sqlparser does not read: each becomes a call
//! with the clauses as arguments.
//!
//! Source: Trino manual, "JSON functions and operators".

use datafusion::sql::sqlparser::{
    ast::{DataType, Expr, Value},
    parser::{Parser, ParserError},
    tokenizer::{Token, TokenWithSpan},
};

use crate::{
    ParseError,
    functions::path_variables,
    rewrite::{call, plain_cast},
    types,
};

/// Is this the name of a function with clauses?
pub(crate) fn is_known(name: &str) -> bool {
    const NAMES: [&str; 5] = [
        "json_exists",
        "json_value",
        "json_query",
        "json_object",
        "json_array",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Refuses `JSON_TABLE`, whichever form it has.
///
/// # Errors
/// The place of the first one.
pub(crate) fn refuse_tables(tokens: &[TokenWithSpan]) -> Result<(), ParseError> {
    let words = tokens
        .iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let is_table = |token: &Token| {
        matches!(token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("json_table"))
    };
    let mut pairs = words.clone().zip(words.skip(1));
    match pairs.find(|(word, next)| is_table(&word.token) && next.token == Token::LParen) {
        None => Ok(()),
        Some((word, _)) => Err(ParseError::at(
            word.span,
            "JSON_TABLE is not supported; CROSS JOIN UNNEST(CAST(json_parse(x) AS array(json))) makes rows of a JSON array",
        )),
    }
}

type Read<T> = Result<T, ParserError>;

fn text(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.into()))
}

/// Reads the call that begins where the parser stands.
pub(crate) fn parse(parser: &mut Parser<'_>) -> Read<Expr> {
    let name = parser.next_token().token.to_string().to_ascii_lowercase();
    parser.expect_token(&Token::LParen)?;
    let expr = match name.as_str() {
        "json_exists" => exists(parser)?,
        "json_value" => value(parser)?,
        "json_query" => query(parser)?,
        "json_object" => object(parser)?,
        _ => array(parser)?,
    };
    parser.expect_token(&Token::RParen)?;
    Ok(expr)
}

/// Do these words follow, in any letter case? Then they are passed over.
fn words(parser: &mut Parser<'_>, words: &[&str]) -> bool {
    let follow = words.iter().enumerate().all(|(index, word)| {
        matches!(&parser.peek_nth_token_ref(index).token, Token::Word(found)
            if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    });
    if follow {
        words.iter().for_each(|_| _ = parser.next_token());
    }
    follow
}

/// The first of several phrases that follows.
fn one_of<'a>(parser: &mut Parser<'_>, phrases: &[(&'a str, &[&str])]) -> Option<&'a str> {
    phrases
        .iter()
        .find(|(_, phrase)| words(parser, phrase))
        .map(|(meaning, _)| *meaning)
}

/// What `FORMAT JSON [ENCODING …]` says: outer `None` where it is not there.
fn format(parser: &mut Parser<'_>) -> Read<Option<Option<&'static str>>> {
    if !words(parser, &["FORMAT", "JSON"]) {
        return Ok(None);
    }
    if !words(parser, &["ENCODING"]) {
        return Ok(Some(None));
    }
    let encodings: [(&str, &[&str]); 3] = [
        ("UTF8", &["UTF8"]),
        ("UTF16", &["UTF16"]),
        ("UTF32", &["UTF32"]),
    ];
    match one_of(parser, &encodings) {
        Some(encoding) => Ok(Some(Some(encoding))),
        None => parser.expected_ref("UTF8, UTF16 or UTF32", parser.peek_token_ref()),
    }
}

/// A value that may say that it is JSON, and whether it does.
fn formatted(parser: &mut Parser<'_>) -> Read<(Expr, bool)> {
    let value = parser.parse_expr()?;
    Ok(match format(parser)? {
        None => (value, false),
        Some(None) => (value, true),
        Some(Some(encoding)) => (call("__json_decoded", vec![value, text(encoding)]), true),
    })
}

/// An error at a token.
fn wrong<T>(message: &str, at: &TokenWithSpan) -> Read<T> {
    let place = at.span.start;
    Err(ParserError::ParserError(format!("{message}{place}")))
}

/// Input and path, then `PASSING value AS name, …`: two vectors of arguments.
fn input(parser: &mut Parser<'_>) -> Read<(Vec<Expr>, Vec<Expr>)> {
    let (input, _) = formatted(parser)?;
    parser.expect_token(&Token::Comma)?;
    let token = parser.next_token();
    let Token::SingleQuotedString(path) = &token.token else {
        return parser.expected("a JSON path as a text in quotes", token);
    };
    let variables = match path_variables(path) {
        Ok(variables) => variables,
        Err(error) => return wrong(&format!("invalid JSON path '{path}': {error}"), &token),
    };
    if words(parser, &["AS"]) {
        parser.parse_identifier()?;
    }
    let (passed, names) = passing(parser, &variables)?;
    if let Some(name) = variables.iter().find(|name| !names.contains(name)) {
        let message = format!(
            "no value passed for parameter {name}. Try quoting \"{name}\" in the PASSING clause to match case"
        );
        return wrong(&message, &token);
    }
    Ok((vec![input, text(path)], passed))
}

/// `PASSING value AS name, …`: names and values as arguments, and the names again.
fn passing(parser: &mut Parser<'_>, variables: &[String]) -> Read<(Vec<Expr>, Vec<String>)> {
    let (mut passed, mut names) = (Vec::new(), Vec::new());
    if words(parser, &["PASSING"]) {
        loop {
            let (value, is_json) = formatted(parser)?;
            let prefix = if is_json { "json:" } else { "" };
            if !words(parser, &["AS"]) {
                return parser.expected_ref("AS", parser.peek_token_ref());
            }
            let name = parser.parse_identifier()?;
            // Names without quotes are capital letters. Those in quotes are that of the path, whose
            // letters the folding of names has left alone.
            let mut variables = variables.iter();
            let name = match name.quote_style {
                Some(_) => variables
                    .find(|known| known.to_lowercase() == name.value)
                    .map_or(name.value, Clone::clone),
                None => name.value.to_uppercase(),
            };
            passed.extend([text(&format!("{prefix}{name}")), value]);
            names.push(name);
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    }
    Ok((passed, names))
}

fn exists(parser: &mut Parser<'_>) -> Read<Expr> {
    let (mut args, passed) = input(parser)?;
    let on_error = one_of(
        parser,
        &[
            ("true", &["TRUE", "ON", "ERROR"]),
            ("false", &["FALSE", "ON", "ERROR"]),
            ("unknown", &["UNKNOWN", "ON", "ERROR"]),
            ("error", &["ERROR", "ON", "ERROR"]),
        ],
    );
    args.push(text(on_error.unwrap_or("false")));
    args.extend(passed);
    Ok(call("__json_exists", args))
}

/// `RETURNING type`
fn returning(parser: &mut Parser<'_>) -> Read<Option<DataType>> {
    if !words(parser, &["RETURNING"]) {
        return Ok(None);
    }
    types::parse(parser).map(Some)
}

fn value(parser: &mut Parser<'_>) -> Read<Expr> {
    let (mut args, passed) = input(parser)?;
    let returned = returning(parser)?;
    if let Some(other) = returned.as_ref().filter(|returned| !is_scalar(returned)) {
        let name = other.to_string().to_ascii_lowercase();
        let message = format!("Invalid return type of function JSON_VALUE: {name}");
        return wrong(&message, parser.get_current_token());
    }
    let typed = match &returned {
        // Their lengths are a matter of the cast around.
        None | Some(DataType::Varchar(_) | DataType::Char(_) | DataType::Character(_)) => {
            DataType::Varchar(None)
        }
        Some(other) => other.clone(),
    };
    let null = || Expr::value(Value::Null);
    let mut on_empty = ("null", null());
    let mut on_error = ("null", null());
    loop {
        let (behavior, default) = if words(parser, &["DEFAULT"]) {
            ("default", parser.parse_expr()?)
        } else if words(parser, &["ERROR"]) {
            ("error", null())
        } else if words(parser, &["NULL"]) {
            ("null", null())
        } else {
            break;
        };
        if words(parser, &["ON", "EMPTY"]) {
            on_empty = (behavior, default);
        } else if words(parser, &["ON", "ERROR"]) {
            on_error = (behavior, default);
        } else {
            return parser.expected_ref("ON EMPTY or ON ERROR", parser.peek_token_ref());
        }
    }
    args.push(plain_cast(null(), typed));
    args.extend([text(on_empty.0), on_empty.1, text(on_error.0), on_error.1]);
    args.extend(passed);
    let called = call("__json_value", args);
    Ok(match returned {
        Some(
            data_type @ (DataType::Varchar(Some(_)) | DataType::Char(_) | DataType::Character(_)),
        ) => plain_cast(called, data_type),
        _ => called,
    })
}

/// Texts, numbers, booleans, times: what `JSON_VALUE` can return.
fn is_scalar(data_type: &DataType) -> bool {
    !matches!(
        data_type,
        DataType::Custom(..)
            | DataType::JSON
            | DataType::Array(_)
            | DataType::Map(..)
            | DataType::Struct(..)
            | DataType::Varbinary(_)
            | DataType::Uuid
    )
}

fn query(parser: &mut Parser<'_>) -> Read<Expr> {
    let (mut args, passed) = input(parser)?;
    let output = output(parser)?;
    let wrapper = one_of(
        parser,
        &[
            ("without", &["WITHOUT", "ARRAY", "WRAPPER"]),
            ("without", &["WITHOUT", "WRAPPER"]),
            ("conditional", &["WITH", "CONDITIONAL", "ARRAY", "WRAPPER"]),
            ("conditional", &["WITH", "CONDITIONAL", "WRAPPER"]),
            (
                "unconditional",
                &["WITH", "UNCONDITIONAL", "ARRAY", "WRAPPER"],
            ),
            ("unconditional", &["WITH", "UNCONDITIONAL", "WRAPPER"]),
            ("unconditional", &["WITH", "ARRAY", "WRAPPER"]),
            ("unconditional", &["WITH", "WRAPPER"]),
        ],
    );
    let quotes = one_of(
        parser,
        &[("keep", &["KEEP", "QUOTES"]), ("omit", &["OMIT", "QUOTES"])],
    );
    if quotes.is_some() {
        if wrapper.is_some_and(|wrapper| wrapper != "without") {
            let here = parser.get_current_token();
            return wrong("QUOTES cannot be kept or omitted in an array wrapper", here);
        }
        words(parser, &["ON", "SCALAR", "STRING"]);
    }
    let behavior = |parser: &mut Parser<'_>, case: &str| {
        let phrases: [(&str, Vec<&str>); 4] = [
            ("error", vec!["ERROR", "ON", case]),
            ("null", vec!["NULL", "ON", case]),
            ("empty array", vec!["EMPTY", "ARRAY", "ON", case]),
            ("empty object", vec!["EMPTY", "OBJECT", "ON", case]),
        ];
        phrases
            .iter()
            .find(|(_, phrase)| words(parser, phrase))
            .map_or("null", |(meaning, _)| *meaning)
    };
    let on_empty = behavior(parser, "EMPTY");
    let on_error = behavior(parser, "ERROR");
    args.extend([
        text(wrapper.unwrap_or("without")),
        text(quotes.unwrap_or("keep")),
        text(on_empty),
        text(on_error),
    ]);
    args.extend(passed);
    Ok(output.of(call("__json_query", args)))
}

/// What JSON text is made of.
enum Output {
    Plain,
    Text(DataType),
    Bytes(&'static str),
}

impl Output {
    fn of(self, called: Expr) -> Expr {
        match self {
            Self::Plain => called,
            Self::Text(data_type) => plain_cast(called, data_type),
            Self::Bytes("UTF8") => call("to_utf8", vec![called]),
            Self::Bytes(encoding) => call("__json_encoded", vec![called, text(encoding)]),
        }
    }
}

/// `RETURNING type FORMAT JSON ENCODING …`
fn output(parser: &mut Parser<'_>) -> Read<Output> {
    let returned = returning(parser)?;
    let here = parser.get_current_token().clone();
    let encoding = format(parser)?.flatten();
    match (returned, encoding) {
        (None | Some(DataType::Varchar(None)), None) => Ok(Output::Plain),
        (
            Some(data_type @ (DataType::Varchar(_) | DataType::Char(_) | DataType::Character(_))),
            None,
        ) => Ok(Output::Text(data_type)),
        (Some(DataType::Varbinary(_)), encoding) => Ok(Output::Bytes(encoding.unwrap_or("UTF8"))),
        (other, encoding) => {
            let name = other.map_or_else(|| "varchar".into(), |other| other.to_string());
            let encoding = encoding.map_or_else(String::new, |name| format!(" ENCODING {name}"));
            let name = name.to_ascii_lowercase();
            let message =
                format!("Cannot output JSON value as {name} using formatting JSON{encoding}");
            wrong(&message, &here)
        }
    }
}

/// The value of a member or element, and whether it is JSON already.
fn part(parser: &mut Parser<'_>) -> Read<(Expr, &'static str)> {
    let (value, formatted) = formatted(parser)?;
    let makes_json = match &value {
        Expr::Function(function) => {
            let name = function.name.to_string();
            ["__json_query", "__json_object", "__json_array"].contains(&name.as_str())
        }
        _ => false,
    };
    Ok((value, if formatted || makes_json { "json" } else { "" }))
}

/// `NULL ON NULL` or `ABSENT ON NULL`
fn on_null(parser: &mut Parser<'_>) -> Option<&'static str> {
    one_of(
        parser,
        &[
            ("null", &["NULL", "ON", "NULL"]),
            ("absent", &["ABSENT", "ON", "NULL"]),
        ],
    )
}

fn object(parser: &mut Parser<'_>) -> Read<Expr> {
    let mut members = Vec::new();
    while parser.peek_token_ref().token != Token::RParen && !begins_clause(parser) {
        words(parser, &["KEY"]);
        let key = parser.parse_expr()?;
        if !parser.consume_token(&Token::Colon) && !words(parser, &["VALUE"]) {
            return parser.expected_ref("`:` or VALUE", parser.peek_token_ref());
        }
        let (value, format) = part(parser)?;
        members.extend([key, value, text(format)]);
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    let on_null = on_null(parser).unwrap_or("null");
    let unique = one_of(
        parser,
        &[
            ("unique", &["WITH", "UNIQUE", "KEYS"]),
            ("unique", &["WITH", "UNIQUE"]),
            ("", &["WITHOUT", "UNIQUE", "KEYS"]),
            ("", &["WITHOUT", "UNIQUE"]),
        ],
    );
    // Key, value, format: three for each member.
    let has_format = members.chunks(3).any(|member| member[2] == text("json"));
    if unique == Some("unique") && has_format {
        return wrong(
            "WITH UNIQUE KEYS behavior is not supported for JSON_OBJECT function when input expression has FORMAT",
            parser.get_current_token(),
        );
    }
    let output = output(parser)?;
    let mut args = vec![text(on_null), text(unique.unwrap_or(""))];
    args.extend(members);
    Ok(output.of(call("__json_object", args)))
}

fn array(parser: &mut Parser<'_>) -> Read<Expr> {
    let mut items = Vec::new();
    while parser.peek_token_ref().token != Token::RParen && !begins_clause(parser) {
        let (value, format) = part(parser)?;
        items.extend([value, text(format)]);
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    let on_null = on_null(parser).unwrap_or("absent");
    let output = output(parser)?;
    let mut args = vec![text(on_null)];
    args.extend(items);
    Ok(output.of(call("__json_array", args)))
}

/// Does a clause follow rather than a member?
fn begins_clause(parser: &Parser<'_>) -> bool {
    let is = |index: usize, word: &str| {
        matches!(&parser.peek_nth_token_ref(index).token, Token::Word(found)
            if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    };
    is(0, "RETURNING") || is(1, "ON") && is(2, "NULL")
}
