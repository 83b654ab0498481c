//! What becomes of rows before anybody sees them: accepted findings are taken apart.

use chrono::{DateTime, Utc};
use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use kennel_cache::{AccountId, CustomerId};
use kennel_engine::{Answer, CannedQuery, Library, ReportUsed};

use super::{folder::sha256, manifest};
use crate::{
    context::Context,
    error::CliError,
    suppressions::{Sieve, SuppressArgs, Suppressions, Tally, UseStatus},
};

/// Decides for all questions.
pub(crate) struct Shaping {
    library: Library,
    /// When ends of suppressions are judged: the time of the state.
    at: DateTime<Utc>,
    suppressions: Option<(Suppressions, Tally)>,
}

/// Decides on the rows of one question.
pub(crate) struct Shape {
    schema: SchemaRef,
    sieve: Option<Sieve>,
}

/// The rows of a batch, apart.
pub(crate) struct Shaped {
    /// What is shown.
    pub(crate) kept: RecordBatch,
    /// Accepted findings, with who accepted them and why in further columns.
    pub(crate) accepted: Option<RecordBatch>,
}

impl Shaping {
    /// Reads what was accepted.
    ///
    /// # Errors
    /// As [`SuppressArgs::load`].
    pub(crate) fn open(
        suppress: &SuppressArgs,
        library: &Library,
        at: DateTime<Utc>,
        cx: &Context,
    ) -> Result<Self, CliError> {
        let suppressions = suppress.load(library, cx)?;
        Ok(Self {
            suppressions: suppressions.map(|suppressions| {
                let tally = suppressions.tally(at);
                (suppressions, tally)
            }),
            library: library.clone(),
            at,
        })
    }

    /// What becomes of the rows of an answer; of a state before the exported one, its time.
    ///
    /// # Errors
    /// A suppression of a column that the question does not have.
    pub(crate) fn question(
        &self,
        query: &CannedQuery,
        answer: &Answer,
        at: Option<DateTime<Utc>>,
    ) -> Result<Shape, CliError> {
        let at = at.unwrap_or(self.at);
        let sieve = self
            .suppressions
            .as_ref()
            .map(|(suppressions, _)| suppressions.sieve(&query.id, &answer.schema, at))
            .transpose()?;
        let schema = match &sieve {
            Some(sieve) => sieve.kept_schema(),
            None => SchemaRef::clone(&answer.schema),
        };
        Ok(Shape { schema, sieve })
    }

    /// After the last row of a question. `is_whole`: what did not match an entry then matches nothing.
    pub(crate) fn done(&mut self, shape: &Shape, is_whole: bool) {
        if let (Some((_, tally)), Some(sieve)) = (&mut self.suppressions, &shape.sieve) {
            tally.add(sieve, is_whole);
        }
    }

    /// The hash of the suppressions file.
    pub(crate) fn suppressions_sha256(&self) -> Option<String> {
        let (suppressions, _) = self.suppressions.as_ref()?;
        Some(sha256(suppressions.text()))
    }

    /// The key under which names are replaced.
    pub(crate) fn redaction(&self) -> Option<String> {
        None
    }

    /// A text beside the rows (a message, a key, an account) as it is shown.
    pub(crate) fn shown(&self, text: &str) -> String {
        text.to_owned()
    }

    /// A report that an answer rests on, as it is shown.
    pub(crate) fn report(&self, report: &ReportUsed) -> ReportUsed {
        ReportUsed {
            customer_id: CustomerId::new(self.shown(report.customer_id.as_str())),
            account_id: AccountId::new(self.shown(report.account_id.as_str())),
            ..report.clone()
        }
    }

    /// What the entries of the suppressions file did, after the last row.
    pub(crate) fn suppressions(&self) -> Vec<manifest::Suppression> {
        let Some((_, tally)) = &self.suppressions else {
            return Vec::new();
        };
        let uses = tally.uses(&self.library).into_iter();
        let uses = uses.map(|used| manifest::Suppression {
            name: self.shown(&used.name),
            id: used.id,
            owner: self.shown(&used.owner),
            reason: self.shown(&used.reason),
            expires: used.expires,
            standing: match used.status {
                UseStatus::Used => "used",
                UseStatus::Expired => "expired",
                UseStatus::Unused => "unused",
                UseStatus::Unknown => "unknown",
            }
            .into(),
            row_count: used.row_count,
        });
        uses.collect()
    }
}

impl Shape {
    /// The columns that are shown.
    pub(crate) fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// Takes a batch apart.
    pub(crate) fn rows(&mut self, batch: RecordBatch) -> Result<Shaped, CliError> {
        let Some(sieve) = &mut self.sieve else {
            return Ok(Shaped {
                kept: batch,
                accepted: None,
            });
        };
        let sifted = sieve.apply(&batch);
        let sifted = sifted
            .map_err(|e| CliError::new("accepted findings cannot be taken apart").cause(&e))?;
        Ok(Shaped {
            kept: sifted.kept,
            accepted: Some(sifted.suppressed).filter(|rows| rows.num_rows() > 0),
        })
    }
}
