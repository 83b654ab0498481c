//! `kill -9` at random points of a sync, again and again: the last snapshot answers, the next sync completes.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::s3_home::{S3Home, assert_whole, padded};

/// How many syncs are killed; each seventh is followed by one that is left alone.
const ROUNDS: u64 = 30;
/// Makes the moments of death, the same in every run.
const SEED: u64 = 0x6b65_6e6e_656c;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    /// A number below 1,000.
    fn permille(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % 1_000
    }
}

/// The next night: every report is another object, and some say other things.
fn overwrite(s3: &S3Home, night: u64) {
    s3.fill(if night.is_multiple_of(2) {
        "guide"
    } else {
        "guide-next-day"
    });
    for key in s3.bucket.keys() {
        let body = s3.bucket.body(&key).unwrap();
        s3.bucket.put(&key, padded(&body, 1 + night as usize));
    }
}

/// What readers see: all objects, and the rows of a table.
fn seen(s3: &S3Home) -> String {
    let sql = [
        "SELECT key, sha256 FROM kennel.objects ORDER BY key, sha256",
        "SELECT * FROM k9.principal_access_summaries_latest ORDER BY customer_id, account_id, principal_arn, service_name, access_capability, resource_arn",
        "SELECT count(*) FROM k9.principals",
    ];
    let args = sql.iter().flat_map(|sql| ["-c", *sql]);
    let said = s3.kennel(["sql", "-q", "-f", "markdown"].into_iter().chain(args));
    said.ends_with(0).stdout
}

#[test]
fn a_sync_killed_at_any_point_leaves_the_last_snapshot_and_the_next_one_completes() {
    let mut s3 = S3Home::new("guide");
    s3.server.set_latency(Duration::from_millis(20));
    let mut dice = Dice(SEED);
    let mut minute = 0;
    // How long a sync of one night takes here, from the start of the process to its end.
    overwrite(&s3, 0);
    s3.kennel(["sync", "-q"]).ends_with(0);
    overwrite(&s3, 1);
    tick(&mut s3, &mut minute);
    let started = Instant::now();
    s3.kennel(["sync", "-q", "--json", "--concurrency", "4"])
        .ends_with(0);
    let usual = started.elapsed();

    let mut night = 1;
    let mut before = seen(&s3);
    let mut reached = BTreeMap::<String, u32>::new();
    for round in 0..ROUNDS {
        if round % 7 == 0 {
            night += 1;
            overwrite(&s3, night);
        }
        tick(&mut s3, &mut minute);
        let pause = usual.mul_f64(dice.permille() as f64 / 1_000.0);
        let mut command = s3.command();
        let mut child = command
            .args(["sync", "-q", "--json", "--concurrency", "4"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(pause);
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        *reached.entry(last_event(&output.stdout)).or_default() += 1;

        let status = s3.kennel(["status"]).ends_with(0);
        assert!(status.stdout.contains("source k9"), "{}", status.stdout);
        let now = seen(&s3);
        if now != before {
            // The commit was before the kill: then all of the night is there, not a part of it.
            assert_night(&s3, round);
            before = now;
        }
        if round % 7 == 6 || round + 1 == ROUNDS {
            tick(&mut s3, &mut minute);
            s3.kennel(["sync", "-q"]).ends_with(0);
            s3.assert_mirrored();
            assert_night(&s3, round);
            before = seen(&s3);
        }
    }
    assert_whole(&s3.home.cache());
    assert!(
        reached.len() >= 3,
        "all kills hit the same place: {reached:?}"
    );
}

/// Every object is that of the bucket.
#[track_caller]
fn assert_night(s3: &S3Home, round: u64) {
    let sql = "SELECT key, etag FROM kennel.objects WHERE superseded_at IS NULL ORDER BY key";
    let said = s3
        .kennel(["sql", "-q", "-f", "csv", "-c", sql])
        .ends_with(0);
    let kept = said.stdout.lines().skip(1).map(str::to_owned);
    let listed = s3.bucket.keys().into_iter();
    let listed = listed.map(|key| {
        let etag = s3.bucket.etag(&key).unwrap();
        format!("{key},{etag}")
    });
    assert_eq!(
        kept.collect::<Vec<_>>(),
        listed.collect::<Vec<_>>(),
        "round {round}: a part of a night is visible"
    );
}

/// The clock goes on.
fn tick(s3: &mut S3Home, minute: &mut u32) {
    *minute += 1;
    s3.home.at(&format!(
        "2026-03-04T{:02}:{:02}:00Z",
        *minute / 60,
        *minute % 60
    ));
}

/// How far a killed sync came.
fn last_event(stdout: &[u8]) -> String {
    let text = String::from_utf8_lossy(stdout);
    let mut events = text.lines().filter_map(|line| {
        let event = serde_json::from_str::<serde_json::Value>(line).ok()?;
        Some(event["event"].as_str()?.to_owned())
    });
    events.next_back().unwrap_or_else(|| "nothing".into())
}
