//! Correlated scalar subqueries and lateral joins that DataFusion plans and cannot execute.
//!
//! The outer values that a subquery asks for are gathered, each combination once; the subquery is
//! computed over all of them at the same time ([`pull`]); its rows are joined back by these values. So it
//! does not matter how they are compared, nor whether the subquery aggregates, sorts or limits.
//! What DataFusion's own rules do (aggregates over plain equalities) is left to them.
//!
//! Source: T. Neumann and A. Kemper, "Unnesting Arbitrary Queries" (BTW 2015).

mod outer;
mod pull;

use std::cell::Cell;

use datafusion::{
    arrow::datatypes::DataType,
    common::{
        Column, ExprSchema, ScalarValue,
        config::ConfigOptions,
        tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion},
    },
    error::Result,
    functions_aggregate::array_agg::array_agg,
    logical_expr::{
        Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Subquery, col,
        expr::ScalarFunction,
        expr_rewriter::NamePreserver,
        lit,
        logical_plan::SubqueryAlias,
        utils::{conjunction, split_conjunction_owned},
    },
    optimizer::AnalyzerRule,
};

use crate::functions;
use outer::Outer;
use pull::Pull;

/// The rule; to be asked after types are coerced.
#[derive(Debug)]
pub(crate) struct Decorrelate;

impl AnalyzerRule for Decorrelate {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let names = Names::default();
        let done = plan.transform_up_with_subqueries(|node| names.rewrite(node))?;
        if !done.transformed {
            return Ok(done.data);
        }
        let recomputed = done
            .data
            .transform_up_with_subqueries(|node| node.recompute_schema().map(Transformed::yes));
        recomputed.data()
    }

    fn name(&self) -> &str {
        "decorrelate"
    }
}

/// Gives each use of outer values names of its own.
#[derive(Debug, Default)]
struct Names {
    given: Cell<usize>,
}

impl Names {
    fn next(&self) -> usize {
        let next = self.given.get();
        self.given.set(next + 1);
        next
    }

    fn rewrite(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        match node {
            LogicalPlan::Join(join) if asks_in_condition(&join)? => {
                let filtered = filtered(join)?;
                Ok(Transformed::yes(self.rewrite(filtered)?.data))
            }
            LogicalPlan::Join(join) => self.lateral(join),
            LogicalPlan::Filter(_) | LogicalPlan::Projection(_) if asks_for_rows(&node)? => {
                let valued = as_values(node)?;
                Ok(Transformed::yes(self.scalars(valued)?.data))
            }
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Window(_) => self.scalars(node),
            node => Ok(Transformed::no(node)),
        }
    }

    /// Replaces the correlated scalar subqueries of a node by columns joined to its input.
    fn scalars(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let found = subqueries(&node)?;
        let [input] = node.inputs()[..] else {
            return Ok(Transformed::no(node));
        };
        let mut input = input.clone();
        let mut columns: Vec<(Subquery, Column)> = Vec::new();
        for subquery in found {
            if columns.iter().any(|(known, _)| *known == subquery) {
                continue;
            }
            let is_known = matches!(node, LogicalPlan::Filter(_) | LogicalPlan::Projection(_));
            if is_known && outer::is_plain(&subquery.subquery)? {
                continue;
            }
            if let Some((joined, column)) = self.attach(&input, &subquery)? {
                input = joined;
                columns.push((subquery, column));
            }
        }
        if columns.is_empty() {
            return Ok(Transformed::no(node));
        }
        let schema = node.schema().columns();
        let preserver = NamePreserver::new(&node);
        let exprs = node.expressions().into_iter().map(|expr| {
            let name = preserver.save(&expr);
            let replaced = expr.transform_down(|expr| {
                let Expr::ScalarSubquery(subquery) = &expr else {
                    return Ok(Transformed::no(expr));
                };
                let column = columns.iter().find(|(known, _)| known == subquery);
                Ok(match column {
                    Some((_, column)) => Transformed::yes(Expr::Column(column.clone())),
                    None => Transformed::no(expr),
                })
            })?;
            Ok(match replaced.transformed {
                true => name.restore(replaced.data),
                false => replaced.data,
            })
        });
        let exprs = exprs.collect::<Result<Vec<_>>>()?;
        let widens = matches!(
            node,
            LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Window(_)
        );
        let node = node
            .with_new_exprs(exprs, vec![input])?
            .recompute_schema()?;
        Ok(Transformed::yes(match widens {
            true => LogicalPlanBuilder::from(node)
                .project(schema.into_iter().map(Expr::Column))?
                .build()?,
            false => node,
        }))
    }

