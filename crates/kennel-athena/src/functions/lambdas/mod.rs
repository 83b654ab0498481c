//! Functions that take lambdas: how one is written here.
//!
//! A lambda is evaluated once over the elements of all arrays of a batch, not once per array; columns
//! that it captures are repeated for each element of their row.
//!
//! Source: Trino manual, "Lambda expressions", "Array functions and operators", "Map functions and
//! operators".

mod arrays;
mod maps;
mod reduce;
mod sort;

use std::{
    hash::{Hash, Hasher},
    iter::repeat_n,
    ops::Range,
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, ListArray, MapArray, UInt64Array},
        compute::{take, take_arrays},
        datatypes::{DataType, Field, FieldRef},
    },
    common::{internal_err, plan_err},
    error::Result,
    logical_expr::{
        ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature,
        HigherOrderUDF, HigherOrderUDFImpl, LambdaArgument, LambdaParametersProgress,
        ValueOrLambda, Volatility,
    },
};

use super::nested::{coerced, unexpected};

pub(super) fn functions() -> Vec<Arc<HigherOrderUDF>> {
    [
        arrays::functions(),
        maps::functions(),
        vec![reduce::function(), sort::function()],
    ]
    .into_iter()
    .flatten()
    .map(Lambdas::build)
    .collect()
}

/// The types of the parameters of each lambda; `None` while they are not known.
type Parameters = Vec<Option<Vec<DataType>>>;

/// What makes a function of lambdas: values first, then lambdas.
#[derive(Clone, Copy)]
struct Lambdas {
    /// Trino's name.
    name: &'static str,
    /// How it is called, for the message about a wrong call.
    usage: &'static str,
    /// Number of lambdas.
    lambdas: usize,
    /// The types in which the function meets its values; `None` where they do not fit.
    values: fn(&[DataType]) -> Option<Vec<DataType>>,
    /// The parameters, from the types of the values and of the lambdas' results as far as known.
    parameters: fn(&[DataType], &[Option<DataType>]) -> Result<Parameters>,
    /// Types of values that depend on the lambdas' results.
    adapt: fn(&[DataType], &[DataType]) -> Result<Vec<DataType>>,
    /// The type of the result, from those of the values and of the lambdas' results.
    returns: fn(&[DataType], &[DataType]) -> Result<DataType>,
    /// The result: one value per row.
    run: fn(&Run) -> Result<ArrayRef>,
}

impl Lambdas {
    fn build(self) -> Arc<HigherOrderUDF> {
        Arc::new(HigherOrderUDF::new_from_impl(Function {
            signature: HigherOrderSignature::user_defined(Volatility::Immutable),
            spec: self,
        }))
    }
}

/// Values stay as they are whatever the lambdas return.
fn unchanged(values: &[DataType], _lambdas: &[DataType]) -> Result<Vec<DataType>> {
    Ok(values.to_vec())
}

/// One call over one batch.
struct Run {
    values: Vec<ArrayRef>,
    lambdas: Vec<LambdaArgument>,
    rows: usize,
    returns: DataType,
}

impl Run {
    fn list(&self, index: usize) -> &ListArray {
        self.values[index].as_list::<i32>()
    }

    fn map(&self, index: usize) -> &MapArray {
        self.values[index].as_map()
    }

    /// The result of a lambda for each set of parameters; `rows` says to which row each belongs.
    fn evaluate(&self, lambda: usize, parameters: &[ArrayRef], rows: &[u64]) -> Result<ArrayRef> {
        let suppliers: Vec<_> = parameters
            .iter()
            .map(|array| move || Ok(Arc::clone(array)))
            .collect();
        let suppliers: Vec<&dyn Fn() -> Result<ArrayRef>> = suppliers
            .iter()
            .map(|supplier| supplier as &dyn Fn() -> Result<ArrayRef>)
            .collect();
        let result = self.lambdas[lambda].evaluate(&suppliers, |captured| {
            let rows = UInt64Array::from(rows.to_vec());
            Ok(take_arrays(captured, &rows, None)?)
        })?;
        result.into_array(rows.len())
    }
}

/// The elements of all rows' lists, one after another, and the row of each.
fn elements(list: &ListArray) -> Result<(ArrayRef, Vec<u64>)> {
    let mut rows = Vec::with_capacity(list.values().len());
    let mut span: Option<Range<usize>> = None;
    let mut is_dense = true;
    for row in 0..list.len() {
        let here = super::nested::places(list, row);
        if here.is_empty() {
            continue;
        }
        rows.extend(repeat_n(row as u64, here.len()));
        is_dense &= span.as_ref().is_none_or(|span| span.end == here.start);
        span = Some(span.map_or(here.start, |span| span.start)..here.end);
    }
    if is_dense {
        // As columns come from files: nothing lies between the lists.
        let span = span.unwrap_or_default();
        return Ok((list.values().slice(span.start, span.len()), rows));
    }
    let places = (0..list.len()).flat_map(|row| super::nested::places(list, row));
    let places = places.map(|place| place as u64).collect::<Vec<_>>();
    Ok((take(list.values(), &UInt64Array::from(places), None)?, rows))
}

