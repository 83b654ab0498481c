//! `summary.md`: ten lines at most, for mail or chat.

use std::fmt::Write as _;

use kennel_engine::CaveatKind;

use crate::{
    output::report::{Entry, Report},
    text::{counted, grouped, minute, visible},
};

/// Its name in a bundle.
pub(crate) const NAME: &str = "summary.md";
/// Lines about questions with changes.
const NAMED_QUESTIONS: usize = 4;
/// Names in a line.
const NAMED_ROWS: usize = 3;

/// All of it.
pub(crate) fn text(report: &Report) -> String {
    let mut lines = vec![first_line(report)];
    let mut state = format!("State {}", escaped(&report.state));
    match (&report.since, report.changes()) {
        (Some(since), Some(changes)) => {
            let _infallible = write!(state, ", compared with {}: {changes}.", escaped(since));
        }
        _ => state.push_str("; there is no earlier state to compare with."),
    }
    lines.push(state);
    lines.extend(change_lines(report));
    if report.lacking_count() > 0 {
        let first = report
            .lacks
            .iter()
            .find(|lack| lack.kind != CaveatKind::Note);
        let first = first.map(|lack| format!(": {}", escaped(&lack.message)));
        lines.push(format!(
            "- **Incomplete**: {} of {}{}",
            grouped(report.lacking_count()),
            counted(report.entries.len() as u64, "answer"),
            first.unwrap_or_default()
        ));
    }
    if let Some(first) = report.stale.first() {
        let more = match report.stale.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        lines.push(format!("- **Stale**: {}{more}", escaped(first)));
    }
    let accepted = report.suppressed_count();
    let expired = report
        .suppressions
        .iter()
        .filter(|line| line.standing == "expired");
    let expired = expired.count() as u64;
    if accepted + expired > 0 {
        let expired = match expired {
            0 => String::new(),
            1 => "; **1 entry has expired**".to_owned(),
            count => format!("; **{count} entries have expired**"),
        };
        lines.push(format!(
            "- Accepted: {} listed apart{expired}",
            counted(accepted, "finding")
        ));
    }
    lines.push("Details: [index.html](index.html), [report.xlsx](report.xlsx), [manifest.json](manifest.json)".to_owned());
    let mut text = format!("# {}\n\n", lines[0]);
    for line in &lines[1..] {
        text.push_str(line);
        text.push('\n');
        // A list ends before a paragraph, and begins after one.
        if !line.starts_with("- ") {
            text.push('\n');
        }
    }
    let text = text
        .replace("\nDetails:", "\n\nDetails:")
        .replace("\n\n\n", "\n\n");
    format!("{}\n", text.trim_end())
}

fn first_line(report: &Report) -> String {
    let mut line = report.title();
    match report.changes() {
        Some(changes) => {
            let _infallible = write!(line, ": {changes}");
        }
        None => {
            let _infallible = write!(line, ": {}", report.size());
        }
    }
    if let Some((oldest, _)) = report.analysed.filter(|(oldest, newest)| oldest != newest) {
        let _infallible = write!(line, " (oldest analysis {})", minute(oldest));
    }
    line
}

/// New rows first, then what only changed or went.
fn change_lines(report: &Report) -> Vec<String> {
    let mut changed = report
        .entries
        .iter()
        .filter_map(|entry| {
            let changes = entry
                .changes
                .as_ref()
                .filter(|changes| !changes.is_none())?;
            Some((entry, changes.new_count > 0))
        })
        .collect::<Vec<_>>();
    changed.sort_by_key(|(_, has_new)| !has_new);
    let mut lines = Vec::new();
    for (entry, _) in changed.iter().take(NAMED_QUESTIONS) {
        lines.push(change_line(entry));
    }
    if changed.len() > NAMED_QUESTIONS {
        lines.push(format!(
            "- and {} with changes",
            counted((changed.len() - NAMED_QUESTIONS) as u64, "more question")
        ));
    }
    lines
}

