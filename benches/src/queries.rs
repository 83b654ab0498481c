//! Canned queries over the size that the contract names, and the same questions in duckdb.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use kennel_testkit::fixtures::{BucketOptions, ScaleSpec, write_accounts, write_bucket};

use crate::{
    Cli, Outcome,
    measure::{head, once, say, several},
};

/// The guide's question, over the files as they lie in the inbox.
const DUCKDB_IAM_ADMINS: &str = "SELECT DISTINCT customer_id, account_id, principal_name, principal_arn, service_name, access_capability \
    FROM read_parquet('INBOX/hive/parquet/pas/*/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false) \
    WHERE service_name = 'IAM' AND access_capability = 'administer-resource' ORDER BY account_id, principal_name, principal_arn";

pub(crate) fn run(cli: &Cli, nights: usize, duckdb: &Path) -> Outcome {
    let inbox = cli.data.join("inbox");
    let one = cli.data.join("home-1");
    let many = cli.data.join(format!("home-{nights}"));
    if !one.exists() {
        let written = write_bucket(&ScaleSpec::BENCH.world(), &inbox, &BucketOptions::default())?;
        say(&format!(
            "made {} rows in {} files, {} bytes",
            written.rows, written.files, written.bytes
        ));
        sync(cli, &one, &inbox)?;
    }
    head("engine/iam-admins/750k_rows, one snapshot");
    let kennel = several(
        "kennel run k9/iam-admins",
        cli.runs,
        || Ok(()),
        || query(cli, &one, "k9/iam-admins"),
    )?;
    let sql = DUCKDB_IAM_ADMINS.replace("INBOX", &inbox.to_string_lossy());
    match several(
        "duckdb -c",
        cli.runs,
        || Ok(()),
        || {
            let mut command = Command::new(duckdb);
            command.args(["-csv", "-c", &sql]);
            command
        },
    ) {
        Ok(peer) => say(&format!(
            "\nCPU, kennel / duckdb: {:.2}",
            kennel.cpu.as_secs_f64() / peer.cpu.as_secs_f64()
        )),
        Err(error) => say(&format!("\nduckdb left out: {error}")),
    }
    head("engine/canned/750k_rows, one snapshot");
    for id in query_ids(cli, &one)? {
        if let Err(error) = several(&id, cli.runs, || Ok(()), || query(cli, &one, &id)) {
            say(&format!("\n{id} left out: {error}\n"));
        }
    }
    if !many.exists() {
        make_nights(cli, &many, nights)?;
    }
    head(&format!("engine/iam-admins/750k_rows, {nights} snapshots"));
    let with_many = several(
        "kennel run k9/iam-admins",
        cli.runs,
        || Ok(()),
        || query(cli, &many, "k9/iam-admins"),
    )?;
    say(&format!(
        "\nCPU, {nights} snapshots / one: {:.2}",
        with_many.cpu.as_secs_f64() / kennel.cpu.as_secs_f64()
    ));
    Ok(())
}

/// A night a sync: each changes some accounts.
fn make_nights(cli: &Cli, home: &Path, nights: usize) -> Outcome {
    let inbox = cli.data.join("inbox-nights");
    let mut world = ScaleSpec::BENCH.nights();
    write_bucket(world.world(), &inbox, &BucketOptions::default())?;
    sync(cli, home, &inbox)?;
    for night in 1..nights {
        let changed = world.advance(2);
        write_accounts(world.world(), &changed, &inbox, &BucketOptions::default())?;
        sync(cli, home, &inbox)?;
        if night % 50 == 0 {
            say(&format!("night {night}"));
        }
    }
    Ok(())
}

/// Mirrors an inbox into a home.
pub(crate) fn sync(cli: &Cli, home: &Path, inbox: &Path) -> Outcome {
    let config = config(cli, "inbox", inbox)?;
    let mut command = Command::new(&cli.kennel);
    command
        .arg("--home")
        .arg(home)
        .arg("--config")
        .arg(config)
        .args(["-q", "sync"]);
    once(&mut command)?;
    Ok(())
}

/// A config file with one source in a folder.
fn config(cli: &Cli, name: &str, inbox: &Path) -> std::io::Result<PathBuf> {
    let path = cli.data.join(format!("{name}.toml"));
    let inbox = std::fs::canonicalize(inbox)?;
    let text = format!(
        "[[source]]\nname = \"k9\"\nkind = \"k9\"\nurl = \"file://{}\"\n",
        inbox.display()
    );
    std::fs::write(&path, text)?;
    Ok(path)
}

fn query(cli: &Cli, home: &Path, id: &str) -> Command {
    let mut command = with_home(cli, home);
    command.args(["-q", "run", id, "-f", "csv"]);
    command
}

/// kennel over a home that [`sync`] made.
pub(crate) fn with_home(cli: &Cli, home: &Path) -> Command {
    let mut command = Command::new(&cli.kennel);
    command
        .arg("--home")
        .arg(home)
        .arg("--config")
        .arg(cli.data.join("inbox.toml"));
    command
}

/// The queries that need no parameter, as `kennel sql` knows them.
fn query_ids(cli: &Cli, home: &Path) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let output = Command::new(&cli.kennel)
        .arg("--home")
        .arg(home)
        .args([
            "-q",
            "sql",
            "-f",
            "csv",
            "-c",
            "SELECT id FROM kennel.queries ORDER BY id",
        ])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().skip(1).map(str::to_owned).collect())
}
