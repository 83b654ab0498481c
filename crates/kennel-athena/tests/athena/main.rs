//! Runs `slt/*.slt`: one file, one session.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod events;
mod harness;
mod headings;
mod lambdas;
mod spans;
