//! What shells complete: commands and flags by themselves, and values that only this config and this cache know
//! (queries, tags, sources, accounts, customers, snapshots, parameters).
//!
//! The shell asks by running kennel with [`VARIABLE`] set; `kennel completions SHELL` prints the script that does so.
//! Where anything is missing or broken there is nothing to complete, and nothing is said.

use std::{collections::BTreeSet, ffi::OsString};

use clap::FromArgMatches;
use clap_complete::{
    CompleteEnv,
    engine::{ArgValueCompleter, CompletionCandidate},
};
use kennel_cache::{Cache, ReportType, View};
use kennel_engine::Library;

use crate::{
    cli::{self, Cli},
    settings::{FlagOrigins, Settings},
    text::{minute, visible},
};

/// Set to a shell's name: kennel completes instead of running.
pub(crate) const VARIABLE: &str = "KENNEL_COMPLETE";

/// Answers a shell that asks for completions, and ends the process then.
pub(crate) fn answer_shell() {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

/// The command line, with completers at the arguments that have one, whichever command they belong to.
fn command() -> clap::Command {
    cli::command().mut_subcommands(|sub| {
        sub.mut_args(|arg| {
            let candidates: fn(&Known, &str) -> Vec<CompletionCandidate> =
                match arg.get_id().as_str() {
                    "id" | "ids" => queries,
                    "tag" | "tags" => tags,
                    "params" => params,
                    "source" | "sources" => sources,
                    "accounts" => accounts,
                    "customers" => customers,
                    "as_of" | "from" | "to" | "baseline" => snapshots,
                    _ => return arg,
                };
            arg.add(ArgValueCompleter::new(move |current: &std::ffi::OsStr| {
                let current = current.to_string_lossy();
                let mut found = candidates(&Known::look(), &current);
                found.retain(|candidate| {
                    let value = candidate.get_value().to_string_lossy();
                    value.starts_with(&*current)
                });
                found
            }))
        })
    })
}

/// What there is to complete with.
struct Known {
    settings: Option<Settings>,
    /// The words typed so far.
    words: Vec<OsString>,
}

impl Known {
    /// Reads the settings as the command that is being typed would: with its `--home` and `--config`.
    fn look() -> Self {
        let words = std::env::args_os()
            .skip_while(|word| word != "--")
            .skip(2)
            .collect::<Vec<_>>();
        let mut flags = vec![OsString::from("kennel")];
        for (index, word) in words.iter().enumerate() {
            let text = word.to_string_lossy();
            if let ("--home" | "--config", Some(value)) = (&*text, words.get(index + 1)) {
                flags.extend([word.clone(), value.clone()]);
            } else if text.starts_with("--home=") || text.starts_with("--config=") {
                flags.push(word.clone());
            }
        }
        flags.push("status".into());
        let settings = cli::command()
            .try_get_matches_from(flags)
            .ok()
            .and_then(|matches| {
                let origins = FlagOrigins::new(&matches);
                let cli = Cli::from_arg_matches(&matches).ok()?;
                Settings::load(&cli.global, origins).ok()
            });
        Self { settings, words }
    }

    fn library(&self) -> Option<Library> {
        let mut library = Library::embedded().ok()?;
        for folder in self.settings.iter().flat_map(|s| &s.queries.value) {
            library = library.with_folder(folder).ok()?;
        }
        Some(library)
    }

    fn cache(&self) -> Option<Cache> {
        Cache::open(&self.settings.as_ref()?.home.value).ok()
    }
}

fn candidate(value: impl Into<OsString>, help: &str) -> CompletionCandidate {
    let help = (!help.is_empty()).then(|| visible(help).into_owned().into());
    CompletionCandidate::new(value).help(help)
}

/// Whole ids; short names too as soon as something is typed that is no id's beginning.
fn queries(known: &Known, current: &str) -> Vec<CompletionCandidate> {
    let Some(library) = known.library() else {
        return Vec::new();
    };
    let by_id = library
        .iter()
        .map(|query| candidate(query.id.as_str(), &query.title));
    let by_name = library.iter().filter_map(|query| {
        let name = query.id.rsplit('/').next()?;
        let is_meant = !current.is_empty() && library.find(name).is_ok();
        is_meant.then(|| candidate(name, &query.title))
    });
    by_id.chain(by_name).collect()
}

fn tags(known: &Known, _current: &str) -> Vec<CompletionCandidate> {
    let library = known.library();
    let tags = library.iter().flat_map(Library::iter);
    let tags = tags.flat_map(|query| query.tags.clone());
    let tags = tags.collect::<BTreeSet<_>>();
    tags.iter().map(|tag| candidate(tag, "")).collect()
}

/// `NAME=` of the parameters of the queries that stand on the line.
fn params(known: &Known, _current: &str) -> Vec<CompletionCandidate> {
    let Some(library) = known.library() else {
        return Vec::new();
    };
    let on_line = known
        .words
        .iter()
        .filter_map(|word| library.find(word.to_str()?).ok());
    let params = on_line.flat_map(|query| &query.params);
    params
        .map(|param| candidate(format!("{}=", param.name), &param.help))
        .collect()
}

fn sources(known: &Known, _current: &str) -> Vec<CompletionCandidate> {
    let configured = known.settings.iter().flat_map(|s| &s.sources);
    let mut names = configured
        .map(|source| (source.name.to_string(), source.url.clone()))
        .collect::<BTreeSet<_>>();
    let synced = known.cache().and_then(|cache| cache.sources().ok());
    for source in synced.into_iter().flatten() {
        let name = source.name.to_string();
        if !names.iter().any(|(known, _)| *known == name) {
            names.insert((name, source.url));
        }
    }
    names
        .iter()
        .map(|(name, url)| candidate(name, url))
        .collect()
}

fn reports(known: &Known) -> Vec<kennel_cache::Report> {
    let Some(cache) = known.cache() else {
        return Vec::new();
    };
    ReportType::ALL
        .into_iter()
        .filter_map(|report_type| cache.reports(report_type, View::Latest).ok())
        .flatten()
        .collect()
}

fn accounts(known: &Known, _current: &str) -> Vec<CompletionCandidate> {
    let mut ids = reports(known)
        .iter()
        .map(|report| report.account_id.to_string())
        .collect::<BTreeSet<_>>();
    let held = known.cache().and_then(|cache| cache.trail_held().ok());
    let held = held.into_iter().flatten();
    ids.extend(held.map(|held| held.place.account_id.to_string()));
    ids.iter().map(|id| candidate(id, "")).collect()
}

fn customers(known: &Known, _current: &str) -> Vec<CompletionCandidate> {
    let reports = reports(known);
    let ids = reports.iter().map(|report| report.customer_id.to_string());
    let ids = ids.collect::<BTreeSet<_>>();
    ids.iter().map(|id| candidate(id, "")).collect()
}

/// The newest snapshot first.
fn snapshots(known: &Known, _current: &str) -> Vec<CompletionCandidate> {
    let snapshots = known.cache().and_then(|cache| cache.snapshots().ok());
    let newest_first = snapshots.into_iter().flatten().rev().enumerate();
    newest_first
        .map(|(order, snapshot)| {
            let help = format!("{} of {}", minute(snapshot.taken_at), snapshot.source);
            candidate(snapshot.id.to_string(), &help).display_order(Some(order))
        })
        .collect()
}
