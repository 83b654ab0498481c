//! One source, mirrored: list, plan, fetch, ingest, commit. `sync` and `demo` share it.
//!
//! The mirror knows S3, the engine knows Parquet, the cache knows the disk; here they meet.

mod csv_reports;
mod outcome;
pub(crate) mod trail;
mod trail_ingest;
mod trail_rebuild;

use std::{
    collections::{HashMap, HashSet},
    num::NonZero,
    path::PathBuf,
    thread,
};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use globset::GlobSet;
use kennel_cache::{
    AccountId, Cache, CacheError, CacheWriter, CsvReportKey, CustomerId, DeliveryDay, FailureStage,
    FetchedObject, KnownObject, NewReport, ReportKey, SourceKind, Stage, SyncCommit,
};
use kennel_engine::{IngestError, ingest_csv_report, ingest_report};
use kennel_mirror::{
    CancelFlag, MirrorSettings, PlanOptions, Remote, RemoteObject, SourceSettings, SourceUrl,
    SyncObserver, SyncPlan, Wanted, plan,
};

pub(crate) use outcome::{ImportCounts, Looked, Outcome, Planned, Synced, TrailCounts};

use crate::{clock, context::Context, error::CliError, settings::Source};

/// Objects that are remembered in one transaction.
const PENDING_BATCH: usize = 64;
/// Reports read at once; each may hold a row group in memory.
const INGEST_AT_ONCE: usize = 4;

/// Which objects, and how.
pub(crate) struct Options {
    /// Only these customers; all when empty.
    pub(crate) customers: Vec<CustomerId>,
    /// Only these accounts; all when empty.
    pub(crate) accounts: Vec<AccountId>,
    /// Only these regions (CloudTrail); all when empty.
    pub(crate) regions: Vec<String>,
    /// First delivery day (CloudTrail), first day of csv reports (k9).
    pub(crate) since: Option<DeliveryDay>,
    /// Last delivery day (CloudTrail), last day of csv reports (k9).
    pub(crate) until: Option<DeliveryDay>,
    /// Only keys that match; all when `None`.
    pub(crate) include: Option<GlobSet>,
    /// No keys that match.
    pub(crate) exclude: Option<GlobSet>,
    /// Accept that many keys vanished.
    pub(crate) allow_shrink: bool,
    /// Also look whether the cache still has the bytes of what is unchanged.
    pub(crate) full: bool,
    /// For the mirror.
    pub(crate) mirror: MirrorSettings,
}

impl Options {
    pub(crate) fn is_narrowed(&self) -> bool {
        !self.customers.is_empty()
            || !self.accounts.is_empty()
            || !self.regions.is_empty()
            || self.since.is_some()
            || self.until.is_some()
            || self.include.is_some()
            || self.exclude.is_some()
    }

    fn wants(&self, object: &RemoteObject) -> Wanted {
        let Some(report) = ReportKey::parse(&object.key) else {
            return Wanted::LeftAlone;
        };
        if self.admits(&report, &object.key) {
            Wanted::Yes
        } else {
            Wanted::Filtered
        }
    }

    /// Whether flags let a report through.
    fn admits(&self, report: &ReportKey, key: &str) -> bool {
        (self.customers.is_empty() || self.customers.contains(&report.customer_id))
            && (self.accounts.is_empty() || self.accounts.contains(&report.account_id))
            && self
                .include
                .as_ref()
                .is_none_or(|globs| globs.is_match(key))
            && !self
                .exclude
                .as_ref()
                .is_some_and(|globs| globs.is_match(key))
    }
}

fn source_settings(source: &Source) -> Result<SourceSettings, CliError> {
    let url = source.url.parse::<SourceUrl>()?;
    Ok(SourceSettings {
        name: source.name.clone(),
        url,
        region: source.region.clone(),
        profile: source.profile.clone(),
        role_arn: source.role_arn.clone(),
        external_id: source.external_id.clone(),
        endpoint_url: source.endpoint_url.clone(),
        request_payer: source.request_payer,
        ca_bundle: source.ca_bundle.clone(),
        path_style: source.path_style,
    })
}

/// Where k9's Parquet reports lie: below the configured prefix, unless that names the place itself.
fn report_prefix(url: &SourceUrl) -> String {
    const FOLDER: &str = "hive/parquet/";
    match url {
        SourceUrl::S3 { prefix, .. } if format!("{prefix}/").contains(FOLDER) => {
            format!("{prefix}/")
        }
        SourceUrl::S3 { prefix, .. } if !prefix.is_empty() => format!("{prefix}/{FOLDER}"),
        _ => FOLDER.to_owned(),
    }
}

