//! A query of this dialect in words that Athena knows, too.
//!
//! Texts stay as they are written, but for what DataFusion alone has: `array_has`, instants cast to numbers.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::sqlparser::tokenizer::Token;

use super::{
    StatementError,
    lexer::{Lexeme, lex},
};

/// Functions that Athena has under another name.
const FUNCTIONS: [(&str, &str); 1] = [("array_has", "contains")];

/// Writes a query for Athena. `schemas` says which schemas have another name there; only before the names of `tables`,
/// which are written with their schema.
///
/// # Errors
/// [`StatementError`] for text that has no tokens.
pub fn athena_words(
    query: &str,
    schemas: &BTreeMap<&str, &str>,
    tables: &BTreeSet<&str>,
) -> Result<String, StatementError> {
    let lexemes = lex(query)?
        .into_iter()
        .filter(Lexeme::is_significant)
        .collect::<Vec<_>>();
    let mut edits = Vec::new();
    for (index, lexeme) in lexemes.iter().enumerate() {
        let Some(word) = word(lexeme) else {
            continue;
        };
        let token = |ahead: usize| lexemes.get(index + ahead).map(|lexeme| &lexeme.token);
        if token(1) == Some(&Token::LParen) {
            if let Some((_, name)) = FUNCTIONS.iter().find(|(known, _)| *known == word) {
                edits.push((lexeme.start, lexeme.end, (*name).to_owned()));
            }
            if word == "cast" {
                edits.extend(instant_as_number(query, &lexemes, index));
            }
        }
        let table = lexemes.get(index + 2).and_then(self::word);
        if let (Some(Token::Period), Some(table), Some(schema)) =
            (token(1), table, schemas.get(word.as_str()))
            && tables.contains(format!("{word}.{table}").as_str())
        {
            let name = super::TableName::new(None, schema).to_string();
            edits.push((lexeme.start, lexeme.end, name));
        }
    }
    // Edits within another one are part of its text: there is none, since names do not stand in casts of instants.
    edits.sort_by_key(|(start, end, _)| (*start, std::cmp::Reverse(*end)));
    let mut text = String::with_capacity(query.len());
    let mut end = 0;
    for (start, stop, edit) in edits {
        if start < end {
            continue;
        }
        text.push_str(&query[end..start]);
        text.push_str(&edit);
        end = stop;
    }
    text.push_str(&query[end..]);
    Ok(text)
}

fn word(lexeme: &Lexeme) -> Option<String> {
    match &lexeme.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_lowercase()),
        _ => None,
    }
}

/// `CAST(instant AS BIGINT)`: microseconds since 1970 here, refused by Athena. A number stays a number.
fn instant_as_number(
    query: &str,
    lexemes: &[Lexeme],
    cast: usize,
) -> Option<(usize, usize, String)> {
    let mut depth = 0_usize;
    let close = (cast + 1..lexemes.len()).find(|index| {
        match lexemes[*index].token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        depth == 0
    })?;
    let (first, last) = (cast + 2, close.checked_sub(3)?);
    let is_bigint = word(&lexemes[close - 1]).as_deref() == Some("bigint")
        && word(&lexemes[close - 2]).as_deref() == Some("as");
    let is_instant = lexemes
        .get(first..=last)?
        .iter()
        .any(|lexeme| word(lexeme).is_some_and(|word| word != "null"));
    if !is_bigint || !is_instant {
        return None;
    }
    let inner = &query[lexemes[first].start..lexemes[last].end];
    let text = format!("CAST(round(to_unixtime({inner}) * 1000000) AS bigint)");
    Some((lexemes[cast].start, lexemes[close].end, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_datafusion_knows_is_written_as_athena_has_it() {
        let schemas = BTreeMap::from([("k9", "My-DB"), ("cloudtrail", "other")]);
        let tables = BTreeSet::from(["k9.principals_latest", "cloudtrail.events"]);
        let written = athena_words(
            "SELECT 'array_has(', CAST(1 AS BIGINT), (CAST(coalesce(a.b, c) AS BIGINT) - 1) -- k9.principals_latest\n\
             FROM k9.principals_latest AS k9 JOIN Cloudtrail.events ON array_has(x, k9.y) AND CAST(NULL AS bigint) = 1",
            &schemas,
            &tables,
        );
        assert_eq!(
            written.unwrap(),
            "SELECT 'array_has(', CAST(1 AS BIGINT), (CAST(round(to_unixtime(coalesce(a.b, c)) * 1000000) AS bigint) - 1) -- k9.principals_latest\n\
             FROM \"my-db\".principals_latest AS k9 JOIN other.events ON contains(x, k9.y) AND CAST(NULL AS bigint) = 1"
        );
    }
}
