//! Findings in the Open Cybersecurity Schema Framework: each row of an audit is a **Detection Finding** (class 2004) of
//! schema 1.5.0 with the profile `cloud`, one JSON object a line.
//!
//! Why that class: an IAM Analysis Finding (2008) must have the policies or the usage that were analysed, which k9's reports
//! do not hold; a Compliance Finding (2003) must name a control of a standard, and these questions are of none.
//!
//! Source: schema.ocsf.io, version 1.5.0: `base_event`, `finding`, `detection_finding`; objects `metadata`, `product`,
//! `finding_info`, `analytic`, `resource_details`, `cloud`, `account`.

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use datafusion::arrow::{
    array::Array,
    datatypes::{DataType, SchemaRef},
    record_batch::RecordBatch,
};
use kennel_engine::{CannedQuery, Severity};
use serde::Serialize;

use super::{folder::sha256, keys::Mark, staging::BundleFile};
use crate::output::{distinct_names, value};

/// The file's name in a bundle.
pub(crate) const NAME: &str = "findings.ocsf.jsonl";
/// The version of the schema.
pub(crate) const VERSION: &str = "1.5.0";

const CATEGORY: (u32, &str) = (2, "Findings");
const CLASS: (u32, &str) = (2004, "Detection Finding");
/// `analytic.type_id`: a query is a rule.
const RULE: (u32, &str) = (1, "Rule");
/// `account.type_id`.
const AWS_ACCOUNT: (u32, &str) = (10, "AWS Account");

/// What becomes of a finding with this export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A row of this state.
    Open(Mark),
    /// An accepted one.
    Suppressed,
    /// A row of the earlier state that is gone.
    Resolved,
}

impl Standing {
    /// `activity_id` and its caption.
    fn activity(self) -> (u32, &'static str) {
        match self {
            Self::Open(Mark::New) => (1, "Create"),
            Self::Open(_) | Self::Suppressed => (2, "Update"),
            Self::Resolved => (3, "Close"),
        }
    }

    /// `status_id` and its caption. Nobody told kennel of a review: what is not accepted is yet to be reviewed.
    fn status(self) -> (u32, &'static str) {
        match self {
            Self::Open(_) => (1, "New"),
            Self::Suppressed => (3, "Suppressed"),
            Self::Resolved => (4, "Resolved"),
        }
    }
}

/// `severity_id` and its caption.
fn severity(severity: Severity) -> (u32, &'static str) {
    match severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

#[derive(Serialize)]
struct Finding<'a> {
    activity_id: u32,
    activity_name: &'a str,
    category_uid: u32,
    category_name: &'a str,
    class_uid: u32,
    class_name: &'a str,
    type_uid: u32,
    type_name: String,
    /// Milliseconds since 1970.
    time: i64,
    severity_id: u32,
    severity: &'a str,
    status_id: u32,
    status: &'a str,
    is_alert: bool,
    message: String,
    metadata: Metadata<'a>,
    finding_info: FindingInfo<'a>,
    cloud: Cloud<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<Resource>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    version: &'a str,
    profiles: [&'a str; 1],
    product: Product<'a>,
}

#[derive(Serialize)]
struct Product<'a> {
    name: &'a str,
    vendor_name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct FindingInfo<'a> {
    uid: String,
    title: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    desc: &'a str,
    analytic: Analytic<'a>,
}

#[derive(Serialize)]
struct Analytic<'a> {
    uid: &'a str,
    name: &'a str,
    type_id: u32,
    r#type: &'a str,
    version: String,
}

#[derive(Serialize)]
struct Cloud<'a> {
    provider: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Account<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
}

#[derive(Serialize)]
struct Account<'a> {
    uid: String,
    type_id: u32,
    r#type: &'a str,
}

#[derive(Serialize)]
struct Resource {
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
}

/// Where the columns are that the schema has a place for.
struct Places {
    names: Vec<String>,
    account: Option<usize>,
    region: Option<usize>,
    /// Identifier, name and type of whom or what a row is about.
    subjects: Vec<[Option<usize>; 3]>,
}

