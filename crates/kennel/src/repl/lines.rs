//! Line mode: one line a value, for rows that are wider than any screen.

use std::io;

use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};

use crate::{
    output::{ResultWriter, value},
    text::{counted, visible, width},
};

/// Writes rows turned.
pub(super) struct LineWriter {
    names: Vec<String>,
    name_width: usize,
    most_rows: u64,
    row_count: u64,
}

impl LineWriter {
    /// Of a result with these columns so many rows.
    pub(super) fn new(schema: &SchemaRef, most_rows: u64) -> Self {
        let fields = schema.fields().iter();
        let names = fields
            .map(|field| visible(field.name()).into_owned())
            .collect::<Vec<_>>();
        let name_width = names
            .iter()
            .map(|name| width(name))
            .max()
            .unwrap_or_default();
        Self {
            names,
            name_width,
            most_rows,
            row_count: 0,
        }
    }
}

impl ResultWriter for LineWriter {
    fn begin(&mut self, title: Option<&str>, out: &mut dyn io::Write) -> io::Result<()> {
        match title {
            Some(title) => writeln!(out, "{}", visible(title)),
            None => Ok(()),
        }
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn io::Write) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            self.row_count += 1;
            if self.row_count > self.most_rows {
                continue;
            }
            writeln!(out, "─[ row {} ]", self.row_count)?;
            for (name, column) in self.names.iter().zip(batch.columns()) {
                let mut text = String::new();
                value::write_text(column, row, &mut text);
                let indent = self.name_width - width(name);
                writeln!(out, "{:indent$}{name} │ {}", "", visible(&text))?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        let rows = counted(self.row_count, "row");
        if self.row_count > self.most_rows {
            writeln!(out, "({rows}; {} shown)", self.most_rows)
        } else {
            writeln!(out, "({rows})")
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
    fn rows_are_turned_and_data_cannot_steer_the_terminal() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("name\u{1b}[31m", DataType::Utf8, true),
        ]));
        let columns: Vec<datafusion::arrow::array::ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(1), None])),
            Arc::new(StringArray::from(vec!["a\u{1b}[2Jb\nc", "x"])),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let mut out = Vec::new();
        let mut writer = LineWriter::new(&schema, 1);
        writer.begin(None, &mut out).unwrap();
        writer.batch(&batch, &mut out).unwrap();
        writer.finish(&mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
        ─[ row 1 ]
                     n │ 1
        name\u{1b}[31m │ a\u{1b}[2Jb\nc
        (2 rows; 1 shown)
        ");
    }
}
