//! From a record to the columns of [`event_schema`](crate::trail::schema::event_schema).

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use datafusion::parquet::{
    basic::Type, column::writer::ColumnCloseResult, errors::ParquetError,
    schema::types::SchemaDescriptor,
};

use super::{
    chunk::Codecs,
    leaf::{Levels, NumberLeaf, TextLeaf},
};
use crate::trail::{
    TrailWriteOptions,
    decode::{Kind, Record, Unknown, compact, for_each_entry, json, plain},
    schema::{KnownField, PARTITION_COLUMNS, RECORD, Shape, Slot, TYPED_COLUMNS, TypedKind},
};

/// The columns of the rows of one row group. Used again for the next.
pub(crate) struct EventColumns {
    /// The row itself, then each struct.
    structs: Vec<StructRows>,
    /// Of the page, by list: the rows that have it, and how many entries.
    lists: [Vec<(u16, u32)>; 2],
    leaves: Vec<Leaf>,
    texts: Vec<TextLeaf>,
    numbers: Vec<NumberLeaf>,
    /// What each slot fills.
    slots: Vec<Target>,
    /// The first text of `extra`, the partition columns and the typed columns.
    rest: usize,
    row: u16,
    text_bytes: usize,
    scratch: String,
}

/// Position of a list among [`EventColumns::lists`].
const ATTRIBUTES: usize = 0;
const RESOURCES: usize = 1;

/// Which rows of a page have a struct.
#[derive(Default)]
struct StructRows {
    parent: usize,
    /// How many structs there are from the row down to this one.
    depth: u8,
    rows: Vec<u16>,
    /// Of each row, how many of those are there.
    levels: Vec<u8>,
}

/// A column, in the order of the file.
struct Leaf {
    /// The struct that it lies in.
    parent: usize,
    list: Option<usize>,
    values: Values,
}

#[derive(Clone, Copy)]
enum Values {
    Text(usize),
    Number(usize),
}

/// What a slot fills.
#[derive(Clone, Copy)]
enum Target {
    /// A column of texts.
    Text(usize),
    /// One of JSON.
    Json(usize),
    /// A struct.
    Struct(usize),
    /// The map: its first column.
    Map(usize),
    /// The list of structs: its first column.
    List(usize),
    /// A field of one of the list's.
    OfList,
}

/// What a row holds beside its record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowFacts<'r> {
    /// Where the record lies.
    pub(crate) object_key: &'r str,
    /// The account of the key.
    pub(crate) folder_account: Option<&'r str>,
    /// The region of the key.
    pub(crate) region: Option<&'r str>,
    /// The day of delivery: `2023/07/10`.
    pub(crate) day: Option<&'r str>,
    /// The record's number in its object.
    pub(crate) index: u64,
    /// When it happened, in µs.
    pub(crate) time: Option<i64>,
    /// Its id, or the hash that stands for it.
    pub(crate) id: &'r str,
    /// The account that it happened in.
    pub(crate) account: Option<&'r str>,
    /// Whether another row is the same event.
    pub(crate) is_duplicate: bool,
}

impl EventColumns {
    /// Without rows, for a file of about so many. `schema` is [`event_schema`](crate::trail::schema::event_schema)'s.
    pub(crate) fn try_new(
        schema: &SchemaDescriptor,
        options: &TrailWriteOptions,
        row_count: u64,
    ) -> Result<Self, ParquetError> {
        let mut columns = Self {
            structs: vec![StructRows::default()],
            lists: Default::default(),
            leaves: Vec::new(),
            texts: Vec::new(),
            numbers: Vec::new(),
            slots: Vec::with_capacity(Slot::COUNT),
            rest: 0,
            row: 0,
            text_bytes: 0,
            scratch: String::new(),
        };
        columns.add_fields(RECORD, 0);
        columns.rest = columns.text_count();
        (0..=PARTITION_COLUMNS.len()).for_each(|_| {
            columns.add_text(0, None);
        });
        for (_, kind) in TYPED_COLUMNS {
            match kind {
                TypedKind::Text => drop(columns.add_text(0, None)),
                _ => columns.add_number(),
            }
        }
        for (leaf, descr) in columns.leaves.iter().zip(schema.columns()) {
            let settings = options.leaf_settings(descr, row_count)?;
            match leaf.values {
                Values::Text(_) => {
                    let text = TextLeaf::try_new(Arc::clone(descr), &settings)?;
                    columns.texts.push(text);
                }
                Values::Number(_) => columns.numbers.push(NumberLeaf::new(
                    Arc::clone(descr),
                    settings.compression,
                    descr.physical_type() == Type::BOOLEAN,
                )),
            }
        }
        Ok(columns)
    }

    fn text_count(&self) -> usize {
        let is_text = |leaf: &&Leaf| matches!(leaf.values, Values::Text(_));
        self.leaves.iter().filter(is_text).count()
    }

    fn add_text(&mut self, parent: usize, list: Option<usize>) -> usize {
        let text = self.text_count();
        self.leaves.push(Leaf {
            parent,
            list,
            values: Values::Text(text),
        });
        text
    }