    /// The subqueries inside one, which now ask for values of its own rows only.
    fn inner(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        if !outer::has_asking_subqueries(&plan)? {
            return Ok(plan);
        }
        plan.transform_up_with_subqueries(|node| self.rewrite(node))
            .data()
    }

    /// Joins a subquery's value to the rows that ask for it.
    fn attach(
        &self,
        input: &LogicalPlan,
        subquery: &Subquery,
    ) -> Result<Option<(LogicalPlan, Column)>> {
        let Some(outer) = Outer::of(&subquery.subquery, input, self)? else {
            return Ok(None);
        };
        let pull = Pull {
            names: self,
            outer: &outer,
        };
        let Some((plan, keys)) = pull.pull(&subquery.subquery)? else {
            return Ok(None);
        };
        let plan = self.inner(plan)?;
        let Some(value) = subquery.subquery.schema().columns().into_iter().next() else {
            return Ok(None);
        };
        let mut plan = LogicalPlanBuilder::from(plan);
        let mut value = Expr::Column(value);
        if !outer::has_one_row(&subquery.subquery) {
            let values = array_agg(value).alias("__values");
            plan = plan.aggregate(keys.iter().cloned().map(Expr::Column), [values])?;
            let single = functions::single();
            let args = vec![col("__values")];
            value = Expr::ScalarFunction(ScalarFunction::new_udf(single, args));
        }
        let number = self.next();
        let name = format!("__scalar{number}");
        let joined_keys: Vec<_> = (0..keys.len())
            .map(|place| format!("__scalar{number}_{place}"))
            .collect();
        let items = keys
            .into_iter()
            .zip(&joined_keys)
            .map(|(key, name)| Expr::Column(key).alias(name.as_str()))
            .chain([value.alias(name.as_str())]);
        let plan = plan.project(items.collect::<Vec<_>>())?.build()?;
        let joined_keys = joined_keys.into_iter().map(Column::from_name).collect();
        let joined = outer.join(plan, JoinType::Left, joined_keys, None)?;
        Ok(Some((joined, Column::from_name(name))))
    }

    /// A lateral join whose right side DataFusion cannot take apart.
    fn lateral(&self, join: Join) -> Result<Transformed<LogicalPlan>> {
        let (alias, subquery) = match join.right.as_ref() {
            LogicalPlan::Subquery(subquery) => (None, subquery),
            LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
                match input.as_ref() {
                    LogicalPlan::Subquery(subquery) => (Some(alias.clone()), subquery),
                    _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
                }
            }
            _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
        };
        let is_ours = matches!(join.join_type, JoinType::Inner | JoinType::Left)
            && join.on.is_empty()
            && !outer::is_simple(&subquery.subquery)?;
        if !is_ours {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        let Some(outer) = Outer::of(&subquery.subquery, &join.left, self)? else {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        };
        let pull = Pull {
            names: self,
            outer: &outer,
        };
        let Some((mut plan, mut keys)) = pull.pull(&subquery.subquery)? else {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        };
        plan = self.inner(plan)?;
        if let Some(alias) = alias {
            plan = LogicalPlanBuilder::from(plan)
                .alias(alias.clone())?
                .build()?;
            keys = keys
                .into_iter()
                .map(|key| Column::new(Some(alias.clone()), key.name))
                .collect();
        }
        let columns = join.schema.columns();
        let joined = outer.join(plan, join.join_type, keys, join.filter)?;
        let joined = LogicalPlanBuilder::from(joined)
            .project(columns.into_iter().map(Expr::Column))?
            .build()?;
        Ok(Transformed::yes(joined))
    }
}

/// A correlated `EXISTS` or `IN` that DataFusion makes no join of.
fn is_complex(expr: &Expr) -> Result<bool> {
    let (subquery, limits_count) = match expr {
        Expr::Exists(exists) => (&exists.subquery.subquery, false),
        Expr::InSubquery(within) => (&within.subquery.subquery, true),
        _ => return Ok(false),
    };
    Ok(outer::has_values(subquery)? && !outer::is_joinable(subquery, limits_count)?)
}

