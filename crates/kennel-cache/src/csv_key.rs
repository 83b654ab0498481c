//! What an object's key says about a k9 report in csv: the dated copies, and the hive layout before Parquet.
//!
//! Source: k9's command line program (`customers/<id>/reports/aws/<account>/<yyyy>/<mm>/<name>.<yyyy-mm-dd-HHMM>.csv`)
//! and the older copy of the k9 docs, "AWS Athena Integration"
//! (`hive/customer_id=…/csp=…/account_id=…/file_type=csv_pas/<name>.latest.csv`).

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::{AccountId, CustomerId, ReportKey, ReportType, report_key::decode};

/// Type, partition and time of a report in csv.
///
/// The copies under `customers/…/latest/` are none: each is the newest dated one again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CsvReportKey {
    /// Which report of which account.
    pub report: ReportKey,
    /// The minute in a dated copy's name, UTC; the hive layout has none.
    pub stamped_at: Option<DateTime<Utc>>,
}

impl CsvReportKey {
    /// Reads a key; `None` when it is not that of a csv report. What stands before the layout does not matter.
    pub fn parse(key: &str) -> Option<Self> {
        let segments = key.split('/').collect::<Vec<_>>();
        let (name, folders) = segments.split_last()?;
        let stem = name.strip_suffix(".csv").filter(|stem| !stem.is_empty())?;
        dated(folders, stem).or_else(|| hive(folders))
    }
}

fn dated(folders: &[&str], stem: &str) -> Option<CsvReportKey> {
    let [
        ..,
        "customers",
        customer_id,
        "reports",
        csp,
        account_id,
        year,
        month,
    ] = folders
    else {
        return None;
    };
    let is_number =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = [customer_id, csp, account_id]
        .iter()
        .all(|part| !part.is_empty());
    if !is_whole || !is_number(year, 4) || !is_number(month, 2) {
        return None;
    }
    let (report_name, stamp) = stem.rsplit_once('.')?;
    let stamped_at = NaiveDateTime::parse_from_str(stamp, "%Y-%m-%d-%H%M").ok()?;
    Some(CsvReportKey {
        report: ReportKey {
            report_type: type_of_name(report_name)?,
            customer_id: CustomerId::new(*customer_id),
            csp: (*csp).to_owned(),
            account_id: AccountId::new(*account_id),
        },
        stamped_at: Some(stamped_at.and_utc()),
    })
}

fn hive(folders: &[&str]) -> Option<CsvReportKey> {
    let [.., "hive", first, second, third, fourth] = folders else {
        return None;
    };
    let partitions = [first, second, third, fourth];
    let value = |name: &str| {
        let mut values = partitions
            .iter()
            .filter_map(|part| part.split_once('='))
            .filter(|part| part.0 == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) if !value.is_empty() => Some(decode(value)),
            _ => None,
        }
    };
    let folder = value("file_type")?;
    Some(CsvReportKey {
        report: ReportKey {
            report_type: folder.strip_prefix("csv_")?.parse().ok()?,
            customer_id: CustomerId::new(value("customer_id")?),
            csp: value("csp")?,
            account_id: AccountId::new(value("account_id")?),
        },
        stamped_at: None,
    })
}

/// The report whose dated copies have this name. Identity Center has never been delivered so.
fn type_of_name(name: &str) -> Option<ReportType> {
    match name {
        "principals" => Some(ReportType::Principals),
        "principal-access-summaries" => Some(ReportType::PrincipalAccessSummaries),
        "resources" => Some(ReportType::Resources),
        "resource-access-summaries" => Some(ReportType::ResourceAccessSummaries),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dated_copy_says_whose_it_is_and_when_it_was_made() {
        let key = "a/b/customers/C123456/reports/aws/012345678901/2026/03/principal-access-summaries.2026-03-02-0714.csv";
        let parsed = CsvReportKey::parse(key).unwrap();
        assert_eq!(
            parsed.report.report_type,
            ReportType::PrincipalAccessSummaries
        );
        assert_eq!(parsed.report.account_id.as_str(), "012345678901");
        assert_eq!(parsed.report.csp, "aws");
        let stamp = parsed.stamped_at.unwrap().to_rfc3339();
        assert_eq!(stamp, "2026-03-02T07:14:00+00:00");
    }

    #[test]
    fn the_older_hive_layout_has_the_type_among_its_partitions() {
        let key = "hive/customer_id=C1/csp=aws/account_id=012345678901/file_type=csv_ras/resource-access-summaries.latest.csv";
        let parsed = CsvReportKey::parse(key).unwrap();
        assert_eq!(
            parsed.report.report_type,
            ReportType::ResourceAccessSummaries
        );
        assert_eq!(parsed.stamped_at, None);
    }

    #[test]
    fn strangers_are_not_reports() {
        for key in [
            "",
            "principals.2026-03-02-0714.csv",
            "customers/C1/reports/aws/1/latest/principals.latest.csv",
            "customers/C1/reports/aws/1/2026/03/resource-access-audit.2026-03-02-0714.xlsx",
            "customers/C1/reports/aws/1/2026/03/resource-access-audit.2026-03-02-0714.csv",
            "customers/C1/reports/aws/1/2026/03/principals.2026-13-02-0714.csv",
            "customers/C1/reports/aws/1/2026/03/principals.csv",
            "customers/C1/reports/aws/1/2026/x/principals.2026-03-02-0714.csv",
            "customers//reports/aws/1/2026/03/principals.2026-03-02-0714.csv",
            "hive/customer_id=C/csp=aws/account_id=1/file_type=pas/x.csv",
            "hive/customer_id=C/csp=aws/account_id=1/file_type=csv_pas/.csv",
            "hive/customer_id=C/csp=aws/account_id=/file_type=csv_pas/x.csv",
            "hive/parquet/pas/customer_id=C/csp=aws/account_id=1/x.csv",
        ] {
            assert_eq!(CsvReportKey::parse(key), None, "{key}");
        }
    }
}
