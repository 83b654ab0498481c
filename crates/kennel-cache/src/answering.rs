//! When each report of a key answers: from its version on, until the next version that can be read.

use rusqlite::{Transaction, params};

use crate::{CacheError, CacheWriter, FailureStage, NewReport, manifest::micros};

impl CacheWriter {
    /// Replaces the table file of an object version, when tables are made anew.
    ///
    /// # Errors
    /// [`CacheError::Io`], [`CacheError::Manifest`].
    pub fn replace_report(&mut self, object_id: i64, report: &NewReport) -> Result<(), CacheError> {
        self.stage.sync_names()?;
        let failed = self.cache.failed("write");
        let transaction = self.transaction()?;
        let write = || {
            // A report may answer for a shorter time than its object is kept.
            let (from, to): (i64, Option<i64>) = transaction.query_row(
                "SELECT coalesce(r.valid_from, o.valid_from), CASE WHEN r.id IS NULL THEN o.valid_to ELSE r.valid_to END
                 FROM object o LEFT JOIN report r ON r.object_id = o.id WHERE o.id = ?1",
                [object_id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let was_read =
                transaction.execute("DELETE FROM report WHERE object_id = ?1", [object_id])? > 0;
            insert_report(&transaction, object_id, from, to, report)?;
            if !was_read {
                settle_key(&transaction, object_id)?;
            }
            transaction.commit()
        };
        write().map_err(failed)
    }
}

pub(crate) fn has_report(db: &Transaction<'_>, object_id: i64) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT count(*) FROM report WHERE object_id = ?1")?
        .query_row([object_id], |row| row.get::<_, i64>(0))
        .map(|count| count > 0)
}

/// Ends the report that answered until now, where `before` is the version that `next` replaces.
pub(crate) fn end_report(
    db: &Transaction<'_>,
    source_id: i64,
    before: i64,
    at: i64,
    next: &NewReport,
) -> rusqlite::Result<()> {
    if has_report(db, before)? {
        db.prepare_cached("UPDATE report SET valid_to = ?2 WHERE object_id = ?1")?
            .execute([before, at])?;
        return Ok(());
    }
    // It could not be read: the one that answers belongs to a version before it.
    db.prepare_cached(
        "UPDATE report SET valid_to = ?3 WHERE report_type = ?4 AND account_id = ?5 AND valid_to IS NULL AND object_id IN (
             SELECT o.id FROM object o WHERE o.source_id = ?1 AND o.key = (SELECT key FROM object WHERE id = ?2))",
    )?
    .execute(params![
        source_id,
        before,
        at,
        next.key.report_type.folder(),
        next.key.account_id.as_str()
    ])
    .map(drop)
}

pub(crate) fn insert_report(
    db: &Transaction<'_>,
    object_id: i64,
    valid_from: i64,
    valid_to: Option<i64>,
    report: &NewReport,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO report (object_id, report_type, customer_id, csp, account_id, analysis_time_min, analysis_time_max,
             row_count, table_path, table_size_bytes, columns, statistics, problem, valid_from, valid_to)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        object_id,
        report.key.report_type.folder(),
        report.key.customer_id.as_str(),
        report.key.csp,
        report.key.account_id.as_str(),
        report.analysis_time.map(|(oldest, _)| micros(oldest)),
        report.analysis_time.map(|(_, newest)| micros(newest)),
        report.row_count,
        report.table_path,
        report.table_size_bytes,
        report.columns,
        report.statistics,
        report.problem,
        valid_from,
        valid_to
    ])
    .map(drop)
}

/// After a version that could not be read has its table: each report of its key ends where the next begins.
fn settle_key(db: &Transaction<'_>, object_id: i64) -> rusqlite::Result<()> {
    db.execute(
        "WITH versions AS (
             SELECT r.id, lead(r.valid_from) OVER (ORDER BY r.valid_from, r.id) AS next_from FROM report r
             JOIN object o ON o.id = r.object_id JOIN object this ON this.id = ?1
             WHERE o.source_id = this.source_id AND o.key = this.key)
         UPDATE report SET valid_to = v.next_from FROM versions v WHERE v.id = report.id AND v.next_from IS NOT NULL
           AND (report.valid_to IS NULL OR report.valid_to > v.next_from)",
        [object_id],
    )?;
    // What it could not be read for is over.
    db.execute(
        "DELETE FROM failure WHERE stage = ?2 AND EXISTS (
             SELECT 1 FROM object o WHERE o.id = ?1 AND o.valid_to IS NULL
               AND o.source_id = failure.source_id AND o.key = failure.key)",
        params![object_id, FailureStage::Ingest.as_str()],
    )
    .map(drop)
}
