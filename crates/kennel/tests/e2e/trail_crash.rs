//! A CloudTrail sync that is killed or interrupted: the last snapshot answers, the next sync goes on, and each event is
//! there exactly once.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{
    collections::BTreeSet,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{
    s3_home::{S3Home, assert_whole},
    trail_home::{assert_kept, deliver, event_ids, rows, trail_home},
};

/// Syncs that are killed.
const ROUNDS: u32 = 16;
/// So many places that they are planned and committed in several batches.
const PLACES: usize = 600;

/// One file in each of many regions.
fn deliver_everywhere(s3: &S3Home, day: &str, label: &str) {
    for number in 0..PLACES {
        let place = format!("AWSLogs/111122223333/CloudTrail/region-{number:03}/");
        deliver(s3, &place, day, &format!("{label}-{number:03}"));
    }
}

/// What readers see.
fn count(s3: &S3Home) -> (usize, usize) {
    let sql = "SELECT count(*), count(DISTINCT eventid) FROM cloudtrail.cloudtrail_logs";
    let counts = rows(s3, sql).remove(0);
    let (all, distinct) = counts.split_once(',').unwrap();
    (all.parse().unwrap(), distinct.parse().unwrap())
}

#[test]
fn a_sync_killed_again_and_again_ingests_each_event_once() {
    let s3 = trail_home();
    deliver_everywhere(&s3, "2026/03/01", "first");
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_eq!(count(&s3), (PLACES, PLACES));
    deliver_everywhere(&s3, "2026/03/02", "second");
    s3.server.set_latency(Duration::from_millis(4));
    let mut ends = BTreeSet::new();
    let mut kept = BTreeSet::new();
    let mut pause = Duration::from_millis(150);
    for round in 0..ROUNDS {
        let mut child = s3
            .command()
            .args(["sync", "-q", "--concurrency", "8"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(pause);
        let is_over = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        ends.insert(is_over);
        // Each try lasts longer than the one before, so that some die while objects come and some later.
        pause += Duration::from_millis(150);
        let seen = count(&s3);
        let whole = (2 * PLACES, 2 * PLACES);
        assert!(
            seen == (PLACES, PLACES) || seen == whole,
            "round {round}: {seen:?}"
        );
        kept.insert(rows(&s3, "SELECT count(*) FROM kennel.objects").remove(0));
        if is_over {
            break;
        }
    }
    assert!(ends.contains(&false), "no sync was killed before its end");
    assert!(
        kept.len() > 2,
        "no kill left a part of the objects committed: {kept:?}"
    );
    s3.server.set_latency(Duration::ZERO);
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_eq!(count(&s3), (2 * PLACES, 2 * PLACES));
    assert_eq!(event_ids(&s3).len(), 2 * PLACES);
    assert_kept(&s3);
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_whole(&s3.home.cache());
    let coverage = "SELECT sum(row_count), sum(object_count) FROM kennel.coverage";
    assert_eq!(rows(&s3, coverage), [format!("{0},{0}", 2 * PLACES)]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_sync_ends_with_130_and_the_next_one_goes_on() {
    let s3 = trail_home();
    for number in 0..200 {
        let place = "AWSLogs/111122223333/CloudTrail/eu-west-1/";
        deliver(&s3, place, "2026/03/01", &format!("e{number:03}"));
    }
    s3.server.set_latency(Duration::from_millis(20));
    let child = s3
        .command()
        .args(["sync", "--concurrency", "2"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let has_some = |counts: kennel_testkit::s3::RequestCounts| counts.get > 20;
    assert!(s3.server.wait_until(has_some, Duration::from_secs(60)));
    let pressed = Instant::now();
    let signalled = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(signalled.success());
    let said = s3
        .home
        .said(child.wait_with_output().unwrap())
        .ends_with(130);
    assert!(
        pressed.elapsed() < Duration::from_secs(10),
        "{:?}",
        pressed.elapsed()
    );
    assert!(
        said.stderr.contains("trail: interrupted after "),
        "{}",
        said.stderr
    );
    // Nothing is visible before its snapshot, and what came is not fetched again.
    let before = s3.kennel([
        "sql",
        "-q",
        "-f",
        "csv",
        "-c",
        "SELECT count(*) FROM cloudtrail.events",
    ]);
    assert_eq!(before.ends_with(4).stdout.lines().last(), Some("0"));
    let got = s3.server.counts().get;
    s3.server.set_latency(Duration::ZERO);
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_eq!(event_ids(&s3).len(), 200);
    let again = s3.server.counts().get - 200;
    assert!(again < got, "everything was fetched again");
    assert!(again <= 2, "{again} objects were fetched twice");
    assert_whole(&s3.home.cache());
}
