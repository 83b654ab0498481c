//! `sync --rebuild-tables` of CloudTrail sources: tables made anew from packs, nothing lost.

use std::fs;

use crate::{
    s3_home::{S3Home, assert_whole},
    trail_home::{
        OTHER_REGION, PLACE, configure, deliver, event, files_below, gzip, key, log_file, put,
        rows, trail_home,
    },
};

/// A trail with duplicates within it, in another source, and an object that is none.
fn synced() -> S3Home {
    let s3 = trail_home();
    for number in 0..40 {
        let day = format!("2026/03/{:02}", 1 + number % 2);
        deliver(&s3, PLACE, &day, &format!("e{number:02}"));
    }
    deliver(&s3, OTHER_REGION, "2026/03/01", "there");
    let twice = [event("e00", "2026/03/01"), event("e01", "2026/03/02")];
    put(
        &s3.bucket,
        &key(PLACE, "2026/03/02", "twice"),
        log_file(&twice),
    );
    put(
        &s3.bucket,
        &key(PLACE, "2026/03/02", "broken"),
        gzip(b"<html>"),
    );
    let other = s3.server.bucket("other");
    put(
        &other,
        &key(PLACE, "2026/03/01", "again"),
        log_file(&twice[..1]),
    );
    configure(
        &s3,
        &[("trail", "s3://trail", ""), ("other", "s3://other", "")],
    );
    s3.kennel(["sync", "-q"]).ends_with(3);
    s3
}

/// All that readers see.
fn seen(s3: &S3Home) -> Vec<String> {
    let questions = [
        "SELECT * FROM cloudtrail.cloudtrail_logs ORDER BY eventid, region, \"timestamp\"",
        "SELECT event_id, event_time, principal_arn FROM cloudtrail.events ORDER BY event_id",
        "SELECT * FROM kennel.coverage ORDER BY source, account_id, region, day, event_category",
        "SELECT source, key, sha256, record_count, flags FROM kennel.objects ORDER BY source, key",
        "SELECT key, stage, message, first_at FROM kennel.failures ORDER BY key",
    ];
    let args = questions.iter().flat_map(|sql| ["-c", *sql]);
    let said = s3.kennel(["sql", "-q", "-f", "markdown"].into_iter().chain(args));
    assert!(matches!(said.code, Some(0 | 3)), "{}", said.all());
    said.stdout.lines().map(str::to_owned).collect()
}

/// Compares what readers see; names the first line that differs.
#[track_caller]
fn assert_seen(s3: &S3Home, before: &[String]) {
    let now = seen(s3);
    let differs = now.iter().zip(before).find(|(now, before)| now != before);
    assert_eq!(differs, None);
    assert_eq!(now.len(), before.len());
}

