//! Commands and flags. The doc comments are the help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{commands, exit::EXIT_CODES};

/// Answers access questions over k9 Security reports and CloudTrail logs, offline.
///
/// kennel mirrors k9's reports from S3 into a local cache and answers questions over it with SQL: no
/// network, no credentials, in milliseconds, with the SQL that you wrote for Athena. It keeps every
/// version it saw.
///
/// Data goes to standard output, everything else to standard error.
#[derive(Debug, Parser)]
#[command(name = "kennel", version, after_help = AFTER_HELP, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Start with:
  kennel demo                                   sample data, nothing needed
  kennel init --k9 s3://BUCKET && kennel sync   your own reports
  kennel run iam-admins                         a question that comes with kennel
  kennel sql -c 'SELECT count(*) FROM k9.principals_latest'

Exit codes:
  0    done
  1    done, and --check, diff, verify or policy check found something
  2    usage error or failure: nothing was produced
  3    partial: some objects or accounts failed, the rest is there
  4    data absent, or older than --max-age
  130  interrupted; the cache is whole
Where several apply: 2, then 4, then 3, then 1. All reasons stand on stderr.";

/// What every command understands.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Folder of the cache [default: the platform's data folder + kennel]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "KENNEL_HOME",
        hide_env_values = true
    )]
    pub(crate) home: Option<PathBuf>,
    /// Config file [default: ./kennel.toml, then the platform's config folder]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "KENNEL_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// Say only what went wrong
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more; -vv logs what happens, -vvv everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Colours [default: auto; NO_COLOR is obeyed]
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        env = "KENNEL_COLOR",
        hide_env_values = true
    )]
    pub(crate) color: Option<ColorChoice>,
    /// Progress bars [default: auto]
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        env = "KENNEL_PROGRESS",
        hide_env_values = true
    )]
    pub(crate) progress: Option<ProgressChoice>,
    /// Form of the log on standard error [default: text]
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        env = "KENNEL_LOG_FORMAT",
        hide_env_values = true
    )]
    pub(crate) log_format: Option<LogFormat>,
    /// Make any connection an error
    #[arg(long, global = true, env = "KENNEL_OFFLINE", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) offline: bool,
}

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ColorChoice {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// When to show progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProgressChoice {
    /// On a terminal.
    #[default]
    Auto,
    /// Never.
    Never,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(commands::demo::Args),
    Init(commands::init::Args),
    Sync(commands::sync::Args),
    Status(commands::status::Args),
    List(commands::list::Args),
    Run(commands::run::Args),
    Sql(commands::sql::Args),
    Diff(commands::diff::Args),
    Export(commands::export::Args),
    Ddl(commands::ddl::Args),
    Policy(commands::policy::Args),
    Verify(commands::verify::Args),
    Prune(commands::prune::Args),
    Cat(commands::cat::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
}

/// Clap's command, with the exit codes at the end of each help page.
pub(crate) fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command().mut_subcommands(|sub| {
        let examples = sub
            .get_after_help()
            .map(|text| format!("{text}\n\n"))
            .unwrap_or_default();
        sub.after_help(format!("{examples}{EXIT_CODES}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_command_shows_how_it_is_used() {
        for sub in command().get_subcommands() {
            let help = sub.get_after_help().unwrap().to_string();
            assert!(help.starts_with("Examples:\n"), "{}", sub.get_name());
        }
    }

    #[test]
    fn every_help_page_tells_the_exit_codes_in_the_same_words() {
        assert!(AFTER_HELP.ends_with(EXIT_CODES));
        for sub in command().get_subcommands() {
            let help = sub.get_after_help().unwrap().to_string();
            assert!(help.ends_with(EXIT_CODES), "{}", sub.get_name());
        }
    }
}
