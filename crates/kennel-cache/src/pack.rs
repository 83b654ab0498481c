//! Packs: many tiny objects in one file, byte after byte. Where each of them lies, the manifest says.
//!
//! A pack is named by the SHA-256 of its objects' SHA-256, one after another, `<home>/packs/ab/cdef….pack`, and never
//! changes. So nothing is hashed twice: who reads an object compares it with its own hash. Earlier builds named packs by
//! the SHA-256 of all their bytes, which are read alike.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

use sha2::Digest;

use crate::{CacheError, Home, Sha256, Stage, files::io_error, stage::PlainStageFile};

/// Bytes gathered before they are written: objects are often smaller than 2 KB.
const BUFFER: usize = 256 * 1024;

/// Where an object lies in its pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackRange {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// A published pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// Its name: the hash of its objects' hashes.
    pub sha256: Sha256,
    /// Its size.
    pub size_bytes: u64,
}

/// A pack being written; gone on drop unless finished.
#[derive(Debug)]
pub struct PackWriter {
    file: BufWriter<PlainStageFile>,
    hasher: sha2::Sha256,
    size_bytes: u64,
}

impl PackWriter {
    pub(crate) fn new(stage: &Stage) -> Result<Self, CacheError> {
        Ok(Self {
            file: BufWriter::with_capacity(BUFFER, stage.create_plain()?),
            hasher: sha2::Sha256::new(),
            size_bytes: 0,
        })
    }

    /// Bytes appended so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Appends the bytes of an object, whose hash is known; says where they will lie.
    ///
    /// # Errors
    /// [`CacheError::Io`]; the pack is then good for nothing.
    pub fn append(&mut self, bytes: &[u8], sha256: Sha256) -> Result<PackRange, CacheError> {
        let written = self.file.write_all(bytes);
        self.failed("write", written)?;
        Ok(self.grown_by(bytes.len() as u64, sha256))
    }

    /// Appends an object that does not lie in memory.
    ///
    /// # Errors
    /// As [`PackWriter::append`], also when `from` cannot be read.
    pub fn append_from(
        &mut self,
        from: &mut impl Read,
        sha256: Sha256,
    ) -> Result<PackRange, CacheError> {
        let copied = io::copy(from, &mut self.file);
        let length = self.failed("copy to", copied)?;
        Ok(self.grown_by(length, sha256))
    }

    fn grown_by(&mut self, length: u64, sha256: Sha256) -> PackRange {
        self.hasher.update(sha256.0);
        let offset = self.size_bytes;
        self.size_bytes += length;
        PackRange { offset, length }
    }

    fn failed<T>(&self, action: &'static str, result: io::Result<T>) -> Result<T, CacheError> {
        result.map_err(io_error(action, self.file.get_ref().path()))
    }

    /// Syncs the pack and gives it its name. It counts when a batch that names it is committed; until
    /// then it is an orphan that the next writer removes.
    ///
    /// # Errors
    /// [`CacheError::Io`]; nothing is published then.
    pub fn finish(mut self) -> Result<Pack, CacheError> {
        let flushed = self.file.flush();
        self.failed("write", flushed)?;
        let size_bytes = self.size_bytes;
        let (file, _nothing_left) = self.file.into_parts();
        let sha256 = Sha256(self.hasher.finalize().into());
        file.publish_pack(&sha256)?;
        Ok(Pack { sha256, size_bytes })
    }
}

/// Reads ranges of packs; keeps the last pack open, since neighbours are often read together.
#[derive(Debug)]
pub struct PackReader {
    home: Home,
    open: Option<(Sha256, File)>,
}

impl PackReader {
    pub(crate) fn new(home: Home) -> Self {
        Self { home, open: None }
    }

    /// Where a pack lies.
    pub(crate) fn path(&self, pack: &Sha256) -> PathBuf {
        self.home.pack(pack)
    }

    /// The bytes of a range, as they lie there: nothing is compared.
    pub(crate) fn read(&mut self, pack: Sha256, range: PackRange) -> io::Result<Vec<u8>> {
        let (_, file) = match self.open.take().filter(|(open, _)| *open == pack) {
            Some(open) => self.open.insert(open),
            None => self.open.insert((pack, File::open(self.home.pack(&pack))?)),
        };
        // A manifest that names more than there is must not have that much memory reserved.
        let end = range.offset.checked_add(range.length);
        if end.is_none_or(|end| file.metadata().is_ok_and(|pack| pack.len() < end)) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = usize::try_from(range.length).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        file.seek(SeekFrom::Start(range.offset))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_lies_where_it_was_said() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("home"));
        home.create().unwrap();
        let stage = Stage::new(home.clone());
        let mut writer = stage.pack_writer().unwrap();
        let big = vec![7; 2 * BUFFER];
        let bodies = [b"one".as_slice(), b"", &big, b"two"];
        let ranges = bodies.map(|body| match body.len() {
            3 => writer.append(body, Sha256::of(body)).unwrap(),
            _ => {
                let mut from = io::Cursor::new(body);
                writer.append_from(&mut from, Sha256::of(body)).unwrap()
            }
        });
        assert_eq!(writer.size_bytes(), 6 + big.len() as u64);
        let pack = writer.finish().unwrap();
        let bytes = std::fs::read(home.pack(&pack.sha256)).unwrap();
        assert_eq!(bytes, bodies.concat());
        let hashes = bodies.map(|body| Sha256::of(body).0);
        assert_eq!(Sha256::of(&hashes.concat()), pack.sha256);
        assert_eq!(bytes.len() as u64, pack.size_bytes);
        let mut reader = PackReader::new(home.clone());
        for (body, range) in bodies.iter().zip(ranges) {
            assert_eq!(&reader.read(pack.sha256, range).unwrap(), body);
        }
        for (offset, length) in [(pack.size_bytes, 1), (0, u64::MAX), (u64::MAX, 2)] {
            assert!(
                reader
                    .read(pack.sha256, PackRange { offset, length })
                    .is_err()
            );
        }
        assert_eq!(std::fs::read_dir(home.staging()).unwrap().count(), 0);
    }

    #[test]
    fn a_pack_that_is_not_finished_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("home"));
        home.create().unwrap();
        let mut writer = Stage::new(home.clone()).pack_writer().unwrap();
        writer.append(b"one", Sha256::of(b"one")).unwrap();
        drop(writer);
        assert_eq!(std::fs::read_dir(home.staging()).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(home.packs()).unwrap().count(), 0);
    }
}
