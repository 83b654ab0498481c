//! Rows on their way to record batches: one Arrow builder for each leaf of the schema.

use std::sync::Arc;

use datafusion::arrow::{
    array::{
        ArrayBuilder, ArrayRef, BooleanBuilder, Int64Builder, ListArray, MapArray,
        NullBufferBuilder, RecordBatch, StringBuilder, StructArray, TimestampMicrosecondBuilder,
    },
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, Fields as ArrowFields},
};
use kennel_cache::EventCategory;
use sha2::{Digest, Sha256};

use super::{
    decode::{Kind, ObjectOrigin, Record, Unknown, Value, compact, for_each_entry, json, plain},
    schema::{KnownField, RECORD, Shape, Slot, event_schema},
};

/// Collects rows of [`event_schema`]. Used again after [`Self::finish`].
pub struct EventBuilders {
    /// The places of top-level and struct texts, with whether they are JSON.
    leaves: Vec<(Slot, bool)>,
    structs: Vec<Slot>,
    /// By slot; those that hold no text stay empty.
    texts: Vec<StringBuilder>,
    /// By slot, of structs, the map and the list.
    valid: Vec<NullBufferBuilder>,
    map_keys: StringBuilder,
    map_values: StringBuilder,
    map_ends: Vec<i32>,
    resource_valid: NullBufferBuilder,
    resource_ends: Vec<i32>,
    extra: StringBuilder,
    /// `account`, `region`, `year`, `month`, `day`, `timestamp`.
    partition: [StringBuilder; 6],
    typed: Typed,
    scratch: String,
    row_count: usize,
    byte_count: usize,
}

/// The columns of [`TYPED_COLUMNS`](super::schema::TYPED_COLUMNS), in their order.
#[derive(Default)]
struct Typed {
    event_time: TimestampMicrosecondBuilder,
    event_category: StringBuilder,
    account_id: StringBuilder,
    service: StringBuilder,
    is_error: BooleanBuilder,
    is_denied: BooleanBuilder,
    principal_type: StringBuilder,
    principal_arn: StringBuilder,
    principal_name: StringBuilder,
    principal_account_id: StringBuilder,
    session_name: StringBuilder,
    access_key_id: StringBuilder,
    identity_center_user_id: StringBuilder,
    source_identity: StringBuilder,
    invoked_by: StringBuilder,
    mfa_authenticated: BooleanBuilder,
    tls_version: StringBuilder,
    record_id: StringBuilder,
    object_key: StringBuilder,
    record_index: Int64Builder,
    is_duplicate: BooleanBuilder,
}

impl std::fmt::Debug for EventBuilders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBuilders")
            .field("row_count", &self.row_count)
            .finish_non_exhaustive()
    }
}

impl Default for EventBuilders {
    fn default() -> Self {
        Self::new()
    }
}

/// What a row needs whatever it holds: an offset for each of about a hundred leaves, and the numbers.
const ROW_BYTES: usize = 512;

