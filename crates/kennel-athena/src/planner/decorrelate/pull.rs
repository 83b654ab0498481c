//! A subquery over all outer values at the same time.
//!
//! Each node gives its rows together with the outer values that they belong to: filters and items read
//! the values as columns, aggregates group by them, limits count within them.

use std::sync::Arc;

use datafusion::{
    common::{
        Column, ExprSchema, internal_err,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    error::Result,
    functions_window::expr_fn::row_number,
    logical_expr::{
        Aggregate, Distinct, Expr, ExprFunctionExt, Join, JoinType, Limit, LogicalPlan,
        LogicalPlanBuilder, Projection, SortExpr, Union, Values, Window,
        expr::AggregateFunction,
        expr_rewriter::NamePreserver,
        lit,
        logical_plan::{FetchType, SkipType},
    },
};

use super::{
    Names, join_by_values,
    outer::{Outer, asks, has_values},
    same,
};

/// A plan, and the columns of its outer values.
type Pulled = Option<(LogicalPlan, Vec<Column>)>;

pub(super) struct Pull<'a> {
    pub(super) names: &'a Names,
    pub(super) outer: &'a Outer,
}

fn columns(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema()
        .columns()
        .into_iter()
        .map(Expr::Column)
        .collect()
}

fn all<'a>(keys: &'a [Column]) -> impl Iterator<Item = Expr> + 'a {
    keys.iter().cloned().map(Expr::Column)
}

