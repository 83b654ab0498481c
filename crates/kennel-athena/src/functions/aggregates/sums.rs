//! `sum` and `avg` with Trino's types, and an error where a sum of integers overflows.
//!
//! Integers are added as 128-bit numbers, so that only the result can overflow, not a step on the way.
//! Anything else is DataFusion's.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, PrimitiveArray,
        },
        datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Field, FieldRef, Int64Type},
    },
    common::{ScalarValue, exec_datafusion_err, internal_err},
    error::Result,
    functions_aggregate::{average::avg_udaf, sum::sum_udaf},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF,
        Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
        type_coercion::functions::fields_with_udf,
        utils::AggregateOrderSensitivity,
    },
};

use super::moments::{DECIMAL_AVERAGE, REAL_AVERAGE, REAL_SUM};

/// The type in which sums of integers travel between partial aggregates.
const WIDE: DataType = DataType::Decimal128(38, 0);

pub(super) fn functions() -> Vec<Arc<AggregateUDF>> {
    let of = |name, plain, real: Arc<AggregateUDF>, special: Special| {
        Arc::new(AggregateUDF::new_from_impl(Typed {
            name,
            plain,
            real,
            special,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    };
    vec![
        of("sum", sum_udaf(), REAL_SUM.build(), Special::Sum),
        of(
            "avg",
            avg_udaf(),
            REAL_AVERAGE.build(),
            Special::Average(DECIMAL_AVERAGE.build()),
        ),
    ]
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Special {
    /// Sums of integers.
    Sum,
    /// Averages of decimals.
    Average(Arc<AggregateUDF>),
}

/// DataFusion's function, but for some types.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Typed {
    name: &'static str,
    plain: Arc<AggregateUDF>,
    /// The function of single-precision numbers.
    real: Arc<AggregateUDF>,
    special: Special,
    signature: Signature,
}

impl Typed {
    /// Are these sums of integers, which are added here?
    fn is_integer_sum(&self, fields: &[FieldRef], is_distinct: bool) -> bool {
        let is_integer = matches!(fields, [field] if *field.data_type() == DataType::Int64);
        matches!(self.special, Special::Sum) && is_integer && !is_distinct
    }

    /// The function for arguments of these types.
    fn choose(&self, fields: &[FieldRef]) -> &AggregateUDF {
        match &self.special {
            _ if matches!(fields, [field] if *field.data_type() == DataType::Float32) => &self.real,
            Special::Average(decimals) if matches!(fields, [field] if field.data_type().is_decimal()) => {
                decimals
            }
            _ => &self.plain,
        }
    }
}

impl AggregateUDFImpl for Typed {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if let [given] = given {
            if given.is_integer() && self.name == "sum" {
                return Ok(vec![DataType::Int64]);
            }
            if *given == DataType::Float32 {
                return Ok(vec![DataType::Float32]);
            }
            if let DataType::Decimal128(precision, scale) = given {
                let precision = if self.name == "sum" { 38 } else { *precision };
                return Ok(vec![DataType::Decimal128(precision, *scale)]);
            }
        }
        let fields: Vec<FieldRef> = given
            .iter()
            .map(|given| Arc::new(Field::new("", given.clone(), true)))
            .collect();
        let coerced = fields_with_udf(&fields, self.plain.as_ref())?;
        Ok(coerced
            .iter()
            .map(|field| field.data_type().clone())
            .collect())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match (&self.special, given) {
            (_, [DataType::Float32]) => Ok(DataType::Float32),
            (Special::Average(_), [decimal @ DataType::Decimal128(..)]) => Ok(decimal.clone()),
            _ => self.plain.return_type(given),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if self.is_integer_sum(args.input_fields, args.is_distinct) {
            let field = Field::new(format!("{}[sum]", args.name), WIDE, true);
            return Ok(vec![Arc::new(field)]);
        }
        self.choose(args.input_fields).state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if self.is_integer_sum(args.expr_fields, args.is_distinct) {
            return Ok(Box::new(IntegerSum::default()));
        }
        self.choose(args.expr_fields).accumulator(args)
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        if self.is_integer_sum(args.expr_fields, args.is_distinct) {
            return Ok(Box::new(IntegerSum::default()));
        }
        self.choose(args.expr_fields)
            .create_sliding_accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.is_integer_sum(args.expr_fields, args.is_distinct)
            || self
                .choose(args.expr_fields)
                .groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        if self.is_integer_sum(args.expr_fields, args.is_distinct) {
            return Ok(Box::new(IntegerSums::default()));
        }
        self.choose(args.expr_fields)
            .create_groups_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

fn narrow(sum: i128) -> Result<i64> {
    i64::try_from(sum).map_err(|_| exec_datafusion_err!("bigint addition overflow: {sum}"))
}

/// The sum of all rows; null where there was none that is not null.
#[derive(Debug, Default)]
struct IntegerSum {
    sum: i128,
    count: i64,
}

/// Sum and number of the values that are not null.
fn total<T: ArrowPrimitiveType>(values: &PrimitiveArray<T>) -> (i128, i64)
where
    i128: From<T::Native>,
{
    let count = (values.len() - values.null_count()) as i64;
    let sum = if values.null_count() == 0 {
        values.values().iter().map(|value| i128::from(*value)).sum()
    } else {
        values.iter().flatten().map(i128::from).sum()
    };
    (sum, count)
}

impl Accumulator for IntegerSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = total(values[0].as_primitive::<Int64Type>());
        self.sum += sum;
        self.count += count;
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = total(values[0].as_primitive::<Int64Type>());
        self.sum -= sum;
        self.count -= count;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (sum, count) = total(states[0].as_primitive::<Decimal128Type>());
        self.sum += sum;
        self.count += count;
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sum = (self.count > 0).then_some(self.sum);
        Ok(vec![ScalarValue::Decimal128(sum, 38, 0)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = (self.count > 0).then(|| narrow(self.sum)).transpose()?;
        Ok(ScalarValue::Int64(sum))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sums of many groups.
#[derive(Debug, Default)]
struct IntegerSums {
    sums: Vec<i128>,
    /// Has the group a value that is not null?
    seen: Vec<bool>,
}

impl IntegerSums {
    fn add<T: ArrowPrimitiveType>(
        &mut self,
        values: &PrimitiveArray<T>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        group_count: usize,
    ) where
        i128: From<T::Native>,
    {
        self.sums.resize(group_count.max(self.sums.len()), 0);
        self.seen.resize(group_count.max(self.seen.len()), false);
        if values.null_count() == 0 && filter.is_none() {
            for (value, &group) in values.values().iter().zip(groups) {
                self.sums[group] += i128::from(*value);
                self.seen[group] = true;
            }
            return;
        }
        for (row, &group) in groups.iter().enumerate() {
            let is_in = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if is_in && values.is_valid(row) {
                self.sums[group] += i128::from(values.value(row));
                self.seen[group] = true;
            }
        }
    }

    fn emit(&mut self, emit_to: EmitTo) -> impl Iterator<Item = Option<i128>> {
        let sums = emit_to.take_needed(&mut self.sums);
        let seen = emit_to.take_needed(&mut self.seen);
        sums.into_iter()
            .zip(seen)
            .map(|(sum, seen)| seen.then_some(sum))
    }
}

fn wide(sums: impl Iterator<Item = Option<i128>>) -> ArrayRef {
    let sums: Decimal128Array = sums.collect();
    Arc::new(sums.with_data_type(WIDE))
}

impl GroupsAccumulator for IntegerSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        group_count: usize,
    ) -> Result<()> {
        self.add(
            values[0].as_primitive::<Int64Type>(),
            groups,
            filter,
            group_count,
        );
        Ok(())
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        groups: &[usize],
        group_count: usize,
    ) -> Result<()> {
        self.add(
            states[0].as_primitive::<Decimal128Type>(),
            groups,
            None,
            group_count,
        );
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = self.emit(emit_to).map(|sum| sum.map(narrow).transpose());
        Ok(Arc::new(sums.collect::<Result<Int64Array>>()?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![wide(self.emit(emit_to))])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let Some(values) = values.first() else {
            return internal_err!("sum takes one argument");
        };
        let values = values.as_primitive::<Int64Type>();
        let sums = (0..values.len()).map(|row| {
            let is_in = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            (is_in && values.is_valid(row)).then(|| i128::from(values.value(row)))
        });
        Ok(vec![wide(sums)])
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.sums.capacity() * size_of::<i128>()
            + self.seen.capacity() * size_of::<bool>()
    }
}
