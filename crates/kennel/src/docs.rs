//! `docs/cli.md`, `docs/queries.md` and `docs/athena.md`, made from the command line, from the library of queries and from the
//! list of functions, and the engine's table of calls by k9's capabilities, made from the tables of `kennel-policy`. The tests
//! fail when the files are not what would be made; with `KENNEL_WRITE_DOCS=1` they write them.

use std::{fmt::Write as _, fs, path::Path};

use clap::CommandFactory;
use kennel_engine::{CannedQuery, Library};

use crate::{cli::Cli, exit::EXIT_CODES};

/// Columns of the help pages.
const WIDTH: usize = 110;
const HOW_MADE: &str =
    "<!-- Made by `KENNEL_WRITE_DOCS=1 cargo test --workspace --bin kennel docs`. Do not edit. -->";

/// All help pages.
fn cli_page() -> String {
    let mut command = Cli::command().term_width(WIDTH);
    command.build();
    let mut page = format!(
        "# The command line\n\n{HOW_MADE}\n\nWhat `kennel --help` and `kennel COMMAND --help` say. Flags beat the environment, which beats `kennel.toml`, which\nbeats the defaults: `kennel status --settings` shows each value and where it came from.\n\n"
    );
    let subcommands = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
        .cloned()
        .collect::<Vec<_>>();
    for sub in &subcommands {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        let name = sub.get_name();
        let _infallible = writeln!(page, "- [`kennel {name}`](#kennel-{name}): {about}");
    }
    let _infallible = write!(
        page,
        "\n## Exit codes\n\n```text\n{EXIT_CODES}\n```\n\n## kennel\n"
    );
    push_help(command, &mut page);
    for sub in subcommands {
        let _infallible = write!(page, "\n## kennel {}\n", sub.get_name());
        // What every command takes stands once, with kennel itself.
        let own = sub.mut_args(|arg| {
            let is_global = arg.is_global_set();
            arg.hide(is_global)
        });
        push_help(own.term_width(WIDTH), &mut page);
    }
    page
}

fn push_help(mut command: clap::Command, page: &mut String) {
    let help = command.render_long_help().to_string();
    // The codes stand once, above.
    let help = help.replace(EXIT_CODES, "");
    page.push_str("\n```text\n");
    for line in help.trim_end().lines() {
        let _infallible = writeln!(page, "{}", line.trim_end());
    }
    page.push_str("```\n");
}

/// All queries of the library.
fn queries_page() -> String {
    let library = Library::embedded().unwrap();
    let mut page = format!(
        "# The questions\n\n{HOW_MADE}\n\n`kennel run ID` answers one (the short name will do where it is unique), `kennel list ID` shows its SQL. A question with a\nseverity is an audit: its rows are findings.\n\n| id | title | severity |\n|---|---|---|\n"
    );
    for query in library.iter() {
        let severity = query.severity.map(|s| s.to_string()).unwrap_or_default();
        let anchor = query.id.replace('/', "");
        let _infallible = writeln!(
            page,
            "| [`{}`](#{anchor}) | {} | {severity} |",
            query.id, query.title
        );
    }
    for query in library.iter() {
        push_query(query, &mut page);
    }
    page
}

fn push_query(query: &CannedQuery, page: &mut String) {
    let _infallible = write!(page, "\n## {}\n\n**{}**\n\n", query.id, query.title);
    let mut facts = Vec::new();
    if let Some(severity) = query.severity {
        facts.push(format!("severity {severity}"));
    }
    let quoted = |items: &[String]| {
        let items = items.iter().map(|item| format!("`{item}`"));
        items.collect::<Vec<_>>().join(", ")
    };
    if !query.tags.is_empty() {
        facts.push(format!("tags {}", quoted(&query.tags)));
    }
    facts.push(format!("reads {}", quoted(&query.reads)));
    if !query.key.is_empty() {
        facts.push(format!("a row is identified by {}", quoted(&query.key)));
    }
    facts.push(format!("[SQL](../sql/{}.sql)", query.id));
    let _infallible = writeln!(page, "{}.", facts.join("; "));
    if let Some(source) = &query.source {
        let _infallible = writeln!(page, "Source: {source}.");
    }
    let documentation = query.documentation.trim();
    if !documentation.is_empty() {
        let _infallible = writeln!(page, "\n{documentation}");
    }
    if query.params.is_empty() {
        return;
    }
    page.push_str("\n| parameter | type | default | |\n|---|---|---|---|\n");
    for param in &query.params {
        let default = match &param.default {
            Some(default) => format!("`{default}`"),
            None if param.required => "must be given".into(),
            None => String::new(),
        };
        let _infallible = writeln!(
            page,
            "| `{}` | {} | {default} | {} |",
            param.name,
            param.param_type.as_str(),
            param.help.replace('|', "\\|")
        );
    }
}

