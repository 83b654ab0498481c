//! One file per subcommand: its arguments, then `run`. What several share is [`questions`].

pub(crate) mod cat;
pub(crate) mod demo;
pub(crate) mod init;
pub(crate) mod list;
pub(crate) mod policy;
pub(crate) mod prune;
mod questions;
pub(crate) mod run;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod verify;
