//! `sync` and questions over an inbox on S3 that fails: what passes is overcome, what lasts is named.
use std::time::{Duration, Instant};

use kennel_testkit::s3::{ErrorAnswer, FaultKind, Matcher};

use crate::s3_home::{S3Home, assert_whole};

#[test]
fn faults_that_pass_are_overcome_and_the_bytes_are_right() {
    let s3 = S3Home::new("guide");
    let get = |report: &str| Matcher::get(&format!("*/{report}/*123456789012*"));
    s3.fault(Matcher::list().times(2), FaultKind::slow_down());
    s3.fault(get("pas").times(2), FaultKind::slow_down());
    s3.fault(get("ras"), FaultKind::ResetAfter(1_000));
    s3.fault(get("resources"), FaultKind::CloseAfter(1_000));
    s3.fault(get("principals"), FaultKind::Shorten(1_000));
    s3.fault(
        Matcher::get("*/pas/*012345678901*"),
        FaultKind::FlipByte(1_000),
    );
    s3.fault(
        Matcher::get("*/ras/*012345678901*"),
        FaultKind::ResetBeforeHeaders,
    );
    s3.fault(
        Matcher::get("*/ic/*"),
        FaultKind::ErrorWithStatus200(ErrorAnswer::internal_error()),
    );
    let said = s3.kennel(["sync", "-v"]).ends_with(0);
    assert!(said.stderr.contains(" 0 failed"), "{}", said.stderr);
    assert!(said.stderr.contains("retrying "), "{}", said.stderr);
    assert_eq!(s3.server.counts().faulted, 10, "each fault was met");
    s3.assert_mirrored();
}

#[test]
fn a_report_that_cannot_be_fetched_is_named_by_sync_status_and_the_answers_that_need_it() {
    let mut s3 = S3Home::new("guide");
    let key = s3.key("pas", "123456789012");
    let whole = S3Home::new("guide");
    whole.kennel(["sync", "-q"]).ends_with(0);

    s3.fault(Matcher::get(&key).always(), FaultKind::slow_down());
    let said = s3.kennel(["sync"]).ends_with(3);
    let count = s3.report_count() - 1;
    let fetched = format!("k9: {count} fetched (");
    assert!(said.stderr.starts_with(&fetched), "{}", said.stderr);
    let warning = format!("warning: k9: cannot fetch {key}: ");
    assert!(said.stderr.contains(&warning), "{}", said.stderr);
    assert!(said.stderr.contains("SlowDown (503)"), "{}", said.stderr);
    let status = s3.kennel(["status"]).ends_with(0).stdout;
    assert!(
        status.contains(&format!("failed to fetch: {key}: ")),
        "{status}"
    );
    assert!(status.contains("s1 is partial"), "{status}");

    let said = s3.kennel(["run", "iam-admins"]).ends_with(3);
    assert!(said.stderr.contains("123456789012"), "{}", said.stderr);
    // This one reads another report, and that is there.
    let args = ["run", "stale-credentials", "-f", "csv"];
    let said = s3.kennel(args);
    assert_eq!(said.all(), whole.kennel(args).all());

    s3.server.clear_faults();
    s3.home.at("2026-03-03T13:00:00Z");
    let said = s3.kennel(["sync"]).ends_with(0);
    assert!(
        said.stderr.starts_with("k9: 1 fetched ("),
        "{}",
        said.stderr
    );
    s3.assert_mirrored();
    let args = ["run", "iam-admins", "-f", "csv"];
    assert_eq!(s3.kennel(args).all(), whole.kennel(args).all());
}

#[test]
fn what_is_wrong_for_good_is_never_taken_for_a_report() {
    for (kind, said_so) in [
        (FaultKind::FlipByte(1_000), "cannot verify"),
        (FaultKind::Shorten(1_000), "cannot verify"),
        (
            FaultKind::Body(b"<html><body>Sign in</body></html>".to_vec().into()),
            "cannot verify",
        ),
        (
            FaultKind::Status(ErrorAnswer::access_denied()),
            "cannot fetch",
        ),
    ] {
        let s3 = S3Home::new("guide");
        s3.kennel(["sync", "-q"]).ends_with(0);
        let args = [
            "sql",
            "-q",
            "-f",
            "csv",
            "-c",
            "SELECT key, sha256 FROM kennel.objects",
        ];
        let before = s3.kennel(args).stdout;
        let key = s3.key("pas", "123456789012");
        let other = s3.bucket.body(&key).unwrap();
        s3.bucket.put(&key, crate::s3_home::padded(&other, 7));
        s3.fault(Matcher::get(&key).always(), kind.clone());
        let said = s3.kennel(["sync"]).ends_with(3);
        let warning = format!("warning: k9: {said_so} {key}: ");
        assert!(said.stderr.contains(&warning), "{kind:?}: {}", said.stderr);
        assert_eq!(s3.kennel(args).stdout, before, "{kind:?}");
        assert_whole(&s3.home.cache());
        // The version before answers, and the answer says so.
        let said = s3.kennel(["run", "iam-admins"]).ends_with(3);
        assert!(
            said.stderr.contains("the newest version failed"),
            "{}",
            said.stderr
        );
    }
}

