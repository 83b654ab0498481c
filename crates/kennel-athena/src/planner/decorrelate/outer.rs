//! What a subquery asks of the rows around it.

use datafusion::{
    common::{
        Column, DFSchema, ScalarValue,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    error::Result,
    logical_expr::{
        Distinct, Expr, ExprSchemable, JoinType, LogicalPlan, LogicalPlanBuilder, Operator,
        logical_plan::FetchType, utils::split_conjunction,
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

/// The outer values in a tree, subqueries inside it left out.
fn values_of(plan: &LogicalPlan) -> Result<Vec<Expr>> {
    let mut values = Vec::new();
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if !is_outer_value(expr) {
                    return Ok(TreeNodeRecursion::Continue);
                }
                if !values.contains(expr) {
                    values.push(expr.clone());
                }
                Ok(TreeNodeRecursion::Jump)
            })
        })
    })?;
    Ok(values)
}

/// Does a tree ask for outer values?
pub(super) fn has_values(plan: &LogicalPlan) -> Result<bool> {
    Ok(!values_of(plan)?.is_empty())
}

/// Does an expression ask for outer values?
pub(super) fn asks(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| Ok(matches!(expr, Expr::OuterReferenceColumn(..))))
}

/// Does a subquery inside the tree reach beyond it? Its values would have to come from further outside.
fn reaches_beyond(plan: &LogicalPlan) -> Result<bool> {
    let mut beyond = false;
    plan.apply(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let inner = match expr {
                    Expr::ScalarSubquery(subquery) => subquery,
                    Expr::Exists(exists) => &exists.subquery,
                    Expr::InSubquery(within) => &within.subquery,
                    Expr::SetComparison(compared) => &compared.subquery,
                    _ => return Ok(TreeNodeRecursion::Continue),
                };
                beyond |= inner.outer_ref_columns.iter().any(|expr| match expr {
                    Expr::OuterReferenceColumn(_, column) => !schema.has_column(column),
                    _ => true,
                });
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        if let LogicalPlan::Join(join) = node {
            // A lateral side asks for values of the other one.
            beyond |= [&join.left, &join.right]
                .into_iter()
                .any(|side| match side.as_ref() {
                    LogicalPlan::SubqueryAlias(alias) => {
                        matches!(alias.input.as_ref(), LogicalPlan::Subquery(_))
                    }
                    side => matches!(side, LogicalPlan::Subquery(_)),
                });
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(beyond)
}

impl Outer {
    /// The outer values of a subquery over these rows; `None` where they are not all of these rows.
    pub(super) fn of(
        subquery: &LogicalPlan,
        rows: &LogicalPlan,
        names: &Names,
    ) -> Result<Option<Self>> {
        let values = values_of(subquery)?;
        if values.is_empty() || reaches_beyond(subquery)? {
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

    /// Puts columns in the places of the outer values.
    pub(super) fn replaced(&self, expr: Expr, keys: &[Column]) -> Result<Expr> {
        let replaced = expr.transform_down(|expr| {
            let place = self.values.iter().position(|value| *value == expr);
            Ok(match place.and_then(|place| keys.get(place)) {
                Some(key) => {
                    Transformed::new(Expr::Column(key.clone()), true, TreeNodeRecursion::Jump)
                }
                None => Transformed::no(expr),
            })
        });
        Ok(replaced?.data)
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
            }
            LogicalPlan::TableScan(_) | LogicalPlan::SubqueryAlias(_) => {}
            LogicalPlan::Projection(projection) => {
                plain &= !projection
                    .expr
                    .iter()
                    .any(|expr| asks(expr).unwrap_or(true));
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

/// Is this a subquery of which DataFusion makes a join where it is asked for rows? Limits say nothing there.
pub(super) fn is_joinable(plan: &LogicalPlan) -> Result<bool> {
    let more = plan.exists(|node| {
        Ok(matches!(
            node,
            LogicalPlan::Aggregate(_)
                | LogicalPlan::Union(_)
                | LogicalPlan::Unnest(_)
                | LogicalPlan::Window(_)
        ))
    });
    Ok(!more?)
}
