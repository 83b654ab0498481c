//! An Excel workbook: a sheet for each result, with typed cells, a frozen header, filters and fitting widths.
//!
//! - Text is text: what looks like a formula is marked as text too, so that editing the cell does not make it one.
//! - A number that Excel would round (it keeps 15 digits) is text, with all its digits.
//! - Instants are dates of Excel's, shown as ISO-8601 in UTC, to the millisecond; those before March 1900 are text.
//! - A sheet named `warnings` comes last when an answer lacks something: a workbook is read without the terminal.
//!
//! Rows wait in temporary files, so memory does not grow with them. The same results are the same bytes.

use std::{
    cell::Cell,
    collections::HashSet,
    fs::File,
    io::{self, BufReader, Seek},
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

use chrono::{DateTime, Datelike, Utc};
use datafusion::arrow::{
    array::Array,
    datatypes::{DataType, SchemaRef},
    record_batch::RecordBatch,
};
use rust_xlsxwriter::{
    DocProperties, ExcelDateTime, Format, FormatBorder, Workbook as Book, Worksheet, XlsxError,
};

mod summary;

use super::{About, Document, FormatLimit, cells::Cells, report::Report, value};
use crate::text::{counted, grouped, width};

/// Rows of a sheet, the header included. Source: Microsoft, "Excel specifications and limits".
const MOST_ROWS: u32 = 1_048_576;
/// Columns of a sheet.
const MOST_COLUMNS: usize = 16_384;
/// UTF-16 units in a cell.
const LONGEST_TEXT: usize = 32_767;
/// What stands at the end of a value that was cut, before its length.
const CUT_MARK: &str = " … [cut by kennel; whole length: ";
/// UTF-16 units in the name of a sheet.
const LONGEST_NAME: usize = 31;
/// Rows whose values decide the width of a column.
const MEASURED_ROWS: u32 = 1_000;
/// No column is wider, in characters.
const WIDEST: usize = 60;
/// How hard packing tries, of 1 to 9. Against 6, the library's, it takes a third of the time.
const PACKING: u8 = 2;
/// Room for the filter's arrow beside a column's name.
const ARROW: usize = 4;
/// Digits that Excel keeps of a number.
const DIGITS: usize = 15;
/// Days from Excel's day 0 to 1970-01-01.
const EPOCH_SERIAL: i128 = 25_569;
/// 1900-03-01: earlier days are counted wrongly, since Excel's 1900 has a 29th of February.
const FIRST_SERIAL: i128 = 61;
/// 9999-12-31.
const LAST_SERIAL: i128 = 2_958_465;
const MILLIS_PER_DAY: i128 = 86_400_000;

/// Writes a workbook.
pub(crate) struct Workbook {
    book: Book,
    /// Whether the first sheet is a report's summary, and what more of a result than a sheet is to hold is left out.
    is_report: bool,
    /// Rows of a sheet, the header included.
    most_rows: u32,
    styles: Styles,
    names: HashSet<String>,
    sheets: Vec<Sheet>,
    cut_count: u64,
}

/// What a sheet needs until the workbook is closed.
struct Sheet {
    name: String,
    about: About,
    /// The next row.
    row: u32,
    widths: Vec<usize>,
    /// Whether the first column says what became of each row.
    has_marks: bool,
    /// Rows that a sheet does not hold.
    left_out: u64,
}

struct Styles {
    header: Format,
    date: Format,
    instant: Format,
    instant_millis: Format,
    /// Text that Excel would take for a formula if somebody typed it.
    literal: Format,
    wrapped: Format,
}

impl Workbook {
    pub(crate) fn new() -> Self {
        let format = |number: &str| Format::new().set_num_format(number);
        Self {
            book: new_book(),
            is_report: false,
            most_rows: MOST_ROWS,
            styles: Styles {
                header: Format::new()
                    .set_bold()
                    .set_border_bottom(FormatBorder::Thin),
                date: format("yyyy-mm-dd"),
                instant: format("yyyy-mm-dd\"T\"hh:mm:ss\"Z\""),
                instant_millis: format("yyyy-mm-dd\"T\"hh:mm:ss.000\"Z\""),
                literal: Format::new().set_quote_prefix(),
                wrapped: Format::new().set_text_wrap(),
            },
            names: HashSet::new(),
            sheets: Vec::new(),
            cut_count: 0,
        }
    }

    /// A name that Excel takes and no other sheet has, whatever the letter case.
    fn sheet_name(&mut self, wanted: &str) -> String {
        let safe = wanted
            .replace(['*', '?', ':', '[', ']', '\\', '/', '\''], "-")
            .replace(char::is_control, " ");
        let safe = match safe.trim() {
            "" => "result",
            // Excel keeps this one for itself.
            name if name.eq_ignore_ascii_case("history") => "history-",
            name => name,
        };
        let mut name = clip(safe, LONGEST_NAME).to_owned();
        let mut number = 2;
        while !self.names.insert(name.to_lowercase()) {
            let ending = format!("-{number}");
            name = format!("{}{ending}", clip(safe, LONGEST_NAME - ending.len()));
            number += 1;
        }
        name
    }

    /// What answers lack, one line each, on a sheet of its own.
    fn write_warnings(&mut self) -> io::Result<()> {
        let lines = self.sheets.iter().flat_map(|sheet| {
            sheet.about.warnings().map(move |caveat| {
                [
                    sheet.name.clone(),
                    sheet.about.title.clone().unwrap_or_default(),
                    super::about::lack(caveat.kind).unwrap_or_default().into(),
                    caveat.message.clone(),
                    caveat.hint.clone().unwrap_or_default(),
                ]
            })
        });
        let lines = lines.collect::<Vec<_>>();
        if lines.is_empty() {
            return Ok(());
        }
        let name = self.sheet_name("warnings");
        let styles = &self.styles;
        let book = &mut self.book;
        guarded(|| {
            let sheet = book.add_worksheet();
            sheet.set_name(name)?;
            let header = [
                ("sheet", 28),
                ("question", 44),
                ("the answer is", 14),
                ("because", 80),
                ("what to know", 60),
            ];
            for (column, (title, width)) in (0_u16..).zip(header) {
                sheet.write_string_with_format(0, column, title, &styles.header)?;
                sheet.set_column_width(column, width)?;
            }
            for (row, cells) in (1_u32..MOST_ROWS).zip(&lines) {
                for (column, cell) in (0_u16..).zip(cells) {
                    let text = clip(cell, LONGEST_TEXT);
                    sheet.write_string_with_format(row, column, text, &styles.wrapped)?;
                }
            }
            sheet.set_freeze_panes(1, 0)?;
            Ok(())
        })
    }

    /// When the newest of what the answers rest on was known: a time that the same cache gives again.
    fn created_at(&self) -> Option<DateTime<Utc>> {
        let reports = self.sheets.iter().flat_map(|sheet| &sheet.about.reports);
        reports
            .map(|report| report.analysis_time.unwrap_or(report.snapshot_at))
            .max()
    }

    fn set_properties(&mut self, title: &str, at: Option<DateTime<Utc>>) -> Result<(), XlsxError> {
        let at = at.map(|at| at.date_naive());
        let (year, month, day) = at.map_or((2000, 1, 1), |at| (at.year(), at.month(), at.day()));
        let created = ExcelDateTime::from_ymd(
            u16::try_from(year).unwrap_or(2000),
            u8::try_from(month).unwrap_or(1),
            u8::try_from(day).unwrap_or(1),
        )?;
        let properties = DocProperties::new()
            .set_title(clip(title, 255))
            .set_author(concat!("kennel ", env!("CARGO_PKG_VERSION")))
            .set_creation_datetime(&created);
        self.book.set_properties(&properties);
        Ok(())
    }
}

impl Workbook {
    /// A workbook whose first sheet sums up a report. Of a result it shows so many rows, or as many as a sheet holds; that
    /// others are left out is said.
    pub(crate) fn for_report(most_rows: Option<u32>) -> io::Result<Self> {
        let mut workbook = Self {
            is_report: true,
            most_rows: most_rows.map_or(MOST_ROWS, |rows| rows.saturating_add(1).min(MOST_ROWS)),
            ..Self::new()
        };
        let name = workbook.sheet_name(summary::NAME);
        guarded(|| {
            workbook.book.add_worksheet().set_name(name)?;
            Ok(())
        })?;
        Ok(workbook)
    }

    /// The place of a result's sheet in the book.
    fn place(&self, index: usize) -> usize {
        index + usize::from(self.is_report)
    }

    /// Before the first batch of a result; with marks, the first column says what became of a row.
    pub(crate) fn begin_in_report(
        &mut self,
        about: &About,
        schema: &SchemaRef,
        has_marks: bool,
    ) -> io::Result<()> {
        if schema.fields().len() + usize::from(has_marks) > MOST_COLUMNS {
            return Err(FormatLimit {
                message: format!(
                    "the result has {}, an Excel sheet holds {}",
                    counted(schema.fields().len() as u64, "column"),
                    grouped(MOST_COLUMNS as u64)
                ),
                hint: "name the columns that matter, or take `-f parquet` or `-f csv`".into(),
            }
            .into());
        }
        let wanted = match about.name.as_str() {
            "" => about.title.as_deref().unwrap_or_default(),
            name => name,
        };
        let name = self.sheet_name(wanted);
        let mut widths = Vec::new();
        let header = &self.styles.header;
        let book = &mut self.book;
        guarded(|| {
            let sheet = book.add_worksheet_with_constant_memory()?;
            sheet.set_name(&name)?;
            let mark = has_marks.then_some("change");
            let fields = schema.fields().iter().map(|field| field.name().as_str());
            for (column, title) in (0_u16..).zip(mark.into_iter().chain(fields)) {
                let title = clip(title, LONGEST_TEXT);
                sheet.write_string_with_format(0, column, title, header)?;
                widths.push(width(title) + ARROW);
            }
            sheet.set_freeze_panes(1, 0)?;
            Ok(())
        })?;
        self.sheets.push(Sheet {
            name,
            about: about.clone(),
            row: 1,
            widths,
            has_marks,
            left_out: 0,
        });
        Ok(())
    }

    /// Rows, with what became of each where the result has marks.
    pub(crate) fn marked(&mut self, batch: &RecordBatch, marks: &[&str]) -> io::Result<()> {
        let index = self.sheets.len().saturating_sub(1);
        let place = self.place(index);
        let Some(kept) = self.sheets.get_mut(index) else {
            return Ok(());
        };
        let mut shown = batch.num_rows();
        let room = self.most_rows.saturating_sub(kept.row) as usize;
        if shown > room {
            if !self.is_report {
                return Err(FormatLimit {
                    message: format!(
                        "an Excel sheet holds {} rows below its header, the result has more",
                        grouped(u64::from(MOST_ROWS - 1))
                    ),
                    hint: "narrow it (WHERE, LIMIT), or take `-f parquet` or `-f csv`".into(),
                }
                .into());
            }
            kept.left_out += (shown - room) as u64;
            shown = room;
        }
        let styles = &self.styles;
        let cut_count = &mut self.cut_count;
        let book = &mut self.book;
        guarded(|| {
            let sheet = book.worksheet_from_index(place)?;
            let mut text = String::new();
            let columns = Cells::all(batch);
            let first = u16::from(kept.has_marks);
            for row in 0..shown {
                if let Some(mark) = marks.get(row).filter(|mark| !mark.is_empty()) {
                    sheet.write_string(kept.row, 0, *mark)?;
                }
                for ((column, array), cells) in (first..).zip(batch.columns()).zip(&columns) {
                    text.clear();
                    if !cells.get(row).write_text(&mut text) {
                        continue;
                    }
                    let place = (kept.row, column);
                    write_cell(sheet, place, array, row, &text, styles, cut_count)?;
                    if kept.row <= MEASURED_ROWS {
                        let widest = &mut kept.widths[usize::from(column)];
                        *widest = (*widest).max(width(&text) + 1);
                    }
                }
                kept.row += 1;
            }
            Ok(())
        })
    }

    /// Leaves out rows of the result, which is said.
    pub(crate) fn leave_out(&mut self, row_count: u64) {
        if let Some(kept) = self.sheets.last_mut() {
            kept.left_out += row_count;
        }
    }

    /// Writes the workbook of a report.
    pub(crate) fn close_report(
        &mut self,
        report: &Report,
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        summary::write(self, report)?;
        self.write_warnings()?;
        self.set_properties(&report.title(), Some(report.at))
            .map_err(wrong)?;
        self.save(out)
    }

    fn save(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut file: File = tempfile::tempfile()?;
        let book = &mut self.book;
        guarded(|| book.save_to_writer(&file))?;
        file.rewind()?;
        io::copy(&mut BufReader::new(file), out)?;
        Ok(())
    }
}

impl Document for Workbook {
    fn begin(&mut self, about: &About, schema: &SchemaRef) -> io::Result<()> {
        self.begin_in_report(about, schema, false)
    }

    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        self.marked(batch, &[])
    }

    fn end(&mut self) -> io::Result<()> {
        let index = self.sheets.len().saturating_sub(1);
        let place = self.place(index);
        let Some(kept) = self.sheets.get(index) else {
            return Ok(());
        };
        let book = &mut self.book;
        guarded(|| {
            let sheet = book.worksheet_from_index(place)?;
            for (column, width) in (0_u16..).zip(&kept.widths) {
                let width = u32::try_from((*width).min(WIDEST)).unwrap_or_default();
                sheet.set_column_width(column, width)?;
            }
            if let Some(last) = kept.widths.len().checked_sub(1) {
                let last = u16::try_from(last).unwrap_or_default();
                sheet.autofilter(0, 0, kept.row - 1, last)?;
            }
            Ok(())
        })
    }

    fn close(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        self.write_warnings()?;
        let title = match self.sheets.as_slice() {
            [only] => only.about.heading(),
            sheets => format!("{} answers", sheets.len()),
        };
        let at = self.created_at();
        self.set_properties(&title, at).map_err(wrong)?;
        self.save(out)
    }

    fn notes(&self) -> Vec<String> {
        match self.cut_count {
            0 => Vec::new(),
            count => vec![format!(
                "{} longer than Excel's {} characters in a cell: cut, which the cells say",
                match count {
                    1 => "1 value is".to_owned(),
                    _ => format!("{} values are", grouped(count)),
                },
                grouped(LONGEST_TEXT as u64)
            )],
        }
    }
}

