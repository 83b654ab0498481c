//! CloudTrail: from delivered objects to one sorted table.
//!
//! [`schema`] is what table files hold, [`decode`] reads an object's records, [`builders`] collects them as
//! record batches. Finding and fetching objects is the gate's work, keeping them the cellar's.

pub mod builders;
pub mod decode;
pub mod schema;
