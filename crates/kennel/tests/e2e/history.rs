//! Every night kept: dated reports imported on day one, past states, `diff`, retention.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use kennel_cache::{Cache, SourceName};
use kennel_testkit::{
    fixtures::{
        BucketOptions, EXPECTED_NEW_IAM_ADMIN, Layout, World, guide, guide_next_day, write_bucket,
    },
    s3::{FaultKind, Matcher},
};

use crate::{
    home::TestHome,
    s3_home::{S3Home, assert_whole},
};

const DATED: &str =
    "customers/C123456/reports/aws/123456789012/2026/03/principals.2026-03-02-0714.csv";

fn write_dated(home: &TestHome, world: &World) {
    let options = BucketOptions {
        layouts: vec![Layout::DatedCsv],
        strays: true,
        ..BucketOptions::default()
    };
    write_bucket(world, &home.work().join("inbox"), &options).unwrap();
}

/// An inbox whose newest night is Parquet, and which has dated copies of this night and of the one before.
fn inbox_with_dated_reports() -> TestHome {
    let home = TestHome::new().with_inbox("guide-next-day");
    write_dated(&home, &guide());
    write_dated(&home, &guide_next_day());
    home
}

/// Two nights, each synced.
fn two_nights() -> TestHome {
    let mut home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]).ends_with(0);
    home.fill_inbox("guide-next-day");
    home.at("2026-03-04T12:00:00Z");
    home.kennel(["sync", "-q"]).ends_with(0);
    home
}

fn csv(home: &TestHome, args: &[&str]) -> String {
    let fixed = ["sql", "-q", "-f", "csv", "-c"];
    home.kennel(fixed.into_iter().chain(args.iter().copied()))
        .ends_with(0)
        .stdout
}

