//! What an answer rests on, and what it lacks. An answer over missing data must never look like
//! "nobody can": each table that a statement reads is compared with what the cache should hold.

mod asked;
mod trail;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use datafusion::{
    common::tree_node::TreeNodeRecursion, datasource::source_as_provider,
    error::Result as DataFusionResult, logical_expr::LogicalPlan,
};
use kennel_cache::{
    AccountId, Cache, CsvReportKey, CustomerId, Failure, FailureStage, Report, ReportKey,
    ReportType, SourceInfo, SourceKind, View,
};

pub(crate) use self::trail::TrailScan;
use crate::{
    ConfiguredSource, KeptResult, LAST_RESULT,
    catalog::{FileTable, Selection, Shared, as_file_table, as_trail_table, external},
    params::shown,
};

/// How much a caveat weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CaveatKind {
    /// Worth knowing; the answer is whole.
    Note,
    /// Some of the data that the question reads is missing or could not be read: exit code 3.
    Partial,
    /// None of the data that the question reads is there: exit code 4.
    Absent,
}

/// Something that an answer lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caveat {
    /// How much it weighs.
    pub kind: CaveatKind,
    /// What is missing.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Caveat {
    /// Without advice.
    pub fn new(kind: CaveatKind, message: String) -> Self {
        Self {
            kind,
            message,
            hint: None,
        }
    }

    fn with_hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A report that an answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReportUsed {
    /// The table through which it was read: `k9.principals_latest`.
    pub table: String,
    /// Its customer.
    pub customer_id: CustomerId,
    /// Its account.
    pub account_id: AccountId,
    /// Its newest analysis time; `None` when it has no rows.
    pub analysis_time: Option<DateTime<Utc>>,
    /// When the cache got it.
    pub snapshot_at: DateTime<Utc>,
}

