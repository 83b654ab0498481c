//! One CloudTrail source, mirrored: find the prefixes, list what may be new, fetch into packs and table files batch by
//! batch, and show it all at the end. A batch is one transaction, so that each object is ingested once whatever is
//! killed when.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
};

use chrono::{DateTime, Utc};
use kennel_cache::{
    Cache, CacheWriter, DeliveryDay, FailureStage, Sha256, TrailFinish, TrailKey, TrailListed,
    TrailObject, TrailPrefix,
};
use kennel_engine::trail::{TrailIngester, compact_trail, decode::DecodeLimits};
use kennel_mirror::{
    CancelFlag, Discovery, FetchOutcome, Remote, RemoteObject, SourceUrl, SyncObserver,
    TrailFilter, TrailOptions, TrailPlan, plan_trail,
};
use tokio::sync::mpsc;

use super::{
    Looked, Options, Outcome, Planned, Synced, TrailCounts, source_settings,
    trail_ingest::{Ingest, Writing, run_side_by_side},
};
use crate::{
    clock,
    error::CliError,
    settings::Source,
    text::{counted, parse_span},
};

/// Prefixes that are planned and fetched together: bounds what a plan holds.
const PREFIXES_AT_ONCE: usize = 256;
/// Groups of fetched objects that wait to be read: of a folder's objects, a MiB each.
const WAITING: usize = 16;

/// Reads `2026-03-01`, or a span back from now.
pub(crate) fn parse_day(text: &str, now: DateTime<Utc>) -> Result<DeliveryDay, String> {
    if let Ok(date) = text.trim().parse() {
        return Ok(DeliveryDay::from_date(date));
    }
    let span = parse_span(text)
        .map_err(|_| format!("`{text}` is no day (2026-03-01) and no span (90d)"))?;
    let at = now
        .checked_sub_signed(span)
        .ok_or_else(|| format!("`{text}` reaches too far back"))?;
    Ok(DeliveryDay::from_date(at.date_naive()))
}

fn filter(options: &Options) -> TrailFilter {
    TrailFilter {
        accounts: options.accounts.clone(),
        folders: Vec::new(),
        regions: options.regions.clone(),
    }
}

fn trail_options(source: &Source, options: &Options) -> Result<TrailOptions, CliError> {
    let configured = source
        .since
        .as_deref()
        .map(|text| parse_day(text, clock::now()))
        .transpose()
        .map_err(CliError::new)?;
    Ok(TrailOptions {
        since: options.since.or(configured),
        until: options.until,
        full: options.full,
        ..TrailOptions::default()
    })
}

/// Where the source begins, as the mirror takes it.
fn place(url: &SourceUrl) -> &str {
    match url {
        SourceUrl::S3 { prefix, .. } => prefix,
        SourceUrl::File { .. } => "",
    }
}

fn wants(options: &Options, key: &str) -> bool {
    let admits = |globs: &Option<globset::GlobSet>| globs.as_ref().map(|g| g.is_match(key));
    admits(&options.include) != Some(false) && admits(&options.exclude) != Some(true)
}

/// Lists what may be new and compares it with the cache; changes nothing.
pub(super) async fn plan_source(
    source: &Source,
    cache: Option<&Cache>,
    options: &Options,
    observer: &dyn SyncObserver,
) -> Result<Planned, CliError> {
    let settings = source_settings(source)?;
    let remote = Remote::open(&settings, &options.mirror).await?;
    let discovery = remote
        .discover_trail(place(&settings.url), &filter(options))
        .await?;
    // Without a cache everything is new: an empty one in a folder that goes away says so.
    let empty;
    let nowhere = tempfile::tempdir().map_err(|e| CliError::new("cannot plan").cause(&e))?;
    let cache = match cache.filter(|cache| cache.trail_prefixes(&source.name).is_ok()) {
        Some(cache) => cache,
        None => {
            let mut writer = CacheWriter::open(&nowhere.path().join("home"), clock::now())?;
            writer.register_source(&source.name, source.kind, &source.url)?;
            empty = writer;
            empty.cache()
        }
    };
    let how = trail_options(source, options)?;
    let wanted = |key: &str| wants(options, key);
    let plans = plan_trail(
        &remote,
        cache,
        &source.name,
        &discovery.prefixes,
        &how,
        &wanted,
        observer,
    )
    .await?;
    let damaged = damaged(cache, source, options)?;
    let mut planned = Planned {
        fetch: Vec::new(),
        fetch_bytes: 0,
        looked: Looked::default(),
        adopt_count: 0,
        missing_count: 0,
        reappeared_count: 0,
        failures: listing_failures(&discovery, &plans.failures),
        requests: remote.requests(),
    };
    for mut plan in plans.plans {
        add_damaged(&mut plan, &damaged);
        planned.looked.add(&plan);
        planned.failures.extend(archived_failure(&plan));
        planned.fetch_bytes += plan.fetch_bytes;
        planned.fetch.extend(plan.fetch);
    }
    Ok(planned)
}