struct Function {
    spec: Lambdas,
    signature: HigherOrderSignature,
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

/// Separates values from lambdas.
fn split<V: Clone, L: Clone>(args: &[ValueOrLambda<V, L>]) -> (Vec<V>, Vec<L>) {
    let (mut values, mut lambdas) = (Vec::new(), Vec::new());
    for arg in args {
        match arg {
            ValueOrLambda::Value(value) => values.push(value.clone()),
            ValueOrLambda::Lambda(lambda) => lambdas.push(lambda.clone()),
        }
    }
    (values, lambdas)
}

fn types(fields: &[FieldRef]) -> Vec<DataType> {
    fields
        .iter()
        .map(|field| field.data_type().clone())
        .collect()
}

impl HigherOrderUDFImpl for Function {
    fn name(&self) -> &str {
        self.spec.name
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match (self.spec.values)(given) {
            Some(types) => Ok(types),
            None => unexpected(self.spec.name, given, self.spec.usage),
        }
    }

    fn coerce_values_for_lambdas(
        &self,
        fields: &[ValueOrLambda<DataType, DataType>],
    ) -> Result<Option<Vec<DataType>>> {
        let (values, lambdas) = split(fields);
        (self.spec.adapt)(&values, &lambdas).map(Some)
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let (values, lambdas) = split(fields);
        let lambdas: Vec<_> = lambdas
            .iter()
            .map(|field| field.as_ref().map(|field| field.data_type().clone()))
            .collect();
        if lambdas.len() != self.spec.lambdas {
            return plan_err!(
                "Unexpected parameters for function {}. Expected: {}",
                self.spec.name,
                self.spec.usage
            );
        }
        let known = (self.spec.parameters)(&types(&values), &lambdas)?;
        let fields = |types: Vec<DataType>| -> Vec<FieldRef> {
            let field = |data_type| Arc::new(Field::new("", data_type, true));
            types.into_iter().map(field).collect()
        };
        let all: Option<Vec<_>> = known.iter().cloned().collect();
        // What depends on another lambda's result is asked for again when that is known.
        Ok(match all {
            Some(all) => LambdaParametersProgress::Complete(all.into_iter().map(fields).collect()),
            None => LambdaParametersProgress::Partial(
                known.into_iter().map(|types| types.map(fields)).collect(),
            ),
        })
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs<'_>) -> Result<FieldRef> {
        let (values, lambdas) = split(args.arg_fields);
        let returns = (self.spec.returns)(&types(&values), &types(&lambdas))?;
        Ok(Arc::new(Field::new("", returns, true)))
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let (values, lambdas) = split(&args.args);
        let rows = args.number_rows;
        let values = values
            .into_iter()
            .map(|value| value.into_array(rows))
            .collect::<Result<Vec<_>>>()?;
        let returns = args.return_field.data_type().clone();
        let run = Run {
            values,
            lambdas,
            rows,
            returns: returns.clone(),
        };
        let result = (self.spec.run)(&run)?;
        if result.len() != rows {
            return internal_err!(
                "{} returned {} rows for {rows}",
                self.spec.name,
                result.len()
            );
        }
        Ok(ColumnarValue::Array(coerced(&result, &returns)?))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::Int64Array,
        buffer::{NullBuffer, OffsetBuffer, ScalarBuffer},
        datatypes::Int64Type,
    };

    use super::*;

    fn listed(offsets: Vec<i32>, valid: Vec<bool>) -> ListArray {
        let field = Arc::new(Field::new_list_field(DataType::Int64, true));
        let values = Arc::new(Int64Array::from_iter_values(10..16));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        ListArray::new(field, offsets, values, Some(NullBuffer::from(valid)))
    }

    fn found(list: &ListArray) -> (Vec<i64>, Vec<u64>) {
        let (values, rows) = elements(list).unwrap();
        let values = values.as_primitive::<Int64Type>().values().to_vec();
        (values, rows)
    }

    #[test]
    fn elements_are_those_of_lists_that_are_there() {
        let dense = listed(vec![1, 3, 3, 4], vec![true, false, true]);
        assert_eq!(found(&dense), (vec![11, 12, 13], vec![0, 0, 2]));
        assert_eq!(found(&dense.slice(1, 2)), (vec![13], vec![1]));
        let hidden = listed(vec![0, 2, 4, 6], vec![true, false, true]);
        assert_eq!(found(&hidden), (vec![10, 11, 14, 15], vec![0, 0, 2, 2]));
        assert_eq!(found(&hidden.slice(1, 1)), (vec![], vec![]));
    }
}
