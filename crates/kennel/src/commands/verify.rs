//! `kennel verify`: the cache against its manifest; an export against its own (`bundle`).

mod bundle;

use std::io::Write;

use kennel_cache::{CacheError, VerifyOutcome};

use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    text::{bytes, counted, visible},
};

/// Check that the cache still holds what was fetched
///
/// Every object version and every table file is read and hashed, and compared with the manifest. What is
/// damaged or missing is named, one a line, and the exit code is 1. Nothing is changed, nothing is fetched.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  kennel verify
  kennel verify -f json
  kennel verify bundle kennel-export/latest    an export, see `kennel verify bundle --help`
  kennel sync --full               fetches again what is damaged or missing
  kennel sync --rebuild-tables     makes damaged tables again"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    other: Option<Other>,
    /// Form of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    format: VerifyFormat,
}

/// What else can be verified.
#[derive(Debug, clap::Subcommand)]
enum Other {
    Bundle(bundle::Args),
}

impl Args {
    /// Whether queries are to be run for it.
    pub(crate) fn needs_runtime(&self) -> bool {
        self.other.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum VerifyFormat {
    /// For people
    Table,
    /// One object
    Json,
}

/// What `-f json` promises, format 1: fields are added, never changed.
#[derive(serde::Serialize)]
struct VerifyJson<'a> {
    format: u32,
    checked_count: u64,
    checked_bytes: u64,
    damaged: Vec<ObjectJson<'a>>,
    table_count: u64,
    damaged_tables: Vec<TableJson<'a>>,
}

#[derive(serde::Serialize)]
struct ObjectJson<'a> {
    source: &'a str,
    key: &'a str,
    sha256: String,
    problem: &'a str,
}

#[derive(serde::Serialize)]
struct TableJson<'a> {
    table_path: &'a str,
    key: &'a str,
    problem: &'a str,
}

/// Verifies something beside the cache.
pub(crate) async fn run_other(args: Args, cx: &Context) -> Result<Exit, CliError> {
    match args.other {
        Some(Other::Bundle(args)) => Box::pin(bundle::run(args, cx)).await,
        None => run(&args, cx),
    }
}

pub(crate) fn run(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    let cache = cx.cache()?.ok_or_else(|| CacheError::NotFound {
        home: cx.home().to_owned(),
    })?;
    let outcome = cache.verify()?;
    let mut out = cx.printer.stdout();
    match args.format {
        VerifyFormat::Table => write_text(&outcome, &mut out)?,
        VerifyFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &json(&outcome))
                .map_err(|e| CliError::from(std::io::Error::from(e)))?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    if !outcome.damaged.is_empty() {
        cx.printer
            .hint("`kennel sync --full` fetches again what the source still has");
    }
    if !outcome.damaged_tables.is_empty() {
        cx.printer
            .hint("`kennel sync --rebuild-tables` makes the tables again");
    }
    if outcome.damaged.is_empty() && outcome.damaged_tables.is_empty() {
        Ok(Exit::Done)
    } else {
        Ok(Exit::Findings)
    }
}

fn write_text(outcome: &VerifyOutcome, out: &mut dyn Write) -> std::io::Result<()> {
    for damaged in &outcome.damaged {
        let (object, what) = (&damaged.object, &damaged.what);
        writeln!(
            out,
            "damaged: {} {}: {}",
            object.source,
            visible(&object.key),
            visible(what)
        )?;
    }
    for table in &outcome.damaged_tables {
        writeln!(
            out,
            "damaged: the table of {}: {}",
            visible(&table.key),
            visible(&table.what)
        )?;
    }
    writeln!(
        out,
        "{} ({}) and {} checked: {} damaged",
        counted(outcome.checked_count, "object version"),
        bytes(outcome.checked_bytes),
        counted(outcome.table_count, "table"),
        match outcome.damaged.len() + outcome.damaged_tables.len() {
            0 => "none".to_owned(),
            count => count.to_string(),
        }
    )
}

fn json(outcome: &VerifyOutcome) -> VerifyJson<'_> {
    let objects = outcome.damaged.iter().map(|damaged| ObjectJson {
        source: damaged.object.source.as_str(),
        key: &damaged.object.key,
        sha256: damaged.object.sha256.to_string(),
        problem: &damaged.what,
    });
    let tables = outcome.damaged_tables.iter().map(|table| TableJson {
        table_path: &table.table_path,
        key: &table.key,
        problem: &table.what,
    });
    VerifyJson {
        format: 1,
        checked_count: outcome.checked_count,
        checked_bytes: outcome.checked_bytes,
        damaged: objects.collect(),
        table_count: outcome.table_count,
        damaged_tables: tables.collect(),
    }
}
