//! Days that the cache holds of a prefix, in so few bytes that every answer can read those of all: the rows of
//! `trail_day` of a year of many accounts are tens of megabytes.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry};

use chrono::{Datelike, NaiveDate};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, types::ValueRef};

use super::{
    CoveragePlace, EventCategory,
    read::{day, text, wrong},
};
use crate::{
    AccountId, Cache, CacheError, DeliveryDay,
    manifest::{has_table, parsed},
};

/// Days of the calendar, kept as runs without a gap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Days {
    /// First and last day of each run: ascending, at least a day between one and the next.
    runs: Vec<(NaiveDate, NaiveDate)>,
}

impl Days {
    /// Adds a day.
    pub fn insert(&mut self, day: NaiveDate) {
        self.insert_run(day, day);
    }

    /// Adds the days of another set.
    pub fn extend(&mut self, other: &Self) {
        for (first, last) in &other.runs {
            self.insert_run(*first, *last);
        }
    }

    /// The number of days.
    pub fn count(&self) -> u64 {
        self.runs.iter().map(|run| span(*run)).sum()
    }

    /// The first and the last day; `None` when there is none.
    pub fn bounds(&self) -> Option<(NaiveDate, NaiveDate)> {
        Some((self.runs.first()?.0, self.runs.last()?.1))
    }

    /// The first and the last day of each run of days between the bounds that are not in the set.
    pub fn gaps(&self) -> impl Iterator<Item = (NaiveDate, NaiveDate)> + '_ {
        self.runs
            .windows(2)
            .filter_map(|pair| Some((pair[0].1.succ_opt()?, pair[1].0.pred_opt()?)))
    }

    fn insert_run(&mut self, first: NaiveDate, last: NaiveDate) {
        // Runs that end before the day before `first` stay as they are; of those that follow, all that begin by
        // the day after `last` become one with it.
        let before = first.pred_opt().unwrap_or(first);
        let after = last.succ_opt().unwrap_or(last);
        let start = self.runs.partition_point(|run| run.1 < before);
        let end = self.runs.partition_point(|run| run.0 <= after).max(start);
        let joined = self.runs[start..end]
            .iter()
            .fold((first, last), |(first, last), run| {
                (first.min(run.0), last.max(run.1))
            });
        self.runs.splice(start..end, [joined]);
    }

    /// The numbers of each run's first and last day, four bytes each, the least significant first.
    fn to_bytes(&self) -> Vec<u8> {
        let numbers = self.runs.iter().flat_map(|run| [run.0, run.1]);
        numbers
            .flat_map(|day| day.num_days_from_ce().to_le_bytes())
            .collect()
    }

    /// `None`: these are not the bytes of days.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut days = Self::default();
        let (runs, rest) = bytes.as_chunks::<8>();
        for [a, b, c, d, e, f, g, h] in runs {
            let day = |bytes| NaiveDate::from_num_days_from_ce_opt(i32::from_le_bytes(bytes));
            let (first, last) = (day([*a, *b, *c, *d])?, day([*e, *f, *g, *h])?);
            if last < first {
                return None;
            }
            days.insert_run(first, last);
        }
        rest.is_empty().then_some(days)
    }
}

fn span((first, last): (NaiveDate, NaiveDate)) -> u64 {
    u64::try_from((last - first).num_days() + 1).unwrap_or_default()
}

/// What the cache holds of one account and region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailHeld {
    /// Source, account and region.
    pub place: CoveragePlace,
    /// Days of delivery that objects are of.
    pub days: Days,
    /// Classes of events that any of the objects has.
    pub categories: BTreeSet<EventCategory>,
}

impl Cache {
    /// The places that readers of the CloudTrail tables can find events of, ascending: what
    /// [`Cache::trail_coverage`] says day by day, of all days.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn trail_held(&self) -> Result<Vec<TrailHeld>, CacheError> {
        read_all(&self.db).map_err(self.failed("read"))
    }
}

/// What one prefix holds.
#[derive(Debug, Default)]
pub(super) struct Held {
    days: Days,
    categories: BTreeSet<EventCategory>,
    /// An object may lie under a day that is none.
    is_known: bool,
}

impl Held {
    pub(super) fn add(&mut self, day: DeliveryDay, category: EventCategory, event_count: u64) {
        self.is_known = true;
        if let Some(date) = day.date() {
            self.days.insert(date);
        }
        if event_count > 0 {
            self.categories.insert(category);
        }
    }

    pub(super) fn write(&self, db: &Transaction<'_>, prefix_id: i64) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT OR REPLACE INTO trail_held (prefix_id, days, categories) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![
            prefix_id,
            self.days.to_bytes(),
            to_bits(&self.categories)
        ])?;
        Ok(())
    }

    fn from_row(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Self>> {
        let ValueRef::Blob(bytes) = row.get_ref(index)? else {
            return Ok(None);
        };
        let days = Days::from_bytes(bytes)
            .ok_or_else(|| wrong(index, "these are no runs of days".into()))?;
        Ok(Some(Self {
            days,
            categories: from_bits(row.get(index + 1)?),
            is_known: true,
        }))
    }

    /// From the rows of each day.
    fn count(db: &Connection, prefix_id: i64) -> rusqlite::Result<Self> {
        let mut held = Self::default();
        let mut statement = db.prepare_cached(
            "SELECT day, category, event_count FROM trail_day WHERE prefix_id = ?1 AND is_pending = 0",
        )?;
        let mut rows = statement.query([prefix_id])?;
        while let Some(row) = rows.next()? {
            let category = EventCategory::from_name(text(row, 1)?);
            held.add(day(row, 0)?, category, row.get(2)?);
        }
        Ok(held)
    }
}

