//! k9's reports as tables: `principals_latest`, and `principals` with all versions kept.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use datafusion::{
    arrow::{
        compute::can_cast_types,
        datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit},
    },
    catalog::TableProvider,
    common::ScalarValue,
    error::Result as DataFusionResult,
};
use kennel_cache::{Cache, Report, ReportType, View};

use super::{
    Hidden, Origins, Shared, columns_from_text, external,
    file_table::{FileTable, Partition, TableFile, instant_value, named},
};
use crate::k9::{PARTITION_COLUMNS, known_columns};

/// `principals_latest`.
pub(crate) fn latest_name(report_type: ReportType) -> String {
    format!("{}_latest", report_type.table())
}

/// The table of this name, if it is a report's.
pub(super) fn open(
    shared: &Arc<Shared>,
    name: &str,
    view: View,
    hidden: Hidden,
) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
    let (base, is_history) = name
        .strip_suffix("_latest")
        .map_or((name, true), |base| (base, false));
    let Some(report_type) = ReportType::from_table(base) else {
        return Ok(None);
    };
    let (reports, known) = match shared.cache() {
        Some(cache) => (
            load(shared, &cache, report_type, is_history, view)?,
            known_accounts(shared, &cache, is_history, view)?,
        ),
        None => (vec![], vec![]),
    };
    let file_schema = file_schema(report_type, &reports);
    let origins = Origins::of(shared, hidden)?;
    let files = reports
        .into_iter()
        .map(|report| {
            let mut file = table_file(report, is_history);
            file.partition_values.extend(origins.values(&file.report));
            file
        })
        .collect();
    let mut partition_fields = partition_fields(is_history);
    partition_fields.extend(hidden.fields());
    Ok(Some(Arc::new(FileTable::new(
        named(format!("k9.{name}"), view, shared.view),
        Some(report_type),
        is_history,
        view,
        known,
        file_schema,
        partition_fields,
        files,
    ))))
}

fn versions(is_history: bool, view: View) -> View {
    if is_history { View::All } else { view }
}

fn load(
    shared: &Shared,
    cache: &Cache,
    report_type: ReportType,
    is_history: bool,
    view: View,
) -> DataFusionResult<Vec<Report>> {
    let mut reports = cache
        .reports(report_type, versions(is_history, view))
        .map_err(external)?;
    reports.retain(|report| shared.admits(&report.customer_id, &report.account_id));
    if let (true, View::At(at)) = (is_history, view) {
        reports.retain(|report| report.valid_from <= at);
    }
    if is_history {
        Ok(reports)
    } else {
        Ok(newest_source_of_each(reports))
    }
}

fn known_accounts(
    shared: &Shared,
    cache: &Cache,
    is_history: bool,
    view: View,
) -> DataFusionResult<Vec<Partition>> {
    let mut known = cache
        .accounts(versions(is_history, view))
        .map_err(external)?;
    known.retain(|(customer_id, _, account_id)| shared.admits(customer_id, account_id));
    Ok(known)
}

/// Where two sources deliver the same account, the one analysed last answers; all its files do.
fn newest_source_of_each(reports: Vec<Report>) -> Vec<Report> {
    let mut newest = BTreeMap::new();
    for report in &reports {
        let analysed = (
            report.analysis_time.map(|(_, newest)| newest),
            report.valid_from,
            report.source.clone(),
        );
        let partition = (
            report.customer_id.clone(),
            report.csp.clone(),
            report.account_id.clone(),
        );
        let entry = newest.entry(partition).or_insert_with(|| analysed.clone());
        if analysed > *entry {
            *entry = analysed;
        }
    }
    reports
        .into_iter()
        .filter(|report| {
            let partition = (
                report.customer_id.clone(),
                report.csp.clone(),
                report.account_id.clone(),
            );
            newest
                .get(&partition)
                .is_some_and(|(_, _, source)| *source == report.source)
        })
        .collect()
}

fn table_file(report: Report, is_history: bool) -> TableFile {
    let mut partition_values = vec![
        ScalarValue::from(report.customer_id.as_str()),
        ScalarValue::from(report.csp.as_str()),
        ScalarValue::from(report.account_id.as_str()),
    ];
    if is_history {
        partition_values.extend([
            instant_value(Some(report.valid_from)),
            instant_value(report.valid_to),
        ]);
    }
    TableFile {
        report,
        partition_values,
    }
}

fn partition_fields(is_history: bool) -> Vec<FieldRef> {
    let mut fields = PARTITION_COLUMNS
        .map(|name| Arc::new(Field::new(name, DataType::Utf8, false)))
        .to_vec();
    if is_history {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, None);
        fields.push(Arc::new(Field::new("snapshot_at", instant.clone(), false)));
        fields.push(Arc::new(Field::new("superseded_at", instant, true)));
    }
    fields
}

/// The known columns, then whatever else the reports have, the newest report's first.
///
/// A column that reports give different types has the newest one's; the others are cast. Where that
/// cannot be done the column is text, if the newest can be; else reading it is an error that names it.
fn file_schema(report_type: ReportType, reports: &[Report]) -> SchemaRef {
    let mut fields = known_columns(report_type)
        .iter()
        .map(|(name, kind)| Field::new(*name, kind.data_type(), true))
        .collect::<Vec<_>>();
    let known = fields
        .iter()
        .map(|field| field.name().clone())
        .collect::<BTreeSet<_>>();
    let mut by_age = reports.iter().collect::<Vec<_>>();
    by_age.sort_by_key(|report| std::cmp::Reverse((report.valid_from, report.analysis_time)));
    let mut unknown = HashMap::<String, usize>::new();
    let mut seen = BTreeSet::new();
    for report in by_age {
        if !seen.insert(report.columns.as_str()) {
            continue; // most reports of a type have the same columns
        }
        let Some(schema) = columns_from_text(&report.columns) else {
            continue;
        };
        for field in schema
            .fields()
            .iter()
            .filter(|field| !known.contains(field.name()))
        {
            match unknown.get(field.name()) {
                None => {
                    unknown.insert(field.name().clone(), fields.len());
                    fields.push(field.as_ref().clone());
                }
                Some(index) => {
                    let newer = fields[*index].data_type().clone();
                    if !can_cast_types(field.data_type(), &newer)
                        && can_cast_types(&newer, &DataType::Utf8)
                    {
                        fields[*index] = Field::new(field.name(), DataType::Utf8, true);
                    }
                }
            }
        }
    }
    Arc::new(Schema::new(fields))
}
