//! Tables that users declared with Hive DDL: each reads the mirror of its LOCATION.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, Field, Schema},
    catalog::TableProvider,
    common::ScalarValue,
    error::{DataFusionError, Result as DataFusionResult},
};
use kennel_athena::statement::{HiveTable, Statement, split};
use kennel_cache::{Report, ReportType, SourceName, View};

use super::{
    Shared, external,
    file_table::{FileTable, TableFile, named},
};

/// Where a LOCATION lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    /// The source that mirrors it.
    pub(crate) source: SourceName,
    /// Keys below it begin with this; empty for a whole bucket.
    pub(crate) prefix: String,
    /// Set when the location names no bucket (`<BUCKET>`, `${bucket}`) and the only k9 source was taken.
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
    if bucket.contains(['<', '>', '$', '{', '}']) {
        let mut sources = shared
            .sources
            .iter()
            .filter(|source| source.kind == kennel_cache::SourceKind::K9);
        return match (sources.next(), sources.next()) {
            (Some(source), None) => Some(Located {
                source: source.name.clone(),
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

/// The user's table of this name, if there is one.
pub(super) fn open(
    shared: &Arc<Shared>,
    schema: &str,
    name: &str,
    view: View,
) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
    let Some(cache) = shared.cache() else {
        return Ok(None);
    };
    let tables = cache.user_tables().map_err(external)?;
    let Some(table) = tables
        .into_iter()
        .find(|table| table.schema == schema && table.name == name)
    else {
        return Ok(None);
    };
    let declared = parse(&table.definition)?;
    let located =
        locate(shared, declared.location.as_deref().unwrap_or_default()).ok_or_else(|| {
            DataFusionError::Plan(format!(
                "no configured source mirrors {} of table {schema}.{name}",
                declared.location.as_deref().unwrap_or("the location")
            ))
        })?;
    let mut files = Vec::new();
    let mut report_types = Vec::new();
    for report_type in ReportType::ALL {
        let mut reports = cache.reports(report_type, view).map_err(external)?;
        reports.retain(|report| {
            report.source == located.source
                && report
                    .key
                    .trim_start_matches('/')
                    .starts_with(located.prefix.trim_start_matches('/'))
                && shared.admits(&report.customer_id, &report.account_id)
        });
        if !reports.is_empty() || folder_of(&located.prefix) == Some(report_type) {
            report_types.push(report_type);
        }
        files.extend(
            reports
                .into_iter()
                .map(|report| table_file(&declared, report)),
        );
    }
    let mut known = cache.accounts(view).map_err(external)?;
    known.retain(|(customer_id, _, account_id)| shared.admits(customer_id, account_id));
    let fields = declared
        .columns
        .iter()
        .map(|column| Field::new(&column.name, column.data_type.clone(), true))
        .collect::<Vec<_>>();
    let partitions = declared
        .partition_columns
        .iter()
        .map(|column| Arc::new(Field::new(&column.name, DataType::Utf8, true)))
        .collect();
    let report_type = match report_types.as_slice() {
        [report_type] => Some(*report_type),
        _ => None,
    };
    Ok(Some(Arc::new(FileTable::new(
        named(format!("{schema}.{name}"), view, shared.view),
        report_type,
        matches!(view, View::All),
        view,
        known,
        Arc::new(Schema::new(fields)),
        partitions,
        files,
    ))))
}

/// Reads a kept definition back.
fn parse(definition: &str) -> DataFusionResult<HiveTable> {
    let damaged = |what: String| {
        DataFusionError::Plan(format!("a kept table definition cannot be read: {what}"))
    };
    let pieces = split(definition).map_err(|e| damaged(e.to_string()))?;
    match pieces.first().map(Statement::parse) {
        Some(Ok(Statement::CreateExternalTable(table))) => Ok(table),
        Some(Err(error)) => Err(damaged(error.to_string())),
        _ => Err(damaged(definition.chars().take(80).collect())),
    }
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

/// Partition values are those of the key's `name=value` folders, whatever the table calls itself.
fn table_file(declared: &HiveTable, report: Report) -> TableFile {
    let values = [
        ("customer_id", report.customer_id.as_str()),
        ("csp", report.csp.as_str()),
        ("account_id", report.account_id.as_str()),
    ]
    .into_iter()
    .collect::<BTreeMap<_, _>>();
    let partition_values = declared
        .partition_columns
        .iter()
        .map(|column| {
            ScalarValue::Utf8(
                values
                    .get(column.name.as_str())
                    .map(|value| (*value).to_owned()),
            )
        })
        .collect();
    TableFile {
        report,
        partition_values,
    }
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
