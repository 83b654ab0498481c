//! One column that holds values: texts, numbers or flags, a page at a time.

use datafusion::parquet::{
    basic::{Compression, Encoding},
    bloom_filter::Sbbf,
    column::writer::ColumnCloseResult,
    data_type::ByteArray,
    errors::ParquetError,
    file::statistics::{Statistics, ValueStatistics},
    schema::types::ColumnDescPtr,
};

use super::{
    bounds::{cut_greatest, cut_least},
    chunk::{Chunk, ChunkBytes, Codecs, DataPage},
    delta,
    dictionary::Dictionary,
    empty, hybrid,
};
use crate::trail::options::{BLOOM_ERRORS, LONGEST_BOUND, LONGEST_PAGE_BOUND};

/// How a column is written.
#[derive(Debug, Clone)]
pub(crate) struct LeafSettings {
    pub(crate) compression: Compression,
    /// Bytes of the dictionary after which values are written plainly; `None`: no dictionary is tried.
    pub(crate) dictionary_bytes: Option<usize>,
    pub(crate) has_bounds: bool,
    /// So many different values a Bloom filter is made for.
    pub(crate) bloom_values: Option<u64>,
    /// Its pages are mostly those of another column.
    pub(crate) is_twin: bool,
}

/// The levels of a page: which rows have a value, and how deep those end that have none.
pub(super) struct Levels<'l> {
    /// Of each row, how many of the structs around the column are there.
    pub(super) parents: &'l [u8],
    /// The rows that have the list, if the column lies in one, and how many entries.
    pub(super) lists: Option<&'l [(u16, u32)]>,
}

/// Levels as they are written.
#[derive(Default)]
struct Encoded {
    levels: Vec<u8>,
    repetition: Vec<u8>,
    definition: Vec<u8>,
    level_count: usize,
}

impl Encoded {
    /// `present` are the rows with a value, or of a list the levels of its entries.
    fn encode(&mut self, levels: &Levels<'_>, present: &Present, greatest: u8) {
        let width = hybrid::bit_width(u32::from(greatest));
        self.definition.clear();
        self.repetition.clear();
        self.levels.clear();
        match (present, levels.lists) {
            (Present::Rows(rows), _) => {
                if rows.len() == levels.parents.len() {
                    self.levels.resize(rows.len(), greatest);
                } else {
                    self.levels.extend_from_slice(levels.parents);
                    rows.iter()
                        .for_each(|row| self.levels[usize::from(*row)] = greatest);
                }
            }
            (Present::Entries(entries), lists) => {
                let mut repetition: Vec<u8> =
                    Vec::with_capacity(levels.parents.len() + entries.len());
                let (mut lists, mut entries) = (lists.unwrap_or_default(), &entries[..]);
                for (row, parent) in (0..).zip(levels.parents) {
                    let Some(((_, count), rest)) = lists
                        .split_first()
                        .filter(|((of_row, _), _)| *of_row == row)
                    else {
                        repetition.push(0);
                        self.levels.push(*parent);
                        continue;
                    };
                    lists = rest;
                    let (own, rest) = entries.split_at(*count as usize);
                    entries = rest;
                    repetition.push(0);
                    if own.is_empty() {
                        self.levels.push(parent + 1);
                        continue;
                    }
                    repetition.resize(repetition.len() + own.len() - 1, 1);
                    self.levels.extend_from_slice(own);
                }
                hybrid::encode(&repetition, 1, &mut self.repetition);
            }
        }
        self.level_count = self.levels.len();
        hybrid::encode(&self.levels, width, &mut self.definition);
    }
}

/// What of a page has values.
enum Present {
    /// The rows, ascending.
    Rows(Vec<u16>),
    /// In a list: of each entry, how deep it is there.
    Entries(Vec<u8>),
}

impl Present {
    fn clear(&mut self) {
        match self {
            Self::Rows(rows) => rows.clear(),
            Self::Entries(entries) => entries.clear(),
        }
    }
}

/// The least and the greatest of some texts.
#[derive(Default)]
struct TextBounds(Option<(Vec<u8>, Vec<u8>)>);

impl TextBounds {
    fn widen(&mut self, text: &[u8]) {
        match &mut self.0 {
            None => self.0 = Some((text.to_vec(), text.to_vec())),
            Some((least, greatest)) => {
                if text < least.as_slice() {
                    least.clear();
                    least.extend_from_slice(text);
                } else if text > greatest.as_slice() {
                    greatest.clear();
                    greatest.extend_from_slice(text);
                }
            }
        }
    }

