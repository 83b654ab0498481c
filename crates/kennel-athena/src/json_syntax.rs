//! The clauses of the SQL standard's JSON functions, which sqlparser does not read: each becomes a call
//! with the clauses as arguments.
//!
//! Source: Trino manual, "JSON functions and operators".

use datafusion::sql::sqlparser::{
    ast::{DataType, Expr, Value},
    parser::{Parser, ParserError},
    tokenizer::Token,
};

use crate::{
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

/// `FORMAT JSON [ENCODING UTF8]`
fn format(parser: &mut Parser<'_>) -> Read<bool> {
    if !words(parser, &["FORMAT", "JSON"]) {
        return Ok(false);
    }
    if words(parser, &["ENCODING"]) && !words(parser, &["UTF8"]) {
        return parser.expected_ref(
            "UTF8, the one encoding that is supported",
            parser.peek_token_ref(),
        );
    }
    Ok(true)
}

/// Input and path, then `PASSING value AS name, …`: two vectors of arguments.
fn input(parser: &mut Parser<'_>) -> Read<(Vec<Expr>, Vec<Expr>)> {
    let input = parser.parse_expr()?;
    format(parser)?;
    parser.expect_token(&Token::Comma)?;
    let path = parser.parse_expr()?;
    if words(parser, &["AS"]) {
        parser.parse_identifier()?;
    }
    let mut passed = Vec::new();
    if words(parser, &["PASSING"]) {
        loop {
            let value = parser.parse_expr()?;
            let prefix = if format(parser)? { "json:" } else { "" };
            if !words(parser, &["AS"]) {
                return parser.expected_ref("AS", parser.peek_token_ref());
            }
            let name = parser.parse_identifier()?;
            // Names without quotes are capital letters.
            let name = match name.quote_style {
                Some(_) => name.value,
                None => name.value.to_uppercase(),
            };
            passed.extend([text(&format!("{prefix}{name}")), value]);
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    }
    Ok((vec![input, path], passed))
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

fn returning(parser: &mut Parser<'_>) -> Read<Option<DataType>> {
    if !words(parser, &["RETURNING"]) {
        return Ok(None);
    }
    let data_type = types::parse(parser)?;
    format(parser)?;
    Ok(Some(data_type))
}

fn value(parser: &mut Parser<'_>) -> Read<Expr> {
    let (mut args, passed) = input(parser)?;
    let returned = returning(parser)?;
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

fn query(parser: &mut Parser<'_>) -> Read<Expr> {
    let (mut args, passed) = input(parser)?;
    let returned = returning(parser)?;
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
    output(parser, call("__json_query", args), returned)
}

/// JSON text of the type asked for.
fn output(parser: &Parser<'_>, called: Expr, returned: Option<DataType>) -> Read<Expr> {
    match returned {
        None | Some(DataType::Varchar(None)) => Ok(called),
        Some(data_type @ (DataType::Varchar(_) | DataType::Char(_) | DataType::Character(_))) => {
            Ok(plain_cast(called, data_type))
        }
        Some(DataType::Varbinary(_)) => Ok(call("to_utf8", vec![called])),
        Some(other) => {
            let found = parser.peek_token_ref();
            parser.expected_ref(
                &format!("a type that JSON can be written as, not {other}"),
                found,
            )
        }
    }
}

/// The value of a member or element, and whether it is JSON already.
fn part(parser: &mut Parser<'_>) -> Read<(Expr, &'static str)> {
    let value = parser.parse_expr()?;
    let makes_json = match &value {
        Expr::Function(function) => {
            let name = function.name.to_string();
            ["__json_query", "__json_object", "__json_array"].contains(&name.as_str())
        }
        _ => false,
    };
    let formatted = format(parser)?;
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
    let returned = returning(parser)?;
    let mut args = vec![text(on_null), text(unique.unwrap_or(""))];
    args.extend(members);
    output(parser, call("__json_object", args), returned)
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
    let returned = returning(parser)?;
    let mut args = vec![text(on_null)];
    args.extend(items);
    output(parser, call("__json_array", args), returned)
}

/// Does a clause follow rather than a member?
fn begins_clause(parser: &Parser<'_>) -> bool {
    let is = |index: usize, word: &str| {
        matches!(&parser.peek_nth_token_ref(index).token, Token::Word(found)
            if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    };
    is(0, "RETURNING") || is(1, "ON") && is(2, "NULL")
}
