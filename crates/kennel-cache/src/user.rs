//! What users add to the catalog: schemas, tables and views, partitions, and the files of tables made from queries.
//!
//! None of it needs the writer lock: a statement does not wait for a sync. Files are written beside their target and
//! named by the manifest last; those that it does not name go when the next writer starts and nobody reads.

use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::{
    Cache, CacheError, Home, Stage, UserTable,
    manifest::{has_table, micros, open_for_writing},
};

/// The folder of users' table files, below that of all tables.
pub(crate) const USER_TABLES: &str = "user";

/// A partition of a user's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPartition {
    /// Schema of its table.
    pub schema: String,
    /// Its table.
    pub name: String,
    /// Its values, in the form of whoever added it.
    pub spec: String,
    /// Where it lies; `None` when it was dropped.
    pub location: Option<String>,
}

/// A file of a table that a user made from a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFile {
    /// The file, below [`Home::tables`].
    pub table_path: String,
    /// Its size.
    pub table_size_bytes: u64,
    /// Its rows.
    pub row_count: u64,
    /// Minimum, maximum and null count of its columns, in the form of whoever wrote it.
    pub statistics: String,
}

/// How a table is put into the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Only if there is none of its name.
    New,
    /// In the place of one of its name, whose files go.
    Replace,
}

impl Cache {
    /// Schemas that users made, by name.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn user_schemas(&self) -> Result<Vec<String>, CacheError> {
        self.select_added(
            "user_schema",
            "SELECT name FROM user_schema ORDER BY name",
            [],
            |row| row.get(0),
        )
    }

    /// Partitions that users added to a table or dropped from it.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn user_partitions(
        &self,
        schema: &str,
        name: &str,
    ) -> Result<Vec<UserPartition>, CacheError> {
        self.select_added(
            "user_partition",
            "SELECT schema, name, spec, location FROM user_partition WHERE schema = ?1 AND name = ?2 ORDER BY spec",
            [schema, name],
            |row| {
                Ok(UserPartition {
                    schema: row.get(0)?,
                    name: row.get(1)?,
                    spec: row.get(2)?,
                    location: row.get(3)?,
                })
            },
        )
    }

    /// The files of a table that was made from a query, oldest first.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn user_files(&self, schema: &str, name: &str) -> Result<Vec<UserFile>, CacheError> {
        self.select_added(
            "user_file",
            "SELECT table_path, table_size_bytes, row_count, statistics FROM user_file WHERE schema = ?1 AND name = ?2 ORDER BY id",
            [schema, name],
            |row| {
                Ok(UserFile {
                    table_path: row.get(0)?,
                    table_size_bytes: row.get(1)?,
                    row_count: row.get(2)?,
                    statistics: row.get(3)?,
                })
            },
        )
    }

    /// The same as `select`, from a table that older manifests lack.
    fn select_added<T>(
        &self,
        table: &str,
        sql: &str,
        params: impl rusqlite::Params,
        map: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, CacheError> {
        match has_table(&self.db, table).map_err(self.failed("read"))? {
            true => self.select(sql, params, map),
            false => Ok(vec![]),
        }
    }
}

/// Changes what users added to the catalog; each change is one transaction. Does not wait for a sync.
#[derive(Debug)]
pub struct UserCatalog {
    home: Home,
    db: Connection,
}

impl UserCatalog {
    /// Opens the catalog of a cache.
    ///
    /// # Errors
    /// [`CacheError::Manifest`], also when the cache is read-only.
    pub fn open(home: &Path) -> Result<Self, CacheError> {
        let home = Home::new(home);
        let db = open_for_writing(&home)?;
        Ok(Self { home, db })
    }

    /// Where a table's files are written until they are whole. Only while a [`Cache`] is open: it keeps them from being
    /// taken for what a killed process left.
    ///
    /// # Errors
    /// [`CacheError::Io`] when its folder cannot be made.
    pub fn stage(&self) -> Result<Stage, CacheError> {
        Stage::of_user(self.home.clone())
    }

