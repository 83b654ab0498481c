//! What a subquery asks of the rows around it.

use std::sync::Arc;

use datafusion::{
    common::{
        Column, ExprSchema, ScalarValue,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    error::Result,
    logical_expr::{
        Distinct, Expr, ExprSchemable, JoinType, LogicalPlan, LogicalPlanBuilder, Operator,
        Subquery, expr_rewriter::NamePreserver, logical_plan::FetchType, utils::split_conjunction,
    },
};

use super::{Names, join_by_values};

/// The outer values of a subquery, and the rows that have them.
pub(super) struct Outer {
    /// Columns of outer rows, or fields in them, as the subquery writes them.
    values: Vec<Expr>,
    /// The rows around, with the values as columns.
    rows: LogicalPlan,
    /// These columns.
    keys: Vec<Column>,
}

/// A column of an outer row, or a field in one.
fn is_outer_value(expr: &Expr) -> bool {
    match expr {
        Expr::OuterReferenceColumn(..) => true,
        Expr::ScalarFunction(call) if call.name() == "get_field" => match call.args.split_first() {
            Some((row, names)) => {
                is_outer_value(row) && names.iter().all(|name| matches!(name, Expr::Literal(..)))
            }
            None => false,
        },
        _ => false,
    }
}

/// The same in the words of the outer row.
fn inside_out(value: &Expr) -> Result<Expr> {
    let written = value.clone().transform_up(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            expr => Transformed::no(expr),
        })
    });
    Ok(written?.data)
}

/// The subquery of an expression that has one.
pub(super) fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery) => Some(subquery),
        Expr::Exists(exists) => Some(&exists.subquery),
        Expr::InSubquery(within) => Some(&within.subquery),
        Expr::SetComparison(compared) => Some(&compared.subquery),
        _ => None,
    }
}

/// The outer values in a tree. Those that a subquery inside it asks for count where no row of the tree around that
/// subquery has them.
pub(super) fn values_of(plan: &LogicalPlan) -> Result<Vec<Expr>> {
    let mut values = Vec::new();
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            add_values(expr, node, &mut values)?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(values)
}

