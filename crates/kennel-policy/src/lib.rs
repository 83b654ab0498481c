//! The drafting table: from CloudTrail events to IAM actions and resources, from those to a least-privilege policy, and
//! from any policy to what it allows. Pure: no I/O, no clock, no engine.

mod action;
mod call;
mod calls;
mod condition;
mod document;
mod names;
pub mod pattern;
pub mod reference;
mod replay;
mod resources;
mod template;

pub use action::{Grant, Mapping, Outcome, Provenance, map, prefixes};
pub use call::{Call, NamedResource, named_resources, partition_of};
pub use condition::{Context, Truth};
pub use document::{Condition, Document, DocumentError, Effect, Selection, Statement, VERSION};
pub use replay::{Decision, Evaluator};
pub use resources::{Basis, Resource};
pub use template::{Place, Template};
