//! Opening the manifest: for the writer, for readers, and for readers of read-only media.

use std::{fs, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::Cache;
use crate::{
    CacheError, Home,
    files::{io_error, new_private_file},
    lock::ReaderLock,
};

/// The format of the manifest, kept in SQLite's `user_version`.
const FORMAT: i64 = 1;
/// Marks the file as kennel's (SQLite's `application_id`): "KNNL".
const APPLICATION_ID: i64 = 0x4b4e_4e4c;
/// Tables and indexes that older manifests of the same format lack.
const ADDITIONS: &str = include_str!("additions.sql");
/// The table of them that came last: where it is, all are.
const NEWEST_ADDITION: &str = "trail_held";
/// How long a look-up waits for a transaction of the writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

impl Cache {
    /// Opens a cache for reading.
    ///
    /// Works beside a writer and on read-only media. A manifest that a killed writer left in the
    /// middle of a transaction is rolled back; where that may not be written, in a private copy.
    ///
    /// # Errors
    /// [`CacheError::NotFound`] without a manifest; [`CacheError::Format`] for another version's;
    /// [`CacheError::Manifest`] when SQLite cannot read it.
    pub fn open(home: &Path) -> Result<Self, CacheError> {
        let home = Home::new(home);
        let path = home.manifest();
        if !path.try_exists().map_err(io_error("look for", &path))? {
            return Err(CacheError::NotFound {
                home: home.root().to_owned(),
            });
        }
        let reading = ReaderLock::acquire(&home);
        let (db, copy) = match open_checked(&path, OpenFlags::SQLITE_OPEN_READ_WRITE) {
            Ok(db) => (db, None),
            Err(error) if error.is_read_only() || is_cannot_open(&error) => open_read_only(&path)?,
            Err(error) => return Err(error),
        };
        db.execute_batch("PRAGMA query_only = ON")
            .map_err(|source| CacheError::Manifest {
                action: "open",
                path,
                source,
            })?;
        Ok(Self {
            home,
            db,
            _reading: reading,
            _copy: copy,
        })
    }

    /// The paths of this cache.
    pub fn home(&self) -> &Home {
        &self.home
    }
}

fn is_cannot_open(error: &CacheError) -> bool {
    matches!(error, CacheError::Manifest { source: rusqlite::Error::SqliteFailure(e, _), .. } if e.code == ErrorCode::CannotOpen)
}

fn open_read_only(path: &Path) -> Result<(Connection, Option<tempfile::TempDir>), CacheError> {
    match open_checked(path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
        // A hot journal that may not be rolled back here: do it in a copy.
        Err(error) if error.is_read_only() || is_cannot_open(&error) => {
            let folder = tempfile::Builder::new()
                .prefix("kennel-")
                .tempdir()
                .map_err(io_error("create a folder in", &std::env::temp_dir()))?;
            let copy = folder.path().join("manifest.sqlite");
            for suffix in ["", "-journal"] {
                let from = path.with_file_name(format!("manifest.sqlite{suffix}"));
                let to = folder.path().join(format!("manifest.sqlite{suffix}"));
                let mut source = fs::File::open(&from).map_err(io_error("read", &from))?;
                let mut target = new_private_file()
                    .open(&to)
                    .map_err(io_error("create", &to))?;
                std::io::copy(&mut source, &mut target).map_err(io_error("copy", &from))?;
            }
            Ok((
                open_checked(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?,
                Some(folder),
            ))
        }
        opened => Ok((opened?, None)),
    }
}

/// Opens an existing manifest and proves that it can be read.
fn open_checked(path: &Path, mode: OpenFlags) -> Result<Connection, CacheError> {
    let failed = |action| {
        move |source| CacheError::Manifest {
            action,
            path: path.to_owned(),
            source,
        }
    };
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    // SQLITE_OPEN_NOFOLLOW refuses links anywhere in the path: resolve the folder, not the file.
    let real = path
        .parent()
        .and_then(|folder| fs::canonicalize(folder).ok())
        .map_or_else(|| path.to_owned(), |folder| folder.join("manifest.sqlite"));
    let db = Connection::open_with_flags(real, flags).map_err(failed("open"))?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(failed("open"))?;
    // A manifest from elsewhere is data: its schema must not run anything.
    db.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON")
        .map_err(failed("open"))?;
    let format: i64 = db
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(failed("read"))?;
    let application: i64 = db
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(failed("read"))?;
    if application != APPLICATION_ID {
        return Err(CacheError::Damaged {
            path: path.to_owned(),
            what: format!("application id {application:#x} is not a kennel manifest's"),
        });
    }
    if format != FORMAT {
        return Err(CacheError::Format {
            path: path.to_owned(),
            found: format,
            known: FORMAT,
        });
    }
    Ok(db)
}

/// Opens the manifest for the holder of the writer lock; makes it when there is none.
pub(crate) fn open_for_writing(home: &Home) -> Result<Connection, CacheError> {
    let path = home.manifest();
    let failed = |action| {
        let path = path.clone();
        move |source| CacheError::Manifest {
            action,
            path,
            source,
        }
    };
    // An empty file is what a kill before the first transaction leaves.
    let is_new = fs::metadata(&path).map_or(true, |file| file.len() == 0);
    if is_new {
        if !path.exists() {
            new_private_file()
                .open(&path)
                .map_err(io_error("create", &path))?;
        }
        let db = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(failed("create"))?;
        db.execute_batch(&format!(
            "PRAGMA synchronous = FULL; BEGIN IMMEDIATE;
             PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {FORMAT};
             {}
             {ADDITIONS}
             COMMIT;",
            include_str!("schema.sql")
        ))
        .map_err(failed("create"))?;
    }
    let db = open_checked(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.execute_batch("PRAGMA synchronous = FULL")
        .map_err(failed("open"))?;
    if !has_table(&db, NEWEST_ADDITION).map_err(failed("read"))? {
        db.execute_batch(&format!("BEGIN IMMEDIATE; {ADDITIONS} COMMIT;"))
            .map_err(failed("extend"))?;
    }
    Ok(db)
}

/// Whether a table is there: a reader may meet a manifest that no writer has extended yet.
pub(crate) fn has_table(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    db.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1",
        [name],
        |row| row.get::<_, i64>(0),
    )
    .map(|count| count > 0)
}

impl Cache {
    pub(crate) fn for_writer(home: Home) -> Result<Self, CacheError> {
        let db = open_for_writing(&home)?;
        let reading = ReaderLock::none();
        Ok(Self {
            home,
            db,
            _reading: reading,
            _copy: None,
        })
    }
}
