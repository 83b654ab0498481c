//! DataFusion's planning hooks: what needs the types of columns.

mod expressions;
mod operators;
mod relations;
mod using;

pub(crate) use expressions::AthenaExpressions;
pub(crate) use relations::AthenaRelations;
