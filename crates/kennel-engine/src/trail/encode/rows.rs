//! From a record to the columns of [`event_schema`](crate::trail::schema::event_schema).

use std::sync::Arc;

use datafusion::parquet::{
    basic::Type, column::writer::ColumnCloseResult, errors::ParquetError,
    schema::types::SchemaDescriptor,
};

use super::{
    chunk::{ChunkBytes, Codecs},
    derived::{ABSENT, Memo, OF_ORIGIN, TYPED_TEXTS, UNKNOWN},
    extra::write_unknown,
    leaf::{Levels, NumberLeaf, TextLeaf},
};
use crate::trail::{
    TrailWriteOptions,
    decode::{Kind, Record, SlotSet, for_each_entry, json_bytes, plain, plain_bytes},
    schema::{KnownField, PARTITION_COLUMNS, RECORD, Shape, Slot, TYPED_COLUMNS, TypedKind},
};

/// Most rows that are appended together: few enough for all that is known of them to stay near the processor.
pub(crate) const BLOCK_ROWS: usize = 128;

/// The columns of the rows of one row group. Used again for the next.
pub(crate) struct EventColumns {
    /// The row itself, then each struct.
    structs: Vec<StructRows>,
    /// Of the page, by list: the rows that have it, and how many entries.
    lists: [Vec<(u16, u32)>; 2],
    leaves: Vec<Leaf>,
    texts: Vec<TextLeaf>,
    numbers: Vec<NumberLeaf>,
    codecs: Codecs,
    /// What each slot fills.
    slots: Vec<Target>,
    /// The first text of `extra`, the partition columns and the typed columns.
    rest: usize,
    object_key: usize,
    /// By slot: which of the typed texts follows from it.
    followers: [Option<usize>; Slot::COUNT],
    /// Of each typed text, by row of the block: the number of the text that it follows from, if that has one and is not
    /// blank.
    followed: [[u32; BLOCK_ROWS]; TYPED_TEXTS.len()],
    /// Of each typed text, by the number of the text that it follows from: its own.
    derived: [Memo; TYPED_TEXTS.len()],
    /// By object: the numbers of the texts that its key gives its rows.
    of_origin: Memo,
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
    /// Number of the object, small.
    pub(crate) origin: u32,
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

/// A row to be appended.
pub(crate) struct NewRow<'r> {
    pub(crate) record: Record<'r, 'r>,
    pub(crate) facts: RowFacts<'r>,
}

