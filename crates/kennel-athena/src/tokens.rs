//! What must be done before parsing, on the tokens: for it sqlparser has no hook.
//!
//! Tokens keep the place where they stand in the text, so that errors point there.

mod brackets;
mod literals;
mod values;

use datafusion::sql::sqlparser::{
    keywords::{Keyword, RESERVED_FOR_COLUMN_ALIAS},
    tokenizer::{Token, TokenWithSpan, Word},
};

use crate::time_travel;

/// Removes blanks and comments, folds quoted names to lower case (Athena compares names without
/// case), numbers `?`, and writes time travel as sqlparser reads it; says whether there is any.
pub(crate) fn prepare(tokens: Vec<TokenWithSpan>) -> (Vec<TokenWithSpan>, bool) {
    let tokens = tokens
        .into_iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_)))
        .collect();
    let tokens = brackets::round(literals::rewrite(tokens));
    let (mut tokens, travels) = time_travel::carry(tokens);
    let mut question_marks = 0;
    for token in &mut tokens {
        match &mut token.token {
            Token::Word(word) if word.quote_style.is_some() => {
                word.value = word.value.to_lowercase();
            }
            Token::Placeholder(text) if text == "?" => {
                question_marks += 1;
                *text = format!("${question_marks}");
            }
            Token::HexStringLiteral(digits) => digits.retain(|digit| !digit.is_whitespace()),
            Token::Question => {
                question_marks += 1;
                token.token = Token::Placeholder(format!("${question_marks}"));
            }
            _ => {}
        }
    }
    let tokens = select_tables(group_by(name_fields(tokens)));
    (select_values(values::bracket(tokens)), travels)
}

/// Stands for `DISTINCT` in `GROUP BY DISTINCT …`, as a first key.
pub(crate) const DISTINCT_SETS: &str = "\u{2}distinct";

/// Stands before each name of [`name_fields`].
pub(crate) const COLUMN_NAMES: char = '\u{2}';

/// Writes `.* AS (a, b)` with one name instead of several: sqlparser takes only one.
fn name_fields(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut result: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut rest = tokens.as_slice();
    while let Some((token, after)) = rest.split_first() {
        result.push(token.clone());
        rest = after;
        let is_as = matches!(&token.token, Token::Word(word) if word.keyword == Keyword::AS);
        let ends_in_star = matches!(result.as_slice(), [.., point, star, _]
            if point.token == Token::Period && star.token == Token::Mul);
        if !is_as || !ends_in_star {
            continue;
        }
        let Some((names, after)) = names_in_brackets(rest) else {
            continue;
        };
        result.push(TokenWithSpan {
            token: Token::Word(Word {
                value: names,
                quote_style: Some('"'),
                keyword: Keyword::NoKeyword,
            }),
            span: token.span,
        });
        rest = after;
    }
    result
}

/// The names of `(a, b)`, each after [`COLUMN_NAMES`], and what follows.
fn names_in_brackets(tokens: &[TokenWithSpan]) -> Option<(String, &[TokenWithSpan])> {
    let (open, mut rest) = tokens.split_first()?;
    if open.token != Token::LParen {
        return None;
    }
    let mut names = String::new();
    loop {
        let [name, sign, after @ ..] = rest else {
            return None;
        };
        let Token::Word(word) = &name.token else {
            return None;
        };
        names.push(COLUMN_NAMES);
        names.push_str(&word.value.to_lowercase());
        rest = after;
        match sign.token {
            Token::Comma => {}
            Token::RParen => return Some((names, rest)),
            _ => return None,
        }
    }
}

/// Writes `(VALUES 1)` as `(SELECT * FROM (VALUES 1))` where an expression stands: sqlparser takes it for a
/// call there.
fn select_values(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut result: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    // How many brackets are open, and at which depth one more is to be closed.
    let (mut depth, mut pending) = (0_usize, Vec::new());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let place = token.span;
        let sign = |token| TokenWithSpan { token, span: place };
        match token.token {
            Token::RParen => {
                if pending.last() == Some(&depth) {
                    pending.pop();
                    result.push(sign(Token::RParen));
                }
                depth = depth.saturating_sub(1);
            }
            Token::LParen => {
                depth += 1;
                let is_operand = result
                    .last()
                    .is_some_and(|last| awaits_operand(&last.token));
                let next = tokens.peek().map(|next| &next.token);
                if is_operand
                    && matches!(next, Some(Token::Word(word))
                        if word.quote_style.is_none() && word.keyword == Keyword::VALUES)
                {
                    let word = |text: &str| sign(Token::make_keyword(text));
                    result.push(token);
                    result.extend([word("SELECT"), sign(Token::Mul), word("FROM")]);
                    result.push(sign(Token::LParen));
                    pending.push(depth);
                    continue;
                }
            }
            _ => {}
        }
        result.push(token);
    }
    result
}

fn awaits_operand(token: &Token) -> bool {
    match token {
        Token::Eq
        | Token::Neq
        | Token::Lt
        | Token::LtEq
        | Token::Gt
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div => true,
        Token::Word(word) => {
            word.quote_style.is_none()
                && matches!(
                    word.keyword,
                    Keyword::ALL
                        | Keyword::AND
                        | Keyword::ANY
                        | Keyword::NOT
                        | Keyword::OR
                        | Keyword::SELECT
                        | Keyword::SOME
                        | Keyword::THEN
                        | Keyword::WHEN
                )
        }
        _ => false,
    }
}

/// Writes `(TABLE t …` as `(SELECT * FROM t …`, which sqlparser takes for a function in `FROM`.
fn select_tables(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut result: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for (place, token) in tokens.iter().enumerate() {
        let is_table = matches!(&token.token, Token::Word(word)
            if word.quote_style.is_none() && word.keyword == Keyword::TABLE);
        let opens = matches!(result.last(), Some(last) if last.token == Token::LParen);
        let next = tokens.get(place + 1).map(|next| &next.token);
        if !(is_table && opens && matches!(next, Some(Token::Word(_)))) {
            result.push(token.clone());
            continue;
        }
        let sign = |sign| TokenWithSpan {
            token: sign,
            span: token.span,
        };
        let words = [
            Token::make_keyword("SELECT"),
            Token::Mul,
            Token::make_keyword("FROM"),
        ];
        result.extend(words.map(sign));
    }
    result
}

/// Takes the `ALL` out of `GROUP BY ALL CUBE (…)`, and makes a `DISTINCT` there a key: sqlparser knows neither.
fn group_by(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let keyword = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    };
    let mut result: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for (place, token) in tokens.iter().enumerate() {
        let follows = matches!(result.as_slice(), [.., group, by]
            if keyword(group) == Keyword::GROUP && keyword(by) == Keyword::BY);
        let starts_key = tokens.get(place + 1).is_some_and(|next| match &next.token {
            Token::Word(word) => {
                word.quote_style.is_some() || !RESERVED_FOR_COLUMN_ALIAS.contains(&word.keyword)
            }
            Token::LParen | Token::Number(..) => true,
            _ => false,
        });
        match keyword(token) {
            Keyword::ALL if follows && starts_key => {}
            Keyword::DISTINCT if follows && starts_key => {
                let mark = Token::Word(Word {
                    value: DISTINCT_SETS.into(),
                    quote_style: Some('"'),
                    keyword: Keyword::NoKeyword,
                });
                let signs = [mark, Token::Comma].map(|sign| TokenWithSpan {
                    token: sign,
                    span: token.span,
                });
                result.extend(signs);
            }
            _ => result.push(token.clone()),
        }
    }
    result
}
