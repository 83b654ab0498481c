//! `.json.gz` to Parquet that can be queried: kennel, duckdb, and the bound that gunzip and parsing alone set.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use flate2::read::MultiGzDecoder;

use super::{
    Bench,
    data::{self, Bucket},
};
use crate::{
    Outcome,
    measure::{Run, Watched, own_cpu, say, watched},
};

/// Counted runs: one of two million events takes long.
const MOST_RUNS: usize = 3;

/// The record as AWS's table for Athena has it; what may have any shape stays JSON, as in kennel's.
const RECORD: &str = "STRUCT(eventVersion VARCHAR, userIdentity STRUCT(type VARCHAR, principalId VARCHAR, arn VARCHAR, accountId VARCHAR, \
    invokedBy VARCHAR, accessKeyId VARCHAR, userName VARCHAR, sessionContext STRUCT(attributes STRUCT(mfaAuthenticated VARCHAR, creationDate VARCHAR), \
    sessionIssuer STRUCT(type VARCHAR, principalId VARCHAR, arn VARCHAR, accountId VARCHAR, userName VARCHAR))), eventTime TIMESTAMP, \
    eventSource VARCHAR, eventName VARCHAR, awsRegion VARCHAR, sourceIPAddress VARCHAR, userAgent VARCHAR, errorCode VARCHAR, errorMessage VARCHAR, \
    requestParameters JSON, responseElements JSON, additionalEventData JSON, requestID VARCHAR, eventID VARCHAR, readOnly VARCHAR, \
    resources STRUCT(ARN VARCHAR, accountId VARCHAR, type VARCHAR)[], eventType VARCHAR, apiVersion VARCHAR, recipientAccountId VARCHAR, \
    serviceEventDetails JSON, sharedEventID VARCHAR, vpcEndpointId VARCHAR, managementEvent BOOLEAN, eventCategory VARCHAR, \
    tlsDetails STRUCT(tlsVersion VARCHAR, cipherSuite VARCHAR, clientProvidedHostHeader VARCHAR))";

pub(super) fn run(bench: &Bench<'_>, events: usize) -> Outcome {
    let bucket = data::bucket(bench, events)?;
    say(&format!("\n### engine/ingest/{events}_events\n"));
    say("| command | wall s | CPU s | events per CPU second | peak MiB |");
    say("|---|---:|---:|---:|---:|");
    let home = bench.data.join("ingest.home");
    bench.configure(&home, &format!("file://{}", bucket.folder.display()))?;
    let kennel = median(
        bench,
        &bucket,
        "kennel sync",
        || data::empty(&home),
        || {
            let mut command = bench.kennel(&home);
            command.arg("sync");
            command
        },
    )?;
    let target = bench.data.join("ingest.parquet");
    let sql = duckdb_sql(&bucket.folder, &target);
    let peer = median(
        bench,
        &bucket,
        "duckdb read_json, COPY",
        || data::empty(&target),
        || bench.duckdb(&sql),
    );
    let bound = bound(&bucket)?;
    row(&bucket, "gunzip and parse alone, one thread", bound, None);
    let per_second = |run: Run| events as f64 / run.cpu.as_secs_f64();
    match peer {
        Ok(peer) => say(&format!(
            "\nevents per CPU second, kennel / duckdb: {:.2}",
            per_second(kennel) / per_second(peer)
        )),
        Err(error) => say(&format!("\nduckdb left out: {error}")),
    }
    say(&format!(
        "\nevents per CPU second, kennel / bound: {:.2}",
        per_second(kennel) / per_second(bound)
    ));
    Ok(())
}

/// Unsorted and without duplicates marked: less than kennel does.
fn duckdb_sql(bucket: &Path, target: &Path) -> String {
    format!(
        "SET preserve_insertion_order = false; COPY (SELECT r.* FROM (SELECT unnest(Records) AS r FROM read_json('{}/**/*.json.gz', \
         columns = {{Records: '{RECORD}[]'}}, maximum_object_size = 104857600))) TO '{}' (FORMAT parquet, COMPRESSION zstd)",
        bucket.display(),
        target.display()
    )
}

/// Runs a few times, prints the run of median CPU time.
fn median(
    bench: &Bench<'_>,
    bucket: &Bucket,
    name: &str,
    mut prepare: impl FnMut() -> std::io::Result<()>,
    mut command: impl FnMut() -> Command,
) -> Result<Run, Box<dyn std::error::Error>> {
    let mut runs = Vec::<Watched>::new();
    for _ in 0..bench.cli.runs.clamp(1, MOST_RUNS) {
        prepare()?;
        runs.push(watched(&mut command())?);
    }
    runs.sort_by_key(|watched| watched.run.cpu);
    let middle = &runs[runs.len() / 2];
    let peak = runs.iter().filter_map(|watched| watched.peak_bytes).max();
    row(bucket, name, middle.run, peak);
    Ok(middle.run)
}

fn row(bucket: &Bucket, name: &str, run: Run, peak_bytes: Option<u64>) {
    let cpu = run.cpu.as_secs_f64();
    let peak = peak_bytes.map_or_else(|| "-".into(), |bytes| (bytes >> 20).to_string());
    say(&format!(
        "| {name} | {:.2} | {cpu:.2} | {:.0} | {peak} |",
        run.wall.as_secs_f64(),
        bucket.events as f64 / cpu,
    ));
}

/// What no ingester can beat: read each file, inflate it, look at every byte of the JSON, and make nothing of it.
///
/// Reading the files is measured, too; the parser is serde_json's, which keeps no value.
fn bound(bucket: &Bucket) -> Result<Run, Box<dyn std::error::Error>> {
    #[derive(serde::Deserialize)]
    struct Log {
        #[serde(rename = "Records")]
        records: Vec<serde::de::IgnoredAny>,
    }
    let mut files = Vec::new();
    data::files_below(&bucket.folder, &mut files)?;
    let (started, before) = (Instant::now(), own_cpu()?);
    let mut count = 0;
    let (mut packed, mut text) = (Vec::new(), Vec::new());
    for path in &files {
        packed.clear();
        text.clear();
        File::open(path)?.read_to_end(&mut packed)?;
        MultiGzDecoder::new(&packed[..]).read_to_end(&mut text)?;
        count += serde_json::from_slice::<Log>(&text)?.records.len();
    }
    let cpu: Duration = own_cpu()?.saturating_sub(before);
    if count != bucket.events {
        let what = format!(
            "{count} events in {}, not {}",
            bucket.folder.display(),
            bucket.events
        );
        return Err(what.into());
    }
    // So that nothing is measured of a folder that is not there.
    fs::metadata(&bucket.folder)?;
    Ok(Run {
        wall: started.elapsed(),
        cpu,
    })
}