impl Places {
    fn of(schema: &SchemaRef) -> Self {
        let names = distinct_names(schema);
        let index = |wanted: &str| {
            let found = names.iter().position(|name| name == wanted)?;
            let is_text = matches!(
                schema.field(found).data_type(),
                DataType::Utf8
                    | DataType::LargeUtf8
                    | DataType::Utf8View
                    | DataType::Dictionary(..)
            );
            is_text.then_some(found)
        };
        let first = |wanted: &[&str]| wanted.iter().find_map(|name| index(name));
        let subjects = [
            [
                first(&["principal_arn"]),
                first(&["principal_name", "principal", "user_name"]),
                first(&["principal_type"]),
            ],
            [
                first(&["resource_arn", "role_arn", "admin_role_arn"]),
                first(&["resource_name"]),
                first(&["resource_type", "service_name"]),
            ],
        ];
        let subjects = subjects
            .into_iter()
            .filter(|[uid, name, _]| uid.or(*name).is_some());
        Self {
            account: first(&["account_id"]),
            region: first(&["region", "awsregion"]),
            subjects: subjects.collect(),
            names,
        }
    }
}

/// Writes the findings of an export.
pub(crate) struct Findings {
    at: DateTime<Utc>,
    /// Of the rows before; accepted rows have other columns than the rest.
    places: Option<(SchemaRef, Places)>,
}

impl Findings {
    /// Of a state of this time.
    pub(crate) fn new(at: DateTime<Utc>) -> Self {
        Self { at, places: None }
    }

    /// A row; `key` is its key as JSON.
    pub(crate) fn row(
        &mut self,
        query: &CannedQuery,
        batch: &RecordBatch,
        row: usize,
        key: &str,
        standing: Standing,
        out: &mut BundleFile,
    ) -> io::Result<()> {
        let schema = batch.schema();
        if self
            .places
            .as_ref()
            .is_none_or(|(known, _)| *known != schema)
        {
            let places = Places::of(&schema);
            self.places = Some((schema, places));
        }
        let Some((_, places)) = &self.places else {
            return Ok(());
        };
        let text = |index: usize| text_at(batch.column(index), row);
        let subjects = places.subjects.iter().map(|[uid, name, kind]| Resource {
            uid: uid.and_then(text),
            name: name.and_then(text),
            r#type: kind.and_then(text),
        });
        let resources = subjects
            .filter(|subject| subject.uid.is_some() || subject.name.is_some())
            .collect::<Vec<_>>();
        let account = places.account.and_then(text);
        let region = places.region.and_then(text);
        let finding = self.finding(query, key, standing, resources, account, region);
        let mut line = serde_json::to_string(&finding).map_err(io::Error::other)?;
        // All columns, exactly, where the schema puts what it has no place for.
        line.pop();
        line.push_str(",\"unmapped\":{");
        for (index, (name, column)) in places.names.iter().zip(batch.columns()).enumerate() {
            if index > 0 {
                line.push(',');
            }
            value::push_json_string(name, &mut line);
            line.push(':');
            value::write_json(column, row, &mut line);
        }
        line.push_str("}}\n");
        out.write_all(line.as_bytes())
    }

    /// A finding that is gone: of it the key is known.
    pub(crate) fn gone(
        &mut self,
        query: &CannedQuery,
        columns: &[String],
        key: &str,
        out: &mut BundleFile,
    ) -> io::Result<()> {
        let values = serde_json::from_str::<Vec<serde_json::Value>>(key).unwrap_or_default();
        let text = |wanted: &str| {
            let index = columns.iter().position(|column| column == wanted)?;
            values.get(index)?.as_str().map(str::to_owned)
        };
        let subjects = [
            (text("principal_arn"), text("principal_name")),
            (text("resource_arn"), text("resource_name")),
        ];
        let resources = subjects.into_iter().filter_map(|(uid, name)| {
            let is_any = uid.is_some() || name.is_some();
            is_any.then_some(Resource {
                uid,
                name,
                r#type: None,
            })
        });
        let finding = self.finding(
            query,
            key,
            Standing::Resolved,
            resources.collect(),
            text("account_id"),
            text("region"),
        );
        let mut line = serde_json::to_string(&finding).map_err(io::Error::other)?;
        line.push('\n');
        out.write_all(line.as_bytes())
    }

