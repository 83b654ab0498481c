//! CloudTrail where something is wrong: objects that are none, archives, refused folders. The rest is there, what is not
//! is named, and answers say so.

use kennel_testkit::s3::{ErrorAnswer, FaultKind, Matcher, ObjectOptions};

use crate::{
    s3_home::{S3Home, assert_whole},
    trail_home::{
        OTHER_REGION, PLACE, assert_kept, deliver, event, event_ids, files_below, gzip, key, lines,
        log_file, put, rows, trail_home,
    },
};

const DAY: &str = "2026/03/02";
const COUNT: &str = "SELECT count(*) FROM cloudtrail.events";

/// Stores a body beside a good file, and syncs; returns the key and what was said.
fn with_body(body: Vec<u8>) -> (S3Home, String, String) {
    let s3 = trail_home();
    deliver(&s3, PLACE, DAY, "good");
    let key = key(PLACE, DAY, "odd");
    put(&s3.bucket, &key, body);
    let said = s3.kennel(["sync"]);
    let text = said.all().replace(&key, "KEY");
    (s3, key, text)
}

/// `kennel.failures` as `stage,message`.
fn failures(s3: &S3Home) -> Vec<String> {
    rows(
        s3,
        "SELECT stage, message FROM kennel.failures ORDER BY key",
    )
}

