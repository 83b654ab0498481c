//! What a bundle says besides its rows: the report that page, workbook and summary tell, and the manifest.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use kennel_cache::{AccountId, Cache, CustomerId, ReportType, SourceKind, View};
use kennel_engine::{CannedQuery, CaveatKind, ReportUsed};

use super::{
    folder::sha256,
    manifest::{self, Manifest},
    run::{Answered, Work},
    state::{State, kinds_of},
};
use crate::{
    commands::questions::newest_of_each,
    error::CliError,
    output::{
        about::lack,
        report::{CoverageLine, Entry, Lack, Report, SuppressionLine},
    },
    text::{counted, instant, minute},
};

/// Stale reports that are named.
const NAMED_STALE: usize = 5;
/// Files of rows, in the order in which they serve readers of the page best.
const ROWS_FILES: [&str; 4] = [".csv", ".jsonl", ".parquet", ".json"];

/// What page, workbook and summary tell.
pub(super) fn report(work: &Work<'_>, state: &State, cache: &Cache) -> Result<Report, CliError> {
    let entries = work.answered.iter().map(entry).collect::<Vec<_>>();
    let used = entries
        .iter()
        .flat_map(|entry| entry.about.reports.iter().cloned())
        .collect::<BTreeSet<_>>();
    let used = used.into_iter().collect::<Vec<_>>();
    let used = newest_of_each(&used);
    let times = || used.iter().filter_map(|report| report.analysis_time);
    let snapshots = state.snapshots.iter().map(|standing| {
        let snapshot = &standing.snapshot;
        (
            snapshot.id.to_string(),
            snapshot.source.to_string(),
            snapshot.taken_at,
            snapshot.complete,
        )
    });
    let suppressions = work.shaping.suppressions().into_iter();
    let suppressions = suppressions.map(|entry| SuppressionLine {
        name: entry.name,
        owner: entry.owner,
        reason: entry.reason,
        expires: entry.expires,
        standing: entry.standing,
        row_count: entry.row_count,
    });
    let coverage = coverage(work, cache)?.into_iter();
    let coverage = coverage.map(|line| CoverageLine {
        account_id: line.account_id,
        region: line.region,
        category: line.event_category,
        first_day: line.first_day,
        last_day: line.last_day,
        day_count: line.day_count,
        event_count: line.event_count,
    });
    Ok(Report {
        date: state.at.date_naive(),
        at: state.at,
        state: state.described(None).label(),
        since: work.baselines.page.as_ref().map(|page| page.label()),
        lacks: lacks(&entries),
        analysed: times().min().zip(times().max()),
        stale: stale(&used, state.at, work),
        reports: used
            .iter()
            .map(|report| {
                let table = report.table.strip_suffix("_latest");
                (
                    report.customer_id.to_string(),
                    report.account_id.to_string(),
                    table.unwrap_or(&report.table).to_owned(),
                    report.analysis_time,
                )
            })
            .collect(),
        entries,
        left_out: work.order.left_out.to_vec(),
        snapshots: snapshots.collect(),
        coverage: coverage.collect(),
        suppressions: suppressions.collect(),
        is_redacted: work.shaping.redaction().is_some(),
    })
}

fn entry(answered: &Answered) -> Entry {
    let trend = answered.trend.iter().map(|point| {
        let at = DateTime::parse_from_rfc3339(&point.at);
        let day = at.map_or_else(
            |_| point.at.clone(),
            |at| at.to_utc().date_naive().to_string(),
        );
        (format!("{day} {}", point.snapshot), point.row_count)
    });
    let rows_file = ROWS_FILES.iter().find_map(|ending| {
        let mut files = answered.files.iter();
        files.find(|path| path.ends_with(ending) && !path.contains(".accepted."))
    });
    Entry {
        about: answered.about.clone(),
        row_count: answered.row_count,
        suppressed_count: answered.suppressed_count,
        changes: answered.outcome.changed.clone(),
        not_compared: answered.outcome.why_not.clone(),
        trend: trend.collect(),
        rows_file: rows_file.cloned(),
    }
}

/// What answers lack, each thing once, worst first, what most answers lack before the rest.
fn lacks(entries: &[Entry]) -> Vec<Lack> {
    let mut lacks: Vec<Lack> = Vec::new();
    for caveat in entries.iter().flat_map(|entry| &entry.about.caveats) {
        match lacks.iter_mut().find(|lack| lack.message == caveat.message) {
            Some(lack) => {
                lack.answer_count += 1;
                lack.kind = lack.kind.max(caveat.kind);
            }
            None => lacks.push(Lack {
                kind: caveat.kind,
                message: caveat.message.clone(),
                hint: caveat.hint.clone(),
                answer_count: 1,
            }),
        }
    }
    lacks.sort_by(|a, b| {
        b.kind
            .cmp(&a.kind)
            .then_with(|| b.answer_count.cmp(&a.answer_count))
            .then_with(|| a.message.cmp(&b.message))
    });
    lacks
}

