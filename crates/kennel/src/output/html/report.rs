//! What stands above the questions of a report: what changed, which answers are incomplete, the questions at a glance,
//! and what all of it rests on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use chrono::{DateTime, SecondsFormat, Utc};
use kennel_engine::CaveatKind;

use super::{escaped, summary};
use crate::{
    output::report::{Changed, Entry, Lack, Report},
    text::{counted, grouped, minute},
};

/// Things that answers lack, named at the top; the others stand with their answers.
const NAMED_LACKS: usize = 8;
/// More accounts than these are folded away.
const MOST_OPEN_ACCOUNTS: usize = 10;
/// Width of a bar with its gap, and height of a line of bars.
const SPARK: (usize, usize) = (7, 20);

/// The header of the page.
pub(super) fn top(report: &Report) -> String {
    let mut page = String::from("<header>\n");
    let _infallible = write!(
        page,
        "<h1>{}</h1>\n<p class=\"facts\">",
        escaped(&report.title())
    );
    let _infallible = write!(
        page,
        "<strong class=\"count\">{}</strong> <span>state {}{}</span>",
        report.size(),
        escaped(&report.state),
        age(report.at),
    );
    if let Some((oldest, newest)) = report.analysed {
        let _infallible = match oldest == newest {
            true => write!(page, " <span>k9 analysed {}</span>", minute(oldest)),
            false => write!(
                page,
                " <span>k9 analysed {} to {}</span>",
                minute(oldest),
                minute(newest)
            ),
        };
    }
    if report.is_redacted {
        page.push_str(" <span>names are replaced by tokens</span>");
    }
    page.push_str("</p>\n");
    push_lacks(report, &mut page);
    push_changes(report, &mut page);
    push_overview(report, &mut page);
    push_basis(report, &mut page);
    page.push_str("</header>\n<main>\n");
    page
}

/// A place for the page's script to say how long ago that was for whoever reads it.
fn age(at: DateTime<Utc>) -> String {
    let machine = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!(" <time class=\"age\" datetime=\"{machine}\"></time>")
}

/// What is incomplete comes first: rows that are not there must not look like good news.
fn push_lacks(report: &Report, page: &mut String) {
    let lacking = report.lacking_count();
    if lacking > 0 {
        let _infallible = writeln!(
            page,
            "<p class=\"verdict\"><strong>{} of {} incomplete or without data.</strong> No rows there do not mean that all is well.</p>",
            match lacking {
                1 => "1".to_owned(),
                count => grouped(count),
            },
            match (report.entries.len() as u64, lacking) {
                (1, _) => "1 answer is".to_owned(),
                (all, 1) => format!("{} is", counted(all, "answer")),
                (all, _) => format!("{} are", counted(all, "answer")),
            },
        );
    }
    let told = report
        .lacks
        .iter()
        .filter(|lack| lack.kind != CaveatKind::Note);
    let told = told.collect::<Vec<_>>();
    if told.is_empty() && report.stale.is_empty() {
        return;
    }
    page.push_str("<ul class=\"caveats\">\n");
    for lack in told.iter().take(NAMED_LACKS) {
        push_lack(lack, page);
    }
    if told.len() > NAMED_LACKS {
        let _infallible = writeln!(
            page,
            "<li class=\"partial\">and {} more, which stand with the answers</li>",
            grouped((told.len() - NAMED_LACKS) as u64)
        );
    }
    for stale in &report.stale {
        let _infallible = writeln!(
            page,
            "<li class=\"partial\"><strong>Stale:</strong> {}</li>",
            escaped(stale)
        );
    }
    page.push_str("</ul>\n");
}

fn push_lack(lack: &Lack, page: &mut String) {
    let (class, word) = match lack.kind {
        CaveatKind::Absent => ("absent", "No data"),
        _ => ("partial", "Incomplete"),
    };
    let answers = match lack.answer_count {
        1 => String::new(),
        count => format!(" ({})", counted(count, "answer")),
    };
    let _infallible = writeln!(
        page,
        "<li class=\"{class}\"><strong>{word}:</strong> {}{answers}</li>",
        escaped(&lack.message)
    );
}

