//! `kennel verify bundle`.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::fs;

use serde_json::{Value, json};

use crate::{
    export::{export, manifest, next_night, one_night, tree},
    home::{Said, TestHome},
    trail_home,
};

fn verify(home: &TestHome, bundle: &str) -> Said {
    home.kennel(["verify", "bundle", bundle])
}

/// Changes the manifest of a bundle.
fn forge(home: &TestHome, bundle: &str, change: impl FnOnce(&mut Value)) {
    let mut forged = manifest(home, bundle);
    change(&mut forged);
    let path = home.work().join(bundle).join("manifest.json");
    fs::write(path, serde_json::to_vec(&forged).unwrap()).unwrap();
}

/// The lines about what is damaged.
fn damaged(said: &Said) -> Vec<&str> {
    let lines = said.stdout.lines();
    lines.filter(|line| line.starts_with("damaged: ")).collect()
}

#[test]
fn a_bundle_is_proved_by_its_hashes_and_by_asking_again() {
    let mut home = one_night();
    export(&home, &[]).ends_with(0);
    let said = verify(&home, "kennel-export/latest").ends_with(0);
    assert!(said.stdout.contains("12 files ("), "{}", said.stdout);
    assert!(
        said.stdout
            .contains("2 questions asked again with the same rows; nothing is damaged"),
        "{}",
        said.stdout
    );
    // Also when the cache has gone on since then.
    next_night(&mut home);
    let said = home
        .kennel(["verify", "bundle", "kennel-export/latest", "-f", "json"])
        .ends_with(0);
    let json = serde_json::from_str::<Value>(&said.stdout).unwrap();
    assert_eq!(
        (&json["format"], &json["proved_count"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(json["problems"], json!([]));
    // A rewritten manifest that fits its files is found by asking again, where the snapshot is still there.
    let rows = home
        .work()
        .join("kennel-export/latest/jsonl/k9-iam-admins.jsonl");
    let fewer = fs::read_to_string(&rows).unwrap();
    let fewer = fewer.split_inclusive('\n').skip(1).collect::<String>();
    fs::write(&rows, &fewer).unwrap();
    let sha256 = home.kennel(["sql", "-q", "-f", "csv", "-c", "SELECT 1"]);
    assert_eq!(sha256.code, Some(0));
    let said = verify(&home, "kennel-export/latest").ends_with(1);
    assert!(
        damaged(&said)[0].contains("k9-iam-admins.jsonl"),
        "{}",
        said.stdout
    );
    // Without the snapshot it is said that nothing was asked again.
    export(&home, &["--as-of", "s1", "--out", "old"]).ends_with(0);
    home.kennel(["prune", "--keep-snapshots", "1", "-q"])
        .ends_with(0);
    let said = verify(&home, "old/2026-03-03").ends_with(0);
    assert!(
        said.stderr.contains("note: 2 questions not asked again: "),
        "{}",
        said.stderr
    );
    let nowhere = TestHome::new();
    let bundle = home.work().join("old/2026-03-03");
    let said = nowhere
        .kennel(["verify", "bundle", bundle.to_str().unwrap()])
        .ends_with(0);
    assert!(
        said.stderr.contains("there is no cache here"),
        "{}",
        said.stderr
    );
}

#[test]
fn whatever_is_changed_is_found() {
    let home = one_night();
    let bundle = home.work().join("kennel-export/2026-03-03");
    let fresh = || {
        export(&home, &[]).ends_with(0);
    };
    fresh();
    fs::write(bundle.join("csv/k9-iam-admins.csv"), "short").unwrap();
    fs::remove_file(bundle.join("summary.md")).unwrap();
    fs::write(bundle.join("csv/extra.csv"), "").unwrap();
    let page = fs::read_to_string(bundle.join("index.html")).unwrap();
    fs::write(
        bundle.join("index.html"),
        page.replacen("admin", "nimda", 1),
    )
    .unwrap();
    let said = verify(&home, "kennel-export/latest").ends_with(1);
    let lines = damaged(&said).join("\n");
    assert!(
        lines.contains("damaged: csv/k9-iam-admins.csv: it has 5 bytes, the manifest says "),
        "{lines}"
    );
    assert!(lines.contains("damaged: summary.md: missing"), "{lines}");
    assert!(
        lines.contains("damaged: csv/extra.csv: it is not in the manifest"),
        "{lines}"
    );
    assert!(
        lines.contains("damaged: index.html: its hash is another than the manifest's"),
        "{lines}"
    );
    assert_eq!(damaged(&said).len(), 4);

    fresh();
    forge(&home, "kennel-export/latest", |manifest| {
        manifest["questions"][0]["row_count"] = json!(12);
        manifest["questions"][1]["query"] = json!("SELECT 1");
    });
    let said = verify(&home, "kennel-export/latest").ends_with(1);
    let lines = damaged(&said).join("\n");
    assert!(
        lines.contains("it has 13 rows, the manifest says 12"),
        "{lines}"
    );
    assert!(
        lines.contains("damaged: k9/stale-credentials: its query is another than the hash says"),
        "{lines}"
    );
}

#[test]
fn a_hostile_manifest_reads_nothing_outside_its_folder() {
    let home = one_night();
    export(&home, &[]).ends_with(0);
    home.write("secret", "secret");
    for path in [
        "../../secret",
        "/etc/hostname",
        "csv/../../../secret",
        "a\\b",
    ] {
        forge(&home, "kennel-export/latest", |manifest| {
            manifest["files"][0]["path"] = json!(path);
        });
        let said = verify(&home, "kennel-export/latest").ends_with(1);
        assert!(
            said.stdout.contains("is no path inside the export"),
            "{}",
            said.stdout
        );
    }
    #[cfg(unix)]
    {
        export(&home, &[]).ends_with(0);
        let page = home.work().join("kennel-export/latest/index.html");
        fs::remove_file(&page).unwrap();
        std::os::unix::fs::symlink(home.work().join("secret"), &page).unwrap();
        let said = verify(&home, "kennel-export/latest").ends_with(1);
        assert!(
            said.stdout
                .contains("damaged: index.html: `index.html` goes through a link"),
            "{}",
            said.stdout
        );
    }
}

#[test]
fn what_is_no_bundle_is_two_and_a_broken_manifest_is_one() {
    let home = one_night();
    let said = verify(&home, ".").ends_with(2);
    insta::assert_snapshot!(said.stderr, @r"
    error: `.` is no export: it has no manifest.json
    hint: name the folder of one date, such as kennel-export/latest
    ");
    verify(&home, "nowhere").ends_with(2);
    for text in ["", "{", "[]", "{\"format\":1}", "\u{0}"] {
        home.write("broken/manifest.json", text);
        let said = verify(&home, "broken").ends_with(1);
        assert!(
            said.stdout
                .contains("damaged: manifest.json: its manifest.json cannot be understood"),
            "{}",
            said.stdout
        );
    }
}

#[test]
fn accepted_findings_are_listed_apart_and_expired_ones_come_back() {
    let mut home = one_night();
    home.write(
        "suppressions.toml",
        r#"
[[suppress]]
name = "ci"
id = "iam-admins"
match = { principal_name = "ci" }
owner = "build team"
reason = "deploys roles"
expires = 2026-03-03

[[suppress]]
name = "nobody"
id = "iam-admins"
match = { principal_name = "nobody" }
owner = "build team"
reason = "none"
"#,
    );
    let said = export(&home, &["--check", "new"]).ends_with(1);
    insta::assert_snapshot!(said.stderr, @r"
    warning: 25 new rows (there is no export in this folder yet: each row counts as new): k9/iam-admins 12, k9/stale-credentials 13
    1 accepted finding listed apart
    note: suppression `nobody` of build team matches no row
    wrote kennel-export/2026-03-03 (2 questions, 25 rows)
    ");
    let read = |path: &str| {
        fs::read_to_string(home.work().join("kennel-export/latest").join(path)).unwrap()
    };
    let accepted = read("csv/k9-iam-admins.accepted.csv");
    assert!(
        accepted.contains("user/ci") && accepted.contains("deploys roles"),
        "{accepted}"
    );
    assert!(!read("csv/k9-iam-admins.csv").contains("user/ci"));
    let findings = read("findings.ocsf.jsonl");
    let suppressed = findings
        .lines()
        .filter(|line| line.contains("\"status\":\"Suppressed\""));
    assert_eq!(suppressed.count(), 1);
    let page = read("index.html");
    assert!(page.contains("k9/iam-admins: accepted findings"));
    assert!(page.contains("<h3>Accepted findings</h3>"));
    let json = manifest(&home, "kennel-export/latest");
    assert_eq!(json["questions"][0]["suppressed_count"], 1);
    assert_eq!(json["suppressions"][0]["standing"], "used");
    assert_eq!(json["suppressions"][1]["standing"], "unused");
    verify(&home, "kennel-export/latest").ends_with(0);

    // A day later the entry has ended: the row is back, and it is news.
    next_night(&mut home);
    let said = export(&home, &["--check", "new", "-q"]).ends_with(1);
    insta::assert_snapshot!(said.stderr, @r"
    warning: 2 new rows since the last export: k9/iam-admins 2
    warning: suppression `ci` of build team expired (2026-03-03): 1 row is back
    ");
    let rows = fs::read_to_string(
        home.work()
            .join("kennel-export/latest/csv/k9-iam-admins.csv"),
    )
    .unwrap();
    assert!(
        rows.lines()
            .next()
            .unwrap()
            .ends_with(",expired_suppression"),
        "{rows}"
    );
    // Accepted anew: it is not gone, it is apart.
    home.write(
        "other.toml",
        "[[suppress]]\nid = \"iam-admins\"\nmatch = { principal_name = \"ci\" }\nowner = \"x\"\nreason = \"y\"\n",
    );
    export(
        &home,
        &[
            "--suppressions",
            "other.toml",
            "--check",
            "new",
            "-q",
            "--out",
            "kennel-export",
        ],
    )
    .ends_with(0);
    let json = manifest(&home, "kennel-export/latest");
    assert_eq!(
        json["questions"][0]["changes"]["gone_count"], 0,
        "{}",
        json["questions"][0]["changes"]
    );
    export(&home, &["--no-suppressions", "-q", "--out", "all"]).ends_with(0);
    assert_eq!(
        manifest(&home, "all/latest")["questions"][0]["row_count"],
        14
    );
}

#[test]
fn a_redacted_export_names_nobody_and_still_knows_what_is_new() {
    let mut home = one_night();
    home.write(
        "mine/secret-project.sql",
        "-- +++\n-- title = \"Rights of secret-project\"\n-- reads = [\"k9.principals_latest\"]\n-- key = [\"principal_arn\"]\n-- +++\n-- About 123456789012.\nSELECT principal_arn, 'secret-project' AS project FROM k9.principals_latest WHERE principal_name = 'ci'",
    );
    let config = fs::read_to_string(home.work().join("kennel.toml")).unwrap();
    home.write("kennel.toml", &format!("queries = [\"./mine\"]\n{config}"));
    let redacted = ["--redact", "--check", "new", "-q", "--out", "shared"];
    export(&home, &redacted).ends_with(1);
    next_night(&mut home);
    let said = export(&home, &redacted).ends_with(1);
    assert!(
        said.stderr
            .contains("1 new row since the last export: k9/iam-admins 1"),
        "{}",
        said.stderr
    );
    // Against an export with names, the snapshot is asked again.
    export(&home, &["--as-of", "s1", "--out", "mixed"]).ends_with(0);
    let said = export(
        &home,
        &["--redact", "--check", "new", "-q", "--out", "mixed"],
    )
    .ends_with(1);
    assert!(
        said.stderr.contains("1 new row since the last export"),
        "{}",
        said.stderr
    );
    let all = [
        "export",
        "iam-admins",
        "rds-delete",
        "secret-project",
        "--redact",
        "-q",
        "--out",
        "all",
    ];
    home.kennel(
        all.into_iter()
            .chain(["--param", "account_id=123456789012"]),
    )
    .ends_with(0);
    for out in ["shared/latest", "mixed/latest", "all/latest"] {
        for (path, bytes) in tree(&home.work().join(out)) {
            let text = String::from_utf8_lossy(&bytes);
            for name in [
                "111122223333",
                "123456789012",
                "012345678901",
                "C123456",
                "migration-temp",
                "prod-deploy",
                "secret-project = ",
            ] {
                assert!(!text.contains(name), "{out}/{}: {name}", path.display());
            }
        }
        let json = manifest(&home, out);
        assert!(json["redaction"].is_string());
    }
    // The same key, the same tokens, the same bytes.
    export(&home, &["--redact", "-q", "--out", "again"]).ends_with(0);
    export(&home, &["--redact", "-q", "--out", "once-more"]).ends_with(0);
    assert!(tree(&home.work().join("again")) == tree(&home.work().join("once-more")));
    let said = verify(&home, "again/latest").ends_with(0);
    assert!(
        said.stderr.contains("its names were replaced"),
        "{}",
        said.stderr
    );
}

#[test]
fn an_export_over_both_kinds_of_sources_names_coverage_and_has_no_state_before_the_first() {
    let home = TestHome::new().with_inbox("guide");
    let day = "2026/03/01";
    let key = trail_home::key(trail_home::PLACE, day, "a");
    let path = home.work().join("trail").join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let event = trail_home::event("e1", day);
    fs::write(path, trail_home::log_file(&[event])).unwrap();
    let config = fs::read_to_string(home.work().join("kennel.toml")).unwrap();
    let trail = "[[source]]\nname = \"trail\"\nkind = \"cloudtrail\"\nurl = \"file://./trail\"\n";
    home.write("kennel.toml", &format!("{config}{trail}"));
    let said = home.kennel(["export", "--sync", "-q"]);
    assert_eq!(said.code, Some(3), "{}", said.all());
    let json = manifest(&home, "kennel-export/latest");
    assert_eq!(json["state"]["snapshots"][1]["kind"], "cloudtrail");
    assert_eq!(json["baseline"], Value::Null);
    assert_eq!(json["coverage"][0]["event_count"], 1);
    assert_eq!(json["left_out"], json!([]));
    let questions = json["questions"].as_array().unwrap().iter();
    let first_seen = questions.filter(|question| question["id"] == "cloudtrail/first-seen-actions");
    assert_eq!(first_seen.count(), 1);
    home.kennel(["export", "-q", "--out", "again"]).ends_with(3);
    assert!(tree(&home.work().join("kennel-export")) == tree(&home.work().join("again")));
    let said = verify(&home, "again/latest").ends_with(0);
    assert!(
        said.stderr
            .contains("CloudTrail's tables have no past states"),
        "{}",
        said.stderr
    );
}
