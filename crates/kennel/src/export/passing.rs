//! The rows of a question on their way into all files: what each is against the earlier states, and who writes it.
//!
//! Rows are made JSON once, on several threads; then each file is written on whichever thread is free. Of each file the
//! writer is one, and gets the rows in their order: how threads follow each other does not show.

use datafusion::arrow::record_batch::RecordBatch;
use kennel_engine::CannedQuery;

use super::{
    compare::Comparison,
    keys::{KeyColumns, Mark, Print},
    ocsf::Standing,
    shaping::Shaped,
    sinks::{People, Sinks},
    together::{Task, WORTH_A_THREAD, slices, together},
    twins::Kept,
};
use crate::{
    error::CliError,
    output::{JsonRows, JsonWriter},
};

/// Bytes of rows that are worked on at once: as text they are there a second time.
const MOST_BYTES: usize = 32 << 20;
/// Rows that are worked on at once, however large they are.
const FEWEST_ROWS: usize = 256;

/// One question while its rows pass.
pub(super) struct Passing<'q> {
    /// How it is shown.
    pub(super) query: &'q CannedQuery,
    pub(super) columns: KeyColumns,
    pub(super) page: Comparison,
    /// Against the last export, where that is of the same state.
    pub(super) last: Option<Comparison>,
    /// Whether there is an export, or a named snapshot, that rows can be new against.
    pub(super) has_last: bool,
    pub(super) wants_findings: bool,
    pub(super) row_count: u64,
    pub(super) new_since_last: u64,
    pub(super) accepted: Vec<RecordBatch>,
    /// Rows for a later question that comes to this one.
    pub(super) kept: Option<Kept>,
    /// Used again for all rows: fresh memory costs more than what is written into it.
    pub(super) ready: Vec<Ready>,
}

/// Rows made ready for all that becomes of them.
#[derive(Default)]
pub(super) struct Ready {
    rows: JsonRows,
    /// None where no earlier row is known.
    prints: Vec<Print>,
}

impl Passing<'_> {
    /// Hands rows on.
    pub(super) fn rows(&mut self, shaped: Shaped, sinks: &mut Sinks) -> Result<(), CliError> {
        let batch = &shaped.kept;
        self.row_count += batch.num_rows() as u64;
        let length = at_once(batch);
        for start in (0..batch.num_rows()).step_by(length) {
            let piece = batch.slice(start, length.min(batch.num_rows() - start));
            self.piece(&piece, sinks)?;
        }
        match shaped.accepted {
            Some(accepted) => self.accepted(accepted, sinks),
            None => Ok(()),
        }
    }

    fn piece(&mut self, batch: &RecordBatch, sinks: &mut Sinks) -> Result<(), CliError> {
        let Some(writer) = sinks.lines() else {
            return Ok(());
        };
        let mut ready = std::mem::take(&mut self.ready);
        self.make_ready(batch, writer, &mut ready)?;
        let rows = ready.iter().map(|ready| &ready.rows).collect::<Vec<_>>();
        let (people, writing) = sinks.writing(batch, &rows);
        // The longest first.
        let mut tasks: Vec<Task<'_>> = vec![Box::new(|| {
            let marks = self.judge(batch, &ready, people)?;
            if let Some(kept) = &mut self.kept {
                kept.keep(batch, &marks);
            }
            people.rows(batch, &marks)
        })];
        tasks.extend(writing);
        together(tasks, batch.num_rows() < WORTH_A_THREAD)?;
        self.ready = ready;
        Ok(())
    }

    /// Makes rows JSON, and looks at them.
    fn make_ready(
        &self,
        batch: &RecordBatch,
        writer: &JsonWriter,
        ready: &mut Vec<Ready>,
    ) -> Result<(), CliError> {
        let needs_prints = self.page.is_possible() || self.last.is_some();
        let slices = slices(batch);
        ready.resize_with(slices.len(), Ready::default);
        let tasks = slices.iter().zip(ready).map(|(slice, ready)| {
            let task: Task<'_> = Box::new(move || {
                let Ready { rows, prints } = ready;
                writer.rows(slice, rows);
                let mut text = String::new();
                let printed = (0..rows.len()).filter(|_| needs_prints).map(|row| {
                    let cell = |column| rows.cell(row, column);
                    self.columns.print_of(cell, &mut text)
                });
                prints.clear();
                prints.extend(printed);
                Ok(())
            });
            task
        });
        together(tasks.collect(), slices.len() < 2)
    }

    /// What became of each row since the earlier states; audits' rows become findings.
    fn judge(
        &mut self,
        batch: &RecordBatch,
        ready: &[Ready],
        people: &mut People,
    ) -> Result<Vec<Mark>, CliError> {
        let is_audit = self.query.is_audit() && self.wants_findings;
        let is_possible = self.page.is_possible();
        let mut marks = Vec::with_capacity(batch.num_rows());
        let mut key = String::new();
        for Ready { rows, prints } in ready {
            for row in 0..rows.len() {
                let cell = |column| rows.cell(row, column);
                let print = prints.get(row).copied();
                let columns = &self.columns;
                let mark = print.map_or(Mark::Same, |print| {
                    self.page.meet(print, || {
                        let mut key = String::new();
                        columns.key_of(cell, &mut key);
                        key
                    })
                });
                let is_new = !is_possible || mark == Mark::New;
                let since_last = match (&mut self.last, print) {
                    (Some(last), Some(print)) => last.is_new(print),
                    _ => !self.has_last || is_new,
                };
                self.new_since_last += u64::from(since_last);
                if is_audit {
                    // Without a state before, each finding is created now.
                    let standing = match is_new {
                        true => Standing::Open(Mark::New),
                        false => Standing::Open(mark),
                    };
                    columns.key_of(cell, &mut key);
                    people.finding(self.query, batch, marks.len(), &key, standing)?;
                }
                marks.push(mark);
            }
        }
        Ok(marks)
    }

    /// Accepted rows are still there: not new, and not gone.
    fn accepted(&mut self, accepted: RecordBatch, sinks: &mut Sinks) -> Result<(), CliError> {
        let is_audit = self.query.is_audit() && self.wants_findings;
        let mut rows = JsonRows::default();
        JsonWriter::lines(&accepted.schema()).rows(&accepted, &mut rows);
        let mut text = String::new();
        for row in 0..rows.len() {
            let cell = |column| rows.cell(row, column);
            self.page.pass_over(self.columns.print_of(cell, &mut text));
            if is_audit {
                self.columns.key_of(cell, &mut text);
                let people = sinks.people();
                people.finding(self.query, &accepted, row, &text, Standing::Suppressed)?;
            }
        }
        self.accepted.push(accepted);
        Ok(())
    }
}

/// Rows of a batch that are worked on at once.
fn at_once(batch: &RecordBatch) -> usize {
    let row_count = batch.num_rows();
    let pieces = batch.get_array_memory_size().div_ceil(MOST_BYTES).max(1);
    row_count.div_ceil(pieces).max(FEWEST_ROWS)
}
