//! The first sheet of a report's workbook: the state, what changed, the questions with links to their sheets. What
//! changed row by row, and which findings are accepted by whom, are sheets of their own behind it.

use std::io;

use rust_xlsxwriter::{Color, Format, Url, Worksheet, XlsxError};

use super::{LONGEST_TEXT, MOST_ROWS, Workbook, clip, guarded};
use crate::{
    output::report::Report,
    text::{grouped, minute},
};

/// Its name.
pub(super) const NAME: &str = "summary";

/// Columns of the questions: title and width.
const COLUMNS: [(&str, u32); 9] = [
    ("question", 34),
    ("title", 56),
    ("severity", 10),
    ("rows", 9),
    ("new", 9),
    ("changed", 9),
    ("gone", 9),
    ("accepted", 10),
    ("the answer is", 14),
];

/// Writes it, and the sheets that belong to it.
pub(super) fn write(workbook: &mut Workbook, report: &Report) -> io::Result<()> {
    let sheets = links(workbook, report);
    let header = workbook.styles.header.clone();
    let book = &mut workbook.book;
    guarded(|| {
        let sheet = book.worksheet_from_index(0)?;
        // On paper it is one page wide.
        sheet.set_landscape();
        sheet.set_print_fit_to_pages(1, 0);
        let mut row = write_facts(sheet, report)?;
        row = write_questions(sheet, report, &sheets, &header, row + 1)?;
        for (id, reason) in &report.left_out {
            row += 1;
            text(sheet, row, 0, id)?;
            text(sheet, row, 1, &format!("not asked: {reason}"))?;
        }
        Ok(())
    })?;
    write_changes(workbook, report)?;
    write_suppressions(workbook, report)
}

/// For each question its sheet; accepted rows have sheets between them.
fn links(workbook: &Workbook, report: &Report) -> Vec<Option<(String, u64)>> {
    let entries = report.entries.iter().map(|entry| {
        let sheet = workbook
            .sheets
            .iter()
            .find(|sheet| sheet.about.name == entry.about.name)?;
        Some((sheet.name.clone(), sheet.left_out))
    });
    entries.collect()
}

fn write_facts(sheet: &mut Worksheet, report: &Report) -> Result<u32, XlsxError> {
    let title = Format::new().set_bold().set_font_size(14);
    let bad = Format::new()
        .set_bold()
        .set_font_color(Color::RGB(0x008C_1220));
    sheet.write_string_with_format(0, 0, report.title(), &title)?;
    let mut facts = vec![("state", report.state.clone()), ("holds", report.size())];
    if let Some((oldest, newest)) = report.analysed {
        facts.push(match oldest == newest {
            true => ("k9 analysed", minute(oldest)),
            false => (
                "k9 analysed",
                format!("{} to {}", minute(oldest), minute(newest)),
            ),
        });
    }
    if let (Some(since), Some(changes)) = (&report.since, report.changes()) {
        facts.push(("compared with", since.clone()));
        facts.push(("changes", changes));
    }
    if report.is_redacted {
        facts.push(("names", "replaced by tokens".to_owned()));
    }
    let mut row = 1;
    for (name, value) in &facts {
        row += 1;
        text(sheet, row, 0, name)?;
        text(sheet, row, 1, value)?;
    }
    if report.lacking_count() > 0 {
        row += 1;
        let told = format!(
            "{} of {} answers are incomplete or without data: see the sheet `warnings`",
            grouped(report.lacking_count()),
            grouped(report.entries.len() as u64)
        );
        sheet.write_string_with_format(row, 0, told, &bad)?;
    }
    for stale in &report.stale {
        row += 1;
        sheet.write_string_with_format(row, 0, clip(stale, LONGEST_TEXT), &bad)?;
    }
    Ok(row + 1)
}

