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
    let bench = Bench::of(cli, duckdb.to_owned())?;
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
pub(crate) struct Bench<'b> {
    cli: &'b Cli,
    /// The folder of all data.
    data: PathBuf,
    duckdb: PathBuf,
}

impl<'b> Bench<'b> {
    /// Makes the folder of all data, if it is not there.
    pub(crate) fn of(cli: &'b Cli, duckdb: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&cli.data)?;
        Ok(Self {
            cli,
            data: std::fs::canonicalize(&cli.data)?,
            duckdb,
        })
    }

    /// A home with so many events mirrored; both are made when they are not there.
    pub(crate) fn home(&self, events: usize) -> Result<PathBuf, Box<dyn std::error::Error>> {
        data::mirrored(self, &data::bucket(self, events)?)
    }

    /// kennel, with a home and the config file beside it.
    pub(crate) fn kennel(&self, home: &Path) -> Command {
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
        let mut command = Command::new(&self.duckdb);
        command.args(["-csv", "-nullvalue", "", "-c", sql]);
        command
    }
}
