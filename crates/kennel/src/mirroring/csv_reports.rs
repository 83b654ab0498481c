//! The csv reports of an inbox: k9's dated copies and its hive layout before Parquet, imported as history with
//! their own time.
//!
//! They come after the Parquet reports, whose analyses need no second copy, and night by night, so that what an
//! interruption leaves is whole nights.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
};

use chrono::{DateTime, NaiveDate, Utc};
use futures::StreamExt;
use kennel_cache::{
    Cache, CacheError, CacheWriter, CsvReportKey, FailureStage, FetchedObject, ImportCommit,
    KnownObject, ReportKey, SnapshotId,
};
use kennel_mirror::{
    CancelFlag, PlanOptions, Remote, RemoteObject, SourceUrl, SyncObserver, SyncPlan, Wanted, plan,
};

use super::{Looked, Options, failed_keys, fetch, ingest, trail::parse_day};
use crate::{clock, error::CliError, settings::Source};

/// Reports that are fetched, read and committed together; a night is never divided.
const TOGETHER: usize = 400;

/// What importing came to.
#[derive(Default)]
pub(super) struct Imported {
    /// Objects fetched.
    pub(super) fetched_count: u64,
    /// Their bytes.
    pub(super) fetched_bytes: u64,
    /// Objects that an interrupted sync had fetched already.
    pub(super) adopted_count: u64,
    /// Objects found unchanged.
    pub(super) unchanged_count: u64,
    /// Of these, what no commit has told yet.
    uncommitted_unchanged_count: u64,
    /// Reports that are new in the cache.
    pub(super) report_count: u64,
    /// The snapshots that they made.
    pub(super) snapshots: Vec<(SnapshotId, DateTime<Utc>)>,
    /// Keys, steps and messages.
    pub(super) failures: Vec<(String, FailureStage, String)>,
    /// Reports of which some values could not be read.
    pub(super) problems: Vec<(String, String)>,
    /// Keys that were deleted between listing and download.
    pub(super) vanished: Vec<String>,
    /// What listing showed.
    pub(super) looked: Looked,
    /// What ended the downloads early.
    pub(super) stopped: Option<CliError>,
    /// Ctrl-C: the nights before it are there.
    pub(super) interrupted: bool,
}

/// Where csv reports lie, ascending; nowhere when the source names the place of Parquet reports itself.
pub(super) fn prefixes(url: &SourceUrl) -> Vec<String> {
    let root = match url {
        SourceUrl::S3 { prefix, .. } if !prefix.is_empty() => format!("{prefix}/"),
        _ => String::new(),
    };
    if root.contains("hive/parquet/") {
        Vec::new()
    } else if root.contains("customers/") || root.contains("hive/customer_id=") {
        vec![root]
    } else if root.ends_with("hive/") {
        vec![format!("{root}customer_id=")]
    } else {
        vec![
            format!("{root}customers/"),
            format!("{root}hive/customer_id="),
        ]
    }
}

/// A plan, and how many of the reports that it leaves out are known from Parquet.
pub(super) struct CsvPlan {
    pub(super) plan: SyncPlan,
    known_count: u64,
}

impl CsvPlan {
    /// What listing showed: reports only.
    pub(super) fn looked(&self) -> Looked {
        let mut looked = Looked::from(&self.plan);
        looked.left_alone_count = looked.left_alone_count.saturating_sub(self.known_count);
        looked
    }
}

