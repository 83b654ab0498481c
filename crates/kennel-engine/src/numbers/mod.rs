//! Groups by numbers instead of texts.
//!
//! A column with few different texts lies in table files as numbers into a dictionary. Grouping by it would copy each
//! row's text, hash it and compare it; here a scan turns it into the number that its text has in the whole query
//! ([`texts`]), rows are grouped and counted by numbers, and each group's number becomes text again. What equality alone
//! decides works the same on numbers: `coalesce`, `CASE`, comparing with a text, counting different ones. What needs
//! the text itself (an order, a part of it) reads the text.
//!
//! The plan is changed on its way to being carried out, after everything that looks at what a query reads.

mod adapter;
mod functions;
mod texts;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    common::{
        Column, DFSchema, ScalarValue,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    datasource::source_as_provider,
    error::Result as DataFusionResult,
    logical_expr::{
        Aggregate, BinaryExpr, Case, Cast, Expr, ExprSchemable, Filter, LogicalPlan, Operator,
        Projection, SubqueryAlias, expr::AggregateFunction, lit,
    },
    optimizer::{Optimizer, OptimizerConfig, optimize_projections::OptimizeProjections},
};

pub(crate) use adapter::EncodedTexts;
use functions::Functions;

use crate::catalog::{as_trail_table, is_recurring};

/// The same question with numbers for texts where rows are grouped; `None` where that would change nothing.
pub(crate) fn grouped_by_numbers(
    plan: &LogicalPlan,
    config: &dyn OptimizerConfig,
) -> DataFusionResult<Option<LogicalPlan>> {
    let functions = Functions::new();
    let numbered = plan.clone().transform_down_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = &node else {
            return Ok(Transformed::no(node));
        };
        let Some(numbered) = functions.aggregate(aggregate)? else {
            return Ok(Transformed::no(node));
        };
        let shown = columns(&aggregate.schema);
        let plan = LogicalPlan::Projection(Projection::try_new(shown, numbered.into())?);
        Ok(Transformed::new(plan, true, TreeNodeRecursion::Jump))
    })?;
    if !numbered.transformed {
        return Ok(None);
    }
    // Texts that nothing needs any more are not read.
    let optimizer = Optimizer::with_rules(vec![Arc::new(OptimizeProjections::new())]);
    let plan = optimizer.optimize(numbered.data, config, |_, _| {})?;
    Ok(Some(plan))
}

/// A plan with its columns as they were, and behind them numbers of some.
struct Numbered {
    plan: LogicalPlan,
    /// By the place of the text.
    numbers: BTreeMap<usize, Column>,
}

fn columns(schema: &DFSchema) -> Vec<Expr> {
    schema
        .iter()
        .map(|field| Expr::Column(Column::from(field)))
        .collect()
}

/// The name of the numbers of a column's texts.
fn number_name(name: &str) -> String {
    format!("#{name}")
}

fn is_text(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Utf8))
}

/// Adds the columns of text in some expressions, by their places.
fn add_texts<'a>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    schema: &DFSchema,
    wanted: &mut BTreeSet<usize>,
) {
    for column in exprs.into_iter().flat_map(Expr::column_refs) {
        if let Some(place) = schema.maybe_index_of_column(column)
            && *schema.field(place).data_type() == DataType::Utf8
        {
            wanted.insert(place);
        }
    }
}