/// Lists a source and compares it with the cache; changes nothing.
pub(crate) async fn plan_source(
    source: &Source,
    cache: Option<&Cache>,
    options: &Options,
    observer: &dyn SyncObserver,
) -> Result<Planned, CliError> {
    if source.kind == SourceKind::CloudTrail {
        return Box::pin(trail::plan_source(source, cache, options, observer)).await;
    }
    let settings = source_settings(source)?;
    let remote = Remote::open(&settings, &options.mirror).await?;
    let plan = make_plan(
        source,
        &settings,
        &remote,
        cache,
        &HashMap::new(),
        options,
        observer,
    )
    .await?;
    let mut planned = Planned {
        looked: Looked::from(&plan),
        fetch: plan.fetch,
        fetch_bytes: plan.fetch_bytes,
        adopt_count: plan.adopt.len() as u64,
        missing_count: plan.missing.len() as u64,
        reappeared_count: plan.reappeared.len() as u64,
        failures: Vec::new(),
        requests: remote.requests(),
    };
    if source.csv_reports && !csv_reports::prefixes(&settings.url).is_empty() {
        let none = HashMap::new();
        let url = &settings.url;
        let csv = Box::pin(csv_reports::make_plan(
            source, url, &remote, cache, &none, options, observer,
        ))
        .await;
        match csv {
            Ok(csv) => {
                planned.looked.add_looked(&csv.looked());
                planned.adopt_count += csv.plan.adopt.len() as u64;
                planned.fetch_bytes += csv.plan.fetch_bytes;
                planned.fetch.splice(0..0, csv.plan.fetch);
            }
            Err(error) => {
                let place = csv_reports::prefixes(url).into_iter().next();
                let failure = (
                    place.unwrap_or_default(),
                    FailureStage::List,
                    error.one_line(),
                );
                planned.failures.push(failure);
            }
        }
        planned.requests = remote.requests();
    }
    Ok(planned)
}

async fn make_plan(
    source: &Source,
    settings: &SourceSettings,
    remote: &Remote,
    cache: Option<&Cache>,
    pending: &HashMap<String, FetchedObject>,
    options: &Options,
    observer: &dyn SyncObserver,
) -> Result<SyncPlan, CliError> {
    let known: Box<dyn Iterator<Item = Result<KnownObject, CacheError>>> =
        match cache.map(|cache| cache.known_objects(&source.name)) {
            None | Some(Err(CacheError::UnknownSource { .. })) => Box::new(std::iter::empty()),
            Some(known) if options.full => {
                let known = known?;
                let failed = failed_keys(source, cache)?;
                Box::new(known.map(move |known| to_fetch_again(source, cache, &failed, known?)))
            }
            Some(known) => Box::new(known?),
        };
    let prefix = report_prefix(&settings.url);
    let wanted = |object: &RemoteObject| options.wants(object);
    let listing = remote.list(&prefix, None);
    let how = PlanOptions {
        allow_shrink: options.allow_shrink,
        ..PlanOptions::default()
    };
    Ok(plan(listing, known, pending, &wanted, how, observer).await?)
}

/// Keys that failed before.
fn failed_keys(source: &Source, cache: Option<&Cache>) -> Result<HashSet<String>, CacheError> {
    let failures = cache.map(Cache::failures).transpose()?.unwrap_or_default();
    Ok(failures
        .into_iter()
        .filter(|failure| failure.source == source.name)
        .map(|failure| failure.key)
        .collect())
}

/// With `--full`: an object that could not be read, or whose bytes are gone or damaged, is taken for changed, so that
/// it is fetched again.
fn to_fetch_again(
    source: &Source,
    cache: Option<&Cache>,
    failed: &HashSet<String>,
    mut known: KnownObject,
) -> Result<KnownObject, CacheError> {
    let Some(cache) = cache else { return Ok(known) };
    let object = cache.object(&source.name, &known.key)?;
    let is_intact = object.is_some_and(|object| cache.is_intact(&object.sha256));
    if !is_intact || failed.contains(&known.key) {
        known.etag.clear();
    }
    Ok(known)
}

