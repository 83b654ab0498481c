//! What could follow in a dot command.

use std::path::Path;

use super::{
    super::{
        dot::{self, Argument},
        names::Vocabulary,
    },
    Completion, Statement,
    words::{Word, offer, table_word},
};
use crate::text::visible;

/// A dot command: its name, then what it takes.
pub(super) fn dot_command(typed: &str, start: usize, words: &Vocabulary) -> Completion {
    let pos = start + typed.len();
    let Some((name, rest)) = typed.split_once(char::is_whitespace) else {
        let named = dot::COMMANDS.iter().map(|spec| Word {
            value: format!(".{}", spec.name),
            about: spec.help.into(),
            rank: 0,
        });
        return offer(named.collect(), typed, pos);
    };
    let word = rest.rsplit(char::is_whitespace).next().unwrap_or_default();
    let is_first = rest.trim_start() == word;
    let Some(spec) = dot::find(name) else {
        return Completion::default();
    };
    let plain = |value: &str| Word {
        value: value.into(),
        about: String::new(),
        rank: 0,
    };
    let found = match spec.argument {
        Argument::Nothing => vec![],
        Argument::OneOf(choices) => choices.iter().map(|choice| plain(choice)).collect(),
        Argument::Mode => dot::mode_names().iter().map(|name| plain(name)).collect(),
        Argument::Command => dot::COMMANDS.iter().map(|spec| plain(spec.name)).collect(),
        Argument::Query if is_first => words
            .queries
            .iter()
            .map(|query| Word {
                value: query.id.clone(),
                about: query.title.clone(),
                rank: 0,
            })
            .collect(),
        Argument::Query => {
            let id = rest.split_whitespace().next().unwrap_or_default();
            let query = words
                .queries
                .iter()
                .find(|query| query.id == id || query.id.rsplit('/').next() == Some(id));
            let params = query.map_or(&[][..], |query| query.params.as_slice());
            let word = |(name, help): &(String, String)| Word {
                value: format!("{name}="),
                about: help.clone(),
                rank: 0,
            };
            params.iter().map(word).collect()
        }
        Argument::Table => words
            .tables
            .iter()
            .map(|table| table_word(table, &format!("{}.{}", table.schema, table.name)))
            .collect(),
        Argument::Snapshot => {
            let snapshots = words.snapshots.iter();
            let named = snapshots.map(|(id, about)| Word {
                value: id.clone(),
                about: about.clone(),
                rank: 0,
            });
            named.chain([plain("latest")]).collect()
        }
        Argument::Path => paths(&words.folder, word),
        Argument::Statement => {
            return Statement::around(&rebased(typed, start), pos, words).complete();
        }
    };
    offer(found, word, pos)
}

/// The statement of `.explain`, at the place where it stands in the line.
fn rebased(typed: &str, start: usize) -> String {
    let command = typed.find(char::is_whitespace).unwrap_or(typed.len());
    format!("{}{}", " ".repeat(start + command), &typed[command..])
}

/// Files and folders that begin so.
fn paths(here: &Path, typed: &str) -> Vec<Word> {
    let (folder, _) = typed
        .rsplit_once('/')
        .map_or(("", typed), |(folder, name)| (folder, name));
    let place = match (folder, typed.starts_with('/')) {
        ("", true) => "/",
        ("", false) => ".",
        (folder, _) => folder,
    };
    let Ok(entries) = std::fs::read_dir(here.join(place)) else {
        return vec![];
    };
    let entry_word = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        if name.starts_with('.') || *visible(&name) != *name || name.contains(char::is_whitespace) {
            return None;
        }
        let slash = if entry.path().is_dir() { "/" } else { "" };
        let prefix = match (folder, typed.starts_with('/')) {
            ("", true) => "/".to_owned(),
            ("", false) => String::new(),
            (folder, _) => format!("{folder}/"),
        };
        Some(Word {
            value: format!("{prefix}{name}{slash}"),
            about: String::new(),
            rank: 0,
        })
    };
    entries
        .filter_map(Result::ok)
        .filter_map(entry_word)
        .collect()
}
