//! CloudTrail: from delivered objects to sorted table files in which each event counts once.
//!
//! [`schema`] is what table files hold, [`decode`] reads an object's records, [`HeldRecords`] keeps them until they are
//! written in order to table files; [`compact`] merges table files and flags duplicates.
//! [`TrailIngester`] does it all for a sync, batch by batch. Finding and fetching objects is the gate's work, keeping
//! them the cellar's.

mod by_caller;
mod compact;
mod cursor;
pub mod decode;
mod encode;
mod error;
mod files;
mod held;
mod ingest;
mod key;
mod merge;
mod options;
mod plan;
pub mod schema;
#[cfg(test)]
mod tests;
mod words;

pub use compact::{CompactionOutcome, Settled, compact, settle};
pub use encode::SpareColumns;
pub use error::TrailFileError;
pub use files::NewTrailFile;
pub use held::HeldRecords;
pub use ingest::{Compacted, HeldBatch, Ingested, TrailIngester, compact_rebuilt, compact_trail};
pub use options::TrailWriteOptions;
pub use plan::{CompactionPlan, TrailTableFile, plan_compaction};
