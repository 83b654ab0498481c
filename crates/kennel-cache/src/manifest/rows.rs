//! Rows of the manifest as values, and instants as microseconds.

use chrono::{DateTime, Utc};
use rusqlite::{Row, types::Type};

use super::{
    Failure, FailureStage, KnownObject, ObjectVersion, Report, SnapshotInfo, SyncRun, UserTable,
};
use crate::{AccountId, CustomerId, FetchedObject, SnapshotId, SourceName};

/// An instant as the manifest keeps it.
pub(crate) fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

/// An instant from the manifest's microseconds.
pub(crate) fn instant(row: &Row<'_>, index: usize) -> rusqlite::Result<DateTime<Utc>> {
    let value: i64 = row.get(index)?;
    DateTime::from_timestamp_micros(value)
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(index, value))
}

pub(crate) fn optional_instant(
    row: &Row<'_>,
    index: usize,
) -> rusqlite::Result<Option<DateTime<Utc>>> {
    match row.get::<_, Option<i64>>(index)? {
        Some(_) => instant(row, index).map(Some),
        None => Ok(None),
    }
}

/// Text of the manifest in a type of ours; a failure names the column.
pub(crate) fn parsed<T: std::str::FromStr>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    let text: String = row.get(index)?;
    text.parse().map_err(|_| {
        rusqlite::Error::FromSqlConversionFailure(
            index,
            Type::Text,
            format!("unexpected `{text}`").into(),
        )
    })
}

pub(super) fn known_object(row: &Row<'_>) -> rusqlite::Result<KnownObject> {
    Ok(KnownObject {
        key: row.get(0)?,
        size_bytes: row.get(1)?,
        etag: row.get(2)?,
        modified_at: instant(row, 3)?,
        version_id: row.get(4)?,
        missing_since: optional_instant(row, 5)?,
    })
}

pub(super) fn object_version(row: &Row<'_>) -> rusqlite::Result<ObjectVersion> {
    Ok(ObjectVersion {
        source: parsed::<SourceName>(row, 0)?,
        key: row.get(1)?,
        etag: row.get(2)?,
        size_bytes: row.get(3)?,
        modified_at: instant(row, 4)?,
        sha256: parsed(row, 5)?,
        verified_by: row.get(6)?,
        fetched_at: instant(row, 7)?,
        valid_from: instant(row, 8)?,
        valid_to: optional_instant(row, 9)?,
        missing_since: optional_instant(row, 10)?,
    })
}

/// Columns of `pending` for [`select_fetched`].
pub(crate) const FETCHED_COLUMNS: &str = "key, etag, version_id, size_bytes, modified_at, storage_class, sha256, verified_by, metadata, fetched_at";

/// A row with [`FETCHED_COLUMNS`].
pub(crate) fn select_fetched(row: &Row<'_>) -> rusqlite::Result<FetchedObject> {
    let metadata: String = row.get(8)?;
    Ok(FetchedObject {
        key: row.get(0)?,
        etag: row.get(1)?,
        version_id: row.get(2)?,
        size_bytes: row.get(3)?,
        modified_at: instant(row, 4)?,
        storage_class: row.get(5)?,
        sha256: parsed(row, 6)?,
        verified_by: row.get(7)?,
        metadata: serde_json::from_str(&metadata)
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(8, Type::Text, e.into()))?,
        fetched_at: instant(row, 9)?,
    })
}

/// Columns for [`report`]; `report r JOIN object o JOIN source s`.
pub(super) const REPORT_COLUMNS: &str = "s.name, o.key, r.report_type, r.customer_id, r.csp, r.account_id, r.analysis_time_min, r.analysis_time_max, r.row_count, r.table_path, r.table_size_bytes, r.columns, r.statistics, r.problem, r.valid_from, r.valid_to, o.missing_since";

pub(super) fn report(row: &Row<'_>) -> rusqlite::Result<Report> {
    let folder: String = row.get(2)?;
    Ok(Report {
        source: parsed(row, 0)?,
        key: row.get(1)?,
        report_type: folder.parse().map_err(|()| {
            rusqlite::Error::FromSqlConversionFailure(
                2,
                Type::Text,
                format!("unknown report type `{folder}`").into(),
            )
        })?,
        customer_id: CustomerId::new(row.get::<_, String>(3)?),
        csp: row.get(4)?,
        account_id: AccountId::new(row.get::<_, String>(5)?),
        analysis_time: optional_instant(row, 6)?.zip(optional_instant(row, 7)?),
        row_count: row.get(8)?,
        table_path: row.get(9)?,
        table_size_bytes: row.get(10)?,
        columns: row.get(11)?,
        statistics: row.get(12)?,
        problem: row.get(13)?,
        valid_from: instant(row, 14)?,
        valid_to: optional_instant(row, 15)?,
        missing_since: optional_instant(row, 16)?,
    })
}

pub(super) fn snapshot(row: &Row<'_>) -> rusqlite::Result<SnapshotInfo> {
    Ok(SnapshotInfo {
        id: SnapshotId(row.get(0)?),
        source: parsed(row, 1)?,
        taken_at: instant(row, 2)?,
        added_count: row.get(3)?,
        changed_count: row.get(4)?,
        missing_count: row.get(5)?,
        object_count: row.get(6)?,
        size_bytes: row.get(7)?,
        complete: row.get(8)?,
    })
}

pub(super) fn sync_run(row: &Row<'_>) -> rusqlite::Result<SyncRun> {
    Ok(SyncRun {
        started_at: instant(row, 0)?,
        ended_at: instant(row, 1)?,
        fetched_count: row.get(2)?,
        fetched_bytes: row.get(3)?,
        unchanged_count: row.get(4)?,
        failed_count: row.get(5)?,
        error: row.get(6)?,
    })
}

pub(super) fn failure(row: &Row<'_>) -> rusqlite::Result<Failure> {
    let stage: String = row.get(2)?;
    Ok(Failure {
        source: parsed(row, 0)?,
        key: row.get(1)?,
        stage: FailureStage::parse(&stage).ok_or_else(|| {
            rusqlite::Error::FromSqlConversionFailure(
                2,
                Type::Text,
                format!("unknown stage `{stage}`").into(),
            )
        })?,
        message: row.get(3)?,
        failed_at: instant(row, 4)?,
        first_at: instant(row, 5)?,
    })
}

pub(super) fn user_table(row: &Row<'_>) -> rusqlite::Result<UserTable> {
    Ok(UserTable {
        schema: row.get(0)?,
        name: row.get(1)?,
        definition: row.get(2)?,
        created_at: instant(row, 3)?,
    })
}
