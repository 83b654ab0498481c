//! Hive's text files, as `UNLOAD … WITH (format = 'TEXTFILE')` writes them: no header, no quotes, null is `\N`.

use std::io;

use datafusion::arrow::record_batch::RecordBatch;

use super::{ResultWriter, value};

/// Writes Hive's text.
pub(crate) struct TextWriter {
    delimiter: char,
}

impl TextWriter {
    pub(crate) fn new(delimiter: char) -> Self {
        Self { delimiter }
    }
}

impl ResultWriter for TextWriter {
    fn begin(&mut self, _title: Option<&str>, _out: &mut dyn io::Write) -> io::Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn io::Write) -> io::Result<()> {
        let mut line = String::new();
        let mut cell = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            for (index, column) in batch.columns().iter().enumerate() {
                if index > 0 {
                    line.push(self.delimiter);
                }
                cell.clear();
                match value::write_text(column, row, &mut cell) {
                    true => self.push_escaped(&cell, &mut line),
                    false => line.push_str("\\N"),
                }
            }
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut dyn io::Write) -> io::Result<()> {
        Ok(())
    }
}

impl TextWriter {
    /// What would be taken for a delimiter, or for an escape, has a backslash before it.
    fn push_escaped(&self, text: &str, line: &mut String) {
        for ch in text.chars() {
            match ch {
                '\n' => line.push_str("\\n"),
                '\r' => line.push_str("\\r"),
                ch if ch == '\\' || ch == self.delimiter => line.extend(['\\', ch]),
                ch => line.push(ch),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::{
        array::{Int64Array, StringArray},
        datatypes::{DataType, Field, Schema},
    };

    use super::*;

    #[test]
    fn rows_are_lines_and_every_value_stays_one() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("a", DataType::Utf8, true),
            Field::new("b", DataType::Int64, true),
        ]));
        let texts = StringArray::from(vec![Some("x,y\n\\N"), None, Some("")]);
        let numbers = Int64Array::from(vec![Some(1), Some(2), None]);
        let batch = RecordBatch::try_new(schema, vec![Arc::new(texts), Arc::new(numbers)]).unwrap();
        let mut out = Vec::new();
        TextWriter::new(',').batch(&batch, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "x\\,y\\n\\\\N,1\n\\N,2\n,\\N\n");
    }
}
