//! What stands above the rows: how many there are, what they rest on, what the answer lacks, how it was asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use chrono::{DateTime, Utc};
use kennel_engine::{CaveatKind, ReportUsed};

use super::{Section, escaped};
use crate::output::About;
use crate::text::{counted, grouped, minute};

/// The heading of a result; it is never empty.
pub(super) fn heading_of(section: &Section, number: usize) -> String {
    match section.about.heading().as_str() {
        "" => format!("Result {number}"),
        heading => heading.to_owned(),
    }
}

/// A table of all results with links to them.
pub(super) fn overview(sections: &[Section]) -> String {
    let lacking = sections
        .iter()
        .filter(|section| section.about.lack().is_some())
        .count();
    let mut page = String::new();
    if lacking > 0 {
        let _infallible = writeln!(
            page,
            "<p class=\"verdict\"><strong>{lacking} of {} are incomplete or without data</strong>: what they lack stands with them.</p>",
            counted(sections.len() as u64, "answer"),
        );
    }
    page.push_str(
        "<nav aria-label=\"Answers\">\n<table class=\"overview\">\n<thead>\n<tr><th scope=\"col\">Question</th><th scope=\"col\">Severity</th><th scope=\"col\" class=\"number\">Rows</th><th scope=\"col\">The answer is</th></tr>\n</thead>\n<tbody>\n",
    );
    for (index, section) in sections.iter().enumerate() {
        let number = index + 1;
        let _infallible = writeln!(
            page,
            "<tr><td><a href=\"#answer-{number}\">{}</a></td><td>{}</td><td class=\"number\">{}</td><td>{}</td></tr>",
            escaped(&heading_of(section, number)),
            severity(section),
            grouped(section.row_count),
            section
                .about
                .lack()
                .map(|lack| format!("<span class=\"lack\">{lack}</span>"))
                .unwrap_or_default(),
        );
    }
    page.push_str("</tbody>\n</table>\n</nav>\n");
    page
}

fn severity(section: &Section) -> String {
    severity_of(&section.about)
}

/// How bad a row is, where rows are findings.
pub(super) fn severity_of(about: &About) -> String {
    about
        .severity
        .map(|severity| format!("<span class=\"severity {severity}\">{severity}</span>"))
        .unwrap_or_default()
}

/// The facts about one result.
pub(super) fn facts(section: &Section) -> String {
    let about = &section.about;
    let mut page = String::from("<p class=\"facts\">");
    let _infallible = write!(
        page,
        "<strong class=\"count\">{}</strong>",
        counted(section.row_count, "row")
    );
    if about.severity.is_some() {
        let _infallible = write!(page, " <span>severity {}</span>", severity(section));
    }
    if let Some(as_of) = &about.as_of {
        let _infallible = write!(page, " <span>as of {}</span>", escaped(as_of));
    }
    page.push_str("</p>\n");
    push_caveats(section, &mut page);
    push_reports(&about.reports, &mut page);
    push_question(section, &mut page);
    page
}

fn push_caveats(section: &Section, page: &mut String) {
    if section.about.caveats.is_empty() {
        return;
    }
    page.push_str("<ul class=\"caveats\">\n");
    for caveat in &section.about.caveats {
        let (class, word) = match caveat.kind {
            CaveatKind::Note => ("note", "Note"),
            CaveatKind::Partial => ("partial", "Incomplete"),
            CaveatKind::Absent => ("absent", "No data"),
        };
        let _infallible = write!(
            page,
            "<li class=\"{class}\"><strong>{word}:</strong> {}",
            escaped(&caveat.message)
        );
        if let Some(hint) = &caveat.hint {
            let _infallible = write!(page, " <span class=\"hint\">({})</span>", escaped(hint));
        }
        page.push_str("</li>\n");
    }
    page.push_str("</ul>\n");
}

/// A sentence that sums up the reports, and all of them behind it.
fn push_reports(reports: &[ReportUsed], page: &mut String) {
    if reports.is_empty() {
        return;
    }
    let accounts = reports
        .iter()
        .map(|report| (&report.customer_id, &report.account_id))
        .collect::<BTreeSet<_>>();
    let mut tables = BTreeMap::<&str, usize>::new();
    for report in reports {
        *tables.entry(&report.table).or_default() += 1;
    }
    let tables = tables
        .iter()
        .map(|(table, count)| format!("{count} of {table}"));
    let _infallible = write!(
        page,
        "<details class=\"reports\">\n<summary>Rests on {} of {}{}: {}</summary>\n",
        counted(reports.len() as u64, "report"),
        counted(accounts.len() as u64, "account"),
        analysed(reports),
        escaped(&tables.collect::<Vec<_>>().join(", ")),
    );
    page.push_str("<table class=\"plain\">\n<thead>\n<tr><th scope=\"col\">Table</th><th scope=\"col\">Customer</th><th scope=\"col\">Account</th><th scope=\"col\">Newest analysis</th><th scope=\"col\">In the cache since</th></tr>\n</thead>\n<tbody>\n");
    for report in reports {
        let at = report
            .analysis_time
            .map_or_else(|| "no rows".to_owned(), minute);
        let _infallible = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{at}</td><td>{}</td></tr>",
            escaped(&report.table),
            escaped(report.customer_id.as_str()),
            escaped(report.account_id.as_str()),
            minute(report.snapshot_at),
        );
    }
    page.push_str("</tbody>\n</table>\n</details>\n");
}

/// `, analysed 2026-03-02 04:10 UTC`, or from when to when.
fn analysed(reports: &[ReportUsed]) -> String {
    let times = || reports.iter().filter_map(|report| report.analysis_time);
    let span: Option<(DateTime<Utc>, DateTime<Utc>)> = times().min().zip(times().max());
    match span.map(|(first, last)| (minute(first), minute(last))) {
        None => String::new(),
        Some((first, last)) if first == last => format!(", analysed {first}"),
        Some((first, last)) => format!(", analysed {first} to {last}"),
    }
}

/// How it was asked: prose, parameters, SQL.
fn push_question(section: &Section, page: &mut String) {
    let about = &section.about;
    if about.documentation.is_none() && about.sql.is_none() {
        return;
    }
    page.push_str("<details class=\"question\">\n<summary>The question, its parameters and its SQL</summary>\n");
    let documentation = about.documentation.as_deref().unwrap_or_default();
    for paragraph in documentation
        .split("\n\n")
        .filter(|text| !text.trim().is_empty())
    {
        let lines = paragraph.lines().map(escaped);
        let _infallible = writeln!(page, "<p>{}</p>", lines.collect::<Vec<_>>().join(" "));
    }
    if !about.params.is_empty() {
        page.push_str("<dl>\n");
        for (name, value) in &about.params {
            let _infallible = writeln!(
                page,
                "<dt>{}</dt><dd>{}</dd>",
                escaped(name),
                escaped(value)
            );
        }
        page.push_str("</dl>\n");
    }
    if let Some(sql) = &about.sql {
        let lines = sql.trim().lines().map(escaped);
        let _infallible = writeln!(
            page,
            "<pre tabindex=\"0\" aria-label=\"SQL\"><code>{}</code></pre>",
            lines.collect::<Vec<_>>().join("\n")
        );
    }
    page.push_str("</details>\n");
}
