//! Subqueries over one `UNNEST` of an outer column, as functions of that array.
//!
//! DataFusion plans such subqueries and cannot execute them. `(SELECT count(*) FROM UNNEST(a) AS t(x)
//! WHERE p)` becomes `cardinality(filter(a, x -> p))`; `y IN (SELECT x FROM UNNEST(a) AS t(x))` becomes
//! `contains(a, y)`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr,
    Subscript, TableFactor, TableWithJoins, UnaryOperator, Value, visit_expressions,
    visit_expressions_mut,
};

use super::build::{call, case, lambda, lambdas, null, number, plain_args, plain_cast};

/// The one array of a subquery, and what its alias calls the elements.
pub(super) struct Unnested {
    array: Expr,
    relation: Ident,
    columns: Vec<Ident>,
}

impl Unnested {
    /// The array and the alias of a select that reads one `UNNEST` and nothing else.
    pub(super) fn of(select: &Select) -> Option<Self> {
        let [TableWithJoins { relation, joins }] = select.from.as_slice() else {
            return None;
        };
        let TableFactor::UNNEST {
            alias: Some(alias),
            array_exprs,
            with_ordinality: false,
            ..
        } = relation
        else {
            return None;
        };
        let [array] = array_exprs.as_slice() else {
            return None;
        };
        let columns: Vec<_> = alias
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect();
        (joins.is_empty() && !columns.is_empty()).then(|| Self {
            array: array.clone(),
            relation: alias.name.clone(),
            columns,
        })
    }

    /// Does the array come from outside? It can name no column of its own select.
    pub(super) fn is_correlated(&self) -> bool {
        let found = visit_expressions(&self.array, |expr| match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        found.is_break()
    }

    fn parameter(&self) -> Ident {
        match self.columns.as_slice() {
            [column] => column.clone(),
            _ => Ident::new("__entry"),
        }
    }

    /// The array, or the entries of the map.
    pub(super) fn elements(&self) -> Expr {
        match self.columns.as_slice() {
            [_] => self.array.clone(),
            _ => call("__entries", vec![self.array.clone()]),
        }
    }

    /// `x -> expr`, with the columns of the alias in the words of the parameter.
    pub(super) fn lambda(&self, mut expr: Expr) -> Expr {
        let _ = visit_expressions_mut(&mut expr, |expr| {
            self.unqualify(expr);
            ControlFlow::<()>::Continue(())
        });
        lambda(self.parameter(), expr)
    }

    fn unqualify(&self, expr: &mut Expr) {
        let same = |a: &Ident, b: &Ident| a.value.eq_ignore_ascii_case(&b.value);
        let parts = match expr {
            Expr::Identifier(ident) => std::slice::from_ref(ident),
            Expr::CompoundIdentifier(parts) => parts.as_slice(),
            _ => return,
        };
        let parts = match parts {
            [first, rest @ ..] if !rest.is_empty() && same(first, &self.relation) => rest,
            parts => parts,
        };
        let [column, fields @ ..] = parts else { return };
        let Some(place) = self.columns.iter().position(|known| same(known, column)) else {
            return;
        };
        let fields = fields.iter().cloned();
        if self.columns.len() == 1 {
            let path: Vec<_> = std::iter::once(column.clone()).chain(fields).collect();
            *expr = match path.as_slice() {
                [only] => Expr::Identifier(only.clone()),
                _ => Expr::CompoundIdentifier(path),
            };
            return;
        }
        let index = number(&(place + 1).to_string());
        let first = AccessExpr::Subscript(Subscript::Index { index });
        let fields = fields.map(|field| AccessExpr::Dot(Expr::Identifier(field)));
        *expr = Expr::CompoundFieldAccess {
            root: Box::new(Expr::Identifier(self.parameter())),
            access_chain: std::iter::once(first).chain(fields).collect(),
        };
    }

    /// The elements that the condition keeps.
    pub(super) fn kept(&self, condition: Option<&Expr>) -> Expr {
        match condition {
            None => self.elements(),
            Some(condition) => {
                let test = self.lambda(condition.clone());
                call("filter", vec![self.elements(), test])
            }
        }
    }
}

/// The select of a subquery that has nothing but items, one `UNNEST` and a condition; and its limit.
pub(super) fn plain(query: &Query) -> Option<&Select> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let is_plain = query.with.is_none()
        && query.limit_clause.is_none()
        && query.order_by.is_none()
        && query.fetch.is_none()
        && select.having.is_none()
        && select.distinct.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    is_plain.then_some(select.as_ref())
}

