//! `kennel sql`: statements from `-c`, a file, standard input, or typed line by line.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Read},
    path::PathBuf,
};

use kennel_engine::{Engine, Outcome, ParamValues, Statement};

use super::questions::{
    OutputArgs, ScopeArgs, Verdict, param_values, parse_param, tell_as_of, write_answer,
};
use crate::{context::Context, error::CliError, exit::Exit, output::target::Target};

/// Statements that answer without rows, by their first word.
const WITHOUT_ROWS: [&str; 7] = [
    "create",
    "drop",
    "alter",
    "msck",
    "use",
    "set",
    "deallocate",
];

/// Run SQL: -c, a file, standard input, or line by line
///
/// The dialect is Athena's as far as kennel knows it. Schemas: k9, cloudtrail, default, kennel,
/// information_schema; names without a schema are looked up in default, k9, cloudtrail. Several
/// statements are separated by `;`.
///
/// With several results, tables and Markdown follow each other; other formats need `-o FOLDER`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel sql -c 'SELECT principal_name FROM k9.principals_latest LIMIT 5'
  kennel sql report.sql -f csv -o report.csv
  kennel sql -c 'SELECT * FROM k9.resources_latest WHERE resource_arn = $arn' --param arn=arn:aws:s3:::b
  kennel sql -c \"SELECT count(*) FROM k9.principals_latest FOR TIMESTAMP AS OF DATE '2026-03-01'\"
  echo 'SHOW TABLES IN k9' | kennel sql
  kennel sql    type statements, each ended by ;")]
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
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let values = param_values(&args.params)?;
    let text = match (&args.file, args.commands.as_slice()) {
        (Some(path), _) if path.as_os_str() != "-" => fs::read_to_string(path)
            .map_err(|e| CliError::new(format!("cannot read `{}`", path.display())).cause(&e))?,
        (None, commands) if !commands.is_empty() => commands.join("\n;\n"),
        (None, _) if io::stdin().is_terminal() => {
            let engine = cx.engine(args.scope.settings()?)?;
            tell_as_of(&engine, cx)?;
            return converse(&engine, &values, &args.output, cx).await;
        }
        _ => {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .map_err(|e| CliError::new("cannot read standard input").cause(&e))?;
            text
        }
    };
    let statements = Engine::statements(&text)?;
    if statements.is_empty() {
        return Err(CliError::new("there is no statement to run"));
    }
    let engine = cx.engine(args.scope.settings()?)?;
    tell_as_of(&engine, cx)?;
    execute(&engine, &statements, &values, &args.output, cx).await
}

async fn execute(
    engine: &Engine,
    statements: &[Statement],
    values: &ParamValues,
    output: &OutputArgs,
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
    let mut target = Target::open(output.output.as_deref(), output.format, &names)?;
    let mut verdict = Verdict::default();
    let mut index = 0;
    for statement in statements {
        match engine.execute(statement, values, cx.now()).await? {
            Outcome::Answer(answer) => {
                verdict.caveats(&answer.caveats, cx);
                if index > 0 && matches!(target, Target::Stdout | Target::File(_)) {
                    target
                        .with(index, &cx.printer, async |out, _| Ok(writeln!(out)?))
                        .await?;
                }
                let place = index.min(names.len() - 1);
                write_answer(answer, &mut target, place, output.format, None, cx).await?;
                index += 1;
            }
            Outcome::Done { message, notes } => {
                cx.printer.info(&message);
                notes
                    .iter()
                    .for_each(|note| cx.printer.info(&format!("note: {note}")));
            }
        }
    }
    for path in target.finish()? {
        cx.printer.info(&format!("wrote {}", path.display()));
    }
    Ok(verdict.exit())
}

/// Whether a statement answers with rows, judged by its first word.
fn gives_rows(statement: &str) -> bool {
    let mut rest = statement.trim_start();
    loop {
        let after = match rest {
            text if text.starts_with("--") => text.split_once('\n').map_or("", |(_, after)| after),
            text if text.starts_with("/*") => text.split_once("*/").map_or("", |(_, after)| after),
            _ => break,
        };
        rest = after.trim_start();
    }
    let word = rest
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    !WITHOUT_ROWS
        .iter()
        .any(|without| without.eq_ignore_ascii_case(word))
}

/// Reads statements from a terminal; an error ends the statement, not the conversation.
async fn converse(
    engine: &Engine,
    values: &ParamValues,
    output: &OutputArgs,
    cx: &Context,
) -> Result<Exit, CliError> {
    cx.printer.info(
        "Statements end with `;`. `SHOW TABLES IN k9;` lists the tables, `quit` or Ctrl-D ends.",
    );
    let mut pending = String::new();
    loop {
        cx.printer.prompt(if pending.is_empty() {
            "kennel> "
        } else {
            "   ...> "
        });
        let mut line = String::new();
        let read = io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|e| CliError::new("cannot read standard input").cause(&e))?;
        if read == 0 {
            cx.printer.prompt("\n");
            return Ok(Exit::Done);
        }
        if pending.is_empty()
            && ["quit", "exit", "\\q", ".quit", ".exit"]
                .contains(&line.trim().trim_end_matches(';'))
        {
            return Ok(Exit::Done);
        }
        pending.push_str(&line);
        // An open quote or comment is not an end, although the line may end with a semicolon.
        let Some(statements) = pending
            .trim_end()
            .strip_suffix(';')
            .and_then(|_| Engine::statements(&pending).ok())
        else {
            if pending.trim().is_empty() {
                pending.clear();
            }
            continue;
        };
        pending.clear();
        for statement in statements {
            let one = OutputArgs {
                format: output.format,
                output: output.output.clone(),
            };
            if let Err(error) =
                execute(engine, std::slice::from_ref(&statement), values, &one, cx).await
            {
                cx.printer.error(&error);
            }
        }
    }
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
