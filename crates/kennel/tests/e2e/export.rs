//! `kennel export`: the bundle, what is new in it, and how it ends.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::home::{Said, TestHome};

/// A home with the guide's night.
pub(crate) fn one_night() -> TestHome {
    let home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]).ends_with(0);
    home
}

/// The next night over it.
pub(crate) fn next_night(home: &mut TestHome) {
    home.fill_inbox("guide-next-day");
    home.at("2026-03-04T12:00:00Z");
    home.kennel(["sync", "-q"]).ends_with(0);
}

/// Two questions whose answers are whole in the guide, so that what is tested decides on the exit code.
pub(crate) const WHOLE: [&str; 3] = ["export", "iam-admins", "stale-credentials"];

pub(crate) fn export(home: &TestHome, more: &[&str]) -> Said {
    home.kennel(WHOLE.into_iter().chain(more.iter().copied()))
}

/// All files below a folder with their bytes; links as what they name.
pub(crate) fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            let kind = fs::symlink_metadata(&path).unwrap();
            if kind.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                found.insert(name, target.into_os_string().into_encoded_bytes());
            } else if kind.is_dir() {
                walk(root, &path, found);
            } else {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found.remove(Path::new(".kennel-export.lock"));
    found
}

pub(crate) fn manifest(home: &TestHome, bundle: &str) -> Value {
    let path = home.work().join(bundle).join("manifest.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn text(home: &TestHome, path: &str) -> String {
    fs::read_to_string(home.work().join(path)).unwrap()
}

#[test]
fn an_export_is_a_folder_of_the_snapshots_date_with_every_form() {
    let home = one_night();
    let said = export(&home, &[]).ends_with(0);
    assert_eq!(said.stdout, "");
    insta::assert_snapshot!(said.stderr, @"wrote kennel-export/2026-03-03 (2 questions, 26 rows)");
    let bundle = home.work().join("kennel-export/2026-03-03");
    let names = tree(&bundle)
        .into_keys()
        .map(|path| path.display().to_string());
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            "csv/k9-iam-admins.csv",
            "csv/k9-stale-credentials.csv",
            "findings.ocsf.jsonl",
            "index.html",
            "json/k9-iam-admins.json",
            "json/k9-stale-credentials.json",
            "jsonl/k9-iam-admins.jsonl",
            "jsonl/k9-stale-credentials.jsonl",
            "manifest.json",
            "parquet/k9-iam-admins.parquet",
            "parquet/k9-stale-credentials.parquet",
            "report.xlsx",
            "summary.md",
        ]
    );
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(home.work().join("kennel-export/latest")).unwrap(),
        Path::new("2026-03-03")
    );
    // The rows are those of `run`.
    let rows = home.kennel(["run", "iam-admins", "-f", "csv"]).ends_with(0);
    assert_eq!(
        text(&home, "kennel-export/2026-03-03/csv/k9-iam-admins.csv"),
        rows.stdout
    );
    let manifest = manifest(&home, "kennel-export/2026-03-03");
    assert_eq!(manifest["format"], 1);
    assert_eq!(manifest["answers"], "whole");
    assert_eq!(manifest["state"]["snapshots"][0]["id"], "s1");
    assert_eq!(manifest["questions"][0]["id"], "k9/iam-admins");
    assert_eq!(manifest["questions"][0]["row_count"], 13);
    let objects = manifest["objects"].as_array().unwrap();
    assert!(!objects.is_empty());
    assert!(
        objects
            .iter()
            .all(|object| object["sha256"].as_str().unwrap().len() == 64
                && object["key"].as_str().unwrap().contains("hive/parquet/p")
                && !object["etag"].as_str().unwrap().is_empty())
    );
    let listed = manifest["files"].as_array().unwrap().len();
    assert_eq!(listed, 12, "all but the manifest itself");
    let findings = text(&home, "kennel-export/2026-03-03/findings.ocsf.jsonl");
    assert_eq!(findings.lines().count(), 26);
}

#[test]
fn the_same_cache_and_arguments_are_the_same_bytes_whatever_the_clock_says() {
    let mut home = one_night();
    next_night(&mut home);
    let first = ["export", "--out", "a"];
    home.kennel(first).ends_with(3);
    home.kennel(["export", "--out", "b", "--max-age", "999d"])
        .ends_with(3);
    home.at("2027-01-01T00:00:00Z");
    home.kennel(["export", "--out", "c"]).ends_with(3);
    // Once more into the same folder: the bundle that is there is not what it is compared with.
    home.kennel(first).ends_with(3);
    let [a, b, c] = ["a", "b", "c"].map(|out| tree(&home.work().join(out)));
    assert!(a.len() > 50, "{}", a.len());
    for other in [&b, &c] {
        let differing = a
            .iter()
            .find(|(name, bytes)| other.get(*name) != Some(bytes));
        assert_eq!(differing.map(|(name, _)| name), None);
        assert_eq!(a.len(), other.len());
    }
    let manifest = manifest(&home, "a/latest");
    assert!(manifest["questions"].as_array().unwrap().len() > 15);
    assert_eq!(
        manifest["left_out"][0]["reason"],
        "there is no source of CloudTrail logs"
    );
}

