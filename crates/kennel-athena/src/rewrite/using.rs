//! `b.k` where `k` is a column of `a JOIN b USING (k)`: there is one `k` only, and it is not of that side.
//!
//! Athena refuses it. Where the column of the right side is the common one in each row, it is taken for it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Join, JoinConstraint, JoinOperator, ObjectName, Query, SetExpr, TableFactor, VisitMut,
    VisitorMut,
};

/// Takes the relation off such columns, in the clauses of a select and in what follows it.
pub(super) fn unqualify(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    let mut common = Common {
        columns: vec![],
        depth: 0,
    };
    for item in &mut select.from {
        for join in &mut item.joins {
            if !common.columns.is_empty() {
                let _ = VisitMut::visit(&mut join.join_operator, &mut common);
            }
            let (Some(right), Some(names)) = (name(&join.relation), common_columns(join)) else {
                continue;
            };
            let columns = names.iter().filter_map(|name| name.0.last()?.as_ident());
            let columns = columns.map(|column| (right.clone(), column.value.to_lowercase()));
            common.columns.extend(columns);
        }
    }
    if common.columns.is_empty() {
        return;
    }
    let _ = VisitMut::visit(&mut select.projection, &mut common);
    let _ = VisitMut::visit(&mut select.selection, &mut common);
    let _ = VisitMut::visit(&mut select.group_by, &mut common);
    let _ = VisitMut::visit(&mut select.having, &mut common);
    let _ = VisitMut::visit(&mut query.order_by, &mut common);
}

/// The columns of a join that are those of its right side in each row.
fn common_columns(join: &Join) -> Option<&[ObjectName]> {
    match &join.join_operator {
        JoinOperator::Join(JoinConstraint::Using(names))
        | JoinOperator::Inner(JoinConstraint::Using(names))
        | JoinOperator::Right(JoinConstraint::Using(names))
        | JoinOperator::RightOuter(JoinConstraint::Using(names)) => Some(names),
        _ => None,
    }
}

/// What a relation is called.
fn name(factor: &TableFactor) -> Option<String> {
    let name = match factor {
        TableFactor::Table {
            alias: Some(alias), ..
        }
        | TableFactor::Derived {
            alias: Some(alias), ..
        } => &alias.name,
        TableFactor::Table { name, .. } => name.0.last()?.as_ident()?,
        _ => return None,
    };
    Some(name.value.to_lowercase())
}

struct Common {
    /// Relations and their columns.
    columns: Vec<(String, String)>,
    /// Number of subqueries around what is visited: those have relations of their own.
    depth: usize,
}

impl VisitorMut for Common {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let Expr::CompoundIdentifier(parts) = expr else {
            return ControlFlow::Continue(());
        };
        let [relation, column, fields @ ..] = parts.as_slice() else {
            return ControlFlow::Continue(());
        };
        let named = (relation.value.to_lowercase(), column.value.to_lowercase());
        if self.columns.contains(&named) {
            *expr = match fields {
                [] => Expr::Identifier(column.clone()),
                _ => Expr::CompoundIdentifier(parts[1..].to_vec()),
            };
        }
        ControlFlow::Continue(())
    }
}
