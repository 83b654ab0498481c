//! Both sides of a diff as one stream: the same columns in the same types, equal rows crossed out, the rest sorted.

use std::sync::Arc;

use datafusion::{
    arrow::{
        datatypes::{DataType, Field, Fields, Schema, SchemaRef},
        record_batch::RecordBatch,
    },
    common::Column,
    error::Result as DataFusionResult,
    execution::{SendableRecordBatchStream, context::SessionContext},
    logical_expr::{
        Expr, LogicalPlan, LogicalPlanBuilder, SortExpr,
        expr_fn::{cast, ident},
    },
    physical_plan::{EmptyRecordBatchStream, stream::RecordBatchStreamAdapter, union::UnionExec},
    scalar::ScalarValue,
};
use futures::{StreamExt, TryStreamExt};

use super::{Columns, RowMap, Side, cancel, canonical, names_with_duplicates};
use crate::{Origins, Reading, past::unordered, session};

/// Column `c3` of the difference.
fn place(index: usize) -> String {
    format!("c{index}")
}

/// Each row that one side has more often than the other: `c0`, `c1` … (the key, then what is compared) and `weight: Int64`, how
/// many more the later side has. By key, then by all other columns. Nothing is read before the stream is.
pub(super) async fn difference(
    sides: [&Side; 2],
    columns: &Columns,
) -> DataFusionResult<(SendableRecordBatchStream, Reading)> {
    let [before, after] = projected(sides.map(|side| &side.plan), columns)?;
    // They keep the files of their states from being pruned.
    let contexts = sides.map(|side| side.context.clone());
    let (from, before) = source(&contexts[0], &before).await?;
    let (to, after) = source(&contexts[1], &after).await?;
    let both = UnionExec::try_new(vec![Arc::clone(&from.plan), Arc::clone(&to.plan)])?;
    let reading = Reading::new(
        both,
        LogicalPlanBuilder::from(after).union(before)?.build()?,
    );
    let fields = to.plan.schema();
    let fields = fields.fields().iter();
    let fields = fields.map(|field| Arc::new(Field::clone(field).with_nullable(true)));
    let weight = Arc::new(Field::new("weight", DataType::Int64, false));
    let fields = fields.chain([weight]).collect::<Fields>();
    let schema = Arc::new(Schema::new(fields));
    let of_rows = Arc::clone(&schema);
    let sorted = async move {
        let rows = cancel::difference(from, to, &of_rows).await?;
        sorted(rows, &contexts[1], &of_rows).await
    };
    let stream = futures::stream::once(sorted).try_flatten();
    Ok((
        Box::pin(RecordBatchStreamAdapter::new(schema, stream)),
        reading,
    ))
}

/// Rows by all their columns but the last, nulls first.
async fn sorted(
    rows: Vec<RecordBatch>,
    context: &SessionContext,
    schema: &SchemaRef,
) -> DataFusionResult<SendableRecordBatchStream> {
    if rows.is_empty() {
        return Ok(Box::pin(EmptyRecordBatchStream::new(Arc::clone(schema))));
    }
    let order = (0..schema.fields().len().saturating_sub(1))
        .map(|index| SortExpr::new(ident(place(index)), true, true));
    let rows = context.read_batches(rows)?;
    rows.sort(order.collect())?.execute_stream().await
}

/// An optimised plan, and what runs it.
async fn source(
    context: &SessionContext,
    plan: &LogicalPlan,
) -> DataFusionResult<(cancel::Source, LogicalPlan)> {
    let plan = context.state().optimize(plan)?;
    let source = cancel::Source {
        plan: session::physical(context, &plan).await?,
        context: context.task_ctx(),
    };
    Ok((source, plan))
}

/// The same columns of both sides, in the same types: `c0`, `c1` …
fn projected(plans: [&LogicalPlan; 2], columns: &Columns) -> DataFusionResult<[LogicalPlan; 2]> {
    let [from, to] = plans.map(|plan| unordered(plan.clone()));
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (index, name) in columns.all().enumerate() {
        let (old, new) = (column_of(&from, name), column_of(&to, name));
        let (old, new) = same_type(old, new);
        before.push(old.alias(place(index)));
        after.push(new.alias(place(index)));
    }
    Ok([
        LogicalPlanBuilder::from(from).project(before)?.build()?,
        LogicalPlanBuilder::from(to).project(after)?.build()?,
    ])
}

/// The stream of [`difference`] with other values; its last column are the weights.
pub(super) fn mapped(
    stream: SendableRecordBatchStream,
    map: &RowMap,
    columns: &Columns,
    origins: Vec<Origins>,
) -> SendableRecordBatchStream {
    let names = columns.all().cloned();
    let known = names.zip(origins).collect::<Vec<_>>();
    let map = Arc::clone(map);
    // A value may become null.
    let given = stream.schema();
    let fields = given.fields().iter();
    let fields = fields.map(|field| Arc::new(Field::clone(field).with_nullable(true)));
    let schema = Arc::new(Schema::new(fields.collect::<Fields>()));
    let nullable = Arc::clone(&schema);
    let batches = stream.map(move |batch| {
        let batch = batch?;
        let weights = batch.num_columns().saturating_sub(1);
        let values = batch.project(&(0..weights).collect::<Vec<_>>())?;
        let mut mapped = map(&values, &known)?.columns().to_vec();
        mapped.extend(batch.columns().last().map(Arc::clone));
        Ok(RecordBatch::try_new(Arc::clone(&nullable), mapped)?)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

/// A column of a side and its type; `None` where that side does not have it.
fn column_of(plan: &LogicalPlan, name: &str) -> Option<(Expr, DataType)> {
    let index = names_with_duplicates(plan)
        .iter()
        .position(|known| known == name)?;
    let (qualifier, field) = plan.schema().qualified_field(index);
    let column = Column::new(qualifier.cloned(), field.name().clone());
    let data_type = field.data_type().clone();
    if data_type.is_nested() {
        let text = canonical::udf().call(vec![Expr::Column(column)]);
        return Some((text, DataType::Utf8));
    }
    Some((Expr::Column(column), data_type))
}

/// Both sides of a column in one type: a report may have gained or lost it, or changed its type.
fn same_type(old: Option<(Expr, DataType)>, new: Option<(Expr, DataType)>) -> (Expr, Expr) {
    let null = |data_type: &DataType| {
        let null = ScalarValue::try_from(data_type).unwrap_or(ScalarValue::Utf8(None));
        Expr::Literal(null, None)
    };
    match (old, new) {
        (Some((old, a)), Some((new, b))) if a == b => (old, new),
        (Some((old, _)), Some((new, _))) => (cast(old, DataType::Utf8), cast(new, DataType::Utf8)),
        (Some((old, data_type)), None) => (old, null(&data_type)),
        (None, Some((new, data_type))) => (null(&data_type), new),
        (None, None) => (null(&DataType::Utf8), null(&DataType::Utf8)),
    }
}

/// The stream of [`difference`], for tests of what reads it.
#[cfg(test)]
pub(crate) async fn difference_of(
    context: &SessionContext,
    from: &LogicalPlan,
    to: &LogicalPlan,
    columns: &Columns,
) -> DataFusionResult<SendableRecordBatchStream> {
    let side = |plan: &LogicalPlan| Side {
        context: context.clone(),
        plan: plan.clone(),
        caveats: vec![],
        reports: vec![],
    };
    Ok(difference([&side(from), &side(to)], columns).await?.0)
}
