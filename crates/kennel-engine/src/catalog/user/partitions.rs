//! Which values a user's partition columns have for a key: by partition projection, by partitions that were added, by
//! `name=value` folders, or by what the folders of a CloudTrail delivery mean.
//!
//! Source: Athena user guide, "Use partition projection with Amazon Athena".

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use kennel_athena::statement::{HiveTable, PartitionTerm};
use kennel_cache::{TrailKey, TrailPrefix, UserPartition};
use percent_encoding::percent_decode_str;
use regex::Regex;

use super::dates::DateRange;

/// The values of the partition columns, in their order.
pub(crate) type Values = Vec<Option<String>>;

/// How keys give partition values.
#[derive(Debug)]
pub(crate) struct Partitioning {
    columns: Vec<String>,
    /// Keys of the table begin with this.
    prefix: String,
    projection: Option<Projection>,
    /// Added partitions: what their keys begin with, and their values. The longest comes first.
    added: Vec<(String, Values)>,
    /// Dropped partitions.
    dropped: Vec<Vec<PartitionTerm>>,
}

#[derive(Debug)]
struct Projection {
    /// Has a group for each column of the template.
    template: Regex,
    /// The columns of the groups.
    groups: Vec<String>,
    columns: BTreeMap<String, Projected>,
}

/// What a column is projected to.
#[derive(Debug)]
enum Projected {
    Enum(BTreeSet<String>),
    Integer {
        least: i64,
        most: i64,
        interval: i64,
        digits: Option<usize>,
    },
    Date(DateRange),
    Injected,
}

impl Projected {
    fn parse(
        properties: &BTreeMap<String, String>,
        column: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, String> {
        let property = |name: &str| {
            let key = format!("projection.{column}.{name}");
            let mut found = properties
                .iter()
                .filter(|(known, _)| known.eq_ignore_ascii_case(&key));
            found.next().map(|(_, value)| value.as_str())
        };
        let needed = |name: &str| {
            property(name).ok_or_else(|| format!("TBLPROPERTIES lack `projection.{column}.{name}`"))
        };
        let kind = needed("type")?;
        match kind.to_ascii_lowercase().as_str() {
            "enum" => Ok(Self::Enum(
                needed("values")?
                    .split(',')
                    .map(|value| value.trim().to_owned())
                    .collect(),
            )),
            "integer" => {
                let range = needed("range")?;
                let number = |text: &str| {
                    text.trim().parse::<i64>().map_err(|_| {
                        format!(
                            "`projection.{column}.range` is no pair of whole numbers: `{range}`"
                        )
                    })
                };
                let (least, most) = range.split_once(',').unwrap_or((range, range));
                let interval = property("interval").map_or(Ok(1), number)?;
                let digits = property("digits").map(str::trim).map(str::parse);
                if interval < 1 || matches!(digits, Some(Err(_))) {
                    return Err(format!(
                        "the interval or the digits of `projection.{column}` are no number above 0"
                    ));
                }
                Ok(Self::Integer {
                    least: number(least)?,
                    most: number(most)?,
                    interval,
                    digits: digits.and_then(Result::ok),
                })
            }
            "date" => DateRange::parse(
                needed("format")?,
                needed("range")?,
                property("interval"),
                property("interval.unit"),
                now,
            )
            .map(Self::Date),
            "injected" => Ok(Self::Injected),
            _ => Err(format!(
                "`projection.{column}.type` is `{kind}`, not enum, integer, date or injected"
            )),
        }
    }

    /// What a value looks like, without groups.
    fn regex(&self) -> String {
        match self {
            Self::Enum(values) => {
                let mut values = values
                    .iter()
                    .map(|value| regex::escape(value))
                    .collect::<Vec<_>>();
                // Of two values one of which begins with the other the longer is tried first.
                values.sort_by_key(|value| std::cmp::Reverse(value.len()));
                format!("(?:{})", values.join("|"))
            }
            Self::Integer { .. } => "-?[0-9]+".into(),
            Self::Date(range) => range.regex(),
            Self::Injected => "[^/]+".into(),
        }
    }

    fn admits(&self, value: &str) -> bool {
        match self {
            Self::Enum(values) => values.contains(value),
            Self::Integer {
                least,
                most,
                interval,
                digits,
            } => {
                let has_width = digits.is_none_or(|digits| {
                    value.len() == digits.max(value.trim_start_matches('0').len())
                });
                let number = value.parse::<i64>().ok().filter(|_| has_width);
                number.is_some_and(|number| {
                    (*least..=*most).contains(&number) && (number - least) % interval == 0
                })
            }
            Self::Date(range) => range.admits(value),
            Self::Injected => true,
        }
    }
}

/// Whether the table's partitions come from its properties.
fn is_projected(table: &HiveTable) -> bool {
    table.properties.iter().any(|(key, value)| {
        key.eq_ignore_ascii_case("projection.enabled") && value.eq_ignore_ascii_case("true")
    })
}

impl Partitioning {
    /// Reads the table's definition and the partitions that were added to it or dropped from it.
    ///
    /// `prefix` is what keys of the table's LOCATION begin with; `to_prefix` says so of any other location.
    pub(crate) fn try_new(
        table: &HiveTable,
        prefix: &str,
        partitions: &[UserPartition],
        to_prefix: impl Fn(&str) -> Option<String>,
        now: DateTime<Utc>,
    ) -> Result<Self, String> {
        let columns = table
            .partition_columns
            .iter()
            .map(|column| column.name.clone())
            .collect::<Vec<_>>();
        let projection = match is_projected(table) && !columns.is_empty() {
            true => Some(projection(table, &columns, prefix, &to_prefix, now)?),
            false => None,
        };
        let mut this = Self {
            columns,
            prefix: prefix.into(),
            projection,
            added: vec![],
            dropped: vec![],
        };
        for partition in partitions {
            let terms = terms_of(&partition.spec);
            let Some(location) = &partition.location else {
                this.dropped.push(terms);
                continue;
            };
            let values = this.columns.iter().map(|column| {
                let mut terms = terms.iter().filter(|term| term.column == *column);
                terms.next().map(|term| term.value.clone())
            });
            let values = values.collect();
            // A place that no source mirrors has no keys.
            if let Some(prefix) = to_prefix(location) {
                this.added.push((prefix, values));
            }
        }
        this.added
            .sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(this)
    }

