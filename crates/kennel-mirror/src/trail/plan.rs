//! What is new below each prefix: a listing from a little before the checkpoint on, merged with what is known.

use std::{
    cell::Cell,
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, future, stream};
use kennel_cache::{Cache, DeliveryDay, KnownTrailPrefix, SourceName, TrailListed, TrailPrefix};

use super::{LISTINGS, TrailOptions};
use crate::{
    MirrorError, PlanOptions, Remote, RemoteObject, SyncEvent, SyncObserver, Wanted,
    plan::{Comparison, EVENT_EVERY, compare},
};

/// What a sync will do below one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailPlan {
    /// Which prefix.
    pub prefix: TrailPrefix,
    /// New and changed objects, by key.
    pub fetch: Vec<RemoteObject>,
    /// Bytes of `fetch`.
    pub fetch_bytes: u64,
    /// Keys of `fetch` that the cache knows already.
    pub known: Vec<String>,
    /// Unchanged objects whose `LastModified` moved, and when it is now.
    pub refresh: Vec<(String, DateTime<Utc>)>,
    /// Objects in an archive class, which cannot be read before they are restored.
    pub archived_count: u64,
    /// The first key of those.
    pub first_archived: Option<String>,
    /// Objects that are unchanged.
    pub keep_count: u64,
    /// Objects that are no CloudTrail files.
    pub left_alone_count: u64,
    /// Objects that flags left out.
    pub filtered_count: u64,
    /// Objects listed.
    pub listed_count: u64,
    listed: TrailListed,
}

impl TrailPlan {
    /// What the listing proves, once everything of the plan was tried: for the checkpoint.
    ///
    /// `open` are keys that were not committed (of all prefixes, in any order): those that failed, unless
    /// they were deleted meanwhile. `None` when flags left objects out, so that nothing is proved. A plan
    /// that was not carried out to its end proves nothing, either.
    pub fn listed<'k>(&self, open: impl IntoIterator<Item = &'k str>) -> Option<TrailListed> {
        let name = |key: &'k str| key.strip_prefix(&self.prefix.prefix);
        let day = |name| TrailPrefix::split_name(name).map(|(day, _)| day);
        (self.filtered_count == 0).then(|| TrailListed {
            first_open: open.into_iter().filter_map(name).filter_map(day).min(),
            ..self.listed.clone()
        })
    }
}

/// The plans of many prefixes.
#[derive(Debug, Default)]
pub struct TrailPlans {
    /// In the order of the prefixes.
    pub plans: Vec<TrailPlan>,
    /// Prefixes that could not be listed, with the reason: their checkpoints stay.
    pub failures: Vec<(TrailPrefix, MirrorError)>,
}

/// Lists prefixes, several at a time, and compares them with what the cache knows.
///
/// A prefix is listed from its checkpoint on, less [`TrailOptions::look_back_days`]; wholly when it is new, when that
/// was long ago, when asked, or when `since` reaches further back than what is covered. An object is fetched when
/// its key is new or its ETag, version or size differs. One that is no longer listed has expired: it is not missing.
/// `wanted` gets the key of each CloudTrail file and says whether flags let it through.
///
/// Memory grows with what is to be fetched, about 300 bytes an object: for a first sync of millions, plan and
/// fetch some prefixes after the others.
///
/// # Errors
/// The cache's, or what ends a sync. Listings fail alone, in [`TrailPlans::failures`].
pub async fn plan_trail(
    remote: &Remote,
    cache: &Cache,
    source: &SourceName,
    prefixes: &[TrailPrefix],
    options: &TrailOptions,
    wanted: &dyn Fn(&str) -> bool,
    observer: &dyn SyncObserver,
) -> Result<TrailPlans, MirrorError> {
    let known = cache
        .trail_prefixes(source)?
        .into_iter()
        .map(|known| (known.prefix.prefix.clone(), known))
        .collect::<HashMap<_, _>>();
    let planning = Planning {
        remote,
        cache,
        source,
        options,
        wanted,
        observer,
        listed_count: AtomicU64::new(0),
    };
    let mut answers = stream::iter(prefixes)
        .map(|prefix| {
            let plan = planning.plan(prefix, known.get(&prefix.prefix));
            async move { (prefix, plan.await) }
        })
        .buffered(LISTINGS);
    let mut plans = TrailPlans::default();
    while let Some((prefix, plan)) = answers.next().await {
        match plan {
            Ok(plan) => plans.plans.push(plan),
            Err(error @ MirrorError::Cache(_)) => return Err(error),
            Err(error) if error.ends_the_sync() => return Err(error),
            Err(error) => plans.failures.push((prefix.clone(), error)),
        }
    }
    observer.event(&SyncEvent::Planned {
        fetch_count: plans.plans.iter().map(|plan| plan.fetch.len() as u64).sum(),
        fetch_bytes: plans.plans.iter().map(|plan| plan.fetch_bytes).sum(),
    });
    Ok(plans)
}

struct Planning<'p> {
    remote: &'p Remote,
    cache: &'p Cache,
    source: &'p SourceName,
    options: &'p TrailOptions,
    wanted: &'p dyn Fn(&str) -> bool,
    observer: &'p dyn SyncObserver,
    /// Objects listed so far, of all prefixes.
    listed_count: AtomicU64,
}

