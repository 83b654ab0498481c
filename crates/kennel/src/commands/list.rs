//! `kennel list`: the canned queries.

use std::io::Write;

use datafusion::arrow::record_batch::RecordBatch;
use kennel_engine::{CannedQuery, DdlOptions, Library, Param};

use super::questions::{OutputArgs, param_values, parse_param};
use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    output::{About, Format, Look, PlainTable, Rows},
    text::visible,
};

/// Terminals narrower than this get no parameters: titles tell more.
const ROOM_FOR_PARAMS: usize = 140;

/// List the questions that kennel can answer, or explain one
///
/// Without an id: id, title, severity and parameters of each query. With one: its documentation, its
/// parameters and its SQL, ready to be changed and given to `kennel sql`.
///
/// With `--sql athena` only the SQL is printed, as Athena can run it over the tables that `kennel ddl` makes there:
/// parameters are literals in it. What reads tables that only kennel has (earlier nights) cannot be asked there.
///
/// Queries of your own stand beside kennel's when kennel.toml says `queries = ["./sql"]`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel list
  kennel list iam-admins
  kennel list --tag nightly -f json
  kennel list stale-credentials --sql athena --param max_age_days=30
  kennel list -f markdown > questions.md")]
pub(crate) struct Args {
    /// A query, by its id (k9/iam-admins) or short name (iam-admins)
    id: Option<String>,
    /// Only queries with this tag
    #[arg(long, value_name = "TAG", conflicts_with = "id")]
    tag: Option<String>,
    /// Print the SQL of one query for another engine
    #[arg(long, value_name = "ENGINE", requires = "id")]
    sql: Option<SqlFor>,
    /// Value of a parameter in the SQL (repeatable)
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = parse_param, requires = "sql")]
    params: Vec<(String, String)>,
    /// The database of all tables, as given to `kennel ddl`
    #[arg(long, value_name = "NAME", value_parser = super::ddl::parse_database, requires = "sql")]
    database: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Whose SQL is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SqlFor {
    /// Amazon Athena.
    Athena,
}

/// What `-f json` promises; not the engine's own types.
#[derive(serde::Serialize)]
struct QueryJson<'a> {
    id: &'a str,
    title: &'a str,
    severity: Option<&'static str>,
    tags: &'a [String],
    params: Vec<ParamJson<'a>>,
    reads: &'a [String],
    key: &'a [String],
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sql: Option<&'a str>,
}

#[derive(serde::Serialize)]
struct ParamJson<'a> {
    name: &'a str,
    r#type: &'static str,
    default: Option<&'a str>,
    required: bool,
    help: &'a str,
}

pub(crate) fn run(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    let mut library = Library::embedded()?;
    for folder in &cx.settings.queries.value {
        library = library.with_folder(folder)?;
    }
    let is_whole = args.id.is_some();
    let chosen = match &args.id {
        Some(id) => vec![library.find(id)?],
        None => {
            let has_tag =
                |query: &&CannedQuery| args.tag.as_ref().is_none_or(|tag| query.tags.contains(tag));
            library.iter().filter(has_tag).collect()
        }
    };
    let name = match chosen.as_slice() {
        [only] if is_whole => only.id.clone(),
        _ => "queries".into(),
    };
    if let (Some(SqlFor::Athena), [only]) = (args.sql, chosen.as_slice()) {
        return write_athena(only, &name, args, cx);
    }
    let mut results = args.output.open(std::slice::from_ref(&name), cx)?;
    match args.output.format {
        Format::Table | Format::Json | Format::Jsonl => {
            results.write_text(|out, look| match (args.output.format, chosen.as_slice()) {
                (Format::Table, [only]) if is_whole => write_text(only, out),
                (Format::Table, chosen) => write_table(chosen, look, out),
                (Format::Json, [only]) if is_whole => write_json(&json(only, true), out),
                (Format::Json, chosen) => {
                    let queries = chosen.iter().map(|query| json(query, false));
                    write_json(&queries.collect::<Vec<_>>(), out)
                }
                (_, chosen) => chosen
                    .iter()
                    .try_for_each(|query| write_json_line(&json(query, is_whole), out)),
            })?;
        }
        _ => results.write_batch(&About::named(&name), &rows(&chosen, is_whole))?,
    }
    results.finish()?;
    Ok(Exit::Done)
}

/// The SQL of one query for Athena, ready to be pasted.
fn write_athena(
    query: &CannedQuery,
    name: &str,
    args: &Args,
    cx: &Context,
) -> Result<Exit, CliError> {
    let values = param_values(&args.params)?;
    let options = DdlOptions {
        database: args.database.clone(),
    };
    let sql = query.to_athena(&values, None, &options)?;
    let mut results = args.output.open(&[name.to_owned()], cx)?;
    match args.output.format {
        Format::Table => results.write_text(|out, _| {
            writeln!(out, "-- {}: {}", query.id, visible(&query.title))?;
            for line in sql.lines() {
                writeln!(out, "{}", visible(line))?;
            }
            writeln!(out, ";")?;
            Ok(())
        })?,
        _ => {
            let rows = Rows::default()
                .text("id", std::iter::once(Some(query.id.as_str())))
                .text("sql", std::iter::once(Some(sql.as_str())));
            results.write_batch(&About::named(name), &rows.batch())?;
        }
    }
    results.finish()?;
    Ok(Exit::Done)
}

