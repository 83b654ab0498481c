//! The store under which the engine reaches `tables/`.
//!
//! Table files are local, and most reads of them are small: a footer, a few pages. Handing each to a thread of its own,
//! as a store for slow media must, takes longer than the read; here they happen where the query runs.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::{Path as FilePath, PathBuf},
};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, local::LocalFileSystem, path::Path,
};
use futures::{StreamExt, stream, stream::BoxStream};

/// Reads table files; everything else is [`LocalFileSystem`]'s.
#[derive(Debug)]
pub(crate) struct TableStore {
    root: PathBuf,
    local: LocalFileSystem,
}

impl TableStore {
    /// The store over this folder.
    pub(crate) fn try_new(root: &FilePath) -> Result<Self> {
        Ok(Self {
            root: root.to_owned(),
            local: LocalFileSystem::new_with_prefix(root)?,
        })
    }

    fn open(&self, location: &Path) -> Result<File> {
        let path = self.root.join(location.as_ref());
        File::open(&path).map_err(|source| failed(location, source))
    }
}

impl fmt::Display for TableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableStore({})", self.root.display())
    }
}

fn failed(location: &Path, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound {
            path: location.to_string(),
            source: source.into(),
        },
        _ => Error::Generic {
            store: "tables",
            source: source.into(),
        },
    }
}

fn read(file: &mut File, location: &Path, range: &Range<u64>) -> Result<Bytes> {
    let length = range.end.saturating_sub(range.start);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    let count = file
        .seek(SeekFrom::Start(range.start))
        .and_then(|_| file.take(length).read_to_end(&mut bytes))
        .map_err(|source| failed(location, source))?;
    if count as u64 == length {
        Ok(bytes.into())
    } else {
        let cut = io::Error::new(io::ErrorKind::UnexpectedEof, "the file is cut off");
        Err(failed(location, cut))
    }
}

#[async_trait]
impl ObjectStore for TableStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let Some(GetRange::Bounded(range)) = options.range.clone().filter(|_| !options.head) else {
            return self.local.get_opts(location, options).await;
        };
        let mut file = self.open(location)?;
        let metadata = file.metadata().map_err(|source| failed(location, source))?;
        let modified = metadata
            .modified()
            .map_err(|source| failed(location, source))?;
        let range = range.start..range.end.min(metadata.len());
        let bytes = read(&mut file, location, &range)?;
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::iter([Ok(bytes)]).boxed()),
            meta: ObjectMeta {
                location: location.clone(),
                last_modified: modified.into(),
                size: metadata.len(),
                e_tag: None,
                version: None,
            },
            range,
            attributes: Default::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut file = self.open(location)?;
        ranges
            .iter()
            .map(|range| read(&mut file, location, range))
            .collect()
    }

    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.local.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.local.put_multipart_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.local.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.local.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.local.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.local.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use datafusion::object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn ranges_are_read_as_they_are_and_a_cut_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.parquet"), b"0123456789").unwrap();
        let store = TableStore::try_new(folder.path()).unwrap();
        let path = Path::from("t.parquet");
        let ranges = store.get_ranges(&path, &[8..10, 0..3]).await.unwrap();
        assert_eq!(ranges, [Bytes::from("89"), Bytes::from("012")]);
        assert_eq!(store.get_range(&path, 2..4).await.unwrap(), "23");
        assert_eq!(
            store.get(&path).await.unwrap().bytes().await.unwrap().len(),
            10
        );
        assert!(store.get_ranges(&path, &[0..1, 8..12]).await.is_err());
        let gone = store.get_range(&Path::from("gone"), 0..1).await;
        assert!(matches!(gone, Err(Error::NotFound { .. })));
    }
}
