//! Aggregates that gather columns and finish them at the end: how one is written here.
//!
//! What is kept grows with the input only until it can be made smaller: `compact` merges what a
//! function need not keep apart (equal keys, all but the n greatest), and runs whenever what is kept
//! has doubled.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, ListArray, UInt64Array, new_empty_array},
        buffer::OffsetBuffer,
        compute::{concat, take_arrays},
        datatypes::{DataType, Field, FieldRef},
        row::{RowConverter, SortField},
    },
    common::{ScalarValue, internal_err},
    error::Result,
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
        utils::AggregateOrderSensitivity,
    },
};

use crate::functions::nested::{coerced, unexpected};

/// The types of one call.
pub(super) struct Types {
    /// What the arguments are cast to.
    pub(super) args: Vec<DataType>,
    /// The columns that are kept.
    pub(super) kept: Vec<DataType>,
    pub(super) returns: DataType,
}

impl Types {
    pub(super) fn new(
        args: impl Into<Vec<DataType>>,
        kept: impl Into<Vec<DataType>>,
        returns: DataType,
    ) -> Result<Option<Self>> {
        Ok(Some(Self {
            args: args.into(),
            kept: kept.into(),
            returns,
        }))
    }
}

/// What makes an aggregate.
#[derive(Clone, Copy)]
pub(super) struct Gathered {
    /// Trino's name.
    pub(super) name: &'static str,
    /// How it is called, for the message about a wrong call.
    pub(super) usage: &'static str,
    /// Finds the types from those given; `None` where they do not fit.
    pub(super) types: fn(&[DataType]) -> Result<Option<Types>>,
    /// The columns to keep of a batch of arguments.
    pub(super) take_in: fn(&[ArrayRef]) -> Result<Vec<ArrayRef>>,
    /// The same information in fewer rows.
    pub(super) compact: fn(&[ArrayRef]) -> Result<Vec<ArrayRef>>,
    /// The result, one row, from all that was kept.
    pub(super) finish: fn(&[ArrayRef], &DataType) -> Result<ArrayRef>,
    /// Number of rows up to which nothing is compacted.
    pub(super) limit: usize,
    /// An accumulator that needs no more than one value of each kept type, where there is one.
    pub(super) light: fn(&Types) -> Option<Box<dyn Accumulator>>,
}

/// No accumulator but the one that gathers.
pub(super) fn heavy(_: &Types) -> Option<Box<dyn Accumulator>> {
    None
}

impl Gathered {
    pub(super) fn build(self) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::new_from_impl(Function {
            spec: self,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    }
}

/// Nothing can be merged.
pub(super) fn as_it_is(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    Ok(columns.to_vec())
}

/// The rows in which the column `key` is not null.
pub(super) fn where_valid(columns: &[ArrayRef], key: usize) -> Result<Vec<ArrayRef>> {
    let Some(keys) = columns.get(key) else {
        return internal_err!("an aggregate lacks its column {key}");
    };
    if keys.logical_null_count() == 0 {
        return Ok(columns.to_vec());
    }
    let nulls = keys.logical_nulls();
    let is_valid = |row: &usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row));
    rows(columns, (0..keys.len()).filter(is_valid))
}

/// These rows of all columns.
pub(super) fn rows(
    columns: &[ArrayRef],
    chosen: impl IntoIterator<Item = usize>,
) -> Result<Vec<ArrayRef>> {
    let chosen: UInt64Array = chosen.into_iter().map(|row| row as u64).collect();
    Ok(take_arrays(columns, &chosen, None)?)
}

/// One row of each: those that are equal in all columns are one.
fn distinct(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let fields = columns
        .iter()
        .map(|column| SortField::new(column.data_type().clone()));
    let keys = RowConverter::new(fields.collect())?.convert_columns(columns)?;
    let mut seen = std::collections::HashSet::new();
    rows(
        columns,
        (0..keys.num_rows()).filter(|&row| seen.insert(keys.row(row))),
    )
}

struct Function {
    spec: Gathered,
    signature: Signature,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.spec.name)
            .finish()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.spec.name == other.spec.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spec.name.hash(state);
    }
}

impl Function {
    fn types(&self, given: &[DataType]) -> Result<Types> {
        match (self.spec.types)(given)? {
            Some(types) => Ok(types),
            None => unexpected(self.spec.name, given, self.spec.usage),
        }
    }

    fn types_of(&self, fields: &[FieldRef]) -> Result<Types> {
        let given: Vec<_> = fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        self.types(&given)
    }

    fn accumulator_of(&self, args: &AccumulatorArgs<'_>, is_sliding: bool) -> Result<Kept> {
        Ok(Kept {
            spec: self.spec,
            types: self.types_of(args.expr_fields)?,
            is_distinct: args.is_distinct,
            is_sliding,
            chunks: vec![],
            row_count: 0,
            limit: self.spec.limit,
        })
    }
}

