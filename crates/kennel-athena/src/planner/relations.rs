//! `UNNEST` in `FROM`: arrays, maps and arrays of rows, beside what stands before them.
//!
//! [`rewrite`](crate::rewrite) puts each `UNNEST` and its left side into a join of its own. The plan
//! is: the left columns and the arrays, one `Unnest` over the arrays, then the left columns and the
//! elements under the names of the alias.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
};

use datafusion::{
    arrow::datatypes::DataType,
    common::{Column, NullHandling, TableReference, UnnestOptions, internal_err, plan_err},
    error::Result,
    functions_window::expr_fn::row_number,
    logical_expr::{
        Expr, ExprFunctionExt, ExprSchemable, JoinType, LogicalPlan, LogicalPlanBuilder,
        expr::ScalarFunction,
        lit,
        planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning},
    },
    sql::sqlparser::ast::{
        Expr as SqlExpr, Ident, JoinConstraint, JoinOperator, TableAlias, TableFactor, Value,
    },
};

use super::using;
use crate::{
    functions,
    rewrite::{DUPLICATE_MARK, NUMBER, is_numbered},
};

/// Plans `UNNEST`.
#[derive(Debug, Default)]
pub(crate) struct AthenaRelations {
    /// Makes the names of the arrays unique, or two `UNNEST`s of a query would collide.
    unnests: AtomicU64,
}

impl RelationPlanner for AthenaRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        match relation {
            TableFactor::UNNEST { .. } => {
                let left = LogicalPlanBuilder::empty(true).build()?;
                self.unnest(left, relation, NullHandling::Drop, context)
            }
            TableFactor::NestedJoin {
                mut table_with_joins,
                alias: None,
            } if matches!(table_with_joins.joins.as_slice(),
                    [join] if matches!(join.relation, TableFactor::UNNEST { .. })) =>
            {
                let Some(join) = table_with_joins.joins.pop() else {
                    return plan_err!("UNNEST has no left side");
                };
                let left = context.plan(table_with_joins.relation)?;
                if let Some(join_type) = outer_on_true(&join.join_operator) {
                    let empty = LogicalPlanBuilder::empty(true).build()?;
                    let unnest =
                        self.unnest_plan(empty, join.relation, NullHandling::Drop, context)?;
                    let plan = LogicalPlanBuilder::from(left)
                        .join_on(unnest, join_type, [lit(true)])?
                        .build()?;
                    let planned = PlannedRelation::new(plan, None);
                    return Ok(RelationPlanning::Planned(Box::new(planned)));
                }
                let nulls = null_handling(&join.join_operator)?;
                self.unnest(left, join.relation, nulls, context)
            }
            TableFactor::NestedJoin {
                mut table_with_joins,
                alias: None,
            } if matches!(table_with_joins.joins.as_slice(), [join] if using::applies(join)) => {
                let Some(join) = table_with_joins.joins.pop() else {
                    return plan_err!("USING has no right side");
                };
                let left = context.plan(table_with_joins.relation)?;
                using::join(left, join, context)
            }
            side if is_numbered(&side) => numbered(side, context),
            // DataFusion would read the newest state instead.
            TableFactor::Table {
                version: Some(_),
                name,
                ..
            } => plan_err!("a table of an earlier time is not supported here: `{name}`"),
            other => Ok(RelationPlanning::Original(Box::new(other))),
        }
    }
}

/// A side of `EXCEPT ALL` or `INTERSECT ALL`: equal rows get numbers, from one on.
fn numbered(
    mut side: TableFactor,
    context: &mut dyn RelationPlannerContext,
) -> Result<RelationPlanning> {
    if let TableFactor::Derived {
        alias: Some(alias), ..
    } = &mut side
    {
        alias.name = Ident::new("__side");
    }
    let rows = context.plan(side)?;
    let columns = rows.schema().columns();
    let columns = columns.into_iter().map(Expr::Column).collect();
    let number = row_number().partition_by(columns).build()?.alias(NUMBER);
    let plan = LogicalPlanBuilder::from(rows).window([number])?.build()?;
    let planned = PlannedRelation::new(plan, None);
    Ok(RelationPlanning::Planned(Box::new(planned)))
}

