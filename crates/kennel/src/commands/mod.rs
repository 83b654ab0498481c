//! One file per subcommand: its arguments, then `run`. What several share is [`questions`].

pub(crate) mod cat;
pub(crate) mod completions;
pub(crate) mod ddl;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod export;
pub(crate) mod init;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod policy;
pub(crate) mod prune;
pub(crate) mod questions;
pub(crate) mod run;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod unload;
pub(crate) mod verify;
