//! Tokens with their places, by the lexical rules that Athena applies to each statement.
//!
//! sqlparser's tokenizer does the work. It asks its dialect again at every quote, so the dialect
//! here changes its answers as soon as the first words of a statement show whose grammar it has.

use std::{cell::Cell, iter::Peekable, str::Chars};

use datafusion::sql::sqlparser::{
    dialect::Dialect,
    tokenizer::{Location, Token, Tokenizer, Whitespace},
};

use super::StatementError;

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lexeme {
    /// The token; quoted text and names without their quotes and escapes.
    pub(super) token: Token,
    /// Byte offset of its first character.
    pub(super) start: usize,
    /// Byte offset after its last character.
    pub(super) end: usize,
    /// Line of its first character, from 1.
    pub(super) line: u64,
    /// Column of its first character, from 1, in characters.
    pub(super) column: u64,
}

impl Lexeme {
    /// Whether it is blank: white space, or the mark that some editors put before a file.
    pub(super) fn is_blank(&self) -> bool {
        match &self.token {
            Token::Whitespace(space) => matches!(
                space,
                Whitespace::Space | Whitespace::Tab | Whitespace::Newline
            ),
            Token::Char('\u{feff}') => self.start == 0,
            _ => false,
        }
    }

    /// Whether it means something: neither blank nor a comment.
    pub(super) fn is_significant(&self) -> bool {
        !self.is_blank() && !matches!(self.token, Token::Whitespace(_))
    }
}

/// Takes text apart; white space and comments are tokens too, so that nothing is lost.
///
/// # Errors
/// [`StatementError::Unterminated`] points at the quote or comment that is open at the end of the
/// text, [`StatementError::Token`] at a character that cannot stand where it does.
pub(super) fn lex(text: &str) -> Result<Vec<Lexeme>, StatementError> {
    let rules = Rules::default();
    let mut head = Head::Start;
    let mut tokens = Vec::new();
    let outcome = Tokenizer::new(&rules, text)
        .with_unescape(false)
        .tokenize_with_location_into_buf_with_mapper(&mut tokens, |mut located| {
            located.token = unescaped(located.token, rules.hive.get());
            head = head.after(&located.token);
            rules.hive.set(head == Head::Hive);
            located
        });
    let mut walk = Walk::new(text);
    let lexemes = tokens
        .into_iter()
        .map(|located| {
            let start = walk.to(located.span.start);
            let (line, column) = (walk.line, walk.column);
            let end = walk.to(located.span.end);
            Lexeme {
                token: located.token,
                start,
                end,
                line,
                column,
            }
        })
        .collect();
    // Tokens follow one another without a gap: the one that failed begins where the last one ends.
    match outcome {
        Ok(()) => Ok(lexemes),
        Err(error) => Err(walk.failure(&error.message)),
    }
}

/// The lexical rules of the statement that is being read.
#[derive(Debug, Default)]
struct Rules {
    hive: Cell<bool>,
}