/// The same as `-f json` has, a row for each query; parameters as [`short`] tells them.
fn rows(queries: &[&CannedQuery], is_whole: bool) -> RecordBatch {
    let all = || queries.iter();
    let rows = Rows::default()
        .text("id", all().map(|query| Some(query.id.as_str())))
        .text("title", all().map(|query| Some(query.title.as_str())))
        .text(
            "severity",
            all().map(|query| query.severity.map(|severity| severity.as_str())),
        )
        .texts("tags", all().map(|query| query.tags.clone()))
        .texts(
            "params",
            all().map(|query| query.params.iter().map(short).collect()),
        )
        .texts("reads", all().map(|query| query.reads.clone()))
        .texts("key", all().map(|query| query.key.clone()))
        .text("source", all().map(|query| query.source.as_deref()));
    match is_whole {
        true => rows
            .text(
                "documentation",
                all().map(|query| Some(query.documentation.trim())),
            )
            .text("sql", all().map(|query| Some(query.sql.trim())))
            .batch(),
        false => rows.batch(),
    }
}

fn write_table(queries: &[&CannedQuery], look: Look, out: &mut dyn Write) -> Result<(), CliError> {
    // Rows are few and must all be seen; only the width is the terminal's.
    let has_room = look
        .terminal_width
        .is_none_or(|width| width >= ROOM_FOR_PARAMS);
    let mut columns = vec!["id", "title", "severity"];
    if has_room {
        columns.push("params");
    }
    let mut table = PlainTable::new(&columns, look);
    for query in queries {
        let params = query.params.iter().map(short).collect::<Vec<_>>().join(" ");
        let severity = query.severity.map_or("", |severity| severity.as_str());
        let mut cells = vec![query.id.clone(), query.title.clone(), severity.into()];
        if has_room {
            cells.push(params);
        }
        table.row(&cells);
    }
    table.write(out)?;
    let noun = match queries.len() {
        1 => "query",
        _ => "queries",
    };
    let more = match has_room {
        true => "",
        false => "; `kennel list ID` shows its parameters",
    };
    writeln!(out, "({} {noun}{more})", queries.len())?;
    Ok(())
}

/// `days=90`, `account_id`, `service!` for one that must be given.
fn short(param: &Param) -> String {
    match &param.default {
        Some(default) => format!("{}={default}", param.name),
        None if param.required => format!("{}!", param.name),
        None => param.name.clone(),
    }
}

/// Title, documentation, parameters and SQL of a query.
pub(crate) fn write_text(query: &CannedQuery, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(out, "{}: {}", query.id, visible(&query.title))?;
    if let Some(severity) = query.severity {
        writeln!(out, "severity: {}", severity.as_str())?;
    }
    if !query.tags.is_empty() {
        writeln!(out, "tags: {}", visible(&query.tags.join(", ")))?;
    }
    writeln!(out, "reads: {}", visible(&query.reads.join(", ")))?;
    if let Some(source) = &query.source {
        writeln!(out, "source: {}", visible(source))?;
    }
    if !query.documentation.trim().is_empty() {
        writeln!(out)?;
        for line in query.documentation.trim().lines() {
            writeln!(out, "{}", visible(line))?;
        }
    }
    if !query.params.is_empty() {
        writeln!(out, "\nParameters (--param NAME=VALUE):")?;
        for param in &query.params {
            let rule = match &param.default {
                Some(default) => format!(", default {default}"),
                None if param.required => ", required".into(),
                None => String::new(),
            };
            writeln!(
                out,
                "  {} ({}{}): {}",
                param.name,
                param.param_type.as_str(),
                visible(&rule),
                visible(&param.help)
            )?;
        }
    }
    writeln!(out)?;
    for line in query.sql.trim().lines() {
        writeln!(out, "{}", visible(line))?;
    }
    Ok(())
}

fn json(query: &CannedQuery, whole: bool) -> QueryJson<'_> {
    let params = query.params.iter().map(|param| ParamJson {
        name: &param.name,
        r#type: param.param_type.as_str(),
        default: param.default.as_deref(),
        required: param.required,
        help: &param.help,
    });
    QueryJson {
        id: &query.id,
        title: &query.title,
        severity: query.severity.map(|severity| severity.as_str()),
        tags: &query.tags,
        params: params.collect(),
        reads: &query.reads,
        key: &query.key,
        source: query.source.as_deref(),
        documentation: whole.then_some(query.documentation.trim()),
        sql: whole.then_some(query.sql.trim()),
    }
}

fn write_json(value: &impl serde::Serialize, out: &mut dyn Write) -> Result<(), CliError> {
    serde_json::to_writer_pretty(&mut *out, value)
        .map_err(|e| CliError::from(std::io::Error::from(e)))?;
    writeln!(out)?;
    Ok(())
}

fn write_json_line(value: &impl serde::Serialize, out: &mut dyn Write) -> Result<(), CliError> {
    serde_json::to_writer(&mut *out, value).map_err(|e| CliError::from(std::io::Error::from(e)))?;
    writeln!(out)?;
    Ok(())
}
