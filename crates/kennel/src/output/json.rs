//! JSON: an array of objects, or one object a line. Columns keep their order; of columns with equal
//! names the later ones are numbered (`name_2`).

use std::io;

use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};

use super::{ResultWriter, distinct_names, value};

/// Writes JSON or JSON lines.
pub(super) struct JsonWriter {
    /// `"name":` of each column.
    keys: Vec<String>,
    lines: bool,
    any: bool,
}

impl JsonWriter {
    pub(super) fn array(schema: &SchemaRef) -> Self {
        Self::new(schema, false)
    }

    pub(super) fn lines(schema: &SchemaRef) -> Self {
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
}

impl ResultWriter for JsonWriter {
    fn begin(&mut self, _title: Option<&str>, out: &mut dyn io::Write) -> io::Result<()> {
        if self.lines {
            Ok(())
        } else {
            out.write_all(b"[")
        }
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn io::Write) -> io::Result<()> {
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            text.clear();
            if !self.lines {
                text.push_str(if self.any { ",\n" } else { "\n" });
            }
            self.any = true;
            text.push('{');
            for (i, (key, column)) in self.keys.iter().zip(batch.columns()).enumerate() {
                if i > 0 {
                    text.push(',');
                }
                text.push_str(key);
                value::write_json(column, row, &mut text);
            }
            text.push('}');
            if self.lines {
                text.push('\n');
            }
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
