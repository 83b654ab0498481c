//! Rows of this state against those of an earlier one, question by question.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::SchemaRef;
use kennel_engine::CannedQuery;

use super::{
    baseline::{Loaded, ReportName},
    keys::{KeyColumns, Known, Mark, Print},
    manifest,
};
use crate::{
    error::CliError,
    output::report::{Changed, NAMED_CHANGES, Sample},
};

/// A question's rows of the earlier state, being met by those of this one.
pub(crate) struct Comparison {
    known: Option<Known>,
    why_not: Option<String>,
    /// What the earlier state's answer rests on.
    reports: BTreeSet<ReportName>,
    columns: Vec<String>,
    changed: Changed,
}

/// What a comparison came to.
#[derive(Clone)]
pub(crate) struct Outcome {
    /// For the page; `None` where it was not compared.
    pub(crate) changed: Option<Changed>,
    /// For the manifest.
    pub(crate) counts: Option<manifest::Changes>,
    pub(crate) why_not: Option<String>,
}

impl Comparison {
    /// With nothing: no row is new or gone, since there is no state before.
    pub(crate) fn with_nothing() -> Self {
        Self {
            known: None,
            why_not: None,
            reports: BTreeSet::new(),
            columns: Vec::new(),
            changed: Changed::default(),
        }
    }

    /// With the rows of an earlier state.
    pub(crate) fn with(loaded: Loaded, columns: &[String]) -> Self {
        let nothing = Self::with_nothing();
        match loaded {
            Loaded::Rows { known, reports, .. } => Self {
                known: Some(known),
                reports,
                columns: columns.to_vec(),
                changed: Changed {
                    key: columns.to_vec(),
                    ..Changed::default()
                },
                ..nothing
            },
            Loaded::Unknown(why) => Self {
                why_not: Some(why),
                ..nothing
            },
        }
    }

    /// Whether there are rows to hold others against.
    pub(crate) fn is_possible(&self) -> bool {
        self.known.is_some()
    }

    /// Meets a row that is not shown.
    pub(crate) fn pass_over(&mut self, row: Print) {
        if let Some(known) = &mut self.known {
            known.meet(row);
        }
    }

    /// Meets a row of this state, and says only whether it is new; without rows to hold it against, it is.
    pub(crate) fn is_new(&mut self, row: Print) -> bool {
        match &mut self.known {
            Some(known) => known.meet(row) == Mark::New,
            None => true,
        }
    }

    /// Meets a row of this state, whose key is asked for where it is to be named.
    pub(crate) fn meet(&mut self, row: Print, key: impl FnOnce() -> String) -> Mark {
        let Some(known) = &mut self.known else {
            return Mark::Same;
        };
        let mark = known.meet(row);
        let (count, word) = match mark {
            Mark::Same => return mark,
            Mark::New => (&mut self.changed.new_count, "new"),
            Mark::Changed => (&mut self.changed.changed_count, "changed"),
        };
        *count += 1;
        if *count <= NAMED_CHANGES as u64 {
            self.changed.samples.push(sample(word, &key()));
        }
        mark
    }

