//! Where the frames of a partition's rows begin and end.

use std::{fmt, ops::Range};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, DynComparator, make_comparator},
        compute::{
            SortOptions,
            kernels::numeric::{add, sub},
            partition,
        },
        datatypes::{
            DataType, Decimal128Type, Float64Type, Int64Type, IntervalMonthDayNanoType,
            IntervalUnit, IntervalYearMonthType,
        },
    },
    common::{exec_err, plan_err},
    error::Result,
    logical_expr::{Expr, WindowFrame, WindowFrameBound, WindowFrameUnits},
};

/// What the offsets of a frame count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Units {
    Rows,
    /// Differences of the key.
    Range,
    /// Sets of rows with equal keys.
    Groups,
}

/// One end of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Bound {
    /// `UNBOUNDED PRECEDING`
    First,
    /// `n PRECEDING`
    Before,
    /// `CURRENT ROW`
    Current,
    /// `n FOLLOWING`
    After,
    /// `UNBOUNDED FOLLOWING`
    Last,
}

impl Bound {
    /// Is there an offset?
    pub(crate) fn has_offset(self) -> bool {
        matches!(self, Self::Before | Self::After)
    }
}

/// A frame without its offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Frame {
    pub(crate) units: Units,
    pub(crate) start: Bound,
    pub(crate) end: Bound,
}

const UNITS: [(Units, &str); 3] = [
    (Units::Rows, "rows"),
    (Units::Range, "range"),
    (Units::Groups, "groups"),
];
const BOUNDS: [(Bound, &str); 5] = [
    (Bound::First, "first"),
    (Bound::Before, "before"),
    (Bound::Current, "current"),
    (Bound::After, "after"),
    (Bound::Last, "last"),
];

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = UNITS.iter().find(|(units, _)| units == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |bound| {
            let name = BOUNDS.iter().find(|(known, _)| *known == bound);
            name.map_or("", |(_, name)| name)
        };
        write!(f, "{} {} {}", self.units, name(self.start), name(self.end))
    }
}

impl Frame {
    /// A frame as [`Display`](fmt::Display) writes it.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let bound = |written: &str| BOUNDS.iter().find(|(_, name)| *name == written);
        let words = text.split(' ').collect::<Vec<_>>();
        if let [units, start, end] = words.as_slice()
            && let Some((units, _)) = UNITS.iter().find(|(_, name)| name == units)
            && let (Some((start, _)), Some((end, _))) = (bound(start), bound(end))
        {
            return Ok(Self {
                units: *units,
                start: *start,
                end: *end,
            });
        }
        plan_err!("`{text}` is no frame")
    }

    /// DataFusion's, with its offsets.
    pub(super) fn of(frame: &WindowFrame) -> (Self, Vec<Expr>) {
        let mut offsets = Vec::new();
        let mut bound = |written: &WindowFrameBound, unbounded, offset| match written {
            WindowFrameBound::CurrentRow => Bound::Current,
            WindowFrameBound::Preceding(count) | WindowFrameBound::Following(count)
                if count.is_null() =>
            {
                unbounded
            }
            WindowFrameBound::Preceding(count) | WindowFrameBound::Following(count) => {
                offsets.push(Expr::Literal(count.clone(), None));
                offset
            }
        };
        let mut either = |written: &WindowFrameBound| match written {
            WindowFrameBound::Following(_) => bound(written, Bound::Last, Bound::After),
            _ => bound(written, Bound::First, Bound::Before),
        };
        let frame = Self {
            units: match frame.units {
                WindowFrameUnits::Rows => Units::Rows,
                WindowFrameUnits::Range => Units::Range,
                WindowFrameUnits::Groups => Units::Groups,
            },
            start: either(&frame.start_bound),
            end: either(&frame.end_bound),
        };
        (frame, offsets)
    }

    /// Does the key have to be added to?
    pub(super) fn measures_key(&self) -> bool {
        self.units == Units::Range && (self.start.has_offset() || self.end.has_offset())
    }
}

/// The rows of a partition, in their order.
pub(super) struct Rows<'a> {
    pub(super) count: usize,
    pub(super) keys: &'a [ArrayRef],
    pub(super) options: &'a [SortOptions],
    /// Of the start and of the end, where they have one.
    pub(super) offsets: [Option<&'a ArrayRef>; 2],
}