fn only_item(select: &Select) -> Option<&Expr> {
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => Some(expr),
        _ => None,
    }
}

/// `EXISTS`, `IN` and scalar subqueries.
pub(super) fn rewrite(expr: &mut Expr) {
    let rewritten = match expr {
        Expr::Exists { subquery, negated } => exists(subquery, *negated),
        Expr::InSubquery {
            expr: wanted,
            subquery,
            negated,
        } => is_in(wanted, subquery, *negated),
        Expr::Subquery(query) => scalar(query),
        _ => None,
    };
    if let Some(rewritten) = rewritten {
        *expr = rewritten;
    }
}

fn not_if(negated: bool, expr: Expr) -> Expr {
    if !negated {
        return expr;
    }
    Expr::UnaryOp {
        op: UnaryOperator::Not,
        expr: Box::new(expr),
    }
}

pub(super) fn exists(query: &Query, negated: bool) -> Option<Expr> {
    let select = plain(query)?;
    // A select of aggregates has a row even where its source has none.
    if select.projection.iter().any(|item| {
        matches!(
            item,
            SelectItem::UnnamedExpr(Expr::Function(_))
                | SelectItem::ExprWithAlias {
                    expr: Expr::Function(_),
                    ..
                }
        )
    }) {
        return None;
    }
    let unnested = Unnested::of(select)?;
    let test = match &select.selection {
        None => Expr::BinaryOp {
            left: Box::new(call("cardinality", vec![unnested.array.clone()])),
            op: BinaryOperator::Gt,
            right: Box::new(number("0")),
        },
        Some(condition) => {
            let test = unnested.lambda(condition.clone());
            call("any_match", vec![unnested.elements(), test])
        }
    };
    let no = Expr::value(Value::Boolean(false));
    Some(not_if(negated, call("coalesce", vec![test, no])))
}

fn is_in(wanted: &Expr, query: &Query, negated: bool) -> Option<Expr> {
    let select = plain(query)?;
    let unnested = Unnested::of(select).filter(Unnested::is_correlated)?;
    let item = unnested.lambda(only_item(select)?.clone());
    let kept = unnested.kept(select.selection.as_ref());
    let values = call("transform", vec![kept, item]);
    // In no array is nothing.
    let none = call("__array", vec![]);
    let values = call("coalesce", vec![values, none]);
    Some(not_if(
        negated,
        call("contains", vec![values, wanted.clone()]),
    ))
}

fn scalar(query: &Query) -> Option<Expr> {
    if let Some(aggregate) = scalar_aggregate(query) {
        return Some(aggregate);
    }
    let select = plain(query)?;
    if select.from.is_empty() {
        let item = only_item(select)
            .filter(|item| !has_aggregate(item))?
            .clone();
        return Some(match &select.selection {
            None => Expr::Nested(Box::new(item)),
            Some(condition) => case(condition.clone(), item, None),
        });
    }
    let unnested = Unnested::of(select).filter(Unnested::is_correlated)?;
    let item = only_item(select)?.clone();
    if has_aggregate(&item) {
        return None;
    }
    let kept = unnested.kept(select.selection.as_ref());
    let values = call("transform", vec![kept, unnested.lambda(item)]);
    Some(call("__single", vec![values]))
}

