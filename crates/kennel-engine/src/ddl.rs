//! The way back: Athena's statements for the configured buckets, and canned queries as Athena runs them.

mod queries;

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::datatypes::DataType;
use kennel_athena::statement::{Column, HiveTable, RowFormat, StoredAs, TableName};
use kennel_cache::{ReportType, SourceKind, TrailFolder, View};

use crate::{
    ConfiguredSource, Engine, EngineError,
    catalog::latest_name,
    k9::{PARTITION_COLUMNS, known_columns},
    trail::schema::{RECORD, event_schema},
};

/// `cloudtrail.events` as a query over `cloudtrail_logs`.
const EVENTS: &str = include_str!("../../../sql/views/events.sql");
/// The table that it reads.
const LOGS: &str = "cloudtrail.cloudtrail_logs";
/// How the query of that table begins: there is one for each table of a trail.
const LOGS_BEGIN: &str = "    SELECT\n      account,";

/// The first day of which CloudTrail can have delivered anything.
const FIRST_DAY: &str = "2013/11/13";

/// Regions to project while no object tells them.
///
/// Source: AWS general reference, "AWS CloudTrail endpoints".
const REGIONS: &str = "us-east-1,us-east-2,us-west-1,us-west-2,af-south-1,ap-east-1,ap-east-2,ap-northeast-1,ap-northeast-2,ap-northeast-3,ap-south-1,ap-south-2,ap-southeast-1,ap-southeast-2,ap-southeast-3,ap-southeast-4,ap-southeast-5,ap-southeast-7,ca-central-1,ca-west-1,eu-central-1,eu-central-2,eu-north-1,eu-south-1,eu-south-2,eu-west-1,eu-west-2,eu-west-3,il-central-1,me-central-1,me-south-1,mx-central-1,sa-east-1,us-gov-east-1,us-gov-west-1";

const PARQUET: [&str; 3] = [
    "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
];
const CLOUDTRAIL: [&str; 3] = [
    "org.apache.hive.hcatalog.data.JsonSerDe",
    "com.amazon.emr.cloudtrail.CloudTrailInputFormat",
    "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
];

/// What `kennel ddl` prints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DdlOptions {
    /// The database of all tables; `k9` and `cloudtrail` without one.
    pub database: Option<String>,
}

impl DdlOptions {
    fn database<'a>(&'a self, usual: &'a str) -> &'a str {
        self.database.as_deref().unwrap_or(usual)
    }
}

/// A statement for Athena, and what to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AthenaStatement {
    /// The statement, without a semicolon.
    pub sql: String,
    /// What to know, one line each.
    pub notes: Vec<String>,
}

impl AthenaStatement {
    fn plain(sql: String) -> Self {
        Self { sql, notes: vec![] }
    }
}