/// Reports that are too old at the time of the state: of what the clock says, only the exit code knows.
fn stale(used: &[&ReportUsed], at: DateTime<Utc>, work: &Work<'_>) -> Vec<String> {
    let Some(limit) = work
        .order
        .max_age
        .and_then(|age| at.checked_sub_signed(age))
    else {
        return Vec::new();
    };
    let mut old = used
        .iter()
        .map(|report| (report.analysis_time.unwrap_or(report.snapshot_at), *report))
        .filter(|(analysed_at, _)| *analysed_at < limit)
        .collect::<Vec<_>>();
    old.sort();
    let count = old.len();
    let mut told = old
        .into_iter()
        .take(NAMED_STALE)
        .map(|(analysed_at, report)| {
            format!(
                "`{}` of account {} (customer {}) is of {}, {} before this state",
                report.table,
                report.account_id,
                report.customer_id,
                minute(analysed_at),
                span(at - analysed_at),
            )
        })
        .collect::<Vec<_>>();
    if count > NAMED_STALE {
        let more = (count - NAMED_STALE) as u64;
        told.push(format!("{} are as old", counted(more, "more report")));
    }
    told
}

fn span(span: chrono::TimeDelta) -> String {
    let hours = u64::try_from(span.num_hours()).unwrap_or_default();
    match hours {
        0..48 => counted(hours, "hour"),
        _ => counted(hours / 24, "day"),
    }
}

/// The table of contents, still without the files.
pub(super) fn manifest(
    work: &Work<'_>,
    state: &State,
    report: &Report,
    cache: &Cache,
) -> Result<Manifest, CliError> {
    let order = work.order;
    let shown = |text: &str| work.shaping.shown(text);
    let asked = order.queries.iter().zip(order.values).zip(&work.answered);
    let questions = asked.map(|((query, values), answered)| {
        let params = values.0.iter();
        let params = params.map(|(name, value)| (name.clone(), work.shaping.param(value)));
        question(&work.shaping.query(query), params.collect(), answered)
    });
    let worst = report.lacks.iter().map(|lack| lack.kind).max();
    let left_out = order.left_out.iter().map(|(id, reason)| manifest::LeftOut {
        id: id.clone(),
        reason: reason.clone(),
    });
    Ok(Manifest {
        format: manifest::FORMAT,
        kind: manifest::KIND.into(),
        tool: manifest::Tool {
            name: "kennel".into(),
            version: env!("CARGO_PKG_VERSION").into(),
        },
        state: state.described(work.engine.as_of()),
        scope: manifest::Scope {
            customers: order.scope.customers.iter().map(|id| shown(id)).collect(),
            accounts: order.scope.accounts.iter().map(|id| shown(id)).collect(),
        },
        baseline: work.baselines.page.as_ref().map(|page| page.named.clone()),
        answers: worst.and_then(lack).unwrap_or("whole").into(),
        redaction: work.shaping.redaction(),
        questions: questions.collect(),
        left_out: left_out.collect(),
        suppressions_sha256: work.shaping.suppressions_sha256(),
        suppressions: work.shaping.suppressions(),
        objects: objects(work, cache)?,
        coverage: coverage(work, cache)?,
        files: Vec::new(),
    })
}

fn question(
    query: &CannedQuery,
    params: BTreeMap<String, String>,
    answered: &Answered,
) -> manifest::Question {
    let caveats = answered
        .about
        .caveats
        .iter()
        .map(|caveat| manifest::Caveat {
            kind: match caveat.kind {
                CaveatKind::Note => "note",
                CaveatKind::Partial => "partial",
                CaveatKind::Absent => "absent",
            }
            .into(),
            message: caveat.message.clone(),
            hint: caveat.hint.clone(),
        });
    let reports = answered
        .about
        .reports
        .iter()
        .map(|report| manifest::Report {
            table: report.table.clone(),
            customer_id: report.customer_id.to_string(),
            account_id: report.account_id.to_string(),
            analysis_time: report.analysis_time.map(instant),
            snapshot_at: instant(report.snapshot_at),
        });
    manifest::Question {
        id: query.id.clone(),
        title: query.title.clone(),
        severity: query.severity.map(|severity| severity.to_string()),
        reads: query.reads.clone(),
        key: query.key.clone(),
        query: query.text.clone(),
        query_sha256: sha256(&query.text),
        params,
        row_count: answered.row_count,
        suppressed_count: answered.suppressed_count,
        rows_sha256: answered.rows_sha256.clone(),
        changes: answered.outcome.counts,
        not_compared: answered.outcome.why_not.clone(),
        caveats: caveats.collect(),
        reports: reports.collect(),
        trend: answered.trend.clone(),
        files: answered.files.clone(),
    }
}

