//! `kennel status` as rows: one for each thing that it knows, for the formats that have no room for nested ones.

use chrono::{DateTime, Utc};
use datafusion::arrow::record_batch::RecordBatch;

use super::State;
use crate::{context::Context, output::Rows, text::instant};

/// A row. What does not apply to an item is null.
#[derive(Default)]
struct Item {
    /// `source`, `snapshot`, `report`, `coverage` or `failure`.
    item: &'static str,
    source: String,
    /// The source's URL, the snapshot's id, the report's table, the failed object's key.
    name: Option<String>,
    customer_id: Option<String>,
    csp: Option<String>,
    account_id: Option<String>,
    region: Option<String>,
    day: Option<String>,
    event_category: Option<&'static str>,
    /// The source's last sync without failures, the snapshot's time, the report's newest analysis, the failure's time.
    at: Option<DateTime<Utc>>,
    /// Rows of the report, events of the coverage.
    row_count: Option<u64>,
    object_count: Option<u64>,
    size_bytes: Option<u64>,
    problem: Option<String>,
}

/// All items: sources first, each followed by what belongs to it.
pub(super) fn rows(state: &State, cx: &Context) -> RecordBatch {
    let mut items = Vec::new();
    for source in &state.sources {
        let name = source.name.to_string();
        let failed = source.last_sync.as_ref().and_then(|run| match &run.error {
            Some(error) => Some(error.clone()),
            None => (run.failed_count > 0).then(|| format!("{} objects failed", run.failed_count)),
        });
        items.push(Item {
            item: "source",
            source: name.clone(),
            name: Some(source.url.clone()),
            at: source.last_success_at,
            object_count: Some(source.object_count),
            size_bytes: Some(source.kept_bytes),
            problem: failed,
            ..Item::default()
        });
        push_belongings(state, &name, &mut items);
    }
    for source in state.unsynced(cx) {
        items.push(Item {
            item: "source",
            source: source.name.to_string(),
            name: Some(source.url.clone()),
            problem: Some("never synced".into()),
            ..Item::default()
        });
    }
    let all = || items.iter();
    Rows::default()
        .text("item", all().map(|row| Some(row.item)))
        .text("source", all().map(|row| Some(row.source.as_str())))
        .text("name", all().map(|row| row.name.as_deref()))
        .text("customer_id", all().map(|row| row.customer_id.as_deref()))
        .text("csp", all().map(|row| row.csp.as_deref()))
        .text("account_id", all().map(|row| row.account_id.as_deref()))
        .text("region", all().map(|row| row.region.as_deref()))
        .text("day", all().map(|row| row.day.as_deref()))
        .text("event_category", all().map(|row| row.event_category))
        .instant("at", all().map(|row| row.at))
        .count("row_count", all().map(|row| row.row_count))
        .count("object_count", all().map(|row| row.object_count))
        .count("size_bytes", all().map(|row| row.size_bytes))
        .text("problem", all().map(|row| row.problem.as_deref()))
        .batch()
}

fn push_belongings(state: &State, source: &str, items: &mut Vec<Item>) {
    let snapshots = state
        .snapshots
        .iter()
        .filter(|s| s.source.as_str() == source);
    items.extend(snapshots.map(|snapshot| Item {
        item: "snapshot",
        source: source.into(),
        name: Some(snapshot.id.to_string()),
        at: Some(snapshot.taken_at),
        object_count: Some(snapshot.object_count),
        size_bytes: Some(snapshot.size_bytes),
        problem: (!snapshot.complete).then(|| "partial".into()),
        ..Item::default()
    }));
    let reports = state.reports.iter().filter(|r| r.source.as_str() == source);
    items.extend(reports.map(|report| Item {
        item: "report",
        source: source.into(),
        name: Some(format!("k9.{}_latest", report.report_type.table())),
        customer_id: Some(report.customer_id.to_string()),
        csp: Some(report.csp.clone()),
        account_id: Some(report.account_id.to_string()),
        at: report.analysis_time.map(|(_, newest)| newest),
        row_count: Some(report.row_count),
        problem: match (&report.problem, report.missing_since) {
            (Some(problem), _) => Some(problem.clone()),
            (None, Some(since)) => {
                Some(format!("missing from the source since {}", instant(since)))
            }
            (None, None) => None,
        },
        ..Item::default()
    }));
    let coverage = state
        .coverage
        .iter()
        .filter(|row| row.place.source.as_str() == source);
    items.extend(coverage.map(|row| Item {
        item: "coverage",
        source: source.into(),
        account_id: Some(row.place.account_id.to_string()),
        region: Some(row.place.region.clone()),
        day: Some(row.day.to_string()),
        event_category: Some(row.category.as_str()),
        row_count: Some(row.event_count),
        object_count: Some(row.object_count),
        ..Item::default()
    }));
    let failures = state
        .failures
        .iter()
        .filter(|f| f.source.as_str() == source);
    items.extend(failures.map(|failure| Item {
        item: "failure",
        source: source.into(),
        name: Some(failure.key.clone()),
        at: Some(failure.failed_at),
        problem: Some(format!("{}: {}", failure.stage.as_str(), failure.message)),
        ..Item::default()
    }));
}
