//! `kennel sync`: mirrors the sources.

mod summary;
mod tell;

use std::{io::Write, time::Instant};

use chrono::{DateTime, Utc};
use globset::{Glob, GlobSet, GlobSetBuilder};
use kennel_cache::{AccountId, Cache, CacheError, CacheWriter, CustomerId, SourceKind};
use kennel_mirror::{CancelFlag, MirrorSettings, RetrySettings};

pub(super) use tell::tell;

use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    mirroring::{self, Options, Outcome, Planned, Synced},
    progress::Progress,
    settings::Source,
    signals,
    text::{bytes, counted, grouped, nearest, parse_size, visible},
};

/// Objects that `--dry-run` names without `-v`.
const NAMED_OBJECTS: usize = 20;

/// Mirror the configured sources into the cache
///
/// An object is fetched when its ETag or version is not the one in the cache; never by size or date
/// alone. Each is verified, kept under its own hash, and what was there before stays as history.
/// Nothing is deleted: what the source no longer lists is marked, and answers say so.
///
/// k9's dated csv reports (customers/…/YYYY/MM/*.csv, and its older hive layout) are imported as history with their
/// own time; `csv_reports = false` in kennel.toml leaves them alone.
///
/// One bad object does not fail a sync: the rest is there, and the exit code is 3. After Ctrl-C the
/// cache is as it was, and the next sync goes on from what had been fetched.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:
  kennel sync                          all sources of kennel.toml
  kennel sync k9 --dry-run             what would be fetched, and what it costs
  kennel sync --account 111122223333 --account 444455556666
  kennel sync --exclude '**/ras/**' --bandwidth-limit 20M
  kennel sync --json > sync.jsonl      events and a summary, for machines")]
pub(crate) struct Args {
    /// Sources, by their names in kennel.toml [default: all]
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    /// Print the plan with counts, bytes and the cost of its requests, and stop
    #[arg(long)]
    dry_run: bool,
    /// Only this customer (repeatable)
    #[arg(long = "customer", value_name = "ID")]
    customers: Vec<CustomerId>,
    /// Only this account (repeatable)
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<AccountId>,
    /// Only this region (repeatable; CloudTrail sources)
    #[arg(long = "region", value_name = "REGION")]
    regions: Vec<String>,
    /// Only events (CloudTrail) and csv reports (k9) since this day or span (2026-03-01, 90d)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only events (CloudTrail) and csv reports (k9) until this day
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only keys that match (repeatable; * does not cross /, ** does)
    #[arg(long, value_name = "GLOB", value_parser = parse_glob)]
    include: Vec<Glob>,
    /// No keys that match (repeatable); beats --include, whatever the order
    #[arg(long, value_name = "GLOB", value_parser = parse_glob)]
    exclude: Vec<Glob>,
    /// Downloads at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: Option<u16>,
    /// Bytes per second over all downloads (500k, 20M)
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    bandwidth_limit: Option<u64>,
    /// List everything anew, and fetch again what is damaged or missing in the cache
    #[arg(long)]
    full: bool,
    /// Believe a listing in which many known objects are gone
    #[arg(long)]
    allow_shrink: bool,
    /// Make all tables anew from the mirrored objects first; needs no network
    #[arg(long, conflicts_with = "dry_run")]
    rebuild_tables: bool,
    /// Write events and a summary as JSON lines to standard output
    #[arg(long)]
    json: bool,
}

fn parse_glob(text: &str) -> Result<Glob, String> {
    globset::GlobBuilder::new(text)
        .literal_separator(true)
        .build()
        .map_err(|e| e.to_string())
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let sources = choose(&args.sources, &cx.settings.sources, cx)?;
    let options = options(&args, cx)?;
    note_unused(&args, &sources, cx);
    if sources.iter().any(|source| source.url.starts_with("s3://")) {
        // A second install would be refused; there is none before this one.
        let _first = rustls::crypto::ring::default_provider().install_default();
    }
    if args.dry_run {
        let mut interrupts = signals::listen();
        return tokio::select! {
            biased;
            () = interrupts.next() => Err(CliError::interrupted("interrupted; nothing was changed")),
            exit = dry_run(&args, &sources, &options, cx) => exit,
        };
    }
    let cancel = CancelFlag::default();
    signals::cancel_on_signal(cancel.clone());
    let work = sync_all(&args, &sources, &options, &cancel, cx);
    tokio::pin!(work);
    tokio::select! {
        exit = &mut work => return exit,
        () = cancel.cancelled() => {}
    }
    cx.printer.info("stopping; once more stops at once");
    work.await
}

