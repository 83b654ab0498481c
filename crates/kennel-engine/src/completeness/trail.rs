//! What an answer over CloudTrail rests on: which accounts, regions, days and classes of events the cache holds.
//! CloudTrail says nothing of what it was not told to log, so every answer says what there was to be found.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::NaiveDate;
use datafusion::{error::Result as DataFusionResult, logical_expr::Expr};
use kennel_cache::{
    AccountId, Cache, CoveragePlace, Days, DeliveryDay, EventCategory, Failure, SourceKind,
    SourceName, TrailFolder, TrailHeld, TrailTable as TrailKind, View,
};

use super::{Caveat, CaveatKind, asked::Asked};
use crate::catalog::{Shared, TrailTable, external};

/// A place whose days are fewer than so many percent of those between its first and last is one where
/// little happens: days without an object are no gaps there.
const BUSY_PERCENT: u64 = 50;

/// A scan of one of CloudTrail's tables.
#[derive(Debug)]
pub(crate) struct TrailScan {
    table: String,
    kind: TrailKind,
    is_empty: bool,
    view: View,
    asked: Asked,
}

impl TrailScan {
    pub(super) fn of(table: &TrailTable, filters: &[Expr]) -> Self {
        Self {
            table: table.name.clone(),
            kind: table.kind,
            is_empty: table.files.is_empty(),
            view: table.view,
            asked: Asked::of(filters),
        }
    }

    /// Bytes of the objects of the places and days that are asked for: of a place whose objects are known as a
    /// whole, as large a part as that of its objects.
    pub(crate) fn source_bytes(&self, cache: &Cache) -> DataFusionResult<u64> {
        let folder = match self.kind {
            TrailKind::Events => TrailFolder::CloudTrail,
            TrailKind::Insights => TrailFolder::Insight,
            TrailKind::NetworkActivity => TrailFolder::NetworkActivity,
            TrailKind::Aggregated => TrailFolder::Aggregated,
        };
        let mut sizes: BTreeMap<CoveragePlace, u64> = BTreeMap::new();
        for source in trails(cache)? {
            for known in cache.trail_prefixes(&source).map_err(external)? {
                let place = CoveragePlace {
                    source: source.clone(),
                    account_id: known.prefix.account_id,
                    region: known.prefix.region,
                };
                if known.prefix.folder == folder && self.asked.lets_through(&place, None) {
                    *sizes.entry(place).or_default() += known.size_bytes;
                }
            }
        }
        if self.asked.days().is_none() {
            return Ok(sizes.values().sum());
        }
        let admits = |place: &CoveragePlace| sizes.contains_key(place);
        let mut counts: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for row in cache.trail_coverage_of(admits).map_err(external)? {
            let (asked, all) = counts.entry(Arc::clone(&row.place)).or_default();
            *all += row.object_count;
            if self.asked.lets_through(&row.place, row.day.date()) {
                *asked += row.object_count;
            }
        }
        let bytes = counts.into_iter().map(|(place, (asked, all))| {
            let size = sizes.get(place.as_ref()).copied().unwrap_or_default();
            let part = u128::from(size) * u128::from(asked) / u128::from(all.max(1));
            u64::try_from(part).unwrap_or(size)
        });
        Ok(bytes.sum())
    }
}

/// Says what scans rest on. What there is is said once, of the accounts that the statement asks for.
pub(super) fn examine(scans: &[TrailScan], shared: &Shared) -> DataFusionResult<Vec<Caveat>> {
    let mut caveats = Vec::new();
    for scan in scans.iter().filter(|scan| scan.is_empty) {
        caveats.push(nothing(scan));
    }
    let Some(cache) = shared.cache() else {
        return Ok(caveats);
    };
    let trails = trails(&cache)?;
    let held = cache.trail_held().map_err(external)?;
    let begins = beginnings(&cache, &trails)?;
    let failures = cache.failures().map_err(external)?.into_iter();
    let failures = failures
        .filter(|failure| trails.contains(&failure.source))
        .collect::<Vec<_>>();
    drop(cache);
    caveats.extend(failed(&failures));
    caveats.extend(unknown_accounts(&held, shared));
    caveats.extend(customers_do_not_count(shared));
    let scans = scans
        .iter()
        .filter(|scan| scan.kind == TrailKind::Events && !scan.is_empty)
        .collect::<Vec<_>>();
    let names_accounts = scans.iter().any(|scan| scan.asked.accounts.is_some());
    for scan in scans {
        let mut asked = scan.asked.clone();
        if let View::At(at) = scan.view {
            asked.within(None, Some(at.date_naive()));
        }
        caveats.extend(unknown_names(&held, &asked, shared));
        let found = Found::of(&held, &asked);
        caveats.extend(found.outside(&asked, &begins));
        caveats.extend(found.unlogged(&asked));
        if asked.accounts.is_some() || !names_accounts {
            caveats.extend(found.summary());
            caveats.extend(found.gaps(&asked));
        }
    }
    Ok(caveats)
}

