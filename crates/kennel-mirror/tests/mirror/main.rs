//! The mirror against an S3 server that breaks on cue.
//!
//! The rows of "how peers behave when things go wrong" are here: what is listed or sent wrongly is never
//! believed, wrong or short bytes are never published, no key leaves the cache.

mod contract;
mod downloads;
mod home;
mod listings;
mod requests;
mod trails;
