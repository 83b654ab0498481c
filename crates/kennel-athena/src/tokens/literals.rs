//! Literals that sqlparser reads otherwise: `U&'…' UESCAPE '#'`, `1_000`, `0x1F`, `0o17`, `0b101`.
//!
//! It takes what follows the digits for a name, so that `SELECT 1_000` would be a column called `_000`.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// Writes them as literals that it knows.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut result: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(mut token) = tokens.next() {
        if let Token::UnicodeStringLiteral(text) = &token.token {
            let text = text.clone();
            let escapes = matches!(tokens.peek(), Some(next) if is_word(&next.token, "uescape"));
            token.token = Token::SingleQuotedString(text);
            if escapes {
                let word = tokens.next();
                if let (Some(escape), Token::SingleQuotedString(text)) = (
                    tokens.peek().and_then(|next| only_sign(&next.token)),
                    &token.token,
                ) && let Some(read) = unescaped(text, escape)
                {
                    token.token = Token::SingleQuotedString(read);
                    tokens.next();
                    result.push(token);
                    continue;
                }
                result.push(token);
                result.extend(word);
                continue;
            }
        }
        while let Some(next) = tokens.peek()
            && token.span.end == next.span.start
            && let Some(number) = joined(&token.token, &next.token)
        {
            token.token = Token::Number(number, false);
            if let Some(next) = tokens.next() {
                token.span.end = next.span.end;
            }
        }
        if let Token::HexStringLiteral(digits) = &token.token {
            let width = token
                .span
                .end
                .column
                .saturating_sub(token.span.start.column);
            // `0x1F` has no quotes.
            if width == digits.chars().count() as u64 + 2
                && let Ok(number) = u64::from_str_radix(digits, 16)
            {
                token.token = Token::Number(number.to_string(), false);
            }
        }
        result.push(token);
    }
    result
}

fn is_word(token: &Token, wanted: &str) -> bool {
    matches!(token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

fn only_sign(token: &Token) -> Option<char> {
    let Token::SingleQuotedString(text) = token else {
        return None;
    };
    let mut signs = text.chars();
    signs.next().filter(|_| signs.next().is_none())
}

/// A text in which `#0041` and `#+000041` are signs by their numbers, and `##` is `#`.
fn unescaped(text: &str, escape: char) -> Option<String> {
    let mut read = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(escape) {
        read.push_str(before);
        if let Some(after) = after.strip_prefix(escape) {
            read.push(escape);
            rest = after;
            continue;
        }
        let (digits, after) = match after.strip_prefix('+') {
            Some(after) => after.split_at_checked(6)?,
            None => after.split_at_checked(4)?,
        };
        read.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        rest = after;
    }
    read.push_str(rest);
    Some(read)
}

/// A number that was taken for one and a name behind it.
fn joined(number: &Token, name: &Token) -> Option<String> {
    // `1_000.5`, of which the second part is a number of its own.
    if let (Token::Number(whole, false), Token::Number(fraction, false)) = (number, name) {
        let is_joined = !whole.contains(['.', 'e', 'E']) && fraction.starts_with('.');
        return is_joined.then(|| format!("{whole}{fraction}"));
    }
    let (
        Token::Number(digits, false),
        Token::Word(Word {
            value,
            quote_style: None,
            ..
        }),
    ) = (number, name)
    else {
        return None;
    };
    let rest = value.replace('_', "");
    match (digits.as_str(), value.chars().next()?) {
        (_, '_') if is_number(&rest) => Some(format!("{digits}{rest}")),
        ("0", 'X') => u64::from_str_radix(&rest[1..], 16)
            .ok()
            .map(|n| n.to_string()),
        ("0", 'b' | 'B') => u64::from_str_radix(&rest[1..], 2)
            .ok()
            .map(|n| n.to_string()),
        ("0", 'o' | 'O') => u64::from_str_radix(&rest[1..], 8)
            .ok()
            .map(|n| n.to_string()),
        _ => None,
    }
}

/// Digits, perhaps with an exponent.
fn is_number(text: &str) -> bool {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    [digits, exponent]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|sign| sign.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::*;
    use crate::AthenaDialect;

    fn read(sql: &str) -> Vec<String> {
        let tokens = Tokenizer::new(&AthenaDialect::default(), sql)
            .tokenize_with_location()
            .unwrap();
        let tokens = tokens
            .into_iter()
            .filter(|token| !matches!(token.token, Token::Whitespace(_)));
        let read = rewrite(tokens.collect());
        read.iter().map(|token| token.token.to_string()).collect()
    }

    #[test]
    fn numbers_have_underscores_and_other_bases() {
        assert_eq!(read("1_000 0x1F 0b101 0o17"), ["1000", "31", "5", "15"]);
        assert_eq!(
            read("1_000.5 0X1F 0.12_5 1_0.2_5e3 0B1_1"),
            ["1000.5", "31", "0.125", "10.25e3", "3"]
        );
        assert_eq!(
            read("1 _000 X'1F' 0 b101"),
            ["1", "_000", "X'1F'", "0", "b101"]
        );
        assert_eq!(read("1_a 0b2"), ["1", "_a", "0", "b2"]);
    }

    #[test]
    fn signs_are_written_by_their_numbers() {
        assert_eq!(read(r"U&'\0041b'"), ["'Ab'"]);
        assert_eq!(read("U&'#0041#+01F600##' UESCAPE '#'"), ["'A😀#'"]);
        assert_eq!(read("U&'#00' UESCAPE '#'"), ["'#00'", "UESCAPE", "'#'"]);
    }
}
