//! Ten questions over ingested events, and the same in duckdb over the same Parquet files.

use std::path::Path;

use super::{Bench, data};
use crate::{
    Outcome,
    measure::{head, say, several, watched},
};

/// What duckdb sees: kennel's table files under the names that `cloudtrail.events` has.
const DUCKDB_EVENTS: &str = "WITH logs AS (SELECT * FROM read_parquet('TABLES/*/*.parquet')), events AS (SELECT eventname AS event_name, eventid AS event_id, \
    errorcode AS error_code, sourceipaddress AS source_ip_address, requestparameters AS request_parameters, * FROM logs WHERE NOT is_duplicate) ";

/// Name, kennel's SQL, and duckdb's where it differs; `KEY`, `ROLE` and `ID` stand for values of the data.
const QUESTIONS: [(&str, &str, Option<&str>); 10] = [
    ("count", "SELECT count(*) AS n FROM cloudtrail.events", None),
    (
        "by_service",
        "SELECT service, count(*) AS n FROM cloudtrail.events GROUP BY service ORDER BY n DESC, service",
        None,
    ),
    (
        "denied_by_principal",
        "SELECT principal_arn, service, event_name, count(*) AS n FROM cloudtrail.events WHERE is_denied GROUP BY 1, 2, 3 ORDER BY n DESC, 1, 2, 3 LIMIT 100",
        None,
    ),
    (
        "daily_volume",
        "SELECT account, \"timestamp\", count(*) AS n FROM cloudtrail.cloudtrail_logs GROUP BY 1, 2 ORDER BY 1, 2",
        None,
    ),
    (
        "actions_of_a_role",
        "SELECT service, event_name, count(*) AS n FROM cloudtrail.events WHERE principal_arn = 'ROLE' GROUP BY 1, 2 ORDER BY 1, 2",
        None,
    ),
    (
        "access_key",
        "SELECT event_id, event_name, source_ip_address FROM cloudtrail.events WHERE access_key_id = 'KEY' ORDER BY event_id",
        None,
    ),
    (
        "event_id",
        "SELECT event_id, event_name, principal_arn FROM cloudtrail.events WHERE event_id = 'ID'",
        None,
    ),
    (
        "addresses_of_principals",
        "SELECT principal_arn, count(DISTINCT source_ip_address) AS n FROM cloudtrail.events GROUP BY 1 ORDER BY n DESC, 1 LIMIT 100",
        None,
    ),
    (
        "errors_of_a_day",
        "SELECT service, error_code, count(*) AS n FROM cloudtrail.events WHERE is_error AND event_time >= TIMESTAMP '2026-01-10 00:00:00' AND event_time < TIMESTAMP '2026-01-11 00:00:00' GROUP BY 1, 2 ORDER BY n DESC, 1, 2",
        None,
    ),
    (
        "buckets_in_json",
        "SELECT json_extract_scalar(request_parameters, '$.bucketName') AS bucket, count(*) AS n FROM cloudtrail.events WHERE event_name = 'GetObject' GROUP BY 1 ORDER BY n DESC, 1 LIMIT 100",
        Some(
            "SELECT json_extract_string(request_parameters, '$.bucketName') AS bucket, count(*) AS n FROM cloudtrail.events WHERE event_name = 'GetObject' GROUP BY 1 ORDER BY n DESC, 1 LIMIT 100",
        ),
    ),
];

pub(super) fn run(bench: &Bench<'_>, events: usize) -> Outcome {
    let bucket = data::bucket(bench, events)?;
    let home = data::mirrored(bench, &bucket)?;
    let sample = Sample::of(bench, &home)?;
    let mut ratios = Vec::new();
    for (name, sql, other) in QUESTIONS {
        head(&format!("engine/trail/{name}/{events}_events"));
        let sql = sample.fill(sql);
        let kennel = || {
            let mut command = bench.kennel(&home);
            command.args(["sql", "-f", "csv", "-c", &sql]);
            command
        };
        let peer_sql = sample.fill(other.unwrap_or(&sql));
        let peer_sql = format!(
            "SET TimeZone = 'UTC'; {}{}",
            tables(&home),
            in_duckdb(&peer_sql)
        );
        let answers = [
            watched(&mut kennel()),
            watched(&mut bench.duckdb(&peer_sql)),
        ];
        let (ours, theirs) = match answers {
            [Ok(ours), Ok(theirs)] => (ours.stdout, theirs.stdout),
            [ours, theirs] => {
                for error in [ours.err(), theirs.err()].into_iter().flatten() {
                    say(&format!("\n{name} left out: {error}\n"));
                }
                continue;
            }
        };
        if ours.replace('\r', "") != theirs.replace('\r', "") {
            say(&format!(
                "\n{name}: the answers differ: {} lines, duckdb {}\n",
                ours.lines().count(),
                theirs.lines().count()
            ));
        }
        let kennel = several("kennel sql", bench.cli.runs, || Ok(()), kennel)?;
        let duckdb = several(
            "duckdb -c",
            bench.cli.runs,
            || Ok(()),
            || bench.duckdb(&peer_sql),
        )?;
        let ratio = |ours: std::time::Duration, theirs: std::time::Duration| {
            ours.as_secs_f64() / theirs.as_secs_f64()
        };
        ratios.push((
            ratio(kennel.wall, duckdb.wall),
            ratio(kennel.cpu, duckdb.cpu),
        ));
    }
    let mean = |pick: fn(&(f64, f64)) -> f64| {
        let logs = ratios.iter().map(|ratio| pick(ratio).ln()).sum::<f64>();
        (logs / ratios.len() as f64).exp()
    };
    if !ratios.is_empty() {
        say(&format!(
            "\nkennel / duckdb, geometric mean of {} questions: wall {:.2}, CPU {:.2}",
            ratios.len(),
            mean(|ratio| ratio.0),
            mean(|ratio| ratio.1)
        ));
    }
    Ok(())
}

fn tables(home: &Path) -> String {
    let tables = home.join("tables/cloudtrail");
    DUCKDB_EVENTS.replace("TABLES", &tables.to_string_lossy())
}

fn in_duckdb(sql: &str) -> String {
    sql.replace("cloudtrail.events", "events")
        .replace("cloudtrail.cloudtrail_logs", "logs")
}

/// Values that the data has.
struct Sample {
    key: String,
    role: String,
    id: String,
}

impl Sample {
    fn of(bench: &Bench<'_>, home: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let least = |column: &str| -> Result<String, Box<dyn std::error::Error>> {
            let sql = format!("SELECT min({column}) FROM cloudtrail.events");
            let mut command = bench.kennel(home);
            command.args(["sql", "-f", "csv", "-c", &sql]);
            let answer = watched(&mut command)?.stdout;
            let value = answer.lines().nth(1).filter(|value| !value.is_empty());
            Ok(value.ok_or("no events")?.to_owned())
        };
        Ok(Self {
            key: least("access_key_id")?,
            role: least("principal_arn")?,
            id: least("event_id")?,
        })
    }

    fn fill(&self, sql: &str) -> String {
        sql.replace("'KEY'", &format!("'{}'", self.key))
            .replace("'ROLE'", &format!("'{}'", self.role))
            .replace("'ID'", &format!("'{}'", self.id))
    }
}