/// Does an item of a select list call an aggregate?
pub(super) fn has_aggregate(item: &Expr) -> bool {
    let found = visit_expressions(item, |expr| match expr {
        Expr::Function(function) if aggregate_name(function).is_some() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// A subquery of one item of aggregates, which has one row always.
pub(super) fn scalar_aggregate(query: &Query) -> Option<Expr> {
    let select = plain(query)?;
    let unnested = Unnested::of(select).filter(Unnested::is_correlated)?;
    let kept = unnested.kept(select.selection.as_ref());
    let mut item = only_item(select)?.clone();
    let (mut aggregates, mut unknown) = (0, false);
    let _ = visit_expressions_mut(&mut item, |expr| {
        if let Expr::Function(function) = expr
            && let Some(name) = aggregate_name(function)
        {
            aggregates += 1;
            match aggregate(&unnested, &kept, function, &name) {
                Some(formula) => *expr = formula,
                None => unknown = true,
            }
        }
        ControlFlow::<()>::Continue(())
    });
    (aggregates > 0 && !unknown).then_some(item)
}

/// Aggregates whose calls are no items of a row.
const AGGREGATES: [&str; 22] = [
    "approx_distinct",
    "approx_percentile",
    "histogram",
    "listagg",
    "map_agg",
    "max_by",
    "min_by",
    "multimap_agg",
    "stddev",
    "variance",
    "any_value",
    "arbitrary",
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "count_if",
    "every",
    "max",
    "min",
    "sum",
];

fn aggregate_name(function: &Function) -> Option<String> {
    let [part] = function.name.0.as_slice() else {
        return None;
    };
    let name = part.as_ident()?.value.to_lowercase();
    AGGREGATES.contains(&name.as_str()).then_some(name)
}

/// An aggregate over the elements as a function of their array.
fn aggregate(unnested: &Unnested, kept: &Expr, function: &Function, name: &str) -> Option<Expr> {
    if function.filter.is_some() || function.over.is_some() || !function.within_group.is_empty() {
        return None;
    }
    let zero = |count: Expr| call("coalesce", vec![count, number("0")]);
    if let FunctionArguments::List(list) = &function.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] = list.args.as_slice()
    {
        return (name == "count").then(|| zero(call("cardinality", vec![kept.clone()])));
    }
    let args = plain_args(function)?;
    let [value] = args.as_slice() else {
        return None;
    };
    let value = (*value).clone();
    let all = call(
        "transform",
        vec![kept.clone(), unnested.lambda(value.clone())],
    );
    let parameter = Ident::new("__value");
    let is_there = Expr::IsNotNull(Box::new(Expr::Identifier(parameter.clone())));
    let known = call("filter", vec![all.clone(), lambda(parameter, is_there)]);
    let empty = |array: &Expr| Expr::BinaryOp {
        left: Box::new(call("cardinality", vec![array.clone()])),
        op: BinaryOperator::Eq,
        right: Box::new(number("0")),
    };
    let decided = |name: &str, known: Expr| {
        let parameter = Ident::new("__value");
        let itself = lambda(parameter.clone(), Expr::Identifier(parameter));
        case(empty(&known), null(), Some(call(name, vec![known, itself])))
    };
    Some(match name {
        "count" => zero(call("cardinality", vec![known])),
        "count_if" => {
            let true_ones = call("filter", vec![kept.clone(), unnested.lambda(value)]);
            zero(call("cardinality", vec![true_ones]))
        }
        "max" => call("array_max", vec![known]),
        "min" => call("array_min", vec![known]),
        "any_value" | "arbitrary" => call("element_at", vec![known, number("1")]),
        "sum" => sum(known),
        "avg" => Expr::BinaryOp {
            left: Box::new(plain_cast(
                sum(known.clone()),
                DataType::Double(ExactNumberInfo::None),
            )),
            op: BinaryOperator::Divide,
            right: Box::new(call("cardinality", vec![known])),
        },
        "array_agg" => case(empty(&all), null(), Some(all)),
        "bool_or" => decided("any_match", known),
        "bool_and" | "every" => decided("all_match", known),
        _ => return None,
    })
}

/// The sum of an array without nulls; null where it is empty.
fn sum(known: Expr) -> Expr {
    let (state, value) = (Ident::new("__sum"), Ident::new("__value"));
    let added = Expr::BinaryOp {
        left: Box::new(Expr::Identifier(state.clone())),
        op: BinaryOperator::Plus,
        right: Box::new(Expr::Identifier(value.clone())),
    };
    let is_first = Expr::IsNull(Box::new(Expr::Identifier(state.clone())));
    let next = case(is_first, Expr::Identifier(value.clone()), Some(added));
    let step = lambdas(vec![state.clone(), value], next);
    let same = lambda(state.clone(), Expr::Identifier(state));
    call("reduce", vec![known, null(), step, same])
}
