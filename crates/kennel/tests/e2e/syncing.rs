//! `sync`, `status`, `prune` over a folder as the source.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::fs;

use crate::home::TestHome;

fn objects(home: &TestHome) -> usize {
    fn count(folder: &std::path::Path) -> usize {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                if path.is_dir() {
                    count(&path)
                } else {
                    usize::from(path.extension().is_some_and(|e| e == "parquet"))
                }
            })
            .sum()
    }
    count(&home.work().join("inbox"))
}

#[test]
fn nothing_configured_is_said_with_the_way_out() {
    let said = TestHome::new().kennel(["sync"]).ends_with(2);
    insta::assert_snapshot!(said.all(), @r"
    exit 2
    -- stdout
    -- stderr
    error: nothing to sync: there is no kennel.toml here
    hint: `kennel init --k9 s3://BUCKET` writes one; `--config FILE` names one elsewhere
    ");
}

#[test]
fn a_misspelt_source_names_the_nearest() {
    let home = TestHome::new().with_inbox("guide");
    let said = home.kennel(["sync", "k8"]).ends_with(2);
    insta::assert_snapshot!(said.stderr, @r"
    error: no source `k8` is configured
    hint: did you mean `k9`?
    ");
}

#[test]
fn a_dry_run_tells_the_plan_and_makes_no_cache() {
    let home = TestHome::new().with_inbox("guide");
    let said = home.kennel(["sync", "--dry-run"]).ends_with(0);
    let first = format!("k9: would fetch {} objects (", objects(&home));
    assert!(said.stdout.starts_with(&first), "{}", said.stdout);
    assert!(said.stdout.contains("requests: "), "{}", said.stdout);
    assert!(!home.cache().exists());
}

#[test]
fn a_second_sync_says_that_nothing_changed() {
    let home = TestHome::new().with_inbox("guide");
    let count = objects(&home);
    let said = home.kennel(["sync"]);
    assert_eq!(said.stdout, "", "sync has no data");
    assert!(
        said.stderr.contains(&format!("k9: {count} fetched (")),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("; snapshot s1, in [TIME]"),
        "{}",
        said.stderr
    );
    let said = home.kennel(["sync"]);
    assert!(
        said.stderr
            .contains(&format!("k9: up to date, {count} unchanged, in [TIME]")),
        "{}",
        said.stderr
    );
    assert_eq!(home.kennel(["sync", "-q"]).stdout, "");
}

#[test]
fn the_next_night_is_a_new_snapshot_and_the_old_one_can_still_be_asked() {
    let mut home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]);
    let count = |home: &TestHome, as_of: &[&str]| {
        let args = [
            "sql",
            "-q",
            "-c",
            "SELECT max(analysis_time) FROM k9.principals_latest",
            "-f",
            "csv",
        ];
        home.kennel(args.into_iter().chain(as_of.iter().copied()))
            .stdout
    };
    let before = count(&home, &[]);
    home.fill_inbox("guide-next-day");
    home.at("2026-03-04T12:00:00Z");
    let said = home.kennel(["sync"]);
    assert!(
        said.stderr.contains("; snapshot s2, in [TIME]"),
        "{}",
        said.stderr
    );
    assert_ne!(count(&home, &[]), before);
    assert_eq!(count(&home, &["--as-of", "s1"]), before);
    assert_eq!(count(&home, &["--as-of", "2026-03-03T13:00Z"]), before);

    let said = home
        .kennel(["prune", "--keep-snapshots", "1", "--dry-run"])
        .ends_with(0);
    assert!(
        said.stderr.starts_with("would forget 1 snapshot (s1) and "),
        "{}",
        said.stderr
    );
    home.kennel(["sql", "-q", "-c", "SELECT 1", "--as-of", "s1"])
        .ends_with(0);
    let said = home.kennel(["prune", "--keep-snapshots", "1"]).ends_with(0);
    assert!(
        said.stderr.starts_with("forgot 1 snapshot (s1) and "),
        "{}",
        said.stderr
    );
    home.kennel(["sql", "-q", "-c", "SELECT 1", "--as-of", "s1"])
        .ends_with(2);
}

#[test]
fn json_is_lines_of_events_and_a_summary() {
    let home = TestHome::new().with_inbox("guide");
    let said = home.kennel(["sync", "--json"]);
    let lines = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .collect::<Vec<_>>();
    let summary = lines.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["fetched_count"], objects(&home));
    assert_eq!(summary["snapshot"], "s1");
    assert!(lines.len() > objects(&home), "an event for each object");
}