fn add_values(expr: &Expr, node: &LogicalPlan, values: &mut Vec<Expr>) -> Result<()> {
    expr.apply(|expr| {
        if is_outer_value(expr) {
            if !values.contains(expr) {
                values.push(expr.clone());
            }
            return Ok(TreeNodeRecursion::Jump);
        }
        if let Some(inner) = subquery_of(expr) {
            for value in values_of(&inner.subquery)? {
                if !is_of(&value, node)? && !values.contains(&value) {
                    values.push(value);
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Is this a value of the rows that a node reads?
fn is_of(value: &Expr, node: &LogicalPlan) -> Result<bool> {
    let written = inside_out(value)?;
    let columns = written.column_refs();
    let inputs = node.inputs();
    Ok(columns.iter().all(|column| {
        let mut inputs = inputs.iter();
        inputs.any(|input| input.schema().has_column(column))
    }))
}

/// Does a tree ask for outer values?
pub(super) fn has_values(plan: &LogicalPlan) -> Result<bool> {
    Ok(!values_of(plan)?.is_empty())
}

/// Does an expression ask for outer values itself?
pub(super) fn asks(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| Ok(matches!(expr, Expr::OuterReferenceColumn(..))))
}

/// Has an expression a subquery that asks for values?
fn has_asking_subquery(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| match subquery_of(expr) {
        Some(inner) => has_values(&inner.subquery),
        None => Ok(false),
    })
}

/// Has a tree such a subquery?
pub(super) fn has_asking_subqueries(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            found |= has_asking_subquery(expr)?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// Has a tree a side that asks for values of the other one?
fn has_lateral_side(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| {
        let LogicalPlan::Join(join) = node else {
            return Ok(false);
        };
        let mut sides = [&join.left, &join.right].into_iter();
        Ok(sides.any(|side| match side.as_ref() {
            LogicalPlan::SubqueryAlias(alias) => {
                matches!(alias.input.as_ref(), LogicalPlan::Subquery(_))
            }
            side => matches!(side, LogicalPlan::Subquery(_)),
        }))
    })
}

impl Outer {
    /// The outer values of a subquery over these rows; `None` where they are not all of these rows.
    pub(super) fn of(
        subquery: &LogicalPlan,
        rows: &LogicalPlan,
        names: &Names,
    ) -> Result<Option<Self>> {
        let values = values_of(subquery)?;
        if values.is_empty() || has_lateral_side(subquery)? {
            return Ok(None);
        }
        let number = names.next();
        let mut items: Vec<_> = rows
            .schema()
            .columns()
            .into_iter()
            .map(Expr::Column)
            .collect();
        let mut keys = Vec::new();
        for (place, value) in values.iter().enumerate() {
            let value = inside_out(value)?;
            if value
                .column_refs()
                .iter()
                .any(|column| !rows.schema().has_column(column))
            {
                return Ok(None);
            }
            if ScalarValue::new_default(&value.get_type(rows.schema())?).is_err() {
                return Ok(None);
            }
            let name = format!("__asked{number}_{place}");
            items.push(value.alias(name.as_str()));
            keys.push(Column::from_name(name));
        }
        let rows = LogicalPlanBuilder::from(rows.clone())
            .project(items)?
            .build()?;
        Ok(Some(Self { values, rows, keys }))
    }

    /// Each combination of the values once, under names of their own.
    pub(super) fn distinct(&self, names: &Names) -> Result<(LogicalPlan, Vec<Column>)> {
        let number = names.next();
        let named = self.keys.iter().enumerate();
        let (items, keys): (Vec<_>, Vec<_>) = named
            .map(|(place, key)| {
                let name = format!("__outer{number}_{place}");
                let item = Expr::Column(key.clone()).alias(name.as_str());
                (item, Column::from_name(name))
            })
            .unzip();
        let plan = LogicalPlanBuilder::from(self.rows.clone())
            .project(items)?
            .distinct()?
            .build()?;
        Ok((plan, keys))
    }

    fn place(&self, expr: &Expr) -> Option<usize> {
        self.values.iter().position(|value| value == expr)
    }

    /// Puts columns in the places of the outer values; in subqueries inside, columns of the rows around these.
    pub(super) fn replaced(&self, expr: Expr, keys: &[Column]) -> Result<Expr> {
        let replaced = expr.transform_down(|expr| {
            if let Some(key) = self.place(&expr).and_then(|place| keys.get(place)) {
                let column = Expr::Column(key.clone());
                return Ok(Transformed::new(column, true, TreeNodeRecursion::Jump));
            }
            match expr {
                Expr::ScalarSubquery(inner) => Ok(Transformed::yes(Expr::ScalarSubquery(
                    self.inside(inner, keys)?,
                ))),
                Expr::Exists(mut exists) => {
                    exists.subquery = self.inside(exists.subquery, keys)?;
                    Ok(Transformed::yes(Expr::Exists(exists)))
                }
                Expr::InSubquery(mut within) => {
                    within.subquery = self.inside(within.subquery, keys)?;
                    Ok(Transformed::yes(Expr::InSubquery(within)))
                }
                Expr::SetComparison(mut compared) => {
                    compared.subquery = self.inside(compared.subquery, keys)?;
                    Ok(Transformed::yes(Expr::SetComparison(compared)))
                }
                expr => Ok(Transformed::no(expr)),
            }
        });
        Ok(replaced?.data)
    }

    fn inside(&self, inner: Subquery, keys: &[Column]) -> Result<Subquery> {
        if !has_values(&inner.subquery)? {
            return Ok(inner);
        }
        let plan = inner.subquery.as_ref().clone();
        let plan = plan.transform_down_with_subqueries(|node| {
            let preserver = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = preserver.save(&expr);
                let replaced = expr.transform_down(|expr| {
                    let Some(place) = self.place(&expr) else {
                        return Ok(Transformed::no(expr));
                    };
                    let (Some(key), Some(own)) = (keys.get(place), self.keys.get(place)) else {
                        return Ok(Transformed::no(expr));
                    };
                    let field = Arc::clone(self.rows.schema().field_from_column(own)?);
                    let outer = Expr::OuterReferenceColumn(field, key.clone());
                    Ok(Transformed::new(outer, true, TreeNodeRecursion::Jump))
                })?;
                Ok(match replaced.transformed {
                    true => replaced.update_data(|expr| name.restore(expr)),
                    false => replaced,
                })
            })
        });
        let plan = plan?.data;
        Ok(Subquery {
            outer_ref_columns: plan.all_out_ref_exprs(),
            subquery: plan.into(),
            spans: inner.spans,
        })
    }

    /// Joins what was computed to the rows that asked for it.
    pub(super) fn join(
        &self,
        right: LogicalPlan,
        join_type: JoinType,
        right_keys: Vec<Column>,
        filter: Option<Expr>,
    ) -> Result<LogicalPlan> {
        let keys = (self.keys.as_slice(), right_keys.as_slice());
        join_by_values(self.rows.clone(), right, join_type, keys, filter)
    }
}

/// Has the result one row for each outer row, at most?
pub(super) fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        LogicalPlan::Filter(filter) => has_one_row(&filter.input),
        LogicalPlan::Sort(sort) => {
            sort.fetch.is_some_and(|most| most < 2) || has_one_row(&sort.input)
        }
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Limit(limit) => {
            matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(most))) if most < 2)
                || has_one_row(&limit.input)
        }
        _ => false,
    }
}