    /// The rows that were not met; `each` gets the keys of those that are gone. Of news none are: they were news then.
    ///
    /// Of an account that this state has no report of, nobody knows whether its rows are gone.
    pub(crate) fn finish(
        mut self,
        reports: &BTreeSet<ReportName>,
        is_news: bool,
        mut each: impl FnMut(&str) -> Result<(), CliError>,
    ) -> Result<Outcome, CliError> {
        let Some(known) = self.known.take() else {
            return Ok(Outcome {
                changed: None,
                counts: None,
                why_not: self.why_not,
            });
        };
        let lost = self.reports.difference(reports);
        let lost = lost.map(|(_, customer, account)| (customer.as_str(), account.as_str()));
        let lost = lost.collect::<BTreeSet<_>>();
        let place = |name: &str| self.columns.iter().position(|column| column == name);
        let (customer_at, account_at) = (place("customer_id"), place("account_id"));
        let is_lost = |key: &[String]| {
            let value = |at: Option<usize>| at.and_then(|at| key.get(at)).map(String::as_str);
            let (customer, account) = (value(customer_at), value(account_at));
            lost.iter().any(|(lost_customer, lost_account)| {
                account == Some(lost_account)
                    && customer.is_none_or(|customer| customer == *lost_customer)
            })
        };
        let changed = &mut self.changed;
        let mut failed = None;
        let known = match is_news {
            true => Known::new(),
            false => known,
        };
        known.gone(|key| {
            let gone = sample("gone", key);
            if is_lost(&gone.key) {
                changed.unknown_count += 1;
                return;
            }
            changed.gone_count += 1;
            if changed.gone_count <= NAMED_CHANGES as u64 {
                changed.samples.push(gone);
            }
            if failed.is_none() {
                failed = each(key).err();
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let order = |sample: &Sample| {
            ["new", "changed", "gone"]
                .iter()
                .position(|word| *word == sample.change)
        };
        changed.samples.sort_by_key(order);
        Ok(Outcome {
            counts: Some(manifest::Changes {
                new_count: changed.new_count,
                gone_count: changed.gone_count,
                changed_count: changed.changed_count,
                unknown_count: changed.unknown_count,
            }),
            changed: Some(self.changed),
            why_not: None,
        })
    }
}

/// The columns by which rows of a question are told apart.
pub(crate) fn key_columns(schema: &SchemaRef, query: &CannedQuery) -> Result<KeyColumns, CliError> {
    KeyColumns::find(schema, &query.key, &query.noise).map_err(|column| {
        CliError::new(format!(
            "query `{}` names `{column}` as part of its key, and has no such column",
            query.id
        ))
    })
}

/// A row by its key, as people read it.
fn sample(change: &'static str, key: &str) -> Sample {
    let values = serde_json::from_str::<Vec<serde_json::Value>>(key).unwrap_or_default();
    let shown = values.into_iter().map(|value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    });
    Sample {
        change,
        key: shown.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::keys::Keyed;

    fn name(account: &str) -> ReportName {
        ("k9.x".into(), "C1".into(), account.into())
    }

    #[test]
    fn rows_of_an_account_without_a_report_are_not_gone_but_unknown() {
        let columns = ["customer_id", "account_id", "arn"].map(str::to_owned);
        let names = ["customer_id", "account_id", "arn", "n"].map(str::to_owned);
        let keyed_by = KeyColumns::among(&names, &columns, &[]).unwrap();
        let (mut keyed, mut text) = (Keyed::default(), String::new());
        for row in [
            [r#""C1""#, r#""1""#, r#""a""#, "0"],
            [r#""C1""#, r#""2""#, r#""b""#, "0"],
            [r#""C1""#, r#""1""#, r#""c""#, "0"],
        ] {
            keyed_by.add_line(&row, &mut text, &mut keyed);
        }
        let mut known = Known::new();
        known.add(&keyed).unwrap();
        let loaded = Loaded::Rows {
            known,
            reports: BTreeSet::from([name("1"), name("2")]),
            row_count: None,
        };
        let mut met = |arn: &'static str, n: &'static str| {
            let row = [r#""C1""#, r#""1""#, arn, n];
            let print = keyed_by.print_of(|column| row[column], &mut text);
            (print, format!("[{}]", row[..3].join(",")))
        };
        let mut comparison = Comparison::with(loaded, &columns);
        let (print, key) = met(r#""a""#, "1");
        assert_eq!(comparison.meet(print, || key), Mark::Changed);
        let (print, key) = met(r#""n""#, "0");
        assert_eq!(comparison.meet(print, || key), Mark::New);
        let mut gone = Vec::new();
        let outcome = comparison
            .finish(&BTreeSet::from([name("1")]), false, |key| {
                gone.push(key.to_owned());
                Ok(())
            })
            .unwrap();
        assert_eq!(gone, [r#"["C1","1","c"]"#]);
        let counts = outcome.counts.unwrap();
        assert_eq!(
            (
                counts.new_count,
                counts.changed_count,
                counts.gone_count,
                counts.unknown_count
            ),
            (1, 1, 1, 1)
        );
        let changes = outcome.changed.unwrap().samples;
        let changes = changes
            .iter()
            .map(|sample| sample.change)
            .collect::<Vec<_>>();
        assert_eq!(changes, ["new", "changed", "gone"]);
    }
}
