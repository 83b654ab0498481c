//! Reading the tokens of one statement, one after another.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::{
    Embedded, StatementError, TableName,
    lexer::{Lexeme, lex},
};

/// Longest part of the text that an error repeats, in characters.
const MAX_FOUND: usize = 40;

/// The tokens of a statement without white space and comments, and how far they were read.
pub(super) struct Cursor<'a> {
    text: &'a str,
    lexemes: Vec<Lexeme>,
    position: usize,
}

impl<'a> Cursor<'a> {
    /// Takes the text of one statement apart.
    pub(super) fn new(text: &'a str) -> Result<Self, StatementError> {
        let mut lexemes = Vec::new();
        for lexeme in lex(text)?.into_iter().filter(Lexeme::is_significant) {
            match lexeme.token {
                // No shifting in DDL: two closing brackets of nested types.
                Token::ShiftRight => {
                    let (middle, column) = (lexeme.start + 1, lexeme.column + 1);
                    lexemes.push(Lexeme {
                        token: Token::Gt,
                        end: middle,
                        ..lexeme
                    });
                    lexemes.push(Lexeme {
                        token: Token::Gt,
                        start: middle,
                        column,
                        ..lexeme
                    });
                }
                _ => lexemes.push(lexeme),
            }
        }
        Ok(Self {
            text,
            lexemes,
            position: 0,
        })
    }

    /// The token that was not read yet, or one after it.
    pub(super) fn peek(&self, ahead: usize) -> Option<&Token> {
        self.lexemes
            .get(self.position + ahead)
            .map(|lexeme| &lexeme.token)
    }

    /// The next token, or one after it, if it is a word without quotes; in capitals.
    pub(super) fn peek_word(&self, ahead: usize) -> Option<String> {
        match self.peek(ahead)? {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
            _ => None,
        }
    }

    /// Whether these words, in capitals here and in any case there, come next.
    pub(super) fn at(&self, words: &[&str]) -> bool {
        (0..)
            .zip(words)
            .all(|(ahead, word)| self.peek_word(ahead).as_deref() == Some(*word))
    }

    /// Reads these words if all of them come next.
    pub(super) fn accept(&mut self, words: &[&str]) -> bool {
        let found = self.at(words);
        if found {
            self.position += words.len();
        }
        found
    }

