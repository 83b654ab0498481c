//! What `run`, `sql` and `demo` share: scope flags, what an answer lacks, how old it is.

use std::{collections::BTreeSet, path::PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use kennel_cache::{AccountId, CustomerId};
use kennel_engine::{Answer, AsOf, Caveat, CaveatKind, EngineSettings, ParamValues, ReportUsed};

use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    output::{self, Format, target::Target},
    text::{ago, minute},
};

/// Reports named one by one before "and N more".
const NAMED_REPORTS: usize = 10;

/// Which part of the cache is asked.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ScopeArgs {
    /// Only this customer (repeatable)
    #[arg(long = "customer", value_name = "ID")]
    customers: Vec<CustomerId>,
    /// Only this account (repeatable)
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<AccountId>,
    /// As it was at a time (2026-03-01, 2026-03-01T04:10Z) or in a snapshot (s12)
    #[arg(long, value_name = "TIME|SNAPSHOT")]
    as_of: Option<String>,
}

impl ScopeArgs {
    /// The time asked for, as it was written.
    pub(crate) fn as_of(&self) -> Option<&str> {
        self.as_of.as_deref()
    }

    /// For the engine.
    pub(crate) fn settings(&self) -> Result<EngineSettings, CliError> {
        let as_of = self.as_of.as_deref().map(str::parse::<AsOf>).transpose()?;
        Ok(EngineSettings {
            as_of,
            customers: self.customers.clone(),
            accounts: self.accounts.clone(),
            ..EngineSettings::default()
        })
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

/// Tells what answers lack, each thing once, and remembers the gravest.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    told: BTreeSet<String>,
    exit: Exit,
}

impl Verdict {
    /// The exit code so far.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
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
        for report in reports {
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

/// Writes an answer to its place; says how many rows it had.
pub(crate) async fn write_answer(
    answer: Answer,
    target: &mut Target,
    index: usize,
    format: Format,
    title: Option<&str>,
    cx: &Context,
) -> Result<u64, CliError> {
    let Answer { schema, stream, .. } = answer;
    target
        .with(index, &cx.printer, async |out, look| {
            let mut writer = output::writer(format, &schema, look);
            output::write_stream(stream, writer.as_mut(), title, out).await
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

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
