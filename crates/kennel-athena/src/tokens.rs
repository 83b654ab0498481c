//! What must be done before parsing, on the tokens: for it sqlparser has no hook.
//!
//! Tokens keep the place where they stand in the text, so that errors point there.

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
            Token::Question => {
                question_marks += 1;
                token.token = Token::Placeholder(format!("${question_marks}"));
            }
            _ => {}
        }
    }
    (bracket_values(tokens), travels)
}

/// Writes `VALUES 1, 2` as `VALUES (1), (2)`: sqlparser knows only rows in brackets.
///
/// Rows in brackets are left alone: an item that starts with one is taken for a row.
fn bracket_values(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut result = Vec::with_capacity(tokens.len());
    let calls: Vec<bool> = tokens
        .windows(2)
        .map(|pair| starts_call(&pair[0].token, &pair[1].token))
        .chain([false])
        .collect();
    let mut tokens = tokens.into_iter().zip(calls).peekable();
    while let Some((token, _)) = tokens.next() {
        let is_values = matches!(
            &token.token,
            Token::Word(Word {
                quote_style: None,
                keyword: Keyword::VALUES,
                ..
            })
        );
        let place = token.span;
        let follows_period = matches!(
            result.last(),
            Some(TokenWithSpan {
                token: Token::Period,
                ..
            })
        );
        result.push(token);
        let bare = is_values
            && !follows_period
            && tokens
                .peek()
                .is_some_and(|(next, is_call)| *is_call || starts_value(&next.token));
        if !bare {
            continue;
        }
        let sign = |token| TokenWithSpan { token, span: place };
        result.push(sign(Token::LParen));
        let mut depth = 0_usize;
        while let Some((next, _)) = tokens.peek() {
            match next.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket if depth == 0 => break,
                Token::RParen | Token::RBracket => depth -= 1,
                Token::SemiColon | Token::EOF => break,
                Token::Word(Word {
                    quote_style: None,
                    keyword,
                    ..
                }) if depth == 0 && ends_values(keyword) => break,
                _ => {}
            }
            let is_comma = depth == 0 && next.token == Token::Comma;
            let Some((next, _)) = tokens.next() else {
                break;
            };
            if is_comma {
                result.extend([sign(Token::RParen), next, sign(Token::LParen)]);
            } else {
                result.push(next);
            }
        }
        result.push(sign(Token::RParen));
    }
    result
}

/// `f(…)`, a typed literal such as `DECIMAL '1.0'`, or a path such as `t.x`.
fn starts_call(token: &Token, next: &Token) -> bool {
    let Token::Word(word) = token else {
        return false;
    };
    word.quote_style.is_none()
        && word.keyword != Keyword::ROW
        && !RESERVED_FOR_COLUMN_ALIAS.contains(&word.keyword)
        && matches!(
            next,
            Token::LParen | Token::Period | Token::SingleQuotedString(_)
        )
}

fn starts_value(token: &Token) -> bool {
    match token {
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Minus | Token::Plus => true,
        Token::Word(word) => {
            word.quote_style.is_none()
                && matches!(
                    word.keyword,
                    Keyword::NULL
                        | Keyword::TRUE
                        | Keyword::FALSE
                        | Keyword::DATE
                        | Keyword::TIMESTAMP
                        | Keyword::ARRAY
                        | Keyword::MAP
                        | Keyword::CAST
                        | Keyword::INTERVAL
                        | Keyword::JSON
                )
        }
        _ => false,
    }
}

fn ends_values(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::INTERSECT
            | Keyword::ORDER
            | Keyword::LIMIT
            | Keyword::OFFSET
            | Keyword::FETCH
    )
}
