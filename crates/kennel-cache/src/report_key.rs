//! What an object's key says about a k9 report.
//!
//! Source: k9 docs, "AWS Athena Integration":
//! `hive/parquet/<file_type>/customer_id=…/csp=…/account_id=…/<name>.latest.parquet`. The name is
//! not relied upon: any `.parquet` below the partition counts.

use std::{fmt, str::FromStr};

pub(crate) use percent_encoding_lite::decode;

use crate::{AccountId, CustomerId};

/// The kinds of report that k9 delivers as Parquet.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ReportType {
    /// One row a user or role (`principals`).
    Principals,
    /// One row a principal × service × capability × resource (`pas`).
    PrincipalAccessSummaries,
    /// One row a resource (`resources`).
    Resources,
    /// One row a resource × capability × principal (`ras`).
    ResourceAccessSummaries,
    /// Identity Center (`ic`): its columns are not published.
    IdentityCenter,
}

impl ReportType {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::Principals,
        Self::PrincipalAccessSummaries,
        Self::Resources,
        Self::ResourceAccessSummaries,
        Self::IdentityCenter,
    ];

    /// The folder name in the inbox: `pas`.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Principals => "principals",
            Self::PrincipalAccessSummaries => "pas",
            Self::Resources => "resources",
            Self::ResourceAccessSummaries => "ras",
            Self::IdentityCenter => "ic",
        }
    }

    /// The table name without `_latest`: `principal_access_summaries`.
    pub fn table(self) -> &'static str {
        match self {
            Self::Principals => "principals",
            Self::PrincipalAccessSummaries => "principal_access_summaries",
            Self::Resources => "resources",
            Self::ResourceAccessSummaries => "resource_access_summaries",
            Self::IdentityCenter => "identity_center",
        }
    }

    /// Whether every analysed account has one. Identity Center belongs to an organisation instead.
    pub fn is_per_account(self) -> bool {
        self != Self::IdentityCenter
    }

    /// The type whose table has this name.
    pub fn from_table(table: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|report| report.table() == table)
    }
}

impl fmt::Display for ReportType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.folder())
    }
}

impl FromStr for ReportType {
    type Err = ();

    fn from_str(folder: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|report| report.folder() == folder)
            .ok_or(())
    }
}

/// Type and partition of a k9 report, as its key tells them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReportKey {
    /// Which report.
    pub report_type: ReportType,
    /// Partition `customer_id`.
    pub customer_id: CustomerId,
    /// Partition `csp`, for example `aws`.
    pub csp: String,
    /// Partition `account_id`: text.
    pub account_id: AccountId,
}

impl ReportKey {
    /// Reads a key; `None` when it is not a Parquet report's.
    ///
    /// Whatever stands before `hive/parquet/` (a prefix, a leading slash) does not matter. The three
    /// partitions may stand in any order, each exactly once and not empty; other folders between
    /// them are not k9's and make the key a stranger.
    pub fn parse(key: &str) -> Option<Self> {
        let mut segments = key.split('/').collect::<Vec<_>>();
        let name = segments.pop()?;
        if name.len() <= ".parquet".len() || !name.ends_with(".parquet") {
            return None;
        }
        let partitions = segments.split_off(segments.len().checked_sub(3)?);
        let [.., "hive", "parquet", report_type] = segments.as_slice() else {
            return None;
        };
        let value = |name: &str| {
            let mut values = partitions
                .iter()
                .filter_map(|s| s.split_once('='))
                .filter(|p| p.0 == name);
            match (values.next(), values.next()) {
                (Some((_, value)), None) if !value.is_empty() => Some(decode(value)),
                _ => None,
            }
        };
        Some(Self {
            report_type: report_type.parse().ok()?,
            customer_id: CustomerId::new(value("customer_id")?),
            csp: value("csp")?,
            account_id: AccountId::new(value("account_id")?),
        })
    }
}

/// Hive escapes odd characters of partition values as `%XX`.
mod percent_encoding_lite {
    /// Undoes `%XX`; what is not such an escape, or would not be UTF-8, stays as it is.
    pub(crate) fn decode(text: &str) -> String {
        let bytes = text.as_bytes();
        let mut decoded = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let [first, tail @ ..] = rest {
            let escape = match (first, tail) {
                (b'%', [high, low, after @ ..]) => hex::decode([*high, *low])
                    .ok()
                    .and_then(|byte| byte.first().copied())
                    .map(|byte| (byte, after)),
                _ => None,
            };
            let (byte, after) = escape.unwrap_or((*first, tail));
            decoded.push(byte);
            rest = after;
        }
        String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = "hive/parquet/pas/customer_id=C123456/csp=aws/account_id=012345678901/principal-access-summaries.latest.parquet";

    #[test]
    fn the_guides_key_is_read_with_prefix_and_leading_slash_and_keeps_its_zero() {
        for prefix in ["", "/", "some/prefix/", "//"] {
            let key = ReportKey::parse(&format!("{prefix}{GUIDE}")).unwrap();
            assert_eq!(key.report_type, ReportType::PrincipalAccessSummaries);
            assert_eq!(key.customer_id.as_str(), "C123456");
            assert_eq!(key.csp, "aws");
            assert_eq!(key.account_id.as_str(), "012345678901");
        }
    }

    #[test]
    fn strangers_are_not_reports() {
        for key in [
            "",
            "hive/parquet/pas/x.parquet",
            "hive/parquet/pas/customer_id=C/csp=aws/account_id=/x.parquet",
            "hive/parquet/pas/customer_id=C/csp=aws/csp=aws/x.parquet",
            "hive/parquet/new-type/customer_id=C/csp=aws/account_id=1/x.parquet",
            "hive/parquet/pas/customer_id=C/csp=aws/account_id=1/.parquet",
            "hive/parquet/pas/customer_id=C/csp=aws/account_id=1/x.csv",
            "hive/parquet/pas/customer_id=C/csp=aws/account_id=1/x.parquet/",
            "hive/customer_id=C/csp=aws/account_id=1/file_type=csv_pas/x.csv",
            "hive/parquet/pas/year=1/customer_id=C/csp=aws/account_id=1/x.parquet",
        ] {
            assert_eq!(ReportKey::parse(key), None, "{key}");
        }
    }

    #[test]
    fn hive_escapes_are_undone() {
        let key = ReportKey::parse(
            "hive/parquet/ras/customer_id=C%201/csp=a%zz/account_id=%FF/x.parquet",
        )
        .unwrap();
        assert_eq!(key.customer_id.as_str(), "C 1");
        assert_eq!(key.csp, "a%zz");
        assert_eq!(key.account_id.as_str(), "%FF");
    }
}
