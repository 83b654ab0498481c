//! `kennel export`: the nightly report.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use chrono::TimeDelta;
use kennel_cache::{Cache, SourceKind};
use kennel_engine::{AsOf, Engine, EngineSettings, ParamValues};

use super::{
    questions::{ScopeArgs, Verdict, distribute, param_values, parse_param, tell_as_of},
    sync,
};
use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    export::{
        Chosen, ExportFormat, Made, Order, OutFolder, PAGE, Shaping, State, make, manifest,
        read_manifest,
    },
    output::report::Report,
    redact::RedactArgs,
    suppressions::SuppressArgs,
    text::{counted, grouped, parse_span},
};

/// How often an export begins anew when a sync changes the cache under it.
const MOST_ATTEMPTS: u32 = 3;
/// Questions with new rows that standard error names.
const NAMED_QUESTIONS: usize = 5;

/// Write the nightly report: one folder with page, workbook, files and proof
///
/// Asks the questions of one state of the cache and writes a folder for it, DIR/2026-03-02, and a link DIR/latest to the
/// newest. The date is that of the state's newest snapshot, not the clock's: the same cache and arguments give the same
/// bytes, and a folder of the same date is replaced. A folder appears whole or not at all.
///
/// index.html begins with what changed since the last export of an earlier state in the same folder (without one: since the
/// snapshot before, or since --baseline); report.xlsx has a sheet for each question; csv, json, jsonl and parquet are a file for each; summary.md
/// is for mail or chat; findings.ocsf.jsonl holds the audits' rows for a SIEM; manifest.json has queries, objects and hashes, and
/// `kennel verify bundle` checks it.
///
/// Without names the questions tagged `nightly` are asked, as far as there is a source of what they read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel export                                 the nightly questions, into ./kennel-export
  kennel export --sync --max-age 36h --check new -q --out /srv/reports    for cron
  kennel export iam-admins stale-credentials --formats html,csv
  kennel export --tag daily --as-of 2026-03-01
  kennel export --baseline s1 --check new       against a snapshot instead of the last export
  kennel verify bundle kennel-export/latest")]
pub(crate) struct Args {
    /// Queries, by id (k9/iam-admins) or short name (iam-admins)
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All queries with this tag (repeatable) [default: nightly]
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// All queries that need no parameters
    #[arg(long, conflicts_with_all = ["ids", "tags"])]
    all: bool,
    /// Folder of the exports
    #[arg(long, value_name = "DIR", default_value = "kennel-export")]
    out: PathBuf,
    /// Forms of the report
    #[arg(
        long,
        value_name = "FORMATS",
        value_delimiter = ',',
        default_value = "html,xlsx,csv,json,jsonl,parquet,markdown,ocsf"
    )]
    formats: Vec<ExportFormat>,
    /// Value of a parameter (repeatable); goes to each query that has it
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = parse_param)]
    params: Vec<(String, String)>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Sync all sources first; what that could not do is 3, and the export is made from what the cache has
    #[arg(long, conflicts_with = "as_of")]
    sync: bool,
    /// End with 4 when a report that the questions read is older (36h, 2d)
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    max_age: Option<TimeDelta>,
    /// End with 1 when there are rows that the last export in the folder does not have (new), or any rows (any)
    #[arg(long, value_name = "WHICH")]
    check: Option<Check>,
    /// Compare with this snapshot or time instead of the last export (s12, previous, 2026-03-01, -7d)
    #[arg(long, value_name = "TIME|SNAPSHOT", allow_hyphen_values = true)]
    baseline: Option<String>,
    #[command(flatten)]
    suppress: SuppressArgs,
    #[command(flatten)]
    redact: RedactArgs,
}

