//! `kennel.objects`: every object version that the cache keeps, as a stream. There may be millions of CloudTrail's, so
//! that nobody holds them all.

use std::{path::PathBuf, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder},
        datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    },
    catalog::{TableProvider, streaming::StreamingTable},
    error::{DataFusionError, Result as DataFusionResult},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_plan::{stream::RecordBatchReceiverStreamBuilder, streaming::PartitionStream},
};
use kennel_cache::{Cache, CacheError, ObjectVersion, TrailFlags, TrailObject};

use super::{Shared, external};

/// Rows of a batch.
const BATCH_ROWS: usize = 8 * 1024;
/// Batches that wait for whoever reads them.
const WAITING: usize = 2;

/// The table: `source: Utf8, key: Utf8, etag: Utf8, size_bytes: Int64, modified_at: Timestamp(µs, UTC), sha256: Utf8,
/// verified_by: Utf8, fetched_at, snapshot_at, superseded_at, missing_since: Timestamp(µs, UTC), record_count: Int64,
/// flags: Utf8`, k9's objects first, by source and key.
///
/// A CloudTrail object has no snapshot of its own: it is part of all since it was fetched. `record_count` and `flags`
/// (`several_members`, `damaged`, `replaced`, with commas between) are CloudTrail's alone.
pub(super) fn open(shared: &Shared) -> DataFusionResult<Arc<dyn TableProvider>> {
    let schema = schema();
    let home = shared.cache().map(|cache| cache.home().root().to_owned());
    let stream = Arc::new(Objects {
        home,
        schema: Arc::clone(&schema),
    });
    Ok(Arc::new(StreamingTable::try_new(schema, vec![stream])?))
}

fn schema() -> SchemaRef {
    let instant = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("source", DataType::Utf8),
        field("key", DataType::Utf8),
        field("etag", DataType::Utf8),
        field("size_bytes", DataType::Int64),
        field("modified_at", instant()),
        field("sha256", DataType::Utf8),
        field("verified_by", DataType::Utf8),
        field("fetched_at", instant()),
        field("snapshot_at", instant()),
        field("superseded_at", instant()),
        field("missing_since", instant()),
        field("record_count", DataType::Int64),
        field("flags", DataType::Utf8),
    ]))
}

#[derive(Debug)]
struct Objects {
    /// `None` before the first sync.
    home: Option<PathBuf>,
    schema: SchemaRef,
}

impl PartitionStream for Objects {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), WAITING);
        if let Some(home) = self.home.clone() {
            let sender = builder.tx();
            let schema = Arc::clone(&self.schema);
            // SQLite blocks, and a reader of the manifest belongs to one thread.
            builder.spawn_blocking(move || {
                let mut rows = Rows::new(schema);
                // Whoever asked may have seen enough.
                let mut send = |batch| sender.blocking_send(Ok(batch)).is_ok();
                read(&home, &mut rows, &mut send)
            });
        }
        builder.build()
    }
}

/// Reads all objects; ends early when `send` says that nobody listens.
fn read(
    home: &std::path::Path,
    rows: &mut Rows,
    send: &mut dyn FnMut(RecordBatch) -> bool,
) -> DataFusionResult<()> {
    let cache = match Cache::open(home) {
        Err(CacheError::NotFound { .. }) => return Ok(()),
        cache => cache.map_err(external)?,
    };
    for object in cache.object_versions().map_err(external)? {
        rows.version(&object);
        if rows.is_full() && !send(rows.finish()?) {
            return Ok(());
        }
    }
    for object in cache.trail_objects() {
        rows.trail_object(&object.map_err(external)?);
        if rows.is_full() && !send(rows.finish()?) {
            return Ok(());
        }
    }
    send(rows.finish()?);
    Ok(())
}

/// A batch in the making.
struct Rows {
    schema: SchemaRef,
    row_count: usize,
    /// `source`, `key`, `etag`, `sha256`, `verified_by`, `flags`.
    texts: [StringBuilder; 6],
    /// `size_bytes`, `record_count`.
    counts: [Int64Builder; 2],
    /// `modified_at`, `fetched_at`, `snapshot_at`, `superseded_at`, `missing_since`.
    instants: [TimestampMicrosecondBuilder; 5],
}

impl Rows {
    fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            row_count: 0,
            texts: Default::default(),
            counts: Default::default(),
            instants: Default::default(),
        }
    }

    fn is_full(&self) -> bool {
        self.row_count >= BATCH_ROWS
    }

    fn append(
        &mut self,
        texts: [Option<&str>; 6],
        counts: [Option<u64>; 2],
        instants: [Option<chrono::DateTime<chrono::Utc>>; 5],
    ) {
        self.row_count += 1;
        for (builder, text) in self.texts.iter_mut().zip(texts) {
            builder.append_option(text);
        }
        for (builder, count) in self.counts.iter_mut().zip(counts) {
            builder.append_option(count.and_then(|count| i64::try_from(count).ok()));
        }
        for (builder, at) in self.instants.iter_mut().zip(instants) {
            builder.append_option(at.map(|at| at.timestamp_micros()));
        }
    }

    fn version(&mut self, object: &ObjectVersion) {
        self.append(
            [
                Some(object.source.as_str()),
                Some(&object.key),
                Some(&object.etag),
                Some(&object.sha256.to_string()),
                Some(&object.verified_by),
                None,
            ],
            [Some(object.size_bytes), None],
            [
                Some(object.modified_at),
                Some(object.fetched_at),
                Some(object.valid_from),
                object.valid_to,
                object.missing_since,
            ],
        );
    }

    fn trail_object(&mut self, known: &TrailObject) {
        let object = &known.object;
        self.append(
            [
                Some(known.source.as_str()),
                Some(&object.key),
                Some(&object.etag),
                Some(&object.sha256.to_string()),
                Some(&object.verified_by),
                flags_text(known.flags).as_deref(),
            ],
            [Some(object.size_bytes), Some(known.record_count)],
            [
                Some(object.modified_at),
                Some(object.fetched_at),
                None,
                None,
                None,
            ],
        );
    }

    fn finish(&mut self) -> DataFusionResult<RecordBatch> {
        self.row_count = 0;
        let [source, key, etag, sha256, verified_by, flags] = self
            .texts
            .each_mut()
            .map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let [size_bytes, record_count] = self
            .counts
            .each_mut()
            .map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let [
            modified_at,
            fetched_at,
            snapshot_at,
            superseded_at,
            missing_since,
        ] = self
            .instants
            .each_mut()
            .map(|builder| Arc::new(builder.finish().with_timezone("UTC")) as ArrayRef);
        let columns = vec![
            source,
            key,
            etag,
            size_bytes,
            modified_at,
            sha256,
            verified_by,
            fetched_at,
            snapshot_at,
            superseded_at,
            missing_since,
            record_count,
            flags,
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(DataFusionError::from)
    }
}

/// `None` when nothing is odd.
fn flags_text(flags: TrailFlags) -> Option<String> {
    let names = [
        ("several_members", flags.several_members),
        ("damaged", flags.damaged),
        ("replaced", flags.replaced),
    ];
    let set = names.into_iter().filter(|(_, is_set)| *is_set);
    let text = set.map(|(name, _)| name).collect::<Vec<_>>().join(",");
    (!text.is_empty()).then_some(text)
}