#[test]
fn one_broken_report_does_not_fail_the_others() {
    let home = TestHome::new().with_inbox("guide");
    let key =
        "hive/parquet/pas/customer_id=C123456/csp=aws/account_id=555566667777/x.latest.parquet";
    home.write(&format!("inbox/{key}"), "<html>not a report</html>");
    let said = home.kennel(["sync"]).ends_with(3);
    assert!(
        said.stderr
            .contains(&format!("warning: k9: cannot verify {key}: "))
            || said
                .stderr
                .contains(&format!("warning: k9: cannot ingest {key}: ")),
        "{}",
        said.stderr
    );
    let said = home.kennel(["status"]).ends_with(0);
    assert!(said.stdout.contains(key), "{}", said.stdout);
}

#[test]
fn an_account_whose_only_report_is_broken_is_missing_from_the_answer_not_without_findings() {
    let home = TestHome::new().with_inbox("guide");
    home.write(
        "inbox/hive/parquet/pas/customer_id=C123456/csp=aws/account_id=555566667777/x.latest.parquet",
        "<html>not a report</html>",
    );
    home.kennel(["sync", "-q"]).ends_with(3);
    let said = home.kennel(["run", "iam-admins"]).ends_with(3);
    assert!(said.stderr.contains("555566667777"), "{}", said.stderr);
}

#[test]
fn an_account_can_be_synced_alone_and_the_rest_later() {
    let home = TestHome::new().with_inbox("guide");
    let said = home.kennel(["sync", "--account", "111122223333"]);
    assert!(
        said.stderr.contains(" left out by flags"),
        "{}",
        said.stderr
    );
    let said = home.kennel(["sync", "--region", "eu-west-1"]);
    assert!(
        said.stderr.contains("--region has no effect"),
        "{}",
        said.stderr
    );
    assert!(!said.stderr.contains("no longer listed"), "{}", said.stderr);
}

#[test]
fn an_emptied_inbox_is_not_believed() {
    let home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]);
    fs::remove_dir_all(home.work().join("inbox/hive")).unwrap();
    let said = home.kennel(["sync"]).ends_with(3);
    assert!(said.stderr.contains("--allow-shrink"), "{}", said.stderr);
    let said = home.kennel(["sync", "--allow-shrink"]);
    assert!(said.stderr.contains("no longer listed"), "{}", said.stderr);
}

#[test]
fn a_second_sync_at_the_same_time_is_told_who_holds_the_lock() {
    let home = TestHome::new().with_inbox("guide");
    let now = "2026-03-03T12:00:00Z".parse().unwrap();
    let _writer = kennel_cache::CacheWriter::open(&home.cache(), now).unwrap();
    let said = home.kennel(["sync"]).ends_with(2);
    let id = std::process::id();
    assert_eq!(
        said.stderr,
        format!(
            "error: another kennel is writing to this cache: process {id}, since 2026-03-03 12:00:00 UTC\nhint: queries work meanwhile; run this again when the other is done\n"
        )
    );
}

#[test]
fn tables_are_made_anew_from_the_objects() {
    let home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]);
    let ask = || {
        home.kennel([
            "sql",
            "-q",
            "-c",
            "SELECT * FROM k9.principals_latest ORDER BY principal_arn",
            "-f",
            "csv",
        ])
        .stdout
    };
    let before = ask();
    fs::remove_dir_all(home.cache().join("tables")).unwrap();
    let said = home.kennel(["sync", "--rebuild-tables"]);
    assert!(said.stderr.contains(" tables anew"), "{}", said.stderr);
    assert_eq!(ask(), before);
}