fn is_true(constraint: &JoinConstraint) -> bool {
    match constraint {
        JoinConstraint::None => true,
        JoinConstraint::On(SqlExpr::Value(value)) => value.value == Value::Boolean(true),
        _ => false,
    }
}

/// `RIGHT` or `FULL JOIN UNNEST(…) ON true`, whose arrays may not come from the left side.
fn outer_on_true(operator: &JoinOperator) -> Option<JoinType> {
    match operator {
        JoinOperator::Right(on) | JoinOperator::RightOuter(on) if is_true(on) => {
            Some(JoinType::Right)
        }
        JoinOperator::FullOuter(on) if is_true(on) => Some(JoinType::Full),
        _ => None,
    }
}

/// Whether a row without elements stays.
fn null_handling(operator: &JoinOperator) -> Result<NullHandling> {
    match operator {
        JoinOperator::CrossJoin(JoinConstraint::None) => Ok(NullHandling::Drop),
        JoinOperator::Inner(on) | JoinOperator::Join(on) if is_true(on) => Ok(NullHandling::Drop),
        JoinOperator::Left(on) | JoinOperator::LeftOuter(on) if is_true(on) => {
            Ok(NullHandling::PreserveAndExpandEmpty)
        }
        _ => plan_err!("UNNEST can be joined by CROSS JOIN, or by a join … ON true"),
    }
}

/// One array of an `UNNEST`, and what its elements become.
struct Array {
    /// The array under a name of its own.
    expr: Expr,
    name: String,
    /// The fields, when the elements are rows.
    fields: Vec<String>,
    /// A map's key and value are two columns always.
    is_map: bool,
}

impl AthenaRelations {
    fn unnest(
        &self,
        left: LogicalPlan,
        unnest: TableFactor,
        nulls: NullHandling,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let plan = self.unnest_plan(left, unnest, nulls, context)?;
        let planned = PlannedRelation::new(plan, None);
        Ok(RelationPlanning::Planned(Box::new(planned)))
    }

    fn unnest_plan(
        &self,
        left: LogicalPlan,
        unnest: TableFactor,
        nulls: NullHandling,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<LogicalPlan> {
        let TableFactor::UNNEST {
            alias,
            array_exprs,
            with_ordinality,
            ..
        } = unnest
        else {
            return internal_err!("UNNEST was expected");
        };
        let number = self.unnests.fetch_add(1, Ordering::Relaxed);
        let mut arrays = Vec::with_capacity(array_exprs.len() + 1);
        for (index, sql) in array_exprs.into_iter().enumerate() {
            let expr = context.sql_to_expr(sql, left.schema())?;
            let name = format!("__unnest_{number}_{index}");
            arrays.push(array(expr, name, &left)?);
        }
        let ordinality = with_ordinality.then(|| {
            let lists = arrays.iter().map(|array| array.expr.clone()).collect();
            Array {
                expr: Expr::ScalarFunction(ScalarFunction::new_udf(functions::ordinals(), lists)),
                name: format!("__unnest_{number}_ordinality"),
                fields: vec![],
                is_map: false,
            }
        });
        // Without an alias it still is a relation of its own.
        let unnamed = TableReference::bare(format!("__unnest_{number}"));
        let columns = columns(
            &arrays,
            ordinality.as_ref(),
            alias.as_ref(),
            unnamed,
            context,
        )?;
        let mut kept: Vec<_> = left
            .schema()
            .columns()
            .into_iter()
            .map(Expr::Column)
            .collect();
        let all = arrays.iter().chain(&ordinality);
        let inputs = all
            .clone()
            .map(|array| array.expr.clone().alias(array.name.clone()));
        let inputs: Vec<_> = kept.iter().cloned().chain(inputs).collect();
        let unnested: Vec<_> = all
            .map(|array| Column::from_name(array.name.clone()))
            .collect();
        let options = UnnestOptions::new().with_null_handling(nulls);
        kept.extend(columns);
        LogicalPlanBuilder::from(left)
            .project(inputs)?
            .unnest_columns_with_options(unnested, options)?
            .project(kept)?
            .build()
    }
}

fn array(expr: Expr, name: String, left: &LogicalPlan) -> Result<Array> {
    let row_fields = |element: &DataType| match element {
        DataType::Struct(fields) => fields.iter().map(|field| field.name().clone()).collect(),
        _ => vec![],
    };
    let data_type = expr.get_type(left.schema())?;
    let (expr, fields, is_map) = match &data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            (expr, row_fields(field.data_type()), false)
        }
        DataType::Map(entries, _) => {
            let entries_of = datafusion::functions_nested::map_entries::map_entries_udf();
            let call = Expr::ScalarFunction(ScalarFunction::new_udf(entries_of, vec![expr]));
            let entry = match call.get_type(left.schema())? {
                DataType::List(field) => row_fields(field.data_type()),
                _ => row_fields(entries.data_type()),
            };
            (call, entry, true)
        }
        other => {
            return plan_err!(
                "UNNEST takes arrays and maps, not {}",
                functions::type_name(other)
            );
        }
    };
    Ok(Array {
        expr,
        name,
        fields,
        is_map,
    })
}