/// A book that is packed fast: XML is mostly repetition, which any level finds.
fn new_book() -> Book {
    let mut book = Book::new();
    book.set_zip_compression_level(PACKING);
    book
}

/// Writes a value that is not null; `text` is what other formats show.
fn write_cell(
    sheet: &mut Worksheet,
    (row, column): (u32, u16),
    array: &dyn Array,
    array_row: usize,
    text: &str,
    styles: &Styles,
    cut_count: &mut u64,
) -> Result<(), XlsxError> {
    if *array.data_type() == DataType::Boolean {
        sheet.write_boolean(row, column, text == "true")?;
    } else if let Some(number) = exact_number(array.data_type(), text) {
        sheet.write_number(row, column, number)?;
    } else if let Some((serial, format)) = serial(array, array_row, styles) {
        sheet.write_number_with_format(row, column, serial, format)?;
    } else {
        let cut = cut(text);
        *cut_count += u64::from(cut.is_some());
        let text = cut.as_deref().unwrap_or(text);
        match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
            true => sheet.write_string_with_format(row, column, text, &styles.literal)?,
            false => sheet.write_string(row, column, text)?,
        };
    }
    Ok(())
}

/// A number that a cell shows as it is; `None` for anything else, and for what Excel would round.
fn exact_number(data_type: &DataType, text: &str) -> Option<f64> {
    if !value::is_number(data_type) {
        return None;
    }
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite())?;
    let is_float = matches!(
        data_type,
        DataType::Float16 | DataType::Float32 | DataType::Float64
    );
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (is_float || digits <= DIGITS).then_some(number)
}