    fn add_number(&mut self) {
        let number = self.leaves.len() - self.text_count();
        self.leaves.push(Leaf {
            parent: 0,
            list: None,
            values: Values::Number(number),
        });
    }

    fn add_fields(&mut self, fields: &[KnownField], parent: usize) {
        for field in fields {
            match field.shape {
                Shape::Text => {
                    let text = self.add_text(parent, None);
                    self.slots.push(Target::Text(text));
                }
                Shape::Json => {
                    let text = self.add_text(parent, None);
                    self.slots.push(Target::Json(text));
                }
                Shape::Object(fields) => {
                    let own = self.structs.len();
                    self.structs.push(StructRows {
                        parent,
                        depth: self.structs[parent].depth + 1,
                        ..StructRows::default()
                    });
                    self.slots.push(Target::Struct(own));
                    self.add_fields(fields, own);
                }
                Shape::TextMap => {
                    let keys = self.add_text(parent, Some(ATTRIBUTES));
                    self.add_text(parent, Some(ATTRIBUTES));
                    self.slots.push(Target::Map(keys));
                }
                Shape::Objects(fields) => {
                    let of_list = fields
                        .iter()
                        .map(|_| self.add_text(parent, Some(RESOURCES)));
                    let first = of_list.collect::<Vec<_>>()[0];
                    self.slots.push(Target::List(first));
                    self.slots.extend(fields.iter().map(|_| Target::OfList));
                }
            }
        }
    }

    /// Rows of the page so far.
    pub(crate) fn page_rows(&self) -> usize {
        usize::from(self.row)
    }

    /// Bytes of the page's records so far.
    pub(crate) fn page_text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Bytes of the pages so far.
    pub(crate) fn size_bytes(&self) -> usize {
        let texts = self.texts.iter().map(TextLeaf::size_bytes);
        texts.sum::<usize>()
            + self
                .numbers
                .iter()
                .map(NumberLeaf::size_bytes)
                .sum::<usize>()
    }

    /// Appends a row; a page has at most 32,768.
    pub(crate) fn append(
        &mut self,
        record: &Record<'_, '_>,
        facts: &RowFacts<'_>,
        stack: &mut Vec<u8>,
    ) {
        let row = self.row;
        for (slot, value) in record.fields.present() {
            if !value.is_some() {
                continue;
            }
            match self.slots[slot] {
                Target::Text(text) => {
                    if let Some(value) = plain(record.json, value) {
                        self.texts[text].push(row, &value);
                    }
                }
                Target::Json(text) => {
                    if let Some(value) = json(record.json, value) {
                        self.texts[text].push(row, &value);
                    }
                }
                Target::Struct(own) => self.structs[own].rows.push(row),
                Target::Map(keys) => self.append_map(record, keys, stack),
                Target::List(first) => self.append_resources(record, first),
                Target::OfList => {}
            }
        }
        self.append_extra(record);
        self.append_partition(facts);
        self.append_typed(record, facts, stack);
        self.text_bytes += record.json.len();
        self.row += 1;
    }

    fn append_map(&mut self, record: &Record<'_, '_>, keys: usize, stack: &mut Vec<u8>) {
        let map = record.fields.value(Slot::FederationAttributes);
        let depth = self.structs[self.leaf_parent(keys)].depth;
        let mut count = 0;
        if map.kind == Kind::Object {
            for_each_entry(record.json, map, stack, |key, value| {
                let key = plain(record.json, key).unwrap_or_default();
                self.texts[keys].push_entry(Ok(&key));
                let value = plain(record.json, value);
                // The map and its entry are there, the value is not.
                self.texts[keys + 1].push_entry(value.as_deref().ok_or(depth + 2));
                count += 1;
            });
        }
        self.lists[ATTRIBUTES].push((self.row, count));
    }

    fn leaf_parent(&self, text: usize) -> usize {
        let is_it = |leaf: &&Leaf| matches!(leaf.values, Values::Text(own) if own == text);
        self.leaves.iter().find(is_it).map_or(0, |leaf| leaf.parent)
    }

    fn append_resources(&mut self, record: &Record<'_, '_>, first: usize) {
        for resource in &record.fields.resources {
            // The list and its entry are there, and the struct if it is one.
            let absent = if resource.is_some() { 3 } else { 2 };
            let values = resource.unwrap_or_default();
            for (text, value) in self.texts[first..].iter_mut().zip(&values) {
                let value = plain(record.json, value);
                text.push_entry(value.as_deref().ok_or(absent));
            }
        }
        let count = record.fields.resources.len() as u32;
        self.lists[RESOURCES].push((self.row, count));
    }

    fn append_extra(&mut self, record: &Record<'_, '_>) {
        let unknown = &record.fields.unknown;
        if unknown.is_empty() {
            return;
        }
        self.scratch.clear();
        self.scratch.push('{');
        write_unknown(record.json, unknown, RECORD, None, &mut self.scratch);
        self.scratch.push('}');
        self.texts[self.rest].push(self.row, &self.scratch);
    }