    /// Makes a schema; says whether there was none of its name.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn create_schema(&mut self, name: &str, now: DateTime<Utc>) -> Result<bool, CacheError> {
        self.write(|db| {
            db.execute(
                "INSERT OR IGNORE INTO user_schema (name, created_at) VALUES (?1, ?2)",
                params![name, micros(now)],
            )
            .map(|count| count > 0)
        })
    }

    /// Forgets a schema and all that is in it.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn drop_schema(&mut self, name: &str) -> Result<(), CacheError> {
        self.write(|db| {
            for table in ["user_table", "user_partition", "user_file"] {
                db.execute(&format!("DELETE FROM {table} WHERE schema = ?1"), [name])?;
            }
            db.execute("DELETE FROM user_schema WHERE name = ?1", [name])
                .map(drop)
        })
    }

    /// Keeps a table or view with its files; its schema is made where there is none. Says whether it is kept.
    ///
    /// # Errors
    /// [`CacheError::Manifest`]; [`CacheError::Io`] when the names of files cannot be made durable.
    pub fn put_table(
        &mut self,
        table: &UserTable,
        files: &[UserFile],
        put: Put,
        stage: Option<&Stage>,
    ) -> Result<bool, CacheError> {
        stage.map_or(Ok(()), Stage::sync_names)?;
        self.write(|db| {
            let known: Option<i64> = db
                .query_row(
                    "SELECT 1 FROM user_table WHERE schema = ?1 AND name = ?2",
                    [&table.schema, &table.name],
                    |row| row.get(0),
                )
                .optional()?;
            if known.is_some() && put == Put::New {
                return Ok(false);
            }
            forget(db, &table.schema, &table.name)?;
            db.execute(
                "INSERT OR IGNORE INTO user_schema (name, created_at) VALUES (?1, ?2)",
                params![table.schema, micros(table.created_at)],
            )?;
            db.execute(
                "INSERT INTO user_table (schema, name, definition, created_at) VALUES (?1, ?2, ?3, ?4)",
                params![table.schema, table.name, table.definition, micros(table.created_at)],
            )?;
            insert_files(db, &table.schema, &table.name, files)?;
            Ok(true)
        })
    }

    /// Changes a table's definition; its files and partitions stay. Says whether there is such a table.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn redefine(
        &mut self,
        schema: &str,
        name: &str,
        definition: &str,
    ) -> Result<bool, CacheError> {
        self.write(|db| {
            db.execute(
                "UPDATE user_table SET definition = ?3 WHERE schema = ?1 AND name = ?2",
                [schema, name, definition],
            )
            .map(|count| count > 0)
        })
    }

    /// Adds files to a table of this definition; says whether it is still there.
    ///
    /// # Errors
    /// As [`UserCatalog::put_table`].
    pub fn add_files(
        &mut self,
        table: &UserTable,
        files: &[UserFile],
        stage: &Stage,
    ) -> Result<bool, CacheError> {
        stage.sync_names()?;
        self.write(|db| {
            let known: Option<String> = db
                .query_row(
                    "SELECT definition FROM user_table WHERE schema = ?1 AND name = ?2",
                    [&table.schema, &table.name],
                    |row| row.get(0),
                )
                .optional()?;
            if known.as_ref() != Some(&table.definition) {
                return Ok(false);
            }
            insert_files(db, &table.schema, &table.name, files)?;
            Ok(true)
        })
    }

    /// Forgets a table or view; says whether there was one.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn drop_table(&mut self, schema: &str, name: &str) -> Result<bool, CacheError> {
        self.write(|db| forget(db, schema, name))
    }

    /// Adds partitions, or marks them as dropped.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn put_partitions(&mut self, partitions: &[UserPartition]) -> Result<(), CacheError> {
        self.write(|db| {
            for partition in partitions {
                db.execute(
                    "INSERT INTO user_partition (schema, name, spec, location) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (schema, name, spec) DO UPDATE SET location = excluded.location",
                    params![partition.schema, partition.name, partition.spec, partition.location],
                )?;
            }
            Ok(())
        })
    }

    /// Forgets that partitions were added or dropped.
    ///
    /// # Errors
    /// [`CacheError::Manifest`].
    pub fn forget_partitions(&mut self, partitions: &[UserPartition]) -> Result<(), CacheError> {
        self.write(|db| {
            for partition in partitions {
                db.execute(
                    "DELETE FROM user_partition WHERE schema = ?1 AND name = ?2 AND spec = ?3",
                    [&partition.schema, &partition.name, &partition.spec],
                )?;
            }
            Ok(())
        })
    }

    fn write<T>(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, CacheError> {
        let path = self.home.manifest();
        let run = || {
            let transaction = self
                .db
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = write(&transaction)?;
            transaction.commit()?;
            Ok(written)
        };
        run().map_err(|source| CacheError::Manifest {
            action: "write",
            path,
            source,
        })
    }
}

