//! `kennel ddl`: the statements that make the same tables in Athena.

use std::io::Write;

use datafusion::arrow::record_batch::RecordBatch;
use kennel_engine::{AthenaStatement, DdlOptions, EngineSettings};

use super::questions::OutputArgs;
use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    output::{About, Format, Rows},
    text::visible,
};

/// Print the statements that make the same tables in Athena
///
/// A database, a table for each report type and for each trail in kennel.toml, with partition projection, and the
/// view over which kennel's own questions read CloudTrail: `kennel list ID --sql athena` prints a question for them.
/// Which accounts and regions there are, the cache knows; without it reports need `MSCK REPAIR TABLE`.
///
/// Nothing is sent to AWS. `kennel sql` takes the same statements.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel ddl > tables.sql
  kennel ddl --database security
  kennel ddl -f json")]
pub(crate) struct Args {
    /// Put all tables into this database instead of k9 and cloudtrail
    #[arg(long, value_name = "NAME", value_parser = parse_database)]
    database: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Reads the name of a database.
pub(crate) fn parse_database(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit());
    match is_name {
        true => Ok(text.to_lowercase()),
        false => Err("a database's name has letters, digits and underscores".into()),
    }
}

pub(crate) fn run(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    if cx.settings.sources.is_empty() {
        return Err(CliError::new("kennel.toml names no source")
            .hint("`kennel init --k9 s3://BUCKET` writes one"));
    }
    let engine = cx.engine(EngineSettings::default())?;
    let statements = engine.athena_ddl(&DdlOptions {
        database: args.database.clone(),
    })?;
    let name = "ddl".to_owned();
    let mut results = args.output.open(std::slice::from_ref(&name), cx)?;
    match args.output.format {
        Format::Table => results.write_text(|out, _| write_script(&statements, out))?,
        _ => results.write_batch(&About::named(&name), &rows(&statements))?,
    }
    results.finish()?;
    Ok(Exit::Done)
}

/// A script: notes as comments, a semicolon after each statement.
fn write_script(statements: &[AthenaStatement], out: &mut dyn Write) -> Result<(), CliError> {
    for (index, statement) in statements.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        for note in &statement.notes {
            writeln!(out, "-- {}", visible(note))?;
        }
        for line in statement.sql.lines() {
            writeln!(out, "{}", visible(line))?;
        }
        // On a line of its own a semicolon ends a comment's statement, too.
        writeln!(out, ";")?;
    }
    Ok(())
}

fn rows(statements: &[AthenaStatement]) -> RecordBatch {
    let all = || statements.iter();
    Rows::default()
        .text(
            "statement",
            all().map(|statement| Some(statement.sql.as_str())),
        )
        .texts("notes", all().map(|statement| statement.notes.clone()))
        .batch()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_databases_are_plain() {
        assert_eq!(parse_database("Security_1").unwrap(), "security_1");
        for text in ["", "1a", "a-b", "a.b", "a;DROP"] {
            assert!(parse_database(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_script_ends_each_statement() {
        let statement = |sql: &str, notes: &[&str]| AthenaStatement {
            sql: sql.into(),
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
        };
        let mut out = Vec::new();
        write_script(&[statement("A\nB", &["n"]), statement("C", &[])], &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "-- n\nA\nB\n;\n\nC\n;\n");
    }
}