fn asks_for_rows(node: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(|expr| {
        found |= expr.exists(is_complex)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn has_subquery(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| Ok(outer::subquery_of(expr).is_some()))
}

/// An inner join whose condition has a subquery.
fn asks_in_condition(join: &Join) -> Result<bool> {
    match &join.filter {
        Some(filter) if join.join_type == JoinType::Inner => has_subquery(filter),
        _ => Ok(false),
    }
}

/// The same with that part of the condition above the join.
fn filtered(mut join: Join) -> Result<LogicalPlan> {
    let parts = join.filter.take().map(split_conjunction_owned);
    let (mut above, mut within) = (Vec::new(), Vec::new());
    for part in parts.into_iter().flatten() {
        match has_subquery(&part)? {
            true => above.push(part),
            false => within.push(part),
        }
    }
    join.filter = conjunction(within);
    let joined = LogicalPlanBuilder::from(LogicalPlan::Join(join));
    match conjunction(above) {
        Some(condition) => joined.filter(condition)?.build(),
        None => joined.build(),
    }
}

/// `EXISTS (q)` as `(SELECT count(*) FROM q) > 0`, and `x IN (q)` as a question to the array of its values.
fn as_values(node: LogicalPlan) -> Result<LogicalPlan> {
    let preserver = NamePreserver::new(&node);
    let exprs = node.expressions().into_iter().map(|expr| {
        let name = preserver.save(&expr);
        let written = expr.transform_down(|expr| {
            if !is_complex(&expr)? {
                return Ok(Transformed::no(expr));
            }
            Ok(match expr {
                Expr::Exists(exists) => {
                    let one = datafusion::functions_aggregate::expr_fn::count(lit(1));
                    let count = aggregated(exists.subquery, one)?;
                    let zero = lit(0_i64);
                    Transformed::yes(match exists.negated {
                        true => count.eq(zero),
                        false => count.gt(zero),
                    })
                }
                Expr::InSubquery(within) => {
                    let mut columns = within.subquery.subquery.schema().columns().into_iter();
                    let Some(value) = columns.next() else {
                        return Ok(Transformed::no(Expr::InSubquery(within)));
                    };
                    let values = array_agg(Expr::Column(value));
                    let values = aggregated(within.subquery, values)?;
                    let args = vec![values, *within.expr];
                    let function = functions::within();
                    let found = Expr::ScalarFunction(ScalarFunction::new_udf(function, args));
                    Transformed::yes(match within.negated {
                        true => Expr::Not(Box::new(found)),
                        false => found,
                    })
                }
                expr => Transformed::no(expr),
            })
        })?;
        Ok(match written.transformed {
            true => name.restore(written.data),
            false => written.data,
        })
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    let inputs = node.inputs().into_iter().cloned().collect();
    node.with_new_exprs(exprs, inputs)
}

/// The value of an aggregate over the rows of a subquery.
fn aggregated(subquery: Subquery, call: Expr) -> Result<Expr> {
    let rows = subquery.subquery.as_ref().clone();
    let none: [Expr; 0] = [];
    let plan = LogicalPlanBuilder::from(rows)
        .aggregate(none, [call])?
        .build()?;
    Ok(Expr::ScalarSubquery(Subquery {
        subquery: plan.into(),
        outer_ref_columns: subquery.outer_ref_columns,
        spans: subquery.spans,
    }))
}

/// The correlated scalar subqueries in the expressions of a node.
fn subqueries(node: &LogicalPlan) -> Result<Vec<Subquery>> {
    let mut found = Vec::new();
    node.apply_expressions(|expr| {
        expr.apply(|expr| {
            if let Expr::ScalarSubquery(subquery) = expr
                && outer::has_values(&subquery.subquery)?
            {
                found.push(subquery.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// That two values are equal or both null, in equalities of what is never null.
///
/// DataFusion has joins in which null equals null, but moves further equalities into them, for which that
/// would hold then, too.
fn same(left: &Column, right: &Column, data_type: &DataType) -> Result<[Expr; 2]> {
    let nothing = lit(ScalarValue::new_default(data_type)?);
    let known = |column: &Column| {
        let args = vec![Expr::Column(column.clone()), nothing.clone()];
        Expr::ScalarFunction(ScalarFunction::new_udf(functions::coalesce(), args))
    };
    let is_null = |column: &Column| Expr::Column(column.clone()).is_null();
    Ok([
        known(left).eq(known(right)),
        is_null(left).eq(is_null(right)),
    ])
}

/// Rows of both sides whose values are the same.
fn join_by_values(
    left: LogicalPlan,
    right: LogicalPlan,
    join_type: JoinType,
    (left_keys, right_keys): (&[Column], &[Column]),
    filter: Option<Expr>,
) -> Result<LogicalPlan> {
    let mut conditions = Vec::with_capacity(2 * left_keys.len() + 1);
    for (left_key, right_key) in left_keys.iter().zip(right_keys) {
        let data_type = left.schema().data_type(left_key)?;
        conditions.extend(same(left_key, right_key, data_type)?);
    }
    conditions.extend(filter);
    LogicalPlanBuilder::from(left)
        .join_on(right, join_type, conditions)?
        .build()
}
