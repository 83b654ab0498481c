//! What becomes of rows before anybody sees them: accepted findings are taken apart, names are replaced.

use std::{borrow::Cow, sync::Arc};

use chrono::{DateTime, Utc};
use datafusion::arrow::{datatypes::SchemaRef, error::ArrowError, record_batch::RecordBatch};
use kennel_engine::{Answer, CannedQuery, Library, ReportUsed};

use super::{folder::sha256, manifest};
use crate::{
    context::Context,
    error::CliError,
    output::About,
    redact::{Class, Redactor},
    suppressions::{Sieve, SuppressArgs, Suppressions, Tally, UseStatus},
};

/// Decides for all questions.
pub(crate) struct Shaping {
    library: Library,
    /// When ends of suppressions are judged: the time of the state.
    at: DateTime<Utc>,
    suppressions: Option<(Suppressions, Tally)>,
    redactor: Option<Arc<Redactor>>,
}

/// Decides on the rows of one question.
pub(crate) struct Shape {
    schema: SchemaRef,
    sieve: Option<Sieve>,
    veil: Option<Veil>,
}

/// Replaces names in the rows of one question, and in those that are accepted.
struct Veil {
    redactor: Arc<Redactor>,
    kept: (SchemaRef, Vec<Class>),
    accepted: (SchemaRef, Vec<Class>),
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
        redactor: Option<Arc<Redactor>>,
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
            redactor,
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
        let (schema, accepted) = match &sieve {
            Some(sieve) => (sieve.kept_schema(), sieve.suppressed_schema()),
            None => (
                SchemaRef::clone(&answer.schema),
                SchemaRef::clone(&answer.schema),
            ),
        };
        let Some(redactor) = &self.redactor else {
            return Ok(Shape {
                schema,
                sieve,
                veil: None,
            });
        };
        let cannot = |e: ArrowError| CliError::new("this result cannot be redacted").cause(&e);
        let origins = answer.reading.origins();
        let kept = redactor.schema(&schema, &origins).map_err(cannot)?;
        let accepted = redactor.schema(&accepted, &origins).map_err(cannot)?;
        Ok(Shape {
            schema: SchemaRef::clone(&kept.0),
            sieve,
            veil: Some(Veil {
                redactor: Arc::clone(redactor),
                kept,
                accepted,
            }),
        })
    }

    /// After the last row of a question. `is_whole`: what did not match an entry then matches nothing.
    pub(crate) fn done(&mut self, shape: &Shape, is_whole: bool) {
        if let (Some((_, tally)), Some(sieve)) = (&mut self.suppressions, &shape.sieve) {
            tally.add(sieve, is_whole);
        }
    }

    /// Whether some rows may be accepted.
    pub(crate) fn has_suppressions(&self) -> bool {
        self.suppressions.is_some()
    }

    /// The hash of the suppressions file.
    pub(crate) fn suppressions_sha256(&self) -> Option<String> {
        let (suppressions, _) = self.suppressions.as_ref()?;
        Some(sha256(suppressions.text()))
    }

    /// The key under which names are replaced: the token of an account that nobody has.
    pub(crate) fn redaction(&self) -> Option<String> {
        Some(self.redactor.as_ref()?.text("000000000000"))
    }

    /// A text beside the rows (a message, a key, an account) as it is shown.
    pub(crate) fn shown(&self, text: &str) -> String {
        match &self.redactor {
            Some(redactor) => redactor.text(text),
            None => text.to_owned(),
        }
    }

    /// A text that somebody wrote, which can name anybody.
    fn named(&self, text: &str) -> String {
        match &self.redactor {
            Some(redactor) => redactor.name(text),
            None => text.to_owned(),
        }
    }

    /// The value of a parameter as it is shown.
    pub(crate) fn param(&self, value: &str) -> String {
        match &self.redactor {
            Some(redactor) => redactor.param(value),
            None => value.to_owned(),
        }
    }

    /// A report that an answer rests on, as it is shown.
    pub(crate) fn report(&self, report: &ReportUsed) -> ReportUsed {
        match &self.redactor {
            Some(redactor) => redactor.report(report),
            None => report.clone(),
        }
    }

    /// What is said of a question, as it is shown.
    pub(crate) fn about(&self, about: About) -> About {
        match &self.redactor {
            Some(redactor) => redactor.about(about),
            None => about,
        }
    }

    /// A query as it is shown: one of a user's own can name anything anywhere.
    pub(crate) fn query<'q>(&self, query: &'q CannedQuery) -> Cow<'q, CannedQuery> {
        let is_ours = || {
            let ours = Library::embedded();
            ours.is_ok_and(|library| library.iter().any(|known| known.text == query.text))
        };
        if self.redactor.is_none() || is_ours() {
            return Cow::Borrowed(query);
        }
        Cow::Owned(CannedQuery {
            id: self.shown(&query.id),
            title: self.shown(&query.title),
            documentation: String::new(),
            sql: String::new(),
            text: String::new(),
            ..query.clone()
        })
    }

    /// What the entries of the suppressions file did, after the last row.
    pub(crate) fn suppressions(&self) -> Vec<manifest::Suppression> {
        let Some((_, tally)) = &self.suppressions else {
            return Vec::new();
        };
        let uses = tally.uses(&self.library).into_iter();
        let uses = uses.map(|used| manifest::Suppression {
            name: self.named(&used.name),
            id: used.id,
            owner: self.named(&used.owner),
            reason: self.named(&used.reason),
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
        let (kept, accepted) = match &mut self.sieve {
            None => (batch, None),
            Some(sieve) => {
                let sifted = sieve.apply(&batch).map_err(|e| {
                    CliError::new("accepted findings cannot be taken apart").cause(&e)
                })?;
                let accepted = Some(sifted.suppressed).filter(|rows| rows.num_rows() > 0);
                (sifted.kept, accepted)
            }
        };
        let Some(veil) = &self.veil else {
            return Ok(Shaped { kept, accepted });
        };
        let veiled = |batch: &RecordBatch, (schema, classes): &(SchemaRef, Vec<Class>)| {
            let veiled = veil.redactor.batch(batch, classes, schema);
            veiled.map_err(|e| CliError::new("this result cannot be redacted").cause(&e))
        };
        Ok(Shaped {
            kept: veiled(&kept, &veil.kept)?,
            accepted: accepted
                .map(|accepted| veiled(&accepted, &veil.accepted))
                .transpose()?,
        })
    }
}
