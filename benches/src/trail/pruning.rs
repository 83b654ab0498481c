//! How much of a year of 50 accounts in 17 regions a question about one day of one account reads.

use std::{fs, path::Path};

use chrono::{NaiveDate, TimeDelta};
use kennel_testkit::fixtures::trail::TrailScale;

use super::{Bench, data};
use crate::{
    Outcome,
    measure::{say, watched},
};

pub(super) fn run(bench: &Bench<'_>, days: usize) -> Outcome {
    let bucket = data::year(bench, days)?;
    let home = data::mirrored(bench, &bucket)?;
    let mut files = Vec::new();
    data::files_below(&home.join("tables"), &mut files)?;
    let sizes = files
        .iter()
        .map(fs::metadata)
        .collect::<Result<Vec<_>, _>>()?;
    let all_bytes = sizes.iter().map(fs::Metadata::len).sum::<u64>();
    say(&format!(
        "\n### engine/pruning/{}_events, {} files, {all_bytes} bytes\n",
        bucket.events,
        files.len()
    ));
    say("| question | wall ms | CPU ms | bytes read | of them tables | share |");
    say("|---|---:|---:|---:|---:|---:|");
    // What any process reads: libraries, config, manifest.
    let idle = read(bench, &home, "SELECT 1")?;
    let account = TrailScale::account_id(7);
    let first = NaiveDate::from_ymd_opt(2026, 1, 1).ok_or("no such day")?;
    let day = first + TimeDelta::days(i64::try_from(days / 2)?);
    let (folder, month, number) = (day.format("%Y/%m/%d"), day.format("%m"), day.format("%d"));
    let (from, until) = (day, day + TimeDelta::days(1));
    for (name, sql) in [
        (
            "day of an account, by its folder",
            format!(
                "SELECT eventname, count(*) FROM cloudtrail.cloudtrail_logs WHERE account = '{account}' AND \"timestamp\" = '{folder}' GROUP BY 1"
            ),
        ),
        (
            "day of an account, by year, month, day",
            format!(
                "SELECT eventname, count(*) FROM cloudtrail.cloudtrail_logs WHERE account = '{account}' AND year = '2026' AND month = '{month}' AND day = '{number}' GROUP BY 1"
            )
        ),
        (
            "day of an account, by event time",
            format!(
                "SELECT event_name, count(*) FROM cloudtrail.events WHERE account_id = '{account}' AND event_time >= TIMESTAMP '{from} 00:00:00' AND event_time < TIMESTAMP '{until} 00:00:00' GROUP BY 1"
            ),
        ),
        (
            "everything",
            "SELECT count(DISTINCT event_id), count(DISTINCT request_parameters), count(DISTINCT user_agent) FROM cloudtrail.events".to_owned(),
        ),
    ] {
        let asked = read(bench, &home, &sql)?;
        let of_tables = asked.bytes.saturating_sub(idle.bytes);
        say(&format!(
            "| {name} | {:.1} | {:.1} | {} | {of_tables} | {:.2} % |",
            asked.wall_ms,
            asked.cpu_ms,
            asked.bytes,
            of_tables as f64 * 100.0 / all_bytes as f64
        ));
    }
    Ok(())
}

struct Asked {
    wall_ms: f64,
    cpu_ms: f64,
    bytes: u64,
}

fn read(bench: &Bench<'_>, home: &Path, sql: &str) -> Result<Asked, Box<dyn std::error::Error>> {
    let mut command = bench.kennel(home);
    command.args(["sql", "-f", "csv", "-c", sql]);
    let watched = watched(&mut command)?;
    if watched.stdout.lines().count() < 2 {
        return Err(format!("no rows: {sql}").into());
    }
    Ok(Asked {
        wall_ms: watched.run.wall.as_secs_f64() * 1e3,
        cpu_ms: watched.run.cpu.as_secs_f64() * 1e3,
        bytes: watched
            .read_bytes
            .ok_or("this system does not count what a process reads")?,
    })
}
