//! History on day one: csv reports become versions with their own time, between those that syncs saw.
//!
//! Each night of imported reports is a snapshot. What a sync saw is never changed by an import, but for the end of
//! a version: a report that was analysed later answers from its own time on.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::{
    CacheError, CacheWriter, CsvReportKey, FailureStage, FetchedObject, NewReport, ReportKey,
    SnapshotId, SourceName,
    answering::insert_report,
    manifest::{instant, micros, optional_instant},
    snapshot::insert_object,
};

/// Csv reports that were looked at; see [`CacheWriter::import`].
#[derive(Debug, Clone)]
pub struct ImportCommit {
    /// The source.
    pub source: SourceName,
    /// Now: no report is put later.
    pub imported_at: DateTime<Utc>,
    /// Fetched reports with their tables; `None` where one could not be read.
    pub objects: Vec<(FetchedObject, Option<NewReport>)>,
    /// Unchanged objects whose `LastModified` moved.
    pub refreshed: Vec<(String, DateTime<Utc>)>,
    /// What could not be done: key, step, message.
    pub failures: Vec<(String, FailureStage, String)>,
    /// Objects found unchanged.
    pub unchanged_count: u64,
    /// Bytes that came over the wire or from disk.
    pub fetched_bytes: u64,
}

/// What an import made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOutcome {
    /// Reports that are new in the cache.
    pub report_count: u64,
    /// Snapshots, by their times.
    pub snapshots: Vec<(SnapshotId, DateTime<Utc>)>,
}

/// A report of the timeline of one account and type.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Moment {
    report_id: i64,
    object_id: i64,
    /// Imported, rather than seen by a sync under a key that is overwritten.
    is_csv: bool,
    from: DateTime<Utc>,
    /// When the source overwrote it; of csv `None`.
    overwritten_at: Option<DateTime<Utc>>,
    analysed_at: Option<DateTime<Utc>>,
}

impl Moment {
    fn analysed_at(&self) -> DateTime<Utc> {
        self.analysed_at.unwrap_or(self.from)
    }
}

impl CacheWriter {
    /// Makes csv reports visible as versions with their own time, in one transaction.
    ///
    /// A version's time is its analysis time; that of a report without rows is its stamp, else its `LastModified`; what
    /// lies ahead of `imported_at` is that. Of the same account and type the next version ends it, be it imported or seen by a sync,
    /// unless that was analysed earlier. A report that could not be read is remembered, so that it is not fetched again, and its
    /// failure stays.
    ///
    /// The reports of a UTC day are one snapshot, at the time of the last of them; a second report of the same account and
    /// type on a day begins another.
    ///
    /// # Errors
    /// [`CacheError::UnknownSource`], [`CacheError::Io`], [`CacheError::Manifest`]; nothing is visible then.
    pub fn import(&mut self, commit: &ImportCommit) -> Result<ImportOutcome, CacheError> {
        let source_id = self.cache.source_id(&commit.source)?;
        self.stage().sync_names()?;
        let failed = self.cache.failed("import into");
        let transaction = self.transaction()?;
        let outcome = write_import(&transaction, source_id, commit)
            .and_then(|outcome| transaction.commit().map(|()| outcome))
            .map_err(failed)?;
        self.refresh_links()?;
        Ok(outcome)
    }
}