#[test]
fn status_tells_what_is_there_as_text_and_as_json() {
    let home = TestHome::new().with_inbox("guide");
    let said = home.kennel(["status"]).ends_with(0);
    insta::assert_snapshot!(said.stdout, @r"
    cache [ROOT]/data/kennel
    nothing was synced yet

    source k9 (k9, file://[ROOT]/desk/./inbox)
      never synced: `kennel sync k9`
    ");
    home.kennel(["sync", "-q"]);
    let said = home.kennel(["status"]).ends_with(0);
    assert!(
        said.stdout
            .contains("  1 snapshot: s1 (2026-03-03 12:00 UTC)\n"),
        "{}",
        said.stdout
    );
    assert!(said.stdout.contains(" 012345678901 "), "{}", said.stdout);
    let said = home.kennel(["status", "--format", "json"]).ends_with(0);
    let status = serde_json::from_str::<serde_json::Value>(&said.stdout).unwrap();
    assert_eq!(status["sources"][0]["snapshots"][0]["id"], "s1");
    assert_eq!(status["sources"][0]["object_count"], objects(&home));
    assert!(
        status["sources"][0]["reports"]
            .as_array()
            .unwrap()
            .iter()
            .any(|r| r["account_id"] == "012345678901")
    );
}

#[test]
fn prune_deletes_nothing_unasked() {
    let home = TestHome::new().with_inbox("guide");
    let said = home.kennel(["prune"]).ends_with(2);
    assert!(said.stderr.contains("--keep-snapshots"), "{}", said.stderr);
    let said = home.kennel(["prune", "--keep-days", "1"]).ends_with(2);
    assert!(
        said.stderr.starts_with("error: no cache in "),
        "{}",
        said.stderr
    );
}

#[test]
fn offline_refuses_a_bucket_and_allows_a_folder() {
    let home = TestHome::new();
    home.write(
        "kennel.toml",
        "[[source]]\nname = \"k9\"\nkind = \"k9\"\nurl = \"s3://acme-k9-inbox\"\n",
    );
    let said = home.kennel(["sync", "--offline"]).ends_with(2);
    assert!(said.stderr.contains("offline"), "{}", said.stderr);
    home.kennel(["status"]).ends_with(0);
}

#[test]
fn full_fetches_again_what_the_cache_has_lost() {
    let home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]);
    fs::remove_dir_all(home.cache().join("objects")).unwrap();
    let said = home.kennel(["sync"]);
    assert!(said.stderr.contains("up to date"), "{}", said.stderr);
    let said = home.kennel(["sync", "--full"]);
    let count = objects(&home);
    assert!(
        said.stderr.contains(&format!("k9: {count} fetched (")),
        "{}",
        said.stderr
    );
    let said = home.kennel(["sync", "--full"]);
    assert!(said.stderr.contains("up to date"), "{}", said.stderr);
}

#[test]
fn verify_finds_a_flipped_byte_and_a_full_sync_mends_it() {
    let home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]);
    let said = home.kennel(["verify"]).ends_with(0);
    assert!(said.stdout.ends_with(": none damaged\n"), "{}", said.stdout);
    let key = home
        .kennel([
            "sql",
            "-q",
            "-c",
            "SELECT key FROM kennel.objects ORDER BY key LIMIT 1",
            "-f",
            "csv",
        ])
        .stdout;
    let key = key.lines().nth(1).unwrap();
    let object = fs::read_dir(home.cache().join("objects"))
        .unwrap()
        .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            fs::read(path).unwrap() == fs::read(home.work().join("inbox").join(key)).unwrap()
        })
        .unwrap();
    let mut bytes = fs::read(&object).unwrap();
    bytes[100] ^= 1;
    fs::write(&object, bytes).unwrap();

    let said = home.kennel(["verify"]).ends_with(1);
    assert!(
        said.stdout
            .starts_with(&format!("damaged: k9 {key}: SHA-256 is ")),
        "{}",
        said.stdout
    );
    assert!(
        said.stderr.contains("`kennel sync --full`"),
        "{}",
        said.stderr
    );
    let said = home.kennel(["sync", "--full"]);
    assert!(said.stderr.contains("k9: 1 fetched ("), "{}", said.stderr);
    home.kennel(["verify", "-f", "json"]).ends_with(0);
}

#[test]
fn one_source_that_fails_does_not_stop_the_others() {
    let home = TestHome::new().with_inbox("guide");
    home.write(
        "kennel.toml",
        "[[source]]\nname = \"far\"\nkind = \"k9\"\nurl = \"s3://acme-k9-inbox\"\n
[[source]]\nname = \"near\"\nkind = \"k9\"\nurl = \"file://./inbox\"\n",
    );
    let said = home.kennel(["sync", "--offline"]).ends_with(3);
    assert!(
        said.stderr.starts_with("error: offline: "),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("\nnear: "), "{}", said.stderr);
    home.kennel(["sync", "--offline", "far"]).ends_with(2);
}

#[cfg(unix)]
#[test]
fn a_terminated_sync_ends_with_130_and_the_next_goes_on() {
    let home = TestHome::new().with_inbox("guide");
    let mut command = home.command();
    let mut child = command
        .args([
            "sync",
            "--bandwidth-limit",
            "10k",
            "--concurrency",
            "1",
            "--json",
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The first fetched object is told on standard output: from then on there is something to keep.
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("\"event\":\"fetched\"")));
    let killed = std::process::Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(killed.success());
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(130));

    let said = home.kennel(["status", "-f", "json"]).ends_with(0);
    assert!(
        said.stdout.contains("\"object_count\": 0"),
        "nothing is visible before its snapshot"
    );
    let said = home.kennel(["sync"]);
    assert!(
        said.stderr.contains(" adopted from an interrupted sync"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("; snapshot s1"), "{}", said.stderr);
}
