//! What is typed, as tokens for the eye: unlike the engine's lexer it never fails, since a line that is
//! being typed is rarely a statement yet. It decides colours and completions, never what is executed.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// White space.
    Blank,
    /// `-- …` or `/* … */`.
    Comment,
    /// A name or a keyword.
    Word,
    /// A name in `"` or `` ` ``.
    Name,
    /// Text in `'`.
    Text,
    /// A number.
    Number,
    /// `$name` or `:name`.
    Param,
    /// `;`
    Semicolon,
    /// Anything else, one character.
    Symbol,
}

/// A token: where it begins and ends, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether a quote or comment has its end.
    pub(crate) is_closed: bool,
}

impl Token {
    /// Its text.
    pub(crate) fn text<'a>(&self, line: &'a str) -> &'a str {
        line.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether it says something: neither blank nor a comment.
    pub(crate) fn is_significant(&self) -> bool {
        !matches!(self.kind, Kind::Blank | Kind::Comment)
    }
}

/// Takes a text apart; the tokens follow each other without a gap.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut start = 0;
    while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        let (kind, length, is_closed) = token(rest, tokens.last().map(|token| token.text(text)));
        let end = start + length;
        tokens.push(Token {
            kind,
            start,
            end,
            is_closed,
        });
        start = end;
    }
    tokens
}

/// Kind and length of the first token, and whether it is closed.
fn token(rest: &str, before: Option<&str>) -> (Kind, usize, bool) {
    let mut characters = rest.chars();
    let first = characters.next().unwrap_or_default();
    let second = characters.next();
    let run = |wanted: fn(char) -> bool| rest.find(|c: char| !wanted(c)).unwrap_or(rest.len());
    match first {
        c if c.is_whitespace() || c == '\u{feff}' => (
            Kind::Blank,
            run(|c| c.is_whitespace() || c == '\u{feff}'),
            true,
        ),
        '-' if second == Some('-') => {
            let end = rest.find('\n');
            (Kind::Comment, end.unwrap_or(rest.len()), end.is_some())
        }
        '/' if second == Some('*') => {
            let end = rest[2..].find("*/").map(|at| at + 4);
            (Kind::Comment, end.unwrap_or(rest.len()), end.is_some())
        }
        '\'' => quoted(rest, '\'', Kind::Text),
        '"' | '`' => quoted(rest, first, Kind::Name),
        ';' => (Kind::Semicolon, 1, true),
        c if is_word_start(c) => (Kind::Word, run(is_word_part), true),
        c if c.is_ascii_digit() => {
            let length = run(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
            (Kind::Number, length, true)
        }
        // `a::int` is a cast, `array[1:2]` a slice.
        '$' | ':' if second.is_some_and(is_word_start) && before != Some(":") => {
            let name = rest[1..].find(|c: char| !is_word_part(c));
            (Kind::Param, name.map_or(rest.len(), |end| end + 1), true)
        }
        c => (Kind::Symbol, c.len_utf8(), true),
    }
}

/// A quoted text; a doubled quote stands for one.
fn quoted(rest: &str, quote: char, kind: Kind) -> (Kind, usize, bool) {
    let mut at = 1;
    while let Some(found) = rest[at..].find(quote) {
        at += found + 1;
        if !rest[at..].starts_with(quote) {
            return (kind, at, true);
        }
        at += 1;
    }
    (kind, rest.len(), false)
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// What a name consists of.
pub(crate) fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        let significant = tokens(text).into_iter().filter(Token::is_significant);
        significant
            .map(|token| (token.kind, &text[token.start..token.end]))
            .collect()
    }

    #[test]
    fn tokens_are_what_the_eye_takes_them_for() {
        assert_eq!(
            kinds("SELECT \"a;b\", 'it''s; so', 1.5e3 -- one;\nFROM x WHERE y = $p AND z=:q;"),
            [
                (Kind::Word, "SELECT"),
                (Kind::Name, "\"a;b\""),
                (Kind::Symbol, ","),
                (Kind::Text, "'it''s; so'"),
                (Kind::Symbol, ","),
                (Kind::Number, "1.5e3"),
                (Kind::Word, "FROM"),
                (Kind::Word, "x"),
                (Kind::Word, "WHERE"),
                (Kind::Word, "y"),
                (Kind::Symbol, "="),
                (Kind::Param, "$p"),
                (Kind::Word, "AND"),
                (Kind::Word, "z"),
                (Kind::Symbol, "="),
                (Kind::Param, ":q"),
                (Kind::Semicolon, ";"),
            ]
        );
        assert_eq!(kinds("a::int")[2], (Kind::Symbol, ":"));
    }

    #[test]
    fn what_is_open_reaches_to_the_end() {
        for text in ["'abc ; d", "\"abc", "/* ; *", "-- ;"] {
            let tokens = tokens(text);
            assert_eq!((tokens.len(), tokens[0].is_closed), (1, false), "{text}");
        }
    }

    #[test]
    fn nothing_is_lost_of_any_text() {
        for text in [
            "",
            "é'東\u{1b}[2J\"",
            "/*/",
            "''''",
            "$",
            ":",
            "::",
            "1a.b_",
            "\u{feff};",
        ] {
            let tokens = tokens(text);
            let joined = tokens
                .iter()
                .map(|token| token.text(text))
                .collect::<String>();
            assert_eq!(joined, text);
        }
    }
}
