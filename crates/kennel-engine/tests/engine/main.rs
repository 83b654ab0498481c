//! The engine over caches filled with the test kit's reports and trails.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

mod completeness;
mod ddl;
mod drift;
mod guide;
mod history;
mod home;
mod questions;
mod shell;
mod slt;
mod statements;
mod trail_coverage;
mod trail_home;
mod trail_numbers;
mod trail_pruning;
mod trail_questions;
mod trail_tables;
