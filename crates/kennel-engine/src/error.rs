//! What can go wrong with a question. Facts only; hints are the front door's.

mod calls;
mod told;

use datafusion::error::DataFusionError;
use kennel_athena::{ParseError, statement::StatementError};
use kennel_cache::CacheError;

/// A place in the SQL text: lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlPlace {
    /// Line.
    pub line: u64,
    /// Column of the first character.
    pub column: u64,
    /// Number of characters, at least one.
    pub length: u64,
}

impl SqlPlace {
    /// From a line and column up to another one. What goes over several lines is pointed at by its beginning.
    pub(crate) fn of((line, column): (u64, u64), end: (u64, u64)) -> Self {
        let length = match line == end.0 {
            true => end.1.saturating_sub(column).max(1),
            false => 1,
        };
        Self {
            line,
            column,
            length,
        }
    }
}

/// An error of the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The SQL is wrong: a syntax error, an unknown name, types that do not fit.
    #[error("{message}")]
    Sql {
        /// What is wrong.
        message: String,
        /// The statement.
        sql: String,
        /// Where, if it is known.
        place: Option<SqlPlace>,
        /// The nearest name that exists.
        suggestion: Option<String>,
        /// What would have been right: the forms of a function.
        expected: Box<[String]>,
    },
    /// The SQL is right, its execution failed.
    #[error("the query failed: {message}")]
    Execution {
        /// What happened.
        message: String,
    },
    /// The statement is understood, and kennel does not do it.
    #[error("{what} is not supported")]
    Unsupported {
        /// The kind of statement.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// A parameter is unknown, missing, or not of its type.
    #[error("{message}")]
    Param {
        /// What is wrong.
        message: String,
        /// The nearest parameter that exists.
        suggestion: Option<String>,
    },
    /// A table of the user's cannot be made.
    #[error("{message}")]
    Table {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A text is no time and no snapshot.
    #[error("`{text}` is no time and no snapshot")]
    AsOf {
        /// The text.
        text: String,
    },
    /// There is nothing before the newest state.
    #[error("there is no earlier snapshot")]
    NoEarlierSnapshot,
    /// The result of a question does not have a column that it should be compared by.
    #[error("the result has no column `{column}`, {role}; it has {}", columns.join(", "))]
    DiffColumn {
        /// The column.
        column: String,
        /// What it should be: "the key names it".
        role: &'static str,
        /// The columns that there are.
        columns: Vec<String>,
    },
    /// Nothing says which rows of two results are the same.
    #[error("nothing says which columns identify a row")]
    NoKey,
    /// The cache could not be read or written.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The library of queries.
    #[error(transparent)]
    Library(#[from] LibraryError),
}

/// An error of the library of canned queries.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// No query has this id.
    #[error("no query `{id}`")]
    Unknown {
        /// The id asked for.
        id: String,
        /// The nearest ids, best first, at most three.
        nearest: Vec<String>,
    },
    /// A short name stands for several queries.
    #[error("`{id}` could be {}", candidates.join(" or "))]
    Ambiguous {
        /// The name asked for.
        id: String,
        /// The ids it could mean.
        candidates: Vec<String>,
    },
    /// A query file is wrong.
    #[error("query `{id}`, line {line}: {message}")]
    Malformed {
        /// The query.
        id: String,
        /// Line in the file.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A folder of queries or a file in it could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The folder or file.
        path: std::path::PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl EngineError {
    /// Tells the place of an error in a statement as a place in the text that the statement is a part of; it begins
    /// there at this line and column.
    pub(crate) fn within(self, statement: &str, text: &str, (line, column): (u64, u64)) -> Self {
        match self {
            Self::Sql {
                message,
                sql,
                place: Some(place),
                suggestion,
                expected,
            } if sql == statement => Self::Sql {
                message,
                sql: text.into(),
                place: Some(SqlPlace {
                    line: place.line + line - 1,
                    column: match place.line {
                        1 => place.column + column - 1,
                        _ => place.column,
                    },
                    length: place.length,
                }),
                suggestion,
                expected,
            },
            other => other,
        }
    }

    /// Takes apart what DataFusion says of a statement. `names` are those a suggestion may come from.
    pub(crate) fn from_datafusion(error: DataFusionError, sql: &str, names: &[String]) -> Self {
        let error = match take_cache_error(error) {
            Ok(error) => return Self::Cache(error),
            Err(error) => error,
        };
        let root = error.find_root();
        if matches!(
            root,
            DataFusionError::Execution(_)
                | DataFusionError::ArrowError(..)
                | DataFusionError::ParquetError(_)
                | DataFusionError::ObjectStore(_)
                | DataFusionError::IoError(_)
                | DataFusionError::ResourcesExhausted(_)
                | DataFusionError::External(_)
        ) {
            return Self::Execution {
                message: told::plain(&root.to_string()),
            };
        }
        told::sql_error(&error, sql, names)
    }
}

impl From<(StatementError, &str)> for EngineError {
    fn from((error, sql): (StatementError, &str)) -> Self {
        let place = error.place().map(|(line, column)| SqlPlace {
            line,
            column,
            length: 1,
        });
        Self::Sql {
            message: error.to_string(),
            sql: sql.into(),
            place,
            suggestion: None,
            expected: Box::default(),
        }
    }
}

impl From<(ParseError, &str)> for EngineError {
    fn from((error, sql): (ParseError, &str)) -> Self {
        let place = error.place().map(|(line, column)| SqlPlace {
            line,
            column,
            length: error.length,
        });
        let place = place.map(|place| told::realigned(place, &error.message, sql));
        Self::Sql {
            message: told::syntax(&error.message),
            sql: sql.into(),
            place,
            suggestion: None,
            expected: Box::default(),
        }
    }
}

fn take_cache_error(error: DataFusionError) -> Result<CacheError, DataFusionError> {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<CacheError>() {
            Ok(error) => Ok(*error),
            Err(inner) => Err(DataFusionError::External(inner)),
        },
        DataFusionError::Context(text, inner) => take_cache_error(*inner)
            .map_err(|inner| DataFusionError::Context(text, Box::new(inner))),
        other => Err(other),
    }
}

/// The nearest of `names` to `name`, compared without qualifiers and letter case.
pub(crate) fn nearest(name: &str, names: &[String]) -> Option<String> {
    let last = |text: &str| {
        text.rsplit('.')
            .next()
            .unwrap_or(text)
            .trim_matches(['"', '`'])
            .to_lowercase()
    };
    let wanted = last(name);
    names
        .iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&wanted, &last(candidate)),
                candidate,
            )
        })
        .filter(|(distance, candidate)| {
            let longest = wanted.chars().count().max(last(candidate).chars().count());
            *distance * 3 <= longest && **candidate != name
        })
        .min_by_key(|(distance, candidate)| (*distance, candidate.len()))
        .map(|(_, candidate)| candidate.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near_or_there_is_none() {
        let names = ["principal_name", "principal_arn", "k9.principals_latest"].map(str::to_owned);
        assert_eq!(
            nearest("pas.principal_nam", &names).as_deref(),
            Some("principal_name")
        );
        assert_eq!(
            nearest("principals_lates", &names).as_deref(),
            Some("k9.principals_latest")
        );
        assert_eq!(nearest("whatever", &names), None);
    }
}
