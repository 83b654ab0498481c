//! Functions that work row by row: the result is null as soon as one argument is null.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanBuilder,
            FixedSizeBinaryArray, Float64Array, Float64Builder, Int32Builder, Int64Array,
            Int64Builder, StringBuilder,
        },
        datatypes::{Float64Type, Int64Type},
    },
    error::Result,
};

use super::scalar::Call;

/// Fills a builder with what `each` gives for the rows in which all arguments are present.
macro_rules! fill {
    ($call:expr, $builder:expr, $each:expr) => {{
        let mut result = $builder;
        let mut each = $each;
        for row in 0..$call.rows {
            if $call.all_valid(row) {
                result.append_option(each(row)?);
            } else {
                result.append_null();
            }
        }
        Ok(Arc::new(result.finish()) as ArrayRef)
    }};
}

impl Call {
    /// Is no argument null in `row`?
    pub(super) fn all_valid(&self, row: usize) -> bool {
        self.args.iter().all(|array| array.is_valid(row))
    }

    /// Argument `index`; its kind must be `Integer`.
    pub(super) fn integers(&self, index: usize) -> &Int64Array {
        self.args[index].as_primitive::<Int64Type>()
    }

    /// The integer of argument `index` in a row, if the argument was given.
    pub(super) fn integer_at(&self, index: usize, row: usize) -> Option<i64> {
        let array = self.args.get(index)?;
        Some(array.as_primitive::<Int64Type>().value(row))
    }

    /// Argument `index`; its kind must be `Double`.
    pub(super) fn doubles(&self, index: usize) -> &Float64Array {
        self.args[index].as_primitive::<Float64Type>()
    }

    /// Argument `index`; its kind must be `Binary`.
    pub(super) fn bytes(&self, index: usize) -> &BinaryArray {
        self.args[index].as_binary::<i32>()
    }

    /// Argument `index` of fixed-size bytes: addresses, prefixes, UUIDs.
    pub(super) fn fixed(&self, index: usize) -> &FixedSizeBinaryArray {
        self.args[index].as_fixed_size_binary()
    }

    /// Texts.
    pub(super) fn to_texts<T: AsRef<str>>(
        &self,
        each: impl FnMut(usize) -> Result<Option<T>>,
    ) -> Result<ArrayRef> {
        fill!(self, StringBuilder::with_capacity(self.rows, 0), each)
    }

    /// Bytes.
    pub(super) fn to_bytes<T: AsRef<[u8]>>(
        &self,
        each: impl FnMut(usize) -> Result<Option<T>>,
    ) -> Result<ArrayRef> {
        fill!(self, BinaryBuilder::with_capacity(self.rows, 0), each)
    }

    /// `bigint`s.
    pub(super) fn to_integers(
        &self,
        each: impl FnMut(usize) -> Result<Option<i64>>,
    ) -> Result<ArrayRef> {
        fill!(self, Int64Builder::with_capacity(self.rows), each)
    }

    /// `integer`s.
    pub(super) fn to_small_integers(
        &self,
        each: impl FnMut(usize) -> Result<Option<i32>>,
    ) -> Result<ArrayRef> {
        fill!(self, Int32Builder::with_capacity(self.rows), each)
    }

    /// Doubles.
    pub(super) fn to_doubles(
        &self,
        each: impl FnMut(usize) -> Result<Option<f64>>,
    ) -> Result<ArrayRef> {
        fill!(self, Float64Builder::with_capacity(self.rows), each)
    }

    /// Truth values.
    pub(super) fn to_booleans(
        &self,
        each: impl FnMut(usize) -> Result<Option<bool>>,
    ) -> Result<ArrayRef> {
        fill!(self, BooleanBuilder::with_capacity(self.rows), each)
    }
}
