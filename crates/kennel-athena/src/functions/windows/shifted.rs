//! `lag`, `lead` and `ntile` whose arguments differ from row to row.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Int64Array, new_null_array},
        compute::interleave,
        datatypes::{DataType, FieldRef, Int64Type},
    },
    common::{exec_err, plan_err},
    error::Result,
    logical_expr::{
        PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl,
        function::{PartitionEvaluatorArgs, WindowUDFFieldArgs},
    },
};

use crate::functions::{type_name, unify::unify};

/// `lag(x, n, y)` or `lead(x, n, y)`.
pub(super) fn shift(is_before: bool) -> Arc<WindowUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(WindowUDF::from(Shift {
        is_before,
        signature,
    }))
}

/// `ntile(n)`.
pub(super) fn tiles() -> Arc<WindowUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(WindowUDF::from(Tiles { signature }))
}

/// The types of the arguments.
pub(super) fn given(args: &WindowUDFFieldArgs) -> Vec<DataType> {
    let fields = args.input_fields().iter();
    fields.map(|field| field.data_type().clone()).collect()
}

/// Refuses what is no whole number.
pub(super) fn check_whole(function: &str, given: &DataType) -> Result<()> {
    match given.is_integer() || given.is_null() {
        true => Ok(()),
        false => plan_err!(
            "{function} takes a bigint for the number of rows, not {}",
            type_name(given)
        ),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Shift {
    is_before: bool,
    signature: Signature,
}

impl Shift {
    fn types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let name = if self.is_before { "lag" } else { "lead" };
        let [value, offset, defaults @ ..] = given else {
            return plan_err!("{} takes a value, an offset and a default", name);
        };
        check_whole(name, offset)?;
        let Some(default) = defaults.first() else {
            return Ok(vec![value.clone(), DataType::Int64]);
        };
        match unify(value, default) {
            Some(both) => Ok(vec![both.clone(), DataType::Int64, both]),
            None => plan_err!(
                "{} takes a default of the type of its value: {} and {} have none in common",
                name,
                type_name(value),
                type_name(default)
            ),
        }
    }
}

impl WindowUDFImpl for Shift {
    fn name(&self) -> &str {
        if self.is_before { "lag" } else { "lead" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(self.types(given).unwrap_or_else(|_| given.to_vec()))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        self.types(&given(&args))?;
        nullable(&args)
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(ShiftEvaluator {
            is_before: self.is_before,
            ignores_nulls: args.ignore_nulls(),
        }))
    }
}

/// The field of the first argument, under the name of the result.
pub(super) fn nullable(args: &WindowUDFFieldArgs) -> Result<FieldRef> {
    match args.input_fields().first() {
        Some(field) => {
            let field = field.as_ref().clone().with_name(args.name());
            Ok(Arc::new(field.with_nullable(true)))
        }
        None => plan_err!("a window function lacks its argument"),
    }
}

#[derive(Debug)]
struct ShiftEvaluator {
    is_before: bool,
    ignores_nulls: bool,
}

impl ShiftEvaluator {
    /// The row that lies so many rows before or after `row`; of those in `places`, where not all count.
    fn find(
        &self,
        row: usize,
        offset: usize,
        rows: usize,
        places: Option<&[usize]>,
    ) -> Option<usize> {
        let Some(places) = places.filter(|_| offset > 0) else {
            return match self.is_before {
                true => row.checked_sub(offset),
                false => row.checked_add(offset).filter(|found| *found < rows),
            };
        };
        let place = match self.is_before {
            true => places
                .partition_point(|place| *place < row)
                .checked_sub(offset),
            false => places
                .partition_point(|place| *place <= row)
                .checked_add(offset - 1),
        };
        places.get(place?).copied()
    }
}

impl PartitionEvaluator for ShiftEvaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let [value, offsets, defaults @ ..] = values else {
            return exec_err!("lag or lead lacks its offset");
        };
        let offsets = offsets.as_primitive::<Int64Type>();
        let missing = match defaults.first() {
            Some(default) => Arc::clone(default),
            None => new_null_array(value.data_type(), num_rows),
        };
        let places: Option<Vec<usize>> = self
            .ignores_nulls
            .then(|| (0..num_rows).filter(|row| value.is_valid(*row)).collect());
        let mut chosen = Vec::with_capacity(num_rows);
        for row in 0..num_rows {
            let offset = match offsets.is_valid(row) {
                true => usize::try_from(offsets.value(row)),
                false => return exec_err!("Offset must not be null"),
            };
            let Ok(offset) = offset else {
                return exec_err!("Offset must be at least 0");
            };
            let found = self.find(row, offset, num_rows, places.as_deref());
            chosen.push(found.map_or((1, row), |found| (0, found)));
        }
        Ok(interleave(&[value.as_ref(), missing.as_ref()], &chosen)?)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Tiles {
    signature: Signature,
}

impl WindowUDFImpl for Tiles {
    fn name(&self) -> &str {
        "ntile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let is_whole = given
            .iter()
            .all(|given| check_whole("ntile", given).is_ok());
        Ok(match is_whole {
            true => vec![DataType::Int64; given.len()],
            false => given.to_vec(),
        })
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        for given in given(&args) {
            check_whole("ntile", &given)?;
        }
        nullable(&args)
    }

    fn partition_evaluator(
        &self,
        _: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(TilesEvaluator))
    }
}

#[derive(Debug)]
struct TilesEvaluator;

impl PartitionEvaluator for TilesEvaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let Some(buckets) = values.first() else {
            return exec_err!("ntile lacks the number of buckets");
        };
        let buckets = buckets.as_primitive::<Int64Type>();
        let rows = i64::try_from(num_rows).unwrap_or(i64::MAX);
        let tiles = (0..rows).zip(buckets).map(|(row, buckets)| match buckets {
            None => Ok(None),
            Some(buckets) if buckets > 0 => Ok(Some(tile(row, rows, buckets))),
            Some(_) => exec_err!("Buckets must be greater than 0"),
        });
        Ok(Arc::new(tiles.collect::<Result<Int64Array>>()?))
    }
}

/// The bucket of a row, from one on; the first ones have a row more where they cannot be equally large.
fn tile(row: i64, rows: i64, buckets: i64) -> i64 {
    let (size, larger) = (rows / buckets, rows % buckets);
    let in_larger = larger * (size + 1);
    1 + match row < in_larger {
        true => row / (size + 1),
        false => larger + (row - in_larger) / size.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_buckets_are_the_larger_ones() {
        let tiles = |rows, buckets| {
            (0..rows)
                .map(|row| tile(row, rows, buckets))
                .collect::<Vec<_>>()
        };
        assert_eq!(tiles(5, 2), [1, 1, 1, 2, 2]);
        assert_eq!(tiles(6, 3), [1, 1, 2, 2, 3, 3]);
        assert_eq!(tiles(3, 9), [1, 2, 3]);
    }
}
