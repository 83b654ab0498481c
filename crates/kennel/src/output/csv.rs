//! CSV after RFC 4180: a header, CRLF, quotes where needed. Null is empty, empty text is `""`, so the
//! two can be told apart (which the csv crate's writer cannot do). Values are never changed: a spreadsheet's formulas
//! are the spreadsheet formats' concern.

use std::io;

use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};

use super::{ResultWriter, value};

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
        let mut cell = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            for (i, column) in batch.columns().iter().enumerate() {
                if i > 0 {
                    line.push(',');
                }
                cell.clear();
                if value::write_text(column, row, &mut cell) {
                    push_field(&cell, &mut line);
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
    if text.is_empty() || text.contains(['"', ',', '\r', '\n']) {
        line.push('"');
        line.push_str(&text.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(text);
    }
}
