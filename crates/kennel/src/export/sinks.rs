//! The files of a bundle, all fed from one stream of rows: those for people, which show what became of each, and those
//! for machines, whose writers need nothing of each other.

use std::io::Write;

use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use kennel_engine::CannedQuery;
use sha2::{Digest, Sha256};

use super::{
    folder::hex,
    keys::Mark,
    ocsf::{self, Findings, Standing},
    staging::{BundleFile, Staging},
    summary,
    together::{Task, together},
    twins::Kept,
};
use crate::{
    error::CliError,
    output::{
        About, Document, Format, HtmlDocument, JsonRows, JsonWriter, Look, ResultWriter, Workbook,
        report::Report, target::file_names, writer,
    },
    printer::Printer,
};

/// The page.
pub(crate) const PAGE: &str = "index.html";
/// The workbook.
pub(crate) const WORKBOOK: &str = "report.xlsx";
/// Rows of a question that the page shows: more are for a table, not for eyes.
const MOST_PAGE_ROWS: u64 = 5_000;
/// Rows of a question in the workbook, where other files have all of them: a sheet of more is slow to write and to open.
const MOST_SHEET_ROWS: u32 = 50_000;

/// A form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum ExportFormat {
    /// `index.html`: one self-contained page
    Html,
    /// `report.xlsx`: a summary, and a sheet for each question
    Xlsx,
    /// A file for each question
    Csv,
    /// A file for each question
    Json,
    /// A file for each question
    Jsonl,
    /// A file for each question
    Parquet,
    /// `summary.md`: ten lines for mail or chat
    Markdown,
    /// `findings.ocsf.jsonl`: the rows of audits as OCSF Detection Findings
    Ocsf,
}

impl ExportFormat {
    /// The format of the files for each question, where it has them.
    fn of_rows(self) -> Option<Format> {
        match self {
            Self::Csv => Some(Format::Csv),
            Self::Json => Some(Format::Json),
            Self::Jsonl => Some(Format::Jsonl),
            Self::Parquet => Some(Format::Parquet),
            Self::Html | Self::Xlsx | Self::Markdown | Self::Ocsf => None,
        }
    }
}

/// All files.
pub(crate) struct Sinks {
    staging: Staging,
    formats: Vec<ExportFormat>,
    people: People,
    /// File names of questions without an ending, by their order.
    stems: Vec<String>,
    asked: usize,
    open: Option<Open>,
}

/// Page, workbook and findings: what tells of rows what became of them.
pub(crate) struct People {
    page: Option<HtmlDocument>,
    workbook: Option<Workbook>,
    findings: Option<(Findings, BundleFile)>,
    has_marks: bool,
}

/// A file of rows, and who writes them into it.
type RowsFile = (Box<dyn ResultWriter>, BundleFile);

/// The question that is being written.
struct Open {
    /// Those that take rows as they are.
    files: Vec<RowsFile>,
    array: Option<(JsonWriter, BundleFile)>,
    lines: JsonWriter,
    hashed: Lines,
}

/// A question's rows as JSON lines, which every bundle has the hash of.
enum Lines {
    File(BundleFile),
    Hash(Sha256),
}

impl Lines {
    fn rows(&mut self, rows: &[&JsonRows]) -> Result<(), CliError> {
        for rows in rows {
            match self {
                Self::File(file) => file.write_all(rows.lines().as_bytes())?,
                Self::Hash(hasher) => hasher.update(rows.lines()),
            }
        }
        Ok(())
    }
}

impl People {
    /// Rows of the question, and what became of each.
    pub(super) fn rows(&mut self, batch: &RecordBatch, marks: &[Mark]) -> Result<(), CliError> {
        let words = words(self.has_marks, marks);
        if let Some(workbook) = &mut self.workbook {
            workbook.marked(batch, &words)?;
        }
        if let Some(page) = &mut self.page {
            page.marked(batch, &words)?;
        }
        Ok(())
    }

    /// A row of an audit as a finding.
    pub(super) fn finding(
        &mut self,
        query: &CannedQuery,
        batch: &RecordBatch,
        row: usize,
        key: &str,
        standing: Standing,
    ) -> Result<(), CliError> {
        if let Some((findings, file)) = &mut self.findings {
            findings.row(query, batch, row, key, standing, file)?;
        }
        Ok(())
    }

    /// A finding that is gone.
    pub(super) fn gone(
        &mut self,
        query: &CannedQuery,
        columns: &[String],
        key: &str,
    ) -> Result<(), CliError> {
        if let Some((findings, file)) = &mut self.findings {
            findings.gone(query, columns, key, file)?;
        }
        Ok(())
    }
}

/// The files of a question.
pub(crate) struct Written {
    pub(crate) files: Vec<String>,
    pub(crate) rows_sha256: String,
}