/// The elements under their names.
///
/// An element that is a row is one column where the alias names just one (as in AWS's examples), and
/// as many as it has fields otherwise (as in Trino's manual).
fn columns(
    arrays: &[Array],
    ordinality: Option<&Array>,
    alias: Option<&TableAlias>,
    unnamed: TableReference,
    context: &dyn RelationPlannerContext,
) -> Result<Vec<Expr>> {
    let names: Vec<_> = alias
        .iter()
        .flat_map(|alias| &alias.columns)
        .map(|column| context.normalize_ident(column.name.clone()))
        .collect();
    let extra = usize::from(ordinality.is_some());
    let whole = extra
        + arrays
            .iter()
            .map(|array| if array.is_map { 2 } else { 1 })
            .sum::<usize>();
    let spread = extra
        + arrays
            .iter()
            .map(|array| array.fields.len().max(1))
            .sum::<usize>();
    // Structs here may have fields at their end that Athena's do not have.
    let has_more = |given: usize| match arrays {
        [array] => !array.is_map && given > whole && given < spread,
        _ => false,
    };
    let spreads = match names.len() {
        0 => true,
        given if given == whole => false,
        given if given == spread || has_more(given) => true,
        given => {
            let wanted = if whole == spread {
                whole.to_string()
            } else {
                format!("{whole} or {spread}")
            };
            return plan_err!("the alias of UNNEST has {given} columns, and there are {wanted}");
        }
    };
    let mut items: Vec<(Expr, String)> = Vec::with_capacity(spread);
    for array in arrays {
        let element = Expr::Column(Column::from_name(array.name.clone()));
        if array.fields.is_empty() || !(spreads || array.is_map) {
            let name = format!("_col{}", items.len());
            items.push((element, name));
            continue;
        }
        let wanted = match names.len() {
            given if has_more(given) => given - extra,
            _ => array.fields.len(),
        };
        for (place, field) in array.fields.iter().enumerate().take(wanted) {
            let get = datafusion::functions::core::get_field();
            let args = vec![element.clone(), lit(field.clone())];
            let expr = Expr::ScalarFunction(ScalarFunction::new_udf(get, args));
            // `ROW(…)` gives its fields no names.
            let name = match *field == format!("c{place}") {
                true => format!("_col{}", items.len()),
                false => field.to_lowercase(),
            };
            items.push((expr, name));
        }
    }
    if let Some(ordinality) = ordinality {
        let name = "ordinality".to_owned();
        items.push((
            Expr::Column(Column::from_name(ordinality.name.clone())),
            name,
        ));
    }
    let qualifier = alias.map_or(unnamed, |alias| {
        TableReference::bare(context.normalize_ident(alias.name.clone()))
    });
    let items: Vec<_> = items
        .into_iter()
        .enumerate()
        .map(|(index, (expr, own))| (expr, names.get(index).cloned().unwrap_or(own)))
        .collect();
    let mut once = BTreeSet::new();
    let is_again = |name: &&String| !once.insert((*name).clone());
    let twice: BTreeSet<String> = items
        .iter()
        .map(|(_, name)| name)
        .filter(is_again)
        .cloned()
        .collect();
    // Who asks for one of them by such a name is told that it is ambiguous.
    let named = items.into_iter().enumerate().map(|(index, (expr, name))| {
        let name = match twice.contains(&name) {
            true => format!("{name}{DUPLICATE_MARK}{index}"),
            false => name,
        };
        expr.alias_qualified(Some(qualifier.clone()), name)
    });
    Ok(named.collect())
}
