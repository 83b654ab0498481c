//! Runs `slt/*.slt`: one file, one session.

mod events;
mod harness;
mod headings;
mod spans;
