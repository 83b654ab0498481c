//! Aligned columns for people.
//!
//! Piped, a table is whole. Its columns are as wide as the first rows need (bounded by [`MEASURED_ROWS`]
//! and [`MEASURED_BYTES`]); a later value that is wider than its column stands whole all the same.
//! On a terminal it fits the width: first columns that tell nothing of their own are left out (the same value
//! throughout, an ARN beside its name), then long values are cut, and where that does not do, the last columns go.
//! Rows beyond the limit are left out, too. The last line says all that.

use std::{borrow::Cow, io};

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};
use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};

use super::{ResultWriter, value};
use crate::text::{counted, cut, grouped, visible, width};

/// Rows that are looked at before the first line of a piped table is written.
const MEASURED_ROWS: usize = 10_000;
/// Bytes of them, at most.
const MEASURED_BYTES: usize = 8 << 20;
/// No column is cut below so many characters to make room for others.
const NARROWEST: usize = 16;
/// Rows that are laid out at once.
const CHUNK_ROWS: usize = 1_000;
/// comfy-table's characters for borders and lines: `│` between columns, `─┼─` below the header, no more.
const PRESET: &str = "     ─┼ │          ";

/// Of a value that all rows have, what the last line shows.
const LONGEST_CONSTANT: usize = 40;

/// How a table is to look.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    /// The terminal's width; `None` where the output is not a terminal.
    pub(crate) terminal_width: Option<usize>,
    /// Rows shown on a terminal.
    pub(crate) max_rows: usize,
    /// Whether a cut table says how to see all of it.
    pub(crate) advice: bool,
    /// Whether the header is bold.
    pub(crate) styled: bool,
}

/// A table of texts that the program itself has: `kennel list`, `kennel status`.
pub(crate) struct PlainTable {
    layout: Layout,
    rows: Vec<Vec<String>>,
}

impl PlainTable {
    /// A table with these columns; `>` before a name sets the column right.
    pub(crate) fn new(columns: &[&str], look: Look) -> Self {
        let header = columns
            .iter()
            .map(|name| name.trim_start_matches('>').to_owned())
            .collect();
        let right = columns.iter().map(|name| name.starts_with('>')).collect();
        Self {
            layout: Layout {
                header,
                right,
                look,
            },
            rows: Vec::new(),
        }
    }

    /// Adds a row; texts are made safe here.
    pub(crate) fn row(&mut self, cells: &[String]) {
        self.rows.push(
            cells
                .iter()
                .map(|cell| visible(cell).into_owned())
                .collect(),
        );
    }

    /// Writes header and rows, without the count. No column is left out, since nothing would say so, and the first,
    /// which names the row, is not cut.
    pub(crate) fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut widths = self.layout.natural(&self.rows);
        if let Some(terminal) = self.layout.look.terminal_width {
            let narrowest = widths.iter().enumerate().map(|(at, column)| match at {
                0 => column.width,
                _ => column.width.min(NARROWEST),
            });
            if needed(narrowest) <= terminal {
                let others = widths.split_off(1);
                let room = terminal.saturating_sub(widths[0].width + 3);
                widths.extend(shrink(others, room));
            }
        }
        self.layout.write_header(&widths, out)?;
        self.layout.write_rows(&self.rows, &widths, out)
    }
}

/// Writes a result as a table.
pub(super) struct TableWriter {
    layout: Layout,
    waiting: Vec<Vec<String>>,
    waiting_bytes: usize,
    /// Known as soon as the first line is written.
    shown: Option<Vec<Column>>,
    /// Columns left out, with the value that all rows have, if they do.
    hidden: Vec<(usize, Option<String>)>,
    row_count: u64,
}

impl TableWriter {
    pub(super) fn new(schema: &SchemaRef, look: Look) -> Self {
        let fields = schema.fields().iter();
        let header = fields
            .clone()
            .map(|field| visible(field.name()).into_owned())
            .collect();
        let right = fields
            .map(|field| value::is_number(field.data_type()))
            .collect();
        Self {
            layout: Layout {
                header,
                right,
                look,
            },
            waiting: Vec::new(),
            waiting_bytes: 0,
            shown: None,
            hidden: Vec::new(),
            row_count: 0,
        }
    }

