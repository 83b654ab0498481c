//! `kennel diff`: what changed between two states.

use std::sync::Arc;

use kennel_engine::{
    AsOf, CannedQuery, Change, DiffOptions, Engine, ParamValues, Question, Statement,
};

use super::questions::{
    NarrowArgs, OutputArgs, Verdict, distribute, in_query, param_values, parse_param, state,
    taken_apart,
};
use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    output::{About, Format},
    redact::{Memory, RedactArgs},
    suppressions::{Sieves, SuppressArgs},
};

/// Show what changed between two states of the reports
///
/// The same question is asked of both states; rows are matched by the query's key. `change` is added, changed or
/// removed, `changes` tells the columns that are others with their values before and after. csv, json and other formats for
/// machines also have before_… and after_… of every column (`--wide`: tables, too). null is a value: "became empty" is
/// told from "did not change".
///
/// Columns that change every night without news (last uses, ages, analysis times) are not compared; `--include-noise`
/// compares them too. An account of which one side has no report is not compared and does not look as if all of it were new
/// or gone: it is named on standard error, and the exit code is 3.
///
/// Ends with 1 when there are rows.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel diff iam-admins                       against the snapshot before the newest
  kennel diff principals --from yesterday
  kennel diff --tag daily --only added         the daily review: new admins, new access to
                                               sensitive data, newly stale
  kennel diff resources --from 2026-02-01 --to 2026-03-01 -f csv -o changed.csv
  kennel diff --from -7d --key account_id,principal_arn -c \"SELECT account_id, principal_arn,
      access_key_1_state FROM k9.principals_latest\"")]
pub(crate) struct Args {
    /// Queries, by id (k9/principals) or short name (principals)
    #[arg(value_name = "ID", required_unless_present_any = ["command", "tags"], conflicts_with = "command")]
    ids: Vec<String>,
    /// All queries with this tag (repeatable)
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "command")]
    tags: Vec<String>,
    /// A query of your own; needs --key
    #[arg(short, long, value_name = "SQL", requires = "key")]
    command: Option<String>,
    /// The earlier state: a time (2026-03-01T04:10Z; 2026-03-01 and yesterday: at the end of that day, UTC; -7d), a
    /// snapshot (s12), latest, or previous (the snapshot before --to)
    #[arg(
        long,
        value_name = "TIME|SNAPSHOT",
        default_value = "previous",
        allow_hyphen_values = true
    )]
    from: String,
    /// The later state
    #[arg(
        long,
        value_name = "TIME|SNAPSHOT",
        default_value = "latest",
        allow_hyphen_values = true
    )]
    to: String,
    /// Columns that identify a row, in the place of the query's own
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    key: Vec<String>,
    /// Further columns that are not compared
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    noise: Vec<String>,
    /// Compare also the columns that are noise
    #[arg(long, conflicts_with = "noise")]
    include_noise: bool,
    /// Show only these changes
    #[arg(long, value_name = "CHANGES", value_delimiter = ',')]
    only: Vec<OnlyChange>,
    /// Also in tables and Markdown: before_… and after_… of every compared column
    #[arg(long)]
    wide: bool,
    /// Value of a parameter (repeatable); goes to each query that has it
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = parse_param)]
    params: Vec<(String, String)>,
    #[command(flatten)]
    suppress: SuppressArgs,
    #[command(flatten)]
    redact: RedactArgs,
    #[command(flatten)]
    narrow: NarrowArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum OnlyChange {
    /// It is new
    Added,
    /// Its key was there with other values
    Changed,
    /// It is gone
    Removed,
}

impl From<OnlyChange> for Change {
    fn from(only: OnlyChange) -> Self {
        match only {
            OnlyChange::Added => Self::Added,
            OnlyChange::Changed => Self::Changed,
            OnlyChange::Removed => Self::Removed,
        }
    }
}

