//! What `run`, `sql` and `demo` share: scope flags, what an answer lacks, how old it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::{arrow::datatypes::SchemaRef, execution::SendableRecordBatchStream};
use kennel_cache::{AccountId, CustomerId, SnapshotInfo};
use kennel_engine::{
    Answer, AsOf, CannedQuery, Caveat, CaveatKind, Engine, EngineSettings, ParamValues, ReportUsed,
};

use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    output::{About, Format, results::Results},
    text::{ago, minute},
};

/// Reports named one by one before "and N more".
const NAMED_REPORTS: usize = 10;

/// Which part of the cache is asked.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ScopeArgs {
    #[command(flatten)]
    narrow: NarrowArgs,
    /// As it was at a time (2026-03-01T04:10Z; 2026-03-01 and yesterday: at the end of that day, UTC; -7d) or in a
    /// snapshot (s12, previous)
    #[arg(long, value_name = "TIME|SNAPSHOT", allow_hyphen_values = true)]
    as_of: Option<String>,
}

/// Which part of the cache is compared: both sides of a diff say their own times.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct NarrowArgs {
    /// Only this customer (repeatable)
    #[arg(long = "customer", value_name = "ID")]
    pub(super) customers: Vec<CustomerId>,
    /// Only this account (repeatable)
    #[arg(long = "account", value_name = "ID")]
    pub(super) accounts: Vec<AccountId>,
}

impl ScopeArgs {
    /// The time asked for, as it was written.
    pub(crate) fn as_of(&self) -> Option<&str> {
        self.as_of.as_deref()
    }

    /// Whether all customers and accounts are asked.
    pub(super) fn is_everything(&self) -> bool {
        self.narrow.customers.is_empty() && self.narrow.accounts.is_empty()
    }

    /// For the engine.
    pub(crate) fn settings(&self) -> Result<EngineSettings, CliError> {
        let as_of = self.as_of.as_deref().map(str::parse::<AsOf>).transpose()?;
        Ok(EngineSettings {
            as_of,
            ..self.narrow.settings()
        })
    }
}

impl NarrowArgs {
    /// For the engine.
    pub(super) fn settings(&self) -> EngineSettings {
        EngineSettings {
            customers: self.customers.clone(),
            accounts: self.accounts.clone(),
            ..EngineSettings::default()
        }
    }
}

/// Says which snapshots answer, where it is not the newest state.
pub(super) fn tell_as_of(engine: &Engine, cx: &Context) -> Result<(), CliError> {
    if let Some(at) = engine.as_of() {
        let snapshots = engine.answering_snapshots()?;
        cx.printer
            .info(&format!("as of {}", state(Some(at), &snapshots)));
    }
    Ok(())
}

/// A state as messages name it: `2026-03-02 10:30 UTC (s1 of 2026-03-02 04:10 UTC)`.
pub(super) fn state(at: Option<DateTime<Utc>>, snapshots: &[SnapshotInfo]) -> String {
    let names = snapshots
        .iter()
        .map(|snapshot| format!("{} of {}", snapshot.id, minute(snapshot.taken_at)));
    let names = names.collect::<Vec<_>>().join(", ");
    let time = at.map_or_else(|| "now".into(), minute);
    match (at, snapshots) {
        (_, []) => time,
        (Some(at), [only]) if at == only.taken_at => format!("{} ({time})", only.id),
        _ => format!("{time} ({names})"),
    }
}

/// Where the answer goes, and in which form.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct OutputArgs {
    /// Form of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
    /// Write to a file instead of standard output; to a folder when there are several results
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Reads `NAME=VALUE`.
pub(crate) fn parse_param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_lowercase(), value.to_owned()))
        }
        _ => Err(format!("`{text}` is not NAME=VALUE")),
    }
}

/// The values of `--param`; a name given twice is a slip.
pub(crate) fn param_values(params: &[(String, String)]) -> Result<ParamValues, CliError> {
    let mut values = ParamValues::default();
    for (name, value) in params {
        if values.0.insert(name.clone(), value.clone()).is_some() {
            return Err(CliError::new(format!("parameter `{name}` is given twice")));
        }
    }
    Ok(values)
}

/// Gives each query the parameters that it has. What no query has goes to the first, which will say so.
pub(super) fn distribute(values: &ParamValues, queries: &[&CannedQuery]) -> Vec<ParamValues> {
    let has = |query: &CannedQuery, name: &str| query.params.iter().any(|param| param.name == name);
    let stray = |name: &str| !queries.iter().any(|query| has(query, name));
    let for_query = |(index, query): (usize, &&CannedQuery)| {
        let chosen = values
            .0
            .iter()
            .filter(|(name, _)| has(query, name) || (index == 0 && stray(name)));
        ParamValues(
            chosen
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    };
    queries.iter().enumerate().map(for_query).collect()
}

/// An error of one of several queries says which.
pub(crate) fn in_query(error: CliError, query: &CannedQuery, query_count: usize) -> CliError {
    let error = error.in_file(&format!("{}.sql", query.id));
    if query_count > 1 {
        error.hint(format!("this happened in `{}`", query.id))
    } else {
        error
    }
}

/// Tells what answers lack, each thing once, and remembers the gravest.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    told: BTreeSet<String>,
    exit: Exit,
}