/// Lists the csv reports and compares them with the cache.
pub(super) async fn make_plan(
    source: &Source,
    url: &SourceUrl,
    remote: &Remote,
    cache: Option<&Cache>,
    pending: &HashMap<String, FetchedObject>,
    options: &Options,
    observer: &dyn SyncObserver,
) -> Result<CsvPlan, CliError> {
    let known: Box<dyn Iterator<Item = Result<KnownObject, CacheError>>> =
        match cache.map(|cache| cache.known_csv(&source.name)) {
            None | Some(Err(CacheError::UnknownSource { .. })) => Box::new(std::iter::empty()),
            Some(known) if options.full => {
                let failed = failed_keys(source, cache)?;
                Box::new(known?.map(move |known| to_look_again(source, cache, &failed, known?)))
            }
            Some(known) => Box::new(known?),
        };
    let analysed = match cache.map(|cache| cache.analysed_minutes(&source.name)) {
        None | Some(Err(CacheError::UnknownSource { .. })) => HashSet::new(),
        Some(analysed) => analysed?,
    };
    let seen = match cache.map(|cache| cache.known_csv(&source.name)) {
        None | Some(Err(CacheError::UnknownSource { .. })) => HashSet::new(),
        Some(seen) => seen?
            .map(|known| known.map(|known| known.key))
            .collect::<Result<HashSet<_>, _>>()?,
    };
    let days = Days::new(source, options)?;
    let known_count = Cell::new(0);
    let wanted = |object: &RemoteObject| {
        let Some(key) = CsvReportKey::parse(&object.key) else {
            return Wanted::LeftAlone;
        };
        if !options.admits(&key.report, &object.key) || !days.admit(key.stamped_at) {
            return Wanted::Filtered;
        }
        if is_analysed(&analysed, &key) && !seen.contains(&object.key) {
            known_count.set(known_count.get() + 1);
            return Wanted::LeftAlone;
        }
        Wanted::Yes
    };
    let how = PlanOptions {
        may_expire: true,
        ..PlanOptions::default()
    };
    let listing = futures::stream::iter(prefixes(url))
        .map(|prefix| remote.list(&prefix, None))
        .flatten();
    let plan = plan(listing, known, pending, &wanted, how, observer).await?;
    Ok(CsvPlan {
        plan,
        known_count: known_count.get(),
    })
}

/// With `--full`: what is damaged or could not be read is taken for changed. What retention forgot stays forgotten.
fn to_look_again(
    source: &Source,
    cache: Option<&Cache>,
    failed: &HashSet<String>,
    mut known: KnownObject,
) -> Result<KnownObject, CacheError> {
    let Some(cache) = cache else { return Ok(known) };
    let is_lost = match cache.object(&source.name, &known.key)? {
        Some(object) => !cache.is_intact(&object.sha256),
        None => failed.contains(&known.key),
    };
    if is_lost {
        known.etag.clear();
    }
    Ok(known)
}

/// Whether a report of the same minute is there.
fn is_analysed(analysed: &HashSet<(ReportKey, i64)>, key: &CsvReportKey) -> bool {
    key.stamped_at
        .is_some_and(|at| analysed.contains(&(key.report.clone(), at.timestamp().div_euclid(60))))
}

/// The days that `--since`, `--until` and `since` of the source let through.
struct Days {
    from: Option<NaiveDate>,
    until: Option<NaiveDate>,
}

impl Days {
    fn new(source: &Source, options: &Options) -> Result<Self, CliError> {
        let configured = source
            .since
            .as_deref()
            .map(|text| parse_day(text, clock::now()))
            .transpose()
            .map_err(CliError::new)?;
        Ok(Self {
            from: options.since.or(configured).and_then(|day| day.date()),
            until: options.until.and_then(|day| day.date()),
        })
    }

    fn admit(&self, at: Option<DateTime<Utc>>) -> bool {
        at.map(|at| at.date_naive()).is_none_or(|day| {
            self.from.is_none_or(|from| day >= from) && self.until.is_none_or(|until| day <= until)
        })
    }
}

