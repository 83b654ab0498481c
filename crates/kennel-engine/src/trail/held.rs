//! Records between objects and table files: kept as text, with where each field lies in it, until a batch is
//! complete and they can be made columns in the order in which they are written.
//!
//! Rows that come in order fill few buffers that stay small. Columns of a whole batch would have to be reordered
//! one by one, each row of each of a hundred columns somewhere else in memory.

use std::{borrow::Cow, cmp::Ordering, hint::black_box, ops::Range};

use kennel_cache::EventCategory;
use sha2::{Digest, Sha256};

use super::{
    decode::{Fields, Kind, ObjectOrigin, Record, Resource, SlotSet, Unknown, Value, plain},
    encode::{BLOCK_ROWS, Dictionary, EventColumns, NewRow, RowFacts},
    schema::Slot,
};

/// Fields of records allocated together.
const PIECE_VALUES: usize = 64 << 10;
/// Bytes of text allocated at once; a larger record has an allocation of its own.
const PIECE_BYTES: usize = 1 << 20;

/// Records of one kind, in the order in which they came. Used again after [`Self::clear`].
#[derive(Default)]
pub struct HeldRecords {
    /// Texts, each with records one after another; the last one is being filled.
    texts: Vec<String>,
    /// Empty ones, to be used again.
    spare: Vec<String>,
    origins: Vec<Origin>,
    rows: Vec<HeldRow>,
    /// The fields of all rows, those of a row together and in the order of their slots. Like the texts in pieces: what
    /// grows is copied, and takes fresh memory for it.
    values: Vec<Vec<Value>>,
    spare_values: Vec<Vec<Value>>,
    resources: Vec<Resource>,
    unknown: Vec<Unknown>,
    callers: Callers,
    byte_count: usize,
}

/// Who called, by account: rows of the same are written next to each other.
struct Callers {
    texts: Dictionary,
    text: String,
}

impl Default for Callers {
    fn default() -> Self {
        Self {
            texts: Dictionary::new(),
            text: String::new(),
        }
    }
}

impl Callers {
    /// The number of an account's caller.
    fn number(&mut self, account: Option<&str>, record: &Record<'_, '_>) -> u32 {
        let own = [Slot::IssuerArn, Slot::Arn, Slot::InvokedBy];
        let caller = own.into_iter().find_map(|slot| record.text(slot));
        self.text.clear();
        self.text.push_str(account.unwrap_or_default());
        self.text.push(' ');
        self.text.push_str(caller.as_deref().unwrap_or_default());
        self.texts.number(self.text.as_bytes())
    }

    /// By number: the place in the order of the texts.
    fn ranks(&self) -> Vec<u32> {
        let mut numbers = (0..small(self.texts.len())).collect::<Vec<_>>();
        numbers.sort_unstable_by_key(|number| self.texts.text(*number));
        let mut ranks = vec![0; numbers.len()];
        for (rank, number) in (0..).zip(numbers) {
            ranks[number as usize] = rank;
        }
        ranks
    }
}

/// What the key of an object says; shared by its rows.
struct Origin {
    key: String,
    account: Option<String>,
    region: Option<String>,
    day: Option<String>,
}

/// A part of one of the texts.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One record.
struct HeldRow {
    time: Option<i64>,
    /// Its number in its object.
    index: u64,
    slots: SlotSet,
    /// Which text its parts lie in.
    text: u32,
    json: Span,
    /// The event's id, or the hash that stands for it.
    id: Span,
    /// Its first bytes, as a number that compares like them.
    id_start: u64,
    /// `None`: the account of its key.
    account: Option<Span>,
    origin: u32,
    caller: u32,
    /// Which piece its fields lie in, and from where.
    values: (u32, u32),
    /// Where its own begin among those of all.
    first_resource: u32,
    first_unknown: u32,
}

impl std::fmt::Debug for HeldRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldRecords")
            .field("row_count", &self.rows.len())
            .finish_non_exhaustive()
    }
}

/// Counts and positions in memory: what is held is limited far below four billion of anything.
fn small(count: usize) -> u32 {
    u32::try_from(count).expect("a batch is smaller than 4 GiB")
}

impl HeldRecords {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes that the records take, less what is kept to be used again.
    pub fn memory_bytes(&self) -> usize {
        self.byte_count
    }

