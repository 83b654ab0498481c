//! What an answer over CloudTrail rests on: which accounts, regions, days and classes of events the cache holds.
//! CloudTrail says nothing of what it was not told to log, so every answer says what there was to be found.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::error::Result as DataFusionResult;
use kennel_cache::{
    CoveragePlace, DeliveryDay, EventCategory, Failure, SourceKind, TrailCoverage,
    TrailTable as TrailKind,
};

use super::{Caveat, CaveatKind};
use crate::catalog::{Shared, TrailTable, external};

pub(super) fn examine(table: &TrailTable, shared: &Shared) -> DataFusionResult<Vec<Caveat>> {
    let Some(cache) = shared.cache() else {
        return Ok(vec![nothing(table)]);
    };
    let coverage = cache.trail_coverage().map_err(external)?;
    let trails = cache.sources().map_err(external)?.into_iter();
    let trails = trails
        .filter(|source| source.kind == SourceKind::CloudTrail)
        .map(|source| source.name)
        .collect::<BTreeSet<_>>();
    let failures = cache.failures().map_err(external)?.into_iter();
    let failures = failures
        .filter(|failure| trails.contains(&failure.source))
        .collect::<Vec<_>>();
    drop(cache);
    let mut caveats = Vec::new();
    if table.files.is_empty() {
        caveats.push(nothing(table));
    }
    caveats.extend(failed(&failures));
    caveats.extend(unknown_accounts(&coverage, shared));
    if table.kind == TrailKind::Events && !table.files.is_empty() {
        caveats.extend(covered(&coverage));
    }
    Ok(caveats)
}

fn nothing(table: &TrailTable) -> Caveat {
    let text = format!("the cache holds no records for `{}`", table.name);
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

/// Accounts that were asked for and of which no event was delivered.
fn unknown_accounts(coverage: &[TrailCoverage], shared: &Shared) -> Vec<Caveat> {
    let known = coverage
        .iter()
        .map(|row| &row.place.account_id)
        .collect::<BTreeSet<_>>();
    let unknown = shared.accounts.iter().filter(|id| !known.contains(id));
    unknown
        .map(|id| {
            let text = format!("no CloudTrail object of account {id} is in the cache");
            Caveat::new(CaveatKind::Absent, text)
        })
        .collect()
}

/// The days, places and classes of events that there are, and the days that lack where their neighbours have some.
fn covered(coverage: &[TrailCoverage]) -> Vec<Caveat> {
    let mut days = BTreeMap::<&CoveragePlace, BTreeSet<DeliveryDay>>::new();
    for row in coverage {
        days.entry(&row.place).or_default().insert(row.day);
    }
    let all = days.values().flatten();
    let (Some(first), Some(last)) = (all.clone().min(), all.max()) else {
        return vec![];
    };
    let accounts = days.keys().map(|place| &place.account_id);
    let regions = days.keys().map(|place| &place.region);
    let classes = coverage
        .iter()
        .filter(|row| row.event_count > 0)
        .map(|row| row.category)
        .collect::<BTreeSet<_>>();
    let data = match classes.contains(&EventCategory::Data) {
        true => "management and data events",
        false => "no data events among them",
    };
    let text = format!(
        "CloudTrail of {} in {}, delivered {} to {}; {data}",
        count(accounts.collect::<BTreeSet<_>>().len(), "account"),
        count(regions.collect::<BTreeSet<_>>().len(), "region"),
        first,
        last,
    );
    let mut caveats = vec![Caveat::new(CaveatKind::Note, text)];
    let gaps = gaps(&days);
    if let Some((place, day)) = gaps.first() {
        let text = format!(
            "{} without any CloudTrail object between days that have some: the first is {day} in {} of account {}",
            count(gaps.len(), "day"),
            place.region,
            place.account_id
        );
        let told = Caveat::new(CaveatKind::Note, text);
        caveats.push(told.with_hint("`SELECT * FROM kennel.coverage` shows all days"));
    }
    caveats
}

/// Days between a place's first and last that it has no object of.
fn gaps<'a>(
    days: &BTreeMap<&'a CoveragePlace, BTreeSet<DeliveryDay>>,
) -> Vec<(&'a CoveragePlace, DeliveryDay)> {
    let mut gaps = Vec::new();
    for (place, days) in days {
        let mut expected = None;
        for day in days {
            let Some(date) = day.date() else { continue };
            let mut missing = expected.unwrap_or(date);
            while missing < date {
                gaps.push((*place, DeliveryDay::from_date(missing)));
                missing += chrono::TimeDelta::days(1);
            }
            expected = date.succ_opt();
        }
    }
    gaps
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