/// One question with its parameters.
struct Asked<'a> {
    name: String,
    title: Option<String>,
    question: Question<'a>,
    values: ParamValues,
    canned: Option<&'a CannedQuery>,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let values = param_values(&args.params)?;
    let redactor = args.redact.open(cx)?;
    let options = options(&args)?;
    let statement = args.command.as_deref().map(one_statement).transpose()?;
    let engine = cx.engine(args.narrow.settings())?;
    let asked = match &statement {
        Some(statement) => vec![Asked {
            name: "diff".into(),
            title: None,
            question: Question::Sql(statement),
            values,
            canned: None,
        }],
        None => canned(&engine, &args, &values)?,
    };
    let names = asked
        .iter()
        .map(|asked| asked.name.clone())
        .collect::<Vec<_>>();
    let mut sieves = Sieves::open(&args.suppress, false, &engine, cx)?;
    // Suppressions are for names, and there are tokens when they are applied.
    let veiled = redactor.as_ref().map(|redactor| {
        let memory = Arc::new(Memory::of(redactor, &sieves.columns()));
        (redactor, memory)
    });
    let options = DiffOptions {
        mapped: veiled
            .as_ref()
            .map(|(redactor, memory)| redactor.rows(memory)),
        ..options
    };
    let mut results = args.output.open(&names, cx)?;
    let mut verdict = Verdict::default();
    let count = asked.len();
    for (index, asked) in asked.into_iter().enumerate() {
        let diff = Box::pin(engine.diff(asked.question, &asked.values, &options)).await;
        let diff = diff.map_err(|error| match asked.canned {
            Some(query) => in_query(error.into(), query, count),
            None => error.into(),
        })?;
        if index == 0 {
            cx.printer.info(&format!(
                "from {} to {}",
                state(diff.from.0, &diff.from.1),
                state(diff.to.0, &diff.to.1)
            ));
        }
        verdict.caveats(&diff.answer.caveats, cx);
        let about = About {
            name: asked.name.clone(),
            title: asked.title,
            params: asked.values.0.clone().into_iter().collect(),
            ..About::default()
        };
        let (answer, sieve) = match asked.canned {
            Some(query) => {
                let memory = veiled.as_ref().map(|(_, memory)| memory);
                sieves.before_changes(&query.id, diff.answer, memory, cx)
            }
            None => (diff.answer, None),
        };
        let (answer, about) = match &redactor {
            Some(redactor) => (redactor.around(answer), redactor.about(about)),
            None => (answer, about),
        };
        let (about, schema, stream) = taken_apart(answer, about);
        let row_count = results.write(&about, &schema, stream).await?;
        sieves.after(sieve, false);
        if row_count > 0 {
            verdict.findings();
        }
        cx.printer
            .detail(&format!("{}: {row_count} rows", asked.name));
    }
    results.finish()?;
    sieves.tell(engine.library(), cx);
    Ok(verdict.exit())
}

fn options(args: &Args) -> Result<DiffOptions, CliError> {
    Ok(DiffOptions {
        from: args.from.parse::<AsOf>()?,
        to: args.to.parse::<AsOf>()?,
        key: args.key.clone(),
        noise: args.noise.clone(),
        include_noise: args.include_noise,
        only: args.only.iter().map(|only| Change::from(*only)).collect(),
        mapped: None,
        compact: !args.wide && matches!(args.output.format, Format::Table | Format::Markdown),
    })
}

/// The one query of `-c`.
fn one_statement(sql: &str) -> Result<Statement, CliError> {
    let mut statements = Engine::statements(sql)?;
    match (statements.pop(), statements.len()) {
        (Some(statement), 0) => Ok(statement),
        (None, _) => Err(CliError::new("there is no statement to compare")),
        _ => Err(CliError::new(
            "only one statement can be compared at a time",
        )),
    }
}

/// The queries that are named, then those of the tags.
fn canned<'a>(
    engine: &'a Engine,
    args: &Args,
    values: &ParamValues,
) -> Result<Vec<Asked<'a>>, CliError> {
    let library = engine.library();
    let mut queries: Vec<&CannedQuery> = Vec::new();
    for id in &args.ids {
        queries.push(library.find(id)?);
    }
    for tag in &args.tags {
        let tagged = library.iter().filter(|query| query.tags.contains(tag));
        let tagged = tagged.collect::<Vec<_>>();
        if tagged.is_empty() {
            return Err(CliError::new(format!("no query has the tag `{tag}`"))
                .hint("`kennel list -f json` shows the tags"));
        }
        queries.extend(tagged);
    }
    let mut seen = std::collections::HashSet::new();
    queries.retain(|query| seen.insert(query.id.clone()));
    let values = distribute(values, &queries);
    Ok(queries
        .into_iter()
        .zip(values)
        .map(|(query, values)| Asked {
            name: query.id.clone(),
            title: Some(query.title.clone()),
            question: Question::Canned(query),
            values,
            canned: Some(query),
        })
        .collect())
}
