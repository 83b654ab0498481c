//! How expressions of a scan meet a file whose texts are read as numbers into a dictionary, or as places in a page.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, SchemaRef},
    common::tree_node::{Transformed, TreeNode},
    error::Result as DataFusionResult,
    functions::unicode::strpos::StrposFunc,
    physical_expr::{
        PhysicalExpr, ScalarFunctionExpr,
        expressions::{CastExpr, InListExpr, LikeExpr, Literal, TryCastExpr},
    },
    physical_expr_adapter::{
        DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
    },
};

use super::functions::NumberOf;

/// Casts dictionaries and places to the text that tables have, except where these do as well or better.
#[derive(Debug)]
pub(crate) struct EncodedTexts;

impl PhysicalExprAdapterFactory for EncodedTexts {
    fn create(
        &self,
        logical_file_schema: SchemaRef,
        physical_file_schema: SchemaRef,
    ) -> DataFusionResult<Arc<dyn PhysicalExprAdapter>> {
        let schema = Arc::clone(&physical_file_schema);
        let casting =
            DefaultPhysicalExprAdapterFactory.create(logical_file_schema, physical_file_schema)?;
        Ok(Arc::new(Adapter { casting, schema }))
    }
}

#[derive(Debug)]
struct Adapter {
    casting: Arc<dyn PhysicalExprAdapter>,
    schema: SchemaRef,
}

impl Adapter {
    /// What is cast to text, if it is of a type that does as well.
    fn uncast(
        &self,
        expr: &Arc<dyn PhysicalExpr>,
        does: fn(&DataType) -> bool,
    ) -> Option<Arc<dyn PhysicalExpr>> {
        let cast = expr.downcast_ref::<CastExpr>()?;
        let from = cast.expr().data_type(&self.schema).ok()?;
        let is_text = *cast.cast_type() == DataType::Utf8;
        (is_text && does(&from)).then(|| Arc::clone(cast.expr()))
    }

    fn without_cast(
        &self,
        expr: Arc<dyn PhysicalExpr>,
    ) -> DataFusionResult<Transformed<Arc<dyn PhysicalExpr>>> {
        let is_literal = |expr: &Arc<dyn PhysicalExpr>| expr.downcast_ref::<Literal>().is_some();
        if let Some(call) = ScalarFunctionExpr::try_downcast_func::<StrposFunc>(expr.as_ref()) {
            let text = call.args().first();
            let text = text.and_then(|text| self.uncast(text, is_view));
            return with_first(expr, text);
        }
        let text =
            if let Some(call) = ScalarFunctionExpr::try_downcast_func::<NumberOf>(expr.as_ref()) {
                call.args().first()
            } else if let Some(like) = expr.downcast_ref::<LikeExpr>() {
                Some(like.expr()).filter(|_| is_literal(like.pattern()))
            } else if let Some(list) = expr.downcast_ref::<InListExpr>() {
                Some(list.expr()).filter(|_| list.list().iter().all(is_literal))
            } else {
                // Each text of a dictionary is cast once. A plain cast would refuse texts that no row has.
                let cast = expr.downcast_ref::<TryCastExpr>();
                cast.map(TryCastExpr::expr)
            };
        let encoded = text.and_then(|text| self.uncast(text, is_encoded));
        with_first(expr, encoded)
    }
}

/// Texts as numbers into a dictionary.
fn is_encoded(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Dictionary(_, texts) if **texts == DataType::Utf8)
}

/// Texts as places.
fn is_view(data_type: &DataType) -> bool {
    *data_type == DataType::Utf8View
}

/// The expression with another first child, if there is one.
fn with_first(
    expr: Arc<dyn PhysicalExpr>,
    first: Option<Arc<dyn PhysicalExpr>>,
) -> DataFusionResult<Transformed<Arc<dyn PhysicalExpr>>> {
    let Some(first) = first else {
        return Ok(Transformed::no(expr));
    };
    let rest = expr.children().into_iter().skip(1).cloned();
    let children = std::iter::once(first).chain(rest).collect();
    Ok(Transformed::yes(expr.with_new_children(children)?))
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        let cast = self.casting.rewrite(expr)?;
        Ok(cast.transform_up(|expr| self.without_cast(expr))?.data)
    }
}
