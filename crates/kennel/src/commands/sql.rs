//! `kennel sql`: statements from `-c`, a file or standard input; the shell when a person types.

use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::PathBuf,
    sync::Arc,
};

use kennel_engine::{Engine, EngineError, Outcome, ParamValues, Statement};

use super::{
    questions::{
        OutputArgs, ScopeArgs, Verdict, param_values, parse_param, taken_apart, tell_as_of,
    },
    unload,
};
use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    output::About,
    redact::{RedactArgs, Redactor},
    repl::{self, Setup},
    text::minute,
};

/// Statements that answer without rows, by their first word.
const WITHOUT_ROWS: [&str; 10] = [
    "create",
    "drop",
    "alter",
    "msck",
    "use",
    "set",
    "deallocate",
    "insert",
    "unload",
    "prepare",
];

/// Run SQL: -c, a file, standard input, or the shell
///
/// The dialect is Athena's as far as kennel knows it. Schemas: k9, cloudtrail, default, kennel,
/// information_schema; names without a schema are looked up in default, k9, cloudtrail. Several
/// statements are separated by `;`. Views, databases and tables of your own (CREATE EXTERNAL TABLE, CREATE TABLE … AS,
/// INSERT INTO) are kept in the cache; UNLOAD writes into a folder.
///
/// With several results, tables, Markdown and HTML sections follow each other and a workbook gets a sheet for each;
/// other formats need `-o FOLDER`.
///
/// On a terminal, without -c and FILE, a shell begins: Tab completes names and values, Ctrl-R searches what was
/// typed before, Ctrl-C cancels a query, `.help` lists its commands. It first runs ~/.kennelrc (or kennelrc in
/// kennel's config folder). What is larger than the screen goes to KENNEL_PAGER, PAGER or less. Lines that begin
/// with `.` or `\` work in scripts, too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel sql -c 'SELECT principal_name FROM k9.principals_latest LIMIT 5'
  kennel sql report.sql -f csv -o report.csv
  kennel sql -c 'SELECT * FROM k9.resources_latest WHERE resource_arn = $arn' --param arn=arn:aws:s3:::b
  kennel sql -c \"SELECT count(*) FROM k9.principals_latest FOR TIMESTAMP AS OF DATE '2026-03-01'\"
  kennel sql -c \"PREPARE p FROM SELECT * FROM k9.principals_latest WHERE principal_name = ?; EXECUTE p USING 'ci'\"
  kennel sql -c \"UNLOAD (SELECT * FROM k9.resources_latest) TO 'file:///tmp/resources/' WITH (format = 'PARQUET')\"
  echo 'SHOW TABLES IN k9' | kennel sql
  kennel sql             the shell
  kennel sql --safe      the shell without commands that write files or start programs")]
pub(crate) struct Args {
    /// File of statements; - is standard input
    #[arg(value_name = "FILE", conflicts_with = "commands")]
    file: Option<PathBuf>,
    /// Statements (repeatable)
    #[arg(short, long = "command", value_name = "SQL")]
    commands: Vec<String>,
    /// Value of a parameter, written `$name` in the SQL (repeatable); never spliced into the text
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = parse_param)]
    params: Vec<(String, String)>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Do not run ~/.kennelrc
    #[arg(long)]
    no_rc: bool,
    /// Forbid dot commands that read or write files or start programs, and changes of the catalog
    #[arg(long)]
    safe: bool,
    #[command(flatten)]
    redact: RedactArgs,
}

/// Chooses between one run over given statements and the shell.
pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let values = param_values(&args.params)?;
    let is_given = args.file.is_some() || !args.commands.is_empty();
    if !is_given && io::stdin().is_terminal() {
        refuse_in_shell(&args)?;
        return Box::pin(repl::converse(setup(&args, values)?, cx)).await;
    }
    crate::or_interrupted(Box::pin(run_given(args, values, cx))).await
}

fn setup(args: &Args, values: ParamValues) -> Result<Setup, CliError> {
    Ok(Setup {
        settings: args.scope.settings()?,
        as_of: args.scope.as_of().map(str::to_owned),
        values,
        format: args.output.format,
        output: args.output.output.clone(),
        is_safe: args.safe,
        reads_rc: !args.no_rc,
    })
}

/// The shell shows more than results: names while they are typed, plans, its history.
fn refuse_in_shell(args: &Args) -> Result<(), CliError> {
    match args.redact.redact {
        true => Err(
            CliError::new("the shell and its dot commands cannot be redacted")
                .hint("`--redact` works with -c, FILE and standard input"),
        ),
        false => Ok(()),
    }
}