    /// The values for a key; `None` when it is not part of the table.
    ///
    /// `known` are values that are known of the key otherwise: used last.
    pub(crate) fn values(&self, key: &str, known: &[(&str, &str)]) -> Option<Values> {
        let key = key.trim_start_matches('/');
        let values = self.found(key, known)?;
        let is_dropped = self.dropped.iter().any(|terms| {
            terms.iter().all(|term| {
                let index = self
                    .columns
                    .iter()
                    .position(|column| *column == term.column);
                let value = index.and_then(|index| values[index].as_deref());
                value.is_some_and(|value| fulfils(value, term))
            })
        });
        (!is_dropped).then_some(values)
    }

    fn found(&self, key: &str, known: &[(&str, &str)]) -> Option<Values> {
        if let Some(projection) = &self.projection {
            return projection.values(key, &self.columns);
        }
        let added = self
            .added
            .iter()
            .find(|(prefix, _)| below(key, prefix).is_some());
        if let Some((_, values)) = added {
            return Some(values.clone());
        }
        let below = below(key, &self.prefix)?;
        if self.columns.is_empty() {
            return Some(vec![]);
        }
        let in_folders = below
            .split('/')
            .filter_map(|folder| folder.split_once('='))
            .collect::<Vec<_>>();
        let delivered = Delivered::of(key);
        let has_day_column = self.columns.iter().any(|column| column == "month");
        let value = |column: &String| {
            let in_folder = in_folders
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(column));
            if let Some((_, value)) = in_folder {
                return Some(percent_decode_str(value).decode_utf8_lossy().into_owned());
            }
            let found = known.iter().find(|(name, _)| name == column);
            if let Some((_, value)) = found {
                return Some((*value).to_owned());
            }
            let value = delivered.as_ref()?.value(column, has_day_column)?;
            Some(self.as_added(column, value))
        };
        Some(self.columns.iter().map(value).collect())
    }