/// An instant or a date as Excel counts it.
fn serial<'s>(array: &dyn Array, row: usize, styles: &'s Styles) -> Option<(f64, &'s Format)> {
    let millis = value::nanos_since_1970(array, row)?.div_euclid(1_000_000);
    let day = millis.div_euclid(MILLIS_PER_DAY) + EPOCH_SERIAL;
    if !(FIRST_SERIAL..=LAST_SERIAL).contains(&day) {
        return None;
    }
    let within = millis.rem_euclid(MILLIS_PER_DAY);
    let format = match array.data_type() {
        DataType::Date32 => &styles.date,
        DataType::Date64 if within == 0 => &styles.date,
        _ if within % 1000 == 0 => &styles.instant,
        _ => &styles.instant_millis,
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "days and milliseconds of a day are small numbers"
    )]
    let serial = day as f64 + within as f64 / MILLIS_PER_DAY as f64;
    Some((serial, format))
}

/// A text that is too long for a cell, cut, with its length said.
fn cut(text: &str) -> Option<String> {
    // Of at most as many bytes, no text has more UTF-16 units.
    if text.len() <= LONGEST_TEXT || text.encode_utf16().count() <= LONGEST_TEXT {
        return None;
    }
    let ending = format!(
        "{CUT_MARK}{} characters]",
        grouped(text.chars().count() as u64)
    );
    let kept = clip(text, LONGEST_TEXT - ending.encode_utf16().count());
    Some(format!("{kept}{ending}"))
}