pub(super) type Failures = Vec<(String, FailureStage, String)>;

/// One failure for what is archived below a prefix: there may be years of it.
///
/// It stands at the first such object, so that it is over when a later listing of that day does not meet it again.
fn archived_failure(plan: &TrailPlan) -> Option<(String, FailureStage, String)> {
    let key = plan.first_archived.clone()?;
    let more = match plan.archived_count.saturating_sub(1) {
        0 => String::new(),
        count => format!(
            ", with {} more below `{}`",
            counted(count, "object"),
            plan.prefix
        ),
    };
    let what = format!("it is archived and not restored{more}");
    Some((key, FailureStage::Fetch, what))
}

fn listing_failures(
    discovery: &Discovery,
    plans: &[(TrailPrefix, kennel_mirror::MirrorError)],
) -> Failures {
    let one_line = |error| CliError::from_error(error).one_line();
    let mut failures = Failures::new();
    for (prefix, error) in &discovery.failures {
        failures.push((prefix.clone(), FailureStage::List, one_line(error)));
    }
    for (prefix, error) in plans {
        failures.push((prefix.prefix.clone(), FailureStage::List, one_line(error)));
    }
    if discovery.is_cut {
        let what = "the search for AWSLogs was given up before it saw all folders; name the prefix in the source's url";
        failures.push(("AWSLogs".into(), FailureStage::List, what.into()));
    }
    failures
}

/// What a sync has come to so far.
#[derive(Default)]
pub(super) struct Course {
    looked: Looked,
    pub(super) failures: Failures,
    vanished: Vec<String>,
    listed: Vec<TrailListed>,
    refreshed: Vec<(String, DateTime<Utc>)>,
    fetched_count: u64,
    fetched_bytes: u64,
    prefix_count: u64,
    pub(super) record_count: u64,
    changed_count: u64,
    stopped: Option<CliError>,
    is_interrupted: bool,
    /// With `--full`: known objects whose bytes are damaged or gone, by key.
    pub(super) damaged: BTreeMap<String, TrailObject>,
}

/// Mirrors one source and shows what came.
///
/// # Errors
/// The source as a whole failed. Batches that were committed are kept for the next sync.
pub(super) async fn sync_source(
    source: &Source,
    writer: &mut CacheWriter,
    options: &Options,
    observer: &dyn SyncObserver,
    cancel: &CancelFlag,
) -> Result<Outcome, CliError> {
    let started_at = clock::now();
    writer.register_source(&source.name, source.kind, &source.url)?;
    let settings = source_settings(source)?;
    let remote = Remote::open(&settings, &options.mirror).await?;
    let how = trail_options(source, options)?;
    let wanted = |key: &str| wants(options, key);
    let mut ingester = TrailIngester::new(DecodeLimits::default());
    let mut course = Course {
        damaged: damaged(writer.cache(), source, options)?,
        ..Course::default()
    };
    let finding = filter(options);
    let discovery = tokio::select! {
        found = remote.discover_trail(place(&settings.url), &finding) => found?,
        () = cancel.cancelled() => return Ok(Outcome::Interrupted { fetched_count: 0 }),
    };
    course.failures = listing_failures(&discovery, &[]);
    course.prefix_count = discovery.prefixes.len() as u64;
    for prefixes in discovery.prefixes.chunks(PREFIXES_AT_ONCE) {
        let planning = plan_trail(
            &remote,
            writer.cache(),
            &source.name,
            prefixes,
            &how,
            &wanted,
            observer,
        );
        let plans = tokio::select! {
            plans = planning => plans?,
            () = cancel.cancelled() => {
                course.is_interrupted = true;
                break;
            }
        };
        course
            .failures
            .extend(listing_failures(&Discovery::default(), &plans.failures));
        let work = Work {
            source,
            remote: &remote,
            observer,
            cancel,
        };
        work.carry_out(plans.plans, writer, &mut ingester, &mut course)?;
        if course.is_interrupted || course.stopped.is_some() {
            break;
        }
    }
    if course.is_interrupted {
        return Ok(Outcome::Interrupted {
            fetched_count: course.fetched_count,
        });
    }
    // Compaction needs memory of its own.
    drop(ingester);
    finish(source, writer, options, started_at, course, &remote)
}

