//! `kennel policy`: from usage to policy. The mapping and the evaluation are `kennel-policy`'s; here they meet the cache
//! and people.

mod check;
mod compare;
mod draft;
mod explain;
mod inquiry;
mod observe;
mod rows;
mod usage;

use crate::{context::Context, error::CliError, exit::Exit};

/// What a principal used, the policy it needs, and what it only has
///
/// CloudTrail tells which calls a principal made; kennel maps them to IAM actions and resources, drafts a policy that
/// allows just those, and proves the draft by asking it about every call. What CloudTrail did not log is not in it:
/// each answer says which window, accounts and event classes it rests on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel policy usage arn:aws:iam::111122223333:role/app     the actions that it used, with counts
  kennel policy draft arn:aws:iam::111122223333:role/app -o policy.json
  kennel policy check policy.json arn:aws:iam::111122223333:role/app")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Usage(usage::Args),
    Draft(draft::Args),
    Compare(compare::Args),
    Explain(explain::Args),
    Check(check::Args),
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    match args.command {
        Command::Usage(args) => Box::pin(usage::run(args, cx)).await,
        Command::Draft(args) => Box::pin(draft::run(args, cx)).await,
        Command::Compare(args) => Box::pin(compare::run(args, cx)).await,
        Command::Explain(args) => Box::pin(explain::run(args, cx)).await,
        Command::Check(args) => Box::pin(check::run(args, cx)).await,
    }
}