/// Looks at every table that an optimised plan scans.
pub(crate) fn examine(
    plan: &LogicalPlan,
    shared: &Shared,
) -> DataFusionResult<(Vec<Caveat>, Vec<ReportUsed>)> {
    let mut examination = Examination::default();
    let failures = shared
        .cache()
        .map(|cache| cache.failures())
        .transpose()
        .map_err(external)?
        .unwrap_or_default();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let provider = source_as_provider(&scan.source)?;
            if let Some(table) = as_file_table(&provider) {
                // What the last sync could not do says nothing about an earlier state.
                let failures = match table.view {
                    View::Latest => failures.as_slice(),
                    _ => &[],
                };
                examination.reads_newest |= table.view == View::Latest;
                if let (View::At(at), Some(cache)) = (table.view, shared.cache()) {
                    cache.check_history(at).map_err(external)?;
                }
                examination.table(table, &scan.filters, failures, table.view)?;
            } else if let Some(table) = as_trail_table(&provider) {
                examination.trails.push(TrailScan::of(table, &scan.filters));
            } else if scan.table_name.table() == LAST_RESULT {
                // What the last result lacked, whoever asks it lacks, too.
                let kept = shared.kept();
                examination
                    .caveats
                    .extend(kept.iter().flat_map(KeptResult::caveats));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if examination.reads_reports {
        examination.caveats.extend(unknown_scope(shared)?);
        if let Some(cache) = shared.cache().filter(|_| examination.reads_newest) {
            examination.syncs(&cache, &shared.sources)?;
        }
    }
    if !examination.trails.is_empty() {
        let told = trail::examine(&examination.trails, shared)?;
        examination.caveats.extend(told);
    }
    let mut caveats = examination.caveats;
    // Worst first; each once, however often the statement reads the table.
    caveats.sort_by(|a, b| b.kind.cmp(&a.kind).then_with(|| a.message.cmp(&b.message)));
    caveats.dedup();
    Ok((caveats, examination.reports.into_iter().collect()))
}

/// The reports and the trails that an optimised plan scans; one that is scanned twice stands there twice.
#[derive(Default)]
pub(crate) struct Scans {
    pub(crate) reports: Vec<Report>,
    pub(crate) trails: Vec<TrailScan>,
}

/// Finds what a plan scans, as far as its partition filters let it.
pub(crate) fn scans(plan: &LogicalPlan) -> DataFusionResult<Scans> {
    let mut scans = Scans::default();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let provider = source_as_provider(&scan.source)?;
            if let Some(table) = as_file_table(&provider) {
                let files = table.select(&scan.filters)?.files.into_iter();
                scans.reports.extend(files.map(|file| file.report.clone()));
            } else if let Some(table) = as_trail_table(&provider) {
                scans.trails.push(TrailScan::of(table, &scan.filters));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(scans)
}

#[derive(Default)]
struct Examination {
    caveats: Vec<Caveat>,
    reports: BTreeSet<ReportUsed>,
    reads_reports: bool,
    reads_newest: bool,
    trails: Vec<TrailScan>,
}

impl Examination {
    fn table(
        &mut self,
        table: &FileTable,
        filters: &[datafusion::logical_expr::Expr],
        failures: &[Failure],
        view: View,
    ) -> DataFusionResult<()> {
        self.reads_reports = true;
        let selection = table.select(filters)?;
        let what = table.report_type.map_or("report", ReportType::table);
        for file in &selection.files {
            let report = &file.report;
            self.reports.insert(ReportUsed {
                table: table.name.clone(),
                customer_id: report.customer_id.clone(),
                account_id: report.account_id.clone(),
                analysis_time: report.analysis_time.map(|(_, newest)| newest),
                snapshot_at: report.valid_from,
            });
            let of = format!(
                "`{what}` report of account {} (customer {})",
                report.account_id, report.customer_id
            );
            if let Some(problem) = &report.problem {
                self.caveats
                    .push(Caveat::new(CaveatKind::Partial, format!("{of}: {problem}")));
            }
            let was_gone = |since: &DateTime<Utc>| match view {
                View::Latest => true,
                View::At(at) => *since <= at,
                View::All => false,
            };
            if let Some(since) = report
                .missing_since
                .filter(|since| !table.is_history && was_gone(since))
            {
                let text = format!(
                    "{of}: the source no longer has it since {}; its last version answers",
                    shown(since)
                );
                self.caveats.push(Caveat::new(CaveatKind::Partial, text));
            }
        }
        if selection.files.is_empty() {
            let text = if table.known.is_empty() {
                format!("the cache holds no report for `{}`", table.name)
            } else if selection.known.is_empty() {
                format!(
                    "no account in the cache is one that `{}` is asked for",
                    table.name
                )
            } else {
                format!("the cache holds no `{what}` report for any account that is asked for")
            };
            self.caveats.push(
                Caveat::new(CaveatKind::Absent, text)
                    .with_hint("`kennel status` shows which accounts and reports the cache holds"),
            );
        } else {
            self.missing_accounts(table, &selection, what, failures);
        }
        self.failed_reports(table, &selection, failures);
        Ok(())
    }

    /// Accounts that have other reports, but not this one; of one that failed more is said elsewhere.
    fn missing_accounts(
        &mut self,
        table: &FileTable,
        selection: &Selection<'_>,
        what: &str,
        failures: &[Failure],
    ) {
        if !table.report_type.is_some_and(ReportType::is_per_account) {
            return;
        }
        let has = selection
            .files
            .iter()
            .map(|file| {
                (
                    &file.report.customer_id,
                    &file.report.csp,
                    &file.report.account_id,
                )
            })
            .collect::<BTreeSet<_>>();
        let failed = failures
            .iter()
            .filter_map(|failure| report_of(&failure.key))
            .filter(|key| table.report_type == Some(key.report_type))
            .map(|key| (key.customer_id, key.csp, key.account_id))
            .collect::<BTreeSet<_>>();
        for partition in &selection.known {
            let (customer_id, csp, account_id) = *partition;
            if !has.contains(&(customer_id, csp, account_id)) && !failed.contains(*partition) {
                let text = format!(
                    "account {account_id} (customer {customer_id}) has no `{what}` report in the cache"
                );
                self.caveats.push(
                    Caveat::new(CaveatKind::Partial, text)
                        .with_hint("answers about that account are incomplete, not negative"),
                );
            }
        }
    }

    /// Reports whose newest version could not be fetched or read.
    fn failed_reports(
        &mut self,
        table: &FileTable,
        selection: &Selection<'_>,
        failures: &[Failure],
    ) {
        for failure in failures {
            let Some(key) = report_of(&failure.key)
                .filter(|key| table.report_type.is_none_or(|t| t == key.report_type))
            else {
                continue;
            };
            let csv = CsvReportKey::parse(&failure.key);
            let answering = selection.files.iter().find(|file| {
                file.report.customer_id == key.customer_id
                    && file.report.account_id == key.account_id
            });
            // A csv report matters where nothing newer answers.
            if let (Some(csv), Some(answering)) = (csv, answering)
                && let Some((_, analysed_at)) = answering.report.analysis_time
                && csv.stamped_at.is_none_or(|stamp| stamp <= analysed_at)
            {
                continue;
            }
            let asked_for = selection.known.iter().any(|(customer_id, _, account_id)| {
                *customer_id == key.customer_id && *account_id == key.account_id
            });
            let of = format!(
                "`{}` report of account {} (customer {})",
                key.report_type.table(),
                key.account_id,
                key.customer_id
            );
            let text = match answering {
                Some(file) => format!(
                    "{of}: the newest version failed ({}); the version of {} answers",
                    failure.message,
                    shown(file.report.valid_from)
                ),
                None if asked_for => format!("{of} failed: {}", failure.message),
                None => continue,
            };
            let hint = match failure.stage {
                FailureStage::Ingest => {
                    "`kennel sync` takes the next version; `kennel sync --full` tries this one again"
                }
                _ => "`kennel sync` tries again",
            };
            self.caveats
                .push(Caveat::new(CaveatKind::Partial, text).with_hint(hint));
        }
    }

    /// Sources that have nothing here yet, and those whose last sync did not complete: what they had to add is unknown.
    fn syncs(&mut self, cache: &Cache, configured: &[ConfiguredSource]) -> DataFusionResult<()> {
        let sources = cache.sources().map_err(external)?;
        for source in &sources {
            let failed = source
                .last_sync
                .as_ref()
                .and_then(|run| Some((run, run.error.as_ref()?)));
            let Some((run, error)) = failed else {
                continue;
            };
            let text = format!(
                "the last sync of `{}`, at {}, did not complete: {error}",
                source.name,
                shown(run.ended_at)
            );
            // One that changed nothing leaves the snapshot before it as whole as it was.
            let changed_nothing = run.fetched_count + run.unchanged_count + run.failed_count == 0;
            let kind = if changed_nothing && source.object_count > 0 {
                CaveatKind::Note
            } else {
                CaveatKind::Partial
            };
            self.caveats
                .push(Caveat::new(kind, text).with_hint("`kennel sync` tries again"));
        }
        for source in configured {
            let is_synced = |known: &SourceInfo| {
                known.name == source.name && (known.last_sync.is_some() || known.object_count > 0)
            };
            if source.kind == SourceKind::K9 && !sources.iter().any(is_synced) {
                let text = format!(
                    "source `{}` was never synced: what it would add is unknown",
                    source.name
                );
                self.caveats.push(
                    Caveat::new(CaveatKind::Partial, text)
                        .with_hint("`kennel sync` mirrors all sources"),
                );
            }
        }
        Ok(())
    }
}

/// The report that a key is of, in any of k9's layouts.
fn report_of(key: &str) -> Option<ReportKey> {
    ReportKey::parse(key).or_else(|| CsvReportKey::parse(key).map(|csv| csv.report))
}

/// Accounts and customers that were asked for and that the cache does not know, as far as a query that reads these
/// tables can tell.
pub(crate) fn unknown_scope_of(shared: &Shared, reads: &[String]) -> DataFusionResult<Vec<Caveat>> {
    let reads_of = |schema: &str| reads.iter().any(|table| table.starts_with(schema));
    let mut unknown = Vec::new();
    if reads_of("cloudtrail.") {
        unknown.extend(trail::unknown_scope(shared)?);
    }
    // A query that does not say what it reads is held against the reports.
    if reads_of("k9.") || !reads_of("cloudtrail.") {
        unknown.extend(unknown_scope(shared)?);
    }
    Ok(unknown)
}

/// Accounts and customers that were asked for and that no report in the cache is of.
pub(crate) fn unknown_scope(shared: &Shared) -> DataFusionResult<Vec<Caveat>> {
    let known = match shared.cache() {
        Some(cache) => cache.accounts(shared.view).map_err(external)?,
        None => vec![],
    };
    let is_unknown_account = |wanted: &&AccountId| !known.iter().any(|(_, _, id)| id == *wanted);
    let is_unknown_customer = |wanted: &&CustomerId| !known.iter().any(|(id, _, _)| id == *wanted);
    let accounts = shared
        .accounts
        .iter()
        .filter(is_unknown_account)
        .map(|id| format!("account {id}"));
    let customers = shared
        .customers
        .iter()
        .filter(is_unknown_customer)
        .map(|id| format!("customer {id}"));
    Ok(accounts
        .chain(customers)
        .map(|what| Caveat::new(CaveatKind::Absent, format!("{what} is not in the cache")))
        .collect())
}

/// Analysis times of reports of one account that differ between tables: said, since they do not fit together exactly.
pub(crate) fn uneven_analysis(reports: &[ReportUsed]) -> Option<Caveat> {
    let mut times = BTreeMap::<_, BTreeSet<_>>::new();
    for report in reports
        .iter()
        .filter(|report| report.table.ends_with("_latest"))
    {
        if let Some(at) = report.analysis_time {
            times
                .entry((&report.customer_id, &report.account_id))
                .or_default()
                .insert(at);
        }
    }
    let uneven = times
        .iter()
        .filter(|(_, times)| times.len() > 1)
        .collect::<Vec<_>>();
    let ((_, account_id), _) = uneven.first()?;
    let more = match uneven.len() {
        1 => String::new(),
        count => format!(" and {} more accounts", count - 1),
    };
    let text =
        format!("the reports of account {account_id}{more} were analysed at different times");
    Some(Caveat::new(CaveatKind::Note, text).with_hint("`kennel status` shows the times"))
}