/// Which rows `--check` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Check {
    /// Rows that the last export does not have; all, where there is none
    New,
    /// Any rows
    Any,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let values = param_values(&args.params)?;
    let baseline = args.baseline.as_deref().map(str::parse::<AsOf>);
    let baseline = baseline.transpose()?;
    let settings = args.scope.settings()?;
    // Before the work starts, and before two of them fetch the same.
    let out = OutFolder::open(&args.out)?;
    let mut verdict = Verdict::default();
    if args.sync {
        sync_first(&mut verdict, cx).await?;
    }
    let redactor = args.redact.open(cx)?;
    let scope = manifest::Scope {
        customers: settings.customers.iter().map(ToString::to_string).collect(),
        accounts: settings.accounts.iter().map(ToString::to_string).collect(),
    };
    let mut attempt = 0;
    loop {
        attempt += 1;
        let Some(cache) = cx.cache()? else {
            return Err(CliError::absent("nothing to export: there is no cache yet")
                .hint("`kennel sync` makes it; `--sync` does so first"));
        };
        let before = fingerprint(&cache)?;
        let engine = cx.engine(settings.clone())?;
        if attempt == 1 {
            tell_as_of(&engine, cx)?;
        }
        let chosen = choose(&args, &values, &engine, &cache, cx)?;
        if attempt == 1 {
            tell_left_out(&chosen, cx);
        }
        let values = distribute(&values, &chosen.queries);
        let mut formats = args.formats.clone();
        formats.sort_unstable();
        formats.dedup();
        let order = Order {
            queries: &chosen.queries,
            values: &values,
            left_out: &chosen.left_out,
            formats: &formats,
            max_age: args.max_age,
            baseline,
            scope: scope.clone(),
        };
        let state = State::of(&engine, &chosen.queries)?;
        let judged_at = engine.as_of().unwrap_or(state.at);
        let redactor = redactor.clone();
        let mut shaping = Shaping::open(&args.suppress, engine.library(), judged_at, redactor, cx)?;
        let made = make(
            &engine,
            &cache,
            &out,
            &order,
            &mut shaping,
            &mut verdict,
            cx,
        );
        let made = Box::pin(made).await?;
        if fingerprint(&cx.cache()?.unwrap_or(cache))? != before {
            if attempt < MOST_ATTEMPTS {
                continue;
            }
            return Err(
                CliError::new("the cache changed while it was exported, again and again")
                    .hint("a sync is running: export when it is done, or one state with `--as-of`"),
            );
        }
        return finish(&args, made, &out, verdict, cx);
    }
}

/// Syncs all sources. What that could not do colours the export; without it there would be none.
async fn sync_first(verdict: &mut Verdict, cx: &Context) -> Result<(), CliError> {
    let exit = match Box::pin(sync::all(cx)).await {
        Ok(exit) => exit,
        Err(error) if error.exit() == Exit::Interrupted => return Err(error),
        Err(error) => {
            cx.printer.error(&error);
            Exit::Failure
        }
    };
    match exit {
        Exit::Done => {}
        Exit::Failure => {
            cx.printer
                .warn("the sync failed: this exports what the cache had before");
            verdict.worsen(Exit::Partial);
        }
        exit => verdict.worsen(exit),
    }
    Ok(())
}

fn choose<'e>(
    args: &Args,
    values: &ParamValues,
    engine: &'e Engine,
    cache: &Cache,
    cx: &Context,
) -> Result<Chosen<'e>, CliError> {
    let configured = cx.settings.sources.iter().map(|source| source.kind);
    let known = cache.sources()?.into_iter().map(|source| source.kind);
    let kinds = configured.chain(known).collect::<Vec<SourceKind>>();
    Chosen::of(
        engine.library(),
        &args.ids,
        &args.tags,
        args.all,
        values,
        &kinds,
    )
}

fn tell_left_out(chosen: &Chosen<'_>, cx: &Context) {
    let mut reasons = BTreeSet::new();
    for (id, reason) in &chosen.left_out {
        cx.printer.detail(&format!("{id} is not asked: {reason}"));
        reasons.insert(reason);
    }
    for reason in reasons {
        let count = chosen.left_out.iter().filter(|(_, why)| why == reason);
        cx.printer.info(&format!(
            "{} not asked: {reason}",
            counted(count.count() as u64, "question")
        ));
    }
}

/// What a sync would change: an export is of one state.
fn fingerprint(cache: &Cache) -> Result<String, CliError> {
    let sources = cache.sources()?;
    let runs = sources.iter().map(|source| &source.last_sync);
    Ok(format!(
        "{:?} {:?}",
        cache.snapshots()?,
        runs.collect::<Vec<_>>()
    ))
}