fn admits(work: &Work<'_>, customer_id: &CustomerId, account_id: &AccountId) -> bool {
    let scope = &work.order.scope;
    let is_in =
        |wanted: &[String], id: &str| wanted.is_empty() || wanted.iter().any(|known| known == id);
    is_in(&scope.customers, customer_id.as_str()) && is_in(&scope.accounts, account_id.as_str())
}

/// The objects behind the reports of this state that the questions read.
fn objects(work: &Work<'_>, cache: &Cache) -> Result<Vec<manifest::Object>, CliError> {
    let view = work.engine.as_of().map_or(View::Latest, View::At);
    let versions = cache.object_versions()?;
    let versions = versions
        .iter()
        .map(|version| {
            (
                (
                    version.source.as_str(),
                    version.key.as_str(),
                    version.valid_from,
                ),
                version,
            )
        })
        .collect::<HashMap<_, _>>();
    let mut objects = Vec::new();
    for report_type in ReportType::ALL {
        let table = format!(".{}", report_type.table());
        let is_read = |query: &&CannedQuery| {
            query.reads.is_empty()
                || query.reads.iter().any(|read| {
                    read.strip_suffix("_latest")
                        .unwrap_or(read)
                        .ends_with(&table)
                })
        };
        if !work.order.queries.iter().any(is_read) {
            continue;
        }
        for report in cache.reports(report_type, view)? {
            if !admits(work, &report.customer_id, &report.account_id) {
                continue;
            }
            let version = (
                report.source.as_str(),
                report.key.as_str(),
                report.valid_from,
            );
            if let Some(object) = versions.get(&version) {
                objects.push(manifest::Object {
                    source: object.source.to_string(),
                    key: work.shaping.shown(&object.key),
                    etag: object.etag.clone(),
                    sha256: object.sha256.to_string(),
                    size_bytes: object.size_bytes,
                    modified_at: instant(object.modified_at),
                    verified_by: object.verified_by.clone(),
                    snapshot_at: instant(object.valid_from),
                });
            }
        }
    }
    objects.sort_by(|a, b| (&a.source, &a.key).cmp(&(&b.source, &b.key)));
    Ok(objects)
}

/// What the cache holds of CloudTrail, by place and category, where the questions read any of it.
fn coverage(work: &Work<'_>, cache: &Cache) -> Result<Vec<manifest::Coverage>, CliError> {
    let reads_trail = |query: &&CannedQuery| {
        kinds_of(query).contains(&SourceKind::CloudTrail) && !query.reads.is_empty()
    };
    if !work.order.queries.iter().any(reads_trail) {
        return Ok(Vec::new());
    }
    let last_day = work.engine.as_of().map(|at| at.date_naive());
    let accounts = &work.order.scope.accounts;
    let mut places = BTreeMap::<_, (BTreeSet<_>, u64, u64)>::new();
    for row in cache.trail_coverage()? {
        let place = row.place.as_ref();
        let is_wanted =
            accounts.is_empty() || accounts.iter().any(|id| id == place.account_id.as_str());
        let day = row.day.date();
        if !is_wanted || day.zip(last_day).is_some_and(|(day, last)| day > last) {
            continue;
        }
        let key = (
            place.source.to_string(),
            work.shaping.shown(place.account_id.as_str()),
            place.region.clone(),
            row.category.as_str(),
        );
        let (days, objects, events) = places.entry(key).or_default();
        days.extend(day);
        *objects += row.object_count;
        *events += row.event_count;
    }
    let lines = places
        .into_iter()
        .map(|(key, (days, object_count, event_count))| {
            let (source, account_id, region, category) = key;
            let shown =
                |day: Option<&chrono::NaiveDate>| day.map(ToString::to_string).unwrap_or_default();
            manifest::Coverage {
                source,
                account_id,
                region,
                event_category: category.into(),
                first_day: shown(days.first()),
                last_day: shown(days.last()),
                day_count: days.len() as u64,
                object_count,
                event_count,
            }
        });
    Ok(lines.collect())
}
