//! The drafting table: from CloudTrail events to IAM actions and resources, from those to a least-privilege policy, and
//! from any policy to what it allows. Pure: no I/O, no clock, no engine.

mod action;
mod call;
mod calls;
mod capability;
mod condition;
mod document;
mod draft;
mod fold;
mod formats;
mod names;
mod ordered;
mod passing;
pub mod pattern;
pub mod reference;
mod replay;
mod resources;
mod template;
mod usage;

pub use action::{Grant, Mapping, Outcome, Provenance, map, prefixes};
pub use call::{Call, NamedResource, named_resources, partition_of};
pub use capability::{Capability, CapabilityCall, capabilities, capability_calls, knows_service};
pub use condition::{Context, Truth};
pub use document::{Condition, Document, DocumentError, Effect, Selection, Statement, VERSION};
pub use draft::{Draft, DraftOptions, Form, Offer, ResourceLevel, companions, draft};
pub use fold::fold_names;
pub use formats::{Frame, Trust, cloudformation, terraform};
pub use replay::{Decision, Evaluator};
pub use resources::{Basis, Resource};
pub use template::{Place, Template};
pub use usage::{Finding, Observed, Replay, Status, Totals, Usage, UsageRow};