impl Functions {
    /// The plan with numbers of some of these texts, if it has any.
    fn numbered(
        &self,
        plan: &LogicalPlan,
        wanted: &BTreeSet<usize>,
    ) -> DataFusionResult<Option<Numbered>> {
        if wanted.is_empty() {
            return Ok(None);
        }
        if is_scan(plan) {
            return self.scan(plan, wanted);
        }
        match plan {
            LogicalPlan::Filter(filter) => {
                let Some(inner) = self.numbered(&filter.input, wanted)? else {
                    return Ok(None);
                };
                let filter = Filter::try_new(filter.predicate.clone(), inner.plan.into())?;
                Ok(Some(Numbered {
                    plan: LogicalPlan::Filter(filter),
                    numbers: inner.numbers,
                }))
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Some(inner) = self.numbered(&alias.input, wanted)? else {
                    return Ok(None);
                };
                let name = alias.alias.clone();
                let numbers = inner.numbers.into_iter().map(|(place, column)| {
                    let renamed = Column::new(Some(name.clone()), column.name);
                    (place, renamed)
                });
                let numbers = numbers.collect();
                let alias = SubqueryAlias::try_new(inner.plan.into(), name)?;
                Ok(Some(Numbered {
                    plan: LogicalPlan::SubqueryAlias(alias),
                    numbers,
                }))
            }
            LogicalPlan::Projection(projection) => self.projection(projection, wanted),
            LogicalPlan::Aggregate(aggregate) => {
                let Some(plan) = self.aggregate(aggregate)? else {
                    return Ok(None);
                };
                let number_of = |place: &usize| {
                    let (qualifier, field) = aggregate.schema.qualified_field(*place);
                    let column = Column::new(qualifier.cloned(), number_name(field.name()));
                    plan.schema()
                        .has_column(&column)
                        .then_some((*place, column))
                };
                let numbers = wanted.iter().filter_map(number_of).collect();
                Ok(Some(Numbered { plan, numbers }))
            }
            _ => Ok(None),
        }
    }

    fn scan(
        &self,
        plan: &LogicalPlan,
        wanted: &BTreeSet<usize>,
    ) -> DataFusionResult<Option<Numbered>> {
        let schema = plan.schema();
        let mut exprs = columns(schema);
        let mut numbers = BTreeMap::new();
        for &place in wanted {
            let (qualifier, field) = schema.qualified_field(place);
            if is_recurring(field.name()) {
                let name = number_name(field.name());
                let number = self.number_of(exprs[place].clone());
                exprs.push(number.alias_qualified(qualifier.cloned(), name.as_str()));
                numbers.insert(place, Column::new(qualifier.cloned(), name));
            }
        }
        if numbers.is_empty() {
            return Ok(None);
        }
        let projection = Projection::try_new(exprs, Arc::new(plan.clone()))?;
        Ok(Some(Numbered {
            plan: LogicalPlan::Projection(projection),
            numbers,
        }))
    }

