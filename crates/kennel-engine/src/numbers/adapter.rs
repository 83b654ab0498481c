//! How expressions of a scan meet a file whose texts are read as numbers into a dictionary.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, SchemaRef},
    common::tree_node::{Transformed, TreeNode},
    error::Result as DataFusionResult,
    physical_expr::{
        PhysicalExpr, ScalarFunctionExpr,
        expressions::{CastExpr, InListExpr, LikeExpr, Literal, TryCastExpr},
    },
    physical_expr_adapter::{
        DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
    },
};

use super::functions::NumberOf;

/// Casts dictionaries to the text that tables have, except where the dictionary does as well or better.
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
    /// What is cast to text, if it is a dictionary.
    fn encoded(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
        let cast = expr.downcast_ref::<CastExpr>()?;
        let from = cast.expr().data_type(&self.schema).ok()?;
        match (from, cast.cast_type()) {
            (DataType::Dictionary(_, texts), DataType::Utf8) if *texts == DataType::Utf8 => {
                Some(Arc::clone(cast.expr()))
            }
            _ => None,
        }
    }

    fn without_cast(
        &self,
        expr: Arc<dyn PhysicalExpr>,
    ) -> DataFusionResult<Transformed<Arc<dyn PhysicalExpr>>> {
        let is_literal = |expr: &Arc<dyn PhysicalExpr>| expr.downcast_ref::<Literal>().is_some();
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
        let Some(encoded) = text.and_then(|text| self.encoded(text)) else {
            return Ok(Transformed::no(expr));
        };
        let mut children = expr.children().into_iter().cloned().collect::<Vec<_>>();
        if let Some(first) = children.first_mut() {
            *first = encoded;
        }
        Ok(Transformed::yes(expr.with_new_children(children)?))
    }
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        let cast = self.casting.rewrite(expr)?;
        Ok(cast.transform_up(|expr| self.without_cast(expr))?.data)
    }
}