    /// Forgets all records, and keeps most of the memory for the next ones.
    pub fn clear(&mut self) {
        self.byte_count = 0;
        self.origins.clear();
        self.rows.clear();
        for mut values in self.values.drain(..) {
            values.clear();
            self.spare_values.push(values);
        }
        self.resources.clear();
        self.unknown.clear();
        self.callers.texts.clear();
        for mut text in self.texts.drain(..) {
            if text.capacity() <= PIECE_BYTES {
                text.clear();
                self.spare.push(text);
            }
        }
    }

    /// Says which object the records that follow come from.
    pub(crate) fn begin(&mut self, origin: &ObjectOrigin<'_>) {
        self.origins.push(Origin {
            key: origin.key.to_owned(),
            account: origin.account.map(str::to_owned),
            region: origin.region.map(str::to_owned),
            day: origin.day.map(str::to_owned),
        });
        self.byte_count += size_of::<Origin>() + origin.key.len();
    }

    /// Keeps a record. Its category is what the column `event_category` will hold.
    pub(crate) fn hold(
        &mut self,
        record: &Record<'_, '_>,
        index: u64,
        stack: &mut Vec<u8>,
    ) -> EventCategory {
        let category = record.category();
        let category = category
            .as_deref()
            .map_or(EventCategory::Unknown, EventCategory::from_name);
        let id = record.fields.value(Slot::EventId);
        let id = match record.text(Slot::EventId) {
            Some(text) => Part::of(id, text),
            None => Part::Apart(hex::encode(Sha256::digest(record.json)).into()),
        };
        let account = record.account_value();
        let account = account.and_then(|value| Some((value, plain(record.json, &value)?)));
        let of_key = self.origins.last();
        let of_key = of_key.and_then(|origin| origin.account.as_deref());
        let known = account.as_ref().map(|(_, text)| text.as_ref());
        let caller = self.callers.number(known.or(of_key), record);
        let account = account.map(|(value, text)| Part::of(&value, text));
        let apart = id.apart_bytes() + account.as_ref().map_or(0, Part::apart_bytes);
        let text = self.room(record.json.len() + apart);
        let start = small(text.len());
        text.push_str(record.json);
        let json = Span {
            start,
            end: small(text.len()),
        };
        let id = id.place(start, text);
        let account = account.map(|account| account.place(start, text));
        let id_start = start_of(&text[id.range()]);
        let fields = record.fields;
        self.rows.push(HeldRow {
            time: record.time(stack),
            index,
            slots: fields.slots(),
            text: small(self.texts.len() - 1),
            json,
            id,
            id_start,
            account,
            origin: small(self.origins.len().saturating_sub(1)),
            caller,
            values: hold_values(&mut self.values, &mut self.spare_values, fields),
            first_resource: small(self.resources.len()),
            first_unknown: small(self.unknown.len()),
        });
        self.resources.extend_from_slice(&fields.resources);
        self.unknown.extend_from_slice(&fields.unknown);
        self.byte_count += record.json.len()
            + apart
            + size_of::<HeldRow>()
            + fields.slots().len() * size_of::<Value>()
            + fields.resources.len() * size_of::<Resource>()
            + fields.unknown.len() * size_of::<Unknown>();
        category
    }

    /// A text with room for so many bytes more.
    fn room(&mut self, bytes: usize) -> &mut String {
        let has_room = |text: &String| text.capacity() - text.len() >= bytes;
        if !self.texts.last().is_some_and(has_room) {
            let text = match bytes <= PIECE_BYTES {
                true => self.spare.pop(),
                false => None,
            };
            self.texts
                .push(text.unwrap_or_else(|| String::with_capacity(bytes.max(PIECE_BYTES))));
        }
        self.texts
            .last_mut()
            .expect("one with room was pushed or is there")
    }

    /// The rows in the order of table files; those that are the same event as the row before are marked.
    pub(crate) fn in_order(&self) -> Vec<(u32, bool)> {
        // Nearly all rows differ in time or in the first bytes of their id: most are compared without a look at them.
        let key = |(at, row): (usize, &HeldRow)| (row.time, row.id_start, small(at));
        let mut order = self.rows.iter().enumerate().map(key).collect::<Vec<_>>();
        order.sort_unstable_by(|a, b| {
            let by_key = (a.0, a.1).cmp(&(b.0, b.1));
            by_key.then_with(|| self.compare(a.2, b.2))
        });
        let mut before = None;
        let marked = order.into_iter().map(|(time, start, at)| {
            let is_same = |(other_time, other_start, other)| {
                (time, start) == (other_time, other_start) && self.same_event(at, other)
            };
            let is_repeated = before.is_some_and(is_same);
            before = Some((time, start, at));
            (at, is_repeated)
        });
        marked.collect()
    }

