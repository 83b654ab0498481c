//! `UNLOAD (…) TO 'file:///…'`: a result as files in a folder of its own.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use datafusion::arrow::{
    array::{RecordBatch, UInt32Array},
    compute::take_record_batch,
    datatypes::{Schema, SchemaRef},
};
use flate2::{Compression, write::GzEncoder};
use futures::StreamExt;
use kennel_engine::{Answer, Caveat, Unload, UnloadFormat};

use crate::{
    context::Context,
    error::CliError,
    output::{Format, Look, ResultWriter, target::OpenFile, text::TextWriter, value, writer},
};

/// The one file of a folder, without its extension.
const FILE: &str = "part-00000";

/// Most partitions, as in Athena: each has a file that is open until the end.
const MOST_PARTITIONS: usize = 100;

/// How Hive calls the partition of rows without a value.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// Writes the files and says so; returns what the rows lack.
///
/// The folder must be empty or not be there, as in Athena: a result is never mixed with an older one.
pub(crate) async fn write(unload: Unload, cx: &Context) -> Result<Vec<Caveat>, CliError> {
    let Unload {
        answer,
        folder,
        format,
        gzip,
        partitioned_by,
        notes,
    } = unload;
    let is_new = prepare(&folder)?;
    let Answer {
        schema,
        stream,
        caveats,
        ..
    } = answer;
    let mut files = Files::new(&folder, format, gzip, &schema, partitioned_by.len());
    let done = files.write(stream).await;
    match done.and_then(|row_count| files.finish().map(|paths| (row_count, paths))) {
        Ok((row_count, paths)) => {
            let place = match paths.as_slice() {
                [only] if partitioned_by.is_empty() => only.display().to_string(),
                paths => format!("{} files in {}", paths.len(), folder.display()),
            };
            cx.printer
                .info(&format!("wrote {row_count} rows to {place}"));
        }
        Err(error) => {
            clear(&folder, is_new);
            return Err(error);
        }
    }
    notes
        .iter()
        .for_each(|note| cx.printer.info(&format!("note: {note}")));
    Ok(caveats)
}

/// Makes the folder; says whether it was not there.
fn prepare(folder: &Path) -> Result<bool, CliError> {
    let name = folder.display();
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(false),
            Some(_) => Err(CliError::new(format!("the folder `{name}` is not empty"))
                .hint("UNLOAD writes into an empty or a new folder")),
        },
        Err(_) if folder.exists() => Err(CliError::new(format!("`{name}` is no folder"))),
        Err(_) => match fs::create_dir_all(folder) {
            Ok(()) => Ok(true),
            Err(e) => Err(CliError::new(format!("cannot create the folder `{name}`")).cause(&e)),
        },
    }
}

/// Takes what is unfinished away: the folder was empty before.
fn clear(folder: &Path, is_new: bool) {
    if is_new {
        let _left = fs::remove_dir_all(folder);
        return;
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        let _left = match path.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
    }
}

/// Where the bytes of a file go.
enum Sink {
    Plain(OpenFile),
    Gzip(Box<GzEncoder<OpenFile>>),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Gzip(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Gzip(file) => file.flush(),
        }
    }
}

/// A file that is being written.
struct Part {
    writer: Box<dyn ResultWriter>,
    sink: Sink,
}

impl Part {
    fn finish(mut self) -> Result<Option<PathBuf>, CliError> {
        self.writer.finish(&mut self.sink)?;
        let file = match self.sink {
            Sink::Plain(file) => file,
            Sink::Gzip(file) => file.finish()?,
        };
        file.finish()
    }
}

/// The files of a result: one, or one for each combination of partition values.
struct Files {
    folder: PathBuf,
    format: UnloadFormat,
    gzip: bool,
    /// The columns that are written.
    schema: SchemaRef,
    /// Names of the partition columns, which are the last ones.
    partitions: Vec<String>,
    parts: BTreeMap<Vec<String>, Part>,
}

impl Files {
    fn new(
        folder: &Path,
        format: UnloadFormat,
        gzip: bool,
        schema: &SchemaRef,
        partitions: usize,
    ) -> Self {
        let fields = schema.fields();
        let (written, partitions) = fields.split_at(fields.len().saturating_sub(partitions));
        let names = partitions.iter().map(|field| field.name().clone());
        Self {
            folder: folder.to_owned(),
            format,
            gzip,
            schema: Arc::new(Schema::new(written.to_vec())),
            partitions: names.collect(),
            parts: BTreeMap::new(),
        }
    }

