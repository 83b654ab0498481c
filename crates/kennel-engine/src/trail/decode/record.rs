//! One record, taken apart: where each known field lies, and which are unknown.

use std::ops::RangeInclusive;

use super::{
    scan::Scanner,
    scan_error::{Expected, ScanError},
    text::plain,
    value::{Kind, Value},
};
use crate::trail::schema::{KnownField, RECORD, Shape, Slot};

/// A field that the schema does not know, or a known one whose value does not fit its struct.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unknown {
    /// The struct that it lies in; `None` at the top.
    pub(crate) parent: Option<Slot>,
    /// Of a field in `resources`: the element.
    pub(crate) element: usize,
    pub(crate) key: Value,
    pub(crate) value: Value,
}

/// An element of `resources`: its four fields, or null.
pub(crate) type Resource = Option<[Value; RESOURCE_SLOTS]>;

/// How many fields a resource has.
pub(crate) const RESOURCE_SLOTS: usize =
    Slot::ResourceArnPrefix.index() - Slot::ResourceArn.index() + 1;

/// The fields of one record. Reused from record to record, so that nothing is allocated for one.
#[derive(Debug)]
pub(crate) struct Fields {
    slots: [Value; Slot::COUNT],
    /// Which of them are there; those of an element of `resources` never are.
    present: SlotSet,
    pub(crate) resources: Vec<Resource>,
    pub(crate) unknown: Vec<Unknown>,
    order: Order,
}

/// The order in which the last record held its fields, which is nearly always that of the next one.
#[derive(Debug)]
struct Order {
    /// By struct, and last of the record itself: the position of its first field.
    first: [u8; Slot::COUNT + 1],
    /// By field: the position of the one behind it in the same struct.
    next: [u8; Slot::COUNT],
}

impl Fields {
    pub(crate) fn new() -> Self {
        Self {
            slots: [Value::default(); Slot::COUNT],
            present: SlotSet::default(),
            resources: Vec::new(),
            unknown: Vec::new(),
            order: Order {
                first: [0; Slot::COUNT + 1],
                next: [0; Slot::COUNT],
            },
        }
    }

    /// Where a field lies.
    pub(crate) fn value(&self, slot: Slot) -> &Value {
        &self.slots[slot.index()]
    }

    /// The same by the number of its slot.
    #[inline]
    pub(crate) fn at(&self, slot: usize) -> &Value {
        &self.slots[slot]
    }

    /// The unknown field of this name at the top of the record; of two the last.
    pub(crate) fn unknown_at_top(&self, record: &str, name: &str) -> Option<Value> {
        let is_it = |unknown: &&Unknown| {
            unknown.parent.is_none()
                && plain(record, &unknown.key).is_some_and(|key| key.eq_ignore_ascii_case(name))
        };
        self.unknown.iter().rfind(is_it).map(|found| found.value)
    }

    /// The fields that are there, and where each lies.
    pub(crate) fn present(&self) -> impl Iterator<Item = (usize, &Value)> {
        self.present.iter().map(|index| (index, &self.slots[index]))
    }

    /// Which fields are there.
    pub(crate) fn slots(&self) -> SlotSet {
        self.present
    }

    /// Makes these the fields again: `values` are those of `slots`, in their order.
    pub(crate) fn restore(
        &mut self,
        slots: SlotSet,
        values: &[Value],
        resources: &[Resource],
        unknown: &[Unknown],
    ) {
        // Rows that follow each other have mostly the same fields.
        for index in self.present.without(slots).iter() {
            self.slots[index] = Value::default();
        }
        self.present = slots;
        for (index, value) in slots.iter().zip(values) {
            self.slots[index] = *value;
        }
        self.resources.clear();
        self.unknown.clear();
        self.resources.extend_from_slice(resources);
        self.unknown.extend_from_slice(unknown);
    }

    fn forget(&mut self) {
        for index in self.present.iter() {
            self.slots[index] = Value::default();
        }
        self.present = SlotSet::default();
        self.resources.clear();
        self.unknown.clear();
    }

    fn set(&mut self, slot: Slot, value: Value) {
        self.slots[slot.index()] = value;
        self.present.insert(slot.index());
    }