fn trails(cache: &Cache) -> DataFusionResult<BTreeSet<SourceName>> {
    let sources = cache.sources().map_err(external)?.into_iter();
    let trails = sources.filter(|source| source.kind == SourceKind::CloudTrail);
    Ok(trails.map(|source| source.name).collect())
}

/// Accounts that were listed from their first key on: before what the cache has of them, there is nothing.
fn beginnings(
    cache: &Cache,
    trails: &BTreeSet<SourceName>,
) -> DataFusionResult<BTreeMap<AccountId, bool>> {
    let mut begins = BTreeMap::new();
    for source in trails {
        for known in cache.trail_prefixes(source).map_err(external)? {
            let is_whole = known.covered_from.is_none() && known.checkpoint_day.is_some();
            *begins.entry(known.prefix.account_id).or_insert(true) &= is_whole;
        }
    }
    Ok(begins)
}

fn nothing(scan: &TrailScan) -> Caveat {
    let text = format!("the cache holds no records for `{}`", scan.table);
    Caveat::new(CaveatKind::Absent, text)
        .with_hint("`kennel sync` mirrors the configured CloudTrail sources; `kennel status` shows what is there")
}

/// Objects and prefixes that could not be listed, fetched or read.
fn failed(failures: &[Failure]) -> Option<Caveat> {
    let first = failures.first()?;
    let more = match failures.len() {
        1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    let text = format!(
        "events are missing: cannot {} `{}`: {}{more}",
        first.stage.as_str(),
        first.key,
        first.message
    );
    let told = Caveat::new(CaveatKind::Partial, text);
    Some(told.with_hint("`kennel status` names all that failed; `kennel sync` tries again"))
}

/// Accounts that flags ask for and that no trail in the cache has, and what flags do not limit.
pub(super) fn unknown_scope(shared: &Shared) -> DataFusionResult<Vec<Caveat>> {
    let Some(cache) = shared.cache() else {
        return Ok(vec![]);
    };
    let held = cache.trail_held().map_err(external)?;
    drop(cache);
    let mut caveats = unknown_accounts(&held, shared);
    caveats.extend(customers_do_not_count(shared));
    Ok(caveats)
}

/// Trails know nothing of k9's customers: who asks for one must not take all events for theirs.
fn customers_do_not_count(shared: &Shared) -> Option<Caveat> {
    (!shared.customers.is_empty()).then(|| {
        let text = "customers limit k9's reports only: events of all accounts are in the answer";
        Caveat::new(CaveatKind::Note, text.into()).with_hint("`--account` limits CloudTrail, too")
    })
}

/// Accounts that flags ask for and of which no event was delivered.
fn unknown_accounts(held: &[TrailHeld], shared: &Shared) -> Vec<Caveat> {
    let known = held
        .iter()
        .map(|held| &held.place.account_id)
        .collect::<BTreeSet<_>>();
    let unknown = shared.accounts.iter().filter(|id| !known.contains(id));
    unknown
        .map(|id| absent_account(id.as_str(), CaveatKind::Absent))
        .collect()
}

fn absent_account(id: &str, kind: CaveatKind) -> Caveat {
    let text = format!("no CloudTrail object of account {id} is in the cache");
    Caveat::new(kind, text)
}

/// Accounts and regions that filters name and of which nothing was delivered.
fn unknown_names(held: &[TrailHeld], asked: &Asked, shared: &Shared) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    if let Some(accounts) = &asked.accounts {
        let known = |id: &String| held.iter().any(|held| held.place.account_id.as_str() == id);
        // Some of those named have answered.
        let kind = match accounts.iter().any(known) {
            true => CaveatKind::Partial,
            false => CaveatKind::Absent,
        };
        let of_flags = |id: &String| shared.accounts.iter().any(|flag| flag.as_str() == id);
        let unknown = accounts.iter().filter(|id| !known(id) && !of_flags(id));
        caveats.extend(unknown.map(|id| absent_account(id, kind)));
    }
    if let Some(regions) = &asked.regions {
        let known = |name: &String| held.iter().any(|held| held.place.region == *name);
        let kind = match regions.iter().any(known) {
            true => CaveatKind::Partial,
            false => CaveatKind::Absent,
        };
        for name in regions.iter().filter(|name| !known(name)) {
            let text = format!("no CloudTrail object of region {name} is in the cache");
            let told = Caveat::new(kind, text);
            caveats.push(told.with_hint("nothing happens in an idle region, or nothing of it is logged or mirrored; `kennel status` shows what is there"));
        }
    }
    caveats
}

