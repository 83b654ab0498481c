//! The dot commands: their names, those that psql's users type, what each takes and does.

use clap::ValueEnum;

use super::session::LINE_MODE;
use crate::{error::CliError, output::Format, text::nearest};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    AsOf,
    Cd,
    Columns,
    Explain,
    Help,
    Last,
    List,
    MaxRows,
    Mode,
    Once,
    Output,
    Pager,
    Param,
    Quit,
    Read,
    Run,
    Safe,
    Schema,
    Shell,
    Snapshots,
    Tables,
    Timer,
    Turn,
    Width,
}

/// What a command takes, for completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    Nothing,
    OneOf(&'static [&'static str]),
    Mode,
    Command,
    Query,
    Table,
    Snapshot,
    Path,
    Statement,
}

/// A dot command.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) command: Command,
    /// Without its dot.
    pub(super) name: &'static str,
    /// Other names, each with its dot or backslash.
    pub(super) aliases: &'static [&'static str],
    pub(super) usage: &'static str,
    pub(super) help: &'static str,
    pub(super) argument: Argument,
    /// Forbidden in safe mode, whatever it is given.
    pub(super) is_unsafe: bool,
}

macro_rules! spec {
    ($command:ident, $name:literal, $aliases:expr, $usage:literal, $argument:expr, $help:literal) => {
        spec!($command, $name, $aliases, $usage, $argument, $help, false)
    };
    ($command:ident, $name:literal, $aliases:expr, $usage:literal, $argument:expr, $help:literal, $unsafe:literal) => {
        Spec {
            command: Command::$command,
            name: $name,
            aliases: &$aliases,
            usage: $usage,
            help: $help,
            argument: $argument,
            is_unsafe: $unsafe,
        }
    };
}

/// All of them, by name.
pub(super) static COMMANDS: [Spec; 24] = [
    spec!(
        AsOf,
        "as-of",
        [".asof", ".as_of"],
        "[TIME|SNAPSHOT|latest]",
        Argument::Snapshot,
        "answer as of a time (2026-03-01) or snapshot (s12)"
    ),
    spec!(
        Cd,
        "cd",
        ["\\cd"],
        "[FOLDER]",
        Argument::Path,
        "where the file names of .read, .output, .once begin"
    ),
    spec!(
        Columns,
        "columns",
        ["\\d", ".describe"],
        "TABLE",
        Argument::Table,
        "columns of a table and their types"
    ),
    spec!(
        Explain,
        "explain",
        [],
        "[analyze] STATEMENT|ID",
        Argument::Statement,
        "how a statement or canned query is executed"
    ),
    spec!(
        Help,
        "help",
        ["\\?", "\\h"],
        "[WORD]",
        Argument::Command,
        "commands, or those that a word is about"
    ),
    spec!(
        Last,
        "last",
        [],
        "",
        Argument::Nothing,
        "the last result again, with all rows that `_` holds"
    ),
    spec!(
        List,
        "list",
        [],
        "[ID|WORD]",
        Argument::Query,
        "canned queries; of one: its text and parameters"
    ),
    spec!(
        MaxRows,
        "maxrows",
        [],
        "[N|all]",
        Argument::OneOf(&["40", "1000", "all"]),
        "rows of a table that are shown"
    ),
    spec!(
        Mode,
        "mode",
        [],
        "[FORMAT]",
        Argument::Mode,
        "form of results: table, line, csv, json …"
    ),
    spec!(
        Once,
        "once",
        [],
        "FILE",
        Argument::Path,
        "write the next result to a file",
        true
    ),
    spec!(
        Output,
        "output",
        ["\\o", ".out"],
        "[FILE]",
        Argument::Path,
        "write results to a file; without one, to the screen",
        true
    ),
    spec!(
        Pager,
        "pager",
        [],
        "[on|off|COMMAND]",
        Argument::OneOf(&["on", "off"]),
        "page results larger than the screen"
    ),
    spec!(
        Param,
        "param",
        [".parameter", "\\set"],
        "[NAME VALUE|clear [NAME]]",
        Argument::Nothing,
        "values of $name and :name"
    ),
    spec!(
        Quit,
        "quit",
        [".exit", ".q", "\\q"],
        "",
        Argument::Nothing,
        "leave; Ctrl-D does, too"
    ),
    spec!(
        Read,
        "read",
        ["\\i"],
        "FILE",
        Argument::Path,
        "run the statements and commands of a file",
        true
    ),
    spec!(
        Run,
        "run",
        [],
        "ID [NAME=VALUE …]",
        Argument::Query,
        "run a canned query"
    ),
    spec!(
        Safe,
        "safe",
        [".safe_mode", ".safe-mode"],
        "",
        Argument::Nothing,
        "forbid commands that write files or start programs, for good"
    ),
    spec!(
        Schema,
        "schema",
        ["\\d+"],
        "[PATTERN]",
        Argument::Table,
        "tables with all their columns, as text"
    ),
    spec!(
        Shell,
        "shell",
        [".system", "\\!"],
        "COMMAND",
        Argument::Nothing,
        "run a command of the system",
        true
    ),
    spec!(
        Snapshots,
        "snapshots",
        [],
        "",
        Argument::Nothing,
        "the states that can be asked with .as-of"
    ),
    spec!(
        Tables,
        "tables",
        ["\\dt", "\\dt+"],
        "[PATTERN]",
        Argument::Table,
        "tables, their columns and rows"
    ),
    spec!(
        Timer,
        "timer",
        ["\\timing"],
        "[on|off|verbose]",
        Argument::OneOf(&["on", "off", "verbose"]),
        "time and bytes after each result; verbose: what Athena would charge"
    ),
    spec!(
        Turn,
        "turn",
        ["\\x"],
        "",
        Argument::Nothing,
        "one line a value instead of one a row, and back"
    ),
    spec!(
        Width,
        "width",
        [".maxwidth"],
        "[N|auto|off]",
        Argument::OneOf(&["auto", "off", "120", "200"]),
        "columns of the screen that a table may take"
    ),
];

