//! DataFusion's aggregates of one kind of values: what does not fit is refused in Trino's words.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, FieldRef},
    common::ScalarValue,
    error::Result,
    functions_aggregate::{
        bit_and_or_xor::{bit_and_udaf, bit_or_udaf, bit_xor_udaf},
        bool_and_or::{bool_and_udaf, bool_or_udaf},
        correlation::corr_udaf,
        covariance::{covar_pop_udaf, covar_samp_udaf},
        min_max::{max_udaf, min_udaf},
        regr::{regr_intercept_udaf, regr_slope_udaf},
        stddev::{stddev_pop_udaf, stddev_udaf},
        variance::{var_pop_udaf, var_samp_udaf},
    },
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF,
        SetMonotonicity, Signature, StatisticsArgs, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
        type_coercion::functions::fields_with_udf,
        utils::AggregateOrderSensitivity,
    },
};

use crate::functions::{array_values::orderable, nested::unexpected};

/// What an aggregate takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wanted {
    /// One value of a type that has an order.
    Ordered,
    /// So many doubles.
    Doubles(usize),
    Boolean,
    Integer,
}

pub(super) fn functions() -> Vec<Arc<AggregateUDF>> {
    [
        ("max", max_udaf(), Wanted::Ordered),
        ("min", min_udaf(), Wanted::Ordered),
        ("bool_and", bool_and_udaf(), Wanted::Boolean),
        ("bool_or", bool_or_udaf(), Wanted::Boolean),
        ("bitwise_and_agg", bit_and_udaf(), Wanted::Integer),
        ("bitwise_or_agg", bit_or_udaf(), Wanted::Integer),
        ("bitwise_xor_agg", bit_xor_udaf(), Wanted::Integer),
        ("stddev", stddev_udaf(), Wanted::Doubles(1)),
        ("stddev_pop", stddev_pop_udaf(), Wanted::Doubles(1)),
        ("var_samp", var_samp_udaf(), Wanted::Doubles(1)),
        ("var_pop", var_pop_udaf(), Wanted::Doubles(1)),
        ("corr", corr_udaf(), Wanted::Doubles(2)),
        ("covar_pop", covar_pop_udaf(), Wanted::Doubles(2)),
        ("covar_samp", covar_samp_udaf(), Wanted::Doubles(2)),
        ("regr_slope", regr_slope_udaf(), Wanted::Doubles(2)),
        ("regr_intercept", regr_intercept_udaf(), Wanted::Doubles(2)),
    ]
    .map(|(name, inner, wanted)| {
        Arc::new(AggregateUDF::new_from_impl(Worded {
            name,
            inner,
            wanted,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    })
    .into()
}

/// DataFusion's function behind Trino's types.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Worded {
    name: &'static str,
    inner: Arc<AggregateUDF>,
    wanted: Wanted,
    signature: Signature,
}

impl Worded {
    fn refused<T>(&self, given: &[DataType]) -> Result<T> {
        let types = match self.wanted {
            Wanted::Ordered => "E",
            Wanted::Doubles(1) => "double",
            Wanted::Doubles(_) => "double, double",
            Wanted::Boolean => "boolean",
            Wanted::Integer => "bigint",
        };
        unexpected(self.name, given, &format!("{}({types})", self.name))
    }
}

impl AggregateUDFImpl for Worded {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let all = |count: usize, fits: fn(&DataType) -> bool, wanted: DataType| {
            let fit = given
                .iter()
                .all(|given| fits(given) || *given == DataType::Null);
            match fit && given.len() == count {
                true => Ok(vec![wanted; count]),
                false => self.refused(given),
            }
        };
        match (self.wanted, given) {
            (Wanted::Ordered, [value]) => {
                orderable(self.name, value)?;
                let field: FieldRef = Arc::new(Field::new("", value.clone(), true));
                let coerced = fields_with_udf(&[field], self.inner.as_ref())?;
                Ok(coerced
                    .iter()
                    .map(|field| field.data_type().clone())
                    .collect())
            }
            (Wanted::Ordered, _) => self.refused(given),
            (Wanted::Doubles(count), _) => all(count, DataType::is_numeric, DataType::Float64),
            (Wanted::Boolean, _) => {
                let is_boolean = |given: &DataType| *given == DataType::Boolean;
                all(1, is_boolean, DataType::Boolean)
            }
            (Wanted::Integer, _) => all(1, DataType::is_integer, DataType::Int64),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.inner.return_type(given)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Identical => ReversedUDAF::Identical,
            _ => ReversedUDAF::NotSupported,
        }
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn value_from_stats(&self, args: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        self.inner.value_from_stats(args)
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }
}
