//! `RIGHT JOIN … USING (x)` and `FULL JOIN … USING (x)`: `x` is the left one, or else the right one.
//!
//! DataFusion takes the left column alone, which is null where only the right side has a row.

use datafusion::{
    common::{Column, plan_datafusion_err},
    error::Result,
    logical_expr::{
        Expr, JoinType, LogicalPlan, LogicalPlanBuilder,
        expr::ScalarFunction,
        planner::{PlannedRelation, RelationPlannerContext, RelationPlanning},
    },
    sql::sqlparser::ast::{Join, JoinConstraint, JoinOperator, ObjectName},
};

use crate::functions;

/// The kind of a join and its columns, where it is one of these.
fn parts(join: &Join) -> Option<(JoinType, &[ObjectName])> {
    match &join.join_operator {
        JoinOperator::Right(JoinConstraint::Using(names))
        | JoinOperator::RightOuter(JoinConstraint::Using(names)) => Some((JoinType::Right, names)),
        JoinOperator::FullOuter(JoinConstraint::Using(names)) => Some((JoinType::Full, names)),
        _ => None,
    }
}

/// Is this one of these joins?
pub(super) fn applies(join: &Join) -> bool {
    parts(join).is_some()
}

/// The common columns first, then the others of the left and of the right side.
pub(super) fn join(
    left: LogicalPlan,
    join: Join,
    context: &mut dyn RelationPlannerContext,
) -> Result<RelationPlanning> {
    let Some((join_type, names)) = parts(&join) else {
        return Ok(RelationPlanning::Original(Box::new(join.relation)));
    };
    let idents = names.iter().filter_map(|name| name.0.last()?.as_ident());
    let names: Vec<String> = idents
        .map(|ident| context.normalize_ident(ident.clone()))
        .collect();
    let right = context.plan(join.relation)?;
    let column = |plan: &LogicalPlan, name: &str| {
        let found = plan.schema().qualified_field_with_unqualified_name(name);
        found.map(Column::from).map_err(|_| {
            plan_datafusion_err!(
                "column `{name}` of USING is not on both sides of the join, or there twice"
            )
        })
    };
    let mut items = Vec::new();
    let (mut left_keys, mut right_keys) = (Vec::new(), Vec::new());
    for name in &names {
        let sides = [column(&left, name)?, column(&right, name)?];
        let coalesce = functions::coalesce();
        let sides_of = sides.iter().cloned().map(Expr::Column).collect();
        let value = Expr::ScalarFunction(ScalarFunction::new_udf(coalesce, sides_of));
        items.push(value.alias(name.clone()));
        let [left_key, right_key] = sides;
        left_keys.push(left_key);
        right_keys.push(right_key);
    }
    let others = left
        .schema()
        .columns()
        .into_iter()
        .chain(right.schema().columns());
    items.extend(
        others
            .filter(|column| !left_keys.contains(column) && !right_keys.contains(column))
            .map(Expr::Column),
    );
    let plan = LogicalPlanBuilder::from(left)
        .join(right, join_type, (left_keys, right_keys), None)?
        .project(items)?
        .build()?;
    let planned = PlannedRelation::new(plan, None);
    Ok(RelationPlanning::Planned(Box::new(planned)))
}
