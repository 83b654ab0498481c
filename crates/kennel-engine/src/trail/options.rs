//! How table files are encoded: which columns get dictionaries, statistics and Bloom filters, and how
//! large pages, row groups and files become.

use datafusion::{
    arrow::datatypes::Schema,
    parquet::{
        arrow::ArrowSchemaConverter,
        basic::{Compression, Encoding, Type, ZstdLevel},
        errors::ParquetError,
        file::{
            metadata::{KeyValue, SortingColumn},
            properties::{EnabledStatistics, WriterProperties, WriterVersion},
        },
        schema::types::{ColumnDescriptor, SchemaDescriptor},
    },
};

use super::{
    encode::LeafSettings,
    key::{EVENT_TIME, IDENTITY, PLACE},
};

/// Share of Bloom filters' answers that are wrong.
pub(super) const BLOOM_ERRORS: f64 = 0.01;

/// Longer texts are no use as a minimum or maximum; row groups keep shorter ones whole.
pub(super) const LONGEST_BOUND: usize = 256;
/// Of page statistics, a prefix is enough to skip pages.
pub(super) const LONGEST_PAGE_BOUND: usize = 32;

/// Entry of a footer that says how the rows of a row group are ordered, where that is not by time.
pub(super) const ROW_ORDER: &str = "kennel.row_order";
/// See [`TrailWriteOptions::is_by_caller`].
pub(super) const BY_CALLER: &str = "caller";

/// Columns that hold the same texts but for records without an id: pages of the one are those of the other.
const TWINS: [&str; 2] = ["eventid", "record_id"];

/// How table files of a trail are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailWriteOptions {
    /// Level of zstd, 1 to 22; `None` compresses all columns with Snappy.
    pub zstd_level: Option<i32>,
    /// Columns with much text, which zstd compresses; the others are small once they have dictionaries, and
    /// Snappy does. Each column that zstd compresses costs a writer a megabyte, and a reader the making of a context.
    pub zstd_columns: Vec<String>,
    /// A file is ended at the next change of `event_time` after it reached this size.
    pub max_file_bytes: u64,
    /// A new file of this size stays as a batch wrote it, unless another file holds an event of it.
    pub min_settled_bytes: u64,
    /// Largest number of rows of a row group.
    pub row_group_rows: usize,
    /// Largest size of a row group's rows as the writer is given them, JSON or Arrow: it holds them until they are written.
    pub row_group_bytes: usize,
    /// Whether a row group brings the rows of an account's caller together, each caller's in the order of time. What one
    /// principal did then lies on few pages; row groups themselves are always in the order of time.
    pub is_by_caller: bool,
    /// Rows of a page: the unit that a filter skips.
    pub page_rows: usize,
    /// Largest dictionary of a column; beyond it, the column's values are written plainly. A reader of
    /// one page needs the whole dictionary.
    pub dictionary_bytes: usize,
    /// Columns in which nearly every value differs: no dictionary is tried.
    pub plain_columns: Vec<String>,
    /// Columns that get no statistics: nobody compares them with a value, or their values are random, so that each page
    /// reaches from the least to the greatest of them. Columns with nested values get none either, since nothing
    /// could use them.
    pub unbounded_columns: Vec<String>,
    /// Columns that are looked up by value and get Bloom filters.
    pub bloom_columns: Vec<String>,
    /// Files of fewer rows get no Bloom filters: reading them whole is as quick.
    pub bloom_min_rows: u64,
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).into()).collect()
}

impl Default for TrailWriteOptions {
    /// For files that stay.
    fn default() -> Self {
        Self {
            // Measured on two million events: level 3 takes a fifth more time and 3 % more bytes (half
            // of the bytes are hexadecimal ids, which it does not like), level 6 two fifths more time
            // for 3 % less bytes.
            zstd_level: Some(1),
            zstd_columns: names(&[
                "eventid",
                "record_id",
                "requestid",
                "sharedeventid",
                "object_key",
                "useragent",
                "errormessage",
                "requestparameters",
                "responseelements",
                "additionaleventdata",
                "serviceeventdetails",
                "resources",
                "insightdetails",
                "eventcontext",
                "extra",
            ]),
            max_file_bytes: 128 << 20,
            min_settled_bytes: 4 << 20,
            row_group_rows: 64 * 1024,
            row_group_bytes: 96 << 20,
            is_by_caller: true,
            page_rows: 4 * 1024,
            dictionary_bytes: 256 << 10,
            plain_columns: names(&["record_id", "eventid", "requestid", "sharedeventid"]),
            unbounded_columns: names(&[
                "requestparameters",
                "responseelements",
                "additionaleventdata",
                "serviceeventdetails",
                "insightdetails",
                "eventcontext",
                "errormessage",
                "useragent",
                "extra",
                "record_id",
                "eventid",
                "requestid",
            ]),
            bloom_columns: names(&[
                "eventid",
                "access_key_id",
                "principal_arn",
                "sourceipaddress",
            ]),
            bloom_min_rows: 50_000,
        }
    }
}