/// The command of this name, with its dot or backslash.
pub(super) fn find(name: &str) -> Option<&'static Spec> {
    let name = name.to_ascii_lowercase();
    COMMANDS.iter().find(|spec| {
        name.strip_prefix('.').is_some_and(|name| name == spec.name)
            || spec.aliases.contains(&name.as_str())
    })
}

/// Splits a dot command from what follows it.
///
/// # Errors
/// A command that does not exist; the nearest is named.
pub(super) fn parse(line: &str) -> Result<(&'static Spec, &str), CliError> {
    let end = line.find(char::is_whitespace).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    // `.tables;` is what fingers type that end everything so; `\!ls` what psql accepts.
    let bare = name.trim_end_matches(';');
    if let Some(spec) = find(bare) {
        return Ok((spec, rest.trim()));
    }
    if let Some(command) = line
        .strip_prefix("\\!")
        .filter(|command| !command.is_empty())
        && let Some(spec) = find("\\!")
    {
        return Ok((spec, command.trim()));
    }
    let told = CliError::new(format!("there is no command `{bare}`"));
    let dotted = COMMANDS
        .iter()
        .map(|spec| format!(".{}", spec.name))
        .collect::<Vec<_>>();
    let aliases = COMMANDS
        .iter()
        .flat_map(|spec| spec.aliases.iter().copied());
    let known = dotted.iter().map(String::as_str).chain(aliases);
    let begins = || {
        dotted
            .iter()
            .map(String::as_str)
            .find(|known| known.starts_with(bare) && bare.len() > 1)
    };
    Err(
        match nearest(&bare.to_ascii_lowercase(), known).or_else(begins) {
            Some(near) => told.hint(format!("did you mean `{near}`?")),
            None => told.hint("`.help` lists the commands"),
        },
    )
}

/// The names that `.mode` takes.
pub(super) fn mode_names() -> Vec<String> {
    let formats = Format::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value);
    let names = formats.map(|value| value.get_name().to_owned());
    names.chain([LINE_MODE.to_owned()]).collect()
}

/// Splits arguments at white space; quotes hold together, as in a shell.
///
/// # Errors
/// A quote that does not end.
pub(super) fn words(text: &str) -> Result<Vec<String>, CliError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        return Err(CliError::new(format!("the quote {open} does not end")));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_stands_for_one_command() {
        let mut names = BTreeSet::new();
        for spec in &COMMANDS {
            for name in [format!(".{}", spec.name)]
                .into_iter()
                .chain(spec.aliases.iter().map(ToString::to_string))
            {
                assert!(names.insert(name.clone()), "{name} stands for two commands");
                assert_eq!(find(&name).unwrap().name, spec.name);
            }
        }
        assert!(COMMANDS.is_sorted_by_key(|spec| spec.name));
    }

    #[test]
    fn a_slip_is_answered_with_the_nearest_name() {
        let hint = |line| {
            let error = parse(line).unwrap_err();
            error.hints()[0].clone()
        };
        assert_eq!(hint(".tabels"), "did you mean `.tables`?");
        assert_eq!(hint(".snap"), "did you mean `.snapshots`?");
        assert_eq!(hint("\\timng"), "did you mean `\\timing`?");
        assert_eq!(hint(".frobnicate"), "`.help` lists the commands");
    }

    #[test]
    fn a_command_is_parted_from_what_it_takes() {
        let (spec, rest) = parse(".TABLES;").unwrap();
        assert_eq!((spec.name, rest), ("tables", ""));
        let (spec, rest) = parse("\\!ls -l").unwrap();
        assert_eq!((spec.name, rest), ("shell", "ls -l"));
        assert_eq!(
            words("a 'b c'  d\"e f\" ''").unwrap(),
            ["a", "b c", "de f", ""]
        );
        assert!(words("'a").is_err());
    }
}
