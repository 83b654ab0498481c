//! `kennel status`: what the cache holds, how old it is, what failed, and the settings.

mod coverage;
mod items;

use std::{collections::BTreeMap, io::Write};

use chrono::{DateTime, Utc};
use kennel_cache::{
    Cache, Failure, Report, ReportType, SnapshotInfo, SourceInfo, SourceKind, TrailCoverage, View,
};

use super::questions::OutputArgs;
use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    output::{About, Format, Look, PlainTable, Rows},
    settings::Source,
    text::{ago, bytes, counted, grouped, instant, minute, visible},
};

/// Failures listed one by one in text; JSON has all.
const SHOWN_FAILURES: usize = 20;

/// Show what the cache holds, how old it is, and what failed
///
/// For each source: the last sync, the snapshots kept, bytes, and the newest analysis time of each
/// account and report type; of CloudTrail which days and events of each account and region there are. Failures are
/// those of the last sync.
///
/// `-f json` has all of it, nested; the other formats a row for each source, snapshot, report, failure, and account, region,
/// day and class of CloudTrail events (column `item`).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel status
  kennel status -f json
  kennel status -f csv -o status.csv
  kennel status --settings")]
pub(crate) struct Args {
    /// Show each setting and where it came from instead
    #[arg(long)]
    settings: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    if args.settings {
        return settings(&args.output, cx);
    }
    let state = State::read(cx)?;
    let mut results = args.output.open(&["status".into()], cx)?;
    match args.output.format {
        Format::Table => results.write_text(|out, _| state.write_text(cx, out))?,
        Format::Json => results.write_text(|out, _| write_json(&state.json(cx), out))?,
        _ => results.write_batch(&About::named("status"), &items::rows(&state, cx))?,
    }
    results.finish()?;
    Ok(Exit::Done)
}

fn settings(output: &OutputArgs, cx: &Context) -> Result<Exit, CliError> {
    let rows = cx.settings.describe();
    let mut results = output.open(&["settings".into()], cx)?;
    if output.format == Format::Table {
        results.write_text(|out, look| {
            let look = Look {
                terminal_width: None,
                ..look
            };
            let mut table = PlainTable::new(&["setting", "value", "from"], look);
            for (name, value, origin) in rows {
                table.row(&[name, value, origin]);
            }
            Ok(table.write(out)?)
        })?;
    } else {
        let batch = Rows::default()
            .text("name", rows.iter().map(|row| Some(row.0.as_str())))
            .text("value", rows.iter().map(|row| Some(row.1.as_str())))
            .text("origin", rows.iter().map(|row| Some(row.2.as_str())))
            .batch();
        results.write_batch(&About::named("settings"), &batch)?;
    }
    results.finish()?;
    Ok(Exit::Done)
}

/// What the manifest says, read once.
#[derive(Default)]
struct State {
    exists: bool,
    sources: Vec<SourceInfo>,
    snapshots: Vec<SnapshotInfo>,
    reports: Vec<Report>,
    failures: Vec<Failure>,
    coverage: Vec<TrailCoverage>,
}

impl State {
    fn read(cx: &Context) -> Result<Self, CliError> {
        let Some(cache) = cx.cache()? else {
            return Ok(Self::default());
        };
        let reports = |cache: &Cache| -> Result<Vec<Report>, CliError> {
            let mut all = Vec::new();
            for report_type in ReportType::ALL {
                all.extend(cache.reports(report_type, View::Latest)?);
            }
            Ok(all)
        };
        Ok(Self {
            exists: true,
            sources: cache.sources()?,
            snapshots: cache.snapshots()?,
            reports: reports(&cache)?,
            failures: cache.failures()?,
            coverage: cache.trail_coverage()?,
        })
    }

