//! JSON: an array of objects, or one object a line. Columns keep their order; of columns with equal
//! names the later ones are numbered (`name_2`).

use std::io;

use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};

use super::{ResultWriter, cells::Cells, distinct_names, value};

/// Bytes that a value mostly has room in.
const USUAL_BYTES: usize = 32;

/// Writes JSON or JSON lines.
pub(crate) struct JsonWriter {
    /// `"name":` of each column.
    keys: Vec<String>,
    lines: bool,
    any: bool,
}

/// Rows as JSON, made once for all who write or look at them.
#[derive(Default)]
pub(crate) struct JsonRows {
    /// An object for each row, one a line.
    text: String,
    /// Where each line ends, its line feed included.
    ends: Vec<usize>,
    /// Where the values of each row stand in the text, row by row.
    cells: Vec<(usize, usize)>,
    column_count: usize,
}

impl JsonWriter {
    pub(crate) fn array(schema: &SchemaRef) -> Self {
        Self::new(schema, false)
    }

    pub(crate) fn lines(schema: &SchemaRef) -> Self {
        Self::new(schema, true)
    }

    fn new(schema: &SchemaRef, lines: bool) -> Self {
        let keys = distinct_names(schema)
            .iter()
            .map(|name| {
                let mut key = String::new();
                value::push_json_string(name, &mut key);
                key.push(':');
                key
            })
            .collect();
        Self {
            keys,
            lines,
            any: false,
        }
    }

    /// Appends a row as an object; `each` is told where each value stands.
    fn push_object(
        &self,
        columns: &[Cells<'_>],
        row: usize,
        text: &mut String,
        mut each: impl FnMut(usize, usize),
    ) {
        text.push('{');
        for (i, (key, column)) in self.keys.iter().zip(columns).enumerate() {
            if i > 0 {
                text.push(',');
            }
            text.push_str(key);
            let start = text.len();
            column.get(row).write_json(text);
            each(start, text.len());
        }
        text.push('}');
    }

    /// The rows of a batch as objects, to be written by [`Self::write`] and to be looked at, in the place of those that
    /// `rows` has.
    pub(crate) fn rows(&self, batch: &RecordBatch, rows: &mut JsonRows) {
        let columns = Cells::all(batch);
        let of_keys = self.keys.iter().map(|key| key.len() + USUAL_BYTES);
        let of_row = of_keys.sum::<usize>();
        rows.text.clear();
        rows.ends.clear();
        rows.cells.clear();
        rows.column_count = columns.len();
        rows.text.reserve(of_row * batch.num_rows());
        rows.ends.reserve(batch.num_rows());
        rows.cells.reserve(batch.num_rows() * columns.len());
        for row in 0..batch.num_rows() {
            let cells = &mut rows.cells;
            self.push_object(&columns, row, &mut rows.text, |start, end| {
                cells.push((start, end));
            });
            rows.text.push('\n');
            rows.ends.push(rows.text.len());
        }
    }

    /// Writes rows that were made by [`Self::rows`] of a writer of the same columns.
    pub(crate) fn write(&mut self, rows: &JsonRows, out: &mut dyn io::Write) -> io::Result<()> {
        if self.lines {
            return out.write_all(rows.text.as_bytes());
        }
        for row in 0..rows.ends.len() {
            out.write_all(self.separator())?;
            out.write_all(rows.object(row).as_bytes())?;
        }
        Ok(())
    }

    /// What stands before the next row.
    fn separator(&mut self) -> &'static [u8] {
        let is_first = !std::mem::replace(&mut self.any, true);
        match (self.lines, is_first) {
            (true, _) => b"",
            (false, true) => b"\n",
            (false, false) => b",\n",
        }
    }
}

impl JsonRows {
    /// All of them as lines.
    pub(crate) fn lines(&self) -> &str {
        &self.text
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A row as an object.
    fn object(&self, row: usize) -> &str {
        let start = match row {
            0 => 0,
            row => self.ends[row - 1],
        };
        &self.text[start..self.ends[row] - 1]
    }

    /// A value.
    pub(crate) fn cell(&self, row: usize, column: usize) -> &str {
        let (start, end) = self.cells[row * self.column_count + column];
        &self.text[start..end]
    }
}

impl ResultWriter for JsonWriter {
    fn begin(&mut self, _title: Option<&str>, out: &mut dyn io::Write) -> io::Result<()> {
        if self.lines {
            Ok(())
        } else {
            out.write_all(b"[")
        }
    }

    /// Row by row: a batch of large values is not held a second time as text.
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn io::Write) -> io::Result<()> {
        let columns = Cells::all(batch);
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            text.clear();
            self.push_object(&columns, row, &mut text, |_, _| {});
            if self.lines {
                text.push('\n');
            }
            out.write_all(self.separator())?;
            out.write_all(text.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        match (self.lines, self.any) {
            (true, _) => Ok(()),
            (false, true) => out.write_all(b"\n]\n"),
            (false, false) => out.write_all(b"]\n"),
        }
    }
}