#[test]
fn dated_reports_are_history_on_day_one_and_are_fetched_once() {
    let home = inbox_with_dated_reports();
    let said = home.kennel(["sync"]).ends_with(0);
    let told = "; snapshot s1; 15 csv reports imported as s2 (2026-03-02 07:50 UTC), in [TIME]";
    assert!(said.stderr.contains(told), "{}", said.stderr);
    let again = home.kennel(["sync"]).ends_with(0);
    assert!(
        again.stderr.contains("k9: up to date, "),
        "{}",
        again.stderr
    );
    let sql = "SELECT snapshot_id, taken_at, added_count FROM kennel.snapshots ORDER BY taken_at";
    insta::assert_snapshot!(csv(&home, &[sql]), @r"
    snapshot_id,taken_at,added_count
    s2,2026-03-02T07:50:08.015300Z,15
    s1,2026-03-03T12:00:00Z,16
    ");
    let status = home.kennel(["status"]).ends_with(0);
    let told = "2 snapshots: s2 (2026-03-02 07:50 UTC) to s1 (2026-03-03 12:00 UTC)";
    assert!(status.stdout.contains(told), "{}", status.stdout);
    let said = home
        .kennel(["diff", "iam-admins", "-f", "jsonl"])
        .ends_with(1);
    assert!(
        said.stdout.contains(EXPECTED_NEW_IAM_ADMIN),
        "{}",
        said.stdout
    );
    assert_eq!(said.stdout.lines().count(), 1);
    // The object itself is a part of the mirror like any other.
    let body = std::fs::read(home.work().join("inbox").join(DATED)).unwrap();
    let said = home.kennel(["cat", "k9", DATED]).ends_with(0);
    assert_eq!(said.stdout.as_bytes(), body);
    let link = home.cache().join("mirror/k9").join(DATED);
    assert_eq!(std::fs::read(link).unwrap(), body);
    assert_whole(&home.cache());
}

#[test]
fn an_inbox_of_dated_reports_alone_answers_like_any_other() {
    let home = inbox_with_dated_reports();
    std::fs::remove_dir_all(home.work().join("inbox/hive")).unwrap();
    let said = home.kennel(["sync"]).ends_with(0);
    let told =
        "; 30 csv reports imported as 2 snapshots (2026-03-02 07:50 UTC to 2026-03-03 07:55 UTC)";
    assert!(said.stderr.contains(told), "{}", said.stderr);
    let newest = "SELECT max(analysis_time) FROM k9.principals_latest";
    assert_eq!(
        csv(&home, &[newest]),
        "_col0\r\n2026-03-03T07:55:31.740060Z\r\n"
    );
    let said = home
        .kennel(["diff", "principals", "-f", "csv"])
        .ends_with(1);
    assert_eq!(said.stdout.lines().count(), 3, "{}", said.stdout);
    home.kennel(["sync", "--rebuild-tables", "-q"]).ends_with(0);
    let again = home
        .kennel(["diff", "principals", "-f", "csv"])
        .ends_with(1);
    assert_eq!(again.stdout, said.stdout);
}

#[test]
fn what_retention_forgot_does_not_come_back() {
    let mut home = inbox_with_dated_reports();
    home.kennel(["sync", "-q"]).ends_with(0);
    let said = home.kennel(["prune", "--keep-snapshots", "1"]).ends_with(0);
    assert!(
        said.stderr
            .starts_with("forgot 1 snapshot (s2) and 15 object versions, freed ")
            && said.stderr.contains(" before, "),
        "{}",
        said.stderr
    );
    assert!(!home.cache().join("mirror/k9").join(DATED).exists());
    for args in [vec!["sync"], vec!["sync", "--full"]] {
        let said = home.kennel(args).ends_with(0);
        assert!(said.stderr.contains("up to date"), "{}", said.stderr);
    }
    home.at("2026-03-05T12:00:00Z");
    let said = home
        .kennel(["run", "iam-admins", "--as-of", "2026-03-02"])
        .ends_with(4);
    insta::assert_snapshot!("as_of_forgotten", said.all());
    assert_whole(&home.cache());
}

#[test]
fn a_broken_dated_report_fails_alone_once_and_stays_named() {
    let home = inbox_with_dated_reports();
    home.write(&format!("inbox/{DATED}"), "<html>sign in</html>");
    let said = home.kennel(["sync"]).ends_with(3);
    let told =
        format!("warning: k9: cannot ingest {DATED}: not a csv file: it looks like an HTML page");
    assert!(said.stderr.contains(&told), "{}", said.stderr);
    let said = home.kennel(["sync"]).ends_with(0);
    assert!(said.stderr.contains("up to date"), "{}", said.stderr);
    let status = home.kennel(["status"]).ends_with(0);
    assert!(status.stdout.contains(DATED), "{}", status.stdout);
    // Something newer answers: the broken report is not missed today.
    home.kennel(["run", "principals", "-q"]).ends_with(0);
}

#[test]
fn csv_reports_can_be_left_alone_or_limited_by_day() {
    let home = inbox_with_dated_reports();
    let said = home.kennel(["sync", "--since", "2026-03-03"]).ends_with(0);
    assert!(!said.stderr.contains("imported"), "{}", said.stderr);
    let said = home.kennel(["sync", "--dry-run"]).ends_with(0);
    assert!(
        said.stdout.contains("k9: would fetch 15 objects ("),
        "{}",
        said.stdout
    );
    home.write(
        "kennel.toml",
        "[[source]]\nname = \"k9\"\nkind = \"k9\"\nurl = \"file://./inbox\"\ncsv_reports = false\n",
    );
    let said = home.kennel(["sync"]).ends_with(0);
    assert!(said.stderr.contains("up to date"), "{}", said.stderr);
}

#[test]
fn a_refused_listing_of_csv_reports_fails_nothing_else() {
    let s3 = S3Home::new("guide");
    s3.fault(
        Matcher::list().prefix("customers/").always(),
        FaultKind::status(403, "AccessDenied"),
    );
    let said = s3.kennel(["sync"]).ends_with(3);
    assert!(
        said.stderr
            .contains("warning: k9: cannot list customers/: ")
            && said.stderr.contains("; snapshot s1"),
        "{}",
        said.stderr
    );
    s3.assert_mirrored();
}

#[test]
fn past_states_are_named_and_a_time_before_them_is_an_error() {
    let home = two_nights();
    let count = "SELECT count(*) AS n FROM k9.principals_latest WHERE principal_arn LIKE '%s3wipe'";
    for (as_of, expected) in [
        ("latest", "0"),
        ("previous", "1"),
        ("s1", "1"),
        ("yesterday", "1"),
        ("2026-03-03", "1"),
        ("2026-03-04", "0"),
        ("-1d", "1"),
        ("-23h", "1"),
        ("2026-03-04T12:00:00Z", "0"),
    ] {
        let found = csv(&home, &[count, "--as-of", as_of]);
        assert_eq!(found, format!("n\r\n{expected}\r\n"), "{as_of}");
    }
    let said = home.kennel(["run", "iam-admins", "--as-of", "yesterday", "-f", "jsonl"]);
    assert_eq!(
        said.ends_with(0).stderr,
        "as of 2026-03-03 23:59 UTC (s1 of 2026-03-03 12:00 UTC)\n"
    );
    let said = home
        .kennel(["run", "iam-admins", "--as-of", "-30d"])
        .ends_with(4);
    insta::assert_snapshot!("as_of_before_history", said.all());
    let said = home
        .kennel(["run", "iam-admins", "--as-of", "last tuesday"])
        .ends_with(2);
    insta::assert_snapshot!("as_of_unknown", said.all());
}

#[test]
fn diff_says_what_changed_in_each_format() {
    let home = two_nights();
    let ask = |args: &[&str]| home.kennel(["diff"].into_iter().chain(args.iter().copied()));
    insta::assert_snapshot!("diff_table", ask(&["principals"]).ends_with(1).all());
    insta::assert_snapshot!(
        "diff_wide",
        ask(&["iam-admins", "--wide"]).ends_with(1).all()
    );
    insta::assert_snapshot!(
        "diff_markdown",
        ask(&["iam-admins", "-f", "markdown"]).ends_with(1).all()
    );
    let sql = "SELECT account_id, principal_arn, access_key_1_last_used FROM k9.principals_latest WHERE principal_arn LIKE '%:user/%'";
    let own = ["--key", "account_id,principal_arn", "-c", sql];
    let said = ask(&[own.as_slice(), &["-f", "csv"]].concat()).ends_with(1);
    insta::assert_snapshot!("diff_csv", said.all());
    let said = ask(&[own.as_slice(), &["-f", "jsonl", "--only", "changed"]].concat());
    insta::assert_snapshot!("diff_jsonl", said.ends_with(1).all());
    let none = ask(&["resources"]).ends_with(0);
    insta::assert_snapshot!("diff_nothing", none.all());
    // One account has no report that one of these reads, on either side.
    let several = ask(&["--tag", "daily", "--only", "added"]).ends_with(3);
    insta::assert_snapshot!("diff_daily", several.all());
    let wrong = ask(&["iam-admins", "--key", "principal"]).ends_with(2);
    insta::assert_snapshot!("diff_wrong_key", wrong.all());
    assert_eq!(ask(&["-c", "SELECT 1"]).code, Some(2));
}

#[test]
fn diff_without_an_earlier_night_ends_with_4() {
    let home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]).ends_with(0);
    let said = home.kennel(["diff", "principals"]).ends_with(4);
    insta::assert_snapshot!("diff_no_earlier", said.all());
}

