//! DataFusion's planning hooks: what needs the types of columns.

mod comparisons;
mod decorrelate;
mod expressions;
mod floats;
mod operators;
mod relations;
mod using;

pub(crate) use comparisons::Comparisons;
pub(crate) use decorrelate::Decorrelate;
pub(crate) use expressions::AthenaExpressions;
pub(crate) use relations::AthenaRelations;