fn write_import(
    db: &Transaction<'_>,
    source_id: i64,
    commit: &ImportCommit,
) -> rusqlite::Result<ImportOutcome> {
    let mut added = Vec::new();
    for (object, report) in &commit.objects {
        remember(db, source_id, object)?;
        let Some(report) = report else { continue };
        db.prepare_cached("DELETE FROM failure WHERE source_id = ?1 AND key = ?2")?
            .execute(params![source_id, object.key])?;
        let stamp = CsvReportKey::parse(&object.key).and_then(|key| key.stamped_at);
        let own = report.analysis_time.map(|(_, newest)| newest);
        let at = own
            .or(stamp)
            .unwrap_or(object.modified_at)
            .min(commit.imported_at);
        if is_known(db, source_id, &object.key, &object.sha256.to_string())? {
            continue;
        }
        // Only one version of a key is current; which one that is, the timeline decides below.
        db.prepare_cached("UPDATE object SET valid_to = max(valid_from, ?3) WHERE source_id = ?1 AND key = ?2 AND valid_to IS NULL")?
            .execute(params![source_id, object.key, micros(at)])?;
        let id = insert_object(db, source_id, micros(at), object)?;
        insert_report(db, id, micros(at), None, report)?;
        added.push((at, report.key.clone()));
    }
    for (key, modified_at) in &commit.refreshed {
        db.prepare_cached(
            "UPDATE seen_csv SET modified_at = ?3 WHERE source_id = ?1 AND key = ?2",
        )?
        .execute(params![source_id, key, micros(*modified_at)])?;
    }
    let touched = added.iter().map(|(_, key)| key).collect::<BTreeSet<_>>();
    for key in touched {
        settle(db, source_id, key)?;
    }
    let outcome = ImportOutcome {
        report_count: added.len() as u64,
        snapshots: write_snapshots(db, source_id, added)?,
    };
    write_run(db, source_id, commit)?;
    Ok(outcome)
}

/// Remembers that an object was looked at.
fn remember(db: &Transaction<'_>, source_id: i64, object: &FetchedObject) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM pending WHERE source_id = ?1 AND key = ?2")?
        .execute(params![source_id, object.key])?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO seen_csv (source_id, key, etag, version_id, size_bytes, modified_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        source_id,
        object.key,
        object.etag,
        object.version_id,
        object.size_bytes,
        micros(object.modified_at)
    ])?;
    db.prepare_cached("INSERT OR IGNORE INTO stale_link (source_id, key) VALUES (?1, ?2)")?
        .execute(params![source_id, object.key])
        .map(drop)
}

/// Whether these bytes are a version of this key already.
fn is_known(db: &Transaction<'_>, source_id: i64, key: &str, hash: &str) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT count(*) FROM object WHERE source_id = ?1 AND key = ?2 AND sha256 = ?3",
    )?
    .query_row(params![source_id, key, hash], |row| row.get::<_, i64>(0))
    .map(|count| count > 0)
}

/// Whether a source has ever delivered csv reports.
pub(crate) fn has_csv(db: &Transaction<'_>, source_id: i64) -> rusqlite::Result<bool> {
    db.query_row(
        "SELECT EXISTS (SELECT 1 FROM seen_csv WHERE source_id = ?1)",
        [source_id],
        |row| row.get(0),
    )
}

/// Sets from when to when each report of one account and type answers.
pub(crate) fn settle(
    db: &Transaction<'_>,
    source_id: i64,
    key: &ReportKey,
) -> rusqlite::Result<()> {
    let moments = db
        .prepare_cached(
            "SELECT r.id, o.id, o.key, r.valid_from, lead(r.valid_from) OVER (PARTITION BY o.key ORDER BY r.valid_from, r.id), r.analysis_time_max
             FROM report r JOIN object o ON o.id = r.object_id
             WHERE r.report_type = ?2 AND r.account_id = ?3 AND r.customer_id = ?4 AND r.csp = ?5 AND o.source_id = ?1
             ORDER BY r.valid_from, r.id",
        )?
        .query_map(
            params![
                source_id,
                key.report_type.folder(),
                key.account_id.as_str(),
                key.customer_id.as_str(),
                key.csp
            ],
            |row| {
                let is_csv = CsvReportKey::parse(&row.get::<_, String>(2)?).is_some();
                let replaced_at = optional_instant(row, 4)?;
                Ok(Moment {
                    report_id: row.get(0)?,
                    object_id: row.get(1)?,
                    is_csv,
                    from: instant(row, 3)?,
                    overwritten_at: replaced_at.filter(|_| !is_csv),
                    analysed_at: optional_instant(row, 5)?,
                })
            },
        )?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let ends = ends(&moments);
    // The ends first: of one key at most one version may be without one.
    let mut ordered = moments.iter().zip(ends).collect::<Vec<_>>();
    ordered.sort_by_key(|(_, end)| end.is_none());
    for (moment, end) in ordered {
        let end = end.map(micros);
        db.prepare_cached("UPDATE report SET valid_to = ?2 WHERE id = ?1 AND valid_to IS NOT ?2")?
            .execute(params![moment.report_id, end])?;
        if moment.is_csv {
            db.prepare_cached(
                "UPDATE object SET valid_to = ?2 WHERE id = ?1 AND valid_to IS NOT ?2",
            )?
            .execute(params![moment.object_id, end])?;
        }
    }
    Ok(())
}