    /// Reads one of these words, if one of them comes next.
    pub(super) fn accept_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.accept(&[word]))
    }

    /// Reads these words.
    pub(super) fn expect(&mut self, words: &[&str]) -> Result<(), StatementError> {
        words
            .iter()
            .try_for_each(|word| match self.accept(&[word]) {
                true => Ok(()),
                false => Err(self.unexpected(word)),
            })
    }

    /// Reads a sign if it comes next.
    pub(super) fn accept_sign(&mut self, sign: &Token) -> bool {
        let found = self.peek(0) == Some(sign);
        if found {
            self.position += 1;
        }
        found
    }

    /// Reads a sign.
    pub(super) fn expect_sign(&mut self, sign: &Token) -> Result<(), StatementError> {
        match self.accept_sign(sign) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("`{sign}`"))),
        }
    }

    /// Reads `(item, item, …)`, at least one item.
    pub(super) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, StatementError>,
    ) -> Result<Vec<T>, StatementError> {
        self.expect_sign(&Token::LParen)?;
        let mut items = vec![item(self)?];
        while self.accept_sign(&Token::Comma) {
            items.push(item(self)?);
        }
        match self.accept_sign(&Token::RParen) {
            true => Ok(items),
            false => Err(self.unexpected("`,` or `)`")),
        }
    }

    /// Reads quoted text, if it comes next.
    pub(super) fn accept_text(&mut self) -> Option<String> {
        match self.peek(0)? {
            Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => {
                let text = text.clone();
                self.position += 1;
                Some(text)
            }
            _ => None,
        }
    }

    /// Reads the next token, whatever it is.
    pub(super) fn skip(&mut self) {
        self.position += 1;
    }

    /// Reads quoted text.
    pub(super) fn text(&mut self, expected: &str) -> Result<String, StatementError> {
        self.accept_text().ok_or_else(|| self.unexpected(expected))
    }

    /// Reads a whole number from `least` to `most`.
    pub(super) fn number(&mut self, least: u32, most: u32) -> Result<u32, StatementError> {
        let number = match self.peek(0) {
            Some(Token::Number(digits, _)) => digits.parse::<u32>().ok(),
            _ => None,
        };
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => {
                self.position += 1;
                Ok(number)
            }
            None => Err(self.unexpected(&format!("a number from {least} to {most}"))),
        }
    }

    /// Reads one name: bare (keywords too), or in backticks or double quotes. Folded to lower case.
    pub(super) fn name(&mut self, expected: &str) -> Result<String, StatementError> {
        let name = match self.peek(0) {
            Some(Token::Word(word)) => word.value.to_lowercase(),
            Some(Token::DoubleQuotedString(name)) => name.to_lowercase(),
            _ => String::new(),
        };
        if name.is_empty() {
            return Err(self.unexpected(expected));
        }
        self.position += 1;
        Ok(name)
    }

    /// Reads a name of one to three parts. In backticks the parts may stand together, as in Hive: `` `schema.table` ``.
    pub(super) fn table_name(&mut self) -> Result<TableName, StatementError> {
        let is_one = matches!(self.peek(0), Some(Token::Word(word)) if word.quote_style == Some('`'))
            && self.peek(1) != Some(&Token::Period);
        let name = self.name("the name of a table")?;
        let together = name.split('.').map(str::to_owned).collect::<Vec<_>>();
        if is_one && together.len() <= 3 && together.iter().all(|part| !part.is_empty()) {
            return Ok(TableName::from_parts(together).expect("at most three parts"));
        }
        let mut parts = vec![name];
        while parts.len() < 3 && self.accept_sign(&Token::Period) {
            parts.push(self.name("a name after the dot")?);
        }
        Ok(TableName::from_parts(parts).expect("the loop above ends with at most three parts"))
    }

    /// Reads the name of a schema, with its catalog or without.
    pub(super) fn schema_name(&mut self) -> Result<String, StatementError> {
        let mut name = self.name("the name of a schema")?;
        if self.accept_sign(&Token::Period) {
            name = self.name("a name after the dot")?;
        }
        Ok(name)
    }

    /// Makes sure that nothing follows.
    pub(super) fn expect_end(&self) -> Result<(), StatementError> {
        match self.peek(0) {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the statement")),
        }
    }

    /// The text that was not read yet.
    pub(super) fn rest(&self) -> &'a str {
        self.lexemes
            .get(self.position)
            .map_or("", |lexeme| self.text[lexeme.start..].trim_end())
    }

    /// Reads to the end.
    pub(super) fn rest_embedded(&mut self) -> Embedded {
        let text = self.rest().to_owned();
        let offset = self.offset();
        self.position = self.lexemes.len();
        Embedded { text, offset }
    }

    /// Reads what is left as expressions with commas between them.
    pub(super) fn rest_in_parts(&mut self, expected: &str) -> Result<Vec<String>, StatementError> {
        let mut parts = Vec::new();
        loop {
            let start = self.position;
            let mut depth = 0_usize;
            loop {
                match self.peek(0) {
                    None => break,
                    Some(Token::Comma) if depth == 0 => break,
                    Some(Token::LParen | Token::LBracket | Token::LBrace) => depth += 1,
                    Some(Token::RParen | Token::RBracket | Token::RBrace) if depth == 0 => {
                        return Err(self.unexpected("`,` or the end of the statement"));
                    }
                    Some(Token::RParen | Token::RBracket | Token::RBrace) => depth -= 1,
                    Some(_) => {}
                }
                self.position += 1;
            }
            let (Some(first), Some(last)) = (
                self.lexemes.get(start),
                self.lexemes[start..self.position].last(),
            ) else {
                return Err(self.unexpected(expected));
            };
            parts.push(self.text[first.start..last.end].to_owned());
            if !self.accept_sign(&Token::Comma) {
                return Ok(parts);
            }
        }
    }

    /// Reads `(…)` whole and returns what stands between the brackets.
    pub(super) fn in_brackets(&mut self, expected: &str) -> Result<Embedded, StatementError> {
        self.expect_sign(&Token::LParen)?;
        let start = self.position;
        let mut depth = 0_usize;
        loop {
            match self.peek(0) {
                None => return Err(self.unexpected("`)`")),
                Some(Token::RParen) if depth == 0 => break,
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth -= 1,
                Some(_) => {}
            }
            self.position += 1;
        }
        let inner = match (
            self.lexemes.get(start),
            self.lexemes[start..self.position].last(),
        ) {
            (Some(first), Some(last)) => Embedded {
                text: self.text[first.start..last.end].to_owned(),
                offset: first.start,
            },
            _ => return Err(self.unexpected(expected)),
        };
        self.position += 1;
        Ok(inner)
    }

    /// Where the next token begins, in bytes.
    pub(super) fn offset(&self) -> usize {
        self.lexemes
            .get(self.position)
            .map_or(self.text.len(), |lexeme| lexeme.start)
    }

    /// Line and column of the next token, or of the end.
    pub(super) fn place(&self) -> (u64, u64) {
        match (self.lexemes.get(self.position), self.lexemes.last()) {
            (Some(next), _) => (next.line, next.column),
            (None, Some(last)) => {
                let text = &self.text[last.start..last.end];
                match text.rsplit_once('\n') {
                    Some((before, line)) => (
                        last.line + 1 + before.matches('\n').count() as u64,
                        1 + line.chars().count() as u64,
                    ),
                    None => (last.line, last.column + text.chars().count() as u64),
                }
            }
            (None, None) => (1, 1),
        }
    }

    /// The error of finding something else than `expected` here.
    pub(super) fn unexpected(&self, expected: &str) -> StatementError {
        let found = match self.lexemes.get(self.position) {
            Some(lexeme) => format!("`{}`", shortened(&self.text[lexeme.start..lexeme.end])),
            None => "the end of the statement".into(),
        };
        let (line, column) = self.place();
        StatementError::Syntax {
            expected: expected.into(),
            found,
            line,
            column,
        }
    }

    /// The error of something that stands a second time, at this place.
    pub(super) fn repeated(
        what: &'static str,
        name: &str,
        (line, column): (u64, u64),
    ) -> StatementError {
        StatementError::Repeated {
            what,
            name: shortened(name),
            line,
            column,
        }
    }
}

/// Text for one line of an error: not too long, and without control characters.
fn shortened(text: &str) -> String {
    let mut short = text
        .chars()
        .take(MAX_FOUND)
        .map(|ch| if ch.is_control() { ' ' } else { ch })
        .collect::<String>();
    if text.chars().nth(MAX_FOUND).is_some() {
        short.push('…');
    }
    short
}