/// The beginning of a text, of at most so many UTF-16 units.
fn clip(text: &str, units: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, character)| {
        taken += character.len_utf16();
        taken > units
    });
    end.map_or(text, |(index, _)| &text[..index])
}

thread_local! {
    /// Whether this thread is within [`guarded`].
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs the library, which panics where its temporary file cannot be written to. That is an error like any other, and
/// told as one.
fn guarded<T>(work: impl FnOnce() -> Result<T, XlsxError>) -> io::Result<T> {
    static SILENCED: Once = Once::new();
    SILENCED.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_GUARDED.get() {
                usual(info);
            }
        }));
    });
    IS_GUARDED.set(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    IS_GUARDED.set(false);
    match done {
        Ok(done) => done.map_err(wrong),
        Err(_) => Err(no_room().into()),
    }
}

fn wrong(error: XlsxError) -> io::Error {
    match error {
        XlsxError::IoError(error) => error,
        XlsxError::TempFileError(..) => no_room().into(),
        error => io::Error::other(error.to_string()),
    }
}

fn no_room() -> FormatLimit {
    FormatLimit {
        message: "the folder for temporary files is full or cannot be written to".into(),
        hint: "rows of a workbook wait there until it is whole; TMPDIR names another folder".into(),
    }
}

#[cfg(test)]
mod tests;
