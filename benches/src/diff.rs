//! What changed between two nights of 750,000 report rows each, of which every report was made anew.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use kennel_testkit::fixtures::{BucketOptions, ScaleSpec, write_accounts, write_bucket};

use crate::{
    Cli, Outcome,
    measure::{head, say, several, watched},
    queries::{sync, with_home},
};

/// Every row of both access summaries: nearly all there are.
const EVERY_RIGHT: &str = "SELECT customer_id, account_id, principal_arn, principal_name, principal_type, service_name, \
    access_capability, resource_arn, resource_tag_confidentiality FROM k9.principal_access_summaries_latest \
    UNION ALL SELECT customer_id, account_id, principal_arn, principal_name, principal_type, service_name, \
    access_capability, resource_arn, resource_tag_confidentiality FROM k9.resource_access_summaries_latest";

/// What identifies a right.
const KEY: &str =
    "customer_id,account_id,principal_arn,service_name,access_capability,resource_arn";

/// Name and arguments.
const DIFFS: [(&str, &[&str]); 5] = [
    ("every right", &["-c", EVERY_RIGHT, "--key", KEY]),
    ("k9/principal-access", &["k9/principal-access"]),
    ("k9/resource-access", &["k9/resource-access"]),
    ("k9/principals", &["k9/principals"]),
    ("--tag daily", &["--tag", "daily", "-o", "daily/"]),
];

/// A home with two nights.
pub(crate) fn two_nights(cli: &Cli) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let home = cli.data.join("home-two-nights");
    if !home.exists() {
        let inbox = cli.data.join("inbox-two-nights");
        let mut nights = ScaleSpec::BENCH.nights();
        write_bucket(nights.world(), &inbox, &BucketOptions::default())?;
        sync(cli, &home, &inbox)?;
        let changed = nights.advance(ScaleSpec::BENCH.accounts);
        write_accounts(nights.world(), &changed, &inbox, &BucketOptions::default())?;
        sync(cli, &home, &inbox)?;
    }
    Ok(home)
}

pub(crate) fn run(cli: &Cli) -> Outcome {
    let home = two_nights(cli)?;
    head("engine/diff/750k_rows, two snapshots");
    for (name, args) in DIFFS {
        several(name, cli.runs, || Ok(()), || diff(cli, &home, args))?;
    }
    for (name, args) in DIFFS {
        let seen = watched(&mut diff(cli, &home, args))?;
        let rows = seen.stdout.lines().count().saturating_sub(1);
        let peak = seen.peak_bytes.map_or_else(
            || "unknown".into(),
            |bytes| format!("{} MiB", bytes / (1 << 20)),
        );
        say(&format!(
            "\n{name}: peak {peak}, {rows} rows on standard output"
        ));
    }
    Ok(())
}

fn diff(cli: &Cli, home: &Path, args: &[&str]) -> Command {
    let mut command = with_home(cli, home);
    command
        .current_dir(&cli.data)
        .args(["-q", "diff", "-f", "csv"])
        .args(args);
    command
}
