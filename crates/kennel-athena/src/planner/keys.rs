//! Rows that are equal, or come together: times of day with a zone are keys by their instants, whatever their offsets,
//! and the columns of a union get the type that Trino gives them.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    common::{
        Column, DFSchema,
        config::ConfigOptions,
        tree_node::{Transformed, TransformedResult, TreeNodeRecursion},
    },
    error::Result,
    functions_aggregate::expr_fn::min,
    logical_expr::{
        Aggregate, Distinct, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Union,
        expr::ScalarFunction,
    },
    optimizer::AnalyzerRule,
};

use crate::{
    functions,
    types::fine::{Fine, Kind},
};

/// To be asked before types are coerced.
#[derive(Debug)]
pub(crate) struct Keys;

impl AnalyzerRule for Keys {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mut is_there = false;
        plan.apply_with_subqueries(|node| {
            is_there |= is_concerned(node);
            Ok(TreeNodeRecursion::Continue)
        })?;
        if !is_there {
            return Ok(plan);
        }
        plan.transform_up_with_subqueries(|node| {
            if matches!(node, LogicalPlan::TableScan(_)) {
                return Ok(Transformed::no(node));
            }
            Ok(Transformed::yes(changed(node.recompute_schema()?)?))
        })
        .data()
    }

    fn name(&self) -> &str {
        "keys"
    }
}

/// Is this a type whose equal values may look different?
fn is_zoned(data_type: &DataType) -> bool {
    Fine::of(data_type).is_some_and(|fine| fine.kind == Kind::TimeWithZone)
}

/// The value by which equal ones are the same.
pub(super) fn same(expr: Expr, schema: &DFSchema) -> Expr {
    match expr.get_type(schema) {
        Ok(given) if is_zoned(&given) => {
            let function = functions::same_time();
            Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr]))
        }
        _ => expr,
    }
}

fn has_zoned(schema: &DFSchema) -> bool {
    schema
        .fields()
        .iter()
        .any(|field| is_zoned(field.data_type()))
}

fn is_concerned(node: &LogicalPlan) -> bool {
    match node {
        LogicalPlan::Union(union) => common_types(union).is_some(),
        LogicalPlan::Distinct(Distinct::All(input)) => has_zoned(input.schema()),
        LogicalPlan::Aggregate(aggregate) => has_zoned(aggregate.input.schema()),
        LogicalPlan::Join(join) => has_zoned(join.left.schema()) && has_zoned(join.right.schema()),
        _ => false,
    }
}

fn changed(node: LogicalPlan) -> Result<LogicalPlan> {
    if !is_concerned(&node) {
        return Ok(node);
    }
    match node {
        LogicalPlan::Union(union) => of_one_type(union),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let input = with_same(Arc::unwrap_or_clone(input), |_| true)?;
            Ok(LogicalPlan::Distinct(Distinct::All(Arc::new(input))))
        }
        LogicalPlan::Aggregate(aggregate) => grouped(aggregate),
        LogicalPlan::Join(mut join) => {
            let (left, right) = (
                Arc::clone(join.left.schema()),
                Arc::clone(join.right.schema()),
            );
            let on = std::mem::take(&mut join.on).into_iter();
            let on = on.map(|(one, other)| (same(one, &left), same(other, &right)));
            join.on = on.collect();
            Ok(LogicalPlan::Join(join))
        }
        other => Ok(other),
    }
}

/// Groups by what is the same; of a group's keys the least one is shown.
fn grouped(aggregate: Aggregate) -> Result<LogicalPlan> {
    let input = Arc::clone(aggregate.input.schema());
    let is_key = |key: &Expr| key.get_type(&input).is_ok_and(|given| is_zoned(&given));
    let mut in_sets = Vec::new();
    for key in &aggregate.group_expr {
        if matches!(key, Expr::GroupingSet(_)) {
            in_sets.extend(key.column_refs().into_iter().cloned());
        }
    }
    if !in_sets.is_empty() {
        let plan = Arc::unwrap_or_clone(aggregate.input);
        let plan = Arc::new(with_same(plan, |column| in_sets.contains(column))?);
        let sets = Aggregate::try_new(plan, aggregate.group_expr, aggregate.aggr_expr)?;
        return Ok(LogicalPlan::Aggregate(sets));
    }
    if !aggregate.group_expr.iter().any(is_key) {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let columns = aggregate.schema.columns();
    let (mut keys, mut gathered) = (Vec::new(), aggregate.aggr_expr);
    let mut items: Vec<Expr> = columns.iter().cloned().map(Expr::Column).collect();
    for (place, key) in aggregate.group_expr.into_iter().enumerate() {
        if !is_key(&key) {
            keys.push(key);
            continue;
        }
        let shown = format!("__shown{place}");
        let Column { relation, name, .. } = columns[place].clone();
        items[place] =
            Expr::Column(Column::from_name(shown.clone())).alias_qualified(relation, name);
        keys.push(same(key.clone(), &input));
        gathered.push(min(key).alias(shown));
    }
    let groups = Aggregate::try_new(aggregate.input, keys, gathered)?;
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(groups))
        .project(items)?
        .build()
}

/// The plan whose columns hold the same value where they are equal.
fn with_same(input: LogicalPlan, is_key: impl Fn(&Column) -> bool) -> Result<LogicalPlan> {
    let schema = Arc::clone(input.schema());
    let items = schema.columns().into_iter().map(|column| {
        let (relation, name) = (column.relation.clone(), column.name.clone());
        let is_key = is_key(&column);
        let expr = Expr::Column(column);
        let is_zoned = expr.get_type(&schema).is_ok_and(|given| is_zoned(&given));
        match is_key && is_zoned {
            true => same(expr, &schema).alias_qualified(relation, name),
            false => expr,
        }
    });
    LogicalPlanBuilder::from(input)
        .project(items.collect::<Vec<_>>())?
        .build()
}

/// The types of a union's columns, where they are not those of all its parts: DataFusion would make decimals of doubles.
fn common_types(union: &Union) -> Option<Vec<DataType>> {
    let width = union.inputs.first()?.schema().fields().len();
    let mut differ = false;
    let mut types = Vec::with_capacity(width);
    for place in 0..width {
        let given = union.inputs.iter().map(|input| {
            let field = input.schema().fields().get(place);
            field.map(|field| field.data_type().clone())
        });
        let given = given.collect::<Option<Vec<_>>>()?;
        let first = given.first()?;
        types.push(match given.iter().all(|given| given == first) {
            true => first.clone(),
            false => {
                differ = true;
                functions::common_type(&given)?
            }
        });
    }
    differ.then_some(types)
}

fn of_one_type(union: Union) -> Result<LogicalPlan> {
    let Some(types) = common_types(&union) else {
        return Ok(LogicalPlan::Union(union));
    };
    let cast = |input: &Arc<LogicalPlan>| {
        let schema = input.schema();
        let columns = schema
            .columns()
            .into_iter()
            .zip(schema.fields())
            .zip(&types);
        let items = columns.map(
            |((column, field), common)| match field.data_type() == common {
                true => Expr::Column(column),
                false => {
                    let (relation, name) = (column.relation.clone(), column.name.clone());
                    functions::cast_expr(Expr::Column(column), common)
                        .alias_qualified(relation, name)
                }
            },
        );
        let items = items.collect::<Vec<_>>();
        let plan = LogicalPlanBuilder::from(Arc::unwrap_or_clone(Arc::clone(input)));
        Ok(Arc::new(plan.project(items)?.build()?))
    };
    let inputs = union.inputs.iter().map(cast);
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
}