    fn finding<'a>(
        &self,
        query: &'a CannedQuery,
        key: &str,
        standing: Standing,
        resources: Vec<Resource>,
        account: Option<String>,
        region: Option<String>,
    ) -> Finding<'a> {
        let (activity_id, activity_name) = standing.activity();
        let (status_id, status) = standing.status();
        let (severity_id, severity) = severity(query.severity.unwrap_or(Severity::Info));
        let about = resources
            .first()
            .and_then(|subject| subject.uid.as_ref().or(subject.name.as_ref()));
        Finding {
            activity_id,
            activity_name,
            category_uid: CATEGORY.0,
            category_name: CATEGORY.1,
            class_uid: CLASS.0,
            class_name: CLASS.1,
            type_uid: CLASS.0 * 100 + activity_id,
            type_name: format!("{}: {activity_name}", CLASS.1),
            time: self.at.timestamp_millis(),
            severity_id,
            severity,
            status_id,
            status,
            is_alert: standing == Standing::Open(Mark::New),
            message: match about {
                Some(about) => format!("{}: {about}", query.title),
                None => query.title.clone(),
            },
            metadata: Metadata {
                version: VERSION,
                profiles: ["cloud"],
                product: Product {
                    name: "kennel",
                    vendor_name: "kennel",
                    version: env!("CARGO_PKG_VERSION"),
                },
            },
            finding_info: FindingInfo {
                uid: sha256(format!("{}\n{key}", query.id)),
                title: &query.title,
                desc: query.documentation.trim(),
                analytic: Analytic {
                    uid: &query.id,
                    name: &query.title,
                    type_id: RULE.0,
                    r#type: RULE.1,
                    version: sha256(&query.text),
                },
            },
            cloud: Cloud {
                provider: "AWS",
                account: account.map(|uid| Account {
                    uid,
                    type_id: AWS_ACCOUNT.0,
                    r#type: AWS_ACCOUNT.1,
                }),
                region,
            },
            resources,
        }
    }
}

