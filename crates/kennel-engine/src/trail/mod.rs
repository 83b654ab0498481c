//! CloudTrail: from delivered objects to sorted table files in which each event counts once.
//!
//! [`schema`] is what table files hold, [`decode`] reads an object's records, [`builders`] collects them as
//! record batches; [`write_sorted`] makes table files of those, and [`compact`] merges table files and flags duplicates.
//! [`TrailIngester`] does it all for a sync, batch by batch. Finding and fetching objects is the gate's work, keeping
//! them the cellar's.

pub mod builders;
mod compact;
mod cursor;
pub mod decode;
mod error;
mod files;
mod ingest;
mod key;
mod merge;
mod options;
mod plan;
pub mod schema;
#[cfg(test)]
mod tests;

pub use compact::{CompactionOutcome, Settled, compact, settle};
pub use error::TrailFileError;
pub use files::{NewTrailFile, write_sorted};
pub use ingest::{Compacted, Ingested, TrailIngester, compact_rebuilt, compact_trail};
pub use options::TrailWriteOptions;
pub use plan::{CompactionPlan, TrailTableFile, plan_compaction};
