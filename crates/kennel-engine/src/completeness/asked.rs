//! What a statement asks of CloudTrail's tables: the accounts, regions, classes and days that its filters name. Only
//! filters that every row must pass count, and only in forms that are read without doubt: what is not understood
//! asks for everything.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use datafusion::{
    common::ScalarValue,
    logical_expr::{Between, BinaryExpr, Expr, Operator, expr::InList, utils::split_conjunction},
};
use kennel_cache::{CoveragePlace, DeliveryDay};

use crate::ingest::parse_instant;

/// Columns of a CloudTrail table file, by what they say.
const ACCOUNTS: [&str; 3] = ["account", "account_id", "recipientaccountid"];
const REGIONS: [&str; 2] = ["awsregion", "region"];
const CATEGORIES: [&str; 2] = ["event_category", "eventcategory"];

/// What filters let through; `None` is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) accounts: Option<BTreeSet<String>>,
    pub(super) regions: Option<BTreeSet<String>>,
    pub(super) categories: Option<BTreeSet<String>>,
    /// First day.
    pub(super) from: Option<NaiveDate>,
    /// Last day.
    pub(super) until: Option<NaiveDate>,
}

impl Asked {
    /// Reads the filters of a scan.
    pub(super) fn of(filters: &[Expr]) -> Self {
        let mut asked = Self::default();
        let mut parts = BTreeMap::new();
        for filter in filters.iter().flat_map(split_conjunction) {
            if let Some((column, values)) = alternatives(filter) {
                asked.named(column, &values, &mut parts);
            }
            match filter {
                Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                    asked.compared(left, *op, right);
                    if let Some(op) = op.swap() {
                        asked.compared(right, op, left);
                    }
                }
                Expr::Between(Between {
                    expr,
                    negated: false,
                    low,
                    high,
                }) => {
                    asked.compared(expr, Operator::GtEq, low);
                    asked.compared(expr, Operator::LtEq, high);
                }
                _ => {}
            }
        }
        asked.parts_of_a_day(&parts);
        asked
    }

    /// Whether rows of a place and a delivery day can be among those asked for.
    pub(super) fn lets_through(&self, place: &CoveragePlace, day: Option<NaiveDate>) -> bool {
        let is_asked = |names: &Option<BTreeSet<String>>, name: &str| {
            names.as_ref().is_none_or(|names| names.contains(name))
        };
        is_asked(&self.accounts, place.account_id.as_str())
            && is_asked(&self.regions, &place.region)
            && day.is_none_or(|day| {
                self.from.is_none_or(|from| day >= from)
                    && self.until.is_none_or(|until| day <= until)
            })
    }

    /// Narrows the days.
    pub(super) fn within(&mut self, from: Option<NaiveDate>, until: Option<NaiveDate>) {
        self.from = self.from.max(from);
        self.until = match (self.until, until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    fn named(
        &mut self,
        column: &str,
        values: &BTreeSet<String>,
        parts: &mut BTreeMap<String, u32>,
    ) {
        let known = [
            (ACCOUNTS.as_slice(), &mut self.accounts),
            (&REGIONS, &mut self.regions),
            (&CATEGORIES, &mut self.categories),
        ];
        for (columns, asked) in known {
            if columns.contains(&column) {
                *asked = Some(match asked.take() {
                    Some(before) => before.intersection(values).cloned().collect(),
                    None => values.clone(),
                });
            }
        }
        if let ("year" | "month" | "day", Some(value), 1) = (column, values.first(), values.len())
            && let Ok(number) = value.parse()
        {
            parts.insert(column.to_owned(), number);
        }
    }

    /// A comparison of a column of time with a constant.
    fn compared(&mut self, column: &Expr, op: Operator, value: &Expr) {
        let (Some(column), Some(value)) = (column_name(column), constant(value)) else {
            return;
        };
        let day = match column {
            "event_time" => instant_of(value).map(|at| at.date_naive()),
            "eventtime" => text_of(value).and_then(day_of_text),
            "timestamp" => text_of(value).and_then(|text| DeliveryDay::parse(text)?.date()),
            _ => None,
        };
        match (op, day) {
            (_, None) => {}
            (Operator::Eq, day) => self.within(day, day),
            (Operator::Gt | Operator::GtEq, day) => self.within(day, None),
            (Operator::LtEq, day) => self.within(None, day),
            // The first instant of a day is not part of what lies before it.
            (Operator::Lt, Some(day)) => {
                let begins_it = match column {
                    "event_time" => {
                        instant_of(value).is_some_and(|at| at.time() == chrono::NaiveTime::MIN)
                    }
                    "timestamp" => true,
                    _ => text_of(value).is_some_and(|text| text.len() == 10),
                };
                let last = if begins_it { day.pred_opt() } else { Some(day) };
                self.within(None, last);
            }
            _ => {}
        }
    }

    /// `year = '2026' AND month = '02'` is a month.
    fn parts_of_a_day(&mut self, parts: &BTreeMap<String, u32>) {
        let Some(year) = parts.get("year").and_then(|year| i32::try_from(*year).ok()) else {
            return;
        };
        let (month, day) = (parts.get("month").copied(), parts.get("day").copied());
        let (first, last) = match (month, day) {
            (Some(month), Some(day)) => (date(year, month, day), date(year, month, day)),
            (Some(month), None) => {
                let first = date(year, month, 1);
                let next = first.and_then(|first| first.checked_add_months(chrono::Months::new(1)));
                (first, next.and_then(|next| next.pred_opt()))
            }
            (None, _) => (date(year, 1, 1), date(year, 12, 31)),
        };
        self.within(first, last);
    }

    /// The days, for messages; `None` when none are named.
    pub(super) fn days(&self) -> Option<String> {
        let text = |day: NaiveDate| DeliveryDay::from_date(day).to_string();
        Some(match (self.from, self.until) {
            (None, None) => return None,
            (Some(from), None) => format!("{} and later", text(from)),
            (None, Some(until)) => format!("{} and earlier", text(until)),
            (Some(from), Some(until)) if from == until => text(from),
            (Some(from), Some(until)) => format!("{} to {}", text(from), text(until)),
        })
    }
}

fn date(year: i32, month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month, day)
}

