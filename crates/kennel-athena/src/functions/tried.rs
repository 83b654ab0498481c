//! `try(x)`: null instead of an error.
//!
//! The rewrite makes it `__try(row -> x)`, and the planner adds the columns of `x` as further arguments: what
//! fails in one of them is no failure of `x`. The expression is evaluated over the whole batch, and row
//! by row only when that fails, so that one bad row costs only itself.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, BooleanArray, new_null_array},
        compute::concat,
        datatypes::{DataType, Field, FieldRef},
    },
    common::plan_err,
    error::Result,
    logical_expr::{
        ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature,
        HigherOrderUDF, HigherOrderUDFImpl, LambdaParametersProgress, ValueOrLambda, Volatility,
    },
};

pub(super) fn functions() -> Vec<Arc<HigherOrderUDF>> {
    vec![Arc::new(HigherOrderUDF::new_from_impl(Try {
        signature: HigherOrderSignature::variadic_any(Volatility::Immutable),
    }))]
}

/// The name by which the rewrite calls it.
pub(crate) const TRY: &str = "__try";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Try {
    signature: HigherOrderSignature,
}

impl HigherOrderUDFImpl for Try {
    fn name(&self) -> &str {
        TRY
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(given.to_vec())
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        _fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        // The parameter is never used: it only makes the expression a lambda.
        let parameter = Arc::new(Field::new("", DataType::Boolean, true));
        Ok(LambdaParametersProgress::Complete(vec![vec![parameter]]))
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [ValueOrLambda::Lambda(field), ..] => {
                Ok(Arc::new(Field::new("", field.data_type().clone(), true)))
            }
            _ => plan_err!("try takes one expression"),
        }
    }

    fn short_circuits(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let [ValueOrLambda::Lambda(lambda), ..] = args.args.as_slice() else {
            return plan_err!("try takes one expression");
        };
        let evaluate = |offset: usize, rows: usize| -> Result<ArrayRef> {
            let unused = || Ok(Arc::new(BooleanArray::new_null(rows)) as ArrayRef);
            let captured = |columns: &[ArrayRef]| {
                Ok(columns
                    .iter()
                    .map(|column| column.slice(offset, rows))
                    .collect())
            };
            lambda.evaluate(&[&unused], captured)?.into_array(rows)
        };
        if let Ok(whole) = evaluate(0, args.number_rows) {
            return Ok(ColumnarValue::Array(whole));
        }
        let mut rows: Vec<ArrayRef> = Vec::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            rows.push(evaluate(row, 1).unwrap_or_else(|_| new_null_array(args.return_type(), 1)));
        }
        let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
        if rows.is_empty() {
            return Ok(ColumnarValue::Array(new_null_array(args.return_type(), 0)));
        }
        Ok(ColumnarValue::Array(concat(&rows)?))
    }
}
