//! How many rows each question had in the snapshots before: counted from the cache, and taken over from earlier exports
//! where these asked the same question of the same reports.

use std::{cell::OnceCell, fmt::Write as _};

use chrono::{DateTime, Utc};
use kennel_cache::{Cache, ReportType, SourceKind, View};
use kennel_engine::{CannedQuery, Engine, EngineError, ParamValues, Past};

use super::{
    folder::{Bundle, sha256},
    manifest::{Point, Scope},
    state::{State, kinds_of},
};
use crate::{error::CliError, text::instant};

/// Snapshots that are shown, this state's among them.
const MOST_POINTS: usize = 14;

/// The snapshots of a chart, oldest first.
pub(crate) struct Trend<'e> {
    engine: &'e Engine,
    moments: Vec<Moment<'e>>,
}

struct Moment<'e> {
    snapshot: String,
    at: DateTime<Utc>,
    reports_sha256: String,
    /// Opened when something must be counted.
    past: OnceCell<Past<'e>>,
}

impl<'e> Trend<'e> {
    /// The snapshots of k9 sources up to a state.
    pub(crate) fn of(state: &State, engine: &'e Engine, cache: &Cache) -> Result<Self, CliError> {
        let mut moments = Vec::new();
        for snapshot in cache.report_snapshots()?.into_iter().rev() {
            if snapshot.taken_at > state.at {
                continue;
            }
            if moments.len() == MOST_POINTS {
                break;
            }
            moments.push(Moment {
                snapshot: snapshot.id.to_string(),
                at: snapshot.taken_at,
                reports_sha256: reports_sha256(cache, snapshot.taken_at)?,
                past: OnceCell::new(),
            });
        }
        moments.reverse();
        Ok(Self { engine, moments })
    }

    /// The points of a question up to this state, whose rows are known, as those of an `earlier` one may be. None for
    /// questions over CloudTrail, whose past states the cache does not keep.
    pub(crate) async fn points(
        &self,
        query: &CannedQuery,
        values: &ParamValues,
        row_count: u64,
        earlier: Option<(DateTime<Utc>, u64)>,
        scope: &Scope,
        bundles: &[Bundle],
    ) -> Result<Vec<Point>, CliError> {
        if kinds_of(query) != [SourceKind::K9] {
            return Ok(Vec::new());
        }
        let query_sha256 = sha256(&query.text);
        let mut points = Vec::new();
        for (index, moment) in self.moments.iter().enumerate() {
            let is_last = index + 1 == self.moments.len();
            let just_asked = match earlier {
                _ if is_last => Some(row_count),
                Some((at, count)) if at == moment.at => Some(count),
                _ => moment.known(query, values, &query_sha256, scope, bundles),
            };
            let counted = match just_asked {
                Some(count) => Some(count),
                None => self.count(moment, query, values).await?,
            };
            if let Some(row_count) = counted {
                points.push(moment.point(row_count));
            }
        }
        Ok(points)
    }

    async fn count(
        &self,
        moment: &Moment<'e>,
        query: &CannedQuery,
        values: &ParamValues,
    ) -> Result<Option<u64>, CliError> {
        if moment.past.get().is_none() {
            // Set once: nobody else has this place.
            let _unset = moment.past.set(self.engine.past(moment.at)?);
        }
        let Some(past) = moment.past.get() else {
            return Ok(None);
        };
        match past.count(query, values).await {
            Ok(count) => Ok(Some(count)),
            // A report or a column that was not there yet.
            Err(EngineError::Sql { .. } | EngineError::Table { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Moment<'_> {
    fn point(&self, row_count: u64) -> Point {
        Point {
            snapshot: self.snapshot.clone(),
            at: instant(self.at),
            row_count,
            reports_sha256: self.reports_sha256.clone(),
        }
    }

    /// The count that an earlier export has.
    fn known(
        &self,
        query: &CannedQuery,
        values: &ParamValues,
        query_sha256: &str,
        scope: &Scope,
        bundles: &[Bundle],
    ) -> Option<u64> {
        let mut same = bundles.iter().filter_map(|bundle| {
            let manifest = &bundle.manifest;
            // With --as-of "now" was another, and redacted parameters are no parameters.
            if manifest.scope != *scope
                || manifest.state.as_of.is_some()
                || manifest.redaction.is_some()
            {
                return None;
            }
            let question = manifest.questions.iter().find(|asked| {
                asked.id == query.id
                    && asked.query_sha256 == query_sha256
                    && asked.params == values.0
            })?;
            question.trend.iter().find(|point| {
                point.snapshot == self.snapshot
                    && point.at == instant(self.at)
                    && point.reports_sha256 == self.reports_sha256
            })
        });
        same.next().map(|point| point.row_count)
    }
}

/// Which versions of which reports a state has.
fn reports_sha256(cache: &Cache, at: DateTime<Utc>) -> Result<String, CliError> {
    let mut text = String::new();
    for report_type in ReportType::ALL {
        for report in cache.reports(report_type, View::At(at))? {
            let _infallible = writeln!(
                text,
                "{}\t{}\t{}\t{}",
                report.source,
                report.key,
                report.valid_from.timestamp_micros(),
                report.row_count,
            );
        }
    }
    Ok(sha256(text))
}