/// When each of these reports stops answering; `None`: it still does. One that ends where it begins never does.
///
/// `moments` ascend by time. An imported report ends with the next imported one, or when a sync saw one that was analysed no
/// earlier. One that a sync saw ends when its key is overwritten, or with an imported one that was analysed later.
fn ends(moments: &[Moment]) -> Vec<Option<DateTime<Utc>>> {
    let earliest = |a: Option<DateTime<Utc>>, b: Option<DateTime<Utc>>| match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let imported = moments
        .iter()
        .filter(|moment| moment.is_csv)
        .collect::<Vec<_>>();
    let seen = moments
        .iter()
        .filter(|moment| !moment.is_csv)
        .collect::<Vec<_>>();
    let end_of_imported = |index: usize| {
        let own = imported[index];
        let next = imported.get(index + 1).map(|next| next.from);
        let covered = seen.iter().filter(|other| {
            other.analysed_at() >= own.analysed_at()
                && other.overwritten_at.is_none_or(|end| end > own.from)
        });
        let covered = covered.map(|other| other.from.max(own.from)).min();
        earliest(next, covered)
    };
    let end_of_seen = |own: &Moment| {
        let is_open = |at: DateTime<Utc>| own.overwritten_at.is_none_or(|end| at < end);
        let before = imported
            .iter()
            .rfind(|other| other.from <= own.from)
            .filter(|other| other.analysed_at() > own.analysed_at())
            .map(|_| own.from);
        let later = imported
            .iter()
            .find(|other| {
                other.from > own.from
                    && is_open(other.from)
                    && other.analysed_at() > own.analysed_at()
            })
            .map(|other| other.from);
        earliest(own.overwritten_at, earliest(before, later))
    };
    let mut next_imported = 0;
    moments
        .iter()
        .map(|moment| {
            if moment.is_csv {
                next_imported += 1;
                end_of_imported(next_imported - 1)
            } else {
                end_of_seen(moment)
            }
        })
        .collect()
}

/// The nights of imported reports: times of snapshots, each with how many reports it adds.
fn nights(mut added: Vec<(DateTime<Utc>, ReportKey)>) -> Vec<(DateTime<Utc>, u64)> {
    added.sort();
    let mut nights: Vec<(DateTime<Utc>, u64)> = Vec::new();
    let mut in_night = BTreeSet::new();
    for (at, key) in added {
        let same_day = nights
            .last()
            .is_some_and(|(last, _)| last.date_naive() == at.date_naive());
        match nights.last_mut() {
            Some(night) if same_day && !in_night.contains(&key) => {
                night.0 = at;
                night.1 += 1;
            }
            _ => {
                nights.push((at, 1));
                in_night.clear();
            }
        }
        in_night.insert(key);
    }
    nights
}

