//! Where the values of a result come from: for each column of a plan the columns of tables that reach it, whatever it
//! is called. Conditions do not count: `CASE WHEN name = 'x' THEN 'yes' END` holds no name.

use std::{any::Any, collections::BTreeSet};

use datafusion::{
    common::{
        Column, JoinType,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    datasource::{cte_worktable::CteWorkTable, source_as_provider},
    logical_expr::{Aggregate, Distinct, Expr, Join, LogicalPlan, utils::grouping_set_to_exprlist},
};

use crate::Reading;

/// Names of columns of tables, in lower case; of a field of a struct `column.field`.
pub type Origins = BTreeSet<String>;

impl Reading {
    /// For each column of the result, in its order, the columns of tables that its values are made from. Where a plan does
    /// not say, it is more than there are, never fewer; a literal comes from nowhere.
    pub fn origins(&self) -> Vec<Origins> {
        of_plan(self.logical())
    }
}

pub(crate) fn of_plan(plan: &LogicalPlan) -> Vec<Origins> {
    let width = plan.schema().fields().len();
    let found = match plan {
        LogicalPlan::Projection(node) => of_all(&node.expr, &node.input),
        LogicalPlan::TableScan(scan) => {
            // What is read of the steps before comes from the first one, too.
            let is_of_recursion = source_as_provider(&scan.source).is_ok_and(|provider| {
                let any: &dyn Any = provider.as_ref();
                any.is::<CteWorkTable>()
            });
            let names = plan.schema().fields().iter();
            names
                .map(|field| match is_of_recursion {
                    true => Origins::new(),
                    false => Origins::from([field.name().to_lowercase()]),
                })
                .collect()
        }
        LogicalPlan::Aggregate(node) => of_aggregate(node),
        LogicalPlan::Window(node) => {
            let mut found = of_plan(&node.input);
            found.extend(of_all(&node.window_expr, &node.input));
            found
        }
        LogicalPlan::Join(join) => of_join(join),
        LogicalPlan::Union(union) => {
            let inputs = union.inputs.iter().map(|input| of_plan(input));
            inputs.reduce(merged).unwrap_or_default()
        }
        LogicalPlan::RecursiveQuery(query) => {
            merged(of_plan(&query.static_term), of_plan(&query.recursive_term))
        }
        LogicalPlan::Distinct(Distinct::On(node)) => of_all(&node.select_expr, &node.input),
        LogicalPlan::Unnest(node) => {
            let input = of_plan(&node.input);
            let places = node.dependency_indices.iter();
            places
                .map(|place| input.get(*place).cloned().unwrap_or_default())
                .collect()
        }
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => vec![Origins::new(); width],
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => {
            let inputs = plan.inputs();
            inputs
                .first()
                .map(|input| of_plan(input))
                .unwrap_or_default()
        }
        _ => vec![],
    };
    if found.len() == width {
        return found;
    }
    // A node of another kind: anything may come from anywhere.
    let all = plan.inputs().into_iter().flat_map(of_plan).flatten();
    vec![all.collect(); width]
}

/// Column by column of two inputs.
fn merged(mut one: Vec<Origins>, other: Vec<Origins>) -> Vec<Origins> {
    for (origins, further) in one.iter_mut().zip(other) {
        origins.extend(further);
    }
    one
}

fn of_aggregate(node: &Aggregate) -> Vec<Origins> {
    let scope = Scope::of(&node.input);
    let groups = grouping_set_to_exprlist(&node.group_expr).unwrap_or_default();
    let mut found = groups
        .into_iter()
        .map(|expr| scope.of_expr(expr))
        .collect::<Vec<_>>();
    if matches!(node.group_expr.first(), Some(Expr::GroupingSet(_))) {
        // Its number.
        found.push(Origins::new());
    }
    found.extend(node.aggr_expr.iter().map(|expr| scope.of_expr(expr)));
    found
}

fn of_join(join: &Join) -> Vec<Origins> {
    let (left, right) = (|| of_plan(&join.left), || of_plan(&join.right));
    let with_mark = |mut found: Vec<Origins>| {
        found.push(Origins::new());
        found
    };
    match join.join_type {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            let mut found = left();
            found.extend(right());
            found
        }
        JoinType::LeftSemi | JoinType::LeftAnti => left(),
        JoinType::RightSemi | JoinType::RightAnti => right(),
        JoinType::LeftMark => with_mark(left()),
        JoinType::RightMark => with_mark(right()),
    }
}

fn of_all(exprs: &[Expr], input: &LogicalPlan) -> Vec<Origins> {
    let scope = Scope::of(input);
    exprs.iter().map(|expr| scope.of_expr(expr)).collect()
}

/// The columns that expressions over an input can name.
struct Scope<'a> {
    input: &'a LogicalPlan,
    origins: Vec<Origins>,
}

impl<'a> Scope<'a> {
    fn of(input: &'a LogicalPlan) -> Self {
        Self {
            input,
            origins: of_plan(input),
        }
    }

    fn of_column(&self, column: &Column) -> Origins {
        let place = self.input.schema().maybe_index_of_column(column);
        match place.and_then(|place| self.origins.get(place)) {
            Some(origins) => origins.clone(),
            // A column of a query around this one.
            None => Origins::from([column.name().to_lowercase()]),
        }
    }

    fn of_many<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> Origins {
        exprs
            .into_iter()
            .flat_map(|expr| self.of_expr(expr))
            .collect()
    }