    fn widen_by(&mut self, other: &Self) {
        if let Some((least, greatest)) = &other.0 {
            self.widen(least);
            self.widen(greatest);
        }
    }
}

/// A column of texts.
pub(super) struct TextLeaf {
    settings: LeafSettings,
    chunk: Chunk,
    greatest_level: u8,
    present: Present,
    /// `None` when none is tried.
    dictionary: Option<Dictionary>,
    /// Whether the dictionary is as large as it may become, or of no use.
    is_full: bool,
    /// Values in the pages so far.
    value_count: usize,
    /// The page's values: their numbers, or their lengths and texts.
    numbers: Vec<u32>,
    plain: Vec<u8>,
    plain_count: usize,
    text_bytes: usize,
    /// By number: the last page (from 1) that has the text.
    seen: Vec<u32>,
    page: u32,
    page_bounds: TextBounds,
    bounds: TextBounds,
    bloom: Option<Sbbf>,
    encoded: Encoded,
    values: Vec<u8>,
}

impl TextLeaf {
    /// Before [`Self::begin`].
    pub(super) fn new(descr: ColumnDescPtr) -> Self {
        Self {
            greatest_level: u8::try_from(descr.max_def_level()).unwrap_or(u8::MAX),
            present: match descr.max_rep_level() {
                0 => Present::Rows(Vec::new()),
                _ => Present::Entries(Vec::new()),
            },
            chunk: Chunk::new(descr),
            dictionary: None,
            is_full: false,
            value_count: 0,
            numbers: Vec::new(),
            plain: Vec::new(),
            plain_count: 0,
            text_bytes: 0,
            seen: Vec::new(),
            page: 1,
            page_bounds: TextBounds::default(),
            bounds: TextBounds::default(),
            bloom: None,
            encoded: Encoded::default(),
            values: Vec::new(),
            settings: LeafSettings {
                compression: Compression::UNCOMPRESSED,
                dictionary_bytes: None,
                has_bounds: false,
                bloom_values: None,
                is_twin: false,
            },
        }
    }

    /// Makes ready for a row group.
    pub(super) fn begin(&mut self, settings: &LeafSettings) -> Result<(), ParquetError> {
        self.settings.clone_from(settings);
        self.begin_again()
    }

    /// Makes ready for another one of the same file.
    pub(super) fn begin_again(&mut self) -> Result<(), ParquetError> {
        let LeafSettings {
            compression,
            dictionary_bytes,
            has_bounds,
            bloom_values,
            is_twin,
        } = self.settings;
        let bloom = bloom_values.map(|count| Sbbf::new_with_ndv_fpp(count, BLOOM_ERRORS));
        self.bloom = bloom.transpose()?;
        self.chunk.begin(compression, has_bounds, is_twin);
        match (&mut self.dictionary, dictionary_bytes) {
            (dictionary, None) => *dictionary = None,
            (Some(dictionary), Some(_)) => dictionary.clear(),
            (dictionary, Some(_)) => *dictionary = Some(Dictionary::new()),
        }
        self.present.clear();
        empty(&mut self.numbers);
        empty(&mut self.plain);
        empty(&mut self.seen);
        empty(&mut self.values);
        self.is_full = false;
        self.value_count = 0;
        self.plain_count = 0;
        self.text_bytes = 0;
        self.page = 1;
        self.page_bounds = TextBounds::default();
        self.bounds = TextBounds::default();
        Ok(())
    }

    /// Appends the text of a row; its number in this row group, if it has one.
    #[inline]
    pub(super) fn push(&mut self, row: u16, text: &[u8]) -> Option<u32> {
        if let Present::Rows(rows) = &mut self.present {
            rows.push(row);
        }
        self.append(text)
    }

    /// Appends a text that [`Self::push`] gave a number in this row group.
    #[inline]
    pub(super) fn push_number(&mut self, row: u16, number: u32) {
        if let Present::Rows(rows) = &mut self.present {
            rows.push(row);
        }
        if !self.is_full {
            let length = self.dictionary.as_ref().map_or(0, |d| d.length(number));
            self.append_number(number, length);
        } else if let Some(dictionary) = self.dictionary.take() {
            // The page before was the last one with numbers.
            self.append_plain(dictionary.text(number));
            self.dictionary = Some(dictionary);
        }
    }

    /// Appends an entry of a list; without a text, it is there down to a level.
    pub(super) fn push_entry(&mut self, entry: Result<&str, u8>) {
        if let Present::Entries(entries) = &mut self.present {
            entries.push(entry.err().unwrap_or(self.greatest_level));
        }
        if let Ok(text) = entry {
            self.append(text.as_bytes());
        }
    }

