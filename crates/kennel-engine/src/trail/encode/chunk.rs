//! The pages of one column in one row group, as they lie in a file, and what the footer says of them.

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use datafusion::parquet::{
    basic::{Compression, Encoding},
    bloom_filter::Sbbf,
    column::{
        page::{CompressedPage, Page, PageWriter},
        writer::ColumnCloseResult,
    },
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder},
        reader::{ChunkReader, Length},
        statistics::Statistics,
        writer::{SerializedPageWriter, TrackedWrite},
    },
    schema::types::ColumnDescPtr,
};

use super::{dictionary::Dictionary, empty};

/// The compressors of a file: one for all columns, which are compressed page by page. Used again for the next file.
pub(super) struct Codecs {
    snappy: snap::raw::Encoder,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    compressed: Vec<u8>,
    /// The last page of a column with a twin, and what became of it.
    twin: (Vec<u8>, Vec<u8>),
    /// Memory for a page as it is written; holds nothing between two of them.
    page: BytesMut,
}

impl Codecs {
    /// Before [`Self::begin`].
    pub(super) fn new() -> Self {
        Self {
            snappy: snap::raw::Encoder::new(),
            zstd: None,
            compressed: Vec::new(),
            twin: (Vec::new(), Vec::new()),
            page: BytesMut::new(),
        }
    }

    /// Makes ready for a file, with zstd at a level if it has one.
    pub(super) fn begin(&mut self, zstd_level: Option<i32>) -> Result<(), ParquetError> {
        match (&mut self.zstd, zstd_level) {
            (Some(zstd), Some(level)) => zstd.set_compression_level(level)?,
            (zstd, level) => *zstd = level.map(zstd::bulk::Compressor::new).transpose()?,
        }
        empty(&mut self.compressed);
        self.page = BytesMut::new();
        // What became of a page depends on the file's codecs.
        empty(&mut self.twin.0);
        empty(&mut self.twin.1);
        Ok(())
    }

    /// The same as [`Self::compress`] for a page that the last one of the other column is likely to equal.
    fn compress_twin(
        &mut self,
        compression: Compression,
        bytes: &[u8],
    ) -> Result<&[u8], ParquetError> {
        if self.twin.0 != bytes || bytes.is_empty() {
            let length = self.compress(compression, bytes)?.len();
            self.twin.1.clear();
            self.twin.1.extend_from_slice(&self.compressed[..length]);
            self.twin.0.clear();
            self.twin.0.extend_from_slice(bytes);
        }
        Ok(&self.twin.1)
    }

    fn compress(&mut self, compression: Compression, bytes: &[u8]) -> Result<&[u8], ParquetError> {
        let room = match compression {
            Compression::ZSTD(_) => zstd::zstd_safe::compress_bound(bytes.len()),
            _ => snap::raw::max_compress_len(bytes.len()),
        };
        if self.compressed.len() < room {
            self.compressed.resize(room, 0);
        }
        let length = match (compression, &mut self.zstd) {
            (Compression::ZSTD(_), Some(zstd)) => {
                zstd.compress_to_buffer(bytes, &mut self.compressed[..])?
            }
            (Compression::SNAPPY, _) => self
                .snappy
                .compress(bytes, &mut self.compressed)
                .map_err(|error| ParquetError::External(Box::new(error)))?,
            (other, _) => {
                return Err(ParquetError::NYI(format!("no compressor for {other}")));
            }
        };
        Ok(&self.compressed[..length])
    }
}

/// One page of values.
pub(super) struct DataPage<'p> {
    /// Encoded; empty in a column without lists.
    pub(super) repetition_levels: &'p [u8],
    /// Encoded.
    pub(super) definition_levels: &'p [u8],
    /// Encoded.
    pub(super) values: &'p [u8],
    pub(super) encoding: Encoding,
    /// Levels: as many as rows, but for lists.
    pub(super) level_count: usize,
    pub(super) null_count: usize,
    pub(super) row_count: usize,
    /// Least and greatest value, as the column index holds them; `None` when all are null, or nobody counts.
    pub(super) bounds: Option<(Vec<u8>, Vec<u8>)>,
    /// Bytes of its texts.
    pub(super) text_bytes: Option<i64>,
}

/// The pages so far.
pub(super) struct Chunk {
    descr: ColumnDescPtr,
    compression: Compression,
    /// See [`LeafSettings::is_twin`](super::LeafSettings).
    is_twin: bool,
    /// The dictionary's page, once the chunk is closed.
    head: Vec<u8>,
    pages: TrackedWrite<Vec<u8>>,
    encodings: Vec<Encoding>,
    uncompressed_bytes: usize,
    level_count: usize,
    row_count: usize,
    null_count: usize,
    text_bytes: Option<i64>,
    offsets: OffsetIndexBuilder,
    index: Option<ColumnIndexBuilder>,
}

/// The bytes of a chunk as they lie in the file.
pub(crate) struct ChunkBytes<'c> {
    head: &'c [u8],
    pages: &'c [u8],
}

impl Length for ChunkBytes<'_> {
    fn len(&self) -> u64 {
        (self.head.len() + self.pages.len()) as u64
    }
}

