//! `regexp_replace(text, pattern, groups -> …)`: what stands for a match is calculated from its groups.
//!
//! The rewrite calls it `__regexp_replace`, since a session prefers a function without lambda of the
//! same name.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, ListBuilder, StringBuilder, UInt64Array},
        compute::{cast, take},
        datatypes::{DataType, Field, FieldRef},
    },
    common::{exec_err, plan_err},
    error::Result,
    logical_expr::{
        ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature,
        HigherOrderUDF, HigherOrderUDFImpl, LambdaParametersProgress, ValueOrLambda, Volatility,
    },
};

use super::Compiled;
use crate::types::is_text;

pub(super) fn regexp_replace() -> Arc<HigherOrderUDF> {
    let kinds = vec![
        ValueOrLambda::Value(()),
        ValueOrLambda::Value(()),
        ValueOrLambda::Lambda(()),
    ];
    Arc::new(HigherOrderUDF::new_from_impl(Replace {
        signature: HigherOrderSignature::exact(kinds, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Replace {
    signature: HigherOrderSignature,
}

/// The type of the lambda's parameter: the groups of a match.
fn groups_type() -> DataType {
    DataType::new_list(DataType::Utf8, true)
}

impl HigherOrderUDFImpl for Replace {
    fn name(&self) -> &str {
        "__regexp_replace"
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if given
            .iter()
            .any(|given| !is_text(given) && *given != DataType::Null)
        {
            return plan_err!("regexp_replace takes a text, a pattern and a lambda");
        }
        Ok(vec![DataType::Utf8; given.len()])
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        _fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let groups = Arc::new(Field::new("", groups_type(), true));
        Ok(LambdaParametersProgress::Complete(vec![vec![groups]]))
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [_, _, ValueOrLambda::Lambda(field)]
                if is_text(field.data_type()) || *field.data_type() == DataType::Null =>
            {
                Ok(Arc::new(Field::new("", DataType::Utf8, true)))
            }
            _ => plan_err!("the lambda of regexp_replace must give a varchar"),
        }
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let [
            ValueOrLambda::Value(texts),
            ValueOrLambda::Value(patterns),
            ValueOrLambda::Lambda(lambda),
        ] = args.args.as_slice()
        else {
            return exec_err!("regexp_replace takes a text, a pattern and a lambda");
        };
        let texts = cast(&texts.to_array(args.number_rows)?, &DataType::Utf8)?;
        let patterns = cast(&patterns.to_array(args.number_rows)?, &DataType::Utf8)?;
        let (texts, patterns) = (texts.as_string::<i32>(), patterns.as_string::<i32>());
        let mut compiled = Compiled::default();
        // All matches of all rows, for one evaluation of the lambda.
        let mut rows = Vec::new();
        let mut places = Vec::new();
        let mut groups = ListBuilder::new(StringBuilder::new());
        for row in 0..args.number_rows {
            if texts.is_null(row) || patterns.is_null(row) {
                continue;
            }
            let text = texts.value(row);
            compiled
                .get(patterns.value(row))?
                .for_each(text, true, 0, |found| {
                    for group in found.iter().skip(1) {
                        let group = group.clone().map(|range| &text[range]);
                        groups.values().append_option(group);
                    }
                    groups.append(true);
                    rows.push(row as u64);
                    places.push(found.first().cloned().flatten().unwrap_or(0..0));
                    Ok(true)
                })?;
        }
        let rows = UInt64Array::from(rows);
        let groups: ArrayRef = Arc::new(groups.finish());
        let given = || Ok(Arc::clone(&groups));
        let captured = |columns: &[ArrayRef]| {
            let columns = columns.iter().map(|column| Ok(take(column, &rows, None)?));
            columns.collect()
        };
        let replaced = lambda
            .evaluate(&[&given], captured)?
            .into_array(rows.len())?;
        let replaced = cast(&replaced, &DataType::Utf8)?;
        let replaced = replaced.as_string::<i32>();
        let mut result = StringBuilder::with_capacity(args.number_rows, 0);
        let mut next = 0;
        for row in 0..args.number_rows {
            let mut whole = Some(String::new());
            let mut last = 0;
            while next < rows.len() && rows.value(next) == row as u64 {
                let place = &places[next];
                // One null makes the whole row null.
                whole = match (whole, replaced.is_valid(next)) {
                    (Some(whole), true) => {
                        let between = &texts.value(row)[last..place.start];
                        Some(whole + between + replaced.value(next))
                    }
                    _ => None,
                };
                last = place.end;
                next += 1;
            }
            let is_valid = texts.is_valid(row) && patterns.is_valid(row);
            let whole = whole.filter(|_| is_valid);
            result.append_option(whole.map(|whole| whole + &texts.value(row)[last..]));
        }
        Ok(ColumnarValue::Array(Arc::new(result.finish())))
    }
}