/// The frame of each row; empty where it ends before it starts.
pub(super) fn frames(frame: Frame, rows: &Rows) -> Result<Vec<Range<usize>>> {
    let groups = match rows.keys.is_empty() {
        true => std::iter::once(0..rows.count).collect(),
        false => partition(rows.keys)?.ranges(),
    };
    let start = Edge::new(frame, frame.start, 0, rows)?;
    let end = Edge::new(frame, frame.end, 1, rows)?;
    let mut frames = Vec::with_capacity(rows.count);
    for (number, group) in groups.iter().enumerate() {
        for row in group.clone() {
            let here = Here {
                row,
                number,
                groups: &groups,
                count: rows.count,
            };
            let first = start.first(&here)?;
            frames.push(first..end.end(&here)?.max(first));
        }
    }
    Ok(frames)
}

/// A row, and the group that it is in.
struct Here<'a> {
    row: usize,
    number: usize,
    groups: &'a [Range<usize>],
    count: usize,
}

/// One end of the frames of a partition.
struct Edge<'a> {
    bound: Bound,
    units: Units,
    offsets: Option<&'a ArrayRef>,
    /// Compares the key of a row with where the frame of another one ends; only for ranges of the key.
    compared: Option<(DynComparator, &'a ArrayRef)>,
}

impl<'a> Edge<'a> {
    fn new(frame: Frame, bound: Bound, place: usize, rows: &Rows<'a>) -> Result<Self> {
        let offsets = match bound.has_offset() {
            true => rows.offsets[place],
            false => None,
        };
        let compared = match (frame.units, offsets) {
            (Units::Range, Some(offsets)) => {
                let [key] = rows.keys else {
                    return exec_err!("a range is measured by one key");
                };
                let options = rows.options.first().copied().unwrap_or_default();
                check_range(key, offsets)?;
                // The key grows in the order of the rows, or falls.
                let limits = match (bound == Bound::Before) != options.descending {
                    true => sub(key, offsets)?,
                    false => add(key, offsets)?,
                };
                Some((make_comparator(key, &limits, options)?, key))
            }
            _ => None,
        };
        Ok(Self {
            bound,
            units: frame.units,
            offsets,
            compared,
        })
    }

    /// The number of rows, or of groups.
    fn count(&self, row: usize) -> Result<usize> {
        let Some(offsets) = self.offsets else {
            return exec_err!("a bound lacks its offset");
        };
        let offsets = offsets.as_primitive::<Int64Type>();
        if offsets.is_null(row) {
            return exec_err!("Window frame offset must not be null");
        }
        let offset = offsets.value(row);
        match usize::try_from(offset) {
            Ok(count) => Ok(count),
            Err(_) => exec_err!("Window frame {offset} offset must not be negative"),
        }
    }

    /// The first row of a frame that begins here.
    fn first(&self, here: &Here) -> Result<usize> {
        let group = &here.groups[here.number];
        Ok(match (self.bound, self.units) {
            (Bound::First, _) => 0,
            (Bound::Last, _) => here.count,
            (Bound::Current, Units::Rows) => here.row,
            (Bound::Current, _) => group.start,
            (Bound::Before, Units::Rows) => here.row.saturating_sub(self.count(here.row)?),
            (Bound::After, Units::Rows) => here
                .row
                .saturating_add(self.count(here.row)?)
                .min(here.count),
            (Bound::Before, Units::Groups) => {
                let number = here.number.saturating_sub(self.count(here.row)?);
                here.groups[number].start
            }
            (Bound::After, Units::Groups) => {
                let number = here.number.saturating_add(self.count(here.row)?);
                here.groups
                    .get(number)
                    .map_or(here.count, |group| group.start)
            }
            (Bound::Before | Bound::After, Units::Range) => match &self.compared {
                Some((compare, key)) if key.is_valid(here.row) => {
                    partition_point(here.count, |row| compare(row, here.row).is_lt())
                }
                // Nulls are as near to each other as can be, and far from all else.
                _ => group.start,
            },
        })
    }

    /// The row after the last one of a frame that ends here.
    fn end(&self, here: &Here) -> Result<usize> {
        let group = &here.groups[here.number];
        Ok(match (self.bound, self.units) {
            (Bound::First, _) => 0,
            (Bound::Last, _) => here.count,
            (Bound::Current, Units::Rows) => here.row + 1,
            (Bound::Current, _) => group.end,
            (Bound::Before, Units::Rows) => (here.row + 1).saturating_sub(self.count(here.row)?),
            (Bound::After, Units::Rows) => {
                let after = here.row.saturating_add(self.count(here.row)?);
                after.saturating_add(1).min(here.count)
            }
            (Bound::Before, Units::Groups) => {
                let number = here.number.checked_sub(self.count(here.row)?);
                number.map_or(0, |number| here.groups[number].end)
            }
            (Bound::After, Units::Groups) => {
                let number = here.number.saturating_add(self.count(here.row)?);
                here.groups
                    .get(number)
                    .map_or(here.count, |group| group.end)
            }
            (Bound::Before | Bound::After, Units::Range) => match &self.compared {
                Some((compare, key)) if key.is_valid(here.row) => {
                    partition_point(here.count, |row| compare(row, here.row).is_le())
                }
                _ => group.end,
            },
        })
    }
}