    /// A day in the form that added partitions have, where they show one.
    fn as_added(&self, column: &str, value: String) -> String {
        let is_day = value.len() == 10 && value.matches('/').count() == 2;
        let index = self.columns.iter().position(|known| known == column);
        let example = index.and_then(|index| {
            self.added
                .iter()
                .find_map(|(_, values)| values[index].as_deref())
        });
        match example {
            Some(example) if is_day && example.len() == 10 && example.matches('-').count() == 2 => {
                value.replace('/', "-")
            }
            Some(example)
                if is_day
                    && example.len() == 8
                    && example.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                value.replace('/', "")
            }
            _ => value,
        }
    }
}

/// A folder `<ACCOUNT>` or `[ACCOUNT]`, as published definitions have it: any.
pub(super) fn is_placeholder(folder: &str) -> bool {
    let inner = |open, close| folder.strip_prefix(open)?.strip_suffix(close);
    [inner('<', '>'), inner('[', ']')]
        .into_iter()
        .flatten()
        .any(|inner: &str| !inner.is_empty())
}

/// What of a key follows a prefix, folder by folder.
fn below<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    let folders = prefix.trim_start_matches('/').split_inclusive('/');
    folders.into_iter().try_fold(key, |rest, folder| {
        match is_placeholder(folder.trim_end_matches('/')) {
            true => rest.split_once('/').map(|(_, rest)| rest),
            false => rest.strip_prefix(folder),
        }
    })
}

/// A part of a template without columns.
fn regex_of(text: &str) -> String {
    let folders = text.split('/').map(|folder| match is_placeholder(folder) {
        true => "[^/]+".to_owned(),
        false => regex::escape(folder),
    });
    folders.collect::<Vec<_>>().join("/")
}

fn projection(
    table: &HiveTable,
    columns: &[String],
    prefix: &str,
    to_prefix: &impl Fn(&str) -> Option<String>,
    now: DateTime<Utc>,
) -> Result<Projection, String> {
    let projected = columns
        .iter()
        .map(|column| {
            Ok((
                column.clone(),
                Projected::parse(&table.properties, column, now)?,
            ))
        })
        .collect::<Result<BTreeMap<_, _>, String>>()?;
    let given = table
        .properties
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("storage.location.template"));
    let template = match given {
        Some((_, template)) => to_prefix(template)
            .ok_or_else(|| format!("no configured source mirrors the template `{template}`"))?,
        None => {
            let folders = columns
                .iter()
                .map(|column| format!("{column}=${{{column}}}/"));
            prefix.to_owned() + &folders.collect::<String>()
        }
    };
    let mut groups = Vec::new();
    let mut pattern = String::from("^");
    let mut rest = template.trim_start_matches('/');
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            return Err(format!("`${{` does not end in the template `{template}`"));
        };
        let name = name.trim().to_lowercase();
        let Some(column) = projected.get(&name) else {
            return Err(format!(
                "the template names `${{{name}}}`, which is no partition column"
            ));
        };
        pattern.push_str(&regex_of(before));
        match groups.iter().position(|known| *known == name) {
            // regex has no back references: the same value twice is checked by the first.
            Some(_) => pattern.push_str(&column.regex()),
            None => {
                pattern.push_str(&format!("({})", column.regex()));
                groups.push(name);
            }
        }
        rest = after;
    }
    pattern.push_str(&regex_of(rest));
    if let Some(missing) = columns.iter().find(|column| !groups.contains(column)) {
        return Err(format!(
            "the template lacks the partition column `${{{missing}}}`"
        ));
    }
    let template =
        Regex::new(&pattern).map_err(|_| format!("the template `{template}` cannot be read"))?;
    Ok(Projection {
        template,
        groups,
        columns: projected,
    })
}