/// Mirrors the csv reports that the cache does not have, and commits them night by night.
///
/// A listing that is refused is a failure of this part alone: the Parquet reports are committed already.
pub(super) async fn sync(
    source: &Source,
    url: &SourceUrl,
    remote: &Remote,
    writer: &mut CacheWriter,
    options: &Options,
    observer: &dyn SyncObserver,
    cancel: &CancelFlag,
) -> Result<Imported, CliError> {
    let mut imported = Imported::default();
    if !source.csv_reports || prefixes(url).is_empty() {
        return Ok(imported);
    }
    let mut pending = writer
        .pending(&source.name)?
        .into_iter()
        .map(|object| (object.key.clone(), object))
        .collect::<HashMap<_, _>>();
    let planning = make_plan(
        source,
        url,
        remote,
        Some(writer.cache()),
        &pending,
        options,
        observer,
    );
    let planned = tokio::select! {
        planned = planning => planned,
        () = cancel.cancelled() => {
            imported.interrupted = true;
            return Ok(imported);
        }
    };
    let planned = match planned {
        Ok(planned) => planned,
        Err(error) => {
            let place = prefixes(url).into_iter().next().unwrap_or_default();
            let failure = (place, FailureStage::List, error.one_line());
            commit(source, writer, &mut imported, Batch::failed(failure))?;
            return Ok(imported);
        }
    };
    imported.looked = planned.looked();
    imported.unchanged_count = planned.plan.keep_count;
    imported.uncommitted_unchanged_count = planned.plan.keep_count;
    let adopted = planned
        .plan
        .adopt
        .iter()
        .filter_map(|key| pending.remove(key))
        .collect::<Vec<_>>();
    imported.adopted_count = adopted.len() as u64;
    let is_idle = adopted.is_empty()
        && planned.plan.fetch.is_empty()
        && planned.plan.refresh.is_empty()
        && planned.plan.keep_count == 0;
    if is_idle {
        return Ok(imported);
    }
    let here = adopted.into_iter().map(Report::Here);
    let there = planned.plan.fetch.into_iter().map(Report::There);
    let mut batches = nights(here.chain(there).collect(), TOGETHER);
    if batches.is_empty() {
        batches.push(Vec::new());
    }
    let mut refreshed = planned.plan.refresh;
    for batch in batches {
        let (mut adopted, mut wanted) = (Vec::new(), Vec::new());
        for report in batch {
            match report {
                Report::Here(object) => adopted.push(object),
                Report::There(object) => wanted.push(object),
            }
        }
        let fetched = fetch(source, writer, remote, wanted, observer, cancel).await?;
        if fetched.outcome.interrupted {
            imported.interrupted = true;
            return Ok(imported);
        }
        let mut batch = Batch {
            objects: adopted,
            refreshed: std::mem::take(&mut refreshed),
            failures: fetched.failures,
            fetched_bytes: fetched.outcome.bytes,
        };
        batch.objects.extend(fetched.objects);
        imported.fetched_count += fetched.outcome.fetched;
        imported.fetched_bytes += fetched.outcome.bytes;
        imported.vanished.extend(fetched.vanished);
        if !import(source, writer, &mut imported, batch, cancel).await? {
            imported.interrupted = true;
            return Ok(imported);
        }
        if let Some(stopped) = fetched.outcome.stopped {
            imported.stopped = Some(stopped.into());
            break;
        }
    }
    Ok(imported)
}

/// Objects that are committed together.
struct Batch {
    objects: Vec<FetchedObject>,
    refreshed: Vec<RemoteObject>,
    failures: Vec<(String, FailureStage, String)>,
    fetched_bytes: u64,
}

impl Batch {
    fn failed(failure: (String, FailureStage, String)) -> Self {
        Self {
            objects: Vec::new(),
            refreshed: Vec::new(),
            failures: vec![failure],
            fetched_bytes: 0,
        }
    }
}

/// Reads a batch and commits it; `false` when interrupted.
async fn import(
    source: &Source,
    writer: &mut CacheWriter,
    imported: &mut Imported,
    mut batch: Batch,
    cancel: &CancelFlag,
) -> Result<bool, CliError> {
    let objects = std::mem::take(&mut batch.objects);
    let Some(ingested) = ingest(objects, writer, cancel).await? else {
        return Ok(false);
    };
    batch.failures.extend(ingested.failures);
    imported.problems.extend(ingested.problems);
    commit_with(source, writer, imported, batch, ingested.objects)?;
    Ok(true)
}

fn commit(
    source: &Source,
    writer: &mut CacheWriter,
    imported: &mut Imported,
    batch: Batch,
) -> Result<(), CliError> {
    commit_with(source, writer, imported, batch, Vec::new())
}

