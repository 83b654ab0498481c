//! Points in history, as people write them.

use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use kennel_cache::{Cache, CacheError, SnapshotId, SnapshotInfo};

use crate::{EngineError, params};

/// A point in history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// What was newest at this instant.
    At(DateTime<Utc>),
    /// What was newest when this day (UTC) ended.
    Day(NaiveDate),
    /// What was newest when the day before today (UTC) ended.
    Yesterday,
    /// What was newest so long ago.
    Ago(TimeDelta),
    /// The state of this snapshot.
    Snapshot(SnapshotId),
    /// The newest state.
    Latest,
    /// The state before the newest.
    Previous,
}

impl FromStr for AsOf {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let unknown = || EngineError::AsOf { text: text.into() };
        match text.to_ascii_lowercase().as_str() {
            "latest" => return Ok(Self::Latest),
            "previous" => return Ok(Self::Previous),
            "yesterday" => return Ok(Self::Yesterday),
            _ => {}
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Snapshot(id));
        }
        if let Some(span) = text.strip_prefix('-') {
            return ago(span).map(Self::Ago).ok_or_else(unknown);
        }
        if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Ok(Self::Day(day));
        }
        params::parse_instant(text)
            .map(Self::At)
            .ok_or_else(unknown)
    }
}

/// `7d`, `36h`, `2w`, `90m`.
fn ago(span: &str) -> Option<TimeDelta> {
    let unit = span.chars().last()?;
    let number = span.strip_suffix(unit)?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse::<i64>().ok().filter(|_| is_number)?;
    match unit {
        'm' => TimeDelta::try_minutes(number),
        'h' => TimeDelta::try_hours(number),
        'd' => TimeDelta::try_days(number),
        'w' => TimeDelta::try_weeks(number),
        _ => None,
    }
}

impl AsOf {
    /// The instant that is meant; `None` is the newest state.
    ///
    /// A day that has not ended yet ends now. `before` is what [`AsOf::Previous`] is before, the newest state when `None`.
    ///
    /// # Errors
    /// [`EngineError::Cache`] for an unknown snapshot, [`EngineError::NoEarlierSnapshot`],
    /// [`EngineError::AsOf`] for a time beyond the calendar.
    pub(crate) fn resolve(
        self,
        cache: Option<&Cache>,
        now: DateTime<Utc>,
        before: Option<DateTime<Utc>>,
    ) -> Result<Option<DateTime<Utc>>, EngineError> {
        let end_of = |day: Option<NaiveDate>| {
            let next = day.and_then(|day| day.succ_opt()?.and_hms_opt(0, 0, 0));
            next.map(|next| (next.and_utc() - TimeDelta::microseconds(1)).min(now))
        };
        let beyond = |text: String| EngineError::AsOf { text };
        match self {
            Self::Latest => Ok(None),
            Self::At(at) => Ok(Some(at)),
            Self::Day(day) => end_of(Some(day))
                .map(Some)
                .ok_or_else(|| beyond(day.to_string())),
            Self::Yesterday => end_of(now.date_naive().checked_sub_days(Days::new(1)))
                .map(Some)
                .ok_or_else(|| beyond("yesterday".into())),
            Self::Ago(span) => now
                .checked_sub_signed(span)
                .map(Some)
                .ok_or_else(|| beyond(format!("{span} ago"))),
            Self::Snapshot(id) => match cache {
                Some(cache) => Ok(Some(cache.snapshot(id)?.taken_at)),
                None => Err(CacheError::UnknownSnapshot { id: id.to_string() }.into()),
            },
            Self::Previous => previous(cache, before).map(Some),
        }
    }
}

/// The time of the snapshot before that which answers as of `before`, of the same source.
fn previous(
    cache: Option<&Cache>,
    before: Option<DateTime<Utc>>,
) -> Result<DateTime<Utc>, EngineError> {
    let snapshots = cache.map(Cache::report_snapshots).transpose()?;
    let snapshots = snapshots.unwrap_or_default();
    let mut newest_first = snapshots
        .iter()
        .rev()
        .filter(|snapshot| before.is_none_or(|before| snapshot.taken_at <= before));
    let newest = newest_first.next();
    newest
        .and_then(|newest| newest_first.find(|earlier| earlier.source == newest.source))
        .map(|earlier| earlier.taken_at)
        .ok_or(EngineError::NoEarlierSnapshot)
}

/// The snapshots that answer as of a time (`None`: now): the newest of each k9 source that is not later.
pub(crate) fn answering(
    cache: Option<&Cache>,
    at: Option<DateTime<Utc>>,
) -> Result<Vec<SnapshotInfo>, EngineError> {
    let snapshots = cache.map(Cache::report_snapshots).transpose()?;
    let mut newest = std::collections::BTreeMap::new();
    for snapshot in snapshots.unwrap_or_default() {
        if at.is_none_or(|at| snapshot.taken_at <= at) {
            newest.insert(snapshot.source.clone(), snapshot);
        }
    }
    Ok(newest.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-03-04T10:30:00Z".parse().unwrap()
    }

    fn resolved(text: &str) -> String {
        let at = text.parse::<AsOf>().unwrap().resolve(None, now(), None);
        at.unwrap()
            .map_or_else(|| "newest".into(), |at| at.to_rfc3339())
    }

    #[test]
    fn points_in_history_are_read_as_people_write_them() {
        for (text, expected) in [
            ("latest", "newest"),
            ("Yesterday", "2026-03-03T23:59:59.999999+00:00"),
            ("2026-03-01", "2026-03-01T23:59:59.999999+00:00"),
            ("2026-03-04", "2026-03-04T10:30:00+00:00"),
            ("2026-03-01T04:10Z", "2026-03-01T04:10:00+00:00"),
            ("2026-03-01 05:10:00+01:00", "2026-03-01T04:10:00+00:00"),
            ("-7d", "2026-02-25T10:30:00+00:00"),
            ("-36h", "2026-03-02T22:30:00+00:00"),
            ("-2w", "2026-02-18T10:30:00+00:00"),
        ] {
            assert_eq!(resolved(text), expected, "{text}");
        }
        assert!(matches!("s12".parse(), Ok(AsOf::Snapshot(_))));
        assert!(matches!("previous".parse(), Ok(AsOf::Previous)));
    }

    #[test]
    fn what_is_no_point_in_history_is_refused() {
        for text in [
            "",
            "-",
            "-d",
            "-7",
            "-7y",
            "--7d",
            "7d",
            "-1.5d",
            "tomorrow",
            "2026-02-30",
            "S12",
            "-99999999999999999999d",
        ] {
            assert!(text.parse::<AsOf>().is_err(), "{text}");
        }
        let far = "-9000000000d".parse::<AsOf>().unwrap();
        assert!(far.resolve(None, now(), None).is_err());
        assert!(AsOf::Previous.resolve(None, now(), None).is_err());
    }
}
