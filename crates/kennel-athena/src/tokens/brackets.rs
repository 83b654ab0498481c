//! Types in angle brackets, as in `ARRAY<ROW(a BIGINT)>` and `MAP<VARCHAR, ARRAY<BIGINT>>`: written with
//! round ones, which are read in one place.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Words that begin a type; what stands in angle brackets begins with one, or is a comparison.
const TYPES: [&str; 26] = [
    "array",
    "bigint",
    "boolean",
    "char",
    "date",
    "decimal",
    "double",
    "float",
    "int",
    "integer",
    "interval",
    "ipaddress",
    "ipprefix",
    "json",
    "map",
    "real",
    "row",
    "smallint",
    "string",
    "struct",
    "time",
    "timestamp",
    "tinyint",
    "uuid",
    "varbinary",
    "varchar",
];

/// Turns the brackets round.
pub(super) fn round(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut place = 0;
    while place < tokens.len() {
        if opens(&tokens[place..]) {
            close(&mut tokens, place + 1);
        }
        place += 1;
    }
    tokens
}

/// `ARRAY<type` or `MAP<type`.
fn opens(tokens: &[TokenWithSpan]) -> bool {
    let [name, bracket, first, ..] = tokens else {
        return false;
    };
    bracket.token == Token::Lt
        && is_word(&name.token, &["array", "map"])
        && is_word(&first.token, &TYPES)
}

fn is_word(token: &Token, known: &[&str]) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none()
        && known.iter().any(|known| word.value.eq_ignore_ascii_case(known)))
}

/// Finds the bracket that belongs to the one at `open`; what is no type on the way ends the search.
fn close(tokens: &mut Vec<TokenWithSpan>, open: usize) {
    // Angle brackets inside the one that is open, and round ones.
    let (mut angles, mut rounds) = (0_usize, 0_usize);
    let mut place = open + 1;
    while let Some(token) = tokens.get(place) {
        match token.token {
            Token::LParen => rounds += 1,
            Token::RParen if rounds > 0 => rounds -= 1,
            Token::Lt => angles += 1,
            Token::Gt if angles > 0 => angles -= 1,
            Token::Gt => {
                tokens[open].token = Token::LParen;
                tokens[place].token = Token::RParen;
                return;
            }
            // Two at once.
            Token::ShiftRight => {
                let half = TokenWithSpan {
                    token: Token::Gt,
                    span: token.span,
                };
                tokens.splice(place..=place, [half.clone(), half]);
                continue;
            }
            Token::Word(_) | Token::Number(..) | Token::Comma => {}
            _ => return,
        }
        place += 1;
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::GenericDialect, tokenizer::Tokenizer};

    use super::*;

    #[test]
    fn brackets_of_types_are_turned_and_those_of_comparisons_are_not() {
        let cases = [
            ("CAST(a AS ARRAY<BIGINT>)", "CAST(aASARRAY(BIGINT))"),
            (
                "map<varchar, array<row(a int, b map<int,int>)>>",
                "map(varchar,array(row(aint,bmap(int,int))))",
            ),
            ("map < 3 AND b > 4", "map<3ANDb>4"),
            ("array < date AND b = 4 OR c > d", "array<dateANDb=4ORc>d"),
            ("ARRAY<BIGINT", "ARRAY<BIGINT"),
        ];
        for (written, expected) in cases {
            let dialect = GenericDialect {};
            let tokens = Tokenizer::new(&dialect, written).tokenize_with_location();
            let tokens = tokens.unwrap().into_iter();
            let tokens = tokens.filter(|token| !matches!(token.token, Token::Whitespace(_)));
            let turned: String = round(tokens.collect())
                .iter()
                .map(|token| token.token.to_string())
                .collect();
            assert_eq!(turned.trim_end_matches("EOF"), expected);
        }
    }
}
