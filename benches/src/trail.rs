//! CloudTrail: ingest, questions, pruning and a sync that finds nothing new, each beside duckdb where it can do the work.

mod data;
mod ingest;
mod known;
mod pruning;
mod queries;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Cli, Outcome};

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// `.json.gz` to Parquet.
    Ingest,
    /// Ten questions.
    Queries,
    /// One day of one account in a year of 50 accounts in 17 regions.
    Pruning,
    /// A sync with nothing new beside a million known objects.
    Known,
}

pub(crate) fn run(
    cli: &Cli,
    events: &[usize],
    days: usize,
    only: &[Part],
    duckdb: &Path,
) -> Outcome {
    std::fs::create_dir_all(&cli.data)?;
    let bench = Bench {
        cli,
        data: std::fs::canonicalize(&cli.data)?,
        duckdb,
    };
    let wants = |part| only.is_empty() || only.contains(&part);
    if wants(Part::Ingest) {
        events
            .iter()
            .try_for_each(|events| ingest::run(&bench, *events))?;
    }
    if wants(Part::Queries) {
        let largest = events.iter().max().ok_or("no sizes were named")?;
        queries::run(&bench, *largest)?;
    }
    if wants(Part::Pruning) {
        pruning::run(&bench, days)?;
    }
    if wants(Part::Known) {
        known::run(&bench)?;
    }
    Ok(())
}

/// What all parts need.
struct Bench<'b> {
    cli: &'b Cli,
    /// The folder of all data.
    data: PathBuf,
    duckdb: &'b Path,
}

impl Bench<'_> {
    /// kennel, with a home and the config file beside it.
    fn kennel(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.cli.kennel);
        command
            .arg("--home")
            .arg(home)
            .arg("--config")
            .arg(home.with_extension("toml"))
            .arg("-q");
        command
    }

    /// Writes the config file of a home: one trail.
    fn configure(&self, home: &Path, url: &str) -> std::io::Result<()> {
        let text =
            format!("[[source]]\nname = \"trail\"\nkind = \"cloudtrail\"\nurl = \"{url}\"\n");
        std::fs::write(home.with_extension("toml"), text)
    }

    fn duckdb(&self, sql: &str) -> Command {
        let mut command = Command::new(self.duckdb);
        command.args(["-csv", "-nullvalue", "", "-c", sql]);
        command
    }
}
