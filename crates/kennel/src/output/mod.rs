//! Results as bytes: one file per format. A stream of record batches goes in, bytes come out, and no writer holds a
//! whole result. Forms in which results follow each other are [`ResultWriter`]s; forms that put something around
//! them (a page, a workbook) are [`Document`]s. [`value`] renders single values for all of them, [`target`] decides
//! where the bytes go, [`results`] brings the two together for a command.

pub(crate) mod about;
pub(crate) mod cells;
mod csv;
mod html;
mod json;
mod markdown;
mod parquet;
pub(crate) mod report;
pub(crate) mod results;
mod rows;
mod table;
pub(crate) mod target;
pub(crate) mod text;
pub(crate) mod value;
mod xlsx;

use std::{collections::HashSet, io};

use datafusion::{
    arrow::{datatypes::SchemaRef, record_batch::RecordBatch},
    execution::SendableRecordBatchStream,
};
use futures::StreamExt;

use crate::error::CliError;

pub(crate) use about::About;
pub(crate) use html::HtmlDocument;
pub(crate) use json::{JsonRows, JsonWriter};
pub(crate) use rows::Rows;
pub(crate) use table::{Look, PlainTable};
pub(crate) use xlsx::Workbook;

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
    /// One self-contained page: summary, charts, tables to sort and filter.
    Html,
    /// An Excel workbook, a sheet for each result.
    Xlsx,
    /// Apache Parquet, with the types of the result.
    Parquet,
}

impl Format {
    /// Whether several results may follow each other in one file.
    pub(crate) fn joins(self) -> bool {
        matches!(self, Self::Table | Self::Markdown)
    }

    /// Whether several results make one document, which is closed when all are in it.
    pub(crate) fn is_document(self) -> bool {
        matches!(self, Self::Html | Self::Xlsx)
    }

    /// Whether it is no text, so that a terminal must not get it.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Self::Xlsx | Self::Parquet)
    }

    /// Its name as `-f` takes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Markdown => "markdown",
            other => other.extension(),
        }
    }

    /// The file name extension.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Table => "txt",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Markdown => "md",
            Self::Html => "html",
            Self::Xlsx => "xlsx",
            Self::Parquet => "parquet",
        }
    }
}

/// Writes one result: `begin`, any number of batches, `finish`.
pub(crate) trait ResultWriter: Send {
    /// Before the first batch. A title stands above results that follow each other.
    fn begin(&mut self, title: Option<&str>, out: &mut dyn io::Write) -> io::Result<()>;
    /// Rows, in the order of the stream.
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn io::Write) -> io::Result<()>;
    /// After the last batch.
    fn finish(&mut self, out: &mut dyn io::Write) -> io::Result<()>;
}

/// Writes several results as one thing: for each `begin`, any number of batches, `end`; then `close`.
///
/// What must stand before the rows (how many there are, a chart of them) is known after them: a document keeps rows
/// in a temporary file until it is closed.
pub(crate) trait Document: Send {
    /// Before the first batch of a result.
    fn begin(&mut self, about: &About, schema: &SchemaRef) -> io::Result<()>;
    /// Rows, in the order of the stream.
    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()>;
    /// After the last batch of a result.
    fn end(&mut self) -> io::Result<()>;
    /// Writes all of it.
    fn close(&mut self, out: &mut dyn io::Write) -> io::Result<()>;
    /// What the reader of standard error should know about what was written; asked after `close`.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The document of a format that is one.
pub(crate) fn document(format: Format) -> Option<Box<dyn Document>> {
    match format {
        Format::Html => Some(Box::new(HtmlDocument::new())),
        Format::Xlsx => Some(Box::new(Workbook::new())),
        _ => None,
    }
}

/// A document of one result, written as any other result is.
struct Alone {
    document: Box<dyn Document>,
    schema: SchemaRef,
}

impl Alone {
    fn boxed(document: impl Document + 'static, schema: &SchemaRef) -> Box<dyn ResultWriter> {
        Box::new(Self {
            document: Box::new(document),
            schema: SchemaRef::clone(schema),
        })
    }
}

impl ResultWriter for Alone {
    fn begin(&mut self, title: Option<&str>, _out: &mut dyn io::Write) -> io::Result<()> {
        let about = About {
            title: title.map(str::to_owned),
            ..About::default()
        };
        self.document.begin(&about, &self.schema)
    }

    fn batch(&mut self, batch: &RecordBatch, _out: &mut dyn io::Write) -> io::Result<()> {
        self.document.batch(batch)
    }

    fn finish(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        self.document.end()?;
        self.document.close(out)
    }
}

/// A limit of a format that a result goes beyond: the message, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct FormatLimit {
    /// What does not fit.
    pub(crate) message: String,
    /// What to do instead.
    pub(crate) hint: String,
}

impl From<FormatLimit> for io::Error {
    fn from(limit: FormatLimit) -> Self {
        Self::other(limit)
    }
}

/// The writer of one result in a format.
pub(crate) fn writer(format: Format, schema: &SchemaRef, look: Look) -> Box<dyn ResultWriter> {
    match format {
        Format::Html => Alone::boxed(HtmlDocument::new(), schema),
        Format::Xlsx => Alone::boxed(Workbook::new(), schema),
        Format::Parquet => Box::new(parquet::ParquetWriter::new(schema)),
        Format::Table => Box::new(table::TableWriter::new(schema, look)),
        Format::Csv => Box::new(csv::CsvWriter::new(schema)),
        Format::Json => Box::new(JsonWriter::array(schema)),
        Format::Jsonl => Box::new(JsonWriter::lines(schema)),
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
pub(crate) fn distinct_names(schema: &SchemaRef) -> Vec<String> {
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