    /// Configured sources that were never synced.
    fn unsynced<'a>(&self, cx: &'a Context) -> Vec<&'a Source> {
        let known = |source: &&Source| !self.sources.iter().any(|known| known.name == source.name);
        cx.settings.sources.iter().filter(known).collect()
    }

    fn write_text(&self, cx: &Context, out: &mut dyn Write) -> Result<(), CliError> {
        let now = cx.now();
        writeln!(out, "cache {}", visible(&cx.home().display().to_string()))?;
        if !self.exists {
            writeln!(out, "nothing was synced yet")?;
        }
        for source in &self.sources {
            writeln!(out)?;
            self.write_source(source, now, cx, out)?;
        }
        for source in self.unsynced(cx) {
            writeln!(
                out,
                "\nsource {} ({}, {})",
                source.name,
                source.kind,
                visible(&source.url)
            )?;
            writeln!(out, "  never synced: `kennel sync {}`", source.name)?;
        }
        if self.sources.is_empty() && cx.settings.sources.is_empty() {
            cx.printer.hint("`kennel init --k9 s3://BUCKET` writes a kennel.toml to start with; `kennel demo` needs nothing");
        }
        Ok(())
    }

    fn write_source(
        &self,
        source: &SourceInfo,
        now: DateTime<Utc>,
        cx: &Context,
        out: &mut dyn Write,
    ) -> Result<(), CliError> {
        writeln!(
            out,
            "source {} ({}, {})",
            source.name,
            source.kind,
            visible(&source.url)
        )?;
        writeln!(
            out,
            "  {}, {}; {} with the versions kept",
            counted(source.object_count, "object"),
            bytes(source.current_bytes),
            bytes(source.kept_bytes),
        )?;
        if let Some(run) = &source.last_sync {
            let outcome = match &run.error {
                Some(error) => format!("failed: {}", visible(error)),
                None => format!(
                    "{} fetched ({}), {} unchanged, {} failed",
                    grouped(run.fetched_count),
                    bytes(run.fetched_bytes),
                    grouped(run.unchanged_count),
                    grouped(run.failed_count),
                ),
            };
            writeln!(
                out,
                "  last sync {}, {}: {outcome}",
                minute(run.ended_at),
                ago(run.ended_at, now)
            )?;
            if run.error.is_some() || run.failed_count > 0 {
                let at = source
                    .last_success_at
                    .map_or_else(|| "never".into(), minute);
                writeln!(out, "  last sync without failures: {at}")?;
            }
        }
        let snapshots = self
            .snapshots
            .iter()
            .filter(|snapshot| snapshot.source == source.name)
            .collect::<Vec<_>>();
        match snapshots.as_slice() {
            [] => writeln!(out, "  no snapshots")?,
            [only] => writeln!(out, "  1 snapshot: {} ({})", only.id, minute(only.taken_at))?,
            [first, .., last] => writeln!(
                out,
                "  {}: {} ({}) to {} ({})",
                counted(snapshots.len() as u64, "snapshot"),
                first.id,
                minute(first.taken_at),
                last.id,
                minute(last.taken_at),
            )?,
        }
        if let Some(last) = snapshots.last().filter(|snapshot| !snapshot.complete) {
            writeln!(
                out,
                "  {} is partial: some of what the source listed is not in it",
                last.id
            )?;
        }
        self.write_reports(source, cx, out)?;
        coverage::write(coverage::of(&self.coverage, &source.name), cx, out)?;
        let failures = self
            .failures
            .iter()
            .filter(|failure| failure.source == source.name)
            .collect::<Vec<_>>();
        for failure in failures.iter().take(SHOWN_FAILURES) {
            let since = if failure.first_at == failure.failed_at {
                String::new()
            } else {
                format!(", since {}", minute(failure.first_at))
            };
            writeln!(
                out,
                "  failed to {}{since}: {}: {}",
                failure.stage.as_str(),
                visible(&failure.key),
                visible(&failure.message)
            )?;
        }
        if failures.len() > SHOWN_FAILURES {
            writeln!(
                out,
                "  and {} more failures: `kennel status -f json` has all",
                failures.len() - SHOWN_FAILURES
            )?;
        }
        Ok(())
    }

    fn write_reports(
        &self,
        source: &SourceInfo,
        cx: &Context,
        out: &mut dyn Write,
    ) -> Result<(), CliError> {
        let mut accounts: BTreeMap<_, BTreeMap<ReportType, String>> = BTreeMap::new();
        for report in self
            .reports
            .iter()
            .filter(|report| report.source == source.name)
        {
            let mut cell = match report.analysis_time {
                Some((_, newest)) => newest.format("%Y-%m-%d %H:%M").to_string(),
                None => "no rows".into(),
            };
            if report.missing_since.is_some() {
                cell.push_str(" (gone)");
            }
            if report.problem.is_some() {
                cell.push_str(" (!)");
            }
            let account = (&report.customer_id, &report.csp, &report.account_id);
            accounts
                .entry(account)
                .or_default()
                .insert(report.report_type, cell);
        }
        if accounts.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "  newest analysis (UTC) of each account and report type:\n"
        )?;
        let mut columns = vec!["customer", "csp", "account"];
        columns.extend(ReportType::ALL.map(ReportType::folder));
        let mut table = PlainTable::new(
            &columns,
            Look {
                terminal_width: None,
                ..cx.printer.look()
            },
        );
        for ((customer_id, csp, account_id), reports) in accounts {
            let cell = |report_type| {
                reports
                    .get(&report_type)
                    .cloned()
                    .unwrap_or_else(|| "-".into())
            };
            let [a, b, c, d, e] = ReportType::ALL.map(cell);
            table.row(&[
                customer_id.to_string(),
                csp.clone(),
                account_id.to_string(),
                a,
                b,
                c,
                d,
                e,
            ]);
        }
        table.write(out)?;
        Ok(())
    }

    fn json(&self, cx: &Context) -> json::Status<'_> {
        let configured = |source: &SourceInfo| {
            cx.settings
                .sources
                .iter()
                .any(|known| known.name == source.name)
        };
        let synced = self.sources.iter().map(|source| json::Source {
            name: source.name.to_string(),
            kind: source.kind.to_string(),
            url: source.url.clone(),
            configured: configured(source),
            object_count: source.object_count,
            size_bytes: source.current_bytes,
            kept_bytes: source.kept_bytes,
            last_sync: source.last_sync.as_ref().map(json::SyncRun::from),
            last_success_at: source.last_success_at.map(instant),
            snapshots: self
                .snapshots
                .iter()
                .filter(|s| s.source == source.name)
                .map(json::Snapshot::from)
                .collect(),
            reports: self
                .reports
                .iter()
                .filter(|r| r.source == source.name)
                .map(json::Report::from)
                .collect(),
            failures: self
                .failures
                .iter()
                .filter(|f| f.source == source.name)
                .map(json::Failure::from)
                .collect(),
            coverage: (source.kind == SourceKind::CloudTrail).then(|| {
                let rows = coverage::of(&self.coverage, &source.name);
                rows.map(coverage::Json::from).collect()
            }),
        });
        let unsynced = self.unsynced(cx).into_iter().map(|source| json::Source {
            name: source.name.to_string(),
            kind: source.kind.to_string(),
            url: source.url.clone(),
            configured: true,
            ..json::Source::default()
        });
        json::Status {
            format: 1,
            home: cx.home().display().to_string(),
            sources: synced.chain(unsynced).collect(),
        }
    }
}

