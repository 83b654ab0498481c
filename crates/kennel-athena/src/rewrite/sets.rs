//! `EXCEPT ALL` and `INTERSECT ALL`: equal rows are numbered, so that each counts for itself.

use datafusion::sql::sqlparser::ast::{Query, SetExpr, SetOperator, SetQuantifier, TableFactor};

use super::selects::{empty_values, fill, plain_query, template};
use crate::ParseError;

/// The alias of a side whose rows get numbers from the planner, which knows the columns; and the name of these
/// numbers.
pub(crate) const NUMBERED: &str = "__numbered";
pub(crate) const NUMBER: &str = "__number";

/// Rewrites the set operations of a query, but not those of the queries inside it.
pub(super) fn rewrite(query: &mut Query) -> Result<(), ParseError> {
    operation(query.body.as_mut())
}

fn operation(body: &mut SetExpr) -> Result<(), ParseError> {
    let SetExpr::SetOperation {
        op,
        set_quantifier: quantifier,
        left,
        right,
    } = body
    else {
        return Ok(());
    };
    operation(left)?;
    operation(right)?;
    let counts = *quantifier == SetQuantifier::All
        && matches!(op, SetOperator::Except | SetOperator::Intersect);
    if !counts {
        return Ok(());
    }
    *quantifier = SetQuantifier::Distinct;
    for side in [left, right] {
        let mut numbered = template(&format!("SELECT * FROM (SELECT 1) AS {NUMBERED}"))?;
        let inner = std::mem::replace(side.as_mut(), SetExpr::Values(empty_values()));
        fill(&mut numbered, plain_query(inner));
        **side = *numbered.body;
    }
    let mut outer = template(&format!(
        "SELECT * EXCEPT ({NUMBER}) FROM (SELECT 1) AS __all"
    ))?;
    let inner = std::mem::replace(body, SetExpr::Values(empty_values()));
    fill(&mut outer, plain_query(inner));
    *body = *outer.body;
    Ok(())
}

/// Is this a side whose rows are to be numbered?
pub(crate) fn is_numbered(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::Derived { alias: Some(alias), .. } if alias.name.value == NUMBERED)
}
