//! Where the bytes of a download go: into a staged file, or into memory when they are few and not to be
//! published one by one.

use std::io::{Read, Write};

use bytes::Bytes;
use kennel_cache::{CacheError, FetchedObject, PackRange, PackWriter, Sha256, StageFile};

use super::{Job, Keep};

/// Objects above this size go through a file. CloudTrail's largest known is a tenth of it; as many as are
/// fetched at a time may lie in memory together.
const LARGEST_IN_MEMORY: u64 = 1024 * 1024;

/// An object whose bytes were fetched and verified, and are not published: they belong to whoever gets them.
#[derive(Debug)]
pub struct FetchedBytes {
    /// The object.
    pub object: FetchedObject,
    /// Its bytes.
    pub content: Content,
}

/// The bytes of an object.
#[derive(Debug)]
pub enum Content {
    /// Few.
    Memory(Bytes),
    /// Many: in a staged file, gone on drop.
    File(StageFile),
}

impl Content {
    /// Reads the bytes from the first on.
    ///
    /// # Errors
    /// [`CacheError::Io`] when the staged file cannot be opened.
    pub fn reader(&self) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        Ok(match self {
            Self::Memory(bytes) => Box::new(bytes.as_ref()),
            Self::File(file) => Box::new(file.reopen()?),
        })
    }

    /// Appends the bytes, whose hash is known, to a pack; says where they lie.
    ///
    /// # Errors
    /// [`CacheError::Io`].
    pub fn append_to(
        &self,
        pack: &mut PackWriter,
        sha256: Sha256,
    ) -> Result<PackRange, CacheError> {
        match self {
            Self::Memory(bytes) => pack.append(bytes, sha256),
            Self::File(file) => pack.append_from(&mut file.reopen()?, sha256),
        }
    }
}

/// Bytes that are coming.
pub(super) enum Body {
    File(StageFile),
    Memory(Vec<u8>),
}

impl Body {
    /// An empty one for so many bytes.
    pub(super) fn new(job: &Job, size_bytes: u64) -> Result<Self, CacheError> {
        if Self::is_in_memory(job, size_bytes) {
            let mut bytes = Vec::new();
            // Few by the check above, so that this is a small reservation whatever a listing says.
            bytes.reserve_exact(size_bytes as usize);
            return Ok(Self::Memory(bytes));
        }
        job.stage.create().map(Self::File)
    }

    /// Whether so many bytes stay in memory.
    pub(super) fn is_in_memory(job: &Job, size_bytes: u64) -> bool {
        matches!(job.keep, Keep::HandedOver) && size_bytes <= LARGEST_IN_MEMORY
    }

    pub(super) fn size_bytes(&self) -> u64 {
        match self {
            Self::File(file) => file.size_bytes(),
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    pub(super) fn append(&mut self, more: &[u8]) -> Result<(), CacheError> {
        match self {
            Self::File(file) => file.write_all(more).map_err(|source| CacheError::Io {
                action: "write",
                path: file.path().to_owned(),
                source,
            }),
            Self::Memory(bytes) => {
                bytes.extend_from_slice(more);
                Ok(())
            }
        }
    }

    /// Forgets what came.
    pub(super) fn clear(&mut self) -> Result<(), CacheError> {
        match self {
            Self::File(file) => file.truncate(),
            Self::Memory(bytes) => {
                bytes.clear();
                Ok(())
            }
        }
    }

    pub(super) fn sha256(&self) -> Sha256 {
        match self {
            Self::File(file) => file.sha256(),
            Self::Memory(bytes) => Sha256::of(bytes),
        }
    }
}