    fn append_partition(&mut self, facts: &RowFacts<'_>) {
        let mut parts = facts.day.into_iter().flat_map(|day| day.split('/'));
        let values: [_; PARTITION_COLUMNS.len()] = [
            facts.folder_account,
            facts.region,
            parts.next(),
            parts.next(),
            parts.next(),
            facts.day,
        ];
        self.push_texts(self.rest + 1, values);
    }

    fn push_texts<const N: usize>(&mut self, first: usize, values: [Option<&str>; N]) {
        for (text, value) in self.texts[first..].iter_mut().zip(values) {
            if let Some(value) = value {
                text.push(self.row, value);
            }
        }
    }

    fn append_typed(&mut self, record: &Record<'_, '_>, facts: &RowFacts<'_>, stack: &mut Vec<u8>) {
        let arn = record.principal_arn();
        let arn = arn.as_deref();
        let text = |slot| record.text(slot);
        let texts: [Option<Cow<'_, str>>; TYPED_TEXTS.len()] = [
            record.category(),
            facts.account.map(Cow::Borrowed),
            record.service(),
            record.principal_type(),
            arn.map(Cow::Borrowed),
            record.principal_name(arn),
            record.principal_account(arn),
            record.session_name(),
            text(Slot::AccessKeyId),
            text(Slot::OnBehalfOfUserId),
            text(Slot::SourceIdentity),
            text(Slot::InvokedBy),
            record.tls_version(),
            Some(Cow::Borrowed(facts.id)),
            Some(Cow::Borrowed(facts.object_key)),
        ];
        let first = self.rest + 1 + PARTITION_COLUMNS.len();
        self.push_texts(first, texts.each_ref().map(|text| text.as_deref()));
        let numbers: [Option<i64>; TYPED_NUMBERS.len()] = [
            facts.time,
            Some(record.is_error(stack).into()),
            Some(record.is_denied().into()),
            record.mfa_authenticated(stack).map(i64::from),
            Some(i64::try_from(facts.index).unwrap_or(i64::MAX)),
            Some(facts.is_duplicate.into()),
        ];
        for (column, value) in self.numbers.iter_mut().zip(numbers) {
            if let Some(value) = value {
                column.push(self.row, value);
            }
        }
    }

    /// Ends the page of every column.
    pub(crate) fn end_page(&mut self, codecs: &mut Codecs) -> Result<(), ParquetError> {
        let row_count = usize::from(std::mem::take(&mut self.row));
        self.text_bytes = 0;
        for own in 0..self.structs.len() {
            let mut levels = std::mem::take(&mut self.structs[own].levels);
            levels.clear();
            match own {
                0 => levels.resize(row_count, 0),
                _ => {
                    let parent = self.structs[own].parent;
                    levels.extend_from_slice(&self.structs[parent].levels);
                }
            }
            let own = &mut self.structs[own];
            own.rows
                .drain(..)
                .for_each(|row| levels[usize::from(row)] = own.depth);
            own.levels = levels;
        }
        for leaf in &self.leaves {
            let levels = Levels {
                parents: &self.structs[leaf.parent].levels,
                lists: leaf.list.map(|list| self.lists[list].as_slice()),
            };
            match leaf.values {
                Values::Text(text) => self.texts[text].end_page(&levels, codecs)?,
                Values::Number(number) => self.numbers[number].end_page(&levels, codecs)?,
            }
        }
        self.lists.iter_mut().for_each(Vec::clear);
        Ok(())
    }

    /// Ends the row group: hands the columns over, in the order of the file.
    pub(crate) fn end_row_group(
        &mut self,
        codecs: &mut Codecs,
        mut take: impl FnMut(Bytes, ColumnCloseResult) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        for leaf in &self.leaves {
            let (bytes, close) = match leaf.values {
                Values::Text(text) => self.texts[text].close(codecs)?,
                Values::Number(number) => self.numbers[number].close(codecs)?,
            };
            take(bytes, close)?;
        }
        Ok(())
    }
}

/// The typed columns that hold texts, in the order of [`TYPED_COLUMNS`].
const TYPED_TEXTS: [&str; 15] = [
    "event_category",
    "account_id",
    "service",
    "principal_type",
    "principal_arn",
    "principal_name",
    "principal_account_id",
    "session_name",
    "access_key_id",
    "identity_center_user_id",
    "source_identity",
    "invoked_by",
    "tls_version",
    "record_id",
    "object_key",
];

/// The others.
const TYPED_NUMBERS: [&str; 6] = [
    "event_time",
    "is_error",
    "is_denied",
    "mfa_authenticated",
    "record_index",
    "is_duplicate",
];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_columns_are_filled_in_the_order_of_the_schema() {
        let of = |is_text: bool| {
            let kinds = TYPED_COLUMNS.into_iter();
            let own = kinds.filter(move |(_, kind)| (*kind == TypedKind::Text) == is_text);
            own.map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(of(true), TYPED_TEXTS);
        assert_eq!(of(false), TYPED_NUMBERS);
    }
}