fn commit_with(
    source: &Source,
    writer: &mut CacheWriter,
    imported: &mut Imported,
    batch: Batch,
    objects: Vec<(FetchedObject, Option<kennel_cache::NewReport>)>,
) -> Result<(), CliError> {
    let refreshed = batch
        .refreshed
        .into_iter()
        .map(|object| (object.key, object.modified_at));
    let outcome = writer.import(&ImportCommit {
        source: source.name.clone(),
        imported_at: clock::now(),
        objects,
        refreshed: refreshed.collect(),
        failures: batch.failures.clone(),
        unchanged_count: std::mem::take(&mut imported.uncommitted_unchanged_count),
        fetched_bytes: batch.fetched_bytes,
    })?;
    imported.report_count += outcome.report_count;
    imported.snapshots.extend(outcome.snapshots);
    imported.failures.extend(batch.failures);
    Ok(())
}

/// A report that is to be committed.
enum Report {
    /// An interrupted sync has fetched it.
    Here(FetchedObject),
    /// It is to be fetched.
    There(RemoteObject),
}

impl Report {
    fn key(&self) -> &str {
        match self {
            Self::Here(object) => &object.key,
            Self::There(object) => &object.key,
        }
    }

    /// When it was made, as far as that is known before it is read.
    fn time(&self) -> DateTime<Utc> {
        let modified_at = match self {
            Self::Here(object) => object.modified_at,
            Self::There(object) => object.modified_at,
        };
        CsvReportKey::parse(self.key())
            .and_then(|key| key.stamped_at)
            .unwrap_or(modified_at)
    }
}

/// Divides reports into batches of about so many, oldest first; those of one day stay together.
fn nights(reports: Vec<Report>, about: usize) -> Vec<Vec<Report>> {
    let mut dated = reports
        .into_iter()
        .map(|report| (report.time(), report))
        .collect::<Vec<_>>();
    dated.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.key().cmp(b.1.key())));
    let mut batches: Vec<Vec<Report>> = Vec::new();
    let mut day = None;
    for (at, object) in dated {
        let today = Some(at.date_naive());
        match batches.last_mut() {
            Some(batch) if batch.len() < about || day == today => batch.push(object),
            _ => batches.push(vec![object]),
        }
        day = today;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(key: &str) -> RemoteObject {
        RemoteObject {
            key: key.into(),
            size_bytes: 1,
            etag: "e".into(),
            modified_at: DateTime::UNIX_EPOCH,
            storage_class: None,
            is_restored: false,
            version_id: None,
        }
    }

    #[test]
    fn batches_are_whole_days_oldest_first() {
        let key = |account: u32, day: u32| {
            format!(
                "customers/C1/reports/aws/{account}/2026/03/principals.2026-03-{day:02}-0714.csv"
            )
        };
        let objects = [key(1, 2), key(1, 1), key(2, 1), key(2, 2), key(1, 3)];
        let reports = objects.iter().map(|key| Report::There(remote(key)));
        let batches = nights(reports.collect(), 1);
        let keys = batches
            .iter()
            .map(|batch| {
                let keys = batch.iter().map(|report| report.key().to_owned());
                keys.collect::<Vec<_>>()
            })
            .collect::<Vec<_>>();
        assert_eq!(
            keys,
            [
                vec![key(1, 1), key(2, 1)],
                vec![key(1, 2), key(2, 2)],
                vec![key(1, 3)]
            ]
        );
    }

    #[test]
    fn csv_reports_are_looked_for_where_the_url_leaves_room_for_them() {
        let of = |url: &str| prefixes(&url.parse().unwrap());
        assert_eq!(of("s3://bucket"), ["customers/", "hive/customer_id="]);
        assert_eq!(
            of("s3://bucket/in/box"),
            ["in/box/customers/", "in/box/hive/customer_id="]
        );
        assert_eq!(of("s3://bucket/x/hive/parquet"), [""; 0]);
        assert_eq!(of("s3://bucket/customers/C1"), ["customers/C1/"]);
        assert_eq!(of("s3://bucket/hive"), ["hive/customer_id="]);
        assert_eq!(of("file:///srv/in"), ["customers/", "hive/customer_id="]);
    }
}