impl Planning<'_> {
    async fn plan(
        &self,
        prefix: &TrailPrefix,
        known: Option<&KnownTrailPrefix>,
    ) -> Result<TrailPlan, MirrorError> {
        let reach = Reach::of(known, self.options, self.remote.now());
        let from_name = reach.from.map(|day| format!("{day}/"));
        let start_after = reach.from.map(|day| prefix.day(day));
        let newest = Cell::new(None);
        let listing = self
            .remote
            .list(&prefix.prefix, start_after.as_deref())
            .try_take_while(|object| {
                // Keys ascend by day, whatever else lies there.
                let name = &object.key[prefix.prefix.len()..];
                let is_later =
                    |until: DeliveryDay| name.get(..10).is_some_and(|day| day > until.as_str());
                future::ready(Ok(!self.options.until.is_some_and(is_later)))
            });
        let wanted = |object: &RemoteObject| {
            let Some((day, _)) = TrailPrefix::split_name(&object.key[prefix.prefix.len()..]) else {
                return Wanted::LeftAlone;
            };
            newest.set(Some(day));
            match (self.wanted)(&object.key) {
                true => Wanted::Yes,
                false => Wanted::Filtered,
            }
        };
        let known =
            self.cache
                .known_trail_objects(self.source, &prefix.prefix, from_name.as_deref())?;
        let how = Comparison {
            pending: &HashMap::new(),
            wanted: &wanted,
            options: PlanOptions::default(),
            marks_missing: false,
            on_listed: &|| self.count(),
        };
        let plan = compare(listing, known, how).await?;
        Ok(TrailPlan {
            prefix: prefix.clone(),
            fetch: plan.fetch,
            fetch_bytes: plan.fetch_bytes,
            known: plan.changed,
            refresh: plan
                .refresh
                .into_iter()
                .map(|object| (object.key, object.modified_at))
                .collect(),
            archived_count: plan.archived.len() as u64,
            first_archived: plan.archived.into_iter().next(),
            keep_count: plan.keep_count,
            left_alone_count: plan.left_alone_count,
            filtered_count: plan.filtered_count,
            listed_count: plan.listed_count,
            listed: TrailListed {
                prefix: prefix.clone(),
                from: reach.from,
                until: self.options.until,
                newest: newest.get(),
                first_open: None,
                is_full: reach.is_full && self.options.until.is_none(),
            },
        })
    }

    fn count(&self) {
        let listed = self.listed_count.fetch_add(1, Ordering::Relaxed) + 1;
        if listed.is_multiple_of(EVENT_EVERY) {
            self.observer.event(&SyncEvent::Listing { listed });
        }
    }
}

/// How far back a listing begins.
#[derive(Debug, PartialEq, Eq)]
struct Reach {
    /// `None`: at the first key.
    from: Option<DeliveryDay>,
    /// Whether that is all that the source is to give.
    is_full: bool,
}

impl Reach {
    fn of(known: Option<&KnownTrailPrefix>, options: &TrailOptions, now: DateTime<Utc>) -> Self {
        let whole = Self {
            from: options.since,
            is_full: true,
        };
        let Some(known) = known.filter(|_| !options.full) else {
            return whole;
        };
        // `None` comes before all days.
        let is_covered = known.covered_from <= options.since;
        let longest = TimeDelta::days(options.full_after_days.into());
        let is_recent = known.full_listed_at.is_some_and(|at| now - at < longest);
        let look_back = known
            .checkpoint_day
            .and_then(|day| day.minus_days(options.look_back_days));
        match look_back {
            Some(day) if is_covered && is_recent => Self {
                from: options.since.max(Some(day)),
                is_full: false,
            },
            _ => whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Option<DeliveryDay> {
        Some(DeliveryDay::parse(text).unwrap())
    }

    fn known() -> KnownTrailPrefix {
        KnownTrailPrefix {
            prefix: TrailPrefix::parse("AWSLogs/1/CloudTrail/r/").unwrap(),
            covered_from: day("2026/01/01"),
            checkpoint_day: day("2026/03/01"),
            full_listed_at: DateTime::from_timestamp(1_000_000, 0),
            object_count: 1,
            size_bytes: 1,
            record_count: 1,
        }
    }

    fn from(known: Option<&KnownTrailPrefix>, options: TrailOptions, days_later: i64) -> Reach {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap() + TimeDelta::days(days_later);
        Reach::of(known, &options, now)
    }

    #[test]
    fn a_listing_begins_where_something_may_be_new() {
        let since = |since: &str| TrailOptions {
            since: day(since),
            ..TrailOptions::default()
        };
        let later = Reach {
            from: day("2026/02/27"),
            is_full: false,
        };
        let whole = |from| Reach {
            from,
            is_full: true,
        };
        let is_covered = since("2026/01/05");
        assert_eq!(from(Some(&known()), is_covered, 1), later);
        assert_eq!(
            from(Some(&known()), since("2026/03/09"), 1).from,
            day("2026/03/09")
        );
        assert_eq!(
            from(Some(&known()), is_covered, 7),
            whole(is_covered.since),
            "the last time is long ago"
        );
        assert_eq!(
            from(Some(&known()), since("2025/12/31"), 1),
            whole(day("2025/12/31")),
            "it reaches further back"
        );
        assert_eq!(
            from(Some(&known()), TrailOptions::default(), 1),
            whole(None)
        );
        let everything = KnownTrailPrefix {
            covered_from: None,
            ..known()
        };
        assert_eq!(from(Some(&everything), TrailOptions::default(), 1), later);
        let full = TrailOptions {
            full: true,
            ..is_covered
        };
        assert_eq!(from(Some(&known()), full, 1), whole(is_covered.since));
        assert_eq!(from(None, is_covered, 1), whole(is_covered.since));
        let never = KnownTrailPrefix {
            full_listed_at: None,
            ..known()
        };
        assert_eq!(from(Some(&never), is_covered, 1), whole(is_covered.since));
    }
}
