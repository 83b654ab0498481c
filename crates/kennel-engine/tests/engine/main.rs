//! The engine over caches filled with the test kit's reports.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

mod completeness;
mod drift;
mod guide;
mod home;
mod questions;
mod statements;