    fn flush(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        if self.shown.is_none() {
            let natural = self.layout.natural(&rows);
            let (shown, hidden) = match self.layout.look.terminal_width {
                Some(terminal) => self.layout.fit(&rows, natural, terminal),
                None => (natural, Vec::new()),
            };
            self.layout.write_header(&shown, out)?;
            self.shown = Some(shown);
            self.hidden = hidden;
        }
        let shown = self.shown.as_deref().unwrap_or_default();
        self.layout.write_rows(&rows, shown, out)
    }

    fn shown_rows(&self) -> u64 {
        match self.layout.look.terminal_width {
            Some(_) => self.row_count.min(self.layout.look.max_rows as u64),
            None => self.row_count,
        }
    }

    fn footer(&self) -> String {
        let mut notes = vec![counted(self.row_count, "row")];
        let shown = self.shown_rows();
        if shown < self.row_count {
            notes.push(format!("{} shown", grouped(shown)));
        }
        if !self.hidden.is_empty() {
            let names = self
                .hidden
                .iter()
                .map(|(index, throughout)| match throughout {
                    Some(value) => format!(
                        "{} ({} throughout)",
                        self.layout.header[*index],
                        cut(value, LONGEST_CONSTANT)
                    ),
                    None => self.layout.header[*index].clone(),
                });
            notes.push(format!(
                "{} of {} not shown: {}",
                self.hidden.len(),
                counted(self.layout.header.len() as u64, "column"),
                names.collect::<Vec<_>>().join(", ")
            ));
        }
        let mut footer = format!("({})\n", notes.join("; "));
        if notes.len() > 1 && self.layout.look.advice {
            footer.push_str("pipe it, or use -o FILE or -f json, to see all\n");
        }
        footer
    }
}

