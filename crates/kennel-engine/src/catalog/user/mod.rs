//! Tables that users declared with Hive DDL: each reads the mirror of its LOCATION.

mod conform;
mod dates;
mod partitions;
pub(crate) mod rows;
pub(crate) mod trail;

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{Field, Schema},
    catalog::TableProvider,
    common::ScalarValue,
    error::{DataFusionError, Result as DataFusionResult},
};
use kennel_athena::statement::{HiveTable, Statement, split};
use kennel_cache::{Report, ReportType, SourceKind, SourceName, UserTable, View};

use super::{
    Hidden, Origins, Shared, external,
    file_table::{FileTable, TableFile, named},
};

pub(crate) use partitions::{Partitioning, spec_of, terms_of};

/// Where a LOCATION lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    /// The source that mirrors it.
    pub(crate) source: SourceName,
    /// What that delivers.
    pub(crate) kind: SourceKind,
    /// Keys below it begin with this; empty for a whole bucket.
    pub(crate) prefix: String,
    /// Set when the location names no bucket (`<BUCKET>`, `${bucket}`) and the only source of its kind was taken.
    pub(crate) assumed: bool,
}

/// Finds the source that mirrors a location.
pub(crate) fn locate(shared: &Shared, location: &str) -> Option<Located> {
    let (scheme, rest) = location.split_once("://")?;
    let scheme = if matches!(scheme, "s3a" | "s3n") {
        "s3"
    } else {
        scheme
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.contains(['<', '>', '[', ']', '$', '{', '}']) {
        // Whose files lie below such a folder?
        let kind = match rest.contains("AWSLogs/") || rest.contains("/CloudTrail") {
            true => SourceKind::CloudTrail,
            false => SourceKind::K9,
        };
        let mut sources = shared.sources.iter().filter(|source| source.kind == kind);
        return match (sources.next(), sources.next()) {
            (Some(source), None) => Some(Located {
                source: source.name.clone(),
                kind,
                prefix: as_folder(prefix),
                assumed: true,
            }),
            _ => None,
        };
    }
    let wanted = as_folder(&format!("{scheme}://{rest}"));
    shared.sources.iter().find_map(|source| {
        let url = as_folder(&source.url);
        // Keys are those of the whole bucket, or relative to the folder of a `file://` source.
        let root = if scheme == "s3" {
            format!("s3://{bucket}/")
        } else {
            url.clone()
        };
        (wanted.starts_with(&url) || url.starts_with(&wanted)).then(|| Located {
            source: source.name.clone(),
            kind: source.kind,
            prefix: wanted.strip_prefix(&root).unwrap_or_default().to_owned(),
            assumed: false,
        })
    })
}

/// With exactly one `/` at the end, unless it is empty: `a/pas` must not take in `a/pas2/x`.
fn as_folder(text: &str) -> String {
    let text = text.trim_end_matches('/');
    if text.is_empty() {
        String::new()
    } else {
        format!("{text}/")
    }
}

/// What a user put into the catalog.
#[derive(Debug)]
pub(crate) enum Definition {
    /// A table over the mirror of its LOCATION.
    Mirror(HiveTable),
    /// A table of the rows of a query.
    Rows(HiveTable),
    /// A view: the text of its query.
    View(String),
}

impl Definition {
    /// Reads a kept definition back.
    pub(crate) fn parse(definition: &str) -> DataFusionResult<Self> {
        let damaged = |what: String| {
            DataFusionError::Plan(format!("a kept table definition cannot be read: {what}"))
        };
        let pieces = split(definition).map_err(|e| damaged(e.to_string()))?;
        match pieces.first().map(Statement::parse) {
            Some(Ok(Statement::CreateExternalTable(table))) => Ok(match table.location {
                Some(_) => Self::Mirror(table),
                None => Self::Rows(table),
            }),
            Some(Ok(Statement::CreateView { query, .. })) => Ok(Self::View(query.text)),
            Some(Err(error)) => Err(damaged(error.to_string())),
            _ => Err(damaged(definition.chars().take(80).collect())),
        }
    }
}

/// What a user has of this name.
pub(crate) fn find(
    shared: &Shared,
    schema: &str,
    name: &str,
) -> DataFusionResult<Option<UserTable>> {
    let Some(cache) = shared.cache() else {
        return Ok(None);
    };
    let tables = cache.user_tables().map_err(external)?;
    Ok(tables
        .into_iter()
        .find(|table| table.schema == schema && table.name == name))
}

/// The user's table of this name, if there is one that is no view.
pub(super) fn open(
    shared: &Arc<Shared>,
    schema: &str,
    name: &str,
    view: View,
    hidden: Hidden,
) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
    let Some(kept) = find(shared, schema, name)? else {
        return Ok(None);
    };
    let declared = match Definition::parse(&kept.definition)? {
        Definition::Mirror(declared) => declared,
        Definition::Rows(table) => {
            if view != shared.view {
                return Err(DataFusionError::Plan(format!(
                    "`{schema}.{name}` has no earlier states: it holds what its query gave"
                )));
            }
            let files = match shared.cache() {
                Some(cache) => cache.user_files(schema, name).map_err(external)?,
                None => vec![],
            };
            let table = rows::RowsTable::new(rows::schema_of(&table.properties)?, files);
            return Ok(Some(Arc::new(table)));
        }
        Definition::View(_) => return Ok(None),
    };
    let location = declared.location.as_deref().unwrap_or_default();
    let located = locate(shared, location).ok_or_else(|| {
        DataFusionError::Plan(format!(
            "no configured source mirrors {location} of table {schema}.{name}"
        ))
    })?;
    let partitioning = partitioning(shared, &declared, &located, schema, name)?;
    let full_name = format!("{schema}.{name}");
    if located.kind == SourceKind::CloudTrail {
        return trail::open(
            shared,
            &full_name,
            &declared,
            &located,
            &partitioning,
            view,
            hidden,
        )
        .map(Some);
    }
    open_reports(
        shared,
        full_name,
        &declared,
        &located,
        &partitioning,
        view,
        hidden,
    )
    .map(Some)
}