impl Sinks {
    /// Opens what all questions go to.
    pub(crate) fn open(
        staging: Staging,
        formats: &[ExportFormat],
        ids: &[String],
        at: chrono::DateTime<chrono::Utc>,
    ) -> Result<Self, CliError> {
        let has = |format| formats.contains(&format);
        // What the workbook leaves out must be somewhere.
        let has_rows = formats.iter().any(|format| format.of_rows().is_some());
        let sheet_rows = has_rows.then_some(MOST_SHEET_ROWS);
        let findings = match has(ExportFormat::Ocsf) {
            true => Some((Findings::new(at), staging.create(ocsf::NAME)?)),
            false => None,
        };
        let stems = file_names(ids, Format::Csv).into_iter().map(|name| {
            let stem = name.strip_suffix(".csv");
            stem.unwrap_or(&name).to_owned()
        });
        Ok(Self {
            people: People {
                page: has(ExportFormat::Html).then(|| HtmlDocument::for_report(MOST_PAGE_ROWS)),
                workbook: has(ExportFormat::Xlsx)
                    .then(|| Workbook::for_report(sheet_rows))
                    .transpose()?,
                findings,
                has_marks: false,
            },
            formats: formats.to_vec(),
            stems: stems.collect(),
            asked: 0,
            open: None,
            staging,
        })
    }

    /// Whether findings need the keys of rows.
    pub(crate) fn wants_findings(&self) -> bool {
        self.people.findings.is_some()
    }

    /// Before the first row of the next question.
    pub(crate) fn begin(
        &mut self,
        about: &About,
        schema: &SchemaRef,
        has_marks: bool,
    ) -> Result<(), CliError> {
        let stem = self.stems.get(self.asked).cloned().unwrap_or_default();
        self.asked += 1;
        self.people.has_marks = has_marks;
        if let Some(page) = &mut self.people.page {
            page.begin_in_report(about, schema, has_marks, false);
        }
        if let Some(workbook) = &mut self.people.workbook {
            workbook.begin_in_report(about, schema, has_marks)?;
        }
        let of_json = [ExportFormat::Json, ExportFormat::Jsonl];
        let files = self.files_for(&stem, schema, |format| !of_json.contains(&format))?;
        let array = match self.formats.contains(&ExportFormat::Json) {
            true => {
                let mut file = self.staging.create(&format!("json/{stem}.json"))?;
                let mut writer = JsonWriter::array(schema);
                writer.begin(None, &mut file)?;
                Some((writer, file))
            }
            false => None,
        };
        let hashed = match self.formats.contains(&ExportFormat::Jsonl) {
            true => Lines::File(self.staging.create(&format!("jsonl/{stem}.jsonl"))?),
            false => Lines::Hash(Sha256::new()),
        };
        self.open = Some(Open {
            files,
            array,
            lines: JsonWriter::lines(schema),
            hashed,
        });
        Ok(())
    }

    fn files_for(
        &self,
        stem: &str,
        schema: &SchemaRef,
        wanted: impl Fn(ExportFormat) -> bool,
    ) -> Result<Vec<RowsFile>, CliError> {
        let formats = self.formats.iter().filter(|format| wanted(**format));
        let formats = formats.filter_map(|format| format.of_rows());
        let files = formats.map(|format| {
            let extension = format.extension();
            let mut file = self
                .staging
                .create(&format!("{extension}/{stem}.{extension}"))?;
            let mut writer = writer(format, schema, Look::default());
            writer.begin(None, &mut file)?;
            Ok((writer, file))
        });
        files.collect()
    }

    /// Who makes the rows of the question that is open JSON.
    pub(super) fn lines(&self) -> Option<&JsonWriter> {
        self.open.as_ref().map(|open| &open.lines)
    }

    /// Page, workbook and findings.
    pub(super) fn people(&mut self) -> &mut People {
        &mut self.people
    }