#[test]
fn an_account_that_one_night_lacks_is_no_news() {
    let mut home = TestHome::new().with_inbox("guide");
    let partner = home
        .work()
        .join("inbox/hive/parquet/principals/customer_id=P123456-444455556666");
    std::fs::remove_dir_all(&partner).unwrap();
    home.kennel(["sync", "-q"]).ends_with(0);
    home.fill_inbox("guide-next-day");
    home.at("2026-03-04T12:00:00Z");
    home.kennel(["sync", "-q"]).ends_with(0);
    let said = home
        .kennel(["diff", "principals", "-f", "csv"])
        .ends_with(3);
    assert!(!said.stdout.contains("444455556666"), "{}", said.stdout);
    insta::assert_snapshot!("diff_account_missing", said.stderr);
}

/// `kill -9` at random points of a prune, again and again: what is kept answers, and the next prune completes.
#[test]
fn a_prune_killed_at_any_point_leaves_what_it_keeps() {
    const NIGHTS: u32 = 12;
    let mut home = TestHome::new().with_inbox("guide");
    let mut hour = 0;
    let mut night = |home: &mut TestHome, number: u32| {
        home.fill_inbox(if number.is_multiple_of(2) {
            "guide"
        } else {
            "guide-next-day"
        });
        hour += 1;
        home.at(&format!(
            "2026-03-{:02}T{:02}:00:00Z",
            4 + hour / 24,
            hour % 24
        ));
        home.kennel(["sync", "-q"]).ends_with(0);
    };
    for number in 0..NIGHTS {
        night(&mut home, number);
    }
    let started = Instant::now();
    home.kennel(["prune", "--keep-snapshots", "11", "-q"])
        .ends_with(0);
    let usual = started.elapsed();
    for round in 0..10_u32 {
        let kept = 10 - round.min(8);
        let kept = kept.to_string();
        let mut command = home.command();
        let mut child = command
            .args(["prune", "-q", "--keep-snapshots", &kept])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(usual.mul_f64(f64::from(round % 5) / 4.0) + Duration::from_micros(200));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_whole(&home.cache());
        let answer = home
            .kennel(["diff", "principals", "-q", "-f", "csv"])
            .ends_with(1);
        assert_eq!(answer.stdout.lines().count(), 3, "round {round}");
    }
    home.kennel(["prune", "--keep-snapshots", "1", "-q"])
        .ends_with(0);
    let said = home.kennel(["prune", "--keep-snapshots", "1"]).ends_with(0);
    assert!(said.stderr.contains("freed 0 B"), "{}", said.stderr);
    assert_whole(&home.cache());
    let cache = Cache::open(&home.cache()).unwrap();
    assert_eq!(cache.snapshots().unwrap().len(), 1);
    let source = SourceName::try_new("k9").unwrap();
    assert!(cache.known_count(&source).unwrap() > 0);
}
