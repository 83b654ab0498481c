//! Results as bytes: one file per format, one trait. A stream of record batches goes in, bytes come
//! out, and no writer holds a whole result. [`value`] renders single values for all of them,
//! [`target`] decides where the bytes go.

mod csv;
mod json;
mod markdown;
mod table;
pub(crate) mod target;
pub(crate) mod value;

use std::{collections::HashSet, io};

use datafusion::{
    arrow::{datatypes::SchemaRef, record_batch::RecordBatch},
    execution::SendableRecordBatchStream,
};
use futures::StreamExt;

use crate::error::CliError;

pub(crate) use table::{Look, PlainTable};

/// The form of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// RFC 4180 with a header; null is empty, empty text is `""`.
    Csv,
    /// An array of objects.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// A GitHub table.
    Markdown,
}

impl Format {
    /// Whether several results may follow each other in one file.
    pub(crate) fn joins(self) -> bool {
        matches!(self, Self::Table | Self::Markdown)
    }

    /// The file name extension.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Table => "txt",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Markdown => "md",
        }
    }
}

/// Writes one result: `begin`, any number of batches, `finish`.
pub(crate) trait ResultWriter {
    /// Before the first batch. A title stands above results that follow each other.
    fn begin(&mut self, title: Option<&str>, out: &mut dyn io::Write) -> io::Result<()>;
    /// Rows, in the order of the stream.
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn io::Write) -> io::Result<()>;
    /// After the last batch.
    fn finish(&mut self, out: &mut dyn io::Write) -> io::Result<()>;
}

/// The writer of a format.
pub(crate) fn writer(format: Format, schema: &SchemaRef, look: Look) -> Box<dyn ResultWriter> {
    match format {
        Format::Table => Box::new(table::TableWriter::new(schema, look)),
        Format::Csv => Box::new(csv::CsvWriter::new(schema)),
        Format::Json => Box::new(json::JsonWriter::array(schema)),
        Format::Jsonl => Box::new(json::JsonWriter::lines(schema)),
        Format::Markdown => Box::new(markdown::MarkdownWriter::new(schema)),
    }
}

/// Writes a whole stream and says how many rows it had.
pub(crate) async fn write_stream(
    mut stream: SendableRecordBatchStream,
    writer: &mut dyn ResultWriter,
    title: Option<&str>,
    out: &mut dyn io::Write,
) -> Result<u64, CliError> {
    writer.begin(title, out)?;
    let mut row_count = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(CliError::from_execution)?;
        row_count += batch.num_rows() as u64;
        writer.batch(&batch, out)?;
    }
    writer.finish(out)?;
    Ok(row_count)
}

/// Column names that are each used once: in an object, of two equal names one would be lost.
fn distinct_names(schema: &SchemaRef) -> Vec<String> {
    let mut taken = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect::<HashSet<_>>();
    let all_given = taken.len() == schema.fields().len();
    if all_given {
        return schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
    }
    let given = std::mem::take(&mut taken)
        .into_iter()
        .map(str::to_owned)
        .collect::<HashSet<_>>();
    let mut used = HashSet::new();
    schema
        .fields()
        .iter()
        .map(|field| {
            let mut name = field.name().clone();
            let mut number = 2;
            while used.contains(&name) || (name != *field.name() && given.contains(&name)) {
                name = format!("{}_{number}", field.name());
                number += 1;
            }
            used.insert(name.clone());
            name
        })
        .collect()
}

#[cfg(test)]
mod tests;
