//! `kennel policy usage`: what a principal used.

use kennel_policy::UsageRow;

use super::{
    inquiry::Inquiry,
    observe::{Detail, WindowArgs},
    rows::Column,
};
use crate::{commands::questions::OutputArgs, context::Context, error::CliError, exit::Exit};

/// IAM actions and resources that a principal used
///
/// One row per action, resource and call: how often it succeeded, was denied, failed otherwise, first and last time.
/// provenance says how the call became an action: exact (the same name), table (AWS documents another name), rule (a
/// version cut off, a batch, a role handed over), unmapped (nobody knows: the row has no action). basis says where the
/// resource is known from; kind and unknown stand for more than was seen. invoked_by is the service that called with
/// the principal's credentials: the principal needs the permission all the same.
///
/// PRINCIPAL may be the ARN of a user, role, root or session, an access key id, a session name, an Identity Center user
/// id, or a bare name.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel policy usage arn:aws:iam::111122223333:role/app
  kennel policy usage AKIAIOSFODNN7EXAMPLE --since 2026-02-01 -f csv -o usage.csv")]
pub(super) struct Args {
    /// Whose calls
    #[arg(value_name = "PRINCIPAL")]
    principal: String,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let mut inquiry = Inquiry::open(cx)?;
    let seen = inquiry
        .observe(&args.principal, &args.window, Detail::Call)
        .await?;
    inquiry.answer(columns(&seen.usage.rows()), &args.output, "usage")
}

fn columns(found: &[UsageRow]) -> Vec<Column> {
    let text = |of: fn(&UsageRow) -> Option<String>| found.iter().map(of).collect::<Vec<_>>();
    let count = |of: fn(&UsageRow) -> u64| found.iter().map(of).collect::<Vec<_>>();
    vec![
        Column::Text("action", text(|row| row.action.clone())),
        Column::Text("resource", text(|row| row.resource.clone())),
        Column::Text(
            "basis",
            text(|row| row.basis.map(|basis| basis.as_str().to_owned())),
        ),
        Column::Text("provenance", text(|row| Some(row.provenance.to_owned()))),
        Column::Text("event_source", text(|row| Some(row.event_source.clone()))),
        Column::Text("event_name", text(|row| Some(row.event_name.clone()))),
        Column::Text("invoked_by", text(|row| row.invoked_by.clone())),
        Column::Count("calls", count(|row| row.calls)),
        Column::Count("denied_calls", count(|row| row.denied_calls)),
        Column::Count("failed_calls", count(|row| row.failed_calls)),
        Column::Time(
            "first_seen",
            found.iter().map(|row| Some(row.first_seen)).collect(),
        ),
        Column::Time(
            "last_seen",
            found.iter().map(|row| Some(row.last_seen)).collect(),
        ),
    ]
}
