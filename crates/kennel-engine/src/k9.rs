//! The columns of k9's reports, as far as they are published, and how our table files keep them.
//!
//! Source: k9 docs, "AWS Athena Integration" (the DDL of `principal_access_summaries_latest`), and the
//! csv headers that k9's own programs read. Files decide what there is; this list decides the types
//! and the order of what is known, and what a report cannot be without.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use kennel_cache::ReportType;

/// How a known column is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// `Utf8`; blank is null.
    Text,
    /// `Timestamp(µs)` without a zone, as Athena's `timestamp`; it is UTC.
    Timestamp,
    /// `Boolean`.
    Boolean,
    /// `Map<Utf8, Utf8>`.
    Tags,
}

impl ColumnKind {
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Boolean => DataType::Boolean,
            Self::Tags => tags_type(),
        }
    }
}

/// `map<string,string>`.
pub(crate) fn tags_type() -> DataType {
    let entries = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]);
    DataType::Map(
        Arc::new(Field::new("entries", DataType::Struct(entries), false)),
        false,
    )
}

use ColumnKind::{Boolean, Tags, Text, Timestamp};

const PRINCIPALS: &[(&str, ColumnKind)] = &[
    ("analysis_time", Timestamp),
    ("principal_name", Text),
    ("principal_arn", Text),
    ("principal_type", Text),
    ("principal_is_iam_admin", Boolean),
    ("principal_last_used", Timestamp),
    ("principal_tag_business_unit", Text),
    ("principal_tag_environment", Text),
    ("principal_tag_used_by", Text),
    ("principal_tags", Tags),
    ("password_last_used", Timestamp),
    ("password_last_rotated", Timestamp),
    ("password_state", Text),
    ("access_key_1_last_used", Timestamp),
    ("access_key_1_last_rotated", Timestamp),
    ("access_key_1_state", Text),
    ("access_key_2_last_used", Timestamp),
    ("access_key_2_last_rotated", Timestamp),
    ("access_key_2_state", Text),
];

const PRINCIPAL_ACCESS_SUMMARIES: &[(&str, ColumnKind)] = &[
    ("analysis_time", Timestamp),
    ("principal_name", Text),
    ("principal_arn", Text),
    ("principal_type", Text),
    ("principal_tags", Tags),
    ("service_name", Text),
    ("access_capability", Text),
    ("resource_arn", Text),
    ("resource_tag_confidentiality", Text),
];

const RESOURCES: &[(&str, ColumnKind)] = &[
    ("analysis_time", Timestamp),
    ("resource_name", Text),
    ("resource_arn", Text),
    ("resource_type", Text),
    ("resource_tag_business_unit", Text),
    ("resource_tag_environment", Text),
    ("resource_tag_owner", Text),
    ("resource_tag_confidentiality", Text),
    ("resource_tag_integrity", Text),
    ("resource_tag_availability", Text),
    ("resource_tags", Tags),
];

const RESOURCE_ACCESS_SUMMARIES: &[(&str, ColumnKind)] = &[
    ("analysis_time", Timestamp),
    ("service_name", Text),
    ("resource_name", Text),
    ("resource_arn", Text),
    ("access_capability", Text),
    ("principal_type", Text),
    ("principal_name", Text),
    ("principal_arn", Text),
    ("resource_tag_confidentiality", Text),
];

const IDENTITY_CENTER: &[(&str, ColumnKind)] = &[("analysis_time", Timestamp)];

/// The known columns of a report, in k9's order.
pub(crate) fn known_columns(report_type: ReportType) -> &'static [(&'static str, ColumnKind)] {
    match report_type {
        ReportType::Principals => PRINCIPALS,
        ReportType::PrincipalAccessSummaries => PRINCIPAL_ACCESS_SUMMARIES,
        ReportType::Resources => RESOURCES,
        ReportType::ResourceAccessSummaries => RESOURCE_ACCESS_SUMMARIES,
        ReportType::IdentityCenter => IDENTITY_CENTER,
    }
}

/// Columns without which a file is not that report: answers over it would say "nobody" in silence.
pub(crate) fn required_columns(report_type: ReportType) -> &'static [&'static str] {
    match report_type {
        ReportType::Principals => &["analysis_time", "principal_arn"],
        ReportType::PrincipalAccessSummaries => &[
            "analysis_time",
            "principal_arn",
            "service_name",
            "access_capability",
            "resource_arn",
        ],
        ReportType::Resources => &["analysis_time", "resource_arn"],
        ReportType::ResourceAccessSummaries => &[
            "analysis_time",
            "service_name",
            "resource_arn",
            "access_capability",
            "principal_arn",
        ],
        ReportType::IdentityCenter => &[],
    }
}

/// Order of the rows in a table file: what questions filter on comes first, so that page statistics exclude most pages.
pub(crate) fn sort_columns(report_type: ReportType) -> &'static [&'static str] {
    match report_type {
        ReportType::Principals => &["principal_arn"],
        ReportType::PrincipalAccessSummaries => &[
            "service_name",
            "access_capability",
            "principal_arn",
            "resource_arn",
        ],
        ReportType::Resources => &["resource_type", "resource_arn"],
        ReportType::ResourceAccessSummaries => &[
            "service_name",
            "access_capability",
            "resource_arn",
            "principal_arn",
        ],
        ReportType::IdentityCenter => &[],
    }
}

/// The partition columns, all text: account `012345678901` keeps its zero.
pub(crate) const PARTITION_COLUMNS: [&str; 3] = ["customer_id", "csp", "account_id"];