impl Pull<'_> {
    /// The rows of `plan` for each combination of outer values; `None` where that is not known how.
    pub(super) fn pull(&self, plan: &LogicalPlan) -> Result<Pulled> {
        if !has_values(plan)? {
            let (values, keys) = self.outer.distinct(self.names)?;
            let plan = LogicalPlanBuilder::from(values)
                .cross_join(plan.clone())?
                .build()?;
            return Ok(Some((plan, keys)));
        }
        match plan {
            LogicalPlan::Filter(filter) => {
                let Some((input, keys)) = self.pull(&filter.input)? else {
                    return Ok(None);
                };
                let predicate = self.outer.replaced(filter.predicate.clone(), &keys)?;
                let plan = LogicalPlanBuilder::from(input).filter(predicate)?.build()?;
                Ok(Some((plan, keys)))
            }
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::SubqueryAlias(alias) => {
                let Some((input, keys)) = self.pull(&alias.input)? else {
                    return Ok(None);
                };
                let name = alias.alias.clone();
                let plan = LogicalPlanBuilder::from(input)
                    .alias(name.clone())?
                    .build()?;
                let keys = keys
                    .into_iter()
                    .map(|key| Column::new(Some(name.clone()), key.name));
                Ok(Some((plan, keys.collect())))
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Some((input, keys)) = self.pull(input)? else {
                    return Ok(None);
                };
                let plan = LogicalPlanBuilder::from(input).distinct()?.build()?;
                Ok(Some((plan, keys)))
            }
            LogicalPlan::Sort(sort) => match sort.fetch {
                // Only a limit asks for an order.
                None => self.pull(&sort.input),
                Some(most) => self.first(&sort.input, &sort.expr, 0, Some(most)),
            },
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Join(join) => self.join(join),
            // A relation that asks for outer values stands in one.
            LogicalPlan::Subquery(inner) => self.pull(&inner.subquery),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Values(values) => self.pull(&as_union(values)?),
            LogicalPlan::Unnest(unnest) => {
                let Some((input, keys)) = self.pull(&unnest.input)? else {
                    return Ok(None);
                };
                let plan = LogicalPlanBuilder::from(input)
                    .unnest_columns_with_options(
                        unnest.exec_columns.clone(),
                        unnest.options.clone(),
                    )?
                    .build()?;
                Ok(Some((plan, keys)))
            }
            _ => Ok(None),
        }
    }

    fn projection(&self, projection: &Projection) -> Result<Pulled> {
        let Some((input, keys)) = self.pull(&projection.input)? else {
            return Ok(None);
        };
        let preserver = NamePreserver::new_for_projection();
        let mut items = Vec::with_capacity(projection.expr.len() + keys.len());
        for expr in &projection.expr {
            let name = preserver.save(expr);
            items.push(name.restore(self.outer.replaced(expr.clone(), &keys)?));
        }
        items.extend(all(&keys));
        let plan = LogicalPlanBuilder::from(input).project(items)?.build()?;
        Ok(Some((plan, keys)))
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Result<Pulled> {
        let Some((input, keys)) = self.pull(&aggregate.input)? else {
            return Ok(None);
        };
        let is_set = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
        if aggregate.group_expr.iter().any(is_set) {
            return Ok(None);
        }
        let group = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
        let written = group.map(|expr| self.outer.replaced(expr.clone(), &keys));
        let mut written = written.collect::<Result<Vec<_>>>()?;
        let calls = written.split_off(aggregate.group_expr.len());
        let names = aggregate.schema.columns();
        let (plan, keys) = if aggregate.group_expr.is_empty() {
            // A row also for values for which there is nothing to aggregate.
            let number = self.names.next();
            let there = format!("__there{number}");
            let mut items = columns(&input);
            items.push(lit(true).alias(there.as_str()));
            let input = LogicalPlanBuilder::from(input).project(items)?.build()?;
            let (values, outer_keys) = self.outer.distinct(self.names)?;
            let joined = join_by_values(values, input, JoinType::Left, (&outer_keys, &keys), None)?;
            let there = Expr::Column(Column::from_name(there)).is_not_null();
            let calls = calls.into_iter().map(|call| filtered(call, &there));
            let calls = calls.collect::<Result<Vec<_>>>()?;
            (
                grouped(joined, all(&outer_keys).collect(), calls)?,
                outer_keys,
            )
        } else {
            let group = all(&keys).chain(written).collect();
            (grouped(input, group, calls)?, keys)
        };
        // What was written otherwise is called as before.
        let made = plan.schema().columns();
        let of_keys = keys.len();
        let items = made.iter().enumerate().map(|(place, column)| {
            let expr = Expr::Column(column.clone());
            match place
                .checked_sub(of_keys)
                .and_then(|place| names.get(place))
            {
                Some(name) if name != column => {
                    expr.alias_qualified(name.relation.clone(), name.name.as_str())
                }
                _ => expr,
            }
        });
        let items = items.collect::<Vec<_>>();
        let keys = made.into_iter().take(of_keys).collect();
        let plan = LogicalPlanBuilder::from(plan).project(items)?.build()?;
        Ok(Some((plan, keys)))
    }

    /// Windows lie within the rows of the same values.
    fn window(&self, window: &Window) -> Result<Pulled> {
        let Some((input, keys)) = self.pull(&window.input)? else {
            return Ok(None);
        };
        let within = |expr: Expr| -> Result<Expr> {
            let written = self.outer.replaced(expr, &keys)?.transform_down(|expr| {
                let Expr::WindowFunction(mut function) = expr else {
                    return Ok(Transformed::no(expr));
                };
                function.params.partition_by.extend(all(&keys));
                let window = Expr::WindowFunction(function);
                Ok(Transformed::new(window, true, TreeNodeRecursion::Jump))
            });
            Ok(written?.data)
        };
        let calls = window.window_expr.iter().cloned().map(within);
        let calls = calls.collect::<Result<Vec<_>>>()?;
        let count = calls.len();
        let plan = LogicalPlanBuilder::from(input).window(calls)?.build()?;
        let written = window.schema.columns();
        let names = written.iter().rev().take(count).rev();
        let made = plan.schema().columns();
        let before = made.len().saturating_sub(count);
        let renamed = made[before..].iter().zip(names).map(|(made, name)| {
            let expr = Expr::Column(made.clone());
            match made == name {
                true => expr,
                false => expr.alias_qualified(name.relation.clone(), name.name.as_str()),
            }
        });
        let kept = made[..before].iter().cloned().map(Expr::Column);
        let items = kept.chain(renamed).collect::<Vec<_>>();
        let plan = LogicalPlanBuilder::from(plan).project(items)?.build()?;
        Ok(Some((plan, keys)))
    }

    /// Both sides with their values, in the same order of columns.
    fn union(&self, union: &Union) -> Result<Pulled> {
        let number = self.names.next();
        let mut all_rows: Option<LogicalPlan> = None;
        let mut keys = Vec::new();
        for input in &union.inputs {
            let columns = input.schema().columns();
            let Some((plan, own_keys)) = self.pull(input)? else {
                return Ok(None);
            };
            let named = own_keys.iter().enumerate().map(|(place, key)| {
                let name = format!("__union{number}_{place}");
                Expr::Column(key.clone()).alias(name)
            });
            let items = columns.into_iter().map(Expr::Column).chain(named);
            let items = items.collect::<Vec<_>>();
            let plan = LogicalPlanBuilder::from(plan).project(items)?;
            keys = (0..own_keys.len())
                .map(|place| Column::from_name(format!("__union{number}_{place}")))
                .collect();
            all_rows = Some(match all_rows {
                None => plan.build()?,
                Some(rows) => LogicalPlanBuilder::from(rows)
                    .union(plan.build()?)?
                    .build()?,
            });
        }
        let Some(rows) = all_rows else {
            return Ok(None);
        };
        // The columns are called as those of the union were.
        let names = union.schema.columns();
        let renamed = rows
            .schema()
            .columns()
            .into_iter()
            .zip(names)
            .map(|(made, name)| {
                let expr = Expr::Column(made.clone());
                match made == name {
                    true => expr,
                    false => expr.alias_qualified(name.relation.clone(), name.name.as_str()),
                }
            });
        let items = renamed.chain(all(&keys)).collect::<Vec<_>>();
        let plan = LogicalPlanBuilder::from(rows).project(items)?.build()?;
        Ok(Some((plan, keys)))
    }

    fn limit(&self, limit: &Limit) -> Result<Pulled> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
            (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Ok(None);
        };
        match limit.input.as_ref() {
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
                self.first(&sort.input, &sort.expr, skip, fetch)
            }
            // The column to sort by may not be among the items.
            LogicalPlan::Projection(projection)
                if matches!(projection.input.as_ref(), LogicalPlan::Sort(_)) =>
            {
                let below = LogicalPlan::Limit(Limit {
                    skip: limit.skip.clone(),
                    fetch: limit.fetch.clone(),
                    input: Arc::clone(&projection.input),
                });
                let moved = Projection::try_new(projection.expr.clone(), below.into())?;
                if !has_values(&moved.input)? {
                    return Ok(None);
                }
                self.projection(&moved)
            }
            input => self.first(input, &[], skip, fetch),
        }
    }

    /// The first rows for each combination of values.
    fn first(
        &self,
        input: &LogicalPlan,
        order: &[SortExpr],
        skip: usize,
        fetch: Option<usize>,
    ) -> Result<Pulled> {
        let Some((input, keys)) = self.pull(input)? else {
            return Ok(None);
        };
        let kept = columns(&input);
        let order = order.iter().map(|key| {
            Ok(SortExpr {
                expr: self.outer.replaced(key.expr.clone(), &keys)?,
                ..key.clone()
            })
        });
        let order = order.collect::<Result<Vec<_>>>()?;
        let name = format!("__place{}", self.names.next());
        let mut window = row_number().partition_by(all(&keys).collect());
        if !order.is_empty() {
            window = window.order_by(order);
        }
        let place = Expr::Column(Column::from_name(name.as_str()));
        let first = u64::try_from(skip).unwrap_or(u64::MAX);
        let mut is_wanted = place.clone().gt(lit(first));
        if let Some(fetch) = fetch {
            let last = first.saturating_add(u64::try_from(fetch).unwrap_or(u64::MAX));
            is_wanted = is_wanted.and(place.lt_eq(lit(last)));
        }
        let plan = LogicalPlanBuilder::from(input)
            .window([window.build()?.alias(name.as_str())])?
            .filter(is_wanted)?
            .project(kept)?
            .build()?;
        Ok(Some((plan, keys)))
    }

    fn join(&self, join: &Join) -> Result<Pulled> {
        let (left, right) = (has_values(&join.left)?, has_values(&join.right)?);
        let in_keys = join.on.iter().flat_map(|(left, right)| [left, right]);
        for key in in_keys {
            if asks(key)? {
                return Ok(None);
            }
        }
        let is_inner = join.join_type == JoinType::Inner;
        if !is_inner && join.join_type != JoinType::Left {
            return Ok(None);
        }
        // An outer join must know the values of the rows that find nothing.
        let pulls_left = left || !is_inner || !right;
        let pulled_left = match pulls_left {
            true => self.pull(&join.left)?,
            false => Some((join.left.as_ref().clone(), vec![])),
        };
        let pulled_right = match right {
            true => self.pull(&join.right)?,
            false => Some((join.right.as_ref().clone(), vec![])),
        };
        let (Some((left, left_keys)), Some((right, right_keys))) = (pulled_left, pulled_right)
        else {
            return Ok(None);
        };
        let keys = match left_keys.is_empty() {
            true => right_keys.clone(),
            false => left_keys.clone(),
        };
        let mut conditions: Vec<Expr> = Vec::new();
        for (a, b) in &join.on {
            conditions.push(a.clone().eq(b.clone()));
        }
        for (a, b) in left_keys.iter().zip(&right_keys) {
            conditions.extend(same(a, b, left.schema().data_type(a)?)?);
        }
        if let Some(filter) = &join.filter {
            conditions.push(self.outer.replaced(filter.clone(), &keys)?);
        }
        let plan = LogicalPlanBuilder::from(left)
            .join_on(right, join.join_type, conditions)?
            .build()?;
        Ok(Some((plan, keys)))
    }
}