fn write_json(value: &impl serde::Serialize, out: &mut dyn Write) -> Result<(), CliError> {
    serde_json::to_writer_pretty(&mut *out, value)
        .map_err(|e| CliError::from(std::io::Error::from(e)))?;
    writeln!(out)?;
    Ok(())
}

/// What `-f json` promises, format 1: fields are added, never changed.
mod json {
    use super::{Report as CacheReport, SnapshotInfo, coverage, instant};

    #[derive(serde::Serialize)]
    pub(super) struct Status<'s> {
        pub(super) format: u32,
        pub(super) home: String,
        pub(super) sources: Vec<Source<'s>>,
    }

    #[derive(Default, serde::Serialize)]
    pub(super) struct Source<'s> {
        pub(super) name: String,
        pub(super) kind: String,
        pub(super) url: String,
        pub(super) configured: bool,
        pub(super) object_count: u64,
        pub(super) size_bytes: u64,
        pub(super) kept_bytes: u64,
        pub(super) last_sync: Option<SyncRun>,
        pub(super) last_success_at: Option<String>,
        pub(super) snapshots: Vec<Snapshot>,
        pub(super) reports: Vec<Report>,
        pub(super) failures: Vec<Failure>,
        /// Of CloudTrail: by account, region, day of delivery and event category.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) coverage: Option<Vec<coverage::Json<'s>>>,
    }

    #[derive(serde::Serialize)]
    pub(super) struct SyncRun {
        started_at: String,
        ended_at: String,
        fetched_count: u64,
        fetched_bytes: u64,
        unchanged_count: u64,
        failed_count: u64,
        error: Option<String>,
    }

    impl From<&kennel_cache::SyncRun> for SyncRun {
        fn from(run: &kennel_cache::SyncRun) -> Self {
            Self {
                started_at: instant(run.started_at),
                ended_at: instant(run.ended_at),
                fetched_count: run.fetched_count,
                fetched_bytes: run.fetched_bytes,
                unchanged_count: run.unchanged_count,
                failed_count: run.failed_count,
                error: run.error.clone(),
            }
        }
    }

    #[derive(serde::Serialize)]
    pub(super) struct Snapshot {
        id: String,
        taken_at: String,
        added_count: u64,
        changed_count: u64,
        missing_count: u64,
        object_count: u64,
        size_bytes: u64,
        complete: bool,
    }

    impl From<&SnapshotInfo> for Snapshot {
        fn from(snapshot: &SnapshotInfo) -> Self {
            Self {
                id: snapshot.id.to_string(),
                taken_at: instant(snapshot.taken_at),
                added_count: snapshot.added_count,
                changed_count: snapshot.changed_count,
                missing_count: snapshot.missing_count,
                object_count: snapshot.object_count,
                size_bytes: snapshot.size_bytes,
                complete: snapshot.complete,
            }
        }
    }

    #[derive(serde::Serialize)]
    pub(super) struct Report {
        table: String,
        report_type: &'static str,
        customer_id: String,
        csp: String,
        account_id: String,
        /// Of the newest row.
        analysis_time: Option<String>,
        row_count: u64,
        snapshot_at: String,
        missing_since: Option<String>,
        problem: Option<String>,
    }

    impl From<&CacheReport> for Report {
        fn from(report: &CacheReport) -> Self {
            Self {
                table: format!("k9.{}_latest", report.report_type.table()),
                report_type: report.report_type.folder(),
                customer_id: report.customer_id.to_string(),
                csp: report.csp.clone(),
                account_id: report.account_id.to_string(),
                analysis_time: report.analysis_time.map(|(_, newest)| instant(newest)),
                row_count: report.row_count,
                snapshot_at: instant(report.valid_from),
                missing_since: report.missing_since.map(instant),
                problem: report.problem.clone(),
            }
        }
    }

    #[derive(serde::Serialize)]
    pub(super) struct Failure {
        key: String,
        stage: &'static str,
        message: String,
        failed_at: String,
        first_at: String,
    }

    impl From<&kennel_cache::Failure> for Failure {
        fn from(failure: &kennel_cache::Failure) -> Self {
            Self {
                key: failure.key.clone(),
                stage: failure.stage.as_str(),
                message: failure.message.clone(),
                failed_at: instant(failure.failed_at),
                first_at: instant(failure.first_at),
            }
        }
    }
}