/// Mirrors one source and commits what came.
///
/// # Errors
/// The source as a whole failed: nothing of it is committed. What was fetched is kept for the next sync.
pub(crate) async fn sync_source(
    source: &Source,
    writer: &mut CacheWriter,
    options: &Options,
    observer: &dyn SyncObserver,
    cancel: &CancelFlag,
) -> Result<Outcome, CliError> {
    if source.kind == SourceKind::CloudTrail {
        return Box::pin(trail::sync_source(
            source, writer, options, observer, cancel,
        ))
        .await;
    }
    let started_at = clock::now();
    writer.register_source(&source.name, source.kind, &source.url)?;
    let settings = source_settings(source)?;
    let remote = Remote::open(&settings, &options.mirror).await?;
    let pending = writer
        .pending(&source.name)?
        .into_iter()
        .map(|object| (object.key.clone(), object));
    let mut pending = pending.collect::<HashMap<_, _>>();
    let planning = make_plan(
        source,
        &settings,
        &remote,
        Some(writer.cache()),
        &pending,
        options,
        observer,
    );
    let mut plan = tokio::select! {
        plan = planning => plan?,
        () = cancel.cancelled() => return Ok(Outcome::Interrupted { fetched_count: 0 }),
    };
    let mut objects = plan
        .adopt
        .iter()
        .filter_map(|key| pending.remove(key))
        .collect::<Vec<_>>();
    let adopted_count = objects.len() as u64;

    let fetch = fetch(
        source,
        writer,
        &remote,
        std::mem::take(&mut plan.fetch),
        observer,
        cancel,
    )
    .await?;
    if fetch.outcome.interrupted {
        return Ok(Outcome::Interrupted {
            fetched_count: fetch.outcome.fetched,
        });
    }
    objects.extend(fetch.objects);
    let mut failures = fetch.failures;
    if let Some(shrink) = &plan.shrink_refused {
        failures.push((
            report_prefix(&settings.url),
            FailureStage::List,
            shrink.to_string(),
        ));
    }
    let ingested = ingest(objects, writer, cancel).await?;
    let Some(ingested) = ingested else {
        return Ok(Outcome::Interrupted {
            fetched_count: fetch.outcome.fetched,
        });
    };
    failures.extend(ingested.failures);
    let stopped = fetch.outcome.stopped.map(CliError::from);
    let commit = SyncCommit {
        source: source.name.clone(),
        started_at,
        taken_at: clock::now(),
        objects: ingested.objects,
        refreshed: plan
            .refresh
            .iter()
            .map(|object| (object.key.clone(), object.modified_at))
            .collect(),
        missing: plan.missing.clone(),
        reappeared: plan.reappeared.clone(),
        failures: failures.clone(),
        covers_all: !options.is_narrowed() && stopped.is_none(),
        unchanged_count: plan.keep_count,
        fetched_bytes: fetch.outcome.bytes,
        error: stopped.as_ref().map(CliError::one_line),
    };
    let outcome = writer.commit(&commit)?;
    let mut synced = Synced {
        fetched_count: fetch.outcome.fetched,
        fetched_bytes: fetch.outcome.bytes,
        adopted_count,
        unchanged_count: plan.keep_count,
        failures,
        problems: ingested.problems,
        vanished: fetch.vanished,
        looked: Looked::from(&plan),
        commit: outcome,
        requests: remote.requests(),
        stopped,
        trail: None,
        imported: None,
    };
    if synced.stopped.is_none() {
        let url = &settings.url;
        let imported = Box::pin(csv_reports::sync(
            source, url, &remote, writer, options, observer, cancel,
        ))
        .await?;
        let interrupted = imported.interrupted;
        synced.add_import(imported);
        synced.requests = remote.requests();
        if interrupted {
            return Ok(Outcome::Interrupted {
                fetched_count: synced.fetched_count,
            });
        }
    }
    Ok(Outcome::Synced(Box::new(synced)))
}

struct Fetched {
    objects: Vec<FetchedObject>,
    failures: Vec<(String, FailureStage, String)>,
    vanished: Vec<String>,
    outcome: kennel_mirror::FetchOutcome,
}

async fn fetch(
    source: &Source,
    writer: &mut CacheWriter,
    remote: &Remote,
    wanted: Vec<RemoteObject>,
    observer: &dyn SyncObserver,
    cancel: &CancelFlag,
) -> Result<Fetched, CliError> {
    let stage = writer.stage();
    let mut objects: Vec<FetchedObject> = Vec::new();
    let mut recorded = 0;
    let on_done = |object: FetchedObject| {
        objects.push(object);
        if objects.len() - recorded >= PENDING_BATCH {
            writer.record_pending(&source.name, &objects[recorded..])?;
            recorded = objects.len();
        }
        Ok(())
    };
    let outcome = remote
        .fetch(wanted, &stage, observer, cancel, on_done)
        .await;
    writer.record_pending(&source.name, &objects[recorded..])?;
    let failures = outcome
        .failures
        .iter()
        .filter(|failure| !failure.vanished)
        .map(|failure| {
            let step = if failure.stage == "verify" {
                FailureStage::Verify
            } else {
                FailureStage::Fetch
            };
            (failure.key.clone(), step, failure.message.clone())
        });
    let vanished = outcome
        .failures
        .iter()
        .filter(|failure| failure.vanished)
        .map(|failure| failure.key.clone());
    Ok(Fetched {
        failures: failures.collect(),
        vanished: vanished.collect(),
        objects,
        outcome,
    })
}

