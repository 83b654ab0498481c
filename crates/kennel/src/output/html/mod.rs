//! One HTML page without network: what the answers rest on and what they lack, charts of what is counted most, and
//! tables to sort and to filter. [`chart`] counts and draws, `page.css` and `page.js` are the page's own.
//!
//! - Nothing is loaded, and nothing but these two can run: the policy in the page's head names their hashes.
//! - All text is escaped, and controls are made visible, as on a terminal.
//! - Without scripts the page is whole; scripts add sorting and filtering.
//! - Rows wait in a temporary file until what stands above them is known. The same results are the same bytes.

mod chart;
mod report;
mod summary;

use std::{
    fmt::Write as _,
    io::{self, BufReader, Read, Seek, SeekFrom, Write as _},
    ops::Range,
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use datafusion::arrow::{
    datatypes::{DataType, SchemaRef},
    record_batch::RecordBatch,
};
use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

use self::chart::Charts;
use super::{About, Document, cells::Cells, report::Report, value};
use crate::text::{counted, grouped, visible};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Rows of a page that wait in memory; more of them wait in a file.
const IN_MEMORY_BYTES: usize = 8 << 20;
/// Rows are handed on in pieces of this size.
const WRITTEN_AT_ONCE: usize = 256 << 10;
/// A page with a table of more columns is printed across.
const UPRIGHT_COLUMNS: usize = 6;

/// Writes a page.
pub(crate) struct HtmlDocument {
    spool: SpooledTempFile,
    written: u64,
    sections: Vec<Section>,
    /// Rows of a result that the page shows; all without a limit.
    most_rows: Option<u64>,
}

/// One result of a page.
#[derive(Clone)]
struct Section {
    about: About,
    columns: Vec<Column>,
    /// Whether the first column says what became of each row.
    has_marks: bool,
    /// Whether its rows are the accepted ones of the result before it.
    is_accepted: bool,
    row_count: u64,
    shown_count: u64,
    charts: Charts,
    /// Where its rows lie in the spool.
    rows: Range<u64>,
}

#[derive(Clone)]
struct Column {
    name: String,
    kind: Kind,
}

/// How a column is set and sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Time,
}

impl Kind {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Self::Time,
            other if value::is_number(other) => Self::Number,
            _ => Self::Text,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Time => "time",
        }
    }
}

impl HtmlDocument {
    pub(crate) fn new() -> Self {
        Self {
            spool: SpooledTempFile::new(IN_MEMORY_BYTES),
            written: 0,
            sections: Vec::new(),
            most_rows: None,
        }
    }

    /// A page that a report is the header of; of each result it shows so many rows.
    pub(crate) fn for_report(most_rows: u64) -> Self {
        Self {
            most_rows: Some(most_rows),
            ..Self::new()
        }
    }

    /// Before the first batch of a result of a report. With marks, the first column says what became of a row; accepted
    /// rows follow the result that they are of.
    pub(crate) fn begin_in_report(
        &mut self,
        about: &About,
        schema: &SchemaRef,
        has_marks: bool,
        is_accepted: bool,
    ) {
        let mark = has_marks.then(|| Column {
            name: "change".into(),
            kind: Kind::Text,
        });
        let columns = schema.fields().iter().map(|field| Column {
            name: field.name().clone(),
            kind: Kind::of(field.data_type()),
        });
        self.sections.push(Section {
            about: about.clone(),
            columns: mark.into_iter().chain(columns).collect(),
            has_marks,
            is_accepted,
            row_count: 0,
            shown_count: 0,
            charts: Charts::of(schema),
            rows: self.written..self.written,
        });
    }

    /// A result of a report that has the rows of an earlier one.
    pub(crate) fn repeat_in_report(&mut self, first: usize, about: &About) {
        if let Some(first) = self.sections.get(first) {
            let section = Section {
                about: about.clone(),
                ..first.clone()
            };
            self.sections.push(section);
        }
    }