    #[inline]
    fn append(&mut self, text: &[u8]) -> Option<u32> {
        match &mut self.dictionary {
            Some(dictionary) if !self.is_full => {
                let number = dictionary.number(text);
                self.append_number(number, text.len());
                Some(number)
            }
            _ => {
                self.append_plain(text);
                None
            }
        }
    }

    /// Appends a text of so many bytes by its number.
    #[inline]
    fn append_number(&mut self, number: u32, length: usize) {
        self.numbers.push(number);
        self.text_bytes += length;
        if !self.settings.has_bounds && self.bloom.is_none() {
            return;
        }
        let Some(dictionary) = &self.dictionary else {
            return;
        };
        if number as usize >= self.seen.len() {
            self.seen.push(0);
            if let Some(bloom) = &mut self.bloom {
                bloom.insert(dictionary.text(number));
            }
        }
        let seen = &mut self.seen[number as usize];
        if std::mem::replace(seen, self.page) != self.page {
            self.page_bounds.widen(dictionary.text(number));
        }
    }

    fn append_plain(&mut self, text: &[u8]) {
        self.text_bytes += text.len();
        self.plain_count += 1;
        self.plain
            .extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.plain.extend_from_slice(text);
        if self.settings.has_bounds {
            self.page_bounds.widen(text);
        }
        if let Some(bloom) = &mut self.bloom {
            bloom.insert(text);
        }
    }

    pub(super) fn end_page(
        &mut self,
        levels: &Levels<'_>,
        codecs: &mut Codecs,
    ) -> Result<(), ParquetError> {
        self.encoded
            .encode(levels, &self.present, self.greatest_level);
        self.values.clear();
        let (encoding, count) = match &self.dictionary {
            Some(dictionary) if !self.is_full => {
                let width = hybrid::bit_width((dictionary.len() as u32).saturating_sub(1));
                self.values.push(width);
                hybrid::encode(&self.numbers, width, &mut self.values);
                (Encoding::RLE_DICTIONARY, self.numbers.len())
            }
            _ => (Encoding::PLAIN, self.plain_count),
        };
        let page_bounds = std::mem::take(&mut self.page_bounds);
        self.bounds.widen_by(&page_bounds);
        let cut = |(least, greatest): (Vec<u8>, Vec<u8>)| {
            let least = cut_least(&least, LONGEST_PAGE_BOUND).0.to_vec();
            (least, cut_greatest(&greatest, LONGEST_PAGE_BOUND).0)
        };
        let page = DataPage {
            repetition_levels: &self.encoded.repetition,
            definition_levels: &self.encoded.definition,
            values: match encoding {
                Encoding::PLAIN => &self.plain,
                _ => &self.values,
            },
            encoding,
            level_count: self.encoded.level_count,
            null_count: self.encoded.level_count - count,
            row_count: levels.parents.len(),
            bounds: page_bounds.0.map(cut),
            text_bytes: Some(self.text_bytes as i64),
        };
        self.chunk.add(page, codecs)?;
        self.present.clear();
        self.numbers.clear();
        self.plain.clear();
        self.plain_count = 0;
        self.text_bytes = 0;
        self.page += 1;
        let most = self.settings.dictionary_bytes.unwrap_or_default();
        // Texts of which most differ are no use in a dictionary, and looking each up is not for nothing.
        self.value_count += count;
        let is_full = |d: &Dictionary| d.page().len() > most || d.len() * 2 > self.value_count;
        self.is_full |= count > 0 && self.dictionary.as_ref().is_some_and(is_full);
        Ok(())
    }

    /// The chunk; [`Self::begin_again`] makes ready for another one then.
    pub(super) fn close(
        &mut self,
        codecs: &mut Codecs,
    ) -> Result<(ChunkBytes<'_>, ColumnCloseResult), ParquetError> {
        let statistics = self.settings.has_bounds.then(|| {
            let nulls = Some(self.chunk.null_count());
            match &self.bounds.0 {
                None => ValueStatistics::<ByteArray>::new(None, None, None, nulls, false).into(),
                Some((least, greatest)) => {
                    let (least, is_least) = cut_least(least, LONGEST_BOUND);
                    let (greatest, is_greatest) = cut_greatest(greatest, LONGEST_BOUND);
                    let (least, greatest) = (least.to_vec().into(), greatest.into());
                    ValueStatistics::<ByteArray>::new(
                        Some(least),
                        Some(greatest),
                        None,
                        nulls,
                        false,
                    )
                    .with_min_is_exact(is_least)
                    .with_max_is_exact(is_greatest)
                    .into()
                }
            }
        });
        let bloom = self.bloom.take().map(|mut bloom| {
            bloom.fold_to_target_fpp(BLOOM_ERRORS);
            bloom
        });
        self.chunk
            .close(self.dictionary.as_ref(), statistics, bloom, codecs)
    }
}

