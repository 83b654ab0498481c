//! What can go wrong with a question. Facts only; hints are the front door's.

use datafusion::{common::Diagnostic, error::DataFusionError};
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
                message: plain(&root.to_string()),
            };
        }
        let diagnostic = find_diagnostic(&error);
        let message = diagnostic.as_ref().map_or_else(
            || plain(&root.to_string()),
            |d| crate::time_travel::without_marks(&d.message),
        );
        let place = diagnostic
            .as_ref()
            .and_then(|d| d.span)
            .map(|span| SqlPlace {
                line: span.start.line,
                column: span.start.column,
                length: if span.start.line == span.end.line {
                    span.end.column.saturating_sub(span.start.column).max(1)
                } else {
                    1
                },
            })
            .or_else(|| place_in_text(&root.to_string()));
        let suggestion = unknown_name(&message, place, sql).and_then(|name| nearest(&name, names));
        Self::Sql {
            message,
            sql: sql.into(),
            place,
            suggestion,
        }
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
        Self::Sql {
            message: error.to_string(),
            sql: sql.into(),
            place,
            suggestion: None,
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

fn find_diagnostic(error: &DataFusionError) -> Option<Diagnostic> {
    error.diagnostic().cloned()
}

/// Takes DataFusion's own prefixes off a message.
fn plain(message: &str) -> String {
    let mut message = message.trim();
    for prefix in [
        "Error during planning: ",
        "SQL error: ",
        "Schema error: ",
        "This feature is not implemented: ",
        "Execution error: ",
        "Arrow error: ",
        "Parquet error: ",
        "External error: ",
    ] {
        message = message.strip_prefix(prefix).unwrap_or(message);
    }
    let message = match message
        .strip_prefix("ParserError(\"")
        .and_then(|m| m.strip_suffix("\")"))
    {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\n", "\n"),
        None => message.to_owned(),
    };
    // The place is told apart.
    let message = crate::time_travel::without_marks(&message);
    match message.find(" at Line: ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}

/// sqlparser writes the place into its text: `… at Line: 2, Column: 5`.
fn place_in_text(message: &str) -> Option<SqlPlace> {
    let after = message.split(" at Line: ").nth(1)?;
    let (line, rest) = after.split_once(", Column: ")?;
    let column = rest
        .chars()
        .take_while(char::is_ascii_digit)
        .collect::<String>();
    Some(SqlPlace {
        line: line.trim().parse().ok()?,
        column: column.parse().ok()?,
        length: 1,
    })
}

/// The name that an error of an unknown column, table or function is about.
fn unknown_name(message: &str, place: Option<SqlPlace>, sql: &str) -> Option<String> {
    let is_unknown = [
        "not found",
        "No field named",
        "Invalid function",
        "Invalid parameter",
    ]
    .iter()
    .any(|words| message.contains(words));
    if !is_unknown {
        return None;
    }
    if let Some(place) = place.filter(|place| place.length > 1) {
        let line = sql.lines().nth(place.line.checked_sub(1)? as usize)?;
        let name = line
            .chars()
            .skip(place.column.checked_sub(1)? as usize)
            .take(place.length as usize);
        return Some(name.collect());
    }
    message.split(['\'', '`', '"']).nth(1).map(str::to_owned)
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

    #[test]
    fn the_place_is_read_from_a_parser_message() {
        let place =
            place_in_text("Expected: end of statement, found: x at Line: 2, Column: 15").unwrap();
        assert_eq!((place.line, place.column), (2, 15));
    }
}