/// The calls that k9's capabilities stand for.
fn capability_table() -> String {
    let mut table = String::from(
        "# Made by `KENNEL_WRITE_DOCS=1 cargo test --workspace --bin kennel docs` from the tables of kennel-policy. Do not edit.\n",
    );
    for call in kennel_policy::capability_calls() {
        let _infallible = writeln!(
            table,
            "{}\t{}\t{}\t{}\t{}",
            call.capability.service_name,
            call.capability.access_capability,
            call.action,
            call.service,
            call.event_name
        );
    }
    table
}

/// All functions of Athena, and what became of them.
fn athena_page() -> String {
    let functions = kennel_engine::athena_functions();
    let mut page = format!("# Athena's functions\n\n{HOW_MADE}\n\n{ATHENA_NOTES}\n");
    let mut family = "";
    for function in &functions {
        if function.family != family {
            family = function.family;
            let _infallible = write!(
                page,
                "\n## {family}\n\n| function | state | |\n|---|---|---|\n"
            );
        }
        let _infallible = writeln!(
            page,
            "| `{}` | {} | {} |",
            function.name,
            function.state.as_str(),
            function.note
        );
    }
    page
}

/// What is to be said of all functions.
const ATHENA_NOTES: &str = "\
The functions of Athena's engine 3 (Trino), by the pages of Trino's manual. `SHOW FUNCTIONS [LIKE 'regexp%']` prints the same
list, and so does the table `kennel.functions`. *own*: written here; *same*: DataFusion's, which means the same; *adapted*:
DataFusion's under another name or in other words; *missing*: not there; beside it, what to use instead.

Where kennel differs from Athena:

- **Types.** The length of a `varchar(n)` is known where the query says it, and not that of a table's column; `char(n)` is text that is
  filled up with blanks, which make no difference in comparisons. Timestamps and times have 0 to 12 digits; how many a value was written
  with is known where the query says so, in subqueries, too. A column of microseconds that is cast to milliseconds loses the rest without
  being rounded. `TIME` cannot be cast to `timestamp`. `DISTINCT` shows a `time with time zone` in UTC, and keys of maps take two of the
  same instant and other offsets for different values.
- **Queries.** Some that Athena refuses are answered as they are meant: `GROUP BY` and `HAVING` by the name of an item, `SELECT DISTINCT` ordered
  by an expression over its items, `GROUPING SETS` of expressions, `FILTER` in window functions, `SELECT * EXCEPT (…)`, `x::type`, `ILIKE`, and
  `WITH RECURSIVE` without names of columns. A recursion by `UNION ALL` ends with an error after ten steps, as in Athena; one by `UNION` goes on until
  nothing new is found, which only kennel does.
- **Time zones.** A timestamp with time zone keeps a zone that is written in the query: `at_timezone(x, 'Europe/Berlin')`, a literal,
  a constant text. A zone that comes from a column is that of functions, casts and `EXTRACT` directly around `at_timezone`; elsewhere the
  same instant is shown in UTC. The session's zone is UTC.
- **Regular expressions** are read by Rust's `regex`, in linear time; patterns with look-around, back references, atomic groups or
  possessive repetition by `fancy-regex`, which is slower and gives up where a pattern goes back and forth without end. `\\d`, `\\w`, `\\s`
  and `\\b` know all of Unicode, `$` is the end of the text only.
- **JSON.** Integers of any size stay what they are, fractions are doubles, as in Athena. Values nested deeper than 512 count as no JSON.
- **Results** are written as `kennel` writes them everywhere: instants in UTC, addresses and UUIDs as text, `varbinary` in base 64
  in text formats. `CAST(x AS varchar)` is Trino's.";

/// Holds a file against what it should be, or writes it.
fn assert_current(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name);
    if std::env::var_os("KENNEL_WRITE_DOCS").is_some() {
        fs::write(&path, made).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = found
        .lines()
        .zip(made.lines())
        .position(|(found, made)| found != made)
        .unwrap_or_else(|| found.lines().count().min(made.lines().count()));
    assert!(
        found == made,
        "{name} is old from line {} on: KENNEL_WRITE_DOCS=1 writes it anew",
        differs + 1
    );
}

#[test]
fn the_page_of_the_command_line_is_current() {
    assert_current("docs/cli.md", &cli_page());
}

#[test]
fn the_page_of_the_questions_is_current() {
    assert_current("docs/queries.md", &queries_page());
}

#[test]
fn the_table_of_calls_by_capability_is_current() {
    assert_current(
        "crates/kennel-engine/data/capability-calls.tsv",
        &capability_table(),
    );
}

#[test]
fn the_page_of_the_functions_is_current() {
    assert_current("docs/athena.md", &athena_page());
}
