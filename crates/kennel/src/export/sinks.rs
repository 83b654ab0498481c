//! The files of a bundle, all fed from one stream of rows.

use std::io::Write;

use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use kennel_engine::CannedQuery;
use sha2::{Digest, Sha256};

use super::{
    folder::{BundleFile, Staging, hex},
    keys::Mark,
    ocsf::{self, Findings, Standing},
    summary,
};
use crate::{
    error::CliError,
    output::{
        About, Document, Format, HtmlDocument, Look, ResultWriter, Workbook, report::Report,
        target::file_names, writer,
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
/// Rows of a batch that are worth another thread.
const WORTH_A_THREAD: usize = 500;

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
    page: Option<HtmlDocument>,
    workbook: Option<Workbook>,
    findings: Option<(Findings, BundleFile)>,
    /// File names of questions without an ending, by their order.
    stems: Vec<String>,
    asked: usize,
    open: Option<Open>,
}

/// A file of rows, and who writes them into it.
type RowsFile = (Box<dyn ResultWriter>, BundleFile);

/// The question that is being written.
struct Open {
    has_marks: bool,
    files: Vec<RowsFile>,
    /// Its rows as JSON lines, which every bundle has the hash of.
    lines: Box<dyn ResultWriter>,
    lines_file: Option<BundleFile>,
    hasher: Sha256,
    buffer: Vec<u8>,
}

impl Open {
    fn rows(
        &mut self,
        batch: &RecordBatch,
        words: &[&str],
        page: &mut Option<HtmlDocument>,
    ) -> Result<(), CliError> {
        if let Some(page) = page {
            page.marked(batch, words)?;
        }
        for (writer, file) in &mut self.files {
            writer.batch(batch, file)?;
        }
        self.buffer.clear();
        self.lines.batch(batch, &mut self.buffer)?;
        self.hasher.update(&self.buffer);
        if let Some(file) = &mut self.lines_file {
            file.write_all(&self.buffer)?;
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
            page: has(ExportFormat::Html).then(|| HtmlDocument::for_report(MOST_PAGE_ROWS)),
            workbook: has(ExportFormat::Xlsx)
                .then(|| Workbook::for_report(sheet_rows))
                .transpose()?,
            findings,
            formats: formats.to_vec(),
            stems: stems.collect(),
            asked: 0,
            open: None,
            staging,
        })
    }

    /// Whether findings need the keys of rows.
    pub(crate) fn wants_findings(&self) -> bool {
        self.findings.is_some()
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
        if let Some(page) = &mut self.page {
            page.begin_in_report(about, schema, has_marks, false);
        }
        if let Some(workbook) = &mut self.workbook {
            workbook.begin_in_report(about, schema, has_marks)?;
        }
        let files = self.files_for(&stem, schema, |format| format != ExportFormat::Jsonl)?;
        let lines_file = match self.formats.contains(&ExportFormat::Jsonl) {
            true => Some(self.staging.create(&format!("jsonl/{stem}.jsonl"))?),
            false => None,
        };
        self.open = Some(Open {
            has_marks,
            files,
            lines_file,
            lines: writer(Format::Jsonl, schema, Look::default()),
            hasher: Sha256::new(),
            buffer: Vec::new(),
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

    /// Rows of the question, and what became of each. The workbook, which takes longest, is written beside the others.
    pub(crate) fn rows(&mut self, batch: &RecordBatch, marks: &[Mark]) -> Result<(), CliError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let words = match open.has_marks {
            true => marks.iter().map(|mark| mark.word()).collect::<Vec<_>>(),
            false => Vec::new(),
        };
        let page = &mut self.page;
        let workbook = &mut self.workbook;
        let words = words.as_slice();
        if batch.num_rows() < WORTH_A_THREAD {
            if let Some(workbook) = workbook {
                workbook.marked(batch, words)?;
            }
            return open.rows(batch, words, page);
        }
        std::thread::scope(|scope| {
            let beside = workbook
                .as_mut()
                .map(|workbook| scope.spawn(move || workbook.marked(batch, words)));
            let written = open.rows(batch, words, page);
            if let Some(beside) = beside {
                beside
                    .join()
                    .map_err(|_| CliError::new("the workbook cannot be written"))??;
            }
            written
        })
    }

    /// A row of an audit as a finding.
    pub(crate) fn finding(
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
    pub(crate) fn gone(
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

    /// After the last row of the question.
    pub(crate) fn end(&mut self) -> Result<Written, CliError> {
        let Some(open) = self.open.take() else {
            return Ok(Written {
                files: Vec::new(),
                rows_sha256: String::new(),
            });
        };
        if let Some(workbook) = &mut self.workbook {
            workbook.end()?;
        }
        let mut files = Vec::new();
        for (mut writer, mut file) in open.files {
            writer.finish(&mut file)?;
            files.push(file.path().to_owned());
            self.staging.finish(file)?;
        }
        if let Some(file) = open.lines_file {
            files.push(file.path().to_owned());
            self.staging.finish(file)?;
        }
        files.sort_unstable();
        Ok(Written {
            files,
            rows_sha256: hex(&open.hasher.finalize()),
        })
    }

    /// Accepted rows of the question before, which stand apart from it in every form.
    pub(crate) fn accepted(
        &mut self,
        about: &About,
        schema: &SchemaRef,
        batches: &[RecordBatch],
    ) -> Result<Vec<String>, CliError> {
        if let Some(page) = &mut self.page {
            page.begin_in_report(about, schema, false, true);
            batches
                .iter()
                .try_for_each(|batch| page.marked(batch, &[]))?;
        }
        if let Some(workbook) = &mut self.workbook {
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
        if let Some((_, file)) = self.findings.take() {
            self.staging.finish(file)?;
        }
        if let Some(mut page) = self.page.take() {
            let mut file = self.staging.create(PAGE)?;
            page.close_report(report, &mut file)?;
            self.staging.finish(file)?;
        }
        if let Some(mut workbook) = self.workbook.take() {
            let mut file = self.staging.create(WORKBOOK)?;
            workbook.close_report(report, &mut file)?;
            for note in workbook.notes() {
                printer.warn(&note);
            }
            self.staging.finish(file)?;
        }
        if self.formats.contains(&ExportFormat::Markdown) {
            self.staging
                .write(summary::NAME, summary::text(report).as_bytes())?;
        }
        Ok(self.staging)
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