fn push_changes(report: &Report, page: &mut String) {
    page.push_str("<section id=\"changes\" aria-labelledby=\"title-changes\">\n");
    let Some(since) = &report.since else {
        page.push_str("<h2 id=\"title-changes\">What changed</h2>\n<p class=\"none\">There is no earlier state to compare with.</p>\n</section>\n");
        return;
    };
    let _infallible = writeln!(
        page,
        "<h2 id=\"title-changes\">What changed since {}</h2>",
        escaped(since)
    );
    let changed = report
        .entries
        .iter()
        .enumerate()
        .filter_map(|(index, entry)| {
            let changes = entry
                .changes
                .as_ref()
                .filter(|changes| !changes.is_none())?;
            Some((index + 1, entry, changes))
        });
    let changed = changed.collect::<Vec<_>>();
    if changed.is_empty() {
        page.push_str("<p>Nothing: no row is new, changed or gone.</p>\n");
    } else {
        push_change_table(report, &changed, page);
    }
    for entry in &report.entries {
        if let Some(why) = &entry.not_compared {
            let _infallible = writeln!(
                page,
                "<p class=\"none\">{} could not be compared: {}.</p>",
                escaped(&entry.about.name),
                escaped(why)
            );
        }
    }
    for (number, entry, changes) in changed {
        push_samples(number, entry, changes, page);
    }
    page.push_str("</section>\n");
}

fn push_change_table(report: &Report, changed: &[(usize, &Entry, &Changed)], page: &mut String) {
    page.push_str("<table class=\"overview\">\n<thead>\n<tr><th scope=\"col\">Question</th><th scope=\"col\">Severity</th><th scope=\"col\" class=\"number\">New</th><th scope=\"col\" class=\"number\">Changed</th><th scope=\"col\" class=\"number\">Gone</th></tr>\n</thead>\n<tbody>\n");
    for (number, entry, changes) in changed {
        let unknown = match changes.unknown_count {
            0 => String::new(),
            count => format!(" <span class=\"lack\">({} unknown)</span>", grouped(count)),
        };
        let new = match changes.new_count {
            0 => "0".to_owned(),
            count => format!("<strong class=\"new\">{}</strong>", grouped(count)),
        };
        let _infallible = writeln!(
            page,
            "<tr><td><a href=\"#answer-{number}\">{}</a></td><td>{}</td><td class=\"number\">{new}</td><td class=\"number\">{}</td><td class=\"number\">{}{unknown}</td></tr>",
            escaped(&entry.about.heading()),
            summary::severity_of(&entry.about),
            grouped(changes.changed_count),
            grouped(changes.gone_count),
        );
    }
    page.push_str("</tbody>\n</table>\n");
    if report.sum(|changes| changes.unknown_count) > 0 {
        page.push_str("<p class=\"none\">Unknown: rows of accounts that this state has no report of. Nobody can say whether they are gone.</p>\n");
    }
}