    /// What is to be done with rows, which are there as JSON, too: for people by the caller, and a task for each of the
    /// other files.
    pub(super) fn writing<'t>(
        &'t mut self,
        batch: &'t RecordBatch,
        rows: &'t [&JsonRows],
    ) -> (&'t mut People, Vec<Task<'t>>) {
        let mut tasks: Vec<Task<'t>> = Vec::new();
        if let Some(open) = &mut self.open {
            for (writer, file) in &mut open.files {
                tasks.push(Box::new(move || Ok(writer.batch(batch, file)?)));
            }
            if let Some((writer, file)) = &mut open.array {
                tasks.push(Box::new(move || {
                    rows.iter().try_for_each(|rows| writer.write(rows, file))?;
                    Ok(())
                }));
            }
            let hashed = &mut open.hashed;
            tasks.push(Box::new(move || hashed.rows(rows)));
        }
        (&mut self.people, tasks)
    }

    /// After the last row of the question.
    pub(crate) fn end(&mut self) -> Result<Written, CliError> {
        let Some(open) = self.open.take() else {
            return Ok(Written {
                files: Vec::new(),
                rows_sha256: String::new(),
            });
        };
        if let Some(workbook) = &mut self.people.workbook {
            workbook.end()?;
        }
        let mut files = Vec::new();
        let array = open
            .array
            .map(|(writer, file)| -> RowsFile { (Box::new(writer), file) });
        for (mut writer, mut file) in open.files.into_iter().chain(array) {
            writer.finish(&mut file)?;
            files.push(file.path().to_owned());
            self.staging.finish(file)?;
        }
        let rows_sha256 = match open.hashed {
            Lines::File(file) => {
                files.push(file.path().to_owned());
                self.staging.finish(file)?
            }
            Lines::Hash(hasher) => hex(&hasher.finalize()),
        };
        files.sort_unstable();
        Ok(Written { files, rows_sha256 })
    }

    /// Rows that the workbook shows of a question; none without a workbook. More only where no other file has them.
    pub(super) fn sheet_rows(&self) -> usize {
        match self.people.workbook {
            Some(_) => MOST_SHEET_ROWS as usize,
            None => 0,
        }
    }

    /// Whether rows of a question are in files of their own, so that the workbook may leave some out.
    pub(super) fn has_rows(&self) -> bool {
        self.formats.iter().any(|format| format.of_rows().is_some())
    }

    /// The next question, which comes to the one that was asked as number `first`: its rows once more.
    pub(super) fn repeat(
        &mut self,
        first: usize,
        about: &About,
        kept: &Kept,
        row_count: u64,
    ) -> Result<Vec<String>, CliError> {
        let stem = |at: usize| self.stems.get(at).cloned().unwrap_or_default();
        let (from, to) = (stem(first), stem(self.asked));
        self.asked += 1;
        if let Some(page) = &mut self.people.page {
            page.repeat_in_report(first, about);
        }
        if let Some(workbook) = &mut self.people.workbook {
            workbook.begin_in_report(about, &kept.schema, kept.has_marks)?;
            self.people.has_marks = kept.has_marks;
            for (batch, marks) in &kept.rows {
                workbook.marked(batch, &words(kept.has_marks, marks))?;
            }
            workbook.leave_out(row_count - kept.row_count());
            workbook.end()?;
        }
        let mut files = Vec::new();
        for format in self.formats.iter().filter_map(|format| format.of_rows()) {
            let extension = format.extension();
            let path = format!("{extension}/{to}.{extension}");
            self.staging
                .link(&format!("{extension}/{from}.{extension}"), &path)?;
            files.push(path);
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Accepted rows of the question before, which stand apart from it in every form.
    pub(crate) fn accepted(
        &mut self,
        about: &About,
        schema: &SchemaRef,
        batches: &[RecordBatch],
    ) -> Result<Vec<String>, CliError> {
        if let Some(page) = &mut self.people.page {
            page.begin_in_report(about, schema, false, true);
            batches
                .iter()
                .try_for_each(|batch| page.marked(batch, &[]))?;
        }
        if let Some(workbook) = &mut self.people.workbook {
            workbook.begin_in_report(about, schema, false)?;
            batches
                .iter()
                .try_for_each(|batch| workbook.marked(batch, &[]))?;
            workbook.end()?;
        }
        let stem = self.asked.checked_sub(1).and_then(|at| self.stems.get(at));
        let stem = format!("{}.accepted", stem.cloned().unwrap_or_default());
        let mut files = Vec::new();
        for (mut writer, mut file) in self.files_for(&stem, schema, |_| true)? {
            for batch in batches {
                writer.batch(batch, &mut file)?;
            }
            writer.finish(&mut file)?;
            files.push(file.path().to_owned());
            self.staging.finish(file)?;
        }
        Ok(files)
    }

    /// Writes what sums all questions up.
    pub(crate) fn finish(
        mut self,
        report: &Report,
        printer: &Printer,
    ) -> Result<Staging, CliError> {
        if let Some((_, file)) = self.people.findings.take() {
            self.staging.finish(file)?;
        }
        let begin =
            |path: &str, is_wanted: bool| is_wanted.then(|| self.staging.create(path)).transpose();
        let mut page_file = begin(PAGE, self.people.page.is_some())?;
        let mut workbook_file = begin(WORKBOOK, self.people.workbook.is_some())?;
        let mut tasks: Vec<Task<'_>> = Vec::new();
        if let (Some(workbook), Some(file)) = (&mut self.people.workbook, &mut workbook_file) {
            tasks.push(Box::new(move || Ok(workbook.close_report(report, file)?)));
        }
        if let (Some(page), Some(file)) = (&mut self.people.page, &mut page_file) {
            tasks.push(Box::new(move || Ok(page.close_report(report, file)?)));
        }
        together(tasks, false)?;
        for file in page_file.into_iter().chain(workbook_file) {
            self.staging.finish(file)?;
        }
        for note in self.people.workbook.iter().flat_map(Workbook::notes) {
            printer.warn(&note);
        }
        if self.formats.contains(&ExportFormat::Markdown) {
            self.staging
                .write(summary::NAME, summary::text(report).as_bytes())?;
        }
        Ok(self.staging)
    }
}

/// What pages and workbooks write of marks.
fn words(has_marks: bool, marks: &[Mark]) -> Vec<&'static str> {
    match has_marks {
        true => marks.iter().map(|mark| mark.word()).collect(),
        false => Vec::new(),
    }
}

impl Mark {
    /// As pages and workbooks write it.
    fn word(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::New => "new",
            Self::Changed => "changed",
        }
    }
}