fn change_line(entry: &Entry) -> String {
    let Some(changes) = &entry.changes else {
        return String::new();
    };
    let mut parts = Vec::new();
    for (count, word) in [
        (changes.new_count, "new"),
        (changes.changed_count, "changed"),
        (changes.gone_count, "gone"),
        (changes.unknown_count, "unknown"),
    ] {
        if count > 0 {
            let text = format!("{} {word}", grouped(count));
            parts.push(match word {
                "new" => format!("**{text}**"),
                _ => text,
            });
        }
    }
    let severity = entry
        .about
        .severity
        .map(|severity| format!(" ({severity})"));
    let mut line = format!(
        "- {}{}: {}",
        escaped(&entry.about.name),
        severity.unwrap_or_default(),
        parts.join(", ")
    );
    // Whom or what a row is about, rather than the service or the capability behind it.
    let arn = changes
        .key
        .iter()
        .rposition(|column| column.ends_with("arn"));
    let at = arn.unwrap_or(changes.key.len().saturating_sub(1));
    let named = changes
        .samples
        .iter()
        .filter_map(|sample| sample.key.get(at));
    let named = named.filter(|name| *name != "null");
    let names = named
        .take(NAMED_ROWS)
        .map(|name| escaped(name))
        .collect::<Vec<_>>();
    if !names.is_empty() {
        let all = changes.new_count + changes.changed_count + changes.gone_count;
        let more = match all > names.len() as u64 {
            true => ", …",
            false => "",
        };
        let _infallible = write!(line, " — {}{more}", names.join(", "));
    }
    line
}

/// Text of the data as Markdown shows it: on one line, and never as markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            // An underscore within a word is no markup, and names are full of them.
            '\\' | '|' | '<' | '>' | '[' | ']' | '*' | '&' | '~' | '#' => {
                out.extend(['\\', character]);
            }
            '`' => out.push('\''),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{
        About,
        report::{Changed, Lack, Sample},
    };

    fn entry(name: &str, new_count: u64, gone_count: u64) -> Entry {
        Entry {
            about: About {
                severity: Some("high"),
                ..About::named(name)
            },
            row_count: 5,
            changes: Some(Changed {
                new_count,
                gone_count,
                key: vec!["account_id".into(), "arn".into()],
                samples: vec![Sample {
                    change: "new",
                    key: vec!["1".into(), "arn:x/*evil*\n# no".into()],
                }],
                ..Changed::default()
            }),
            ..Entry::default()
        }
    }

    #[test]
    fn it_has_ten_lines_at_most_and_nothing_of_the_data_is_markup() {
        let mut report = Report {
            since: Some("s4 of x".into()),
            state: "s5 of y".into(),
            stale: vec!["old".into(), "older".into()],
            ..Report::default()
        };
        for index in 0..20 {
            report
                .entries
                .push(entry(&format!("k9/q{index}"), u64::from(index == 19), 1));
        }
        report.entries[3].about.caveats = vec![];
        report.lacks.push(Lack {
            kind: CaveatKind::Partial,
            message: "account 1 is missing".into(),
            hint: None,
            answer_count: 2,
        });
        report.entries[0].suppressed_count = 3;
        let text = text(&report);
        let lines = text
            .lines()
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>();
        assert!(lines.len() <= 10, "{text}");
        assert_eq!(
            lines[0],
            "# Access report of 1970-01-01: 1 new, 0 changed, 20 gone"
        );
        assert!(
            lines[2].starts_with("- k9/q19 (high): **1 new**, 1 gone — "),
            "{text}"
        );
        assert!(lines[2].contains(r"arn:x/\*evil\*\\n\# no"), "{text}");
        assert!(
            text.contains("and 16 more questions with changes"),
            "{text}"
        );
        assert!(text.contains("- **Stale**: old (and 1 more)"), "{text}");
    }

    #[test]
    fn without_an_earlier_state_it_says_so() {
        let text = text(&Report::default());
        assert!(
            text.contains("there is no earlier state to compare with"),
            "{text}"
        );
    }
}