async fn run_given(args: Args, values: ParamValues, cx: &Context) -> Result<Exit, CliError> {
    let mut file = None;
    let texts = match (&args.file, args.commands.as_slice()) {
        (Some(path), _) if path.as_os_str() != "-" => {
            let name = path.display().to_string();
            let text = fs::read_to_string(path)
                .map_err(|e| CliError::new(format!("cannot read `{name}`")).cause(&e))?;
            file = Some(name);
            vec![text]
        }
        (None, commands) if !commands.is_empty() => commands.to_vec(),
        _ => {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .map_err(|e| CliError::new("cannot read standard input").cause(&e))?;
            vec![text]
        }
    };
    if args.safe || texts.iter().any(|text| repl::has_dots(text)) {
        refuse_in_shell(&args)?;
        let text = texts.join("\n;\n");
        return Box::pin(repl::run_script(&text, setup(&args, values)?, cx)).await;
    }
    let in_file = |error: CliError| match &file {
        Some(name) => error.in_file(name),
        None => error,
    };
    let mut statements = Vec::new();
    for text in &texts {
        let found = Engine::statements(text).map_err(|error| in_file(error.into()))?;
        statements.extend(found);
    }
    if statements.is_empty() {
        return Err(CliError::new("there is no statement to run"));
    }
    let redactor = args.redact.open(cx)?;
    let engine = cx.engine(args.scope.settings()?)?;
    tell_as_of(&engine, cx)?;
    execute(&engine, &statements, &values, (&args.output, redactor), cx)
        .await
        .map_err(in_file)
}

async fn execute(
    engine: &Engine,
    statements: &[Statement],
    values: &ParamValues,
    (output, redactor): (&OutputArgs, Option<Arc<Redactor>>),
    cx: &Context,
) -> Result<Exit, CliError> {
    let result_count = statements
        .iter()
        .filter(|statement| gives_rows(statement.text()))
        .count();
    let names = match result_count {
        0 | 1 => vec!["result".to_owned()],
        count => (1..=count)
            .map(|number| format!("result-{number}"))
            .collect(),
    };
    let mut results = output.open(&names, cx)?;
    let mut verdict = Verdict::default();
    let mut names = names.iter();
    for statement in statements {
        let outcome = engine.execute(statement, values, cx.now()).await;
        match outcome.map_err(|error| pointed(error, statement))? {
            Outcome::Answer(answer) => {
                verdict.caveats(&answer.caveats, cx);
                let about = About {
                    name: names.next().cloned().unwrap_or_default(),
                    sql: Some(statement.text().trim().to_owned()),
                    params: values.0.clone().into_iter().collect(),
                    as_of: engine.as_of().map(minute),
                    ..About::default()
                };
                let (answer, about) = match &redactor {
                    Some(redactor) => (redactor.answer(answer)?, redactor.about(about)),
                    None => (answer, about),
                };
                let (about, schema, stream) = taken_apart(answer, about);
                results.write(&about, &schema, stream).await?;
            }
            Outcome::Unload(unload) => {
                let caveats = Box::pin(unload::write(unload, cx)).await?;
                verdict.caveats(&caveats, cx);
            }
            Outcome::Done {
                message,
                notes,
                caveats,
            } => {
                verdict.caveats(&caveats, cx);
                cx.printer.info(&message);
                notes
                    .iter()
                    .for_each(|note| cx.printer.info(&format!("note: {note}")));
            }
        }
    }
    results.finish()?;
    Ok(verdict.exit())
}

/// An error of a statement; what is refused as a whole points at its first word.
pub(crate) fn pointed(error: EngineError, statement: &Statement) -> CliError {
    let is_refused = matches!(error, EngineError::Unsupported { .. });
    let told = CliError::from(error);
    if !is_refused {
        return told;
    }
    let (script, place) = statement.beginning();
    told.excerpt(script, place, None)
}

/// Whether a statement answers with rows, judged by its first word.
fn gives_rows(statement: &str) -> bool {
    let word = first_word(statement);
    !WITHOUT_ROWS
        .iter()
        .any(|without| without.eq_ignore_ascii_case(word))
}

/// The first word of a statement, after comments.
pub(crate) fn first_word(statement: &str) -> &str {
    let mut rest = statement.trim_start();
    loop {
        let after = match rest {
            text if text.starts_with("--") => text.split_once('\n').map_or("", |(_, after)| after),
            text if text.starts_with("/*") => text.split_once("*/").map_or("", |(_, after)| after),
            _ => break,
        };
        rest = after.trim_start();
    }
    rest.split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_without_rows_are_known_by_their_first_word() {
        for text in [
            "SELECT 1",
            "with a as (select 1) select * from a",
            "-- create\nSELECT 1",
            "/* drop */ (SELECT 1)",
            "SHOW TABLES",
            "DESCRIBE x",
        ] {
            assert!(gives_rows(text), "{text}");
        }
        for text in [
            "CREATE TABLE x",
            "-- select\n/* x */ drop view y",
            "MSCK REPAIR TABLE x",
            "alter table x add partition",
        ] {
            assert!(!gives_rows(text), "{text}");
        }
    }
}
