//! Cutting a script into statements.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::{
    StatementError,
    lexer::{Lexeme, lex},
};

/// One statement of a script, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The statement without its semicolon and without white space around it; comments stay.
    pub text: String,
    /// Byte offset of the text in the script.
    pub offset: usize,
    /// Line of the script on which the text begins, from 1.
    pub line: u64,
    /// Column at which it begins, from 1, in characters.
    pub column: u64,
}

impl Piece {
    /// Line and column in the script of a line and column in the text.
    pub fn place_in_script(&self, (line, column): (u64, u64)) -> (u64, u64) {
        if line <= 1 {
            (self.line, self.column + column.saturating_sub(1))
        } else {
            (self.line + line - 1, column)
        }
    }
}

/// Cuts a script at the semicolons that end statements: not those in quotes and comments.
///
/// The last statement needs no semicolon. Pieces that hold nothing but white space and comments
/// are left out; nothing else is lost.
///
/// # Errors
/// [`StatementError::Unterminated`] for a quote or comment that does not end,
/// [`StatementError::Token`] for a character that cannot stand where it does.
pub fn split(sql: &str) -> Result<Vec<Piece>, StatementError> {
    let lexemes = lex(sql)?;
    let pieces = lexemes
        .split(|lexeme| lexeme.token == Token::SemiColon)
        .filter_map(|lexemes| piece(sql, lexemes));
    Ok(pieces.collect())
}

fn piece(sql: &str, lexemes: &[Lexeme]) -> Option<Piece> {
    lexemes.iter().find(|lexeme| lexeme.is_significant())?;
    let first = lexemes.iter().find(|lexeme| !lexeme.is_blank())?;
    let last = lexemes.iter().rfind(|lexeme| !lexeme.is_blank())?;
    Some(Piece {
        text: sql[first.start..last.end].trim_end().to_owned(),
        offset: first.start,
        line: first.line,
        column: first.column,
    })
}

/// Whether what was typed so far can be executed: its last statement ends with a semicolon, and
/// nothing but white space and comments follows.
pub fn is_complete(sql: &str) -> bool {
    match lex(sql) {
        Ok(lexemes) => lexemes
            .iter()
            .rfind(|lexeme| lexeme.is_significant())
            .is_some_and(|lexeme| lexeme.token == Token::SemiColon),
        Err(StatementError::Unterminated { .. }) => false,
        // More lines cannot mend it: let the statement be executed, and its error be told.
        Err(_) => sql.trim_end().ends_with(';'),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        split(sql).unwrap().into_iter().map(|p| p.text).collect()
    }

    #[test]
    fn a_script_is_cut_at_semicolons_outside_quotes_and_comments() {
        let script = "SELECT ';' AS \"a;b\", $p; -- one; two\n/* three; four */ SELECT `x;y`\n;\n";
        assert_eq!(
            texts(script),
            [
                "SELECT ';' AS \"a;b\", $p",
                "-- one; two\n/* three; four */ SELECT `x;y`"
            ]
        );
        assert_eq!(texts("SELECT 'it''s; so'; SELECT 2").len(), 2);
        assert_eq!(texts("SELECT '\\'; SELECT 2").len(), 2);
        assert_eq!(texts("SELECT a -> b ->> 'c', d#>e; SELECT 2").len(), 2);
    }

    #[test]
    fn empty_statements_vanish() {
        for sql in ["", " \n", ";", ";;\t;", "-- only this", "/* a; */;;-- b"] {
            assert_eq!(texts(sql), [""; 0], "{sql:?}");
        }
        assert_eq!(texts("SELECT 1 -- end").len(), 1);
        assert_eq!(texts("\u{feff}SELECT 1;\u{a0};"), ["SELECT 1"]);
    }

    #[test]
    fn pieces_know_their_place_in_the_script() {
        let script = "SELECT 1;\n\n  -- é\n  SELECT\n  x; SELECT 3";
        let pieces = split(script).unwrap();
        assert_eq!((pieces[1].line, pieces[1].column), (3, 3));
        assert_eq!(pieces[1].place_in_script((1, 4)), (3, 6));
        assert_eq!(pieces[1].place_in_script((3, 3)), (5, 3));
        assert_eq!(
            (pieces[2].line, pieces[2].column, pieces[2].offset),
            (5, 6, 33)
        );
        assert_eq!(&script[pieces[2].offset..], "SELECT 3");
    }

    #[test]
    fn a_script_with_an_open_quote_is_an_error_at_the_quote() {
        let error = split("SELECT 1;\nSELECT 'a; SELECT 2").unwrap_err();
        assert_eq!(error.place(), Some((2, 8)));
        assert_eq!(error.to_string(), "this quoted text does not end");
    }

    #[test]
    fn input_is_complete_when_a_semicolon_ends_it() {
        for sql in ["SELECT 1;", "SELECT 1; -- done", "SELECT ';';\n\n", ";"] {
            assert!(is_complete(sql), "{sql:?}");
        }
        for sql in [
            "",
            "SELECT 1",
            "SELECT ';",
            "SELECT 1 -- ;",
            "a; /* ;",
            "a; b",
        ] {
            assert!(!is_complete(sql), "{sql:?}");
        }
        assert!(
            is_complete("SELECT (x)._y;"),
            "an error, but not for want of more"
        );
    }

    /// Text in which quotes, comments and semicolons are frequent.
    fn hostile_text() -> impl Strategy<Value = String> {
        let fragments = prop_oneof![
            4 => prop::sample::select(vec![
                "'", "\"", "`", ";", "--", "/*", "*/", "\n", "\r\n", "\\", "$", "$a", "$$", "#", "@",
                "SELECT ", "SHOW ", "CREATE EXTERNAL TABLE ", "._", "1.", "0x", "x'", "u&'", "é", "\u{feff}",
                "<", ">", "||", "?", ":", "\0",
            ]).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(fragments, 0..24).prop_map(|fragments| fragments.concat())
    }

    proptest! {
        #[test]
        fn splitting_any_text_loses_nothing_but_separators(sql in hostile_text()) {
            let _ = is_complete(&sql);
            let Ok(pieces) = split(&sql) else { return Ok(()) };
            let mut end = 0;
            for piece in &pieces {
                prop_assert_eq!(&sql[piece.offset..piece.offset + piece.text.len()], &piece.text);
                prop_assert_eq!(piece.line, 1 + sql[..piece.offset].matches('\n').count() as u64);
                prop_assert_eq!(piece.text.trim(), &piece.text);
                let gap = sql[end..piece.offset].trim_start_matches('\u{feff}');
                prop_assert!(split(gap).unwrap().is_empty(), "{gap:?}");
                end = piece.offset + piece.text.len();
            }
            let rest = split(sql[end..].trim_start_matches('\u{feff}')).unwrap();
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn joined_statements_come_apart_again(
            statements in prop::collection::vec("(SELECT|SHOW TABLES|MSCK) ('[a-z;]{0,4}'|`[a-z;']{0,4}`|[a-z]{1,3})", 0..5),
        ) {
            prop_assert_eq!(texts(&statements.join(" ;\n")), statements);
        }
    }
}
