//! `VALUES 1, 2` as `VALUES (1), (2)`: sqlparser knows only rows in brackets.

use datafusion::sql::sqlparser::{
    keywords::{Keyword, RESERVED_FOR_COLUMN_ALIAS},
    tokenizer::{Token, TokenWithSpan, Word},
};

/// Puts brackets around the rows that have none.
pub(super) fn bracket(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut result: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut rest = tokens.as_slice();
    while let Some((token, after)) = rest.split_first() {
        rest = after;
        if keyword(token) != Keyword::VALUES {
            result.push(token.clone());
            continue;
        }
        if !starts_rows(&result, after) {
            result.push(as_name(token));
            continue;
        }
        result.push(token.clone());
        // Rows may hold further ones.
        let (rows, after) = rows(rest);
        rest = after;
        for (place, row) in rows.into_iter().enumerate() {
            let span = row.first().map_or(token.span, |first| first.span);
            let sign = |token| TokenWithSpan { token, span };
            if place > 0 {
                result.push(sign(Token::Comma));
            }
            match columns(row) {
                Some(columns) => result.extend(bracket(columns.to_vec())),
                None => {
                    result.push(sign(Token::LParen));
                    result.extend(bracket(row.to_vec()));
                    result.push(sign(Token::RParen));
                }
            }
        }
    }
    result
}

/// The name of a column, in quotes: else sqlparser awaits rows.
fn as_name(token: &TokenWithSpan) -> TokenWithSpan {
    let name = Word {
        value: "values".into(),
        quote_style: Some('"'),
        keyword: Keyword::NoKeyword,
    };
    TokenWithSpan {
        token: Token::Word(name),
        span: token.span,
    }
}

fn keyword(token: &TokenWithSpan) -> Keyword {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

/// Do rows follow, or is this a column that is called `values`?
fn starts_rows(before: &[TokenWithSpan], after: &[TokenWithSpan]) -> bool {
    let is_place = before.last().is_none_or(|last| match &last.token {
        // Of a subquery, not of a call.
        Token::LParen => !matches!(before, [.., name, _] if matches!(&name.token,
            Token::Word(word) if word.keyword == Keyword::NoKeyword)),
        Token::RParen | Token::SemiColon => true,
        // After the name of the table of an `INSERT`, or of a query in `WITH`.
        Token::Word(word) => match word.keyword {
            Keyword::NoKeyword => true,
            keyword => {
                matches!(
                    keyword,
                    Keyword::ALL
                        | Keyword::AS
                        | Keyword::DISTINCT
                        | Keyword::EXCEPT
                        | Keyword::EXISTS
                        | Keyword::INTERSECT
                        | Keyword::UNION
                ) || !RESERVED_FOR_COLUMN_ALIAS.contains(&keyword)
            }
        },
        _ => false,
    });
    let is_row = after.first().is_some_and(|next| match &next.token {
        Token::Word(word) if word.quote_style.is_none() => starts_operand(word),
        Token::Word(_)
        | Token::LParen
        | Token::Minus
        | Token::Plus
        | Token::Number(..)
        | Token::Placeholder(_)
        | Token::SingleQuotedString(_)
        | Token::HexStringLiteral(_)
        | Token::UnicodeStringLiteral(_) => true,
        _ => false,
    });
    is_place && is_row
}

/// Can an expression start with this word, one that does not follow a column?
fn starts_operand(word: &Word) -> bool {
    match word.keyword {
        Keyword::AND
        | Keyword::AS
        | Keyword::ASC
        | Keyword::AT
        | Keyword::BETWEEN
        | Keyword::DESC
        | Keyword::ELSE
        | Keyword::END
        | Keyword::ESCAPE
        | Keyword::IN
        | Keyword::IS
        | Keyword::LIKE
        | Keyword::NULLS
        | Keyword::OR
        | Keyword::OVER
        | Keyword::THEN
        | Keyword::WHEN => false,
        keyword => !RESERVED_FOR_COLUMN_ALIAS.contains(&keyword),
    }
}

/// The rows, without the commas between them, and what follows.
fn rows(tokens: &[TokenWithSpan]) -> (Vec<&[TokenWithSpan]>, &[TokenWithSpan]) {
    let mut rows = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (place, token) in tokens.iter().enumerate() {
        let ends = match &token.token {
            Token::LParen | Token::LBracket => {
                depth += 1;
                false
            }
            Token::RParen | Token::RBracket if depth > 0 => {
                depth -= 1;
                false
            }
            Token::RParen | Token::RBracket | Token::SemiColon | Token::EOF => true,
            Token::Comma if depth == 0 => {
                rows.push(&tokens[start..place]);
                start = place + 1;
                false
            }
            _ => depth == 0 && ends_rows(keyword(token)),
        };
        if ends {
            rows.push(&tokens[start..place]);
            return (rows, &tokens[place..]);
        }
    }
    rows.push(&tokens[start..]);
    (rows, &[])
}

fn ends_rows(keyword: Keyword) -> bool {
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

/// A row's columns in brackets: those of `(a, b)`, of `ROW(a, b)`, and of `(ROW(a, b))`, which is the same row.
fn columns(tokens: &[TokenWithSpan]) -> Option<&[TokenWithSpan]> {
    match tokens {
        [first, rest @ ..] if keyword(first) == Keyword::ROW => is_bracket(rest).then_some(rest),
        [_, first, rest @ .., _]
            if is_bracket(tokens) && keyword(first) == Keyword::ROW && is_bracket(rest) =>
        {
            Some(rest)
        }
        tokens => is_bracket(tokens).then_some(tokens),
    }
}

/// Is this one pair of brackets and nothing else? Nothing at all is an error that stays one.
fn is_bracket(tokens: &[TokenWithSpan]) -> bool {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return token.token == Token::RParen && place + 1 == tokens.len();
        }
    }
    tokens.is_empty()
}
