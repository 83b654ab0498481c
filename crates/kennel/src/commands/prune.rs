//! `kennel prune`: the only command that deletes.

use kennel_cache::{Cache, CacheError, CacheWriter, Retention};

use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    text::{bytes, counted},
};

/// Forget old snapshots and free their space
///
/// A snapshot stays when any rule keeps it; the newest of each source always stays. Object versions
/// that only forgotten snapshots had are deleted, once no query reads them any more. Nothing else in
/// kennel deletes, and nothing is deleted unless a rule is given here.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel prune --keep-days 400 --dry-run    what would go
  kennel prune --keep-snapshots 30          the newest 30 of each source stay
  kennel prune --keep-days 90 --keep-monthly    and the first of each month before")]
pub(crate) struct Args {
    /// Keep the newest N snapshots of each source
    #[arg(long, value_name = "N", required_unless_present_any = ["keep_days", "keep_monthly"])]
    keep_snapshots: Option<u64>,
    /// Keep snapshots younger than N days
    #[arg(long, value_name = "N")]
    keep_days: Option<u32>,
    /// Keep the first snapshot of each month (UTC), of the newest N months that have any [default: all]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "4294967295", hide_default_value = true)]
    keep_monthly: Option<u32>,
    /// Say what would go, and delete nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    // A writer would make a cache where there is none.
    drop(Cache::open(cx.home())?);
    let now = cx.now();
    let mut writer = CacheWriter::open(cx.home(), now)?;
    let retention = Retention {
        keep_snapshots: args.keep_snapshots,
        keep_days: args.keep_days,
        keep_months: args.keep_monthly,
    };
    let outcome = match writer.prune(retention, now, args.dry_run) {
        Ok(outcome) => outcome,
        Err(error @ CacheError::Busy) => {
            cx.printer.error(&error.into());
            return Ok(Exit::Partial);
        }
        Err(error) => return Err(error.into()),
    };
    let verb = if args.dry_run {
        "would forget"
    } else {
        "forgot"
    };
    let ids = outcome
        .snapshots
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    for id in &ids {
        cx.printer.detail(&format!("{verb} {id}"));
    }
    let which = match ids.as_slice() {
        [] => String::new(),
        [only] => format!(" ({only})"),
        [first, .., last] => format!(" ({first} to {last})"),
    };
    cx.printer.info(&format!(
        "{verb} {}{which} and {}, {} {} of disk space: {} before, {} after",
        counted(ids.len() as u64, "snapshot"),
        counted(outcome.version_count, "object version"),
        if args.dry_run { "would free" } else { "freed" },
        bytes(outcome.freed_bytes),
        bytes(outcome.freed_bytes + outcome.kept_bytes),
        bytes(outcome.kept_bytes),
    ));
    Ok(Exit::Done)
}
