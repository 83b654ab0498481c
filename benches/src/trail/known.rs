//! A sync that finds nothing new beside a million known objects: the S3 server is this process, its objects are made
//! when asked for, and the manifest is filled without fetching them.

use std::{path::Path, process::Command, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use kennel_cache::{
    CacheWriter, DeliveryDay, EventCategory, FetchedObject, NewTrailObject, Sha256, SourceKind,
    SourceName, TrailBatch, TrailFinish, TrailFlags, TrailKey, TrailListed, TrailPrefix,
};
use kennel_testkit::s3::{Generated, S3Options, S3Server};

use super::{Bench, data};
use crate::{
    Outcome,
    measure::{say, watched},
};

const ACCOUNTS: u64 = 50;
const REGIONS: u64 = 17;
/// Of each account and region.
const OBJECTS: u64 = 1_200;
/// Objects of a day.
const A_DAY: u64 = 4;
/// Objects of a transaction.
const BATCH: u64 = 20_000;

pub(super) fn run(bench: &Bench<'_>) -> Outcome {
    let now = now();
    // The last day is today: a sync looks at the days before it once more.
    let first_day = now - TimeDelta::days(i64::try_from(OBJECTS / A_DAY)? - 1);
    let key = move |number| key(number, first_day);
    let count = ACCOUNTS * REGIONS * OBJECTS;
    let server = S3Server::start(S3Options::default());
    let bucket = server.bucket("trail");
    bucket.generate(Generated {
        count,
        key: Arc::new(key),
        body: Arc::new(body),
        modified_at: now - TimeDelta::days(1),
    });
    let home = bench.data.join("known.home");
    data::empty(&home)?;
    bench.configure(&home, "s3://trail")?;
    fill(&home, now, count, &key, &|key| bucket.etag(key))?;
    say(&format!("\n### mirror/trail/{count}_known, nothing new\n"));
    say("| command | wall s | CPU s | peak MiB | LIST | GET |");
    say("|---|---:|---:|---:|---:|---:|");
    for arguments in [
        ["sync"].as_slice(),
        &["sync", "--dry-run"],
        &["sync", "--full"],
    ] {
        for _ in 0..bench.cli.runs.clamp(1, 3) {
            server.clear_requests();
            let mut command = bench.kennel(&home);
            command.args(arguments).envs(server.environment());
            measure(&server, &arguments.join(" "), &mut command)?;
        }
    }
    Ok(())
}

fn measure(server: &S3Server, name: &str, command: &mut Command) -> Outcome {
    let watched = watched(command)?;
    let counts = server.counts();
    say(&format!(
        "| kennel {name} | {:.2} | {:.2} | {} | {} | {} |",
        watched.run.wall.as_secs_f64(),
        watched.run.cpu.as_secs_f64(),
        watched
            .peak_bytes
            .map_or_else(|| "-".into(), |bytes| (bytes >> 20).to_string()),
        counts.list,
        counts.get
    ));
    match counts.get {
        0 => Ok(()),
        count => Err(format!("{count} objects were asked for though nothing is new").into()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a sync asks how long ago everything was listed"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Ascending in `number`, in byte order.
fn key(number: u64, first_day: DateTime<Utc>) -> String {
    let (place, file) = (number / OBJECTS, number % OBJECTS);
    let account = 100_000_000_000 + place / REGIONS * 1_010_101_017;
    let region = place % REGIONS;
    let day = first_day + TimeDelta::days(i64::try_from(file / A_DAY).unwrap_or_default());
    let path = day.format("%Y/%m/%d");
    let date = day.format("%Y%m%d");
    format!(
        "AWSLogs/{account:012}/CloudTrail/region-{region:02}/{path}/{account:012}_CloudTrail_region-{region:02}_{date}T1205Z_{file:016}.json.gz"
    )
}

/// Never fetched; a listing needs its size and ETag.
fn body(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// Writes the manifest of a cache that has all objects.
fn fill(
    home: &Path,
    now: DateTime<Utc>,
    count: u64,
    key: &dyn Fn(u64) -> String,
    etag: &dyn Fn(&str) -> Option<String>,
) -> Outcome {
    let source = SourceName::try_new("trail")?;
    let mut writer = CacheWriter::open(home, now)?;
    writer.register_source(&source, SourceKind::CloudTrail, "s3://trail")?;
    let mut listed = Vec::<TrailListed>::new();
    for first in (0..count).step_by(usize::try_from(BATCH)?) {
        let mut objects = Vec::new();
        for number in first..(first + BATCH).min(count) {
            let key = key(number);
            let read = TrailKey::parse(&key).ok_or("a key that is none")?;
            note(&mut listed, read.prefix, read.day);
            let etag = etag(&key).ok_or("an object that is not there")?;
            objects.push(object(key, etag, &body(number), now));
        }
        writer.commit_trail_batch(&TrailBatch {
            source: source.clone(),
            packs: Vec::new(),
            objects,
            refreshed: Vec::new(),
            files: Vec::new(),
        })?;
    }
    writer.finish_trail_sync(&TrailFinish {
        source,
        started_at: now,
        taken_at: now,
        listed,
        replaced_files: Vec::new(),
        files: Vec::new(),
        refreshed: Vec::new(),
        failures: Vec::new(),
        covers_all: true,
        fetched_count: count,
        fetched_bytes: count * 8,
        unchanged_count: 0,
        changed_count: 0,
        error: None,
    })?;
    Ok(())
}

fn note(listed: &mut Vec<TrailListed>, prefix: TrailPrefix, day: DeliveryDay) {
    match listed.last_mut().filter(|listed| listed.prefix == prefix) {
        Some(listed) => listed.newest = Some(day),
        None => listed.push(TrailListed {
            prefix,
            from: None,
            until: None,
            newest: Some(day),
            first_open: None,
            is_full: true,
        }),
    }
}

fn object(key: String, etag: String, body: &[u8], now: DateTime<Utc>) -> NewTrailObject {
    NewTrailObject {
        object: FetchedObject {
            key,
            etag,
            size_bytes: body.len() as u64,
            // To the second, as listings say it.
            modified_at: DateTime::from_timestamp((now - TimeDelta::days(1)).timestamp(), 0)
                .unwrap_or(now),
            version_id: None,
            storage_class: Some("STANDARD".into()),
            sha256: Sha256::of(body),
            verified_by: "md5".into(),
            metadata: Default::default(),
            fetched_at: now,
        },
        pack: None,
        record_count: 1,
        flags: TrailFlags::default(),
        categories: vec![(EventCategory::Management, 1)],
    }
}
