//! The interpreter's desk: Athena's SQL for DataFusion sessions.
//!
//! [`statement`] takes a script apart into statements, tells questions from DDL, and reads Athena's
//! DDL, which is Hive's and which DataFusion does not know. The crate knows nothing of files, of
//! networks or of what a table holds: what becomes of a statement is the caller's decision.

pub mod statement;