    fn projection(
        &self,
        projection: &Projection,
        wanted: &BTreeSet<usize>,
    ) -> DataFusionResult<Option<Numbered>> {
        let below = projection.input.schema();
        let mut needed = BTreeSet::new();
        add_texts(
            wanted.iter().map(|place| &projection.expr[*place]),
            below,
            &mut needed,
        );
        let Some(inner) = self.numbered(&projection.input, &needed)? else {
            return Ok(None);
        };
        let mut exprs = projection.expr.clone();
        let mut numbers = BTreeMap::new();
        for &place in wanted {
            let (qualifier, field) = projection.schema.qualified_field(place);
            if let Some(number) = self.as_number(&projection.expr[place], below, &inner)? {
                let name = number_name(field.name());
                exprs.push(number.alias_qualified(qualifier.cloned(), name.as_str()));
                numbers.insert(place, Column::new(qualifier.cloned(), name));
            }
        }
        if numbers.is_empty() {
            return Ok(None);
        }
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, inner.plan.into())?);
        Ok(Some(Numbered { plan, numbers }))
    }

    /// The groups by numbers: its columns as they were, then the numbers of those that were grouped by numbers.
    fn aggregate(&self, aggregate: &Aggregate) -> DataFusionResult<Option<LogicalPlan>> {
        let is_set = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
        if aggregate.group_expr.iter().any(is_set) {
            return Ok(None);
        }
        let below = aggregate.input.schema();
        let mut needed = BTreeSet::new();
        let counted = aggregate.aggr_expr.iter().filter(|expr| is_count(expr));
        add_texts(
            aggregate.group_expr.iter().chain(counted),
            below,
            &mut needed,
        );
        let Some(inner) = self.numbered(&aggregate.input, &needed)? else {
            return Ok(None);
        };
        let mut is_numbered = vec![false; aggregate.schema.fields().len()];
        let mut is_better = false;
        let mut groups = Vec::with_capacity(aggregate.group_expr.len());
        for (place, expr) in aggregate.group_expr.iter().enumerate() {
            let number = match is_text(expr, below) {
                true => self.as_number(expr, below, &inner)?,
                false => None,
            };
            // Two groups that differ in their name alone.
            let number = number.filter(|number| !groups.contains(number));
            is_numbered[place] = number.is_some();
            groups.push(match number {
                Some(number) => number,
                None => self.conditions(expr.clone(), below, &inner)?,
            });
        }
        let mut aggregates = Vec::with_capacity(aggregate.aggr_expr.len());
        for expr in &aggregate.aggr_expr {
            let counted = self.count(expr, below, &inner)?;
            is_better |= counted.is_some();
            aggregates.push(match counted {
                Some(counted) => counted,
                None => self.conditions(expr.clone(), below, &inner)?,
            });
        }
        if !is_better && !is_numbered.contains(&true) {
            return Ok(None);
        }
        let grouped = Aggregate::try_new(inner.plan.into(), groups, aggregates)?;
        let (mut exprs, mut numbers) = (vec![], vec![]);
        for (place, (qualifier, field)) in aggregate.schema.iter().enumerate() {
            let found = Expr::Column(Column::from(grouped.schema.qualified_field(place)));
            let shown = match is_numbered[place] {
                true => {
                    let name = number_name(field.name());
                    let number = found.clone();
                    numbers.push(number.alias_qualified(qualifier.cloned(), name));
                    self.text_of(found)
                }
                false => found,
            };
            exprs.push(shown.alias_qualified(qualifier.cloned(), field.name()));
        }
        exprs.extend(numbers);
        let grouped = LogicalPlan::Aggregate(grouped);
        let shown = Projection::try_new(exprs, grouped.into())?;
        Ok(Some(LogicalPlan::Projection(shown)))
    }

    /// A count of texts as a count of numbers.
    fn count(
        &self,
        expr: &Expr,
        schema: &DFSchema,
        inner: &Numbered,
    ) -> DataFusionResult<Option<Expr>> {
        if !is_count(expr) {
            return Ok(None);
        }
        let mut expr = expr.clone();
        let function = match &mut expr {
            Expr::AggregateFunction(function) => function,
            Expr::Alias(alias) => match alias.expr.as_mut() {
                Expr::AggregateFunction(function) => function,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let Some(number) = self.as_number(&function.params.args[0], schema, inner)? else {
            return Ok(None);
        };
        function.params.args = vec![number];
        Ok(Some(expr))
    }

    /// An expression of a text as one of its number; `None` where the text itself is needed.
    fn as_number(
        &self,
        expr: &Expr,
        schema: &DFSchema,
        inner: &Numbered,
    ) -> DataFusionResult<Option<Expr>> {
        let each = |exprs: Vec<&Expr>| -> DataFusionResult<Option<Vec<Expr>>> {
            let numbers = exprs
                .into_iter()
                .map(|expr| self.as_number(expr, schema, inner));
            numbers.collect()
        };
        Ok(match expr {
            Expr::Column(column) => schema
                .maybe_index_of_column(column)
                .and_then(|place| inner.numbers.get(&place))
                .map(|number| Expr::Column(number.clone())),
            Expr::Alias(alias) => self.as_number(&alias.expr, schema, inner)?,
            Expr::Literal(ScalarValue::Utf8(text), _) => {
                let number = text.as_deref().map(|text| self.texts.number(text));
                Some(lit(ScalarValue::UInt32(number.transpose()?)))
            }
            Expr::ScalarFunction(call) if call.name() == "coalesce" => {
                each(call.args.iter().collect())?.map(|numbers| self.first_of(numbers))
            }
            Expr::Case(case) if case.expr.is_none() => {
                if let Some(texts) = as_coalesce(case) {
                    return Ok(each(texts)?.map(|numbers| self.first_of(numbers)));
                }
                let branches = &case.when_then_expr;
                let thens = branches.iter().map(|(_, then)| then.as_ref()).collect();
                let (Some(thens), Some(mut last)) = (
                    each(thens)?,
                    each(case.else_expr.iter().map(AsRef::as_ref).collect())?,
                ) else {
                    return Ok(None);
                };
                let branches = branches.iter().zip(thens).map(|((when, _), then)| {
                    let when = self.conditions(when.as_ref().clone(), schema, inner)?;
                    Ok((Box::new(when), Box::new(then)))
                });
                let branches = branches.collect::<DataFusionResult<_>>()?;
                let last = last.pop().map(Box::new);
                Some(Expr::Case(Case::new(None, branches, last)))
            }
            _ => None,
        })
    }

    /// An expression with comparisons of numbers for comparisons of texts, and days without a cast.
    fn conditions(
        &self,
        expr: Expr,
        schema: &DFSchema,
        inner: &Numbered,
    ) -> DataFusionResult<Expr> {
        let number = |expr: &Expr| -> DataFusionResult<Option<Expr>> {
            match is_text(expr, schema) {
                true => self.as_number(expr, schema, inner),
                false => Ok(None),
            }
        };
        let replaced = expr.transform_down(|expr| {
            let compared = match &expr {
                Expr::Cast(cast) if is_day(cast, schema) => {
                    Some(self.day_of(cast.expr.as_ref().clone()))
                }
                Expr::IsNull(text) => number(text)?.map(Expr::is_null),
                Expr::IsNotNull(text) => number(text)?.map(Expr::is_not_null),
                Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_equality(*op) => {
                    let sides = (number(left)?, number(right)?);
                    match sides {
                        (Some(left), Some(right)) => Some(Expr::BinaryExpr(BinaryExpr::new(
                            Box::new(left),
                            *op,
                            Box::new(right),
                        ))),
                        _ => None,
                    }
                }
                _ => None,
            };
            Ok(match compared {
                Some(compared) => Transformed::new(compared, true, TreeNodeRecursion::Jump),
                None => Transformed::no(expr),
            })
        })?;
        Ok(replaced.data)
    }
}

/// Whether a plan is a scan of a trail's table files, filtered or not.
fn is_scan(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Filter(filter) => is_scan(&filter.input),
        LogicalPlan::TableScan(scan) => source_as_provider(&scan.source)
            .is_ok_and(|provider| as_trail_table(&provider).is_some()),
        _ => false,
    }
}

/// Whether an expression counts rows, or different ones, by one value.
fn is_count(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_count(&alias.expr),
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            func.name() == "count"
                && params.args.len() == 1
                && params.filter.is_none()
                && params.order_by.is_empty()
        }
        _ => false,
    }
}

/// What `coalesce` became when the plan was simplified.
fn as_coalesce(case: &Case) -> Option<Vec<&Expr>> {
    let mut texts = Vec::with_capacity(case.when_then_expr.len() + 1);
    for (when, then) in &case.when_then_expr {
        match when.as_ref() {
            Expr::IsNotNull(text) if text == then => texts.push(then.as_ref()),
            _ => return None,
        }
    }
    texts.extend(case.else_expr.as_deref());
    Some(texts)
}

/// Whether a cast makes a day of an instant in UTC.
fn is_day(cast: &Cast, schema: &DFSchema) -> bool {
    let is_utc = |from| match from {
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => zone.as_ref() == "UTC",
        _ => false,
    };
    *cast.field.data_type() == DataType::Date32 && cast.expr.get_type(schema).is_ok_and(is_utc)
}

fn is_equality(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom
    )
}
