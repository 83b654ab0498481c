//! Benchmarks of kennel as whole, cold processes, beside its peers over the same data.
//!
//! A peer that is not installed is left out, and said. CPU time is the firm figure: wall time on a
//! shared machine is not. See `benches/README.md`.

mod diff;
mod export;
mod measure;
mod policy;
mod queries;
mod sync;
mod trail;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// What a benchmark returns.
type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Benchmarks of kennel, as whole processes.
#[derive(Parser)]
struct Cli {
    /// The kennel to measure.
    #[arg(long, default_value = "target/release/kennel")]
    kennel: PathBuf,
    /// Counted runs of each command, after one that is not counted.
    #[arg(short = 'n', long, default_value_t = 9)]
    runs: usize,
    /// Folder for data; kept and used again.
    #[arg(long, default_value = "target/bench-data")]
    data: PathBuf,
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Canned queries over 20 accounts and 750,000 report rows, with one snapshot and with many; beside duckdb.
    Queries {
        /// Nights kept in the larger cache.
        #[arg(long, default_value_t = 365)]
        nights: usize,
        /// duckdb's command line.
        #[arg(long, default_value = "duckdb")]
        duckdb: PathBuf,
    },
    /// What changed between two nights of 750,000 report rows.
    Diff,
    /// A night's report over 750,000 report rows.
    Export,
    /// Mirrors from an S3 server: 5,000 objects of 10 KB, 20 of 20 MB, and nothing changed; beside rclone and s5cmd.
    Sync {
        /// SeaweedFS: `weed`.
        #[arg(long, default_value = "weed")]
        weed: PathBuf,
        /// rclone.
        #[arg(long, default_value = "rclone")]
        rclone: PathBuf,
        /// s5cmd.
        #[arg(long, default_value = "s5cmd")]
        s5cmd: PathBuf,
    },
    /// CloudTrail: ingest, questions, pruning, and a sync that finds nothing new; beside duckdb.
    Trail {
        /// Sizes to ingest, in events; questions are asked of the largest.
        #[arg(long, value_delimiter = ',', default_value = "200000,2000000")]
        events: Vec<usize>,
        /// Days of 50 accounts in 17 regions, for pruning.
        #[arg(long, default_value_t = 365)]
        days: usize,
        /// Only these parts.
        #[arg(long, value_delimiter = ',')]
        only: Vec<trail::Part>,
        /// duckdb's command line.
        #[arg(long, default_value = "duckdb")]
        duckdb: PathBuf,
    },
    /// From usage to policy: what one principal out of many used, and a draft with its replay.
    Policy {
        /// Events in the cache.
        #[arg(long, default_value_t = 2_000_000)]
        events: usize,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Bench::Queries { duckdb, .. } | Bench::Trail { duckdb, .. } = &cli.bench {
        measure::note_launcher(duckdb);
    }
    let outcome = match &cli.bench {
        Bench::Queries { nights, duckdb } => queries::run(&cli, *nights, duckdb),
        Bench::Diff => diff::run(&cli),
        Bench::Export => export::run(&cli),
        Bench::Sync {
            weed,
            rclone,
            s5cmd,
        } => sync::run(&cli, weed, rclone, s5cmd),
        Bench::Trail {
            events,
            days,
            only,
            duckdb,
        } => trail::run(&cli, events, *days, only, duckdb),
        Bench::Policy { events } => policy::run(&cli, *events),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            measure::say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