impl Engine {
    /// The statements that make the configured buckets' tables in Athena: databases, a table for each report type and
    /// each trail, and the views that canned queries read.
    ///
    /// Account and region lists come from the cache. Without any, reports are found by `MSCK REPAIR TABLE`.
    ///
    /// # Errors
    /// [`EngineError::Cache`].
    pub fn athena_ddl(&self, options: &DdlOptions) -> Result<Vec<AthenaStatement>, EngineError> {
        let tables = self.athena_tables(options)?;
        let databases = tables.iter().filter_map(|table| table.name.schema());
        let mut statements = databases
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|name| {
                AthenaStatement::plain(format!("CREATE DATABASE IF NOT EXISTS {}", quoted(name)))
            })
            .collect::<Vec<_>>();
        for table in &tables {
            let mut notes = Vec::new();
            let location = table.location.as_deref().unwrap_or_default();
            if !location.starts_with("s3://") {
                notes.push(format!(
                    "{location} is no place on S3: Athena cannot read it"
                ));
            }
            let is_projected = table.properties.contains_key("projection.enabled");
            statements.push(AthenaStatement {
                sql: table.to_ddl(),
                notes,
            });
            if !is_projected {
                statements.push(AthenaStatement {
                    sql: format!("MSCK REPAIR TABLE {}", quoted_table(&table.name)),
                    notes: vec!["once for each new account: `kennel sync` and print this anew, and no repair is needed".into()],
                });
            }
        }
        let database = options.database("cloudtrail");
        let is_trail =
            |table: &&HiveTable| table.properties.contains_key("projection.timestamp.type");
        let logs = tables.iter().filter(is_trail).map(|table| &table.name);
        let logs = logs.collect::<Vec<_>>();
        if !logs.is_empty() {
            let view = TableName::new(Some(database), "events");
            let sql = format!("CREATE OR REPLACE VIEW {view} AS\n{}", events_over(&logs));
            statements.push(AthenaStatement::plain(sql));
        }
        Ok(statements)
    }

    /// The tables of [`Engine::athena_ddl`].
    pub(crate) fn athena_tables(
        &self,
        options: &DdlOptions,
    ) -> Result<Vec<HiveTable>, EngineError> {
        let mut tables = Vec::new();
        let mut names = BTreeSet::new();
        for source in &self.shared.sources {
            let made = match source.kind {
                SourceKind::K9 => self.report_tables(source, options)?,
                SourceKind::CloudTrail => self.trail_tables(source, options)?,
            };
            for mut table in made {
                // The first of several sources has the plain names.
                if !names.insert(table.name.clone()) {
                    let suffix = source
                        .name
                        .as_str()
                        .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                    let name = format!("{}_{suffix}", table.name.table());
                    table.name = TableName::new(table.name.schema(), &name);
                    let mut number = 2;
                    while !names.insert(table.name.clone()) {
                        table.name =
                            TableName::new(table.name.schema(), &format!("{name}_{number}"));
                        number += 1;
                    }
                }
                tables.push(table);
            }
        }
        Ok(tables)
    }

    fn report_tables(
        &self,
        source: &ConfiguredSource,
        options: &DdlOptions,
    ) -> Result<Vec<HiveTable>, EngineError> {
        let known = match self.shared.cache() {
            Some(cache) => cache.accounts(View::Latest)?,
            None => vec![],
        };
        let values: [BTreeSet<String>; 3] = [
            known
                .iter()
                .map(|(customer, _, _)| customer.to_string())
                .collect(),
            known.iter().map(|(_, csp, _)| csp.clone()).collect(),
            known
                .iter()
                .map(|(_, _, account)| account.to_string())
                .collect(),
        ];
        let root = source.url.trim_end_matches('/');
        let table = |report_type: ReportType| {
            let location = format!("{root}/hive/parquet/{}", report_type.folder());
            let mut properties =
                BTreeMap::from([("parquet.compression".to_owned(), "SNAPPY".to_owned())]);
            if !known.is_empty() {
                let folders = PARTITION_COLUMNS
                    .map(|name| format!("{name}=${{{name}}}"))
                    .join("/");
                properties.insert("projection.enabled".into(), "true".into());
                properties.insert(
                    "storage.location.template".into(),
                    format!("{location}/{folders}"),
                );
                for (name, values) in PARTITION_COLUMNS.iter().zip(&values) {
                    properties.insert(format!("projection.{name}.type"), "enum".into());
                    properties.insert(format!("projection.{name}.values"), joined(values));
                }
            }
            HiveTable {
                name: TableName::new(Some(options.database("k9")), &latest_name(report_type)),
                if_not_exists: true,
                columns: known_columns(report_type)
                    .iter()
                    .map(|(name, kind)| column(name, kind.data_type()))
                    .collect(),
                partition_columns: PARTITION_COLUMNS
                    .map(|name| column(name, DataType::Utf8))
                    .to_vec(),
                location: Some(location),
                properties,
                ..empty(PARQUET)
            }
        };
        Ok(ReportType::ALL.into_iter().map(table).collect())
    }

    fn trail_tables(
        &self,
        source: &ConfiguredSource,
        options: &DdlOptions,
    ) -> Result<Vec<HiveTable>, EngineError> {
        let known = match self.shared.cache() {
            // A source that was never mirrored is not in the manifest.
            Some(cache) => cache.trail_places(&source.name).unwrap_or_default(),
            None => vec![],
        };
        let known = known
            .iter()
            .filter(|place| place.prefix.folder == TrailFolder::CloudTrail);
        let bucket = self.shared.root_of(&source.name);
        let mut heads: BTreeMap<String, Trail> = BTreeMap::new();
        for place in known {
            let prefix = &place.prefix;
            let tail = format!("{}/{}/{}/", prefix.account_id, prefix.folder, prefix.region);
            let Some(head) = prefix.prefix.strip_suffix(&tail) else {
                continue;
            };
            let trail = heads.entry(format!("{bucket}{head}")).or_default();
            trail.accounts.insert(prefix.account_id.to_string());
            trail.regions.insert(prefix.region.clone());
            let day = place.day.to_string();
            if trail.first_day.as_ref().is_none_or(|first| day < *first) {
                trail.first_day = Some(day);
            }
        }
        if heads.is_empty() {
            let root = source.url.trim_end_matches('/');
            let head = if root.ends_with("AWSLogs") {
                format!("{root}/")
            } else {
                format!("{root}/AWSLogs/")
            };
            heads.insert(head, Trail::default());
        }
        let table = |(head, trail): (String, Trail)| trail_table(head, &trail, options);
        Ok(heads.into_iter().map(table).collect())
    }
}