    /// Rows, with what became of each (`new`, `changed`, nothing) where the result has marks.
    pub(crate) fn marked(&mut self, batch: &RecordBatch, marks: &[&str]) -> io::Result<()> {
        let Some(section) = self.sections.last_mut() else {
            return Ok(());
        };
        section.row_count += batch.num_rows() as u64;
        section.charts.count(batch);
        let room = self
            .most_rows
            .map_or(u64::MAX, |most| most.saturating_sub(section.shown_count));
        let shown = batch
            .num_rows()
            .min(usize::try_from(room).unwrap_or(usize::MAX));
        section.shown_count += shown as u64;
        let mut lines = String::new();
        let mut cell = String::new();
        let cells = Cells::all(batch);
        for row in 0..shown {
            let mark = marks.get(row).copied().unwrap_or_default();
            let columns = match section.has_marks {
                true => &section.columns[1..],
                false => &section.columns,
            };
            match mark {
                "" => lines.push_str("<tr>"),
                mark => {
                    let _infallible = write!(lines, "<tr class=\"{mark}\">");
                }
            }
            if section.has_marks {
                let _infallible =
                    write!(lines, "<td class=\"short\">{}</td>", report::mark_of(mark));
            }
            for (column, cells) in columns.iter().zip(&cells) {
                cell.clear();
                let is_null = !cells.get(row).write_text(&mut cell);
                push_cell(&cell, is_null, column.kind, &mut lines);
            }
            lines.push_str("</tr>\n");
            if lines.len() >= WRITTEN_AT_ONCE || row + 1 == shown {
                self.spool.write_all(lines.as_bytes())?;
                self.written += lines.len() as u64;
                lines.clear();
            }
        }
        section.rows.end = self.written;
        Ok(())
    }

    /// Writes the page of a report, whose entries are the results in their order.
    pub(crate) fn close_report(
        &mut self,
        report: &Report,
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        out.write_all(self.head(&report.title()).as_bytes())?;
        out.write_all(report::top(report).as_bytes())?;
        let mut number = 0;
        for index in 0..self.sections.len() {
            let section = &self.sections[index];
            number += usize::from(!section.is_accepted);
            let entry = match section.is_accepted {
                true => None,
                false => report.entries.get(number - 1),
            };
            let trend = entry.map(|entry| report::trend_chart(&entry.trend));
            let rows_file = entry.and_then(|entry| entry.rows_file.clone());
            let place = Place {
                number,
                is_only: false,
                trend: trend.unwrap_or_default(),
                rows_file,
            };
            self.write_section(index, &place, out)?;
        }
        out.write_all(foot().as_bytes())
    }

    fn write_section(
        &mut self,
        index: usize,
        place: &Place,
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        let section = &self.sections[index];
        out.write_all(section.above_rows(place).as_bytes())?;
        self.spool.seek(SeekFrom::Start(section.rows.start))?;
        let length = section.rows.end - section.rows.start;
        io::copy(&mut BufReader::new((&mut self.spool).take(length)), out)?;
        out.write_all(section.below_rows(place).as_bytes())
    }

    fn title(&self) -> String {
        match self.sections.as_slice() {
            [only] => match only.about.heading().as_str() {
                "" | "result" => "Result".to_owned(),
                heading => heading.to_owned(),
            },
            sections => counted(sections.len() as u64, "answer"),
        }
    }

    fn head(&self, title: &str) -> String {
        let mut page =
            String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        let _infallible = write!(
            page,
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta name=\"generator\" content=\"kennel {}\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body{}>\n",
            hash(STYLE),
            hash(SCRIPT),
            env!("CARGO_PKG_VERSION"),
            escaped(title),
            match self.sections.iter().any(Section::is_wide) {
                true => " class=\"across\"",
                false => "",
            },
        );
        page
    }

    /// The page's heading and, where there are several results, their overview.
    fn top(&self) -> String {
        let mut page = String::new();
        let _infallible = write!(page, "<header>\n<h1>{}</h1>\n", escaped(&self.title()));
        if self.sections.len() > 1 {
            page.push_str(&summary::overview(&self.sections));
        }
        page.push_str("</header>\n<main>\n");
        page
    }
}

impl Document for HtmlDocument {
    fn begin(&mut self, about: &About, schema: &SchemaRef) -> io::Result<()> {
        self.begin_in_report(about, schema, false, false);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        self.marked(batch, &[])
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(self.head(&self.title()).as_bytes())?;
        out.write_all(self.top().as_bytes())?;
        let is_only = self.sections.len() == 1;
        for index in 0..self.sections.len() {
            let place = Place {
                number: index + 1,
                is_only,
                trend: String::new(),
                rows_file: None,
            };
            self.write_section(index, &place, out)?;
        }
        out.write_all(foot().as_bytes())
    }
}