/// The rows that changed, by their keys.
fn push_samples(number: usize, entry: &Entry, changes: &Changed, page: &mut String) {
    if changes.samples.is_empty() {
        return;
    }
    let counts = [
        (changes.new_count, "new"),
        (changes.changed_count, "changed"),
        (changes.gone_count, "gone"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts = counts.map(|(count, word)| format!("{} {word}", grouped(*count)));
    let mut which = counts.collect::<Vec<_>>().join(", ");
    let all = changes.new_count + changes.changed_count + changes.gone_count;
    if all > changes.samples.len() as u64 {
        let _infallible = write!(which, "; {} of them here", changes.samples.len());
    }
    // New findings are what the page is for; the rest is a click away.
    let open = match changes.new_count > 0 && entry.about.severity.is_some() {
        true => " open",
        false => "",
    };
    let _infallible = write!(
        page,
        "<details class=\"changes\"{open}>\n<summary>{}: {which}</summary>\n<div class=\"rows\" role=\"region\" tabindex=\"0\" aria-label=\"Changes: {}\">\n<table class=\"plain\">\n<thead>\n<tr><th scope=\"col\">Change</th>",
        escaped(&entry.about.name),
        escaped(&entry.about.name),
    );
    for column in &changes.key {
        let _infallible = write!(page, "<th scope=\"col\">{}</th>", escaped(column));
    }
    page.push_str("</tr>\n</thead>\n<tbody>\n");
    for sample in &changes.samples {
        let change = sample.change;
        let _infallible = write!(page, "<tr><td class=\"short\">{}</td>", mark_of(change));
        for value in &sample.key {
            let _infallible = write!(page, "<td>{}</td>", escaped(value));
        }
        page.push_str("</tr>\n");
    }
    let _infallible = writeln!(
        page,
        "</tbody>\n</table>\n</div>\n<p><a href=\"#answer-{number}\">All rows of {}</a>{}</p>\n</details>",
        escaped(&entry.about.name),
        match changes.changed_count {
            0 => String::new(),
            _ => format!(
                "; <code>kennel diff {}</code> shows what changed in them",
                escaped(&entry.about.name)
            ),
        }
    );
}

/// The word for a change, marked by more than its colour.
pub(super) fn mark_of(change: &str) -> String {
    match change {
        "" => String::new(),
        change => format!("<span class=\"mark {change}\">{change}</span>"),
    }
}

fn push_overview(report: &Report, page: &mut String) {
    let has_trend = report.entries.iter().any(|entry| entry.trend.len() > 1);
    let has_accepted = report.suppressed_count() > 0;
    page.push_str("<section id=\"questions\" aria-labelledby=\"title-questions\">\n<h2 id=\"title-questions\">The questions</h2>\n<nav aria-label=\"Answers\">\n<div class=\"scroll\">\n<table class=\"overview\">\n<thead>\n<tr><th scope=\"col\">Question</th><th scope=\"col\">Severity</th><th scope=\"col\" class=\"number\">Rows</th>");
    if has_accepted {
        page.push_str("<th scope=\"col\" class=\"number\">Accepted</th>");
    }
    if has_trend {
        page.push_str("<th scope=\"col\">By snapshot</th>");
    }
    page.push_str("<th scope=\"col\">The answer is</th></tr>\n</thead>\n<tbody>\n");
    for (index, entry) in report.entries.iter().enumerate() {
        let _infallible = write!(
            page,
            "<tr><td><a href=\"#answer-{}\">{}</a></td><td>{}</td><td class=\"number\">{}</td>",
            index + 1,
            escaped(&entry.about.heading()),
            summary::severity_of(&entry.about),
            grouped(entry.row_count),
        );
        if has_accepted {
            let _infallible = write!(
                page,
                "<td class=\"number\">{}</td>",
                grouped(entry.suppressed_count)
            );
        }
        if has_trend {
            let _infallible = write!(page, "<td>{}</td>", spark(&entry.trend));
        }
        let lack = entry.about.lack();
        let lack = lack.map(|lack| format!("<span class=\"lack\">{lack}</span>"));
        let _infallible = writeln!(page, "<td>{}</td></tr>", lack.unwrap_or_default());
    }
    page.push_str("</tbody>\n</table>\n</div>\n</nav>\n");
    if !report.left_out.is_empty() {
        push_left_out(report, page);
    }
    page.push_str("</section>\n");
}

/// Questions that were not asked, by reason.
fn push_left_out(report: &Report, page: &mut String) {
    let mut by_reason = BTreeMap::<&str, Vec<&str>>::new();
    for (id, reason) in &report.left_out {
        by_reason.entry(reason).or_default().push(id);
    }
    for (reason, ids) in by_reason {
        let _infallible = writeln!(
            page,
            "<p class=\"none\">Not asked, because {}: {}.</p>",
            escaped(reason),
            escaped(&ids.join(", "))
        );
    }
}

/// Small bars of the numbers of rows, and the same in words.
fn spark(trend: &[(String, u64)]) -> String {
    let [(_, first), .., (_, last)] = trend else {
        return String::new();
    };
    let largest = trend
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(0)
        .max(1);
    let (step, height) = SPARK;
    let width = step * trend.len();
    let mut bars = String::new();
    for (index, (_, count)) in trend.iter().enumerate() {
        let scaled = u128::from(*count) * height as u128 / u128::from(largest);
        // A bar of nothing is still a place in time.
        let tall = usize::try_from(scaled).unwrap_or(height).max(1);
        let _infallible = write!(
            bars,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{tall}\"/>",
            index * step,
            height - tall,
            step - 1,
        );
    }
    format!(
        "<svg class=\"spark\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{} rows {} snapshots ago, {} now\">{bars}</svg>",
        grouped(*first),
        trend.len() - 1,
        grouped(*last),
    )
}

/// Rows by snapshot as a table of bars, below a question's facts.
pub(super) fn trend_chart(trend: &[(String, u64)]) -> String {
    if trend.len() < 2 {
        return String::new();
    }
    let largest = trend
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(0)
        .max(1);
    let mut chart = String::from(
        "<table class=\"chart\">\n<caption>Rows by snapshot</caption>\n<thead class=\"unseen\">\n<tr><th scope=\"col\">snapshot</th><th scope=\"col\">rows</th><th scope=\"col\">bar</th></tr>\n</thead>\n<tbody>\n",
    );
    for (label, count) in trend {
        let tenths = u128::from(*count) * 1000 / u128::from(largest);
        let _infallible = writeln!(
            chart,
            "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"bar\"><svg width=\"100%\" height=\"12\" aria-hidden=\"true\"><rect width=\"{}.{}%\" height=\"12\" rx=\"2\"/></svg></td></tr>",
            escaped(label),
            grouped(*count),
            tenths / 10,
            tenths % 10,
        );
    }
    chart.push_str("</tbody>\n</table>\n");
    chart
}

/// Snapshots, reports, CloudTrail, accepted findings.
fn push_basis(report: &Report, page: &mut String) {
    page.push_str("<section id=\"basis\" aria-labelledby=\"title-basis\">\n<h2 id=\"title-basis\">What it rests on</h2>\n<table class=\"plain\">\n<thead>\n<tr><th scope=\"col\">Snapshot</th><th scope=\"col\">Source</th><th scope=\"col\">Taken</th><th scope=\"col\">Holds all that was listed</th></tr>\n</thead>\n<tbody>\n");
    for (id, source, at, is_complete) in &report.snapshots {
        let complete = match is_complete {
            true => "yes",
            false => "<span class=\"lack\">no</span>",
        };
        let _infallible = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{complete}</td></tr>",
            escaped(id),
            escaped(source),
            minute(*at)
        );
    }
    page.push_str("</tbody>\n</table>\n");
    push_reports(report, page);
    push_coverage(report, page);
    push_suppressions(report, page);
    page.push_str("<p class=\"none\">Each answer names its reports. <a href=\"manifest.json\">manifest.json</a> holds the queries, the objects with their hashes, and the hash of each file; <code>kennel verify bundle</code> checks them.</p>\n</section>\n");
}

/// When each account was analysed, kind by kind.
fn push_reports(report: &Report, page: &mut String) {
    let tables = report.reports.iter().map(|(_, _, table, _)| table.as_str());
    let tables = tables.collect::<BTreeSet<_>>();
    let mut accounts = BTreeMap::<_, BTreeMap<_, _>>::new();
    for (customer, account, table, at) in &report.reports {
        let account = accounts.entry((customer, account)).or_default();
        account.insert(table.as_str(), *at);
    }
    if accounts.is_empty() {
        return;
    }
    let _infallible = write!(
        page,
        "<details{}>\n<summary>k9 analysed {}</summary>\n<div class=\"rows\" role=\"region\" tabindex=\"0\" aria-label=\"Analyses\">\n<table class=\"plain\">\n<thead>\n<tr><th scope=\"col\">Customer</th><th scope=\"col\">Account</th>",
        match accounts.len() {
            0..=MOST_OPEN_ACCOUNTS => " open",
            _ => "",
        },
        counted(accounts.len() as u64, "account"),
    );
    for table in &tables {
        let _infallible = write!(page, "<th scope=\"col\">{}</th>", escaped(table));
    }
    page.push_str("</tr>\n</thead>\n<tbody>\n");
    for ((customer, account), analysed) in accounts {
        let _infallible = write!(
            page,
            "<tr><td>{}</td><td>{}</td>",
            escaped(customer),
            escaped(account)
        );
        for table in &tables {
            let cell = match analysed.get(table) {
                Some(Some(at)) => minute(*at),
                Some(None) => "no rows".to_owned(),
                None => "<span class=\"lack\">no report</span>".to_owned(),
            };
            let _infallible = write!(page, "<td class=\"time\">{cell}</td>");
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n</details>\n");
}

fn push_coverage(report: &Report, page: &mut String) {
    if report.coverage.is_empty() {
        return;
    }
    let accounts = report.coverage.iter().map(|line| &line.account_id);
    let accounts = accounts.collect::<BTreeSet<_>>().len();
    let events = report.coverage.iter().map(|line| line.event_count).sum();
    let _infallible = write!(
        page,
        "<details>\n<summary>CloudTrail: {} of {}</summary>\n<div class=\"rows\" role=\"region\" tabindex=\"0\" aria-label=\"CloudTrail\">\n<table class=\"plain\">\n<thead>\n<tr><th scope=\"col\">Account</th><th scope=\"col\">Region</th><th scope=\"col\">Events of</th><th scope=\"col\">First day</th><th scope=\"col\">Last day</th><th scope=\"col\" class=\"number\">Days</th><th scope=\"col\" class=\"number\">Events</th></tr>\n</thead>\n<tbody>\n",
        counted(events, "event"),
        counted(accounts as u64, "account"),
    );
    for line in &report.coverage {
        let _infallible = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            escaped(&line.account_id),
            escaped(&line.region),
            escaped(&line.category),
            escaped(&line.first_day),
            escaped(&line.last_day),
            grouped(line.day_count),
            grouped(line.event_count),
        );
    }
    page.push_str("</tbody>\n</table>\n</div>\n</details>\n");
}

fn push_suppressions(report: &Report, page: &mut String) {
    if report.suppressions.is_empty() {
        return;
    }
    let _infallible = write!(
        page,
        "<h3>Accepted findings</h3>\n<div class=\"scroll\">\n<table class=\"plain\">\n<thead>\n<tr><th scope=\"col\">Entry</th><th scope=\"col\">Owner</th><th scope=\"col\">Reason</th><th scope=\"col\">Expires</th><th scope=\"col\">Is</th><th scope=\"col\" class=\"number\">Rows</th></tr>\n</thead>\n<tbody>\n"
    );
    for line in &report.suppressions {
        let standing = match line.standing.as_str() {
            "used" | "unknown" => line.standing.clone(),
            other => format!("<span class=\"lack\">{}</span>", escaped(other)),
        };
        let _infallible = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{standing}</td><td class=\"number\">{}</td></tr>",
            escaped(&line.name),
            escaped(&line.owner),
            escaped(&line.reason),
            escaped(line.expires.as_deref().unwrap_or("never")),
            grouped(line.row_count),
        );
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
}