    /// The order in which [`Self::by_caller`] brings rows.
    pub(crate) fn caller_ranks(&self) -> Vec<u32> {
        self.callers.ranks()
    }

    /// Brings rows of one account and caller together, else as they were.
    pub(crate) fn by_caller(&self, rows: &mut [(u32, bool)], ranks: &[u32]) {
        rows.sort_by_cached_key(|(at, _)| ranks[self.row(*at).caller as usize]);
    }

    /// Bytes of a row's record.
    pub(crate) fn record_bytes(&self, at: u32) -> usize {
        self.row(at).json.range().len()
    }

    /// `event_time` of a row.
    pub(crate) fn time(&self, at: u32) -> Option<i64> {
        self.row(at).time
    }

    fn row(&self, at: u32) -> &HeldRow {
        &self.rows[at as usize]
    }

    fn text(&self, row: &HeldRow, span: Span) -> &str {
        &self.texts[row.text as usize][span.range()]
    }

    fn account(&self, row: &HeldRow) -> Option<&str> {
        match row.account {
            Some(span) => Some(self.text(row, span)),
            None => self.origins[row.origin as usize].account.as_deref(),
        }
    }

    fn identity(&self, row: &HeldRow) -> (Option<i64>, &str, Option<&str>) {
        (row.time, self.text(row, row.id), self.account(row))
    }

    fn same_event(&self, a: u32, b: u32) -> bool {
        self.identity(self.row(a)) == self.identity(self.row(b))
    }

    /// By event, then by the place where the row was delivered, then as they came.
    fn compare(&self, a: u32, b: u32) -> Ordering {
        let place = |row: &HeldRow| (self.origins[row.origin as usize].key.as_str(), row.index);
        let (row, other) = (self.row(a), self.row(b));
        self.identity(row)
            .cmp(&self.identity(other))
            .then_with(|| place(row).cmp(&place(other)))
            .then(a.cmp(&b))
    }

    /// Appends the first rows to columns: how many, at least one if there is one. Each comes with whether it is a
    /// duplicate. No more are after the one with which the page has `most_text_bytes`.
    pub(crate) fn append_to(
        &self,
        columns: &mut EventColumns,
        rows: &[(u32, bool)],
        most_text_bytes: usize,
        scratch: &mut Scratch,
    ) -> usize {
        let mut text_bytes = columns.page_text_bytes();
        let mut count = 0;
        let next = &rows[..rows.len().min(scratch.fields.len())];
        // First of all rows where the rest lies, then that.
        black_box(next.iter().fold(0, |sum, (at, _)| sum ^ self.row(*at).text));
        next.iter().for_each(|(at, _)| self.fetch(*at));
        for ((at, _), fields) in rows.iter().zip(&mut scratch.fields) {
            self.restore(*at, fields);
            count += 1;
            text_bytes += self.row(*at).json.range().len();
            if text_bytes >= most_text_bytes {
                break;
            }
        }
        let block = rows[..count].iter().zip(&scratch.fields);
        let block = block.map(|((at, is_duplicate), fields)| {
            let row = self.row(*at);
            NewRow {
                record: Record {
                    json: self.text(row, row.json),
                    fields,
                },
                facts: self.facts(row, *is_duplicate),
            }
        });
        columns.append(&block.collect::<Vec<_>>(), &mut scratch.stack);
        count
    }

    /// Asks the memory for a row. Rows lie all over a batch: what is asked for at once comes at once, and nothing waits
    /// for each line of it later.
    fn fetch(&self, at: u32) {
        const LINE: usize = 64;
        let row = self.row(at);
        let json = self.text(row, row.json).as_bytes();
        let text = json.iter().step_by(LINE).fold(0, |sum, byte| sum ^ byte);
        let values = self.values(row).iter().step_by(LINE / size_of::<Value>());
        let places = values.fold(0, |sum, value| sum ^ value.span().start);
        let resources = self.resources(at);
        let are_some = resources.iter().fold(false, |all, one| all ^ one.is_some());
        black_box((text, places, are_some));
    }