/// The table of the objects below a head, `…/AWSLogs/` or that of an organisation.
fn trail_table(head: String, trail: &Trail, options: &DdlOptions) -> HiveTable {
    let account = match trail.accounts.is_empty() {
        true => vec![("type", "injected".to_owned())],
        false => vec![("type", "enum".into()), ("values", joined(&trail.accounts))],
    };
    let regions = match trail.regions.is_empty() {
        true => REGIONS.to_owned(),
        false => joined(&trail.regions),
    };
    let first_day = trail.first_day.as_deref().unwrap_or(FIRST_DAY);
    let projected = [
        ("account", account),
        ("region", vec![("type", "enum".into()), ("values", regions)]),
        (
            "timestamp",
            vec![
                ("type", "date".into()),
                ("format", "yyyy/MM/dd".into()),
                ("range", format!("{first_day},NOW")),
                ("interval", "1".into()),
                ("interval.unit", "DAYS".into()),
            ],
        ),
    ];
    let mut properties = BTreeMap::from([
        ("projection.enabled".to_owned(), "true".to_owned()),
        (
            "storage.location.template".to_owned(),
            format!("{head}${{account}}/CloudTrail/${{region}}/${{timestamp}}"),
        ),
    ]);
    for (name, values) in &projected {
        for (key, value) in values {
            properties.insert(format!("projection.{name}.{key}"), value.clone());
        }
    }
    HiveTable {
        name: TableName::new(Some(options.database("cloudtrail")), "cloudtrail_logs"),
        if_not_exists: true,
        columns: log_columns(),
        partition_columns: projected
            .iter()
            .map(|(name, _)| column(name, DataType::Utf8))
            .collect(),
        location: Some(head),
        properties,
        ..empty(CLOUDTRAIL)
    }
}

/// What objects tell of a trail.
#[derive(Default)]
struct Trail {
    accounts: BTreeSet<String>,
    regions: BTreeSet<String>,
    first_day: Option<String>,
}

fn joined(values: &BTreeSet<String>) -> String {
    values
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(",")
}

fn column(name: &str, data_type: DataType) -> Column {
    Column {
        name: name.to_owned(),
        data_type,
        comment: None,
    }
}

/// The columns of records, in Athena's order and types.
fn log_columns() -> Vec<Column> {
    let schema = event_schema();
    let fields = schema.fields().iter().take(RECORD.len());
    fields
        .map(|field| column(field.name(), field.data_type().clone()))
        .collect()
}

fn empty([serde, input, output]: [&str; 3]) -> HiveTable {
    HiveTable {
        name: TableName::new(None, ""),
        if_not_exists: true,
        columns: vec![],
        partition_columns: vec![],
        comment: None,
        clustering: None,
        row_format: Some(RowFormat::Serde {
            class: serde.into(),
            properties: BTreeMap::new(),
        }),
        stored_as: Some(StoredAs::Classes {
            input: input.into(),
            output: output.into(),
        }),
        location: None,
        properties: BTreeMap::new(),
    }
}

fn quoted(name: &str) -> String {
    kennel_athena::statement::quoted_name(name)
}

fn quoted_table(name: &TableName) -> String {
    name.parts().map(quoted).collect::<Vec<_>>().join(".")
}

/// The query of events over these tables.
fn events_over(logs: &[&TableName]) -> String {
    let text = without_comments(EVENTS);
    let parts = text
        .split_once(LOGS_BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(LOGS)?)));
    let Some((before, (columns, after))) = parts else {
        return text;
    };
    let of = |name: &&TableName| format!("{LOGS_BEGIN}{columns}{name}");
    let all = logs.iter().map(of).collect::<Vec<_>>();
    format!("{before}{}{after}", all.join("\n    UNION ALL\n"))
}

/// A query without the comment lines above it.
fn without_comments(text: &str) -> String {
    let lines = text.lines().skip_while(|line| line.starts_with("--"));
    lines.collect::<Vec<_>>().join("\n")
}