impl ResultWriter for TableWriter {
    fn begin(&mut self, title: Option<&str>, out: &mut dyn io::Write) -> io::Result<()> {
        match title {
            Some(title) if self.layout.look.styled => {
                writeln!(out, "\u{1b}[1m{}\u{1b}[0m", visible(title))
            }
            Some(title) => writeln!(out, "{}", visible(title)),
            None => Ok(()),
        }
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn io::Write) -> io::Result<()> {
        let on_terminal = self.layout.look.terminal_width.is_some();
        for row in 0..batch.num_rows() {
            self.row_count += 1;
            if on_terminal && self.row_count > self.layout.look.max_rows as u64 {
                self.row_count += (batch.num_rows() - row - 1) as u64;
                return Ok(());
            }
            let cells = batch.columns().iter().map(|column| {
                let mut cell = String::new();
                value::write_text(column, row, &mut cell);
                visible(&cell).into_owned()
            });
            let cells = cells.collect::<Vec<_>>();
            self.waiting_bytes += cells.iter().map(String::len).sum::<usize>();
            self.waiting.push(cells);
            let measuring = self.shown.is_none()
                && self.waiting.len() < MEASURED_ROWS
                && self.waiting_bytes < MEASURED_BYTES;
            if !on_terminal && !measuring {
                self.flush(out)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        self.flush(out)?;
        out.write_all(self.footer().as_bytes())
    }
}

struct Layout {
    header: Vec<String>,
    right: Vec<bool>,
    look: Look,
}

impl Layout {
    /// All columns, as wide as header and rows need.
    fn natural(&self, rows: &[Vec<String>]) -> Vec<Column> {
        let columns = self.header.iter().enumerate().map(|(index, name)| {
            let widest = rows
                .iter()
                .filter_map(|row| row.get(index))
                .map(|cell| width(cell))
                .max();
            Column {
                index,
                width: widest.unwrap_or_default().max(width(name)),
            }
        });
        columns.collect()
    }

    /// Leaves out columns until the others fit: what is told elsewhere before anything is cut, the rest only when
    /// cutting does not do. One always stays.
    fn fit(
        &self,
        rows: &[Vec<String>],
        mut columns: Vec<Column>,
        terminal: usize,
    ) -> (Vec<Column>, Vec<(usize, Option<String>)>) {
        let mut hidden = Vec::new();
        let mut told_elsewhere = self.told_elsewhere(rows);
        // The widest first: then fewest have to go.
        told_elsewhere.sort_by_key(|&index| std::cmp::Reverse(columns[index].width));
        let last_first = (0..self.header.len()).rev().map(|index| (index, NARROWEST));
        let candidates = told_elsewhere.into_iter().map(|index| (index, usize::MAX));
        for (index, least) in candidates.chain(last_first) {
            let widths = columns.iter().map(|column| column.width.min(least));
            if columns.len() == 1 || needed(widths) <= terminal {
                continue;
            }
            if let Some(at) = columns.iter().position(|column| column.index == index) {
                columns.remove(at);
                hidden.push((index, constant(rows, index).map(str::to_owned)));
            }
        }
        hidden.sort_unstable();
        (shrink(columns, terminal), hidden)
    }

    /// Columns that say nothing of their own: the last line has the one value of all rows, and a name stands beside
    /// its ARN.
    fn told_elsewhere(&self, rows: &[Vec<String>]) -> Vec<usize> {
        let all = 0..self.header.len();
        let constants = all.clone().filter(|&index| constant(rows, index).is_some());
        let has_name = |arn: &str| {
            self.header
                .iter()
                .any(|name| *name == format!("{arn}_name"))
        };
        let arns = all.clone().filter(|&index| {
            self.header[index]
                .strip_suffix("_arn")
                .is_some_and(has_name)
        });
        constants.chain(arns).collect()
    }

    fn write_header(&self, columns: &[Column], out: &mut dyn io::Write) -> io::Result<()> {
        if columns.is_empty() {
            return Ok(());
        }
        let mut table = plain_table();
        table.set_header(self.cells(&self.header, columns));
        self.set_widths(&mut table, columns);
        for (index, line) in table.trim_fmt().lines().enumerate() {
            if index == 0 && self.look.styled {
                writeln!(out, "\u{1b}[1m{line}\u{1b}[0m")?;
            } else {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }

    fn write_rows(
        &self,
        rows: &[Vec<String>],
        columns: &[Column],
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        if columns.is_empty() {
            return Ok(());
        }
        for chunk in rows.chunks(CHUNK_ROWS) {
            let mut table = plain_table();
            table.add_rows(chunk.iter().map(|row| self.cells(row, columns)));
            self.set_widths(&mut table, columns);
            writeln!(out, "{}", table.trim_fmt())?;
        }
        Ok(())
    }

    fn cells(&self, texts: &[String], columns: &[Column]) -> Vec<Cell> {
        let cell = |column: &Column| {
            let text = &texts[column.index];
            let text = match self.look.terminal_width {
                Some(_) => cut(text, column.width),
                None => Cow::Borrowed(text.as_str()),
            };
            let alignment = match self.right[column.index] {
                true => CellAlignment::Right,
                false => CellAlignment::Left,
            };
            Cell::new(text).set_alignment(alignment)
        };
        columns.iter().map(cell).collect()
    }

    /// All chunks of a table are as wide as its first rows need, with the space on either side.
    fn set_widths(&self, table: &mut Table, columns: &[Column]) {
        let width = |column: &Column| u16::try_from(column.width + 2).unwrap_or(u16::MAX);
        table.set_constraints(
            columns
                .iter()
                .map(|column| ColumnConstraint::LowerBoundary(Width::Fixed(width(column)))),
        );
    }
}

/// A table without content: lines, no borders, nothing arranged by itself.
fn plain_table() -> Table {
    let mut table = Table::new();
    table
        .load_preset(PRESET)
        .set_content_arrangement(ContentArrangement::Disabled)
        // Only a value wider than comfy-table counts is broken into lines, and then anywhere.
        .set_delimiter('\0');
    table
}

/// A column that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Column {
    index: usize,
    width: usize,
}

/// The value that a column has in all of several rows.
fn constant(rows: &[Vec<String>], index: usize) -> Option<&str> {
    let first = rows.first()?.get(index)?;
    let same = rows.len() > 1 && rows.iter().all(|row| row.get(index) == Some(first));
    same.then_some(first.as_str())
}

/// What columns of these widths take, with their lines and margins.
fn needed(widths: impl ExactSizeIterator<Item = usize>) -> usize {
    3 * widths.len().saturating_sub(1) + 2 + widths.sum::<usize>()
}

/// Makes the widest columns narrower, evenly, until all fit.
fn shrink(mut columns: Vec<Column>, terminal: usize) -> Vec<Column> {
    while needed(columns.iter().map(|column| column.width)) > terminal {
        match columns.iter_mut().max_by_key(|column| column.width) {
            Some(widest) if widest.width > 1 => widest.width -= 1,
            _ => break,
        }
    }
    columns
}