#[test]
fn damaged_objects_are_kept_and_named_and_answers_say_what_is_missing() {
    let many = (0..400).map(|n| event(&format!("id-{n}"), DAY));
    let whole = log_file(&many.collect::<Vec<_>>());
    let look_alike = br#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put"}]}"#;
    let mut told = String::new();
    for (what, body) in [
        ("truncated gzip", whole[..whole.len() / 2].to_vec()),
        ("HTML", b"<html><body>please sign in</body></html>".to_vec()),
        ("look-alike", gzip(look_alike)),
        ("not JSON", gzip(b"{\"Records\":[nonsense")),
    ] {
        let (s3, key, text) = with_body(body);
        assert!(text.starts_with("exit 3\n"), "{what}: {text}");
        let warning = text.lines().find(|line| line.starts_with("warning: "));
        told.push_str(&format!("{what}: {}\n", warning.unwrap()));
        // The bytes are evidence, whatever they are.
        assert_kept(&s3);
        assert_whole(&s3.home.cache());
        let ids = s3.kennel([
            "sql",
            "-f",
            "csv",
            "-c",
            "SELECT event_id FROM cloudtrail.events",
        ]);
        let ids = ids.ends_with(3);
        assert!(
            ids.stderr.contains("events are missing"),
            "{what}: {}",
            ids.stderr
        );
        assert!(ids.stderr.contains(&key), "{what}: {}", ids.stderr);
        assert!(lines(ids).contains(&"good".to_owned()), "{what}");
        assert_eq!(failures(&s3).len(), 1, "{what}");
        let status = s3.kennel(["status"]).ends_with(0).stdout;
        assert!(
            status.contains(&format!("failed to ingest: {key}: ")),
            "{what}: {status}"
        );
        // Nothing new: the object is not fetched again, and is not forgotten, either.
        s3.server.clear_requests();
        s3.kennel(["sync", "-q"]);
        assert_eq!(s3.server.counts().get, 0, "{what}");
        assert_eq!(failures(&s3).len(), 1, "{what}");
        let flags = "SELECT flags FROM kennel.objects WHERE flags IS NOT NULL";
        assert_eq!(rows(&s3, flags), ["damaged"], "{what}");
        let counted = rows(&s3, "SELECT sum(record_count) FROM kennel.objects");
        let logs = [
            "sql",
            "-q",
            "-f",
            "csv",
            "-c",
            "SELECT count(*) FROM cloudtrail.cloudtrail_logs",
        ];
        assert_eq!(lines(s3.kennel(logs).ends_with(3)), counted, "{what}");
    }
    insta::assert_snapshot!(told, @r"
    truncated gzip: warning: trail: cannot ingest KEY: gzip is cut off: it ends after 3315 bytes inside member 1
    HTML: warning: trail: cannot ingest KEY: not JSON at byte 0 of 40: expected `{` or `[`
    look-alike: warning: trail: cannot ingest KEY: not a CloudTrail log: a notification of `aws:s3`
    not JSON: warning: trail: cannot ingest KEY: not JSON at byte 12 of 20: expected a value
    ");
}

#[test]
fn a_bad_record_among_good_ones_is_counted_and_the_others_are_there() {
    let records = [event("a", DAY), "7".into(), event("b", DAY)];
    let (s3, _, text) = with_body(log_file(&records));
    assert!(text.starts_with("exit 3\n"), "{text}");
    let ids = s3.kennel([
        "sql",
        "-q",
        "-f",
        "csv",
        "-c",
        "SELECT event_id FROM cloudtrail.events ORDER BY 1",
    ]);
    assert_eq!(lines(ids.ends_with(3)), ["a", "b", "good"]);
    insta::assert_snapshot!(failures(&s3).join("\n"), @"ingest,record 1: no CloudTrail record: a list of values that are no objects");
}

#[test]
fn objects_without_records_are_no_failure() {
    for body in [
        vec![],
        gzip(b""),
        log_file(&[]),
        gzip(b"{}"),
        b"{\"Records\":[]}".to_vec(),
    ] {
        let (s3, _, text) = with_body(body);
        assert!(text.starts_with("exit 0\n"), "{text}");
        assert_eq!(event_ids(&s3), ["good"]);
        assert_kept(&s3);
    }
}

#[test]
fn gzip_of_several_members_is_read_whole_and_flagged() {
    let (one, two) = ([event("a", DAY)], [event("b", DAY)]);
    let whole = format!("{{\"Records\":[{},{}]}}", one[0], two[0]);
    let (left, right) = whole.as_bytes().split_at(whole.len() / 2);
    let (s3, key, text) = with_body([gzip(left), gzip(right)].concat());
    assert!(text.starts_with("exit 0\n"), "{text}");
    assert_eq!(event_ids(&s3), ["a", "b", "good"]);
    let sql = "SELECT key, flags FROM kennel.objects WHERE flags IS NOT NULL";
    assert_eq!(rows(&s3, sql), [format!("{key},several_members")]);
}

#[test]
fn archived_objects_are_reported_and_not_asked_for() {
    let s3 = trail_home();
    for (day, class) in [
        ("2024/03/01", Some("GLACIER")),
        ("2024/03/02", Some("DEEP_ARCHIVE")),
        ("2024/03/03", Some("GLACIER_IR")),
        ("2026/03/02", None),
    ] {
        let options = ObjectOptions {
            storage_class: class.map(str::to_owned),
            ..ObjectOptions::default()
        };
        let body = log_file(&[event(day, day)]);
        s3.bucket.put_with(&key(PLACE, day, "file"), body, options);
    }
    let first = key(PLACE, "2024/03/01", "file");
    let said = s3.kennel(["sync"]).ends_with(3);
    let text = said.stderr.replace(&first, "KEY");
    insta::assert_snapshot!(text, @r"
    trail: 2 fetched (913 B), 0 unchanged, 1 failed, 2 events; snapshot s1, in [TIME]
    warning: trail: cannot fetch KEY: it is archived and not restored, with 1 object more below `AWSLogs/111122223333/CloudTrail/eu-west-1/`
    warning: trail: 2 objects archived and not restored
    hint: `aws s3api restore-object` brings them back; the next `kennel sync --full` fetches them
    ");
    assert_eq!(
        s3.server.counts().get,
        2,
        "the instant class is read at once"
    );
    assert_eq!(
        failures(&s3),
        [format!(
            "fetch,\"it is archived and not restored, with 1 object more below `{PLACE}`\""
        )]
    );
    let said = s3.kennel(["sql", "-f", "csv", "-c", COUNT]).ends_with(3);
    assert!(said.stderr.contains("archived"), "{}", said.stderr);
    // A sync that does not look that far back does not forget it.
    s3.kennel(["sync", "-q"]).ends_with(0);
    s3.kennel(["sql", "-q", "-c", COUNT]).ends_with(3);
    // Restored, they are fetched by the next listing of everything.
    for day in ["2024/03/01", "2024/03/02"] {
        let options = ObjectOptions {
            storage_class: Some("GLACIER".into()),
            restored: true,
            ..ObjectOptions::default()
        };
        let body = log_file(&[event(day, day)]);
        s3.bucket.put_with(&key(PLACE, day, "file"), body, options);
    }
    s3.kennel(["sync", "-q", "--full"]).ends_with(0);
    assert_eq!(rows(&s3, COUNT), ["4"]);
    assert_eq!(failures(&s3), Vec::<String>::new());
}

#[test]
fn an_object_that_cannot_be_fetched_is_tried_again_though_its_day_is_long_past() {
    let s3 = trail_home();
    let bad = deliver(&s3, PLACE, "2026/01/05", "refused");
    deliver(&s3, PLACE, DAY, "good");
    s3.fault(
        Matcher::get(&bad).always(),
        FaultKind::Status(ErrorAnswer::access_denied()),
    );
    let said = s3.kennel(["sync"]).ends_with(3);
    assert!(said.stderr.contains(&bad), "{}", said.stderr);
    let said = s3.kennel(["sql", "-c", COUNT]).ends_with(3);
    assert!(
        said.stderr.contains("events are missing"),
        "{}",
        said.stderr
    );
    s3.server.clear_faults();
    s3.kennel(["sync"]).ends_with(0);
    assert_eq!(event_ids(&s3), ["good", "refused"]);
    assert_eq!(failures(&s3), Vec::<String>::new());
}

#[test]
fn a_region_that_cannot_be_listed_does_not_hide_the_others() {
    let s3 = trail_home();
    deliver(&s3, PLACE, DAY, "here");
    deliver(&s3, OTHER_REGION, DAY, "there");
    s3.fault(
        Matcher::list().prefix(OTHER_REGION).always(),
        FaultKind::Status(ErrorAnswer::access_denied()),
    );
    let said = s3.kennel(["sync"]).ends_with(3);
    assert!(said.stderr.contains(OTHER_REGION), "{}", said.stderr);
    let said = s3
        .kennel(["sql", "-q", "-f", "csv", "-c", COUNT])
        .ends_with(3);
    assert_eq!(lines(said), ["1"]);
    s3.server.clear_faults();
    s3.kennel(["sync"]).ends_with(0);
    assert_eq!(event_ids(&s3), ["here", "there"]);
    assert_eq!(failures(&s3), Vec::<String>::new());
}

#[test]
fn what_expires_between_listing_and_download_is_told_and_is_no_failure() {
    let s3 = trail_home();
    deliver(&s3, PLACE, DAY, "here");
    let gone = deliver(&s3, PLACE, DAY, "gone");
    s3.fault(Matcher::get(&gone), FaultKind::Delete);
    let said = s3.kennel(["sync"]);
    assert!(
        said.stderr.contains("deleted between listing and download"),
        "{}",
        said.all()
    );
    assert_eq!(event_ids(&s3), ["here"]);
    assert_eq!(failures(&s3), Vec::<String>::new());
}

#[test]
fn damaged_and_lost_packs_are_fetched_again_by_a_full_sync_and_nothing_is_ingested_twice() {
    let s3 = trail_home();
    for number in 0..20 {
        deliver(&s3, PLACE, "2026/02/01", &format!("e{number:02}"));
    }
    s3.kennel(["sync", "-q"]).ends_with(0);
    let packs = s3.home.cache().join("packs");
    let pack = files_below(&packs).remove(0);
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    s3.kennel(["verify"]).ends_with(1);
    s3.server.clear_requests();
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_eq!(s3.server.counts().get, 0, "only --full looks at all bytes");
    let said = s3.kennel(["sync", "--full", "--dry-run"]).ends_with(0);
    let first = "trail: would fetch 1 object (";
    assert!(said.stdout.starts_with(first), "{}", said.stdout);
    let said = s3.kennel(["sync", "--full"]).ends_with(0);
    assert!(
        said.stderr.starts_with("trail: 1 fetched ("),
        "{}",
        said.stderr
    );
    assert_eq!(s3.server.counts().get, 1);
    s3.kennel(["verify"]).ends_with(0);
    std::fs::remove_dir_all(&packs).unwrap();
    s3.kennel(["sync", "-q", "--full"]).ends_with(0);
    s3.kennel(["verify"]).ends_with(0);
    for key in s3.bucket.keys() {
        let mut command = s3.command();
        command.args(["cat", "trail", &key]);
        assert_eq!(
            command.output().unwrap().stdout,
            s3.bucket.body(&key).unwrap()
        );
    }
    assert_eq!(
        rows(&s3, "SELECT count(*) FROM cloudtrail.cloudtrail_logs"),
        ["20"]
    );
    assert_eq!(rows(&s3, COUNT), ["20"]);
    assert_whole(&s3.home.cache());
}

#[test]
fn an_expired_object_stays_in_the_cache() {
    let s3 = trail_home();
    let key = deliver(&s3, PLACE, DAY, "old");
    deliver(&s3, PLACE, "2026/03/03", "new");
    s3.kennel(["sync", "-q"]).ends_with(0);
    let body = s3.bucket.body(&key).unwrap();
    s3.bucket.delete(&key);
    s3.kennel(["sync", "-q", "--full"]).ends_with(0);
    assert_eq!(event_ids(&s3), ["new", "old"]);
    let mut command = s3.command();
    command.args(["cat", "trail", &key]);
    assert_eq!(command.output().unwrap().stdout, body);
}
