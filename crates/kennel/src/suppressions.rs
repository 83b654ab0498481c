//! Suppressions: findings that somebody accepted, with an owner, a reason and an end.
//!
//! [`Suppressions::load`] reads the file. For each question [`Suppressions::sieve`] takes from it what concerns its columns;
//! the [`Sieve`] parts the rows. A [`Tally`] of all sieves says which suppressions hid what, which have expired and
//! which are for nothing. They only take rows away: what an answer lacks is said as without them.

mod call;
mod file;
mod tally;

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, StringArray, UInt32Array},
        compute::take_record_batch,
        datatypes::{DataType, Field, Schema, SchemaRef},
        error::ArrowError,
        record_batch::RecordBatch,
    },
    execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::StreamExt;
use kennel_engine::{Engine, Library};
use kennel_policy::pattern::Pattern;

use crate::{
    context::Context,
    error::CliError,
    output::value::write_text,
    redact::Memory,
    text::{counted, nearest},
};

pub(crate) use call::Sieves;
pub(crate) use file::Suppression;
pub(crate) use tally::{Tally, UseStatus};

/// The name beside the config file.
const FILE_NAME: &str = "suppressions.toml";

/// The column that names the suppression whose end let a row come back.
const EXPIRED_COLUMN: &str = "expired_suppression";

/// What stands after the columns of a row that is suppressed.
const SUPPRESSED_COLUMNS: [&str; 4] = [
    "suppression",
    "suppression_owner",
    "suppression_reason",
    "suppression_expires",
];

/// Which suppressions are in force.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SuppressArgs {
    /// Leave out the rows that this file suppresses [default: suppressions.toml beside the config file, if there is one]
    #[arg(long, value_name = "FILE")]
    suppressions: Option<PathBuf>,
    /// Show all rows, whatever suppressions.toml says
    #[arg(long, conflicts_with = "suppressions")]
    no_suppressions: bool,
}

impl SuppressArgs {
    /// The file that was asked for, or the one beside the config file.
    ///
    /// # Errors
    /// As [`Suppressions::load`].
    pub(crate) fn load(
        &self,
        library: &Library,
        cx: &Context,
    ) -> Result<Option<Suppressions>, CliError> {
        if let Some(named) = &self.suppressions {
            return Suppressions::load(named, library).map(Some);
        }
        let config = cx.settings.config.value.as_deref();
        let beside = config
            .and_then(Path::parent)
            .map(|folder| folder.join(FILE_NAME))
            .filter(|path| !self.no_suppressions && path.exists());
        beside
            .map(|path| Suppressions::load(&path, library))
            .transpose()
    }
}

/// A file of suppressions.
#[derive(Debug, Clone)]
pub(crate) struct Suppressions {
    /// Its name, as messages have it.
    file: String,
    text: String,
    entries: Vec<Suppression>,
}

