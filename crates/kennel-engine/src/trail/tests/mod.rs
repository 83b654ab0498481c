//! Records held and written; table files merged and compacted, over a small schema with all kinds of columns.

mod compacting;
mod holding;
mod writing;

use std::{path::PathBuf, sync::Arc};

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListBuilder, MapBuilder,
            RecordBatch, StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
        },
        compute::{concat_batches, interleave_record_batch},
        datatypes::{Int64Type, Schema, TimestampMicrosecondType},
    },
    parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
};
use kennel_cache::{CacheWriter, Stage};

use super::{
    NewTrailFile, TrailTableFile, TrailWriteOptions,
    files::{CHUNK_ROWS, TrailWriter},
};

/// One event as the tests see it, in the order of table files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    time: Option<i64>,
    id: String,
    account: String,
    key: String,
    index: i64,
    is_duplicate: bool,
}

fn row(time: Option<i64>, id: &str, account: &str, key: &str, index: i64) -> Row {
    Row {
        time,
        id: id.into(),
        account: account.into(),
        key: key.into(),
        index,
        is_duplicate: false,
    }
}

/// A text that belongs to a row and to no other.
fn payload(row: &Row) -> String {
    format!(r#"{{"from":"{}","at":{}}}"#, row.key, row.index)
}

/// The key columns, the flag, a day, and nested columns that hold the row's payload.
fn batch(rows: &[Row]) -> RecordBatch {
    let texts = |text: fn(&Row) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(text)))
    };
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    let mut list = ListBuilder::new(StringBuilder::new());
    for row in rows {
        map.keys().append_value("payload");
        map.values().append_value(payload(row));
        map.append(true).unwrap();
        list.values().append_value(payload(row));
        list.append(row.index % 3 != 0);
    }
    let map: ArrayRef = Arc::new(map.finish());
    let identity = StructArray::try_from(vec![("arn", texts(payload)), ("tags", map)]).unwrap();
    let times = TimestampMicrosecondArray::from_iter(rows.iter().map(|row| row.time));
    let indices = Int64Array::from_iter_values(rows.iter().map(|row| row.index));
    let flags = BooleanArray::from_iter(rows.iter().map(|row| Some(row.is_duplicate)));
    RecordBatch::try_from_iter_with_nullable([
        ("useridentity", Arc::new(identity) as ArrayRef, true),
        ("requestparameters", texts(payload), true),
        ("resources", Arc::new(list.finish()), true),
        (
            "timestamp",
            texts(|row| format!("2026/03/{:02}", 1 + row.index.rem_euclid(28))),
            true,
        ),
        ("eventid", texts(|row| row.id.clone()), true),
        ("event_time", Arc::new(times.with_timezone("UTC")), true),
        ("account_id", texts(|row| row.account.clone()), true),
        ("record_id", texts(|row| row.id.clone()), true),
        ("is_duplicate", Arc::new(flags), true),
        ("object_key", texts(|row| row.key.clone()), true),
        ("record_index", Arc::new(indices), true),
    ])
    .unwrap()
}

/// Reads rows back, and checks that every payload came with its row.
fn rows(batch: &RecordBatch) -> Vec<Row> {
    let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>();
    let times = batch.column_by_name("event_time").unwrap();
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let indices = batch.column_by_name("record_index").unwrap();
    let indices = indices.as_primitive::<Int64Type>();
    let flags = batch.column_by_name("is_duplicate").unwrap().as_boolean();
    let (ids, accounts, keys) = (text("record_id"), text("account_id"), text("object_key"));
    let found = (0..batch.num_rows())
        .map(|at| Row {
            time: times.is_valid(at).then(|| times.value(at)),
            id: ids.value(at).into(),
            account: accounts.value(at).into(),
            key: keys.value(at).into(),
            index: indices.value(at),
            is_duplicate: flags.value(at),
        })
        .collect::<Vec<_>>();
    let expected = self::batch(&found);
    for name in ["useridentity", "requestparameters", "resources"] {
        let (expected, found) = (expected.column_by_name(name), batch.column_by_name(name));
        assert_eq!(expected, found);
    }
    found
}

/// Writes rows as a sync writes records: sorted, repeated events flagged.
fn write_sorted(
    rows: &RecordBatch,
    stage: &Stage,
    options: &TrailWriteOptions,
) -> Vec<NewTrailFile> {
    let found = self::rows(rows);
    let mut order = (0..found.len()).collect::<Vec<_>>();
    order.sort_by_key(|row| &found[*row]);
    let mut writer = TrailWriter::new(stage, rows.schema(), options, found.len() as u64);
    let mut before = None;
    let flag_column = rows.schema().index_of("is_duplicate").unwrap();
    for chunk in order.chunks(CHUNK_ROWS) {
        let flags = chunk.iter().map(|row| {
            let row = &found[*row];
            let event = Some((row.time, &row.id, &row.account));
            let is_repeated = before == event;
            before = event;
            Some(row.is_duplicate || is_repeated)
        });
        let flags: ArrayRef = Arc::new(flags.collect::<BooleanArray>());
        let places = chunk.iter().map(|row| (0, *row)).collect::<Vec<_>>();
        let sorted = interleave_record_batch(&[rows], &places).unwrap();
        let mut columns = sorted.columns().to_vec();
        columns[flag_column] = flags;
        let sorted = RecordBatch::try_new(rows.schema(), columns).unwrap();
        writer.write(&sorted).unwrap();
    }
    writer.finish().unwrap()
}

/// A cache with a writer.
struct TestTables {
    _folder: tempfile::TempDir,
    stage: Stage,
    root: PathBuf,
    _writer: CacheWriter,
}

impl TestTables {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let writer = CacheWriter::open(folder.path(), now).unwrap();
        Self {
            stage: writer.stage(),
            root: kennel_cache::Home::new(folder.path()).tables(),
            _folder: folder,
            _writer: writer,
        }
    }

    fn parquet(&self, table_path: &str) -> ParquetRecordBatchReaderBuilder<std::fs::File> {
        let file = std::fs::File::open(self.root.join(table_path)).unwrap();
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap()
    }

    fn read(&self, table_path: &str) -> RecordBatch {
        let reader = self.parquet(table_path);
        let schema = Arc::new(Schema::new(reader.schema().fields().clone()));
        let batches = reader.build().unwrap().map(|batch| batch.unwrap());
        let batches = batches.map(|batch| batch.with_schema(Arc::clone(&schema)).unwrap());
        concat_batches(&schema, &batches.collect::<Vec<_>>()).unwrap()
    }

    fn rows(&self, table_path: &str) -> Vec<Row> {
        rows(&self.read(table_path))
    }

    fn row_groups(&self, table_path: &str) -> Vec<Vec<Row>> {
        let count = self.parquet(table_path).metadata().num_row_groups();
        let group = |index| {
            let reader = self.parquet(table_path).with_row_groups(vec![index]);
            let batches = reader.build().unwrap().map(|batch| batch.unwrap());
            batches.flat_map(|batch| rows(&batch)).collect()
        };
        (0..count).map(group).collect()
    }

    fn staged_count(&self) -> usize {
        let staging = self.root.parent().unwrap().join("staging");
        std::fs::read_dir(staging).unwrap().count()
    }
}