impl Projection {
    fn values(&self, key: &str, columns: &[String]) -> Option<Values> {
        let captures = self.template.captures(key)?;
        let mut found = BTreeMap::new();
        for (index, name) in self.groups.iter().enumerate() {
            let value = captures.get(index + 1)?.as_str();
            if !self.columns.get(name)?.admits(value) {
                return None;
            }
            found.insert(name.as_str(), value.to_owned());
        }
        Some(
            columns
                .iter()
                .map(|column| found.remove(column.as_str()))
                .collect(),
        )
    }
}

/// What the folders of a CloudTrail delivery mean.
struct Delivered {
    account: String,
    region: String,
    year: String,
    month: String,
    day: String,
}

impl Delivered {
    /// Reads the key of an object, or that of its folder.
    fn of(key: &str) -> Option<Self> {
        let (prefix, day) = match TrailKey::parse(key) {
            Some(key) => (key.prefix, key.day),
            None => {
                let folder = key.strip_suffix('/')?;
                let day =
                    kennel_cache::DeliveryDay::parse(folder.get(folder.len().checked_sub(10)?..)?)?;
                (TrailPrefix::parse(&folder[..folder.len() - 10])?, day)
            }
        };
        Some(Self {
            account: prefix.account_id.to_string(),
            region: prefix.region,
            year: day.year().into(),
            month: day.month().into(),
            day: day.day().into(),
        })
    }

    /// The value of a column whose name says what it is.
    fn value(&self, column: &str, has_parts: bool) -> Option<String> {
        let plain = column
            .trim_start_matches("p_")
            .trim_end_matches("_partition");
        Some(match plain {
            "account" | "account_id" | "accountid" | "aws_account_id" | "awsaccountid"
            | "account_number" => self.account.clone(),
            "region" | "aws_region" | "region_name" => self.region.clone(),
            "year" | "yyyy" => self.year.clone(),
            "month" | "mm" => self.month.clone(),
            "day" | "dd" if has_parts => self.day.clone(),
            "timestamp" | "date" | "dt" | "day" | "event_date" | "eventdate" | "ingest_date"
            | "log_date" | "partition_date" | "datehour" => {
                format!("{}/{}/{}", self.year, self.month, self.day)
            }
            _ => return None,
        })
    }
}

/// Whether a value fulfils a term: numbers as numbers, all else as text.
fn fulfils(value: &str, term: &PartitionTerm) -> bool {
    let ordering = match (value.parse::<i64>(), term.value.parse::<i64>()) {
        (Ok(value), Ok(other)) => value.cmp(&other),
        _ => value.cmp(term.value.as_str()),
    };
    match term.operator {
        "=" => ordering.is_eq(),
        "<>" => ordering.is_ne(),
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        _ => ordering.is_ge(),
    }
}

/// A partition's values as one text: `a=1/b=2`, values percent-encoded where they must be.
pub(crate) fn spec_of(terms: &[PartitionTerm]) -> String {
    let term = |term: &PartitionTerm| {
        let value =
            percent_encoding::utf8_percent_encode(&term.value, percent_encoding::NON_ALPHANUMERIC);
        format!("{}{}{value}", term.column, term.operator)
    };
    terms.iter().map(term).collect::<Vec<_>>().join("/")
}

/// Reads [`spec_of`] back.
pub(crate) fn terms_of(spec: &str) -> Vec<PartitionTerm> {
    const OPERATORS: [&str; 6] = ["<>", "<=", ">=", "=", "<", ">"];
    let term = |text: &str| {
        let at = text.find(['<', '>', '='])?;
        let operator = OPERATORS
            .into_iter()
            .find(|operator| text[at..].starts_with(operator))?;
        let value = percent_decode_str(&text[at + operator.len()..]).decode_utf8_lossy();
        Some(PartitionTerm {
            column: text[..at].to_owned(),
            operator,
            value: value.into_owned(),
        })
    };
    spec.split('/').filter_map(term).collect()
}

#[cfg(test)]
mod tests;