impl<'c> ChunkReader for ChunkBytes<'c> {
    type T = io::Chain<&'c [u8], &'c [u8]>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let of_head = start.min(self.head.len());
        let of_pages = (start - of_head).min(self.pages.len());
        Ok(self.head[of_head..].chain(&self.pages[of_pages..]))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl Chunk {
    /// Before [`Self::begin`].
    pub(super) fn new(descr: ColumnDescPtr) -> Self {
        Self {
            index: None,
            descr,
            compression: Compression::UNCOMPRESSED,
            is_twin: false,
            head: Vec::new(),
            pages: TrackedWrite::new(Vec::new()),
            encodings: Vec::new(),
            uncompressed_bytes: 0,
            level_count: 0,
            row_count: 0,
            null_count: 0,
            text_bytes: None,
            offsets: OffsetIndexBuilder::new(),
        }
    }

    /// Makes ready for pages; `has_bounds` says whether the column index gets bounds.
    pub(super) fn begin(&mut self, compression: Compression, has_bounds: bool, is_twin: bool) {
        self.compression = compression;
        self.is_twin = is_twin;
        self.index = has_bounds.then(|| ColumnIndexBuilder::new(self.descr.physical_type()));
        self.offsets = OffsetIndexBuilder::new();
        empty(&mut self.head);
        let pages = std::mem::replace(&mut self.pages, TrackedWrite::new(Vec::new()));
        let mut pages = pages.into_inner().unwrap_or_default();
        empty(&mut pages);
        self.pages = TrackedWrite::new(pages);
        self.encodings.clear();
        self.encodings.push(Encoding::RLE);
        self.uncompressed_bytes = 0;
        self.level_count = 0;
        self.row_count = 0;
        self.null_count = 0;
        self.text_bytes = None;
    }

    pub(super) fn null_count(&self) -> u64 {
        self.null_count as u64
    }

    pub(super) fn add(
        &mut self,
        page: DataPage<'_>,
        codecs: &mut Codecs,
    ) -> Result<(), ParquetError> {
        // What the page before has given back.
        let mut buffer = std::mem::take(&mut codecs.page);
        buffer.extend_from_slice(page.repetition_levels);
        buffer.extend_from_slice(page.definition_levels);
        let level_bytes = buffer.len();
        let compressed = match self.is_twin {
            true => codecs.compress_twin(self.compression, page.values)?,
            false => codecs.compress(self.compression, page.values)?,
        };
        let is_compressed = compressed.len() < page.values.len();
        buffer.extend_from_slice(if is_compressed {
            compressed
        } else {
            page.values
        });
        let data = Page::DataPageV2 {
            buf: buffer.split().freeze(),
            num_values: page.level_count as u32,
            encoding: page.encoding,
            num_nulls: page.null_count as u32,
            num_rows: page.row_count as u32,
            def_levels_byte_len: page.definition_levels.len() as u32,
            rep_levels_byte_len: page.repetition_levels.len() as u32,
            is_compressed,
            statistics: None,
        };
        let data = CompressedPage::new(data, level_bytes + page.values.len());
        let written = SerializedPageWriter::new(&mut self.pages).write_page(data)?;
        codecs.page = buffer;
        if !self.encodings.contains(&page.encoding) {
            self.encodings.push(page.encoding);
        }
        self.uncompressed_bytes += written.uncompressed_size;
        self.level_count += page.level_count;
        self.row_count += page.row_count;
        self.null_count += page.null_count;
        if let Some(bytes) = page.text_bytes {
            *self.text_bytes.get_or_insert_default() += bytes;
        }
        self.offsets
            .append_offset_and_size(written.offset as i64, written.compressed_size as i32);
        self.offsets.append_row_count(page.row_count as i64);
        self.offsets
            .append_unencoded_byte_array_data_bytes(page.text_bytes);
        if let Some(index) = &mut self.index {
            let is_null = page.bounds.is_none();
            let (least, greatest) = page.bounds.unwrap_or_default();
            index.append(is_null, least, greatest, page.null_count as i64);
        }
        Ok(())
    }

    /// The chunk with its dictionary, if it has one, and its entry in the footer.
    pub(super) fn close(
        &mut self,
        dictionary: Option<&Dictionary>,
        statistics: Option<Statistics>,
        bloom_filter: Option<Sbbf>,
        codecs: &mut Codecs,
    ) -> Result<(ChunkBytes<'_>, ColumnCloseResult), ParquetError> {
        let mut dictionary_bytes = 0;
        if let Some(dictionary) = dictionary {
            let page = Page::DictionaryPage {
                buf: Bytes::copy_from_slice(codecs.compress(self.compression, dictionary.page())?),
                num_values: dictionary.len() as u32,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            let page = CompressedPage::new(page, dictionary.page().len());
            let mut sink = TrackedWrite::new(std::mem::take(&mut self.head));
            let written = SerializedPageWriter::new(&mut sink).write_page(page)?;
            self.head = sink.into_inner()?;
            dictionary_bytes = written.compressed_size;
            self.uncompressed_bytes += written.uncompressed_size;
            if !self.encodings.contains(&Encoding::PLAIN) {
                self.encodings.push(Encoding::PLAIN);
            }
        }
        self.pages.flush()?;
        let bytes = ChunkBytes {
            head: &self.head,
            pages: self.pages.inner(),
        };
        let mut metadata = ColumnChunkMetaData::builder(Arc::clone(&self.descr))
            .set_compression(self.compression)
            .set_encodings(self.encodings.clone())
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(self.uncompressed_bytes as i64)
            .set_num_values(self.level_count as i64)
            .set_unencoded_byte_array_data_bytes(self.text_bytes)
            .set_data_page_offset(0);
        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let offsets = std::mem::replace(&mut self.offsets, OffsetIndexBuilder::new());
        let index = self.index.take();
        let close = ColumnCloseResult {
            bytes_written: bytes.len(),
            rows_written: self.row_count as u64,
            metadata: metadata.build()?,
            bloom_filter,
            column_index: index.map(ColumnIndexBuilder::build).transpose()?,
            offset_index: Some(offsets.build()),
        };
        let close = close.update_dictionary_location(dictionary_bytes)?;
        Ok((bytes, close))
    }
}
