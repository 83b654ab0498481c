//! What becomes of rows before anybody sees them.

use chrono::{DateTime, Utc};
use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use kennel_cache::{AccountId, CustomerId};
use kennel_engine::{Answer, CannedQuery, ReportUsed};

use super::manifest;
use crate::error::CliError;

/// Decides for all questions.
#[derive(Default)]
pub(crate) struct Shaping {}

/// Decides on the rows of one question.
pub(crate) struct Shape {
    schema: SchemaRef,
}

/// The rows of a batch, apart.
pub(crate) struct Shaped {
    /// What is shown.
    pub(crate) kept: RecordBatch,
    /// Accepted findings, with who accepted them and why in further columns.
    pub(crate) accepted: Option<RecordBatch>,
}

impl Shaping {
    /// What becomes of the rows of an answer; of a state before the exported one, its time.
    pub(crate) fn question(
        &self,
        _query: &CannedQuery,
        answer: &Answer,
        _at: Option<DateTime<Utc>>,
    ) -> Result<Shape, CliError> {
        Ok(Shape {
            schema: SchemaRef::clone(&answer.schema),
        })
    }

    /// After the last row of a question. `is_whole`: what did not match an entry then matches nothing.
    pub(crate) fn done(&mut self, _shape: Shape, _is_whole: bool) {}

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
        Vec::new()
    }
}

impl Shape {
    /// The columns that are shown.
    pub(crate) fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// Takes a batch apart.
    pub(crate) fn rows(&mut self, batch: RecordBatch) -> Result<Shaped, CliError> {
        Ok(Shaped {
            kept: batch,
            accepted: None,
        })
    }
}