fn write_questions(
    sheet: &mut Worksheet,
    report: &Report,
    sheets: &[Option<(String, u64)>],
    header: &Format,
    first: u32,
) -> Result<u32, XlsxError> {
    for (column, (title, width)) in (0_u16..).zip(COLUMNS) {
        sheet.write_string_with_format(first, column, title, header)?;
        sheet.set_column_width(column, width)?;
    }
    let mut row = first;
    for (entry, link) in report.entries.iter().zip(sheets) {
        row += 1;
        match link {
            Some((name, _)) => {
                // A sheet's name stands in apostrophes; the names that kennel gives have none.
                let url = Url::new(format!("internal:'{name}'!A1"))
                    .set_text(clip(&entry.about.name, LONGEST_TEXT));
                sheet.write_url(row, 0, url)?;
            }
            None => text(sheet, row, 0, &entry.about.name)?,
        }
        text(
            sheet,
            row,
            1,
            entry.about.title.as_deref().unwrap_or_default(),
        )?;
        text(sheet, row, 2, entry.about.severity.unwrap_or_default())?;
        number(sheet, row, 3, entry.row_count)?;
        if let Some(changes) = &entry.changes {
            number(sheet, row, 4, changes.new_count)?;
            number(sheet, row, 5, changes.changed_count)?;
            number(sheet, row, 6, changes.gone_count)?;
        }
        if entry.suppressed_count > 0 {
            number(sheet, row, 7, entry.suppressed_count)?;
        }
        let mut answer = entry.about.lack().unwrap_or_default().to_owned();
        if let Some((_, left_out @ 1..)) = link {
            answer = format!(
                "{answer} ({} more rows are not in this workbook)",
                grouped(*left_out)
            );
        }
        text(sheet, row, 8, answer.trim())?;
    }
    Ok(row)
}

/// New, changed and gone rows by their keys.
fn write_changes(workbook: &mut Workbook, report: &Report) -> io::Result<()> {
    let samples = report.entries.iter().flat_map(|entry| {
        let changes = entry.changes.iter();
        changes.flat_map(move |changes| {
            changes.samples.iter().map(move |sample| {
                let named = changes.key.iter().zip(&sample.key);
                let named = named.map(|(column, value)| format!("{column}={value}"));
                [
                    entry.about.name.clone(),
                    sample.change.to_owned(),
                    named.collect::<Vec<_>>().join("; "),
                ]
            })
        })
    });
    let samples = samples.collect::<Vec<_>>();
    let columns = [("question", 34), ("change", 10), ("row", 120)];
    append(workbook, "changes", &columns, &samples)
}

fn write_suppressions(workbook: &mut Workbook, report: &Report) -> io::Result<()> {
    let lines = report.suppressions.iter().map(|line| {
        [
            line.name.clone(),
            line.owner.clone(),
            line.reason.clone(),
            line.expires.clone().unwrap_or_else(|| "never".into()),
            line.standing.clone(),
            line.row_count.to_string(),
        ]
    });
    let lines = lines.collect::<Vec<_>>();
    let columns = [
        ("entry", 30),
        ("owner", 24),
        ("reason", 60),
        ("expires", 12),
        ("is", 10),
        ("rows", 8),
    ];
    append(workbook, "suppressions", &columns, &lines)
}

/// A sheet of texts behind the others; none where there are no lines.
fn append<const N: usize>(
    workbook: &mut Workbook,
    name: &str,
    columns: &[(&str, u32); N],
    lines: &[[String; N]],
) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let name = workbook.sheet_name(name);
    let header = workbook.styles.header.clone();
    let book = &mut workbook.book;
    guarded(|| {
        let sheet = book.add_worksheet();
        sheet.set_name(name)?;
        for (column, (title, width)) in (0_u16..).zip(columns) {
            sheet.write_string_with_format(0, column, *title, &header)?;
            sheet.set_column_width(column, *width)?;
        }
        for (row, cells) in (1_u32..MOST_ROWS).zip(lines) {
            for (column, cell) in (0_u16..).zip(cells) {
                text(sheet, row, column, cell)?;
            }
        }
        sheet.set_freeze_panes(1, 0)?;
        Ok(())
    })
}

fn text(sheet: &mut Worksheet, row: u32, column: u16, text: &str) -> Result<(), XlsxError> {
    if !text.is_empty() {
        sheet.write_string(row, column, clip(text, LONGEST_TEXT))?;
    }
    Ok(())
}

fn number(sheet: &mut Worksheet, row: u32, column: u16, count: u64) -> Result<(), XlsxError> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of rows are far below 2^53"
    )]
    sheet.write_number(row, column, count as f64)?;
    Ok(())
}