impl Dialect for Rules {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`' || (ch == '"' && !self.hive.get())
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        self.hive.get()
    }

    /// `$name` is a parameter; Athena has no dollar quotes.
    fn supports_dollar_placeholder(&self) -> bool {
        true
    }

    /// Hive's names may begin with a digit: `struct<2xx:int>`.
    fn supports_numeric_prefix(&self) -> bool {
        self.hive.get()
    }
}

/// How much of a statement's beginning was seen, and what it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    Start,
    Create,
    Hive,
    Trino,
}

impl Head {
    fn after(self, token: &Token) -> Self {
        match token {
            Token::Whitespace(_) => self,
            Token::SemiColon => Self::Start,
            Token::Word(word) if word.quote_style.is_none() => match self {
                Self::Start => match word.value.to_ascii_uppercase().as_str() {
                    "CREATE" => Self::Create,
                    "ALTER" | "DESC" | "DESCRIBE" | "DROP" | "MSCK" | "SHOW" => Self::Hive,
                    _ => Self::Trino,
                },
                Self::Create => match word.value.to_ascii_uppercase().as_str() {
                    "EXTERNAL" | "DATABASE" | "SCHEMA" => Self::Hive,
                    _ => Self::Trino,
                },
                Self::Hive | Self::Trino => self,
            },
            Token::Char('\u{feff}') if self == Self::Start => self,
            _ if self == Self::Hive => self,
            _ => Self::Trino,
        }
    }
}

fn unescaped(token: Token, hive: bool) -> Token {
    match token {
        Token::SingleQuotedString(raw) if hive => Token::SingleQuotedString(hive_text(&raw, '\'')),
        Token::SingleQuotedString(raw) => Token::SingleQuotedString(raw.replace("''", "'")),
        Token::DoubleQuotedString(raw) => Token::DoubleQuotedString(hive_text(&raw, '"')),
        Token::Word(mut word) => {
            if let Some(quote) = word.quote_style {
                let quote = quote.to_string();
                word.value = word.value.replace(&quote.repeat(2), &quote);
            }
            Token::Word(word)
        }
        other => other,
    }
}

/// Hive's escapes in quoted text. A doubled quote is one quote, as most people mean it.
fn hive_text(raw: &str, quote: char) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(ch) = chars.next() {
        match ch {
            '\\' => hive_escape(&mut chars, &mut text),
            ch if ch == quote => {
                chars.next_if_eq(&quote);
                text.push(quote);
            }
            ch => text.push(ch),
        }
    }
    text
}

/// What follows a backslash. `\%` and `\_` stay as they are, for LIKE.
fn hive_escape(chars: &mut Peekable<Chars<'_>>, text: &mut String) {
    if matches!(chars.peek(), Some('0' | '1'))
        && let Some(ch) = coded(chars, 8, 3)
    {
        text.push(ch);
        return;
    }
    match chars.next() {
        Some('0') => text.push('\0'),
        Some('b') => text.push('\u{8}'),
        Some('n') => text.push('\n'),
        Some('r') => text.push('\r'),
        Some('t') => text.push('\t'),
        Some('Z') => text.push('\u{1a}'),
        Some('u') => match coded(chars, 16, 4) {
            Some(ch) => text.push(ch),
            None => text.push_str("\\u"),
        },
        Some(ch @ ('%' | '_')) => text.extend(['\\', ch]),
        Some(ch) => text.push(ch),
        None => text.push('\\'),
    }
}

/// The character whose number comes next, in so many digits; takes nothing when there is none.
fn coded(chars: &mut Peekable<Chars<'_>>, radix: u32, count: usize) -> Option<char> {
    let mut after = chars.clone();
    let digits = after
        .by_ref()
        .take(count)
        .map(|ch| ch.to_digit(radix))
        .collect::<Option<Vec<_>>>()
        .filter(|digits| digits.len() == count)?;
    let ch = char::from_u32(digits.iter().fold(0, |code, digit| code * radix + digit))?;
    *chars = after;
    Some(ch)
}

/// Finds the byte offsets of the tokenizer's lines and columns, in one pass over the text.
struct Walk<'a> {
    text: &'a str,
    offset: usize,
    line: u64,
    column: u64,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            offset: 0,
            line: 1,
            column: 1,
        }
    }

    /// Goes forward to a place.
    fn to(&mut self, place: Location) -> usize {
        for ch in self.text[self.offset..].chars() {
            if (self.line, self.column) >= (place.line, place.column) {
                break;
            }
            self.offset += ch.len_utf8();
            if ch == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.offset
    }

    /// What is wrong with the token that begins here.
    fn failure(&self, message: &str) -> StatementError {
        let (line, column) = (self.line, self.column);
        let rest = &self.text[self.offset..];
        let opening = rest.trim_start_matches(|ch: char| ch.is_ascii_alphabetic());
        let what = match opening.chars().next() {
            Some('/') => Some("comment"),
            Some('\'') => Some("quoted text"),
            Some('"' | '`') => Some("quoted name"),
            _ => None,
        };
        match what {
            Some(what) => StatementError::Unterminated { what, line, column },
            None => StatementError::Token {
                message: message.to_lowercase(),
                line,
                column,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn significant(text: &str) -> Vec<Token> {
        let lexemes = lex(text).unwrap();
        lexemes
            .into_iter()
            .filter(Lexeme::is_significant)
            .map(|l| l.token)
            .collect()
    }

    fn text(text: &str) -> Token {
        Token::SingleQuotedString(text.into())
    }

    #[test]
    fn offsets_and_places_are_those_of_the_text() {
        let sql = "SELECT 'é;\n',\r\n\t\"ü\" -- ok\n/* a */;";
        let lexemes = lex(sql).unwrap();
        let mut end = 0;
        for lexeme in &lexemes {
            assert_eq!(lexeme.start, end, "no gap before {lexeme:?}");
            end = lexeme.end;
        }
        assert_eq!(end, sql.len());
        let last = lexemes.last().unwrap();
        assert_eq!(
            (&sql[last.start..last.end], last.line, last.column),
            (";", 4, 8)
        );
    }

    #[test]
    fn a_backslash_is_a_character_in_queries_and_an_escape_in_hive_ddl() {
        assert_eq!(significant(r"SELECT '\'")[1], text(r"\"));
        assert_eq!(significant(r"SHOW TABLES 'a\'b'")[2], text("a'b"));
        assert_eq!(
            significant(r"SELECT '\'; SHOW TABLES '\\'; SELECT '\'").len(),
            9
        );
    }

    #[test]
    fn a_double_quote_is_a_name_in_queries_and_text_in_hive_ddl() {
        assert!(
            matches!(&significant("SELECT \"a\"\"b\"")[1], Token::Word(w) if w.value == "a\"b")
        );
        let ddl = significant(r#"CREATE EXTERNAL TABLE t TBLPROPERTIES ("a"="\"b'")"#);
        assert_eq!(ddl[6], Token::DoubleQuotedString("a".into()));
        assert_eq!(ddl[8], Token::DoubleQuotedString("\"b'".into()));
    }

    #[test]
    fn hive_escapes_are_read() {
        let cases = [
            (r"\t\n\r\b\Z", "\t\n\r\u{8}\u{1a}"),
            (r"\001\0", "\u{1}\0"),
            (r"\u0041\u00e9\uD83D\u12", "Aé\\uD83D\\u12"),
            (r"\\\'\.\%\_", r"\'.\%\_"),
            ("it''s \"\"", "it's \"\""),
        ];
        for (raw, expected) in cases {
            assert_eq!(hive_text(raw, '\''), expected, "{raw}");
        }
    }

    #[test]
    fn what_does_not_end_is_named_with_the_place_where_it_opens() {
        let cases = [
            ("SELECT 1;\n /* a ' b", "comment", 2, 2),
            ("SELECT 'a", "quoted text", 1, 8),
            ("SELECT x'a", "quoted text", 1, 8),
            ("SELECT \"a", "quoted name", 1, 8),
            ("MSCK REPAIR TABLE `a", "quoted name", 1, 19),
        ];
        for (sql, what, line, column) in cases {
            let expected = StatementError::Unterminated { what, line, column };
            assert_eq!(lex(sql).unwrap_err(), expected, "{sql}");
        }
    }

    #[test]
    fn parameters_are_not_dollar_quotes() {
        let tokens = significant("SELECT $a, '$', $a$b, $$ ;");
        assert_eq!(tokens.last(), Some(&Token::SemiColon));
        assert_eq!(tokens[1], Token::Placeholder("$a".into()));
    }
}