/// Rows of `VALUES` as selects of one row each.
fn as_union(values: &Values) -> Result<LogicalPlan> {
    let columns = values.schema.columns();
    let mut all: Option<LogicalPlanBuilder> = None;
    for row in &values.values {
        let named = row.iter().zip(&columns).map(|(value, column)| {
            let name = column.name.as_str();
            value.clone().alias_qualified(column.relation.clone(), name)
        });
        let one = LogicalPlanBuilder::empty(true).project(named.collect::<Vec<_>>())?;
        all = Some(match all {
            None => one,
            Some(before) => before.union(one.build()?)?,
        });
    }
    match all {
        Some(all) => all.build(),
        None => internal_err!("VALUES has no rows"),
    }
}

fn grouped(input: LogicalPlan, group: Vec<Expr>, calls: Vec<Expr>) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Aggregate(Aggregate::try_new(
        input.into(),
        group,
        calls,
    )?))
}

/// An aggregate over the rows that are there.
fn filtered(call: Expr, there: &Expr) -> Result<Expr> {
    let written = call.transform_down(|expr| {
        let Expr::AggregateFunction(mut function) = expr else {
            return Ok(Transformed::no(expr));
        };
        let filter = match function.params.filter.take() {
            Some(filter) => there.clone().and(*filter),
            None => there.clone(),
        };
        function.params.filter = Some(Box::new(filter));
        let AggregateFunction { func, params } = function;
        Ok(Transformed::new(
            Expr::AggregateFunction(AggregateFunction { func, params }),
            true,
            TreeNodeRecursion::Jump,
        ))
    });
    Ok(written?.data)
}
