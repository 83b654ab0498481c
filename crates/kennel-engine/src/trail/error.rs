//! What can go wrong while table files of a trail are written or merged.

use std::{error::Error, io, path::PathBuf};

use datafusion::{arrow::error::ArrowError, parquet::errors::ParquetError};
use kennel_cache::CacheError;

/// Why table files could not be made. Nothing of them is visible then: what was staged is gone, and
/// what was published is named by no manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrailFileError {
    /// Rows without one of the columns that order them.
    #[error("no column `{column}` of type {expected}")]
    MissingColumn {
        /// The column.
        column: &'static str,
        /// The type it must have.
        expected: &'static str,
    },
    /// A table file could not be opened.
    #[error("cannot open the table file `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A table file is not readable.
    #[error("cannot read the table file `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: ParquetError,
    },
    /// A table file is not in the order of its key, so that merging it would lose duplicates.
    #[error("the table file `{}` is not sorted", path.display())]
    Unsorted {
        /// The file.
        path: PathBuf,
    },
    /// Table files that should become one have columns that contradict each other.
    #[error("the table file `{}` has another column `{column}`", path.display())]
    OtherColumn {
        /// The file that does not fit.
        path: PathBuf,
        /// Its column.
        column: String,
    },
    /// The rows could not be sorted or put together.
    #[error("cannot sort the rows")]
    Sort(#[source] ArrowError),
    /// The Parquet writer refused the rows; a full disk comes through it as an I/O error.
    #[error("cannot write a table file")]
    Write(#[source] ParquetError),
    /// The cache could not stage or publish a file.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl TrailFileError {
    /// Whether the disk is full: stop, rather than fail file by file.
    pub fn is_disk_full(&self) -> bool {
        if let Self::Cache(error) = self {
            return error.is_disk_full();
        }
        let mut cause = self.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return matches!(
                    error.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                );
            }
            cause = error.source();
        }
        false
    }
}
