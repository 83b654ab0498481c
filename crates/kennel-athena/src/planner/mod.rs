//! DataFusion's planning hooks: what needs the types of columns.

mod absent;
mod comparisons;
mod decorrelate;
mod expressions;
mod floats;
mod keys;
mod operators;
mod parts;
mod relations;
mod tried;
mod using;

pub(crate) use absent::AbsentRows;
pub(crate) use comparisons::Comparisons;
pub(crate) use decorrelate::Decorrelate;
pub(crate) use expressions::AthenaExpressions;
pub(crate) use keys::Keys;
pub(crate) use parts::PartwiseComparisons;
pub(crate) use relations::AthenaRelations;
pub(crate) use tried::TriedColumns;