/// The first row for which it no longer holds.
fn partition_point(count: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        match holds(middle) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}

/// Offsets are neither null nor negative, and a date is moved by whole days.
fn check_range(key: &ArrayRef, offsets: &ArrayRef) -> Result<()> {
    let is_negative: Box<dyn Fn(usize) -> bool> = match offsets.data_type() {
        DataType::Int64 => {
            let offsets = offsets.as_primitive::<Int64Type>();
            Box::new(|row| offsets.value(row) < 0)
        }
        DataType::Float64 => {
            let offsets = offsets.as_primitive::<Float64Type>();
            Box::new(|row| offsets.value(row) < 0.0)
        }
        DataType::Decimal128(..) => {
            let offsets = offsets.as_primitive::<Decimal128Type>();
            Box::new(|row| offsets.value(row) < 0)
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            let offsets = offsets.as_primitive::<IntervalYearMonthType>();
            Box::new(|row| offsets.value(row) < 0)
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let offsets = offsets.as_primitive::<IntervalMonthDayNanoType>();
            let has_hours = |row| offsets.is_valid(row) && offsets.value(row).nanoseconds != 0;
            if *key.data_type() == DataType::Date32 && (0..offsets.len()).any(has_hours) {
                return exec_err!("Cannot add hour, minutes or seconds to a date");
            }
            Box::new(|row| {
                let span = offsets.value(row);
                span.months < 0 || span.days < 0 || span.nanoseconds < 0
            })
        }
        other => return exec_err!("a range cannot be measured by {other}"),
    };
    match (0..offsets.len()).any(|row| offsets.is_null(row) || is_negative(row)) {
        true => exec_err!("Window frame offset value must not be negative or null"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::Int64Array;
    use proptest::prelude::*;

    use super::*;

    const KINDS: [Bound; 5] = [
        Bound::First,
        Bound::Before,
        Bound::Current,
        Bound::After,
        Bound::Last,
    ];

    /// Is `row` in the frame of `here`, by what the words say?
    fn is_within(frame: Frame, keys: &[i64], offsets: [i64; 2], here: usize, row: usize) -> bool {
        let group = |row: usize| {
            let mut before = keys[..=row].to_vec();
            before.dedup();
            before.len() as i64
        };
        let place = |row: usize| match frame.units {
            Units::Rows => row as i64,
            Units::Range => keys[row],
            Units::Groups => group(row),
        };
        let bound = |kind, offset| match kind {
            Bound::First => i64::MIN,
            Bound::Before => place(here) - offset,
            Bound::Current => place(here),
            Bound::After => place(here) + offset,
            Bound::Last => i64::MAX,
        };
        let [start, end] = offsets;
        bound(frame.start, start) <= place(row) && place(row) <= bound(frame.end, end)
    }

    proptest! {
        #[test]
        fn a_frame_holds_the_rows_that_its_words_say(
            mut keys in prop::collection::vec(-4_i64..4, 1..12),
            units in 0_usize..3,
            start in 0_usize..4,
            end in 1_usize..5,
            offsets in [0_i64..4, 0_i64..4],
        ) {
            keys.sort_unstable();
            let frame = Frame { units: UNITS[units].0, start: KINDS[start], end: KINDS[end] };
            let key: ArrayRef = Arc::new(Int64Array::from(keys.clone()));
            let counts = offsets.map(|offset| -> ArrayRef {
                Arc::new(Int64Array::from(vec![offset; keys.len()]))
            });
            let [first, last] = &counts;
            let rows = Rows {
                count: keys.len(),
                keys: std::slice::from_ref(&key),
                options: &[SortOptions::new(false, false)],
                offsets: [Some(first), Some(last)],
            };
            for (here, found) in frames(frame, &rows).unwrap().into_iter().enumerate() {
                let expected: Vec<_> = (0..keys.len())
                    .filter(|row| is_within(frame, &keys, offsets, here, *row))
                    .collect();
                prop_assert_eq!(found.collect::<Vec<_>>(), expected, "{} of row {}", frame, here);
            }
        }
    }

    #[test]
    fn a_frame_is_read_from_its_text() {
        for (units, _) in UNITS {
            for start in KINDS {
                let frame = Frame {
                    units,
                    start,
                    end: Bound::Last,
                };
                assert_eq!(Frame::parse(&frame.to_string()).unwrap(), frame);
            }
        }
        assert!(Frame::parse("rows first").is_err());
    }
}
