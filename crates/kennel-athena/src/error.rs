//! What can be wrong with the text of a query. Facts only; hints are the front door's.

use std::fmt::Display;

use datafusion::sql::sqlparser::{
    parser::ParserError,
    tokenizer::{Location, Span, TokenizerError},
};

/// A query cannot be read, or asks for what is not done.
///
/// Lines and columns count from 1 in the text that was given, columns in characters; both are 0
/// when the place is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Line of what is wrong.
    pub line: u64,
    /// Column of its first character.
    pub column: u64,
    /// Number of characters, at least one.
    pub length: u64,
}

impl ParseError {
    pub(crate) fn at(span: Span, message: impl Display) -> Self {
        let length = if span.start.line == span.end.line {
            span.end.column.saturating_sub(span.start.column).max(1)
        } else {
            1
        };
        Self {
            message: message.to_string(),
            line: span.start.line,
            column: span.start.column,
            length,
        }
    }

    fn at_location(location: Location, message: String) -> Self {
        Self {
            message,
            line: location.line,
            column: location.column,
            length: 1,
        }
    }

    /// Line and column, if they are known.
    pub fn place(&self) -> Option<(u64, u64)> {
        (self.line > 0).then_some((self.line, self.column))
    }
}

impl From<TokenizerError> for ParseError {
    fn from(error: TokenizerError) -> Self {
        Self::at_location(error.location, error.message)
    }
}

impl From<ParserError> for ParseError {
    fn from(error: ParserError) -> Self {
        let text = match error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
            ParserError::RecursionLimitExceeded => "the query is nested too deeply".into(),
        };
        // sqlparser writes the place into its text: `… at Line: 2, Column: 5`.
        let Some((message, place)) = text.rsplit_once(" at Line: ") else {
            return Self::at(Span::empty(), text);
        };
        let number = |text: &str| text.trim().parse::<u64>().unwrap_or(0);
        let (line, column) = place.split_once(", Column: ").unwrap_or((place, ""));
        let location = Location::new(number(line), number(column));
        Self::at_location(location, message.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_leaves_the_text_of_a_parser_error() {
        let error = ParseError::from(ParserError::ParserError(
            "Expected: ), found: x at Line: 2, Column: 15".into(),
        ));
        assert_eq!(error.to_string(), "Expected: ), found: x");
        assert_eq!(error.place(), Some((2, 15)));
        let error = ParseError::from(ParserError::RecursionLimitExceeded);
        assert_eq!(error.place(), None);
    }
}