/// Syncs all sources, as without any flag.
pub(super) async fn all(cx: &Context) -> Result<Exit, CliError> {
    run(Args::default(), cx).await
}

/// The sources that were named, or all.
fn choose(names: &[String], configured: &[Source], cx: &Context) -> Result<Vec<Source>, CliError> {
    if configured.is_empty() {
        let place = match &cx.settings.config.value {
            Some(path) => format!("`{}` has no [[source]]", path.display()),
            None => "there is no kennel.toml here".into(),
        };
        return Err(CliError::new(format!("nothing to sync: {place}")).hint(
            "`kennel init --k9 s3://BUCKET` writes one; `--config FILE` names one elsewhere",
        ));
    }
    if names.is_empty() {
        return Ok(configured.to_vec());
    }
    let mut chosen: Vec<Source> = Vec::new();
    for name in names {
        let Some(source) = configured
            .iter()
            .find(|source| source.name.as_str() == name)
        else {
            let known = configured.iter().map(|source| source.name.as_str());
            let told = CliError::new(format!("no source `{name}` is configured"));
            return Err(match nearest(name, known.clone()) {
                Some(near) => told.hint(format!("did you mean `{near}`?")),
                None => told.hint(format!(
                    "configured: {}",
                    known.collect::<Vec<_>>().join(", ")
                )),
            });
        };
        if !chosen.iter().any(|other| other.name == source.name) {
            chosen.push(source.clone());
        }
    }
    Ok(chosen)
}

fn options(args: &Args, cx: &Context) -> Result<Options, CliError> {
    let set = |globs: &[Glob]| -> Result<Option<GlobSet>, CliError> {
        if globs.is_empty() {
            return Ok(None);
        }
        let mut builder = GlobSetBuilder::new();
        for glob in globs {
            builder.add(glob.clone());
        }
        builder
            .build()
            .map(Some)
            .map_err(|e| CliError::new("cannot use these globs together").cause(&e))
    };
    let day = |flag: &str, text: &Option<String>| {
        text.as_deref()
            .map(|text| mirroring::trail::parse_day(text, cx.now()))
            .transpose()
            .map_err(|what| CliError::new(format!("{flag}: {what}")))
    };
    Ok(Options {
        customers: args.customers.clone(),
        accounts: args.accounts.clone(),
        regions: args.regions.clone(),
        since: day("--since", &args.since)?,
        until: day("--until", &args.until)?,
        include: set(&args.include)?,
        exclude: set(&args.exclude)?,
        allow_shrink: args.allow_shrink,
        full: args.full,
        mirror: MirrorSettings {
            concurrency: args
                .concurrency
                .map_or(cx.settings.concurrency.value, usize::from),
            bandwidth_limit: args.bandwidth_limit.or(cx.settings.bandwidth_limit.value),
            retry: RetrySettings::default(),
            offline: cx.settings.offline.value,
            now: mirroring::now,
        },
    })
}

/// Flags that none of the chosen sources knows are said, not swallowed.
fn note_unused(args: &Args, sources: &[Source], cx: &Context) {
    if sources
        .iter()
        .any(|source| source.kind == SourceKind::CloudTrail)
    {
        return;
    }
    if !args.regions.is_empty() {
        cx.printer.warn("--region has no effect: it is for CloudTrail sources, and k9's reports are of no region");
    }
}