fn forget(db: &Connection, schema: &str, name: &str) -> rusqlite::Result<bool> {
    for table in ["user_partition", "user_file"] {
        db.execute(
            &format!("DELETE FROM {table} WHERE schema = ?1 AND name = ?2"),
            [schema, name],
        )?;
    }
    db.execute(
        "DELETE FROM user_table WHERE schema = ?1 AND name = ?2",
        [schema, name],
    )
    .map(|count| count > 0)
}

fn insert_files(
    db: &Connection,
    schema: &str,
    name: &str,
    files: &[UserFile],
) -> rusqlite::Result<()> {
    for file in files {
        db.execute(
            "INSERT INTO user_file (schema, name, table_path, table_size_bytes, row_count, statistics) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![schema, name, file.table_path, file.table_size_bytes, file.row_count, file.statistics],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::{CacheWriter, Retention};

    fn at() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }

    fn table(name: &str) -> UserTable {
        UserTable {
            schema: "mine".into(),
            name: name.into(),
            definition: "CREATE …".into(),
            created_at: at(),
        }
    }

    fn published(stage: &Stage, bytes: &[u8]) -> UserFile {
        let mut file = stage.create().unwrap();
        file.write_all(bytes).unwrap();
        UserFile {
            table_size_bytes: bytes.len() as u64,
            table_path: file.publish_table(USER_TABLES, "parquet").unwrap(),
            row_count: 1,
            statistics: "{}".into(),
        }
    }

    #[test]
    fn files_stay_while_a_table_names_them_and_go_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = CacheWriter::open(dir.path(), at()).unwrap();
        let path = |file: &UserFile| dir.path().join("tables").join(&file.table_path);
        // Beside the one writer: nothing waits for it.
        let mut catalog = UserCatalog::open(dir.path()).unwrap();
        let stage = catalog.stage().unwrap();
        let (kept, lost) = (published(&stage, b"kept"), published(&stage, b"lost"));
        let unfinished = stage.create().unwrap();
        assert!(
            catalog
                .put_table(
                    &table("t"),
                    std::slice::from_ref(&kept),
                    Put::New,
                    Some(&stage)
                )
                .unwrap()
        );
        assert!(!catalog.put_table(&table("t"), &[], Put::New, None).unwrap());
        assert_eq!(catalog_names(dir.path()), ["mine"]);
        writer.prune(Retention::default(), at(), false).unwrap();
        assert!(path(&kept).exists() && !path(&lost).exists() && !unfinished.path().exists());
        drop(writer);

        assert!(catalog.drop_table("mine", "t").unwrap());
        assert!(!catalog.drop_table("mine", "t").unwrap());
        let reader = Cache::open(dir.path()).unwrap();
        drop(CacheWriter::open(dir.path(), at()).unwrap());
        assert!(path(&kept).exists(), "a reader may still open it");
        drop(reader);
        drop(CacheWriter::open(dir.path(), at()).unwrap());
        assert!(!path(&kept).exists());
    }

    fn catalog_names(home: &Path) -> Vec<String> {
        Cache::open(home).unwrap().user_schemas().unwrap()
    }

    #[test]
    fn a_schema_goes_with_all_that_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        drop(CacheWriter::open(dir.path(), at()).unwrap());
        let mut catalog = UserCatalog::open(dir.path()).unwrap();
        assert!(catalog.create_schema("mine", at()).unwrap());
        assert!(!catalog.create_schema("mine", at()).unwrap());
        catalog
            .put_table(&table("t"), &[], Put::Replace, None)
            .unwrap();
        let partition = UserPartition {
            schema: "mine".into(),
            name: "t".into(),
            spec: "dt=1".into(),
            location: None,
        };
        catalog
            .put_partitions(std::slice::from_ref(&partition))
            .unwrap();
        let moved = UserPartition {
            location: Some("s3://b/1/".into()),
            ..partition.clone()
        };
        catalog
            .put_partitions(std::slice::from_ref(&moved))
            .unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        assert_eq!(cache.user_partitions("mine", "t").unwrap(), [moved]);
        assert!(catalog.redefine("mine", "t", "other").unwrap());
        assert!(
            !catalog
                .add_files(&table("t"), &[], &catalog.stage().unwrap())
                .unwrap(),
            "another definition"
        );
        catalog.drop_schema("mine").unwrap();
        assert_eq!(cache.user_partitions("mine", "t").unwrap(), []);
        assert_eq!(
            (
                cache.user_schemas().unwrap().len(),
                cache.user_tables().unwrap().len()
            ),
            (0, 0)
        );
    }
}