/// How keys give the partition values of a table.
pub(crate) fn partitioning(
    shared: &Shared,
    declared: &HiveTable,
    located: &Located,
    schema: &str,
    name: &str,
) -> DataFusionResult<Partitioning> {
    let partitions = match shared.cache() {
        Some(cache) => cache.user_partitions(schema, name).map_err(external)?,
        None => vec![],
    };
    let to_prefix = |location: &str| {
        let found = locate(shared, location)?;
        (found.source == located.source).then_some(found.prefix)
    };
    Partitioning::try_new(
        declared,
        &located.prefix,
        &partitions,
        to_prefix,
        shared.now,
    )
    .map_err(|what| DataFusionError::Plan(format!("table {schema}.{name}: {what}")))
}

fn open_reports(
    shared: &Arc<Shared>,
    name: String,
    declared: &HiveTable,
    located: &Located,
    partitioning: &Partitioning,
    view: View,
    hidden: Hidden,
) -> DataFusionResult<Arc<dyn TableProvider>> {
    let (mut found, mut known) = (vec![], vec![]);
    if let Some(cache) = shared.cache() {
        for report_type in ReportType::ALL {
            let mut reports = cache.reports(report_type, view).map_err(external)?;
            reports.retain(|report| {
                report.source == located.source
                    && shared.admits(&report.customer_id, &report.account_id)
            });
            found.push((report_type, reports));
        }
        known = cache.accounts(view).map_err(external)?;
    }
    let origins = Origins::of(shared, hidden)?;
    let mut files = Vec::new();
    let mut report_types = Vec::new();
    for (report_type, reports) in found {
        let before = files.len();
        files.extend(reports.into_iter().filter_map(|report| {
            let mut file = table_file(declared, partitioning, report)?;
            file.partition_values.extend(origins.values(&file.report));
            Some(file)
        }));
        if files.len() > before || folder_of(&located.prefix) == Some(report_type) {
            report_types.push(report_type);
        }
    }
    known.retain(|(customer_id, _, account_id)| shared.admits(customer_id, account_id));
    let fields = declared
        .columns
        .iter()
        .map(|column| Field::new(&column.name, column.data_type.clone(), true))
        .collect::<Vec<_>>();
    let mut partitions = declared
        .partition_columns
        .iter()
        .map(|column| Arc::new(Field::new(&column.name, column.data_type.clone(), true)))
        .collect::<Vec<_>>();
    partitions.extend(hidden.fields());
    let report_type = match report_types.as_slice() {
        [report_type] => Some(*report_type),
        _ => None,
    };
    Ok(Arc::new(FileTable::new(
        named(name, view, shared.view),
        report_type,
        matches!(view, View::All),
        view,
        known,
        Arc::new(Schema::new(fields)),
        partitions,
        files,
    )))
}