async fn dry_run(
    args: &Args,
    sources: &[Source],
    options: &Options,
    cx: &Context,
) -> Result<Exit, CliError> {
    let mut outcomes = Outcomes::default();
    for source in sources {
        let cache = match Cache::open(cx.home()) {
            Err(CacheError::NotFound { .. }) => None,
            cache => Some(cache?),
        };
        let progress = Progress::new(
            source.name.as_str(),
            cx.settings.progress.value,
            args.json,
            &cx.printer,
        );
        let planned = Box::pin(mirroring::plan_source(
            source,
            cache.as_ref(),
            options,
            &progress,
        ))
        .await;
        drop(progress);
        match planned {
            Ok(planned) => {
                if args.json {
                    cx.printer
                        .data(&summary::Planned::new(source, &planned, cx).line())?;
                } else {
                    write_plan(source, &planned, cx)?;
                }
                let is_partial =
                    planned.looked.shrink_refused.is_some() || !planned.failures.is_empty();
                outcomes.done(if is_partial {
                    Exit::Partial
                } else {
                    Exit::Done
                });
            }
            Err(error) => outcomes.failed(source, &error, args.json, cx),
        }
    }
    Ok(outcomes.exit())
}

fn cost_usd(planned: &Planned, cx: &Context) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let thousands = |requests: u64| requests as f64 / 1000.0;
    thousands(planned.requests.list) * cx.settings.list_usd_per_1000.value
        + thousands(planned.fetch.len() as u64) * cx.settings.get_usd_per_1000.value
}

fn write_plan(source: &Source, planned: &Planned, cx: &Context) -> Result<(), CliError> {
    let (fetch, looked) = (&planned.fetch, &planned.looked);
    let mut out = cx.printer.stdout();
    writeln!(
        out,
        "{}: would fetch {} ({})",
        source.name,
        counted(fetch.len() as u64, "object"),
        bytes(planned.fetch_bytes)
    )?;
    let named = if cx.printer.verbosity() > 0 {
        usize::MAX
    } else {
        NAMED_OBJECTS
    };
    for object in fetch.iter().take(named) {
        writeln!(
            out,
            "  {} ({})",
            visible(&object.key),
            bytes(object.size_bytes)
        )?;
    }
    if fetch.len() > named {
        writeln!(
            out,
            "  and {} more; -v names all",
            grouped((fetch.len() - named) as u64)
        )?;
    }
    let mut counts = vec![format!("{} unchanged", grouped(looked.keep_count))];
    for (count, words) in [
        (
            planned.adopt_count,
            "fetched by an interrupted sync already",
        ),
        (
            planned.missing_count,
            "no longer listed: would be marked, not deleted",
        ),
        (planned.reappeared_count, "listed again"),
        (
            looked.archived_count,
            "archived, not restored: cannot be read",
        ),
        (looked.filtered_count, "left out by flags"),
        (looked.left_alone_count, "not kennel's"),
    ] {
        if count > 0 {
            counts.push(format!("{} {words}", grouped(count)));
        }
    }
    writeln!(out, "  {}", counts.join("; "))?;
    writeln!(
        out,
        "  requests: {} LIST made, {} GET to make; about ${:.4} at AWS's prices, plus transfer",
        grouped(planned.requests.list),
        grouped(fetch.len() as u64),
        cost_usd(planned, cx),
    )?;
    out.flush()?;
    if let Some(shrink) = &looked.shrink_refused {
        cx.printer.warn(&format!("{}: {shrink}", source.name));
        cx.printer.hint("`--allow-shrink` accepts this listing");
    }
    for (key, step, message) in &planned.failures {
        let what = format!("{}: cannot {} {key}: {message}", source.name, step.as_str());
        cx.printer.warn(&what);
    }
    Ok(())
}

