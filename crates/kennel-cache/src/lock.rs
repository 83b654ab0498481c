//! One writer at a time. The operating system drops the lock when its process dies, however it dies.

use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

use crate::{CacheError, Home, files::io_error};

/// Who holds the writer lock, as written by the holder itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LockHolder {
    /// Process id.
    pub process_id: u32,
    /// When the lock was taken.
    pub since: Option<DateTime<Utc>>,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.process_id, self.since) {
            (0, _) => f.write_str("process unknown"),
            (id, Some(since)) => write!(
                f,
                "process {id}, since {}",
                since.format("%Y-%m-%d %H:%M:%S UTC")
            ),
            (id, None) => write!(f, "process {id}"),
        }
    }
}

/// The writer lock; given back on drop.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the lock or says who has it.
    pub(crate) fn acquire(home: &Home, now: DateTime<Utc>) -> Result<Self, CacheError> {
        let path = home.lock();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(io_error("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The holder may be writing it at this moment: what cannot be read is unknown.
                let holder = file
                    .read_to_string(&mut text)
                    .ok()
                    .and_then(|_| serde_json::from_str(&text).ok())
                    .unwrap_or_default();
                return Err(CacheError::Locked { holder });
            }
            Err(TryLockError::Error(e)) => return Err(io_error("lock", &path)(e)),
        }
        let holder = LockHolder {
            process_id: std::process::id(),
            since: Some(now),
        };
        let text = serde_json::to_string(&holder).expect("two plain fields always serialise");
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(text.as_bytes()))
            .map_err(io_error("write", &path))?;
        Ok(Self { _file: file })
    }
}

/// A reader's shared lock: `prune` waits for it before it takes files away.
#[derive(Debug)]
pub(crate) struct ReaderLock {
    _file: Option<File>,
}

impl ReaderLock {
    /// For the writer itself, which is the one that prunes.
    pub(crate) fn none() -> Self {
        Self { _file: None }
    }

    /// Never fails: on media that know no locks nobody can prune either.
    pub(crate) fn acquire(home: &Home) -> Self {
        let file = File::open(home.readers_lock())
            .ok()
            .filter(|file| file.lock_shared().is_ok());
        Self { _file: file }
    }
}

/// Waits until no reader is left that could still open a file; held while files are removed.
pub(crate) fn wait_for_readers(home: &Home, limit: Duration) -> Result<File, CacheError> {
    let path = home.readers_lock();
    let file = File::open(&path).map_err(io_error("open", &path))?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if started.elapsed() < limit => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => return Err(CacheError::Busy),
            Err(TryLockError::Error(e)) => return Err(io_error("lock", &path)(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("home"));
        home.create().unwrap();
        let now = DateTime::from_timestamp(1_772_435_659, 0).unwrap();
        let held = WriterLock::acquire(&home, now).unwrap();
        let error = WriterLock::acquire(&home, now).unwrap_err().to_string();
        let id = std::process::id();
        assert_eq!(
            error,
            format!(
                "another kennel is writing to this cache: process {id}, since 2026-03-02 07:14:19 UTC"
            )
        );
        drop(held);
        WriterLock::acquire(&home, now).unwrap();
    }
}
