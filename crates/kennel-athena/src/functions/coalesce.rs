//! `coalesce`: the first value that is not null, in the type that is common to all.
//!
//! DataFusion's knows neither bytes beside NULL nor Trino's rules for common types. Planning makes a
//! `CASE` of it, so that later values are asked only where earlier ones are null.
//!
//! Source: Trino manual, "Conditional expressions".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, new_null_array},
        compute::interleave,
        datatypes::DataType,
    },
    common::plan_err,
    error::Result,
    logical_expr::{
        Case, ScalarUDF,
        expr_fn::cast,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
    prelude::Expr,
};

use super::{
    cast::convert,
    scalar::{Call, Kind, Spec},
    unify::{entry_of, unify_all},
};

pub(super) fn function() -> Arc<ScalarUDF> {
    Spec {
        simplify: Some(as_case),
        ..Spec::new("coalesce", &[Kind::Any], common, first_valid).variadic()
    }
    .build()
}

fn common(given: &[DataType]) -> Result<DataType> {
    if given.len() < 2 {
        return plan_err!("coalesce takes at least two values");
    }
    unify_all("coalesce", given)
}

/// Are values of both types cast by their parts, which DataFusion's cast does by name?
fn has_parts(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Struct(_) | DataType::List(_)) || entry_of(data_type).is_some()
}

fn as_case(args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
    let types = args.iter().map(|arg| context.get_data_type(arg));
    let types = types.collect::<Result<Vec<_>>>()?;
    let common = common(&types)?;
    if types.iter().any(|given| *given != common) && has_parts(&common) {
        return Ok(ExprSimplifyResult::Original(args));
    }
    let mut values: Vec<Expr> = args
        .into_iter()
        .zip(types)
        .map(|(value, given)| match given == common {
            true => value,
            false => cast(value, common.clone()),
        })
        .collect();
    let Some(last) = values.pop() else {
        return plan_err!("coalesce takes at least two values");
    };
    let cases = values.into_iter().map(|value| {
        let is_there = Expr::IsNotNull(Box::new(value.clone()));
        (Box::new(is_there), Box::new(value))
    });
    let case = Case::new(None, cases.collect(), Some(Box::new(last)));
    Ok(ExprSimplifyResult::Simplified(Expr::Case(case)))
}

fn first_valid(call: &Call) -> Result<ArrayRef> {
    let mut columns = call
        .args
        .iter()
        .map(|array| convert(array, &call.return_type, false))
        .collect::<Result<Vec<_>>>()?;
    columns.push(new_null_array(&call.return_type, call.rows));
    let places: Vec<_> = (0..call.rows)
        .map(|row| {
            let found = columns.iter().position(|column| column.is_valid(row));
            (found.unwrap_or(columns.len() - 1), row)
        })
        .collect();
    let arrays: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&arrays, &places)?)
}
