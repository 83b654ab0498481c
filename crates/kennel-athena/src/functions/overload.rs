//! Two functions under one name: the types of the arguments decide.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, FieldRef},
    error::Result,
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
    prelude::Expr,
};

/// The first function, and the second one for what the first does not take.
///
/// What neither takes is the first one's error. Both must check types in `coerce_types` or `return_type`.
pub(super) fn overload(first: Arc<ScalarUDF>, second: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Overload {
        first,
        second,
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Overload {
    first: Arc<ScalarUDF>,
    second: Arc<ScalarUDF>,
    signature: Signature,
}

impl Overload {
    /// The function that takes these types, and the types it wants.
    fn choose(&self, given: &[DataType]) -> Result<(&Arc<ScalarUDF>, Vec<DataType>)> {
        let accepted = |function: &ScalarUDF| {
            let types = function.coerce_types(given)?;
            function.return_type(&types)?;
            Ok(types)
        };
        accepted(&self.first)
            .map(|types| (&self.first, types))
            .or_else(
                |error: datafusion::error::DataFusionError| match accepted(&self.second) {
                    Ok(types) => Ok((&self.second, types)),
                    Err(_) => Err(error),
                },
            )
    }
}

impl ScalarUDFImpl for Overload {
    fn name(&self) -> &str {
        self.first.name()
    }

    fn aliases(&self) -> &[String] {
        self.first.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.choose(given).map(|(_, types)| types)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let (function, types) = self.choose(given)?;
        function.return_type(&types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let given: Vec<_> = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        self.choose(&given)?.0.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let given: Vec<_> = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        self.choose(&given)?.0.invoke_with_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let given = args
            .iter()
            .map(|arg| context.get_data_type(arg))
            .collect::<Result<Vec<_>>>()?;
        self.choose(&given)?.0.simplify(args, context)
    }
}