    /// Takes the object apart at which the scanner stands; it stands after it then. Spans count from
    /// its `{`.
    pub(crate) fn read(&mut self, scanner: &mut Scanner<'_, '_>) -> Result<(), ScanError> {
        self.forget();
        self.object(scanner, RECORD, None)
    }

    /// An object of known fields. Calls itself only for structs of the schema: five levels.
    fn object(
        &mut self,
        scanner: &mut Scanner<'_, '_>,
        fields: &'static [KnownField],
        parent: Option<Slot>,
    ) -> Result<(), ScanError> {
        scanner.at += 1;
        if scanner.token()? == b'}' {
            scanner.at += 1;
            return Ok(());
        }
        let first = &mut self.order.first[parent.map_or(Slot::COUNT, Slot::index)];
        let (mut found, mut key) = next_field(scanner, fields, first, 0)?;
        // The position behind that of the last known one.
        let mut expected = 0;
        loop {
            let Some(position) = found else {
                let value = scanner.value()?;
                self.note(parent, key, value);
                if !scanner.entry_follows()? {
                    return Ok(());
                }
                (found, key) = any_field(scanner, fields, expected)?;
                continue;
            };
            let field = &fields[position];
            expected = position + 1;
            self.known(scanner, field, key, parent)?;
            let next = &mut self.order.next[field.slot.index()];
            let as_before = usize::from(*next);
            if let Some(taken) = scanner.take_entry(&fields[as_before].opening) {
                (found, key) = (Some(as_before), taken);
                continue;
            }
            if !scanner.entry_follows()? {
                return Ok(());
            }
            (found, key) = next_field(scanner, fields, next, expected)?;
        }
    }

    /// The value of a known field. Of two equal keys the last wins, so what the first left is cleared.
    #[inline]
    fn known(
        &mut self,
        scanner: &mut Scanner<'_, '_>,
        field: &'static KnownField,
        key: Value,
        parent: Option<Slot>,
    ) -> Result<(), ScanError> {
        let first = scanner.token()?;
        let start = scanner.at;
        match field.shape {
            Shape::Text | Shape::Json => {
                let value = scanner.value()?;
                self.set(field.slot, value);
            }
            Shape::Object(fields) => {
                self.clear(field);
                if first == b'{' {
                    self.object(scanner, fields, Some(field.slot))?;
                    self.set(
                        field.slot,
                        scanner.spanned(start, Kind::Object, false, true),
                    );
                } else {
                    self.misfit(scanner, parent, key)?;
                }
            }
            Shape::TextMap => {
                self.clear(field);
                if first == b'{' {
                    let value = scanner.value()?;
                    self.set(field.slot, value);
                } else {
                    self.misfit(scanner, parent, key)?;
                }
            }
            Shape::Objects(fields) => {
                self.clear(field);
                self.resources.clear();
                match first {
                    b'[' => self.list(scanner, fields, field.slot)?,
                    b'{' => self.element(scanner, fields, field.slot)?,
                    _ => return self.misfit(scanner, parent, key),
                }
                self.set(field.slot, scanner.spanned(start, Kind::Array, false, true));
            }
        }
        Ok(())
    }

    /// A value that is no struct where one belongs: it stays in `extra`, under its own key.
    fn misfit(
        &mut self,
        scanner: &mut Scanner<'_, '_>,
        parent: Option<Slot>,
        key: Value,
    ) -> Result<(), ScanError> {
        let value = scanner.value()?;
        if value.is_some() {
            self.note(parent, key, value);
        }
        Ok(())
    }

    fn list(
        &mut self,
        scanner: &mut Scanner<'_, '_>,
        fields: &'static [KnownField],
        slot: Slot,
    ) -> Result<(), ScanError> {
        scanner.at += 1;
        if scanner.token()? == b']' {
            scanner.at += 1;
            return Ok(());
        }
        loop {
            self.element(scanner, fields, slot)?;
            match scanner.token()? {
                b',' => scanner.at += 1,
                b']' => {
                    scanner.at += 1;
                    return Ok(());
                }
                _ => return Err(scanner.invalid(Expected::ListGoesOn)),
            }
        }
    }

