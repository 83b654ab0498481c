//! `kennel run`: canned queries.

use chrono::TimeDelta;
use kennel_engine::{CannedQuery, CaveatKind, Engine, ParamValues};

use super::questions::{
    OutputArgs, ScopeArgs, Verdict, distribute, in_query, param_values, parse_param, taken_apart,
    tell_as_of,
};
use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    output::About,
    redact::RedactArgs,
    suppressions::{Sieves, SuppressArgs},
    text::{minute, parse_span},
};

/// Answer questions by their ids
///
/// `kennel list` shows the ids; a short name works where it is unique. Answers come from the cache alone.
/// What an answer lacks (a report type, an account, a source that was never synced) is said on standard
/// error, and the exit code is 3 or 4: no rows never means "all is well" by accident.
///
/// Findings that somebody accepted (docs/suppressions.md) are left out and counted on standard error; their ends are
/// judged against the state that answers.
///
/// With several ids, tables, Markdown and HTML sections follow each other and a workbook gets a sheet for each; other
/// formats need `-o FOLDER`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel run iam-admins
  kennel run rds-delete --account 111122223333 -f csv -o rds.csv
  kennel run stale-credentials --param max_age_days=45
  kennel run iam-admins --as-of yesterday
  kennel run iam-admins --as-of 2026-03-01 -f jsonl
  kennel run iam-admins stale-credentials -f html -o findings.html
  kennel run iam-admins over-accessible-resources --check --max-age 36h    for cron
  kennel run iam-admins --suppressed      what suppressions.toml hides")]
pub(crate) struct Args {
    /// Queries, by id (k9/iam-admins) or short name (iam-admins)
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Value of a parameter (repeatable); goes to each query that has it
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = parse_param)]
    params: Vec<(String, String)>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// End with 1 when there are rows
    #[arg(long)]
    check: bool,
    /// End with 4 when a report that the questions read is older (36h, 2d)
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    max_age: Option<TimeDelta>,
    #[command(flatten)]
    suppress: SuppressArgs,
    /// Show the suppressed rows alone, with who suppresses them and why
    #[arg(long, conflicts_with_all = ["no_suppressions", "check"])]
    suppressed: bool,
    #[command(flatten)]
    redact: RedactArgs,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let values = param_values(&args.params)?;
    let redactor = args.redact.open(cx)?;
    let engine = cx.engine(args.scope.settings()?)?;
    tell_as_of(&engine, cx)?;
    let queries = args
        .ids
        .iter()
        .map(|id| engine.library().find(id))
        .collect::<Result<Vec<_>, _>>()?;
    let ids = queries
        .iter()
        .map(|query| query.id.clone())
        .collect::<Vec<_>>();
    let values = distribute(&values, &queries);
    let mut sieves = Sieves::open(&args.suppress, args.suppressed, &engine, cx)?;
    let mut results = args.output.open(&ids, cx)?;
    let mut verdict = Verdict::default();
    for (query, values) in queries.iter().zip(&values) {
        let answer = engine
            .run(query, values)
            .await
            .map_err(|error| in_query(error.into(), query, queries.len()))?;
        verdict.caveats(&answer.caveats, cx);
        verdict.max_age(&answer.reports, args.max_age, cx.now(), cx);
        let is_whole = args.scope.is_everything()
            && values.0.is_empty()
            && answer
                .caveats
                .iter()
                .all(|caveat| caveat.kind == CaveatKind::Note);
        let about = about(query, values, &engine);
        let (answer, sieve) = sieves.before(&query.id, answer)?;
        let (answer, about) = match &redactor {
            Some(redactor) => (redactor.answer(answer)?, redactor.about(about)),
            None => (answer, about),
        };
        let (about, schema, stream) = taken_apart(answer, about);
        let row_count = results.write(&about, &schema, stream).await?;
        sieves.after(sieve, is_whole);
        if args.check && row_count > 0 {
            verdict.findings();
        }
        cx.printer
            .detail(&format!("{}: {row_count} rows", query.id));
    }
    results.finish()?;
    sieves.tell(engine.library(), cx);
    Ok(verdict.exit())
}

/// What a page says of a question besides its rows.
pub(crate) fn about(query: &CannedQuery, values: &ParamValues, engine: &Engine) -> About {
    let params = query.params.iter().filter_map(|param| {
        let given = values.0.get(&param.name);
        let value = match (given, &param.default) {
            (Some(value), _) => value.clone(),
            (None, Some(default)) => format!("{default} (the default)"),
            (None, None) => return None,
        };
        Some((param.name.clone(), value))
    });
    About {
        name: query.id.clone(),
        title: Some(query.title.clone()),
        severity: query.severity.map(|severity| severity.as_str()),
        documentation: Some(query.documentation.trim().to_owned()),
        as_of: engine.as_of().map(minute),
        params: params.collect(),
        sql: Some(query.sql.trim().to_owned()),
        ..About::default()
    }
}