/// Says what is new, gives the bundle its name, and ends.
fn finish(
    args: &Args,
    made: Made,
    out: &OutFolder,
    mut verdict: Verdict,
    cx: &Context,
) -> Result<Exit, CliError> {
    let report = &made.report;
    let new_count = made
        .new_since_last
        .iter()
        .map(|(_, count)| count)
        .sum::<u64>();
    // Before the bundle has its name: who is killed between the two hears of it again the next time.
    match args.check {
        Some(Check::New) if new_count > 0 => {
            cx.printer.warn(&new_rows(&made, new_count));
            verdict.findings();
        }
        Some(Check::Any) if report.row_count() > 0 => {
            cx.printer.warn(&format!("{} in all", report.size()));
            verdict.findings();
        }
        _ => {}
    }
    tell_accepted(report, cx);
    let place = out.place(made.state.at.date_naive())?;
    for undone in out.publish(made.staging, &place)? {
        cx.printer
            .warn(&format!("the export is there; {}", undone.one_line()));
    }
    let changes = match (&report.since, report.changes()) {
        (Some(since), Some(changes)) => format!("; since {since}: {changes}"),
        _ => String::new(),
    };
    let told = format!("wrote {} ({}{changes})", place.display(), report.size());
    let facts = serde_json::json!({
        "bundle": place.display().to_string(),
        "exit": verdict.exit().code(),
        "question_count": report.entries.len(),
        "row_count": report.row_count(),
        "new_count": new_count,
        "incomplete_count": report.lacking_count(),
    });
    cx.printer.outcome(&told, &facts);
    Ok(verdict.exit())
}

/// What was accepted: rows that are back are news, entries for nothing are worth knowing.
fn tell_accepted(report: &Report, cx: &Context) {
    if report.suppressed_count() > 0 {
        let accepted = counted(report.suppressed_count(), "accepted finding");
        cx.printer.info(&format!("{accepted} listed apart"));
    }
    for line in &report.suppressions {
        match line.standing.as_str() {
            "expired" if line.row_count > 0 => cx.printer.warn(&format!(
                "suppression `{}` of {} expired ({}): {} back",
                line.name,
                line.owner,
                line.expires.as_deref().unwrap_or_default(),
                match line.row_count {
                    1 => "1 row is".to_owned(),
                    count => format!("{} are", counted(count, "row")),
                },
            )),
            "unused" => cx.printer.info(&format!(
                "note: suppression `{}` of {} matches no row",
                line.name, line.owner
            )),
            _ => {}
        }
    }
}

/// `3 new rows since the last export: k9/iam-admins 2, k9/rds-delete 1`.
fn new_rows(made: &Made, new_count: u64) -> String {
    let named = made.new_since_last.iter().take(NAMED_QUESTIONS);
    let mut named = named
        .map(|(id, count)| format!("{id} {}", grouped(*count)))
        .collect::<Vec<_>>()
        .join(", ");
    if made.new_since_last.len() > NAMED_QUESTIONS {
        named.push_str(", …");
    }
    let since = match made.has_last {
        true => "since the last export",
        false => "(there is no export in this folder yet: each row counts as new)",
    };
    format!("{} {since}: {named}", counted(new_count, "new row"))
}

/// Writes the page alone, for `kennel demo`: the nightly questions of the newest state. Says where it lies; what is there
/// already of that state is not made again.
pub(super) async fn page(
    folder: &Path,
    verdict: &mut Verdict,
    cx: &Context,
) -> Result<PathBuf, CliError> {
    let out = OutFolder::open(folder)?;
    let engine = cx.engine(EngineSettings::default())?;
    let Some(cache) = cx.cache()? else {
        return Err(CliError::absent("there is no cache yet"));
    };
    let kinds = cx.settings.sources.iter().map(|source| source.kind);
    let kinds = kinds.collect::<Vec<SourceKind>>();
    let values = ParamValues::default();
    let chosen = Chosen::of(engine.library(), &[], &[], false, &values, &kinds)?;
    let state = State::of(&engine, &chosen.queries)?;
    let place = out.place(state.at.date_naive())?;
    let is_there = read_manifest(&place)
        .ok()
        .flatten()
        .is_some_and(|manifest| {
            manifest.state == state.described(None)
                && manifest.tool.version == env!("CARGO_PKG_VERSION")
        });
    let page = place.join(PAGE);
    if is_there && page.is_file() {
        return Ok(page);
    }
    let order = Order {
        queries: &chosen.queries,
        values: &distribute(&values, &chosen.queries),
        left_out: &chosen.left_out,
        formats: &[ExportFormat::Html],
        max_age: None,
        baseline: None,
        scope: manifest::Scope::default(),
    };
    let none = SuppressArgs::default();
    let mut shaping = Shaping::open(&none, engine.library(), state.at, None, cx)?;
    let made = make(&engine, &cache, &out, &order, &mut shaping, verdict, cx);
    let made = Box::pin(made).await?;
    // The page is named by its date, not by the link.
    let _undone = out.publish(made.staging, &place)?;
    Ok(page)
}