/// Compacts what came, and shows it.
fn finish(
    source: &Source,
    writer: &mut CacheWriter,
    options: &Options,
    started_at: DateTime<Utc>,
    course: Course,
    remote: &Remote,
) -> Result<Outcome, CliError> {
    let stage = writer.stage();
    let compacted =
        tokio::task::block_in_place(|| compact_trail(writer.cache(), &source.name, &stage))
            .map_err(|error| {
                CliError::from_error(&error).hint(
            "`kennel sync --rebuild-tables` makes damaged tables again; what was fetched is kept",
        )
            })?;
    let is_replaced = !compacted.replaced_ids.is_empty();
    let is_whole = course.stopped.is_none() && !options.is_narrowed();
    let commit = writer.finish_trail_sync(&TrailFinish {
        source: source.name.clone(),
        started_at,
        taken_at: clock::now(),
        listed: course.listed,
        replaced_files: compacted.replaced_ids,
        files: compacted.files,
        refreshed: course.refreshed,
        failures: course.failures.clone(),
        covers_all: is_whole,
        fetched_count: course.fetched_count,
        fetched_bytes: course.fetched_bytes,
        unchanged_count: course.looked.keep_count,
        changed_count: course.changed_count,
        error: course.stopped.as_ref().map(CliError::one_line),
    })?;
    if is_replaced {
        writer.remove_replaced_tables();
    }
    Ok(Outcome::Synced(Box::new(Synced {
        fetched_count: course.fetched_count,
        fetched_bytes: course.fetched_bytes,
        adopted_count: 0,
        unchanged_count: course.looked.keep_count,
        failures: course.failures,
        problems: Vec::new(),
        vanished: course.vanished,
        looked: course.looked,
        commit,
        requests: remote.requests(),
        stopped: course.stopped,
        imported: None,
        trail: Some(TrailCounts {
            record_count: course.record_count,
            duplicate_count: compacted.duplicate_count,
            prefix_count: course.prefix_count,
            is_narrowed: options.is_narrowed(),
        }),
    })))
}

/// With `--full`: the objects whose bytes are damaged or gone. Reads all packs.
fn damaged(
    cache: &Cache,
    source: &Source,
    options: &Options,
) -> Result<BTreeMap<String, TrailObject>, CliError> {
    if !options.full {
        return Ok(BTreeMap::new());
    }
    let mut damaged = tokio::task::block_in_place(|| cache.damaged_trail_objects(&source.name))?;
    damaged.retain(|key, _| wants(options, key));
    Ok(damaged)
}

/// Fetches damaged objects of a plan's prefix again, unless they come anyway since they changed.
fn add_damaged(plan: &mut TrailPlan, damaged: &BTreeMap<String, TrailObject>) {
    let prefix = plan.prefix.prefix.as_str();
    let of_prefix = damaged.range(prefix.to_owned()..);
    let of_prefix = of_prefix.take_while(|(key, _)| key.starts_with(prefix));
    let planned = plan.fetch.iter().map(|object| object.key.as_str());
    let planned = planned.collect::<BTreeSet<_>>();
    let again = of_prefix
        .filter(|(key, _)| !planned.contains(key.as_str()))
        .map(|(_, known)| RemoteObject {
            key: known.object.key.clone(),
            size_bytes: known.object.size_bytes,
            etag: known.object.etag.clone(),
            modified_at: known.object.modified_at,
            storage_class: known.object.storage_class.clone(),
            is_restored: false,
            version_id: known.object.version_id.clone(),
        })
        .collect::<Vec<_>>();
    plan.keep_count = plan.keep_count.saturating_sub(again.len() as u64);
    plan.fetch_bytes += again.iter().map(|object| object.size_bytes).sum::<u64>();
    let keys = again.iter().map(|object| object.key.clone());
    plan.known.extend(keys);
    plan.fetch.extend(again);
}

