//! What can be wrong with a statement's text. Facts only; hints are the front door's.

/// A statement cannot be read. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// A quote or a comment is opened and never closed.
    #[error("this {what} does not end")]
    Unterminated {
        /// "comment", "quoted text" or "quoted name".
        what: &'static str,
        /// Line where it opens.
        line: u64,
        /// Column where it opens.
        column: u64,
    },
    /// A character that stands where no token can have it.
    #[error("{message}")]
    Token {
        /// What the tokenizer says.
        message: String,
        /// Line of the token.
        line: u64,
        /// Column of the token.
        column: u64,
    },
    /// Something else stands where the grammar wants `expected`.
    #[error("expected {expected}, found {found}")]
    Syntax {
        /// What could stand here.
        expected: String,
        /// What stands here: the token in backticks, or "the end of the statement".
        found: String,
        /// Line of what was found.
        line: u64,
        /// Column of what was found.
        column: u64,
    },
    /// A column, a struct field or a clause that may stand once stands twice.
    #[error("{what} `{name}` is given twice")]
    Repeated {
        /// "column", "struct field" or "clause".
        what: &'static str,
        /// Which one.
        name: String,
        /// Line of the second one.
        line: u64,
        /// Column of the second one.
        column: u64,
    },
    /// A prepared statement got more or fewer values than it has places.
    #[error("this statement has {expected} parameters, {found} given")]
    Arguments {
        /// How many places it has.
        expected: usize,
        /// How many values were given.
        found: usize,
        /// Line of its last place.
        line: u64,
        /// Column of its last place.
        column: u64,
    },
    /// A parameter has no value.
    #[error("parameter `{name}` has no value")]
    NoValue {
        /// Its name, without `$`.
        name: String,
        /// Line where it stands.
        line: u64,
        /// Column where it stands.
        column: u64,
    },
    /// Types are nested deeper than any table needs.
    #[error("types are nested deeper than {limit} levels")]
    TooDeep {
        /// The deepest nesting that is read.
        limit: usize,
        /// Line of the type that is too deep.
        line: u64,
        /// Column of the type that is too deep.
        column: u64,
    },
}

impl StatementError {
    /// Line and column of what is wrong.
    ///
    /// Errors of [`split`](super::split) count in the script, errors of
    /// [`Statement::parse`](super::Statement::parse) in the text of the piece;
    /// [`Piece::place_in_script`](super::Piece::place_in_script) turns these into those.
    /// `None` is for errors that have no place; today each has one.
    pub fn place(&self) -> Option<(u64, u64)> {
        match self {
            Self::Unterminated { line, column, .. }
            | Self::Token { line, column, .. }
            | Self::Syntax { line, column, .. }
            | Self::Repeated { line, column, .. }
            | Self::Arguments { line, column, .. }
            | Self::NoValue { line, column, .. }
            | Self::TooDeep { line, column, .. } => Some((*line, *column)),
        }
    }
}