fn write_snapshots(
    db: &Transaction<'_>,
    source_id: i64,
    added: Vec<(DateTime<Utc>, ReportKey)>,
) -> rusqlite::Result<Vec<(SnapshotId, DateTime<Utc>)>> {
    let nights = nights(added);
    if nights.is_empty() {
        return Ok(vec![]);
    }
    // Objects by the snapshot times between which they are: counted here, since a scan for each night would be long.
    let objects = db
        .prepare("SELECT valid_from, valid_to, size_bytes FROM object WHERE source_id = ?1")?
        .query_map([source_id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<Vec<(i64, Option<i64>, u64)>>>()?;
    let mut changes = BTreeMap::<i64, (i64, i64)>::new();
    for (from, to, size_bytes) in objects {
        let size_bytes = i64::try_from(size_bytes).unwrap_or(i64::MAX);
        let begin = changes.entry(from).or_default();
        *begin = (begin.0 + 1, begin.1 + size_bytes);
        if let Some(to) = to {
            let end = changes.entry(to).or_default();
            *end = (end.0 - 1, end.1 - size_bytes);
        }
    }
    let mut changes = changes.into_iter().peekable();
    let (mut object_count, mut size_bytes) = (0, 0);
    let mut snapshots = Vec::with_capacity(nights.len());
    for (at, added_count) in nights {
        while let Some((_, change)) = changes.next_if(|(time, _)| *time <= micros(at)) {
            object_count += change.0;
            size_bytes += change.1;
        }
        let id = db
            .prepare_cached(
                "INSERT INTO snapshot (source_id, taken_at, added_count, changed_count, missing_count, object_count, size_bytes, complete)
                 VALUES (?1, ?2, ?3, 0, 0, ?4, ?5, 1)
                 ON CONFLICT (source_id, taken_at) DO UPDATE SET added_count = added_count + excluded.added_count,
                     object_count = excluded.object_count, size_bytes = excluded.size_bytes
                 RETURNING id",
            )?
            .query_row(
                params![source_id, micros(at), added_count, object_count, size_bytes],
                |row| row.get(0),
            )?;
        snapshots.push((SnapshotId(id), at));
    }
    Ok(snapshots)
}

/// Failures, and the counts of the sync that this import is a part of.
fn write_run(db: &Transaction<'_>, source_id: i64, commit: &ImportCommit) -> rusqlite::Result<()> {
    for (key, stage, message) in &commit.failures {
        db.prepare_cached(
            "INSERT INTO failure (source_id, key, stage, message, failed_at, first_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
             ON CONFLICT (source_id, key, stage) DO UPDATE SET message = excluded.message, failed_at = excluded.failed_at",
        )?
        .execute(params![
            source_id,
            key,
            stage.as_str(),
            message,
            micros(commit.imported_at)
        ])?;
    }
    let run: Option<i64> = db
        .query_row(
            "SELECT id FROM sync_run WHERE source_id = ?1 ORDER BY ended_at DESC, id DESC LIMIT 1",
            [source_id],
            |row| row.get(0),
        )
        .optional()?;
    db.execute(
        "UPDATE sync_run SET ended_at = max(ended_at, ?2), fetched_count = fetched_count + ?3, fetched_bytes = fetched_bytes + ?4,
             unchanged_count = unchanged_count + ?5, failed_count = failed_count + ?6 WHERE id = ?1",
        params![
            run,
            micros(commit.imported_at),
            commit.objects.len() as u64,
            commit.fetched_bytes,
            commit.unchanged_count,
            commit.failures.len() as u64
        ],
    )
    .map(drop)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_772_409_600, 0).unwrap() + TimeDelta::hours(hour)
    }

    fn csv(hour: i64) -> Moment {
        Moment {
            report_id: hour,
            object_id: hour,
            is_csv: true,
            from: at(hour),
            overwritten_at: None,
            analysed_at: Some(at(hour)),
        }
    }

    fn seen(hour: i64, analysed: i64, overwritten: Option<i64>) -> Moment {
        Moment {
            is_csv: false,
            analysed_at: Some(at(analysed)),
            overwritten_at: overwritten.map(at),
            ..csv(hour)
        }
    }

    #[test]
    fn imported_reports_follow_each_other_until_a_sync_saw_a_newer_one() {
        let moments = [csv(7), csv(31), csv(55), seen(80, 79, None)];
        assert_eq!(
            ends(&moments),
            [Some(at(31)), Some(at(55)), Some(at(80)), None]
        );
    }

    #[test]
    fn a_sync_that_saw_an_older_report_hides_nothing() {
        let moments = [csv(7), csv(31), seen(40, 3, None), csv(55)];
        assert_eq!(
            ends(&moments),
            [Some(at(31)), Some(at(55)), Some(at(40)), None]
        );
    }

    #[test]
    fn an_imported_report_fills_the_gap_between_two_syncs() {
        let moments = [seen(8, 7, Some(80)), csv(31), csv(55), seen(80, 79, None)];
        assert_eq!(
            ends(&moments),
            [Some(at(31)), Some(at(55)), Some(at(80)), None]
        );
    }

    #[test]
    fn the_same_analysis_seen_by_a_sync_takes_over() {
        let moments = [csv(7), seen(8, 7, None)];
        assert_eq!(ends(&moments), [Some(at(8)), None]);
        // Imported later, although the sync had it: it answers until the sync saw it.
        let moments = [csv(6), seen(8, 7, None), csv(31)];
        assert_eq!(ends(&moments), [Some(at(8)), Some(at(31)), None]);
    }

    #[test]
    fn two_files_of_one_account_that_syncs_saw_do_not_end_each_other() {
        let moments = [seen(8, 7, None), seen(9, 7, None)];
        assert_eq!(ends(&moments), [None, None]);
    }

    #[test]
    fn the_reports_of_a_day_are_a_night_and_a_second_round_is_another() {
        let key = |account: &str| {
            ReportKey::parse(&format!(
                "hive/parquet/pas/customer_id=C1/csp=aws/account_id={account}/x.parquet"
            ))
            .unwrap()
        };
        let added = vec![
            (at(31), key("1")),
            (at(7), key("1")),
            (at(8), key("2")),
            (at(9), key("1")),
            (at(10), key("2")),
        ];
        assert_eq!(nights(added), [(at(8), 2), (at(10), 2), (at(31), 1)]);
    }

    proptest! {
        /// At every moment at most one report answers, and none that was analysed before another one that could.
        #[test]
        fn at_every_moment_the_newest_analysis_answers(
            csvs in proptest::collection::btree_set(0_i64..60, 0..6),
            nights in proptest::collection::vec((1_i64..12, 0_i64..12), 0..6),
        ) {
            let mut moments = csvs.into_iter().map(csv).collect::<Vec<_>>();
            let mut hour = 0;
            let mut analysed = i64::MIN;
            let mut sightings = Vec::new();
            for (step, age) in nights {
                hour += step;
                // A later delivery is never an older analysis.
                analysed = analysed.max(hour - age);
                sightings.push((hour, analysed));
            }
            for (index, (hour, analysed)) in sightings.iter().enumerate() {
                moments.push(seen(*hour, *analysed, sightings.get(index + 1).map(|next| next.0)));
            }
            moments.sort_by_key(|moment| (moment.from, moment.is_csv));
            let ends = ends(&moments);
            for hour in 0..72 {
                let now = at(hour);
                let live = moments.iter().filter(|m| m.from <= now && (m.is_csv || m.overwritten_at.is_none_or(|end| end > now)));
                let newest = live.map(Moment::analysed_at).max();
                let answering = moments.iter().zip(&ends)
                    .filter(|(m, end)| m.from <= now && end.is_none_or(|end| end > now))
                    .map(|(m, _)| m.analysed_at())
                    .collect::<Vec<_>>();
                prop_assert_eq!(answering, newest.into_iter().collect::<Vec<_>>(), "hour {}", hour);
            }
        }
    }
}