    /// An element of `resources`. What is neither an object nor null is taken for an ARN: the event bus
    /// writes lists of them.
    fn element(
        &mut self,
        scanner: &mut Scanner<'_, '_>,
        fields: &'static [KnownField],
        slot: Slot,
    ) -> Result<(), ScanError> {
        let range = Slot::ResourceArn.index()..=Slot::ResourceArnPrefix.index();
        let mut resource = [Value::default(); RESOURCE_SLOTS];
        let is_some = if scanner.token()? == b'{' {
            self.object(scanner, fields, Some(slot))?;
            resource.copy_from_slice(&self.slots[range.clone()]);
            self.remove(range);
            true
        } else {
            resource[0] = scanner.value()?;
            resource[0].is_some()
        };
        self.resources.push(is_some.then_some(resource));
        Ok(())
    }

    /// Forgets a struct and all that lies below it.
    fn clear(&mut self, field: &KnownField) {
        let range = field.slot.index()..=last_slot(field);
        if self.slots[field.slot.index()].kind() == Kind::Absent {
            return;
        }
        self.remove(range.clone());
        self.unknown
            .retain(|unknown| !unknown.parent.is_some_and(|p| range.contains(&p.index())));
    }

    fn remove(&mut self, range: RangeInclusive<usize>) {
        self.slots[range.clone()].fill(Value::default());
        range.for_each(|index| self.present.remove(index));
    }

    fn note(&mut self, parent: Option<Slot>, key: Value, value: Value) {
        self.unknown.push(Unknown {
            parent,
            element: self.resources.len(),
            key,
            value,
        });
    }
}

/// The key here, and which field it names: usually the one as in the record before, which is noted.
fn next_field(
    scanner: &mut Scanner<'_, '_>,
    fields: &[KnownField],
    as_before: &mut u8,
    expected: usize,
) -> Result<(Option<usize>, Value), ScanError> {
    let position = usize::from(*as_before);
    if let Some(key) = scanner.take_key(fields[position].name) {
        return Ok((Some(position), key));
    }
    let found = any_field(scanner, fields, expected)?;
    if let (Some(position), _) = found {
        // Structs have few fields.
        *as_before = position as u8;
    }
    Ok(found)
}

/// The same, without a record before: fields usually come in the schema's order, written as it writes them.
fn any_field(
    scanner: &mut Scanner<'_, '_>,
    fields: &[KnownField],
    expected: usize,
) -> Result<(Option<usize>, Value), ScanError> {
    let in_order = (expected..fields.len()).find_map(|position| {
        let key = scanner.take_key(fields[position].name)?;
        Some((Some(position), key))
    });
    match in_order {
        Some(found) => Ok(found),
        None => {
            let key = scanner.key()?;
            Ok((find(fields, scanner.inside(&key), key.is_escaped()), key))
        }
    }
}

/// A set of slots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SlotSet(u128);

impl SlotSet {
    fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    fn remove(&mut self, index: usize) {
        self.0 &= !(1 << index);
    }

    /// Those of either.
    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that the other has not.
    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// How many there are.
    pub(crate) fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Their numbers, ascending.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let index = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(index)
        })
    }
}

const _: () = assert!(Slot::COUNT <= 128, "a set of slots has 128 bits");

/// The highest slot of a field's struct.
fn last_slot(field: &KnownField) -> usize {
    match field.shape {
        Shape::Object(fields) | Shape::Objects(fields) => {
            fields.last().map_or(field.slot.index(), last_slot)
        }
        _ => field.slot.index(),
    }
}

/// The field of this name, letter case aside.
fn find(fields: &[KnownField], written: &[u8], is_escaped: bool) -> Option<usize> {
    fields
        .iter()
        .position(|field| field.name.as_bytes() == written)
        .or_else(|| find_slowly(fields, written, is_escaped))
}

/// A name in other letter case, or written with escapes.
#[cold]
fn find_slowly(fields: &[KnownField], written: &[u8], is_escaped: bool) -> Option<usize> {
    let mut unescaped = String::new();
    let name = if is_escaped {
        super::text::unescape(&String::from_utf8_lossy(written), &mut unescaped);
        unescaped.as_bytes()
    } else {
        written
    };
    fields
        .iter()
        .position(|field| field.name.as_bytes().eq_ignore_ascii_case(name))
}