impl Suppressions {
    /// The whole file.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The time against which expiries are judged: that of the state which answers, so that the same state gives
    /// the same rows on every day.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub(crate) fn judged_at(engine: &Engine, cx: &Context) -> Result<DateTime<Utc>, CliError> {
        if let Some(at) = engine.as_of() {
            return Ok(at);
        }
        let snapshots = cx.cache()?.map(|cache| cache.snapshots()).transpose()?;
        let newest = snapshots.unwrap_or_default().into_iter();
        let newest = newest.map(|snapshot| snapshot.taken_at).max();
        Ok(newest.unwrap_or_else(|| cx.now()))
    }

    /// What concerns a question with these columns.
    ///
    /// A suppression of this very question must name columns that it has; one of several questions (`k9/*`) concerns
    /// those that have its columns.
    ///
    /// # Errors
    /// A column that the question does not have, with the place and the nearest name.
    pub(crate) fn sieve(
        &self,
        question: &str,
        schema: &SchemaRef,
        at: DateTime<Utc>,
    ) -> Result<Sieve, CliError> {
        let mut rules = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.concerns(question)) {
            match entry.columns_in(schema) {
                Ok(columns) => rules.push(Rule::new(entry, columns, at)),
                Err(_) if has_wildcard(&entry.id) => {}
                Err((name, span)) => {
                    let names = schema.fields().iter().map(|field| field.name().as_str());
                    let names = names.collect::<Vec<_>>();
                    let message = format!(
                        "suppression `{}`: `{question}` has no column `{name}`",
                        entry.name
                    );
                    let remark = nearest(name, names.iter().copied())
                        .map(|known| format!("did you mean `{known}`?"));
                    return Err(self
                        .wrong(message, span, remark)
                        .hint(format!("its columns are {}", names.join(", "))));
                }
            }
        }
        Ok(Sieve::new(question, schema, rules))
    }

    /// What concerns the changes of a question: suppressions of columns that identify a row. The others are told, since a row
    /// that one state suppresses and the other does not is news.
    pub(crate) fn sieve_of_changes(
        &self,
        question: &str,
        schema: &SchemaRef,
        at: DateTime<Utc>,
    ) -> (Sieve, Vec<String>) {
        let (mut rules, mut told) = (Vec::new(), Vec::new());
        for entry in self.entries.iter().filter(|entry| entry.concerns(question)) {
            match entry.columns_in(schema) {
                Ok(columns) => rules.push(Rule::new(entry, columns, at)),
                Err((name, _)) => told.push(format!(
                    "suppression `{}` hides no changes of `{question}`: `{name}` is not part of the key",
                    entry.name
                )),
            }
        }
        (Sieve::new(question, schema, rules), told)
    }

    /// The columns that suppressions are on.
    fn columns(&self) -> BTreeSet<String> {
        let columns = self.entries.iter().flat_map(|entry| &entry.columns);
        columns.map(|(name, ..)| name.clone()).collect()
    }

    /// The file without its folder, which is another on another machine.
    fn name(&self) -> &str {
        let name = Path::new(&self.file).file_name();
        name.and_then(|name| name.to_str()).unwrap_or(&self.file)
    }

    /// In one line, what a sieve is going to do, for a page that is read without the terminal beside it.
    pub(crate) fn announcement(&self, sieve: &Sieve) -> String {
        let in_force = sieve.rules.iter().filter(|rule| !rule.is_expired).count();
        let concern = if in_force == 1 { "concerns" } else { "concern" };
        format!(
            "rows that `{}` suppresses are not here: {} {concern} this question",
            self.name(),
            counted(in_force as u64, "suppression")
        )
    }
}

impl Suppression {
    fn concerns(&self, question: &str) -> bool {
        match has_wildcard(&self.id) {
            true => Pattern::without_escapes(&self.id).matches(question),
            false => self.id == question,
        }
    }

    /// Its columns in a schema, or the first that is not there.
    fn columns_in(&self, schema: &SchemaRef) -> Result<Matching, (&str, Range<usize>)> {
        let found = self.columns.iter().map(|(name, wanted, span)| {
            let mut fields = schema.fields().iter();
            let index = fields.position(|field| field.name().eq_ignore_ascii_case(name));
            let index = index.ok_or((name.as_str(), span.clone()))?;
            Ok((index, wanted.clone()))
        });
        found.collect()
    }
}

fn has_wildcard(id: &str) -> bool {
    id.contains(['*', '?'])
}

/// Columns of a result, and what they must hold.
type Matching = Vec<(usize, file::Wanted)>;

/// A suppression on the columns of one question.
#[derive(Debug, Clone)]
struct Rule {
    suppression: Suppression,
    /// Column and what it must hold.
    columns: Matching,
    is_expired: bool,
    /// Rows that matched, also those that another one took before; when expired, those that are back.
    row_count: u64,
}

/// Parts the rows of one question.
#[derive(Debug, Clone)]
pub(crate) struct Sieve {
    question: String,
    rules: Vec<Rule>,
    kept_schema: SchemaRef,
    suppressed_schema: SchemaRef,
    suppressed_count: u64,
    /// Where rows have tokens: what these stand for.
    memory: Option<Arc<Memory>>,
}

