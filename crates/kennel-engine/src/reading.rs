//! How far a running query has read, and what a scan of the source objects would have read.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    datasource::{physical_plan::FileScanConfig, source::DataSourceExec},
    logical_expr::LogicalPlan,
    physical_plan::ExecutionPlan,
};

use crate::{Engine, EngineError, catalog::Shared, completeness};

/// The table files that a query reads; can be asked while its rows stream.
#[derive(Clone)]
pub struct Reading {
    physical: Arc<dyn ExecutionPlan>,
    /// What was carried out before.
    before: Vec<Arc<dyn ExecutionPlan>>,
    logical: Arc<LogicalPlan>,
}

/// What a query has read so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadSoFar {
    /// Bytes read from table files.
    pub bytes: u64,
    /// Rows that were looked at.
    pub rows: u64,
    /// Rows of all files that are to be read: as many as will be looked at, at most.
    pub rows_at_most: u64,
    /// Files that are done.
    pub files: u64,
    /// Files that are to be read.
    pub files_at_most: u64,
}

impl ReadSoFar {
    /// How much is done, from 0 to 1: by rows or by files, whichever is further.
    pub fn fraction(&self) -> f64 {
        let part = |done: u64, all: u64| match all {
            0 => 0.0,
            all => (done as f64 / all as f64).min(1.0),
        };
        part(self.rows, self.rows_at_most).max(part(self.files, self.files_at_most))
    }
}

impl Reading {
    pub(crate) fn new(physical: Arc<dyn ExecutionPlan>, logical: LogicalPlan) -> Self {
        Self {
            physical,
            before: vec![],
            logical: Arc::new(logical),
        }
    }

    /// The same, and what was read before it began.
    pub(crate) fn after(self, before: Vec<Arc<dyn ExecutionPlan>>) -> Self {
        Self { before, ..self }
    }

    /// The optimised plan.
    pub(crate) fn logical(&self) -> &LogicalPlan {
        &self.logical
    }

    /// Adds up what the scans of the query say of themselves.
    pub fn so_far(&self) -> ReadSoFar {
        let mut read = ReadSoFar::default();
        for plan in self.before.iter().chain([&self.physical]) {
            add(plan, &mut read);
        }
        read
    }
}

fn add(plan: &Arc<dyn ExecutionPlan>, read: &mut ReadSoFar) {
    for child in plan.children() {
        add(child, read);
    }
    let Some(scan) = plan.downcast_ref::<DataSourceExec>() else {
        return;
    };
    let Some(config) = scan.data_source().downcast_ref::<FileScanConfig>() else {
        return;
    };
    let files = config.file_groups.iter().map(|group| group.len() as u64);
    read.files_at_most += files.sum::<u64>();
    let rows = config.statistics().num_rows;
    read.rows_at_most += rows.get_value().copied().unwrap_or_default() as u64;
    let metrics = scan.metrics().unwrap_or_default();
    let count = |name| {
        let value = metrics.sum_by_name(name);
        value.map_or(0, |value| value.as_usize() as u64)
    };
    read.bytes += count("bytes_scanned");
    read.files += count("files_processed");
    // Rows that a filter in the scan dropped were looked at, too.
    let filtered = count("pushdown_rows_pruned") + count("pushdown_rows_matched");
    read.rows += filtered.max(metrics.output_rows().unwrap_or_default() as u64);
}

/// Bytes of the objects behind the tables of a query, as they lie in S3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceBytes {
    /// How many.
    pub bytes: u64,
    /// Whether they are estimated: CloudTrail's, from the number of objects of the days asked for.
    pub is_estimate: bool,
}

impl Engine {
    /// Bytes of the source objects that a scan of the same tables, accounts and days would read.
    ///
    /// Each scan of a table counts, as it would in Athena. Reports count whole, although columns of theirs that
    /// are not read would not.
    ///
    /// # Errors
    /// [`EngineError::Cache`].
    pub fn source_bytes(&self, reading: &Reading) -> Result<SourceBytes, EngineError> {
        source_bytes(&reading.logical, &self.shared)
            .map_err(|e| EngineError::from_datafusion(e, "", &[]))
    }
}

fn source_bytes(plan: &LogicalPlan, shared: &Shared) -> datafusion::error::Result<SourceBytes> {
    let scans = completeness::scans(plan)?;
    let mut total = SourceBytes::default();
    let Some(cache) = shared.cache() else {
        return Ok(total);
    };
    if !scans.reports.is_empty() {
        let mut wanted: HashMap<_, u64> = HashMap::new();
        for report in &scans.reports {
            let version = (
                report.source.as_str(),
                report.key.as_str(),
                report.valid_from,
            );
            *wanted.entry(version).or_default() += 1;
        }
        for object in cache.object_versions().map_err(crate::catalog::external)? {
            let version = (
                object.source.as_str(),
                object.key.as_str(),
                object.valid_from,
            );
            let count = wanted.get(&version).copied().unwrap_or_default();
            total.bytes += count * object.size_bytes;
        }
    }
    for scan in &scans.trails {
        total.bytes += scan.source_bytes(&cache)?;
        total.is_estimate = true;
    }
    Ok(total)
}