impl OutputArgs {
    /// Opens the places of results with these names.
    pub(super) fn open<'c>(
        &self,
        names: &[String],
        cx: &'c Context,
    ) -> Result<Results<'c>, CliError> {
        Results::open(self.output.as_deref(), self.format, names, &cx.printer)
    }
}

impl Verdict {
    /// The exit code so far.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Something beside the answers ended so.
    pub(crate) fn worsen(&mut self, exit: Exit) {
        self.exit = self.exit.and(exit);
    }

    /// Rows were found, and `--check` asked.
    pub(crate) fn findings(&mut self) {
        self.exit = self.exit.and(Exit::Findings);
    }

    /// What an answer lacks.
    pub(crate) fn caveats(&mut self, caveats: &[Caveat], cx: &Context) {
        for caveat in caveats {
            self.exit = self.exit.and(match caveat.kind {
                CaveatKind::Absent => Exit::Absent,
                CaveatKind::Partial => Exit::Partial,
                CaveatKind::Note => Exit::Done,
            });
            if !self.told.insert(caveat.message.clone()) {
                continue;
            }
            match caveat.kind {
                CaveatKind::Note => cx.printer.info(&format!("note: {}", caveat.message)),
                CaveatKind::Absent | CaveatKind::Partial => cx.printer.warn(&caveat.message),
            }
            if let Some(hint) = caveat
                .hint
                .as_ref()
                .filter(|hint| self.told.insert((*hint).clone()))
            {
                cx.printer.hint(hint);
            }
        }
    }

    /// Reports older than `--max-age`. An empty report has no analysis time: the day it came counts.
    pub(crate) fn max_age(
        &mut self,
        reports: &[ReportUsed],
        max_age: Option<TimeDelta>,
        now: DateTime<Utc>,
        cx: &Context,
    ) {
        let Some(limit) = max_age.and_then(|age| now.checked_sub_signed(age)) else {
            return;
        };
        let mut unnamed = 0;
        for report in newest_of_each(reports) {
            let at = report.analysis_time.unwrap_or(report.snapshot_at);
            if at >= limit {
                continue;
            }
            self.exit = self.exit.and(Exit::Absent);
            let message = format!(
                "`{}` of account {} (customer {}) is of {}, {}: older than --max-age",
                report.table,
                report.account_id,
                report.customer_id,
                minute(at),
                ago(at, now),
            );
            if self.told.len() < NAMED_REPORTS {
                if self.told.insert(message.clone()) {
                    cx.printer.warn(&message);
                }
            } else {
                unnamed += 1;
            }
        }
        if unnamed > 0 {
            cx.printer.warn(&format!(
                "{unnamed} more reports are older than --max-age; `kennel status` shows all"
            ));
        }
    }
}

/// Of each report that is used, by type, customer and account, the newest: a question over history also reads those before.
pub(crate) fn newest_of_each(reports: &[ReportUsed]) -> Vec<&ReportUsed> {
    let mut newest = BTreeMap::<_, &ReportUsed>::new();
    for report in reports {
        let report_type = report.table.strip_suffix("_latest");
        let key = (
            report_type.unwrap_or(&report.table),
            &report.customer_id,
            &report.account_id,
        );
        let at = |report: &ReportUsed| report.analysis_time.unwrap_or(report.snapshot_at);
        match newest.get(&key) {
            Some(known) if at(known) >= at(report) => {}
            _ => {
                newest.insert(key, report);
            }
        }
    }
    newest.into_values().collect()
}

/// Takes an answer apart: what is to be said with its rows, and the rows.
pub(super) fn taken_apart(
    answer: Answer,
    about: About,
) -> (About, SchemaRef, SendableRecordBatchStream) {
    let Answer {
        schema,
        stream,
        caveats,
        reports,
        reading: _,
    } = answer;
    let about = About {
        caveats,
        reports,
        ..about
    };
    (about, schema, stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_history_only_the_newest_report_can_be_too_old() {
        let report = |table: &str, account: &str, at: &str| ReportUsed {
            table: table.into(),
            customer_id: CustomerId::new("C1"),
            account_id: AccountId::new(account),
            analysis_time: Some(at.parse().unwrap()),
            snapshot_at: at.parse().unwrap(),
        };
        let (old, new) = ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z");
        let reports = [
            report("k9.principals", "1", old),
            report("k9.principals", "1", new),
            report("k9.principals_latest", "1", new),
            report("k9.principals_latest", "2", old),
            report("k9.resources_latest", "1", old),
        ];
        let kept = newest_of_each(&reports);
        let kept = kept
            .iter()
            .map(|report| (report.account_id.as_str(), report.analysis_time));
        let at = |text: &str| text.parse().ok();
        assert_eq!(
            kept.collect::<Vec<_>>(),
            [("1", at(new)), ("2", at(old)), ("1", at(old))]
        );
    }

    #[test]
    fn a_parameter_is_a_name_and_whatever_follows_the_first_equals_sign() {
        assert_eq!(
            parse_param("Arn=a=b ").unwrap(),
            ("arn".into(), "a=b ".into())
        );
        assert_eq!(parse_param("x=").unwrap(), ("x".into(), String::new()));
        for text in ["x", "=x", ""] {
            assert!(parse_param(text).is_err());
        }
        assert!(param_values(&[("a".into(), "1".into()), ("a".into(), "2".into())]).is_err());
    }
}