#[test]
fn tables_made_anew_say_what_they_said_and_nothing_is_fetched() {
    let s3 = synced();
    let before = seen(&s3);
    assert!(before.len() > 100, "{}", before.len());
    fs::remove_dir_all(s3.home.cache().join("tables")).unwrap();
    s3.server.clear_requests();
    let said = s3.kennel(["sync", "--rebuild-tables"]).ends_with(3);
    assert!(
        said.stderr.contains("trail: made 1 table anew"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("broken.json.gz: "), "{}", said.stderr);
    assert_eq!(s3.server.counts().get, 0);
    assert_seen(&s3, &before);
    for (table, count) in [("cloudtrail_logs", "44"), ("events", "41")] {
        let sql = format!("SELECT count(*) FROM cloudtrail.{table}");
        let said = s3
            .kennel(["sql", "-q", "-f", "csv", "-c", &sql])
            .ends_with(3);
        assert_eq!(said.stdout.lines().last(), Some(count));
    }
    s3.kennel(["verify"]).ends_with(0);
    // Whole tables, too: what a newer kennel reads otherwise is made anew.
    s3.kennel(["sync", "-q", "--rebuild-tables"]).ends_with(3);
    assert_seen(&s3, &before);
    assert_whole(&s3.home.cache());
}

#[test]
fn tables_whose_raw_was_not_kept_stay_as_long_as_they_are_whole() {
    let s3 = trail_home();
    configure(&s3, &[("trail", "s3://trail", "keep_raw = false")]);
    deliver(&s3, PLACE, "2026/01/01", "old");
    deliver(&s3, PLACE, "2026/03/01", "new");
    s3.kennel(["sync", "-q"]).ends_with(0);
    let before = seen(&s3);
    let said = s3.kennel(["sync", "--rebuild-tables"]).ends_with(3);
    assert!(
        said.stderr.contains("trail: the tables stay as they are")
            && said.stderr.contains("its bytes were not kept"),
        "{}",
        said.stderr
    );
    assert_seen(&s3, &before);
    // Without tables there is nothing to keep: what the source still has is fetched again.
    fs::remove_dir_all(s3.home.cache().join("tables")).unwrap();
    s3.server.clear_requests();
    let said = s3.kennel(["sync", "--rebuild-tables"]).ends_with(3);
    assert!(
        said.stderr
            .contains("2 objects whose bytes are not in the cache"),
        "{}",
        said.stderr
    );
    assert_eq!(s3.server.counts().get, 2);
    assert_seen(&s3, &before);
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_whole(&s3.home.cache());
}

#[test]
fn a_damaged_pack_does_not_cost_the_records_that_tables_hold() {
    let s3 = synced();
    let before = seen(&s3);
    let packs = files_below(&s3.home.cache().join("packs"));
    let pack = packs
        .iter()
        .max_by_key(|pack| fs::metadata(pack).unwrap().len());
    let pack = pack.unwrap();
    let mut bytes = fs::read(pack).unwrap();
    bytes[100] ^= 1;
    fs::write(pack, bytes).unwrap();
    let said = s3
        .kennel(["sync", "--rebuild-tables", "trail"])
        .ends_with(3);
    assert!(
        said.stderr.contains("the tables stay as they are"),
        "{}",
        said.stderr
    );
    assert_seen(&s3, &before);
    // With the tables gone as well, the one damaged object comes from the source.
    fs::remove_dir_all(s3.home.cache().join("tables")).unwrap();
    s3.server.clear_requests();
    let said = s3.kennel(["sync", "trail"]);
    assert!(
        said.stderr.contains("up to date"),
        "nothing new needs no tables: {}",
        said.stderr
    );
    deliver(&s3, PLACE, "2026/03/02", "zz-new");
    let said = s3.kennel(["sync", "trail"]).ends_with(2);
    assert!(
        said.stderr.contains("hint: `kennel sync --rebuild-tables`"),
        "{}",
        said.stderr
    );
    s3.server.clear_requests();
    s3.kennel(["sync", "--rebuild-tables"]).ends_with(3);
    assert_eq!(s3.server.counts().get, 1, "the new one is here already");
    s3.bucket.delete(&key(PLACE, "2026/03/02", "zz-new"));
    let newer = "SELECT count(*) FROM cloudtrail.events WHERE event_id = 'zz-new'";
    let said = s3
        .kennel(["sql", "-q", "-f", "csv", "-c", newer])
        .ends_with(3);
    assert_eq!(said.stdout.lines().last(), Some("1"));
    assert_eq!(rows_of_verify(&s3), Vec::<String>::new());
}

/// What `verify` names.
fn rows_of_verify(s3: &S3Home) -> Vec<String> {
    let said = s3.kennel(["verify"]);
    let named = said
        .stdout
        .lines()
        .filter(|line| line.starts_with("damaged: "));
    named.map(str::to_owned).collect()
}

#[test]
fn a_source_that_was_never_synced_has_nothing_to_make_anew() {
    let s3 = trail_home();
    deliver(&s3, PLACE, "2026/03/01", "e1");
    let said = s3.kennel(["sync", "--rebuild-tables"]).ends_with(0);
    assert!(
        said.stderr.contains("trail: made 0 tables anew"),
        "{}",
        said.stderr
    );
    assert_eq!(rows(&s3, "SELECT count(*) FROM cloudtrail.events"), ["1"]);
}