/// Is this an aggregate over a table, correlated by plain equalities of columns? DataFusion makes a
/// cheaper join of it.
pub(super) fn is_plain(plan: &LogicalPlan) -> Result<bool> {
    let mut aggregates = 0;
    let mut plain = true;
    plan.apply(|node| {
        match node {
            LogicalPlan::Aggregate(aggregate) => {
                aggregates += 1;
                plain &= aggregate.group_expr.is_empty();
            }
            LogicalPlan::Filter(filter) => {
                plain &= split_conjunction(&filter.predicate)
                    .into_iter()
                    .all(|part| !asks(part).unwrap_or(true) || is_plain_equality(part));
                plain &= !has_asking_subquery(&filter.predicate)?;
            }
            LogicalPlan::TableScan(_) | LogicalPlan::SubqueryAlias(_) => {}
            LogicalPlan::Projection(projection) => {
                plain &= !projection.expr.iter().any(|expr| {
                    asks(expr).unwrap_or(true) || has_asking_subquery(expr).unwrap_or(true)
                });
            }
            _ => plain = false,
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(plain && aggregates == 1)
}

fn is_plain_equality(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryExpr(binary) if binary.op == Operator::Eq
    && matches!(
        (binary.left.as_ref(), binary.right.as_ref()),
        (Expr::Column(_), Expr::OuterReferenceColumn(..))
            | (Expr::OuterReferenceColumn(..), Expr::Column(_))
    ))
}

/// Nothing but items, conditions and sources: DataFusion takes such lateral joins apart.
pub(super) fn is_simple(plan: &LogicalPlan) -> Result<bool> {
    let more = plan.exists(|node| {
        Ok(matches!(
            node,
            LogicalPlan::Aggregate(_)
                | LogicalPlan::EmptyRelation(_)
                | LogicalPlan::Values(_)
                | LogicalPlan::Limit(_)
                | LogicalPlan::Sort(_)
                | LogicalPlan::Union(_)
                | LogicalPlan::Unnest(_)
                | LogicalPlan::Window(_)
                | LogicalPlan::Distinct(Distinct::All(_))
        ))
    });
    Ok(!more?)
}

/// Is this a subquery of which DataFusion makes a join where it is asked for rows? Limits say nothing there
/// (`limits_count` is false), but do where it is asked for values.
pub(super) fn is_joinable(plan: &LogicalPlan, limits_count: bool) -> Result<bool> {
    let mut joinable = true;
    plan.apply(|node| {
        joinable &= match node {
            LogicalPlan::Aggregate(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::Window(_) => false,
            LogicalPlan::Limit(_) => !limits_count,
            LogicalPlan::Sort(sort) => !limits_count || sort.fetch.is_none(),
            LogicalPlan::Filter(_) => true,
            node => {
                let mut asking = false;
                node.apply_expressions(|expr| {
                    asking |= asks(expr)?;
                    Ok(TreeNodeRecursion::Continue)
                })?;
                !asking
            }
        };
        node.apply_expressions(|expr| {
            let mut beyond = Vec::new();
            if has_asking_subquery(expr)? {
                add_values(expr, node, &mut beyond)?;
                beyond.retain(|value| !asks_directly(expr, value));
            }
            joinable &= beyond.is_empty();
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(joinable)
}

/// Stands the value in the expression, outside of subqueries?
fn asks_directly(expr: &Expr, value: &Expr) -> bool {
    expr.exists(|expr| Ok(expr == value)).unwrap_or(true)
}
