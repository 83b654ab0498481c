//! The whole program, from the outside: words, exit codes, standard output and standard error.
//! The logic is tested in its rooms; here it is the wiring.

mod asking;
mod config;
mod demo;
mod disk;
mod export;
mod export_proof;
mod history;
mod home;
mod house;
mod inputs;
mod kills;
mod outputs;
mod policy;
#[cfg(unix)]
mod pty;
mod redacting;
mod s3;
mod s3_credentials;
mod s3_faults;
mod s3_home;
#[cfg(unix)]
mod shell;
mod statements;
mod suppressing;
mod syncing;
#[cfg(unix)]
mod terminal;
mod trail;
mod trail_crash;
mod trail_faults;
mod trail_home;
mod trail_rebuild;