/// A column of whole numbers or of flags at the top of a row.
pub(super) struct NumberLeaf {
    chunk: Chunk,
    compression: Compression,
    is_flag: bool,
    present: Present,
    values: Vec<i64>,
    bounds: Option<(i64, i64)>,
    encoded: Encoded,
    bytes: Vec<u8>,
}

impl NumberLeaf {
    /// Before [`Self::begin`]. Flags are numbers 0 and 1.
    pub(super) fn new(descr: ColumnDescPtr, is_flag: bool) -> Self {
        Self {
            chunk: Chunk::new(descr),
            compression: Compression::UNCOMPRESSED,
            is_flag,
            present: Present::Rows(Vec::new()),
            values: Vec::new(),
            bounds: None,
            encoded: Encoded::default(),
            bytes: Vec::new(),
        }
    }

    /// Makes ready for a row group.
    pub(super) fn begin(&mut self, compression: Compression) {
        self.compression = compression;
        self.begin_again();
    }

    /// Makes ready for another one of the same file.
    pub(super) fn begin_again(&mut self) {
        self.chunk.begin(self.compression, true, false);
        self.present.clear();
        empty(&mut self.values);
        empty(&mut self.bytes);
        self.bounds = None;
    }

    #[inline]
    pub(super) fn push(&mut self, row: u16, value: i64) {
        if let Present::Rows(rows) = &mut self.present {
            rows.push(row);
        }
        self.values.push(value);
    }

    /// A value as statistics hold it.
    fn plain(&self, value: i64) -> Vec<u8> {
        match self.is_flag {
            true => vec![value as u8],
            false => value.to_le_bytes().to_vec(),
        }
    }

    pub(super) fn end_page(
        &mut self,
        levels: &Levels<'_>,
        codecs: &mut Codecs,
    ) -> Result<(), ParquetError> {
        self.encoded.encode(levels, &self.present, 1);
        self.bytes.clear();
        let encoding = if self.is_flag {
            let flags = self.values.iter().map(|value| *value as u8);
            let flags = flags.collect::<Vec<_>>();
            self.bytes.extend_from_slice(&[0; 4]);
            hybrid::encode(&flags, 1, &mut self.bytes);
            let length = (self.bytes.len() - 4) as u32;
            self.bytes[..4].copy_from_slice(&length.to_le_bytes());
            Encoding::RLE
        } else {
            delta::encode(&self.values, &mut self.bytes);
            Encoding::DELTA_BINARY_PACKED
        };
        let least = self.values.iter().copied().min();
        let page_bounds = least.zip(self.values.iter().copied().max());
        if let Some((least, greatest)) = page_bounds {
            let (a, b) = self.bounds.unwrap_or((least, greatest));
            self.bounds = Some((a.min(least), b.max(greatest)));
        }
        let page = DataPage {
            repetition_levels: &[],
            definition_levels: &self.encoded.definition,
            values: &self.bytes,
            encoding,
            level_count: self.encoded.level_count,
            null_count: self.encoded.level_count - self.values.len(),
            row_count: levels.parents.len(),
            bounds: page_bounds.map(|(least, greatest)| (self.plain(least), self.plain(greatest))),
            text_bytes: None,
        };
        self.chunk.add(page, codecs)?;
        self.present.clear();
        self.values.clear();
        Ok(())
    }

    /// The chunk; [`Self::begin_again`] makes ready for another one then.
    pub(super) fn close(
        &mut self,
        codecs: &mut Codecs,
    ) -> Result<(ChunkBytes<'_>, ColumnCloseResult), ParquetError> {
        let nulls = Some(self.chunk.null_count());
        let (least, greatest) = self.bounds.unzip();
        let statistics: Statistics = match self.is_flag {
            true => {
                let flag = |value: Option<i64>| value.map(|value| value != 0);
                ValueStatistics::new(flag(least), flag(greatest), None, nulls, false).into()
            }
            false => ValueStatistics::new(least, greatest, None, nulls, false)
                .with_backwards_compatible_min_max(true)
                .into(),
        };
        self.chunk.close(None, Some(statistics), None, codecs)
    }
}