#[test]
fn new_rows_are_told_once_and_what_changed_stays_on_the_page() {
    let mut home = one_night();
    // The first time each row is new, and the page has nothing to compare with.
    let said = export(&home, &["--check", "new", "-q"]).ends_with(1);
    insta::assert_snapshot!(said.stderr, @"warning: 26 new rows (there is no export in this folder yet: each row counts as new): k9/iam-admins 13, k9/stale-credentials 13");
    assert!(
        text(&home, "kennel-export/latest/index.html")
            .contains("There is no earlier state to compare with.")
    );
    // Nothing happened.
    let said = export(&home, &["--check", "new", "-q"]).ends_with(0);
    assert_eq!(said.stderr, "");
    next_night(&mut home);
    let said = export(&home, &["--check", "new", "-q"]).ends_with(1);
    insta::assert_snapshot!(said.stderr, @"warning: 1 new row since the last export: k9/iam-admins 1");
    let page = text(&home, "kennel-export/latest/index.html");
    assert!(
        page.contains(
            "<h2 id=\"title-changes\">What changed since s1 of 2026-03-03 12:00 UTC</h2>"
        )
    );
    assert!(page.contains("<span class=\"mark new\">new</span>"));
    let summary = text(&home, "kennel-export/latest/summary.md");
    assert!(summary.contains("**1 new**"), "{summary}");
    let findings = text(&home, "kennel-export/latest/findings.ocsf.jsonl");
    let created = findings
        .lines()
        .filter(|line| line.contains("\"activity_name\":\"Create\""));
    assert_eq!(created.count(), 1);
    // The same state again: no news, and the page still shows what changed.
    let before = tree(&home.work().join("kennel-export"));
    export(&home, &["--check", "new", "-q"]).ends_with(0);
    assert!(before == tree(&home.work().join("kennel-export")));
    export(&home, &["--check", "any", "-q"]).ends_with(1);
    // Against a snapshot by name, and against nothing: an export of the earlier state.
    export(&home, &["--check", "new", "-q", "--baseline", "s2"]).ends_with(0);
    export(&home, &["--check", "new", "-q", "--baseline", "s1"]).ends_with(1);
    export(&home, &["--check", "new", "-q", "--baseline", "s9"]).ends_with(2);
}

