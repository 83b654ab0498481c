//! A GitHub table, for tickets and pull requests. What data could use as markup is escaped.

use std::{fmt::Write as _, io};

use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};

use super::{ResultWriter, value};
use crate::text::{counted, visible};

/// Writes Markdown.
pub(super) struct MarkdownWriter {
    schema: SchemaRef,
    row_count: u64,
}

impl MarkdownWriter {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        Self {
            schema: SchemaRef::clone(schema),
            row_count: 0,
        }
    }
}

impl ResultWriter for MarkdownWriter {
    fn begin(&mut self, title: Option<&str>, out: &mut dyn io::Write) -> io::Result<()> {
        let mut text = String::new();
        if let Some(title) = title {
            text.push_str("## ");
            push_escaped(title, &mut text);
            text.push_str("\n\n");
        }
        for field in self.schema.fields() {
            text.push_str("| ");
            push_escaped(field.name(), &mut text);
            text.push(' ');
        }
        text.push_str("|\n");
        for field in self.schema.fields() {
            text.push_str(if value::is_number(field.data_type()) {
                "| ---: "
            } else {
                "| --- "
            });
        }
        text.push_str("|\n");
        out.write_all(text.as_bytes())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn io::Write) -> io::Result<()> {
        self.row_count += batch.num_rows() as u64;
        let mut line = String::new();
        let mut cell = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            for column in batch.columns() {
                cell.clear();
                value::write_text(column, row, &mut cell);
                line.push_str("| ");
                push_escaped(&cell, &mut line);
                line.push(' ');
            }
            line.push_str("|\n");
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut text = String::new();
        let _infallible = writeln!(text, "\n{}", counted(self.row_count, "row"));
        out.write_all(text.as_bytes())
    }
}

fn push_escaped(text: &str, out: &mut String) {
    for character in visible(text).chars() {
        // An underscore within a word is no markup on GitHub, and names are full of them.
        if matches!(
            character,
            '\\' | '|' | '<' | '>' | '[' | ']' | '`' | '*' | '&' | '~'
        ) {
            out.push('\\');
        }
        out.push(character);
    }
}