async fn sync_all(
    args: &Args,
    sources: &[Source],
    options: &Options,
    cancel: &CancelFlag,
    cx: &Context,
) -> Result<Exit, CliError> {
    let mut writer = CacheWriter::open(cx.home(), cx.now())?;
    let mut outcomes = Outcomes::default();
    if args.rebuild_tables {
        rebuild_all(sources, &mut writer, &mut outcomes, cx).await?;
    }
    for source in sources {
        let started = Instant::now();
        let started_at = cx.now();
        let progress = Progress::new(
            source.name.as_str(),
            cx.settings.progress.value,
            args.json,
            &cx.printer,
        );
        let outcome = Box::pin(mirroring::sync_source(
            source,
            &mut writer,
            options,
            &progress,
            cancel,
        ))
        .await;
        drop(progress);
        match outcome {
            Ok(Outcome::Synced(synced)) => {
                tell(source, &synced, started, cx);
                if args.json {
                    cx.printer
                        .data(&summary::Synced::new(source, &synced).line())?;
                }
                outcomes.done(exit_of(&synced));
            }
            Ok(Outcome::Interrupted { fetched_count }) => {
                if args.json {
                    cx.printer.data(&summary::failed(source, "interrupted"))?;
                }
                return Err(CliError::interrupted(format!(
                    "{}: interrupted after {}",
                    source.name,
                    counted(fetched_count, "object")
                ))
                .hint("the cache is as it was; the next `kennel sync` goes on from there"));
            }
            Err(error) => {
                remember(source, &mut writer, started_at, &error, options, cx);
                outcomes.failed(source, &error, args.json, cx);
            }
        }
    }
    Ok(outcomes.exit())
}

/// Makes the tables of all sources anew before the first is synced: a trail's sync looks at the tables of the others.
async fn rebuild_all(
    sources: &[Source],
    writer: &mut CacheWriter,
    outcomes: &mut Outcomes,
    cx: &Context,
) -> Result<(), CliError> {
    for source in sources {
        let (count, failures) = mirroring::rebuild_tables(source, writer, cx).await?;
        cx.printer.info(&format!(
            "{}: made {} anew",
            source.name,
            counted(count, "table")
        ));
        failures.iter().for_each(|failure| cx.printer.warn(failure));
        outcomes.done(if failures.is_empty() {
            Exit::Done
        } else {
            Exit::Partial
        });
    }
    Ok(())
}

/// A source that could not be synced at all: `status` and answers say so until it can. With `--offline` nothing was tried.
fn remember(
    source: &Source,
    writer: &mut CacheWriter,
    started_at: DateTime<Utc>,
    error: &CliError,
    options: &Options,
    cx: &Context,
) {
    if options.mirror.offline {
        return;
    }
    let line = error.one_line();
    if let Err(why) = writer.record_failed_sync(&source.name, started_at, cx.now(), &line) {
        // The failure itself is told anyway; this disk may be why there was one.
        tracing::warn!(error = %why, "the failed sync was not recorded");
    }
}

fn exit_of(synced: &Synced) -> Exit {
    let nothing_came = synced.fetched_count + synced.adopted_count + synced.unchanged_count == 0;
    if synced.stopped.is_some() && nothing_came {
        Exit::Failure
    } else if synced.stopped.is_some()
        || !synced.failures.is_empty()
        || !synced.problems.is_empty()
        || synced.looked.archived_count > 0
    {
        Exit::Partial
    } else {
        Exit::Done
    }
}

/// What several sources came to: one that failed is partial as long as another did not.
#[derive(Default)]
struct Outcomes {
    exit: Exit,
    done_count: u32,
    failed_count: u32,
}

impl Outcomes {
    fn done(&mut self, exit: Exit) {
        if exit == Exit::Failure {
            self.failed_count += 1;
        } else {
            self.exit = self.exit.and(exit);
            self.done_count += 1;
        }
    }

    fn failed(&mut self, source: &Source, error: &CliError, json: bool, cx: &Context) {
        cx.printer.error(error);
        if json {
            // The error stands on stderr whether or not anybody reads the events.
            let _unheard = cx.printer.data(&summary::failed(source, &error.one_line()));
        }
        self.failed_count += 1;
    }

    fn exit(&self) -> Exit {
        match (self.done_count, self.failed_count) {
            (_, 0) => self.exit,
            (0, _) => Exit::Failure,
            _ => self.exit.and(Exit::Partial),
        }
    }
}
