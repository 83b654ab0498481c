//! The results of one call: where they go, in which form, and what stands around and between them.

use std::{
    io::{IsTerminal, Write},
    path::Path,
};

use datafusion::{
    arrow::{datatypes::SchemaRef, record_batch::RecordBatch},
    execution::SendableRecordBatchStream,
};
use futures::StreamExt;

use super::{About, Document, Format, Look, document, target::Target, write_stream, writer};
use crate::{error::CliError, printer::Printer};

/// Takes results one after another; nothing has its name before [`Results::finish`].
pub(crate) struct Results<'p> {
    target: Target,
    format: Format,
    printer: &'p Printer,
    /// How many there can be.
    count: usize,
    /// What they all are part of, where they go to one place.
    document: Option<Box<dyn Document>>,
    written: usize,
}

impl<'p> Results<'p> {
    /// Opens the places of results with these names, before the work starts.
    ///
    /// # Errors
    /// What [`Target::open`] refuses, and bytes that are no text on a terminal.
    pub(crate) fn open(
        output: Option<&Path>,
        format: Format,
        names: &[String],
        printer: &'p Printer,
    ) -> Result<Self, CliError> {
        if output.is_none() && format.is_binary() && std::io::stdout().is_terminal() {
            let name = format.name();
            return Err(
                CliError::new(format!("{name} is no text: a terminal cannot show it")).hint(
                    format!("`-o FILE.{name}` writes a file, a pipe takes it too"),
                ),
            );
        }
        let target = Target::open(output, format, names)?;
        let document = match target {
            Target::Stdout | Target::File(_) => document(format),
            Target::Folder(_) => None,
        };
        Ok(Self {
            target,
            format,
            printer,
            count: names.len(),
            document,
            written: 0,
        })
    }

    /// Writes the next result; says how many rows it had.
    pub(crate) async fn write(
        &mut self,
        about: &About,
        schema: &SchemaRef,
        stream: SendableRecordBatchStream,
    ) -> Result<u64, CliError> {
        if let Some(document) = &mut self.document {
            self.written += 1;
            return fill(document.as_mut(), about, schema, stream).await;
        }
        let title = self.title(about);
        let format = self.format;
        let printer = self.printer;
        let (mut out, look) = self.next_place()?;
        let row_count = match document(format) {
            Some(mut document) => {
                let row_count = fill(document.as_mut(), about, schema, stream).await?;
                close(document.as_mut(), &mut out, printer)?;
                row_count
            }
            None => {
                let mut writer = writer(format, schema, look);
                write_stream(stream, writer.as_mut(), title.as_deref(), &mut out).await?
            }
        };
        out.flush()?;
        Ok(row_count)
    }

    /// Writes the next result, which is at hand.
    pub(crate) fn write_batch(
        &mut self,
        about: &About,
        batch: &RecordBatch,
    ) -> Result<(), CliError> {
        let schema = batch.schema();
        if let Some(document) = &mut self.document {
            self.written += 1;
            document.begin(about, &schema)?;
            document.batch(batch)?;
            document.end()?;
            return Ok(());
        }
        let title = self.title(about);
        let format = self.format;
        let (mut out, look) = self.next_place()?;
        let mut writer = writer(format, &schema, look);
        writer.begin(title.as_deref(), &mut out)?;
        writer.batch(batch, &mut out)?;
        writer.finish(&mut out)?;
        out.flush()?;
        Ok(())
    }

    /// Writes the next result, for which the command has a form of its own.
    pub(crate) fn write_text(
        &mut self,
        write: impl FnOnce(&mut dyn Write, Look) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let (mut out, look) = self.next_place()?;
        write(&mut out, look)?;
        out.flush()?;
        Ok(())
    }

    /// Ends what is around the results, gives files their names and says which they are. Without any result nothing
    /// is written, and what was there stays.
    pub(crate) fn finish(mut self) -> Result<(), CliError> {
        if self.written == 0 {
            return Ok(());
        }
        if let Some(mut document) = self.document.take() {
            let (mut out, _) = self.target.place(0, self.printer);
            close(document.as_mut(), &mut out, self.printer)?;
            out.flush()?;
        }
        for path in self.target.finish()? {
            self.printer.info(&format!("wrote {}", path.display()));
        }
        Ok(())
    }

    /// Where several follow each other, each needs its title.
    fn title(&self, about: &About) -> Option<String> {
        let has_title = self.count > 1 && about.title.is_some();
        has_title.then(|| about.heading())
    }

    fn next_place(&mut self) -> Result<(Box<dyn Write + '_>, Look), CliError> {
        let index = self.written.min(self.count.saturating_sub(1));
        let follows = self.written > 0 && !matches!(self.target, Target::Folder(_));
        self.written += 1;
        let (mut out, look) = self.target.place(index, self.printer);
        if follows {
            writeln!(out)?;
        }
        Ok((out, look))
    }
}

async fn fill(
    document: &mut dyn Document,
    about: &About,
    schema: &SchemaRef,
    mut stream: SendableRecordBatchStream,
) -> Result<u64, CliError> {
    document.begin(about, schema)?;
    let mut row_count = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(CliError::from_execution)?;
        row_count += batch.num_rows() as u64;
        document.batch(&batch)?;
    }
    document.end()?;
    Ok(row_count)
}

fn close(
    document: &mut dyn Document,
    out: &mut dyn Write,
    printer: &Printer,
) -> Result<(), CliError> {
    document.close(out)?;
    for note in document.notes() {
        printer.warn(&note);
    }
    Ok(())
}
