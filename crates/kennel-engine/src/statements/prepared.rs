//! `PREPARE`, `EXECUTE`, `DEALLOCATE PREPARE`: statements that a session keeps under a name.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use kennel_athena::statement::{self, Embedded, Piece, Statement};

use super::done;
use crate::{Engine, EngineError, Outcome, ParamValues, error::nearest};

/// More than this many are no longer statements of a person.
const MOST: usize = 1_000;

/// The statements of a session, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prepared(Arc<Mutex<BTreeMap<String, String>>>);

impl Prepared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts values in the place of `?`.
pub(super) fn with_values(text: &str, arguments: &[String]) -> Result<String, EngineError> {
    statement::with_arguments(text, arguments).map_err(|error| EngineError::from((error, text)))
}

impl Engine {
    /// With the prepared statements of another engine: a session that asks another state keeps its own.
    #[must_use]
    pub fn with_prepared_of(mut self, other: &Self) -> Self {
        self.prepared = other.prepared.clone();
        self
    }

    pub(super) fn prepare(
        &self,
        name: &str,
        prepared: &Embedded,
        piece: &Piece,
    ) -> Result<Outcome, EngineError> {
        let whole = prepared.in_place(&piece.text);
        let inner = Piece {
            text: whole.clone(),
            ..piece.clone()
        };
        let parsed = Statement::parse(&inner)
            .map_err(|error| EngineError::from((error, piece.text.as_str())))?;
        match parsed {
            Statement::Query(sql) => {
                kennel_athena::parse(&sql)
                    .map_err(|error| EngineError::from((error, piece.text.as_str())))?;
            }
            Statement::Unsupported { what, hint } => {
                return Err(EngineError::Unsupported { what, hint });
            }
            Statement::Prepare { .. }
            | Statement::Execute { .. }
            | Statement::ExecuteImmediate { .. }
            | Statement::Deallocate { .. } => {
                return Err(EngineError::Unsupported {
                    what: format!("PREPARE of {}", parsed.name()),
                    hint: "queries, INSERT INTO, CREATE TABLE … AS and UNLOAD can be prepared"
                        .into(),
                });
            }
            _ => {}
        }
        let mut kept = self.prepared.lock();
        if kept.len() >= MOST && !kept.contains_key(name) {
            return Err(EngineError::Unsupported {
                what: format!("a session with more than {MOST} prepared statements"),
                hint: "DEALLOCATE PREPARE forgets one".into(),
            });
        }
        kept.insert(name.to_owned(), prepared.text.clone());
        Ok(done(format!("prepared {name}"), vec![]))
    }

    /// The text of a prepared statement with its values.
    pub(super) fn prepared(&self, name: &str, arguments: &[String]) -> Result<String, EngineError> {
        let kept = self.prepared.lock();
        match kept.get(name) {
            Some(text) => with_values(text, arguments),
            None => Err(unknown(name, &kept)),
        }
    }

    pub(super) fn deallocate(&self, name: &str) -> Result<Outcome, EngineError> {
        let mut kept = self.prepared.lock();
        match kept.remove(name) {
            Some(_) => Ok(done(format!("forgot {name}"), vec![])),
            None => Err(unknown(name, &kept)),
        }
    }

    /// Executes the text of a statement that stands in no script.
    pub(super) async fn execute_text(
        &self,
        text: String,
        values: &ParamValues,
        now: DateTime<Utc>,
    ) -> Result<Outcome, EngineError> {
        let mut statements = Self::statements(&text)?;
        match (statements.pop(), statements.is_empty()) {
            (Some(statement), true) => Box::pin(self.execute(&statement, values, now)).await,
            _ => Err(EngineError::Unsupported {
                what: "EXECUTE of several statements, or of none".into(),
                hint: "execute them one by one".into(),
            }),
        }
    }
}

fn unknown(name: &str, kept: &BTreeMap<String, String>) -> EngineError {
    let names = kept.keys().cloned().collect::<Vec<_>>();
    EngineError::Table {
        message: format!("no prepared statement `{name}` in this session"),
        hint: Some(match nearest(name, &names) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("PREPARE {name} FROM SELECT … keeps one until the session ends"),
        }),
    }
}
