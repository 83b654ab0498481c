//! What must be mended in a physical plan.

mod lambdas;
mod recursion;

pub(crate) use lambdas::LambdaParameters;
pub(crate) use recursion::RecursionDepth;