/// Where a result stands on the page, and what else stands with it.
struct Place {
    number: usize,
    is_only: bool,
    /// A chart of its rows over time.
    trend: String,
    /// Where all its rows are.
    rows_file: Option<String>,
}

fn foot() -> String {
    format!(
        "</main>\n<footer>\n<p>Written by kennel {} from its local cache. Times are UTC.</p>\n</footer>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    )
}

impl Section {
    fn is_wide(&self) -> bool {
        self.columns.len() > UPRIGHT_COLUMNS
    }

    /// Everything up to the first row.
    fn above_rows(&self, place: &Place) -> String {
        let mut page = String::new();
        let heading = summary::heading_of(self, place.number);
        // Accepted rows stand below the answer that they are of.
        let (section, number) = match self.is_accepted {
            true => ("", format!("accepted-{}", place.number)),
            false => ("answer-", place.number.to_string()),
        };
        let _infallible = writeln!(
            page,
            "<section id=\"{section}{number}\" aria-labelledby=\"title-{number}\">"
        );
        let title_class = match place.is_only {
            // The page's heading says the same.
            true => " class=\"unseen\"",
            false => "",
        };
        let _infallible = writeln!(
            page,
            "<h2 id=\"title-{number}\"{title_class}>{}</h2>",
            escaped(&heading)
        );
        page.push_str(&summary::facts(self));
        page.push_str(&self.charts.drawn(&place.trend, self.row_count));
        self.push_table_head(&number, &heading, &mut page);
        page
    }

    fn push_table_head(&self, number: &str, heading: &str, page: &mut String) {
        let heading = escaped(heading);
        // The scrolling part can be reached by keyboard.
        let _infallible = write!(
            page,
            "<div class=\"rows\" role=\"region\" tabindex=\"0\" aria-label=\"Rows: {heading}\">\n<table class=\"data\" id=\"rows-{number}\">\n<caption class=\"unseen\">{heading}, {}</caption>\n<thead>\n<tr>",
            counted(self.row_count, "row"),
        );
        for column in &self.columns {
            let _infallible = write!(
                page,
                "<th scope=\"col\" class=\"{}\">{}</th>",
                column.kind.class(),
                escaped(&column.name)
            );
        }
        page.push_str("</tr>\n</thead>\n<tbody>\n");
    }

    fn below_rows(&self, place: &Place) -> String {
        let mut page = String::from("</tbody>\n</table>\n</div>\n");
        if self.row_count == 0 {
            page.push_str("<p class=\"none\">No rows.</p>\n");
        } else if self.shown_count < self.row_count {
            let _infallible = writeln!(
                page,
                "<p class=\"none\">The first {} of {}; {}.</p>",
                grouped(self.shown_count),
                counted(self.row_count, "row"),
                match &place.rows_file {
                    Some(path) => format!("all are in <a href=\"{0}\">{0}</a>", escaped(path)),
                    None => "the others are in none of the files of this report".to_owned(),
                }
            );
        }
        page.push_str("</section>\n");
        page
    }
}

fn push_cell(text: &str, is_null: bool, kind: Kind, line: &mut String) {
    line.push_str(match (is_null, kind) {
        (true, _) => "<td class=\"null\">null",
        (false, Kind::Text) if is_short(text) => "<td class=\"short\">",
        (false, Kind::Text) => "<td>",
        (false, Kind::Number) => "<td class=\"number\">",
        (false, Kind::Time) => "<td class=\"time\">",
    });
    push_escaped(text, line);
    line.push_str("</td>");
}

/// Whether a text is better not broken into lines: an account id, a flag.
fn is_short(text: &str) -> bool {
    text.len() <= 16 && !text.contains(char::is_whitespace)
}

/// Text as HTML takes it, in elements and in quoted attributes, with controls made visible.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_escaped(text, &mut out);
    out
}

fn push_escaped(text: &str, out: &mut String) {
    for character in visible(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
}

/// How a content security policy names an inline text.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests;
