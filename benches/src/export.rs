//! A night's report over two nights of 750,000 report rows each: the nightly questions, and all that need no parameters.

use std::process::Command;

use crate::{
    Cli, Outcome, diff,
    measure::{head, say, several, watched},
    queries::with_home,
};

/// Name and arguments.
const EXPORTS: [(&str, &[&str]); 3] = [
    ("export, nightly questions", &[]),
    ("export --all", &["--all"]),
    (
        "export --all --formats html,xlsx",
        &["--all", "--formats", "html,xlsx"],
    ),
];

pub(crate) fn run(cli: &Cli) -> Outcome {
    let home = diff::two_nights(cli)?;
    let out = cli.data.join("exports");
    let export = |args: &[&str]| -> Command {
        let mut command = with_home(cli, &home);
        command.args(["-q", "export", "--out"]).arg(&out).args(args);
        command
    };
    let afresh = || match std::fs::remove_dir_all(&out) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    head("engine/export/750k_rows, two snapshots");
    for (name, args) in EXPORTS {
        several(name, cli.runs, afresh, || export(args))?;
    }
    for (name, args) in EXPORTS {
        afresh()?;
        let seen = watched(&mut export(args))?;
        let peak = seen.peak_bytes.map_or_else(
            || "unknown".into(),
            |bytes| format!("{} MiB", bytes / (1 << 20)),
        );
        say(&format!("\n{name}: peak {peak}"));
    }
    Ok(())
}
