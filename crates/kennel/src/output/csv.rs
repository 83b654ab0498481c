//! CSV after RFC 4180: a header, CRLF, quotes where needed. Null is empty, empty text is `""`, so the
//! two can be told apart (which the csv crate's writer cannot do). Values are never changed: a spreadsheet's formulas
//! are the spreadsheet formats' concern.

use std::io;

use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};

use super::{
    ResultWriter,
    cells::{Cell, Cells},
};

/// Writes CSV.
pub(super) struct CsvWriter {
    schema: SchemaRef,
}

impl CsvWriter {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        Self {
            schema: SchemaRef::clone(schema),
        }
    }
}

impl ResultWriter for CsvWriter {
    fn begin(&mut self, _title: Option<&str>, out: &mut dyn io::Write) -> io::Result<()> {
        let mut line = String::new();
        for (i, field) in self.schema.fields().iter().enumerate() {
            if i > 0 {
                line.push(',');
            }
            push_field(field.name(), &mut line);
        }
        line.push_str("\r\n");
        out.write_all(line.as_bytes())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn io::Write) -> io::Result<()> {
        let mut line = String::new();
        let mut text = String::new();
        let columns = Cells::all(batch);
        for row in 0..batch.num_rows() {
            line.clear();
            for (i, column) in columns.iter().enumerate() {
                if i > 0 {
                    line.push(',');
                }
                match column.get(row) {
                    Cell::Text(text) => push_field(text, &mut line),
                    cell => {
                        text.clear();
                        if cell.write_text(&mut text) {
                            push_field(&text, &mut line);
                        }
                    }
                }
            }
            line.push_str("\r\n");
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut dyn io::Write) -> io::Result<()> {
        Ok(())
    }
}

fn push_field(text: &str, line: &mut String) {
    let is_special = |byte| (byte == b'"') | (byte == b',') | (byte == b'\r') | (byte == b'\n');
    let has_special = text.bytes().fold(false, |any, byte| any | is_special(byte));
    if text.is_empty() || has_special {
        line.push('"');
        line.push_str(&text.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(text);
    }
}