struct Ingested {
    objects: Vec<(FetchedObject, Option<NewReport>)>,
    failures: Vec<(String, FailureStage, String)>,
    problems: Vec<(String, String)>,
}

/// Makes table files of reports; `None` when interrupted. A report that cannot be read is a failure of
/// that report alone; a full disk is one of the sync.
async fn ingest(
    objects: Vec<FetchedObject>,
    writer: &CacheWriter,
    cancel: &CancelFlag,
) -> Result<Option<Ingested>, CliError> {
    let stage = writer.stage();
    let cache = writer.cache();
    let jobs = objects.into_iter().map(|object| {
        let path = cache.object_path(&object.sha256);
        let stage = stage.clone();
        async move {
            let made = make_table(object.key.clone(), path, stage).await;
            (object, made)
        }
    });
    let at_once = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(INGEST_AT_ONCE);
    let mut made = stream::iter(jobs).buffer_unordered(at_once);
    let mut ingested = Ingested {
        objects: Vec::new(),
        failures: Vec::new(),
        problems: Vec::new(),
    };
    while let Some((object, made)) = made.next().await {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        let report = match made {
            Ok(report) => report,
            Err(IngestError::Cache(error)) => return Err(error.into()),
            Err(error) => {
                let message = CliError::from_error(&error).one_line();
                ingested
                    .failures
                    .push((object.key.clone(), FailureStage::Ingest, message));
                None
            }
        };
        if let Some(problem) = report.as_ref().and_then(|report| report.problem.clone()) {
            ingested.problems.push((object.key.clone(), problem));
        }
        ingested.objects.push((object, report));
    }
    // Downloads end in any order; what is written must not depend on it.
    ingested.objects.sort_by(|a, b| a.0.key.cmp(&b.0.key));
    ingested.failures.sort_by(|a, b| a.0.cmp(&b.0));
    ingested.problems.sort();
    Ok(Some(ingested))
}

async fn make_table(
    key: String,
    path: PathBuf,
    stage: Stage,
) -> Result<Option<NewReport>, IngestError> {
    let work = match (ReportKey::parse(&key), CsvReportKey::parse(&key)) {
        (Some(report), _) => {
            tokio::task::spawn_blocking(move || ingest_report(&path, &report, &stage))
        }
        (None, Some(csv)) => {
            tokio::task::spawn_blocking(move || ingest_csv_report(&path, &csv.report, &stage))
        }
        (None, None) => return Ok(None),
    };
    match work.await {
        Ok(made) => made.map(Some),
        Err(join) => std::panic::resume_unwind(join.into_panic()),
    }
}

/// Makes all table files of a source anew from its objects; says how many, and what failed.
pub(crate) async fn rebuild_tables(
    source: &Source,
    writer: &mut CacheWriter,
    cx: &Context,
) -> Result<(u64, Vec<String>), CliError> {
    if source.kind == SourceKind::CloudTrail {
        return tokio::task::block_in_place(|| trail_rebuild::rebuild(source, writer));
    }
    let versions = match writer.cache().versions_to_ingest(&source.name) {
        Err(CacheError::UnknownSource { .. }) => return Ok((0, Vec::new())),
        versions => versions?,
    };
    let mut count = 0;
    let mut failures = Vec::new();
    for (id, key, hash) in versions {
        let path = writer.cache().object_path(&hash);
        match make_table(key.clone(), path, writer.stage()).await {
            Ok(None) => {}
            Ok(Some(report)) => {
                writer.replace_report(id, &report)?;
                cx.printer.detail(&format!("made the table of {key}"));
                count += 1;
            }
            Err(IngestError::Cache(error)) => return Err(error.into()),
            Err(error) => failures.push(format!(
                "{key}: {}",
                CliError::from_error(&error).one_line()
            )),
        }
    }
    Ok((count, failures))
}

/// Now, for libraries that ask more than once.
pub(crate) fn now() -> DateTime<Utc> {
    clock::now()
}