/// The coverage of the places that are asked for.
struct Found<'a> {
    days: BTreeMap<&'a CoveragePlace, &'a Days>,
    categories: BTreeSet<EventCategory>,
    /// First and last day of each account.
    accounts: BTreeMap<&'a AccountId, (NaiveDate, NaiveDate)>,
}

impl<'a> Found<'a> {
    fn of(held: &'a [TrailHeld], asked: &Asked) -> Self {
        let mut found = Self {
            days: BTreeMap::new(),
            categories: BTreeSet::new(),
            accounts: BTreeMap::new(),
        };
        for TrailHeld {
            place,
            days,
            categories,
        } in held
        {
            if !asked.lets_through(place, None) {
                continue;
            }
            found.days.insert(place, days);
            found.categories.extend(categories);
            if let Some((first, last)) = days.bounds() {
                let bounds = found.accounts.entry(&place.account_id);
                let bounds = bounds.or_insert((first, last));
                *bounds = (bounds.0.min(first), bounds.1.max(last));
            }
        }
        found
    }

    fn bounds(&self) -> Option<(NaiveDate, NaiveDate)> {
        let first = self.accounts.values().map(|(first, _)| *first).min()?;
        let last = self.accounts.values().map(|(_, last)| *last).max()?;
        Some((first, last))
    }

    /// Days that are asked for and that no object is of.
    fn outside(&self, asked: &Asked, begins: &BTreeMap<AccountId, bool>) -> Vec<Caveat> {
        let (Some(days), Some((first, last))) = (asked.days(), self.bounds()) else {
            return vec![];
        };
        let is_outside = |(first, last): &(NaiveDate, NaiveDate)| {
            asked.from.is_some_and(|from| from > *last)
                || asked.until.is_some_and(|until| until < *first)
        };
        let outside = self
            .accounts
            .iter()
            .filter(|(_, bounds)| is_outside(bounds));
        let outside = outside.collect::<Vec<_>>();
        if outside.len() == self.accounts.len() {
            let text = format!(
                "the cache holds no CloudTrail of {days}: what it has was delivered {} to {}",
                shown(first),
                shown(last)
            );
            let is_newer = asked.from.is_some_and(|from| from > last);
            let hint = if is_newer { REFRESH } else { REACH };
            return vec![Caveat::new(CaveatKind::Absent, text).with_hint(hint)];
        }
        let mut caveats = Vec::new();
        if let Some((id, (first, last))) = outside.first() {
            let text = format!(
                "the cache holds no CloudTrail of {days} of {}: that of account {id} was delivered {} to {}",
                count(outside.len(), "account"),
                shown(*first),
                shown(*last)
            );
            caveats.push(Caveat::new(CaveatKind::Partial, text).with_hint(REACH));
        }
        let inside = || {
            self.accounts
                .iter()
                .filter(|(_, bounds)| !is_outside(bounds))
        };
        let late = |bounds: &(NaiveDate, NaiveDate)| asked.from.is_some_and(|from| from < bounds.0);
        let begun = inside()
            .filter(|(_, bounds)| late(bounds))
            .collect::<Vec<_>>();
        if let Some((id, (first, _))) = begun.first() {
            let text = format!(
                "asked for {days}, but the CloudTrail of {} begins later: that of account {id} on {}",
                count(begun.len(), "account"),
                shown(*first)
            );
            let is_whole = |id: &AccountId| begins.get(id).copied().unwrap_or(false);
            caveats.push(match begun.iter().all(|(id, _)| is_whole(id)) {
                // The source has nothing older: the answer is all that can be known.
                true => Caveat::new(CaveatKind::Note, text),
                false => Caveat::new(CaveatKind::Partial, text).with_hint(REACH),
            });
        }
        if let Some(until) = asked.until.filter(|until| *until > last) {
            let text = format!(
                "asked for days to {}, but the newest CloudTrail is of {}",
                shown(until),
                shown(last)
            );
            caveats.push(Caveat::new(CaveatKind::Note, text));
        }
        caveats
    }

