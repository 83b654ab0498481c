//! The common type of two values, by Trino's implicit coercions.
//!
//! Source: Trino documentation, "Data types" and "Conversion functions"; numbers widen, text never
//! becomes a number, arrays, maps and rows coerce by their parts.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, Fields, TimeUnit},
    common::plan_err,
    error::Result,
};

use super::type_name;
use crate::types::{
    self,
    fine::{self, Fine, Kind},
    is_text,
};

/// A list whose elements may be null.
pub(super) fn list_of(element: DataType) -> DataType {
    DataType::new_list(element, true)
}

/// The type of the elements of any kind of list.
pub(super) fn element_of(list: &DataType) -> Option<&DataType> {
    match list {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => Some(field.data_type()),
        _ => None,
    }
}

/// The types of a map's keys and values.
pub(super) fn entry_of(map: &DataType) -> Option<(&DataType, &DataType)> {
    let DataType::Map(entries, _) = map else {
        return None;
    };
    match entries.data_type() {
        DataType::Struct(entry) => match entry.as_ref() {
            [key, value] => Some((key.data_type(), value.data_type())),
            _ => None,
        },
        _ => None,
    }
}

/// The one Arrow form of a type: one kind of list, of text and of map, everything nullable.
pub(super) fn normal(data_type: &DataType) -> DataType {
    if let Some(element) = element_of(data_type) {
        return list_of(normal(element));
    }
    if let Some((key, value)) = entry_of(data_type) {
        return types::map_type(normal(key), normal(value));
    }
    match data_type {
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| Field::new(field.name(), normal(field.data_type()), true))
                .collect(),
        ),
        data_type if is_text(data_type) => DataType::Utf8,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Date64 => DataType::Date32,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    }
}

/// The type to which both coerce; `None` where there is none.
pub(super) fn unify(a: &DataType, b: &DataType) -> Option<DataType> {
    let (a, b) = (normal(a), normal(b));
    if a == b {
        return Some(a);
    }
    match (&a, &b) {
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (a, b) if Fine::of(a).or(Fine::of(b)).is_some() => finest(a, b),
        (DataType::List(x), DataType::List(y)) => unify(x.data_type(), y.data_type()).map(list_of),
        (DataType::Map(..), DataType::Map(..)) => {
            let ((k, v), (l, w)) = (entry_of(&a)?, entry_of(&b)?);
            Some(types::map_type(unify(k, l)?, unify(v, w)?))
        }
        (DataType::Struct(x), DataType::Struct(y)) if x.len() == y.len() => {
            let fields = x.iter().zip(y).map(|(x, y)| {
                let both = unify(x.data_type(), y.data_type())?;
                Some(Field::new(x.name(), both, true))
            });
            Some(DataType::Struct(fields.collect::<Option<Fields>>()?))
        }
        (DataType::Timestamp(u, z), DataType::Timestamp(v, w)) => {
            let zone = match (z, w) {
                (Some(z), Some(w)) if z != w => Some(types::UTC.into()),
                (z, w) => z.as_ref().or(w.as_ref()).map(Arc::clone),
            };
            Some(DataType::Timestamp(finer(*u, *v), zone))
        }
        (DataType::Timestamp(..), DataType::Date32) => Some(a),
        (DataType::Date32, DataType::Timestamp(..)) => Some(b),
        (DataType::Time32(u) | DataType::Time64(u), DataType::Time32(v) | DataType::Time64(v)) => {
            let digits = u8::try_from(super::cast::digits(finer(*u, *v))).ok()?;
            Some(fine::time_type(Kind::Time, digits))
        }
        (DataType::Interval(_), DataType::Interval(_)) => Some(DataType::Interval(
            datafusion::arrow::datatypes::IntervalUnit::MonthDayNano,
        )),
        (a, b) if a.is_numeric() && b.is_numeric() => Some(numbers(a, b)),
        _ => None,
    }
}

/// The type of both where Arrow has none for one of them.
fn finest(a: &DataType, b: &DataType) -> Option<DataType> {
    let known = |given: &DataType| match given {
        DataType::Date32 => Some((Kind::Timestamp(None), 0)),
        DataType::Timestamp(unit, zone) => {
            Some((Kind::Timestamp(zone.clone()), super::cast::digits(*unit)))
        }
        DataType::Time32(unit) | DataType::Time64(unit) => {
            Some((Kind::Time, super::cast::digits(*unit)))
        }
        given => Fine::of(given).map(|fine| (fine.kind, fine.digits.into())),
    };
    let ((a, p), (b, q)) = (known(a)?, known(b)?);
    let kind = match (a, b) {
        (Kind::Timestamp(Some(z)), Kind::Timestamp(Some(w))) if z != w => {
            Kind::Timestamp(Some(types::UTC.into()))
        }
        (Kind::Timestamp(z), Kind::Timestamp(w)) => Kind::Timestamp(z.or(w)),
        (Kind::Timestamp(_), _) | (_, Kind::Timestamp(_)) => return None,
        (Kind::Time, Kind::Time) => Kind::Time,
        _ => Kind::TimeWithZone,
    };
    let digits = u8::try_from(p.max(q)).ok()?;
    Some(Fine { kind, digits }.data_type())
}

