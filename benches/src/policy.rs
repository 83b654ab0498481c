//! From usage to policy over two million events: what one principal used, and a draft with its replay.

use std::path::PathBuf;

use crate::{
    Cli, Outcome,
    measure::{head, several, watched},
    trail,
};

/// The forms in which one principal is asked for, and the part of the bench's name.
const COMMANDS: [(&str, &[&str]); 3] = [
    ("usage", &["policy", "usage", "-f", "csv"]),
    ("draft", &["policy", "draft"]),
    (
        "draft, each resource exactly",
        &["policy", "draft", "--resource-level", "exact"],
    ),
];

pub(crate) fn run(cli: &Cli, events: usize) -> Outcome {
    let bench = trail::Bench::of(cli, PathBuf::new())?;
    let home = bench.home(events)?;
    for (which, principal) in [
        ("the busiest role", busiest(&bench, &home, "DESC")?),
        ("the quietest role", busiest(&bench, &home, "ASC")?),
    ] {
        head(&format!("policy/{events}_events, {which}"));
        for (name, arguments) in COMMANDS {
            several(
                name,
                cli.runs,
                || Ok(()),
                || {
                    let mut command = bench.kennel(&home);
                    command.args(arguments).arg(&principal);
                    command
                },
            )?;
        }
    }
    Ok(())
}

/// The role with the most or the fewest calls.
fn busiest(
    bench: &trail::Bench<'_>,
    home: &std::path::Path,
    order: &str,
) -> Result<String, Box<dyn std::error::Error>> {
    let sql = format!(
        "SELECT principal_arn FROM cloudtrail.events WHERE principal_type = 'AssumedRole' GROUP BY principal_arn ORDER BY count(*) {order}, principal_arn LIMIT 1"
    );
    let mut command = bench.kennel(home);
    command.args(["sql", "-f", "csv", "-c", &sql]);
    let answer = watched(&mut command)?.stdout;
    let arn = answer.lines().nth(1).filter(|arn| !arn.is_empty());
    Ok(arn.ok_or("no role has calls")?.to_owned())
}