#[test]
fn without_its_files_or_its_snapshot_the_last_export_is_still_compared_with_or_it_is_said() {
    let mut home = one_night();
    // A page alone: its rows are asked of its snapshot.
    export(&home, &["--formats", "html"]).ends_with(0);
    next_night(&mut home);
    let said = export(&home, &["--check", "new", "-q", "--out", "kennel-export"]).ends_with(1);
    assert!(said.stderr.contains("1 new row since"), "{}", said.stderr);
    // The files of the last export, when its snapshot is gone.
    let mut home = one_night();
    export(&home, &["--formats", "parquet"]).ends_with(0);
    next_night(&mut home);
    home.kennel(["prune", "--keep-snapshots", "1", "-q"])
        .ends_with(0);
    let said = export(&home, &["--check", "new", "-q"]).ends_with(1);
    assert!(said.stderr.contains("1 new row since"), "{}", said.stderr);
    // Neither: nothing is passed over in silence.
    let mut home = one_night();
    export(&home, &["--formats", "csv"]).ends_with(0);
    next_night(&mut home);
    home.kennel(["prune", "--keep-snapshots", "1", "-q"])
        .ends_with(0);
    let said = export(&home, &["--check", "new", "-q"]).ends_with(1);
    insta::assert_snapshot!(said.stderr, @r"
    warning: k9/iam-admins: cannot be compared with s1 of 2026-03-03 12:00 UTC: the last export has no file of its rows that can be read, and the cache no longer keeps s1
    warning: k9/stale-credentials: cannot be compared with s1 of 2026-03-03 12:00 UTC: the last export has no file of its rows that can be read, and the cache no longer keeps s1
    warning: 26 new rows since the last export: k9/iam-admins 14, k9/stale-credentials 12
    ");
}

#[test]
fn a_changed_file_of_the_last_export_hides_no_news() {
    let mut home = one_night();
    export(&home, &["--formats", "jsonl"]).ends_with(0);
    next_night(&mut home);
    // Somebody adds tonight's administrator to last night's file.
    export(&home, &["--formats", "jsonl", "--out", "tonight"]).ends_with(0);
    let file = "jsonl/k9-iam-admins.jsonl";
    fs::copy(
        home.work().join("tonight/latest").join(file),
        home.work().join("kennel-export/latest").join(file),
    )
    .unwrap();
    let said = export(&home, &["--check", "new", "-q"]).ends_with(1);
    assert!(said.stderr.contains("k9/iam-admins 1"), "{}", said.stderr);
}

#[test]
fn what_is_missing_or_old_is_four_before_three_before_one() {
    let home = one_night();
    // A report is missing on purpose.
    let said = home
        .kennel(["export", "rds-delete", "--check", "any", "-q"])
        .ends_with(3);
    assert!(
        said.stderr.contains("warning: account 111122223333"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("warning: 1 question, 8 rows in all"),
        "{}",
        said.stderr
    );
    let page = text(&home, "kennel-export/latest/index.html");
    assert!(
        page.contains(
            "<p class=\"verdict\"><strong>1 of 1 answer is incomplete or without data.</strong>"
        ),
        "{}",
        &page[page.find("<h1>").unwrap()..][..900]
    );
    let verdict = page.find("class=\"verdict\"").unwrap();
    assert!(
        verdict < page.find("id=\"changes\"").unwrap(),
        "it stands at the top"
    );
    let said = home
        .kennel([
            "export",
            "rds-delete",
            "--check",
            "any",
            "-q",
            "--max-age",
            "1h",
        ])
        .ends_with(4);
    assert!(
        said.stderr.contains("older than --max-age"),
        "{}",
        said.stderr
    );
    // Nothing to export is no empty report.
    let empty = TestHome::new();
    let said = empty.kennel(["export"]).ends_with(4);
    insta::assert_snapshot!(said.stderr, @r"
    error: nothing to export: there is no cache yet
    hint: `kennel sync` makes it; `--sync` does so first
    ");
    assert!(tree(&empty.work().join("kennel-export")).is_empty());
    let said = home
        .kennel(["export", "cloudtrail/root-use", "--out", "x"])
        .ends_with(4);
    assert!(
        said.stderr
            .contains("holds no snapshot of what the questions read"),
        "{}",
        said.stderr
    );
    home.kennel(["export", "iam-admin"]).ends_with(2);
    home.kennel(["export", "--tag", "nigthly"]).ends_with(2);
}

#[test]
fn one_line_does_a_nights_work_and_a_failed_sync_colours_it() {
    let home = TestHome::new().with_inbox("guide");
    let night = [
        "export",
        "iam-admins",
        "--sync",
        "--max-age",
        "36h",
        "--check",
        "new",
        "-q",
    ];
    home.kennel(night).ends_with(1);
    assert_eq!(home.kennel(night).ends_with(0).stderr, "");
    fs::rename(home.work().join("inbox"), home.work().join("elsewhere")).unwrap();
    let said = home.kennel(night).ends_with(3);
    assert!(
        said.stderr
            .contains("the sync failed: this exports what the cache had before"),
        "{}",
        said.stderr
    );
    fs::rename(home.work().join("elsewhere"), home.work().join("inbox")).unwrap();
    home.kennel(night).ends_with(0);
    // Nothing was ever synced, and the sync fails: there is nothing to export.
    let home = TestHome::new().with_inbox("guide");
    fs::remove_dir_all(home.work().join("inbox")).unwrap();
    let said = home.kennel(night);
    assert!(matches!(said.code, Some(2 | 4)), "{}", said.all());
    assert!(tree(&home.work().join("kennel-export")).is_empty());
}

#[test]
fn with_json_logs_each_line_is_an_event_and_the_last_one_has_the_outcome() {
    let home = one_night();
    let said = export(&home, &["--log-format", "json", "--check", "new"]).ends_with(1);
    let events = said
        .stderr
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let events = events.collect::<Vec<_>>();
    let levels = events.iter().map(|event| event["level"].as_str().unwrap());
    assert_eq!(levels.collect::<Vec<_>>(), ["WARN", "INFO"]);
    assert_eq!(events[1]["fields"]["exit"], 1);
    assert_eq!(events[1]["fields"]["new_count"], 26);
    assert_eq!(events[1]["fields"]["bundle"], "kennel-export/2026-03-03");
    let said = home
        .kennel(["export", "iam-admin", "--log-format", "json"])
        .ends_with(2);
    let first = said.stderr.lines().next().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(first).unwrap()["level"],
        "ERROR"
    );
}

#[test]
fn an_export_that_is_killed_leaves_no_half_bundle() {
    let mut home = one_night();
    next_night(&mut home);
    let out = home.work().join("out");
    let mut seen = 0;
    let started = Instant::now();
    for delay_ms in (0..400).step_by(25) {
        let mut command = home.command();
        command
            .args(["export", "--out", "out", "-q"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        if out.join("2026-03-04").exists() {
            seen += 1;
            let said = home.kennel(["verify", "bundle", "out/2026-03-04", "--files-only"]);
            assert_eq!(said.code, Some(0), "{}", said.all());
        }
        if started.elapsed() > Duration::from_secs(60) {
            break;
        }
    }
    let _in_some_runs = seen;
    home.kennel(["export", "--out", "out", "-q"]).ends_with(3);
    let left = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut left = left
        .map(|name| name.into_string().unwrap())
        .collect::<Vec<_>>();
    left.sort_unstable();
    assert_eq!(left, [".kennel-export.lock", "2026-03-04", "latest"]);
}
