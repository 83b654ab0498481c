//! What a CloudTrail source covers: in text a line for each account and region, in JSON each day and event category.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use kennel_cache::{CoveragePlace, DeliveryDay, EventCategory, SourceName, TrailCoverage};

use crate::{
    context::Context,
    error::CliError,
    output::{Look, PlainTable},
    text::grouped,
};

/// Accounts and regions listed in text; JSON has all.
const SHOWN_PLACES: usize = 60;

/// What is known of one account and region.
#[derive(Default)]
struct Place {
    days: BTreeSet<DeliveryDay>,
    events: BTreeMap<EventCategory, u64>,
}

impl Place {
    /// Days between the first and the last that no object is of.
    fn gap_count(&self) -> i64 {
        let dates = || self.days.iter().filter_map(|day| day.date());
        match (dates().next(), dates().next_back()) {
            (Some(first), Some(last)) => {
                (last - first).num_days() + 1 - i64::try_from(dates().count()).unwrap_or(i64::MAX)
            }
            _ => 0,
        }
    }
}

/// The rows of one source.
pub(super) fn of<'c>(
    coverage: &'c [TrailCoverage],
    source: &SourceName,
) -> impl Iterator<Item = &'c TrailCoverage> {
    coverage
        .iter()
        .filter(move |row| row.place.source == *source)
}

/// Writes a table: account, region, first and last day of delivery, days with objects, days without between them, and
/// events by category.
pub(super) fn write<'c>(
    rows: impl Iterator<Item = &'c TrailCoverage>,
    cx: &Context,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let mut places = BTreeMap::<&CoveragePlace, Place>::new();
    let mut categories = BTreeSet::new();
    for row in rows {
        let place = places.entry(&row.place).or_default();
        place.days.insert(row.day);
        *place.events.entry(row.category).or_default() += row.event_count;
        if row.event_count > 0 {
            categories.insert(row.category);
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "  days of delivery (UTC) and events of each account and region:\n"
    )?;
    let mut columns = vec![
        "account",
        "region",
        "first day",
        "last day",
        ">days",
        ">gaps",
    ];
    columns.extend(categories.iter().map(|category| category_name(*category)));
    let look = Look {
        terminal_width: None,
        ..cx.printer.look()
    };
    let mut table = PlainTable::new(&columns, look);
    for (place, known) in places.iter().take(SHOWN_PLACES) {
        let day = |day: Option<&DeliveryDay>| day.map(DeliveryDay::to_string).unwrap_or_default();
        let mut cells = vec![
            place.account_id.to_string(),
            place.region.clone(),
            day(known.days.first()),
            day(known.days.last()),
            known.days.len().to_string(),
            known.gap_count().to_string(),
        ];
        let events = |category| known.events.get(category).copied().unwrap_or(0);
        cells.extend(categories.iter().map(|category| grouped(events(category))));
        table.row(&cells);
    }
    table.write(out)?;
    if places.len() > SHOWN_PLACES {
        writeln!(
            out,
            "\n  and {} more accounts and regions: `kennel status -f json` has all",
            places.len() - SHOWN_PLACES
        )?;
    }
    Ok(())
}

/// The head of a category's column, set right.
fn category_name(category: EventCategory) -> &'static str {
    match category {
        EventCategory::Management => ">management",
        EventCategory::Data => ">data",
        EventCategory::Insight => ">insight",
        EventCategory::NetworkActivity => ">network activity",
        EventCategory::Aggregated => ">aggregated",
        EventCategory::Unknown => ">other",
    }
}

/// One row in JSON.
#[derive(serde::Serialize)]
pub(super) struct Json<'c> {
    account_id: &'c str,
    region: &'c str,
    day: &'c str,
    event_category: &'static str,
    object_count: u64,
    event_count: u64,
}

impl<'c> From<&'c TrailCoverage> for Json<'c> {
    fn from(row: &'c TrailCoverage) -> Self {
        Self {
            account_id: row.place.account_id.as_str(),
            region: &row.place.region,
            day: row.day.as_str(),
            event_category: row.category.as_str(),
            object_count: row.object_count,
            event_count: row.event_count,
        }
    }
}