/// Rows, parted. Both keep their order.
#[derive(Debug)]
pub(crate) struct Sifted {
    /// With [`Sieve::kept_schema`].
    pub(crate) kept: RecordBatch,
    /// With [`Sieve::suppressed_schema`].
    pub(crate) suppressed: RecordBatch,
}

impl Sieve {
    fn new(question: &str, schema: &SchemaRef, rules: Vec<Rule>) -> Self {
        let with = |names: &[&str]| {
            let mut fields = schema.fields().to_vec();
            let added = names
                .iter()
                .map(|name| Field::new(*name, DataType::Utf8, true));
            fields.extend(added.map(Arc::new));
            Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
        };
        let marks = rules.iter().any(|rule| rule.is_expired);
        Self {
            question: question.to_owned(),
            kept_schema: match marks {
                true => with(&[EXPIRED_COLUMN]),
                false => Arc::clone(schema),
            },
            suppressed_schema: with(&SUPPRESSED_COLUMNS),
            rules,
            suppressed_count: 0,
            memory: None,
        }
    }

    /// The same for rows that have tokens.
    fn of_tokens(self, memory: &Arc<Memory>) -> Self {
        Self {
            memory: Some(Arc::clone(memory)),
            ..self
        }
    }

    /// The question's columns; where one of its suppressions has expired also `expired_suppression: Utf8`, which names it
    /// in the rows that are back, and is null in others.
    pub(crate) fn kept_schema(&self) -> SchemaRef {
        Arc::clone(&self.kept_schema)
    }

    /// The question's columns, then `suppression`, `suppression_owner`, `suppression_reason` and `suppression_expires`
    /// (Utf8; null for never).
    pub(crate) fn suppressed_schema(&self) -> SchemaRef {
        Arc::clone(&self.suppressed_schema)
    }

    /// Whether any suppression concerns the question.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Rows taken away so far.
    pub(super) fn suppressed_count(&self) -> u64 {
        self.suppressed_count
    }

    /// Parts rows. The first suppression that matches and has not expired takes a row.
    ///
    /// # Errors
    /// When the batch does not have the columns that it should have.
    pub(crate) fn apply(&mut self, batch: &RecordBatch) -> Result<Sifted, ArrowError> {
        let mut texts = Texts {
            memory: self.memory.clone(),
            ..Texts::default()
        };
        let row_count = batch.num_rows();
        // Which rule takes a row, and which one did until it expired.
        let mut taken: Vec<Option<usize>> = vec![None; row_count];
        let mut expired: Vec<Option<usize>> = vec![None; row_count];
        for (number, rule) in self.rules.iter_mut().enumerate() {
            if !rule.is_expired {
                for row in rule.matching(batch, &mut texts) {
                    rule.row_count += 1;
                    taken[row].get_or_insert(number);
                }
            }
        }
        for (number, rule) in self.rules.iter_mut().enumerate() {
            if rule.is_expired {
                let rows = rule.matching(batch, &mut texts).into_iter();
                for row in rows.filter(|row| taken[*row].is_none()) {
                    rule.row_count += 1;
                    expired[row].get_or_insert(number);
                }
            }
        }
        let index = |row: usize| {
            u32::try_from(row).map_err(|_| ArrowError::ComputeError("too many rows".into()))
        };
        let (mut kept, mut marks) = (Vec::new(), Vec::new());
        let (mut suppressed, mut takers) = (Vec::new(), Vec::new());
        for (row, taker) in taken.into_iter().enumerate() {
            match taker {
                Some(number) => {
                    suppressed.push(index(row)?);
                    takers.push(&self.rules[number].suppression);
                }
                None => {
                    kept.push(index(row)?);
                    let mark = expired[row].map(|number| {
                        let name = &self.rules[number].suppression.name;
                        let shown = self.memory.as_ref().map(|memory| memory.shown(name));
                        shown.unwrap_or_else(|| name.clone())
                    });
                    marks.push(mark);
                }
            }
        }
        self.suppressed_count += suppressed.len() as u64;
        let marks: ArrayRef = Arc::new(marks.into_iter().collect::<StringArray>());
        let has_marks = self.kept_schema.fields().len() > batch.num_columns();
        Ok(Sifted {
            kept: extended(batch, kept, has_marks.then_some(marks), &self.kept_schema)?,
            suppressed: extended(batch, suppressed, told(&takers), &self.suppressed_schema)?,
        })
    }
}

