//! `kennel export`: from questions to a bundle.
//!
//! [`chosen`] says what is asked, [`state`] of which state, [`baseline`] what that is compared with. Each question runs
//! once; its rows pass [`shaping`] and [`compare`] into all files at the same time ([`passing`], [`sinks`]), on as many
//! threads as there are cores ([`together`]). [`staging`] hashes files while they are written, [`folder`] makes the
//! bundle appear whole, [`manifest`] is its table of contents, [`check`] proves it.

mod baseline;
pub(crate) mod check;
mod chosen;
mod compare;
mod folder;
mod keys;
pub(crate) mod manifest;
mod ocsf;
mod passing;
mod run;
mod shaping;
mod sinks;
mod staging;
mod state;
mod summary;
mod telling;
mod together;
mod trend;
mod twins;

pub(crate) use chosen::Chosen;
pub(crate) use folder::{OutFolder, private_folder, read_manifest, sha256};
pub(crate) use run::{Made, Order, make, rows_sha256};
pub(crate) use shaping::Shaping;
pub(crate) use sinks::{ExportFormat, PAGE};
pub(crate) use state::{State, described};