impl EventBuilders {
    /// Builders without rows.
    pub fn new() -> Self {
        let mut leaves = Vec::new();
        let mut structs = Vec::new();
        places(RECORD, &mut leaves, &mut structs);
        Self {
            leaves,
            structs,
            texts: (0..Slot::COUNT).map(|_| StringBuilder::new()).collect(),
            valid: (0..Slot::COUNT)
                .map(|_| NullBufferBuilder::new(0))
                .collect(),
            map_keys: StringBuilder::new(),
            map_values: StringBuilder::new(),
            map_ends: vec![0],
            resource_valid: NullBufferBuilder::new(0),
            resource_ends: vec![0],
            extra: StringBuilder::new(),
            partition: std::array::from_fn(|_| StringBuilder::new()),
            typed: Typed::default(),
            scratch: String::new(),
            row_count: 0,
            byte_count: 0,
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.row_count
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.row_count == 0
    }

    /// About how many bytes the rows take; the builders, which grow by doubling, may have allocated
    /// twice as many.
    pub fn memory_bytes(&self) -> usize {
        self.byte_count
    }

    /// Appends a record. Its category is what the column `event_category` holds.
    pub(crate) fn append(
        &mut self,
        record: &Record<'_, '_>,
        origin: &ObjectOrigin<'_>,
        index: u64,
        stack: &mut Vec<u8>,
    ) -> EventCategory {
        self.row_count += 1;
        // The texts of a record lie in it; ARNs and names once more in typed columns.
        self.byte_count += record.json.len() + record.json.len() / 4 + origin.key.len() + ROW_BYTES;
        for (slot, is_json) in &self.leaves {
            let value = record.fields.value(*slot);
            let builder = &mut self.texts[slot.index()];
            append_text(builder, record.json, value, *is_json);
        }
        for slot in &self.structs {
            let is_there = record.fields.value(*slot).is_some();
            self.valid[slot.index()].append(is_there);
        }
        self.append_map(record, stack);
        self.append_resources(record);
        self.append_extra(record);
        self.append_partition(origin);
        self.append_typed(record, origin, index, stack)
    }

    fn append_map(&mut self, record: &Record<'_, '_>, stack: &mut Vec<u8>) {
        let slot = Slot::FederationAttributes;
        let map = record.fields.value(slot);
        self.valid[slot.index()].append(map.is_some());
        if map.kind == Kind::Object {
            for_each_entry(record.json, map, stack, |key, value| {
                self.map_keys
                    .append_option(plain(record.json, key).or(Some("".into())));
                self.map_values.append_option(plain(record.json, value));
            });
        }
        self.map_ends.push(offset(self.map_keys.len()));
    }

    fn append_resources(&mut self, record: &Record<'_, '_>) {
        let slot = Slot::Resources;
        self.valid[slot.index()].append(record.fields.value(slot).is_some());
        for resource in &record.fields.resources {
            self.resource_valid.append(resource.is_some());
            let values = resource.unwrap_or_default();
            for (value, index) in values.iter().zip(Slot::ResourceArn.index()..) {
                append_text(&mut self.texts[index], record.json, value, false);
            }
            self.byte_count += 4 * values.len();
        }
        self.resource_ends.push(offset(self.resource_valid.len()));
    }

    fn append_extra(&mut self, record: &Record<'_, '_>) {
        let unknown = &record.fields.unknown;
        if unknown.is_empty() {
            self.extra.append_null();
            return;
        }
        self.scratch.clear();
        self.scratch.push('{');
        write_unknown(record.json, unknown, RECORD, None, &mut self.scratch);
        self.scratch.push('}');
        self.extra.append_value(&self.scratch);
    }

    fn append_partition(&mut self, origin: &ObjectOrigin<'_>) {
        let mut parts = origin.day.into_iter().flat_map(|day| day.split('/'));
        let values = [
            origin.account,
            origin.region,
            parts.next(),
            parts.next(),
            parts.next(),
            origin.day,
        ];
        for (builder, value) in self.partition.iter_mut().zip(values) {
            builder.append_option(value);
        }
    }

    fn append_typed(
        &mut self,
        record: &Record<'_, '_>,
        origin: &ObjectOrigin<'_>,
        index: u64,
        stack: &mut Vec<u8>,
    ) -> EventCategory {
        let typed = &mut self.typed;
        typed.event_time.append_option(record.time(stack));
        let category = record.category();
        typed.event_category.append_option(category.as_deref());
        let account = record.account();
        let account = account.as_deref().or(origin.account);
        typed.account_id.append_option(account);
        typed.service.append_option(record.service());
        typed.is_error.append_value(record.is_error(stack));
        typed.is_denied.append_value(record.is_denied());
        typed.principal_type.append_option(record.principal_type());
        let arn = record.principal_arn();
        let arn = arn.as_deref();
        typed.principal_arn.append_option(arn);
        typed
            .principal_name
            .append_option(record.principal_name(arn));
        typed
            .principal_account_id
            .append_option(record.principal_account(arn));
        typed.session_name.append_option(record.session_name());
        for (builder, slot) in [
            (&mut typed.access_key_id, Slot::AccessKeyId),
            (&mut typed.identity_center_user_id, Slot::OnBehalfOfUserId),
            (&mut typed.source_identity, Slot::SourceIdentity),
            (&mut typed.invoked_by, Slot::InvokedBy),
        ] {
            builder.append_option(record.text(slot));
        }
        typed
            .mfa_authenticated
            .append_option(record.mfa_authenticated(stack));
        typed.tls_version.append_option(record.tls_version());
        match record.text(Slot::EventId) {
            Some(id) => typed.record_id.append_value(id),
            None => typed
                .record_id
                .append_value(hex::encode(Sha256::digest(record.json))),
        }
        typed.object_key.append_value(origin.key);
        typed
            .record_index
            .append_value(i64::try_from(index).unwrap_or(i64::MAX));
        typed.is_duplicate.append_value(false);
        category
            .as_deref()
            .map_or(EventCategory::Unknown, EventCategory::from_name)
    }

    /// The rows as a batch of [`event_schema`], in the order in which they were appended. No rows are left.
    pub fn finish(&mut self) -> RecordBatch {
        self.row_count = 0;
        self.byte_count = 0;
        let mut columns = RECORD
            .iter()
            .map(|field| self.column(field))
            .collect::<Vec<_>>();
        columns.push(text(&mut self.extra));
        columns.extend(self.partition.iter_mut().map(text));
        let typed = &mut self.typed;
        columns.extend([
            Arc::new(typed.event_time.finish().with_timezone("UTC")) as ArrayRef,
            text(&mut typed.event_category),
            text(&mut typed.account_id),
            text(&mut typed.service),
            Arc::new(typed.is_error.finish()),
            Arc::new(typed.is_denied.finish()),
            text(&mut typed.principal_type),
            text(&mut typed.principal_arn),
            text(&mut typed.principal_name),
            text(&mut typed.principal_account_id),
            text(&mut typed.session_name),
            text(&mut typed.access_key_id),
            text(&mut typed.identity_center_user_id),
            text(&mut typed.source_identity),
            text(&mut typed.invoked_by),
            Arc::new(typed.mfa_authenticated.finish()),
            text(&mut typed.tls_version),
            text(&mut typed.record_id),
            text(&mut typed.object_key),
            Arc::new(typed.record_index.finish()),
            Arc::new(typed.is_duplicate.finish()),
        ]);
        RecordBatch::try_new(event_schema(), columns)
            .expect("every builder has one entry a row and its column's type")
    }

    /// The array of a known field.
    fn column(&mut self, field: &KnownField) -> ArrayRef {
        let index = field.slot.index();
        match field.shape {
            Shape::Text | Shape::Json => text(&mut self.texts[index]),
            Shape::Object(fields) => {
                let nulls = self.valid[index].finish();
                let columns = fields.iter().map(|field| self.column(field)).collect();
                Arc::new(StructArray::new(
                    struct_fields(&field.shape),
                    columns,
                    nulls,
                ))
            }
            Shape::TextMap => {
                let entry = entry_field(&field.shape);
                let columns: Vec<ArrayRef> = vec![
                    Arc::new(self.map_keys.finish()),
                    Arc::new(self.map_values.finish()),
                ];
                let entries = StructArray::new(struct_of(&entry), columns, None);
                let nulls = self.valid[index].finish();
                let ends = std::mem::replace(&mut self.map_ends, vec![0]);
                Arc::new(MapArray::new(
                    entry,
                    OffsetBuffer::new(ends.into()),
                    entries,
                    nulls,
                    false,
                ))
            }
            Shape::Objects(fields) => {
                let item = entry_field(&field.shape);
                let columns = fields.iter().map(|field| self.column(field)).collect();
                let items =
                    StructArray::new(struct_of(&item), columns, self.resource_valid.finish());
                let nulls = self.valid[index].finish();
                let ends = std::mem::replace(&mut self.resource_ends, vec![0]);
                Arc::new(ListArray::new(
                    item,
                    OffsetBuffer::new(ends.into()),
                    Arc::new(items),
                    nulls,
                ))
            }
        }
    }
}

/// The array, and room in the builder for as much again: batches are alike, and what grows by doubling is
/// copied, and takes twice the memory.
fn text(builder: &mut StringBuilder) -> ArrayRef {
    let (rows, bytes) = (builder.len(), builder.values_slice().len());
    let array = Arc::new(builder.finish());
    *builder = StringBuilder::with_capacity(rows, bytes + bytes / 16);
    array
}

fn places(fields: &'static [KnownField], leaves: &mut Vec<(Slot, bool)>, structs: &mut Vec<Slot>) {
    for field in fields {
        match field.shape {
            Shape::Text => leaves.push((field.slot, false)),
            Shape::Json => leaves.push((field.slot, true)),
            Shape::Object(fields) => {
                structs.push(field.slot);
                places(fields, leaves, structs);
            }
            // Filled apart: they have as many entries as a row holds.
            Shape::TextMap | Shape::Objects(_) => {}
        }
    }
}

#[inline]
fn append_text(builder: &mut StringBuilder, record: &str, value: &Value, is_json: bool) {
    if !value.is_some() {
        builder.append_null();
        return;
    }
    let text = if is_json {
        json(record, value)
    } else {
        plain(record, value)
    };
    builder.append_option(text);
}

/// Batches are finished long before: their bytes are limited far below what an offset can count.
fn offset(count: usize) -> i32 {
    i32::try_from(count).expect("a batch has fewer entries than 2^31")
}

fn struct_fields(shape: &Shape) -> ArrowFields {
    match shape.data_type() {
        DataType::Struct(fields) => fields,
        _ => ArrowFields::empty(),
    }
}

fn struct_of(field: &Field) -> ArrowFields {
    match field.data_type() {
        DataType::Struct(fields) => fields.clone(),
        _ => ArrowFields::empty(),
    }
}

/// The field of a map's entries or a list's items.
fn entry_field(shape: &Shape) -> Arc<Field> {
    match shape.data_type() {
        DataType::Map(field, _) | DataType::List(field) => field,
        other => Arc::new(Field::new("item", other, true)),
    }
}

/// Writes the unknown fields of an object and of those below it, without the braces.
fn write_unknown(
    record: &str,
    unknown: &[Unknown],
    fields: &[KnownField],
    parent: Option<Slot>,
    out: &mut String,
) {
    let begin = out.len();
    let separate = |out: &mut String| {
        if out.len() > begin {
            out.push(',');
        }
    };
    for field in unknown.iter().filter(|field| field.parent == parent) {
        separate(out);
        write_field(record, field, out);
    }
    for field in fields {
        let before = out.len();
        separate(out);
        out.push('"');
        out.push_str(field.name);
        let content = match field.shape {
            Shape::Object(fields) => {
                out.push_str("\":{");
                let start = out.len();
                write_unknown(record, unknown, fields, Some(field.slot), out);
                let end = out.len();
                out.push('}');
                end - start
            }
            Shape::Objects(_) => {
                out.push_str("\":[");
                let start = out.len();
                write_elements(record, unknown, field.slot, out);
                let end = out.len();
                out.push(']');
                end - start
            }
            _ => 0,
        };
        if content == 0 {
            out.truncate(before);
        }
    }
}

/// Writes the unknown fields of a list's elements, `{}` for an element without any.
fn write_elements(record: &str, unknown: &[Unknown], slot: Slot, out: &mut String) {
    // They were noted in the order of the elements.
    let mut element = None;
    for field in unknown.iter().filter(|field| field.parent == Some(slot)) {
        if element == Some(field.element) {
            out.push(',');
        } else {
            let next = element.map_or(0, |element| {
                out.push_str("},");
                element + 1
            });
            for _ in next..field.element {
                out.push_str("{},");
            }
            out.push('{');
            element = Some(field.element);
        }
        write_field(record, field, out);
    }
    if element.is_some() {
        out.push('}');
    }
}

fn write_field(record: &str, field: &Unknown, out: &mut String) {
    out.push_str(&compact(record, &field.key));
    out.push(':');
    out.push_str(&compact(record, &field.value));
}