/// These rows of a batch, and further columns.
fn extended(
    batch: &RecordBatch,
    rows: Vec<u32>,
    further: impl IntoIterator<Item = ArrayRef>,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let rows = take_record_batch(batch, &UInt32Array::from(rows))?;
    let columns = rows.columns().iter().cloned().chain(further);
    RecordBatch::try_new(Arc::clone(schema), columns.collect())
}

/// The columns [`SUPPRESSED_COLUMNS`].
fn told(takers: &[&Suppression]) -> [ArrayRef; 4] {
    let texts = |text: fn(&Suppression) -> Option<String>| -> ArrayRef {
        Arc::new(
            takers
                .iter()
                .map(|taker| text(taker))
                .collect::<StringArray>(),
        )
    };
    [
        texts(|taker| Some(taker.name.clone())),
        texts(|taker| Some(taker.owner.clone())),
        texts(|taker| Some(taker.reason.clone())),
        texts(|taker| taker.expires.map(|expires| expires.to_string())),
    ]
}

/// Columns of a batch as text, made when they are asked for.
#[derive(Default)]
struct Texts {
    of: HashMap<usize, Vec<Option<String>>>,
    memory: Option<Arc<Memory>>,
}

impl Texts {
    fn of(&mut self, batch: &RecordBatch, column: usize) -> &[Option<String>] {
        let memory = self.memory.as_ref();
        self.of.entry(column).or_insert_with(|| {
            let array = batch.column(column);
            let text = |row| {
                let mut text = String::new();
                let text = write_text(array.as_ref(), row, &mut text).then_some(text)?;
                match memory {
                    Some(memory) => memory.value(&text),
                    None => Some(text),
                }
            };
            (0..array.len()).map(text).collect()
        })
    }
}

impl Rule {
    fn new(suppression: &Suppression, columns: Matching, at: DateTime<Utc>) -> Self {
        Self {
            is_expired: suppression
                .expires
                .is_some_and(|expires| expires.is_past(at)),
            suppression: suppression.clone(),
            columns,
            row_count: 0,
        }
    }

    /// The rows in which all columns hold what they must.
    fn matching(&self, batch: &RecordBatch, texts: &mut Texts) -> Vec<usize> {
        let mut rows = (0..batch.num_rows()).collect::<Vec<_>>();
        for (column, wanted) in &self.columns {
            let texts = texts.of(batch, *column);
            rows.retain(|row| wanted.fits(texts[*row].as_deref()));
        }
        rows
    }
}

/// A sieve that a stream uses up while others wait for its counts.
pub(crate) type SharedSieve = Arc<Mutex<Sieve>>;

/// The stream of the rows that are kept, or of those that are suppressed.
pub(crate) fn strained(
    stream: SendableRecordBatchStream,
    sieve: &SharedSieve,
    shows_suppressed: bool,
) -> SendableRecordBatchStream {
    let sieve = Arc::clone(sieve);
    let schema = {
        let sieve = sieve.lock().unwrap_or_else(PoisonError::into_inner);
        match shows_suppressed {
            true => sieve.suppressed_schema(),
            false => sieve.kept_schema(),
        }
    };
    let batches = stream.map(move |batch| {
        let mut sieve = sieve.lock().unwrap_or_else(PoisonError::into_inner);
        let sifted = sieve.apply(&batch?)?;
        Ok(match shows_suppressed {
            true => sifted.suppressed,
            false => sifted.kept,
        })
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

#[cfg(test)]
mod tests;