/// The report type whose folder a prefix ends in: `hive/parquet/pas/`.
fn folder_of(prefix: &str) -> Option<ReportType> {
    prefix
        .trim_end_matches('/')
        .rsplit('/')
        .next()?
        .parse()
        .ok()
}

/// `None` when the report's key is not part of the table.
fn table_file(
    declared: &HiveTable,
    partitioning: &Partitioning,
    report: Report,
) -> Option<TableFile> {
    let known = [
        ("customer_id", report.customer_id.as_str()),
        ("csp", report.csp.as_str()),
        ("account_id", report.account_id.as_str()),
    ];
    let values = partitioning.values(&report.key, &known)?;
    let partition_values = declared
        .partition_columns
        .iter()
        .zip(values)
        .map(|(column, value)| {
            let data_type = &column.data_type;
            let null = || ScalarValue::try_from(data_type).unwrap_or(ScalarValue::Null);
            // A value that is none of the column's type is null, as in Hive.
            value.map_or_else(null, |value| {
                ScalarValue::try_from_string(value, data_type).unwrap_or_else(|_| null())
            })
        })
        .collect();
    Some(TableFile {
        report,
        partition_values,
    })
}

#[cfg(test)]
mod tests {
    use kennel_cache::SourceKind;

    use super::*;
    use crate::{ConfiguredSource, Library};

    fn shared(urls: &[&str]) -> Shared {
        let sources = urls
            .iter()
            .enumerate()
            .map(|(index, url)| ConfiguredSource {
                name: SourceName::try_new(format!("k9-{index}")).unwrap(),
                kind: SourceKind::K9,
                url: (*url).into(),
            })
            .collect();
        Shared::new(
            None,
            View::Latest,
            vec![],
            vec![],
            sources,
            Arc::new(Library::default()),
        )
    }

    #[test]
    fn a_location_is_found_in_the_source_that_mirrors_it() {
        let shared = shared(&["s3://other", "s3://safeco-k9-reports"]);
        let located = locate(&shared, "s3://safeco-k9-reports/hive/parquet/pas").unwrap();
        assert_eq!(
            (located.source.as_str(), located.prefix.as_str()),
            ("k9-1", "hive/parquet/pas/")
        );
        assert_eq!(
            locate(&shared, "s3a://safeco-k9-reports/hive/")
                .unwrap()
                .prefix,
            "hive/"
        );
        assert_eq!(
            locate(&shared, "s3://safeco-k9-reports").unwrap().prefix,
            ""
        );
        assert_eq!(locate(&shared, "s3://safeco-k9/hive"), None);
        assert_eq!(
            locate(&shared, "s3://<SECURE_INBOX_BUCKET_NAME>/hive/parquet/pas"),
            None,
            "two sources: which?"
        );
    }

    #[test]
    fn a_location_without_a_bucket_is_the_only_source() {
        let shared = shared(&["file:///srv/inbox"]);
        let located = locate(&shared, "s3://<SECURE_INBOX_BUCKET_NAME>/hive/parquet/pas").unwrap();
        assert!(located.assumed && located.prefix == "hive/parquet/pas/");
        assert_eq!(
            locate(&shared, "file:///srv/inbox/hive/parquet/ras/")
                .unwrap()
                .prefix,
            "hive/parquet/ras/"
        );
    }
}
