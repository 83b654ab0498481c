//! Files that no manifest row names: published by a sync or a statement that was killed before its commit, replaced
//! by a compaction, or of a table that a user dropped.

use std::{collections::BTreeSet, time::Duration};

use tracing::{debug, info};

use crate::{
    CacheError, CacheWriter, PruneOutcome, Sha256, layout::pack_name, lock::wait_for_readers,
    prune::sweep, user::USER_TABLES,
};

/// The folder of CloudTrail's table files, below that of all tables.
const TABLES: &str = "cloudtrail";

impl CacheWriter {
    /// Removes orphans. Only while opening: later, files that are published wait for their batch.
    ///
    /// A reader may have a replaced table file open: when there is any, the orphans stay until the next
    /// writer comes.
    pub(crate) fn sweep_orphans(&self) -> Result<(), CacheError> {
        let home = &self.cache.home;
        let tables = home.tables();
        let folders = [home.packs(), tables.join(TABLES), tables.join(USER_TABLES)];
        if !folders.iter().any(|folder| folder.is_dir()) {
            return Ok(());
        }
        let _no_readers = match wait_for_readers(home, Duration::ZERO) {
            Ok(held) => held,
            Err(CacheError::Busy) => {
                debug!("orphans stay: the cache is being read");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let [packs, trail_tables, user_tables] = &folders;
        let mut outcome = PruneOutcome::default();
        sweep(packs, packs, &self.kept_packs()?, false, &mut outcome)?;
        if trail_tables.is_dir() {
            let kept = self.kept_tables("trail_file")?;
            sweep(&tables, trail_tables, &kept, false, &mut outcome)?;
        }
        if user_tables.is_dir() {
            // Whoever writes such a file reads the cache, too: nobody does now.
            let kept = self.kept_tables("user_file")?;
            sweep(&tables, user_tables, &kept, false, &mut outcome)?;
        }
        if outcome.file_count > 0 {
            info!(
                file_count = outcome.file_count,
                size_bytes = outcome.freed_bytes,
                "removed files that nothing names"
            );
        }
        Ok(())
    }

    /// Removes table files of trails that others have taken the place of, so that whoever reads the folder as it is
    /// does not count their rows twice. Everything that was published must be committed.
    ///
    /// When there is a reader, or they cannot be removed, they stay until the next writer comes.
    pub fn remove_replaced_tables(&self) {
        let home = &self.cache.home;
        let folder = home.tables().join(TABLES);
        let remove = || -> Result<PruneOutcome, CacheError> {
            let mut outcome = PruneOutcome::default();
            if folder.is_dir() {
                let _no_readers = wait_for_readers(home, Duration::ZERO)?;
                let kept = self.kept_tables("trail_file")?;
                sweep(&home.tables(), &folder, &kept, false, &mut outcome)?;
            }
            Ok(outcome)
        };
        match remove() {
            Ok(PruneOutcome { file_count, .. }) => debug!(file_count, "removed replaced tables"),
            Err(error) => debug!(%error, "replaced tables stay until the next sync"),
        }
    }

    fn kept_packs(&self) -> Result<BTreeSet<String>, CacheError> {
        kept_packs(&self.cache.db).map_err(self.cache.failed("read"))
    }

    fn kept_tables(&self, table: &str) -> Result<BTreeSet<String>, CacheError> {
        let select = || -> rusqlite::Result<BTreeSet<String>> {
            self.cache
                .db
                .prepare(&format!("SELECT table_path FROM {table}"))?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        select().map_err(self.cache.failed("read"))
    }
}

/// The paths of all packs that the manifest names, below their folder.
pub(crate) fn kept_packs(db: &rusqlite::Connection) -> rusqlite::Result<BTreeSet<String>> {
    db.prepare("SELECT sha256 FROM pack")?
        .query_map([], |row| Ok(pack_name(&Sha256(row.get(0)?))))?
        .collect()
}