#[test]
fn a_listing_that_fails_for_good_changes_nothing_and_is_remembered() {
    let s3 = S3Home::new("guide");
    s3.kennel(["sync", "-q"]).ends_with(0);
    let before = s3.kennel(["run", "iam-admins", "-f", "csv"]);
    s3.fault(Matcher::list().always(), FaultKind::slow_down());
    let said = s3.kennel(["sync"]).ends_with(2);
    insta::assert_snapshot!(said.all(), @r"
    exit 2
    -- stdout
    -- stderr
    error: cannot list `s3://inbox/hive/parquet/` after 8 attempts: SlowDown (503)
    hint: the bucket is throttled: try a lower `--concurrency`, or later
    hint: `kennel run` and `kennel sql` still answer from the cache
    ");
    let status = s3.kennel(["status"]).ends_with(0).stdout;
    assert!(
        status.contains("failed: cannot list `s3://inbox/hive/parquet/`"),
        "{status}"
    );
    let after = s3.kennel(["run", "iam-admins", "-f", "csv"]);
    assert_eq!(after.stdout, before.stdout);
    assert!(
        after.stderr.contains("the last sync of `k9`"),
        "{}",
        after.stderr
    );
    assert_whole(&s3.home.cache());
}

#[test]
fn a_page_of_html_is_no_listing() {
    let s3 = S3Home::new("guide");
    s3.kennel(["sync", "-q"]).ends_with(0);
    s3.fault(Matcher::list().always(), FaultKind::Html);
    let said = s3.kennel(["sync", "--allow-shrink"]).ends_with(2);
    insta::assert_snapshot!(said.all(), @r"
    exit 2
    -- stdout
    -- stderr
    error: the answer to listing `s3://inbox/hive/parquet/` is not believed: it is an HTML page (is a proxy or a sign-in page in between?)
    hint: nothing was changed; a proxy or another server may have answered instead of S3
    ");
    s3.server.clear_faults();
    let said = s3.kennel(["sync"]).ends_with(0);
    assert!(said.stderr.contains("up to date"), "{}", said.stderr);
}

#[test]
fn a_second_page_that_is_refused_leaves_no_half_listing() {
    let s3 = S3Home::new("guide");
    // They sort behind all reports: the first page alone would look whole.
    (0..1_100).for_each(|n| s3.bucket.put(&format!("hive/parquet/z/{n:04}"), vec![b'x']));
    s3.fault(
        Matcher::list_page(2).always(),
        FaultKind::Status(ErrorAnswer::access_denied()),
    );
    let said = s3.kennel(["sync"]).ends_with(2);
    assert!(
        said.stderr.contains("AccessDenied (403)"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("s3:ListBucket"), "{}", said.stderr);
    assert_eq!(s3.server.counts().get, 0);
}

#[test]
fn what_vanishes_between_listing_and_download_is_reported_and_is_no_failure_of_the_rest() {
    let s3 = S3Home::new("guide");
    let key = s3.key("pas", "123456789012");
    s3.fault(Matcher::get(&key), FaultKind::Delete);
    let count = s3.report_count() - 1;
    let said = s3.kennel(["sync"]);
    let expected = format!("k9: {count} fetched (");
    assert!(said.stderr.starts_with(&expected), "{}", said.all());
    assert!(
        said.stderr.contains(&key),
        "it is not named: {}",
        said.all()
    );
    s3.assert_mirrored();
    let said = s3.kennel(["run", "iam-admins"]).ends_with(3);
    assert!(said.stderr.contains("123456789012"), "{}", said.stderr);
}

#[test]
fn the_rest_of_two_sources_is_there_when_one_has_never_answered() {
    let s3 = S3Home::new("guide");
    s3.home.fill_inbox("guide");
    s3.configure("\n[[source]]\nname = \"far\"\nkind = \"k9\"\nurl = \"s3://no-such-bucket\"\n");
    let said = s3.kennel(["sync"]).ends_with(3);
    assert!(said.stderr.contains("NoSuchBucket"), "{}", said.stderr);
    let said = s3.kennel(["run", "iam-admins"]).ends_with(3);
    assert!(said.stderr.contains("`far`"), "{}", said.stderr);
}

#[test]
fn a_server_that_nobody_listens_at_is_given_up_in_bounded_time() {
    let s3 = S3Home::new("guide");
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut command = s3.command();
    command
        .env("AWS_ENDPOINT_URL_S3", format!("http://127.0.0.1:{port}"))
        .arg("sync");
    let started = Instant::now();
    let said = s3.home.run(command).ends_with(2);
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
    let first = said.stderr.lines().next().unwrap();
    assert!(
        first.starts_with("error: cannot list `s3://inbox/hive/parquet/` after 8 attempts: "),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("\nhint: check the network"),
        "{}",
        said.stderr
    );
}