impl EventColumns {
    /// Before [`Self::begin`]. `schema` is [`event_schema`](crate::trail::schema::event_schema)'s.
    pub(crate) fn new(schema: &SchemaDescriptor) -> Self {
        let mut columns = Self {
            structs: vec![StructRows::default()],
            lists: Default::default(),
            leaves: Vec::new(),
            texts: Vec::new(),
            numbers: Vec::new(),
            codecs: Codecs::new(),
            slots: Vec::with_capacity(Slot::COUNT),
            rest: 0,
            object_key: 0,
            followers: [None; Slot::COUNT],
            followed: [[UNKNOWN; BLOCK_ROWS]; TYPED_TEXTS.len()],
            derived: Default::default(),
            of_origin: Memo::default(),
            row: 0,
            text_bytes: 0,
            scratch: String::new(),
        };
        columns.add_fields(RECORD, 0);
        for (nth, typed) in TYPED_TEXTS.iter().enumerate() {
            if let Some(slot) = typed.follows {
                columns.followers[slot.index()] = Some(nth);
            }
        }
        columns.rest = columns.text_count();
        let object_key = TYPED_TEXTS
            .iter()
            .position(|typed| typed.name == "object_key");
        columns.object_key =
            columns.rest + 1 + PARTITION_COLUMNS.len() + object_key.unwrap_or_default();
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
            let is_flag = descr.physical_type() == Type::BOOLEAN;
            let descr = Arc::clone(descr);
            match leaf.values {
                Values::Text(_) => columns.texts.push(TextLeaf::new(descr)),
                Values::Number(_) => columns.numbers.push(NumberLeaf::new(descr, is_flag)),
            }
        }
        columns
    }

    /// Makes ready for a file of about so many rows, whatever became of the file before.
    pub(crate) fn begin(
        &mut self,
        schema: &SchemaDescriptor,
        options: &TrailWriteOptions,
        row_count: u64,
    ) -> Result<(), ParquetError> {
        self.row = 0;
        self.text_bytes = 0;
        self.lists.iter_mut().for_each(Vec::clear);
        self.structs.iter_mut().for_each(|own| own.rows.clear());
        self.forget_numbers();
        self.codecs.begin(options.zstd_level)?;
        for (leaf, descr) in self.leaves.iter().zip(schema.columns()) {
            let settings = options.leaf_settings(descr, row_count)?;
            match leaf.values {
                Values::Text(text) => self.texts[text].begin(&settings)?,
                Values::Number(number) => self.numbers[number].begin(settings.compression),
            }
        }
        Ok(())
    }

    /// Forgets the numbers of texts, which begin anew with each row group.
    fn forget_numbers(&mut self) {
        self.derived.iter_mut().for_each(Memo::clear);
        self.of_origin.clear();
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

    /// Appends up to [`BLOCK_ROWS`] rows, column by column: what a column needs to know of itself is then fetched once for
    /// all of them. A page has at most 32,768 rows.
    pub(crate) fn append(&mut self, block: &[NewRow<'_>], stack: &mut Vec<u8>) {
        for numbers in &mut self.followed {
            numbers.fill(UNKNOWN);
        }
        let slots = block.iter().map(|row| row.record.fields.slots());
        let present = slots.fold(SlotSet::default(), SlotSet::union);
        for slot in present.iter() {
            match self.slots[slot] {
                Target::Text(text) => self.append_texts(block, slot, text),
                Target::Json(text) => {
                    for (row, NewRow { record, .. }) in (self.row..).zip(block) {
                        if let Some(value) = json_bytes(record.json, record.fields.at(slot)) {
                            self.texts[text].push(row, &value);
                        }
                    }
                }
                Target::Struct(own) => {
                    let rows = (self.row..).zip(block);
                    let rows = rows.filter(|(_, new)| new.record.fields.at(slot).is_some());
                    self.structs[own].rows.extend(rows.map(|(row, _)| row));
                }
                Target::Map(_) | Target::List(_) => {
                    for (row, NewRow { record, .. }) in (self.row..).zip(block) {
                        if !record.fields.at(slot).is_some() {
                            continue;
                        }
                        match self.slots[slot] {
                            Target::Map(keys) => self.append_map(row, record, keys, stack),
                            Target::List(first) => self.append_resources(row, record, first),
                            _ => {}
                        }
                    }
                }
                Target::OfList => {}
            }
        }
        self.append_places(block);
        self.append_typed(block);
        for (row, new) in (self.row..).zip(block) {
            self.append_extra(row, &new.record);
            self.append_numbers(row, &new.record, &new.facts, stack);
            self.text_bytes += new.record.json.len();
        }
        self.row += block.len() as u16;
    }

    fn append_texts(&mut self, block: &[NewRow<'_>], slot: usize, text: usize) {
        let leaf = &mut self.texts[text];
        let follower = self.followers[slot];
        for (at, NewRow { record, .. }) in block.iter().enumerate() {
            let Some(value) = plain_bytes(record.json, record.fields.at(slot)) else {
                continue;
            };
            let number = leaf.push(self.row + at as u16, &value);
            if let (Some(nth), Some(number), false) = (follower, number, value.is_empty()) {
                self.followed[nth][at] = number;
            }
        }
    }

    fn append_map(&mut self, row: u16, record: &Record<'_, '_>, keys: usize, stack: &mut Vec<u8>) {
        let map = record.fields.value(Slot::FederationAttributes);
        let depth = self.structs[self.leaf_parent(keys)].depth;
        let mut count = 0;
        if map.kind() == Kind::Object {
            for_each_entry(record.json, map, stack, |key, value| {
                let key = plain(record.json, key).unwrap_or_default();
                self.texts[keys].push_entry(Ok(&key));
                let value = plain(record.json, value);
                // The map and its entry are there, the value is not.
                self.texts[keys + 1].push_entry(value.as_deref().ok_or(depth + 2));
                count += 1;
            });
        }
        self.lists[ATTRIBUTES].push((row, count));
    }

    fn leaf_parent(&self, text: usize) -> usize {
        let is_it = |leaf: &&Leaf| matches!(leaf.values, Values::Text(own) if own == text);
        self.leaves.iter().find(is_it).map_or(0, |leaf| leaf.parent)
    }

    fn append_resources(&mut self, row: u16, record: &Record<'_, '_>, first: usize) {
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
        self.lists[RESOURCES].push((row, count));
    }

    fn append_extra(&mut self, row: u16, record: &Record<'_, '_>) {
        let unknown = &record.fields.unknown;
        if unknown.is_empty() {
            return;
        }
        self.scratch.clear();
        self.scratch.push('{');
        write_unknown(record.json, unknown, RECORD, None, &mut self.scratch);
        self.scratch.push('}');
        self.texts[self.rest].push(row, self.scratch.as_bytes());
    }

    /// What the object's key says: the same for all its rows.
    fn append_places(&mut self, block: &[NewRow<'_>]) {
        for nth in 0..OF_ORIGIN {
            let text = match nth < PARTITION_COLUMNS.len() {
                true => self.rest + 1 + nth,
                false => self.object_key,
            };
            let leaf = &mut self.texts[text];
            for (row, NewRow { facts, .. }) in (self.row..).zip(block) {
                let place = facts.origin as usize * OF_ORIGIN + nth;
                match self.of_origin.get(place) {
                    UNKNOWN => {
                        let mut parts = facts.day.into_iter().flat_map(|day| day.split('/'));
                        let value = match nth {
                            0 => facts.folder_account,
                            1 => facts.region,
                            2..=4 => parts.nth(nth - 2),
                            5 => facts.day,
                            _ => Some(facts.object_key),
                        };
                        let number = value.map(|value| leaf.push(row, value.as_bytes()));
                        self.of_origin.note(place, number);
                    }
                    ABSENT => {}
                    number => leaf.push_number(row, number),
                }
            }
        }
    }

    fn append_typed(&mut self, block: &[NewRow<'_>]) {
        let first = self.rest + 1 + PARTITION_COLUMNS.len();
        for (nth, typed) in TYPED_TEXTS.iter().enumerate() {
            let Some(derive) = typed.derive else {
                continue;
            };
            let (leaf, derived) = (&mut self.texts[first + nth], &mut self.derived[nth]);
            for (at, NewRow { record, facts }) in block.iter().enumerate() {
                let row = self.row + at as u16;
                let from = self.followed[nth][at] as usize;
                match derived.get(from) {
                    UNKNOWN => {
                        let value = derive(record, facts);
                        let number = value.map(|value| leaf.push(row, value.as_bytes()));
                        derived.note(from, number);
                    }
                    ABSENT => {}
                    number => leaf.push_number(row, number),
                }
            }
        }
    }

    fn append_numbers(
        &mut self,
        row: u16,
        record: &Record<'_, '_>,
        facts: &RowFacts<'_>,
        stack: &mut Vec<u8>,
    ) {
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
                column.push(row, value);
            }
        }
    }

    /// Ends the page of every column.
    pub(crate) fn end_page(&mut self) -> Result<(), ParquetError> {
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
                Values::Text(text) => self.texts[text].end_page(&levels, &mut self.codecs)?,
                Values::Number(number) => {
                    self.numbers[number].end_page(&levels, &mut self.codecs)?;
                }
            }
        }
        self.lists.iter_mut().for_each(Vec::clear);
        Ok(())
    }

    /// Ends the row group: hands the columns over, in the order of the file.
    pub(crate) fn end_row_group(
        &mut self,
        mut take: impl FnMut(&ChunkBytes<'_>, ColumnCloseResult) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        self.forget_numbers();
        for leaf in &self.leaves {
            match leaf.values {
                Values::Text(text) => {
                    let leaf = &mut self.texts[text];
                    let (bytes, close) = leaf.close(&mut self.codecs)?;
                    take(&bytes, close)?;
                    leaf.begin_again()?;
                }
                Values::Number(number) => {
                    let leaf = &mut self.numbers[number];
                    let (bytes, close) = leaf.close(&mut self.codecs)?;
                    take(&bytes, close)?;
                    leaf.begin_again();
                }
            }
        }
        Ok(())
    }
}

/// The typed columns that hold no texts, in the order of [`TYPED_COLUMNS`].
const TYPED_NUMBERS: [&str; 6] = [
    "event_time",
    "is_error",
    "is_denied",
    "mfa_authenticated",
    "record_index",
    "is_duplicate",
];

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
        assert_eq!(of(true), TYPED_TEXTS.map(|typed| typed.name));
        assert_eq!(of(false), TYPED_NUMBERS);
    }
}