/// Takes what is pending of a source into what its prefixes hold. Its rows are among those that readers see by now.
pub(super) fn add_pending(db: &Transaction<'_>, source_id: i64) -> rusqlite::Result<()> {
    let mut changed = HashMap::<i64, Held>::new();
    let mut statement = db.prepare_cached(
        "SELECT prefix_id, day, category, event_count FROM trail_day
         WHERE is_pending = 1 AND prefix_id IN (SELECT id FROM trail_prefix WHERE source_id = ?1)",
    )?;
    let mut rows = statement.query([source_id])?;
    while let Some(row) = rows.next()? {
        let prefix_id = row.get(0)?;
        let held = match changed.entry(prefix_id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(kept(db, prefix_id)?),
        };
        let category = EventCategory::from_name(text(row, 2)?);
        held.add(day(row, 1)?, category, row.get(3)?);
    }
    for (prefix_id, held) in changed {
        held.write(db, prefix_id)?;
    }
    Ok(())
}

/// What is known of a prefix, or counted where a manifest is older than this table.
fn kept(db: &Connection, prefix_id: i64) -> rusqlite::Result<Held> {
    let known = db
        .prepare_cached("SELECT days, categories FROM trail_held WHERE prefix_id = ?1")?
        .query_row([prefix_id], |row| Held::from_row(row, 0))
        .optional()?
        .flatten();
    match known {
        Some(held) => Ok(held),
        None => Held::count(db, prefix_id),
    }
}

fn read_all(db: &Connection) -> rusqlite::Result<Vec<TrailHeld>> {
    // A reader may meet a manifest that no writer has extended yet.
    let (columns, join) = match has_table(db, "trail_held")? {
        true => (
            "h.days, h.categories",
            "LEFT JOIN trail_held h ON h.prefix_id = p.id",
        ),
        false => ("NULL, NULL", ""),
    };
    let sql = format!(
        "SELECT p.id, s.name, p.account_id, p.region, {columns} FROM trail_prefix p JOIN source s ON s.id = p.source_id {join}"
    );
    let mut places = BTreeMap::<CoveragePlace, Held>::new();
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let held = match Held::from_row(row, 4)? {
            Some(held) => held,
            None => Held::count(db, row.get(0)?)?,
        };
        if held.is_known {
            let place = CoveragePlace {
                source: parsed(row, 1)?,
                account_id: AccountId::new(row.get::<_, String>(2)?),
                region: row.get(3)?,
            };
            // A place may have several prefixes: folders, or trails.
            let all = places.entry(place).or_default();
            all.days.extend(&held.days);
            all.categories.extend(held.categories);
        }
    }
    let held = |(place, held): (_, Held)| TrailHeld {
        place,
        days: held.days,
        categories: held.categories,
    };
    Ok(places.into_iter().map(held).collect())
}

/// A bit for each category, in the order of [`EventCategory::ALL`].
fn to_bits(categories: &BTreeSet<EventCategory>) -> i64 {
    let all = EventCategory::ALL.iter().enumerate();
    all.filter(|(_, category)| categories.contains(category))
        .map(|(bit, _)| 1 << bit)
        .sum()
}

fn from_bits(bits: i64) -> BTreeSet<EventCategory> {
    let all = EventCategory::ALL.into_iter().enumerate();
    all.filter(|(bit, _)| bits >> bit & 1 == 1)
        .map(|(_, category)| category)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(number: i32) -> NaiveDate {
        NaiveDate::from_num_days_from_ce_opt(730_000 + number).expect("a day of our time")
    }

    proptest! {
        /// Runs say what a set of days says, in whatever order the days come, and through bytes.
        #[test]
        fn runs_are_a_set_of_days(numbers in proptest::collection::vec(0..40i32, 0..40), others in proptest::collection::vec(0..40i32, 0..10)) {
            let (mut days, mut more) = (Days::default(), Days::default());
            numbers.iter().for_each(|number| days.insert(date(*number)));
            others.iter().for_each(|number| more.insert(date(*number)));
            days.extend(&more);
            let all = numbers.iter().chain(&others).map(|number| date(*number)).collect::<BTreeSet<_>>();
            prop_assert_eq!(days.count(), all.len() as u64);
            prop_assert_eq!(days.bounds(), all.first().copied().zip(all.last().copied()));
            let missing = days.gaps().flat_map(|(first, last)| first.iter_days().take_while(move |day| *day <= last));
            let (first, last) = days.bounds().unwrap_or_default();
            let expected = first.iter_days().take_while(|day| *day < last).filter(|day| !all.contains(day));
            prop_assert_eq!(missing.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            prop_assert_eq!(Days::from_bytes(&days.to_bytes()), Some(days));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(days) = Days::from_bytes(&bytes) {
                prop_assert!(bytes.len() % 8 == 0 && days.gaps().count() < bytes.len().max(1));
            }
        }
    }

    #[test]
    fn categories_are_bits() {
        for category in EventCategory::ALL {
            let one = BTreeSet::from([category]);
            assert_eq!(from_bits(to_bits(&one)), one);
        }
        assert_eq!(from_bits(!0), BTreeSet::from(EventCategory::ALL));
    }
}
