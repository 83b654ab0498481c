//! `JOIN … USING (x)`: one column `x`, before all others, of the type that both have in common.
//!
//! DataFusion takes the left column where it stands, which is null where only the right side has a row.

use datafusion::{
    common::{Column, ExprSchema, TableReference, plan_datafusion_err},
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
        JoinOperator::Join(JoinConstraint::Using(names))
        | JoinOperator::Inner(JoinConstraint::Using(names)) => Some((JoinType::Inner, names)),
        JoinOperator::Left(JoinConstraint::Using(names))
        | JoinOperator::LeftOuter(JoinConstraint::Using(names)) => Some((JoinType::Left, names)),
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
        let has_left = matches!(join_type, JoinType::Inner | JoinType::Left);
        let value = match has_left {
            true => of_both_types(&sides, &left, &right)?,
            false => {
                let sides = sides.iter().cloned().map(Expr::Column).collect();
                let coalesce = functions::coalesce();
                Expr::ScalarFunction(ScalarFunction::new_udf(coalesce, sides))
            }
        };
        // The left column stays where it was; what is of no side has a relation of its own, so that it can be told
        // from a column of a further join.
        let relation = match has_left {
            true => sides[0].relation.clone(),
            false => {
                let right = sides[1].relation.as_ref().map_or("", |right| right.table());
                Some(TableReference::bare(format!("__using_{right}")))
            }
        };
        items.push(match value {
            column @ Expr::Column(_) => column,
            value => value.alias_qualified(relation, name.clone()),
        });
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

/// The left column, which is the right one wherever both are there.
fn of_both_types(sides: &[Column; 2], left: &LogicalPlan, right: &LogicalPlan) -> Result<Expr> {
    let [left_type, right_type] = [
        left.schema().data_type(&sides[0])?,
        right.schema().data_type(&sides[1])?,
    ];
    let value = Expr::Column(sides[0].clone());
    Ok(
        match functions::common_type(&[left_type.clone(), right_type.clone()]) {
            Some(common) if common != *left_type && left_type != right_type => {
                functions::cast_expr(value, &common)
            }
            _ => value,
        },
    )
}