    /// `record.field` comes from what the record comes from, and the field's name is added.
    fn of_field(&self, args: &[Expr]) -> Origins {
        let name = |arg: &Expr| match arg {
            Expr::Literal(literal, _) => literal.try_as_str().flatten().map(str::to_lowercase),
            _ => None,
        };
        let Some((record, path)) = args.split_first() else {
            return Origins::new();
        };
        match path.iter().map(name).collect::<Option<Vec<_>>>() {
            Some(path) => {
                let path = path.join(".");
                let origins = self.of_expr(record).into_iter();
                origins.map(|origin| format!("{origin}.{path}")).collect()
            }
            None => self.of_many(args),
        }
    }

    fn of_expr(&self, expr: &Expr) -> Origins {
        match expr {
            Expr::Column(column) | Expr::OuterReferenceColumn(_, column) => self.of_column(column),
            Expr::Case(case) => {
                let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
                self.of_many(results.chain(case.else_expr.as_deref()))
            }
            Expr::AggregateFunction(call) => self.of_many(&call.params.args),
            Expr::WindowFunction(call) => self.of_many(&call.params.args),
            Expr::ScalarSubquery(query) => of_plan(&query.subquery).into_iter().flatten().collect(),
            Expr::ScalarFunction(call) if call.name() == "get_field" => self.of_field(&call.args),
            other => {
                let mut found = Origins::new();
                let visited = other.apply_children(|child| {
                    found.extend(self.of_expr(child));
                    Ok(TreeNodeRecursion::Continue)
                });
                match visited {
                    Ok(_) => found,
                    Err(_) => self.origins.iter().flatten().cloned().collect(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::{
        arrow::{
            array::RecordBatch,
            datatypes::{DataType, Field, Schema},
        },
        prelude::SessionContext,
    };

    use super::*;

    async fn of_query(sql: &str) -> Vec<String> {
        let context = SessionContext::new();
        let person = vec![
            Field::new("type", DataType::Utf8, true),
            Field::new("arn", DataType::Utf8, true),
        ];
        let schema = Schema::new(vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("kind", DataType::Utf8, true),
            Field::new("is_admin", DataType::Boolean, true),
            Field::new("person", DataType::Struct(person.into()), true),
        ]);
        let batch = RecordBatch::new_empty(Arc::new(schema));
        context.register_batch("t", batch).unwrap();
        let frame = context.sql(sql).await.unwrap();
        let plan = frame.into_optimized_plan().unwrap();
        let origins = of_plan(&plan).into_iter();
        origins
            .map(|origins| origins.into_iter().collect::<Vec<_>>().join("+"))
            .collect()
    }

    #[tokio::test]
    async fn values_are_followed_to_the_columns_of_tables() {
        for (sql, expected) in [
            (
                "SELECT name AS kind, kind AS x, 'a' AS y FROM t",
                vec!["name", "kind", ""],
            ),
            (
                "SELECT name || kind AS x, upper(name) AS y FROM t",
                vec!["kind+name", "name"],
            ),
            (
                "SELECT CASE WHEN name = 'a' THEN kind ELSE 'b' END FROM t",
                vec!["kind"],
            ),
            (
                "SELECT kind, max(name), count(*) FROM t GROUP BY kind",
                vec!["kind", "name", ""],
            ),
            (
                "SELECT kind, count(*) FROM t GROUP BY ROLLUP (kind, is_admin)",
                vec!["kind", ""],
            ),
            (
                "SELECT first_value(kind ORDER BY name) FILTER (WHERE name = 'a') FROM t",
                vec!["kind"],
            ),
            (
                "SELECT kind, row_number() OVER (ORDER BY name), lag(name) OVER (ORDER BY kind) FROM t",
                vec!["kind", "", "name"],
            ),
            (
                "SELECT person['type'] AS a, person['arn'] AS b, person FROM t",
                vec!["person.type", "person.arn", "person"],
            ),
            (
                "SELECT r['x'] FROM (SELECT named_struct('x', name, 'y', kind) AS r FROM t)",
                vec!["name"],
            ),
            (
                "SELECT a.name, b.kind FROM t a JOIN t b ON a.kind = b.kind",
                vec!["name", "kind"],
            ),
            (
                "SELECT kind FROM t WHERE EXISTS (SELECT 1 FROM t u WHERE u.name = t.name)",
                vec!["kind"],
            ),
            (
                "SELECT (SELECT max(name) FROM t) AS one, kind FROM t",
                vec!["name", "kind"],
            ),
            (
                "SELECT name FROM t UNION SELECT kind FROM t",
                vec!["kind+name"],
            ),
            (
                "SELECT DISTINCT kind FROM t ORDER BY kind LIMIT 3",
                vec!["kind"],
            ),
            (
                "SELECT unnest(make_array(name, kind)) AS x, is_admin FROM t",
                vec!["kind+name", "is_admin"],
            ),
            (
                "WITH RECURSIVE r(n, i) AS (SELECT name, 1 FROM t UNION ALL SELECT n, i + 1 FROM r WHERE i < 3) SELECT n, i FROM r",
                vec!["name", ""],
            ),
            ("VALUES ('a', 1)", vec!["", ""]),
        ] {
            let found = of_query(sql).await;
            let found = found.iter().map(String::as_str).collect::<Vec<_>>();
            // More than there are is allowed of none of these.
            let sorted = |list: Vec<&str>| {
                let sets = list.iter().map(|text| {
                    let mut names = text.split('+').collect::<Vec<_>>();
                    names.sort_unstable();
                    names.join("+")
                });
                sets.collect::<Vec<_>>()
            };
            assert_eq!(sorted(found), sorted(expected), "{sql}");
        }
    }
}