fn finer(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    [
        TimeUnit::Nanosecond,
        TimeUnit::Microsecond,
        TimeUnit::Millisecond,
    ]
    .into_iter()
    .find(|unit| a == *unit || b == *unit)
    .unwrap_or(TimeUnit::Second)
}

fn numbers(a: &DataType, b: &DataType) -> DataType {
    if a.is_floating() || b.is_floating() {
        let is_single =
            |t: &DataType| !t.is_floating() || matches!(t, DataType::Float32 | DataType::Float16);
        return if is_single(a) && is_single(b) {
            DataType::Float32
        } else {
            DataType::Float64
        };
    }
    match (digits(a), digits(b)) {
        (Some((p, s)), Some((q, t))) if a.is_decimal() || b.is_decimal() => {
            let scale = s.max(t);
            let whole = (i16::from(p) - i16::from(s)).max(i16::from(q) - i16::from(t));
            let precision = u8::try_from(whole + i16::from(scale)).unwrap_or(38).min(38);
            DataType::Decimal128(precision, scale)
        }
        (Some((p, _)), Some((q, _))) if p >= q => a.clone(),
        _ => b.clone(),
    }
}

/// Precision and scale of an exact number.
fn digits(data_type: &DataType) -> Option<(u8, i8)> {
    Some(match data_type {
        DataType::Int8 => (3, 0),
        DataType::Int16 => (5, 0),
        DataType::Int32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => (*p, *s),
        _ => return None,
    })
}

/// The type common to all; null for none.
pub(super) fn unify_all<'a>(
    name: &str,
    given: impl IntoIterator<Item = &'a DataType>,
) -> Result<DataType> {
    given.into_iter().try_fold(DataType::Null, |common, given| {
        match unify(&common, given) {
            Some(both) => Ok(both),
            None => plan_err!(
                "{name}: {} and {} have no common type",
                type_name(&common),
                type_name(given)
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_type() -> impl Strategy<Value = DataType> {
        let leaf = prop_oneof![
            Just(DataType::Null),
            Just(DataType::Boolean),
            Just(DataType::Int8),
            Just(DataType::Int32),
            Just(DataType::Int64),
            Just(DataType::UInt64),
            Just(DataType::Float32),
            Just(DataType::Float64),
            Just(DataType::Decimal128(10, 2)),
            Just(DataType::Decimal128(38, 0)),
            Just(DataType::Utf8),
            Just(DataType::Utf8View),
            Just(DataType::Date32),
            Just(DataType::Timestamp(TimeUnit::Millisecond, None)),
            Just(types::zoned()),
        ];
        leaf.prop_recursive(2, 8, 2, |inner| {
            prop_oneof![
                inner.clone().prop_map(list_of),
                (inner.clone(), inner.clone()).prop_map(|(k, v)| types::map_type(k, v)),
                (inner.clone(), inner).prop_map(|(a, b)| DataType::Struct(Fields::from(vec![
                    Field::new("c0", a, true),
                    Field::new("c1", b, false),
                ]))),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_common_type_does_not_depend_on_the_order(a in any_type(), b in any_type()) {
            prop_assert_eq!(unify(&a, &b), unify(&b, &a));
        }

        #[test]
        fn the_common_type_absorbs_both(a in any_type(), b in any_type()) {
            if let Some(both) = unify(&a, &b) {
                prop_assert_eq!(unify(&a, &both), Some(both.clone()));
                prop_assert_eq!(unify(&b, &both), Some(both));
            }
        }

        #[test]
        fn null_gives_way(a in any_type()) {
            prop_assert_eq!(unify(&a, &DataType::Null), Some(normal(&a)));
        }
    }

    #[test]
    fn numbers_widen_and_text_does_not_become_one() {
        let decimal = DataType::Decimal128(12, 2);
        assert_eq!(
            unify(&DataType::Int32, &DataType::Decimal128(4, 2)),
            Some(decimal)
        );
        assert_eq!(
            unify(&DataType::Int64, &DataType::Float32),
            Some(DataType::Float32)
        );
        assert_eq!(unify(&DataType::Utf8, &DataType::Int64), None);
        assert_eq!(unify(&DataType::Utf8, &types::JSON), None);
        assert_eq!(
            unify(&list_of(DataType::Null), &list_of(DataType::Int32)),
            Some(list_of(DataType::Int32))
        );
    }
}