/// A column and the texts of which it must have one: `a = 'x'`, `a IN ('x', 'y')`, `a = 'x' OR a = 'y'`.
fn alternatives(filter: &Expr) -> Option<(&str, BTreeSet<String>)> {
    match filter {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => {
            let (column, value) = match (column_name(left), column_name(right)) {
                (Some(column), _) => (column, constant(right)?),
                (None, Some(column)) => (column, constant(left)?),
                (None, None) => return None,
            };
            Some((column, BTreeSet::from([text_of(value)?.to_owned()])))
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Or,
            right,
        }) => {
            let (column, mut values) = alternatives(left)?;
            let (other, more) = alternatives(right)?;
            values.extend(more);
            (column == other).then_some((column, values))
        }
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) => {
            let values = list
                .iter()
                .map(|value| Some(text_of(constant(value)?)?.to_owned()))
                .collect::<Option<_>>()?;
            Some((column_name(expr)?, values))
        }
        _ => None,
    }
}

fn column_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(column.name()),
        _ => None,
    }
}

fn constant(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

fn text_of(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

fn instant_of(value: &ScalarValue) -> Option<DateTime<Utc>> {
    match value {
        ScalarValue::TimestampSecond(at, _) => DateTime::from_timestamp((*at)?, 0),
        ScalarValue::TimestampMillisecond(at, _) => DateTime::from_timestamp_millis((*at)?),
        ScalarValue::TimestampMicrosecond(at, _) => DateTime::from_timestamp_micros((*at)?),
        ScalarValue::TimestampNanosecond(at, _) => Some(DateTime::from_timestamp_nanos((*at)?)),
        _ => None,
    }
}

/// The day that a text compared with `eventtime` begins with.
fn day_of_text(text: &str) -> Option<NaiveDate> {
    let day = text.get(..10)?.parse::<NaiveDate>().ok()?;
    let is_whole = text.len() == 10 || parse_instant(text).is_some();
    (is_whole && (0..=9999).contains(&day.year())).then_some(day)
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, in_list, lit};

    use super::*;

    fn day(text: &str) -> Option<NaiveDate> {
        Some(text.parse().unwrap())
    }

    fn micros(text: &str) -> Expr {
        let at = text.parse::<DateTime<Utc>>().unwrap().timestamp_micros();
        lit(ScalarValue::TimestampMicrosecond(
            Some(at),
            Some("UTC".into()),
        ))
    }

    #[test]
    fn names_are_read_from_equalities_lists_and_ors_of_one_column() {
        let asked = Asked::of(&[
            in_list(col("account_id"), vec![lit("1"), lit("2")], false),
            col("awsregion")
                .eq(lit("a"))
                .or(lit("b").eq(col("awsregion"))),
            col("eventname")
                .eq(lit("GetObject"))
                .or(col("event_category").eq(lit("Data"))),
        ]);
        assert_eq!(
            asked.accounts,
            Some(["1".to_owned(), "2".to_owned()].into())
        );
        assert_eq!(asked.regions, Some(["a".to_owned(), "b".to_owned()].into()));
        assert_eq!(asked.categories, None);
        let both = Asked::of(&[
            in_list(col("account_id"), vec![lit("1"), lit("2")], false),
            col("account").eq(lit("2")),
        ]);
        assert_eq!(both.accounts, Some(["2".to_owned()].into()));
    }

    #[test]
    fn what_is_denied_or_one_of_several_ways_asks_for_everything() {
        let asked = Asked::of(&[
            in_list(col("account_id"), vec![lit("1")], true),
            col("awsregion").not_eq(lit("a")),
            col("event_time")
                .gt(micros("2026-02-01T00:00:00Z"))
                .or(col("event_time").is_null()),
            col("eventtime").like(lit("2026-02%")),
            col("eventtime").gt(lit("2026-02")),
        ]);
        assert_eq!(asked, Asked::default());
        assert_eq!(asked.days(), None);
    }

    #[test]
    fn days_are_read_from_instants_texts_and_parts() {
        for (filters, from, until) in [
            (
                vec![
                    col("event_time").gt_eq(micros("2026-02-10T08:00:00Z")),
                    col("event_time").lt(micros("2026-02-12T00:00:00Z")),
                ],
                day("2026-02-10"),
                day("2026-02-11"),
            ),
            (
                vec![micros("2026-02-10T08:00:00Z").lt(col("event_time"))],
                day("2026-02-10"),
                None,
            ),
            (
                vec![col("eventtime").between(lit("2026-02-10"), lit("2026-02-12T01:00:00Z"))],
                day("2026-02-10"),
                day("2026-02-12"),
            ),
            (
                vec![col("timestamp").eq(lit("2026/02/10"))],
                day("2026-02-10"),
                day("2026-02-10"),
            ),
            (
                vec![col("timestamp").lt(lit("2026/02/10"))],
                None,
                day("2026-02-09"),
            ),
            (
                vec![col("year").eq(lit("2026")), col("month").eq(lit("02"))],
                day("2026-02-01"),
                day("2026-02-28"),
            ),
            (
                vec![
                    col("year").eq(lit("2026")),
                    col("month").eq(lit("02")),
                    col("day").eq(lit("05")),
                ],
                day("2026-02-05"),
                day("2026-02-05"),
            ),
            (
                vec![
                    col("year").eq(lit("2026")),
                    col("timestamp").gt(lit("2026/03/01")),
                ],
                day("2026-03-01"),
                day("2026-12-31"),
            ),
            (
                vec![col("year").eq(lit("2026")), col("month").eq(lit("13"))],
                None,
                None,
            ),
        ] {
            let asked = Asked::of(&filters);
            assert_eq!((asked.from, asked.until), (from, until), "{filters:?}");
        }
    }
}