/// What carrying out plans needs.
struct Work<'w> {
    source: &'w Source,
    remote: &'w Remote,
    observer: &'w dyn SyncObserver,
    cancel: &'w CancelFlag,
}

impl Work<'_> {
    /// Fetches what plans name, while one thread reads what came and another writes and commits it.
    fn carry_out(
        &self,
        mut plans: Vec<TrailPlan>,
        writer: &mut CacheWriter,
        ingester: &mut TrailIngester,
        course: &mut Course,
    ) -> Result<(), CliError> {
        let mut objects = Vec::<RemoteObject>::new();
        let mut known = BTreeSet::new();
        for plan in &mut plans {
            add_damaged(plan, &course.damaged);
            course.looked.add(plan);
            course.failures.extend(archived_failure(plan));
            objects.append(&mut plan.fetch);
            known.extend(std::mem::take(&mut plan.known));
        }
        // What was delivered at a time together, whatever its account and region: the table files then share
        // few instants with each other, and need no merging.
        objects.sort_by_cached_key(|object| {
            let key = TrailKey::parse(&object.key);
            key.map(|key| (key.delivered().0, key.delivered().1.to_owned()))
        });
        let stage = writer.stage();
        let (sender, receiver) = mpsc::channel(WAITING);
        let runtime = tokio::runtime::Handle::current();
        let (outcome, done) = tokio::task::block_in_place(|| {
            // Asked before the thread that writes has the manifest to itself.
            let known = self.known(&known, writer)?;
            let ingest = Ingest::new(self.source, &stage, ingester, course, known);
            let writing = Writing::new(self.source, writer);
            thread::scope(|scope| {
                let ingested = run_side_by_side(scope, ingest, writing, receiver);
                let fetching =
                    self.remote
                        .fetch_bytes(objects, &stage, self.observer, self.cancel, sender);
                let outcome = runtime.block_on(fetching);
                Ok::<_, CliError>((outcome, ingested.join()))
            })
        })?;
        course.changed_count += done?;
        self.conclude(plans, outcome, course);
        Ok(())
    }

    /// The bytes of objects that the cache knows.
    fn known(
        &self,
        keys: &BTreeSet<String>,
        writer: &CacheWriter,
    ) -> Result<BTreeMap<String, (Sha256, u64)>, CliError> {
        let mut known = BTreeMap::new();
        for key in keys {
            if let Some(found) = writer.cache().trail_object(&self.source.name, key)? {
                let object = found.object;
                known.insert(key.clone(), (object.sha256, object.size_bytes));
            }
        }
        Ok(known)
    }

    fn conclude(&self, plans: Vec<TrailPlan>, outcome: FetchOutcome, course: &mut Course) {
        course.fetched_count += outcome.fetched;
        course.fetched_bytes += outcome.bytes;
        course.is_interrupted |= outcome.interrupted;
        let (gone, failed): (Vec<_>, Vec<_>) = outcome
            .failures
            .into_iter()
            .partition(|failure| failure.vanished);
        course.vanished.extend(gone.into_iter().map(|f| f.key));
        // What was not tried is not proved to be here.
        let is_complete = !outcome.interrupted && outcome.stopped.is_none();
        for plan in plans {
            if is_complete {
                let open = failed.iter().map(|failure| failure.key.as_str());
                course.listed.extend(plan.listed(open));
            }
            course.refreshed.extend(plan.refresh);
        }
        course.failures.extend(failed.into_iter().map(|failure| {
            let stage = match failure.stage {
                "verify" => FailureStage::Verify,
                _ => FailureStage::Fetch,
            };
            (failure.key, stage, failure.message)
        }));
        course.stopped = outcome.stopped.map(CliError::from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_named_or_counted_back() {
        let now = "2026-03-03T12:00:00Z".parse().unwrap();
        let day = |text| parse_day(text, now).map(|day| day.to_string());
        assert_eq!(day("2026-03-01").unwrap(), "2026/03/01");
        assert_eq!(day("90d").unwrap(), "2025/12/03");
        assert_eq!(day("36h").unwrap(), "2026/03/02");
        assert!(day("yesterday").is_err());
        assert!(day("2026-13-01").is_err());
    }
}
