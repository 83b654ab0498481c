//! The engine over caches filled with the test kit's reports.

mod completeness;
mod drift;
mod guide;
mod home;
mod questions;
mod statements;