impl TrailWriteOptions {
    /// For small runs, which are merged soon: quick to write, and cheap to read many at once. Hence small pages
    /// and Snappy, of which a column's decoder needs no memory of its own (of zstd, 0.1 MB).
    pub fn run() -> Self {
        Self {
            zstd_level: None,
            page_rows: 1024,
            dictionary_bytes: 64 << 10,
            bloom_columns: vec![],
            is_by_caller: false,
            ..Self::default()
        }
    }

    /// The writer's settings for a file of about `expected_row_count` rows with these columns.
    pub(super) fn properties(
        &self,
        schema: &Schema,
        expected_row_count: u64,
    ) -> Result<WriterProperties, ParquetError> {
        let leaves = ArrowSchemaConverter::new().convert(schema)?;
        let mut properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_max_row_group_row_count(Some(self.row_group_rows.max(1)))
            .set_max_row_group_bytes(Some(self.row_group_bytes.max(1)))
            .set_data_page_row_count_limit(self.page_rows.max(1))
            .set_write_batch_size(self.page_rows.clamp(1, 1024))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_statistics_truncate_length(Some(LONGEST_BOUND))
            .set_column_index_truncate_length(Some(LONGEST_PAGE_BOUND))
            .set_created_by("kennel".into());
        properties = match self.is_by_caller {
            true => {
                let note = KeyValue::new(ROW_ORDER.into(), BY_CALLER.to_owned());
                properties.set_key_value_metadata(Some(vec![note]))
            }
            false => properties.set_sorting_columns(Some(sorting_columns(&leaves))),
        };
        for leaf in leaves.columns() {
            let path = || leaf.path().clone();
            let settings = self.leaf_settings(leaf, expected_row_count)?;
            properties = properties.set_column_compression(path(), settings.compression);
            properties = match settings.dictionary_bytes {
                None => properties.set_column_dictionary_enabled(path(), false),
                Some(most) => properties.set_column_dictionary_page_size_limit(path(), most),
            };
            if !settings.has_bounds {
                properties =
                    properties.set_column_statistics_enabled(path(), EnabledStatistics::None);
            }
            if leaf.physical_type() == Type::BYTE_ARRAY {
                // For what has no dictionary: ids share no beginnings, and JSON is zstd's work.
                properties = properties.set_column_encoding(path(), Encoding::PLAIN);
            } else if leaf.name() == EVENT_TIME {
                // In order, or each caller's in order: neighbours differ by little.
                properties = properties.set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED);
            }
            if let Some(most) = settings.bloom_values {
                properties = properties
                    .set_column_bloom_filter_fpp(path(), BLOOM_ERRORS)
                    .set_column_bloom_filter_max_ndv(path(), most);
            }
        }
        Ok(properties.build())
    }

    /// How a column is written in a file of about `expected_row_count` rows.
    pub(super) fn leaf_settings(
        &self,
        leaf: &ColumnDescriptor,
        expected_row_count: u64,
    ) -> Result<LeafSettings, ParquetError> {
        let path = leaf.path().parts();
        let column = path.first().map_or("", String::as_str);
        let has = |names: &[String]| names.iter().any(|name| name == column);
        let zstd = self.zstd_level.filter(|_| has(&self.zstd_columns));
        let has_dictionary = column != EVENT_TIME && !has(&self.plain_columns);
        let has_bloom = has(&self.bloom_columns) && expected_row_count >= self.bloom_min_rows;
        // Sized for distinct rows; the writer folds it down to the values there are.
        let most_values = expected_row_count.min(self.row_group_rows as u64).max(1);
        Ok(LeafSettings {
            compression: match zstd {
                Some(level) => Compression::ZSTD(ZstdLevel::try_new(level)?),
                None => Compression::SNAPPY,
            },
            dictionary_bytes: has_dictionary.then_some(self.dictionary_bytes),
            has_bounds: path.len() == 1 && !has(&self.unbounded_columns),
            bloom_values: has_bloom.then_some(most_values),
            is_twin: path.len() == 1 && TWINS.contains(&column),
        })
    }
}

fn sorting_columns(leaves: &SchemaDescriptor) -> Vec<SortingColumn> {
    IDENTITY
        .iter()
        .chain(&PLACE)
        .filter_map(|name| {
            let index = leaves
                .columns()
                .iter()
                .position(|leaf| matches!(leaf.path().parts(), [only] if only == name))?;
            Some(SortingColumn {
                column_idx: i32::try_from(index).ok()?,
                descending: false,
                nulls_first: true,
            })
        })
        .collect()
}
