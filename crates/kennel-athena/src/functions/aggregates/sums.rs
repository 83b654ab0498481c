//! `sum` and `avg` with Trino's types, and an error where a sum of integers or decimals overflows.
//!
//! Both are added as 128-bit numbers, so that of integers only the result can overflow, not a step on the way.
//! Anything else is DataFusion's.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, PrimitiveArray,
        },
        datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Field, FieldRef},
    },
    common::{ScalarValue, exec_datafusion_err, exec_err, internal_err},
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

use super::{
    gathered::Gathered,
    intervals,
    moments::{DECIMAL_AVERAGE, REAL_AVERAGE, REAL_SUM},
};

/// The type in which sums travel between partial aggregates.
const WIDE: DataType = DataType::Decimal128(38, 0);

pub(super) fn functions() -> Vec<Arc<AggregateUDF>> {
    let of = |name, plain, [real, interval]: [Gathered; 2], special: Special| {
        Arc::new(AggregateUDF::new_from_impl(Typed {
            name,
            plain,
            real: real.build(),
            interval: interval.build(),
            special,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    };
    vec![
        of("sum", sum_udaf(), [REAL_SUM, intervals::SUM], Special::Sum),
        of(
            "avg",
            avg_udaf(),
            [REAL_AVERAGE, intervals::AVERAGE],
            Special::Average(DECIMAL_AVERAGE.build()),
        ),
    ]
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Special {
    /// Sums of integers and decimals.
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
    /// The function of intervals.
    interval: Arc<AggregateUDF>,
    special: Special,
    signature: Signature,
}

fn is_interval(given: &DataType) -> bool {
    matches!(given, DataType::Interval(_) | DataType::Duration(_))
}

impl Typed {
    /// Sums that are added here.
    fn exact(&self, fields: &[FieldRef], is_distinct: bool) -> Option<Exact> {
        let [field] = fields else { return None };
        if is_distinct || self.special != Special::Sum {
            return None;
        }
        match field.data_type() {
            DataType::Int64 => Some(Exact::Integer),
            DataType::Decimal128(_, scale) => Some(Exact::Decimal(*scale)),
            _ => None,
        }
    }

    /// The function for arguments of these types.
    fn choose(&self, fields: &[FieldRef]) -> &AggregateUDF {
        match &self.special {
            _ if matches!(fields, [field] if *field.data_type() == DataType::Float32) => &self.real,
            _ if matches!(fields, [field] if is_interval(field.data_type())) => &self.interval,
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
            if *given == DataType::Null && self.name == "avg" {
                return Ok(vec![DataType::Float64]);
            }
            if (given.is_integer() || *given == DataType::Null) && self.name == "sum" {
                return Ok(vec![DataType::Int64]);
            }
            if *given == DataType::Float32 || is_interval(given) {
                return Ok(vec![given.clone()]);
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
            (_, [given]) if is_interval(given) => {
                self.interval.return_type(std::slice::from_ref(given))
            }
            (Special::Average(_), [decimal @ DataType::Decimal128(..)]) => Ok(decimal.clone()),
            _ => self.plain.return_type(given),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if self.exact(args.input_fields, args.is_distinct).is_some() {
            let field = Field::new(format!("{}[sum]", args.name), WIDE, true);
            return Ok(vec![Arc::new(field)]);
        }
        self.choose(args.input_fields).state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if let Some(exact) = self.exact(args.expr_fields, args.is_distinct) {
            return Ok(Box::new(ExactSum::new(exact)));
        }
        self.choose(args.expr_fields).accumulator(args)
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        if let Some(exact) = self.exact(args.expr_fields, args.is_distinct) {
            return Ok(Box::new(ExactSum::new(exact)));
        }
        self.choose(args.expr_fields)
            .create_sliding_accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.exact(args.expr_fields, args.is_distinct).is_some()
            || self
                .choose(args.expr_fields)
                .groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        if let Some(exact) = self.exact(args.expr_fields, args.is_distinct) {
            return Ok(Box::new(ExactSums::new(exact)));
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

/// What is added exactly.
#[derive(Debug, Clone, Copy)]
enum Exact {
    Integer,
    /// Of this scale; the sum has 38 digits.
    Decimal(i8),
}

/// One more than the greatest number of 38 digits.
const TOO_WIDE: u128 = 10_u128.pow(38);

impl Exact {
    /// The sum, if its type can hold it.
    fn checked(self, sum: i128) -> Result<i128> {
        match self {
            Self::Integer if i64::try_from(sum).is_err() => {
                exec_err!("bigint addition overflow: {sum}")
            }
            Self::Decimal(_) if sum.unsigned_abs() >= TOO_WIDE => exec_err!("Decimal overflow"),
            _ => Ok(sum),
        }
    }

    fn array(self, sums: impl Iterator<Item = Option<i128>>) -> Result<ArrayRef> {
        let sums = sums.map(|sum| sum.map(|sum| self.checked(sum)).transpose());
        Ok(match self {
            // Checked, so nothing is cut off.
            Self::Integer => {
                let sums = sums.map(|sum| Ok(sum?.map(|sum| sum as i64)));
                Arc::new(sums.collect::<Result<Int64Array>>()?)
            }
            Self::Decimal(scale) => {
                let sums = sums.collect::<Result<Decimal128Array>>()?;
                Arc::new(sums.with_precision_and_scale(38, scale)?)
            }
        })
    }
}

/// The values, as numbers of 128 bits.
enum Values<'a> {
    Integers(&'a Int64Array),
    Wide(&'a Decimal128Array),
}

impl<'a> Values<'a> {
    fn of(array: &'a ArrayRef) -> Self {
        match array.data_type() {
            DataType::Int64 => Self::Integers(array.as_primitive()),
            _ => Self::Wide(array.as_primitive::<Decimal128Type>()),
        }
    }
}

fn added(sum: i128, value: i128) -> Result<i128> {
    let sum = sum.checked_add(value);
    sum.ok_or_else(|| exec_datafusion_err!("Decimal overflow"))
}

/// The sum of all rows; null where there was none that is not null.
#[derive(Debug)]
struct ExactSum {
    exact: Exact,
    sum: i128,
    count: i64,
}

/// Sum and number of the values that are not null.
fn total(values: &ArrayRef) -> Result<(i128, i64)> {
    let count = (values.len() - values.null_count()) as i64;
    let sum = match Values::of(values) {
        // More than there can be in one array would be needed to overflow.
        Values::Integers(values) => match values.null_count() {
            0 => values.values().iter().map(|&value| i128::from(value)).sum(),
            _ => values.iter().flatten().map(i128::from).sum(),
        },
        Values::Wide(values) => values.iter().flatten().try_fold(0, added)?,
    };
    Ok((sum, count))
}

impl ExactSum {
    fn new(exact: Exact) -> Self {
        Self {
            exact,
            sum: 0,
            count: 0,
        }
    }

    fn add(&mut self, values: &ArrayRef) -> Result<()> {
        let (sum, count) = total(values)?;
        self.sum = added(self.sum, sum)?;
        self.count += count;
        Ok(())
    }
}

impl Accumulator for ExactSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0])
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = total(&values[0])?;
        self.sum = added(self.sum, -sum)?;
        self.count -= count;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.add(&states[0])
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sum = (self.count > 0).then_some(self.sum);
        Ok(vec![ScalarValue::Decimal128(sum, 38, 0)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = (self.count > 0).then_some(self.sum);
        let sums = self.exact.array(std::iter::once(sum))?;
        ScalarValue::try_from_array(&sums, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sums of many groups.
#[derive(Debug)]
struct ExactSums {
    exact: Exact,
    sums: Vec<i128>,
    /// Has the group a value that is not null?
    seen: Vec<bool>,
}

impl ExactSums {
    fn new(exact: Exact) -> Self {
        Self {
            exact,
            sums: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn add(
        &mut self,
        values: &ArrayRef,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        group_count: usize,
    ) -> Result<()> {
        self.sums.resize(group_count.max(self.sums.len()), 0);
        self.seen.resize(group_count.max(self.seen.len()), false);
        match Values::of(values) {
            Values::Integers(values) => self.add_all(values, groups, filter),
            Values::Wide(values) => self.add_all(values, groups, filter),
        }
    }

    fn add_all<T: ArrowPrimitiveType>(
        &mut self,
        values: &PrimitiveArray<T>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
    ) -> Result<()>
    where
        i128: From<T::Native>,
    {
        if values.null_count() == 0 && filter.is_none() {
            for (value, &group) in values.values().iter().zip(groups) {
                self.sums[group] = added(self.sums[group], i128::from(*value))?;
                self.seen[group] = true;
            }
            return Ok(());
        }
        for (row, &group) in groups.iter().enumerate() {
            let is_in = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if is_in && values.is_valid(row) {
                self.sums[group] = added(self.sums[group], i128::from(values.value(row)))?;
                self.seen[group] = true;
            }
        }
        Ok(())
    }

    fn emit(&mut self, emit_to: EmitTo) -> impl Iterator<Item = Option<i128>> + use<> {
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

impl GroupsAccumulator for ExactSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        group_count: usize,
    ) -> Result<()> {
        self.add(&values[0], groups, filter, group_count)
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        groups: &[usize],
        group_count: usize,
    ) -> Result<()> {
        self.add(&states[0], groups, None, group_count)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = self.emit(emit_to);
        self.exact.array(sums)
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
        let is_in =
            |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        Ok(vec![match Values::of(values) {
            Values::Integers(values) => wide(
                values
                    .iter()
                    .enumerate()
                    .map(|(row, value)| value.filter(|_| is_in(row)).map(i128::from)),
            ),
            Values::Wide(values) => wide(
                values
                    .iter()
                    .enumerate()
                    .map(|(row, value)| value.filter(|_| is_in(row))),
            ),
        }])
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.sums.capacity() * size_of::<i128>()
            + self.seen.capacity() * size_of::<bool>()
    }
}