    /// A row's own fields, in the order of their slots.
    fn values(&self, row: &HeldRow) -> &[Value] {
        let (piece, first) = (row.values.0 as usize, row.values.1 as usize);
        &self.values[piece][first..first + row.slots.len()]
    }

    fn resources(&self, at: u32) -> &[Resource] {
        &self.resources[self.own(at, |row| row.first_resource, self.resources.len())]
    }

    /// Which of all are a row's own; `first` says where they begin.
    fn own(&self, at: u32, first: fn(&HeldRow) -> u32, all: usize) -> Range<usize> {
        let next = self.rows.get(at as usize + 1);
        first(self.row(at)) as usize..next.map_or(all, |next| first(next) as usize)
    }

    fn restore(&self, at: u32, fields: &mut Fields) {
        let row = self.row(at);
        let unknown = self.own(at, |row| row.first_unknown, self.unknown.len());
        fields.restore(
            row.slots,
            self.values(row),
            self.resources(at),
            &self.unknown[unknown],
        );
    }

    fn facts(&self, row: &HeldRow, is_duplicate: bool) -> RowFacts<'_> {
        let origin = &self.origins[row.origin as usize];
        RowFacts {
            origin: row.origin,
            object_key: &origin.key,
            folder_account: origin.account.as_deref(),
            region: origin.region.as_deref(),
            day: origin.day.as_deref(),
            index: row.index,
            time: row.time,
            id: self.text(row, row.id),
            account: self.account(row),
            is_duplicate,
        }
    }
}

/// Keeps the fields of a record in one of the pieces; which one, and from where.
fn hold_values(
    pieces: &mut Vec<Vec<Value>>,
    spare: &mut Vec<Vec<Value>>,
    fields: &Fields,
) -> (u32, u32) {
    let count = fields.slots().len();
    let has_room = |piece: &Vec<Value>| piece.capacity() - piece.len() >= count;
    if !pieces.last().is_some_and(has_room) {
        let piece = spare.pop();
        pieces.push(piece.unwrap_or_else(|| Vec::with_capacity(PIECE_VALUES)));
    }
    let at = pieces.len() - 1;
    let piece = &mut pieces[at];
    let first = piece.len();
    for (_, value) in fields.present() {
        piece.push(*value);
    }
    (small(at), small(first))
}

/// The first bytes of a text, as a number that compares like them.
fn start_of(text: &str) -> u64 {
    let mut start = [0; 8];
    let length = text.len().min(8);
    start[..length].copy_from_slice(&text.as_bytes()[..length]);
    u64::from_be_bytes(start)
}

/// What making columns of rows uses again and again.
pub(crate) struct Scratch {
    /// Those of a block's rows.
    fields: Vec<Fields>,
    stack: Vec<u8>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            fields: std::iter::repeat_with(Fields::new)
                .take(BLOCK_ROWS)
                .collect(),
            stack: Vec::new(),
        }
    }
}

/// A text that belongs to a record.
enum Part<'t> {
    /// It lies in the record: from where to where.
    Inside(u32, u32),
    /// It does not, as it stands.
    Apart(Cow<'t, str>),
}

impl<'t> Part<'t> {
    /// `text` is that of the value.
    fn of(value: &Value, text: Cow<'t, str>) -> Self {
        match value.kind() {
            Kind::String if !value.is_escaped() => {
                let inside = value.inside();
                Self::Inside(small(inside.start), small(inside.end))
            }
            _ => Self::Apart(text),
        }
    }

    fn apart_bytes(&self) -> usize {
        match self {
            Self::Inside(..) => 0,
            Self::Apart(text) => text.len(),
        }
    }

    /// Where it lies in the text, which holds the record from `record` on; appended if it is not there.
    fn place(self, record: u32, text: &mut String) -> Span {
        match self {
            Self::Inside(start, end) => Span {
                start: record + start,
                end: record + end,
            },
            Self::Apart(part) => {
                let start = small(text.len());
                text.push_str(&part);
                Span {
                    start,
                    end: small(text.len()),
                }
            }
        }
    }
}
