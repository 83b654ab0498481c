//! What a sync tells people: a line for each source, and what they must know.

use std::time::Instant;

use kennel_cache::FailureStage;

use crate::{
    context::Context,
    mirroring::{ImportCounts, Synced, TrailCounts},
    settings::Source,
    text::{bytes, counted, duration, grouped, minute},
};

/// Failures that the summary names; `kennel status` has all.
const NAMED_FAILURES: usize = 10;

/// One line always, and what the user must know.
pub(in crate::commands) fn tell(source: &Source, synced: &Synced, started: Instant, cx: &Context) {
    let changed = synced.fetched_count + synced.adopted_count + synced.commit.missing_count;
    let mut line = if changed == 0
        && synced.failures.is_empty()
        && synced.vanished.is_empty()
        && synced.commit.snapshot.is_none()
        && synced.imported.is_none()
    {
        format!(
            "{}: up to date, {} unchanged",
            source.name,
            grouped(synced.unchanged_count)
        )
    } else {
        format!(
            "{}: {} fetched ({}), {} unchanged, {} failed",
            source.name,
            grouped(synced.fetched_count),
            bytes(synced.fetched_bytes),
            grouped(synced.unchanged_count),
            grouped(synced.failures.len() as u64),
        )
    };
    for (count, words) in [
        (synced.adopted_count, "adopted from an interrupted sync"),
        (synced.commit.missing_count, "no longer listed"),
        (
            synced.vanished.len() as u64,
            "deleted between listing and download",
        ),
        (synced.looked.filtered_count, "left out by flags"),
    ] {
        if count > 0 {
            line.push_str(&format!(", {} {words}", grouped(count)));
        }
    }
    if let Some(trail) = synced.trail.filter(|trail| trail.record_count > 0) {
        line.push_str(&format!(", {} events", grouped(trail.record_count)));
    }
    if let Some(id) = synced.commit.snapshot {
        line.push_str(&format!("; snapshot {id}"));
    }
    if let Some(imported) = synced.imported {
        line.push_str(&history(imported));
    }
    line.push_str(&format!(", in {}", duration(started.elapsed())));
    cx.printer.info(&line);
    cx.printer.detail(&format!(
        "{}: {} LIST, {} GET, {} HEAD, {} retries",
        source.name,
        synced.requests.list,
        synced.requests.get,
        synced.requests.head,
        synced.requests.retries
    ));
    for (key, step, message) in synced.failures.iter().take(NAMED_FAILURES) {
        cx.printer.warn(&format!(
            "{}: cannot {} {key}: {message}",
            source.name,
            step.as_str()
        ));
    }
    for (key, problem) in synced.problems.iter().take(NAMED_FAILURES) {
        cx.printer
            .warn(&format!("{}: {key}: {problem}", source.name));
    }
    for key in synced.vanished.iter().take(NAMED_FAILURES) {
        cx.printer.warn(&format!(
            "{}: {key}: deleted between listing and download; the next sync looks again",
            source.name
        ));
    }
    let unnamed = [
        synced.failures.len(),
        synced.problems.len(),
        synced.vanished.len(),
    ]
    .map(|count| count.saturating_sub(NAMED_FAILURES))
    .iter()
    .sum::<usize>();
    if unnamed > 0 {
        cx.printer.warn(&format!(
            "{}: and {unnamed} more; `kennel status -f json` has all",
            source.name
        ));
    }
    if synced.looked.archived_count > 0 {
        cx.printer.warn(&format!(
            "{}: {} archived and not restored",
            source.name,
            counted(synced.looked.archived_count, "object")
        ));
        cx.printer
            .hint("`aws s3api restore-object` brings them back; the next `kennel sync --full` fetches them");
    }
    let csv_refused = |failure: &(String, FailureStage, String)| {
        failure.1 == FailureStage::List && failure.0.ends_with("customers/")
    };
    if synced.failures.iter().any(csv_refused) {
        cx.printer.hint("`kennel init` prints a policy that lets the caller list and read k9's csv reports, too; `csv_reports = false` in kennel.toml leaves them alone");
    }
    if synced.looked.shrink_refused.is_some() {
        cx.printer.hint("`--allow-shrink` accepts this listing");
    }
    if let Some(stopped) = &synced.stopped {
        cx.printer.warn(&format!(
            "{}: stopped early: {}",
            source.name,
            stopped.one_line()
        ));
        stopped
            .hints()
            .iter()
            .for_each(|hint| cx.printer.hint(hint));
    }
    match synced.trail {
        Some(trail) => tell_empty_trail(source, synced, trail, cx),
        None => tell_empty_inbox(source, synced, cx),
    }
}

/// What became history: how many reports, and from when to when.
fn history(imported: ImportCounts) -> String {
    let reports = counted(imported.report_count, "csv report");
    let snapshots = counted(imported.snapshot_count, "snapshot");
    match imported.ends {
        Some([(id, at), last]) if id == last.0 => {
            format!("; {reports} imported as {id} ({})", minute(at))
        }
        Some([(_, first), (_, last)]) => format!(
            "; {reports} imported as {snapshots} ({} to {})",
            minute(first),
            minute(last)
        ),
        None => format!("; {reports} imported"),
    }
}

/// A trail of which nothing is listed.
fn tell_empty_trail(source: &Source, synced: &Synced, trail: TrailCounts, cx: &Context) {
    if synced.looked.listed_count != synced.looked.left_alone_count {
        return;
    }
    if trail.is_narrowed {
        cx.printer.warn(&format!(
            "{}: no CloudTrail files are listed that the flags let through",
            source.name
        ));
        return;
    }
    cx.printer.warn(&format!(
        "{}: no CloudTrail files are listed under {}",
        source.name, source.url
    ));
    cx.printer.hint(match trail.prefix_count {
        0 => "CloudTrail delivers to [PREFIX/]AWSLogs/ACCOUNT/CloudTrail/REGION/; a prefix belongs into the url",
        _ => "its folders are there; `since` in kennel.toml may leave out what they hold",
    });
}

/// An inbox of which nothing is listed, or nothing that is wanted.
fn tell_empty_inbox(source: &Source, synced: &Synced, cx: &Context) {
    let filtered_count = synced.looked.filtered_count;
    if filtered_count > 0
        && synced.looked.listed_count == synced.looked.left_alone_count + filtered_count
    {
        cx.printer.warn(&format!(
            "{}: none of the reports that are listed is one that the flags let through",
            source.name
        ));
    }
    if synced.looked.listed_count == synced.looked.left_alone_count
        && synced.looked.shrink_refused.is_none()
    {
        cx.printer.warn(&format!(
            "{}: no k9 reports are listed under {}",
            source.name, source.url
        ));
        cx.printer.hint("k9 delivers Parquet under hive/parquet/ when hive delivery is switched on; a prefix belongs into the url");
    }
}