fn text_at(column: &dyn Array, row: usize) -> Option<String> {
    let mut text = String::new();
    value::write_text(column, row, &mut text)
        .then_some(text)
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
    use serde_json::Value;

    use super::*;
    use crate::export::folder::OutFolder;

    /// What schema 1.5.0 requires of a Detection Finding with the profile `cloud`: object and attribute.
    const REQUIRED: [(&str, &str); 15] = [
        ("", "activity_id"),
        ("", "category_uid"),
        ("", "class_uid"),
        ("", "cloud"),
        ("", "finding_info"),
        ("", "metadata"),
        ("", "severity_id"),
        ("", "time"),
        ("", "type_uid"),
        ("/cloud", "provider"),
        ("/finding_info", "uid"),
        ("/finding_info", "title"),
        ("/finding_info/analytic", "type_id"),
        ("/metadata", "product"),
        ("/metadata/product", "vendor_name"),
    ];
    /// Attribute, sibling, and values with captions.
    type Enum = (&'static str, &'static str, &'static [(u64, &'static str)]);

    /// Its enums: attribute, sibling, and the values with their captions that kennel may use.
    const ENUMS: [Enum; 4] = [
        (
            "activity_id",
            "activity_name",
            &[(1, "Create"), (2, "Update"), (3, "Close")],
        ),
        (
            "severity_id",
            "severity",
            &[
                (1, "Informational"),
                (2, "Low"),
                (3, "Medium"),
                (4, "High"),
                (5, "Critical"),
            ],
        ),
        (
            "status_id",
            "status",
            &[(1, "New"), (3, "Suppressed"), (4, "Resolved")],
        ),
        ("class_uid", "class_name", &[(2004, "Detection Finding")]),
    ];
    /// Attributes of the class, of its base and of the profile: others would not be valid.
    const KNOWN: [&str; 20] = [
        "activity_id",
        "activity_name",
        "category_uid",
        "category_name",
        "class_uid",
        "class_name",
        "type_uid",
        "type_name",
        "time",
        "severity_id",
        "severity",
        "status_id",
        "status",
        "is_alert",
        "message",
        "metadata",
        "finding_info",
        "cloud",
        "resources",
        "unmapped",
    ];

    fn assert_valid(finding: &Value) {
        for (object, attribute) in REQUIRED {
            let path = format!("{object}/{attribute}");
            assert!(
                finding.pointer(&path).is_some_and(|value| !value.is_null()),
                "{path}: {finding}"
            );
        }
        for (attribute, sibling, values) in ENUMS {
            let found = (
                finding[attribute].as_u64().unwrap(),
                finding[sibling].as_str().unwrap(),
            );
            assert!(values.contains(&found), "{attribute}: {found:?}");
        }
        let members = finding.as_object().unwrap();
        let stranger = members.keys().find(|name| !KNOWN.contains(&name.as_str()));
        assert_eq!(stranger, None);
        let type_uid =
            finding["class_uid"].as_u64().unwrap() * 100 + finding["activity_id"].as_u64().unwrap();
        assert_eq!(finding["type_uid"], type_uid);
        assert_eq!(finding["category_uid"], 2);
        assert_eq!(finding["metadata"]["version"], "1.5.0");
        assert_eq!(
            finding["metadata"]["profiles"],
            serde_json::json!(["cloud"])
        );
        for resource in finding["resources"].as_array().into_iter().flatten() {
            assert!(resource.get("uid").or(resource.get("name")).is_some());
        }
    }

    fn query(severity: &str) -> CannedQuery {
        let text = format!(
            "-- +++\n-- title = \"Admins\"\n-- key = [\"account_id\", \"principal_arn\"]\n-- audit = {{ severity = \"{severity}\" }}\n-- +++\n-- Counts.\nSELECT 1"
        );
        CannedQuery::parse("k9/x", &text).unwrap()
    }

    #[test]
    fn findings_are_valid_whatever_becomes_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let out = OutFolder::open(folder.path()).unwrap();
        let staging = out.stage().unwrap();
        let mut file = staging.create(NAME).unwrap();
        let columns: [(&str, ArrayRef); 4] = [
            (
                "account_id",
                Arc::new(StringArray::from(vec!["012345678901"])),
            ),
            (
                "principal_arn",
                Arc::new(StringArray::from(vec![
                    "arn:aws:iam::012345678901:role/a\"b\n",
                ])),
            ),
            (
                "principal_type",
                Arc::new(StringArray::from(vec![None::<&str>])),
            ),
            ("rows", Arc::new(Int64Array::from(vec![i64::MAX]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut findings = Findings::new("2026-03-02T04:10:00Z".parse().unwrap());
        let severities = ["info", "low", "medium", "high", "critical"].map(query);
        for (query, standing) in severities.iter().zip([
            Standing::Open(Mark::New),
            Standing::Open(Mark::Same),
            Standing::Open(Mark::Changed),
            Standing::Suppressed,
            Standing::Open(Mark::New),
        ]) {
            findings
                .row(query, &batch, 0, "[\"k\"]", standing, &mut file)
                .unwrap();
        }
        let key = ["account_id".to_owned(), "principal_arn".to_owned()];
        findings
            .gone(
                &severities[3],
                &key,
                r#"["012345678901","arn:x"]"#,
                &mut file,
            )
            .unwrap();
        findings
            .gone(&severities[3], &[], "broken", &mut file)
            .unwrap();
        file.flush().unwrap();
        let names = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let place = names
            .map(|path| path.join(NAME))
            .find(|path| path.exists())
            .unwrap();
        let text = std::fs::read_to_string(place).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines = lines.collect::<Vec<_>>();
        assert_eq!(lines.len(), 7);
        lines.iter().for_each(assert_valid);
        assert_eq!(lines[0]["is_alert"], true);
        assert_eq!(lines[1]["is_alert"], false);
        assert_eq!(lines[0]["unmapped"]["rows"], i64::MAX);
        assert_eq!(lines[0]["cloud"]["account"]["uid"], "012345678901");
        assert_eq!(lines[0]["time"], 1_772_424_600_000_i64);
        assert_eq!(lines[5]["status"], "Resolved");
        assert_eq!(lines[5]["resources"][0]["uid"], "arn:x");
        // The same row of the same question is the same finding, whatever the night.
        assert_eq!(
            lines[0]["finding_info"]["uid"],
            lines[3]["finding_info"]["uid"]
        );
        assert_ne!(
            lines[0]["finding_info"]["uid"],
            lines[5]["finding_info"]["uid"]
        );
    }
}