impl AggregateUDFImpl for Function {
    fn name(&self) -> &str {
        self.spec.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.types(given)?;
        Ok(given.to_vec())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(self.types(given)?.returns)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let types = self.types_of(args.input_fields)?;
        let is_light = !args.is_distinct && (self.spec.light)(&types).is_some();
        let held = if args.is_distinct {
            types.args
        } else {
            types.kept
        };
        let fields = held.into_iter().enumerate().map(|(index, kept)| {
            let name = format!("{}[{index}]", args.name);
            Arc::new(match is_light {
                true => Field::new(name, kept, true),
                false => Field::new_list(name, Field::new_list_field(kept, true), true),
            })
        });
        Ok(fields.collect())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let kept = self.accumulator_of(&args, false)?;
        if kept.is_distinct {
            return Ok(Box::new(kept));
        }
        Ok((self.spec.light)(&kept.types).unwrap_or_else(|| Box::new(kept)))
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(self.accumulator_of(&args, true)?))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

struct Kept {
    spec: Gathered,
    types: Types,
    is_distinct: bool,
    /// The oldest rows may be taken away again: nothing is merged.
    is_sliding: bool,
    chunks: Vec<Vec<ArrayRef>>,
    row_count: usize,
    /// Number of rows that makes it worth to compact.
    limit: usize,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("name", &self.spec.name)
            .field("row_count", &self.row_count)
            .finish_non_exhaustive()
    }
}

impl Kept {
    /// Are the arguments held as they came? Equal ones can be told, and the oldest taken away again,
    /// only before anything is merged.
    fn is_raw(&self) -> bool {
        self.is_distinct || self.is_sliding
    }

    fn held(&self) -> &[DataType] {
        if self.is_raw() {
            &self.types.args
        } else {
            &self.types.kept
        }
    }

    fn args(&self, values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let values = values.iter().zip(&self.types.args);
        values
            .map(|(value, wanted)| coerced(value, wanted))
            .collect()
    }

    fn kept(&self, args: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let kept = (self.spec.take_in)(args)?;
        let kept = kept.iter().zip(&self.types.kept);
        kept.map(|(column, wanted)| coerced(column, wanted))
            .collect()
    }

    fn add(&mut self, columns: Vec<ArrayRef>) -> Result<()> {
        let count = columns.first().map_or(0, |column| column.len());
        if count == 0 {
            return Ok(());
        }
        self.row_count += count;
        self.chunks.push(columns);
        if self.row_count > self.limit && !self.is_sliding {
            self.whole()?;
            self.limit = self.spec.limit.max(self.row_count.saturating_mul(2));
        }
        Ok(())
    }

    fn compact(&self, columns: Vec<ArrayRef>) -> Result<Vec<ArrayRef>> {
        match columns.first() {
            Some(first) if !first.is_empty() => (self.spec.compact)(&columns),
            _ => Ok(columns),
        }
    }

    /// All that is held as one chunk, in as few rows as may be.
    fn whole(&mut self) -> Result<Vec<ArrayRef>> {
        let mut columns = Vec::with_capacity(self.held().len());
        for (index, held) in self.held().iter().enumerate() {
            let parts: Vec<&dyn Array> = self
                .chunks
                .iter()
                .map(|chunk| chunk[index].as_ref())
                .collect();
            columns.push(match parts.as_slice() {
                [] => new_empty_array(held),
                parts => concat(parts)?,
            });
        }
        if self.is_sliding {
            self.chunks = vec![columns.clone()];
            return if self.is_distinct {
                distinct(&columns)
            } else {
                Ok(columns)
            };
        }
        columns = if self.is_distinct {
            distinct(&columns)?
        } else {
            self.compact(columns)?
        };
        self.row_count = columns.first().map_or(0, |column| column.len());
        self.chunks = vec![columns.clone()];
        Ok(columns)
    }
}

impl Accumulator for Kept {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let args = self.args(values)?;
        let columns = if self.is_raw() {
            args
        } else {
            self.kept(&args)?
        };
        self.add(columns)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut leaving = values.first().map_or(0, |column| column.len());
        self.row_count = self.row_count.saturating_sub(leaving);
        while let Some(chunk) = self.chunks.first_mut() {
            let count = chunk.first().map_or(0, |column| column.len());
            if count > leaving {
                for column in chunk {
                    *column = column.slice(leaving, count - leaving);
                }
                break;
            }
            leaving -= count;
            self.chunks.remove(0);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        self.is_sliding
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let columns = self.whole()?;
        let lists = columns.into_iter().map(|column| {
            let field = Arc::new(Field::new_list_field(column.data_type().clone(), true));
            let offsets = OffsetBuffer::from_lengths([column.len()]);
            let list = ListArray::try_new(field, offsets, column, None)?;
            Ok(ScalarValue::List(Arc::new(list)))
        });
        lists.collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(first) = states.first() else {
            return Ok(());
        };
        for row in 0..first.len() {
            if first.is_null(row) {
                continue;
            }
            let columns = states.iter().map(|state| state.as_list::<i32>().value(row));
            self.add(columns.collect())?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut columns = self.whole()?;
        if self.is_raw() {
            columns = self.kept(&columns)?;
            columns = self.compact(columns)?;
        }
        let result = (self.spec.finish)(&columns, &self.types.returns)?;
        let result = coerced(&result, &self.types.returns)?;
        ScalarValue::try_from_array(&result, 0)
    }

    fn size(&self) -> usize {
        // Chunks are slices of arrays that they share: each counts its own part.
        let arrays = self.chunks.iter().flatten();
        let sizes = arrays.map(|array| array.to_data().get_slice_memory_size().unwrap_or(0));
        size_of_val(self) + sizes.sum::<usize>()
    }
}
