//! `kennel policy check`: what a policy would have denied.

use std::path::PathBuf;

use kennel_policy::{Decision, Document, Finding};

use super::{
    inquiry::Inquiry,
    observe::{Detail, WindowArgs},
    rows::Column,
};
use crate::{
    commands::questions::OutputArgs, context::Context, error::CliError, exit::Exit, text::grouped,
};

/// What a policy would have denied of what a principal did
///
/// FILE holds a policy document in JSON, or an array of documents that are in force together. Each successful call of the
/// principal is put to it; one row per action, resource and answer that is not "allowed". Undecidable means that it depends
/// on what CloudTrail does not record, like tags. Ends with 1 when there are rows.
///
/// Only the identity policies in FILE are judged: policies of resources, boundaries and service control policies are not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel policy check policy.json arn:aws:iam::111122223333:role/app
  kennel policy draft app > draft.json && kennel policy check draft.json app")]
pub(super) struct Args {
    /// The policy
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose calls: ARN, access key id, session name, or bare name
    #[arg(value_name = "PRINCIPAL")]
    principal: String,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let shown = args.file.display();
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| CliError::new(format!("cannot read `{shown}`")).cause(&error))?;
    let documents = Document::parse_all(&text)
        .map_err(|error| CliError::new(format!("`{shown}` is no policy document")).cause(&error))?;
    for statement in documents.iter().flat_map(|document| &document.statements) {
        if let Some((element, _)) = &statement.principal {
            return Err(CliError::new(format!(
                "`{shown}` has {element}: it is a policy of a resource or a trust policy"
            ))
            .hint("a policy of a user or role names no principal"));
        }
        if statement.resources.is_none() {
            return Err(
                CliError::new(format!("`{shown}` has a statement without Resource"))
                    .hint("a policy of a user or role names resources in each statement"),
            );
        }
    }
    let mut inquiry = Inquiry::open(cx)?;
    let seen = inquiry
        .observe(&args.principal, &args.window, Detail::Circumstances)
        .await?;
    let replay = seen.usage.replay(&documents, |_| false);
    cx.printer.info(&format!(
        "replay: the policy allows {} of {} calls",
        grouped(replay.allowed_count),
        grouped(replay.call_count)
    ));
    if replay.call_count == 0 {
        cx.printer.warn(&format!(
            "no call of `{}` could be put to the policy",
            args.principal
        ));
    }
    if !replay.findings.is_empty() {
        inquiry.verdict.findings();
    }
    inquiry.answer(columns(&replay.findings), &args.output, "check")
}

fn columns(findings: &[Finding]) -> Vec<Column> {
    let text = |of: fn(&Finding) -> Option<String>| findings.iter().map(of).collect::<Vec<_>>();
    vec![
        Column::Text("action", text(|row| Some(row.action.clone()))),
        Column::Text("resource", text(|row| Some(row.resource.clone()))),
        Column::Text(
            "decision",
            text(|row| Some(decision(&row.decision).0.to_owned())),
        ),
        Column::Text("why", text(|row| Some(decision(&row.decision).1))),
        Column::Text("event_source", text(|row| Some(row.event_source.clone()))),
        Column::Text("event_name", text(|row| Some(row.event_name.clone()))),
        Column::Count("calls", findings.iter().map(|row| row.calls).collect()),
        Column::Time(
            "first_seen",
            findings.iter().map(|row| Some(row.first_seen)).collect(),
        ),
        Column::Time(
            "last_seen",
            findings.iter().map(|row| Some(row.last_seen)).collect(),
        ),
        Column::Text("event_id", text(|row| row.event_id.clone())),
    ]
}

fn decision(decision: &Decision) -> (&'static str, String) {
    match decision {
        Decision::Allowed => ("allowed", String::new()),
        Decision::DeniedBy(statement) => ("denied", format!("{statement} denies it")),
        Decision::NotAllowed => ("not-allowed", "no statement allows it".into()),
        Decision::Undecidable(why) => ("undecidable", why.clone()),
    }
}
