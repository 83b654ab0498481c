//! Trino's aggregates that DataFusion does not have.
//!
//! Source: Trino manual, "Aggregate functions".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, make_comparator},
        compute::SortOptions,
        datatypes::{DataType, Field, FieldRef},
    },
    common::{ScalarValue, internal_err, plan_err},
    error::Result,
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
        utils::AggregateOrderSensitivity,
    },
};

pub(super) fn functions() -> Vec<Arc<AggregateUDF>> {
    ["max_by", "min_by"]
        .map(|name| {
            Arc::new(AggregateUDF::new_from_impl(ExtremeBy {
                name,
                signature: Signature::any(2, Volatility::Immutable),
            }))
        })
        .into()
}

/// `max_by(x, y)` and `min_by(x, y)`: the `x` of the row with the greatest or least `y`.
///
/// Rows whose `y` is null do not count; `x` may be null. Among equal `y` the first one met stays.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ExtremeBy {
    name: &'static str,
    signature: Signature,
}

impl AggregateUDFImpl for ExtremeBy {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [value, key] if !key.is_nested() => Ok(value.clone()),
            _ => plan_err!("{} takes a value and a key that has an order", self.name),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let [value, key] = args.input_fields else {
            return internal_err!("{} takes two arguments", self.name);
        };
        let named = |name: &str, field: &FieldRef| {
            Arc::new(Field::new(
                format!("{}[{name}]", args.name),
                field.data_type().clone(),
                true,
            ))
        };
        Ok(vec![named("value", value), named("key", key)])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let [value, key] = args.expr_fields else {
            return internal_err!("{} takes two arguments", self.name);
        };
        Ok(Box::new(Extreme {
            greatest: self.name == "max_by",
            value: ScalarValue::try_new_null(value.data_type())?,
            key: ScalarValue::try_new_null(key.data_type())?,
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct Extreme {
    greatest: bool,
    value: ScalarValue,
    key: ScalarValue,
}

impl Extreme {
    fn update(&mut self, values: &ArrayRef, keys: &ArrayRef) -> Result<()> {
        let compare = make_comparator(keys.as_ref(), keys.as_ref(), SortOptions::default())?;
        let better = |a: usize, b: usize| {
            if self.greatest {
                compare(a, b).is_gt()
            } else {
                compare(a, b).is_lt()
            }
        };
        let mut best: Option<usize> = None;
        for row in (0..keys.len()).filter(|&row| keys.is_valid(row)) {
            if best.is_none_or(|best| better(row, best)) {
                best = Some(row);
            }
        }
        let Some(best) = best else { return Ok(()) };
        let key = ScalarValue::try_from_array(keys, best)?;
        let ordering = key.partial_cmp(&self.key);
        let wins = self.key.is_null()
            || ordering.is_some_and(|o| if self.greatest { o.is_gt() } else { o.is_lt() });
        if wins {
            self.key = key;
            self.value = ScalarValue::try_from_array(values, best)?.compacted();
        }
        Ok(())
    }
}

impl Accumulator for Extreme {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        match columns {
            [values, keys] => self.update(values, keys),
            _ => internal_err!("max_by and min_by take two columns"),
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), self.key.clone()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size() + self.key.size()
    }
}