    async fn write(
        &mut self,
        mut stream: datafusion::execution::SendableRecordBatchStream,
    ) -> Result<u64, CliError> {
        if self.partitions.is_empty() {
            self.part(vec![])?;
        }
        let mut row_count = 0;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(CliError::from_execution)?;
            row_count += batch.num_rows() as u64;
            self.batch(&batch)?;
        }
        Ok(row_count)
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        if self.partitions.is_empty() {
            let part = self.part(vec![])?;
            return Ok(part.writer.batch(batch, &mut part.sink)?);
        }
        let width = self.schema.fields().len();
        let mut rows = BTreeMap::<Vec<String>, Vec<u32>>::new();
        for row in 0..batch.num_rows() {
            let values = batch.columns()[width..].iter().map(|column| {
                let mut text = String::new();
                match value::write_text(column, row, &mut text) && !text.is_empty() {
                    true => text,
                    false => NO_VALUE.to_owned(),
                }
            });
            let row = u32::try_from(row).map_err(io::Error::other)?;
            rows.entry(values.collect()).or_default().push(row);
        }
        let columns = (0..width).collect::<Vec<_>>();
        let written = batch.project(&columns).map_err(io::Error::other)?;
        for (values, rows) in rows {
            let chosen = take_record_batch(&written, &UInt32Array::from(rows));
            let chosen = chosen.map_err(io::Error::other)?;
            let part = self.part(values)?;
            part.writer.batch(&chosen, &mut part.sink)?;
        }
        Ok(())
    }

    /// The file of these partition values.
    fn part(&mut self, values: Vec<String>) -> Result<&mut Part, CliError> {
        if self.parts.len() >= MOST_PARTITIONS && !self.parts.contains_key(&values) {
            return Err(CliError::new(format!(
                "the rows have more than {MOST_PARTITIONS} partitions"
            ))
            .hint("partition by fewer columns, or unload a part of the rows, with WHERE"));
        }
        let mut folder = self.folder.clone();
        for (name, value) in self.partitions.iter().zip(&values) {
            folder.push(format!("{}={}", escaped(name), escaped(value)));
        }
        let entry = match self.parts.entry(values) {
            Entry::Occupied(known) => return Ok(known.into_mut()),
            Entry::Vacant(entry) => entry,
        };
        fs::create_dir_all(&folder).map_err(|e| {
            CliError::new(format!("cannot create the folder `{}`", folder.display())).cause(&e)
        })?;
        let (form, extension) = match self.format {
            UnloadFormat::Parquet => (Format::Parquet, "parquet"),
            UnloadFormat::Json => (Format::Jsonl, "json"),
            UnloadFormat::Text { .. } => (Format::Csv, "txt"),
        };
        let ending = if self.gzip { ".gz" } else { "" };
        let file = OpenFile::open(&folder.join(format!("{FILE}.{extension}{ending}")))?;
        let mut sink = match self.gzip {
            true => Sink::Gzip(Box::new(GzEncoder::new(file, Compression::default()))),
            false => Sink::Plain(file),
        };
        let mut writer = match self.format {
            UnloadFormat::Text { delimiter } => Box::new(TextWriter::new(delimiter)),
            _ => writer(form, &self.schema, Look::default()),
        };
        writer.begin(None, &mut sink)?;
        Ok(entry.insert(Part { writer, sink }))
    }

    /// Closes all files and gives them their names.
    fn finish(self) -> Result<Vec<PathBuf>, CliError> {
        let parts = self.parts.into_values().map(Part::finish);
        Ok(parts
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }
}

/// A value as the name of a folder, as Hive writes it: what is not plain is `%` and two digits.
fn escaped(value: &str) -> String {
    let mut name = String::with_capacity(value.len());
    for ch in value.chars() {
        let is_special = ch.is_control() || "\"#%'*/:=?\\{[]^".contains(ch);
        let is_hidden = name.is_empty() && ch == '.';
        if !(is_special || is_hidden) {
            name.push(ch);
            continue;
        }
        let mut bytes = [0; 4];
        for byte in ch.encode_utf8(&mut bytes).bytes() {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_folder() {
        let cases = [
            ("us-east-1", "us-east-1"),
            ("2026/01/02", "2026%2F01%2F02"),
            ("..", "%2E."),
            ("a=b:c", "a%3Db%3Ac"),
            ("ä\n", "ä%0A"),
        ];
        for (value, expected) in cases {
            assert_eq!(escaped(value), expected);
        }
    }
}