    /// Classes of events that are asked for and that no object has any of.
    fn unlogged(&self, asked: &Asked) -> Vec<Caveat> {
        let Some(categories) = asked.categories.as_ref().filter(|_| !self.days.is_empty()) else {
            return vec![];
        };
        let unlogged = categories
            .iter()
            .filter(|name| !self.categories.contains(&EventCategory::from_name(name)));
        unlogged
            .map(|name| {
                let text = format!("no {} events are in the cache", name.to_lowercase());
                Caveat::new(CaveatKind::Absent, text).with_hint(
                    "a trail logs data events only where it is told to: none here does not mean none made",
                )
            })
            .collect()
    }

    /// The days, places and classes of events that there are.
    fn summary(&self) -> Option<Caveat> {
        let (first, last) = self.bounds()?;
        let regions = self.days.keys().map(|place| &place.region);
        let accounts = match self.accounts.first_key_value() {
            Some((id, _)) if self.accounts.len() == 1 => format!("account {id}"),
            _ => count(self.accounts.len(), "account"),
        };
        let data = match self.categories.contains(&EventCategory::Data) {
            true => "management and data events",
            false => "management events only: a trail logs data events where it is told to",
        };
        let text = format!(
            "rests on CloudTrail of {accounts} in {}, delivered {} to {}; {data}",
            count(regions.collect::<BTreeSet<_>>().len(), "region"),
            shown(first),
            shown(last),
        );
        Some(Caveat::new(CaveatKind::Note, text))
    }

    /// The days among those asked for that lack where their neighbours have some.
    fn gaps(&self, asked: &Asked) -> Option<Caveat> {
        let (mut number, mut first) = (0, None);
        for (place, days) in &self.days {
            for gap in missing(days) {
                let from = asked.from.map_or(gap.0, |from| from.max(gap.0));
                let until = asked.until.map_or(gap.1, |until| until.min(gap.1));
                if from <= until {
                    number += (until - from).num_days() + 1;
                    first.get_or_insert((*place, from));
                }
            }
        }
        let (place, day) = first?;
        let text = format!(
            "trails have {} without any object between days that have some: the first is {} in {} of account {}",
            count(usize::try_from(number).unwrap_or_default(), "day"),
            shown(day),
            place.region,
            place.account_id
        );
        let told = Caveat::new(CaveatKind::Note, text);
        Some(told.with_hint("`SELECT * FROM kennel.coverage` shows all days"))
    }
}

const REACH: &str =
    "`kennel sync --since DAY` reaches further back; `kennel status` shows what is there";

const REFRESH: &str = "`kennel sync` fetches what was delivered since";

/// Runs of days between a place's first and last that it has no object of, if it has one of most days.
fn missing(days: &Days) -> impl Iterator<Item = (NaiveDate, NaiveDate)> {
    let is_busy = days.bounds().is_some_and(|(first, last)| {
        let span = u64::try_from((last - first).num_days() + 1).unwrap_or(u64::MAX);
        days.count() * 100 >= span.saturating_mul(BUSY_PERCENT)
    });
    is_busy.then(|| days.gaps()).into_iter().flatten()
}

fn shown(day: NaiveDate) -> DeliveryDay {
    DeliveryDay::from_date(day)
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
